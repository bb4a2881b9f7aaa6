//! The subcommands that take NETWORK and NETNS, and `cnitool`, with our plugins and with Debian's Go plugins.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

/// A bridge, and two containers by name.
const SETUP: &str = r#"
echo '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge","bridge":"br7","isGateway":true,"ipMasq":true,"removeWhenEmpty":true,"ipam":{"type":"host-local","dataDir":"/run/store","ranges":[[{"subnet":"10.7.0.0/24"}],[{"subnet":"fd07::/64"}]]}}]}' > /run/conf/net.conflist
ip netns add one; ip netns add two
results() { ls /var/lib/cni/results; }
"#;

/// Runs `script` after [`SETUP`]; it must print `expected`.
fn expect(script: &str, expected: &str) -> host::Ended {
    host::expect(&format!("{SETUP}{script}"), expected)
}

#[test]
fn add_check_and_del_with_our_own_plugins() {
    let script = "
        $NETFERRY add net one; $NETFERRY del net one; rm -r /run/store/net/last* /run/store/net/.* 2> /dev/null; settle
        $NETFERRY add net one > /run/shown; echo $?; cut -d' ' -f1 /run/shown | sort | uniq -c | tr -s ' '; grep -c 'address *eth0 *10.7.0' /run/shown; rm /run/shown
        results | sed s/cnitool-.*-/ID-/; ls -d /run/netferry 2>&1 | grep -c 'No such'
        $NETFERRY check net one; echo $?
        ip netns exec one ip link set eth0 down; ip netns exec one ip address flush dev eth0; $NETFERRY check net one 2> /dev/null; echo $?
        $NETFERRY add net one; echo $?
        rm /run/conf/net.conflist; $NETFERRY del net /var/run/netns/one; echo $?
        results | wc -l";
    let expected = "0\n 2 address\n 3 interface\n1\nnet-ID-eth0\n1\n0\n1\n1\n0\n0";
    let script = script.replacen(
        "$NETFERRY add net one; $NETFERRY del net one; rm -r",
        "$NETFERRY add net one > /dev/null; $NETFERRY del net one; rm -r",
        1,
    );
    let ended = expect(&script, expected);
    assert!(ended.stderr.contains("has joined network \"net\" as eth0 already; DEL it first"), "{}", ended.stderr);
}

#[test]
fn json_is_for_programs() {
    let ended = host::run(&format!(
        "{SETUP} $NETFERRY --json add net one -i net7 --container-id c7; $NETFERRY del net one -i net7 --container-id c7; results | wc -l"
    ));
    let (json, rest) = ended.stdout.rsplit_once('}').unwrap();
    let result: serde_json::Value = serde_json::from_str(&format!("{json}}}")).unwrap();
    assert_eq!((result["cniVersion"].as_str(), result["ips"].as_array().map(Vec::len)), (Some("1.0.0"), Some(2)));
    assert_eq!(rest.trim(), "0");
    let ended = host::run("$NETFERRY add --json missing one; echo $?");
    let (json, rest) = ended.stdout.rsplit_once('}').unwrap();
    let error: serde_json::Value = serde_json::from_str(&format!("{json}}}")).unwrap();
    assert_eq!(
        (error["code"].as_u64(), error["msg"].as_str()),
        (Some(7), Some("no net configurations found in /run/conf"))
    );
    assert_eq!(rest.trim(), "1");
    assert!(ended.stderr.contains("name another directory with --conf-dir"), "{}", ended.stderr);
}

#[test]
fn an_add_that_is_killed_is_found_by_add_del_and_gc() {
    let script = r#"
        printf '#!/bin/sh\n[ $CNI_COMMAND = VERSION ] && { cat > /dev/null; echo %s; exit; }\nsed -n %s\n[ $CNI_COMMAND = ADD ] && [ -e /run/kill ] && kill -KILL $PPID\nexit 0\n' "'{\"cniVersion\":\"1.0.0\",\"supportedVersions\":[\"1.0.0\"]}'" "'s/.*\"prevResult\":\(.*\)}$/\1/p'" > /run/bin/killer; chmod +x /run/bin/killer
        sed -i 's/]}$/,{"type":"killer"}]}/' /run/conf/net.conflist
        $NETFERRY add net one > /dev/null; $NETFERRY del net one; settle
        for undo in 'del net one' 'gc net'; do
            touch /run/kill; $NETFERRY add net one; echo $?; rm /run/kill
            results | wc -l; ip -brief link show br7 | cut -c-3
            [ "$undo" = 'gc net' ] && ip netns del one
            $NETFERRY $undo; echo $?; results | wc -l; ip -brief link show br7 2>&1 | grep -c 'does not exist'
        done
        nft list ruleset | grep -c 10.7.0; ls /run/store/net | grep -c '10\.7\|fd07'"#;
    let expected = "137\n1\nbr7\n0\n0\n1\n137\n1\nbr7\nnetwork net: kept 0, everything else is removed\n0\n0\n1\n0\n0";
    expect(script, expected);
}

#[test]
fn gc_keeps_what_lives() {
    let script = "
        $NETFERRY add net one > /dev/null; $NETFERRY add net two > /dev/null
        ip netns del one; $NETFERRY gc net; results | wc -l
        ip netns exec two ping -c1 -W2 10.7.0.1 | grep -o '1 received'
        ip netns del two; $NETFERRY gc net; results | wc -l; ip link show br7 2>&1 | grep -c 'does not exist'";
    let line = |count| format!("network net: kept {count}, everything else is removed");
    expect(script, &format!("{}\n1\n1 received\n{}\n0\n1", line(1), line(0)));
}

#[test]
fn status_says_what_is_missing() {
    let script = "
        $NETFERRY status net; echo $?
        echo '{\"cniVersion\":\"1.1.0\",\"name\":\"other\",\"plugins\":[{\"type\":\"nosuch\"}]}' > /run/conf/other.conflist
        $NETFERRY status other; echo $?; $NETFERRY status; echo $?";
    let ended = expect(script, "network net (CNI 1.0.0) can be joined\n0\n1\n2");
    assert!(ended.stderr.contains("netferry: failed to find plugin \"nosuch\" in path [/run/bin"), "{}", ended.stderr);
    assert!(ended.stderr.contains("name its directory with --plugin-path"), "{}", ended.stderr);
}

#[test]
fn plan_shows_what_add_would_do_and_changes_nothing() {
    let script = "
        settle; $NETFERRY plan net one > /dev/shm/plan.$$; echo $?; unchanged
        for word in br7 10.7.0 fd07: masq; do grep -q $word /dev/shm/plan.$$ && echo $word; done; rm /dev/shm/plan.$$
        CNI_PATH=/usr/lib/cni $NETFERRY plan net one";
    let foreign = "bridge\n  cannot tell: it does not know the verb PLAN, which is netferry's own";
    let ended = host::run(&format!("{SETUP}{script}"));
    assert!(ended.stdout.starts_with("0\nunchanged\nbr7\n10.7.0\nfd07:\nmasq\n"), "{ended:?}");
    assert!(ended.stdout.contains(foreign), "{ended:?}");
}

#[test]
fn cnitool_is_cnitool() {
    let script = r#"
        ln -s $NETFERRY /run/cnitool; export CNI_PATH=/usr/lib/cni
        sed -i 's/"ipMasq":true,"removeWhenEmpty":true,//' /run/conf/net.conflist
        cd /var/run/netns
        /run/cnitool add net one > /run/result; echo $?; tail -c1 /run/result; echo; grep -c '^    "cniVersion": "1.0.0"' /run/result
        results; /run/cnitool check net /var/run/netns/one; echo $?; /run/cnitool status net one; echo $?
        CNI_IFNAME=ignored /run/cnitool --ifname eth7 add net /var/run/netns/../netns/one ignored > /dev/null; results | grep -c eth7
        CNI_IFNAME=eth7 /run/cnitool del net one; echo $?; $NETFERRY del net one; echo $?; results | wc -l
        CAP_ARGS='[' CNI_ARGS=x /run/cnitool add missing one; echo $?
        CAP_ARGS='[' CNI_ARGS=x /run/cnitool add net one; echo $?
        CNI_ARGS='A=b;x' /run/cnitool add net one; echo $?
        CNI_PATH= /run/cnitool add net one; echo $?
        CNI_IFNAME=much-too-long-name /run/cnitool add net one; echo $?
        /run/cnitool nosuch net one; echo $?; /run/cnitool add net; echo $?; /run/cnitool --help | head -1"#;
    let expected = "0\n}\n1\nnet-cnitool-07e8ff6d95ff13d4b2d8-eth0\n0\n0\n1\n0\n0\n0\n1\n1\n1\n1\n1\n1\n1\ncnitool: Add, check, or remove network interfaces from a network namespace";
    let id = "07e8ff6d95ff13d4b2d8";
    let hash = host::run("printf /var/run/netns/one | sha512sum | cut -c-20").stdout;
    let ended = expect(script, &expected.replace(id, hash.trim()));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines[0], "no net configuration with name \"missing\" in /run/conf");
    assert!(lines[1].starts_with("capability arguments: "), "{lines:?}");
    assert_eq!(lines[2], "invalid CNI_ARGS pair \"x\"");
    assert_eq!(lines[3], "plugin type=\"bridge\" failed (add): no paths provided");
    assert!(lines[4].contains("interface name is too long"), "{lines:?}");
}

/// A plugin that writes down what it is given and answers with a result.
const RECORDER: &str = r#"
cat > /run/bin/recorder <<'END'
#!/bin/sh
env | grep ^CNI_ | sort > /run/$CNI_COMMAND.env; cat > /run/$CNI_COMMAND.stdin
[ $CNI_COMMAND = ADD ] && echo '{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.2/24"}]}'
exit 0
END
chmod +x /run/bin/recorder; ln -s $NETFERRY /run/cnitool; mkdir /run/other
echo '{"cniVersion":"1.1.0","name":"rec","plugins":[{"type":"recorder","capabilities":{"mac":true,"ips":true,"bandwidth":false}}]}' > /run/other/rec.conflist
ID=cnitool-$(printf /var/run/netns/one | sha512sum | cut -c-20)
"#;

#[test]
fn cnitool_hands_everything_to_the_plugin() {
    let script = format!(
        r#"{RECORDER}
        export NETCONFPATH=/run/other CNI_PATH=/nowhere:/run/bin CNI_ARGS='IgnoreUnknown=1;K8S_POD_NAME=pod' CNI_IFNAME=net5
        export CAP_ARGS='{{"mac":"02:00:00:00:00:05","bandwidth":{{"ingressRate":1}},"unknown":9007199254740993}}'
        /run/cnitool add rec /var/run/netns/one > /run/out 2> /run/err; echo $? $(wc -c < /run/err); cat /run/out; echo; sed s/$ID/ID/ /run/ADD.env; cat /run/ADD.stdin; echo
        for verb in check del status gc; do rm -f /run/*.env; /run/cnitool $verb rec /var/run/netns/one; echo $verb $? $(cd /run; echo *.env); done
        grep -c '^CNI_CONTAINERID=$\|^CNI_NETNS=$\|^CNI_IFNAME=$\|^CNI_ARGS=$' /run/GC.env; sed 's/.*"cni.dev/valid/' /run/GC.stdin; echo; cat /run/STATUS.stdin; echo
        grep -o '"prevResult":{{"cniVersion":"1.1.0","ips"' /run/DEL.stdin"#
    );
    let stdin = r#"{"type":"recorder","capabilities":{"mac":true,"ips":true,"bandwidth":false},"name":"rec","cniVersion":"1.1.0"}"#;
    let expected = format!(
        r#"0 0
{{
    "cniVersion": "1.1.0",
    "ips": [
        {{
            "address": "10.0.0.2/24"
        }}
    ]
}}
CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=pod
CNI_COMMAND=ADD
CNI_CONTAINERID=ID
CNI_IFNAME=net5
CNI_NETNS=/var/run/netns/one
CNI_PATH=/nowhere:/run/bin
{{"type":"recorder","capabilities":{{"mac":true,"ips":true,"bandwidth":false}},"name":"rec","cniVersion":"1.1.0","runtimeConfig":{{"mac":"02:00:00:00:00:05"}}}}
check 0 CHECK.env
del 0 DEL.env
status 0 STATUS.env
gc 0 GC.env
4
{stdin}
{stdin}
"prevResult":{{"cniVersion":"1.1.0","ips""#
    );
    expect(&script, &expected);
}

#[test]
fn cnitool_uses_up_its_arguments_as_the_reference_does() {
    let script = format!(
        r#"{RECORDER}
        export NETCONFPATH=/run/other CNI_PATH=/run/bin; cd /var/run/netns
        for words in '' add 'add rec' 'gc rec' 'status rec'; do /run/cnitool $words > /run/out 2> /run/err; echo "$? $(wc -c < /run/out) $(grep -c '<net> <netns>' /run/err)"; done
        /run/cnitool add rec ../netns//one x y > /dev/null; echo $?; grep -c "^CNI_CONTAINERID=$ID$" /run/ADD.env; grep ^CNI_NETNS /run/ADD.env
        CNI_IFNAME= /run/cnitool del rec one; echo $?; grep CNI_IFNAME /run/DEL.env
        CNI_ARGS= CAP_ARGS= /run/cnitool del rec one; echo $?; grep ^CNI_ARGS /run/DEL.env
        for args in 'A=b;' 'A=b=c' '=b' 'A='; do CNI_ARGS=$args /run/cnitool del rec one; echo $?; done
        for args in '[]' '"x"' '{{'; do CAP_ARGS=$args /run/cnitool del rec one; echo $?; done
        NETCONFPATH=/run/none /run/cnitool add rec one; echo $?; /run/cnitool add nosuch one; echo $?"#
    );
    let expected = "1 0 5\n1 0 5\n1 0 5\n1 0 5\n1 0 5\n0\n1\nCNI_NETNS=/var/run/netns/one\n0\nCNI_IFNAME=eth0\n0\nCNI_ARGS=\n1\n1\n1\n1\n1\n1\n1\n1\n1";
    let ended = expect(&script, expected);
    let said: Vec<&str> = ended.stderr.lines().collect();
    let pairs = ["", "A=b=c", "=b", "A="].map(|pair| format!("invalid CNI_ARGS pair {pair:?}"));
    assert_eq!(said[..4], pairs);
    assert!(said[4..7].iter().all(|line| line.starts_with("capability arguments: ")), "{said:?}");
    assert_eq!(
        said[7..],
        ["no net configurations found in /run/none", "no net configuration with name \"nosuch\" in /run/other"]
    );
}

/// Nobody is left who would undo what a plugin still does: it is killed with whoever runs it, and its delegate with it.
#[test]
fn plugins_are_killed_with_an_add_that_is_killed() {
    let script = r#"
        cat > /run/bin/slow <<'END'
#!/bin/sh
[ $CNI_COMMAND = ADD ] && { echo $$ $PPID > /run/new; mv /run/new /run/pids; for turn in $(seq 600); do sleep 0.1; done; touch /run/late; }
exit 0
END
        chmod +x /run/bin/slow; lives() { grep -q '^State:.[^ZX]' /proc/$1/status 2> /dev/null; }
        sed -i 's/"ipam":{[^}]*}[^}]*}[^}]*}/"ipam":{"type":"slow"}/' /run/conf/net.conflist
        for signal in KILL TERM INT; do
            for limit in '' '--timeout 50'; do
                # A shell starts background jobs with INT ignored; env can undo that.
                env --default-signal=INT $NETFERRY $limit add net one & until [ -e /run/pids ]; do sleep 0.02; done
                kill -$signal $!; wait $! 2> /dev/null; echo $?
                for pid in $(cat /run/pids); do for turn in 1 2 3 4 5 6 7 8 9; do lives $pid && sleep 0.02; done; lives $pid && echo alive; done
                rm /run/pids; $NETFERRY del net one; echo $? $(results) $(ip -brief link show br7 2> /dev/null)
            done
        done; ls /run/late 2>&1 | grep -c 'No such'"#;
    expect(script, "137\n0\n137\n0\n143\n0\n143\n0\n130\n0\n130\n0\n1");
}

#[test]
fn cnitool_gc_has_no_list_and_deletes_all() {
    let script = "
        ln -s $NETFERRY /run/cnitool; export CNI_PATH=/usr/lib/cni
        /run/cnitool add net /var/run/netns/one > /dev/null; /run/cnitool add net /var/run/netns/two > /dev/null; results | wc -l
        /run/cnitool gc net x; echo $?; results | wc -l; ip netns exec one ip -brief link show eth0 2>&1 | grep -c 'does not exist'";
    expect(script, "2\n0\n0\n1");
}

#[test]
fn a_plugin_name_makes_netferry_that_plugin() {
    host::expect(
        "ln -s $NETFERRY /run/bridge; CNI_COMMAND=VERSION /run/bridge | grep -o '\"1.1.0\"' | head -1",
        "\"1.1.0\"",
    );
}

#[test]
fn show_reads_a_device_by_any_of_its_names_and_changes_nothing() {
    let script = "
        ip link add eth1 type veth peer name other; ip link property add dev eth1 altname enp3s0; ip link set eth1 up
        ip address add 10.0.0.5/24 dev eth1; ip address add 169.254.9.9/32 scope link dev eth1; settle
        for name in eth1 enp3s0; do $NETFERRY show $name | grep -c '^eth1$\\|altname *dev eth1 altname enp3s0\\|10.0.0.5/24'; done
        $NETFERRY show eth1 --link-scope | grep -c 169.254.9.9; $NETFERRY show eth1 | grep -c 169.254.9.9
        $NETFERRY show eth1 --addresses none --link-scope | grep -c 10.0.0.5; $NETFERRY show --addresses most eth1; echo $?
        $NETFERRY --json show enp3s0 | grep -o '\"local\": .*'; unchanged
        $NETFERRY show eth9; echo $?; $NETFERRY --json show eth9 | grep -o 'find device .*'";
    let expected = "3\n3\n1\n0\n0\n2\n\"local\": \"10.0.0.5/24\"\nunchanged\n1\nfind device eth9: No such device\"";
    let ended = expect(script, expected);
    assert!(ended.stderr.contains("netferry: find device eth9: No such device"), "{}", ended.stderr);
}

#[test]
fn plan_carry_shows_what_would_be_there_and_what_is_in_the_way() {
    let script = "
        ip link add eth1 type veth peer name other; ip link set eth1 up; ip address add 10.0.0.5/24 label eth1:a dev eth1
        ip rule add priority 1000 iif eth1 lookup 100; ip -n one link add eth0 type bridge; ip -n one link add eth1 type bridge; settle
        $NETFERRY plan carry eth1 --netns one --keep-network --name net%d > /run/out; echo $? >> /run/out; grep -v 'mtu\\|sysctl' /run/out; $NETFERRY plan carry eth1 --netns one > /run/out; echo $?; rm /run/out
        $NETFERRY --json plan carry eth1 --netns /run/netns/one --name eth0 > /dev/shm/plan.$$; echo $?
        grep -c '\"kind\": \"name_taken\"\\|\"by\": \"eth0\"\\|\"name\": \"eth0\"\\|\"netns\": \"/run/netns/one\"' /dev/shm/plan.$$; rm /dev/shm/plan.$$
        $NETFERRY plan carry --json eth1 --netns one --keep-network --addresses none | grep -c '10.0.0.5'
        ip route add default via 10.0.0.1 dev eth1; settle
        $NETFERRY plan carry eth1 --netns one --name x > /dev/null; echo $?; $NETFERRY plan carry eth1 --netns one --name x --allow-uplink > /dev/null; echo $?
        $NETFERRY plan carry eth1 --netns /proc/self/ns/net --allow-uplink | grep obstacle; unchanged
        $NETFERRY plan carry eth9 --netns one; echo $?; $NETFERRY plan carry eth1 --netns nosuch; echo $?; $NETFERRY plan carry eth1 2> /dev/null; echo $?";
    let lines = "
carry eth1 to /var/run/netns/one as net0
  link     dev net0 up
  address  10.0.0.5/24 label net0:a dev net0
  rule     priority 1000 from all iif net0 lookup 100
0
1
1
6
0
1
0
  obstacle  the target is the namespace that the device is in; choose another
";
    let ended = host::run(&format!("{SETUP}{script}"));
    assert_eq!(ended.stdout.trim(), format!("{}\nunchanged\n1\n1\n2", lines.trim()), "{}", ended.stderr);
    assert!(ended.stderr.contains("netferry: find device eth9: No such device"), "{}", ended.stderr);
    assert!(ended.stderr.contains("open network namespace"), "{}", ended.stderr);
}

/// `carry` is a word of the command line only in front of `--`.
#[test]
fn a_network_and_a_namespace_may_be_named_carry() {
    let script = r#"
        sed 's/"name":"net"/"name":"carry"/' /run/conf/net.conflist > /run/conf/z.conflist; ip netns add carry
        $NETFERRY plan -- carry one | grep -c 10.7.0.2/24; $NETFERRY plan --ifname net7 -- net carry | grep -c 'address *10.7.0.2/24 .*dev net7'
        $NETFERRY add carry carry > /dev/null; echo $?; $NETFERRY check carry carry; echo $?; $NETFERRY del carry carry; echo $?
        $NETFERRY plan net one carry uplink0 --netns one; echo $?; $NETFERRY plan help one; echo $?; $NETFERRY plan net; echo $?; $NETFERRY plan; echo $?"#;
    let ended = expect(script, "1\n1\n0\n0\n0\n1\n1\n2\n2");
    assert!(ended.stderr.contains("a network or namespace named carry stands behind --"), "{}", ended.stderr);
}
