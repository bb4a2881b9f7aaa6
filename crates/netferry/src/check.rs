//! `netferry check`: compare an attachment with what it should be.

use clap::Args;
use cni::Error;
use cni::list::NetworkList;

use crate::attach::Target;
use crate::options::Options;
use crate::output::Output;

/// The subcommand.
#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    target: Target,
}

impl Check {
    /// Compares, by the configuration and the arguments that ADD recorded.
    ///
    /// # Errors
    /// The first plugin's that finds a difference; the attachment is not known.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let attachment = self.target.attachment()?;
        let entry = options.cache().read(&self.target.network, &attachment).ok().flatten();
        let (list, attachment) = match entry.map(|entry| (NetworkList::parse(&entry.config), entry.attachment)) {
            Some((Ok(list), recorded)) => (list, recorded),
            _ => (options.load(&self.target.network)?, attachment),
        };
        options.runtime(&list)?.runtime.check(&list, &attachment)?;
        Ok(Output::default())
    }
}
