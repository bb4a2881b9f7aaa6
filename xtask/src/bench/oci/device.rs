//! The device of the node that an OCI container gets: an up veth with an address of each family, made, brought home by iproute2,
//! and proven to have been away and to be home, or gone.

use crate::bench::call::timed;
use crate::bench::contender::Contender;
use crate::bench::node::{PATH, run};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// What iproute2 is told in turn.
const BATCH: &str = "/run/bench/oci-device";
/// How long the kernel may take to remove the namespace of a container that is gone, and the device with it.
const PATIENCE: Duration = Duration::from_secs(10);

fn addresses(who: Contender) -> [String; 2] {
    let subnet = who.subnet();
    [format!("10.{subnet}.3.5/24"), format!("fd00:{subnet}:3::5/64")]
}

/// Whether the node has it.
pub fn is_there(device: &str) -> bool {
    Path::new("/sys/class/net").join(device).exists()
}

/// Makes the device of `who`, an up veth with an address of each family, unless it is there.
pub fn make(who: Contender) -> Result<(), String> {
    let device = who.device();
    if is_there(&device) {
        return Ok(());
    }
    let [ipv4, ipv6] = addresses(who);
    let lines = format!(
        "link add {device} type veth peer name {device}-peer\nlink set {device}-peer up\nlink set {device} up\n\
         address add {ipv4} dev {device}\naddress add {ipv6} dev {device} nodad\n"
    );
    std::fs::write(BATCH, lines).map_err(|error| format!("{BATCH}: {error}"))?;
    run(&["ip", "-batch", BATCH]).map(drop)
}

/// Removes the device of `who`, if it is there.
pub fn remove(who: Contender) -> Result<(), String> {
    let device = who.device();
    if is_there(&device) { run(&["ip", "link", "delete", &device]).map(drop) } else { Ok(()) }
}

/// Brings it home by iproute2, from the namespace of this name and then in the node's; returns the milliseconds.
pub fn bring_home(who: Contender, netns: &str) -> Result<f64, String> {
    let device = who.device();
    let [ipv4, ipv6] = addresses(who);
    let home = format!("/proc/{}/ns/net", std::process::id());
    let back = format!("link set net0 netns {home} name {device}\n");
    let again =
        format!("link set {device} up\naddress add {ipv4} dev {device}\naddress add {ipv6} dev {device} nodad\n");
    let mut taken = 0.0;
    for (lines, place) in [(back, &["-netns", netns][..]), (again, &[])] {
        std::fs::write(BATCH, lines).map_err(|error| format!("{BATCH}: {error}"))?;
        let mut ip = Command::new("ip");
        taken += timed(ip.env("PATH", PATH).args(place).args(["-batch", BATCH]), "")?.milliseconds;
    }
    Ok(taken)
}

/// How often the device's peer has got and lost its carrier.
pub fn carrier_changes(who: Contender) -> Result<u64, String> {
    let path = format!("/sys/class/net/{}-peer/carrier_changes", who.device());
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    text.trim().parse().map_err(|error| format!("{path}: {text:?}: {error}"))
}

/// Looks whether the device went away and came home, up and with both addresses.
pub fn prove_home(who: Contender, carrier_before: u64) -> Result<(), String> {
    let device = who.device();
    let link = run(&["ip", "-o", "link", "show", &device])?;
    if !link.contains(",UP") {
        return Err(format!("{device} came home down:\n{link}"));
    }
    let there = run(&["ip", "-o", "address", "show", "dev", &device])?;
    if let Some(address) = addresses(who).iter().find(|address| !there.contains(address.as_str())) {
        return Err(format!("{device} came home without {address}:\n{there}"));
    }
    // A move sets a device down: there and back again, its peer loses its carrier twice and gets it twice.
    match carrier_changes(who)?.saturating_sub(carrier_before) {
        changes if changes >= 4 => Ok(()),
        changes => Err(format!("{device} was in no container: its peer's carrier has changed {changes} times, not 4")),
    }
}

/// Looks whether the device has left the node, and waits for its end: with the container's namespace, a while later.
pub fn prove_gone(who: Contender) -> Result<(), String> {
    let device = who.device();
    if is_there(&device) {
        return Err(format!("{device} was in no container: it is still on the node"));
    }
    let start = Instant::now();
    while is_there(&format!("{device}-peer")) {
        if start.elapsed() > PATIENCE {
            return Err(format!("{device} is not gone with its container: its peer is still on the node"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
