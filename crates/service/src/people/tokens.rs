//! Secrets that people carry: in a cookie, or in a link that is good once. 256 random bits, of which only a digest is
//! kept.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyExt as _};

/// The characters of 32 bytes in base64url.
const LEN: usize = 43;

macro_rules! token {
    ($(#[$meta:meta])* $name:ident, $label:literal) => {
        $(#[$meta])*
        pub struct $name(SecretString);

        impl $name {
            /// Reads what a browser brought back; `None` for what cannot be one of ours.
            pub fn parse(text: &str) -> Option<Self> {
                let good = text.len() == LEN
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
                good.then(|| Self(SecretString::from(text)))
            }

            /// The text, for the cookie or the link that it is made for.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }

            pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
                let bytes = Zeroizing::new(entropy.bytes::<32>());
                Self(SecretString::from(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
            }

            /// What is stored of it.
            pub(crate) fn digest(&self) -> [u8; 32] {
                Sha256::new().chain_update($label).chain_update([0]).chain_update(self.expose()).finalize().into()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(stringify!($name))
            }
        }
    };
}

token!(
    /// The secret of a session: what its cookie holds.
    SessionToken,
    b"session"
);
token!(
    /// The secret of a link, or of a step between two pages, that is good once.
    OneTimeToken,
    b"one-time"
);
token!(
    /// What a browser keeps so that it is known the next time: it signs nobody in.
    DeviceToken,
    b"device"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn tokens_are_long_random_and_silent() {
        let entropy = SeededEntropy::new(1);
        let (one, two) = (SessionToken::generate(&entropy), SessionToken::generate(&entropy));
        assert_ne!(one.expose(), two.expose());
        assert_eq!(format!("{one:?}"), "SessionToken");
        let again = SessionToken::parse(one.expose()).expect("ours");
        assert_eq!(again.digest(), one.digest());
        // The same text as another kind of secret is another secret.
        assert_ne!(OneTimeToken::parse(one.expose()).expect("as long").digest(), one.digest());
        for bad in ["", "short", &"a".repeat(44), &"é".repeat(21), &format!("{}=", "a".repeat(42))] {
            assert!(SessionToken::parse(bad).is_none(), "{bad}");
        }
    }
}
