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

use super::form::FormErrors;
use super::frame::Frame;
use super::text::Texts;
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
///
/// Of what it said a digest is kept, under the token of the session's forms: whoever reads the database alone can try no
/// guess at a secret that was typed.
pub(super) fn sent_once<'r, T>(
    person: &SignedIn,
    frame: &Frame,
    path: &str,
    once: &str,
    said: &impl Serialize,
    render: &'r (dyn Fn(&T) -> StoredAnswer + Send + Sync),
) -> Option<Idempotent<'r, T>> {
    (!once.is_empty()).then(|| Idempotent {
        scope: format!("page/{}{path}", person.account.id),
        key: once.to_owned(),
        fingerprint: fingerprint(&frame.csrf, said),
        render,
    })
}

fn fingerprint(token: &str, said: &impl Serialize) -> String {
    let mut digest = Sha256::new();
    digest.update(b"trousseau form\0");
    digest.update(token);
    digest.update([0]);
    digest.update(serde_json::to_vec(said).expect("forms hold texts and their lists"));
    STANDARD.encode(digest.finalize())
}

/// The id of the button of such forms.
const BUTTON: &str = "create";

/// A new name for a form that was sent before with other fields, which says so at its button: sent once more, it is meant.
pub(super) fn once_more(web: &Web, t: Texts, errors: &mut FormErrors) -> String {
    errors.add(BUTTON, t.get("form-sent-otherwise"));
    once(web)
}

/// Which way a switch goes, `on` or `off`: a page that is out of date does not turn it back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Switched {
    pub(super) to: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_can_be_compared_by_its_own_session_alone() {
        let said = ["a token", "that somebody chose"];
        assert_eq!(fingerprint("one", &said), fingerprint("one", &said));
        assert_ne!(fingerprint("one", &said), fingerprint("one", &["a token"]));
        assert_ne!(fingerprint("one", &said), fingerprint("other", &said));
        let bare = STANDARD.encode(Sha256::digest(serde_json::to_vec(&said).expect("texts")));
        assert_ne!(fingerprint("", &said), bare);
    }
}
