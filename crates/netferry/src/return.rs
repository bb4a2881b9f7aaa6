//! `netferry return`: bring lent devices home, whoever has them.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use cni::Error;
use ferry::recover::{self, Listed};
use ferry::{Journal, Policy, Returned, bring_home, capture};
use kernel::{Family, Socket};
use serde_json::{Value, json};

use crate::home::{Home, failed};
use crate::options::Options;
use crate::output::{self, Output, Table};
use crate::show;

/// The subcommand.
#[derive(Args)]
pub struct Return {
    /// Name of the device at home, or the one that it has away; or the owner, as `netferry list` shows it
    #[arg(required_unless_present = "all", conflicts_with = "all", value_parser = NonEmptyStringValueParser::new())]
    device: Option<String>,
    /// Everything that is lent from this namespace
    #[arg(long)]
    all: bool,
}

/// Whose devices were to come home, and what became of that.
type Outcome = (String, Result<Vec<Returned>, ferry::Error>);

impl Return {
    /// Brings home.
    ///
    /// # Errors
    /// No such device is lent, or it is not home as it was; with `--all`, that is part of what is printed.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let (journal, home) = (options.journal(), Home::open()?);
        let listed = recover::list(&journal).map_err(|error| failed(&error))?;
        if let Some(device) = &self.device {
            let owner = choose(device, listed, &home)?;
            let returned = bring(&journal, &owner).map_err(|error| failed(&error))?;
            return Ok(output(vec![(owner, Ok(returned))]));
        }
        let mut outcomes = Vec::new();
        for one in listed {
            match one {
                Ok(one) if home.lends(&one) => {
                    let returned = bring(&journal, &one.entry.owner);
                    outcomes.push((one.entry.owner, returned));
                }
                Ok(_) => {}
                Err(error) => outcomes.push(("unreadable".to_owned(), Err(error))),
            }
        }
        Ok(output(outcomes))
    }
}

/// The owner of what is meant by `given`.
fn choose(given: &str, listed: Vec<Result<Listed, ferry::Error>>, home: &Home) -> Result<String, Error> {
    let (mut readable, mut complaints) = (Vec::new(), Vec::new());
    for one in listed {
        match one {
            Ok(one) => readable.push(one),
            Err(error) => complaints.push(error.to_string()),
        }
    }
    let (here, elsewhere): (Vec<Listed>, Vec<Listed>) = readable.into_iter().partition(|one| home.lends(one));
    let is_owner = |one: &Listed| one.entry.owner == given;
    let is_device = |one: &Listed| {
        let identities = one.entry.lent.iter().map(|lent| &lent.device.identity);
        identities
            .into_iter()
            .any(|identity| identity.name == given || identity.altnames.iter().any(|own| own == given))
    };
    let is_there = |one: &Listed| one.entry.lent.iter().any(|lent| lent.name == given);
    let ways: [&dyn Fn(&Listed) -> bool; 3] = [&is_owner, &is_device, &is_there];
    // What came from elsewhere is asked for too, for the error to say from where.
    for (lent, is_meant) in [&here, &elsewhere].into_iter().flat_map(|lent| ways.map(|way| (lent, way))) {
        match lent.iter().filter(|one| is_meant(one)).collect::<Vec<_>>()[..] {
            [] => {}
            [one] => return Ok(one.entry.owner.clone()),
            ref several => {
                let several = several.iter().map(|one| words(one)).collect::<Vec<_>>().join("; ");
                return Err(Error::internal(format_args!("{given} is not clear: {several}; name the owner")));
            }
        }
    }
    let lent = match here.iter().map(words).collect::<Vec<_>>() {
        none if none.is_empty() => "nothing is lent from this network namespace".to_owned(),
        some => format!("what is lent: {}", some.join("; ")),
    };
    let error = Error::internal(format_args!("{given} is not lent; {lent}"));
    Err(if complaints.is_empty() { error } else { error.with_details(complaints.join("; ")) })
}

/// The devices of an entry, and whose they are.
fn words(listed: &Listed) -> String {
    let device = |lent: &ferry::journal::Lent| match &lent.device.identity.name {
        name if *name == lent.name => name.clone(),
        name => format!("{name} (there {})", lent.name),
    };
    let devices = listed.entry.lent.iter().map(device).collect::<Vec<_>>().join(", ");
    format!("{devices} to {}", listed.entry.owner)
}

/// Brings home what `owner` has; nothing, if somebody else did meanwhile.
fn bring(journal: &Journal, owner: &str) -> Result<Vec<Returned>, ferry::Error> {
    let Some(mut held) = journal.open(owner)? else { return Ok(Vec::new()) };
    let returned = bring_home(&mut held, None)?;
    held.end()?;
    Ok(returned)
}

fn output(outcomes: Vec<Outcome>) -> Output {
    let is_negative = outcomes.iter().any(|(_, outcome)| outcome.is_err());
    let json = outcomes.iter().map(|(owner, outcome)| json(owner, outcome)).collect();
    let text = match &outcomes[..] {
        [] => "nothing is lent from this network namespace".to_owned(),
        some => some.iter().map(text).collect::<Vec<_>>().join("\n"),
    };
    Output { text, json: Some(Value::Array(json)), is_negative }
}

/// What came home of one owner's, as it is there now.
fn text((owner, outcome): &Outcome) -> String {
    let returned = match outcome {
        Ok(returned) => returned,
        Err(error) => return format!("{}\n  {error}", output::bold(&format!("failed {owner}"))),
    };
    let mut sections = Vec::new();
    for one in returned {
        let mut table = Table::default();
        let verb = if one.is_home { "returned" } else { "gone" };
        if let Some(device) = one.is_home.then(|| look(&one.device)).flatten() {
            show::rows(&mut table, &device);
        }
        if returned.len() > 1 {
            table.row(&["", "note", &format!("one of {} that went together, and came home together", returned.len())]);
        }
        for note in &one.notes {
            table.row(&["", "note", note]);
        }
        sections.push(format!("{}\n{table}", output::bold(&format!("{verb} {} from {owner}", one.device))));
    }
    sections.join("\n").trim_end().to_owned()
}

/// The device as it is at home; what cannot be looked at is not shown.
fn look(name: &str) -> Option<ferry::Device> {
    capture(&mut Socket::open(Family::Route).ok()?, name, &Policy::WIDEST).ok()
}

/// One owner's, for programs.
pub fn json(owner: &str, outcome: &Result<Vec<Returned>, ferry::Error>) -> Value {
    let device = |one: &Returned| json!({ "device": one.device, "home": one.is_home, "notes": one.notes });
    match outcome {
        Ok(returned) => json!({ "owner": owner, "returned": returned.iter().map(device).collect::<Vec<_>>() }),
        Err(error) => json!({ "owner": owner, "error": error.to_string() }),
    }
}
