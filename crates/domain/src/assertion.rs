//! Signed assertions: what a gateway tells an upstream of a key, so that the upstream need not trust the network.
//!
//! An assertion is a JSON Web Token (RFC 7519) signed with Ed25519 (RFC 8037), good for one minute and one audience.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::environment::Environment;
use crate::ids::{BusinessId, KeyId, RequestId};
use crate::keys::KeyKind;
use crate::time::Timestamp;

/// Bytes of the secret that a signing key is made of (RFC 8032 section 5.1.5).
pub const SEED_LEN: usize = 32;
/// How long an assertion is good for.
pub const GOOD_FOR: Duration = Duration::from_mins(1);

/// For whom an assertion is: 1 to 255 visible ASCII characters (`aud`, RFC 7519 section 4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Audience(String);

/// A text that names no audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an audience has 1 to 255 visible ASCII characters")]
pub struct InvalidAudience;

impl FromStr for Audience {
    type Err = InvalidAudience;

    fn from_str(text: &str) -> Result<Self, InvalidAudience> {
        let good = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(text.to_owned())).ok_or(InvalidAudience)
    }
}

/// What an assertion says (RFC 7519 section 4).
#[derive(Debug, Serialize)]
pub struct Claims<'a> {
    /// Who says it: the public address of the installation.
    pub iss: &'a str,
    /// Of which key.
    pub sub: KeyId,
    /// To whom.
    pub aud: &'a Audience,
    /// When, in seconds since 1970.
    pub iat: i64,
    /// Until when, in seconds since 1970.
    pub exp: i64,
    /// In which request.
    pub jti: RequestId,
    /// Whose key it is (RFC 8693 section 4.3).
    pub client_id: &'a BusinessId,
    /// The same under the name that our other answers give it.
    pub business_id: &'a BusinessId,
    /// The key's environment.
    pub environment: Environment,
    /// The key's kind.
    pub kind: KeyKind,
    /// What it may do, with spaces between (RFC 8693 section 4.2).
    pub scope: String,
    /// The notes kept beside the key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: &'a BTreeMap<String, String>,
    /// The notes kept beside the business.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub business_metadata: &'a BTreeMap<String, String>,
}

/// The first and the last second of an assertion made at `now` about a key that ends at `end`.
pub fn life(now: Timestamp, end: Option<Timestamp>) -> (i64, i64) {
    let until = now.saturating_add(GOOD_FOR);
    let until = end.map_or(until, |end| end.min(until));
    (now.as_seconds(), until.as_seconds())
}

/// A key that assertions are signed with.
pub struct AssertionKey {
    key: SigningKey,
    id: String,
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AssertionKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The half of a signing key that everybody may know, as a member of a JSON Web Key Set (RFC 7517, RFC 8037 section 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    /// Always `OKP`.
    pub kty: &'static str,
    /// Always `Ed25519`.
    pub crv: &'static str,
    /// Always `EdDSA`.
    pub alg: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// By what assertions name the key: its thumbprint (RFC 7638).
    pub kid: String,
    /// The key itself, in base64url.
    pub x: String,
}

impl AssertionKey {
    /// The key made of these secret bytes.
    pub fn from_seed(seed: &[u8; SEED_LEN]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let id = thumbprint(&x_of(&key));
        Self { key, id }
    }

    /// The claims as a signed token, in the compact form (RFC 7515 section 3.1).
    pub fn sign(&self, claims: &Claims<'_>) -> String {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"JWT"}}"#, self.id);
        let claims = serde_json::to_vec(claims).expect("claims are texts and numbers only");
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// What everybody may know of it.
    pub fn public(&self) -> PublicKey {
        let x = x_of(&self.key);
        PublicKey { kty: "OKP", crv: "Ed25519", alg: "EdDSA", usage: "sig", kid: self.id.clone(), x }
    }
}

fn x_of(key: &SigningKey) -> String {
    URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes())
}

/// RFC 7638 section 3, with the members that RFC 8037 section 2 names.
fn thumbprint(x: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, VerifyingKey};

    use super::*;

    #[test]
    fn keys_are_named_as_the_example_of_the_rfc() {
        // RFC 8037 appendix A: the key, its public half and its thumbprint.
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("base64url");
        let public = AssertionKey::from_seed(&seed.try_into().expect("32 bytes")).public();
        assert_eq!(public.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(public.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_token_is_verified_by_the_public_half() {
        let key = AssertionKey::from_seed(&[7; SEED_LEN]);
        let (business, audience) = ("17616983000123".parse().expect("digits"), "orders".parse().expect("a name"));
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().expect("an instant");
        let (iat, exp) = life(now, None);
        let token = key.sign(&Claims {
            iss: "https://keys.example",
            sub: KeyId::new(now, [1; 10]),
            aud: &audience,
            iat,
            exp,
            jti: RequestId::from_random([2; 16]),
            client_id: &business,
            business_id: &business,
            environment: Environment::Test,
            kind: KeyKind::Secret,
            scope: "payments:read".to_owned(),
            metadata: &BTreeMap::new(),
            business_metadata: &BTreeMap::from([("customer".to_owned(), "é".to_owned())]),
        });
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
        let x: [u8; 32] = bytes(&key.public().x).try_into().expect("32 bytes");
        let signature = Signature::from_slice(&bytes(signature)).expect("64 bytes");
        let verifying = VerifyingKey::from_bytes(&x).expect("a key");
        verifying.verify_strict(signed.as_bytes(), &signature).expect("signed by it");
        let (_, claims) = signed.split_once('.').expect("two parts");
        let claims: serde_json::Value = serde_json::from_slice(&bytes(claims)).expect("JSON");
        assert_eq!(claims["exp"], claims["iat"].as_i64().expect("seconds") + 60);
        assert_eq!((&claims["aud"], &claims["client_id"]), (&"orders".into(), &"17616983000123".into()));
        assert_eq!(claims["business_metadata"]["customer"], "é");
        assert!(claims.get("metadata").is_none());
    }

    #[test]
    fn an_assertion_never_outlives_its_key() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().expect("an instant");
        let (start, end) = life(now, Some(now.saturating_add(Duration::from_secs(9))));
        assert_eq!(end - start, 9);
        let (start, end) = life(now, Some(now.saturating_add(Duration::from_hours(9))));
        assert_eq!(end - start, 60);
        for (text, good) in [("", false), ("a b", false), ("é", false), ("https://api.example", true)] {
            assert_eq!(text.parse::<Audience>().is_ok(), good, "{text}");
        }
    }
}
