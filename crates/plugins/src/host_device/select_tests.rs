//! Selection on the running kernel. Every test plays the host in namespaces of its own thread, with sysfs mounted there,
//! which go away with the thread. Devices on a bus are in `crates/lab/tests/vm`.

use super::*;
use kernel::Family;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use serde_json::{Value, json};
use std::process::Command;
use std::thread;

/// A pair with addresses of its own, and an alternative name too long for an ordinary one.
const HOST: &str = "
    ip link set lo up
    ip link add d0 address 02:fc:00:00:00:01 type veth peer name p0 address 02:fc:00:00:00:02
    ip link property add dev d0 altname enp3s0
    ip link property add dev d0 altname a-name-of-more-than-fifteen-bytes
";

/// Runs `test` in fresh namespaces after `script`, with a socket of the network namespace.
fn on_host<T: Send + 'static>(script: &str, test: impl FnOnce(&mut Socket) -> T + Send + 'static) -> T {
    let script = script.to_owned();
    let thread = thread::spawn(move || {
        // SAFETY: no descriptor table is unshared.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }.expect("root");
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("root");
        mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None).expect("sysfs");
        sh(&script);
        test(&mut Socket::open(Family::Route).expect("a socket"))
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a script in the calling thread's namespaces; none of its commands may fail.
fn sh(script: &str) {
    let output = Command::new("sh").args(["-ec", script]).output().expect("a shell");
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The name of the link that `keys` select, or what is wrong.
fn selected(socket: &mut Socket, keys: Value) -> Result<String, String> {
    let conf: Conf = cni::json::decode(&keys).expect("a configuration");
    match select(&conf, socket).map_err(|error| error.to_string())? {
        Selected::Link(link) => Ok(link.name),
        Selected::Dpdk { pci, driver } => panic!("{pci} is {driver}'s"),
    }
}

#[test]
fn by_any_name() {
    on_host(HOST, |socket| {
        for name in ["d0", "enp3s0", "a-name-of-more-than-fifteen-bytes"] {
            assert_eq!(selected(socket, json!({"device": name})), Ok("d0".into()));
        }
        let missing = |name: &str| Err(format!("failed to find host device: device {name:?}: Link not found"));
        for name in ["d1", "02:fc:00:00:00:01", "a-name-of-more-than-fifteen-byte", "d%d", &"x".repeat(127)] {
            assert_eq!(selected(socket, json!({"device": name})), missing(name));
        }
    });
}

#[test]
fn a_name_counts_before_everything_else() {
    on_host(HOST, |socket| {
        let keys = json!({"device": "p0", "hwaddr": "02:fc:00:00:00:01", "pciBusID": "0000:ff:1f.7",
            "runtimeConfig": {"deviceID": "none"}});
        assert_eq!(selected(socket, keys), Ok("p0".into()));
    });
}

#[test]
fn by_hardware_address() {
    on_host(HOST, |socket| {
        for (text, expected) in [("02:fc:00:00:00:01", "d0"), ("02FC.0000.0002", "p0"), ("02-FC-00-00-00-02", "p0")] {
            assert_eq!(selected(socket, json!({"hwaddr": text})), Ok(expected.to_owned()));
        }
        let missing = "failed to find host device: hwaddr 02:fc:00:00:00:09: Link not found";
        assert_eq!(selected(socket, json!({"hwaddr": "02-fc-00-00-00-09"})), Err(missing.into()));
    });
}

/// A clone of the address gives way to the device below, whichever was made first, and is selected where it is alone.
#[test]
fn a_hardware_address_that_several_links_have() {
    let clones = "
        ip link add link d0 name m0 address 02:fc:00:00:00:01 type macvlan mode bridge
        ip link add link d0 name m1 address 02:fc:00:00:00:03 type macvlan mode bridge
        ip link add br0 address 02:fc:00:00:00:02 type bridge
        ip link set p0 master br0
    ";
    on_host(&format!("{HOST}{clones}"), |socket| {
        let mut by = |mac: &str| selected(socket, json!({"hwaddr": mac}));
        assert_eq!(by("02:fc:00:00:00:01"), Ok("d0".into()), "not the macvlan");
        assert_eq!(by("02:fc:00:00:00:02"), Ok("p0".into()), "not the bridge");
        assert_eq!(by("02:fc:00:00:00:03"), Ok("m1".into()), "a macvlan that nobody competes with");
        sh("ip link set d0 address 02:fc:00:00:00:02; ip link set p0 nomaster; ip link del br0");
        sh("ip link add link d0 name m2 address 02:fc:00:00:00:03 type macvlan mode bridge");
        sh("ip link add br1 address 02:fc:00:00:00:03 type bridge");
        let ambiguous = |mac: &str, all: &str| {
            let why = format!("hwaddr {mac}: several links match: {all}; name one by \"device\"");
            Err(format!("failed to find host device: {why}"))
        };
        assert_eq!(by("02:fc:00:00:00:02"), ambiguous("02:fc:00:00:00:02", "p0 (veth), d0 (veth)"));
        assert_eq!(by("02:fc:00:00:00:03"), ambiguous("02:fc:00:00:00:03", "m1 (macvlan), m2 (macvlan), br1 (bridge)"));
    });
}

#[test]
fn by_path() {
    on_host(HOST, |socket| {
        let mut at = |path: &str| selected(socket, json!({"kernelpath": path}));
        assert_eq!(at("/sys/devices/virtual/net/d0"), Ok("d0".into()));
        assert_eq!(at("/sys/devices/virtual/net/p0/"), Ok("p0".into()));
        for path in [
            "/sys/devices/virtual/net/d1",
            "/sys/devices/virtual/net/enp3s0",
            "/sys/devices/pci0000:00/net/d0",
            "/sys/devices/system/cpu",
            "/sys/devices/nowhere",
        ] {
            let expected = format!("failed to find host device: kernelpath {path:?}: Link not found");
            assert_eq!(at(path), Err(expected));
        }
        let several = "kernelpath \"/sys/devices/virtual\": several links match: d0 (veth), lo, p0 (veth)";
        let expected = format!("failed to find host device: {several}; name one by \"device\"");
        assert_eq!(at("/sys/devices/virtual"), Err(expected));
    });
}

/// What sysfs shows is another namespace's here: there, `d0` is another device with the same name and the same index.
#[test]
fn sysfs_of_another_namespace_selects_nothing() {
    on_host(HOST, |socket| {
        let index = link::get(socket, "d0").expect("an answer").expect("a link").index;
        // SAFETY: no descriptor table is unshared.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("root");
        sh(&format!(
            "ip link add d0 index {index} address 02:fc:00:00:00:11 type veth peer name p1; ip link set lo up"
        ));
        let mut other = Socket::open(Family::Route).expect("a socket");
        // Of the three names that sysfs has, `lo` is the same in every namespace.
        assert_eq!(selected(&mut other, json!({"kernelpath": "/sys/devices/virtual"})), Ok("lo".into()));
        assert_eq!(selected(&mut other, json!({"kernelpath": "/sys/devices/virtual/net/p1"})), Ok("p1".into()));
        let gone = "failed to find host device: kernelpath \"/sys/devices/virtual/net/p0\": Link not found";
        assert_eq!(selected(&mut other, json!({"kernelpath": "/sys/devices/virtual/net/p0"})), Err(gone.into()));
    });
}

#[test]
fn devices_on_a_bus_that_are_not_there() {
    on_host(HOST, |socket| {
        let pci = "error with host device: pciBusID \"ffff:ff:1f.7\": no such PCI device";
        assert_eq!(selected(socket, json!({"pciBusID": "ffff:ff:1f.7"})), Err(pci.into()));
        for id in ["ffff:ff:1f.7", "mlx5_core.sf.99999", "..", "../../virtual/net/d0"] {
            let expected = format!("runtime config DeviceID {id} not found or unsupported");
            assert_eq!(selected(socket, json!({"runtimeConfig": {"deviceID": id}})), Err(expected));
        }
    });
}
