//! Who manages a device of this host: a daemon that will configure it again when it comes home.
//!
//! Both known daemons keep a file on each device below `/run`, named by its index. systemd-networkd writes `KEY=value`
//! (`src/network/networkd-state-file.c`), and says `unmanaged` where no `.network` file matches; NetworkManager writes a
//! GLib key file (`src/core/nm-config.c`) and says whether the device is managed once it has decided. NetworkManager
//! leaves its files when it is stopped. They see the network namespace of the first process only.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Where daemons keep what does not survive a reboot.
const RUN: &str = "/run";
/// The namespace that daemons of this host manage.
const FIRST: &str = "/proc/1/ns/net";

/// A daemon that manages network devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manager {
    /// `systemd-networkd.service(8)`.
    #[serde(rename = "systemd-networkd")]
    Networkd,
    /// `NetworkManager(8)`.
    #[serde(rename = "NetworkManager")]
    NetworkManager,
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Networkd => "systemd-networkd",
            Self::NetworkManager => "NetworkManager",
        })
    }
}

/// Who manages the device of index `index` in the calling thread's network namespace; nobody in any but the first one.
/// Where the first one cannot be told, this may be it.
pub fn manager(index: u32) -> Option<Manager> {
    if is_in(Path::new(FIRST)) { below(Path::new(RUN), index) } else { None }
}

/// True unless the calling thread is known to be in another namespace than that of the file `first`.
fn is_in(first: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    match (identity(first), identity(Path::new("/proc/thread-self/ns/net"))) {
        (Ok(first), Ok(own)) => first == own,
        _ => true,
    }
}

/// Who says in `run` that it manages the device.
fn below(run: &Path, index: u32) -> Option<Manager> {
    let text = |directory: &str| fs::read_to_string(run.join(directory).join(index.to_string())).unwrap_or_default();
    if is_networkds(&text("systemd/netif/links")) {
        Some(Manager::Networkd)
    } else if is_network_managers(&text("NetworkManager/devices")) {
        Some(Manager::NetworkManager)
    } else {
        None
    }
}

/// `pending` and `initialized`, before it has decided, count too: what it decides comes later.
fn is_networkds(text: &str) -> bool {
    let state = text.lines().find_map(|line| line.strip_prefix("ADMIN_STATE="));
    state.is_some_and(|state| !matches!(state.trim_matches('"'), "" | "unmanaged"))
}

fn is_network_managers(text: &str) -> bool {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != "[device]").skip(1);
    let mut keys = lines.take_while(|line| !line.starts_with('['));
    keys.any(|line| matches!(line.split_once('='), Some((key, value)) if (key.trim_end(), value.trim_start()) == ("managed", "true")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::thread;

    use rustix::thread::{UnshareFlags, unshare_unsafe};

    const NETWORKD: &str = "# This is private data. Do not parse.\nADMIN_STATE=configured\nOPER_STATE=routable\n\
        CARRIER_STATE=carrier\nNETWORK_FILE=/etc/systemd/network/10-eth.network\nDNS=192.0.2.1\n";
    const NETWORK_MANAGER: &str = "[device]\nmanaged=true\nconnection-uuid=5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03\n\
        route-metric-default-effective=100\n";

    /// A directory that goes when it is dropped.
    struct Run(PathBuf);

    impl Run {
        fn new(name: &str) -> Self {
            let run = std::env::temp_dir().join(format!("netferry-{name}-{}", std::process::id()));
            for directory in ["systemd/netif/links", "NetworkManager/devices"] {
                fs::create_dir_all(run.join(directory)).expect("a directory");
            }
            Self(run)
        }

        fn says(&self, networkd: Option<&str>, network_manager: Option<&str>) -> Option<Manager> {
            for (directory, text) in [("systemd/netif/links", networkd), ("NetworkManager/devices", network_manager)] {
                let path = self.0.join(directory).join("7");
                match text {
                    Some(text) => fs::write(path, text).expect("a file"),
                    None => drop(fs::remove_file(path)),
                }
            }
            below(&self.0, 7)
        }
    }

    impl Drop for Run {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn whoever_says_so_manages_the_device() {
        let run = Run::new("managed");
        assert_eq!(run.says(Some(NETWORKD), None), Some(Manager::Networkd));
        assert_eq!(run.says(None, Some(NETWORK_MANAGER)), Some(Manager::NetworkManager));
        assert_eq!(below(&run.0, 77), None);
        let unmanaged = NETWORKD.replace("configured", "unmanaged");
        assert_eq!(run.says(Some(&unmanaged), Some(NETWORK_MANAGER)), Some(Manager::NetworkManager));
        assert_eq!(run.says(Some(&unmanaged), None), None);
        for state in ["pending", "initialized", "configuring", "failed"] {
            let text = NETWORKD.replace("configured", state);
            assert_eq!(run.says(Some(&text), None), Some(Manager::Networkd), "{state}");
        }
    }

    #[test]
    fn what_says_nothing_is_nobody() {
        let run = Run::new("unmanaged");
        for text in ["", "ADMIN_STATE=\n", "# ADMIN_STATE=configured\n", "OPER_STATE=routable\n", "ADMIN_STATE"] {
            assert_eq!(run.says(Some(text), None), None, "{text:?}");
        }
        for text in ["", "[device]\n", "managed=true\n", "[device]\nmanaged=false\n", "[other]\nmanaged=true\n"] {
            assert_eq!(run.says(None, Some(text)), None, "{text:?}");
        }
        assert_eq!(run.says(None, Some("[device]\nnm-owned=1\n[other]\nmanaged=true\n")), None);
    }

    #[test]
    fn another_namespace_is_known_by_its_file() {
        let own = Path::new("/proc/self/ns/net");
        assert!(is_in(own) && is_in(Path::new("/proc/self/ns/nothing")));
        let elsewhere = thread::spawn(move || {
            // SAFETY: no descriptor table is unshared.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("a namespace");
            is_in(own)
        });
        assert!(!elsewhere.join().expect("no panic"));
    }

    #[test]
    fn names_are_the_same_everywhere() {
        for (manager, name) in [(Manager::Networkd, "systemd-networkd"), (Manager::NetworkManager, "NetworkManager")] {
            assert_eq!(manager.to_string(), name);
            assert_eq!(serde_json::to_value(manager).expect("JSON"), name);
        }
    }
}
