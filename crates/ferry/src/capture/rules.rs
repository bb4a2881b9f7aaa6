//! The rules that belong to a device, and the routes that belong to those rules.
//!
//! A rule belongs to the device if it names it, or if it leads packets from one of its addresses to a table with one of
//! its routes. A route that drops packets has no device; it belongs to this one if nothing but rules of this one lead to
//! its table, so that it is there for nobody else.

use ipnet::IpNet;
use kernel::netlink::route::table;
use kernel::netlink::rule::{self, Rule, action};
use kernel::{Result, Socket};

use super::{lost, routes};
use crate::Device;
use crate::route::Route;

/// `RT_TABLE_DEFAULT`: with `main` and `local`, a table that every packet may come to.
const DEFAULT: u32 = 253;

/// Reads the rules of `device` and the routes that come with them.
pub(super) fn read(socket: &mut Socket, device: &mut Device) -> Result<()> {
    for ipv6 in [false, true] {
        let (ours, others): (Vec<_>, Vec<_>) =
            rule::list(socket, ipv6)?.into_iter().partition(|rule| belongs(rule, device));
        for own_table in tables(&ours) {
            if !is_everybodys(own_table) && !others.iter().any(|rule| looks_in(rule, own_table)) {
                device.routes.extend(routes::discarding(socket, ipv6, own_table)?);
            }
        }
        let complaints = complaints(&others, device);
        device.lost.extend(complaints);
        device.rules.extend(ours);
    }
    Ok(())
}

/// What is lost with the rules that are not the device's.
pub(crate) fn complaints(others: &[Rule], device: &Device) -> Vec<String> {
    let leads = |rule: &&Rule| !is_everybodys(rule.table) && leads_to_route(rule, device);
    others.iter().filter(leads).map(lost::rule).collect()
}

/// True if the rule belongs to `device`, with the addresses and routes that it has.
pub(crate) fn belongs(rule: &Rule, device: &Device) -> bool {
    let identity = &device.identity;
    let is_name = |name: &String| *name == identity.name || identity.altnames.contains(name);
    if rule.iif.as_ref().is_some_and(is_name) || rule.oif.as_ref().is_some_and(is_name) {
        return true;
    }
    let is_own = |from: IpNet| device.addresses.iter().any(|address| from.contains(&address.local.addr()));
    rule.table != table::LOCAL
        && rule.iif.is_none()
        && rule.oif.is_none()
        && rule.from.is_some_and(is_own)
        && leads_to_route(rule, device)
}

fn leads_to_route(rule: &Rule, device: &Device) -> bool {
    device.routes.iter().any(|route| route.has_device() && leads_to(rule, route))
}

/// True if packets come to `route` by `rule`.
pub(crate) fn leads_to(rule: &Rule, route: &Route) -> bool {
    looks_in(rule, route.table) && route.dst.addr().is_ipv6() == rule.ipv6
}

fn looks_in(rule: &Rule, table: u32) -> bool {
    rule.action == action::LOOKUP && rule.table == table
}

const fn is_everybodys(number: u32) -> bool {
    matches!(number, 0 | DEFAULT | table::MAIN | table::LOCAL)
}

/// The tables that `rules` look in, each once.
fn tables(rules: &[Rule]) -> Vec<u32> {
    let mut tables: Vec<u32> =
        rules.iter().filter(|rule| rule.action == action::LOOKUP).map(|rule| rule.table).collect();
    tables.sort_unstable();
    tables.dedup();
    tables
}
