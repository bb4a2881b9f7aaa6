//! A list of plugins, run for one attachment: what every verb shares.
//!
//! [`Runtime`] says where plugins and the cache are and how strictly to go by libcni. Each verb is one file beside this
//! one. Two locks keep operations apart: one per container, for the specification allows one operation on it at a time,
//! and one for the cache, which a GC holds alone and everything else together (specification 1.1.0, section 2).

use std::path::PathBuf;
use std::time::Duration;

use cni::{Error, code, json};
use serde_json::Value;

use crate::cache::Cache;
use crate::lock::Lock;

/// The lock of a GC; no container ID begins with a dot.
const EVERYBODY: &str = ".gc";

/// Where ours and libcni's behaviour part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// ADD checks that every plugin is there and speaks the version, refuses an attachment that exists, and undoes
    /// itself when it fails; CHECK refuses what is not attached.
    Careful,
    /// None of that: as libcni, and so `cnitool`, do.
    Libcni,
}

/// Runs plugins.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Directories in which plugins are looked for, `CNI_PATH`.
    pub path: Vec<PathBuf>,
    /// The one of them whose plugins are this very program: they are not asked which versions they speak.
    pub own: Option<PathBuf>,
    /// What is attached.
    pub cache: Cache,
    /// How long one plugin may take; `None` is for ever.
    pub timeout: Option<Duration>,
    /// How strictly to go by libcni.
    pub policy: Policy,
}

impl Runtime {
    /// Keeps other operations on the same container, and GC, away.
    pub(crate) fn lock(&self, container_id: &str) -> Result<[Lock; 2], Error> {
        let locks = self.cache.directory().join("locks");
        let everybody = Lock::shared(&locks.join(EVERYBODY)).map_err(|error| refused(&error))?;
        let container = Lock::exclusive(&locks.join(container_id)).map_err(|error| refused(&error))?;
        Ok([container, everybody])
    }

    /// Keeps every other operation away.
    pub(crate) fn lock_everybody(&self) -> Result<Lock, Error> {
        Lock::exclusive(&self.cache.directory().join("locks").join(EVERYBODY)).map_err(|error| refused(&error))
    }
}

/// `plugin type="T" name="N" failed (verb)`: libcni's words for whose failure it was. The name is the plugin's own, which
/// those of a list rarely have.
pub(crate) fn plugin_failed(plugin: &Value, verb: &str) -> String {
    let name = text(plugin, "name");
    let name = if name.is_empty() { String::new() } else { format!(" name={name:?}") };
    format!("plugin type={:?}{name} failed ({verb})", text(plugin, "type"))
}

/// A text of a plugin's configuration, empty where it has none.
pub(crate) fn text<'a>(plugin: &'a Value, key: &str) -> &'a str {
    plugin.as_object().and_then(|object| json::get_ci(object, key)).and_then(Value::as_str).unwrap_or_default()
}

fn refused(error: &std::io::Error) -> Error {
    Error::new(code::IO, error.to_string())
}
