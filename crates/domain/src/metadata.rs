//! Metadata: what the operator's systems keep beside a business or a key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A string map of at most 50 entries and 8 KiB (keys and values together).
///
/// Keys are 1 to 64 characters without control characters; values are kept as they are, without NUL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Metadata(BTreeMap<String, String>);

/// Why a map cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// More than 50 entries.
    #[error("has more than {} entries", Metadata::MAX_ENTRIES)]
    TooMany,
    /// More than 8 KiB in all.
    #[error("is larger than {} bytes", Metadata::MAX_BYTES)]
    TooLarge,
    /// A key that is empty, too long or has a control character.
    #[error("has a key that is empty, longer than 64 characters or contains a control character")]
    Key,
    /// A value with NUL, which PostgreSQL cannot keep.
    #[error("has a value that contains a NUL character")]
    Value,
}

impl Metadata {
    /// The most entries.
    pub const MAX_ENTRIES: usize = 50;
    /// The most bytes of all keys and values together.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// The entries, sorted by key.
    pub const fn entries(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl TryFrom<BTreeMap<String, String>> for Metadata {
    type Error = InvalidMetadata;

    fn try_from(entries: BTreeMap<String, String>) -> Result<Self, InvalidMetadata> {
        if entries.len() > Self::MAX_ENTRIES {
            return Err(InvalidMetadata::TooMany);
        }
        if entries.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > Self::MAX_BYTES {
            return Err(InvalidMetadata::TooLarge);
        }
        for (key, value) in &entries {
            if key.is_empty() || key.chars().count() > 64 || key.chars().any(char::is_control) {
                return Err(InvalidMetadata::Key);
            }
            if value.contains('\0') {
                return Err(InvalidMetadata::Value);
            }
        }
        Ok(Self(entries))
    }
}

impl From<Metadata> for BTreeMap<String, String> {
    fn from(metadata: Metadata) -> Self {
        metadata.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> Result<Metadata, InvalidMetadata> {
        let entries: BTreeMap<String, String> =
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        entries.try_into()
    }

    #[test]
    fn metadata_is_bounded() {
        assert!(map(&[("customer", "42")]).is_ok());
        assert_eq!(map(&[("", "x")]), Err(InvalidMetadata::Key));
        assert_eq!(map(&[("a\nb", "x")]), Err(InvalidMetadata::Key));
        assert_eq!(map(&[("a", "\0")]), Err(InvalidMetadata::Value));
        assert_eq!(map(&[("a", &"x".repeat(8 * 1024))]), Err(InvalidMetadata::TooLarge));
        let many: BTreeMap<String, String> = (0..51).map(|index| (index.to_string(), String::new())).collect();
        assert_eq!(Metadata::try_from(many), Err(InvalidMetadata::TooMany));
    }
}
