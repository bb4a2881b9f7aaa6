//! Why a text was not read, or not edited.

use std::fmt;

/// The result of reading or editing.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a text was not read, or not edited. It says where in the text, and not which file that is: its caller knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The text is not UTF-8.
    Encoding {
        /// The first byte that is not, counted from 0.
        at: usize,
    },
    /// The text is no JSON, or not the JSON that it should be.
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// The parser's words.
        why: String,
    },
    /// Arrays and objects are nested too deeply.
    Deep {
        /// How deeply they may be.
        most: usize,
    },
    /// A field has a value that it may not have.
    Field {
        /// Its path, such as `linux.netDevices.eth1.name`.
        field: String,
        /// What it has.
        value: String,
        /// What it must be, as in "it must ...".
        must: String,
    },
}

impl Error {
    /// A field whose raw value is not as it must be.
    pub(crate) fn field(field: impl Into<String>, raw: &str, must: impl Into<String>) -> Self {
        Self::Field { field: field.into(), value: shown(raw), must: must.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding { at } => write!(f, "byte {at} is not UTF-8; write the JSON in UTF-8"),
            Self::Syntax { line, column, why } => {
                write!(f, "line {line}, column {column}: {why}; correct the JSON there")
            }
            Self::Deep { most } => {
                write!(f, "arrays and objects are nested more than {most} deep; this is no file of a container")
            }
            Self::Field { field, value, must } => write!(f, "{field}: must {must}, and is {value}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        let words = error.to_string();
        let why = words.rsplit_once(" at line ").map_or(&*words, |(why, _)| why).to_owned();
        Self::Syntax { line: error.line(), column: error.column(), why }
    }
}

/// A raw value as a message shows it: cut where it gets long.
fn shown(raw: &str) -> String {
    const LONGEST: usize = 80;
    match raw.as_bytes().first() {
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        _ => match raw.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}...", &raw[..end]),
            None => raw.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_at_a_character() {
        let raw = format!("\"{}\"", "ä".repeat(200));
        let text = Error::field("hostname", &raw, "be short").to_string();
        assert_eq!(text, format!("hostname: must be short, and is \"{}...", "ä".repeat(79)));
        assert_eq!(Error::field("a", "[1]", "be x").to_string(), "a: must be x, and is an array");
        assert_eq!(Error::field("a", "{}", "be x").to_string(), "a: must be x, and is an object");
    }
}
