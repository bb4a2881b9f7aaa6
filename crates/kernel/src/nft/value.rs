//! Values that packets carry and sets hold, and the types that nft gives them.
//!
//! The kernel knows only bytes in 32-bit registers; the types are nft's own, written into a set so that `nft list` can
//! print its elements. Numbers and names: nftables `include/datatype.h`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The type of one field of a set's key or of a map's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `nf_proto`: the address family of a packet.
    NfProto,
    /// `ipv4_addr`.
    Ipv4Addr,
    /// `ipv6_addr`.
    Ipv6Addr,
    /// `ether_addr`.
    EtherAddr,
    /// `ether_type`.
    EtherType,
    /// `inet_proto`: the transport protocol.
    InetProto,
    /// `inet_service`: a port.
    InetService,
    /// `mark`: a packet mark.
    Mark,
    /// `ifname`: an interface name.
    Ifname,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The address family of a packet: `NFPROTO_IPV4` (2) or `NFPROTO_IPV6` (10).
    NfProto(u8),
    /// An address.
    Ip(IpAddr),
    /// A prefix; in a set only where that has the `interval` flag.
    Net(IpNet),
    /// A link-layer address.
    Ether([u8; 6]),
    /// An Ethernet protocol.
    EtherType(u16),
    /// A transport protocol (`IPPROTO_*`).
    Proto(u8),
    /// A port.
    Port(u16),
    /// A packet mark.
    Mark(u32),
    /// An interface name; in a match a trailing `*` stands for any rest.
    Ifname(String),
}

impl Field {
    const ALL: [Self; 9] = [
        Self::NfProto,
        Self::Ipv4Addr,
        Self::Ipv6Addr,
        Self::EtherAddr,
        Self::EtherType,
        Self::InetProto,
        Self::InetService,
        Self::Mark,
        Self::Ifname,
    ];

    /// nft's number, name, the length in bytes, and whether the value is in host byte order.
    const fn row(self) -> (u32, &'static str, usize, bool) {
        match self {
            Self::NfProto => (2, "nf_proto", 1, true),
            Self::Ipv4Addr => (7, "ipv4_addr", 4, false),
            Self::Ipv6Addr => (8, "ipv6_addr", 16, false),
            Self::EtherAddr => (9, "ether_addr", 6, false),
            Self::EtherType => (10, "ether_type", 2, false),
            Self::InetProto => (12, "inet_proto", 1, false),
            Self::InetService => (13, "inet_service", 2, false),
            Self::Mark => (19, "mark", 4, true),
            Self::Ifname => (41, "ifname", 16, true),
        }
    }

    /// Length in bytes, without the padding to a whole register.
    pub(super) const fn length(self) -> usize {
        self.row().2
    }

    /// Length in bytes within a concatenation: whole registers.
    pub(super) const fn padded(self) -> usize {
        self.length().next_multiple_of(4)
    }

    /// nft's mark of a single field's byte order: 1 host, 2 network.
    pub(super) const fn byte_order(self) -> u32 {
        if self.row().3 { 1 } else { 2 }
    }

    /// nft's number of a concatenation: six bits a field.
    pub(super) fn concatenated(fields: &[Self]) -> u32 {
        fields.iter().fold(0, |number, field| number << 6 | field.row().0)
    }

    /// The fields of a concatenation; `None` if one of them is not known here.
    pub(super) fn split(number: u32) -> Option<Vec<Self>> {
        (0..5)
            .rev()
            .map(|place| number >> (6 * place) & 0x3f)
            .skip_while(|number| *number == 0)
            .map(|number| Self::ALL.into_iter().find(|field| field.row().0 == number))
            .collect()
    }

    /// Reads one value of this type back.
    pub(super) fn read(self, bytes: &[u8]) -> Option<Value> {
        let host = || bytes.first_chunk().map(|b| u32::from_ne_bytes(*b));
        let short = || bytes.first_chunk().map(|b| u16::from_be_bytes(*b));
        Some(match self {
            Self::NfProto => Value::NfProto(*bytes.first()?),
            Self::Ipv4Addr => Value::Ip(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
            Self::Ipv6Addr => Value::Ip(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into()),
            Self::EtherAddr => Value::Ether(*bytes.first_chunk()?),
            Self::EtherType => Value::EtherType(short()?),
            Self::InetProto => Value::Proto(*bytes.first()?),
            Self::InetService => Value::Port(short()?),
            Self::Mark => Value::Mark(host()?),
            Self::Ifname => {
                let name = bytes.get(..16)?.split(|byte| *byte == 0).next().unwrap_or_default();
                Value::Ifname(String::from_utf8_lossy(name).into_owned())
            }
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl Value {
    /// Appends the value as the kernel compares it; of a prefix, its first address.
    ///
    /// A name without room for its final NUL fills all sixteen bytes, which no interface can have: it never matches.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::NfProto(number) | Self::Proto(number) => to.push(*number),
            Self::Ip(IpAddr::V4(address)) => to.extend(address.octets()),
            Self::Ip(IpAddr::V6(address)) => to.extend(address.octets()),
            Self::Net(net) => Self::Ip(net.network()).write(to),
            Self::Ether(address) => to.extend(address),
            Self::EtherType(number) | Self::Port(number) => to.extend(number.to_be_bytes()),
            Self::Mark(mark) => to.extend(mark.to_ne_bytes()),
            Self::Ifname(name) => {
                let mut padded = [0; 16];
                let length = name.len().min(16);
                padded[..length].copy_from_slice(&name.as_bytes()[..length]);
                to.extend(padded);
            }
        }
    }

    /// The last value that this one covers: of a prefix its last address, else itself.
    pub(super) fn last(&self) -> Self {
        match self {
            Self::Net(net) => Self::Ip(net.broadcast()),
            other => other.clone(),
        }
    }

    /// The value that covers exactly `first` to `last`, if one value can say so.
    pub(super) fn covering(first: Self, last: &Self) -> Option<Self> {
        if first == *last {
            return Some(first);
        }
        let (Self::Ip(from), Self::Ip(to)) = (&first, last) else { return None };
        let equal = match (from, to) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return None,
        };
        let net = IpNet::new(*from, equal as u8).ok()?;
        (net.network() == *from && net.broadcast() == *to).then_some(Self::Net(net))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NfProto(2) => f.write_str("ipv4"),
            Self::NfProto(10) => f.write_str("ipv6"),
            Self::NfProto(number) => write!(f, "{number}"),
            Self::Ip(address) => write!(f, "{address}"),
            Self::Net(net) => write!(f, "{net}"),
            Self::Ether([a, b, c, d, e, g]) => write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"),
            Self::EtherType(0x0800) => f.write_str("ip"),
            Self::EtherType(0x0806) => f.write_str("arp"),
            Self::EtherType(0x86dd) => f.write_str("ip6"),
            Self::EtherType(number) => write!(f, "{number:#06x}"),
            Self::Proto(1) => f.write_str("icmp"),
            Self::Proto(6) => f.write_str("tcp"),
            Self::Proto(17) => f.write_str("udp"),
            Self::Proto(58) => f.write_str("ipv6-icmp"),
            Self::Proto(132) => f.write_str("sctp"),
            Self::Proto(number) => write!(f, "{number}"),
            Self::Port(port) => write!(f, "{port}"),
            Self::Mark(mark) => write!(f, "{mark:#010x}"),
            Self::Ifname(name) => write!(f, "\"{name}\""),
        }
    }
}

/// Joins the parts of a concatenation as nft does.
pub(super) fn concatenation<T: fmt::Display>(parts: &[T]) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| {
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                f.write_str(" . ")?;
            }
            part.fmt(f)?;
        }
        Ok(())
    })
}

/// ` comment "…"`, or nothing.
pub(super) fn commented(comment: Option<&str>) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| comment.map_or(Ok(()), |text| write!(f, " comment \"{text}\"")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_concatenation_is_numbered_as_nft_numbers_it() {
        let key = [Field::Ipv4Addr, Field::InetProto, Field::InetService];
        assert_eq!(Field::concatenated(&key), 0x730d);
        assert_eq!(Field::split(0x730d).as_deref(), Some(&key[..]));
        assert_eq!(Field::split(0x3f), None);
    }

    #[test]
    fn a_name_too_long_matches_nothing() {
        let mut bytes = Vec::new();
        Value::Ifname("a-name-longer-than-the-kernel-allows".into()).write(&mut bytes);
        assert_eq!(bytes, b"a-name-longer-th");
    }

    proptest! {
        #[test]
        fn every_prefix_is_covered_by_itself(bits: u32, length in 0u8..=32) {
            let net = IpNet::new(Ipv4Addr::from_bits(bits).into(), length).expect("a length of at most 32").trunc();
            let whole = Value::covering(Value::Ip(net.network()), &Value::Net(net).last());
            let expected = if length == 32 { Value::Ip(net.addr()) } else { Value::Net(net) };
            prop_assert_eq!(whole, Some(expected));
        }

        #[test]
        fn what_is_written_is_read(bits: u128, port: u16, mark: u32, name in "[a-z0-9]{1,15}") {
            for (field, value) in [
                (Field::Ipv6Addr, Value::Ip(Ipv6Addr::from_bits(bits).into())),
                (Field::InetService, Value::Port(port)),
                (Field::Mark, Value::Mark(mark)),
                (Field::Ifname, Value::Ifname(name)),
            ] {
                let mut bytes = Vec::new();
                value.write(&mut bytes);
                prop_assert_eq!(bytes.len(), field.length());
                prop_assert_eq!(field.read(&bytes), Some(value));
            }
        }
    }
}
