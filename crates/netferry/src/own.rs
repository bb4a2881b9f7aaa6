//! Our own plugins where the node has none: netferry is all of them, by name.
//!
//! Plugins are found in directories, by the runtime and by each other. So a private directory of symbolic links to this
//! executable, one per plugin, stands at the end of the search path for the length of a call. What a killed call leaves
//! is removed by the next.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use cni::list::NetworkList;
use cni::{Error, code, json};
use runtime::HeldDirectory;
use serde_json::Value;

/// A directory of our plugins, if `list` needs one of them that `path` lacks.
///
/// # Errors
/// Code 5: it cannot be made.
pub fn lend_if_needed(list: &NetworkList, path: &[PathBuf]) -> Result<Option<HeldDirectory>, Error> {
    let missing = |kind: &str| plugins::NAMES.contains(&kind) && !path.iter().any(|dir| dir.join(kind).is_file());
    if !list.plugins.iter().flat_map(kinds).any(missing) {
        return Ok(None);
    }
    lend().map(Some).map_err(|error| Error::new(code::IO, format!("make a directory of plugins: {error}")))
}

fn lend() -> io::Result<HeldDirectory> {
    let state = state_directory();
    make_private(&state)?;
    let parent = state.join("plugins");
    for abandoned in HeldDirectory::abandoned(&parent)? {
        abandoned.remove()?;
    }
    let held = HeldDirectory::create(&parent)?;
    link_into(held.path())?;
    Ok(held)
}

/// Removes what [`lend_if_needed`] made.
///
/// # Errors
/// Whatever the system said.
pub fn take_back(lent: HeldDirectory) -> io::Result<()> {
    lent.remove()?;
    // Empty unless somebody else is at work.
    let _ = fs::remove_dir(state_directory());
    Ok(())
}

/// Makes one symbolic link per plugin in `directory`.
///
/// # Errors
/// Whatever the system said.
pub fn link_into(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let executable = std::env::current_exe()?;
    plugins::NAMES.iter().try_for_each(|name| symlink(&executable, directory.join(name)))
}

/// Where netferry keeps what must not survive a reboot.
pub fn state_directory() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return "/run/netferry".into();
    }
    let user = || std::env::temp_dir().join(format!("netferry-{}", rustix::process::geteuid().as_raw()));
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).unwrap_or_else(user).join("netferry")
}

/// The same for the runs of those who are not root on this host: nothing in it concerns the host.
pub fn rootless_state_directory() -> PathBuf {
    let mut directory = state_directory();
    directory.set_file_name("netferry-rootless");
    directory
}

/// Makes the state directory, which in `/tmp` somebody else may have made before us.
///
/// # Errors
/// It cannot be made, or belongs to another user.
pub fn make_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let found = fs::symlink_metadata(directory)?;
    if found.is_dir() && found.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::other(format!("{} is not a directory of this user", directory.display())))
}

/// The types of plugins that a plugin's configuration names: its own and that of its address management.
fn kinds(plugin: &Value) -> Vec<&str> {
    let object = plugin.as_object();
    let ipam = object.and_then(|object| json::get_ci(object, "ipam")).and_then(Value::as_object);
    [object, ipam].into_iter().flatten().filter_map(|object| json::get_ci(object, "type")?.as_str()).collect()
}
