//! A failure at any place undoes what was made and nothing else; a removal takes what is there, however little that is.

use std::time::Duration;

use kernel::netlink::address::Address as Wanted;
use kernel::netlink::link::Kind;
use kernel::netlink::route::Route as Way;
use plan::op::{Address, Change, Link, Peer, Route, Sysctl};
use plan::{Engine, Plan, Side, Step};

use crate::masquerade;
use crate::namespaces::{assert_same, between, ip};

/// A bridge with a gateway, and a container on it: every kind that can be made.
fn everything() -> Plan {
    let mut plan = Plan::new();
    let bridge = Kind::Bridge { vlan_filtering: false };
    plan.share(
        Side::Host,
        Link { up: true, mac: Some("02:00:00:00:00:09".parse().unwrap()), ..Link::new("br0", bridge) },
    );
    let peer = Some(Peer { side: Side::Container, name: "eth0".to_owned(), mac: None, mtu: None });
    let master = Some("br0".to_owned());
    plan.own(Side::Host, Link { up: true, master, peer, ..Link::new("host0", Kind::Veth) });
    plan.own(Side::Host, Change { alias: Some("mine".to_owned()), ..Change::of("host0") });
    plan.share(Side::Host, Address::new("br0", Wanted::new(0, "10.77.0.1/24".parse().unwrap())));
    plan.own(Side::Container, Address::new("eth0", Wanted::new(0, "10.77.0.2/24".parse().unwrap())));
    plan.own(Side::Container, Change { up: Some(true), ..Change::of("eth0") });
    let via = Way { gateway: Some("10.77.0.1".parse().unwrap()), ..Way::new("0.0.0.0/0".parse().unwrap()) };
    plan.own(Side::Container, Route::new("eth0", via));
    let settings = vec![("net/ipv4/conf/eth0/rp_filter".to_owned(), "2".to_owned())];
    plan.own(Side::Container, Sysctl { device: Some("eth0".to_owned()), settings, optional: false });
    // What does not rest on a link of the plan's own.
    plan.own(Side::Host, Change { mtu: Some(1400), alias: Some("changed".to_owned()), ..Change::of("far0") });
    let settings = vec![("net/ipv4/conf/far0/rp_filter".to_owned(), "2".to_owned())];
    plan.own(Side::Host, Sysctl { device: None, settings, optional: false });
    plan.own(Side::Host, Address::new("far0", Wanted::new(0, "10.88.0.1/24".parse().unwrap())));
    plan.own(Side::Host, masquerade::share("a", "me", &[[10, 77, 0, 2]]));
    plan
}

/// Steps that must fail, and how the failure begins.
fn impossible() -> Vec<(Step, &'static str)> {
    let mut plan = Plan::new();
    plan.own(Side::Host, Address::new("nowhere0", Wanted::new(0, "10.0.0.1/24".parse().unwrap())));
    let settings = [("net/ipv4/conf/far0/arp_filter", "1"), ("net/ipv4/conf/far0/mtu", "1")];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    plan.own(Side::Host, Sysctl { device: None, settings, optional: false });
    plan.own(Side::Host, Change { alias: Some("half".to_owned()), mtu: Some(7), ..Change::of("far0") });
    let texts =
        ["link nowhere0 not found", "read sysctl net/ipv4/conf/far0/mtu: No such", "set mtu 7 alias half on link far0"];
    plan.steps.into_iter().zip(texts).collect()
}

#[test]
fn a_failure_at_any_place_leaves_everything_as_it_was() {
    between(|node| {
        ip("link add far0 type veth peer name near0");
        let before = node.dump();
        // Every place has a failure, and every failure has several places.
        let failures = impossible();
        for (place, (step, text)) in (0..=everything().steps.len()).zip(failures.iter().cycle()) {
            let mut plan = everything();
            plan.steps.insert(place, step.clone());
            let error = node.engine().apply(&plan).unwrap_err();
            assert!(error.to_string().starts_with(text), "{error}");
            assert_eq!(error.cleanup, [], "place {place}");
            assert_same(&before, &node.dump(), &format!("{text}, at place {place}"));
        }
    });
}

#[test]
fn several_plans_fail_together() {
    between(|node| {
        ip("link add far0 type veth peer name near0");
        let before = node.dump();
        let mut engine = node.engine();
        engine.apply(&everything()).unwrap();
        let second = Plan { steps: impossible().into_iter().map(|(step, _)| step).collect() };
        engine.apply(&second).unwrap_err();
        assert_same(&before, &node.dump(), "the first plan went with the second");
    });
}

#[test]
fn a_removal_takes_what_is_left() {
    between(|node| {
        ip("link add far0 type veth peer name near0");
        // What is shared stays, and settings of a link that is not the plan's have no removal: both are there before.
        let (stays, goes): (Vec<_>, Vec<_>) = everything().steps.into_iter().partition(|step| {
            step.shared
                || matches!((step.op.object(), step.op.to_string()), ("link" | "sysctl", text) if text.contains("far0"))
        });
        node.engine().apply(&Plan { steps: stays }).unwrap();
        // A port that stays, so that the bridge keeps its carrier.
        ip("link add keep0 type veth peer name keep1");
        ip("link set keep1 up");
        ip("link set keep0 master br0 up");
        while !ip("link show br0").contains("state UP") {
            std::thread::sleep(Duration::from_millis(1));
        }
        let before = node.dump();
        for done in 0..=goes.len() {
            node.engine().apply(&Plan { steps: goes.iter().take(done).cloned().collect() }).unwrap();
            assert_eq!(node.engine().remove(&everything()), [], "after {done} steps");
            assert_same(&before, &node.dump(), &format!("remove after {done} steps"));
        }
    });
}

#[test]
fn a_container_that_is_gone_took_its_share_along() {
    between(|node| {
        ip("link add far0 type veth peer name near0");
        let before = node.dump();
        node.engine().apply(&everything()).unwrap();
        node.end_container();
        assert_eq!(Engine::open(None).unwrap().remove(&everything()), []);
        let after = node.dump();
        assert!(!after.contains("host0") && !after.contains("engine"), "{after}");
        assert!(after.contains("br0") && after.contains("10.77.0.1/24"), "what is shared stays");
        assert!(!before.contains("br0"));
    });
}
