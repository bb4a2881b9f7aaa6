//! Sysctls.

use std::fmt;

use kernel::sysctl;

use crate::apply::Done;
use crate::error::{Difference, Result};
use crate::{Engine, Side};

/// `EIO` of `errno(3)`.
const EIO: i32 = 5;

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
    /// Sets what differs. A shared setting is never put back, since another container may have come to rely on it
    /// meanwhile, and what belongs to a link that was just made goes with it.
    pub(crate) fn apply(&self, engine: &mut Engine, side: Side, shared: bool) -> Result<Done> {
        let goes_along = self.device.as_ref().is_some_and(|device| engine.made(side, device));
        let restores = !(shared || goes_along);
        let previous = engine.inside(side, || self.set(restores))?;
        Ok(if previous.is_empty() {
            Done::Present
        } else if restores {
            Done::changed(Self { settings: previous, ..self.clone() })
        } else {
            Done::Made
        })
    }

    /// Sets every key, and returns those that were changed, with the values they had if the caller `restores` them: so
    /// does this function itself when it fails half-way.
    fn set(&self, restores: bool) -> kernel::Result<Vec<(String, String)>> {
        let mut previous: Vec<(String, String)> = Vec::new();
        for (key, value) in &self.settings {
            let old = match if restores { sysctl::get(key) } else { Ok(String::new()) } {
                // What has never been set has no value to go back to (`stable_secret`).
                Err(error) if error.errno == EIO => Ok(None),
                read => read.map(Some),
            };
            match old.and_then(|old| Ok((sysctl::set(key, value)?, old))) {
                Ok((changed, old)) => previous.extend(old.filter(|_| changed).map(|old| (key.clone(), old))),
                Err(error) if self.optional && error.is_absent() => {}
                Err(error) => {
                    if restores {
                        previous.iter().rev().for_each(|(key, old)| drop(sysctl::set(key, old)));
                    }
                    return Err(error);
                }
            }
        }
        Ok(previous)
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
