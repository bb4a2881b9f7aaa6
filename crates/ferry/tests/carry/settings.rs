//! The sysctls of a device.

use ferry::{Obstacle, Order, Policy, Prepared, Restore, Wanted, prepare};

use super::whole::similar;
use super::{Ferry, QUIET, sh};

/// Another default, switches for all devices that are there, and what somebody has set for this one.
const HOME: &str = "echo 2 > /proc/sys/net/ipv4/conf/default/arp_announce
    ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up
    cd /proc/sys/net/ipv4/conf/d0; echo 1 > arp_ignore; echo 1 > proxy_arp; echo 0 > arp_announce; cd ../../neigh/d0; echo 9 > gc_stale_time
    cd ../../../ipv6/conf/d0; echo 0 > accept_ra; echo 5 > router_solicitation_interval; echo 7 > hop_limit; cd ../../neigh/d0; echo 7 > mcast_solicit";
const LOOK: &str = "cd /proc/sys/net; for at in ipv4/conf ipv4/neigh ipv6/conf ipv6/neigh; do
        find $at/d0 -type f | sort | xargs grep -H . 2> /dev/null || true
    done";
/// What those of one device are by default.
const OTHER_DEFAULTS: &str = "cd /proc/sys/net/ipv4/conf/default; echo 1 > arp_ignore; echo 1 > arp_filter; echo 2 > rp_filter; echo 1 > arp_announce
    cd ../../../ipv6/conf/default; echo 2 > accept_ra; echo 9 > dad_transmits; echo 9 > hop_limit; echo 9 > router_solicitation_interval";

/// What carrying `d0` to `net1` would be, with its sysctls or without.
fn prepared(ferry: &Ferry, sysctls: bool) -> Prepared {
    let path = ferry.path();
    let policy = Some(Policy::default());
    let devices = [Wanted { device: "d0", name: "net1", policy, sysctls, restore: Restore::Auto }];
    let order =
        Order { owner: "test", path: Some(&path), bundle: None, devices: &devices, allow_uplink: true, pin: true };
    prepare(ferry.away.try_clone().unwrap(), &order).unwrap()
}

/// Carries it, lets `meanwhile` happen, and brings it home.
fn there_and_back(ferry: &Ferry, sysctls: bool, meanwhile: impl FnOnce()) {
    prepared(ferry, sysctls).carry(&ferry.journal).unwrap().commit().unwrap();
    meanwhile();
    let returned = ferry.bring_home().unwrap();
    assert!(returned.iter().all(|one| one.is_home && one.notes.is_empty()), "{returned:?}");
    ferry.assert_nothing_is_lent();
}

/// Tests at a home of its own each, with sysctls that go along and without.
fn with_and_without(test: fn(&Ferry, bool)) {
    for sysctls in [true, false] {
        Ferry::run(&format!("{QUIET}; {HOME}"), move |ferry| test(ferry, sysctls));
    }
}

fn values(ferry: &Ferry) -> String {
    let look = "cd /proc/sys/net; cat ipv4/conf/net1/arp_ignore ipv4/conf/net1/arp_announce ipv6/conf/net1/accept_ra
        cat ipv6/conf/net1/router_solicitation_interval ipv4/neigh/net1/gc_stale_time";
    ferry.away(look).replace('\n', " ")
}

#[test]
fn they_go_along_if_they_are_meant_to() {
    with_and_without(|ferry, sysctls| {
        let expected = if sysctls { "1 0 0 5 9 " } else { "0 0 1 4 60 " };
        there_and_back(ferry, sysctls, || assert_eq!(values(ferry), expected, "{sysctls}"));
    });
}

#[test]
fn they_come_home_as_they_were() {
    with_and_without(|ferry, sysctls| {
        let before = sh(LOOK);
        there_and_back(ferry, sysctls, || ());
        similar(&before, &sh(LOOK));
    });
}

#[test]
fn they_come_home_whatever_the_defaults_are_by_then() {
    with_and_without(|ferry, sysctls| {
        let before = sh(LOOK);
        there_and_back(ferry, sysctls, || drop(sh(OTHER_DEFAULTS)));
        similar(&before, &sh(LOOK));
    });
}

/// A device of less than 1280 bytes has no IPv6, and comes home without.
#[test]
fn they_come_home_with_the_mtu() {
    with_and_without(|ferry, sysctls| {
        let before = sh(LOOK);
        there_and_back(ferry, sysctls, || drop(ferry.away("ip link set net1 mtu 1000")));
        similar(&before, &sh(LOOK));
    });
}

/// What `all` sets is set for devices that are there, and one that is away would have been there.
#[test]
fn a_switch_for_all_is_one_for_those_that_are_away() {
    with_and_without(|ferry, sysctls| {
        let switch = "cd /proc/sys/net; echo 1 > ipv4/conf/all/forwarding; echo 1 > ipv6/conf/all/forwarding
            echo 1 > ipv6/conf/all/ignore_routes_with_linkdown";
        there_and_back(ferry, sysctls, || drop(sh(switch)));
        let look = "cd /proc/sys/net; cat ipv4/conf/d0/forwarding ipv6/conf/d0/forwarding
            cat ipv6/conf/d0/ignore_routes_with_linkdown";
        assert_eq!(sh(look).replace('\n', " "), "1 1 1 ", "{sysctls}");
    });
}

/// What the device has enabled for itself enables nothing where that does not go along.
#[test]
fn disabled_ipv6_is_in_the_way_of_a_device_without_them() {
    with_and_without(|ferry, sysctls| {
        ferry.away("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
        sh("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip address add fd01::5/64 dev d0 nodad");
        let disabled = [("d0".to_owned(), Obstacle::Ipv6Disabled { addresses: 1 })];
        let expected: &[_] = if sysctls { &[] } else { &disabled };
        assert_eq!(prepared(ferry, sysctls).obstacles, expected, "{sysctls}");
    });
}
