//! Two sources of addresses and routes for one device: what it had on the host, and what the address management gives.
//!
//! Equal is merged in silence. A contradiction is one address with two prefix lengths, or two ways to one destination
//! with the same metric in the same table: an error unless the configuration says who is right.

use cni::{AddResult, Error, IpConfig, Route};
use ferry::Device;
use ferry::route::Route as Carried;
use kernel::netlink::address::{Address, scope};
use kernel::netlink::route::{kind, table};

use super::config::ConflictPolicy;
use crate::layer3::{self, Detection};

/// The metric of an IPv6 route that is given none (`IP6_RT_PRIO_USER`).
const USUAL6: u32 = 1024;
/// `RTAX_MTU` and `RTAX_ADVMSS` of `linux/rtnetlink.h`.
const MTU: u16 = 2;
const ADVMSS: u16 = 8;

/// Takes out of `along` and `given` what is to give way, and out of `given` what the device has.
///
/// # Errors
/// They contradict each other, and `policy` does not say who is right; the text names both.
pub fn merge(along: &mut Device, given: &mut AddResult, policy: ConflictPolicy) -> Result<(), Error> {
    let mut contradictions = Vec::new();
    for ip in &given.ips {
        let same = |local: ipnet::IpNet| local.addr() == ip.address.addr() && local != ip.address;
        for own in along.addresses.iter().filter(|own| same(own.local)) {
            contradictions
                .push(format!("address {} of the device and {} of the address management", own.local, ip.address));
        }
    }
    for route in &given.routes {
        for own in along.routes.iter().filter(|own| is_other_way(own, route, given)) {
            let gateway = gateway(route, given).map_or("the link".to_owned(), |gateway| gateway.to_string());
            let own = own.words(&along.identity.name);
            contradictions
                .push(format!("route {own} of the device and {} by {gateway} of the address management", route.dst));
        }
    }
    match policy {
        ConflictPolicy::Refuse if !contradictions.is_empty() => {
            return Err(Error::internal(format!(
                "contradiction: {}; say \"conflictPolicy\": \"host\", \"ipam\" or \"both\"",
                contradictions.join("; ")
            )));
        }
        ConflictPolicy::Host => {
            let contradicts = |ip: &IpConfig| along.addresses.iter().any(|own| own.local.addr() == ip.address.addr());
            given.ips.retain(|ip| !contradicts(ip));
            let all = given.clone();
            given.routes.retain(|route| !along.routes.iter().any(|own| is_other_way(own, route, &all)));
        }
        ConflictPolicy::Ipam => {
            // In place: routes of the device may need what the address makes reachable.
            for ip in &given.ips {
                let is_it = |own: &&mut Address| own.local.addr() == ip.address.addr() && own.local != ip.address;
                for own in along.addresses.iter_mut().filter(is_it) {
                    *own = layer3::container_address(ip, Detection::Off);
                }
            }
            along.routes.retain(|own| !given.routes.iter().any(|route| is_other_way(own, route, given)));
        }
        ConflictPolicy::Refuse | ConflictPolicy::Both => {}
    }
    let all = given.clone();
    given.ips.retain(|ip| along.addresses.iter().all(|own| own.local != ip.address));
    if given.ips.len() < all.ips.len() {
        // What has gone may have had the gateway.
        given.routes.iter_mut().for_each(|route| route.gw = gateway(route, &all));
    }
    given.routes.retain(|route| !along.routes.iter().any(|own| is_same_way(own, route, &all)));
    Ok(())
}

/// The carried addresses and routes as a result has them. What it has no words for is left out: routes that drop packets.
pub fn result(there: &Device, with_tables: bool) -> AddResult {
    let ips =
        there.addresses.iter().map(|own| IpConfig { interface: None, address: own.local, gateway: None }).collect();
    let is_said = |own: &&Carried| own.kind == kind::UNICAST && (with_tables || own.table == table::MAIN);
    let routes = there.routes.iter().filter(is_said).flat_map(said).collect();
    AddResult { ips, routes, ..AddResult::default() }
}

/// A route as a result has it: one for each of its paths out of the device.
fn said(own: &Carried) -> Vec<Route> {
    let number = |kind: u16| {
        let value = own.metrics.iter().find(|(found, _)| *found == kind).and_then(|(_, value)| value.first_chunk());
        value.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    };
    let by = |gateway| Route {
        mtu: number(MTU),
        advmss: number(ADVMSS),
        priority: own.metric.unwrap_or(0),
        table: Some(own.table).filter(|table| *table != table::MAIN),
        scope: Some(own.scope).filter(|scope| *scope != 0),
        ..Route::new(own.dst, gateway)
    };
    match own.paths.as_slice() {
        [] => vec![by(own.gateway)],
        paths => paths.iter().filter(|path| path.device.is_none()).map(|path| by(path.gateway)).collect(),
    }
}

/// The same destination, metric and table.
fn is_same_place(own: &Carried, route: &Route) -> bool {
    let usual = if route.dst.addr().is_ipv6() { USUAL6 } else { 0 };
    let metric = if route.priority == 0 { usual } else { route.priority };
    own.dst == route.dst.trunc()
        && own.table == route.table.unwrap_or(table::MAIN)
        && own.metric.unwrap_or(usual) == metric
        && own.tos == 0
}

fn gateway(route: &Route, given: &AddResult) -> Option<std::net::IpAddr> {
    let is_beyond = route.scope.unwrap_or(scope::UNIVERSE) == scope::UNIVERSE;
    route.gw.or_else(|| layer3::first_gateway(given, route.dst.addr()).filter(|_| is_beyond))
}

fn is_same_way(own: &Carried, route: &Route, given: &AddResult) -> bool {
    let is_plain = own.kind == kind::UNICAST && own.paths.is_empty();
    is_same_place(own, route) && is_plain && own.gateway == gateway(route, given)
}

fn is_other_way(own: &Carried, route: &Route, given: &AddResult) -> bool {
    is_same_place(own, route) && !is_same_way(own, route, given)
}
