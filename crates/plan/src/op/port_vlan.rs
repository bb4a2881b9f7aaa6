//! A VLAN of a bridge port.

use std::fmt;

use kernel::Socket;
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

/// What one port carries, as it was when a comparison began with it: a trunk of a thousand VLANs is asked for once.
#[derive(Default)]
pub(crate) struct Carried {
    port: Option<(Side, String)>,
    vlans: Vec<Vlan>,
}

impl Carried {
    fn by(&mut self, engine: &mut Engine, side: Side, device: &str) -> Result<&[Vlan]> {
        if self.port.as_ref().is_none_or(|(known, name)| *known != side || name != device) {
            let index = engine.index(side, device)?;
            self.vlans = port_vlan::list(engine.socket(side)?, index)?;
            self.port = Some((side, device.to_owned()));
        }
        Ok(&self.vlans)
    }
}

impl PortVlan {
    /// What is shared stays, and what is on a port that was just made goes with it; otherwise what was there is put
    /// back, but for a PVID that moved here.
    pub(crate) fn apply(&self, engine: &mut Engine, side: Side, shared: bool) -> Result<Done> {
        let index = engine.index(side, &self.device)?;
        if shared || engine.made(side, &self.device) {
            return Ok(self.set(engine.socket(side)?, index).map(|()| Done::Made)?);
        }
        let found = port_vlan::list(engine.socket(side)?, index)?.into_iter().find(|vlan| vlan.id == self.vlan.id);
        if found == Some(self.vlan).filter(|_| self.present) {
            return Ok(Done::Present);
        }
        self.set(engine.socket(side)?, index)?;
        let previous = Self { vlan: found.unwrap_or(self.vlan), present: found.is_some(), ..self.clone() };
        Ok(Done::changed(previous))
    }

    fn set(&self, socket: &mut Socket, index: u32) -> kernel::Result<()> {
        if self.present {
            return port_vlan::add(socket, index, &self.device, self.vlan);
        }
        match port_vlan::remove(socket, index, &self.device, self.vlan) {
            Err(error) if error.is_absent() => Ok(()),
            outcome => outcome,
        }
    }

    pub(crate) fn check(
        &self,
        engine: &mut Engine,
        side: Side,
        carried: &mut Carried,
        differences: &mut Vec<Difference>,
    ) -> Result<()> {
        let found = carried.by(engine, side, &self.device)?;
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
