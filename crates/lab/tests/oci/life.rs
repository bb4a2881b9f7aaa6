//! Containers that come and go, and that nothing outlives its test.

use super::{at_home, node, task};
use lab::{Bundle, Kind, Node, Runtime, settle};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

with_each_runtime!(it_comes_and_goes, it_ends_by_itself, it_goes_with_its_handle, it_goes_with_a_killed_test);

fn it_comes_and_goes(runtime: &Runtime) {
    let node = node();
    let before = node.snapshot().unwrap();
    let task = task(&node, runtime, |_| {});
    task.create().unwrap().success().unwrap();
    assert_eq!(task.state().unwrap()["status"], "created");
    task.start().unwrap().success().unwrap();
    assert_eq!(task.state().unwrap()["status"], "running");
    assert_eq!(task.inside(["ls", "/proc/thread-self/root/run"]).unwrap().stdout, "bundle-c1\nnetns\n");
    assert_eq!(task.inside(["sh", "-c", "ip -o link | wc -l"]).unwrap().stdout, "1\n");
    // Its cgroup is the node's, in which it has one of its own; no controller is on but those that the
    // machine hands down to all.
    let own = at_home(&node, &format!("cat /proc/{}/cgroup", task.pid().unwrap()));
    assert!(own.contains("/c1\n"), "{own}");
    let handed_down = at_home(&node, "cat /sys/fs/cgroup/cgroup.controllers");
    let there = at_home(&node, "cd /sys/fs/cgroup; cat cgroup.subtree_control; ls -d */");
    assert_eq!(there, format!("{handed_down}c1/\n"));
    // youki goes on to say which it was.
    let afterwards = if runtime.kind == Kind::Youki { task.pid().unwrap() } else { 0 };
    task.kill("KILL").unwrap().success().unwrap();
    assert_eq!(task.stopped().unwrap()["pid"], afterwards);
    task.delete(false).unwrap().success().unwrap();
    assert_eq!(task.traces().unwrap(), Vec::<&Path>::new());
    assert_eq!(at_home(&node, "find /sys/fs/cgroup -mindepth 1 -type d"), "");
    drop(task);
    assert_eq!(settle(|| node.snapshot(), |now| before.diff(now)).unwrap(), None);
}

fn it_ends_by_itself(runtime: &Runtime) {
    let node = Node::new().unwrap();
    // youki waits for ever for a process that ends before it waits.
    let script = if runtime.kind == Kind::Youki { "sleep 1; echo said; exit 3" } else { "echo said; exit 3" };
    let task = task(&node, runtime, |config| config["process"]["args"] = json!(["/bin/sh", "-c", script]));
    let output = task.run().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(3), "said\n"), "{}", output.describe());
    assert_eq!(task.traces().unwrap(), Vec::<&Path>::new());
}

fn it_goes_with_its_handle(runtime: &Runtime) {
    let node = Node::new().unwrap();
    for is_started in [false, true] {
        let task = task(&node, runtime, |_| {});
        task.create().unwrap().success().unwrap();
        if is_started {
            task.start().unwrap().success().unwrap();
        }
        let pid = task.pid().unwrap();
        drop(task);
        assert!(is_gone(pid));
        assert_eq!(at_home(&node, "ls /run; find /sys/fs/cgroup -mindepth 1 -type d"), "netns\n");
    }
}

/// Created only, so that it would wait for ever to be started.
fn it_goes_with_a_killed_test(runtime: &Runtime) {
    let test = format!("life::it_goes_with_a_killed_test::{}", runtime.name.replace('-', "_"));
    with_a_killed_test(&test, |node| {
        let task = task(node, runtime, |_| {});
        task.create().unwrap().success().unwrap();
        let pid = task.pid().unwrap();
        std::mem::forget(task);
        vec![pid]
    });
}

/// Runs this test, which must call us, once more, and kills it when it has begun these processes: they are gone, and so is the
/// cgroup of its node.
pub fn with_a_killed_test(test: &str, begin: impl FnOnce(&Node) -> Vec<u32>) {
    if std::env::var_os("LAB_VICTIM").is_some() {
        let node = Node::new().unwrap();
        let pids = begin(&node).iter().map(u32::to_string).collect::<Vec<_>>();
        println!("\nprocesses {}", pids.join(" "));
        node.run(["sleep", "1000"]).unwrap();
    }
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", test, "--nocapture"]).env("LAB_VICTIM", "1");
    let mut victim = victim.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said = said.find_map(|line| line.strip_prefix("processes ").map(str::to_owned)).unwrap();
    let pids = said.split(' ').map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>();
    assert!(!pids.iter().any(|pid| is_gone_now(*pid)), "{said}");
    let mark = format!("-{}-0", victim.id());
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert!(pids.iter().all(|pid| is_gone(*pid)), "{said}");
    let node = Node::new().unwrap();
    at_home(&node, "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
    let find = format!("find /sys/fs/cgroup -maxdepth 1 -name 'lab-*{mark}'");
    assert_eq!(settle_text(|| at_home(&node, &find)), "");
}

/// A wrapper is called in the runtime's place with the same words; what is left is deleted by the runtime itself.
#[test]
fn through_a_wrapper() {
    let node = Node::new().unwrap();
    let runtime = Runtime::named("crun-old").unwrap();
    let bundle = Bundle::new(&node, "c1", |_| {}).unwrap();
    let script = "#!/bin/sh\necho \"$@\" >> /run/bundle-c1/calls\nexec \"$REAL\" \"$@\"\n";
    let wrapper = bundle.write("wrapper", 0o700, script).unwrap();
    let task = runtime.through(wrapper, &[("REAL", runtime.path.to_str().unwrap())]).task(bundle);
    task.create().unwrap().success().unwrap();
    task.start().unwrap().success().unwrap();
    let pid = task.pid().unwrap();
    let calls = task.bundle().read("calls").unwrap();
    let root = "--root /run/bundle-c1/root";
    let expected = format!("{root} create --bundle /run/bundle-c1 c1\n{root} start c1\n{root} state c1\n");
    assert_eq!(calls, expected);
    drop(task);
    assert!(is_gone(pid));
}

#[test]
fn there_are_five() {
    let all = Runtime::all().unwrap();
    let names: Vec<(&str, bool)> = all.iter().map(|one| (one.name.as_str(), one.knows_net_devices)).collect();
    let old = [("runc-old", false), ("crun-old", false)];
    let new = [("runc-new", true), ("crun-new", true), ("youki-new", true)];
    assert_eq!(names, [&old[..], &new].concat());
}

fn is_gone_now(pid: u32) -> bool {
    !Path::new(&format!("/proc/{pid}/ns/net")).exists()
}

/// Whether a process is no more, after five seconds at most.
pub fn is_gone(pid: u32) -> bool {
    let end = Instant::now() + Duration::from_secs(5);
    while !is_gone_now(pid) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    is_gone_now(pid)
}

/// What is said once it is nothing, or after five seconds.
fn settle_text(say: impl Fn() -> String) -> String {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        let said = say();
        if said.is_empty() || Instant::now() > end {
            return said;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
