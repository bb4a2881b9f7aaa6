//! The kinds of objects a plan can hold, one to a file, all of one shape: the object, its words, `apply`, `check`,
//! `remove`.

use std::fmt;

use crate::{Engine, Side};

mod address;
mod announce;
mod change;
mod forwarding;
mod iptables;
mod link;
mod neighbour;
mod nft;
mod port_vlan;
mod ready;
mod route;
mod rule;
mod sysctl;

pub use address::Address;
pub use announce::Announce;
pub use change::Change;
pub use forwarding::Forwarding;
pub use iptables::Iptables;
pub use link::{Link, Peer};
pub use neighbour::Neighbour;
pub use nft::Nft;
pub(crate) use port_vlan::Carried;
pub use port_vlan::PortVlan;
pub use ready::Ready;
pub use route::Route;
pub use rule::Rule;
pub use sysctl::Sysctl;

/// An object of a plan. Closed on purpose: every verb of the engine names every kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// A link that is made, with its other end if it has one.
    Link(Link),
    /// Settings of a link.
    Change(Change),
    /// A VLAN of a bridge port.
    PortVlan(PortVlan),
    /// An address.
    Address(Address),
    /// A route.
    Route(Route),
    /// A policy rule.
    Rule(Rule),
    /// A neighbour, or an address that a link answers for.
    Neighbour(Neighbour),
    /// A sysctl.
    Sysctl(Sysctl),
    /// The switch that makes a node a router.
    Forwarding(Forwarding),
    /// An nftables table's share of this plan.
    Nft(Nft),
    /// An iptables chain, where that backend is asked for.
    Iptables(Iptables),
    /// An announcement of addresses to the neighbours.
    Announce(Announce),
    /// A link that must carry traffic before the plan goes on.
    Ready(Ready),
}

impl Op {
    /// The link that it is or rests on.
    pub(crate) fn device(&self) -> Option<&str> {
        match self {
            Self::Link(op) => Some(&op.name),
            Self::Change(op) => Some(&op.device),
            Self::PortVlan(op) => Some(&op.device),
            Self::Address(op) => Some(&op.device),
            Self::Route(op) => op.device.as_deref(),
            Self::Neighbour(op) => Some(&op.device),
            Self::Announce(op) => Some(&op.device),
            Self::Ready(op) => Some(&op.device),
            Self::Sysctl(op) => op.device.as_deref(),
            Self::Rule(_) | Self::Forwarding(_) | Self::Nft(_) | Self::Iptables(_) => None,
        }
    }

    /// True if it rests on a link that the engine made, and so goes with it.
    pub(crate) fn rests_on_made(&self, engine: &Engine, side: Side) -> bool {
        !matches!(self, Self::Link(_)) && self.device().is_some_and(|device| engine.made(side, device))
    }

    /// The kind of object in one word.
    pub const fn object(&self) -> &'static str {
        match self {
            Self::Link(_) | Self::Change(_) => "link",
            Self::PortVlan(_) => "vlan",
            Self::Address(_) => "address",
            Self::Route(_) => "route",
            Self::Rule(_) => "rule",
            Self::Neighbour(_) => "neighbour",
            Self::Sysctl(_) | Self::Forwarding(_) => "sysctl",
            Self::Nft(_) => "nft",
            Self::Iptables(_) => "iptables",
            Self::Announce(_) => "announce",
            Self::Ready(_) => "wait",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(op) => op.fmt(f),
            Self::Change(op) => op.fmt(f),
            Self::PortVlan(op) => op.fmt(f),
            Self::Address(op) => op.fmt(f),
            Self::Route(op) => op.fmt(f),
            Self::Rule(op) => op.fmt(f),
            Self::Neighbour(op) => op.fmt(f),
            Self::Sysctl(op) => op.fmt(f),
            Self::Forwarding(op) => op.fmt(f),
            Self::Nft(op) => op.fmt(f),
            Self::Iptables(op) => op.fmt(f),
            Self::Announce(op) => op.fmt(f),
            Self::Ready(op) => op.fmt(f),
        }
    }
}

macro_rules! into_op {
    ($($kind:ident),*) => {
        $(impl From<$kind> for Op {
            fn from(op: $kind) -> Self {
                Self::$kind(op)
            }
        })*
    };
}

into_op!(Link, Change, PortVlan, Address, Route, Rule, Neighbour, Sysctl, Forwarding, Nft, Iptables, Announce, Ready);
