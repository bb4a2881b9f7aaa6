//! A JSON text that is edited without touching anything else of it.
//!
//! An edit replaces a span of the text by another; whatever is outside stays byte by byte, as somebody wrote it:
//! unknown fields, the order of keys, white space, numbers of any size, escapes, duplicate keys.
//!
//! Where keys on a path are there twice, the text means what Go's `encoding/json` takes it for: objects are merged, of
//! other values the last one counts, and a `null` forgets what was before. Keys match exactly. Go lets `"Linux"` pass
//! for `"linux"` where its structure has no such field; we do not, so whoever writes that has it read by the runtime
//! alone.
//! JSON: RFC 8259.

mod layout;
mod members;

use std::fmt;

use serde_json::value::RawValue;

pub(crate) use members::Span;
use members::WHITE;

use crate::field;
use crate::{Error, Result};

/// How deeply arrays and objects may be nested, as for `serde_json`.
const DEEPEST: usize = 127;

/// A JSON object as text, to be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    text: String,
}

/// The text.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Document {
    /// Reads a text. How long it may be is the caller's to say.
    ///
    /// # Errors
    /// [`Error::Encoding`]; [`Error::Syntax`] if it is no JSON or no object; [`Error::Deep`].
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|error| Error::Encoding { at: error.valid_up_to() })?;
        members::parse(text)?;
        shallow(text)?;
        Ok(Self { text: text.to_owned() })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value at `path` as it is written; `null` is a value. The empty path is the whole object.
    pub fn get(&self, path: &[&str]) -> Option<&str> {
        self.find(path).map(|at| &self.text[at])
    }

    /// The members of the object at `path`, in the order of the text: each key, and its value as it is written. The
    /// members of duplicates come one after the other. `None` if there is nothing, or `null`.
    ///
    /// # Errors
    /// [`Error::Field`] if there is something else.
    pub fn members(&self, path: &[&str]) -> Result<Option<Vec<(String, &str)>>> {
        match self.get(path) {
            None | Some("null") => return Ok(None),
            Some(raw) if !raw.starts_with('{') => return Err(not(path, raw, "be an object")),
            Some(_) => {}
        }
        let mut found = Vec::new();
        for at in self.merged(path) {
            match members::members(&self.text, &at) {
                Some(members) => found.extend(members),
                None => found.clear(),
            }
        }
        let text = |span: Span| &self.text[span];
        let key = |span: Span| members::decoded(text(span)).unwrap_or_default().into_owned();
        Ok(Some(found.into_iter().map(|member| (key(member.key), text(member.value))).collect()))
    }

    /// The elements of the array at `path` as they are written. `None` if there is nothing, or `null`.
    ///
    /// # Errors
    /// [`Error::Field`] if there is something else.
    pub fn elements(&self, path: &[&str]) -> Result<Option<Vec<&str>>> {
        match self.get(path) {
            None | Some("null") => Ok(None),
            Some(raw) => members::elements(raw).map(Some).ok_or_else(|| not(path, raw, "be an array")),
        }
    }

    /// Gives the member at `path` the value `raw_json`: in the place of the one that it has, or as a new member behind
    /// the others. Objects on the way that are missing, or `null`, are made.
    ///
    /// # Errors
    /// [`Error::Syntax`] if `raw_json` is no JSON, [`Error::Field`] if something on the way is no object,
    /// [`Error::Deep`]; nothing has changed then.
    pub fn set(&mut self, path: &[&str], raw_json: &str) -> Result<()> {
        let value = value(raw_json)?;
        if path.is_empty() && !value.starts_with('{') {
            return Err(not(path, value, "be an object"));
        }
        match self.find(path) {
            Some(at) => self.splice(at, value),
            None => self.add(path, value),
        }
    }

    /// Removes the member at `path`, and its duplicates: another must not come into force by that. True if there was
    /// any. The whole object, at the empty path, is not removed.
    pub fn remove(&mut self, path: &[&str]) -> bool {
        let Some((key, parent)) = path.split_last() else { return false };
        let gone: Vec<Span> =
            self.everywhere(parent).iter().flat_map(|object| removal(&self.text, object, key)).collect();
        let mut kept = String::with_capacity(self.text.len());
        let mut from = 0;
        for span in &gone {
            kept.push_str(&self.text[from..span.start]);
            from = span.end;
        }
        kept.push_str(&self.text[from..]);
        self.text = kept;
        !gone.is_empty()
    }

    /// Puts `raw_json` before the first element of the array at `path`. The array, if it is missing or `null`, and
    /// objects on the way are made.
    ///
    /// # Errors
    /// Those of [`Document::set`]; [`Error::Field`] if there is something else than an array.
    pub fn push_front(&mut self, path: &[&str], raw_json: &str) -> Result<()> {
        self.push(path, true, value(raw_json)?)
    }

    /// Puts `raw_json` behind the last element of the array at `path`, as [`Document::push_front`] does.
    ///
    /// # Errors
    /// Those of [`Document::push_front`].
    pub fn push_back(&mut self, path: &[&str], raw_json: &str) -> Result<()> {
        self.push(path, false, value(raw_json)?)
    }

    /// Edits an object in the array at `path`, the one at `index`, as a text of its own.
    ///
    /// # Errors
    /// [`Error::Field`] if there is no such object; what `edit` says; [`Error::Deep`]. Nothing has changed then.
    pub fn edit_element(
        &mut self,
        path: &[&str],
        index: usize,
        edit: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        let element = self.elements(path)?.and_then(|elements| elements.get(index).copied());
        let missing = || not(path, "too short", &format!("have an element {index}"));
        let raw = element.ok_or_else(missing)?;
        let start = raw.as_ptr().addr() - self.text.as_ptr().addr();
        let at = start..start + raw.len();
        let mut element = Self::read(raw.as_bytes())?;
        edit(&mut element)?;
        self.splice(at, &element.text)
    }

    fn push(&mut self, path: &[&str], is_first: bool, value: &str) -> Result<()> {
        let Some(at) = self.find(path) else { return self.add(path, &format!("[{value}]")) };
        match &self.text[at.clone()] {
            "null" => self.splice(at, &format!("[{value}]")),
            raw if raw.starts_with('[') => {
                let layout::Splice { at, text } = layout::element(&self.text, &at, is_first, value);
                self.splice(at, &text)
            }
            raw => Err(not(path, raw, "be an array")),
        }
    }

    /// Adds a member that is not there.
    fn add(&mut self, path: &[&str], value: &str) -> Result<()> {
        let (mut known, mut at) = (0, self.whole());
        while let Some(deeper) = self.find(&path[..known + 1]) {
            (known, at) = (known + 1, deeper);
        }
        let (there, missing) = path.split_at(known);
        match &self.text[at.clone()] {
            "null" => {
                let value = layout::nested(&self.text, missing, value);
                self.splice(at, &value)
            }
            raw if raw.starts_with('{') => {
                let value = layout::nested(&self.text, &missing[1..], value);
                let layout::Splice { at, text } = layout::member(&self.text, &at, missing[0], &value);
                self.splice(at, &text)
            }
            raw => Err(not(there, raw, "be an object")),
        }
    }

    fn splice(&mut self, at: Span, by: &str) -> Result<()> {
        let text = [&self.text[..at.start], by, &self.text[at.end..]].concat();
        shallow(&text)?;
        self.text = text;
        Ok(())
    }

    /// The value that counts at `path`.
    fn find(&self, path: &[&str]) -> Option<Span> {
        self.merged(path).pop()
    }

    /// The values at `path` of which Go would make one.
    fn merged(&self, path: &[&str]) -> Vec<Span> {
        path.iter().fold(vec![self.whole()], |objects, key| {
            objects.iter().fold(Vec::new(), |mut found, object| match named(&self.text, object, key) {
                Some(values) => {
                    found.extend(values);
                    found
                }
                // A null, or what no runtime would take.
                None => Vec::new(),
            })
        })
    }

    /// All values at `path`, whatever counts.
    fn everywhere(&self, path: &[&str]) -> Vec<Span> {
        path.iter().fold(vec![self.whole()], |objects, key| {
            objects.iter().filter_map(|object| named(&self.text, object, key)).flatten().collect()
        })
    }

    /// The object without the white space around it.
    fn whole(&self) -> Span {
        let start = self.text.len() - self.text.trim_start_matches(WHITE).len();
        start..self.text.trim_end_matches(WHITE).len()
    }
}

/// The values of a key in the object at `object`; `None` if that is no object.
fn named(text: &str, object: &Span, key: &str) -> Option<Vec<Span>> {
    let members = members::members(text, object)?;
    Some(
        members
            .into_iter()
            .filter(|member| is_key(&text[member.key.clone()], key))
            .map(|member| member.value)
            .collect(),
    )
}

fn is_key(raw: &str, key: &str) -> bool {
    members::decoded(raw).is_some_and(|decoded| decoded == key)
}

/// What goes with the members of that key: each run of them, and the comma that would be one too many.
fn removal(text: &str, object: &Span, key: &str) -> Vec<Span> {
    let members = members::members(text, object).unwrap_or_default();
    let is_gone = |at: usize| is_key(&text[members[at].key.clone()], key);
    let mut spans = Vec::new();
    let mut at = 0;
    while at < members.len() {
        let run = (at..members.len()).take_while(|at| is_gone(*at)).count();
        let next = at + run;
        if run > 0 {
            spans.push(match (at, members.get(next)) {
                (_, Some(kept)) => members[at].key.start..kept.key.start,
                (0, None) => object.start + 1..object.end - 1,
                (_, None) => members[at - 1].value.end..members[next - 1].value.end,
            });
        }
        at = next + 1;
    }
    spans
}

/// The one JSON value that `raw` is, without the white space around it.
fn value(raw: &str) -> Result<&str> {
    Ok(serde_json::from_str::<&RawValue>(raw)?.get())
}

fn shallow(text: &str) -> Result<()> {
    if members::depth(text) > DEEPEST { Err(Error::Deep { most: DEEPEST }) } else { Ok(()) }
}

fn not(path: &[&str], raw: &str, must: &str) -> Error {
    Error::field(field::joined(path), raw, must)
}

/// The string that a raw value is; `None` if it is no string.
pub(crate) fn string(raw: &str) -> Option<String> {
    members::decoded(raw).map(std::borrow::Cow::into_owned)
}

/// The elements of a raw value; `None` if it is no array.
pub(crate) fn array(raw: &str) -> Option<Vec<&str>> {
    members::elements(raw)
}

/// The value that counts of a key in a raw value: the last one; `None` in it if there is none, or `null`. `None` if the
/// value is no object.
pub(crate) fn member<'a>(raw: &'a str, key: &str) -> Option<Option<&'a str>> {
    let values = named(raw, &(0..raw.len()), key)?;
    Some(values.into_iter().map(|at| &raw[at]).rfind(|value| *value != "null"))
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
