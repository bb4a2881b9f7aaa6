//! Rules with every attribute: added, read back equal, removed, gone; and no other rule is meant than the one given.

use kernel::Socket;
use kernel::netlink::rule::{self, Mark, Rule, action};

use super::{in_netns, ip, ip_json};

/// Rules with each attribute alone and one with all.
fn every_attribute(ipv6: bool) -> Vec<Rule> {
    let net = |v4: &str, v6: &str| (if ipv6 { v6 } else { v4 }).parse().ok();
    let plain = Rule::new(ipv6, 1000, 100);
    let full = Rule {
        invert: true,
        from: net("10.0.0.0/8", "fd00::/16"),
        to: net("10.1.2.3/32", "fd00::3/128"),
        iif: Some("in0".into()),
        oif: Some("out0".into()),
        fwmark: Some(Mark { value: 0x10, mask: 0xff }),
        ipproto: Some(6),
        sport: Some(1024..=65534),
        dport: Some(443..=443),
        uidrange: Some(0..=999),
        table: 1_000_000,
        suppress_prefixlength: Some(0),
        protocol: 0x42,
        ..plain.clone()
    };
    vec![
        Rule { priority: 0, ..plain.clone() },
        Rule { invert: true, from: full.from, ..plain.clone() },
        Rule { from: full.from, ..plain.clone() },
        Rule { to: full.to, ..plain.clone() },
        Rule { iif: full.iif.clone(), ..plain.clone() },
        Rule { oif: full.oif.clone(), ..plain.clone() },
        Rule { fwmark: full.fwmark, ..plain.clone() },
        Rule { fwmark: Some(Mark { value: 0, mask: 0xff }), ..plain.clone() },
        Rule { tos: 0x10, ..plain.clone() },
        Rule { ipproto: Some(17), ..plain.clone() },
        Rule { sport: Some(53..=53), ..plain.clone() },
        Rule { dport: Some(1..=2), ..plain.clone() },
        Rule { uidrange: Some(1000..=1000), ..plain.clone() },
        Rule { table: 254, suppress_prefixlength: Some(0), ..plain.clone() },
        Rule { table: 1_000_000, ..plain.clone() },
        Rule { table: 0, l3mdev: true, ..plain.clone() },
        Rule { protocol: 0x42, ..plain.clone() },
        Rule { action: action::GOTO, goto: Some(32766), table: 0, ..plain.clone() },
        // Its target does not exist yet.
        Rule { action: action::GOTO, goto: Some(2000), table: 0, ..plain.clone() },
        Rule { action: action::NOP, table: 0, ..plain.clone() },
        Rule { action: action::BLACKHOLE, table: 0, ..plain.clone() },
        Rule { action: action::UNREACHABLE, table: 254, ..plain.clone() },
        Rule { action: action::PROHIBIT, table: 0, ..plain },
        full,
    ]
}

fn round_trip(socket: &mut Socket, given: &Rule) {
    let before = rule::list(socket, given.ipv6).unwrap();
    rule::add(socket, given).unwrap();
    let after = rule::list(socket, given.ipv6).unwrap();
    assert_eq!(after.iter().filter(|rule| !before.contains(rule)).collect::<Vec<_>>(), [given]);
    let shown = ip_json(if given.ipv6 { "-6 rule show" } else { "-4 rule show" });
    assert!(shown.iter().any(|shown| shown["priority"] == given.priority), "{shown:?}");
    let error = rule::add(socket, given).unwrap_err();
    assert_eq!(error.errno, libc::EEXIST, "{error}");
    rule::remove(socket, given).unwrap();
    assert_eq!(rule::list(socket, given.ipv6).unwrap(), before);
    let error = rule::remove(socket, given).unwrap_err();
    assert_eq!((error.what, error.errno), (format!("remove rule {given}"), libc::ENOENT));
}

#[test]
fn of_both_families_with_every_attribute() {
    in_netns(|socket| {
        for given in every_attribute(false).into_iter().chain(every_attribute(true)) {
            round_trip(socket, &given);
        }
    });
}

/// What `ip rule` made, all at once, is removed and put back the same, as `ip` shows it.
#[test]
fn what_others_made_is_put_back_the_same() {
    in_netns(|socket| {
        for arguments in [
            "from 10.0.0.1 lookup 100 priority 10",
            "from 10.0.0.0/8 to 192.0.2.0/24 fwmark 0x1/0xf iif lo lookup 5000 priority 11 protocol 77",
            "not from 10.0.0.0/8 uidrange 0-5 ipproto tcp dport 80-90 sport 7 blackhole priority 12",
            "from all goto 32766 priority 13",
            "to 10.3.0.0/16 tos 0x08 prohibit priority 14",
            "from all lookup main suppress_prefixlength 8 suppress_ifgroup 3 priority 15",
            "from 10.9.0.0/16 realms 7/9 lookup 100 priority 16",
            "from all tun_id 77 lookup 100 priority 17",
            "from all l3mdev unreachable priority 18",
        ] {
            ip(&format!("rule add {arguments}"));
        }
        let shown = ip("-N -details rule show");
        let rules = rule::list(socket, false).unwrap();
        for rule in &rules {
            rule::remove(socket, rule).unwrap();
        }
        assert_eq!((rule::list(socket, false).unwrap(), ip("rule show")), (Vec::new(), String::new()));
        for rule in &rules {
            rule::add(socket, rule).unwrap();
        }
        assert_eq!(rule::list(socket, false).unwrap(), rules);
        assert_eq!(ip("-N -details rule show"), shown);
    });
}

#[test]
fn a_general_rule_beside_a_more_specific_one() {
    in_netns(|socket| {
        let general = Rule::new(false, 1000, 100);
        let specific = Rule { from: "10.0.0.1/32".parse().ok(), ..general.clone() };
        let marked = Rule { fwmark: Some(Mark { value: 1, mask: 1 }), ..general.clone() };
        // The kernel alone says EEXIST here, as the request agrees with the specific rule.
        for rule in [&specific, &marked, &general] {
            rule::add(socket, rule).unwrap();
        }
        // And would remove the specific rule here.
        rule::remove(socket, &general).unwrap();
        let rules = rule::list(socket, false).unwrap();
        let ours: Vec<_> = rules.iter().filter(|rule| rule.priority == 1000).collect();
        assert_eq!(ours, [&specific, &marked]);
        // And here, where there is nothing to remove.
        assert_eq!(rule::remove(socket, &general).unwrap_err().errno, libc::ENOENT);
        assert_eq!(rule::list(socket, false).unwrap(), rules);
    });
}

/// Every pair, as any attribute that one of them lacks may make the kernel take it for the other.
#[test]
fn none_is_taken_for_another() {
    in_netns(|socket| {
        let mut rules = every_attribute(false);
        rules.push(Rule::new(false, 1000, 100));
        for (first, second) in rules.iter().flat_map(|first| rules.iter().map(move |second| (first, second))) {
            if first == second {
                continue;
            }
            let before = rule::list(socket, false).unwrap();
            rule::add(socket, first).unwrap();
            rule::add(socket, second).unwrap();
            rule::remove(socket, second).unwrap();
            rule::remove(socket, first).unwrap_or_else(|error| panic!("{error}, after removing {second}"));
            assert_eq!(rule::list(socket, false).unwrap(), before);
        }
    });
}

#[test]
fn a_refusal_carries_the_kernels_words() {
    in_netns(|socket| {
        let backwards = Rule { action: action::GOTO, goto: Some(10), table: 0, ..Rule::new(false, 1000, 0) };
        let error = rule::add(socket, &backwards).unwrap_err();
        assert_eq!(error.errno, libc::EINVAL, "{error}");
        assert_eq!(error.extack.as_deref(), Some("Backward goto not supported"), "{error}");
        assert!(error.to_string().starts_with("add rule priority 1000 from all goto 10: Invalid argument"), "{error}");
    });
}

#[test]
fn words_are_those_of_ip_rule() {
    in_netns(|socket| {
        for ipv6 in [false, true] {
            let family = if ipv6 { "-6" } else { "-4" };
            for given in every_attribute(ipv6) {
                ip(&format!("{family} rule add {given}"));
                let there = rule::list(socket, ipv6).unwrap();
                // `ip` gives a table of its own choice to a rule that needs none.
                let same = |rule: &Rule| Rule { table: given.table, ..rule.clone() } == given;
                assert!(there.iter().any(same), "{given}: {there:#?}");
                ip(&format!("{family} rule del {given}"));
            }
        }
    });
}
