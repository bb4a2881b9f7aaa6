//! `netferry carry`, `return`, `list` and `recover` on a host of their own: what they print, how they end, and that a
//! device is at home again as it was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

use serde_json::{Value, json};

/// A device with layer 3, two without, and two containers by name; `$J` is the directory of the journal. `same` says
/// whether everything is as it was at `begin`: the kernel tells links of their carriers, and
/// makes the local route of an IPv6 address, a moment late.
const SETUP: &str = r#"
ip link del uplink0; J=/run/netferry/lent; mkdir -p $J; chmod 700 /run/netferry $J; echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode
ip netns add one; ip netns add two
for pair in eth1:p1 eth2:p2 eth3:p3; do
    ip link add ${pair%:*} numtxqueues 1 numrxqueues 1 type veth peer name ${pair#*:} numtxqueues 1 numrxqueues 1; ip link set ${pair#*:} up
done
ip link set eth1 mtu 1400 alias uplink-to-b up; ip link property add dev eth1 altname enp3s0
ip address add 10.0.0.5/24 dev eth1; ip address add 10.0.0.6/24 label eth1:a dev eth1; ip address add fd00::5/64 nodad dev eth1
ip route add 10.5.0.0/16 via 10.0.0.1 src 10.0.0.6; ip route add default via 10.0.0.1 dev eth1 table 100
ip -6 route add fd05::/64 via fd00::1 metric 9; ip rule add priority 1000 from 10.0.0.5 lookup 100
ip neighbour add 10.0.0.40 lladdr 02:aa:00:00:00:01 nud permanent dev eth1; echo 2 > /proc/sys/net/ipv4/conf/eth1/rp_filter
look() {
    ip -d link; ip -d address; ip -4 -d route show table all; ip -d -6 route show table all | grep -v '^multicast ff00::/8'; ip rule; ip -6 rule
    ip neighbour show nud permanent; find /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf -path '*eth*' -type f | sort | xargs grep -H . 2> /dev/null
    find /run/netferry
}
soon() { for turn in $(seq 600); do "$@" | grep -q . && break; sleep 0.01; done; }
is() { ip link show $1 | grep "state $2"; }
begin() {
    soon is eth1 UP; soon is p1 UP; soon is p2 LOWERLAYERDOWN; soon is p3 LOWERLAYERDOWN; soon ip -6 route show table local fd00::5
    look > /dev/shm/before
}
same() {
    for turn in $(seq 100); do look > /dev/shm/now; cmp -s /dev/shm/before /dev/shm/now && break; sleep 0.05; done
    diff /dev/shm/before /dev/shm/now && echo same
}
owners() { sed 's/4[0-9]\{9\}/NS/g'; }
begin
"#;

/// Runs `script` after [`SETUP`]; it must print `expected`.
fn expect(script: &str, expected: &str) -> host::Ended {
    host::expect(&format!("{SETUP}{script}"), expected)
}

/// Runs `script` after [`SETUP`]; it prints JSON.
fn answer(script: &str) -> Value {
    let ended = host::run(&format!("{SETUP}{script}"));
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn a_device_goes_alone_and_comes_back_with_everything() {
    let script = "
        $NETFERRY carry eth1 --netns one | grep -v 'link '; echo $?; ip -n one -brief address show eth1 | tr -s ' '; ip -n one rule | grep -c 'lookup 100'
        ip -n one link show eth1 | grep -o 'mtu 1400\\|alias eth1\\|altname enp3s0'; ip link show eth1 2>&1 | grep -c 'does not exist'
        $NETFERRY return eth1 | grep 'returned\\|^  address\\|^  rule' | owners; same";
    let expected = "
carried eth1 to /var/run/netns/one as eth1
  altname  dev eth1 altname enp3s0
  kept     3 addresses, 3 routes, 1 rule, 1 neighbour: put back when it comes home
0
eth1@if5 UP
0
mtu 1400
alias eth1
altname enp3s0
1
returned eth1 from cli/NS/eth1
  address    10.0.0.5/24 dev eth1
  address    10.0.0.6/24 label eth1:a dev eth1
  address    fd00::5/64 nodad dev eth1
  rule       priority 1000 from 10.0.0.5/32 lookup 100
same";
    let script = script.replace("tr -s ' ';", "tr -s ' ' | sed 's/@if[0-9]*/@if5/; s/ fe80.*//; s/ $//';");
    expect(&script, expected);
}

#[test]
fn the_network_goes_along_if_asked_for() {
    let script = "
        $NETFERRY plan carry enp3s0 --netns one --name net%d --keep-network > /dev/shm/plan; echo $?; same
        $NETFERRY carry enp3s0 --netns one --name net%d --keep-network > /dev/shm/carried; echo $?
        sed -i '1s/^carried /carry /' /dev/shm/carried; diff /dev/shm/plan /dev/shm/carried && head -1 /dev/shm/plan
        ip -n one address show net0 | grep -o 'inet 10.0.0.6/24 scope global secondary net0:a\\|fd00::5/64'; ip -n one route show 10.5.0.0/16; ip -n one rule | grep -c 'lookup 100'
        ip netns exec one cat /proc/sys/net/ipv4/conf/net0/rp_filter
        ip -n one link set net0 down name other address 02:00:00:00:00:99; $NETFERRY return enp3s0 > /dev/null; echo $?; same; ip -n one rule | grep -c 'lookup 100'
        $NETFERRY carry eth1 --netns one --keep-network --addresses none > /dev/null; ip -n one -4 -brief address show eth1; ip netns exec one cat /proc/sys/net/ipv4/conf/eth1/rp_filter; $NETFERRY return eth1 > /dev/null; same";
    let expected = "0\nsame\n0\ncarry eth1 to /var/run/netns/one as net0\n\
        inet 10.0.0.6/24 scope global secondary net0:a\nfd00::5/64\n10.5.0.0/16 via 10.0.0.1 dev net0 src 10.0.0.6 \n1\n2\n0\nsame\n0\n2\nsame";
    expect(script, expected);
}

#[test]
fn several_go_together_or_not_at_all() {
    let script = "
        $NETFERRY carry eth1 eth2 eth9 --netns one; echo $?; $NETFERRY carry eth1 eth2 --netns one --name x; echo $?; $NETFERRY carry eth1 eth1 --netns one; echo $?; same
        $NETFERRY carry eth2 eth3 --netns one --name x%d | grep carried; ip -n one -brief link | grep -c '^x[01]@'
        $NETFERRY return x1 | owners | grep -v 'link '; same
        $NETFERRY carry eth2 --netns one > /dev/null; $NETFERRY carry eth3 --netns two > /dev/null; $NETFERRY return --all | owners | grep -v 'link '; echo $?; same; $NETFERRY return --all";
    let ended = expect(
        script,
        "1\n1\n1\nsame\ncarried eth2 to /var/run/netns/one as x0\ncarried eth3 to /var/run/netns/one as x1\n2
returned eth2 from cli/NS/eth2
  note  one of 2 that went together, and came home together
returned eth3 from cli/NS/eth2
  note  one of 2 that went together, and came home together
same
returned eth2 from cli/NS/eth2
returned eth3 from cli/NS/eth3
0\nsame\nnothing is lent from this network namespace",
    );
    for words in [
        "netferry: find device eth9: No such device\n",
        "--name x: several devices cannot have one name; use a template, such as net%d",
        "netferry: cannot carry eth1: the device was asked for twice; ask once\n",
    ] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn what_is_lent_is_listed() {
    let script = "
        $NETFERRY list; echo $?; $NETFERRY carry eth1 --netns one --name net0 > /dev/null; $NETFERRY carry eth2 eth3 --netns two --no-pin > /dev/null
        $NETFERRY list | owners | sed 's/ [0-9] s / 0 s /' | tr -s ' '; echo $?; ip netns del one; $NETFERRY list | grep -c orphaned; $NETFERRY list | grep '^eth2 ' | grep -c ' lent '
        echo '{' > $J/broken.json; $NETFERRY list > /dev/shm/list; echo $?; tail -1 /dev/shm/list; rm $J/broken.json
        ip netns exec two $NETFERRY return eth2; echo $?; $NETFERRY recover; $NETFERRY return --all > /dev/null; same; ls $J";
    let expected = "nothing is lent\n0
DEVICE THERE NAMESPACE SINCE STANDING OWNER JOURNAL
eth1 net0 /var/run/netns/one 0 s lent cli/NS/eth1 /run/netferry/lent/cli%2FNS%2Feth1.json
eth2 eth2 /var/run/netns/two 0 s lent cli/NS/eth2 /run/netferry/lent/cli%2FNS%2Feth2.json
eth3 eth3 /var/run/netns/two 0 s lent cli/NS/eth2 /run/netferry/lent/cli%2FNS%2Feth2.json
0\n1\n1\n1\nunreadable: journal /run/netferry/lent/broken.json: EOF
1\nRECOVERED\nsame";
    let script = script
        .replace("tail -1 /dev/shm/list", "tail -1 /dev/shm/list | sed 's/EOF.*/EOF/'")
        .replace("$NETFERRY recover;", "$NETFERRY recover | grep -q 'orphaned  eth1  home' && echo RECOVERED;");
    let ended = expect(&script, expected);
    assert!(ended.stderr.contains("came from another network namespace (net:["), "{}", ended.stderr);
}

#[test]
fn who_shares_a_device_is_listed() {
    let script = r#"
        nsenter --net=/run/netns/one sleep 1000 & there=$!; trap 'kill $there' EXIT
        until [ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.01; done
        mkdir /run/bundle; echo '{"linux":{"namespaces":[{"type":"network"}],"netDevices":{"eth2":{"name":"net1"}}}}' > /run/bundle/config.json
        hook() { printf '{"ociVersion":"1.0.2","id":"%s","status":"%s","pid":%s,"bundle":"/run/bundle"}' $1 $2 $3 | $NETFERRY oci hook; }
        listed() { $NETFERRY list | grep -o 'lent .* /run' | tr -s ' '; $NETFERRY list --json | tr -d '\n ' | grep -o '"holders":\[[^]]*\]\|"owner":"[^"]*"'; }
        hook c1 created $there; listed; hook c2 created $there; hook c3 created $there; listed
        hook c1 stopped 0; hook c2 stopped 0; listed; hook c3 stopped 0; $NETFERRY list; rm -r /run/bundle; same"#;
    let expected = r#"lent oci/c1/eth2 /run\n"owner":"oci/c1/eth2"\n"holders":[]
lent oci/c1/eth2 +oci/c2/eth2 +oci/c3/eth2 /run\n"owner":"oci/c1/eth2"\n"holders":["oci/c2/eth2","oci/c3/eth2"]
lent oci/c1/eth2 +oci/c3/eth2 /run\n"owner":"oci/c1/eth2"\n"holders":["oci/c3/eth2"]
nothing is lent
same"#;
    expect(script, &expected.replace("\\n", "\n"));
}

#[test]
fn json_has_one_shape() {
    let list = answer(
        "$NETFERRY carry eth1 --netns one --name net0 --restore never --keep-network > /dev/null; $NETFERRY list --json",
    );
    let (entry, since) = (&list[0], &list[0]["since"]);
    let (home, away, index) = (&entry["home"]["inode"], &entry["away"]["inode"], &entry["devices"][0]["index"]);
    assert!(home.is_u64() && away.is_u64() && home != away && index.is_u64() && since.is_u64(), "{list:#}");
    let expected = json!([{
        "owner": format!("cli/{home}/eth1"), "holders": [], "standing": "lent", "since": since, "since_time": entry["since_time"],
        "is_from_here": true, "home": { "inode": home }, "netns": "/var/run/netns/one", "away": { "inode": away },
        "pinned": true, "journal": format!("/run/netferry/lent/cli%2F{home}%2Feth1.json"),
        "devices": [{ "home": "eth1", "name": "net0", "index": index, "restores": false, "manager": null }],
    }]);
    assert_eq!(list, expected);
    assert!(entry["since_time"].as_str().unwrap().ends_with('Z'), "{list:#}");

    let carried = answer("$NETFERRY --json carry eth1 --netns one --name net0 --keep-network");
    assert_eq!(carried["devices"][0]["device"]["addresses"].as_array().unwrap().len(), 3);
    for (path, expected) in [
        ("/netns", json!("/var/run/netns/one")),
        ("/devices/0/home", json!("eth1")),
        ("/devices/0/name", json!("net0")),
        ("/devices/0/restores", json!(true)),
        ("/devices/0/device/identity/name", json!("net0")),
        ("/notes", json!([])),
    ] {
        assert_eq!(carried.pointer(path), Some(&expected), "{path} of {carried:#}");
    }

    let planned = answer("$NETFERRY --json plan carry eth1 eth2 --netns one --name lo%d");
    assert_eq!((&planned["devices"][1]["name"], &planned["obstacles"]), (&json!("lo1"), &json!([])));
    let refused = answer("$NETFERRY --json plan carry lo --netns two");
    let kinds = refused["obstacles"].as_array().unwrap().iter().map(|one| (&one["device"], &one["kind"]));
    let expected = [(json!("lo"), json!("name_taken")), (json!("lo"), json!("immutable"))];
    assert_eq!(kinds.collect::<Vec<_>>(), expected.each_ref().map(|(device, kind)| (device, kind)));

    let returned = answer("$NETFERRY carry eth2 --netns one > /dev/null; $NETFERRY return eth2 --json");
    let home = json!([{ "device": "eth2", "home": true, "notes": [] }]);
    assert_eq!(returned[0]["returned"], home);

    let left = "$NETFERRY carry eth2 --netns one > /dev/null; ip netns del one";
    let dry = answer(&format!("{left}; $NETFERRY recover --dry-run --json; $NETFERRY recover > /dev/null"));
    let owner = &dry[0]["owner"];
    assert_eq!(dry, json!([{ "owner": owner, "why": "orphaned", "devices": ["eth2"] }]));
    let done = answer(&format!("{left}; $NETFERRY recover --json"));
    let owner = &done[0]["owner"];
    assert_eq!(done, json!([{ "owner": owner, "why": "orphaned", "devices": ["eth2"], "returned": home }]));
}

#[test]
fn a_name_that_is_taken_is_not_taken_back() {
    let script = "
        $NETFERRY carry eth1 --netns one > /dev/null; ip link add eth1 type bridge
        $NETFERRY return eth1; echo $?; $NETFERRY list | grep -o interrupted; ip -brief link show ferry0 | cut -c-6
        $NETFERRY --json return --all | grep -c '\"error\": .*eth1 is home as ferry0'; $NETFERRY carry eth1 --netns one; echo $?; $NETFERRY carry ferry0 --netns one; echo $?
        ip link del eth1; $NETFERRY return eth1 > /dev/null; echo $?; same
        ip -n one link add eth1 type bridge; $NETFERRY carry eth1 --netns one; echo $?; same; ip -n one -brief link | wc -l";
    let ended = expect(script, "1\ninterrupted\nferry0\n1\n1\n1\n0\nsame\n1\nsame\n2");
    for words in [
        "is not as it was: eth1 is home as ferry0, since",
        "run `netferry recover` first",
        "cannot carry eth1: the name eth1 is taken in the target; choose another",
    ] {
        assert!(ended.stderr.contains(words), "{words} is not in {}", ended.stderr);
    }
}

#[test]
fn what_makes_no_sense_is_said_so() {
    let script = "
        $NETFERRY carry eth9 --netns one; echo $?; $NETFERRY carry eth1 --netns nosuch; echo $?; $NETFERRY carry eth1 --netns one --name a/b; echo $?
        $NETFERRY carry eth1 --netns one --addresses all 2> /dev/null; echo $?; $NETFERRY carry '' --netns one 2> /dev/null; echo $?; $NETFERRY return 2> /dev/null; echo $?
        ip route add default via 10.0.0.1; begin; $NETFERRY carry eth1 --netns one; echo $?; ip route del default
        $NETFERRY carry lo --netns one; echo $?; $NETFERRY carry eth2 --netns one > /dev/null; $NETFERRY carry eth2 --netns two; echo $?; $NETFERRY plan carry eth2 --netns two; echo $?
        $NETFERRY return eth1; echo $?; $NETFERRY return eth2 > /dev/null; $NETFERRY return eth2; echo $?
        setpriv --reuid 65534 --regid 65534 --clear-groups $NETFERRY carry eth1 --netns one; echo $?
        setpriv --reuid 65534 --regid 65534 --clear-groups $NETFERRY --journal /dev/shm/none carry eth1 --netns one; echo $?";
    let ended = expect(script, "1\n1\n1\n2\n2\n2\n1\n1\n1\n1\n1\n1\n1\n1");
    for words in [
        "netferry: find device eth9: No such device",
        "open network namespace ",
        "no device can be named \"a/b\": no name has a '/'; choose another name",
        "this host reaches others through the device (default via 10.0.0.1)",
        "          --allow-uplink allows it",
        "cannot carry lo: the kernel moves no loopback",
        "netferry: eth2 is lent to cli/",
        "netferry: eth1 is not lent; what is lent: eth2 to cli/",
        "netferry: eth2 is not lent; nothing is lent from this network namespace",
        "Permission denied\n          run it as root",
        "Operation not permitted\n          run it as root",
    ] {
        assert!(ended.stderr.contains(words), "{words} is not in {}", ended.stderr);
    }
}

/// A call that was cut off would bring the device home from under the next one.
#[test]
fn a_device_that_the_journal_has_not_let_go_of_is_refused() {
    let script = "
        $NETFERRY carry eth2 eth3 --netns one > /dev/null; sed -i '$d' $J/*eth2.json; $NETFERRY list | grep -c interrupted
        ip -n one link set eth3 netns $$; $NETFERRY carry eth3 --netns two; echo $?; $NETFERRY recover | tr -s ' ' | cut -d' ' -f-3; same
        $NETFERRY carry eth3 --netns two > /dev/null; echo $?; NETFERRY_JOURNAL=/dev/shm/none $NETFERRY list; NETFERRY_JOURNAL=/dev/shm/none $NETFERRY --journal $J return --all > /dev/null; echo $?; same";
    let ended = expect(script, "2\n1\ninterrupted eth2 home\ninterrupted eth3 home\nsame\n0\nnothing is lent\n0\nsame");
    let words = "cannot carry eth3: the journal has it for cli/";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
}
