//! `netferry plan carry`: what carrying devices would do in the target, and what is in the way.
//!
//! The lines are those of `netferry carry`, from the same look at everything.

use clap::Args;
use cni::{Error, code};
use ferry::{Obstacle, prepare};
use serde_json::{Value, json};

use crate::carry::{Order, devices, text};
use crate::options::Options;
use crate::output::Output;

/// The subcommand.
#[derive(Args)]
pub struct Carry {
    #[command(flatten)]
    order: Order,
}

impl Carry {
    /// Reads the devices, and looks for what is in their way.
    ///
    /// # Errors
    /// There is no such device or namespace, a device is lent, or the kernel does not tell.
    pub fn execute(&self, options: &Options) -> Result<Output, Error> {
        let (path, prepared) = self.order.ask(options, prepare)?;
        let (lent, obstacles, notes) = (prepared.lent(), &prepared.obstacles, &prepared.notes);
        let found = obstacles.iter().map(obstacle).collect::<Result<Vec<_>, _>>()?;
        Ok(Output {
            text: text("carry", &path, lent, obstacles, notes),
            json: Some(json!({ "netns": path, "devices": devices(lent)?, "obstacles": found, "notes": notes })),
            is_negative: !obstacles.is_empty(),
        })
    }
}

fn obstacle((device, obstacle): &(String, Obstacle)) -> Result<Value, Error> {
    let malformed = |error: serde_json::Error| Error::new(code::DECODE, error.to_string());
    let mut value = serde_json::to_value(obstacle).map_err(malformed)?;
    value["device"] = device.as_str().into();
    value["text"] = obstacle.to_string().into();
    Ok(value)
}
