//! containerd in front of a runtime, by its client ctr: a container gets devices by CDI, and by the wrapper if its client knows
//! `linux.netDevices`; however it ends, they come home.
//!
//! containerd itself hands a configuration on as its client has written it, and so to the wrapper. ctr 2.1 has no
//! `linux.netDevices` in its types: neither `--config` nor CDI can bring it in.

use super::life::with_a_killed_test;
use super::{at_home, stage};
use lab::{Containerd, Message, Node, Runtime, Snapshot};
use serde_json::{Value, json};

with_each_runtime!(a_device_that_is_missing);
// crun 1.8 refuses the version of what ctr 2.1 writes.
with_runtimes!([runc_old, runc_new, crun_new, youki_new], a_device_by_cdi, a_client_that_knows_devices);

/// What every container here is told: that all comes home, and, for crun, where the hook's words go.
const TOLD: [&str; 4] =
    ["--annotation", "dev.netferry.restore=all", "--annotation", "run.oci.hooks.stderr=/run/runc/said"];

const BY_CDI: [&str; 2] = ["--device", "netferry.dev/net=d0"];

/// containerd in front of the runtime, or of our wrapper.
fn in_front(node: &Node, runtime: &Runtime, is_wrapped: bool) -> Containerd {
    let runtime = if is_wrapped { stage::wrapped(node, runtime) } else { runtime.clone() };
    at_home(node, "mkdir /run/runc");
    Containerd::new(node, &runtime, "").unwrap()
}

fn call(containerd: &Containerd, words: &[&str]) -> String {
    containerd.call(words).unwrap().success().unwrap().stdout
}

/// Its process is killed, and then the runtime deletes it.
fn end(containerd: &Containerd, id: &str) {
    // The status is that of the process which was killed.
    let deleted = containerd.call(&["tasks", "delete", "--force", id]).unwrap();
    assert!(deleted.stderr.contains("exit code 137"), "{}", deleted.describe());
}

/// The node is as it was, but for what is containerd's, the runtime's, and the files for CDI.
pub fn judge(node: &Node, before: &Snapshot) {
    let others =
        ["/run/netferry-runc", "/run/cdi", "/run/runc", "/run/crun", "/run/containerd", "/run/nri", "/run/mount"];
    stage::is_as_before(node, before, &others);
}

fn a_device_by_cdi(runtime: &Runtime) {
    for is_wrapped in [false, true] {
        let (node, before) = stage::stage();
        stage::generate(&node, "hook");
        let containerd = in_front(&node, runtime, is_wrapped);
        let asks = [&BY_CDI[..], &TOLD].concat();
        containerd.run("c1", &asks).unwrap().success().unwrap();
        stage::has_it(&node, containerd.pid(&[], "c1").unwrap());
        end(&containerd, "c1");
        judge(&node, &before);
        let words = ["/bin/sh", "-c", "grep -q eth9: /proc/net/dev && exit 7"];
        let ended = containerd.run_to_end("c2", &asks, &words).unwrap();
        assert_eq!(ended.status.code(), Some(7), "{}", ended.describe());
        judge(&node, &before);
        let unknown = containerd.run("c3", &["--device", "netferry.dev/net=d1"]).unwrap();
        let says = unknown.stderr.contains("unresolvable CDI devices netferry.dev/net=d1");
        assert!(!unknown.status.success() && says, "{}", unknown.describe());
    }
}

fn a_device_that_is_missing(runtime: &Runtime) {
    let (node, _) = stage::stage();
    stage::generate(&node, "hook");
    at_home(&node, "ip link set d0 down name d1 up");
    let before = node.snapshot().unwrap();
    let containerd = in_front(&node, runtime, false);
    let refused = containerd.run("c1", &[&BY_CDI[..], &TOLD].concat()).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", refused.describe());
    stage::says_that_it_is_missing(&node, runtime, &refused);
    judge(&node, &before);
}

/// As a client with types of 1.3.0 would do it: what ctr has left out of a container's configuration is put into containerd's
/// record. The wrapper finds it, and what it says if it cannot be is containerd's error, with any runtime.
fn a_client_that_knows_devices(runtime: &Runtime) {
    let (node, before) = stage::stage();
    let containerd = in_front(&node, runtime, true);
    containerd.run("c1", &TOLD).unwrap().success().unwrap();
    end(&containerd, "c1");
    let mut config = specification(&containerd, "c1");
    config["linux"]["netDevices"] = json!({"d0": {"name": "eth9"}});
    let any = Message::default()
        .with(1, "types.containerd.io/opencontainers/runtime-spec/1/Spec")
        .with(2, config.to_string());
    let container = Message::default().with(1, "c1").with(5, any);
    let update = Message::default().with(1, container).with(2, Message::default().with(1, "spec"));
    containerd.grpc("containerd.services.containers.v1.Containers/Update", &update).unwrap();
    call(&containerd, &["tasks", "start", "--detach", "c1"]);
    stage::has_it(&node, containerd.pid(&[], "c1").unwrap());
    end(&containerd, "c1");
    judge(&node, &before);
    at_home(&node, "ip link set d0 down name d1 up");
    let before = node.snapshot().unwrap();
    let refused = containerd.call(&["tasks", "start", "--detach", "c1"]).unwrap();
    assert!(refused.stderr.contains(stage::MISSING) && !refused.status.success(), "{}", refused.describe());
    judge(&node, &before);
}

/// ctr 2.1 leaves them out of `--config`, and refuses a file of CDI 1.1.0.
#[test]
fn devices_by_ctr() {
    let (node, before) = stage::stage();
    let containerd = in_front(&node, &Runtime::named("runc-old").unwrap(), true);
    let knows = containerd.knows_net_devices().unwrap();
    containerd.run("c1", &TOLD).unwrap().success().unwrap();
    let mut config = specification(&containerd, "c1");
    end(&containerd, "c1");
    config["linux"]["netDevices"] = json!({"d0": {"name": "eth9"}});
    node.run(["sh", "-ec", "echo \"$0\" > /run/runc/config.json", &config.to_string()]).unwrap();
    let wrapper = ["--runc-binary", "/run/netferry-runc"];
    call(&containerd, &[&["run", "--detach", "--config", "/run/runc/config.json"], &wrapper[..], &["c2"]].concat());
    let there = specification(&containerd, "c2");
    if knows {
        stage::has_it(&node, containerd.pid(&[], "c2").unwrap());
    } else {
        assert_eq!((&there["process"], &there["linux"]["netDevices"]), (&config["process"], &Value::Null));
        at_home(&node, "ip link show d0");
    }
    end(&containerd, "c2");
    judge(&node, &before);
    stage::generate(&node, "devices");
    let asked = containerd.run("c3", &[&BY_CDI[..], &TOLD].concat()).unwrap();
    if knows {
        stage::has_it(&node, containerd.pid(&[], "c3").unwrap());
        end(&containerd, "c3");
    } else {
        let words = [r#"unknown field \"netDevices\""#, "unresolvable CDI devices netferry.dev/net=d0"];
        let says = words.iter().all(|words| asked.stderr.contains(words));
        assert!(says && !asked.status.success(), "{}", asked.describe());
    }
    judge(&node, &before);
}

/// The configuration that containerd has of a container.
fn specification(containerd: &Containerd, id: &str) -> Value {
    serde_json::from_str(&call(containerd, &["containers", "info", "--spec", id])).unwrap()
}

/// Then containerd itself has the runtime delete the container.
#[test]
fn a_shim_that_was_killed() {
    let (node, before) = stage::stage();
    stage::generate(&node, "hook");
    let containerd = in_front(&node, &Runtime::named("runc-old").unwrap(), false);
    containerd.run("c1", &[&BY_CDI[..], &TOLD].concat()).unwrap().success().unwrap();
    stage::has_it(&node, containerd.pid(&[], "c1").unwrap());
    at_home(&node, &format!("kill -s KILL {}", shim(&node).unwrap()));
    stage::comes_home(&node);
    judge(&node, &before);
}

/// The process on the node that belongs to a container and is not in it.
fn shim(node: &Node) -> Option<u32> {
    let words = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    node.processes().into_iter().find(|pid| words(pid).contains("containerd-shim"))
}

#[test]
fn it_goes_with_a_killed_test() {
    with_a_killed_test("containerd::it_goes_with_a_killed_test", |node| {
        let containerd = in_front(node, &Runtime::named("runc-old").unwrap(), false);
        containerd.run("c1", &[]).unwrap().success().unwrap();
        let pids = [node.processes(), vec![containerd.pid(&[], "c1").unwrap()]].concat();
        assert!(pids.len() >= 3 && shim(node).is_some(), "{pids:?}");
        pids
    });
}
