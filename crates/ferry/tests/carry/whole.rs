//! A device with everything that it can have.

use lab::device::WHOLE;

use super::{Ferry, assert_says, exists, sh, snapshot};

#[test]
fn goes_with_all_it_has_and_comes_back_with_it() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        // At once, without waiting for anything.
        ferry.away("ping -c 1 -W 5 -I 10.1.0.5 10.1.0.1; ping -c 1 -W 5 -I fd01::5 fd01::1");
        let there = ferry.away(
            "ip -d link show net1; ip -d address show net1; ip route show table all; ip -6 route show table all
            ip rule; ip -6 rule; ip neighbour show nud permanent; ip neighbour show proxy
            grep -H . /proc/sys/net/ipv4/conf/net1/rp_filter",
        );
        assert_says(
            &there,
            &[
                "mtu 1400",
                "qlen 77",
                "alias d0",
                "altname enp-d0",
                "inet 10.1.0.5/24 brd 10.1.0.77 scope global net1:web",
                "inet 10.1.0.6/24 metric 50 scope global secondary noprefixroute net1",
                "inet 10.9.9.1 peer 10.9.9.2/32",
                "inet6 fd01::5/64 scope global nodad",
                "inet6 fd02::5/64 scope global nodad deprecated noprefixroute",
                "default via 10.1.0.1 dev net1 metric 300",
                "10.20.0.0/16 via 10.1.0.1 dev net1 src 10.1.0.5 mtu 1300",
                "10.21.0.0/16 via 192.0.2.1 dev net1 onlink",
                "nexthop via 10.1.0.3 dev net1 weight 1",
                "10.23.0.0/16 dev net1 table 100 scope link",
                "blackhole 10.24.0.0/16 table 100",
                "fd20::/64 via fd01::1 dev net1 src fd01::6",
                "default via fd01::1 dev net1 table 101",
                "pref high",
                "blackhole fd24::/64 dev lo table 101",
                "1000:\tfrom 10.1.0.5 lookup 100",
                "1001:\tfrom fd01::5 lookup 101",
                "10.1.0.40 dev net1 lladdr 02:aa:00:00:00:01 PERMANENT",
                "fd01::40 dev net1 lladdr 02:aa:00:00:00:02 PERMANENT",
                "10.1.0.50 dev net1 proxy",
                "rp_filter:2",
            ],
        );
        assert!(exists(&ferry.dir.join("lent/test.json")));
        let returned = ferry.bring_home().unwrap();
        assert!(returned.iter().all(|one| one.is_home && one.notes.is_empty()), "{returned:?}");
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
        let left =
            ferry.away("ip -brief link; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all");
        for trace in ["net1", "lookup 10", "table 10"] {
            assert!(!left.contains(trace), "{trace} is left in\n{left}");
        }
    });
}

/// A secret that is not set cannot be read, and setting it sets how addresses are made.
#[test]
fn a_secret_comes_back_with_what_it_would_change() {
    for mode in [0, 1, 2] {
        Ferry::run(WHOLE, move |ferry| {
            let set = "echo 2001:db8::5ec:4e7 > stable_secret";
            sh(&format!("cd /proc/sys/net/ipv6/conf/d0; {set}; echo {mode} > addr_gen_mode"));
            ferry.carry(&[("d0", "net1")]).unwrap();
            let look = |name| format!("cd /proc/sys/net/ipv6/conf/{name}; cat stable_secret addr_gen_mode");
            let expected = format!("2001:0db8:0000:0000:0000:0000:05ec:04e7\n{mode}\n");
            assert_eq!(ferry.away(&look("net1")), expected);
            assert!(ferry.bring_home().unwrap()[0].notes.is_empty());
            assert_eq!(sh(&look("d0")), expected);
            ferry.assert_nothing_is_lent();
        });
    }
}

/// Both are the same text; a difference is shown by `diff`.
pub(super) fn similar(before: &str, after: &str) {
    let (old, new) = (tempfile(before), tempfile(after));
    let difference = sh(&format!("diff {old} {new} || :; rm {old} {new}"));
    assert!(difference.is_empty(), "{difference}");
}

fn tempfile(text: &str) -> String {
    let path = sh("mktemp").trim().to_owned();
    std::fs::write(&path, text).unwrap();
    path
}
