//! An attachment: one container joined to one network under one interface name.
//!
//! The three names are the key of everything that is remembered about it. They come from the command line and from
//! files, and become parts of paths, so nothing is built from them before [`Attachment::validate`] has agreed.

use cni::{Error, env};
use serde_json::{Map, Value};

/// Capability arguments by capability name: what the specification calls `runtimeConfig` before it is filtered.
pub type Capabilities = Map<String, Value>;

/// Whom to attach, and with which arguments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attachment {
    /// Container ID, `CNI_CONTAINERID`.
    pub container_id: String,
    /// Path of the network namespace, `CNI_NETNS`; empty where it is gone (DEL).
    pub netns: String,
    /// Name of the interface inside, `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS` in their order.
    pub args: Vec<(String, String)>,
    /// Capability arguments; each plugin gets those that it declares.
    pub capabilities: Capabilities,
}

impl Attachment {
    /// An attachment without arguments.
    pub fn new(container_id: impl Into<String>, netns: impl Into<String>, ifname: impl Into<String>) -> Self {
        Self { container_id: container_id.into(), netns: netns.into(), ifname: ifname.into(), ..Self::default() }
    }

    /// Checks container ID, network name and interface name, in the order in which libcni does.
    ///
    /// # Errors
    /// Code 3 for an empty container ID, else code 4 or 7 with the offending name.
    pub fn validate(&self, network: &str) -> Result<(), Error> {
        if self.container_id.is_empty() {
            return Err(Error::new(cni::code::UNKNOWN_CONTAINER, "missing containerID"));
        }
        env::validate_container_id(&self.container_id)?;
        env::validate_network_name(network)?;
        env::validate_ifname(&self.ifname)
    }

    /// `CNI_ARGS` as the environment variable carries them.
    pub fn args_text(&self) -> String {
        let pairs: Vec<String> = self.args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(";")
    }
}
