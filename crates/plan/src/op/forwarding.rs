//! Forwarding: the switch that makes a node a router.

use std::fmt;

use kernel::sysctl;

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// Forwarding of one family, for the whole namespace. It is shared by all who need it and never switched off again:
/// another container may have come to rely on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Forwarding {
    /// The family.
    pub ipv6: bool,
}

impl Forwarding {
    const fn key(&self) -> &'static str {
        if self.ipv6 { "net/ipv6/conf/all/forwarding" } else { "net/ipv4/ip_forward" }
    }

    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        engine.inside(side, || {
            if sysctl::get(self.key())? != "0" {
                return Ok(());
            }
            if self.ipv6 {
                keep_listening()?;
            }
            sysctl::set(self.key(), "1").map(drop)
        })?;
        Ok(Done::Present)
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let found = engine.inside(side, || sysctl::get(self.key()))?;
        if found == "0" {
            differences.push(Difference::new(format_args!("sysctl {}", self.key()), "1", found));
        }
        Ok(())
    }
}

/// A router ignores router advertisements unless `accept_ra` is 2: without this a node whose own address or default route
/// comes from one would lose it when its first container starts. Once forwarding is on this is never looked at again.
fn keep_listening() -> kernel::Result<()> {
    let Ok(entries) = std::fs::read_dir("/proc/sys/net/ipv6/conf") else { return Ok(()) };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for name in names.filter(|name| !matches!(name.as_str(), "all" | "default" | "lo")) {
        let key = sysctl::interface("ipv6", &name, "accept_ra");
        if sysctl::get(&key).is_ok_and(|value| value == "1") {
            sysctl::set(&key, "2").map(drop).or_else(|error| if error.is_absent() { Ok(()) } else { Err(error) })?;
        }
    }
    Ok(())
}

impl fmt::Display for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=1", self.key().replace('/', "."))
    }
}
