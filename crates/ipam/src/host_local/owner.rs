//! Who a reservation belongs to: the content of an address's file, and the name of its entry in the index.
//!
//! The content is `<container ID>\r\n<ifname>` without a final newline. Files of old releases hold the ID alone, and
//! those belong to every interface of that container.

use sha2::{Digest, Sha256};

/// Longest index entry that is spelled out; file systems end at 255 bytes.
const NAME_MAX: usize = 255;

/// The owner of a reservation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Container ID.
    pub id: String,
    /// Interface name in the container; `None` in files of old releases.
    pub ifname: Option<String>,
}

impl Owner {
    /// The owner `id`, `ifname`.
    pub fn new(id: &str, ifname: &str) -> Self {
        Self { id: id.to_owned(), ifname: Some(ifname.to_owned()) }
    }

    /// The same container as files of old releases name it.
    pub fn without_ifname(&self) -> Self {
        Self { id: self.id.clone(), ifname: None }
    }

    /// Reads the content of an address's file. `None` for a text that no container can have written: those reservations
    /// are an administrator's and are left alone.
    pub fn parse(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?.trim();
        let (id, ifname) = match text.split_once("\r\n") {
            Some((id, ifname)) => (id, Some(ifname)),
            None => (text, None),
        };
        let owner = Self { id: id.to_owned(), ifname: ifname.map(str::to_owned) };
        (is_id(id) && ifname.is_none_or(is_ifname)).then_some(owner)
    }

    /// What the file of an address holds.
    pub fn content(&self) -> String {
        match &self.ifname {
            Some(ifname) => format!("{}\r\n{ifname}", self.id),
            None => self.id.clone(),
        }
    }

    /// The name of the owner's entry in the index: `id:ifname`, or `id:` for an old file; a digest where that would be
    /// too long for a file name. Neither part can hold a colon or a slash, so different owners have different names.
    pub fn key(&self) -> String {
        let key = format!("{}:{}", self.id, self.ifname.as_deref().unwrap_or_default());
        if key.len() <= NAME_MAX {
            return key;
        }
        let digest = Sha256::digest(key.as_bytes());
        digest.iter().fold(String::from(":"), |name, byte| name + &format!("{byte:02x}"))
    }
}

/// True for a content that a crash left behind: nothing was written, or the blocks never reached the disk.
pub fn is_blank(content: &[u8]) -> bool {
    content.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace())
}

/// True if `text` is a container ID (the specification's character set).
pub fn is_id(text: &str) -> bool {
    let rest = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && text.as_bytes().iter().all(rest)
}

fn is_ifname(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 15
        && !text.contains(|c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_round_trip() {
        let owner = Owner::new("c1", "eth0");
        assert_eq!(owner.content(), "c1\r\neth0");
        assert_eq!(Owner::parse(b"c1\r\neth0"), Some(owner.clone()));
        assert_eq!(Owner::parse(b" c1\n"), Some(owner.without_ifname()));
        for foreign in ["", "reserved by hand", "../x\r\neth0", "c1\r\na/b", "c1\r\n", "c1\neth0"] {
            let parsed = Owner::parse(foreign.as_bytes());
            assert!(parsed.is_none() || foreign == "c1\r\n", "{foreign:?}: {parsed:?}");
        }
        assert_eq!(Owner::parse(b"c\xff"), None);
    }

    #[test]
    fn keys_differ_and_fit() {
        let long = "x".repeat(4000);
        let keys = [
            Owner::new("c1", "eth0").key(),
            Owner::new("c1", "eth0").without_ifname().key(),
            Owner::new(&long, "eth0").key(),
            Owner::new(&long, "eth1").key(),
        ];
        assert_eq!(keys[..2], ["c1:eth0", "c1:"]);
        assert!(keys.iter().all(|key| key.len() <= NAME_MAX) && keys[2] != keys[3]);
    }

    #[test]
    fn blank() {
        assert!(is_blank(b"") && is_blank(b"\0\0 \n") && !is_blank(b"c1"));
    }
}
