//! Netlink messages: the header, and what the kernel says in an acknowledgement.
//!
//! A datagram is a row of messages, each `struct nlmsghdr` and a payload that ends at a multiple of four bytes. What has
//! a length that cannot be right ends the row. Protocol: <https://docs.kernel.org/userspace-api/netlink/intro.html>.

use std::fmt::Display;

use netlink_bindings::traits::{NetlinkRequest, Protocol};
use netlink_bindings::utils::find_attr;

use crate::error::{Error, Result};

pub(super) const NLMSG_ERROR: u16 = libc::NLMSG_ERROR as u16;
pub(super) const NLMSG_DONE: u16 = libc::NLMSG_DONE as u16;
const HEADER: usize = 16;
const NLM_F_CAPPED: u16 = libc::NLM_F_CAPPED as u16;
const NLM_F_ACK_TLVS: u16 = libc::NLM_F_ACK_TLVS as u16;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// One message that the kernel sent: type, flags, and the payload after the header.
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The sixteen bytes before every netlink message (`struct nlmsghdr`).
pub(crate) fn header(payload: usize, kind: u16, flags: u16, sequence: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[0..4].copy_from_slice(&((HEADER + payload) as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
    bytes
}

/// Reads an acknowledgement that somebody else received; `None` if `bytes` is none.
pub(crate) fn acknowledged(bytes: &[u8], what: &dyn Display) -> Option<Result<()>> {
    let (message, _) = Message::split(bytes)?;
    (message.kind == NLMSG_ERROR).then(|| message.error(what).map_or(Ok(()), Err))
}

/// A request of rtnetlink for which the codec has no type, and whose reply it does not read.
pub(super) struct Plain {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) payload: Vec<u8>,
}

impl NetlinkRequest for Plain {
    type ReplyType<'buf> = &'buf [u8];

    fn protocol(&self) -> Protocol {
        Protocol::Raw { protonum: libc::NETLINK_ROUTE as u16, request_type: self.kind }
    }

    fn flags(&self) -> u16 {
        self.flags
    }

    fn payload(&self) -> &[u8] {
        &self.payload
    }

    fn decode_reply(buf: &[u8]) -> Self::ReplyType<'_> {
        buf
    }
}

impl<'a> Message<'a> {
    /// Splits the first message off `bytes`; `None` at the end or where the length cannot be right.
    pub(super) fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        if length < HEADER || length > bytes.len() {
            return None;
        }
        let message = Self {
            kind: u16::from_ne_bytes(*bytes[4..].first_chunk()?),
            flags: u16::from_ne_bytes(*bytes[6..].first_chunk()?),
            sequence: u32::from_ne_bytes(*bytes[8..].first_chunk()?),
            payload: &bytes[HEADER..length],
        };
        Some((message, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
    }

    /// The error that an `NLMSG_ERROR` or `NLMSG_DONE` carries; `None` if it says success.
    pub(super) fn error(&self, what: &dyn Display) -> Option<Error> {
        let code = self.payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        if code == 0 {
            return None;
        }
        let mut error = Error::new(what, code.wrapping_neg());
        if self.flags & NLM_F_ACK_TLVS != 0 {
            // In NLMSG_ERROR the request's header follows the code, and its payload too unless it was capped.
            let skipped = match (self.kind, self.flags & NLM_F_CAPPED) {
                (NLMSG_DONE, _) => 4,
                (_, 0) => {
                    let inner = self.payload.get(4..8).and_then(|b| b.first_chunk());
                    4 + inner.map_or(HEADER, |b| (u32::from_ne_bytes(*b) as usize).next_multiple_of(4))
                }
                _ => 4 + HEADER,
            };
            error.extack = self
                .payload
                .get(skipped..)
                .and_then(|attributes| find_attr(attributes, NLMSGERR_ATTR_MSG))
                .map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        }
        Some(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_too_low_for_an_error() {
        let mut bytes = header(4, NLMSG_ERROR, NLM_F_ACK_TLVS, 1).to_vec();
        bytes.extend(i32::MIN.to_ne_bytes());
        let refusal = acknowledged(&bytes, &"ask").expect("an acknowledgement").expect_err("a refusal");
        assert_eq!((refusal.errno, refusal.extack), (i32::MIN, None));
    }

    #[test]
    fn a_length_that_cannot_be_right_ends_the_row() {
        let whole = header(0, NLMSG_DONE, 0, 1);
        assert!(Message::split(&whole).is_some_and(|(_, rest)| rest.is_empty()));
        for length in [0, 15, 17, u32::MAX] {
            let wrong = [&length.to_ne_bytes()[..], &whole[4..]].concat();
            assert!(Message::split(&wrong).is_none(), "{length}");
        }
    }
}
