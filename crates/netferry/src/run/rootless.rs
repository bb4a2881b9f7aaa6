//! A host of one's own, for whoever is not root: a user namespace in which the caller is root, and a network namespace
//! in it that plays the host. It has no uplink, and it is gone with the run.

use std::fs;
use std::io;

use rustix::process::{getegid, geteuid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::namespace::loopback_up;

/// Moves this process, which must have a single thread, into the new namespaces.
///
/// # Errors
/// What refused: the system's limits on user namespaces, or a security module.
pub fn enter() -> io::Result<()> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    // SAFETY: there is one thread, and neither namespace concerns memory or descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET) }
        .map_err(|errno| about("make a user namespace", &errno.into()))?;
    // Since Linux 3.19 a group may be mapped by the unprivileged only after giving up setgroups(2).
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))?;
    loopback_up()
}

fn write(path: &str, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(|error| about(&format!("write {path}"), &error))
}

fn about(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
