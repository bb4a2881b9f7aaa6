//! Fault injection: each system call of interest of a run fails in turn, and in another run the process is killed
//! there. After each, the recovery (DEL) must leave the state clean, and the run must then succeed.
//!
//! Contract: table-driven. One [`FaultCase`] is one run; [`FaultCase::prove`] finds its points by tracing it once
//! (strace(1), `-e inject=SYSCALL:error=E:when=N`), runs them all on parallel nodes, and returns what held and what
//! did not. Points are counted per process, from its own first instruction: loaders' files are no points.

mod points;
mod prove;

pub use points::Point;
pub use prove::Outcome;

use crate::error::{Error, Result};
use crate::node::{Container, Node};
use crate::plugin::{Attachment, Plugins, Verb};
use crate::process::{Invocation, Output};
use serde_json::Value;

/// The state the faults start from, and what they are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// Each point starts on a node on which nothing has run. Afterwards there may be nothing that a complete run and
    /// its recovery would not leave as well; one more such round must give exactly what it always gives.
    Cold,
    /// One complete run and its recovery came before; what they leave (a shared bridge, chains) is the clean state,
    /// and every point must come back to exactly it.
    Warm,
}

/// One container on one node, and the commands for it.
pub struct Steps {
    /// Run unharmed before the faulted run.
    pub prepare: Vec<Invocation>,
    /// The run whose system calls fail.
    pub act: Invocation,
    /// What must clean up after it, however it ended.
    pub recover: Invocation,
}

/// Makes the commands for a node and its container.
pub type MakeSteps = Box<dyn Fn(&Node, &Container) -> Steps + Send + Sync>;

/// A row of the table.
pub struct FaultCase {
    /// For messages and reports.
    pub name: String,
    /// From where.
    pub baseline: Baseline,
    /// Whether a run that reports an error must have undone itself before `recover`.
    pub undoes: bool,
    /// Judges what a run printed whose call failed and which was not killed.
    pub answers: fn(&Output) -> Result<()>,
    /// Prepares a fresh node, if anything is needed there.
    pub setup: fn(&Node) -> Result<()>,
    /// The commands, for this node and container.
    pub steps: MakeSteps,
}

/// How a point fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call returns this error, by its name.
    Error(&'static str),
    /// The process gets SIGKILL as it enters the call.
    Kill,
}

impl FaultCase {
    /// ADD of a plugin, recovered by DEL; and DEL after an unharmed ADD, recovered by DEL again.
    pub fn plugin(name: &str, plugins: &Plugins, conf: &Value, baseline: Baseline) -> [FaultCase; 2] {
        [Verb::Add, Verb::Del].map(|verb| {
            let (plugins, conf) = (plugins.clone(), conf.clone());
            FaultCase {
                name: format!("{name} {} {baseline:?}", verb.name()),
                baseline,
                undoes: verb == Verb::Add,
                answers: one_document,
                setup: |_| Ok(()),
                steps: Box::new(move |_, container| {
                    let attachment = Attachment::new("fault", container);
                    let call = |verb| plugins.invocation(verb, &conf, &attachment);
                    let prepare = if verb == Verb::Del { vec![call(Verb::Add)] } else { Vec::new() };
                    Steps { prepare, act: call(verb), recover: call(Verb::Del) }
                }),
            }
        })
    }
}

/// What a plugin must print whatever happens to it: on success a result or nothing, else one error object.
pub fn one_document(output: &Output) -> Result<()> {
    if output.status.success() && output.stdout.is_empty() {
        return Ok(());
    }
    let document: Value = serde_json::from_str(&output.stdout).map_err(Error::during("not one JSON document"))?;
    let error = document.get("code").is_some_and(Value::is_u64) && document.get("msg").is_some_and(Value::is_string);
    if output.status.success() || error { Ok(()) } else { Err(Error::new("neither a result nor an error object")) }
}
