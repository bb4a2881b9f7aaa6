//! What the kernel says about tables, chains, rules, sets and elements: whatever it is, it is read or refused, printed,
//! and elements can be sent back.
#![no_main]

use kernel::nft::{self, Chain, Data, Expr, Field, Set, Table, Transaction, Value, query};
use kernel::{Family, Socket, iptables};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((what, datagram)) = bytes.split_first() else { return };
    netferry_fuzz::answered(Family::Netfilter, datagram, |socket| ask(*what, socket));
});

fn ask(what: u8, socket: &mut Socket) {
    let table = Table::new(nft::Family::Inet, "netferry");
    match what % 17 {
        0 => drop(query::table(socket, table.family, "netferry")),
        1 => printed(query::chain(socket, &table, "guard").ok().flatten()),
        2 => printed(query::chains(socket, &table).unwrap_or_default()),
        3 => drop(query::rules(socket, &table, "guard")),
        4 => printed(query::set(socket, &table, "masq4").ok().flatten()),
        5 => drop(query::generation(socket)),
        6 => drop((nft::chain_users(socket, &table, "guard"), nft::table_users(socket, &table))),
        7 => drop(nft::upstream::remove_masquerade(socket, "0123456789abcdef-")),
        8 => drop(iptables::masquerade_present(socket, "CNI-0123456789abcdef01234567")),
        9 => drop(query::element(socket, &table, &sets()[0], &[Value::Port(80)])),
        16 => drop(nft::unlike(socket, &table, &Chain::new("guard").with([Expr::Counter, Expr::DROP]))),
        other => elements(socket, &table, &sets()[usize::from(other) - 10]),
    }
}

fn elements(socket: &mut Socket, table: &Table, set: &Set) {
    let found = query::elements(socket, table, set).unwrap_or_default();
    assert!(found.iter().all(|element| element.key.len() == set.key.len()));
    printed(&found);
    let _ = Transaction::new().add_elements(table, set, found).commit(socket);
}

/// Sets of every shape: one field or several, intervals, verdicts and values as data.
fn sets() -> [Set; 6] {
    let service = [Field::InetProto, Field::InetService];
    let interval = |set: Set| Set { interval: true, ..set };
    [
        Set::new("ports", [Field::InetService]),
        Set::map("masq4", [Field::Ipv4Addr], Data::Verdict),
        Set::new("addresses", [Field::Ifname, Field::EtherAddr]),
        Set::map("publish", service, Data::Fields(vec![Field::Ipv6Addr, Field::InetService])),
        interval(Set::new("nets", [Field::Ipv6Addr])),
        interval(Set::new("pairs", [Field::Ipv4Addr, Field::Mark])),
    ]
}

fn printed<T: std::fmt::Display>(objects: impl IntoIterator<Item = T>) {
    assert!(objects.into_iter().all(|object| !object.to_string().is_empty()));
}
