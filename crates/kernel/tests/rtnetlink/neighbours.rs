//! Neighbours and proxies: added, read back equal, removed, gone.

use std::slice::from_ref;

use kernel::Socket;
use kernel::netlink::neighbour::{self, Neighbour, state};

use super::{in_netns, ip, ip_json, pair};

/// The neighbours of a link, without the multicast ones that IPv6 makes itself.
fn read(socket: &mut Socket, index: u32, proxies: bool) -> Vec<Neighbour> {
    let mut neighbours = neighbour::list(socket, Some(index), proxies).unwrap();
    neighbours.retain(|neighbour| neighbour.state != state::NOARP);
    neighbours
}

#[test]
fn of_both_families_in_every_form() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        let mac = "02:fc:00:00:00:09".parse().unwrap();
        for address in ["10.0.0.9", "fd00::9"] {
            let permanent = Neighbour::permanent(index, address.parse().unwrap(), mac);
            let router = address.contains(':');
            for given in [
                permanent.clone(),
                Neighbour { state: state::STALE, ..permanent.clone() },
                Neighbour { protocol: 0x42, router, ..permanent.clone() },
                Neighbour::proxy(index, permanent.address),
                Neighbour { protocol: 0x42, ..Neighbour::proxy(index, permanent.address) },
            ] {
                neighbour::add(socket, &given, "host0").unwrap();
                assert_eq!(read(socket, index, given.proxy), from_ref(&given), "{given}");
                assert_eq!(read(socket, index, !given.proxy), []);
                let shown = ip_json(if given.proxy { "neighbour show proxy" } else { "neighbour show" });
                assert!(shown.iter().any(|shown| shown["dst"] == address), "{shown:?}");
                neighbour::remove(socket, &given, "host0").unwrap();
                assert_eq!(read(socket, index, given.proxy), []);
                let error = neighbour::remove(socket, &given, "host0").unwrap_err();
                assert_eq!(error.errno, libc::ENOENT, "{error}");
            }
        }
    });
}

#[test]
fn one_is_replaced_only_when_asked() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        let old = Neighbour::permanent(index, "10.0.0.9".parse().unwrap(), "02:fc:00:00:00:09".parse().unwrap());
        let new = Neighbour { mac: "02:fc:00:00:00:0a".parse().ok(), ..old.clone() };
        neighbour::add(socket, &old, "host0").unwrap();
        let error = neighbour::add(socket, &new, "host0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "add neighbour 10.0.0.9 lladdr 02:fc:00:00:00:0a nud permanent to host0: File exists"
        );
        neighbour::replace(socket, &new, "host0").unwrap();
        assert_eq!(read(socket, index, false), [new]);
    });
}

#[test]
fn only_of_the_link_that_is_asked_for() {
    in_netns(|socket| {
        let (host, container) = pair(socket);
        for (link, address) in [("host0", "10.0.0.9"), ("cont0", "fd00::9")] {
            ip(&format!("neighbour add {address} lladdr 02:fc:00:00:00:09 dev {link}"));
            ip(&format!("neighbour add proxy {address} dev {link}"));
        }
        for proxies in [false, true] {
            for index in [host, container] {
                let neighbours = read(socket, index, proxies);
                assert_eq!(neighbours.len(), 1, "{neighbours:?}");
                assert!(neighbours[0].index == index && neighbours[0].proxy == proxies);
            }
            assert!(neighbour::list(socket, None, proxies).unwrap().len() >= 2);
        }
    });
}

#[test]
fn a_refusal_carries_the_kernels_words() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        let given = Neighbour { mac: "02:fc".parse().ok(), ..Neighbour::proxy(index, "10.0.0.9".parse().unwrap()) };
        let given = Neighbour { proxy: false, state: state::PERMANENT, ..given };
        let error = neighbour::add(socket, &given, "host0").unwrap_err();
        assert_eq!(error.errno, libc::EINVAL, "{error}");
        let error = neighbour::add(socket, &Neighbour { index: 9999, ..given }, "nobody0").unwrap_err();
        assert_eq!(error.errno, libc::ENODEV, "{error}");
    });
}
