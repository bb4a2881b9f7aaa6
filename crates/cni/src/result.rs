//! The result of ADD, in the shape of the newest version; other versions are conversions of it at the edge.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;

use crate::net;

/// What ADD achieved (the specification's "Success").
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AddResult {
    /// Interfaces that were made or used, host side and container side.
    pub interfaces: Vec<Interface>,
    /// Addresses that were assigned.
    pub ips: Vec<IpConfig>,
    /// Routes that were made.
    pub routes: Vec<Route>,
    /// Name service, as far as the network knows it.
    pub dns: Dns,
}

/// An interface of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Interface {
    /// Name.
    pub name: String,
    /// Hardware address, lower-case hexadecimal with colons; empty where there is none.
    pub mac: String,
    /// Maximum transmission unit in bytes; 0 where unknown (1.1.0).
    #[serde(default)]
    pub mtu: u32,
    /// Path of the container's network namespace (`CNI_NETNS`); empty for an interface of the host.
    pub sandbox: String,
    /// Path of a vhost-user or similar socket (1.1.0).
    pub socket_path: String,
    /// PCI address of the device (1.1.0).
    #[serde(rename = "pciID")]
    pub pci_id: String,
}

/// An address of a result.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IpConfig {
    /// Index into `interfaces`. Plugins in the field send -1 for "none", and it must survive.
    #[serde(default)]
    pub interface: Option<i64>,
    /// Address with prefix length; host bits are kept.
    #[serde(deserialize_with = "net::cidr")]
    pub address: IpNet,
    /// Gateway of the subnet; says nothing about a route.
    #[serde(default, deserialize_with = "net::ip")]
    pub gateway: Option<IpAddr>,
}

/// A route of a result or of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Route {
    /// Destination.
    #[serde(deserialize_with = "net::cidr")]
    pub dst: IpNet,
    /// Next hop; unset means that the gateway of an address of the same family may be used.
    #[serde(default, deserialize_with = "net::ip")]
    pub gw: Option<IpAddr>,
    /// Path MTU in bytes; 0 is unset (1.1.0).
    #[serde(default)]
    pub mtu: u32,
    /// TCP maximum segment size to advertise, in bytes; 0 is unset (1.1.0).
    #[serde(default)]
    pub advmss: u32,
    /// Metric, lower wins; 0 is unset (1.1.0).
    #[serde(default)]
    pub priority: u32,
    /// Routing table (1.1.0).
    #[serde(default)]
    pub table: Option<u32>,
    /// `rtm_scope`: 0 global, 253 link, 254 host (1.1.0).
    #[serde(default)]
    pub scope: Option<u8>,
}

impl Route {
    /// A route to `dst`, through `gw` if it is given, with nothing else said.
    pub const fn new(dst: IpNet, gw: Option<IpAddr>) -> Self {
        Self { dst, gw, mtu: 0, advmss: 0, priority: 0, table: None, scope: None }
    }
}

/// Name service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Addresses of name servers, most preferred first.
    pub nameservers: Vec<String>,
    /// Local domain.
    pub domain: String,
    /// Search list.
    pub search: Vec<String>,
    /// Options of `resolv.conf(5)`.
    pub options: Vec<String>,
}

impl Dns {
    /// True if nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
