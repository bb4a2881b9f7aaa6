//! The network cards of the machine of `cargo xtask vm` (`xtask/src/vm/machine.rs`), for one test at a time.
//!
//! They are known by their hardware addresses, so that no machine's own is ever taken for one. A test has them in its
//! node, and gives them back to the machine's first namespace at its end, whatever became of them.

use lab::Node;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const MACS: [&str; 2] = ["02:fc:00:00:0c:01", "02:fc:00:00:0c:02"];
static ALONE: Mutex<()> = Mutex::new(());

/// A network card.
pub struct Nic {
    /// Name of its link.
    pub name: String,
    /// Hardware address, which it was built with.
    pub mac: &'static str,
    /// Its PCI device.
    pub pci: String,
    /// That device's directory below `/sys/devices`.
    pub path: PathBuf,
}

/// Both cards, in a node.
pub struct Nics {
    /// Where they are.
    pub node: Node,
    /// The cards.
    pub all: [Nic; 2],
    _alone: MutexGuard<'static, ()>,
}

impl Nics {
    /// A fresh node with both cards in it, down.
    pub fn take() -> Nics {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (node, all) = (Node::new().unwrap(), MACS.map(found));
        for nic in &all {
            ip(&["link", "set", &nic.name, "netns", &node.pid().to_string()]);
        }
        Nics { node, all, _alone: alone }
    }

    /// Takes the card out of the hands of its driver and gives it to another; to none for `None`.
    pub fn bind(&self, nic: &Nic, driver: Option<&str>) {
        let device = Path::new("/sys/bus/pci/devices").join(&nic.pci);
        let write = |path: PathBuf, text: &str| fs::write(&path, text).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        if device.join("driver").exists() {
            write(device.join("driver/unbind"), &nic.pci);
        }
        if let Some(driver) = driver {
            write(device.join("driver_override"), driver);
            write(PathBuf::from("/sys/bus/pci/drivers_probe"), &nic.pci);
            assert!(fs::read_link(device.join("driver")).unwrap().ends_with(driver), "{driver} does not take the card");
        }
    }
}

impl Drop for Nics {
    fn drop(&mut self) {
        for nic in &self.all {
            let driver = fs::read_link(Path::new("/sys/bus/pci/devices").join(&nic.pci).join("driver"));
            if driver.is_ok_and(|driver| driver.ends_with("virtio-pci")) {
                // Where it is no more, its namespace has ended, which brings it home as well.
                let _ = self.node.run(["ip", "link", "set", &nic.name, "netns", "1"]);
            } else {
                self.bind(nic, Some("virtio-pci"));
            }
        }
    }
}

/// The card with this hardware address in this namespace, where it may be on its way.
fn found(mac: &'static str) -> Nic {
    let start = Instant::now();
    loop {
        for entry in fs::read_dir("/sys/class/net").unwrap().flatten() {
            let (name, link) = (entry.file_name().into_string().unwrap(), entry.path());
            let is_it = fs::read_to_string(link.join("address")).is_ok_and(|address| address.trim() == mac);
            // Of virtio, which is on the PCI bus.
            if let (true, Ok(device)) = (is_it, link.join("device").canonicalize()) {
                let path = device.parent().unwrap().to_owned();
                let pci = path.file_name().unwrap().to_str().unwrap().to_owned();
                return Nic { name, mac, pci, path };
            }
        }
        assert!(start.elapsed() < Duration::from_secs(10), "no card {mac}: this is not the machine of cargo xtask vm");
        thread::sleep(Duration::from_millis(20));
    }
}

fn ip(words: &[&str]) {
    let output = Command::new("ip").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}
