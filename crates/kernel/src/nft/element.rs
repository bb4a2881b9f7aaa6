//! Elements of sets and maps, as data and as attributes.
//!
//! An element's comment is kept by the kernel and printed by nft; that is where owners leave their mark. A prefix in a
//! set of one field is two elements to the kernel, one for each end of the interval; in a concatenation it is one
//! element with a first and a last key.

use std::fmt;

use netlink_bindings::nftables::{
    IterableDataAttrs, IterableSetelemAttrs, PushDataAttrs, PushSetelemListElemAttrs, VerdictCode,
};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::{finalize_nested_header, find_attr, push_nested_header};

use super::expr::Verdict;
use super::set::{Data, Set};
use super::value::{Field, Value, commented, concatenation};
use super::{encode, userdata};

const NFT_SET_ELEM_INTERVAL_END: u32 = 1;
/// By number, since the codec's is one too low.
const NFTA_SET_ELEM_KEY_END: u16 = 10;
const NFTA_DATA_VALUE: u16 = 1;

/// One element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The key, a value for each field.
    pub key: Vec<Value>,
    /// What a map holds for it.
    pub data: Option<Mapped>,
    /// The comment; nft reads at most 127 bytes.
    pub comment: Option<String>,
}

/// What a map holds for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapped {
    /// A verdict.
    Verdict(Verdict),
    /// Values.
    Values(Vec<Value>),
}

/// An element as the kernel has it.
pub(super) struct Entry {
    key: Vec<u8>,
    last: Option<Vec<u8>>,
    is_end: bool,
    data: Option<Mapped>,
    comment: Option<String>,
}

impl Element {
    /// An element of a set.
    pub fn new(key: impl Into<Vec<Value>>) -> Self {
        Self { key: key.into(), data: None, comment: None }
    }

    /// An element of a map.
    pub fn mapped(key: impl Into<Vec<Value>>, data: Mapped) -> Self {
        Self { data: Some(data), ..Self::new(key) }
    }

    /// The same element with a comment.
    #[must_use]
    pub fn commented(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Writes the element into the list of elements of a set with or without the `interval` flag.
    pub(super) fn write<P: Pusher>(
        &self,
        mut list: PushSetelemListElemAttrs<P>,
        interval: bool,
    ) -> PushSetelemListElemAttrs<P> {
        let concatenated = self.key.len() > 1;
        let mut element = list.nested_elem().nested_key().push_value(&joined(&self.key)).end_nested();
        if interval && concatenated {
            let last: Vec<Value> = self.key.iter().map(Value::last).collect();
            let end = push_nested_header(element.as_vec_mut(), NFTA_SET_ELEM_KEY_END);
            PushDataAttrs::new(element.as_vec_mut()).push_value(&joined(&last));
            finalize_nested_header(element.as_vec_mut(), end);
        }
        element = match &self.data {
            Some(Mapped::Verdict(verdict)) => encode::verdict(element.nested_data(), verdict).end_nested(),
            Some(Mapped::Values(values)) => element.nested_data().push_value(&joined(values)).end_nested(),
            None => element,
        };
        if let Some(comment) = &self.comment {
            element = element.push_userdata(&userdata::comment(comment));
        }
        list = element.end_nested();
        match self.key.first().map(Value::last) {
            Some(last) if interval && !concatenated => close(list, &last),
            _ => list,
        }
    }
}

/// Ends an interval: one element more, flagged, behind its last value; none where it reaches the end of all values.
fn close<P: Pusher>(list: PushSetelemListElemAttrs<P>, last: &Value) -> PushSetelemListElemAttrs<P> {
    let (bytes, over) = stepped(&joined(std::slice::from_ref(last)), 1);
    if over {
        return list;
    }
    let element = list.nested_elem().push_flags(&NFT_SET_ELEM_INTERVAL_END.to_be_bytes());
    element.nested_key().push_value(&bytes).end_nested().end_nested()
}

impl Entry {
    /// Reads one element of `set`; `None` if it holds what no [`Value`] can say.
    pub(super) fn read(attributes: &IterableSetelemAttrs<'_>, set: &Set) -> Option<Self> {
        let key = attributes.get_key().ok()?.get_value().ok()?;
        let last =
            find_attr(attributes.get_buf(), NFTA_SET_ELEM_KEY_END).and_then(|end| find_attr(end, NFTA_DATA_VALUE));
        let data = match (&set.data, attributes.get_data()) {
            (Some(Data::Verdict), Ok(data)) => Some(Mapped::Verdict(read_verdict(&data)?)),
            (Some(Data::Fields(fields)), Ok(data)) => Some(Mapped::Values(split(fields, data.get_value().ok()?)?)),
            _ => None,
        };
        let flags = attributes.get_flags().ok().and_then(|bytes| bytes.first_chunk());
        Some(Self {
            is_end: flags.is_some_and(|bytes| u32::from_be_bytes(*bytes) & NFT_SET_ELEM_INTERVAL_END != 0),
            last: last.map(<[u8]>::to_vec),
            comment: attributes.get_userdata().ok().and_then(|n| userdata::read_comment(n, userdata::COMMENT)),
            key: key.to_vec(),
            data,
        })
    }

    /// The element whose keys are `self.key` to `last`.
    fn spanning(self, last: Option<Vec<u8>>, set: &Set) -> Option<Element> {
        let mut key = split(&set.key, &self.key)?;
        if let Some(last) = last {
            let last = split(&set.key, &last)?;
            key =
                key.into_iter().zip(&last).map(|(first, last)| Value::covering(first, last)).collect::<Option<_>>()?;
        }
        Some(Element { key, data: self.data, comment: self.comment })
    }
}

/// Puts the kernel's entries of `set` together: two ends of an interval become one element.
///
/// Left out is what no [`Value`] can say: an interval that is not a prefix.
pub(super) fn assemble(mut entries: Vec<Entry>, set: &Set) -> Vec<Element> {
    if !set.interval || set.key.len() > 1 {
        return entries
            .into_iter()
            .filter_map(|mut entry| {
                let last = entry.last.take();
                entry.spanning(last, set)
            })
            .collect();
    }
    entries.sort_by(|a, b| a.key.cmp(&b.key).then(b.is_end.cmp(&a.is_end)));
    let mut elements = Vec::with_capacity(entries.len() / 2);
    let mut entries = entries.into_iter().peekable();
    while let Some(entry) = entries.next() {
        if !entry.is_end {
            let last = entries.peek().map_or_else(|| vec![0xff; entry.key.len()], |next| stepped(&next.key, u8::MAX).0);
            elements.extend(entry.spanning(Some(last), set));
        }
    }
    elements
}

/// A big-endian number plus `step`, which is 1 or, for minus one, 255; and whether it ran over its end.
fn stepped(number: &[u8], step: u8) -> (Vec<u8>, bool) {
    let mut bytes = number.to_vec();
    for byte in bytes.iter_mut().rev() {
        let over;
        (*byte, over) = if step == 1 { byte.overflowing_add(1) } else { byte.overflowing_sub(1) };
        if !over {
            return (bytes, false);
        }
    }
    (bytes, true)
}

/// Values one behind the other: one as it is, those of a concatenation each in whole registers.
fn joined(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24);
    for value in values {
        value.write(&mut bytes);
        if values.len() > 1 {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

fn split(fields: &[Field], mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::with_capacity(fields.len());
    for field in fields {
        values.push(field.read(bytes)?);
        bytes = bytes.get(field.padded()..).unwrap_or_default();
    }
    Some(values)
}

fn read_verdict(data: &IterableDataAttrs<'_>) -> Option<Verdict> {
    let verdict = data.get_verdict().ok()?;
    let chain = || Some(verdict.get_chain().ok()?.to_string_lossy().into_owned());
    Some(match verdict.get_code().ok()? {
        code if code == VerdictCode::Accept as u32 => Verdict::Accept,
        code if code == VerdictCode::Drop as u32 => Verdict::Drop,
        code if code == VerdictCode::Return as u32 => Verdict::Return,
        code if code == VerdictCode::Jump as u32 => Verdict::Jump(chain()?),
        code if code == VerdictCode::Goto as u32 => Verdict::Goto(chain()?),
        _ => return None,
    })
}

/// Prints the element as `add element` takes it.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", concatenation(&self.key), commented(self.comment.as_deref()))?;
        match &self.data {
            Some(Mapped::Verdict(verdict)) => write!(f, " : {verdict}"),
            Some(Mapped::Values(values)) => write!(f, " : {}", concatenation(values)),
            None => Ok(()),
        }
    }
}
