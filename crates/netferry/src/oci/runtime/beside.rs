//! netferry beside the runtime that creates a container with devices.
//!
//! A runtime may give up behind our hook and call no hook of the end: so does crun if the container's program is missing, or if
//! it is killed. Then nobody but us is there to bring the devices home. So the runtime is a child, with everything that a
//! process hands on; signals reach it, and its end is ours.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use ferry::Journal;
use oci::hook;
use oci::wrapper::{Call, Container};
use rustix::process::{Pid, WaitStatus};

use super::log;
use super::process::become_program;
use crate::child;
use crate::signals::Signals;

/// The process that systemd has given sockets (`sd_listen_fds(3)`).
const LISTEN_PID: &str = "LISTEN_PID";
/// What a shell adds to the number of a signal.
const BY_SIGNAL: i32 = 128;

/// Has the runtime create the container, called with `args`, and ends as it does. If there is no container then, its devices
/// come home.
///
/// # Errors
/// The system has no process for it.
pub fn run(
    runtime: &Path,
    args: &[OsString],
    call: &Call,
    container: &Container,
    journal: &Journal,
) -> Result<ExitCode, String> {
    let failed = |error: io::Error| format!("run the runtime {}: {error}", runtime.display());
    let signals = Signals::block().map_err(failed)?;
    let parent = rustix::process::getpid();
    // SAFETY: this process has one thread, so the child has everything that it needs.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(failed(io::Error::last_os_error())),
        0 => {
            hand_on_sockets(parent);
            let begun = child::begin(parent, &signals).map_err(failed);
            log::complain(call, &[begun.err().unwrap_or_else(|| become_program(runtime, args))]);
            return Ok(ExitCode::FAILURE);
        }
        child => Pid::from_raw(child).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?,
    };
    let status = child::wait_for(child, &signals);
    if status.exit_status() != Some(0)
        && let Err(problem) = give_up(runtime, call, container, journal)
    {
        log::complain(call, &[problem]);
    }
    Ok(end_as(status, &signals))
}

/// In the child: sockets are for the process that is named.
fn hand_on_sockets(parent: Pid) {
    if std::env::var(LISTEN_PID).is_ok_and(|named| named == parent.to_string()) {
        // SAFETY: this process has one thread.
        unsafe { std::env::set_var(LISTEN_PID, rustix::process::getpid().to_string()) };
    }
}

/// Brings home what a container has that does not exist.
fn give_up(runtime: &Path, call: &Call, container: &Container, journal: &Journal) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("bring home the devices of {}: {error}", container.id);
    // The hook names it by the path without links, which nobody can ask for without a directory.
    let bundle = if container.bundle == Path::new("") { Path::new(".") } else { &container.bundle };
    let bundle = bundle.canonicalize().map_err(|error| failed(&error))?;
    if !hook::has_devices(journal, &container.id, &bundle).map_err(|error| failed(&error))?
        || exists(runtime, call, &container.id).map_err(|error| failed(&error))?
    {
        return Ok(());
    }
    for one in hook::stop(journal, &container.id, &bundle).map_err(|error| failed(&error))? {
        one.notes.iter().for_each(|note| eprintln!("netferry: {}: {note}", one.device));
    }
    Ok(())
}

/// True if the runtime has such a container: what was asked for was to create it once more.
fn exists(runtime: &Path, call: &Call, id: &str) -> io::Result<bool> {
    let mut command = Command::new(runtime);
    command.args(&call.global).arg("state").args(id.starts_with('-').then_some("--")).arg(id);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.status()?.success())
}

fn end_as(status: WaitStatus, signals: &Signals) -> ExitCode {
    let code = match status.terminating_signal() {
        Some(signal) => {
            signals.end_by(signal);
            BY_SIGNAL + signal
        }
        None => status.exit_status().unwrap_or(BY_SIGNAL),
    };
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
