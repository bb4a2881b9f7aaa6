//! `netferry add`: join a network namespace to a network.

use clap::Args;
use cni::Error;

use crate::attach::Target;
use crate::options::Options;
use crate::output::{self, Output};

/// The subcommand.
#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    target: Target,
}

impl Add {
    /// Joins; shows the result.
    ///
    /// # Errors
    /// Nothing is attached then.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let list = options.load(&self.target.network)?;
        let ready = options.runtime(&list)?;
        let result = ready.runtime.add(&list, &self.target.attachment()?)?;
        Ok(Output { text: output::result(&result, list.cni_version)?, json: Some(result), ..Output::default() })
    }
}
