//! `CNI_ARGS`: `KEY=VALUE;KEY=VALUE`, and the check for keys that nobody asked for. Keys are case-sensitive;
//! `IgnoreUnknown` allows every key, wherever it stands.

use crate::error::{Error, code};

/// The pairs of `text`, in order.
///
/// # Errors
/// `ARGS: invalid pair ".."` (code 4) if a pair does not have exactly one `=`.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Error> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(';')
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
            _ => Err(Error::new(code::INVALID_ENVIRONMENT, format!("ARGS: invalid pair {pair:?}"))),
        })
        .collect()
}

/// The pairs of `text` whose key is one of `known`.
///
/// # Errors
/// Besides those of [`parse`]: `ARGS: unknown args ["KEY=VALUE" ..]` unless `IgnoreUnknown` is true, and a value of
/// `IgnoreUnknown` that is no boolean; both of code 4.
pub fn load(text: &str, known: &[&str]) -> Result<Vec<(String, String)>, Error> {
    const IGNORE_UNKNOWN: &str = "IgnoreUnknown";
    let mut pairs = parse(text)?;
    let mut ignore_unknown = false;
    for (_, value) in pairs.iter().filter(|(key, _)| key == IGNORE_UNKNOWN) {
        ignore_unknown = boolean(value)?;
    }
    pairs.retain(|(key, _)| key != IGNORE_UNKNOWN);
    let is_known = |key: &str| known.contains(&key);
    let unknown: Vec<String> = pairs
        .iter()
        .filter(|(key, _)| !is_known(key))
        .map(|(key, value)| format!("{:?}", format!("{key}={value}")))
        .collect();
    if !unknown.is_empty() && !ignore_unknown {
        return Err(Error::new(code::INVALID_ENVIRONMENT, format!("ARGS: unknown args [{}]", unknown.join(" "))));
    }
    pairs.retain(|(key, _)| is_known(key));
    Ok(pairs)
}

fn boolean(text: &str) -> Result<bool, Error> {
    match text {
        "1" => Ok(true),
        "0" => Ok(false),
        _ if text.eq_ignore_ascii_case("true") => Ok(true),
        _ if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(Error::new(
            code::INVALID_ENVIRONMENT,
            format!(
                "ARGS: error parsing value of pair \"IgnoreUnknown={text}\": boolean unmarshal error: invalid input {text}"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn pairs_have_exactly_one_equals_sign() {
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse("A=1;B=;A=2"), Ok(pairs(&[("A", "1"), ("B", ""), ("A", "2")])));
        for (text, pair) in [("K=a=b", "K=a=b"), ("K=v;", ""), ("K", "K"), (";", "")] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.code, error.msg), (4, format!("ARGS: invalid pair {pair:?}")), "{text}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_unless_ignored() {
        let error = load("Unk=nown;IP=10.0.0.1;x=", &["IP"]).unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (4, r#"ARGS: unknown args ["Unk=nown" "x="]"#));
        for ignore in ["1", "true", "TRUE"] {
            let text = format!("K8S_POD_NAME=a;IP=10.0.0.1;IgnoreUnknown={ignore}");
            assert_eq!(load(&text, &["IP"]), Ok(pairs(&[("IP", "10.0.0.1")])));
        }
        assert!(load("ip=10.0.0.1", &["IP"]).is_err(), "keys are case-sensitive");
        assert!(load("X=1;IgnoreUnknown=False", &[]).is_err());
        assert!(load("IgnoreUnknown=yes", &[]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = load(&text, &["IP"]);
        }
    }
}
