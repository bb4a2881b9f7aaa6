//! The one pipeline of every call: environment and stdin in, exactly one JSON document out.

use std::io::{self, Read};
use std::process::ExitCode;

use cni::{AddResult, Command, Error, Invocation, Request, Version, render};

use crate::planned::Planned;

/// A plugin: its name, the versions it speaks, and a function for each verb.
pub struct Plugin {
    /// Its name, as `type` has it.
    pub name: &'static str,
    /// The versions it speaks.
    pub versions: &'static [Version],
    /// ADD.
    pub add: fn(&Request) -> Result<AddResult, Error>,
    /// CHECK.
    pub check: fn(&Request) -> Result<(), Error>,
    /// DEL.
    pub del: fn(&Request) -> Result<(), Error>,
    /// GC.
    pub gc: fn(&Request) -> Result<(), Error>,
    /// STATUS.
    pub status: fn(&Request) -> Result<(), Error>,
    /// PLAN, netferry's own verb: what ADD would do.
    pub plan: fn(&Request) -> Result<Planned, Error>,
}

/// Runs one call of `plugin`.
pub fn run(plugin: &Plugin) -> ExitCode {
    let invocation = Request::read(|name| std::env::var_os(name), read_stdin, plugin.versions);
    let mut undo: Option<Box<Request>> = None;
    let (version, outcome) = match invocation {
        Ok(Invocation::About) => {
            let about = format!("CNI {} plugin netferry {}", plugin.name, env!("CARGO_PKG_VERSION"));
            eprint!("{}", render::about(&about, plugin.versions));
            return ExitCode::SUCCESS;
        }
        Ok(Invocation::Version) => (Version::LATEST, Ok(render::versions(plugin.versions))),
        Ok(Invocation::Request(request)) => {
            request.conf.warnings.iter().for_each(|warning| eprintln!("netferry {}: {warning}", plugin.name));
            let outcome = call(plugin, &request);
            let version = request.conf.cni_version;
            undo = Some(request).filter(|request| request.env.command == Command::Add);
            (version, outcome)
        }
        Err(error) => (Version::LATEST, Err(error)),
    };
    match outcome {
        Ok(document) => print(&document, ExitCode::SUCCESS, || {
            if let Some(Err(error)) = undo.map(|request| (plugin.del)(&request)) {
                eprintln!("netferry: clean-up after an ADD that cannot be reported: {error}");
            }
        }),
        Err(error) => print(&render::error(&error, version), ExitCode::FAILURE, || {}),
    }
}

fn call(plugin: &Plugin, request: &Request) -> Result<String, Error> {
    let silent = |()| String::new();
    match request.env.command {
        Command::Add => render::result(&(plugin.add)(request)?, request.conf.cni_version),
        Command::Del => (plugin.del)(request).map(silent),
        Command::Check => (plugin.check)(request).map(silent),
        Command::Gc => (plugin.gc)(request).map(silent),
        Command::Status => (plugin.status)(request).map(silent),
        Command::Plan => (plugin.plan)(request)?.render(request.conf.cni_version),
        Command::Version => Ok(render::versions(plugin.versions)),
    }
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Prints the one document. A result that nobody can be told of is not left behind.
fn print(document: &str, code: ExitCode, undo: impl FnOnce()) -> ExitCode {
    // One write, and none at all for nothing: a verb that says nothing must not fail because nobody listens.
    let mut rest = document.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), rest) {
            Ok(written) => rest = &rest[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                eprintln!("netferry: cannot write to stdout: {error}");
                undo();
                return ExitCode::FAILURE;
            }
        }
    }
    code
}
