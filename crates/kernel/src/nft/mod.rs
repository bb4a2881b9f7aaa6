//! nf_tables over netlink: tables, chains, rules, sets and maps as plain data, changed in transactions.
//!
//! What is wanted is written as data ([`Table`], [`Chain`], [`Rule`], [`Set`], [`Element`]), collected in a
//! [`Transaction`] and sent in one write: all of it happens or none. [`query`] reads back by exact name or key without
//! a dump, so that its cost does not grow with what else is there. Every object prints as the nft command that makes
//! it. Rules are the very bytecode that nft emits, or `nft list ruleset` could not print them.
//!
//! Closing the socket after something was deleted blocks for a grace period of the kernel (8-24 ms), and all transactions
//! with it: one that is in a hurry lets a detached child hold the last descriptor ([`crate::depart`]).
//! Kernel: `net/netfilter/nf_tables_api.c`; bytecode: `nft --debug=netlink`.

mod chain;
mod compare;
mod element;
mod encode;
mod expr;
pub mod query;
mod set;
mod transaction;
pub mod upstream;
mod usage;
mod userdata;
mod value;

use std::fmt;

use netlink_bindings::nftables::Nfgenmsg;

pub use chain::{Chain, Hook, Kind, Point, Policy, Rule};
pub use compare::{Unlike, unlike};
pub use element::{Element, Mapped};
pub use expr::{CtState, Expr, Selector, Verdict};
pub use query::Listed;
pub use set::{Data, Set};
pub use transaction::{Change, Transaction};
pub use usage::{chain_users, table_users};
pub use value::{Field, Value};

/// The packets that a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Ethernet frames that a bridge forwards.
    Bridge,
}

/// A table: a name within a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The family.
    pub family: Family,
    /// The name.
    pub name: String,
    /// The comment, which only `add table` writes.
    pub comment: Option<String>,
}

impl Family {
    /// `NFPROTO_*`.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Ip6 => 10,
            Self::Bridge => 7,
        }
    }

    /// The four bytes before the attributes of every nfnetlink message.
    fn header(self) -> Nfgenmsg {
        nfgenmsg(self.number(), 0)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
        })
    }
}

impl Table {
    /// A table without a comment.
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self { family, name: name.into(), comment: None }
    }
}

/// Prints `inet filter`, which is how every command names it.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// `struct nfgenmsg`; `resource` is the subsystem of a batch and zero elsewhere.
pub(crate) fn nfgenmsg(family: u8, resource: u16) -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.nfgen_family = family;
    header.set_res_id(resource);
    header
}
