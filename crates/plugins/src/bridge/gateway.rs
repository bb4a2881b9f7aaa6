//! The bridge as the container's gateway: its addresses, the default route, forwarding.

use std::net::IpAddr;

use cni::{AddResult, Error, Route};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use kernel::netlink::address::{self, Address};
use kernel::netlink::link::{Kind, Link as Found};
use kernel::netlink::port_vlan::PortVlan;
use plan::op::{self, Link, Peer};
use plan::{Engine, Plan, Side};

use super::Facts;
use crate::attachment::Attachment;
use crate::bridge::config::Conf;
use crate::interface::{Call, from_kernel};
use crate::layer3;

/// The interface that has the gateway addresses: the bridge, or with an access VLAN a veth into that VLAN.
pub fn device(conf: &Conf) -> String {
    match conf.vlan {
        0 => conf.bridge().to_owned(),
        vlan => format!("{}.{vlan}", conf.bridge()),
    }
}

/// True if `name` is what the gateway of some VLAN of `bridge` is called.
pub fn is_device(bridge: &str, name: &str) -> bool {
    let vlan = name.strip_prefix(bridge).and_then(|rest| rest.strip_prefix('.'));
    vlan.is_some_and(|vlan| vlan.parse::<u16>().is_ok())
}

/// The bridge's port to that veth.
fn port(conf: &Conf) -> String {
    Attachment::new(conf.bridge(), &device(conf), "gateway").host_ifname()
}

/// The addresses that the gateway interface has now, where that decides anything.
pub fn observe(call: &Call<'_, Conf>, bridge: Option<&Found>, engine: &mut Engine) -> Result<Vec<Address>, Error> {
    if !call.conf.is_gateway() || bridge.is_none() {
        return Ok(Vec::new());
    }
    let index = engine.link(Side::Host, &device(&call.conf)).map_err(from_kernel)?.map(|link| link.index);
    match index {
        Some(index) => address::list(engine.socket(Side::Host).map_err(from_kernel)?, Some(index)).map_err(from_kernel),
        None => Ok(Vec::new()),
    }
}

/// True if another program made the veth that is the gateway: its port has a name of that program's, and the VLAN.
pub fn is_foreign(conf: &Conf, engine: &mut Engine) -> Result<bool, Error> {
    if conf.vlan == 0 || !conf.is_gateway() {
        return Ok(false);
    }
    let mut is_there = |name: &str| engine.link(Side::Host, name).map(|link| link.is_some()).map_err(from_kernel);
    Ok(is_there(&device(conf))? && !is_there(&port(conf))?)
}

/// Gives every address a gateway, the first of its subnet where the address management says none, and the container a
/// default route in each family if the bridge is to be that.
pub fn complete(conf: &Conf, facts: &Facts, given: &mut AddResult) -> Result<(), Error> {
    if !conf.is_gateway() {
        return Ok(());
    }
    for ip in &mut given.ips {
        ip.gateway = ip.gateway.or_else(|| first_host(ip.address));
    }
    let wanted = addresses(given);
    if let Some(new) = wanted.iter().find(|new| conflicting(&facts.addresses, new, &wanted).is_some())
        && !conf.force_address
    {
        let text = format!("\"{}\" already has an IP address different from {}", device(conf), new.local);
        return Err(Error::internal(text));
    }
    if conf.is_default_gateway {
        default_routes(given);
    }
    Ok(())
}

fn default_routes(given: &mut AddResult) {
    for default in [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())] {
        let is_set = given.routes.iter().any(|route| route.dst == default && route.gw.is_some());
        if let Some(gateway) = layer3::first_gateway(given, default.addr()).filter(|_| !is_set) {
            given.routes.retain(|route| route.dst != default);
            given.routes.push(Route::new(default, Some(gateway)));
        }
    }
}

fn first_host(net: IpNet) -> Option<IpAddr> {
    match net.network() {
        IpAddr::V4(ip) => Some(IpAddr::V4(u32::from(ip).checked_add(1)?.into())),
        IpAddr::V6(ip) => Some(IpAddr::V6(u128::from(ip).checked_add(1)?.into())),
    }
}

/// The gateway's part of the plan.
pub fn plan(call: &Call<'_, Conf>, facts: &Facts, given: &AddResult, plan: &mut Plan) {
    let conf = &call.conf;
    let device = device(conf);
    if conf.vlan != 0 && !facts.foreign_gateway {
        vlan_device(conf, facts, &device, plan);
    }
    let wanted = addresses(given);
    // On the node's second ADD they are there, and nothing has to be asked of the kernel again.
    let is_there = |address: &Address| facts.addresses.iter().any(|found| is_whole(found, address));
    for address in wanted.iter().filter(|address| !(call.is_add() && is_there(address))).cloned() {
        let replaces = conf.force_address.then(|| conflicting(&facts.addresses, &address, &wanted)).flatten().cloned();
        plan.share(Side::Host, op::Address { device: device.clone(), address, replaces, exact: false });
    }
    layer3::forwarding(plan, given);
}

/// The gateway addresses, each once, with the prefix length of the subnet.
fn addresses(given: &AddResult) -> Vec<Address> {
    let mut addresses: Vec<Address> = Vec::new();
    for ip in &given.ips {
        let Some(Ok(local)) = ip.gateway.map(|gateway| IpNet::new(gateway, ip.address.prefix_len())) else { continue };
        if addresses.iter().any(|address| address.local == local) {
            continue;
        }
        let mut address = Address::new(0, local);
        match local {
            IpNet::V4(net) if net.prefix_len() < 31 => address.broadcast = Some(net.broadcast()),
            // Nobody else answers for a gateway that was just made; looking for duplicates would only delay it.
            IpNet::V6(_) => address.flags |= address::flags::NODAD,
            IpNet::V4(_) => {}
        }
        addresses.push(address);
    }
    addresses
}

/// True if `found` is `wanted`, and nobody else's.
fn is_whole(found: &Address, wanted: &Address) -> bool {
    found.local == wanted.local && found.peer.is_none() && found.flags & address::flags::DADFAILED == 0
}

/// An address that the gateway interface cannot keep beside `wanted`: any other IPv4 address, an IPv6 address of an
/// overlapping subnet. An equal one is no conflict, nor is another gateway of the same plan.
fn conflicting<'a>(found: &'a [Address], wanted: &Address, all: &[Address]) -> Option<&'a Address> {
    found.iter().find(|found| {
        let (old, new) = (found.local, wanted.local);
        let overlap = old.contains(&new.addr()) || new.contains(&old.addr());
        let same_family = old.addr().is_ipv4() == new.addr().is_ipv4();
        same_family && (overlap || old.addr().is_ipv4()) && !all.iter().any(|wanted| wanted.local == old)
    })
}

/// With an access VLAN the gateway is a veth in the host, its other end a port of the bridge in that VLAN.
fn vlan_device(conf: &Conf, facts: &Facts, device: &str, plan: &mut Plan) {
    let port = port(conf);
    plan.share(
        Side::Host,
        Link {
            up: true,
            master: Some(conf.bridge().to_owned()),
            mtu: conf.mtu(),
            peer: Some(Peer { side: Side::Host, name: device.to_owned(), mac: None, mtu: conf.mtu() }),
            ..Link::new(&port, Kind::Veth)
        },
    );
    plan.share(Side::Host, layer3::ignore_advertisements(device));
    plan.share(Side::Host, layer3::skip_detection(device));
    if let Ok(id) = u16::try_from(conf.vlan) {
        let own = vec![PortVlan { id, pvid: true, untagged: true }];
        plan.share(Side::Host, super::carried(conf, facts, &port, own));
    }
    plan.share(Side::Host, op::Change { up: Some(true), ..op::Change::of(device) });
}
