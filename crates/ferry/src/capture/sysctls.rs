//! The sysctls of a device that differ from what a device of this namespace has when it is made.
//!
//! Left out is what the kernel has observed or derived (`mc_forwarding`, -1 where a device cannot do what is asked), what
//! router advertisements set while they are accepted, and keys that are another key in a coarser unit.
//! Keys: <https://docs.kernel.org/networking/ip-sysctl.html>.

use std::fs;

use kernel::netlink::link::Link;
use kernel::{Error, Result, sysctl};

use crate::sysctl::Sysctl;

const SECTIONS: [&str; 4] = ["ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"];
/// Seconds, jiffies and packets; each has a twin in milliseconds or bytes.
const COARSE: [&str; 3] = ["base_reachable_time", "retrans_time", "unres_qlen"];
/// What a router advertises.
const ADVERTISED: [&str; 4] = ["hop_limit", "mtu", "retrans_time_ms", "base_reachable_time_ms"];
/// `EPERM` and `EACCES` of `errno(3)`.
const REFUSED: [i32; 2] = [1, 13];
/// First, because setting it sets `addr_gen_mode` too.
const SECRET: &str = "stable_secret";

/// Reads the sysctls of `link` in the calling thread's namespace.
///
/// # Errors
/// The directory of a device that is there, or one of its settings, may not be read.
pub(super) fn read(link: &Link) -> Result<Vec<Sysctl>> {
    let mut read = Vec::new();
    let learns = accepts_advertisements(&link.name);
    for section in SECTIONS {
        let model = model(section);
        let mut keys = keys(section, &link.name)?;
        keys.sort_unstable_by_key(|key| (key != SECRET, key.clone()));
        for key in keys {
            let is_learnt = learns && section.starts_with("ipv6") && ADVERTISED.contains(&key.as_str());
            if is_learnt || key == "mc_forwarding" || section.ends_with("neigh") && COARSE.contains(&key.as_str()) {
                continue;
            }
            let value = match sysctl::get(&format!("net/{section}/{}/{key}", link.name)) {
                Ok(value) => value,
                Err(error) if REFUSED.contains(&error.errno) => return Err(error),
                // A secret that is not set, or a device without the protocol, cannot be read.
                Err(_) => continue,
            };
            let usual = match key.as_str() {
                "mtu" => Some(link.mtu.to_string()),
                _ => sysctl::get(&format!("net/{section}/{model}/{key}")).ok(),
            };
            let is_derived = value == "-1" && matches!(key.as_str(), "accept_dad" | "use_tempaddr");
            if usual.as_ref() != Some(&value) && !is_derived {
                read.push(Sysctl { section: section.to_owned(), key, value });
            }
        }
    }
    Ok(read)
}

/// Whose values a new device has. Only the first namespace shows the defaults of neighbours; elsewhere `lo` has them,
/// which nobody tunes.
fn model(section: &str) -> &'static str {
    let is_there = fs::exists(format!("/proc/sys/net/{section}/default")).unwrap_or(false);
    if is_there { "default" } else { "lo" }
}

fn keys(section: &str, name: &str) -> Result<Vec<String>> {
    let path = format!("/proc/sys/net/{section}/{name}");
    match fs::read_dir(&path) {
        Ok(entries) => {
            let names = entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
            names.collect::<std::io::Result<_>>().map_err(|error| Error::io(format_args!("list {path}"), &error))
        }
        // No such protocol on this device, or on this machine.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io(format_args!("list {path}"), &error)),
    }
}

/// True if what a router advertises is believed, as the kernel decides it (`ipv6_accept_ra`).
fn accepts_advertisements(name: &str) -> bool {
    let value = |key: &str| sysctl::get(&sysctl::interface("ipv6", name, key)).unwrap_or_default();
    match value("accept_ra").as_str() {
        "0" | "" => false,
        "1" => value("forwarding") == "0",
        _ => true,
    }
}
