//! A captured route: the kernel's, with links by name and nexthop objects resolved.
//!
//! The device that it was captured with is not named: it may have another name and index where the route is put back.

use std::net::IpAddr;

use ipnet::IpNet;
use kernel::netlink::address::{Address, scope};
use kernel::netlink::route::{self as raw, kind, protocol, table};
use serde::{Deserialize, Serialize};

use crate::is_default;

/// Names of the metrics (`RTAX_*`) that are numbers, as `ip route` has them.
const METRICS: [(u16, &str); 14] = [
    (2, "mtu"),
    (3, "window"),
    (4, "rtt"),
    (5, "rttvar"),
    (6, "ssthresh"),
    (7, "cwnd"),
    (8, "advmss"),
    (9, "reordering"),
    (10, "hoplimit"),
    (11, "initcwnd"),
    (13, "rto_min"),
    (14, "initrwnd"),
    (15, "quickack"),
    (17, "fastopen_no_cookie"),
];
/// `RTAX_LOCK`: the metrics that path MTU discovery and the like must not change, as bits.
const LOCK: u16 = 1;
/// `RTAX_CC_ALGO`: a name.
const CONGCTL: u16 = 16;
/// `RTAX_FEATURES`: bits, of which `ip route` knows one.
const FEATURES: u16 = 12;
/// `RTAX_FEATURE_ECN`.
const FEATURE_ECN: u32 = 1;

/// A route of a captured device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Destination.
    pub dst: IpNet,
    /// Only for packets from this prefix (IPv6).
    #[serde(default, skip_serializing_if = "is_default")]
    pub from: Option<IpNet>,
    /// What becomes of the packet (`RTN_*`).
    pub kind: u8,
    /// Table.
    pub table: u32,
    /// Who made it (`RTPROT_*`).
    pub protocol: u8,
    /// Scope (`RT_SCOPE_*`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: u8,
    /// Type of service it is for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tos: u8,
    /// Metric, lower wins.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metric: Option<u32>,
    /// Gateway, of either family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gateway: Option<IpAddr>,
    /// The gateway is on the link although no route says so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub onlink: bool,
    /// Source address that it prefers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub src: Option<IpAddr>,
    /// Metrics (`RTAX_*`): type, and value as the kernel writes it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metrics: Vec<(u16, Vec<u8>)>,
    /// Router preference (IPv6); 0 is medium.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preference: u8,
    /// Seconds until it goes (IPv6).
    #[serde(default, skip_serializing_if = "is_default")]
    pub expires: Option<u32>,
    /// Lightweight tunnel: type and parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encap: Option<(u16, Vec<u8>)>,
    /// Paths, where there are several.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paths: Vec<Path>,
}

/// One path of a route that has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Name of the link, if it is another than the captured device.
    #[serde(default, skip_serializing_if = "is_default")]
    pub device: Option<String>,
    /// Gateway, of either family.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gateway: Option<IpAddr>,
    /// Share of the traffic, from 1 on.
    pub weight: u16,
    /// The gateway is on the link although no route says so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub onlink: bool,
    /// Lightweight tunnel: type and parameters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encap: Option<(u16, Vec<u8>)>,
}

impl Route {
    /// True if it goes out of a link; those that drop packets go nowhere.
    pub const fn has_device(&self) -> bool {
        !matches!(self.kind, kind::BLACKHOLE | kind::UNREACHABLE | kind::PROHIBIT | kind::THROW)
    }

    /// True if a gateway must be reachable before it can be added.
    pub fn needs_gateway(&self) -> bool {
        let needs = |gateway: Option<IpAddr>, onlink: bool| gateway.is_some() && !onlink;
        needs(self.gateway, self.onlink) || self.paths.iter().any(|path| needs(path.gateway, path.onlink))
    }

    /// True if it says of itself that the kernel made it, for an address: it is nothing without one in its subnet.
    pub const fn is_to_subnet(&self) -> bool {
        self.protocol == protocol::KERNEL
    }

    /// True if it may be the route to the subnet of `address`: where it prefers a source, to this one's.
    pub fn leads_to(&self, address: &Address) -> bool {
        let own = address.local.addr();
        let subnet = IpNet::new(address.peer.unwrap_or(own), address.local.prefix_len());
        subnet.is_ok_and(|subnet| subnet.trunc() == self.dst) && self.src.is_none_or(|src| src == own)
    }

    /// Takes the preferred source away if it is one of the addresses `gone`, and returns it.
    pub(crate) fn leave_source(&mut self, gone: &[Address]) -> Option<IpAddr> {
        self.src.take_if(|src| gone.iter().any(|address| address.local.addr() == *src))
    }

    /// The route for the kernel, where the device has index `index` and `other` knows the indices of other links by
    /// name; `None` if it does not know one.
    pub fn on(&self, index: u32, other: impl Fn(&str) -> Option<u32>) -> Option<raw::Route> {
        let flags = |onlink: bool| if onlink { raw::ONLINK } else { 0 };
        let path = |path: &Path| {
            let index = path.device.as_deref().map_or(Some(index), &other)?;
            let Path { gateway, weight, onlink, ref encap, .. } = *path;
            Some(raw::NextHop { index, gateway, weight, flags: flags(onlink), encap: encap.clone() })
        };
        Some(raw::Route {
            from: self.from,
            kind: self.kind,
            table: self.table,
            protocol: self.protocol,
            scope: self.scope,
            tos: self.tos,
            flags: flags(self.onlink),
            metric: self.metric,
            gateway: self.gateway,
            index: Some(index).filter(|_| self.has_device() && self.paths.is_empty()),
            src: self.src,
            metrics: self.metrics.clone(),
            paths: self.paths.iter().map(path).collect::<Option<_>>()?,
            preference: self.preference,
            expires: self.expires,
            encap: self.encap.clone(),
            ..raw::Route::new(self.dst)
        })
    }

    /// The route without the paths out of other links that are not known by name; `None` if that leaves none.
    pub(crate) fn without_unknown(&self, is_known: impl Fn(&str) -> bool) -> Option<Self> {
        let mut route = self.clone();
        route.paths.retain(|path| path.device.as_deref().is_none_or(&is_known));
        if route.paths.len() == self.paths.len() {
            return Some(route);
        }
        let only = if route.paths.len() == 1 { route.paths.pop() } else { None };
        match only {
            Some(path) => {
                (route.gateway, route.onlink, route.encap) = (path.gateway, path.onlink, path.encap);
                path.device.is_none().then_some(route)
            }
            None => (!route.paths.is_empty()).then_some(route),
        }
    }

    /// As the arguments of `ip route add`, for a device named `name`.
    pub fn words(&self, name: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        words.extend(kind_word(self.kind).map(str::to_owned));
        words.push(if self.dst.prefix_len() == 0 { self.default_word() } else { self.dst.to_string() });
        words.extend(self.from.map(|from| format!("from {from}")));
        words.extend((self.tos != 0).then(|| format!("tos {:#x}", self.tos)));
        words.extend(self.encap.as_ref().map(encap_words));
        words.extend(self.gateway.map(|gateway| self.via(gateway)));
        words.extend((self.has_device() && self.paths.is_empty()).then(|| format!("dev {name}")));
        words.extend(self.onlink.then(|| "onlink".to_owned()));
        words.extend(self.src.map(|src| format!("src {src}")));
        words.extend(self.metric.map(|metric| format!("metric {metric}")));
        words.extend((self.table != table::MAIN).then(|| format!("table {}", self.table)));
        words.extend((self.protocol != protocol::BOOT).then(|| format!("proto {}", protocol_word(self.protocol))));
        words.extend(self.scope_word());
        words.extend(self.metric_words());
        words.extend(self.expires.map(|seconds| format!("expires {seconds}")));
        words.extend(match self.preference {
            1 => Some("pref high".to_owned()),
            3 => Some("pref low".to_owned()),
            _ => None,
        });
        for path in &self.paths {
            words.push("nexthop".to_owned());
            words.extend(path.encap.as_ref().map(encap_words));
            words.extend(path.gateway.map(|gateway| self.via(gateway)));
            words.push(format!("dev {} weight {}", path.device.as_deref().unwrap_or(name), path.weight));
            words.extend(path.onlink.then(|| "onlink".to_owned()));
        }
        words.join(" ")
    }

    fn is_ipv6(&self) -> bool {
        self.dst.addr().is_ipv6()
    }

    /// `default` alone is IPv4's unless a gateway says otherwise.
    fn default_word(&self) -> String {
        let said = self.gateway.is_some() || self.paths.iter().any(|path| path.gateway.is_some());
        if self.is_ipv6() && !said { self.dst.to_string() } else { "default".to_owned() }
    }

    fn via(&self, gateway: IpAddr) -> String {
        match (self.is_ipv6(), gateway) {
            (false, IpAddr::V6(gateway)) => format!("via inet6 {gateway}"),
            (true, IpAddr::V4(gateway)) => format!("via inet {gateway}"),
            (_, gateway) => format!("via {gateway}"),
        }
    }

    /// The scope, where it is not the one that `ip route` chooses.
    fn scope_word(&self) -> Option<String> {
        let is_direct = self.gateway.is_none() && self.paths.is_empty() && self.has_device() && !self.is_ipv6();
        let chosen = if is_direct && self.kind == kind::UNICAST { scope::LINK } else { scope::UNIVERSE };
        (self.scope != chosen).then(|| format!("scope {}", self.scope))
    }

    fn metric_words(&self) -> Vec<String> {
        let number = |value: &[u8]| value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        let locks = self.metrics.iter().find(|(kind, _)| *kind == LOCK).map_or(0, |(_, value)| number(value));
        let word = |(kind, value): &(u16, Vec<u8>)| {
            let lock = if locks >> (*kind).min(31) & 1 == 1 { "lock " } else { "" };
            let name = METRICS.iter().find(|(known, _)| known == kind).map(|(_, name)| *name);
            match (*kind, name) {
                (LOCK, _) => None,
                (CONGCTL, _) => {
                    let name = String::from_utf8_lossy(value);
                    Some(format!("congctl {lock}{}", name.trim_end_matches('\0')))
                }
                (FEATURES, _) => (number(value) & FEATURE_ECN != 0).then(|| "features ecn".to_owned()),
                // The first two are kept in eighths and quarters of what is written.
                (4, Some(name)) => Some(format!("{name} {lock}{}ms", number(value) / 8)),
                (5, Some(name)) => Some(format!("{name} {lock}{}ms", number(value) / 4)),
                // Always locked by `ip route`, which takes no word for it.
                (13, Some(name)) => Some(format!("{name} {}ms", number(value))),
                (_, Some(name)) => Some(format!("{name} {lock}{}", number(value))),
                (_, None) => None,
            }
        };
        self.metrics.iter().filter_map(word).collect()
    }
}

fn kind_word(kind: u8) -> Option<&'static str> {
    match kind {
        kind::BLACKHOLE => Some("blackhole"),
        kind::UNREACHABLE => Some("unreachable"),
        kind::PROHIBIT => Some("prohibit"),
        kind::THROW => Some("throw"),
        kind::LOCAL => Some("local"),
        _ => None,
    }
}

/// The numbers that everybody has a name for.
fn protocol_word(number: u8) -> String {
    match number {
        protocol::KERNEL => "kernel".to_owned(),
        protocol::STATIC => "static".to_owned(),
        other => other.to_string(),
    }
}

/// Not the words of `ip route`: every type has its own, and what matters is that there is one.
fn encap_words((kind, parameters): &(u16, Vec<u8>)) -> String {
    format!("encap type {kind} ({} bytes)", parameters.len())
}
