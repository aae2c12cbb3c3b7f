//! *Whose key is this?*, and the search box, which recognises a key as well. A pasted value comes by POST, is looked
//! up, and goes nowhere: not into an address, a page, a log or a message.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::brand::Brand;
use trousseau_domain::credential::SHORTEST_KEY;
use trousseau_domain::members::Operation;
use trousseau_domain::text::SearchText;
use trousseau_service::keys::KeyHandle;
use trousseau_service::{KeyFilter, KeyOrder};
use zeroize::Zeroizing;

use super::list::{Asked, page};
use super::{base, path_of};
use crate::dashboard::form::Form;
use crate::dashboard::frame::{Sub, redirect};
use crate::dashboard::session::{Entered, ReadKeys, Stop};
use crate::router::Web;

/// What was typed or pasted, with the other filters of the list.
#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    q: Zeroizing<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Rest {
    #[serde(rename = "type")]
    kind: String,
    state: String,
    sort: String,
    per_page: String,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Search").field("rest", &self.rest).finish_non_exhaustive()
    }
}

/// The address of the form, opened as a page: the list.
pub(super) async fn nothing(entered: Entered<ReadKeys>) -> Response {
    redirect(&base(&entered.frame))
}

/// Opens the key of a pasted value, or the list with what was searched.
pub(super) async fn find(
    State(web): State<Web>,
    entered: Entered<ReadKeys>,
    Form(search): Form<Search>,
) -> Result<Response, Stop> {
    let text = search.q.trim();
    let home = base(&entered.frame);
    let fail = |error| entered.refused(error, &home);
    if let Some(path) = key_of_value(&web, &entered, text).await? {
        return Ok(redirect(&path));
    }
    // A number, as the list writes it.
    let digits = text.strip_prefix("key_").unwrap_or(text);
    if let Ok(number) = digits.parse::<u32>()
        && web.app.keys().get(&entered.tenant, KeyHandle::Number(number)).await.is_ok()
    {
        return Ok(redirect(&path_of(&entered.frame, number)));
    }
    let Rest { kind, state, sort, per_page } = search.rest;
    let asked = Asked { q: text.to_owned(), kind, state, sort, per_page, ..Asked::default() };
    let unknown = Asked { q: String::new(), ..asked.clone() };
    if text.is_empty() {
        return Ok(redirect(&asked.href(&home)));
    }
    // What no list can be searched for is not repeated either: headers and lines of a file hold keys.
    let Ok(search) = text.parse::<SearchText>() else {
        return page(&web, entered, unknown, true).await;
    };
    if !looks_like_a_key(text, web.app.settings().brand()) {
        return Ok(redirect(&asked.href(&home)));
    }
    // It has the form of a key, or of an external reference. Only a reference of this list may get into the address.
    let filter = KeyFilter { search: Some(search), include_revoked: true, ..KeyFilter::default() };
    let order = KeyOrder::NumberDesc;
    let known = web.app.keys().list_counted(&entered.tenant, &filter, order, 0, 1).await.map_err(fail)?;
    match known.data.first() {
        Some(view) if view.key.external_reference.as_deref() == Some(text) => {
            Ok(redirect(&path_of(&entered.frame, view.key.number)))
        }
        // A long word of a name is no secret either.
        Some(_) => Ok(redirect(&asked.href(&home))),
        None => page(&web, entered, unknown, true).await,
    }
}

/// The page of the key with this value, in any of the reader's businesses where they may see keys.
async fn key_of_value(web: &Web, entered: &Entered<ReadKeys>, text: &str) -> Result<Option<String>, Stop> {
    let found = web.app.access().find(text).await;
    let Some(found) = found.map_err(|error| entered.refused(error, &base(&entered.frame)))? else {
        return Ok(None);
    };
    let key = &found.found.key;
    let membership = entered.person.membership(&key.tenant.business);
    Ok(membership.filter(|membership| membership.role.may(Operation::KeysRead)).map(|_| {
        let (business, environment) = (&key.tenant.business, key.tenant.environment);
        format!("/b/{business}/{environment}{}/{}", Sub::ApiKeys.path(), key.number)
    }))
}

/// Whether a text could be a key, or a part or misspelling of one, or hold one, so that it must not be repeated. Keys
/// that were taken over have any form, so every long word could be one.
fn looks_like_a_key(text: &str, brand: &Brand) -> bool {
    let lower = text.to_lowercase();
    let long_word = text.split_whitespace().any(|word| word.chars().count() >= SHORTEST_KEY);
    let branded = lower.contains(&format!("{}_", brand.as_str().to_lowercase()));
    let header = ["basic ", "bearer "].iter().any(|scheme| lower.starts_with(scheme));
    long_word || branded || header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_key_is_never_repeated() {
        let brand = Brand::default();
        for (text, secret) in [
            ("Orders service", false),
            ("x7K", false),
            ("", false),
            ("23", false),
            ("Mileston_TEST_4vTq8ZbR2mWk7NcY5hJd9LpXs3GfE6aU1oKx7K", true),
            ("mileston_live_4vTq", true),
            ("q7Rm2XvK9tLc4WzB8nHd", true),
            ("NmYxZDJjOGUtM2I0Ny00YTk1LTljMGU=", true),
            ("Basic abc", true),
            ("Bearer x", true),
            ("a-key:of_another.system/with+marks!", true),
            ("old-key-of-theirs-0001 Orders", true),
        ] {
            assert_eq!(looks_like_a_key(text, &brand), secret, "{text}");
        }
    }
}
