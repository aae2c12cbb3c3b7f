//! A database with many keys, copies of one that was written through the store, and requests for up to 200 000 of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{Connection, params};
use trousseau_domain::actor::Actor;
use trousseau_domain::brand::Brand;
use trousseau_domain::digest::{KeyDigest, KeyFingerprint, Pepper};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::key_text::{self, ApiKeySecret, KeyForm};
use trousseau_domain::keys::{KeyKind, KeyState};
use trousseau_domain::limits::{Limits, RateLimit, RateLimits};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::scope::ScopeCatalogue;
use trousseau_domain::time::Timestamp;
use trousseau_service::clock::{Clock, SystemClock};
use trousseau_service::entropy::{Entropy, EntropyExt as _, SystemEntropy};
use trousseau_service::secrets::Secrets;
use trousseau_store::{BusinessRow, KeyRow, Store, StoreOptions, VersionOrigin, VersionRow};

/// Keys of one business: as many as a business usually has.
const PER_BUSINESS: u32 = 10;
/// The id of the first one; the others count on from there.
const FIRST_BUSINESS: u64 = 17_616_983_000_000;
/// The id of the business that is copied.
const TEMPLATE: &str = "template";
/// The most requests that are kept.
const MOST_REQUESTS: usize = 200_000;

/// The requests for the keys in `folder`, which are made first if they are not there.
pub(crate) async fn requests(folder: &Path, keys: u32, limited: bool) -> anyhow::Result<Arc<Vec<Vec<u8>>>> {
    let list = folder.join("bench-requests.json");
    if let Ok(text) = std::fs::read_to_string(&list) {
        let requests: Vec<String> = serde_json::from_str(&text)?;
        return Ok(Arc::new(requests.into_iter().map(String::into_bytes).collect()));
    }
    std::fs::create_dir_all(folder)?;
    let store = Store::open_sqlite(&folder.join("trousseau.db"), &StoreOptions::default()).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let secrets =
        Secrets::open(store.clone(), folder.join("keys.toml"), Arc::clone(&clock), Arc::clone(&entropy)).await?;
    let ring = secrets.ring().get();
    let brand = Brand::default();
    let now = clock.now();
    // Wide enough to refuse nothing, and counted with each request all the same.
    let rates = if limited { vec![RateLimit::new(RateLimit::MOST_REQUESTS, 1)?] } else { Vec::new() };
    let limits = Limits { rates: RateLimits::try_from(rates)?, ..Limits::default() };
    let template = template(&store, &limits, now).await?;
    store.close().await;
    let mut requests = Vec::new();
    let mut copies = Copies::of(&folder.join("trousseau.db"), &template)?;
    // A part of them, from all over the table.
    let part = usize::try_from(keys)?.div_ceil(MOST_REQUESTS);
    for number in 0..keys {
        // One after the other, a millisecond apart until now, as keys are made.
        let made_at = now.saturating_sub(Duration::from_millis(u64::from(keys - number)));
        let value = key_text::generate(KeyForm::Branded, &brand, Environment::Test, KeyKind::Secret, &entropy.bytes());
        let (digest, _) = ring.digest(&KeyFingerprint::of(&value));
        let business = format!("{}", FIRST_BUSINESS + u64::from(number / PER_BUSINESS));
        copies.add(number, &business, (KeyId::new(made_at, entropy.bytes()), made_at), &digest)?;
        if requests.len() < MOST_REQUESTS && usize::try_from(number)? % part == 0 {
            requests.push(request(value.expose(), &business));
        }
    }
    copies.end(&template)?;
    std::fs::write(list, serde_json::to_string(&requests)?)?;
    Ok(Arc::new(requests.into_iter().map(String::into_bytes).collect()))
}

/// A business with one key, written through the store, of which all others are copies.
async fn template(store: &Store, limits: &Limits, now: Timestamp) -> anyhow::Result<KeyId> {
    let business: BusinessId = TEMPLATE.parse()?;
    let (key, value) = (KeyId::from_bits(1), ApiKeySecret::from_presented("template").context("a text")?);
    let digest = KeyDigest::of(&KeyFingerprint::of(&value), &Pepper::new(&[0; 32]));
    let mut tx = store.begin().await?;
    tx.insert_business(&BusinessRow {
        id: business.clone(),
        name: "Bench".parse()?,
        profile: "mileston".to_owned(),
        time_zone: "Europe/Paris".parse()?,
        language: "en".to_owned(),
        limits: Limits::default(),
        metadata: Metadata::default(),
        created_at: now,
        suspended_at: None,
        revision: 0,
    })
    .await?;
    let tenant = Tenant::new(business, Environment::Test);
    tx.insert_keys_untold(&[rows(&tenant, (key, 1), &value, (digest, 1), (limits, now))]).await?;
    tx.commit().await?;
    Ok(key)
}

/// Copies of the one business and its key, at the speed of the file.
struct Copies {
    connection: Connection,
    business: String,
    key: String,
    version: String,
}

impl Copies {
    fn of(path: &Path, template: &KeyId) -> anyhow::Result<Self> {
        let connection = Connection::open(path)?;
        for (name, value) in [("journal_mode", "OFF"), ("synchronous", "OFF"), ("cache_size", "-2000000")] {
            connection.pragma_update_and_check(None, name, value, |_| Ok(())).or_else(ignore_no_answer)?;
        }
        connection.execute_batch("BEGIN")?;
        let template = format!("'{template}'");
        let business = copy(&connection, "businesses", &["id"], &format!("id = '{TEMPLATE}'"))?;
        let key = copy(
            &connection,
            "keys",
            &["id", "business_id", "number", "valid_from", "created_at", "updated_at"],
            &format!("id = {template}"),
        )?;
        let version = copy(
            &connection,
            "key_versions",
            &["key_id", "business_id", "digest", "starts_at", "created_at"],
            &format!("key_id = {template}"),
        )?;
        Ok(Self { connection, business, key, version })
    }

    fn add(
        &mut self,
        number: u32,
        business: &str,
        (id, at): (KeyId, Timestamp),
        digest: &KeyDigest,
    ) -> anyhow::Result<()> {
        let (id, at) = (id.to_string(), at.as_micros());
        if number.is_multiple_of(PER_BUSINESS) {
            self.connection.prepare_cached(&self.business)?.execute([business])?;
        }
        let within = number % PER_BUSINESS + 1;
        self.connection.prepare_cached(&self.key)?.execute(params![id, business, within, at, at, at])?;
        self.connection.prepare_cached(&self.version)?.execute(params![id, business, digest.as_bytes(), at, at])?;
        Ok(())
    }

    fn end(self, template: &KeyId) -> anyhow::Result<()> {
        self.connection.execute("DELETE FROM key_versions WHERE key_id = ?1", [template.to_string()])?;
        self.connection.execute("DELETE FROM keys WHERE id = ?1", [template.to_string()])?;
        self.connection.execute("DELETE FROM businesses WHERE id = ?1", [TEMPLATE])?;
        self.connection.execute_batch("COMMIT; PRAGMA journal_mode = WAL")?;
        Ok(())
    }
}

/// A pragma that has nothing to say.
fn ignore_no_answer(error: rusqlite::Error) -> rusqlite::Result<()> {
    if error == rusqlite::Error::QueryReturnedNoRows { Ok(()) } else { Err(error) }
}

/// A statement that inserts a copy of one row, with these columns of its own.
fn copy(connection: &Connection, table: &str, own: &[&str], row: &str) -> anyhow::Result<String> {
    let mut columns = connection.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
    let columns: Vec<String> = columns.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let values: Vec<String> = columns
        .iter()
        .map(|column| match own.iter().position(|own| own == column) {
            Some(at) => format!("?{}", at + 1),
            None => column.clone(),
        })
        .collect();
    Ok(format!("INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE {row}", columns.join(", "), values.join(", ")))
}

fn request(key: &str, business: &str) -> String {
    format!("GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\napikey: {key}\r\nbusinessid: {business}\r\n\r\n")
}

/// A key and its value as they are written.
fn rows(
    tenant: &Tenant,
    (id, number): (KeyId, u32),
    value: &ApiKeySecret,
    (digest, pepper_version): (KeyDigest, u32),
    (limits, now): (&Limits, Timestamp),
) -> (KeyRow, VersionRow) {
    let last_three = value.last_three().as_str().to_owned();
    let key = KeyRow {
        id,
        tenant: tenant.clone(),
        kind: KeyKind::Secret,
        number,
        name: None,
        external_reference: None,
        state: KeyState::Active,
        valid_from: now,
        valid_until: None,
        scopes: ScopeCatalogue::default().default_for(KeyKind::Secret),
        allowed_origins: vec![],
        allowed_ips: vec![],
        limits: limits.clone(),
        metadata: Metadata::default(),
        current_version: 1,
        mask_prefix: String::new(),
        last_three: last_three.clone(),
        previous_ends_at: None,
        created_at: now,
        created_by: Actor::System,
        revoked_at: None,
        revoked_by: None,
        updated_at: now,
        last_used_at: None,
    };
    let version = VersionRow {
        key_id: id,
        version: 1,
        tenant: tenant.clone(),
        kind: KeyKind::Secret,
        digest,
        pepper_version,
        last_three,
        starts_at: now,
        ends_at: None,
        ended_by: None,
        created_at: now,
        created_by: Actor::System,
        origin: VersionOrigin::Generated,
        sealed: None,
        live_readable: false,
    };
    (key, version)
}

/// The same request, as a gateway asks.
pub(crate) fn authorize(request: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(request).replacen("/v1/whoami", "/v1/authorize", 1).into_bytes()
}

/// The same with what the example for nginx hands on of a caller's request.
pub(crate) fn gateway(request: &[u8]) -> Vec<u8> {
    const FIELDS: &str = "x-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: https\r\n\
                          x-original-uri: /orders?page=2\r\nuser-agent: shop/2.1\r\naccept: application/json\r\n\r\n";
    let text = String::from_utf8_lossy(request).replacen("/v1/whoami", "/v1/authorize?", 1);
    format!("{}\r\n{FIELDS}", text.trim_end()).into_bytes()
}

/// A request that makes a payment link with the key of another request.
pub(crate) fn creation(request: &[u8]) -> Vec<u8> {
    const BODY: &str = r#"{"amount":"12.50","currency":"USDC","title":"Bench"}"#;
    let text = String::from_utf8_lossy(request);
    let credentials = text.split_once("\r\n").map_or("", |(_, rest)| rest.trim_end());
    let head = format!("content-type: application/json\r\ncontent-length: {}", BODY.len());
    format!("POST /v1/payment_links HTTP/1.1\r\n{credentials}\r\n{head}\r\n\r\n{BODY}").into_bytes()
}

/// A request that makes a key in the business of another request: an inactive one, as those in force are limited in number.
pub(crate) fn key_creation(request: &[u8], operator: &str) -> anyhow::Result<Vec<u8>> {
    const BODY: &str = r#"{"kind":"secret","name":"Bench","state":"inactive"}"#;
    let text = String::from_utf8_lossy(request);
    let business = text.lines().find_map(|line| line.strip_prefix("businessid: ")).context("a business")?;
    Ok(format!(
        "POST /v1/businesses/{business}/keys?environment=test HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {operator}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
    .into_bytes())
}

/// A request with a well-formed key that nobody has.
pub(crate) fn made_up() -> Vec<u8> {
    let value = key_text::generate(
        KeyForm::Branded,
        &Brand::default(),
        Environment::Test,
        KeyKind::Secret,
        &SystemEntropy.bytes(),
    );
    request(value.expose(), "5f0c8a52-5b8e-4a3e-9d0f-2f8f6f1c3b7a").into_bytes()
}
