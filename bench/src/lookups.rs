//! Services as people write them with axum and sqlx, to measure next to Trousseau: each request is a query of a
//! database, for a key by the SHA-256 of its text, and its dates are checked. Nothing is counted or limited.

use std::net::SocketAddr;
use std::path::Path;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::net::TcpListener;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::keys::KeyKind;
use trousseau_domain::scope::ScopeCatalogue;
use trousseau_service::clock::{Clock as _, SystemClock};

const FIND: &str = "SELECT business_id, environment, kind, key_id, scopes, valid_until, revoked_at
    FROM bench_keys WHERE digest = $1";
/// Rows written by one statement.
const PER_STATEMENT: usize = 10_000;

/// What the keys may do, with blanks between: as many scopes as keys of Trousseau's own table have.
pub(crate) fn scopes() -> String {
    let scopes = ScopeCatalogue::default().default_for(KeyKind::Secret);
    scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A key that is good: its text, and whose it is.
pub(crate) struct Known {
    pub(crate) value: String,
    pub(crate) business: BusinessId,
}

type Row = (String, String, String, String, String, Option<i64>, Option<i64>);

#[derive(Serialize)]
struct Whoami<'a> {
    business_id: &'a str,
    environment: &'a str,
    kind: &'a str,
    key_id: &'a str,
    scopes: Vec<&'a str>,
}

/// Answers by queries of a database: an address of PostgreSQL, or a file of SQLite.
pub(crate) async fn serve(address: SocketAddr, database: &str) -> anyhow::Result<()> {
    let router = if database.starts_with("postgres") {
        let pool = PgPoolOptions::new().connect(database).await?;
        Router::new().route("/v1/whoami", get(by_postgres)).with_state(pool)
    } else {
        let options = SqliteConnectOptions::new().filename(database).read_only(true).pragma("mmap_size", "1073741824");
        // By default a pool tries a connection before each query. That of a file does not break.
        let pool = SqlitePoolOptions::new().test_before_acquire(false).connect_with(options).await?;
        Router::new().route("/v1/whoami", get(by_sqlite)).with_state(pool)
    };
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            // A client that goes away is none of our business here.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn by_sqlite(State(pool): State<SqlitePool>, headers: HeaderMap) -> Response {
    judge(sqlx::query_as(FIND).bind(presented(&headers)).fetch_optional(&pool).await, &headers)
}

async fn by_postgres(State(pool): State<PgPool>, headers: HeaderMap) -> Response {
    judge(sqlx::query_as(FIND).bind(presented(&headers)).fetch_optional(&pool).await, &headers)
}

/// The digest of what is presented as a key; of nothing, if nothing is.
fn presented(headers: &HeaderMap) -> Vec<u8> {
    digest(headers.get("apikey").map_or(&[], HeaderValue::as_bytes))
}

fn digest(key: &[u8]) -> Vec<u8> {
    Sha256::digest(key).to_vec()
}

fn judge(found: Result<Option<Row>, sqlx::Error>, headers: &HeaderMap) -> Response {
    let row = match found {
        Ok(Some(row)) => row,
        Ok(None) => return StatusCode::UNAUTHORIZED.into_response(),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let (business_id, environment, kind, key_id, scopes, valid_until, revoked_at) = row;
    let now = SystemClock.now().as_micros();
    let is_of_business = headers.get("businessid").is_some_and(|value| value.as_bytes() == business_id.as_bytes());
    if !is_of_business || revoked_at.is_some() || valid_until.is_some_and(|until| until <= now) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(Whoami {
        business_id: &business_id,
        environment: &environment,
        kind: &kind,
        key_id: &key_id,
        scopes: scopes.split(' ').collect(),
    })
    .into_response()
}

/// As long as the id of a key is.
fn key_id(number: usize) -> String {
    format!("key_{number:026}")
}

/// Writes the keys to a new file of SQLite.
pub(crate) async fn make_sqlite(file: &Path, keys: &[Known]) -> anyhow::Result<()> {
    let options =
        SqliteConnectOptions::new().filename(file).create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let mut connection = options.connect().await?;
    let mut tx = connection.begin().await?;
    sqlx::raw_sql(
        "CREATE TABLE bench_keys (digest BLOB NOT NULL PRIMARY KEY, business_id TEXT NOT NULL, environment TEXT NOT NULL,
            kind TEXT NOT NULL, key_id TEXT NOT NULL, scopes TEXT NOT NULL, valid_until BIGINT, revoked_at BIGINT)
            WITHOUT ROWID",
    )
    .execute(&mut *tx)
    .await?;
    let scopes = scopes();
    for (number, key) in keys.iter().enumerate() {
        sqlx::query(
            "INSERT INTO bench_keys (digest, business_id, environment, kind, key_id, scopes)
                VALUES ($1, $2, 'test', 'secret', $3, $4)",
        )
        .bind(digest(key.value.as_bytes()))
        .bind(key.business.as_str())
        .bind(key_id(number))
        .bind(&scopes)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    connection.close().await?;
    Ok(())
}

/// Writes the keys to a table of PostgreSQL, in place of one that is there from before. Gives the process of a server
/// of it.
pub(crate) async fn make_postgres(database: &str, keys: &[Known]) -> anyhow::Result<u32> {
    let mut connection = PgConnection::connect(database).await?;
    sqlx::raw_sql(
        "DROP TABLE IF EXISTS bench_keys;
         CREATE TABLE bench_keys (digest BYTEA NOT NULL PRIMARY KEY, business_id TEXT NOT NULL, environment TEXT NOT NULL,
            kind TEXT NOT NULL, key_id TEXT NOT NULL, scopes TEXT NOT NULL, valid_until BIGINT, revoked_at BIGINT)",
    )
    .execute(&mut connection)
    .await?;
    let scopes = scopes();
    for (turn, some) in keys.chunks(PER_STATEMENT).enumerate() {
        let first = turn * PER_STATEMENT;
        sqlx::query(
            "INSERT INTO bench_keys (digest, business_id, environment, kind, key_id, scopes)
                SELECT digest, business_id, 'test', 'secret', key_id, $4
                FROM UNNEST($1::BYTEA[], $2::TEXT[], $3::TEXT[]) AS made (digest, business_id, key_id)",
        )
        .bind(some.iter().map(|key| digest(key.value.as_bytes())).collect::<Vec<_>>())
        .bind(some.iter().map(|key| key.business.to_string()).collect::<Vec<_>>())
        .bind((first..first + some.len()).map(key_id).collect::<Vec<_>>())
        .bind(&scopes)
        .execute(&mut connection)
        .await?;
    }
    sqlx::raw_sql("VACUUM ANALYZE bench_keys").execute(&mut connection).await?;
    let (process,): (i32,) = sqlx::query_as("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
    // Whoever started it is the server itself. It has not ended: we are connected.
    let parent = crate::processes::parent_of(u32::try_from(process)?);
    connection.close().await?;
    parent.ok_or_else(|| anyhow::anyhow!("PostgreSQL does not run on this machine"))
}
