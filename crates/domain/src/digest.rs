//! The digest by which a key is found.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::key_text::ApiKeySecret;

/// The SHA-256 of a key's text: what another system may have stored, and the input of the look-up digest.
///
/// Held for as long as a request needs it, never stored.
pub struct KeyFingerprint(Zeroizing<[u8; 32]>);

impl KeyFingerprint {
    /// The fingerprint of a presented key.
    pub fn of(secret: &ApiKeySecret) -> Self {
        Self(Zeroizing::new(Sha256::digest(secret.expose().as_bytes()).into()))
    }

    /// A fingerprint that another system kept (an import).
    pub fn from_sha256(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for KeyFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyFingerprint")
    }
}

/// The secret that digests are made under, as far as it can be worked in before there is a text (RFC 2104 section 4):
/// that is half of the work of a digest. Wiped when it goes.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// The pepper with these bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes a key of any length"))
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pepper")
    }
}

/// HMAC-SHA-256 (RFC 2104), under the pepper, of the SHA-256 of the key's text.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key under a pepper.
    pub fn of(fingerprint: &KeyFingerprint, pepper: &Pepper) -> Self {
        let mut mac = pepper.0.clone();
        mac.update(fingerprint.0.as_ref());
        Self(mac.finalize().into_bytes().into())
    }

    /// A digest from our own data; `None` unless it has 32 bytes.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes to store and to look up by.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A digest from its 64 hexadecimal digits, in lower case; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let pairs: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(pairs.as_chunks::<2>().0) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// Its 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyDigest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_the_text_and_on_the_pepper() {
        let secret = |text| ApiKeySecret::from_presented(text).expect("printable");
        let digest = |text, pepper: u8| KeyDigest::of(&KeyFingerprint::of(&secret(text)), &Pepper::new(&[pepper; 32]));
        assert!(digest("one", 1).matches(&digest("one", 1)));
        assert!(!digest("one", 1).matches(&digest("two", 1)));
        assert!(!digest("one", 1).matches(&digest("one", 2)));
    }

    #[test]
    fn a_digest_has_one_form_in_digits() {
        let digest = KeyDigest([0x0f; 32]);
        assert_eq!(digest.to_hex(), "0f".repeat(32));
        assert!(KeyDigest::from_hex(&digest.to_hex()).expect("read back").matches(&digest));
        for bad in ["", "0f", &"0F".repeat(32), &"zz".repeat(32), &"0f".repeat(33)] {
            assert!(KeyDigest::from_hex(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_imported_fingerprint_gives_the_same_digest_as_the_key() {
        let secret = ApiKeySecret::from_presented("from-elsewhere").expect("printable");
        let imported = KeyFingerprint::from_sha256(Sha256::digest(b"from-elsewhere").into());
        let pepper = Pepper::new(&[9; 32]);
        assert!(KeyDigest::of(&imported, &pepper).matches(&KeyDigest::of(&KeyFingerprint::of(&secret), &pepper)));
    }
}
