//! Advisory locks on files (`flock(2)`), which the kernel releases with the process, however that ends.
//!
//! The specification forbids two operations on one container at a time and any ADD or DEL during a GC; libcni leaves
//! both to its caller. The file of an exclusive lock goes away with it, so locks leave nothing behind: whoever got a
//! lock on a file that has been unlinked meanwhile tries again.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    exclusive: bool,
}

impl Lock {
    /// Waits for the lock on `path` that excludes every other.
    ///
    /// # Errors
    /// Whatever the system said, with the path.
    pub fn exclusive(path: &Path) -> io::Result<Self> {
        acquire(path, true, true).and_then(|lock| lock.ok_or_else(|| io::ErrorKind::WouldBlock.into()))
    }

    /// Waits for the lock on `path` that excludes exclusive ones only.
    ///
    /// # Errors
    /// Whatever the system said, with the path.
    pub fn shared(path: &Path) -> io::Result<Self> {
        acquire(path, false, true).and_then(|lock| lock.ok_or_else(|| io::ErrorKind::WouldBlock.into()))
    }

    /// The exclusive lock on `path` if nobody holds one, without waiting.
    ///
    /// # Errors
    /// Whatever the system said, with the path.
    pub fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        acquire(path, true, false)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A shared holder may unlink only as the last one, which it cannot know unless it becomes exclusive.
        if self.exclusive || flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_file(&self.path);
            if let Some(directory) = self.path.parent() {
                let _ = fs::remove_dir(directory);
            }
        }
    }
}

fn acquire(path: &Path, exclusive: bool, wait: bool) -> io::Result<Option<Lock>> {
    let operation = match (exclusive, wait) {
        (true, true) => FlockOperation::LockExclusive,
        (true, false) => FlockOperation::NonBlockingLockExclusive,
        (false, true) => FlockOperation::LockShared,
        (false, false) => FlockOperation::NonBlockingLockShared,
    };
    loop {
        let file = open(path).map_err(|error| about(path, &error))?;
        match retry_on_signal(|| flock(&file, operation)) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(about(path, &errno.into())),
        }
        if is_still_at(&file, path)? {
            return Ok(Some(Lock { file, path: path.to_owned(), exclusive }));
        }
    }
}

/// Opens or creates the file, and its directory, which a releasing holder may remove at any moment in between.
fn open(path: &Path) -> io::Result<File> {
    const TRIES: u32 = 1000;
    let mut outcome = Err(io::ErrorKind::NotFound.into());
    for _ in 0..TRIES {
        outcome = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        match (&outcome, path.parent()) {
            (Err(error), Some(directory)) if error.kind() == io::ErrorKind::NotFound => {
                match fs::DirBuilder::new().recursive(true).mode(0o700).create(directory) {
                    Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
                        return Err(error);
                    }
                    _ => {}
                }
            }
            _ => break,
        }
    }
    outcome
}

fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(about(path, &error)),
    }
}

fn retry_on_signal<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("lock {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn exclusive_excludes_and_leaves_nothing() {
        let scratch = Scratch::new("lock-exclusive");
        let path = scratch.path().join("locks/a");
        let held = Lock::exclusive(&path).unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(!path.exists());
        assert!(!scratch.path().join("locks").exists());
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }

    #[test]
    fn shared_locks_share_and_the_last_one_cleans_up() {
        let scratch = Scratch::new("lock-shared");
        let path = scratch.path().join("a");
        let (first, second) = (Lock::shared(&path).unwrap(), Lock::shared(&path).unwrap());
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(first);
        assert!(path.exists());
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn many_threads_never_meet_inside() {
        let scratch = Scratch::new("lock-threads");
        let path = scratch.path().join("locks/a");
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let _lock = Lock::exclusive(&path).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(!path.exists());
    }
}
