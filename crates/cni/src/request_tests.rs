use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::config::Attachment;

fn read_with(verb: &str, stdin: &[u8], supported: &[Version]) -> Result<Invocation, Error> {
    let lookup = |name: &str| {
        let value = match name {
            "CNI_COMMAND" => verb,
            "CNI_CONTAINERID" => "c1",
            "CNI_NETNS" => "/run/netns/a",
            "CNI_IFNAME" => "eth0",
            "CNI_PATH" => "/opt/cni/bin",
            _ => return None,
        };
        Some(OsString::from(value))
    };
    Request::read(lookup, || Ok(stdin.to_vec()), supported)
}

fn read(verb: &str, stdin: &str) -> Result<Request, Error> {
    match read_with(verb, stdin.as_bytes(), &Version::ALL)? {
        Invocation::Request(request) => Ok(*request),
        other => panic!("{other:?} is not a request"),
    }
}

fn refused(verb: &str, stdin: &str) -> (u32, String) {
    let error = read(verb, stdin).unwrap_err();
    (error.code, error.to_string())
}

#[test]
fn about_and_version_do_not_read_stdin() {
    let stdin = || -> io::Result<Vec<u8>> { panic!("stdin was read") };
    assert!(matches!(Request::read(|_| None, stdin, &[]), Ok(Invocation::About)));
    let lookup = |name: &str| (name == "CNI_COMMAND").then(|| "VERSION".into());
    assert!(matches!(Request::read(lookup, stdin, &[]), Ok(Invocation::Version)));
}

#[test]
fn stdin_is_checked_in_order() {
    let (code, message) = refused("ADD", "");
    assert_eq!((code, message.as_str()), (6, "error unmarshall network config: unexpected end of JSON input"));
    assert_eq!(refused("ADD", "[]").0, 6);
    assert_eq!(refused("ADD", r#"{"name":7}"#).0, 6);
    assert_eq!(refused("ADD", "null"), (7, "missing network name".to_owned()));
    assert_eq!(refused("ADD", r#"{"cniVersion":"9"}"#), (7, "missing network name".to_owned()));
    let invalid = "invalid characters found in network name; ../a".to_owned();
    for verb in ["ADD", "DEL", "NOPE"] {
        assert_eq!(refused(verb, r#"{"name":"../a"}"#), (7, invalid.clone()));
    }
    assert_eq!(refused("NOPE", ""), refused("ADD", ""));
    assert_eq!(refused("NOPE", r#"{"name":"a"}"#), (4, "unknown CNI_COMMAND: NOPE".to_owned()));
    assert_eq!(refused("add", r#"{"name":"a"}"#), (4, "unknown CNI_COMMAND: add".to_owned()));
}

#[test]
fn an_unreadable_stdin_is_an_io_error() {
    let lookup = |name: &str| Some(if name == "CNI_COMMAND" { "STATUS" } else { "/p" }.into());
    let error = Request::read(lookup, || Err(io::Error::other("gone")), &[]).unwrap_err();
    assert_eq!(error, Error::new(5, "error reading from stdin: gone"));
}

#[test]
fn versions_are_reconciled() {
    let conf = |version: &str| format!(r#"{{"name":"a","cniVersion":"{version}"}}"#);
    let supported = [Version::V0_4_0, Version::V1_0_0];
    let refuse = |verb: &str, version: &str| {
        let error = read_with(verb, conf(version).as_bytes(), &supported).unwrap_err();
        (error.code, error.to_string())
    };
    for verb in ["ADD", "DEL", "PLAN"] {
        for (version, shown) in [("0.3.1", "0.3.1"), ("", "0.1.0"), ("1.0", "1.0"), ("rubbish", "rubbish")] {
            let details = format!("config is {shown:?}, plugin supports [\"0.4.0\" \"1.0.0\"]");
            assert_eq!(refuse(verb, version), (1, format!("incompatible CNI versions; {details}")));
        }
    }
    assert_eq!(refuse("CHECK", "0.3.1"), (1, "config version does not allow CHECK".to_owned()));
    assert_eq!(refuse("CHECK", "1.1.0"), (1, "plugin version does not allow CHECK".to_owned()));
    assert_eq!(refuse("CHECK", "0.5.0").1.split(';').next(), Some("incompatible CNI versions"));
    assert_eq!(refuse("GC", "1.0.0"), (1, "config version does not allow GC".to_owned()));
    assert_eq!(refuse("STATUS", "1.1.0"), (1, "plugin version does not allow STATUS".to_owned()));
    for verb in ["CHECK", "GC", "STATUS"] {
        assert_eq!(refuse(verb, "rubbish").0, 6);
    }
    assert_eq!(refused("ADD", r#"{"name":"a","cniVersion":1}"#).0, 6);
    assert_eq!(read("ADD", r#"{"name":"a"}"#).unwrap().conf.cni_version, Version::V0_1_0);
    for verb in ["GC", "STATUS", "CHECK"] {
        assert!(read(verb, &conf("1.1.0")).is_ok());
    }
}

#[test]
fn shared_keys_are_typed_and_the_document_is_kept() {
    let text = r#"{"CNIVersion":"1.0.0","Name":"net","type":"bridge","ipam":{"Type":"host-local","n":9007199254740993},
        "dns":{"search":[]},"runtimeConfig":{"PortMappings":[]},"prevResult":{"ips":[{"address":"10.0.0.2/24"}]}}"#;
    let conf = read("ADD", text).unwrap().conf;
    assert_eq!(
        (conf.name.as_str(), conf.plugin_type.as_str(), conf.ipam_type.as_str()),
        ("net", "bridge", "host-local")
    );
    assert_eq!(conf.dns, Some(crate::Dns::default()));
    assert_eq!(conf.prev_result.unwrap().ips.len(), 1);
    assert_eq!(conf.runtime_config.to_string(), r#"{"PortMappings":[]}"#);
    assert_eq!(
        (conf.bytes.as_slice(), conf.raw["ipam"]["n"].to_string().as_str()),
        (text.as_bytes(), "9007199254740993")
    );
}

#[test]
fn dns_counts_if_it_says_anything() {
    let said = |dns: &str| read("ADD", &format!(r#"{{"name":"a","dns":{dns}}}"#)).unwrap().conf.dns.is_some();
    assert!(!said("null") && !said("{}") && !said(r#"{"domain":"","search":null}"#));
    assert!(said(r#"{"domain":"a"}"#) && said(r#"{"options":[]}"#));
}

#[test]
fn no_list_is_not_an_empty_list() {
    let list = |text: &str| {
        read("GC", &format!(r#"{{"name":"a","cniVersion":"1.1.0"{text}}}"#)).unwrap().conf.valid_attachments
    };
    let one = vec![Attachment { container_id: "c".to_owned(), ifname: "e".to_owned() }];
    assert_eq!(list(""), None);
    assert_eq!(list(r#","cni.dev/valid-attachments":null"#), Some(vec![]));
    assert_eq!(list(r#","cni.dev/attachments":[]"#), Some(vec![]));
    let items = r#"[{"containerID":"c","ifname":"e"}]"#;
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        assert_eq!(list(&format!(r#","{key}":{items}"#)), Some(one.clone()));
    }
    assert_eq!(list(&format!(r#","cni.dev/attachments":{items},"cni.dev/valid-attachments":null"#)), Some(one));
    let bad = r#"{"name":"a","cniVersion":"1.1.0","cni.dev/valid-attachments":[7]}"#;
    let message = "failed to load netconf: cni.dev/valid-attachments[0]: expected an object, found 7";
    assert_eq!(refused("GC", bad), (6, message.to_owned()));
}

#[test]
fn a_prev_result_has_the_family_of_its_configuration() {
    let conf =
        |version: &str| format!(r#"{{"name":"a","cniVersion":"1.0.0","prevResult":{{"cniVersion":"{version}"}}}}"#);
    assert!(read("ADD", &conf("")).unwrap().conf.prev_result.is_some());
    assert!(read("ADD", &conf("1.1.0")).unwrap().conf.prev_result.is_some());
    let message =
        r#"could not parse prevResult: result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is "0.2.0""#;
    assert_eq!(refused("ADD", &conf("0.2.0")), (6, message.to_owned()));
    let message = r#"could not parse prevResult: unsupported CNI result version "7""#;
    assert_eq!(refused("CHECK", &conf("7")), (6, message.to_owned()));
}

#[test]
fn del_does_without_what_it_cannot_read() {
    let text = r#"{"name":"a","cniVersion":"1.0.0","type":5,"ipam":[],"dns":7,"prevResult":{"ips":[{"address":"x"}]}}"#;
    let conf = read("DEL", text).unwrap().conf;
    assert_eq!((conf.prev_result, conf.dns, conf.warnings.len()), (None, None, 4));
    assert_eq!(
        conf.warnings[3],
        r#"could not parse prevResult: ips[0].address: expected an address with prefix length, found "x""#
    );
    assert_eq!(refused("ADD", text).0, 6);
}

#[test]
fn a_plugin_reads_its_own_keys() {
    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default)]
    struct Own {
        mtu: u16,
        ipam: Value,
    }
    let own = |mtu: &str| {
        read("ADD", &format!(r#"{{"name":"a","MTU":{mtu},"ipam":{{"x":1}}}}"#)).unwrap().conf.decode::<Own>()
    };
    let conf = own("9000").unwrap();
    assert_eq!((conf.mtu, conf.ipam["x"].as_i64()), (9000, Some(1)));
    let message = r#"failed to load netconf: MTU: expected an integer, found "a""#;
    assert_eq!(own(r#""a""#).unwrap_err(), Error::new(6, message));
}

proptest! {
    #[test]
    fn never_panics(stdin: Vec<u8>, tail in r#"[\[\]{}":,a-z0-9.]{0,40}"#) {
        let named = format!(r#"{{"name":"a","cniVersion":"1.1.0",{tail}}}"#);
        for command in Command::ALL {
            let _ = read_with(command.as_str(), &stdin, &Version::ALL);
            let _ = read_with(command.as_str(), named.as_bytes(), &Version::ALL);
        }
    }
}
