//! What we send, nft prints: our bytecode is what nft itself makes of the same text.

use expect_test::{Expect, expect};
use kernel::nft::{Chain, Change, CtState, Expr, Family, Hook, Kind, Point, Policy, Rule, Selector, Table};
use kernel::nft::{Transaction, Unlike, Value, unlike};

use crate::namespace::{fresh, listed, run, socket};

/// Commits `transaction` in one namespace and feeds its text to nft in another: both must hold the same bytecode, and
/// nft must print it as expected.
pub fn check(transaction: &Transaction, expected: &Expect) {
    let bytecode = || {
        let text = run("nft --debug=netlink list ruleset", "");
        // A hash table has no order, and nft begins a new tree with an end of nothing at zero.
        let mut lines: Vec<_> =
            text.lines().filter(|line| *line != "\telement 00000000  : 1 [end]").map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let ours = fresh(|| {
        transaction.commit(&mut socket()).expect("a commit");
        expected.assert_eq(&listed());
        reads_back(transaction);
        bytecode()
    });
    let theirs = fresh(|| {
        run("nft -f -", &transaction.to_string());
        bytecode()
    });
    assert_eq!(ours, theirs);
}

/// Every rule of the transaction is found to be what it is, and nothing else.
fn reads_back(transaction: &Transaction) {
    let mut chains: Vec<(&Table, Chain)> = Vec::new();
    for change in transaction.changes() {
        match change {
            Change::AddChain { table, chain, .. } => chains.push((table, Chain::new(&chain.name))),
            Change::AddRule { chain, rule, .. } => {
                let own = chains.iter_mut().find(|(_, added)| added.name == *chain);
                own.expect("the chain comes first").1.rules.push(rule.clone());
            }
            _ => {}
        }
    }
    for (table, chain) in chains {
        assert_eq!(unlike(&mut socket(), table, &chain), Ok(vec![]));
        let mut other = chain.clone();
        if let Some(rule) = other.rules.pop() {
            other.rules.insert(0, Rule::new([Expr::MarkBits { mask: 1 << 9, value: 1 << 9 }, Expr::DROP]));
            let first = Unlike { place: 1, wanted: other.rules.first().cloned(), found: true };
            assert_eq!(unlike(&mut socket(), table, &other).expect("a list").first(), Some(&first));
            other.rules = [chain.rules.as_slice(), std::slice::from_ref(&rule)].concat();
            let last = Unlike { place: other.rules.len(), wanted: Some(rule), found: false };
            assert_eq!(unlike(&mut socket(), table, &other), Ok(vec![last]));
            other.rules = chain.rules[..chain.rules.len() - 1].to_vec();
            let last = Unlike { place: chain.rules.len(), wanted: None, found: true };
            assert_eq!(unlike(&mut socket(), table, &other), Ok(vec![last]));
        }
    }
}

pub fn ip(text: &str) -> Value {
    Value::Ip(text.parse().expect("an address"))
}

pub fn net(text: &str) -> Value {
    Value::Net(text.parse().expect("a prefix"))
}

fn rules(family: Family, rows: impl IntoIterator<Item = Vec<Expr>>) -> Transaction {
    let table = Table::new(family, "t");
    let mut chain = Chain::new("c");
    chain.rules = rows
        .into_iter()
        .map(|mut row| {
            row.push(Expr::ACCEPT);
            Rule::new(row)
        })
        .collect();
    let mut transaction = Transaction::new();
    transaction.add_table(&table).add_chain(&table, &chain);
    transaction
}

pub fn mac() -> Value {
    Value::Ether([2, 0, 0, 0, 0, 1])
}

#[test]
fn addresses_in_an_inet_table() {
    use Selector::{Ip6Daddr, Ip6Saddr, IpDaddr, IpSaddr};
    let transaction = rules(
        Family::Inet,
        [
            vec![Expr::equal(IpSaddr, ip("10.0.0.1"))],
            vec![Expr::differs(IpDaddr, net("224.0.0.0/4"))],
            vec![Expr::equal(IpSaddr, net("10.1.0.0/16")), Expr::differs(IpDaddr, net("10.1.2.0/24"))],
            vec![Expr::equal(IpSaddr, net("10.1.16.0/20"))],
            vec![Expr::equal(Ip6Saddr, ip("fd00::1"))],
            vec![Expr::differs(Ip6Daddr, net("fd00::/63")), Expr::equal(Ip6Saddr, net("fd00::/64"))],
            vec![Expr::equal(Selector::NfProto, Value::NfProto(10)), Expr::equal(Ip6Saddr, ip("fd00::2"))],
        ],
    );
    check(
        &transaction,
        &expect![[r#"
        table inet t {
            chain c {
                ip saddr 10.0.0.1 accept
                ip daddr != 224.0.0.0/4 accept
                ip saddr 10.1.0.0/16 ip daddr != 10.1.2.0/24 accept
                ip saddr 10.1.16.0/20 accept
                ip6 saddr fd00::1 accept
                ip6 daddr != fd00::/63 ip6 saddr fd00::/64 accept
                ip6 saddr fd00::2 accept
            }
        }
    "#]],
    );
}

#[test]
fn addresses_in_an_ip_table() {
    let transaction = rules(
        Family::Ip,
        [
            vec![Expr::equal(Selector::IpSaddr, ip("10.0.0.1")), Expr::equal(Selector::IpDaddr, ip("10.0.0.1"))],
            vec![Expr::equal(Selector::TcpDport, Value::Port(80))],
            vec![Expr::equal(Selector::EtherSaddr, mac())],
        ],
    );
    check(
        &transaction,
        &expect![[r#"
        table ip t {
            chain c {
                ip saddr 10.0.0.1 ip daddr 10.0.0.1 accept
                tcp dport 80 accept
                ether saddr 02:00:00:00:00:01 accept
            }
        }
    "#]],
    );
}

#[test]
fn frames_in_a_bridge_table() {
    let transaction = rules(
        Family::Bridge,
        [
            vec![
                Expr::equal(Selector::IifName, Value::Ifname("v0".into())),
                Expr::differs(Selector::EtherSaddr, mac()),
            ],
            vec![Expr::equal(Selector::EtherType, Value::EtherType(0x0806))],
            vec![Expr::equal(Selector::IpSaddr, ip("10.1.1.1"))],
            vec![Expr::equal(Selector::Ip6Saddr, ip("fd00::1"))],
        ],
    );
    check(
        &transaction,
        &expect![[r#"
        table bridge t {
            chain c {
                iifname "v0" ether saddr != 02:00:00:00:00:01 accept
                ether type arp accept
                ip saddr 10.1.1.1 accept
                ip6 saddr fd00::1 accept
            }
        }
    "#]],
    );
}

#[test]
fn ports_names_and_marks() {
    let port = Value::Port(53);
    let transaction = rules(
        Family::Inet,
        [
            vec![Expr::equal(Selector::TcpDport, Value::Port(80))],
            vec![Expr::equal(Selector::UdpDport, port.clone())],
            vec![Expr::equal(Selector::ThDport, port.clone())],
            vec![Expr::equal(Selector::L4Proto, Value::Proto(132))],
            vec![Expr::equal(Selector::L4Proto, Value::Proto(17)), Expr::equal(Selector::UdpDport, port)],
            vec![Expr::equal(Selector::NfProto, Value::NfProto(2))],
            vec![Expr::equal(Selector::IifName, Value::Ifname("eth0".into()))],
            vec![Expr::differs(Selector::OifName, Value::Ifname("veth*".into()))],
            vec![Expr::equal(Selector::Mark, Value::Mark(0x2000))],
            vec![Expr::MarkBits { mask: 0x2000, value: 0x2000 }],
            vec![Expr::SetMarkBits(0x2000)],
            vec![Expr::equal(Selector::EtherSaddr, mac())],
        ],
    );
    check(
        &transaction,
        &expect![[r#"
        table inet t {
            chain c {
                tcp dport 80 accept
                udp dport 53 accept
                th dport 53 accept
                meta l4proto sctp accept
                udp dport 53 accept
                meta nfproto ipv4 accept
                iifname "eth0" accept
                oifname != "veth*" accept
                meta mark 0x00002000 accept
                meta mark & 0x00002000 == 0x00002000 accept
                meta mark set meta mark | 0x00002000 accept
                ether saddr 02:00:00:00:00:01 accept
            }
        }
    "#]],
    );
}

#[test]
fn flows_and_local_addresses() {
    let transaction = rules(
        Family::Inet,
        [
            vec![Expr::CtState(CtState::ESTABLISHED | CtState::RELATED)],
            vec![Expr::CtState(CtState::INVALID)],
            vec![Expr::CtState(CtState::NEW), Expr::Counter],
            vec![Expr::CtDnat],
            vec![Expr::FibLocal],
        ],
    );
    check(
        &transaction,
        &expect![[r#"
        table inet t {
            chain c {
                ct state established,related accept
                ct state invalid accept
                ct state new counter packets 0 bytes 0 accept
                ct status dnat accept
                fib daddr type local accept
            }
        }
    "#]],
    );
}

#[test]
fn verdicts_hooks_and_comments() {
    let table = Table { comment: Some("a table".into()), ..Table::new(Family::Inet, "t") };
    let forward = Hook { policy: Policy::Drop, ..Hook::new(Kind::Filter, Point::Forward, -10) };
    let mut base = Chain::base("forward", forward).with([Expr::jump("there")]).with([Expr::goto("there")]);
    base.rules.push(Rule::new([Expr::ACCEPT]).commented("why not"));
    let mut transaction = Transaction::new();
    transaction
        .add_table(&table)
        .add_chain(&table, &Chain::new("there").with([Expr::RETURN]).with([Expr::DROP]))
        .add_chain(&table, &base)
        .add_chain(&table, &Chain::base("input", Hook::new(Kind::Filter, Point::Input, 0)));
    check(
        &transaction,
        &expect![[r#"
        table inet t {
            comment "a table"
            chain there {
                return
                drop
            }

            chain forward {
                type filter hook forward priority filter - 10; policy drop;
                jump there
                goto there
                accept comment "why not"
            }

            chain input {
                type filter hook input priority filter; policy accept;
            }
        }
    "#]],
    );
}

#[test]
fn address_translation() {
    let table = Table::new(Family::Inet, "t");
    let tcp = Expr::equal(Selector::L4Proto, Value::Proto(6));
    let dnat = |address: &str, port| Expr::Dnat { address: address.parse().expect("an address"), port };
    let postrouting = Chain::base("postrouting", Hook::new(Kind::Nat, Point::Postrouting, 100))
        .with([Expr::equal(Selector::IpSaddr, ip("10.0.0.1")), Expr::Masquerade { fully_random: false }])
        .with([Expr::Masquerade { fully_random: true }]);
    let prerouting = Chain::base("prerouting", Hook::new(Kind::Nat, Point::Prerouting, -100))
        .with([tcp.clone(), dnat("10.1.0.2", Some(80))])
        .with([dnat("10.1.0.2", None)])
        .with([tcp, dnat("fd00::2", Some(80))])
        .with([dnat("fd00::2", None)]);
    let output = Chain::base("output", Hook::new(Kind::Nat, Point::Output, -100));
    let mut transaction = Transaction::new();
    transaction
        .add_table(&table)
        .add_chain(&table, &postrouting)
        .add_chain(&table, &prerouting)
        .add_chain(&table, &output);
    check(
        &transaction,
        &expect![[r#"
        table inet t {
            chain postrouting {
                type nat hook postrouting priority srcnat; policy accept;
                ip saddr 10.0.0.1 masquerade
                masquerade fully-random
            }

            chain prerouting {
                type nat hook prerouting priority dstnat; policy accept;
                meta l4proto tcp dnat ip to 10.1.0.2:80
                dnat ip to 10.1.0.2
                meta l4proto tcp dnat ip6 to [fd00::2]:80
                dnat ip6 to fd00::2
            }

            chain output {
                type nat hook output priority -100; policy accept;
            }
        }
    "#]],
    );
}
