//! One plugin of a list, run for one verb: find it, derive its configuration, execute it.

use cni::env::{Command, Env};
use cni::exec::{self, Exec};
use cni::list::{Injection, NetworkList};
use cni::{Error, Version, wire};
use serde_json::Value;

use crate::attachment::Attachment;
use crate::chain::{Runtime, text};

/// What a plugin is given beside its configuration.
#[derive(Debug, Default)]
pub(crate) struct Input<'a> {
    /// The attachment; GC and STATUS have none.
    pub attachment: Option<&'a Attachment>,
    /// `prevResult`.
    pub prev_result: Option<&'a Value>,
    /// The attachments that GC leaves alone.
    pub valid: Option<&'a [cni::config::Attachment]>,
}

impl<'a> Input<'a> {
    pub fn attach(attachment: &'a Attachment) -> Self {
        Self { attachment: Some(attachment), ..Self::default() }
    }
}

impl Runtime {
    /// Runs `plugin`; returns what it printed.
    pub(crate) fn call(
        &self,
        command: Command,
        list: &NetworkList,
        plugin: &Value,
        input: &Input,
    ) -> Result<Vec<u8>, Error> {
        let program = exec::find(text(plugin, "type"), &self.path)?;
        let none = Attachment::default();
        let attachment = input.attachment.unwrap_or(&none);
        let env = Env {
            command,
            container_id: attachment.container_id.clone(),
            netns: Some(attachment.netns.clone()).filter(|netns| !netns.is_empty()),
            ifname: attachment.ifname.clone(),
            args: attachment.args_text(),
            path: self.path.clone(),
            netns_override: false,
        };
        let injection = Injection {
            prev_result: input.prev_result,
            capability_args: input.attachment.map(|attachment| &attachment.capabilities),
            valid_attachments: input.valid,
        };
        let stdin = list.plugin_config(plugin, &injection);
        Exec { program: &program, env: &env, stdin: &stdin, timeout: self.timeout }.run()
    }

    /// Runs `plugin` and reads its result, which names a version when this returns.
    pub(crate) fn result_of(
        &self,
        command: Command,
        list: &NetworkList,
        plugin: &Value,
        input: &Input,
    ) -> Result<Value, Error> {
        let printed = exec::parse_result(&self.call(command, list, plugin, input)?)?;
        // Read once to refuse what is no result, then kept as it is, with the fields that we do not know.
        let (_, version) = wire::from_json(&printed, list.cni_version)?;
        wire::convert_value(&printed, version, version)
    }

    /// `result` as plugins of `list` can read it.
    pub(crate) fn in_version_of(&self, list: &NetworkList, result: &Value) -> Result<Value, Error> {
        wire::convert_value(result, list.cni_version, list.cni_version)
    }

    /// The versions that the plugin of type `kind` speaks.
    pub(crate) fn versions_of(&self, kind: &str) -> Result<Vec<String>, Error> {
        let program = exec::find(kind, &self.path)?;
        if self.own.as_deref().is_some_and(|own| program.starts_with(own)) {
            return Ok(Version::ALL.iter().map(Version::to_string).collect());
        }
        exec::probe(&program, self.timeout)
    }
}
