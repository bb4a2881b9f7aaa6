//! `linux.netDevices`: the two runtimes that are older leave the device where it is and say nothing, the newer ones move it and
//! lose much of what it had.

use super::{at_home, hook, node, task};
use lab::{Kind, Node, Runtime, Snapshot, Task, settle};
use serde_json::{Value, json};
use std::path::Path;

with_each_runtime!(
    moved_or_not,
    it_tells_its_features,
    a_device_that_is_not_there,
    a_name_that_is_taken,
    an_own_name_that_is_taken,
    a_template
);

const CARRIED: &str = "
    ip link set p0 up; ip link set d0 up alias uplink group 7 txqueuelen 77; ip link property add dev d0 altname enp-d0
    ip address add 10.1.0.5/24 broadcast 10.1.0.77 dev d0 label d0:web
    ip address add 10.1.0.6/24 metric 50 noprefixroute dev d0
    ip address add 10.1.0.7/24 dev d0
    ip address add 10.9.9.1 peer 10.9.9.2/32 dev d0
    ip address add 10.1.0.8/24 valid_lft 1000 preferred_lft 900 dev d0
    ip address add 10.3.0.1/24 dev d0 scope link
    ip address add fd01::5/64 nodad dev d0
    ip address add fd01::6/64 nodad metric 70 dev d0
    ip route add default via 10.1.0.1";

/// runc loses what the link's going down takes, IPv6 of every kind and each route, and adds addresses and prefix lengths alone.
const BY_RUNC: [&str; 4] = [
    "10.1.0.5/24 brd 10.1.0.255 label eth9",
    "10.9.9.1/32 label eth9",
    "10.1.0.6/24 brd 10.1.0.255 label eth9",
    "10.1.0.7/24 brd 10.1.0.255 label eth9",
];

/// youki does as runc, and makes a broadcast address for one that stands alone too.
const BY_YOUKI: [&str; 4] = [
    "10.1.0.5/24 brd 10.1.0.255 label eth9",
    "10.9.9.1/32 brd 10.9.9.1 label eth9",
    "10.1.0.6/24 brd 10.1.0.255 label eth9",
    "10.1.0.7/24 brd 10.1.0.255 label eth9",
];

/// crun copies a permanent global address as the kernel told it: whole, with a label that says the former name. IPv6 comes in
/// reverse.
const BY_CRUN: [&str; 6] = [
    "10.1.0.5/24 brd 10.1.0.77 label d0:web",
    "10.9.9.1 peer 10.9.9.2/32 label d0",
    "10.1.0.6/24 metric 50 noprefixroute label d0",
    "10.1.0.7/24 label d0",
    "fd01::5/64 nodad",
    "fd01::6/64 metric 70 nodad",
];

fn moved_or_not(runtime: &Runtime) {
    let node = node();
    at_home(&node, CARRIED);
    let before = node.snapshot().unwrap();
    let task = lent(&node, runtime, json!({"d0": {"name": "eth9"}}));
    task.create().unwrap().success().unwrap();
    task.start().unwrap().success().unwrap();
    let links = task.inside(["ip", "-d", "-j", "address", "show"]).unwrap().stdout;
    let links: Vec<Value> = serde_json::from_str(&links).unwrap();
    let names: Vec<&str> = links.iter().filter_map(|link| link["ifname"].as_str()).collect();
    if runtime.knows_net_devices {
        assert_eq!(names, ["lo", "eth9"]);
        let expected: &[&str] = match runtime.kind {
            Kind::Runc => &BY_RUNC,
            Kind::Crun => &BY_CRUN,
            Kind::Youki => &BY_YOUKI,
        };
        assert_eq!(addresses(&links[1]), expected);
        let kept = json!({"address": "02:00:00:00:00:01", "mtu": 1400, "ifalias": "uplink", "group": "7", "txqlen": 77,
            "altnames": ["enp-d0"], "operstate": "UP"});
        kept.as_object().unwrap().iter().for_each(|(key, value)| assert_eq!(links[1][key], *value, "{key}"));
        let routes = task.inside(["sh", "-c", "ip route show default; ip -6 route show default"]).unwrap().stdout;
        assert_eq!(routes, "");
    } else {
        assert_eq!(names, ["lo"]);
    }
    let moves_first = runtime.knows_net_devices && runtime.kind != Kind::Youki;
    assert_eq!(task.bundle().read("d0").unwrap(), if moves_first { "away\n" } else { "home\n" });
    task.delete(true).unwrap().success().unwrap();
    drop(task);
    judge(&node, &before, runtime.knows_net_devices);
}

/// A container that is lent `devices`, and whose first hook writes down whether `d0` is still at home.
fn lent(node: &Node, runtime: &Runtime, devices: Value) -> Task {
    task(node, runtime, |config| {
        config["linux"]["netDevices"] = devices;
        let look = hook("cd $B; ip link show d0 >/dev/null 2>&1 && echo home > d0 || echo away > d0");
        config["hooks"] = json!({"prestart": [look]});
    })
}

/// The node is as it was, or without the pair, which has gone with the container's namespace.
fn judge(node: &Node, before: &Snapshot, is_gone: bool) {
    let expected = || before.clone().without(|key| is_gone && (key.contains("d0") || key.contains("p0")));
    assert_eq!(settle(|| node.snapshot(), |now| expected().diff(now)).unwrap(), None);
}

/// The addresses of a link, in iproute2's words.
fn addresses(link: &Value) -> Vec<String> {
    let addresses = link["addr_info"].as_array().unwrap().iter().filter(|address| address["scope"] == "global");
    let said = addresses.map(|address| {
        let named = |name: &str, key: &str| match &address[key] {
            Value::Null => String::new(),
            value => format!(" {name} {}", value.to_string().trim_matches('"')),
        };
        let flag = |key: &str| if address[key] == true { format!(" {key}") } else { String::new() };
        let peer = named("peer", "address");
        let rest =
            [named("brd", "broadcast"), named("metric", "metric"), flag("noprefixroute"), flag("nodad")].concat();
        format!(
            "{}{peer}/{}{rest}{}",
            address["local"].as_str().unwrap(),
            address["prefixlen"],
            named("label", "label")
        )
    });
    said.collect()
}

/// What can be asked of a runtime before it is trusted with a device. crun 1.8 has no such command, and youki does not say that it
/// knows devices.
fn it_tells_its_features(runtime: &Runtime) {
    let node = Node::new().unwrap();
    let output = task(&node, runtime, |_| {}).invocation(&["features"]).run(node.namespaces()).unwrap();
    if runtime.name == "crun-old" {
        assert_eq!(output.status.code(), Some(1), "{}", output.describe());
        assert!(output.stderr.contains("unknown command features"), "{}", output.stderr);
        return;
    }
    let features: Value = serde_json::from_str(&output.success().unwrap().stdout).unwrap();
    let says_so = runtime.knows_net_devices && runtime.kind != Kind::Youki;
    let expected = if says_so { json!({"enabled": true}) } else { Value::Null };
    assert_eq!(features["linux"]["netDevices"], expected, "{features}");
}

/// A runtime that knows of no devices knows of no reason to refuse one either. `texts` is what runc, crun and youki say.
fn refused(runtime: &Runtime, task: &Task, texts: [&str; 3]) {
    let text = match runtime.kind {
        Kind::Runc => texts[0],
        Kind::Crun => texts[1],
        Kind::Youki => texts[2],
    };
    let output = task.create().unwrap();
    if runtime.knows_net_devices {
        assert_eq!(output.status.code(), Some(1), "{}", output.describe());
        assert!(output.stderr.to_lowercase().contains(text), "{}", output.describe());
        assert_eq!(task.traces().unwrap(), Vec::<&Path>::new());
    } else {
        output.success().unwrap();
    }
}

fn a_device_that_is_not_there(runtime: &Runtime) {
    let node = node();
    let before = node.snapshot().unwrap();
    let task = lent(&node, runtime, json!({"d9": {}}));
    refused(runtime, &task, ["link not found for interface d9", "`d9`: no such device", "netlink error: -19"]);
    drop(task);
    judge(&node, &before, false);
}

/// The name is taken in the container, and the device's own is not: the kernel moves it, then fails to rename it, and what the
/// runtime does not bring back dies with the namespace.
fn a_name_that_is_taken(runtime: &Runtime) {
    let node = node();
    let before = node.snapshot().unwrap();
    let task = lent(&node, runtime, json!({"d0": {"name": "lo"}}));
    refused(runtime, &task, ["file exists", "file exists", "netlink error: -17"]);
    drop(task);
    judge(&node, &before, runtime.knows_net_devices);
}

/// The device's own name is taken too: nothing is moved. runc and youki have set the link down by then, and leave it so.
fn an_own_name_that_is_taken(runtime: &Runtime) {
    let node = node();
    let container = node.container("c1").unwrap();
    container.run(["ip", "link", "add", "d0", "type", "veth", "peer", "name", "p0"]).unwrap();
    at_home(&node, "ip link set d0 up");
    let task = task(&node, runtime, |config| {
        config["linux"]["namespaces"][4] = json!({"type": "network", "path": container.path()});
        config["linux"]["netDevices"] = json!({"d0": {}});
    });
    refused(runtime, &task, ["file exists", "file exists", "netlink error: -17"]);
    let is_down = runtime.knows_net_devices && runtime.kind != Kind::Crun;
    assert_eq!(node.snapshot().unwrap().get("link d0 flags"), Some(if is_down { "" } else { "UP" }));
}

/// The specification wants the kernel to choose the number. They move the device and then look for one that is called so.
fn a_template(runtime: &Runtime) {
    let node = node();
    let before = node.snapshot().unwrap();
    let task = lent(&node, runtime, json!({"d0": {"name": "eth%d"}}));
    let texts =
        ["link not found for interface eth%d", "`eth%d`: no such device", "failed to get device by name: eth%d"];
    refused(runtime, &task, texts);
    drop(task);
    judge(&node, &before, runtime.knows_net_devices);
}
