//! The verbs of one plugin from environment and stdin, as the binary `netferry-cni` runs them; the tests start this as a
//! process. Usage: `ipam host-local|static`.

use std::io::{self, Read};
use std::process::ExitCode;

use cni::env::Command;
use cni::request::{Invocation, Request};
use cni::{AddResult, Error, Version, render};

fn main() -> ExitCode {
    let plugin = std::env::args().nth(1).unwrap_or_default();
    let (text, code) = match run(&plugin) {
        Ok(text) => (text, ExitCode::SUCCESS),
        Err(error) => (render::error(&error, Version::LATEST), ExitCode::FAILURE),
    };
    print!("{text}");
    code
}

fn run(plugin: &str) -> Result<String, Error> {
    let stdin = || {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    };
    match Request::read(|name| std::env::var_os(name), stdin, &Version::ALL)? {
        Invocation::About => Ok(render::about("ipam", &Version::ALL)),
        Invocation::Version => Ok(render::versions(&Version::ALL)),
        Invocation::Request(request) => match plugin {
            "host-local" => serve(&request, &HOST_LOCAL),
            "static" => serve(&request, &STATIC),
            other => Err(Error::internal(format_args!("no plugin {other:?}"))),
        },
    }
}

struct Plugin {
    add: fn(&Request) -> Result<AddResult, Error>,
    preview: fn(&Request) -> Result<AddResult, Error>,
    check: fn(&Request) -> Result<(), Error>,
    del: fn(&Request) -> Result<(), Error>,
    gc: fn(&Request) -> Result<(), Error>,
    status: fn(&Request) -> Result<(), Error>,
}

const HOST_LOCAL: Plugin = Plugin {
    add: ipam::host_local::add,
    preview: ipam::host_local::preview,
    check: ipam::host_local::check,
    del: ipam::host_local::del,
    gc: ipam::host_local::gc,
    status: ipam::host_local::status,
};

const STATIC: Plugin = Plugin {
    add: ipam::static_::add,
    preview: ipam::static_::preview,
    check: ipam::static_::check,
    del: ipam::static_::del,
    gc: ipam::static_::gc,
    status: ipam::static_::status,
};

fn serve(request: &Request, plugin: &Plugin) -> Result<String, Error> {
    let silent = |done: Result<(), Error>| done.map(|()| String::new());
    match request.env.command {
        Command::Add => render::result(&(plugin.add)(request)?, request.conf.cni_version),
        Command::Plan => render::result(&(plugin.preview)(request)?, request.conf.cni_version),
        Command::Check => silent((plugin.check)(request)),
        Command::Del => silent((plugin.del)(request)),
        Command::Gc => silent((plugin.gc)(request)),
        Command::Status => silent((plugin.status)(request)),
        Command::Version => Ok(render::versions(&Version::ALL)),
    }
}
