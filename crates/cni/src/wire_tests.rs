use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::render;

fn full() -> AddResult {
    let text = br#"{
        "cniVersion": "1.1.0", "unknown": 1,
        "interfaces": [
            {"name": "br0", "mac": "02:00:00:00:00:01", "mtu": 1500, "pciID": "0000:00:1f.6", "socketPath": "/s"},
            {"name": "eth0", "Sandbox": "/run/netns/a"}
        ],
        "ips": [
            {"interface": 0, "address": "10.1.2.3/24", "gateway": "10.1.2.1"},
            {"interface": -1, "address": "10.9.9.9/32", "gateway": ""},
            {"address": "fd00::7/64", "gateway": null}
        ],
        "routes": [
            {"dst": "0.0.0.0/0", "gw": "", "mtu": 1400, "advmss": 1300, "priority": 7, "table": 0, "scope": 0},
            {"dst": "::/0", "gw": "fd00::1"}
        ],
        "dns": {"nameservers": ["10.1.2.1"], "domain": "a", "search": ["b"], "options": ["c"]}
    }"#;
    from_json(&json::parse(text).unwrap(), Version::V0_1_0).unwrap().0
}

fn check(result: &AddResult, version: Version, expected: &Expect) {
    expected.assert_eq(&to_json(result, version).unwrap().to_string());
}

#[test]
fn each_version_has_its_shape() {
    let full = full();
    check(
        &full,
        Version::V1_1_0,
        &expect![[
            r#"{"cniVersion":"1.1.0","dns":{"domain":"a","nameservers":["10.1.2.1"],"options":["c"],"search":["b"]},"interfaces":[{"mac":"02:00:00:00:00:01","mtu":1500,"name":"br0","pciID":"0000:00:1f.6","socketPath":"/s"},{"name":"eth0","sandbox":"/run/netns/a"}],"ips":[{"address":"10.1.2.3/24","gateway":"10.1.2.1","interface":0},{"address":"10.9.9.9/32","interface":-1},{"address":"fd00::7/64"}],"routes":[{"advmss":1300,"dst":"0.0.0.0/0","mtu":1400,"priority":7,"scope":0,"table":0},{"dst":"::/0","gw":"fd00::1"}]}"#
        ]],
    );
    check(
        &full,
        Version::V1_0_0,
        &expect![[
            r#"{"cniVersion":"1.0.0","dns":{"domain":"a","nameservers":["10.1.2.1"],"options":["c"],"search":["b"]},"interfaces":[{"mac":"02:00:00:00:00:01","name":"br0"},{"name":"eth0","sandbox":"/run/netns/a"}],"ips":[{"address":"10.1.2.3/24","gateway":"10.1.2.1","interface":0},{"address":"10.9.9.9/32","interface":-1},{"address":"fd00::7/64"}],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"}]}"#
        ]],
    );
    check(
        &full,
        Version::V0_4_0,
        &expect![[
            r#"{"cniVersion":"0.4.0","interfaces":[{"name":"br0","mac":"02:00:00:00:00:01"},{"name":"eth0","sandbox":"/run/netns/a"}],"ips":[{"version":"4","interface":0,"address":"10.1.2.3/24","gateway":"10.1.2.1"},{"version":"4","interface":-1,"address":"10.9.9.9/32"},{"version":"6","address":"fd00::7/64"}],"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00::1"}],"dns":{"nameservers":["10.1.2.1"],"domain":"a","search":["b"],"options":["c"]}}"#
        ]],
    );
    check(
        &full,
        Version::V0_2_0,
        &expect![[
            r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.1.2.3/24","gateway":"10.1.2.1","routes":[{"dst":"0.0.0.0/0"}]},"ip6":{"ip":"fd00::7/64","routes":[{"dst":"::/0","gw":"fd00::1"}]},"dns":{"nameservers":["10.1.2.1"],"domain":"a","search":["b"],"options":["c"]}}"#
        ]],
    );
}

#[test]
fn an_empty_result_is_short() {
    let empty = AddResult::default();
    check(&empty, Version::V1_1_0, &expect![[r#"{"cniVersion":"1.1.0"}"#]]);
    check(&empty, Version::V0_3_0, &expect![[r#"{"cniVersion":"0.3.0","dns":{}}"#]]);
    for version in [Version::V0_1_0, Version::V0_2_0] {
        assert_eq!(to_json(&empty, version).unwrap_err().msg, "cannot convert: no valid IP addresses");
    }
    expect![[r#"
        {
            "cniVersion": "0.4.0",
            "dns": {}
        }"#]]
    .assert_eq(&render::result(&empty, Version::V0_4_0).unwrap());
}

#[test]
fn a_route_without_an_address_of_its_family_is_lost_in_0_2() {
    let mut result = full();
    result.ips.truncate(1);
    let old = to_json(&result, Version::V0_2_0).unwrap();
    assert_eq!(from_json(&old, Version::LATEST).unwrap().0.routes.len(), 1);
}

#[test]
fn a_result_without_a_usable_version_has_the_configurations() {
    for text in ["null", "{}", r#"{"cniVersion":""}"#, r#"{"cniVersion":7}"#, r#"{"cniVersion":null}"#] {
        let parsed = from_json(&json::parse(text.as_bytes()).unwrap(), Version::V0_3_1).unwrap();
        assert_eq!(parsed, (AddResult::default(), Version::V0_3_1), "{text}");
    }
}

#[test]
fn errors_name_the_field() {
    for (text, message) in [
        (r#"{"cniVersion":"1.2.3"}"#, r#"unsupported CNI result version "1.2.3""#),
        (r#"{"ips":[{"address":"x"}]}"#, r#"ips[0].address: expected an address with prefix length, found "x""#),
        (r#"{"ips":[{}]}"#, "ips[0]: missing field `address`"),
        (r#"{"routes":[{"dst":"0.0.0.0/0","gw":"x"}]}"#, r#"routes[0].gw: expected an address, found "x""#),
        ("[]", "expected an object, found an array"),
    ] {
        let error = from_json(&json::parse(text.as_bytes()).unwrap(), Version::LATEST).unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (code::DECODE, message));
    }
}

#[test]
fn a_value_of_the_same_shape_keeps_what_we_do_not_know() {
    let text = br#"{"CNIVersion":"1.1.0","x":9007199254740993,"interfaces":[{"name":"a","MTU":1,"y":1.0}],"routes":[{"dst":"::/0","scope":0}]}"#;
    let value = json::parse(text).unwrap();
    let convert = |to| convert_value(&value, Version::V0_1_0, to).unwrap().to_string();
    expect![[
        r#"{"x":9007199254740993,"interfaces":[{"name":"a","y":1.0}],"routes":[{"dst":"::/0"}],"cniVersion":"1.0.0"}"#
    ]]
    .assert_eq(&convert(Version::V1_0_0));
    expect![[r#"{"x":9007199254740993,"interfaces":[{"name":"a","MTU":1,"y":1.0}],"routes":[{"dst":"::/0","scope":0}],"cniVersion":"1.1.0"}"#]]
        .assert_eq(&convert(Version::V1_1_0));
    expect![[r#"{"cniVersion":"0.4.0","interfaces":[{"name":"a"}],"routes":[{"dst":"::/0"}],"dns":{}}"#]]
        .assert_eq(&convert(Version::V0_4_0));
}

fn any_cidr(v4: bool) -> BoxedStrategy<ipnet::IpNet> {
    if v4 {
        (any::<u32>(), 0..=32u8).prop_map(|(a, p)| ipnet::IpNet::new(IpAddr::from(a.to_be_bytes()), p).unwrap()).boxed()
    } else {
        // Not IPv4-mapped, which is read back as the IPv4 address.
        (1u128 << 100.., 0..=128u8)
            .prop_map(|(a, p)| ipnet::IpNet::new(IpAddr::from(a.to_be_bytes()), p).unwrap())
            .boxed()
    }
}

fn any_route(v4: bool) -> impl Strategy<Value = Route> {
    (any_cidr(v4), proptest::option::of(any_cidr(v4)), any::<[u32; 3]>(), any::<Option<u32>>(), any::<Option<u8>>())
        .prop_map(|(dst, gw, [mtu, advmss, priority], table, scope)| Route {
            dst,
            gw: gw.map(|gw| gw.addr()),
            mtu,
            advmss,
            priority,
            table,
            scope,
        })
}

prop_compose! {
    fn any_ip(v4: bool)(address in any_cidr(v4), gw in proptest::option::of(any_cidr(v4)), interface in any::<Option<i64>>()) -> IpConfig {
        IpConfig { interface, address, gateway: gw.map(|gw| gw.addr()) }
    }
}

prop_compose! {
    fn any_interface()(name in ".*", mac in ".*", sandbox in ".*", mtu: u32, socket_path in ".*", pci_id in ".*") -> Interface {
        Interface { name, mac, mtu, sandbox, socket_path, pci_id }
    }
}

prop_compose! {
    fn any_dns()(nameservers: Vec<String>, domain: String, search: Vec<String>, options: Vec<String>) -> Dns {
        Dns { nameservers, domain, search, options }
    }
}

fn list<T: Strategy>(item: T) -> impl Strategy<Value = Vec<T::Value>>
where
    T::Value: std::fmt::Debug,
{
    prop::collection::vec(item, 0..4)
}

prop_compose! {
    fn any_result()(
        interfaces in list(any_interface()),
        ips in list(any::<bool>().prop_flat_map(any_ip)),
        routes in list(any::<bool>().prop_flat_map(any_route)),
        dns in any_dns(),
    ) -> AddResult {
        AddResult { interfaces, ips, routes, dns }
    }
}

/// What 1.0.0 and older can say.
fn without_1_1(mut result: AddResult) -> AddResult {
    for interface in &mut result.interfaces {
        *interface = Interface { mtu: 0, socket_path: String::new(), pci_id: String::new(), ..interface.clone() };
    }
    for route in &mut result.routes {
        *route = Route::new(route.dst, route.gw);
    }
    result
}

fn through(result: &AddResult, version: Version) -> AddResult {
    let text = render::result(result, version).unwrap();
    let (back, read) = from_json(&json::parse(text.as_bytes()).unwrap(), Version::V0_1_0).unwrap();
    assert_eq!(read, version);
    back
}

proptest! {
    #[test]
    fn a_version_loses_only_what_it_cannot_say(result in any_result()) {
        prop_assert_eq!(&through(&result, Version::V1_1_0), &result);
        let older = without_1_1(result.clone());
        for version in [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0, Version::V1_0_0] {
            prop_assert_eq!(&through(&result, version), &older);
        }
    }

    #[test]
    fn one_address_per_family_survives_0_2(
        v4 in (any_ip(true), list(any_route(true))),
        v6 in (any_ip(false), list(any_route(false))),
        dns in any_dns(),
    ) {
        let ips = vec![v4.0, v6.0].into_iter().map(|ip| IpConfig { interface: None, ..ip }).collect();
        let result = without_1_1(AddResult { interfaces: vec![], ips, routes: [v4.1, v6.1].concat(), dns });
        for version in Version::ALL {
            prop_assert_eq!(&through(&through(&result, version), Version::V0_2_0), &result);
        }
    }

    #[test]
    fn converting_a_value_is_converting_its_result(result in any_result(), from in 2..7usize, to in 0..7usize) {
        let (from, to) = (Version::ALL[from], Version::ALL[to]);
        let value = to_json(&result, from).unwrap();
        let expected = to_json(&through(&result, from), to);
        let converted = convert_value(&value, Version::V0_1_0, to);
        match expected {
            Err(error) => prop_assert_eq!(converted.unwrap_err(), error),
            Ok(expected) => prop_assert_eq!(converted.unwrap(), expected),
        }
    }
}
