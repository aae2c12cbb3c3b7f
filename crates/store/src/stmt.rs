//! A statement with owned arguments, the same for both engines.

use std::fmt::Display;

use serde::Serialize;
use sqlx::encode::Encode;
use sqlx::{AssertSqlSafe, Database, SqlSafeStr as _, SqlStr, Type};
use trousseau_domain::money::Money;
use trousseau_domain::time::Timestamp;

/// A statement and its arguments, `$1` first.
#[derive(Debug, Clone)]
pub(crate) struct Stmt {
    sql: SqlStr,
    values: Vec<Value>,
}

#[derive(Debug, Clone)]
enum Value {
    Text(Option<String>),
    Int(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// Rows asked for in one statement.
pub(crate) const AT_ONCE: usize = 16;

impl Stmt {
    pub(crate) const fn new(sql: &'static str) -> Self {
        Self { sql: SqlStr::from_static(sql), values: Vec::new() }
    }

    /// A statement whose text is put together from names of our own schema, and from nothing that anybody sent.
    pub(crate) fn assembled(sql: String) -> Self {
        Self { sql: AssertSqlSafe(sql).into_sql_str(), values: Vec::new() }
    }

    fn with(mut self, value: Value) -> Self {
        self.values.push(value);
        self
    }

    pub(crate) fn text(self, value: impl Display) -> Self {
        self.with(Value::Text(Some(value.to_string())))
    }

    pub(crate) fn opt_text(self, value: Option<impl Display>) -> Self {
        self.with(Value::Text(value.map(|value| value.to_string())))
    }

    pub(crate) fn int(self, value: i64) -> Self {
        self.with(Value::Int(Some(value)))
    }

    pub(crate) fn opt_int(self, value: Option<i64>) -> Self {
        self.with(Value::Int(value))
    }

    pub(crate) fn time(self, value: Timestamp) -> Self {
        self.int(value.as_micros())
    }

    pub(crate) fn opt_time(self, value: Option<Timestamp>) -> Self {
        self.opt_int(value.map(Timestamp::as_micros))
    }

    pub(crate) fn bytes(self, value: impl Into<Vec<u8>>) -> Self {
        self.with(Value::Bytes(Some(value.into())))
    }

    pub(crate) fn opt_bytes(self, value: Option<impl Into<Vec<u8>>>) -> Self {
        self.with(Value::Bytes(value.map(Into::into)))
    }

    pub(crate) fn json(self, value: &impl Serialize) -> Self {
        self.text(serde_json::to_string(value).expect("our documents have text keys and cannot fail"))
    }

    pub(crate) fn opt_json(self, value: Option<&impl Serialize>) -> Self {
        match value {
            Some(value) => self.json(value),
            None => self.with(Value::Text(None)),
        }
    }

    /// Two arguments: the base units, and the asset.
    pub(crate) fn money(self, value: Money) -> Self {
        self.int(value.units()).text(value.asset())
    }

    /// [`AT_ONCE`] arguments, the first value again where there are fewer: one text looks up any number of them.
    pub(crate) fn several(self, values: &[impl Display]) -> Self {
        let first = values.first().expect("who asks for nothing need not ask");
        (0..AT_ONCE).fold(self, |stmt, index| stmt.text(values.get(index).unwrap_or(first)))
    }

    pub(crate) fn flag(self, value: bool) -> Self {
        self.int(i64::from(value))
    }

    /// Several statements as one text, for SQLite, which runs them one after the other: each finds its own arguments.
    pub(crate) fn joined(mut statements: Vec<Self>) -> Self {
        if statements.len() == 1
            && let Some(only) = statements.pop()
        {
            return only;
        }
        let mut sql = String::with_capacity(statements.iter().map(|stmt| stmt.sql.as_str().len() + 8).sum());
        let mut values = Vec::with_capacity(statements.iter().map(|stmt| stmt.values.len()).sum());
        for statement in statements {
            if !sql.is_empty() {
                sql.push_str("; ");
            }
            push_counting_on(&mut sql, statement.sql.as_str(), values.len());
            values.extend(statement.values);
        }
        Self { sql: AssertSqlSafe(sql).into_sql_str(), values }
    }

    /// The statement for one engine's driver.
    pub(crate) fn bind<DB>(self) -> sqlx::query::Query<'static, DB, DB::Arguments>
    where
        DB: Database,
        Option<String>: for<'q> Encode<'q, DB> + Type<DB>,
        Option<i64>: for<'q> Encode<'q, DB> + Type<DB>,
        Option<Vec<u8>>: for<'q> Encode<'q, DB> + Type<DB>,
    {
        self.values.into_iter().fold(sqlx::query::<DB>(self.sql), |query, value| match value {
            Value::Text(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    }
}

/// Adds a statement whose `$1` is the argument after the first `before`.
fn push_counting_on(text: &mut String, sql: &str, before: usize) {
    let mut rest = sql;
    while let Some((front, after)) = rest.split_once('$') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = after[..digits].parse().expect("a number follows each $ of our statements");
        text.push_str(front);
        text.push('$');
        text.push_str(&(number + before).to_string());
        rest = &after[digits..];
    }
    text.push_str(rest);
}

/// A pattern that finds `text` anywhere, its own wildcards taken as they are.
pub(crate) fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    push_literally(&mut pattern, text);
    pattern.push('%');
    pattern
}

/// A pattern that finds what begins with `text`: whoever looks for an id has its beginning, and any two digits stand in
/// the middle of many.
pub(crate) fn beginning(text: &str) -> String {
    let mut pattern = String::new();
    push_literally(&mut pattern, text);
    pattern.push('%');
    pattern
}

/// Adds a text to a pattern as it is: what would stand for anything stands for itself.
pub(crate) fn push_literally(pattern: &mut String, text: &str) {
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character.to_ascii_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_statements_find_their_own_arguments() {
        let first = Stmt::new("INSERT INTO a (x, y) VALUES ($1, $2)").int(1).int(2);
        let second = Stmt::new("UPDATE b SET x = $2 WHERE y = $1 OR x = $11").int(3).int(4);
        let joined = Stmt::joined(vec![Stmt::new("SAVEPOINT turn"), first, second]);
        assert_eq!(
            joined.sql.as_str(),
            "SAVEPOINT turn; INSERT INTO a (x, y) VALUES ($1, $2); UPDATE b SET x = $4 WHERE y = $3 OR x = $13"
        );
        assert_eq!(joined.values.len(), 4);
        assert_eq!(Stmt::joined(vec![Stmt::new("COMMIT")]).sql.as_str(), "COMMIT");
    }
}
