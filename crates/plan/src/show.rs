//! A plan in words: what `apply` would do.

use crate::error::Result;
use crate::{Engine, Op, Plan, Side};

/// What `apply` would do with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is not there and would be made.
    Create,
    /// It is there, equal.
    Present,
    /// It is there and would be set to another value.
    Change,
}

impl State {
    /// One word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Present => "present",
            Self::Change => "change",
        }
    }
}

/// One step in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where.
    pub side: Side,
    /// Kind of object: `link`, `address`, `route`, `nft`, `sysctl` …
    pub object: &'static str,
    /// The object in the words of iproute2, nft or sysctl.
    pub text: String,
    /// What would be done.
    pub state: State,
}

impl Engine {
    /// Says what `apply` would do; changes nothing.
    ///
    /// # Errors
    /// What kept it from looking.
    pub fn preview(&mut self, plan: &Plan) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        for step in &plan.steps {
            let alone = Plan { steps: vec![step.clone()] };
            let on_new = step.op.device().is_some_and(|device| plan.makes(step.side, device));
            let state = if on_new || self.is_missing_device(step.side, &step.op)? {
                State::Create
            } else {
                match self.check(&alone)?.first() {
                    None => State::Present,
                    Some(difference) if difference.found == "absent" => State::Create,
                    Some(_) => State::Change,
                }
            };
            lines.push(Line { side: step.side, object: step.op.object(), text: step.op.to_string(), state });
        }
        Ok(lines)
    }

    /// True if the step builds on a link that is not there.
    pub(crate) fn is_missing_device(&mut self, side: Side, op: &Op) -> Result<bool> {
        match op.device() {
            Some(device) if !matches!(op, Op::Link(_)) => Ok(self.link(side, device)?.is_none()),
            _ => Ok(false),
        }
    }
}
