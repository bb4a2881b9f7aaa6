//! Podman in front of a runtime: what its hooks directory adds is called as the bundle's own hooks are, netferry may stand
//! between the two, and a container gets devices by CDI, or by a hook of its directory that is told of them.
//!
//! Podman 5.4 itself writes no `linux.netDevices`: its types do not have the field, so that neither CDI nor a `precreate` hook
//! can bring it in. With `hooks.d` alone, and with the wrapper alone, its containers have no devices.

use super::life::is_gone;
use super::{at_home, stage};
use lab::{Node, Podman, Runtime, Snapshot};
use serde_json::{Value, json};

with_each_runtime!(a_container_with_a_hook);
// crun 1.8 takes nothing of what Podman 5 writes.
with_runtimes!(
    [runc_old, runc_new, crun_new, youki_new],
    by_the_wrapper_nothing_changes,
    a_device_by_cdi,
    devices_that_podman_does_not_know,
    a_device_by_a_hook_that_is_told
);

const WITHOUT_CONTAINERS: &str = "/sys/fs/cgroup/libpod_parent\n/sys/fs/cgroup/libpod_parent/conmon\n";

fn a_container_with_a_hook(runtime: &Runtime) {
    let node = Node::new().unwrap();
    let podman = Podman::new(&node, runtime).unwrap();
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "cat > /run/told"]});
    let when = json!({"annotations": {"^org.example/lent$": ".*"}});
    podman.hook("lent", &json!({"version": "1.0.0", "hook": hook, "when": when, "stages": ["createRuntime"]})).unwrap();
    let output = podman.run("c1", &["--annotation", "org.example/lent=d0"]).unwrap();
    if runtime.name == "crun-old" {
        assert!(output.stderr.contains("unknown version specified"), "{}", output.describe());
        return;
    }
    let id = output.success().unwrap().stdout;
    let told: Value = serde_json::from_str(&at_home(&node, "cat /run/told; rm /run/told")).unwrap();
    assert_eq!(told["annotations"]["org.example/lent"], "d0", "{told}");
    assert_eq!(told["id"], id.trim());
    assert_eq!(told["pid"], pid(&podman, "c1"));
    podman.call(&["rm", "--force", "--time", "0", "c1"]).unwrap().success().unwrap();
    assert_eq!(at_home(&node, "find /sys/fs/cgroup -mindepth 1 -type d"), WITHOUT_CONTAINERS);
    podman.run("c2", &[]).unwrap().success().unwrap();
    let pid = pid(&podman, "c2");
    drop((podman, node));
    assert!(is_gone(pid));
}

fn pid(podman: &Podman, name: &str) -> u32 {
    let output = podman.call(&["inspect", "--format", "{{.State.Pid}}", name]).unwrap().success().unwrap();
    output.stdout.trim().parse().unwrap()
}

/// The runtime behind our wrapper: Podman gives a runtime no variable of its caller's, so that a script says which it is.
fn wrapped(node: &Node, runtime: &Runtime) -> Runtime {
    let call = format!("{} oci runtime --runtime {} -- ", stage::netferry(), runtime.path.display());
    let script = format!("#!/bin/sh\nexec {call}\"$@\"\n");
    node.run(["sh", "-ec", "printf %s \"$0\" > /run/netferry-runc; chmod 755 /run/netferry-runc", &script]).unwrap();
    runtime.through("/run/netferry-runc", &[])
}

/// Everything that Podman asks of a runtime, and what its callers learn of their processes' ends.
fn by_the_wrapper_nothing_changes(runtime: &Runtime) {
    let node = Node::new().unwrap();
    let podman = Podman::new(&node, &wrapped(&node, runtime)).unwrap();
    podman.run("c1", &[]).unwrap().success().unwrap();
    let exec = |script: &str| podman.call(&["exec", "c1", "sh", "-c", script]).unwrap();
    let told = exec("echo out; echo err >&2; exit 9");
    let said = (told.status.code(), told.stdout.as_str(), told.stderr.as_str());
    assert_eq!(said, (Some(9), "out\n", "err\n"), "{}", told.describe());
    podman.call(&["stop", "--time", "0", "c1"]).unwrap().success().unwrap();
    let inspect = ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "c1"];
    assert_eq!(podman.call(&inspect).unwrap().success().unwrap().stdout, "exited 137\n");
    podman.call(&["rm", "c1"]).unwrap().success().unwrap();
    assert_eq!(podman.call(&["ps", "--all", "--quiet"]).unwrap().success().unwrap().stdout, "");
    let ended = podman.run_to_end(&[], &["sh", "-c", "echo out; exit 7"]).unwrap();
    assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(7), "out\n"), "{}", ended.describe());
    let absent = podman.run_to_end(&[], &["/bin/nowhere"]).unwrap();
    assert_eq!(absent.status.code(), Some(127), "{}", absent.describe());
}

/// Podman in front of the runtime, or of our wrapper.
fn in_front(node: &Node, runtime: &Runtime, is_wrapped: bool) -> Podman {
    let runtime = if is_wrapped { wrapped(node, runtime) } else { runtime.clone() };
    Podman::new(node, &runtime).unwrap()
}

fn a_device_by_cdi(runtime: &Runtime) {
    for is_wrapped in [false, true] {
        let (node, before) = stage::stage();
        stage::generate(&node, "hook");
        let podman = in_front(&node, runtime, is_wrapped);
        let asks = ["--device", "netferry.dev/net=d0", "--annotation", "dev.netferry.restore=all"];
        has_it(&node, &podman, &asks);
        judge(&node, &before);
        // A process that ends by itself, and Podman, which deletes its container then.
        let ended = podman.run_to_end(&asks, &["sh", "-c", "grep -q eth9: /proc/net/dev && exit 7"]).unwrap();
        assert_eq!(ended.status.code(), Some(7), "{}", ended.describe());
        judge(&node, &before);
        // It deletes what it keeps of the container only by `rm`, and the runtime's at the end of the process.
        podman.run("c2", &asks).unwrap().success().unwrap();
        podman.call(&["stop", "--time", "0", "c2"]).unwrap().success().unwrap();
        judge(&node, &before);
        podman.call(&["rm", "c2"]).unwrap().success().unwrap();
        let absent = podman.run_to_end(&["--device", "netferry.dev/net=d1"], &["true"]).unwrap();
        assert!(absent.stderr.contains("netferry.dev/net=d1"), "{}", absent.describe());
    }
}

/// The container has the device with all that goes along, and it is home when Podman has removed the container.
fn has_it(node: &Node, podman: &Podman, options: &[&str]) {
    podman.run("c1", options).unwrap().success().unwrap();
    stage::has_it(node, pid(podman, "c1"));
    podman.call(&["rm", "--force", "--time", "0", "c1"]).unwrap().success().unwrap();
}

/// The node is as it was, but for what is Podman's, the runtime's and the file for CDI.
fn judge(node: &Node, before: &Snapshot) {
    let others = ["netferry-runc", "cdi", "runc", "crun", "youki", "containers", "lock", "mount"];
    stage::is_as_before(node, before, &others.map(|name| format!("/run/{name}")).each_ref().map(String::as_str));
}

/// A file of version 1.1.0 is none for Podman 5.4, and what it does not know of `config.json` is gone behind its hooks of
/// `precreate`: there is nothing for the wrapper or for a hook to see.
fn devices_that_podman_does_not_know(runtime: &Runtime) {
    let (node, before) = stage::stage();
    let podman = Podman::new(&node, &wrapped(&node, runtime)).unwrap();
    stage::generate(&node, "devices");
    let refused = podman.run("c0", &["--log-level=debug", "--device", "netferry.dev/net=d0"]).unwrap();
    for words in [r#"unknown field \"netDevices\""#, "unresolvable CDI devices netferry.dev/net=d0"] {
        assert!(!refused.status.success() && refused.stderr.contains(words), "{words}: {}", refused.describe());
    }
    at_home(&node, "rm -r /run/cdi");
    let installed = format!("{} oci install-hook --dir {}", stage::netferry(), podman.hooks_dir().display());
    assert!(at_home(&node, &installed).contains("00-netferry.json"));
    let adds = r#"sed 's/"linux":{/&"netDevices":{"d0":{"name":"eth9"}},/' | tee /run/precreate"#;
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", adds], "env": ["PATH=/usr/bin:/bin"]});
    podman
        .hook("adds", &json!({"version": "1.0.0", "hook": hook, "when": {"always": true}, "stages": ["precreate"]}))
        .unwrap();
    podman.run("c1", &[]).unwrap().success().unwrap();
    assert!(at_home(&node, "cat /run/precreate; rm /run/precreate").contains(r#""netDevices":{"d0""#));
    at_home(&node, "ip link show d0");
    let config = podman.call(&["inspect", "--format", "{{.OCIConfigPath}}", "c1"]).unwrap().success().unwrap();
    let config: Value = serde_json::from_str(&at_home(&node, &format!("cat {}", config.stdout.trim()))).unwrap();
    assert_eq!(config["hooks"]["createRuntime"][0]["args"], json!(["netferry", "oci", "hook"]), "{config}");
    assert_eq!(config["linux"]["netDevices"], Value::Null);
    podman.call(&["rm", "--force", "--time", "0", "c1"]).unwrap().success().unwrap();
    judge(&node, &before);
}

/// The file of `netferry oci install-hook`, told of a device: Podman calls it for the containers that it is meant for, at the
/// end too.
fn a_device_by_a_hook_that_is_told(runtime: &Runtime) {
    for is_wrapped in [false, true] {
        let (node, before) = stage::stage();
        let podman = in_front(&node, runtime, is_wrapped);
        let dir = podman.hooks_dir().display().to_string();
        let options = "--device d0=eth9 --annotation org.example/lent=d0 --file 01-d0.json";
        at_home(&node, &format!("{} oci install-hook --dir {dir} {options}", stage::netferry()));
        let asks = ["--annotation", "org.example/lent=d0", "--annotation", "dev.netferry.restore=all"];
        has_it(&node, &podman, &asks);
        judge(&node, &before);
        podman.run("c2", &["--annotation", "org.example/lent=d01"]).unwrap().success().unwrap();
        at_home(&node, "ip link show d0");
        podman.call(&["rm", "--force", "--time", "0", "c2"]).unwrap().success().unwrap();
        judge(&node, &before);
    }
}
