//! `netferry plan`: show what an ADD would do, and change nothing.

use clap::Args;
use cni::Error;
use runtime::Prediction;
use serde_json::{Value, json};

use crate::attach::Target;
use crate::options::Options;
use crate::output::{self, Output, Table};

/// The subcommand.
#[derive(Args)]
pub struct Plan {
    #[command(flatten)]
    target: Target,
}

impl Plan {
    /// Asks every plugin.
    ///
    /// # Errors
    /// The first plugin's that would refuse.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let list = options.load(&self.target.network)?;
        let ready = options.runtime(&list)?;
        let predictions = ready.runtime.plan(&list, &self.target.attachment()?)?;
        let json = predictions.iter().map(|one| json!({ "type": one.plugin, "answer": one.answer })).collect();
        Ok(Output { text: text(&predictions), json: Some(Value::Array(json)) })
    }
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
