//! Settings of checkout: how the hosted page looks, and what it takes for paid.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use trousseau_domain::checkout::{
    Accent, CheckoutSettings, InvalidAccent, MAX_ORIGINS, MAX_PER_MILLE, PageLanguages, Tolerance,
};
use trousseau_domain::members::Operation;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payables::WebUrl;

use super::{amounts, is_live, said};
use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::frame::{Frame, Sub, Tab};
use crate::dashboard::kept::{Keepable, Kept};
use crate::dashboard::session::{Entered, ReadBusiness, Stop, WriteBusiness};
use crate::dashboard::text::message;
use crate::language::Language;
use crate::path::Path;
use crate::problem::{Failure, Kind};
use crate::router::Web;

/// How an accent's address ends.
const STYLE: &str = ".css";

/// Where the style of an accent is. What has its address never changes.
pub(crate) fn style_of(accent: Accent) -> String {
    format!("/pay/accent/{}{STYLE}", accent.to_string().trim_start_matches('#'))
}

/// The style of an accent: any colour that can be read has one, so that no business is named by it.
pub(super) async fn accent(Path(file): Path<String>) -> Result<Response, Failure> {
    let digits = file.strip_suffix(STYLE).ok_or_else(|| Failure::new(Kind::NotFound))?;
    let accent: Accent = format!("#{digits}").parse().map_err(|_| Failure::new(Kind::NotFound))?;
    let (light, dark) = (accent.on_light(), accent.on_dark());
    let style = format!(
        ".accented {{\n  --accent: light-dark({light}, {dark});\n  --accent-ink: light-dark(#ffffff, #101418);\n  \
         --accent-hover: light-dark(color-mix(in srgb, {light} 80%, #000000), color-mix(in srgb, {dark} 80%, #ffffff));\n  \
         --accent-soft: light-dark(color-mix(in srgb, {light} 10%, #ffffff), color-mix(in srgb, {dark} 18%, #1a1c1f));\n}}\n"
    );
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, style).into_response())
}

/// What was typed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    accent: String,
    languages: String,
    redirect_url: String,
    origins: String,
    tolerance_amount: String,
    tolerance_per_mille: String,
    late: String,
}

impl Keepable for Fields {}

/// What money that comes too late does.
const SETTLES: &str = "settles";
const WAITS: &str = "waits";

impl Fields {
    fn of(settings: &CheckoutSettings, language: Language) -> Self {
        let amount = settings.tolerance.amount();
        let per_mille = settings.tolerance.per_mille();
        let origins: Vec<_> = settings.origins.iter().map(ToString::to_string).collect();
        Self {
            accent: settings.accent.map(|accent| accent.to_string()).unwrap_or_default(),
            languages: settings.languages.to_string(),
            redirect_url: settings.redirect_url.as_ref().map(ToString::to_string).unwrap_or_default(),
            origins: origins.join("\n"),
            tolerance_amount: if amount.is_zero() { String::new() } else { amounts::written(amount, language) },
            tolerance_per_mille: if per_mille == 0 { String::new() } else { per_mille.to_string() },
            late: if settings.accepts_late { SETTLES } else { WAITS }.to_owned(),
        }
    }

    fn read<P>(&self, entered: &Entered<P>, errors: &mut FormErrors) -> Option<CheckoutSettings> {
        let t = entered.frame.t;
        let text = self.accent.trim();
        let accent = if text.is_empty() {
            None
        } else {
            errors.read("accent", text.parse(), wrong_accent(text, &entered.frame))
        };
        let redirect_url = said(
            &self.redirect_url,
            |text| WebUrl::parse(text, entered.tenant.environment).ok(),
            || errors.add("redirect_url", t.get("wrong-redirect")),
        );
        let origins = errors.entries("origins", &self.origins, MAX_ORIGINS, message!("wrong-origin"), t);
        let amount = said(
            &self.tolerance_amount,
            |text| Money::parse(&amounts::plain(text, t.language()), Asset::USDC).ok(),
            || errors.add("tolerance_amount", t.get("wrong-tolerance-amount")),
        );
        let per_mille = said(
            &self.tolerance_per_mille,
            |text| text.parse().ok().filter(|per_mille| *per_mille <= MAX_PER_MILLE),
            || {
                errors.add(
                    "tolerance_per_mille",
                    t.with("wrong-tolerance-per-mille", [("most", u32::from(MAX_PER_MILLE))]),
                );
            },
        );
        let amount = amount.unwrap_or(Money::zero(Asset::USDC));
        let tolerance = Tolerance::new(amount, per_mille.unwrap_or_default()).ok()?;
        errors.is_empty().then(|| CheckoutSettings {
            accent,
            languages: self.languages.parse().unwrap_or(PageLanguages::Any),
            redirect_url,
            origins,
            tolerance,
            accepts_late: self.late != WAITS,
        })
    }
}

/// What is wrong with a colour, and which one would do.
fn wrong_accent(text: &str, frame: &Frame) -> String {
    let (f, t) = (&frame.f, frame.t);
    match text.parse::<Accent>() {
        Err(InvalidAccent::TooLight { contrast, nearest }) => {
            let contrast = f.decimal(&format!("{}.{}", contrast / 10, contrast % 10));
            t.with("wrong-accent-faint", [("contrast", contrast), ("nearest", nearest.to_string())])
        }
        _ => t.get("wrong-accent"),
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/settings.html")]
struct SettingsPage<'a> {
    frame: &'a Frame,
    errors: FormErrors,
    fields: Fields,
    languages: [(&'static str, String); 3],
    /// The style of the accent that is kept.
    style: Option<String>,
    action: String,
    may_write: bool,
    live: bool,
    /// Whether its money goes anywhere: all but that of the test ledger does.
    paid_out: bool,
}

fn draw<P>(
    web: &Web,
    entered: &Entered<P>,
    status: StatusCode,
    accent: Option<Accent>,
    fields: Fields,
    errors: FormErrors,
) -> Response {
    let frame = entered.frame.clone().at(Tab::Settings, Some(Sub::Checkout));
    let t = frame.t;
    let template = SettingsPage {
        languages: [PageLanguages::Any, PageLanguages::English, PageLanguages::French].map(|languages| {
            let name = match languages {
                PageLanguages::Any => message!("checkout-any-language"),
                PageLanguages::English => message!("people-language-en"),
                PageLanguages::French => message!("people-language-fr"),
            };
            (languages.as_str(), t.get(name))
        }),
        style: accent.map(style_of),
        action: here(entered),
        may_write: entered.role.may(Operation::BusinessWrite),
        live: is_live(entered),
        paid_out: is_live(entered) || !web.app.test_ledgers().are_on(),
        frame: &frame,
        errors,
        fields,
    };
    frame.page_with(status, &template)
}

fn here<P>(entered: &Entered<P>) -> String {
    format!("/b/{}/{}{}", entered.tenant.business, entered.tenant.environment, Sub::Checkout.path())
}

/// How the business takes payments.
pub(super) async fn show(
    entered: Entered<ReadBusiness>,
    State(web): State<Web>,
    Kept(kept): Kept<Fields>,
) -> Result<Response, Stop> {
    let settings = web.app.checkout().get(&entered.tenant).await;
    let settings = settings.map_err(|error| entered.refused(error, &here(&entered)))?;
    let fields = kept.unwrap_or_else(|| Fields::of(&settings, entered.frame.t.language()));
    Ok(draw(&web, &entered, StatusCode::OK, settings.accent, fields, FormErrors::new()))
}

/// Changes it.
pub(super) async fn save(
    State(web): State<Web>,
    entered: Entered<WriteBusiness>,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let here = here(&entered);
    let mut errors = FormErrors::new();
    let Some(settings) = fields.read(&entered, &mut errors) else {
        let settings = web.app.checkout().get(&entered.tenant).await;
        let settings = settings.map_err(|error| entered.refused(error, &here))?;
        return Ok(draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, settings.accent, fields, errors));
    };
    match web.app.checkout().save(&entered.context, &entered.tenant, &settings).await {
        Ok(()) => Ok(entered.frame.done(&here, message!("flash-checkout-saved"), "")),
        Err(error) => Err(entered.refused_form(&web, error, &here, &fields).await),
    }
}
