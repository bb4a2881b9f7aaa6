//! `netferry cdi generate`: the file by which an engine that knows the Container Device Interface gives a container
//! network devices of this host by name.

use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use cni::{Error, code};
use ferry::name;
use oci::cdi::{self, Device};
use oci::spec::NetDevice;
use serde_json::json;

use crate::home::Home;
use crate::oci::entry;
use crate::options::Options;
use crate::output::Output;
use crate::replace::replace;

/// The device that has all the others.
const ALL: &str = "all";

/// The subcommand.
#[derive(Args)]
pub struct Cdi {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a file that describes network devices of this host
    Generate(Generate),
}

/// A device of the interface for each network device, named like it, and one named all if there are several.
#[derive(Args)]
struct Generate {
    /// Name of a device of this host, or an alternative name; once for each
    #[arg(long = "device", required = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    devices: Vec<String>,
    /// The name in the container; %d becomes the lowest number that is free [default: the one it has]
    #[arg(long = "as", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,
    /// How the container gets them
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Hook)]
    form: Form,
    /// What users ask for them by, before their names
    #[arg(long, value_name = "KIND", default_value = cdi::KIND)]
    kind: String,
    /// The file to write, such as /etc/cdi/netferry.json [default: print it]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// By linux.netDevices: for engines that know CDI 1.1.0, others refuse the file; needs a runtime that moves them,
    /// or netferry in front of one
    Devices,
    /// By netferry's hook: for every engine that knows CDI, with any runtime
    Hook,
    /// Both: as devices, and the hook sees to what the runtime did not do
    Both,
}

impl Cdi {
    /// Does it.
    ///
    /// # Errors
    /// There is no such device, the engine would refuse the file, or it cannot be written.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let Command::Generate(generate) = &self.command;
        generate.execute(options)
    }
}

impl Generate {
    fn execute(&self, options: &Options) -> Result<Output, Error> {
        if let Some(name) = self.name.as_deref().filter(|name| self.devices.len() > 1 && !name::is_template(name)) {
            let problem = format!("--as {name}: several devices cannot have one name; use a template, such as net%d");
            return Err(Error::new(code::INVALID_ENVIRONMENT, problem));
        }
        self.look_up()?;
        let entry = || entry(options.journal_path().as_deref()).map_err(Error::internal);
        let form = match self.form {
            Form::Devices => cdi::Form::Devices,
            Form::Hook => cdi::Form::Hook(entry()?),
            Form::Both => cdi::Form::Both(entry()?),
        };
        let file = cdi::generate(&self.kind, &self.described(), &form).map_err(|problems| {
            let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::new(code::INVALID_CONFIG, words.join("; "))
        })?;
        match &self.output {
            Some(path) => write(path, &file),
            None => {
                let json = serde_json::from_str(&file).map_err(Error::internal)?;
                Ok(Output { text: file.trim_end().to_owned(), json: Some(json), ..Output::default() })
            }
        }
    }

    /// All of them must be there, and each once, by whichever of its names.
    fn look_up(&self) -> Result<(), Error> {
        let mut home = Home::open()?;
        let mut seen: Vec<(u32, &str)> = Vec::new();
        for device in &self.devices {
            let link = home.find(device)?;
            let link = link.ok_or_else(|| Error::internal(format_args!("find device {device}: No such device")))?;
            if let Some((_, other)) = seen.iter().find(|(index, _)| *index == link.index) {
                let problem = format!("--device {device}: it is the same device as {other}; name it once");
                return Err(Error::new(code::INVALID_ENVIRONMENT, problem));
            }
            seen.push((link.index, device));
        }
        Ok(())
    }

    fn described(&self) -> Vec<Device> {
        let net_device = |host: &String| NetDevice { host: host.clone(), name: self.name.clone() };
        let one = |host: &String| Device { name: host.clone(), net_devices: vec![net_device(host)] };
        let mut devices: Vec<Device> = self.devices.iter().map(one).collect();
        if devices.len() > 1 {
            let net_devices = self.devices.iter().map(net_device).collect();
            devices.push(Device { name: ALL.to_owned(), net_devices });
        }
        devices
    }
}

fn write(path: &Path, file: &str) -> Result<Output, Error> {
    if let Some(directory) = path.parent().filter(|directory| *directory != Path::new("")) {
        let failed = |error| Error::new(code::IO, format!("make {}: {error}", directory.display()));
        fs::create_dir_all(directory).map_err(failed)?;
    }
    replace(path, file.as_bytes(), None).map_err(|error| Error::new(code::IO, error))?;
    let json = json!({ "path": path.to_string_lossy() });
    Ok(Output { text: format!("wrote {}", path.display()), json: Some(json), ..Output::default() })
}
