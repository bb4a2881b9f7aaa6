//! containerd on a node, with its client ctr, and with what other clients call by gRPC.
//!
//! Contract: what it keeps is in a private tmpfs on the node's /dev/shm, and so in no snapshot; its sockets, its bundles and the
//! runtime's state are in /run, where they are by default. It, its shims and its containers live in the node's cgroup, and go
//! with the node. No containers have CPU shares, for which that cgroup has no controller. See containerd-config.toml(5), ctr(8).

use crate::daemon;
use crate::error::Result;
use crate::grpc::{self, Message};
use crate::node::Node;
use crate::process::{Invocation, Output};
use crate::runtime::{Runtime, knows_net_devices, laid_out, program};
use std::path::Path;

const PLACE: &str = "/dev/shm/containerd";

/// The image that containers of the CRI are made of: the root file system, as `docker save` writes one.
const IMAGE: &str = r#"
    tar -C rootfs -cf layer.tar .
    echo '{"architecture":"amd64","os":"linux","config":{"Cmd":["/bin/sleep","3600"]},"rootfs":{"type":"layers","diff_ids":["sha256:'$(
        sha256sum layer.tar | cut -c-64)'"]}}' > config.json
    echo '[{"Config":"config.json","RepoTags":["rootfs:1"],"Layers":["layer.tar"]}]' > manifest.json
    tar -cf image.tar manifest.json config.json layer.tar"#;

/// The network of pods.
const NETWORK: &str = r#"{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"ptp","ipam":{
    "type":"host-local","ranges":[[{"subnet":"10.99.0.0/24"}]],"dataDir":"/dev/shm/containerd/ipam"}}]}"#;

/// containerd, with one runtime.
pub struct Containerd {
    node: Node,
    runtime: Runtime,
    ctr: String,
    env: Vec<(String, String)>,
}

impl Containerd {
    /// The name of [`Containerd::import`]'s image.
    pub const IMAGE: &str = "docker.io/library/rootfs:1";

    /// containerd on a node that has none yet. What is called as `runtime` is for ctr to say; the CRI is told by `settings`,
    /// which go into config.toml.
    ///
    /// # Errors
    /// It is not there: run `cargo xtask test`. The node can have no cgroup. It does not start.
    pub fn new(node: &Node, runtime: &Runtime, settings: &str) -> Result<Containerd> {
        let programs = laid_out()?;
        let ctr = program("ctr")?.display().to_string();
        let script = format!(
            "mount -t tmpfs tmpfs /dev/shm; mkdir -p {PLACE}/cni; cd {PLACE}
            echo '{NETWORK}' > cni/10-pods.conflist; cp -a {} rootfs; cat > config.toml",
            programs.join("rootfs").display()
        );
        let mut prepare = Invocation::command(&["sh", "-ec", &script]);
        prepare.stdin = (self::settings() + settings).into_bytes();
        prepare.run(node.namespaces())?.success()?;
        let env = daemon::environment(&programs, &runtime.env);
        let containerd = Containerd { node: node.clone(), runtime: runtime.clone(), ctr, env };
        let words = [&program("containerd")?.display().to_string(), "--config", &format!("{PLACE}/config.toml")];
        let start = Invocation { env: containerd.env.clone(), ..Invocation::command(&words) };
        daemon::start(node, &start, &format!("{PLACE}/log"), &containerd.ctr(&["version"]))?;
        Ok(containerd)
    }

    /// `run` of a container that sleeps for an hour; the status is the caller's to judge.
    pub fn run(&self, id: &str, options: &[&str]) -> Result<Output> {
        self.run_with(&[&["--detach"], options].concat(), id, &["/bin/sleep", "3600"])
    }

    /// `run` of a container until its process, that of these words, has ended; the status is the caller's to judge.
    pub fn run_to_end(&self, id: &str, options: &[&str], words: &[&str]) -> Result<Output> {
        self.run_with(&[&["--rm"], options].concat(), id, words)
    }

    /// The call of ctr with these words; the status is the caller's to judge.
    pub fn call(&self, words: &[&str]) -> Result<Output> {
        self.ctr(words).run(self.node.namespaces())
    }

    /// The first process of a container that is in the namespace `default`, or in another that `options` name.
    ///
    /// # Errors
    /// There is none.
    pub fn pid(&self, options: &[&str], id: &str) -> Result<u32> {
        let tasks = self.call(&[options, &["tasks", "list"]].concat())?.success()?;
        let of = |line: &str| line.strip_prefix(id)?.split_whitespace().next()?.parse().ok();
        tasks.stdout.lines().find_map(of).ok_or_else(|| crate::Error::new(format!("{id}: {}", tasks.describe())))
    }

    /// Whether ctr's types have `linux.netDevices`; what it does not know of a configuration it leaves out.
    pub fn knows_net_devices(&self) -> Result<bool> {
        knows_net_devices(Path::new(&self.ctr))
    }

    /// Calls a service of its; those of containers are asked about the namespace `default`, as ctr asks them.
    ///
    /// # Errors
    /// The call fails: the text has the service's own.
    pub fn grpc(&self, method: &str, message: &Message) -> Result<String> {
        let socket = "/run/containerd/containerd.sock";
        grpc::call(self.node.namespaces(), socket, method, &["containerd-namespace: default"], message)
    }

    /// Gives the CRI an image.
    pub fn import(&self) -> Result<()> {
        self.node.run(["sh", "-ec", &format!("cd {PLACE}; {IMAGE}")])?;
        // By the client: the daemon's own way needs the platforms of its default snapshotter.
        let words = ["--namespace", "k8s.io", "images", "import", "--local", "--snapshotter", "native"];
        self.call(&[&words[..], &[&format!("{PLACE}/image.tar")]].concat())?.success()?;
        Ok(())
    }

    fn run_with(&self, options: &[&str], id: &str, words: &[&str]) -> Result<Output> {
        let (runtime, rootfs) = (self.runtime.path.display().to_string(), format!("{PLACE}/rootfs"));
        // youki wants a PATH, and there is no image to say one.
        let begin = ["run", "--cpu-shares", "0", "--env", "PATH=/bin", "--runc-binary", &runtime];
        self.call(&[&begin, options, &["--rootfs", &rootfs, id], words].concat())
    }

    fn ctr(&self, words: &[&str]) -> Invocation {
        let words = [self.ctr.as_str()].iter().chain(words).copied().collect::<Vec<_>>();
        Invocation { env: self.env.clone(), ..Invocation::command(&words) }
    }
}

/// Without CAP_SYS_RESOURCE no score can be lowered, and what it makes outside its root by default is not for a node.
fn settings() -> String {
    let plugins = std::env::var("NETFERRY_CNI_DIR").unwrap_or_default();
    format!(
        r#"version = 3
root = "{PLACE}/root"
[plugins."io.containerd.internal.v1.opt"]
  path = "{PLACE}/opt"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native"
  pinned_images = {{sandbox = "{}"}}
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  cni = {{bin_dirs = ["{plugins}"], conf_dir = "{PLACE}/cni"}}
"#,
        Containerd::IMAGE
    )
}
