//! Files as the store needs them: the lock, the names in a directory, whole contents.

use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use cni::Error;
use rustix::fs::{self, Access, AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};

use crate::text::failed;

/// Longer than what any container can have written: its ID came in an environment variable, of at most 128 KiB.
const CONTENT_LIMIT: usize = 256 << 10;
/// Nothing but a file of the directory itself is opened, and nobody waits for the other end of a pipe.
pub const HERE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Opens the lock file and waits for the lock, which lasts until the file is closed. Without `create` a directory that has
/// no lock file is not locked.
///
/// # Errors
/// The file cannot be opened or locked.
pub fn lock(dir: BorrowedFd<'_>, create: bool) -> Result<Option<OwnedFd>> {
    let flags = if create { OFlags::RDONLY | OFlags::CREATE } else { OFlags::RDONLY };
    let file = match fs::openat(dir, "lock", flags | HERE, Mode::from_raw_mode(0o750)) {
        Err(Errno::NOENT) if !create => return Ok(None),
        other => other?,
    };
    rustix::io::retry_on_intr(|| fs::flock(&file, FlockOperation::LockExclusive))?;
    Ok(Some(file))
}

/// The names in a directory, without `.` and `..`.
///
/// # Errors
/// The directory cannot be read.
pub fn names(dir: BorrowedFd<'_>) -> Result<Vec<String>> {
    let mut found = Vec::new();
    each_name(dir, |name| found.push(name.to_owned()))?;
    Ok(found)
}

/// The addresses that are names in a directory.
///
/// # Errors
/// The directory cannot be read.
pub fn addresses(dir: BorrowedFd<'_>) -> Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    each_name(dir, |name| found.extend(name.parse::<IpAddr>().ok()))?;
    Ok(found)
}

fn each_name(dir: BorrowedFd<'_>, mut each: impl FnMut(&str)) -> Result<()> {
    fs::seek(dir, fs::SeekFrom::Start(0))?;
    let mut buffer = Vec::with_capacity(256 << 10);
    let mut iter = fs::RawDir::new(dir, buffer.spare_capacity_mut());
    while let Some(entry) = iter.next() {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..")) {
            each(name);
        }
    }
    Ok(())
}

/// The content of a file.
///
/// # Errors
/// The file cannot be opened or read; `EFBIG` for what no container can have written.
pub fn read(dir: BorrowedFd<'_>, name: &str) -> Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = fs::openat(dir, name, flags, Mode::empty())?;
    let mut content = vec![0; 512];
    let mut length = 0;
    loop {
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut content[length..]))?;
        length += count;
        // A regular file gives all that was asked for, except at its end.
        if length < content.len() {
            content.truncate(length);
            return Ok(content);
        }
        if length >= CONTENT_LIMIT {
            return Err(Errno::FBIG);
        }
        content.resize(content.len() * 2, 0);
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(file, bytes))? {
            0 => return Err(Errno::NOSPC),
            count => bytes = &bytes[count..],
        }
    }
    Ok(())
}

/// Makes the file `name` in `dir`; `EEXIST` if it is there already.
///
/// # Errors
/// The file cannot be made or written; nothing of it is left then. A crash can leave it empty.
pub fn create(dir: BorrowedFd<'_>, name: &str, content: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?;
    let written = write_all(&file, content.as_bytes());
    if written.is_err() {
        _ = fs::unlinkat(dir, name, AtFlags::empty());
    }
    written
}

/// As [`create`], through a file that has no name until it is whole: a crash leaves all of it or nothing.
///
/// # Errors
/// As [`create`]; `EOPNOTSUPP` or `EISDIR` where the file system knows no such files, `ENOENT` without the right to name
/// them.
pub fn create_whole(dir: BorrowedFd<'_>, name: &str, content: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = fs::openat(dir, ".", flags, Mode::RUSR | Mode::WUSR)?;
    write_all(&file, content.as_bytes())?;
    fs::linkat(&file, "", dir, name, AtFlags::EMPTY_PATH)
}

/// As [`create`], through the file `new` in the directory `beside`, so that a crash leaves all of it or nothing.
///
/// # Errors
/// As [`create`]; `EXDEV` if the directories are on different file systems.
pub fn create_beside(beside: BorrowedFd<'_>, new: &str, dir: BorrowedFd<'_>, name: &str, content: &str) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | HERE;
    let file = fs::openat(beside, new, flags, Mode::RUSR | Mode::WUSR)?;
    let moved = write_all(&file, content.as_bytes()).and_then(|()| {
        drop(file);
        move_to(beside, new, dir, name)
    });
    if moved.is_err() {
        _ = fs::unlinkat(beside, new, AtFlags::empty());
    }
    moved
}

fn move_to(beside: BorrowedFd<'_>, new: &str, dir: BorrowedFd<'_>, name: &str) -> Result<()> {
    match fs::renameat_with(beside, new, dir, name, RenameFlags::NOREPLACE) {
        // The file system knows no NOREPLACE; the lock keeps this safe.
        Err(Errno::INVAL | Errno::NOSYS) => match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => fs::renameat(beside, new, dir, name),
            Err(errno) => Err(errno),
        },
        other => other,
    }
}

/// Whether `dir`, which need not exist, could be made or written to.
///
/// # Errors
/// Why not.
pub fn creatable(dir: &Path) -> std::result::Result<(), Error> {
    let existing = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let allowed = fs::access(existing, Access::WRITE_OK | Access::EXEC_OK);
    allowed.map_err(|errno| failed(format_args!("write to {}", existing.display()), errno))
}
