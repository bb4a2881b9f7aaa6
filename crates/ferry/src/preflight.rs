//! What would be in the way of carrying a device, found before anything is touched.
//!
//! The kernel moves a device first and renames it then: a name that it refuses leaves the device where it was to go,
//! under its old name, down and without addresses. So the names are asked for first, and with them all else that is
//! known to end a carry half way, or to cut off more than the device. Nothing is reserved: what another does
//! between this and the move is the move's to find.

use std::fmt;

use kernel::netlink::link::{self, Link, flags};
use kernel::netlink::route::{self, Filter, Route, kind, table};
use kernel::{Error, Result, Socket};
use serde::Serialize;

use crate::capture::bare;
use crate::device::Identity;
use crate::sysctl::Sysctl;
use crate::{Device, name};

/// `ENODEV` of `errno(3)`.
const ENODEV: i32 = 19;
/// Kinds that stay where they are made, for kernels that do not tell (before 6.15).
const IMMUTABLE: [&str; 9] = ["amt", "batadv", "bond", "bridge", "hsr", "openvswitch", "ppp", "team", "vrf"];

/// `RTNH_F_DEAD` and `RTNH_F_LINKDOWN`: the device is down, or has no carrier.
const DEAD: u32 = 1;
/// See [`DEAD`].
const LINKDOWN: u32 = 16;

/// Where a device is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage<'a> {
    /// The name wanted there, or a template (`eth%d`).
    pub name: &'a str,
    /// It is the namespace that the device is in.
    pub is_home: bool,
    /// A device that comes there has IPv6 disabled (`net.ipv6.conf.default.disable_ipv6`).
    pub ipv6_disabled: bool,
    /// The device may be the one by which this host reaches others.
    pub allow_uplink: bool,
    /// The links that are there.
    pub there: &'a [Link],
    /// Names that devices which go there too will have.
    pub reserved: &'a [String],
}

/// What carrying a device would come upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// The name that it would get: of a template, the one that is free now.
    pub name: String,
    /// What is in the way.
    pub obstacles: Vec<Obstacle>,
}

/// A reason not to carry a device. It prints itself with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Obstacle {
    /// The kernel takes no such name.
    InvalidName {
        /// What is wanted.
        name: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// Every number of the template is taken in the target.
    FullTemplate {
        /// What is wanted.
        name: String,
    },
    /// A device in the target has the name, as its name or as an alternative one.
    NameTaken {
        /// What is wanted.
        name: String,
        /// That device.
        by: String,
    },
    /// The device has the name already, as an alternative one.
    OwnAltname {
        /// What is wanted.
        name: String,
    },
    /// A device in the target has one of the alternative names, which go along.
    AltnameTaken {
        /// The alternative name.
        name: String,
        /// That device.
        by: String,
    },
    /// The target is the namespace that the device is in.
    SameNamespace,
    /// The kernel keeps the device in its namespace.
    Immutable {
        /// Its kind, `loopback`, or `device` if it has none.
        what: String,
    },
    /// The device is the way out of this host.
    Uplink {
        /// A default route of the table `main` through it, to which none by another device is preferred.
        route: String,
    },
    /// The device is a port, and a move takes it out.
    Master {
        /// The bridge, bond or VRF.
        name: String,
    },
    /// Another device is made upon it, and would stay behind.
    Child {
        /// That device.
        name: String,
    },
    /// It was asked for twice.
    Twice,
    /// The device would bring IPv6 addresses where it has no IPv6.
    Ipv6Disabled {
        /// How many of them.
        addresses: usize,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName { name, reason } => {
                write!(f, "no device can be named {name:?}: {reason}; choose another name")
            }
            Self::FullTemplate { name } => write!(f, "every name of {name} is taken in the target; choose another"),
            Self::NameTaken { name, by } if name == by => {
                write!(f, "the name {name} is taken in the target; choose another")
            }
            Self::NameTaken { name, by } => {
                write!(f, "the name {name} is taken in the target, as an alternative name of {by}; choose another")
            }
            Self::OwnAltname { name } => {
                write!(f, "the device has {name} as an alternative name; choose another name, or delete that one")
            }
            Self::AltnameTaken { name, by } => {
                write!(f, "the alternative name {name} goes along, and {by} has it in the target; delete either")
            }
            Self::SameNamespace => f.write_str("the target is the namespace that the device is in; choose another"),
            Self::Immutable { what } => {
                write!(f, "the kernel moves no {what} to another namespace; carry another device")
            }
            Self::Uplink { route } => {
                write!(
                    f,
                    "this host reaches others through the device ({route}); allow the uplink if it may be cut off"
                )
            }
            Self::Master { name } => write!(f, "the device is a port of {name}; take it out (nomaster) first"),
            Self::Child { name } => write!(f, "{name} is made upon the device and would stay behind; delete it first"),
            Self::Twice => f.write_str("the device was asked for twice; ask once"),
            Self::Ipv6Disabled { addresses } => write!(
                f,
                "IPv6 is disabled in the target (net.ipv6.conf.default.disable_ipv6), and the device has IPv6 addresses \
                 ({addresses}); enable it there, or carry no addresses"
            ),
        }
    }
}

/// Looks for what is in the way of carrying `device`, as it was captured, from the namespace of `home`, and changes
/// nothing.
///
/// # Errors
/// `ENODEV` if the device is not in `home` any more; the kernel's words otherwise.
pub fn preflight(home: &mut Socket, device: &Device, passage: &Passage<'_>) -> Result<Preflight> {
    let mut found = Preflight { name: passage.name.to_owned(), obstacles: Vec::new() };
    if passage.is_home {
        found.obstacles.push(Obstacle::SameNamespace);
    }
    let invalid = name::check(passage.name).err();
    if let Some(reason) = invalid {
        let (name, reason) = (passage.name.to_owned(), reason.to_string());
        found.obstacles.push(Obstacle::InvalidName { name, reason });
    } else if device.identity.altnames.iter().any(|altname| altname == passage.name) {
        found.obstacles.push(Obstacle::OwnAltname { name: passage.name.to_owned() });
    }
    // At home, the device itself has every name.
    if !passage.is_home {
        let taken = Taken { links: passage.there, reserved: passage.reserved };
        if invalid.is_none() {
            new_name(&taken, device, passage.name, &mut found);
        }
        altnames(&taken, device, &mut found);
        ipv6(device, passage, &mut found);
    }
    found.obstacles.extend(held_back(home, device, passage.allow_uplink)?);
    Ok(found)
}

/// The names that are taken in the target.
struct Taken<'a> {
    links: &'a [Link],
    reserved: &'a [String],
}

impl Taken<'_> {
    /// The device that has `name`, as its name or as an alternative one.
    fn by(&self, name: &str) -> Option<&str> {
        let has = |link: &&Link| link.name == name || link.altnames.iter().any(|altname| altname == name);
        let link = self.links.iter().find(has).map(|link| link.name.as_str());
        link.or_else(|| self.reserved.iter().find(|reserved| *reserved == name).map(String::as_str))
    }
}

/// Whether the name is free in the target, and which one a template becomes: the kernel is given that, since it completes
/// a template twice where the device's name at home is taken too.
fn new_name(taken: &Taken<'_>, device: &Device, wanted: &str, found: &mut Preflight) {
    if name::is_template(wanted) {
        let is_own = |name: &str| device.identity.altnames.iter().any(|altname| altname == name);
        return match name::complete(wanted, |name| taken.by(name).is_some() || is_own(name)) {
            Some(name) => found.name = name,
            None => found.obstacles.push(Obstacle::FullTemplate { name: wanted.to_owned() }),
        };
    }
    let obstacle = |by: &str| Obstacle::NameTaken { name: wanted.to_owned(), by: by.to_owned() };
    found.obstacles.extend(taken.by(wanted).map(obstacle));
}

fn altnames(taken: &Taken<'_>, device: &Device, found: &mut Preflight) {
    for altname in &device.identity.altnames {
        let obstacle = |by: &str| Obstacle::AltnameTaken { name: altname.clone(), by: by.to_owned() };
        found.obstacles.extend(taken.by(altname).map(obstacle));
    }
}

fn ipv6(device: &Device, passage: &Passage<'_>, found: &mut Preflight) {
    let addresses = device.addresses.iter().filter(|address| address.local.addr().is_ipv6()).count();
    // A setting of the device's own goes along, and is there before the addresses.
    let enables =
        |sysctl: &Sysctl| (&*sysctl.section, &*sysctl.key, &*sysctl.value) == ("ipv6/conf", "disable_ipv6", "0");
    if passage.ipv6_disabled && addresses > 0 && !device.sysctls.iter().any(enables) {
        found.obstacles.push(Obstacle::Ipv6Disabled { addresses });
    }
}

/// The same for a device of which nothing has been captured, by its name alone: what of it does not depend on addresses. It is
/// cheap, for whoever will ask again when it counts.
///
/// # Errors
/// As those of [`preflight`], and `ENODEV` if there is no such device.
pub fn foresee(home: &mut Socket, device: &str, passage: &Passage<'_>) -> Result<Preflight> {
    let missing = || Error::new(format_args!("find device {device}"), ENODEV);
    let link = link::get(home, device)?.ok_or_else(missing)?;
    let device = bare(&link, &link::list(home, None)?);
    preflight(home, &device, passage)
}

/// What holds the device where it is, wherever it is to go.
///
/// # Errors
/// `ENODEV` if the device is not in `home` any more; the kernel's words otherwise.
pub fn held_back(home: &mut Socket, device: &Device, allow_uplink: bool) -> Result<Vec<Obstacle>> {
    let Identity { name, index, .. } = &device.identity;
    let missing = || Error::new(format_args!("find device {name}"), ENODEV);
    let link = link::get_by_index(home, *index)?.ok_or_else(missing)?;
    let mut obstacles = Vec::from_iter(immutable(&link).map(|what| Obstacle::Immutable { what }));
    if link.is_up() && !allow_uplink {
        obstacles.extend(default_route(home, *index)?.map(|route| Obstacle::Uplink { route }));
    }
    obstacles.extend(device.settings.master.clone().map(|name| Obstacle::Master { name }));
    obstacles.extend(device.children.iter().map(|name| Obstacle::Child { name: name.clone() }));
    Ok(obstacles)
}

/// What the kernel calls a device that it keeps in its namespace.
fn immutable(link: &Link) -> Option<String> {
    let (kind, is_loopback) = (link.kind.name(), link.flags & flags::LOOPBACK != 0);
    let known = is_loopback || IMMUTABLE.contains(&kind);
    link.netns_immutable.unwrap_or(known).then(|| match kind {
        _ if is_loopback => "loopback".to_owned(),
        "" => "device".to_owned(),
        kind => kind.to_owned(),
    })
}

/// The default route of the table `main` out of a device, of the family whose preferred one that is, whoever made it.
fn default_route(home: &mut Socket, index: u32) -> Result<Option<String>> {
    for ipv6 in [false, true] {
        let own = defaults(home, ipv6, Some(index))?;
        let Some(route) = own.iter().min_by_key(|route| metric(route)) else { continue };
        // Most devices have none, and are done with.
        if !defaults(home, ipv6, None)?.iter().any(|other| is_sound(other) && metric(other) < metric(route)) {
            let gateway = route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
            return Ok(Some(format!("{}{gateway}", if ipv6 { "::/0" } else { "default" })));
        }
    }
    Ok(None)
}

/// The default routes of the table `main`, out of any device or the one of `index`.
fn defaults(home: &mut Socket, ipv6: bool, index: Option<u32>) -> Result<Vec<Route>> {
    let mut routes = route::list(home, ipv6, Filter { table: Some(table::MAIN), index })?;
    routes.retain(|route| route.dst.prefix_len() == 0 && route.kind == kind::UNICAST);
    Ok(routes)
}

/// What IPv4 leaves unsaid is 0, the best.
fn metric(route: &Route) -> u32 {
    route.metric.unwrap_or_default()
}

/// True for a route that every packet may take, and by which it gets somewhere now.
fn is_sound(route: &Route) -> bool {
    let works = |flags: u32| flags & (DEAD | LINKDOWN) == 0;
    let paths = &route.paths;
    let has_path = if paths.is_empty() { works(route.flags) } else { paths.iter().any(|path| works(path.flags)) };
    has_path && route.tos == 0 && route.from.is_none()
}
