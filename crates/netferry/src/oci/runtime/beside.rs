//! netferry beside the runtime that creates a container with devices.
//!
//! A runtime may give up behind our hook and call no hook of the end: so does crun if the container's program is missing, or if
//! it is killed. Then nobody but us is there to bring the devices home. So the runtime is a child, with everything that a
//! process hands on; signals reach it, and its end is ours.

use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use ferry::{Journal, Returned};
use oci::hook;
use oci::hook::ahead::{Ahead, Arrived, Underway};
use oci::wrapper::{Call, Container};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitStatus, waitid};

use super::log;
use super::process::become_program;
use crate::child;
use crate::oci::bundle;
use crate::signals::Signals;

/// The process that systemd has given sockets (`sd_listen_fds(3)`).
const LISTEN_PID: &str = "LISTEN_PID";

/// A call of the runtime that creates a container with devices.
pub struct Beside<'a> {
    /// The program.
    pub runtime: &'a Path,
    /// What it is called with.
    pub args: &'a [OsString],
    /// What of that is understood.
    pub call: &'a Call,
    /// The container.
    pub container: &'a Container,
    /// Where its devices are written down, at an absolute path.
    pub journal: &'a Journal,
}

impl Beside<'_> {
    /// Has the runtime create the container, and carries `ahead` meanwhile; ends as the runtime does. If there is no container
    /// then, its devices come home.
    ///
    /// # Errors
    /// The devices cannot be carried, where that must be done first; the system has no process for the runtime.
    pub fn run(&self, ahead: Option<Ahead>) -> Result<ExitCode, Vec<String>> {
        let is_placed = ahead.as_ref().is_some_and(|ahead| ahead.place().is_some());
        let journey = match ahead {
            Some(ahead) if ahead.is_first => ahead.carry().map(|underway| Some(Journey::Underway(underway))),
            ahead => Ok(ahead.map(Journey::Ahead)),
        };
        let journey = journey.map_err(|failure| self.refused(vec![failure.to_string()], is_placed))?;
        let failed = |error: io::Error| format!("run the runtime {}: {error}", self.runtime.display());
        let parent = rustix::process::getpid();
        let (signals, child) = match Signals::block().and_then(|signals| Ok((signals, fork()?))) {
            Ok((signals, None)) => {
                hand_on_sockets(parent);
                let begun = child::begin(parent, &signals).map_err(failed);
                let problem = begun.err().unwrap_or_else(|| become_program(self.runtime, self.args));
                log::complain(self.call, &[problem]);
                // Everything is the parent's to end.
                std::mem::forget(journey);
                return Ok(ExitCode::FAILURE);
            }
            Ok((signals, Some(child))) => (signals, child),
            Err(error) => {
                let left = journey.and_then(|journey| journey.abandon().err()).unwrap_or_default();
                return Err(self.refused(std::iter::once(failed(error)).chain(left).collect(), is_placed));
            }
        };
        let carried = journey.map(|journey| journey.go_on(child));
        let status = child::wait_for(child, &signals);
        let mut problems = carried.map_or(Vec::new(), |carried| self.end(carried, status));
        if is_placed {
            problems.extend(self.unplace().err());
        }
        if status.exit_status() != Some(0) {
            problems.extend(self.give_up().err());
        }
        if !problems.is_empty() {
            log::complain(self.call, &problems);
        }
        Ok(end_as(status, &signals))
    }

    /// What is wrong before there is a runtime, and whether the configuration can be as it was.
    fn refused(&self, mut problems: Vec<String>, is_placed: bool) -> Vec<String> {
        if is_placed {
            problems.extend(self.unplace().err());
        }
        problems
    }

    /// Brings home what was carried ahead, if no hook has claimed it; returns what is to be said.
    fn end(&self, carried: Result<Option<Arrived>, Vec<String>>, status: WaitStatus) -> Vec<String> {
        let has_failed = status.exit_status() != Some(0);
        let is_home = match carried {
            Ok(None) => true,
            Ok(Some(arrived)) => match arrived.end(self.journal) {
                Ok(None) => false,
                Ok(Some(returned)) => {
                    tell(&returned);
                    true
                }
                Err(failure) => return vec![failure.to_string()],
            },
            // The hook has tried it once more; only if that has failed too, somebody wants to know.
            Err(why) => return if has_failed { why } else { Vec::new() },
        };
        let no_hook =
            || format!("{} has called no hook: the container's devices are home again", self.runtime.display());
        if is_home && !has_failed { vec![no_hook()] } else { Vec::new() }
    }

    fn unplace(&self) -> Result<(), String> {
        let config = &self.container.config;
        bundle::unplace(config, self.journal).map_err(|error| format!("{}: {error}", config.display()))
    }

    /// Brings home what a container has that does not exist.
    fn give_up(&self) -> Result<(), String> {
        let Container { id, bundle, .. } = self.container;
        let failed = |error: &dyn Display| format!("bring home the devices of {id}: {error}");
        // The hook names it by the path without links, which nobody can ask for without a directory.
        let bundle = if bundle == Path::new("") { Path::new(".") } else { bundle };
        let bundle = bundle.canonicalize().map_err(|error| failed(&error))?;
        if hook::has_devices(self.journal, id, &bundle).map_err(|error| failed(&error))?
            && !self.exists().map_err(|error| failed(&error))?
        {
            tell(&hook::stop(self.journal, id, &bundle).map_err(|error| failed(&error))?);
        }
        Ok(())
    }

    /// True if the runtime has such a container: what was asked for was to create it once more.
    fn exists(&self) -> io::Result<bool> {
        let id = &self.container.id;
        let mut command = Command::new(self.runtime);
        command.args(&self.call.global).arg("state").args(id.starts_with('-').then_some("--")).arg(id);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status()?.success())
    }
}

/// Another process like this one; `None` in that.
fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has one thread, so that the other has everything that it needs.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(Pid::from_raw(child)),
    }
}

/// How far devices are that go ahead.
enum Journey {
    Ahead(Ahead),
    Underway(Underway),
}

impl Journey {
    /// Carries them, unless the runtime has ended already.
    ///
    /// # Errors
    /// Why not, and what could not be put back.
    fn go_on(self, runtime: Pid) -> Result<Option<Arrived>, Vec<String>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if !matches!(waitid(WaitId::Pid(runtime), options), Ok(None)) {
            return self.abandon().map(|()| None);
        }
        let underway = match self {
            Self::Ahead(ahead) => ahead.carry(),
            Self::Underway(underway) => Ok(underway),
        };
        let arrived = underway.and_then(Underway::arrive).map_err(|failure| vec![failure.to_string()])?;
        arrived.notes.iter().for_each(|note| eprintln!("netferry: {note}"));
        Ok(Some(arrived))
    }

    fn abandon(self) -> Result<(), Vec<String>> {
        match self {
            Self::Ahead(ahead) => ahead.abandon(),
            Self::Underway(underway) => underway.abandon(),
        }
    }
}

fn tell(returned: &[Returned]) {
    for one in returned {
        one.notes.iter().for_each(|note| eprintln!("netferry: {}: {note}", one.device));
    }
}

/// In the child: sockets are for the process that is named.
fn hand_on_sockets(parent: Pid) {
    if std::env::var(LISTEN_PID).is_ok_and(|named| named == parent.to_string()) {
        // SAFETY: this process has one thread.
        unsafe { std::env::set_var(LISTEN_PID, rustix::process::getpid().to_string()) };
    }
}

fn end_as(status: WaitStatus, signals: &Signals) -> ExitCode {
    if let Some(signal) = status.terminating_signal() {
        signals.end_by(signal);
    }
    ExitCode::from(child::exit_code(status))
}
