//! Who manages a device of this host: a daemon that will configure it again when it comes home.
//!
//! Both known daemons keep a file on each device below `/run`, named by its index. systemd-networkd writes `KEY=value`
//! (`src/network/networkd-state-file.c`), and says `unmanaged` where no `.network` file matches; NetworkManager writes a
//! GLib key file (`src/core/nm-config.c`) and says whether the device is managed once it has decided, and which profile it
//! has; it leaves its files when it is stopped, as networkd does when it is killed. They see the network namespace of the
//! first process only.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where daemons keep what does not survive a reboot.
const RUN: &str = "/run";
/// The namespace that daemons of this host manage.
const FIRST: &str = "/proc/1/ns/net";
/// What the kernel keeps of a program's name (`proc_pid_comm(5)`).
const LONGEST_COMM: usize = 15;
/// Where systemd has the services of the host, as the hierarchies of cgroups are mounted: one, two, or the old ones.
const SERVICES: [&str; 3] = ["", "unified", "systemd"];

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
    if is_in(Path::new(FIRST)) { below(Path::new(RUN), index).filter(|manager| runs(*manager)) } else { None }
}

/// True if the daemon runs for the calling thread's network namespace: one that was stopped gives a device nothing, whatever
/// its files say. One that is not seen (of another namespace of processes) does not count: what is put back besides what
/// it gives does less harm than what is given by nobody.
fn runs(manager: Manager) -> bool {
    let name = manager.to_string();
    let comm = &name[..name.len().min(LONGEST_COMM)];
    let is_it = |process: &Path| {
        let is_named = fs::read_to_string(process.join("comm")).is_ok_and(|text| text.trim_end() == comm);
        is_named && is_in(&process.join("ns/net"))
    };
    let of_service = service(Path::new("/sys/fs/cgroup"), &name);
    of_service.unwrap_or_else(|| below_proc().collect()).iter().any(|process| is_it(process))
}

/// The processes of the service `name`, if systemd runs it: then nobody need look at every process of the host.
fn service(cgroups: &Path, name: &str) -> Option<Vec<PathBuf>> {
    let procs = |hierarchy| cgroups.join(hierarchy).join(format!("system.slice/{name}.service/cgroup.procs"));
    let text = SERVICES.iter().find_map(|hierarchy| fs::read_to_string(procs(hierarchy)).ok())?;
    let processes: Vec<PathBuf> = text.lines().map(|pid| Path::new("/proc").join(pid)).collect();
    Some(processes).filter(|processes| !processes.is_empty())
}

fn below_proc() -> impl Iterator<Item = PathBuf> {
    fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path())
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
    } else if is_network_managers(&text("NetworkManager/devices"), &run.join("NetworkManager/system-connections")) {
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

/// A managed device has nothing of NetworkManager's without a profile; nor has one that somebody else has configured, for
/// which it makes a profile among `profiles` that says so ("connected (externally)"), and forgets it when the device goes.
fn is_network_managers(text: &str, profiles: &Path) -> bool {
    if value(text, "[device]", "managed") != Some("true") {
        return false;
    }
    let Some(profile) = value(text, "[device]", "connection-uuid") else { return false };
    let is_external = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        value(&text, "[connection]", "uuid") == Some(profile) && value(&text, "[.nmmeta]", "external") == Some("true")
    };
    let files = fs::read_dir(profiles).into_iter().flatten().flatten();
    !files.into_iter().any(|file| is_external(&file.path()))
}

/// The value of `key` in a group of a GLib key file.
fn value<'a>(text: &'a str, group: &str, key: &str) -> Option<&'a str> {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != group).skip(1);
    let mut keys = lines.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    keys.find_map(|(own, value)| (own.trim_end() == key).then(|| value.trim_start()))
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
            for directory in ["systemd/netif/links", "NetworkManager/devices", "NetworkManager/system-connections"] {
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
    fn the_processes_of_a_service() {
        let run = Run::new("service");
        let own = run.0.join("unified/system.slice/systemd-networkd.service");
        assert_eq!(service(&run.0, "systemd-networkd"), None);
        fs::create_dir_all(&own).expect("a directory");
        for (text, expected) in [("", None), ("7\n12\n", Some(["/proc/7", "/proc/12"].map(PathBuf::from).to_vec()))] {
            fs::write(own.join("cgroup.procs"), text).expect("a file");
            assert_eq!(service(&run.0, "systemd-networkd"), expected);
        }
        assert_eq!(service(&run.0, "NetworkManager"), None);
    }

    #[test]
    fn a_device_that_somebody_else_configured_is_not_network_managers() {
        let run = Run::new("external");
        let profile = |uuid: &str, meta: &str| format!("[connection]\nid=eth1\nuuid={uuid}\n\n[.nmmeta]\n{meta}\n");
        let own = "5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03";
        for (uuid, meta, expected) in [
            (own, "nm-generated=true\nvolatile=true\nexternal=true", None),
            (own, "nm-generated=true", Some(Manager::NetworkManager)),
            ("162ef251-7b61-4a11-a75e-bb683331a52d", "external=true", Some(Manager::NetworkManager)),
        ] {
            let path = run.0.join("NetworkManager/system-connections/eth1.nmconnection");
            fs::write(path, profile(uuid, meta)).expect("a file");
            assert_eq!(run.says(None, Some(NETWORK_MANAGER)), expected, "{uuid}: {meta}");
        }
    }

    #[test]
    fn what_says_nothing_is_nobody() {
        let run = Run::new("unmanaged");
        for text in ["", "ADMIN_STATE=\n", "# ADMIN_STATE=configured\n", "OPER_STATE=routable\n", "ADMIN_STATE"] {
            assert_eq!(run.says(Some(text), None), None, "{text:?}");
        }
        let disconnected = "[device]\nmanaged=true\n";
        let of_another = "[other]\nmanaged=true\nconnection-uuid=u\n";
        let unmanaged = "[device]\nmanaged=false\nconnection-uuid=u\n";
        for text in ["", "[device]\n", "managed=true\nconnection-uuid=u\n", disconnected, of_another, unmanaged] {
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
