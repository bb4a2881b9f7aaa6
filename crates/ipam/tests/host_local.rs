//! The verbs of host-local on real files: results, error texts, and what is left in the directory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use common::{Call, Dir, addresses};
use ipam::host_local::{add, attachments, check, del, gc, owned, preview, status};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

fn ranges(subnets: &[&str]) -> Value {
    let sets: Vec<Value> = subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
    json!({"ranges": sets})
}

fn try_add(conf: &Value, id: &str, args: &str) -> Result<Vec<String>, String> {
    add(&Call("ADD", id, "eth0", args).request(conf))
        .map(|result| addresses(&result))
        .map_err(|error| error.to_string())
}

#[test]
fn files_are_those_of_the_reference() {
    let dir = Dir::new();
    let mut conf = dir.conf(ranges(&["10.1.2.0/24", "2001:db8:1::/64"]));
    conf["ipam"]["routes"] = json!([{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": "10.1.2.9"}]);
    let result = add(&Call("ADD", "c1", "eth0", "").request(&conf)).unwrap();
    assert_eq!(addresses(&result), ["10.1.2.2/24", "2001:db8:1::2/64"]);
    let gateways: Vec<_> = result.ips.iter().map(|ip| ip.gateway.unwrap().to_string()).collect();
    assert_eq!(gateways, ["10.1.2.1", "2001:db8:1::1"]);
    assert_eq!(result.routes.len(), 2);
    for (name, content, mode) in [
        ("10.1.2.2", "c1\r\neth0", 0o600),
        ("2001:db8:1::2", "c1\r\neth0", 0o600),
        ("last_reserved_ip.0", "10.1.2.2", 0o600),
        ("last_reserved_ip.1", "2001:db8:1::2", 0o600),
        ("lock", "", 0o750),
    ] {
        assert_eq!(dir.read(name).as_deref(), Some(content), "{name}");
        assert_eq!(fs::metadata(dir.net().join(name)).unwrap().mode() & 0o777, mode, "{name}");
    }
    assert_eq!(fs::metadata(dir.net()).unwrap().mode() & 0o777, 0o755);
    let mut names: Vec<_> = fs::read_dir(dir.net()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["10.1.2.2", "2001:db8:1::2", "last_reserved_ip.0", "last_reserved_ip.1", "lock"]);
}

#[test]
fn a_life() {
    let dir = Dir::new();
    let conf = dir.conf(ranges(&["10.1.2.0/29", "fd00::/112"]));
    let call = |verb| Call(verb, "c1", "eth0", "").request(&conf);
    assert_eq!(addresses(&preview(&call("PLAN")).unwrap()), ["10.1.2.2/29", "fd00::2/112"]);
    assert!(!dir.net().exists() && dir.index().is_empty(), "a preview leaves nothing");
    assert!(check(&call("CHECK")).is_err() && owned(&call("DEL")).unwrap().is_empty());
    del(&call("DEL")).unwrap();
    add(&call("ADD")).unwrap();
    check(&call("CHECK")).unwrap();
    assert_eq!(owned(&call("DEL")).unwrap().len(), 2);
    assert_eq!(attachments(&call("GC")).unwrap(), [("c1".to_owned(), "eth0".to_owned())]);
    let text = "failed to allocate for range 0: 10.1.2.2 has been allocated to c1, duplicate allocation is not allowed";
    assert_eq!(try_add(&conf, "c1", "").unwrap_err(), text);
    assert_eq!(preview(&call("PLAN")).unwrap_err().to_string(), text);
    assert_eq!(dir.reservations().len(), 2, "what an earlier ADD reserved stays");
    let other = addresses(&add(&Call("ADD", "c1", "eth1", "").request(&conf)).unwrap());
    assert_eq!(other, ["10.1.2.3/29", "fd00::3/112"]);
    del(&call("DEL")).unwrap();
    del(&call("DEL")).unwrap();
    assert_eq!(dir.reservations().keys().collect::<Vec<_>>(), ["10.1.2.3", "fd00::3"]);
    let error = check(&call("CHECK")).unwrap_err().to_string();
    assert_eq!(error, "host-local: Failed to find address added by container c1");
}

#[test]
fn round_robin_skips_what_was_just_released() {
    let dir = Dir::new();
    let conf = dir.conf(ranges(&["10.1.2.0/29"]));
    for expected in ["10.1.2.2/29", "10.1.2.3/29", "10.1.2.4/29", "10.1.2.5/29", "10.1.2.6/29", "10.1.2.2/29"] {
        assert_eq!(addresses(&preview(&Call("PLAN", "c1", "eth0", "").request(&conf)).unwrap()), [expected]);
        assert_eq!(try_add(&conf, "c1", "").unwrap(), [expected]);
        del(&Call("DEL", "c1", "eth0", "").request(&conf)).unwrap();
    }
}

#[test]
fn requested_addresses() {
    let dir = Dir::new();
    let mut conf = dir.conf(ranges(&["10.1.2.0/24", "10.1.3.0/24"]));
    assert_eq!(try_add(&conf, "c1", "IP=10.1.3.77").unwrap(), ["10.1.2.2/24", "10.1.3.77/24"]);
    assert_eq!(dir.read("last_reserved_ip.1").as_deref(), Some("10.1.3.77"));
    let taken = "failed to allocate for range 1: requested IP address 10.1.3.77 is not available in range set 10.1.3.1-10.1.3.254";
    assert_eq!(try_add(&conf, "c2", "IP=10.1.3.77/24").unwrap_err(), taken);
    assert_eq!(preview(&Call("PLAN", "c2", "eth0", "IP=10.1.3.77").request(&conf)).unwrap_err().to_string(), taken);
    let gateway = "failed to allocate for range 0: requested ip 10.1.2.1 is subnet's gateway";
    assert_eq!(try_add(&conf, "c2", "IP=10.1.2.1").unwrap_err(), gateway);
    let outside = "failed to allocate all requested IPs: 10.9.9.9";
    assert_eq!(try_add(&conf, "c2", "IgnoreUnknown=1;K8S_POD_NAME=p;IP=10.9.9.9").unwrap_err(), outside);
    assert_eq!(dir.reservations().len(), 2, "failed calls leave nothing");
    conf["args"] = json!({"cni": {"ips": ["10.1.2.9/24", "10.1.2.9"]}});
    conf["runtimeConfig"] = json!({"ips": ["10.1.3.9"]});
    assert_eq!(try_add(&conf, "c2", "").unwrap(), ["10.1.2.9/24", "10.1.3.9/24"]);
    conf["args"] = json!({});
    conf["runtimeConfig"] = json!({});
    assert_eq!(try_add(&conf, "c3", "IP=").unwrap(), ["10.1.2.10/24", "10.1.3.10/24"]);
    assert_eq!(try_add(&conf, "c4", "MAC=1").unwrap_err(), r#"ARGS: unknown args ["MAC=1"]"#);
}

#[test]
fn a_full_set_and_an_atomic_failure() {
    let dir = Dir::new();
    let conf = dir.conf(ranges(&["10.1.2.0/24", "10.1.3.0/30"]));
    let ready = || status(&Call("STATUS", "", "", "").request(&conf));
    ready().unwrap();
    assert!(!dir.net().exists(), "STATUS leaves nothing");
    assert_eq!(try_add(&conf, "c1", "").unwrap(), ["10.1.2.2/24", "10.1.3.2/30"]);
    let full = "failed to allocate for range 1: no IP addresses available in range set: 10.1.3.1-10.1.3.2";
    assert_eq!(try_add(&conf, "c2", "").unwrap_err(), full);
    assert_eq!(dir.reservations().len(), 2);
    let error = ready().unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (50, "no IP addresses available in range set: 10.1.3.1-10.1.3.2"));
}

#[test]
fn legacy_ranges_and_those_of_the_runtime_come_first() {
    let dir = Dir::new();
    let mut conf =
        dir.conf(json!({"subnet": "10.2.0.0/24", "rangestart": "10.2.0.50", "ranges": [[{"subnet": "10.3.0.0/24"}]]}));
    conf["runtimeConfig"] = json!({"ipRanges": [[{"subnet": "10.4.0.0/24", "rangeStart": "10.4.0.7", "gateway": ""}]]});
    assert_eq!(try_add(&conf, "c1", "").unwrap(), ["10.4.0.7/24", "10.2.0.50/24", "10.3.0.2/24"]);
    conf["cniVersion"] = json!("0.2.0");
    let text = "CNI version 0.2.0 does not support more than 1 address per family";
    assert_eq!(try_add(&conf, "c2", "").unwrap_err(), text);
}

#[test]
fn what_is_in_the_way_is_not_followed_and_not_waited_for() {
    let dir = Dir::new();
    let conf = dir.conf(ranges(&["10.1.2.0/24"]));
    let outside = dir.0.join("outside");
    fs::write(&outside, "nobody's business, and a long one").unwrap();
    fs::create_dir_all(dir.net()).unwrap();
    let make =
        |name: &str, kind: FileType| mknodat(CWD, dir.net().join(name), kind, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let remove = |name: &str| fs::remove_file(dir.net().join(name)).unwrap();
    for name in ["lock", "last_reserved_ip.0"] {
        symlink(&outside, dir.net().join(name)).unwrap();
        let error = try_add(&conf, "c1", "").unwrap_err();
        assert!(error.contains("Too many levels of symbolic links"), "{error}");
        remove(name);
    }
    make("last_reserved_ip.0", FileType::Fifo);
    assert!(try_add(&conf, "c1", "").unwrap_err().contains("Resource temporarily unavailable"));
    remove("last_reserved_ip.0");
    symlink("/dev/zero", dir.net().join("10.1.2.2")).unwrap();
    assert_eq!(try_add(&conf, "c1", "").unwrap(), ["10.1.2.3/24"]);
    del(&Call("DEL", "c1", "eth0", "").request(&conf)).unwrap();
    assert!(dir.net().join("10.1.2.2").is_symlink(), "it is nobody's");
    remove("10.1.2.2");
    assert_eq!(fs::read_to_string(&outside).unwrap(), "nobody's business, and a long one");
}

#[test]
fn mistakes_and_del_in_spite_of_them() {
    let dir = Dir::new();
    try_add(&dir.conf(ranges(&["10.1.0.0/16"])), "c1", "").unwrap();
    for (ipam, text) in [
        (json!({}), "no IP ranges specified"),
        (json!({"ranges": [[]]}), "invalid range set 0: empty range set"),
        (
            ranges(&["10.1.2.3/24"]),
            "invalid range set 0: Network has host bits set. For a subnet mask of length 24 the network address is 10.1.2.0",
        ),
        (ranges(&["10.1.0.0/16", "fd00::/64", "10.1.9.0/24"]), "range set 0 overlaps with 2"),
        (json!({"ranges": [[{"subnet": 7}]]}), "failed to load netconf: ipam.ranges[0][0].subnet: expected"),
    ] {
        let conf = dir.conf(ipam);
        let error = try_add(&conf, "c2", "").unwrap_err();
        assert!(error.starts_with(text), "{error}");
        assert_eq!(status(&Call("STATUS", "", "", "").request(&conf)).unwrap_err().code, 50);
    }
    let broken = dir.conf(json!({"ranges": 7, "routes": "x"}));
    del(&Call("DEL", "c1", "eth0", "nonsense").request(&broken)).unwrap();
    assert!(dir.reservations().is_empty());
    let missing = json!({"cniVersion": "1.1.0", "name": "net1", "type": "bridge"});
    assert_eq!(try_add(&missing, "c2", "").unwrap_err(), "IPAM config missing 'ipam' key");
}

#[test]
fn garbage_collection() {
    let dir = Dir::new();
    let mut conf = dir.conf(ranges(&["10.1.0.0/16"]));
    for id in ["c1", "c2", "c3"] {
        try_add(&conf, id, "").unwrap();
    }
    dir.write("10.1.7.1", "old1");
    dir.write("10.1.7.2", "old2\n");
    dir.write("10.1.7.3", "kept by the administrator");
    dir.write("10.1.7.4", "");
    gc(&Call("GC", "", "", "").request(&conf)).unwrap();
    assert_eq!(dir.reservations().len(), 7, "without a list nothing goes");
    let valid = [("c2", "eth0"), ("c1", "eth9"), ("old1", "net0"), ("never-seen", "eth0")];
    let valid: Vec<_> = valid.iter().map(|(id, ifname)| json!({"containerID": id, "ifname": ifname})).collect();
    conf["cni.dev/valid-attachments"] = json!(valid);
    gc(&Call("GC", "", "", "").request(&conf)).unwrap();
    assert_eq!(dir.reservations().keys().collect::<Vec<_>>(), ["10.1.0.3", "10.1.7.1", "10.1.7.3"]);
    conf["cni.dev/valid-attachments"] = json!([]);
    gc(&Call("GC", "", "", "").request(&conf)).unwrap();
    assert_eq!(dir.reservations().keys().collect::<Vec<_>>(), ["10.1.7.3"]);
    assert!(dir.read("lock").is_some() && dir.read("last_reserved_ip.0").is_some() && dir.index().is_empty());
}

#[test]
fn old_files_and_blank_files() {
    let dir = Dir::new();
    let conf = dir.conf(ranges(&["10.1.2.0/30"]));
    dir.write("10.1.2.2", "");
    status(&Call("STATUS", "", "", "").request(&conf)).unwrap();
    assert_eq!(addresses(&preview(&Call("PLAN", "c1", "eth0", "").request(&conf)).unwrap()), ["10.1.2.2/30"]);
    assert_eq!(dir.read("10.1.2.2").as_deref(), Some(""), "a preview removes nothing");
    assert_eq!(try_add(&conf, "c1", "").unwrap(), ["10.1.2.2/30"], "what a crash left is free");
    dir.write("10.1.2.2", "c7\n");
    fs::remove_dir_all(dir.0.join(".netferry")).unwrap();
    check(&Call("CHECK", "c7", "eth0", "").request(&conf)).unwrap();
    assert!(try_add(&conf, "c7", "").unwrap_err().contains("duplicate allocation"));
    del(&Call("DEL", "c7", "eth0", "").request(&conf)).unwrap();
    assert!(dir.reservations().is_empty());
}

#[test]
fn long_names_and_resolv_conf() {
    let dir = Dir::new();
    let mut conf = dir.conf(ranges(&["10.1.0.0/16"]));
    let resolv = dir.0.join("resolv.conf");
    fs::write(&resolv, "nameserver 192.0.2.53\nsearch a b\n").unwrap();
    conf["ipam"]["resolvConf"] = json!(resolv);
    let long = "x".repeat(5000);
    let result = add(&Call("ADD", &long, "eth0", "").request(&conf)).unwrap();
    assert_eq!((result.dns.nameservers, result.dns.search), (vec!["192.0.2.53".into()], vec!["a".into(), "b".into()]));
    assert!(try_add(&conf, &long, "").unwrap_err().contains("duplicate allocation"));
    del(&Call("DEL", &long, "eth0", "").request(&conf)).unwrap();
    assert!(dir.reservations().is_empty() && dir.index().is_empty());
    conf["ipam"]["resolvConf"] = json!(dir.0.join("absent"));
    assert!(try_add(&conf, "c1", "").unwrap_err().ends_with("absent: No such file or directory"));
}

#[test]
fn a_nearly_full_16() {
    let dir = Dir::new();
    let conf = dir.conf(ranges(&["10.1.0.0/16"]));
    fs::create_dir_all(dir.net()).unwrap();
    for host in (2..65535u32).filter(|host| *host != 40_000) {
        fs::write(dir.net().join(format!("10.1.{}.{}", host >> 8, host & 255)), format!("old{host}\r\neth0")).unwrap();
    }
    assert_eq!(try_add(&conf, "c1", "").unwrap(), ["10.1.156.64/16"]);
    assert!(try_add(&conf, "c2", "").unwrap_err().contains("no IP addresses available"));
    assert_eq!(status(&Call("STATUS", "", "", "").request(&conf)).unwrap_err().code, 50);
    del(&Call("DEL", "c1", "eth0", "").request(&conf)).unwrap();
    assert_eq!(try_add(&conf, "c2", "").unwrap(), ["10.1.156.64/16"]);
}

#[test]
fn an_owner_of_more_addresses_than_the_index_can_say() {
    let dir = Dir::new();
    let conf = dir.conf(ranges(&["10.1.0.0/16"]));
    for host in 0..900 {
        dir.write(&format!("10.1.{}.{}", 100 + host / 200, host % 200), "many\r\neth0");
    }
    assert_eq!(owned(&Call("DEL", "many", "eth0", "").request(&conf)).unwrap().len(), 900);
    assert_eq!(try_add(&conf, "c1", "").unwrap(), ["10.1.0.2/16"]);
    del(&Call("DEL", "many", "eth0", "").request(&conf)).unwrap();
    assert_eq!(dir.reservations().len(), 1);
    assert_eq!(
        dir.index().into_iter().collect::<Vec<_>>(),
        [("c1:eth0".into(), "10.1.0.2".into())] as [(String, String); 1]
    );
}

#[test]
fn something_that_cannot_be_read_is_not_forgotten() {
    let dir = Dir::new();
    let conf = dir.conf(ranges(&["10.1.0.0/16"]));
    try_add(&conf, "c1", "").unwrap();
    // A link to itself gives ELOOP, also to root.
    std::os::unix::fs::symlink("10.1.0.3", dir.net().join("10.1.0.3")).unwrap();
    fs::create_dir(dir.net().join("10.1.0.4")).unwrap();
    assert_eq!(addresses(&preview(&Call("PLAN", "c2", "eth0", "").request(&conf)).unwrap()), ["10.1.0.5/16"]);
    assert_eq!(try_add(&conf, "c2", "").unwrap(), ["10.1.0.5/16"]);
    for id in ["c1", "absent"] {
        let error = del(&Call("DEL", id, "eth0", "").request(&conf)).unwrap_err().to_string();
        assert!(error.ends_with("net1/10.1.0.3: Too many levels of symbolic links"), "{error}");
    }
    fs::remove_file(dir.net().join("10.1.0.3")).unwrap();
    del(&Call("DEL", "absent", "eth0", "").request(&conf)).unwrap();
    del(&Call("DEL", "c2", "eth0", "").request(&conf)).unwrap();
    assert!(dir.index().is_empty() && dir.read("10.1.0.2").is_none());
}
