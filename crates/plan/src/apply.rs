//! Making a plan so, or leaving everything as it was.

use crate::error::{Cause, Result};
use crate::{Engine, Op, Plan, Step};

/// What a step found and did; from it follows how it is undone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Done {
    /// It was made: undone by its own removal.
    Made,
    /// It was there, equal: not ours to undo.
    Present,
    /// It was there with another value: undone by putting this back.
    Changed(Box<Op>),
}

impl Done {
    /// It had another value, which `previous` puts back.
    pub(crate) fn changed(previous: impl Into<Op>) -> Self {
        Self::Changed(Box::new(previous.into()))
    }
}

impl Engine {
    /// Makes every step of `plan` so, in order. Several plans can be applied one behind the other; a failure undoes all
    /// of them, in reverse, exactly as far as this engine made them.
    ///
    /// # Errors
    /// What went wrong first, and what the undo met.
    pub fn apply(&mut self, plan: &Plan) -> Result<()> {
        for step in &plan.steps {
            match self.make(step) {
                Ok(done) => self.done.push((step.clone(), done)),
                Err(mut error) => {
                    // What the kernel refused is not there; what it did may be, if only the answer was lost.
                    if matches!(error.cause, Cause::Kernel(_)) && !step.shared {
                        self.done.push((step.clone(), Done::Made));
                    }
                    error.cleanup.extend(self.undo());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Makes every step of `plan` so that can be made so, in order, and undoes none: for what is put back rather than
    /// made. Returns what went wrong.
    pub fn converge(&mut self, plan: &Plan) -> Vec<crate::Error> {
        plan.steps.iter().filter_map(|step| self.make(step).err()).collect()
    }

    /// Undoes everything this engine applied; returns what could not be undone.
    pub fn undo(&mut self) -> Vec<kernel::Error> {
        let mut errors = Vec::new();
        while let Some((step, done)) = self.done.pop() {
            let outcome = match done {
                Done::Present => Ok(()),
                Done::Made if step.op.rests_on_made(self, step.side) => Ok(()),
                Done::Made => self.unmake(&step),
                Done::Changed(previous) => {
                    self.make(&Step { op: *previous, ..step }).map(drop).map_err(kernel::Error::from)
                }
            };
            errors.extend(outcome.err().filter(|error| !error.is_absent()));
        }
        errors
    }

    fn make(&mut self, step: &Step) -> Result<Done> {
        match &step.op {
            Op::Link(op) => op.apply(self, step.side, step.shared),
            Op::Change(op) => op.apply(self, step.side),
            Op::PortVlan(op) => op.apply(self, step.side, step.shared),
            Op::Address(op) => op.apply(self, step.side),
            Op::Route(op) => op.apply(self, step.side),
            Op::Rule(op) => op.apply(self, step.side),
            Op::Neighbour(op) => op.apply(self, step.side),
            Op::Sysctl(op) => op.apply(self, step.side, step.shared),
            Op::Forwarding(op) => op.apply(self, step.side),
            Op::Nft(op) => op.apply(self),
            Op::Iptables(op) => op.apply(self),
            Op::Announce(op) => op.apply(self, step.side),
            Op::Ready(op) => op.apply(self, step.side),
        }
    }

    /// Takes one object away; absence is an error here, for the caller to judge.
    pub(crate) fn unmake(&mut self, step: &Step) -> kernel::Result<()> {
        match &step.op {
            Op::Link(op) => op.remove(self, step.side, step.shared),
            Op::Address(op) => op.remove(self, step.side, step.shared),
            Op::Route(op) => op.remove(self, step.side),
            Op::Rule(op) => op.remove(self, step.side),
            Op::Neighbour(op) => op.remove(self, step.side),
            Op::Nft(op) => op.remove(self),
            Op::Iptables(op) => op.remove(self),
            // Settings have no absence; they are restored by `Done::Changed` or go with their link.
            Op::Change(_) | Op::Forwarding(_) | Op::PortVlan(_) | Op::Sysctl(_) | Op::Announce(_) | Op::Ready(_) => {
                Ok(())
            }
        }
    }
}
