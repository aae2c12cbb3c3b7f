//! The platform's brand: the first part of a key's text.

use std::fmt;
use std::str::FromStr;

/// 2 to 20 ASCII letters that begin every branded key of this platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Brand(String);

/// A text that cannot be a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a brand is 2 to 20 ASCII letters")]
pub struct InvalidBrand;

impl Brand {
    /// The brand as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Brand {
    fn default() -> Self {
        Self("Mileston".to_owned())
    }
}

impl FromStr for Brand {
    type Err = InvalidBrand;

    fn from_str(text: &str) -> Result<Self, InvalidBrand> {
        let good = (2..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        if good { Ok(Self(text.to_owned())) } else { Err(InvalidBrand) }
    }
}

impl fmt::Display for Brand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
