//! Comparing a plan with the kernel.

use crate::op::Carried;
use crate::{Difference, Engine, Op, Plan, Result};

impl Engine {
    /// Every difference between `plan` and the kernel; changes nothing.
    ///
    /// # Errors
    /// What kept it from looking.
    pub fn check(&mut self, plan: &Plan) -> Result<Vec<Difference>> {
        let (mut differences, mut carried) = (Vec::new(), Carried::default());
        for step in &plan.steps {
            let side = step.side;
            if self.is_missing_device(side, &step.op)? {
                differences.push(Difference::absent(format_args!("{side} {} {}", step.op.object(), step.op)));
                continue;
            }
            match &step.op {
                Op::Link(op) => op.check(self, side, &mut differences)?,
                Op::Change(op) => op.check(self, side, &mut differences)?,
                Op::PortVlan(op) => op.check(self, side, &mut carried, &mut differences)?,
                Op::Address(op) => op.check(self, side, &mut differences)?,
                Op::Route(op) => op.check(self, side, &mut differences)?,
                Op::Rule(op) => op.check(self, side, &mut differences)?,
                Op::Neighbour(op) => op.check(self, side, &mut differences)?,
                Op::Sysctl(op) => op.check(self, side, &mut differences)?,
                Op::Forwarding(op) => op.check(self, side, &mut differences)?,
                Op::Nft(op) => op.check(self, &mut differences)?,
                Op::Iptables(op) => op.check(self, &mut differences)?,
                Op::Ready(op) => op.check(self, side, &mut differences)?,
                Op::Announce(_) => {}
            }
        }
        Ok(differences)
    }
}
