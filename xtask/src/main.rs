//! `cargo xtask`: the one entry for whoever works on netferry. One file per subcommand.
//!
//! Contract: exit status 0 when everything asked for was done, and a sentence on standard error otherwise. No
//! dependencies, so that it builds in a second on a fresh machine.

mod bench;
mod build;
mod dist;
mod fuzz;
mod leftovers;
mod network_manager;
mod runtimes;
mod setup;
mod shell;
mod suite;
mod summary;
mod test;
mod vm;

use std::process::ExitCode;

type Subcommand = fn() -> Result<(), String>;

const SUBCOMMANDS: &[(&str, &str, Subcommand)] = &[
    ("test", "build, lint, run every test, look for leftovers", test::run_all),
    (
        "bench",
        "compare with the Go plugins, with crun and with the bare kernel: [--n N] [--only ROW] [--quick] [--json]",
        bench::run,
    ),
    ("vm", "run the tests that another kernel is for, on Debian's in QEMU", vm::run),
    ("fuzz", "run the fuzz targets: [--seconds N] [TARGET...]", fuzz::run),
    ("dist", "build and check the static binaries of a release, in target/dist", dist::run),
];

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some((_, _, run)) = SUBCOMMANDS.iter().find(|(known, ..)| *known == name) else {
        eprintln!("usage: cargo xtask SUBCOMMAND");
        SUBCOMMANDS.iter().for_each(|(known, what, _)| eprintln!("  {known:6} {what}"));
        return ExitCode::from(2);
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error}");
            ExitCode::FAILURE
        }
    }
}
