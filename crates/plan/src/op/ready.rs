//! Waiting for a link to carry traffic: what is sent before would be lost.

use std::fmt;
use std::time::{Duration, Instant};

use kernel::netlink::link::{self, OPERSTATE_UP};

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// The kernel's link watch takes up a carrier in microseconds; a loaded machine may take its time.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look again at once before going to sleep in between: the shortest sleep is several times as long as what
/// is being waited for.
const AWAKE: u32 = 3;
/// How long to sleep at first; then twice as long each time, since whoever has the kernel's lock needs it to get on.
const NAP: Duration = Duration::from_micros(100);
/// How long to sleep at most.
const LONGEST_NAP: Duration = Duration::from_millis(10);

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
        let (mut looks, mut nap) = (0, NAP);
        loop {
            let found = link::get_by_index(engine.socket(side)?, index)?;
            if found.as_ref().is_some_and(|link| link.operstate == OPERSTATE_UP) {
                return Ok(Done::Present);
            }
            if started.elapsed() > PATIENCE {
                return Err(self.difference(found.map_or("absent", |_| "without carrier")).into());
            }
            looks += 1;
            if looks <= AWAKE {
                std::thread::yield_now();
            } else {
                std::thread::sleep(nap);
                nap = (nap * 2).min(LONGEST_NAP);
            }
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
