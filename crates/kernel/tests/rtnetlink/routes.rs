//! Routes with every attribute: added, read back equal, removed, gone.

use std::slice::from_ref;

use kernel::Socket;
use kernel::netlink::address::scope;
use kernel::netlink::route::{self, Filter, NextHop, ONLINK, Route, kind};

use super::{in_netns, ip, ip_json, pair};

const TABLE: u32 = 4000;

/// A pair whose host end is 10.0.0.1/24 and fd00::1/64; returns both indices.
fn addressed(socket: &mut Socket) -> (u32, u32) {
    let pair = pair(socket);
    ip("address add 10.0.0.1/24 dev host0");
    ip("address add fd00::1/64 dev host0 nodad");
    ip("address add 10.0.1.1/24 dev cont0");
    ip("address add fd01::1/64 dev cont0 nodad");
    pair
}

fn in_table(socket: &mut Socket, ipv6: bool) -> Vec<Route> {
    route::list(socket, ipv6, Filter { table: Some(TABLE), index: None }).unwrap()
}

fn round_trip(socket: &mut Socket, given: &Route) {
    let ipv6 = given.dst.addr().is_ipv6();
    route::add(socket, given).unwrap();
    assert_eq!(in_table(socket, ipv6), from_ref(given), "{given}");
    let family = if ipv6 { "-6" } else { "-4" };
    let shown = &ip_json(&format!("{family} route show table {TABLE}"))[0];
    let dst = if given.dst.prefix_len() == 0 { "default".to_owned() } else { given.dst.trunc().to_string() };
    assert!(dst.starts_with(shown["dst"].as_str().unwrap()), "{shown}");
    let error = route::add(socket, given).unwrap_err();
    assert!(error.is_present(), "{error}");
    route::remove(socket, given).unwrap();
    assert_eq!(in_table(socket, ipv6), []);
    let error = route::remove(socket, given).unwrap_err();
    assert!(error.is_absent(), "{error}");
}

fn with(plain: &Route, change: impl FnOnce(&mut Route)) -> Route {
    let mut route = plain.clone();
    change(&mut route);
    route
}

#[test]
fn ipv4_with_every_attribute() {
    in_netns(|socket| {
        let (host, container) = addressed(socket);
        ip("nexthop add id 77 via 10.0.0.254 dev host0");
        let gateway = "10.0.0.254".parse().ok();
        let plain = Route { table: TABLE, index: Some(host), gateway, ..Route::new("192.0.2.0/24".parse().unwrap()) };
        let path = |index, gateway: &str, weight| NextHop {
            index,
            gateway: gateway.parse().ok(),
            weight,
            flags: 0,
            encap: None,
        };
        let nowhere = Route { index: None, gateway: None, ..plain.clone() };
        for given in [
            plain.clone(),
            Route { dst: "0.0.0.0/0".parse().unwrap(), ..plain.clone() },
            Route { metric: Some(500), ..plain.clone() },
            Route { gateway: "203.0.113.1".parse().ok(), flags: ONLINK, ..plain.clone() },
            Route { gateway: "fd00::fe".parse().ok(), ..plain.clone() },
            Route { gateway: None, scope: scope::LINK, ..plain.clone() },
            Route { src: "10.0.0.1".parse().ok(), ..plain.clone() },
            Route { protocol: 0x42, ..plain.clone() },
            Route { tos: 0x10, ..plain.clone() },
            with(&plain, |route| route.set_mtu(1400)),
            with(&plain, |route| {
                route.set_mtu(1400);
                route.set_advmss(1360);
            }),
            Route { kind: kind::BLACKHOLE, ..nowhere.clone() },
            Route { kind: kind::UNREACHABLE, metric: Some(9), ..nowhere.clone() },
            Route { kind: kind::PROHIBIT, ..nowhere.clone() },
            Route { kind: kind::THROW, ..nowhere.clone() },
            Route { paths: vec![path(host, "10.0.0.254", 1), path(container, "10.0.1.254", 5)], ..nowhere.clone() },
            Route { paths: vec![path(host, "fd00::fe", 2), path(container, "10.0.1.254", 1)], ..nowhere.clone() },
        ] {
            round_trip(socket, &given);
        }
        // The kernel says what the nexthop object stands for, too.
        route::add(socket, &Route { nexthop: Some(77), ..nowhere.clone() }).unwrap();
        assert_eq!(in_table(socket, false), [Route { nexthop: Some(77), ..plain }]);
        route::remove(socket, &Route { nexthop: Some(77), ..nowhere }).unwrap();
        assert_eq!(in_table(socket, false), []);
    });
}

#[test]
fn ipv6_with_every_attribute() {
    in_netns(|socket| {
        let (host, container) = addressed(socket);
        let gateway = "fd00::fe".parse().ok();
        // The kernel gives every IPv6 route a metric; 1024 if none is said.
        let plain = Route {
            table: TABLE,
            index: Some(host),
            gateway,
            metric: Some(1024),
            ..Route::new("2001:db8::/32".parse().unwrap())
        };
        let path = |index, gateway: &str, weight| NextHop {
            index,
            gateway: gateway.parse().ok(),
            weight,
            flags: 0,
            encap: None,
        };
        for given in [
            plain.clone(),
            Route { dst: "::/0".parse().unwrap(), ..plain.clone() },
            Route { metric: Some(500), ..plain.clone() },
            Route { gateway: "2001:db8:1::1".parse().ok(), flags: ONLINK, ..plain.clone() },
            Route { gateway: None, ..plain.clone() },
            Route { src: "fd00::1".parse().ok(), ..plain.clone() },
            Route { protocol: 0x42, ..plain.clone() },
            Route { preference: 1, ..plain.clone() },
            Route { preference: 3, ..plain.clone() },
            Route { from: "2001:db8:2::/48".parse().ok(), ..plain.clone() },
            with(&plain, |route| route.set_mtu(1400)),
            Route {
                index: None,
                gateway: None,
                paths: vec![path(host, "fd00::fe", 1), path(container, "fd01::fe", 5)],
                ..plain.clone()
            },
        ] {
            round_trip(socket, &given);
        }
        // An IPv6 route that leads nowhere leads to the loopback device.
        let nowhere = Route { kind: kind::BLACKHOLE, index: None, gateway: None, ..plain };
        route::add(socket, &nowhere).unwrap();
        assert_eq!(in_table(socket, true), [Route { index: Some(1), ..nowhere.clone() }]);
        route::remove(socket, &nowhere).unwrap();
        assert_eq!(in_table(socket, true), []);
    });
}

#[test]
fn one_that_expires() {
    in_netns(|socket| {
        let (host, _) = addressed(socket);
        let dst = "2001:db8::/32".parse().unwrap();
        let given = Route { table: TABLE, index: Some(host), expires: Some(600), ..Route::new(dst) };
        route::add(socket, &given).unwrap();
        let there = in_table(socket, true);
        assert!(matches!(there[..], [Route { expires: Some(580..=600), .. }]), "{there:?}");
    });
}

#[test]
fn several_to_one_destination() {
    in_netns(|socket| {
        let (host, _) = addressed(socket);
        let first = Route {
            table: TABLE,
            index: Some(host),
            gateway: "10.0.0.254".parse().ok(),
            ..Route::new("192.0.2.0/24".parse().unwrap())
        };
        let second = Route { gateway: "10.0.0.253".parse().ok(), ..first.clone() };
        route::add(socket, &first).unwrap();
        route::add_beside(socket, &second).unwrap();
        assert_eq!(in_table(socket, false), [second.clone(), first.clone()]);
        let error = route::add_beside(socket, &second).unwrap_err();
        assert!(error.is_present(), "{error}");
        route::remove(socket, &first).unwrap();
        assert_eq!(in_table(socket, false), [second]);
    });
}

#[test]
fn only_those_that_are_asked_for() {
    in_netns(|socket| {
        let (host, container) = addressed(socket);
        for ipv6 in [false, true] {
            assert_eq!(in_table(socket, ipv6), []);
            let found = route::list(socket, ipv6, Filter { index: Some(host), table: None }).unwrap();
            assert!(!found.is_empty() && found.iter().all(|route| route.index == Some(host)), "{found:?}");
            let found = route::list(socket, ipv6, Filter::default()).unwrap();
            assert!(found.iter().any(|route| route.index == Some(container)));
            assert_eq!(route::list(socket, ipv6, Filter { index: Some(9999), table: None }).unwrap(), []);
        }
    });
}

#[test]
fn a_refusal_carries_the_kernels_words() {
    in_netns(|socket| {
        let (host, _) = addressed(socket);
        let gateway = "203.0.113.1".parse().ok();
        let given = Route { index: Some(host), gateway, ..Route::new("192.0.2.0/24".parse().unwrap()) };
        let error = route::add(socket, &given).unwrap_err();
        assert_eq!((error.errno, error.extack.as_deref()), (libc::ENETUNREACH, Some("Nexthop has invalid gateway")));
        assert_eq!(error.what, "add route 192.0.2.0/24 via 203.0.113.1");
    });
}
