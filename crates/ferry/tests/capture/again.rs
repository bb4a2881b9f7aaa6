//! Whatever is captured, put back by the kernel's own interface in another namespace, is captured equal.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ferry::route::Route;
use ferry::{Device, Policy};
use ipnet::IpNet;
use kernel::Socket;
use kernel::netlink::address::{self, Address, flags, scope};
use kernel::netlink::route::{self as raw, protocol, table};
use kernel::netlink::{link, neighbour};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{PAIRS, captured, in_netns};

/// On-link everywhere, so that any gateway will do.
fn route() -> impl Strategy<Value = Route> {
    let numbers = (any::<bool>(), 1_u8..6, 0_u8..4, 1_u32..5);
    let rest = (prop::sample::select(vec![table::MAIN, 100, 70_000]), 0_u16..3, any::<bool>(), 0_usize..3);
    (numbers, rest).prop_map(|((ipv6, net, gateway, metric), (table, mtu, is_static, paths))| {
        let gateway = (gateway > 0).then(|| ip(ipv6, [192, gateway]));
        let path = |at: usize| ferry::route::Path {
            device: (at == 1).then(|| "d1".to_owned()),
            gateway: Some(ip(ipv6, [192, 100 + at as u8])),
            weight: 1 + at as u16,
            onlink: true,
            encap: None,
        };
        let paths: Vec<_> = if paths > 1 { (0..paths).map(path).collect() } else { Vec::new() };
        let gateway = gateway.filter(|_| paths.is_empty());
        let is_link = gateway.is_none() && paths.is_empty() && !ipv6;
        Route {
            dst: IpNet::new(ip(ipv6, [20, net]), if ipv6 { 32 } else { 16 }).unwrap().trunc(),
            from: None,
            kind: raw::kind::UNICAST,
            table,
            protocol: if is_static { protocol::STATIC } else { protocol::BOOT },
            scope: if is_link { scope::LINK } else { scope::UNIVERSE },
            tos: 0,
            metric: Some(metric),
            onlink: gateway.is_some(),
            gateway,
            src: None,
            metrics: if mtu > 0 { vec![(2, u32::from(1300 + mtu).to_ne_bytes().to_vec())] } else { Vec::new() },
            preference: 0,
            expires: None,
            encap: None,
            paths,
        }
    })
}

fn ip(ipv6: bool, [first, last]: [u8; 2]) -> IpAddr {
    let groups = [0x2001, u16::from(first) << 8 | u16::from(last), 0, 0, 0, 0, 0, u16::from(last)];
    if ipv6 { Ipv6Addr::from(groups).into() } else { Ipv4Addr::new(first, last, 0, last).into() }
}

fn address() -> impl Strategy<Value = Address> {
    let numbers = (any::<bool>(), 1_u8..9, 0_u8..3, 0_u32..3);
    (numbers, any::<[bool; 4]>()).prop_map(|((ipv6, host, peer, metric), [no_route, broadcast, label, deprecated])| {
        let local = ip(ipv6, [10, host]);
        let length = if ipv6 { 64 } else { 24 };
        let is_peer = peer == 2;
        Address {
            peer: is_peer.then(|| ip(ipv6, [11, host])),
            broadcast: (broadcast && !ipv6 && !is_peer).then(|| Ipv4Addr::new(10, host, 0, 99)),
            label: (label && !ipv6).then(|| format!("d0:{host}")),
            flags: if ipv6 { flags::NODAD } else { 0 } | if no_route { flags::NOPREFIXROUTE } else { 0 },
            lifetime: deprecated.then_some(address::Lifetime { valid: u32::MAX, preferred: 0 }),
            metric: Some(metric).filter(|metric| *metric > 0),
            ..Address::new(0, IpNet::new(local, length).unwrap())
        }
    })
}

/// Puts addresses, routes, rules and neighbours of `device` on `d0`; one that is there already is passed over.
fn put(socket: &mut Socket, device: &Device) {
    let mut index = |name: &str| link::get(socket, name).unwrap().unwrap().index;
    let (index, other) = (index("d0"), index("d1"));
    let added = |outcome: kernel::Result<()>| match outcome {
        Err(error) if error.is_present() => {}
        outcome => outcome.unwrap(),
    };
    for address in &device.addresses {
        added(address::add(socket, &Address { index, ..address.clone() }, "d0"));
    }
    for route in &device.routes {
        added(raw::add(socket, &route.on(index, |_| Some(other)).unwrap()));
    }
    for neighbour in &device.neighbours {
        added(neighbour::add(socket, &neighbour::Neighbour { index, ..neighbour.clone() }, "d0"));
    }
}

fn round(device: Device) -> Device {
    let mut captured = in_netns(PAIRS, move |socket| {
        put(socket, &device);
        captured(socket, &Policy::default())
    });
    captured.identity.index = 0;
    captured
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_captured_device_makes_an_equal_one(addresses in vec(address(), 0..8), routes in vec(route(), 0..10)) {
        let mut device = in_netns(PAIRS, |socket| captured(socket, &Policy::default()));
        (device.addresses, device.routes) = (addresses.clone(), routes.clone());
        let first = round(device);
        prop_assert!(first.addresses.iter().all(|address| addresses.contains(address)), "{first}");
        let hosts = |all: &[Address]| all.iter().map(|address| address.local.addr()).collect::<BTreeSet<_>>();
        prop_assert_eq!(hosts(&first.addresses), hosts(&addresses));
        // Of several routes that are the same to the kernel, the first is there.
        let key = |route: &Route| (route.dst, route.table, route.metric);
        let is_first = |(at, route): &(usize, &Route)| routes[..*at].iter().all(|other| key(other) != key(route));
        let there: Vec<&Route> = routes.iter().enumerate().filter(is_first).map(|(_, route)| route).collect();
        prop_assert_eq!(first.routes.len(), there.len(), "{}", first);
        prop_assert!(there.iter().all(|route| first.routes.contains(route)), "{:?}\n{}", there, first);
        prop_assert_eq!(round(first.clone()), first);
    }
}
