//! The table that everybody shares, under many hands: it is made once, elements follow their address to its new owner,
//! and it is gone with the last of them.

use kernel::netlink::link::Kind;
use kernel::netns::Lock;
use plan::op::{Link, Peer};
use plan::{Plan, Side};

use crate::masquerade;
use crate::namespaces::{between, finish, role, run, start};

const PROCESSES: u8 = 8;

fn of(network: &str, owner: &str, addresses: &[[u8; 4]]) -> Plan {
    let mut plan = Plan::new();
    plan.own(Side::Host, masquerade::share(network, owner, addresses));
    plan
}

fn listed() -> String {
    run("nft", "list ruleset")
}

/// What one of several processes does to the table of the namespace that it is in.
fn work(role: &str) {
    let (task, number) = role.split_once(' ').unwrap();
    let number: u8 = number.parse().unwrap();
    let owner = format!("owner {number}");
    let one = |round: u8| of(&format!("n{}", number % 3), &owner, &[[10, 0, number, round], [10, 1, number, round]]);
    let open = || plan::Engine::open(None).unwrap();
    match task {
        "join" => open().apply(&one(0)).unwrap(),
        _ => {
            for round in 0..50 {
                open().apply(&one(round)).unwrap();
                assert_eq!(open().check(&one(round)).unwrap(), [], "round {round}");
                // Half of them as DEL does it that knows no address.
                let plan = if round % 2 == 0 { one(round) } else { of("n0", &owner, &[]) };
                assert_eq!(open().remove(&plan), [], "round {round}");
            }
        }
    }
}

/// The children of the calling thread, those that have ended and those that still wait.
fn children() -> usize {
    std::fs::read_to_string("/proc/thread-self/children").unwrap().split_whitespace().count()
}

#[test]
fn a_close_that_would_wait_is_left_to_one_child() {
    between(|node| {
        let open = || {
            let mut engine = node.engine();
            engine.nft().unwrap();
            engine
        };
        open().close();
        assert_eq!(children(), 0, "nobody has deleted anything");
        let lock = Lock::open().unwrap();
        lock.mark().unwrap();
        open().close();
        assert_eq!(children(), 1, "somebody has, and is not done");
        drop(lock);
    });
    between(|node| {
        let mut plan = Plan::new();
        let peer = Some(Peer { side: Side::Container, name: "eth0".to_owned(), mac: None, mtu: None });
        plan.own(Side::Host, Link { peer, ..Link::new("near0", Kind::Veth) });
        plan.extend(of("n0", "owner", &[[10, 0, 0, 1]]));
        node.engine().apply(&plan).unwrap();
        let mut engine = node.engine();
        // The element goes first, then the link, whose child takes the socket along.
        assert_eq!(engine.remove(&plan), []);
        engine.close();
        assert_eq!(children(), 1, "the link's child has the socket already");
    });
}

#[test]
fn many_make_one_skeleton() {
    if let Some(role) = role() {
        return work(&role);
    }
    between(|_| {
        for _ in 0..5 {
            let name = "nft::many_make_one_skeleton";
            let processes: Vec<_> = (0..PROCESSES).map(|number| start(name, &format!("join {number}"))).collect();
            processes.into_iter().for_each(finish);
            let text = listed();
            for (what, count) in [("masquerade", 3), ("ip saddr vmap", 1), ("chain net-n", 3), ("comment \"owner", 16)]
            {
                assert_eq!(text.matches(what).count(), count, "{what} in {text}");
            }
            for number in 0..PROCESSES {
                let plan = of("n0", &format!("owner {number}"), &[]);
                assert_eq!(plan::Engine::open(None).unwrap().remove(&plan), []);
            }
            assert_eq!(listed(), "");
        }
    });
}

#[test]
fn many_come_and_go() {
    if let Some(role) = role() {
        return work(&role);
    }
    between(|_| {
        let name = "nft::many_come_and_go";
        let processes: Vec<_> = (0..PROCESSES).map(|number| start(name, &format!("stress {number}"))).collect();
        processes.into_iter().for_each(finish);
        assert_eq!(listed(), "", "the last took the table along");
    });
}

#[test]
fn an_address_belongs_to_its_last_owner() {
    between(|node| {
        node.engine().apply(&of("a", "past", &[[10, 0, 0, 2], [10, 0, 0, 3]])).unwrap();
        node.engine().apply(&of("b", "present", &[[10, 0, 0, 2]])).unwrap();
        let text = listed();
        assert!(text.contains("10.0.0.2 comment \"present\" : goto net-b"), "{text}");
        assert!(text.contains("10.0.0.3 comment \"past\" : goto net-a"), "{text}");
        let differences = node.engine().check(&of("a", "past", &[[10, 0, 0, 2]])).unwrap();
        assert!(differences[0].to_string().contains("goto net-b"), "{}", differences[0]);
        assert_eq!(node.engine().remove(&of("a", "past", &[[10, 0, 0, 2], [10, 0, 0, 3]])), []);
        let text = listed();
        assert!(text.contains("net-b") && text.contains("10.0.0.2") && !text.contains("net-a"), "{text}");
        assert_eq!(node.engine().remove(&of("b", "present", &[])), []);
        assert_eq!(listed(), "");
    });
}

#[test]
fn what_is_partly_there_is_completed() {
    between(|node| {
        node.engine().apply(&of("a", "me", &[[10, 0, 0, 2]])).unwrap();
        let all = of("a", "me", &[[10, 0, 0, 2], [10, 0, 0, 3]]);
        for _ in 0..2 {
            node.engine().apply(&all).unwrap();
            assert_eq!(node.engine().check(&all).unwrap(), []);
        }
        assert_eq!(node.engine().remove(&all), []);
        assert_eq!(listed(), "");
    });
}

#[test]
fn a_removal_that_knows_half_of_it_finds_the_rest() {
    between(|node| {
        node.engine().apply(&of("a", "me", &[[10, 0, 0, 2], [10, 0, 0, 3]])).unwrap();
        node.engine().apply(&of("a", "other", &[[10, 0, 0, 4]])).unwrap();
        assert_eq!(node.engine().remove(&of("a", "me", &[[10, 0, 0, 3], [10, 0, 0, 9]])), []);
        let text = listed();
        assert!(text.contains("10.0.0.4") && text.matches("10.0.0.").count() == 1, "{text}");
    });
}

#[test]
fn an_owner_with_several_networks_leaves_no_chain() {
    between(|node| {
        node.engine().apply(&of("a", "me", &[[10, 0, 0, 2]])).unwrap();
        node.engine().apply(&of("b", "me", &[[10, 0, 0, 3], [10, 0, 0, 4]])).unwrap();
        node.engine().apply(&of("b", "other", &[[10, 0, 0, 5]])).unwrap();
        assert_eq!(node.engine().remove(&of("a", "me", &[])), []);
        let text = listed();
        assert!(!text.contains("net-a") && text.contains("net-b") && text.matches("10.0.0.").count() == 1, "{text}");
        node.engine().apply(&of("a", "other", &[[10, 0, 0, 6]])).unwrap();
        assert_eq!(node.engine().remove(&of("a", "other", &[])), []);
        assert_eq!(listed(), "", "the last two chains, and the table with them");
    });
}

/// A chain that somebody emptied or added to leads to the elements of nobody as it should.
#[test]
fn check_names_every_rule_that_is_not_as_it_was_made() {
    between(|_| {
        let plan = of("net", "owner", &[[10, 0, 0, 1]]);
        let mut engine = plan::Engine::open(None).unwrap();
        engine.apply(&plan).unwrap();
        let mut check = || engine.check(&plan).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(check(), Vec::<String>::new());
        run("nft", "flush chain inet engine net-net");
        assert_eq!(check(), ["nft rule 1 of chain inet engine net-net (masquerade) is missing"]);
        run("nft", "add rule inet engine net-net return");
        run("nft", "add rule inet engine postrouting accept");
        let another = "nft rule 1 of chain inet engine net-net is another, expected masquerade";
        assert_eq!(check(), [another, "nft rule 2 of chain inet engine postrouting is present, expected absent"]);
    });
}
