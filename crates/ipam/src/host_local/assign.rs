//! One address of every range set: which are asked for, which are refused, and in what words.

use std::net::IpAddr;

use cni::{Error, IpConfig};
use ipnet::IpNet;

use super::config::Conf;
use super::range::{Range, RangeSet};

/// Gives one address of each set of `conf` to the container `id`, which already holds `held`.
///
/// `pick` takes an address of a set: the requested one, or the next free one; `None` if that is taken, or all are. What it
/// took before an error is the caller's to give back.
///
/// # Errors
/// The first set that cannot give an address, or requested addresses that lie in no set.
pub fn assign(
    conf: &Conf,
    id: &str,
    held: &[IpAddr],
    mut pick: impl FnMut(usize, &RangeSet, Option<IpAddr>) -> Result<Option<IpAddr>, Error>,
) -> Result<Vec<IpConfig>, Error> {
    let mut requested = conf.requested.clone();
    let mut ips = Vec::with_capacity(conf.sets.len());
    for (at, set) in conf.sets.iter().enumerate() {
        let wanted = requested.iter().position(|ip| set.range_for(*ip).is_some()).map(|at| requested.remove(at));
        let given = check(set, wanted, id, held).and_then(|()| match pick(at, set, wanted)? {
            Some(ip) => found(set, ip),
            None => Err(unavailable(set, wanted)),
        });
        ips.push(given.map_err(|error| error.context(format_args!("failed to allocate for range {at}")))?);
    }
    if requested.is_empty() {
        return Ok(ips);
    }
    let list = requested.iter().fold(String::new(), |list, ip| list + " " + &ip.to_string());
    Err(Error::internal(format_args!("failed to allocate all requested IPs:{list}")))
}

fn check(set: &RangeSet, wanted: Option<IpAddr>, id: &str, held: &[IpAddr]) -> Result<(), Error> {
    if let Some(ip) = wanted {
        let is_gateway = set.range_for(ip).is_some_and(|range| range.gateway == ip);
        return if is_gateway {
            Err(Error::internal(format_args!("requested ip {ip} is subnet's gateway")))
        } else {
            Ok(())
        };
    }
    match held.iter().find(|ip| set.range_for(**ip).is_some()) {
        Some(ip) => {
            Err(Error::internal(format_args!("{ip} has been allocated to {id}, duplicate allocation is not allowed")))
        }
        None => Ok(()),
    }
}

fn found(set: &RangeSet, ip: IpAddr) -> Result<IpConfig, Error> {
    let Some(Range { subnet, gateway, .. }) = set.range_for(ip) else { return Err(unavailable(set, Some(ip))) };
    let address = IpNet::new(ip, subnet.prefix_len()).map_err(Error::internal)?;
    Ok(IpConfig { interface: None, address, gateway: Some(*gateway) })
}

fn unavailable(set: &RangeSet, wanted: Option<IpAddr>) -> Error {
    match wanted {
        Some(ip) => Error::internal(format_args!("requested IP address {ip} is not available in range set {set}")),
        None => Error::internal(format_args!("no IP addresses available in range set: {set}")),
    }
}
