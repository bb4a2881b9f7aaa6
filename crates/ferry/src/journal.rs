//! The journal: what is lent, to whom, and everything that it takes to bring it home.
//!
//! One file for each owner, below a directory that only root reads. Its first line is the [`Entry`], written and synced
//! before anything is changed; each further line is a [mark](Mark) of how far things are. A line without its newline was
//! not finished: a file whose first line is not is one of a carry that had changed nothing yet, a mark that is not says
//! nothing and is cut off before the next. Whoever works on an entry holds the file's lock (`flock(2)`), so one that is
//! locked is in somebody's hands, and one that is not and says nothing of an end was left by somebody who died.
//!
//! Beside a file `NAME.json` there may be `pins/NAME`, which keeps the namespace of the devices alive.

mod entry;
mod file_name;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::pin::{self, Pins};
use crate::{Error, Result};

pub use entry::{Entry, Lent, Restore};
pub(crate) use entry::{boot, now};

/// Where the journal is unless somebody says otherwise. What is there does not outlive the machine's uptime, and neither
/// does what it is about.
pub const DEFAULT: &str = "/run/netferry/lent";
/// Longer than thousands of devices.
const LONGEST: u64 = 64 << 20;

/// How far things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mark {
    /// Every device is where it was carried to, with what was to go along.
    Carried,
    /// Somebody has begun to bring them home.
    Returning,
    /// Another than the owner counts on the devices too.
    Shared(String),
    /// The owner, or another, does so no more.
    Released(String),
    /// Somebody else's path of the namespace that they were carried to, which may outlive the first.
    At(PathBuf),
    /// The container that they were carried ahead of is there: in what bundle, and at what path its namespace is, instead of
    /// the one that is in the entry.
    Claimed {
        /// The bundle.
        bundle: PathBuf,
        /// The path.
        netns: PathBuf,
    },
    /// Every device is home; this could not be put back.
    Left(Vec<String>),
}

/// The directory of the journal.
#[derive(Debug, Clone)]
pub struct Journal {
    dir: PathBuf,
}

/// An entry in this process's hands.
#[derive(Debug)]
pub struct Held {
    /// What it says.
    pub entry: Entry,
    /// It was carried out to its end.
    pub is_carried: bool,
    /// Somebody has begun to bring the devices home.
    pub is_returning: bool,
    /// Who counts on the devices: the owner, as long as it does, and those that share them.
    pub holders: BTreeSet<String>,
    /// What a return before could not put back.
    pub left: Vec<String>,
    /// Paths of the namespace that the devices were carried to, each for as long as one who counts on them lives.
    pub paths: Vec<PathBuf>,
    file: File,
    /// Where its finished lines end.
    end: u64,
    path: PathBuf,
    pins: Pins,
}

/// A file of the journal that was looked at.
#[derive(Debug)]
pub enum Looked {
    /// It is nobody's, and this process holds it now.
    Held(Box<Held>),
    /// Another process works on it.
    Busy(Box<Entry>),
    /// It was of a carry that had changed nothing, and is gone now.
    Nothing,
}

impl Journal {
    /// The journal in the directory `dir`, which need not be there.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Begins an entry: nothing of it may be done before this returns.
    ///
    /// # Errors
    /// [`Error::Lent`] if the owner has an entry whose devices were carried; what the file system says.
    pub fn begin(&self, entry: Entry) -> Result<Held> {
        let path = self.path(&entry.owner);
        let failed = |error| failed("write", &path, &error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(failed)?;
        let opened = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&path);
        let file = match opened {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return match self.open(&entry.owner)? {
                    Some(held) => Err(held.entry.lent_already()),
                    None => self.begin(entry),
                };
            }
            opened => opened.map_err(failed)?,
        };
        let pins = Pins::of(&self.dir, &path);
        let mut held = Held::of(entry, 0, file, path.clone(), pins);
        if let Err(error) = held.file.lock() {
            _ = fs::remove_file(&path);
            return Err(failed(error));
        }
        if !is_there(&held.file, &path) {
            // Whoever looked before it was locked took it for one that was never finished.
            return self.begin(held.entry.clone());
        }
        let written = serde_json::to_vec(&held.entry).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            held.file.write_all(&line)?;
            held.end = line.len() as u64;
            held.file.sync_all()?;
            File::open(&self.dir)?.sync_all()
        });
        if let Err(error) = written {
            _ = fs::remove_file(&path);
            return Err(failed(error));
        }
        Ok(held)
    }

    /// The entry of `owner`, once nobody else works on it; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Unreadable`], or what the file system says.
    pub fn open(&self, owner: &str) -> Result<Option<Held>> {
        let path = self.path(owner);
        loop {
            let Some(file) = open(&path)? else { return Ok(None) };
            file.lock().map_err(|error| failed("lock", &path, &error))?;
            if is_there(&file, &path) {
                return match self.held(file, path)? {
                    Looked::Held(held) if held.entry.owner != owner => Err(Error::Unreadable {
                        why: format!("it is of {}, not of {owner}", held.entry.owner),
                        path: held.path.clone(),
                    }),
                    Looked::Held(held) => Ok(Some(*held)),
                    Looked::Busy(_) | Looked::Nothing => Ok(None),
                };
            }
        }
    }

    /// True if there is an entry of `owner`, as far as its name says.
    ///
    /// # Errors
    /// What the file system says: it may be there.
    pub fn knows(&self, owner: &str) -> Result<bool> {
        let path = self.path(owner);
        path.try_exists().map_err(|error| failed("look at", &path, &error))
    }

    /// The owners' files, in the order of their names.
    ///
    /// # Errors
    /// What the file system says.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        self.files_of("")
    }

    /// The files of the owners that begin with `beginning`, in the order of their names: none is opened to find that out.
    ///
    /// # Errors
    /// What the file system says.
    pub fn files_of(&self, beginning: &str) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| failed("list", &self.dir, &error))?,
        };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>();
        let mut files = paths.map_err(|error| failed("list", &self.dir, &error))?;
        let is_of = file_name::of_those(beginning);
        files.retain(|path| path.file_name().is_some_and(&is_of));
        files.sort();
        Ok(files)
    }

    /// False if a file says nothing of anybody whose name begins with `who`, nor of anybody who has let go: far cheaper than to
    /// read what it says.
    pub(crate) fn may_concern(path: &Path, who: &str) -> bool {
        let Ok(name) = serde_json::to_string(who) else { return true };
        // Whatever comes behind the beginning.
        let words = [&name.as_bytes()[..name.len() - 1], b"\"released\""];
        match fs::read(path) {
            Ok(bytes) => words.iter().any(|word| bytes.windows(word.len()).any(|window| window == *word)),
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// Looks at a file without waiting for anybody; `None` if it is gone.
    ///
    /// # Errors
    /// [`Error::Unreadable`], or what the file system says.
    pub fn look(&self, path: &Path) -> Result<Option<Looked>> {
        let Some(mut file) = open(path)? else { return Ok(None) };
        match file.try_lock() {
            Ok(()) if is_there(&file, path) => self.held(file, path.to_owned()).map(Some),
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                let (lines, _) = lines(&mut file, path)?;
                match lines.first() {
                    Some(line) => Ok(Some(Looked::Busy(Box::new(parse(line, path)?)))),
                    None => Ok(None),
                }
            }
            Err(TryLockError::Error(error)) => Err(failed("lock", path, &error)),
        }
    }

    /// What a locked file says.
    fn held(&self, mut file: File, path: PathBuf) -> Result<Looked> {
        let (lines, end) = lines(&mut file, &path)?;
        let Some((first, marks)) = lines.split_first() else {
            fs::remove_file(&path).map_err(|error| failed("remove", &path, &error))?;
            return Ok(Looked::Nothing);
        };
        let entry = parse(first, &path)?;
        let pins = Pins::of(&self.dir, &path);
        let mut held = Held::of(entry, end, file, path, pins);
        for mark in marks {
            match serde_json::from_str(mark) {
                Ok(Mark::Carried) => held.is_carried = true,
                Ok(Mark::Returning) => held.is_returning = true,
                Ok(Mark::Shared(who)) => drop(held.holders.insert(who)),
                Ok(Mark::Released(who)) => drop(held.holders.remove(&who)),
                Ok(Mark::Left(left)) => held.left = left,
                Ok(Mark::At(path)) => held.paths.push(path),
                Ok(Mark::Claimed { bundle, netns }) => held.is_at(bundle, netns),
                Err(error) => {
                    return Err(Error::Unreadable { why: format!("mark {mark}: {error}"), path: held.path.clone() });
                }
            }
        }
        Ok(Looked::Held(Box::new(held)))
    }

    /// True if `path` is where the namespace of devices is kept alive, or was.
    pub fn has_pin(&self, path: &Path) -> bool {
        path.parent() == Some(&pin::directory(&self.dir)) && path.file_name().is_some()
    }

    fn path(&self, owner: &str) -> PathBuf {
        self.dir.join(file_name::of(owner))
    }
}

impl Held {
    fn of(entry: Entry, end: u64, file: File, path: PathBuf, pins: Pins) -> Self {
        let holders = BTreeSet::from([entry.owner.clone()]);
        let paths = entry.netns.iter().cloned().collect();
        let (is_carried, is_returning, left) = (false, false, Vec::new());
        Self { entry, is_carried, is_returning, holders, left, paths, file, end, path, pins }
    }

    /// Marks that every device is where it was carried to.
    ///
    /// # Errors
    /// What the file system says.
    pub fn carried(&mut self) -> Result<()> {
        self.mark(&Mark::Carried)?;
        self.is_carried = true;
        Ok(())
    }

    /// Marks that the devices are on their way home, so that somebody goes on with it if this process does not.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn returning(&mut self) -> Result<()> {
        if self.is_carried && !self.is_returning {
            self.mark(&Mark::Returning)?;
            self.is_returning = true;
        }
        Ok(())
    }

    /// Marks that `who` counts on the devices too, and has their namespace at `path`.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn share(&mut self, who: &str, path: &Path) -> Result<()> {
        // First, so that nobody counts on what seems to be gone.
        if !self.paths.iter().any(|known| known == path) {
            self.mark(&Mark::At(path.to_owned()))?;
            self.paths.push(path.to_owned());
        }
        if self.holders.insert(who.to_owned()) {
            self.mark(&Mark::Shared(who.to_owned()))?;
        }
        Ok(())
    }

    /// Marks that the container of the owner is there, whose bundle and path of its namespace nobody knew before.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn claim(&mut self, bundle: &Path, netns: &Path) -> Result<()> {
        let (bundle, netns) = (bundle.to_owned(), netns.to_owned());
        self.mark(&Mark::Claimed { bundle: bundle.clone(), netns: netns.clone() })?;
        self.is_at(bundle, netns);
        Ok(())
    }

    fn is_at(&mut self, bundle: PathBuf, netns: PathBuf) {
        self.paths.retain(|path| Some(path) != self.entry.netns.as_ref());
        self.paths.insert(0, netns.clone());
        (self.entry.bundle, self.entry.netns) = (Some(bundle), Some(netns));
    }

    /// Marks that `who` counts on the devices no more.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn release(&mut self, who: &str) -> Result<()> {
        if self.holders.remove(who) {
            self.mark(&Mark::Released(who.to_owned()))?;
        }
        Ok(())
    }

    /// Marks what could not be put back.
    ///
    /// # Errors
    /// What the file system says.
    pub fn leave(&mut self, left: Vec<String>) -> Result<()> {
        self.mark(&Mark::Left(left))
    }

    /// Ends the entry: everything is home, and nothing is kept any more.
    ///
    /// # Errors
    /// What the file system says.
    pub fn end(self) -> Result<()> {
        self.pins.release()?;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &self.path, &error)),
            _ => Ok(()),
        }
    }

    /// The journal that the entry is in.
    pub(crate) fn journal(&self) -> Journal {
        Journal::at(self.path.parent().unwrap_or(Path::new(".")))
    }

    /// What keeps the namespace of the devices alive.
    pub(crate) const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn mark(&mut self, mark: &Mark) -> Result<()> {
        let written = serde_json::to_vec(mark).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            // What was left unfinished, by this process or another, would make one line with what follows.
            if self.file.metadata()?.len() != self.end {
                self.file.set_len(self.end)?;
            }
            self.file.write_all(&line)?;
            Ok(line.len() as u64)
        });
        self.end += written.map_err(|error| failed("write", &self.path, &error))?;
        Ok(())
    }
}

impl Drop for Held {
    /// A process that another thread has just started has the file too, and with it the lock, until it becomes another
    /// program: closing the file would not let go.
    fn drop(&mut self) {
        _ = self.file.unlock();
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    let opened = OpenOptions::new().read(true).append(true).custom_flags(NOFOLLOW).open(path);
    match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(|error| failed("open", path, &error)),
    }
}

/// `O_NOFOLLOW | O_NONBLOCK`: nothing but a file of the directory itself is opened, and nobody waits for a pipe.
const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits().cast_signed();

/// True if the file that was opened is still the one at `path`: whoever held it before may have ended it.
fn is_there(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(theirs)) => identity(ours) == identity(theirs),
        _ => false,
    }
}

/// The finished lines of a file, and where they end.
fn lines(file: &mut File, path: &Path) -> Result<(Vec<String>, u64)> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    // Read at once, and its end with it.
    let mut text = String::with_capacity(usize::try_from(length.min(LONGEST)).unwrap_or_default() + 1);
    let unreadable = |why: String| Error::Unreadable { path: path.to_owned(), why };
    match file.take(LONGEST + 1).read_to_string(&mut text) {
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(unreadable("it is not UTF-8".to_owned())),
        Err(error) => return Err(failed("read", path, &error)),
        Ok(length) if length as u64 > LONGEST => return Err(unreadable(format!("it is longer than {LONGEST} bytes"))),
        Ok(_) => {}
    }
    let finished = text.rfind('\n').map_or(0, |end| end + 1);
    Ok((text[..finished].lines().map(str::to_owned).collect(), finished as u64))
}

fn parse(line: &str, path: &Path) -> Result<Entry> {
    Entry::from_json(line).map_err(|error| Error::Unreadable { path: path.to_owned(), why: error.0 })
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::Kernel(kernel::Error::io(format_args!("{what} journal {}", path.display()), error))
}
