//! The network namespace of a run.
//!
//! It has no name: netferry holds it open, and plugins reach it as `/proc/<netferry>/fd/<n>`. A bind mount would be
//! copied into every mount namespace that is made meanwhile and keep the network alive there; `/proc/<pid>/ns/net` of
//! the command would be gone before DEL. What is held open by a descriptor goes away with netferry, even by SIGKILL.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;

use kernel::netlink::link::{self, Change};
use kernel::netns::Netns;
use kernel::{Family, Socket};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// `lo` is the first link of every namespace.
const LOOPBACK: u32 = 1;

/// A new namespace, with `lo` up and nothing else.
pub struct Namespace {
    netns: Netns,
}

impl Namespace {
    /// Makes one; the calling thread stays where it is.
    ///
    /// # Errors
    /// `EPERM` without CAP_SYS_ADMIN; what the kernel says about `lo`.
    pub fn create() -> io::Result<Self> {
        // A thread of its own: only its namespace changes, and there is no way back that could fail.
        let made = std::thread::Builder::new().spawn(|| {
            // SAFETY: a network namespace is no property that other threads' memory or descriptors depend on.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            loopback_up()?;
            Netns::current().map_err(io::Error::other)
        })?;
        let netns = made.join().map_err(|_| io::Error::other("the thread that makes the namespace panicked"))??;
        Ok(Self { netns })
    }

    /// The path under which other processes find it while this one lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.netns.as_fd().as_raw_fd())
    }

    /// Whether the process `pid` is inside.
    pub fn contains(&self, pid: u32) -> bool {
        let ours = rustix::fs::fstat(&self.netns);
        let theirs = std::fs::metadata(format!("/proc/{pid}/ns/net"));
        matches!((ours, theirs), (Ok(ours), Ok(theirs)) if (ours.st_dev, ours.st_ino) == (theirs.dev(), theirs.ino()))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }
}

/// Brings up `lo` of the calling thread's namespace.
///
/// # Errors
/// What the kernel says.
pub fn loopback_up() -> io::Result<()> {
    let up = Change { up: Some(true), ..Change::default() };
    let mut socket = Socket::open(Family::Route).map_err(io::Error::other)?;
    link::set(&mut socket, LOOPBACK, "lo", &up).map_err(io::Error::other)
}
