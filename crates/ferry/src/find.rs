//! Finding a device again, whatever has become of its name and address.
//!
//! Where it was carried to, its index is what nobody there can change. Hardware tells itself everywhere by what it was
//! built with; a virtual device by what we wrote on it (its alias), its kind and what else has stayed the same. A
//! namespace that dies gives hardware back to the first namespace and takes virtual devices with it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kernel::netlink::link::{self, Link};
use kernel::netns::{Netns, OpenError};
use kernel::{Result, Socket};
use plan::{Engine, Side};

use crate::device::Identity;
use crate::journal::{Held, Lent};
use crate::place::Place;
use crate::recover::list;

/// Where a device is.
#[derive(Debug)]
pub(crate) enum Whereabouts {
    /// In the namespace that it came from.
    Home(Link),
    /// In another one: the one that it was carried to, or another yet.
    Away(Link, PathBuf),
    /// With another owner, to whom it is lent by now.
    Lent(String),
    /// Nowhere to be seen.
    Gone,
}

/// A namespace at a path, as the container's side of an engine.
pub(crate) struct Room {
    pub(crate) engine: Engine,
    pub(crate) path: PathBuf,
}

impl Room {
    /// The namespace at `path`, if there is one.
    ///
    /// # Errors
    /// There may be one, but it cannot be entered.
    pub(crate) fn at(path: &Path) -> Result<Option<Self>> {
        let netns = match Netns::open(path) {
            Ok(netns) => netns,
            Err(OpenError::Absent(_) | OpenError::NotNamespace(_)) => return Ok(None),
            Err(OpenError::Failed(error)) => return Err(error),
        };
        let mut room = Self { engine: Engine::open(Some(netns))?, path: path.to_owned() };
        room.socket()?;
        Ok(Some(room))
    }

    /// A socket there.
    ///
    /// # Errors
    /// What opening it says.
    pub(crate) fn socket(&mut self) -> Result<&mut Socket> {
        self.engine.socket(Side::Container)
    }

    fn is(&mut self, place: &Place) -> Result<bool> {
        let cookie = self.socket()?.netns_cookie();
        let there = self.engine.netns(Side::Container).map(|netns| Place::of(netns, cookie)).transpose()?;
        Ok(there.is_some_and(|there| there.is(place)))
    }
}

/// The namespace that the devices of `held` were carried to: at one of its paths, at `hint`, or where it is kept alive.
///
/// # Errors
/// It is at none of them, and one could not be looked at: without it, the device would seem to be gone.
pub(crate) fn away(held: &Held, hint: Option<&Path>) -> Result<Option<Room>> {
    let mut failed = None;
    let paths = held.paths.iter().map(PathBuf::as_path);
    for path in paths.chain(hint).chain([held.pins().path()]) {
        let room = Room::at(path).and_then(|room| match room {
            Some(mut room) => Ok(room.is(&held.entry.away)?.then_some(room)),
            None => Ok(None),
        });
        match room {
            Ok(Some(room)) => return Ok(Some(room)),
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(None), Err)
}

/// True if the namespace that the devices of `held` were carried to is still at one of its paths.
///
/// # Errors
/// There is something that cannot be looked at.
pub(crate) fn is_at_path(held: &Held) -> Result<bool> {
    for path in &held.paths {
        if let Some(mut room) = Room::at(path)?
            && room.is(&held.entry.away)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks for a device of `held` in `away`, at home, and in the end in every namespace that a process is in.
pub(crate) fn find(held: &Held, lent: &Lent, away: Option<&mut Room>, home: &mut Engine) -> Result<Whereabouts> {
    let identity = &lent.device.identity;
    if let Some(room) = away {
        let there = link::get_by_index(room.socket()?, lent.index)?;
        let is_it = |link: &Link| is_possible(identity, link) && (held.is_carried || is_untouched(lent, link));
        if let Some(link) = there.filter(is_it) {
            return Ok(Whereabouts::Away(link, room.path.clone()));
        }
        if let Some(link) = link::list(room.socket()?, None)?.into_iter().find(|link| is_known(lent, link)) {
            return Ok(Whereabouts::Away(link, room.path.clone()));
        }
    }
    if let Some(link) = at_home(lent, home)? {
        return Ok(Whereabouts::Home(link));
    }
    if let Some(link) = link::list(home.socket(Side::Host)?, None)?.into_iter().find(|link| is_known(lent, link)) {
        return Ok(Whereabouts::Home(link));
    }
    if let Some(owner) = lent_again(held, lent) {
        return Ok(Whereabouts::Lent(owner));
    }
    // A carry that was cut off leaves it in one of the two.
    let found = if held.is_carried { elsewhere(held, lent) } else { None };
    Ok(found.map_or(Whereabouts::Gone, |(link, path)| Whereabouts::Away(link, path)))
}

/// The device, if it is at home under its own index.
pub(crate) fn at_home(lent: &Lent, home: &mut Engine) -> Result<Option<Link>> {
    let identity = &lent.device.identity;
    let there = link::get_by_index(home.socket(Side::Host)?, identity.index)?;
    Ok(there.filter(|link| is_possible(identity, link) && is_named(lent, link)))
}

/// To whom the device is lent by another entry: somebody else brought it home, and it was carried again.
fn lent_again(held: &Held, lent: &Lent) -> Option<String> {
    let identity = &lent.device.identity;
    let is_same = |other: &Lent| {
        let other = &other.device.identity;
        (other.index, &other.name, &other.kind) == (identity.index, &identity.name, &identity.kind)
    };
    let entries = list(&held.journal()).ok()?.into_iter().flatten().map(|listed| listed.entry);
    let mut others = entries.filter(|entry| entry.owner != held.entry.owner && entry.home.is(&held.entry.home));
    others.find(|entry| entry.lent.iter().any(is_same)).map(|entry| entry.owner)
}

/// Looks in the namespaces of all processes and those that they have mounted: a container may have carried the device
/// on. Those of other users are not believed: anybody can make a virtual device that looks like another. Nor is much of
/// what is: another node on the same machine may lend a device of the same name, alternative names and index.
fn elsewhere(held: &Held, lent: &Lent) -> Option<(Link, PathBuf)> {
    let mut seen = BTreeSet::from([held.entry.home.inode, held.entry.away.inode]);
    let mut tables = BTreeSet::new();
    let owner = Netns::current().and_then(|home| home.owner()).ok()?;
    let inode = |path: &Path| fs::metadata(path).map(|metadata| metadata.ino()).ok();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let mut paths = vec![process.path().join("ns/net")];
        if inode(&process.path().join("ns/mnt")).is_some_and(|table| tables.insert(table)) {
            paths.extend(mounted(&process.path()));
        }
        for path in paths {
            if !inode(&path).is_some_and(|inode| seen.insert(inode)) {
                continue;
            }
            let room = Room::at(&path).ok().flatten();
            let is_ours = |room: &Room| {
                let netns = room.engine.netns(Side::Container);
                netns.is_some_and(|netns| netns.owner().is_ok_and(|there| there == owner))
            };
            let links = room.filter(is_ours).and_then(|mut room| link::list(room.socket().ok()?, None).ok());
            let mut links = links.unwrap_or_default();
            links.retain(|link| is_marked(lent, link));
            if let Some(link) = links.pop() {
                return Some((link, path));
            }
        }
    }
    None
}

/// The files that a process sees network namespaces mounted on (`proc_pid_mountinfo(5)`).
fn mounted(process: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
    let file = |line: &str| {
        let mut fields = line.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // What is octal in it has a space or the like in its path, and is no place for a namespace.
        let is_namespace = root.starts_with("net:[") && !point.contains('\\');
        is_namespace.then(|| process.join("root").join(point.trim_start_matches('/')))
    };
    table.lines().filter_map(file).collect()
}

/// `None` if there is nothing that the device was built with.
fn is_same_hardware(identity: &Identity, link: &Link) -> Option<bool> {
    let parent = link.parent_bus.as_ref().zip(link.parent_device.as_ref());
    let on_bus = identity.parent.as_ref().map(|wanted| parent == Some((&wanted.bus, &wanted.name)));
    let built_with = identity.permanent_mac.map(|mac| link.permanent_mac == Some(mac));
    match (on_bus, built_with) {
        (None, None) => None,
        (on_bus, built_with) => Some(on_bus != Some(false) && built_with != Some(false)),
    }
}

/// Nothing speaks against it.
fn is_possible(identity: &Identity, link: &Link) -> bool {
    link.kind.name() == identity.kind && is_same_hardware(identity, link) != Some(false)
}

/// As it was when it set out.
fn is_untouched(lent: &Lent, link: &Link) -> bool {
    let identity = &lent.device.identity;
    link.mac == identity.mac && (link.name == identity.name || link.name == lent.name)
}

/// Something says that it is the device with this index at home.
fn is_named(lent: &Lent, link: &Link) -> bool {
    let identity = &lent.device.identity;
    is_same_hardware(identity, link) == Some(true)
        || link.name == identity.name
        || link.alias.as_deref() == Some(&identity.name)
        || link.mac.is_some() && link.mac == identity.mac
}

/// It is the hardware, or has the alias that it was given and its hardware address: nothing less tells it from another
/// host's.
fn is_marked(lent: &Lent, link: &Link) -> bool {
    let identity = &lent.device.identity;
    let same_mac = link.mac.is_some() && link.mac == identity.mac;
    let same_alias = link.alias.as_deref() == Some(&identity.name);
    is_possible(identity, link) && (is_same_hardware(identity, link) == Some(true) || same_mac && same_alias)
}

/// It can be no other, in a namespace that it has been in.
fn is_known(lent: &Lent, link: &Link) -> bool {
    let identity = &lent.device.identity;
    if !is_possible(identity, link) {
        return false;
    }
    let same_mac = link.mac.is_some() && link.mac == identity.mac;
    let same_alias = link.alias.as_deref() == Some(&identity.name);
    let same_altnames = !identity.altnames.is_empty() && link.altnames == identity.altnames;
    let same_name = link.name == identity.name || link.name == lent.name;
    is_same_hardware(identity, link) == Some(true)
        || same_mac && (same_alias || same_name || same_altnames)
        || same_alias && (same_altnames || link.index == lent.index)
}
