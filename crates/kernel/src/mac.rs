//! Hardware addresses of any length that Linux knows (6 bytes Ethernet, 8 EUI-64, 20 InfiniBand).

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

/// The longest hardware address netferry meets: IP over InfiniBand.
const LONGEST: usize = 20;

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac {
    bytes: [u8; LONGEST],
    length: u8,
}

impl Mac {
    /// The address of these bytes; `None` if there are more than twenty.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut mac = Self { bytes: [0; LONGEST], length: u8::try_from(bytes.len()).ok()? };
        mac.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(mac)
    }

    /// An Ethernet address made of the first six bytes of a hash: unicast, locally administered.
    pub fn local(hash: &[u8; 6]) -> Self {
        let mut bytes = [0; LONGEST];
        bytes[..6].copy_from_slice(hash);
        bytes[0] = (bytes[0] | 0x02) & !0x01;
        Self { bytes, length: 6 }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.as_bytes().iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a hardware address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidMac(pub String);

impl fmt::Display for InvalidMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {}: invalid MAC address", self.0)
    }
}

impl std::error::Error for InvalidMac {}

impl FromStr for Mac {
    type Err = InvalidMac;

    /// Accepts the three forms that the field writes (Go's `net.ParseMAC`): pairs with `:` or `-`, groups of four with
    /// `.`; 6, 8 or 20 bytes.
    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let invalid = || InvalidMac(text.to_owned());
        let (separator, digits) = match (text.as_bytes().get(2), text.as_bytes().get(4)) {
            (Some(b':'), _) => (':', 2),
            (Some(b'-'), _) => ('-', 2),
            (_, Some(b'.')) => ('.', 4),
            _ => return Err(invalid()),
        };
        let mut bytes = Vec::with_capacity(LONGEST);
        for group in text.split(separator) {
            if group.len() != digits || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(invalid());
            }
            for pair in group.as_bytes().chunks(2) {
                let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
                bytes.push(u8::from_str_radix(pair, 16).map_err(|_| invalid())?);
            }
        }
        if ![6, 8, 20].contains(&bytes.len()) {
            return Err(invalid());
        }
        Self::from_bytes(&bytes).ok_or_else(invalid)
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    /// Reads what `Display` writes, of any length.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let pairs = text.split(':').filter(|_| !text.is_empty());
        let byte = |pair: &str| u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2 && !pair.starts_with('+'));
        let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).ok_or_else(|| D::Error::custom(InvalidMac(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_and_writes_one() {
        for text in ["02:fc:00:00:00:01", "02-FC-00-00-00-01", "02fc.0000.0001"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), "02:fc:00:00:00:01", "{text}");
        }
        let infiniband = "80:00:00:02:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0a:0b:0c";
        assert_eq!(infiniband.parse::<Mac>().unwrap().to_string(), infiniband);
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "02",
            "02:fc:00:00:00",
            "02:fc:00:00:00:0",
            "02:fc:00:00:00:01:02",
            "02:fc-00:00:00:01",
            "+2:fc:00:00:00:01",
            "zz:fc:00:00:00:01",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    #[test]
    fn json_holds_addresses_of_every_length() {
        for bytes in [&[][..], &[10, 0, 0, 1], &[2, 0xfc, 0, 0, 0, 1], &[7; 20]] {
            let mac = Mac::from_bytes(bytes).unwrap();
            assert_eq!(serde_json::from_str::<Mac>(&serde_json::to_string(&mac).unwrap()).unwrap(), mac);
        }
        for text in ["\"2:fc\"", "\"+2\"", "\":\"", "7"] {
            assert!(serde_json::from_str::<Mac>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn local_addresses_are_unicast() {
        assert_eq!(Mac::local(&[0xff; 6]).to_string(), "fe:ff:ff:ff:ff:ff");
        assert_eq!(Mac::local(&[0; 6]).to_string(), "02:00:00:00:00:00");
    }
}
