//! Signatures of Standard Webhooks 1.0, so that a receiver knows who speaks.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ids::EventId;
use crate::time::Timestamp;

/// How long each of the two secrets is.
const SECRET_LEN: usize = 32;

/// The token that Mileston's receivers compare with the header `X-Webhook-Signature`: 8 to 255 visible ASCII characters.
#[derive(Clone)]
pub struct VerificationToken(Zeroizing<String>);

/// A text that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a verification token has 8 to 255 visible ASCII characters, without spaces")]
pub struct InvalidToken;

impl VerificationToken {
    /// A token of these random bytes.
    pub fn generate(random: &[u8; SECRET_LEN]) -> Self {
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(random)))
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for VerificationToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        if (8..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(InvalidToken)
        }
    }
}

impl fmt::Debug for VerificationToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VerificationToken")
    }
}

/// What an endpoint's messages are signed with: a secret that both sides know (`v1`), a key of which the receiver knows
/// the public half only (`v1a`), and, in Mileston's dialect, the token.
pub struct EndpointSecrets {
    shared: Zeroizing<[u8; SECRET_LEN]>,
    seed: Zeroizing<[u8; SECRET_LEN]>,
    token: Option<VerificationToken>,
}

impl fmt::Debug for EndpointSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EndpointSecrets")
    }
}

impl EndpointSecrets {
    /// Secrets of these random bytes.
    pub fn new(
        shared: Zeroizing<[u8; SECRET_LEN]>,
        seed: Zeroizing<[u8; SECRET_LEN]>,
        token: Option<VerificationToken>,
    ) -> Self {
        Self { shared, seed, token }
    }

    /// All of them in one row of bytes, to be sealed.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let token = self.token.as_ref().map_or("", VerificationToken::expose);
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * SECRET_LEN + token.len()));
        bytes.extend_from_slice(self.shared.as_slice());
        bytes.extend_from_slice(self.seed.as_slice());
        bytes.extend_from_slice(token.as_bytes());
        bytes
    }

    /// What [`EndpointSecrets::to_bytes`] gave; nothing for any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (shared, rest) = bytes.split_first_chunk::<SECRET_LEN>()?;
        let (seed, token) = rest.split_first_chunk::<SECRET_LEN>()?;
        let token = match token {
            [] => None,
            token => Some(std::str::from_utf8(token).ok()?.parse().ok()?),
        };
        Some(Self { shared: Zeroizing::new(*shared), seed: Zeroizing::new(*seed), token })
    }

    /// The shared secret as receivers are given it: `whsec_` and base 64.
    pub fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("whsec_{}", STANDARD.encode(self.shared.as_slice())))
    }

    /// The public key as receivers are given it: `whpk_` and base 64. Its private half, `whsk_` in the specification,
    /// never leaves.
    pub fn public_key(&self) -> String {
        format!("whpk_{}", STANDARD.encode(self.signing_key().verifying_key().as_bytes()))
    }

    /// The token of Mileston's dialect.
    pub const fn token(&self) -> Option<&VerificationToken> {
        self.token.as_ref()
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(&self.seed)
    }
}

/// What is signed: `id.timestamp.body`.
fn signed_text(id: &str, seconds: i64, body: &str) -> String {
    format!("{id}.{seconds}.{body}")
}

/// The `v1` signature of a text: HMAC-SHA-256, base 64.
fn symmetric(secret: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The header `webhook-signature`: both kinds of signature under every secret that is in force, parted by spaces, so
/// that a receiver that knows any one of them is content.
pub fn signature_header<'a>(
    secrets: impl IntoIterator<Item = &'a EndpointSecrets>,
    id: EventId,
    sent_at: Timestamp,
    body: &str,
) -> String {
    let text = signed_text(&id.to_string(), sent_at.as_seconds(), body);
    let (mut shared, mut public) = (Vec::new(), Vec::new());
    for secrets in secrets {
        shared.push(symmetric(secrets.shared.as_slice(), &text));
        let signature = secrets.signing_key().sign(text.as_bytes());
        public.push(format!("v1a,{}", STANDARD.encode(signature.to_bytes())));
    }
    shared.append(&mut public);
    shared.join(" ")
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, VerifyingKey};

    use super::*;

    fn secrets(byte: u8, token: Option<&str>) -> EndpointSecrets {
        let token = token.map(|text| text.parse().expect("a token"));
        EndpointSecrets::new(Zeroizing::new([byte; 32]), Zeroizing::new([byte + 1; 32]), token)
    }

    #[test]
    fn the_published_example_of_the_specification() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base 64");
        let text = signed_text("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(symmetric(&secret, &text), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn both_signatures_under_every_secret() {
        let (new, old) = (secrets(1, None), secrets(7, None));
        let sent_at: Timestamp = "2026-01-31T12:00:00.9Z".parse().expect("an instant");
        let id = EventId::from_bits(5);
        let header = signature_header([&new, &old], id, sent_at, "{}");
        let parts: Vec<&str> = header.split(' ').collect();
        let text = format!("{id}.{}.{{}}", sent_at.as_seconds());
        assert_eq!(parts[..2], [symmetric(&[1; 32], &text), symmetric(&[7; 32], &text)]);
        for (part, secrets) in parts[2..].iter().zip([&new, &old]) {
            let signature = STANDARD.decode(part.strip_prefix("v1a,").expect("a kind")).expect("base 64");
            let signature = Signature::from_slice(&signature).expect("64 bytes");
            let public = secrets.public_key();
            let public = STANDARD.decode(public.strip_prefix("whpk_").expect("a prefix")).expect("base 64");
            let public = VerifyingKey::from_bytes(&public.try_into().expect("32 bytes")).expect("a key");
            public.verify_strict(text.as_bytes(), &signature).expect("ours");
            assert!(public.verify_strict(b"another", &signature).is_err());
        }
        assert_eq!(parts.len(), 4);
    }

    #[test]
    fn secrets_survive_their_bytes() {
        for token in [None, Some("a-token-of-theirs")] {
            let made = secrets(3, token);
            let read = EndpointSecrets::from_bytes(&made.to_bytes()).expect("ours");
            assert_eq!(read.secret(), made.secret());
            assert_eq!(read.public_key(), made.public_key());
            assert_eq!(read.token().map(VerificationToken::expose), token);
        }
        assert!(made_of(63).is_none() && made_of(65).is_none() && made_of(64).is_some());
        assert_eq!(*secrets(0, None).secret(), format!("whsec_{}=", "A".repeat(43)));
    }

    fn made_of(length: usize) -> Option<EndpointSecrets> {
        EndpointSecrets::from_bytes(&vec![b'x'; length])
    }

    #[test]
    fn nothing_prints_a_secret() {
        assert_eq!(format!("{:?}", secrets(1, Some("a-token-of-theirs"))), "EndpointSecrets");
        assert_eq!(format!("{:?}", VerificationToken::generate(&[1; 32])), "VerificationToken");
        for bad in ["", "short", "with a space", "tab\tinside", "non-ascii-é", &"x".repeat(256)] {
            assert_eq!(bad.parse::<VerificationToken>().err(), Some(InvalidToken), "{bad}");
        }
    }
}
