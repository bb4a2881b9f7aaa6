//! Links, addresses, routes, rules, neighbours, queueing disciplines and bridge VLANs, from iproute2's JSON.
//!
//! See ip-link(8), tc(8), bridge(8). One `ip -batch` answers for both families; only rules need a second process.

use super::Snapshot;
use crate::error::{Error, Result};
use crate::netns::Namespaces;
use crate::process::Invocation;
use serde_json::{Map, Value};

/// What changes without anybody's doing: indices, timers, what follows from carrier, and from a bridge's MAC.
const VOLATILE: &[&str] = &[
    "ifindex",
    "link_index",
    "link_netnsid",
    "operstate",
    "flags",
    "tentative",
    "dadfailed",
    "valid_life_time",
    "preferred_life_time",
    "bridge_id",
    "root_id",
    "root_port",
    "root_path_cost",
    "topology_change",
    "topology_change_detected",
    "hello_timer",
    "tcn_timer",
    "topology_change_timer",
    "gc_timer",
    "hold_timer",
    "message_age_timer",
    "forward_delay_timer",
    "designated_cost",
    "designated_port",
    "state",
    "refcnt",
    "expires",
    "used",
    "updated",
    "probes",
];

/// The flags of a link that are somebody's decision.
const FLAGS: &[&str] = &["UP", "PROMISC", "ALLMULTI", "NOARP", "DYNAMIC"];

pub(super) fn read(namespaces: &Namespaces, snapshot: &mut Snapshot) -> Result<()> {
    let batch = "addr show\nroute show table all\nrule show\nneigh show nud permanent\nneigh show proxy\n";
    let mut ip = Invocation::look(&["ip", "-d", "-j", "-batch", "-"]);
    ip.stdin = batch.as_bytes().to_vec();
    let answers = documents(ip, namespaces)?;
    let [links, routes, rules, permanent, proxies] = answers.as_slice() else {
        return Err(Error::new(format!("ip -batch: {} answers, expected 5", answers.len())));
    };
    list(links).for_each(|link| insert_link(link, snapshot));
    list(routes).filter(|route| !follows_from_address(route)).for_each(|route| insert("route", route, snapshot));
    list(rules).for_each(|rule| insert("rule", rule, snapshot));
    list(permanent).for_each(|neighbour| insert("neighbour", neighbour, snapshot));
    list(proxies).for_each(|neighbour| insert("proxy neighbour", neighbour, snapshot));
    let others = [
        ("rule v6", ["ip", "-6", "-j", "rule", "show"].as_slice()),
        ("qdisc", &["tc", "-j", "qdisc", "show"]),
        ("vlan", &["bridge", "-j", "vlan", "show"]),
    ];
    let bridged = links.to_string().contains("\"info_kind\":\"bridge\"");
    for (kind, command) in others.into_iter().filter(|(kind, _)| *kind != "vlan" || bridged) {
        let answer = documents(Invocation::look(command), namespaces)?;
        answer.iter().flat_map(list).for_each(|object| insert(kind, object, snapshot));
    }
    Ok(())
}

fn documents(command: Invocation, namespaces: &Namespaces) -> Result<Vec<Value>> {
    let output = command.run(namespaces)?.success()?;
    let parsed: std::result::Result<Vec<Value>, _> =
        serde_json::Deserializer::from_str(&output.stdout).into_iter().collect();
    parsed.map_err(Error::during(output.describe()))
}

fn list(document: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    document.as_array().into_iter().flatten().filter_map(Value::as_object)
}

/// Stores an object that is its own identity: a route or a rule is what all its attributes say.
fn insert(kind: &str, object: &Map<String, Value>, snapshot: &mut Snapshot) {
    snapshot.insert(format!("{kind} {}", Value::Object(stable(object))), "");
}

fn insert_link(link: &Map<String, Value>, snapshot: &mut Snapshot) {
    let name = text(link, "ifname");
    let flags = link.get("flags").and_then(Value::as_array).into_iter().flatten();
    let decided: Vec<&str> = flags.filter_map(Value::as_str).filter(|flag| FLAGS.contains(flag)).collect();
    snapshot.insert(format!("link {name} flags"), decided.join(","));
    for address in link.get("addr_info").into_iter().flat_map(list).filter(|address| !kernel_address(address)) {
        let prefix = address.get("prefixlen").map(Value::to_string).unwrap_or_default();
        let key = format!("address {name} {}/{prefix}", text(address, "local"));
        snapshot.insert(key, Value::Object(stable(address)).to_string());
    }
    flatten(&format!("link {name}"), link, snapshot);
}

fn flatten(path: &str, object: &Map<String, Value>, snapshot: &mut Snapshot) {
    let kept = object.iter().filter(|(field, _)| !VOLATILE.contains(&field.as_str()) && *field != "addr_info");
    for (field, value) in kept {
        match value {
            Value::Object(inner) => flatten(&format!("{path} {field}"), inner, snapshot),
            other => snapshot.insert(format!("{path} {field}"), other.to_string()),
        }
    }
}

fn stable(object: &Map<String, Value>) -> Map<String, Value> {
    let kept = object.iter().filter(|(field, _)| !VOLATILE.contains(&field.as_str()));
    let mut kept: Map<String, Value> = kept.map(|(field, value)| (field.clone(), value.clone())).collect();
    // Whether an address is for ever is a decision, how long it has left is not.
    if let Some(left) = object.get("valid_life_time").and_then(Value::as_u64) {
        kept.insert("permanent".to_owned(), Value::Bool(left == u64::from(u32::MAX)));
    }
    kept
}

/// The kernel makes fe80::/64 addresses when a link gains carrier, at a time of its own.
fn kernel_address(address: &Map<String, Value>) -> bool {
    text(address, "family") == "inet6" && text(address, "scope") == "link" && text(address, "local").contains("ff:fe")
}

/// Routes that follow from addresses, which are facts of their own: the kernel adds them for IPv6 when duplicate
/// address detection ends, which without carrier it never does.
fn follows_from_address(route: &Map<String, Value>) -> bool {
    let destination = text(route, "dst");
    let link_local = destination.starts_with("fe80:") || destination == "ff00::/8";
    let local = text(route, "table") == "local" && destination.contains(':');
    text(route, "protocol") == "kernel" && (link_local || local)
}

fn text<'a>(object: &'a Map<String, Value>, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}
