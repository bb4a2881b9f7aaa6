//! `bridge` with VLANs: what its ports carry, who reaches whom, what CHECK sees, and Go's plugin on the same node.

use lab::{Attachment, Container, Node, Plugins, packets, settle};
use serde_json::{Value, json};
use std::net::IpAddr;

/// A bridge network with these keys besides.
fn network(more: Value) -> Value {
    let ranges = json!([[{"subnet": "10.41.0.0/24"}], [{"subnet": "fd41::/64"}]]);
    let mut conf = json!({"cniVersion": "1.0.0", "name": "vlan", "type": "bridge", "bridge": "br0",
        "ipam": {"type": "host-local", "ranges": ranges}});
    conf.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    conf
}

/// A container that a network was added to.
struct Attached {
    container: Container,
    attachment: Attachment,
    result: Value,
}

impl Attached {
    fn new(node: &Node, name: &str, plugins: &Plugins, conf: &Value) -> Attached {
        let container = node.container(name).unwrap();
        let attachment = Attachment::new(name, &container);
        let result = plugins.add(node, conf, &attachment).unwrap();
        Attached { container, attachment, result }
    }

    /// Its port of the bridge.
    fn port(&self) -> &str {
        self.result["interfaces"][1]["name"].as_str().unwrap()
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let parse = |ip: &Value| ip["address"].as_str().unwrap().split('/').next().unwrap().parse().unwrap();
        self.result["ips"].as_array().unwrap().iter().map(parse).collect()
    }

    /// Whether it reaches every address (`Some(true)`) or none (`Some(false)`).
    fn reaches(&self, addresses: &[IpAddr]) -> Option<bool> {
        let inside = self.container.namespaces();
        let reached = addresses.iter().filter(|address| packets::ping(inside, **address).is_ok()).count();
        if reached == addresses.len() { Some(true) } else { (reached == 0).then_some(false) }
    }
}

fn gateways() -> [IpAddr; 2] {
    ["10.41.0.1", "fd41::1"].map(|address| address.parse().unwrap())
}

/// The VLANs of a port as `bridge vlan` words them: `100 PVID Egress Untagged`.
fn carried(node: &Node, port: &str) -> Vec<String> {
    let said = node.run(["bridge", "-j", "vlan", "show", "dev", port]).unwrap().stdout;
    let ports: Value = serde_json::from_str(&said).unwrap();
    let words = |vlan: &Value| {
        let flags = vlan["flags"].as_array().into_iter().flatten().filter_map(Value::as_str);
        [vlan["vlan"].to_string()].into_iter().chain(flags.map(str::to_owned)).collect::<Vec<_>>().join(" ")
    };
    ports[0]["vlans"].as_array().unwrap().iter().map(words).collect()
}

/// Adds, compares what the port carries, checks, deletes, and finds the node as it was.
fn carries(more: Value, expected: &[&str]) {
    let (node, ours, conf) = (Node::new().unwrap(), Plugins::ours().unwrap(), network(more));
    let first = Attached::new(&node, "first", &ours, &conf);
    let clean = node.snapshot().unwrap();
    let second = Attached::new(&node, "second", &ours, &conf);
    for attached in [&first, &second] {
        assert_eq!(carried(&node, attached.port()), expected, "{conf}");
        ours.check(&node, &conf, &attached.result, &attached.attachment).unwrap();
    }
    ours.del(&node, &conf, &second.attachment).unwrap();
    assert_eq!(settle(|| node.snapshot(), |now| clean.diff(now)).unwrap(), None, "{conf}");
}

#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn a_port_carries_its_vlan_alone() {
    carries(json!({"vlan": 100}), &["100 PVID Egress Untagged"]);
    carries(json!({"vlan": 1}), &["1 PVID Egress Untagged"]);
}

#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn a_port_may_keep_the_default_vlan() {
    let expected = ["1 Egress Untagged", "100 PVID Egress Untagged"];
    carries(json!({"vlan": 100, "preserveDefaultVlan": true}), &expected);
    carries(json!({"vlanTrunk": [{"id": 7}], "preserveDefaultVlan": true}), &["1 PVID Egress Untagged", "7"]);
}

#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn a_trunk_carries_ranges_and_single_vlans() {
    let trunk = json!([{"minID": 100, "maxID": 103}, {"id": 200}, {"minID": 103, "maxID": 104, "id": 300}]);
    let tagged = ["100", "101", "102", "103", "104", "200", "300"];
    carries(json!({"vlanTrunk": trunk}), &[&["1 PVID Egress Untagged"], tagged.as_slice()].concat());
    carries(json!({"vlan": 50, "vlanTrunk": trunk}), &[&["50 PVID Egress Untagged"], tagged.as_slice()].concat());
    // The access VLAN in its own trunk stays untagged.
    let expected = ["100", "101 PVID Egress Untagged", "102", "103", "104", "200", "300"];
    carries(json!({"vlan": 101, "vlanTrunk": trunk}), &expected);
}

#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn a_trunk_of_every_vlan() {
    let every: Vec<String> = (2..=4094).map(|id: u16| id.to_string()).collect();
    let expected: Vec<&str> = ["1 PVID Egress Untagged"].into_iter().chain(every.iter().map(String::as_str)).collect();
    carries(json!({"vlanTrunk": [{"minID": 1, "maxID": 4094}]}), &expected);
}

#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn the_gateway_is_in_the_vlan() {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let conf = network(json!({"vlan": 100, "isDefaultGateway": true, "mtu": 1400}));
    let first = Attached::new(&node, "first", &ours, &conf);
    let clean = node.snapshot().unwrap();
    let second = Attached::new(&node, "second", &ours, &conf);
    for attached in [&first, &second] {
        let interfaces = attached.result["interfaces"].as_array().unwrap();
        assert_eq!((interfaces.len(), &interfaces[3]["name"]), (4, &"br0.100".into()));
        assert_eq!(interfaces[2]["sandbox"], attached.container.path());
        assert!(attached.result["ips"].as_array().unwrap().iter().all(|ip| ip["interface"] == 2));
        assert_eq!(attached.reaches(&gateways()), Some(true));
        ours.check(&node, &conf, &attached.result, &attached.attachment).unwrap();
    }
    assert_eq!(first.reaches(&second.addresses()), Some(true));
    assert_eq!(clean.keys("address br0 ").collect::<Vec<_>>(), Vec::<&str>::new());
    ours.del(&node, &conf, &second.attachment).unwrap();
    assert_eq!(settle(|| node.snapshot(), |now| clean.diff(now)).unwrap(), None);
    // The gateway outlives the last container, as with Go's plugin.
    ours.del(&node, &conf, &first.attachment).unwrap();
    assert_eq!(node.snapshot().unwrap().get("link br0.100 mtu"), Some("1400"));
}

#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn vlans_are_held_apart() {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let (red, blue) = (network(json!({"vlan": 100})), network(json!({"vlan": 200})));
    let [one, two, other] =
        [("one", &red), ("two", &red), ("other", &blue)].map(|(name, conf)| Attached::new(&node, name, &ours, conf));
    assert_eq!(one.reaches(&two.addresses()), Some(true));
    assert_eq!(one.reaches(&other.addresses()), Some(false));
    assert_eq!(other.reaches(&one.addresses()), Some(false));
}

#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn check_names_a_vlan_that_is_missing_or_too_many() {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let conf = network(json!({"vlan": 100, "vlanTrunk": [{"minID": 300, "maxID": 310}]}));
    let attached = Attached::new(&node, "c", &ours, &conf);
    let port = attached.port();
    let complaint = || ours.check(&node, &conf, &attached.result, &attached.attachment).err().map(|e| e.to_string());
    for (change, named) in [("del", "vid 305"), ("add", "")] {
        node.run(["bridge", "vlan", change, "dev", port, "vid", "305"]).unwrap();
        let text = complaint().unwrap_or_default();
        assert!(text.contains(named) && text.is_empty() == named.is_empty(), "{change}: {text}");
    }
    node.run(["bridge", "vlan", "add", "dev", port, "vid", "1"]).unwrap();
    let text = complaint().unwrap_or_default();
    assert!(text.contains(&format!("vid 1 on bridge port {port} is present, expected absent")), "{text}");
    node.run(["bridge", "vlan", "del", "dev", port, "vid", "1"]).unwrap();
    node.run(["bridge", "vlan", "add", "dev", port, "vid", "100"]).unwrap();
    let text = complaint().unwrap_or_default();
    assert!(text.contains("vid 100 pvid untagged"), "{text}");
}

/// The gateway's pair has other names when Go made it; both plugins work with either.
#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn go_and_netferry_share_a_vlan() {
    let (go, ours) = (Plugins::debian().unwrap(), Plugins::ours().unwrap());
    let conf = network(json!({"vlan": 100, "isGateway": true}));
    for [one, other] in [[&go, &ours], [&ours, &go]] {
        let node = Node::new().unwrap();
        let first = Attached::new(&node, "first", one, &conf);
        // What an implementation leaves for all, as our index of host-local's files, is there before the comparison.
        let before = Attached::new(&node, "second", other, &conf);
        one.del(&node, &conf, &before.attachment).unwrap();
        drop(before);
        let clean = node.snapshot().unwrap();
        let second = Attached::new(&node, "second", other, &conf);
        for (attached, adder) in [(&first, one), (&second, other)] {
            assert_eq!(attached.result["interfaces"][3]["name"], "br0.100");
            assert_eq!(attached.reaches(&gateways()), Some(true));
            adder.check(&node, &conf, &attached.result, &attached.attachment).unwrap();
        }
        go.check(&node, &conf, &first.result, &first.attachment).unwrap();
        go.check(&node, &conf, &second.result, &second.attachment).unwrap();
        assert_eq!(first.reaches(&second.addresses()), Some(true));
        // Each is deleted by the one that did not add it.
        one.del(&node, &conf, &second.attachment).unwrap();
        assert_eq!(settle(|| node.snapshot(), |now| clean.diff(now)).unwrap(), None);
        other.del(&node, &conf, &first.attachment).unwrap();
        assert!(node.run(["ip", "link", "show", "dev", first.port()]).is_err());
    }
}

/// DEL after the namespace has gone, and with nothing but the attachment's names.
#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn del_needs_no_namespace() {
    let (node, ours) = (Node::new().unwrap(), Plugins::ours().unwrap());
    let conf = network(json!({"vlan": 100, "isGateway": true, "ipMasq": true}));
    let first = Attached::new(&node, "first", &ours, &conf);
    let clean = node.snapshot().unwrap();
    let second = Attached::new(&node, "second", &ours, &conf);
    drop(second.container);
    ours.del(&node, &conf, &Attachment { netns: String::new(), ..second.attachment }).unwrap();
    assert_eq!(settle(|| node.snapshot(), |now| clean.diff(now)).unwrap(), None);
    assert_eq!(first.reaches(&gateways()), Some(true));
}

/// The bridge's port to the gateway of VLAN 100.
fn gateway_port(node: &Node) -> String {
    let said = node.run(["ip", "-o", "link", "show", "br0.100"]).unwrap().stdout;
    said.split_once("br0.100@").unwrap().1.split(':').next().unwrap().to_owned()
}

/// An adopted bridge may put new ports into another VLAN than 1, or into none.
#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn a_port_leaves_the_default_vlan_of_its_bridge() {
    let ours = Plugins::ours().unwrap();
    for (default, preserve, expected) in [
        ("5", false, &["100 PVID Egress Untagged"][..]),
        ("5", true, &["5 Egress Untagged", "100 PVID Egress Untagged"]),
        ("0", false, &["100 PVID Egress Untagged"]),
        ("100", false, &["100 PVID Egress Untagged"]),
    ] {
        let node = Node::new().unwrap();
        let bridge = format!("ip link add br0 type bridge vlan_filtering 1 vlan_default_pvid {default}");
        node.run(["sh", "-ec", &bridge]).unwrap();
        let conf = network(json!({"vlan": 100, "isGateway": true, "preserveDefaultVlan": preserve}));
        let attached = Attached::new(&node, "c", &ours, &conf);
        for port in [attached.port(), &gateway_port(&node)] {
            assert_eq!(carried(&node, port), expected, "default {default}, {conf}");
        }
        assert_eq!(attached.reaches(&gateways()), Some(true));
        ours.check(&node, &conf, &attached.result, &attached.attachment).unwrap();
        if default == "5" {
            let change = if preserve { "del" } else { "add" };
            node.run(["bridge", "vlan", change, "dev", attached.port(), "vid", "5"]).unwrap();
            let outcome = ours.check(&node, &conf, &attached.result, &attached.attachment);
            assert_eq!(outcome.is_ok(), preserve, "{outcome:?}");
        }
    }
}

/// The gateways of the VLANs are ports, and no reason to keep the bridge; the last container takes them along.
#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn an_empty_bridge_goes_with_its_gateways() {
    let (go, ours) = (Plugins::debian().unwrap(), Plugins::ours().unwrap());
    for adder in [&ours, &go] {
        let node = Node::new().unwrap();
        let keys = |vlan| json!({"vlan": vlan, "isGateway": true, "removeWhenEmpty": true});
        let (red, mut blue) = (network(keys(100)), network(keys(200)));
        blue["name"] = "blue".into();
        blue["ipam"]["ranges"] = json!([[{"subnet": "10.43.0.0/24"}]]);
        let round = || {
            let [one, two] =
                [("one", &red), ("two", &blue)].map(|(name, conf)| Attached::new(&node, name, adder, conf));
            ours.del(&node, &red, &one.attachment).unwrap();
            assert_eq!(two.reaches(&["10.43.0.1".parse().unwrap()]), Some(true), "the other VLAN is in use");
            ours.del(&node, &blue, &two.attachment).unwrap();
            for link in ["br0", "br0.100", "br0.200"] {
                assert!(node.run(["ip", "link", "show", link]).is_err(), "{link}");
            }
        };
        round();
        let clean = node.snapshot().unwrap();
        round();
        assert_eq!(settle(|| node.snapshot(), |now| clean.diff(now)).unwrap(), None);
    }
}
