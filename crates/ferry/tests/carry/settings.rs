//! The sysctls of a device.

use ferry::{Order, Policy, Restore, Wanted, carry};
use kernel::netns::Netns;

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

/// Carries `d0` to `net1`, with its sysctls or without.
fn carry_it(ferry: &Ferry, sysctls: bool) {
    let path = ferry.path();
    let policy = Some(Policy::default());
    let devices = [Wanted { device: "d0", name: "net1", policy, sysctls, restore: Restore::Auto }];
    let order =
        Order { owner: "test", path: Some(&path), bundle: None, devices: &devices, allow_uplink: true, pin: true };
    carry(&ferry.journal, Netns::open(&path).unwrap(), &order).unwrap().commit().unwrap();
}

fn values(ferry: &Ferry) -> String {
    let look = "cd /proc/sys/net; cat ipv4/conf/net1/arp_ignore ipv4/conf/net1/arp_announce ipv6/conf/net1/accept_ra
        cat ipv6/conf/net1/router_solicitation_interval ipv4/neigh/net1/gc_stale_time";
    ferry.away(look).replace('\n', " ")
}

#[test]
fn they_go_along_if_they_are_meant_to() {
    for (sysctls, expected) in [(true, "1 0 0 5 9 "), (false, "0 0 1 4 60 ")] {
        Ferry::run(&format!("{QUIET}; {HOME}"), move |ferry| {
            carry_it(ferry, sysctls);
            assert_eq!(values(ferry), expected, "{sysctls}");
            ferry.bring_home().unwrap();
            ferry.assert_nothing_is_lent();
        });
    }
}

#[test]
fn they_come_home_whatever_the_defaults_are_by_then() {
    for sysctls in [true, false] {
        for meanwhile in ["", OTHER_DEFAULTS] {
            Ferry::run(&format!("{QUIET}; {HOME}"), move |ferry| {
                let before = sh(LOOK);
                carry_it(ferry, sysctls);
                sh(meanwhile);
                let returned = ferry.bring_home().unwrap();
                assert!(returned.iter().all(|one| one.notes.is_empty()), "{returned:?}");
                similar(&before, &sh(LOOK));
                ferry.assert_nothing_is_lent();
            });
        }
    }
}

/// A device of less than 1280 bytes has no IPv6, and comes home without.
#[test]
fn they_come_home_with_the_mtu() {
    for sysctls in [true, false] {
        Ferry::run(&format!("{QUIET}; {HOME}"), move |ferry| {
            let before = sh(LOOK);
            carry_it(ferry, sysctls);
            ferry.away("ip link set net1 mtu 1000");
            ferry.bring_home().unwrap();
            similar(&before, &sh(LOOK));
            ferry.assert_nothing_is_lent();
        });
    }
}

/// What `all` sets is set for devices that are there, and one that is away would have been there.
#[test]
fn a_switch_for_all_is_one_for_those_that_are_away() {
    for sysctls in [true, false] {
        Ferry::run(&format!("{QUIET}; {HOME}"), move |ferry| {
            carry_it(ferry, sysctls);
            sh("cd /proc/sys/net; echo 1 > ipv4/conf/all/forwarding; echo 1 > ipv6/conf/all/forwarding");
            sh("echo 1 > /proc/sys/net/ipv6/conf/all/ignore_routes_with_linkdown");
            ferry.bring_home().unwrap();
            let look = "cd /proc/sys/net; cat ipv4/conf/d0/forwarding ipv6/conf/d0/forwarding";
            let look = format!("{look} ipv6/conf/d0/ignore_routes_with_linkdown");
            assert_eq!(sh(&look).replace('\n', " "), "1 1 1 ", "{sysctls}");
            ferry.assert_nothing_is_lent();
        });
    }
}
