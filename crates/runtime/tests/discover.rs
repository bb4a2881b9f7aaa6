//! Configuration directories as operators have them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../src/testing.rs"]
mod testing;

use runtime::discover::{SIZE_LIMIT, default_network, load};
use serde_json::Value;
use testing::Scratch;

fn list(name: &str, mark: &str) -> String {
    format!(r#"{{"cniVersion":"1.0.0","name":"{name}","plugins":[{{"type":"{mark}"}}]}}"#)
}

fn single(name: &str, mark: &str) -> String {
    format!(r#"{{"cniVersion":"0.3.1","name":"{name}","type":"{mark}"}}"#)
}

fn types(plugins: &[Value]) -> Vec<&str> {
    plugins.iter().map(|plugin| plugin["type"].as_str().unwrap()).collect()
}

#[test]
fn lists_come_before_single_plugins_and_names_before_later_names() {
    let scratch = Scratch::new("discover-order");
    scratch.write("00-a.conf", single("net", "single"));
    scratch.write("20-b.conflist", list("net", "second"));
    scratch.write("10-c.conflist", list("net", "first"));
    scratch.write("05-d.json", single("other", "json"));
    scratch.write("deeper/00.conflist", list("net", "deeper"));
    scratch.write("00-e.txt", list("net", "text"));
    assert_eq!(types(&load(scratch.path(), "net").unwrap().list.plugins), ["first"]);
    let other = load(scratch.path(), "other").unwrap();
    assert_eq!(types(&other.list.plugins), ["json"]);
    assert!(other.file.ends_with("05-d.json"));
    assert_eq!(default_network(scratch.path()).unwrap().list.plugins[0]["type"], "single");
}

#[test]
fn a_broken_file_of_another_network_hides_nothing() {
    let scratch = Scratch::new("discover-broken");
    scratch.write("00-broken.conflist", "{");
    scratch.write("01-empty.conflist", r#"{"name":"empty","plugins":[]}"#);
    scratch.write("10-net.conflist", list("net", "a"));
    let found = load(scratch.path(), "net").unwrap();
    assert_eq!(types(&found.list.plugins), ["a"]);
    assert_eq!(found.warnings.len(), 2);
    assert!(found.warnings[0].contains("00-broken.conflist"), "{:?}", found.warnings);
    let error = load(scratch.path(), "empty").unwrap_err();
    assert!(error.msg.contains("01-empty.conflist") && error.msg.contains("no plugins in list"), "{error}");
    let error = load(scratch.path(), "missing").unwrap_err();
    assert_eq!(error.msg, format!("no net configuration with name \"missing\" in {}", scratch.path().display()));
    assert!(error.details.contains("00-broken.conflist"), "it may be the one that was meant: {error}");
    assert_eq!(default_network(scratch.path()).unwrap().list.name, "net");
}

#[test]
fn an_empty_or_missing_directory_says_so() {
    let scratch = Scratch::new("discover-empty");
    for directory in [scratch.path().to_owned(), scratch.path().join("missing")] {
        let text = format!("no net configurations found in {}", directory.display());
        assert_eq!(load(&directory, "net").unwrap_err().msg, text);
        assert_eq!(default_network(&directory).unwrap_err().msg, text);
    }
}

#[test]
fn drop_ins_follow_the_inlined_plugins_and_are_in_the_bytes() {
    let scratch = Scratch::new("discover-drop-ins");
    scratch
        .write("net.conflist", r#"{"name":"net","x":9007199254740993,"cniVersion":"1.0.0","plugins":[{"type":"a"}]}"#);
    scratch.write("net/20.conf", r#"{"type":"c","y":1.0}"#);
    scratch.write("net/10.conf", r#"{"Type":"b"}"#);
    scratch.write("net/30.conflist", r#"{"type":"not"}"#);
    let network = load(scratch.path(), "net").unwrap().list;
    let text = String::from_utf8(network.bytes).unwrap();
    assert_eq!(
        text,
        r#"{"name":"net","x":9007199254740993,"cniVersion":"1.0.0","plugins":[{"type":"a"},{"Type":"b"},{"type":"c","y":1.0}]}"#
    );
    assert_eq!(network.plugins.len(), 3);
}

#[test]
fn a_list_may_live_of_drop_ins_or_refuse_them() {
    let scratch = Scratch::new("discover-only-drop-ins");
    scratch.write("net.conflist", r#"{"name":"net","cniVersion":"1.0.0"}"#);
    assert!(load(scratch.path(), "net").unwrap_err().msg.ends_with("no plugin configs found"));
    scratch.write("net/10.conf", r#"{"type":"b"}"#);
    assert_eq!(types(&load(scratch.path(), "net").unwrap().list.plugins), ["b"]);
    scratch.write("net/20.conf", r#"{"name":"no type"}"#);
    let error = load(scratch.path(), "net").unwrap_err();
    assert!(error.msg.contains("20.conf") && error.msg.contains("missing 'type'"), "{error}");
    let inlined = r#"{"name":"net","loadOnlyInlinedPlugins":true,"plugins":[{"type":"a"}]}"#;
    scratch.write("net.conflist", inlined);
    assert_eq!(types(&load(scratch.path(), "net").unwrap().list.plugins), ["a"]);
}

#[test]
fn a_name_that_is_a_path_reads_nothing() {
    let scratch = Scratch::new("discover-names");
    scratch.write("conf/net.conflist", r#"{"name":"../elsewhere","cniVersion":"1.0.0"}"#);
    scratch.write("elsewhere/10.conf", r#"{"type":"evil"}"#);
    let directory = scratch.path().join("conf");
    assert!(load(&directory, "../elsewhere").unwrap_err().msg.contains("invalid characters found in network name"));
    assert!(default_network(&directory).unwrap_err().details.contains("invalid characters found in network name"));
}

#[test]
fn a_file_that_is_too_large_is_refused_by_name() {
    let scratch = Scratch::new("discover-large");
    let padding = " ".repeat(usize::try_from(SIZE_LIMIT).unwrap());
    scratch.write("big.conflist", list("net", "a") + &padding);
    let error = load(scratch.path(), "net").unwrap_err();
    assert!(error.details.contains("big.conflist: larger than 2097152 bytes"), "{error}");
}
