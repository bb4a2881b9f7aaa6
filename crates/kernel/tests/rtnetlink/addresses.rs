//! Addresses with every attribute: added, read back equal, removed, gone.

use std::slice::from_ref;

use kernel::Socket;
use kernel::netlink::address::{self, Address, Lifetime, flags, scope};

use super::{in_netns, ip, ip_json, pair, release};

/// The addresses of a link, without what the kernel adds of its own accord.
fn read(socket: &mut Socket, index: u32) -> Vec<Address> {
    let mut addresses = address::list(socket, Some(index)).unwrap();
    // The link-local address that IPv6 makes itself.
    addresses.retain(|address| address.local.addr().is_ipv4() || address.scope != scope::LINK);
    for address in &mut addresses {
        address.flags &= !flags::PERMANENT;
    }
    addresses
}

fn round_trip(socket: &mut Socket, given: &Address) {
    address::add(socket, given, "host0").unwrap();
    assert_eq!(read(socket, given.index), from_ref(given), "{given}");
    let shown = ip_json("address show dev host0")[0]["addr_info"].to_string();
    assert!(shown.contains(&format!("\"local\":\"{}\"", given.local.addr())), "{shown}");
    let error = address::add(socket, given, "host0").unwrap_err();
    assert!(error.is_present(), "{error}");
    // Older kernels say it by the number alone.
    let says = error.extack.as_deref().map(|text| text.contains("already"));
    assert!(says == Some(true) || says.is_none() && release() < (6, 12), "{error}");
    address::remove(socket, given, "host0").unwrap();
    assert_eq!(read(socket, given.index), []);
    let error = address::remove(socket, given, "host0").unwrap_err();
    assert!(error.is_absent(), "{error}");
}

#[test]
fn ipv4_with_every_attribute() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        let plain = Address { label: Some("host0".into()), ..Address::new(index, "10.1.2.3/24".parse().unwrap()) };
        let lifetime = Some(Lifetime { valid: 7200, preferred: 3600 });
        for given in [
            plain.clone(),
            Address { local: "10.1.2.3/32".parse().unwrap(), peer: Some("10.9.9.9".parse().unwrap()), ..plain.clone() },
            Address { broadcast: Some("10.1.2.255".parse().unwrap()), ..plain.clone() },
            Address { label: Some("host0:cni".into()), ..plain.clone() },
            Address { scope: scope::LINK, ..plain.clone() },
            Address { scope: scope::HOST, ..plain.clone() },
            Address { metric: Some(500), ..plain.clone() },
            Address { flags: flags::NOPREFIXROUTE, ..plain.clone() },
            Address { protocol: 0x42, ..plain.clone() },
            Address { lifetime, ..plain.clone() },
        ] {
            round_trip(socket, &given);
        }
        address::add(socket, &Address { label: None, ..plain.clone() }, "host0").unwrap();
        assert_eq!(
            read(socket, index),
            std::slice::from_ref(&plain),
            "the label is the link's name where none is given"
        );
        let deprecated = Address { lifetime: Some(Lifetime { valid: u32::MAX, preferred: 0 }), ..plain };
        address::remove(socket, &deprecated, "host0").unwrap();
        address::add(socket, &deprecated, "host0").unwrap();
        assert_eq!(read(socket, index)[0].lifetime, deprecated.lifetime);
    });
}

#[test]
fn ipv6_with_every_attribute() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        let plain = Address { flags: flags::NODAD, ..Address::new(index, "fd00::3/64".parse().unwrap()) };
        let lifetime = |valid, preferred| Some(Lifetime { valid, preferred });
        for given in [
            plain.clone(),
            Address { peer: Some("fd00::9".parse().unwrap()), local: "fd00::3/128".parse().unwrap(), ..plain.clone() },
            Address { metric: Some(500), ..plain.clone() },
            Address { flags: flags::NODAD | flags::NOPREFIXROUTE, ..plain.clone() },
            Address { protocol: 0x42, ..plain.clone() },
            Address { lifetime: lifetime(7200, 3600), ..plain.clone() },
        ] {
            round_trip(socket, &given);
        }
        let deprecated = Address { lifetime: lifetime(u32::MAX, 0), ..plain };
        address::add(socket, &deprecated, "host0").unwrap();
        let there = &read(socket, index)[0];
        assert_eq!(there.lifetime, deprecated.lifetime);
        assert_eq!(there.flags & libc::IFA_F_DEPRECATED, libc::IFA_F_DEPRECATED);
    });
}

#[test]
fn secondaries_come_after_their_primary() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        for local in ["10.1.2.3/24", "10.1.2.4/24"] {
            address::add(socket, &Address::new(index, local.parse().unwrap()), "host0").unwrap();
        }
        let addresses = read(socket, index);
        assert_eq!(addresses.iter().map(|a| a.local.to_string()).collect::<Vec<_>>(), ["10.1.2.3/24", "10.1.2.4/24"]);
        assert_eq!(addresses.iter().map(|a| a.flags & flags::SECONDARY).collect::<Vec<_>>(), [0, flags::SECONDARY]);
    });
}

#[test]
fn only_of_the_link_that_is_asked_for() {
    in_netns(|socket| {
        let (host, container) = pair(socket);
        ip("address add 10.0.0.1/24 dev host0");
        ip("address add 10.0.1.1/24 dev cont0");
        assert!(address::list(socket, Some(host)).unwrap().iter().all(|address| address.index == host));
        let links: Vec<u32> = address::list(socket, None).unwrap().iter().map(|address| address.index).collect();
        assert!(links.contains(&host) && links.contains(&container));
        assert_eq!(address::list(socket, Some(9999)).unwrap(), []);
    });
}
