//! `bridge` beyond one container and one interface: what interfaces of one container share, what CHECK sees of it, and
//! removal with a configuration that has changed since.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lab::packets::{self, Protocol};
use lab::{Attachment, Container, Node, Plugins, Verb, settle};
use serde_json::{Value, json};

/// Two addresses beyond the node: each interface of the container has a route to one of them.
const WORLD: [&str; 2] = ["192.0.2.2", "192.0.2.3"];
const NODE: &str = "192.0.2.1";

/// A namespace beyond the node that knows no way to the containers.
fn world(node: &Node) -> Container {
    let world = node.container("world").unwrap();
    let up = format!(
        "ip link add up0 type veth peer name eth0 netns world; ip addr add {NODE}/24 dev up0; ip link set up0 up"
    );
    node.run(["sh", "-ec", &up]).unwrap();
    let [one, other] = WORLD;
    let up = format!("ip addr add {one}/24 dev eth0; ip addr add {other}/24 dev eth0; ip link set eth0 up");
    world.run(["sh", "-ec", &up]).unwrap();
    world
}

/// The network, with a route to `destination` and these keys besides.
fn network(destination: &str, more: Value) -> Value {
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": "10.42.0.0/24"}], [{"subnet": "fd42::/64"}]],
        "routes": [{"dst": format!("{destination}/32")}]});
    let mut conf = json!({"cniVersion": "1.1.0", "name": "pair", "type": "bridge", "bridge": "br0", "isGateway": true,
        "ipMasq": true, "ipam": ipam});
    conf.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    conf
}

/// Whether the world answers at `address`, and sees the node in place of the container.
fn is_masqueraded(container: &Container, world: &Container, address: &str) -> bool {
    let seen = packets::reach(container.namespaces(), world.namespaces(), address.parse().unwrap(), Protocol::Tcp);
    seen.is_ok_and(|seen| seen == NODE.parse::<std::net::IpAddr>().unwrap())
}

/// One container joins one network twice; each of its interfaces goes by itself.
fn two_interfaces(adder: &Plugins, backend: &str, namespace: bool) {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let (world, container) = (world(&node), node.container("c").unwrap());
    // Each interface answers for its own address alone.
    container.run(["sysctl", "-w", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2"]).unwrap();
    let confs = WORLD.map(|address| network(address, json!({"cniVersion": "1.0.0", "ipMasqBackend": backend})));
    let attachments =
        ["eth0", "eth1"].map(|ifname| Attachment { ifname: ifname.to_owned(), ..Attachment::new("c", &container) });
    let known = |attachment: &Attachment| Attachment {
        netns: if namespace { attachment.netns.clone() } else { String::new() },
        ..attachment.clone()
    };
    let round = |first: usize| {
        let results = [0, 1].map(|at| adder.add(&node, &confs[at], &attachments[at]).unwrap());
        let second = 1 - first;
        for at in [0, 1] {
            assert!(is_masqueraded(&container, &world, WORLD[at]), "interface {at}");
            ours.check(&node, &confs[at], &results[at], &attachments[at]).unwrap();
        }
        ours.del(&node, &confs[first], &attachments[first]).unwrap();
        ours.del(&node, &confs[first], &attachments[first]).unwrap();
        assert!(is_masqueraded(&container, &world, WORLD[second]), "interface {second} after the other has gone");
        ours.check(&node, &confs[second], &results[second], &attachments[second]).unwrap();
        ours.del(&node, &confs[second], &known(&attachments[second])).unwrap();
    };
    round(0);
    let state = || Ok(node.snapshot()?.and("container", container.snapshot()?));
    let clean = state().unwrap();
    round(0);
    round(1);
    assert_eq!(settle(state, |now| clean.diff(now)).unwrap(), None);
}

#[test]
fn interfaces_share_a_chain_of_iptables() {
    two_interfaces(&Plugins::ours().unwrap(), "iptables", true);
}

#[test]
fn the_last_of_them_goes_without_its_namespace() {
    two_interfaces(&Plugins::ours().unwrap(), "iptables", false);
}

#[test]
fn interfaces_share_nothing_of_nftables_but_the_table() {
    two_interfaces(&Plugins::ours().unwrap(), "nftables", true);
}

#[test]
fn interfaces_that_go_made_share_a_chain() {
    two_interfaces(&Plugins::debian().unwrap(), "iptables", true);
}

/// What CHECK says after `harm`, and not before.
fn complaint(conf: &Value, harm: &str) -> String {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let container = node.container("c").unwrap();
    let attachment = Attachment::new("c", &container);
    let result = ours.add(&node, conf, &attachment).unwrap();
    ours.check(&node, conf, &result, &attachment).unwrap();
    node.run(["sh", "-ec", harm]).unwrap();
    ours.check(&node, conf, &result, &attachment).unwrap_err().to_string()
}

#[test]
fn check_sees_rules_that_somebody_took_out() {
    let nftables = network(WORLD[0], json!({}));
    let chain = "nft -a list table inet netferry | sed -n 's/.*chain \\(masq-[0-9a-f]*\\) .*/\\1/p'";
    let text = complaint(&nftables, &format!("nft flush chain inet netferry $({chain})"));
    assert!(text.contains("(masquerade) is missing") && text.contains("(ip daddr 10.42.0.0/24 return)"), "{text}");
    let text = complaint(&nftables, "nft insert rule inet netferry postrouting accept");
    assert!(text.contains("nft rule 1 of chain inet netferry postrouting is another, expected ip saddr"), "{text}");
    let iptables = network(WORLD[0], json!({"ipMasqBackend": "iptables"}));
    let text = complaint(&iptables, "ip6tables -t nat -F POSTROUTING");
    assert!(text.contains("ip6tables rule POSTROUTING -s fd42::2 -j CNI-"), "{text}");
    let text = complaint(&iptables, "iptables -t nat -F $(iptables -t nat -S | sed -n 's/^-N //p')");
    assert!(text.contains("every rule of iptables chain CNI-"), "{text}");
    let guarded = network(WORLD[0], json!({"macspoofchk": true}));
    let text = complaint(&guarded, "nft flush chain bridge netferry guard");
    assert!(text.contains("of chain bridge netferry guard (drop) is missing"), "{text}");
}

#[test]
fn check_sees_another_address_of_the_bridge() {
    let conf = network(WORLD[0], json!({}));
    let text = complaint(&conf, "ip link set br0 address 02:00:00:00:00:01");
    assert!(text.contains("address of link br0 is 02:00:00:00:00:01, expected"), "{text}");
}

/// ADD, then `verb` with a configuration that is no longer what it was; the node must be as before. Returns what was
/// said on standard error.
fn removed_by(verb: Verb, changes: Value, made: Value) -> String {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let container = node.container("c").unwrap();
    let attachment = Attachment::new("c", &container);
    let conf = network(WORLD[0], made);
    let changed = {
        let mut conf = conf.clone();
        conf.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        conf
    };
    let round = || {
        ours.add(&node, &conf, &attachment).unwrap();
        ours.call(&node, verb, &changed, &attachment).unwrap().success().unwrap()
    };
    round();
    let state = || Ok(node.snapshot()?.and("container", container.snapshot()?));
    let clean = state().unwrap();
    let said = round().stderr;
    assert_eq!(settle(state, |now| clean.diff(now)).unwrap(), None, "{changes}");
    said
}

#[test]
fn del_removes_what_it_can_name_whatever_the_types_are() {
    let wrong =
        json!({"bridge": 7, "mtu": "x", "vlan": "100", "ipMasq": "yes", "macspoofchk": 1, "removeWhenEmpty": true});
    let said = removed_by(Verb::Del, wrong, json!({"macspoofchk": true}));
    for key in ["bridge", "mtu", "vlan", "ipMasq", "macspoofchk"] {
        assert!(said.contains(&format!("netferry: {key}: expected ")), "{key} is not in {said}");
    }
}

#[test]
fn gc_removes_marks_that_the_configuration_does_not_ask_for_any_more() {
    let off = json!({"ipMasq": false, "macspoofchk": false, "cni.dev/valid-attachments": []});
    removed_by(Verb::Gc, off, json!({"macspoofchk": true}));
}

/// The close of an nfnetlink socket waits for whatever was deleted just now, so an ADD leaves its own to a child.
#[test]
fn an_add_behind_a_del_does_not_wait_for_it() {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let container = node.container("c").unwrap();
    let (conf, attachment) = (network(WORLD[0], json!({})), Attachment::new("c", &container));
    let leaves_a_child = || {
        ours.add(&node, &conf, &attachment).unwrap();
        ours.del(&node, &conf, &attachment).unwrap();
        let before = node.processes().len();
        ours.add(&node, &conf, &attachment).unwrap();
        let after = node.processes().len();
        ours.del(&node, &conf, &attachment).unwrap();
        after > before
    };
    // All children end at once, once a second, which may be in between.
    assert!((0..5).any(|_| leaves_a_child()));
}
