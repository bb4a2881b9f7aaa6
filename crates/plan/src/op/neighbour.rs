//! A neighbour of a link, or an address that the link answers for.

use std::fmt;

use kernel::netlink::neighbour::{self, Neighbour as Wanted};

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// A neighbour, of a link that the plan names. The index in `neighbour` is filled in when it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// The link.
    pub device: String,
    /// The neighbour.
    pub neighbour: Wanted,
}

impl Neighbour {
    fn of(&self, engine: &mut Engine, side: Side) -> Result<Wanted> {
        Ok(Wanted { index: engine.index(side, &self.device)?, ..self.neighbour.clone() })
    }

    /// Traffic may have made the kernel learn of the neighbour already, and what is said here is what counts.
    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        let wanted = self.of(engine, side)?;
        let socket = engine.socket(side)?;
        match neighbour::add(socket, &wanted, &self.device) {
            Err(error) if error.is_present() => {
                Ok(neighbour::replace(socket, &wanted, &self.device).map(|()| Done::Made)?)
            }
            outcome => Ok(outcome.map(|()| Done::Made)?),
        }
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let wanted = self.of(engine, side)?;
        let found = neighbour::list(engine.socket(side)?, Some(wanted.index), wanted.proxy)?;
        let object = format!("neighbour {self}");
        match found.iter().find(|found| found.address == wanted.address && found.index == wanted.index) {
            None => differences.push(Difference::absent(object)),
            Some(found) if found.mac != wanted.mac || found.state != wanted.state => {
                differences.push(Difference::new(object, &self.neighbour, found));
            }
            Some(_) => {}
        }
        Ok(())
    }

    pub(crate) fn remove(&self, engine: &mut Engine, side: Side) -> kernel::Result<()> {
        let Some(index) = engine.link(side, &self.device)?.map(|link| link.index) else { return Ok(()) };
        let wanted = Wanted { index, ..self.neighbour.clone() };
        neighbour::remove(engine.socket(side)?, &wanted, &self.device)
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.neighbour, self.device)
    }
}
