//! Several devices in one call: all of them, or none.

use ferry::{Error, Obstacle};

use super::whole::similar;
use super::{Ferry, sh, snapshot};

/// Devices `d0` to `d49`, each with an address and a route of its own.
const FIFTY: &str = "
    for n in $(seq 0 49); do
        ip link add d$n numtxqueues 1 numrxqueues 1 type veth peer name p$n numtxqueues 1 numrxqueues 1
        ip link set p$n netns $WORLD; nsenter --net=$WORLD ip link set p$n up; ip link set d$n up
        ip address add 10.2.$n.1/24 dev d$n; ip route add 10.3.$n.0/24 via 10.2.$n.2
    done; sleep 0.2
";
/// Two devices, and a route by both.
const PAIRED: &str = "
    for n in 0 1; do
        ip link add d$n numtxqueues 1 numrxqueues 1 type veth peer name p$n numtxqueues 1 numrxqueues 1
        ip link set p$n netns $WORLD; nsenter --net=$WORLD ip link set p$n up; ip link set d$n up
        ip address add 10.2.$n.1/24 dev d$n
    done
    ip route add 10.9.0.0/16 nexthop via 10.2.0.2 weight 1 nexthop via 10.2.1.2 weight 3
    for turn in $(seq 300); do test $(ip link | grep -c 'd[01]@.*state UP') = 2 && break; sleep 0.01; done
";

#[test]
fn fifty_with_the_last_one_missing_stay_untouched() {
    Ferry::run(FIFTY, |ferry| {
        let before = snapshot();
        let names: Vec<String> = (0..51).map(|n| format!("d{n}")).collect();
        let devices: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        let error = ferry.carry(&devices).unwrap_err();
        assert_eq!(error.to_string(), "find device d50: No such device");
        similar(&before, &snapshot());
        assert!(!ferry.dir.join("lent").exists());
    });
}

#[test]
fn fifty_with_a_name_that_is_taken_meanwhile_come_home() {
    Ferry::run(FIFTY, |ferry| {
        let before = snapshot();
        let names: Vec<String> = (0..50).map(|n| format!("d{n}")).collect();
        let mut devices: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        ferry.carry(&devices).unwrap();
        assert_eq!(ferry.away("ip -brief link").lines().count(), 51);
        ferry.bring_home().unwrap();
        similar(&before, &snapshot());
        // The kernel has the last word: nobody saw this one coming.
        devices[49].1 = "taken";
        let prepared = ferry.prepare(&devices);
        ferry.away("ip link add taken type bridge");
        let error = prepared.carry(&ferry.journal).err().expect("a name that is taken");
        assert!(matches!(&error, Error::Failed(failed) if failed.cleanup.is_empty()), "{error}");
        assert!(error.to_string().starts_with("move link d49 to another namespace as taken: File exists"), "{error}");
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
        assert_eq!(ferry.away("ip -brief link").lines().count(), 2);
    });
}

#[test]
fn names_may_be_swapped_but_not_shared() {
    Ferry::run(PAIRED, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "d1"), ("d1", "d0")]).unwrap();
        let there = ferry.away("ip -brief address");
        assert!(there.contains("10.2.0.1/24") && there.contains("10.2.1.1/24"), "{there}");
        assert!(ferry.away("ip address show d1").contains("10.2.0.1/24"));
        ferry.bring_home().unwrap();
        similar(&before, &snapshot());
        for (devices, refused) in [
            ([("d0", "d1"), ("d1", "d1")], Obstacle::NameTaken { name: "d1".into(), by: "d1".into() }),
            ([("d1", "d1"), ("d0", "d1")], Obstacle::NameTaken { name: "d1".into(), by: "d1".into() }),
            ([("d0", "a"), ("d0", "b")], Obstacle::Twice),
        ] {
            let error = ferry.carry(&devices).unwrap_err();
            assert!(matches!(&error, Error::Obstacles(found) if found.len() == 1 && found[0].1 == refused), "{error}");
            similar(&before, &snapshot());
        }
        let prepared = ferry.prepare(&[("d0", "eth%d"), ("d1", "eth%d")]);
        let names: Vec<&str> = prepared.lent().iter().map(|lent| lent.name.as_str()).collect();
        assert_eq!(names, ["eth0", "eth1"]);
    });
}

#[test]
fn a_route_by_several_goes_with_those_that_go() {
    Ferry::run(PAIRED, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "a"), ("d1", "b")]).unwrap();
        let there = ferry.away("ip route show 10.9.0.0/16");
        assert!(
            there.contains("via 10.2.0.2 dev a weight 1") && there.contains("via 10.2.1.2 dev b weight 3"),
            "{there}"
        );
        ferry.bring_home().unwrap();
        similar(&before, &snapshot());
        // The kernel takes the whole route away with one of its devices.
        ferry.carry(&[("d1", "b")]).unwrap();
        assert_eq!(ferry.away("ip route show 10.9.0.0/16"), "10.9.0.0/16 via 10.2.1.2 dev b \n");
        assert_eq!(sh("ip route show 10.9.0.0/16"), "");
        ferry.bring_home().unwrap();
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}
