//! The rows that compare one call with one call: contenders alternate, in an order that turns with each round.

use crate::bench::attach::Attachment;
use crate::bench::call::{settle, timed};
use crate::bench::contender::Contender::{self, Floor, Go, GoLegacy, GoSid, Ours};
use crate::bench::device;
use crate::bench::network::Network;
use crate::bench::node::{Node, run};
use crate::bench::options::Options;
use crate::bench::stats::Results;
use std::process::Command;

/// A row: its key and title, what it attaches to, who takes part, and in which of how many rounds the peer does.
struct Row(&'static str, Network, &'static [Contender], usize);

const ROWS: &[Row] = &[
    Row("loopback", Network::Loopback, &[Ours, Go, Floor], 1),
    Row("ptp", Network::Ptp, &[Ours, Go, Floor], 1),
    // The peer waits a second or two for duplicate address detection.
    Row("dual-ptp", Network::DualPtp, &[Ours, Go, Floor], 6),
    Row("bridge", Network::Bridge, &[Ours, Go, Floor], 1),
];

/// The key of the row for which the peers of Debian sid are fetched.
pub const HOST_DEVICE: &str = "host-device";

/// A device is made anew for each call, and Go's DEL leaves its rule on the node: removed when the row is through.
const DEVICES: &[Row] = &[Row(HOST_DEVICE, Network::HostDevice, &[Ours, GoSid, Go, Floor], 1)];

/// Behind all that do not masquerade: where anybody does, the kernel looks through the connections with each link that goes.
const MASQUERADE: &[Row] = &[Row("masquerade", Network::Masquerade, &[Ours, Go], 1)];

/// Last of all: once iptables-legacy has made its tables in a namespace, everybody's packets and searches meet them.
const LEGACY: &[Row] = &[Row("legacy", Network::Masquerade, &[Ours, GoLegacy], 1)];

/// Measures VERSION and every row that was asked for.
///
/// # Errors
/// Any call fails or did not do what it said.
pub fn measure(node: &Node, options: &Options, results: &mut Results) -> Result<(), String> {
    if options.wants("version") {
        version(node, options, results)?;
    }
    compare(node, options, ROWS, results)
}

/// Measures the row of devices that the node lends, if it was asked for.
///
/// # Errors
/// As [`measure`].
pub fn measure_host_device(node: &Node, options: &Options, results: &mut Results) -> Result<(), String> {
    compare(node, options, DEVICES, results)?;
    let contenders = DEVICES.iter().flat_map(|row| row.2).filter(|who| node.has(**who));
    contenders.into_iter().try_for_each(|who| device::remove(*who))
}

/// Measures the rows with masquerade that were asked for.
///
/// # Errors
/// As [`measure`].
pub fn measure_masquerade(node: &Node, options: &Options, results: &mut Results) -> Result<(), String> {
    compare(node, options, MASQUERADE, results)?;
    if options.wants("restart") { restart(node, options, results) } else { Ok(()) }
}

/// A container that is detached and attached again at once, masqueraded: does its ADD wait for what the DEL began?
fn restart(node: &Node, options: &Options, results: &mut Results) -> Result<(), String> {
    eprintln!("restart");
    let contenders: Vec<Contender> = [Ours, Go].into_iter().filter(|who| node.has(*who)).collect();
    let residents = residents(node, Network::Masquerade, &contenders)?;
    let mut samples: Vec<(Vec<f64>, Vec<f64>)> = contenders.iter().map(|_| Default::default()).collect();
    for round in 0..options.n {
        for (who, (adds, dels)) in contenders.iter().zip(&mut samples) {
            let id = format!("restart-{round}");
            let container = Attachment { node, who: *who, network: Network::Masquerade, container: who.name(), id };
            let first = container.add()?;
            container.prove_added(&first)?;
            let gone = container.del(&first.stdout)?;
            let again = container.add()?;
            container.prove_added(&again)?;
            container.del(&again.stdout)?;
            container.prove_deleted()?;
            dels.push(gone.milliseconds);
            adds.push(again.milliseconds);
            settle();
        }
    }
    for (who, (adds, dels)) in contenders.iter().zip(&samples) {
        results.put("restart", "DEL", who.name(), "ms", dels);
        results.put("restart", "ADD", who.name(), "ms", adds);
    }
    residents.iter().try_for_each(|(resident, result)| resident.del(result).map(drop))
}

/// Measures what leaves traces on the node, if it was asked for.
///
/// # Errors
/// As [`measure`].
pub fn measure_legacy(node: &Node, options: &Options, results: &mut Results) -> Result<(), String> {
    if node.has(GoLegacy) { compare(node, options, LEGACY, results) } else { Ok(()) }
}

fn compare(node: &Node, options: &Options, rows: &[Row], results: &mut Results) -> Result<(), String> {
    for Row(key, network, contenders, every) in rows.iter().filter(|row| options.wants(row.0)) {
        eprintln!("{key}");
        let contenders: Vec<Contender> = contenders.iter().copied().filter(|who| node.has(*who)).collect();
        let residents = residents(node, *network, &contenders)?;
        // A move takes two or three ticks of the clock, as it falls: that takes more of them to compare.
        let n = if *network == Network::HostDevice { 4 * options.n } else { options.n };
        alternate(node, n, key, *network, &contenders, *every)?.keep(key, results);
        residents.iter().try_for_each(|(resident, result)| resident.del(result).map(drop))?;
    }
    Ok(())
}

/// Attaches the resident to the bridges: with a port that stays, a bridge does not go down and up with each call.
pub fn residents<'a>(
    node: &'a Node,
    network: Network,
    contenders: &[Contender],
) -> Result<Vec<(Attachment<'a>, String)>, String> {
    if !matches!(network, Network::Bridge | Network::Masquerade) {
        return Ok(Vec::new());
    }
    let attach = |who: &Contender| {
        let resident =
            Attachment { node, who: *who, network, container: who.resident(), id: who.resident().to_owned() };
        let added = resident.add()?;
        Ok((resident, added.stdout))
    };
    contenders.iter().map(attach).collect()
}

/// The samples of each contender of a row: of ADD and of DEL, in milliseconds.
pub struct Samples(Vec<(Contender, Vec<f64>, Vec<f64>)>);

impl Samples {
    /// Puts them among the results.
    pub fn keep(&self, key: &str, results: &mut Results) {
        for (who, adds, dels) in &self.0 {
            results.put(key, "ADD", who.name(), "ms", adds);
            results.put(key, "DEL", who.name(), "ms", dels);
        }
    }
}

/// Lets `contenders` attach and detach in turn, `n` times after a tenth of that (at least 2) for warming up; those that
/// are the peer only in each `every`th round.
///
/// # Errors
/// Any call fails or did not do what it said.
pub fn alternate(
    node: &Node,
    n: usize,
    key: &str,
    network: Network,
    contenders: &[Contender],
    every: usize,
) -> Result<Samples, String> {
    let warm = (n / 10).max(2);
    let mut samples = Samples(contenders.iter().map(|who| (*who, Vec::new(), Vec::new())).collect());
    for round in 0..warm + n {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            let Some((who, adds, dels)) = samples.0.get_mut(at) else { continue };
            if every > 1 && *who == Go && !round.is_multiple_of(every) {
                continue;
            }
            let id = format!("{key}-{round}");
            let (add, del) = once(&Attachment { node, who: *who, network, container: who.name(), id }, round == 0)
                .map_err(|error| format!("{key}, {}: {error}", who.name()))?;
            if round >= warm {
                adds.push(add);
                dels.push(del);
            }
        }
    }
    Ok(samples)
}

/// One ADD and its DEL, both proven.
fn once(attachment: &Attachment<'_>, first: bool) -> Result<(f64, f64), String> {
    let is_moved = attachment.network == Network::HostDevice;
    if is_moved {
        device::make(attachment.who)?;
    }
    attachment.warm()?;
    if is_moved {
        // A move waits for the grace periods of whatever ended before, and some take more programs to prove than others.
        settle();
    }
    let added = attachment.add()?;
    attachment.prove_added(&added)?;
    if first && attachment.network == Network::Masquerade {
        prove_masquerade(attachment, &added.stdout)?;
    }
    attachment.warm()?;
    if is_moved {
        settle();
    }
    let deleted = attachment.del(&added.stdout)?;
    attachment.prove_deleted()?;
    if !matches!(attachment.network, Network::HostLocal(_)) {
        settle();
    }
    Ok((added.milliseconds, deleted.milliseconds))
}

fn prove_masquerade(attachment: &Attachment<'_>, result: &str) -> Result<(), String> {
    let rules =
        if attachment.who == GoLegacy { run(&["iptables-legacy-save"])? } else { run(&["nft", "list", "ruleset"])? };
    let subnet = format!("10.{}.", attachment.who.subnet());
    let address = result.split('"').find(|word| word.starts_with(&subnet)).and_then(|word| word.split('/').next());
    let there = address.is_some_and(|address| rules.contains(address)) && rules.to_lowercase().contains("masquerade");
    if there { Ok(()) } else { Err(format!("nothing masquerades {}:\n{rules}", address.unwrap_or("it"))) }
}

/// What starting the program costs: ours and the peer's tell their versions, the floor does nothing.
fn version(node: &Node, options: &Options, results: &mut Results) -> Result<(), String> {
    eprintln!("version");
    let contenders: Vec<Contender> = [Ours, Go, Floor].into_iter().filter(|who| node.has(*who)).collect();
    let mut samples: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..options.n + 5 {
        for (who, samples) in contenders.iter().zip(&mut samples) {
            let mut command = match who {
                Floor => Command::new(&node.floor),
                _ => node.plugin(*who, "bridge"),
            };
            if *who == Floor {
                command.env_clear().arg("idle");
            }
            let done = timed(command.env("CNI_COMMAND", "VERSION"), r#"{"cniVersion":"1.0.0"}"#)?;
            if *who != Floor && !done.stdout.contains("supportedVersions") {
                return Err(format!("{} VERSION printed {}", who.name(), done.stdout));
            }
            if round >= 5 {
                samples.push(done.milliseconds);
            }
        }
    }
    contenders.iter().zip(&samples).for_each(|(who, all)| results.put("version", "VERSION", who.name(), "ms", all));
    Ok(())
}
