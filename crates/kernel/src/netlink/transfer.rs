//! Moving a link to another network namespace.
//!
//! One message asks for the move, the name, the index and the alias, and it is **not** one change: the kernel moves the
//! link under its old name, or under a name of its choice where that is taken, and goes on to rename it (`do_setlink` of
//! `net/core/rtnetlink.c`). An error may therefore leave the link on either side, under either name; who gets one looks
//! for the link by its index. What the kernel drops on the way: addresses, routes, neighbours, the master, queueing
//! disciplines and sysctls. It arrives down.

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_bindings::rt_link::{Ifinfomsg, Request};

use super::{Socket, link};
use crate::error::Result;

/// A move.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// Index of the link where it is.
    pub index: u32,
    /// What the link is called where it is, for errors.
    pub name: &'a str,
    /// Where it goes.
    pub netns: BorrowedFd<'a>,
    /// Its name there.
    pub new_name: &'a str,
    /// Its index there; the kernel's choice if unset, and before 5.13 anyway: the same if that is free.
    pub new_index: Option<u32>,
    /// Its alias there, the same as here if unset; an empty one removes it.
    pub alias: Option<&'a str>,
}

/// Moves a link.
///
/// # Errors
/// `EEXIST` if a name is taken, `EBUSY` if the index is, `EINVAL` with the kernel's words if the link stays where it was
/// made. The link may have moved all the same.
pub fn transfer(socket: &mut Socket, transfer: &Transfer<'_>) -> Result<()> {
    let header = Ifinfomsg { ifi_index: transfer.index.cast_signed(), ..Ifinfomsg::new() };
    let mut request = Request::new().op_newlink_do(&header);
    let mut attributes = request
        .encode()
        .push_net_ns_fd(transfer.netns.as_raw_fd().unsigned_abs())
        .push_ifname_bytes(transfer.new_name.as_bytes());
    if let Some(index) = transfer.new_index {
        attributes = attributes.push_new_ifindex(index.cast_signed());
    }
    if let Some(alias) = transfer.alias {
        attributes = attributes.push_ifalias_bytes(alias.as_bytes());
    }
    drop(attributes);
    socket.change(&request, transfer)
}

/// Takes a link down that is about to be moved. The move would do that too, and then wait for the end of everything that the
/// link had, all at once (`rcu_barrier`): done before, it is over a millisecond earlier on two processors.
///
/// # Errors
/// `ENODEV` if there is none of this index; the kernel's words otherwise.
pub fn take_down(socket: &mut Socket, index: u32, name: &str) -> Result<()> {
    link::set(socket, index, name, &link::Change { up: Some(false), ..link::Change::default() })
}

impl fmt::Display for Transfer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "move link {} to another namespace as {}", self.name, self.new_name)
    }
}
