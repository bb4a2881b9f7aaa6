//! rtnetlink, one object to a file, every file of the same shape: the object as a plain struct that displays itself in
//! the words of iproute2, the reading of the kernel's description back into it, then `add`, `remove`, `get`, `list` as
//! functions over a [`Socket`].

use std::net::IpAddr;

pub mod address;
pub mod altname;
pub mod devconf;
mod kind;
pub mod link;
pub(crate) mod message;
pub mod neighbour;
pub mod nexthop;
pub mod port_vlan;
pub mod qdisc;
pub mod route;
pub mod rule;
pub mod socket;
pub mod transfer;

pub use socket::{Family, Socket};

/// True for what a description in JSON may leave unsaid.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `AF_INET` or `AF_INET6`, as the headers of rtnetlink want it.
pub(crate) const fn family(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}
