//! Forms that are sent too long after the last proof of who sits there: kept while it is given, and then shown again as
//! they were sent.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trousseau_service::people::{OneTimeToken, SignedIn};
use trousseau_service::{App, ServiceError};

use super::session::{Entered, Stop, asked, signed_in, step_up};
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// What a person typed and may be kept for a few minutes: never a password, a code or the value of a key.
pub(crate) trait Keepable: Serialize + DeserializeOwned + Send {}

/// What was sent to this page before its sender proved who they are; nothing where the page is simply opened.
#[derive(Debug)]
pub(crate) struct Kept<T>(pub(crate) Option<T>);

/// The query by which a page is told that something was kept for it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Brought {
    kept: String,
}

impl<T: Keepable> FromRequestParts<Web> for Kept<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Failure> {
        let brought = Query::<Brought>::try_from_uri(&parts.uri).map(|query| query.0).unwrap_or_default();
        let Some(token) = OneTimeToken::parse(&brought.kept) else { return Ok(Self(None)) };
        let Some(person) = signed_in(parts, web).await? else { return Ok(Self(None)) };
        let kept = web.app.people().take_form(&person, asked(parts).path(), &token).await?;
        // A form of another release may read differently; then its page is simply opened.
        Ok(Self(kept.and_then(|fields| serde_json::from_str(&fields).ok())))
    }
}

/// Where to go to prove who one is, and from there back to `page`, which shows the form again.
pub(crate) async fn step_up_with<T: Keepable>(
    app: &App,
    person: &SignedIn,
    page: &str,
    form: &T,
) -> Result<String, Failure> {
    let fields = serde_json::to_string(form).map_err(|_| Failure::new(Kind::Internal))?;
    let kept = app.people().keep_form(person, page, &fields).await?;
    Ok(match kept {
        Some(token) => step_up(&format!("{page}?kept={}", token.expose())),
        None => step_up(page),
    })
}

impl<P> Entered<P> {
    /// The answer to a form that the service did not do. As [`Entered::refused`], and where a proof of who sits there
    /// is asked for, `page` shows the form again as it was sent.
    pub(crate) async fn refused_form<T: Keepable>(&self, web: &Web, error: ServiceError, page: &str, form: &T) -> Stop {
        match error {
            ServiceError::StepUpRequired => match step_up_with(&web.app, &self.person, page, form).await {
                Ok(to) => Stop::go(&to),
                Err(failure) => failure.into(),
            },
            error => self.refused(error, page),
        }
    }
}
