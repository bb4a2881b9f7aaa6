//! `netferry run` with the built-in network and others, on hosts of its own: what the command sees, how it ends, and
//! that nothing is left, whatever ends it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

#[test]
fn the_command_has_lo_and_eth0_with_both_families_and_nothing_is_left() {
    let ended = host::run("settle; $NETFERRY run -- ip -brief address; unchanged");
    let mut lines = ended.stdout.lines();
    let lo = lines.next().unwrap_or_default();
    let eth0 = lines.next().unwrap_or_default();
    assert!(lo.starts_with("lo ") && lo.contains("127.0.0.1/8 ::1/128"), "{ended:?}");
    let state = eth0.contains(" UP ") || eth0.contains(" UNKNOWN ");
    assert!(eth0.starts_with("eth0@") && state && eth0.contains("10.209.0.2/16 fd"), "{ended:?}");
    assert_eq!(lines.next(), Some("unchanged"), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

#[test]
fn the_gateway_answers_in_both_families() {
    let ping = "for family in 4 6; do ping -$family -c1 -W2 $(ip -$family route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p') | grep -o '1 received'; done";
    host::expect(&format!("$NETFERRY run -- sh -c \"{}\"", ping.replace('$', "\\$")), "1 received\n1 received");
}

#[test]
fn exit_codes_are_the_commands() {
    let script = "
        settle
        for words in true false 'exit 7' 'kill -9 $$' 'kill -TERM $$'; do $NETFERRY run -- sh -c \"$words\"; echo $?; done
        $NETFERRY run -- no-such-command; echo $?
        $NETFERRY run -- /etc/passwd; echo $?
        $NETFERRY run --network missing -- true; echo $?
        $NETFERRY run; echo $?
        unchanged";
    let ended = host::expect(script, "0\n1\n7\n137\n143\n127\n126\n125\n2\nunchanged");
    assert!(ended.stderr.contains("netferry: no-such-command: No such file or directory"), "{}", ended.stderr);
}

#[test]
fn the_command_keeps_directory_environment_arguments_and_terminal() {
    host::expect("cd /usr; A=b $NETFERRY run sh -c 'pwd; echo $A $1 $2' x --json -y", "/usr\nb --json -y");
    host::expect("$NETFERRY run -- cat < /proc/sys/kernel/ostype", "Linux");
    host::expect(
        "script -qec \"$NETFERRY run -- sh -c 'test -t 0 && test -t 1 && echo terminal'\" /dev/null < /dev/null | tr -d '\\r'",
        "terminal",
    );
}

#[test]
fn signals_reach_the_command_and_the_network_goes_after_it() {
    let script = "
        settle
        start() { rm -f /run/ready; $NETFERRY run -- sh -c \"$1\" & until [ -e /run/ready ]; do sleep 0.02; done; rm /run/ready; }
        for signal in TERM INT HUP USR1; do
            # A shell starts background jobs with INT ignored, which a trap cannot undo; env can.
            start \"exec env --default-signal=INT sh -c 'trap \\\"exit 5\\\" $signal; touch /run/ready; while :; do sleep 0.02; done'\"
            kill -$signal $!; wait $!; echo $signal $?
        done
        start 'touch /run/ready; exec sleep 100'; kill -TERM $!; wait $!; echo $?
        unchanged";
    host::expect(script, "TERM 5\nINT 5\nHUP 5\nUSR1 5\n143\nunchanged");
}

#[test]
fn processes_that_the_command_leaves_behind_end_with_their_network() {
    let script = "
        $NETFERRY run -- sh -c 'setsid sleep 98761 & setsid sh -c \"sleep 98761 & sleep 98761\" & sleep 0.1'
        grep -lzx '9876[1]' /proc/[0-9]*/cmdline 2> /dev/null | wc -l";
    host::expect(script, "0");
}

#[test]
fn the_next_run_cleans_up_after_one_that_was_killed() {
    let script = "
        settle
        $NETFERRY run -- sh -c 'touch /run/ready; exec sleep 98762' & until [ -e /run/ready ]; do sleep 0.02; done; rm /run/ready
        kill -KILL $!; wait $!; echo $?
        sleep 0.1; grep -lzx '9876[2]' /proc/[0-9]*/cmdline 2> /dev/null | wc -l
        ip -brief link show netferry0 | cut -c-9
        $NETFERRY run -- true; echo $?
        unchanged";
    host::expect(script, "137\n0\nnetferry0\n0\nunchanged");
}

/// A plugin that stops netferry itself on ADD, as often as the file `kill` says.
const KILLER: &str = r#"
cat > /run/bin/killer <<'END'
#!/bin/sh
cat > /run/input
[ $CNI_COMMAND = VERSION ] && echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}'
if [ $CNI_COMMAND = ADD ]; then
    [ -e /run/kill ] && { rm /run/kill; kill -KILL $PPID; }
    result=$(sed -n 's/.*"prevResult":\(.*\)}$/\1/p' /run/input); [ "$result" ] || result='{"cniVersion":"1.0.0"}'
    echo "$result"
fi
exit 0
END
chmod +x /run/bin/killer
"#;
const BRIDGE: &str = r#"{"type":"bridge","bridge":"br7","isGateway":true,"ipMasq":true,"removeWhenEmpty":true,"ipam":{"type":"host-local","dataDir":"/run/store","ranges":[[{"subnet":"10.7.0.0/24"}],[{"subnet":"fd07::/64"}]]}}"#;

#[test]
fn a_run_that_is_killed_while_it_joins_is_cleaned_up_at_every_step() {
    for plugins in [format!(r#"{{"type":"killer"}},{BRIDGE}"#), format!(r#"{BRIDGE},{{"type":"killer"}}"#)] {
        let script = format!(
            "{KILLER}
            echo '{{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"plugins\":[{plugins}]}}' > /run/conf/net.conflist
            $NETFERRY run -- true; rm -rf /run/input; settle
            touch /run/kill; $NETFERRY run -- true; echo $?; rm -f /run/input
            $NETFERRY run -- true; echo $?; rm -f /run/input
            sed -i '/last_reserved/d' /dev/shm/$$.before; find /run/store -name 'last_reserved*' -delete
            unchanged"
        );
        host::expect(&script, "137\n0\nunchanged");
    }
}

/// The plugin itself is killed with its run; what it has started, as Go's plugins start iptables, is not.
#[test]
fn what_a_plugin_started_is_ended_before_its_work_is_undone() {
    let script = format!(
        "{KILLER}
        sed -i 's/kill -KILL $PPID;/sh -c \\\"sleep 0.1; touch \\/run\\/alone; sleep 0.5; touch \\/run\\/late\\\" \\& kill -KILL $PPID; sleep 9;/' /run/bin/killer
        echo '{{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"plugins\":[{{\"type\":\"killer\"}}]}}' > /run/conf/net.conflist
        touch /run/kill; $NETFERRY run -- true; echo $?; until [ -e /run/alone ]; do sleep 0.02; done
        $NETFERRY run -- true; echo $?; sleep 0.7; ls /run/late 2>&1 | grep -c 'No such'"
    );
    host::expect(&script, "137\n0\n1");
}

#[test]
fn runs_at_the_same_time_share_the_network_and_the_last_one_removes_it() {
    let script = "
        settle
        $NETFERRY run -- sh -c 'touch /run/ready; until [ -e /run/done ]; do sleep 0.02; done; ping -c1 -W2 10.209.0.1 | grep -o \"1 received\"' &
        first=$!; until [ -e /run/ready ]; do sleep 0.02; done
        $NETFERRY run -- sh -c 'ip -4 -brief address show eth0 | grep -o 10.209.0.3; ping -c1 -W2 10.209.0.2 | grep -o \"1 received\"'
        touch /run/done; wait $first; rm /run/ready /run/done
        unchanged";
    host::expect(script, "10.209.0.3\n1 received\n1 received\nunchanged");
}

#[test]
fn many_runs_at_once_all_succeed_and_leave_nothing() {
    let script = "
        settle
        pids=; for n in 1 2 3 4 5 6 7 8; do $NETFERRY run -- ping -c1 -W2 10.209.0.1 > /dev/null & pids=\"$pids $!\"; done
        for pid in $pids; do wait $pid; printf $?; done; echo
        unchanged";
    host::expect(script, "00000000\nunchanged");
}

#[test]
fn several_networks_become_eth0_and_eth1() {
    let script = format!(
        "
        echo '{{\"cniVersion\":\"1.0.0\",\"name\":\"one\",\"plugins\":[{BRIDGE}]}}' > /run/conf/one.conflist
        sed 's/one/two/; s/br7/br8/; s/10.7/10.8/; s/fd07/fd08/' /run/conf/one.conflist > /run/conf/two.conflist
        $NETFERRY run --network two --network one -- ip -4 -brief address | sed 's/@[^ ]*//' | tr -s ' '
        $NETFERRY run -- ip -4 -brief address show eth0 | grep -o 10.7.0
        $NETFERRY run --network one --network missing -- true; echo $?
        ls -d /run/netferry 2>&1 | grep -c 'No such'"
    );
    host::expect(&script, "lo UNKNOWN 127.0.0.1/8 \neth0 UP 10.8.0.2/24 \neth1 UP 10.7.0.2/24 \n10.7.0\n125\n1");
}

#[test]
fn a_broken_file_before_the_default_network_is_said_once() {
    let script = format!(
        "
        echo '{{' > /run/conf/05-broken.conflist; echo '{{\"cniVersion\":\"1.0.0\",\"name\":\"one\",\"plugins\":[{BRIDGE}]}}' > /run/conf/10-one.conflist
        $NETFERRY run -- ip -4 -brief address show eth0 | grep -o 10.7.0"
    );
    let ended = host::expect(&script, "10.7.0");
    let warnings: Vec<&str> = ended.stderr.lines().collect();
    assert!(
        matches!(warnings[..], [one] if one.starts_with("netferry: warning: /run/conf/05-broken.conflist: ")),
        "{warnings:?}"
    );
}

#[test]
fn a_prefix_of_the_host_is_not_taken() {
    let script = "
        ip address add 10.209.1.1/24 dev uplink0; ip route add 10.210.0.0/15 via 198.51.100.1
        $NETFERRY run -- ip -4 -brief address show eth0 | grep -o 10.212.0.2/16";
    host::expect(script, "10.212.0.2/16");
}

#[test]
fn without_root_the_same_happens_on_a_host_of_its_own() {
    let script = "
        # Build directories of root may be closed to others.
        install -m 755 $NETFERRY /run/bin/netferry
        settle; mount -t tmpfs tmpfs /tmp; chmod 1777 /tmp
        nobody='setpriv --reuid 65534 --regid 65534 --clear-groups env -u XDG_RUNTIME_DIR /run/bin/netferry'
        $nobody run -- sh -c 'ip -brief address show eth0 | grep -c \"10.209.0.2/16 fd\"; ping -c1 -W2 10.209.0.1 | grep -o \"1 received\"; exit 3'; echo $?
        $nobody run -- sh -c 'touch /tmp/ready; exec sleep 100' & until [ -e /tmp/ready ]; do sleep 0.02; done; rm /tmp/ready
        kill -KILL $!; wait $!; echo $?; ls /tmp/netferry-65534/netferry-rootless
        $nobody run -- true; echo $?
        find /tmp -mindepth 2
        unchanged";
    let ended =
        host::expect(script, "1\n1 received\n3\n137\naddresses\nforwarding.json\nnetwork.conflist\nrun\n0\nunchanged");
    assert!(ended.stderr.contains("netferry: no uplink: "), "{}", ended.stderr);
}

/// Echo servers on a port in the namespace, for TCP and UDP, which answer with the address that they see.
const SERVERS: &str = r#"
cat > /run/serve <<'END'
import socket, sys, threading
def tcp(family, address, port):
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6: server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port)); server.listen()
    while True:
        client, peer = server.accept(); client.sendall(peer[0].encode()); client.close()
def udp(family, address, port):
    server = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6: server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port))
    while True:
        _, peer = server.recvfrom(100); server.sendto(peer[0].encode(), peer)
for family, address in (socket.AF_INET, ""), (socket.AF_INET6, "::"):
    for serve in tcp, udp:
        threading.Thread(target=serve, args=(family, address, int(sys.argv[1])), daemon=True).start()
open("/run/ready", "w").close()
threading.Event().wait()
END
cat > /run/ask <<'END'
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
try:
    client = socket.socket(socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET, kind)
    client.settimeout(2); client.connect((sys.argv[2], int(sys.argv[3]))); client.send(b"x")
    print(client.recv(100).decode())
except OSError as error:
    print(type(error).__name__)
END
"#;

/// Through the node from elsewhere, from the node itself, and from the command to its own published port.
#[test]
fn published_ports_carry_traffic() {
    let script = format!(
        "{SERVERS}
        export CNI_PATH=/usr/lib/cni
        ip netns add far; ip link add far0 master uplink0 up type veth peer name eth0 netns far
        for address in 198.51.100.9/24 '2001:db8::9/64 nodad'; do ip -n far address add $address dev eth0; done
        ip -n far link set eth0 up; ip netns exec far sh -c 'until ping -c1 -W1 198.51.100.2 && ping -c1 -W1 2001:db8::2; do :; done' > /dev/null
        $NETFERRY run -p 8080:80 -p 5353:80/udp -- sh -c 'python3 /run/serve 80 & until [ -e /run/done ]; do
            if [ -e /run/turn ]; then rm /run/turn; python3 /run/ask tcp 198.51.100.2 8080; python3 /run/ask udp 198.51.100.2 5353; python3 /run/ask tcp 2001:db8::2 8080; touch /run/turned; fi; sleep 0.02; done' &
        run=$!; until [ -e /run/ready ]; do sleep 0.02; done
        for address in 198.51.100.2 2001:db8::2; do
            for place in 'ip netns exec far' ''; do
                echo \"$place $address $($place python3 /run/ask tcp $address 8080) $($place python3 /run/ask udp $address 5353)\"
            done
        done
        echo \"other ports $(ip netns exec far python3 /run/ask tcp 198.51.100.2 5353) $(ip netns exec far python3 /run/ask udp 198.51.100.2 8080)\"
        echo \"loopback $(python3 /run/ask tcp 127.0.0.1 8080) $(python3 /run/ask udp 127.0.0.1 5353) $(python3 /run/ask tcp ::1 8080)\"
        touch /run/turn; until [ -e /run/turned ]; do sleep 0.02; done
        touch /run/done; wait $run"
    );
    let expected = "\
ip netns exec far 198.51.100.2 198.51.100.9 198.51.100.9
 198.51.100.2 198.51.100.2 198.51.100.2
ip netns exec far 2001:db8::2 2001:db8::9 2001:db8::9
 2001:db8::2 2001:db8::2 2001:db8::2
other ports ConnectionRefusedError ConnectionRefusedError
loopback 10.209.0.1 10.209.0.1 TimeoutError
10.209.0.1
10.209.0.1
";
    let ended = host::run(&script);
    // The command sees the node's address on its own network, of which the IPv6 half is chosen at random.
    let own = ended.stdout.strip_prefix(expected).unwrap_or_else(|| panic!("{}\n{}", ended.stdout, ended.stderr));
    assert!(own.starts_with("fd") && own.ends_with("::1\n"), "{own}");
}

#[test]
fn ports_are_published_by_portmap_or_refused_before_any_change() {
    let refused = host::expect("settle; $NETFERRY run -p 8080:80 -- true; echo $?; unchanged", "125\nunchanged");
    assert!(refused.stderr.contains("there is no plugin \"portmap\" in the plugin path"), "{}", refused.stderr);
    let script = "
        export CNI_PATH=/usr/lib/cni
        $NETFERRY run -p 8080:80 -p 5353:53/udp -- nsenter --net=/proc/$$/ns/net iptables-save -t nat | grep -o 'dport [0-9]* -j DNAT.*' | sort
        $NETFERRY run -p 80 -- true; echo $?
        echo '{\"cniVersion\":\"1.0.0\",\"name\":\"l\",\"plugins\":[{\"type\":\"loopback\"}]}' > /run/conf/l.conflist
        $NETFERRY run -p 8080:80 --network l -- true; echo $?";
    let ended = host::expect(
        script,
        "dport 5353 -j DNAT --to-destination 10.209.0.2:53\ndport 8080 -j DNAT --to-destination 10.209.0.2:80\n2\n125",
    );
    assert!(ended.stderr.contains("ports cannot be published on network \"l\""), "{}", ended.stderr);
}
