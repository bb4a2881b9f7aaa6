//! `netferry status`: say whether a network can be joined.

use clap::Args;
use cni::Error;
use serde_json::json;

use crate::options::Options;
use crate::output::Output;

/// The subcommand.
#[derive(Args)]
pub struct Status {
    /// Name of the network
    network: String,
    /// Not used; cnitool wants it
    netns: Option<String>,
}

impl Status {
    /// Checks that every plugin is there, speaks the version, and says that it is ready.
    ///
    /// # Errors
    /// What is missing, or the first plugin's that is not ready.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let list = options.load(&self.network)?;
        let ready = options.runtime(&list)?;
        let capabilities = ready.runtime.validate(&list)?;
        ready.runtime.status(&list)?;
        let json = json!({ "network": list.name, "cniVersion": list.cni_version.as_str(), "ready": true, "capabilities": capabilities });
        let text = format!("network {} (CNI {}) can be joined", list.name, list.cni_version);
        Ok(Output { text, json: Some(json), ..Output::default() })
    }
}
