//! What of a `config.json` counts for network devices, typed.
//!
//! Only the fields below are looked at, everything else may be whatever it is. A field that is looked at and has
//! another type than the specification gives it is an error; what has the right type and makes no sense is for
//! [`validate`](crate::validate()) to say.
//! Fields: `config.md` and `config-linux.md` of the runtime specification.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::document::Document;
use crate::field::{self, Field};
use crate::{Error, Result};

const DEVICES: [&str; 2] = ["linux", "netDevices"];

/// What of a `config.json` counts for network devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// `ociVersion`.
    pub oci_version: Option<String>,
    /// `root.path`; relative to the bundle, or absolute.
    pub root: Option<PathBuf>,
    /// `annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `linux.netDevices` in the order of the file. Of entries with one key the last one counts.
    pub devices: Vec<NetDevice>,
    /// The container's network namespace.
    pub network: Namespace,
    /// The container's user namespace.
    pub user: Namespace,
    /// `linux.uidMappings` has entries.
    pub has_uid_mappings: bool,
    /// How many hooks `hooks.prestart` has: they run before those of `hooks.createRuntime`.
    pub prestart_hooks: usize,
    /// How many hooks `hooks.createRuntime` has.
    pub create_runtime_hooks: usize,
    /// `linux.sysctl` has one of a network device that is not in every namespace.
    pub sets_devices: bool,
}

/// An entry of `linux.netDevices`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NetDevice {
    /// Its key: the device's name on the host, or an alternative one.
    pub host: String,
    /// `name` as it is given, even if it is empty.
    pub name: Option<String>,
}

impl NetDevice {
    /// The name, or template, that the device gets in the container; `None` if it keeps the one that it has. The
    /// specification says that it keeps `host`, which no device can where that is one of its alternative names.
    pub fn new_name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.is_empty())
    }
}

/// A namespace of a container, by `linux.namespaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    /// There is no entry: it is that of the runtime.
    None,
    /// The runtime makes it.
    New,
    /// It is there before.
    Path(PathBuf),
}

impl Spec {
    /// Reads what counts of a `config.json`.
    ///
    /// # Errors
    /// [`Error::Field`]: a field has another type than the specification gives it; `linux.namespaces` has two entries
    /// of one type, or a path in it is not absolute.
    pub fn read(config: &Document) -> Result<Self> {
        let string = |path: &[&str]| Field::at(config, path).map(|field| field.string()).transpose();
        let count = |path: &[&str]| config.elements(path).map(|elements| elements.unwrap_or_default().len());
        Ok(Self {
            oci_version: string(&["ociVersion"])?,
            root: string(&["root", "path"])?.map(PathBuf::from),
            annotations: field::strings(config, &["annotations"])?,
            devices: devices(config)?,
            network: namespace(config, "network")?,
            user: namespace(config, "user")?,
            has_uid_mappings: count(&["linux", "uidMappings"])? > 0,
            prestart_hooks: count(&["hooks", "prestart"])?,
            create_runtime_hooks: count(&["hooks", "createRuntime"])?,
            // What else is wrong with them is for the runtime to say.
            sets_devices: config
                .members(&["linux", "sysctl"])
                .ok()
                .flatten()
                .is_some_and(|sysctls| sysctls.iter().any(|(key, _)| is_of_device(key))),
        })
    }
}

/// True of `net.ipv4.conf.eth0.arp_ignore`, and of `net/ipv6/neigh/eth0/mcast_solicit`.
fn is_of_device(sysctl: &str) -> bool {
    let mut parts = sysctl.split(['.', '/']);
    let (net, kind, device) = (parts.next(), parts.nth(1), parts.next());
    net == Some("net")
        && matches!(kind, Some("conf" | "neigh"))
        && device.is_some_and(|device| !matches!(device, "all" | "default" | "lo"))
}

fn devices(config: &Document) -> Result<Vec<NetDevice>> {
    let mut seen = BTreeSet::new();
    let mut devices = Vec::new();
    for (host, raw) in config.members(&DEVICES)?.unwrap_or_default().into_iter().rev() {
        // The last one counts; but one that is wrong is wrong for Go, whatever comes after.
        let name = device_name(&host, raw)?;
        if seen.insert(host.clone()) {
            devices.push(NetDevice { host, name });
        }
    }
    devices.reverse();
    Ok(devices)
}

/// The member `name` of an entry; a `null` in its place is an entry without one.
fn device_name(host: &str, raw: &str) -> Result<Option<String>> {
    if raw == "null" {
        return Ok(None);
    }
    let entry = Field::new(field::joined(&[&DEVICES[..], &[host]].concat()), raw);
    entry.member("name")?.map(|name| name.string()).transpose()
}

fn namespace(config: &Document, kind: &str) -> Result<Namespace> {
    let Some(namespaces) = Field::at(config, &["linux", "namespaces"]) else { return Ok(Namespace::None) };
    let mut found = Namespace::None;
    for entry in namespaces.elements()? {
        if entry.member("type")?.map(|name| name.string()).transpose()?.as_deref() != Some(kind) {
            continue;
        }
        if found != Namespace::None {
            return Err(twice(&entry, kind));
        }
        found = match entry.member("path")? {
            Some(path) if !path.string()?.is_empty() => Namespace::Path(path.absolute_path()?),
            _ => Namespace::New,
        };
    }
    Ok(found)
}

fn twice(entry: &Field<'_>, kind: &str) -> Error {
    entry.must(format!("be the only one whose type is {kind:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Spec> {
        Spec::read(&Document::read(text.as_bytes()).unwrap())
    }

    fn device(host: &str, name: Option<&str>) -> NetDevice {
        NetDevice { host: host.to_owned(), name: name.map(str::to_owned) }
    }

    #[test]
    fn a_whole_one() {
        let spec = read(
            r#"{"ociVersion": "1.3.0", "hostname": 7, "root": {"path": "rootfs"}, "annotations": {"a": "b", "c": null},
                "hooks": {"prestart": [{}], "createRuntime": [{}, {}], "poststop": 3},
                "linux": {"uidMappings": [{"size": 1e400}], "netDevices":
                    {"z": {}, "eth1": {"name": "net1", "mtu": [9000]}, "a": null, "b": {"name": null}},
                    "namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/a"}, {"type": "user"}]}}"#,
        )
        .unwrap();
        let annotations = [("a", "b"), ("c", "")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(
            spec,
            Spec {
                oci_version: Some("1.3.0".to_owned()),
                root: Some(PathBuf::from("rootfs")),
                annotations: BTreeMap::from(annotations),
                devices: vec![device("z", None), device("eth1", Some("net1")), device("a", None), device("b", None)],
                network: Namespace::Path(PathBuf::from("/run/netns/a")),
                user: Namespace::New,
                has_uid_mappings: true,
                prestart_hooks: 1,
                create_runtime_hooks: 2,
                sets_devices: false,
            }
        );
    }

    #[test]
    fn what_is_missing_is_not_there() {
        for text in ["{}", r#"{"linux": null, "hooks": null, "annotations": null, "root": null, "ociVersion": null}"#] {
            let spec = read(text).unwrap();
            assert_eq!((spec.network, spec.user), (Namespace::None, Namespace::None));
            assert_eq!((spec.devices, spec.annotations.len(), spec.root), (vec![], 0, None));
            assert_eq!((spec.has_uid_mappings, spec.prestart_hooks, spec.create_runtime_hooks), (false, 0, 0));
        }
        let spec = read(r#"{"linux": {"uidMappings": [], "namespaces": [{"type": "network", "path": ""}]}}"#).unwrap();
        assert_eq!((spec.has_uid_mappings, spec.network), (false, Namespace::New));
    }

    #[test]
    fn sysctls_of_devices() {
        for (key, expected) in [
            ("net.ipv4.conf.eth0.arp_ignore", true),
            ("net/ipv6/neigh/eth0.7/mcast_solicit", true),
            ("net.ipv4.conf.all.forwarding", false),
            ("net.ipv6.conf.default.accept_ra", false),
            ("net.ipv4.conf.lo.arp_ignore", false),
            ("net.ipv4.ip_forward", false),
            ("kernel.conf.conf.eth0", false),
            ("net", false),
        ] {
            let spec = read(&format!(r#"{{"linux": {{"sysctl": {{"kernel.x": "1", "{key}": "1"}}}}}}"#)).unwrap();
            assert_eq!(spec.sets_devices, expected, "{key}");
        }
        assert!(!read(r#"{"linux": {"sysctl": ["net.ipv4.conf.eth0.x"]}}"#).unwrap().sets_devices);
    }

    #[test]
    fn the_last_duplicate_counts() {
        let devices = |text| read(text).unwrap().devices;
        assert_eq!(
            devices(r#"{"linux": {"netDevices": {"a": {"name": "x"}, "b": {}, "a": {}}}}"#),
            [device("b", None), device("a", None)]
        );
        // Objects are merged, as Go does.
        assert_eq!(
            devices(
                r#"{"linux": {"netDevices": {"a": {}}}, "linux": {"netDevices": {"b": {}}, "netDevices": {"c": {}}}}"#
            ),
            [device("a", None), device("b", None), device("c", None)]
        );
        assert_eq!(devices(r#"{"linux": {"netDevices": {"a": {}}}, "linux": null}"#), []);
        assert_eq!(devices(r#"{"linux": {"netDevices": {"a": {}}, "netDevices": null}}"#), []);
        assert_eq!(
            devices(r#"{"linux": {"netDevices": {"a": {"name": "x", "name": "y"}}}}"#),
            [device("a", Some("y"))]
        );
        assert_eq!(devices(r#"{"Linux": {"netDevices": {"a": {}}}}"#), []);
    }

    #[test]
    fn names_are_decoded() {
        let spec = read(r#"{"linux": {"net\u0044evices": {"eth\u0031": {"n\u0061me": "\u00e9\n"}}}}"#).unwrap();
        assert_eq!(spec.devices, [device("eth1", Some("é\n"))]);
        assert_eq!(spec.devices[0].new_name(), Some("é\n"));
        assert_eq!(device("a", Some("")).new_name(), None);
        assert_eq!(device("a", None).new_name(), None);
    }

    #[test]
    fn wrong_types_are_named() {
        for (text, expected) in [
            (
                r#"{"linux": {"netDevices": {"eth1": {"name": 23}}}}"#,
                "linux.netDevices.eth1.name: must be a string, and is 23",
            ),
            (
                r#"{"linux": {"netDevices": {"eth1": {"name": 23}, "eth1": {}}}}"#,
                "linux.netDevices.eth1.name: must be a string, and is 23",
            ),
            (
                r#"{"linux": {"netDevices": {"eth.1": []}}}"#,
                "linux.netDevices.\"eth.1\": must be an object, and is an array",
            ),
            (r#"{"linux": {"netDevices": ["eth1"]}}"#, "linux.netDevices: must be an object, and is an array"),
            (r#"{"linux": {"netDevices": "eth1"}}"#, "linux.netDevices: must be an object, and is \"eth1\""),
            (r#"{"linux": {"namespaces": {}}}"#, "linux.namespaces: must be an array, and is an object"),
            (r#"{"linux": {"namespaces": [1]}}"#, "linux.namespaces[0]: must be an object, and is 1"),
            (
                r#"{"linux": {"namespaces": [{"type": "network", "path": "a"}]}}"#,
                "linux.namespaces[0].path: must be an absolute path, and is \"a\"",
            ),
            (
                r#"{"linux": {"namespaces": [{"type": "network"}, {"type": "network"}]}}"#,
                "linux.namespaces[1]: must be the only one whose type is \"network\", and is an object",
            ),
            (r#"{"hooks": {"prestart": true}}"#, "hooks.prestart: must be an array, and is true"),
            (r#"{"annotations": {"a.b": 1}}"#, "annotations.\"a.b\": must be a string, and is 1"),
            (r#"{"ociVersion": 1.0}"#, "ociVersion: must be a string, and is 1.0"),
        ] {
            assert_eq!(read(text).map_err(|error| error.to_string()), Err(expected.to_owned()), "{text}");
        }
    }
}
