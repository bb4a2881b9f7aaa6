//! `docs/benchmarks.md`: the last run, and how to read it.

use crate::bench::options::Options;
use crate::bench::stats::Results;
use crate::bench::table::Table;
use crate::bench::target::Judged;
use crate::shell::output;
use std::path::Path;

/// What the page and the table say about the machine.
pub fn machine(options: &Options) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = output(&["uname", "-sr"]);
    let rustc = output(&["rustc", "--version"]);
    let peer = output(&["dpkg-query", "-W", "-f", "${Version}", "containernetworking-plugins"]);
    let sid = options.sid.as_ref().map_or(String::new(), |sid| format!(" (of sid: {})", sid.version));
    let version = |runtime: &Path| {
        let said = output(&[&runtime.to_string_lossy(), "--version"]);
        said.lines().next().map(|version| format!(", {version}")).unwrap_or_default()
    };
    let runtimes = options.oci.as_ref().map(|oci| version(&oci.crun) + &version(&oci.runc)).unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{cores} cores, {}, {}, peer: containernetworking-plugins {}{sid}{runtimes}, load at the start {load}",
        kernel.trim(),
        rustc.split(" (").next().unwrap_or_default().trim(),
        peer.trim()
    )
}

/// What to say of a run that something got in the way of; nothing of a calm one.
pub fn caution(results: &Results) -> String {
    match results.disturbed().as_slice() {
        [] => String::new(),
        rows => format!("This run was disturbed; measure again on a calm machine: {}.\n", rows.join(", ")),
    }
}

/// The page.
pub fn page(machine: &str, results: &Results, judged: &[Judged]) -> String {
    let missed = judged.iter().filter(|one| !one.met).count();
    let [times, counts, targets] =
        [Table::times(results), Table::counts(results), Table::targets(judged)].map(|table| table.markdown());
    format!(
        "# Benchmarks

Written by `cargo xtask bench`; do not edit. {machine}.

{}
{times}
{HOW_TO_READ}
## Targets

{} of {} met in this run.

{targets}
## What a call asks of the kernel

{counts}
A program is a successful execve(2), the plugin's own included; a child is a process it starts. netferry's DEL starts
one without exec, which waits for the kernel's grace periods after the call has returned.
",
        caution(results),
        judged.len() - missed,
        judged.len()
    )
}

const HOW_TO_READ: &str = "\
Every number is the time from spawn to reap of one call, of a plugin or an OCI runtime, the median of its row with its minimum and
90th percentile beside it; all run at real-time priority where that is allowed, so that the rest of the machine interferes less. All
contenders run in the same minute on the same node, taking turns, each with a container, a bridge, a subnet and networks of
its own, each call behind an untimed start of the same program, so that nobody pays for the caches that another emptied. Each
ADD is proven to have done what it printed, and each DEL to have removed the link.
Only the **ratios** mean something elsewhere: times are those of one machine, and of what else it did at the time.

- `go` is Debian's containernetworking-plugins with iptables-nft, `go-legacy` the same with iptables-legacy.
- `floor` is a static program that does the row's netlink work and nothing else: no JSON, no addresses to manage, no files.
- `version` asks for the supported versions: the cost of starting.
- `masquerade` is `bridge` with `isGateway` and `ipMasq`: netferry uses nftables, the peer iptables.
- `restart` is `masquerade`, with the ADD right behind a DEL of the same container.
- `legacy` is the same against iptables-legacy, last of all: its tables stay in the namespace and everybody meets them.
- On the bridges another container stays attached, as on a node in use.
- `dual-ptp`: the peer waits until duplicate address detection is over; netferry returns with an address that can be used.
- `host-device` lends an up veth with three addresses of each family, six routes of two tables and a rule, each time a new
  one. netferry carries and brings home all of it (`useInterfaceNetwork`), the peers nothing: they ignore the option. `go-sid`
  is the peer of Debian's suite sid. The floor moves and renames the bare device by one message, which in the container also
  sets it up. What waits for a grace period ends with a tick: calls begin at phases of a tick that are spread evenly.
- `oci` runs a container whose program is `true`, with one up veth that has an address of each family: `crun` is that of
  Debian's suite sid, alone, which moves the device and has it end with the container; netferry stands in front of the same
  crun, carries the device itself, and has brought it home, up and with its addresses, when the call returns: it moves twice
  where crun moves once. Engines take a container's life apart: with `create` both have moved the device in, with `delete` crun
  has done with it, and netferry has it home. The bundle is the same, written anew before each call, and crun makes no cgroup. A
  peer's device is made anew before each call; ours is the one that came home.
- `oci-home` is that with a network namespace that is there before the container and outlives it, so that the peer's device comes
  home too: by iproute2, one call there and one here, which are part of its time.
- `oci-given` is `oci`, but the device ends with the container for both (`dev.netferry.restore: none`): what it costs that
  netferry is in front, and moves the device, with nothing done besides.
- `oci-hook` is that without netferry in front: crun calls our hook, which cannot begin before the container's namespace is there.
- `oci-runc` is `oci` with runc of Debian's suite experimental, which takes longer to prepare a container, so that most of the
  first move is over by then, and which loses the IPv6 address.
- `oci-plain` is the same container without a device.
- `host-local-N` is address management alone, in a /16 with N addresses reserved, on tmpfs.
- `sequential` adds 200 containers (60 with `--quick`) without removing any, `parallel` 100 (30) from 8 callers at once;
  there a number is the wall time until the last call has returned.
";
