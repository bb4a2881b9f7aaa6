//! The part of a captured device that a policy takes, and a captured device some time later: from the description alone.
//!
//! A device that was captured with [`Policy::WIDEST`] and selected is what capturing it with the policy gives. What an
//! address takes along when it goes follows from that: it is no route's preferred source any more, a rule which only
//! that address made the device's is not, and a route that drops packets stays where such a rule leads to it.

use std::mem::take;
use std::net::IpAddr;

use kernel::netlink::address::{Address, Lifetime};
use kernel::netlink::rule::Rule;

use crate::Device;
use crate::capture::sysctls::{MODE, NONE};
use crate::capture::{lost, rules};
use crate::policy::{Addresses, Policy};
use crate::route::Route;

impl Device {
    /// What `policy` takes of it: the whole device, and its addresses, routes, rules and neighbours as far as they are
    /// meant. What that leaves behind is among `lost`.
    pub fn select(mut self, policy: &Policy) -> Self {
        let had_link_local = self.has_link_local();
        self = self.of_layer3(policy);
        if had_link_local && !self.has_link_local() {
            // Somebody has given it in the kernel's stead, and it stays: whoever has the device then needs one all the same.
            self.sysctls.retain(|sysctl| (&*sysctl.key, &*sysctl.value) != (MODE, NONE));
        }
        self
    }

    fn has_link_local(&self) -> bool {
        self.addresses
            .iter()
            .any(|address| matches!(address.local.addr(), IpAddr::V6(ip) if ip.is_unicast_link_local()))
    }

    fn of_layer3(mut self, policy: &Policy) -> Self {
        if policy.addresses == Addresses::None {
            self.lost.retain(|words| !lost::is_of_layer3(words));
            let (addresses, routes, rules, neighbours) = Default::default();
            return Self { addresses, routes, rules, neighbours, ..self };
        }
        self.replace_addresses(|address| policy.take(address));
        let (ours, others): (Vec<Rule>, Vec<Rule>) =
            take(&mut self.rules).into_iter().partition(|rule| rules::belongs(rule, &self));
        let lead = |rules: &[Rule], route: &Route| rules.iter().any(|rule| rules::leads_to(rule, route));
        self.routes.retain(|route| route.has_device() || lead(&ours, route) && !lead(&others, route));
        self.lost.extend(rules::complaints(&others, &self));
        self.rules = ours;
        self
    }

    /// The device `seconds` after it was captured: lifetimes of addresses and routes are shorter, and those that are over
    /// are gone. Rules have no end, and stay.
    pub fn aged(mut self, seconds: u32) -> Self {
        self.routes.retain_mut(|route| {
            let is_over = route.expires.is_some_and(|expires| expires <= seconds);
            route.expires = route.expires.map(|expires| expires.saturating_sub(seconds));
            !is_over
        });
        self.replace_addresses(|address| aged(address, seconds));
        self
    }

    /// Leaves out the routes to the subnets of addresses that it does not have.
    pub fn leave_subnets(&mut self) {
        let addresses = &self.addresses;
        self.routes.retain(|route| !route.is_to_subnet() || addresses.iter().any(|address| route.leads_to(address)));
    }

    /// Puts other addresses in the place of its own, or none; no route prefers what is gone.
    fn replace_addresses(&mut self, replacement: impl Fn(Address) -> Option<Address>) {
        let before = take(&mut self.addresses);
        self.addresses = before.iter().cloned().filter_map(replacement).collect();
        let is_gone = |address: &Address| self.addresses.iter().all(|other| other.local.addr() != address.local.addr());
        let gone: Vec<Address> = before.into_iter().filter(is_gone).collect();
        self.leave_subnets();
        for route in &mut self.routes {
            if let Some(src) = route.leave_source(&gone) {
                self.lost.push(lost::source(route, &self.identity.name, src));
            }
        }
    }
}

/// The address `seconds` later; `None` if it is over.
fn aged(address: Address, seconds: u32) -> Option<Address> {
    let Some(Lifetime { valid, preferred }) = address.lifetime else { return Some(address) };
    let rest = |whole: u32| if whole == u32::MAX { whole } else { whole.saturating_sub(seconds) };
    let lifetime = Lifetime { valid: rest(valid), preferred: rest(preferred) };
    (lifetime.valid > 0).then_some(Address { lifetime: Some(lifetime), ..address })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const FOREVER: u32 = u32::MAX;

    /// Addresses `10.0.0.N/24` with these lifetimes, and routes `10.N.0.0/16` with these ends, each from the address.
    fn device(lifetimes: &[(u32, u32)], ends: &[Option<u32>]) -> Device {
        let address = |(at, (valid, preferred)): (usize, &(u32, u32))| json!({ "local": format!("10.0.0.{at}/24"), "lifetime": { "valid": valid, "preferred": preferred } });
        let route = |(at, expires): (usize, &Option<u32>)| {
            let src = Some(format!("10.0.0.{at}")).filter(|_| at < lifetimes.len());
            json!({ "dst": format!("10.{at}.0.0/16"), "kind": 1, "table": 100, "protocol": 3, "expires": expires, "src": src })
        };
        let device = json!({
            "version": 1,
            "identity": { "name": "eth1", "index": 3 },
            "settings": { "mtu": 1500, "txqlen": 1000, "up": true },
            "addresses": lifetimes.iter().enumerate().map(address).collect::<Vec<_>>(),
            "routes": ends.iter().enumerate().map(route).collect::<Vec<_>>(),
            "rules": [{ "ipv6": false, "priority": 9, "action": 1, "table": 100, "from": "10.0.0.0/32" }],
        });
        Device::from_value(&device).expect("a device")
    }

    #[test]
    fn what_is_over_is_gone() {
        let before = device(&[(100, 50), (FOREVER, 0), (60, 60), (FOREVER, FOREVER)], &[None, Some(61), Some(60)]);
        let after = before.clone().aged(60);
        let lifetimes: Vec<_> = after.addresses.iter().filter_map(|address| address.lifetime).collect();
        let lifetime = |valid, preferred| Lifetime { valid, preferred };
        assert_eq!(lifetimes, [lifetime(40, 0), lifetime(FOREVER, 0), lifetime(FOREVER, FOREVER)]);
        assert_eq!(after.routes.iter().map(|route| route.expires).collect::<Vec<_>>(), [None, Some(1)]);
        assert_eq!((after.rules.len(), after.lost.len()), (1, 0), "{:?}", after.lost);
        let after = before.aged(100);
        assert_eq!((after.addresses.len(), after.routes.len(), after.routes[0].src), (2, 1, None));
        assert!(
            after.lost[0].starts_with("route 10.0.0.0/16 ") && after.lost[0].ends_with("its source address 10.0.0.0")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn time_adds_up(
            lifetimes in prop::collection::vec((prop_oneof![1_u32..200, Just(FOREVER)], 0_u32..200), 0..5),
            ends in prop::collection::vec(prop::option::of(1_u32..200), 0..5),
            (first, then) in (0_u32..150, 0_u32..150),
        ) {
            let device = device(&lifetimes, &ends);
            prop_assert_eq!(&device.clone().aged(0), &device);
            let mut twice = device.clone().aged(first).aged(then);
            let once = device.aged(first + then);
            // Of a route that outlives its source and is over later it is said on the way.
            twice.lost.clone_from(&once.lost);
            prop_assert_eq!(twice, once);
        }
    }
}
