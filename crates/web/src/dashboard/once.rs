//! Forms that do once what they do: sent again, by a reload or by a second click, they do nothing more.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use trousseau_domain::ids::RequestId;
use trousseau_service::entropy::EntropyExt as _;
use trousseau_service::idempotency::{Idempotent, StoredAnswer};
use trousseau_service::people::SignedIn;

use crate::router::Web;

/// A name for one form.
pub(super) fn once(web: &Web) -> String {
    RequestId::from_random(web.app.entropy().bytes()).to_string()
}

/// What is kept of a form that was sent: the name of what it was about.
pub(super) fn kept(name: &impl fmt::Display) -> StoredAnswer {
    StoredAnswer { status: 200, body: name.to_string(), refills: Vec::new() }
}

/// The form of this person at `path` that goes by this name; a form without one is done each time. Sent again with other
/// fields, from the same page, it is refused as another one: nobody is told that what they ask for now was done.
pub(super) fn sent_once<'r, T>(
    person: &SignedIn,
    path: &str,
    once: &str,
    said: &impl Serialize,
    render: &'r (dyn Fn(&T) -> StoredAnswer + Send + Sync),
) -> Option<Idempotent<'r, T>> {
    (!once.is_empty()).then(|| Idempotent {
        scope: format!("page/{}{path}", person.account.id),
        key: once.to_owned(),
        fingerprint: STANDARD
            .encode(Sha256::digest(serde_json::to_vec(said).expect("forms hold texts and their lists"))),
        render,
    })
}

/// Which way a switch goes, `on` or `off`: a page that is out of date does not turn it back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Switched {
    pub(super) to: String,
}
