//! A device with everything that it can have.

use super::{Ferry, assert_says, exists, sh, snapshot};

/// A pair `d0`-`p0`: 3 IPv4 and 3 IPv6 addresses (peer, label, metric, noprefixroute, deprecated, odd broadcast), 12
/// routes of 3 tables, 2 rules, 2 permanent neighbours, a proxy, a sysctl and 2 alternative names. `p0` is in a namespace
/// of its own, the rest of the world.
pub(super) const DEVICE: &str = r"
    ip link add d0 address $MAC mtu 1400 txqueuelen 77 numtxqueues 1 numrxqueues 1 type veth \
        peer name p0 numtxqueues 1 numrxqueues 1
    ip link property add dev d0 altname enp-d0; ip link property add dev d0 altname a-much-longer-name-than-fits
    ip link set d0 alias 'the uplink' group 7
    echo 2 > /proc/sys/net/ipv4/conf/d0/rp_filter
    ip link set p0 netns $WORLD; nsenter --net=$WORLD ip link set p0 up; ip link set d0 up
    ip address add 10.1.0.5/24 broadcast 10.1.0.77 dev d0 label d0:web
    ip address add 10.1.0.6/24 metric 50 noprefixroute dev d0
    ip address add 10.9.9.1 peer 10.9.9.2/32 dev d0
    ip address add fd01::5/64 nodad dev d0; ip address add fd01::6/64 metric 70 dev d0
    ip address add fd02::5/64 preferred_lft 0 noprefixroute nodad dev d0
    nsenter --net=$WORLD sh -ec 'ip address add 10.1.0.1/24 dev p0; ip address add fd01::1/64 nodad dev p0'
    for turn in $(seq 300); do ip -6 address show d0 | grep -q tentative || break; sleep 0.01; done
    ip route add default via 10.1.0.1 metric 300
    ip route add 10.20.0.0/16 via 10.1.0.1 dev d0 src 10.1.0.5 mtu 1300
    ip route add 10.21.0.0/16 via 192.0.2.1 dev d0 onlink
    ip route add 10.22.0.0/16 nexthop via 10.1.0.1 dev d0 weight 2 nexthop via 10.1.0.3 dev d0 weight 1
    ip route add 10.23.0.0/16 dev d0 scope link table 100
    ip route add default via 10.1.0.1 dev d0 table 100
    ip route add blackhole 10.24.0.0/16 table 100
    ip -6 route add default via fd01::1 metric 2000
    ip -6 route add fd20::/64 via fd01::1 dev d0 src fd01::6 mtu 1350
    ip -6 route add fd21::/64 dev d0 table 101
    ip -6 route add default via fd01::1 dev d0 table 101 pref high
    ip -6 route add blackhole fd24::/64 table 101
    ip rule add from 10.1.0.5 lookup 100 priority 1000; ip -6 rule add from fd01::5 lookup 101 priority 1001
    ip neighbour add 10.1.0.40 lladdr 02:aa:00:00:00:01 nud permanent dev d0
    ip -6 neighbour add fd01::40 lladdr 02:aa:00:00:00:02 nud permanent dev d0
    ip neighbour add proxy 10.1.0.50 dev d0
    for turn in $(seq 300); do ip link show d0 | grep -q 'state UP' && break; sleep 0.01; done
";

#[test]
fn goes_with_all_it_has_and_comes_back_with_it() {
    Ferry::run(DEVICE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        // At once, without waiting for anything.
        ferry.away("ping -c 1 -W 1 -I 10.1.0.5 10.1.0.1; ping -c 1 -W 1 -I fd01::5 fd01::1");
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
