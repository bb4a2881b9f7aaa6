//! How the file of an owner is called: as the owner where that can be, so that those who begin alike are found by it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha512};

/// Of a file's name, less what is put behind it.
const LONGEST_NAME: usize = 200;
const BEHIND: &str = ".json";
/// Letters of what tells long names apart.
const HASH: usize = 32;

/// A name for the file of `owner`: its own where that is one.
pub(super) fn of(owner: &str) -> String {
    let mut name = escaped(owner);
    if name.len() > LONGEST_NAME {
        let hash = Sha512::digest(owner.as_bytes());
        let hash: String = hash.iter().take(HASH / 2).map(|byte| format!("{byte:02x}")).collect();
        name.truncate(LONGEST_NAME - HASH - 1);
        name = format!("{name}~{hash}");
    }
    name + BEHIND
}

/// An owner as a name in a directory, with what a path means something by written as `%2F`.
fn escaped(owner: &str) -> String {
    let mut name = String::new();
    for byte in owner.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            // Not in front, where it would hide the file or climb.
            b'.' if !name.is_empty() => name.push('.'),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

/// Tells the names of the files of owners that begin with `beginning`; of long ones it may be another's.
pub(super) fn of_those(beginning: &str) -> impl Fn(&OsStr) -> bool {
    let mut name = escaped(beginning);
    name.truncate(LONGEST_NAME - HASH - 1);
    move |file| file.as_bytes().starts_with(name.as_bytes()) && file.as_bytes().ends_with(BEHIND.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_directory() {
        for (owner, expected) in [
            ("cli/eth1", "cli%2Feth1.json"),
            ("..", "%2E..json"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.json"),
            ("a.b", "a.b.json"),
            ("é\0\n", "%C3%A9%00%0A.json"),
        ] {
            assert_eq!(of(owner), expected);
        }
        let (long, other) = (of(&"x".repeat(500)), of(&"x".repeat(501)));
        assert!(long.len() <= 205 && long != other, "{long}");
    }

    #[test]
    fn names_of_those_who_begin_alike() {
        let long = format!("oci/c1/{}", "x".repeat(300));
        let owners = ["oci/c1/d0", "oci/c1.2/d0", "oci/c1/d0,d1", &long, "cli/d0"];
        let found = |beginning: &str| {
            let is_of = of_those(beginning);
            owners.map(|owner| is_of(OsStr::new(&of(owner))))
        };
        assert_eq!(found(""), [true; 5]);
        assert_eq!(found("oci/c1/"), [true, false, true, true, false]);
        assert_eq!(found(&long[..250]), [false, false, false, true, false]);
        assert!(!of_those("")(OsStr::new("pins")));
    }
}
