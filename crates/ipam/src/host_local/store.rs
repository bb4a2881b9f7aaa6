//! The reservations of one network as files, shared with the reference implementation in both directions at once.
//!
//! `<dataDir>/<network>/<address>` (0600) holds the owner; `last_reserved_ip.<set>` the last address given from a range
//! set; `lock` is held with flock(2) from [`Store::lock`] until the store is dropped. The files are what counts; `index`
//! only finds them. A reservation is written beside the directory and moved into it, so that no crash leaves an empty
//! one; empty files of other writers count as free and are removed when they are met. Nothing is synced to disk: a reboot
//! ends every container, and what survives it is removed by GC.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use cni::Error;
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::{self, Errno};

use super::config::Place;
use super::cursor::Cursor;
use super::files;
use super::index::{Index, NEW_FILE, Stamp};
use super::owner::{self, Owner};
use crate::text::failed;

/// A file of the directory whose name is an address. `owner` is `None` if no container can have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub ip: IpAddr,
    /// Whose it is.
    pub owner: Option<Owner>,
}

/// What an owner holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Addresses reserved by container ID and interface name.
    pub exact: Vec<IpAddr>,
    /// Addresses in files of old releases, which name the container ID alone.
    pub by_id: Vec<IpAddr>,
}

impl Holdings {
    /// All of them.
    pub fn all(&self) -> Vec<IpAddr> {
        [self.exact.as_slice(), &self.by_id].concat()
    }
}

/// The reservations of one network, locked.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    place: Place,
    dir: OwnedFd,
    /// Closing it unlocks; `None` when only looking at a directory that has no lock yet.
    _lock: Option<OwnedFd>,
    /// Whether this store may change files.
    change: bool,
    index: Option<Index>,
    /// The stamp for which the index is complete now; `None` if the index is not to be believed.
    stamp: Option<Stamp>,
    /// Every reservation, if the index had to be doubted.
    walked: Option<Vec<Entry>>,
    /// A file that could not be read then, whose owner is therefore not known.
    unread: Option<(IpAddr, Errno)>,
}

impl Store {
    /// Makes the network's directory where there is none, and locks it.
    ///
    /// # Errors
    /// The directory or its lock cannot be made, opened or locked.
    pub fn create(place: &Place) -> Result<Self, Error> {
        if let Some(store) = Self::open(place)? {
            return Ok(store);
        }
        let path = place.data_dir.join(&place.network);
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&path);
        made.map_err(|error| failed(format_args!("mkdir {}", path.display()), error))?;
        Self::open(place)?.ok_or_else(|| failed(format_args!("open {}", path.display()), Errno::NOENT))
    }

    /// Locks the network's directory to change it; `None` if there is none.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn open(place: &Place) -> Result<Option<Self>, Error> {
        Self::lock(place, true)
    }

    /// Locks the network's directory to look at it, making no file; `None` if there is none.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn look(place: &Place) -> Result<Option<Self>, Error> {
        Self::lock(place, false)
    }

    fn lock(place: &Place, change: bool) -> Result<Option<Self>, Error> {
        let path = place.data_dir.join(&place.network);
        let named = |errno: Errno| failed(format_args!("lock {}", path.display()), errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = match fs::open(&path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(|errno| failed(format_args!("open {}", path.display()), errno))?,
        };
        let lock = files::lock(dir.as_fd(), change).map_err(named)?;
        let now = Stamp::of(dir.as_fd()).ok();
        let index = Index::open(place).ok();
        let stamp = index.as_ref().and_then(Index::stamp).filter(|stamp| Some(*stamp) == now);
        let mut store =
            Self { path, place: place.clone(), dir, _lock: lock, change, index, stamp, walked: None, unread: None };
        if store.stamp.is_none() {
            store.doubt()?;
        }
        Ok(Some(store))
    }

    /// Reads every reservation, because the index is missing or older than the directory; puts it right if it may.
    fn doubt(&mut self) -> Result<(), Error> {
        self.stamp = None;
        let blank = self.walk()?;
        if self.change {
            for ip in blank {
                // One that stays is met again as an address that cannot be had.
                _ = self.unlink(ip);
            }
            self.record_all();
        }
        Ok(())
    }

    /// Reads every file; the addresses whose files are blank are not reserved, and returned.
    fn walk(&mut self) -> Result<Vec<IpAddr>, Error> {
        let (mut entries, mut blank) = (Vec::new(), Vec::new());
        let addresses = files::addresses(self.dir.as_fd()).map_err(|errno| self.named("read", "", errno))?;
        for ip in addresses {
            match self.content_of(ip) {
                Ok(content) if owner::is_blank(&content) => blank.push(ip),
                Ok(content) => entries.push(Entry { ip, owner: Owner::parse(&content) }),
                Err(Errno::NOENT) => {}
                Err(errno) => {
                    entries.push(Entry { ip, owner: None });
                    // A directory or an endless file is in the way, but it is nobody's.
                    let is_nobodys = matches!(errno, Errno::ISDIR | Errno::FBIG);
                    self.unread = if is_nobodys { self.unread } else { Some((ip, errno)) };
                }
            }
        }
        self.walked = Some(entries);
        Ok(blank)
    }

    /// Whether the answers of this store are all there is to know.
    ///
    /// # Errors
    /// A file could not be read, and nobody can say whose it is.
    pub fn complete(&self) -> Result<(), Error> {
        self.unread.map_or(Ok(()), |(ip, errno)| Err(self.named("read", &ip.to_string(), errno)))
    }

    fn rebuild(&mut self) -> std::io::Result<Stamp> {
        if let Some((_, errno)) = self.unread {
            return Err(errno.into());
        }
        let mut wanted: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for Entry { ip, owner } in self.walked.iter().flatten() {
            if let Some(owner) = owner {
                wanted.entry(owner.key()).or_default().push(*ip);
            }
        }
        let index = match self.index.take() {
            Some(index) => index,
            None => Index::create(&self.place)?,
        };
        let index = self.index.insert(index);
        index.replace(&wanted)?;
        let stamp = Stamp::of(self.dir.as_fd())?.past();
        index.set_stamp(stamp)?;
        stamp.set(self.dir.as_fd())?;
        Ok(stamp)
    }

    /// The addresses that `owner` holds, each verified by reading its file.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn holdings(&mut self, owner: &Owner) -> Result<Holdings, Error> {
        let old = owner.without_ifname();
        if self.walked.is_none() {
            let found = self.indexed(owner).and_then(|exact| Ok(Holdings { exact, by_id: self.indexed(&old)? }));
            match found {
                Ok(found) => return Ok(found),
                Err(_) => self.doubt()?,
            }
        }
        let entries = self.entries()?;
        let of = |owner: &Owner| {
            entries.iter().filter(|entry| entry.owner.as_ref() == Some(owner)).map(|entry| entry.ip).collect()
        };
        Ok(Holdings { exact: of(owner), by_id: of(&old) })
    }

    fn indexed(&self, owner: &Owner) -> io::Result<Vec<IpAddr>> {
        let index = self.index.as_ref().ok_or(Errno::NOENT)?;
        let ips = index.get(&owner.key())?;
        for ip in &ips {
            if self.owner_of(*ip)?.as_ref() != Some(owner) {
                return Err(Errno::INVAL);
            }
        }
        Ok(ips)
    }

    /// Every reservation.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn entries(&mut self) -> Result<Vec<Entry>, Error> {
        if self.walked.is_none() {
            self.walk()?;
        }
        Ok(self.walked.clone().unwrap_or_default())
    }

    /// Every reserved address, by the names of the files alone where that is enough.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn taken(&self) -> Result<Vec<IpAddr>, Error> {
        match &self.walked {
            Some(entries) => Ok(entries.iter().map(|entry| entry.ip).collect()),
            None => files::addresses(self.dir.as_fd()).map_err(|errno| self.named("read", "", errno)),
        }
    }

    /// True if nothing holds `ip`. What cannot be read is in the way.
    pub fn is_free(&self, ip: IpAddr) -> bool {
        match self.content_of(ip) {
            Ok(content) => owner::is_blank(&content),
            Err(errno) => errno == Errno::NOENT,
        }
    }

    /// Reserves `ip` for `owner`; false if it is taken.
    ///
    /// # Errors
    /// The reservation cannot be written; nothing of it is left.
    pub fn reserve(&self, ip: IpAddr, owner: &Owner) -> Result<bool, Error> {
        let (name, content) = (ip.to_string(), owner.content());
        let dir = self.dir.as_fd();
        let beside =
            || self.index.as_ref().map(|index| files::create_beside(index.dir(), NEW_FILE, dir, &name, &content));
        let done = match files::create_whole(dir, &name, &content) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => match beside() {
                // No index, one that cannot be written, or one on another file system.
                None | Some(Err(Errno::XDEV | Errno::ROFS | Errno::ACCESS)) => files::create(dir, &name, &content),
                Some(done) => done,
            },
            done => done,
        };
        match done {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(self.named("create", &name, errno)),
        }
    }

    /// Removes the reservation of `ip`; one that is gone already is fine.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn unlink(&self, ip: IpAddr) -> Result<(), Error> {
        match fs::unlinkat(&self.dir, ip.to_string(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.named("remove", &ip.to_string(), errno)),
        }
    }

    /// Brings the index up to the changes just made: `owner` now holds `ips`.
    pub fn record(&mut self, owner: &Owner, ips: &[IpAddr]) {
        self.settle(|index| index.put(&owner.key(), ips));
    }

    /// Removes `ips`, all that can be, and brings the index up to it; the errors of those that cannot.
    ///
    /// Only after [`Store::entries`].
    pub fn remove_all(&mut self, ips: &[IpAddr]) -> Vec<Error> {
        let errors: Vec<Error> = ips.iter().filter_map(|ip| self.unlink(*ip).err()).collect();
        if errors.is_empty() {
            let gone: HashSet<&IpAddr> = ips.iter().collect();
            self.walked.iter_mut().for_each(|entries| entries.retain(|entry| !gone.contains(&entry.ip)));
            self.record_all();
        }
        errors
    }

    /// Builds the index from what was walked. One that cannot be written costs time, not correctness.
    fn record_all(&mut self) {
        self.stamp = self.rebuild().ok();
    }

    /// Says that the changes just made undid each other.
    pub fn record_nothing(&mut self) {
        self.settle(|_| Ok(()));
    }

    /// Without the stamp the next call reads every file and builds the index anew, so failures here need no report.
    fn settle(&mut self, change: impl FnOnce(&Index) -> io::Result<()>) {
        let Some(stamp) = self.stamp.take() else { return };
        let Some(index) = &self.index else { return };
        if change(index).is_ok() && stamp.set(self.dir.as_fd()).is_ok() {
            self.stamp = Some(stamp);
        }
    }

    /// Where round robin goes on in range set `set`.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub fn cursor(&self, set: usize) -> Result<Cursor, Error> {
        Cursor::open(self.dir.as_fd(), set, self.change)
            .map_err(|errno| self.named("open last_reserved_ip in", "", errno))
    }

    /// Says that `ip` was the last given where `cursor` points.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn advance(&self, cursor: &Cursor, ip: IpAddr) -> Result<(), Error> {
        cursor.advance(ip).map_err(|errno| self.named("write last_reserved_ip in", "", errno))
    }

    /// Whether a file could be made in the directory.
    ///
    /// # Errors
    /// Why not.
    pub fn writable(&self) -> Result<(), Error> {
        fs::accessat(&self.dir, ".", fs::Access::WRITE_OK | fs::Access::EXEC_OK, AtFlags::empty())
            .map_err(|errno| self.named("write to", "", errno))
    }

    fn owner_of(&self, ip: IpAddr) -> io::Result<Option<Owner>> {
        Ok(Owner::parse(&self.content_of(ip)?))
    }

    fn content_of(&self, ip: IpAddr) -> io::Result<Vec<u8>> {
        files::read(self.dir.as_fd(), &ip.to_string())
    }

    fn named(&self, verb: &str, name: &str, errno: Errno) -> Error {
        failed(format_args!("{verb} {}", self.path.join(name).display()), errno)
    }
}
