//! The logo of a business: put there and taken away under Settings, served by its digest.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use trousseau_domain::logo::{LogoDigest, MAX_LOGO_BYTES, MAX_LOGO_PIXELS, MIN_LOGO_PIXELS};
use trousseau_service::logos::{InvalidLogo, Logo};

use super::settings::{below, show_with};
use super::sign_in::Nothing;
use crate::dashboard::form::{FileForm, Form, FormErrors};
use crate::dashboard::session::{Entered, Stop, WriteBusiness};
use crate::dashboard::text::{Arg, Texts, message};
use crate::path::Path;
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// A picture can load nothing and run nothing, wherever it is opened.
const POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

/// The address of a logo.
pub(crate) fn url(digest: &LogoDigest) -> String {
    format!("/logos/{digest}")
}

/// A logo. What has its digest never changes.
pub(crate) async fn serve(State(web): State<Web>, Path(digest): Path<String>) -> Result<Response, Failure> {
    let digest: LogoDigest = digest.parse().map_err(|_| Failure::new(Kind::NotFound))?;
    let (format, content) = web.app.logos().get(&digest).await?;
    let headers = [
        (CONTENT_TYPE, format.media_type()),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (CONTENT_SECURITY_POLICY, POLICY),
    ];
    Ok((headers, content).into_response())
}

/// Puts a logo in place.
pub(crate) async fn put(
    State(web): State<Web>,
    entered: Entered<WriteBusiness>,
    FileForm(file): FileForm,
) -> Result<Response, Stop> {
    let logo = match Logo::read(file.to_vec()) {
        Ok(logo) => logo,
        Err(why) => {
            let mut errors = FormErrors::new();
            errors.add("logo", explained(why, entered.frame.t));
            return Ok(show_with(&entered, StatusCode::UNPROCESSABLE_ENTITY, errors));
        }
    };
    let here = below(&entered, "");
    let done = web.app.logos().put(&entered.context, &entered.tenant.business, logo).await;
    done.map_err(|error| entered.refused(error, &here))?;
    Ok(entered.frame.done(&here, message!("flash-logo-saved"), ""))
}

fn explained(why: InvalidLogo, t: Texts) -> String {
    match why {
        InvalidLogo::Empty => t.get("logo-empty"),
        InvalidLogo::TooLarge => t.with("logo-too-large", [("kib", MAX_LOGO_BYTES / 1024)]),
        InvalidLogo::Format => t.get("logo-format"),
        InvalidLogo::Pixels => {
            t.with("logo-pixels", [("fewest", Arg::from(MIN_LOGO_PIXELS)), ("most", Arg::from(MAX_LOGO_PIXELS))])
        }
    }
}

/// Takes the logo away.
pub(crate) async fn remove(
    State(web): State<Web>,
    entered: Entered<WriteBusiness>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Stop> {
    let here = below(&entered, "");
    let done = web.app.logos().remove(&entered.context, &entered.tenant.business).await;
    done.map_err(|error| entered.refused(error, &here))?;
    Ok(entered.frame.done(&here, message!("flash-logo-removed"), ""))
}
