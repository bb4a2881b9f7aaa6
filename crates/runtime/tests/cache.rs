//! The cache beside libcni's: the same files, read and written.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../src/testing.rs"]
mod testing;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use runtime::{Attachment, Cache, Entry};
use serde_json::{Value, json};
use testing::Scratch;

/// As libcni 1.1.2 wrote it for `cnitool add`.
const BY_LIBCNI: &str = r#"{"kind":"cniCacheV1","containerId":"c1","config":"eyJuYW1lIjoibmV0In0=","ifName":"eth0","networkName":"net","netns":"/run/netns/x","cniArgs":[["A","b"]],"capabilityArgs":{"mac":"02:00:00:00:00:01"},"result":{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2/16"}]}}"#;

fn attachment(container_id: &str, ifname: &str) -> Attachment {
    Attachment::new(container_id, "", ifname)
}

fn entry(network: &str, container_id: &str, ifname: &str, mark: u64) -> Entry {
    let result = Some(json!({ "cniVersion": "1.0.0", "mark": mark }));
    Entry { network: network.into(), attachment: attachment(container_id, ifname), config: b"{}".to_vec(), result }
}

fn mark(cache: &Cache, network: &str, container_id: &str) -> Option<u64> {
    cache.read(network, &attachment(container_id, "eth0")).unwrap()?.result?.get("mark")?.as_u64()
}

#[test]
fn what_libcni_wrote_is_read_and_written_back_the_same() {
    let scratch = Scratch::new("cache-libcni");
    let file = scratch.write("results/net-c1-eth0", BY_LIBCNI);
    let cache = Cache::new(scratch.path());
    let entry = cache.read("net", &attachment("c1", "eth0")).unwrap().unwrap();
    assert_eq!(entry.config, br#"{"name":"net"}"#);
    assert_eq!(entry.attachment.netns, "/run/netns/x");
    assert_eq!(entry.attachment.args, [("A".to_owned(), "b".to_owned())]);
    assert_eq!(cache.list().unwrap(), std::slice::from_ref(&entry));
    cache.write(&entry).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), BY_LIBCNI);
}

#[test]
fn modes_names_and_absent_fields_are_those_of_libcni() {
    let scratch = Scratch::new("cache-modes");
    let cache = Cache::new(scratch.path().join("cni"));
    cache.write(&Entry { result: None, ..entry("net", "c1", "eth0", 0) }).unwrap();
    let file = scratch.path().join("cni/results/net-c1-eth0");
    let expected = r#"{"kind":"cniCacheV1","containerId":"c1","config":"e30=","ifName":"eth0","networkName":"net"}"#;
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn a_bare_result_of_old_is_the_attachments_own() {
    let scratch = Scratch::new("cache-legacy");
    scratch.write("results/net-c1-eth0", r#"{"cniVersion":"0.3.1","ips":[]}"#);
    let cache = Cache::new(scratch.path());
    let entry = cache.read("net", &attachment("c1", "eth0")).unwrap().unwrap();
    assert_eq!(entry.result.unwrap()["cniVersion"], "0.3.1");
    assert!(entry.config.is_empty());
    assert_eq!(cache.list().unwrap(), [], "it does not say whose it is");
}

#[test]
fn what_is_no_entry_is_an_error_to_read_and_none_to_remove_or_replace() {
    let broken =
        ["", "{", "[]", "null", r#"{"kind":"cniCacheV1","config":"*"}"#, r#"{"kind":"cniCacheV1","cniArgs":7}"#];
    for (at, text) in broken.into_iter().enumerate() {
        let scratch = Scratch::new(&format!("cache-broken-{at}"));
        let file = scratch.write("results/net-c1-eth0", text);
        let cache = Cache::new(scratch.path());
        assert!(cache.read("net", &attachment("c1", "eth0")).is_err(), "{text}");
        assert_eq!(cache.list().unwrap(), []);
        cache.write(&entry("net", "c1", "eth0", 1)).unwrap();
        assert_eq!(mark(&cache, "net", "c1"), Some(1));
        fs::write(&file, text).unwrap();
        cache.remove("net", &attachment("c1", "eth0")).unwrap();
        assert!(!file.exists());
    }
}

#[test]
fn attachments_that_share_a_file_name_do_not_share_a_file() {
    let scratch = Scratch::new("cache-twins");
    let cache = Cache::new(scratch.path());
    cache.write(&entry("a-b", "c", "eth0", 1)).unwrap();
    cache.write(&entry("a", "b-c", "eth0", 2)).unwrap();
    assert_eq!((mark(&cache, "a-b", "c"), mark(&cache, "a", "b-c")), (Some(1), Some(2)));
    assert_eq!(cache.list().unwrap().len(), 2);
    cache.remove("a-b", &attachment("c", "eth0")).unwrap();
    assert_eq!(mark(&cache, "a-b", "c"), None);
    assert_eq!(mark(&cache, "a", "b-c"), Some(2), "found though the first of its names is free again");
    cache.remove("a", &attachment("b-c", "eth0")).unwrap();
    assert_eq!(cache.list().unwrap(), []);
}

#[test]
fn no_name_leaves_the_directory() {
    let scratch = Scratch::new("cache-names");
    let outside = scratch.write("outside", "x");
    let cache = Cache::new(scratch.path().join("cni"));
    for (network, container_id, ifname) in [
        ("../x", "c", "eth0"),
        ("n", "../../outside", "eth0"),
        ("n", "c", "../../outside"),
        ("n", "", "eth0"),
        ("n", "c", ""),
    ] {
        assert!(cache.read(network, &attachment(container_id, ifname)).is_err());
        assert!(cache.remove(network, &attachment(container_id, ifname)).is_err());
        assert!(cache.write(&entry(network, container_id, ifname, 0)).is_err());
    }
    assert!(outside.exists());
    assert!(!scratch.path().join("cni").exists());
}

#[test]
fn exact_numbers_survive() {
    let scratch = Scratch::new("cache-numbers");
    let cache = Cache::new(scratch.path());
    let mut exact = entry("net", "c", "eth0", 0);
    exact.result = serde_json::from_str::<Value>(r#"{"cniVersion":"1.0.0","x":9007199254740993,"y":1.0}"#).ok();
    cache.write(&exact).unwrap();
    let text = fs::read_to_string(scratch.path().join("results/net-c-eth0")).unwrap();
    assert!(text.contains(r#""x":9007199254740993,"y":1.0"#), "{text}");
    assert_eq!(cache.list().unwrap(), [exact]);
}
