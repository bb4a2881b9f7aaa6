//! The floor of `cargo xtask bench`: what attaching a container costs if only the kernel is asked.
//!
//! The netlink work of a `bridge`, `ptp` or `host-device` ADD and DEL, in as few messages as the kernel allows, and nothing
//! else: no configuration, no JSON, no address management, no files, no undo. A plugin cannot be faster than this.

use ipnet::IpNet;
use kernel::mac::Mac;
use kernel::netlink::address::{self, Address, flags, scope};
use kernel::netlink::link::{self, Change, Kind, NewLink, NewPeer};
use kernel::netlink::route::{self, Route};
use kernel::netns::Netns;
use kernel::{Family, Socket, depart};
use netlink_bindings::rt_link::{Ifinfomsg, Request};
use std::error::Error;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

const USAGE: &str = "usage: floor idle | loopback NETNS up|down | remove HOST_LINK |
       lend NETNS DEVICE NAME | bring-home NETNS NAME DEVICE |
       bridge BRIDGE NETNS HOST_LINK ADDRESS GATEWAY... | ptp NETNS HOST_LINK ADDRESS GATEWAY...";
const CONTAINER_LINK: &str = "eth0";

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["idle"] => Ok(()),
        ["loopback", netns, state] => loopback(netns, *state == "up"),
        ["remove", name] => remove(name),
        ["lend", netns, device, name] => lend(netns, device, name),
        ["bring-home", netns, name, device] => bring_home(netns, name, device),
        ["bridge", bridge, netns, name, addresses @ ..] => attach(netns, name, Some(bridge), &pairs(addresses)?),
        ["ptp", netns, name, addresses @ ..] => attach(netns, name, None, &pairs(addresses)?),
        _ => Err(USAGE.into()),
    }
}

fn pairs(words: &[&str]) -> Result<Vec<(IpNet, IpAddr)>, Box<dyn Error>> {
    let pair = |pair: &[&str]| match pair {
        [address, gateway] => Ok((address.parse()?, gateway.parse()?)),
        _ => Err(USAGE.into()),
    };
    words.chunks(2).map(pair).collect()
}

fn loopback(netns: &str, up: bool) -> Outcome {
    let (home, inside) = (Netns::current()?, Netns::open(Path::new(netns))?);
    let mut socket = inside.run(&home, || Socket::open(Family::Route))?;
    // The loopback device is the first of every namespace.
    Ok(link::set(&mut socket, 1, "lo", &Change { up: Some(up), ..Change::default() })?)
}

fn remove(name: &str) -> Outcome {
    let mut socket = Socket::open(Family::Route)?;
    let found = link::get(&mut socket, name)?.ok_or("no such link")?;
    Ok(depart::remove(&mut socket, found.index, name, None)?)
}

fn lend(netns: &str, device: &str, name: &str) -> Outcome {
    transfer(&mut Socket::open(Family::Route)?, device, &Netns::open(Path::new(netns))?, name, true)
}

fn bring_home(netns: &str, name: &str, device: &str) -> Outcome {
    let (home, inside) = (Netns::current()?, Netns::open(Path::new(netns))?);
    transfer(&mut inside.run(&home, || Socket::open(Family::Route))?, name, &home, device, false)
}

/// Moves a device and renames it, and sets it up if asked, by one message: what of its own it loses stays lost.
fn transfer(socket: &mut Socket, from: &str, target: &Netns, to: &str, up: bool) -> Outcome {
    let found = link::get(socket, from)?.ok_or("no such device")?;
    let up = if up { libc::IFF_UP as u32 } else { 0 };
    let header = Ifinfomsg { ifi_index: found.index.cast_signed(), ifi_change: up, ifi_flags: up, ..Ifinfomsg::new() };
    let mut request = Request::new().op_newlink_do(&header);
    let attributes = request.encode().push_net_ns_fd(target.as_fd().as_raw_fd().unsigned_abs());
    drop(attributes.push_ifname_bytes(to.as_bytes()));
    Ok(socket.change(&request, format_args!("move {from} to {to}"))?)
}

fn attach(netns: &str, name: &str, bridge: Option<&str>, addresses: &[(IpNet, IpAddr)]) -> Outcome {
    let (home, inside) = (Netns::current()?, Netns::open(Path::new(netns))?);
    let mut host = Socket::open(Family::Route)?;
    let mut container = inside.run(&home, || Socket::open(Family::Route))?;
    let master = match bridge {
        Some(bridge) => Some(link::get(&mut host, bridge)?.ok_or("no such bridge")?.index),
        None => None,
    };
    let new = NewLink {
        mac: Mac::from_bytes(&[2, 0, 0, 0, 0, 1]),
        up: true,
        master,
        peer: Some(NewPeer {
            name: CONTAINER_LINK,
            mac: Mac::from_bytes(&[2, 0, 0, 0, 0, 2]),
            mtu: None,
            netns: Some(inside.as_fd()),
        }),
        ..NewLink::new(name, &Kind::Veth)
    };
    let made = link::add(&mut host, &new)?.ok_or("this kernel does not tell what it made (before 6.2)")?;
    let index = made.peer.ok_or("a veth without a peer")?;
    let link_local = bridge.map(|_| false);
    link::set(&mut host, made.index, name, &Change { alias: Some("floor"), link_local, ..Change::default() })?;
    for (own, gateway) in addresses {
        let flags = if own.addr().is_ipv6() { flags::NODAD } else { 0 };
        let flags = if bridge.is_none() { flags | flags::NOPREFIXROUTE } else { flags };
        address::add(&mut container, &Address { flags, ..Address::new(index, *own) }, CONTAINER_LINK)?;
        if bridge.is_none() {
            let nodad = if own.addr().is_ipv6() { flags::NODAD } else { 0 };
            let gateway = Address { flags: nodad, ..Address::new(made.index, (*gateway).into()) };
            address::add(&mut host, &gateway, name)?;
            let direct = Route { index: Some(made.index), scope: reach(own.addr()), ..Route::new(own.addr().into()) };
            route::add(&mut host, &direct)?;
        }
    }
    link::set(&mut container, index, CONTAINER_LINK, &Change { up: Some(true), ..Change::default() })?;
    for (own, gateway) in addresses {
        routes(&mut container, index, own, *gateway, bridge.is_none())?;
    }
    Ok(())
}

fn routes(container: &mut Socket, index: u32, own: &IpNet, gateway: IpAddr, ptp: bool) -> Outcome {
    if ptp {
        let direct = Route { index: Some(index), scope: reach(gateway), ..Route::new(gateway.into()) };
        route::add(container, &direct)?;
        let subnet = Route { index: Some(index), gateway: Some(gateway), ..Route::new(own.trunc()) };
        route::add(container, &Route { src: Some(own.addr()), ..subnet })?;
    }
    let all = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
    Ok(route::add(container, &Route { index: Some(index), gateway: Some(gateway), ..Route::new(all.parse()?) })?)
}

/// IPv6 knows no scope of a route.
const fn reach(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { scope::LINK } else { scope::UNIVERSE }
}
