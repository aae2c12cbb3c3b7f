//! The logo of a business: which pictures are taken, and how one is named.

use std::fmt;
use std::str::FromStr;

/// The most bytes of a logo.
pub const MAX_LOGO_BYTES: usize = 256 * 1024;
/// The fewest pixels on a side: below them nothing can be made out.
pub const MIN_LOGO_PIXELS: u32 = 16;
/// The most pixels on a side: a small file can unpack to a picture that fills the memory of a browser.
pub const MAX_LOGO_PIXELS: u32 = 2048;

/// The kinds of pictures that are taken. None of them can hold a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

/// The word or the text names none of what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("names no logo")]
pub struct NoLogo;

impl LogoFormat {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
        }
    }

    /// The media type it is served with.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

impl fmt::Display for LogoFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for LogoFormat {
    type Err = NoLogo;

    fn from_str(text: &str) -> Result<Self, NoLogo> {
        [Self::Png, Self::Jpeg, Self::Webp].into_iter().find(|format| format.as_str() == text).ok_or(NoLogo)
    }
}

/// SHA-256 of a logo's content: its address, so that another logo has another one. Written in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogoDigest([u8; 32]);

impl LogoDigest {
    /// The digest as it was computed or stored.
    pub const fn from_sha256(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for LogoDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl FromStr for LogoDigest {
    type Err = NoLogo;

    fn from_str(text: &str) -> Result<Self, NoLogo> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(NoLogo);
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NoLogo)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoLogo)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_one_spelling() {
        let digest = LogoDigest::from_sha256([0xa5; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for bad in ["", "a5", &"A5".repeat(32), &"a5".repeat(33), &"g5".repeat(32), &"+5".repeat(32)] {
            assert_eq!(bad.parse::<LogoDigest>(), Err(NoLogo), "{bad}");
        }
        for format in [LogoFormat::Png, LogoFormat::Jpeg, LogoFormat::Webp] {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert!("svg".parse::<LogoFormat>().is_err());
    }
}
