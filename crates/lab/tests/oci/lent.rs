//! netferry in front of, or hooked into, each runtime: the container has the device with all that the specification gives it,
//! whatever the runtime, and the device is home again afterwards, whatever became of the container.

use super::stage::{LOOK, THERE, is_as_before, netferry, stage, wrapped};
use super::{at_home, task};
use lab::{Bundle, Kind, Node, Runtime, Snapshot, Task};
use serde_json::{Value, json};

with_each_runtime!(
    by_a_hook_that_is_told,
    by_a_hook_and_config_json,
    by_the_wrapper,
    everything_comes_back,
    home_after_the_end_of_init,
    all_or_none,
    a_pod,
    two_of_one_name,
    names_of_every_kind,
    a_call_that_was_cut_off_is_done_again,
    a_hook_for_each_device,
    a_hook_behind_ours_fails,
    carried_ahead,
    carried_ahead_but_for_a_user_namespace,
    sysctls_of_a_device_by_the_hook_alone,
    a_runtime_gives_up,
    a_container_that_is_there_keeps_its_device,
    a_device_is_not_brought_home_if_nobody_wants_it
);

/// Our hook, which is told of these devices.
fn hooks(devices: &[&str]) -> Value {
    let mut args = ["netferry", "oci", "hook"].map(str::to_owned).to_vec();
    args.extend(devices.iter().map(|device| format!("--device={device}")));
    let entry = json!({"path": netferry(), "args": args});
    json!({"createRuntime": [entry], "poststop": [entry]})
}

/// The same devices as `linux.netDevices`.
fn net_devices(devices: &[&str]) -> Value {
    let entry = |device: &&str| match device.split_once('=') {
        Some((host, name)) => (host.to_owned(), json!({"name": name})),
        None => ((*device).to_owned(), json!({})),
    };
    Value::Object(devices.iter().map(entry).collect())
}

/// What was said when a hook failed: runc passes it on, crun only where an annotation sends it.
fn said(output: &lab::Output, task: &Task) -> String {
    output.stderr.clone() + &task.bundle().read("hook.err").unwrap_or_default()
}

fn with_hooks_words(config: &mut Value) {
    config["annotations"]["run.oci.hooks.stderr"] = Bundle::directory("c1").join("hook.err").to_string_lossy().into();
}

fn annotated(config: &mut Value, key: &str, value: &str) {
    config["annotations"][format!("dev.netferry.{key}")] = value.into();
}

/// The node is as it was, but for what is left of the containers' own.
fn judge(node: &Node, before: &Snapshot) {
    judge_but_for(node, before, &[]);
}

/// The same, but for what has one of these in its path too.
fn judge_but_for(node: &Node, before: &Snapshot, besides: &[&str]) {
    is_as_before(node, before, &[&["/run/bundle-", "/run/netferry-runc"], besides].concat());
}

/// The container has what the specification gives it, and comes and goes with the device home at the end.
fn has_it_all(node: &Node, task: &Task) {
    task.create().unwrap().success().unwrap();
    assert_eq!(task.inside(["sh", "-c", LOOK]).unwrap().stdout, THERE);
    let ways = "ip route show 192.0.2.0/24; ip rule show table 100; ip neighbour show nud permanent";
    assert_eq!(task.inside(["sh", "-c", ways]).unwrap().stdout, "");
    task.start().unwrap().success().unwrap();
    assert_eq!(at_home(node, "ip link show d0 2>&1 || true"), "Device \"d0\" does not exist.\n");
    task.delete(true).unwrap().success().unwrap();
}

/// As CDI does it: nothing is in `linux.netDevices`, so that no runtime moves the device before us.
fn by_a_hook_that_is_told(runtime: &Runtime) {
    let (node, before) = stage();
    let task = task(&node, runtime, |config| {
        config["hooks"] = hooks(&["d0=eth9"]);
        annotated(config, "restore", "all");
    });
    has_it_all(&node, &task);
    judge(&node, &before);
}

/// A runtime that knows the field has moved the device by then, in its own way; it comes home all the same. youki would look for
/// it behind the hook, which does not take it away.
fn by_a_hook_and_config_json(runtime: &Runtime) {
    let (node, before) = stage();
    let task = task(&node, runtime, |config| {
        config["linux"]["netDevices"] = json!({"d0": {"name": "eth9"}});
        config["hooks"] = hooks(&[]);
        annotated(config, "restore", "all");
    });
    if !runtime.knows_net_devices {
        has_it_all(&node, &task);
        return judge(&node, &before);
    }
    if runtime.kind == Kind::Youki {
        let refused = task.create().unwrap();
        let expected = "linux.netDevices.d0: youki moves the device itself, behind this hook";
        assert!(!refused.status.success() && refused.stderr.contains(expected), "{}", refused.describe());
        return judge(&node, &before);
    }
    task.create().unwrap().success().unwrap();
    task.start().unwrap().success().unwrap();
    assert!(at_home(&node, "cat /run/netferry/lent/*.json").contains("carried"));
    task.delete(true).unwrap().success().unwrap();
    let there = at_home(&node, "ip -d link show d0; ip address show dev d0");
    for part in ["mtu 1400", ",UP", "alias uplink", "altname enp-d0", "qlen 77", "inet 10.1.0.5/24"] {
        assert!(there.contains(part), "{part} is not in\n{there}");
    }
    assert_eq!(at_home(&node, "ls -A /run/netferry/lent"), "");
}

fn by_the_wrapper(runtime: &Runtime) {
    let (node, before) = stage();
    let task = task(&node, &wrapped(&node, runtime), |config| {
        config["linux"]["netDevices"] = json!({"d0": {"name": "eth9"}});
        annotated(config, "restore", "all");
    });
    has_it_all(&node, &task);
    judge(&node, &before);
}

/// Without a word about it, the name and the addresses come back; routes, rules and neighbours if they are asked for.
fn everything_comes_back(runtime: &Runtime) {
    let (node, before) = stage();
    for all in [false, true] {
        let task = task(&node, runtime, |config| {
            config["hooks"] = hooks(&["enp-d0=eth9"]);
            if all {
                annotated(config, "restore", "all");
                annotated(config, "carry.enp-d0", "all");
            }
        });
        task.create().unwrap().success().unwrap();
        let ways = task.inside(["sh", "-c", "ip route; ip rule; ip neighbour show nud permanent"]).unwrap();
        assert_eq!(ways.stdout.contains("192.0.2.0/24 via 10.1.0.1 dev eth9"), all, "{}", ways.stdout);
        assert_eq!(ways.stdout.contains("10.1.0.40 dev eth9"), all, "{}", ways.stdout);
        task.delete(true).unwrap().success().unwrap();
        drop(task);
        if all {
            judge(&node, &before);
        } else {
            let there = at_home(&node, "ip address show dev d0; ip route show dev d0; ip neighbour show nud permanent");
            assert!(there.contains("10.1.0.5/24") && there.contains("fd01::6/64"), "{there}");
            assert!(!there.contains("192.0.2.0") && !there.contains("10.1.0.40"), "{there}");
            let again = "ip route add 192.0.2.0/24 via 10.1.0.1; ip route add default via 10.1.0.1 table 100
                ip neighbour add 10.1.0.40 lladdr 02:aa:00:00:00:01 nud permanent dev d0";
            at_home(&node, again);
        }
    }
}

/// The namespace would go with its last process, and the device with the namespace; the pin keeps both until `delete`, or
/// until `recover` where nobody deletes.
fn home_after_the_end_of_init(runtime: &Runtime) {
    for deleted in [true, false] {
        let (node, before) = stage();
        let task = task(&node, runtime, |config| {
            config["hooks"] = hooks(&["d0=eth9"]);
            annotated(config, "restore", "all");
        });
        task.create().unwrap().success().unwrap();
        task.start().unwrap().success().unwrap();
        task.kill("KILL").unwrap().success().unwrap();
        task.stopped().unwrap();
        if deleted {
            task.delete(false).unwrap().success().unwrap();
        } else {
            at_home(&node, &format!("{} recover", netferry()));
        }
        at_home(&node, "ip link show d0");
        drop(task);
        judge(&node, &before);
    }
}

/// Nothing has moved if one device cannot, and the message says which and why.
fn all_or_none(runtime: &Runtime) {
    let (node, _) = stage();
    at_home(
        &node,
        "ip link add d1 type veth peer name p1; ip link add br7 type bridge; ip link add d2 type veth peer name p2
        ip link set d2 master br7; ip link add d3 type veth peer name p3; ip link set p3 up; ip link set d3 up
        ip route add default dev d3",
    );
    let before = node.snapshot().unwrap();
    let wrapped = wrapped(&node, runtime);
    let six_off = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6";
    for (devices, inside, expected) in [
        (&["d1", "nope", "d0"][..], "true", "linux.netDevices.nope: there is no such device on this host"),
        (&["d1", "br7", "d0"], "true", "cannot carry br7: the kernel moves no bridge to another namespace"),
        (&["d1", "d2=x", "d0"], "true", "cannot carry d2: the device is a port of br7"),
        (&["d1", "d0=lo"], "true", "cannot carry d0: the name lo is taken in the target"),
        (&["d1", "d0=enp-d0"], "true", "cannot carry d0: the device has enp-d0 as an alternative name"),
        (&["d1=x", "d0=x"], "true", "d0, d1 would all be named x"),
        (&["d1", "d0=a b"], "true", "linux.netDevices.d0.name: no device can be named \"a b\""),
        (&["d1", "d0=eth%d%d"], "true", "no device can be named \"eth%d%d\""),
        (
            &["d1", "d0"],
            "ip link add taken type veth peer name x; ip link property add dev taken altname enp-d0",
            "enp-d0 goes along, and taken has it",
        ),
        (&["d1", "d0", "d3"], "true", "cannot carry d3: this host reaches others through the device (default)"),
        (&["d1", "d0"], six_off, "IPv6 is disabled in the target"),
    ] {
        // The namespace is there before, so that a script may prepare it.
        at_home(&node, &format!("ip netns add pod; ip netns exec pod sh -ec '{inside}'"));
        for by_wrapper in [false, true] {
            let runtime = if by_wrapper { &wrapped } else { runtime };
            let task = task(&node, runtime, |config| {
                config["linux"]["namespaces"][4]["path"] = "/run/netns/pod".into();
                if by_wrapper {
                    config["linux"]["netDevices"] = net_devices(devices);
                } else {
                    config["hooks"] = hooks(devices);
                    with_hooks_words(config);
                }
            });
            let config = task.bundle().read("config.json").unwrap();
            let output = task.create().unwrap();
            let said = if by_wrapper { output.stderr.clone() } else { said(&output, &task) };
            let says = said.replace("\\\"", "\"").contains(expected);
            assert!(!output.status.success() && says, "{expected}: {said}");
            assert_eq!(task.bundle().read("config.json").unwrap(), config);
        }
        at_home(&node, "ip netns del pod");
        judge(&node, &before);
    }
    for (network, expected) in [
        (json!({"type": "network", "path": "/proc/self/ns/net"}), "is the one that the devices are in already"),
        (json!({"type": "cgroup"}), ""),
    ] {
        let task = task(&node, runtime, |config| {
            config["linux"]["namespaces"][4] = network;
            config["hooks"] = hooks(&["d0"]);
            with_hooks_words(config);
        });
        let output = task.create().unwrap();
        let said = said(&output, &task);
        assert!(!output.status.success() && said.contains(expected), "{expected}: {said}");
        drop(task);
        judge(&node, &before);
    }
}

/// Two containers of one namespace name one device: it is there for both, for a restarted one too, and comes home with the
/// last.
fn a_pod(runtime: &Runtime) {
    let (node, before) = stage();
    at_home(&node, "ip netns add pod");
    let member = |id: &str, device: &str| {
        let bundle = Bundle::new(&node, id, |config| {
            config["linux"]["namespaces"][4]["path"] = "/run/netns/pod".into();
            config["hooks"] = hooks(&[device]);
            annotated(config, "restore", "all");
            config["annotations"]["run.oci.hooks.stderr"] =
                Bundle::directory(id).join("hook.err").to_string_lossy().into();
        });
        runtime.task(bundle.unwrap())
    };
    let inside = |script: &str| at_home(&node, &format!("ip netns exec pod sh -ec '{script}'"));
    let (one, two, other) = (member("c1", "d0=eth9"), member("c2", "enp-d0"), member("c3", "d0=eth8"));
    one.create().unwrap().success().unwrap();
    two.create().unwrap().success().unwrap();
    let refused = other.create().unwrap();
    let expected =
        "linux.netDevices.d0.name: another container of this network namespace has the device as eth9, and not as eth8";
    let said = said(&refused, &other);
    assert!(!refused.status.success() && said.contains(expected), "{said}");
    one.delete(true).unwrap().success().unwrap();
    assert!(inside("ip address show dev eth9").contains("10.1.0.5/24"));
    // The first is gone, and another counts on the device.
    assert_eq!(
        at_home(&node, &format!("{} list --json | grep -o '\"standing\": \"[a-z]*\"'", netferry())),
        "\"standing\": \"lent\"\n"
    );
    at_home(&node, &format!("{} recover", netferry()));
    inside("ip link show eth9");
    one.create().unwrap().success().unwrap();
    two.delete(true).unwrap().success().unwrap();
    inside("ip link show eth9");
    one.delete(true).unwrap().success().unwrap();
    drop((one, two, other));
    at_home(&node, "ip link show d0; ip netns del pod");
    judge(&node, &before);
}

/// Runtimes with a place of their own for their state each have names of their own: neither container takes the other's device.
fn two_of_one_name(runtime: &Runtime) {
    let (node, _) = stage();
    at_home(&node, "ip link add d1 type veth peer name p1");
    let before = node.snapshot().unwrap();
    let with = |id: &str, device: &str| {
        let bundle = Bundle::new(&node, id, |config| {
            config["hooks"] = hooks(&[device]);
            annotated(config, "restore", "all");
        });
        runtime.task(bundle.unwrap())
    };
    let (one, other) = (with("c1", "d0=eth9"), with("c2", "d1=eth8"));
    // The state is in the bundle.
    let as_one = |words: &[&str]| other.invocation(words).run(node.namespaces()).unwrap().success().unwrap();
    one.create().unwrap().success().unwrap();
    as_one(&["create", "--bundle", &other.bundle().path().to_string_lossy(), "c1"]);
    one.inside(["ip", "link", "show", "eth9"]).unwrap();
    let state: Value = serde_json::from_str(&as_one(&["state", "c1"]).stdout).unwrap();
    at_home(&node, &format!("nsenter --net=/proc/{}/ns/net ip link show eth8", state["pid"]));
    as_one(&["delete", "--force", "c1"]);
    at_home(&node, "ip link show d1");
    one.inside(["ip", "link", "show", "eth9"]).unwrap();
    one.delete(true).unwrap().success().unwrap();
    drop((one, other));
    judge(&node, &before);
}

/// A template is completed by what is free, two devices may swap their names, and one keeps its own: by both ways, in a
/// namespace where a name is taken already, and all of it comes home.
fn names_of_every_kind(runtime: &Runtime) {
    let (node, _) = stage();
    at_home(&node, "for n in 1 2 3; do ip link add d$n type veth peer name p$n; done");
    let before = node.snapshot().unwrap();
    let wrapped = wrapped(&node, runtime);
    let devices = ["d0=eth%d", "d1=d2", "d2=d1", "d3"];
    for by_wrapper in [false, true] {
        at_home(&node, "ip netns add pod; ip -n pod link add eth0 type veth peer name eth2");
        let task = task(&node, if by_wrapper { &wrapped } else { runtime }, |config| {
            config["linux"]["namespaces"][4]["path"] = "/run/netns/pod".into();
            if by_wrapper {
                config["linux"]["netDevices"] = net_devices(&devices);
            } else {
                config["hooks"] = hooks(&devices);
            }
            annotated(config, "restore", "all");
        });
        task.create().unwrap().success().unwrap();
        let links = "for n in eth1 d1 d2 d3; do cat /sys/class/net/$n/ifalias 2>/dev/null || ip link show $n | sed -n 's/.*alias //p'; done";
        let there = at_home(&node, &format!("ip netns exec pod sh -ec '{}'", links.replace('\'', "'\\''")));
        assert_eq!(there, "d0\nd2\nd1\nd3\n");
        task.delete(true).unwrap().success().unwrap();
        drop(task);
        at_home(&node, "ip netns del pod");
        judge(&node, &before);
    }
}

/// A hook that was killed on its way, and is called again: the device is not taken for one that the runtime has moved.
fn a_call_that_was_cut_off_is_done_again(runtime: &Runtime) {
    let (node, before) = stage();
    let task = task(&node, runtime, |config| {
        config["hooks"] = hooks(&["d0=eth9"]);
        annotated(config, "restore", "all");
    });
    task.create().unwrap().success().unwrap();
    // As it was before the addresses were there, and the mark behind them.
    task.inside(["ip", "address", "flush", "dev", "eth9"]).unwrap();
    at_home(&node, r#"sed -i '/^"carried"$/d' /run/netferry/lent/*.json"#);
    let state = json!({"ociVersion": "1.0.2", "id": "c1", "status": "created", "pid": task.pid().unwrap(),
        "bundle": Bundle::directory("c1")});
    at_home(&node, &format!("echo '{state}' | {} oci hook --device=d0=eth9", netferry()));
    assert_eq!(task.inside(["sh", "-c", LOOK]).unwrap().stdout, THERE);
    task.delete(true).unwrap().success().unwrap();
    drop(task);
    judge(&node, &before);
}

/// As an engine does it for two CDI devices: each call has its own, and neither takes away what the other has brought.
fn a_hook_for_each_device(runtime: &Runtime) {
    let (node, _) = stage();
    at_home(&node, "ip link add d1 type veth peer name p1");
    let before = node.snapshot().unwrap();
    for _ in 0..2 {
        let task = task(&node, runtime, |config| {
            let (one, two) = (hooks(&["d0=eth9"]), hooks(&["d1"]));
            let both = |stage: &str| json!([one[stage][0], two[stage][0]]);
            config["hooks"] = json!({"createRuntime": both("createRuntime"), "poststop": both("poststop")});
            annotated(config, "restore", "all");
        });
        task.create().unwrap().success().unwrap();
        task.inside(["sh", "-ec", "ip link show eth9; ip link show d1"]).unwrap();
        task.delete(true).unwrap().success().unwrap();
        drop(task);
        judge(&node, &before);
    }
}

/// runc then calls the hooks of the end, crun never does: what is left behind comes home when it is asked for again, or by
/// `recover`.
fn a_hook_behind_ours_fails(runtime: &Runtime) {
    for by_recover in [true, false] {
        let (node, before) = stage();
        let failing = |config: &mut Value| {
            config["hooks"] = hooks(&["d0=eth9"]);
            let ours = config["hooks"]["createRuntime"][0].clone();
            config["hooks"]["createRuntime"] = json!([ours, {"path": "/bin/false"}]);
            annotated(config, "restore", "all");
        };
        let first = task(&node, runtime, failing);
        assert!(!first.create().unwrap().status.success());
        drop(first);
        if by_recover {
            at_home(&node, &format!("{} recover", netferry()));
        } else {
            let next = task(&node, runtime, |config| {
                config["hooks"] = hooks(&["d0=eth9"]);
                annotated(config, "restore", "all");
            });
            next.create().unwrap().success().unwrap();
            next.inside(["ip", "link", "show", "eth9"]).unwrap();
            next.delete(true).unwrap().success().unwrap();
        }
        judge(&node, &before);
    }
}

/// The namespace is there before the container, and is to it as one that the runtime has made: `lo` is up, sysctls of the network
/// can be set, and no file says anything of it afterwards. The namespace of a pod stays what it is.
fn carried_ahead(runtime: &Runtime) {
    let (node, before) = stage();
    let wrapped = wrapped(&node, runtime);
    at_home(&node, "ip netns add pod");
    for pod in [false, true] {
        let task = task(&node, &wrapped, |config| {
            config["linux"]["netDevices"] = json!({"d0": {"name": "eth9"}});
            config["linux"]["sysctl"] = json!({"net.ipv4.conf.eth9.arp_ignore": "1", "net.ipv4.ip_default_ttl": "33"});
            annotated(config, "restore", "all");
            if pod {
                config["linux"]["namespaces"][4]["path"] = "/run/netns/pod".into();
            }
        });
        task.create().unwrap().success().unwrap();
        let network: Value = serde_json::from_str(&task.bundle().read("config.json").unwrap()).unwrap();
        let expected =
            if pod { json!({"type": "network", "path": "/run/netns/pod"}) } else { json!({"type": "network"}) };
        assert_eq!(network["linux"]["namespaces"][4], expected);
        // By somebody who did not know the container's process, and then did.
        let journal = at_home(&node, "cat /run/netferry/lent/*.json");
        let path = if pod { "/run/netns/pod".to_owned() } else { format!("/proc/{}/ns/net", task.pid().unwrap()) };
        assert!(
            journal.contains(&format!(r#"{{"claimed":{{"bundle":"/run/bundle-c1","netns":"{path}"}}}}"#)),
            "{journal}"
        );
        let listed: Value = serde_json::from_str(&at_home(&node, &format!("{} list --json", netferry()))).unwrap();
        assert!(listed.to_string().contains(&format!(r#""netns":"{path}""#)), "{listed}");
        assert_eq!(task.inside(["sh", "-c", LOOK]).unwrap().stdout, THERE);
        let sysctls =
            "cd /proc/sys/net/ipv4; cat conf/eth9/arp_ignore ip_default_ttl; ip -o link show lo | grep -c ,UP || true";
        let there = task.inside(["sh", "-c", sysctls]).unwrap().stdout;
        assert_eq!(there, if pod { "1\n33\n0\n" } else { "1\n33\n1\n" });
        task.start().unwrap().success().unwrap();
        task.delete(true).unwrap().success().unwrap();
        at_home(&node, "ip link show d0");
    }
    at_home(&node, "ip netns del pod");
    judge(&node, &before);
}

/// It is to own its network namespace, and is not there yet: the hook carries.
fn carried_ahead_but_for_a_user_namespace(runtime: &Runtime) {
    let (node, before) = stage();
    let task = task(&node, &wrapped(&node, runtime), |config| {
        config["linux"]["netDevices"] = json!({"d0": {"name": "eth9"}});
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        let mappings = json!([{"containerID": 0, "hostID": 0, "size": 4_294_967_295_u32}]);
        (config["linux"]["uidMappings"], config["linux"]["gidMappings"]) = (mappings.clone(), mappings);
        annotated(config, "restore", "all");
    });
    task.create().unwrap().success().unwrap();
    let journal = at_home(&node, "cat /run/netferry/lent/*.json");
    assert!(journal.contains("carried") && !journal.contains("claimed"), "{journal}");
    assert_eq!(task.inside(["sh", "-c", LOOK]).unwrap().stdout, THERE);
    task.delete(true).unwrap().success().unwrap();
    drop(task);
    judge(&node, &before);
}

/// crun sets them before it calls a hook, and finds none of the device's; the others set them afterwards.
fn sysctls_of_a_device_by_the_hook_alone(runtime: &Runtime) {
    let (node, before) = stage();
    let task = task(&node, runtime, |config| {
        config["hooks"] = hooks(&["d0=eth9"]);
        config["linux"]["sysctl"] = json!({"net.ipv4.conf.eth9.arp_ignore": "1"});
        annotated(config, "restore", "all");
    });
    let created = task.create().unwrap();
    if runtime.kind == Kind::Crun {
        assert!(!created.status.success() && created.stderr.contains("eth9/arp_ignore"), "{}", created.describe());
    } else {
        created.success().unwrap();
        assert_eq!(task.inside(["cat", "/proc/sys/net/ipv4/conf/eth9/arp_ignore"]).unwrap().stdout, "1\n");
        task.delete(true).unwrap().success().unwrap();
    }
    drop(task);
    judge(&node, &before);
}

/// The container is refused behind our hook, of which crun calls none of the end then: netferry in front of it brings the
/// device home before the call returns, whether it has put the hook in then or before, and tells the caller what the runtime
/// has told it.
fn a_runtime_gives_up(runtime: &Runtime) {
    let (node, before) = stage();
    let wrapped = wrapped(&node, runtime);
    at_home(&node, "ip netns add pod");
    for pod in [false, true] {
        let task = task(&node, &wrapped, |config| {
            config["linux"]["netDevices"] = json!({"d0": {"name": "eth9"}});
            config["process"]["args"] = json!(["/bin/missing"]);
            annotated(config, "restore", "all");
            if pod {
                config["linux"]["namespaces"][4]["path"] = "/run/netns/pod".into();
            }
        });
        for words in [["create"].as_slice(), &["create"], &["run"], &["run", "--detach"]] {
            let bundle = task.bundle().path().to_string_lossy().into_owned();
            let words = [words, &["--bundle", &bundle, "c1"]].concat();
            let refused = task.invocation(&words).run(node.namespaces()).unwrap();
            assert!(!refused.status.success() && refused.stderr.contains("/bin/missing"), "{}", refused.describe());
            // Nobody is given time for it.
            at_home(&node, "ip link show d0; test -z \"$(ls -A /run/netferry/lent)\"");
            judge_but_for(&node, &before, &["/run/netns"]);
        }
    }
    at_home(&node, "ip netns del pod");
    judge(&node, &before);
}

/// A second one of its name, in the same namespace, is refused, and takes nothing from the first; and what the runtime has to say
/// of a container that was there reaches the caller.
fn a_container_that_is_there_keeps_its_device(runtime: &Runtime) {
    let (node, before) = stage();
    let wrapped = wrapped(&node, runtime);
    at_home(&node, "ip netns add pod");
    let asks = |config: &mut Value| {
        config["linux"]["netDevices"] = json!({"d0": {"name": "eth9"}});
        config["linux"]["namespaces"][4]["path"] = "/run/netns/pod".into();
        annotated(config, "restore", "all");
    };
    let task = task(&node, &wrapped, asks);
    let asked = task.bundle().read("config.json").unwrap();
    task.create().unwrap().success().unwrap();
    for again in [false, true] {
        if again {
            task.bundle().write("config.json", 0o644, &asked).unwrap();
        }
        let refused = task.create().unwrap();
        assert!(!refused.status.success() && refused.stderr.contains("exist"), "{}", refused.describe());
        at_home(&node, "ip -n pod address show dev eth9 | grep 10.1.0.5");
    }
    task.delete(true).unwrap().success().unwrap();
    at_home(&node, "ip link show d0; ip netns del pod");
    drop(task);
    judge(&node, &before);
}

/// As the specification has it: the kernel takes a virtual device along with the namespace.
fn a_device_is_not_brought_home_if_nobody_wants_it(runtime: &Runtime) {
    let (node, _) = stage();
    at_home(&node, "ip link add d1 type veth peer name p1");
    let task = task(&node, runtime, |config| {
        config["hooks"] = hooks(&["d0=eth9", "d1"]);
        annotated(config, "restore.d1", "none");
    });
    task.create().unwrap().success().unwrap();
    task.inside(["ip", "link", "show", "d1"]).unwrap();
    task.inside(["ip", "link", "show", "eth9"]).unwrap();
    task.delete(true).unwrap().success().unwrap();
    let gone = "for turn in $(seq 500); do ip link show p1 >/dev/null 2>&1 || break; sleep 0.01; done; ip link show d1 2>&1 || true";
    assert!(at_home(&node, gone).contains("does not exist"));
    at_home(&node, "ip link show d0; test -z \"$(ls -A /run/netferry/lent)\"");
}
