//! Sets and maps, as data and as attributes.
//!
//! One element per container is what keeps a packet's cost and an ADD's cost the same however many containers there
//! are: a set without the `interval` flag is a hash table, one with it a tree, or for concatenations `pipapo`.

use std::fmt;

use netlink_bindings::nftables::{IterableSetAttrs, PushSetAttrs, SetFlags};
use netlink_bindings::traits::Pusher;

use super::userdata;
use super::value::{Field, commented, concatenation};

const NFT_DATA_VERDICT: u32 = 0xffff_ff00;

/// A set, or a map if it has data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The name.
    pub name: String,
    /// The type of the key; more than one field is a concatenation.
    pub key: Vec<Field>,
    /// What a map holds for each key.
    pub data: Option<Data>,
    /// True if keys may be prefixes.
    pub interval: bool,
    /// The comment.
    pub comment: Option<String>,
}

/// The type of a map's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Verdicts.
    Verdict,
    /// Values; more than one field is a concatenation.
    Fields(Vec<Field>),
}

impl Set {
    /// A set without flags or comment.
    pub fn new(name: impl Into<String>, key: impl Into<Vec<Field>>) -> Self {
        Self { name: name.into(), key: key.into(), data: None, interval: false, comment: None }
    }

    /// A map without flags or comment.
    pub fn map(name: impl Into<String>, key: impl Into<Vec<Field>>, data: Data) -> Self {
        Self { data: Some(data), ..Self::new(name, key) }
    }

    /// Writes everything but the table; `id` is any number that no other new set of the transaction has.
    pub(super) fn write<P: Pusher>(&self, attributes: PushSetAttrs<P>, id: u32) {
        let concatenated = self.key.len() > 1;
        let mut flags = if self.data.is_some() { SetFlags::Map as u32 } else { 0 };
        if self.interval {
            flags |= SetFlags::Interval as u32 | if concatenated { SetFlags::Concat as u32 } else { 0 };
        }
        let mut notes = Vec::new();
        userdata::push_number(&mut notes, userdata::SET_KEY_BYTEORDER, byte_order(&self.key));
        let mut attributes = attributes
            .push_name_bytes(self.name.as_bytes())
            .push_flags(flags)
            .push_key_type(Field::concatenated(&self.key))
            .push_key_len(length(&self.key))
            .push_id(id);
        match &self.data {
            Some(Data::Verdict) => {
                attributes = attributes.push_data_type(NFT_DATA_VERDICT).push_data_len(0);
                userdata::push_number(&mut notes, userdata::SET_DATA_BYTEORDER, 0);
            }
            Some(Data::Fields(fields)) => {
                attributes = attributes.push_data_type(Field::concatenated(fields)).push_data_len(length(fields));
                userdata::push_number(&mut notes, userdata::SET_DATA_BYTEORDER, byte_order(fields));
            }
            None => {}
        }
        if self.interval && concatenated {
            let mut fields = attributes.nested_desc().nested_concat();
            for field in &self.key {
                fields = fields.nested_elem().push_len(field.length() as u32).end_nested();
            }
            attributes = fields.end_nested().end_nested();
        }
        if let Some(comment) = &self.comment {
            userdata::push_comment(&mut notes, userdata::SET_COMMENT, comment);
        }
        attributes.push_userdata(&notes);
    }

    /// Reads a set back; `None` if it holds types that are not known here.
    pub(super) fn read(attributes: &IterableSetAttrs<'_>) -> Option<Self> {
        let flags = attributes.get_flags().unwrap_or_default();
        let data = match attributes.get_data_type() {
            _ if flags & SetFlags::Map as u32 == 0 => None,
            Ok(NFT_DATA_VERDICT) => Some(Data::Verdict),
            number => Some(Data::Fields(Field::split(number.ok()?)?)),
        };
        Some(Self {
            name: attributes.get_name().ok()?.to_string_lossy().into_owned(),
            key: Field::split(attributes.get_key_type().ok()?)?,
            data,
            interval: flags & SetFlags::Interval as u32 != 0,
            comment: attributes.get_userdata().ok().and_then(|n| userdata::read_comment(n, userdata::SET_COMMENT)),
        })
    }
}

/// nft's note on the byte order of a key or of data: of one field its own, of a concatenation none.
fn byte_order(fields: &[Field]) -> u32 {
    match fields {
        [field] => field.byte_order(),
        _ => 0,
    }
}

/// Length in bytes of a key or of data: one field as it is, those of a concatenation in whole registers.
fn length(fields: &[Field]) -> u32 {
    match fields {
        [field] => field.length() as u32,
        _ => fields.iter().map(|field| field.padded() as u32).sum(),
    }
}

/// Prints the name and the definition, as `add set` and `add map` take it.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {{ type {}", self.name, concatenation(&self.key))?;
        match &self.data {
            Some(Data::Verdict) => f.write_str(" : verdict")?,
            Some(Data::Fields(fields)) => write!(f, " : {}", concatenation(fields))?,
            None => {}
        }
        f.write_str(";")?;
        if self.interval {
            f.write_str(" flags interval;")?;
        }
        if self.comment.is_some() {
            write!(f, "{};", commented(self.comment.as_deref()))?;
        }
        f.write_str(" }")
    }
}
