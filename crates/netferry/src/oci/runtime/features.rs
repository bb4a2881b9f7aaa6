//! What the runtime says that it can do, and network devices besides.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use oci::features;

/// Runs the runtime, and prints what it printed, with `linux.netDevices` enabled if it is JSON; the exit code is the
/// runtime's, or as a shell has it for one that a signal ended.
///
/// # Errors
/// The runtime cannot be run, or nobody takes what it says.
pub fn print(runtime: &Path, args: &[OsString]) -> Result<ExitCode, String> {
    let failed = |error: io::Error| format!("run the runtime {}: {error}", runtime.display());
    let mut command = Command::new(runtime);
    command.args(args).stdin(Stdio::inherit()).stderr(Stdio::inherit());
    let output = command.output().map_err(failed)?;
    let merged = features::merge(&output.stdout).ok().filter(|_| output.status.success());
    let printed = merged.map_or(output.stdout, String::into_bytes);
    let written = io::stdout().write_all(&printed).and_then(|()| io::stdout().flush());
    written.map_err(|error| format!("print the features: {error}"))?;
    let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
