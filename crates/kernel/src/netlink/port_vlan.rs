//! VLANs of a bridge port (`bridge vlan`): `RTM_SETLINK`, `RTM_DELLINK` and `RTM_GETLINK` of family `AF_BRIDGE`.
//!
//! The kernel must have `BRIDGE_VLAN_FILTERING`; without it every request here is `EOPNOTSUPP`.

use std::fmt;

use netlink_bindings::rt_link::{Ifinfomsg, Request};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::{IterableChunks, finalize_nested_header, push_header, push_nested_header};

use super::Socket;
use crate::error::Result;

const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
/// Neighbouring VLANs of equal flags as one range: four thousand single ones are more than a datagram of a dump holds.
const RTEXT_FILTER_BRVLAN_COMPRESSED: u32 = 1 << 2;

/// A VLAN of a bridge port (`bridge vlan`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortVlan {
    /// VLAN identifier, 1 to 4094.
    pub id: u16,
    /// Frames that arrive untagged belong to it.
    pub pvid: bool,
    /// Frames leave untagged.
    pub untagged: bool,
}

impl fmt::Display for PortVlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vid {}", self.id)?;
        f.write_str(if self.pvid { " pvid" } else { "" })?;
        f.write_str(if self.untagged { " untagged" } else { "" })
    }
}

const BRIDGE_VLAN_INFO_PVID: u16 = 1 << 1;
const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 1 << 2;
const BRIDGE_VLAN_INFO_RANGE_BEGIN: u16 = 1 << 3;
const BRIDGE_VLAN_INFO_RANGE_END: u16 = 1 << 4;

/// Lets the port `index` carry a VLAN.
///
/// # Errors
/// `EOPNOTSUPP` if it is no bridge port or the kernel has no VLAN filtering.
pub fn add(socket: &mut Socket, index: u32, name: &str, vlan: PortVlan) -> Result<()> {
    let mut request = Request::new().op_setlink_do(&bridge_header(index));
    push_vlan(request.encode().as_vec_mut(), vlan);
    socket.change(&request, format_args!("add {vlan} to bridge port {name}"))
}

/// Stops the port `index` from carrying a VLAN.
///
/// # Errors
/// The kernel's words.
pub fn remove(socket: &mut Socket, index: u32, name: &str, vlan: PortVlan) -> Result<()> {
    let mut request = Request::new().op_dellink_do(&bridge_header(index));
    push_vlan(request.encode().as_vec_mut(), vlan);
    socket.change(&request, format_args!("remove {vlan} from bridge port {name}"))
}

/// Reads the VLANs of the port `index`.
///
/// # Errors
/// The kernel's words.
pub fn list(socket: &mut Socket, index: u32) -> Result<Vec<PortVlan>> {
    // Dumps of AF_BRIDGE filter by master only, so the ports of other bridges are told apart here.
    let mut request = Request::new().op_getlink_dump(&bridge_header(0));
    request.encode().push_ext_mask(RTEXT_FILTER_BRVLAN_COMPRESSED);
    let ports = socket.dump(&request, "list bridge VLANs", |(header, attributes)| {
        (header.ifi_index.unsigned_abs() == index).then(|| read_vlans(attributes.get_buf()))
    })?;
    Ok(ports.into_iter().flatten().collect())
}

fn bridge_header(index: u32) -> Ifinfomsg {
    Ifinfomsg { ifi_family: libc::AF_BRIDGE as u8, ifi_index: index.cast_signed(), ..Ifinfomsg::new() }
}

const IFLA_AF_SPEC: u16 = 26;

fn push_vlan(buffer: &mut Vec<u8>, vlan: PortVlan) {
    let flags =
        if vlan.pvid { BRIDGE_VLAN_INFO_PVID } else { 0 } | if vlan.untagged { BRIDGE_VLAN_INFO_UNTAGGED } else { 0 };
    let nested = push_nested_header(buffer, IFLA_AF_SPEC);
    push_header(buffer, IFLA_BRIDGE_VLAN_INFO, 4);
    buffer.extend_from_slice(&flags.to_ne_bytes());
    buffer.extend_from_slice(&vlan.id.to_ne_bytes());
    finalize_nested_header(buffer, nested);
}

fn read_vlans(attributes: &[u8]) -> Vec<PortVlan> {
    let spec = IterableChunks::new(attributes).find(|(header, _)| header.r#type == IFLA_AF_SPEC);
    let Some((_, spec)) = spec else { return Vec::new() };
    let mut vlans = Vec::new();
    let mut first = None;
    for (header, bytes) in IterableChunks::new(spec) {
        let (IFLA_BRIDGE_VLAN_INFO, [a, b, c, d]) = (header.r#type, bytes) else { continue };
        let (flags, id) = (u16::from_ne_bytes([*a, *b]), u16::from_ne_bytes([*c, *d]));
        if flags & BRIDGE_VLAN_INFO_RANGE_BEGIN != 0 {
            first = Some(id);
            continue;
        }
        let begin = first.take().filter(|_| flags & BRIDGE_VLAN_INFO_RANGE_END != 0).unwrap_or(id);
        vlans.extend((begin..=id).map(|id| PortVlan {
            id,
            pvid: flags & BRIDGE_VLAN_INFO_PVID != 0,
            untagged: flags & BRIDGE_VLAN_INFO_UNTAGGED != 0,
        }));
    }
    vlans
}
