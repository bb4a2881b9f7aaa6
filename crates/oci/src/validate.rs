//! Everything that is wrong with the network devices of a container, found before anything is changed.
//!
//! What only the kernel knows (whether a device is there, whether it can move, whether a name is taken) is for the
//! ferry's preflight. Names are judged by the kernel's rules ([`ferry::name`]), which are stricter than what runtimes
//! test, and would otherwise be met half way through a move.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use ferry::name;
use serde::Serialize;

use crate::spec::{Namespace, NetDevice, Spec};

/// The longest alternative name in bytes: `ALTIFNAMSIZ` of `linux/if.h`, less the NUL.
const LONGEST_ALTNAME: usize = 127;

/// What the configuration does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// The container's network namespace is the one that the devices are in; `None` if nobody has looked.
    pub is_host_netns: Option<bool>,
    /// The runtime has `CAP_NET_ADMIN` over both network namespaces: it is root, or both are its own.
    pub owns_namespaces: bool,
}

/// A reason not to touch any device. It prints itself with the field, its value, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Problem {
    /// `name` is there and empty.
    EmptyName {
        /// The entry's key.
        device: String,
    },
    /// The kernel takes no such `name`.
    InvalidName {
        /// The entry's key.
        device: String,
        /// What is wanted.
        name: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// No device of the host can have the key as its name, or as an alternative one.
    InvalidDevice {
        /// The entry's key.
        device: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// The key is a template: it says which name to make, and not which device is meant.
    DeviceTemplate {
        /// The entry's key.
        device: String,
    },
    /// Several devices would have one name.
    SameName {
        /// The name.
        name: String,
        /// The entries' keys.
        devices: Vec<String>,
    },
    /// The container has no network namespace of its own.
    NoNetwork,
    /// The container's network namespace is the one that the devices are in.
    HostNetwork {
        /// Where `linux.namespaces` has it from.
        path: Option<PathBuf>,
    },
    /// The runtime may not move devices.
    NotOwned,
}

/// Checks the devices of a container. One that has none has no problem.
///
/// # Errors
/// Every problem that there is.
pub fn validate(spec: &Spec, circumstances: &Circumstances) -> Result<(), Vec<Problem>> {
    if spec.devices.is_empty() {
        return Ok(());
    }
    let mut problems = names(&spec.devices);
    match &spec.network {
        Namespace::None => problems.push(Problem::NoNetwork),
        Namespace::New | Namespace::Path(_) if circumstances.is_host_netns != Some(true) => {}
        Namespace::New => problems.push(Problem::HostNetwork { path: None }),
        Namespace::Path(path) => problems.push(Problem::HostNetwork { path: Some(path.clone()) }),
    }
    if !circumstances.owns_namespaces {
        problems.push(Problem::NotOwned);
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What is wrong with the names of devices that go to one namespace.
pub(crate) fn names(devices: &[NetDevice]) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        devices.iter().flat_map(|device| [host(device), new_name(device)]).flatten().collect();
    problems.extend(same_names(devices));
    problems
}

fn host(device: &NetDevice) -> Option<Problem> {
    let host = &device.host;
    if name::is_template(host) {
        return Some(Problem::DeviceTemplate { device: host.clone() });
    }
    let checked =
        if host.len() > name::LONGEST { altname(host) } else { name::check(host).map_err(|error| error.to_string()) };
    checked.err().map(|reason| Problem::InvalidDevice { device: host.clone(), reason })
}

/// Checks what is too long for a name, and may be an alternative one.
fn altname(name: &str) -> Result<(), String> {
    if name.len() > LONGEST_ALTNAME {
        return Err(format!("it has {} bytes, and {LONGEST_ALTNAME} is the most for an alternative name", name.len()));
    }
    match name.bytes().find(|byte| matches!(byte, b'/' | 0 | b'\t'..=b'\r' | b' ')) {
        Some(byte) if byte.is_ascii_graphic() => Err(format!("no alternative name has a {:?}", char::from(byte))),
        Some(byte) => Err(format!("no alternative name has the byte {byte:#04x}")),
        None => Ok(()),
    }
}

fn new_name(device: &NetDevice) -> Option<Problem> {
    let (device, name) = (device.host.clone(), device.name.clone()?);
    if name.is_empty() {
        return Some(Problem::EmptyName { device });
    }
    name::check(&name).err().map(|error| Problem::InvalidName { device, name, reason: error.to_string() })
}

/// Names that several devices would have. A template gives each another; a key that is too long for a name is one of
/// several names of a device, and what the device is called is not known here.
fn same_names(devices: &[NetDevice]) -> impl Iterator<Item = Problem> {
    let mut by_name: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for device in devices {
        let name = device.new_name().unwrap_or(&device.host);
        if !name::is_template(name) && name.len() <= name::LONGEST {
            by_name.entry(name).or_default().insert(&device.host);
        }
    }
    let owned = |devices: BTreeSet<&str>| devices.into_iter().map(str::to_owned).collect();
    let several = by_name.into_iter().filter(|(_, devices)| devices.len() > 1);
    several.map(move |(name, devices)| Problem::SameName { name: name.to_owned(), devices: owned(devices) })
}

/// The entry of a device, as messages name it.
fn field(device: &str) -> String {
    crate::field::joined(&["linux", "netDevices", device])
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName { device } => {
                write!(f, "{}.name: must not be empty; leave it out to keep the name", field(device))
            }
            Self::InvalidName { device, name, reason } => {
                write!(f, "{}.name: no device can be named {name:?}: {reason}; choose another name", field(device))
            }
            Self::InvalidDevice { device, reason } => {
                write!(f, "linux.netDevices: no device can be named {device:?}: {reason}; name a device of this host")
            }
            Self::DeviceTemplate { device } => write!(
                f,
                "linux.netDevices: {device:?} is a template, and only a name in the container may be one; name a \
                 device of this host"
            ),
            Self::SameName { name, devices } => write!(
                f,
                "linux.netDevices: {} would all be named {name}; give each another name, or a template",
                devices.join(", ")
            ),
            Self::NoNetwork => f.write_str(
                "linux.namespaces: has no network entry: the container would share the runtime's network, where the \
                 devices are already; add {\"type\": \"network\"}, or remove linux.netDevices",
            ),
            Self::HostNetwork { path } => {
                let path = path.iter().map(|path| format!("{} ", path.display())).collect::<String>();
                write!(
                    f,
                    "linux.namespaces: the network namespace {path}is the one that the devices are in already; give \
                     the container another, or remove linux.netDevices"
                )
            }
            Self::NotOwned => f.write_str(
                "linux.netDevices: the kernel lets a runtime move devices only between network namespaces that it has \
                 CAP_NET_ADMIN over, and this one is rootless and does not own both; run it as root, or in a user \
                 namespace that made both",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    const ROOT: Circumstances = Circumstances { is_host_netns: Some(false), owns_namespaces: true };
    const PRIVATE: &str = r#"[{"type": "network"}]"#;

    fn problems(devices: &str, namespaces: &str, circumstances: Circumstances) -> Vec<Problem> {
        let text = format!(r#"{{"linux": {{"netDevices": {devices}, "namespaces": {namespaces}}}}}"#);
        let spec = Spec::read(&Document::read(text.as_bytes()).unwrap()).unwrap();
        validate(&spec, &circumstances).err().unwrap_or_default()
    }

    fn words(devices: &str) -> Vec<String> {
        problems(devices, PRIVATE, ROOT).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_right() {
        let altname = format!(r#"{{"{}": {{"name": "eth0"}}, "enx{}": {{}}}}"#, "a".repeat(127), "é:".repeat(12));
        for devices in [
            "{}",
            r#"{"eth1": {}}"#,
            r#"{"eth1": null, "eth2": {"name": null}}"#,
            r#"{"a": {"name": "b"}, "b": {"name": "a"}}"#,
            r#"{"a": {"name": "b"}, "b": {"name": "c"}}"#,
            r#"{"a": {"name": "eth%d"}, "b": {"name": "eth%d"}, "c": {"name": "a%db"}}"#,
            &altname,
        ] {
            assert_eq!(words(devices), [""; 0], "{devices}");
        }
        // Nobody has looked at the namespace: that is for later.
        let unknown = Circumstances { is_host_netns: None, ..ROOT };
        assert_eq!(problems(r#"{"a": {}}"#, r#"[{"type": "network", "path": "/n"}]"#, unknown), []);
        // Who wants no device has no problem.
        let nothing = Circumstances { is_host_netns: Some(true), owns_namespaces: false };
        assert_eq!(problems("{}", "null", nothing), []);
    }

    #[test]
    fn names_by_the_kernels_rules() {
        for (devices, expected) in [
            (
                r#"{"eth1": {"name": ""}}"#,
                "linux.netDevices.eth1.name: must not be empty; leave it out to keep the name",
            ),
            (
                r#"{"eth1": {"name": "a b"}}"#,
                "linux.netDevices.eth1.name: no device can be named \"a b\": no name has the byte 0x20; \
                 choose another name",
            ),
            (
                r#"{"eth1": {"name": "1234567890123456"}}"#,
                "linux.netDevices.eth1.name: no device can be named \"1234567890123456\": it has 16 bytes, and 15 is \
                 the most; choose another name",
            ),
            (
                r#"{"eth1": {"name": "a%s"}}"#,
                "linux.netDevices.eth1.name: no device can be named \"a%s\": a % must be the one of a single %d; \
                 choose another name",
            ),
        ] {
            assert_eq!(words(devices), [expected], "{devices}");
        }
    }

    #[test]
    fn devices_of_the_host() {
        for (devices, expected) in [
            (
                r#"{"../x": {}}"#,
                "linux.netDevices: no device can be named \"../x\": no name has a '/'; name a device of this host",
            ),
            (
                r#"{"": {"name": "a"}}"#,
                "linux.netDevices: no device can be named \"\": it is empty; name a device of this host",
            ),
            (
                r#"{"1234567890123456/": {}}"#,
                "linux.netDevices: no device can be named \"1234567890123456/\": no alternative name has a '/'; name a \
                 device of this host",
            ),
            (
                r#"{"eth%d": {"name": "a"}}"#,
                "linux.netDevices: \"eth%d\" is a template, and only a name in the container may be one; name a device \
                 of this host",
            ),
            (
                r#"{"a": {"name": "x"}, "x": {}, "b": {"name": "x"}}"#,
                "linux.netDevices: a, b, x would all be named x; give each another name, or a template",
            ),
        ] {
            assert_eq!(words(devices), [expected], "{devices}");
        }
        let long = words(&format!(r#"{{"{}": {{}}}}"#, "a".repeat(128)));
        assert!(long[0].contains("128 bytes, and 127 is the most"), "{long:?}");
    }

    #[test]
    fn namespaces_and_rights() {
        let host = Circumstances { is_host_netns: Some(true), ..ROOT };
        let path = r#"[{"type": "network", "path": "/proc/1/ns/net"}]"#;
        let found = |namespaces, circumstances| problems(r#"{"a": {}}"#, namespaces, circumstances);
        assert_eq!(found("null", ROOT), [Problem::NoNetwork]);
        assert_eq!(found(r#"[{"type": "pid"}]"#, host), [Problem::NoNetwork]);
        assert_eq!(found(path, host), [Problem::HostNetwork { path: Some(PathBuf::from("/proc/1/ns/net")) }]);
        assert_eq!(
            found(path, host)[0].to_string(),
            "linux.namespaces: the network namespace /proc/1/ns/net is the one that the devices are in already; give \
             the container another, or remove linux.netDevices"
        );
        assert_eq!(found(PRIVATE, Circumstances { owns_namespaces: false, ..ROOT }), [Problem::NotOwned]);
    }

    #[test]
    fn all_at_once_and_as_json() {
        let all = problems(
            r#"{"a%d": {"name": ""}, "b": {"name": "x"}, "c": {"name": "x"}}"#,
            "[]",
            Circumstances { is_host_netns: None, owns_namespaces: false },
        );
        let json = serde_json::to_value(&all).unwrap();
        let kinds: Vec<_> = json.as_array().unwrap().iter().map(|problem| problem["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["device_template", "empty_name", "same_name", "no_network", "not_owned"]);
        assert_eq!(json[2], serde_json::json!({"kind": "same_name", "name": "x", "devices": ["b", "c"]}));
    }
}
