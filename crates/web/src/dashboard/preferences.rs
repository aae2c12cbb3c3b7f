//! Language and theme: kept where they were chosen, by the buttons in the head of every page.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::form::Form;
use super::frame::{local_path, redirect};
use super::look::{choose_language, choose_theme, parse_language, parse_theme};
use crate::router::Web;

/// What was chosen, and where.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    language: Option<String>,
    theme: Option<String>,
    #[serde(rename = "return")]
    back: Option<String>,
}

/// Keeps a choice and goes back to the page.
pub(crate) async fn keep(State(web): State<Web>, Form(choice): Form<Choice>) -> Response {
    let mut response = redirect(local_path(choice.back.as_deref().unwrap_or("/")));
    if let Some(language) = choice.language.as_deref().and_then(parse_language) {
        choose_language(response.headers_mut(), language, web.secure_cookies);
    }
    if let Some(theme) = &choice.theme {
        choose_theme(response.headers_mut(), parse_theme(theme), web.secure_cookies);
    }
    response
}
