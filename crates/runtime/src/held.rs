//! Directories that belong to a living process, and those whose process is gone.
//!
//! The owner holds a lock on the file `lock` inside for as long as it lives. The kernel drops that lock with the
//! process, even after SIGKILL, so whoever can take it knows that the directory is abandoned and what is in it is due
//! for cleaning up. Nothing depends on process numbers, which the kernel uses again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::lock::Lock;

const LOCK: &str = "lock";

/// A directory that this process owns.
#[derive(Debug)]
pub struct HeldDirectory {
    path: PathBuf,
    lock: Lock,
}

impl HeldDirectory {
    /// Makes a new directory in `parent`, and `parent` if need be, with mode 0700.
    ///
    /// # Errors
    /// Whatever the system said, with the path.
    pub fn create(parent: &Path) -> io::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let path = parent.join(format!("{}-{:x}", std::process::id(), since.as_nanos()));
        let lock = Lock::exclusive(&path.join(LOCK))?;
        Ok(Self { path, lock })
    }

    /// Takes over every directory in `parent` whose owner is gone.
    ///
    /// # Errors
    /// Whatever the system said about reading `parent`; a missing one is empty.
    pub fn abandoned(parent: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for path in directories(parent)? {
            if let Some(lock) = Lock::try_exclusive(&path.join(LOCK))? {
                found.push(Self { path, lock });
            }
        }
        Ok(found)
    }

    /// Whether `parent` holds no directory, other than this one.
    pub fn is_last_in(&self, parent: &Path) -> bool {
        directories(parent).is_ok_and(|paths| paths.iter().all(|path| *path == self.path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its last path component: unique among the directories of its parent.
    pub fn id(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Removes it with all that is in it, and its parent if that is empty then.
    ///
    /// # Errors
    /// The first failure to remove something.
    pub fn remove(self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.file_name() == LOCK {
                continue;
            }
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
        drop(self.lock);
        if let Some(parent) = self.path.parent() {
            let _ = fs::remove_dir(parent);
        }
        Ok(())
    }
}

fn directories(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", parent.display()))),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn a_living_owner_keeps_its_directory() {
        let scratch = Scratch::new("held-alive");
        let held = HeldDirectory::create(scratch.path()).unwrap();
        assert!(HeldDirectory::abandoned(scratch.path()).unwrap().is_empty());
        assert!(held.is_last_in(scratch.path()));
        fs::write(held.path().join("file"), "x").unwrap();
        held.remove().unwrap();
        assert!(!scratch.path().exists());
    }

    #[test]
    fn an_abandoned_directory_is_found_with_its_content() {
        let scratch = Scratch::new("held-abandoned");
        let left = scratch.write("run/1-abc/cache/results/x", "content");
        let found = HeldDirectory::abandoned(&scratch.path().join("run")).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id(), "1-abc");
        assert!(left.exists());
        found.into_iter().for_each(|directory| directory.remove().unwrap());
        assert!(!scratch.path().join("run").exists());
    }
}
