//! Everything that the kernel, a container or another program can do to a device between home and home. The kernel's
//! outcomes of a move (K3 and others of the notes beside the cases) are provoked behind the ferry's back, after it has
//! looked and found nothing in the way.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::{Child, Command};

use ferry::{Error, Order, carry, recover};
use kernel::netns::Netns;
use lab::device::WHOLE;

use super::whole::similar;
use super::{Ferry, assert_says, sh, snapshot, wanted};

/// Provokes an outcome by `meanwhile`, run in the target between the look and the move of `d0` as `name`.
fn fails(name: &'static str, meanwhile: &'static str, error: &'static str) {
    Ferry::run(WHOLE, move |ferry| {
        let before = snapshot();
        let prepared = ferry.prepare(&[("d0", name)]);
        ferry.away(meanwhile);
        let target = ferry.away("ip -brief link | cut -c1-40; ip rule; ip -6 rule; ip route show table all");
        let failed = prepared.carry(&ferry.journal).err().expect("an error");
        assert!(failed.to_string().starts_with(error), "{failed}");
        assert!(matches!(&failed, Error::Failed(failed) if failed.cleanup.is_empty()), "{failed}");
        similar(&before, &snapshot());
        let after = ferry.away("ip -brief link | cut -c1-40; ip rule; ip -6 rule; ip route show table all");
        similar(&target, &after);
        ferry.assert_nothing_is_lent();
    });
}

/// K3 a: moved under its old name, and stranded there.
#[test]
fn the_new_name_is_taken() {
    fails("net1", "ip link add net1 type bridge", "move link d0 to another namespace as net1: File exists");
}

/// K3 c: both names are taken, and nothing moves.
#[test]
fn both_names_are_taken() {
    fails(
        "net1",
        "ip link add net1 type bridge; ip link add d0 type bridge",
        "move link d0 to another namespace as net1: ",
    );
}

/// K3 b: the name that it has is taken, and nothing moves.
#[test]
fn its_own_name_is_taken() {
    fails("d0", "ip link add d0 type bridge", "move link d0 to another namespace as d0: ");
}

/// K6: an alternative name is taken, and nothing moves.
#[test]
fn an_alternative_name_is_taken() {
    let meanwhile = "ip link add x type bridge; ip link property add dev x altname enp-d0";
    fails("net1", meanwhile, "move link d0 to another namespace as net1: ");
}

/// The index that was meant for it is taken.
#[test]
fn the_index_is_taken() {
    Ferry::run(WHOLE, |ferry| {
        let index = sh("cat /sys/class/net/d0/ifindex 2> /dev/null || ip -o link show d0 | cut -d: -f1");
        let before = snapshot();
        let prepared = ferry.prepare(&[("d0", "net1")]);
        ferry.away(&format!("ip link add x index {} type bridge", index.trim()));
        let failed = prepared.carry(&ferry.journal).err().expect("an error");
        assert!(failed.to_string().contains("busy"), "{failed}");
        similar(&before, &snapshot());
        // Asked again, another is found.
        ferry.carry(&[("d0", "net1")]).unwrap();
        ferry.bring_home().unwrap();
        similar(&before, &snapshot());
    });
}

/// Laying the device out fails on the last step: what the target had got is gone, rules too.
#[test]
fn a_rule_cannot_be_added() {
    // The table of one namespace is full of a rule of that very number.
    fails("net1", "ip route add 10.24.0.0/16 dev lo table 100 scope link", "route blackhole 10.24.0.0/16");
}

/// K14: the target has no IPv6 by the time that the device comes.
#[test]
fn ipv6_is_disabled_meanwhile() {
    fails("net1", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6", "add address fd0");
}

/// Carries `d0`, lets `meanwhile` happen in the target, and brings it home: as it was.
fn comes_home(meanwhile: &'static str) {
    Ferry::run(WHOLE, move |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        ferry.away(meanwhile);
        let returned = ferry.bring_home().unwrap();
        assert!(returned[0].is_home && returned[0].notes.is_empty(), "{returned:?}");
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

#[test]
fn everything_was_changed_inside() {
    comes_home(
        "ip link set net1 down; ip link set net1 name other address 02:00:00:00:00:99 mtu 1280 txqueuelen 5 group 9
         ip link set other alias nobody; ip link set other promisc on; ip link set other allmulticast on
         ip link property del dev other altname enp-d0; ip link property add dev other altname surprise
         ip address flush dev other; echo 1 > /proc/sys/net/ipv4/conf/other/rp_filter
         ip link set other up; ip address add 192.0.2.7/24 dev other; ip route add default via 192.0.2.1
         ip rule del priority 1000",
    );
}

#[test]
fn the_name_at_home_is_the_name_of_another_there() {
    comes_home("ip link add d0 type bridge");
}

/// K1 and K12: the container has flushed the device's IPv6 addresses by setting it down.
#[test]
fn it_was_set_down_inside() {
    comes_home("ip link set net1 down");
}

/// K4, K5: nothing has the index or the name that it had, and it moved on. Its hardware address tells it from devices of
/// other nodes on this machine, which may be called the same.
#[test]
fn it_was_carried_on_inside() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        // A namespace of a process in the container, which lives as long as this does.
        let inner = ferry.away.run(&ferry.home, || Ok(Holder::new())).unwrap();
        ferry.away(&format!("ip link set net1 netns {} name deeper index 77 mtu 1300", inner.0.id()));
        let returned = ferry.bring_home();
        assert!(returned.unwrap()[0].is_home);
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

/// The container is gone, and the namespace with it but for the pin.
#[test]
fn its_container_is_gone() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        let holder = Holder::new();
        ferry.carry_to(&holder.path(), &[("d0", "net1")], true).unwrap();
        drop(holder);
        // Whoever looks after the node does not even know what was lent.
        let recovered = recover::recover(&ferry.journal, true).unwrap();
        assert_eq!((recovered.len(), recovered[0].why, recovered[0].outcome.is_none()), (1, "orphaned", true));
        let recovered = recover::recover(&ferry.journal, false).unwrap();
        assert!(recovered[0].outcome.as_ref().unwrap().is_ok(), "{recovered:?}");
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

/// Without a pin a virtual device goes with its container, and that is an end of it.
#[test]
fn nothing_kept_it() {
    Ferry::run(WHOLE, |ferry| {
        let holder = Holder::new();
        ferry.carry_to(&holder.path(), &[("d0", "net1")], false).unwrap();
        drop(holder);
        // The kernel takes a namespace apart some time later.
        sh(
            "for turn in $(seq 1000); do nsenter --net=$WORLD ip link show p0 2> /dev/null || exit 0; sleep 0.01; done; exit 1",
        );
        let returned = ferry.bring_home().unwrap();
        assert!(!returned[0].is_home, "{returned:?}");
        ferry.assert_nothing_is_lent();
    });
}

/// Another node on this machine has lent a device of the same name, alternative names and index.
#[test]
fn a_device_of_another_node_is_not_taken() {
    Ferry::run(WHOLE, |ferry| {
        ferry.carry(&[("d0", "net1")]).unwrap();
        let index = ferry.away("ip -o link show net1 | cut -d: -f1");
        let decoy = format!(
            "ip link add d0 index {} type veth peer name p0; ip link set d0 alias d0
            ip link property add dev d0 altname enp-d0; ip link property add dev d0 altname a-much-longer-name-than-fits
            exec sleep 600",
            index.trim()
        );
        let other = Holder(Command::new("unshare").args(["-n", "sh", "-ec", &decoy]).spawn().unwrap());
        let there = format!("nsenter --net={} ip -d link show d0", other.path().display());
        sh(&format!(
            "for turn in $(seq 300); do {there} 2> /dev/null | grep -q a-much && exit; sleep 0.01; done; exit 1"
        ));
        ferry.away("ip link delete net1");
        let returned = ferry.bring_home();
        let left = sh(&format!("{there} || true"));
        drop(other);
        assert!(!returned.as_ref().unwrap()[0].is_home, "{returned:?}");
        assert_says(&left, &["alias d0", "altname enp-d0"]);
        ferry.assert_nothing_is_lent();
    });
}

#[test]
fn a_name_that_is_taken_at_home_is_not_taken_back() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        sh("ip link add d0 type bridge");
        for _ in 0..3 {
            let error = ferry.bring_home().unwrap_err();
            let words = "what was lent to test is not as it was: d0 is home as ferry0, since another device";
            assert!(error.to_string().starts_with(words), "{error}");
            assert!(sh("ip -d link show d0").contains("bridge"));
        }
        sh("ip link del d0");
        ferry.bring_home().unwrap();
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

/// What cannot be put back is said once as an error; whoever asks again is told, and is rid of it.
#[test]
fn what_cannot_be_put_back_is_given_up_the_second_time() {
    Ferry::run(WHOLE, |ferry| {
        ferry.carry(&[("d0", "net1")]).unwrap();
        sh("ip route add 10.20.0.0/16 dev lo scope link");
        let error = ferry.bring_home().unwrap_err();
        assert!(matches!(&error, Error::Left { why, .. } if why.len() == 1), "{error}");
        assert!(error.to_string().contains("route 10.20.0.0/16 via 10.1.0.1"), "{error}");
        let returned = ferry.bring_home().unwrap();
        assert_eq!(returned[0].notes.len(), 1, "{returned:?}");
        ferry.assert_nothing_is_lent();
    });
}

/// Go's plugin knows the device by its alias, and takes it home bare.
#[test]
fn another_program_brought_it_home() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        let home = format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&ferry.home))
        );
        ferry.away(&format!("ip link set net1 alias ''; ip link set net1 netns {home} name d0; ip rule del priority 1000; ip -6 rule del priority 1001"));
        ferry.bring_home().unwrap();
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

/// K9: the target is home.
#[test]
fn the_target_is_home() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        let error =
            ferry.carry_to(std::path::Path::new("/proc/thread-self/ns/net"), &[("d0", "net1")], false).unwrap_err();
        assert!(matches!(error, Error::Obstacles(_)), "{error}");
        similar(&before, &snapshot());
    });
}

/// Another program brought it home and it was lent again: who had it first has no claim to it any more.
#[test]
fn who_had_it_before_does_not_take_it_from_who_has_it_now() {
    Ferry::run(WHOLE, |ferry| {
        ferry.carry(&[("d0", "net1")]).unwrap();
        ferry.away("ip link set net1 alias d0");
        let home = format!("/proc/{}/fd/{}", std::process::id(), ferry.home.as_fd().as_raw_fd());
        ferry.away(&format!("ip link set net1 netns {home} name d0"));
        let holder = Holder::new();
        let path = holder.path();
        let order = Order {
            owner: "another",
            path: Some(&path),
            bundle: None,
            devices: &wanted(&[("d0", "net1")]),
            allow_uplink: true,
            pin: true,
        };
        carry(&ferry.journal, Netns::open(&path).unwrap(), &order).unwrap().commit().unwrap();
        let returned = ferry.bring_home().unwrap();
        assert_eq!((returned[0].is_home, &*returned[0].notes[0]), (false, "it is lent to another by now"));
        sh(&format!("nsenter --net={} ip link show net1", path.display()));
        assert!(recover::release(&ferry.journal, "another", None).unwrap().unwrap()[0].is_home);
        ferry.assert_nothing_is_lent();
    });
}

/// Two carry one device at the same time: one of them has it, and the other leaves it there.
#[test]
fn two_carry_one_device() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        let prepared = ferry.prepare(&[("d0", "net1")]);
        let holder = Holder::new();
        let path = holder.path();
        let order = Order {
            owner: "another",
            path: Some(&path),
            bundle: None,
            devices: &wanted(&[("d0", "net1")]),
            allow_uplink: true,
            pin: true,
        };
        carry(&ferry.journal, Netns::open(&path).unwrap(), &order).unwrap().commit().unwrap();
        let error = prepared.carry(&ferry.journal).err().expect("it is gone");
        assert!(error.to_string().starts_with("set down on link d0: No such device"), "{error}");
        sh(&format!("nsenter --net={} ip link show net1", path.display()));
        assert!(recover::release(&ferry.journal, "another", None).unwrap().unwrap()[0].is_home);
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

/// A process in a network namespace of its own, until it is dropped.
struct Holder(Child);

impl Holder {
    fn new() -> Self {
        let holder = Self(Command::new("unshare").args(["-n", "sleep", "600"]).spawn().unwrap());
        let is_out = format!("test $(readlink {}) != $(readlink /proc/self/ns/net)", holder.path().display());
        sh(&format!("for turn in $(seq 300); do {is_out} && exit; sleep 0.01; done; exit 1"));
        holder
    }

    fn path(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.0.id()).into()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Where it goes another filter is usual, but packets of asymmetric routes arrive as they do at home.
#[test]
fn the_reverse_path_filter_is_the_one_of_home() {
    for (all, own, usual) in [(0, 0, 1), (1, 0, 2), (0, 2, 1), (1, 2, 0)] {
        Ferry::run(WHOLE, move |ferry| {
            sh(&format!("cd /proc/sys/net/ipv4/conf; echo {all} > all/rp_filter; echo {own} > d0/rp_filter"));
            ferry
                .away(&format!("cd /proc/sys/net/ipv4/conf; echo 0 > all/rp_filter; echo {usual} > default/rp_filter"));
            ferry.carry(&[("d0", "net1")]).unwrap();
            let there = ferry.away("cat /proc/sys/net/ipv4/conf/net1/rp_filter");
            assert_eq!(there.trim(), all.max(own).to_string(), "{all} {own} {usual}");
            ferry.bring_home().unwrap();
            assert_eq!(sh("cat /proc/sys/net/ipv4/conf/d0/rp_filter").trim(), own.to_string());
        });
    }
}

/// A namespace that nothing but a mount keeps, which no process is in.
#[test]
fn it_was_carried_on_to_a_mounted_namespace() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        let hidden = ferry.dir.join("hidden");
        std::fs::write(&hidden, "").unwrap();
        sh(&format!("unshare -n mount --bind /proc/self/ns/net {0}; true", hidden.display()));
        ferry.away(&format!("ip link set net1 netns {} name deeper", hidden.display()));
        let returned = ferry.bring_home();
        sh(&format!("umount -l {}", hidden.display()));
        assert!(returned.unwrap()[0].is_home);
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}

/// After Go's DEL the owner asks again: what is home is put right first.
#[test]
fn an_owner_whose_device_is_home_may_have_it_again() {
    Ferry::run(WHOLE, |ferry| {
        let before = snapshot();
        ferry.carry(&[("d0", "net1")]).unwrap();
        let error = ferry.carry(&[("d0", "net1")]).unwrap_err();
        assert_eq!(error.to_string(), "d0 is lent to test already; return it first");
        let home = format!("/proc/{}/fd/{}", std::process::id(), ferry.home.as_fd().as_raw_fd());
        ferry.away(&format!("ip link set net1 alias ''; ip link set net1 netns {home} name d0"));
        ferry.carry(&[("d0", "net1")]).unwrap();
        assert!(ferry.away("ip address show net1").contains("10.1.0.5/24"));
        ferry.bring_home().unwrap();
        similar(&before, &snapshot());
        ferry.assert_nothing_is_lent();
    });
}
