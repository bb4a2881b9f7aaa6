//! Routes (`RTM_*ROUTE`) with every attribute the kernel keeps, so that one that is read can be put back the same.
//!
//! Attributes: <https://docs.kernel.org/netlink/specs/rt-route.html>. `RTA_VIA` and `RTA_MULTIPATH` are written by hand:
//! the codec knows them as plain bytes.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_bindings::rt_route::{IterableRouteAttrs, Request, RouteAttrs, Rtmsg};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::{IterableChunks, push_header};

use super::link::push_bytes;
use super::{Socket, family};
use crate::error::Result;

/// Routing tables with names.
pub mod table {
    /// What `ip route` shows.
    pub const MAIN: u32 = libc::RT_TABLE_MAIN as u32;
    /// The kernel's own: local and broadcast addresses.
    pub const LOCAL: u32 = libc::RT_TABLE_LOCAL as u32;
}

/// `RTN_*`: what becomes of a packet.
pub mod kind {
    /// It is sent on.
    pub const UNICAST: u8 = libc::RTN_UNICAST;
    /// It is delivered here.
    pub const LOCAL: u8 = libc::RTN_LOCAL;
    /// It is dropped in silence.
    pub const BLACKHOLE: u8 = libc::RTN_BLACKHOLE;
    /// It is received by everybody on the link.
    pub const BROADCAST: u8 = libc::RTN_BROADCAST;
    /// It is delivered here, and elsewhere too.
    pub const ANYCAST: u8 = libc::RTN_ANYCAST;
    /// It is delivered to a group.
    pub const MULTICAST: u8 = libc::RTN_MULTICAST;
    /// It is refused: host unreachable.
    pub const UNREACHABLE: u8 = libc::RTN_UNREACHABLE;
    /// It is refused: administratively prohibited.
    pub const PROHIBIT: u8 = libc::RTN_PROHIBIT;
    /// The next rule decides.
    pub const THROW: u8 = libc::RTN_THROW;
}

/// `RTPROT_*`: who made a route.
pub mod protocol {
    /// An ICMP redirect.
    pub const REDIRECT: u8 = libc::RTPROT_REDIRECT;
    /// The kernel, for an address.
    pub const KERNEL: u8 = libc::RTPROT_KERNEL;
    /// Somebody at boot; what Go's netlink library writes.
    pub const BOOT: u8 = libc::RTPROT_BOOT;
    /// An administrator.
    pub const STATIC: u8 = libc::RTPROT_STATIC;
    /// A router advertisement.
    pub const RA: u8 = 9;
}

/// `RTNH_F_ONLINK`: the gateway is on the link although no route says so.
pub const ONLINK: u32 = 4;
/// `RTM_F_CLONED`: not a route but the kernel's memory of one.
pub const CLONED: u32 = libc::RTM_F_CLONED;
/// Flags that can be given; the others (`dead`, `linkdown`, `offload` …) are the kernel's observations.
const GIVEN_FLAGS: u32 = ONLINK | 2; // RTNH_F_PERVASIVE

const RTA_MULTIPATH: u16 = 9;
const RTA_METRICS: u16 = 8;
const RTA_VIA: u16 = 18;
const RTA_ENCAP_TYPE: u16 = 21;
const RTA_ENCAP: u16 = 22;
const RTA_GATEWAY: u16 = 5;
const RTAX_MTU: u16 = 2;
const RTAX_ADVMSS: u16 = 8;
const NLA_F_NESTED: u16 = 1 << 15;
/// `sizeof(struct rtnexthop)`.
const NEXTHOP: usize = 8;

/// One path of a multipath route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    /// Index of the link.
    pub index: u32,
    /// Gateway, of either family.
    pub gateway: Option<IpAddr>,
    /// Share of the traffic, 1 to 256.
    pub weight: u16,
    /// `RTNH_F_ONLINK` and others.
    pub flags: u32,
    /// Lightweight tunnel: type and parameters.
    pub encap: Option<(u16, Vec<u8>)>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Destination.
    pub dst: IpNet,
    /// Only for packets from this prefix (IPv6).
    pub from: Option<IpNet>,
    /// What becomes of the packet, see [`kind`].
    pub kind: u8,
    /// Table.
    pub table: u32,
    /// Who made it, see [`protocol`].
    pub protocol: u8,
    /// Scope, see [`super::address::scope`].
    pub scope: u8,
    /// Type of service it is for.
    pub tos: u8,
    /// `RTNH_F_ONLINK` and others.
    pub flags: u32,
    /// Metric, lower wins.
    pub metric: Option<u32>,
    /// Gateway, of either family.
    pub gateway: Option<IpAddr>,
    /// Index of the link.
    pub index: Option<u32>,
    /// Source address that it prefers.
    pub src: Option<IpAddr>,
    /// `RTAX_*` metrics as the kernel writes them: type and value.
    pub metrics: Vec<(u16, Vec<u8>)>,
    /// Paths, where there are several.
    pub paths: Vec<NextHop>,
    /// Nexthop object.
    pub nexthop: Option<u32>,
    /// Router preference (IPv6); 0 is medium.
    pub preference: u8,
    /// Seconds until it goes (IPv6).
    pub expires: Option<u32>,
    /// Lightweight tunnel: type and parameters.
    pub encap: Option<(u16, Vec<u8>)>,
}

impl Route {
    /// A unicast route to `dst` in the main table, made by "boot" as Go's library says, with nothing else said.
    pub const fn new(dst: IpNet) -> Self {
        Self {
            dst,
            from: None,
            kind: kind::UNICAST,
            table: table::MAIN,
            protocol: protocol::BOOT,
            scope: super::address::scope::UNIVERSE,
            tos: 0,
            flags: 0,
            metric: None,
            gateway: None,
            index: None,
            src: None,
            metrics: Vec::new(),
            paths: Vec::new(),
            nexthop: None,
            preference: 0,
            expires: None,
            encap: None,
        }
    }

    /// Sets the path MTU, in bytes.
    pub fn set_mtu(&mut self, mtu: u32) {
        self.metrics.push((RTAX_MTU, mtu.to_ne_bytes().to_vec()));
    }

    /// Sets the advertised TCP segment size, in bytes.
    pub fn set_advmss(&mut self, advmss: u32) {
        self.metrics.push((RTAX_ADVMSS, advmss.to_ne_bytes().to_vec()));
    }

    fn header(&self) -> Rtmsg {
        Rtmsg {
            rtm_family: family(self.dst.addr()),
            rtm_dst_len: self.dst.prefix_len(),
            rtm_src_len: self.from.map_or(0, |from| from.prefix_len()),
            rtm_tos: self.tos,
            // Tables above 255 go into RTA_TABLE; RT_TABLE_COMPAT stands for them here.
            rtm_table: u8::try_from(self.table).unwrap_or(libc::RT_TABLE_COMPAT),
            rtm_protocol: self.protocol,
            rtm_scope: self.scope,
            rtm_type: self.kind,
            rtm_flags: self.flags & GIVEN_FLAGS,
        }
    }

    fn push(&self, attributes: netlink_bindings::rt_route::PushRouteAttrs<&mut Vec<u8>>) {
        let mut attributes = attributes.push_table(self.table);
        if self.dst.prefix_len() > 0 {
            attributes = attributes.push_dst(self.dst.addr());
        }
        if let Some(from) = self.from.filter(|from| from.prefix_len() > 0) {
            attributes = attributes.push_src(from.addr());
        }
        if let Some(index) = self.index {
            attributes = attributes.push_oif(index);
        }
        if let Some(metric) = self.metric {
            attributes = attributes.push_priority(metric);
        }
        if let Some(src) = self.src {
            attributes = attributes.push_prefsrc(src);
        }
        if let Some(id) = self.nexthop {
            attributes = attributes.push_nh_id(id);
        }
        if self.preference != 0 {
            attributes = attributes.push_pref(self.preference);
        }
        if let Some(seconds) = self.expires {
            attributes = attributes.push_expires(seconds);
        }
        if let Some((kind, parameters)) = &self.encap {
            attributes = attributes.push_encap_type(*kind).push_encap(parameters);
        }
        let buffer = attributes.as_vec_mut();
        if let Some(gateway) = self.gateway {
            push_gateway(buffer, self.dst.addr(), gateway);
        }
        push_metrics(buffer, &self.metrics);
        push_paths(buffer, self.dst.addr(), &self.paths);
    }

    fn read((header, attributes): (Rtmsg, IterableRouteAttrs<'_>)) -> Option<Self> {
        let unspecified = match i32::from(header.rtm_family) {
            libc::AF_INET => IpAddr::from([0_u8; 4]),
            libc::AF_INET6 => IpAddr::from([0_u8; 16]),
            _ => return None,
        };
        let mut read = Self::new(IpNet::new(unspecified, header.rtm_dst_len).ok()?);
        read.kind = header.rtm_type;
        read.table = u32::from(header.rtm_table);
        read.protocol = header.rtm_protocol;
        read.scope = header.rtm_scope;
        read.tos = header.rtm_tos;
        read.flags = header.rtm_flags;
        let raw = IterableChunks::new(attributes.get_buf());
        for attribute in attributes.flatten() {
            match attribute {
                RouteAttrs::Dst(ip) => read.dst = IpNet::new(ip, header.rtm_dst_len).ok()?,
                RouteAttrs::Src(ip) => read.from = IpNet::new(ip, header.rtm_src_len).ok(),
                RouteAttrs::Oif(index) => read.index = Some(index),
                RouteAttrs::Gateway(ip) => read.gateway = Some(ip),
                RouteAttrs::Priority(metric) => read.metric = Some(metric),
                RouteAttrs::Prefsrc(ip) => read.src = Some(ip),
                RouteAttrs::Table(table) => read.table = table,
                RouteAttrs::Pref(preference) => read.preference = preference,
                RouteAttrs::NhId(id) => read.nexthop = Some(id),
                RouteAttrs::Multipath(bytes) => read.paths = read_paths(bytes),
                RouteAttrs::EncapType(kind) => read.encap.get_or_insert((0, Vec::new())).0 = kind,
                RouteAttrs::Encap(bytes) => read.encap.get_or_insert((0, Vec::new())).1 = bytes.to_vec(),
                RouteAttrs::Cacheinfo(info) => {
                    read.expires =
                        u32::try_from(info.rta_expires.cast_signed()).ok().filter(|ticks| *ticks > 0).map(|t| t / 100);
                }
                _ => {}
            }
        }
        for (attribute, bytes) in raw {
            match attribute.r#type {
                RTA_VIA => read.gateway = read_via(bytes),
                RTA_METRICS => {
                    read.metrics = IterableChunks::new(bytes).map(|(m, value)| (m.r#type, value.to_vec())).collect();
                }
                _ => {}
            }
        }
        Some(read)
    }
}

/// A gateway of the destination's family is `RTA_GATEWAY`; one of the other is `RTA_VIA` (`struct rtvia`).
fn push_gateway(buffer: &mut Vec<u8>, dst: IpAddr, gateway: IpAddr) {
    let octets = |buffer: &mut Vec<u8>| match gateway {
        IpAddr::V4(ip) => buffer.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => buffer.extend_from_slice(&ip.octets()),
    };
    let length = if gateway.is_ipv4() { 4 } else { 16 };
    if dst.is_ipv4() == gateway.is_ipv4() {
        push_header(buffer, RTA_GATEWAY, length);
    } else {
        push_header(buffer, RTA_VIA, length + 2);
        buffer.extend_from_slice(&u16::from(family(gateway)).to_ne_bytes());
    }
    octets(buffer);
}

pub(super) fn read_via(bytes: &[u8]) -> Option<IpAddr> {
    let (family, address) = bytes.split_first_chunk()?;
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => address.first_chunk::<4>().map(|ip| IpAddr::from(*ip)),
        libc::AF_INET6 => address.first_chunk::<16>().map(|ip| IpAddr::from(*ip)),
        _ => None,
    }
}

fn push_metrics(buffer: &mut Vec<u8>, metrics: &[(u16, Vec<u8>)]) {
    if metrics.is_empty() {
        return;
    }
    let nested = push_header(buffer, RTA_METRICS | NLA_F_NESTED, 0);
    for (kind, value) in metrics {
        push_header(buffer, *kind, value.len() as u16);
        buffer.extend_from_slice(value);
    }
    netlink_bindings::utils::finalize_nested_header(buffer, nested);
}

fn push_paths(buffer: &mut Vec<u8>, dst: IpAddr, paths: &[NextHop]) {
    if paths.is_empty() {
        return;
    }
    let nested = push_header(buffer, RTA_MULTIPATH, 0);
    for path in paths {
        let start = buffer.len();
        buffer.extend_from_slice(&[0, 0, (path.flags & GIVEN_FLAGS) as u8, path.weight.saturating_sub(1) as u8]);
        buffer.extend_from_slice(&path.index.to_ne_bytes());
        if let Some(gateway) = path.gateway {
            push_gateway(buffer, dst, gateway);
        }
        if let Some((kind, parameters)) = &path.encap {
            push_bytes(buffer, RTA_ENCAP_TYPE, &kind.to_ne_bytes());
            push_bytes(buffer, RTA_ENCAP | NLA_F_NESTED, parameters);
        }
        let length = (buffer.len() - start) as u16;
        buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        buffer.resize(buffer.len().next_multiple_of(4), 0);
    }
    netlink_bindings::utils::finalize_nested_header(buffer, nested);
}

fn read_paths(mut bytes: &[u8]) -> Vec<NextHop> {
    let mut paths = Vec::new();
    while let Some(head) = bytes.first_chunk::<NEXTHOP>() {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let Some(attributes) = bytes.get(NEXTHOP..length) else { break };
        let mut path = NextHop {
            index: u32::from_ne_bytes([head[4], head[5], head[6], head[7]]),
            gateway: None,
            weight: u16::from(head[3]) + 1,
            flags: u32::from(head[2]),
            encap: None,
        };
        for (attribute, value) in IterableChunks::new(attributes) {
            match attribute.r#type {
                RTA_GATEWAY => path.gateway = netlink_bindings::utils::parse_ip(value),
                RTA_VIA => path.gateway = read_via(value),
                RTA_ENCAP_TYPE => {
                    let kind = value.first_chunk().map_or(0, |bytes| u16::from_ne_bytes(*bytes));
                    path.encap.get_or_insert((0, Vec::new())).0 = kind;
                }
                RTA_ENCAP => path.encap.get_or_insert((0, Vec::new())).1 = value.to_vec(),
                _ => {}
            }
        }
        paths.push(path);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    paths
}

impl fmt::Display for Route {
    /// As the arguments of `ip route add`, without the device.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            kind::LOCAL => f.write_str("local ")?,
            kind::BLACKHOLE => f.write_str("blackhole ")?,
            kind::UNREACHABLE => f.write_str("unreachable ")?,
            kind::PROHIBIT => f.write_str("prohibit ")?,
            kind::THROW => f.write_str("throw ")?,
            _ => {}
        }
        if self.dst.prefix_len() == 0 { f.write_str("default") } else { write!(f, "{}", self.dst) }?;
        if let Some(gateway) = self.gateway {
            let word = if gateway.is_ipv4() == self.dst.addr().is_ipv4() { "via" } else { "via inet6" };
            write!(f, " {word} {gateway}")?;
        }
        for path in &self.paths {
            f.write_str(" nexthop")?;
            path.gateway.map_or(Ok(()), |gateway| write!(f, " via {gateway}"))?;
            write!(f, " if{} weight {}", path.index, path.weight)?;
        }
        self.nexthop.map_or(Ok(()), |id| write!(f, " nhid {id}"))?;
        self.src.map_or(Ok(()), |src| write!(f, " src {src}"))?;
        self.metric.map_or(Ok(()), |metric| write!(f, " metric {metric}"))?;
        for (kind, value) in &self.metrics {
            let word = match *kind {
                RTAX_MTU => "mtu",
                RTAX_ADVMSS => "advmss",
                _ => continue,
            };
            write!(f, " {word} {}", value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes)))?;
        }
        if self.table != table::MAIN {
            write!(f, " table {}", self.table)?;
        }
        match self.scope {
            super::address::scope::UNIVERSE => {}
            super::address::scope::LINK => f.write_str(" scope link")?,
            super::address::scope::HOST => f.write_str(" scope host")?,
            other => write!(f, " scope {other}")?,
        }
        f.write_str(if self.flags & ONLINK != 0 { " onlink" } else { "" })
    }
}

/// Adds a route.
///
/// # Errors
/// `EEXIST` if there is one to the same destination with the same metric and type of service in the table.
pub fn add(socket: &mut Socket, route: &Route) -> Result<()> {
    let mut request = Request::new().set_create().set_excl().op_newroute_do(&route.header());
    route.push(request.encode());
    socket.change(&request, format_args!("add route {route}"))
}

/// Adds a route beside those to the same destination: an alternative before them (IPv4), another path (IPv6).
///
/// # Errors
/// `EEXIST` if there is an identical one; the kernel's words otherwise.
pub fn add_beside(socket: &mut Socket, route: &Route) -> Result<()> {
    let mut request = Request::new().set_create().op_newroute_do(&route.header());
    route.push(request.encode());
    socket.change(&request, format_args!("add route {route}"))
}

/// Removes a route: the one that agrees with everything said.
///
/// # Errors
/// `ESRCH` if there is none; the kernel's words otherwise.
pub fn remove(socket: &mut Socket, route: &Route) -> Result<()> {
    let mut request = Request::new().op_delroute_do(&route.header());
    route.push(request.encode());
    socket.change(&request, format_args!("remove route {route}"))
}

/// Which routes to [`list`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this table; of every table if unset.
    pub table: Option<u32>,
    /// Out of this link, by any of their paths.
    pub index: Option<u32>,
}

/// Reads the routes of one family, filtered by the kernel.
///
/// # Errors
/// The kernel's words.
pub fn list(socket: &mut Socket, ipv6: bool, filter: Filter) -> Result<Vec<Route>> {
    let family = if ipv6 { libc::AF_INET6 } else { libc::AF_INET };
    let header = Rtmsg { rtm_family: family as u8, ..Rtmsg::new() };
    let mut request = Request::new().op_getroute_dump(&header);
    let mut attributes = request.encode();
    if let Some(table) = filter.table {
        attributes = attributes.push_table(table);
    }
    if let Some(index) = filter.index {
        attributes = attributes.push_oif(index);
    }
    drop(attributes);
    match socket.dump(&request, "list routes", Route::read) {
        // A strict dump of a table that nobody has used yet, or of a link that is not there.
        Err(error) if error.is_absent() => Ok(Vec::new()),
        outcome => outcome,
    }
}
