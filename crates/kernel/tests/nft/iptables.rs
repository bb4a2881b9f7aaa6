//! Masquerading with iptables: what the Go plugins' rules are, in both flavours.

use expect_test::{Expect, expect};
use ipnet::IpNet;
use kernel::iptables::{
    add_masquerade, chain, masquerade_missing, masquerade_present, masquerade_text, remove_masquerade,
};

use kernel::nft::Family;

use crate::namespace::{fresh, run, socket};

fn addresses() -> [IpNet; 2] {
    ["10.77.0.2/24", "fd77::2/64"].map(|net| net.parse().expect("a prefix"))
}

/// The rules, without dates and counters of the chains.
fn saved(program: &str) -> String {
    let text = run(&format!("{program} -t nat"), "");
    text.lines()
        .filter(|line| line.starts_with("-A") || line.starts_with(":CNI"))
        .map(|line| format!("{line}\n"))
        .collect()
}

fn round_trip(programs: [&str; 2], add: impl Fn() + Sync, expected: [&Expect; 2]) {
    fresh(|| {
        let name = chain("mynet", "cid-1");
        let mut socket = socket();
        assert_eq!(masquerade_present(&mut socket, &name), Ok(false));
        assert_eq!(remove_masquerade(&mut socket, &name, &[]), Ok(false));
        add();
        assert_eq!(masquerade_present(&mut socket, &name), Ok(true));
        assert_eq!(masquerade_missing(&mut socket, &name, &addresses()), Ok(vec![]));
        for (program, expected) in programs.iter().zip(expected) {
            expected.assert_eq(&saved(program));
        }
        assert_eq!(remove_masquerade(&mut socket, &name, &[]), Ok(true));
        assert_eq!(masquerade_present(&mut socket, &name), Ok(false));
        assert_eq!(programs.map(saved), ["", ""]);
    });
}

#[test]
fn with_the_tables_of_the_host_and_added_twice() {
    let add = || {
        for _ in 0..2 {
            add_masquerade(&mut socket(), "mynet", "cid-1", &addresses(), &[]).expect("both families");
        }
    };
    round_trip(
        ["iptables-save", "ip6tables-save"],
        add,
        [
            &expect![[r#"
        :CNI-d976123710b0229df0e9617c - [0:0]
        -A POSTROUTING -s 10.77.0.2/32 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j CNI-d976123710b0229df0e9617c
        -A CNI-d976123710b0229df0e9617c -d 10.77.0.0/24 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j ACCEPT
        -A CNI-d976123710b0229df0e9617c ! -d 224.0.0.0/4 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j MASQUERADE
    "#]],
            &expect![[r#"
        :CNI-d976123710b0229df0e9617c - [0:0]
        -A POSTROUTING -s fd77::2/128 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j CNI-d976123710b0229df0e9617c
        -A CNI-d976123710b0229df0e9617c -d fd77::/64 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j ACCEPT
        -A CNI-d976123710b0229df0e9617c ! -d ff00::/8 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j MASQUERADE
    "#]],
        ],
    );
}

#[test]
fn what_is_of_another_container_stays() {
    fresh(|| {
        let mut socket = socket();
        add_masquerade(&mut socket, "mynet", "cid-1", &addresses(), &[]).expect("both families");
        let before = saved("iptables-save");
        add_masquerade(&mut socket, "mynet", "cid-2", &addresses(), &[]).expect("both families");
        assert_eq!(remove_masquerade(&mut socket, &chain("mynet", "cid-2"), &[]), Ok(true));
        assert_eq!(saved("iptables-save"), before);
    });
}

fn shared(programs: [&str; 2], add: impl Fn(&[IpNet], &[IpNet]) + Sync) {
    let others = ["10.77.1.3/24", "10.77.0.9/24", "fd77::3/64"].map(|net| net.parse().expect("a prefix"));
    fresh(|| {
        let (mut socket, name) = (socket(), chain("mynet", "cid-1"));
        add(&addresses(), &[]);
        let before = programs.map(saved);
        add(&others, &addresses());
        assert_eq!(masquerade_missing(&mut socket, &name, &[addresses().as_slice(), &others].concat()), Ok(vec![]));
        assert!(saved(programs[0]).contains("-d 10.77.0.0/24 ") && saved(programs[0]).contains("-d 10.77.1.0/24 "));
        assert_eq!(remove_masquerade(&mut socket, &name, &addresses()), Ok(true));
        assert_eq!(remove_masquerade(&mut socket, &name, &addresses()), Ok(false), "nothing is left to remove");
        assert_eq!(masquerade_missing(&mut socket, &name, &addresses()), Ok(vec![]));
        let missing = masquerade_missing(&mut socket, &name, &others[2..]).expect("an answer");
        assert_eq!(missing, [format!("ip6tables rule POSTROUTING -s fd77::3 -j {name}")]);
        assert_eq!(saved(programs[1]), before[1]);
        assert_eq!(remove_masquerade(&mut socket, &name, &others), Ok(true));
        assert_eq!(programs.map(saved), ["", ""]);
    });
}

#[test]
fn interfaces_of_one_container_share_a_chain() {
    shared(["iptables-save", "ip6tables-save"], |addresses, others| {
        add_masquerade(&mut socket(), "mynet", "cid-1", addresses, others).expect("both families");
    });
}

#[test]
fn interfaces_of_one_container_share_a_legacy_chain() {
    shared(["iptables-legacy-save", "ip6tables-legacy-save"], |addresses, others| {
        for (family, program) in [(Family::Ip, "iptables"), (Family::Ip6, "ip6tables")] {
            let text = masquerade_text(family, "mynet", "cid-1", addresses, others).expect("an address of the family");
            run(&format!("{program}-legacy-restore --noflush -w 10"), &text);
        }
    });
}

#[test]
fn what_is_missing_is_named() {
    fresh(|| {
        let (mut socket, name) = (socket(), chain("mynet", "cid-1"));
        let missing = masquerade_missing(&mut socket, &name, &addresses()).expect("an answer");
        assert_eq!(missing, [format!("iptables chain {name}"), format!("ip6tables chain {name}")]);
        add_masquerade(&mut socket, "mynet", "cid-1", &addresses(), &[]).expect("both families");
        run(&format!("iptables -t nat -F {name}"), "");
        run("ip6tables -t nat -F POSTROUTING", "");
        let missing = masquerade_missing(&mut socket, &name, &addresses()).expect("an answer");
        let jump = format!("ip6tables rule POSTROUTING -s fd77::2 -j {name}");
        assert_eq!(missing, [format!("every rule of iptables chain {name}"), jump]);
    });
}

#[test]
fn what_iptables_says_is_in_the_error() {
    fresh(|| {
        let id = "x".repeat(20_000);
        let error = add_masquerade(&mut socket(), "mynet", &id, &addresses(), &[]).expect_err("a line too long");
        assert_eq!((error.what.as_str(), error.errno), ("run iptables-restore", libc::EIO));
        assert!(error.extack.as_ref().is_some_and(|text| text.contains("too long")), "{error}");
    });
}

#[test]
fn with_the_legacy_tables() {
    let add = || {
        for (family, program) in [(Family::Ip, "iptables"), (Family::Ip6, "ip6tables")] {
            let text = masquerade_text(family, "mynet", "cid-1", &addresses(), &[]).expect("an address of the family");
            run(&format!("{program}-legacy-restore --noflush -w 10"), &text);
        }
    };
    round_trip(
        ["iptables-legacy-save", "ip6tables-legacy-save"],
        add,
        [
            &expect![[r#"
        :CNI-d976123710b0229df0e9617c - [0:0]
        -A POSTROUTING -s 10.77.0.2/32 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j CNI-d976123710b0229df0e9617c
        -A CNI-d976123710b0229df0e9617c -d 10.77.0.0/24 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j ACCEPT
        -A CNI-d976123710b0229df0e9617c ! -d 224.0.0.0/4 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j MASQUERADE
    "#]],
            &expect![[r#"
        :CNI-d976123710b0229df0e9617c - [0:0]
        -A POSTROUTING -s fd77::2/128 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j CNI-d976123710b0229df0e9617c
        -A CNI-d976123710b0229df0e9617c -d fd77::/64 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j ACCEPT
        -A CNI-d976123710b0229df0e9617c ! -d ff00::/8 -m comment --comment "name: \"mynet\" id: \"cid-1\"" -j MASQUERADE
    "#]],
        ],
    );
}
