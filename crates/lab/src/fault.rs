//! Fault injection: each system call of interest of a run fails in turn, and in another run the process is killed
//! there. After each, the recovery (DEL) must leave the state clean, and the run must then succeed.
//!
//! Contract: table-driven. One [`FaultCase`] is one run; [`FaultCase::prove`] finds its points by tracing it once
//! (strace(1), `-e inject=SYSCALL:error=E:when=N`), runs them all on parallel nodes, and returns what held and what
//! did not. Points are counted per process, from its own first instruction: loaders' files are no points.

mod cases;
mod points;
mod prove;

pub use cases::one_document;
pub use points::Point;
pub use prove::Outcome;

use crate::error::Result;
use crate::node::{Container, Node};
use crate::process::{Invocation, Output};

/// The state the faults start from, and what they are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// Each point starts on a node on which nothing has run. Afterwards there may be nothing that a complete run and
    /// its recovery would not leave as well; one more such round must give exactly what it always gives.
    Cold,
    /// One complete run and its recovery came before; what they leave (a shared bridge, chains) is the clean state,
    /// and every point must come back to exactly it.
    Warm,
    /// The state in which the commands were made. The run changes nothing: after every point there must be exactly it,
    /// before any recovery, a killed run's included.
    Unchanged,
}

/// One container on one node, and the commands for it.
pub struct Steps {
    /// Run unharmed before the faulted run.
    pub prepare: Vec<Invocation>,
    /// The run whose system calls fail.
    pub act: Invocation,
    /// What must clean up after it, however it ended. `None`: the next run of `act` does.
    pub recover: Option<Cure>,
}

/// What cleans up.
pub enum Cure {
    /// A command, whose status must be 0. It finds in `$ENDED` how the run before it ended: its exit code, or `killed`.
    Command(Invocation),
    /// A call, on a thread of its own inside the node.
    Call(Box<dyn Fn() -> Result<()> + Send + Sync>),
}

/// Makes the commands for a node and its container, and what they need there.
pub type MakeSteps = Box<dyn Fn(&Node, &Container) -> Result<Steps> + Send + Sync>;

/// A row of the table.
pub struct FaultCase {
    /// For messages and reports.
    pub name: String,
    /// From where.
    pub baseline: Baseline,
    /// Which points belong to the case; how many others there were is printed.
    pub only: fn(&Point) -> bool,
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
