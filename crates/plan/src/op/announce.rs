//! Telling the neighbours where addresses are now: an address that is used again must not be sent to its last owner.

use std::fmt;
use std::net::IpAddr;

use crate::apply::Done;
use crate::error::Result;
use crate::op::Ready;
use crate::{Engine, Side};

/// Gratuitous ARP and unsolicited neighbour advertisements for the addresses of a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Announce {
    /// The link.
    pub device: String,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
}

impl Announce {
    /// Once the link carries traffic: before, the kernel has no route for an advertisement's multicast group.
    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        Ready { device: self.device.clone() }.apply(engine, side)?;
        let index = engine.index(side, &self.device)?;
        let Some(mac) = engine.link(side, &self.device)?.and_then(|link| link.mac) else { return Ok(Done::Present) };
        engine.inside(side, || kernel::announce::announce(index, mac, &self.addresses))?;
        Ok(Done::Present)
    }
}

impl fmt::Display for Announce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.device)?;
        self.addresses.iter().try_for_each(|address| write!(f, " {address}"))
    }
}
