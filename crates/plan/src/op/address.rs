//! An address of a link.

use std::fmt;

use kernel::netlink::address::{self, Address as Wanted};

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Op, Side};

/// An address, on a link that the plan names. The index in `address` is filled in when it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    /// The link.
    pub device: String,
    /// The address.
    pub address: Wanted,
    /// An address of the link that has to give way to it.
    pub replaces: Option<Wanted>,
}

impl Address {
    /// `address` on `device`.
    pub fn new(device: impl Into<String>, address: Wanted) -> Self {
        Self { device: device.into(), address, replaces: None }
    }

    fn on(&self, engine: &mut Engine, side: Side) -> Result<Wanted> {
        Ok(Wanted { index: engine.index(side, &self.device)?, ..self.address.clone() })
    }

    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        let wanted = self.on(engine, side)?;
        let socket = engine.socket(side)?;
        if let Some(old) = &self.replaces {
            match address::remove(socket, &Wanted { index: wanted.index, ..old.clone() }, &self.device) {
                Err(error) if !error.is_absent() => return Err(error.into()),
                _ => {}
            }
        }
        match address::add(socket, &wanted, &self.device) {
            Ok(()) => Ok(match &self.replaces {
                None => Done::Made,
                Some(old) => Done::Changed(Op::Address(Self {
                    device: self.device.clone(),
                    address: old.clone(),
                    replaces: Some(self.address.clone()),
                })),
            }),
            Err(error) if error.is_present() => {
                let found = address::list(socket, Some(wanted.index))?;
                match self.difference(&found) {
                    None => Ok(Done::Present),
                    Some(difference) => Err(difference.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let wanted = self.on(engine, side)?;
        let found = address::list(engine.socket(side)?, Some(wanted.index))?;
        differences.extend(self.difference(&found));
        Ok(())
    }

    pub(crate) fn remove(&self, engine: &mut Engine, side: Side) -> kernel::Result<()> {
        let Some(index) = engine.link(side, &self.device)?.map(|link| link.index) else { return Ok(()) };
        let address = Wanted { index, ..self.address.clone() };
        address::remove(engine.socket(side)?, &address, &self.device)
    }

    /// Compares what makes an address work: the kernel adds flags, labels and broadcast addresses of its own.
    fn difference(&self, found: &[Wanted]) -> Option<Difference> {
        let object = format!("address {} on {}", self.address.local, self.device);
        let Some(found) = found.iter().find(|found| found.local.addr() == self.address.local.addr()) else {
            return Some(Difference::absent(object));
        };
        if found.flags & address::flags::DADFAILED != 0 {
            return Some(Difference::new(object, "unique", "a duplicate of another node's (dadfailed)"));
        }
        let same =
            found.local == self.address.local && found.peer == self.address.peer && found.scope == self.address.scope;
        (!same).then(|| Difference::new(object, &self.address, found))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.address, self.device)
    }
}
