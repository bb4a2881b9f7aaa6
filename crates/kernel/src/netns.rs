//! Network namespaces: opened by path, entered for the length of one call.
//!
//! A netlink socket stays in the namespace in which it was opened and can be used from anywhere, so a namespace is
//! entered only to open a socket and to touch `/proc/sys/net`, which shows the namespace of whoever opens it.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Error, Result, sys};

/// Mode 0600, and one in each namespace.
const LOCKED: &str = "/proc/sys/net/ipv4/tcp_fastopen_key";
/// Of `linux/nsfs.h`: the user namespace that owns a namespace.
const NS_GET_USERNS: libc::Ioctl = 0xb701;
/// `NSFS_MAGIC` of `linux/magic.h`: the filesystem of namespace files.
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// `PROC_SUPER_MAGIC`: before Linux 3.19 namespace files were on procfs.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// An open network namespace.
pub struct Netns {
    fd: OwnedFd,
}

/// Why a path is not a usable network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenError {
    /// Nothing is at the path: the namespace is gone.
    Absent(Error),
    /// Something is, but it is no namespace. The text is Go's, which software compares.
    NotNamespace(String),
    /// It could not be opened.
    Failed(Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(error) | Self::Failed(error) => error.fmt(f),
            Self::NotNamespace(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for OpenError {}

impl Netns {
    /// Opens the namespace at `path`: a bind mount, or `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// [`OpenError`]. `Absent` is what a removal may take for success.
    pub fn open(path: &Path) -> std::result::Result<Self, OpenError> {
        let what = || format!("open network namespace {}", path.display());
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|errno| {
            let error = Error::new(what(), errno.raw_os_error());
            if error.is_absent() { OpenError::Absent(error) } else { OpenError::Failed(error) }
        })?;
        let found = rustix::fs::fstatfs(&fd).map_err(|errno| OpenError::Failed(sys(what())(errno)))?;
        let magic = found.f_type as u64;
        if magic != NSFS_MAGIC && magic != PROC_SUPER_MAGIC {
            return Err(OpenError::NotNamespace(format!("unknown FS magic on \"{}\": {magic:x}", path.display())));
        }
        Ok(Self { fd })
    }

    /// Opens the calling thread's own namespace.
    ///
    /// # Errors
    /// `ENOENT` without `/proc`.
    pub fn current() -> Result<Self> {
        // thread-self, not self: the namespace is a thread's, and /proc/self shows the main thread's.
        let fd = rustix::fs::open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(sys("open the current network namespace"))?;
        Ok(Self { fd })
    }

    /// Makes a namespace, which goes with its last descriptor.
    ///
    /// # Errors
    /// `EPERM` without the right to; what starting a thread says.
    pub fn fresh() -> Result<Self> {
        let what = "make a network namespace";
        let make = move || {
            // SAFETY: no descriptor table is unshared, and the thread ends here.
            unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.map_err(sys(what))?;
            Self::current()
        };
        let thread = std::thread::Builder::new().spawn(make).map_err(|error| Error::io(what, &error))?;
        thread.join().unwrap_or_else(|_| Err(Error::new(what, libc::ECHILD)))
    }

    /// Another descriptor of the same namespace.
    ///
    /// # Errors
    /// What `fcntl(2)` says.
    pub fn try_clone(&self) -> Result<Self> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).map_err(sys("keep a network namespace open"))?;
        Ok(Self { fd })
    }

    /// True if both are the same namespace.
    ///
    /// # Errors
    /// What `fstat(2)` says.
    pub fn is_same(&self, other: &Self) -> Result<bool> {
        Ok(self.inode()? == other.inode()?)
    }

    /// The device and inode of the namespace's file. Another namespace may have them once this one is gone; see
    /// [`crate::Socket::netns_cookie`].
    ///
    /// # Errors
    /// What `fstat(2)` says.
    pub fn inode(&self) -> Result<(u64, u64)> {
        let stat = rustix::fs::fstat(&self.fd).map_err(sys("identify a network namespace"))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// The device and inode of the user namespace that owns this one: who has rights there may do here what they like.
    ///
    /// # Errors
    /// What `ioctl_nsfs(2)` says.
    pub fn owner(&self) -> Result<(u64, u64)> {
        let failed = || Error::io("find the owner of a network namespace", &std::io::Error::last_os_error());
        // SAFETY: the descriptor is open, and the request has no argument.
        let fd = unsafe { libc::ioctl(self.fd.as_raw_fd(), NS_GET_USERNS) };
        if fd < 0 {
            return Err(failed());
        }
        // SAFETY: the kernel has just opened it for us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let stat = rustix::fs::fstat(&fd).map_err(sys("identify a user namespace"))?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// Keeps the namespace alive at `path`, an empty file that nothing is mounted on.
    ///
    /// # Errors
    /// What `mount(2)` says.
    pub fn pin(&self, path: &Path) -> Result<()> {
        let from = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        rustix::mount::mount_bind(from, path)
            .map_err(sys(format_args!("keep a network namespace at {}", path.display())))
    }

    /// Moves the calling thread into this namespace, to stay.
    ///
    /// # Errors
    /// `EPERM` without the right to enter.
    pub fn enter(&self) -> Result<()> {
        move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(sys("enter a network namespace"))
    }

    /// Runs `f` with the calling thread inside this namespace, and comes back to `home`.
    ///
    /// The process is aborted if it cannot come back: nothing that follows could be trusted.
    ///
    /// # Errors
    /// `EPERM` without the right to enter; what `f` returns otherwise.
    pub fn run<T>(&self, home: &Self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        let enter = |ns: &Self| move_into_link_name_space(ns.fd.as_fd(), Some(LinkNameSpaceType::Network));
        enter(self).map_err(sys("enter the container's network namespace"))?;
        let outcome = f();
        if enter(home).is_err() {
            eprintln!("netferry: cannot return to the host's network namespace");
            std::process::abort();
        }
        outcome
    }
}

/// Lets go of what [`Netns::pin`] keeps at `path`; the file stays. Nothing mounted there is success.
///
/// # Errors
/// What `umount2(2)` says.
pub fn unpin(path: &Path) -> Result<()> {
    use rustix::mount::UnmountFlags;
    match rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
        Err(errno) => Err(sys(format_args!("let go of what is mounted at {}", path.display()))(errno)),
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A lock of the network namespace that it was opened in, held until it is dropped.
///
/// It is an `flock(2)` on a sysctl of the namespace that root alone may open: no file is left behind, each namespace has
/// its own, and nobody without rights can hold up those who have some, as with the namespace's own file, which anybody
/// may open and lock.
pub struct Lock {
    fd: OwnedFd,
}

impl Lock {
    /// Opens the calling thread's namespace for locking.
    ///
    /// # Errors
    /// `ENOENT` if the kernel has no such sysctl (before 4.15, or without `/proc/sys`).
    pub fn open() -> Result<Self> {
        let fd = rustix::fs::open(LOCKED, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(sys(format_args!("open {LOCKED} to lock the network namespace")))?;
        Ok(Self { fd })
    }

    /// Marks the namespace for as long as this lock is open, in whatever process. Marks are shared, and have nothing to do
    /// with the lock itself: they are another kind of lock of the same file (`F_OFD_SETLK`, `fcntl_locking(2)`).
    ///
    /// # Errors
    /// What `fcntl(2)` says.
    pub fn mark(&self) -> Result<()> {
        self.record_lock(libc::F_OFD_SETLK, libc::F_RDLCK).map(drop)
    }

    /// True if another lock of this namespace [marks](Lock::mark) it.
    ///
    /// # Errors
    /// What `fcntl(2)` says.
    pub fn is_marked(&self) -> Result<bool> {
        // Asks what would be in the way of an exclusive lock; where nothing is, it says "unlock".
        Ok(self.record_lock(libc::F_OFD_GETLK, libc::F_WRLCK)?.l_type != libc::F_UNLCK as libc::c_short)
    }

    fn record_lock(&self, operation: libc::c_int, kind: libc::c_int) -> Result<libc::flock> {
        // SAFETY: a structure of numbers, for which all zero is the whole file from its start.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = kind as libc::c_short;
        // SAFETY: the descriptor is open, and the kernel reads and writes nothing but `lock`.
        match unsafe { libc::fcntl(self.fd.as_raw_fd(), operation, &raw mut lock) } {
            -1 => Err(Error::io("mark the network namespace", &std::io::Error::last_os_error())),
            _ => Ok(lock),
        }
    }

    /// Waits for the lock, alone or shared with others who share it; a second call changes from the one to the other.
    ///
    /// # Errors
    /// What `flock(2)` says.
    pub fn take(&self, alone: bool) -> Result<()> {
        let kind = if alone { FlockOperation::LockExclusive } else { FlockOperation::LockShared };
        loop {
            match rustix::fs::flock(&self.fd, kind) {
                Err(rustix::io::Errno::INTR) => {}
                outcome => return outcome.map_err(sys("lock the network namespace")),
            }
        }
    }
}
