//! Which device of the host a configuration means.
//!
//! Changes nothing. A name costs one request, a hardware address a list of all links, a device on a bus a look at sysfs
//! and a request for each of its network devices. What is ambiguous is an error that names every candidate: upstream
//! takes the first.

use std::path::Path;

use cni::Error;
use kernel::Socket;
use kernel::mac::Mac;
use kernel::netlink::link::{self, Link};

use super::config::{Conf, Selector, unsupported};
use super::sysfs;

/// Drivers that give a PCI device to a program instead of the kernel's network.
const DPDK: [&str; 3] = ["vfio-pci", "uio_pci_generic", "igb_uio"];
/// Kinds that others are ports of, and take their addresses from.
const MASTERS: [&str; 4] = ["bond", "bridge", "team", "vrf"];

/// The device that was selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// A network device.
    Link(Box<Link>),
    /// A PCI device that a program drives: it is nothing that could be moved.
    Dpdk {
        /// Its name on the bus (`0000:01:00.0`).
        pci: String,
        /// The driver by which the program has it.
        driver: String,
    },
}

/// Finds the device that `conf` means in the namespace of `socket`.
///
/// # Errors
/// The configuration selects nothing, no device is what it selects, or several are; the text names what was looked for.
pub fn select(conf: &Conf, socket: &mut Socket) -> Result<Selected, Error> {
    let selector = conf.selector()?;
    match &selector {
        Selector::Device(name) => one(&selector, Vec::from_iter(link::get(socket, name).map_err(kernel_words)?)),
        Selector::Hwaddr(mac) => one(&selector, by_mac(socket, mac)?),
        Selector::KernelPath(path) => match sysfs::link_at(socket, path).map_err(kernel_words)? {
            Some(link) => Ok(Selected::Link(Box::new(link))),
            None => on_bus(&selector, path, socket),
        },
        Selector::PciBusId(id) => pci(&selector, id, socket),
        Selector::DeviceId(id) if Path::new(sysfs::PCI).join(id).exists() => pci(&selector, id, socket),
        Selector::DeviceId(id) => {
            let directory = Path::new(sysfs::AUXILIARY).join(id);
            if directory.exists() { on_bus(&selector, &directory, socket) } else { Err(unsupported(id)) }
        }
    }
}

/// The device of the PCI device `id`, or that device itself if a program has it.
fn pci(selector: &Selector<'_>, id: &str, socket: &mut Socket) -> Result<Selected, Error> {
    let directory = Path::new(sysfs::PCI).join(id);
    let unusable = |why: &str| Err(Error::internal(format!("error with host device: {selector}: {why}")));
    match sysfs::driver(&directory) {
        Some(driver) if DPDK.contains(&driver.as_str()) => Ok(Selected::Dpdk { pci: id.to_owned(), driver }),
        Some(_) => on_bus(selector, &directory, socket),
        None if directory.exists() => unusable("no driver is bound to it"),
        None => unusable("no such PCI device"),
    }
}

/// The device of the device on a bus at `directory`.
fn on_bus(selector: &Selector<'_>, directory: &Path, socket: &mut Socket) -> Result<Selected, Error> {
    one(selector, sysfs::links(socket, directory).map_err(kernel_words)?)
}

/// The links that `mac` may mean, as few as can be told apart. A bond, a bridge, a VLAN, a macvlan may have the address
/// of the device below, and the devices of a bond have one address between them: so the device that was built with the
/// address comes first, one that has it by now next, and one that lost it before those that are made upon others.
fn by_mac(socket: &mut Socket, mac: &Mac) -> Result<Vec<Link>, Error> {
    let all = link::list(socket, None).map_err(kernel_words)?;
    let has = |link: &Link| link.mac.as_ref() == Some(mac);
    let was_built = |link: &Link| link.permanent_mac.as_ref() == Some(mac);
    let is_master =
        |link: &Link| MASTERS.contains(&link.kind.name()) || all.iter().any(|other| other.master == Some(link.index));
    let is_own = |link: &Link| !is_master(link) && !link.is_child();
    let ranks: [&dyn Fn(&Link) -> bool; 4] = [
        &|link| has(link) && was_built(link) && is_own(link),
        &|link| has(link) && is_own(link),
        &|link| was_built(link) && is_own(link),
        &|link| has(link),
    ];
    let best = ranks.into_iter().find(|rank| all.iter().any(rank));
    Ok(best.map(|rank| all.iter().filter(|link| rank(link)).cloned().collect()).unwrap_or_default())
}

/// The one of several.
fn one(selector: &Selector<'_>, mut found: Vec<Link>) -> Result<Selected, Error> {
    match found.len() {
        0 => Err(not_found(format!("{selector}: Link not found"))),
        1 => Ok(Selected::Link(Box::new(found.remove(0)))),
        _ => {
            let described = |link: &Link| match link.kind.name() {
                "" => link.name.clone(),
                kind => format!("{} ({kind})", link.name),
            };
            let all: Vec<String> = found.iter().map(described).collect();
            Err(not_found(format!("{selector}: several links match: {}; name one by \"device\"", all.join(", "))))
        }
    }
}

fn not_found(why: impl std::fmt::Display) -> Error {
    Error::internal(format!("failed to find host device: {why}"))
}

fn kernel_words(error: kernel::Error) -> Error {
    not_found(error)
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
