//! The network that a run joins when none is configured: a dual-stack bridge with masquerade.
//!
//! Its prefixes are chosen when the first run starts: the first private IPv4 prefix of a short list that no address
//! and no route of the host touches, and a random unique local IPv6 prefix (RFC 4193). All runs share it, and it is
//! gone with the last.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use kernel::netlink::route::Filter;
use kernel::netlink::{address, route};
use kernel::{Family, Socket};
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::{Value, json};

/// Name of the network.
pub const NAME: &str = "netferry";
const BRIDGE: &str = "netferry0";
/// Tried in this order: sixteen prefixes that neither Docker, Podman nor Kubernetes distributions use by default.
const FIRST_CANDIDATE: [u8; 4] = [10, 209, 0, 0];
const CANDIDATES: u8 = 16;
const LAST_RESORTS: [[u8; 4]; 2] = [[172, 29, 0, 0], [192, 168, 209, 0]];

/// The configuration list in `file`, which is made if no other run has made it.
///
/// # Errors
/// The file cannot be read or written; no prefix is free.
pub fn configuration(file: &Path, addresses: &Path) -> io::Result<Vec<u8>> {
    match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        outcome => return outcome,
    }
    let taken = taken()?;
    let mut random = [0; 7];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let prefixes = choose_ipv4(&taken).zip(choose_ipv6(&taken, random));
    let (ipv4, ipv6) = prefixes.ok_or_else(|| {
        io::Error::other("every private prefix of the built-in network is in use on this host: name one with --network")
    })?;
    let bytes = serde_json::to_vec_pretty(&list(ipv4, ipv6, addresses))?;
    let temporary = file.with_extension("new");
    fs::write(&temporary, &bytes)?;
    fs::rename(temporary, file)?;
    Ok(bytes)
}

fn list(ipv4: Ipv4Net, ipv6: Ipv6Net, addresses: &Path) -> Value {
    json!({
        // Not 1.1.0, whose verbs a run has no use for: chained plugins of distributions, portmap for one, stop here.
        "cniVersion": "1.0.0",
        "name": NAME,
        "plugins": [{
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            "isDefaultGateway": true,
            // A bridge that outlived its runs may have the gateway of a prefix that is not chosen again.
            "forceAddress": true,
            "ipMasq": true,
            "removeWhenEmpty": true,
            "ipam": {
                "type": "host-local",
                "dataDir": addresses.to_string_lossy(),
                "ranges": [[{ "subnet": ipv4.to_string() }], [{ "subnet": ipv6.to_string() }]],
            },
        }],
    })
}

/// Prefixes of the host's addresses and routes. Default routes are everybody's and say nothing.
fn taken() -> io::Result<Vec<IpNet>> {
    let mut socket = Socket::open(Family::Route).map_err(io::Error::other)?;
    let mut taken: Vec<IpNet> =
        address::list(&mut socket, None).map_err(io::Error::other)?.iter().map(|address| address.local).collect();
    for ipv6 in [false, true] {
        let routes = route::list(&mut socket, ipv6, Filter::default()).map_err(io::Error::other)?;
        taken.extend(routes.iter().map(|route| route.dst));
    }
    taken.retain(|prefix| prefix.prefix_len() > 0);
    Ok(taken)
}

fn choose_ipv4(taken: &[IpNet]) -> Option<Ipv4Net> {
    let tens = (0..CANDIDATES).map(|step| [FIRST_CANDIDATE[0], FIRST_CANDIDATE[1] + step, 0, 0]);
    let prefixes = tens.chain(LAST_RESORTS).map(|octets| {
        let length = if octets[0] == 192 { 24 } else { 16 };
        Ipv4Net::new_assert(octets.into(), length)
    });
    prefixes.into_iter().find(|prefix| is_free(IpNet::V4(*prefix), taken))
}

/// `fdXX:XXXX:XXXX:YYYY::/64`, from a random global ID and subnet.
fn choose_ipv6(taken: &[IpNet], random: [u8; 7]) -> Option<Ipv6Net> {
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..8].copy_from_slice(&random);
    let prefix = Ipv6Net::new_assert(Ipv6Addr::from(octets), 64);
    Some(prefix).filter(|prefix| is_free(IpNet::V6(*prefix), taken))
}

fn is_free(prefix: IpNet, taken: &[IpNet]) -> bool {
    let touches = |other: &IpNet| match (prefix.addr(), other.addr()) {
        (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
            prefix.contains(&other.addr()) || other.contains(&prefix.addr())
        }
        _ => false,
    };
    !taken.iter().any(touches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_first_prefix_that_nothing_touches() {
        let choice = |taken: &[&str]| choose_ipv4(&nets(taken)).map(|prefix| prefix.to_string());
        assert_eq!(choice(&[]).as_deref(), Some("10.209.0.0/16"));
        assert_eq!(choice(&["10.209.3.7/24"]).as_deref(), Some("10.210.0.0/16"));
        assert_eq!(choice(&["10.208.0.0/14"]).as_deref(), Some("10.212.0.0/16"));
        assert_eq!(choice(&["10.0.0.0/8", "fd00::/8"]).as_deref(), Some("172.29.0.0/16"));
        assert_eq!(choice(&["10.0.0.0/8", "172.16.0.0/12"]).as_deref(), Some("192.168.209.0/24"));
        assert_eq!(choice(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]), None);
    }

    #[test]
    fn a_unique_local_prefix() {
        let random = [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde];
        assert_eq!(choose_ipv6(&[], random).unwrap().to_string(), "fd12:3456:789a:bcde::/64");
        assert_eq!(choose_ipv6(&nets(&["fd00::/8"]), random), None);
        assert!(choose_ipv6(&nets(&["fd00::2/64"]), random).is_some());
    }
}
