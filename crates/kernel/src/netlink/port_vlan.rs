//! VLANs of a bridge port (`bridge vlan`): `RTM_SETLINK`, `RTM_DELLINK` and `RTM_GETLINK` of family `AF_BRIDGE`.
//!
//! A request takes any number of them, neighbours of equal flags as one range; if it is refused, the VLANs before the
//! refused one are changed.
//! The kernel must have `BRIDGE_VLAN_FILTERING`; without it every request here is `EOPNOTSUPP`.

use std::fmt;

use netlink_bindings::rt_link::{Ifinfomsg, Request};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::{IterableChunks, finalize_nested_header, find_attr, push_header, push_nested_header};

use super::Socket;
use super::kind::IFLA_INFO_DATA;
use super::link::IFLA_LINKINFO;
use crate::error::Result;

const IFLA_BRIDGE_VLAN_INFO: u16 = 2;
const IFLA_BR_VLAN_DEFAULT_PVID: u16 = 39;
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

/// VLANs of one port in words, neighbours of equal flags as one range: `vid 7 pvid untagged vid 100-104`.
pub struct Words<'a>(pub &'a [PortVlan]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in ranges(self.0).enumerate() {
            let through = if first.id == last.id { String::new() } else { format!("-{}", last.id) };
            write!(f, "{}vid {}{through}", if place == 0 { "" } else { " " }, first.id)?;
            f.write_str(if first.pvid { " pvid" } else { "" })?;
            f.write_str(if first.untagged { " untagged" } else { "" })?;
        }
        Ok(())
    }
}

/// The first and the last of each run of neighbours that may be one range: a PVID is never part of one.
fn ranges(vlans: &[PortVlan]) -> impl Iterator<Item = (PortVlan, PortVlan)> + '_ {
    let one_range = |one: &PortVlan, next: &PortVlan| {
        one.id.checked_add(1) == Some(next.id) && one.untagged == next.untagged && !one.pvid && !next.pvid
    };
    vlans.chunk_by(one_range).filter_map(|run| Some((*run.first()?, *run.last()?)))
}

/// The highest VLAN identifier (IEEE 802.1Q).
const LAST_VLAN: u16 = 4094;
const BRIDGE_VLAN_INFO_PVID: u16 = 1 << 1;
const BRIDGE_VLAN_INFO_UNTAGGED: u16 = 1 << 2;
const BRIDGE_VLAN_INFO_RANGE_BEGIN: u16 = 1 << 3;
const BRIDGE_VLAN_INFO_RANGE_END: u16 = 1 << 4;

/// Lets the port `index` carry `vlans`, which are in ascending order.
///
/// # Errors
/// `EOPNOTSUPP` if it is no bridge port or the kernel has no VLAN filtering.
pub fn add(socket: &mut Socket, index: u32, name: &str, vlans: &[PortVlan]) -> Result<()> {
    let mut request = Request::new().op_setlink_do(&bridge_header(index));
    push_vlans(request.encode().as_vec_mut(), vlans);
    socket.change(&request, format_args!("add {} to bridge port {name}", Words(vlans)))
}

/// Stops the port `index` from carrying `vlans`, which are in ascending order; those that it does not carry are passed
/// over.
///
/// # Errors
/// The kernel's words.
pub fn remove(socket: &mut Socket, index: u32, name: &str, vlans: &[PortVlan]) -> Result<()> {
    let mut request = Request::new().op_dellink_do(&bridge_header(index));
    push_vlans(request.encode().as_vec_mut(), vlans);
    socket.change(&request, format_args!("remove {} from bridge port {name}", Words(vlans)))
}

/// The VLAN that the bridge `index` puts every new port into, untagged; `None` if it has none or knows no VLANs.
///
/// # Errors
/// `ENODEV` if there is no such link; the kernel's words otherwise.
pub fn default_of(socket: &mut Socket, index: u32, name: &str) -> Result<Option<u16>> {
    let header = Ifinfomsg { ifi_index: index.cast_signed(), ..Ifinfomsg::new() };
    let request = Request::new().op_getlink_do(&header);
    socket.get(&request, format_args!("read the default VLAN of bridge {name}"), |(_, attributes)| {
        let path = [IFLA_LINKINFO, IFLA_INFO_DATA, IFLA_BR_VLAN_DEFAULT_PVID];
        let bytes = path.iter().try_fold(attributes.get_buf(), |bytes, attribute| find_attr(bytes, *attribute))?;
        <[u8; 2]>::try_from(bytes).ok().map(u16::from_ne_bytes).filter(|id| *id != 0)
    })
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

fn push_vlans(buffer: &mut Vec<u8>, vlans: &[PortVlan]) {
    let nested = push_nested_header(buffer, IFLA_AF_SPEC);
    for (first, last) in ranges(vlans) {
        if first.id == last.id {
            push_vlan(buffer, first, 0);
        } else {
            push_vlan(buffer, first, BRIDGE_VLAN_INFO_RANGE_BEGIN);
            push_vlan(buffer, last, BRIDGE_VLAN_INFO_RANGE_END);
        }
    }
    finalize_nested_header(buffer, nested);
}

/// `struct bridge_vlan_info`.
fn push_vlan(buffer: &mut Vec<u8>, vlan: PortVlan, place: u16) {
    let pvid = if vlan.pvid { BRIDGE_VLAN_INFO_PVID } else { 0 };
    let untagged = if vlan.untagged { BRIDGE_VLAN_INFO_UNTAGGED } else { 0 };
    push_header(buffer, IFLA_BRIDGE_VLAN_INFO, 4);
    buffer.extend_from_slice(&(place | pvid | untagged).to_ne_bytes());
    buffer.extend_from_slice(&vlan.id.to_ne_bytes());
}

fn read_vlans(attributes: &[u8]) -> Vec<PortVlan> {
    let spec = IterableChunks::new(attributes).find(|(header, _)| header.r#type == IFLA_AF_SPEC);
    let Some((_, spec)) = spec else { return Vec::new() };
    let mut vlans = Vec::new();
    // Each once: ranges that overlap would be longer than any port's list.
    let mut known = [false; LAST_VLAN as usize + 1];
    let mut first = None;
    for (header, bytes) in IterableChunks::new(spec) {
        let (IFLA_BRIDGE_VLAN_INFO, [a, b, c, d]) = (header.r#type, bytes) else { continue };
        let (flags, id) = (u16::from_ne_bytes([*a, *b]), u16::from_ne_bytes([*c, *d]));
        if flags & BRIDGE_VLAN_INFO_RANGE_BEGIN != 0 {
            first = Some(id);
            continue;
        }
        let begin = first.take().filter(|_| flags & BRIDGE_VLAN_INFO_RANGE_END != 0).unwrap_or(id);
        let new =
            (begin.max(1)..=id.min(LAST_VLAN)).filter(|id| !std::mem::replace(&mut known[usize::from(*id)], true));
        vlans.extend(new.map(|id| PortVlan {
            id,
            pvid: flags & BRIDGE_VLAN_INFO_PVID != 0,
            untagged: flags & BRIDGE_VLAN_INFO_UNTAGGED != 0,
        }));
    }
    vlans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(ids: impl IntoIterator<Item = u16>) -> impl Iterator<Item = PortVlan> {
        ids.into_iter().map(|id| PortVlan { id, pvid: false, untagged: false })
    }

    #[test]
    fn neighbours_are_one_range_and_a_pvid_stands_alone() {
        let own = PortVlan { id: 101, pvid: true, untagged: true };
        let vlans: Vec<PortVlan> = tagged([7, 99, 100]).chain([own]).chain(tagged(102..=4094)).collect();
        assert_eq!(Words(&vlans).to_string(), "vid 7 vid 99-100 vid 101 pvid untagged vid 102-4094");
        let mut buffer = Vec::new();
        push_vlans(&mut buffer, &vlans);
        assert_eq!(buffer.len(), 4 + 6 * 8, "a header, and two entries for a range");
        assert_eq!(read_vlans(&buffer), vlans);
    }

    #[test]
    fn no_list_is_longer_than_all_vlans() {
        let mut buffer = Vec::new();
        let nested = push_nested_header(&mut buffer, IFLA_AF_SPEC);
        let end = |id| PortVlan { id, pvid: false, untagged: false };
        for _ in 0..1000 {
            push_vlan(&mut buffer, end(0), BRIDGE_VLAN_INFO_RANGE_BEGIN);
            push_vlan(&mut buffer, end(u16::MAX), BRIDGE_VLAN_INFO_RANGE_END);
        }
        finalize_nested_header(&mut buffer, nested);
        assert_eq!(read_vlans(&buffer), tagged(1..=LAST_VLAN).collect::<Vec<_>>());
    }
}
