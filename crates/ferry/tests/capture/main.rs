//! Capture from the running kernel: what was put on a device is what is read, and what is read makes the same device
//! again. Every test plays the host in a network namespace of its own thread, which goes away with the thread.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod again;
mod noise;
mod other;
mod rules;
mod select;
mod veth;

use std::process::Command;
use std::thread;

use ferry::{Device, Policy, capture};
use kernel::{Family, Socket};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Two pairs, `d0`-`p0` and `d1`-`p1`, all up, without link-local addresses of the kernel's.
const PAIRS: &str = "
    ip link set lo up
    for n in 0 1; do
        ip link add d$n address 02:fc:00:00:00:0$n type veth peer name p$n
        ip link set d$n addrgenmode none; ip link set p$n addrgenmode none; ip link set d$n up; ip link set p$n up
    done
";

/// Runs `test` on a thread of its own, in a fresh network namespace, with a socket in it, after `script`.
fn in_netns<T: Send + 'static>(script: &str, test: impl FnOnce(&mut Socket) -> T + Send + 'static) -> T {
    let script = script.to_owned();
    let thread = thread::spawn(move || {
        // SAFETY: no descriptor table is unshared.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
        sh(&script);
        test(&mut Socket::open(Family::Route).unwrap())
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a script in the calling thread's namespace; none of its commands may fail.
fn sh(script: &str) {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Captures `d0`; its JSON must say the same.
fn captured(socket: &mut Socket, policy: &Policy) -> Device {
    let device = capture(socket, "d0", policy).unwrap();
    let json = serde_json::to_string(&device).unwrap();
    assert_eq!(Device::from_json(&json).unwrap(), device, "{json}");
    device
}

/// The words of the objects of one kind.
fn texts(device: &Device, object: &str) -> Vec<String> {
    device.lines().into_iter().filter(|line| line.object == object).map(|line| line.text).collect()
}
