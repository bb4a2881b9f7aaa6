//! `host-device`: lends a device of the host to a container, with the network that it has there if that is asked for.
//!
//! The device is the ferry's: its journal knows what it was, so that DEL needs neither the container's namespace nor
//! sysfs nor a result. What the address management gives is laid over it by the engine. See `docs/host-device.md`.

mod config;
#[cfg(fuzzing)]
pub mod fuzzing;
mod merge;
mod select;
mod sysfs;

use std::path::Path;

use cni::{AddResult, Error, Interface, Request, Version, code};
use ferry::{Crossing, Device, Journal, Order, Prepared, Wanted, journal::Lent, recover};
use kernel::netlink::link::Link;
use kernel::{Family, Socket};
use plan::{Engine, Line, Plan, Side, State, op};

use crate::attachment::Attachment;
use crate::delegate::Ipam;
use crate::interface::{
    collected, from_kernel, from_plan, netns_if_there, open_netns, own_part, refuse_own_namespace, stale,
};
use crate::layer3::{self, Detection};
use crate::lenient;
use crate::planned::Planned;
use crate::run::Plugin;
use config::Conf;
use select::Selected;

/// The plugin.
pub const PLUGIN: Plugin = Plugin { name: "host-device", versions: &Version::ALL, add, check, del, gc, status, plan };

/// What the owners of our journal entries begin with.
const OWNER: &str = "cni/";

/// ADD.
fn add(request: &Request) -> Result<AddResult, Error> {
    let conf = valid(request)?;
    let (ipam, owner) = (Ipam::of(request), owner(request));
    let wanted = |name| wanted(&conf, request, name);
    // What a call before was cut off at would keep the device from being found.
    let order = |devices| order(&conf, request, &owner, devices);
    let journal = Journal::at(conf.data_dir()?);
    ferry::mend(&journal, &order(&[])).map_err(from_ferry)?;
    let link = match select_here(&conf)? {
        Selected::Link(link) => link,
        Selected::Dpdk { pci, driver } => return dpdk(&conf, request, &pci, &driver),
    };
    let mut prepared = ferry::prepare(open_netns(request)?, &order(&[wanted(&link.name)?])).map_err(from_ferry)?;
    refuse_own_namespace(request, prepared.engine())?;
    refuse_obstacles(&prepared)?;
    let given = ipam.add().map_err(|error| ipam.after_failed_add(error))?;
    let carried = merged(&conf, &mut prepared, given).and_then(|given| {
        let crossing = prepared.carry(&journal).map_err(from_ferry)?;
        lay_out(request, crossing, given, &link)
    });
    carried.map_err(|error| ipam.release_after(error))
}

/// The second half of ADD: what the address management gave, and the result. All of it, or the device goes home.
fn lay_out(request: &Request, mut crossing: Crossing, given: AddResult, link: &Link) -> Result<AddResult, Error> {
    if let Err(cause) = crossing.engine().apply(&given_plan(&request.env.ifname, &given)) {
        return Err(from_ferry(crossing.send_back(cause)));
    }
    let result = result(request, &crossing.lent()[0], given, link);
    // What cannot be said in the version that was asked for must not be left behind.
    if let Err(error) = cni::wire::to_json(&result, request.conf.cni_version) {
        crossing.abandon().iter().for_each(|error| eprintln!("netferry: clean-up after a failed ADD: {error}"));
        return Err(error);
    }
    crossing.notes.iter().for_each(|note| eprintln!("netferry: {note}"));
    crossing.commit().map_err(from_ferry)?;
    Ok(result)
}

/// CHECK.
fn check(request: &Request) -> Result<(), Error> {
    let conf = valid(request)?;
    let Some(previous) = &request.conf.prev_result else {
        return Err(Error::internal("required prevResult missing"));
    };
    let held = Journal::at(conf.data_dir()?).open(&owner(request)).map_err(from_ferry)?;
    if held.is_none() && matches!(select_here(&conf), Ok(Selected::Dpdk { .. })) {
        // Nothing was put on any interface, which address managements look for.
        return Ok(());
    }
    Ipam::of(request).check()?;
    let netns = open_netns(request)?;
    let mut given = own_part(&request.env.ifname, previous);
    let mut differences = Vec::new();
    if let Some(held) = &held {
        differences.extend(ferry::check(held, netns.try_clone().map_err(from_kernel)?).map_err(from_plan)?);
        // Those are compared with all that they are.
        for there in held.entry.lent.iter().map(Lent::there) {
            given.routes.retain(|route| there.routes.iter().all(|own| own.dst != route.dst));
            given.ips.retain(|ip| there.addresses.iter().all(|own| own.local != ip.address));
        }
    }
    let mut engine = Engine::open(Some(netns)).map_err(from_plan)?;
    let is_own = |interface: &&Interface| !interface.sandbox.is_empty() && interface.name == request.env.ifname;
    let mac = previous.interfaces.iter().find(is_own).and_then(|interface| interface.mac.parse().ok());
    let mut plan = Plan::new();
    plan.own(Side::Container, op::Change { up: Some(true), mac, ..op::Change::of(&request.env.ifname) });
    plan.extend(given_plan(&request.env.ifname, &given));
    differences.extend(engine.check(&plan).map_err(from_plan)?);
    if differences.is_empty() {
        return Ok(());
    }
    let mut all: Vec<_> = differences.iter().map(ToString::to_string).collect();
    all.dedup();
    Err(Error::internal(format!("attachment {} differs from its network", Attachment::of(request).mark()))
        .with_details(all.join("; ")))
}

/// DEL: from the journal, or for what another program carried from the alias. Addresses are released whatever happens.
fn del(request: &Request) -> Result<(), Error> {
    let conf: Conf = lenient::decode(request)?;
    let mut errors = Vec::new();
    let data_dir = conf.data_dir().unwrap_or_else(|error| {
        eprintln!("netferry: {error}: using {} instead", ferry::journal::DEFAULT);
        Path::new(ferry::journal::DEFAULT)
    });
    let hint = request.env.netns.as_deref().map(Path::new);
    let journal = Journal::at(data_dir);
    match recover::release(&journal, &owner(request), hint) {
        Ok(Some(returned)) => {
            let notes = returned.iter().flat_map(|one| one.notes.iter().map(move |note| (&one.device, note)));
            notes.for_each(|(device, note)| eprintln!("netferry: {device}: {note}"));
        }
        Ok(None) => errors.extend(by_alias(&journal, request).err()),
        Err(error) => errors.push(from_ferry(error)),
    }
    errors.extend(Ipam::of(request).del().err());
    collected(errors)
}

/// Brings home what the reference plugin carried: it notes the name on the host in the alias.
fn by_alias(journal: &Journal, request: &Request) -> Result<(), Error> {
    match netns_if_there(request)? {
        Some(netns) => recover::by_alias(journal, netns, &request.env.ifname).map(drop).map_err(from_ferry),
        None => Ok(()),
    }
}

/// GC: what attachments hold that are not there any more comes home as by DEL.
fn gc(request: &Request) -> Result<(), Error> {
    let conf: Conf = lenient::decode(request)?;
    let ipam = Ipam::of(request);
    let mut errors = Vec::new();
    // No list at all is a caller that has nothing to say, not one that has no attachments.
    if let Some(valid) = &request.conf.valid_attachments {
        let mut found = ipam.attachments();
        match recover::list(&Journal::at(conf.data_dir()?)) {
            Ok(listed) => found.extend(listed.iter().flatten().filter_map(|one| attachment(request, &one.entry.owner))),
            Err(error) => errors.push(from_ferry(error)),
        }
        errors.extend(stale(request, valid, found).iter().filter_map(|stale| del(stale).err()));
    }
    errors.extend(ipam.gc().err());
    collected(errors)
}

/// STATUS: the device is there to be lent, and its addresses are to be had.
fn status(request: &Request) -> Result<(), Error> {
    let conf = valid(request)?;
    let available = || match select_here(&conf)? {
        Selected::Link(link) => lendable(&conf, &link),
        Selected::Dpdk { .. } => refuse_network(&conf),
    };
    available().map_err(|error| lent_meanwhile(&conf, error).with_code(code::NOT_AVAILABLE))?;
    Ipam::of(request).status()
}

/// Looks whether anything holds the device on the host.
fn lendable(conf: &Conf, link: &Link) -> Result<(), Error> {
    let mut socket = Socket::open(Family::Route).map_err(from_kernel)?;
    let device = ferry::capture(&mut socket, &link.name, &ferry::Policy::NONE).map_err(from_kernel)?;
    let obstacles = ferry::held_back(&mut socket, &device, conf.allow_uplink).map_err(from_kernel)?;
    let with_name = |obstacle| (link.name.clone(), obstacle);
    match obstacles.into_iter().map(with_name).collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        obstacles => Err(from_ferry(ferry::Error::Obstacles(obstacles))),
    }
}

/// A device that is not to be found may be lent.
fn lent_meanwhile(conf: &Conf, error: Error) -> Error {
    let listed = conf.data_dir().ok().and_then(|dir| recover::list(&Journal::at(dir)).ok()).unwrap_or_default();
    let of = |entry: &ferry::journal::Entry| entry.lent.iter().any(|lent| conf.is_of(&lent.device.identity));
    match listed.iter().flatten().find(|one| of(&one.entry)) {
        Some(one) => Error { msg: format!("{}; it is lent to {}", error.msg, one.entry.owner), ..error },
        None => error,
    }
}

/// PLAN.
fn plan(request: &Request) -> Result<Planned, Error> {
    let conf = valid(request)?;
    let owner = owner(request);
    let link = match select_here(&conf)? {
        Selected::Link(link) => link,
        Selected::Dpdk { pci, driver } => {
            refuse_network(&conf)?;
            let given = Ipam::of(request).preview()?;
            return Ok(Planned { lines: Vec::new(), result: dpdk_result(request, given, &pci, &driver) });
        }
    };
    let wanted = [wanted(&conf, request, &link.name)?];
    let mut prepared =
        ferry::prepare(open_netns(request)?, &order(&conf, request, &owner, &wanted)).map_err(from_ferry)?;
    refuse_own_namespace(request, prepared.engine())?;
    refuse_obstacles(&prepared)?;
    let given = merged(&conf, &mut prepared, Ipam::of(request).preview()?)?;
    let text = format!("{} as {}", link.name, prepared.lent()[0].name);
    let mut lines = vec![Line { side: Side::Container, object: "link", text, state: State::Create }];
    let mut whole = prepared.plan();
    whole.extend(given_plan(&request.env.ifname, &given));
    lines.extend(prepared.engine().preview(&whole).map_err(from_plan)?);
    Ok(Planned { lines, result: result(request, &prepared.lent()[0], given, &link) })
}

/// The configuration, checked.
fn valid(request: &Request) -> Result<Conf, Error> {
    let conf: Conf = request.conf.decode()?;
    conf.validate()?;
    Ok(conf)
}

fn select_here(conf: &Conf) -> Result<Selected, Error> {
    select::select(conf, &mut Socket::open(Family::Route).map_err(from_kernel)?)
}

/// To whom the journal says that the device is lent. A slash is in none of the three names.
fn owner(request: &Request) -> String {
    let Attachment { network, container_id, ifname, .. } = Attachment::of(request);
    format!("{OWNER}{network}/{container_id}/{ifname}")
}

/// The container ID and interface name of an owner of this network.
fn attachment(request: &Request, owner: &str) -> Option<(String, String)> {
    let (network, rest) = owner.strip_prefix(OWNER)?.split_once('/')?;
    let (container_id, ifname) = rest.split_once('/')?;
    (network == request.conf.name).then(|| (container_id.to_owned(), ifname.to_owned()))
}

fn wanted<'a>(conf: &Conf, request: &'a Request, device: &'a str) -> Result<Wanted<'a>, Error> {
    let network = conf.use_interface_network;
    let policy = if network { Some(conf.policy()?) } else { None };
    Ok(Wanted { device, name: &request.env.ifname, policy, sysctls: network, restore: conf.restore()? })
}

fn order<'a>(conf: &Conf, request: &'a Request, owner: &'a str, devices: &'a [Wanted<'a>]) -> Order<'a> {
    let path = request.env.netns.as_deref().map(Path::new);
    Order { owner, path, bundle: None, devices, allow_uplink: conf.allow_uplink, pin: conf.pin() }
}

fn refuse_obstacles(prepared: &Prepared) -> Result<(), Error> {
    match prepared.obstacles.as_slice() {
        [] => Ok(()),
        obstacles => Err(from_ferry(ferry::Error::Obstacles(obstacles.to_vec()))),
    }
}

/// What is left of `given` beside what the device brings along.
fn merged(conf: &Conf, prepared: &mut Prepared, mut given: AddResult) -> Result<AddResult, Error> {
    if let [Lent { along: Some(along), .. }] = prepared.lent_mut() {
        merge::merge(along, &mut given, conf.conflict_policy()?)?;
    }
    Ok(given)
}

/// What the address management gave.
fn given_plan(device: &str, given: &AddResult) -> Plan {
    let mut plan = Plan::new();
    layer3::ipv6_sysctls(&mut plan, device, given, Detection::Off);
    for ip in &given.ips {
        plan.own(Side::Container, op::Address::new(device, layer3::container_address(ip, Detection::Off)));
    }
    layer3::routes(&mut plan, device, given);
    plan
}

/// The result: what the device brought along, then what the address management gave.
fn result(request: &Request, lent: &Lent, given: AddResult, link: &Link) -> AddResult {
    let there: Device = lent.there();
    let mut result = merge::result(&there, request.conf.cni_version >= Version::V1_1_0);
    result.ips.extend(given.ips);
    result.routes.extend(given.routes);
    result.dns = request.conf.dns.clone().unwrap_or(given.dns);
    result.interfaces = vec![Interface {
        name: there.identity.name,
        mac: there.identity.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        mtu: there.settings.mtu,
        sandbox: request.env.netns.clone().unwrap_or_default(),
        pci_id: link.parent_device.clone().filter(|_| link.parent_bus.as_deref() == Some("pci")).unwrap_or_default(),
        ..Interface::default()
    }];
    result.ips.iter_mut().for_each(|ip| ip.interface = Some(0));
    result
}

/// A device that a program drives stays where it is: the addresses are the program's to use.
fn dpdk(conf: &Conf, request: &Request, pci: &str, driver: &str) -> Result<AddResult, Error> {
    refuse_network(conf)?;
    let ipam = Ipam::of(request);
    let given = ipam.add().map_err(|error| ipam.after_failed_add(error))?;
    let result = dpdk_result(request, given, pci, driver);
    match cni::wire::to_json(&result, request.conf.cni_version) {
        Ok(_) => Ok(result),
        Err(error) => Err(ipam.release_after(error)),
    }
}

fn dpdk_result(request: &Request, mut given: AddResult, pci: &str, _: &str) -> AddResult {
    given.interfaces = vec![Interface {
        name: request.env.ifname.clone(),
        sandbox: request.env.netns.clone().unwrap_or_default(),
        pci_id: pci.to_owned(),
        ..Interface::default()
    }];
    given.ips.iter_mut().for_each(|ip| ip.interface = Some(0));
    if let Some(dns) = &request.conf.dns {
        given.dns = dns.clone();
    }
    given
}

fn refuse_network(conf: &Conf) -> Result<(), Error> {
    if !conf.use_interface_network {
        return Ok(());
    }
    let text = "useInterfaceNetwork is not supported for a device that is bound to a DPDK driver: the kernel has no \
                addresses and routes of it";
    Err(Error::internal(text))
}

fn from_ferry(error: ferry::Error) -> Error {
    Error::internal(error)
}
