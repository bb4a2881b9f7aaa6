//! static: the addresses that the configuration names (`ipam.type: static`). There is no state, hence nothing to release.
//!
//! `CNI_ARGS` adds addresses (`IP`) and sets gateways (`GATEWAY`); `args.cni.ips` replaces the list, and
//! `runtimeConfig.ips` replaces it after that; replaced addresses take their gateways with them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni::net::{Ip, parse_cidr, parse_ip};
use cni::{AddResult, Dns, Error, IpConfig, Request, Version, code};
use ipnet::IpNet;
use serde::Deserialize;

use crate::text::load_args;

/// ADD: the configured addresses, routes and name service.
///
/// # Errors
/// A mistake in the configuration, in the reference implementation's words.
pub fn add(request: &Request) -> Result<AddResult, Error> {
    let net: NetConf = request.conf.decode()?;
    let Some(ipam) = net.ipam else { return Err(Error::internal("IPAM config missing 'ipam' key")) };
    let mut ips = ipam.addresses.iter().map(AddressConf::read).collect::<Result<Vec<_>, Error>>()?;
    apply_args(&mut ips, &request.env.args)?;
    for replacement in [&net.args.cni.ips, &net.runtime_config.ips].into_iter().filter(|ips| !ips.is_empty()) {
        ips = replacement.iter().map(|text| requested(text)).collect::<Result<_, _>>()?;
    }
    check_families(&ips, request.conf.cni_version)?;
    Ok(AddResult { ips, routes: ipam.routes, dns: ipam.dns, ..AddResult::default() })
}

/// What ADD would give: the same, since ADD reserves nothing.
///
/// # Errors
/// As [`add`].
pub fn preview(request: &Request) -> Result<AddResult, Error> {
    add(request)
}

/// CHECK: every configured address is in prevResult, with the configured gateway if there is one.
///
/// # Errors
/// No prevResult, or addresses that differ or are absent, all of them named.
pub fn check(request: &Request) -> Result<(), Error> {
    let expected = add(request)?;
    let Some(found) = &request.conf.prev_result else { return Err(Error::internal("Required prevResult missing")) };
    // Backwards: of several that are the same the first one counts.
    let gateways: BTreeMap<_, _> = found.ips.iter().rev().map(|ip| (ip.address.addr(), ip.gateway)).collect();
    let fits = |ip: &IpConfig| {
        gateways.get(&ip.address.addr()).is_some_and(|gateway| ip.gateway.is_none() || ip.gateway == *gateway)
    };
    let missing: Vec<String> =
        expected.ips.iter().filter(|ip| !fits(ip)).map(|ip| ip.address.addr().to_string()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (addresses, ifname) = (missing.join(", "), &request.env.ifname);
    Err(Error::internal(format_args!("static: Failed to match addr {addresses} on interface {ifname}")))
}

/// DEL: there is nothing to release, whatever the configuration says.
///
/// # Errors
/// None.
pub fn del(_request: &Request) -> Result<(), Error> {
    Ok(())
}

/// GC: there is nothing to release.
///
/// # Errors
/// None.
pub fn gc(_request: &Request) -> Result<(), Error> {
    Ok(())
}

/// STATUS: the configuration can be served.
///
/// # Errors
/// Code 50 and the mistake in the configuration.
pub fn status(request: &Request) -> Result<(), Error> {
    add(request).map(drop).map_err(|error| Error { code: code::NOT_AVAILABLE, ..error })
}

fn apply_args(ips: &mut Vec<IpConfig>, args: &str) -> Result<(), Error> {
    let args = load_args(args, &["IP", "GATEWAY"])?;
    let items = |name: &str| {
        let value = args.iter().rfind(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str());
        value.into_iter().flat_map(|value| value.split(',')).collect::<Vec<_>>()
    };
    for item in items("IP").into_iter().map(str::trim) {
        let text = format!("the 'ip' field is expected to be in CIDR notation, got: '{item}'");
        ips.push(unrouted(parse_cidr(item).ok_or_else(|| Error::internal(text))?));
    }
    for item in items("GATEWAY") {
        let gateway = parse_ip(item.trim());
        let gateway = gateway.ok_or_else(|| Error::internal(format_args!("invalid gateway address: {item}")))?;
        for ip in ips.iter_mut().filter(|ip| ip.address.contains(&gateway)) {
            ip.gateway = Some(gateway);
        }
    }
    Ok(())
}

fn requested(text: &str) -> Result<IpConfig, Error> {
    let error = || Error::internal(format_args!("an entry in the 'ips' field is NOT in CIDR notation, got: '{text}'"));
    parse_cidr(text).map(unrouted).ok_or_else(error)
}

fn unrouted(address: IpNet) -> IpConfig {
    IpConfig { interface: None, address, gateway: None }
}

fn check_families(ips: &[IpConfig], version: Version) -> Result<(), Error> {
    let ipv4 = ips.iter().filter(|ip| ip.address.addr().is_ipv4()).count();
    if (ipv4 > 1 || ips.len() - ipv4 > 1) && version < Version::V0_3_0 {
        let text = format!("CNI version {version} does not support more than 1 address per family");
        return Err(Error::internal(text));
    }
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NetConf {
    ipam: Option<IpamConf>,
    #[serde(rename = "runtimeConfig")]
    runtime_config: Ips,
    args: Args,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IpamConf {
    addresses: Vec<AddressConf>,
    routes: Vec<cni::Route>,
    dns: Dns,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AddressConf {
    address: String,
    gateway: Ip,
}

impl AddressConf {
    fn read(&self) -> Result<IpConfig, Error> {
        let text = &self.address;
        let error =
            || Error::internal(format_args!("the 'address' field is expected to be in CIDR notation, got: '{text}'"));
        let gateway: Option<IpAddr> = self.gateway.0;
        Ok(IpConfig { gateway, ..unrouted(parse_cidr(text).ok_or_else(error)?) })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Args {
    cni: Ips,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ips {
    ips: Vec<String>,
}
