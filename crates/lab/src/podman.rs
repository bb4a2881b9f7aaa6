//! Podman on a node: an engine that calls one of the OCI runtimes, with hooks of its own.
//!
//! Contract: what it keeps is in a private tmpfs on the node's /dev/shm, where its lock is anyway, and so in no snapshot; the
//! runtime has its state in /run, where it has it by default. Containers and their monitors live in the node's cgroup, and go
//! with the node at the latest. crun 1.8 cannot be called: it refuses the version of what Podman 5 writes. See podman(1),
//! containers.conf(5), oci-hooks(5).

use crate::error::{Error, Result};
use crate::node::Node;
use crate::process::{Invocation, Output};
use crate::runtime::{Runtime, laid_out, program};
use serde_json::Value;
use std::path::{Path, PathBuf};

const PLACE: &str = "/dev/shm/podman";

/// Podman, with one runtime.
pub struct Podman {
    node: Node,
    options: Vec<String>,
    env: Vec<(String, String)>,
}

impl Podman {
    /// Podman on a node that has none yet, calling `runtime`.
    ///
    /// # Errors
    /// It is not there: run `cargo xtask test`. The node can have no cgroup.
    pub fn new(node: &Node, runtime: &Runtime) -> Result<Podman> {
        let (programs, podman) = (laid_out()?, program("podman")?);
        node.own_cgroup()?;
        let rootfs = programs.join("rootfs");
        let script = format!(
            "mount -t tmpfs tmpfs /dev/shm; mkdir -p {PLACE}/hooks; cd {PLACE}; cp -a {} rootfs; cat > containers.conf",
            rootfs.display()
        );
        let mut prepare = Invocation::command(&["sh", "-ec", &script]);
        prepare.stdin = settings(&programs).into_bytes();
        prepare.run(node.namespaces())?.success()?;
        let words = [podman.display().to_string(), "--storage-driver".to_owned(), "vfs".to_owned()];
        let places = [("root", "root"), ("runroot", "run"), ("tmpdir", "tmp"), ("hooks-dir", "hooks")];
        let places = places.map(|(option, name)| format!("--{option}={PLACE}/{name}"));
        let runtime = format!("--runtime={}", runtime.path.display());
        let options = words.into_iter().chain(places).chain([runtime]).collect();
        let env = [("CONTAINERS_CONF", format!("{PLACE}/containers.conf")), ("HOME", PLACE.to_owned())];
        let env = env.map(|(key, value)| (key.to_owned(), value)).to_vec();
        Ok(Podman { node: node.clone(), options, env })
    }

    /// Installs a hook, by what would be in a file of its hooks directory.
    pub fn hook(&self, name: &str, document: &Value) -> Result<()> {
        let path = self.hooks_dir().join(format!("{name}.json"));
        let written = self.node.namespaces().inside(|| std::fs::write(&path, document.to_string()))?;
        written.map_err(Error::during(path.display()))
    }

    /// The directory in which it looks for hooks.
    pub fn hooks_dir(&self) -> PathBuf {
        Path::new(PLACE).join("hooks")
    }

    /// `run` of a container until its process, that of these words, has ended; the status is the caller's to judge.
    pub fn run_to_end(&self, options: &[&str], words: &[&str]) -> Result<Output> {
        let rootfs = format!("{PLACE}/rootfs");
        self.call(&[&["run", "--rm"], options, &["--rootfs", &rootfs], words].concat())
    }

    /// `run --detach` of a container that sleeps for an hour, without a network unless `options` say so; the status is the
    /// caller's to judge.
    pub fn run(&self, name: &str, options: &[&str]) -> Result<Output> {
        let rootfs = format!("{PLACE}/rootfs");
        let begin = ["run", "--detach", "--name", name];
        self.call(&[&begin, options, &["--rootfs", &rootfs, "/bin/sleep", "3600"]].concat())
    }

    /// The call with these words behind its global options; the status is the caller's to judge.
    pub fn call(&self, words: &[&str]) -> Result<Output> {
        let words = self.options.iter().map(String::as_str).chain(words.iter().copied()).collect::<Vec<_>>();
        let call = Invocation { env: self.env.clone(), ..Invocation::command(&words) };
        call.run(self.node.namespaces())
    }
}

/// No limit of processes: the node's cgroup has no controllers. By a file, since an option would tell the runtime the limit 0.
fn settings(programs: &Path) -> String {
    let at = programs.display();
    format!(
        "[containers]\nnetns = \"none\"\npids_limit = 0\n\
         [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
         conmon_path = [\"{at}/conmon\"]\nhelper_binaries_dir = [\"{at}\"]\n"
    )
}
