//! Everything a call may have changed, as comparable text.
//!
//! A snapshot maps one key per fact (`link cni0 mtu`, `nft table inet t / chain c / rule`, `file /run/x`) to its value.
//! Two snapshots with nothing in between are equal: what moves by itself (counters, timers, indices, operational
//! state, the kernel's own link-local addresses and the routes of those) is left out where it is read.

mod files;
mod firewall;
mod links;

use crate::error::Result;
use crate::netns::Namespaces;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// The state of one network namespace, and of directories seen from its mount namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    facts: BTreeMap<String, String>,
}

impl Snapshot {
    /// Reads the state now. `trees` are directories whose files belong to it.
    ///
    /// # Errors
    /// A tool is missing or failed.
    pub fn take(namespaces: &Namespaces, trees: &[&Path]) -> Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        links::read(namespaces, &mut snapshot)?;
        firewall::read(namespaces, &mut snapshot)?;
        namespaces.inside(|| files::read(trees, &mut snapshot))?;
        Ok(snapshot)
    }

    /// What differs: lines that are gone (`-`), new (`+`) or changed (`~`); `None` when the two are equal. A link
    /// that is gone or new is one line, not two hundred.
    pub fn diff(&self, now: &Snapshot) -> Option<String> {
        let (before, after) = (self.objects(), now.objects());
        let mut lines = BTreeSet::new();
        for key in self.facts.keys().chain(now.facts.keys()) {
            let whole = object(key).filter(|object| before.contains(object) != after.contains(object));
            let line = match (self.facts.get(key), now.facts.get(key)) {
                (Some(before), Some(after)) if before != after => format!("~ {key}: {before} -> {after}"),
                (Some(_), Some(_)) => continue,
                (Some(before), None) => whole.map_or(format!("- {key}: {before}"), |object| format!("- {object}/*")),
                (_, after) => whole
                    .map_or(format!("+ {key}: {}", after.map_or("", String::as_str)), |object| format!("+ {object}/*")),
            };
            lines.insert(line);
        }
        (!lines.is_empty()).then(|| lines.into_iter().map(|line| line + "\n").collect())
    }

    fn objects(&self) -> BTreeSet<&str> {
        self.facts.keys().filter_map(|key| object(key)).collect()
    }

    /// The keys that are in none of `allowed`, whatever their values; `None` when there is none. This is how a state
    /// is judged that may have stopped half way between two known ones: nothing foreign may be in it.
    pub fn beyond(&self, allowed: &[&Snapshot]) -> Option<String> {
        let known: BTreeSet<&str> = allowed.iter().flat_map(|state| state.objects()).collect();
        let foreign = |key: &&String| !allowed.iter().any(|state| state.facts.contains_key(*key));
        let lines = self.facts.keys().filter(foreign).map(|key| match object(key) {
            Some(object) if !known.contains(object) => format!("+ {object}/*\n"),
            _ => format!("+ {key}\n"),
        });
        let lines: BTreeSet<String> = lines.collect();
        (!lines.is_empty()).then(|| lines.into_iter().collect())
    }

    /// Both states in one, the facts of `other` under `name`.
    pub fn and(mut self, name: &str, other: Snapshot) -> Snapshot {
        self.facts.extend(other.facts.into_iter().map(|(key, value)| (format!("{name}: {key}"), value)));
        self
    }

    /// Without the MAC addresses of bridges, which are random on every creation.
    pub fn without_macs(mut self) -> Snapshot {
        self.facts.retain(|key, _| !(key.starts_with("link ") && key.ends_with(" address")));
        self
    }

    /// Without the facts whose key `is_out` says yes to.
    pub fn without(mut self, is_out: impl Fn(&str) -> bool) -> Snapshot {
        self.facts.retain(|key, _| !is_out(key));
        self
    }

    /// The value of one fact.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.facts.get(key).map(String::as_str)
    }

    /// The keys that begin with `prefix`.
    pub fn keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.facts.keys().map(String::as_str).filter(move |key| key.starts_with(prefix))
    }

    fn insert(&mut self, key: String, value: impl Into<String>) {
        self.facts.insert(key, value.into());
    }
}

/// The object a fact belongs to that has many: `link NAME`, or a directory of sysctls.
fn object(key: &str) -> Option<&str> {
    let at = key.find("link ").or_else(|| key.find("sysctl /"))?;
    if key[at..].starts_with("link ") {
        let name = key[at + 5..].find(' ')?;
        return Some(&key[..at + 5 + name]);
    }
    key.rfind('/').map(|slash| &key[..slash])
}

/// Takes snapshots until `judge` finds nothing or a second has passed, and returns what it found last. The kernel
/// finishes some removals after it has answered.
///
/// # Errors
/// A snapshot cannot be taken.
pub fn settle(
    mut take: impl FnMut() -> Result<Snapshot>,
    judge: impl Fn(&Snapshot) -> Option<String>,
) -> Result<Option<String>> {
    let end = Instant::now() + Duration::from_secs(1);
    loop {
        let found = judge(&take()?);
        if found.is_none() || Instant::now() > end {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(facts: &[(&str, &str)]) -> Snapshot {
        Snapshot { facts: facts.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect() }
    }

    #[test]
    fn a_difference_names_each_fact() {
        let before = of(&[("link a mtu", "1500"), ("link b mtu", "1500"), ("link b address", "x"), ("rule", "x")]);
        let after = of(&[("file /run/x", "0600 y"), ("link a mtu", "1400"), ("rule", "x")]);
        let expected = "+ file /run/x: 0600 y\n- link b/*\n~ link a mtu: 1500 -> 1400\n";
        assert_eq!(before.diff(&after).as_deref(), Some(expected));
        assert_eq!(before.diff(&before), None);
    }

    #[test]
    fn beyond_ignores_values() {
        let (cold, warm) = (of(&[("a", "1")]), of(&[("b", "1")]));
        assert_eq!(of(&[("a", "2"), ("b", "3")]).beyond(&[&cold, &warm]), None);
        assert_eq!(of(&[("c", "")]).beyond(&[&cold, &warm]).as_deref(), Some("+ c\n"));
    }
}
