//! Podman in front of a runtime: what its hooks directory adds is called as the bundle's own hooks are.

use super::at_home;
use super::life::is_gone;
use lab::{Node, Podman, Runtime};
use serde_json::{Value, json};

with_each_runtime!(a_container_with_a_hook);

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
