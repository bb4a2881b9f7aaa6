//! An OCI bundle on a node: a configuration for a small container, in a directory of its own.
//!
//! Contract: it works with every runtime of [`crate::Runtime::all`] on a kernel without CAP_SYS_RESOURCE and without controllers
//! for resources. Everything is below the bundle's directory in the node's private /run, and goes with it; the root file
//! system is one for all, and read-only. See bundle.md and config.md of the runtime specification.

use crate::error::{Error, Result};
use crate::node::Node;
use crate::runtime::laid_out;
use serde_json::{Value, json};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A directory with a `config.json` on a node. Gone when this is dropped.
pub struct Bundle {
    node: Node,
    id: String,
    directory: PathBuf,
}

impl Bundle {
    /// The bundle of a container `id` that sleeps for an hour in namespaces of its own, once `config` has had its way.
    ///
    /// # Errors
    /// There is no root file system: run `cargo xtask test`. The node has such a bundle, or can have no cgroup.
    pub fn new(node: &Node, id: &str, config: impl FnOnce(&mut Value)) -> Result<Bundle> {
        let rootfs = laid_out()?.join("rootfs");
        if !rootfs.exists() {
            return Err(Error::new(format!("{}: not there: cargo xtask test", rootfs.display())));
        }
        node.own_cgroup()?;
        let mut document = sleeper(&rootfs, id);
        config(&mut document);
        let directory = Bundle::directory(id);
        let made = node.namespaces().inside(|| std::fs::create_dir(&directory))?;
        made.map_err(Error::during(directory.display()))?;
        let bundle = Bundle { node: node.clone(), id: id.to_owned(), directory };
        bundle.write("config.json", 0o600, &document.to_string())?;
        Ok(bundle)
    }

    /// Where the bundle of `id` is on its node, for what a configuration says about it.
    pub fn directory(id: &str) -> PathBuf {
        Path::new("/run").join(format!("bundle-{id}"))
    }

    /// The node it is on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The id of its container.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it is on its node.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Writes a file of the bundle, with these permissions.
    pub fn write(&self, name: &str, mode: u32, contents: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        let written = self.node.namespaces().inside(|| {
            let mut file =
                std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(&path)?;
            std::io::Write::write_all(&mut file, contents.as_bytes())
        })?;
        written.map_err(Error::during(path.display()))?;
        Ok(path)
    }

    /// What is in a file of the bundle.
    pub fn read(&self, name: &str) -> Result<String> {
        let path = self.directory.join(name);
        let read = self.node.namespaces().inside(|| std::fs::read_to_string(&path))?;
        read.map_err(Error::during(path.display()))
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // It goes with the node at the latest.
        let _ = self.node.namespaces().inside(|| std::fs::remove_dir_all(&self.directory));
    }
}

fn sleeper(rootfs: &Path, id: &str) -> Value {
    let mut env = vec!["PATH=/bin".to_owned()];
    env.extend(std::env::var(crate::report::RUN).map(|run| format!("{}={run}", crate::report::RUN)));
    json!({
        "ociVersion": "1.0.2",
        "process": {"cwd": "/", "user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "3600"], "env": env},
        "root": {"path": rootfs, "readonly": true},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]}
        ],
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}]
        }
    })
}
