//! The rules that belong to a device, and the routes that belong to those rules.
//!
//! A rule belongs to the device if it names it, or if it leads packets from one of its addresses to a table with one of
//! its routes. A route that drops packets has no device; it belongs to this one if nothing but rules of this one lead to
//! its table, so that it is there for nobody else.

use ipnet::IpNet;
use kernel::netlink::route::table;
use kernel::netlink::rule::{self, Rule, action};
use kernel::{Result, Socket};

use super::routes;
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
        let leads = |rule: &&Rule| !is_everybodys(rule.table) && leads_to_route(rule, device);
        let complaint = |rule: &Rule| format!("rule {rule}: it leads to a route, and names neither device nor address");
        let complaints: Vec<String> = others.iter().filter(leads).map(complaint).collect();
        device.lost.extend(complaints);
        device.rules.extend(ours);
    }
    Ok(())
}

fn belongs(rule: &Rule, device: &Device) -> bool {
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
    let is_there = |route: &Route| looks_in(rule, route.table) && route.dst.addr().is_ipv6() == rule.ipv6;
    device.routes.iter().any(is_there)
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
