//! CNI_NETNS that is no namespace or the caller's own, and interfaces that exist already.

use crate::case::Text::{Has, Is};
use crate::case::{Case, UPSTREAM};
use serde_json::json;

const OWN: &str = "plugin's netns and netns from CNI_NETNS should not be the same";

/// The rows.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for plugin in ["loopback", "bridge", "ptp"] {
        let rows = [
            ("/run/netns/gone", UPSTREAM, Has("failed to Statfs \"/run/netns/gone\": no such file or directory")),
            ("/run/lab/file", UPSTREAM, Has("unknown FS magic on \"/run/lab/file\"")),
            ("/run/lab", UPSTREAM, Has("unknown FS magic on \"/run/lab\"")),
            ("../gone", UPSTREAM, Has("no such file or directory")),
            ("/proc/self/ns/net", 8, Is(OWN)),
        ];
        for (path, code, text) in rows {
            let name = format!("{plugin}: namespace {path}");
            cases.push(Case::add(&name, plugin, code, text).with("CNI_NETNS", Some(path)));
        }
    }
    for plugin in ["bridge", "ptp"] {
        let name = format!("{plugin}: the interface exists");
        cases.push(Case::add(&name, plugin, UPSTREAM, Has("already exists")).with("CNI_IFNAME", Some("taken0")));
    }
    cases.push(
        Case::add("DEL in our own namespace", "bridge", 8, Is(OWN))
            .verb("DEL")
            .with("CNI_NETNS", Some("/proc/self/ns/net")),
    );
    cases.push(
        Case::add("the bridge is none", "bridge", UPSTREAM, Is("\"notbr\" already exists but is not a bridge"))
            .conf(json!({"bridge": "notbr"})),
    );
    let result = json!({"cniVersion": "1.1.0", "interfaces": [{"name": "lo", "sandbox": "/run/netns/c1"}]});
    let down = Case::add("CHECK of a loopback that is down", "loopback", UPSTREAM, Has("loopback interface is down"));
    cases.push(down.verb("CHECK").with("CNI_IFNAME", Some("lo")).conf(json!({"prevResult": result})));
    cases
}
