//! [`Value`] to a type: a serde `Deserializer` with the rules of Go's decoder. A key goes to the field of that name,
//! else to the field of that name in another case; of two keys for one field the later wins; `null` leaves the default
//! (so structs say `#[serde(default)]`); unknown keys are ignored; integers are written without point and exponent.
//! `#[serde(flatten)]`, and two spellings of one `alias`, are outside of the contract.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::de::{Deserializer, MapAccess, SeqAccess};
use serde_json::{Map, Value};

use super::{Shown, same_key};

/// Why a value does not fit its type: `ipam.ranges[0][1].subnet: expected a string, found 7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The way to the offending value, as in `ipam.ranges[0]`; empty for the value itself.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// The offending value, where it is one that can be shown.
    pub found: Option<String>,
}

impl DecodeError {
    fn expected(what: impl fmt::Display, value: &Value) -> Self {
        Self { path: String::new(), problem: format!("expected {what}"), found: Some(Shown(value).to_string()) }
    }

    /// The same error seen from the object that holds the value under `key`.
    #[must_use]
    pub fn under(mut self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }

    fn at_index(self, index: usize) -> Self {
        self.under(&format!("[{index}]"))
    }

    /// Adds the value to an error that a type raised without knowing it.
    fn about(mut self, value: &Value) -> Self {
        if self.found.is_none() && self.path.is_empty() && !value.is_object() && !value.is_array() {
            self.found = Some(Shown(value).to_string());
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)?;
        self.found.as_ref().map_or(Ok(()), |found| write!(f, ", found {found}"))
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self { path: String::new(), problem: problem.to_string(), found: None }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }
}

/// `value` as a `T`.
///
/// # Errors
/// If a part of `value` does not have the type that `T` asks for; the error names the part.
pub fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, DecodeError> {
    T::deserialize(From(value)).map_err(|error| error.about(value))
}

#[derive(Clone, Copy)]
struct From<'a>(&'a Value);

macro_rules! integers {
    ($($method:ident $type:ident $read:ident $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.0 {
                Value::Null => visitor.$visit(0),
                Value::Number(number) => match number.$read().and_then(|n| $type::try_from(n).ok()) {
                    Some(n) => visitor.$visit(n),
                    None => Err(DecodeError::expected(
                        format_args!("an integer from {} to {}", $type::MIN, $type::MAX),
                        self.0,
                    )),
                },
                _ => Err(DecodeError::expected("an integer", self.0)),
            }
        }
    )*};
}

macro_rules! aliases {
    ($($method:ident => $target:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            self.$target(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for From<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Number(number) => number.deserialize_any(visitor).map_err(DecodeError::custom),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_bool(false),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            _ => Err(DecodeError::expected("a boolean", self.0)),
        }
    }

    integers! {
        deserialize_i8 i8 as_i64 visit_i8,
        deserialize_i16 i16 as_i64 visit_i16,
        deserialize_i32 i32 as_i64 visit_i32,
        deserialize_i64 i64 as_i64 visit_i64,
        deserialize_u8 u8 as_u64 visit_u8,
        deserialize_u16 u16 as_u64 visit_u16,
        deserialize_u32 u32 as_u64 visit_u32,
        deserialize_u64 u64 as_u64 visit_u64,
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match (self.0, self.0.as_f64()) {
            (Value::Null, _) => visitor.visit_f64(0.0),
            (_, Some(n)) => visitor.visit_f64(n),
            _ => Err(DecodeError::expected("a number", self.0)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_borrowed_str(""),
            Value::String(text) => visitor.visit_borrowed_str(text),
            _ => Err(DecodeError::expected("a string", self.0)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_seq(Items { items: &[], at: 0 }),
            Value::Array(items) => visitor.visit_seq(Items { items, at: 0 }),
            _ => Err(DecodeError::expected("an array", self.0)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let entries = match self.0 {
            Value::Null => Vec::new(),
            Value::Object(map) => map.iter().map(|(key, value)| (key.as_str(), key.as_str(), value)).collect(),
            _ => return Err(DecodeError::expected("an object", self.0)),
        };
        visitor.visit_map(Entries { entries, at: 0 })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let entries = match self.0 {
            Value::Null => Vec::new(),
            Value::Object(map) => fields_of(map, fields),
            _ => return Err(DecodeError::expected("an object", self.0)),
        };
        visitor.visit_map(Entries { entries, at: 0 })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::String(text) => {
                let variant: StrDeserializer<'_, DecodeError> = text.as_str().into_deserializer();
                visitor.visit_enum(variant)
            }
            _ => Err(DecodeError::expected("a string", self.0)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    aliases! {
        deserialize_f32 => deserialize_f64,
        deserialize_char => deserialize_str,
        deserialize_string => deserialize_str,
        deserialize_identifier => deserialize_str,
        deserialize_bytes => deserialize_any,
        deserialize_byte_buf => deserialize_any,
        deserialize_unit => deserialize_any,
    }
}

/// An entry as (name of the field, key as it is written, value).
type Entry<'a> = (&'a str, &'a str, &'a Value);

/// The entries of `map` that have a field, each field once.
fn fields_of<'a>(map: &'a Map<String, Value>, fields: &'static [&'static str]) -> Vec<Entry<'a>> {
    let mut slots: Vec<Option<Entry<'a>>> = vec![None; fields.len()];
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let exact = fields.iter().position(|field| field == key);
        if let Some(index) = exact.or_else(|| fields.iter().position(|field| same_key(field, key))) {
            slots[index] = Some((fields[index], key, value));
        }
    }
    slots.into_iter().flatten().collect()
}

struct Entries<'a> {
    entries: Vec<Entry<'a>>,
    at: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let Some((field, key, _)) = self.entries.get(self.at) else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(field)).map(Some).map_err(|error: DecodeError| error.under(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let Some((_, key, value)) = self.entries.get(self.at) else {
            return Err(DecodeError::custom("a value was asked for before its key"));
        };
        self.at += 1;
        seed.deserialize(From(value)).map_err(|error| error.about(value).under(key))
    }
}

struct Items<'a> {
    items: &'a [Value],
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        let Some(value) = self.items.get(self.at) else { return Ok(None) };
        let index = self.at;
        self.at += 1;
        seed.deserialize(From(value)).map(Some).map_err(|error| error.about(value).at_index(index))
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
