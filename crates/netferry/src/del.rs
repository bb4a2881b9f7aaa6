//! `netferry del`: take a network namespace off a network.
//!
//! What ADD recorded decides: its configuration and its arguments, even if the network's file has changed or gone since.

use clap::Args;
use cni::Error;
use cni::list::NetworkList;
use runtime::Attachment;

use crate::attach::Target;
use crate::options::Options;
use crate::output::Output;

/// The subcommand.
#[derive(Args)]
pub struct Del {
    #[command(flatten)]
    target: Target,
}

impl Del {
    /// Takes off; one that is off already is no error.
    ///
    /// # Errors
    /// What could not be removed; it stays recorded.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let given = self.target.attachment()?;
        let entry = options.cache().read(&self.target.network, &given).ok().flatten();
        let recorded = entry.and_then(|entry| Some((NetworkList::parse(&entry.config).ok()?, entry.attachment)));
        let (list, attachment) = match recorded {
            // An entry of a CRI runtime may lack the arguments, which are then taken as given.
            Some((list, entry)) => (list, Attachment { netns: given.netns, ..entry }),
            None => (options.load(&self.target.network)?, given),
        };
        options.runtime(&list)?.runtime.del(&list, &attachment)?;
        Ok(Output::default())
    }
}
