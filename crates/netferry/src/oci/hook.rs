//! `netferry oci hook`: what a runtime calls before a container's program begins, and when it has ended.
//!
//! Nobody tells a hook which one it is: it follows from the state that the runtime gives on standard input. Whatever is said
//! goes to standard error, which runtimes show when a hook fails.

use std::io::{Read, stdin};
use std::os::unix::net::UnixDatagram;

use ::oci::spec::NetDevice;
use ::oci::state::Stage;
use ::oci::{Spec, State, hook};
use clap::Args;
use cni::Error;
use rustix::process::{Pid, getppid};

use super::bundle;
use crate::home::failed;
use crate::options::Options;
use crate::output::Output;

/// Longer than any state.
const LONGEST_STATE: u64 = 4 << 20;

/// The subcommand.
#[derive(Args)]
pub struct Hook {
    /// A device that the container gets besides those of config.json, and its name there: HOST, or HOST=NAME
    #[arg(long = "device", value_name = "DEVICE", value_parser = device)]
    devices: Vec<NetDevice>,
}

/// Reads `HOST[=NAME]`.
pub(super) fn device(text: &str) -> Result<NetDevice, String> {
    let (host, name) = match text.split_once('=') {
        Some((host, name)) => (host, Some(name.to_owned())),
        None => (text, None),
    };
    if host.is_empty() { Err("it names no device".to_owned()) } else { Ok(NetDevice { host: host.to_owned(), name }) }
}

impl Hook {
    /// Carries, or brings home.
    ///
    /// # Errors
    /// Standard input is no state of a container; those of [`hook::create`] and [`hook::stop`].
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        self.act(options).inspect_err(|error| log(&error.to_string()))
    }

    fn act(&self, options: &Options) -> Result<Output, Error> {
        let mut text = Vec::new();
        let read = stdin().take(LONGEST_STATE).read_to_end(&mut text);
        read.map_err(|error| failed(&format!("read the container's state from standard input: {error}")))?;
        let state = State::read(&text).map_err(|error| failed(&format!("the container's state: {error}")))?;
        let journal = options.journal();
        match state.stage() {
            Some(Stage::Create) => {
                // The runtime has read it, and entered the namespace that it names.
                let config = state.bundle.join(bundle::CONFIG);
                bundle::unplace(&config, &journal)
                    .map_err(|error| failed(&format!("{}: {error}", config.display())))?;
                let spec = self.spec(&state)?;
                let notes = hook::create(&journal, &state, &spec).map_err(|error| failed(&error))?;
                notes.iter().for_each(|note| eprintln!("netferry: {note}"));
            }
            Some(Stage::Stop) => {
                for one in hook::stop(&journal, &state.id, &state.bundle).map_err(|error| failed(&error))? {
                    one.notes.iter().for_each(|note| eprintln!("netferry: {}: {note}", one.device));
                }
            }
            None => {
                let problem = "the container runs: this is a hook for createRuntime (or prestart) and poststop";
                return Err(failed(&problem));
            }
        }
        Ok(Output::default())
    }

    /// What config.json says, with the devices of the command line.
    fn spec(&self, state: &State) -> Result<Spec, Error> {
        let mut spec = bundle::spec(&state.bundle)?;
        if let Some(device) = spec.devices.first()
            && is_called_by("youki")
        {
            return Err(failed(&format!(
                "linux.netDevices.{}: youki moves the device itself, behind this hook, and would not find it: let netferry-youki \
                 be called instead of youki, or ask for the device by --device alone",
                device.host
            )));
        }
        for device in &self.devices {
            match spec.devices.iter().find(|own| own.host == device.host) {
                Some(own) if own.new_name() != device.new_name() => {
                    let (host, own) = (&device.host, own.new_name().unwrap_or(&own.host));
                    let other = device.new_name().unwrap_or(host);
                    return Err(failed(&format!("--device {host}: as {other}, and config.json has it as {own}")));
                }
                Some(_) => {}
                None => spec.devices.push(device.clone()),
            }
        }
        for (key, value) in &state.annotations {
            spec.annotations.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Ok(spec)
    }
}

/// True if a program has called us that was called by this name, whatever follows it. Its file would not tell: a runtime runs
/// from a sealed copy without a name.
fn is_called_by(name: &str) -> bool {
    let caller = getppid().map_or(0, Pid::as_raw_pid);
    // Whoever cannot be seen is nobody whom we know.
    let words = std::fs::read(format!("/proc/{caller}/cmdline")).unwrap_or_default();
    let first = words.split(|byte| *byte == 0).next().unwrap_or_default();
    let program = first.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    program.starts_with(name.as_bytes())
}

/// Tells the system's log, where there is one: crun passes on nothing of what a hook says (`syslog(3)`; 27 is an error of a
/// daemon).
fn log(error: &str) {
    let line = format!("<27>netferry[{}]: oci hook: {error}", std::process::id());
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(line.as_bytes(), "/dev/log")
    });
    // Nobody is there to be told that nobody is there.
    drop(sent);
}
