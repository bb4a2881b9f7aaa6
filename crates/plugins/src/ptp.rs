//! `ptp`: a veth into the container, routed. The container reaches everything through the host end, which has the
//! gateway address; the host has one route for each address of the container. See `docs/ptp.md`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni::{AddResult, Error, IpConfig, Version};
use ipnet::IpNet;
use kernel::mac::Mac;
use kernel::netlink::address::{self, Address, scope};
use kernel::netlink::link::Kind;
use kernel::netlink::route::Route;
use plan::op::{self, Change, Link, Peer};
use plan::{Engine, Plan, Side};
use serde::Deserialize;

use crate::interface::{self, Call, InterfacePlugin};
use crate::layer3::{self, Detection};
use crate::masquerade::{self, Backend};
use crate::run::Plugin;

/// The plugin.
pub const PLUGIN: Plugin = Plugin {
    name: "ptp",
    versions: &Version::ALL,
    add: interface::add::<Ptp>,
    check: interface::check::<Ptp>,
    del: interface::del::<Ptp>,
    gc: interface::gc::<Ptp>,
    status: interface::status::<Ptp>,
    plan: interface::plan::<Ptp>,
};

/// The gateway where the address management names none: it need not be of the container's subnet.
const GATEWAY4: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
const GATEWAY6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));

/// The plugin as the verbs see it.
pub struct Ptp;

/// The keys of `ptp` besides those of every plugin.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Conf {
    ip_masq: bool,
    ip_masq_backend: Option<String>,
    mtu: i64,
}

impl Conf {
    fn mtu(&self) -> Option<u32> {
        u32::try_from(self.mtu).ok().filter(|mtu| *mtu != 0)
    }

    fn backend(&self) -> Option<&str> {
        self.ip_masq_backend.as_deref()
    }
}

impl InterfacePlugin for Ptp {
    type Conf = Conf;
    type Facts = ();

    fn validate(call: &Call<'_, Conf>) -> Result<(), Error> {
        if u32::try_from(call.conf.mtu).is_err() {
            let text =
                format!("invalid mtu {}: it must be 0 (the kernel's choice) or a number of bytes", call.conf.mtu);
            return Err(Error::internal(text));
        }
        if call.request.conf.ipam_type.is_empty() {
            return Err(Error::internal("ptp requires an IPAM configuration: ipam.type is missing"));
        }
        Backend::named(call.conf.ip_masq_backend.as_deref()).map(drop)
    }

    fn available(call: &Call<'_, Conf>, engine: &mut Engine) -> Result<(), Error> {
        if call.conf.ip_masq { masquerade::available(call.conf.backend(), engine) } else { Ok(()) }
    }

    fn observe(_: &Call<'_, Conf>, _: &mut Engine) -> Result<(), Error> {
        Ok(())
    }

    fn links(call: &Call<'_, Conf>, (): &()) -> Plan {
        let (attachment, mtu) = (&call.attachment, call.wanted_mtu(call.conf.mtu()));
        let host = call.host_ifname();
        let own = !call.is_foreign();
        let mac = call.container_mac().or(Some(attachment.mac()));
        let mut plan = Plan::new();
        plan.own(
            Side::Host,
            Link {
                mac: Some(attachment.host_mac()).filter(|_| own),
                alias: Some(attachment.alias()),
                mtu,
                up: true,
                peer: Some(Peer { side: Side::Container, name: attachment.ifname.clone(), mac, mtu }),
                ..Link::new(&host, Kind::Veth)
            },
        );
        plan.own(Side::Host, Change { alias: Some(attachment.alias()).filter(|_| own), ..Change::of(&host) });
        plan.own(Side::Host, layer3::ignore_advertisements(&host));
        plan
    }

    fn complete(_: &Call<'_, Conf>, (): &(), given: &mut AddResult) -> Result<(), Error> {
        if given.ips.is_empty() {
            return Err(Error::internal("IPAM plugin returned missing IP config"));
        }
        for ip in &mut given.ips {
            let default = if ip.address.addr().is_ipv4() { GATEWAY4 } else { GATEWAY6 };
            ip.gateway = ip.gateway.or(Some(default));
        }
        Ok(())
    }

    fn layer3(call: &Call<'_, Conf>, (): &(), given: &AddResult) -> Plan {
        let device = call.attachment.ifname.as_str();
        let host = call.host_ifname();
        let mut plan = Plan::new();
        // Not for CHECK: a plugin behind this one may have tuned them.
        if !call.is_check() {
            layer3::ipv6_sysctls(&mut plan, device, given, Detection::Off);
            if given.ips.iter().any(|ip| ip.address.addr().is_ipv6()) {
                plan.own(Side::Host, layer3::skip_detection(&host));
            }
        }
        for ip in &given.ips {
            let mut address = layer3::container_address(ip, Detection::Off);
            // The subnet is not on the link: everything, neighbours of the subnet included, goes through the host.
            address.flags |= address::flags::NOPREFIXROUTE;
            plan.own(Side::Container, op::Address::new(device, address));
        }
        for ip in &given.ips {
            host_side(&mut plan, &host, ip);
        }
        layer3::bring_up(&mut plan, device, None);
        for ip in &given.ips {
            container_routes(&mut plan, device, ip);
        }
        layer3::routes(&mut plan, device, given);
        layer3::forwarding(&mut plan, given);
        if call.conf.ip_masq {
            masquerade::plan(call, call.conf.backend(), given, &mut plan);
        }
        plan.own(Side::Host, op::Ready { device: host });
        plan
    }

    fn interfaces(call: &Call<'_, Conf>, _: &AddResult) -> Vec<(Side, String)> {
        vec![(Side::Host, call.host_ifname()), (Side::Container, call.attachment.ifname.clone())]
    }

    fn mac(call: &Call<'_, Conf>, side: Side, _: &str, _: &AddResult) -> Option<Mac> {
        Some(match side {
            Side::Host => call.attachment.host_mac(),
            Side::Container => call.attachment.mac(),
        })
    }

    fn after_del(call: &Call<'_, Conf>, engine: &mut Engine) -> Vec<Error> {
        if !call.conf.ip_masq || engine.had_marks() {
            return Vec::new();
        }
        masquerade::remove_foreign(&call.attachment, engine).err().into_iter().collect()
    }
}

/// The gateway address on the host end, and the host's route to the container's address.
fn host_side(plan: &mut Plan, host: &str, ip: &IpConfig) {
    let Some(gateway) = ip.gateway else { return };
    let mut address = Address::new(0, gateway.into());
    if gateway.is_ipv6() {
        address.flags |= address::flags::NODAD;
    }
    plan.own(Side::Host, op::Address::new(host, address));
    let mut route = Route::new(ip.address.addr().into());
    if ip.address.addr().is_ipv4() {
        route.scope = scope::HOST;
    }
    plan.own(Side::Host, op::Route::new(host, route));
}

/// The way to the gateway, and through it to the rest of the subnet.
fn container_routes(plan: &mut Plan, device: &str, ip: &IpConfig) {
    let Some(gateway) = ip.gateway else { return };
    let src = Some(ip.address.addr());
    let mut to_gateway = Route { src, ..Route::new(gateway.into()) };
    if gateway.is_ipv4() {
        to_gateway.scope = scope::LINK;
    }
    plan.own(Side::Container, op::Route::new(device, to_gateway));
    let subnet = ip.address.trunc();
    if subnet != IpNet::from(subnet.addr()) {
        let to_subnet = Route { src, gateway: Some(gateway), ..Route::new(subnet) };
        plan.own(Side::Container, op::Route::new(device, to_subnet));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        crate::golden::check::<Ptp>("ptp", |_| ());
    }
}
