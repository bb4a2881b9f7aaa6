//! One row: what a plugin is given, and what it must answer. Rows start from a good ADD and break one thing.

use serde_json::{Value, json};

/// The code of texts that other software compares: upstream's, which is that of every untyped error.
pub const UPSTREAM: u64 = 999;

/// The code of a value of the wrong type, where upstream prints its own decoder's words: the specification's.
pub const DECODING: u64 = 6;

/// The code of STATUS where an ADD would fail: the specification's.
pub const UNAVAILABLE: u64 = 50;

/// One call with something wrong in it.
pub struct Case {
    /// For messages.
    pub name: String,
    /// The plugin's name.
    pub plugin: &'static str,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// The error object's code.
    pub code: u64,
    /// The error object's text.
    pub text: Text,
    env: Vec<(&'static str, Option<String>)>,
}

/// What `msg`, or `msg; details`, must be.
#[derive(Clone, Copy, Debug)]
pub enum Text {
    /// Exactly this; texts other software compares.
    Is(&'static str),
    /// Contains this; the rest names a path or comes from the kernel.
    Has(&'static str),
}

impl Case {
    /// ADD of the good configuration of `plugin`, expected to fail with this code and text.
    pub fn add(name: &str, plugin: &'static str, code: u64, text: Text) -> Case {
        let stdin = good(plugin).to_string().into_bytes();
        Case { name: name.to_owned(), plugin, stdin, code, text, env: Vec::new() }
    }

    /// With this variable set (`None`: not in the environment).
    pub fn with(mut self, key: &'static str, value: Option<&str>) -> Case {
        self.env.push((key, value.map(str::to_owned)));
        self
    }

    /// With another command.
    pub fn verb(self, verb: &str) -> Case {
        self.with("CNI_COMMAND", Some(verb))
    }

    /// With these keys of the configuration replaced (null: removed).
    pub fn conf(mut self, changes: Value) -> Case {
        let mut conf = good(self.plugin);
        if let (Some(conf), Some(changes)) = (conf.as_object_mut(), changes.as_object()) {
            conf.extend(changes.clone());
            conf.retain(|_, value| !value.is_null());
        }
        self.stdin = conf.to_string().into_bytes();
        self
    }

    /// With these bytes on standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Case {
        self.stdin = bytes.into();
        self
    }

    /// The changes to the environment of a good call.
    pub fn env(&self) -> impl Iterator<Item = (String, Option<String>)> {
        self.env.iter().map(|(key, value)| ((*key).to_owned(), value.clone()))
    }
}

/// A configuration that works.
pub fn good(plugin: &str) -> Value {
    let ipam = match plugin {
        "static" => json!({"type": "static", "addresses": [{"address": "10.40.0.2/24"}]}),
        _ => json!({"type": "host-local", "subnet": "10.40.0.0/24"}),
    };
    json!({"cniVersion": "1.1.0", "name": "bad", "type": plugin, "ipam": ipam})
}
