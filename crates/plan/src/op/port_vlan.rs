//! A VLAN of a bridge port.

use std::fmt;

use kernel::netlink::port_vlan::{self, PortVlan as Vlan};

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// A VLAN that a bridge port carries, or must not.
#[derive(Debug, Clone, PartialEq)]
pub struct PortVlan {
    /// The port.
    pub device: String,
    /// The VLAN.
    pub vlan: Vlan,
    /// The port carries it; if false it must not: the bridge's default VLAN is on every new port.
    pub present: bool,
}

impl PortVlan {
    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        let index = engine.index(side, &self.device)?;
        let socket = engine.socket(side)?;
        let change = if self.present { port_vlan::add } else { port_vlan::remove };
        match change(socket, index, &self.device, self.vlan) {
            Err(error) if !self.present && error.is_absent() => Ok(Done::Present),
            outcome => Ok(outcome.map(|()| Done::Made)?),
        }
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let index = engine.index(side, &self.device)?;
        let found = port_vlan::list(engine.socket(side)?, index)?;
        let object = || format!("{} on bridge port {}", self.vlan, self.device);
        match found.iter().find(|vlan| vlan.id == self.vlan.id) {
            None if self.present => differences.push(Difference::absent(object())),
            Some(vlan) if self.present && *vlan != self.vlan => {
                differences.push(Difference::new(object(), self.vlan, vlan));
            }
            Some(_) if !self.present => differences.push(Difference::new(object(), "absent", "present")),
            _ => {}
        }
        Ok(())
    }
}

impl fmt::Display for PortVlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.present { "add" } else { "del" };
        write!(f, "{verb} dev {} {}", self.device, self.vlan)
    }
}
