//! The request log: calls of a business's keys.

use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, KeyId, RequestId};
use trousseau_domain::requests::{Door, Outcome};
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::{Reader, Tx};
use crate::row::Row;
use crate::stmt::Stmt;

/// One call. Of what was sent it keeps no value: no body, no header, no variable part of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// The call's id.
    pub reference: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// The key's business, or the one named in the call.
    pub business: BusinessId,
    /// The environment, where it is known.
    pub environment: Option<Environment>,
    /// The key, where it is known.
    pub key_id: Option<KeyId>,
    /// Which of its values was presented.
    pub key_version: Option<u32>,
    /// Through which door it came.
    pub door: Door,
    /// Its method.
    pub method: String,
    /// Its route.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// How long the answer took, in microseconds.
    pub duration_us: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the key was refused or the call failed.
    pub code: Option<String>,
    /// The caller's address.
    pub address: Option<String>,
    /// The caller's program.
    pub client: Option<String>,
    /// The last characters of a value that no key has.
    pub last_three: Option<String>,
}

/// Which calls of a tenant a list shows; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only this one.
    pub reference: Option<RequestId>,
    /// With this key only.
    pub key: Option<KeyId>,
    /// From this address only.
    pub address: Option<String>,
    /// With this status only.
    pub status: Option<u16>,
    /// With this method only.
    pub method: Option<String>,
    /// On this route only.
    pub path: Option<String>,
    /// That ended like this only.
    pub outcome: Option<Outcome>,
    /// Not before this instant.
    pub from: Option<Timestamp>,
    /// Before this instant only.
    pub until: Option<Timestamp>,
}

macro_rules! columns {
    () => {
        "reference, at, business_id, environment, key_id, key_version, door, method, path, status, duration_us, \
         outcome, code, address, client, last_three"
    };
}

// One half of a list: the calls of one environment, or those whose environment nobody knows.
macro_rules! half {
    ($environment:literal, $lead:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM (SELECT ",
            columns!(),
            " FROM requests WHERE business_id = $1 AND environment",
            $environment,
            " AND at >= $3 AND at <= $4 AND (CAST($5 AS TEXT) IS NULL OR at < $4 OR reference < $5)",
            $lead,
            " AND (CAST($6 AS TEXT) IS NULL OR key_id = $6) AND (CAST($7 AS TEXT) IS NULL OR address = $7) \
             AND (CAST($8 AS BIGINT) IS NULL OR status = $8) AND (CAST($9 AS TEXT) IS NULL OR path = $9) \
             AND (CAST($10 AS TEXT) IS NULL OR outcome = $10) AND (CAST($11 AS TEXT) IS NULL OR method = $11) \
             AND (CAST($12 AS TEXT) IS NULL OR reference = $12) \
             ORDER BY at DESC, reference DESC LIMIT $13) AS half"
        )
    };
}

// What leads is said once more without a condition around it, so that both engines find its index.
macro_rules! list {
    ($lead:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM (",
            half!(" = $2", $lead),
            " UNION ALL ",
            half!(" IS NULL", $lead),
            ") AS both_halves ORDER BY at DESC, reference DESC LIMIT $13"
        )
    };
}

impl RequestFilter {
    /// The text that leads with the filter that leaves the fewest calls.
    const fn sql(&self) -> &'static str {
        if self.reference.is_some() {
            list!(" AND reference = $12")
        } else if self.key.is_some() {
            list!(" AND key_id = $6")
        } else if self.address.is_some() {
            list!(" AND address = $7")
        } else if self.path.is_some() {
            list!(" AND path = $9")
        } else if self.status.is_some() {
            list!(" AND status = $8")
        } else if self.outcome.is_some() {
            list!(" AND outcome = $10")
        } else {
            list!("")
        }
    }
}

impl RequestRow {
    fn from_row(row: &Row) -> Result<Self, StoreError> {
        row.read("requests", "reference", |row| {
            Ok(Self {
                reference: row.parsed("reference")?,
                at: row.time("at")?,
                business: row.parsed("business_id")?,
                environment: row.opt_parsed("environment")?,
                key_id: row.opt_parsed("key_id")?,
                key_version: row.opt_number("key_version")?,
                door: row.parsed("door")?,
                method: row.text("method")?,
                path: row.text("path")?,
                status: row.number("status")?,
                duration_us: row.number("duration_us")?,
                outcome: row.parsed("outcome")?,
                code: row.opt_text("code")?,
                address: row.opt_text("address")?,
                client: row.opt_text("client")?,
                last_three: row.opt_text("last_three")?,
            })
        })
    }
}

impl Reader<'_> {
    /// The tenant's calls that match, with those of its business whose environment nobody knows, newest first,
    /// those after `after` in this order; at most `limit`. An `after` that is no such call gives an empty list.
    pub async fn list_requests(
        &mut self,
        tenant: &Tenant,
        filter: &RequestFilter,
        after: Option<RequestId>,
        limit: u32,
    ) -> Result<Vec<RequestRow>, StoreError> {
        let mut last = filter.until.map_or(i64::MAX, |until| until.as_micros().saturating_sub(1));
        let mut before = None;
        if let Some(after) = after {
            let Some(cursor) = self.find_request(tenant, after).await? else {
                return Ok(Vec::new());
            };
            if cursor.at.as_micros() <= last {
                last = cursor.at.as_micros();
                before = Some(cursor.reference);
            }
        }
        let stmt = Stmt::new(filter.sql())
            .text(&tenant.business)
            .text(tenant.environment)
            .int(filter.from.map_or(i64::MIN, Timestamp::as_micros))
            .int(last)
            .opt_text(before)
            .opt_text(filter.key)
            .opt_text(filter.address.as_ref())
            .opt_int(filter.status.map(i64::from))
            .opt_text(filter.path.as_ref())
            .opt_text(filter.outcome)
            .opt_text(filter.method.as_ref())
            .opt_text(filter.reference)
            .int(i64::from(limit));
        self.fetch_all(stmt).await?.iter().map(RequestRow::from_row).collect()
    }

    /// The tenant's call of this id, or its business's where nobody knows the environment.
    pub async fn find_request(
        &mut self,
        tenant: &Tenant,
        reference: RequestId,
    ) -> Result<Option<RequestRow>, StoreError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM requests WHERE business_id = $1 AND (environment = $2 OR environment IS NULL) AND reference = $3"
        );
        let stmt = Stmt::new(SQL).text(&tenant.business).text(tenant.environment).text(reference);
        self.fetch_optional(stmt).await?.as_ref().map(RequestRow::from_row).transpose()
    }
}

impl Tx {
    /// Keeps calls. One whose business does not exist is dropped, as is one that is kept already.
    pub async fn insert_requests(&mut self, requests: &[RequestRow]) -> Result<u64, StoreError> {
        const SQL: &str = concat!(
            "INSERT INTO requests (",
            columns!(),
            ") SELECT $1, CAST($2 AS BIGINT), b.id, $4, $5, CAST($6 AS BIGINT), $7, $8, $9, CAST($10 AS BIGINT), \
             CAST($11 AS BIGINT), $12, $13, $14, $15, $16 FROM businesses b WHERE b.id = $3 \
             ON CONFLICT (reference) DO NOTHING"
        );
        let rows = requests.iter().map(|request| {
            Stmt::new(SQL)
                .text(request.reference)
                .time(request.at)
                .text(&request.business)
                .opt_text(request.environment)
                .opt_text(request.key_id)
                .opt_int(request.key_version.map(i64::from))
                .text(request.door)
                .text(&request.method)
                .text(&request.path)
                .int(i64::from(request.status))
                .int(i64::try_from(request.duration_us).unwrap_or(i64::MAX))
                .text(request.outcome)
                .opt_text(request.code.as_ref())
                .opt_text(request.address.as_ref())
                .opt_text(request.client.as_ref())
                .opt_text(request.last_three.as_ref())
        });
        self.execute_each(rows).await
    }

    /// Forgets calls before an instant, the oldest first, at most `limit`; returns how many.
    pub async fn prune_requests(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        const SQL: &str = "DELETE FROM requests WHERE reference IN \
                           (SELECT r.reference FROM requests r WHERE r.at < $1 ORDER BY r.at LIMIT $2)";
        self.execute(Stmt::new(SQL).time(before).int(i64::from(limit))).await
    }
}
