//! Bringing devices home.
//!
//! It needs nothing but the journal and the kernel, may be cut off anywhere, and goes on where it was when it is called
//! again: a device is looked for first, and what it has already is left alone. All links come home before anything is
//! put on them, since routes may use several. A name that is taken meanwhile is not taken back: the device comes home
//! under another, down, and the journal keeps it until the name is free.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use kernel::netlink::address::{self, Address, flags};
use kernel::netlink::link::{self, Change, Link};
use kernel::netlink::transfer::{Transfer, take_down, transfer};
use kernel::netlink::{altname, devconf};
use kernel::netns::Netns;
use plan::{Engine, Plan, Side, op};

use crate::capture::sysctls;
use crate::error::{Error, Result};
use crate::find::{Room, Whereabouts, at_home, away, find};
use crate::journal::{Held, Lent, boot, now};
use crate::place::Place;
use crate::plan::Others;
use crate::sysctl::Sysctl;
use crate::{Device, name};

/// What a device is called at home while another has its name.
const SPARE: &str = "ferry%d";
/// How often to look for a device that moves on while it is being moved.
const TRIES: u32 = 8;
/// How long to look for hardware: the kernel takes a namespace apart some time after its last user is gone, and gives
/// hardware back then.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to sleep meanwhile.
const NAP: Duration = Duration::from_millis(20);
/// `ENODEV` of `errno(3)`.
const ENODEV: i32 = 19;
/// `ELOOP` of `errno(3)`.
const ELOOP: i32 = 40;

/// What has become of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Its name at home.
    pub device: String,
    /// It is home; otherwise it went with its namespace, as virtual devices do.
    pub is_home: bool,
    /// What could not be put back, twice, and is given up; and what else is worth knowing.
    pub notes: Vec<String>,
}

/// Brings everything home that `held` lends, and puts back what it had. `hint` is where the devices may be, besides what
/// the journal says. [`Held::end`] is to follow.
///
/// # Errors
/// [`Error::Elsewhere`] if this is not the namespace they came from; [`Error::Left`] with all that is in the way, if it
/// is the first time that this is in the way, or a device's name is taken.
pub fn bring_home(held: &mut Held, hint: Option<&Path>) -> Result<Vec<Returned>> {
    if held.entry.boot != boot()? {
        // Nothing of an uptime outlives it: the kernel has hardware at home, and whoever configures the host has seen to it.
        return Ok(held.entry.lent.iter().map(|lent| returned(lent, false)).collect());
    }
    let mut home = Engine::open(None)?;
    check_home(held, &mut home)?;
    // A full disk keeps nobody from coming home.
    _ = held.returning();
    let mut room = away(held, hint)?;
    let mut coming: Vec<Coming<'_>> = Vec::new();
    let entry = held.entry.clone();
    for lent in &entry.lent {
        let mut one = Coming::of(lent);
        match one.fetch(held, room.as_mut(), &mut home) {
            Ok(()) => {}
            Err(error) => one.errors.push(error.to_string()),
        }
        coming.push(one);
    }
    if let Some(room) = &mut room {
        coming.iter_mut().for_each(|one| one.clear_up(room));
    }
    lay_out(&mut coming, held.entry.since, &mut home);
    settle(held, coming)
}

/// True if every device of `held` is home already: another program has brought it.
pub(crate) fn is_home(held: &Held, hint: Option<&Path>) -> Result<bool> {
    let mut home = Engine::open(None)?;
    check_home(held, &mut home)?;
    let mut room = away(held, hint)?;
    for lent in &held.entry.lent {
        if !matches!(find(held, lent, room.as_mut(), &mut home)?, Whereabouts::Home(_)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn returned(lent: &Lent, is_home: bool) -> Returned {
    Returned { device: lent.device.identity.name.clone(), is_home, notes: Vec::new() }
}

/// Refuses to bring home what came from elsewhere.
fn check_home(held: &Held, home: &mut Engine) -> Result<()> {
    let cookie = home.socket(Side::Host)?.netns_cookie();
    let here = Place::of(&Netns::current()?, cookie)?;
    if here.is(&held.entry.home) {
        return Ok(());
    }
    Err(Error::Elsewhere { owner: held.entry.owner.clone(), inode: held.entry.home.inode })
}

/// A device on its way home.
struct Coming<'a> {
    lent: &'a Lent,
    /// As it is at home.
    link: Option<Link>,
    /// It was home before it was fetched: a call before was cut off, or somebody else brought it.
    was_home: bool,
    outcome: Returned,
    errors: Vec<String>,
    /// What is in the way stays in the way until somebody does something about it.
    blocked: bool,
}

impl<'a> Coming<'a> {
    fn of(lent: &'a Lent) -> Self {
        let outcome = returned(lent, true);
        Self { lent, link: None, was_home: false, outcome, errors: Vec::new(), blocked: false }
    }

    /// Finds the device, and moves it home if it is not there.
    fn fetch(&mut self, held: &Held, room: Option<&mut Room>, home: &mut Engine) -> kernel::Result<()> {
        let mut room = room;
        let mut refused: Option<kernel::Error> = None;
        for turn in 0..TRIES {
            match self.look(held, room.as_deref_mut(), home)? {
                Whereabouts::Home(link) => {
                    self.was_home = turn == 0;
                    return self.arrive(link, home);
                }
                Whereabouts::Lent(owner) => return self.is_away(format!("it is lent to {owner} by now")),
                Whereabouts::Gone if self.is_hardware() => {
                    let what = format_args!("find {} in any namespace", self.lent.device.identity.name);
                    return Err(kernel::Error::new(what, ENODEV));
                }
                Whereabouts::Gone => {
                    return self.is_away("it was deleted, or went with its namespace".to_owned());
                }
                // The kernel has said no: once more would be no different.
                Whereabouts::Away(..) if refused.is_some() => break,
                Whereabouts::Away(link, path) => {
                    let left = match room.as_deref_mut().filter(|room| room.path == path) {
                        Some(room) => self.leave(&link, room, home),
                        // A namespace that is gone a moment later is looked for again.
                        None => Room::at(&path)?.map_or(Ok(()), |mut other| self.leave(&link, &mut other, home)),
                    };
                    if let Some(link) = left.as_ref().ok().and_then(|()| at_home(self.lent, home).ok()?) {
                        return self.arrive(link, home);
                    }
                    refused = left.err();
                }
            }
        }
        Err(refused.unwrap_or_else(|| kernel::Error::new("bring the device home", ELOOP)))
    }

    /// Finds the device; hardware, as long as it may be on its way out of a namespace that is being taken apart.
    fn look(&self, held: &Held, mut room: Option<&mut Room>, home: &mut Engine) -> kernel::Result<Whereabouts> {
        let started = Instant::now();
        loop {
            match find(held, self.lent, room.as_deref_mut(), home)? {
                Whereabouts::Gone if self.is_hardware() && started.elapsed() < PATIENCE => std::thread::sleep(NAP),
                found => return Ok(found),
            }
        }
    }

    fn is_hardware(&self) -> bool {
        self.lent.device.identity.kind.is_empty()
    }

    /// Notes that the device does not come home, and why.
    fn is_away(&mut self, why: String) -> kernel::Result<()> {
        self.outcome.is_home = false;
        self.outcome.notes.push(why);
        Ok(())
    }

    /// Moves the device home.
    fn leave(&self, link: &Link, room: &mut Room, home: &mut Engine) -> kernel::Result<()> {
        let identity = &self.lent.device.identity;
        let here = home.netns(Side::Host).map(Netns::try_clone).transpose()?;
        let socket = home.socket(Side::Host)?;
        // Names that it got meanwhile stay behind, and so do those that others have at home: they would keep it there.
        for own in &link.altnames {
            let is_taken = link::get(socket, own)?.is_some();
            if is_taken || !identity.altnames.contains(own) {
                altname::remove(room.socket()?, link.index, own, &link.name)?;
            }
        }
        let is_free = link::get_by_index(socket, identity.index)?.is_none();
        let new_name = match link::get(socket, &identity.name)? {
            Some(_) => spare(socket)?,
            None => identity.name.clone(),
        };
        let Some(here) = here else { return Ok(()) };
        let away = room.socket()?;
        // One that is down at home is taken down by the move: what a peer at home is told of it then is what it was before.
        if link.is_up() && self.lent.device.settings.up {
            take_down(away, link.index, &link.name)?;
        }
        transfer(
            away,
            &Transfer {
                index: link.index,
                name: &link.name,
                netns: here.as_fd(),
                new_name: &new_name,
                new_index: is_free.then_some(identity.index),
                alias: None,
            },
        )
    }

    /// Gives the device its name and what is set on it.
    fn arrive(&mut self, mut link: Link, home: &mut Engine) -> kernel::Result<()> {
        let identity = &self.lent.device.identity;
        let socket = home.socket(Side::Host)?;
        if link.name != identity.name {
            if let Some(other) = link::get(socket, &identity.name)?.filter(|other| other.index != link.index) {
                self.blocked = true;
                self.errors.push(format!(
                    "{} is home as {}, since {} has its name: rename that one, and return it again",
                    identity.name,
                    link.name,
                    describe(&other, &identity.name),
                ));
                return Ok(());
            }
            let change = Change { name: Some(&identity.name), ..Change::default() };
            link::set(socket, link.index, &link.name, &change)?;
            link.name.clone_from(&identity.name);
        }
        // They are listed in the order in which they were given.
        let kept = link.altnames.iter().zip(&identity.altnames).take_while(|(own, wanted)| own == wanted).count();
        for own in &link.altnames[kept..] {
            altname::remove(socket, link.index, own, &link.name)?;
        }
        for own in &identity.altnames[kept..] {
            let added = altname::add(socket, link.index, own, &link.name);
            self.errors.extend(added.err().map(|error| error.to_string()));
        }
        home.found(Side::Host, link.clone());
        self.link = Some(link);
        Ok(())
    }

    /// Takes away what stays where the device was.
    fn clear_up(&mut self, room: &mut Room) {
        let plan = self.lent.there().staying_plan(Side::Container);
        self.errors.extend(room.engine.remove(&plan).iter().map(ToString::to_string));
    }

    /// Takes away addresses that came before their turn, since of several in one subnet the kernel gives the first its
    /// route, and those that are not ready to be preferred by a route; and routes that prefer them.
    fn reorder(&mut self, device: &Device, home: &mut Engine) {
        let Some(index) = self.link.as_ref().filter(|_| self.was_home).map(|link| link.index) else { return };
        let listed = home.socket(Side::Host).and_then(|socket| address::list(socket, Some(index)));
        let there = match listed {
            Ok(listed) => listed,
            Err(error) => return self.errors.push(error.to_string()),
        };
        let found = |wanted: &Address| there.iter().find(|found| found.local == wanted.local);
        let is_ready = |wanted: &&Address| found(wanted).is_some_and(|found| found.flags & flags::TENTATIVE == 0);
        let mut early = Device { addresses: Vec::new(), rules: Vec::new(), neighbours: Vec::new(), ..device.clone() };
        for is_ipv6 in [false, true] {
            let wanted = device.addresses.iter().filter(|address| address.local.addr().is_ipv6() == is_ipv6);
            let behind = wanted.skip_while(is_ready).filter(|address| found(address).is_some());
            early.addresses.extend(behind.cloned());
        }
        let is_early = |source| early.addresses.iter().any(|address| address.local.addr() == source);
        early.routes.retain(|route| route.src.is_some_and(is_early));
        let mut plan = early.address_plan(Side::Host);
        plan.extend(early.way_plan(Side::Host, &others(&early, home), &mut Vec::new()));
        self.errors.extend(home.remove(&plan).iter().map(ToString::to_string));
    }

    /// Adds to the device's sysctls what it comes with otherwise than it went.
    fn find_unlike(&mut self, device: &mut Device, home: &mut Engine) {
        let found = home.socket(Side::Host).and_then(|socket| devconf::get(socket, &device.identity.name));
        match found {
            Ok(Some((_, now))) => {
                let mut unlike = sysctls::unlike(&self.lent.conf, &now);
                let is_known = |one: &Sysctl| device.sysctls.iter().any(|own| own.is_of(&one.section, &one.key));
                unlike.retain(|one| !is_known(one));
                device.sysctls.extend(unlike);
            }
            Ok(None) => {}
            Err(error) => self.errors.push(error.to_string()),
        }
    }

    /// Makes a plan so, as far as that can be done.
    fn put_back(&mut self, plan: &Plan, home: &mut Engine) {
        self.errors.extend(home.converge(plan).iter().map(ToString::to_string));
    }

    /// The device as it was, as far as it comes back.
    fn wanted(&self, since: u64) -> Device {
        let gone = u32::try_from(now().saturating_sub(since)).unwrap_or(u32::MAX);
        self.lent.device.clone().aged(gone)
    }
}

/// A name that nobody has.
fn spare(socket: &mut kernel::Socket) -> kernel::Result<String> {
    let mut names = BTreeSet::new();
    for link in link::list(socket, None)? {
        names.insert(link.name);
        names.extend(link.altnames);
    }
    Ok(name::complete(SPARE, |name| names.contains(name)).unwrap_or_else(|| SPARE.to_owned()))
}

fn describe(other: &Link, name: &str) -> String {
    if other.name == name { format!("another device (index {})", other.index) } else { other.name.clone() }
}

/// Puts back what the devices had, as far as it comes back: all links first, then all addresses.
fn lay_out(coming: &mut [Coming<'_>], since: u64, home: &mut Engine) {
    let mut there: Vec<(&mut Coming<'_>, Device)> = Vec::new();
    for one in coming.iter_mut().filter(|one| one.link.is_some()) {
        let device = one.wanted(since);
        there.push((one, device));
    }
    for (one, device) in &mut there {
        one.put_back(&link_plan(device), home);
        // Behind the MTU, of which it depends whether there is IPv6 at all.
        one.find_unlike(device, home);
        one.put_back(&device.settings_plan(Side::Host, device.settings.up), home);
    }
    there.retain(|(one, _)| one.lent.restores());
    for (one, device) in &mut there {
        one.reorder(device, home);
        one.put_back(&device.address_plan(Side::Host), home);
    }
    for (one, device) in &mut there {
        let mut plan = Plan::new();
        if one.lent.restores_ways() {
            plan.extend(device.way_plan(Side::Host, &others(device, home), &mut one.errors));
        }
        plan.extend(device.settled_plan(Side::Host));
        one.put_back(&plan, home);
    }
}

/// What is set on the device itself.
fn link_plan(device: &Device) -> Plan {
    let (identity, settings) = (&device.identity, &device.settings);
    let mut plan = Plan::new();
    plan.own(
        Side::Host,
        op::Change {
            mac: identity.mac,
            mtu: Some(settings.mtu),
            txqlen: Some(settings.txqlen),
            group: Some(settings.group),
            promisc: Some(settings.promisc),
            allmulti: Some(settings.allmulti),
            alias: Some(identity.alias.clone().unwrap_or_default()),
            ..op::Change::of(&identity.name)
        },
    );
    plan
}

/// The indices of the other links that routes of `device` use.
fn others(device: &Device, home: &mut Engine) -> Others {
    let names = device.routes.iter().flat_map(|route| &route.paths).filter_map(|path| path.device.clone());
    let index = |name: String| {
        let index = home.link(Side::Host, &name).ok()??.index;
        Some((name, index))
    };
    names.collect::<BTreeSet<_>>().into_iter().filter_map(index).collect()
}

/// Says how it went.
fn settle(held: &mut Held, coming: Vec<Coming<'_>>) -> Result<Vec<Returned>> {
    let blocked = coming.iter().any(|one| one.blocked);
    let why: Vec<String> = coming.iter().flat_map(|one| one.errors.clone()).collect();
    if why.is_empty() || !blocked && why == held.left {
        let outcome = |one: Coming<'_>| {
            let mut outcome = one.outcome;
            outcome.notes.extend(one.errors);
            outcome
        };
        return Ok(coming.into_iter().map(outcome).collect());
    }
    let owner = held.entry.owner.clone();
    held.leave(why.clone())?;
    Err(Error::Left { owner, why })
}
