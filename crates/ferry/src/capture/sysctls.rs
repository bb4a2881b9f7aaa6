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
/// What the kernel has observed.
const OBSERVED: &str = "mc_forwarding";
/// Follows the link's own.
const MTU: &str = "mtu";
/// What `all` sets for every device that is there (`addrconf.c`, `devinet.c`).
const FOLLOWING: [&str; 5] =
    ["addr_gen_mode", "disable_ipv6", "force_forwarding", "forwarding", "ignore_routes_with_linkdown"];
/// `EPERM` and `EACCES` of `errno(3)`.
const REFUSED: [i32; 2] = [1, 13];
/// First, because setting it sets [`MODE`] too.
const SECRET: &str = "stable_secret";
/// How the interface identifier of a link-local address is made.
pub(crate) const MODE: &str = "addr_gen_mode";
/// `IN6_ADDR_GEN_MODE_NONE`: the kernel makes no such address.
pub(crate) const NONE: &str = "1";

/// Which sysctls are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// Those that the kernel has not said already, in numbers that can be [compared](unlike) once the device is back; and those
    /// that the namespace sets for all its devices, which follow it while they are away.
    Unsaid,
}

/// Reads the sysctls of `link` in the calling thread's namespace, of which `conf` says what the kernel has said already.
///
/// # Errors
/// The directory of a device that is there, or one of its settings, may not be read.
pub(super) fn read(link: &Link, conf: &Conf, which: Which) -> Result<Vec<Sysctl>> {
    let mut read: Vec<Sysctl> = Vec::new();
    let learns = accepts_advertisements(conf);
    for section in SECTIONS {
        let Some(own) = there(Directory::open(format!("net/{section}/{}", link.name)))? else { continue };
        let model = model(section)?;
        let said: Vec<Setting> = match section {
            "ipv4/conf" => conf.ipv4().collect(),
            "ipv6/conf" => conf.ipv6().collect(),
            _ => Vec::new(),
        };
        // Whoever first lists a directory of sysctls waits for the kernel to make each entry: the model is used by all.
        let mut keys = model.keys()?;
        keys.sort_unstable_by(|one, other| (one != SECRET, one).cmp(&(other != SECRET, other)));
        for key in keys {
            let is_learnt = learns && section.starts_with("ipv6") && ADVERTISED.contains(&&*key);
            if is_learnt || key == OBSERVED || section.ends_with("neigh") && COARSE.contains(&&*key) {
                continue;
            }
            let said = said.iter().find(|(own, _)| *own == key).map(|(_, value)| value.clone());
            if which == Which::Unsaid && said.is_some() && key != MTU && !FOLLOWING.contains(&&*key) {
                continue;
            }
            let Some(value) = said.map_or_else(|| value(&own, &key), |said| Ok(Some(said)))? else { continue };
            let usual = match &*key {
                MTU => Some(link.mtu.to_string()),
                _ => self::value(&model, &key)?,
            };
            // The usual value is not what is there once the secret is set again.
            let is_side_effect = key == MODE && read.iter().any(|sysctl| sysctl.key == SECRET);
            if is_side_effect || usual.as_ref() != Some(&value) && !is_derived(&key, &value) {
                read.push(Sysctl { section: section.to_owned(), key, value });
            }
        }
    }
    Ok(read)
}

/// What the kernel said of a device `before` and says otherwise by now, of what does not follow the namespace: another default
/// is no reason for a device to come home with another setting.
pub(crate) fn unlike(before: &Conf, now: &Conf) -> Vec<Sysctl> {
    let learns = accepts_advertisements(before);
    let mut unlike = Vec::new();
    let mut compare =
        |section: &str, before: &mut dyn Iterator<Item = Setting>, now: &mut dyn Iterator<Item = Setting>| {
            for ((key, value), (_, now)) in before.zip(now) {
                let is_learnt = learns && section == "ipv6/conf" && ADVERTISED.contains(&key);
                let is_others = is_learnt || key == OBSERVED || key == MTU || FOLLOWING.contains(&key);
                if value != now && !is_others && !is_derived(key, &value) {
                    unlike.push(Sysctl { section: section.to_owned(), key: key.to_owned(), value });
                }
            }
        };
    compare("ipv4/conf", &mut before.ipv4(), &mut now.ipv4());
    compare("ipv6/conf", &mut before.ipv6(), &mut now.ipv6());
    unlike
}

/// True for a value by which the kernel says that the device cannot do what is asked.
fn is_derived(key: &str, value: &str) -> bool {
    value == "-1" && matches!(key, "accept_dad" | "use_tempaddr")
}

/// The directory whose values a new device has. Only the first namespace shows the defaults of neighbours; elsewhere `lo`
/// has them, which nobody tunes.
fn model(section: &str) -> Result<Directory> {
    match there(Directory::open(format!("net/{section}/default")))? {
        Some(default) => Ok(default),
        None => Directory::open(format!("net/{section}/lo")),
    }
}

/// The value of a setting; `None` for what cannot be read: a secret that is not set, a device without the protocol.
fn value(directory: &Directory, key: &str) -> Result<Option<String>> {
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
fn accepts_advertisements(conf: &Conf) -> bool {
    let value = |wanted: &str| conf.ipv6().find(|(key, _)| *key == wanted).map(|(_, value)| value);
    match value("accept_ra").as_deref() {
        Some("0") | None => false,
        Some("1") => value("forwarding").as_deref() == Some("0"),
        Some(_) => true,
    }
}
