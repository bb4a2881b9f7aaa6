//! Nexthop objects (`RTM_GETNEXTHOP`), read only: what routes that name one by its identifier mean.
//!
//! They go with their link, and the routes that use them too, so whoever keeps a route keeps what its object says.
//! The codec does not know them. Attributes: `linux/nexthop.h`, <https://man7.org/linux/man-pages/man8/ip-nexthop.8.html>.

use std::net::IpAddr;

use netlink_bindings::utils::{IterableChunks, parse_ip, push_header};

use super::Socket;
use super::message::Plain;
use crate::error::Result;

const RTM_GETNEXTHOP: u16 = 106;
const NLM_F_DUMP: u16 = libc::NLM_F_DUMP as u16;
/// `sizeof(struct nhmsg)`; its last four bytes are the flags.
const HEADER: usize = 8;
const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_BLACKHOLE: u16 = 4;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
const NHA_ENCAP_TYPE: u16 = 7;
const NHA_ENCAP: u16 = 8;
/// `sizeof(struct nexthop_grp)`.
const MEMBER: usize = 8;

/// One of the nexthops of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its identifier.
    pub id: u32,
    /// Share of the traffic, from 1 on.
    pub weight: u16,
}

/// A nexthop object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nexthop {
    /// Identifier.
    pub id: u32,
    /// Gateway.
    pub gateway: Option<IpAddr>,
    /// Index of the link.
    pub index: Option<u32>,
    /// `RTNH_F_ONLINK` and others.
    pub flags: u32,
    /// Lightweight tunnel: type and parameters.
    pub encap: Option<(u16, Vec<u8>)>,
    /// Its members, if it is a group.
    pub group: Vec<Member>,
    /// Packets are dropped.
    pub blackhole: bool,
}

impl Nexthop {
    fn read(message: &[u8]) -> Option<Self> {
        let (header, attributes) = message.split_first_chunk::<HEADER>()?;
        let [_, _, _, _, flags @ ..] = *header;
        let mut read = Self { flags: u32::from_ne_bytes(flags), ..Self::default() };
        let number = |value: &[u8]| value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        for (attribute, value) in IterableChunks::new(attributes) {
            match attribute.r#type {
                NHA_ID => read.id = number(value)?,
                NHA_OIF => read.index = number(value),
                NHA_GATEWAY => read.gateway = parse_ip(value),
                NHA_BLACKHOLE => read.blackhole = true,
                NHA_GROUP => read.group = value.chunks_exact(MEMBER).map(member).collect(),
                NHA_ENCAP_TYPE => {
                    let kind = value.first_chunk().map_or(0, |bytes| u16::from_ne_bytes(*bytes));
                    read.encap.get_or_insert((0, Vec::new())).0 = kind;
                }
                NHA_ENCAP => read.encap.get_or_insert((0, Vec::new())).1 = value.to_vec(),
                _ => {}
            }
        }
        Some(read)
    }
}

/// `struct nexthop_grp`: the identifier, the weight less one, and since 6.12 the upper byte of that.
fn member(bytes: &[u8]) -> Member {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let id = u32::from_ne_bytes([byte(0), byte(1), byte(2), byte(3)]);
    Member { id, weight: (u16::from(byte(5)) << 8 | u16::from(byte(4))).saturating_add(1) }
}

fn request(flags: u16, attribute: u16, value: u32) -> Plain {
    let mut payload = vec![0; HEADER];
    push_header(&mut payload, attribute, size_of::<u32>() as u16);
    payload.extend(value.to_ne_bytes());
    Plain { kind: RTM_GETNEXTHOP, flags, payload }
}

/// Reads the nexthop object of identifier `id`; `None` if there is none.
///
/// # Errors
/// The kernel's words.
pub fn get(socket: &mut Socket, id: u32) -> Result<Option<Nexthop>> {
    match socket.get(&request(0, NHA_ID, id), format_args!("look up nexthop {id}"), Nexthop::read) {
        Err(error) if error.errno == libc::ENOENT => Ok(None),
        outcome => outcome,
    }
}

/// Reads the nexthop objects out of the link of index `index`, which no group is; none where the kernel does not know them
/// (before 5.3).
///
/// # Errors
/// The kernel's words.
pub fn list(socket: &mut Socket, index: u32) -> Result<Vec<Nexthop>> {
    match socket.dump(
        &request(NLM_F_DUMP, NHA_OIF, index),
        format_args!("list nexthops of link {index}"),
        Nexthop::read,
    ) {
        Err(error) if error.errno == libc::EOPNOTSUPP => Ok(Vec::new()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_is_no_nexthop() {
        assert_eq!(Nexthop::read(&[0; 7]), None);
        assert_eq!(Nexthop::read(&[0; 8]), Some(Nexthop::default()));
        // NHA_GROUP of one and a half members.
        let group = [&[0; 8][..], &[16, 0, 2, 0], &[7, 0, 0, 0, 2, 1, 0, 0, 8, 0, 0, 0]].concat();
        let read = Nexthop::read(&group).expect("a nexthop");
        assert_eq!(read.group, [Member { id: 7, weight: 259 }]);
    }
}
