//! Addresses and routes of a container's interface, for every plugin that gives it some.

use std::net::{IpAddr, Ipv4Addr};

use cni::{AddResult, IpConfig, Route};
use ipnet::IpNet;
use kernel::mac::Mac;
use kernel::netlink::address::{self, Address};
use kernel::netlink::route;
use kernel::sysctl;
use plan::op::{self, Change, Sysctl};
use plan::{Plan, Side};

/// How duplicate addresses are looked for in the container (IPv6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// Not at all: the address management has seen to it, and the address is usable at once.
    Off,
    /// By the kernel, with the nonce option that tells a node its own messages (RFC 7527).
    Enhanced,
}

/// The sysctls that IPv6 addresses need on `device`, before they are added.
pub fn ipv6_sysctls(plan: &mut Plan, device: &str, given: &AddResult, detection: Detection) {
    if !given.ips.iter().any(|ip| ip.address.addr().is_ipv6()) {
        return;
    }
    let key = |key: &str| sysctl::interface("ipv6", device, key);
    let mut settings = vec![
        // A container may be started with IPv6 off; an address that was asked for turns it on.
        (sysctl::interface("ipv6", "lo", "disable_ipv6"), "0".to_owned()),
        (key("disable_ipv6"), "0".to_owned()),
        (key("keep_addr_on_down"), "1".to_owned()),
    ];
    match detection {
        // For the link-local address, which the kernel makes itself: a gateway may be reached from it at once.
        Detection::Off => settings.push((key("accept_dad"), "0".to_owned())),
        Detection::Enhanced => {
            settings.push((key("enhanced_dad"), "1".to_owned()));
            settings.push((key("accept_dad"), "1".to_owned()));
        }
    }
    plan.own(Side::Container, Sysctl { device: Some(device.to_owned()), settings, optional: false });
}

/// A router's advertisement in a container network is nothing that the node should configure itself by.
pub fn ignore_advertisements(device: &str) -> Sysctl {
    on_host(device, "accept_ra")
}

/// The node's link-local address is usable at once: until it is, the node asks nobody on this link for a packet that it
/// forwards (`ndisc_send_ns`), and containers cannot be reached through it for a second or two.
pub fn skip_detection(device: &str) -> Sysctl {
    on_host(device, "accept_dad")
}

/// Switches a key of IPv6 off on a link of the node. Optional: a kernel without IPv6 has no such key.
fn on_host(device: &str, key: &str) -> Sysctl {
    let settings = vec![(sysctl::interface("ipv6", device, key), "0".to_owned())];
    Sysctl { device: Some(device.to_owned()), settings, optional: true }
}

/// The address of a container, with the broadcast address that the reference plugins give it.
pub fn container_address(ip: &IpConfig, detection: Detection) -> Address {
    let mut address = Address::new(0, ip.address);
    address.broadcast = broadcast(ip.address);
    if ip.address.addr().is_ipv6() && detection == Detection::Off {
        address.flags |= address::flags::NODAD;
    }
    address
}

fn broadcast(address: IpNet) -> Option<Ipv4Addr> {
    match address {
        IpNet::V4(net) if net.prefix_len() < 31 => Some(net.broadcast()),
        _ => None,
    }
}

/// Brings the interface up, under the hardware address that it is to have from then on. Addresses come first, routes
/// afterwards.
pub fn bring_up(plan: &mut Plan, device: &str, mac: Option<Mac>) {
    plan.own(Side::Container, Change { up: Some(true), mac, ..Change::of(device) });
}

/// The routes of `given`. One without a gateway goes to the first gateway of its family, or to the link if there is none.
pub fn routes(plan: &mut Plan, device: &str, given: &AddResult) {
    for wanted in &given.routes {
        plan.own(
            Side::Container,
            op::Route::new(device, kernel_route(wanted, first_gateway(given, wanted.dst.addr()))),
        );
    }
}

/// The first gateway of the family of `like`.
pub fn first_gateway(given: &AddResult, like: IpAddr) -> Option<IpAddr> {
    given.ips.iter().filter_map(|ip| ip.gateway).find(|gateway| gateway.is_ipv4() == like.is_ipv4())
}

fn kernel_route(wanted: &Route, gateway: Option<IpAddr>) -> route::Route {
    let mut route = route::Route::new(wanted.dst.trunc());
    route.gateway = wanted.gw.or(gateway);
    route.metric = Some(wanted.priority).filter(|priority| *priority != 0);
    route.table = wanted.table.unwrap_or(route::table::MAIN);
    route.scope = wanted.scope.unwrap_or(address::scope::UNIVERSE);
    if route.scope != address::scope::UNIVERSE && wanted.gw.is_none() {
        // Closer than everywhere means on the link itself.
        route.gateway = None;
    } else if route.gateway.is_none() && wanted.dst.addr().is_ipv4() {
        route.scope = address::scope::LINK;
    }
    if wanted.mtu != 0 {
        route.set_mtu(wanted.mtu);
    }
    if wanted.advmss != 0 {
        route.set_advmss(wanted.advmss);
    }
    route
}

/// Turns on forwarding for the families of `given`.
pub fn forwarding(plan: &mut Plan, given: &AddResult) {
    for ipv6 in [false, true] {
        if given.ips.iter().any(|ip| ip.address.addr().is_ipv6() == ipv6) {
            plan.share(Side::Host, op::Forwarding { ipv6 });
        }
    }
}

/// Tells the neighbours where `addresses` are now.
pub fn announce(plan: &mut Plan, device: &str, addresses: &[IpConfig]) {
    let addresses: Vec<_> = addresses.iter().map(|ip| ip.address.addr()).collect();
    if !addresses.is_empty() {
        plan.own(Side::Container, op::Announce { device: device.to_owned(), addresses });
    }
}
