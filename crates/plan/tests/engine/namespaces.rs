//! A host and a container to work between, what they look like, and processes that work there too.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use kernel::netns::Netns;
use plan::{Engine, State};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Says to a copy of this program what it is to do in place of its test.
const ROLE: &str = "ENGINE_TEST_ROLE";

/// A host, the calling thread's namespace, and a container.
pub struct Node {
    container: Option<Netns>,
    home: Netns,
}

/// Runs `test` on a thread of its own, in a fresh namespace that plays the host, with a container beside it.
pub fn between(test: impl FnOnce(&mut Node) + Send + 'static) {
    let outcome = thread::spawn(|| {
        let container = thread::spawn(fresh).join().unwrap();
        test(&mut Node { container: Some(container), home: fresh() });
    })
    .join();
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn fresh() -> Netns {
    // SAFETY: no descriptor table is unshared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.expect("these tests need root");
    ip("link set lo up");
    // No addresses that the kernel makes in its own time.
    std::fs::write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1").unwrap();
    Netns::current().unwrap()
}

impl Node {
    /// An engine between host and container.
    pub fn engine(&self) -> Engine {
        let again = self.container.as_ref().map(|netns| netns.run(&self.home, Netns::current).unwrap());
        Engine::open(again).unwrap()
    }

    /// Lets go of the container, which ends with the last engine that knows it.
    pub fn end_container(&mut self) {
        self.container = None;
    }

    /// Links, addresses, routes, rules, neighbours, sysctls and nft ruleset of both.
    pub fn dump(&self) -> String {
        let inside = self.container.as_ref().map(|netns| netns.run(&self.home, || Ok(dump())).unwrap());
        format!("== host\n{}== container\n{}", dump(), inside.unwrap_or_default())
    }
}

fn dump() -> String {
    let mut text = settled(&run_with("ip", "-d -o -batch -", "link\naddr\nroute show table all\nrule\nneigh\n"));
    text += &run("nft", "list ruleset");
    let mut sysctls = Vec::new();
    read_all(Path::new("/proc/sys/net"), &mut sysctls);
    sysctls.sort();
    text + &sysctls.concat()
}

/// The lines in order, without what a link keeps of having been up or having had a member, and without timers.
fn settled(listing: &str) -> String {
    let mut lines: Vec<_> = listing.lines().collect();
    lines.sort_unstable();
    let mut text = String::new();
    for line in lines {
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            text += word;
            text += " ";
            if ["qdisc", "tso_max_size"].contains(&word) || word.ends_with("_timer") {
                words.next();
            }
        }
        text += "\n";
    }
    text
}

fn read_all(directory: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_all(&path, into);
        } else if let Ok(value) = std::fs::read_to_string(&path)
            // Counters, and what belongs to the machine and not to the namespace.
            && !["nf_conntrack_count", "/core/", "/netfilter/"].iter().any(|part| path.to_string_lossy().contains(part))
        {
            into.push(format!("{} = {value}", path.display()));
        }
    }
}

/// Fails with the lines that differ.
pub fn assert_same(before: &str, after: &str, what: &str) {
    let missing =
        before.lines().filter(|line| !after.lines().any(|other| other == *line)).map(|line| format!("- {line}"));
    let added =
        after.lines().filter(|line| !before.lines().any(|other| other == *line)).map(|line| format!("+ {line}"));
    let differences: Vec<_> = missing.chain(added).collect();
    assert!(before == after, "{what}:\n{}", differences.join("\n"));
}

/// What preview says of each step.
pub fn states(engine: &mut Engine, plan: &plan::Plan) -> Vec<State> {
    engine.preview(plan).unwrap().iter().map(|line| line.state).collect()
}

/// Runs `ip` in the calling thread's namespace.
pub fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

/// Runs a program in the calling thread's namespace and returns what it printed; it must succeed.
pub fn run(program: &str, arguments: &str) -> String {
    run_with(program, arguments, "")
}

fn run_with(program: &str, arguments: &str, input: &str) -> String {
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("install what has `{program}`: {error}"));
    // One that reads nothing may have ended by now.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What this copy of the program is to do, if it is one.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Starts a copy of this program in the calling thread's namespace, to do `role` in `test`.
pub fn start(test: &str, role: &str) -> Child {
    let mut copy = Command::new(std::env::current_exe().unwrap());
    copy.args(["--exact", test, "--nocapture"]).env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped());
    copy.stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for a copy; it must succeed.
pub fn finish(child: Child) {
    let output = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
}
