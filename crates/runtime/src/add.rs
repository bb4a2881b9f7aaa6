//! ADD: each plugin in order, each given the result of the one before; the last result is remembered.
//!
//! The cache has an entry before the first plugin runs. What fails is undone by a DEL of the whole list, which libcni
//! leaves to its caller; what cannot be undone stays in the cache, for DEL or GC to find.

use cni::env::Command;
use cni::list::NetworkList;
use cni::{Error, code};
use serde_json::Value;

use crate::attachment::Attachment;
use crate::cache::Entry;
use crate::chain::{Policy, Runtime, plugin_failed};
use crate::invoke::Input;

impl Runtime {
    /// Joins `attachment` to the network; returns the result of the last plugin.
    ///
    /// # Errors
    /// The first plugin's that failed, under its code, and what undoing it met. Nothing is attached then, unless the
    /// policy is libcni's.
    pub fn add(&self, list: &NetworkList, attachment: &Attachment) -> Result<Value, Error> {
        attachment.validate(&list.name)?;
        let _locks = self.lock(&attachment.container_id)?;
        if self.policy == Policy::Careful {
            self.validate(list)?;
            self.settle_earlier_add(list, attachment)?;
        }
        self.write_intent(list, attachment)?;
        let mut reached = None;
        let outcome = self.add_each(list, attachment, &mut reached).and_then(|result| {
            let entry = entry(list, attachment, Some(result.clone()));
            let network = &list.name;
            let written = self.cache.write(&entry);
            written.map_err(|error| error.context(format!("failed to set network {network:?} cached result")))?;
            Ok(result)
        });
        match outcome {
            Err(error) if self.policy == Policy::Careful => Err(self.undo(list, attachment, reached.as_ref(), error)),
            outcome => outcome,
        }
    }

    fn add_each(&self, list: &NetworkList, to: &Attachment, reached: &mut Option<Value>) -> Result<Value, Error> {
        for plugin in &list.plugins {
            let before = reached.as_ref().map(|result| self.in_version_of(list, result)).transpose()?;
            let input = Input { prev_result: before.as_ref(), ..Input::attach(to) };
            let result = self.result_of(Command::Add, list, plugin, &input);
            *reached = Some(result.map_err(|error| error.context(plugin_failed(plugin, "add")))?);
        }
        reached.clone().ok_or_else(|| Error::new(code::INVALID_CONFIG, "no plugins in list"))
    }

    /// An earlier ADD of the same attachment either stands, and is not to be disturbed, or was killed, and is undone.
    fn settle_earlier_add(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), Error> {
        let Ok(Some(earlier)) = self.cache.read(&list.name, attachment) else { return Ok(()) };
        if earlier.result.is_some() {
            let Attachment { container_id, ifname, .. } = attachment;
            let text = format!("container {container_id} has joined network {:?} as {ifname} already", list.name);
            return Err(Error::new(code::INVALID_ENVIRONMENT, text).with_details("DEL it first"));
        }
        let config = NetworkList::parse(&earlier.config).unwrap_or_else(|_| list.clone());
        let undone = self.del_locked(&config, &earlier.attachment, None);
        undone.map_err(|error| error.context("an earlier ADD was interrupted and cannot be undone"))
    }

    /// An entry without result: libcni reads it as an attachment of which nothing is known.
    fn write_intent(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), Error> {
        match self.cache.read(&list.name, attachment) {
            Ok(Some(_)) => Ok(()),
            _ => self.cache.write(&entry(list, attachment, None)),
        }
    }

    fn undo(&self, list: &NetworkList, attachment: &Attachment, reached: Option<&Value>, error: Error) -> Error {
        let Err(left) = self.del_locked(list, attachment, reached) else { return error };
        let details = if error.details.is_empty() { String::new() } else { format!("{}; ", error.details) };
        error.with_details(format!("{details}undoing it failed too: {left}"))
    }
}

fn entry(list: &NetworkList, attachment: &Attachment, result: Option<Value>) -> Entry {
    Entry { network: list.name.clone(), attachment: attachment.clone(), config: list.bytes.clone(), result }
}
