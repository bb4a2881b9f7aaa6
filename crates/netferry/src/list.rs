//! `netferry list`: what is lent, to whom, who shares it, since when, and from which file of the journal.

use clap::Args;
use cni::Error;
use ferry::journal::Entry;
use ferry::recover::{self, Listed};
use serde_json::{Value, json};

use crate::home::{Home, failed};
use crate::options::Options;
use crate::output::{self, Output, Table};
use crate::since::{ago, rfc3339};

/// The subcommand.
#[derive(Args)]
pub struct List {}

impl List {
    /// Reads the journal.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let home = Home::open()?;
        let listed = recover::list(&options.journal()).map_err(|error| failed(&error))?;
        let json = listed.iter().map(|one| json(one, &home)).collect();
        let is_negative = listed.iter().any(Result::is_err);
        Ok(Output { text: text(&listed), json: Some(Value::Array(json)), is_negative })
    }
}

fn text(listed: &[Result<Listed, ferry::Error>]) -> String {
    if listed.is_empty() {
        return "nothing is lent".to_owned();
    }
    let mut table = Table::default();
    table.row(&["DEVICE", "THERE", "NAMESPACE", "SINCE", "STANDING", "OWNER", "JOURNAL"]);
    for one in listed.iter().flatten() {
        let (entry, owner, file) = (&one.entry, owner(one), one.path.display().to_string());
        for lent in &entry.lent {
            let (name, since, standing) = (&lent.device.identity.name, ago(entry.since), one.standing.as_str());
            table.row(&[name, &lent.name, &namespace(entry), &since, standing, &owner, &file]);
        }
    }
    let mut lines = Vec::new();
    if listed.iter().any(Result::is_ok) {
        let table = table.to_string();
        let (header, rows) = table.split_once('\n').unwrap_or_default();
        lines.extend([output::bold(header), rows.to_owned()]);
    }
    lines.extend(listed.iter().filter_map(|one| one.as_ref().err()).map(|error| format!("unreadable: {error}")));
    lines.join("\n")
}

/// To whom the devices are lent, and with a `+` each who shares them.
fn owner(listed: &Listed) -> String {
    let sharing = listed.holders.iter().map(|holder| format!(" +{holder}"));
    std::iter::once(listed.entry.owner.clone()).chain(sharing).collect()
}

/// Where the devices of `entry` are: the path by which they were carried, or the namespace as `lsns` shows it.
fn namespace(entry: &Entry) -> String {
    let path = entry.netns.as_ref().map(|path| path.display().to_string());
    path.unwrap_or_else(|| format!("net:[{}]", entry.away.inode))
}

fn json(listed: &Result<Listed, ferry::Error>, home: &Home) -> Value {
    let one = match listed {
        Ok(one) => one,
        Err(error) => return json!({ "error": error.to_string() }),
    };
    let entry = &one.entry;
    let device = |lent: &ferry::journal::Lent| json!({ "home": lent.device.identity.name, "name": lent.name, "index": lent.index, "restores": lent.restores(), "manager": lent.manager });
    json!({
        "owner": entry.owner,
        "holders": one.holders,
        "standing": one.standing.as_str(),
        "since": entry.since,
        "since_time": rfc3339(entry.since),
        "is_from_here": home.lends(one),
        "home": { "inode": entry.home.inode },
        "netns": entry.netns.as_ref().map(|path| path.to_string_lossy()),
        "away": { "inode": entry.away.inode },
        "pinned": entry.pinned,
        "devices": entry.lent.iter().map(device).collect::<Vec<_>>(),
        "journal": one.path.to_string_lossy(),
    })
}
