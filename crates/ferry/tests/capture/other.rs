//! Other devices: their paths of common routes, masters, children; and what is there that cannot be captured.

use ferry::{Policy, capture};

use super::{PAIRS, captured, in_netns, texts};

#[test]
fn paths_and_nexthop_objects_name_other_devices() {
    let script = "
        ip address add 10.0.0.1/24 dev d0; ip address add 10.1.0.1/24 dev d1
        ip address add fd00::1/64 nodad dev d0; ip address add fd01::1/64 nodad dev d1
        ip nexthop add id 5 via 192.0.2.1 dev d0 onlink; ip nexthop add id 6 via 10.1.0.6 dev d1
        ip nexthop add id 7 group 6,3/5,2; ip route add 10.5.0.0/16 nhid 5; ip route add 10.6.0.0/16 nhid 6
        ip route add 10.7.0.0/16 nhid 7 metric 3
        ip route add 10.8.0.0/16 nexthop via 10.1.0.9 nexthop via 10.0.0.9 weight 30
        ip -6 route add fd08::/64 nexthop via fd01::9 nexthop via fd00::9 weight 3";
    for mode in ["0", "1"] {
        let script = format!("{PAIRS}echo {mode} > /proc/sys/net/ipv4/nexthop_compat_mode\n{script}");
        let device = in_netns(&script, |socket| captured(socket, &Policy::default()));
        let routes = [
            "10.5.0.0/16 via 192.0.2.1 dev d0 onlink",
            "10.7.0.0/16 metric 3 nexthop via 10.1.0.6 dev d1 weight 3 nexthop via 192.0.2.1 dev d0 weight 2 onlink",
            "10.8.0.0/16 nexthop via 10.1.0.9 dev d1 weight 1 nexthop via 10.0.0.9 dev d0 weight 30",
            "fd08::/64 metric 1024 nexthop via fd01::9 dev d1 weight 1 nexthop via fd00::9 dev d0 weight 3",
        ];
        assert_eq!(texts(&device, "route"), routes, "compat mode {mode}");
        assert_eq!(device.lost, ["nexthop object 5: routes hold what it says"]);
    }
}

#[test]
fn what_cannot_be_captured_is_said() {
    let script = "
        ip link add br0 type bridge; ip link set d0 master br0; ip link add mv1 link d1 type macvlan
        tc qdisc replace dev d0 root handle 1: pfifo; tc qdisc add dev d0 clsact";
    in_netns(&format!("{PAIRS}{script}"), |socket| {
        let port = captured(socket, &Policy::default());
        assert_eq!(port.settings.master.as_deref(), Some("br0"));
        let lost = [
            "settings as a port of br0",
            "queueing discipline pfifo, with its filters",
            "queueing discipline clsact, with its filters",
        ];
        assert_eq!(port.lost, lost);
        let mut other = |name| capture(socket, name, &Policy::default()).unwrap();
        assert_eq!(other("d1").lost, ["child mv1 (macvlan), which stays behind"]);
        assert_eq!(
            (other("br0").identity.kind.as_str(), other("br0").lost),
            ("bridge", vec!["port d0 (veth)".to_owned()])
        );
    });
}

#[test]
fn a_plain_device_loses_nothing() {
    for kind in ["veth", "bridge"] {
        for state in ["up", "down"] {
            let script = format!("ip link add d0 type {kind}; ip link set d0 {state}");
            let device = in_netns(&script, |socket| captured(socket, &Policy::default()));
            assert_eq!((device.lost, device.sysctls), (Vec::new(), Vec::new()), "{kind} {state}");
            assert!(device.addresses.is_empty() && device.routes.is_empty() && device.rules.is_empty());
        }
    }
}

#[test]
fn devices_are_found_by_alternative_names_and_missed_by_name() {
    let script = format!("{PAIRS}ip link property add dev d0 altname short altname a-name-of-more-than-fifteen");
    in_netns(&script, |socket| {
        for name in ["short", "a-name-of-more-than-fifteen"] {
            assert_eq!(capture(socket, name, &Policy::default()).unwrap().identity.name, "d0");
        }
        for name in ["nope", "another-name-of-more-than-fifteen", "", &"x".repeat(200)] {
            let error = capture(socket, name, &Policy::default()).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        let error = capture(socket, "nope", &Policy::default()).unwrap_err().to_string();
        assert_eq!(error, "find device nope: No such device");
    });
}
