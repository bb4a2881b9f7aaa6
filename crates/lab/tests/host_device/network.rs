//! What reviewers of upstream's `useInterfaceNetwork` asked about: gateways behind a /32, asymmetric routes, addresses of
//! routers.

use super::{Stage, network};
use lab::{device, packets};
use serde_json::json;
use std::path::Path;

/// A /32 whose gateway answers no ARP: only the route to the link and the permanent neighbour lead there.
#[test]
fn a_gateway_on_the_link_of_a_lone_address() {
    let stage = Stage::with(
        "ip link add d0 address 02:fc:00:00:00:01 type veth peer name p0 address 02:fc:00:00:00:02
        ip link set p0 netns $WORLD; ip link set d0 up
        nsenter --net=$WORLD sh -ec 'ip link set p0 arp off up; ip address add 10.128.0.1/32 dev p0
            ip route add 10.128.0.7 dev p0; ip neighbour add 10.128.0.7 lladdr 02:fc:00:00:00:01 nud permanent dev p0
            ip address add 192.0.2.9/32 dev lo'
        ip address add 10.128.0.7/32 dev d0; ip route add 10.128.0.1 dev d0 scope link
        ip neighbour add 10.128.0.1 lladdr 02:fc:00:00:00:02 nud permanent dev d0
        ip route add default via 10.128.0.1 dev d0",
    );
    let conf = network(json!({}));
    stage.add(&conf);
    for address in ["10.128.0.1", "192.0.2.9"] {
        packets::ping(stage.container.namespaces(), address.parse().unwrap()).unwrap();
    }
    // That it was the neighbour: nobody answers without it.
    stage.inside("ip neighbour delete 10.128.0.1 dev eth0");
    assert!(packets::ping(stage.container.namespaces(), "10.128.0.1".parse().unwrap()).is_err());
    stage.del(&conf);
    stage.judge();
}

/// What comes by one device and is answered by another passes a loose reverse path filter, not a strict one.
#[test]
fn asymmetric_routes() {
    let stage = Stage::with(
        "ip link add d0 type veth peer name p0; ip link set p0 netns $WORLD; ip link set d0 up
        echo 2 > /proc/sys/net/ipv4/conf/d0/rp_filter; ip address add 10.1.0.5/24 dev d0
        nsenter --net=$WORLD sh -ec 'ip link set p0 up; ip address add 10.1.0.1/24 dev p0'",
    );
    // A second way from the container to the world, by which alone it knows 198.51.100.0/24.
    stage.at_home(
        "nsenter --net=/run/netns/c1 ip link add x0 type veth peer name y0
        nsenter --net=/run/netns/c1 ip link set y0 netns /run/netns/world",
    );
    stage.inside(
        "ip link set x0 up; ip address add 198.51.100.1/24 dev x0; echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter",
    );
    stage.at_home(
        "nsenter --net=/run/netns/world sh -ec 'ip link set y0 up; ip address add 198.51.100.9/24 dev y0
        for filter in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $filter; done'",
    );
    let ping =
        "nsenter --net=/run/netns/world ping -c 1 -w 2 -I 198.51.100.9 10.1.0.5 > /dev/null && echo yes || echo no";
    let route = "nsenter --net=/run/netns/world ip route replace 10.1.0.5 dev p0 src 198.51.100.9";
    for (conf, answers) in [
        (network(json!({})), "yes\n"),
        (
            network(json!({"useInterfaceNetwork": false,
                "ipam": {"type": "static", "addresses": [{"address": "10.1.0.5/24"}]}})),
            "no\n",
        ),
    ] {
        stage.add(&conf);
        stage.at_home(route);
        assert_eq!(stage.at_home(ping), answers, "{conf}");
        stage.del(&conf);
    }
}

/// An address that a router gave is the router's to give again, and none of the container's.
#[test]
fn an_address_of_a_router_stays_behind() {
    let stage = Stage::new();
    let world = stage.node.namespaces().with_net(Path::new(device::WORLD)).unwrap();
    stage.at_home(&format!("nsenter --net={} ip address add fe80::1/64 nodad dev p0", device::WORLD));
    packets::advertise(&world, "p0", "fd77::".parse().unwrap()).unwrap();
    let came = "for turn in $(seq 300); do
            ip -6 address show dev d0 to fd77::/64 | grep -v tentative | grep inet6 && exit; sleep 0.01
        done; exit 1";
    stage.at_home(came);
    let conf = network(json!({}));
    let result = stage.add(&conf);
    assert_eq!(stage.inside("ip -6 address show dev eth0 to fd77::/64; ip -6 route | grep fe80::1 || true"), "");
    assert!(!result.to_string().contains("fd77:") && !result.to_string().contains("fe80:"), "{result}");
    stage.del(&conf);
    assert_eq!(stage.at_home("ip -6 address show dev d0 to fd77::/64"), "");
    stage.judge();
    // It is: what the device was given there holds at home.
    packets::advertise(&world, "p0", "fd77::".parse().unwrap()).unwrap();
    stage.at_home(came);
}
