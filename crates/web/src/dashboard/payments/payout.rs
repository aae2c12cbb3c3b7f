//! Settings of payouts: where the LIVE money of each network goes.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::environment::Environment;
use trousseau_domain::members::Operation;
use trousseau_domain::networks::ChainId;
use trousseau_service::ServiceError;

use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Frame, Sub, Tab};
use crate::dashboard::kept::{Keepable, Kept};
use crate::dashboard::pay::called;
use crate::dashboard::session::{Entered, ReadBusiness, Stop, WriteBusiness};
use crate::dashboard::text::message;
use crate::router::Web;

/// What was typed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    network: String,
    address: String,
}

impl Keepable for Fields {}

/// A network that is watched.
#[derive(Debug)]
struct Place {
    id: String,
    name: String,
    /// Where its money goes, and since when.
    now: Option<(String, Shown)>,
    chosen: bool,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/payout.html")]
struct PayoutPage<'a> {
    frame: &'a Frame,
    errors: FormErrors,
    places: Vec<Place>,
    address: String,
    action: String,
    back: String,
    may_write: bool,
    live: bool,
}

fn at<P>(entered: &Entered<P>, path: &str) -> String {
    format!("/b/{}/{}{}{path}", entered.tenant.business, entered.tenant.environment, Sub::Checkout.path())
}

async fn draw<P>(
    web: &Web,
    entered: &Entered<P>,
    status: StatusCode,
    fields: Fields,
    errors: FormErrors,
) -> Result<Response, Stop> {
    let set = web.app.payout_addresses().list(&entered.tenant).await;
    let set = set.map_err(|error| entered.refused(error, &at(entered, "/payout")))?;
    let frame = entered.frame.clone().at(Tab::Settings, Some(Sub::Checkout));
    let place = |chain: ChainId| {
        let now = set.iter().find(|row| row.network == chain);
        Place {
            id: chain.to_string(),
            name: called(&chain),
            now: now.map(|row| (row.address.to_string(), frame.f.moment(row.set_at))),
            chosen: fields.network == chain.as_str(),
        }
    };
    let places = web.app.networks().health().into_iter().map(|(chain, _)| place(chain)).collect();
    let template = PayoutPage {
        places,
        address: fields.address.clone(),
        action: at(entered, "/payout"),
        back: at(entered, ""),
        may_write: entered.role.may(Operation::BusinessWrite),
        live: entered.tenant.environment == Environment::Live,
        frame: &frame,
        errors,
    };
    Ok(frame.page_with(status, &template))
}

/// Where the money goes.
pub(super) async fn show(
    entered: Entered<ReadBusiness>,
    State(web): State<Web>,
    Kept(kept): Kept<Fields>,
) -> Result<Response, Stop> {
    draw(&web, &entered, StatusCode::OK, kept.unwrap_or_default(), FormErrors::new()).await
}

/// Says where it goes from now on.
pub(super) async fn save(
    State(web): State<Web>,
    entered: Entered<WriteBusiness>,
    Form(fields): Form<Fields>,
) -> Result<Response, Stop> {
    let here = at(&entered, "/payout");
    let places = web.app.payout_addresses();
    match places.set(&entered.context, &entered.tenant, &fields.network, fields.address.trim()).await {
        Ok(row) => Ok(entered.frame.done(&here, message!("flash-payout-set"), &called(&row.network))),
        Err(ServiceError::Invalid(problems)) => {
            let mut errors = FormErrors::new();
            let t = entered.frame.t;
            for problem in problems {
                match problem.field {
                    "network" => errors.add("network", t.get("wrong-payout-network")),
                    _ => errors.add("address", t.get("wrong-payout-address")),
                }
            }
            draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, fields, errors).await
        }
        Err(error) => Err(entered.refused_form(&web, error, &here, &fields).await),
    }
}
