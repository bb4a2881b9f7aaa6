//! GC: what the cache remembers and nobody needs is deleted; then every plugin is told what is valid and cleans up.
//!
//! No valid list at all (`None`, what `cnitool` has) means that nothing in the cache is valid, but says nothing to the
//! plugins: the key is absent then. No failure stops it; all of them are reported.

use cni::config::Attachment as Valid;
use cni::env::Command;
use cni::list::NetworkList;
use cni::{Error, Version};

use crate::chain::{Runtime, text};
use crate::invoke::Input;

impl Runtime {
    /// Removes what belongs to the network and to none of `valid`.
    ///
    /// # Errors
    /// Every failure, one line each, under the code of the first.
    pub fn gc(&self, list: &NetworkList, valid: Option<&[Valid]>) -> Result<(), Error> {
        if list.disable_gc {
            return Ok(());
        }
        let _lock = self.lock_everybody()?;
        let mut errors = self.delete_stale(list, valid.unwrap_or_default());
        if list.cni_version >= Version::V1_1_0 {
            let input = Input { valid, ..Input::default() };
            for plugin in &list.plugins {
                if let Err(error) = self.call(Command::Gc, list, plugin, &input) {
                    errors.push(error.context(format!("failed to GC plugin {}", text(plugin, "type"))));
                }
            }
        }
        joined(errors)
    }

    fn delete_stale(&self, list: &NetworkList, valid: &[Valid]) -> Vec<Error> {
        let entries = match self.cache.list() {
            Ok(entries) => entries,
            Err(error) => return vec![error],
        };
        let mut errors = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.network == list.name) {
            let attachment = &entry.attachment;
            let is_it = |one: &&Valid| one.container_id == attachment.container_id && one.ifname == attachment.ifname;
            if valid.iter().find(is_it).is_some() {
                continue;
            }
            let recorded = NetworkList::parse(&entry.config);
            let deleted = self.del_locked(recorded.as_ref().unwrap_or(list), attachment, entry.result.as_ref());
            let which = format!("{} {}", attachment.container_id, attachment.ifname);
            errors
                .extend(deleted.err().map(|error| error.context(format!("failed to delete stale attachment {which}"))));
        }
        errors
    }
}

fn joined(errors: Vec<Error>) -> Result<(), Error> {
    let Some(first) = errors.first() else { return Ok(()) };
    let lines: Vec<String> = errors.iter().map(Error::to_string).collect();
    Err(Error::new(first.code, lines.join("\n")))
}
