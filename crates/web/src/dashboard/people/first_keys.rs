//! The first keys of a business: shown once, in the dialog of a key that was made, to the person they are for.

use askama::Template;
use axum::response::Response;
use trousseau_domain::environment::Environment;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::profile::Profile;
use trousseau_service::BusinessRow;
use trousseau_service::address::PublicAddress;
use trousseau_service::keys::IssuedKey;
use zeroize::Zeroize as _;

use super::home_of;
use crate::dashboard::frame::Frame;
use crate::dashboard::text::{Texts, message};

#[derive(Debug, Template)]
#[template(path = "people/first_keys.html")]
struct FirstKeysPage<'a> {
    frame: &'a Frame,
    business: &'a str,
    business_id: String,
    home: String,
    keys: Vec<OnceKey>,
    call: Call,
    file: String,
    /// Whether this is the only time for any of them.
    once: bool,
}

/// One of the keys.
struct OnceKey {
    /// What tells its parts from those of the others in the page.
    id: String,
    kind: String,
    environment: Environment,
    prefix: String,
    rest: String,
    reference: Option<String>,
    authorization: String,
    readable: bool,
    /// What the names of its lines in the file begin with; nothing where it is alone.
    variable: String,
}

/// It holds a value.
impl std::fmt::Debug for OnceKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OnceKey")
    }
}

impl Drop for OnceKey {
    fn drop(&mut self) {
        self.rest.zeroize();
        self.authorization.zeroize();
    }
}

/// A first call to make.
struct Call {
    address: String,
    /// The key, or the variable that holds it.
    key: String,
    /// The name of the variable, and what it is set to before the call.
    variable: String,
    value: Option<String>,
    /// Sent beside the key, where that is asked for.
    business_id: Option<String>,
}

/// It may hold a value.
impl std::fmt::Debug for Call {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Call")
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.key.zeroize();
        self.value.zeroize();
    }
}

impl OnceKey {
    fn new(profile: Option<&Profile>, t: Texts, issued: &IssuedKey, alone: bool) -> Self {
        let key = &issued.view.key;
        let environment = key.tenant.environment;
        let kind = match key.kind {
            KeyKind::Secret => message!("people-key-secret"),
            KeyKind::Checkout => message!("people-key-checkout"),
        };
        let value = issued.value.expose();
        let (prefix, rest) = value.split_at_checked(key.mask_prefix.len()).unwrap_or(("", value));
        Self {
            id: format!("{environment}-{}", key.kind),
            kind: t.get(kind),
            environment,
            prefix: prefix.to_owned(),
            rest: rest.to_owned(),
            reference: key.external_reference.clone(),
            authorization: issued.authorization.as_str().to_owned(),
            readable: profile.is_some_and(|profile| profile.value_readable(environment, key.kind)),
            variable: if alone { String::new() } else { variable(environment, key.kind) },
        }
    }

    const fn is_live(&self) -> bool {
        matches!(self.environment, Environment::Live)
    }

    fn id_of(&self, part: &str) -> String {
        format!("{part}-{}", self.id)
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.variable)
    }
}

/// `LIVE_SECRET_` before the names of a file's lines, so that several keys fit into one file.
fn variable(environment: Environment, kind: KeyKind) -> String {
    format!("{}_{}_", environment.in_key_text(), kind.as_str().to_ascii_uppercase())
}

/// The page with the values. Nothing keeps it, and its address leads to no value when it is opened again.
pub(super) fn page(
    frame: &Frame,
    address: &PublicAddress,
    business: &BusinessRow,
    profile: Option<&Profile>,
    issued: &[IssuedKey],
) -> Response {
    let alone = issued.len() == 1;
    // A TEST key may stand in the call; a LIVE one is set before it, so that the rest works from where it is stored as well.
    let secret_of = |environment: Environment| {
        issued.iter().find(move |issued| {
            let key = &issued.view.key;
            (key.tenant.environment, key.kind) == (environment, KeyKind::Secret)
        })
    };
    let in_test = secret_of(Environment::Test);
    let prefix = if alone { String::new() } else { variable(Environment::Live, KeyKind::Secret) };
    let name = format!("{prefix}API_KEY");
    let call = Call {
        address: address.as_str().to_owned(),
        key: match in_test {
            Some(issued) => issued.value.expose().to_owned(),
            None => format!("${name}"),
        },
        value: match in_test {
            Some(_) => None,
            None => secret_of(Environment::Live).map(|issued| issued.value.expose().to_owned()),
        },
        variable: name,
        business_id: profile.is_none_or(|profile| profile.business_id_required).then(|| business.id.to_string()),
    };
    let keys: Vec<OnceKey> = issued.iter().map(|issued| OnceKey::new(profile, frame.t, issued, alone)).collect();
    let template = FirstKeysPage {
        frame,
        business: business.name.as_str(),
        business_id: business.id.to_string(),
        home: home_of(&business.id, profile),
        once: keys.iter().any(|key| !key.readable),
        file: if alone { "trousseau-live.env" } else { "trousseau.env" }.to_owned(),
        keys,
        call,
    };
    frame.page(&template)
}
