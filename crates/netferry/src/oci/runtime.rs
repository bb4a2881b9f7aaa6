//! `netferry oci runtime`, and netferry called as `netferry-runc`, `netferry-crun` or `netferry-ANY`: in front of a
//! runtime, for whoever calls that.
//!
//! A container that asks for network devices gets our hook instead of them, and netferry stays beside the runtime until that
//! has created it; `features` says that they are taken care of; for everything else this process becomes the runtime at
//! once, with all that it was given. What is understood of the command line, which no specification gives, says
//! `oci::wrapper::command_line`.

mod beside;
mod config;
mod features;
mod find;
mod log;
mod process;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use ferry::{Journal, journal};
use oci::wrapper::{self, Call, Verb};

use self::beside::Beside;
use self::config::Outcome;
use crate::options::{self, Options};

/// What the program is called in front of a runtime, before the runtime's name.
const PREFIX: &str = "netferry-";
/// The plugins' program.
const PLUGINS: &str = "cni";
/// The runtimes that are looked for if none is named.
const USUAL: [&str; 2] = ["runc", "crun"];

/// The subcommand.
#[derive(Args)]
pub struct Runtime {
    /// The runtime behind, a path or a name on PATH [env: NETFERRY_RUNTIME] [default: runc, or else crun]
    #[arg(long, value_name = "PATH")]
    runtime: Option<PathBuf>,
    /// What the runtime is called with
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

impl Runtime {
    /// Becomes the runtime; what is wrong goes to stderr, and to the log that the caller named.
    pub fn execute(&self, options: &Options) -> ExitCode {
        front(self.runtime.as_deref(), &USUAL, options.journal_path().as_deref(), &self.args)
    }
}

/// The runtime that netferry stands in front of when it is called `name`.
pub fn name(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX).filter(|runtime| !runtime.is_empty() && *runtime != PLUGINS)
}

/// Becomes the runtime called `runtime` with this process's arguments.
pub fn main(runtime: &str) -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    front(None, &[runtime], options::journal_variable().as_deref(), &args)
}

fn front(named: Option<&Path>, names: &[&str], journal: Option<&Path>, args: &[OsString]) -> ExitCode {
    let call = wrapper::read(args);
    let runtime = find::runtime(named, names).map_err(|error| vec![error]);
    match runtime.and_then(|runtime| act(&runtime, journal, &call, args)) {
        Ok(code) => code,
        Err(problems) => {
            log::complain(&call, &problems);
            ExitCode::FAILURE
        }
    }
}

fn act(runtime: &Path, journal: Option<&Path>, call: &Call, args: &[OsString]) -> Result<ExitCode, Vec<String>> {
    match &call.verb {
        Verb::Features => return features::print(runtime, args).map_err(|error| vec![error]),
        Verb::Create(container) => {
            let ours = absolute(journal).map_err(|error| vec![error])?;
            let ahead = match config::rewrite(container, journal, &ours)? {
                Outcome::Alone => return Err(vec![process::become_program(runtime, args)]),
                Outcome::Hooked => None,
                Outcome::Ahead(ahead) => Some(*ahead),
            };
            return Beside { runtime, args, call, container, journal: &ours }.run(ahead);
        }
        Verb::Other => {}
    }
    Err(vec![process::become_program(runtime, args)])
}

/// The journal in the directory `named`, or in the usual one: the runtime may have another working directory.
fn absolute(named: Option<&Path>) -> Result<Journal, String> {
    let path = std::path::absolute(named.unwrap_or(Path::new(journal::DEFAULT)));
    path.map(Journal::at).map_err(|error| format!("{}: {error}", options::JOURNAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (called, runtime) in [
            ("netferry-runc", Some("runc")),
            ("netferry-my-runc", Some("my-runc")),
            ("netferry-cni", None),
            ("netferry-", None),
            ("netferry", None),
            ("runc", None),
        ] {
            assert_eq!(name(called), runtime, "{called}");
        }
    }
}
