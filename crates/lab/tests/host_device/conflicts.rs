//! Two sources of one network: what the device has, and what the address management gives.

use super::{STORE, Stage, host_local, network, parsed};
use lab::Verb;
use serde_json::{Value, json};

/// Addresses and the default route of the container, as `LOCAL/LENGTH` and `VIA metric METRIC`.
fn outcome(stage: &Stage) -> (Vec<String>, Vec<String>) {
    let addresses = parsed(&stage.container.run(["ip", "-4", "-j", "address", "show", "eth0"]).unwrap());
    let info = addresses[0]["addr_info"].as_array().unwrap();
    let mut addresses: Vec<String> =
        info.iter().map(|one| format!("{}/{}", one["local"].as_str().unwrap(), one["prefixlen"])).collect();
    addresses.sort();
    let routes = parsed(&stage.container.run(["ip", "-4", "-j", "route", "show", "default"]).unwrap());
    let via = |route: &Value| format!("{} metric {}", route["gateway"].as_str().unwrap(), route["metric"]);
    (addresses, routes.iter().map(via).collect())
}

fn fixed(address: &str, routes: Value) -> Value {
    json!({"type": "static", "addresses": [{"address": address}], "routes": routes})
}

#[test]
fn what_is_equal_is_there_once() {
    let stage = Stage::new();
    let route = json!([{"dst": "0.0.0.0/0", "gw": "10.1.0.1", "priority": 300}]);
    let conf = network(json!({"ipam": fixed("10.1.0.5/24", route)}));
    let result = stage.add(&conf);
    let times = |list: &str, key: &str, value: &str| {
        result[list].as_array().unwrap().iter().filter(|one| one[key] == value && one.get("table").is_none()).count()
    };
    assert_eq!((times("ips", "address", "10.1.0.5/24"), times("routes", "dst", "0.0.0.0/0")), (1, 1), "{result}");
    let (addresses, routes) = outcome(&stage);
    assert_eq!(addresses, ["10.1.0.5/24", "10.1.0.6/24", "10.9.9.1/32"]);
    assert_eq!(routes, ["10.1.0.1 metric 300"]);
    stage.del(&conf);
    stage.judge();
}

/// Refused before anything is changed, and what `host-local` gave is given back.
#[test]
fn a_contradiction_is_an_error() {
    let stage = Stage::new();
    let text = stage.refused(Verb::Add, &network(json!({"ipam": fixed("10.1.0.5/16", json!([]))})), 999);
    let policies = "say \"conflictPolicy\": \"host\", \"ipam\" or \"both\"; ";
    let address = "contradiction: address 10.1.0.5/24 of the device and 10.1.0.5/16 of the address management";
    assert_eq!(text, format!("{address}; {policies}"));
    stage.judge();
    let route = json!([{"dst": "0.0.0.0/0", "gw": "10.5.0.1", "priority": 300}]);
    let text = stage.refused(Verb::Add, &network(json!({"ipam": host_local(json!({"routes": route}))})), 999);
    let route = "contradiction: route default via 10.1.0.1 dev d0 metric 300 of the device and 0.0.0.0/0 by 10.5.0.1 of the \
                 address management";
    assert_eq!(text, format!("{route}; {policies}"));
    stage.judge();
    assert_eq!(stage.at_home(&format!("find {STORE} -name '10.*'")), "");
}

#[test]
fn a_policy_says_who_is_right() {
    for (policy, addresses, routes) in [
        ("host", ["10.1.0.5/24", "10.1.0.6/24", "10.9.9.1/32"].as_slice(), ["10.1.0.1 metric 300"].as_slice()),
        ("ipam", &["10.1.0.5/16", "10.1.0.6/24", "10.9.9.1/32"], &["10.1.0.3 metric 300"]),
        (
            "both",
            &["10.1.0.5/16", "10.1.0.5/24", "10.1.0.6/24", "10.9.9.1/32"],
            &["10.1.0.3 metric 300", "10.1.0.1 metric 300"],
        ),
    ] {
        let stage = Stage::new();
        let route = json!([{"dst": "0.0.0.0/0", "gw": "10.1.0.3", "priority": 300}]);
        let conf = network(json!({"conflictPolicy": policy, "ipam": fixed("10.1.0.5/16", route)}));
        let result = stage.add(&conf);
        let found = outcome(&stage);
        assert_eq!(found.0, addresses, "{policy}: {result}");
        assert_eq!(found.1, routes, "{policy}: {result}");
        let mut checked = conf.clone();
        checked["prevResult"] = result;
        stage.ours.call(&stage.node, Verb::Check, &checked, &stage.attachment).unwrap().success().unwrap();
        stage.del(&conf);
        stage.judge();
    }
}
