//! Every system call of every plugin, and of `netferry run`, fails in turn, and is the last one in turn: the next DEL (GC,
//! run) must leave a clean state; what only asks changes nothing. A new plugin is one more row. The other subcommands
//! of `netferry` have a table of their own, `crates/netferry/tests/faults.rs`.

use lab::Plugins;
use lab::fault::{Baseline, FaultCase, Point};
use serde_json::{Value, json};

fn prove(cases: impl IntoIterator<Item = FaultCase>) {
    let mut complaints = Vec::new();
    for case in cases {
        let verdict = case.prove().and_then(|outcome| outcome.verdict(&case.name));
        complaints.extend(verdict.err().map(|error| error.to_string()));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

fn table(name: &str, conf: &Value, baselines: &[Baseline]) {
    let ours = Plugins::ours().expect("netferry's plugins");
    let changes = baselines.iter().flat_map(|baseline| FaultCase::changes(name, &ours, conf, *baseline));
    prove(changes.chain([FaultCase::garbage(name, &ours, conf)]).chain(FaultCase::questions(name, &ours, conf)));
}

const BOTH: &[Baseline] = &[Baseline::Warm, Baseline::Cold];

fn dual_stack() -> Value {
    let ranges = json!([[{"subnet": "10.20.0.0/24"}], [{"subnet": "fd20::/64"}]]);
    json!({"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]})
}

#[test]
fn loopback() {
    table("loopback", &json!({"cniVersion": "1.1.0", "name": "n", "type": "loopback"}), BOTH);
}

#[test]
fn bridge() {
    let conf = json!({"cniVersion": "1.1.0", "name": "n", "type": "bridge", "isGateway": true, "ipMasq": true,
        "ipam": dual_stack()});
    table("bridge", &conf, BOTH);
}

#[test]
#[ignore = "needs a kernel that filters VLANs on bridges: cargo xtask vm"]
fn bridge_with_vlan() {
    let conf = json!({"cniVersion": "1.1.0", "name": "n", "type": "bridge", "isGateway": true, "vlan": 7,
        "ipam": {"type": "host-local", "subnet": "10.21.0.0/24"}});
    let ours = Plugins::ours().expect("netferry's plugins");
    let changes = FaultCase::changes("bridge vlan", &ours, &conf, Baseline::Warm);
    // Emulation is slow, and the row `bridge` fails the same files on any kernel.
    prove(changes.map(|case| FaultCase { only: Point::is_of_the_network, ..case }));
}

#[test]
fn bridge_with_spoof_check() {
    let conf = json!({"cniVersion": "1.1.0", "name": "n", "type": "bridge", "macspoofchk": true,
        "ipam": {"type": "host-local", "subnet": "10.24.0.0/24"}});
    table("bridge macspoofchk", &conf, &[Baseline::Warm]);
}

#[test]
fn bridge_with_iptables() {
    let conf = json!({"cniVersion": "1.1.0", "name": "n", "type": "bridge", "isGateway": true, "ipMasq": true,
        "ipMasqBackend": "iptables", "ipam": {"type": "host-local", "subnet": "10.22.0.0/24"}});
    table("bridge iptables", &conf, &[Baseline::Warm]);
}

#[test]
fn ptp() {
    let conf = json!({"cniVersion": "1.1.0", "name": "n", "type": "ptp", "ipMasq": true, "ipam": dual_stack()});
    table("ptp", &conf, BOTH);
}

#[test]
fn host_local() {
    table("host-local", &json!({"cniVersion": "1.1.0", "name": "n", "type": "host-local", "ipam": dual_stack()}), BOTH);
}

#[test]
fn static_() {
    let ipam = json!({"type": "static", "addresses": [{"address": "10.23.0.2/24", "gateway": "10.23.0.1"}]});
    table("static", &json!({"cniVersion": "1.1.0", "name": "n", "type": "static", "ipam": ipam}), BOTH);
}

#[test]
fn run() {
    let netferry = std::env::var("NETFERRY_BIN").expect("NETFERRY_BIN: run `cargo xtask test`");
    prove([FaultCase::run(netferry.as_ref())]);
}
