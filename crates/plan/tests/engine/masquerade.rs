//! A table with a skeleton and elements, such as masquerading has, for the tests of what the engine does with one.

use kernel::nft::Verdict;
use kernel::nft::{Chain, Data, Element, Expr, Family, Field, Hook, Kind, Mapped, Point, Selector, Set, Table, Value};
use plan::op::Nft;

/// The share of `owner` with `addresses` on `network`.
pub fn share(network: &str, owner: &str, addresses: &[[u8; 4]]) -> Nft {
    let chain = format!("net-{network}");
    let element = |address: &[u8; 4]| {
        let target = Mapped::Verdict(Verdict::Goto(chain.clone()));
        ("owners".to_owned(), Element::mapped([Value::Ip((*address).into())], target))
    };
    let by_source = Expr::VerdictMap { key: vec![Selector::IpSaddr], map: "owners".to_owned() };
    Nft {
        table: Table::new(Family::Inet, "engine"),
        sets: vec![Set::map("owners", [Field::Ipv4Addr], Data::Verdict)],
        chains: vec![
            Chain::new(&chain).with([Expr::Masquerade { fully_random: false }]),
            Chain::base("postrouting", Hook::new(Kind::Nat, Point::Postrouting, 100)).with([by_source]),
        ],
        elements: addresses.iter().map(element).collect(),
        owner: owner.to_owned(),
    }
}
