//! The nftables ruleset and what iptables sees of it, without counters.
//!
//! Every line becomes a key under the table and chain it stands in. iptables-save is asked only when there is
//! something it could print; asking it otherwise costs more than the rest of the snapshot.

use super::Snapshot;
use crate::error::Result;
use crate::netns::Namespaces;
use crate::process::Invocation;

pub(super) fn read(namespaces: &Namespaces, snapshot: &mut Snapshot) -> Result<()> {
    let ruleset = Invocation::look(&["nft", "-s", "list", "ruleset"]).run(namespaces)?.success()?.stdout;
    insert_ruleset(&ruleset, snapshot);
    let legacy = |family: &str| {
        // Not /proc/net: that is the network of the thread group's leader.
        let names = std::fs::read_to_string(format!("/proc/thread-self/net/{family}_tables_names"));
        names.is_ok_and(|names| !names.is_empty())
    };
    let (legacy4, legacy6) = namespaces.inside(|| (legacy("ip"), legacy("ip6")))?;
    let tools = [
        ("iptables-nft-save", ruleset.contains("table ip ")),
        ("ip6tables-nft-save", ruleset.contains("table ip6 ")),
        ("iptables-legacy-save", legacy4),
        ("ip6tables-legacy-save", legacy6),
    ];
    for (tool, _) in tools.iter().filter(|(_, wanted)| *wanted) {
        let saved = Invocation::look(&[tool]).run(namespaces)?.success()?.stdout;
        insert_saved(tool, &saved, snapshot);
    }
    Ok(())
}

fn insert_ruleset(ruleset: &str, snapshot: &mut Snapshot) {
    let mut path: Vec<&str> = Vec::new();
    for line in ruleset.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line == "}" {
            path.pop();
            continue;
        }
        let name = line.strip_suffix('{').map_or(line, str::trim_end);
        path.push(name);
        insert_counted(format!("nft {}", path.join(" / ")), snapshot);
        // `elements = { a, b }` may span lines, but opens and closes on its own.
        if name == line {
            path.pop();
        }
    }
}

fn insert_saved(tool: &str, saved: &str, snapshot: &mut Snapshot) {
    let mut table = "";
    for line in saved.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('*') {
            Some(name) => table = name,
            // `:CHAIN POLICY [packets:bytes]`
            None if line.starts_with(':') => {
                let policy = line.split(" [").next().unwrap_or(line);
                insert_counted(format!("{tool} {table} {policy}"), snapshot);
            }
            None if line == "COMMIT" => {}
            None => insert_counted(format!("{tool} {table} {line}"), snapshot),
        }
    }
}

/// The same rule twice in a chain is not the same as once.
fn insert_counted(key: String, snapshot: &mut Snapshot) {
    let times = snapshot.get(&key).and_then(|times| times.parse::<u32>().ok()).unwrap_or(0);
    snapshot.insert(key, (times + 1).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ruleset_is_keyed_by_where_a_line_stands() {
        let ruleset = "# Warning: x\ntable inet t {\n\tcomment \"c\"\n\tset s {\n\t\telements = { 10.0.0.1,\n\t\t\t     10.0.0.2 }\n\t}\n\n\tchain c {\n\t\taccept\n\t\taccept\n\t}\n}\n";
        let mut snapshot = Snapshot::default();
        insert_ruleset(ruleset, &mut snapshot);
        let keys: Vec<&str> = snapshot.keys("").collect();
        assert_eq!(snapshot.get("nft table inet t / chain c / accept"), Some("2"));
        assert!(keys.contains(&"nft table inet t / set s / elements = { 10.0.0.1,"), "{keys:?}");
        assert!(keys.contains(&"nft table inet t / set s / 10.0.0.2 }"), "{keys:?}");
        assert_eq!(keys.len(), 7);
    }

    #[test]
    fn policy_counters_are_dropped() {
        let mut snapshot = Snapshot::default();
        insert_saved("iptables-save", "# x\n*nat\n:OUTPUT ACCEPT [3:180]\n-A OUTPUT -j X\nCOMMIT\n", &mut snapshot);
        let keys: Vec<&str> = snapshot.keys("").collect();
        assert_eq!(keys, ["iptables-save nat -A OUTPUT -j X", "iptables-save nat :OUTPUT ACCEPT"]);
    }
}
