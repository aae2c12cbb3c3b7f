//! Lists of keys: filters, orders and paging.

use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::KeyId;
use trousseau_domain::keys::{KeyKind, KeyState, KeyStatus};
use trousseau_domain::scope::ScopeSet;
use trousseau_domain::text::SearchText;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::Reader;
use crate::keys::KeyRow;
use crate::stmt::{Stmt, pattern, push_literally};

/// Which keys of a tenant a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Of this kind only.
    pub kind: Option<KeyKind>,
    /// With the switch in this position only.
    pub state: Option<KeyState>,
    /// With this derived status only.
    pub status: Option<KeyStatus>,
    /// With this text in the name, the external reference or the last three characters. Case does not matter for
    /// ASCII letters.
    pub search: Option<SearchText>,
    /// Lacking one of these scopes only.
    pub lacking: Option<ScopeSet>,
    /// Revoked keys too; asking for the status `revoked` implies it.
    pub include_revoked: bool,
}

/// In which order. Keys that are equal in it follow by number, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrder {
    /// By number: the order of creation.
    NumberAsc,
    /// By number, the newest first.
    NumberDesc,
    /// By the begin of validity.
    ValidFromAsc,
    /// By the begin of validity, the latest first.
    ValidFromDesc,
    /// By the end of validity; keys without one come last.
    ValidUntilAsc,
    /// By the end of validity; keys without one come first.
    ValidUntilDesc,
    /// By name, without regard to the case of ASCII letters; keys without one come first.
    NameAsc,
    /// By name backwards.
    NameDesc,
    /// By last use; keys never used come first.
    LastUsedAsc,
    /// By last use, the latest first.
    LastUsedDesc,
}

// The status as `Key::status` in the domain derives it; a test compares the two.
macro_rules! matching {
    () => {
        "k.business_id = $1 AND k.environment = $2 AND (CAST($3 AS TEXT) IS NULL OR k.kind = $3) \
         AND (CAST($4 AS TEXT) IS NULL OR k.state = $4) \
         AND (CAST($5 AS TEXT) IS NULL OR $5 = CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked' \
         WHEN k.state = 'inactive' THEN 'inactive' WHEN k.valid_until <= $6 THEN 'expired' \
         WHEN k.valid_from > $6 THEN 'scheduled' ELSE 'active' END) \
         AND (CAST($7 AS BIGINT) = 1 OR k.revoked_at IS NULL) \
         AND (CAST($8 AS TEXT) IS NULL OR LOWER(k.name) LIKE $8 ESCAPE '!' \
         OR LOWER(k.external_reference) LIKE $8 ESCAPE '!' OR LOWER(k.last_three) LIKE $8 ESCAPE '!') \
         AND (CAST($9 AS TEXT) IS NULL OR k.scopes NOT LIKE $9 ESCAPE '!')"
    };
}

macro_rules! list {
    ($row:literal, $after:literal, $later:literal, $direction:literal) => {
        concat!(
            "SELECT ",
            crate::keys::key_columns!(),
            " FROM keys k LEFT JOIN key_uses u ON u.key_id = k.id WHERE ",
            matching!(),
            " AND (CAST($10 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM keys a LEFT JOIN key_uses v ON v.key_id = a.id \
             WHERE a.id = $10 AND a.business_id = $1 AND a.environment = $2 AND (",
            $row,
            $later,
            $after,
            " OR (",
            $row,
            " = ",
            $after,
            " AND k.number < a.number)))) ORDER BY ",
            $row,
            $direction,
            ", k.number DESC LIMIT $11 OFFSET $12"
        )
    };
    (up $row:literal, $after:literal) => {
        list!($row, $after, " > ", " ASC")
    };
    (down $row:literal, $after:literal) => {
        list!($row, $after, " < ", " DESC")
    };
}

impl KeyOrder {
    const fn sql(self) -> &'static str {
        match self {
            Self::NumberAsc => list!(up "k.number", "a.number"),
            Self::NumberDesc => list!(down "k.number", "a.number"),
            Self::ValidFromAsc => list!(up "k.valid_from", "a.valid_from"),
            Self::ValidFromDesc => list!(down "k.valid_from", "a.valid_from"),
            Self::ValidUntilAsc => {
                list!(up "COALESCE(k.valid_until, 9223372036854775807)", "COALESCE(a.valid_until, 9223372036854775807)")
            }
            Self::ValidUntilDesc => {
                list!(down "COALESCE(k.valid_until, 9223372036854775807)", "COALESCE(a.valid_until, 9223372036854775807)")
            }
            Self::NameAsc => list!(up "LOWER(COALESCE(k.name, ''))", "LOWER(COALESCE(a.name, ''))"),
            Self::NameDesc => {
                list!(down "LOWER(COALESCE(k.name, ''))", "LOWER(COALESCE(a.name, ''))")
            }
            Self::LastUsedAsc => {
                list!(up "COALESCE(u.last_used_at, -9223372036854775807)", "COALESCE(v.last_used_at, -9223372036854775807)")
            }
            Self::LastUsedDesc => {
                list!(down "COALESCE(u.last_used_at, -9223372036854775807)", "COALESCE(v.last_used_at, -9223372036854775807)")
            }
        }
    }
}

/// A pattern of the documents that hold all of these scopes: a set is written in the order of its entries.
fn holding(scopes: &ScopeSet) -> String {
    let mut pattern = String::from("%");
    for scope in scopes.iter() {
        pattern.push('"');
        push_literally(&mut pattern, scope.as_str());
        pattern.push_str("\"%");
    }
    pattern
}

fn filtered(sql: &'static str, tenant: &Tenant, filter: &KeyFilter, now: Timestamp) -> Stmt {
    let revoked_too = filter.include_revoked || filter.status == Some(KeyStatus::Revoked);
    Stmt::new(sql)
        .text(&tenant.business)
        .text(tenant.environment)
        .opt_text(filter.kind.map(KeyKind::as_str))
        .opt_text(filter.state.map(KeyState::as_str))
        .opt_text(filter.status.map(KeyStatus::as_str))
        .time(now)
        .int(i64::from(revoked_too))
        .opt_text(filter.search.as_ref().map(|text| pattern(text.as_str())))
        .opt_text(filter.lacking.as_ref().map(holding))
}

impl Reader<'_> {
    /// The tenant's keys that match, those after `after` in this order; at most `limit`.
    ///
    /// An `after` that is no key of the tenant gives an empty list.
    pub async fn list_keys(
        &mut self,
        tenant: &Tenant,
        filter: &KeyFilter,
        order: KeyOrder,
        now: Timestamp,
        after: Option<KeyId>,
        limit: u32,
    ) -> Result<Vec<KeyRow>, StoreError> {
        let stmt = filtered(order.sql(), tenant, filter, now).opt_text(after).int(i64::from(limit)).int(0);
        self.fetch_all(stmt).await?.iter().map(KeyRow::from_row).collect()
    }

    /// One numbered page of the tenant's keys that match, and how many match in all.
    pub async fn list_keys_page(
        &mut self,
        tenant: &Tenant,
        filter: &KeyFilter,
        order: KeyOrder,
        now: Timestamp,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<KeyRow>, u64), StoreError> {
        const TOTAL: &str = concat!("SELECT COUNT(*) AS total FROM keys k WHERE ", matching!());
        let total = self
            .fetch_one(filtered(TOTAL, tenant, filter, now))
            .await?
            .read("keys", "total", |row| row.number::<u64>("total"))?;
        let Ok(offset) = i64::try_from(offset) else {
            return Ok((Vec::new(), total));
        };
        let stmt = filtered(order.sql(), tenant, filter, now).opt_text(None::<KeyId>).int(i64::from(limit)).int(offset);
        let keys = self.fetch_all(stmt).await?.iter().map(KeyRow::from_row).collect::<Result<_, _>>()?;
        Ok((keys, total))
    }
}
