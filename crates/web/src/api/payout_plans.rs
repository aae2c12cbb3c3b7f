//! `/v1/payout_plans`: what it takes to move money to the payout addresses of the business.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use trousseau_service::CollectFilter;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::authority::{Granted, PaymentsRead};
use crate::problem::Failure;
use crate::query::{Query, about_query};
use crate::router::Web;
use crate::wire::List;
use crate::wire::payout_plans::PayoutPlanBody;

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which plans are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlanParameters {
    /// Only that of this network: its id (CAIP-2), its short name or its name in the settings.
    #[param(example = "base")]
    network: Option<String>,
}

/// Plan payouts
///
/// One plan for each network that is watched: the unsigned transactions that move what lies at deposit addresses of the
/// business and environment of the key to the payout addresses that they were made for. Anybody may sign and send them;
/// nothing can be moved anywhere else. The nodes are asked for the balances now, so that a plan is empty once everything
/// was collected.
#[utoipa::path(
    get,
    path = "/v1/payout_plans",
    operation_id = "list_payout_plans",
    tag = "Payments",
    params(
        PlanParameters,
    ),
    responses((status = 200, description = "The plans, network by network", body = List<PayoutPlanBody>)),
    security(
        ("apikey" = ["payments:read"], "businessid" = []),
        ("basic" = ["payments:read"]),
        ("bearer" = ["payments:read"]),
        ("x-api-key" = ["payments:read"]),
    )
)]
pub(crate) async fn list(
    may: Granted<PaymentsRead>,
    State(web): State<Web>,
    Query(given): Query<PlanParameters>,
) -> Result<Answer<List<PayoutPlanBody>>, Failure> {
    let plans = web.app.payout_plans();
    let filter =
        CollectFilter { business: Some(may.tenant().business.clone()), environment: Some(may.tenant().environment) };
    let mut data = Vec::new();
    for network in plans.networks(Some(may.tenant().environment), given.network.as_deref()).map_err(about_query)? {
        data.push(PayoutPlanBody::from(&plans.plan(&network, &filter).await?));
    }
    Ok(Answer(List { data, has_more: false }))
}
