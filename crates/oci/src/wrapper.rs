//! What a wrapper in front of a runtime does to the configuration of a container that asks for network devices.
//!
//! The devices are taken out of it, and our hook, which is told of them, is put in. They do not stay, because a runtime
//! that knows them would move them itself: one after the other with nothing undone, without all of their addresses, and
//! never home again. A configuration that asks for none is none of ours; so is one that has been through here before.
//! [`read()`] finds out what a runtime was called for, [`Request`] is what the wrapper changes.

pub mod command_line;

use std::fmt;
use std::path::Path;

use crate::annotations::{self, Restore, Wishes};
use crate::document::{self, Document};
use crate::entry::{self, Entry};
use crate::spec::Spec;
use crate::validate::{self, Circumstances, validate};
use crate::{Error, Result};

pub use command_line::{Call, Container, Format, Verb, read};

const FIELD: &[u8] = b"netDevices";
const DEVICES: [&str; 2] = ["linux", "netDevices"];
const NAMESPACES: [&str; 2] = ["linux", "namespaces"];
const PRESTART: [&str; 2] = ["hooks", "prestart"];
const CREATE_RUNTIME: [&str; 2] = ["hooks", "createRuntime"];
const POSTSTOP: [&str; 2] = ["hooks", "poststop"];

/// A configuration that asks for network devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    config: Document,
    spec: Spec,
}

/// Why a container is not to be created. It prints itself with the field, its value, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A device, or the container's network namespace, is not as it must be.
    Problem(validate::Problem),
    /// An annotation of ours says nothing.
    Annotation(annotations::Invalid),
    /// The name of a device has a `=`, which ends it in the hook's arguments.
    Equals {
        /// The entry's key.
        device: String,
    },
    /// The hook cannot be put in: `hooks`, or one of its stages, is not as it must be.
    Unwritten(Error),
}

/// False if the configuration asks for no network devices, by a look at its bytes alone; true if it may ask for some.
pub fn may_ask(config: &[u8]) -> bool {
    let has = |word: &[u8]| config.windows(word.len()).any(|window| window == word);
    // A letter of ASCII that is escaped is one of a key that is there all the same.
    has(FIELD) || [&b"\\u004"[..], b"\\u006", b"\\u007"].into_iter().any(has)
}

/// True if the configuration, which asks for no devices, has our hook: it has been through here before.
pub fn has_hook(config: &[u8]) -> bool {
    let word = entry::ARGS[0].as_bytes();
    if !config.windows(word.len()).any(|window| window == word) {
        return false;
    }
    let Ok(config) = Document::read(config) else { return false };
    [PRESTART, CREATE_RUNTIME].iter().any(|stage| {
        // What else is wrong with it is for the runtime to say.
        let hooks = config.elements(stage).ok().flatten().unwrap_or_default();
        hooks.into_iter().any(entry::is_ours)
    })
}

/// The configuration with the container's network namespace at `path`, which is there already; `None` if it says anything about
/// a path, or if the path has no place in JSON. [`unplaced`] is the way back, to the byte.
pub fn placed(config: &str, path: &Path) -> Option<String> {
    let mut config = Document::read(config.as_bytes()).ok()?;
    let (index, network) = network(&config)?;
    let path = serde_json::to_string(path.to_str()?).ok()?;
    if Document::read(network.as_bytes()).ok()?.get(&["path"]).is_some() {
        return None;
    }
    config.edit_element(&NAMESPACES, index, |network| network.set(&["path"], &path)).ok()?;
    Some(config.to_string())
}

/// The configuration without a path of the container's network namespace for which `is_ours` holds; `None` if it has none.
pub fn unplaced(config: &[u8], is_ours: impl Fn(&Path) -> bool) -> Option<String> {
    let mut config = Document::read(config).ok()?;
    let (index, network) = network(&config)?;
    let path = document::member(network, "path").flatten().and_then(document::string)?;
    if !is_ours(Path::new(&path)) {
        return None;
    }
    let remove = |network: &mut Document| {
        network.remove(&["path"]);
        Ok(())
    };
    config.edit_element(&NAMESPACES, index, remove).ok()?;
    Some(config.to_string())
}

/// The entry of the container's network namespace, and which one it is.
fn network(config: &Document) -> Option<(usize, &str)> {
    let elements = config.elements(&NAMESPACES).ok()??;
    let is_it = |raw: &&str| {
        let kind = document::member(raw, "type").flatten().and_then(document::string);
        kind.as_deref() == Some("network")
    };
    let index = elements.iter().position(is_it)?;
    Some((index, elements[index]))
}

impl Request {
    /// Reads a configuration; `None` if it asks for no network devices.
    ///
    /// # Errors
    /// What [`Document::read`] and [`Spec::read`] say.
    pub fn read(config: &[u8]) -> Result<Option<Self>> {
        if !may_ask(config) {
            return Ok(None);
        }
        let config = Document::read(config)?;
        // Whatever else is wrong with a container that asks for none is for the runtime to say.
        if config.members(&DEVICES)?.is_none_or(|devices| devices.is_empty()) {
            return Ok(None);
        }
        let spec = Spec::read(&config)?;
        Ok(Some(Self { config, spec }))
    }

    /// What counts of the configuration.
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The configuration without the devices and with `hook`, told of them, in their place: before all hooks that run
    /// when the namespaces are there, and behind those that run when the container is gone.
    ///
    /// # Errors
    /// Every reason not to create the container.
    pub fn rewrite(mut self, circumstances: &Circumstances, hook: Entry) -> std::result::Result<String, Vec<Refusal>> {
        let refusals = self.refusals(circumstances);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        self.replace(hook).map_err(|error| vec![Refusal::Unwritten(error)])?;
        Ok(self.config.to_string())
    }

    fn refusals(&self, circumstances: &Circumstances) -> Vec<Refusal> {
        let mut refusals: Vec<Refusal> = Vec::new();
        let problems = validate(&self.spec, circumstances).err().unwrap_or_default();
        refusals.extend(problems.into_iter().map(Refusal::Problem));
        let equals = self.spec.devices.iter().filter(|device| device.host.contains('='));
        refusals.extend(equals.map(|device| Refusal::Equals { device: device.host.clone() }));
        let invalid = Wishes::read(&self.spec.annotations).err().unwrap_or_default();
        refusals.extend(invalid.into_iter().map(Refusal::Annotation));
        refusals
    }

    /// True if anything is to be done when the container is gone. What its annotations say, a runtime tells the hook.
    fn comes_home(&self) -> bool {
        Wishes::read(&self.spec.annotations)
            .map_or(true, |wishes| self.spec.devices.iter().any(|device| wishes.restore(&device.host) != Restore::None))
    }

    fn replace(&mut self, hook: Entry) -> Result<()> {
        let hook = hook.with_devices(&self.spec.devices).to_json()?;
        // Hooks of prestart run before those of createRuntime, and may need the devices.
        let first = if self.spec.prestart_hooks > 0 { PRESTART } else { CREATE_RUNTIME };
        self.config.push_front(&first, &hook)?;
        if self.comes_home() {
            self.config.push_back(&POSTSTOP, &hook)?;
        }
        self.config.remove(&DEVICES);
        Ok(())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(problem) => problem.fmt(f),
            Self::Annotation(invalid) => invalid.fmt(f),
            Self::Equals { device } => write!(
                f,
                "linux.netDevices: {device} has a =, which the hook cannot be told; use another of the device's names"
            ),
            Self::Unwritten(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
#[path = "wrapper_tests.rs"]
mod tests;
