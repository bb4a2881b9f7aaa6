//! The door for the fuzzer (`cfg(fuzzing)`, which cargo-fuzz sets): a socket that the kernel is not behind.

use super::{Family, OwnedFd, RECEIVE_BUFFER, Socket};

impl Socket {
    /// A socket of which the other end gives the kernel's answers.
    pub fn over(fd: OwnedFd, family: Family) -> Self {
        let protocol = if family == Family::Route { libc::NETLINK_ROUTE } else { libc::NETLINK_NETFILTER };
        Self { fd, sequence: 0, buffer: Vec::with_capacity(RECEIVE_BUFFER), protocol: protocol as u16 }
    }
}
