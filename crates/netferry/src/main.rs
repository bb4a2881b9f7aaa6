//! The command line `netferry`: one subcommand, one file.
//!
//! Called by the name of a plugin it is that plugin, called as `cnitool` it is that tool, and called as `netferry-RUNTIME`
//! it stands in front of that runtime: the name decides before anything else is read.

mod add;
mod attach;
mod carry;
mod cdi;
mod check;
mod child;
mod cnitool;
mod del;
mod gc;
mod home;
mod list;
mod oci;
mod options;
mod output;
mod own;
mod plan;
mod recover;
mod replace;
mod r#return;
mod run;
mod show;
mod signals;
mod since;
mod status;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

// A hook, a wrapper and a plugin live for a millisecond; what lives longer does not need more.
#[global_allocator]
static ARENA: plugins::Arena = plugins::Arena;

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
    /// Remove what no living attachment needs
    Gc(gc::Gc),
    /// Say whether a network can be joined
    Status(status::Status),
    /// Carry network devices into a namespace, all of them or none
    Carry(carry::Carry),
    /// Bring lent devices home
    Return(r#return::Return),
    /// List what is lent, to whom, and since when
    List(list::List),
    /// Bring home what a crash or a container that is gone has left behind
    Recover(recover::Recover),
    /// Show what would be carried along with a network device
    Show(show::Show),
    /// Show what an add, or carrying devices, would do, and change nothing
    Plan(plan::Plan),
    /// Give containers of any OCI runtime network devices
    Oci(oci::Oci),
    /// Describe network devices to engines that know the Container Device Interface
    Cdi(cdi::Cdi),
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
    if let Some(runtime) = oci::name(name) {
        return oci::main(runtime);
    }
    if let Some(done) = oci::hook() {
        return done;
    }
    let Netferry { command, options } = Netferry::parse();
    let outcome = match command {
        Command::Run(run) => return run.execute(&options),
        Command::Add(add) => add.execute(&options),
        Command::Del(del) => del.execute(&options),
        Command::Check(check) => check.execute(&options),
        Command::Gc(gc) => gc.execute(&options),
        Command::Status(status) => status.execute(&options),
        Command::Carry(carry) => carry.execute(&options),
        Command::Return(r#return) => r#return.execute(&options),
        Command::List(list) => list.execute(&options),
        Command::Recover(recover) => recover.execute(&options),
        Command::Show(show) => show.execute(&options),
        Command::Plan(plan) => plan.execute(&options),
        Command::Oci(oci) => return oci.execute(&options),
        Command::Cdi(cdi) => cdi.execute(&options),
    };
    output::finish(outcome, &options)
}
