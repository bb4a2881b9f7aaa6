//! A call to a plugin, read and checked in the order of the reference `skel`: environment, stdin, JSON, network name,
//! version, verb. What comes out may be trusted as far as names and versions go.

use std::ffi::OsString;
use std::io;

use crate::config::{self, PluginConf};
use crate::env::{self, Command, Env};
use crate::error::{Error, code};
use crate::version::{Version, parse_numbers};

/// What a plugin was started for.
#[derive(Debug, Clone)]
pub enum Invocation {
    /// `CNI_COMMAND` is not set: a person wants to know what this is. Exit 0, [`crate::render::about`] on stderr.
    About,
    /// VERSION: [`crate::render::versions`] on stdout. Stdin is not read.
    Version,
    /// Any other verb.
    Request(Box<Request>),
}

/// A call that is about a network.
#[derive(Debug, Clone)]
pub struct Request {
    /// The parameters; `env.command` is never [`Command::Version`].
    pub env: Env,
    /// The configuration.
    pub conf: PluginConf,
}

impl Request {
    /// Reads a call: the environment through `lookup`, the configuration through `stdin`, for a plugin that speaks
    /// `supported`.
    ///
    /// # Errors
    /// Code 4 for the environment and an unknown verb, 5 for stdin, 6 for what is no configuration, 7 for the network
    /// name, 1 for a version that plugin or verb do not allow.
    pub fn read(
        mut lookup: impl FnMut(&str) -> Option<OsString>,
        stdin: impl FnOnce() -> io::Result<Vec<u8>>,
        supported: &[Version],
    ) -> Result<Invocation, Error> {
        let verb = env::text("CNI_COMMAND", &mut lookup)?;
        if verb.is_empty() {
            return Ok(Invocation::About);
        }
        let command = Command::exact(&verb);
        if command == Some(Command::Version) {
            return Ok(Invocation::Version);
        }
        let env = command.map(|command| Env::read(command, lookup)).transpose()?;
        let bytes = stdin().map_err(|error| Error::new(code::IO, format!("error reading from stdin: {error}")))?;
        let raw = config::parse(&bytes)?;
        let Some(env) = env else {
            return Err(Error::new(code::INVALID_ENVIRONMENT, format!("unknown CNI_COMMAND: {verb}")));
        };
        let version = reconcile(&config::version_text(&raw)?, env.command, supported)?;
        let conf = PluginConf::new(bytes, raw, version, env.command)?;
        Ok(Invocation::Request(Box::new(Self { env, conf })))
    }
}

/// The version that configuration `text` asks for, if verb and plugin allow it.
fn reconcile(text: &str, command: Command, supported: &[Version]) -> Result<Version, Error> {
    if let Some(oldest) = oldest_with(command) {
        let verb = command.as_str();
        let numbers = parse_numbers(text).map_err(|problem| Error::new(code::DECODE, problem))?;
        if numbers < oldest.numbers() {
            return Err(incompatible(format!("config version does not allow {verb}")));
        }
        if !supported.iter().any(|version| version.numbers() >= numbers) {
            return Err(incompatible(format!("plugin version does not allow {verb}")));
        }
    }
    Version::exact(text).filter(|version| supported.contains(version)).ok_or_else(|| {
        let text = if text.is_empty() { Version::V0_1_0.as_str() } else { text };
        let supported: Vec<String> = supported.iter().map(|version| format!("\"{version}\"")).collect();
        let details = format!("config is {text:?}, plugin supports [{}]", supported.join(" "));
        incompatible("incompatible CNI versions").with_details(details)
    })
}

/// The version that brought the verb, if it did not always exist.
const fn oldest_with(command: Command) -> Option<Version> {
    match command {
        Command::Check => Some(Version::V0_4_0),
        Command::Gc | Command::Status => Some(Version::V1_1_0),
        Command::Add | Command::Del | Command::Version | Command::Plan => None,
    }
}

fn incompatible(message: impl Into<String>) -> Error {
    Error::new(code::INCOMPATIBLE_VERSION, message)
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
