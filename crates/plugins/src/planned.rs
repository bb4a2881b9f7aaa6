//! What PLAN prints: the steps of an ADD in words, and the result it would have.

use cni::{AddResult, Error, Version, render, wire};
use plan::Line;
use serde_json::{Map, Value};

/// The answer to PLAN.
pub struct Planned {
    /// What would be done, in order.
    pub lines: Vec<Line>,
    /// What ADD would report, as far as it can be known.
    pub result: AddResult,
}

impl Planned {
    /// The JSON document: `cniVersion`, `plan` (side, op, text, state) and `result`.
    pub fn render(&self, version: Version) -> Result<String, Error> {
        let step = |line: &Line| {
            let mut step = Map::new();
            step.insert("side".to_owned(), line.side.to_string().into());
            step.insert("op".to_owned(), line.object.into());
            step.insert("text".to_owned(), line.text.as_str().into());
            step.insert("state".to_owned(), line.state.as_str().into());
            Value::Object(step)
        };
        let mut document = Map::new();
        document.insert("cniVersion".to_owned(), version.as_str().into());
        document.insert("plan".to_owned(), self.lines.iter().map(step).collect::<Vec<_>>().into());
        document.insert("result".to_owned(), wire::to_json(&self.result, version)?);
        Ok(render::pretty(&Value::Object(document)))
    }
}
