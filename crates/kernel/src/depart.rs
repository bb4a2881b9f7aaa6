//! Removing a link without waiting for the kernel's grace periods.
//!
//! `RTM_DELLINK` is answered only after `netdev_run_todo` has waited for every reader of the device to leave: 10 to
//! 40 ms, after RTNL was released and long after everything that anybody can see was done: when the kernel *announces*
//! the removal (`RTNLGRP_LINK`, 0.3 ms) the link is unlisted, its name is free and the other end of a veth is gone. So a
//! detached child sends the request and waits for the answer; the caller returns at the announcement, or with the
//! child's error, which the kernel gives before any wait.
//!
//! Closing an nfnetlink socket blocks for the same reason while anything that anybody has deleted is still to be freed,
//! and it does so under the mutex that every transaction of the namespace needs (`nft_rcv_nl_event`). So a child holds
//! the last descriptor of those as well, and closes it on the beat of a second: all children at once, one wait for all. Until
//! then it [marks](Lock::mark) the namespace if it has deleted something, so that who has not knows what a close costs.
//!
//! The child makes nothing but system calls, in the memory of its parent; if there can be none, or it is killed, the caller
//! removes the link itself, and waits.

use std::fmt::Display;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use netlink_bindings::traits::NetlinkRequest;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::time::ClockId;

use crate::error::{Error, Result, sys};
use crate::netlink::{Family, Socket, link, message};
use crate::netns::Lock;

/// How long to wait for an announcement before looking for oneself: announcements can be lost under load (`ENOBUFS`).
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// `RTMGRP_LINK`: the multicast group of link announcements, as a bit of the address.
const RTMGRP_LINK: u32 = 1;
const RTM_DELLINK: u16 = libc::RTM_DELLINK;
/// Longer than any acknowledgement of `RTM_DELLINK` (`NETLINK_CAP_ACK`).
const ACKNOWLEDGEMENT: usize = 512;

/// Seconds of `CLOCK_MONOTONIC`: nfnetlink sockets are closed when their number divides by this.
const BEAT: i64 = 1;
/// A child that has less than this until the next beat, in nanoseconds, takes the one after: its link must be gone by then.
const MARGIN: i64 = 100_000_000;
/// Bytes of a child's stack, a small part of which it uses; what is not touched costs nothing.
const STACK: usize = 64 << 10;

/// What a child has to do.
struct Errand {
    /// The request to send, if any.
    message: Option<Vec<u8>>,
    /// Descriptors that it keeps to its end, in order.
    kept: Vec<RawFd>,
    /// The one of them that the answer goes to.
    report: RawFd,
    /// When to close them, on `CLOCK_MONOTONIC`; at once if unset.
    close_at: Option<Timespec>,
    /// Only its memory is used.
    #[expect(dead_code, reason = "the child runs on it")]
    stack: Vec<u8>,
}

/// Children that may not have ended yet: a caller that lives on takes note of their ends when it makes the next.
static CHILDREN: Mutex<Vec<(libc::pid_t, Arc<Errand>)>> = Mutex::new(Vec::new());

/// An nfnetlink socket that is done with.
#[derive(Clone, Copy)]
pub struct Nft<'a> {
    /// The socket; the caller closes it too, which does not block while a child has it.
    pub socket: &'a Socket,
    /// Whether something was deleted through it.
    pub deleted: bool,
}

/// Removes link `index` and returns when the kernel announces that it is gone. The detached child closes `nft` as well.
///
/// # Errors
/// `ENODEV` if there is no such link; the kernel's words otherwise.
pub fn remove(socket: &mut Socket, index: u32, name: &str, nft: Option<Nft<'_>>) -> Result<()> {
    let Ok((mut announcements, child)) = request(index, nft) else {
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
fn request(index: u32, nft: Option<Nft<'_>>) -> Result<(Socket, OwnedFd)> {
    let announcements = Socket::open(Family::Route)?;
    only_removal_of(&announcements, index)?;
    announcements.join_groups(RTMGRP_LINK)?;
    let message = removal_of(index);
    let child = match nft {
        Some(nft) => detach_with(Some(&message), nft)?,
        None => detach(Some(&message), &[], None)?,
    };
    Ok((announcements, child))
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

/// Lets a detached child close a descriptor, which would block the caller. Of a packet socket, say.
///
/// # Errors
/// What `clone(2)` says; the descriptor is then closed by the caller, who waits.
pub fn let_go(held: BorrowedFd<'_>) -> Result<()> {
    detach(None, &[held], None).map(drop)
}

/// Lets a detached child close an nfnetlink socket, on the beat.
///
/// # Errors
/// As [`let_go`].
pub fn let_go_nft(nft: Nft<'_>) -> Result<()> {
    detach_with(None, nft).map(drop)
}

/// A child that closes `nft` at its end.
fn detach_with(message: Option<&[u8]>, nft: Nft<'_>) -> Result<OwnedFd> {
    // Without a mark, others wait: slower, but right.
    let mark = if nft.deleted { Lock::open().and_then(|lock| lock.mark().map(|()| lock)).ok() } else { None };
    let held: Vec<BorrowedFd<'_>> = [nft.socket.as_fd()].into_iter().chain(mark.as_ref().map(AsFd::as_fd)).collect();
    detach(message, &held, Some(next_beat()))
}

fn next_beat() -> Timespec {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let late = now.tv_nsec > 1_000_000_000 - MARGIN;
    Timespec { tv_sec: (now.tv_sec / BEAT + 1 + i64::from(late)) * BEAT, tv_nsec: 0 }
}

/// Has the kernel deliver nothing to `announcements` but the removal of link `index`. On a busy node everything else is
/// announced to everybody who waits like this one: the more removals at once, the more wake-ups for each.
fn only_removal_of(announcements: &Socket, index: u32) -> Result<()> {
    // Classic BPF reads big-endian, netlink is in the machine's order: what to compare with is turned around instead.
    let load = |size: u32, offset: u32| filter(libc::BPF_LD | size | libc::BPF_ABS, 0, offset);
    let drop_unless = |value: u32, last: u8| filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, last, value);
    let program = [
        // struct nlmsghdr: length, type. struct ifinfomsg behind it: family, pad, type, index.
        load(libc::BPF_H, 4),
        drop_unless(u32::from(RTM_DELLINK.to_be()), 5),
        // Family AF_BRIDGE announces only that a port left its bridge.
        load(libc::BPF_B, 16),
        drop_unless(0, 3),
        load(libc::BPF_W, 20),
        drop_unless(index.to_be(), 1),
        filter(libc::BPF_RET | libc::BPF_K, 0, u32::MAX),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    let length = size_of::<libc::sock_fprog>() as libc::socklen_t;
    let fd = announcements.as_fd().as_raw_fd();
    // SAFETY: the pointers and lengths describe `program`, which the kernel copies and does not write to.
    let status =
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const program).cast(), length) };
    match status {
        0 => Ok(()),
        _ => Err(Error::io("filter link announcements", &std::io::Error::last_os_error())),
    }
}

/// One instruction of classic BPF; `otherwise` is how many to skip where a comparison fails.
const fn filter(code: u32, otherwise: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: otherwise, k }
}

/// The whole message that removes link `index`.
fn removal_of(index: u32) -> Vec<u8> {
    let request = link::remove_request(index);
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    let mut bytes = message::header(request.payload().len(), RTM_DELLINK, flags, 1).to_vec();
    bytes.extend_from_slice(request.payload());
    bytes
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
    message::acknowledged(acknowledgement, what)
}

/// Starts a child in a session of its own that sends `message`, reports the answer, and ends. Returns the end of the
/// socket pair that the report arrives at.
///
/// The child shares this process's memory, as that of `vfork(2)` does, but lives beside it: nothing is copied, neither
/// when it starts nor when either of the two writes, and the end of this process does not wait for it.
fn detach(message: Option<&[u8]>, held: &[BorrowedFd<'_>], close_at: Option<Timespec>) -> Result<OwnedFd> {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(sys("make a socket pair"))?;
    let report = theirs.as_raw_fd();
    let mut kept: Vec<RawFd> = held.iter().map(AsRawFd::as_raw_fd).collect();
    kept.push(report);
    kept.sort_unstable();
    let mut stack: Vec<u8> = Vec::with_capacity(STACK);
    let top = stack.spare_capacity_mut().as_mut_ptr_range().end.map_addr(|end| end & !15);
    let errand = Arc::new(Errand { message: message.map(<[u8]>::to_vec), kept, report, close_at, stack });
    reap();
    // SAFETY: the stack is aligned and nobody else's. It and the errand, which nobody writes to, stay where they are until
    // the child has ended: `CHILDREN` has them. `child` keeps to what is allowed where thread-local storage is shared.
    // Without CLONE_THREAD and CLONE_FILES, the end of either process and its descriptors are its own.
    let pid = unsafe {
        let told = Arc::as_ptr(&errand).cast_mut().cast();
        libc::clone(child, top.cast(), libc::CLONE_VM | libc::SIGCHLD, told)
    };
    if pid == -1 {
        return Err(Error::io("start a child", &std::io::Error::last_os_error()));
    }
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).push((pid, errand));
    Ok(ours)
}

/// Lets go of the children that have ended, and of what they were told: they would be zombies as long as the caller lives.
fn reap() {
    // SAFETY: asks for the status of a child of this process, without waiting and without a place to write it to.
    let lives = |pid: libc::pid_t| unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } == 0;
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).retain(|(pid, _)| lives(*pid));
}

/// The child. It makes system calls and nothing else: no allocation, no lock, no panic, no thread-local storage, which is
/// its parent's. That rules out the C library where a call may fail, since it would write `errno` there.
extern "C" fn child(errand: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `detach` keeps the errand until this process has ended, and nobody writes to it.
    let errand = unsafe { &*errand.cast::<Errand>() };
    let _ = rustix::process::setsid();
    close_all_but(&errand.kept);
    if let Some(message) = &errand.message {
        // SAFETY: the descriptor was kept open just now, and is closed by the end of this process.
        let report = unsafe { BorrowedFd::borrow_raw(errand.report) };
        // A request that cannot be sent has no answer to wait for: the end without a report says enough.
        let _ = ask(message, report);
    }
    if let Some(time) = &errand.close_at {
        let _ = rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, time);
    }
    // The end of the process closes what it held, which is where the wait is.
    0
}

/// Every descriptor but `kept`: a lock or a pipe of the caller's must not outlive it.
fn close_all_but(kept: &[RawFd]) {
    let mut next = 0;
    for fd in kept {
        close_range(next, fd - 1);
        next = fd + 1;
    }
    close_range(next, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: closes descriptors of this process that nothing in it refers to. It can only fail on kernels without it
    // (before 5.9), where they stay open as long as the child lives.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// Sends `message` to rtnetlink and passes the answer on.
fn ask(message: &[u8], report: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let socket = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let on: i32 = 1;
    for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
        let (value, length) = ((&raw const on).cast(), size_of::<i32>() as libc::socklen_t);
        // SAFETY: the pointer and the length describe `on`. The kernel has known both options for longer than this needs.
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, option, value, length) };
    }
    rustix::net::send(&socket, message, SendFlags::empty())?;
    let mut answer = [0_u8; ACKNOWLEDGEMENT];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    rustix::net::send(report, answer.get(..length).unwrap_or_default(), SendFlags::NOSIGNAL)?;
    Ok(())
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
        let mut answer = message::header(4 + 16 + 4 + text.len(), libc::NLMSG_ERROR as u16, flags, 1).to_vec();
        answer.extend((-libc::EBUSY).to_ne_bytes());
        answer.extend(message::header(16, RTM_DELLINK, 5, 1));
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
