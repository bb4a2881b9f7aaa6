//! Hooks: what they are told, where they run, and what happens when one fails.

use super::{at_home, hook, node, task};
use lab::{Kind, Node, Runtime, Snapshot, Task, settle};
use serde_json::{Value, json};
use std::path::Path;

with_each_runtime!(they_are_told_the_state, they_run_where, one_that_fails, one_that_fails_after_the_move);

const KINDS: [&str; 4] = ["prestart", "createRuntime", "poststart", "poststop"];

/// A hook of each kind, that of `script` with `$K` for the kind.
fn hooks(script: &str) -> Value {
    KINDS.into_iter().map(|kind| (kind.to_owned(), json!([hook(&format!("K={kind}; {script}"))]))).collect()
}

/// Every command there is, and which process there was.
fn through_its_life(task: &Task) -> u32 {
    task.create().unwrap().success().unwrap();
    let pid = task.pid().unwrap();
    task.start().unwrap().success().unwrap();
    task.kill("KILL").unwrap().success().unwrap();
    task.stopped().unwrap();
    task.delete(false).unwrap().success().unwrap();
    pid
}

/// The standard input of a hook.
fn told(task: &Task, kind: &str) -> Value {
    serde_json::from_str(&task.bundle().read(&format!("{kind}.json")).unwrap()).unwrap()
}

fn they_are_told_the_state(runtime: &Runtime) {
    for annotations in [Value::Null, json!({"org.example/a": "b"})] {
        let node = Node::new().unwrap();
        let task = task(&node, runtime, |config| {
            config["hooks"] = hooks("cat > $B/$K.json");
            if !annotations.is_null() {
                config["annotations"] = annotations.clone();
            }
        });
        let pid = through_its_life(&task);
        let pid = json!(pid);
        let (creating, started, no_pid) = match runtime.kind {
            Kind::Runc => ("creating", "created", Value::Null),
            Kind::Crun => ("created", "running", json!(0)),
            Kind::Youki => ("creating", "running", pid.clone()),
        };
        let expected = [(&pid, creating), (&pid, creating), (&pid, started), (&no_pid, "stopped")];
        for (kind, (pid, status)) in KINDS.into_iter().zip(expected) {
            let state = told(&task, kind);
            assert_eq!((&state["pid"], &state["status"]), (pid, &json!(status)), "{kind}: {state}");
            assert_eq!((&state["id"], &state["bundle"]), (&json!("c1"), &json!("/run/bundle-c1")), "{kind}: {state}");
            assert_eq!(state["annotations"], annotations, "{kind}: {state}");
        }
    }
}

/// On the node, with the runtime's own environment unless they have one, and in the bundle; but for runc's `delete`, which has
/// them in the directory that it was called in, and youki, which has most of them there, and with no environment but their own.
fn they_run_where(runtime: &Runtime) {
    let node = Node::new().unwrap();
    let task = task(&node, runtime, |config| {
        let namespaces = "readlink /proc/self/ns/net /proc/self/ns/mnt > $B/$K.where";
        config["hooks"] = hooks(&format!("{namespaces}; pwd > $B/$K.cwd; env | sort > $B/$K.env"));
        config["hooks"]["createRuntime"][0]["env"] = json!(["A=b"]);
    });
    through_its_life(&task);
    let home = at_home(&node, "readlink /proc/self/ns/net /proc/self/ns/mnt");
    for kind in KINDS {
        let read = |what: &str| task.bundle().read(&format!("{kind}.{what}")).unwrap();
        assert_eq!(read("where"), home, "{kind}");
        let there = match (runtime.kind, kind) {
            (Kind::Youki, "poststart") => "/run/bundle-c1/root/c1\n",
            (Kind::Youki, _) | (Kind::Runc, "poststop") => "/\n",
            (Kind::Runc | Kind::Crun, _) => "/run/bundle-c1\n",
        };
        assert_eq!(read("cwd"), there, "{kind}");
        let env = read("env");
        let has_own = kind == "createRuntime";
        let has_runtimes = !has_own && runtime.kind != Kind::Youki;
        assert_eq!((env.contains("A=b\n"), env.contains("PATH=")), (has_own, has_runtimes), "{kind}: {env}");
    }
}

/// runc runs the hooks of `poststop` all the same; crun and youki do not, at once or by `delete`.
fn one_that_fails(runtime: &Runtime) {
    let node = node();
    let before = node.snapshot().unwrap();
    let task = task(&node, runtime, |config| {
        let fails = hook("echo for a reason >&2; exit 3");
        config["hooks"] = json!({"createRuntime": [fails], "poststop": [hook("cat > $B/poststop.json")]});
    });
    let output = task.create().unwrap();
    let said = |code, text| output.status.code() == Some(code) && output.stderr.contains(text);
    match runtime.kind {
        Kind::Runc | Kind::Youki => assert!(said(1, "for a reason"), "{}", output.describe()),
        Kind::Crun => assert!(said(255, "exit code: 3"), "{}", output.describe()),
    }
    if runtime.kind == Kind::Runc {
        let state = told(&task, "poststop");
        assert_eq!((&state["status"], &state["pid"]), (&json!("stopped"), &Value::Null));
    } else {
        task.delete(true).unwrap();
        assert!(task.bundle().read("poststop.json").is_err());
    }
    assert!(task.state().is_err());
    assert_eq!(task.traces().unwrap(), Vec::<&Path>::new());
    drop(task);
    assert_eq!(settle(|| node.snapshot(), |now| before.diff(now)).unwrap(), None);
}

/// The device that the runtime has moved by then dies with the container's namespace: nobody brings it back. youki has not yet.
fn one_that_fails_after_the_move(runtime: &Runtime) {
    let node = node();
    let task = task(&node, runtime, |config| {
        config["linux"]["netDevices"] = json!({"d0": {}});
        config["hooks"] = json!({"createRuntime": [hook("exit 3")]});
    });
    assert!(!task.create().unwrap().status.success());
    drop(task);
    let is_moved = runtime.knows_net_devices && runtime.kind != Kind::Youki;
    let judge = |now: &Snapshot| {
        let is_there = now.get("link d0 mtu").is_some();
        (is_there == is_moved).then(|| format!("d0 is there: {is_there}"))
    };
    assert_eq!(settle(|| node.snapshot(), judge).unwrap(), None);
}
