//! The file by which podman and CRI-O give every container, or some, our hook.
//!
//! One file serves both stages. The engine does not tell the hook its stage, so the hook finds it in the container's
//! state ([`State::stage`](crate::State::stage)). Format: `oci-hooks(5)` of podman, schema 1.0.0.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Entry, Error, Result};

/// The file's name: engines take the files in the order of their names, and hooks of others may count on the devices.
pub const NAME: &str = "00-netferry.json";
/// Where administrators put such files.
pub const DIRECTORY: &str = "/etc/containers/oci/hooks.d";

/// Which containers get the hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// All of them: the hook looks for `linux.netDevices` itself, and does nothing without.
    Always,
    /// Those that have, for each pair, an annotation whose key and value match: POSIX extended regular expressions,
    /// which match a part unless they are anchored.
    Annotations(BTreeMap<String, String>),
    /// Those whose program (`process.args[0]`) matches one of these POSIX extended regular expressions.
    Commands(Vec<String>),
}

impl When {
    /// Containers with an annotation of ours.
    pub fn annotated() -> Self {
        Self::Annotations(BTreeMap::from([(r"^dev\.netferry\.".to_owned(), String::new())]))
    }
}

/// A POSIX extended regular expression that matches `text` and nothing else.
pub fn exactly(text: &str) -> String {
    let mut expression = "^".to_owned();
    for letter in text.chars() {
        if r".[]()*+?{}|^$\".contains(letter) {
            expression.push('\\');
        }
        expression.push(letter);
    }
    expression + "$"
}

#[derive(Serialize)]
struct File<'a> {
    version: &'static str,
    hook: &'a Entry,
    when: Condition<'a>,
    stages: [&'static str; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Condition<'a> {
    Always(bool),
    Annotations(&'a BTreeMap<String, String>),
    Commands(&'a [String]),
}

/// The file's text, with a newline at the end.
///
/// # Errors
/// [`Error::Field`] if `when` has no expression: an engine takes that for an error, or for no container.
pub fn text(hook: &Entry, when: &When) -> Result<String> {
    let empty = |field: &str| Error::field(field, "empty", "have an expression");
    let when = match when {
        When::Always => Condition::Always(true),
        When::Annotations(pairs) if pairs.is_empty() => return Err(empty("when.annotations")),
        When::Annotations(pairs) => Condition::Annotations(pairs),
        When::Commands(commands) if commands.is_empty() => return Err(empty("when.commands")),
        When::Commands(commands) => Condition::Commands(commands),
    };
    let file = File { version: "1.0.0", hook, when, stages: ["createRuntime", "poststop"] };
    Ok(serde_json::to_string_pretty(&file)? + "\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_file_for_every_container() {
        let hook = Entry::new(Path::new("/usr/bin/netferry")).unwrap();
        assert_eq!(
            text(&hook, &When::Always).unwrap(),
            r#"{
  "version": "1.0.0",
  "hook": {
    "path": "/usr/bin/netferry",
    "args": [
      "netferry",
      "oci",
      "hook"
    ]
  },
  "when": {
    "always": true
  },
  "stages": [
    "createRuntime",
    "poststop"
  ]
}
"#
        );
    }

    #[test]
    fn an_expression_for_one_text() {
        assert_eq!(exactly("org.example/lent"), r"^org\.example/lent$");
        assert_eq!(exactly(r"a\[b]{1}|é"), r"^a\\\[b\]\{1\}\|é$");
    }

    #[test]
    fn files_for_some() {
        let hook = Entry::new(Path::new("/n")).unwrap();
        let when = |when| {
            let file: serde_json::Value = serde_json::from_str(&text(&hook, &when).unwrap()).unwrap();
            file["when"].to_string()
        };
        assert_eq!(when(When::annotated()), r#"{"annotations":{"^dev\\.netferry\\.":""}}"#);
        assert_eq!(when(When::Commands(vec![".*/init$".to_owned()])), r#"{"commands":[".*/init$"]}"#);
        for (nobody, field) in
            [(When::Commands(Vec::new()), "commands"), (When::Annotations(BTreeMap::new()), "annotations")]
        {
            let error = text(&hook, &nobody).unwrap_err().to_string();
            assert_eq!(error, format!("when.{field}: must have an expression, and is empty"));
        }
    }
}
