//! One function per parser: it takes any bytes and panics where a promise is broken.
//!
//! `fuzz/libfuzzer` calls them under coverage guidance (nightly, by hand: `cargo fuzz run credential`), and
//! `tests/corpus.rs` runs them over the stored corpus and mutations of it on every test run.

use trousseau_domain::brand::Brand;
use trousseau_domain::credential::{self, AcceptedForms, CredentialHeaders};
use trousseau_domain::ids::{BusinessId, EventId, KeyId, RequestId};
use trousseau_domain::ip_range::IpRange;
use trousseau_domain::key_text;
use trousseau_domain::origin::Origin;
use trousseau_domain::scope::Scope;
use trousseau_domain::text::KeyName;
use trousseau_domain::time::{Day, TimeZone, Timestamp};

/// A target's name and function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 6] =
    [("credential", credential), ("key_text", key_text), ("url", url), ("ids", ids), ("time", time), ("words", words)];

/// The headers of a request: first line `Authorization`, second `apikey`, third `businessid`.
pub fn credential(data: &[u8]) {
    let lines: Vec<&[u8]> = data.splitn(3, |byte| *byte == b'\n').collect();
    let header = |index: usize| lines.get(index).filter(|line| !line.is_empty()).copied();
    let (authorization, apikey, business_id) = (header(0), header(1), header(2));
    let headers = CredentialHeaders {
        authorization: authorization.as_slice(),
        apikey: apikey.as_slice(),
        x_api_key: &[],
        business_id: business_id.as_slice(),
    };
    for accepted in [AcceptedForms::All, AcceptedForms::BasicKey] {
        if let Ok(presented) = credential::parse(headers, accepted, &Brand::default()) {
            let text = presented.secret.expose();
            assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "a key is printable ASCII");
            assert!(text.len() <= key_text::MAX_KEY_LEN, "a key is short");
            assert!(authorization.is_none() || apikey.is_none(), "two credentials are never taken");
        }
    }
}

/// The text of a key.
pub fn key_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let brand = Brand::default();
    if let Ok((secret, _)) = key_text::parse(text, &brand) {
        assert_eq!(secret.expose(), text, "nothing is trimmed");
        assert!(text.ends_with(secret.last_three().as_str()), "the mask shows the end");
        if text.starts_with("Mileston_") {
            assert!(key_text::contains_key(text, &brand), "a good key is found in a text");
        }
    }
}

/// Path and query of a request, parted by the first question mark.
pub fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text.as_ref(), None),
    };
    let _ = credential::url_holds_key(path, query, &Brand::default());
}

/// Identifiers, cursors among them.
pub fn ids(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = text.parse::<KeyId>() {
        assert_eq!(id.to_string(), text, "an id has one spelling");
    }
    if let Ok(id) = text.parse::<EventId>() {
        assert_eq!(id.to_string(), text, "an id has one spelling");
    }
    if let Ok(id) = text.parse::<RequestId>() {
        assert_eq!(id.to_string(), text, "an id has one spelling");
    }
    if let Ok(id) = text.parse::<BusinessId>() {
        assert_eq!(id.as_str(), text, "an id has one spelling");
    }
}

/// Instants, days and zones.
pub fn time(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(instant) = text.parse::<Timestamp>() {
        assert_eq!(instant.to_string().parse(), Ok(instant), "an instant round-trips");
    }
    if let Ok(day) = text.parse::<Day>() {
        assert_eq!(day.to_string(), text, "a day has one spelling");
        let zone: TimeZone = "America/St_Johns".parse().expect("a zone of the database");
        if let (Ok(start), Ok(end)) = (zone.start_of(day), zone.end_of(day)) {
            assert!(start < end, "a day has a length");
            assert_eq!(zone.last_day_before(end), day, "the end day is included");
        }
    }
    let _ = text.parse::<TimeZone>();
}

/// Origins, address ranges, scopes and names.
pub fn words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(origin) = text.parse::<Origin>() {
        assert_eq!(origin.as_str(), text, "an origin has one spelling");
    }
    if let Ok(range) = text.parse::<IpRange>() {
        assert_eq!(range.to_string().parse(), Ok(range), "a range round-trips");
    }
    if let Ok(scope) = text.parse::<Scope>() {
        assert_eq!(scope.as_str(), text, "a scope has one spelling");
    }
    if let Ok(name) = text.parse::<KeyName>() {
        assert!(name.as_str().chars().count() <= KeyName::MAX_CHARACTERS, "a name is short");
        assert_eq!(name.as_str().parse(), Ok(name.clone()), "a kept name is kept again");
    }
}
