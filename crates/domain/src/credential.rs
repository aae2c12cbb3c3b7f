//! Reading the credential that a request presents.

use std::borrow::Cow;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smallvec::SmallVec;
use zeroize::Zeroizing;

use crate::brand::Brand;
use crate::decision::Reason;
use crate::key_text::{self, ApiKeySecret, InvalidKeyText, TextClaim};

/// The headers that can carry a credential, each with all its values, as bytes.
#[derive(Clone, Copy, Default)]
pub struct CredentialHeaders<'a> {
    /// `Authorization` (RFC 9110 section 11.6.2).
    pub authorization: &'a [&'a [u8]],
    /// `apikey`.
    pub apikey: &'a [&'a [u8]],
    /// `x-api-key`.
    pub x_api_key: &'a [&'a [u8]],
    /// `businessid`.
    pub business_id: &'a [&'a [u8]],
}

impl std::fmt::Debug for CredentialHeaders<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CredentialHeaders")
    }
}

/// Which forms a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptedForms {
    /// Every form.
    All,
    /// Basic with the key alone, with or without a colon behind it (Codat's routes).
    BasicKey,
}

/// In which form a key was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The `apikey` header.
    ApiKey,
    /// The `x-api-key` header.
    XApiKey,
    /// `Authorization: Bearer KEY` (RFC 6750 section 2.1).
    Bearer,
    /// `Authorization: Basic` with the key alone, with or without a colon behind it.
    BasicKey,
    /// `Authorization: Basic` with the business id, a colon and the key (RFC 7617).
    BasicPair,
}

/// The business ids that stood beside a key, as they were sent: nearly always one.
pub type SentIds<'a> = SmallVec<[Cow<'a, str>; 1]>;

/// A key as it was presented, not yet looked up.
#[derive(Debug)]
pub struct Presented<'a> {
    /// The key's text.
    pub secret: ApiKeySecret,
    /// What the text says of itself.
    pub claim: TextClaim,
    /// Every business id that stood beside it, as it was sent; an empty header counts as none.
    pub business_ids: SentIds<'a>,
    /// In which form it came.
    pub form: Form,
}

/// Reads the one credential of a request. Nothing is trimmed, nothing guessed.
///
/// # Errors
/// The first [`Reason`] in the order that counts; each follows from the request alone.
pub fn parse<'a>(
    headers: CredentialHeaders<'a>,
    accepted: AcceptedForms,
    brand: &Brand,
) -> Result<Presented<'a>, Reason> {
    let credentials = headers.authorization.len() + headers.apikey.len() + headers.x_api_key.len();
    if credentials > 1 || headers.business_id.len() > 1 {
        return Err(Reason::AmbiguousCredentials);
    }
    if credentials == 0 {
        return Err(Reason::CredentialMissing);
    }
    let mut business_ids = SentIds::new();
    if let [id] = headers.business_id
        && !id.is_empty()
    {
        let id = std::str::from_utf8(id).map_err(|_| Reason::CredentialMalformed)?;
        business_ids.push(id.into());
    }
    let (text, form) = if let [value] = headers.authorization {
        let (text, id, form) = authorization(value)?;
        business_ids.extend(id.map(Cow::Owned));
        (text, form)
    } else if let [value] = headers.apikey {
        (KeyText::Sent(utf8(value)?), Form::ApiKey)
    } else {
        let value = headers.x_api_key.first().expect("one credential, counted above");
        (KeyText::Sent(utf8(value)?), Form::XApiKey)
    };
    if accepted == AcceptedForms::BasicKey && form != Form::BasicKey {
        return Err(Reason::SchemeUnsupported);
    }
    let (secret, claim) = key_text::parse(&text, brand).map_err(|error| match error {
        InvalidKeyText::Characters => Reason::CredentialMalformed,
        InvalidKeyText::Form | InvalidKeyText::Checksum => Reason::KeyMalformed,
    })?;
    // The operator's keys come as Bearer and in no other way.
    if claim == TextClaim::Platform && form != Form::Bearer {
        return Err(Reason::SchemeUnsupported);
    }
    Ok(Presented { secret, claim, business_ids, form })
}

/// The text of a key where it was sent, or as it was decoded.
enum KeyText<'a> {
    Sent(&'a str),
    Decoded(Zeroizing<String>),
}

impl Deref for KeyText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Sent(text) => text,
            Self::Decoded(text) => text,
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Reason> {
    std::str::from_utf8(bytes).map_err(|_| Reason::CredentialMalformed)
}

type Authorization<'a> = (KeyText<'a>, Option<String>, Form);

fn authorization(value: &[u8]) -> Result<Authorization<'_>, Reason> {
    let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(space);
    // RFC 9110 section 11.4: one or more spaces between the scheme and the credentials.
    let start = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    let rest = &rest[start..];
    if scheme.eq_ignore_ascii_case(b"bearer") {
        Ok((KeyText::Sent(utf8(rest)?), None, Form::Bearer))
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        basic(rest)
    } else {
        Err(Reason::SchemeUnsupported)
    }
}

/// RFC 7617 section 2, and Codat's form of it, which has no colon.
fn basic(encoded: &[u8]) -> Result<Authorization<'static>, Reason> {
    let decoded = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| Reason::CredentialMalformed)?);
    let kept = |key: &str| KeyText::Decoded(Zeroizing::new(key.to_owned()));
    let decoded = utf8(&decoded)?;
    match decoded.split_once(':') {
        None => Ok((kept(decoded), None, Form::BasicKey)),
        Some((key, "")) => Ok((kept(key), None, Form::BasicKey)),
        Some(("", _)) => Err(Reason::CredentialMalformed),
        Some((id, key)) => Ok((kept(key), Some(id.to_owned()), Form::BasicPair)),
    }
}

/// The ready-made `Authorization` value of a key.
pub fn ready_header(business: Option<&crate::ids::BusinessId>, secret: &ApiKeySecret) -> Zeroizing<String> {
    let plain = Zeroizing::new(match business {
        Some(id) => format!("{id}:{}", secret.expose()),
        None => secret.expose().to_owned(),
    });
    Zeroizing::new(format!("Basic {}", STANDARD.encode(plain.as_bytes())))
}

/// The fewest characters that a key of any system has.
pub const SHORTEST_KEY: usize = 16;
/// The most words of a text that are taken for a key each.
const MOST_WORDS: usize = 8;

/// The texts that a pasted piece of text could mean as a key, the likeliest first: itself, a word of it, what a word has
/// behind a colon or an equals sign, and what a Basic credential decodes to.
pub fn possible_keys(text: &str) -> Vec<Zeroizing<String>> {
    let mut found: Vec<Zeroizing<String>> = Vec::new();
    let mut add = |key: &str| {
        if !key.is_empty() && found.iter().all(|known| known.as_str() != key) {
            found.push(Zeroizing::new(key.to_owned()));
        }
    };
    let text = text.trim();
    add(text);
    let bare = |word| str::trim_matches(word, ['"', '\'', '`', ',', ';']);
    for word in text.split_whitespace().map(bare).filter(|word| word.len() >= SHORTEST_KEY).take(MOST_WORDS) {
        add(word);
        match word.split_once([':', '=']) {
            // As command lines write a name without a password.
            Some((key, "")) => add(key),
            Some((_, value)) => add(bare(value)),
            None => {}
        }
        let decoded = STANDARD.decode(word).ok().map(Zeroizing::new);
        if let Some(plain) = decoded.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()) {
            // A business id, a colon and the key; or the key, with or without a colon behind it.
            match plain.split_once(':') {
                Some((_, key)) if !key.is_empty() => add(key),
                Some((key, _)) => add(key),
                None => add(plain),
            }
        }
    }
    found
}

/// Names of query parameters that people put keys into.
const KEY_PARAMETERS: [&str; 5] = ["key", "apikey", "api_key", "x-api-key", "access_token"];

/// Whether a request's path and query hold a key: one of our own by its checksum, or any under a telling name.
///
/// Both the text as sent and its percent-decoded form are looked at.
pub fn url_holds_key(path: &str, query: Option<&str>, brand: &Brand) -> bool {
    let holds = |text: &str| {
        key_text::contains_key(text, brand)
            || (text.contains('%') && key_text::contains_key(&percent_decoded(text), brand))
    };
    if holds(path) {
        return true;
    }
    let Some(query) = query else { return false };
    holds(query)
        || query.split('&').any(|pair| {
            let name = percent_decoded(pair.split_once('=').map_or(pair, |(name, _)| name));
            KEY_PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known))
        })
}

/// RFC 3986 section 2.1; what is no escape stays as it is, what is not UTF-8 becomes a replacement character.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escape = bytes.get(index..index + 3).filter(|three| three[0] == b'%').and_then(|three| {
            let digits = std::str::from_utf8(&three[1..]).ok()?;
            digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
        });
        decoded.push(escape.unwrap_or(bytes[index]));
        index += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::environment::Environment;
    use crate::key_text::{KeyForm, generate};
    use crate::keys::KeyKind;

    fn key() -> String {
        let random = std::array::from_fn(|index| u8::try_from(index * 7 % 251).expect("below 251"));
        generate(KeyForm::Branded, &Brand::default(), Environment::Test, KeyKind::Secret, &random).expose().to_owned()
    }

    /// What is read, apart from the headers that it was read of.
    fn read(headers: CredentialHeaders<'_>) -> Result<Presented<'static>, Reason> {
        let Presented { secret, claim, business_ids, form } = parse(headers, AcceptedForms::All, &Brand::default())?;
        let business_ids = business_ids.into_iter().map(|id| Cow::Owned(id.into_owned())).collect();
        Ok(Presented { secret, claim, business_ids, form })
    }

    fn authorization_of(value: &str) -> Result<Presented<'static>, Reason> {
        read(CredentialHeaders { authorization: &[value.as_bytes()], ..Default::default() })
    }

    fn basic_of(plain: &[u8]) -> Result<Presented<'static>, Reason> {
        authorization_of(&format!("Basic {}", STANDARD.encode(plain)))
    }

    #[test]
    fn every_form_gives_the_same_key() {
        let key = key();
        let presented = [
            basic_of(key.as_bytes()),
            basic_of(format!("{key}:").as_bytes()),
            basic_of(format!("17616983000123:{key}").as_bytes()),
            authorization_of(&format!("Bearer {key}")),
            authorization_of(&format!("bEARER   {key}")),
        ];
        for one in presented {
            assert_eq!(one.expect("a good form").secret.expose(), key);
        }
        let pair = basic_of(format!("17616983000123:{key}").as_bytes()).expect("good");
        assert_eq!((pair.form, pair.business_ids.as_slice()), (Form::BasicPair, &["17616983000123".into()][..]));
        for name in ["apikey", "x-api-key"] {
            let values = [key.as_bytes()];
            let headers = if name == "apikey" {
                CredentialHeaders { apikey: &values, ..Default::default() }
            } else {
                CredentialHeaders { x_api_key: &values, ..Default::default() }
            };
            assert!(parse(headers, AcceptedForms::All, &Brand::default()).is_ok());
            assert_eq!(
                parse(headers, AcceptedForms::BasicKey, &Brand::default()).map(|_| ()),
                Err(Reason::SchemeUnsupported)
            );
        }
    }

    #[test]
    fn what_is_broken_says_how() {
        let key = key();
        let cases: [(&str, Reason); 9] = [
            ("", Reason::SchemeUnsupported),
            ("Digest abc", Reason::SchemeUnsupported),
            ("Basic", Reason::CredentialMalformed),
            ("Basic !!!", Reason::CredentialMalformed),
            ("Basic YQ", Reason::CredentialMalformed),
            ("Bearer", Reason::CredentialMalformed),
            ("Bearer é", Reason::CredentialMalformed),
            ("Bearer Mileston_TEST_short", Reason::KeyMalformed),
            ("Bearer a ", Reason::CredentialMalformed),
        ];
        for (value, reason) in cases {
            assert_eq!(authorization_of(value).map(|_| ()), Err(reason), "{value}");
        }
        assert_eq!(basic_of(&[0xff, b':', b'x']).map(|_| ()), Err(Reason::CredentialMalformed));
        assert_eq!(basic_of(b":x").map(|_| ()), Err(Reason::CredentialMalformed));
        assert_eq!(basic_of(b"id: a").map(|_| ()), Err(Reason::CredentialMalformed));
        let twice = [key.as_bytes(), key.as_bytes()];
        let headers = CredentialHeaders { apikey: &twice, ..Default::default() };
        assert_eq!(
            parse(headers, AcceptedForms::All, &Brand::default()).map(|_| ()),
            Err(Reason::AmbiguousCredentials)
        );
        let none = CredentialHeaders::default();
        assert_eq!(parse(none, AcceptedForms::All, &Brand::default()).map(|_| ()), Err(Reason::CredentialMissing));
    }

    #[test]
    fn a_key_of_another_system_may_hold_colons_and_spaces_wherever_it_can_be_told_apart() {
        let text = "123456:AAF-x y";
        let values = [text.as_bytes()];
        let apikey = CredentialHeaders { apikey: &values, ..Default::default() };
        let x_api_key = CredentialHeaders { x_api_key: &values, ..Default::default() };
        for presented in [
            read(apikey),
            read(x_api_key),
            authorization_of(&format!("Bearer {text}")),
            // The first colon parts the id from the key; the others are the key's own.
            basic_of(format!("a-1:{text}").as_bytes()),
        ] {
            assert_eq!(presented.expect("a good form").secret.expose(), text);
        }
        // Alone in Basic, what stands before the colon is an id: the pair cannot be told from such a key.
        let pair = basic_of(text.as_bytes()).expect("a pair");
        assert_eq!((pair.secret.expose(), pair.business_ids.as_slice()), ("AAF-x y", &["123456".into()][..]));
    }

    #[test]
    fn keys_in_urls_are_seen_through_escapes() {
        let brand = Brand::default();
        let key = key();
        assert!(url_holds_key(&format!("/v1/{key}"), None, &brand));
        assert!(url_holds_key(&format!("/v1/{}", key.replace('_', "%5F")), None, &brand));
        assert!(url_holds_key("/v1/keys", Some("limit=3&API_KEY=x"), &brand));
        assert!(url_holds_key("/v1/keys", Some("%6bey=x"), &brand));
        assert!(!url_holds_key("/v1/keys", Some("limit=3&keys=1"), &brand));
        assert!(!url_holds_key("/v1/keys%", Some("%"), &brand));
    }

    proptest! {
        #[test]
        fn any_header_is_answered(value: Vec<u8>, id: Vec<u8>) {
            let values = [value.as_slice()];
            let ids = [id.as_slice()];
            let headers = CredentialHeaders { authorization: &values, business_id: &ids, ..Default::default() };
            let _ = parse(headers, AcceptedForms::All, &Brand::default());
        }

        #[test]
        fn any_basic_payload_is_answered(plain: Vec<u8>) {
            let _ = basic_of(&plain);
        }

        #[test]
        fn a_ready_header_is_read_back(id in "[0-9]{14}") {
            let key = key();
            let secret = ApiKeySecret::from_presented(&key).expect("good");
            let id: crate::ids::BusinessId = id.parse().expect("digits");
            let header = ready_header(Some(&id), &secret);
            let presented = authorization_of(&header).expect("our own");
            prop_assert_eq!(presented.secret.expose(), key.as_str());
            prop_assert_eq!(presented.business_ids.as_slice(), [id.as_str()]);
        }

        #[test]
        fn any_url_is_answered(path in ".{0,60}", query in ".{0,60}") {
            let _ = url_holds_key(&path, Some(&query), &Brand::default());
        }
    }
}
