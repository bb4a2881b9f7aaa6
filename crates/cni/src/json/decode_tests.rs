use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::json::parse;
use crate::net::Cidr;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Conf {
    is_gateway: bool,
    mtu: u16,
    #[serde(rename = "DPDKMode")]
    dpdk_mode: bool,
    offset: Option<i64>,
    mode: Mode,
    ipam: Ipam,
    labels: BTreeMap<String, String>,
    anything: Value,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Off,
    On,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Ipam {
    ranges: Vec<Vec<Range>>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Range {
    subnet: String,
    cidr: Option<Cidr>,
}

fn conf(text: &str) -> Result<Conf, String> {
    decode(&parse(text.as_bytes()).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn keys_match_in_any_case_and_the_later_wins() {
    assert!(conf(r#"{"ISGATEWAY":true}"#).unwrap().is_gateway);
    assert!(conf(r#"{"dpdkmode":true}"#).unwrap().dpdk_mode);
    assert_eq!(conf(r#"{"mtu":1,"MTU":2}"#).unwrap().mtu, 2);
    assert_eq!(conf(r#"{"MTU":2,"mtu":1}"#).unwrap().mtu, 1);
    assert_eq!(conf(r#"{"mtu":2,"MTU":null}"#).unwrap().mtu, 2);
}

#[test]
fn null_is_the_default_everywhere() {
    assert_eq!(conf("null").unwrap(), Conf::default());
    let nulls = r#"{"isGateway":null,"mtu":null,"offset":null,"mode":null,"ipam":null,"labels":null,"anything":null}"#;
    assert_eq!(conf(nulls).unwrap(), Conf::default());
    assert_eq!(conf(r#"{"ipam":{"ranges":[null,[null]]}}"#).unwrap().ipam.ranges, [vec![], vec![Range::default()]]);
    assert_eq!(conf(r#"{"labels":{"a":null}}"#).unwrap().labels["a"], "");
}

#[test]
fn unknown_keys_are_ignored_and_values_survive() {
    let text = r#"{"unknown":[1],"anything":{"n":9007199254740993,"f":1.50}}"#;
    assert_eq!(conf(text).unwrap().anything.to_string(), r#"{"n":9007199254740993,"f":1.50}"#);
    assert_eq!(conf(r#"{"mode":"on"}"#).unwrap().mode, Mode::On);
}

#[test]
fn errors_name_the_place_and_the_value() {
    for (text, error) in [
        (r#"{"ipam":{"Ranges":[[{},{"subnet":7}]]}}"#, "ipam.Ranges[0][1].subnet: expected a string, found 7"),
        (r#"{"isGateway":"true"}"#, r#"isGateway: expected a boolean, found "true""#),
        (r#"{"mtu":1.0}"#, "mtu: expected an integer from 0 to 65535, found 1.0"),
        (r#"{"mtu":1e3}"#, "mtu: expected an integer from 0 to 65535, found 1e3"),
        (r#"{"mtu":65536}"#, "mtu: expected an integer from 0 to 65535, found 65536"),
        (r#"{"mtu":-1}"#, "mtu: expected an integer from 0 to 65535, found -1"),
        (r#"{"mtu":"1500"}"#, r#"mtu: expected an integer, found "1500""#),
        (r#"{"offset":{}}"#, "offset: expected an integer, found an object"),
        (r#"{"ipam":[]}"#, "ipam: expected an object, found an array"),
        (r#"{"ipam":{"ranges":{}}}"#, "ipam.ranges: expected an array, found an object"),
        (r#"{"labels":{"a":1}}"#, "labels.a: expected a string, found 1"),
        (r#"[]"#, "expected an object, found an array"),
        (
            r#"{"ipam":{"ranges":[[{"cidr":"10.0.0.0"}]]}}"#,
            r#"ipam.ranges[0][0].cidr: expected an address with prefix length, found "10.0.0.0""#,
        ),
        (r#"{"mode":"auto"}"#, r#"mode: unknown variant `auto`, expected `off` or `on`, found "auto""#),
    ] {
        assert_eq!(conf(text).unwrap_err(), error, "{text}");
    }
}
