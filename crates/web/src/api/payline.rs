//! Payline's key administration, for platform keys, and `GET /v1/checkout/alive`.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::BusinessId;
use trousseau_domain::keys::{KeyKind, KeyState, KeyStatus};
use trousseau_domain::profile::Profile;
use trousseau_domain::time::{Day, InvalidTime, TimeZone, Timestamp};
use trousseau_service::idempotency::Answered;
use trousseau_service::keys::{IssuedKey, KeyChange, KeyDraft, KeyHandle, KeyView};
use trousseau_service::{BusinessRow, KeyFilter, KeyOrder, ServiceError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::{json, replay_plainly, respond, stored};
use crate::authority::{AnyBackend, Granted, Manage, PlatformGranted};
use crate::body::{Json, JsonOrEmpty};
use crate::idempotency::Repeatable;
use crate::path::Path;
use crate::problem::{Failure, Faults, Kind};
use crate::query::{Query, parameter};
use crate::router::Web;
use crate::wire::payline::{
    AliveBody, ChangeBody, ChangeParts, ItemBody, ItemWithValueBody, ListParameters, NewBody, NewParts, PageBody,
    PageParts, Sort,
};

pub(crate) fn routes() -> OpenApiRouter<Web> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update)).routes(routes!(alive))
}

/// Which set of keys is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvironmentParameter {
    environment: Option<String>,
}

/// A merchant in one environment.
struct Merchant {
    business: BusinessRow,
    tenant: Tenant,
}

async fn merchant(web: &Web, id: BusinessId, environment: Option<&str>) -> Result<Merchant, Failure> {
    let environment = parameter("environment", environment)?.unwrap_or(Environment::Test);
    let business = web.app.businesses().get(&id).await?;
    Ok(Merchant { business, tenant: Tenant::new(id, environment) })
}

fn number(text: &str) -> Result<KeyHandle, Failure> {
    text.parse().map(KeyHandle::Number).map_err(|_| Failure::new(Kind::NotFound))
}

fn item_of(view: &KeyView, zone: &TimeZone) -> ItemBody {
    let key = &view.key;
    ItemBody {
        id: key.number,
        external_reference: key.external_reference.clone(),
        masked_value: Profile::mask(&key.mask_prefix, &key.last_three),
        start_date: zone.day_of(key.valid_from).to_string(),
        end_date: key.valid_until.map(|end| zone.last_day_before(end).to_string()),
        state: key.state.into(),
        in_force: view.status == KeyStatus::Active,
    }
}

fn issued_of(issued: &IssuedKey, zone: &TimeZone) -> ItemWithValueBody {
    ItemWithValueBody {
        item: item_of(&issued.view, zone),
        value: Some(issued.value.expose().to_owned()),
        authorization: Some(issued.authorization.as_str().to_owned()),
    }
}

/// What the service says of instants, in the words of these routes: days, the last one included.
fn about_days(error: ServiceError) -> Failure {
    let ServiceError::Invalid(mut problems) = error else { return error.into() };
    for problem in &mut problems {
        match problem.field {
            "valid_from" => problem.field = "startDate",
            "valid_until" => {
                problem.field = "endDate";
                "must not be before startDate".clone_into(&mut problem.message);
            }
            _ => {}
        }
    }
    ServiceError::Invalid(problems).into()
}

/// The instant that a day stands for, or a note.
fn instant(
    pointer: &str,
    day: Option<Day>,
    faults: &mut Faults,
    read: impl Fn(Day) -> Result<Timestamp, InvalidTime>,
) -> Option<Timestamp> {
    day.and_then(|day| faults.read(pointer, read(day)))
}

/// List a merchant's keys
///
/// Page 1 of ten keys, the latest first day first, unless asked for otherwise.
#[utoipa::path(
    get,
    path = "/v1/merchants/{merchantId}/keys",
    operation_id = "list_merchant_keys",
    tag = "Payline",
    params(("merchantId" = String, Path, description = "The id of the merchant", example = "17616983000123"), ListParameters),
    responses((status = 200, description = "One page of the keys", body = PageBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn list(
    _may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path(id): Path<BusinessId>,
    Query(given): Query<ListParameters>,
) -> Result<Answer<PageBody>, Failure> {
    let parts = PageParts::try_from(&given)?;
    let merchant = merchant(&web, id, given.environment.as_deref()).await?;
    let order = match parts.sort {
        Sort::StartDate => KeyOrder::ValidFromAsc,
        Sort::StartDateDescending => KeyOrder::ValidFromDesc,
        Sort::Id => KeyOrder::NumberAsc,
        Sort::IdDescending => KeyOrder::NumberDesc,
    };
    let offset = u64::from(parts.page - 1) * u64::from(parts.page_size);
    let filter = KeyFilter::default();
    let page = web.app.keys().list_counted(&merchant.tenant, &filter, order, offset, parts.page_size).await?;
    let zone = &merchant.business.time_zone;
    Ok(Answer(PageBody {
        items: page.data.iter().map(|view| item_of(view, zone)).collect(),
        total: page.total,
        page: parts.page,
        page_size: parts.page_size,
    }))
}

/// Make a key for a merchant
///
/// Whole days in the merchant's time zone, the last one included. At most fifty keys; the next is a 409.
#[utoipa::path(
    post,
    path = "/v1/merchants/{merchantId}/keys",
    operation_id = "create_merchant_key",
    tag = "Payline",
    params(("merchantId" = String, Path, description = "The id of the merchant", example = "17616983000123"), ("environment" = Option<String>, Query, description = "`test` (unless given) or `live`", example = "test"), ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same request again gives the same answer for 24 hours", max_length = 255)),
    request_body(content = Option<NewBody>),
    responses((status = 201, description = "The key, with its value", body = ItemWithValueBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn create(
    may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path(id): Path<BusinessId>,
    Query(given): Query<EnvironmentParameter>,
    repeatable: Repeatable,
    body: JsonOrEmpty<NewBody>,
) -> Result<Response, Failure> {
    let merchant = merchant(&web, id, given.environment.as_deref()).await?;
    let zone = &merchant.business.time_zone;
    let parts = NewParts::try_from(body.value)?;
    let mut faults = Faults::new();
    let start = parts.start.unwrap_or_else(|| zone.day_of(web.app.now()));
    let draft = KeyDraft {
        state: parts.state.into(),
        valid_from: instant("/startDate", Some(start), &mut faults, |day| zone.start_of(day)),
        valid_until: instant("/endDate", parts.end, &mut faults, |day| zone.end_of(day)),
        ..KeyDraft::new(KeyKind::Secret)
    };
    faults.finish()?;
    let render = |issued: &IssuedKey| stored(201, json(&issued_of(issued, zone)), vec![issued.refill()]);
    let repeated = repeatable.of(&may.whose(), &body.bytes, &render);
    match web.app.keys().create(may.context(), &merchant.tenant, &draft, repeated.as_ref()).await.map_err(about_days)? {
        Answered::Done(issued) => Ok(respond(201, &json(&issued_of(&issued, zone)))),
        Answered::Replayed(earlier) => replay_plainly(&web, may.context(), earlier).await,
    }
}

/// Read a merchant's key
///
/// With its value in `test` only.
#[utoipa::path(
    get,
    path = "/v1/merchants/{merchantId}/keys/{key}",
    operation_id = "get_merchant_key",
    tag = "Payline",
    params(("merchantId" = String, Path, description = "The id of the merchant", example = "17616983000123"), ("key" = u32, Path, description = "The number of the key", example = 1, minimum = 1), ("environment" = Option<String>, Query, description = "`test` (unless given) or `live`", example = "test")),
    responses((status = 200, description = "The key", body = ItemWithValueBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn get(
    may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path((id, key)): Path<(BusinessId, String)>,
    Query(given): Query<EnvironmentParameter>,
) -> Result<Answer<ItemWithValueBody>, Failure> {
    let merchant = merchant(&web, id, given.environment.as_deref()).await?;
    let view = web.app.keys().get(&merchant.tenant, number(&key)?).await?;
    let opened = match merchant.tenant.environment {
        Environment::Test => web.app.keys().readable_value(may.context(), &merchant.tenant, view.key.id).await?,
        Environment::Live => None,
    };
    let (value, authorization) =
        opened.map(|opened| (opened.value.expose().to_owned(), opened.authorization.as_str().to_owned())).unzip();
    Ok(Answer(ItemWithValueBody { item: item_of(&view, &merchant.business.time_zone), value, authorization }))
}

/// Change a merchant's key
///
/// State and dates; `null` clears `endDate` only.
#[utoipa::path(
    patch,
    path = "/v1/merchants/{merchantId}/keys/{key}",
    operation_id = "update_merchant_key",
    tag = "Payline",
    params(("merchantId" = String, Path, description = "The id of the merchant", example = "17616983000123"), ("key" = u32, Path, description = "The number of the key", example = 1, minimum = 1), ("environment" = Option<String>, Query, description = "`test` (unless given) or `live`", example = "test")),
    request_body = ChangeBody,
    responses((status = 200, description = "The key as it is now", body = ItemBody)),
    security(("platform" = ["manage"]))
)]
pub(crate) async fn update(
    may: PlatformGranted<Manage>,
    State(web): State<Web>,
    Path((id, key)): Path<(BusinessId, String)>,
    Query(given): Query<EnvironmentParameter>,
    body: Json<ChangeBody>,
) -> Result<Answer<ItemBody>, Failure> {
    let merchant = merchant(&web, id, given.environment.as_deref()).await?;
    let zone = &merchant.business.time_zone;
    let parts = ChangeParts::try_from(body.value)?;
    let mut faults = Faults::new();
    let change = KeyChange {
        state: parts.state.map(KeyState::from),
        valid_from: instant("/startDate", parts.start, &mut faults, |day| zone.start_of(day)),
        valid_until: parts.end.map(|end| instant("/endDate", end, &mut faults, |day| zone.end_of(day))),
        ..KeyChange::default()
    };
    faults.finish()?;
    let view =
        web.app.keys().update(may.context(), &merchant.tenant, number(&key)?, &change).await.map_err(about_days)?;
    Ok(Answer(item_of(&view, zone)))
}

/// Is the key good
///
/// The cheapest call with a key. Any good key may, from no browser.
#[utoipa::path(
    get,
    path = "/v1/checkout/alive",
    operation_id = "checkout_alive",
    tag = "Payline",
    responses((status = 200, description = "The key is good", body = AliveBody)),
    security(("apikey" = [], "businessid" = []), ("basic" = []), ("bearer" = []), ("x-api-key" = []))
)]
pub(crate) async fn alive(_may: Granted<AnyBackend>) -> Answer<AliveBody> {
    Answer(AliveBody::default())
}
