//! DEL: each plugin in reverse order, all given the result that ADD ended with; then the attachment is forgotten.
//!
//! The first failure ends it and keeps the cache entry, so that DEL can be repeated: a plugin further up might otherwise
//! be told to release an address that is in use again. An unreadable cache entry is no reason to keep an attachment.

use cni::env::Command;
use cni::list::NetworkList;
use cni::{Error, Version};
use serde_json::Value;

use crate::attachment::Attachment;
use crate::chain::{Runtime, plugin_failed};
use crate::invoke::Input;

impl Runtime {
    /// Takes `attachment` off the network. One that is gone already is taken off.
    ///
    /// # Errors
    /// The first plugin's that failed, under its code; the attachment is still remembered then.
    pub fn del(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), Error> {
        attachment.validate(&list.name)?;
        let _locks = self.lock(&attachment.container_id)?;
        let result = self.cache.read(&list.name, attachment).ok().flatten().and_then(|entry| entry.result);
        self.del_locked(list, attachment, result.as_ref())
    }

    pub(crate) fn del_locked(&self, list: &NetworkList, of: &Attachment, result: Option<&Value>) -> Result<(), Error> {
        // Before 0.4.0 DEL had no prevResult. One that cannot be converted would only make plugins fail.
        let result = result.filter(|_| list.cni_version >= Version::V0_4_0);
        let result = result.and_then(|result| self.in_version_of(list, result).ok());
        for plugin in list.plugins.iter().rev() {
            let input = Input { prev_result: result.as_ref(), ..Input::attach(of) };
            let done = self.call(Command::Del, list, plugin, &input);
            done.map_err(|error| error.context(plugin_failed(plugin, "delete")))?;
        }
        self.cache.remove(&list.name, of)
    }
}
