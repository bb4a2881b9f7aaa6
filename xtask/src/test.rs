//! `cargo xtask test`: everything that must hold before a change is committed, on any machine with Rust and root.
//!
//! Packages, release binaries, OCI runtimes, NetworkManager, formatting, lints, all tests, those for another kernel; then the
//! machine must be as it was. The last line is `N passed, N failed`: tests, and each of the other steps counts as one. Arguments
//! go to the test runner instead of `--workspace` (`cargo xtask test -p lab --test swap`); formatting, lints and the other
//! kernel are then left out.

use crate::build::{Product, product};
use crate::leftovers::{self, RUN};
use crate::network_manager;
use crate::runtimes;
use crate::setup;
use crate::shell::{command, has, run, shown};
use crate::summary::{REPORT, Summary};
use crate::vm;
use std::path::PathBuf;

const FORMAT: &[&str] = &["cargo", "fmt", "--check"];
const LINTS: &[&str] = &["cargo", "clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];

/// Runs it all; a failed step does not keep the later ones from running.
///
/// # Errors
/// Something failed; the summary has been printed.
pub fn run_all() -> Result<(), String> {
    let chosen: Vec<String> = std::env::args().skip(2).collect();
    setup::packages()?;
    let product = product(setup::target())?;
    // Without them the tests that need them fail, and say so; the others can do without.
    let programs = [
        ("runtimes", "NETFERRY_RUNTIMES", runtimes::fetch()),
        ("NetworkManager", "NETFERRY_NETWORK_MANAGER", network_manager::fetch()),
    ];
    let mut steps = Vec::new();
    if chosen.is_empty() {
        steps.push(("format", run(&mut command(FORMAT))));
        steps.push(("lints", run(&mut command(LINTS))));
    }
    let mark = format!("{}-{}", std::process::id(), nanoseconds());
    let before = leftovers::before();
    let (mut summary, ran) = tests(&product, &programs, &chosen, &mark)?;
    steps.extend(programs.into_iter().map(|(name, _, fetched)| (name, fetched.map(drop))));
    // The runner's own failure is no step when it has told which tests failed.
    steps.push(("tests", if summary.failed > 0 { Ok(()) } else { ran }));
    if chosen.is_empty() {
        steps.push(("vm", vm::tests(&product).map(|other| summary.add(other))));
    }
    steps.push(("leftovers", none(before.left(&mark))));
    println!();
    for (name, result) in &steps {
        match result {
            Ok(()) => summary.passed += 1,
            Err(error) => {
                summary.failed += 1;
                println!("FAILED {name}: {error}");
            }
        }
    }
    println!("{summary}");
    if summary.failed == 0 { Ok(()) } else { Err(format!("{} failed", summary.failed)) }
}

/// Runs the tests, showing what the runner says while it says it. Each of `programs` is a name, and the variable that tells the
/// tests where they are.
fn tests(
    product: &Product,
    programs: &[(&str, &str, Result<PathBuf, String>)],
    chosen: &[String],
    mark: &str,
) -> Result<(Summary, Result<(), String>), String> {
    let report = std::env::temp_dir().join(format!("netferry-test-{mark}"));
    let mut runner = command(if has("cargo-nextest") { &["cargo", "nextest", "run"] } else { &["cargo", "test"] });
    runner.arg("--no-fail-fast");
    match chosen {
        [] => runner.arg("--workspace"),
        some => runner.args(some),
    };
    runner.env("NETFERRY_CNI_DIR", &product.plugins).env("NETFERRY_BIN", &product.netferry);
    runner.envs(programs.iter().filter_map(|(_, variable, fetched)| Some((variable, fetched.as_ref().ok()?))));
    runner.env(REPORT, &report).env(RUN, mark);
    // Most of a test's time is the kernel's grace periods.
    let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    runner.env("NEXTEST_TEST_THREADS", threads.to_string()).env("RUST_TEST_THREADS", threads.to_string());
    let (said, result) = shown(&mut runner)?;
    let reported = std::fs::read_to_string(&report).unwrap_or_default();
    remove(&report);
    Ok((Summary::read(&said, &reported), result))
}

fn none(left: Vec<String>) -> Result<(), String> {
    if left.is_empty() { Ok(()) } else { Err(format!("left on this machine:\n  {}", left.join("\n  "))) }
}

fn remove(path: &PathBuf) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        eprintln!("{}: {error}", path.display());
    }
}

fn nanoseconds() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map(|elapsed| elapsed.as_nanos()).unwrap_or_default()
}
