//! `netferry oci install-hook`: the file by which podman and CRI-O give containers the hook.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cni::{Error, code};
use ferry::name;
use oci::hooks_d;
use oci::spec::NetDevice;
use serde_json::{Value, json};

use super::hook::device;
use crate::options::Options;
use crate::output::{self, Output};
use crate::replace::replace;

/// The subcommand.
#[derive(Args)]
pub struct InstallHook {
    /// The directory in which the engine looks for hooks
    #[arg(long, value_name = "DIR", default_value = hooks_d::DIRECTORY)]
    dir: PathBuf,
    /// The file's name there; engines take them in the order of their names
    #[arg(long, value_name = "NAME", default_value = hooks_d::NAME, value_parser = file_name)]
    file: String,
    /// Which containers get the hook: all of them, as it does nothing for those without devices, or those with an
    /// annotation that begins with dev.netferry. [default: always, or annotated with --device]
    #[arg(long, value_enum, value_name = "WHEN")]
    when: Option<When>,
    /// Those with this annotation get it, of whatever value or of this one; once for each that they must have
    #[arg(long = "annotation", value_name = "KEY[=VALUE]", value_parser = annotation, conflicts_with = "when")]
    annotations: Vec<(String, String)>,
    /// A device that such a container gets besides those of config.json, and its name there: HOST, or HOST=NAME
    #[arg(long = "device", value_name = "DEVICE", value_parser = device)]
    devices: Vec<NetDevice>,
    /// Print the file, and write nothing
    #[arg(long)]
    print: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    Always,
    Annotated,
}

impl InstallHook {
    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// It cannot be written, or nobody could call this program.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let when = self.when()?;
        for name in self.devices.iter().filter_map(NetDevice::new_name) {
            let invalid =
                |why| Error::new(code::INVALID_CONFIG, format!("--device: no device is named {name:?}: {why}"));
            name::check(name).map_err(invalid)?;
        }
        let hook =
            super::entry(options.journal_path().as_deref()).map_err(Error::internal)?.with_devices(&self.devices);
        let file = hooks_d::text(&hook, &when).map_err(Error::internal)?;
        let path = self.dir.join(&self.file);
        if !self.print {
            let failed = |error| Error::new(code::IO, format!("make {}: {error}", self.dir.display()));
            fs::create_dir_all(&self.dir).map_err(failed)?;
            replace(&path, file.as_bytes(), None).map_err(|error| Error::new(code::IO, error))?;
        }
        let value: Value = serde_json::from_str(&file).map_err(Error::internal)?;
        let json = json!({ "path": path.to_string_lossy(), "written": !self.print, "file": value });
        let file = file.trim_end();
        let text = match self.print {
            true => file.to_owned(),
            false => format!("{}\n{file}", output::bold(&format!("wrote {}", path.display()))),
        };
        Ok(Output { text, json: Some(json), ..Output::default() })
    }

    /// Which containers: a device for all of them would be one for the first, and an error for the others.
    fn when(&self) -> Result<hooks_d::When, Error> {
        if !self.annotations.is_empty() {
            let pairs = self.annotations.iter().cloned();
            return Ok(hooks_d::When::Annotations(pairs.collect::<BTreeMap<_, _>>()));
        }
        match self.when {
            Some(When::Always) if !self.devices.is_empty() => {
                let problem = "--when always: every container would ask for the devices; choose some by --annotation";
                Err(Error::new(code::INVALID_CONFIG, problem))
            }
            None if !self.devices.is_empty() => Ok(hooks_d::When::annotated()),
            Some(When::Annotated) => Ok(hooks_d::When::annotated()),
            Some(When::Always) | None => Ok(hooks_d::When::Always),
        }
    }
}

/// Reads `KEY[=VALUE]`, as expressions for just that.
fn annotation(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
    if key.is_empty() {
        return Err("it has no key".to_owned());
    }
    Ok((hooks_d::exactly(key), value.map(hooks_d::exactly).unwrap_or_default()))
}

/// Checks what engines take for a file of theirs.
fn file_name(text: &str) -> Result<String, String> {
    let is_one = !text.contains('/') && text.strip_suffix(".json").is_some_and(|stem| !stem.is_empty());
    if is_one { Ok(text.to_owned()) } else { Err("it must be a name that ends in .json".to_owned()) }
}
