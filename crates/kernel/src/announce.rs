//! Telling the neighbours where an address is now: gratuitous ARP (RFC 5227) and unsolicited neighbour advertisements
//! (RFC 4861, 7.2.6), for a neighbour that knew the address under another MAC.
//!
//! ARP goes out in both forms, request and reply, as some hosts learn from one only, through a packet socket: closing
//! one waits for a grace period of the kernel, 10 ms and more, so a detached child does that ([`crate::depart`]). An
//! advertisement overrides and says that we are no router; it goes through a raw ICMPv6 socket, bound to the address
//! itself, whether or not that is this namespace's yet. The calling thread's namespace is meant; the link must be up. Nobody acknowledges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::os::fd::AsFd;

use rustix::net::addr::SocketAddrStorage;
use rustix::net::{AddressFamily, SendFlags, SocketAddrAny, SocketFlags, SocketType, sockopt};

use crate::depart;
use crate::error::{Error, Result, sys};
use crate::mac::Mac;

const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const OVERRIDE: u8 = 0x20;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
/// Proves that no router forwarded a message.
const HOPS: u32 = 255;

const BROADCAST: [u8; 6] = [0xff; 6];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Announces that `addresses` are at `mac`, out of the link `index`.
///
/// # Errors
/// `ENXIO` or `ENODEV` if there is no such link, `ENETDOWN` if it is down,
/// `EAFNOSUPPORT` if `mac` is not an Ethernet address.
pub fn announce(index: u32, mac: Mac, addresses: &[IpAddr]) -> Result<()> {
    let what = || format!("announce {} at {mac} on link {index}", list(addresses));
    let Ok(mac) = <[u8; 6]>::try_from(mac.as_bytes()) else {
        return Err(Error::new(what(), libc::EAFNOSUPPORT));
    };
    let mut packets = Vec::new();
    for address in addresses {
        match address {
            IpAddr::V4(ip) => packets.extend([arp(ARP_REQUEST, mac, *ip), arp(ARP_REPLY, mac, *ip)]),
            IpAddr::V6(ip) => advertise(index, mac, *ip).map_err(|errno| sys(what())(errno))?,
        }
    }
    if packets.is_empty() {
        return Ok(());
    }
    broadcast(index, &packets).map_err(|errno| sys(what())(errno))
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

/// A gratuitous ARP packet in its Ethernet frame: sender and target are the same address.
fn arp(operation: u16, mac: [u8; 6], ip: Ipv4Addr) -> Vec<u8> {
    // In a reply, Linux takes only the sender's own MAC for a gratuitous one's target; in a request it is not looked at.
    let target = if operation == ARP_REPLY { mac } else { [0; 6] };
    let parts: [&[u8]; 9] = [
        &BROADCAST,
        &mac,
        &(libc::ETH_P_ARP as u16).to_be_bytes(),
        // Ethernet, IPv4, and the lengths of their addresses.
        &[0, 1, 0x08, 0x00, 6, 4],
        &operation.to_be_bytes(),
        &mac,
        &ip.octets(),
        &target,
        &ip.octets(),
    ];
    parts.concat()
}

fn broadcast(index: u32, packets: &[Vec<u8>]) -> rustix::io::Result<()> {
    // Protocol 0: the socket receives nothing.
    let socket = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let link = link(index);
    let sent = packets.iter().try_for_each(|packet| send_to(&socket, packet, &link));
    // Without a child the close is ours, and waits: slower, but right.
    let _ = depart::let_go(socket.as_fd());
    sent
}

/// A neighbour advertisement that nobody asked for, from the address itself to all nodes. The kernel adds the checksum.
fn advertise(index: u32, mac: [u8; 6], ip: Ipv6Addr) -> rustix::io::Result<()> {
    let protocol = rustix::net::ipproto::ICMPV6;
    let socket = rustix::net::socket_with(AddressFamily::INET6, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol))?;
    sockopt::set_ipv6_multicast_hops(&socket, HOPS)?;
    sockopt::set_ipv6_freebind(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddrV6::new(ip, 0, 0, index))?;
    send_to(&socket, &advertisement(mac, ip), &SocketAddrV6::new(ALL_NODES, 0, 0, index))
}

fn advertisement(mac: [u8; 6], ip: Ipv6Addr) -> Vec<u8> {
    let parts: [&[u8]; 4] = [
        &[NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, OVERRIDE, 0, 0, 0],
        &ip.octets(),
        // The option's length counts units of eight bytes.
        &[TARGET_LINK_LAYER_ADDRESS, 1],
        &mac,
    ];
    parts.concat()
}

fn send_to(socket: impl AsFd, packet: &[u8], to: &impl rustix::net::addr::SocketAddrArg) -> rustix::io::Result<()> {
    loop {
        match rustix::net::sendto(&socket, packet, SendFlags::empty(), to) {
            Err(rustix::io::Errno::INTR) => {}
            outcome => return outcome.map(drop),
        }
    }
}

/// The link `index` as a destination (`packet(7)`); the frame itself says to whom.
fn link(index: u32) -> SocketAddrAny {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ARP as u16).to_be(),
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

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        let expected = concat!("8800 0000 20000000", "fd000000000000000000000000000002", "0201 02fc00000001");
        assert_eq!(hex(&advertisement(MAC, "fd00::2".parse().unwrap())), expected.replace(' ', ""));
    }
}
