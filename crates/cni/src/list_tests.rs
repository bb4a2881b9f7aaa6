use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn list(rest: &str) -> Result<NetworkList, Error> {
    NetworkList::parse(format!(r#"{{"name":"n","plugins":[{{"type":"a"}}]{rest}}}"#).as_bytes())
}

fn message(text: &str) -> String {
    NetworkList::parse(text.as_bytes()).unwrap_err().msg.replace("error parsing configuration list: ", "")
}

#[test]
fn a_list_is_read() {
    let text = br#"{"cniVersion":"0.4.0","name":"n","disableCheck":"TRUE","disableGC":true,
        "loadOnlyInlinedPlugins":"false","plugins":[{"Type":"a","n":9007199254740993},{"type":"b"}]}"#;
    let list = NetworkList::parse(text).unwrap();
    assert_eq!((list.name.as_str(), list.cni_version, list.plugins.len()), ("n", Version::V0_4_0, 2));
    assert!(list.disable_check && list.disable_gc && !list.load_only_inlined_plugins);
    assert_eq!(list.bytes, text);
    let drop_ins_only = NetworkList::parse(br#"{"name":"n"}"#).unwrap();
    assert_eq!((drop_ins_only.cni_version, drop_ins_only.plugins.len()), (Version::V0_1_0, 0));
}

#[test]
fn errors_are_those_of_libcni() {
    for (text, expected) in [
        ("", "unexpected end of JSON input"),
        (r#"{"name":"n"} x"#, "invalid character 'x' after top-level value"),
        ("{}", "no name"),
        (r#"{"Name":"n"}"#, "no name"),
        (r#"{"name":7}"#, "invalid name type float64"),
        (r#"{"name":null}"#, "invalid name type <nil>"),
        (r#"{"name":""}"#, "missing network name"),
        (r#"{"name":"../../etc/x"}"#, "invalid characters found in network name"),
        (r#"{"name":"n","plugins":[]}"#, "no plugins in list"),
        (r#"{"name":"n","plugins":{}}"#, "invalid 'plugins' type map[string]interface {}"),
        (
            r#"{"name":"n","plugins":[{}]}"#,
            "failed to parse plugin config 0: error parsing configuration: missing 'type'",
        ),
        (r#"{"name":"n","loadOnlyInlinedPlugins":true}"#, "`loadOnlyInlinedPlugins` is true, and no `plugins` key"),
        (r#"{"name":"n","disableCheck":"yes"}"#, r#"invalid value "yes" for disableCheck"#),
        (r#"{"name":"n","disableGC":1}"#, "invalid type for disableGC: float64"),
        (r#"{"name":"n","cniVersion":1}"#, "invalid cniVersion type float64"),
        (r#"{"name":"n","cniVersions":"1.0.0"}"#, "invalid type for cniVersions: string"),
        (r#"{"name":"n","cniVersions":["1.0.0",1]}"#, "invalid type for cniVersions index 1: float64"),
    ] {
        assert_eq!(message(text), expected, "{text}");
    }
    assert_eq!(NetworkList::parse(b"{").unwrap_err().code, code::DECODE);
    assert_eq!(NetworkList::parse(b"{}").unwrap_err().code, code::INVALID_CONFIG);
}

#[test]
fn the_highest_version_that_we_speak_is_taken() {
    for (keys, version) in [
        (r#","cniVersion":"""#, Version::V0_1_0),
        (r#","cniVersion":"1.0.0""#, Version::V1_0_0),
        (r#","cniVersions":["0.3.1","1.1.0","99.0.0"]"#, Version::V1_1_0),
        (r#","cniVersions":["0.3.1","0.4.0"],"cniVersion":"1.0.0""#, Version::V1_0_0),
        (r#","cniVersions":["0.3.1","1.1"],"cniVersion":"9.9.9""#, Version::V0_3_1),
    ] {
        assert_eq!(list(keys).unwrap().cni_version, version, "{keys}");
    }
    for keys in [r#","cniVersion":"abc""#, r#","cniVersions":["1.0.0","1.x"]"#] {
        assert_eq!(list(keys).unwrap_err().code, code::INVALID_CONFIG, "{keys}");
    }
    for keys in [r#","cniVersion":"1.2.3""#, r#","cniVersions":["99.0.0"]"#, r#","cniVersions":[]"#] {
        assert_eq!(list(keys).unwrap_err().code, code::INCOMPATIBLE_VERSION, "{keys}");
    }
}

#[test]
fn a_single_configuration_becomes_a_list_of_one() {
    let list = NetworkList::from_single(br#"{"CNIVersion":"0.3.1","name":"n","Type":"a","mtu":1.0}"#).unwrap();
    assert_eq!((list.name.as_str(), list.cni_version), ("n", Version::V0_3_1));
    expect![[
        r#"{"name":"n","cniVersion":"0.3.1","plugins":[{"CNIVersion":"0.3.1","name":"n","Type":"a","mtu":1.0}]}"#
    ]]
    .assert_eq(&String::from_utf8(list.bytes).unwrap());
    let conflist = br#"{"name":"n","plugins":[{"type":"a"}]}"#;
    assert_eq!(NetworkList::from_single(conflist).unwrap_err().msg, "error parsing configuration: missing 'type'");
    assert_eq!(parse_plugin(b"[]").unwrap_err().code, code::DECODE);
}

#[test]
fn a_plugin_gets_what_it_is_due_and_the_rest_unchanged() {
    let list = NetworkList::parse(
        br#"{"name":"n","cniVersion":"1.1.0","plugins":[{"z":9007199254740993,"type":"a","CNIVersion":"0.1.0","f":1.50,
        "name":"other","capabilities":{"portMappings":true,"mac":false,"ips":true},"unknown":{"b":1,"a":2}}]}"#,
    )
    .unwrap();
    let config =
        |injection: &Injection<'_>| String::from_utf8(list.plugin_config(&list.plugins[0], injection)).unwrap();
    expect![[r#"{"z":9007199254740993,"type":"a","f":1.50,"name":"n","capabilities":{"portMappings":true,"mac":false,"ips":true},"unknown":{"b":1,"a":2},"cniVersion":"1.1.0"}"#]]
        .assert_eq(&config(&Injection::default()));
    let value = json::parse(br#"{"mac":"x","portMappings":[{"hostPort":1}],"aliases":[]}"#).unwrap();
    let result = json::parse(br#"{"ips":[],"x":1.0}"#).unwrap();
    let attachments = [Attachment { container_id: "c".to_owned(), ifname: "e".to_owned() }];
    let all = Injection {
        prev_result: Some(&result),
        capability_args: value.as_object(),
        valid_attachments: Some(&attachments),
    };
    expect![[r#"{"z":9007199254740993,"type":"a","f":1.50,"name":"n","capabilities":{"portMappings":true,"mac":false,"ips":true},"unknown":{"b":1,"a":2},"cniVersion":"1.1.0","runtimeConfig":{"portMappings":[{"hostPort":1}]},"prevResult":{"ips":[],"x":1.0},"cni.dev/valid-attachments":[{"containerID":"c","ifname":"e"}],"cni.dev/attachments":[{"containerID":"c","ifname":"e"}]}"#]]
        .assert_eq(&config(&all));
}

proptest! {
    #[test]
    fn numbers_pass_through(whole: i128, digits in "[1-9][0-9]{0,30}", exponent in -400..400i32) {
        for number in [whole.to_string(), format!("{whole}.{digits}"), format!("{digits}E{exponent}")] {
            let list = list(&format!(r#","plugins":[{{"type":"a","n":{number}}}]"#)).unwrap();
            let config = list.plugin_config(&list.plugins[0], &Injection::default());
            let expected = format!(r#"{{"type":"a","n":{number},"name":"n","cniVersion":"0.1.0"}}"#);
            prop_assert_eq!(String::from_utf8(config).unwrap(), expected);
        }
    }

    #[test]
    fn never_panics(bytes: Vec<u8>, rest in r#"[\[\]{}":,a-zA-Z0-9.]{0,40}"#) {
        let _ = NetworkList::parse(&bytes);
        let _ = NetworkList::from_single(&bytes);
        let _ = list(&rest);
    }
}
