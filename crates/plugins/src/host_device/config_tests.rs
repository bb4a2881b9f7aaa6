//! Every key, right and wrong.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn conf(value: Value) -> Conf {
    cni::json::decode(&value).expect("a configuration")
}

fn problem(value: Value) -> String {
    conf(value).validate().expect_err("it is wrong").to_string()
}

const PCI: &str = "0000:01:00.0";

#[test]
fn one_selector_counts() {
    let all = json!({"device": "eth1", "hwaddr": "02-FC-00-00-00-01", "kernelpath": "/sys/devices/a/b",
        "pciBusID": PCI, "runtimeConfig": {"deviceID": "mlx5_core.sf.2"}});
    let mac: Mac = "02:fc:00:00:00:01".parse().expect("an address");
    let expected = [
        ("device", Selector::Device("eth1")),
        ("hwaddr", Selector::Hwaddr(mac)),
        ("kernelpath", Selector::KernelPath(Path::new("/sys/devices/a/b"))),
        ("runtimeConfig", Selector::DeviceId("mlx5_core.sf.2")),
        ("pciBusID", Selector::PciBusId(PCI)),
    ];
    let mut left = all;
    for (key, selector) in expected {
        assert_eq!(conf(left.clone()).selector().as_ref(), Ok(&selector));
        left.as_object_mut().expect("an object").remove(key);
    }
    let none = r#"specify either "device", "hwaddr", "kernelpath" or "pciBusID""#;
    assert_eq!(problem(left), none);
    assert_eq!(problem(json!({"device": "", "runtimeConfig": null})), none);
}

#[test]
fn keys_are_read_by_the_rules_of_go() {
    let odd = conf(json!({"DEVICE": "eth1", "PciBusId": null, "RuntimeConfig": {"DEVICEID": PCI}, "pin": null}));
    assert_eq!(odd.selector(), Ok(Selector::Device("eth1")));
    let other = conf(json!({"pcibusid": PCI, "uSeInterfaceNetwork": true, "allowuplink": true}));
    assert_eq!(other.selector(), Ok(Selector::PciBusId(PCI)));
    assert!(other.use_interface_network && other.allow_uplink);
}

#[test]
fn what_is_not_said_has_a_default() {
    let plain = conf(json!({"device": "eth1"}));
    assert_eq!(plain.validate(), Ok(()));
    assert!(!plain.use_interface_network && !plain.allow_uplink && plain.pin());
    assert_eq!(plain.conflict_policy(), Ok(ConflictPolicy::Refuse));
    assert_eq!(plain.restore(), Ok(Restore::Auto));
    assert_eq!(plain.policy(), Ok(Policy::default()));
    assert_eq!(plain.data_dir(), Ok(Path::new("/run/netferry/lent")));
}

#[test]
fn every_value_is_read() {
    for (text, expected) in
        [("host", ConflictPolicy::Host), ("ipam", ConflictPolicy::Ipam), ("both", ConflictPolicy::Both)]
    {
        assert_eq!(conf(json!({"conflictPolicy": text})).conflict_policy(), Ok(expected));
    }
    for (text, expected) in [("auto", Restore::Auto), ("always", Restore::Always), ("never", Restore::Never)] {
        assert_eq!(conf(json!({"restore": text})).restore(), Ok(expected));
    }
    for (text, addresses) in [("permanent", Addresses::Permanent), ("all", Addresses::All), ("none", Addresses::None)] {
        let policy = conf(json!({"addresses": text, "linkScope": true})).policy();
        assert_eq!(policy, Ok(Policy { addresses, link_scope: true }));
    }
    let set = conf(json!({"pin": false, "dataDir": "/var/lib/lent"}));
    assert_eq!((set.pin(), set.data_dir()), (false, Ok(Path::new("/var/lib/lent"))));
}

#[test]
fn what_is_wrong_is_named() {
    let on = |key: &str, value: &str| problem(json!({"device": "eth1", key: value}));
    assert_eq!(
        on("conflictPolicy", "none"),
        r#"invalid conflictPolicy "none": it must be "host", "ipam", "both", or empty for an error"#
    );
    assert_eq!(on("restore", "Always"), r#"invalid restore "Always": it must be "auto", "always" or "never""#);
    assert_eq!(on("addresses", "some"), r#"invalid addresses "some": it must be "permanent", "all" or "none""#);
    for path in ["lent", "./lent", "/run/../etc", "/run/\0"] {
        let expected = format!("invalid dataDir {path:?}: it must be an absolute path without \"..\"");
        assert_eq!(on("dataDir", path), expected);
    }
    let long = "x".repeat(128);
    for name in ["a/b", "a\0b", &long] {
        assert_eq!(problem(json!({"device": name})), format!("invalid device {name:?}: no device can have this name"));
    }
    assert_eq!(
        problem(json!({"hwaddr": "02:fc"})),
        r#"failed to parse MAC address "02:fc": address 02:fc: invalid MAC address"#
    );
    for path in ["sys/devices/x", "/sys/class/net/eth0", "/sys/devices", "/sys/devices/../class/net", "/sys/devices/\0"]
    {
        let expected = format!("kernel device path {path:?} must be absolute and begin with /sys/devices/");
        assert_eq!(problem(json!({"kernelpath": path})), expected);
    }
}

#[test]
fn a_name_on_a_bus_is_one_component_of_a_path() {
    for text in ["../..", "..", ".", "a/b", "0000:01:00.0/", "0000:01:00.0\0", "0000:01:00.0\n", "é", " "] {
        let expected = format!("invalid pciBusID {text:?}: it must be a PCI address such as 0000:01:00.0");
        assert_eq!(problem(json!({"pciBusID": text})), expected);
        let expected = format!("runtime config DeviceID {text} not found or unsupported");
        assert_eq!(problem(json!({"runtimeConfig": {"deviceID": text}, "pciBusID": PCI})), expected);
    }
}

proptest! {
    #[test]
    fn a_selector_never_leaves_its_directory(text in r"[a./:\x00é-]{0,12}") {
        for key in ["pciBusID", "kernelpath"] {
            let below = if key == "kernelpath" { format!("/sys/devices/{text}") } else { text.clone() };
            let conf = conf(json!({key: below}));
            match conf.selector() {
                Ok(Selector::PciBusId(name)) => prop_assert_eq!(Path::new(name).file_name(), Some(name.as_ref())),
                Ok(Selector::KernelPath(path)) => prop_assert!(is_plain(path)),
                Ok(other) => prop_assert!(false, "{:?}", other),
                Err(_) => {}
            }
        }
    }
}
