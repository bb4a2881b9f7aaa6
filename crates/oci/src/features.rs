//! What `RUNTIME features` prints: whether the runtime knows `linux.netDevices`, and the same for its caller, with us
//! before the runtime.
//!
//! Fields: `features-linux.md#network-devices` of the runtime specification. What is not said is not known: `youki`
//! moves devices and says nothing of it.

use crate::Result;
use crate::document::Document;
use crate::field::Field;

const ENABLED: [&str; 3] = ["linux", "netDevices", "enabled"];

/// Whether a runtime knows `linux.netDevices`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It says that it does, or that it does not.
    Known(bool),
    /// It does not say.
    Unknown,
}

/// Whether the runtime that printed `features` knows `linux.netDevices`.
///
/// # Errors
/// What [`Document::read`] says; [`Error::Field`](crate::Error::Field) if the field is neither `true` nor `false`.
pub fn support(features: &[u8]) -> Result<Support> {
    let features = Document::read(features)?;
    let enabled = Field::at(&features, &ENABLED).map(|field| field.boolean()).transpose()?;
    Ok(enabled.map_or(Support::Unknown, Support::Known))
}

/// What the runtime printed, with `linux.netDevices.enabled` set to `true`; everything else is as it was.
///
/// # Errors
/// What [`Document::read`] says; [`Error::Field`](crate::Error::Field) if `linux` or `linux.netDevices` is no object.
pub fn merge(features: &[u8]) -> Result<String> {
    let mut features = Document::read(features)?;
    features.set(&ENABLED, "true")?;
    Ok(features.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runtimes_say() {
        for (text, expected) in [
            (r#"{"linux":{"netDevices":{"enabled":true}}}"#, Support::Known(true)),
            (r#"{"linux":{"netDevices":{"enabled":false}}}"#, Support::Known(false)),
            (r#"{"linux":{"netDevices":{"enabled":null}}}"#, Support::Unknown),
            (r#"{"linux":{"netDevices":{}}}"#, Support::Unknown),
            (r#"{"linux":{}}"#, Support::Unknown),
            ("{}", Support::Unknown),
        ] {
            assert_eq!(support(text.as_bytes()), Ok(expected), "{text}");
            let merged = merge(text.as_bytes()).unwrap();
            assert_eq!(support(merged.as_bytes()), Ok(Support::Known(true)), "{merged}");
        }
        let error = support(br#"{"linux":{"netDevices":{"enabled":"yes"}}}"#).unwrap_err();
        assert_eq!(error.to_string(), "linux.netDevices.enabled: must be true or false, and is \"yes\"");
    }

    #[test]
    fn the_rest_is_as_it_was() {
        let text = "{\n  \"ociVersionMin\": \"1.0.0\",\n  \"linux\": {\n    \"namespaces\": [\"user\"],\n    \
                    \"mountExtensions\": {\n      \"idmap\": {}\n    }\n  },\n  \"n\": 1e400\n}\n";
        assert_eq!(
            merge(text.as_bytes()).unwrap(),
            "{\n  \"ociVersionMin\": \"1.0.0\",\n  \"linux\": {\n    \"namespaces\": [\"user\"],\n    \
                    \"mountExtensions\": {\n      \"idmap\": {}\n    },\n    \"netDevices\": \
             {\"enabled\": true}\n  },\n  \
             \"n\": 1e400\n}\n"
        );
        assert_eq!(merge(b"{}").unwrap(), r#"{"linux":{"netDevices":{"enabled":true}}}"#);
        assert_eq!(merge(b"{\"linux\":null}\n").unwrap(), "{\"linux\":{\"netDevices\":{\"enabled\":true}}}\n");
    }

    #[test]
    fn what_is_no_answer() {
        let error = merge(b"unknown command features\n").unwrap_err();
        assert_eq!(error.to_string(), "line 1, column 1: expected value; correct the JSON there");
        assert!(merge(b"").is_err() && merge(b"[]").is_err());
        let error = merge(br#"{"linux":[]}"#).unwrap_err();
        assert_eq!(error.to_string(), "linux: must be an object, and is an array");
    }
}
