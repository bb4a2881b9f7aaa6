//! A device that systemd-networkd manages, the real one, on a host whose first process is the test's: lent and returned,
//! it gets its addresses from whoever the user said, and what networkd gives is not given twice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

/// networkd gives `eth1` an address and a default route, somebody else an address, a route and a neighbour more. `networkd`
/// starts it, and waits until it has done so; what it has given and what is foreign is told by `look`.
const SETUP: &str = r#"
mount -t sysfs -o ro sysfs /sys; mount -t tmpfs tmpfs /etc/systemd/network
install -d -o systemd-network /run/systemd/netif /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
printf '[Match]\nName=eth1\n[Network]\nAddress=10.7.0.5/24\nGateway=10.7.0.1\nIPv6AcceptRA=no\nKeepConfiguration=yes\n' > /etc/systemd/network/10-eth1.network
ip link del uplink0; ip netns add one; ip link add eth1 type veth peer name p1; ip link set p1 up
networkd() {
    /lib/systemd/systemd-networkd 2> /run/networkd.log & daemon=$!
    soon configured || cat /run/networkd.log
}
configured() { grep -q ADMIN_STATE=configured /run/systemd/netif/links/$(cat /sys/class/net/eth1/ifindex); }
soon() { for turn in $(seq 500); do "$@" 2> /dev/null && return; sleep 0.02; done; echo "never: $*"; return 1; }
has() { ip address show dev eth1 | grep -q "inet $1"; }
look() {
    ip -4 -oneline address show dev eth1 | tr -s ' ' | cut -d' ' -f4 | sort | tr '\n' ' '
    ip route show dev eth1 | cut -d' ' -f1 | sort | tr '\n' ' '; ip neighbour show nud permanent | cut -d' ' -f1
}
"#;

fn expect(script: &str, expected: &str) {
    let namespaces =
        ["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let ended = host::run_in(&namespaces, &format!("{SETUP}{script}"));
    let lines = |text: &str| text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n");
    assert_eq!(lines(&ended.stdout), lines(expected), "stderr: {}", ended.stderr);
}

/// What somebody gives by hand; then the device goes and comes back, as `$1` says.
const LENT: &str = r#"
by_hand() {
    ip address add 10.8.0.5/24 dev eth1; ip route add 10.9.0.0/16 via 10.8.0.1
    ip neighbour add 10.8.0.9 lladdr 02:aa:00:00:00:01 nud permanent dev eth1; look
}
lend() {
    $NETFERRY carry eth1 --netns one --keep-network --allow-uplink --restore $1 > /dev/null
    cat /run/netferry/lent/*.json | grep -o '"manager":"[^"]*"'; ip -n one -4 -oneline address show dev eth1 | grep -c 'inet 10'
    $NETFERRY return eth1 > /dev/null; ip link show eth1 | grep -o ',UP'
}
"#;

#[test]
fn a_daemon_gives_what_is_its_own() {
    let script = format!("{LENT} networkd; by_hand; lend auto; soon has 10.7.0.5; soon configured; look; kill $daemon");
    let expected = r#"
        10.7.0.5/24 10.8.0.5/24 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default 10.8.0.9
        "manager":"systemd-networkd"
        2
        ,UP
        10.7.0.5/24 10.7.0.0/24 default
    "#;
    expect(&script, expected);
}

#[test]
fn always_is_whatever_a_daemon_does() {
    let script =
        format!("{LENT} networkd; by_hand; lend always; soon has 10.7.0.5; soon configured; look; kill $daemon");
    let expected = r#"
        10.7.0.5/24 10.8.0.5/24 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default 10.8.0.9
        "manager":"systemd-networkd"
        2
        ,UP
        10.7.0.5/24 10.8.0.5/24 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default 10.8.0.9
    "#;
    expect(&script, expected);
}

/// It is up all the same: that is the device's own.
#[test]
fn never_gives_nothing_back() {
    let script = format!("{LENT} ip link set eth1 up; by_hand; lend never; look");
    let expected = "
        10.8.0.5/24 10.8.0.0/24 10.9.0.0/16 10.8.0.9
        1
        ,UP
    ";
    expect(&script, expected);
}
