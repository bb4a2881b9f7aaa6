//! What was written is read back: by name, by key, whole; and the cost of one element among many.

use std::time::{Duration, Instant};

use kernel::nft::{
    Chain, Data, Element, Expr, Family, Field, Hook, Kind, Listed, Mapped, Point, Rule, Set, Table, Transaction, Value,
    Verdict, query, upstream,
};

use crate::namespace::{fresh, run, socket};

fn table() -> Table {
    Table { comment: Some("of a test".into()), ..Table::new(Family::Inet, "t") }
}

fn net(text: &str) -> Value {
    Value::Net(text.parse().expect("a prefix"))
}

fn ip(text: &str) -> Value {
    Value::Ip(text.parse().expect("an address"))
}

fn port_map() -> Set {
    let data = Data::Fields(vec![Field::Ipv4Addr, Field::InetService]);
    Set { comment: Some("ports".into()), ..Set::map("ports", [Field::InetProto, Field::InetService], data) }
}

fn mapping(port: u16) -> Element {
    let to = Mapped::Values(vec![ip("10.1.0.2"), Value::Port(port)]);
    Element::mapped([Value::Proto(6), Value::Port(port)], to).commented(format!("net/id{port}/eth0"))
}

#[test]
fn tables_chains_and_rules() {
    fresh(|| {
        let mut socket = socket();
        let hook = Hook::new(Kind::Nat, Point::Postrouting, 100);
        let mut base = Chain::base("base", hook).with([Expr::Counter, Expr::jump("plain")]);
        base.rules.push(Rule::new([Expr::RETURN]).commented("the end"));
        let mut transaction = Transaction::new();
        transaction.add_table(&table()).add_chain(&table(), &Chain::new("plain")).add_chain(&table(), &base);
        transaction.commit(&mut socket).expect("a commit");
        assert_eq!(query::table(&mut socket, Family::Inet, "t"), Ok(Some(table())));
        assert_eq!(query::table(&mut socket, Family::Ip, "t"), Ok(None));
        assert_eq!(query::chain(&mut socket, &table(), "base"), Ok(Some(Chain::base("base", hook))));
        assert_eq!(query::chain(&mut socket, &table(), "bas"), Ok(None));
        assert_eq!(query::chains(&mut socket, &table()), Ok(vec![Chain::new("plain"), Chain::base("base", hook)]));
        let rules = query::rules(&mut socket, &table(), "base").expect("two rules");
        let read: Vec<_> =
            rules.iter().map(|Listed { comment, target, .. }| (comment.as_deref(), target.as_deref())).collect();
        assert_eq!(read, [(None, Some("plain")), (Some("the end"), None)]);
        let mut transaction = Transaction::new();
        transaction.delete_rule(&table(), "base", rules[0].handle).commit(&mut socket).expect("a commit");
        assert_eq!(query::rules(&mut socket, &table(), "base"), Ok(rules[1..].to_vec()));
        assert_eq!(query::rules(&mut socket, &table(), "absent"), Ok(vec![]));
        assert_eq!(query::rules(&mut socket, &Table::new(Family::Ip6, "absent"), "absent"), Ok(vec![]));
    });
}

#[test]
fn sets_and_elements() {
    fresh(|| {
        let mut socket = socket();
        let nets = Set { interval: true, ..Set::new("nets", [Field::Ipv4Addr]) };
        let pairs = Set { interval: true, ..Set::new("pairs", [Field::Ifname, Field::Ipv6Addr]) };
        let verdicts = Set::map("verdicts", [Field::EtherAddr], Data::Verdict);
        let jump = Mapped::Verdict(Verdict::Jump("there".into()));
        let contents = [
            (port_map(), vec![mapping(80)]),
            (
                nets,
                vec![
                    Element::new([net("0.0.0.0/8")]).commented("first"),
                    Element::new([net("10.0.0.0/9")]),
                    Element::new([net("10.128.0.0/9")]).commented("next to it"),
                    Element::new([ip("192.0.2.1")]).commented("alone"),
                    Element::new([net("224.0.0.0/3")]).commented("to the end"),
                ],
            ),
            (pairs, vec![Element::new([Value::Ifname("eth0".into()), net("fd00::/64")]).commented("pair")]),
            (verdicts, vec![Element::mapped([Value::Ether([2, 0, 0, 0, 0, 1])], jump).commented("mac")]),
        ];
        let mut transaction = Transaction::new();
        transaction.add_table(&table()).add_chain(&table(), &Chain::new("there"));
        for (set, elements) in &contents {
            transaction.add_set(&table(), set).add_elements(&table(), set, elements.clone());
        }
        transaction.commit(&mut socket).expect("a commit");
        for (set, elements) in contents {
            assert_eq!(query::set(&mut socket, &table(), &set.name).as_ref(), Ok(&Some(set.clone())));
            assert_eq!(query::elements(&mut socket, &table(), &set).as_ref(), Ok(&elements));
            if !set.interval {
                assert_eq!(
                    query::element(&mut socket, &table(), &set, &elements[0].key).as_ref(),
                    Ok(&elements.first().cloned())
                );
            }
            Transaction::new().delete_elements(&table(), &set, elements).commit(&mut socket).expect("a commit");
            assert_eq!(query::elements(&mut socket, &table(), &set), Ok(vec![]));
        }
        assert_eq!(query::set(&mut socket, &table(), "absent"), Ok(None));
        assert_eq!(query::elements(&mut socket, &table(), &Set::new("absent", [Field::Mark])), Ok(vec![]));
        assert_eq!(query::element(&mut socket, &table(), &port_map(), &mapping(81).key), Ok(None));
    });
}

/// The kernel's answer for one element is as long, and takes as long, whether it is alone or among thousands.
#[test]
fn one_element_among_many() {
    fresh(|| {
        let mut socket = socket();
        let mut transaction = Transaction::new();
        transaction.add_table(&table()).add_set(&table(), &port_map()).commit(&mut socket).expect("a commit");
        let mut fastest = |ports: std::ops::Range<u16>| {
            let elements = ports.map(mapping).collect();
            Transaction::new().add_elements(&table(), &port_map(), elements).commit(&mut socket).expect("a commit");
            let ask = |_| {
                let start = Instant::now();
                let found = query::element(&mut socket, &table(), &port_map(), &mapping(1).key);
                assert_eq!(found, Ok(Some(mapping(1))));
                start.elapsed()
            };
            (0..200).map(ask).min().unwrap_or(Duration::MAX)
        };
        let alone = fastest(1..2);
        let among = fastest(2..20_000);
        assert!(among < alone * 10, "{alone:?} alone, {among:?} among 20,000");
        assert_eq!(query::elements(&mut socket, &table(), &port_map()).expect("all of them").len(), 19_999);
    });
}

#[test]
fn the_rules_of_the_go_plugins_masquerading() {
    fresh(|| {
        let mut socket = socket();
        let ours = upstream::masquerade_comment("net", "eth0", "id");
        let theirs = upstream::masquerade_comment("net", "eth1", "id");
        assert_eq!(upstream::remove_masquerade(&mut socket, &ours), Ok(0));
        let rule = |comment: &str, address: &str| {
            format!(
                "add rule inet cni_plugins_masquerade masq_checks ip saddr == {address} ip daddr != 10.0.0.0/24 masquerade \
                 comment \"{comment}, net: net, if: eth0, id: id\"\n"
            )
        };
        let text =
            "add table inet cni_plugins_masquerade\nadd chain inet cni_plugins_masquerade masq_checks\n".to_owned();
        run("nft -f -", &(text + &rule(&ours, "10.0.0.1") + &rule(&theirs, "10.0.0.2") + &rule(&ours, "10.0.0.3")));
        assert_eq!(upstream::remove_masquerade(&mut socket, &ours), Ok(2));
        let left = run("nft list ruleset", "");
        assert!(left.contains("10.0.0.2") && !left.contains("10.0.0.1") && !left.contains("10.0.0.3"), "{left}");
    });
}
