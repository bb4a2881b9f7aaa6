//! `netferry oci`: network devices for containers of any OCI runtime.
//!
//! By a hook that the runtime calls, or by standing in front of the runtime, which then calls the hook.

mod bundle;
mod explain;
mod hook;
mod install_hook;
mod runtime;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use ::oci::Entry;
use clap::{Args, Parser, Subcommand};

use crate::options::{JOURNAL, Options};
use crate::output;

pub use runtime::{main, name};

/// This program, whatever it is called and wherever it is.
const SELF: &str = "/proc/self/exe";

/// The subcommand.
#[derive(Args)]
pub struct Oci {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// As a hook of a container: carry its devices into it, or bring them home
    Hook(hook::Hook),
    /// Say what would become of a container's devices, and change nothing
    Explain(explain::Explain),
    /// Stand in front of a runtime: its containers get the network devices that they ask for
    Runtime(runtime::Runtime),
    /// Write the file by which podman and CRI-O call the hook
    InstallHook(install_hook::InstallHook),
}

impl Oci {
    /// Does it; the exit code is the runtime's, or 0 or 1.
    pub fn execute(&self, options: &Options) -> ExitCode {
        match &self.command {
            Command::Hook(hook) => output::finish(hook.execute(options), options),
            Command::Explain(explain) => output::finish(explain.execute(options), options),
            Command::Runtime(runtime) => runtime.execute(options),
            Command::InstallHook(install_hook) => output::finish(install_hook.execute(options), options),
        }
    }
}

/// `netferry oci hook` and what follows.
#[derive(Parser)]
struct HookCall {
    #[command(flatten)]
    hook: hook::Hook,
    #[command(flatten)]
    options: Options,
}

/// The hook, if the command line is a good one of the hook's. A container waits for it twice, and the parser of all
/// subcommands takes a tenth of its time; that one has the last word on whatever is no good.
pub fn hook() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    if (words.next()?, words.next()?) != ("oci".into(), "hook".into()) {
        return None;
    }
    let HookCall { hook, options } = HookCall::try_parse_from(std::env::args_os().skip(2)).ok()?;
    Some(output::finish(hook.execute(&options), &options))
}

/// The hook that is this program. `journal` goes along if it is not the usual one: a hook has no other environment.
///
/// # Errors
/// Nobody could call this program by its path, or the path has no place in JSON.
pub fn entry(journal: Option<&Path>) -> Result<Entry, String> {
    let failed = |error: std::io::Error| format!("look up this program's path: {error}");
    let path = std::env::current_exe().map_err(failed)?;
    if !fs::metadata(&path).is_ok_and(|there| is_self(&there)) {
        let path = path.display();
        return Err(format!(
            "the hook would be {path}, where this program is no more; start the one that is installed"
        ));
    }
    let mut entry = Entry::new(&path).map_err(|error| error.to_string())?;
    if let Some(journal) = journal {
        let journal = std::path::absolute(journal).map_err(|error| format!("{JOURNAL}: {error}"))?;
        let text = journal.to_str().ok_or_else(|| format!("{JOURNAL}: {journal:?} is not UTF-8; choose another"))?;
        entry.env.push(format!("{JOURNAL}={text}"));
    }
    Ok(entry)
}

/// True for the file of this program.
fn is_self(file: &fs::Metadata) -> bool {
    fs::metadata(SELF).is_ok_and(|own| (own.dev(), own.ino()) == (file.dev(), file.ino()))
}
