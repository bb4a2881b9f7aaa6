//! Plugins that were at work when their netferry was killed.
//!
//! Nobody will read their result, and a DEL beside an ADD that still goes on would undo only half of it. So they are
//! ended first. They are known by their environment, which names the container.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long the kernel may take to end a process that was killed.
const PATIENCE: Duration = Duration::from_secs(2);
const INTERVAL: Duration = Duration::from_millis(1);

/// Ends every plugin that works for `container_id`, and waits until it is gone.
pub fn end(container_id: &str) {
    let variable = format!("CNI_CONTAINERID={container_id}");
    let is_its = |pid: &Pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
    };
    let plugins: Vec<Pid> = processes().into_iter().filter(is_its).collect();
    for plugin in &plugins {
        let _ = kill_process(*plugin, Signal::KILL);
    }
    let mut waited = Duration::ZERO;
    // What is dead has no environment any more, even while nobody has waited for it.
    while waited < PATIENCE && plugins.iter().any(is_its) {
        std::thread::sleep(INTERVAL);
        waited += INTERVAL;
    }
}

fn processes() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}
