//! The node and its containers.
//!
//! A node is a holder process (`cat` on a pipe) in a fresh network namespace and a private mount namespace: tmpfs on
//! /run and /var/lib so that state files are its own, sysfs mounted again so that it shows this namespace's devices.
//! A container is a network namespace bound at /run/netns/NAME inside the node's mount namespace, so that it is a
//! file like a runtime's, and vanishes with the node. The pipe closes when the test ends in any way, SIGKILL
//! included; parent-death signals would follow the *thread* that made the node instead.

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::netns::{Namespaces, loopback_up, mount};
use crate::process::{Invocation, Output};
use crate::snapshot::Snapshot;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// A network namespace that plays the host. Gone, with everything in it, when the last handle is dropped.
#[derive(Clone)]
pub struct Node {
    holder: Arc<Holder>,
}

struct Holder {
    process: Child,
    namespaces: Namespaces,
    /// Dropped last: what the node's runtimes run.
    cgroup: Mutex<Option<Cgroup>>,
}

/// A container's network namespace on a node. Its `lo` is down, as a runtime leaves it.
pub struct Container {
    node: Node,
    namespaces: Namespaces,
    path: PathBuf,
}

impl Node {
    /// A fresh node with `lo` up.
    ///
    /// # Errors
    /// Namespaces cannot be made; that needs root.
    pub fn new() -> Result<Node> {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        crate::report::mark(&mut command);
        // SAFETY: between fork and exec `isolate` makes system calls only and allocates nothing.
        unsafe { command.pre_exec(isolate) };
        let process = command.spawn().map_err(Error::during("make a node (are you root?)"))?;
        let namespaces = Namespaces::of_process(process.id())?;
        crate::report::namespace_test();
        Ok(Node { holder: Arc::new(Holder { process, namespaces, cgroup: Mutex::default() }) })
    }

    /// A fresh container whose namespace path ends in `name`.
    pub fn container(&self, name: &str) -> Result<Container> {
        let path = Path::new("/run/netns").join(name);
        self.namespaces().inside(|| bind_new_netns(&path))??;
        let namespaces = self.namespaces().with_net(&path)?;
        Ok(Container { node: self.clone(), namespaces, path })
    }

    /// The node's namespaces.
    pub fn namespaces(&self) -> &Namespaces {
        &self.holder.namespaces
    }

    /// The process whose namespaces these are.
    pub fn pid(&self) -> u32 {
        self.holder.process.id()
    }

    /// Runs a command inside and returns its output; a status other than 0 is an error.
    pub fn run<S: AsRef<str>>(&self, command: impl AsRef<[S]>) -> Result<Output> {
        Invocation::command(command.as_ref()).run(self.namespaces())?.success()
    }

    /// Everything the kernel and the private directories hold now.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::take(self.namespaces(), &[Path::new("/run"), Path::new("/var/lib")])
    }

    /// Gives the node a cgroup, unless it has one.
    pub(crate) fn own_cgroup(&self) -> Result<()> {
        let mut cgroup = self.holder.cgroup.lock().unwrap_or_else(PoisonError::into_inner);
        if cgroup.is_none() {
            *cgroup = Some(Cgroup::new(self.namespaces())?);
        }
        Ok(())
    }

    /// The processes that run in this node, besides its holder.
    pub fn processes(&self) -> Vec<u32> {
        let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let holder = self.pid();
        let Some(ours) = namespace(holder) else { return Vec::new() };
        let listed = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| *pid != holder && namespace(*pid).as_ref() == Some(&ours)).collect()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // A process left in the namespaces would keep them; those of this mount namespace were started through us. A holder that
        // has ended does not tell which that is.
        let node = std::fs::read_link(format!("/proc/{}/ns/mnt", self.process.id()));
        drop(self.process.stdin.take());
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let same =
                node.as_ref().is_ok_and(|n| std::fs::read_link(entry.path().join("ns/mnt")).is_ok_and(|m| m == *n));
            if let (true, Some(pid)) = (same, entry.file_name().to_str().and_then(|name| name.parse().ok())) {
                // SAFETY: kill takes integers.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
        // The status of a killed holder says nothing.
        let _ = self.process.wait();
    }
}

impl Container {
    /// The value of CNI_NETNS: a path of the node's mount namespace.
    pub fn path(&self) -> &str {
        self.path.to_str().unwrap_or_default()
    }

    /// The container's network namespace, seen from the node's mount namespace.
    pub fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// Runs a command inside and returns its output; a status other than 0 is an error.
    pub fn run<S: AsRef<str>>(&self, command: impl AsRef<[S]>) -> Result<Output> {
        Invocation::command(command.as_ref()).run(&self.namespaces)?.success()
    }

    /// Everything the kernel holds in the container now; it has no files of its own.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::take(&self.namespaces, &[])
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let path = &self.path;
        // When the node has gone, so has the file.
        let _ = self.node.namespaces().inside(|| {
            if let Ok(target) = CString::new(path.as_os_str().as_bytes()) {
                // SAFETY: the path ends in NUL and lives through the call.
                unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
            }
            std::fs::remove_file(path)
        });
    }
}

fn isolate() -> std::io::Result<()> {
    // SAFETY: unshare takes an integer.
    if unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE)?;
    mount(c"sysfs", c"/sys", c"sysfs", 0)?;
    mount(c"tmpfs", c"/run", c"tmpfs", 0)?;
    mount(c"tmpfs", c"/var/lib", c"tmpfs", 0)?;
    // SAFETY: the path ends in NUL.
    if unsafe { libc::mkdir(c"/run/netns".as_ptr(), 0o755) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    loopback_up()
}

fn bind_new_netns(path: &Path) -> Result<()> {
    std::fs::File::create_new(path).map_err(Error::during(path.display()))?;
    let target = CString::new(path.as_os_str().as_bytes()).map_err(Error::during(path.display()))?;
    // SAFETY: unshare takes an integer; it moves this thread alone, which ends after this function.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(Error::last_os("make a network namespace"));
    }
    mount(c"/proc/thread-self/ns/net", &target, c"none", libc::MS_BIND).map_err(Error::during(path.display()))
}
