//! Address management by another plugin. One of our own, found in `CNI_PATH` as the very file that is running, is
//! called in-process; any other is executed, as the specification says.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;

use cni::{AddResult, Error, Request, delegate, exec};

use crate::run::Plugin;
use crate::{host_local, static_};

/// Who manages the addresses of a network.
pub enum Ipam<'a> {
    /// Nobody: the network has layer 2 only.
    None,
    /// One of our own plugins.
    Own(&'a Request, &'static Plugin),
    /// Another program.
    Foreign(&'a Request),
}

impl<'a> Ipam<'a> {
    /// The address management of the network that `request` is about.
    pub fn of(request: &'a Request) -> Self {
        match request.conf.ipam_type.as_str() {
            "" => Self::None,
            name => match [&host_local::PLUGIN, &static_::PLUGIN].into_iter().find(|plugin| plugin.name == name) {
                Some(plugin) if is_this_program(request, name) => Self::Own(request, plugin),
                _ => Self::Foreign(request),
            },
        }
    }

    /// ADD.
    pub fn add(&self) -> Result<AddResult, Error> {
        match self {
            Self::None => Ok(AddResult::default()),
            Self::Own(request, plugin) => (plugin.add)(request),
            Self::Foreign(request) => delegate::add(&request.conf.ipam_type, request),
        }
    }

    /// DEL after an ADD of its own that failed, as the specification asks; our own plugins have cleaned up, and an
    /// address that a second ADD was refused belongs to the first.
    pub fn after_failed_add(&self, error: Error) -> Error {
        if matches!(self, Self::Foreign(_)) { self.release_after(error) } else { error }
    }

    /// DEL after something else failed; what goes wrong with that is said on stderr, the failure itself is returned.
    pub fn release_after(&self, error: Error) -> Error {
        if let Err(error) = self.del() {
            eprintln!("netferry: clean-up after a failed ADD: {error}");
        }
        error
    }

    /// What ADD would give, without taking it.
    pub fn preview(&self) -> Result<AddResult, Error> {
        match self {
            Self::None => Ok(AddResult::default()),
            Self::Own(request, plugin) => Ok((plugin.plan)(request)?.result),
            Self::Foreign(request) => {
                let name = &request.conf.ipam_type;
                Err(Error::internal(format!("cannot plan: the addresses come from {name}, which must be asked by ADD")))
            }
        }
    }

    /// CHECK.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Own(request, plugin) => (plugin.check)(request),
            Self::Foreign(request) => delegate::check(&request.conf.ipam_type, request),
        }
    }

    /// DEL.
    pub fn del(&self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Own(request, plugin) => (plugin.del)(request),
            Self::Foreign(request) => delegate::del(&request.conf.ipam_type, request),
        }
    }

    /// GC.
    pub fn gc(&self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Own(request, plugin) => (plugin.gc)(request),
            Self::Foreign(request) => delegate::gc(&request.conf.ipam_type, request),
        }
    }

    /// STATUS.
    pub fn status(&self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Own(request, plugin) => (plugin.status)(request),
            Self::Foreign(request) => delegate::status(&request.conf.ipam_type, request),
        }
    }

    /// The addresses that the attachment holds, where that can be known without ADD's memory.
    pub fn owned(&self) -> Vec<IpAddr> {
        match self {
            Self::Own(request, plugin) if plugin.name == host_local::PLUGIN.name => {
                ipam::host_local::owned(request).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The attachments that hold addresses, as container ID and interface name, where that can be known.
    pub fn attachments(&self) -> Vec<(String, String)> {
        match self {
            Self::Own(request, plugin) if plugin.name == host_local::PLUGIN.name => {
                ipam::host_local::attachments(request).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}

/// True if the plugin `name` in `CNI_PATH` is the file that is running now, by whatever name it was called.
fn is_this_program(request: &Request, name: &str) -> bool {
    let Ok(found) = exec::find(name, &request.env.path) else { return false };
    match (std::fs::metadata(found), std::fs::metadata("/proc/self/exe")) {
        (Ok(found), Ok(running)) => found.dev() == running.dev() && found.ino() == running.ino(),
        _ => false,
    }
}
