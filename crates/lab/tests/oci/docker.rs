//! Docker in front of a runtime: what it asks of a runtime passes through our wrapper, and a container gets devices by CDI, with
//! the wrapper or without; however it ends, and as often as it is started, they come home.
//!
//! Docker 28 itself writes no `linux.netDevices`, and its types do not have the field.

use super::life::with_a_killed_test;
use super::{at_home, stage};
use lab::{Docker, Kind, Node, Runtime, Snapshot};
use serde_json::{Value, json};

with_each_runtime!(a_device_that_is_missing);
// crun 1.8 refuses the version of what Docker 28 writes.
with_runtimes!(
    [runc_old, runc_new, crun_new, youki_new],
    by_the_wrapper_nothing_changes,
    a_device_by_cdi,
    a_container_that_is_started_again
);

const PAGE: &str = include_str!("../../../../docs/oci.md");

/// A device, that all of it comes home, and, for crun, where the hook's words go.
const ASKS: [&str; 6] = [
    "--device",
    "netferry.dev/net=d0",
    "--annotation",
    "dev.netferry.restore=all",
    "--annotation",
    "run.oci.hooks.stderr=/run/runc/said",
];

/// Docker in front of the runtime, or of our wrapper. crun misses the controller `io` in the node's cgroup, and does without.
fn in_front(node: &Node, runtime: &Runtime, is_wrapped: bool) -> Docker {
    at_home(node, "mkdir /run/runc");
    let runtime = if runtime.kind == Kind::Crun { stage::without_cgroups(node, runtime) } else { runtime.clone() };
    let runtime = if is_wrapped { stage::wrapped(node, &runtime) } else { runtime };
    Docker::new(node, &runtime, &json!({})).unwrap()
}

fn call(docker: &Docker, words: &[&str]) -> String {
    docker.call(words).unwrap().success().unwrap().stdout
}

fn pid(docker: &Docker, name: &str) -> u32 {
    call(docker, &["inspect", "--format", "{{.State.Pid}}", name]).trim().parse().unwrap()
}

/// The node is as it was, but for what is Docker's, containerd's, the runtime's, and the file for CDI.
fn judge(node: &Node, before: &Snapshot) {
    let others = ["netferry-runc", "cdi", "runc", "crun", "youki", "containerd", "docker", "nri", "mount"];
    stage::is_as_before(node, before, &others.map(|name| format!("/run/{name}")).each_ref().map(String::as_str));
}

/// Everything that Docker asks of a runtime, and what its callers learn of their processes' ends.
fn by_the_wrapper_nothing_changes(runtime: &Runtime) {
    let node = Node::new().unwrap();
    let docker = in_front(&node, runtime, true);
    docker.run("c1", &[]).unwrap().success().unwrap();
    let told = docker.call(&["exec", "c1", "sh", "-c", "echo out; echo err >&2; exit 9"]).unwrap();
    let said = (told.status.code(), told.stdout.as_str(), told.stderr.as_str());
    assert_eq!(said, (Some(9), "out\n", "err\n"), "{}", told.describe());
    call(&docker, &["stop", "--time", "0", "c1"]);
    let inspect = ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "c1"];
    assert_eq!(call(&docker, &inspect), "exited 137\n");
    call(&docker, &["rm", "c1"]);
    assert_eq!(call(&docker, &["ps", "--all", "--quiet"]), "");
    let ended = docker.run_to_end(&[], &["sh", "-c", "echo out; exit 7"]).unwrap();
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(7), "out\n"), "{}", ended.describe());
    let absent = docker.run_to_end(&[], &["/bin/nowhere"]).unwrap();
    // Docker knows what that is by the words of runc alone.
    let status = if runtime.kind == Kind::Runc { 127 } else { 125 };
    let says = absent.stderr.contains(if runtime.kind == Kind::Youki { stage::BY_YOUKI } else { "/bin/nowhere" });
    assert!(says && absent.status.code() == Some(status), "{}", absent.describe());
}

/// By the runtime alone.
fn a_device_by_cdi(runtime: &Runtime) {
    let (node, before) = stage::stage();
    stage::generate(&node, "hook");
    let docker = in_front(&node, runtime, false);
    docker.run("c1", &ASKS).unwrap().success().unwrap();
    stage::has_it(&node, pid(&docker, "c1"));
    // It has the runtime delete its container at the end of the process, and what it keeps itself only by `rm`.
    call(&docker, &["kill", "c1"]);
    judge(&node, &before);
    let ended = docker.run_to_end(&ASKS, &["sh", "-c", "grep -q eth9: /proc/net/dev && exit 7"]).unwrap();
    assert_eq!(ended.status.code(), Some(7), "{}", ended.describe());
    judge(&node, &before);
    let unknown = docker.run("c2", &["--device", "netferry.dev/net=d1"]).unwrap();
    let says = unknown.stderr.contains("unresolvable CDI devices netferry.dev/net=d1");
    assert!(!unknown.status.success() && says, "{}", unknown.describe());
}

/// By the wrapper.
fn a_container_that_is_started_again(runtime: &Runtime) {
    let (node, before) = stage::stage();
    stage::generate(&node, "hook");
    let docker = in_front(&node, runtime, true);
    docker.run("c1", &ASKS).unwrap().success().unwrap();
    let first = pid(&docker, "c1");
    stage::has_it(&node, first);
    call(&docker, &["restart", "--time", "0", "c1"]);
    assert_ne!(pid(&docker, "c1"), first);
    stage::has_it(&node, pid(&docker, "c1"));
    call(&docker, &["stop", "--time", "0", "c1"]);
    judge(&node, &before);
    call(&docker, &["start", "c1"]);
    stage::has_it(&node, pid(&docker, "c1"));
    call(&docker, &["rm", "--force", "c1"]);
    judge(&node, &before);
}

fn a_device_that_is_missing(runtime: &Runtime) {
    let (node, _) = stage::stage();
    stage::generate(&node, "hook");
    at_home(&node, "ip link set d0 down name d1 up");
    let before = node.snapshot().unwrap();
    let docker = in_front(&node, runtime, false);
    let refused = docker.run("c1", &ASKS).unwrap();
    assert_eq!(refused.status.code(), Some(125), "{}", refused.describe());
    stage::says_that_it_is_missing(&node, runtime, &refused);
    judge(&node, &before);
}

#[test]
fn a_runtime_by_the_settings_of_the_page() {
    let (node, before) = stage::stage();
    stage::generate(&node, "hook");
    let line = PAGE.lines().find(|line| line.starts_with(r#"{"runtimes": "#)).unwrap();
    let page: Value = serde_json::from_str(&line.replace("/usr/local/bin/", "/run/")).unwrap();
    assert_eq!(page["runtimes"]["netferry"]["path"], "/run/netferry-runc");
    let runtime = Runtime::named("runc-new").unwrap();
    let wrapped = stage::wrapped(&node, &runtime);
    // What is usual is nothing that could run: it is the page's runtime that does.
    let docker = Docker::new(
        &node,
        &wrapped.through("/run/nowhere", &[("NETFERRY_RUNTIME", &runtime.path.to_string_lossy())]),
        &page["runtimes"],
    )
    .unwrap();
    let asks = [&["--runtime", "netferry"], &ASKS[..]].concat();
    docker.run("c1", &asks).unwrap().success().unwrap();
    stage::has_it(&node, pid(&docker, "c1"));
    call(&docker, &["rm", "--force", "c1"]);
    judge(&node, &before);
}

/// Docker 28 refuses a file of CDI 1.1.0.
#[test]
fn devices_by_cdi_alone() {
    let (node, before) = stage::stage();
    stage::generate(&node, "devices");
    let docker = in_front(&node, &Runtime::named("runc-old").unwrap(), true);
    let asked = docker.run("c1", &ASKS).unwrap();
    if docker.knows_net_devices().unwrap() {
        stage::has_it(&node, pid(&docker, "c1"));
        call(&docker, &["rm", "--force", "c1"]);
    } else {
        let says = asked.stderr.contains("unresolvable CDI devices netferry.dev/net=d0");
        assert!(says && asked.status.code() == Some(125), "{}", asked.describe());
        let log = at_home(&node, "cat /dev/shm/docker/log");
        assert!(log.contains(r#"unknown field \"netDevices\""#), "{log}");
    }
    judge(&node, &before);
}

/// Nobody has the runtime delete the container then, until there is a daemon again; or `recover` sees that nothing runs in its
/// namespace any more.
#[test]
fn a_daemon_that_was_killed() {
    let (node, before) = stage::stage();
    stage::generate(&node, "hook");
    let docker = in_front(&node, &Runtime::named("runc-old").unwrap(), false);
    for by_recover in [true, false] {
        let name = if by_recover { "c1" } else { "c2" };
        docker.run(name, &ASKS).unwrap().success().unwrap();
        let inside = pid(&docker, name);
        stage::has_it(&node, inside);
        at_home(&node, &format!("kill -s KILL $(cat /run/docker.pid) {inside}; rm /run/docker.pid"));
        assert!(super::life::is_gone(inside));
        assert_eq!(at_home(&node, "ip link show d0 2>&1 || true"), "Device \"d0\" does not exist.\n");
        if by_recover {
            at_home(&node, &format!("{} recover", stage::netferry()));
            judge(&node, &before);
        }
        docker.start().unwrap();
        stage::comes_home(&node);
        judge(&node, &before);
    }
}

/// Docker puts interfaces of its own in behind the hook, and wants their names to be free.
#[test]
fn a_device_beside_a_network_of_dockers() {
    let (node, _) = stage::stage();
    stage::generate(&node, "hook");
    let docker = in_front(&node, &Runtime::named("runc-old").unwrap(), false);
    call(&docker, &["network", "create", "n1"]);
    // The network's bridge is as its first port leaves it.
    docker.run_to_end(&["--network", "n1"], &["true"]).unwrap().success().unwrap();
    let before = node.snapshot().unwrap();
    let asks = [&["--network", "n1"], &ASKS[..]].concat();
    docker.run("c1", &asks).unwrap().success().unwrap();
    stage::has_it(&node, pid(&docker, "c1"));
    at_home(&node, &format!("nsenter --net=/proc/{}/ns/net ip link show eth0", pid(&docker, "c1")));
    call(&docker, &["rm", "--force", "c1"]);
    judge(&node, &before);
    at_home(&node, "sed -i s/=eth9/=eth%d/ /run/cdi/netferry.json");
    let refused = docker.run("c2", &asks).unwrap();
    let says = refused.stderr.contains("to \"eth0\": file exists");
    assert!(says && refused.status.code() == Some(125), "{}", refused.describe());
    judge(&node, &before);
}

#[test]
fn it_goes_with_a_killed_test() {
    with_a_killed_test("docker::it_goes_with_a_killed_test", |node| {
        let docker = in_front(node, &Runtime::named("runc-old").unwrap(), false);
        docker.run("c1", &[]).unwrap().success().unwrap();
        let pids = [node.processes(), vec![pid(&docker, "c1")]].concat();
        assert!(pids.len() >= 4, "{pids:?}");
        pids
    });
}
