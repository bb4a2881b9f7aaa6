//! Kernel settings below `/proc/sys`, by key in slash form (`net/ipv4/ip_forward`).
//!
//! Keys of `net/` are those of the calling thread's network namespace. A key may hold the name of an interface, which
//! nobody has checked: one that would climb out of `/proc/sys` is refused. `/proc/sys` may be read-only, so a value that
//! is already there is not written. Keys: <https://docs.kernel.org/admin-guide/sysctl/index.html>.

use std::fmt::Display;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, Result, sys};

/// More than any value has but the long lists of ports.
const USUAL: usize = 1024;

/// The key of a setting of one interface, `net/ipv4/conf/eth0/rp_filter`; `family` is `ipv4` or `ipv6`.
pub fn interface(family: &str, ifname: &str, key: &str) -> String {
    format!("net/{family}/conf/{ifname}/{key}")
}

/// Reads a setting, without the newline at its end.
///
/// # Errors
/// `ENOENT` if the kernel has no such key, `EINVAL` if it is no key at all.
pub fn get(path: &str) -> Result<String> {
    let what = format_args!("read sysctl {path}");
    let file = open(path, OFlags::RDONLY, &what)?;
    read(&file, &what)
}

/// Sets a setting, unless it has this value already; true if it was changed.
///
/// # Errors
/// `ENOENT` if the kernel has no such key, `EROFS` if `/proc/sys` is read-only and the value differs, `EINVAL` if the
/// kernel refuses the value or it is no key at all.
pub fn set(path: &str, value: &str) -> Result<bool> {
    let what = format_args!("set sysctl {path} to {value}");
    let file = match open(path, OFlags::RDWR, &what) {
        Ok(file) => match read(&file, &what) {
            Ok(there) if is_same(&there, value) => return Ok(false),
            // A secret that was never set cannot be read.
            Ok(_) => file,
            Err(error) if error.errno == libc::EIO => file,
            Err(error) => return Err(error),
        },
        Err(error) if !matches!(error.errno, libc::EROFS | libc::EACCES | libc::EPERM) => return Err(error),
        Err(_) if get(path).is_ok_and(|there| is_same(&there, value)) => return Ok(false),
        // Some keys (`net/ipv4/route/flush`) can only be written.
        Err(_) => open(path, OFlags::WRONLY, &what)?,
    };
    write(&file, value, &what)?;
    Ok(true)
}

/// The settings that belong together: those of one interface, of which there are dozens.
pub struct Directory {
    path: String,
    fd: OwnedFd,
}

impl Directory {
    /// Opens the directory `path` (`net/ipv4/conf/eth0`).
    ///
    /// # Errors
    /// `ENOENT` if there is none, `EINVAL` if it is no key at all.
    pub fn open(path: impl Into<String>) -> Result<Self> {
        let path = path.into();
        let fd = open(&path, OFlags::RDONLY | OFlags::DIRECTORY, &format_args!("open sysctls {path}"))?;
        Ok(Self { path, fd })
    }

    /// Reads the setting `key`, without the newline at its end.
    ///
    /// # Errors
    /// As those of [`get`].
    pub fn get(&self, key: &str) -> Result<String> {
        let what = format_args!("read sysctl {}/{key}", self.path);
        if !is_key(key) || key.contains('/') {
            return Err(Error::new(what, libc::EINVAL));
        }
        // From here on, not from the root: most of the cost of a setting is the way to it.
        let opened = rustix::fs::openat(&self.fd, key, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        read(&opened.map_err(sys(what))?, &what)
    }

    /// The keys of its settings, in no order. To be asked once: the directory is read to its end.
    ///
    /// # Errors
    /// What `getdents(2)` says.
    pub fn keys(&self) -> Result<Vec<String>> {
        let what = format_args!("list sysctls {}", self.path);
        let mut keys = Vec::new();
        // Room for all there are.
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut entries = rustix::fs::RawDir::new(&self.fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(sys(what))?;
            keys.extend(entry.file_name().to_str().ok().filter(|name| is_key(name)).map(str::to_owned));
        }
        Ok(keys)
    }
}

/// True if both are the same words: the kernel separates the numbers of a list by tabs.
pub fn is_same(there: &str, wanted: &str) -> bool {
    there.split_ascii_whitespace().eq(wanted.split_ascii_whitespace())
}

fn open(path: &str, access: OFlags, what: &dyn Display) -> Result<OwnedFd> {
    if !is_key(path) {
        return Err(Error::new(what, libc::EINVAL));
    }
    rustix::fs::open(format!("/proc/sys/{path}"), access | OFlags::CLOEXEC, Mode::empty()).map_err(sys(what))
}

/// True if `path` names something below `/proc/sys` and nothing else.
fn is_key(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
}

/// Reads a value whole in one call: most keys show nothing from any offset but 0.
fn read(file: &OwnedFd, what: &dyn Display) -> Result<String> {
    // On the stack, since a device has hundreds of them.
    let (mut usual, mut long) = ([0; USUAL], Vec::new());
    let mut value: &mut [u8] = &mut usual;
    loop {
        let length = rustix::io::pread(file, &mut *value, 0).map_err(sys(what))?;
        if length < value.len() {
            return Ok(String::from_utf8_lossy(&value[..length]).trim_end().to_owned());
        }
        let more = value.len() * 8;
        long.resize(more, 0);
        value = &mut long;
    }
}

/// Writes a value from offset 0 on, in one call but for lists of ports, of which the kernel takes a page at a time.
fn write(file: &OwnedFd, value: &str, what: &dyn Display) -> Result<()> {
    // The kernel is not even called for nothing: what empties a value is an empty line.
    let bytes = if value.is_empty() { b"\n" } else { value.as_bytes() };
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::pwrite(file, &bytes[written..], written as u64).map_err(sys(what))? {
            0 => return Err(Error::new(what, libc::EIO)),
            more => written += more,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_below_proc_sys() {
        assert!(is_key("net/ipv4/ip_forward") && is_key(&interface("ipv6", "eth0.100", "accept_ra")));
        for path in ["", "/", "/net", "net//x", "net/", "..", "net/../kernel/x", "net/./x", "net/\0/x"] {
            assert!(!is_key(path), "{path:?}");
        }
        for ifname in ["", "..", ".", "../../../kernel", "a/../b", "\0"] {
            assert_eq!(get(&interface("ipv4", ifname, "forwarding")).unwrap_err().errno, libc::EINVAL, "{ifname:?}");
            assert_eq!(set(&interface("ipv4", ifname, "forwarding"), "1").unwrap_err().errno, libc::EINVAL);
        }
    }

    #[test]
    fn lists_compare_by_words() {
        assert!(is_same("32768\t60999", "32768 60999") && is_same("1", "1\n") && is_same("", ""));
        assert!(!is_same("1", "11") && !is_same("1 2", "1") && !is_same("1", ""));
    }
}
