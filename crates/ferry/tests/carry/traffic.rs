//! Packets right after a carry: nothing is waited for in between.

use super::whole::similar;
use super::{Ferry, sh, snapshot};

/// A pair whose other end is in the rest of the world; both are up once their carrier is seen.
const PAIR: &str = "
    ip link add d0 address $MAC numtxqueues 1 numrxqueues 1 type veth peer name p0 numtxqueues 1 numrxqueues 1
    ip link set p0 netns $WORLD; nsenter --net=$WORLD ip link set p0 up; ip link set d0 addrgenmode eui64 up
    for turn in $(seq 300); do
        ip link show d0 | grep -q 'state UP' && ! ip -6 address show d0 | grep -q tentative && break; sleep 0.01
    done
";

/// Carries `d0`, dressed by `script`, and runs `inside`; then it is home as it was.
fn passes(script: &str, inside: &'static str) {
    Ferry::run(&format!("{PAIR}{script}"), move |ferry| {
        // The kernel makes the local route of its own address a moment later than the address.
        sh("for turn in $(seq 300); do ip -6 route show table local | grep -q 'local fe80' && break; sleep 0.01; done");
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        ferry.away(inside);
        ferry.bring_home().unwrap();
        // Its own link-local address is looked for on the link again.
        sh("for turn in $(seq 500); do ip -6 route show table local | grep -q 'local fe80' && break; sleep 0.01; done");
        similar(&before, &snapshot());
    });
}

/// K11: the device's own link-local address is still being looked for on the link when the first packet goes.
#[test]
fn a_gateway_has_a_link_local_address() {
    passes(
        "nsenter --net=$WORLD sh -ec 'ip address add fe80::1/64 nodad dev p0; ip address add fd77::1/128 nodad dev lo
            ip -6 route add fd01::/64 dev p0'
         ip address add fd01::5/64 nodad dev d0; ip -6 route add default via fe80::1 dev d0",
        "ping -c 1 -W 1 -I fd01::5 fd77::1",
    );
}

/// As some clouds have it: nothing but the device says where the gateway is, and it does not answer to be asked.
#[test]
fn a_gateway_is_on_the_link_of_a_lone_address() {
    passes(
        "nsenter --net=$WORLD sh -ec 'echo 8 > /proc/sys/net/ipv4/conf/p0/arp_ignore; ip link set p0 address 02:aa:00:00:00:01
            ip address add 10.8.0.1/32 dev p0; ip address add 10.99.0.1/32 dev lo; ip route add 10.8.0.5 dev p0'
         nsenter --net=$WORLD ip neighbour add 10.8.0.5 lladdr $MAC nud permanent dev p0
         ip address add 10.8.0.5/32 dev d0; ip route add 10.8.0.1 dev d0 scope link
         ip route add default via 10.8.0.1 dev d0
         ip neighbour add 10.8.0.1 lladdr 02:aa:00:00:00:01 nud permanent dev d0",
        // And without what came along, nothing passes.
        "ping -c 1 -W 1 10.99.0.1; ip neighbour del 10.8.0.1 dev net1; ! ping -c 1 -W 1 10.99.0.1",
    );
}

/// Two devices with one network each, answers by the other one: what a strict filter would drop.
#[test]
fn answers_come_in_by_another_device() {
    let script = "
        ip link add d1 numtxqueues 1 numrxqueues 1 type veth peer name p1 numtxqueues 1 numrxqueues 1
        ip link set p1 netns $WORLD; nsenter --net=$WORLD ip link set p1 up; ip link set d1 up
        for turn in $(seq 300); do ip link show d1 | grep -q 'state UP' && break; sleep 0.01; done
        for n in 0 1; do echo 2 > /proc/sys/net/ipv4/conf/d$n/rp_filter; ip address add 10.2.$n.5/24 dev d$n; done
        nsenter --net=$WORLD sh -ec 'echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
            for n in 0 1; do echo 0 > /proc/sys/net/ipv4/conf/p$n/rp_filter; ip address add 10.2.$n.1/24 dev p$n; done
            ip address add 10.99.0.1/32 dev lo; ip route add 10.2.0.5 via 10.2.1.5'
        ip route add 10.99.0.1 via 10.2.0.1 dev d0";
    Ferry::run(&format!("{PAIR}{script}"), |ferry| {
        ferry.away("echo 1 > /proc/sys/net/ipv4/conf/default/rp_filter");
        ferry.carry(&[("d0", "net0"), ("d1", "net1")]).unwrap();
        // The world takes its time to see its own carriers again.
        ferry.away("ping -c 10 -i 0.2 -W 1 -I 10.2.0.5 10.99.0.1 | grep -q 'bytes from'");
        // The other way round it is seen to count.
        ferry.away("echo 1 > /proc/sys/net/ipv4/conf/net1/rp_filter; ! ping -c 5 -i 0.2 -W 1 -I 10.2.0.5 10.99.0.1");
        ferry.bring_home().unwrap();
    });
}
