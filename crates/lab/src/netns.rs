//! Handles on namespaces, and work done inside them.
//!
//! Contract: the calling thread never changes namespace. [`Namespaces::inside`] starts a thread, moves that thread
//! with setns(2) and lets it end there, so tests run in parallel in one process. See namespaces(7), setns(2): a thread
//! may enter a mount namespace only after it has stopped sharing its file system attributes (CLONE_FS).

use crate::error::{Error, Result};
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

/// A network namespace and the mount namespace it is looked at from.
#[derive(Clone)]
pub struct Namespaces {
    net: Arc<File>,
    mnt: Arc<File>,
}

impl Namespaces {
    /// The namespaces of the process `pid`.
    pub fn of_process(pid: u32) -> Result<Namespaces> {
        let open = |kind: &str| {
            let path = format!("/proc/{pid}/ns/{kind}");
            File::open(&path).map(Arc::new).map_err(Error::during(path))
        };
        Ok(Namespaces { net: open("net")?, mnt: open("mnt")? })
    }

    /// The network namespace at `path`, a path of this mount namespace, with the same mount namespace.
    pub fn with_net(&self, path: &Path) -> Result<Namespaces> {
        let net = self.inside(|| File::open(path))?.map_err(Error::during(path.display()))?;
        Ok(Namespaces { net: Arc::new(net), mnt: self.mnt.clone() })
    }

    /// Runs `work` on a thread inside, and returns what it returned. A panic of `work` is passed on.
    ///
    /// # Errors
    /// The namespaces cannot be entered.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let joined = std::thread::scope(|scope| {
            let name = std::thread::current().name().unwrap_or("lab").to_owned();
            let thread = std::thread::Builder::new().name(name).spawn_scoped(scope, || {
                self.enter()?;
                Ok(work())
            });
            thread.map(|thread| thread.join())
        });
        match joined.map_err(Error::during("start a thread"))? {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn enter(&self) -> Result<()> {
        // SAFETY: unshare and setns take integers; the descriptors are open, owned by `self`.
        let failed = unsafe {
            libc::unshare(libc::CLONE_FS) != 0
                || libc::setns(self.mnt.as_raw_fd(), libc::CLONE_NEWNS) != 0
                || libc::setns(self.net.as_raw_fd(), libc::CLONE_NEWNET) != 0
        };
        if failed { Err(Error::last_os("enter the namespaces (are you root?)")) } else { Ok(()) }
    }
}

/// mount(2) with the last OS error as the error. Allocates nothing: it is called between fork and exec.
pub(crate) fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: libc::c_ulong) -> std::io::Result<()> {
    // SAFETY: the three strings end in NUL and live through the call; no data is passed.
    let failed = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) != 0 };
    if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Brings `lo` of the calling thread's network namespace up, by SIOCSIFFLAGS. Allocates nothing.
pub(crate) fn loopback_up() -> std::io::Result<()> {
    // SAFETY: an all-zero ifreq is a valid value of a plain C structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_LOOPBACK) as libc::c_short;
    // SAFETY: the ioctl reads one ifreq, which lives through the call; the socket is closed here and nowhere else.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if socket < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let failed = libc::ioctl(socket, libc::SIOCSIFFLAGS as libc::Ioctl, &request) != 0;
        let error = std::io::Error::last_os_error();
        libc::close(socket);
        if failed { Err(error) } else { Ok(()) }
    }
}
