//! A policy rule.

use std::fmt;

use kernel::netlink::rule::{self, Rule as Wanted};

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// A policy rule. It stays where the link that it names goes, and so is always taken away by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The rule.
    pub rule: Wanted,
}

impl Rule {
    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        match rule::add(engine.socket(side)?, &self.rule) {
            Err(error) if error.is_present() => Ok(Done::Present),
            outcome => Ok(outcome.map(|()| Done::Made)?),
        }
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        if !rule::list(engine.socket(side)?, self.rule.ipv6)?.contains(&self.rule) {
            differences.push(Difference::absent(format_args!("rule {self}")));
        }
        Ok(())
    }

    pub(crate) fn remove(&self, engine: &mut Engine, side: Side) -> kernel::Result<()> {
        rule::remove(engine.socket(side)?, &self.rule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(f)
    }
}
