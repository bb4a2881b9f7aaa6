//! What a call asks of the kernel: its system calls, and the programs it runs, counted by strace.

use crate::bench::attach::Attachment;
use crate::bench::contender::Contender::{self, Floor, Go, Ours};
use crate::bench::network::Network;
use crate::bench::node::Node;
use crate::bench::options::Options;
use crate::bench::rows::residents;
use crate::bench::stats::Results;
use std::process::{Command, Stdio};
use std::time::Duration;

const TRACE: &str = "/run/bench/trace";
const SETTLE: Duration = Duration::from_millis(200);

/// Counts one warm ADD and DEL of each contender of each of these networks.
///
/// # Errors
/// A call or strace fails.
pub fn measure(node: &Node, options: &Options, results: &mut Results) -> Result<(), String> {
    let rows = [("ptp", Network::Ptp), ("bridge", Network::Bridge), ("masquerade", Network::Masquerade)];
    for (key, network) in rows.into_iter().filter(|(key, _)| options.wants(key)) {
        eprintln!("system calls of {key}");
        let floor = network != Network::Masquerade;
        for who in [Ours, Go, Floor].into_iter().filter(|who| node.has(*who) && (floor || *who != Floor)) {
            count(node, key, network, who, results)?;
        }
    }
    Ok(())
}

fn count(node: &Node, key: &str, network: Network, who: Contender, results: &mut Results) -> Result<(), String> {
    let attachment = |id: &str| Attachment { node, who, network, container: who.name(), id: id.to_owned() };
    // What the first call of a network sets up is not what calls cost.
    let residents = residents(node, network, &[who])?;
    let traced_one = attachment("traced");
    let (calls, printed) = traced(&traced_one.command("ADD")?, &network.configuration(who))?;
    calls.keep(key, "ADD", who, results);
    let (calls, _) = traced(&traced_one.command("DEL")?, &traced_one.del_stdin(&printed))?;
    calls.keep(key, "DEL", who, results);
    traced_one.prove_deleted()?;
    residents.iter().try_for_each(|(resident, result)| resident.del(result).map(drop))?;
    std::thread::sleep(SETTLE);
    Ok(())
}

/// The counts of one call.
struct Counts {
    calls: usize,
    programs: usize,
    children: usize,
}

impl Counts {
    /// Of what `strace -f` wrote: a line for each call, two where another thread got in between.
    fn of(trace: &str) -> Counts {
        let programs = trace.lines().filter(|line| line.contains("execve") && line.ends_with("= 0")).count();
        let calls = trace.lines().filter(|line| line.contains('(') && !line.contains("resumed>"));
        let calls = calls.filter(|line| !line.contains("+++") && !line.contains("---"));
        let mut counts = Counts { calls: 0, programs, children: 0 };
        for line in calls {
            let name = line.split_whitespace().nth(1).and_then(|call| call.split('(').next()).unwrap_or_default();
            counts.calls += 1;
            let process =
                matches!(name, "fork" | "vfork") || (name.starts_with("clone") && !line.contains("CLONE_THREAD"));
            counts.children += usize::from(process);
        }
        counts
    }

    fn keep(&self, key: &str, op: &'static str, who: Contender, results: &mut Results) {
        let counts = [("calls", self.calls), ("programs", self.programs), ("children", self.children)];
        counts.iter().for_each(|(unit, count)| results.put(key, op, who.name(), unit, &[*count as f64]));
    }
}

/// Runs `program` under strace, and returns what it did and printed.
fn traced(program: &Command, stdin: &str) -> Result<(Counts, String), String> {
    let fail = |error: std::io::Error| format!("strace: {error}");
    let input = "/run/bench/trace.in";
    std::fs::write(input, stdin).map_err(fail)?;
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", TRACE, "--"]).arg(program.get_program()).args(program.get_args());
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(std::fs::File::open(input).map_err(fail)?).stderr(Stdio::inherit());
    let output = command.output().map_err(fail)?;
    if !output.status.success() {
        return Err(format!("strace: {}\n{}", output.status, String::from_utf8_lossy(&output.stdout)));
    }
    let trace = std::fs::read_to_string(TRACE).map_err(fail)?;
    Ok((Counts::of(&trace), String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_calls_once() {
        let trace = "7 execve(\"/a\", [\"a\"], 0x7 /* 2 vars */) = 0\n\
                     7 clone(child_stack=0x1, flags=CLONE_VM|CLONE_THREAD) = 8\n\
                     8 futex(0x1, FUTEX_WAIT, 0, NULL <unfinished ...>\n\
                     7 vfork( <unfinished ...>\n\
                     8 <... futex resumed>) = 0\n\
                     9 execve(\"/b\", [\"b\"], 0x7 /* 2 vars */ <unfinished ...>\n\
                     9 <... execve resumed>) = 0\n\
                     7 --- SIGCHLD {si_signo=SIGCHLD} ---\n\
                     7 +++ exited with 0 +++\n";
        let counts = Counts::of(trace);
        assert_eq!((counts.calls, counts.programs, counts.children), (5, 2, 1));
    }
}
