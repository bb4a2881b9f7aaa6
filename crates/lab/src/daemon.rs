//! A daemon on a node, such as an engine of containers.
//!
//! Contract: it is in a cgroup of the node's, and so is what it starts and puts nowhere else; what forks twice and belongs to
//! nobody, as a shim does, ends with the node all the same, however the test ended. See cgroups(7).

use crate::error::{Error, Result};
use crate::node::Node;
use crate::process::Invocation;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(15);

/// `$0` is the log, the other words are the daemon. Prints its process; it has no process of ours to wait for it.
const BEGIN: &str = r#"
    mkdir -p /sys/fs/cgroup/daemons
    (echo 0 > /sys/fs/cgroup/daemons/cgroup.procs && exec "$@") > "$0" 2>&1 &
    echo $!"#;

/// Starts `daemon` on a node; what it says goes to the file `log`. It is there when `question` has the status 0.
///
/// # Errors
/// The node can have no cgroup. It ended, or does not answer: the text has its log.
pub(crate) fn start(node: &Node, daemon: &Invocation, log: &str, question: &Invocation) -> Result<()> {
    node.own_cgroup()?;
    let program = daemon.program.display().to_string();
    let words = ["sh", "-ec", BEGIN, log, &program].into_iter().chain(daemon.args.iter().map(String::as_str));
    let begin = Invocation { env: daemon.env.clone(), ..Invocation::command(&words.collect::<Vec<_>>()) };
    let pid = begin.run(node.namespaces())?.success()?.stdout;
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = question.run(node.namespaces())?;
        if answer.status.success() {
            return Ok(());
        }
        let is_there = Path::new("/proc").join(pid.trim()).exists();
        if !is_there || Instant::now() > end {
            let said = node.namespaces().inside(|| std::fs::read_to_string(log))?.unwrap_or_default();
            let what = if is_there { "does not answer" } else { "has ended" };
            return Err(Error::new(format!("{program} {what}: {}\n{said}", answer.describe())));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The environment in which an engine finds the programs that belong to it.
pub(crate) fn environment(programs: &Path, more: &[(String, String)]) -> Vec<(String, String)> {
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display());
    [("PATH".to_owned(), path)].into_iter().chain(more.iter().cloned()).collect()
}
