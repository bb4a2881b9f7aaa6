//! What a container gets: the device under its name there, with what it has and what the address management gives.

use super::{Stage, host_local, network};
use lab::{Verb, packets};
use serde_json::{Value, json};

/// Traffic as soon as ADD has answered, and a result that says what there is.
#[test]
fn a_device_with_everything() {
    let stage = Stage::new();
    let ipam = json!({"type": "static", "addresses": [{"address": "10.5.0.2/24"}],
        "routes": [{"dst": "10.6.0.0/16", "gw": "10.5.0.1"}]});
    let conf = network(json!({"ipam": ipam, "dns": {"nameservers": ["10.1.0.1"]}}));
    let mac = stage.at_home("cat /sys/class/net/d0/address").trim().to_owned();
    let result = stage.add(&conf);
    for address in ["10.1.0.1", "fd01::1"] {
        packets::ping(stage.container.namespaces(), address.parse().unwrap()).unwrap();
    }
    assert_eq!(result, whole_result(&mac));
    let mut checked = conf.clone();
    checked["prevResult"] = result;
    stage.ours.call(&stage.node, Verb::Check, &checked, &stage.attachment).unwrap().success().unwrap();
    stage.del(&conf);
    stage.judge();
    let left = stage.inside("ip -brief link; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all");
    for trace in ["eth0", "lookup 10", "table 10"] {
        assert!(!left.contains(trace), "{trace} is left in\n{left}");
    }
}

fn whole_result(mac: &str) -> Value {
    let local = ["10.1.0.5/24", "10.9.9.1/32", "10.1.0.6/24", "fd01::5/64", "fd01::6/64", "fd02::5/64", "10.5.0.2/24"];
    json!({"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "mac": mac, "mtu": 1400, "sandbox": "/run/netns/c1"}],
        "ips": local.map(|address| json!({"interface": 0, "address": address})), "routes": [
            {"dst": "10.23.0.0/16", "scope": 253, "table": 100},
            {"dst": "10.21.0.0/16", "gw": "192.0.2.1"},
            {"dst": "fd21::/64", "priority": 1024, "table": 101},
            {"dst": "0.0.0.0/0", "gw": "10.1.0.1", "table": 100},
            {"dst": "0.0.0.0/0", "gw": "10.1.0.1", "priority": 300},
            {"dst": "10.20.0.0/16", "gw": "10.1.0.1", "mtu": 1300},
            {"dst": "10.22.0.0/16", "gw": "10.1.0.1"},
            {"dst": "10.22.0.0/16", "gw": "10.1.0.3"},
            {"dst": "::/0", "gw": "fd01::1", "priority": 1024, "table": 101},
            {"dst": "::/0", "gw": "fd01::1", "priority": 2000},
            {"dst": "fd20::/64", "gw": "fd01::1", "mtu": 1350, "priority": 1024},
            {"dst": "10.6.0.0/16", "gw": "10.5.0.1"}],
        "dns": {"nameservers": ["10.1.0.1"]}})
}

#[test]
fn the_bare_device() {
    let stage = Stage::new();
    let conf = network(json!({"useInterfaceNetwork": false}));
    let result = stage.add(&conf);
    assert_eq!((&result["ips"], &result["routes"]), (&Value::Null, &Value::Null), "{result}");
    assert_eq!(
        stage.inside("ip -brief address show eth0 | awk '{print $2, $3}'; ip route; ip rule | wc -l"),
        "UP \n3\n"
    );
    stage.del(&conf);
    stage.judge();
}

/// What a version has no words for is not said: tables before 1.1.0.
#[test]
fn every_version_of_a_result() {
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let stage = Stage::new();
        let conf = network(json!({"cniVersion": version, "ipam": host_local(json!({}))}));
        let result = stage.add(&conf);
        assert_eq!(result["cniVersion"], version);
        assert_eq!(result["ips"].as_array().unwrap().len(), 7, "{result}");
        let is_old = version.starts_with("0.");
        assert!(result["ips"].as_array().unwrap().iter().all(|ip| ip.get("version").is_some() == is_old), "{result}");
        let routes = result["routes"].as_array().unwrap();
        let has_table = routes.iter().any(|route| route.get("table").is_some());
        assert_eq!(has_table, version == "1.1.0", "{result}");
        assert!(routes.iter().any(|route| route["dst"] == "0.0.0.0/0"), "{result}");
        if !version.starts_with("0.3") {
            let mut checked = conf.clone();
            checked["prevResult"] = result.clone();
            stage.ours.call(&stage.node, Verb::Check, &checked, &stage.attachment).unwrap().success().unwrap();
        }
        let mut prev = conf.clone();
        prev["prevResult"] = result;
        stage.del(&prev);
        stage.judge();
    }
}

/// 0.2.0 has words for one address of each family, and says the first.
#[test]
fn the_oldest_result() {
    let stage = Stage::new();
    let conf = network(json!({"cniVersion": "0.2.0", "ipam": host_local(json!({}))}));
    let result = stage.add(&conf);
    let ips = ["ip4", "ip6"].map(|family| result[family]["ip"].as_str().unwrap());
    assert_eq!(ips, ["10.1.0.5/24", "fd01::5/64"], "{result}");
    stage.del(&conf);
    stage.judge();
}

/// Nothing is changed where something is in the way.
#[test]
fn what_is_in_the_way() {
    let stage = Stage::new();
    let with = |more: Value| {
        let mut conf = network(json!({"ipam": host_local(json!({}))}));
        conf.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        conf
    };
    let refused = |conf: &Value| {
        let text = stage.refused(Verb::Add, conf, 999);
        stage.judge();
        text
    };
    let text = refused(&with(json!({"allowUplink": false})));
    assert!(text.starts_with("cannot carry d0: this host reaches others through the device"), "{text}");
    let text = refused(&with(json!({"device": "d7"})));
    assert_eq!(text, "failed to find host device: device \"d7\": Link not found; ");
    stage.inside("ip link add eth0 type bridge");
    let text = refused(&with(json!({})));
    assert_eq!(text, "cannot carry d0: the name eth0 is taken in the target; choose another; ");
    stage.inside("ip link delete eth0; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
    let text = refused(&with(json!({})));
    assert!(text.starts_with("cannot carry d0: IPv6 is disabled in the target"), "{text}");
    stage.inside("echo 0 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
    // A route that the kernel refuses, when everything is there already.
    let text =
        refused(&with(json!({"ipam": host_local(json!({"routes": [{"dst": "10.6.0.0/16", "gw": "192.0.2.77"}]}))})));
    assert!(text.contains("10.6.0.0/16"), "{text}");
    stage.add(&with(json!({})));
    let text = stage.refused(Verb::Add, &with(json!({})), 999);
    assert!(text.contains("d0"), "{text}");
    stage.del(&with(json!({})));
    stage.judge();
}
