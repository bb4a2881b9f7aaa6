//! Alternative names of a link (`RTM_NEWLINKPROP`, 5.5): longer than a name may be, and found as one.
//!
//! Attributes: <https://docs.kernel.org/netlink/specs/rt-link.html>.

use netlink_bindings::rt_link::Ifinfomsg;
use netlink_bindings::utils::{finalize_nested_header, push_nested_header};

use super::Socket;
use super::link::push_bytes;
use super::message::Plain;
use crate::error::Result;

const RTM_NEWLINKPROP: u16 = 108;
const RTM_DELLINKPROP: u16 = 109;
const NLM_F_CREATE_EXCL: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;

/// Gives the link `index`, which is called `on`, an alternative name.
///
/// # Errors
/// `EEXIST` if a link of the namespace has it; the kernel's words otherwise.
pub fn add(socket: &mut Socket, index: u32, altname: &str, on: &str) -> Result<()> {
    let what = format_args!("add alternative name {altname} to {on}");
    socket.change(&request(RTM_NEWLINKPROP, NLM_F_CREATE_EXCL, index, altname), what)
}

/// Takes an alternative name from the link `index`, which is called `on`.
///
/// # Errors
/// `ENOENT` if it has no such name; the kernel's words otherwise.
pub fn remove(socket: &mut Socket, index: u32, altname: &str, on: &str) -> Result<()> {
    let what = format_args!("remove alternative name {altname} from {on}");
    socket.change(&request(RTM_DELLINKPROP, 0, index, altname), what)
}

fn request(kind: u16, flags: u16, index: u32, altname: &str) -> Plain {
    let header = Ifinfomsg { ifi_index: index.cast_signed(), ..Ifinfomsg::new() };
    let mut payload = header.as_slice().to_vec();
    let list = push_nested_header(&mut payload, IFLA_PROP_LIST);
    push_bytes(&mut payload, IFLA_ALT_IFNAME, &[altname.as_bytes(), &[0]].concat());
    finalize_nested_header(&mut payload, list);
    Plain { kind, flags, payload }
}
