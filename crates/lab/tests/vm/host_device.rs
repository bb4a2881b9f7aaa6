//! `host-device` and real cards: what STATUS says to each way of selecting one, and to one that a program drives.

use crate::nics::{Nic, Nics};
use lab::{Attachment, Namespaces, Plugins, Verb};
use serde_json::{Value, json};

/// What STATUS says in `namespaces` to these keys: nothing, or the message of an error.
fn status(namespaces: &Namespaces, keys: Value) -> Result<(), String> {
    let mut conf = json!({"cniVersion": "1.1.0", "name": "cards", "type": "host-device"});
    conf.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let nobody = Attachment { container_id: String::new(), netns: String::new(), ifname: String::new() };
    let invocation = Plugins::ours().unwrap().invocation(Verb::Status, &conf, &nobody);
    let output = invocation.run(namespaces).unwrap();
    if output.status.success() {
        assert_eq!(output.stdout, "");
        return Ok(());
    }
    let error: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(error["code"], 50, "{}", output.describe());
    Err(error["msg"].as_str().unwrap().to_owned())
}

/// Every selector that leads to the card, and how an error names it.
fn selectors(nic: &Nic) -> Vec<(Value, String)> {
    let path = nic.path.to_str().unwrap();
    let below = nic.path.read_dir().unwrap().flatten().find(|e| e.file_name().to_string_lossy().starts_with("virtio"));
    let virtio = below.unwrap().path();
    let (virtio, link) = (virtio.to_str().unwrap(), virtio.join("net").join(&nic.name));
    let mut all = vec![
        (json!({"device": nic.name}), format!("device {:?}", nic.name)),
        (json!({"hwaddr": nic.mac}), format!("hwaddr {}", nic.mac)),
        (json!({"pciBusID": nic.pci}), format!("pciBusID {:?}", nic.pci)),
        (json!({"runtimeConfig": {"deviceID": nic.pci}}), format!("runtimeConfig.deviceID {:?}", nic.pci)),
    ];
    for path in [path, virtio, link.to_str().unwrap()] {
        all.push((json!({"kernelpath": path}), format!("kernelpath {path:?}")));
    }
    all
}

fn not_found(selector: &str) -> Result<(), String> {
    Err(format!("failed to find host device: {selector}: Link not found"))
}

#[test]
#[ignore = "needs network cards of its own: cargo xtask vm"]
fn a_card_is_found_by_everything_that_is_its_own() {
    let nics = Nics::take();
    let elsewhere = nics.node.container("elsewhere").unwrap();
    let [here, there] = &nics.all;
    let namespaces = nics.node.namespaces();
    nics.node.run(["ip", "link", "set", &there.name, "netns", "elsewhere"]).unwrap();
    for (keys, _) in selectors(here) {
        assert_eq!(status(namespaces, keys.clone()), Ok(()), "{keys}");
    }
    for (keys, selector) in selectors(there) {
        assert_eq!(status(namespaces, keys), not_found(&selector));
    }
    elsewhere.run(["ip", "link", "set", &there.name, "netns", &nics.node.pid().to_string()]).unwrap();
}

/// The namespace of the caller and the one that its sysfs shows are two: the latter's names are other links.
#[test]
#[ignore = "needs network cards of its own: cargo xtask vm"]
fn sysfs_of_another_namespace_is_not_believed() {
    let nics = Nics::take();
    let other = nics.node.container("other").unwrap();
    let [nic, _] = &nics.all;
    other.run(["ip", "link", "add", &nic.name, "type", "dummy"]).unwrap();
    for (keys, selector) in selectors(nic).into_iter().skip(1) {
        assert_eq!(status(other.namespaces(), keys), not_found(&selector), "the card is not in this namespace");
    }
    other.run(["ip", "link", "del", &nic.name]).unwrap();
    nics.node.run(["ip", "link", "set", &nic.name, "netns", "other"]).unwrap();
    for (keys, _) in selectors(nic) {
        assert_eq!(status(other.namespaces(), keys.clone()), Ok(()), "sysfs does not show {keys}");
    }
    other.run(["ip", "link", "set", &nic.name, "netns", &nics.node.pid().to_string()]).unwrap();
}

/// A VLAN, an ipvlan, a bridge and a macvlan with the card's address, before and after the card was given another.
#[test]
#[ignore = "needs network cards of its own: cargo xtask vm"]
fn the_address_that_a_card_was_built_with() {
    let nics = Nics::take();
    let [nic, second] = &nics.all;
    let clones = format!(
        "ip link add link {0} name v100 type vlan id 100; ip link add link {0} name i0 type ipvlan
         ip link add br0 address {2} type bridge; ip link add link {1} name m0 address {2} type macvlan",
        nic.name, second.name, nic.mac
    );
    nics.node.run(["sh", "-ec", &clones]).unwrap();
    let by = |mac: &str| status(nics.node.namespaces(), json!({"hwaddr": mac}));
    // It is the card that is found, and not lent with what is made upon it.
    let found = format!("cannot carry {}: v100 is made upon the device", nic.name);
    let is_found = || by(nic.mac).is_err_and(|error| error.starts_with(&found));
    assert!(is_found(), "{:?}", by(nic.mac));
    nics.node.run(["ip", "link", "set", &nic.name, "address", "02:fc:00:00:0c:09"]).unwrap();
    assert!(is_found(), "{:?}", by(nic.mac));
    nics.node.run(["ip", "link", "set", &nic.name, "address", nic.mac]).unwrap();
    let twins = "for n in 0 1; do ip link add d$n address 02:fc:00:00:0c:07 type dummy; done";
    nics.node.run(["sh", "-ec", twins]).unwrap();
    let why = "hwaddr 02:fc:00:00:0c:07: several links match: d0 (dummy), d1 (dummy); name one by \"device\"";
    assert_eq!(by("02:fc:00:00:0c:07"), Err(format!("failed to find host device: {why}")));
}

#[test]
#[ignore = "needs network cards of its own: cargo xtask vm"]
fn a_card_that_a_program_drives() {
    let nics = Nics::take();
    let [nic, second] = &nics.all;
    let pci = [
        (json!({"pciBusID": nic.pci}), format!("pciBusID {:?}", nic.pci)),
        (json!({"runtimeConfig": {"deviceID": nic.pci}}), format!("runtimeConfig.deviceID {:?}", nic.pci)),
    ];
    let namespaces = nics.node.namespaces();
    nics.bind(nic, None);
    for (keys, selector) in &pci {
        let expected = format!("error with host device: {selector}: no driver is bound to it");
        assert_eq!(status(namespaces, keys.clone()), Err(expected));
    }
    nics.bind(nic, Some("uio_pci_generic"));
    for (keys, _) in &pci {
        assert_eq!(status(namespaces, keys.clone()), Ok(()), "{keys}");
    }
    for keys in [json!({"hwaddr": nic.mac}), json!({"kernelpath": nic.path})] {
        assert!(status(namespaces, keys).unwrap_err().ends_with("Link not found"));
    }
    assert_eq!(status(namespaces, json!({"pciBusID": second.pci})), Ok(()));
}
