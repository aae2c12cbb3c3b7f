//! A database with many keys, written through the store, and a request for each of up to 200 000 of them.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use trousseau_domain::actor::Actor;
use trousseau_domain::brand::Brand;
use trousseau_domain::digest::{KeyDigest, KeyFingerprint};
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
/// Businesses written in one transaction.
const PER_COMMIT: u32 = 500;
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
    let businesses = keys.div_ceil(PER_BUSINESS);
    let mut requests = Vec::new();
    for first in (0..businesses).step_by(usize::try_from(PER_COMMIT)?) {
        let mut tx = store.begin().await?;
        let mut made = Vec::new();
        for _ in first..(first + PER_COMMIT).min(businesses) {
            let business = BusinessId::random_uuid(entropy.bytes());
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
            let tenant = Tenant::new(business.clone(), Environment::Test);
            for number in 1..=PER_BUSINESS {
                let value =
                    key_text::generate(KeyForm::Branded, &brand, Environment::Test, KeyKind::Secret, &entropy.bytes());
                let id = KeyId::new(now, entropy.bytes());
                made.push(rows(
                    &tenant,
                    (id, number),
                    &value,
                    ring.digest(&KeyFingerprint::of(&value)),
                    (&limits, now),
                ));
                if requests.len() < MOST_REQUESTS {
                    requests.push(request(value.expose(), business.as_str()));
                }
            }
        }
        tx.insert_keys_untold(&made).await?;
        tx.commit().await?;
    }
    store.close().await;
    std::fs::write(list, serde_json::to_string(&requests)?)?;
    Ok(Arc::new(requests.into_iter().map(String::into_bytes).collect()))
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
