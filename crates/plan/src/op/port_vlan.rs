//! VLANs of a bridge port.

use std::fmt;

use kernel::Socket;
use kernel::netlink::port_vlan::{self, PortVlan as Vlan, Words};

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// What a bridge port carries, and what it must not: the bridge's default VLAN is on every new port.
#[derive(Debug, Clone, PartialEq)]
pub struct PortVlan {
    /// The port.
    pub device: String,
    /// The VLANs that it must not carry, ascending; their flags say nothing.
    pub absent: Vec<Vlan>,
    /// The VLANs that it carries, ascending.
    pub present: Vec<Vlan>,
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
        let found = port_vlan::list(engine.socket(side)?, index)?;
        let (there, missing): (Vec<Vlan>, Vec<Vlan>) = self.named().partition(|vlan| carries(&found, vlan));
        if self.present.iter().all(|vlan| found.contains(vlan)) && there.len() == self.present.len() {
            return Ok(Done::Present);
        }
        let there = found.into_iter().filter(|vlan| carries(&there, vlan)).collect();
        let previous = Self { absent: missing, present: there, ..self.clone() };
        if let Err(refused) = self.set(engine.socket(side)?, index) {
            // A request for several is not atomic. Should this fail too, the refusal says more.
            let _ = previous.set(engine.socket(side)?, index);
            return Err(refused.into());
        }
        Ok(Done::changed(previous))
    }

    /// Every VLAN that this is about, ascending.
    fn named(&self) -> impl Iterator<Item = Vlan> {
        let mut named = [self.absent.as_slice(), &self.present].concat();
        named.sort_unstable_by_key(|vlan| vlan.id);
        named.into_iter()
    }

    fn set(&self, socket: &mut Socket, index: u32) -> kernel::Result<()> {
        if !self.absent.is_empty() {
            match port_vlan::remove(socket, index, &self.device, &self.absent) {
                Err(error) if !error.is_absent() => return Err(error),
                _ => {}
            }
        }
        if self.present.is_empty() {
            return Ok(());
        }
        port_vlan::add(socket, index, &self.device, &self.present)
    }

    pub(crate) fn check(
        &self,
        engine: &mut Engine,
        side: Side,
        carried: &mut Carried,
        differences: &mut Vec<Difference>,
    ) -> Result<()> {
        let found = carried.by(engine, side, &self.device)?;
        let object = |vlan: &Vlan| format!("{vlan} on bridge port {}", self.device);
        for vlan in &self.absent {
            if carries(found, vlan) {
                let vlan = Vlan { pvid: false, untagged: false, ..*vlan };
                differences.push(Difference::new(object(&vlan), "absent", "present"));
            }
        }
        for vlan in &self.present {
            match found.iter().find(|found| found.id == vlan.id) {
                None => differences.push(Difference::absent(object(vlan))),
                Some(found) if found != vlan => differences.push(Difference::new(object(vlan), vlan, found)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn carries(vlans: &[Vlan], wanted: &Vlan) -> bool {
    vlans.iter().any(|vlan| vlan.id == wanted.id)
}

impl fmt::Display for PortVlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dev {}", self.device)?;
        for (verb, vlans) in [("del", &self.absent), ("add", &self.present)] {
            if !vlans.is_empty() {
                write!(f, " {verb} {}", Words(vlans))?;
            }
        }
        Ok(())
    }
}
