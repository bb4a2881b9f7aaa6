//! What is done for a container before it is there: everything is looked at that the hook would fail by, and devices are carried
//! ahead, to the namespace that the container is to have, while the runtime prepares it.
//!
//! A move takes as long as two grace periods of the kernel, in which a runtime does most of its own work. Whoever carries ahead
//! stays until the runtime has ended: what no hook has [claimed](share::claim) by then comes home again. The entry of the journal
//! has his own `/proc/PID/ns/net` until then, so that it is an orphan's as soon as he is killed.

use std::path::{Path, PathBuf};

use ferry::{Crossing, Departure, Journal, Obstacle, Passage, Returned, Wanted, share};
use kernel::netlink::link::{self, Change};
use kernel::netns::Netns;
use kernel::{Family, Socket};

use super::{Asked, Call, Found, given, look, owner, seen, wanted};
use crate::annotations::{Restore, Wishes};
use crate::failure::Failure;
use crate::spec::{Namespace, Spec};

/// The loopback device, in every namespace.
const LO: (u32, &str) = (1, "lo");

/// Devices that are about to be carried ahead.
pub struct Ahead {
    /// They must be there before the runtime begins: its configuration sets sysctls of devices, which a runtime may do before it
    /// calls a hook.
    pub is_first: bool,
    owner: String,
    path: PathBuf,
    home: Netns,
    netns: Netns,
    is_new: bool,
    departure: Departure,
}

/// Devices that were carried ahead, of which nobody but this process knows.
pub struct Underway {
    owner: String,
    path: PathBuf,
    home: Netns,
    netns: Netns,
    crossing: Crossing,
}

/// Devices that were carried ahead by this process, which is in their namespace.
pub struct Arrived {
    /// What is worth knowing, in words.
    pub notes: Vec<String>,
    owner: String,
    path: PathBuf,
    home: Netns,
}

/// Looks at everything, and writes down what is to be carried ahead; `netns` is the container's namespace, `None` if the runtime is
/// to make one. `None` if it is for the hook to carry. What a container that is gone has left behind comes home.
///
/// # Errors
/// As those of [`create`](super::create).
pub fn begin(journal: &Journal, id: &str, netns: Option<&Netns>, spec: &Spec) -> Result<Option<Ahead>, Failure> {
    let wishes = Wishes::read(&spec.annotations).map_err(Failure::Annotations)?;
    let mut socket = Socket::open(Family::Route)?;
    let asked = look(journal, &mut socket, netns, spec)?;
    let Some(owner) = owner_ahead(journal, id, netns, spec, &wishes, &asked)? else {
        return foresee(&mut socket, netns, &wishes, &asked).map(|()| None);
    };
    let home = Netns::current()?;
    let (is_new, netns) = match netns {
        Some(netns) => (false, netns.try_clone()?),
        None => (true, Netns::fresh()?),
    };
    let path = PathBuf::from(format!("/proc/{}/ns/net", std::process::id()));
    let call = Call { journal, netns: &netns, path: &path, bundle: None, owner: &owner, wishes: &wishes };
    let wanted: Vec<Wanted<'_>> = asked.iter().map(|one| wanted(&wishes, one)).collect();
    let mut prepared = call.prepare(&wanted, &owner)?;
    if is_new {
        // So does a runtime in a namespace that it makes.
        let (_, there) = prepared.engine().sockets()?;
        link::set(there, LO.0, LO.1, &Change { up: Some(true), ..Change::default() })?;
    }
    let departure = prepared.begin(journal)?;
    Ok(Some(Ahead { is_first: spec.sets_devices, owner, path, home, netns, is_new, departure }))
}

/// For whom all devices of a container are carried at once; `None` if that cannot be done ahead: not all of them are here, or not
/// all of them come home, the journal has something for the container, or its namespace is to belong to a user namespace that is
/// not there yet.
fn owner_ahead(
    journal: &Journal,
    id: &str,
    netns: Option<&Netns>,
    spec: &Spec,
    wishes: &Wishes,
    asked: &[Asked<'_>],
) -> Result<Option<String>, Failure> {
    let owner = owner(id, &spec.devices);
    let given = given(&owner);
    let is_here = asked.iter().all(|one| matches!(one.found, Found::Here));
    let has_place = netns.is_some() || spec.user == Namespace::None && !spec.has_uid_mappings;
    if !is_here || !has_place || journal.knows(&owner)? || journal.knows(&given)? {
        return Ok(None);
    }
    let mut returning = asked.iter().map(|one| wishes.restore(&one.device.host) != Restore::None);
    let first = returning.next();
    Ok(first.filter(|first| returning.all(|one| one == *first)).map(|returns| if returns { owner } else { given }))
}

impl Ahead {
    /// Where the namespace is, if the runtime is to find it there and not to make one.
    pub fn place(&self) -> Option<&Path> {
        self.is_new.then(|| self.departure.pin())
    }

    /// Carries the devices.
    ///
    /// # Errors
    /// What failed on the way; everything was put back then, or the failure says what was not.
    pub fn carry(self) -> Result<Underway, Failure> {
        let crossing = self.departure.set_out()?;
        Ok(Underway { owner: self.owner, path: self.path, home: self.home, netns: self.netns, crossing })
    }

    /// Gives it up.
    ///
    /// # Errors
    /// What could not be put back.
    pub fn abandon(self) -> Result<(), Vec<String>> {
        let left = self.departure.abandon();
        if left.is_empty() { Ok(()) } else { Err(left) }
    }
}

impl Underway {
    /// Goes to their namespace, so that this process counts as the one that has them there, and lets the hook claim them.
    ///
    /// # Errors
    /// Those of [`Ahead::carry`].
    pub fn arrive(self) -> Result<Arrived, Failure> {
        let notes = self.crossing.notes.clone();
        self.crossing.commit_with(|| self.netns.enter())?;
        Ok(Arrived { notes, owner: self.owner, path: self.path, home: self.home })
    }

    /// Gives it up.
    ///
    /// # Errors
    /// What could not be put back.
    pub fn abandon(self) -> Result<(), Vec<String>> {
        let left = self.crossing.abandon();
        if left.is_empty() { Ok(()) } else { Err(left) }
    }
}

impl Arrived {
    /// Comes back, and brings the devices home if no hook has claimed them; `None` if one has.
    ///
    /// # Errors
    /// [`Failure::Ferry`]: a device is not home as it was; the journal keeps it.
    pub fn end(self, journal: &Journal) -> Result<Option<Vec<Returned>>, Failure> {
        self.home.enter()?;
        Ok(share::take_back(journal, &self.owner, &self.path)?)
    }
}

/// Looks for what would keep the hook from succeeding; `netns` is the container's namespace, `None` if the runtime is to make one.
///
/// No namespace is made for the look: the end of one holds up the next move by a grace period.
fn foresee(socket: &mut Socket, netns: Option<&Netns>, wishes: &Wishes, asked: &[Asked<'_>]) -> Result<(), Failure> {
    let here: Vec<&Asked<'_>> = asked.iter().filter(|one| matches!(one.found, Found::Here)).collect();
    let obstacles = match netns {
        Some(netns) => {
            let wanted: Vec<Wanted<'_>> = here.iter().map(|one| wanted(wishes, one)).collect();
            ferry::prepare(netns.try_clone()?, &seen(&wanted, wishes.allow_uplink))?.obstacles
        }
        None => obstacles_here(socket, &here, wishes.allow_uplink)?,
    };
    if obstacles.is_empty() { Ok(()) } else { Err(Failure::Ferry(ferry::Error::Obstacles(obstacles))) }
}

/// What is in the way of going to a namespace that has nothing but `lo`.
fn obstacles_here(
    socket: &mut Socket,
    here: &[&Asked<'_>],
    allow_uplink: bool,
) -> Result<Vec<(String, Obstacle)>, Failure> {
    let reserved = ["lo".to_owned()];
    let mut obstacles = Vec::new();
    for Asked { device, name, .. } in here {
        let passage =
            Passage { name, is_home: false, ipv6_disabled: false, allow_uplink, there: &[], reserved: &reserved };
        let found = ferry::foresee(socket, &device.host, &passage)?.obstacles;
        obstacles.extend(found.into_iter().map(|obstacle| (device.host.clone(), obstacle)));
    }
    Ok(obstacles)
}
