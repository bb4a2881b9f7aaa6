//! netferry itself killed, or refused by the system, at every call that matters, one after another; then the cure, and a
//! host that is as it was. Plugins have their own table; here they are left alone.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

const MAKING: &str = "mkdir openat rename symlink write fsync";
const REMOVING: &str = "unlink rmdir flock getdents64 readlink";
const RUNNING: &str = "vfork,clone,clone3,fork wait4,waitid ppoll unshare setns sendto";

/// For every call in `$1`, in turn: `$2` happens to it, then the cure; prints what is left and counts the points.
const TABLE: &str = r#"
command -v strace > /dev/null || { echo 'install strace'; exit 1; }
echo '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge","bridge":"br7","isGateway":true,"ipMasq":true,"removeWhenEmpty":true,"ipam":{"type":"host-local","dataDir":"/run/store","ranges":[[{"subnet":"10.7.0.0/24"}],[{"subnet":"fd07::/64"}]]}}]}' > /run/net.conflist
ip netns add one; mkdir /run/faults
left() { snapshot | grep -v '/run/faults\|/run/store/net/\(last_reserved\|lock\|\.\)'; }
table() {
    { warm; before; cure; } > /dev/null 2>&1; left > /run/faults/before; points=0
    for call in $1; do
        nth=1
        while [ $nth -lt 100 ]; do
            before > /dev/null 2>&1
            victim "strace -o /run/faults/trace -e trace=$call -e inject=$call:$2:when=$nth" > /dev/null 2>&1
            grep -q 'INJECTED\|killed by SIGKILL' /run/faults/trace || break
            points=$((points + 1))
            cure > /run/faults/cure 2>&1 || { echo "cure fails after $call $nth"; cat /run/faults/cure; }
            # A carrier is seen a moment after its link is up (linkwatch), and some removals end after their answer.
            for look in $(seq 100); do
                left > /run/faults/after
                cmp -s /run/faults/before /run/faults/after && break
                sleep 0.02
            done
            cmp -s /run/faults/before /run/faults/after || { echo "left after $call $nth:"; diff /run/faults/before /run/faults/after; exit; }
            nth=$((nth + 1))
        done
    done
    cure; echo "points $points"
}
"#;

/// Runs the table for one victim; the host must be clean after each of at least `least` points.
fn table(functions: &str, calls: &str, fault: &str, least: u32) {
    let ended = host::run(&format!("{TABLE}\n{functions}\ntable '{calls}' '{fault}'"));
    let points = ended.stdout.trim().strip_prefix("points ").and_then(|count| count.parse::<u32>().ok());
    assert!(points.is_some_and(|points| points >= least), "{}\n{}", ended.stdout, ended.stderr);
    println!("{points:?} points of {calls}: {fault}");
    lab::report::count("fault", points.unwrap_or_default() as usize, &format!("netferry, {calls}: {fault}"));
}

const RUN: &str =
    "warm() { :; }; before() { :; }; victim() { $1 $NETFERRY run -- true; }; cure() { $NETFERRY run -- true; }";
const ADD: &str = "warm() { mv /run/net.conflist /run/conf; $NETFERRY add net one; }; before() { :; }; victim() { $1 $NETFERRY add net one; }; cure() { $NETFERRY del net one; }";
const DEL: &str = "warm() { mv /run/net.conflist /run/conf; }; before() { $NETFERRY add net one; }; victim() { $1 $NETFERRY del net one; }; cure() { $NETFERRY del net one; }";

#[test]
fn run_is_killed_while_it_makes_files() {
    table(RUN, MAKING, "signal=KILL", 40);
}

#[test]
fn run_is_killed_while_it_removes_files() {
    table(RUN, REMOVING, "signal=KILL", 20);
}

#[test]
fn run_is_killed_while_it_starts_and_awaits_processes() {
    table(RUN, RUNNING, "signal=KILL", 10);
}

#[test]
fn run_is_refused_files() {
    table(RUN, "mkdir rename symlink write fsync", "error=ENOSPC", 15);
}

#[test]
fn run_is_refused_removals_and_processes() {
    table(RUN, "unlink rmdir vfork,clone,clone3,fork", "error=EIO", 10);
}

#[test]
fn add_is_killed() {
    table(ADD, &format!("{MAKING} {REMOVING} {RUNNING}"), "signal=KILL", 30);
}

#[test]
fn add_is_refused() {
    table(ADD, "mkdir rename symlink write fsync unlink vfork,clone,clone3,fork", "error=ENOSPC", 10);
}

#[test]
fn del_is_killed_or_refused() {
    table(DEL, &format!("{MAKING} {REMOVING} {RUNNING}"), "signal=KILL", 30);
    table(DEL, "mkdir symlink unlink vfork,clone,clone3,fork", "error=EIO", 5);
}

/// A device with all that one can have, `d0`, which `$NETFERRY` carries to the namespace `one`; whatever becomes of that,
/// `recover` leaves nothing that is neither home nor lent.
const CARRIED: &str = r#"
warm() { whole; }
whole() {
    mkdir -p -m 700 /run/netferry/lent; ip netns add world; WORLD=/run/netns/world; MAC=; echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode
    WHOLE
}
left() {
    snapshot | grep -v '/run/faults'; ip route show table all; ip -6 route show table all; ip -6 rule
    ip neighbour show nud permanent; ip neighbour show proxy; cat /proc/sys/net/ipv4/conf/d0/rp_filter
}
carry() { ${1-} $NETFERRY carry d0 --netns one --name net1 --keep-network --allow-uplink; }
cure() {
    $NETFERRY recover > /run/faults/recovered || { cat /run/faults/recovered; return 1; }
    if $NETFERRY list | grep -q ' \(interrupted\|orphaned\|busy\) '; then $NETFERRY list; return 1; fi
    $NETFERRY return --all > /dev/null
}
"#;

/// The functions of a table in which `victim` is what is killed.
fn carried(functions: &str) -> String {
    format!("{}{functions}", CARRIED.replace("WHOLE", lab::device::WHOLE))
}

#[test]
fn carry_is_killed() {
    let functions = carried("before() { :; }; victim() { carry \"$1\"; }");
    table(&functions, "sendmsg mkdir write fsync mount flock setns", "signal=KILL", 40);
}

#[test]
fn return_is_killed() {
    let functions = carried("before() { carry; }; victim() { $1 $NETFERRY return d0; }");
    table(&functions, "sendmsg write umount2 unlink rmdir flock setns", "signal=KILL", 40);
}

/// A process whose namespace a container has, and our hook as a runtime calls it: `created` with the process, `stopped`
/// without one.
const HOOKED: &str = r#"
mkdir /run/bundle; nsenter --net=/run/netns/one sleep 1000 & holder=$!
echo '{"ociVersion":"1.3.0","annotations":{"dev.netferry.carry":"all","dev.netferry.restore":"all","dev.netferry.allow-uplink":"true"},"linux":{"netDevices":{"d0":{"name":"net1"}},"namespaces":[{"type":"network"}]}}' > /run/bundle/config.json
hook() { printf '{"ociVersion":"1.0.2","id":"c1","status":"%s","pid":%s,"bundle":"/run/bundle"}' $2 $3 | $1 $NETFERRY oci hook; }
cure() {
    $NETFERRY recover > /run/faults/recovered || { cat /run/faults/recovered; return 1; }
    if $NETFERRY list | grep -q ' \(interrupted\|orphaned\|busy\) '; then $NETFERRY list; return 1; fi
    hook '' stopped 0
}
trap 'kill $holder' EXIT
"#;

#[test]
fn a_hook_is_killed_while_it_carries() {
    let functions = carried(&format!("{HOOKED} before() {{ :; }}; victim() {{ hook \"$1\" created $holder; }}"));
    table(&functions, "sendmsg mkdir write fsync mount flock setns read", "signal=KILL", 40);
}

#[test]
fn a_hook_is_killed_while_it_brings_home() {
    let functions =
        carried(&format!("{HOOKED} before() {{ hook '' created $holder; }}; victim() {{ hook \"$1\" stopped 0; }}"));
    table(&functions, "sendmsg write umount2 unlink rmdir flock setns", "signal=KILL", 40);
}

#[test]
fn a_hook_is_refused() {
    let functions = carried(&format!("{HOOKED} before() {{ :; }}; victim() {{ hook \"$1\" created $holder; }}"));
    table(&functions, "sendmsg mkdir write fsync mount", "error=ENOSPC", 30);
}

/// netferry in front of a runtime that does nothing: `config.json` is the old one or a new one whatever happens, the old one if
/// netferry says that it failed, and a second call finishes what the first has left. (127 is the dynamic linker's end, be it
/// netferry's or the runtime's.)
const WRAPPED: &str = r#"
ip link add d0 type veth peer name p0; mkdir /run/bundle; code=
echo '{"ociVersion":"1.3.0","linux":{"netDevices":{"d0":{"name":"net1"}},"namespaces":[{"type":"network"}]},"big":1e400}' > /run/old
create() { ${1-} $NETFERRY oci runtime --runtime /bin/true -- create --bundle /run/bundle c1; }
is() { cmp /run/$1 /run/bundle/config.json; }
# The way back to the new one has failed: the next call goes it.
is_named() { grep /pins/ /run/bundle/config.json && grep 'INJECTED\|SIGKILL' /run/faults/trace; }
warm() { before; create; cp /run/bundle/config.json /run/new; }
before() { code=; rm -f /run/bundle/.config.json.netferry; cp /run/old /run/bundle/config.json; }
victim() { create "$1"; code=$?; }
cure() {
    case $code in 0) is new || is_named;; 1) is old && { [ ! -e /run/bundle/.config.json.netferry ] || grep 'unlink.*INJECTED' /run/faults/trace; };; ''|127|137) is old || is new || is_named;; *) return 1;; esac || return 1
    [ "$(ls -A /run/bundle | grep -v '^\(.config.json.netferry\|config.json\)$')" = '' ] || return 1
    create && is new && [ "$(ls -A /run/bundle)" = config.json ] || return 1
    # What it has begun to carry, and was killed at.
    $NETFERRY recover > /run/faults/recovered || { cat /run/faults/recovered; return 1; }
}
"#;
// Not close: it lets go of a file and its lock whatever it returns, but for strace.
const FILES: &str =
    "openat open access read pread64 write fsync rename lseek fstat,newfstatat,statx readlink flock fchmod getdents64";
/// Only what concerns the bundle's files.
const BUNDLED: &str = r#"
P='-P /run/bundle -P /run/bundle/config.json -P /run/bundle/.config.json.netferry'
victim() { create "$1 $P"; code=$?; }
"#;

/// The hook carries, and the wrapper does nothing but rewrite.
fn wrapped_alone() -> String {
    WRAPPED.replace(r#"{"type":"network"}"#, r#"{"type":"network"},{"type":"user"}"#)
}

#[test]
fn a_wrapper_is_killed() {
    table(&wrapped_alone(), FILES, "signal=KILL", 40);
}

#[test]
fn a_wrapper_is_refused() {
    table(&wrapped_alone(), FILES, "error=EIO", 40);
}

#[test]
fn a_wrapper_has_trouble_with_the_bundle() {
    let functions = format!("{WRAPPED}{BUNDLED}");
    for fault in ["signal=KILL", "error=EIO", "error=ENOSPC"] {
        table(&functions, FILES, fault, 12);
    }
    // What it has begun it cannot even remove.
    table(&functions, "rename,unlink", "error=EIO", 1);
}

/// netferry in front of a runtime that makes a container of a process, in the namespace that it is told of, and calls the hook.
/// Whatever netferry is killed or refused at, the next call has a container with the device, and its end brings it home.
const AHEAD: &str = r#"
mkdir /run/bundle /run/rt; cat > /run/rt/rt <<'END'
#!/bin/sh
hook() { printf '{"ociVersion":"1.0.2","id":"c1","status":"%s","pid":%s,"bundle":"/run/bundle"}' $1 $2 | $NETFERRY oci hook --device=d0=net1; }
holder=$(cat /run/rt/pid 2>/dev/null)
case $1 in
create)
    exec 9> /run/rt/busy; flock 9
    netns=$(grep -o '/[^"]*/pins/[^"]*' /run/bundle/config.json); [ -e /run/rt/placed ] || echo "$netns" > /run/rt/placed
    if [ "$netns" ]; then nsenter --net=$netns sleep 1000 9>&- & else unshare --net sleep 1000 9>&- & fi; holder=$!; echo $holder > /run/rt/pid
    for turn in $(seq 500); do [ $(cat /proc/$holder/comm) = sleep ] && break; sleep 0.01; done
    hook creating $holder || { kill $holder; rm /run/rt/pid; exit 1; };;
state) [ "$holder" ];;
delete) [ -z "$holder" ] || kill $holder; rm -f /run/rt/pid; hook stopped 0;;
esac
END
chmod +x /run/rt/rt; export NETFERRY
echo '{"ociVersion":"1.3.0","annotations":{"dev.netferry.carry":"all","dev.netferry.restore":"all","dev.netferry.allow-uplink":"true"},"linux":{"netDevices":{"d0":{"name":"net1"}},"namespaces":[{"type":"network"}]}}' > /run/old
rt() { ${STRACE-} $NETFERRY oci runtime --runtime /run/rt/rt -- "$@"; }
is_home() { ip link show d0 > /dev/null; }
is() { cmp -s /run/$1 /run/bundle/config.json; }
# The last run of each call has met no fault.
before() { code=; rt delete c1; rm -f /run/bundle/.config.json.netferry /run/rt/placed; cp /run/old /run/bundle/config.json; }
victim() { STRACE=$1 rt create --bundle /run/bundle c1; code=$?; }
warm() { whole; before; rt create --bundle /run/bundle c1; cp /run/bundle/config.json /run/new; grep pins /run/rt/placed; rt delete c1; }
trap 'kill $(cat /run/rt/pid)' EXIT
ended() {
    holder=$(cat /run/rt/pid 2>/dev/null) || return 0
    rm /run/rt/pid; kill $holder
    for turn in $(seq 500); do readlink /proc/$holder/ns/net > /dev/null || break; sleep 0.01; done
}
cure() {
    case $code in
    0) is new && nsenter --net=/proc/$(cat /run/rt/pid)/ns/net ip link show net1 > /dev/null || return 1;;
    1) is_home && [ ! -e /run/rt/pid ] && { is new || is old; } || return 1;;
    # The runtime goes with netferry, and its hook on until it has done. (134: it cannot come back from a namespace.)
    ''|127|134|137) [ ! -e /run/rt/busy ] || flock /run/rt/busy true; ended;;
    *) return 1;;
    esac
    if [ "$code" != 0 ]; then
        $NETFERRY recover || return 1
        if $NETFERRY list | grep -q ' \(interrupted\|orphaned\|busy\) '; then $NETFERRY list; return 1; fi
        is_home || return 1
        rt create --bundle /run/bundle c1 && is new && nsenter --net=/proc/$(cat /run/rt/pid)/ns/net ip link show net1 > /dev/null || return 1
    fi
    rt delete c1 && is_home && [ "$(ls -A /run/bundle)" = config.json ] && [ -z "$(ls -A /run/netferry/lent)" ]
}
"#;

#[test]
fn a_wrapper_is_killed_while_it_carries_ahead() {
    let calls = "sendmsg mkdir write fsync mount flock setns rename unshare fork waitid read";
    table(&carried(AHEAD), calls, "signal=KILL", 60);
}

#[test]
fn a_wrapper_is_refused_while_it_carries_ahead() {
    table(&carried(AHEAD), "sendmsg mkdir write fsync mount flock setns rename unshare fork", "error=ENOSPC", 60);
}

/// The runtime is to set sysctls of the device, and begins when it is there.
#[test]
fn a_wrapper_is_killed_while_it_carries_first() {
    let sysctl = r#""linux":{"sysctl":{"net.ipv4.conf.net1.arp_ignore":"1"},"#;
    let first = AHEAD.replace(r#""linux":{"#, sysctl);
    table(&carried(&first), "sendmsg mkdir write fsync mount flock setns rename fork waitid", "signal=KILL", 60);
}
