//! What goes to stdout: exactly one JSON document per call. Results and errors are indented by four spaces and end
//! without a newline; the answer to VERSION is one line.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::json::{self, get_ci};
use crate::result::AddResult;
use crate::version::Version;
use crate::wire;

/// A result as ADD prints it.
///
/// # Errors
/// Those of [`wire::to_json`].
pub fn result(result: &AddResult, version: Version) -> Result<String, Error> {
    Ok(pretty(&wire::to_json(result, version)?))
}

/// An error as any verb prints it; `version` is the protocol in use.
pub fn error(error: &Error, version: Version) -> String {
    let mut object = Map::new();
    object.insert("cniVersion".to_owned(), version.as_str().into());
    object.insert("code".to_owned(), error.code.into());
    object.insert("msg".to_owned(), error.msg.as_str().into());
    if !error.details.is_empty() {
        object.insert("details".to_owned(), error.details.as_str().into());
    }
    pretty(&Value::Object(object))
}

/// The answer to VERSION, with its newline.
pub fn versions(supported: &[Version]) -> String {
    let supported: Vec<Value> = supported.iter().map(|version| version.as_str().into()).collect();
    let mut object = Map::new();
    object.insert("cniVersion".to_owned(), Version::LATEST.as_str().into());
    object.insert("supportedVersions".to_owned(), supported.into());
    format!("{}\n", Value::Object(object))
}

/// What a plugin prints on stderr when it is called without `CNI_COMMAND`, by a person.
pub fn about(name: &str, supported: &[Version]) -> String {
    let supported: Vec<&str> = supported.iter().map(|version| version.as_str()).collect();
    format!("{name}\nCNI protocol versions supported: {}\n", supported.join(", "))
}

/// `value` indented by four spaces.
pub fn pretty(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        // Neither writing to memory nor a `Value` can fail; the compact form needs no formatter.
        Err(_) => value.to_string(),
    }
}

/// The error object in `bytes`, which another plugin printed. A missing code is 0, as in the reference implementation.
///
/// # Errors
/// If `bytes` is not an object, or its fields have other types; the text says which.
pub fn parse_error(bytes: &[u8]) -> Result<Error, String> {
    let value = json::parse(bytes).map_err(|error| error.to_string())?;
    let map = value.as_object().ok_or("expected an object")?;
    let code =
        get_ci(map, "code").map_or(Ok(0), json::decode::<u32>).map_err(|error| error.under("code").to_string())?;
    let text = |key: &str| {
        get_ci(map, key).map_or(Ok(String::new()), json::decode).map_err(|error| error.under(key).to_string())
    };
    Ok(Error { code, msg: text("msg")?, details: text("details")? })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_says_its_version_and_omits_empty_details() {
        expect![[r#"
            {
                "cniVersion": "1.0.0",
                "code": 7,
                "msg": "missing network name"
            }"#]]
        .assert_eq(&error(&Error::new(7, "missing network name"), Version::V1_0_0));
        expect![[r#"
            {
                "cniVersion": "1.1.0",
                "code": 999,
                "msg": "a",
                "details": "b \"c\""
            }"#]]
        .assert_eq(&error(&Error::internal("a").with_details("b \"c\""), Version::LATEST));
    }

    #[test]
    fn versions_are_one_line() {
        let line = "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\"]}\n";
        assert_eq!(versions(&[Version::V0_4_0, Version::V1_0_0]), line);
        let text = "CNI x plugin v1\nCNI protocol versions supported: 0.4.0, 1.0.0\n";
        assert_eq!(about("CNI x plugin v1", &[Version::V0_4_0, Version::V1_0_0]), text);
    }

    #[test]
    fn errors_of_others_are_read_with_tolerance() {
        assert_eq!(parse_error(b"{}"), Ok(Error::new(0, "")));
        assert_eq!(parse_error(br#"{"Code":11,"MSG":"m","details":null}"#), Ok(Error::new(11, "m")));
        assert_eq!(parse_error(br#"{"code":"x"}"#), Err("code: expected an integer, found \"x\"".to_owned()));
        assert_eq!(parse_error(b"oops"), Err("invalid character 'o' looking for beginning of value".to_owned()));
    }

    proptest! {
        #[test]
        fn what_we_print_we_read(code: u32, msg: String, details: String) {
            let original = Error { code, msg, details };
            prop_assert_eq!(parse_error(error(&original, Version::LATEST).as_bytes()), Ok(original));
        }
    }
}
