//! Each plugin's own configuration: values of the wrong type, out of range, contradicting each other.

use crate::case::Text::{self, Has, Is};
use crate::case::{Case, DECODING, UNAVAILABLE, UPSTREAM};
use serde_json::{Value, json};

/// The rows.
pub fn cases() -> Vec<Case> {
    let plain = |(plugin, changes, text): (&'static str, Value, Text)| {
        let changed: String = changes.to_string().chars().take(90).collect();
        Case::add(&format!("{plugin} with {changed}"), plugin, UPSTREAM, text).conf(changes)
    };
    let mut cases: Vec<Case> = [bridge(), host_local(), static_()].into_iter().flatten().map(plain).collect();
    cases.extend(host_device());
    cases.extend(types());
    cases.extend(delegates());
    cases.extend(arguments());
    cases
}

fn bridge() -> Vec<(&'static str, Value, Text)> {
    let trunk = |entry: Value| json!({"vlanTrunk": [entry]});
    let vlan = "invalid VLAN ID 4095 (must be between 0 and 4094)";
    let incomplete = "minID and maxID should be configured simultaneously";
    vec![
        (
            "bridge",
            json!({"hairpinMode": true, "promiscMode": true}),
            Is("cannot set hairpin mode and promiscuous mode at the same time"),
        ),
        ("bridge", json!({"vlan": 4095}), Is(vlan)),
        ("bridge", json!({"vlan": -1}), Is("invalid VLAN ID -1 (must be between 0 and 4094)")),
        ("bridge", trunk(json!({"id": 0})), Is("incorrect trunk id parameter")),
        ("bridge", trunk(json!({"id": 4095})), Is("incorrect trunk id parameter")),
        ("bridge", trunk(json!({"minID": 0, "maxID": 5})), Is("incorrect trunk minID parameter")),
        ("bridge", trunk(json!({"minID": 1, "maxID": 5000})), Is("incorrect trunk maxID parameter")),
        ("bridge", trunk(json!({"minID": 9, "maxID": 5})), Is("minID is greater than maxID in trunk parameter")),
        ("bridge", trunk(json!({"minID": 9})), Has(incomplete)),
        ("bridge", trunk(json!({"maxID": 9})), Has(incomplete)),
        ("bridge", json!({"ipMasq": true, "ipMasqBackend": "pf"}), Is("unknown ipmasq backend \"pf\"")),
        (
            "bridge",
            json!({"disableContainerInterface": true}),
            Is("cannot use IPAM when DisableContainerInterface flag is set"),
        ),
        ("bridge", json!({"runtimeConfig": {"mac": "02:00"}}), Has("02:00")),
        ("ptp", json!({"ipMasq": true, "ipMasqBackend": "pf"}), Is("unknown ipmasq backend \"pf\"")),
    ]
}

/// STATUS, which reads what an ADD would, and asks for the device besides.
fn host_device() -> Vec<Case> {
    let path = "kernel device path \"/sys/class/net/eth1\" must be absolute and begin with /sys/devices/";
    let rows = [
        (json!({}), Is("specify either \"device\", \"hwaddr\", \"kernelpath\" or \"pciBusID\"")),
        (json!({"device": "a/b"}), Has("invalid device \"a/b\"")),
        (json!({"hwaddr": "02:00"}), Is("failed to parse MAC address \"02:00\": address 02:00: invalid MAC address")),
        (json!({"kernelpath": "/sys/class/net/eth1"}), Is(path)),
        (json!({"kernelpath": "/sys/devices/../class"}), Has("must be absolute and begin with /sys/devices/")),
        (json!({"pciBusID": "../../../class/net/lo"}), Has("invalid pciBusID \"../../../class/net/lo\"")),
        (json!({"runtimeConfig": {"deviceID": "../lo"}}), Is("runtime config DeviceID ../lo not found or unsupported")),
        (json!({"device": "lo", "conflictPolicy": "any"}), Has("invalid conflictPolicy \"any\"")),
        (json!({"device": "lo", "restore": "maybe"}), Has("invalid restore \"maybe\"")),
        (json!({"device": "lo", "addresses": "few"}), Has("invalid addresses \"few\"")),
        (json!({"device": "lo", "dataDir": "lent"}), Has("invalid dataDir \"lent\"")),
    ];
    let case = |code: u64, changes: Value, text: Text| {
        Case::add(&format!("host-device with {changes}"), "host-device", code, text).verb("STATUS").conf(changes)
    };
    let mut cases: Vec<Case> = rows.into_iter().map(|(changes, text)| case(UPSTREAM, changes, text)).collect();
    for (changes, text) in [
        (json!({"device": "eth9"}), Is("failed to find host device: device \"eth9\": Link not found")),
        (
            json!({"hwaddr": "02:fc:00:00:00:99"}),
            Is("failed to find host device: hwaddr 02:fc:00:00:00:99: Link not found"),
        ),
        (
            json!({"pciBusID": "ffff:ff:1f.7"}),
            Is("error with host device: pciBusID \"ffff:ff:1f.7\": no such PCI device"),
        ),
        (json!({"runtimeConfig": {"deviceID": "none"}}), Is("runtime config DeviceID none not found or unsupported")),
    ] {
        cases.push(case(UNAVAILABLE, changes, text));
    }
    cases
}

fn host_local() -> Vec<(&'static str, Value, Text)> {
    let range = |range: Value| json!({"ipam": {"type": "host-local", "ranges": [[range]]}});
    let ranges = |ranges: Value| json!({"ipam": {"type": "host-local", "ranges": ranges}});
    let old = json!({"cniVersion": "0.2.0", "ipam": {"type": "host-local",
        "ranges": [[{"subnet": "10.40.0.0/24"}], [{"subnet": "10.41.0.0/24"}]]}});
    let host_bits = "Network has host bits set. For a subnet mask of length 24 the network address is 10.40.0.0";
    vec![
        ("host-local", json!({"ipam": null}), Is("IPAM config missing 'ipam' key")),
        ("host-local", json!({"ipam": {"type": "host-local"}}), Is("no IP ranges specified")),
        ("host-local", range(json!({"subnet": "10.40.0.1/24"})), Has(host_bits)),
        ("host-local", range(json!({"subnet": "10.40.0.0/31"})), Has("too small to allocate from")),
        (
            "host-local",
            range(json!({"subnet": "10.40.0.0/24", "rangeStart": "10.41.0.9"})),
            Has("RangeStart 10.41.0.9 not in network 10.40.0.0/24"),
        ),
        (
            "host-local",
            range(json!({"subnet": "10.40.0.0/24", "rangeEnd": "10.41.0.9"})),
            Has("RangeEnd 10.41.0.9 not in network 10.40.0.0/24"),
        ),
        (
            "host-local",
            ranges(json!([[{"subnet": "10.40.0.0/24"}, {"subnet": "fd40::/64"}]])),
            Has("mixed address families"),
        ),
        ("host-local", ranges(json!([[{"subnet": "10.40.0.0/24"}, {"subnet": "10.40.0.0/25"}]])), Has("overlap")),
        (
            "host-local",
            ranges(json!([[{"subnet": "10.40.0.0/24"}], [{"subnet": "10.40.0.0/25"}]])),
            Has("overlaps with"),
        ),
        ("host-local", ranges(json!([[]])), Has("empty range set")),
        ("host-local", old, Has("CNI version 0.2.0 does not support more than 1 address per family")),
        (
            "host-local",
            json!({"ipam": {"type": "host-local", "subnet": "10.40.0.0/24", "dataDir": "/run/lab/file"}}),
            Has("/run/lab/file"),
        ),
        (
            "host-local",
            json!({"ipam": {"type": "host-local", "subnet": "10.40.0.0/24", "resolvConf": "/run/lab/none"}}),
            Has("/run/lab/none"),
        ),
    ]
}

fn static_() -> Vec<(&'static str, Value, Text)> {
    let bare = "the 'address' field is expected to be in CIDR notation, got: '10.40.0.2'";
    vec![
        ("static", json!({"ipam": null}), Is("IPAM config missing 'ipam' key")),
        ("static", json!({"ipam": {"type": "static", "addresses": [{"address": "10.40.0.2"}]}}), Has(bare)),
        ("static", json!({"args": {"cni": {"ips": ["10.40.0.2"]}}}), Has("10.40.0.2")),
        ("static", json!({"runtimeConfig": {"ips": ["x"]}}), Has("CIDR notation, got: 'x'")),
    ]
}

/// A value of the wrong type: the plugin must name the field.
fn types() -> Vec<Case> {
    let rows = [
        ("bridge", json!({"isGateway": "yes"}), "isGateway"),
        ("bridge", json!({"mtu": "big"}), "mtu"),
        ("bridge", json!({"mtu": 1500.5}), "mtu"),
        ("bridge", json!({"vlanTrunk": {"id": 1}}), "vlanTrunk"),
        ("ptp", json!({"ipMasq": 1}), "ipMasq"),
        ("bridge", json!({"ipam": "host-local"}), "ipam"),
        ("bridge", json!({"dns": ["1.1.1.1"]}), "dns"),
        ("host-local", json!({"ipam": {"type": "host-local", "ranges": [[{"subnet": 7}]]}}), "subnet"),
        ("static", json!({"ipam": {"type": "static", "addresses": "10.0.0.1/8"}}), "addresses"),
    ];
    let case = |(plugin, changes, field): (&'static str, Value, &'static str)| {
        Case::add(&format!("{plugin}: wrong type {changes}"), plugin, DECODING, Has(field)).conf(changes)
    };
    rows.into_iter().map(case).collect()
}

fn delegates() -> Vec<Case> {
    let ipam = |kind: &str| json!({"ipam": {"type": kind}});
    vec![
        Case::add(
            "an IPAM plugin that is not there",
            "bridge",
            UPSTREAM,
            Has("failed to find plugin \"nope\" in path"),
        )
        .conf(ipam("nope")),
        Case::add("an IPAM plugin with a path", "bridge", UPSTREAM, Has("invalid plugin name: ../bridge"))
            .conf(ipam("../bridge")),
        Case::add("ptp without IPAM", "ptp", UPSTREAM, Has("IPAM")).conf(json!({"ipam": null})),
        Case::add("CHECK without prevResult", "bridge", UPSTREAM, Has("prevResult missing")).verb("CHECK"),
        Case::add("CHECK of a foreign prevResult", "ptp", DECODING, Has("could not parse prevResult"))
            .verb("CHECK")
            .conf(json!({"prevResult": {"cniVersion": "0.2.0", "ip4": 7}})),
    ]
}

fn arguments() -> Vec<Case> {
    vec![
        Case::add(
            "the gateway as an address",
            "host-local",
            UPSTREAM,
            Has("requested ip 10.40.0.1 is subnet's gateway"),
        )
        .with("CNI_ARGS", Some("IP=10.40.0.1")),
        Case::add(
            "an address of no range",
            "host-local",
            UPSTREAM,
            Has("failed to allocate all requested IPs: 10.9.9.9"),
        )
        .with("CNI_ARGS", Some("IP=10.9.9.9")),
        Case::add(
            "an address without a prefix",
            "static",
            UPSTREAM,
            Has("expected to be in CIDR notation, got: '10.40.0.9'"),
        )
        .with("CNI_ARGS", Some("IP=10.40.0.9")),
        Case::add("a gateway that is none", "static", UPSTREAM, Has("zz"))
            .with("CNI_ARGS", Some("IP=10.40.0.9/24;GATEWAY=zz")),
    ]
}
