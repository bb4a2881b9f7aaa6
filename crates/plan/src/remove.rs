//! Taking away what a plan owns, without having seen it made.

use kernel::netlink::link::{self, Kind};

use crate::{Engine, Op, Plan, Side};

impl Engine {
    /// Removes what `plan` owns, in reverse. What is gone already is success; every error is collected and the rest goes
    /// on. Shared objects stay; whatever rests on a link that the plan owns goes with the link; a container's objects
    /// are gone if its namespace is.
    pub fn remove(&mut self, plan: &Plan) -> Vec<kernel::Error> {
        let mut errors = Vec::new();
        for step in plan.steps.iter().rev() {
            let unreachable = step.side == Side::Container && !self.has_container();
            let goes_along = step.op.device().is_some_and(|device| plan.makes(step.side, device));
            if step.shared || unreachable || (goes_along && !matches!(step.op, Op::Link(_))) {
                continue;
            }
            let outcome = match &step.op {
                Op::Link(op) => op.remove_either_end(self, step.side, step.shared),
                _ => self.unmake(step),
            };
            errors.extend(outcome.err().filter(|error| !error.is_absent()));
        }
        errors
    }

    /// Removes a link that has no members any more: a bridge that was made for what is gone. One with members stays, and
    /// nobody who calls [`Engine::share`] joins it meanwhile. A pair that joins it to this same side is no member but a
    /// part, and goes with it, if `is_part` says so of its other end's name.
    ///
    /// # Errors
    /// The kernel's words.
    pub fn remove_unused(&mut self, side: Side, name: &str, is_part: impl Fn(&str) -> bool) -> kernel::Result<()> {
        self.alone()?;
        self.forget(side, name);
        let Some(index) = self.link(side, name)?.map(|link| link.index) else { return Ok(()) };
        let parts = link::list(self.socket(side)?, Some(index))?;
        for part in &parts {
            // The other end of a member is in the container, which saves a question for each.
            let other = part.peer.filter(|_| part.kind == Kind::Veth && part.peer_netns.is_none());
            let other = other.map(|other| link::get_by_index(self.socket(side)?, other)).transpose()?.flatten();
            if !other.is_some_and(|other| is_part(&other.name)) {
                return Ok(());
            }
        }
        for (index, name) in parts.iter().map(|part| (part.index, part.name.as_str())).chain([(index, name)]) {
            self.forget(side, name);
            match self.depart(side, index, name) {
                Err(error) if error.is_absent() => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Lets go of what would block the end of the process: to be called last.
    pub fn close(self) {
        let Some(socket) = self.nft_in_the_way() else { return };
        // Without a child the close is ours, and waits: slower, but right.
        let _ = kernel::depart::let_go_nft(socket);
    }
}
