//! Kinds of links: their names, the settings that are fixed when a link is made, and both ways of `IFLA_LINKINFO`.

use std::fmt;

use netlink_bindings::rt_link::{Ifinfomsg, PushLinkAttrs};
use netlink_bindings::utils::{IterableChunks, finalize_nested_header, push_nested_header};

use super::link::{IFLA_LINKINFO, NewPeer, common, one_queue, push_bytes};

const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_MACVLAN_BC_QUEUE_LEN: u16 = 7;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VRF_TABLE: u16 = 1;
const IFLA_BR_VLAN_FILTERING: u16 = 7;

/// What sort of device a link is, with the settings that are fixed when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A learning bridge.
    Bridge {
        /// Whether ports are held apart by VLAN.
        vlan_filtering: bool,
    },
    /// One end of a pair.
    Veth,
    /// A MAC-level child of the parent.
    Macvlan {
        /// How children reach each other.
        mode: MacvlanMode,
        /// Length of the broadcast queue in frames; the kernel's default if unset.
        broadcast_queue: Option<u32>,
    },
    /// An IP-level child of the parent.
    Ipvlan {
        /// At which layer frames are switched.
        mode: IpvlanMode,
    },
    /// An 802.1Q child of the parent.
    Vlan {
        /// VLAN identifier.
        id: u16,
    },
    /// A device that drops everything.
    Dummy,
    /// An intermediate functional block: queueing for ingress.
    Ifb,
    /// A routing domain.
    Vrf {
        /// The table its members route by.
        table: u32,
    },
    /// Any other kind, by the kernel's name; empty for a device that has none (hardware, loopback).
    Other(String),
}

/// `macvlan` modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are iproute2's")]
pub enum MacvlanMode {
    Private = 1,
    Vepa = 2,
    Bridge = 4,
    Passthru = 8,
}

/// `ipvlan` modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are iproute2's")]
pub enum IpvlanMode {
    L2 = 0,
    L3 = 1,
    L3s = 2,
}

impl Kind {
    /// The kernel's name (`IFLA_INFO_KIND`).
    pub fn name(&self) -> &str {
        match self {
            Self::Bridge { .. } => "bridge",
            Self::Veth => "veth",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
            Self::Vlan { .. } => "vlan",
            Self::Dummy => "dummy",
            Self::Ifb => "ifb",
            Self::Vrf { .. } => "vrf",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Bridge { vlan_filtering: true } => f.write_str(" vlan_filtering 1"),
            Self::Macvlan { mode, .. } => write!(f, " mode {}", format!("{mode:?}").to_lowercase()),
            Self::Ipvlan { mode } => write!(f, " mode {}", format!("{mode:?}").to_lowercase()),
            Self::Vlan { id } => write!(f, " id {id}"),
            Self::Vrf { table } => write!(f, " table {table}"),
            _ => Ok(()),
        }
    }
}

impl Kind {
    /// Reads a kind from its name and the attributes of `IFLA_LINKINFO`.
    pub(super) fn read(name: &str, info: IterableChunks<'_>) -> Self {
        let data = || {
            let mut info = info;
            info.find(|(header, _)| header.r#type == IFLA_INFO_DATA).map(|(_, data)| data).unwrap_or_default()
        };
        let number = |wanted: u16| {
            let value = IterableChunks::new(data()).find(|(header, _)| header.r#type == wanted).map(|(_, value)| value);
            match value {
                Some([byte]) => u32::from(*byte),
                Some([a, b]) => u32::from(u16::from_ne_bytes([*a, *b])),
                Some([a, b, c, d]) => u32::from_ne_bytes([*a, *b, *c, *d]),
                _ => 0,
            }
        };
        match name {
            "bridge" => Self::Bridge { vlan_filtering: number(IFLA_BR_VLAN_FILTERING) != 0 },
            "veth" => Self::Veth,
            "macvlan" => Self::Macvlan {
                mode: match number(IFLA_MACVLAN_MODE) {
                    1 => MacvlanMode::Private,
                    2 => MacvlanMode::Vepa,
                    8 => MacvlanMode::Passthru,
                    _ => MacvlanMode::Bridge,
                },
                broadcast_queue: Some(number(IFLA_MACVLAN_BC_QUEUE_LEN)).filter(|length| *length != 0),
            },
            "ipvlan" => Self::Ipvlan {
                mode: match number(IFLA_IPVLAN_MODE) {
                    1 => IpvlanMode::L3,
                    2 => IpvlanMode::L3s,
                    _ => IpvlanMode::L2,
                },
            },
            "vlan" => Self::Vlan { id: number(IFLA_VLAN_ID) as u16 },
            "dummy" => Self::Dummy,
            "ifb" => Self::Ifb,
            "vrf" => Self::Vrf { table: number(IFLA_VRF_TABLE) },
            other => Self::Other(other.to_owned()),
        }
    }

    /// `IFLA_LINKINFO`, written by hand because the codec has no veth, macvlan or ipvlan.
    pub(super) fn push(&self, buffer: &mut Vec<u8>, peer: Option<&NewPeer<'_>>) {
        let info = push_nested_header(buffer, IFLA_LINKINFO);
        push_bytes(buffer, IFLA_INFO_KIND, self.name().as_bytes());
        let data = push_nested_header(buffer, IFLA_INFO_DATA);
        match self {
            Kind::Bridge { vlan_filtering: true } => push_bytes(buffer, IFLA_BR_VLAN_FILTERING, &[1]),
            Kind::Macvlan { mode, broadcast_queue } => {
                push_bytes(buffer, IFLA_MACVLAN_MODE, &(*mode as u32).to_ne_bytes());
                if let Some(length) = broadcast_queue {
                    push_bytes(buffer, IFLA_MACVLAN_BC_QUEUE_LEN, &length.to_ne_bytes());
                }
            }
            Kind::Ipvlan { mode } => push_bytes(buffer, IFLA_IPVLAN_MODE, &(*mode as u16).to_ne_bytes()),
            Kind::Vlan { id } => push_bytes(buffer, IFLA_VLAN_ID, &id.to_ne_bytes()),
            Kind::Vrf { table } => push_bytes(buffer, IFLA_VRF_TABLE, &table.to_ne_bytes()),
            Kind::Veth => {
                if let Some(peer) = peer {
                    let nested = push_nested_header(buffer, VETH_INFO_PEER);
                    buffer.extend_from_slice(Ifinfomsg::new().as_slice());
                    let end = common(PushLinkAttrs::new(&mut *buffer), peer.name, peer.mac, peer.mtu, peer.netns);
                    drop(one_queue(end));
                    finalize_nested_header(buffer, nested);
                }
            }
            Kind::Bridge { .. } | Kind::Dummy | Kind::Ifb | Kind::Other(_) => {}
        }
        finalize_nested_header(buffer, data);
        finalize_nested_header(buffer, info);
    }
}
