//! The configuration as DEL reads it: a container must go even if its network's file is broken by now. Names are read
//! elsewhere, and they are all that removal needs; a key of the wrong type is said on stderr and done without.

use cni::json;
use cni::{Error, Request, code};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Switches of what is found by its mark: one that cannot be read may have been on.
const MARKED: [&str; 2] = ["ipMasq", "macspoofchk"];
/// The switch of what others may use: nothing of theirs is removed on a guess.
const SHARED: &str = "removeWhenEmpty";

/// The plugin's own keys, as far as they have the right type.
///
/// # Errors
/// Of code 6, if it is no configuration at all.
pub fn decode<T: DeserializeOwned>(request: &Request) -> Result<T, Error> {
    request.conf.decode().or_else(|_| {
        let (raw, problems) = readable::<T>(request.conf.raw.as_object().into_iter().flatten());
        for problem in problems {
            eprintln!("netferry: {problem}: removing without it");
        }
        json::decode(&raw).map_err(|error| Error::new(code::DECODE, format!("failed to load netconf: {error}")))
    })
}

/// The keys that can be read, and what is wrong with the others.
fn readable<'a, T: DeserializeOwned>(keys: impl Iterator<Item = (&'a String, &'a Value)>) -> (Value, Vec<String>) {
    let (mut read, mut problems) = (Map::new(), Vec::new());
    for (key, value) in keys {
        let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        match json::decode::<T>(&alone) {
            Ok(_) => drop(read.insert(key.clone(), value.clone())),
            Err(problem) => {
                problems.push(problem.to_string());
                if MARKED.iter().any(|marked| key.eq_ignore_ascii_case(marked)) {
                    read.insert(key.clone(), true.into());
                }
            }
        }
    }
    read.retain(|key, _| problems.is_empty() || !key.eq_ignore_ascii_case(SHARED));
    (Value::Object(read), problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Conf {
        bridge: String,
        mtu: i64,
        ip_masq: bool,
        remove_when_empty: bool,
    }

    fn read(text: &str) -> (Conf, Vec<String>) {
        let raw = json::parse(text.as_bytes()).expect("JSON");
        let (read, problems) = readable::<Conf>(raw.as_object().expect("an object").iter());
        (json::decode(&read).expect("only what can be read"), problems)
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_named() {
        let (conf, problems) = read(r#"{"bridge":"br7","mtu":"x","IPMASQ":"yes","removeWhenEmpty":true,"other":[]}"#);
        let wanted = Conf { bridge: "br7".to_owned(), mtu: 0, ip_masq: true, remove_when_empty: false };
        assert_eq!(conf, wanted, "a mark is looked for, and the bridge stays");
        assert_eq!(problems, ["mtu: expected an integer, found \"x\"", "IPMASQ: expected a boolean, found \"yes\""]);
    }

    #[test]
    fn what_can_be_read_is_read() {
        let (conf, problems) = read(r#"{"bridge":"br7","removeWhenEmpty":true,"ipMasq":null}"#);
        assert_eq!(conf, Conf { bridge: "br7".to_owned(), remove_when_empty: true, ..Conf::default() });
        assert_eq!(problems, Vec::<String>::new());
    }
}
