//! The sysctls of a device that differ from what a device of this namespace has when it is made.
//!
//! Left out is what the kernel has observed or derived (`mc_forwarding`, -1 where a device cannot do what is asked), what
//! router advertisements set while they are accepted, and keys that are another key in a coarser unit.
//! Keys: <https://docs.kernel.org/networking/ip-sysctl.html>.

use kernel::Result;
use kernel::netlink::devconf::{Conf, Setting};
use kernel::netlink::link::Link;
use kernel::sysctl::Directory;

use crate::sysctl::Sysctl;

/// The directories of devices.
const SECTIONS: [&str; 4] = ["ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"];
/// Seconds, jiffies and packets; each has a twin in milliseconds or bytes.
const COARSE: [&str; 3] = ["base_reachable_time", "retrans_time", "unres_qlen"];
/// What a router advertises.
const ADVERTISED: [&str; 4] = ["hop_limit", "mtu", "retrans_time_ms", "base_reachable_time_ms"];
/// `EPERM` and `EACCES` of `errno(3)`.
const REFUSED: [i32; 2] = [1, 13];
/// First, because setting it sets [`MODE`] too.
const SECRET: &str = "stable_secret";
/// How the interface identifier of a link-local address is made.
pub(crate) const MODE: &str = "addr_gen_mode";
/// `IN6_ADDR_GEN_MODE_NONE`: the kernel makes no such address.
pub(crate) const NONE: &str = "1";

/// Reads the sysctls of `link` in the calling thread's namespace, of which `conf` says what the kernel has said already.
///
/// # Errors
/// The directory of a device that is there, or one of its settings, may not be read.
pub(super) fn read(link: &Link, conf: &Conf) -> Result<Vec<Sysctl>> {
    let mut read: Vec<Sysctl> = Vec::new();
    let learns = accepts_advertisements(&link.name, &conf.ipv6)?;
    for section in SECTIONS {
        let Some(own) = there(Directory::open(format!("net/{section}/{}", link.name)))? else { continue };
        let model = model(section)?;
        let said: &[Setting] = match section {
            "ipv4/conf" => &conf.ipv4,
            "ipv6/conf" => &conf.ipv6,
            _ => &[],
        };
        // Whoever first lists a directory of sysctls waits for the kernel to make each entry: the model is used by all.
        let mut keys = model.keys()?;
        keys.sort_unstable_by(|one, other| (one != SECRET, one).cmp(&(other != SECRET, other)));
        for key in keys {
            let is_learnt = learns && section.starts_with("ipv6") && ADVERTISED.contains(&&*key);
            if is_learnt || key == "mc_forwarding" || section.ends_with("neigh") && COARSE.contains(&&*key) {
                continue;
            }
            let Some(value) = value(&own, said, &key)? else { continue };
            let usual = match &*key {
                "mtu" => Some(link.mtu.to_string()),
                _ => self::value(&model, &[], &key)?,
            };
            let is_derived = value == "-1" && matches!(&*key, "accept_dad" | "use_tempaddr");
            // The usual value is not what is there once the secret is set again.
            let is_side_effect = key == MODE && read.iter().any(|sysctl| sysctl.key == SECRET);
            if is_side_effect || usual.as_ref() != Some(&value) && !is_derived {
                read.push(Sysctl { section: section.to_owned(), key, value });
            }
        }
    }
    Ok(read)
}

/// The directory whose values a new device has. Only the first namespace shows the defaults of neighbours; elsewhere `lo`
/// has them, which nobody tunes.
fn model(section: &str) -> Result<Directory> {
    match there(Directory::open(format!("net/{section}/default")))? {
        Some(default) => Ok(default),
        None => Directory::open(format!("net/{section}/lo")),
    }
}

/// The value of a setting, from its file unless it has been said; `None` for what cannot be read: a secret that is not set,
/// a device without the protocol.
fn value(directory: &Directory, said: &[Setting], key: &str) -> Result<Option<String>> {
    if let Some((_, value)) = said.iter().find(|(own, _)| *own == key) {
        return Ok(Some(value.clone()));
    }
    match directory.get(key) {
        Err(error) if REFUSED.contains(&error.errno) => Err(error),
        read => Ok(read.ok()),
    }
}

/// `None` for what is not there: no such protocol on this device, or on this machine.
fn there(opened: Result<Directory>) -> Result<Option<Directory>> {
    match opened {
        Err(error) if error.is_absent() => Ok(None),
        opened => opened.map(Some),
    }
}

/// True if what a router advertises is believed, as the kernel decides it (`ipv6_accept_ra`).
fn accepts_advertisements(name: &str, said: &[Setting]) -> Result<bool> {
    let Some(own) = there(Directory::open(format!("net/ipv6/conf/{name}")))? else { return Ok(false) };
    let value = |key: &str| value(&own, said, key);
    Ok(match value("accept_ra")?.as_deref() {
        Some("0") | None => false,
        Some("1") => value("forwarding")?.as_deref() == Some("0"),
        Some(_) => true,
    })
}
