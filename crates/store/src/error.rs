//! What can go wrong between us and the database.

use std::fmt;

use sqlx::error::DatabaseError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is overloaded or cannot write now. Trying again later may work.
    #[error("the database is not available: {reason}")]
    Unavailable {
        /// What is missing.
        reason: Unavailability,
        /// What the driver said, if it said anything.
        #[source]
        source: Option<Box<sqlx::Error>>,
    },
    /// A row of the same identity is already there.
    #[error("a row with the same {constraint} is already there")]
    Unique {
        /// Which rule refused.
        constraint: UniqueRule,
        /// What the driver said.
        #[source]
        source: Box<sqlx::Error>,
    },
    /// A row of ours cannot be read back: a bug, or a damaged file.
    #[error("row {id} of table {table} cannot be read back")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// The row's own id, or what could be read of it.
        id: String,
        /// Which column, and why.
        #[source]
        source: BadColumn,
    },
    /// The schema is not the one that this program works on.
    #[error("the schema of the database does not fit this program")]
    Schema(#[from] SchemaError),
    /// The database's address cannot be used.
    #[error("the database address cannot be used: {0}")]
    Address(&'static str),
    /// Anything else that the database refused: a bug.
    #[error("the database refused a statement")]
    Other(#[source] Box<sqlx::Error>),
}

/// Why the database is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailability {
    /// No connection, or a lost one.
    Connection,
    /// No connection was free, or no answer came in time.
    Timeout,
    /// Somebody else holds the lock.
    Locked,
    /// The disk is full or cannot be written or read.
    Disk,
    /// The file of the database is not there, or not for us to open.
    NoFile,
    /// The database only answers reads.
    ReadOnly,
    /// Too many wait for it already.
    Busy,
    /// What was done in the same transaction failed, and all of it was undone.
    Undone,
}

impl fmt::Display for Unavailability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connection => "no connection",
            Self::Timeout => "no answer in time",
            Self::Locked => "locked by another process",
            Self::Disk => "the disk is full or fails",
            Self::NoFile => "its file cannot be opened: it may not be there, or not be readable for this user",
            Self::ReadOnly => "it only answers reads",
            Self::Busy => "too many wait for it",
            Self::Undone => "the transaction was undone together with others in it",
        })
    }
}

/// The unique constraints of the schema that a caller may act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UniqueRule {
    /// A business id.
    Business,
    /// A key's id.
    Key,
    /// A key's number within its tenant.
    KeyNumber,
    /// A key's external reference within its business.
    ExternalReference,
    /// A version's number within its key.
    KeyVersion,
    /// The digest of a key's value: this very value is known already.
    Digest,
    /// The digest of a platform key's value.
    PlatformDigest,
    /// The address of an account.
    AccountEmail,
    /// A passkey, by what its authenticator calls it.
    Passkey,
    /// Another one, by the engine's name for it.
    Other(String),
}

impl fmt::Display for UniqueRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Business => "business id",
            Self::Key => "key id",
            Self::KeyNumber => "key number",
            Self::ExternalReference => "external reference",
            Self::KeyVersion => "key version",
            Self::Digest => "key value",
            Self::PlatformDigest => "platform key value",
            Self::AccountEmail => "account address",
            Self::Passkey => "passkey",
            Self::Other(name) => name,
        })
    }
}

/// Why a schema does not fit.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer release has been here.
    #[error("the database has schema {found}, this program knows {known} at most: use the newer release")]
    Newer {
        /// The database's.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Migrations are missing, and this command only checks.
    #[error("the database has schema {found}, this program needs {known}: start the server once to migrate it")]
    Older {
        /// The database's; 0 where there is none.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A migration of another origin.
    #[error("the database holds migration {0}, which this program does not know")]
    Unknown(i64),
    /// A migration whose text was not ours.
    #[error("migration {0} was applied with another text than ours")]
    Modified(i64),
    /// A migration that stopped half way.
    #[error("migration {0} was applied in part")]
    Dirty(i64),
    /// Tables that its migrations have made are not there.
    #[error("it lacks {0}: dropped, renamed, or in a schema that its search path does not name first")]
    Missing(String),
    /// Tables that the role of the address may not read.
    #[error("this role may not read {0}: GRANT SELECT ON {0} TO it")]
    Unreadable(String),
    /// A migration failed and was rolled back.
    #[error("the schema cannot be migrated")]
    Failed(#[source] Box<sqlx::migrate::MigrateError>),
}

/// A column that does not hold what we write into it.
#[derive(Debug, thiserror::Error)]
#[error("column {column} cannot be read")]
pub struct BadColumn {
    /// The column's name in the answer.
    pub column: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// An answer that did not come in time.
    pub(crate) const fn timeout() -> Self {
        Self::Unavailable { reason: Unavailability::Timeout, source: None }
    }

    /// Whether trying again later may help.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether PostgreSQL, or what speaks its protocol, does not have a function, or not for us: `undefined_function`,
    /// `feature_not_supported` and `insufficient_privilege`.
    pub(crate) fn is_of_function(&self) -> bool {
        let Self::Other(error) = self else { return false };
        let code = error.as_database_error().and_then(DatabaseError::code);
        code.is_some_and(|code| matches!(&*code, "42883" | "0A000" | "42501"))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let reason = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::Protocol(_) => Some(Unavailability::Connection),
            sqlx::Error::PoolTimedOut => Some(Unavailability::Timeout),
            sqlx::Error::Database(inner) => {
                if let Some(constraint) = unique_rule(inner.as_ref()) {
                    return Self::Unique { constraint, source: Box::new(error) };
                }
                unavailability(inner.as_ref())
            }
            _ => None,
        };
        match reason {
            Some(reason) => Self::Unavailable { reason, source: Some(Box::new(error)) },
            None => Self::Other(Box::new(error)),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OperationInterrupted, SystemIoFailure,
        };
        let reason = match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Some(Unavailability::Locked),
            Some(SystemIoFailure | DiskFull) => Some(Unavailability::Disk),
            Some(CannotOpen) => Some(Unavailability::NoFile),
            Some(OperationInterrupted) => Some(Unavailability::Timeout),
            _ => None,
        };
        let source = Box::new(sqlx::Error::AnyDriverError(error.into()));
        match reason {
            Some(reason) => Self::Unavailable { reason, source: Some(source) },
            None => Self::Other(source),
        }
    }
}

/// SQLite's primary result codes (sqlite.org/rescode.html) and PostgreSQL's SQLSTATE (its appendix A) that pass by themselves.
fn unavailability(error: &dyn DatabaseError) -> Option<Unavailability> {
    let code = error.code()?;
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return match code.parse::<i32>().ok()? & 0xff {
            5 | 6 => Some(Unavailability::Locked),
            8 => Some(Unavailability::ReadOnly),
            10 | 13 => Some(Unavailability::Disk),
            14 => Some(Unavailability::NoFile),
            _ => None,
        };
    }
    match &*code {
        "55P03" | "40001" | "40P01" => Some(Unavailability::Locked),
        "57014" | "25P03" | "25P04" => Some(Unavailability::Timeout),
        "25006" => Some(Unavailability::ReadOnly),
        "53100" | "58030" => Some(Unavailability::Disk),
        other if other.starts_with("53") || ends_connection(other) => Some(Unavailability::Connection),
        _ => None,
    }
}

/// Whether PostgreSQL ends a connection with this SQLSTATE (*operator intervention*), or a pooler in front of it does
/// (*connection exception*).
pub(crate) fn ends_connection(code: &str) -> bool {
    code.starts_with("57P") || code.starts_with("08")
}

/// One name for a constraint: PostgreSQL tells its name, SQLite its columns.
fn unique_rule(error: &dyn DatabaseError) -> Option<UniqueRule> {
    if !error.is_unique_violation() {
        return None;
    }
    let name = error
        .constraint()
        .or_else(|| error.message().strip_prefix("UNIQUE constraint failed: "))
        .unwrap_or_else(|| error.message());
    Some(match name {
        "businesses_pkey" | "businesses.id" => UniqueRule::Business,
        "keys_pkey" | "keys.id" => UniqueRule::Key,
        "keys_number" | "keys.business_id, keys.environment, keys.number" => UniqueRule::KeyNumber,
        "keys_external_reference" | "keys.business_id, keys.external_reference" => UniqueRule::ExternalReference,
        "key_versions_pkey" | "key_versions.key_id, key_versions.version" => UniqueRule::KeyVersion,
        "key_versions_digest" | "key_versions.digest" => UniqueRule::Digest,
        "platform_keys_digest" | "platform_keys.digest" => UniqueRule::PlatformDigest,
        "accounts_email" | "accounts.email" => UniqueRule::AccountEmail,
        "passkeys_credential" | "passkeys.credential_id" => UniqueRule::Passkey,
        other => UniqueRule::Other(other.to_owned()),
    })
}
