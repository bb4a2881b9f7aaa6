//! Queueing disciplines (`RTM_GETQDISC`), read only: whether somebody has put one on a link.
//!
//! What the kernel puts there itself has no handle; `tc` gives one to each that it makes. The codec's module for traffic
//! control is large, and two requests are all that is asked. Attributes: <https://docs.kernel.org/netlink/specs/tc.html>.

use netlink_bindings::utils::find_attr;

use super::Socket;
use super::message::Plain;
use crate::error::Result;

const RTM_GETQDISC: u16 = 38;
/// `sizeof(struct tcmsg)`.
const HEADER: usize = 20;
const TCA_KIND: u16 = 1;
const TC_H_ROOT: u32 = u32::MAX;
/// Where `ingress` and `clsact` are.
const TC_H_INGRESS: u32 = 0xffff_fff1;

/// The kinds of the queueing disciplines that somebody has put on link `index`: for what leaves it, and for filters of
/// what comes in (`ingress`, `clsact`).
///
/// # Errors
/// The kernel's words.
pub fn list(socket: &mut Socket, index: u32) -> Result<Vec<String>> {
    let mut kinds = Vec::new();
    for parent in [TC_H_ROOT, TC_H_INGRESS] {
        let mut payload = vec![0; HEADER];
        payload[4..8].copy_from_slice(&index.to_ne_bytes());
        payload[12..16].copy_from_slice(&parent.to_ne_bytes());
        let request = Plain { kind: RTM_GETQDISC, flags: 0, payload };
        // Of one that is built in (`noop`, while there is no carrier) the kernel says nothing, not even an error, so that
        // the acknowledgement has to end the exchange; and old kernels answer with an echo or not at all.
        match socket.change_echo(&request, format_args!("look up the queueing discipline of link {index}"), read) {
            Ok(found) => kinds.extend(found.flatten()),
            // There is none.
            Err(error) if error.is_absent() || error.errno == libc::EINVAL => {}
            Err(error) => return Err(error),
        }
    }
    Ok(kinds)
}

/// The kind; `None` for one without a handle.
fn read(message: &[u8]) -> Option<String> {
    let (header, attributes) = message.split_first_chunk::<HEADER>()?;
    if header[8..12] == [0; 4] {
        return None;
    }
    let kind = find_attr(attributes, TCA_KIND)?;
    Some(String::from_utf8_lossy(kind).trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_handle_is_the_kernels() {
        let mut message = [&[0; HEADER][..], &[7, 0, 1, 0], b"fq\0\0"].concat();
        assert_eq!(read(&message), None);
        message[11] = 0x80;
        assert_eq!(read(&message).as_deref(), Some("fq"));
        assert_eq!(read(&message[..12]), None);
    }
}
