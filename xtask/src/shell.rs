//! Running programs: shown before they run, and an error when they fail.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The repository's root, where every command runs.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}

/// A command in the root, from its words.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words.first().copied().unwrap_or_default());
    command.args(words.iter().skip(1)).current_dir(root());
    command
}

/// Runs it with our own standard streams.
///
/// # Errors
/// It cannot be started, or ended with another status than 0.
pub fn run(command: &mut Command) -> Result<(), String> {
    eprintln!("+ {}", line(command));
    let status = command.status().map_err(|error| format!("{}: {error}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", line(command))) }
}

/// Runs a command whose two streams are one, copied to ours and kept, and how it ended.
///
/// # Errors
/// It cannot be started, or its output cannot be read.
pub fn shown(command: &mut Command) -> Result<(String, Result<(), String>), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let fail = |error: std::io::Error| format!("{name}: {error}");
    let (reader, writer) = std::io::pipe().map_err(fail)?;
    let both = writer.try_clone().map_err(fail)?;
    let mut child = command.stdin(Stdio::null()).stdout(writer).stderr(both).spawn().map_err(fail)?;
    // The command holds the pipe's other end open, and we wait for that end to close.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut said = String::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line.map_err(fail)?).into_owned();
        // Nobody reading our output is no reason to stop testing.
        let _ = writeln!(std::io::stdout(), "{line}");
        said.push_str(&line);
        said.push('\n');
    }
    let status = child.wait().map_err(fail)?;
    Ok((said, if status.success() { Ok(()) } else { Err(format!("{name}: {status}")) }))
}

/// Runs a cargo command that builds with `--message-format=json`; returns the names and paths of what can be executed.
///
/// # Errors
/// The build fails.
pub fn executables(cargo: &mut Command) -> Result<Vec<(String, PathBuf)>, String> {
    eprintln!("+ {}", line(cargo));
    let built = cargo.stderr(Stdio::inherit()).output().map_err(|error| format!("{}: {error}", line(cargo)))?;
    let said = String::from_utf8_lossy(&built.stdout).into_owned();
    if !built.status.success() {
        return Err(format!("{}: {}", line(cargo), built.status));
    }
    // One document a line, in which these two keys come once behind `"target":`, and the second may be null.
    let value = |text: &str, key: &str| Some(text.split_once(key)?.1.split('"').next()?.to_owned());
    let built = said.lines().filter_map(|line| {
        let (_, target) = line.split_once("\"target\":")?;
        Some((value(target, "\"name\":\"")?, PathBuf::from(value(target, "\"executable\":\"")?)))
    });
    Ok(built.collect())
}

/// What it prints; nothing when it fails or is not there.
pub fn output(words: &[&str]) -> String {
    let run = command(words).stdin(Stdio::null()).stderr(Stdio::null()).output();
    run.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// Whether a program of this name is in PATH.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
