//! What the plugins that make an interface share: the verbs, each over the one description that the plugin gives.
//!
//! A plugin says in two pure functions what is to be: the links before the addresses are known, everything on layer 3
//! once they are. ADD applies both with the address management in between, CHECK compares both with the kernel, DEL
//! removes what both own, PLAN prints both.

use std::path::Path;

use cni::{AddResult, Command, Error, Interface, IpConfig, Request, code};
use kernel::mac::Mac;
use kernel::netns::{Netns, OpenError};
use kernel::nft::query;
use plan::op::Nft;
use plan::{Engine, Plan, Side};
use serde::de::DeserializeOwned;

use crate::attachment::Attachment;
use crate::delegate::Ipam;
use crate::planned::Planned;
use crate::{lenient, macspoof, masquerade};

/// A call in a plugin's own terms.
pub struct Call<'a, C> {
    /// The call as it came.
    pub request: &'a Request,
    /// The plugin's own configuration.
    pub conf: C,
    /// What it is about.
    pub attachment: Attachment,
}

impl<C> Call<'_, C> {
    /// The host end's name: on CHECK as the result has it, since another program may have chosen it.
    pub fn host_ifname(&self) -> String {
        let is_end = |end: &&Interface| {
            end.sandbox.is_empty() && end.name.starts_with("veth") && cni::env::validate_ifname(&end.name).is_ok()
        };
        let end = self.previous().and_then(|result| result.interfaces.iter().find(is_end));
        end.map_or_else(|| self.attachment.host_ifname(), |end| end.name.clone())
    }

    /// True if what the plan says is to be taken away, whether its addresses are known or not.
    pub fn is_removal(&self) -> bool {
        self.request.env.command == Command::Del
    }

    /// True if the plan is to be made.
    pub fn is_add(&self) -> bool {
        self.request.env.command == Command::Add
    }

    /// True if the plan is to be compared with what is there.
    pub fn is_check(&self) -> bool {
        self.request.env.command == Command::Check
    }

    /// The MTU that the links are to have; none for CHECK, since a plugin behind this one may have tuned it.
    pub fn wanted_mtu(&self, configured: Option<u32>) -> Option<u32> {
        configured.filter(|_| !self.is_check())
    }

    /// True if another program made the host end: its hardware address, its alias and its rules are its own.
    pub fn is_foreign(&self) -> bool {
        self.host_ifname() != self.attachment.host_ifname()
    }

    /// On CHECK, the hardware address that the result has for the container's end.
    pub fn container_mac(&self) -> Option<Mac> {
        let is_end = |end: &&Interface| !end.sandbox.is_empty() && end.name == self.attachment.ifname;
        self.previous()?.interfaces.iter().find(is_end)?.mac.parse().ok()
    }

    /// On CHECK, the hardware address that the result has for a link of the host.
    pub fn host_mac(&self, name: &str) -> Option<Mac> {
        let is_it = |link: &&Interface| link.sandbox.is_empty() && link.name == name;
        self.previous()?.interfaces.iter().find(is_it)?.mac.parse().ok()
    }

    /// What the chain's ADD made, where that is what counts.
    fn previous(&self) -> Option<&AddResult> {
        self.request.conf.prev_result.as_ref().filter(|_| self.request.env.command == Command::Check)
    }
}

/// A plugin that makes an interface.
pub trait InterfacePlugin {
    /// Its own configuration keys.
    type Conf: DeserializeOwned;
    /// What it asks the kernel before it plans. The default is what DEL assumes, which must not ask.
    type Facts: Default;

    /// Checks the configuration. Not called for DEL and GC, which must work with what ADD refused.
    fn validate(call: &Call<'_, Self::Conf>) -> Result<(), Error>;
    /// Asks whether everything that an ADD would need is there, for STATUS.
    fn available(call: &Call<'_, Self::Conf>, engine: &mut Engine) -> Result<(), Error>;
    /// Asks the kernel what the plan depends on.
    fn observe(call: &Call<'_, Self::Conf>, engine: &mut Engine) -> Result<Self::Facts, Error>;
    /// The links, as far as they do not depend on addresses.
    fn links(call: &Call<'_, Self::Conf>, facts: &Self::Facts) -> Plan;
    /// Completes the addresses and routes that the address management gave, before anything is made of them.
    fn complete(call: &Call<'_, Self::Conf>, facts: &Self::Facts, given: &mut AddResult) -> Result<(), Error>;
    /// Everything else.
    fn layer3(call: &Call<'_, Self::Conf>, facts: &Self::Facts, given: &AddResult) -> Plan;
    /// The interfaces of the result, in the order that chained plugins rely on.
    fn interfaces(call: &Call<'_, Self::Conf>, given: &AddResult) -> Vec<(Side, String)>;
    /// The hardware address that an interface of the result would have, for PLAN.
    fn mac(call: &Call<'_, Self::Conf>, side: Side, name: &str, given: &AddResult) -> Option<Mac>;
    /// What DEL does besides: traces of other programs and versions, shared objects that nobody needs any more.
    fn after_del(call: &Call<'_, Self::Conf>, engine: &mut Engine) -> Vec<Error>;
}

/// ADD.
pub fn add<P: InterfacePlugin>(request: &Request) -> Result<AddResult, Error> {
    let call = call::<P>(request)?;
    P::validate(&call)?;
    let mut engine = Engine::open(Some(open_netns(request)?)).map_err(from_plan)?;
    refuse_own_namespace(request, &engine)?;
    engine.share().map_err(from_kernel)?;
    let facts = P::observe(&call, &mut engine)?;
    engine.apply(&P::links(&call, &facts)).map_err(from_plan)?;
    let ipam = Ipam::of(request);
    let outcome = ipam.add().map_err(|error| ipam.after_failed_add(error)).and_then(|given| {
        let outcome = address::<P>(&call, &facts, given, &mut engine);
        outcome.map_err(|error| ipam.release_after(error))
    });
    if outcome.is_err() {
        engine.undo().iter().for_each(|error| eprintln!("netferry: clean-up after a failed ADD: {error}"));
    }
    engine.close();
    outcome
}

/// The second half of ADD; the caller undoes both.
fn address<P: InterfacePlugin>(
    call: &Call<'_, P::Conf>,
    facts: &P::Facts,
    mut given: AddResult,
    engine: &mut Engine,
) -> Result<AddResult, Error> {
    P::complete(call, facts, &mut given)?;
    engine.apply(&P::layer3(call, facts, &given)).map_err(from_plan)?;
    let result = result::<P>(call, given, engine)?;
    // What cannot be said in the version that was asked for must not be left behind.
    cni::wire::to_json(&result, call.request.conf.cni_version)?;
    Ok(result)
}

/// Puts interfaces and name service to what the address management gave.
fn result<P: InterfacePlugin>(
    call: &Call<'_, P::Conf>,
    given: AddResult,
    engine: &mut Engine,
) -> Result<AddResult, Error> {
    let conf = &call.request.conf;
    let mut result = AddResult { interfaces: Vec::new(), ..given };
    if let Some(dns) = &conf.dns {
        result.dns = dns.clone();
    }
    for (side, name) in P::interfaces(call, &result) {
        let link = engine.link(side, &name).map_err(from_kernel)?;
        let mac = link.map_or_else(|| P::mac(call, side, &name, &result), |link| link.mac);
        result.interfaces.push(Interface {
            mac: mac.map(|mac| mac.to_string()).unwrap_or_default(),
            mtu: link.map_or(0, |link| link.mtu),
            sandbox: if side == Side::Container {
                call.request.env.netns.clone().unwrap_or_default()
            } else {
                String::new()
            },
            name,
            ..Interface::default()
        });
    }
    let index = result.interfaces.iter().position(|interface| !interface.sandbox.is_empty());
    for ip in &mut result.ips {
        ip.interface = index.and_then(|index| i64::try_from(index).ok());
    }
    Ok(result)
}

/// CHECK.
pub fn check<P: InterfacePlugin>(request: &Request) -> Result<(), Error> {
    let call = call::<P>(request)?;
    P::validate(&call)?;
    let Some(previous) = &request.conf.prev_result else {
        return Err(Error::internal("required prevResult missing"));
    };
    Ipam::of(request).check()?;
    let mut engine = Engine::open(Some(open_netns(request)?)).map_err(from_plan)?;
    let facts = P::observe(&call, &mut engine)?;
    let mut plan = P::links(&call, &facts);
    plan.extend(P::layer3(&call, &facts, &own_part(&request.env.ifname, previous)));
    let differences = engine.check(&plan).map_err(from_plan)?;
    engine.close();
    if differences.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = differences.iter().map(ToString::to_string).collect();
    Err(Error::internal(format!("attachment {} differs from its network", call.attachment.mark()))
        .with_details(all.join("; ")))
}

/// DEL. Everything is tried; all that went wrong is reported.
pub fn del<P: InterfacePlugin>(request: &Request) -> Result<(), Error> {
    let call = call::<P>(request)?;
    let ipam = Ipam::of(request);
    let mut engine = Engine::open(netns_if_there(request)?).map_err(from_plan)?;
    refuse_own_namespace(request, &engine)?;
    let given = match &request.conf.prev_result {
        Some(previous) => own_part(&request.env.ifname, previous),
        None => AddResult { ips: ipam.owned().into_iter().map(bare).collect(), ..AddResult::default() },
    };
    let facts = P::Facts::default();
    let mut plan = P::links(&call, &facts);
    plan.extend(P::layer3(&call, &facts, &given));
    let mut errors: Vec<Error> = engine.remove(&plan).into_iter().map(from_kernel).collect();
    errors.extend(P::after_del(&call, &mut engine));
    // Last, so that nobody is given an address that still has traces here.
    errors.extend(ipam.del().err());
    engine.close();
    collected(errors)
}

/// GC: every attachment of the network that is still to be seen and not in the list is removed as by DEL.
pub fn gc<P: InterfacePlugin>(request: &Request) -> Result<(), Error> {
    let ipam = Ipam::of(request);
    let mut errors = Vec::new();
    // No list at all is a caller that has nothing to say, not one that has no attachments.
    if let Some(valid) = &request.conf.valid_attachments {
        let mut found = marked(&request.conf.name)?;
        found.extend(ipam.attachments());
        for stale in stale(request, valid, found) {
            errors.extend(del::<P>(&stale).err());
            errors.extend(remove_marked(&Attachment::of(&stale)).err());
        }
    }
    errors.extend(ipam.gc().err());
    collected(errors)
}

/// The DEL of each attachment, as container ID and interface name, that was found and is not valid: all that is known of
/// it is its name.
pub fn stale(request: &Request, valid: &[cni::Attachment], mut found: Vec<(String, String)>) -> Vec<Request> {
    found.sort();
    found.dedup();
    found.retain(|(id, ifname)| !valid.iter().any(|valid| valid.container_id == *id && valid.ifname == *ifname));
    let removal = |(container_id, ifname): (String, String)| {
        let mut removal = request.clone();
        (removal.env.command, removal.env.container_id, removal.env.ifname) = (Command::Del, container_id, ifname);
        (removal.env.netns, removal.conf.prev_result) = (None, None);
        removal
    };
    found.into_iter().map(removal).collect()
}

/// The attachments of `network` that links and nft elements of this node are marked with.
fn marked(network: &str) -> Result<Vec<(String, String)>, Error> {
    let mut engine = Engine::open(None).map_err(from_plan)?;
    let links =
        kernel::netlink::link::list(engine.socket(Side::Host).map_err(from_kernel)?, None).map_err(from_kernel)?;
    let mut found: Vec<_> = links.iter().filter_map(|link| Attachment::from_alias(link.alias.as_deref()?)).collect();
    let socket = engine.nft().map_err(from_kernel)?;
    for (table, sets) in [masquerade::sets(), macspoof::sets()] {
        for set in sets {
            let elements = query::elements(socket, &table, &set).map_err(from_kernel)?;
            found.extend(elements.iter().filter_map(|element| Attachment::from_mark(element.comment.as_deref()?)));
        }
    }
    let own = found.into_iter().filter(|attachment| attachment.network == network);
    // Marks are the kernel's word only for what somebody wrote there.
    let valid = own.filter(|attachment| {
        cni::env::validate_container_id(&attachment.container_id).is_ok()
            && cni::env::validate_ifname(&attachment.ifname).is_ok()
    });
    Ok(valid.map(|attachment| (attachment.container_id, attachment.ifname)).collect())
}

/// Removes the nft elements with the attachment's mark: DEL goes by the configuration, which may have asked for them when
/// they were made and not ask any more.
fn remove_marked(attachment: &Attachment) -> Result<(), Error> {
    let mut plan = Plan::new();
    plan.own(Side::Host, masquerade::nft(attachment, &[]));
    let guard = macspoof::nft(attachment, &attachment.host_ifname(), attachment.mac());
    plan.own(Side::Host, Nft { elements: Vec::new(), ..guard });
    let mut engine = Engine::open(None).map_err(from_plan)?;
    let errors = engine.remove(&plan).into_iter().map(from_kernel).collect();
    engine.close();
    collected(errors)
}

/// STATUS.
pub fn status<P: InterfacePlugin>(request: &Request) -> Result<(), Error> {
    let call = call::<P>(request)?;
    P::validate(&call)?;
    let mut engine = Engine::open(None).map_err(from_plan)?;
    let ready = P::observe(&call, &mut engine).map(drop).and_then(|()| P::available(&call, &mut engine));
    ready.map_err(|error| Error { code: code::NOT_AVAILABLE, ..error })?;
    Ipam::of(request).status()
}

/// PLAN.
pub fn plan<P: InterfacePlugin>(request: &Request) -> Result<Planned, Error> {
    let call = call::<P>(request)?;
    P::validate(&call)?;
    let mut engine = Engine::open(Some(open_netns(request)?)).map_err(from_plan)?;
    refuse_own_namespace(request, &engine)?;
    let facts = P::observe(&call, &mut engine)?;
    let mut given = Ipam::of(request).preview()?;
    P::complete(&call, &facts, &mut given)?;
    let mut plan = P::links(&call, &facts);
    plan.extend(P::layer3(&call, &facts, &given));
    let lines = engine.preview(&plan).map_err(from_plan)?;
    Ok(Planned { lines, result: result::<P>(&call, given, &mut engine)? })
}

/// The call in the plugin's own terms; DEL does without the keys that it cannot read.
///
/// # Errors
/// What is no configuration of this plugin.
pub fn call<P: InterfacePlugin>(request: &Request) -> Result<Call<'_, P::Conf>, Error> {
    let conf = if request.env.command == Command::Del { lenient::decode(request) } else { request.conf.decode() };
    Ok(Call { request, conf: conf?, attachment: Attachment::of(request) })
}

/// What of a chain's result concerns this attachment: later plugins may have added interfaces of their own.
pub fn own_part(ifname: &str, previous: &AddResult) -> AddResult {
    let is_own = |ip: &&IpConfig| match ip.interface.and_then(|index| usize::try_from(index).ok()) {
        Some(index) => previous.interfaces.get(index).is_some_and(|interface| interface.name == ifname),
        None => true,
    };
    AddResult { ips: previous.ips.iter().filter(is_own).cloned().collect(), ..previous.clone() }
}

/// An address of which only itself is known.
fn bare(ip: std::net::IpAddr) -> IpConfig {
    IpConfig { interface: None, address: ip.into(), gateway: None }
}

/// The container's namespace.
pub fn open_netns(request: &Request) -> Result<Netns, Error> {
    let path = request.env.netns.as_deref().unwrap_or_default();
    Netns::open(Path::new(path)).map_err(|error| {
        let why = match error {
            // The reference library's words, which software compares.
            OpenError::Absent(_) => format!("failed to Statfs \"{path}\": no such file or directory"),
            other => other.to_string(),
        };
        Error::internal(format!("failed to open netns \"{path}\": {why}"))
    })
}

/// The namespace of a container that may be gone, or whose path has become something else since a reboot.
pub fn netns_if_there(request: &Request) -> Result<Option<Netns>, Error> {
    let Some(path) = &request.env.netns else { return Ok(None) };
    match Netns::open(Path::new(path)) {
        Ok(netns) => Ok(Some(netns)),
        Err(OpenError::Absent(_) | OpenError::NotNamespace(_)) => Ok(None),
        Err(OpenError::Failed(error)) => Err(from_kernel(error)),
    }
}

/// Refuses the caller's own namespace before anything is touched: the reference `skel` looks only afterwards.
pub fn refuse_own_namespace(request: &Request, engine: &Engine) -> Result<(), Error> {
    if !request.env.netns_override && engine.is_one_namespace().map_err(from_plan)? {
        let text = "plugin's netns and netns from CNI_NETNS should not be the same";
        return Err(Error::new(code::INVALID_NETNS, text));
    }
    Ok(())
}

/// One error of several: the first one's code, everybody's words.
pub fn collected(mut errors: Vec<Error>) -> Result<(), Error> {
    match errors.len() {
        0 => Ok(()),
        1 => Err(errors.remove(0)),
        _ => {
            let code = errors[0].code;
            let all: Vec<_> = errors.iter().map(ToString::to_string).collect();
            Err(Error::new(code, all.join("; ")))
        }
    }
}

/// An error of the engine in CNI's shape.
pub fn from_plan(error: plan::Error) -> Error {
    Error::internal(error)
}

/// An error of the kernel in CNI's shape.
pub fn from_kernel(error: kernel::Error) -> Error {
    Error::internal(error)
}
