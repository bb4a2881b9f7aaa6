//! The lab proves itself: isolation, stability of snapshots, packets, teardown, and that faults are found.

use lab::fault::{Baseline, Cure, FaultCase, Steps};
use lab::packets::{self, Protocol};
use lab::{Attachment, Invocation, Node, Plugins, Snapshot};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_node_is_private() {
    let (one, other) = (Node::new().unwrap(), Node::new().unwrap());
    one.run(["ip", "link", "add", "only-here", "type", "bridge"]).unwrap();
    one.run(["touch", "/run/only-here", "/var/lib/only-here"]).unwrap();
    assert!(other.run(["ip", "link", "show", "only-here"]).is_err());
    assert!(other.run(["ls", "/run/only-here"]).is_err());
    assert!(!Path::new("/run/only-here").exists() && !Path::new("/sys/class/net/only-here").exists());
    assert!(one.run(["ls", "/sys/class/net/only-here"]).is_ok());
}

#[test]
fn a_snapshot_is_stable_and_sees_each_kind_of_change() {
    let node = Node::new().unwrap();
    let before = node.snapshot().unwrap();
    assert_eq!(before.diff(&node.snapshot().unwrap()), None);
    let script = "ip link add br0 type bridge; ip link set br0 up; ip addr add 10.1.0.1/24 dev br0
        ip route add 10.9.0.0/16 via 10.1.0.9; ip rule add from 10.1.0.0/24 lookup 100
        ip neigh add 10.1.0.7 lladdr 02:00:00:00:00:07 dev br0 nud permanent
        nft add table inet t; nft add chain inet t c; nft add rule inet t c counter accept
        iptables -t nat -N LAB; sysctl -qw net.ipv4.ip_forward=1; echo x > /var/lib/state";
    node.run(["sh", "-ec", script]).unwrap();
    let difference = before.diff(&node.snapshot().unwrap()).unwrap();
    let expected = [
        "+ link br0/*",
        "+ address br0 10.1.0.1/24",
        "10.9.0.0/16",
        "lookup",
        "10.1.0.7",
        "chain c / counter accept",
        "iptables-nft-save nat -N LAB",
        "sysctl /proc/sys/net/ipv4/ip_forward: 0 -> 1",
        "+ file /var/lib/state",
    ];
    for fact in expected.iter().filter(|fact| **fact != "lookup" && !fact.contains("-N LAB")) {
        assert!(difference.contains(fact), "{fact} is not in\n{difference}");
    }
    assert!(difference.contains("rule {\"priority\""), "{difference}");
    assert!(difference.contains("iptables-nft-save nat :LAB"), "{difference}");
}

#[test]
fn packets_pass_between_containers_in_every_protocol() {
    let node = Node::new().unwrap();
    let (a, b) = (node.container("a").unwrap(), node.container("b").unwrap());
    node.run(["ip", "link", "add", "va", "netns", "a", "type", "veth", "peer", "name", "vb", "netns", "b"]).unwrap();
    for (container, link, host) in [(&a, "va", "1"), (&b, "vb", "2")] {
        let script = format!(
            "ip addr add 10.2.0.{host}/24 dev {link}; ip addr add fd02::{host}/64 dev {link} nodad; ip link set {link} up"
        );
        container.run(["sh", "-ec", &script]).unwrap();
    }
    for prefix in ["10.2.0.", "fd02::"] {
        let [to_a, to_b] = ["1", "2"].map(|host| format!("{prefix}{host}").parse().unwrap());
        packets::both_ways((a.namespaces(), to_a), (b.namespaces(), to_b)).unwrap();
        assert_eq!(packets::reach(a.namespaces(), b.namespaces(), to_b, Protocol::Udp).unwrap(), to_a);
    }
    let nobody = "10.2.0.3".parse().unwrap();
    assert!(packets::ping(a.namespaces(), nobody).is_err());
    assert!(packets::exchange(a.namespaces(), Protocol::Tcp, "10.2.0.2:9".parse().unwrap()).is_err());
}

#[test]
fn nothing_outlives_a_node() {
    let node = Node::new().unwrap();
    let container = node.container("c").unwrap();
    node.run(["sh", "-c", "sleep 1000 & ip link add x type bridge"]).unwrap();
    let sleeper = node.processes();
    assert_eq!(sleeper.len(), 1);
    drop((node, container));
    // Killed is not ended: the signal is pending until the process is given a processor.
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", sleeper[0])).unwrap_or_default();
    let ended = |state: &str| state.is_empty() || state.contains(") Z ") || state.contains(") X ");
    let end = Instant::now() + Duration::from_secs(5);
    while !ended(&state()) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(ended(&state()), "{}", state());
}

/// Runs itself as a victim that makes a node and is killed while it has it.
#[test]
fn nothing_outlives_a_killed_test() {
    if std::env::var_os("LAB_VICTIM").is_some() {
        let node = Node::new().unwrap();
        println!("\nholder {}", node.pid());
        node.run(["sleep", "1000"]).unwrap();
    }
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", "nothing_outlives_a_killed_test", "--nocapture"]).env("LAB_VICTIM", "1");
    let mut victim = victim.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let said = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let holder: u32 = said.filter_map(|line| line.strip_prefix("holder ")?.parse().ok()).next().unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let gone = || !Path::new(&format!("/proc/{holder}/ns/net")).exists();
    let end = Instant::now() + Duration::from_secs(5);
    while !gone() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(gone());
}

#[test]
fn a_program_that_does_not_end_is_ended() {
    let node = Node::new().unwrap();
    let mut sleep = Invocation::command(&["sleep", "1000"]);
    sleep.deadline = Some(Duration::from_millis(50));
    let error = sleep.run(node.namespaces()).unwrap_err();
    assert!(error.to_string().contains("sleep 1000: still running after 50ms"), "{error}");
    assert_eq!(node.processes(), Vec::<u32>::new());
}

/// One command made of `sh`, which is neither atomic nor undone: the engine must find that out.
fn shell(name: &str, baseline: Baseline, act: &'static str, recover: &'static str) -> FaultCase {
    FaultCase {
        name: name.to_owned(),
        baseline,
        only: |_| true,
        undoes: false,
        answers: |_| Ok(()),
        setup: |_| Ok(()),
        steps: Box::new(move |_, _| {
            let act = Invocation::command(&["sh", "-ec", act]);
            let cure = Cure::Command(Invocation::command(&["sh", "-c", recover]));
            Ok(Steps { prepare: Vec::new(), act, recover: Some(cure) })
        }),
    }
}

const PAIR: &str = "ip link add va type veth peer name vb; ip link set va up; echo > /run/a; ip link del va; rm /run/a";

#[test]
fn a_recovery_that_removes_everything_is_clean() {
    for baseline in [Baseline::Warm, Baseline::Cold] {
        let case = shell("shell", baseline, PAIR, "ip link del va; rm -f /run/a");
        let outcome = case.prove().unwrap();
        outcome.verdict("shell").unwrap();
        assert!(outcome.points >= 10, "{outcome:?}");
    }
}

#[test]
fn a_recovery_that_forgets_something_is_found() {
    for baseline in [Baseline::Warm, Baseline::Cold] {
        let outcome = shell("forgetful", baseline, PAIR, "ip link del va; true").prove().unwrap();
        let text = outcome.verdict("forgetful").unwrap_err().to_string();
        assert!(text.contains("+ file /run/a"), "{text}");
    }
}

#[test]
fn a_question_that_changes_something_is_found() {
    let case = shell("liar", Baseline::Unchanged, "echo > /run/a; rm /run/a", "rm -f /run/a");
    let text = case.prove().unwrap().verdict("liar").unwrap_err().to_string();
    assert!(text.contains("left by the run itself:\n+ file /run/a"), "{text}");
}

#[test]
fn debian_s_plugins_run_in_the_lab() {
    let (node, go) = (Node::new().unwrap(), Plugins::debian().unwrap());
    let container = node.container("c").unwrap();
    let attachment = Attachment::new("c", &container);
    let conf = json!({"cniVersion": "1.0.0", "name": "n", "type": "bridge", "isGateway": true, "ipMasq": true,
        "ipam": {"type": "host-local", "subnet": "10.3.0.0/24"}});
    let round = |check: bool| -> Snapshot {
        let result = go.add(&node, &conf, &attachment).unwrap();
        if check {
            go.check(&node, &conf, &result, &attachment).unwrap();
            packets::ping(container.namespaces(), "10.3.0.1".parse().unwrap()).unwrap();
        }
        go.del(&node, &conf, &attachment).unwrap();
        node.snapshot().unwrap().and("container", container.snapshot().unwrap())
    };
    let clean = round(false);
    assert_eq!(clean.diff(&round(true)), None);
}
