//! An address of a link.

use std::fmt;

use kernel::Socket;
use kernel::netlink::address::{self, Address as Wanted, flags};
use kernel::netlink::link;

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// Flags that somebody gives; the others are the kernel's observations.
const GIVEN: u32 = flags::NODAD | flags::OPTIMISTIC | flags::HOMEADDRESS | flags::MANAGETEMPADDR | flags::NOPREFIXROUTE;

/// An address, on a link that the plan names. The index in `address` is filled in when it is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    /// The link.
    pub device: String,
    /// The address.
    pub address: Wanted,
    /// An address of the link that has to give way to it.
    pub replaces: Option<Wanted>,
    /// Its flags, label and metric are wanted too; flags that differ are set, without detecting duplicates again.
    pub exact: bool,
}

impl Address {
    /// `address` on `device`.
    pub fn new(device: impl Into<String>, address: Wanted) -> Self {
        Self { device: device.into(), address, replaces: None, exact: false }
    }

    fn on(&self, engine: &mut Engine, side: Side) -> Result<Wanted> {
        Ok(Wanted { index: engine.index(side, &self.device)?, ..self.address.clone() })
    }

    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        let wanted = self.on(engine, side)?;
        let socket = engine.socket(side)?;
        let old = self.replaces.as_ref().map(|old| Wanted { index: wanted.index, ..old.clone() });
        let replaced = match &old {
            None => None,
            Some(old) => match address::remove(socket, old, &self.device) {
                Err(error) if error.is_absent() => None,
                outcome => outcome.map(|()| Some(old))?,
            },
        };
        let done = self.add(socket, &wanted);
        match (done, replaced) {
            (done, None) => done,
            (Ok(Done::Present), Some(old)) => Ok(Done::changed(Self::new(self.device.as_str(), old.clone()))),
            (Ok(_), Some(old)) => Ok(Done::changed(Self {
                device: self.device.clone(),
                address: old.clone(),
                replaces: Some(self.address.clone()),
                exact: false,
            })),
            (Err(mut error), Some(old)) => {
                error.cleanup.extend(address::add(socket, old, &self.device).err());
                Err(error)
            }
        }
    }

    fn add(&self, socket: &mut Socket, wanted: &Wanted) -> Result<Done> {
        match address::add(socket, wanted, &self.device) {
            Err(error) if error.is_present() => {
                let found = address::list(socket, Some(wanted.index))?;
                match self.difference(&found) {
                    Some(difference) => Err(difference.into()),
                    None => self.settle(socket, wanted, &found),
                }
            }
            outcome => Ok(outcome.map(|()| Done::Made)?),
        }
    }

    /// Gives the address that is there the flags that it is to have.
    fn settle(&self, socket: &mut Socket, wanted: &Wanted, found: &[Wanted]) -> Result<Done> {
        let Some(old) = found.iter().find(|found| found.local == wanted.local).filter(|_| self.exact) else {
            return Ok(Done::Present);
        };
        if old.flags & GIVEN == wanted.flags & GIVEN {
            return Ok(Done::Present);
        }
        address::replace(socket, wanted, &self.device)?;
        Ok(Done::changed(Self { address: Wanted { flags: old.flags & GIVEN, ..old.clone() }, ..self.clone() }))
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let wanted = self.on(engine, side)?;
        let found = address::list(engine.socket(side)?, Some(wanted.index))?;
        differences.extend(self.difference(&found));
        Ok(())
    }

    /// Removes the address. A shared one stays if others have joined its link: they may count on it by now.
    pub(crate) fn remove(&self, engine: &mut Engine, side: Side, shared: bool) -> kernel::Result<()> {
        let Some(index) = engine.link(side, &self.device)?.map(|link| link.index) else { return Ok(()) };
        if shared {
            engine.alone()?;
            let ports = link::list(engine.socket(side)?, Some(index))?;
            if ports.iter().any(|port| !engine.made(side, &port.name)) {
                return Ok(());
            }
        }
        let address = Wanted { index, ..self.address.clone() };
        address::remove(engine.socket(side)?, &address, &self.device)
    }

    /// Compares what makes an address work: the kernel adds flags, labels and broadcast addresses of its own.
    fn difference(&self, found: &[Wanted]) -> Option<Difference> {
        let object = format!("address {} on {}", self.address.local, self.device);
        // IPv4 can have the same address with several prefix lengths.
        let mut same = found.iter().filter(|found| found.local.addr() == self.address.local.addr());
        let first = same.clone().next();
        let Some(found) = same.find(|found| found.local == self.address.local).or(first) else {
            return Some(Difference::absent(object));
        };
        if found.flags & flags::DADFAILED != 0 {
            return Some(Difference::new(object, "unique", "a duplicate of another node's (dadfailed)"));
        }
        // The scope of an IPv6 address is in the address; the kernel does not ask.
        let same_scope = found.scope == self.address.scope || found.local.addr().is_ipv6();
        let same = found.local == self.address.local && found.peer == self.address.peer && same_scope;
        (!same).then(|| Difference::new(object, &self.address, found))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.address, self.device)
    }
}
