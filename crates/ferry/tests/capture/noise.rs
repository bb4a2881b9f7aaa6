//! What comes by itself is not captured, and what somebody has set is.

use std::net::IpAddr;

use ferry::{Addresses, Policy};
use kernel::Socket;
use kernel::netlink::address::{self, Address, Lifetime, protocol};
use kernel::netlink::link;

use super::{PAIRS, captured, in_netns, sh, texts};

fn add(socket: &mut Socket, local: &str, protocol: u8, lifetime: Option<Lifetime>) {
    let index = link::get(socket, "d0").unwrap().unwrap().index;
    let flags = address::flags::NODAD;
    let address = Address { protocol, lifetime, flags, ..Address::new(index, local.parse().unwrap()) };
    address::add(socket, &address, "d0").unwrap();
}

#[test]
fn addresses_by_policy() {
    let taken = |addresses, link_scope| {
        in_netns(PAIRS, move |socket| {
            let leased = Some(Lifetime { valid: 3600, preferred: 1800 });
            sh("ip address add 169.254.169.2/32 scope link dev d0; ip link set d0 addrgenmode eui64");
            sh("ip link set d0 down; ip link set d0 up; ip address add fe80::77/64 nodad dev d0");
            add(socket, "10.0.0.1/24", 0, None);
            add(socket, "10.0.0.2/24", 0, leased);
            add(socket, "fd00::1/64", 0, None);
            add(socket, "fd00::2/64", 0, leased);
            add(socket, "fd00::3/64", protocol::KERNEL_RA, leased);
            add(socket, "fd00::4/64", protocol::KERNEL_RA, None);
            let device = captured(socket, &Policy { addresses, link_scope });
            let local: Vec<String> = device.addresses.iter().map(|address| address.local.to_string()).collect();
            local.join(" ")
        })
    };
    assert_eq!(taken(Addresses::Permanent, false), "10.0.0.1/24 10.0.0.2/24 fd00::1/64");
    assert_eq!(
        taken(Addresses::All, true),
        "169.254.169.2/32 10.0.0.1/24 10.0.0.2/24 fe80::77/64 fd00::1/64 fd00::2/64"
    );
    assert_eq!(taken(Addresses::None, true), "");
}

#[test]
fn routes_that_come_by_themselves() {
    let script = "
        ip address add 10.0.0.1/24 dev d0; ip address add fd00::1/64 nodad dev d0
        ip -6 route add default via fd00::fe proto ra; ip route add 10.5.0.0/16 via 10.0.0.9 proto redirect
        ip route add 10.6.0.0/16 dev d0 proto kernel; ip route add broadcast 10.7.0.1 dev d0 proto static
        ip route add multicast 239.1.0.0/16 dev d0; ip route add 10.8.0.0/16 dev d1 proto static
        ip route add local 10.9.0.0/16 dev d0 table 77; ip route add 10.10.0.0/16 dev d0";
    let device = in_netns(&format!("{PAIRS}{script}"), |socket| captured(socket, &Policy::default()));
    assert_eq!(texts(&device, "route"), ["10.10.0.0/16 dev d0"]);
    assert_eq!(device.lost, ["route local 10.9.0.0/16 dev d0 table 77 scope 254"]);
}

/// NetworkManager and systemd-networkd give an address and the route to its subnet apart, and call the route the kernel's.
#[test]
fn routes_to_the_subnets_of_addresses_that_have_none() {
    let script = "
        ip address add 10.0.0.1/24 noprefixroute dev d0; ip route add 10.0.0.0/24 dev d0 proto kernel src 10.0.0.1 metric 100
        ip address add 10.1.0.1/24 dev d0; ip address add 10.1.0.2/24 noprefixroute dev d0
        ip route add 10.1.0.0/24 dev d0 proto kernel src 10.1.0.2 metric 100
        ip address add 10.2.0.1/24 noprefixroute dev d0; ip address add 10.3.0.1 peer 10.4.0.1/32 noprefixroute dev d0
        ip route add 10.2.0.0/24 dev d0 proto kernel src 10.3.0.1; ip route add 10.4.0.1 dev d0 proto kernel src 10.3.0.1
        ip address add fd00::1/64 nodad noprefixroute dev d0; ip -6 route add fd00::/64 dev d0 proto kernel metric 100
        ip address add fd01::1/64 nodad dev d0; ip address add fd01::2/64 nodad noprefixroute dev d0
        ip address add fe80::7/64 nodad noprefixroute dev d0; ip -6 route add fe80::/64 dev d0 proto kernel metric 1024";
    let taken = |link_scope| {
        let policy = Policy { link_scope, ..Policy::default() };
        texts(&in_netns(&format!("{PAIRS}{script}"), move |socket| captured(socket, &policy)), "route")
    };
    let expected = [
        "10.0.0.0/24 dev d0 src 10.0.0.1 metric 100 proto kernel",
        "10.1.0.0/24 dev d0 src 10.1.0.2 metric 100 proto kernel",
        "10.4.0.1/32 dev d0 src 10.3.0.1 proto kernel",
        "fd00::/64 dev d0 metric 100 proto kernel",
    ];
    assert_eq!(taken(false), expected);
    assert_eq!(taken(true), [&expected[..], &["fe80::/64 dev d0 metric 1024 proto kernel"]].concat());
}

#[test]
fn a_link_local_address_is_the_kernels_if_the_kernel_makes_them() {
    for (mode, expected) in [("eui64", "fd00::1/64"), ("none", "fe80::fc:ff:fe00:0/64 fd00::1/64")] {
        let device = in_netns(PAIRS, move |socket| {
            sh(&format!("ip link set d0 addrgenmode {mode}"));
            add(socket, "fd00::1/64", 0, None);
            add(socket, "fe80::fc:ff:fe00:0/64", 0, None);
            captured(socket, &Policy::WIDEST)
        });
        let local: Vec<String> = device.addresses.iter().map(|address| address.local.to_string()).collect();
        assert_eq!(local.join(" "), expected, "{mode}");
        // It stays behind without --link-scope, and where the device goes the kernel makes another.
        let makes_none = |device: &ferry::Device| {
            device.sysctls.iter().any(|sysctl| (&*sysctl.key, &*sysctl.value) == ("addr_gen_mode", "1"))
        };
        let selected = device.clone().select(&Policy::default());
        assert_eq!((makes_none(&device), makes_none(&selected)), (mode == "none", false));
    }
}

#[test]
fn the_kernels_observations_of_a_route_are_left_out() {
    let script = "
        ip address add 10.0.0.1/24 dev d0
        ip route add 10.1.0.0/16 via 10.0.0.9; ip route add 10.2.0.0/16 nexthop via 10.0.0.8 nexthop via 10.0.0.9
        ip link set p0 down; down() { ip route show 10.1.0.0/16 | grep -q linkdown; }
        for turn in $(seq 500); do down && break; sleep 0.01; done; down";
    let device = in_netns(&format!("{PAIRS}{script}"), |socket| captured(socket, &Policy::default()));
    let routes = [
        "10.1.0.0/16 via 10.0.0.9 dev d0",
        "10.2.0.0/16 nexthop via 10.0.0.8 dev d0 weight 1 nexthop via 10.0.0.9 dev d0 weight 1",
    ];
    assert_eq!(texts(&device, "route"), routes);
}

#[test]
fn a_source_that_stays_is_taken_from_the_route() {
    let device = in_netns(PAIRS, |socket| {
        add(socket, "fd00::1/64", 0, None);
        add(socket, "fd00::9/64", protocol::KERNEL_RA, None);
        sh("ip -6 route add fd07::/64 via fd00::fe src fd00::9");
        captured(socket, &Policy::default())
    });
    assert_eq!(device.routes[0].src, None::<IpAddr>);
    assert_eq!(device.lost, ["route fd07::/64 via fd00::fe dev d0 metric 1024: its source address fd00::9"]);
}

#[test]
fn neighbours_that_somebody_set() {
    let script = "
        ip address add 10.0.0.1/24 dev d0
        ip neighbour add 10.0.0.2 lladdr 02:00:00:00:00:02 nud reachable dev d0
        ip neighbour add 10.0.0.3 lladdr 02:00:00:00:00:03 nud permanent dev d0
        ip neighbour add 10.0.0.4 lladdr 02:00:00:00:00:04 nud permanent dev d1
        ip neighbour add proxy fd00::9 dev d0; ip neighbour add proxy fd00::8 dev d1";
    let device = in_netns(&format!("{PAIRS}{script}"), |socket| captured(socket, &Policy::default()));
    let expected = ["10.0.0.3 lladdr 02:00:00:00:00:03 nud permanent dev d0", "proxy fd00::9 dev d0"];
    assert_eq!(texts(&device, "neighbour"), expected);
}

#[test]
fn sysctls_that_somebody_set() {
    let script = "
        cd /proc/sys/net; echo 0 > ipv4/conf/d0/arp_ignore; echo 1 > ipv4/conf/default/arp_ignore; echo 1400 > ipv6/conf/d0/mtu
        echo 99 > ipv6/conf/d0/hop_limit; echo 0 > ipv6/conf/d0/accept_ra
        echo 1 > ipv4/conf/d0/forwarding; echo 7 > ipv6/neigh/d0/ucast_solicit
        echo 2001:db8::1 > ipv6/conf/d0/stable_secret; echo 0 > ipv6/conf/d0/addr_gen_mode";
    let device = in_netns(&format!("{PAIRS}{script}"), |socket| captured(socket, &Policy::default()));
    let expected = [
        "ipv4/conf arp_ignore=0",
        "ipv4/conf forwarding=1",
        "ipv6/conf stable_secret=2001:0db8:0000:0000:0000:0000:0000:0001",
        "ipv6/conf accept_ra=0",
        "ipv6/conf addr_gen_mode=0",
        "ipv6/conf hop_limit=99",
        "ipv6/conf mtu=1400",
        "ipv6/neigh ucast_solicit=7",
    ];
    assert_eq!(device.sysctls.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn what_a_router_advertised_is_not_a_setting() {
    let script = "echo 0 > /proc/sys/net/ipv6/conf/d0/forwarding
        echo 1400 > /proc/sys/net/ipv6/conf/d0/mtu; echo 2 > /proc/sys/net/ipv6/conf/d0/accept_ra";
    let device = in_netns(&format!("{PAIRS}ip link set d0 addrgenmode eui64\n{script}"), |socket| {
        captured(socket, &Policy::default())
    });
    let keys: Vec<&str> = device.sysctls.iter().map(|sysctl| sysctl.key.as_str()).collect();
    assert!(keys.contains(&"accept_ra") && !keys.contains(&"mtu"), "{keys:?}");
}
