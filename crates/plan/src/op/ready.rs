//! Waiting for a link to carry traffic: what is sent before would be lost.

use std::fmt;
use std::time::{Duration, Instant};

use kernel::netlink::link::{self, OPERSTATE_UP};

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// The kernel's link watch takes up a carrier in microseconds; a loaded machine may take its time.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to look again at once before going to sleep in between.
const AWAKE: Duration = Duration::from_millis(1);
/// How long to sleep between two looks.
const NAP: Duration = Duration::from_micros(200);

/// A link that must be operationally up: both ends of a veth up, and as a bridge port forwarding.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// The link.
    pub device: String,
}

impl Ready {
    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        let index = engine.index(side, &self.device)?;
        let started = Instant::now();
        loop {
            let found = link::get_by_index(engine.socket(side)?, index)?;
            if found.as_ref().is_some_and(|link| link.operstate == OPERSTATE_UP) {
                return Ok(Done::Present);
            }
            if started.elapsed() > PATIENCE {
                return Err(self.difference(found.map_or("absent", |_| "without carrier")).into());
            }
            // The shortest sleep is several times as long as what is being waited for.
            if started.elapsed() < AWAKE { std::thread::yield_now() } else { std::thread::sleep(NAP) }
        }
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let found = engine.link(side, &self.device)?.map(|link| link.operstate);
        if found.is_some_and(|state| state != OPERSTATE_UP) {
            differences.push(self.difference("without carrier"));
        }
        Ok(())
    }

    fn difference(&self, found: &str) -> Difference {
        Difference::new(format_args!("state of link {}", self.device), "carrying traffic", found)
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} carries traffic", self.device)
    }
}
