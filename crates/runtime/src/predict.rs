//! PLAN: what an ADD would do, asked of each plugin in order, and changed by none.
//!
//! The verb is netferry's own. A plugin that does not know it says so, as it must of any verb that it does not know;
//! its result is unknown then, and those after it are asked without one.

use cni::env::Command;
use cni::list::NetworkList;
use cni::{Error, code};
use serde_json::Value;

use crate::attachment::Attachment;
use crate::chain::{Runtime, plugin_failed, text};
use crate::invoke::Input;

/// What one plugin would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Type of the plugin.
    pub plugin: String,
    /// Its answer, `{"cniVersion", "plan", "result"}`; `None` if it cannot tell.
    pub answer: Option<Value>,
}

impl Runtime {
    /// Asks every plugin what it would do to join `attachment` to the network.
    ///
    /// # Errors
    /// The first plugin's that would refuse.
    pub fn plan(&self, list: &NetworkList, attachment: &Attachment) -> Result<Vec<Prediction>, Error> {
        attachment.validate(&list.name)?;
        self.validate(list)?;
        let mut result = None;
        let mut predictions = Vec::new();
        for plugin in &list.plugins {
            let input = Input { prev_result: result.as_ref(), ..Input::attach(attachment) };
            let answer = match self.call(Command::Plan, list, plugin, &input) {
                Ok(output) => Some(self.answer(&output)?),
                Err(error) if is_unknown_verb(&error) => None,
                Err(error) => return Err(error.context(plugin_failed(plugin, "plan"))),
            };
            result = answer.as_ref().and_then(|answer| answer.get("result")).cloned();
            predictions.push(Prediction { plugin: text(plugin, "type").to_owned(), answer });
        }
        Ok(predictions)
    }

    fn answer(&self, output: &[u8]) -> Result<Value, Error> {
        let malformed = |error| Error::new(code::DECODE, format!("the plan cannot be read: {error}"));
        cni::json::parse(output).map_err(malformed)
    }
}

fn is_unknown_verb(error: &Error) -> bool {
    error.msg.starts_with("unknown CNI_COMMAND")
}
