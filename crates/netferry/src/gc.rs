//! `netferry gc`: remove what no living attachment needs.
//!
//! An attachment lives while its network namespace exists. Those of other runtimes count if they are in the cache, and
//! those of `netferry run` wherever they are recorded; everything else has to be named with `--keep`.

use std::fs;
use std::path::Path;

use clap::Args;
use cni::config::Attachment as Valid;
use cni::{Error, code};
use runtime::{Cache, Entry};
use serde_json::json;

use crate::options::Options;
use crate::output::Output;
use crate::own;

/// The subcommand.
#[derive(Args)]
pub struct Gc {
    /// Name of the network
    network: String,
    /// Not used; cnitool wants it
    netns: Option<String>,
    /// An attachment that lives, though the cache does not say so; may be repeated
    #[arg(long, value_name = "CONTAINERID/IFNAME")]
    keep: Vec<String>,
}

impl Gc {
    /// Collects.
    ///
    /// # Errors
    /// Everything that could not be removed.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let list = options.load(&self.network)?;
        let ready = options.runtime(&list)?;
        let valid = self.valid(&ready.runtime.cache)?;
        ready.runtime.gc(&list, Some(&valid))?;
        let kept: Vec<_> =
            valid.iter().map(|one| json!({ "containerID": one.container_id, "ifname": one.ifname })).collect();
        let text = format!("network {}: kept {}, everything else is removed", list.name, kept.len());
        Ok(Output { text, json: Some(json!({ "network": list.name, "kept": kept })), ..Output::default() })
    }

    fn valid(&self, cache: &Cache) -> Result<Vec<Valid>, Error> {
        let mut entries = cache.list()?;
        for state in [own::state_directory(), own::rootless_state_directory()] {
            for run in fs::read_dir(state.join("run")).into_iter().flatten().flatten() {
                entries.extend(Cache::new(run.path().join("cache")).list()?);
            }
        }
        entries.retain(|entry| entry.network == self.network && is_alive(entry));
        let named =
            |entry: Entry| Valid { container_id: entry.attachment.container_id, ifname: entry.attachment.ifname };
        let kept: Result<Vec<Valid>, Error> = self.keep.iter().map(|text| parse(text)).collect();
        Ok(entries.into_iter().map(named).chain(kept?).collect())
    }
}

/// Without a recorded namespace nothing says that it is gone.
fn is_alive(entry: &Entry) -> bool {
    entry.attachment.netns.is_empty() || Path::new(&entry.attachment.netns).exists()
}

fn parse(text: &str) -> Result<Valid, Error> {
    let wrong = || Error::new(code::INVALID_ENVIRONMENT, format!("--keep {text}: expected CONTAINERID/IFNAME"));
    let (container_id, ifname) = text.split_once('/').ok_or_else(wrong)?;
    Ok(Valid { container_id: container_id.into(), ifname: ifname.into() })
}
