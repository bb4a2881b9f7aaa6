//! A node with a device that has something of everything, and what is asked of it by every way in which it can be lent: what a
//! container has of it, and that it is home again.

use super::{at_home, node};
use lab::{Node, Output, Runtime, Snapshot, settle};

/// Three addresses of each family that go along, and some that do not; a route, a rule and a neighbour.
const DEVICE: &str = "
    ip link set p0 up; ip link set d0 up alias uplink group 7 txqueuelen 77; ip link property add dev d0 altname enp-d0
    ip address add 10.1.0.5/24 broadcast 10.1.0.77 dev d0 label d0:web
    ip address add 10.1.0.6/24 metric 50 noprefixroute dev d0; ip address add 10.9.9.1 peer 10.9.9.2/32 dev d0
    ip address add 10.1.0.8/24 valid_lft 100000 preferred_lft 90000 dev d0; ip address add 10.3.0.1/24 dev d0 scope link
    ip address add fd01::5/64 nodad dev d0; ip address add fd01::6/64 nodad metric 70 dev d0
    ip address add fd02::5/64 nodad preferred_lft 0 noprefixroute dev d0
    ip route add 192.0.2.0/24 via 10.1.0.1; ip route add default via 10.1.0.1 table 100; ip rule add from 10.1.0.5 lookup 100
    ip neighbour add 10.1.0.40 lladdr 02:aa:00:00:00:01 nud permanent dev d0
    for turn in $(seq 300); do ip link show d0 | grep -q 'state UP' && break; sleep 0.01; done";

/// What the container has of it: what is permanent and global, as it was and in its order.
pub const THERE: &str = "\
eth9 02:00:00:00:00:01 1400 77
inet 10.1.0.5/24 brd 10.1.0.77 scope global eth9:web
inet 10.9.9.1 peer 10.9.9.2/32 scope global eth9
inet 10.1.0.6/24 metric 50 scope global secondary noprefixroute eth9
inet6 fd02::5/64 scope global nodad deprecated noprefixroute
inet6 fd01::6/64 metric 70 scope global nodad
inet6 fd01::5/64 scope global nodad
";

pub const LOOK: &str = r#"
    ip -j link show eth9 | sed 's/.*"ifname":"\([^"]*\)".*"mtu":\([0-9]*\).*"txqlen":\([0-9]*\).*"address":"\([^"]*\)".*/\1 \4 \2 \3/'
    ip address show dev eth9 | grep inet | sed 's/^ *//; s/ *$//' | grep -v fe80"#;

/// What containerd, and with it Docker, has to say of any failure of youki, whose log it cannot read.
pub const BY_YOUKI: &str = "did not terminate successfully: exit status 1";

/// What the hook says of a device that is not there.
pub const MISSING: &str = "linux.netDevices.d0: there is no such device on this host";

pub fn netferry() -> String {
    std::env::var("NETFERRY_BIN").expect("NETFERRY_BIN: run `cargo xtask test`")
}

/// The runtime behind our wrapper, by a link of its name.
pub fn wrapped(node: &Node, runtime: &Runtime) -> Runtime {
    at_home(node, &format!("ln -s {} /run/netferry-runc", netferry()));
    runtime.through("/run/netferry-runc", &[("NETFERRY_RUNTIME", &runtime.path.to_string_lossy())])
}

/// crun told to do without cgroups, for an engine that asks for what the controllers of the node's cgroup would have to do.
pub fn without_cgroups(node: &Node, crun: &Runtime) -> Runtime {
    let script = format!("#!/bin/sh\nexec {} --cgroup-manager=disabled \"$@\"\n", crun.path.display());
    let write = "mkdir /run/crun; printf %s \"$0\" > /run/crun/without-cgroups; chmod 755 /run/crun/without-cgroups";
    node.run(["sh", "-ec", write, &script]).unwrap();
    crun.through("/run/crun/without-cgroups", &[])
}

/// A node with the device, and what it is before anything is lent.
pub fn stage() -> (Node, Snapshot) {
    let node = node();
    at_home(&node, DEVICE);
    at_home(&node, "mkdir -m 700 -p /run/netferry/lent");
    let before = node.snapshot().unwrap();
    (node, before)
}

/// A container with this process has the device, with all that goes along, and the node does not.
pub fn has_it(node: &Node, pid: u32) {
    let inside = format!("nsenter --net=/proc/{pid}/ns/net sh -c '{}'", LOOK.replace('\'', "'\\''"));
    assert_eq!(at_home(node, &inside), THERE);
    assert_eq!(at_home(node, "ip link show d0 2>&1 || true"), "Device \"d0\" does not exist.\n");
}

/// runc's error has what the hook says, and an engine's has runc's; crun says only which hook it was, and the rest where it is
/// told to, and of youki's nothing is to be seen. crun 1.8 refuses what the engines write.
pub fn says_that_it_is_missing(node: &Node, runtime: &Runtime, refused: &Output) {
    let shown = match runtime.name.as_str() {
        "crun-old" => "unknown version specified",
        "crun-new" => "error executing hook",
        "youki-new" => BY_YOUKI,
        _ => MISSING,
    };
    assert!(refused.stderr.contains(shown), "{}", refused.describe());
    if runtime.name == "crun-new" {
        assert!(at_home(node, "cat /run/runc/said").contains(MISSING));
    }
}

/// Waits until nothing is lent any more, for five seconds at most.
pub fn comes_home(node: &Node) {
    let lent = "test -z \"$(ls -A /run/netferry/lent)\"";
    at_home(node, &format!("for turn in $(seq 500); do {lent} && break; sleep 0.01; done; {lent}"));
}

/// `netferry cdi generate` into the second of the directories in which engines look unless they are told another.
pub fn generate(node: &Node, form: &str) {
    let options = format!("--device d0 --as eth9 --form {form} --output /var/run/cdi/netferry.json");
    at_home(node, &format!("{} cdi generate {options}", netferry()));
}

/// The node is as it was, but for what has one of these in its path.
pub fn is_as_before(node: &Node, before: &Snapshot, besides: &[&str]) {
    let clean = |snapshot: Snapshot| snapshot.without(|key| besides.iter().any(|part| key.contains(part)));
    let before = clean(before.clone());
    assert_eq!(settle(|| node.snapshot().map(clean), |now| before.diff(now)).unwrap(), None);
}
