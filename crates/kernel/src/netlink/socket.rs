//! One netlink socket: requests out, acknowledgements, replies and dumps in.
//!
//! The codec is `netlink-bindings` (generated from the kernel's YAML specifications); this file adds what a one-shot
//! tool needs and `netlink-socket2` lacks: a receive buffer for NICs with many virtual functions, extack text in every
//! error, dumps repeated when the kernel says that they were interrupted, and several requests in one write whose
//! acknowledgements are all collected. A socket stays in the network namespace in which it was opened.
//! Protocol: <https://docs.kernel.org/userspace-api/netlink/intro.html>.

use std::fmt::Display;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use netlink_bindings::traits::{NetlinkRequest, Protocol};
use rustix::net::{AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType};

use super::message::{Message, NLMSG_DONE, NLMSG_ERROR, header};
use crate::error::{Error, Result, sys};

#[cfg(fuzzing)]
mod fuzzing;

/// Dumps are sized by the kernel to the largest receive buffer it has seen, at most 32 KiB; a single RTM_NEWLINK of a
/// NIC with many VFs may be as large as a netlink attribute can say (64 KiB).
const RECEIVE_BUFFER: usize = 64 << 10;
/// What a socket takes in one write by the usual default of `net.core.wmem_default`, less the kernel's own share.
const SEND_BUFFER: usize = 128 << 10;
/// How often an interrupted dump (`NLM_F_DUMP_INTR`) is repeated before it is an error.
const DUMP_TRIES: u32 = 16;

/// Of `asm-generic/socket.h`; not in libc for every target.
const SO_NETNS_COOKIE: i32 = 71;
const NLM_F_REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const NLM_F_ACK: u16 = libc::NLM_F_ACK as u16;
const NLM_F_ECHO: u16 = libc::NLM_F_ECHO as u16;
const NLM_F_DUMP_INTR: u16 = libc::NLM_F_DUMP_INTR as u16;

/// A netlink family that netferry speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `NETLINK_ROUTE`: links, addresses, routes, rules, neighbours, qdiscs.
    Route,
    /// `NETLINK_NETFILTER`: nf_tables and conntrack.
    Netfilter,
}

/// An open netlink socket.
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
    protocol: u16,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// What `socket(2)` says; `EPERM` in a sandbox without netlink.
    pub fn open(family: Family) -> Result<Self> {
        let protocol = match family {
            Family::Route => libc::NETLINK_ROUTE,
            Family::Netfilter => libc::NETLINK_NETFILTER,
        };
        // NETLINK_ROUTE is 0, which rustix spells as "no protocol".
        let number = rustix::net::RawProtocol::new(protocol as u32).map(rustix::net::Protocol::from_raw);
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, number)
            .map_err(sys("open a netlink socket"))?;
        let socket = Self { fd, sequence: 0, buffer: Vec::with_capacity(RECEIVE_BUFFER), protocol: protocol as u16 };
        // CAP_ACK: do not send the request back in an error. STRICT_CHK: filter dumps in the kernel, refuse the unknown.
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK, libc::NETLINK_GET_STRICT_CHK] {
            socket.set_option(option, 1)?;
        }
        Ok(socket)
    }

    /// Sets an integer option of level `SOL_NETLINK`, as `netlink(7)` names them.
    pub(crate) fn set_option(&self, option: i32, value: i32) -> Result<()> {
        // SAFETY: the pointer and the length describe `value`, which outlives the call; the descriptor is open.
        let status = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_NETLINK,
                option,
                (&raw const value).cast(),
                size_of::<i32>() as libc::socklen_t,
            )
        };
        match status {
            0 => Ok(()),
            _ => Err(Error::io("set a netlink socket option", &std::io::Error::last_os_error())),
        }
    }

    /// The number of the socket's network namespace, which no other has had since the machine was started
    /// (`SO_NETNS_COOKIE`); `None` where the kernel does not say (before 5.14).
    pub fn netns_cookie(&self) -> Option<u64> {
        let mut cookie = 0_u64;
        let mut length = size_of::<u64>() as libc::socklen_t;
        // SAFETY: the pointers describe `cookie` and `length`, which outlive the call; the descriptor is open.
        let status = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_NETNS_COOKIE,
                (&raw mut cookie).cast(),
                &raw mut length,
            )
        };
        (status == 0).then_some(cookie)
    }

    /// Binds the socket to multicast groups (`RTMGRP_*` bits): it receives announcements and should not be asked
    /// anything, since the announcements of others carry the sequence numbers of others.
    pub(crate) fn join_groups(&self, groups: u32) -> Result<()> {
        let address = rustix::net::netlink::SocketAddrNetlink::new(0, groups);
        rustix::net::bind(&self.fd, &address).map_err(sys("listen to netlink announcements"))
    }

    /// Makes a change and waits for its acknowledgement; `what` names it in errors.
    ///
    /// # Errors
    /// The kernel's errno and extack text.
    pub fn change<R: NetlinkRequest>(&mut self, request: &R, what: impl Display) -> Result<()> {
        let sequence = self.send(request, NLM_F_ACK, &what)?;
        self.collect(sequence, &what, |_| {})
    }

    /// Makes a change and hands over what the kernel made of it (`NLM_F_ECHO`), so that it need not be asked again.
    ///
    /// Returns `None` where the kernel is too old to echo this kind of object (links: before 6.2).
    ///
    /// # Errors
    /// The kernel's errno and extack text.
    pub fn change_echo<R: NetlinkRequest, T>(
        &mut self,
        request: &R,
        what: impl Display,
        mut read: impl FnMut(R::ReplyType<'_>) -> T,
    ) -> Result<Option<T>> {
        let sequence = self.send(request, NLM_F_ACK | NLM_F_ECHO, &what)?;
        let mut echoed = None;
        self.collect(sequence, &what, |payload| echoed = Some(read(R::decode_reply(payload))))?;
        Ok(echoed)
    }

    /// Asks for one object.
    ///
    /// # Errors
    /// The kernel's errno and extack text; [`Error::is_absent`] where there is no such object.
    pub fn get<R: NetlinkRequest, T>(
        &mut self,
        request: &R,
        what: impl Display,
        mut read: impl FnMut(R::ReplyType<'_>) -> T,
    ) -> Result<T> {
        // No NLM_F_ACK: the reply itself ends the exchange, and an error comes as NLMSG_ERROR all the same.
        let sequence = self.send(request, 0, &what)?;
        let mut found = None;
        while found.is_none() {
            self.receive(&what, |message| {
                if message.sequence != sequence {
                    return Ok(());
                }
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => {
                        Err(message.error(&what).unwrap_or_else(|| Error::new(&what, libc::ENOENT)))
                    }
                    _ => {
                        found = Some(read(R::decode_reply(message.payload)));
                        Ok(())
                    }
                }
            })?;
        }
        found.ok_or_else(|| Error::new(&what, libc::ENOENT))
    }

    /// Asks for all objects that match (`NLM_F_DUMP`), again from the start whenever the kernel says that they changed
    /// meanwhile.
    ///
    /// # Errors
    /// The kernel's errno and extack text; `EINTR` if every try was interrupted.
    pub fn dump<R: NetlinkRequest, T>(
        &mut self,
        request: &R,
        what: impl Display,
        mut read: impl FnMut(R::ReplyType<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        for _ in 0..DUMP_TRIES {
            let sequence = self.send(request, 0, &what)?;
            let (mut objects, mut done, mut interrupted) = (Vec::new(), false, false);
            while !done {
                self.receive(&what, |message| {
                    if message.sequence != sequence {
                        return Ok(());
                    }
                    interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                    match message.kind {
                        NLMSG_ERROR | NLMSG_DONE => {
                            done = true;
                            message.error(&what).map_or(Ok(()), Err)
                        }
                        _ => {
                            objects.extend(read(R::decode_reply(message.payload)));
                            Ok(())
                        }
                    }
                })?;
            }
            if !interrupted {
                return Ok(objects);
            }
        }
        Err(Error::new(what, libc::EINTR))
    }

    /// Sends `messages`, a transaction of nf_tables in whole netlink messages numbered from `first`, and waits for the
    /// answer to the message at place `last`, the one with `NLM_F_ACK`; `name` says what the message at a place does.
    ///
    /// Errors are delivered in the order of the messages, each in a datagram of its own, and the kernel goes on behind
    /// an error: the answer to the last message is behind them all. Where it refuses the transaction as a whole (`EPERM`,
    /// `ERESTART`, `ENOMEM`), it answers place 0 and may answer nothing else.
    ///
    /// # Errors
    /// The first error in order of arrival.
    pub(crate) fn batch(&mut self, messages: &[u8], first: u32, last: u32, name: &dyn Fn(u32) -> String) -> Result<()> {
        let whole = name(0);
        if messages.len() > SEND_BUFFER {
            rustix::net::sockopt::set_socket_send_buffer_size_force(&self.fd, messages.len()).map_err(sys(&whole))?;
        }
        self.write(&[IoSlice::new(messages)], &whole)?;
        let (mut refused, mut done, mut overrun) = (None, false, false);
        while !(done || overrun && refused.is_some()) {
            let read = self.receive(&whole, |message| {
                let place = message.sequence.wrapping_sub(first);
                if message.kind == NLMSG_ERROR && place <= last {
                    done |= place == last || place == 0;
                    if refused.is_none() {
                        refused = message.error(&whole).map(|error| Error { what: name(place), ..error });
                    }
                }
                Ok(())
            });
            match read {
                // More errors than the receive buffer holds: the first are there to be read, the last answer is not.
                Err(error) if error.errno == libc::ENOBUFS => overrun = true,
                read => read?,
            }
        }
        if overrun {
            // What is left would keep out the answers to the next request.
            while rustix::net::recv(&self.fd, &mut [0; 1][..], RecvFlags::DONTWAIT).is_ok() {}
        }
        refused.map_or(Ok(()), Err)
    }

    /// Takes `count` consecutive sequence numbers and returns the first.
    pub(crate) fn take_sequences(&mut self, count: u32) -> u32 {
        let first = self.sequence + 1;
        self.sequence += count;
        first
    }

    /// Sends a request and returns its sequence number.
    pub(crate) fn send<R: NetlinkRequest>(&mut self, request: &R, flags: u16, what: &dyn Display) -> Result<u32> {
        let Protocol::Raw { protonum, request_type } = request.protocol() else {
            return Err(Error::new(what, libc::EPROTONOSUPPORT));
        };
        debug_assert_eq!(protonum, self.protocol, "the request belongs to another netlink family");
        let sequence = self.take_sequences(1);
        let payload = request.payload();
        let header = header(payload.len(), request_type, request.flags() | flags | NLM_F_REQUEST, sequence);
        self.write(&[IoSlice::new(&header), IoSlice::new(payload)], what)?;
        Ok(sequence)
    }

    fn write(&self, parts: &[IoSlice<'_>], what: &dyn Display) -> Result<()> {
        loop {
            let mut ancillary = SendAncillaryBuffer::default();
            match rustix::net::sendmsg(&self.fd, parts, &mut ancillary, SendFlags::empty()) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(sys(what)(errno)),
            }
        }
    }

    /// Reads until `sequence` is acknowledged, handing every other message of it to `each`.
    fn collect(&mut self, sequence: u32, what: &dyn Display, mut each: impl FnMut(&[u8])) -> Result<()> {
        let mut done = false;
        while !done {
            self.receive(what, |message| {
                if message.sequence != sequence {
                    return Ok(());
                }
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => {
                        done = true;
                        message.error(what).map_or(Ok(()), Err)
                    }
                    _ => {
                        each(message.payload);
                        Ok(())
                    }
                }
            })?;
        }
        Ok(())
    }

    /// Receives one datagram and hands over its messages; an error from `each` is returned after the last of them.
    pub(crate) fn receive_raw(&mut self, what: &dyn Display, mut each: impl FnMut(u16, &[u8])) -> Result<()> {
        self.receive(what, |message| {
            each(message.kind, message.payload);
            Ok(())
        })
    }

    fn receive(&mut self, what: &dyn Display, mut each: impl FnMut(Message<'_>) -> Result<()>) -> Result<()> {
        self.buffer.clear();
        let spare: &mut [MaybeUninit<u8>] = self.buffer.spare_capacity_mut();
        let (bytes, length) = loop {
            match rustix::net::recv(&self.fd, &mut spare[..], RecvFlags::TRUNC) {
                Ok(((bytes, _), length)) => break (&*bytes, length),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(sys(what)(errno)),
            }
        };
        if length > bytes.len() {
            return Err(Error::new(what, libc::EMSGSIZE));
        }
        let mut outcome = Ok(());
        let mut rest = bytes;
        while let Some((message, next)) = Message::split(rest) {
            rest = next;
            let result = each(message);
            if outcome.is_ok() {
                outcome = result;
            }
        }
        outcome
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
