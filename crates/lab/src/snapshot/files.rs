//! Sysctls under /proc/sys/net, and the files below directories with what is mounted there. Runs on a thread inside the namespaces.
//!
//! A file's value is its mode and contents. Left out: /run/netns (the lab's own), and the contents of files whose
//! purpose is to remember the last call (host-local's `last_reserved_ip.N`, our index beside its files). Sysctls are most
//! of the files of a snapshot, and snapshots most of the work of fault tests: each is opened from its directory and read once.

use super::Snapshot;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const SYSCTLS: &[&str] = &[
    "ipv4/conf",
    "ipv4/ip_forward",
    "ipv4/ip_nonlocal_bind",
    "ipv6/conf",
    "ipv6/bindv6only",
    "bridge",
    "core/somaxconn",
];

pub(super) fn read(trees: &[&Path], snapshot: &mut Snapshot) {
    for name in SYSCTLS {
        sysctls(&Path::new("/proc/sys/net").join(name), snapshot);
    }
    for tree in trees {
        files(tree, snapshot);
        mounts(tree, snapshot);
    }
}

/// How often something is mounted on what is below a directory; a pin that nobody can unlink any more is seen only here.
fn mounts(tree: &Path, snapshot: &mut Snapshot) {
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
    let mut times = BTreeMap::<&Path, u32>::new();
    for point in points.filter(|point| point.starts_with(tree) && !point.starts_with("/run/netns")) {
        *times.entry(point).or_default() += 1;
    }
    for (point, times) in times {
        snapshot.insert(format!("mount {}", point.display()), times.to_string());
    }
}

fn sysctls(path: &Path, snapshot: &mut Snapshot) {
    let Ok(entries) = std::fs::read_dir(path) else {
        return insert_sysctl(path, std::fs::read_to_string(path).ok(), snapshot);
    };
    let Ok(directory) = File::open(path) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sysctls(&entry.path(), snapshot);
        } else {
            insert_sysctl(&entry.path(), value(&directory, entry.file_name().as_bytes()), snapshot);
        }
    }
}

/// What may not be read (a `stable_secret` that is not set) is no state that anybody can compare.
fn insert_sysctl(path: &Path, value: Option<String>, snapshot: &mut Snapshot) {
    if let Some(value) = value {
        snapshot.insert(format!("sysctl {}", path.display()), value.trim());
    }
}

/// What a file of an open directory says.
fn value(directory: &File, name: &[u8]) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name ends in NUL and lives through the call; the descriptor that is returned is owned by nobody else.
    let mut file = unsafe {
        let descriptor = libc::openat(directory.as_raw_fd(), name.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if descriptor < 0 {
            return None;
        }
        File::from_raw_fd(descriptor)
    };
    // More than any of them says; the kernel gives it at once.
    let mut bytes = [0; 512];
    let length = file.read(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

fn files(path: &Path, snapshot: &mut Snapshot) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    if path == Path::new("/run/netns") {
        return;
    }
    let mode = format!("{:o}", metadata.permissions().mode());
    let key = format!("file {}", path.display());
    if metadata.is_dir() {
        snapshot.insert(key, mode);
        children(path).for_each(|child| files(&child, snapshot));
    } else if remembers(path) {
        snapshot.insert(key, mode);
    } else if metadata.is_symlink() {
        let target = std::fs::read_link(path).map(|target| target.display().to_string());
        snapshot.insert(key, format!("-> {}", target.unwrap_or_default()));
    } else if !metadata.is_file() {
        snapshot.insert(key, mode);
    } else {
        let contents = std::fs::read(path).unwrap_or_default();
        snapshot.insert(key, format!("{mode} {:?}", String::from_utf8_lossy(&contents)));
    }
}

fn remembers(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("last_reserved_ip.") || path.components().any(|part| part.as_os_str() == ".netferry")
}

fn children(directory: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}
