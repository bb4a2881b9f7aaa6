//! Flows that connection tracking remembers: those to forget when an address or a port changes its owner.
//!
//! A flow keeps the translation with which it began, so one to a port that has just been mapped, or from an address that
//! another container has now, goes on to the wrong place until it is forgotten. The kernel filters the dump (since 5.8;
//! what an older one sends too much is left alone here), and each flow is deleted by its original tuple and its number.
//! Kernel: `net/netfilter/nf_conntrack_netlink.c`.

use std::net::IpAddr;

use netlink_bindings::conntrack::{
    IterableConntrackAttrs, IterableTupleAttrs, Nfgenmsg, OpGetDump, PushConntrackAttrs, PushTupleAttrs, Request,
};
use netlink_bindings::traits::{NetlinkRequest, Protocol, Pusher};
use netlink_bindings::utils::find_attr;

use crate::error::Result;
use crate::netlink::Socket;

const IPCTNL_MSG_CT_DELETE: u16 = 2;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;

/// `CTA_FILTER_FLAG`: which parts of a tuple a dump compares.
const BY_SOURCE: u32 = 1;
const BY_DESTINATION: u32 = 1 << 1;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_DESTINATION_PORT: u32 = 1 << 5;

/// Which flows to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flows {
    /// Those from or to an address, before or after translation.
    Of(IpAddr),
    /// Those of a transport protocol (`IPPROTO_*`) that were sent to a port of an address, before translation; of the
    /// unspecified address (`0.0.0.0`, `::`), to that port of any address of the family.
    To(u8, IpAddr, u16),
}

/// One direction of a flow and the parts of it that are compared.
#[derive(Clone, Copy)]
struct Pattern {
    reply: bool,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    port: Option<(u8, u16)>,
}

/// Forgets `flows` and returns how many they were. A flow that ends meanwhile is not counted.
///
/// # Errors
/// What the kernel says; `EOPNOTSUPP` or `EINVAL` where it has no connection tracking over netlink.
pub fn forget(socket: &mut Socket, flows: Flows) -> Result<usize> {
    match flows {
        Flows::To(protocol, address, port) => {
            let destination = Some(address).filter(|address| !address.is_unspecified());
            let pattern = Pattern { destination, port: Some((protocol, port)), ..Pattern::ANY };
            forget_matching(socket, address, pattern.asked(), &[pattern])
        }
        Flows::Of(address) => {
            let source = Pattern { source: Some(address), ..Pattern::ANY };
            let destination = Pattern { destination: Some(address), ..Pattern::ANY };
            let replies = [source, destination].map(|pattern| Pattern { reply: true, ..pattern });
            let patterns = [source, destination, replies[0], replies[1]];
            if address.is_ipv6() {
                return forget_matching(socket, address, Pattern::ANY, &patterns);
            }
            patterns.iter().try_fold(0, |count, pattern| {
                Ok(count + forget_matching(socket, address, *pattern, std::slice::from_ref(pattern))?)
            })
        }
    }
}

/// Forgets the flows of a family that match any of `patterns`, of those that match `asked`.
fn forget_matching(socket: &mut Socket, family: IpAddr, asked: Pattern, patterns: &[Pattern]) -> Result<usize> {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = if family.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 };
    let mut request = Request::new().op_get_dump(&header);
    asked.write(request.encode());
    let found = socket.dump(&request, "list tracked flows", |(_, flow)| {
        patterns.iter().any(|pattern| pattern.matches(&flow)).then(|| Delete::new(&header, &flow))
    })?;
    let mut count = 0;
    for delete in found {
        match socket.change(&delete, "forget a tracked flow") {
            Ok(()) => count += 1,
            Err(error) if error.is_absent() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

impl Pattern {
    const ANY: Self = Self { reply: false, source: None, destination: None, port: None };

    /// What of it the kernel is asked to compare: not IPv6 addresses, for which 6.18 leaves out the very flows that
    /// have them.
    fn asked(self) -> Self {
        let v4 = |address: &IpAddr| address.is_ipv4();
        Self { source: self.source.filter(v4), destination: self.destination.filter(v4), ..self }
    }

    fn write<P: Pusher>(&self, attributes: PushConntrackAttrs<P>) {
        let parts = [
            (self.source.is_some(), BY_SOURCE),
            (self.destination.is_some(), BY_DESTINATION),
            (self.port.is_some(), BY_PROTOCOL | BY_DESTINATION_PORT),
        ];
        let flags = parts.iter().filter(|(given, _)| *given).fold(0, |flags, (_, flag)| flags | flag);
        if flags == 0 {
            return;
        }
        if self.reply {
            let attributes = self.write_tuple(attributes.nested_tuple_reply()).end_nested();
            attributes.nested_filter().push_orig_flags(0).push_reply_flags(flags);
        } else {
            let attributes = self.write_tuple(attributes.nested_tuple_orig()).end_nested();
            attributes.nested_filter().push_orig_flags(flags).push_reply_flags(0);
        }
    }

    fn write_tuple<P: Pusher>(&self, tuple: PushTupleAttrs<P>) -> PushTupleAttrs<P> {
        let mut ip = tuple.nested_tuple_ip();
        ip = match self.source {
            Some(IpAddr::V4(address)) => ip.push_ip_v4_src(address),
            Some(IpAddr::V6(address)) => ip.push_ip_v6_src(address),
            None => ip,
        };
        ip = match self.destination {
            Some(IpAddr::V4(address)) => ip.push_ip_v4_dst(address),
            Some(IpAddr::V6(address)) => ip.push_ip_v6_dst(address),
            None => ip,
        };
        let tuple = ip.end_nested();
        match self.port {
            Some((protocol, port)) => {
                tuple.nested_tuple_proto().push_proto_num(protocol).push_proto_dst_port(port).end_nested()
            }
            None => tuple,
        }
    }

    fn matches(&self, flow: &IterableConntrackAttrs<'_>) -> bool {
        let tuple = if self.reply { flow.get_tuple_reply() } else { flow.get_tuple_orig() };
        tuple.is_ok_and(|tuple| self.matches_tuple(&tuple))
    }

    fn matches_tuple(&self, tuple: &IterableTupleAttrs<'_>) -> bool {
        let Ok(ip) = tuple.get_tuple_ip() else { return false };
        let source = || ip.get_ip_v4_src().map(IpAddr::V4).or_else(|_| ip.get_ip_v6_src().map(IpAddr::V6)).ok();
        let destination = || ip.get_ip_v4_dst().map(IpAddr::V4).or_else(|_| ip.get_ip_v6_dst().map(IpAddr::V6)).ok();
        let port = || {
            let proto = tuple.get_tuple_proto().ok()?;
            Some((proto.get_proto_num().ok()?, proto.get_proto_dst_port().ok()?))
        };
        (self.source.is_none() || self.source == source())
            && (self.destination.is_none() || self.destination == destination())
            && (self.port.is_none() || self.port == port())
    }
}

/// `IPCTNL_MSG_CT_DELETE`, which the codec lacks.
struct Delete(Vec<u8>);

impl Delete {
    /// Deletes `flow` and no later one of the same tuple: its number goes along.
    fn new(header: &Nfgenmsg, flow: &IterableConntrackAttrs<'_>) -> Self {
        let mut payload = header.as_slice().to_vec();
        for kind in [CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE] {
            if let Some(value) = find_attr(flow.get_buf(), kind) {
                let nested = if kind == CTA_TUPLE_ORIG { libc::NLA_F_NESTED as u16 } else { 0 };
                payload.extend((value.len() as u16 + 4).to_ne_bytes());
                payload.extend((kind | nested).to_ne_bytes());
                payload.extend(value);
                payload.resize(payload.len().next_multiple_of(4), 0);
            }
        }
        Self(payload)
    }
}

impl NetlinkRequest for Delete {
    type ReplyType<'buf> = <OpGetDump<'static> as NetlinkRequest>::ReplyType<'buf>;

    fn protocol(&self) -> Protocol {
        let request_type = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | IPCTNL_MSG_CT_DELETE;
        Protocol::Raw { protonum: libc::NETLINK_NETFILTER as u16, request_type }
    }

    fn flags(&self) -> u16 {
        0
    }

    fn payload(&self) -> &[u8] {
        &self.0
    }

    fn decode_reply(buf: &[u8]) -> Self::ReplyType<'_> {
        OpGetDump::decode_reply(buf)
    }
}
