//! `netferry recover`: bring home what nobody will, after a crash or with a container that is gone.

use clap::Args;
use cni::Error;
use ferry::Returned;
use ferry::recover::{self, Recovered};
use serde_json::Value;

use crate::home::failed;
use crate::options::Options;
use crate::output::{Output, Table};
use crate::r#return;

/// The subcommand.
#[derive(Args)]
pub struct Recover {
    /// Only say what would be brought home
    #[arg(long)]
    dry_run: bool,
}

impl Recover {
    /// Recovers.
    ///
    /// # Errors
    /// The journal cannot be listed; what goes wrong with one owner's devices is part of what is printed.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let recovered = recover::recover(&options.journal(), self.dry_run).map_err(|error| failed(&error))?;
        let is_negative = recovered.iter().any(|one| matches!(one.outcome, Some(Err(_))));
        let json = recovered.iter().map(json).collect();
        Ok(Output { text: text(&recovered), json: Some(Value::Array(json)), is_negative })
    }
}

fn text(recovered: &[Recovered]) -> String {
    if recovered.is_empty() {
        return "nothing to recover".to_owned();
    }
    let mut table = Table::default();
    for one in recovered {
        let mut row = |device: &str, outcome: &str| table.row(&[one.why, device, outcome, &one.owner]);
        match &one.outcome {
            None => one.devices.iter().for_each(|device| row(device, "would be brought home")),
            Some(Ok(returned)) => returned.iter().for_each(|device| row(&device.device, outcome(device))),
            Some(Err(_)) if one.devices.is_empty() => row("-", "failed"),
            Some(Err(_)) => one.devices.iter().for_each(|device| row(device, "failed")),
        }
    }
    let mut lines = vec![table.to_string()];
    for one in recovered {
        match &one.outcome {
            Some(Ok(returned)) => {
                let notes = |device: &Returned| {
                    device.notes.iter().map(|note| format!("  {}: {note}", device.device)).collect::<Vec<_>>()
                };
                lines.extend(returned.iter().flat_map(notes));
            }
            Some(Err(error)) => lines.push(format!("  {error}")),
            None => {}
        }
    }
    lines.join("\n")
}

fn outcome(returned: &Returned) -> &'static str {
    if returned.is_home { "home" } else { "gone" }
}

fn json(recovered: &Recovered) -> Value {
    let mut value = match &recovered.outcome {
        Some(outcome) => r#return::json(&recovered.owner, outcome),
        None => serde_json::json!({ "owner": recovered.owner }),
    };
    value["why"] = recovered.why.into();
    value["devices"] = recovered.devices.clone().into();
    value
}
