//! `host-local`: address management, see [`ipam::host_local`].

use cni::{Error, Request, Version};
use ipam::host_local;

use crate::planned::Planned;
use crate::run::Plugin;

/// The plugin.
pub const PLUGIN: Plugin = Plugin {
    name: "host-local",
    versions: &Version::ALL,
    add: host_local::add,
    check: host_local::check,
    del: host_local::del,
    gc: host_local::gc,
    status: host_local::status,
    plan,
};

fn plan(request: &Request) -> Result<Planned, Error> {
    Ok(Planned { lines: Vec::new(), result: host_local::preview(request)? })
}
