//! `netferry oci`: network devices for containers of any OCI runtime.

mod bundle;
mod explain;
mod hook;

use clap::{Args, Subcommand};
use cni::Error;

use crate::options::Options;
use crate::output::Output;

/// The subcommand.
#[derive(Args)]
pub struct Oci {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// As a hook of a container: carry its devices into it, or bring them home
    Hook(hook::Hook),
    /// Say what would become of the devices of a container, and change nothing
    Explain(explain::Explain),
}

impl Oci {
    /// Does it.
    ///
    /// # Errors
    /// Those of the subcommand.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        match &self.command {
            Command::Hook(hook) => hook.execute(options),
            Command::Explain(explain) => explain.execute(options),
        }
    }
}
