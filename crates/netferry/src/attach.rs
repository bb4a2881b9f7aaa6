//! NETWORK and NETNS of the subcommands that concern one attachment, and who that is.
//!
//! The container ID is derived from the path of the namespace as `cnitool` derives it, so that either tool can take off
//! what the other attached.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use cni::{Error, code};
use runtime::{Attachment, Capabilities};
use sha2::{Digest, Sha512};

/// Where `ip netns` keeps namespaces.
const NAMED: &str = "/var/run/netns";

/// An attachment on the command line.
#[derive(Args)]
pub struct Target {
    /// Name of the network
    pub network: String,
    /// The network namespace: a path, or a name that `ip netns` knows
    netns: String,
    /// Name of the interface inside [env: CNI_IFNAME] [default: eth0]
    #[arg(short, long, value_name = "NAME")]
    ifname: Option<String>,
    /// Container ID [default: derived from the path of the namespace, as cnitool does]
    #[arg(long, value_name = "ID")]
    container_id: Option<String>,
    /// Arguments for plugins, KEY=VALUE;KEY=VALUE [env: CNI_ARGS]
    #[arg(long, value_name = "ARGS")]
    args: Option<String>,
    /// Capability arguments, a JSON object by capability [env: CAP_ARGS]
    #[arg(long, value_name = "JSON")]
    capabilities: Option<String>,
}

impl Target {
    /// The attachment that is meant.
    ///
    /// # Errors
    /// Arguments or capabilities that cannot be read.
    pub fn attachment(&self) -> Result<Attachment, Error> {
        let netns = namespace(&self.netns)?;
        let text = |option: &Option<String>, name| option.clone().or_else(|| variable(name)).unwrap_or_default();
        Ok(Attachment {
            container_id: self.container_id.clone().unwrap_or_else(|| container_id(&netns)),
            ifname: self.ifname.clone().or_else(|| variable("CNI_IFNAME")).unwrap_or_else(|| "eth0".into()),
            args: arguments(&text(&self.args, "CNI_ARGS"))?,
            capabilities: capabilities(&text(&self.capabilities, "CAP_ARGS"))?,
            netns,
        })
    }
}

/// The path of a namespace that is given as a path or as a name.
///
/// # Errors
/// There is no working directory, or the path is not UTF-8.
pub fn namespace(given: &str) -> Result<String, Error> {
    let named = Path::new(NAMED).join(given);
    if !given.contains('/') && named.exists() { absolute(&named) } else { absolute(Path::new(given)) }
}

/// `path` from the root, without `.`, `..` and doubled slashes, by its letters alone (Go's `filepath.Abs`).
///
/// # Errors
/// There is no working directory, or the path is not UTF-8.
pub fn absolute(path: &Path) -> Result<String, Error> {
    use std::path::Component;
    let from =
        if path.is_absolute() { PathBuf::new() } else { working_directory().map_err(|error| invalid(&error))? };
    let mut clean = PathBuf::from("/");
    for component in from.join(path).components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean.into_os_string().into_string().map_err(|path| invalid(&format!("{} is not UTF-8", path.display())))
}

/// The working directory by the name under which the shell entered it, as in Go: `/var/run` may be a symbolic link.
fn working_directory() -> io::Result<PathBuf> {
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    let named = std::env::var_os("PWD").map(PathBuf::from).filter(|path| path.is_absolute());
    match named {
        Some(path) if identity(&path).ok() == Some(identity(Path::new("."))?) => Ok(path),
        _ => std::env::current_dir(),
    }
}

/// `cnitool-` and the first ten bytes of the SHA-512 of the namespace's path.
pub fn container_id(netns: &str) -> String {
    let digest = Sha512::digest(netns.as_bytes());
    digest[..10].iter().fold(String::from("cnitool-"), |id, byte| format!("{id}{byte:02x}"))
}

/// `CNI_ARGS` as `cnitool` takes them: every pair with key and value.
///
/// # Errors
/// Code 4 for a pair that is none.
pub fn arguments(text: &str) -> Result<Vec<(String, String)>, Error> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let pair = |pair: &str| match pair.split('=').collect::<Vec<_>>()[..] {
        [key, value] if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Error::new(code::INVALID_ENVIRONMENT, format!("invalid CNI_ARGS pair {pair:?}"))),
    };
    text.split(';').map(pair).collect()
}

/// Capability arguments from a JSON object.
///
/// # Errors
/// Code 6 for what is none.
pub fn capabilities(text: &str) -> Result<Capabilities, Error> {
    if text.is_empty() {
        return Ok(Capabilities::new());
    }
    let malformed = |error: String| Error::new(code::DECODE, format!("capability arguments: {error}"));
    let value = cni::json::parse(text.as_bytes()).map_err(|error| malformed(error.to_string()))?;
    match value {
        serde_json::Value::Object(object) => Ok(object),
        serde_json::Value::Null => Ok(Capabilities::new()),
        other => Err(malformed(format!("expected an object, found {other}"))),
    }
}

/// An environment variable that says something.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn invalid(problem: &dyn std::fmt::Display) -> Error {
    Error::new(code::INVALID_ENVIRONMENT, problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_are_those_of_cnitool() {
        assert_eq!(container_id("/var/run/netns/cnitest"), "cnitool-20c433bb2b1d6ede56d6");
        assert_eq!(container_id("/var/run/netns/testing"), "cnitool-77383ca0a0715733ca6f");
    }

    #[test]
    fn paths_are_cleaned_by_their_letters() {
        let clean = |path: &str| absolute(Path::new(path)).unwrap();
        assert_eq!(clean("/var//run/./netns/../netns/x/"), "/var/run/netns/x");
        assert_eq!(clean("/../.."), "/");
        assert_eq!(clean("testing"), working_directory().unwrap().join("testing").to_str().unwrap());
    }

    #[test]
    fn arguments_are_strict() {
        assert_eq!(arguments("").unwrap(), []);
        assert_eq!(arguments("A=b;C=d").unwrap(), [("A".into(), "b".into()), ("C".into(), "d".into())]);
        for (text, pair) in [("A", "A"), ("A=", "A="), ("=b", "=b"), ("A=b;", ""), ("A=b=c", "A=b=c")] {
            assert_eq!(arguments(text).unwrap_err().msg, format!("invalid CNI_ARGS pair \"{pair}\""));
        }
    }

    #[test]
    fn capabilities_are_an_object() {
        assert!(capabilities("").unwrap().is_empty());
        assert_eq!(capabilities(r#"{"mac":"02:00:00:00:00:01"}"#).unwrap()["mac"], "02:00:00:00:00:01");
        assert!(capabilities("[]").is_err());
        assert!(capabilities("{").is_err());
    }
}
