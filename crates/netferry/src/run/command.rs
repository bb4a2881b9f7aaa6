//! The command of a run: started inside the namespace, waited for, and cleaned up after.
//!
//! It is a [`child`] of netferry, and dies with it. Processes that it leaves behind in the namespace are ended, since their
//! network ends.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, waitpid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::namespace::Namespace;
use crate::child;
use crate::signals::Signals;

/// What `sh` and `env` exit with when the command cannot be executed.
const CANNOT_EXECUTE: u8 = 126;
/// What `sh` and `env` exit with when there is no such command.
const NOT_FOUND: u8 = 127;

/// Runs `words` in `namespace` until it ends; returns the exit code to end with.
///
/// # Errors
/// The command could not be started: the code that a shell would exit with, and why.
pub fn run(words: &[OsString], namespace: &Namespace, signals: &Signals) -> Result<u8, (u8, io::Error)> {
    let Some((program, arguments)) = words.split_first() else {
        return Err((NOT_FOUND, io::Error::other("no command")));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    let (netns, signals_inside, parent) = (namespace.as_fd().as_raw_fd(), *signals, rustix::process::getpid());
    let begin = move || enter(netns).and_then(|()| child::begin(parent, &signals_inside));
    // SAFETY: what runs between fork and exec is system calls only, and `netns` stays open in this process.
    unsafe { command.pre_exec(begin) };
    // Orphans of the command become children of netferry, which then can find and end them.
    let _ = set_child_subreaper(Some(rustix::process::getpid()));
    let child = command.spawn().map_err(|error| {
        let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_EXECUTE };
        (code, io::Error::new(error.kind(), format!("{}: {error}", program.display())))
    })?;
    let status = child::wait_for(Pid::from_child(&child), signals);
    end_orphans(namespace);
    Ok(child::exit_code(status))
}

/// In the child: enter the namespace.
fn enter(netns: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open in this copy of the process, which ends or executes something else.
    let netns = unsafe { std::os::fd::BorrowedFd::borrow_raw(netns) };
    Ok(move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?)
}

fn end_orphans(namespace: &Namespace) {
    while let Some(orphan) = children().into_iter().find(|pid| namespace.contains(pid.as_raw_pid().cast_unsigned())) {
        if kill_process(orphan, Signal::KILL).is_err() {
            return;
        }
        let _ = waitpid(Some(orphan), WaitOptions::empty());
    }
}

fn children() -> Vec<Pid> {
    let process = rustix::process::getpid();
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|word| Pid::from_raw(word.parse().ok()?)).collect()
}
