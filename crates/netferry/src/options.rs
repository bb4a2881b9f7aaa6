//! What every subcommand shares: where configurations, plugins, the cache and the journal are.
//!
//! The variables are those of `cnitool` and of the specification; an option wins over its variable.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use cni::list::NetworkList;
use cni::{Error, env};
use ferry::{Journal, journal};
use runtime::{Cache, HeldDirectory, Network, Policy, Runtime};

use crate::own;

const CONFIGURATIONS: &str = "/etc/cni/net.d";
const PLUGINS: &str = "/opt/cni/bin";
const CACHE: &str = "/var/lib/cni";
/// The variable that names the directory of the journal.
pub const JOURNAL: &str = "NETFERRY_JOURNAL";

/// Options that may stand anywhere on the command line.
#[derive(Args)]
pub struct Options {
    /// Directory of network configurations [env: NETCONFPATH] [default: /etc/cni/net.d]
    #[arg(long, global = true, value_name = "DIR")]
    conf_dir: Option<PathBuf>,
    /// Directories of plugins, separated by colons [env: CNI_PATH] [default: /opt/cni/bin]
    #[arg(long, global = true, value_name = "DIRS")]
    plugin_path: Option<OsString>,
    /// Directory that remembers what is attached [default: /var/lib/cni]
    #[arg(long, global = true, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Directory of the journal of what is lent [env: NETFERRY_JOURNAL] [default: /run/netferry/lent]
    #[arg(long, global = true, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// Seconds after which a plugin that does not answer is ended [default: none]
    #[arg(long, global = true, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
}

/// A runtime, and the directory that makes our own plugins visible to it while it is used.
pub struct Ready {
    /// Runs plugins.
    pub runtime: Runtime,
    own: Option<HeldDirectory>,
}

impl Drop for Ready {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.own.take().map(own::take_back) {
            eprintln!("netferry: {error}");
        }
    }
}

impl Options {
    /// The directory of network configurations.
    pub fn conf_dir(&self) -> PathBuf {
        let variable = || std::env::var_os("NETCONFPATH").filter(|path| !path.is_empty()).map(PathBuf::from);
        self.conf_dir.clone().or_else(variable).unwrap_or_else(|| CONFIGURATIONS.into())
    }

    /// The directories of plugins.
    pub fn plugin_path(&self) -> Vec<PathBuf> {
        let variable = || std::env::var_os("CNI_PATH").filter(|path| !path.is_empty());
        env::split_path(&self.plugin_path.clone().or_else(variable).unwrap_or_else(|| PLUGINS.into()))
    }

    /// The configuration of `network`; what is wrong with others goes to stderr.
    ///
    /// # Errors
    /// There is no such network, or its configuration is broken.
    pub fn load(&self, network: &str) -> Result<NetworkList, Error> {
        runtime::discover::load(&self.conf_dir(), network).map(warned)
    }

    /// The configuration of the first network, as a container runtime takes it; what is wrong with others goes to stderr.
    ///
    /// # Errors
    /// There is no network, or none that can be used.
    pub fn load_default(&self) -> Result<NetworkList, Error> {
        runtime::discover::default_network(&self.conf_dir()).map(warned)
    }

    /// A runtime that finds what `list` needs.
    ///
    /// # Errors
    /// The directory for our own plugins cannot be made.
    pub fn runtime(&self, list: &NetworkList) -> Result<Ready, Error> {
        let mut path = self.plugin_path();
        let own = own::lend_if_needed(list, &path)?;
        let directory = own.as_ref().map(|held| held.path().to_owned());
        path.extend(directory.clone());
        let (cache, timeout) = (self.cache(), self.timeout());
        Ok(Ready { runtime: Runtime { path, own: directory, cache, timeout, policy: Policy::Careful }, own })
    }

    /// The cache of attachments.
    pub fn cache(&self) -> Cache {
        Cache::new(self.cache_dir.as_deref().unwrap_or(Path::new(CACHE)))
    }

    /// The journal of what is lent.
    pub fn journal(&self) -> Journal {
        Journal::at(self.journal_path().unwrap_or_else(|| journal::DEFAULT.into()))
    }

    /// The directory of the journal, if somebody says another than the usual one.
    pub fn journal_path(&self) -> Option<PathBuf> {
        self.journal.clone().or_else(journal_variable)
    }

    /// How long one plugin may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout.map(Duration::from_secs)
    }
}

/// The directory of the journal by its variable.
pub fn journal_variable() -> Option<PathBuf> {
    std::env::var_os(JOURNAL).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn warned(Network { list, warnings, .. }: Network) -> NetworkList {
    warnings.iter().for_each(|warning| eprintln!("netferry: warning: {warning}"));
    list
}
