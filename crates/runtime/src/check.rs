//! CHECK: each plugin in order, all given the result that ADD ended with. The first failure ends it, under its own code.

use cni::env::Command;
use cni::list::NetworkList;
use cni::{Error, Version, code};

use crate::attachment::Attachment;
use crate::chain::{Policy, Runtime};
use crate::invoke::Input;

impl Runtime {
    /// Asks whether `attachment` is as ADD left it.
    ///
    /// # Errors
    /// The version has no CHECK; the attachment is not known; the first plugin's failure as it is.
    pub fn check(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), Error> {
        if list.cni_version < Version::V0_4_0 {
            let text = format!("configuration version \"{}\" does not support the CHECK command", list.cni_version);
            return Err(Error::new(code::INCOMPATIBLE_VERSION, text));
        }
        if list.disable_check {
            return Ok(());
        }
        attachment.validate(&list.name)?;
        let _locks = self.lock(&attachment.container_id)?;
        let unreadable = |error: Error| error.context(format!("failed to get network {:?} cached result", list.name));
        let result = self.cache.read(&list.name, attachment).map_err(unreadable)?.and_then(|entry| entry.result);
        if result.is_none() && self.policy == Policy::Careful {
            let Attachment { container_id, ifname, .. } = attachment;
            let text = format!("container {container_id} has not joined network {:?} as {ifname}", list.name);
            return Err(Error::new(code::UNKNOWN_CONTAINER, text));
        }
        let result = result.map(|result| self.in_version_of(list, &result)).transpose().map_err(unreadable)?;
        for plugin in &list.plugins {
            self.call(
                Command::Check,
                list,
                plugin,
                &Input { prev_result: result.as_ref(), ..Input::attach(attachment) },
            )?;
        }
        Ok(())
    }
}
