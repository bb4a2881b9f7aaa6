//! Every system call of every plugin, and of `netferry run`, fails in turn, and is the last one in turn: the next DEL (GC,
//! run) must leave a clean state; what only asks changes nothing. A new plugin is one more row. The other subcommands
//! of `netferry` have tables of their own, `crates/netferry/tests/faults.rs` and `oci_faults.rs`.

use ferry::Journal;
use ferry::recover::{self, Standing};
use lab::fault::{Baseline, Cure, FaultCase, Point};
use lab::{Attachment, Error, Invocation, Node, Plugins, Result, Verb, device};
use serde_json::{Value, json};
use std::path::Path;

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
    let garbage = FaultCase::garbage(name, &ours, [conf; 3]);
    prove(changes.chain([garbage]).chain(FaultCase::questions(name, &ours, conf, conf)));
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

/// The journal of the rows of `host-device`.
const JOURNAL: &str = "/run/lent";

/// `device::whole` and two devices with less, which the rows of `host-device` lend.
fn devices(node: &Node) -> Result<()> {
    device::whole(node)?;
    let less = "for n in 1 2; do
            ip link add d$n type veth peer name p$n; ip link set p$n up; ip link set d$n up
            ip address add 10.2.$n.1/24 dev d$n; ip address add fd02:$n::1/64 nodad dev d$n
            ip route add 10.3.$n.0/24 via 10.2.$n.2
        done";
    node.run(["sh", "-ec", less]).map(drop)
}

/// The network that lends `device` with everything that it has.
fn lending(device: &str, ipam: Value) -> Value {
    json!({"cniVersion": "1.1.0", "name": "n", "type": "host-device", "device": device, "useInterfaceNetwork": true,
        "allowUplink": true, "dataDir": JOURNAL, "ipam": ipam})
}

fn on_devices(cases: impl IntoIterator<Item = FaultCase>) -> impl Iterator<Item = FaultCase> {
    cases.into_iter().map(|case| FaultCase { setup: devices, ..case })
}

/// The same without the sysctls that are read, of which the row `host_device` fails one in sixteen.
fn on_devices_known(cases: impl IntoIterator<Item = FaultCase>) -> impl Iterator<Item = FaultCase> {
    on_devices(cases).map(|case| FaultCase { only: |point| !point.reads_a_sysctl(), ..case })
}

#[test]
fn host_device() {
    let ours = Plugins::ours().expect("netferry's plugins");
    let cases = on_devices(FaultCase::changes("host-device", &ours, &lending("d0", dual_stack()), Baseline::Warm));
    prove(cases.map(|case| FaultCase { only: |point| !point.reads_a_sysctl() || point.nth % 16 == 0, ..case }));
}

/// The namespace is at its path alone: if that cannot be opened, the device is not believed to be gone.
#[test]
fn host_device_without_a_pin() {
    let (ours, mut conf) = (Plugins::ours().expect("netferry's plugins"), lending("d0", dual_stack()));
    conf["pin"] = json!(false);
    prove(on_devices_known(FaultCase::changes("host-device without a pin", &ours, &conf, Baseline::Warm)));
}

#[test]
fn host_device_collected() {
    let ours = Plugins::ours().expect("netferry's plugins");
    let confs = ["d2", "d0", "d1"].map(|device| lending(device, dual_stack()));
    prove(on_devices_known([FaultCase::garbage("host-device", &ours, confs.each_ref())]));
}

#[test]
fn host_device_asked() {
    let ours = Plugins::ours().expect("netferry's plugins");
    let [lent, free] = ["d0", "d1"].map(|device| lending(device, dual_stack()));
    prove(on_devices_known(FaultCase::questions("host-device", &ours, &lent, &free)));
}

/// ADD, or DEL after it, and the container's namespace is gone before DEL is asked for (again).
#[test]
fn host_device_of_a_container_that_is_gone() {
    let cases = [Verb::Add, Verb::Del].map(|verb| {
        let steps = move |_: &Node, container: &lab::Container| {
            let (ours, conf) = (Plugins::ours()?, lending("d0", dual_stack()));
            let attachment = Attachment { netns: "/run/netns/gone".to_owned(), ..Attachment::new("fault", container) };
            let call = |verb| ours.invocation(verb, &conf, &attachment);
            let shell = |script: &str| Invocation::command(&["sh", "-ec", script]);
            let begin = shell("touch /run/netns/gone; unshare --net=/run/netns/gone true");
            let end = "umount -l /run/netns/gone; rm /run/netns/gone";
            let prepare = match verb {
                Verb::Add => vec![begin],
                _ => vec![begin, call(Verb::Add), shell(end)],
            };
            let del = call(Verb::Del);
            let script = format!("! test -e /run/netns/gone || {{ {end}; }}; exec {}", del.program.display());
            let cure = Invocation { env: del.env, stdin: del.stdin, ..shell(&script) };
            Ok(lab::fault::Steps { prepare, act: call(verb), recover: Some(Cure::Command(cure)) })
        };
        FaultCase::of(&format!("host-device {} of a container that is gone", verb.name()), Box::new(steps))
    });
    prove(on_devices_known(cases));
}

/// Nobody asks again: whoever looks after the node finds in the journal what was cut off.
#[test]
fn host_device_recovered() {
    let cases = [Verb::Add, Verb::Del].map(|verb| {
        let steps = move |_: &Node, container: &lab::Container| {
            let (ours, conf) = (Plugins::ours()?, lending("d0", json!({})));
            let attachment = Attachment::new("fault", container);
            let call = |verb| ours.invocation(verb, &conf, &attachment);
            let prepare = if verb == Verb::Del { vec![call(Verb::Add)] } else { Vec::new() };
            Ok(lab::fault::Steps { prepare, act: call(verb), recover: Some(Cure::Call(Box::new(recovered))) })
        };
        FaultCase::of(&format!("host-device {}, recovered", verb.name()), Box::new(steps))
    });
    prove(on_devices_known(cases));
}

/// `netferry recover`; afterwards a device is lent by a call that was not cut off, or home.
fn recovered() -> Result<()> {
    let journal = Journal::at(JOURNAL);
    for one in recover::recover(&journal, false).map_err(Error::during("recover"))? {
        one.outcome.ok_or_else(|| Error::new("a dry run"))?.map_err(Error::during("recover"))?;
    }
    for one in recover::list(&journal).map_err(Error::during("list"))? {
        let one = one.map_err(Error::during("list"))?;
        if one.standing != Standing::Lent {
            return Err(Error::new(format!("{} is {} still", one.entry.owner, one.standing.as_str())));
        }
        if Path::new("/sys/class/net/d0").exists() {
            return Err(Error::new("d0 is home, at least half, and lent by the journal"));
        }
        recover::release(&journal, &one.entry.owner, None).map_err(Error::during("release"))?;
    }
    Ok(())
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
