//! Every file operation of ADD and DEL fails once, and in another run kills the process: no blank reservation is ever
//! seen, a failed ADD leaves nothing, and a later DEL releases whatever there is.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;

use common::{Call, Dir, REFERENCE, ours, printed};
use serde_json::{Value, json};

const OPERATIONS: &[&str] = &[
    "open",
    "openat",
    "flock",
    "statx",
    "read",
    "write",
    "close",
    "renameat2",
    "linkat",
    "pwrite64",
    "ftruncate",
    "symlinkat",
    "readlinkat",
    "utimensat",
    "unlinkat",
];

struct Node {
    dir: Dir,
    conf: Value,
    ours: String,
}

impl Node {
    /// A directory with two reservations, one of them unknown to the index.
    fn new() -> Self {
        let dir = Dir::new();
        let mut conf = dir.conf(json!({"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00::/64"}]]}));
        conf["cniVersion"] = json!("1.0.0");
        let node = Self { dir, conf, ours: ours() };
        assert!(node.run("ADD", "ours").0 && Call("ADD", "other", "eth0", "").run(&[REFERENCE], &node.conf).0);
        node
    }

    fn run(&self, verb: &str, id: &str) -> (bool, String) {
        Call(verb, id, "eth0", "").run(&[&self.ours, "host-local"], &self.conf)
    }

    /// Runs with operation number `nth` of its name hit by `fault`; true if that operation was reached and it succeeded.
    fn hit(&self, verb: &str, id: &str, operation: &str, fault: &str, nth: usize) -> (bool, bool) {
        let (filter, inject) = (format!("trace={operation}"), format!("inject={operation}:{fault}:when={nth}"));
        let trace = self.dir.0.join("trace");
        // Only what touches the test's own directory: the loader's files are not ours to fail.
        let inside = ["lock", "last_reserved_ip.0", "last_reserved_ip.1", "10.1.0.4", "fd00::4"];
        let mut only: Vec<_> = inside.iter().map(|name| self.dir.net().join(name)).collect();
        let index = self.dir.0.join(".netferry/net1");
        only.extend([self.dir.net(), index.join(":new"), index]);
        let mut command = vec!["strace", "-o", trace.to_str().unwrap(), "-e", &filter, "-e", &inject];
        only.iter().for_each(|path| command.extend(["-P", path.to_str().unwrap()]));
        command.extend([self.ours.as_str(), "host-local"]);
        let (success, _) = Call(verb, id, "eth0", "").run(&command, &self.conf);
        let trace = std::fs::read_to_string(trace).unwrap();
        (trace.contains("(INJECTED)") || trace.contains("+++ killed by SIGKILL"), success)
    }

    fn mine(&self) -> BTreeMap<String, String> {
        self.dir.reservations().into_iter().filter(|(_, content)| content == "mine\r\neth0").collect()
    }

    fn whole(&self) {
        let reservations = self.dir.reservations();
        let known = ["ours\r\neth0", "other\r\neth0", "mine\r\neth0"];
        assert!(reservations.values().all(|content| known.contains(&content.as_str())), "{reservations:?}");
    }

    fn end(&self) {
        assert!(self.run("DEL", "mine").0);
        assert_eq!(self.mine().len(), 0);
        assert_eq!(self.dir.reservations().len(), 4);
        assert_eq!(printed(&self.run("ADD", "mine").1).len(), 2);
        assert!(Call("DEL", "mine", "eth0", "").run(&[REFERENCE], &self.conf).0);
        for id in ["ours", "other"] {
            assert!(self.run("DEL", id).0);
        }
        assert!(self.dir.reservations().is_empty());
    }
}

fn each(verb: &str, fault: &str, check: impl Fn(&Node, &str, bool)) {
    let mut reached = Vec::new();
    for &operation in OPERATIONS {
        for nth in 1.. {
            let node = Node::new();
            if verb == "DEL" {
                assert!(node.run("ADD", "mine").0);
            }
            let (hit, success) = node.hit(verb, "mine", operation, fault, nth);
            if !hit {
                break;
            }
            reached.push(operation);
            node.whole();
            check(&node, &format!("{verb} {operation} {nth} {fault}"), success);
            node.end();
        }
    }
    println!("{verb} {fault}: {reached:?}");
    for operation in ["flock", "statx", "read", "utimensat", if verb == "ADD" { "linkat" } else { "unlinkat" }] {
        assert!(reached.contains(&operation), "{operation} was not hit: {reached:?}");
    }
}

#[test]
fn add_fails_whole() {
    each("ADD", "error=ENOSPC", |node, what, success| {
        assert_eq!(node.mine().len(), if success { 2 } else { 0 }, "{what}");
    });
}

#[test]
fn add_is_killed() {
    each("ADD", "signal=KILL", |_, _, success| assert!(!success));
}

#[test]
fn del_fails() {
    each("DEL", "error=EIO", |node, what, success| assert!(!success || node.mine().is_empty(), "{what}"));
}

#[test]
fn del_is_killed() {
    each("DEL", "signal=KILL", |_, _, success| assert!(!success));
}
