//! What the kernel says about links and their settings, addresses, routes, rules, neighbours, VLANs, nexthop objects and
//! queueing disciplines: whatever it is, it is read or refused, printed, and can be sent back.
#![no_main]

use kernel::netlink::{address, devconf, link, neighbour, nexthop, port_vlan, qdisc, route, rule};
use kernel::{Family, Socket};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((what, datagram)) = bytes.split_first() else { return };
    netferry_fuzz::answered(Family::Route, datagram, |socket| ask(*what, datagram.len(), socket));
});

fn ask(what: u8, datagram: usize, socket: &mut Socket) {
    match what % 12 {
        0 => drop(link::get(socket, "eth0")),
        1 => drop(link::list(socket, Some(2))),
        2 => each(address::list(socket, None), |it| drop(address::add(socket, it, "eth0"))),
        3 => each(route::list(socket, false, route::Filter::default()), |it| drop(route::add(socket, it))),
        4 => each(route::list(socket, true, route::Filter::default()), |it| drop(route::remove(socket, it))),
        5 => each(rule::list(socket, false), |it| drop(rule::add(socket, it))),
        6 => each(neighbour::list(socket, None, false), |it| drop(neighbour::replace(socket, it, "eth0"))),
        7 => {
            let vlans = port_vlan::list(socket, 2).unwrap_or_default();
            assert!(vlans.len() <= 4094 * (1 + datagram / 16), "more VLANs than there are");
            each(Ok(vlans), |_| {});
        }
        8 => drop(rule::remove(socket, &rule::Rule::new(false, 1000, 100))),
        9 => {
            let found = nexthop::list(socket, 2).unwrap_or_default();
            assert!(found.iter().flat_map(|nexthop| &nexthop.group).all(|member| member.weight > 0));
        }
        10 => {
            let Ok(Some((_, conf))) = devconf::get(socket, "eth0") else { return };
            assert!(conf.ipv4().chain(conf.ipv6()).all(|(key, _)| !key.is_empty()));
        }
        _ => drop(qdisc::list(socket, 2)),
    }
}

/// Prints every object and hands over a few.
fn each<T: std::fmt::Display>(found: kernel::Result<Vec<T>>, mut then: impl FnMut(&T)) {
    let found = found.unwrap_or_default();
    assert!(found.iter().all(|object| !object.to_string().is_empty()));
    found.iter().take(4).for_each(&mut then);
}
