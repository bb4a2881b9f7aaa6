//! `netferry oci install-hook` and `netferry cdi generate`: the files that they write, and what they refuse; `netferry oci
//! explain`: what it says of a bundle.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod host;

use serde_json::{Value, json};

/// Devices to describe, and a directory.
const SETUP: &str = r#"
for name in eth1 eth2; do ip link add $name type bridge; done; ip link property add dev eth1 altname enp3s0
ip link property add dev eth2 altname a-name-too-long-for-a-device; ip link add a=b type bridge; ip link add e@1 type bridge
mkdir /run/d; cd /run/d
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

/// This program as the files name it.
fn program() -> String {
    std::fs::canonicalize(env!("CARGO_BIN_EXE_netferry")).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_hook_is_installed_whole() {
    let script = r#"
        $NETFERRY oci install-hook --dir hooks.d/new > /run/said; echo $?; head -1 /run/said; tail -n +2 /run/said | cmp - hooks.d/new/00-netferry.json; ls -A hooks.d/new; stat -c %a hooks.d/new/*
        $NETFERRY oci install-hook --print | cmp - hooks.d/new/00-netferry.json; before=$(stat -c %i hooks.d/new/*); $NETFERRY oci install-hook --print --dir hooks.d/new > /dev/null; [ $before = $(stat -c %i hooks.d/new/*) ] && echo untouched
        echo left > hooks.d/new/.00-netferry.json.netferry; $NETFERRY oci install-hook --when annotated --dir hooks.d/new | grep -c '"^dev\\\\.netferry\\\\.": ""'; ls -A hooks.d/new
        mount -t tmpfs tmpfs /etc; $NETFERRY oci install-hook | head -1; ls /etc/containers/oci/hooks.d
        touch file; $NETFERRY oci install-hook --dir file; echo $?; mkdir -p x/00-netferry.json; $NETFERRY oci install-hook --dir x; echo $?; ls -A x; $NETFERRY oci install-hook --when often 2> /dev/null; echo $?
        cp $NETFERRY gone; sh -c 'exec 3< gone; rm gone; exec /proc/self/fd/3 oci install-hook --dir x'; echo $?"#;
    let expected = "0\nwrote hooks.d/new/00-netferry.json\n00-netferry.json\n644\nuntouched\n1\n00-netferry.json\n\
        wrote /etc/containers/oci/hooks.d/00-netferry.json\n00-netferry.json\n1\n1\n00-netferry.json\n2\n1";
    let ended = expect(script, expected);
    for words in [
        "netferry: make file: File exists",
        "netferry: replace x/00-netferry.json: Is a directory",
        "gone (deleted), where this program is no more; start the one that is installed",
    ] {
        assert!(ended.stderr.contains(words), "{words} is not in {}", ended.stderr);
    }
}

#[test]
fn the_hook_for_programs() {
    let hook = json!({ "path": program(), "args": ["netferry", "oci", "hook"] });
    let file = json!({ "version": "1.0.0", "hook": hook, "when": { "always": true }, "stages": ["createRuntime", "poststop"] });
    let expected = json!({ "path": "h/00-netferry.json", "written": true, "file": file });
    assert_eq!(answer("$NETFERRY --json oci install-hook --dir h"), expected);
    let printed = answer("$NETFERRY --json oci install-hook --dir h --print; [ -e h ] && echo there");
    assert_eq!(printed, json!({ "path": "h/00-netferry.json", "written": false, "file": file }));
    let journal = answer("$NETFERRY --journal j oci install-hook --print");
    assert_eq!(journal["hook"]["env"], json!(["NETFERRY_JOURNAL=/run/d/j"]));
}

#[test]
fn a_hook_that_is_told_is_for_some_containers() {
    let file = answer(
        "$NETFERRY oci install-hook --print --device eth1=net0 --device eth2 --annotation org.example/lent --annotation a=b.c",
    );
    assert_eq!(file["hook"]["args"], json!(["netferry", "oci", "hook", "--device=eth1=net0", "--device=eth2"]));
    assert_eq!(file["when"], json!({ "annotations": { r"^org\.example/lent$": "", "^a$": r"^b\.c$" } }));
    let file = answer("$NETFERRY oci install-hook --print --device eth1");
    assert_eq!(file["when"], json!({ "annotations": { r"^dev\.netferry\.": "" } }));
    let script = "
        $NETFERRY oci install-hook --dir h --device eth1 --file 01-lent.json | head -1; ls h
        install() { $NETFERRY oci install-hook --dir h \"$@\"; echo $?; }
        install --device eth1 --when always; install --device eth1=a/b; install --device =a; install --annotation =b
        install --file ../x.json; install --file x; install --annotation a --when annotated; ls h";
    let ended = expect(script, "wrote h/01-lent.json\n01-lent.json\n1\n1\n2\n2\n2\n2\n2\n01-lent.json");
    for words in [
        "netferry: --when always: every container would ask for the devices; choose some by --annotation",
        "netferry: --device: no device is named \"a/b\"",
        "invalid value '=a' for '--device <DEVICE>': it names no device",
        "invalid value '=b' for '--annotation <KEY[=VALUE]>': it has no key",
        "invalid value '../x.json' for '--file <NAME>': it must be a name that ends in .json",
    ] {
        assert!(ended.stderr.contains(words), "{words} is not in {}", ended.stderr);
    }
}

#[test]
fn every_device_by_its_name_and_all_of_them() {
    let generated = answer("$NETFERRY cdi generate --device enp3s0 --device eth2 --as net%d");
    assert_eq!((&generated["cdiVersion"], &generated["kind"]), (&json!("0.5.0"), &json!("netferry.dev/net")));
    let devices = generated["devices"].as_array().unwrap();
    let names: Vec<&str> = devices.iter().map(|device| device["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["enp3s0", "eth2", "all"]);
    let hook = |stage: &str, devices: &[&str]| {
        let args = [&["netferry", "oci", "hook"], devices].concat();
        json!({ "hookName": stage, "path": program(), "args": args })
    };
    for (at, arguments) in
        [&["--device=enp3s0=net%d"][..], &["--device=eth2=net%d"], &["--device=enp3s0=net%d", "--device=eth2=net%d"]]
            .iter()
            .enumerate()
    {
        let hooks = json!({ "hooks": [hook("createRuntime", arguments), hook("poststop", arguments)] });
        assert_eq!(devices[at]["containerEdits"], hooks);
    }
    let generated = answer("$NETFERRY cdi generate --device eth1 --form devices --as net0 --kind example.org/nic");
    let net_devices = json!([{ "hostInterfaceName": "eth1", "name": "net0" }]);
    assert_eq!(
        generated,
        json!({ "cdiVersion": "1.1.0", "kind": "example.org/nic",
            "devices": [{ "name": "eth1", "containerEdits": { "netDevices": net_devices } }] })
    );
    let generated = answer("NETFERRY_JOURNAL=/j $NETFERRY --json cdi generate --device eth1 --form both");
    let edits = &generated["devices"][0]["containerEdits"];
    assert_eq!(edits["netDevices"], json!([{ "hostInterfaceName": "eth1", "name": "eth1" }]));
    assert_eq!(edits["hooks"][1]["env"], json!(["NETFERRY_JOURNAL=/j"]));
}

#[test]
fn a_file_for_the_engine() {
    let script = r#"
        $NETFERRY cdi generate --device eth1 --output cdi/netferry.json; echo $?; stat -c %a cdi/netferry.json; ls -A cdi
        $NETFERRY cdi generate --device eth1 | cmp - cdi/netferry.json && echo same; $NETFERRY cdi generate --device eth2 --output cdi/netferry.json --json; grep -c eth2 cdi/netferry.json
        cp cdi/netferry.json old; $NETFERRY cdi generate --device eth9 --output cdi/netferry.json; echo $?; cmp old cdi/netferry.json; $NETFERRY cdi generate --device eth1 --output /; echo $?"#;
    let expected =
        "wrote cdi/netferry.json\n0\n644\nnetferry.json\nsame\n{\n    \"path\": \"cdi/netferry.json\"\n}\n3\n1\n1";
    let ended = expect(script, expected);
    for words in ["netferry: find device eth9: No such device\n", "netferry: write /: it has no name; name a file\n"] {
        assert!(ended.stderr.contains(words), "{words} is not in {}", ended.stderr);
    }
}

#[test]
fn what_no_engine_would_take_is_refused() {
    let script = r#"
        refused() { $NETFERRY cdi generate "$@"; echo $?; }
        refused --device eth1 --device eth9; refused --device eth1 --device eth2 --as net0; refused --device eth1 --device enp3s0; refused --device eth1 --device eth1
        refused --device e@1; refused --device a=b; refused --device eth1 --kind nic; refused --device eth1 --as 'a b'
        refused --device eth1 --device eth2 --as net%d --form both; refused --device a-name-too-long-for-a-device --form devices
        refused 2> /dev/null; refused --device '' 2> /dev/null"#;
    let ended = expect(script, &["1"; 10].into_iter().chain(["2"; 2]).collect::<Vec<_>>().join("\n"));
    for words in [
        "netferry: find device eth9: No such device",
        "netferry: --as net0: several devices cannot have one name; use a template, such as net%d",
        "netferry: --device enp3s0: it is the same device as eth1; name it once",
        "netferry: --device eth1: it is the same device as eth1; name it once",
        "netferry: device \"e@1\": it has only letters and digits of ASCII, _, -, . and :; choose another name",
        "a=b has a =, which the hook cannot be told",
        "netferry: kind \"nic\": it must be a vendor, a / and a class; netferry.dev/net is ours",
        "no device can be named \"a b\"",
        "netferry: device \"all\": net%d is there twice, which engines refuse; ask for it once",
        "a-name-too-long-for-a-device is too long for a name in the container; give it one",
    ] {
        assert!(ended.stderr.contains(words), "{words} is not in {}", ended.stderr);
    }
}

#[test]
fn a_bundle_is_explained_and_nothing_is_changed() {
    let script = r#"
        ip link add d0 address 02:00:00:00:00:07 numtxqueues 1 numrxqueues 1 type veth peer name p0; ip address add 10.0.0.5/24 dev d0; ip link set d0 up
        ip address add 10.0.0.6/24 valid_lft 1000 preferred_lft 900 dev d0; ip link add d1 type veth peer name p1; ip link set d1 master eth2; ip netns add pod
        explain() { echo "{\"linux\":{\"namespaces\":[{\"type\":\"network\"${2-}}],\"netDevices\":$1}${3-}}" > config.json; $NETFERRY oci explain .; echo $?; }
        settle
        explain '{}'; explain '{"d0":{"name":"net%d"}}'; explain '{"d0":{}}' ',"path":"/run/netns/pod"' | head -1; explain '{"d0":{"name":"d1"},"d1":{"name":"d0"}}' | grep -c obstacle
        explain '{"d0":{"name":"a b"}}' '' ',"annotations":{"dev.netferry.x":""}'; explain '{"d0":{}}' ',"path":"/proc/self/ns/net"'; explain '{"d9":{}}'
        rm config.json; $NETFERRY oci explain .; echo $?; unchanged"#;
    let expected = "
config.json has no linux.netDevices: there is nothing to carry\n0
carry d0 to the container's own namespace as net0
  link     dev net0 address 02:00:00:00:00:07 mtu 1500 txqueuelen 1000 alias d0
  link     dev net0 up
  address  10.0.0.5/24 dev net0
  note     d0: 1 of 2 addresses do not go along\n0
carry d0 to /run/netns/pod as d0\n1
obstacle  linux.netDevices.d0.name: no device can be named \"a b\": no name has the byte 0x20; choose another name
obstacle  annotation dev.netferry.x: there is no such key; there are dev.netferry.carry, dev.netferry.carry.DEVICE, dev.netferry.restore, dev.netferry.restore.DEVICE, dev.netferry.addresses, dev.netferry.allow-uplink\n1
obstacle  linux.namespaces: the network namespace /proc/self/ns/net is the one that the devices are in already; give the container another, or remove linux.netDevices\n1
1\n1\nunchanged";
    let ended = expect(script, expected);
    for words in ["netferry: find device d9: No such device", "netferry: ./config.json: No such file or directory"] {
        assert!(ended.stderr.contains(words), "{words} is not in {}", ended.stderr);
    }
    let explain = |devices: &str| {
        let config = format!(r#"{{"linux":{{"namespaces":[{{"type":"network"}}],"netDevices":{devices}}}}}"#);
        answer(&format!("echo '{config}' > config.json; $NETFERRY --json oci explain ."))
    };
    let nothing = json!({ "devices": [], "problems": [], "obstacles": [], "notes": [] });
    assert_eq!(explain("{}"), nothing);
    assert_eq!(explain(r#"{"eth1":{"name":""}}"#)["problems"][0]["kind"], "empty_name");
    let bridge = explain(r#"{"eth1":{"name":"net0"}}"#);
    assert_eq!((&bridge["devices"][0]["name"], &bridge["obstacles"][0]["device"]), (&json!("net0"), &json!("eth1")));
}
