//! A sysctl of one device, without the device's name, which a move may change.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A setting of a device below `/proc/sys/net`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// Where: `ipv4/conf`, `ipv6/conf`, `ipv4/neigh` or `ipv6/neigh`.
    pub section: String,
    /// The key (`rp_filter`).
    pub key: String,
    /// The value, as the kernel writes it.
    pub value: String,
}

/// The directories of devices.
const SECTIONS: [&str; 4] = ["ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"];

impl Sysctl {
    /// True for what can have been captured: nothing else becomes part of a path.
    pub(crate) fn is_valid(&self) -> bool {
        let is_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        SECTIONS.contains(&self.section.as_str()) && !self.key.is_empty() && self.key.bytes().all(is_key)
    }

    /// True for the setting `key` of `section`, whatever its value.
    pub(crate) fn is_of(&self, section: &str, key: &str) -> bool {
        self.section == section && self.key == key
    }

    /// The path below `/proc/sys` for the device named `name`.
    pub fn path(&self, name: &str) -> String {
        format!("net/{}/{name}/{}", self.section, self.key)
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}={}", self.section, self.key, self.value)
    }
}
