//! Reading a device from the kernel, with everything that a move would lose.
//!
//! The kernel filters every dump by the device where it can, so the cost does not grow with other devices' addresses,
//! routes and neighbours. What is read in several requests is not one moment: a change in between may be half seen.
//! Everything is read that any policy takes; what this one leaves out is [left out](Device::select) of the description.

pub(crate) mod lost;
mod routes;
pub(crate) mod rules;
pub(crate) mod sysctls;

use std::cmp::Reverse;

use kernel::mac::Mac;
use kernel::netlink::link::{self, Link, flags};
use kernel::netlink::neighbour::{self, Neighbour, state};
use kernel::netlink::{address, address::Address};
use kernel::netlink::{devconf, devconf::Conf, nexthop};
use kernel::{Error, Result, Socket};

use crate::capture::sysctls::Which;
use crate::device::{Device, Identity, Parent, Settings, VERSION};
use crate::policy::{self, Addresses, Policy};

/// `ENODEV` of `errno(3)`.
const ENODEV: i32 = 19;

/// Reads the device named `name`, or alternatively so. The calling thread must be in the namespace of `socket`: sysctls
/// are read where the thread is.
///
/// # Errors
/// `ENODEV`, naming it, if there is no such device; the kernel's words otherwise.
pub fn capture(socket: &mut Socket, name: &str, policy: &Policy) -> Result<Device> {
    let links = link::list(socket, None)?;
    let (device, _) = capture_among(socket, &links, name, (policy, Which::All))?;
    Ok(device)
}

/// The same, for several devices, with what the kernel said of their settings: `links` are all there are, since the kernel can
/// be asked neither for the ports nor for the children of one.
pub(crate) fn capture_among(
    socket: &mut Socket,
    links: &[Link],
    name: &str,
    (policy, which): (&Policy, Which),
) -> Result<(Device, Conf)> {
    let missing = || Error::new(format_args!("find device {name}"), ENODEV);
    let (link, conf) = devconf::get(socket, name)?.ok_or_else(missing)?;
    let mut device = bare(&link, links);
    let nexthops = nexthop::list(socket, link.index)?;
    device.lost = lost::find(socket, &link, links, &nexthops)?;
    device.sysctls = sysctls::read(&link, &conf, which)?;
    if policy.addresses == Addresses::None {
        return Ok((device, conf));
    }
    // A daemon that makes the link-local address tells the kernel to make none: then the one that looks like the kernel's is not.
    let makes_none = conf.ipv6().any(|(key, value)| (key, &*value) == (sysctls::MODE, sysctls::NONE));
    let mac = link.mac.filter(|_| !makes_none);
    let left_out = addresses(socket, &link, mac, &mut device)?;
    device.routes = routes::read(socket, &link, nexthops, (&device.addresses, &left_out), &mut device.lost)?;
    rules::read(socket, &mut device)?;
    device.neighbours = neighbours(socket, link.index)?;
    Ok((device.select(policy), conf))
}

/// The device itself.
pub(crate) fn bare(link: &Link, links: &[Link]) -> Device {
    let master = links.iter().find(|other| Some(other.index) == link.master).map(|master| master.name.clone());
    let children = links.iter().filter(|other| other.is_child_of(link.index)).map(|child| child.name.clone());
    let parent = link.parent_bus.clone().zip(link.parent_device.clone());
    let has_bytes = |mac: &Mac| !mac.as_bytes().is_empty();
    Device {
        version: VERSION,
        identity: Identity {
            name: link.name.clone(),
            altnames: link.altnames.clone(),
            index: link.index,
            mac: link.mac.filter(has_bytes),
            permanent_mac: link.permanent_mac.filter(has_bytes),
            kind: link.kind.name().to_owned(),
            parent: parent.map(|(bus, name)| Parent { bus, name }),
            alias: link.alias.clone(),
        },
        settings: Settings {
            mtu: link.mtu,
            txqlen: link.txqlen,
            group: link.group,
            up: link.is_up(),
            promisc: link.flags & flags::PROMISC != 0,
            allmulti: link.flags & flags::ALLMULTI != 0,
            master,
        },
        children: children.collect(),
        addresses: Vec::new(),
        routes: Vec::new(),
        rules: Vec::new(),
        neighbours: Vec::new(),
        sysctls: Vec::new(),
        lost: Vec::new(),
    }
}

/// Reads the addresses into `device`, and returns those that do not go with it. `mac` is what the kernel makes link-local
/// addresses from, if it does.
fn addresses(socket: &mut Socket, link: &Link, mac: Option<Mac>, device: &mut Device) -> Result<Vec<Address>> {
    let mut all = address::list(socket, Some(link.index))?;
    all.retain(|address| address.index == link.index);
    let (duplicates, all): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|address| address.flags & address::flags::DADFAILED != 0);
    let (mut left_out, taken): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|address| policy::comes_by_itself(address, mac.as_ref()));
    device.lost.extend(duplicates.iter().map(lost::duplicate));
    left_out.extend(duplicates);
    // IPv4 is listed as it was added, IPv6 the newest first within each scope, the widest last to be added.
    let (ipv4, ipv6): (Vec<_>, Vec<_>) = taken.into_iter().partition(|address| address.local.addr().is_ipv4());
    device.addresses =
        ipv4.into_iter().chain(ipv6.into_iter().rev()).map(|one| policy::given(one, &link.name)).collect();
    Ok(left_out)
}

/// The neighbours that somebody has set, and the proxies.
fn neighbours(socket: &mut Socket, index: u32) -> Result<Vec<Neighbour>> {
    let mut found = neighbour::list(socket, Some(index), false)?;
    found.retain(|neighbour| neighbour.state & state::PERMANENT != 0);
    found.extend(neighbour::list(socket, Some(index), true)?);
    found.retain(|neighbour| neighbour.index == index);
    found.sort_by_key(|neighbour| (neighbour.proxy, neighbour.address, Reverse(neighbour.router)));
    Ok(found.into_iter().map(|neighbour| Neighbour { index: 0, ..neighbour }).collect())
}
