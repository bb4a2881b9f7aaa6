//! Masquerading (`ipMasq`): packets of a container that leave its network get the node's address.
//!
//! Natively it is one table for the node, one chain for each network that says what stays as it is, and one element for
//! each address that leads to that chain. The iptables backend writes the rules of the reference plugins, and DEL takes
//! away theirs, whichever program and backend made them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni::{AddResult, Error};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use kernel::iptables;
use kernel::nft::upstream;
use kernel::nft::{
    Chain, Data, Element, Expr, Family, Field, Hook, Kind, Mapped, Point, Selector, Set, Table, Value, Verdict,
};
use plan::op::{Iptables, Nft};
use plan::{Engine, Plan, Side};
use sha2::{Digest, Sha512};

use crate::attachment::{Attachment, hex};
use crate::interface::{Call, from_kernel};

const TABLE: &str = "netferry";
/// `srcnat`: where source addresses are rewritten.
const SRCNAT: i32 = 100;

/// What makes the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backend {
    /// nf_tables, by netlink.
    #[default]
    Nftables,
    /// `iptables-restore`.
    Iptables,
}

impl Backend {
    /// The backend that `ipMasqBackend` names: the native one unless it says otherwise.
    pub fn named(name: Option<&str>) -> Result<Self, Error> {
        match name {
            None | Some("nftables") => Ok(Self::Nftables),
            Some("iptables") => Ok(Self::Iptables),
            Some(other) => Err(Error::internal(format!("unknown ipmasq backend \"{other}\""))),
        }
    }
}

/// The share of `attachment`, with `addresses`, in the node's table.
pub fn nft(attachment: &Attachment, addresses: &[IpNet]) -> Nft {
    let (table, sets) = sets();
    let chain = format!("masq-{}", network_hash(&attachment.network, addresses));
    let element = |address: &IpNet| {
        let (set, key) = match address.addr() {
            IpAddr::V4(_) => ("masq4", Value::Ip(address.addr())),
            IpAddr::V6(_) => ("masq6", Value::Ip(address.addr())),
        };
        (set.to_owned(), Element::mapped([key], Mapped::Verdict(Verdict::Goto(chain.clone()))))
    };
    Nft {
        table,
        sets,
        chains: vec![network_chain(&chain, addresses), postrouting()],
        elements: addresses.iter().map(element).collect(),
        owner: attachment.mark(),
    }
}

/// The table, and the maps in it that hold an element for each address.
pub fn sets() -> (Table, Vec<Set>) {
    let table = Table { comment: Some("made by netferry".to_owned()), ..Table::new(Family::Inet, TABLE) };
    let sets =
        vec![Set::map("masq4", [Field::Ipv4Addr], Data::Verdict), Set::map("masq6", [Field::Ipv6Addr], Data::Verdict)];
    (table, sets)
}

/// What a network does not masquerade: what stays inside, and multicast.
fn network_chain(name: &str, addresses: &[IpNet]) -> Chain {
    let mut inside: Vec<IpNet> = addresses.iter().map(IpNet::trunc).collect();
    inside.push(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)));
    inside.push(IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)));
    let mut chain = Chain::new(name);
    for net in inside {
        let selector = if net.addr().is_ipv4() { Selector::IpDaddr } else { Selector::Ip6Daddr };
        chain = chain.with([Expr::equal(selector, Value::Net(net)), Expr::RETURN]);
    }
    chain.with([Expr::Masquerade { fully_random: false }])
}

fn postrouting() -> Chain {
    let lookup = |selector, map: &str| [Expr::VerdictMap { key: vec![selector], map: map.to_owned() }];
    Chain::base("postrouting", Hook::new(Kind::Nat, Point::Postrouting, SRCNAT))
        .with(lookup(Selector::IpSaddr, "masq4"))
        .with(lookup(Selector::Ip6Saddr, "masq6"))
}

/// Sixteen hexadecimal digits that stand for a network and its subnets, which may change while it has containers.
fn network_hash(network: &str, addresses: &[IpNet]) -> String {
    let mut hash = Sha512::new();
    hash.update(network.as_bytes());
    for address in addresses {
        hash.update(format!(" {}", address.trunc()).as_bytes());
    }
    hex(&hash.finalize()[..8])
}

/// Adds the rules for the addresses of `given` to `plan`. `named` is the configuration's choice, if it has made one.
pub fn plan<C>(call: &Call<'_, C>, named: Option<&str>, given: &AddResult, plan: &mut Plan) {
    let attachment = &call.attachment;
    let addresses: Vec<IpNet> = given.ips.iter().map(|ip| ip.address).collect();
    // A name that is not known is refused by ADD, so that nothing can be there for DEL but what the default made.
    match (Backend::named(named).unwrap_or_default(), call.is_foreign()) {
        (Backend::Nftables, false) => plan.own(Side::Host, nft(attachment, &addresses)),
        // The reference plugins take iptables unless they are told otherwise, and their nftables rules are their own.
        (Backend::Nftables, true) if named.is_some() => {}
        (Backend::Nftables | Backend::Iptables, _) => {
            plan.own(Side::Host, in_chain(attachment, addresses));
        }
    }
}

/// Asks whether the backend is there at all.
pub fn available(named: Option<&str>, engine: &mut Engine) -> Result<(), Error> {
    match Backend::named(named)? {
        Backend::Nftables => {
            let socket = engine.nft().map_err(from_kernel)?;
            kernel::nft::query::generation(socket).map(drop).map_err(from_kernel)
        }
        Backend::Iptables => {
            let socket = engine.nft().map_err(from_kernel)?;
            iptables::masquerade_present(socket, "CNI-netferry-status").map(drop).map_err(from_kernel)
        }
    }
}

/// The share of `attachment` in the chain that the reference plugins would make.
fn in_chain(attachment: &Attachment, addresses: Vec<IpNet>) -> Iptables {
    let Attachment { network, container_id, ifname, .. } = attachment.clone();
    Iptables { network, id: container_id, ifname, addresses }
}

/// Takes away what the reference plugins, or another backend, made for the attachment, by their marks alone.
pub fn remove_foreign(attachment: &Attachment, engine: &mut Engine) -> Result<(), Error> {
    let mut plan = Plan::new();
    plan.own(Side::Host, in_chain(attachment, Vec::new()));
    let refused = engine.remove(&plan).into_iter().next();
    let prefix = upstream::masquerade_comment(&attachment.network, &attachment.ifname, &attachment.container_id);
    let socket = engine.nft().map_err(from_kernel)?;
    let rules = upstream::remove_masquerade(socket, &prefix).map_err(from_kernel)?;
    if rules > 0 {
        engine.nft_has_deleted();
    }
    refused.map_or(Ok(()), |error| Err(from_kernel(error)))
}
