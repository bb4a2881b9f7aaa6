//! The command line `netferry`: one subcommand, one file.
//!
//! Called by the name of a plugin it is that plugin, and called as `cnitool` it is that tool: the name decides before
//! anything else is read.

mod add;
mod attach;
mod check;
mod cnitool;
mod del;
mod gc;
mod options;
mod output;
mod own;
mod plan;
mod run;
mod show;
mod status;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Carries network devices into containers and brings them home.
#[derive(Parser)]
#[command(name = "netferry", version, max_term_width = 100)]
struct Netferry {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: options::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Run a command in a network namespace of its own, joined to a network
    Run(run::Run),
    /// Join a network namespace to a network
    Add(add::Add),
    /// Take a network namespace off a network
    Del(del::Del),
    /// Compare an attachment with what it should be
    Check(check::Check),
    /// Show what an add, or carrying a device, would do, and change nothing
    Plan(plan::Plan),
    /// Show what would be carried along with a network device
    Show(show::Show),
    /// Remove what no living attachment needs
    Gc(gc::Gc),
    /// Say whether a network can be joined
    Status(status::Status),
}

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if plugins::NAMES.contains(&name) {
        return plugins::main(name);
    }
    if name == "cnitool" {
        return cnitool::main();
    }
    let Netferry { command, options } = Netferry::parse();
    let outcome = match command {
        Command::Run(run) => return run.execute(&options),
        Command::Add(add) => add.execute(&options),
        Command::Del(del) => del.execute(&options),
        Command::Check(check) => check.execute(&options),
        Command::Plan(plan) => plan.execute(&options),
        Command::Show(show) => show.execute(&options),
        Command::Gc(gc) => gc.execute(&options),
        Command::Status(status) => status.execute(&options),
    };
    output::finish(outcome, &options)
}
