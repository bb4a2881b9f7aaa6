//! What is there already: equal is not ours to undo, different is an error that names both values.

use kernel::netlink::address::{Address as Wanted, flags};
use kernel::netlink::link::Kind;
use kernel::netlink::route::Route as Way;
use plan::op::{Address, Link, Op, Peer, Ready, Route, Sysctl};
use plan::{Plan, Side, State};

use crate::masquerade;
use crate::namespaces::{assert_same, between, ip, run, states};

fn own(op: impl Into<Op>) -> Plan {
    let mut plan = Plan::new();
    plan.own(Side::Host, op);
    plan
}

fn shared(op: impl Into<Op>) -> Plan {
    let mut plan = Plan::new();
    plan.share(Side::Host, op);
    plan
}

fn bridge(name: &str) -> Link {
    Link::new(name, Kind::Bridge { vlan_filtering: false })
}

fn address(net: &str) -> Address {
    let mut address = Wanted::new(0, net.parse().unwrap());
    address.flags = if net.contains(':') { flags::NODAD } else { 0 };
    Address::new("br0", address)
}

#[test]
fn what_is_equal_is_not_ours_to_undo() {
    between(|node| {
        ip("link add br0 type bridge");
        ip("link set br0 up");
        ip("addr add 10.77.0.1/24 dev br0");
        ip("addr add fd77::1/64 dev br0 nodad");
        ip("route add 10.99.0.0/16 dev br0");
        let mut plan = shared(bridge("br0"));
        plan.own(Side::Host, address("10.77.0.1/24"));
        plan.own(Side::Host, address("fd77::1/64"));
        let mut way = Way::new("10.99.0.0/16".parse().unwrap());
        way.scope = kernel::netlink::address::scope::LINK;
        plan.own(Side::Host, Route::new("br0", way));
        let settings = vec![("net/ipv4/conf/br0/forwarding".to_owned(), "1".to_owned())];
        run("sysctl", "-q -w net.ipv4.conf.br0.forwarding=1");
        plan.own(Side::Host, Sysctl { device: Some("br0".to_owned()), settings, optional: false });
        let before = node.dump();
        assert!(states(&mut node.engine(), &plan).iter().all(|state| *state == State::Present));
        let mut engine = node.engine();
        engine.apply(&plan).unwrap();
        assert_same(&before, &node.dump(), "apply");
        assert_eq!(engine.undo(), []);
        assert_same(&before, &node.dump(), "undo");
    });
}

#[test]
fn what_differs_is_an_error_that_names_both() {
    between(|node| {
        ip("link add br0 type bridge");
        ip("link add taken type veth peer name there");
        ip("addr add fd77::1/80 dev br0 nodad");
        let before = node.dump();
        let peer = Some(Peer { side: Side::Container, name: "eth0".to_owned(), mac: None, mtu: None });
        let refused = [
            (shared(bridge("taken")), "kind of link taken is veth, expected bridge"),
            (
                own(Link { peer, ..Link::new("taken", Kind::Veth) }),
                "container veth name (\"eth0\") peer provided (\"taken\") already exists",
            ),
            (own(bridge("br0")), "link br0 already exists"),
            (own(address("fd77::1/64")), "address fd77::1/64 on br0 is fd77::1/80 nodad, expected fd77::1/64 nodad"),
            (
                own(Ready { device: "taken".to_owned() }),
                "state of link taken is without carrier, expected carrying traffic",
            ),
        ];
        for (plan, text) in refused {
            assert_eq!(node.engine().apply(&plan).unwrap_err().to_string(), text);
            assert_same(&before, &node.dump(), text);
        }
    });
}

#[test]
fn an_ipv4_address_with_two_prefixes_is_told_apart() {
    between(|node| {
        ip("link add br0 type bridge");
        ip("addr add 10.77.0.1/16 dev br0");
        ip("addr add 10.77.0.1/24 dev br0");
        for net in ["10.77.0.1/16", "10.77.0.1/24"] {
            assert_eq!(node.engine().check(&own(address(net))).unwrap(), []);
            node.engine().apply(&own(address(net))).unwrap();
        }
        let differences = node.engine().check(&own(address("10.77.0.1/20"))).unwrap();
        assert_eq!(
            differences[0].to_string(),
            "address 10.77.0.1/20 on br0 is 10.77.0.1/16 label br0, expected 10.77.0.1/20"
        );
    });
}

#[test]
fn a_replaced_address_comes_back_if_its_successor_is_refused() {
    between(|node| {
        ip("link add br0 type bridge");
        ip("addr add fd01::1/64 dev br0 nodad");
        ip("addr add fd77::1/80 dev br0 nodad");
        let before = node.dump();
        let mut old = Wanted::new(0, "fd01::1/64".parse().unwrap());
        old.flags = flags::NODAD;
        let plan = own(Address { replaces: Some(old), ..address("fd77::1/64") });
        let error = node.engine().apply(&plan).unwrap_err();
        assert_eq!(error.cleanup, []);
        assert_same(&before, &node.dump(), "a refused successor");
    });
}

#[test]
fn a_route_of_another_link_keeps_its_precedence_or_is_a_conflict() {
    between(|node| {
        for (name, net) in [("br0", "10.1.0.1/24"), ("br1", "10.2.0.1/24")] {
            ip(&format!("link add {name} type bridge"));
            ip(&format!("link set {name} up"));
            ip(&format!("addr add {net} dev {name}"));
        }
        ip("route add default via 10.1.0.2");
        ip("route add 10.99.0.0/16 via 10.1.0.2");
        let before = node.dump();
        let out_of_br1 = |dst: &str| {
            let way = Way { gateway: Some("10.2.0.2".parse().unwrap()), ..Way::new(dst.parse().unwrap()) };
            own(Route::new("br1", way))
        };
        let mut engine = node.engine();
        engine.apply(&out_of_br1("0.0.0.0/0")).unwrap();
        let routes = ip("-4 route show default");
        assert!(routes.contains("via 10.1.0.2 dev br0") && routes.contains("via 10.2.0.2 dev br1"), "{routes}");
        assert!(ip("route get 10.98.0.1").contains("dev br0"));
        assert_eq!(node.engine().check(&out_of_br1("0.0.0.0/0")).unwrap(), []);
        assert_eq!(engine.undo(), []);
        assert_same(&before, &node.dump(), "undo");
        let error = node.engine().apply(&out_of_br1("10.99.0.0/16")).unwrap_err().to_string();
        let (wanted, found) = ("expected out of br1", "route 10.99.0.0/16 via 10.2.0.2 is out of link ");
        assert!(error.starts_with(found) && error.ends_with(wanted), "{error}");
        assert_same(&before, &node.dump(), "a conflict");
    });
}

#[test]
fn every_difference_is_told_even_where_a_link_is_missing() {
    between(|node| {
        let mut plan = own(Link { peer: None, ..bridge("br0") });
        plan.own(Side::Host, address("10.77.0.1/24"));
        plan.own(Side::Host, Route::new("br0", Way::new("10.99.0.0/16".parse().unwrap())));
        plan.own(Side::Host, masquerade::share("a", "me", &[[10, 77, 0, 2]]));
        let told: Vec<_> = node.engine().check(&plan).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 6, "{told:#?}");
        assert!(told.iter().all(|text| text.ends_with(" is missing")), "{told:#?}");
    });
}
