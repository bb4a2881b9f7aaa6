//! Annotations by which more, or less, is asked for than `linux.netDevices` gives.
//!
//! | key | what | values, the first if absent |
//! |---|---|---|
//! | `dev.netferry.addresses` | which addresses go along | `permanent`, `all`, `none` |
//! | `dev.netferry.carry` | what goes along besides them | `none`, some of `routes,rules,neighbours,sysctls`, `all` |
//! | `dev.netferry.carry.DEVICE` | the same for one device of the host | |
//! | `dev.netferry.restore` | what is put back at home; for `none` not even the device | `addresses`, `all`, `none` |
//! | `dev.netferry.restore.DEVICE` | the same for one device of the host | |
//! | `dev.netferry.allow-uplink` | a device may be how this host reaches others | `false`, `true` |
//!
//! Other keys that begin with `dev.netferry.` are errors, and so are other values. A `DEVICE` that the container does
//! not have is none: engines give all containers of a pod the annotations of the pod.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// What all keys begin with.
pub const PREFIX: &str = "dev.netferry.";

const CARRY: &str = "carry";
const RESTORE: &str = "restore";
const ADDRESSES: &str = "addresses";
const ALLOW_UPLINK: &str = "allow-uplink";
const KNOWN: [&str; 6] = [CARRY, "carry.DEVICE", RESTORE, "restore.DEVICE", ADDRESSES, ALLOW_UPLINK];
const WHAT: [&str; 4] = ["routes", "rules", "neighbours", "sysctls"];
const CARRY_VALUES: &str = "a list of routes, rules, neighbours, sysctls with commas between, or all, or none";

/// What a container's annotations ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Which addresses go along.
    pub addresses: Addresses,
    /// A device may be the one by which this host reaches others.
    pub allow_uplink: bool,
    carry: Carry,
    restore: Restore,
    carry_of: BTreeMap<String, Carry>,
    restore_of: BTreeMap<String, Restore>,
}

/// What goes along with a device besides its addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carry {
    /// Its routes.
    pub routes: bool,
    /// Rules that name it, or lead to its routes.
    pub rules: bool,
    /// Its permanent neighbours.
    pub neighbours: bool,
    /// Its settings below `net.ipv4.conf` and the like.
    pub sysctls: bool,
}

/// What is put back at home when the container is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Restore {
    /// Nothing: the device is left to the kernel.
    None,
    /// The device, its name, and its addresses.
    #[default]
    Addresses,
    /// Everything that it had.
    All,
}

/// Which addresses go along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Addresses {
    /// Those of the specification: permanent (`IFA_F_PERMANENT`), of global scope (`RT_SCOPE_UNIVERSE`).
    #[default]
    Permanent,
    /// Those with a lifetime too.
    All,
    /// None.
    None,
}

/// An annotation that says nothing. It prints itself with what would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Invalid {
    /// There is no such key.
    UnknownKey {
        /// The key.
        key: String,
    },
    /// The key has no such value.
    UnknownValue {
        /// The key.
        key: String,
        /// What it has.
        value: String,
        /// What it may have, in words.
        allowed: &'static str,
    },
}

impl Wishes {
    /// Reads the annotations of a container; those of others are none of ours.
    ///
    /// # Errors
    /// Every annotation of ours that says nothing.
    pub fn read(annotations: &BTreeMap<String, String>) -> Result<Self, Vec<Invalid>> {
        let mut wishes = Self::default();
        let mut invalid = Vec::new();
        for (key, value) in annotations {
            let Some(name) = key.strip_prefix(PREFIX) else { continue };
            invalid.extend(wishes.take(key, name, value).err());
        }
        if invalid.is_empty() { Ok(wishes) } else { Err(invalid) }
    }

    /// What goes along with the device `host`.
    pub fn carry(&self, host: &str) -> Carry {
        self.carry_of.get(host).copied().unwrap_or(self.carry)
    }

    /// What of the device `host` is put back.
    pub fn restore(&self, host: &str) -> Restore {
        self.restore_of.get(host).copied().unwrap_or(self.restore)
    }

    fn take(&mut self, key: &str, name: &str, value: &str) -> Result<(), Invalid> {
        let unknown = |allowed| Invalid::UnknownValue { key: key.to_owned(), value: value.to_owned(), allowed };
        let carry = || carry(value).ok_or_else(|| unknown(CARRY_VALUES));
        let restore = || restore(value).ok_or_else(|| unknown("none, addresses or all"));
        let (word, device) = name.split_once('.').unwrap_or((name, ""));
        match (word, device) {
            _ if name.ends_with('.') => return Err(Invalid::UnknownKey { key: key.to_owned() }),
            (CARRY, "") => self.carry = carry()?,
            (CARRY, device) => _ = self.carry_of.insert(device.to_owned(), carry()?),
            (RESTORE, "") => self.restore = restore()?,
            (RESTORE, device) => _ = self.restore_of.insert(device.to_owned(), restore()?),
            (ADDRESSES, "") => {
                self.addresses = addresses(value).ok_or_else(|| unknown("permanent, all or none"))?;
            }
            (ALLOW_UPLINK, "") => self.allow_uplink = value.parse().map_err(|_| unknown("true or false"))?,
            _ => return Err(Invalid::UnknownKey { key: key.to_owned() }),
        }
        Ok(())
    }
}

impl Carry {
    /// Nothing.
    pub const NONE: Self = Self { routes: false, rules: false, neighbours: false, sysctls: false };
    /// Everything.
    pub const ALL: Self = Self { routes: true, rules: true, neighbours: true, sysctls: true };
}

fn carry(value: &str) -> Option<Carry> {
    match value.trim() {
        "all" => return Some(Carry::ALL),
        "none" => return Some(Carry::NONE),
        _ => {}
    }
    let words: Vec<&str> = value.split(',').map(str::trim).collect();
    let has = |word: &str| words.contains(&word);
    let is_known = words.iter().all(|word| WHAT.contains(word));
    let [routes, rules, neighbours, sysctls] = WHAT.map(has);
    is_known.then_some(Carry { routes, rules, neighbours, sysctls })
}

fn restore(value: &str) -> Option<Restore> {
    match value {
        "none" => Some(Restore::None),
        "addresses" => Some(Restore::Addresses),
        "all" => Some(Restore::All),
        _ => None,
    }
}

fn addresses(value: &str) -> Option<Addresses> {
    match value {
        "permanent" => Some(Addresses::Permanent),
        "all" => Some(Addresses::All),
        "none" => Some(Addresses::None),
        _ => None,
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { key } => {
                let known = KNOWN.map(|name| format!("{PREFIX}{name}")).join(", ");
                write!(f, "annotation {key}: there is no such key; there are {known}")
            }
            Self::UnknownValue { key, value, allowed } => {
                write!(f, "annotation {key}: {value:?} says nothing; give it {allowed}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(annotations: &[(&str, &str)]) -> Result<Wishes, Vec<Invalid>> {
        Wishes::read(&annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn nothing_is_asked_for_unless_somebody_asks() {
        let wishes = read(&[("io.example", "x"), ("dev.netferryman.carry", "x"), ("dev.netferry", "x")]).unwrap();
        assert_eq!(wishes, Wishes::default());
        assert_eq!((wishes.carry("eth0"), wishes.restore("eth0")), (Carry::NONE, Restore::Addresses));
        assert_eq!((wishes.addresses, wishes.allow_uplink), (Addresses::Permanent, false));
    }

    #[test]
    fn for_all_devices_and_for_one() {
        let wishes = read(&[
            ("dev.netferry.carry", "routes, sysctls"),
            ("dev.netferry.carry.eth0.100", "all"),
            ("dev.netferry.carry.eth2", "none"),
            ("dev.netferry.restore", "all"),
            ("dev.netferry.restore.eth2", "none"),
            ("dev.netferry.addresses", "none"),
            ("dev.netferry.allow-uplink", "true"),
        ])
        .unwrap();
        assert_eq!(wishes.carry("eth0"), Carry { routes: true, sysctls: true, ..Carry::NONE });
        assert_eq!(wishes.carry("eth0.100"), Carry::ALL);
        assert_eq!(wishes.carry("eth2"), Carry::NONE);
        assert_eq!((wishes.restore("eth0"), wishes.restore("eth2")), (Restore::All, Restore::None));
        assert_eq!((wishes.addresses, wishes.allow_uplink), (Addresses::None, true));
        let each = read(&[("dev.netferry.carry", "neighbours,rules"), ("dev.netferry.addresses", "all")]).unwrap();
        assert_eq!(each.carry("a"), Carry { rules: true, neighbours: true, ..Carry::NONE });
        assert_eq!(each.addresses, Addresses::All);
    }

    #[test]
    fn unknown_keys_are_named_with_the_known_ones() {
        for name in ["", "carry.", "carri", "restore.", "addresses.eth0", "allow-uplink.eth0", "Carry", "restore.a."] {
            let key = format!("dev.netferry.{name}");
            let invalid = read(&[(&key, "all")]).unwrap_err();
            assert_eq!(invalid, [Invalid::UnknownKey { key: key.clone() }]);
            assert_eq!(
                invalid[0].to_string(),
                format!(
                    "annotation {key}: there is no such key; there are dev.netferry.carry, dev.netferry.carry.DEVICE, \
                     dev.netferry.restore, dev.netferry.restore.DEVICE, dev.netferry.addresses, \
                     dev.netferry.allow-uplink"
                )
            );
        }
    }

    #[test]
    fn wrong_values_are_all_named() {
        let invalid = read(&[
            ("dev.netferry.addresses", "Permanent"),
            ("dev.netferry.allow-uplink", "yes"),
            ("dev.netferry.carry", "routes,qdisc"),
            ("dev.netferry.carry.eth0", ""),
            ("dev.netferry.carry.eth1", "routes,"),
            ("dev.netferry.carry.eth2", "routes,all"),
            ("dev.netferry.restore", ""),
        ])
        .unwrap_err();
        let words: Vec<String> = invalid.iter().map(ToString::to_string).collect();
        assert_eq!(words.len(), 7, "{words:?}");
        assert_eq!(
            words[0],
            "annotation dev.netferry.addresses: \"Permanent\" says nothing; give it permanent, all or none"
        );
        assert_eq!(words[1], "annotation dev.netferry.allow-uplink: \"yes\" says nothing; give it true or false");
        assert_eq!(
            words[2],
            "annotation dev.netferry.carry: \"routes,qdisc\" says nothing; give it a list of routes, rules, \
             neighbours, sysctls with commas between, or all, or none"
        );
        assert_eq!(words[6], "annotation dev.netferry.restore: \"\" says nothing; give it none, addresses or all");
    }
}
