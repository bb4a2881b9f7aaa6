//! Which address comes next: round robin through a range set, without a step per taken address.
//!
//! The order is the reference implementation's: from the address after the last reserved one to the end of its range,
//! through the other ranges, and back round to where it began. A few candidates are tried directly, since round robin
//! nearly always meets a free one at once; after that the taken addresses are listed once and gaps are computed.

use std::net::IpAddr;

use super::range::{Range, RangeSet, address, number};

/// Direct tries before the taken addresses are listed.
const PROBES: usize = 4;

/// Finds the next free address of `set` after `last` and takes it.
///
/// `take` reserves an address and says whether it was free; `taken` lists addresses in use and is called at most once.
/// Gateways are never offered to `take`. `None` means that the set is full.
///
/// # Errors
/// Whatever `take` or `taken` fails with.
pub fn next<E>(
    set: &RangeSet,
    last: Option<IpAddr>,
    mut take: impl FnMut(IpAddr) -> Result<bool, E>,
    taken: impl FnOnce() -> Result<Vec<IpAddr>, E>,
) -> Result<Option<IpAddr>, E> {
    let segments = segments(set, last);
    let mut used = Used::new(set, &[]);
    for _ in 0..PROBES {
        let Some(ip) = used.first_gap(&segments) else { return Ok(None) };
        if take(ip)? {
            return Ok(Some(ip));
        }
        used.insert(ip);
    }
    let mut used = Used::new(set, &taken()?);
    while let Some(ip) = used.first_gap(&segments) {
        if take(ip)? {
            return Ok(Some(ip));
        }
        used.insert(ip);
    }
    Ok(None)
}

/// True if `set` has an address that is neither in `taken` nor a gateway.
pub fn has_free(set: &RangeSet, taken: &[IpAddr]) -> bool {
    Used::new(set, taken).first_gap(&segments(set, None)).is_some()
}

/// A run of candidates inside one range, first and last included.
struct Segment<'a> {
    range: &'a Range,
    first: u128,
    last: u128,
}

fn segments(set: &RangeSet, last: Option<IpAddr>) -> Vec<Segment<'_>> {
    let ranges = &set.0;
    let whole = |range| {
        let (first, last) = Range::bounds(range);
        Segment { range, first, last }
    };
    let resumed = last.and_then(|ip| Some((ranges.iter().position(|range| range.contains(ip))?, number(ip))));
    let Some((at, last)) = resumed else { return ranges.iter().map(whole).collect() };
    let (first, end) = ranges[at].bounds();
    let mut order = Vec::with_capacity(ranges.len() + 1);
    if last < end {
        order.push(Segment { range: &ranges[at], first: last + 1, last: end });
    }
    order.extend(ranges[at + 1..].iter().chain(&ranges[..at]).map(whole));
    order.push(Segment { range: &ranges[at], first, last });
    order
}

/// Addresses that must not be given, as sorted numbers.
struct Used(Vec<u128>);

impl Used {
    fn new(set: &RangeSet, taken: &[IpAddr]) -> Self {
        let ipv4 = set.is_ipv4();
        let gateways = set.0.iter().map(|range| range.gateway);
        let mut numbers: Vec<u128> =
            taken.iter().copied().chain(gateways).filter(|ip| ip.is_ipv4() == ipv4).map(number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        Self(numbers)
    }

    fn insert(&mut self, ip: IpAddr) {
        let ip = number(ip);
        if let Err(at) = self.0.binary_search(&ip) {
            self.0.insert(at, ip);
        }
    }

    fn first_gap(&self, segments: &[Segment<'_>]) -> Option<IpAddr> {
        segments.iter().find_map(|segment| {
            let free = self.first_free(segment.first, segment.last)?;
            Some(address(free, segment.range.start))
        })
    }

    fn first_free(&self, first: u128, last: u128) -> Option<u128> {
        let mut free = first;
        let from = self.0.partition_point(|&used| used < first);
        for &used in &self.0[from..] {
            if used > free {
                break;
            }
            if used >= last {
                return None;
            }
            free = used + 1;
        }
        (free <= last).then_some(free)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use cni::net::Ip;
    use proptest::prelude::*;

    use super::*;
    use crate::host_local::config::RangeConf;

    fn set(subnets: &[&str]) -> RangeSet {
        let conf: Vec<_> = subnets.iter().map(|subnet| RangeConf::of(subnet.parse().unwrap())).collect();
        RangeSet::new(&conf).unwrap()
    }

    fn give(set: &RangeSet, last: Option<IpAddr>, taken: &mut BTreeSet<IpAddr>) -> (Option<IpAddr>, usize) {
        let list: Vec<_> = taken.iter().copied().collect();
        let mut tries = 0;
        let given = next::<Infallible>(
            set,
            last,
            |ip| {
                tries += 1;
                Ok(taken.insert(ip))
            },
            || Ok(list),
        );
        let Ok(given) = given;
        (given, tries)
    }

    #[test]
    fn order_is_round_robin_over_all_ranges() {
        let set = set(&["10.0.0.0/30", "10.0.1.0/29"]);
        let mut taken = BTreeSet::new();
        let (mut last, mut order) = (None, Vec::new());
        while let (Some(ip), _) = give(&set, last, &mut taken) {
            order.push(ip.to_string());
            last = Some(ip);
        }
        assert_eq!(order, ["10.0.0.2", "10.0.1.2", "10.0.1.3", "10.0.1.4", "10.0.1.5", "10.0.1.6"]);
        let again: IpAddr = "10.0.1.3".parse().unwrap();
        taken.remove(&again);
        assert_eq!(give(&set, Some(again), &mut taken).0, Some(again), "the last one itself is the last candidate");
    }

    #[test]
    fn a_nearly_full_16_takes_few_tries() {
        let set = set(&["10.7.0.0/16"]);
        let free: IpAddr = "10.7.200.9".parse().unwrap();
        let mut taken: BTreeSet<IpAddr> =
            (1..65535).map(|host| address(number("10.7.0.0".parse().unwrap()) + host, free)).collect();
        taken.remove(&free);
        let (given, tries) = give(&set, None, &mut taken);
        assert_eq!((given, tries), (Some(free), PROBES + 1));
        assert_eq!(give(&set, given, &mut taken), (None, PROBES));
    }

    #[test]
    fn the_whole_of_ipv6_is_a_range() {
        let set = set(&["::/0"]);
        let top: IpAddr = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        let mut taken = BTreeSet::new();
        assert_eq!(give(&set, Some(top), &mut taken).0, Some("::2".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn never_a_gateway_never_twice_never_outside_and_never_gives_up_early(
            prefix in 24u8..=30, hosts in proptest::collection::btree_set(0u32..256, 0..256), last in proptest::option::of(0u32..300),
            gateway in proptest::option::of(0u32..256), v6 in any::<bool>(),
        ) {
            let base: IpAddr = if v6 { "fd00::".parse().unwrap() } else { "10.0.0.0".parse().unwrap() };
            let at = |host: u32| address(number(base) + u128::from(host), base);
            let prefix = if v6 { prefix + 96 } else { prefix };
            let conf = RangeConf { gateway: Ip(gateway.map(at)), ..RangeConf::of(format!("{base}/{prefix}").parse().unwrap()) };
            let set = RangeSet::new(&[conf]).unwrap();
            let mut taken: BTreeSet<IpAddr> = hosts.iter().map(|&host| at(host)).collect();
            let before = taken.clone();
            let (given, _) = give(&set, last.map(at), &mut taken);
            let (first, end) = set.0[0].bounds();
            let free = (first..=end).map(|n| address(n, base)).any(|ip| !before.contains(&ip) && ip != set.0[0].gateway);
            prop_assert_eq!(given.is_some(), free);
            prop_assert_eq!(has_free(&set, &before.iter().copied().collect::<Vec<_>>()), free);
            if let Some(ip) = given {
                prop_assert!(!before.contains(&ip) && ip != set.0[0].gateway && set.range_for(ip).is_some());
            }
        }
    }
}
