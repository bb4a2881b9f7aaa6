//! What tests tell `cargo xtask test`: how much they did, and which processes are theirs.
//!
//! `NETFERRY_TEST_REPORT` names a file to which each fact is appended as one line `KIND COUNT NAME`;
//! `NETFERRY_TEST_RUN` is a mark every process of a run carries in its environment, so that leftovers are found.
//! Both may be unset: tests then run the same and tell nobody.

use std::io::Write;
use std::process::Command;

/// The file to which [`count`] appends.
pub const REPORT: &str = "NETFERRY_TEST_REPORT";

/// The mark that [`crate::Invocation`] and [`crate::Node`] pass on.
pub const RUN: &str = "NETFERRY_TEST_RUN";

/// Reports `count` things of a `kind` (one word: `namespace`, `fault`, `swap`, ...) done by `name`.
pub fn count(kind: &str, count: usize, name: &str) {
    let Some(path) = std::env::var_os(REPORT) else { return };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let line = format!("{kind} {count} {name}\n");
    // One write of one short line: appends of parallel tests do not mix.
    if let Err(error) = opened.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!("{}: {error}", path.display());
    }
}

/// Reports that the running test uses namespaces, under the name libtest gave its thread.
pub(crate) fn namespace_test() {
    let binary = std::env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let test = std::thread::current().name().unwrap_or("unnamed").to_owned();
    count("namespace", 1, &format!("{}::{test}", binary.unwrap_or_default()));
}

/// Passes the mark of this run on to a command.
pub(crate) fn mark(command: &mut Command) {
    if let Some(run) = std::env::var_os(RUN) {
        command.env(RUN, run);
    }
}
