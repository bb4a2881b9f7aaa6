//! What the journal says of one owner: which devices it has, what they were, and from where and where to they went.
//!
//! The names of the fields are part of the format: they stay. A field that a later version adds has a default; what must
//! not be ignored raises the version.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use kernel::netlink::devconf::Conf;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::device::Unreadable;
use crate::located::Located;
use crate::manager::Manager;
use crate::place::Place;
use crate::{Device, Error, Result, is_default, name};

/// The version of the format that is written, and the only one that is read.
const VERSION: u32 = 1;

/// What is lent to one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// 1.
    pub version: u32,
    /// The kernel's identifier of the machine's uptime.
    pub boot: String,
    /// To whom: `cni/NETWORK/CONTAINER/IFNAME`, `cli/DEVICE`.
    pub owner: String,
    /// Since when, in seconds of Unix time.
    pub since: u64,
    /// Where the devices came from.
    pub home: Place,
    /// Where they were carried to.
    pub away: Place,
    /// The path of that namespace, where there was one.
    #[serde(default)]
    pub netns: Option<PathBuf>,
    /// The bundle of the OCI container that they are lent to: runtimes with a state of their own each have names of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<PathBuf>,
    /// That namespace is kept alive until the devices are home.
    #[serde(default)]
    pub pinned: bool,
    /// The devices.
    pub lent: Vec<Lent>,
}

/// A device that is lent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// Everything that it was.
    pub device: Device,
    /// Its name where it was carried to.
    pub name: String,
    /// Its index there.
    pub index: u32,
    /// What of it went along, with its name at home; nothing but the device itself if unset.
    #[serde(default)]
    pub along: Option<Device>,
    /// What of layer 3 comes back.
    #[serde(default)]
    pub restore: Restore,
    /// Who managed it at home.
    #[serde(default)]
    pub manager: Option<Manager>,
    /// What the kernel had set for it at home, besides its sysctls that differ from the defaults.
    #[serde(default, skip_serializing_if = "is_default")]
    pub conf: Conf,
}

/// Whether addresses, routes, rules and neighbours come back with a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restore {
    /// Unless a manager has the device, which gives it its own.
    #[default]
    Auto,
    /// Addresses alone, unless a manager has the device.
    Addresses,
    /// Whoever manages it.
    Always,
    /// Never.
    Never,
}

impl Lent {
    /// True if addresses are put back at home.
    pub const fn restores(&self) -> bool {
        match self.restore {
            Restore::Auto | Restore::Addresses => self.manager.is_none(),
            Restore::Always => true,
            Restore::Never => false,
        }
    }

    /// True if routes, rules and neighbours are put back at home too.
    pub const fn restores_ways(&self) -> bool {
        self.restores() && !matches!(self.restore, Restore::Addresses)
    }
}

/// The kernel's identifier of the machine's uptime.
///
/// # Errors
/// `ENOENT` without `/proc`.
pub(crate) fn boot() -> Result<String> {
    Ok(kernel::sysctl::get("kernel/random/boot_id")?)
}

/// Seconds of Unix time.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Entry {
    /// An entry that begins now.
    pub(crate) fn new(owner: &str, home: Place, away: Place) -> Result<Self> {
        Ok(Self {
            version: VERSION,
            boot: boot()?,
            owner: owner.to_owned(),
            since: now(),
            home,
            away,
            netns: None,
            bundle: None,
            pinned: false,
            lent: Vec::new(),
        })
    }

    /// The device that is named `device` at home, or alternatively so.
    pub fn named(&self, device: &str) -> Option<&Lent> {
        self.lent.iter().find(|lent| {
            let identity = &lent.device.identity;
            identity.name == device || identity.altnames.iter().any(|altname| altname == device)
        })
    }

    /// The error that the owner has the devices.
    pub(crate) fn lent_already(&self) -> Error {
        let devices = self.lent.iter().map(|lent| lent.device.identity.name.clone()).collect();
        Error::Lent { owner: self.owner.clone(), devices }
    }

    /// Reads an entry's JSON.
    ///
    /// # Errors
    /// It is no JSON, of another version, or a field is missing or wrong; the error names the field.
    pub fn from_json(text: &str) -> std::result::Result<Self, Unreadable> {
        let unreadable = |error: &dyn std::fmt::Display| Unreadable(error.to_string());
        let value: Value = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        match value.get("version") {
            Some(version) if *version == VERSION => {}
            version => {
                let version = version.map_or("none".to_owned(), ToString::to_string);
                return Err(Unreadable(format!("version: {version} is not one that can be read, which is {VERSION}")));
            }
        }
        let entry = Self::deserialize(Located(&value)).map_err(|error| unreadable(&error))?;
        for (at, lent) in entry.lent.iter().enumerate() {
            // Read by itself for what its own reading asks besides.
            for key in ["device", "along"] {
                let device = &value["lent"][at][key];
                let read = if device.is_null() { Ok(()) } else { Device::from_value(device).map(drop) };
                read.map_err(|error| Unreadable(format!("lent[{at}].{key}: {}", error.0)))?;
            }
            for name in [&lent.name, &lent.device.identity.name] {
                name::check(name)
                    .map_err(|why| Unreadable(format!("lent[{at}]: no device is named {name:?}: {why}")))?;
            }
        }
        Ok(entry)
    }
}
