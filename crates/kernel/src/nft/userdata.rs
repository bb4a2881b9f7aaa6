//! nft's notes to itself on tables, chains, rules, sets and elements: comments, and the byte order of a set's fields.
//!
//! The kernel stores them unread. The form is a row of type, length, bytes (libnftnl `include/udata.h`); the numbers
//! of the types differ from object to object.

/// A comment's type on a table, a chain, a rule and an element.
pub(super) const COMMENT: u8 = 0;
/// The byte order of a set's key (1 host, 2 network, 0 a concatenation).
pub(super) const SET_KEY_BYTEORDER: u8 = 0;
/// The byte order of a map's data.
pub(super) const SET_DATA_BYTEORDER: u8 = 1;
/// A comment's type on a set.
pub(super) const SET_COMMENT: u8 = 7;

/// nft's limit, `NFTNL_UDATA_COMMENT_MAXLEN`, in bytes.
const COMMENT_LENGTH: usize = 128;

/// Appends a comment; what is longer than nft reads is cut at a character.
pub(super) fn push_comment(to: &mut Vec<u8>, kind: u8, text: &str) {
    let text = &text[..text.floor_char_boundary(COMMENT_LENGTH - 1)];
    to.extend([kind, text.len() as u8 + 1]);
    to.extend(text.as_bytes());
    to.push(0);
}

/// Appends a number.
pub(super) fn push_number(to: &mut Vec<u8>, kind: u8, number: u32) {
    to.extend([kind, 4]);
    to.extend(number.to_ne_bytes());
}

/// A comment alone, as tables, chains, rules and elements carry it.
pub(super) fn comment(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 3);
    push_comment(&mut bytes, COMMENT, text);
    bytes
}

/// Finds the comment of type `kind`.
pub(super) fn read_comment(mut bytes: &[u8], kind: u8) -> Option<String> {
    while let [found, length, rest @ ..] = bytes {
        let (value, next) = rest.split_at_checked(usize::from(*length))?;
        if *found == kind {
            return Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned());
        }
        bytes = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_behind_other_notes() {
        let mut bytes = Vec::new();
        push_number(&mut bytes, SET_KEY_BYTEORDER, 2);
        push_comment(&mut bytes, SET_COMMENT, "cs");
        assert_eq!(bytes, [0, 4, 2, 0, 0, 0, 7, 3, b'c', b's', 0]);
        assert_eq!(read_comment(&bytes, SET_COMMENT).as_deref(), Some("cs"));
        assert_eq!(read_comment(&bytes, 9), None);
        assert_eq!(read_comment(&bytes[..8], SET_COMMENT), None);
    }

    #[test]
    fn a_long_comment_is_cut_between_characters() {
        let text = "é".repeat(100);
        let kept = read_comment(&comment(&text), COMMENT);
        assert_eq!(kept.as_deref(), Some("é".repeat(63).as_str()));
    }
}
