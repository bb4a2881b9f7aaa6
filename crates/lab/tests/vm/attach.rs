//! Each plugin that makes an interface, with masquerading by each backend: ADD, packets, CHECK, DEL, and a clean node.

use lab::packets::{self, Protocol};
use lab::{Attachment, Container, Node, Plugins, settle};
use serde_json::{Value, json};
use std::net::IpAddr;

/// The node's own address towards [`world`], and the world's, by family.
const UPLINK: [(&str, &str); 2] = [("192.0.2.1", "192.0.2.2"), ("2001:db8:2::1", "2001:db8:2::2")];

/// A namespace beyond the node that knows no way to the containers.
fn world(node: &Node) -> Container {
    let world = node.container("world").unwrap();
    let addresses = |device: &str, (v4, v6): (&str, &str)| {
        format!("ip addr add {v4}/24 dev {device}; ip addr add {v6}/64 dev {device} nodad; ip link set {device} up")
    };
    let [(near4, far4), (near6, far6)] = UPLINK;
    let link = "ip link add up0 type veth peer name eth0 netns world";
    node.run(["sh", "-ec", &format!("{link}; {}", addresses("up0", (near4, near6)))]).unwrap();
    world.run(["sh", "-ec", &addresses("eth0", (far4, far6))]).unwrap();
    world
}

fn network(plugin: &str, backend: &str) -> Value {
    let ranges = json!([[{"subnet": "10.40.0.0/24"}], [{"subnet": "fd40::/64"}]]);
    let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]);
    json!({"cniVersion": "1.0.0", "name": "attach", "type": plugin, "isGateway": true, "ipMasq": true,
        "ipMasqBackend": backend, "mtu": 1400, "ipam": {"type": "host-local", "ranges": ranges, "routes": routes}})
}

fn masquerades(plugin: &str, backend: &str) {
    let (node, ours, conf) = (Node::new().unwrap(), Plugins::ours().unwrap(), network(plugin, backend));
    let (world, container) = (world(&node), node.container("c").unwrap());
    let attachment = Attachment::new("c", &container);
    let round = |check: bool| {
        let result = ours.add(&node, &conf, &attachment).unwrap();
        if check {
            ours.check(&node, &conf, &result, &attachment).unwrap();
            assert_eq!(result["interfaces"].as_array().unwrap().last().unwrap()["sandbox"], container.path());
            for (near, far) in UPLINK {
                let (near, far): (IpAddr, IpAddr) = (near.parse().unwrap(), far.parse().unwrap());
                let seen = packets::reach(container.namespaces(), world.namespaces(), far, Protocol::Udp).unwrap();
                assert_eq!(seen, near, "{plugin} {backend}: the world sees the container's own address");
            }
        }
        ours.del(&node, &conf, &attachment).unwrap();
        ours.del(&node, &conf, &attachment).unwrap();
    };
    // What a network leaves for all of its containers is there before anything is compared.
    round(false);
    let state = || Ok(node.snapshot()?.and("container", container.snapshot()?));
    let clean = state().unwrap();
    round(true);
    assert_eq!(settle(state, |now| clean.diff(now)).unwrap(), None);
}

#[test]
fn bridge_with_nftables() {
    masquerades("bridge", "nftables");
}

#[test]
fn bridge_with_iptables() {
    masquerades("bridge", "iptables");
}

#[test]
fn ptp_with_nftables() {
    masquerades("ptp", "nftables");
}

#[test]
fn ptp_with_iptables() {
    masquerades("ptp", "iptables");
}

/// A failed ADD finds its own way back, which begins with knowing what was made.
#[test]
fn a_failed_add_leaves_nothing() {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let container = node.container("c").unwrap();
    let attachment = Attachment::new("c", &container);
    for plugin in ["bridge", "ptp"] {
        let conf = network(plugin, "nftables");
        let mut impossible = conf.clone();
        impossible["ipam"]["routes"] = json!([{"dst": "10.50.0.0/16", "gw": "10.60.0.1"}]);
        let round = || {
            ours.add(&node, &conf, &attachment).unwrap();
            ours.del(&node, &conf, &attachment).unwrap();
            let error = ours.add(&node, &impossible, &attachment).unwrap_err().to_string();
            assert!(error.contains("Network is unreachable") || error.contains("invalid gateway"), "{error}");
        };
        round();
        let state = || Ok(node.snapshot()?.and("container", container.snapshot()?));
        let clean = state().unwrap();
        round();
        assert_eq!(settle(state, |now| clean.diff(now)).unwrap(), None, "{plugin}");
    }
}
