//! The environment of a call: which verb, for which attachment. Read through a lookup closure, in the order and with
//! the texts of the reference `skel`. A variable that the verb does not require is not validated and, where a path or
//! a name could be built from it, not kept either. Empty is unset.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::error::{Error, code};

/// A verb that netferry knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Attach.
    Add,
    /// Compare an attachment with what it should be.
    Check,
    /// Detach.
    Del,
    /// Remove what no valid attachment needs.
    Gc,
    /// Say whether ADD can be served.
    Status,
    /// Say which versions are spoken.
    Version,
    /// netferry's own: say what ADD would do. Takes what ADD takes and changes nothing.
    Plan,
}

impl Command {
    /// Every verb.
    pub const ALL: [Self; 7] = [Self::Add, Self::Check, Self::Del, Self::Gc, Self::Status, Self::Version, Self::Plan];

    /// The verb as it is written in `CNI_COMMAND`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
            Self::Plan => "PLAN",
        }
    }

    /// The verb that `text` names; verbs are case-sensitive.
    pub fn exact(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.as_str() == text)
    }

    /// True if the call is about one attachment, so that its container and interface must be named.
    const fn is_about_attachment(self) -> bool {
        matches!(self, Self::Add | Self::Check | Self::Del | Self::Plan)
    }

    const fn needs_netns(self) -> bool {
        matches!(self, Self::Add | Self::Check | Self::Plan)
    }
}

/// The parameters of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Env {
    /// `CNI_COMMAND`.
    pub command: Command,
    /// `CNI_CONTAINERID`, validated; empty for a verb that is not about an attachment.
    pub container_id: String,
    /// `CNI_NETNS`: path of the container's network namespace. On DEL it may be absent, or name nothing any more.
    pub netns: Option<String>,
    /// `CNI_IFNAME`, validated; empty for a verb that is not about an attachment.
    pub ifname: String,
    /// `CNI_ARGS` as it is; see [`crate::args`].
    pub args: String,
    /// `CNI_PATH`: where plugins are looked for. An empty element is the working directory.
    pub path: Vec<PathBuf>,
    /// `CNI_NETNS_OVERRIDE`: the namespace may be the caller's own.
    pub netns_override: bool,
}

impl Env {
    /// The parameters of `command` in the environment that `lookup` reads.
    ///
    /// # Errors
    /// Of code 4, if a required variable is invalid (at once) or missing (all that are missing together).
    pub fn read(command: Command, mut lookup: impl FnMut(&str) -> Option<OsString>) -> Result<Self, Error> {
        let mut missing = Vec::new();
        let about_attachment = command.is_about_attachment();
        let mut required = |name: &'static str, required: bool, validate: fn(&str) -> Result<(), Error>| {
            if !required {
                return Ok(lookup(name).unwrap_or_default().to_string_lossy().into_owned());
            }
            let text = text(name, &mut lookup)?;
            if text.is_empty() {
                missing.push(name);
            } else {
                validate(&text)?;
            }
            Ok(text)
        };
        let container_id = required("CNI_CONTAINERID", about_attachment, validate_container_id)?;
        let netns = required("CNI_NETNS", command.needs_netns(), |_| Ok(()))?;
        let ifname = required("CNI_IFNAME", about_attachment, validate_ifname)?;
        let args = required("CNI_ARGS", false, |_| Ok(()))?;
        let path = lookup("CNI_PATH").unwrap_or_default();
        if path.is_empty() {
            missing.push("CNI_PATH");
        }
        if !missing.is_empty() {
            return Err(missing_variables(&missing));
        }
        let netns_override = text("CNI_NETNS_OVERRIDE", &mut lookup)?;
        let keep = |text: String| if about_attachment { text } else { String::new() };
        Ok(Self {
            command,
            container_id: keep(container_id),
            netns: Some(keep(netns)).filter(|netns| !netns.is_empty()),
            ifname: keep(ifname),
            args,
            path: split_path(&path),
            netns_override: netns_override == "1" || netns_override.eq_ignore_ascii_case("true"),
        })
    }

    /// The six variables as a delegate receives them: all present, possibly empty.
    pub fn variables(&self) -> [(&'static str, OsString); 6] {
        [
            ("CNI_COMMAND", self.command.as_str().into()),
            ("CNI_CONTAINERID", (&self.container_id).into()),
            ("CNI_NETNS", self.netns.as_deref().unwrap_or_default().into()),
            ("CNI_IFNAME", (&self.ifname).into()),
            ("CNI_ARGS", (&self.args).into()),
            ("CNI_PATH", join_path(&self.path)),
        ]
    }
}

/// The error for required variables that are not set.
pub(crate) fn missing_variables(names: &[&str]) -> Error {
    Error::new(code::INVALID_ENVIRONMENT, format!("required env variables [{}] missing", names.join(",")))
}

/// The variable `name`; empty if it is not set.
pub(crate) fn text(name: &str, lookup: &mut impl FnMut(&str) -> Option<OsString>) -> Result<String, Error> {
    let not_text = |_| Error::new(code::INVALID_ENVIRONMENT, format!("{name} is not valid UTF-8"));
    lookup(name).unwrap_or_default().into_string().map_err(not_text)
}

/// The directories of a list like `CNI_PATH`; none if it is empty.
pub fn split_path(list: &OsStr) -> Vec<PathBuf> {
    if list.is_empty() {
        return Vec::new();
    }
    list.as_bytes().split(|byte| *byte == b':').map(|dir| PathBuf::from(OsStr::from_bytes(dir))).collect()
}

fn join_path(dirs: &[PathBuf]) -> OsString {
    let dirs: Vec<&[u8]> = dirs.iter().map(|dir| dir.as_os_str().as_bytes()).collect();
    OsString::from_vec(dirs.join(&b':'))
}

/// Checks a container ID: an ASCII letter or digit, then those and `_`, `.`, `-`.
///
/// # Errors
/// Code 3 if it is empty, code 4 with the ID as details if a character is not allowed.
pub fn validate_container_id(id: &str) -> Result<(), Error> {
    if id.is_empty() {
        return Err(Error::new(code::UNKNOWN_CONTAINER, "missing containerID"));
    }
    if is_identifier(id) {
        return Ok(());
    }
    Err(Error::new(code::INVALID_ENVIRONMENT, "invalid characters in containerID").with_details(id))
}

/// Checks the name of an interface: 1 to 15 bytes that the kernel and sysctl paths can take.
///
/// # Errors
/// Of code 4.
pub fn validate_ifname(name: &str) -> Result<(), Error> {
    let invalid = |problem| Err(Error::new(code::INVALID_ENVIRONMENT, problem));
    if name.is_empty() {
        return invalid("interface name is empty");
    }
    if name.len() > 15 {
        return invalid("interface name is too long")
            .map_err(|error| error.with_details("interface name should be less than 16 characters"));
    }
    if name == "." || name == ".." {
        return invalid("interface name is . or ..");
    }
    if name.contains(|c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace()) {
        return invalid("interface name contains / or : or whitespace characters");
    }
    Ok(())
}

/// Checks the name of a network: the characters of a container ID. It becomes part of file names, which these cannot
/// leave.
///
/// # Errors
/// Of code 7; with the name as details if a character is not allowed.
pub fn validate_network_name(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::new(code::INVALID_CONFIG, "missing network name"));
    }
    if is_identifier(name) {
        return Ok(());
    }
    Err(Error::new(code::INVALID_CONFIG, "invalid characters found in network name").with_details(name))
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
#[path = "env_tests.rs"]
mod tests;
