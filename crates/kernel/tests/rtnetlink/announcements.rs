//! A host that knew an address under another MAC learns the new one from the announcement, and both forms of ARP arrive.

use std::net::IpAddr;

use kernel::Socket;
use kernel::announce::announce;
use kernel::mac::Mac;
use kernel::netlink::link;
use kernel::netlink::neighbour::{self, Neighbour, state};
use rustix::net::{AddressFamily, Protocol, RawProtocol, RecvFlags, SocketFlags, SocketType};

use super::{in_netns, pair, wait_until};

fn addresses() -> Vec<IpAddr> {
    ["10.0.0.2", "fd00::2", "fe80::2"].iter().map(|text| text.parse().unwrap()).collect()
}

/// The MAC under which the link knows `address`.
fn known(socket: &mut Socket, index: u32, address: IpAddr) -> Option<Mac> {
    neighbour::list(socket, Some(index), false).unwrap().into_iter().find(|n| n.address == address)?.mac
}

#[test]
fn a_stale_neighbour_entry_is_updated() {
    in_netns(|socket| {
        let (host, container) = pair(socket);
        let (old, new): (Mac, Mac) = ("02:fc:00:00:00:01".parse().unwrap(), "02:fc:00:00:00:02".parse().unwrap());
        for address in addresses() {
            let stale = Neighbour { state: state::STALE, ..Neighbour::permanent(host, address, old) };
            neighbour::add(socket, &stale, "host0").unwrap();
        }
        announce(container, new, &addresses()).unwrap();
        for address in addresses() {
            assert!(wait_until(|| known(socket, host, address) == Some(new)), "{address} is still at the old MAC");
        }
    });
}

#[test]
fn each_frame_arrives_once() {
    in_netns(|socket| {
        let (_, container) = pair(socket);
        let everything = RawProtocol::new(u32::from((libc::ETH_P_ALL as u16).to_be())).map(Protocol::from_raw);
        let flags = SocketFlags::NONBLOCK;
        let capture = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, everything).unwrap();
        let mac = "02:fc:00:00:00:77".parse::<Mac>().unwrap();
        announce(container, mac, &addresses()).unwrap();
        let mut kinds = Vec::new();
        wait_until(|| {
            let mut frame = [0_u8; 256];
            while let Ok((length, _)) = rustix::net::recv(&capture, &mut frame[..], RecvFlags::empty()) {
                // The operation of ARP; the type of ICMPv6, whose last option is the address that it announces.
                match (&frame[12..14], length) {
                    ([0x08, 0x06], 42) if frame[6..12] == *mac.as_bytes() => kinds.push(u16::from(frame[21])),
                    ([0x86, 0xdd], 86) if frame[80..86] == *mac.as_bytes() => kinds.push(u16::from(frame[54])),
                    _ => {}
                }
            }
            kinds.len() >= 8
        });
        kinds.sort_unstable();
        // The capture sees every frame twice: on the way out of cont0 and on the way into host0.
        assert_eq!(kinds, [1, 1, 2, 2, 136, 136, 136, 136]);
    });
}

#[test]
fn refusals_name_what_was_announced() {
    in_netns(|socket| {
        let (index, _) = pair(socket);
        let mac = "02:fc:00:00:00:02".parse::<Mac>().unwrap();
        let error = announce(9999, mac, &addresses()[..1]).unwrap_err();
        assert!(error.is_absent(), "{error}");
        assert!(error.what.starts_with("announce 10.0.0.2 at 02:fc:00:00:00:02"), "{error}");
        link::set(socket, index, "host0", &link::Change { up: Some(false), ..Default::default() }).unwrap();
        assert_eq!(announce(index, mac, &addresses()[..1]).unwrap_err().errno, libc::ENETDOWN);
        let infiniband = Mac::from_bytes(&[1; 20]).unwrap();
        assert_eq!(announce(index, infiniband, &addresses()).unwrap_err().errno, libc::EAFNOSUPPORT);
        announce(index, mac, &[]).unwrap();
    });
}
