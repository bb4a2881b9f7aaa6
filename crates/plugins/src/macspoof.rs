//! MAC spoof check (`macspoofchk`): a container may send frames only from its own hardware address.
//!
//! The map `ports` leads the frames of guarded bridge ports to a chain that lets through what is in the set `addresses`;
//! a port is one element in either, so a frame costs two lookups however many ports there are.

use cni::Error;
use kernel::mac::Mac;
use kernel::nft::{
    Chain, Change, Data, Element, Expr, Family, Field, Hook, Kind, Mapped, Point, Selector, Set, Table, Transaction,
    Value, Verdict, query,
};
use plan::Engine;
use plan::op::Nft;

use crate::attachment::Attachment;
use crate::interface::from_kernel;

/// Before everything else that looks at a frame, as the reference plugin has it.
const PRIORITY: i32 = -300;
const GUARD: &str = "guard";

/// The share of `attachment`, whose host end is `port` and whose container's end has the address `mac`.
pub fn nft(attachment: &Attachment, port: &str, mac: Mac) -> Nft {
    let (table, sets) = sets();
    let name = Value::Ifname(port.to_owned());
    let mut address = [0; 6];
    // Bridge ports of ours are Ethernet: six bytes.
    address.iter_mut().zip(mac.as_bytes()).for_each(|(to, from)| *to = *from);
    Nft {
        table,
        sets,
        chains: vec![guard(), prerouting()],
        elements: vec![
            ("addresses".to_owned(), Element::new([name.clone(), Value::Ether(address)])),
            ("ports".to_owned(), Element::mapped([name], Mapped::Verdict(Verdict::Goto(GUARD.to_owned())))),
        ],
        owner: attachment.mark(),
    }
}

/// The table, and the sets in it that hold an element for each port.
pub fn sets() -> (Table, Vec<Set>) {
    let table = Table { comment: Some("made by netferry".to_owned()), ..Table::new(Family::Bridge, "netferry") };
    let sets = vec![
        Set::new("addresses", [Field::Ifname, Field::EtherAddr]),
        Set::map("ports", [Field::Ifname], Data::Verdict),
    ];
    (table, sets)
}

fn guard() -> Chain {
    let key = vec![Selector::IifName, Selector::EtherSaddr];
    let known = Expr::Lookup { key, negate: false, set: "addresses".to_owned() };
    Chain::new(GUARD).with([known, Expr::ACCEPT]).with([Expr::DROP])
}

fn prerouting() -> Chain {
    let by_port = Expr::VerdictMap { key: vec![Selector::IifName], map: "ports".to_owned() };
    Chain::base("prerouting", Hook::new(Kind::Filter, Point::Prerouting, PRIORITY)).with([by_port])
}

/// Takes away what the reference plugin made for the attachment: two chains of its own, and the rule that leads there.
pub fn remove_foreign(attachment: &Attachment, engine: &mut Engine) -> Result<(), Error> {
    let table = Table::new(Family::Bridge, "nat");
    let entry = format!("cni-br-iface-{}-{}", attachment.container_id, attachment.ifname);
    let socket = engine.nft().map_err(from_kernel)?;
    if query::chain(socket, &table, &entry).map_err(from_kernel)?.is_none() {
        return Ok(());
    }
    let mut transaction = Transaction::new();
    for rule in query::rules(socket, &table, "PREROUTING").map_err(from_kernel)? {
        if rule.target.as_ref() == Some(&entry) {
            transaction.delete_rule(&table, "PREROUTING", rule.handle);
        }
    }
    let chains = [entry.clone(), format!("{entry}-mac")];
    for chain in chains.clone() {
        transaction.push(Change::FlushChain { table: table.clone(), chain });
    }
    for chain in chains {
        transaction.push(Change::DeleteChain { table: table.clone(), chain });
    }
    transaction.commit(socket).map_err(from_kernel)?;
    engine.nft_has_deleted();
    Ok(())
}
