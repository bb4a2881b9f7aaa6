//! `cargo xtask fuzz`: every fuzz target for a while, in an address sanitizer and with limits on memory and time.
//!
//! A target is a file of `fuzz/fuzz_targets`, which says what must hold; it begins with the inputs in `fuzz/seeds` and
//! with what earlier runs have found worth keeping in `fuzz/corpus`. An input that broke something is in
//! `fuzz/artifacts`. Fuzzing needs a nightly compiler and cargo-fuzz, which are installed when they are missing.

use crate::shell::{command, has, output, root, run as show};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SECONDS: u64 = 60;
const USAGE: &str = "usage: cargo xtask fuzz [--seconds N] [TARGET...]";
/// Directories of the targets' own files are best in memory.
const MEMORY: &str = "/dev/shm";
/// Megabytes, and seconds for one input: more is a finding.
const LIMITS: [&str; 2] = ["-rss_limit_mb=512", "-timeout=5"];
/// What the sanitizer holds back to see its use counts as memory, too.
const SANITIZER: &str = "quarantine_size_mb=16";

/// One target's run.
struct Outcome {
    target: String,
    executions: String,
    findings: Vec<PathBuf>,
    failure: Option<String>,
}

/// `cargo xtask fuzz`.
///
/// # Errors
/// There is no such target, something cannot be installed or built, or there are findings, which have been shown.
pub fn run() -> Result<(), String> {
    let known = targets()?;
    let (seconds, wanted) = options(std::env::args().skip(2))?;
    if let Some(unknown) = wanted.iter().find(|target| !known.contains(target)) {
        return Err(format!("no target {unknown}; there are {}", known.join(", ")));
    }
    install()?;
    show(&mut fuzz(&["build"]))?;
    let scratch =
        Path::new(MEMORY).is_dir().then(|| Path::new(MEMORY).join(format!("netferry-{}", std::process::id())));
    let scratch = scratch.unwrap_or_else(std::env::temp_dir);
    let chosen = if wanted.is_empty() { known } else { wanted };
    println!("{:20} {:>12}  findings", "target", "executions");
    let outcomes: Result<Vec<Outcome>, String> =
        chosen.into_iter().map(|target| one(target, seconds, &scratch)).inspect(print).collect();
    if scratch.starts_with(MEMORY) {
        let _ = fs::remove_dir_all(&scratch);
    }
    let failed: Vec<Outcome> = outcomes?.into_iter().filter(|outcome| outcome.failure.is_some()).collect();
    failed.iter().for_each(explain);
    if failed.is_empty() { Ok(()) } else { Err(format!("{} of the targets failed", failed.len())) }
}

fn options(words: impl Iterator<Item = String>) -> Result<(u64, Vec<String>), String> {
    let (mut seconds, mut targets, mut words) = (SECONDS, Vec::new(), words);
    while let Some(word) = words.next() {
        if word == "--seconds" {
            seconds = words.next().and_then(|number| number.parse().ok()).filter(|n| *n > 0).ok_or(USAGE)?;
        } else if word.starts_with('-') {
            return Err(USAGE.to_owned());
        } else {
            targets.push(word);
        }
    }
    Ok((seconds, targets))
}

/// The names of all targets, sorted.
fn targets() -> Result<Vec<String>, String> {
    let directory = root().join("fuzz/fuzz_targets");
    let mut names: Vec<String> =
        files(&directory).iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    if names.is_empty() { Err(format!("no targets in {}", directory.display())) } else { Ok(names) }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn install() -> Result<(), String> {
    if !output(&["rustup", "toolchain", "list"]).contains("nightly") {
        show(&mut command(&["rustup", "toolchain", "install", "nightly", "--profile", "minimal"]))?;
    }
    if has("cargo-fuzz") { Ok(()) } else { show(&mut command(&["cargo", "install", "--locked", "cargo-fuzz"])) }
}

fn fuzz(words: &[&str]) -> Command {
    command(&[&["rustup", "run", "nightly", "cargo", "fuzz"], words].concat())
}

/// Runs one target; what it says is kept for the case that it fails.
fn one(target: String, seconds: u64, scratch: &Path) -> Result<Outcome, String> {
    let [corpus, seeds, artifacts] = ["corpus", "seeds", "artifacts"].map(|kind| format!("fuzz/{kind}/{target}"));
    let fail = |error: std::io::Error| format!("{target}: {error}");
    for directory in [&root().join(&corpus), &root().join(&artifacts), scratch] {
        fs::create_dir_all(directory).map_err(fail)?;
    }
    let mut cargo = fuzz(&["run", &target, &corpus]);
    cargo.args(Some(&seeds).filter(|seeds| root().join(seeds).is_dir())).arg("--").args(LIMITS);
    cargo.args([format!("-max_total_time={seconds}"), "-print_final_stats=1".to_owned()]);
    let before = files(&root().join(&artifacts));
    let ended = cargo.env("TMPDIR", scratch).env("ASAN_OPTIONS", sanitizer()).output().map_err(fail)?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let count = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let mut findings = files(&root().join(&artifacts));
    findings.retain(|file| !before.contains(file));
    Ok(Outcome {
        executions: count.map_or("?", str::trim).to_owned(),
        failure: (!ended.status.success() || !findings.is_empty()).then_some(said),
        findings,
        target,
    })
}

fn sanitizer() -> OsString {
    let mut options = std::env::var_os("ASAN_OPTIONS").unwrap_or_default();
    options.push(if options.is_empty() { "" } else { ":" });
    options.push(SANITIZER);
    options
}

fn print(outcome: &Result<Outcome, String>) {
    if let Ok(Outcome { target, executions, findings, .. }) = outcome {
        println!("{target:20} {executions:>12}  {}", findings.len());
    }
}

/// The last that a failed target said, and how to see it again.
fn explain(outcome: &Outcome) {
    const LINES: usize = 60;
    let said: Vec<&str> = outcome.failure.as_deref().unwrap_or_default().lines().collect();
    println!("\n{}:\n{}", outcome.target, said[said.len().saturating_sub(LINES)..].join("\n"));
    for finding in &outcome.findings {
        let path = finding.strip_prefix(root()).unwrap_or(finding);
        println!("again: cargo +nightly fuzz run {} {}", outcome.target, path.display());
    }
}
