//! Files by which engines that know the Container Device Interface give a container network devices by name.
//!
//! There are two ways to say it, and so three forms of file. Which one fits depends on the engines that read the
//! directory: an older one refuses a whole file for one field that it does not know. Format and rules for names:
//! `SPEC.md` of the Container Device Interface.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::spec::NetDevice;
use crate::validate::{self, names};
use crate::{Entry, Error};

/// What our devices are called before their names: `netferry.dev/net=NAME`.
pub const KIND: &str = "netferry.dev/net";
/// The first version with network devices.
const WITH_DEVICES: &str = "1.1.0";
/// The first version with names that begin with a digit, and the oldest that engines still in use write.
const WITH_HOOKS: &str = "0.5.0";
/// The first version with a dot in the class of a kind.
const WITH_DOTS: &str = "0.6.0";

/// What a file says, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// The devices, for engines that know version 1.1.0. They become `linux.netDevices`, and the runtime, or whoever
    /// acts for it, takes care of them.
    Devices,
    /// A hook that is told of the devices, for every engine since version 0.5.0, with any runtime. Nothing is in
    /// `linux.netDevices`.
    Hook(Entry),
    /// Both, for engines that know version 1.1.0 with runtimes of any age: one that knows `linux.netDevices` has moved
    /// the devices before the hook comes, which then finds them there and is content.
    Both(Entry),
}

/// A device of the interface: network devices that a container gets together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// What users ask for it by, behind the kind.
    pub name: String,
    /// The network devices.
    pub net_devices: Vec<NetDevice>,
}

/// Why an engine would refuse the file, or nobody could act by it. It prints itself with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Problem {
    /// The kind is not a vendor and a class.
    InvalidKind {
        /// What is given.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// No device is called that.
    InvalidName {
        /// What is given.
        name: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// Two devices have one name.
    Twice {
        /// The name.
        name: String,
    },
    /// There is no device, or one without network devices.
    Empty {
        /// The device, if there is one.
        name: Option<String>,
    },
    /// Something is wrong with the network devices of a device.
    NetDevice {
        /// The device.
        name: String,
        /// What.
        problem: validate::Problem,
    },
    /// A network device, or a name in the container, is there twice in a device, be it a template.
    Repeated {
        /// The device.
        name: String,
        /// What is there twice.
        value: String,
    },
    /// The interface wants a name for the network device, and its alternative name is too long for one.
    NameNeeded {
        /// The device.
        name: String,
        /// The network device.
        net_device: String,
    },
    /// The name of the network device has a `=`, which ends it in the hook's arguments.
    Equals {
        /// The device.
        name: String,
        /// The network device.
        net_device: String,
    },
    /// The text could not be made.
    Unwritten {
        /// Why.
        reason: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    cdi_version: &'static str,
    kind: &'a str,
    devices: Vec<FileDevice<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileDevice<'a> {
    name: &'a str,
    container_edits: Edits<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Edits<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    net_devices: Vec<EditDevice<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hooks: Vec<EditHook>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EditDevice<'a> {
    host_interface_name: &'a str,
    name: &'a str,
}

impl<'a> EditDevice<'a> {
    fn of(device: &'a NetDevice) -> Self {
        Self { host_interface_name: &device.host, name: device.new_name().unwrap_or(&device.host) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EditHook {
    hook_name: &'static str,
    #[serde(flatten)]
    hook: Entry,
}

/// The file's text, with a newline at the end.
///
/// # Errors
/// Everything for which an engine would refuse it, or for which nobody could act by it.
pub fn generate(kind: &str, devices: &[Device], form: &Form) -> Result<String, Vec<Problem>> {
    let mut problems: Vec<Problem> = invalid_kind(kind).into_iter().collect();
    if devices.is_empty() {
        problems.push(Problem::Empty { name: None });
    }
    let mut seen = BTreeSet::new();
    for device in devices {
        if !seen.insert(&device.name) {
            problems.push(Problem::Twice { name: device.name.clone() });
        }
        problems.extend(device.problems(form));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let cdi_version = match form {
        Form::Devices | Form::Both(_) => WITH_DEVICES,
        Form::Hook(_) if kind.rsplit('/').next().is_some_and(|class| class.contains('.')) => WITH_DOTS,
        Form::Hook(_) => WITH_HOOKS,
    };
    let file = File { cdi_version, kind, devices: devices.iter().map(|device| device.written(form)).collect() };
    let written = serde_json::to_string_pretty(&file).map_err(Error::from);
    written.map(|text| text + "\n").map_err(|error| vec![Problem::Unwritten { reason: error.to_string() }])
}

impl Device {
    fn problems(&self, form: &Form) -> Vec<Problem> {
        let name = || self.name.clone();
        let mut problems: Vec<Problem> =
            invalid_name(&self.name).map(|reason| Problem::InvalidName { name: name(), reason }).into_iter().collect();
        if self.net_devices.is_empty() {
            problems.push(Problem::Empty { name: Some(name()) });
        }
        problems
            .extend(names(&self.net_devices).into_iter().map(|problem| Problem::NetDevice { name: name(), problem }));
        let repeated = |value: &str| Problem::Repeated { name: name(), value: value.to_owned() };
        problems.extend(twice(self.net_devices.iter().map(|device| &*device.host)).map(repeated));
        if !matches!(form, Form::Hook(_)) {
            let templates = self.net_devices.iter().filter_map(NetDevice::new_name).filter(|name| name.contains('%'));
            problems.extend(twice(templates).map(repeated));
            let nameless = self
                .net_devices
                .iter()
                .filter(|device| device.new_name().is_none() && device.host.len() > ferry::name::LONGEST);
            problems
                .extend(nameless.map(|device| Problem::NameNeeded { name: name(), net_device: device.host.clone() }));
        }
        if !matches!(form, Form::Devices) {
            let equals = self.net_devices.iter().filter(|device| device.host.contains('='));
            problems.extend(equals.map(|device| Problem::Equals { name: name(), net_device: device.host.clone() }));
        }
        problems
    }

    fn written(&self, form: &Form) -> FileDevice<'_> {
        let hook = |entry: &Entry| {
            let entry = entry.clone().with_devices(&self.net_devices);
            let hook = |hook_name| EditHook { hook_name, hook: entry.clone() };
            vec![hook("createRuntime"), hook("poststop")]
        };
        let devices = || self.net_devices.iter().map(EditDevice::of).collect();
        let (net_devices, hooks) = match form {
            Form::Devices => (devices(), Vec::new()),
            Form::Hook(entry) => (Vec::new(), hook(entry)),
            Form::Both(entry) => (devices(), hook(entry)),
        };
        FileDevice { name: &self.name, container_edits: Edits { net_devices, hooks } }
    }
}

/// What is there more than once, each time again.
fn twice<'a>(values: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let mut seen = BTreeSet::new();
    values.filter(move |value| !seen.insert(*value))
}

fn invalid_kind(kind: &str) -> Option<Problem> {
    let reason = match kind.split_once('/') {
        None => Some("it must be a vendor, a / and a class"),
        Some((vendor, class)) => invalid_label(vendor).or_else(|| invalid_label(class)),
    };
    reason.map(|reason| Problem::InvalidKind { name: kind.to_owned(), reason })
}

/// The rule that a vendor or a class breaks.
fn invalid_label(label: &str) -> Option<&'static str> {
    if !label.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some("a vendor and a class must begin with a letter of ASCII");
    }
    if !label.ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return Some("a vendor and a class must end with a letter or a digit of ASCII");
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!label.chars().all(is_allowed)).then_some("a vendor and a class have only letters and digits of ASCII, _, - and .")
}

/// The rule that the name of a device breaks.
fn invalid_name(name: &str) -> Option<&'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric();
    if !name.starts_with(is_plain) || !name.ends_with(is_plain) {
        return Some("it must begin and end with a letter or a digit of ASCII");
    }
    let is_allowed = |c: char| is_plain(c) || matches!(c, '_' | '-' | '.' | ':');
    (!name.chars().all(is_allowed)).then_some("it has only letters and digits of ASCII, _, -, . and :")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidKind { name, reason } => write!(f, "kind {name:?}: {reason}; {KIND} is ours"),
            Self::InvalidName { name, reason } => write!(f, "device {name:?}: {reason}; choose another name"),
            Self::Twice { name } => write!(f, "device {name:?}: there are two of that name; choose another for one"),
            Self::Empty { name: None } => f.write_str("devices: there is none; name one"),
            Self::Empty { name: Some(name) } => write!(f, "device {name:?}: it has no network device; name one"),
            Self::NetDevice { name, problem } => write!(f, "device {name:?}: {problem}"),
            Self::Repeated { name, value } => {
                write!(f, "device {name:?}: {value} is there twice, which engines refuse; ask for it once")
            }
            Self::NameNeeded { name, net_device } => {
                write!(f, "device {name:?}: {net_device} is too long for a name in the container; give it one")
            }
            Self::Equals { name, net_device } => {
                write!(
                    f,
                    "device {name:?}: {net_device} has a =, which the hook cannot be told; use another of its names"
                )
            }
            Self::Unwritten { reason } => write!(f, "the file could not be written as JSON: {reason}"),
        }
    }
}

#[cfg(test)]
#[path = "cdi_tests.rs"]
mod tests;
