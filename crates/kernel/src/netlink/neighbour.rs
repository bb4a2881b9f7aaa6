//! Neighbours (`RTM_*NEIGH`): who has which address on a link, and for whom this host answers (proxies).
//!
//! Attributes: <https://docs.kernel.org/netlink/specs/rt-neigh.html>. Proxies are a table of their own: they have no MAC
//! and no state, and a dump shows either them (`NTF_PROXY` in its header) or the others.

use std::fmt;
use std::net::IpAddr;

use netlink_bindings::rt_neigh::{IterableNeighbourAttrs, Ndmsg, NeighbourAttrs, Request};
use serde::{Deserialize, Serialize};

use super::{Socket, family, is_default};
use crate::error::Result;
use crate::mac::Mac;

/// `NUD_*`: what is known of a neighbour.
pub mod state {
    /// Nobody has answered yet.
    pub const INCOMPLETE: u16 = libc::NUD_INCOMPLETE;
    /// It answered lately.
    pub const REACHABLE: u16 = libc::NUD_REACHABLE;
    /// It answered once; it is asked again when it is needed.
    pub const STALE: u16 = libc::NUD_STALE;
    /// It does not answer.
    pub const FAILED: u16 = libc::NUD_FAILED;
    /// It needs no asking (multicast, loopback).
    pub const NOARP: u16 = libc::NUD_NOARP;
    /// It is never asked and never forgotten.
    pub const PERMANENT: u16 = libc::NUD_PERMANENT;
}

const NTF_PROXY: u8 = libc::NTF_PROXY;
const NTF_ROUTER: u8 = libc::NTF_ROUTER;

/// A neighbour of a link, or an address that the link answers for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Index of the link; not part of the JSON, which is of one link.
    #[serde(skip)]
    pub index: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address, where it is known.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mac: Option<Mac>,
    /// What is known of it, see [`state`]; 0 for a proxy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub state: u16,
    /// The link answers for it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub proxy: bool,
    /// It is a router (IPv6).
    #[serde(default, skip_serializing_if = "is_default")]
    pub router: bool,
    /// Who added it (`RTPROT_*`); 0 is unspecified.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: u8,
}

impl Neighbour {
    /// A neighbour of link `index` that is never asked and never forgotten.
    pub const fn permanent(index: u32, address: IpAddr, mac: Mac) -> Self {
        let state = state::PERMANENT;
        Self { index, address, mac: Some(mac), state, proxy: false, router: false, protocol: 0 }
    }

    /// An address that link `index` answers for.
    pub const fn proxy(index: u32, address: IpAddr) -> Self {
        Self { index, address, mac: None, state: 0, proxy: true, router: false, protocol: 0 }
    }

    fn header(&self) -> Ndmsg {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        Ndmsg {
            ndm_family: family(self.address),
            ndm_ifindex: self.index.cast_signed(),
            ndm_state: self.state,
            ndm_flags: flag(self.proxy, NTF_PROXY) | flag(self.router, NTF_ROUTER),
            ..Ndmsg::new()
        }
    }

    fn read((header, attributes): (Ndmsg, IterableNeighbourAttrs<'_>)) -> Option<Self> {
        let (mut address, mut mac, mut protocol) = (None, None, 0);
        for attribute in attributes.flatten() {
            match attribute {
                NeighbourAttrs::Dst(ip) => address = Some(ip),
                NeighbourAttrs::Lladdr(bytes) => mac = Mac::from_bytes(bytes),
                NeighbourAttrs::Protocol(number) => protocol = number,
                _ => {}
            }
        }
        Some(Self {
            index: header.ndm_ifindex.unsigned_abs(),
            address: address?,
            mac,
            state: header.ndm_state,
            proxy: header.ndm_flags & NTF_PROXY != 0,
            router: header.ndm_flags & NTF_ROUTER != 0,
            protocol,
        })
    }
}

impl fmt::Display for Neighbour {
    /// As the arguments of `ip neighbour add`, without the device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.proxy {
            return write!(f, "proxy {}", self.address);
        }
        write!(f, "{}", self.address)?;
        self.mac.map_or(Ok(()), |mac| write!(f, " lladdr {mac}"))?;
        f.write_str(if self.router { " router" } else { "" })?;
        match self.state {
            state::INCOMPLETE => f.write_str(" nud incomplete"),
            state::REACHABLE => f.write_str(" nud reachable"),
            state::STALE => f.write_str(" nud stale"),
            state::FAILED => f.write_str(" nud failed"),
            state::NOARP => f.write_str(" nud noarp"),
            state::PERMANENT => f.write_str(" nud permanent"),
            other => write!(f, " nud {other:#x}"),
        }
    }
}

/// Adds a neighbour; `on` names the link in errors.
///
/// # Errors
/// `EEXIST` if the link knows one of this address (the kernel takes a proxy twice); the kernel's words otherwise.
pub fn add(socket: &mut Socket, neighbour: &Neighbour, on: &str) -> Result<()> {
    make(socket, Request::new().set_create().set_excl(), neighbour, format_args!("add neighbour {neighbour} to {on}"))
}

/// Adds a neighbour in the place of any that the link knows of this address; `on` names the link in errors.
///
/// # Errors
/// The kernel's words.
pub fn replace(socket: &mut Socket, neighbour: &Neighbour, on: &str) -> Result<()> {
    let what = format_args!("replace neighbour {neighbour} on {on}");
    make(socket, Request::new().set_create().set_replace(), neighbour, what)
}

fn make(socket: &mut Socket, request: Request<'_>, neighbour: &Neighbour, what: fmt::Arguments<'_>) -> Result<()> {
    let mut request = request.op_newneigh_do(&neighbour.header());
    let mut attributes = request.encode().push_dst(neighbour.address);
    if let Some(mac) = neighbour.mac {
        attributes = attributes.push_lladdr(mac.as_bytes());
    }
    if neighbour.protocol != 0 {
        attributes = attributes.push_protocol(neighbour.protocol);
    }
    drop(attributes);
    socket.change(&request, what)
}

/// Removes the neighbour of this address, or the proxy for it, whatever else is said; `on` names the link in errors.
///
/// # Errors
/// `ENOENT` if there is none; the kernel's words otherwise.
pub fn remove(socket: &mut Socket, neighbour: &Neighbour, on: &str) -> Result<()> {
    let mut request = Request::new().op_delneigh_do(&neighbour.header());
    request.encode().push_dst(neighbour.address);
    socket.change(&request, format_args!("remove neighbour {neighbour} from {on}"))
}

/// Reads the neighbours of link `index`, or of every link, filtered by the kernel; the proxies instead if `proxies`.
///
/// # Errors
/// The kernel's words.
pub fn list(socket: &mut Socket, index: Option<u32>, proxies: bool) -> Result<Vec<Neighbour>> {
    let header = Ndmsg { ndm_flags: if proxies { NTF_PROXY } else { 0 }, ..Ndmsg::new() };
    let mut request = Request::new().op_getneigh_dump(&header);
    if let Some(index) = index {
        request.encode().push_ifindex(index);
    }
    socket.dump(&request, "list neighbours", Neighbour::read)
}
