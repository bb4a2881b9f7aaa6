//! Devices that another program has carried already, so that they come home all the same: a runtime that knows
//! `linux.netDevices` moves them before anybody is asked, and never brings one back.
//!
//! What such a device was at home nobody has seen. It comes home under the name that it had there, with the addresses that
//! the program took along, and with whatever the kernel keeps across a move.

use kernel::netlink::devconf::Conf;
use kernel::netns::Netns;
use kernel::{Family, Socket};
use plan::{Engine, Plan, Side, op};

use crate::capture::capture;
use crate::carry::{Order, place};
use crate::error::Result;
use crate::journal::{Entry, Held, Journal, Lent};
use crate::{Device, Policy, name};

/// Takes on the devices of `order`, whose `name` each has in `netns` by now, and whose `device` it had at home.
///
/// # Errors
/// `ENODEV` if one of them is not there; [`Error::Lent`](crate::Error::Lent) if the owner has devices already; what the kernel or the journal
/// says. Nothing has changed then.
pub fn adopt(journal: &Journal, netns: Netns, order: &Order<'_>) -> Result<()> {
    let mut engine = Engine::open(Some(netns))?;
    let places = (place(&mut engine, Side::Host)?, place(&mut engine, Side::Container)?);
    let mut entry = Entry::new(order.owner, places.0, places.1)?;
    (entry.netns, entry.pinned) = (order.path.map(ToOwned::to_owned), order.pin);
    entry.bundle = order.bundle.map(ToOwned::to_owned);
    for wanted in order.devices {
        let read = || capture(&mut Socket::open(Family::Route)?, wanted.name, &Policy::WIDEST);
        let there = engine.inside(Side::Container, read)?;
        entry.lent.push(Lent {
            index: there.identity.index,
            name: there.identity.name.clone(),
            along: None,
            restore: wanted.restore,
            manager: None,
            conf: Conf::default(),
            // A long alternative name is none to be called by; it comes home with the device.
            device: match name::check(wanted.device) {
                Ok(()) => at_home(there, wanted.device),
                Err(_) => at_home(there.clone(), &there.identity.name),
            },
        });
    }
    let mut held = journal.begin(entry)?;
    if let Err(error) = keep(&mut engine, &mut held) {
        // Nothing was moved: there is nothing to bring home.
        drop(engine.undo());
        return Err(held.end().err().unwrap_or(error));
    }
    Ok(())
}

/// Keeps the namespace alive, and notes on each device what it is called at home, for whoever finds it.
fn keep(engine: &mut Engine, held: &mut Held) -> Result<()> {
    if let Some(netns) = engine.netns(Side::Container).filter(|_| held.entry.pinned) {
        held.pins().keep(netns)?;
    }
    let mut plan = Plan::new();
    for lent in &held.entry.lent {
        let alias = Some(lent.device.identity.name.clone());
        plan.own(Side::Container, op::Change { alias, ..op::Change::of(&lent.name) });
    }
    engine.apply(&plan)?;
    held.carried()
}

/// The device as far as it can be said what it was at home: what is set there is that namespace's, and so are its routes.
fn at_home(there: Device, name: &str) -> Device {
    let mut device = there.renamed(name);
    (device.routes, device.rules, device.neighbours, device.sysctls) = Default::default();
    (device.lost, device.children) = Default::default();
    device.identity.altnames.retain(|altname| altname != name);
    device
}
