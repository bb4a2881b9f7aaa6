use std::path::Path;

use super::*;

const ROOT: Circumstances = Circumstances { is_host_netns: Some(false), owns_namespaces: true };

fn hook() -> Entry {
    Entry::new(Path::new("/n")).unwrap()
}

fn rewritten(config: &str) -> String {
    Request::read(config.as_bytes()).unwrap().unwrap().rewrite(&ROOT, hook()).unwrap()
}

fn refusals(config: &str, circumstances: Circumstances) -> Vec<String> {
    let request = Request::read(config.as_bytes()).unwrap().unwrap();
    request.rewrite(&circumstances, hook()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn devices_become_a_hook_and_nothing_else_changes() {
    let text = r#"{
  "ociVersion": "1.3.0",
  "unknown": 1e400,
  "linux": {
    "namespaces": [{"type": "network"}],
    "netDevices": {
      "eth1": {"name": "net%d"},
      "eth2": {}
    },
    "resources": {}
  },
  "hooks": {
    "createRuntime": [
      {"path": "/other"}
    ],
    "poststop": [{"path": "/last"}]
  }
}
"#;
    let hook = r#"{"path":"/n","args":["netferry","oci","hook","--device=eth1=net%d","--device=eth2"]}"#;
    let expected = r#"{
  "ociVersion": "1.3.0",
  "unknown": 1e400,
  "linux": {
    "namespaces": [{"type": "network"}],
    "resources": {}
  },
  "hooks": {
    "createRuntime": [
      HOOK,
      {"path": "/other"}
    ],
    "poststop": [{"path": "/last"},HOOK]
  }
}
"#;
    let new = rewritten(text);
    assert_eq!(new, expected.replace("HOOK", hook));
    assert_eq!(Request::read(new.as_bytes()), Ok(None));
}

#[test]
fn hooks_are_made_where_there_are_none() {
    let config = |hooks: &str| {
        format!(r#"{{"linux":{{"namespaces":[{{"type":"network"}}],"netDevices":{{"a":{{}}}}}}{hooks}}}"#)
    };
    let hook = r#"{"path":"/n","args":["netferry","oci","hook","--device=a"]}"#;
    let with = |hooks: &str| format!(r#"{{"linux":{{"namespaces":[{{"type":"network"}}]}},"hooks":{hooks}}}"#);
    for (hooks, expected) in [
        ("", r#"{"createRuntime":[HOOK],"poststop":[HOOK]}"#),
        (r#","hooks":null"#, r#"{"createRuntime":[HOOK],"poststop":[HOOK]}"#),
        (r#","hooks":{"prestart":[]}"#, r#"{"prestart":[],"createRuntime":[HOOK],"poststop":[HOOK]}"#),
        (
            r#","hooks":{"prestart":[{"path":"/p"}],"createRuntime":[{"path":"/c"}]}"#,
            r#"{"prestart":[HOOK,{"path":"/p"}],"createRuntime":[{"path":"/c"}],"poststop":[HOOK]}"#,
        ),
    ] {
        let (new, expected) = (rewritten(&config(hooks)), with(&expected.replace("HOOK", hook)));
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(json(&new), json(&expected), "{hooks}");
    }
    let wrong = refusals(&config(r#","hooks":{"poststop":{}}"#), ROOT);
    assert_eq!(wrong, ["hooks.poststop: must be an array, and is an object"]);
}

#[test]
fn what_asks_for_nothing_is_left_alone() {
    for config in [
        "",
        "no JSON",
        "{}",
        r#"{"linux":{"netDevices":{}}}"#,
        r#"{"linux":{"netDevices":null,"namespaces":7},"annotations":{"dev.netferry.x":"y"}}"#,
        r#"{"linux":{"netDevices":{"a":{}}},"linux":null}"#,
        r#"{"annotations":{"a":"netDevices"},"linux":{"namespaces":7}}"#,
        r#"{"netDevices":{"a":{}}}"#,
        r#"{"process":{"args":["\u003c\u0026"]}"#,
    ] {
        assert_eq!(Request::read(config.as_bytes()), Ok(None), "{config}");
    }
    assert!(may_ask(br#"{"linux":{"net\u0044evices":{}}}"#) && may_ask(br#""\u006eetDevices""#));
    assert!(!may_ask(br#"{"process":{"args":["\u003cnetDevice\u003e"]}}"#));
}

#[test]
fn whatever_is_wrong_is_said_at_once() {
    let config = r#"{"linux":{"netDevices":{"eth1":{"name":""},"enx0123456789ab=x":{"name":"a b"}}},
        "annotations":{"dev.netferry.carry":"all","dev.netferry.cary":"x"}}"#;
    let refusals = refusals(config, Circumstances { owns_namespaces: false, ..ROOT });
    let starts = [
        "linux.netDevices.eth1.name: must not be empty",
        "linux.netDevices.\"enx0123456789ab=x\".name: no device can be named \"a b\"",
        "linux.namespaces: ",
        "linux.netDevices: ",
        "linux.netDevices: enx0123456789ab=x has a =",
        "annotation dev.netferry.cary: there is no such key",
    ];
    assert_eq!(refusals.len(), starts.len(), "{refusals:?}");
    for (refusal, start) in refusals.iter().zip(starts) {
        assert!(refusal.starts_with(start), "{refusal} does not start with {start}");
    }
    let error = Request::read(br#"{"linux":{"netDevices":{"eth1":{"name":7}}}}"#).unwrap_err();
    assert_eq!(error.to_string(), "linux.netDevices.eth1.name: must be a string, and is 7");
    let error = Request::read(br#"{"linux":{"netDevices":["#).unwrap_err();
    assert!(error.to_string().starts_with("line 1, column 24: EOF"), "{error}");
}

#[test]
fn a_namespace_of_ours_comes_and_goes_without_a_trace() {
    let is_ours = |path: &Path| path.starts_with("/run/pins");
    for (text, placed_text) in [
        (
            r#"{"linux":{"namespaces":[{"type":"pid"},{"type":"network"}]}}"#,
            r#"{"linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/run/pins/a b\""}]}}"#,
        ),
        (
            "{\"linux\": {\"namespaces\": [\n  { \"x\": 1e400, \"type\" : \"net\\u0077ork\" }\n]}}",
            "{\"linux\": {\"namespaces\": [\n  { \"x\": 1e400, \"type\" : \"net\\u0077ork\", \"path\" : \"/run/pins/a b\\\"\" }\n]}}",
        ),
    ] {
        let there = placed(text, Path::new("/run/pins/a b\"")).unwrap();
        assert_eq!(Document::read(there.as_bytes()).unwrap(), Document::read(placed_text.as_bytes()).unwrap());
        assert_eq!(unplaced(there.as_bytes(), is_ours).unwrap(), text);
    }
    // It says something of a path, or there is none that it could be said of.
    for path in [r#""path":"/run/netns/a""#, r#""path":"""#, r#""path":null"#, r#""p\u0061th":"/a""#] {
        let text = format!(r#"{{"linux":{{"namespaces":[{{"type":"network",{path}}}]}}}}"#);
        assert_eq!(placed(&text, Path::new("/run/pins/a")), None, "{text}");
        assert_eq!(unplaced(text.as_bytes(), is_ours), None, "{text}");
    }
    for text in [
        "{}",
        r#"{"linux":{"namespaces":[]}}"#,
        r#"{"linux":{"namespaces":[{"type":"pid","path":"/run/pins/a"}]}}"#,
        "x",
    ] {
        assert_eq!(placed(text, Path::new("/run/pins/a")), None, "{text}");
        assert_eq!(unplaced(text.as_bytes(), is_ours), None, "{text}");
    }
}

#[test]
fn our_hook_is_known_again() {
    for (text, expected) in [
        (r#"{"hooks":{"createRuntime":[{"path":"/a","args":["netferry","oci","hook","--device=a"]}]}}"#, true),
        (r#"{"hooks":{"prestart":[{"path":"/b"},{"path":"/a","args":["netferry","oci","hook"]}]}}"#, true),
        (r#"{"hooks":{"poststop":[{"path":"/a","args":["netferry","oci","hook"]}]}}"#, false),
        (r#"{"hooks":{"createRuntime":[{"path":"/a","args":["netferry","oci"]}]}}"#, false),
        (r#"{"hooks":{"createRuntime":["netferry",{"args":"netferry"}]}}"#, false),
        (r#"{"netferry"#, false),
    ] {
        assert_eq!(has_hook(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn nothing_is_hooked_behind_what_stays_with_the_container() {
    for (annotations, expected) in [
        (r#"{}"#, true),
        (r#"{"dev.netferry.restore":"none"}"#, false),
        (r#"{"dev.netferry.restore":"none","dev.netferry.restore.b":"all"}"#, true),
    ] {
        let text = format!(
            r#"{{"annotations":{annotations},"linux":{{"namespaces":[{{"type":"network"}}],"netDevices":{{"a":{{}},"b":{{}}}}}}}}"#
        );
        let request = Request::read(text.as_bytes()).unwrap().unwrap();
        let circumstances = Circumstances { is_host_netns: Some(false), owns_namespaces: true };
        let rewritten = request.rewrite(&circumstances, Entry::new(Path::new("/netferry")).unwrap()).unwrap();
        assert_eq!(rewritten.contains("poststop"), expected, "{rewritten}");
    }
}
