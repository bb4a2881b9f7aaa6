//! What is lent, and what was left behind by calls and containers that are gone.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use kernel::netlink::link::{self, Change, Link};
use kernel::netlink::transfer::{Transfer, transfer};
use kernel::netns::Netns;
use kernel::{Family, Socket};
use plan::{Engine, Side};

use crate::error::Result;
use crate::find::is_at_path;
use crate::home::{Returned, bring_home};
use crate::journal::{Entry, Held, Journal, Looked, boot};
use crate::name;
use crate::place::Place;

/// `EEXIST` of `errno(3)`.
const EEXIST: i32 = 17;

/// How an entry of the journal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The devices are with their owner.
    Lent,
    /// Somebody is carrying them or bringing them home.
    Busy,
    /// Whoever carried them or brought them home was cut off.
    Interrupted,
    /// Their namespace is at none of its paths any more.
    Orphaned,
    /// The machine was started anew since.
    Rebooted,
}

impl Standing {
    /// One word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lent => "lent",
            Self::Busy => "busy",
            Self::Interrupted => "interrupted",
            Self::Orphaned => "orphaned",
            Self::Rebooted => "rebooted",
        }
    }
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its file.
    pub path: PathBuf,
    /// What it says.
    pub entry: Entry,
    /// How it stands.
    pub standing: Standing,
    /// Who counts on the devices besides the owner; nobody is known of while it is [`Standing::Busy`].
    pub holders: Vec<String>,
}

impl Listed {
    fn of(path: PathBuf, held: &Held) -> Result<Self> {
        let holders = held.holders.iter().filter(|holder| **holder != held.entry.owner).cloned().collect();
        Ok(Self { path, entry: held.entry.clone(), standing: standing(held)?, holders })
    }

    fn busy(path: PathBuf, entry: Entry) -> Self {
        Self { path, entry, standing: Standing::Busy, holders: Vec::new() }
    }
}

/// Something that was left behind.
#[derive(Debug)]
pub struct Recovered {
    /// Whose it was; for a device that no journal knows, `alias`.
    pub owner: String,
    /// Its devices, by their names at home.
    pub devices: Vec<String>,
    /// Why it is not where it belongs.
    pub why: &'static str,
    /// What became of it; `None` if nothing was to be done about it.
    pub outcome: Option<Result<Vec<Returned>>>,
}

/// Lists the journal. Files that cannot be read are errors of their own.
///
/// # Errors
/// The directory cannot be listed.
pub fn list(journal: &Journal) -> Result<Vec<Result<Listed>>> {
    list_of(journal, "")
}

/// Lists what the journal has of owners that begin with `beginning`.
///
/// # Errors
/// Those of [`list`].
pub fn list_of(journal: &Journal, beginning: &str) -> Result<Vec<Result<Listed>>> {
    let mut listed = Vec::new();
    for path in journal.files_of(beginning)? {
        match journal.look(&path) {
            Ok(Some(Looked::Held(held))) => listed.push(Listed::of(path, &held)),
            Ok(Some(Looked::Busy(entry))) => listed.push(Ok(Listed::busy(path, *entry))),
            Ok(Some(Looked::Nothing) | None) => {}
            Err(error) => listed.push(Err(error)),
        }
    }
    Ok(listed)
}

fn standing(held: &Held) -> Result<Standing> {
    Ok(if held.entry.boot != boot()? {
        Standing::Rebooted
    } else if !held.is_carried || held.is_returning || held.holders.is_empty() || !held.left.is_empty() {
        Standing::Interrupted
    } else if !held.paths.is_empty() && !is_at_path(held)? {
        Standing::Orphaned
    } else {
        Standing::Lent
    })
}

/// Brings home what nobody will: devices of calls that were cut off and of containers that are gone, and hardware that
/// the Go plugin carried and the kernel has given back under a name of its own. With `dry_run`, only says what that is.
///
/// # Errors
/// The directory cannot be listed. What goes wrong with one entry is its outcome, and the rest goes on.
pub fn recover(journal: &Journal, dry_run: bool) -> Result<Vec<Recovered>> {
    let mut recovered = Vec::new();
    for path in journal.files()? {
        let mut held = match journal.look(&path) {
            Ok(Some(Looked::Held(held))) => held,
            Ok(_) => continue,
            Err(error) => {
                let (owner, why) = (path.display().to_string(), "unreadable");
                recovered.push(Recovered { owner, devices: Vec::new(), why, outcome: Some(Err(error)) });
                continue;
            }
        };
        let devices = held.entry.lent.iter().map(|lent| lent.device.identity.name.clone()).collect();
        let owner = held.entry.owner.clone();
        let why = match standing(&held) {
            Ok(Standing::Lent) => continue,
            Ok(standing) => standing.as_str(),
            Err(error) => {
                recovered.push(Recovered { owner, devices, why: "unreadable", outcome: Some(Err(error)) });
                continue;
            }
        };
        let outcome = (!dry_run).then(|| {
            let returned = bring_home(&mut held, None)?;
            held.end().map(|()| returned)
        });
        recovered.push(Recovered { owner, devices, why, outcome });
    }
    recovered.extend(strays(dry_run)?);
    Ok(recovered)
}

/// Hardware that came back under a name of the kernel's, and says in its alias what it was called: nobody gives a device
/// a name such as `dev7`, so that it is no alias of somebody's own.
fn strays(dry_run: bool) -> Result<Vec<Recovered>> {
    let mut socket = Socket::open(Family::Route)?;
    let mut found = Vec::new();
    for link in link::list(&mut socket, None)? {
        let Some(alias) = link.alias.clone().filter(|alias| is_stray(&link, alias)) else { continue };
        if link::get(&mut socket, &alias)?.is_some() {
            continue;
        }
        let outcome = (!dry_run).then(|| {
            let change = Change { name: Some(&alias), alias: Some(""), ..Change::default() };
            link::set(&mut socket, link.index, &link.name, &change)?;
            Ok(vec![Returned { device: alias.clone(), is_home: true, notes: Vec::new() }])
        });
        found.push(Recovered { owner: "alias".to_owned(), devices: vec![alias], why: "stray", outcome });
    }
    Ok(found)
}

fn is_stray(link: &Link, alias: &str) -> bool {
    let number = link.name.strip_prefix("dev").unwrap_or_default();
    let is_kernels = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_kernels && !link.is_up() && alias != link.name && name::check(alias).is_ok() && !name::is_template(alias)
}

/// Brings home what is lent to `owner`; `None` if nothing is.
///
/// # Errors
/// Those of [`bring_home`].
pub fn release(journal: &Journal, owner: &str, hint: Option<&Path>) -> Result<Option<Vec<Returned>>> {
    let Some(mut held) = journal.open(owner)? else { return Ok(None) };
    let returned = bring_home(&mut held, hint)?;
    held.end()?;
    Ok(Some(returned))
}

/// Brings home a device that another program carried: it is named `name` in `netns`, and its alias says what it was
/// called. It comes home bare and down, as that program would have brought it. `None` if there is no such device, or if
/// `journal` knows it: whoever has it there brings it home with all that it had.
///
/// # Errors
/// `EEXIST` if its name is taken at home; the kernel's words otherwise.
pub fn by_alias(journal: &Journal, netns: Netns, name: &str) -> Result<Option<Returned>> {
    let mut engine = Engine::open(Some(netns))?;
    if engine.is_one_namespace()? {
        return Ok(None);
    }
    let cookie = engine.socket(Side::Container)?.netns_cookie();
    let there = engine.netns(Side::Container).map(|netns| Place::of(netns, cookie)).transpose()?;
    let is_there = |entry: &Entry| there.is_some_and(|there| entry.away.is(&there));
    let has = |entry: &Entry| is_there(entry) && entry.lent.iter().any(|lent| lent.name == name);
    if list(journal)?.iter().flatten().any(|listed| has(&listed.entry)) {
        return Ok(None);
    }
    let Some(here) = engine.netns(Side::Host).map(Netns::try_clone).transpose()? else { return Ok(None) };
    let (home, away) = engine.sockets()?;
    let Some(link) = link::get(away, name)?.filter(|link| link.name == name) else { return Ok(None) };
    let is_name = |alias: &String| name::check(alias).is_ok() && !name::is_template(alias);
    let Some(alias) = link.alias.clone().filter(is_name) else { return Ok(None) };
    let move_home = Transfer {
        index: link.index,
        name: &link.name,
        netns: here.as_fd(),
        new_name: &alias,
        new_index: None,
        alias: Some(""),
    };
    if link::get(home, &alias)?.is_some() {
        return Err(kernel::Error::new(move_home, EEXIST).into());
    }
    transfer(away, &move_home)?;
    Ok(Some(Returned { device: alias, is_home: true, notes: Vec::new() }))
}
