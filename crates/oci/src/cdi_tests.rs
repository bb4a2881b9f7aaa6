use std::path::Path;

use super::*;

fn hook() -> Entry {
    Entry::new(Path::new("/usr/bin/netferry")).unwrap()
}

fn net_device(host: &str, name: Option<&str>) -> NetDevice {
    NetDevice { host: host.to_owned(), name: name.map(str::to_owned) }
}

fn device(name: &str, net_devices: &[NetDevice]) -> Device {
    Device { name: name.to_owned(), net_devices: net_devices.to_vec() }
}

fn words(kind: &str, devices: &[Device], form: &Form) -> Vec<String> {
    generate(kind, devices, form).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn devices_for_engines_that_know_them() {
    let devices = [device("nic0", &[net_device("ens2f0", Some("net1")), net_device("ens2f1", None)])];
    assert_eq!(
        generate(KIND, &devices, &Form::Devices).unwrap(),
        r#"{
  "cdiVersion": "1.1.0",
  "kind": "netferry.dev/net",
  "devices": [
    {
      "name": "nic0",
      "containerEdits": {
        "netDevices": [
          {
            "hostInterfaceName": "ens2f0",
            "name": "net1"
          },
          {
            "hostInterfaceName": "ens2f1",
            "name": "ens2f1"
          }
        ]
      }
    }
  ]
}
"#
    );
}

#[test]
fn a_hook_for_those_that_do_not() {
    let devices = [device("0", &[net_device("ens2f0", Some("net1"))]), device("1", &[net_device("ens2f1", None)])];
    assert_eq!(
        generate(KIND, &devices[..1], &Form::Hook(hook())).unwrap(),
        r#"{
  "cdiVersion": "0.5.0",
  "kind": "netferry.dev/net",
  "devices": [
    {
      "name": "0",
      "containerEdits": {
        "hooks": [
          {
            "hookName": "createRuntime",
            "path": "/usr/bin/netferry",
            "args": [
              "netferry",
              "oci",
              "hook",
              "--device=ens2f0=net1"
            ]
          },
          {
            "hookName": "poststop",
            "path": "/usr/bin/netferry",
            "args": [
              "netferry",
              "oci",
              "hook",
              "--device=ens2f0=net1"
            ]
          }
        ]
      }
    }
  ]
}
"#
    );
    let both: serde_json::Value =
        serde_json::from_str(&generate("a.b/c.d", &devices, &Form::Both(hook())).unwrap()).unwrap();
    assert_eq!(both["cdiVersion"], "1.1.0");
    assert_eq!(both["devices"][1]["containerEdits"]["netDevices"][0]["hostInterfaceName"], "ens2f1");
    assert_eq!(both["devices"][1]["containerEdits"]["hooks"][0]["args"][3], "--device=ens2f1");
    assert!(generate("a/c.d", &devices, &Form::Hook(hook())).unwrap().contains("\"0.6.0\""));
}

#[test]
fn kinds_and_names() {
    let names = |name: &str| words(KIND, &[device(name, &[net_device("a", None)])], &Form::Devices);
    for name in ["a", "0", "a_b-c.d:e0", "0000:3b:00.0"] {
        assert_eq!(names(name), [""; 0], "{name}");
    }
    for name in ["", "-a", "a:", ".", "é"] {
        let expected =
            format!("device {name:?}: it must begin and end with a letter or a digit of ASCII; choose another name");
        assert_eq!(names(name), [expected]);
    }
    for name in ["a b", "a=b", "a/b"] {
        assert_eq!(names(name).len(), 1, "{name}");
    }
    let kinds = |kind: &str| words(kind, &[device("a", &[net_device("a", None)])], &Form::Devices);
    for kind in ["netferry.dev/net", "v/c", "A_1-b.c/d-e_f9"] {
        assert_eq!(kinds(kind), [""; 0], "{kind}");
    }
    for kind in ["", "net", "/net", "a/", "1a/net", "a./net", "a/n t", "a/b/c", "a/_"] {
        assert_eq!(kinds(kind).len(), 1, "{kind}");
    }
    assert_eq!(kinds("net"), ["kind \"net\": it must be a vendor, a / and a class; netferry.dev/net is ours"]);
}

#[test]
fn what_engines_would_refuse_is_all_named() {
    let twice = [device("a", &[]), device("a", &[net_device("x%d", Some(""))])];
    assert_eq!(
        words("x", &twice, &Form::Devices),
        [
            "kind \"x\": it must be a vendor, a / and a class; netferry.dev/net is ours",
            "device \"a\": it has no network device; name one",
            "device \"a\": there are two of that name; choose another for one",
            "device \"a\": linux.netDevices: \"x%d\" is a template, and only a name in the container may be one; \
             name a device of this host",
            "device \"a\": linux.netDevices.x%d.name: must not be empty; leave it out to keep the name",
        ]
    );
    assert_eq!(words(KIND, &[], &Form::Devices), ["devices: there is none; name one"]);
    let repeated = [device("a", &[net_device("x", None), net_device("x", Some("y"))])];
    assert_eq!(
        words(KIND, &repeated, &Form::Devices),
        ["device \"a\": x is there twice, which engines refuse; ask for it once"]
    );
}

#[test]
fn what_only_one_form_cannot_say() {
    let templates = [device("a", &[net_device("x", Some("eth%d")), net_device("y", Some("eth%d"))])];
    let long = [device("a", &[net_device("enx0123456789abcdef", None)])];
    let equals = [device("a", &[net_device("a=b", None)])];
    for (devices, by_devices, by_hook) in [(&templates, 1, 0), (&long, 1, 0), (&equals, 0, 1)] {
        assert_eq!(words(KIND, devices, &Form::Devices).len(), by_devices, "{devices:?}");
        assert_eq!(words(KIND, devices, &Form::Hook(hook())).len(), by_hook, "{devices:?}");
        assert_eq!(words(KIND, devices, &Form::Both(hook())).len(), 1, "{devices:?}");
    }
}
