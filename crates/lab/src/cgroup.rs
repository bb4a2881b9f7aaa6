//! A node's own cgroup, in which its OCI containers live and with which they die.
//!
//! The node sees its cgroup as the root of a cgroup2 hierarchy at /sys/fs/cgroup, whatever the machine has there (crun from
//! 1.21 on runs in no hybrid layout). No controller is handed down to it, so no runtime turns one on for the whole machine. A
//! process outside the node reads a pipe and, when the test ends in any way, kills what is in the cgroup and removes it. See
//! cgroups(7), Documentation/admin-guide/cgroup-v2.rst.

use crate::error::{Error, Result};
use crate::netns::{Namespaces, mount};
use std::ffi::CString;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const ROOT: &std::ffi::CStr = c"/sys/fs/cgroup";

/// `$0` is the name of the cgroup. A line on standard output says that it is there. The kernel mounts nothing upon itself:
/// hence the tmpfs between. A cgroup that was killed can be removed when its last process has been buried.
const KEEPER: &str = r#"
    mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit
    cd /sys/fs/cgroup && mkdir "$0" || exit
    echo; exec >/dev/null; cat
    echo 1 > "$0/cgroup.kill"
    for turn in $(seq 250); do
        find "$0" -depth -type d -exec rmdir {} + 2>/dev/null; [ -d "$0" ] || exit 0
        sleep 0.02
    done
    echo "the cgroup $0 cannot be removed" >&2; exit 1
"#;

/// The cgroup of one node. Gone, with everything in it, when this is dropped.
pub(crate) struct Cgroup {
    keeper: Child,
}

impl Cgroup {
    /// Makes a cgroup, and shows it to those in `node`.
    ///
    /// # Errors
    /// The kernel has no cgroup2, or one cannot be made; that needs root.
    pub(crate) fn new(node: &Namespaces) -> Result<Cgroup> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let run = std::env::var(crate::report::RUN).unwrap_or_default();
        let name = format!("lab-{run}-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let fail = || format!("make the cgroup {name}");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", KEEPER, &name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        crate::report::mark(&mut command);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut cgroup = Cgroup { keeper: command.spawn().map_err(Error::during(fail()))? };
        let said = cgroup.keeper.stdout.as_mut().map(|stdout| stdout.read(&mut [0]));
        match said.transpose().map_err(Error::during(fail()))? {
            Some(1) => {}
            _ => return Err(Error::new(format!("{}: the kernel needs cgroup2, and the test root", fail()))),
        }
        let own = CString::new(format!("/sys/fs/cgroup/{name}")).map_err(Error::during(fail()))?;
        let shown = node.inside(|| {
            mount(c"cgroup2", ROOT, c"cgroup2", 0)?;
            mount(&own, ROOT, c"none", libc::MS_BIND)
        })?;
        shown.map_err(Error::during(fail()))?;
        Ok(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It says itself what it could not do.
        let _ = self.keeper.wait();
    }
}
