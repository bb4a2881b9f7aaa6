//! CNI plugins as a runtime calls them, from any directory.
//!
//! The same test runs against Debian's Go plugins and against ours: [`Plugins::at`] takes the directory,
//! [`Plugins::ours`] the one named by `NETFERRY_CNI_DIR`. A test that needs ours fails when it is not set.

use crate::error::{Error, Result};
use crate::node::{Container, Node};
use crate::process::{Invocation, Output};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A directory of plugins; also the CNI_PATH they are given.
#[derive(Clone, Debug)]
pub struct Plugins {
    directory: PathBuf,
}

/// CNI_COMMAND; PLAN is netferry's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Verb {
    Add,
    Check,
    Del,
    Gc,
    Plan,
    Status,
    Version,
}

/// What identifies an attachment besides its network's name.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// CNI_CONTAINERID.
    pub container_id: String,
    /// CNI_NETNS; empty when the runtime no longer has one.
    pub netns: String,
    /// CNI_IFNAME.
    pub ifname: String,
}

impl Attachment {
    /// `eth0` of a container.
    pub fn new(container_id: &str, container: &Container) -> Attachment {
        let netns = container.path().to_owned();
        Attachment { container_id: container_id.to_owned(), netns, ifname: "eth0".to_owned() }
    }
}

impl Verb {
    /// The value of CNI_COMMAND.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Add => "ADD",
            Verb::Check => "CHECK",
            Verb::Del => "DEL",
            Verb::Gc => "GC",
            Verb::Plan => "PLAN",
            Verb::Status => "STATUS",
            Verb::Version => "VERSION",
        }
    }
}

impl Plugins {
    /// The plugins in `directory`.
    pub fn at(directory: impl Into<PathBuf>) -> Plugins {
        Plugins { directory: directory.into() }
    }

    /// netferry's plugins.
    ///
    /// # Errors
    /// `NETFERRY_CNI_DIR` is not set or has no plugin: the text says how to build them.
    pub fn ours() -> Result<Plugins> {
        let directory = std::env::var_os("NETFERRY_CNI_DIR").map(PathBuf::from).ok_or_else(|| {
            Error::new("NETFERRY_CNI_DIR is not set: run `cargo xtask test`, which builds the plugins and sets it")
        })?;
        Plugins::at(directory).checked("cargo xtask test")
    }

    /// Debian's Go plugins.
    ///
    /// # Errors
    /// The package containernetworking-plugins is not installed.
    pub fn debian() -> Result<Plugins> {
        Plugins::at("/usr/lib/cni").checked("apt-get install containernetworking-plugins")
    }

    fn checked(self, remedy: &str) -> Result<Plugins> {
        let probe = self.directory.join("bridge");
        if probe.exists() { Ok(self) } else { Err(Error::new(format!("{}: not there: {remedy}", probe.display()))) }
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of one plugin.
    pub fn path(&self, plugin: &str) -> PathBuf {
        self.directory.join(plugin)
    }

    /// The call of `verb` of the plugin that `conf` names as its type, with the environment a runtime gives.
    pub fn invocation(&self, verb: Verb, conf: &Value, attachment: &Attachment) -> Invocation {
        let plugin = conf.get("type").and_then(Value::as_str).unwrap_or_default();
        let variables = [
            ("CNI_COMMAND", verb.name()),
            ("CNI_CONTAINERID", &attachment.container_id),
            ("CNI_NETNS", &attachment.netns),
            ("CNI_IFNAME", &attachment.ifname),
            ("CNI_ARGS", ""),
            ("CNI_PATH", self.directory.to_str().unwrap_or_default()),
        ];
        let env = variables.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        Invocation { program: self.path(plugin), env, stdin: conf.to_string().into_bytes(), ..Invocation::default() }
    }

    /// Calls a plugin on `node`; the status is the caller's to judge.
    pub fn call(&self, node: &Node, verb: Verb, conf: &Value, attachment: &Attachment) -> Result<Output> {
        self.invocation(verb, conf, attachment).run(node.namespaces())
    }

    /// ADD that must succeed; returns its result.
    pub fn add(&self, node: &Node, conf: &Value, attachment: &Attachment) -> Result<Value> {
        let output = self.call(node, Verb::Add, conf, attachment)?.success()?;
        serde_json::from_str(&output.stdout).map_err(Error::during(output.describe()))
    }

    /// DEL that must succeed and print nothing.
    pub fn del(&self, node: &Node, conf: &Value, attachment: &Attachment) -> Result<()> {
        let output = self.call(node, Verb::Del, conf, attachment)?.success()?;
        if output.stdout.is_empty() { Ok(()) } else { Err(Error::new(output.describe())) }
    }

    /// CHECK against `result`, as a runtime passes it on, that must succeed.
    pub fn check(&self, node: &Node, conf: &Value, result: &Value, attachment: &Attachment) -> Result<()> {
        let mut conf = conf.clone();
        conf["prevResult"] = result.clone();
        self.call(node, Verb::Check, &conf, attachment)?.success().map(drop)
    }
}
