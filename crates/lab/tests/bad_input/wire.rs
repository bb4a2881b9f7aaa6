//! Standard input: what is not JSON, is too much of it, names no network, or speaks another version.

use crate::case::Case;
use crate::case::Text::{Has, Is};
use crate::case::good;
use serde_json::json;

const DECODE: &str = "error unmarshall network config";
const MEBIBYTE: usize = 1 << 20;

/// The rows.
pub fn cases() -> Vec<Case> {
    [documents(), names(), versions()].into_iter().flatten().collect()
}

fn documents() -> Vec<Case> {
    let whole = good("bridge").to_string();
    let truncated = |length: usize| whole.as_bytes()[..length].to_vec();
    let mut deep = good("bridge").to_string();
    deep.truncate(deep.len() - 1);
    deep.push_str(&format!(",\"x\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000)));
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("spaces", b" \n\t ".to_vec()),
        ("one brace", b"{".to_vec()),
        ("truncated in a key", truncated(5)),
        ("truncated in a string", truncated(whole.len() / 2)),
        ("without its last byte", truncated(whole.len() - 1)),
        ("two documents", format!("{whole}{whole}").into_bytes()),
        ("garbage after it", format!("{whole}x").into_bytes()),
        ("an array", b"[]".to_vec()),
        ("a string", b"\"bridge\"".to_vec()),
        ("a number", b"1".to_vec()),
        ("NUL bytes", vec![0; 64]),
        ("bytes that are no text", vec![0xff, 0xfe, 0x00, 0x80]),
        ("1 MiB of letters", vec![b'x'; MEBIBYTE]),
        ("1 MiB of spaces", vec![b' '; MEBIBYTE]),
        ("1 MiB of brackets", vec![b'['; MEBIBYTE]),
        ("1 MiB of opened objects", b"{\"a\":".repeat(MEBIBYTE / 5)),
        ("1 MiB of a string that does not end", [b"{\"name\":\"".as_slice(), &vec![b'n'; MEBIBYTE]].concat()),
        ("20,000 arrays in an unknown key", deep.into_bytes()),
        ("a comment", format!("// x\n{whole}").into_bytes()),
        (
            "a trailing comma",
            whole.replacen("\"bridge\"", "\"bridge\",", 1).replace(",,", ",").replace('}', ",}").into_bytes(),
        ),
    ];
    let case =
        |(name, bytes): (&str, Vec<u8>)| Case::add(&format!("stdin is {name}"), "bridge", 6, Has(DECODE)).stdin(bytes);
    rows.into_iter().map(case).collect()
}

fn names() -> Vec<Case> {
    const INVALID: &str = "invalid characters found in network name";
    let mut cases = vec![
        Case::add("no network name", "bridge", 7, Is("missing network name")).conf(json!({"name": null})),
        Case::add("empty network name", "host-local", 7, Is("missing network name")).conf(json!({"name": ""})),
        Case::add("null instead of an object", "ptp", 7, Is("missing network name")).stdin("null"),
        Case::add("network name is a number", "bridge", 6, Has(DECODE)).conf(json!({"name": 7})),
        Case::add("1 MiB of a network name", "host-local", 7, Has(INVALID)).conf(json!({"name": "/".repeat(MEBIBYTE)})),
    ];
    for name in ["../../etc", "..", ".", "a/b", "/etc", "a b", "a\n", "-a", "ü"] {
        for (plugin, verb) in [("host-local", "ADD"), ("bridge", "DEL")] {
            let title = format!("network name {name:?} on {verb}");
            cases.push(Case::add(&title, plugin, 7, Has(INVALID)).verb(verb).conf(json!({"name": name})));
        }
    }
    cases
}

fn versions() -> Vec<Case> {
    let incompatible = |name: &str, plugin, text| Case::add(name, plugin, 1, Has(text));
    let check = "config version does not allow CHECK";
    vec![
        incompatible("a version to come", "bridge", "config is \"9.9.9\", plugin supports [\"0.1.0\" \"0.2.0\"")
            .conf(json!({"cniVersion": "9.9.9"})),
        incompatible("a version of two parts", "ptp", "config is \"1.0\", plugin supports")
            .conf(json!({"cniVersion": "1.0"})),
        incompatible("a version with a space", "loopback", "incompatible CNI versions; config is \"1.0.0 \"")
            .conf(json!({"cniVersion": "1.0.0 "})),
        incompatible("no version at all", "static", "incompatible CNI versions; config is \"latest\"")
            .conf(json!({"cniVersion": "latest"})),
        incompatible("DEL of a version to come", "host-local", "incompatible CNI versions")
            .verb("DEL")
            .conf(json!({"cniVersion": "2.0.0"})),
        Case::add("version is a number", "bridge", 6, Has("cniVersion")).conf(json!({"cniVersion": 1})),
        Case::add("CHECK of 0.3.1", "bridge", 1, Is(check)).verb("CHECK").conf(json!({"cniVersion": "0.3.1"})),
        Case::add("CHECK without a version", "ptp", 1, Is(check)).verb("CHECK").conf(json!({"cniVersion": null})),
        Case::add("GC of 1.0.0", "bridge", 1, Is("config version does not allow GC"))
            .verb("GC")
            .conf(json!({"cniVersion": "1.0.0"})),
        Case::add("STATUS of 1.0.0", "host-local", 1, Is("config version does not allow STATUS"))
            .verb("STATUS")
            .conf(json!({"cniVersion": "1.0.0"})),
        Case::add("CHECK of no version", "bridge", 6, Has("latest"))
            .verb("CHECK")
            .conf(json!({"cniVersion": "latest"})),
        Case::add("GC of no version", "bridge", 6, Has("latest")).verb("GC").conf(json!({"cniVersion": "latest"})),
    ]
}
