//! What CHECK and STATUS see.

use super::{Stage, host_local, network};
use lab::Verb;
use serde_json::json;

/// What CHECK says after `harm`, and not before.
fn complaint(harm: &str) -> String {
    let stage = Stage::new();
    let ipam = json!({"type": "static", "addresses": [{"address": "10.5.0.2/24"}],
        "routes": [{"dst": "10.6.0.0/16", "gw": "10.5.0.1"}]});
    let mut conf = network(json!({"ipam": ipam}));
    conf["prevResult"] = stage.add(&conf);
    let check = || stage.ours.call(&stage.node, Verb::Check, &conf, &stage.attachment).unwrap();
    check().success().unwrap();
    stage.inside(harm);
    stage.refused(Verb::Check, &conf, 999)
}

#[test]
fn check_names_what_is_missing() {
    for (harm, words) in [
        ("ip address delete 10.1.0.6/24 dev eth0", "address 10.1.0.6/24 on eth0 is missing"),
        ("ip address delete fd02::5/64 dev eth0", "address fd02::5/64 on eth0 is missing"),
        ("ip address delete 10.5.0.2/24 dev eth0", "address 10.5.0.2/24 on eth0 is missing"),
        ("ip route delete 10.23.0.0/16 table 100", "route 10.23.0.0/16 "),
        ("ip route delete blackhole 10.24.0.0/16 table 100", "route blackhole 10.24.0.0/16 "),
        ("ip -6 route delete default table 101", "route default via fd01::1 metric 1024 table 101 dev eth0 is missing"),
        ("ip route delete 10.6.0.0/16", "route 10.6.0.0/16 via 10.5.0.1 "),
        ("ip rule delete priority 1000", "rule priority 1000 from 10.1.0.5/32 lookup 100"),
        ("ip -6 rule delete priority 1001", "rule priority 1001 from fd01::5/128 lookup 101"),
        ("ip neighbour delete 10.1.0.40 dev eth0", "neighbour 10.1.0.40 "),
        ("ip neighbour delete proxy 10.1.0.50 dev eth0", "10.1.0.50"),
        ("echo 1 > /proc/sys/net/ipv4/conf/eth0/rp_filter", "net/ipv4/conf/eth0/rp_filter"),
        ("ip link set eth0 address 02:00:00:00:00:07", "link eth0 is address 02:00:00:00:00:07, expected address "),
        ("ip link set eth0 alias nobody", "link eth0 is alias nobody, expected alias d0"),
        ("ip link set eth0 down", "eth0"),
        ("ip link set eth0 down; ip link set eth0 name other", "eth0"),
    ] {
        let text = complaint(harm);
        assert!(text.starts_with("attachment n/c1/eth0 differs from its network; "), "{harm}: {text}");
        assert!(text.contains(words), "{harm}: {text}");
    }
}

/// A device that somebody else has, one that the host itself needs, one that is not there.
#[test]
fn status_says_whether_the_device_can_be_lent() {
    let stage = Stage::new();
    let status = |conf: &_| stage.ours.call(&stage.node, Verb::Status, conf, &stage.attachment).unwrap();
    let conf = network(json!({"ipam": host_local(json!({}))}));
    status(&conf).success().unwrap();
    let text = stage.refused(Verb::Status, &network(json!({"allowUplink": false})), 50);
    assert!(
        text.starts_with("cannot carry d0: this host reaches others through the device (default via 10.1.0.1"),
        "{text}"
    );
    let text = stage.refused(Verb::Status, &network(json!({"device": "d7"})), 50);
    assert_eq!(text, "failed to find host device: device \"d7\": Link not found; ");
    stage.add(&conf);
    for selector in ["d0", "enp-d0"] {
        let text = stage.refused(Verb::Status, &network(json!({"device": selector})), 50);
        let words = format!("device {selector:?}: Link not found; it is lent to cni/n/c1/eth0; ");
        assert_eq!(text, format!("failed to find host device: {words}"));
    }
    stage.del(&conf);
    status(&conf).success().unwrap();
    stage.at_home("ip link add br0 type bridge; ip link set d0 master br0");
    let text = stage.refused(Verb::Status, &conf, 50);
    assert_eq!(text, "cannot carry d0: the device is a port of br0; take it out (nomaster) first; ");
}
