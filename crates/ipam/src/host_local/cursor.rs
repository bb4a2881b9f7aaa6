//! Where round robin goes on: the file `last_reserved_ip.<set>`, which holds one address as text.

use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags};
use rustix::io::{Errno, Result, pwrite, read};

use super::files;

/// The file `last_reserved_ip.<set>`.
#[derive(Debug, Default)]
pub struct Cursor {
    file: Option<OwnedFd>,
    length: usize,
    /// The address that was given last, if the file says one.
    pub last: Option<IpAddr>,
}

impl Cursor {
    /// Opens the file of range set `set`, and makes it where there is none if `change`.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub fn open(dir: BorrowedFd<'_>, set: usize, change: bool) -> Result<Self> {
        let flags = if change { OFlags::RDWR | OFlags::CREATE } else { OFlags::RDONLY };
        let name = format!("last_reserved_ip.{set}");
        let file = match fs::openat(dir, name, flags | files::HERE, Mode::RUSR | Mode::WUSR) {
            Err(Errno::NOENT) if !change => return Ok(Self::default()),
            other => other?,
        };
        let mut buffer = [0; 64];
        let length = read(&file, &mut buffer)?;
        let last = std::str::from_utf8(&buffer[..length]).ok().and_then(cni::net::parse_ip);
        Ok(Self { file: Some(file), length, last })
    }

    /// Says that `ip` was given last. A crash in here moves the place where the next search begins, and nothing else.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn advance(&self, ip: IpAddr) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = ip.to_string();
        pwrite(file, text.as_bytes(), 0)?;
        if self.length > text.len() { fs::ftruncate(file, text.len() as u64) } else { Ok(()) }
    }
}
