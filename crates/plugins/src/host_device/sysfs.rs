//! Devices on a bus, as sysfs shows them, and the network devices that belong to them, as rtnetlink does.
//!
//! A mount of sysfs shows the network devices of the namespace of whoever mounted it, which need not be the socket's.
//! So a name that is read there is a hint: the link must say itself whose it is (`IFLA_PARENT_DEV_NAME`), and where
//! sysfs has no hint, all links are asked. A link of a kernel that does not tell (before 5.14) must have the index and
//! the hardware address that sysfs has. A PCI device may have its network devices through a child, of virtio.
//! See `Documentation/ABI/testing/sysfs-class-net` of the kernel.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use kernel::netlink::link::{self, Link};
use kernel::{Result, Socket};

/// The devices of a bus: a directory for each.
pub const PCI: &str = "/sys/bus/pci/devices";
/// As [`PCI`]: functions of a device that the kernel manages apart, such as the subfunctions of a NIC.
pub const AUXILIARY: &str = "/sys/bus/auxiliary/devices";

/// A device that network devices may belong to.
struct Parent {
    directory: PathBuf,
    bus: Option<String>,
    name: String,
}

impl Parent {
    fn at(directory: &Path) -> Self {
        let bus = fs::read_link(directory.join("subsystem")).ok().filter(|target| {
            // A device of a class has the same link to another place, and no bus.
            target.parent().and_then(Path::file_name) == Some(OsStr::new("bus"))
        });
        let name = directory.file_name().map(text).unwrap_or_default();
        Self { directory: directory.to_owned(), bus: bus.as_deref().and_then(Path::file_name).map(text), name }
    }

    /// The network devices that sysfs shows.
    fn hints(&self) -> Vec<String> {
        names(&self.directory.join("net"))
    }

    /// True if the link says that it belongs to the device.
    fn has(&self, link: &Link) -> bool {
        link.parent_device.as_deref() == Some(self.name.as_str()) && link.parent_bus == self.bus
    }

    /// True if it belongs to the device by its own word, or by that of sysfs where it says nothing.
    fn seems_to_have(&self, link: &Link) -> bool {
        let value = |attribute: &str| {
            let path = self.directory.join("net").join(&link.name).join(attribute);
            fs::read_to_string(path).map(|value| value.trim_end().to_owned()).ok()
        };
        match link.parent_device {
            Some(_) => self.has(link),
            None => {
                value("ifindex").is_some_and(|index| index == link.index.to_string())
                    && value("address") == link.mac.map(|mac| mac.to_string())
            }
        }
    }
}

/// The driver of the device at `directory`, if one is bound to it.
pub fn driver(directory: &Path) -> Option<String> {
    fs::read_link(directory.join("driver")).ok()?.file_name().map(text)
}

/// The network devices in the socket's namespace that belong to the device at `directory`.
///
/// # Errors
/// The kernel's words.
pub fn links(socket: &mut Socket, directory: &Path) -> Result<Vec<Link>> {
    let children = names(directory).into_iter().filter(|name| name.starts_with("virtio"));
    let mut parents = vec![Parent::at(directory)];
    parents.extend(children.map(|name| Parent::at(&directory.join(name))));
    let mut found = Vec::new();
    for parent in &parents {
        for name in parent.hints() {
            found.extend(link::get(socket, &name)?.filter(|link| link.name == name && parent.seems_to_have(link)));
        }
    }
    if found.is_empty() {
        found = link::list(socket, None)?;
        found.retain(|link| parents.iter().any(|parent| parent.has(link)));
    }
    Ok(found)
}

/// The network device whose own directory is `path`; `None` if `path` is no such directory, or the link is another.
///
/// # Errors
/// The kernel's words.
pub fn link_at(socket: &mut Socket, path: &Path) -> Result<Option<Link>> {
    let class = path.parent().filter(|class| class.file_name() == Some(OsStr::new("net")));
    let (Some(device), Some(name)) = (class.and_then(Path::parent), path.file_name().map(text)) else {
        return Ok(None);
    };
    let is_it = |link: &Link| match device.file_name() {
        Some(virtual_) if virtual_ == "virtual" => link.parent_device.is_none(),
        _ => Parent::at(device).seems_to_have(link),
    };
    Ok(link::get(socket, &name)?.filter(|link| link.name == name && is_it(link)))
}

/// The names in a directory, sorted; none if it is none.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| text(&entry.file_name())).collect();
    names.sort();
    names
}

fn text(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}
