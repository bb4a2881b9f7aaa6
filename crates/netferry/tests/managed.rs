//! A device that a daemon manages, systemd-networkd or NetworkManager, the real one, on a host whose first process is the
//! test's: lent and returned, it gets its addresses from whoever the user said, and what a daemon gives is not given twice.
//!
//! `NETFERRY_NETWORK_MANAGER` names the directory that `cargo xtask test` lays out. A test that needs it fails when it is not
//! set.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

/// `eth1`, to which a daemon gives an address and a default route of each family, somebody else an address, a route and a
/// neighbour more. Each daemon's function starts it, and waits until it has done so; what there is, given or foreign, is told
/// by `look`. A `/sys` that is read-only is how daemons know that no udev will announce a device.
const SETUP: &str = r#"
mount -t sysfs -o ro sysfs /sys; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
ip link del uplink0; ip netns add one; ip link add eth1 type veth peer name p1; ip link set p1 up
networkd() {
    mount -t tmpfs tmpfs /etc/systemd/network
    install -d -o systemd-network /run/systemd/netif /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
    printf '[Match]\nName=eth1\n[Network]\nAddress=10.7.0.5/24\nGateway=10.7.0.1\nAddress=fd07::5/64\nGateway=fd07::1\nIPv6AcceptRA=no\nKeepConfiguration=yes\n' > /etc/systemd/network/10-eth1.network
    /lib/systemd/systemd-networkd 2> /run/networkd.log & daemon=$!
    soon configured || cat /run/networkd.log
}
configured() { grep -q ADMIN_STATE=configured /run/systemd/netif/links/$(cat /sys/class/net/eth1/ifindex); }
soon() { for turn in $(seq 500); do "$@" 2> /dev/null && return; sleep 0.02; done; echo "never: $*"; return 1; }
has() { ip address show dev eth1 | grep -q "inet6* $1"; }
look() {
    ip ${1-} -oneline address show dev eth1 | grep -v 'inet6* fe80' | tr -s ' ' | cut -d' ' -f4 | sort | tr '\n' ' '
    { ip ${1-} route show dev eth1; ip ${1-} -6 route show dev eth1; } | cut -d' ' -f1 | grep -v fe80 | sort | tr '\n' ' '
    ip ${1-} neighbour show nud permanent | cut -d' ' -f1
}
looks() { [ "$(look)" = "$1" ]; }
end() { kill -$1 $daemon; wait $daemon; }
"#;

/// Like its service, without those that ask who may do what, write `resolv.conf` or the host's name, and with a bus of its own.
/// `profile` is what it gives to `eth1`; it manages no other device.
const NETWORK_MANAGER: &str = r#"
[ -x "${NETFERRY_NETWORK_MANAGER:-}/NetworkManager" ] || { echo 'NETFERRY_NETWORK_MANAGER is not set: run `cargo xtask test`, which fetches NetworkManager and sets it'; exit 1; }
NM=/run/NetworkManager; mkdir -p /run/dbus $NM/profiles
printf '[main]\nplugins=keyfile\nauth-polkit=false\ndns=none\nhostname-mode=none\nno-auto-default=*\n[keyfile]\npath=/run/NetworkManager/profiles\nunmanaged-devices=except:interface-name:eth1\n' > /run/nm.conf
printf '<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><policy context="default"><allow user="*"/><allow send_type="*"/><allow receive_type="*"/></policy><includedir>%s/usr/share/dbus-1/system.d</includedir></busconfig>' "$NETFERRY_NETWORK_MANAGER" > /run/bus.conf
profile() {
    printf '[connection]\nid=eth1\nuuid=5fb06bd0-0bb0-4ffb-85f1-d6edd65f3e03\ntype=ethernet\ninterface-name=eth1\n[ipv4]\nmethod=manual\naddress1=10.7.0.5/24,10.7.0.1\n[ipv6]\nmethod=manual\naddress1=fd07::5/64,fd07::1\n' > $NM/profiles/eth1.nmconnection
    chmod 600 $NM/profiles/eth1.nmconnection
}
network_manager() {
    $NETFERRY_NETWORK_MANAGER/dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile 2> /run/bus.log & bus=$!
    soon [ -S /run/dbus/system_bus_socket ] || cat /run/bus.log
    $NETFERRY_NETWORK_MANAGER/NetworkManager --debug --config=/run/nm.conf --config-dir=/run/none --system-config-dir=/run/none 2> /run/nm.log & daemon=$!
    soon "$@" || cat /run/nm.log
}
says() { grep -q "$1" $NM/devices/$(cat /sys/class/net/eth1/ifindex); }
given() { says connection-uuid=5fb06bd0 && looks '10.7.0.5/24 fd07::5/64 10.7.0.0/24 default default fd07::/64 '; }
gone() { grep -q "eth1.*'removed'" /run/nm.log; }
external() { grep -q external=true $NM/system-connections/* && says connection-uuid; }
started() { grep -q 'startup complete' /run/nm.log; }
"#;

/// What somebody gives by hand; then the device goes, is seen to be gone (`$2`), and comes back, as `$1` says.
const LENT: &str = r#"
by_hand() {
    ip address add 10.8.0.5/24 dev eth1; ip route add 10.9.0.0/16 via 10.8.0.1
    ip neighbour add 10.8.0.9 lladdr 02:aa:00:00:00:01 nud permanent dev eth1; look
}
lend() { goes $1; soon ${2-true}; comes; }
goes() {
    $NETFERRY carry eth1 --netns one --keep-network --allow-uplink --restore $1 > /dev/null
    grep -o '"manager":"[^"]*"' /run/netferry/lent/*.json; look '-n one'
}
comes() { $NETFERRY return eth1 > /dev/null; ip link show eth1 | grep -o ',UP'; }
"#;

fn expect(script: &str, expected: &str) {
    let namespaces =
        ["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let ended = host::run_in(&namespaces, &format!("{SETUP}{LENT}{script}"));
    let lines = |text: &str| text.trim().lines().map(str::trim).collect::<Vec<_>>().join("\n");
    assert_eq!(lines(&ended.stdout), lines(expected), "stderr: {}", ended.stderr);
}

#[test]
fn networkd_gives_what_is_its_own() {
    let script = "networkd; by_hand; lend auto; soon has 10.7.0.5; soon has fd07::5; soon configured; look; end TERM";
    let expected = r#"
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        "manager":"systemd-networkd"
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        ,UP
        10.7.0.5/24 fd07::5/64 10.7.0.0/24 default default fd07::/64
    "#;
    expect(script, expected);
}

#[test]
fn always_is_whatever_networkd_does() {
    let script = "networkd; by_hand; lend always; soon has 10.7.0.5; soon configured; look; end TERM";
    let expected = r#"
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        "manager":"systemd-networkd"
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        ,UP
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
    "#;
    expect(script, expected);
}

/// Its file is there still.
#[test]
fn networkd_gives_nothing_once_it_was_killed() {
    let script = "networkd; by_hand; end KILL 2> /dev/null; configured && look; lend auto; look";
    let expected = "
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        ,UP
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
    ";
    expect(script, expected);
}

#[test]
fn network_manager_gives_what_is_its_own() {
    let script = format!(
        "{NETWORK_MANAGER} profile; network_manager given; by_hand; lend auto gone; soon given; look; end TERM"
    );
    let expected = r#"
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        "manager":"NetworkManager"
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        ,UP
        10.7.0.5/24 fd07::5/64 10.7.0.0/24 default default fd07::/64
    "#;
    expect(&script, expected);
}

/// It gives an address without the route to its subnet, and that route besides: a container without routes has it all the same.
#[test]
fn a_container_reaches_the_subnets_that_network_manager_gave() {
    let script = format!(
        r#"{NETWORK_MANAGER} profile; network_manager given
        mkdir /run/bundle; nsenter --net=/run/netns/one sleep 1000 & holder=$!
        echo '{{"ociVersion":"1.3.0","annotations":{{"dev.netferry.allow-uplink":"true"}},"linux":{{"netDevices":{{"eth1":{{}}}},"namespaces":[{{"type":"network"}}]}}}}' > /run/bundle/config.json
        hook() {{ printf '{{"ociVersion":"1.0.2","id":"c1","status":"%s","pid":%s,"bundle":"/run/bundle"}}' $1 $2 | $NETFERRY oci hook; }}
        entered() {{ [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }}
        soon entered; hook created $holder; look '-n one'; echo; soon gone; hook stopped 0; soon given && echo given; kill $holder; end TERM"#
    );
    let expected = "
        10.7.0.5/24 fd07::5/64 10.7.0.0/24 fd07::/64
        given
    ";
    expect(&script, expected);
}

/// What it makes of that once it sees the device is its own affair, and hangs on which of the two is faster: it is stopped
/// until everything has been put back.
#[test]
fn always_is_whatever_network_manager_does() {
    let script = format!(
        "{NETWORK_MANAGER} profile; network_manager given; by_hand; goes always; soon gone; kill -STOP $daemon; comes; look; kill -CONT $daemon; end TERM"
    );
    let expected = r#"
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        "manager":"NetworkManager"
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        ,UP
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
    "#;
    expect(&script, expected);
}

/// Its files are there still.
#[test]
fn network_manager_gives_nothing_once_it_was_stopped() {
    let script = format!(
        "{NETWORK_MANAGER} profile; network_manager given; by_hand; end TERM; says managed=true && look; lend auto; look"
    );
    let expected = "
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
        ,UP
        10.7.0.5/24 10.8.0.5/24 fd07::5/64 10.7.0.0/24 10.8.0.0/24 10.9.0.0/16 default default fd07::/64 10.8.0.9
    ";
    expect(&script, expected);
}

/// Managed without a profile of somebody's: it shows what it finds, and gives none of it. It is stopped before the device comes
/// home, since it may take away what it has not seen come.
#[test]
fn what_network_manager_only_shows_comes_back() {
    let script = format!(
        "{NETWORK_MANAGER} ip link set eth1 up; by_hand; network_manager external; says managed=true && goes auto; end TERM; comes; look"
    );
    let expected = "
        10.8.0.5/24 10.8.0.0/24 10.9.0.0/16 10.8.0.9
        10.8.0.5/24 10.8.0.0/24 10.9.0.0/16 10.8.0.9
        ,UP
        10.8.0.5/24 10.8.0.0/24 10.9.0.0/16 10.8.0.9
    ";
    expect(&script, expected);
}

#[test]
fn what_network_manager_does_not_manage_comes_back() {
    let script = format!(
        "{NETWORK_MANAGER} sed -i s/except:// /run/nm.conf; profile; ip link set eth1 up; by_hand; network_manager started; says managed=true || lend auto; look; end TERM"
    );
    let expected = "
        10.8.0.5/24 10.8.0.0/24 10.9.0.0/16 10.8.0.9
        10.8.0.5/24 10.8.0.0/24 10.9.0.0/16 10.8.0.9
        ,UP
        10.8.0.5/24 10.8.0.0/24 10.9.0.0/16 10.8.0.9
    ";
    expect(&script, expected);
}

/// It is up all the same: that is the device's own.
#[test]
fn never_gives_nothing_back() {
    let script = "ip link set eth1 up; by_hand; lend never; look";
    let expected = "
        10.8.0.5/24 10.8.0.0/24 10.9.0.0/16 10.8.0.9
        10.8.0.5/24 10.8.0.0/24 10.9.0.0/16 10.8.0.9
        ,UP
    ";
    expect(script, expected);
}
