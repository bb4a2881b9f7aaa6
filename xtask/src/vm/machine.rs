//! The machine itself: QEMU with a kernel, an initramfs, a serial console and two network cards, nothing else.
//!
//! The cards are PCI devices, for what cannot be done to a link of software. They are at the ends of one wire that ends
//! in the machine; `crates/lab/tests/vm/nics.rs` knows them by their hardware addresses.
//!
//! Contract: what `vm-init` prints is shown as it comes. The run counts when its last line `vm: ended N` came; without
//! it, the kernel's panic for instance, it is an error whatever the tests said before.

use crate::shell::{command, shown};
use crate::summary::Summary;
use std::path::Path;
use std::time::Duration;

/// The kernel's command line: on the serial console, its own words only from warnings on; a panic ends the machine.
const COMMAND_LINE: &str = "console=ttyS0 loglevel=4 panic=-1 random.trust_cpu=on mitigations=off";

/// An old processor: libraries then choose the simple instructions, which emulation is best at.
const PROCESSOR: &str = "Westmere,+rdrand";

/// The network cards' hardware addresses.
const CARDS: [&str; 2] = ["02:fc:00:00:0c:01", "02:fc:00:00:0c:02"];

/// Boots the machine, waits for its end, and returns what the tests said about themselves.
///
/// # Errors
/// QEMU fails, the machine does not end in time, or ends before its time.
pub fn run(kernel: &Path, initramfs: &Path, deadline: Duration) -> Result<Summary, String> {
    let seconds = deadline.as_secs().to_string();
    // timeout(1) rather than a thread: it ends QEMU also if we are ended.
    let mut qemu = command(&["timeout", "--kill-after=5", &seconds, "qemu-system-x86_64"]);
    qemu.args(["-accel", "tcg,thread=multi", "-cpu", PROCESSOR, "-smp", "2", "-m", "1024"]);
    qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"]);
    for (number, mac) in CARDS.iter().enumerate() {
        qemu.args(["-netdev", &format!("hubport,id=nic{number},hubid=0")]);
        qemu.args(["-device", &format!("virtio-net-pci,netdev=nic{number},mac={mac},romfile=")]);
    }
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs).args(["-append", COMMAND_LINE]);
    let (said, result) = shown(&mut qemu)?;
    let said = said.replace('\r', "");
    let lines = |prefix: &'static str| said.lines().filter_map(move |line| line.strip_prefix(prefix));
    let report: String = lines("vm: report ").map(|line| format!("{line}\n")).collect();
    let mut summary = Summary::read(&said, &report);
    let Some(failed) = lines("vm: ended ").next() else {
        result?;
        return Err("the machine ended before the tests did; its console is above".into());
    };
    // A binary that crashed has not counted its tests.
    if failed != "0" && summary.failed == 0 {
        summary.failed = failed.trim().parse().unwrap_or(1);
    }
    Ok(summary)
}
