//! A captured device as plain data, and its JSON.
//!
//! The names of the fields are part of the journal's format: they stay. A field that a later version adds has a default,
//! one that this version does not know is ignored; what must not be ignored raises [`VERSION`]. Numbers of scopes, kinds,
//! protocols and flags are the kernel's (`linux/rtnetlink.h`, `linux/if_addr.h`). Objects of the device carry no index.

use std::fmt;

use kernel::mac::Mac;
use kernel::netlink::address::Address;
use kernel::netlink::neighbour::Neighbour;
use kernel::netlink::rule::Rule;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::is_default;
use crate::located::Located;
use crate::name;
use crate::route::Route;
use crate::sysctl::Sysctl;

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// A device with everything that was captured of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// [`VERSION`].
    pub version: u32,
    /// Which device it is.
    pub identity: Identity,
    /// What is set on it.
    pub settings: Settings,
    /// Names of the devices that are made upon it, and stay behind when it goes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub children: Vec<String>,
    /// Addresses, in an order in which adding them gives the kernel's order.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// Routes out of it, of every table, those without a gateway before those that need one; then those that drop packets.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Rules that name it, or that lead its addresses to its routes, in the order in which they are tried.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Permanent neighbours and proxies.
    #[serde(default)]
    pub neighbours: Vec<Neighbour>,
    /// Its sysctls that differ from the namespace's defaults, in the order in which they are to be set.
    #[serde(default)]
    pub sysctls: Vec<Sysctl>,
    /// What a move loses and this description does not hold, in words.
    #[serde(default)]
    pub lost: Vec<String>,
}

/// Which device it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Name.
    pub name: String,
    /// Alternative names.
    #[serde(default, skip_serializing_if = "is_default")]
    pub altnames: Vec<String>,
    /// Interface index in the namespace where it was captured.
    pub index: u32,
    /// Hardware address.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mac: Option<Mac>,
    /// Hardware address that it was built with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub permanent_mac: Option<Mac>,
    /// The kernel's name of its kind (`veth`); empty for hardware.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: String,
    /// The device on a bus that it belongs to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parent: Option<Parent>,
    /// The alias that somebody gave it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alias: Option<String>,
}

/// A device on a bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The bus (`pci`).
    pub bus: String,
    /// The name on it (`0000:01:00.0`).
    pub name: String,
}

/// What is set on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Maximum transmission unit in bytes.
    pub mtu: u32,
    /// Length of the transmit queue in frames.
    pub txqlen: u32,
    /// Group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: u32,
    /// Administratively up.
    pub up: bool,
    /// Somebody wants every frame.
    #[serde(default, skip_serializing_if = "is_default")]
    pub promisc: bool,
    /// Somebody wants every multicast frame.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allmulti: bool,
    /// Name of the bridge, bond or VRF that it belongs to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub master: Option<String>,
}

/// Why a text describes no device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the description of a device: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

impl Device {
    /// The device as it is to be under another name: rules name it so, and labels begin with it where that fits.
    pub fn renamed(mut self, name: &str) -> Self {
        let old = std::mem::replace(&mut self.identity.name, name.to_owned());
        for rule in &mut self.rules {
            for link in [&mut rule.iif, &mut rule.oif].into_iter().flatten().filter(|link| **link == old) {
                name.clone_into(link);
            }
        }
        for address in &mut self.addresses {
            let Some(behind) = address.label.as_ref().and_then(|label| label.strip_prefix(&old)) else { continue };
            address.label = Some(format!("{name}{behind}")).filter(|label| label.len() <= name::LONGEST);
        }
        self
    }

    /// Reads the JSON of a device.
    ///
    /// # Errors
    /// It is no JSON, of another version, or a field is missing or wrong; the error names the field.
    pub fn from_json(text: &str) -> Result<Self, Unreadable> {
        let value: Value = serde_json::from_str(text).map_err(|error| Unreadable(error.to_string()))?;
        Self::from_value(&value)
    }

    /// Reads a device from JSON that is part of something else.
    ///
    /// # Errors
    /// As those of [`Self::from_json`].
    pub fn from_value(value: &Value) -> Result<Self, Unreadable> {
        match value.get("version") {
            Some(version) if *version == VERSION => {}
            Some(version) => {
                return Err(Unreadable(format!("version: {version} is not one that can be read, which is {VERSION}")));
            }
            None if value.is_object() => return Err(Unreadable("version: missing".into())),
            None => return Err(Unreadable("expected an object".into())),
        }
        let device = Self::deserialize(Located(value)).map_err(|error| Unreadable(error.to_string()))?;
        if let Err(invalid) = name::check(&device.identity.name) {
            return Err(Unreadable(format!("identity.name: {:?} is no name: {invalid}", device.identity.name)));
        }
        match device.sysctls.iter().position(|sysctl| !sysctl.is_valid()) {
            Some(at) => Err(Unreadable(format!("sysctls[{at}]: {} is no setting of a device", device.sysctls[at]))),
            None => Ok(device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn least() -> Value {
        json!({
            "version": 1,
            "identity": { "name": "eth1", "index": 3 },
            "settings": { "mtu": 1500, "txqlen": 1000, "up": true },
        })
    }

    fn complaint(path: &str, wrong: Value) -> String {
        let mut value = least();
        let (parent, field) = path.rsplit_once('/').expect("a path");
        let parent = value.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
        parent.insert(field.to_owned(), wrong);
        Device::from_value(&value).expect_err("an error").0
    }

    #[test]
    fn what_may_be_unsaid_has_a_default() {
        let device = Device::from_value(&least()).expect("a device");
        assert_eq!((device.identity.name.as_str(), device.settings.up), ("eth1", true));
        assert!(device.addresses.is_empty() && device.lost.is_empty() && device.identity.parent.is_none());
    }

    #[test]
    fn another_name_is_in_rules_and_labels_too() {
        let mut value = least();
        value["rules"] = json!([{ "priority": 7, "ipv6": false, "action": 1, "iif": "eth1", "oif": "eth10" }]);
        value["addresses"] =
            json!(["eth1:web", "eth1:a", "other"].map(|label| json!({ "local": "10.0.0.1/24", "label": label })));
        let device = Device::from_value(&value).expect("a device").renamed("longer-than");
        assert_eq!(device.identity.name, "longer-than");
        assert_eq!(
            (device.rules[0].iif.as_deref(), device.rules[0].oif.as_deref()),
            (Some("longer-than"), Some("eth10"))
        );
        let labels: Vec<_> = device.addresses.iter().map(|address| address.label.as_deref()).collect();
        assert_eq!(labels, [Some("longer-than:web"), Some("longer-than:a"), Some("other")]);
        let device = device.renamed("longer-than-this");
        assert_eq!(device.addresses[0].label, None);
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        let mut value = least();
        value["colour"] = json!({ "red": [1] });
        value["settings"]["speed"] = json!(10_000);
        value["addresses"] = json!([{ "local": "10.0.0.1/24", "born": "today" }]);
        assert_eq!(Device::from_value(&value).expect("a device").addresses.len(), 1);
    }

    #[test]
    fn another_version_is_refused() {
        assert_eq!(complaint("/version", json!(2)), "version: 2 is not one that can be read, which is 1");
        assert!(complaint("/version", json!("1")).starts_with("version: \"1\" is not"));
        assert_eq!(Device::from_json("{}").expect_err("none").0, "version: missing");
    }

    #[test]
    fn errors_name_the_field() {
        for (path, wrong, start) in [
            ("/settings/mtu", json!("big"), "settings.mtu: invalid type: string \"big\", expected u32"),
            ("/settings/mtu", json!(-1), "settings.mtu: invalid value"),
            ("/identity/mac", json!("zz"), "identity.mac: address zz"),
            ("/identity/altnames", json!(["a", 7]), "identity.altnames[1]: invalid type"),
            ("/settings", json!([]), "settings: invalid"),
            ("/identity", json!({ "index": 3 }), "identity: missing field `name`"),
            ("/addresses", json!([{ "local": "10.0.0.1/33" }]), "addresses[0].local: invalid IP address syntax"),
            ("/addresses", json!([{ "local": "10.0.0.1/32", "scope": 300 }]), "addresses[0].scope: invalid value"),
            ("/routes", json!([{ "dst": "::/0", "paths": [{ "weight": "1" }] }]), "routes[0].paths[0].weight: invalid"),
            ("/rules", json!([{ "ipv6": false }]), "rules[0]: missing field `priority`"),
            ("/neighbours", json!({}), "neighbours: invalid type: map"),
            ("/sysctls", json!([null]), "sysctls[0]: invalid type: null"),
        ] {
            let found = complaint(path, wrong);
            assert!(found.starts_with(start), "{path}: {found}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_device() {
        for name in ["", "..", "../all", "eth1/..", "a-name-of-more-than-fifteen"] {
            let found = complaint("/identity", json!({ "name": name, "index": 3 }));
            assert!(found.starts_with(&format!("identity.name: {name:?} is no name: ")), "{found}");
        }
        for (section, key) in [("ipv4/conf", "../all/x"), ("ipv4/../..", "rp_filter"), ("ipv6/conf", ""), ("", "mtu")] {
            let found = complaint("/sysctls", json!([{ "section": section, "key": key, "value": "1" }]));
            assert!(found.starts_with("sysctls[0]: ") && found.ends_with(" is no setting of a device"), "{found}");
        }
        let mut value = least();
        value["sysctls"] = json!([{ "section": "ipv4/conf", "key": "rp_filter", "value": "2" }]);
        assert_eq!(
            Device::from_value(&value).expect("a device").sysctls[0].path("eth1"),
            "net/ipv4/conf/eth1/rp_filter"
        );
    }

    #[test]
    fn garbage_is_an_error() {
        for text in ["", "null", "[]", "7", "{", "{\"version\":1", "\u{0}", "[{\"version\":1}]"] {
            assert!(Device::from_json(text).is_err(), "{text}");
        }
        let whole = least().to_string();
        assert!((0..whole.len()).all(|end| Device::from_json(&whole[..end]).is_err()));
    }
}
