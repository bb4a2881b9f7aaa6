//! The routes out of a device.
//!
//! Asked for one link, the kernel finds the routes of several paths and of nexthop objects too, by any path. Left out is
//! what comes by itself: the kernel's own routes, those of router advertisements and redirects, the table `local`, and
//! what the kernel has observed of each (dead, offloaded). A route may say that it is the kernel's and not be: daemons give
//! an address without the route to its subnet (`IFA_F_NOPREFIXROUTE`), and that route with a metric of their own.

use kernel::netlink::address::{Address, flags};
use kernel::netlink::link::{self, Link};
use kernel::netlink::nexthop::{self, Nexthop};
use kernel::netlink::route::{self as raw, CLONED, Filter, ONLINK, kind, protocol, table};
use kernel::{Result, Socket};

use super::lost;
use crate::route::{Path, Route};

/// `IP6_RT_PRIO_ADDRCONF`: the metric of the kernel's route to the subnet of an IPv6 address that names none.
const ADDRCONF: u32 = 256;

/// Reads the routes of `link`, of which `nexthops` are known already and `addresses` are captured; those that name one of the
/// addresses `left_out` lose it, which is said in `complaints`.
pub(super) fn read(
    socket: &mut Socket,
    link: &Link,
    mut nexthops: Vec<Nexthop>,
    (addresses, left_out): (&[Address], &[Address]),
    complaints: &mut Vec<String>,
) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for ipv6 in [false, true] {
        for mut found in raw::list(socket, ipv6, Filter { index: Some(link.index), table: None })? {
            resolve(socket, &mut found, &mut nexthops)?;
            if !uses(&found, link.index) || !is_wanted(&found) {
                continue;
            }
            let mut route = from_kernel(socket, found, link.index)?;
            if route.is_to_subnet() && !is_given(&route, addresses, left_out) {
                continue;
            }
            if let Some(src) = route.leave_source(left_out) {
                complaints.push(lost::source(&route, &link.name, src));
            }
            if route.kind == kind::LOCAL {
                complaints.push(lost::route(&route, &link.name));
            } else {
                routes.push(route);
            }
        }
    }
    // In an order in which they can be added: gateways last. The rest of the key makes the order a fact of the routes.
    routes.sort_by_key(|route| (route.needs_gateway(), route.dst.addr().is_ipv6(), route.table, route.dst));
    Ok(routes)
}

/// The routes of `table` that drop packets.
pub(super) fn discarding(socket: &mut Socket, ipv6: bool, table: u32) -> Result<Vec<Route>> {
    let mut routes = Vec::new();
    for found in raw::list(socket, ipv6, Filter { table: Some(table), index: None })? {
        let is_noise = matches!(found.protocol, protocol::KERNEL | protocol::RA) || found.table != table;
        let route = from_kernel(socket, found, 0)?;
        if !route.has_device() && !is_noise {
            routes.push(route);
        }
    }
    routes.sort_by_key(|route| route.dst);
    Ok(routes)
}

fn uses(route: &raw::Route, index: u32) -> bool {
    route.index == Some(index) || route.paths.iter().any(|path| path.index == index)
}

fn is_wanted(route: &raw::Route) -> bool {
    !matches!(route.kind, kind::BROADCAST | kind::ANYCAST | kind::MULTICAST)
        && !matches!(route.protocol, protocol::RA | protocol::REDIRECT)
        && route.table != table::LOCAL
        && route.flags & CLONED == 0
}

/// True if somebody gave what says that it is the kernel's route to a subnet: one of `addresses` is there without its own,
/// and of none other is it the one that the kernel makes.
fn is_given(route: &Route, addresses: &[Address], left_out: &[Address]) -> bool {
    let is_bare = |address: &&Address| address.flags & flags::NOPREFIXROUTE != 0;
    let usual = if route.dst.addr().is_ipv6() { Some(ADDRCONF) } else { None };
    let is_made = |address: &Address| route.leads_to(address) && route.metric == address.metric.or(usual);
    let mut makers = left_out.iter().chain(addresses.iter().filter(|address| !is_bare(address)));
    !makers.any(is_made) && addresses.iter().filter(is_bare).any(|address| route.leads_to(address))
}

/// Puts what the nexthop object of a route says in its place. Where it is gone by now, what the kernel says for those
/// who do not know nexthop objects (`net.ipv4.nexthop_compat_mode`) stays.
fn resolve(socket: &mut Socket, route: &mut raw::Route, known: &mut Vec<Nexthop>) -> Result<()> {
    let Some(id) = route.nexthop.take() else { return Ok(()) };
    let Some(nexthop) = by_id(socket, known, id)? else { return Ok(()) };
    if nexthop.group.is_empty() {
        (route.gateway, route.index) = (nexthop.gateway, nexthop.index);
        (route.flags, route.encap) = (nexthop.flags, nexthop.encap);
        return Ok(());
    }
    route.paths.clear();
    for member in nexthop.group {
        let Some(Nexthop { gateway, index: Some(index), flags, encap, .. }) = by_id(socket, known, member.id)? else {
            continue;
        };
        route.paths.push(raw::NextHop { index, gateway, weight: member.weight, flags, encap });
    }
    (route.gateway, route.index) = (None, None);
    Ok(())
}

/// The nexthop object of identifier `id`, asked for once.
fn by_id(socket: &mut Socket, known: &mut Vec<Nexthop>, id: u32) -> Result<Option<Nexthop>> {
    if let Some(nexthop) = known.iter().find(|nexthop| nexthop.id == id) {
        return Ok(Some(nexthop.clone()));
    }
    let found = nexthop::get(socket, id)?;
    known.extend(found.clone());
    Ok(found)
}

fn from_kernel(socket: &mut Socket, route: raw::Route, index: u32) -> Result<Route> {
    let mut paths = Vec::with_capacity(route.paths.len());
    for raw::NextHop { index: at, gateway, weight, flags, encap } in route.paths {
        let other = if at == index { None } else { link::get_by_index(socket, at)? };
        // A link that has gone meanwhile takes its paths along.
        if at == index || other.is_some() {
            let device = other.map(|link| link.name);
            paths.push(Path { device, gateway, weight, onlink: flags & ONLINK != 0, encap });
        }
    }
    Ok(Route {
        dst: route.dst,
        from: route.from,
        kind: route.kind,
        table: route.table,
        protocol: route.protocol,
        scope: route.scope,
        tos: route.tos,
        metric: route.metric,
        gateway: route.gateway,
        onlink: route.flags & ONLINK != 0,
        src: route.src,
        metrics: route.metrics,
        preference: route.preference,
        expires: route.expires,
        encap: route.encap,
        paths,
    })
}
