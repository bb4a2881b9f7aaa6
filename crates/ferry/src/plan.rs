//! What a description means for the engine: the steps that lay a device out where it has come to.
//!
//! The order always converges: sysctls before the device is up, because they say what the kernel makes of itself then;
//! addresses before routes, routes that need no gateway before those that do (they come so from the capture), rules once
//! there is what they lead to. An IPv6 address is given without duplicate address detection, since a route may prefer it
//! and traffic wants it at once; at home it gets its own flags back when everything rests on it.

use std::collections::BTreeMap;

use kernel::netlink::address::{Address, flags};
use plan::{Plan, Side, op};

use crate::Device;
use crate::route::Route;

/// Indices of links by the names that paths of several-path routes have for them.
pub(crate) type Others = BTreeMap<String, u32>;

impl Device {
    /// Its sysctls, and up if `up`.
    pub(crate) fn settings_plan(&self, side: Side, up: bool) -> Plan {
        let (mut plan, name) = (Plan::new(), &self.identity.name);
        if !self.sysctls.is_empty() {
            let settings = self.sysctls.iter().map(|sysctl| (sysctl.path(name), sysctl.value.clone())).collect();
            plan.own(side, op::Sysctl { device: Some(name.clone()), settings, optional: true });
        }
        if up {
            plan.own(side, op::Change { up: Some(true), ..op::Change::of(name) });
        }
        plan
    }

    /// Its addresses.
    pub(crate) fn address_plan(&self, side: Side) -> Plan {
        let mut plan = Plan::new();
        for address in &self.addresses {
            let flags = if address.local.addr().is_ipv6() { address.flags | flags::NODAD } else { address.flags };
            let address = Address { flags, ..address.clone() };
            plan.own(side, op::Address::new(&self.identity.name, address));
        }
        plan
    }

    /// Its routes, rules and neighbours. A path out of a link that `others` does not know is left out, and what that is
    /// in words is added to `notes`.
    pub(crate) fn way_plan(&self, side: Side, others: &Others, notes: &mut Vec<String>) -> Plan {
        let (mut plan, name) = (Plan::new(), &self.identity.name);
        for route in &self.routes {
            let known = route.without_unknown(|name| others.contains_key(name));
            if known.as_ref() != Some(route) {
                notes.push(format!("route {}: a path out of another device, which is not there", route.words(name)));
            }
            plan.extend(known.map(|route| step(name, &route, side, others)).unwrap_or_default());
        }
        // Before the rules, whose packets may need them.
        for neighbour in &self.neighbours {
            plan.own(side, op::Neighbour { device: name.clone(), neighbour: neighbour.clone() });
        }
        for rule in &self.rules {
            plan.own(side, op::Rule { rule: rule.clone() });
        }
        plan
    }

    /// The flags that its addresses are to have in the end.
    pub(crate) fn settled_plan(&self, side: Side) -> Plan {
        let mut plan = Plan::new();
        let is_hasty = |address: &&Address| address.local.addr().is_ipv6() && address.flags & flags::NODAD == 0;
        for address in self.addresses.iter().filter(is_hasty) {
            plan.own(side, op::Address { exact: true, ..op::Address::new(&self.identity.name, address.clone()) });
        }
        plan
    }

    /// What of it stays where it was when the device goes: rules, and routes that drop packets.
    pub(crate) fn staying_plan(&self, side: Side) -> Plan {
        let mut plan = Plan::new();
        for route in self.routes.iter().filter(|route| !route.has_device()) {
            plan.extend(step(&self.identity.name, route, side, &Others::new()));
        }
        for rule in &self.rules {
            plan.own(side, op::Rule { rule: rule.clone() });
        }
        plan
    }
}

/// The step of a route whose paths are all known; index 0 stands for the device.
fn step(name: &str, route: &Route, side: Side, others: &Others) -> Plan {
    let mut plan = Plan::new();
    if let Some(raw) = route.on(0, |name| others.get(name).copied()) {
        let device = route.has_device().then(|| name.to_owned());
        plan.own(side, op::Route { device, route: kernel::netlink::route::Route { index: None, ..raw }, exact: true });
    }
    plan
}
