//! The index: "which addresses does this attachment hold" in one readlink(2), whatever the number of reservations.
//!
//! It is a cache beside the files that count, in `<dataDir>/.netferry/<network>/`, where the reference implementation never
//! looks: it walks `<dataDir>/<network>/` and no network's name begins with a dot. An entry is a symbolic link named after
//! its owner whose target lists the addresses, since a link is made whole or not at all. Whoever reads an entry verifies it
//! against the files it names.
//!
//! The link `:stamp` says for which state of the network's directory the index is complete; see [`Stamp`].

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{self, AtFlags, Mode, OFlags, StatxFlags, StatxTimestamp};
use rustix::io::{Errno, Result};

use super::config::Place;
use super::files;

const ROOT: &str = ".netferry";
const STAMP: &str = ":stamp";
const NEW_ENTRY: &str = ":entry";
/// Name under which a reservation is written before it is moved to its place.
pub const NEW_FILE: &str = ":new";

/// The state of a network's directory: which directory it is, and a modification time *that we set ourselves*.
///
/// After each change of ours the directory's time is set to the stamp, a moment that lies in the past. Every change by
/// anybody else makes the kernel set the present time, so as long as the stamp is still there nobody has added or removed
/// a file. The granularity of the kernel's clock does not matter: two changes within one tick give two times that may be
/// equal to each other, but never to the stamp. A crash between a change and the stamp leaves the present time, too. A copy
/// that was put in the directory's place has its time but not its birth; the inode alone may be one that was given away
/// again. Not noticed are a file edited in place, a file made between two of our system calls by somebody who ignores the
/// lock, and a copy spilled into the same directory with its time: no IPAM does any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    ino: u64,
    born: (i64, u32),
    time: (i64, u32),
}

impl Stamp {
    /// The state of `dir`.
    pub fn of(dir: BorrowedFd<'_>) -> Result<Self> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME | StatxFlags::MTIME;
        let stat = fs::statx(dir, "", AtFlags::EMPTY_PATH, wanted)?;
        let pair = |time: StatxTimestamp| (time.tv_sec, time.tv_nsec);
        Ok(Self { ino: stat.stx_ino, born: pair(stat.stx_btime), time: pair(stat.stx_mtime) })
    }

    /// The same directory at a time that the kernel will not give it from now on.
    pub fn past(self) -> Self {
        let past = SystemTime::now() - Duration::from_secs(2);
        let past = past.duration_since(UNIX_EPOCH).unwrap_or_default();
        // Whole microseconds, for file systems that keep no nanoseconds.
        Self { time: (i64::try_from(past.as_secs()).unwrap_or_default(), past.subsec_micros() * 1000), ..self }
    }

    /// Sets the modification time of `dir` to the stamp.
    pub fn set(self, dir: BorrowedFd<'_>) -> Result<()> {
        let omit = fs::Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT };
        let last_modification = fs::Timespec { tv_sec: self.time.0, tv_nsec: self.time.1.into() };
        fs::futimens(dir, &fs::Timestamps { last_access: omit, last_modification })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let ino = parts.next()?.parse().ok()?;
        let mut pair = || Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?));
        let stamp = Self { ino, born: pair()?, time: pair()? };
        parts.next().is_none().then_some(stamp)
    }

    fn text(self) -> String {
        let Self { ino, born, time } = self;
        format!("{ino}:{}:{}:{}:{}", born.0, born.1, time.0, time.1)
    }
}

/// The index of one network; used under the network's lock.
#[derive(Debug)]
pub struct Index {
    dir: OwnedFd,
}

impl Index {
    /// Opens the index of a network; `ENOENT` if there is none.
    pub fn open(place: &Place) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self { dir: fs::open(path(place), flags, Mode::empty())? })
    }

    /// Opens the index of a network and makes it where there is none.
    pub fn create(place: &Place) -> io::Result<Self> {
        match Self::open(place) {
            Err(Errno::NOENT) => DirBuilder::new().recursive(true).mode(0o700).create(path(place))?,
            other => return Ok(other?),
        }
        Ok(Self::open(place)?)
    }

    /// The directory, for files that are moved from here to the network's directory.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The state for which the index is complete, if it says one.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::parse(&self.read(STAMP).ok()?)
    }

    /// Says that the index is complete for `stamp`.
    pub fn set_stamp(&self, stamp: Stamp) -> Result<()> {
        self.write(STAMP, &stamp.text())
    }

    /// The addresses under `key`; none if there is no such entry.
    ///
    /// # Errors
    /// `EINVAL` for an entry that is not ours or damaged, so that the caller builds the index anew.
    pub fn get(&self, key: &str) -> Result<Vec<IpAddr>> {
        match self.read(key) {
            Ok(text) => text.split(',').map(|ip| ip.parse().map_err(|_| Errno::INVAL)).collect(),
            Err(Errno::NOENT) => Ok(Vec::new()),
            Err(errno) => Err(errno),
        }
    }

    /// Makes `ips` the addresses under `key`; without addresses the entry goes.
    pub fn put(&self, key: &str, ips: &[IpAddr]) -> Result<()> {
        if ips.is_empty() {
            return absent(fs::unlinkat(&self.dir, key, AtFlags::empty()));
        }
        self.write(key, &list(ips))
    }

    /// Makes the index hold exactly `wanted`, changing only what differs; it has no stamp then.
    pub fn replace(&self, wanted: &BTreeMap<String, Vec<IpAddr>>) -> Result<()> {
        absent(fs::unlinkat(&self.dir, STAMP, AtFlags::empty()))?;
        let mut present = BTreeMap::new();
        for name in files::names(self.dir.as_fd())? {
            if [STAMP, NEW_ENTRY, NEW_FILE].contains(&name.as_str()) {
                continue;
            }
            let target = self.read(&name).unwrap_or_default();
            present.insert(name, target);
        }
        for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
            absent(fs::unlinkat(&self.dir, name.as_str(), AtFlags::empty()))?;
        }
        for (key, ips) in wanted {
            let target = list(ips);
            if present.get(key) != Some(&target) {
                self.write(key, &target)?;
            }
        }
        Ok(())
    }

    fn read(&self, name: &str) -> Result<String> {
        let target = fs::readlinkat(&self.dir, name, Vec::with_capacity(128))?;
        target.into_string().map_err(|_| Errno::INVAL)
    }

    fn write(&self, name: &str, target: &str) -> Result<()> {
        match fs::symlinkat(target, &self.dir, name) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
        absent(fs::unlinkat(&self.dir, NEW_ENTRY, AtFlags::empty()))?;
        fs::symlinkat(target, &self.dir, NEW_ENTRY)?;
        fs::renameat(&self.dir, NEW_ENTRY, &self.dir, name)
    }
}

fn path(place: &Place) -> PathBuf {
    Path::new(&place.data_dir).join(ROOT).join(&place.network)
}

fn list(ips: &[IpAddr]) -> String {
    let mut text = String::with_capacity(ips.len() * 40);
    for ip in ips {
        let comma = if text.is_empty() { "" } else { "," };
        text.push_str(comma);
        text.push_str(&ip.to_string());
    }
    text
}

fn absent(result: Result<()>) -> Result<()> {
    if result == Err(Errno::NOENT) { Ok(()) } else { result }
}
