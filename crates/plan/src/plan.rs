//! A plan: steps in the order in which they are made, and so in reverse the order in which they are taken away.

use std::fmt;

use crate::Op;

/// The namespace that an object lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The namespace the engine was opened in: the node.
    Host,
    /// The other one: the container's.
    Container,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Container => "container",
        })
    }
}

/// One object of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Where it lives.
    pub side: Side,
    /// What it is.
    pub op: Op,
    /// Others use it too, so it is adopted where it exists and stays when the rest is removed: a bridge, its gateway
    /// addresses, the forwarding switch.
    pub shared: bool,
}

/// Objects, in the order in which they are made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Plan {
    /// A plan of nothing.
    pub const fn new() -> Self {
        Self { steps: Vec::new() }
    }

    /// Adds an object that belongs to whoever the plan is for, and goes with it.
    pub fn own(&mut self, side: Side, op: impl Into<Op>) {
        self.steps.push(Step { side, op: op.into(), shared: false });
    }

    /// Adds an object that is shared, and stays.
    pub fn share(&mut self, side: Side, op: impl Into<Op>) {
        self.steps.push(Step { side, op: op.into(), shared: true });
    }

    /// Adds all steps of `other`.
    pub fn extend(&mut self, other: Self) {
        self.steps.extend(other.steps);
    }

    /// True if this plan makes the link `name` on `side` as its own: whatever else it puts there goes with the link.
    pub(crate) fn makes(&self, side: Side, name: &str) -> bool {
        self.steps.iter().any(|step| match &step.op {
            Op::Link(link) if !step.shared => {
                (step.side == side && link.name == name)
                    || link.peer.as_ref().is_some_and(|peer| peer.side == side && peer.name == name)
            }
            _ => false,
        })
    }
}
