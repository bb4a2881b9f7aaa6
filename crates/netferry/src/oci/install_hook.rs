//! `netferry oci install-hook`: the file by which podman and CRI-O give containers the hook.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use cni::{Error, code};
use oci::hooks_d;
use serde_json::{Value, json};

use crate::options::Options;
use crate::output::{self, Output};
use crate::replace::replace;

/// The subcommand.
#[derive(Args)]
pub struct InstallHook {
    /// The directory in which the engine looks for hooks
    #[arg(long, value_name = "DIR", default_value = hooks_d::DIRECTORY)]
    dir: PathBuf,
    /// Which containers get the hook: all of them, as it does nothing for those without devices, or those with an
    /// annotation that begins with dev.netferry.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Always)]
    when: When,
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
        let when = match self.when {
            When::Always => hooks_d::When::Always,
            When::Annotated => hooks_d::When::annotated(),
        };
        let hook = super::entry(options.journal_path().as_deref()).map_err(Error::internal)?;
        let file = hooks_d::text(&hook, &when).map_err(Error::internal)?;
        let path = self.dir.join(hooks_d::NAME);
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
}
