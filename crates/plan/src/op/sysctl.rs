//! Sysctls.

use std::fmt;

use kernel::sysctl;

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// Sysctls of one namespace, set in one visit to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sysctl {
    /// The link whose sysctls they are; they go with it.
    pub device: Option<String>,
    /// Keys below `/proc/sys`, with slashes, and values.
    pub settings: Vec<(String, String)>,
    /// A key that the kernel does not have is passed over: no IPv6, an older kernel.
    pub optional: bool,
}

impl Sysctl {
    pub(crate) fn apply(&self, engine: &mut Engine, side: Side) -> Result<Done> {
        let changed = engine.inside(side, || {
            let mut changed = false;
            for (key, value) in &self.settings {
                match sysctl::set(key, value) {
                    Err(error) if self.optional && error.is_absent() => {}
                    outcome => changed |= outcome?,
                }
            }
            Ok(changed)
        })?;
        // A switch of the whole node is never put back: another container may have come to rely on it meanwhile.
        Ok(if changed { Done::Made } else { Done::Present })
    }

    pub(crate) fn check(&self, engine: &mut Engine, side: Side, differences: &mut Vec<Difference>) -> Result<()> {
        let read: Vec<_> =
            engine.inside(side, || Ok(self.settings.iter().map(|(key, _)| sysctl::get(key)).collect()))?;
        for ((key, wanted), found) in self.settings.iter().zip(read) {
            match found {
                Ok(found) if sysctl::is_same(&found, wanted) => {}
                Ok(found) => differences.push(Difference::new(format_args!("sysctl {key}"), wanted, found)),
                Err(error) if self.optional && error.is_absent() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.settings.iter().enumerate() {
            write!(f, "{}{}={value}", if index > 0 { " " } else { "" }, key.replace('/', "."))?;
        }
        Ok(())
    }
}
