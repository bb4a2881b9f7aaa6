//! The rows about many: addresses reserved, containers on the node, calls at once.

use crate::bench::attach::Attachment;
use crate::bench::call::Done;
use crate::bench::contender::Contender::{self, Floor, Go, Ours};
use crate::bench::network::Network;
use crate::bench::node::Node;
use crate::bench::options::Options;
use crate::bench::rows::alternate;
use crate::bench::stats::Results;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Reserved addresses of a /16.
const RESERVED: &[usize] = &[0, 1_000, 20_000];
/// At either end of the sequence.
const ENDS: usize = 20;
/// Calls at once.
const WIDTH: usize = 8;
/// Long enough for every grace period of a hundred removals to end.
const SETTLE: Duration = Duration::from_millis(500);

/// Measures the rows of many addresses that were asked for.
///
/// # Errors
/// Any call fails.
pub fn reserved(node: &Node, options: &Options, results: &mut Results) -> Result<(), String> {
    for reserved in RESERVED {
        let key = format!("host-local-{reserved}");
        if options.wants(&key) {
            eprintln!("{key}");
            let contenders: Vec<Contender> = [Ours, Go].into_iter().filter(|who| node.has(*who)).collect();
            contenders.iter().try_for_each(|who| reserve(*who, *reserved))?;
            alternate(node, options.n, &key, Network::HostLocal(*reserved), &contenders, 1)?.keep(&key, results);
        }
    }
    Ok(())
}

/// Measures the rows of many containers on `network`, called `suffix`, that were asked for.
///
/// # Errors
/// Any call fails.
pub fn containers(
    node: &Node,
    options: &Options,
    (suffix, network): (&str, Network),
    results: &mut Results,
) -> Result<(), String> {
    let keys = ["sequential", "parallel"].map(|kind| format!("{kind}{suffix}"));
    if !keys.iter().any(|key| options.wants(key)) {
        return Ok(());
    }
    let count = if options.quick { 60 } else { 200 };
    let containers: Vec<String> = (0..count).map(|at| format!("c{at}")).collect();
    if !Path::new("/run/netns/c0").exists() {
        containers.iter().try_for_each(|name| node.container(name))?;
    }
    let [one_by_one, at_once] = keys;
    if options.wants(&one_by_one) {
        sequential(node, &one_by_one, network, &containers, results)?;
    }
    if options.wants(&at_once) {
        let rounds = if options.quick { 1 } else { 3 };
        parallel(node, &at_once, network, &containers[..count / 2], rounds, results)?;
    }
    Ok(())
}

/// Who takes part where there are many containers.
fn contenders(node: &Node, network: Network) -> Vec<Contender> {
    let floor = [Floor].into_iter().filter(|_| network == Network::Bridge);
    [Ours, Go].into_iter().chain(floor).filter(|who| node.has(*who)).collect()
}

/// Reserves addresses as both implementations write them.
fn reserve(who: Contender, count: usize) -> Result<(), String> {
    let directory = PathBuf::from("/var/lib/cni/networks").join(Network::HostLocal(count).name(who));
    let fail = |error: std::io::Error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(&directory).map_err(fail)?;
    // .0.0 is the subnet and .0.1 its gateway.
    let address = |at: usize| format!("10.{}.{}.{}", who.subnet(), (at + 2) / 256, (at + 2) % 256);
    for at in 0..count {
        std::fs::write(directory.join(address(at)), format!("reserved-{at}\r\neth0")).map_err(fail)?;
    }
    match count.checked_sub(1) {
        Some(last) => std::fs::write(directory.join("last_reserved_ip.0"), address(last)).map_err(fail),
        None => Ok(()),
    }
}

/// One ADD after the other without a DEL in between: do the last cost what the first did?
fn sequential(
    node: &Node,
    key: &str,
    network: Network,
    containers: &[String],
    results: &mut Results,
) -> Result<(), String> {
    for who in contenders(node, network) {
        eprintln!("{key}: {}", who.name());
        let mut adds = Vec::new();
        let mut printed = Vec::new();
        for container in containers {
            let attachment = Attachment { node, who, network, container, id: format!("{key}-{container}") };
            let done = attachment.add()?;
            attachment.prove_added(&done)?;
            adds.push(done.milliseconds);
            printed.push(done.stdout);
        }
        results.put(key, "first 20", who.name(), "ms", &adds[..ENDS]);
        results.put(key, "last 20", who.name(), "ms", &adds[adds.len() - ENDS..]);
        let mut dels = Vec::new();
        for (container, result) in containers.iter().zip(&printed) {
            let attachment = Attachment { node, who, network, container, id: format!("{key}-{container}") };
            dels.push(attachment.del(result)?.milliseconds);
            attachment.prove_deleted()?;
        }
        results.put(key, "DEL", who.name(), "ms", &dels);
        std::thread::sleep(SETTLE);
    }
    Ok(())
}

/// All ADDs, then all DELs, eight at a time: how long until the last has returned?
fn parallel(
    node: &Node,
    key: &str,
    network: Network,
    containers: &[String],
    rounds: usize,
    results: &mut Results,
) -> Result<(), String> {
    let contenders = contenders(node, network);
    let mut walls: Vec<(Vec<f64>, Vec<f64>)> = contenders.iter().map(|_| Default::default()).collect();
    for round in 0..rounds {
        for (who, (adds, dels)) in contenders.iter().zip(&mut walls) {
            eprintln!("{key}: {} {}/{rounds}", who.name(), round + 1);
            let attachments: Vec<Attachment<'_>> = containers
                .iter()
                .map(|container| {
                    let id = format!("{key}-{round}-{container}");
                    Attachment { node, who: *who, network, container, id }
                })
                .collect();
            let (add, del) = crowd(&attachments)?;
            adds.push(add);
            dels.push(del);
            std::thread::sleep(SETTLE);
        }
    }
    for (who, (adds, dels)) in contenders.iter().zip(&walls) {
        results.put(key, "ADD", who.name(), "ms", adds);
        results.put(key, "DEL", who.name(), "ms", dels);
    }
    Ok(())
}

/// Attaches and detaches them all, proven between; returns the wall times in milliseconds.
fn crowd(attachments: &[Attachment<'_>]) -> Result<(f64, f64), String> {
    let printed: Vec<OnceLock<Done>> = attachments.iter().map(|_| OnceLock::new()).collect();
    let all: Vec<_> = attachments.iter().zip(&printed).collect();
    let add = at_once(&all, |(attachment, printed)| {
        let done = attachment.add()?;
        printed.set(done).map_err(|_| "a container was attached twice".to_owned())
    })?;
    let added = |printed: &'_ OnceLock<Done>| printed.get().map_or_else(String::new, |done| done.stdout.clone());
    for (attachment, printed) in &all {
        attachment.prove_added(printed.get().ok_or("a container was forgotten")?)?;
    }
    let del = at_once(&all, |(attachment, printed)| attachment.del(&added(printed)).map(drop))?;
    attachments.iter().try_for_each(Attachment::prove_deleted)?;
    Ok((add, del))
}

/// Calls `work` for every item from [`WIDTH`] threads, and returns the wall time in milliseconds.
fn at_once<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<(), String> + Sync) -> Result<f64, String> {
    let next = AtomicUsize::new(0);
    let worker = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item)?;
        }
        Ok(())
    };
    let start = Instant::now();
    let outcomes: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WIDTH).map(|_| scope.spawn(worker)).collect();
        let panicked = |_| Err("a call panicked".to_owned());
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    let wall = start.elapsed().as_secs_f64() * 1e3;
    outcomes.into_iter().collect::<Result<(), String>>().map(|()| wall)
}
