//! `loopback`: brings up `lo` in the container. See `docs/loopback.md`.

use std::net::IpAddr;
use std::path::Path;

use cni::{AddResult, Error, Interface, IpConfig, Request, Version, code};
use kernel::netlink::address::{self, Address};
use kernel::netns::{Netns, OpenError};
use plan::op::Change;
use plan::{Engine, Plan, Side};

use crate::interface::{from_kernel, from_plan, open_netns, refuse_own_namespace};
use crate::planned::Planned;
use crate::run::Plugin;

/// The plugin.
pub const PLUGIN: Plugin =
    Plugin { name: "loopback", versions: &Version::ALL, add, check, del, gc: nothing, status: nothing, plan };

const LO: &str = "lo";

/// `lo`, up or down. It is always there; there is nothing else to it.
fn lo(up: bool) -> Plan {
    let mut plan = Plan::new();
    plan.own(Side::Container, Change { up: Some(up), ..Change::of(LO) });
    plan
}

fn add(request: &Request) -> Result<AddResult, Error> {
    let mut engine = enter(request)?;
    engine.apply(&lo(true)).map_err(from_plan)?;
    let outcome = result(request, &mut engine);
    if outcome.is_err() {
        engine.undo().iter().for_each(|error| eprintln!("netferry: clean-up after a failed ADD: {error}"));
    }
    outcome
}

/// The previous plugin's result as it is, or the addresses that the kernel gives `lo`.
fn result(request: &Request, engine: &mut Engine) -> Result<AddResult, Error> {
    let index = engine.link(Side::Container, LO).map_err(from_kernel)?.map(|link| link.index);
    let addresses = address::list(engine.socket(Side::Container).map_err(from_kernel)?, index).map_err(from_kernel)?;
    if let Some(address) = addresses.iter().find(|address| !address.local.addr().is_loopback()) {
        let text = format!("loopback interface found with non-loopback address {:?}", address.local.addr().to_string());
        return Err(Error::internal(text));
    }
    let result = match &request.conf.prev_result {
        Some(previous) => previous.clone(),
        None => described(request, &addresses),
    };
    cni::wire::to_json(&result, request.conf.cni_version).map(|_| result)
}

fn described(request: &Request, addresses: &[Address]) -> AddResult {
    let first = |is_own: fn(&IpAddr) -> bool| addresses.iter().find(|address| is_own(&address.local.addr()));
    let ip = |address: &Address| IpConfig { interface: Some(0), address: address.local, gateway: None };
    AddResult {
        interfaces: vec![Interface {
            name: LO.to_owned(),
            mac: "00:00:00:00:00:00".to_owned(),
            sandbox: request.env.netns.clone().unwrap_or_default(),
            ..Interface::default()
        }],
        ips: [first(IpAddr::is_ipv4), first(IpAddr::is_ipv6)].into_iter().flatten().map(ip).collect(),
        ..AddResult::default()
    }
}

fn check(request: &Request) -> Result<(), Error> {
    let differences = enter(request)?.check(&lo(true)).map_err(from_plan)?;
    if differences.is_empty() { Ok(()) } else { Err(Error::internal("loopback interface is down")) }
}

fn del(request: &Request) -> Result<(), Error> {
    let path = request.env.netns.as_deref().unwrap_or_default();
    let netns = match Netns::open(Path::new(path)) {
        Ok(netns) => netns,
        Err(OpenError::Absent(_) | OpenError::NotNamespace(_)) => return Ok(()),
        Err(OpenError::Failed(error)) => return Err(from_kernel(error)),
    };
    let mut engine = Engine::open(Some(netns)).map_err(from_plan)?;
    refuse_own_namespace(request, &engine)?;
    engine.apply(&lo(false)).map_err(from_plan)
}

fn nothing(_: &Request) -> Result<(), Error> {
    Ok(())
}

fn plan(request: &Request) -> Result<Planned, Error> {
    let mut engine = enter(request)?;
    let lines = engine.preview(&lo(true)).map_err(from_plan)?;
    Ok(Planned { lines, result: result(request, &mut engine)? })
}

/// The plugin is for `lo`, whatever interface name the runtime has for the attachment.
fn enter(request: &Request) -> Result<Engine, Error> {
    if request.env.netns.is_none() {
        return Err(Error::new(code::INVALID_ENVIRONMENT, "required env variables [CNI_NETNS] missing"));
    }
    let engine = Engine::open(Some(open_netns(request)?)).map_err(from_plan)?;
    refuse_own_namespace(request, &engine)?;
    Ok(engine)
}
