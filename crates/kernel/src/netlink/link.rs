//! Links (`RTM_*LINK`): every kind that netferry makes, what can be set on one, and what the kernel tells about it.
//!
//! Attributes: <https://docs.kernel.org/netlink/specs/rt-link.html>. Three facts shape this file. A veth pair is made
//! with both ends in their final namespaces in one message, but the peer must not be brought up by it (`ENOTCONN`).
//! `IFLA_IFALIAS` and bridge port settings are ignored while a link is made, so they are a [`set`] of their own. The
//! echoed link (`NLM_F_ECHO`, 6.2) names the peer's index in `IFLA_LINK`, which saves asking in the other namespace.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_bindings::rt_link::{
    Ifinfomsg, IterableLinkAttrs, IterableLinkinfoAttrs, LinkAttrs, LinkinfoAttrs, LinkinfoBrportAttrs,
    LinkinfoMemberDataMsg, PropListLinkAttrs, PushLinkAttrs, Request,
};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::{IterableChunks, finalize_nested_header, push_header, push_nested_header};

use super::Socket;
pub use super::kind::{IpvlanMode, Kind, MacvlanMode};
use crate::error::Result;
use crate::mac::Mac;

/// `IFF_UP` and the other device flags of `netdevice(7)`.
pub mod flags {
    /// The device is administratively up.
    pub const UP: u32 = libc::IFF_UP as u32;
    /// The device is the loopback device.
    pub const LOOPBACK: u32 = libc::IFF_LOOPBACK as u32;
    /// The device receives every frame.
    pub const PROMISC: u32 = libc::IFF_PROMISC as u32;
    /// The device receives every multicast frame.
    pub const ALLMULTI: u32 = libc::IFF_ALLMULTI as u32;
    /// The device speaks neither ARP nor NDP.
    pub const NOARP: u32 = libc::IFF_NOARP as u32;
}

/// Leave the counters out of a description: nobody here reads them, and adding them up is most of its cost.
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;

/// `IFLA_OPERSTATE` up (RFC 2863).
pub const OPERSTATE_UP: u8 = 6;

const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
pub(super) const IFLA_LINKINFO: u16 = 18;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_EUI64: u8 = 0;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;

/// Kinds whose two ends name each other as children name their parent.
const PAIRS: [&str; 3] = ["veth", "netkit", "vxcan"];

/// Settings of a bridge port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Port {
    /// Send frames back out of the port they came in by.
    pub hairpin: bool,
    /// Never forward to another isolated port.
    pub isolated: bool,
}

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Interface index, unique within its namespace.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Alternative names.
    pub altnames: Vec<String>,
    /// Kind; `Kind::Other("")` for hardware and loopback.
    pub kind: Kind,
    /// Hardware address, where there is one.
    pub mac: Option<Mac>,
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// Flags of `netdevice(7)`.
    pub flags: u32,
    /// Index of the bridge, bond or VRF it belongs to.
    pub master: Option<u32>,
    /// `IFLA_LINK`: the peer of a veth, the parent of a child device.
    pub peer: Option<u32>,
    /// Identifier, in this namespace, of the namespace in which `peer` lives; `None` if it is this one.
    pub peer_netns: Option<i32>,
    /// Alias (`ip link set alias`).
    pub alias: Option<String>,
    /// Transmit queue length in frames.
    pub txqlen: u32,
    /// Device group.
    pub group: u32,
    /// `IFLA_OPERSTATE`, RFC 2863.
    pub operstate: u8,
    /// Bridge port settings, if it is one.
    pub port: Option<Port>,
    /// Hardware address that the device was built with, where it has one.
    pub permanent_mac: Option<Mac>,
    /// Bus of the device that it belongs to (`pci`).
    pub parent_bus: Option<String>,
    /// Name of that device on its bus (`0000:01:00.0`).
    pub parent_device: Option<String>,
    /// Identifier of the XDP program attached to it.
    pub xdp: Option<u32>,
    /// The kernel keeps it in its namespace; `None` if it does not say (before 6.15).
    pub netns_immutable: Option<bool>,
}

impl Link {
    /// True if it is administratively up.
    pub const fn is_up(&self) -> bool {
        self.flags & flags::UP != 0
    }

    /// True if it is made upon another link, here or in another namespace. The two ends of a pair name each other in the
    /// same way, and are not.
    pub fn is_child(&self) -> bool {
        self.peer.is_some() && !PAIRS.contains(&self.kind.name())
    }

    /// True if it is made upon the link of index `parent` of its own namespace.
    pub fn is_child_of(&self, parent: u32) -> bool {
        self.is_child() && self.peer == Some(parent) && self.peer_netns.is_none()
    }

    pub(super) fn read((header, attributes): (Ifinfomsg, IterableLinkAttrs<'_>)) -> Self {
        let mut link = Self {
            index: header.ifi_index.unsigned_abs(),
            name: String::new(),
            altnames: Vec::new(),
            kind: Kind::Other(String::new()),
            mac: None,
            mtu: 0,
            flags: header.ifi_flags,
            master: None,
            peer: None,
            peer_netns: None,
            alias: None,
            txqlen: 0,
            group: 0,
            operstate: 0,
            port: None,
            permanent_mac: None,
            parent_bus: None,
            parent_device: None,
            xdp: None,
            netns_immutable: None,
        };
        for attribute in attributes.flatten() {
            match attribute {
                LinkAttrs::Ifname(name) => link.name = name.to_string_lossy().into_owned(),
                LinkAttrs::Address(bytes) => link.mac = Mac::from_bytes(bytes),
                LinkAttrs::Mtu(mtu) => link.mtu = mtu,
                LinkAttrs::Master(index) => link.master = Some(index),
                LinkAttrs::Link(index) => link.peer = Some(index).filter(|index| *index != 0),
                LinkAttrs::LinkNetnsid(id) => link.peer_netns = Some(id),
                LinkAttrs::Ifalias(alias) => link.alias = Some(alias.to_string_lossy().into_owned()),
                LinkAttrs::Txqlen(length) => link.txqlen = length,
                LinkAttrs::Group(group) => link.group = group,
                LinkAttrs::Operstate(state) => link.operstate = state,
                LinkAttrs::PropList(list) => {
                    for PropListLinkAttrs::AltIfname(name) in list.flatten() {
                        link.altnames.push(name.to_string_lossy().into_owned());
                    }
                }
                LinkAttrs::Linkinfo(info) => link.read_info(info),
                LinkAttrs::PermAddress(bytes) => link.permanent_mac = Mac::from_bytes(bytes),
                LinkAttrs::ParentDevBusName(bus) => link.parent_bus = Some(bus.to_string_lossy().into_owned()),
                LinkAttrs::ParentDevName(name) => link.parent_device = Some(name.to_string_lossy().into_owned()),
                LinkAttrs::NetnsImmutable(immutable) => link.netns_immutable = Some(immutable != 0),
                LinkAttrs::Xdp(xdp) => link.xdp = xdp.get_prog_id().ok(),
                _ => {}
            }
        }
        link
    }

    fn read_info(&mut self, info: IterableLinkinfoAttrs<'_>) {
        let raw = IterableChunks::new(info.get_buf());
        for attribute in info.flatten() {
            match attribute {
                LinkinfoAttrs::Kind(kind) => self.kind = Kind::read(&kind.to_string_lossy(), raw),
                LinkinfoAttrs::SlaveData(LinkinfoMemberDataMsg::Bridge(port)) => {
                    let mut settings = Port::default();
                    for attribute in port.flatten() {
                        match attribute {
                            LinkinfoBrportAttrs::Mode(mode) => settings.hairpin = mode != 0,
                            LinkinfoBrportAttrs::Isolated(isolated) => settings.isolated = isolated != 0,
                            _ => {}
                        }
                    }
                    self.port = Some(settings);
                }
                _ => {}
            }
        }
    }
}

/// A link to be made.
#[derive(Debug, Clone)]
pub struct NewLink<'a> {
    /// Name in the namespace it is made in.
    pub name: &'a str,
    /// Kind.
    pub kind: &'a Kind,
    /// Hardware address; the kernel's choice if unset.
    pub mac: Option<Mac>,
    /// Maximum transmission unit in bytes; the kernel's choice if unset.
    pub mtu: Option<u32>,
    /// Bring it up at once.
    pub up: bool,
    /// Index of the bridge or VRF that it joins at once.
    pub master: Option<u32>,
    /// Index of the parent, for children (macvlan, ipvlan, vlan).
    pub parent: Option<u32>,
    /// Make it in this namespace rather than in the socket's; `parent` stays an index of the socket's.
    pub netns: Option<BorrowedFd<'a>>,
    /// The other end of a veth.
    pub peer: Option<NewPeer<'a>>,
}

/// The other end of a veth to be made. It comes up later, from within its own namespace.
#[derive(Debug, Clone)]
pub struct NewPeer<'a> {
    /// Name.
    pub name: &'a str,
    /// Hardware address; the kernel's choice if unset.
    pub mac: Option<Mac>,
    /// Maximum transmission unit in bytes; the kernel's choice if unset.
    pub mtu: Option<u32>,
    /// Its namespace; the socket's if unset.
    pub netns: Option<BorrowedFd<'a>>,
}

impl NewLink<'_> {
    /// A link of `kind` named `name`, everything else the kernel's choice.
    pub const fn new<'a>(name: &'a str, kind: &'a Kind) -> NewLink<'a> {
        NewLink { name, kind, mac: None, mtu: None, up: false, master: None, parent: None, netns: None, peer: None }
    }
}

/// Makes a link and returns it as the kernel made it, or `None` where the kernel does not echo (before 6.2).
///
/// # Errors
/// `EEXIST` if the name is taken, in either namespace of a veth; the kernel's words otherwise.
pub fn add(socket: &mut Socket, new: &NewLink<'_>) -> Result<Option<Link>> {
    let up = if new.up { flags::UP } else { 0 };
    let header = Ifinfomsg { ifi_flags: up, ifi_change: up, ..Ifinfomsg::new() };
    let mut request = Request::new().set_create().set_excl().op_newlink_do(&header);
    let mut attributes = common(request.encode(), new.name, new.mac, new.mtu, new.netns);
    if *new.kind == Kind::Veth {
        attributes = one_queue(attributes);
    }
    if let Some(master) = new.master {
        attributes = attributes.push_master(master);
    }
    if let Some(parent) = new.parent {
        attributes = attributes.push_link(parent);
    }
    new.kind.push(attributes.as_vec_mut(), new.peer.as_ref());
    drop(attributes);
    match &new.peer {
        None => socket.change_echo(&request, format_args!("create {} {}", new.kind.name(), new.name), Link::read),
        Some(peer) => {
            let what = format_args!("create veth {} with peer {}", new.name, peer.name);
            socket.change_echo(&request, what, Link::read)
        }
    }
}

pub(super) fn common<P: Pusher>(
    mut attributes: PushLinkAttrs<P>,
    name: &str,
    mac: Option<Mac>,
    mtu: Option<u32>,
    netns: Option<BorrowedFd<'_>>,
) -> PushLinkAttrs<P> {
    attributes = attributes.push_ifname_bytes(name.as_bytes());
    if let Some(mac) = mac {
        attributes = attributes.push_address(mac.as_bytes());
    }
    if let Some(mtu) = mtu {
        attributes = attributes.push_mtu(mtu);
    }
    match netns {
        Some(netns) => attributes.push_net_ns_fd(netns.as_raw_fd().unsigned_abs()),
        None => attributes,
    }
}

/// One queue each way. Left to itself, a veth gets one for every processor there might ever be, each with its objects in
/// sysfs, and goes on to give back all but one, which waits for a grace period under RTNL: more than half of the time
/// that a pair costs on two processors. What it ends with is one queue either way (`veth_init_queues`).
pub(super) fn one_queue<P: Pusher>(attributes: PushLinkAttrs<P>) -> PushLinkAttrs<P> {
    attributes.push_num_tx_queues(1).push_num_rx_queues(1)
}

pub(super) fn push_bytes(buffer: &mut Vec<u8>, kind: u16, bytes: &[u8]) {
    push_header(buffer, kind, bytes.len() as u16);
    buffer.extend_from_slice(bytes);
}

/// What to change on a link that exists; a field that is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// Administrative state.
    pub up: Option<bool>,
    /// Receive every frame.
    pub promisc: Option<bool>,
    /// Receive every multicast frame.
    pub allmulti: Option<bool>,
    /// Name.
    pub name: Option<&'a str>,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// Maximum transmission unit in bytes.
    pub mtu: Option<u32>,
    /// Transmit queue length in frames.
    pub txqlen: Option<u32>,
    /// Device group.
    pub group: Option<u32>,
    /// Index of the bridge or VRF to join; 0 leaves it.
    pub master: Option<u32>,
    /// Alias; an empty one removes it.
    pub alias: Option<&'a str>,
    /// Bridge port settings; the link must be a port by then or by the same change.
    pub port: Option<Port>,
    /// The kernel makes itself an IPv6 link-local address once there is a carrier (`addrgenmode`). Nothing to do, and no
    /// error, on a link that has no IPv6.
    pub link_local: Option<bool>,
}

/// Changes a link.
///
/// # Errors
/// `ENODEV` if there is none of this index; the kernel's words otherwise. A change of several fields is not atomic.
pub fn set(socket: &mut Socket, index: u32, name: &str, change: &Change<'_>) -> Result<()> {
    match request_change(socket, index, name, change) {
        // No IPv6 in this kernel, or too small an MTU for it: seen before anything is changed (`validate_linkmsg`).
        Err(error) if error.errno == libc::EAFNOSUPPORT && change.link_local.is_some() => {
            request_change(socket, index, name, &Change { link_local: None, ..*change })
        }
        outcome => outcome,
    }
}

fn request_change(socket: &mut Socket, index: u32, name: &str, change: &Change<'_>) -> Result<()> {
    let mut header = Ifinfomsg { ifi_index: index.cast_signed(), ..Ifinfomsg::new() };
    for (wanted, flag) in [(change.up, flags::UP), (change.promisc, flags::PROMISC), (change.allmulti, flags::ALLMULTI)]
    {
        if let Some(wanted) = wanted {
            header.ifi_change |= flag;
            header.ifi_flags |= if wanted { flag } else { 0 };
        }
    }
    let mut request = Request::new().op_newlink_do(&header);
    let mut attributes = request.encode();
    if let Some(name) = change.name {
        attributes = attributes.push_ifname_bytes(name.as_bytes());
    }
    if let Some(mac) = change.mac {
        attributes = attributes.push_address(mac.as_bytes());
    }
    if let Some(mtu) = change.mtu {
        attributes = attributes.push_mtu(mtu);
    }
    if let Some(length) = change.txqlen {
        attributes = attributes.push_txqlen(length);
    }
    if let Some(group) = change.group {
        attributes = attributes.push_group(group);
    }
    if let Some(master) = change.master {
        attributes = attributes.push_master(master);
    }
    if let Some(alias) = change.alias {
        attributes = attributes.push_ifalias_bytes(alias.as_bytes());
    }
    if let Some(port) = change.port {
        push_port(attributes.as_vec_mut(), port);
    }
    if let Some(link_local) = change.link_local {
        push_addr_gen_mode(attributes.as_vec_mut(), link_local);
    }
    drop(attributes);
    socket.change(&request, format_args!("set {change} on link {name}"))
}

fn push_port(buffer: &mut Vec<u8>, port: Port) {
    let info = push_nested_header(buffer, IFLA_LINKINFO);
    push_bytes(buffer, IFLA_INFO_SLAVE_KIND, b"bridge");
    let data = push_nested_header(buffer, IFLA_INFO_SLAVE_DATA);
    push_bytes(buffer, IFLA_BRPORT_MODE, &[u8::from(port.hairpin)]);
    push_bytes(buffer, IFLA_BRPORT_ISOLATED, &[u8::from(port.isolated)]);
    finalize_nested_header(buffer, data);
    finalize_nested_header(buffer, info);
}

fn push_addr_gen_mode(buffer: &mut Vec<u8>, link_local: bool) {
    let families = push_nested_header(buffer, IFLA_AF_SPEC);
    let ipv6 = push_nested_header(buffer, libc::AF_INET6 as u16);
    let mode = if link_local { IN6_ADDR_GEN_MODE_EUI64 } else { IN6_ADDR_GEN_MODE_NONE };
    push_bytes(buffer, IFLA_INET6_ADDR_GEN_MODE, &[mode]);
    finalize_nested_header(buffer, ipv6);
    finalize_nested_header(buffer, families);
}

impl fmt::Display for Change<'_> {
    /// As the arguments of `ip link set` and `bridge link set`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |value: bool| if value { "on" } else { "off" };
        let mut words: Vec<String> = Vec::new();
        words.extend(self.name.map(|name| format!("name {name}")));
        words.extend(self.mac.map(|mac| format!("address {mac}")));
        words.extend(self.mtu.map(|mtu| format!("mtu {mtu}")));
        words.extend(self.txqlen.map(|length| format!("txqueuelen {length}")));
        words.extend(self.group.map(|group| format!("group {group}")));
        words
            .extend(self.master.map(|master| if master == 0 { "nomaster".into() } else { format!("master {master}") }));
        words.extend(self.alias.map(|alias| format!("alias {alias}")));
        words.extend(self.port.map(|p| format!("hairpin {} isolated {}", on(p.hairpin), on(p.isolated))));
        words.extend(self.link_local.map(|made| format!("addrgenmode {}", if made { "eui64" } else { "none" })));
        words.extend(self.promisc.map(|value| format!("promisc {}", on(value))));
        words.extend(self.allmulti.map(|value| format!("allmulticast {}", on(value))));
        words.extend(self.up.map(|up| if up { "up".into() } else { "down".into() }));
        f.write_str(&words.join(" "))
    }
}

/// Reads the link named `name`, or alternatively so; `None` if there is none.
///
/// # Errors
/// The kernel's words.
pub fn get(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    get_by_name(socket, name, Link::read)
}

/// Hands the description of the link named `name`, or alternatively so, to `read`; `None` if there is none.
pub(super) fn get_by_name<T>(
    socket: &mut Socket,
    name: &str,
    read: impl FnMut((Ifinfomsg, IterableLinkAttrs<'_>)) -> T,
) -> Result<Option<T>> {
    let mut request = Request::new().op_getlink_do(&Ifinfomsg::new());
    let attributes = request.encode().push_ext_mask(RTEXT_FILTER_SKIP_STATS);
    // Only alternative names may be as long as this, and they are found by either attribute.
    drop(if name.len() < libc::IFNAMSIZ {
        attributes.push_ifname_bytes(name.as_bytes())
    } else {
        attributes.push_alt_ifname_bytes(name.as_bytes())
    });
    absent_is_none(socket.get(&request, format_args!("look up link {name}"), read))
}

/// Reads the link of index `index`; `None` if there is none.
///
/// # Errors
/// The kernel's words.
pub fn get_by_index(socket: &mut Socket, index: u32) -> Result<Option<Link>> {
    let header = Ifinfomsg { ifi_index: index.cast_signed(), ..Ifinfomsg::new() };
    let mut request = Request::new().op_getlink_do(&header);
    request.encode().push_ext_mask(RTEXT_FILTER_SKIP_STATS);
    absent_is_none(socket.get(&request, format_args!("look up link {index}"), Link::read))
}

fn absent_is_none<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.errno == libc::ENODEV => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads every link, or every member of `master`.
///
/// # Errors
/// The kernel's words.
pub fn list(socket: &mut Socket, master: Option<u32>) -> Result<Vec<Link>> {
    let mut request = Request::new().op_getlink_dump(&Ifinfomsg::new());
    request.encode().push_ext_mask(RTEXT_FILTER_SKIP_STATS);
    if let Some(master) = master {
        request.encode().push_master(master);
    }
    socket.dump(&request, "list links", |reply| Some(Link::read(reply)))
}

/// Removes a link, and waits until the kernel has let go of it: 10 to 40 ms of grace periods.
/// [`crate::depart`] removes one without the wait.
///
/// # Errors
/// `ENODEV` if there is none; the kernel's words otherwise.
pub fn remove(socket: &mut Socket, index: u32, name: &str) -> Result<()> {
    socket.change(&remove_request(index), format_args!("delete link {name}"))
}

/// The request that [`remove`] sends.
pub(crate) fn remove_request(index: u32) -> netlink_bindings::rt_link::OpDellinkDo<'static> {
    Request::new().op_dellink_do(&Ifinfomsg { ifi_index: index.cast_signed(), ..Ifinfomsg::new() })
}
