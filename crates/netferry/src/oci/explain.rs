//! `netferry oci explain`: what would become of a container's devices, and what stands in the way.
//!
//! Where the container's namespace is not there yet, one that is made for the look takes its place: it is as empty as the
//! runtime's will be.

use std::path::PathBuf;

use ::oci::spec::Namespace;
use ::oci::{Circumstances, Problem, Spec, Wishes, hook, validate};
use clap::Args;
use cni::{Error, code};
use kernel::netns::Netns;
use kernel::{Family, Socket};
use serde_json::{Value, json};

use super::bundle;
use crate::carry::{devices, text};
use crate::home::failed;
use crate::options::Options;
use crate::output::Output;

/// The subcommand.
#[derive(Args)]
pub struct Explain {
    /// The directory that config.json is in
    bundle: PathBuf,
}

impl Explain {
    /// Looks.
    ///
    /// # Errors
    /// config.json cannot be read, there is no such device or namespace, or the kernel does not tell.
    pub fn execute(&self, _: &Options) -> Result<Output, Error> {
        let spec = bundle::spec(&self.bundle)?;
        if spec.devices.is_empty() {
            let text = "config.json has no linux.netDevices: there is nothing to carry".to_owned();
            return Ok(Output { text, json: Some(said(&[])), ..Output::default() });
        }
        let (netns, place) = target(&spec)?;
        let circumstances = Circumstances { is_host_netns: Some(is_host(&netns)?), owns_namespaces: true };
        let problems = validate(&spec, &circumstances).err().unwrap_or_default();
        let wishes = Wishes::read(&spec.annotations);
        let invalid: Vec<String> = wishes.as_ref().err().into_iter().flatten().map(ToString::to_string).collect();
        if !problems.is_empty() || !invalid.is_empty() {
            return refused(&problems, &invalid);
        }
        let prepared = hook::prepare(netns, &spec, &wishes.unwrap_or_default()).map_err(|error| failed(&error))?;
        let (lent, obstacles) = (prepared.lent(), &prepared.obstacles);
        let mut notes = prepared.notes.clone();
        notes.extend(left_behind(lent).map_err(|error| failed(&error))?);
        let words =
            |(device, obstacle): &(String, ferry::Obstacle)| json!({ "device": device, "text": obstacle.to_string() });
        let mut json = said(&[]);
        json["devices"] = devices(lent)?.into();
        json["obstacles"] = obstacles.iter().map(words).collect();
        json["notes"] = json!(notes);
        let text = text("carry", &place, lent, obstacles, &notes);
        Ok(Output { text, json: Some(json), is_negative: !obstacles.is_empty() })
    }
}

/// The namespace that the devices would go to, and its name in words.
fn target(spec: &Spec) -> Result<(Netns, String), Error> {
    match &spec.network {
        Namespace::Path(path) => {
            let netns = Netns::open(path).map_err(|error| failed(&error))?;
            Ok((netns, path.display().to_string()))
        }
        Namespace::New => {
            Ok((Netns::fresh().map_err(|error| failed(&error))?, "the container's own namespace".to_owned()))
        }
        Namespace::None => {
            Ok((Netns::current().map_err(|error| failed(&error))?, "the runtime's namespace".to_owned()))
        }
    }
}

fn is_host(netns: &Netns) -> Result<bool, Error> {
    Netns::current().and_then(|home| netns.is_same(&home)).map_err(|error| failed(&error))
}

/// What of each device stays at home though the device goes.
fn left_behind(lent: &[ferry::journal::Lent]) -> kernel::Result<Vec<String>> {
    let mut notes = Vec::new();
    let mut socket = Socket::open(Family::Route)?;
    for one in lent {
        let (name, going) = (&one.device.identity.name, one.going());
        // The journal needs no settings that the kernel says in numbers.
        let device = ferry::capture(&mut socket, name, &ferry::Policy::WIDEST)?;
        for (what, all, along) in [
            ("addresses", device.addresses.len(), going.addresses.len()),
            ("routes", device.routes.len(), going.routes.len()),
            ("rules", device.rules.len(), going.rules.len()),
            ("permanent neighbours", device.neighbours.len(), going.neighbours.len()),
            ("sysctls", device.sysctls.len(), going.sysctls.len()),
        ] {
            if all > along {
                notes.push(format!("{name}: {} of {all} {what} do not go along", all - along));
            }
        }
    }
    Ok(notes)
}

/// What is told of a configuration with these problems, and no device yet.
fn said(problems: &[Value]) -> Value {
    json!({ "devices": [], "problems": problems, "obstacles": [], "notes": [] })
}

/// What is wrong with the configuration itself.
fn refused(problems: &[Problem], invalid: &[String]) -> Result<Output, Error> {
    let malformed = |error: serde_json::Error| Error::new(code::DECODE, error.to_string());
    let described = |problem: &Problem| {
        let mut value = serde_json::to_value(problem).map_err(malformed)?;
        value["text"] = problem.to_string().into();
        Ok(value)
    };
    let mut all = problems.iter().map(described).collect::<Result<Vec<Value>, Error>>()?;
    all.extend(invalid.iter().map(|text| json!({ "kind": "annotation", "text": text })));
    let lines = problems.iter().map(ToString::to_string).chain(invalid.iter().cloned());
    let text = lines.map(|line| format!("obstacle  {line}")).collect::<Vec<_>>().join("\n");
    Ok(Output { text, json: Some(said(&all)), is_negative: true })
}
