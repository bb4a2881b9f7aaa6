//! Which network namespace is which, across processes.

use kernel::Result;
use kernel::netns::Netns;
use serde::{Deserialize, Serialize};

/// A network namespace, until the machine is started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Device of its file.
    pub device: u64,
    /// Inode of its file, as `lsns` shows it; another namespace may have it once this one is gone.
    pub inode: u64,
    /// Its number, which no other has had; `None` before Linux 5.14.
    #[serde(default)]
    pub cookie: Option<u64>,
}

impl Place {
    /// Identifies `netns`; `cookie` is what [`kernel::Socket::netns_cookie`] says there.
    ///
    /// # Errors
    /// What `fstat(2)` says.
    pub fn of(netns: &Netns, cookie: Option<u64>) -> Result<Self> {
        let (device, inode) = netns.inode()?;
        Ok(Self { device, inode, cookie })
    }

    /// True if both are the same namespace.
    pub fn is(&self, other: &Self) -> bool {
        match (self.cookie, other.cookie) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => (self.device, self.inode) == (other.device, other.inode),
        }
    }
}
