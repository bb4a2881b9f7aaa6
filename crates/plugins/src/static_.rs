//! `static`: address management, see [`ipam::static_`].

use cni::{Error, Request, Version};
use ipam::static_;

use crate::planned::Planned;
use crate::run::Plugin;

/// The plugin.
pub const PLUGIN: Plugin = Plugin {
    name: "static",
    versions: &Version::ALL,
    add: static_::add,
    check: static_::check,
    del: static_::del,
    gc: static_::gc,
    status: static_::status,
    plan,
};

fn plan(request: &Request) -> Result<Planned, Error> {
    Ok(Planned { lines: Vec::new(), result: static_::preview(request)? })
}
