//! The configuration of host-local: `ipam`, `runtimeConfig`, `args.cni` and `CNI_ARGS`, as ranges and requested addresses.
//!
//! Two readings: [`Conf`] is everything ADD needs, checked; [`Place`] is where the reservations are, which is all that
//! the other verbs need, so that a mistake in the ranges never keeps an address from being released.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

use cni::net::{Cidr, Ip};
use cni::{Error, Request, Version};
use serde::Deserialize;
use serde_json::Value;

use super::range::{RangeSet, first_overlapping};
use crate::text::{load_args, parse_ip_or_cidr};

/// Where reservations are kept when the configuration does not say.
const DATA_DIR: &str = "/var/lib/cni/networks";

/// The directory of one network's reservations.
#[derive(Debug, Clone)]
pub struct Place {
    /// `ipam.dataDir`.
    pub data_dir: PathBuf,
    /// Name of the network, valid as a file name.
    pub network: String,
}

impl Place {
    /// Reads where the reservations of `request`'s network are.
    ///
    /// # Errors
    /// A name that is no file name, or a `dataDir` that is not a string.
    pub fn read(request: &Request) -> Result<Self, Error> {
        let ipam = request.conf.raw.as_object().and_then(|conf| cni::json::get_ci(conf, "ipam"));
        let data_dir = ipam.and_then(Value::as_object).and_then(|ipam| cni::json::get_ci(ipam, "dataDir"));
        let data_dir = match data_dir {
            None | Some(Value::Null) => DATA_DIR,
            Some(Value::String(text)) if text.is_empty() => DATA_DIR,
            Some(Value::String(text)) => text,
            Some(other) => return Err(Error::internal(format_args!("ipam.dataDir: expected a string, found {other}"))),
        };
        cni::env::validate_network_name(&request.conf.name)?;
        Ok(Self { data_dir: data_dir.into(), network: request.conf.name.clone() })
    }
}

/// What ADD allocates from.
#[derive(Debug, Clone)]
pub struct Conf {
    /// Range sets; the container gets one address of each.
    pub sets: Vec<RangeSet>,
    /// Addresses that somebody asked for, in order of precedence, without duplicates.
    pub requested: Vec<IpAddr>,
    /// Routes, passed on as they are.
    pub routes: Vec<cni::Route>,
    /// A `resolv.conf(5)` file to report; empty for none.
    pub resolv_conf: String,
}

impl Conf {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// The first mistake, in the reference implementation's words.
    pub fn read(request: &Request) -> Result<Self, Error> {
        let net: NetConf = request.conf.decode()?;
        let Some(ipam) = net.ipam else { return Err(Error::internal("IPAM config missing 'ipam' key")) };
        let mut requested: Vec<IpAddr> = requested_by_args(&request.env.args)?.into_iter().collect();
        let mut seen: HashSet<IpAddr> = requested.iter().copied().collect();
        for text in net.args.cni.ips.iter().chain(&net.runtime_config.ips) {
            let ip = parse_ip_or_cidr(text);
            let ip = ip.ok_or_else(|| Error::internal(format_args!("invalid IP address {text}")))?;
            if seen.insert(ip) {
                requested.push(ip);
            }
        }
        let mut ranges = net.runtime_config.ip_ranges;
        let IpamConf { subnet, range_start, range_end, gateway, .. } = ipam;
        if subnet.is_some() {
            ranges.push(vec![RangeConf { subnet, range_start, range_end, gateway }]);
        }
        ranges.extend(ipam.ranges);
        let sets = range_sets(&ranges, request.conf.cni_version)?;
        Ok(Self { sets, requested, routes: ipam.routes, resolv_conf: ipam.resolv_conf })
    }
}

fn requested_by_args(args: &str) -> Result<Option<IpAddr>, Error> {
    let args = load_args(args, &["IP"])?;
    let Some((_, text)) = args.iter().rfind(|(key, value)| key == "IP" && !value.is_empty()) else { return Ok(None) };
    let ip = parse_ip_or_cidr(text);
    let pair = format!("IP={text}");
    ip.map(Some).ok_or_else(|| {
        Error::internal(format_args!("ARGS: error parsing value of pair {pair:?}: invalid IP address {text}"))
    })
}

fn range_sets(ranges: &[Vec<RangeConf>], version: Version) -> Result<Vec<RangeSet>, Error> {
    if ranges.is_empty() {
        return Err(Error::internal("no IP ranges specified"));
    }
    let mut sets = Vec::with_capacity(ranges.len());
    for (at, ranges) in ranges.iter().enumerate() {
        let set = RangeSet::new(ranges);
        sets.push(set.map_err(|error| error.context(format_args!("invalid range set {at}")))?);
    }
    let ipv4 = sets.iter().filter(|set| set.is_ipv4()).count();
    if (ipv4 > 1 || sets.len() - ipv4 > 1) && version < Version::V0_3_0 {
        let text = format!("CNI version {version} does not support more than 1 address per family");
        return Err(Error::internal(text));
    }
    let numbered = sets.iter().enumerate().flat_map(|(at, set)| set.0.iter().map(move |range| (at, range)));
    if let Some(at) = first_overlapping(numbered)
        && let Some(with) = sets[at + 1..].iter().position(|other| sets[at].overlaps(other))
    {
        return Err(Error::internal(format_args!("range set {at} overlaps with {}", at + 1 + with)));
    }
    Ok(sets)
}

/// A range as a configuration spells it.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RangeConf {
    /// Subnet in CIDR notation.
    pub subnet: Option<Cidr>,
    /// First address.
    pub range_start: Ip,
    /// Last address.
    pub range_end: Ip,
    /// Gateway.
    pub gateway: Ip,
}

#[cfg(test)]
impl RangeConf {
    /// A range that is all of `subnet`.
    pub fn of(subnet: ipnet::IpNet) -> Self {
        Self { subnet: Some(Cidr(subnet)), ..Self::default() }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NetConf {
    ipam: Option<IpamConf>,
    runtime_config: RuntimeConf,
    args: Args,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct IpamConf {
    subnet: Option<Cidr>,
    range_start: Ip,
    range_end: Ip,
    gateway: Ip,
    ranges: Vec<Vec<RangeConf>>,
    routes: Vec<cni::Route>,
    resolv_conf: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RuntimeConf {
    #[serde(rename = "ipRanges")]
    ip_ranges: Vec<Vec<RangeConf>>,
    ips: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Args {
    cni: ArgsCni,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ArgsCni {
    ips: Vec<String>,
}
