//! Every kind of object: preview, apply, check, undo, and where it has one, removal without memory.

use kernel::netlink::address::{Address as Wanted, flags};
use kernel::netlink::link::{Kind, MacvlanMode, Port};
use kernel::netlink::port_vlan::PortVlan as Vlan;
use kernel::netlink::route::Route as Way;
use plan::op::{Address, Announce, Change, Iptables, Link, Op, Peer, PortVlan, Ready, Route, Sysctl};
use plan::{Plan, Side, State};

use crate::masquerade;
use crate::namespaces::{Node, assert_same, between, ip, run, states};

/// What becomes of an object when its plan is removed by an engine that has not made it.
#[derive(Clone, Copy, PartialEq)]
enum Removal {
    /// It goes.
    Goes,
    /// It is a setting, and stays.
    Stays,
}

/// Takes `plan` through the life of an object that is not there yet.
fn live(node: &Node, plan: &Plan, removal: Removal) {
    let before = node.dump();
    let created = states(&mut node.engine(), plan);
    assert!(created.iter().all(|state| *state != State::Present), "{created:?}");
    assert_ne!(node.engine().check(plan).unwrap(), [], "it is not there yet");
    assert_same(&before, &node.dump(), "preview and check changed something");

    let mut engine = node.engine();
    engine.apply(plan).unwrap();
    assert_ne!(before, node.dump(), "apply changed nothing");
    assert_eq!(node.engine().check(plan).unwrap(), []);
    let present = states(&mut node.engine(), plan);
    // What rests on a link of the plan's own is said to be made with it.
    let own_link = plan.steps.iter().any(|step| matches!(step.op, Op::Link(_)) && !step.shared);
    assert!(own_link || present.iter().all(|state| *state == State::Present), "{present:?}");
    assert_eq!(engine.undo(), []);
    assert_same(&before, &node.dump(), "undo");
    assert_eq!(engine.undo(), [], "there is nothing more to undo");

    node.engine().apply(plan).unwrap();
    assert_eq!(node.engine().remove(plan), []);
    if removal == Removal::Goes {
        assert_same(&before, &node.dump(), "remove");
    } else {
        assert_eq!(node.engine().check(plan).unwrap(), []);
    }
    assert_eq!(node.engine().remove(plan), [], "nothing there is success");
}

/// A link that the plans did not make.
fn foreign_link() {
    ip("link add far0 type veth peer name near0");
}

fn own(op: impl Into<Op>) -> Plan {
    let mut plan = Plan::new();
    plan.own(Side::Host, op);
    plan
}

fn veth() -> Link {
    let peer = Peer {
        side: Side::Container,
        name: "eth0".to_owned(),
        mac: Some("02:00:00:00:00:02".parse().unwrap()),
        mtu: Some(1400),
    };
    Link {
        mac: Some("02:00:00:00:00:01".parse().unwrap()),
        mtu: Some(1400),
        up: true,
        peer: Some(peer),
        ..Link::new("host0", Kind::Veth)
    }
}

fn ipv6_address() -> Wanted {
    let mut address = Wanted::new(0, "fd77::1/64".parse().unwrap());
    address.flags = flags::NODAD;
    address
}

#[test]
fn a_pair_of_links_and_all_that_rests_on_it() {
    between(|node| {
        ip("link add br0 address 02:00:00:00:00:09 type bridge");
        let mut plan = own(Link { master: Some("br0".to_owned()), ..veth() });
        plan.own(Side::Host, Change { alias: Some("mine".to_owned()), ..Change::of("host0") });
        plan.own(Side::Container, Address::new("eth0", Wanted::new(0, "10.77.0.2/24".parse().unwrap())));
        plan.own(Side::Container, Address::new("eth0", ipv6_address()));
        plan.own(Side::Container, Change { up: Some(true), ..Change::of("eth0") });
        let via = Way { gateway: Some("10.77.0.1".parse().unwrap()), ..Way::new("0.0.0.0/0".parse().unwrap()) };
        plan.own(Side::Container, Route::new("eth0", via));
        let settings = vec![("net/ipv4/conf/eth0/rp_filter".to_owned(), "2".to_owned())];
        plan.own(Side::Container, Sysctl { device: Some("eth0".to_owned()), settings, optional: false });
        live(node, &plan, Removal::Goes);
    });
}

#[test]
fn links_of_other_kinds() {
    between(|node| {
        live(node, &own(Link { up: true, ..Link::new("br0", Kind::Bridge { vlan_filtering: false }) }), Removal::Goes);
        foreign_link();
        let kind = Kind::Macvlan { mode: MacvlanMode::Bridge, broadcast_queue: None };
        let parent = Some((Side::Host, "near0".to_owned()));
        let mut plan = Plan::new();
        plan.own(Side::Container, Link { parent, ..Link::new("mac0", kind) });
        live(node, &plan, Removal::Goes);
    });
}

#[test]
fn settings_of_a_link() {
    between(|node| {
        foreign_link();
        let change = Change {
            up: Some(true),
            promisc: Some(true),
            mac: Some("02:00:00:00:00:07".parse().unwrap()),
            mtu: Some(1300),
            alias: Some("changed".to_owned()),
            ..Change::of("near0")
        };
        live(node, &own(change), Removal::Stays);
    });
}

#[test]
fn settings_of_a_port() {
    between(|node| {
        foreign_link();
        ip("link add br0 type bridge");
        ip("link set near0 master br0");
        let port = Some(Port { hairpin: true, isolated: true });
        live(node, &own(Change { port, ..Change::of("near0") }), Removal::Stays);
    });
}

#[test]
fn vlans_of_a_port() {
    between(|node| {
        foreign_link();
        ip("link add br0 type bridge");
        ip("link set near0 master br0");
        let vlan = Vlan { id: 7, pvid: false, untagged: false };
        let vlans = |absent: &[Vlan], present: &[Vlan]| {
            own(PortVlan { device: "near0".to_owned(), absent: absent.to_vec(), present: present.to_vec() })
        };
        let plan = vlans(&[], &[vlan]);
        let before = node.dump();
        match node.engine().apply(&plan) {
            Ok(()) => {
                assert_eq!(node.engine().remove(&plan), []);
                node.engine().apply(&vlans(&[vlan], &[])).unwrap();
                live(node, &plan, Removal::Stays);
                let range = (100..=200).map(|id| Vlan { id, ..vlan }).collect::<Vec<_>>();
                live(node, &vlans(&[Vlan { id: 1, ..vlan }, vlan], &range), Removal::Stays);
            }
            // What a kernel without BRIDGE_VLAN_FILTERING answers.
            Err(error) => {
                assert_eq!(error.to_string(), "add vid 7 to bridge port near0: Operation not supported");
                assert_same(&before, &node.dump(), "a refused VLAN");
            }
        }
    });
}

#[test]
fn addresses() {
    between(|node| {
        foreign_link();
        live(node, &own(Address::new("near0", Wanted::new(0, "10.77.0.1/24".parse().unwrap()))), Removal::Goes);
        live(node, &own(Address::new("near0", ipv6_address())), Removal::Goes);
        // The kernel knows the scope of an IPv6 address better than whoever adds it.
        let link_local = Wanted { local: "fe80::1/128".parse().unwrap(), ..ipv6_address() };
        live(node, &own(Address::new("near0", link_local)), Removal::Goes);
    });
}

#[test]
fn an_address_in_place_of_another() {
    between(|node| {
        foreign_link();
        ip("addr add 10.1.0.1/16 dev near0");
        let before = node.dump();
        let new = Address {
            replaces: Some(Wanted::new(0, "10.1.0.1/16".parse().unwrap())),
            ..Address::new("near0", Wanted::new(0, "10.2.0.1/16".parse().unwrap()))
        };
        let mut engine = node.engine();
        engine.apply(&own(new)).unwrap();
        let listed = ip("-o -4 addr show dev near0");
        assert!(listed.contains("10.2.0.1/16") && !listed.contains("10.1.0.1/16"), "{listed}");
        assert_eq!(engine.undo(), []);
        assert_same(&before, &node.dump(), "undo");
    });
}

#[test]
fn routes() {
    between(|node| {
        foreign_link();
        ip("addr add 10.77.0.1/24 dev near0");
        ip("link set near0 up");
        let mut way = Way::new("10.99.0.0/16".parse().unwrap());
        way.gateway = Some("10.77.0.2".parse().unwrap());
        way.metric = Some(77);
        way.set_mtu(1280);
        live(node, &own(Route::new("near0", way)), Removal::Goes);
    });
}

#[test]
fn sysctls_of_a_link_that_was_there() {
    between(|node| {
        foreign_link();
        let key = |key: &str| format!("net/ipv4/conf/near0/{key}");
        let settings = vec![(key("rp_filter"), "2".to_owned()), (key("proxy_arp"), "1".to_owned())];
        live(node, &own(Sysctl { device: None, settings, optional: false }), Removal::Stays);
    });
}

#[test]
fn an_nft_table_and_its_elements() {
    between(|node| live(node, &own(masquerade::share("a", "me", &[[10, 0, 0, 2], [10, 0, 0, 3]])), Removal::Goes));
}

#[test]
fn an_iptables_chain() {
    between(|node| {
        // The tables themselves stay: nobody can tell whether another program wants them.
        for program in ["iptables", "ip6tables"] {
            run(program, "-t nat -A POSTROUTING -j ACCEPT");
        }
        let addresses = ["10.77.0.2/24", "fd77::2/64"].map(|net| net.parse().unwrap()).to_vec();
        let op = Iptables { network: "net".to_owned(), id: "cid".to_owned(), ifname: "eth0".to_owned(), addresses };
        live(node, &own(op), Removal::Goes);
    });
}

#[test]
fn a_link_that_carries_traffic_and_is_announced() {
    between(|node| {
        let addresses = vec!["10.77.0.1".parse().unwrap(), "fd77::1".parse().unwrap()];
        let mut plan = own(veth());
        plan.own(Side::Container, Change { up: Some(true), ..Change::of("eth0") });
        plan.own(Side::Host, Ready { device: "host0".to_owned() });
        plan.own(Side::Container, Announce { device: "eth0".to_owned(), addresses });
        live(node, &plan, Removal::Goes);
    });
}
