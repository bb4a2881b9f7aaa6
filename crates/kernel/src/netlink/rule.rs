//! Policy rules (`RTM_*RULE`) with every attribute the kernel keeps, so that one that is read can be put back the same.
//!
//! Attributes: <https://docs.kernel.org/netlink/specs/rt-rule.html>. The kernel compares rules loosely: what a request
//! leaves unsaid agrees with anything. So `NLM_F_EXCL` takes a more specific rule for the same one, and `RTM_DELRULE`
//! removes the first that agrees; [`add`] and [`remove`] here mean exactly the rule that they are given.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;
use netlink_bindings::rt_rule::{
    FibRuleAttrs, FibRuleHdr, FibRulePortRange, FibRuleUidRange, IterableFibRuleAttrs, PushFibRuleAttrs, Request,
};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::IterableChunks;
use serde::{Deserialize, Serialize};

use super::link::push_bytes;
use super::{Socket, is_default, route};
use crate::error::{Error, Result};

/// `FR_ACT_*`: what a rule does with a packet that it selects.
pub mod action {
    /// Look its route up in the table.
    pub const LOOKUP: u8 = 1;
    /// Go on at the rule of another priority.
    pub const GOTO: u8 = 2;
    /// Go on at the next rule.
    pub const NOP: u8 = 3;
    /// Drop it in silence.
    pub const BLACKHOLE: u8 = 6;
    /// Drop it and say "network unreachable".
    pub const UNREACHABLE: u8 = 7;
    /// Drop it and say "administratively prohibited".
    pub const PROHIBIT: u8 = 8;
}

const FIB_RULE_INVERT: u32 = 2;
const FRA_FLOW: u16 = 11;
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_DSCP: u16 = 25;
const FRA_SPORT_MASK: u16 = 28;
const FRA_DPORT_MASK: u16 = 29;

/// The packet mark that a rule selects: those whose bits under `mask` are `value`'s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "said above")]
pub struct Mark {
    pub value: u32,
    pub mask: u32,
}

/// A policy rule: which packets, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Of IPv6 rather than IPv4.
    pub ipv6: bool,
    /// Rules are tried in this order, the lowest first; those of equal priority in the order they were added.
    pub priority: u32,
    /// It selects the packets that do *not* match.
    #[serde(default, skip_serializing_if = "is_default")]
    pub invert: bool,
    /// Source of the packet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub from: Option<IpNet>,
    /// Destination of the packet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub to: Option<IpNet>,
    /// Name of the link by which it came; `lo` for this host's own. The link need not exist.
    #[serde(default, skip_serializing_if = "is_default")]
    pub iif: Option<String>,
    /// Name of the link to which its socket is bound. The link need not exist.
    #[serde(default, skip_serializing_if = "is_default")]
    pub oif: Option<String>,
    /// Its mark.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fwmark: Option<Mark>,
    /// Its type of service; 0 is any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tos: u8,
    /// Its protocol (`IPPROTO_*`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub ipproto: Option<u8>,
    /// Its source port, below 65535.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sport: Option<RangeInclusive<u16>>,
    /// Its destination port, below 65535.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dport: Option<RangeInclusive<u16>>,
    /// User of its socket.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uidrange: Option<RangeInclusive<u32>>,
    /// What becomes of it, see [`action`].
    pub action: u8,
    /// Table that [`action::LOOKUP`] looks in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub table: u32,
    /// Look in the table of the link's VRF instead; `table` is 0 then.
    #[serde(default, skip_serializing_if = "is_default")]
    pub l3mdev: bool,
    /// Routes with a prefix of this length or shorter do not count.
    #[serde(default, skip_serializing_if = "is_default")]
    pub suppress_prefixlength: Option<u32>,
    /// Priority of the rule that [`action::GOTO`] goes to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub goto: Option<u32>,
    /// Who made it (`RTPROT_*`); 0 is unspecified.
    #[serde(default, skip_serializing_if = "is_default")]
    pub protocol: u8,
    /// What else the kernel keeps, as it writes it: type and value (realms, tunnel, DSCP, flow label, masks).
    #[serde(default, skip_serializing_if = "is_default")]
    pub rest: Vec<(u16, Vec<u8>)>,
}

impl Rule {
    /// A rule for every packet that looks in `table`, with nothing else said.
    pub const fn new(ipv6: bool, priority: u32, table: u32) -> Self {
        Self {
            ipv6,
            priority,
            invert: false,
            from: None,
            to: None,
            iif: None,
            oif: None,
            fwmark: None,
            tos: 0,
            ipproto: None,
            sport: None,
            dport: None,
            uidrange: None,
            action: action::LOOKUP,
            table,
            l3mdev: false,
            suppress_prefixlength: None,
            goto: None,
            protocol: 0,
            rest: Vec::new(),
        }
    }

    fn header(&self) -> FibRuleHdr {
        let length = |net: &Option<IpNet>| net.as_ref().map_or(0, IpNet::prefix_len);
        FibRuleHdr {
            family: family(self.ipv6),
            dst_len: length(&self.to),
            src_len: length(&self.from),
            tos: self.tos,
            // Tables above 255 go into FRA_TABLE; RT_TABLE_COMPAT stands for them here.
            table: u8::try_from(self.table).unwrap_or(libc::RT_TABLE_COMPAT),
            action: self.action,
            flags: if self.invert { FIB_RULE_INVERT } else { 0 },
            ..FibRuleHdr::new()
        }
    }

    fn push(&self, attributes: PushFibRuleAttrs<&mut Vec<u8>>) {
        let mut attributes = self.push_action(attributes.push_priority(self.priority));
        if let Some(from) = self.from.filter(|from| from.prefix_len() > 0) {
            attributes = attributes.push_src(from.addr());
        }
        if let Some(to) = self.to.filter(|to| to.prefix_len() > 0) {
            attributes = attributes.push_dst(to.addr());
        }
        if let Some(iif) = &self.iif {
            attributes = attributes.push_iifname_bytes(iif.as_bytes());
        }
        if let Some(oif) = &self.oif {
            attributes = attributes.push_oifname_bytes(oif.as_bytes());
        }
        if let Some(mark) = self.fwmark {
            attributes = attributes.push_fwmark(mark.value).push_fwmask(mark.mask);
        }
        if let Some(protocol) = self.ipproto {
            attributes = attributes.push_ip_proto(protocol);
        }
        if let Some(ports) = &self.sport {
            attributes = attributes.push_sport_range(FibRulePortRange { start: *ports.start(), end: *ports.end() });
        }
        if let Some(ports) = &self.dport {
            attributes = attributes.push_dport_range(FibRulePortRange { start: *ports.start(), end: *ports.end() });
        }
        if let Some(users) = &self.uidrange {
            attributes = attributes.push_uid_range(FibRuleUidRange { start: *users.start(), end: *users.end() });
        }
        for (kind, value) in &self.rest {
            push_bytes(attributes.as_vec_mut(), *kind, value);
        }
    }

    fn push_action<P: Pusher>(&self, mut attributes: PushFibRuleAttrs<P>) -> PushFibRuleAttrs<P> {
        if self.table != 0 {
            attributes = attributes.push_table(self.table);
        }
        if self.l3mdev {
            attributes = attributes.push_l3mdev(1);
        }
        if let Some(length) = self.suppress_prefixlength {
            attributes = attributes.push_suppress_prefixlen(length);
        }
        if let Some(priority) = self.goto {
            attributes = attributes.push_goto(priority);
        }
        if self.protocol != 0 {
            attributes = attributes.push_protocol(self.protocol);
        }
        attributes
    }

    /// True if `there` has everything that this rule says: the kernel's own comparison when it removes one.
    fn agrees_with(&self, there: &Self) -> bool {
        let seen = Self {
            // Not compared at all.
            invert: self.invert,
            from: self.from.and(there.from),
            to: self.to.and(there.to),
            iif: self.iif.as_ref().and(there.iif.clone()),
            oif: self.oif.as_ref().and(there.oif.clone()),
            fwmark: self.fwmark.and(there.fwmark),
            tos: if self.tos == 0 { 0 } else { there.tos },
            ipproto: self.ipproto.and(there.ipproto),
            sport: self.sport.as_ref().and(there.sport.clone()),
            dport: self.dport.as_ref().and(there.dport.clone()),
            uidrange: self.uidrange.as_ref().and(there.uidrange.clone()),
            table: if self.table == 0 { 0 } else { there.table },
            l3mdev: self.l3mdev && there.l3mdev,
            suppress_prefixlength: self.suppress_prefixlength.and(there.suppress_prefixlength),
            goto: self.goto,
            protocol: if self.protocol == 0 { 0 } else { there.protocol },
            rest: if self.rest.is_empty() { Vec::new() } else { there.rest.clone() },
            ..*there
        };
        seen == *self
    }

    fn read((header, attributes): (FibRuleHdr, IterableFibRuleAttrs<'_>)) -> Self {
        let mut read = Self::new(i32::from(header.family) == libc::AF_INET6, 0, u32::from(header.table));
        read.invert = header.flags & FIB_RULE_INVERT != 0;
        read.tos = header.tos;
        read.action = header.action;
        read.rest = rest(IterableChunks::new(attributes.get_buf()));
        let any = if read.ipv6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        let net = |ip: IpAddr, length: u8| IpNet::new(ip, length).ok().filter(|_| length > 0);
        (read.from, read.to) = (net(any, header.src_len), net(any, header.dst_len));
        for attribute in attributes.flatten() {
            match attribute {
                FibRuleAttrs::Src(ip) => read.from = net(ip, header.src_len),
                FibRuleAttrs::Dst(ip) => read.to = net(ip, header.dst_len),
                FibRuleAttrs::Iifname(name) => read.iif = Some(name.to_string_lossy().into_owned()),
                FibRuleAttrs::Oifname(name) => read.oif = Some(name.to_string_lossy().into_owned()),
                FibRuleAttrs::Priority(priority) => read.priority = priority,
                FibRuleAttrs::Fwmark(value) => read.fwmark.get_or_insert(Mark { value: 0, mask: 0 }).value = value,
                FibRuleAttrs::Fwmask(mask) => read.fwmark.get_or_insert(Mark { value: 0, mask: 0 }).mask = mask,
                FibRuleAttrs::Table(table) => read.table = table,
                FibRuleAttrs::Goto(priority) => read.goto = Some(priority),
                FibRuleAttrs::L3mdev(on) => read.l3mdev = on != 0,
                // The kernel says all ones where nothing is suppressed.
                FibRuleAttrs::SuppressPrefixlen(u32::MAX) => {}
                FibRuleAttrs::SuppressPrefixlen(length) => read.suppress_prefixlength = Some(length),
                FibRuleAttrs::IpProto(protocol) => read.ipproto = Some(protocol),
                FibRuleAttrs::SportRange(ports) => read.sport = Some(ports.start..=ports.end),
                FibRuleAttrs::DportRange(ports) => read.dport = Some(ports.start..=ports.end),
                FibRuleAttrs::UidRange(users) => read.uidrange = Some(users.start..=users.end),
                FibRuleAttrs::Protocol(protocol) => read.protocol = protocol,
                _ => {}
            }
        }
        read
    }
}

/// The attributes that are carried as they are. A mask of all ones is what the kernel (6.15) says of a single port.
fn rest(attributes: IterableChunks<'_>) -> Vec<(u16, Vec<u8>)> {
    attributes
        .map(|(attribute, value)| (attribute.r#type, value))
        .filter(|(kind, value)| match *kind {
            FRA_SPORT_MASK | FRA_DPORT_MASK => *value != [0xff, 0xff],
            FRA_FLOW..=FRA_SUPPRESS_IFGROUP => true,
            other => other >= FRA_DSCP,
        })
        .map(|(kind, value)| (kind, value.to_vec()))
        .collect()
}

const fn family(ipv6: bool) -> u8 {
    if ipv6 { libc::AF_INET6 as u8 } else { libc::AF_INET as u8 }
}

impl fmt::Display for Rule {
    /// As the arguments of `ip rule add`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "priority {}", self.priority)?;
        f.write_str(if self.invert { " not" } else { "" })?;
        match &self.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        word(f, "to", self.to.as_ref())?;
        if self.tos != 0 {
            write!(f, " tos {:#x}", self.tos)?;
        }
        if let Some(Mark { value, mask }) = self.fwmark {
            write!(f, " fwmark {value:#x}/{mask:#x}")?;
        }
        word(f, "iif", self.iif.as_ref())?;
        word(f, "oif", self.oif.as_ref())?;
        range(f, "uidrange", self.uidrange.as_ref())?;
        word(f, "ipproto", self.ipproto)?;
        range(f, "sport", self.sport.as_ref())?;
        range(f, "dport", self.dport.as_ref())?;
        match self.action {
            action::LOOKUP if self.l3mdev => f.write_str(" l3mdev")?,
            action::LOOKUP if self.table == route::table::MAIN => f.write_str(" lookup main")?,
            action::LOOKUP => write!(f, " lookup {}", self.table)?,
            action::GOTO => word(f, "goto", self.goto)?,
            action::NOP => f.write_str(" nop")?,
            action::BLACKHOLE => f.write_str(" blackhole")?,
            action::UNREACHABLE => f.write_str(" unreachable")?,
            action::PROHIBIT => f.write_str(" prohibit")?,
            other => write!(f, " action {other}")?,
        }
        word(f, "suppress_prefixlength", self.suppress_prefixlength)?;
        word(f, "protocol", Some(self.protocol).filter(|protocol| *protocol != 0))
    }
}

fn word(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name} {value}"))
}

fn range<T: fmt::Display>(f: &mut fmt::Formatter<'_>, name: &str, range: Option<&RangeInclusive<T>>) -> fmt::Result {
    range.map_or(Ok(()), |range| write!(f, " {name} {}-{}", range.start(), range.end()))
}

/// Adds a rule, behind those of equal priority.
///
/// # Errors
/// `EEXIST` if there is an identical one; the kernel's words otherwise.
pub fn add(socket: &mut Socket, rule: &Rule) -> Result<()> {
    let exclusive = make(socket, Request::new().set_create().set_excl(), rule);
    match exclusive {
        Err(error) if error.is_present() && !list(socket, rule.ipv6)?.contains(rule) => {
            make(socket, Request::new().set_create(), rule)
        }
        outcome => outcome,
    }
}

fn make(socket: &mut Socket, request: Request<'_>, rule: &Rule) -> Result<()> {
    let mut request = request.op_newrule_do(&rule.header());
    rule.push(request.encode());
    socket.change(&request, format_args!("add rule {rule}"))
}

/// Removes a rule. More specific ones of the same priority that stand before it move behind it: they are doubled there
/// first, as the kernel takes them first, so that none is ever missing.
///
/// # Errors
/// `ENOENT` if there is none that is identical; the kernel's words otherwise.
pub fn remove(socket: &mut Socket, rule: &Rule) -> Result<()> {
    let mut rules = list(socket, rule.ipv6)?;
    let Some(position) = rules.iter().position(|there| there == rule) else {
        return Err(Error::new(format_args!("remove rule {rule}"), libc::ENOENT));
    };
    rules.truncate(position);
    rules.retain(|there| rule.agrees_with(there));
    for other in &rules {
        make(socket, Request::new().set_create(), other)?;
    }
    loop {
        match take_first(socket, rule)? {
            Some(taken) if taken != *rule => {
                // Made since the list was read.
                if !rules.contains(&taken) {
                    make(socket, Request::new().set_create(), &taken)?;
                }
            }
            _ => return Ok(()),
        }
    }
}

/// Removes the first rule that agrees with everything `rule` says, and returns it.
fn take_first(socket: &mut Socket, rule: &Rule) -> Result<Option<Rule>> {
    let mut request = Request::new().op_delrule_do(&rule.header());
    rule.push(request.encode());
    socket.change_echo(&request, format_args!("remove rule {rule}"), Rule::read)
}

/// Reads the rules of one family, in the order in which they are tried.
///
/// # Errors
/// The kernel's words.
pub fn list(socket: &mut Socket, ipv6: bool) -> Result<Vec<Rule>> {
    let header = FibRuleHdr { family: family(ipv6), ..FibRuleHdr::new() };
    socket.dump(&Request::new().op_getrule_dump(&header), "list rules", |reply| Some(Rule::read(reply)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unsaid_agrees_with_anything() {
        let general = Rule::new(false, 1000, 100);
        let specific = Rule { from: "10.0.0.1/32".parse().ok(), tos: 8, invert: true, ..general.clone() };
        assert!(general.agrees_with(&specific) && !specific.agrees_with(&general));
        for other in [Rule { priority: 9, ..general.clone() }, Rule { table: 9, ..general.clone() }] {
            assert!(!general.agrees_with(&other), "{other}");
        }
    }
}
