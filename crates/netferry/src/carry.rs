//! `netferry carry`: carry network devices into a namespace, all of them or none.
//!
//! What it takes to bring them home is in the journal before anything is changed.

use std::path::Path;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use cni::{Error, code};
use ferry::journal::Lent;
use ferry::{Obstacle, Restore, Wanted, carry, name};
use kernel::netns::Netns;
use serde_json::{Value, json};

use crate::attach::namespace;
use crate::home::{Home, failed};
use crate::options::Options;
use crate::output::{self, Output, Table};
use crate::show::{self, Selection};

/// The subcommand.
#[derive(Args)]
pub struct Carry {
    #[command(flatten)]
    order: Order,
}

/// Devices on the command line, and how they are meant to go.
#[derive(Args)]
#[command(mut_arg("addresses", |arg| arg.requires("keep_network")), mut_arg("link_scope", |arg| arg.requires("keep_network")))]
pub struct Order {
    /// Names of devices, or alternative names; all are carried, or none
    #[arg(required = true, value_name = "DEVICE", value_parser = NonEmptyStringValueParser::new())]
    devices: Vec<String>,
    /// The network namespace to carry them to: a path, or a name that `ip netns` knows
    #[arg(long, value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    netns: String,
    /// The name there; %d becomes the lowest number that is free [default: the one it has]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Addresses, routes, rules, neighbours and sysctls go along
    #[arg(long)]
    keep_network: bool,
    #[command(flatten)]
    selection: Selection,
    /// Whether addresses, routes, rules and neighbours come back: unless a daemon manages the device, always, or never
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Back::Auto)]
    restore: Back,
    /// Even if this host reaches others through a device
    #[arg(long)]
    allow_uplink: bool,
    /// Do not keep the namespace alive: a virtual device ends with it
    #[arg(long)]
    no_pin: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Back {
    Auto,
    Always,
    Never,
}

impl Carry {
    /// Carries.
    ///
    /// # Errors
    /// Nothing is carried then: what is in the way, what is lent already, or what failed on the way.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let journal = options.journal();
        let carried = |netns, order: &ferry::Order<'_>| {
            let crossing = carry(&journal, netns, order)?;
            let (lent, notes) = (crossing.lent().to_vec(), crossing.notes.clone());
            crossing.commit()?;
            Ok((order.owner.to_owned(), lent, notes))
        };
        let (path, (owner, lent, notes)) = self.order.ask(options, carried)?;
        let json = json!({ "netns": path, "owner": owner, "devices": devices(&lent)?, "notes": notes });
        Ok(Output { text: text("carried", &path, &lent, &[], &notes), json: Some(json), ..Output::default() })
    }
}

impl Order {
    /// Hands the order to `ferry`, with the namespace; what that says, behind the namespace's path.
    ///
    /// # Errors
    /// The order makes no sense, the journal has a device already, or what `ferry` says.
    pub fn ask<T>(
        &self,
        options: &Options,
        ferry: impl FnOnce(Netns, &ferry::Order<'_>) -> Result<T, ferry::Error>,
    ) -> Result<(String, T), Error> {
        if let Some(name) = self.name.as_deref().filter(|name| self.devices.len() > 1 && !name::is_template(name)) {
            let problem = format!("--name {name}: several devices cannot have one name; use a template, such as net%d");
            return Err(Error::new(code::INVALID_ENVIRONMENT, problem));
        }
        let path = namespace(&self.netns)?;
        let netns = Netns::open(Path::new(&path)).map_err(|error| failed(&error))?;
        let (owner, names) = self.names(options)?;
        let policy = self.keep_network.then(|| self.selection.policy());
        let restore = match self.restore {
            Back::Auto => Restore::Auto,
            Back::Always => Restore::Always,
            Back::Never => Restore::Never,
        };
        let wanted = |own| {
            let name = self.name.as_deref().unwrap_or(own);
            Wanted { device: own, name, policy, sysctls: self.keep_network, restore }
        };
        let wanted: Vec<Wanted<'_>> = names.iter().map(|own| wanted(own)).collect();
        let order = ferry::Order {
            owner: &owner,
            path: Some(Path::new(&path)),
            bundle: None,
            devices: &wanted,
            allow_uplink: self.allow_uplink,
            pin: !self.no_pin,
        };
        let outcome = ferry(netns, &order).map_err(|error| failed(&error))?;
        Ok((path, outcome))
    }

    /// Whose the devices will be, and their names here: alternative ones are no names for the journal.
    fn names(&self, options: &Options) -> Result<(String, Vec<String>), Error> {
        let mut home = Home::open()?;
        let mut links = Vec::new();
        for device in &self.devices {
            links.push(home.find(device)?);
        }
        let name = |(device, link): (&String, &Option<_>)| match link {
            Some(kernel::netlink::link::Link { name, .. }) => name.clone(),
            None => device.clone(),
        };
        let names: Vec<String> = self.devices.iter().zip(&links).map(name).collect();
        let owner = home.owner(names.first().map(String::as_str).unwrap_or_default());
        for (name, link) in names.iter().zip(&links) {
            home.refuse_lent(&options.journal(), name, link.as_ref(), &owner)?;
        }
        Ok((owner, names))
    }
}

/// Devices where they go, with what goes along, what is in the way and what is worth knowing.
pub fn text(verb: &str, path: &str, lent: &[Lent], obstacles: &[(String, Obstacle)], notes: &[String]) -> String {
    let mut sections = Vec::new();
    for (at, one) in lent.iter().enumerate() {
        let name = &one.device.identity.name;
        let mut table = Table::default();
        show::rows(&mut table, &one.there());
        if let Some(kept) = kept(one) {
            table.row(&["", "kept", &kept]);
        }
        for (_, obstacle) in obstacles.iter().filter(|(device, _)| device == name) {
            table.row(&["", "obstacle", &obstacle.to_string()]);
        }
        for note in notes.iter().filter(|_| at + 1 == lent.len()) {
            table.row(&["", "note", note]);
        }
        sections.push(format!("{}\n{table}", output::bold(&format!("{verb} {name} to {path} as {}", one.name))));
    }
    sections.join("\n")
}

/// What of layer 3 does not go along, or does not come back.
fn kept(lent: &Lent) -> Option<String> {
    let device = &lent.device;
    let counts = [
        ("address", "addresses", device.addresses.len()),
        ("route", "routes", device.routes.len()),
        ("rule", "rules", device.rules.len()),
        ("neighbour", "neighbours", device.neighbours.len()),
    ];
    let word = |(one, several, count): (&str, &str, usize)| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {several}")),
    };
    let counted = counts.into_iter().filter_map(word).collect::<Vec<_>>().join(", ");
    match (lent.restores(), lent.manager) {
        _ if counted.is_empty() => None,
        (true, _) if lent.along.is_some() => None,
        (true, _) => Some(format!("{counted}: put back when it comes home")),
        (false, Some(manager)) if lent.restore == Restore::Auto => {
            Some(format!("{counted}: not put back when it comes home, for {manager} manages it"))
        }
        (false, _) => Some(format!("{counted}: not put back when it comes home")),
    }
}

/// Devices where they go, for programs.
///
/// # Errors
/// Something has no JSON.
pub fn devices(lent: &[Lent]) -> Result<Vec<Value>, Error> {
    let device = |lent: &Lent| {
        let there = serde_json::to_value(lent.there())?;
        let (home, name) = (&lent.device.identity.name, &lent.name);
        Ok(json!({ "home": home, "name": name, "restores": lent.restores(), "manager": lent.manager, "device": there }))
    };
    let malformed = |error: serde_json::Error| Error::new(code::DECODE, error.to_string());
    lent.iter().map(device).collect::<Result<_, _>>().map_err(malformed)
}
