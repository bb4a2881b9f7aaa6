//! Runs the points of a case on parallel nodes and judges what each leaves behind.
//!
//! Most of the time of a run is the kernel's: grace periods while links and nftables objects go. So there are more
//! workers than processors, each with a node of its own, taking points from one queue.

use super::points::{self, Point};
use super::{Baseline, Cure, Fault, FaultCase, Steps};
use crate::error::{Error, Result};
use crate::node::{Container, Node};
use crate::process::{Invocation, Output, memory, text};
use crate::snapshot::{Snapshot, settle};
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

const WORKERS: usize = 8;

/// Runs that points are looked for in.
const TRACES: usize = 3;

/// How often a run is repeated in which the point was not reached.
const TRIES: usize = 3;

/// What a case proved.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Distinct system calls that were made to fail.
    pub points: usize,
    /// Faults that hit: each point with each of its errors, and with SIGKILL.
    pub faults: usize,
    /// Faults whose point was not reached again: the run takes different ways.
    pub missed: Vec<String>,
    /// What was not clean, one message for each.
    pub failures: Vec<String>,
}

/// A node on which the case can run, and what clean means there.
struct Bench {
    node: Node,
    container: Container,
    steps: Steps,
    clean: Arc<Snapshot>,
}

/// What one case measures all its points against.
struct Reference {
    /// A node on which nothing has run.
    cold: Arc<Snapshot>,
    /// A node after complete rounds.
    warm: Snapshot,
}

type Queue = Mutex<VecDeque<(Point, Fault)>>;

impl Outcome {
    /// An error that tells everything that was not clean, or that points were lost.
    pub fn verdict(&self, name: &str) -> Result<()> {
        let lost = self.missed.len() * 20 > self.faults;
        if self.failures.is_empty() && self.faults > 0 && !lost {
            return Ok(());
        }
        let shown: Vec<&str> = self.failures.iter().chain(&self.missed).take(12).map(String::as_str).collect();
        let (faults, failed, missed) = (self.faults, self.failures.len(), self.missed.len());
        let summary = format!("{name}: {faults} faults, {failed} not clean, {missed} not reached again");
        Err(Error::new(format!("{summary}\n{}", shown.join("\n"))))
    }
}

impl FaultCase {
    /// Finds the points and runs them all.
    ///
    /// # Errors
    /// The unharmed run does not work, or strace does not. What faults broke is in the outcome.
    pub fn prove(&self) -> Result<Outcome> {
        let (cold, warm) = (self.bench(Baseline::Cold, None)?, self.bench(Baseline::Warm, None)?);
        let (points, others) = self.points(if self.baseline == Baseline::Cold { &cold } else { &warm })?;
        let reference = Reference { cold: cold.clean, warm: (*warm.clean).clone().without_macs() };
        let outcome = Mutex::new(Outcome { points: points.len(), ..Outcome::default() });
        let queue: Queue = Mutex::new(points.into_iter().flat_map(with_faults).collect());
        let name = std::thread::current().name().unwrap_or("faults").to_owned();
        std::thread::scope(|scope| -> Result<()> {
            let work = || self.work(&queue, &outcome, &reference);
            let start = |_| std::thread::Builder::new().name(name.clone()).spawn_scoped(scope, work);
            let workers: std::io::Result<Vec<_>> = (0..WORKERS).map(start).collect();
            for worker in workers.map_err(Error::during("start a thread"))? {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(())
        })?;
        let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        println!(
            "{}: {} points and {others} left to other rows, {} faults, {} not clean, {} not reached again",
            self.name,
            outcome.points,
            outcome.faults,
            outcome.failures.len(),
            outcome.missed.len()
        );
        crate::report::count("fault", outcome.faults, &self.name);
        Ok(outcome)
    }

    /// A fresh node in the state of `baseline`; its snapshot need not be taken again when it is `known`.
    fn bench(&self, baseline: Baseline, known: Option<&Arc<Snapshot>>) -> Result<Bench> {
        let node = Node::new()?;
        (self.setup)(&node)?;
        let container = node.container("c1")?;
        let steps = (self.steps)(&node, &container)?;
        let mut bench = Bench { node, container, steps, clean: Arc::default() };
        if baseline == Baseline::Warm {
            // Twice: what a first round leaves, a second may change.
            bench.round()?;
            bench.round()?;
        }
        bench.clean = known.map_or_else(|| bench.snapshot().map(Arc::new), |known| Ok(known.clone()))?;
        Ok(bench)
    }

    /// The points of the case, and how many do not belong to it.
    /// The points of the shortest of several runs: one that had to wait has asked again and again, and no other will.
    fn points(&self, bench: &Bench) -> Result<(Vec<Point>, usize)> {
        let mut shortest = self.points_of_one_run(bench)?;
        for _ in 1..TRACES {
            let found = match self.baseline {
                Baseline::Cold => self.points_of_one_run(&self.bench(Baseline::Cold, Some(&bench.clean))?)?,
                _ => self.points_of_one_run(bench)?,
            };
            if found.0.len() < shortest.0.len() {
                shortest = found;
            }
        }
        Ok(shortest)
    }

    fn points_of_one_run(&self, bench: &Bench) -> Result<(Vec<Point>, usize)> {
        bench.prepare()?;
        let trace = memory(c"trace")?;
        let options =
            ["--seccomp-bpf", "-yy", "-e"].map(str::to_owned).into_iter().chain([format!("trace={}", points::TRACED)]);
        let (output, trace) = bench.traced(trace, options.collect())?;
        bench.recover(&output.success()?)?;
        let (points, others): (Vec<_>, Vec<_>) = points::parse(&trace).into_iter().partition(self.only);
        Ok((points, others.len()))
    }

    fn work(&self, queue: &Queue, outcome: &Mutex<Outcome>, reference: &Reference) -> Result<()> {
        let mut bench: Option<Bench> = None;
        let known = (self.baseline == Baseline::Cold).then_some(&reference.cold);
        loop {
            let taken = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((point, fault)) = taken else { return self.last_look(bench, outcome, reference) };
            let name = format!("{} {fault:?} at {} {}: {}", self.name, point.syscall, point.nth, point.about);
            let mut hit = Ok(false);
            for _ in 0..TRIES {
                if self.baseline == Baseline::Cold {
                    bench = None;
                }
                let ready = match bench.take() {
                    Some(ready) => bench.insert(ready),
                    None => bench.insert(self.bench(self.baseline, known)?),
                };
                hit = self.one(ready, &point, fault, reference);
                if !matches!(hit, Ok(false)) {
                    break;
                }
            }
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match hit {
                Ok(true) => outcome.faults += 1,
                Ok(false) => outcome.missed.push(format!("not reached again: {name}")),
                Err(error) => {
                    outcome.faults += 1;
                    outcome.failures.push(format!("=== {name}\n{error}"));
                    bench = None;
                }
            }
        }
    }

    fn last_look(&self, bench: Option<Bench>, outcome: &Mutex<Outcome>, reference: &Reference) -> Result<()> {
        let Some(bench) = bench else { return Ok(()) };
        if let Some(left) = self.left(&bench, reference)? {
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.failures.push(format!("=== {}: at the end of a worker\n{left}", self.name));
        }
        Ok(())
    }

    /// One faulted run and everything after it; whether the fault hit.
    fn one(&self, bench: &Bench, point: &Point, fault: Fault, reference: &Reference) -> Result<bool> {
        bench.prepare()?;
        // A stop for seccomp cannot deliver a signal, so a kill goes without the shortcut.
        let (how, stop) = match fault {
            Fault::Error(errno) => (format!("error={errno}"), Some("--seccomp-bpf")),
            Fault::Kill => ("signal=KILL".to_owned(), None),
        };
        let inject = format!("inject={}:{how}:when={}", point.syscall, point.nth);
        let trace = format!("trace={}", point.syscall);
        let options = stop.into_iter().chain(["-e", &trace, "-e", &inject]).map(str::to_owned);
        let (output, trace) = bench.traced(memory(c"trace")?, options.collect())?;
        let hit = trace.contains("(INJECTED)") || trace.contains("killed by SIGKILL");
        let said = output.describe();
        let context = |what: &str, found: String| Error::new(format!("{what}:\n{found}{said}"));
        // A process that ends itself (it cannot get back to its namespace) is one that was killed; a panic is not.
        let answers = output.status.code().is_some() || output.stderr.contains("panicked");
        if answers && !(point.syscall.starts_with("write") && point.about.starts_with("1<")) {
            (self.answers)(&output).map_err(|error| context("the answer", format!("{error}\n")))?;
        }
        if self.baseline == Baseline::Unchanged || (self.undoes && answers && !output.status.success()) {
            self.left(bench, reference)?.map_or(Ok(()), |left| Err(context("left by the run itself", left)))?;
        }
        bench.recover(&output).map_err(|error| context("recovery", format!("{error}\n")))?;
        self.left(bench, reference)?.map_or(Ok(()), |left| Err(context("after recovery", left)))?;
        if bench.steps.recover.is_some() {
            bench.round().map_err(|error| context("the next run", format!("{error}\n")))?;
        }
        if self.baseline != Baseline::Cold {
            // What that run leaves is seen after the next point; the worker looks after the last one.
            return Ok(hit);
        }
        let steady = settle(|| bench.snapshot(), |now| reference.warm.diff(&now.clone().without_macs()))?;
        steady.map_or(Ok(hit), |left| Err(context("after the next run", left)))
    }

    /// What is in the state and should not be.
    fn left(&self, bench: &Bench, reference: &Reference) -> Result<Option<String>> {
        match self.baseline {
            Baseline::Warm | Baseline::Unchanged => settle(|| bench.snapshot(), |now| bench.clean.diff(now)),
            Baseline::Cold => {
                settle(|| bench.snapshot(), |now| now.clone().without_macs().beyond(&[&bench.clean, &reference.warm]))
            }
        }
    }
}

impl Bench {
    fn prepare(&self) -> Result<()> {
        self.steps.prepare.iter().try_for_each(|step| step.run(self.node.namespaces())?.success().map(drop))
    }

    fn round(&self) -> Result<()> {
        self.prepare()?;
        let output = self.steps.act.run(self.node.namespaces())?.success()?;
        if self.steps.recover.is_some() { self.recover(&output) } else { Ok(()) }
    }

    /// Cleans up after a run that ended so.
    fn recover(&self, ended: &Output) -> Result<()> {
        let command = |command: &Invocation| command.run(self.node.namespaces())?.success().map(drop);
        match &self.steps.recover {
            Some(Cure::Command(cure)) => {
                let ended = ended.status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
                let mut cure = cure.clone();
                cure.env.push(("ENDED".to_owned(), ended));
                command(&cure)
            }
            Some(Cure::Call(cure)) => self.node.namespaces().inside(cure)?,
            None => command(&self.steps.act),
        }
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Ok(self.node.snapshot()?.and("container", self.container.snapshot()?))
    }

    /// The act under strace, and the trace.
    fn traced(&self, mut trace: File, what: Vec<String>) -> Result<(Output, String)> {
        let path = format!("/proc/{}/fd/{}", std::process::id(), trace.as_raw_fd());
        let mut options = ["-f", "-q", "-s", "40", "-o"].map(str::to_owned).to_vec();
        options.push(path);
        options.extend(what);
        let output = self.steps.act.traced(&options).run(self.node.namespaces())?;
        Ok((output, text(&mut trace)?))
    }
}

fn with_faults(point: Point) -> Vec<(Point, Fault)> {
    let faults = point.errors.iter().map(|errno| Fault::Error(errno)).chain([Fault::Kill]);
    faults.map(|fault| (point.clone(), fault)).collect()
}
