//! Whether the tests left the machine as it was: links, named namespaces, nftables tables, mounts, cgroups, and processes of
//! the run.

use crate::shell::output;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The variable every process of a run carries; `lab` passes it on.
pub const RUN: &str = "NETFERRY_TEST_RUN";

/// How long what is on its way out may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is on the machine and was not made by the tests.
pub struct Before(BTreeSet<String>);

/// Looks before the tests.
pub fn before() -> Before {
    Before(things())
}

impl Before {
    /// What is there now and was not before, and the cgroups and processes marked with `run`; once those that let go of
    /// a socket on the next beat of a second (`kernel::depart`) have had their time.
    pub fn left(&self, run: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let new = things().difference(&self.0).cloned().collect::<Vec<_>>();
            let left = [new, cgroups(run), processes(run)].concat();
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn things() -> BTreeSet<String> {
    let named = |kind: &str, text: String| {
        let names: Vec<String> = text.lines().map(|line| format!("{kind} {}", line.trim())).collect();
        names
    };
    let links = output(&["ip", "-o", "link", "show"]);
    // `2: eth0: <...`: the flags may change by themselves.
    let links = links.lines().filter_map(|line| line.split(": ").nth(1)).map(|name| format!("link {name}"));
    let namespaces = named("namespace", output(&["ip", "netns", "list"]));
    let tables = named("nft", output(&["nft", "list", "tables"]));
    let mounts = mounts();
    let mounts = mounts.lines().filter_map(point).map(|point| format!("mount {point}"));
    links.chain(namespaces).chain(tables).chain(mounts).collect()
}

/// The cgroups of the run, by their names: they are at the top of the hierarchy, as are those of other runs.
fn cgroups(run: &str) -> Vec<String> {
    let mark = format!("lab-{run}-");
    let mounts = mounts();
    let roots = mounts.lines().filter(|line| line.contains(" - cgroup2 ")).filter_map(point);
    let directories = roots.flat_map(std::fs::read_dir).flatten().flatten();
    let left = directories.filter(|entry| entry.file_name().to_string_lossy().starts_with(&mark));
    left.map(|entry| format!("cgroup {}", entry.path().display())).collect()
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// Where a line of `mountinfo` says that it is mounted.
fn point(line: &str) -> Option<&str> {
    line.split(' ').nth(4)
}

fn processes(run: &str) -> Vec<String> {
    let mark = format!("{RUN}={run}");
    let marked = |pid: u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let listed = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let found = pids.filter(|pid| *pid != std::process::id() && marked(*pid)).map(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        format!("process {pid} {}", String::from_utf8_lossy(&words).replace('\0', " "))
    });
    found.collect()
}
