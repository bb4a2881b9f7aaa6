//! STATUS, and the check of a list before it is used.

use cni::env::Command;
use cni::list::NetworkList;
use cni::{Error, Version, code};
use serde_json::Value;

use crate::chain::{Runtime, text};
use crate::invoke::Input;

impl Runtime {
    /// Asks every plugin whether it could serve an ADD. Versions without STATUS are ready.
    ///
    /// # Errors
    /// The first plugin's, as it is: its code says how bad it is.
    pub fn status(&self, list: &NetworkList) -> Result<(), Error> {
        if list.cni_version < Version::V1_1_0 {
            return Ok(());
        }
        list.plugins.iter().try_for_each(|plugin| self.call(Command::Status, list, plugin, &Input::default()).map(drop))
    }

    /// Checks that every plugin exists and speaks the list's version; returns the capabilities that the list enables.
    ///
    /// # Errors
    /// Everything that is wrong, in one error.
    pub fn validate(&self, list: &NetworkList) -> Result<Vec<String>, Error> {
        let mut errors: Vec<Error> = Vec::new();
        let mut asked: Vec<&str> = Vec::new();
        for plugin in &list.plugins {
            let kind = text(plugin, "type");
            if !asked.contains(&kind) {
                asked.push(kind);
                errors.extend(self.speaks(kind, list.cni_version).err());
            }
        }
        match errors.as_slice() {
            [] => Ok(capabilities(list)),
            [_] => Err(errors.remove(0)),
            [first, ..] => {
                let texts: Vec<String> = errors.iter().map(Error::to_string).collect();
                Err(Error::new(first.code, format!("[{}]", texts.join(" "))))
            }
        }
    }

    fn speaks(&self, kind: &str, version: Version) -> Result<(), Error> {
        let supported = self.versions_of(kind)?;
        if supported.iter().any(|one| one == version.as_str()) {
            return Ok(());
        }
        let text = format!("plugin {kind} does not support config version \"{version}\"");
        Err(Error::new(code::INCOMPATIBLE_VERSION, text).with_details(format!("it supports {supported:?}")))
    }
}

/// The capabilities that some plugin of the list declares.
pub fn capabilities(list: &NetworkList) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for plugin in &list.plugins {
        let declared = plugin.as_object().and_then(|object| cni::json::get_ci(object, "capabilities"));
        for (name, enabled) in declared.and_then(Value::as_object).into_iter().flatten() {
            if enabled.as_bool() == Some(true) && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}
