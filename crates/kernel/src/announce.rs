//! Telling the neighbours where an address is now: gratuitous ARP (RFC 5227) and unsolicited neighbour advertisements
//! (RFC 4861, 7.2.6), for a neighbour that knew the address under another MAC.
//!
//! ARP goes out in both forms, request and reply, as some hosts learn from one only. An advertisement overrides, and
//! says that we are no router. All frames leave by one `sendmmsg(2)` on a packet socket of the calling thread's
//! namespace; the link must be up. Nobody acknowledges them. Closing a packet socket waits for a grace period of the
//! kernel, 10 ms and more, so a detached child does that ([`crate::depart`]).

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use rustix::net::addr::SocketAddrStorage;
use rustix::net::{AddressFamily, MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketFlags, SocketType};

use crate::depart;
use crate::error::{Error, Result, sys};
use crate::mac::Mac;

const ETHERNET: usize = 14;
const ARP: usize = ETHERNET + 28;
const IPV6: usize = 40;
const ADVERTISEMENT: usize = ETHERNET + IPV6 + 32;

const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;
const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const OVERRIDE: u8 = 0x20;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

const BROADCAST: [u8; 6] = [0xff; 6];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// An Ethernet frame.
struct Frame {
    bytes: [u8; ADVERTISEMENT],
    length: usize,
}

impl Frame {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Announces that `addresses` are at `mac`, out of the link `index`.
///
/// # Errors
/// `ENXIO` or `ENODEV` if there is no such link, `ENETDOWN` if it is down, `EAFNOSUPPORT` if `mac` is not an Ethernet
/// address.
pub fn announce(index: u32, mac: Mac, addresses: &[IpAddr]) -> Result<()> {
    let what = || format!("announce {} at {mac} on link {index}", list(addresses));
    let Ok(mac) = <[u8; 6]>::try_from(mac.as_bytes()) else {
        return Err(Error::new(what(), libc::EAFNOSUPPORT));
    };
    let mut frames = Vec::with_capacity(addresses.len() * 2);
    for address in addresses {
        match address {
            IpAddr::V4(ip) => frames.extend([arp(ARP_REQUEST, mac, *ip), arp(ARP_REPLY, mac, *ip)]),
            IpAddr::V6(ip) => frames.push(advertisement(mac, *ip)),
        }
    }
    send(index, &frames).map_err(|errno| sys(what())(errno))
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

/// A gratuitous ARP packet: sender and target are the same address.
fn arp(operation: u16, mac: [u8; 6], ip: Ipv4Addr) -> Frame {
    // In a reply, Linux takes only the sender's own MAC for a gratuitous one's target; in a request it is not looked at.
    let target = if operation == ARP_REPLY { mac } else { [0; 6] };
    let [high, low] = operation.to_be_bytes();
    concat(&[
        &ethernet(BROADCAST, mac, libc::ETH_P_ARP),
        // Ethernet, IPv4, and the lengths of their addresses.
        &[0, 1, 0x08, 0x00, 6, 4, high, low],
        &mac,
        &ip.octets(),
        &target,
        &ip.octets(),
    ])
}

/// A neighbour advertisement that nobody asked for, from the address itself to all nodes.
fn advertisement(mac: [u8; 6], ip: Ipv6Addr) -> Frame {
    let length = (ADVERTISEMENT - ETHERNET - IPV6) as u8;
    let mut frame = concat(&[
        &ethernet(ALL_NODES_MAC, mac, libc::ETH_P_IPV6),
        // Version 6; a hop limit of 255 proves that no router forwarded it.
        &[0x60, 0, 0, 0, 0, length, ICMPV6, 255],
        &ip.octets(),
        &ALL_NODES.octets(),
        &[NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0],
        &ip.octets(),
        // The option's length counts units of eight bytes.
        &[TARGET_LINK_LAYER_ADDRESS, 1],
        &mac,
    ]);
    let checksum = checksum(ip, &frame.bytes[ETHERNET + IPV6..]);
    frame.bytes[ETHERNET + IPV6 + 2..][..2].copy_from_slice(&checksum.to_be_bytes());
    frame
}

fn ethernet(destination: [u8; 6], source: [u8; 6], protocol: i32) -> [u8; ETHERNET] {
    let mut header = [0; ETHERNET];
    header[..6].copy_from_slice(&destination);
    header[6..12].copy_from_slice(&source);
    header[12..].copy_from_slice(&(protocol as u16).to_be_bytes());
    header
}

fn concat(parts: &[&[u8]]) -> Frame {
    let mut frame = Frame { bytes: [0; ADVERTISEMENT], length: 0 };
    for part in parts {
        frame.bytes[frame.length..][..part.len()].copy_from_slice(part);
        frame.length += part.len();
    }
    frame
}

/// The checksum of an ICMPv6 message from `source` to all nodes (RFC 4443, 2.3), its own field being zero.
fn checksum(source: Ipv6Addr, message: &[u8]) -> u16 {
    let addresses = source.segments().into_iter().chain(ALL_NODES.segments());
    let words = message.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    let sum: u32 = addresses.chain(words).map(u32::from).sum::<u32>() + message.len() as u32 + u32::from(ICMPV6);
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

fn send(index: u32, frames: &[Frame]) -> rustix::io::Result<()> {
    // Protocol 0: the socket receives nothing.
    let socket = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let (arp, ipv6) = (link(index, libc::ETH_P_ARP), link(index, libc::ETH_P_IPV6));
    let vectors: Vec<_> = frames.iter().map(|frame| [IoSlice::new(frame.as_bytes())]).collect();
    let mut ancillary: Vec<_> = frames.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut messages: Vec<_> = vectors
        .iter()
        .zip(&mut ancillary)
        .map(|(vector, control)| {
            MMsgHdr::new_with_addr(if vector[0].len() == ARP { &arp } else { &ipv6 }, vector, control)
        })
        .collect();
    let mut rest = &mut messages[..];
    while !rest.is_empty() {
        match rustix::net::sendmmsg(&socket, rest, SendFlags::empty()) {
            Ok(sent) => rest = &mut rest[sent..],
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    // Without a child the close is ours, and waits: slower, but right.
    let _ = depart::let_go(&[socket.as_fd()]);
    Ok(())
}

/// The link `index` as a destination (`packet(7)`); the frame itself says to whom.
fn link(index: u32, protocol: i32) -> SocketAddrAny {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (protocol as u16).to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: `address` is a whole `sockaddr_ll`, which is copied out before it goes away.
    unsafe {
        SocketAddrAny::read((&raw const address).cast::<SocketAddrStorage>(), size_of::<libc::sockaddr_ll>() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x02, 0xfc, 0, 0, 0, 0x01];

    fn hex(frame: &Frame) -> String {
        frame.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn gratuitous_arp_in_both_forms() {
        let ip = Ipv4Addr::new(10, 1, 2, 3);
        let ethernet = "ffffffffffff 02fc00000001 0806".replace(' ', "");
        let request = "0001 0800 06 04 0001 02fc00000001 0a010203 000000000000 0a010203".replace(' ', "");
        assert_eq!(hex(&arp(ARP_REQUEST, MAC, ip)), format!("{ethernet}{request}"));
        let reply = "0001 0800 06 04 0002 02fc00000001 0a010203 02fc00000001 0a010203".replace(' ', "");
        assert_eq!(hex(&arp(ARP_REPLY, MAC, ip)), format!("{ethernet}{reply}"));
    }

    #[test]
    fn unsolicited_advertisement() {
        let ip = "fd00::2".parse().unwrap();
        let ethernet = "333300000001 02fc00000001 86dd".replace(' ', "");
        let ipv6 =
            concat!("60000000 0020 3a ff", "fd000000000000000000000000000002", "ff020000000000000000000000000001");
        // The words of pseudo header and message add up to 0x3a65f: 599d is what is missing to all ones.
        let icmp = concat!("8800 599d 20000000", "fd000000000000000000000000000002", "0201 02fc00000001");
        let expected = format!("{ethernet}{ipv6}{icmp}").replace(' ', "");
        let frame = advertisement(MAC, ip);
        assert_eq!(hex(&frame), expected);
    }

    #[test]
    fn checksum_of_a_message_with_its_checksum_is_zero() {
        for ip in ["::", "fe80::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"] {
            let ip = ip.parse().unwrap();
            assert_eq!(checksum(ip, &advertisement(MAC, ip).bytes[ETHERNET + IPV6..]), 0, "{ip}");
        }
    }
}
