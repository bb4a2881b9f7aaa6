//! What a run has done to the host, and the undoing of it: its own at its end, and that of others who were killed.
//!
//! ```text
//! /run/netferry/lock               held while a run begins or ends
//! /run/netferry/run/<id>/          one per run: lock, cache/ (what is attached), plugins/ (links to ourselves)
//! /run/netferry/network.conflist   the built-in network, while somebody is on it
//! /run/netferry/addresses/         its host-local store
//! /run/netferry/forwarding.json    sysctls as the first run found them
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cni::Error;
use cni::list::NetworkList;
use runtime::{Attachment, Cache, Entry, HeldDirectory, Lock, Policy, Runtime};

use super::namespace::Namespace;
use super::network::Choice;
use super::{builtin, forwarding, in_flight};
use crate::options::Options;
use crate::{output, own};

/// A run from its first change to its last.
pub struct Session {
    state: PathBuf,
    held: HeldDirectory,
    path: Vec<PathBuf>,
    timeout: Option<Duration>,
    joined: Vec<(NetworkList, Attachment, bool)>,
}

impl Session {
    /// Registers a run, after cleaning up what killed ones left.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn begin(options: &Options, state: PathBuf, is_rootless: bool) -> io::Result<Self> {
        own::make_private(&state)?;
        let _lock = Lock::exclusive(&state.join("lock"))?;
        let held = HeldDirectory::create(&state.join("run"))?;
        own::link_into(&held.path().join("plugins"))?;
        let (path, timeout) = (options.plugin_path(), options.timeout());
        let session = Self { state, held, path, timeout, joined: Vec::new() };
        for abandoned in HeldDirectory::abandoned(&session.state.join("run"))? {
            // The host of a rootless run is gone with it, and so is all that was on it.
            if is_rootless || session.clean_up(&abandoned) {
                abandoned.remove()?;
            }
        }
        // What is shared was not put back, should the last run have been killed, or refused.
        if session.held.is_last_in(&session.state.join("run")) {
            session.settle()?;
        }
        forwarding::record(&session.state.join("forwarding.json"))?;
        Ok(session)
    }

    /// The configuration list of the built-in network.
    ///
    /// # Errors
    /// Its file cannot be read or written; no prefix is free.
    pub fn builtin_network(&self) -> io::Result<Vec<u8>> {
        let _lock = Lock::exclusive(&self.state.join("lock"))?;
        builtin::configuration(&self.state.join("network.conflist"), &self.state.join("addresses"))
    }

    /// Whether a plugin of this type would be found.
    pub fn finds(&self, kind: &str) -> bool {
        self.runtime(false).path.iter().any(|directory| directory.join(kind).is_file())
    }

    /// Joins `namespace` to a network, under the next free name of an interface.
    ///
    /// # Errors
    /// The plugin's that failed. What it did is undone.
    pub fn join(&mut self, network: &Choice, namespace: &Namespace) -> Result<(), Error> {
        let ifname = format!("eth{}", self.joined.len());
        let mut attachment = Attachment::new(container_id(&self.held), namespace.path(), ifname);
        attachment.capabilities.clone_from(&network.capabilities);
        self.runtime(network.is_builtin).add(&network.list, &attachment)?;
        self.joined.push((network.list.clone(), attachment, network.is_builtin));
        Ok(())
    }

    /// Undoes everything. What cannot be undone is said, and stays recorded for the next run to try.
    pub fn end(mut self) {
        // Ends are taken in turn: who is the last on a bridge, and removes it, is then beyond doubt.
        let outcome = Lock::exclusive(&self.state.join("lock")).and_then(|_lock| {
            let clean = self.leave();
            self.close(clean)
        });
        if let Err(error) = outcome {
            eprintln!("netferry: {error}");
        }
    }

    fn leave(&mut self) -> bool {
        let mut clean = true;
        while let Some((list, attachment, is_builtin)) = self.joined.pop() {
            clean &= said(self.runtime(is_builtin).del(&list, &attachment));
        }
        // An ADD that failed and could not be undone is still in the cache.
        clean && self.cache(self.held.path()).list().is_ok_and(|entries| entries.is_empty())
    }

    fn close(self, clean: bool) -> io::Result<()> {
        if !clean {
            return Ok(());
        }
        if self.held.is_last_in(&self.state.join("run")) {
            self.settle()?;
        }
        self.held.remove()
    }

    /// Undoes what runs share, when there is no other.
    fn settle(&self) -> io::Result<()> {
        forwarding::restore(&self.state.join("forwarding.json"))?;
        absent(fs::remove_file(self.state.join("network.conflist")))?;
        absent(fs::remove_dir_all(self.state.join("addresses")))
    }

    fn clean_up(&self, abandoned: &HeldDirectory) -> bool {
        in_flight::end(&container_id(abandoned));
        let cache = self.cache(abandoned.path());
        let Ok(entries) = cache.list() else { return false };
        entries.iter().rev().fold(true, |clean, entry| clean & said(self.delete(entry, &cache)))
    }

    fn delete(&self, entry: &Entry, cache: &Cache) -> Result<(), Error> {
        let list = NetworkList::parse(&entry.config)?;
        let runtime = Runtime { cache: cache.clone(), ..self.runtime(entry.network == builtin::NAME) };
        // The path leads through a process that is gone; its number may be another's by now.
        let attachment = Attachment { netns: String::new(), ..entry.attachment.clone() };
        runtime.del(&list, &attachment)
    }

    /// For the built-in network our own plugins come first, since it uses what only they can do.
    fn runtime(&self, own_first: bool) -> Runtime {
        let own = self.held.path().join("plugins");
        let mut path = self.path.clone();
        path.insert(if own_first { 0 } else { path.len() }, own.clone());
        let cache = self.cache(self.held.path());
        Runtime { path, own: Some(own), cache, timeout: self.timeout, policy: Policy::Careful }
    }

    fn cache(&self, directory: &Path) -> Cache {
        Cache::new(directory.join("cache"))
    }
}

fn container_id(held: &HeldDirectory) -> String {
    format!("run-{}", held.id())
}

fn said(outcome: Result<(), Error>) -> bool {
    outcome.inspect_err(output::complain).is_ok()
}

fn absent(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
