//! The real OCI runtimes, and a container that one of them runs on a node.
//!
//! `NETFERRY_RUNTIMES` names the directory that `cargo xtask test` lays out: Debian's runc and crun of before and after
//! `linux.netDevices`, and a youki of after it. A test that needs them fails when it is not set. See runtime.md of the runtime
//! specification, and runc(8) and crun(1) for the command line, which youki's is too.

use crate::bundle::Bundle;
use crate::error::{Error, Result};
use crate::netns::Namespaces;
use crate::process::{Invocation, Output};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const NAMES: [&str; 5] = ["runc-old", "crun-old", "runc-new", "crun-new", "youki-new"];

const NET_DEVICES: &[u8] = b"netDevices";

/// How long a container that was killed may take to be `stopped`.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which program an OCI runtime is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// opencontainers/runc.
    Runc,
    /// containers/crun.
    Crun,
    /// youki-dev/youki.
    Youki,
}

/// An OCI runtime.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The program's, and `old` or `new`: `runc-old`.
    pub name: String,
    /// Which one it is.
    pub kind: Kind,
    /// The program that is called.
    pub path: PathBuf,
    /// Whether it moves `linux.netDevices`, by itself; the others ignore them.
    pub knows_net_devices: bool,
    /// The runtime itself, also when `path` is something in front of it.
    real: PathBuf,
    /// What `path` is given besides.
    pub(crate) env: Vec<(String, String)>,
}

/// A container of one bundle, run by one runtime. It is killed and deleted when this is dropped; if the test has no time for
/// that, with the node's cgroup.
pub struct Task {
    runtime: Runtime,
    bundle: Bundle,
}

impl Runtime {
    /// All of them.
    ///
    /// # Errors
    /// As [`Runtime::named`].
    pub fn all() -> Result<Vec<Runtime>> {
        NAMES.into_iter().map(Runtime::named).collect()
    }

    /// One of `runc-old`, `crun-old`, `runc-new`, `crun-new` and `youki-new`.
    ///
    /// # Errors
    /// `NETFERRY_RUNTIMES` is not set, or it is not there: the text says what to do. There is none of this name.
    pub fn named(name: &str) -> Result<Runtime> {
        let kind = match name.split_once('-') {
            Some(("runc", _)) => Kind::Runc,
            Some(("crun", _)) => Kind::Crun,
            Some(("youki", _)) => Kind::Youki,
            _ => return Err(Error::new(format!("{name}: no runtime of the tests is called so"))),
        };
        let path = program(name)?;
        let knows_net_devices = name.ends_with("-new");
        Ok(Runtime { name: name.to_owned(), kind, real: path.clone(), path, knows_net_devices, env: Vec::new() })
    }

    /// The same with `wrapper` called in its place, which is given `env` besides. Whether devices are moved is then for the
    /// wrapper to say.
    pub fn through(&self, wrapper: impl Into<PathBuf>, env: &[(&str, &str)]) -> Runtime {
        let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Runtime { path: wrapper.into(), env: env.collect(), ..self.clone() }
    }

    /// A container, not yet created.
    pub fn task(&self, bundle: Bundle) -> Task {
        Task { runtime: self.clone(), bundle }
    }
}

/// One of the programs that are laid out.
///
/// # Errors
/// It is not there, as [`Runtime::named`].
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let path = laid_out()?.join(name);
    if path.exists() {
        return Ok(path);
    }
    Err(Error::new(format!("{}: not there: cargo xtask test fetches it", path.display())))
}

/// Whether a program's types have `linux.netDevices`: one in Go has the names of its JSON fields in it.
pub(crate) fn knows_net_devices(program: &Path) -> Result<bool> {
    let bytes = std::fs::read(program).map_err(Error::during(program.display()))?;
    Ok(bytes.windows(NET_DEVICES.len()).any(|window| window == NET_DEVICES))
}

/// Where the runtimes are, and the root file system of their containers.
pub(crate) fn laid_out() -> Result<PathBuf> {
    std::env::var_os("NETFERRY_RUNTIMES").map(PathBuf::from).ok_or_else(|| {
        Error::new("NETFERRY_RUNTIMES is not set: run `cargo xtask test`, which fetches the OCI runtimes and sets it")
    })
}

impl Task {
    /// The bundle it was made from.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The call of the runtime with these words behind its global options.
    pub fn invocation(&self, words: &[&str]) -> Invocation {
        let root = self.root().display().to_string();
        let args = ["--root", &root].iter().chain(words).map(|word| (*word).to_owned()).collect();
        Invocation { program: self.runtime.path.clone(), args, env: self.runtime.env.clone(), ..Invocation::default() }
    }

    /// `create`; like the others, the status is the caller's to judge.
    pub fn create(&self) -> Result<Output> {
        self.call(&["create", "--bundle", &self.bundle.path().to_string_lossy(), self.bundle.id()])
    }

    /// `start`.
    pub fn start(&self) -> Result<Output> {
        self.call(&["start", self.bundle.id()])
    }

    /// `run`, until the container's process has ended.
    pub fn run(&self) -> Result<Output> {
        self.call(&["run", "--bundle", &self.bundle.path().to_string_lossy(), self.bundle.id()])
    }

    /// `kill`, with a signal by its name.
    pub fn kill(&self, signal: &str) -> Result<Output> {
        self.call(&["kill", self.bundle.id(), signal])
    }

    /// `delete`, of a running one only by `force`.
    pub fn delete(&self, force: bool) -> Result<Output> {
        let id = self.bundle.id();
        if force { self.call(&["delete", "--force", id]) } else { self.call(&["delete", id]) }
    }

    /// `state`, that must succeed.
    pub fn state(&self) -> Result<Value> {
        let output = self.call(&["state", self.bundle.id()])?.success()?;
        serde_json::from_str(&output.stdout).map_err(Error::during(output.describe()))
    }

    /// The state once its process has ended.
    ///
    /// # Errors
    /// It has not after five seconds.
    pub fn stopped(&self) -> Result<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let state = self.state()?;
            if state["status"] == "stopped" {
                return Ok(state);
            }
            if Instant::now() > end {
                return Err(Error::new(format!("still not stopped: {state}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The container's first process.
    ///
    /// # Errors
    /// There is none.
    pub fn pid(&self) -> Result<u32> {
        let state = self.state()?;
        let pid = state["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
        pid.ok_or_else(|| Error::new(format!("no process: {state}")))
    }

    /// The container's network namespace, seen from the node's mount namespace.
    pub fn namespaces(&self) -> Result<Namespaces> {
        let path = format!("/proc/{}/ns/net", self.pid()?);
        self.bundle.node().namespaces().with_net(Path::new(&path))
    }

    /// Runs a program of the node in the container's network namespace; a status other than 0 is an error.
    pub fn inside<S: AsRef<str>>(&self, command: impl AsRef<[S]>) -> Result<Output> {
        Invocation::command(command.as_ref()).run(&self.namespaces()?)?.success()
    }

    /// What the runtime keeps of its containers, and what is left of this one's cgroup; nothing once it was deleted.
    pub fn traces(&self) -> Result<Vec<PathBuf>> {
        let places = [self.root().join(self.bundle.id()), Path::new("/sys/fs/cgroup").join(self.bundle.id())];
        self.bundle.node().namespaces().inside(|| places.into_iter().filter(|path| path.exists()).collect())
    }

    fn root(&self) -> PathBuf {
        self.bundle.path().join("root")
    }

    fn call(&self, words: &[&str]) -> Result<Output> {
        self.invocation(words).run(self.bundle.node().namespaces())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut delete = self.invocation(&["delete", "--force", self.bundle.id()]);
        delete.program.clone_from(&self.runtime.real);
        // What it leaves, for instance because it knows of no such container, ends with the node's cgroup.
        let _ = delete.run(self.bundle.node().namespaces());
    }
}
