//! Many rows in one statement: they travel as one JSON document and are taken apart by the database.
//!
//! Both engines can do it, each in its own words; a statement per row would wait once per row.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use trousseau_domain::time::Timestamp;

use crate::error::StoreError;
use crate::exec::Tx;
use crate::schema::Engine;
use crate::stmt::Stmt;

/// What a column holds; the schema knows no other type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Text,
    Int,
    Bytes,
}

/// A column by its name.
pub(crate) type Column<'a> = (&'a str, ColumnType);

/// Rows of one table on their way into it.
pub(crate) struct Bulk<'a> {
    table: &'a str,
    columns: &'a [Column<'a>],
    /// The database numbers such a column itself; a row that is restored brings its number along.
    numbered: bool,
    rows: Vec<Value>,
}

impl<'a> Bulk<'a> {
    /// For a table and columns of our own schema.
    pub(crate) const fn new(table: &'a str, columns: &'a [Column<'a>]) -> Self {
        Self { table, columns, numbered: false, rows: Vec::new() }
    }

    /// The same for rows that bring along the numbers which the database would give.
    pub(crate) const fn with_numbers(mut self) -> Self {
        self.numbered = true;
        self
    }

    /// Adds a row, its cells in the order of the columns; bytes as hexadecimal digits.
    pub(crate) fn push(&mut self, row: Vec<Value>) {
        debug_assert_eq!(row.len(), self.columns.len(), "{}", self.table);
        self.rows.push(Value::Array(row));
    }

    fn sql(&self, engine: Engine) -> String {
        let mut names = String::new();
        let mut cells = String::new();
        for (place, (name, kind)) in self.columns.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let written = write!(names, "{comma}{name}").and_then(|()| match (engine, kind) {
                (Engine::Sqlite, ColumnType::Text | ColumnType::Int) => write!(cells, "{comma}r.value ->> {place}"),
                (Engine::Sqlite, ColumnType::Bytes) => write!(cells, "{comma}unhex(r.value ->> {place})"),
                (Engine::Postgres, ColumnType::Text) => write!(cells, "{comma}r.cells ->> {place}"),
                (Engine::Postgres, ColumnType::Int) => write!(cells, "{comma}CAST(r.cells ->> {place} AS BIGINT)"),
                (Engine::Postgres, ColumnType::Bytes) => write!(cells, "{comma}decode(r.cells ->> {place}, 'hex')"),
            });
            written.expect("a text takes what is written to it");
        }
        let table = self.table;
        match engine {
            Engine::Sqlite => format!("INSERT INTO {table} ({names}) SELECT {cells} FROM json_each($1) AS r"),
            Engine::Postgres => {
                let system = if self.numbered { " OVERRIDING SYSTEM VALUE" } else { "" };
                format!(
                    "INSERT INTO {table} ({names}){system} SELECT {cells} FROM \
                     jsonb_array_elements(CAST($1 AS JSONB)) WITH ORDINALITY AS r (cells, place) ORDER BY r.place"
                )
            }
        }
    }
}

/// Bytes as a cell.
pub(crate) fn bytes(bytes: &[u8]) -> Value {
    Value::String(hex(bytes))
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// A document as the text that a cell holds.
pub(crate) fn json(value: &impl Serialize) -> Value {
    Value::String(serde_json::to_string(value).expect("our documents have text keys and cannot fail"))
}

/// An instant as a cell.
pub(crate) fn time(at: Timestamp) -> Value {
    at.as_micros().into()
}

/// A text as a cell.
pub(crate) fn text(value: impl std::fmt::Display) -> Value {
    Value::String(value.to_string())
}

/// What may be missing, as a cell.
pub(crate) fn opt<T>(value: Option<T>, cell: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::Null, cell)
}

impl Tx {
    /// Which engine this transaction is on.
    pub(crate) const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) | Self::SqliteReader(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Adds all rows, or none.
    pub(crate) async fn insert_bulk(&mut self, bulk: Bulk<'_>) -> Result<(), StoreError> {
        if bulk.rows.is_empty() {
            return Ok(());
        }
        let stmt = Stmt::assembled(bulk.sql(self.engine()));
        self.execute(stmt.json(&Value::Array(bulk.rows))).await?;
        Ok(())
    }
}
