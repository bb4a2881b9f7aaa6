//! One call of a program, timed from spawn to reap.
//!
//! `std::process` spawns with posix_spawn(3) as long as nothing but environment and files is set, which costs every
//! contender the same. Standard streams are files, so that nobody waits for a reader.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// The kernel ends grace periods of what has gone in the background; nobody's next call should pay for them.
const SETTLE: Duration = Duration::from_millis(40);
/// A tick at 250 Hz, the slowest that is usual.
const TICK: Duration = Duration::from_millis(4);
static SETTLED: AtomicUsize = AtomicUsize::new(0);

/// Waits until what ended before is through, and a part of a tick more that is another each time.
///
/// What waits for a grace period ends with a tick. What follows at a fixed distance would begin at the same phase of a tick
/// whenever it is called, so that work up to the next tick costs nothing and a little more costs a whole one.
pub fn settle() {
    // Multiples of the golden ratio fall evenly, however few there are and whichever of them a contender gets.
    let turn = f64::from(u16::try_from(SETTLED.fetch_add(1, Ordering::Relaxed) % 10_000).unwrap_or_default());
    std::thread::sleep(SETTLE + TICK.mul_f64((turn * 0.618_033_988_75).fract()));
}

/// A call that succeeded.
pub struct Done {
    /// From spawn to reap, in milliseconds.
    pub milliseconds: f64,
    /// What it printed.
    pub stdout: String,
}

/// Runs `command` with `stdin` and times it.
///
/// # Errors
/// It cannot be run, or ended with another status than 0: then with all it said.
pub fn timed(command: &mut Command, stdin: &str) -> Result<Done, String> {
    let base = PathBuf::from(format!("/run/bench/call-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
    let [input, output, errors] = ["in", "out", "err"].map(|end| base.with_extension(end));
    let outcome = timed_with(command, stdin, &input, &output, &errors);
    for path in [&input, &output, &errors] {
        // What is left there goes with the node.
        let _ = std::fs::remove_file(path);
    }
    outcome.map_err(|error| format!("{}: {error}", command.get_program().display()))
}

fn timed_with(command: &mut Command, stdin: &str, input: &Path, output: &Path, errors: &Path) -> Result<Done, String> {
    let fail = |error: std::io::Error| error.to_string();
    File::create(input).and_then(|mut file| file.write_all(stdin.as_bytes())).map_err(fail)?;
    command.stdin(File::open(input).map_err(fail)?);
    command.stdout(File::create(output).map_err(fail)?).stderr(File::create(errors).map_err(fail)?);
    let start = Instant::now();
    let status = command.spawn().and_then(|mut child| child.wait());
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = status.map_err(fail)?;
    let stdout = std::fs::read_to_string(output).map_err(fail)?;
    if status.success() {
        return Ok(Done { milliseconds, stdout });
    }
    let said = std::fs::read_to_string(errors).unwrap_or_default();
    Err(format!("{status}\n{stdout}\n{said}"))
}
