//! The text of keys: its forms, its checksum, and what may be shown of it.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::brand::Brand;
use crate::environment::Environment;
use crate::keys::KeyKind;

/// Letters and digits in the order that their values have in base 62.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Random characters of a branded key: 190 bits.
const RANDOM_LEN: usize = 32;
/// Checksum characters behind them.
const CHECKSUM_LEN: usize = 6;
/// Characters after the prefix of a branded key.
pub const BODY_LEN: usize = RANDOM_LEN + CHECKSUM_LEN;
/// The longest text that is looked up.
pub const MAX_KEY_LEN: usize = 255;
/// How many characters at the end of a key may be shown.
pub const SHOWN_LEN: usize = 3;

/// A key's text. It cannot be printed, copied or compared by accident, and its memory is wiped.
///
/// 1 to 255 printable ASCII characters, of which neither the first nor the last is a space: a header would lose it.
pub struct ApiKeySecret(SecretString);

impl ApiKeySecret {
    /// The text itself. The callers are the answers of creation, rotation and reveal, and the sealing of a value.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The last three characters, which lists may show.
    pub fn last_three(&self) -> LastThree {
        let text = self.expose();
        LastThree(text[text.len().saturating_sub(SHOWN_LEN)..].to_owned())
    }

    /// The text as a key to look up, without regard to any brand; `None` where no key can look like this.
    pub fn from_presented(text: &str) -> Option<Self> {
        let good = (1..=MAX_KEY_LEN).contains(&text.len())
            && every(text, |byte| matches!(byte, b' '..=b'~'))
            && !text.starts_with(' ')
            && !text.ends_with(' ');
        good.then(|| Self(SecretString::from(text)))
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKeySecret")
    }
}

/// The characters of a key that may be shown: its last three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LastThree(String);

impl LastThree {
    /// From our own data.
    pub fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How the text of a key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyForm {
    /// `{Brand}_TEST_` and the like, 32 random letters and digits, 6 of checksum.
    Branded,
    /// So many random letters and digits and nothing else, 20 to 64 (119 bits and more).
    Plain(PlainLength),
}

/// The length of an unbranded key: 20 to 64 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct PlainLength(u8);

impl PlainLength {
    /// Payline's keys.
    pub const TWENTY: Self = Self(20);
    /// Codat's keys.
    pub const FORTY: Self = Self(40);

    /// The number of characters.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl TryFrom<u8> for PlainLength {
    type Error = &'static str;

    fn try_from(length: u8) -> Result<Self, Self::Error> {
        if (20..=64).contains(&length) { Ok(Self(length)) } else { Err("an unbranded key has 20 to 64 characters") }
    }
}

impl From<PlainLength> for u8 {
    fn from(length: PlainLength) -> Self {
        length.0
    }
}

/// The prefix of a branded key of this kind and environment.
pub fn branded_prefix(brand: &Brand, environment: Environment, kind: KeyKind) -> String {
    let marker = match kind {
        KeyKind::Secret => "",
        KeyKind::Checkout => "CHECKOUTKEY_",
    };
    format!("{brand}_{}_{marker}", environment.in_key_text())
}

/// The prefix of the operator's own keys.
pub fn platform_prefix(brand: &Brand) -> String {
    format!("{brand}_PLATFORM_")
}

/// CRC-32 (IEEE 802.3) of `text` as six base-62 digits, most significant first. Public: it proves nothing.
pub fn checksum(text: &str) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Random bytes that become `count` letters and digits.
///
/// A byte is used only below 248 = 4 * 62, so that each character is equally likely; a
/// caller gives twice the bytes needed, and what is left over is never an error in practice
/// (256 bytes fall short of 64 characters with a chance below 2^-400).
fn base62_characters(count: usize, random: &[u8; 256]) -> String {
    let text: String = random
        .iter()
        .filter(|byte| **byte < 248)
        .map(|byte| char::from(BASE62[usize::from(byte % 62)]))
        .take(count)
        .collect();
    assert_eq!(text.len(), count, "256 random bytes hold 64 usable ones");
    text
}

/// Makes the text of a new key of a business.
pub fn generate(
    form: KeyForm,
    brand: &Brand,
    environment: Environment,
    kind: KeyKind,
    random: &[u8; 256],
) -> ApiKeySecret {
    match form {
        KeyForm::Branded => branded(&branded_prefix(brand, environment, kind), random),
        KeyForm::Plain(length) => ApiKeySecret(SecretString::from(base62_characters(length.get(), random))),
    }
}

/// Makes the text of a new platform key.
pub fn generate_platform(brand: &Brand, random: &[u8; 256]) -> ApiKeySecret {
    branded(&platform_prefix(brand), random)
}

fn branded(prefix: &str, random: &[u8; 256]) -> ApiKeySecret {
    // Room for the whole text at once, so that no copy stays behind in a grown buffer.
    let mut text = String::with_capacity(prefix.len() + BODY_LEN);
    text.push_str(prefix);
    text.push_str(&base62_characters(RANDOM_LEN, random));
    let sum = checksum(&text);
    text.extend(sum.iter().map(|digit| char::from(*digit)));
    ApiKeySecret(SecretString::from(text))
}

/// Twenty random letters and digits that name a key to the outside.
pub fn generate_reference(random: &[u8; 256]) -> String {
    base62_characters(20, random)
}

/// What the text of a presented key says of itself. The row decides what is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextClaim {
    /// A branded key of a business.
    Branded {
        /// The environment in the text.
        environment: Environment,
        /// The kind in the text.
        kind: KeyKind,
    },
    /// A key of the operator.
    Platform,
    /// Any other text: another profile's key, or an imported one.
    Plain,
}

/// Why a presented text is no key of this platform; it follows from the text alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyText {
    /// Empty, too long, with a character outside printable ASCII, or with a space at an end.
    #[error("a key is 1 to 255 printable ASCII characters without a space at either end")]
    Characters,
    /// Begins with our brand and is no form of ours.
    #[error("the key begins like one of this platform and has another form: copy it again, whole")]
    Form,
    /// The checksum does not fit: a character is wrong or missing.
    #[error("the key's checksum is wrong: copy it again, whole")]
    Checksum,
}

/// Reads a presented text: its characters, and its form and checksum where it begins with our brand.
pub fn parse(text: &str, brand: &Brand) -> Result<(ApiKeySecret, TextClaim), InvalidKeyText> {
    let secret = ApiKeySecret::from_presented(text).ok_or(InvalidKeyText::Characters)?;
    let claim = claim_of(text, brand)?;
    Ok((secret, claim))
}

/// Whether this is true of every byte: all are looked at, so that many are looked at together.
fn every(text: &str, is_good: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |good, byte| good & is_good(byte))
}

fn claim_of(text: &str, brand: &Brand) -> Result<TextClaim, InvalidKeyText> {
    let Some(rest) = text.strip_prefix(brand.as_str()).and_then(|rest| rest.strip_prefix('_')) else {
        return Ok(TextClaim::Plain);
    };
    // The longer marker first: `TEST_` also begins a checkout key.
    let (claim, body) = if let Some(body) = rest.strip_prefix("PLATFORM_") {
        (TextClaim::Platform, body)
    } else if let Some((environment, rest)) = Environment::ALL.into_iter().find_map(|environment| {
        let rest = rest.strip_prefix(environment.in_key_text())?.strip_prefix('_')?;
        Some((environment, rest))
    }) {
        match rest.strip_prefix("CHECKOUTKEY_") {
            Some(body) => (TextClaim::Branded { environment, kind: KeyKind::Checkout }, body),
            None => (TextClaim::Branded { environment, kind: KeyKind::Secret }, rest),
        }
    } else {
        return Err(InvalidKeyText::Form);
    };
    if body.len() != BODY_LEN || !every(body, |byte| byte.is_ascii_alphanumeric()) {
        return Err(InvalidKeyText::Form);
    }
    let (summed, sum) = text.split_at(text.len() - CHECKSUM_LEN);
    if checksum(summed) != sum.as_bytes() {
        return Err(InvalidKeyText::Checksum);
    }
    Ok(claim)
}

/// Whether `text` holds, anywhere, a text of our brand with a good checksum: a key that leaked into it.
///
/// The work grows with the length of the text and no faster, whatever stands in it.
pub fn contains_key(text: &str, brand: &Brand) -> bool {
    if text.len() < brand.as_str().len() + BODY_LEN {
        return false;
    }
    let lengths = || -> [usize; 5] {
        let branded = |environment, kind| branded_prefix(brand, environment, kind).len() + BODY_LEN;
        [
            platform_prefix(brand).len() + BODY_LEN,
            branded(Environment::Test, KeyKind::Secret),
            branded(Environment::Live, KeyKind::Secret),
            branded(Environment::Test, KeyKind::Checkout),
            branded(Environment::Live, KeyKind::Checkout),
        ]
    };
    let mut found = text.match_indices(brand.as_str()).peekable();
    // Nearly every text holds none, and is done with here.
    let lengths = if found.peek().is_some() { lengths() } else { return false };
    found.any(|(start, _)| {
        // What follows a key may run on in letters: each length that a form of ours has is tried.
        lengths
            .iter()
            .filter_map(|length| text.get(start..start + length))
            .any(|candidate| matches!(claim_of(candidate, brand), Ok(TextClaim::Branded { .. } | TextClaim::Platform)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entropy(seed: u8) -> [u8; 256] {
        std::array::from_fn(|index| u8::try_from((usize::from(seed) * 31 + index * 101) % 251).expect("below 251"))
    }

    #[test]
    fn a_leaked_key_is_found_whatever_stands_around_it() {
        let brand = Brand::default();
        let key = generate(KeyForm::Branded, &brand, Environment::Live, KeyKind::Checkout, &entropy(5));
        let platform = generate_platform(&brand, &entropy(6));
        for text in [
            key.expose().to_owned(),
            format!("/v1/keys/{}/more", key.expose()),
            format!("MilestonMileston_{}Mileston", key.expose()),
            format!("é{}é", platform.expose()),
        ] {
            assert!(contains_key(&text, &brand), "{text}");
        }
        let broken = format!("{}x", &key.expose()[..key.expose().len() - 1]);
        for text in ["", "Mileston", "Mileston_LIVE_", &broken, &"Mileston".repeat(8_000)] {
            assert!(!contains_key(text, &brand), "{}", &text[..text.len().min(80)]);
        }
    }

    #[test]
    fn the_checksum_is_crc32_in_base_62() {
        // CRC-32 of "123456789" is 0xCBF43926, the check value of the algorithm.
        let mut value = 0xCBF4_3926_u32;
        let mut expected = [b'0'; 6];
        for digit in expected.iter_mut().rev() {
            *digit = BASE62[(value % 62) as usize];
            value /= 62;
        }
        assert_eq!(checksum("123456789"), expected);
    }

    #[test]
    fn each_form_is_read_back_as_what_it_is() {
        let brand = Brand::default();
        for environment in Environment::ALL {
            for kind in [KeyKind::Secret, KeyKind::Checkout] {
                let secret = generate(KeyForm::Branded, &brand, environment, kind, &entropy(3));
                let (read, claim) = parse(secret.expose(), &brand).expect("our own form");
                assert_eq!(claim, TextClaim::Branded { environment, kind });
                assert_eq!(read.last_three(), secret.last_three());
            }
        }
        let platform = generate_platform(&brand, &entropy(4));
        assert_eq!(parse(platform.expose(), &brand).expect("ours").1, TextClaim::Platform);
        let plain =
            generate(KeyForm::Plain(PlainLength::FORTY), &brand, Environment::Live, KeyKind::Secret, &entropy(5));
        assert_eq!(plain.expose().len(), 40);
        assert_eq!(parse(plain.expose(), &brand).expect("plain").1, TextClaim::Plain);
    }

    #[test]
    fn relabelled_mistyped_and_disguised_keys_are_refused() {
        let brand = Brand::default();
        let secret = generate(KeyForm::Branded, &brand, Environment::Test, KeyKind::Secret, &entropy(7));
        let text = secret.expose();
        for bad in [
            text.replace("_TEST_", "_LIVE_"),
            text.replace("_TEST_", "_test_"),
            text.replace("_TEST_", "_T\u{415}ST_"),
            text.replace("_TEST_", "_TEST_CHECKOUTKEY_"),
            format!("{text}x"),
            text[..text.len() - 1].to_owned(),
            format!(" {text}"),
            format!("{text} "),
            format!("{text}\0"),
            "Mileston_".to_owned(),
            "Mileston_TEST_".to_owned(),
            text.replace("_TEST_", "_TEST :"),
            format!("{text}, {text}"),
            String::new(),
            " ".to_owned(),
            "a ".to_owned(),
            "a\tb".to_owned(),
            "x".repeat(256),
        ] {
            assert!(parse(&bad, &brand).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn any_printable_text_of_another_system_is_looked_up_as_it_is() {
        let brand = Brand::default();
        let all: String = (b'!'..=b'~').map(char::from).collect();
        for text in [all.as_str(), "123456:AAF-x_y", "two words", "x", &"~".repeat(255)] {
            let (secret, claim) = parse(text, &brand).expect("printable");
            assert_eq!((secret.expose(), claim), (text, TextClaim::Plain));
        }
    }

    #[test]
    fn a_key_is_found_inside_a_longer_text() {
        let brand = Brand::default();
        let secret = generate(KeyForm::Branded, &brand, Environment::Live, KeyKind::Checkout, &entropy(9));
        assert!(contains_key(&format!("/v1/keys/{}", secret.expose()), &brand));
        assert!(contains_key(&format!("x=Mileston&y=a{}zz", secret.expose()), &brand));
        assert!(!contains_key("/v1/keys/Mileston_TEST_nothing", &brand));
        assert!(!contains_key("", &brand));
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = ApiKeySecret::from_presented("canary").expect("good");
        assert_eq!(format!("{secret:?}"), "ApiKeySecret");
    }

    proptest! {
        #[test]
        fn one_changed_character_never_passes(seed: u8, position in 0usize..52, replacement in "[0-9A-Za-z]") {
            let brand = Brand::default();
            let secret = generate(KeyForm::Branded, &brand, Environment::Test, KeyKind::Secret, &entropy(seed));
            let mut bytes = secret.expose().as_bytes().to_vec();
            let old = bytes[position];
            bytes[position] = replacement.as_bytes()[0];
            let text = String::from_utf8(bytes).expect("ASCII");
            prop_assume!(old != replacement.as_bytes()[0]);
            let claim = parse(&text, &brand).map(|(_, claim)| claim);
            // A changed brand makes it another platform's text; everything else is refused at once.
            prop_assert!(matches!(claim, Err(_) | Ok(TextClaim::Plain)));
            prop_assert!(claim.is_err() || position < "Mileston_".len());
        }

        #[test]
        fn any_text_is_answered(text in ".{0,300}") {
            let brand = Brand::default();
            let _ = parse(&text, &brand);
            let _ = parse(&format!("Mileston_{text}"), &brand);
            let _ = contains_key(&format!("{text}Mileston_TEST_{text}"), &brand);
        }
    }
}
