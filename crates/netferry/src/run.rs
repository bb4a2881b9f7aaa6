//! `netferry run`: a command in a network namespace of its own, joined to networks, and nothing left afterwards.
//!
//! Everything a run must undo is in its own directory `run/<id>` under the state directory, written before it is done.
//! A lock on that directory lives as long as netferry does, so whatever kills it, the next run sees what is abandoned
//! and deletes it with the configuration that was recorded.

mod builtin;
mod command;
mod forwarding;
mod in_flight;
mod namespace;
mod network;
mod publish;
mod rootless;
mod session;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Args;
use cni::{Error, code};

use crate::options::Options;
use crate::signals::Signals;
use crate::{child, output, own};
use namespace::Namespace;
use publish::Publish;
use session::Session;

/// What `podman run` and `env` exit with when the failure is their own.
const OWN_FAILURE: u8 = 125;

/// The subcommand.
#[derive(Args)]
pub struct Run {
    /// A network to join; may be repeated, for eth0, eth1, ... [default: the first that is configured, else a built-in one]
    #[arg(long = "network", value_name = "NAME")]
    networks: Vec<String>,
    /// A port of the host that leads to one of the command; may be repeated
    #[arg(short, long, value_name = "HOST:CTR[/PROTO]")]
    publish: Vec<Publish>,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Run {
    /// Runs the command; the exit code is its own, 128 and the signal that ended it, or 125 if it never ran.
    pub fn execute(&self, options: &Options) -> ExitCode {
        match self.inside(options) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                output::complain(&error);
                ExitCode::from(OWN_FAILURE)
            }
        }
    }

    fn inside(&self, options: &Options) -> Result<u8, Error> {
        let signals = Signals::block().map_err(failed("block signals"))?;
        // Asked before a user namespace makes everybody root.
        let directories = [own::state_directory(), own::rootless_state_directory()];
        let (namespace, is_rootless) = namespace()?;
        let [privileged, rootless] = directories;
        let state = if is_rootless { rootless } else { privileged };
        let mut session = Session::begin(options, state, is_rootless).map_err(failed("start a run"))?;
        let outcome = self.joined(options, &mut session, &namespace, &signals);
        session.end();
        outcome
    }

    fn joined(&self, options: &Options, session: &mut Session, to: &Namespace, signals: &Signals) -> Result<u8, Error> {
        let networks = network::choose(options, session, &self.networks, &self.publish)?;
        for network in &networks {
            session.join(network, to)?;
            if let Some(signal) = signals.ending() {
                return Ok(u8::try_from(child::BY_SIGNAL + signal).unwrap_or(u8::MAX));
            }
        }
        command::run(&self.command, to, signals).or_else(|(code, error)| {
            eprintln!("netferry: {error}");
            Ok(code)
        })
    }
}

/// The namespace, and whether it took a host of our own to make it.
fn namespace() -> Result<(Namespace, bool), Error> {
    match Namespace::create() {
        Ok(namespace) => return Ok((namespace, false)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Err(error) => return Err(failed("make a network namespace")(error)),
    }
    rootless::enter().map_err(failed("run without root"))?;
    eprintln!("netferry: no uplink: without root the network ends at its own gateway, seen by this command alone");
    Ok((Namespace::create().map_err(failed("make a network namespace"))?, true))
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::new(code::INTERNAL, format!("{what}: {error}"))
}
