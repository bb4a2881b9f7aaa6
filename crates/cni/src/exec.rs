//! Running a plugin: find it in `CNI_PATH`, give it environment and configuration, and turn how it ended into a result
//! or an [`Error`]. Texts are those of the reference implementation; unlike it, what a failed plugin wrote to stderr
//! is never lost, a hanging one is ended with its whole process group, and a busy binary is an error.

mod process;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

use crate::env::{Command, Env};
use crate::error::Error;
use crate::json::{self, get_ci};
use crate::render;
use crate::version::Version;

/// One run of a plugin.
#[derive(Debug)]
pub struct Exec<'a> {
    /// The plugin, as [`find`] returns it.
    pub program: &'a Path,
    /// Parameters: the six variables are always set, possibly empty; everything else is inherited.
    pub env: &'a Env,
    /// The configuration.
    pub stdin: &'a [u8],
    /// How long it may take, if there is a limit; then its process group gets SIGTERM, and SIGKILL two seconds later. A
    /// delegate has none: it is in the group of the plugin that runs it, and shares that one's.
    pub timeout: Option<Duration>,
}

impl Exec<'_> {
    /// Runs the plugin and returns what it wrote to stdout. What it writes to stderr goes to our own stderr as it
    /// comes.
    ///
    /// # Errors
    /// The error object of the plugin with its code, its stderr added to the details; or code 999 if it could not be
    /// run, took too long, or failed without saying why.
    pub fn run(&self) -> Result<Vec<u8>, Error> {
        let program = self.program.display();
        let mut command = std::process::Command::new(self.program);
        command.envs(self.env.variables());
        let run = process::Run { stdin: self.stdin, timeout: self.timeout };
        let output = run
            .output(&mut command)
            .map_err(|error| Error::internal(format_args!("failed to run plugin {program}: {error}")))?;
        let cut_short = match output.end {
            process::End::Itself if output.status.success() => return Ok(output.stdout),
            process::End::Itself => return Err(failure(&output)),
            process::End::Timeout => format!("did not finish within {:?}", self.timeout.unwrap_or_default()),
            process::End::Flood => format!("wrote more than {} bytes to stdout", process::LONGEST_STDOUT),
        };
        let error = Error::internal(format_args!("plugin {program} {cut_short} and was killed"));
        Err(with_stderr(error, &output.stderr))
    }
}

/// The first regular file called `plugin` in `dirs`; whether it may be executed is not asked.
///
/// # Errors
/// If `plugin` is no plain file name, or there is no such file.
pub fn find(plugin: &str, dirs: &[PathBuf]) -> Result<PathBuf, Error> {
    if plugin.is_empty() {
        return Err(Error::internal("no plugin name provided"));
    }
    if plugin.contains(['/', '\0']) || plugin == "." || plugin == ".." {
        return Err(Error::internal(format_args!("invalid plugin name: {plugin}")));
    }
    if dirs.is_empty() {
        return Err(Error::internal("no paths provided"));
    }
    let candidates = dirs.iter().map(|dir| dir.join(plugin));
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        Error::internal(format_args!("failed to find plugin {plugin:?} in path [{}]", dirs.join(" ")))
    })
}

/// The result that a plugin printed.
///
/// # Errors
/// Of code 999, if `stdout` is not JSON.
pub fn parse_result(stdout: &[u8]) -> Result<Value, Error> {
    json::parse(stdout).map_err(|error| Error::internal(format_args!("failed to unmarshal raw result: {error}")))
}

/// The versions that a plugin says it supports, as it spells them.
///
/// # Errors
/// If the plugin fails, or its answer is none.
pub fn probe(program: &Path, timeout: Option<Duration>) -> Result<Vec<String>, Error> {
    const DUMMY: &str = "dummy";
    let env = Env {
        command: Command::Version,
        container_id: String::new(),
        netns: Some(DUMMY.to_owned()),
        ifname: DUMMY.to_owned(),
        args: String::new(),
        path: vec![DUMMY.into()],
        netns_override: false,
    };
    let stdin = format!("{{\"cniVersion\":\"{}\"}}", Version::LATEST);
    match (Exec { program, env: &env, stdin: stdin.as_bytes(), timeout }).run() {
        Ok(stdout) => {
            parse_versions(&stdout).map_err(|problem| Error::internal(format_args!("decoding version info: {problem}")))
        }
        // A plugin of 0.1.0 does not know the verb.
        Err(error) if error.msg == "unknown CNI_COMMAND: VERSION" => Ok(vec![Version::V0_1_0.to_string()]),
        Err(error) => Err(error),
    }
}

/// The list in an answer to VERSION; an answer of version 0.2.0 may do without.
///
/// # Errors
/// The text says what is missing or of the wrong type.
pub fn parse_versions(stdout: &[u8]) -> Result<Vec<String>, String> {
    let value = json::parse(stdout).map_err(|error| error.to_string())?;
    let map = value.as_object().ok_or("expected an object")?;
    let version = get_ci(map, "cniVersion").and_then(Value::as_str).unwrap_or_default();
    if version.is_empty() {
        return Err("missing field cniVersion".to_owned());
    }
    let list = get_ci(map, "supportedVersions").map(json::decode::<Vec<String>>).transpose();
    let list = list.map_err(|error| error.under("supportedVersions").to_string())?.unwrap_or_default();
    match version {
        _ if !list.is_empty() => Ok(list),
        "0.2.0" => Ok(vec!["0.1.0".to_owned(), "0.2.0".to_owned()]),
        _ => Err("missing field supportedVersions".to_owned()),
    }
}

/// What a plugin that ended by itself, and not well, wants to say.
fn failure(output: &process::Output) -> Error {
    let ending = ending(output.status);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.stdout.is_empty() && stderr.is_empty() {
        return Error::internal(format_args!("netplugin failed with no error message: {ending}"));
    }
    if output.stdout.is_empty() {
        return Error::internal(format_args!("netplugin failed: {stderr:?}: {ending}"));
    }
    let error = render::parse_error(&output.stdout).unwrap_or_else(|problem| {
        let stdout = String::from_utf8_lossy(&output.stdout);
        Error::internal(format_args!("netplugin failed but error parsing its diagnostic message {stdout:?}: {problem}"))
    });
    with_stderr(error, &output.stderr)
}

fn with_stderr(mut error: Error, stderr: &[u8]) -> Error {
    let stderr = String::from_utf8_lossy(stderr);
    let stderr = stderr.trim();
    if !stderr.is_empty() {
        let separator = if error.details.is_empty() { "" } else { "; " };
        error.details = format!("{}{separator}stderr: {stderr}", error.details);
    }
    error
}

fn ending(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!("exit status {}", status.code().unwrap_or_default());
    };
    let core = if status.core_dumped() { " (core dumped)" } else { "" };
    match signal {
        2 => format!("signal: interrupt{core}"),
        6 => format!("signal: aborted{core}"),
        9 => format!("signal: killed{core}"),
        11 => format!("signal: segmentation fault{core}"),
        13 => format!("signal: broken pipe{core}"),
        15 => format!("signal: terminated{core}"),
        number => format!("signal: signal {number}{core}"),
    }
}
