//! What a rule may say: a closed list of nft's matches and statements, each printed as nft writes it.
//!
//! The list is what netferry needs and no more; `encode` turns each entry into the bytecode that nft emits for it.

use std::fmt;
use std::net::IpAddr;

use super::value::{Value, concatenation};

/// A part of a packet, or of what the kernel knows about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selector {
    /// `ip saddr`.
    IpSaddr,
    /// `ip daddr`.
    IpDaddr,
    /// `ip6 saddr`.
    Ip6Saddr,
    /// `ip6 daddr`.
    Ip6Daddr,
    /// `ether saddr`.
    EtherSaddr,
    /// `ether type`.
    EtherType,
    /// `tcp dport`.
    TcpDport,
    /// `udp dport`.
    UdpDport,
    /// `th dport`: the destination port of any transport protocol that has one.
    ThDport,
    /// `iifname`.
    IifName,
    /// `oifname`.
    OifName,
    /// `meta l4proto`.
    L4Proto,
    /// `meta nfproto`.
    NfProto,
    /// `meta mark`.
    Mark,
}

/// States of a flow, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CtState(u32);

/// Where the packet goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves this base chain.
    Accept,
    /// It is no more.
    Drop,
    /// Back to the chain that jumped here.
    Return,
    /// To another chain, and back at its end.
    Jump(String),
    /// To another chain, not back here.
    Goto(String),
}

/// One match or statement of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// `ip saddr 10.0.0.0/8`, `iifname != "eth0"`.
    Match {
        /// What is looked at.
        left: Selector,
        /// True for `!=`.
        negate: bool,
        /// What it must be.
        right: Value,
    },
    /// `meta mark & mask == value`.
    MarkBits {
        /// The bits that are looked at.
        mask: u32,
        /// What they must be.
        value: u32,
    },
    /// `meta mark set meta mark | bits`.
    SetMarkBits(u32),
    /// `ip saddr @set`.
    Lookup {
        /// What is looked up; more than one part is a concatenation.
        key: Vec<Selector>,
        /// True for `!=`: the set must not have it.
        negate: bool,
        /// The set's name.
        set: String,
    },
    /// `iifname . ether saddr vmap @map`: the verdict that the map holds, if any.
    VerdictMap {
        /// What is looked up.
        key: Vec<Selector>,
        /// The map's name.
        map: String,
    },
    /// `ct state established,related`.
    CtState(CtState),
    /// `ct status dnat`: the flow's destination was rewritten.
    CtDnat,
    /// `fib daddr type local`: the destination is an address of this host.
    FibLocal,
    /// `counter`.
    Counter,
    /// `masquerade`.
    Masquerade {
        /// True for `fully-random` source ports.
        fully_random: bool,
    },
    /// `dnat ip to 10.1.0.2:80`.
    Dnat {
        /// The new destination.
        address: IpAddr,
        /// The new port; without it the port stays.
        port: Option<u16>,
    },
    /// `dnat ip to meta l4proto . th dport map @map`: to the address and port that the map holds, if any.
    DnatMap {
        /// True for IPv6: the map's data is `ipv6_addr . inet_service`, else `ipv4_addr . inet_service`.
        ipv6: bool,
        /// What is looked up.
        key: Vec<Selector>,
        /// The map's name.
        map: String,
    },
    /// A verdict.
    Verdict(Verdict),
}

impl Expr {
    /// `left right`.
    pub const fn equal(left: Selector, right: Value) -> Self {
        Self::Match { left, negate: false, right }
    }

    /// `left != right`.
    pub const fn differs(left: Selector, right: Value) -> Self {
        Self::Match { left, negate: true, right }
    }

    /// `accept`.
    pub const ACCEPT: Self = Self::Verdict(Verdict::Accept);
    /// `drop`.
    pub const DROP: Self = Self::Verdict(Verdict::Drop);
    /// `return`.
    pub const RETURN: Self = Self::Verdict(Verdict::Return);

    /// `jump chain`.
    pub fn jump(chain: impl Into<String>) -> Self {
        Self::Verdict(Verdict::Jump(chain.into()))
    }

    /// `goto chain`.
    pub fn goto(chain: impl Into<String>) -> Self {
        Self::Verdict(Verdict::Goto(chain.into()))
    }
}

impl CtState {
    /// Belongs to no flow.
    pub const INVALID: Self = Self(1);
    /// Belongs to a flow that was seen in both directions.
    pub const ESTABLISHED: Self = Self(2);
    /// Begins a flow that another one announced.
    pub const RELATED: Self = Self(4);
    /// Begins a flow.
    pub const NEW: Self = Self(8);

    const NAMES: [(Self, &'static str); 4] = [
        (Self::INVALID, "invalid"),
        (Self::ESTABLISHED, "established"),
        (Self::RELATED, "related"),
        (Self::NEW, "new"),
    ];

    /// `NF_CT_STATE_BIT` of every state in it.
    pub(super) const fn bits(self) -> u32 {
        self.0
    }
}

impl std::ops::BitOr for CtState {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for CtState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> =
            Self::NAMES.iter().filter(|(state, _)| self.0 & state.0 != 0).map(|(_, name)| *name).collect();
        f.write_str(&names.join(","))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IpSaddr => "ip saddr",
            Self::IpDaddr => "ip daddr",
            Self::Ip6Saddr => "ip6 saddr",
            Self::Ip6Daddr => "ip6 daddr",
            Self::EtherSaddr => "ether saddr",
            Self::EtherType => "ether type",
            Self::TcpDport => "tcp dport",
            Self::UdpDport => "udp dport",
            Self::ThDport => "th dport",
            Self::IifName => "iifname",
            Self::OifName => "oifname",
            Self::L4Proto => "meta l4proto",
            Self::NfProto => "meta nfproto",
            Self::Mark => "meta mark",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
            Self::Return => f.write_str("return"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |negate: &bool| if *negate { "!= " } else { "" };
        match self {
            Self::Match { left, negate, right } => write!(f, "{left} {}{right}", not(negate)),
            Self::MarkBits { mask, value } => write!(f, "meta mark & {mask:#010x} == {value:#010x}"),
            Self::SetMarkBits(bits) => write!(f, "meta mark set meta mark | {bits:#010x}"),
            Self::Lookup { key, negate, set } => write!(f, "{} {}@{set}", concatenation(key), not(negate)),
            Self::VerdictMap { key, map } => write!(f, "{} vmap @{map}", concatenation(key)),
            Self::CtState(states) => write!(f, "ct state {states}"),
            Self::CtDnat => f.write_str("ct status dnat"),
            Self::FibLocal => f.write_str("fib daddr type local"),
            Self::Counter => f.write_str("counter"),
            Self::Masquerade { fully_random: false } => f.write_str("masquerade"),
            Self::Masquerade { fully_random: true } => f.write_str("masquerade fully-random"),
            Self::Dnat { address, port } => match (address, port) {
                (IpAddr::V4(address), None) => write!(f, "dnat ip to {address}"),
                (IpAddr::V6(address), None) => write!(f, "dnat ip6 to {address}"),
                (IpAddr::V4(address), Some(port)) => write!(f, "dnat ip to {address}:{port}"),
                (IpAddr::V6(address), Some(port)) => write!(f, "dnat ip6 to [{address}]:{port}"),
            },
            Self::DnatMap { ipv6, key, map } => {
                let family = if *ipv6 { "ip6" } else { "ip" };
                write!(f, "dnat {family} to {} map @{map}", concatenation(key))
            }
            Self::Verdict(verdict) => verdict.fmt(f),
        }
    }
}
