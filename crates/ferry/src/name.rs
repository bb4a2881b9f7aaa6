//! Names of devices, and templates of them, by the kernel's rules.
//!
//! The kernel looks at bytes, and its white space is that of Latin-1: 0xA0, a byte of `à` in UTF-8, is among it. A `%`
//! makes a name a template, `eth%d`, of which the lowest number that is free in the namespace makes the name.
//! Rules: `dev_valid_name` and `__dev_alloc_name` of `net/core/dev.c`.

use std::fmt;

/// The longest name in bytes: `IFNAMSIZ` of `linux/if.h`, less the NUL.
pub const LONGEST: usize = 15;
/// Numbers of a template: a bit for each in eight pages of 4 KiB.
const NUMBERS: u32 = 8 * 4096;

/// Why the kernel refuses a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// It is empty.
    Empty,
    /// It has this many bytes, more than [`LONGEST`].
    Long(usize),
    /// It is `.` or `..`, which are directories of sysfs.
    Dots,
    /// It has this byte: `/`, `:`, NUL or white space.
    Byte(u8),
    /// It has a `%` that is not one single `%d`.
    Template,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Long(length) => write!(f, "it has {length} bytes, and {LONGEST} is the most"),
            Self::Dots => f.write_str("it stands for a directory"),
            Self::Byte(0xa0) => {
                f.write_str("the byte 0xa0, in letters such as \"à\" too, is white space to the kernel")
            }
            Self::Byte(byte) if byte.is_ascii_graphic() => write!(f, "no name has a {:?}", char::from(*byte)),
            Self::Byte(byte) => write!(f, "no name has the byte {byte:#04x}"),
            Self::Template => f.write_str("a % must be the one of a single %d"),
        }
    }
}

/// Checks a name, or a template.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(name: &str) -> Result<(), Invalid> {
    let is_refused = |byte: &u8| matches!(byte, b'/' | b':' | 0 | b'\t'..=b'\r' | b' ' | 0xa0);
    match name {
        "" => return Err(Invalid::Empty),
        "." | ".." => return Err(Invalid::Dots),
        _ if name.len() > LONGEST => return Err(Invalid::Long(name.len())),
        _ => {}
    }
    if let Some(byte) = name.bytes().find(|byte| is_refused(byte)) {
        return Err(Invalid::Byte(byte));
    }
    match name.split_once('%') {
        Some((_, behind)) if !behind.starts_with('d') || behind.contains('%') => Err(Invalid::Template),
        _ => Ok(()),
    }
}

/// True for a [valid](check) name that the kernel completes.
pub fn is_template(name: &str) -> bool {
    name.contains('%')
}

/// The name that the kernel would make of a template, where `is_taken` says which are not free; `None` if none is.
pub fn complete(template: &str, is_taken: impl Fn(&str) -> bool) -> Option<String> {
    (0..NUMBERS).map(|number| template.replace("%d", &number.to_string())).find(|name| !is_taken(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_names() {
        for name in ["a", "eth%d", "a%db", "%d", "é", "日本語語語", "-x", "..a", "\u{1}", "\u{7f}", "123456789012345"]
        {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn invalid_names() {
        for (name, expected) in [
            ("", "it is empty"),
            ("1234567890123456", "it has 16 bytes, and 15 is the most"),
            (".", "it stands for a directory"),
            ("..", "it stands for a directory"),
            ("a/b", "no name has a '/'"),
            ("a:b", "no name has a ':'"),
            ("a b", "no name has the byte 0x20"),
            ("a\u{b}", "no name has the byte 0x0b"),
            ("à", "the byte 0xa0, in letters such as \"à\" too, is white space to the kernel"),
            ("a%", "a % must be the one of a single %d"),
            ("a%%d", "a % must be the one of a single %d"),
            ("eth%3d", "a % must be the one of a single %d"),
            ("a%d%d", "a % must be the one of a single %d"),
            ("a%s", "a % must be the one of a single %d"),
        ] {
            assert_eq!(check(name).map_err(|invalid| invalid.to_string()), Err(expected.to_owned()), "{name:?}");
        }
    }

    #[test]
    fn templates_take_the_lowest_free_number() {
        let taken = ["eth0", "eth1", "eth3"];
        let complete = |template| complete(template, |name| taken.contains(&name));
        assert_eq!(complete("eth%d").as_deref(), Some("eth2"));
        assert_eq!(complete("%d").as_deref(), Some("0"));
        assert_eq!(complete("a%db").as_deref(), Some("a0b"));
        assert_eq!(super::complete("eth%d", |_| true), None);
    }
}
