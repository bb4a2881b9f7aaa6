//! Addresses (`RTM_*ADDR`) with every attribute the kernel keeps, so that one that is read can be put back the same.
//!
//! Attributes: <https://docs.kernel.org/netlink/specs/rt-addr.html>. `IFA_FLAGS` is 32 bits wide and wins over the eight
//! in the header. IPv4 lists primaries before secondaries; IPv6 lists the newest first.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use netlink_bindings::rt_addr::{AddrAttrs, IfaCacheinfo, Ifaddrmsg, IterableAddrAttrs, Request};
use serde::{Deserialize, Serialize};

use super::{Socket, is_default};
use crate::error::Result;

/// Flags of an address (`IFA_F_*` of `linux/if_addr.h`).
pub mod flags {
    /// Do no duplicate address detection: the address is usable at once.
    pub const NODAD: u32 = libc::IFA_F_NODAD;
    /// Another address of the subnet comes first.
    pub const SECONDARY: u32 = libc::IFA_F_SECONDARY;
    /// Duplicate address detection failed.
    pub const DADFAILED: u32 = libc::IFA_F_DADFAILED;
    /// Duplicate address detection is under way.
    pub const TENTATIVE: u32 = libc::IFA_F_TENTATIVE;
    /// The address has no lifetime.
    pub const PERMANENT: u32 = libc::IFA_F_PERMANENT;
    /// It is not chosen for new connections.
    pub const DEPRECATED: u32 = libc::IFA_F_DEPRECATED;
    /// Duplicate address detection may go on while the address is used (IPv6).
    pub const OPTIMISTIC: u32 = libc::IFA_F_OPTIMISTIC;
    /// The home address of a mobile node (IPv6).
    pub const HOMEADDRESS: u32 = libc::IFA_F_HOMEADDRESS;
    /// The kernel made it, to be used for a while (IPv6); [`SECONDARY`] of IPv4 is the same bit.
    pub const TEMPORARY: u32 = libc::IFA_F_TEMPORARY;
    /// The kernel makes temporary addresses of its prefix (IPv6).
    pub const MANAGETEMPADDR: u32 = 0x100;
    /// Join the multicast group that the address is.
    pub const MCAUTOJOIN: u32 = 0x400;
    /// Make no route to the subnet.
    pub const NOPREFIXROUTE: u32 = 0x200;
}

/// `IFAPROT_*`: who added an address; Linux 5.18 and later say so.
pub mod protocol {
    /// The kernel, on the loopback device.
    pub const KERNEL_LO: u8 = 1;
    /// The kernel, from a router advertisement.
    pub const KERNEL_RA: u8 = 2;
    /// The kernel, the link-local address of a device.
    pub const KERNEL_LL: u8 = 3;
}

/// `RT_SCOPE_*`: how far an address or a route reaches.
pub mod scope {
    /// Everywhere.
    pub const UNIVERSE: u8 = 0;
    /// This link.
    pub const LINK: u8 = 253;
    /// This host.
    pub const HOST: u8 = 254;
}

/// How long an address is valid and preferred, in seconds; `u32::MAX` is forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetime {
    /// It is removed afterwards.
    pub valid: u32,
    /// It is not chosen for new connections afterwards; 0 is "deprecated".
    pub preferred: u32,
}

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Index of the link; not part of the JSON, which is of one link.
    #[serde(skip)]
    pub index: u32,
    /// The address itself (`IFA_LOCAL`) with the prefix length; host bits are kept.
    pub local: IpNet,
    /// The other end of a point-to-point link, where it differs (`IFA_ADDRESS`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub peer: Option<IpAddr>,
    /// Broadcast address, where one is set.
    #[serde(default, skip_serializing_if = "is_default")]
    pub broadcast: Option<Ipv4Addr>,
    /// Label of an IPv4 address (`eth0:1`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub label: Option<String>,
    /// Scope, see [`scope`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: u8,
    /// Flags, see [`flags`].
    #[serde(default, skip_serializing_if = "is_default")]
    pub flags: u32,
    /// Lifetime, where it is not forever.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lifetime: Option<Lifetime>,
    /// Metric of the route to the subnet (`IFA_RT_PRIORITY`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub metric: Option<u32>,
    /// Who added it (`IFAPROT_*`); 0 is unspecified.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: u8,
}

impl Address {
    /// An address of global scope on link `index`, with nothing else said.
    pub const fn new(index: u32, local: IpNet) -> Self {
        Self {
            index,
            local,
            peer: None,
            broadcast: None,
            label: None,
            scope: scope::UNIVERSE,
            flags: 0,
            lifetime: None,
            metric: None,
            protocol: 0,
        }
    }

    fn header(&self) -> Ifaddrmsg {
        Ifaddrmsg {
            ifa_family: super::family(self.local.addr()),
            ifa_prefixlen: self.local.prefix_len(),
            ifa_flags: 0,
            ifa_scope: self.scope,
            ifa_index: self.index,
        }
    }

    fn read((header, attributes): (Ifaddrmsg, IterableAddrAttrs<'_>)) -> Option<Self> {
        let (mut local, mut address) = (None, None);
        let mut read = Self::new(header.ifa_index, IpNet::default());
        read.scope = header.ifa_scope;
        read.flags = u32::from(header.ifa_flags);
        for attribute in attributes.flatten() {
            match attribute {
                AddrAttrs::Local(ip) => local = Some(ip),
                AddrAttrs::Address(ip) => address = Some(ip),
                AddrAttrs::Broadcast(ip) => read.broadcast = Some(ip),
                AddrAttrs::Label(label) => read.label = Some(label.to_string_lossy().into_owned()),
                AddrAttrs::Flags(flags) => read.flags = flags,
                AddrAttrs::RtPriority(metric) => read.metric = Some(metric).filter(|metric| *metric != 0),
                AddrAttrs::Proto(protocol) => read.protocol = protocol,
                AddrAttrs::Cacheinfo(info) => {
                    let lifetime = Lifetime { valid: info.ifa_valid, preferred: info.ifa_prefered };
                    let forever = lifetime.valid == u32::MAX && lifetime.preferred == u32::MAX;
                    read.lifetime = (!forever).then_some(lifetime);
                }
                _ => {}
            }
        }
        // Of an IPv4 address without an end the kernel says that it is preferred for ever, whatever it was given.
        if read.lifetime.is_none() && read.flags & flags::DEPRECATED != 0 {
            read.lifetime = Some(Lifetime { valid: u32::MAX, preferred: 0 });
        }
        // IPv6 sends IFA_LOCAL only where there is a peer.
        let own = local.or(address)?;
        read.local = IpNet::new(own, header.ifa_prefixlen).ok()?;
        read.peer = address.filter(|address| *address != own);
        Some(read)
    }
}

impl fmt::Display for Address {
    /// As the arguments of `ip address add`, without the device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{} peer {peer}/{}", self.local.addr(), self.local.prefix_len())?,
            None => write!(f, "{}", self.local)?,
        }
        if let Some(broadcast) = self.broadcast {
            write!(f, " broadcast {broadcast}")?;
        }
        match self.scope {
            scope::UNIVERSE => {}
            scope::LINK => f.write_str(" scope link")?,
            scope::HOST => f.write_str(" scope host")?,
            other => write!(f, " scope {other}")?,
        }
        if let Some(label) = &self.label {
            write!(f, " label {label}")?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        for (flag, word) in [(flags::NODAD, " nodad"), (flags::NOPREFIXROUTE, " noprefixroute")] {
            f.write_str(if self.flags & flag != 0 { word } else { "" })?;
        }
        match self.lifetime {
            Some(lifetime) => write!(f, " valid_lft {} preferred_lft {}", lifetime.valid, lifetime.preferred),
            None => Ok(()),
        }
    }
}

/// Adds an address; `on` names the link in errors.
///
/// # Errors
/// `EEXIST` if the link has it already, whatever its other attributes; the kernel's words otherwise.
pub fn add(socket: &mut Socket, address: &Address, on: &str) -> Result<()> {
    let what = format_args!("add address {address} to {on}");
    make(socket, Request::new().set_create().set_excl(), address, what)
}

/// Gives an address that the link has other flags and lifetimes, and adds it if the link does not have it; `on` names
/// the link in errors. Duplicate address detection is not begun again.
///
/// # Errors
/// The kernel's words.
pub fn replace(socket: &mut Socket, address: &Address, on: &str) -> Result<()> {
    let what = format_args!("replace address {address} on {on}");
    make(socket, Request::new().set_create().set_replace(), address, what)
}

fn make(socket: &mut Socket, request: Request<'_>, address: &Address, what: fmt::Arguments<'_>) -> Result<()> {
    let mut request = request.op_newaddr_do(&address.header());
    let mut attributes = request
        .encode()
        .push_local(address.local.addr())
        .push_address(address.peer.unwrap_or_else(|| address.local.addr()));
    if let Some(broadcast) = address.broadcast {
        attributes = attributes.push_broadcast(broadcast);
    }
    if let Some(label) = &address.label {
        attributes = attributes.push_label_bytes(label.as_bytes());
    }
    if address.flags != 0 {
        attributes = attributes.push_flags(address.flags);
    }
    if let Some(lifetime) = address.lifetime {
        let info = IfaCacheinfo { ifa_valid: lifetime.valid, ifa_prefered: lifetime.preferred, cstamp: 0, tstamp: 0 };
        attributes = attributes.push_cacheinfo(info);
    }
    if let Some(metric) = address.metric {
        attributes = attributes.push_rt_priority(metric);
    }
    if address.protocol != 0 {
        attributes = attributes.push_proto(address.protocol);
    }
    drop(attributes);
    socket.change(&request, what)
}

/// Removes an address; `on` names the link in errors.
///
/// # Errors
/// `EADDRNOTAVAIL` if the link does not have it; the kernel's words otherwise.
pub fn remove(socket: &mut Socket, address: &Address, on: &str) -> Result<()> {
    let mut request = Request::new().op_deladdr_do(&address.header());
    let peer = address.peer.unwrap_or_else(|| address.local.addr());
    request.encode().push_local(address.local.addr()).push_address(peer);
    socket.change(&request, format_args!("remove address {} from {on}", address.local))
}

/// Reads the addresses of link `index`, or of every link.
///
/// # Errors
/// The kernel's words.
pub fn list(socket: &mut Socket, index: Option<u32>) -> Result<Vec<Address>> {
    let header = Ifaddrmsg { ifa_index: index.unwrap_or(0), ..Ifaddrmsg::new() };
    let request = Request::new().op_getaddr_dump(&header);
    match socket.dump(&request, "list addresses", Address::read) {
        // Strict dumps of a link that is not there answer so.
        Err(error) if error.errno == libc::ENODEV => Ok(Vec::new()),
        outcome => outcome,
    }
}
