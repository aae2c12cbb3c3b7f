//! Rows to begin from.

use trousseau_domain::actor::Actor;
use trousseau_domain::digest::KeyDigest;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{BusinessId, KeyId};
use trousseau_domain::keys::{KeyKind, KeyState};
use trousseau_domain::limits::{Limits, Quota};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::time::Timestamp;
use trousseau_store::{BusinessRow, KeyRow, Sealed, Store, Tx, VersionOrigin, VersionRow};

/// Microseconds after some morning.
pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000 + micros).expect("in range")
}

pub(crate) fn business_id(text: &str) -> BusinessId {
    text.parse().expect("a good id")
}

pub(crate) fn tenant(text: &str) -> Tenant {
    Tenant::new(business_id(text), Environment::Test)
}

pub(crate) fn live(text: &str) -> Tenant {
    Tenant::new(business_id(text), Environment::Live)
}

pub(crate) fn digest(byte: u8) -> KeyDigest {
    KeyDigest::from_stored(&[byte; 32]).expect("32 bytes")
}

/// Limits of every kind.
pub(crate) fn limits() -> Limits {
    let rates = vec!["5/1s".parse().expect("a rate"), "100/1m".parse().expect("a rate")];
    Limits {
        rates: rates.try_into().expect("two"),
        quota: Quota { day: std::num::NonZeroU64::new(1_000), month: std::num::NonZeroU64::new(9_000) },
    }
}

pub(crate) fn business(id: &str, created_at: i64) -> BusinessRow {
    BusinessRow {
        id: business_id(id),
        name: "Atelier Lumière".parse().expect("a good name"),
        profile: "mileston".to_owned(),
        time_zone: "Europe/Paris".parse().expect("a known zone"),
        language: "fr".to_owned(),
        limits: Limits::default(),
        metadata: Metadata::default(),
        created_at: at(created_at),
        suspended_at: None,
        revision: 1,
    }
}

pub(crate) fn key(tenant: &Tenant, number: u32) -> KeyRow {
    let place = match tenant.environment {
        Environment::Test => 1 << 32,
        Environment::Live => 2 << 32,
    };
    let owner: u128 = tenant.business.as_str().bytes().map(u128::from).sum();
    KeyRow {
        id: KeyId::from_bits((owner << 64) | place | u128::from(number)),
        tenant: tenant.clone(),
        kind: KeyKind::Secret,
        number,
        name: Some("Back office".parse().expect("a good name")),
        external_reference: Some(format!("ref{}{number}", tenant.environment)),
        state: KeyState::Active,
        valid_from: at(0),
        valid_until: None,
        scopes: ["payments:read".parse().expect("a good scope")].into_iter().collect(),
        allowed_origins: vec!["https://shop.example".parse().expect("a good origin")],
        allowed_ips: vec!["203.0.113.0/24".parse().expect("a good range")],
        limits: Limits::default(),
        metadata: Metadata::default(),
        current_version: 1,
        mask_prefix: "Mileston_TEST_".to_owned(),
        last_three: "Xyz".to_owned(),
        previous_ends_at: None,
        created_at: at(0),
        created_by: Actor::System,
        revoked_at: None,
        revoked_by: None,
        updated_at: at(0),
        last_used_at: None,
    }
}

pub(crate) fn version(key: &KeyRow, version: u32, byte: u8) -> VersionRow {
    VersionRow {
        key_id: key.id,
        version,
        tenant: key.tenant.clone(),
        kind: key.kind,
        digest: digest(byte),
        pepper_version: 1,
        last_three: "Xyz".to_owned(),
        starts_at: at(0),
        ends_at: None,
        ended_by: None,
        created_at: at(0),
        created_by: Actor::Operator { user: "root".to_owned(), actor: None },
        origin: VersionOrigin::Generated,
        sealed: (key.tenant.environment == Environment::Test)
            .then(|| Sealed { bytes: vec![1, 2, byte], kek_version: 1 }),
        live_readable: false,
    }
}

/// Runs changes in one transaction and commits it.
macro_rules! commit {
    ($store:expr, |$tx:ident| $body:expr) => {{
        let mut transaction = $store.begin().await.expect("begins");
        let $tx = &mut transaction;
        let answer = $body;
        transaction.commit().await.expect("commits");
        answer
    }};
}
pub(crate) use commit;

pub(crate) async fn add_key(tx: &mut Tx, key: &KeyRow, byte: u8) {
    tx.insert_key(key).await.expect("inserts the key");
    tx.insert_version(&version(key, 1, byte)).await.expect("inserts its version");
}

/// Two businesses, `b1` and `b2`.
pub(crate) async fn two_businesses(store: &Store) {
    commit!(store, |tx| {
        tx.insert_business(&business("b1", 1)).await.expect("inserts");
        tx.insert_business(&business("b2", 2)).await.expect("inserts");
    });
}
