//! Pins: files that keep network namespaces alive.
//!
//! A namespace lives as long as somebody is in it, has it open, or it is mounted somewhere, and takes virtual devices
//! with it when it goes. The mounts are below a directory that is a private mount of its own, so that they do not appear
//! in the mount namespaces of containers, where they would keep others from letting go (`mount_namespaces(7)`).

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kernel::netns::{self, Netns};
use kernel::{Error, Result};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::mount::MountPropagationFlags;

/// Where the pins of the journal in `journal` are.
pub(crate) fn directory(journal: &Path) -> PathBuf {
    journal.join("pins")
}

/// The pin of one entry of the journal.
#[derive(Debug)]
pub(crate) struct Pins {
    dir: PathBuf,
    file: PathBuf,
}

impl Pins {
    /// The pin of the entry in the file `entry` of the journal in `journal`.
    pub(crate) fn of(journal: &Path, entry: &Path) -> Self {
        let dir = directory(journal);
        let file = dir.join(entry.file_stem().unwrap_or_default());
        Self { dir, file }
    }

    /// The file, whether there is one or not.
    pub(crate) fn path(&self) -> &Path {
        &self.file
    }

    /// Keeps `netns` alive.
    pub(crate) fn keep(&self, netns: &Netns) -> Result<()> {
        let what = || format!("keep a network namespace at {}", self.file.display());
        let io = |error| Error::io(what(), &error);
        loop {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(io)?;
            let Ok(dir) = File::open(&self.dir) else { continue };
            dir.lock_shared().map_err(io)?;
            // Whoever released the last one may have taken the directory away.
            match self.mount_dir(&dir) {
                Err(error) if error.is_absent() => continue,
                outcome => outcome?,
            }
            match File::create(&self.file) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                created => {
                    created.map_err(io)?;
                    return netns.pin(&self.file);
                }
            }
        }
    }

    /// Lets go. There being nothing to let go of is success.
    pub(crate) fn release(&self) -> Result<()> {
        netns::unpin(&self.file)?;
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io(format_args!("remove {}", self.file.display()), &error))
            }
            // The one before may have been cut off here.
            _ => self.release_dir(),
        }
    }

    /// Takes the directory along with the last pin, unless somebody is about to use it.
    fn release_dir(&self) -> Result<()> {
        let io = |error| Error::io(format_args!("remove {}", self.dir.display()), &error);
        let dir = match File::open(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(io)?,
        };
        match dir.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(io(error)),
            Ok(()) => {}
        }
        if fs::read_dir(&self.dir).map_err(io)?.next().transpose().map_err(io)?.is_some() {
            return Ok(());
        }
        netns::unpin(&self.dir)?;
        match fs::remove_dir(&self.dir) {
            // Of a file system that counts what others have mounted there.
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ResourceBusy) => Err(io(error)),
            _ => Ok(()),
        }
    }

    /// Makes the directory, which is open and locked as `dir`, a private mount, if it is none.
    fn mount_dir(&self, dir: &File) -> Result<()> {
        let what = |errno: rustix::io::Errno| {
            Error::new(format_args!("make {} a private mount", self.dir.display()), errno.raw_os_error())
        };
        if !is_mount(&self.dir)? {
            dir.lock().map_err(|error| Error::io(format_args!("lock {}", self.dir.display()), &error))?;
            if !is_mount(&self.dir)? {
                rustix::mount::mount_bind(&self.dir, &self.dir).map_err(what)?;
            }
        }
        // Whoever mounted it may have been cut off here.
        rustix::mount::mount_change(&self.dir, MountPropagationFlags::PRIVATE).map_err(what)
    }
}

/// True if something is mounted at `path`.
fn is_mount(path: &Path) -> Result<bool> {
    let found = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
        .map_err(|errno| Error::new(format_args!("look at {}", path.display()), errno.raw_os_error()))?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
