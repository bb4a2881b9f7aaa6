//! Carrying devices to another network namespace: all of them, or none.
//!
//! Everything is looked at first, for every device. Then it is written down, and only then is anything changed. Whatever
//! fails from there on sends every device home again, and if even that is cut off, the journal has what it takes.

use std::os::fd::AsFd;
use std::path::Path;

use kernel::netlink::link;
use kernel::netlink::transfer::{Transfer, take_down, transfer};
use kernel::netns::Netns;
use kernel::sysctl;
use plan::{Engine, Plan, Side, op};

use crate::capture::capture_among;
use crate::capture::sysctls::Which;
use crate::error::{Error, Failed, Result};
use crate::home::{bring_home, is_home};
use crate::journal::{Entry, Held, Journal, Lent, Restore};
use crate::place::Place;
use crate::plan::Others;
use crate::sysctl::Sysctl;
use crate::{Device, Obstacle, Passage, Policy, manager, name, preflight};

/// The key of the reverse path filter.
const RP_FILTER: &str = "rp_filter";
/// `ENODEV` of `errno(3)`.
const ENODEV: i32 = 19;

/// Devices to be carried, all or none.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// To whom, in words: the journal's key.
    pub owner: &'a str,
    /// The path of the namespace that they go to, where there is one.
    pub path: Option<&'a Path>,
    /// The bundle of the OCI container that they go to, where there is one.
    pub bundle: Option<&'a Path>,
    /// The devices.
    pub devices: &'a [Wanted<'a>],
    /// Even if this host reaches others through one of them.
    pub allow_uplink: bool,
    /// Keep the namespace alive until the devices are home.
    pub pin: bool,
}

/// A device to be carried.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name, or an alternative one.
    pub device: &'a str,
    /// Its name there, or a template (`eth%d`).
    pub name: &'a str,
    /// What of layer 3 goes along; nothing if unset.
    pub policy: Option<Policy>,
    /// Its sysctls go along with that. They come home in any case.
    pub sysctls: bool,
    /// What of layer 3 comes back.
    pub restore: Restore,
}

/// Devices that are to be carried: everything is known of them, and nothing has changed.
pub struct Prepared {
    engine: Engine,
    entry: Entry,
    /// What is in the way: devices, each with an obstacle.
    pub obstacles: Vec<(String, Obstacle)>,
    /// What is worth knowing, in words.
    pub notes: Vec<String>,
}

/// Devices that are about to set out: they are written down, and their namespace is kept alive if it is to be.
pub struct Departure {
    engine: Engine,
    held: Held,
    notes: Vec<String>,
}

/// Devices that were carried, and can still be sent back.
pub struct Crossing {
    engine: Engine,
    held: Held,
    /// What is worth knowing, in words.
    pub notes: Vec<String>,
}

/// Carries devices to `netns`. What a call before for the same owner was cut off at is undone first.
///
/// # Errors
/// [`Error::Obstacles`] of all devices, or the kernel's words (`ENODEV` for a device that is not there), before anything
/// is changed; [`Error::Lent`] if the owner has devices already; [`Error::Failed`] if something failed on the way.
pub fn carry(journal: &Journal, netns: Netns, order: &Order<'_>) -> Result<Crossing> {
    mend(journal, order)?;
    prepare(netns, order)?.carry(journal)
}

/// Brings home what the same owner has of a call before that was cut off, or that another program has brought home since.
///
/// # Errors
/// [`Error::Lent`] if the owner has devices; those of [`bring_home`].
pub fn mend(journal: &Journal, order: &Order<'_>) -> Result<()> {
    let Some(mut held) = journal.open(order.owner)? else { return Ok(()) };
    let is_cut_off = !held.is_carried || held.is_returning;
    if !is_cut_off && !is_home(&held, order.path)? {
        return Err(held.entry.lent_already());
    }
    bring_home(&mut held, order.path)?;
    held.end()
}

/// Looks at everything that [`Prepared::carry`] counts on.
///
/// # Errors
/// The kernel's words, `ENODEV` for a device that is not there.
pub fn prepare(netns: Netns, order: &Order<'_>) -> Result<Prepared> {
    let mut engine = Engine::open(Some(netns))?;
    let is_home = engine.is_one_namespace()?;
    // A kernel without IPv6 has no such setting.
    let ipv6 = engine.inside(Side::Container, || Ok(sysctl::get("net/ipv6/conf/default/disable_ipv6").ok()))?;
    let places = (place(&mut engine, Side::Host)?, place(&mut engine, Side::Container)?);
    let mut entry = Entry::new(order.owner, places.0, places.1)?;
    (entry.netns, entry.pinned) = (order.path.map(Path::to_owned), order.pin);
    entry.bundle = order.bundle.map(Path::to_owned);
    let (home, away) = engine.sockets()?;
    let (here, there) = (link::list(home, None)?, link::list(away, None)?);
    let mut taken: Vec<u32> = there.iter().map(|link| link.index).collect();
    let mut obstacles = Vec::new();
    // A template takes what fixed names leave.
    let mut wanted: Vec<&Wanted<'_>> = order.devices.iter().collect();
    wanted.sort_by_key(|wanted| name::is_template(wanted.name));
    for wanted in wanted {
        let which = if wanted.sysctls { Which::All } else { Which::Unsaid };
        let (device, conf) = capture_among(home, &here, wanted.device, (&Policy::WIDEST, which))?;
        if entry.lent.iter().any(|other| other.device.identity.index == device.identity.index) {
            obstacles.push((device.identity.name, Obstacle::Twice));
            continue;
        }
        let mut lent = Lent {
            index: free_index(device.identity.index, &mut taken),
            name: wanted.name.to_owned(),
            along: wanted.policy.map(|policy| along(&device, &policy, wanted.sysctls)).transpose()?,
            restore: wanted.restore,
            manager: manager(device.identity.index),
            conf,
            device,
        };
        let passage = Passage {
            name: wanted.name,
            is_home,
            ipv6_disabled: ipv6.as_deref() != Some("0"),
            allow_uplink: order.allow_uplink,
            there: &there,
            reserved: &reserved(&entry),
        };
        let found = preflight(home, &lent.going(), &passage)?;
        let name = &lent.device.identity.name;
        obstacles.extend(found.obstacles.into_iter().map(|obstacle| (name.clone(), obstacle)));
        lent.name = found.name;
        entry.lent.push(lent);
    }
    let mut notes = Vec::new();
    plan(&entry, &mut notes);
    Ok(Prepared { engine, entry, obstacles, notes })
}

pub(crate) fn place(engine: &mut Engine, side: Side) -> Result<Place> {
    engine.socket(side)?;
    let cookie = engine.socket(side)?.netns_cookie();
    let netns = engine.netns(side).ok_or_else(|| kernel::Error::new("identify a network namespace", ENODEV))?;
    Ok(Place::of(netns, cookie)?)
}

/// What of the device goes along.
fn along(device: &Device, policy: &Policy, sysctls: bool) -> kernel::Result<Device> {
    let along = device.clone().select(policy);
    if sysctls { with_reverse_path(along) } else { Ok(Device { sysctls: Vec::new(), ..along }) }
}

/// The device with the reverse path filter that packets from it meet at home: the stricter of its own and everybody's
/// (`rp_filter` of ip-sysctl), which is not among what goes along, and another is usual where it goes. Asymmetric routes
/// work there as they do here.
///
/// # Errors
/// It is there, and may not be read.
fn with_reverse_path(mut device: Device) -> kernel::Result<Device> {
    let value = |name: &str| match sysctl::get(&sysctl::interface("ipv4", name, RP_FILTER)) {
        Ok(value) => Ok(value.parse::<u32>().ok()),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    };
    let filter = value(&device.identity.name)?.max(value("all")?);
    if let Some(filter) = filter {
        device.sysctls.retain(|sysctl| (&*sysctl.section, &*sysctl.key) != ("ipv4/conf", RP_FILTER));
        let (section, key) = ("ipv4/conf".to_owned(), RP_FILTER.to_owned());
        device.sysctls.push(Sysctl { section, key, value: filter.to_string() });
    }
    Ok(device)
}

/// The names that devices before have taken in the target: each its own, and its alternative ones, which go along.
fn reserved(entry: &Entry) -> Vec<String> {
    let names = |lent: &Lent| [vec![lent.name.clone()], lent.device.identity.altnames.clone()].concat();
    entry.lent.iter().flat_map(names).collect()
}

/// The index that a device will have in the target: its own where that is free.
fn free_index(own: u32, taken: &mut Vec<u32>) -> u32 {
    let index = if taken.contains(&own) { taken.iter().max().map_or(own, |last| last + 1) } else { own };
    taken.push(index);
    index
}

impl Lent {
    /// What of the device goes along, under its name at home.
    pub fn going(&self) -> Device {
        let bare = || Device { sysctls: Vec::new(), ..self.device.clone().select(&Policy::NONE) };
        self.along.clone().unwrap_or_else(bare)
    }

    /// The device as it is where it was carried to.
    pub fn there(&self) -> Device {
        let mut there = self.going().renamed(&self.name);
        there.settings.master = None;
        there.settings.up = true;
        there.identity.index = self.index;
        there.identity.alias = Some(self.device.identity.name.clone());
        there
    }
}

/// What is to be made of devices where they were carried to: all links first, for routes may use several.
pub(crate) fn plan(entry: &Entry, notes: &mut Vec<String>) -> Plan {
    let others: Others = entry.lent.iter().map(|lent| (lent.device.identity.name.clone(), lent.index)).collect();
    let devices: Vec<Device> = entry.lent.iter().map(Lent::there).collect();
    let mut plan = Plan::new();
    for device in &devices {
        plan.extend(device.settings_plan(Side::Container, true));
        plan.extend(device.address_plan(Side::Container));
    }
    for device in &devices {
        plan.extend(device.way_plan(Side::Container, &others, notes));
    }
    plan
}

impl Prepared {
    /// The devices: what they are, and what they will be called.
    pub fn lent(&self) -> &[Lent] {
        &self.entry.lent
    }

    /// The devices, for whoever knows better what of them is to go along.
    pub fn lent_mut(&mut self) -> &mut [Lent] {
        &mut self.entry.lent
    }

    /// What is to be made of them where they go.
    pub fn plan(&self) -> Plan {
        plan(&self.entry, &mut Vec::new())
    }

    /// The engine between the two namespaces.
    pub const fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Carries the devices.
    ///
    /// # Errors
    /// Those of [`Prepared::begin`] and [`Departure::set_out`].
    pub fn carry(self, journal: &Journal) -> Result<Crossing> {
        self.begin(journal)?.set_out()
    }

    /// Writes down what is to be done, and keeps the namespace alive.
    ///
    /// # Errors
    /// [`Error::Obstacles`] if there are any, or [`Error::Lent`] if the owner has devices already, before anything is
    /// changed; [`Error::Failed`] if something failed on the way.
    pub fn begin(self, journal: &Journal) -> Result<Departure> {
        if !self.obstacles.is_empty() {
            return Err(Error::Obstacles(self.obstacles));
        }
        let (engine, held) = (self.engine, journal.begin(self.entry)?);
        let kept = engine.netns(Side::Container).filter(|_| held.entry.pinned).map(|netns| held.pins().keep(netns));
        match kept.unwrap_or(Ok(())) {
            Ok(()) => Ok(Departure { engine, held, notes: self.notes }),
            Err(error) => Err(send_back(held, error.into())),
        }
    }
}

impl Departure {
    /// Where the namespace is kept alive, if it is.
    pub fn pin(&self) -> &Path {
        self.held.pins().path()
    }

    /// Moves every device and lays it out there.
    ///
    /// # Errors
    /// [`Error::Failed`] if something failed on the way.
    pub fn set_out(mut self) -> Result<Crossing> {
        match set_out(&mut self.engine, &self.held) {
            Ok(()) => Ok(Crossing { engine: self.engine, held: self.held, notes: self.notes }),
            Err(cause) => Err(send_back(self.held, cause)),
        }
    }

    /// Gives it up; returns what could not be put back.
    pub fn abandon(self) -> Vec<String> {
        call_back(self.held)
    }
}

/// Moves every device and lays it out there.
fn set_out(engine: &mut Engine, held: &Held) -> plan::Result<()> {
    for lent in &held.entry.lent {
        cross(engine, lent)?;
    }
    engine.apply(&plan(&held.entry, &mut Vec::new()))
}

/// Moves one device.
fn cross(engine: &mut Engine, lent: &Lent) -> plan::Result<()> {
    let identity = &lent.device.identity;
    let missing = || kernel::Error::new(format_args!("find {} where it was moved to", lent.name), ENODEV);
    let netns = engine.netns(Side::Container).ok_or_else(missing)?.try_clone()?;
    let (home, away) = engine.sockets()?;
    if lent.device.settings.up {
        take_down(home, identity.index, &identity.name)?;
    }
    transfer(
        home,
        &Transfer {
            index: identity.index,
            name: &identity.name,
            netns: netns.as_fd(),
            new_name: &lent.name,
            new_index: Some(lent.index),
            // Whoever finds the device knows what it is called at home: so does the Go plugin.
            alias: Some(&identity.name),
        },
    )?;
    // Before 5.13 the index is the kernel's choice.
    let by_index = link::get_by_index(away, lent.index)?.filter(|link| link.name == lent.name);
    let link = match by_index {
        Some(link) => link,
        None => link::get(away, &lent.name)?.ok_or_else(missing)?,
    };
    engine.learn(Side::Container, link);
    Ok(())
}

/// Brings home whatever of a carry had set out, for `cause`.
fn send_back(held: Held, cause: plan::Error) -> Error {
    Error::Failed(Box::new(Failed { cause, cleanup: call_back(held) }))
}

/// Brings home whatever of a carry had set out; returns what could not be put back.
fn call_back(mut held: Held) -> Vec<String> {
    let path = held.entry.netns.clone();
    match bring_home(&mut held, path.as_deref()) {
        Ok(_) => held.end().err().map(|error| error.to_string()).into_iter().collect(),
        Err(Error::Left { why, .. }) => why,
        Err(error) => vec![error.to_string()],
    }
}

impl Crossing {
    /// The devices.
    pub fn lent(&self) -> &[Lent] {
        &self.held.entry.lent
    }

    /// The engine that laid them out, for what is to be put on them besides. A plan that it fails to apply is undone with
    /// everything that was applied before; [`Crossing::send_back`] must follow.
    pub const fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// Ends the carry: from here on the devices stay until they are returned.
    ///
    /// # Errors
    /// The journal cannot be written; the devices were sent back.
    pub fn commit(self) -> Result<()> {
        self.commit_with(|| Ok(()))
    }

    /// The same, with a last step before anybody else may have the entry in hands.
    ///
    /// # Errors
    /// The journal cannot be written, or the last step fails; the devices were sent back.
    pub fn commit_with(mut self, last: impl FnOnce() -> kernel::Result<()>) -> Result<()> {
        match self.held.carried().and_then(|()| Ok(last()?)) {
            Ok(()) => Ok(()),
            Err(Error::Kernel(error)) => Err(self.send_back(error.into())),
            Err(error) => Err(error),
        }
    }

    /// Ends the carry for good: nobody brings the devices home, and the namespace is not kept alive for them.
    ///
    /// # Errors
    /// The journal cannot be written; whoever finds the entry brings the devices home.
    pub fn give(self) -> Result<()> {
        self.held.end()
    }

    /// Sends the devices back, for `cause`.
    pub fn send_back(mut self, mut cause: plan::Error) -> Error {
        cause.cleanup.extend(self.engine.undo());
        send_back(self.held, cause)
    }

    /// Sends the devices back; returns what could not be put back.
    pub fn abandon(mut self) -> Vec<String> {
        let undone = self.engine.undo();
        undone.iter().map(ToString::to_string).chain(call_back(self.held)).collect()
    }
}

/// What of a carry is not there any more: each device where it was carried to, with everything that went along.
///
/// # Errors
/// What kept it from looking.
pub fn check(held: &Held, netns: Netns) -> plan::Result<Vec<plan::Difference>> {
    let mut engine = Engine::open(Some(netns))?;
    let mut plan = Plan::new();
    for lent in &held.entry.lent {
        let alias = Some(lent.device.identity.name.clone());
        plan.own(Side::Container, op::Change { alias, ..op::Change::of(&lent.name) });
    }
    plan.extend(self::plan(&held.entry, &mut Vec::new()));
    engine.check(&plan)
}
