//! `netferry plan carry`: what carrying a device would do in the target, and what is in the way.
//!
//! The lines are those of `netferry show`, under the new name.

use std::path::Path;

use clap::Args;
use cni::{Error, code};
use ferry::{Device, Obstacle, Passage, Preflight, preflight};
use kernel::netns::Netns;
use kernel::{Family, Socket, sysctl};
use serde_json::{Value, json};

use crate::attach::namespace;
use crate::output::{self, Output, Table};
use crate::show::{self, Captured};

/// The subcommand.
#[derive(Args)]
pub struct Carry {
    #[command(flatten)]
    captured: Captured,
    /// The network namespace to carry it to: a path, or a name that `ip netns` knows
    #[arg(long, value_name = "PATH")]
    netns: String,
    /// Its name there; %d becomes the lowest number that is free [default: the one it has]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Even if this host reaches others through it
    #[arg(long)]
    allow_uplink: bool,
}

impl Carry {
    /// Reads the device, and looks for what is in its way.
    ///
    /// # Errors
    /// There is no such device or namespace, or the kernel does not tell.
    pub fn execute(&self) -> Result<Output, Error> {
        let path = namespace(&self.netns)?;
        let away = Netns::open(Path::new(&path)).map_err(internal)?;
        let device = self.captured.read()?;
        let found = self.look(&away, &device).map_err(internal)?;
        let mut there = device.renamed(&found.name);
        // A port is taken out by the move.
        there.settings.master = None;
        Ok(Output {
            text: text(&there, &path, &found),
            json: Some(json(&there, &path, &found)?),
            is_negative: !found.obstacles.is_empty(),
        })
    }

    fn look(&self, away: &Netns, device: &Device) -> kernel::Result<Preflight> {
        let home = Netns::current()?;
        let (mut there, ipv6_disabled) = away.run(&home, || {
            // A kernel without IPv6 has no such setting.
            let ipv6 = sysctl::get("net/ipv6/conf/default/disable_ipv6").ok();
            Ok((Socket::open(Family::Route)?, ipv6.as_deref() != Some("0")))
        })?;
        let passage = Passage {
            name: self.name.as_deref().unwrap_or(&device.identity.name),
            is_home: away.is_same(&home)?,
            ipv6_disabled,
            allow_uplink: self.allow_uplink,
            reserved: &[],
        };
        preflight(&mut Socket::open(Family::Route)?, &mut there, device, &passage)
    }
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::internal(error.to_string())
}

fn text(there: &Device, path: &str, found: &Preflight) -> String {
    let mut table = Table::default();
    show::rows(&mut table, there);
    for obstacle in &found.obstacles {
        table.row(&["", "obstacle", &obstacle.to_string()]);
    }
    format!("{} in {path}\n{table}", output::bold(&found.name))
}

fn json(there: &Device, path: &str, found: &Preflight) -> Result<Value, Error> {
    let malformed = |error: serde_json::Error| Error::new(code::DECODE, error.to_string());
    let obstacle = |obstacle: &Obstacle| {
        let mut value = serde_json::to_value(obstacle)?;
        value["text"] = obstacle.to_string().into();
        Ok(value)
    };
    let obstacles = found.obstacles.iter().map(obstacle).collect::<Result<Vec<_>, _>>().map_err(malformed)?;
    let device = serde_json::to_value(there).map_err(malformed)?;
    Ok(json!({ "netns": path, "device": device, "obstacles": obstacles }))
}
