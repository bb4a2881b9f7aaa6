//! Removing a link without waiting for the kernel's grace periods.
//!
//! `RTM_DELLINK` is answered only after `netdev_run_todo` has waited for every reader of the device to leave: 10 to
//! 40 ms, after RTNL was released and long after everything that anybody can see was done: when the kernel *announces*
//! the removal (`RTNLGRP_LINK`, 0.3 ms) the link is unlisted, its name is free and the other end of a veth is gone. So a
//! detached child sends the request and waits for the answer; the caller returns at the announcement, or with the
//! child's error, which the kernel gives before any wait. Closing an nfnetlink socket after a deletion blocks for the
//! same reason: the child holds the last descriptor of those as well.
//!
//! The child is a `fork` without `exec` that makes nothing but system calls; if there can be none, or it is killed, the
//! caller removes the link itself, and waits.

use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use netlink_bindings::traits::NetlinkRequest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use crate::error::{Error, Result, sys};
use crate::netlink::{Family, Socket, link, socket};

/// How long to wait for an announcement before looking for oneself: announcements can be lost under load (`ENOBUFS`).
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// `RTMGRP_LINK`: the multicast group of link announcements, as a bit of the address.
const RTMGRP_LINK: u32 = 1;
const RTM_DELLINK: u16 = libc::RTM_DELLINK;
/// Longer than any acknowledgement of `RTM_DELLINK` (`NETLINK_CAP_ACK`).
const ACKNOWLEDGEMENT: usize = 512;

/// Children that may not have ended yet: a caller that lives on takes note of their ends when it makes the next.
static CHILDREN: Mutex<Vec<libc::pid_t>> = Mutex::new(Vec::new());

/// Removes link `index` and returns when the kernel announces that it is gone. `held` are descriptors whose closing may
/// block: the detached child keeps them until the kernel is done, so that the caller's own close is not the last.
///
/// # Errors
/// `ENODEV` if there is no such link; the kernel's words otherwise.
pub fn remove(socket: &mut Socket, index: u32, name: &str, held: &[BorrowedFd<'_>]) -> Result<()> {
    let Ok((mut announcements, child)) = request(index, held) else {
        // Out of processes or descriptors: then the wait is ours.
        return link::remove(socket, index, name);
    };
    match watch(socket, &mut announcements, &child, index, &format_args!("delete link {name}")) {
        Ok(Some(outcome)) => outcome,
        // The child was killed, or could not be watched. Its request may have been served all the same.
        Ok(None) | Err(_) => {
            link::remove(socket, index, name).or_else(|error| if error.is_absent() { Ok(()) } else { Err(error) })
        }
    }
}

/// Listens, and then has a child send the request.
fn request(index: u32, held: &[BorrowedFd<'_>]) -> Result<(Socket, OwnedFd)> {
    let announcements = Socket::open(Family::Route)?;
    announcements.join_groups(RTMGRP_LINK)?;
    Ok((announcements, detach(Some(&removal_of(index)), held)?))
}

/// Waits until the link is gone or the child reports; `None` if the child ended without a report.
fn watch(
    socket: &mut Socket,
    announcements: &mut Socket,
    child: &OwnedFd,
    index: u32,
    what: &dyn Display,
) -> Result<Option<Result<()>>> {
    loop {
        let (announced, reported) = wait(announcements, child)?;
        if announced && is_announced(announcements, index)? {
            return Ok(Some(Ok(())));
        }
        if reported {
            return Ok(report(child, what));
        }
        if !announced && link::get_by_index(socket, index)?.is_none() {
            return Ok(Some(Ok(())));
        }
    }
}

/// Lets a detached child close `held`, whose closing would block the caller.
///
/// # Errors
/// What `fork(2)` says; the descriptors are then closed by the caller, who waits.
pub fn let_go(held: &[BorrowedFd<'_>]) -> Result<()> {
    detach(None, held).map(drop)
}

/// The whole message that removes link `index`.
fn removal_of(index: u32) -> Vec<u8> {
    let request = link::remove_request(index);
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    let mut message = socket::header(request.payload().len(), RTM_DELLINK, flags, 1).to_vec();
    message.extend_from_slice(request.payload());
    message
}

/// Waits for either; both `false` after [`PATIENCE`].
fn wait(announcements: &Socket, child: &OwnedFd) -> Result<(bool, bool)> {
    let mut fds = [PollFd::new(announcements, PollFlags::IN), PollFd::new(child, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&PATIENCE)) {
            Ok(_) => return Ok((!fds[0].revents().is_empty(), !fds[1].revents().is_empty())),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(sys("wait for the removal of a link")(errno)),
        }
    }
}

/// Reads one datagram of announcements; true if it says that `index` is gone.
fn is_announced(announcements: &mut Socket, index: u32) -> Result<bool> {
    let mut gone = false;
    let read = announcements.receive_raw(&"read link announcements", |kind, payload| {
        // struct ifinfomsg: family, pad, type, index. Family AF_BRIDGE announces only that a port left its bridge.
        let (family, named) = (payload.first(), payload.get(4..8).and_then(|bytes| bytes.first_chunk()));
        gone |=
            kind == RTM_DELLINK && family == Some(&0) && named.is_some_and(|bytes| u32::from_ne_bytes(*bytes) == index);
    });
    match read {
        // Announcements were lost: the caller looks for itself in a moment.
        Err(error) if error.errno == libc::ENOBUFS => Ok(false),
        outcome => outcome.map(|()| gone),
    }
}

/// What the child reported: the kernel's acknowledgement, or `None` if it ended without one.
fn report(child: &OwnedFd, what: &dyn Display) -> Option<Result<()>> {
    let mut buffer = [0; ACKNOWLEDGEMENT];
    let (length, _) = rustix::net::recv(child, &mut buffer[..], RecvFlags::empty()).ok()?;
    let acknowledgement = buffer.get(..length).filter(|bytes| !bytes.is_empty())?;
    socket::acknowledged(acknowledgement, what)
}

/// Forks a child in a session of its own that sends `message`, reports the answer, and ends. Returns the end of the
/// socket pair that the report arrives at.
fn detach(message: Option<&[u8]>, held: &[BorrowedFd<'_>]) -> Result<OwnedFd> {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(sys("make a socket pair"))?;
    let mut kept: Vec<RawFd> = held.iter().map(AsRawFd::as_raw_fd).collect();
    kept.push(theirs.as_raw_fd());
    kept.sort_unstable();
    reap();
    // SAFETY: the child runs `child`, which makes system calls on memory prepared here and allocates nothing, so it may
    // be the copy of a process with other threads; it never returns.
    match unsafe { libc::fork() } {
        -1 => Err(Error::io("fork", &std::io::Error::last_os_error())),
        0 => child(message, &kept, theirs.as_fd().as_raw_fd()),
        pid => {
            CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
            Ok(ours)
        }
    }
}

/// Lets go of the children that have ended: they would be zombies as long as the caller lives.
fn reap() {
    // SAFETY: asks for the status of a child of this process, without waiting and without a place to write it to.
    let lives = |pid: &libc::pid_t| unsafe { libc::waitpid(*pid, std::ptr::null_mut(), libc::WNOHANG) } == 0;
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).retain(lives);
}

/// The child. Every descriptor but `kept` is closed first: a lock or a pipe of the caller's must not outlive it.
fn child(message: Option<&[u8]>, kept: &[RawFd], report: RawFd) -> ! {
    // SAFETY: plain system calls on descriptors and on buffers that live to the end of the process.
    unsafe {
        libc::setsid();
        let mut next: RawFd = 0;
        for fd in kept {
            if *fd > next {
                libc::syscall(libc::SYS_close_range, next, fd - 1, 0);
            }
            next = fd + 1;
        }
        libc::syscall(libc::SYS_close_range, next, u32::MAX, 0);
        if let Some(message) = message {
            let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE);
            let on: i32 = 1;
            for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
                libc::setsockopt(fd, libc::SOL_NETLINK, option, (&raw const on).cast(), size_of::<i32>() as u32);
            }
            let mut answer = [0_u8; ACKNOWLEDGEMENT];
            // A request that cannot be sent has no answer to wait for: the end without a report says enough.
            let sent = libc::send(fd, message.as_ptr().cast(), message.len(), 0);
            let length = if sent < 0 { sent } else { libc::recv(fd, answer.as_mut_ptr().cast(), answer.len(), 0) };
            if let Ok(length) = usize::try_from(length) {
                libc::send(report, answer.as_ptr().cast(), length, libc::MSG_NOSIGNAL);
            }
        }
        // Ends the process and closes what it held, which is where the wait is.
        libc::_exit(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_one_whole_message() {
        let message = removal_of(7);
        assert_eq!(message.len(), 32, "a header and an ifinfomsg");
        assert_eq!(message[0..4], 32_u32.to_ne_bytes());
        assert_eq!(message[4..6], RTM_DELLINK.to_ne_bytes());
        assert_eq!(message[6..8], 5_u16.to_ne_bytes(), "a request that is acknowledged");
        assert_eq!(message[20..24], 7_i32.to_ne_bytes());
    }

    #[test]
    fn a_report_keeps_the_words_of_the_kernel() {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a socket pair");
        let text = b"No, thank you\0\0\0";
        let flags = (libc::NLM_F_CAPPED | libc::NLM_F_ACK_TLVS) as u16;
        let mut answer = socket::header(4 + 16 + 4 + text.len(), libc::NLMSG_ERROR as u16, flags, 1).to_vec();
        answer.extend((-libc::EBUSY).to_ne_bytes());
        answer.extend(socket::header(16, RTM_DELLINK, 5, 1));
        answer.extend(18_u16.to_ne_bytes());
        answer.extend(1_u16.to_ne_bytes());
        answer.extend(text);
        rustix::net::send(&theirs, &answer, rustix::net::SendFlags::empty()).expect("a report");
        let error = report(&ours, &"delete link eth0").expect("a report").expect_err("a refusal");
        assert_eq!(error.to_string(), "delete link eth0: Device or resource busy (No, thank you)");
        drop(theirs);
        assert_eq!(report(&ours, &"delete link eth0"), None, "the child ended without a report");
    }
}
