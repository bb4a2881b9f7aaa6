//! The verbs of static: precedence, texts, CHECK against prevResult.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{Call, addresses};
use ipam::static_::{add, check, del, gc, preview, status};
use serde_json::{Value, json};

fn conf(ipam: Value) -> Value {
    json!({"cniVersion": "1.1.0", "name": "net1", "type": "bridge", "ipam": ipam})
}

fn basic() -> Value {
    conf(json!({
        "type": "static",
        "addresses": [{"address": "10.10.0.1/24", "gateway": "10.10.0.254"}, {"address": "3ffe:ffff:0:1ff::1/64"}],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "0.0.0.0/0", "gw": "10.10.0.253"}],
        "dns": {"nameservers": ["8.8.8.8"], "domain": "d", "search": ["s"], "options": ["o"]},
    }))
}

fn try_add(conf: &Value, args: &str) -> Result<Vec<String>, String> {
    let request = Call("ADD", "c1", "eth0", args).request(conf);
    let result = add(&request).map_err(|error| error.to_string())?;
    assert_eq!(preview(&request).as_ref(), Ok(&result));
    let gateway = |gateway: Option<std::net::IpAddr>| gateway.map_or(String::new(), |ip| format!(" via {ip}"));
    Ok(addresses(&result).into_iter().zip(&result.ips).map(|(address, ip)| address + &gateway(ip.gateway)).collect())
}

#[test]
fn addresses_routes_and_dns() {
    let result = add(&Call("ADD", "c1", "eth0", "").request(&basic())).unwrap();
    assert_eq!(addresses(&result), ["10.10.0.1/24", "3ffe:ffff:0:1ff::1/64"]);
    assert_eq!(result.routes.len(), 2, "equal destinations stay: ECMP");
    assert_eq!((result.dns.domain.as_str(), result.dns.nameservers.len()), ("d", 1));
    del(&Call("DEL", "c1", "eth0", "").request(&conf(json!({"addresses": 7})))).unwrap();
    gc(&Call("GC", "", "", "").request(&basic())).unwrap();
    status(&Call("STATUS", "", "", "").request(&basic())).unwrap();
}

#[test]
fn precedence() {
    let mut conf = basic();
    let args = "IP=10.10.0.7/24, 192.0.2.1/28;GATEWAY=10.10.0.9,192.0.2.14";
    assert_eq!(
        try_add(&conf, args).unwrap(),
        [
            "10.10.0.1/24 via 10.10.0.9",
            "3ffe:ffff:0:1ff::1/64",
            "10.10.0.7/24 via 10.10.0.9",
            "192.0.2.1/28 via 192.0.2.14"
        ]
    );
    conf["args"] = json!({"cni": {"ips": ["10.1.0.1/16"]}});
    assert_eq!(try_add(&conf, args).unwrap(), ["10.1.0.1/16"]);
    conf["runtimeConfig"] = json!({"ips": ["10.2.0.1/16", "fd00::1/64"]});
    assert_eq!(try_add(&conf, args).unwrap(), ["10.2.0.1/16", "fd00::1/64"]);
}

#[test]
fn mistakes() {
    let address = |text: &str| conf(json!({"addresses": [{"address": text}]}));
    for (conf, args, text) in [
        (json!({"cniVersion": "1.1.0", "name": "net1"}), "", "IPAM config missing 'ipam' key"),
        (address("10.0.0.1"), "", "the 'address' field is expected to be in CIDR notation, got: '10.0.0.1'"),
        (basic(), "IP=10.0.0.1", "the 'ip' field is expected to be in CIDR notation, got: '10.0.0.1'"),
        (basic(), "GATEWAY=x", "invalid gateway address: x"),
        (basic(), "FOO=1", r#"ARGS: unknown args ["FOO=1"]"#),
    ] {
        assert_eq!(try_add(&conf, args).unwrap_err(), text);
    }
    let mut listed = basic();
    listed["runtimeConfig"] = json!({"ips": ["10.0.0.1"]});
    let text = "an entry in the 'ips' field is NOT in CIDR notation, got: '10.0.0.1'";
    assert_eq!(try_add(&listed, "").unwrap_err(), text);
    assert_eq!(status(&Call("STATUS", "", "", "").request(&listed)).unwrap_err().code, 50);
    let mut old = basic();
    old["cniVersion"] = json!("0.2.0");
    let text = "CNI version 0.2.0 does not support more than 1 address per family";
    assert_eq!(try_add(&old, "IP=10.9.0.1/24").unwrap_err(), text);
}

#[test]
fn check_wants_every_address() {
    let checked = |ips: Value| {
        let mut conf = basic();
        conf["prevResult"] = json!({"cniVersion": "1.1.0", "ips": ips});
        check(&Call("CHECK", "c1", "eth0", "").request(&conf)).map_err(|error| error.to_string())
    };
    let (v4, v6) =
        (json!({"address": "10.10.0.1/24", "gateway": "10.10.0.254"}), json!({"address": "3ffe:ffff:0:1ff::1/64"}));
    assert_eq!(checked(json!([v6, v4])), Ok(()));
    let absent = "static: Failed to match addr 3ffe:ffff:0:1ff::1 on interface eth0";
    assert_eq!(checked(json!([v4])).unwrap_err(), absent);
    let other = json!({"address": "10.10.0.1/24", "gateway": "10.10.0.1"});
    assert_eq!(checked(json!([other, v6])).unwrap_err(), "static: Failed to match addr 10.10.0.1 on interface eth0");
    let none = check(&Call("CHECK", "c1", "eth0", "").request(&basic())).unwrap_err();
    assert_eq!(none.to_string(), "Required prevResult missing");
}
