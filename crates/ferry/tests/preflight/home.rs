//! What holds a device where it is, and a target that is unfit for it.

use std::os::fd::{AsFd, AsRawFd};
use std::thread;

use ferry::{Obstacle, Policy, capture};

use super::{DEVICE, flight, look, obstacles, place, sh};

#[test]
fn a_plain_device_meets_no_obstacle() {
    let found = flight("ip route add default via 10.0.0.1 table 7", "true", "eth0", false);
    assert_eq!((found.name.as_str(), found.obstacles), ("eth0", Vec::new()));
}

#[test]
fn the_namespace_of_its_own() {
    let test = || {
        let mut home = place(&format!("{DEVICE} ip link property add dev d0 altname alt0"));
        let mut same = super::Place {
            netns: kernel::netns::Netns::current().unwrap(),
            socket: kernel::Socket::open(kernel::Family::Route).unwrap(),
        };
        for wanted in ["d0", "eth0"] {
            let device = super::d0(&mut home);
            let found = look(&mut home, &mut same, &device, wanted, false);
            assert_eq!(found.obstacles, [Obstacle::SameNamespace]);
        }
    };
    thread::spawn(test).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn what_the_kernel_keeps() {
    let test = || {
        let mut away = place("true");
        let mut home = place("ip link add br0 type bridge; ip link add v0 type veth peer name v1");
        for (name, expected) in [("lo", Some("loopback")), ("br0", Some("bridge")), ("v0", None)] {
            let device = capture(&mut home.socket, name, &Policy::default()).unwrap();
            let found = look(&mut home, &mut away, &device, "eth0", false);
            let immutable = |what: &str| Obstacle::Immutable { what: what.to_owned() };
            assert_eq!(found.obstacles, expected.map(immutable).into_iter().collect::<Vec<_>>(), "{name}");
        }
        // The kernel agrees.
        let target = format!("/proc/{}/fd/{}", std::process::id(), away.netns.as_fd().as_raw_fd());
        let refused = |name| format!("if ip link set {name} netns {target} name x 2> /dev/null; then exit 1; fi");
        sh(&format!("{}; {}; ip link set v0 netns {target} name x", refused("lo"), refused("br0")));
    };
    thread::spawn(test).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn the_uplink_unless_it_is_allowed() {
    let uplink = |route: &str| vec![Obstacle::Uplink { route: route.to_owned() }];
    let ipv4 = "ip route add default via 10.0.0.1";
    assert_eq!(obstacles(ipv4, "true", "eth0"), uplink("default via 10.0.0.1"));
    assert_eq!(flight(ipv4, "true", "eth0", true).obstacles, []);
    assert_eq!(obstacles("ip -6 route add default via fd00::1 proto ra", "true", "eth0"), uplink("::/0 via fd00::1"));
    let several =
        "ip link add x type bridge; ip link set x up; ip route add default nexthop dev x nexthop via 10.0.0.1";
    assert_eq!(obstacles(several, "true", "eth0"), uplink("default"));
    let other = "ip link add x type bridge; ip link set x up; ip route add default dev x";
    assert_eq!(obstacles(other, "true", "eth0"), []);
}

#[test]
fn the_uplink_is_the_preferred_way_out() {
    // Another device with a carrier, and one without.
    let other = "
        ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
        ip address add 10.1.0.5/24 dev v0; ip address add fd01::5/64 nodad dev v0
        wait_for 'multicast ff00::/8 dev v0' 'multicast ff00::/8 dev v1' 'local fd01::5 dev v0'
        ip link add x type veth peer name y; ip link set x up; ip address add 10.2.0.5/24 dev x";
    let own = "ip route add default via 10.0.0.1 metric 100";
    let uplink = |route: &str| vec![Obstacle::Uplink { route: route.to_owned() }];
    let ipv4 = || uplink("default via 10.0.0.1");
    for (routes, expected) in [
        ("ip route add default via 10.1.0.1 metric 50", vec![]),
        ("ip route add default via 10.1.0.1", vec![]),
        ("ip route append default via 10.1.0.1 metric 100", ipv4()),
        ("ip route add default via 10.1.0.1 metric 101", ipv4()),
        // What is no way out, or for some packets only.
        ("ip route add default via 10.1.0.1 metric 50; ip link set v0 down", ipv4()),
        ("ip route add default via 10.2.0.1 metric 50", ipv4()),
        ("ip route add default via 10.1.0.1 metric 50 tos 0x10", ipv4()),
        ("ip route add default via 10.1.0.1 metric 50 table 7", ipv4()),
        ("ip route add unreachable default metric 50", ipv4()),
        ("ip route add 10.0.0.0/8 via 10.1.0.1 metric 50", ipv4()),
        // Several paths, and several routes out of the device.
        ("ip route add default metric 50 nexthop via 10.1.0.1 nexthop via 10.2.0.1", vec![]),
        ("ip route add default metric 50 nexthop via 10.1.0.1 nexthop via 10.0.0.9", uplink("default")),
        (
            "ip route add default via 10.1.0.1 metric 50; ip route add default via 10.0.0.7 metric 7",
            uplink("default via 10.0.0.7"),
        ),
        // Each family has a way out of its own.
        ("ip route add default via 10.1.0.1; ip -6 route add default via fd00::1", uplink("::/0 via fd00::1")),
        (
            "ip route add default via 10.1.0.1; ip -6 route add default via fd00::1 metric 9
            ip -6 route add default via fd01::1 metric 8",
            vec![],
        ),
        (
            "ip route add default via 10.1.0.1; ip -6 route add default via fd00::1 metric 9
            ip -6 route add default from fd03::/64 via fd01::1 metric 8",
            uplink("::/0 via fd00::1"),
        ),
    ] {
        assert_eq!(obstacles(&format!("{other}; {own}; {routes}"), "true", "eth0"), expected, "{routes}");
    }
}

#[test]
fn masters_and_children() {
    let port = "ip link add br0 type bridge; ip link set d0 master br0";
    assert_eq!(obstacles(port, "true", "eth0"), [Obstacle::Master { name: "br0".into() }]);
    let children = "ip link add mv0 link d0 type macvlan; ip link add mv7 link d0 type macvlan; ip link add mv1 link p0 type macvlan";
    let child = |name: &str| Obstacle::Child { name: name.to_owned() };
    assert_eq!(obstacles(children, "true", "eth0"), [child("mv0"), child("mv7")]);
}

#[test]
fn a_target_without_ipv6() {
    let disable = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6";
    assert_eq!(obstacles("", disable, "eth0"), [Obstacle::Ipv6Disabled { addresses: 1 }]);
    assert_eq!(
        obstacles("", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6", "eth0"),
        [Obstacle::Ipv6Disabled { addresses: 1 }]
    );
    assert_eq!(obstacles("ip address del fd00::5/64 dev d0", disable, "eth0"), []);
    // What is set on the device is set there too.
    assert_eq!(obstacles(disable, disable, "eth0"), []);
}

#[test]
fn obstacles_say_what_to_do() {
    let found = obstacles(
        "ip route add default via 10.0.0.1; ip link add mv7 link d0 type macvlan",
        "ip link add eth0 type bridge",
        "eth0",
    );
    let words: Vec<String> = found.iter().map(ToString::to_string).collect();
    let expected = [
        "the name eth0 is taken in the target; choose another",
        "this host reaches others through the device (default via 10.0.0.1); allow the uplink if it may be cut off",
        "mv7 is made upon the device and would stay behind; delete it first",
    ];
    assert_eq!(words, expected);
}
