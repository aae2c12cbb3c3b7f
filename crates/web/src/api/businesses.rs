//! `/v1/businesses`, for platform keys.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use trousseau_domain::business::Language;
use trousseau_domain::ids::BusinessId;
use trousseau_service::BusinessRow;
use trousseau_service::businesses::{BusinessChange, BusinessDraft, CreatedBusiness, status_of};
use trousseau_service::idempotency::Answered;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::keys::limit;
use crate::answer::{json, replay, respond, stored};
use crate::authority::{Manage, PlatformGranted};
use crate::body::{Json, JsonOrEmpty};
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::Failure;
use crate::query::{NoQuery, Query, about_query, parameter};
use crate::router::Web;
use crate::wire::businesses::{
    BusinessBody, BusinessChangeBody, BusinessChangeParts, BusinessWithKeysBody, NewBusinessBody, NewBusinessParts,
};
use crate::wire::keys::KeyWithValueBody;
use crate::wire::limits::RateLimitBody;
use crate::wire::{List, Nothing};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(get, update))
        .routes(routes!(suspend))
        .routes(routes!(resume))
}

/// The parameters of a list of businesses.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// How many at most; 25 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Option<String>,
    /// Those after the business of this id.
    starting_after: Option<String>,
}

fn body_of(business: &BusinessRow) -> BusinessBody {
    BusinessBody {
        id: business.id.to_string(),
        name: business.name.as_str().to_owned(),
        profile: business.profile.clone(),
        time_zone: business.time_zone.name().to_owned(),
        language: business.language.parse().map_or("en", Language::as_str),
        rate_limits: business.limits.rates.as_slice().iter().copied().map(RateLimitBody::from).collect(),
        quota: business.limits.quota.into(),
        metadata: business.metadata.entries().clone(),
        status: status_of(business).as_str(),
        suspended_at: business.suspended_at.map(|at| at.to_string()),
        created_at: business.created_at.to_string(),
    }
}

fn created_body(created: &CreatedBusiness) -> Value {
    json(&BusinessWithKeysBody {
        business: body_of(&created.business),
        keys: created.keys.iter().map(KeyWithValueBody::from).collect(),
    })
}

/// List businesses
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/v1/businesses",
    operation_id = "list_businesses",
    tag = "Businesses",
    params(ListParameters),
    responses((status = 200, description = "One page of the businesses", body = List<BusinessBody>)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn list(
    _may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Query(given): Query<ListParameters>,
) -> Result<Answer<List<BusinessBody>>, Failure> {
    let after: Option<BusinessId> = parameter("starting_after", given.starting_after.as_deref())?;
    let limit = limit(given.limit.as_deref())?;
    let page = web.app.businesses().list(after.as_ref(), limit).await.map_err(about_query)?;
    Ok(Answer(List { data: page.data.iter().map(body_of).collect(), has_more: page.has_more }))
}

/// Make a business
///
/// With the first keys of its profile. LIVE values are in this answer and in no other, where the profile says so.
#[utoipa::path(
    post,
    path = "/v1/businesses",
    operation_id = "create_business",
    tag = "Businesses",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255)),
    request_body = NewBusinessBody,
    responses((status = 201, description = "The business and its first keys", body = BusinessWithKeysBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn create(
    may: PlatformGranted<Manage>,
    _query: NoQuery,
    State(web): State<Web>,
    repeatable: Repeatable,
    body: Json<NewBusinessBody>,
) -> Result<Response, Failure> {
    let parts = NewBusinessParts::try_from(body.value)?;
    let draft = BusinessDraft {
        name: parts.name,
        id: parts.id,
        profile: parts.profile,
        time_zone: parts.time_zone,
        language: parts.language.unwrap_or(Language::English),
        metadata: parts.metadata,
        invite: None,
    };
    let render = |created: &CreatedBusiness| {
        stored(
            201,
            created_body(created),
            created.keys.iter().map(trousseau_service::keys::IssuedKey::refill).collect(),
        )
    };
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.businesses().create(may.context(), &draft, repeated.as_ref()).await? {
        Answered::Done(created) => Ok(respond(201, &created_body(&created))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Read a business
#[utoipa::path(
    get,
    path = "/v1/businesses/{business_id}",
    operation_id = "get_business",
    tag = "Businesses",
    params(("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77")),
    responses((status = 200, description = "The business", body = BusinessBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn get(
    _may: PlatformGranted<Manage>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<BusinessId>,
) -> Result<Answer<BusinessBody>, Failure> {
    Ok(Answer(body_of(&web.app.businesses().get(&id).await?)))
}

/// Change a business
///
/// Absent members stay as they are. The profile is fixed once there are keys.
#[utoipa::path(
    patch,
    path = "/v1/businesses/{business_id}",
    operation_id = "update_business",
    tag = "Businesses",
    params(("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77")),
    request_body = BusinessChangeBody,
    responses((status = 200, description = "The business as it is now", body = BusinessBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn update(
    may: PlatformGranted<Manage>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<BusinessId>,
    body: Json<BusinessChangeBody>,
) -> Result<Answer<BusinessBody>, Failure> {
    let parts = BusinessChangeParts::try_from(body.value)?;
    let change = BusinessChange {
        name: parts.name,
        profile: parts.profile,
        time_zone: parts.time_zone,
        language: parts.language,
        rates: parts.rates,
        quota: parts.quota,
        metadata: parts.metadata,
    };
    Ok(Answer(body_of(&web.app.businesses().update(may.context(), &id, &change).await?)))
}

/// Suspend a business
///
/// Its keys are refused from now on. Suspending a suspended business changes nothing.
#[utoipa::path(
    post,
    path = "/v1/businesses/{business_id}/suspend",
    operation_id = "suspend_business",
    tag = "Businesses",
    params(("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77"), ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255)),
    responses((status = 200, description = "The business as it is now", body = BusinessBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn suspend(
    may: PlatformGranted<Manage>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<BusinessId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let render = |business: &BusinessRow| stored(200, json(&body_of(business)), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.businesses().suspend(may.context(), &id, repeated.as_ref()).await? {
        Answered::Done(business) => Ok(respond(200, &json(&body_of(&business)))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}

/// Resume a business
///
/// Its keys are accepted again. Resuming an open business changes nothing.
#[utoipa::path(
    post,
    path = "/v1/businesses/{business_id}/resume",
    operation_id = "resume_business",
    tag = "Businesses",
    params(("business_id" = String, Path, description = "The id of the business", example = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77"), ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255)),
    responses((status = 200, description = "The business as it is now", body = BusinessBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn resume(
    may: PlatformGranted<Manage>,
    _query: NoQuery,
    State(web): State<Web>,
    Path(id): Path<BusinessId>,
    repeatable: Repeatable,
    body: JsonOrEmpty<Nothing>,
) -> Result<Response, Failure> {
    let render = |business: &BusinessRow| stored(200, json(&body_of(business)), Vec::new());
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.businesses().resume(may.context(), &id, repeated.as_ref()).await? {
        Answered::Done(business) => Ok(respond(200, &json(&body_of(&business)))),
        Answered::Replayed(earlier) => replay(&web, may.context(), earlier).await,
    }
}
