//! Ranges of addresses: what `ipam.ranges` means once defaults are filled in and mistakes are refused.
//!
//! A range is a subnet with a first, a last and a gateway address; a range set is a list of ranges of one family from
//! which one address is given. Arithmetic is on the address as a number, so a /64 costs what a /24 costs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni::Error;
use cni::net::Cidr;
use ipnet::IpNet;

use super::config::RangeConf;

/// A range of addresses in one subnet, defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The subnet; its prefix length goes with every address given.
    pub subnet: IpNet,
    /// First address that may be given.
    pub start: IpAddr,
    /// Last address that may be given.
    pub end: IpAddr,
    /// Gateway, never given; it may lie outside the subnet.
    pub gateway: IpAddr,
}

impl Range {
    /// Checks a configured range and fills in its defaults: gateway and start are the subnet's first address, end is its
    /// last usable one (for IPv4 the one before the broadcast address).
    ///
    /// # Errors
    /// The reason why nothing can be allocated from it, in the reference implementation's words.
    pub fn new(conf: &RangeConf) -> Result<Self, Error> {
        let Some(Cidr(net)) = conf.subnet else {
            return Err(Error::internal("IP <nil> not v4 nor v6"));
        };
        let subnet = canonical_subnet(net)?;
        let first = address(number(subnet.addr()).saturating_add(1), subnet.addr());
        let gateway = conf.gateway.0.unwrap_or(first);
        let start = conf.range_start.0;
        let end = conf.range_end.0;
        let after_end = |start| end.is_some_and(|end| start > end);
        if let Some(start) = start.filter(|ip| !subnet.contains(ip) || after_end(*ip)) {
            return Err(Error::internal(format!("RangeStart {start} not in network {subnet}")));
        }
        let start = start.unwrap_or(first);
        if let Some(end) = end.filter(|end| !subnet.contains(end) || *end < start) {
            return Err(Error::internal(format!("RangeEnd {end} not in network {subnet}")));
        }
        Ok(Self { subnet, start, end: end.unwrap_or_else(|| last_usable(subnet)), gateway })
    }

    /// True if `ip` is between start and end.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.start.is_ipv4() == ip.is_ipv4() && self.start <= ip && ip <= self.end
    }

    /// True if the two ranges have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start.is_ipv4() == other.start.is_ipv4() && self.start <= other.end && other.start <= self.end
    }

    /// Start and end as numbers.
    pub fn bounds(&self) -> (u128, u128) {
        (number(self.start), number(self.end))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.end)
    }
}

/// Ranges of one family, from which a container gets one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSet(pub Vec<Range>);

impl RangeSet {
    /// Checks the ranges of one set, each alone and against the others.
    ///
    /// # Errors
    /// The first mistake, in the reference implementation's words.
    pub fn new(conf: &[RangeConf]) -> Result<Self, Error> {
        let mut ranges: Vec<Range> = Vec::with_capacity(conf.len());
        for range in conf {
            let range = Range::new(range)?;
            if ranges.first().is_some_and(|first| first.start.is_ipv4() != range.start.is_ipv4()) {
                return Err(Error::internal("mixed address families"));
            }
            ranges.push(range);
        }
        if ranges.is_empty() {
            return Err(Error::internal("empty range set"));
        }
        let first = first_overlapping(ranges.iter().enumerate()).and_then(|at| ranges[at..].split_first());
        match first.and_then(|(a, behind)| Some((a, behind.iter().find(|b| a.overlaps(b))?))) {
            Some((a, b)) => Err(Error::internal(format!("subnets {a} and {b} overlap"))),
            None => Ok(Self(ranges)),
        }
    }

    /// The range that holds `ip`.
    pub fn range_for(&self, ip: IpAddr) -> Option<&Range> {
        self.0.iter().find(|range| range.contains(ip))
    }

    /// True if the two sets have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|a| other.0.iter().any(|b| a.overlaps(b)))
    }

    /// True for a set of IPv4 ranges.
    pub fn is_ipv4(&self) -> bool {
        self.0.first().is_some_and(|range| range.start.is_ipv4())
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}

/// The lowest number that one of `ranges` has which shares an address with another of them.
pub fn first_overlapping<'a>(ranges: impl Iterator<Item = (usize, &'a Range)>) -> Option<usize> {
    let mut sorted: Vec<(usize, &Range)> = ranges.collect();
    sorted.sort_unstable_by_key(|(_, range)| range.start);
    let mut lowest: Option<usize> = None;
    // What shares an address with anything before it does so with that which reaches furthest.
    let mut furthest: Option<(usize, &Range)> = None;
    for (number, range) in sorted {
        if let Some((other, _)) = furthest.filter(|(_, before)| before.overlaps(range)) {
            lowest = Some(lowest.unwrap_or(number).min(number).min(other));
        }
        furthest = furthest.filter(|(_, before)| before.end >= range.end).or(Some((number, range)));
    }
    lowest
}

/// An address as a number; IPv4 addresses are the numbers below 2^32.
pub fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// The address of `number` in the family of `like`.
pub fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

fn canonical_subnet(net: IpNet) -> Result<IpNet, Error> {
    if net.prefix_len() > net.max_prefix_len() - 2 {
        return Err(Error::internal(format!("Network {net} too small to allocate from")));
    }
    if net.addr() != net.addr().to_canonical() {
        return Err(Error::internal("IPNet IP and Mask version mismatch"));
    }
    if net.addr() != net.network() {
        let (length, network) = (net.prefix_len(), net.network());
        return Err(Error::internal(format!(
            "Network has host bits set. For a subnet mask of length {length} the network address is {network}"
        )));
    }
    Ok(net)
}

fn last_usable(subnet: IpNet) -> IpAddr {
    match subnet {
        IpNet::V4(net) => IpAddr::V4(Ipv4Addr::from(u32::from(net.broadcast()) - 1)),
        IpNet::V6(net) => IpAddr::V6(net.broadcast()),
    }
}

#[cfg(test)]
mod tests {
    use cni::net::Ip;
    use proptest::prelude::*;

    use super::*;

    fn range(subnet: &str, start: &str, end: &str, gateway: &str) -> Result<Range, String> {
        let ip = |text: &str| Ip((!text.is_empty()).then(|| text.parse().unwrap()));
        let conf = RangeConf {
            subnet: Some(Cidr(subnet.parse().unwrap())),
            range_start: ip(start),
            range_end: ip(end),
            gateway: ip(gateway),
        };
        Range::new(&conf).map_err(|error| error.to_string())
    }

    fn shown(subnet: &str, start: &str, end: &str, gateway: &str) -> String {
        range(subnet, start, end, gateway).map_or_else(|text| text, |range| format!("{range} via {}", range.gateway))
    }

    #[test]
    fn defaults() {
        assert_eq!(shown("192.0.2.0/24", "", "", ""), "192.0.2.1-192.0.2.254 via 192.0.2.1");
        assert_eq!(shown("192.0.2.0/30", "", "", ""), "192.0.2.1-192.0.2.2 via 192.0.2.1");
        assert_eq!(shown("2001:db8::/64", "", "", ""), "2001:db8::1-2001:db8::ffff:ffff:ffff:ffff via 2001:db8::1");
        assert_eq!(shown("::/0", "", "", ""), "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff via ::1");
        assert_eq!(
            shown("192.0.2.0/24", "192.0.2.9", "192.0.2.20", "203.0.113.1"),
            "192.0.2.9-192.0.2.20 via 203.0.113.1"
        );
    }

    #[test]
    fn mistakes() {
        let cases = [
            (("192.0.2.0/31", "", ""), "Network 192.0.2.0/31 too small to allocate from"),
            (("2001:db8::/127", "", ""), "Network 2001:db8::/127 too small to allocate from"),
            (
                ("192.0.2.12/24", "", ""),
                "Network has host bits set. For a subnet mask of length 24 the network address is 192.0.2.0",
            ),
            (("192.0.2.0/24", "192.0.3.0", ""), "RangeStart 192.0.3.0 not in network 192.0.2.0/24"),
            (("192.0.2.0/24", "2001:db8::1", ""), "RangeStart 2001:db8::1 not in network 192.0.2.0/24"),
            (("192.0.2.0/24", "", "192.0.4.0"), "RangeEnd 192.0.4.0 not in network 192.0.2.0/24"),
            (("192.0.2.0/24", "192.0.2.50", "192.0.2.40"), "RangeStart 192.0.2.50 not in network 192.0.2.0/24"),
        ];
        for ((subnet, start, end), text) in cases {
            assert_eq!(shown(subnet, start, end, ""), text);
        }
    }

    #[test]
    fn sets() {
        let text = |subnets: &[&str]| {
            let conf: Vec<_> = subnets.iter().map(|subnet| RangeConf::of(subnet.parse().unwrap())).collect();
            RangeSet::new(&conf).map_or_else(|error| error.to_string(), |set| set.to_string())
        };
        assert_eq!(text(&["10.0.0.0/30", "10.0.1.0/30"]), "10.0.0.1-10.0.0.2,10.0.1.1-10.0.1.2");
        assert_eq!(text(&[]), "empty range set");
        assert_eq!(text(&["10.0.0.0/30", "fd00::/64"]), "mixed address families");
        assert_eq!(text(&["10.0.0.0/30", "10.0.0.0/24"]), "subnets 10.0.0.1-10.0.0.2 and 10.0.0.1-10.0.0.254 overlap");
    }

    proptest! {
        #[test]
        fn the_first_overlap_is_that_of_comparing_each_with_each(bounds in proptest::collection::vec((0u32..60, 0u32..9), 0..12)) {
            let at = |host: u32| address(u128::from(host), [10, 0, 0, 0].into());
            let subnet: IpNet = "10.0.0.0/8".parse().unwrap();
            let range = |(first, more): &(u32, u32)| {
                Range { subnet, start: at(*first), end: at(first + more), gateway: at(99) }
            };
            let ranges: Vec<Range> = bounds.iter().map(range).collect();
            let slow = (0..ranges.len()).find(|at| ranges[at + 1..].iter().any(|other| ranges[*at].overlaps(other)));
            prop_assert_eq!(first_overlapping(ranges.iter().enumerate()), slow);
        }
    }

    #[test]
    fn twenty_thousand_ranges_are_no_trouble() {
        let subnet = |at: u32| IpNet::new(Ipv4Addr::from(at << 2).into(), 30).unwrap();
        let conf: Vec<_> = (0..20_000).map(|at| RangeConf::of(subnet(at))).collect();
        assert_eq!(RangeSet::new(&conf).unwrap().0.len(), 20_000);
    }
}
