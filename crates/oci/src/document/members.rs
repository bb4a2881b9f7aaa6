//! Where the parts of a JSON text are: spans of bytes in it.
//!
//! Every span is one of text that was found to be JSON before; what is inside a value is looked at only when it is
//! asked for.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// From the first byte to the one behind the last.
pub(crate) type Span = Range<usize>;

/// What JSON takes for white space (RFC 8259, section 2).
pub(super) const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its key, with the quotes.
    pub key: Span,
    /// Its value.
    pub value: Span,
}

/// Members of an object in their order, duplicates among them.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'a> Visitor<'a> for Object {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The members of the object that `text` is.
///
/// # Errors
/// The parser's: it is no JSON, or no object.
pub(super) fn parse(text: &str) -> serde_json::Result<Vec<Member>> {
    let Members(members) = serde_json::from_str(text)?;
    Ok(members.into_iter().map(|(key, value)| Member { key: span(text, key), value: span(text, value) }).collect())
}

/// The members of the object at `at`; `None` if the value there is no object.
pub(super) fn members(text: &str, at: &Span) -> Option<Vec<Member>> {
    let shift = |span: Span| span.start + at.start..span.end + at.start;
    let members = parse(&text[at.clone()]).ok()?;
    Some(members.into_iter().map(|member| Member { key: shift(member.key), value: shift(member.value) }).collect())
}

/// The elements of the array that `text` is; `None` if it is no array.
pub(super) fn elements(text: &str) -> Option<Vec<&str>> {
    struct Elements<'a>(Vec<&'a str>);
    impl<'a> Deserialize<'a> for Elements<'a> {
        fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
            struct Array;
            impl<'a> Visitor<'a> for Array {
                type Value = Elements<'a>;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an array")
                }

                fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                    let mut elements = Vec::new();
                    while let Some(element) = seq.next_element::<&RawValue>()? {
                        elements.push(element.get());
                    }
                    Ok(Elements(elements))
                }
            }
            deserializer.deserialize_seq(Array)
        }
    }
    serde_json::from_str::<Elements<'_>>(text).ok().map(|elements| elements.0)
}

/// Where in `text` a value that was borrowed from it is.
fn span(text: &str, raw: &RawValue) -> Span {
    let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + raw.get().len()
}

/// The string that a raw one stands for. Half a surrogate pair, of which Go makes one U+FFFD, becomes some of them.
/// `None` if it is no string.
pub(super) fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    struct Bytes(Vec<u8>);
    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Text;
            impl Visitor<'_> for Text {
                type Value = Bytes;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a string")
                }

                fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                    Ok(Bytes(bytes.to_vec()))
                }
            }
            deserializer.deserialize_bytes(Text)
        }
    }
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let Bytes(bytes) = serde_json::from_str(raw).ok()?;
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

/// How deeply arrays and objects of a JSON text are nested.
pub(super) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
