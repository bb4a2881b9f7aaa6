//! What is shared: it is adopted, it stays when one of its users goes, and it is never taken from under another.

use std::io::Write;

use kernel::netlink::address::Address as Wanted;
use kernel::netlink::link::Kind;
use plan::op::{Address, Change, Forwarding, Link, Peer, Sysctl};
use plan::{Engine, Plan, Side};

use crate::namespaces::{Node, assert_same, between, finish, ip, role, run, start};

const RACES: u32 = 200;

fn bridge() -> Link {
    let mac = Some("02:00:00:00:00:09".parse().unwrap());
    Link { up: true, mac, ..Link::new("br0", Kind::Bridge { vlan_filtering: false }) }
}

fn port(name: &str) -> Plan {
    let mut plan = Plan::new();
    plan.share(Side::Host, bridge());
    let peer = Some(Peer { side: Side::Host, name: format!("{name}-peer"), mac: None, mtu: None });
    plan.own(Side::Host, Link { master: Some("br0".to_owned()), peer, ..Link::new(name, Kind::Veth) });
    plan.share(Side::Host, Address::new("br0", Wanted::new(0, "10.77.0.1/24".parse().unwrap())));
    plan
}

#[test]
fn what_is_shared_outlives_its_users() {
    between(|node| {
        let mut plan = port("a");
        let settings = vec![("net/ipv4/ip_forward".to_owned(), "1".to_owned())];
        plan.share(Side::Host, Sysctl { device: None, settings, optional: false });
        node.engine().apply(&plan).unwrap();
        assert_eq!(node.engine().remove(&plan), []);
        assert!(ip("addr show br0").contains("10.77.0.1/24"));
        assert!(!ip("link").contains("a-peer"));
        assert_eq!(run("sysctl", "-n net.ipv4.ip_forward").trim(), "1");
    });
}

#[test]
fn an_unused_bridge_goes_and_a_used_one_stays() {
    between(|node| {
        let before = node.dump();
        node.engine().apply(&port("a")).unwrap();
        node.engine().remove_unused(Side::Host, "br0", |_| false).unwrap();
        assert!(ip("link").contains("br0"), "it has a port");
        assert_eq!(node.engine().remove(&port("a")), []);
        node.engine().remove_unused(Side::Host, "br0", |_| false).unwrap();
        assert_same(&before, &node.dump(), "the last one out");
        node.engine().remove_unused(Side::Host, "br0", |_| false).unwrap();
    });
}

/// A gateway in a VLAN joins the bridge by a pair on the host, which is no reason to keep it.
#[test]
fn a_bridge_with_nothing_but_its_own_parts_goes_with_them() {
    between(|node| {
        let before = node.dump();
        let is_part = |other: &str| other == "br0.7" || other == "br0.8";
        node.engine().apply(&port("a")).unwrap();
        for vlan in ["7", "8"] {
            ip(&format!("link add port{vlan} master br0 type veth peer br0.{vlan}"));
        }
        node.engine().remove_unused(Side::Host, "br0", is_part).unwrap();
        assert!(ip("link").contains("port7"), "a container is there");
        assert_eq!(node.engine().remove(&port("a")), []);
        node.engine().remove_unused(Side::Host, "br0", |other| other == "br0.7").unwrap();
        assert!(ip("link").contains("br0:") && ip("link").contains("port7"), "somebody else's pair is there");
        node.engine().remove_unused(Side::Host, "br0", is_part).unwrap();
        assert_same(&before, &node.dump(), "the last one out");
    });
}

/// Forwarding makes a node a router, which would stop listening to the router that it has its own address from.
#[test]
fn forwarding_is_switched_on_once_and_leaves_uplinks_listening() {
    between(|node| {
        for (key, value) in [("ipv4.ip_forward", 0), ("ipv6.conf.all.forwarding", 0)] {
            run("sysctl", &format!("-q -w net.{key}={value}"));
        }
        ip("link add uplink type veth peer name router");
        run("sysctl", "-q -w net.ipv6.conf.router.accept_ra=0");
        let mut plan = Plan::new();
        plan.share(Side::Host, Forwarding { ipv6: false });
        plan.share(Side::Host, Forwarding { ipv6: true });
        let values = || {
            let asked =
                "ipv4.ip_forward ipv6.conf.all.forwarding ipv6.conf.uplink.accept_ra ipv6.conf.router.accept_ra";
            asked.split(' ').map(|key| run("sysctl", &format!("-n net.{key}")).trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(values(), ["0", "0", "1", "0"]);
        assert_eq!(node.engine().check(&plan).unwrap().len(), 2);
        let mut engine = node.engine();
        engine.apply(&plan).unwrap();
        assert_eq!(values(), ["1", "1", "2", "0"]);
        assert_eq!(node.engine().check(&plan).unwrap(), []);
        assert_eq!((engine.undo(), node.engine().remove(&plan)), (vec![], vec![]));
        assert_eq!(values(), ["1", "1", "2", "0"], "others may count on it");
        run("sysctl", "-q -w net.ipv6.conf.uplink.accept_ra=1");
        node.engine().apply(&plan).unwrap();
        assert_eq!(values(), ["1", "1", "1", "0"], "it was on: what somebody set since then is theirs");
    });
}

/// A failed ADD must not take what another has adopted in the meantime.
#[test]
fn an_undo_leaves_what_others_have_come_to_use() {
    fn undone_beside(node: &Node, plan: &Plan) {
        let mut first = node.engine();
        first.apply(plan).unwrap();
        node.engine().apply(&port("b")).unwrap();
        assert_eq!(first.undo(), []);
        let (links, addresses) = (ip("link"), ip("addr show br0"));
        assert!(links.contains("b@b-peer") && links.contains("br0") && !links.contains("a-peer"), "{links}");
        assert!(addresses.contains("10.77.0.1/24"), "{addresses}");
        assert_eq!(node.engine().remove(&port("b")), []);
    }
    between(|node| {
        undone_beside(node, &port("a"));
        ip("addr flush dev br0");
        undone_beside(node, &port("a"));
        ip("addr flush dev br0");
        let before = node.dump();
        let mut alone = node.engine();
        alone.apply(&port("a")).unwrap();
        assert_eq!(alone.undo(), []);
        assert_same(&before, &node.dump(), "nobody else uses the address");
    });
}

/// One process joins the bridge and leaves it, another removes it whenever it is unused.
fn race(role: &str) {
    let open = || Engine::open(None).unwrap();
    if role == "remove" {
        let mut input = std::io::stdin();
        let end = std::thread::spawn(move || std::io::copy(&mut input, &mut std::io::sink()));
        while !end.is_finished() {
            open().remove_unused(Side::Host, "br0", |_| false).unwrap();
        }
        return;
    }
    let mut made = 0;
    for round in 0..RACES {
        let mut engine = open();
        engine.share().unwrap();
        let is_new = engine.link(Side::Host, "br0").unwrap().is_none();
        made += u32::from(is_new);
        engine.apply(&port("a")).unwrap();
        assert_eq!(open().check(&port("a")).unwrap(), [], "round {round}");
        drop(engine);
        assert_eq!(open().check(&port("a")).unwrap(), [], "round {round}");
        assert_eq!(open().remove(&port("a")), []);
    }
    assert!(made > 1, "the bridge was never removed in between");
}

#[test]
fn a_bridge_is_never_removed_under_a_joining_port() {
    if let Some(role) = role() {
        return race(&role);
    }
    between(|_| {
        let name = "sharing::a_bridge_is_never_removed_under_a_joining_port";
        let mut remover = start(name, "remove");
        finish(start(name, "join"));
        remover.stdin.take().unwrap().flush().unwrap();
        finish(remover);
    });
}

#[test]
fn a_change_of_a_shared_link_is_put_back_only_by_its_maker() {
    between(|node| {
        ip("link add br0 address 02:00:00:00:00:09 type bridge");
        let before = node.dump();
        let mut plan = Plan::new();
        plan.share(Side::Host, bridge());
        plan.share(Side::Host, Change { promisc: Some(true), ..Change::of("br0") });
        let mut maker = node.engine();
        maker.apply(&plan).unwrap();
        let mut later = node.engine();
        later.apply(&plan).unwrap();
        assert_eq!(later.undo(), []);
        assert!(ip("link show br0").contains("PROMISC"));
        assert_eq!(maker.undo(), []);
        assert_same(&before, &node.dump(), "undo");
    });
}
