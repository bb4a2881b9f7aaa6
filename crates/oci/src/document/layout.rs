//! What a new part of a text looks like: like those beside it, where that is easy to see.

use serde_json::Value;

use super::members::{Span, WHITE, members};

/// A piece of text that takes the place of another.
pub(super) struct Splice {
    /// What goes.
    pub at: Span,
    /// What comes.
    pub text: String,
}

/// A member that is added to the object at `object`, behind the last one.
pub(super) fn member(text: &str, object: &Span, key: &str, value: &str) -> Splice {
    let key = quoted(key);
    let siblings = members(text, object).unwrap_or_default();
    if let Some(last) = siblings.last() {
        let (gap, colon) = (gap_before(text, last.key.start), &text[last.key.end..last.value.start]);
        return Splice { at: last.value.end..last.value.end, text: format!(",{gap}{key}{colon}{value}") };
    }
    let at = object.start + 1..object.end - 1;
    let colon = colon(text);
    let text = match unit(text) {
        Some(unit) => {
            let indent = indent(text, object.start);
            format!("\n{indent}{unit}{key}{colon}{value}\n{indent}")
        }
        None => format!("{key}{colon}{value}"),
    };
    Splice { at, text }
}

/// An element that is added to the array at `array`, before the first or behind the last.
pub(super) fn element(text: &str, array: &Span, is_first: bool, value: &str) -> Splice {
    let inner = array.start + 1..array.end - 1;
    let content = &text[inner.clone()];
    let trimmed = content.trim_matches(WHITE);
    if trimmed.is_empty() {
        return Splice { at: inner, text: value.to_owned() };
    }
    let gap = &content[..content.len() - content.trim_start_matches(WHITE).len()];
    let first = inner.start + gap.len();
    let end = first + trimmed.len();
    if is_first {
        Splice { at: first..first, text: format!("{value},{gap}") }
    } else {
        Splice { at: end..end, text: format!(",{gap}{value}") }
    }
}

/// `value` in an object for each key of `path`, in one line.
pub(super) fn nested(text: &str, path: &[&str], value: &str) -> String {
    let colon = colon(text);
    path.iter().rev().fold(value.to_owned(), |value, key| format!("{{{}{colon}{value}}}", quoted(key)))
}

fn quoted(key: &str) -> String {
    Value::from(key).to_string()
}

/// The white space before `at`.
fn gap_before(text: &str, at: usize) -> &str {
    &text[text[..at].trim_end_matches(WHITE).len()..at]
}

/// What is between a key and its value, in the text's first member.
fn colon(text: &str) -> &str {
    let first = first(text);
    first.map_or(":", |(key, value)| &text[key.end..value.start])
}

/// By how much the text's first member is indented; `None` if it is in its parent's line.
fn unit(text: &str) -> Option<&str> {
    let (key, _) = first(text)?;
    gap_before(text, key.start).rsplit_once('\n').map(|(_, unit)| unit)
}

fn first(text: &str) -> Option<(Span, Span)> {
    let whole = members(text, &(0..text.len()))?;
    whole.into_iter().next().map(|member| (member.key, member.value))
}

/// The white space at the beginning of the line that `at` is in.
fn indent(text: &str, at: usize) -> &str {
    let line = &text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..at];
    &line[..line.len() - line.trim_start_matches(WHITE).len()]
}
