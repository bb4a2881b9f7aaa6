//! The versions of the specification, 0.1.0 to 1.1.0.

use std::fmt;

/// A version of the CNI specification that netferry speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is the version it spells")]
pub enum Version {
    V0_1_0,
    V0_2_0,
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Self; 7] =
        [Self::V0_1_0, Self::V0_2_0, Self::V0_3_0, Self::V0_3_1, Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];
    /// The newest version.
    pub const LATEST: Self = Self::V1_1_0;

    /// The version as it is written in `cniVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The version that `text` names exactly; an empty text is 0.1.0, as in configurations older than the field.
    pub fn exact(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::V0_1_0);
        }
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    /// Major, minor and micro number.
    pub const fn numbers(self) -> [i64; 3] {
        match self {
            Self::V0_1_0 => [0, 1, 0],
            Self::V0_2_0 => [0, 2, 0],
            Self::V0_3_0 => [0, 3, 0],
            Self::V0_3_1 => [0, 3, 1],
            Self::V0_4_0 => [0, 4, 0],
            Self::V1_0_0 => [1, 0, 0],
            Self::V1_1_0 => [1, 1, 0],
        }
    }

    /// The shape that a result of this version has.
    pub const fn family(self) -> Family {
        match self {
            Self::V0_1_0 | Self::V0_2_0 => Family::Ip4Ip6,
            Self::V0_3_0 | Self::V0_3_1 | Self::V0_4_0 => Family::TaggedIps,
            Self::V1_0_0 | Self::V1_1_0 => Family::Ips,
        }
    }

    /// Every version of the same family, oldest first.
    pub fn siblings(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |version| version.family() == self.family())
    }
}

/// Versions whose results differ in their label alone (and in the fields that 1.1.0 added).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 0.1.0 and 0.2.0: objects `ip4` and `ip6`, each with its routes.
    Ip4Ip6,
    /// 0.3.0 to 0.4.0: interfaces, and `ips` that say their `version`.
    TaggedIps,
    /// 1.0.0 and 1.1.0: `ips` without `version`.
    Ips,
}

/// Major, minor and micro number of a version that need not be one we know: one to three integers, the missing ones 0;
/// an empty text is 0.1.0.
///
/// # Errors
/// The text of the error says which part is no number.
pub fn parse_numbers(text: &str) -> Result<[i64; 3], String> {
    let mut numbers = [0; 3];
    if text.is_empty() {
        return Ok(Version::V0_1_0.numbers());
    }
    for (index, part) in text.split('.').enumerate() {
        let number = numbers.get_mut(index).ok_or_else(|| format!("invalid version {text:?}: too many parts"))?;
        *number = part.parse().map_err(|_| format!("invalid version {text:?}: {part:?} is not a number"))?;
    }
    Ok(numbers)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for version in Version::ALL {
            assert_eq!(Version::exact(version.as_str()), Some(version));
            assert_eq!(parse_numbers(version.as_str()), Ok(version.numbers()));
        }
        assert!(Version::ALL.is_sorted());
        assert!(Version::ALL.is_sorted_by_key(|version| version.numbers()));
    }

    #[test]
    fn a_version_has_one_to_three_parts() {
        for (text, numbers) in
            [("", [0, 1, 0]), ("1", [1, 0, 0]), ("1.1", [1, 1, 0]), ("-42", [-42, 0, 0]), ("+1", [1, 0, 0])]
        {
            assert_eq!(parse_numbers(text), Ok(numbers), "{text}");
        }
        for text in ["1.2.3.4", "0.", ".1", "1..1", "abc", "1.0.0-rc1", " 1"] {
            assert!(parse_numbers(text).is_err(), "{text}");
        }
        assert_eq!(Version::exact("1.1"), None);
    }
}
