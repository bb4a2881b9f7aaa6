//! A value in a document, with its path: what is read of it is of the type that it must be, or the error says which
//! field it is and what it has.
//!
//! A `null` is absence, as it is for Go's `encoding/json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::document::{self, Document};
use crate::{Error, Result};

/// A value that is not `null`.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    name: String,
    raw: &'a str,
}

impl<'a> Field<'a> {
    /// The value at `path`.
    pub(crate) fn at(document: &'a Document, path: &[&str]) -> Option<Self> {
        let raw = document.get(path).filter(|raw| *raw != "null")?;
        Some(Self { name: joined(path), raw })
    }

    /// A value whose path is known.
    pub(crate) const fn new(name: String, raw: &'a str) -> Self {
        Self { name, raw }
    }

    /// That value is not as it must be.
    pub(crate) fn must(&self, must: impl Into<String>) -> Error {
        Error::field(&*self.name, self.raw, must)
    }

    pub(crate) fn string(&self) -> Result<String> {
        document::string(self.raw).ok_or_else(|| self.must("be a string"))
    }

    pub(crate) fn absolute_path(&self) -> Result<PathBuf> {
        let path = PathBuf::from(self.string()?);
        if path.is_absolute() { Ok(path) } else { Err(self.must("be an absolute path")) }
    }

    pub(crate) fn integer(&self) -> Result<i64> {
        self.raw.parse().map_err(|_| self.must("be an integer"))
    }

    pub(crate) fn boolean(&self) -> Result<bool> {
        self.raw.parse().map_err(|_| self.must("be true or false"))
    }

    pub(crate) fn elements(&self) -> Result<Vec<Self>> {
        let elements = document::array(self.raw).ok_or_else(|| self.must("be an array"))?;
        let element = |(at, raw)| Self { name: format!("{}[{at}]", self.name), raw };
        Ok(elements.into_iter().enumerate().map(element).collect())
    }

    /// A member of it, if it has one that is not `null`.
    pub(crate) fn member(&self, key: &str) -> Result<Option<Self>> {
        let raw = document::member(self.raw, key).ok_or_else(|| self.must("be an object"))?;
        Ok(raw.map(|raw| Self { name: format!("{}.{}", self.name, word(key)), raw }))
    }
}

/// The object of strings at `path`.
pub(crate) fn strings(document: &Document, path: &[&str]) -> Result<BTreeMap<String, String>> {
    let members = document.members(path)?.unwrap_or_default();
    let read = |(key, raw): (String, &str)| {
        let field = Field::new(joined(&[path, &[&key]].concat()), raw);
        let value = if raw == "null" { String::new() } else { field.string()? };
        Ok((key, value))
    };
    members.into_iter().map(read).collect()
}

/// A path as messages show it.
pub(crate) fn joined(path: &[&str]) -> String {
    let words: Vec<String> = path.iter().map(|key| word(key)).collect();
    if words.is_empty() { "the JSON".to_owned() } else { words.join(".") }
}

/// A key as messages show it: in quotes where it might be taken for something else.
fn word(key: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '%' | '@' | '+');
    if !key.is_empty() && key.chars().all(is_plain) { key.to_owned() } else { format!("{key:?}") }
}
