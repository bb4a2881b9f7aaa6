//! What a move loses and a description does not hold, in words. They begin with the kind of object.

use std::net::IpAddr;

use kernel::netlink::address::Address;
use kernel::netlink::link::Link;
use kernel::netlink::nexthop::Nexthop;
use kernel::netlink::qdisc;
use kernel::netlink::rule::Rule;
use kernel::{Result, Socket};

use crate::route::Route;

/// Looks for everything but what the capture itself comes upon; `links` are all there are.
pub(super) fn find(socket: &mut Socket, link: &Link, links: &[Link], nexthops: &[Nexthop]) -> Result<Vec<String>> {
    let mut lost = Vec::new();
    let master = links.iter().find(|other| Some(other.index) == link.master);
    lost.extend(master.map(|master| format!("settings as a port of {}", master.name)));
    let qdiscs = qdisc::list(socket, link.index)?;
    lost.extend(qdiscs.iter().map(|kind| format!("queueing discipline {kind}, with its filters")));
    lost.extend(link.xdp.map(|program| format!("XDP program {program}")));
    lost.extend(nexthops.iter().filter(|nexthop| nexthop.index == Some(link.index)).map(object));
    let name = |link: &Link| match link.kind.name() {
        "" => link.name.clone(),
        kind => format!("{} ({kind})", link.name),
    };
    for other in links {
        if other.master == Some(link.index) {
            lost.push(format!("port {}", name(other)));
        } else if other.is_child_of(link.index) {
            lost.push(format!("child {}, which stays behind", name(other)));
        }
    }
    Ok(lost)
}

/// An address that is in use elsewhere.
pub(super) fn duplicate(address: &Address) -> String {
    format!("address {}: somebody else on the link has it", address.local)
}

/// A route that stays.
pub(super) fn route(route: &Route, name: &str) -> String {
    format!("route {}", route.words(name))
}

/// The preferred source of a route that goes without it.
pub(crate) fn source(route: &Route, name: &str, src: IpAddr) -> String {
    format!("route {}: its source address {src}", route.words(name))
}

/// A rule that stays, though what it leads to goes.
pub(crate) fn rule(rule: &Rule) -> String {
    format!("rule {rule}: it leads to a route, and names neither device nor address")
}

/// True for words about what there is only with addresses.
pub(crate) fn is_of_layer3(words: &str) -> bool {
    ["address ", "route ", "rule "].iter().any(|object| words.starts_with(object))
}

fn object(nexthop: &Nexthop) -> String {
    format!("nexthop object {}: routes hold what it says", nexthop.id)
}
