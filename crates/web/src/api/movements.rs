//! `/v1/movements`: every movement of money, as a file for whoever keeps the books.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::time::Day;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authority::{Granted, PaymentsRead};
use crate::dashboard::csv::Sheet;
use crate::movements::file;
use crate::problem::Failure;
use crate::query::{Query, about_query, parameter, range};
use crate::router::Web;

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(export))
}

/// Which movements are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MovementParameters {
    /// Only from this day on, in the time zone of the business.
    #[param(example = "2026-01-01", format = Date)]
    from: Option<String>,
    /// Only up to this day, which is included.
    #[param(example = "2026-01-31", format = Date)]
    to: Option<String>,
}

/// Export movements
///
/// One line for each movement of money, the oldest first, as comma-separated values (RFC 4180) with a head: what came
/// in, what was given back, and what the network took back. Amounts have no sign, `direction` says which way they went. Times are in UTC.
/// The file may be of any length and is written while it is read.
#[utoipa::path(
    get,
    path = "/v1/movements",
    operation_id = "export_movements",
    tag = "Payments",
    params(
        MovementParameters,
    ),
    responses((status = 200, description = "The file", content_type = "text/csv", body = String)),
    security(
        ("apikey" = ["payments:read"], "businessid" = []),
        ("basic" = ["payments:read"]),
        ("bearer" = ["payments:read"]),
        ("x-api-key" = ["payments:read"]),
    )
)]
pub(crate) async fn export(
    may: Granted<PaymentsRead>,
    State(web): State<Web>,
    Query(given): Query<MovementParameters>,
) -> Result<Response, Failure> {
    let from = parameter::<Day>("from", given.from.as_deref())?;
    let to = parameter::<Day>("to", given.to.as_deref())?;
    let (from, to) = range(("from", "to"), from, to)?;
    let span = web.app.movements().span(may.tenant(), from, to).await.map_err(about_query)?;
    Ok(file(&web, may.tenant(), span, Sheet::Program).await?)
}
