//! What a container is for: it reaches its gateway and its neighbours in both families and every protocol as soon as ADD
//! returns, and so does one that is given somebody else's address.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lab::{Attachment, Container, Node, Plugins, packets};
use serde_json::{Value, json};
use std::net::IpAddr;

/// The neighbour that keeps what it once learned.
const WITNESS: [&str; 2] = ["10.50.0.9", "fd50::9"];
const REUSED: [&str; 2] = ["10.50.0.2", "fd50::2"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A bridge network that gives out `addresses`, the first IPv4, the second IPv6.
fn network(addresses: [&str; 2]) -> Value {
    let addresses: Vec<_> = addresses
        .iter()
        .zip([24, 64])
        .map(|(address, length)| json!({"address": format!("{address}/{length}")}))
        .collect();
    json!({"cniVersion": "1.1.0", "name": "traffic", "type": "bridge", "isGateway": true,
        "ipam": {"type": "static", "addresses": addresses}})
}

fn join(
    node: &Node,
    ours: &Plugins,
    name: &str,
    addresses: [&str; 2],
    mac: Option<&str>,
) -> (Container, Attachment, Value) {
    let container = node.container(name).unwrap();
    let attachment = Attachment::new(name, &container);
    let mut conf = network(addresses);
    if let Some(mac) = mac {
        conf["runtimeConfig"] = json!({"mac": mac});
    }
    ours.add(node, &conf, &attachment).unwrap();
    (container, attachment, conf)
}

#[test]
fn neighbours_and_gateway_in_every_protocol() {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let (one, ..) = join(&node, &ours, "one", REUSED, None);
    let (other, ..) = join(&node, &ours, "other", WITNESS, None);
    for (near, far) in REUSED.into_iter().zip(WITNESS) {
        packets::both_ways((one.namespaces(), ip(near)), (other.namespaces(), ip(far))).unwrap();
    }
    for gateway in ["10.50.0.1", "fd50::1"] {
        packets::ping(one.namespaces(), ip(gateway)).unwrap();
    }
}

/// The kernel asks again only when a remembered neighbour has been silent for seconds: a packet gets through at once only
/// if the address is where it was, or if its new owner has said where it is.
fn is_reached_at_once_after(first: Option<&str>, second: Option<&str>) {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let (witness, ..) = join(&node, &ours, "witness", WITNESS, None);
    let (_one, attachment, conf) = join(&node, &ours, "one", REUSED, first);
    let remembered = || witness.run(["ip", "neigh", "show", "dev", "eth0"]).unwrap().stdout;
    REUSED.iter().for_each(|address| packets::ping(witness.namespaces(), ip(address)).unwrap());
    let before = remembered();
    assert!(REUSED.iter().all(|address| before.contains(address)), "{before}");
    ours.del(&node, &conf, &attachment).unwrap();
    let (_two, ..) = join(&node, &ours, "two", REUSED, second);
    for address in REUSED {
        let ping = ["ping", "-n", "-c", "1", "-W", "1", address];
        let answer = witness.run(ping);
        assert!(
            answer.is_ok(),
            "{address} after {first:?} to {second:?}: {answer:?}\nbefore {before}\nnow {}",
            remembered()
        );
    }
}

#[test]
fn a_new_owner_of_an_address_is_reached_at_once() {
    is_reached_at_once_after(None, None);
}

#[test]
fn so_is_one_with_a_hardware_address_of_its_own() {
    is_reached_at_once_after(Some("02:00:00:00:00:01"), Some("02:00:00:00:00:02"));
}

#[test]
fn so_is_one_after_an_owner_with_a_hardware_address_of_its_own() {
    is_reached_at_once_after(None, Some("02:00:00:00:00:02"));
}

/// Through the node, for which it must find the container itself: with a link-local address in duplicate address detection
/// the kernel asks for nobody, for a second or two.
fn is_reached_from_elsewhere_at_once(plugin: &str) {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let (far, container) = (node.container("far").unwrap(), node.container("near").unwrap());
    let script = "ip link add uplink0 type veth peer name eth0 netns far
        ip addr add 192.0.2.1/24 dev uplink0; ip addr add 2001:db8::1/64 dev uplink0 nodad; ip link set uplink0 up
        ip -n far addr add 192.0.2.2/24 dev eth0; ip -n far addr add 2001:db8::2/64 dev eth0 nodad
        ip -n far link set eth0 up
        ip -n far route add default via 192.0.2.1; ip -n far route add default via 2001:db8::1
        until ip netns exec far ping -n -c 1 -W 1 192.0.2.1 && ip netns exec far ping -n -c 1 -W 1 2001:db8::1; do :; done";
    node.run(["sh", "-ec", script]).unwrap();
    let ranges = json!([[{"subnet": "10.51.0.0/24"}], [{"subnet": "fd51::/64"}]]);
    let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]);
    let conf = json!({"cniVersion": "1.1.0", "name": "traffic", "type": plugin, "isGateway": true,
        "ipam": {"type": "host-local", "ranges": ranges, "routes": routes}});
    ours.add(&node, &conf, &Attachment::new("near", &container)).unwrap();
    for address in ["10.51.0.2", "fd51::2"] {
        far.run(["ping", "-n", "-c", "1", "-W", "1", address]).unwrap();
    }
}

#[test]
fn a_container_on_a_new_bridge_is_reached_from_elsewhere_at_once() {
    is_reached_from_elsewhere_at_once("bridge");
}

#[test]
fn a_container_behind_a_ptp_is_reached_from_elsewhere_at_once() {
    is_reached_from_elsewhere_at_once("ptp");
}
