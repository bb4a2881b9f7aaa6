//! `host-device` as a runtime calls it, with a device that has everything (`lab::device`): what the container gets of it,
//! what CHECK and STATUS see, and that it comes home as it was whatever has become of the container.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asked;
mod conflicts;
mod home;
mod lent;
mod network;

use lab::{Attachment, Container, Node, Output, Plugins, Snapshot, Verb, device, settle};
use serde_json::{Value, json};

/// Where the journal is, and where `host-local` keeps its addresses.
const JOURNAL: &str = "/run/lent";
const STORE: &str = "/run/store";

/// A node with the device `d0`, and a container that it is lent to.
struct Stage {
    ours: Plugins,
    node: Node,
    container: Container,
    attachment: Attachment,
    before: Snapshot,
}

impl Stage {
    /// The node with `device::whole`.
    fn new() -> Stage {
        let node = Node::new().unwrap();
        device::whole(&node).unwrap();
        Stage::on(node)
    }

    /// A node with what `script` makes, which knows the rest of the world as `$WORLD`.
    fn with(script: &str) -> Stage {
        let node = Node::new().unwrap();
        let (world, quiet) = (device::WORLD, "echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode");
        let begin = format!("{quiet}; touch {world}; unshare --net={world} ip link set lo up; WORLD={world}");
        node.run(["sh", "-ec", &format!("{begin}; {script}")]).unwrap();
        Stage::on(node)
    }

    fn on(node: Node) -> Stage {
        // What stays for good: empty directories of the journal and of the store.
        node.run(["mkdir", "-m", "700", JOURNAL]).unwrap();
        node.run(["mkdir", "-p", &format!("{STORE}/n")]).unwrap();
        let container = node.container("c1").unwrap();
        container.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode"]).unwrap();
        let attachment = Attachment::new("c1", &container);
        let before = node.snapshot().unwrap();
        Stage { ours: Plugins::ours().unwrap(), node, container, attachment, before }
    }

    fn add(&self, conf: &Value) -> Value {
        self.ours.add(&self.node, conf, &self.attachment).unwrap()
    }

    fn del(&self, conf: &Value) {
        self.ours.del(&self.node, conf, &self.attachment).unwrap();
    }

    /// The message of an error, with its details; the call must fail with `code`.
    fn refused(&self, verb: Verb, conf: &Value, code: u64) -> String {
        let output = self.ours.call(&self.node, verb, conf, &self.attachment).unwrap();
        assert!(!output.status.success(), "{}", output.describe());
        let error: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(error["code"], code, "{error}");
        let part = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        format!("{}; {}", part("msg"), part("details"))
    }

    /// What a shell script prints in the container.
    fn inside(&self, script: &str) -> String {
        self.container.run(["sh", "-ec", script]).unwrap().stdout
    }

    /// What a shell script prints on the node.
    fn at_home(&self, script: &str) -> String {
        self.node.run(["sh", "-ec", script]).unwrap().stdout
    }

    /// The node is as it was before anything was lent: devices, routes, rules, sysctls, journal, pins and store.
    fn judge(&self) {
        let after = || self.node.snapshot().map(without_memory);
        let before = without_memory(self.before.clone());
        assert_eq!(settle(after, |now| before.diff(now)).unwrap(), None);
    }
}

/// Without the files in which `host-local` remembers that it has been asked.
fn without_memory(snapshot: Snapshot) -> Snapshot {
    let is_memory = |key: &str| [".netferry", "lock", "last_reserved_ip"].iter().any(|part| key.contains(part));
    snapshot.without(|key| key.starts_with(&format!("file {STORE}/")) && is_memory(key))
}

/// The network of `d0` with these keys besides.
fn network(more: Value) -> Value {
    let mut conf = json!({"cniVersion": "1.1.0", "name": "n", "type": "host-device", "device": "d0", "dataDir": JOURNAL,
        "useInterfaceNetwork": true, "allowUplink": true});
    conf.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    conf
}

/// Addresses from `host-local`.
fn host_local(more: Value) -> Value {
    let mut ipam = json!({"type": "host-local", "dataDir": STORE, "subnet": "10.5.0.0/24"});
    ipam.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ipam
}

/// An answer of `ip -json`, as one list.
fn parsed(output: &Output) -> Vec<Value> {
    serde_json::from_str::<Vec<Value>>(&output.stdout).unwrap()
}
