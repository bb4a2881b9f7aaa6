//! `bridge`: a veth into the container, its host end a port of a bridge. See `docs/bridge.md`.

mod config;
mod gateway;
#[cfg(test)]
mod golden;

use cni::{AddResult, Error, IpConfig, Version};
use kernel::mac::Mac;
use kernel::netlink::link::{Kind, Link as Found, Port};
use kernel::netlink::port_vlan::{self, PortVlan as Vlan};
use plan::op::{self, Change, Link, Peer, PortVlan};
use plan::{Engine, Plan, Side};

use crate::attachment::Attachment;
use crate::interface::{self, Call, InterfacePlugin, from_kernel};
use crate::layer3::{self, Detection};
use crate::run::Plugin;
use crate::{macspoof, masquerade};
use config::Conf;

/// The plugin.
pub const PLUGIN: Plugin = Plugin {
    name: "bridge",
    versions: &Version::ALL,
    add: interface::add::<Bridge>,
    check: interface::check::<Bridge>,
    del: interface::del::<Bridge>,
    gc: interface::gc::<Bridge>,
    status: interface::status::<Bridge>,
    plan: interface::plan::<Bridge>,
};

/// The plugin as the verbs see it.
pub struct Bridge;

/// What the plan depends on.
#[derive(Default)]
pub struct Facts {
    /// The bridge, if it is there.
    bridge: Option<Found>,
    /// Its addresses, if they matter.
    addresses: Vec<kernel::netlink::address::Address>,
    /// Another program made the gateway's veth into the VLAN.
    foreign_gateway: bool,
    /// The VLAN that the bridge puts new ports into, if it is there and VLANs matter.
    default_vlan: Option<u16>,
}

impl Facts {
    /// The VLAN that the bridge puts new ports into; one that is made now has the kernel's default.
    fn default_vlan(&self) -> Option<u16> {
        if self.bridge.is_some() { self.default_vlan } else { Some(1) }
    }
}

impl InterfacePlugin for Bridge {
    type Conf = Conf;
    type Facts = Facts;

    fn validate(call: &Call<'_, Conf>) -> Result<(), Error> {
        config::validate(call)
    }

    fn available(call: &Call<'_, Conf>, engine: &mut Engine) -> Result<(), Error> {
        if call.conf.ip_masq { masquerade::available(call.conf.backend(), engine) } else { Ok(()) }
    }

    fn observe(call: &Call<'_, Conf>, engine: &mut Engine) -> Result<Facts, Error> {
        let name = call.conf.bridge();
        let bridge = engine.link(Side::Host, name).map_err(from_kernel)?.cloned();
        if bridge.as_ref().is_some_and(|found| !matches!(found.kind, Kind::Bridge { .. })) {
            return Err(Error::internal(format!("\"{name}\" already exists but is not a bridge")));
        }
        let addresses = gateway::observe(call, bridge.as_ref(), engine)?;
        let foreign_gateway = gateway::is_foreign(&call.conf, engine)?;
        let default_vlan = match bridge.as_ref().filter(|_| call.conf.has_vlans()) {
            Some(bridge) => {
                let socket = engine.socket(Side::Host).map_err(from_kernel)?;
                port_vlan::default_of(socket, bridge.index, name).map_err(from_kernel)?
            }
            None => None,
        };
        Ok(Facts { bridge, addresses, foreign_gateway, default_vlan })
    }

    fn links(call: &Call<'_, Conf>, facts: &Facts) -> Plan {
        let (conf, attachment) = (&call.conf, &call.attachment);
        let mut plan = Plan::new();
        bridge(call, facts, &mut plan);
        let host = call.host_ifname();
        // Another program's end has an address and an alias of its own.
        let own = !call.is_foreign();
        let mac = Some(first_mac(call));
        plan.own(
            Side::Host,
            Link {
                mac: Some(attachment.host_mac()).filter(|_| own),
                alias: Some(attachment.alias()),
                mtu: call.wanted_mtu(conf.mtu()),
                up: true,
                master: Some(conf.bridge().to_owned()),
                peer: Some(Peer {
                    side: Side::Container,
                    name: attachment.ifname.clone(),
                    mac,
                    mtu: call.wanted_mtu(conf.mtu()),
                }),
                ..Link::new(&host, Kind::Veth)
            },
        );
        let port = Port { hairpin: conf.hairpin_mode, isolated: conf.port_isolation };
        plan.own(
            Side::Host,
            Change {
                alias: Some(attachment.alias()).filter(|_| own),
                port: Some(port).filter(|port| *port != Port::default()),
                // A port has no use for an address, and every one that is there makes all changes of links slower.
                link_local: Some(false).filter(|_| own),
                ..Change::of(&host)
            },
        );
        // The port itself needs no `accept_ra`: the bridge takes every frame before IPv6 sees one.
        vlans(call, facts, &host, &mut plan);
        plan
    }

    fn complete(call: &Call<'_, Conf>, facts: &Facts, given: &mut AddResult) -> Result<(), Error> {
        if !call.request.conf.ipam_type.is_empty() && given.ips.is_empty() {
            return Err(Error::internal("IPAM plugin returned missing IP config"));
        }
        gateway::complete(&call.conf, facts, given)
    }

    fn layer3(call: &Call<'_, Conf>, facts: &Facts, given: &AddResult) -> Plan {
        let (conf, device) = (&call.conf, call.attachment.ifname.as_str());
        let mut plan = Plan::new();
        let mac = container_mac(call, given);
        if conf.macspoofchk && !call.is_foreign() {
            plan.own(Side::Host, macspoof::nft(&call.attachment, &call.host_ifname(), mac));
        }
        if conf.disable_container_interface {
            return plan;
        }
        let detection = if conf.enabledad { Detection::Enhanced } else { Detection::Off };
        // Not for CHECK: a plugin behind this one may have tuned them.
        if !call.is_check() {
            layer3::ipv6_sysctls(&mut plan, device, given, detection);
        }
        for ip in &given.ips {
            plan.own(Side::Container, op::Address::new(device, layer3::container_address(ip, detection)));
        }
        layer3::bring_up(&mut plan, device, Some(mac).filter(|mac| *mac != first_mac(call)));
        if conf.is_gateway() && !given.ips.is_empty() {
            gateway::plan(call, facts, given, &mut plan);
        }
        layer3::routes(&mut plan, device, given);
        if conf.ip_masq && (!given.ips.is_empty() || call.is_removal()) {
            masquerade::plan(call, conf.backend(), given, &mut plan);
        }
        plan.own(Side::Host, op::Ready { device: call.host_ifname() });
        layer3::announce(&mut plan, device, unheard_of(call, given));
        plan
    }

    fn interfaces(call: &Call<'_, Conf>, given: &AddResult) -> Vec<(Side, String)> {
        let mut interfaces = vec![
            (Side::Host, call.conf.bridge().to_owned()),
            (Side::Host, call.host_ifname()),
            (Side::Container, call.attachment.ifname.clone()),
        ];
        if call.conf.vlan != 0 && call.conf.is_gateway() && !given.ips.is_empty() {
            interfaces.push((Side::Host, gateway::device(&call.conf)));
        }
        interfaces
    }

    fn mac(call: &Call<'_, Conf>, side: Side, name: &str, given: &AddResult) -> Option<Mac> {
        match side {
            Side::Container => Some(container_mac(call, given)),
            Side::Host if name == call.host_ifname() => Some(call.attachment.host_mac()),
            Side::Host => None,
        }
    }

    fn after_del(call: &Call<'_, Conf>, engine: &mut Engine) -> Vec<Error> {
        let mut errors = Vec::new();
        let foreign = !engine.had_marks();
        if call.conf.ip_masq && foreign {
            errors.extend(masquerade::remove_foreign(&call.attachment, engine).err());
        }
        if call.conf.macspoofchk && foreign {
            errors.extend(macspoof::remove_foreign(&call.attachment, engine).err());
        }
        if call.conf.remove_when_empty {
            let bridge = call.conf.bridge();
            let removed = engine.remove_unused(Side::Host, bridge, |other| gateway::is_device(bridge, other));
            errors.extend(removed.err().map(from_kernel));
        }
        errors
    }
}

/// The bridge itself: made if it is missing, adopted as it is otherwise.
fn bridge(call: &Call<'_, Conf>, facts: &Facts, plan: &mut Plan) {
    let conf = &call.conf;
    let name = conf.bridge();
    // An address of its own: without one a bridge takes the lowest of its ports' and changes it as they come and go. So
    // CHECK expects the one of the result only if it is this.
    let own = || Attachment::new(name, "bridge", "").mac();
    let mac = match call.is_check() {
        true => call.host_mac(name).filter(|mac| *mac == own()),
        false => facts.bridge.is_none().then(own),
    };
    let new = Link {
        mac,
        mtu: conf.mtu().filter(|_| facts.bridge.is_none()),
        ..Link::new(name, Kind::Bridge { vlan_filtering: conf.has_vlans() })
    };
    plan.share(Side::Host, new);
    // Also on one that is there but not up: whoever made it was killed before this.
    if !facts.bridge.as_ref().is_some_and(Found::is_up) {
        plan.share(Side::Host, layer3::ignore_advertisements(name));
        plan.share(Side::Host, layer3::skip_detection(name));
    }
    plan.share(
        Side::Host,
        Change { up: Some(true), promisc: Some(true).filter(|_| conf.promisc_mode), ..Change::of(name) },
    );
}

fn vlans(call: &Call<'_, Conf>, facts: &Facts, port: &str, plan: &mut Plan) {
    if !call.conf.has_vlans() {
        return;
    }
    let mut vlans = carried(&call.conf, facts, port, call.conf.port_vlans());
    if call.is_foreign() {
        // The Go plugin leaves the bridge's default VLAN there (Debian's 1.1.1, which has no `preserveDefaultVlan`).
        vlans.absent.clear();
    }
    plan.own(Side::Host, vlans);
}

/// What a port carries: `vlans`, and the bridge's default VLAN only if that is to be preserved.
fn carried(conf: &Conf, facts: &Facts, port: &str, vlans: Vec<Vlan>) -> PortVlan {
    let default =
        facts.default_vlan().filter(|id| !conf.preserve_default_vlan && !vlans.iter().any(|vlan| vlan.id == *id));
    let absent = default.map(|id| Vlan { id, pvid: false, untagged: false });
    PortVlan { device: port.to_owned(), absent: absent.into_iter().collect(), present: vlans }
}

/// The container end's hardware address, as far as it was asked for or, on CHECK, is known.
fn given_mac(call: &Call<'_, Conf>) -> Option<Mac> {
    config::requested_mac(call).ok().flatten().or_else(|| call.container_mac())
}

/// The container end's hardware address while its addresses are not known.
fn first_mac(call: &Call<'_, Conf>) -> Mac {
    given_mac(call).unwrap_or_else(|| call.attachment.mac())
}

/// The container end's hardware address: what was asked for, or what belongs to its first address.
fn container_mac(call: &Call<'_, Conf>, given: &AddResult) -> Mac {
    let of_address = || given.ips.first().map(|ip| call.attachment.mac_of(ip.address.addr()));
    given_mac(call).or_else(of_address).unwrap_or_else(|| call.attachment.mac())
}

/// The addresses that neighbours may remember at another hardware address.
fn unheard_of<'a>(call: &Call<'_, Conf>, given: &'a AddResult) -> &'a [IpConfig] {
    match given_mac(call) {
        Some(_) => &given.ips,
        None => given.ips.get(1..).unwrap_or_default(),
    }
}
