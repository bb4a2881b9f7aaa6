//! `netferry plan`: show what an ADD would do, or the carrying of a device, and change nothing.
//!
//! A word `carry` in front of `--` is the subcommand; behind it, it is the name of a network or a namespace.

mod carry;

use clap::{Args, Subcommand};
use cni::{Error, code};
use runtime::Prediction;
use serde_json::{Value, json};

use crate::attach::Target;
use crate::options::Options;
use crate::output::{self, Output, Table};

/// The subcommand.
#[derive(Args)]
#[command(
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    override_usage = "netferry plan [OPTIONS] <NETWORK> <NETNS>\n       netferry plan carry [OPTIONS] --netns <PATH> <DEVICE>..."
)]
pub struct Plan {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    target: Option<Target>,
}

/// Other things than an ADD.
#[derive(Subcommand)]
enum Other {
    /// Show what carrying network devices into a namespace would do, and what is in the way
    Carry(carry::Carry),
}

impl Plan {
    /// Asks every plugin, or looks at the devices and where they would go.
    ///
    /// # Errors
    /// The first plugin's that would refuse; a device or namespace that is not there.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        match (&self.other, &self.target) {
            (Some(Other::Carry(carry)), None) => carry.execute(options),
            (None, Some(target)) => add(target, options),
            _ => Err(Error::new(
                code::INVALID_ENVIRONMENT,
                "`plan carry` takes no network; a network or namespace named carry stands behind --",
            )),
        }
    }
}

fn add(target: &Target, options: &Options) -> Result<Output, Error> {
    let list = options.load(&target.network)?;
    let ready = options.runtime(&list)?;
    let predictions = ready.runtime.plan(&list, &target.attachment()?)?;
    let json = predictions.iter().map(|one| json!({ "type": one.plugin, "answer": one.answer })).collect();
    Ok(Output { text: text(&predictions), json: Some(Value::Array(json)), ..Output::default() })
}

fn text(predictions: &[Prediction]) -> String {
    let mut sections = Vec::new();
    for Prediction { plugin, answer } in predictions {
        let title = output::bold(plugin);
        let steps = answer.as_ref().map(|answer| answer.get("plan").and_then(Value::as_array));
        sections.push(match steps {
            None => format!("{title}\n  cannot tell: it does not know the verb PLAN, which is netferry's own"),
            Some(None) => format!("{title}\n  nothing"),
            Some(Some(steps)) => format!("{title}\n{}", table(steps)),
        });
    }
    sections.join("\n")
}

fn table(steps: &[Value]) -> String {
    let mut table = Table::default();
    for step in steps {
        let field = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or("-");
        table.row(&["", field("state"), field("side"), field("op"), field("text")]);
    }
    table.to_string()
}
