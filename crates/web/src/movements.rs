//! The file of movements, which the API and the pages give out alike.

use axum::response::Response;
use futures_util::stream;
use trousseau_domain::environment::Tenant;
use trousseau_service::payments::movements::Movement;
use trousseau_service::{MovementPlace, ServiceError, Span};

use crate::dashboard::csv::{Sheet, streamed};
use crate::router::Web;

/// Movements read at once.
const ROWS_PER_READ: u32 = 500;

/// How many columns there are.
const WIDTH: usize = 23;
/// What stands above the columns. New ones go to the end, so that what reads the file by place goes on reading it.
static COLUMNS: [&str; WIDTH] = [
    "type",
    "direction",
    "date",
    "business_id",
    "environment",
    "network",
    "asset",
    "currency",
    "amount",
    "base_units",
    "payment_id",
    "payable_type",
    "payable_id",
    "invoice_number",
    "title",
    "customer_reference",
    "transaction_hash",
    "log_index",
    "block",
    "from_as_seen",
    "status",
    "id",
    "to",
];

fn row(movement: &Movement) -> [String; WIDTH] {
    let Movement { row, status, asset, money } = movement;
    let payable = row.paid_for.map(trousseau_service::PaidFor::payable);
    let text = |value: Option<String>| value.unwrap_or_default();
    [
        row.kind.to_string(),
        row.kind.direction().to_string(),
        row.at.to_string(),
        row.tenant.business.to_string(),
        row.tenant.environment.to_string(),
        row.network.to_string(),
        text(asset.as_ref().map(ToString::to_string)),
        text(money.map(|money| money.asset().code().to_string())),
        text(money.map(|money| money.to_string())),
        row.amount.to_string(),
        text(row.payment.map(|(id, _)| id.to_string())),
        text(payable.map(|payable| payable.kind().to_string())),
        text(payable.map(|payable| payable.to_string())),
        text(row.number.map(|number| number.to_string())),
        text(row.title.clone()),
        text(row.customer_reference.clone()),
        row.transaction_hash.clone(),
        row.log_index.to_string(),
        row.block.to_string(),
        row.from.clone(),
        status.to_string(),
        row.id.clone(),
        row.to.clone(),
    ]
}

/// The movements of a span of time as a file, of which no more than a page is in memory at a time.
///
/// # Errors
/// What reading the first page ends in. A later one that fails breaks the answer off, so that nobody takes a part for
/// the whole.
pub(crate) async fn file(web: &Web, tenant: &Tenant, span: Span, sheet: Sheet) -> Result<Response, ServiceError> {
    let first = read(web, tenant, span, None).await?;
    let rest = (web.clone(), tenant.clone(), first.1);
    let rest = stream::try_unfold(rest, move |(web, tenant, next)| async move {
        let Some(after) = next else { return Ok(None) };
        let read = read(&web, &tenant, span, Some(&after)).await;
        let (rows, next) = read.inspect_err(|error| tracing::error!(%error, "a file of movements was broken off"))?;
        Ok(Some((rows, (web, tenant, next))))
    });
    let name = format!("movements-{}-{}.csv", tenant.business, tenant.environment);
    Ok(streamed(sheet, &COLUMNS, &name, &first.0, rest))
}

/// One page, and where the next one begins.
async fn read(
    web: &Web,
    tenant: &Tenant,
    span: Span,
    after: Option<&MovementPlace>,
) -> Result<(Vec<[String; WIDTH]>, Option<MovementPlace>), ServiceError> {
    let page = web.app.movements().list(tenant, span, after, ROWS_PER_READ).await?;
    let next = page.data.last().filter(|_| page.has_more).map(|last| last.row.place());
    Ok((page.data.iter().map(row).collect(), next))
}
