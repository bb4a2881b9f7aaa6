//! JSON as the field's configurations need it: the rules of Go's `encoding/json`, which every existing file was
//! written against. [`parse`] turns bytes into a [`Value`] (the last duplicate key wins, broken UTF-8 is replaced,
//! numbers keep their digits); [`decode`] turns a value into a type (keys match without regard to case, `null` leaves
//! the default).

mod decode;
mod parse;

use std::fmt;

use serde_json::{Map, Value};

pub use decode::{DecodeError, decode};
pub use parse::{MAX_DEPTH, SyntaxError, parse};

/// The value of `key` in `map`, matched without regard to case; a later key wins over an earlier one, and `null` is
/// absence.
pub fn get_ci<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    map.iter().rev().find(|(name, value)| !value.is_null() && same_key(name, key)).map(|(_, value)| value)
}

/// True if Go would decode the key `a` into the field `b`.
pub(crate) fn same_key(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    a.chars().map(fold).eq(b.chars().map(fold))
}

/// Simple case folding: upper and then lower, where that is one character (U+017F folds to `s`, U+212A to `k`).
fn fold(c: char) -> char {
    let upper = single(c.to_uppercase()).unwrap_or(c);
    single(upper.to_lowercase()).unwrap_or(upper)
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

/// A value as an error message shows it: compact, and cut where it gets long.
pub(crate) struct Shown<'a>(pub &'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 80;
        let text = match self.0 {
            Value::Array(_) => return f.write_str("an array"),
            Value::Object(_) => return f.write_str("an object"),
            other => other.to_string(),
        };
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}...", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_whatever_its_case_and_the_later_one_wins() {
        let value = parse(br#"{"MTU":1,"mtu":2,"Name":"a","name":null,"ma\u017Fter":3}"#).unwrap();
        let map = value.as_object().unwrap();
        assert_eq!(get_ci(map, "mtu"), Some(&Value::from(2)));
        assert_eq!(get_ci(map, "name"), Some(&Value::from("a")));
        assert_eq!(get_ci(map, "master"), Some(&Value::from(3)));
        assert_eq!(get_ci(map, "absent"), None);
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let shown = Shown(&Value::from("ä".repeat(200))).to_string();
        assert!(shown.ends_with("...") && shown.chars().count() == 83);
    }
}
