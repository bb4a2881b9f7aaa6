//! What the hook does: carries a container's devices before its program begins, and brings them home when it is gone.
//!
//! The runtime has made the container's network namespace by then, and the process in `state.pid` is in it. All devices are
//! carried, or none. A device that is there already is no error: another container of the pod has it, or the runtime knows
//! `linux.netDevices` itself; from the first it is shared, from the second it is taken over, so that it comes home all the
//! same. At the end nothing is needed but the container's name.

pub mod ahead;

use std::path::{Path, PathBuf};

use ferry::journal::{Entry, Held, Lent};
use ferry::recover::{self, Listed, Standing};
use ferry::{Crossing, Journal, Order, Policy, Prepared, Returned, Wanted, adopt, share};
use kernel::netlink::address::Address;
use kernel::netlink::link;
use kernel::netns::{Netns, OpenError};
use kernel::{Family, Socket};

use crate::State;
use crate::annotations::{Addresses, Carry, Restore, Wishes};
use crate::failure::Failure;
use crate::spec::{Namespace, NetDevice, Spec};
use crate::validate::{Circumstances, validate};

/// What the owners of our journal entries begin with.
const OWNER: &str = "oci/";
/// A lifetime without an end.
const FOREVER: u32 = u32::MAX;

/// A device of the container, and where it is now.
struct Asked<'a> {
    device: &'a NetDevice,
    /// Its name in the container, or a template.
    name: String,
    found: Found,
}

/// Where a device is before the hook does anything.
enum Found {
    /// On this host.
    Here,
    /// In the container's namespace, where the journal has it.
    Shared,
    /// In the container's namespace, where nobody but the runtime can have moved it.
    Moved,
}

/// Carries the devices of `spec` into the namespace of the container's process, and returns what is worth knowing.
///
/// # Errors
/// [`Failure`]: what is wrong with the configuration, what is in the way, or what failed on the way. Everything is as it was
/// then, or the failure says what is not.
pub fn create(journal: &Journal, state: &State, spec: &Spec) -> Result<Vec<String>, Failure> {
    if spec.devices.is_empty() {
        return Ok(Vec::new());
    }
    let of_process = PathBuf::from(format!("/proc/{}/ns/net", state.pid.ok_or(Failure::NoProcess)?));
    let netns = open(&of_process)?;
    let path = lasting(&netns, spec).unwrap_or(of_process);
    let is_host_netns = Some(netns.is_same(&Netns::current()?)?);
    validate(spec, &Circumstances { is_host_netns, owns_namespaces: true }).map_err(Failure::Problems)?;
    let wishes = Wishes::read(&spec.annotations).map_err(Failure::Annotations)?;
    let owner = owner(&state.id, &spec.devices);
    let call =
        Call { journal, netns: &netns, path: &path, bundle: Some(&state.bundle), owner: &owner, wishes: &wishes };
    if call.claim(&spec.devices)? {
        return Ok(Vec::new());
    }
    clear_up(journal, state, &netns)?;
    let asked = look(journal, &mut Socket::open(Family::Route)?, Some(&netns), spec)?;
    call.take(&asked)
}

/// Looks at everything that carrying the devices of `spec` counts on, as if all were on this host, and changes nothing.
///
/// # Errors
/// `ENODEV` for a device that is not there; what the kernel says.
pub fn prepare(netns: Netns, spec: &Spec, wishes: &Wishes) -> Result<Prepared, Failure> {
    let asked =
        |device| Asked { device, name: device.new_name().unwrap_or(&device.host).to_owned(), found: Found::Here };
    let asked: Vec<Asked<'_>> = spec.devices.iter().map(asked).collect();
    let wanted: Vec<Wanted<'_>> = asked.iter().map(|one| wanted(wishes, one)).collect();
    let order = seen(&wanted, wishes.allow_uplink);
    let mut prepared = ferry::prepare(netns, &order)?;
    narrow(wishes, &wanted, prepared.lent_mut());
    Ok(prepared)
}

/// An order that is only looked at.
const fn seen<'a>(devices: &'a [Wanted<'a>], allow_uplink: bool) -> Order<'a> {
    Order { owner: OWNER, path: None, bundle: None, devices, allow_uplink, pin: true }
}

/// Lets go of what the container had: what no other container counts on comes home.
///
/// # Errors
/// [`Failure::Ferry`]: a device is not home as it was; the journal keeps it.
pub fn stop(journal: &Journal, id: &str, bundle: &Path) -> Result<Vec<Returned>, Failure> {
    let who = format!("{OWNER}{id}/");
    Ok(share::leave(journal, &who, &|entry, holder| is_of(id, bundle, entry, holder), None)?)
}

/// True if the container counts on any device, or may do so: what cannot be read may be of this one.
///
/// # Errors
/// The journal cannot be listed.
pub fn has_devices(journal: &Journal, id: &str, bundle: &Path) -> Result<bool, Failure> {
    let counts = |listed: &Listed| {
        let mut holders = std::iter::once(&listed.entry.owner).chain(&listed.holders);
        holders.any(|holder| is_of(id, bundle, &listed.entry, holder))
    };
    Ok(recover::list(journal)?.iter().any(|listed| listed.as_ref().map_or(true, counts)))
}

/// To whom the journal says that devices are lent: `oci/ID/DEVICE,DEVICE`. No ID has a slash.
fn owner(id: &str, devices: &[NetDevice]) -> String {
    let names: Vec<&str> = devices.iter().map(|device| device.host.as_str()).collect();
    format!("{OWNER}{id}/{}", names.join(","))
}

/// The same for those of its devices that nobody brings home.
fn given(owner: &str) -> String {
    format!("{owner}/given")
}

/// True if it is the container that counts on the devices of `entry`, by whichever call of its hook. A container of the same
/// name is another one if its bundle is: of another runtime, or of the same with another place for its state.
fn is_of(id: &str, bundle: &Path, entry: &Entry, holder: &str) -> bool {
    let rest = holder.strip_prefix(OWNER).and_then(|rest| rest.strip_prefix(id));
    // One that was asked for by a path with links may be called so.
    let is_same = |own: &Path| own == bundle || own.canonicalize().is_ok_and(|own| own == bundle);
    let is_anothers = || entry.owner == holder && entry.bundle.as_deref().is_some_and(|own| !is_same(own));
    rest.is_some_and(|rest| rest.starts_with('/')) && !is_anothers()
}

/// The path of a namespace that was there before the container, a pod's, which is the same for all its members and whenever one
/// is started again.
fn lasting(netns: &Netns, spec: &Spec) -> Option<PathBuf> {
    let Namespace::Path(path) = &spec.network else { return None };
    let is_it = Netns::open(path).is_ok_and(|there| there.is_same(netns).unwrap_or(false));
    is_it.then(|| path.clone())
}

fn open(path: &Path) -> Result<Netns, Failure> {
    Netns::open(path).map_err(|error| match error {
        OpenError::Absent(error) | OpenError::Failed(error) => Failure::Ferry(error.into()),
        OpenError::NotNamespace(why) => Failure::NotNamespace(why),
    })
}

/// Brings home what a container of this name had before: the call was cut off, or the runtime has given up and called no hook
/// of the end. What another call for the same container has carried stays: an engine may add a hook for each device.
fn clear_up(journal: &Journal, state: &State, netns: &Netns) -> Result<(), Failure> {
    let is_ours = |listed: &Listed| is_of(&state.id, &state.bundle, &listed.entry, &listed.entry.owner);
    let listed = recover::list_of(journal, &format!("{OWNER}{}/", state.id))?;
    for listed in listed.into_iter().flatten().filter(is_ours) {
        let owner = &listed.entry.owner;
        let is_there = match (listed.standing, listed.entry.lent.first()) {
            (Standing::Busy, _) => true,
            (Standing::Lent, Some(lent)) => {
                share::find(journal, netns, &lent.device.identity.name)?.is_some_and(|(found, _)| found == *owner)
            }
            _ => false,
        };
        if !is_there {
            share::leave(journal, owner, &|_, holder| holder == owner, None)?;
        }
    }
    Ok(())
}

/// Where each device is; in a namespace that is not there yet is none.
fn look<'a>(
    journal: &Journal,
    here: &mut Socket,
    netns: Option<&Netns>,
    spec: &'a Spec,
) -> Result<Vec<Asked<'a>>, Failure> {
    let mut asked = Vec::new();
    let mut has_recovered = false;
    for device in &spec.devices {
        let (name, found) = loop {
            if let Some(own) = link::get(here, &device.host)? {
                // An alternative name is none to be called by.
                break (device.new_name().unwrap_or(&own.name).to_owned(), Found::Here);
            }
            if let Some(found) = netns.map(|netns| look_there(journal, netns, spec, device)).transpose()?.flatten() {
                break found;
            }
            // A container that is gone may have left it behind.
            if std::mem::replace(&mut has_recovered, true) {
                return Err(Failure::Absent { device: device.host.clone() });
            }
            recover::recover(journal, false)?;
        };
        asked.push(Asked { device, name, found });
    }
    Ok(asked)
}

/// A device that is in the container's namespace already, and its name there.
fn look_there(
    journal: &Journal,
    netns: &Netns,
    spec: &Spec,
    device: &NetDevice,
) -> Result<Option<(String, Found)>, Failure> {
    if let Some((_, lent)) = share::find(journal, netns, &device.host)? {
        return Ok(Some((same_name(device, lent)?, Found::Shared)));
    }
    let name = device.new_name().unwrap_or(&device.host);
    if spec.network != Namespace::New && name != device.host {
        // Somebody else's may be called so.
        return Ok(None);
    }
    let there = netns.run(&Netns::current()?, || link::get(&mut Socket::open(Family::Route)?, name))?;
    Ok(there.filter(|link| link.name == name).map(|_| (name.to_owned(), Found::Moved)))
}

/// The name of a device that another container has had carried, if it is the one that is wanted.
fn same_name(device: &NetDevice, lent: Lent) -> Result<String, Failure> {
    match device.new_name() {
        Some(wanted) if wanted != lent.name && !ferry::name::is_template(wanted) => {
            Err(Failure::OtherName { device: device.host.clone(), name: lent.name, wanted: wanted.to_owned() })
        }
        _ => Ok(lent.name),
    }
}

/// One call of the hook.
struct Call<'a> {
    journal: &'a Journal,
    netns: &'a Netns,
    path: &'a Path,
    bundle: Option<&'a Path>,
    owner: &'a str,
    wishes: &'a Wishes,
}

impl Call<'_> {
    /// True if all devices were carried for this container already, ahead of it or by a call before: it counts on them.
    fn claim(&self, devices: &[NetDevice]) -> Result<bool, Failure> {
        let Some(bundle) = self.bundle else { return Ok(false) };
        for owner in [self.owner, &given(self.owner)] {
            // All else that is lent need not be read to know that this is not.
            if !self.journal.knows(owner)? {
                continue;
            }
            let claimed = share::claim(self.journal, owner, self.netns, self.path, bundle)?;
            let has_all = |held: &Held| devices.iter().all(|device| held.entry.named(&device.host).is_some());
            if let Some(held) = claimed.filter(has_all) {
                // Nobody keeps the namespace alive for what is given away.
                return if owner == self.owner { Ok(true) } else { Ok(held.end().map(|()| true)?) };
            }
        }
        Ok(false)
    }

    /// Has all devices carried, shared or taken over; or none.
    fn take(&self, asked: &[Asked<'_>]) -> Result<Vec<String>, Failure> {
        let moved: Vec<_> = asked.iter().filter(|one| matches!(one.found, Found::Moved)).collect();
        let here: Vec<_> = asked.iter().filter(|one| matches!(one.found, Found::Here)).collect();
        if let (Some(one), false) = (moved.first(), here.is_empty()) {
            // A runtime that moves devices moves them all.
            return Err(Failure::Absent { device: one.device.host.clone() });
        }
        let joined = self.join(asked);
        let taken = joined.and_then(|()| if moved.is_empty() { self.carry(&here) } else { self.adopt(&moved) });
        taken.map_err(|failure| {
            // The mark on another's entry; our own is not there any more.
            let left = share::leave(self.journal, self.owner, &|_, holder| holder == self.owner, None);
            failure.after(left.err().iter().map(ToString::to_string).collect())
        })
    }

    /// Counts on what others have had carried.
    fn join(&self, asked: &[Asked<'_>]) -> Result<(), Failure> {
        for one in asked.iter().filter(|one| matches!(one.found, Found::Shared)) {
            if !share::join(self.journal, self.netns, self.path, &one.device.host, self.owner)? {
                return Err(Failure::Absent { device: one.device.host.clone() });
            }
        }
        Ok(())
    }

    /// Carries the devices that are to come home again, then those that are not.
    fn carry(&self, here: &[&Asked<'_>]) -> Result<Vec<String>, Failure> {
        let returns = |one: &&&Asked<'_>| self.wishes.restore(&one.device.host) != Restore::None;
        let (kept, given): (Vec<&Asked<'_>>, Vec<&Asked<'_>>) = here.iter().partition(returns);
        let mut notes = Vec::new();
        let kept = self.cross(&kept, self.owner)?;
        let given = match self.cross(&given, &self::given(self.owner)) {
            Ok(given) => given,
            Err(error) => return Err(error.after(kept.map(Crossing::abandon).unwrap_or_default())),
        };
        for crossing in [&kept, &given].into_iter().flatten() {
            notes.extend(crossing.notes.iter().cloned());
        }
        if let Some(crossing) = kept
            && let Err(error) = crossing.commit()
        {
            return Err(Failure::Ferry(error).after(given.map(Crossing::abandon).unwrap_or_default()));
        }
        given.map_or(Ok(()), Crossing::give)?;
        Ok(notes)
    }

    /// Carries devices, so that they can still be sent back; `None` if there are none.
    fn cross(&self, devices: &[&Asked<'_>], owner: &str) -> Result<Option<Crossing>, Failure> {
        if devices.is_empty() {
            return Ok(None);
        }
        let wanted: Vec<Wanted<'_>> = devices.iter().map(|one| wanted(self.wishes, one)).collect();
        Ok(Some(self.prepare(&wanted, owner)?.carry(self.journal)?))
    }

    fn prepare(&self, wanted: &[Wanted<'_>], owner: &str) -> Result<Prepared, Failure> {
        let mut prepared = ferry::prepare(self.netns.try_clone()?, &self.order(wanted, owner))?;
        narrow(self.wishes, wanted, prepared.lent_mut());
        Ok(prepared)
    }

    fn order<'o>(&'o self, devices: &'o [Wanted<'o>], owner: &'o str) -> Order<'o> {
        Order {
            owner,
            path: Some(self.path),
            bundle: self.bundle,
            devices,
            allow_uplink: self.wishes.allow_uplink,
            pin: true,
        }
    }

    /// Takes over what the runtime has moved.
    fn adopt(&self, moved: &[&Asked<'_>]) -> Result<Vec<String>, Failure> {
        let returns = |one: &&&Asked<'_>| self.wishes.restore(&one.device.host) != Restore::None;
        let wanted: Vec<Wanted<'_>> = moved.iter().filter(returns).map(|one| wanted(self.wishes, one)).collect();
        if !wanted.is_empty() {
            adopt(self.journal, self.netns.try_clone()?, &self.order(&wanted, self.owner))?;
        }
        Ok(Vec::new())
    }
}

fn wanted<'a>(wishes: &Wishes, one: &'a Asked<'_>) -> Wanted<'a> {
    let addresses = match wishes.addresses {
        Addresses::Permanent | Addresses::All => ferry::Addresses::All,
        Addresses::None => ferry::Addresses::None,
    };
    let restore = match wishes.restore(&one.device.host) {
        Restore::None => ferry::Restore::Never,
        Restore::Addresses => ferry::Restore::Addresses,
        Restore::All => ferry::Restore::Auto,
    };
    let policy = Some(Policy { addresses, link_scope: false });
    let Carry { sysctls, .. } = wishes.carry(&one.device.host);
    Wanted { device: &one.device.host, name: &one.name, policy, sysctls, restore }
}

/// Leaves out of what goes along whatever the specification does not give and nobody has asked for.
fn narrow(wishes: &Wishes, wanted: &[Wanted<'_>], lent: &mut [Lent]) {
    for one in lent {
        // A device is asked for, and so wished for, by any of its names.
        let identity = &one.device.identity;
        let is_own = |name: &str| identity.name == name || identity.altnames.iter().any(|altname| altname == name);
        let key = wanted.iter().map(|wanted| wanted.device).find(|device| is_own(device)).unwrap_or(&identity.name);
        let Carry { routes, rules, neighbours, .. } = wishes.carry(key);
        let Some(along) = &mut one.along else { continue };
        if wishes.addresses == Addresses::Permanent {
            along.addresses.retain(is_permanent);
        }
        // An address that was given without the route to its subnet, as daemons do, is no good without that route.
        along.leave_subnets();
        along.routes.retain(|route| routes || route.is_to_subnet());
        along.rules.retain(|_| rules);
        along.neighbours.retain(|_| neighbours);
        // What a route prefers must be there.
        let has = |source| along.addresses.iter().any(|address| address.local.addr() == source);
        along.routes.iter_mut().for_each(|route| route.src = route.src.filter(|source| has(*source)));
    }
}

/// `IFA_F_PERMANENT`: it has no end.
fn is_permanent(address: &Address) -> bool {
    address.lifetime.is_none_or(|lifetime| lifetime.valid == FOREVER)
}
