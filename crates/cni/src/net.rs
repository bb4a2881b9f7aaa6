//! Addresses as configurations and results write them (Go's `net.ParseIP` and `net.ParseCIDR`): no leading zeros, an
//! IPv4-mapped address is the IPv4 address, and an empty address is none. For fields of types that [`json::decode`]
//! reads.
//!
//! [`json::decode`]: crate::json::decode

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// An address with prefix length; host bits are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr(pub IpNet);

/// An address, or none where the text is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ip(pub Option<IpAddr>);

/// Reads `10.0.0.7/24` or `fd00::7/64`.
pub fn parse_cidr(text: &str) -> Option<IpNet> {
    let (addr, prefix_len) = text.split_once('/')?;
    let addr: IpAddr = addr.parse().ok()?;
    if prefix_len.is_empty() || prefix_len.len() > 3 || !prefix_len.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let net = IpNet::new(addr, prefix_len.parse().ok()?).ok()?;
    match (addr.to_canonical(), net.prefix_len()) {
        (canonical @ IpAddr::V4(_), prefix_len) if addr.is_ipv6() && prefix_len >= 96 => {
            IpNet::new(canonical, prefix_len - 96).ok()
        }
        _ => Some(net),
    }
}

/// Reads `10.0.0.7` or `fd00::7`.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|addr: IpAddr| addr.to_canonical())
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(CidrText)
    }
}

/// For fields of type [`IpNet`]: `#[serde(deserialize_with = "cni::net::cidr")]`.
///
/// # Errors
/// If the text is not an address with prefix length.
pub fn cidr<'de, D: Deserializer<'de>>(from: D) -> Result<IpNet, D::Error> {
    Cidr::deserialize(from).map(|cidr| cidr.0)
}

/// For fields of type `Option<IpAddr>`: `#[serde(default, deserialize_with = "cni::net::ip")]`.
///
/// # Errors
/// If the text is neither empty nor an address.
pub fn ip<'de, D: Deserializer<'de>>(from: D) -> Result<Option<IpAddr>, D::Error> {
    Ip::deserialize(from).map(|ip| ip.0)
}

struct CidrText;

impl Visitor<'_> for CidrText {
    type Value = Cidr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address with prefix length")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cidr, E> {
        parse_cidr(text).map(Cidr).ok_or_else(|| E::custom("expected an address with prefix length"))
    }
}

impl<'de> Deserialize<'de> for Ip {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(IpText)
    }
}

struct IpText;

impl Visitor<'_> for IpText {
    type Value = Ip;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Ip, E> {
        if text.is_empty() {
            return Ok(Ip(None));
        }
        parse_ip(text).map(|addr| Ip(Some(addr))).ok_or_else(|| E::custom("expected an address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        let cidr = |text| parse_cidr(text).map(|net| net.to_string());
        assert_eq!(cidr("10.1.2.3/24").as_deref(), Some("10.1.2.3/24"));
        assert_eq!(cidr("fd00::7/64").as_deref(), Some("fd00::7/64"));
        assert_eq!(cidr("::ffff:10.0.0.1/120").as_deref(), Some("10.0.0.1/24"));
        for bad in
            ["10.0.0.1", "010.0.0.1/8", "10.0.0.1/33", "10.0.0.1/+8", "10.0.0.1/", "10.0.0/8", "", "fe80::1%eth0/64"]
        {
            assert_eq!(cidr(bad), None, "{bad}");
        }
        assert_eq!(parse_ip("::ffff:10.0.0.1").map(|addr| addr.to_string()).as_deref(), Some("10.0.0.1"));
        assert_eq!(parse_ip("10.0.0.01"), None);
    }
}
