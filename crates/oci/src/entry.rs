//! A hook as `config.json`, `hooks.d` and CDI have it: the program, its arguments, how long it may take.
//!
//! Fields: `config.md#posix-platform-hooks` of the runtime specification.

use std::path::Path;

use serde::Serialize;

use crate::document;
use crate::spec::NetDevice;
use crate::{Error, Result};

/// What the hook is called with, its own name first.
pub(crate) const ARGS: [&str; 3] = ["netferry", "oci", "hook"];

/// A hook that calls `netferry oci hook`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    path: String,
    /// Its arguments, the first of which is the program's name.
    pub args: Vec<String>,
    /// Its whole environment, as `NAME=VALUE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// How long it may take, in seconds; as long as it likes if unset. Runtimes take no 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<std::num::NonZeroU32>,
}

/// True if an element of a stage of hooks, as it is written, is the hook, told of whatever devices.
pub(crate) fn is_ours(raw: &str) -> bool {
    let args = document::member(raw, "args").flatten().and_then(document::array).unwrap_or_default();
    args.len() >= ARGS.len() && args.iter().zip(ARGS).all(|(own, word)| document::string(own).as_deref() == Some(word))
}

impl Entry {
    /// The hook whose program is at `program`.
    ///
    /// # Errors
    /// [`Error::Field`] if the path is not absolute, or no UTF-8, as JSON must be.
    pub fn new(program: &Path) -> Result<Self> {
        let wrong = |must: &str| Error::field("hook.path", &format!("{:?}", program.display().to_string()), must);
        let path = program.to_str().ok_or_else(|| wrong("be UTF-8"))?;
        if !program.is_absolute() {
            return Err(wrong("be an absolute path"));
        }
        let args = ARGS.map(str::to_owned).to_vec();
        Ok(Self { path: path.to_owned(), args, env: Vec::new(), timeout: None })
    }

    /// The same hook, told of devices that are not in `config.json`: a `--device=HOST[=NAME]` for each.
    #[must_use]
    pub fn with_devices(mut self, devices: &[NetDevice]) -> Self {
        let argument = |device: &NetDevice| match device.new_name() {
            Some(name) => format!("--device={}={name}", device.host),
            None => format!("--device={}", device.host),
        };
        self.args.extend(devices.iter().map(argument));
        self
    }

    /// The program.
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// The hook as an element of `hooks.createRuntime`, in one line.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_config_json_has_it() {
        let device =
            |host: &str, name: Option<&str>| NetDevice { host: host.to_owned(), name: name.map(str::to_owned) };
        let entry = Entry::new(Path::new("/usr/bin/netferry")).unwrap();
        assert_eq!(entry.to_json().unwrap(), r#"{"path":"/usr/bin/netferry","args":["netferry","oci","hook"]}"#);
        let mut entry =
            entry.with_devices(&[device("eth1", Some("net%d")), device("eth2", Some("")), device("-x", None)]);
        (entry.timeout, entry.env) = (std::num::NonZeroU32::new(30), vec!["A=b".to_owned()]);
        assert_eq!(
            entry.to_json().unwrap(),
            concat!(
                r#"{"path":"/usr/bin/netferry","args":["netferry","oci","hook","--device=eth1=net%d","--device=eth2","#,
                r#""--device=-x"],"env":["A=b"],"timeout":30}"#
            )
        );
        assert_eq!(entry.path(), Path::new("/usr/bin/netferry"));
    }

    #[test]
    fn a_path_that_no_runtime_takes() {
        use std::os::unix::ffi::OsStrExt;
        let error = Entry::new(Path::new("netferry")).unwrap_err();
        assert_eq!(error.to_string(), "hook.path: must be an absolute path, and is \"netferry\"");
        let error = Entry::new(Path::new(std::ffi::OsStr::from_bytes(b"/\xff"))).unwrap_err();
        assert_eq!(error.to_string(), "hook.path: must be UTF-8, and is \"/\u{fffd}\"");
    }
}
