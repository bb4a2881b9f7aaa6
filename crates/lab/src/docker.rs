//! Docker on a node, on top of [`Containerd`], as it uses one that is there.
//!
//! Contract: what it keeps is in containerd's private tmpfs, and so in no snapshot; its socket, and the runtime's state, are in
//! /run, where they are by default. It makes no rule of a firewall, and no network that it is not asked for. The daemon
//! lives in the node's cgroup, and so do the containers, and goes with the node. See dockerd(8), docker(1).

use crate::containerd::Containerd;
use crate::daemon;
use crate::error::Result;
use crate::node::Node;
use crate::process::{Invocation, Output};
use crate::runtime::{Runtime, knows_net_devices, laid_out, program};
use serde_json::{Value, json};

const PLACE: &str = "/dev/shm/docker";

/// Docker, with one runtime.
pub struct Docker {
    node: Node,
    docker: String,
    env: Vec<(String, String)>,
}

impl Docker {
    /// Docker on a node that has neither it nor containerd yet, calling `runtime` unless it is told another: `runtimes` are those
    /// of daemon.json.
    ///
    /// # Errors
    /// It is not there: run `cargo xtask test`. The node can have no cgroup. It does not start.
    pub fn new(node: &Node, runtime: &Runtime, runtimes: &Value) -> Result<Docker> {
        let programs = laid_out()?;
        Containerd::new(node, runtime, "")?;
        let mut prepare = Invocation::command(&["sh", "-ec", &format!("mkdir {PLACE}; cat > {PLACE}/daemon.json")]);
        prepare.stdin = settings(runtime, runtimes).to_string().into_bytes();
        prepare.run(node.namespaces())?.success()?;
        let env = daemon::environment(&programs, &[("DOCKER_CONFIG".to_owned(), format!("{PLACE}/client"))]);
        let docker = Docker { node: node.clone(), docker: program("docker")?.display().to_string(), env };
        docker.start()?;
        let rootfs = programs.join("rootfs");
        let import = format!("tar -C '{}' -c . | '{}' import - rootfs", rootfs.display(), docker.docker);
        let import = Invocation { env: docker.env.clone(), ..Invocation::command(&["sh", "-ec", &import]) };
        import.run(node.namespaces())?.success()?;
        Ok(docker)
    }

    /// Starts the daemon, which [`Docker::new`] does first, once more after it has been killed.
    ///
    /// # Errors
    /// It is not there, or does not start.
    pub fn start(&self) -> Result<()> {
        let (daemon, config) = (program("dockerd")?.display().to_string(), format!("{PLACE}/daemon.json"));
        let words = [&daemon, "--config-file", &config];
        let start = Invocation { env: self.env.clone(), ..Invocation::command(&words) };
        daemon::start(&self.node, &start, &format!("{PLACE}/log"), &self.client(&["version"]))
    }

    /// `run` of a container until its process, that of these words, has ended; the status is the caller's to judge.
    pub fn run_to_end(&self, options: &[&str], words: &[&str]) -> Result<Output> {
        self.call(&[&["run", "--rm"], options, &["rootfs"], words].concat())
    }

    /// `run --detach` of a container that sleeps for an hour; the status is the caller's to judge.
    pub fn run(&self, name: &str, options: &[&str]) -> Result<Output> {
        let begin = ["run", "--detach", "--name", name];
        self.call(&[&begin, options, &["rootfs", "/bin/sleep", "3600"]].concat())
    }

    /// The call of its client with these words; the status is the caller's to judge.
    pub fn call(&self, words: &[&str]) -> Result<Output> {
        self.client(words).run(self.node.namespaces())
    }

    /// Whether the daemon's types have `linux.netDevices`.
    pub fn knows_net_devices(&self) -> Result<bool> {
        knows_net_devices(&program("dockerd")?)
    }

    fn client(&self, words: &[&str]) -> Invocation {
        let words = [self.docker.as_str()].iter().chain(words).copied().collect::<Vec<_>>();
        Invocation { env: self.env.clone(), ..Invocation::command(&words) }
    }
}

/// The runtime is `tested`, and `runtimes` are there besides.
fn settings(runtime: &Runtime, runtimes: &Value) -> Value {
    let mut settings = json!({
        "data-root": format!("{PLACE}/root"), "storage-driver": "vfs", "default-runtime": "tested",
        "bridge": "none", "iptables": false, "ip6tables": false, "userland-proxy": false,
    });
    settings["runtimes"] = runtimes.clone();
    settings["runtimes"]["tested"] = json!({"path": runtime.path});
    settings
}
