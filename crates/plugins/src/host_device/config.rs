//! The configuration of `host-device`, and what is wrong with one.
//!
//! Nothing is checked before it is asked for: DEL reads what nobody validated, and must not fail by a key that it does
//! without. Of several selectors one counts, as upstream: `device`, then `hwaddr`, `kernelpath`, the device of the
//! runtime (`runtimeConfig.deviceID`), `pciBusID`; the others are not even read.

use std::fmt;
use std::path::{Component, Path};

use cni::Error;
use ferry::device::Identity;
use ferry::{Addresses, Policy, Restore, journal};
use kernel::mac::Mac;
use serde::Deserialize;

/// The longest name of a device, an alternative one: `ALTIFNAMSIZ` of `linux/if.h`, less the NUL.
const LONGEST_NAME: usize = 127;
/// The directory that every `kernelpath` is below.
const DEVICES: &str = "/sys/devices/";

/// The keys of `host-device` besides those of every plugin.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Conf {
    device: String,
    hwaddr: String,
    kernelpath: String,
    #[serde(rename = "pciBusID")]
    pci_bus_id: String,
    /// The addresses, routes and rules of the device come along.
    pub use_interface_network: bool,
    conflict_policy: String,
    restore: String,
    addresses: String,
    link_scope: bool,
    /// netferry's own: the device may be the one by which this host reaches others.
    pub allow_uplink: bool,
    pin: Option<bool>,
    data_dir: String,
    runtime_config: RuntimeConf,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RuntimeConf {
    #[serde(rename = "deviceID")]
    device_id: String,
}

/// What the device is found by. Names of devices on a bus are single components of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector<'a> {
    /// Its name, or an alternative one.
    Device(&'a str),
    /// Its hardware address.
    Hwaddr(Mac),
    /// Its directory below `/sys/devices`, or that of the device on a bus that it belongs to.
    KernelPath(&'a Path),
    /// The PCI device that it belongs to (`0000:01:00.0`).
    PciBusId(&'a str),
    /// What a device plugin of Kubernetes gave: a PCI device, or one of the auxiliary bus (`mlx5_core.sf.2`).
    DeviceId(&'a str),
}

impl fmt::Display for Selector<'_> {
    /// The key and its value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(name) => write!(f, "device {name:?}"),
            Self::Hwaddr(mac) => write!(f, "hwaddr {mac}"),
            Self::KernelPath(path) => write!(f, "kernelpath {path:?}"),
            Self::PciBusId(id) => write!(f, "pciBusID {id:?}"),
            Self::DeviceId(id) => write!(f, "runtimeConfig.deviceID {id:?}"),
        }
    }
}

/// What counts where the device's own network and the address management contradict each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// Neither: it is an error.
    #[default]
    Refuse,
    /// What the device had on the host.
    Host,
    /// What the address management gives.
    Ipam,
    /// Both, as far as the kernel takes them.
    Both,
}

impl Conf {
    /// What the device is found by.
    ///
    /// # Errors
    /// There is no selector, or the one that counts is none.
    pub fn selector(&self) -> Result<Selector<'_>, Error> {
        let device_id = self.runtime_config.device_id.as_str();
        let of = |text: &str| !text.is_empty();
        match () {
            () if of(&self.device) => device(&self.device),
            () if of(&self.hwaddr) => hwaddr(&self.hwaddr),
            () if of(&self.kernelpath) => kernelpath(&self.kernelpath),
            () if of(device_id) => match is_device_name(device_id) {
                true => Ok(Selector::DeviceId(device_id)),
                false => Err(unsupported(device_id)),
            },
            () if of(&self.pci_bus_id) => match is_device_name(&self.pci_bus_id) {
                true => Ok(Selector::PciBusId(&self.pci_bus_id)),
                false => Err(invalid("pciBusID", &self.pci_bus_id, "it must be a PCI address such as 0000:01:00.0")),
            },
            () => Err(Error::internal(r#"specify either "device", "hwaddr", "kernelpath" or "pciBusID""#)),
        }
    }

    /// True if a device of which no more than `identity` is left on the host may be the one that is meant.
    pub fn is_of(&self, identity: &Identity) -> bool {
        match self.selector() {
            Ok(Selector::Device(name)) => identity.name == name || identity.altnames.iter().any(|own| own == name),
            Ok(Selector::Hwaddr(mac)) => identity.mac == Some(mac) || identity.permanent_mac == Some(mac),
            Ok(Selector::PciBusId(id) | Selector::DeviceId(id)) => {
                identity.parent.as_ref().is_some_and(|parent| parent.name == id)
            }
            Ok(Selector::KernelPath(_)) | Err(_) => false,
        }
    }

    /// What counts where the device's own network and the address management contradict each other.
    ///
    /// # Errors
    /// There is no such policy.
    pub fn conflict_policy(&self) -> Result<ConflictPolicy, Error> {
        match self.conflict_policy.as_str() {
            "" => Ok(ConflictPolicy::Refuse),
            "host" => Ok(ConflictPolicy::Host),
            "ipam" => Ok(ConflictPolicy::Ipam),
            "both" => Ok(ConflictPolicy::Both),
            other => {
                Err(invalid("conflictPolicy", other, r#"it must be "host", "ipam", "both", or empty for an error"#))
            }
        }
    }

    /// Whether a device that comes home gets back what it had there.
    ///
    /// # Errors
    /// It says neither.
    pub fn restore(&self) -> Result<Restore, Error> {
        match self.restore.as_str() {
            "" | "auto" => Ok(Restore::Auto),
            "always" => Ok(Restore::Always),
            "never" => Ok(Restore::Never),
            other => Err(invalid("restore", other, r#"it must be "auto", "always" or "never""#)),
        }
    }

    /// Which addresses belong to the device.
    ///
    /// # Errors
    /// There is no such choice.
    pub fn policy(&self) -> Result<Policy, Error> {
        let addresses = match self.addresses.as_str() {
            "" | "permanent" => Addresses::Permanent,
            "all" => Addresses::All,
            "none" => Addresses::None,
            other => return Err(invalid("addresses", other, r#"it must be "permanent", "all" or "none""#)),
        };
        Ok(Policy { addresses, link_scope: self.link_scope })
    }

    /// True if the container's namespace is kept alive for as long as the device is lent.
    pub fn pin(&self) -> bool {
        self.pin.unwrap_or(true)
    }

    /// The directory of the journal of lent devices.
    ///
    /// # Errors
    /// It is no absolute path.
    pub fn data_dir(&self) -> Result<&Path, Error> {
        let path = Path::new(if self.data_dir.is_empty() { journal::DEFAULT } else { &self.data_dir });
        if path.is_absolute() && is_plain(path) && !self.data_dir.contains('\0') {
            Ok(path)
        } else {
            Err(invalid("dataDir", &self.data_dir, "it must be an absolute path without \"..\""))
        }
    }

    /// Checks everything that an ADD would use.
    ///
    /// # Errors
    /// The first that is wrong, with its key and value.
    pub fn validate(&self) -> Result<(), Error> {
        self.selector()?;
        self.conflict_policy()?;
        self.restore()?;
        self.policy()?;
        self.data_dir().map(drop)
    }
}

/// The error of a `runtimeConfig.deviceID` that names no device; upstream's words.
pub fn unsupported(device_id: &str) -> Error {
    Error::internal(format!("runtime config DeviceID {device_id} not found or unsupported"))
}

fn device(name: &str) -> Result<Selector<'_>, Error> {
    if name.len() > LONGEST_NAME || name.contains(['\0', '/']) {
        return Err(invalid("device", name, "no device can have this name"));
    }
    Ok(Selector::Device(name))
}

fn hwaddr(text: &str) -> Result<Selector<'_>, Error> {
    let mac = text.parse();
    mac.map(Selector::Hwaddr).map_err(|error| Error::internal(format!("failed to parse MAC address {text:?}: {error}")))
}

fn kernelpath(text: &str) -> Result<Selector<'_>, Error> {
    let path = Path::new(text);
    if text.starts_with(DEVICES) && is_plain(path) && !text.contains('\0') {
        return Ok(Selector::KernelPath(path));
    }
    Err(Error::internal(format!("kernel device path {text:?} must be absolute and begin with {DEVICES}")))
}

/// True if the path leads nowhere but down.
fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

/// True for what may be the name of a device on a bus. It becomes part of a path, and others may have chosen it.
fn is_device_name(text: &str) -> bool {
    let is_sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'-' | b'_');
    text.len() <= LONGEST_NAME && text.bytes().all(is_sane) && !text.bytes().all(|byte| byte == b'.')
}

fn invalid(key: &str, value: &str, why: &str) -> Error {
    Error::internal(format!("invalid {key} {value:?}: {why}"))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
