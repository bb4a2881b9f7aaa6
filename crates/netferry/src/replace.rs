//! A file that is given another content: at any moment it has the old one or the new one, whole.
//!
//! The new one is written beside it as `.NAME.netferry`, synced, and renamed over it. A call that is killed leaves no
//! more than that, and the next one takes it over. Calls wait for each other, by a lock on the directory.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

/// What a file has that nobody else's stands for.
const MODE: u32 = 0o644;

/// Gives the file at `path`, which need not be there, another content; owner and mode are those of `like`.
///
/// # Errors
/// What was tried, and the system's words: the file is as it was, and nothing is left beside it.
pub fn replace(path: &Path, content: &[u8], like: Option<&Metadata>) -> Result<(), String> {
    let (directory, new) = beside(path)?;
    let failed = |what: &str, path: &Path, error: io::Error| format!("{what} {}: {error}", path.display());
    let lock = File::open(&directory).map_err(|error| failed("open", &directory, error))?;
    let locked = rustix::fs::flock(&lock, FlockOperation::LockExclusive);
    locked.map_err(|errno| failed("lock", &directory, errno.into()))?;
    let written = write(&new, content, like).map_err(|error| failed("write", &new, error));
    let moved = written.and_then(|()| fs::rename(&new, path).map_err(|error| failed("replace", path, error)));
    if moved.is_err() {
        // The error that is told is the first one; this one is most likely that there is nothing.
        let _ = fs::remove_file(&new);
    }
    moved
}

fn beside(path: &Path) -> Result<(PathBuf, PathBuf), String> {
    let name = path.file_name().ok_or_else(|| format!("write {}: it has no name; name a file", path.display()))?;
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut new = std::ffi::OsString::from(".");
    new.push(name);
    new.push(".netferry");
    let new = directory.join(new);
    Ok((directory, new))
}

fn write(new: &Path, content: &[u8], like: Option<&Metadata>) -> io::Result<()> {
    // Nobody else's link is followed, nor may anybody read it before its owner and mode are right.
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(new)?;
    let own = file.metadata()?;
    if let Some(like) = like.filter(|like| (like.uid(), like.gid()) != (own.uid(), own.gid())) {
        fchown(&file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(like.map_or(MODE, |like| like.mode() & 0o7777)))?;
    file.write_all(content)?;
    file.sync_all()
}
