//! rtnetlink against the running kernel: what is added is read back equal, `ip` sees the same, and after the removal it
//! is gone. Every test plays the host in a network namespace of its own thread, which goes away with the thread.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod announcements;
mod links;
mod neighbours;
mod routes;
mod rules;
mod sysctls;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use kernel::netlink::link::{self, Kind, Link, NewLink, NewPeer};
use kernel::netns::Netns;
use kernel::{Family, Socket};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use serde_json::Value;

/// Runs `test` on a thread of its own, in a fresh network namespace, with a socket in it.
fn in_netns(test: impl FnOnce(&mut Socket) + Send + 'static) {
    let thread = thread::spawn(|| {
        leave(UnshareFlags::NEWNET);
        ip("link set lo up");
        test(&mut Socket::open(Family::Route).unwrap());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Moves the calling thread into fresh namespaces.
fn leave(namespaces: UnshareFlags) {
    // SAFETY: no descriptor table is unshared.
    unsafe { unshare_unsafe(namespaces) }.unwrap();
}

/// A second namespace, which plays the container.
fn container() -> Netns {
    let thread = thread::spawn(|| {
        leave(UnshareFlags::NEWNET);
        ip("link set lo up");
        Netns::current().unwrap()
    });
    thread.join().unwrap()
}

/// Makes a link and returns it: as the kernel echoes it, or as it is found where it does not, before Linux 6.2.
fn make(socket: &mut Socket, new: &NewLink<'_>) -> Link {
    let echoed = link::add(socket, new).unwrap();
    assert_eq!(echoed.is_some(), release() >= (6, 2));
    echoed.unwrap_or_else(|| link::get(socket, new.name).unwrap().unwrap())
}

/// Version of the running kernel.
fn release() -> (u32, u32) {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = text.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// A veth pair `host0`, `cont0` in the calling thread's namespace, both up; returns their indices.
fn pair(socket: &mut Socket) -> (u32, u32) {
    let mut new = NewLink::new("host0", &Kind::Veth);
    new.peer = Some(NewPeer { name: "cont0", mac: None, mtu: None, netns: None });
    let host = make(socket, &new);
    let peer = host.peer.unwrap();
    for (index, name) in [(host.index, "host0"), (peer, "cont0")] {
        link::set(socket, index, name, &link::Change { up: Some(true), ..Default::default() }).unwrap();
    }
    // The first one up learns a moment later that it has a carrier; IPv6 hears nothing until then.
    assert!(wait_until(|| link::get(socket, "host0").unwrap().unwrap().operstate == link::OPERSTATE_UP));
    (host.index, peer)
}

/// Waits until `reached`; false if that takes more than five seconds.
fn wait_until(mut reached: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !reached() {
        if start.elapsed() > Duration::from_secs(5) {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Runs `ip` in the calling thread's namespace and returns what it printed.
fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("install iproute2");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `ip -j` prints.
fn ip_json(arguments: &str) -> Vec<Value> {
    let text = ip(&format!("-j {arguments}"));
    if text.trim().is_empty() { Vec::new() } else { serde_json::from_str(&text).unwrap() }
}
