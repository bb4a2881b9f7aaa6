//! `netferry show`: what would be carried along with a device.

use clap::{Args, ValueEnum};
use cni::{Error, code};
use ferry::{Addresses, Device, Policy, capture};
use kernel::{Family, Socket};

use crate::home::failed;
use crate::options::Options;
use crate::output::{self, Output, Table};

/// The subcommand.
#[derive(Args)]
pub struct Show {
    /// Name of the device, or an alternative name
    device: String,
    #[command(flatten)]
    selection: Selection,
}

/// What of a device is meant.
#[derive(Args)]
pub struct Selection {
    /// Which addresses: without lifetime and all of IPv4, those of DHCPv6 too, or none and nothing that needs one
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = Which::Permanent)]
    addresses: Which,
    /// Addresses whose scope is the link or this host, too
    #[arg(long)]
    link_scope: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    Permanent,
    All,
    None,
}

impl Show {
    /// Reads the device.
    ///
    /// # Errors
    /// There is no such device, or the kernel does not tell.
    pub fn execute(&self, _: &Options) -> Result<Output, Error> {
        let policy = self.selection.policy();
        let read = || capture(&mut Socket::open(Family::Route)?, &self.device, &policy);
        let device = read().map_err(|error| failed(&error))?;
        let json = serde_json::to_value(&device).map_err(|error| Error::new(code::DECODE, error.to_string()))?;
        Ok(Output { text: text(&device), json: Some(json), ..Output::default() })
    }
}

impl Selection {
    /// The same for the ferry.
    pub fn policy(&self) -> Policy {
        let addresses = match self.addresses {
            Which::Permanent => Addresses::Permanent,
            Which::All => Addresses::All,
            Which::None => Addresses::None,
        };
        Policy { addresses, link_scope: self.link_scope }
    }
}

fn text(device: &Device) -> String {
    let identity = &device.identity;
    let mut table = Table::default();
    let built_with = identity.permanent_mac.filter(|mac| Some(*mac) != identity.mac);
    for (what, value) in [
        ("kind", Some(identity.kind.clone()).filter(|kind| !kind.is_empty())),
        ("parent", identity.parent.as_ref().map(|parent| format!("{} {}", parent.bus, parent.name))),
        ("permanent", built_with.map(|mac| format!("address {mac}"))),
    ] {
        if let Some(value) = value {
            table.row(&["", what, &value]);
        }
    }
    rows(&mut table, device);
    format!("{}\n{table}", output::bold(&identity.name))
}

/// What was captured of a device, and what a move loses.
pub fn rows(table: &mut Table, device: &Device) {
    for line in device.lines() {
        table.row(&["", line.object, &line.text]);
    }
    for lost in &device.lost {
        table.row(&["", "lost", lost]);
    }
}
