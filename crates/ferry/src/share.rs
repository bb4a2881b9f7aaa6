//! Devices that several count on: the containers of a pod have one namespace between them, and each may ask for the same
//! device. It is carried for the first, is there for the others, and comes home when the last has let go.

use std::path::Path;

use kernel::netns::Netns;
use kernel::{Family, Socket};

use crate::error::{Error, Result};
use crate::home::{Returned, bring_home};
use crate::journal::{Entry, Held, Journal, Lent, Looked};
use crate::place::Place;

/// Tells whether one who counts on the devices of an entry is meant.
pub type IsWho<'a> = dyn Fn(&Entry, &str) -> bool + 'a;

/// The device named `device` at home, or alternatively so, if the journal has it as lent into `netns`.
///
/// # Errors
/// The journal cannot be listed, or a file of it not be looked at: it may be the one. What the kernel says of the namespaces.
/// A file that says nothing that can be understood is no entry.
pub fn find(journal: &Journal, netns: &Netns, device: &str) -> Result<Option<(String, Lent)>> {
    let found = search(journal, netns, device)?;
    Ok(found.and_then(|held| Some((held.entry.owner.clone(), held.entry.named(device)?.clone()))))
}

/// Lets `who`, which has its namespace at `path`, count on that device too; false if it is not there any more.
///
/// # Errors
/// Those of [`find`]; the journal cannot be written.
pub fn join(journal: &Journal, netns: &Netns, path: &Path, device: &str, who: &str) -> Result<bool> {
    match search(journal, netns, device)? {
        Some(mut held) => held.share(who, path).map(|()| true),
        None => Ok(false),
    }
}

/// Lets the container count on what was carried for `owner` to `netns`, which is at `path` from now on: ahead of it, or for itself
/// before. Somebody who is carrying it there is waited for. `None` if nothing of the owner's is there.
///
/// # Errors
/// The journal cannot be read or written; what the kernel says of the namespaces.
pub fn claim(journal: &Journal, owner: &str, netns: &Netns, path: &Path, bundle: &Path) -> Result<Option<Held>> {
    let Some(mut held) = journal.open(owner)? else { return Ok(None) };
    let (home, away) = places(netns)?;
    let is_there = held.entry.home.is(&home) && held.entry.away.is(&away) && held.is_carried && !held.is_returning;
    if !is_there {
        return Ok(None);
    }
    if held.entry.bundle.is_none() {
        held.claim(bundle, path)?;
    }
    held.share(owner, path)?;
    Ok(Some(held))
}

/// Brings home what was carried ahead of a container that has not come: the namespace is still at `path` alone. `None` if nothing
/// of the owner's is.
///
/// # Errors
/// The journal cannot be read; those of [`bring_home`].
pub fn take_back(journal: &Journal, owner: &str, path: &Path) -> Result<Option<Vec<Returned>>> {
    let held = journal.open(owner)?.filter(|held| held.entry.netns.as_deref() == Some(path) && held.paths.len() == 1);
    let Some(mut held) = held else { return Ok(None) };
    let returned = bring_home(&mut held, None)?;
    held.end()?;
    Ok(Some(returned))
}

/// Lets go of everything that those of an entry for whom `is_who` holds count on, and whose names begin with `who`; what nobody
/// counts on is brought home, then or if somebody was killed before he could. `hint` is where the devices may be, besides what
/// the journal says.
///
/// # Errors
/// The journal cannot be listed or written, or a file of it not be looked at: it may be one of theirs; the first of those of
/// [`bring_home`]; after everything was tried.
pub fn leave(journal: &Journal, who: &str, is_who: &IsWho<'_>, hint: Option<&Path>) -> Result<Vec<Returned>> {
    let (mut returned, mut failed) = (Vec::new(), None);
    let counts = |held: &Held| held.holders.is_empty() || held.holders.iter().any(|holder| is_who(&held.entry, holder));
    for path in journal.files()? {
        // There may be as many as the host has devices, and all but one are others'.
        if !Journal::may_concern(&path, who) {
            continue;
        }
        let (entry, is_counted_on) = match journal.look(&path) {
            Ok(Some(Looked::Held(held))) if counts(&held) => (held.entry.clone(), !held.holders.is_empty()),
            // It may be about to let somebody in, or be what somebody was killed at.
            Ok(Some(Looked::Busy(entry))) => (*entry, true),
            Err(error) if !is_no_entry(&error) => {
                failed = failed.or(Some(error));
                continue;
            }
            _ => continue,
        };
        let outcome = journal.open(&entry.owner).and_then(|held| match held {
            Some(held) if counts(&held) => let_go(held, is_who, hint),
            _ => Ok(Vec::new()),
        });
        match outcome {
            Ok(more) => returned.extend(more),
            Err(error) if is_counted_on || is_who(&entry, &entry.owner) => failed = failed.or(Some(error)),
            // What others have left behind stays theirs, and is for `recover` to complain of.
            Err(_) => {}
        }
    }
    failed.map_or(Ok(returned), Err)
}

fn let_go(mut held: Held, is_who: &IsWho<'_>, hint: Option<&Path>) -> Result<Vec<Returned>> {
    let gone: Vec<String> = held.holders.iter().filter(|holder| is_who(&held.entry, holder)).cloned().collect();
    for holder in gone {
        held.release(&holder)?;
    }
    if !held.holders.is_empty() {
        return Ok(Vec::new());
    }
    let returned = bring_home(&mut held, hint)?;
    held.end()?;
    Ok(returned)
}

/// The entry that has the device in `netns`, in this process's hands. Somebody who is carrying it there is waited for.
fn search(journal: &Journal, netns: &Netns, device: &str) -> Result<Option<Held>> {
    let (home, away) = places(netns)?;
    let is_it = |entry: &Entry| entry.home.is(&home) && entry.away.is(&away) && entry.named(device).is_some();
    for path in journal.files()? {
        let held = match journal.look(&path) {
            Ok(Some(Looked::Held(held))) if is_it(&held.entry) => Some(*held),
            Ok(Some(Looked::Busy(entry))) if is_it(&entry) => journal.open(&entry.owner)?,
            // Whoever took a device that somebody has for one that nobody has would take it from them.
            Err(error) if !is_no_entry(&error) => return Err(error),
            _ => None,
        };
        let is_there = |held: &Held| is_it(&held.entry) && held.is_carried && !held.is_returning;
        if let Some(held) = held.filter(is_there) {
            return Ok(Some(held));
        }
    }
    Ok(None)
}

/// This namespace, and `netns`.
fn places(netns: &Netns) -> Result<(Place, Place)> {
    let current = Netns::current()?;
    let place = |netns: &Netns| -> Result<Place> {
        let cookie = netns.run(&current, || Ok(Socket::open(Family::Route)?.netns_cookie()))?;
        Ok(Place::of(netns, cookie)?)
    };
    Ok((place(&current)?, place(netns)?))
}

/// True of a file that was read, and says nothing that can be understood.
const fn is_no_entry(error: &Error) -> bool {
    matches!(error, Error::Unreadable { .. })
}
