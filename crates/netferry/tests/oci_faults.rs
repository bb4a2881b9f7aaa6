//! The hook of an OCI runtime, failing at every system call and killed at every one, where it has no device to carry: one
//! that the runtime has moved already is adopted, one that another container of the pod has is shared, and let go of again.
//!
//! A hook that says that it failed has done nothing. Whatever it was cut off at, it is asked once more, or `netferry recover`
//! is; the containers end, and everything is as it was.

use lab::fault::{Cure, FaultCase, Steps};
use lab::{Container, Error, Invocation, Node, Output, Result};

/// What a container asks for: `d0`, under the name `net1`. Its addresses come back.
const CONFIG: &str =
    r#"{"ociVersion":"1.3.0","linux":{"netDevices":{"d0":{"name":"net1"}},"namespaces":[{"type":"network"}]}}"#;

/// The device, which has nothing that a runtime would lose, and another that has nothing at all.
const SETUP: &str = "
    echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode; mkdir /run/bundle; cat > /run/bundle/config.json
    for n in 0 1; do ip link add d$n type veth peer name p$n; ip link set p$n up; ip link set d$n up; done
    ip address add 10.1.0.5/24 dev d0; ip address add fd01::5/64 nodad dev d0
";
/// Processes whose namespace the containers have: the first one's, and the second one's.
const HOLDERS: &str = "
    for container in 1 2; do
        nsenter --net=$1 sh -c 'echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode; exec sleep 1000' > /dev/null & holder=$!
        for turn in $(seq 500); do [ $(cat /proc/$holder/comm) = sleep ] && break; sleep 0.01; done; echo $holder
    done
";

/// `hook STATUS CONTAINER [OPTION…]`, as a runtime calls it, and what a cure asks about.
const CALLS: &str = r#"
hook() {
    pid=$HOLDER; [ $2 = c1 ] || pid=$OTHER; [ $1 != stopped ] || pid=0
    state=$(printf '{"ociVersion":"1.0.2","id":"%s","status":"%s","pid":%s,"bundle":"/run/bundle"}' $2 $1 $pid)
    shift 2; echo "$state" | $NETFERRY oci hook "$@"
}
recover() { $NETFERRY recover; $NETFERRY list | { ! grep ' \(interrupted\|orphaned\|busy\) '; }; }
lent() { [ ! -e /sys/class/net/d0 ]; nsenter --net=$NETNS ip link show net1 > /dev/null; $NETFERRY list | grep -q "$1"; }
home() { [ -e /sys/class/net/d0 ]; [ -e /sys/class/net/d1 ]; [ -z "$(find /run/netferry/lent -type f)" ]; }
failed() { [ $ENDED != 0 ] && [ $ENDED != killed ]; }
"#;

/// What a runtime that knows `linux.netDevices` does before it calls the hook.
const MOVE: &str = "ip link set d0 netns $NETNS name net1; nsenter --net=$NETNS sh -ec \
    'ip address add 10.1.0.5/24 dev net1; ip address add fd01::5/64 nodad dev net1; ip link set net1 up'";

/// Runs a row: `before`, the call `hook STATUS CONTAINER [OPTION…]` that fails or is killed, and what is to be done then.
fn row(name: &str, before: &'static str, call: &'static [&'static str], cure: &'static str) {
    let [status, id, options @ ..] = call else { panic!("a call of a container's hook") };
    let steps = move |node: &Node, container: &Container| {
        let netns = container.path().to_owned();
        let holders = node.run(["sh", "-ec", HOLDERS, "sh", &netns])?.stdout;
        let (holder, other) = holders.trim().split_once('\n').ok_or_else(|| Error::new("two processes"))?;
        let netferry = env!("CARGO_BIN_EXE_netferry").to_owned();
        let env = [("NETFERRY", &*netferry), ("NETNS", &netns), ("HOLDER", holder), ("OTHER", other)];
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let shell = |script: &str| {
            let shell = Invocation::command(&["sh", "-ec", &format!("{CALLS}{script}")]);
            Invocation { env: env.clone(), ..shell }
        };
        let of_container = if *id == "c1" { holder } else { other };
        let pid = if *status == "stopped" { "0" } else { of_container };
        let state =
            format!(r#"{{"ociVersion":"1.0.2","id":"{id}","status":"{status}","pid":{pid},"bundle":"/run/bundle"}}"#);
        let act = Invocation {
            stdin: state.into_bytes(),
            ..Invocation::command(&[&[&*netferry, "oci", "hook"], options].concat())
        };
        Ok(Steps { prepare: vec![shell(before)], act, recover: Some(Cure::Command(shell(cure))) })
    };
    let case = FaultCase {
        only: |point| !point.reads_a_sysctl(),
        answers: exit_code,
        setup: devices,
        ..FaultCase::of(name, Box::new(steps))
    };
    let started = std::time::Instant::now();
    let outcome = case.prove().expect("a run that nothing happens to");
    println!("{name}: {} s", started.elapsed().as_secs());
    outcome.verdict(name).unwrap_or_else(|error| panic!("{error}"));
}

fn devices(node: &Node) -> Result<()> {
    let setup = Invocation { stdin: CONFIG.into(), ..Invocation::command(&["sh", "-ec", SETUP]) };
    setup.run(node.namespaces())?.success().map(drop)
}

/// The hook has done it, or says why not.
fn exit_code(output: &Output) -> Result<()> {
    let says_why = output.stderr.contains("netferry: ") && !output.stderr.contains("panicked");
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) if says_why => Ok(()),
        _ => Err(Error::new("neither success nor a reason")),
    }
}

/// One that was not adopted bears no mark of it.
#[test]
fn a_device_that_a_runtime_has_moved_is_adopted() {
    let again = "
        if failed; then [ -z \"$(find /run/netferry/lent -type f)\" ]; nsenter --net=$NETNS ip link show net1 | { ! grep alias; }; fi
        hook created c1; lent oci/c1; hook stopped c1; home";
    row("adopt, again", MOVE, &["created", "c1"], again);
}

#[test]
fn a_device_that_was_adopted_is_recovered() {
    let recovered = "recover; hook created c1; lent oci/c1; hook stopped c1; home";
    row("adopt, recovered", MOVE, &["created", "c1"], recovered);
}

/// It is there for the first all the time, and after the first has gone for the second.
#[test]
fn a_second_container_joins() {
    let before = "hook created c1";
    let again = "
        if failed; then $NETFERRY list | { ! grep +oci/c2; }; fi
        hook created c2; lent +oci/c2; hook stopped c1; lent +oci/c2; hook stopped c2; home";
    row("join, again", before, &["created", "c2"], again);
    let recovered = "recover; lent oci/c1; hook stopped c2; lent oci/c1; hook stopped c1; home";
    row("join, recovered", before, &["created", "c2"], recovered);
}

/// What fails of the second device leaves no mark on the first.
#[test]
fn a_second_container_joins_and_has_another_device_carried() {
    let cure = "
        if failed; then $NETFERRY list | { ! grep oci/c2; }; [ -e /sys/class/net/d1 ]; fi
        hook created c2 --device d1=net2; lent +oci/c2; [ ! -e /sys/class/net/d1 ]
        hook stopped c1; lent +oci/c2; hook stopped c2; home";
    row("join and carry, again", "hook created c1", &["created", "c2", "--device", "d1=net2"], cure);
}

#[test]
fn one_of_two_leaves() {
    let before = "hook created c1; hook created c2";
    let again = "lent +oci/c2; [ $ENDED = 0 ] || hook stopped c1; lent +oci/c2; hook stopped c2; home";
    row("leave, again", before, &["stopped", "c1"], again);
    let recovered = "recover; lent +oci/c2; hook stopped c1; lent +oci/c2; hook stopped c2; home";
    row("leave, recovered", before, &["stopped", "c1"], recovered);
}

#[test]
fn the_last_leaves() {
    let before = "hook created c1; hook created c2; hook stopped c1";
    row("last, again", before, &["stopped", "c2"], "[ $ENDED = 0 ] || hook stopped c2; home");
    // It counts on the device still, if that could not even be written down.
    let recovered = "recover; [ $ENDED = 0 ] || ! lent +oci/c2 || hook stopped c2; home";
    row("last, recovered", before, &["stopped", "c2"], recovered);
}
