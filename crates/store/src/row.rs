//! Rows of either engine, read by column name into domain types.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use trousseau_domain::environment::Tenant;
use trousseau_domain::money::Money;
use trousseau_domain::requests::UtcDay;
use trousseau_domain::time::Timestamp;

use crate::error::{BadColumn, StoreError};

/// A part of a column's text, read as what it is.
pub(crate) fn parsed<T>(text: &str, column: &'static str) -> Result<T, BadColumn>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|source: T::Err| BadColumn { column, source: source.into() })
}

/// The same of a document.
pub(crate) fn json<T: DeserializeOwned>(text: &str, column: &'static str) -> Result<T, BadColumn> {
    serde_json::from_str(text).map_err(|source| BadColumn { column, source: source.into() })
}

/// The instant that a number of microseconds is.
pub(crate) fn instant(micros: i64, column: &'static str) -> Result<Timestamp, BadColumn> {
    Timestamp::from_micros(micros).map_err(|source| BadColumn { column, source: source.into() })
}

/// One row of an answer, read by column name.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! get {
    ($self:expr, $column:expr) => {
        match $self {
            Row::Sqlite(row) => sqlx::Row::try_get(row, $column),
            Row::Postgres(row) => sqlx::Row::try_get(row, $column),
        }
        .map_err(|source| BadColumn { column: $column, source: source.into() })
    };
}

impl Row {
    pub(crate) fn sqlite(rows: Vec<SqliteRow>) -> Vec<Self> {
        rows.into_iter().map(Self::Sqlite).collect()
    }

    pub(crate) fn postgres(rows: Vec<PgRow>) -> Vec<Self> {
        rows.into_iter().map(Self::Postgres).collect()
    }

    /// Reads the row as a whole; a failure names the table and the row.
    pub(crate) fn read<T>(
        &self,
        table: &'static str,
        id_column: &'static str,
        build: impl FnOnce(&Self) -> Result<T, BadColumn>,
    ) -> Result<T, StoreError> {
        build(self).map_err(|source| {
            let id = self
                .text(id_column)
                .or_else(|_| self.int(id_column).map(|number| number.to_string()))
                .unwrap_or_else(|_| "?".to_owned());
            StoreError::CorruptRow { table, id, source }
        })
    }

    /// A text where it lies.
    pub(crate) fn str(&self, column: &'static str) -> Result<&str, BadColumn> {
        get!(self, column)
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, BadColumn> {
        get!(self, column)
    }

    pub(crate) fn opt_text(&self, column: &'static str) -> Result<Option<String>, BadColumn> {
        get!(self, column)
    }

    pub(crate) fn int(&self, column: &'static str) -> Result<i64, BadColumn> {
        get!(self, column)
    }

    pub(crate) fn opt_int(&self, column: &'static str) -> Result<Option<i64>, BadColumn> {
        get!(self, column)
    }

    pub(crate) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, BadColumn> {
        get!(self, column)
    }

    pub(crate) fn opt_bytes(&self, column: &'static str) -> Result<Option<Vec<u8>>, BadColumn> {
        get!(self, column)
    }

    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, BadColumn> {
        T::try_from(self.int(column)?).map_err(|_| BadColumn { column, source: "out of range".into() })
    }

    pub(crate) fn opt_number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<Option<T>, BadColumn> {
        self.opt_int(column)?
            .map(|number| T::try_from(number).map_err(|_| BadColumn { column, source: "out of range".into() }))
            .transpose()
    }

    pub(crate) fn day(&self, column: &'static str) -> Result<UtcDay, BadColumn> {
        UtcDay::from_number(self.int(column)?).map_err(|source| BadColumn { column, source: source.into() })
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, BadColumn> {
        instant(self.int(column)?, column)
    }

    pub(crate) fn opt_time(&self, column: &'static str) -> Result<Option<Timestamp>, BadColumn> {
        self.opt_int(column)?.map(|micros| instant(micros, column)).transpose()
    }

    pub(crate) fn parsed<T>(&self, column: &'static str) -> Result<T, BadColumn>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        parsed(&self.text(column)?, column)
    }

    pub(crate) fn opt_parsed<T>(&self, column: &'static str) -> Result<Option<T>, BadColumn>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        self.opt_text(column)?.map(|text| parsed(&text, column)).transpose()
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool, BadColumn> {
        Ok(self.int(column)? == 1)
    }

    pub(crate) fn money(&self, units: &'static str, asset: &'static str) -> Result<Money, BadColumn> {
        let (amount, asset) = (self.int(units)?, self.parsed(asset)?);
        Money::from_units(amount, asset).map_err(|source| BadColumn { column: units, source: source.into() })
    }

    /// The tenant in the columns `business_id` and `environment`.
    pub(crate) fn tenant(&self) -> Result<Tenant, BadColumn> {
        Ok(Tenant::new(self.parsed("business_id")?, self.parsed("environment")?))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, BadColumn> {
        json(&self.text(column)?, column)
    }

    pub(crate) fn opt_json<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, BadColumn> {
        self.opt_text(column)?.map(|text| json(&text, column)).transpose()
    }
}
