//! A program that runs for us, and that we outlive: it has our terminal, process group, directory and environment, gets our
//! signals, and dies with us.

use std::io;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, set_parent_process_death_signal, wait};

use crate::signals::Signals;

/// What a shell adds to the number of a signal that ended a program.
pub const BY_SIGNAL: i32 = 128;

/// In the child, before it becomes the program: dies with its `parent` from here on (`PR_SET_PDEATHSIG`), and has the signals as
/// they were before they were blocked. Nothing but system calls.
///
/// # Errors
/// The parent is dead already; whatever the system said.
pub fn begin(parent: Pid, signals: &Signals) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != Some(parent) {
        return Err(io::Error::other("netferry died"));
    }
    signals.unblock()
}

/// Waits until `child` has ended, and passes signals on to it. Other children, which orphans may become, are waited for as well.
pub fn wait_for(child: Pid, signals: &Signals) -> WaitStatus {
    loop {
        // Everything that ended is taken, since SIGCHLD does not queue; orphans go unremarked.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == child {
                return status;
            }
        }
        signals.wait_and_forward(child);
    }
}

/// What a shell would exit with for a program that ended so.
pub fn exit_code(status: WaitStatus) -> u8 {
    let code = match status.terminating_signal() {
        Some(signal) => BY_SIGNAL + signal,
        None => status.exit_status().unwrap_or(BY_SIGNAL),
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}
