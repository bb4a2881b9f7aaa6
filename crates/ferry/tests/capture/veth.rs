//! A veth with a bit of everything.

use expect_test::expect;
use ferry::Policy;

use super::{PAIRS, captured, in_netns};

const EVERYTHING: &str = "
    ip link set d0 mtu 1400 txqueuelen 77 group 9 alias 'the third one'
    ip link property add dev d0 altname enp9s9 altname a-name-of-more-than-fifteen
    echo 2 > /proc/sys/net/ipv4/conf/d0/rp_filter
    echo 7 > /proc/sys/net/ipv6/conf/d0/dad_transmits
    echo 250 > /proc/sys/net/ipv4/neigh/d0/retrans_time_ms
    ip address add 10.0.0.1/24 broadcast 10.0.0.127 label d0:web metric 50 dev d0
    ip address add 10.0.0.2/24 dev d0
    ip address add 10.7.0.1 peer 10.7.0.9/32 dev d0
    ip address add fd00::1/64 nodad noprefixroute dev d0
    ip address add fd00::2/64 nodad metric 99 dev d0
    ip address add fd00::3/128 nodad preferred_lft 0 dev d0
    ip route add 10.1.0.0/24 dev d0
    ip route add default via 10.0.0.254 metric 300
    ip route add 10.2.0.0/16 via 192.0.2.1 dev d0 onlink src 10.0.0.2 mtu lock 1300 advmss 1200
    ip route add 10.3.0.0/16 nexthop via 10.0.0.253 weight 2 nexthop via 10.0.0.252 dev d0 weight 5
    ip -6 route add fd00::/64 dev d0 proto static
    ip -6 route add default via fd00::fe metric 12 pref high
    ip -6 route add fd03::/64 nexthop via fd00::fd weight 3 nexthop via fd00::fc
    ip route add default via 10.0.0.251 dev d0 table 100 proto 77
    ip route add 10.8.0.0/16 dev d0 scope link table 100 src 10.0.0.1
    ip route add blackhole 10.9.0.0/16 table 100
    ip -6 route add default via fd00::fb dev d0 table 1000
    ip -6 route add unreachable fd09::/64 table 1000
    ip nexthop add id 5 via 10.0.0.250 dev d0
    ip route add 10.5.0.0/16 nhid 5
    ip rule add priority 900 from 10.0.0.1 lookup 100
    ip -6 rule add priority 901 iif d0 fwmark 0x10/0xff lookup 1000
    ip neighbour add 10.0.0.250 lladdr 02:00:00:00:00:99 nud permanent dev d0
    ip neighbour add fd00::fe lladdr 02:00:00:00:00:98 router nud permanent dev d0
    ip neighbour add proxy 10.0.0.77 dev d0
";

#[test]
fn everything_on_a_veth_is_captured_and_makes_it_again() {
    let home = in_netns(&format!("{PAIRS}{EVERYTHING}"), |socket| captured(socket, &Policy::default()));
    expect![[r#"
        ip link set dev d0 address 02:fc:00:00:00:00 mtu 1400 txqueuelen 77 group 9 alias 'the third one'
        ip link property add dev d0 altname enp9s9
        ip link property add dev d0 altname a-name-of-more-than-fifteen
        sysctl -w net/ipv4/conf/d0/rp_filter=2
        sysctl -w net/ipv6/conf/d0/addr_gen_mode=1
        sysctl -w net/ipv6/conf/d0/dad_transmits=7
        sysctl -w net/ipv4/neigh/d0/retrans_time_ms=252
        ip link set dev d0 up
        ip address add 10.0.0.1/24 broadcast 10.0.0.127 label d0:web metric 50 dev d0
        ip address add 10.7.0.1 peer 10.7.0.9/32 dev d0
        ip address add 10.0.0.2/24 dev d0
        ip address add fd00::1/64 nodad noprefixroute dev d0
        ip address add fd00::2/64 metric 99 nodad dev d0
        ip address add fd00::3/128 nodad valid_lft 4294967295 preferred_lft 0 dev d0
        ip route append 10.8.0.0/16 dev d0 src 10.0.0.1 table 100
        ip route append 10.1.0.0/24 dev d0
        ip route append 10.2.0.0/16 via 192.0.2.1 dev d0 onlink src 10.0.0.2 mtu lock 1300 advmss 1200
        ip -6 route append fd00::/64 dev d0 metric 1024 proto static
        ip route append default via 10.0.0.251 dev d0 table 100 proto 77
        ip route append default via 10.0.0.254 dev d0 metric 300
        ip route append 10.3.0.0/16 nexthop via 10.0.0.253 dev d0 weight 2 nexthop via 10.0.0.252 dev d0 weight 5
        ip route append 10.5.0.0/16 via 10.0.0.250 dev d0
        ip -6 route append default via fd00::fe dev d0 metric 12 pref high
        ip -6 route append fd03::/64 metric 1024 nexthop via fd00::fd dev d0 weight 3 nexthop via fd00::fc dev d0 weight 1
        ip -6 route append default via fd00::fb dev d0 metric 1024 table 1000
        ip route append blackhole 10.9.0.0/16 table 100
        ip -6 route append unreachable fd09::/64 metric 1024 table 1000
        ip rule add priority 900 from 10.0.0.1/32 lookup 100
        ip -6 rule add priority 901 from all fwmark 0x10/0xff iif d0 lookup 1000
        ip neighbour add 10.0.0.250 lladdr 02:00:00:00:00:99 nud permanent dev d0
        ip neighbour add fd00::fe lladdr 02:00:00:00:00:98 router nud permanent dev d0
        ip neighbour add proxy 10.0.0.77 dev d0"#]]
    .assert_eq(&home.to_string());
    assert_eq!(home.lost, ["nexthop object 5: routes hold what it says"]);

    let away = in_netns(&format!("{PAIRS}ip link set d0 down\n{home}"), |socket| captured(socket, &Policy::default()));
    let mut expected = home;
    (expected.identity.index, expected.lost) = (away.identity.index, Vec::new());
    assert_eq!(away, expected);
}

#[test]
fn every_metric_of_a_route_makes_it_again() {
    let script = "
        ip address add 10.0.0.1/24 dev d0; ip address add fd00::1/64 nodad dev d0
        ip route add 10.1.0.0/16 via 10.0.0.9 rtt lock 80ms rttvar 20ms rto_min 50ms congctl lock cubic window 1000 \
            ssthresh 5 cwnd lock 6 initcwnd 20 initrwnd 21 reordering 4 quickack 1 features ecn hoplimit 3 advmss 700
        ip route add 10.2.0.0/16 via inet6 fd00::9 dev d0; ip route add 10.3.0.0/16 tos 0x10 dev d0
        ip -6 route add fd01::/64 from fd02::/64 dev d0 pref low; ip -6 route add ::/0 dev d0 metric 7
        ip route add 0.0.0.0/0 dev d0 metric 7 scope global; ip route add 10.4.0.0/16 scope host dev d0";
    let home = in_netns(&format!("{PAIRS}{script}"), |socket| captured(socket, &Policy::default()));
    let metrics: Vec<usize> = home.routes.iter().map(|route| route.metrics.len()).collect();
    assert_eq!((metrics.len(), metrics.into_iter().max()), (7, Some(15)), "{home}");
    let mut away = in_netns(&format!("{PAIRS}{home}"), |socket| captured(socket, &Policy::default()));
    away.identity.index = home.identity.index;
    assert_eq!(away, home);
}

#[test]
fn without_addresses_only_the_device_is_captured() {
    let policy = Policy { addresses: ferry::Addresses::None, link_scope: true };
    let device = in_netns(&format!("{PAIRS}{EVERYTHING}"), move |socket| captured(socket, &policy));
    assert!(device.addresses.is_empty() && device.routes.is_empty() && device.rules.is_empty());
    assert!(device.neighbours.is_empty());
    assert_eq!((device.identity.altnames.len(), device.sysctls.len(), device.settings.mtu), (2, 4, 1400));
}
