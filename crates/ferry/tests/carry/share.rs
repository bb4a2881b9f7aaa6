//! Devices that several count on, and devices that another program has carried.

use std::path::Path;

use ferry::{Order, Restore, Wanted, adopt, carry, recover, share};
use kernel::netns::Netns;
use lab::device::WHOLE;

use super::whole::similar;
use super::{Ferry, assert_says, sh, snapshot, wanted};

fn leave(ferry: &Ferry, who: &str) -> ferry::Result<Vec<ferry::Returned>> {
    share::leave(&ferry.journal, who, &|_, holder| holder == who, None)
}

fn join(ferry: &Ferry, netns: &Netns, device: &str, who: &str) -> bool {
    share::join(&ferry.journal, netns, &ferry.dir.join("away"), device, who).unwrap()
}

/// The first has it carried, the second finds it there under any of its names, and it comes home with the last.
#[test]
fn it_comes_home_when_the_last_has_let_go() {
    for order in [["test", "other", "third"], ["third", "other", "test"], ["other", "test", "third"]] {
        Ferry::run(WHOLE, move |ferry| {
            let before = snapshot();
            assert!(share::find(&ferry.journal, &ferry.away, "d0").unwrap().is_none());
            ferry.carry(&[("d0", "net1")]).unwrap();
            let (owner, lent) = share::find(&ferry.journal, &ferry.away, "enp-d0").unwrap().unwrap();
            assert_eq!((&*owner, &*lent.name), ("test", "net1"));
            assert!(join(ferry, &ferry.away, "d0", "other"));
            assert!(join(ferry, &ferry.away, "a-much-longer-name-than-fits", "third"));
            // It is there for nobody in another namespace, and under no other name.
            assert!(!join(ferry, &Netns::open(&ferry.dir.join("world")).unwrap(), "d0", "x"));
            assert!(!join(ferry, &ferry.away, "net1", "x"));
            for who in &order[..2] {
                assert_eq!(leave(ferry, who).unwrap(), []);
                // Nothing is left to let go of.
                assert_eq!(leave(ferry, who).unwrap(), []);
                assert!(recover::recover(&ferry.journal, false).unwrap().is_empty());
                ferry.away("ip link show net1");
            }
            let returned = leave(ferry, order[2]).unwrap();
            assert!(returned.len() == 1 && returned[0].is_home && returned[0].notes.is_empty(), "{returned:?}");
            similar(&before, &snapshot());
            ferry.assert_nothing_is_lent();
        });
    }
}

/// What was carried ahead of a container is its own once it has claimed it, and comes home if it never does.
#[test]
fn what_went_ahead_is_claimed_or_comes_home() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        let (ours, theirs, bundle) = (ferry.dir.join("away"), ferry.dir.join("theirs"), Path::new("/run/b"));
        sh(&format!("touch {0}; mount --bind {1} {0}", theirs.display(), ours.display()));
        let claim = |netns: &Netns| share::claim(&ferry.journal, "test", netns, &theirs, bundle).unwrap();
        assert!(claim(&ferry.away).is_none());
        ferry.carry_to(&ours, &[("d0", "net1")], true).unwrap();
        let world = Netns::open(&ferry.dir.join("world")).unwrap();
        assert!(claim(&world).is_none());
        assert!(share::take_back(&ferry.journal, "test", &theirs).unwrap().is_none());
        for _ in 0..2 {
            let held = claim(&ferry.away).unwrap();
            assert_eq!((held.entry.netns.as_ref(), held.entry.bundle.as_deref()), (Some(&theirs), Some(bundle)));
            assert_eq!(held.paths, std::slice::from_ref(&theirs));
            // As it was written.
            let read = ferry.journal.files().unwrap();
            let marks = std::fs::read_to_string(&read[0]).unwrap();
            assert_eq!(marks.lines().skip(1).count(), 2, "{marks}");
        }
        assert!(share::take_back(&ferry.journal, "test", &ours).unwrap().is_none());
        sh(&format!("umount {0}; rm {0}", theirs.display()));
        // It is nobody's any more who could be seen, though the first path is still there.
        assert_eq!(recover::recover(&ferry.journal, false).unwrap().len(), 1);
        similar(&before, &snapshot());
        ferry.carry_to(&ours, &[("d0", "net1")], true).unwrap();
        let returned = share::take_back(&ferry.journal, "test", &ours).unwrap().unwrap();
        assert!(returned.len() == 1 && returned[0].is_home && returned[0].notes.is_empty(), "{returned:?}");
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

/// The path by which it was carried may go with whoever had it carried.
#[test]
fn it_is_lent_as_long_as_anybody_has_its_namespace() {
    Ferry::run(WHOLE, |ferry| {
        let (before, first) = (snapshot(), ferry.dir.join("first"));
        sh(&format!("touch {0}; mount --bind {1} {0}", first.display(), ferry.dir.join("away").display()));
        ferry.carry_to(&first, &[("d0", "net1")], true).unwrap();
        // As often as anybody likes.
        assert!([(); 3].iter().all(|()| join(ferry, &ferry.away, "d0", "other")));
        let marks = sh(&format!("grep -c '\"at\"' {}", ferry.journal.files().unwrap()[0].display()));
        sh(&format!("umount {0}; rm {0}", first.display()));
        assert_eq!((marks.trim(), leave(ferry, "test").unwrap().len()), ("1", 0));
        assert!(recover::recover(&ferry.journal, false).unwrap().is_empty());
        ferry.away("ip link show net1");
        assert!(leave(ferry, "other").unwrap()[0].is_home);
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

/// Whoever lets go may be killed between the mark and the way home: the next one goes on, and so does `recover`.
#[test]
fn what_nobody_counts_on_comes_home_all_the_same() {
    for by_recover in [false, true] {
        Ferry::run(WHOLE, move |ferry| {
            let before = snapshot();
            ferry.carry(&[("d0", "net1")]).unwrap();
            let file = ferry.journal.files().unwrap().remove(0);
            sh(&format!("echo '{{\"released\":\"test\"}}' >> {}", file.display()));
            if by_recover {
                let recovered = recover::recover(&ferry.journal, false).unwrap();
                assert_eq!(recovered[0].why, "interrupted");
            } else {
                assert!(leave(ferry, "anybody").unwrap()[0].is_home);
            }
            similar(&before, &snapshot());
            ferry.assert_nothing_is_lent();
        });
    }
}

/// Addresses alone come back, in both families and with all that they are.
#[test]
fn addresses_alone_come_back() {
    Ferry::run(WHOLE, |ferry| {
        let path = ferry.path();
        let devices =
            [Wanted { device: "d0", name: "net1", policy: None, sysctls: false, restore: Restore::Addresses }];
        let order =
            Order { owner: "test", path: Some(&path), bundle: None, devices: &devices, allow_uplink: true, pin: true };
        carry(&ferry.journal, Netns::open(&path).unwrap(), &order).unwrap().commit().unwrap();
        assert!(ferry.bring_home().unwrap()[0].notes.is_empty());
        assert_says(
            &sh("ip -d link show d0; ip address show dev d0"),
            &[
                "mtu 1400",
                "alias the uplink",
                ",UP",
                "inet 10.1.0.5/24 brd 10.1.0.77 scope global d0:web",
                "inet 10.1.0.6/24 metric 50",
                "inet 10.9.9.1 peer 10.9.9.2/32",
                "inet6 fd01::6/64",
                "inet6 fd02::5/64 scope global nodad deprecated noprefixroute",
            ],
        );
        let ways = sh("ip route show table all proto boot; ip -6 route show table all proto boot");
        // Those that stayed are there all the same.
        assert!(!ways.contains("dev d0") && ways.contains("blackhole 10.24.0.0/16"), "{ways}");
        ferry.assert_nothing_is_lent();
    });
}

/// A runtime has moved the device, and given it some of its addresses back.
#[test]
fn what_another_program_has_carried_comes_home() {
    for (happens, is_home) in [("true", true), ("ip link set lent9 name renamed", true), ("ip link del lent9", false)] {
        Ferry::run(WHOLE, move |ferry| {
            sh(&format!("ip link set d0 netns {}/away name lent9", ferry.dir.display()));
            ferry.away(
                "ip link set lent9 up; ip address add 10.1.0.5/24 dev lent9; ip address add fd01::5/64 dev lent9",
            );
            let path = ferry.path();
            let devices =
                [Wanted { device: "d0", name: "lent9", policy: None, sysctls: false, restore: Restore::Addresses }];
            let order = Order {
                owner: "test",
                path: Some(&path),
                bundle: None,
                devices: &devices,
                allow_uplink: false,
                pin: true,
            };
            adopt(&ferry.journal, Netns::open(&path).unwrap(), &order).unwrap();
            assert!(share::find(&ferry.journal, &ferry.away, "d0").unwrap().is_some());
            assert!(recover::recover(&ferry.journal, false).unwrap().is_empty());
            ferry.away(happens);
            let returned = leave(ferry, "test").unwrap();
            assert_eq!(returned[0].is_home, is_home, "{returned:?}");
            if is_home {
                let there = sh("ip -d link show d0; ip address show dev d0");
                assert_says(&there, &["mtu 1400", "alias the uplink", ",UP", "10.1.0.5/24", "fd01::5/64", "enp-d0"]);
            }
            ferry.assert_nothing_is_lent();
        });
    }
}

/// A long alternative name is no name to come home under; the device keeps the one that it has, and is found by both.
#[test]
fn a_device_that_was_asked_for_by_a_long_name_comes_home() {
    Ferry::run(WHOLE, |ferry| {
        sh(&format!("ip link set d0 netns {}/away name lent9", ferry.dir.display()));
        let (path, long) = (ferry.path(), "a-much-longer-name-than-fits");
        let devices =
            [Wanted { device: long, name: "lent9", policy: None, sysctls: false, restore: Restore::Addresses }];
        let order =
            Order { owner: "test", path: Some(&path), bundle: None, devices: &devices, allow_uplink: false, pin: true };
        adopt(&ferry.journal, Netns::open(&path).unwrap(), &order).unwrap();
        assert!(share::find(&ferry.journal, &ferry.away, long).unwrap().is_some());
        assert!(leave(ferry, "test").unwrap()[0].is_home);
        assert_says(&sh("ip -d link show lent9"), &["alias the uplink", &format!("altname {long}"), "altname enp-d0"]);
        ferry.assert_nothing_is_lent();
    });
}

/// A device that is not there is not taken on, and nothing is left of the try.
#[test]
fn nothing_is_taken_on_that_is_not_there() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.away("ip link add there type veth peer name there2");
        let path = ferry.path();
        let devices = wanted(&[("d1", "there"), ("d0", "net1")]);
        let order =
            Order { owner: "test", path: Some(&path), bundle: None, devices: &devices, allow_uplink: false, pin: true };
        let error = adopt(&ferry.journal, Netns::open(&path).unwrap(), &order).unwrap_err();
        assert_eq!(error.to_string(), "find device net1: No such device");
        similar(&before, &snapshot());
        assert!(!ferry.away("ip link show there").contains("alias"));
        assert!(ferry.journal.files().unwrap().is_empty());
    });
}

/// `eth%d` takes what the fixed name leaves, whichever is said first.
#[test]
fn templates_take_what_fixed_names_leave() {
    let script = "ip link add d0 type veth peer name d1";
    Ferry::run(script, |ferry| {
        ferry.carry(&[("d0", "eth%d"), ("d1", "eth0")]).unwrap();
        let names = ferry.away("cd /proc/sys/net/ipv4/conf; ip link show eth0; ip link show eth1");
        assert!(names.contains("alias d1") && names.contains("alias d0"), "{names}");
        assert!(ferry.away("ip link show eth0").contains("alias d1"));
        assert!(ferry.bring_home().unwrap().iter().all(|one| one.is_home));
    });
}
