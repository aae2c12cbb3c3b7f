//! Notices about keys: queued as mails in the transaction of what they tell of, to members who want to hear of it.

use std::time::Duration;

use serde_json::json;
use trousseau_domain::environment::Environment;
use trousseau_domain::events::EventType;
use trousseau_domain::ids::KeyId;
use trousseau_domain::members::Notice;
use trousseau_domain::profile::Profile;
use trousseau_domain::requests::Network;
use trousseau_domain::time::Timestamp;
use trousseau_store::{BusinessRow, KeyRow};

use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::error::ServiceError;
use crate::mail;

/// How many days before its end a key is spoken of, each time once.
const DAYS_AHEAD: [u32; 3] = [14, 7, 1];
/// Keys looked at in one transaction.
const KEYS_PER_STEP: u32 = 100;

/// What a notice calls a key: its name, if it has one, and its masked value.
fn subject_of(key: &KeyRow) -> String {
    let mask = Profile::mask(&key.mask_prefix, &key.last_three);
    key.name.as_ref().map_or_else(|| mask.clone(), |name| format!("{} ({mask})", name.as_str()))
}

/// Queues the notice about one key.
async fn tell(
    core: &Core,
    unit: &mut Unit<'_>,
    business: &BusinessRow,
    notice: Notice,
    key: &KeyRow,
    subject: &str,
) -> Result<(), ServiceError> {
    let path = format!("/b/{}/{}/developers/api-keys/{}", business.id, key.tenant.environment, key.number);
    let now = unit.now;
    mail::notify(core, &mut unit.tx, now, business, notice, subject, &path).await
}

/// Tells of what was done to a LIVE key; a TEST key is worth no mail.
pub(crate) async fn of_live_key(
    core: &Core,
    unit: &mut Unit<'_>,
    business: &BusinessRow,
    notice: Notice,
    key: &KeyRow,
) -> Result<(), ServiceError> {
    match key.tenant.environment {
        Environment::Test => Ok(()),
        Environment::Live => tell(core, unit, business, notice, key, &subject_of(key)).await,
    }
}

/// Remembers that a LIVE secret key was used from a network, and tells of it where that is a new one beside others.
pub(crate) async fn of_network(core: &Core, id: KeyId, network: Network, at: Timestamp) -> Result<(), ServiceError> {
    let system = Context::system();
    let mut unit = Unit::begin(core, &system).await?;
    if unit.tx.note_network(id, network, at).await?
        && let Some(key) = unit.tx.read().find_key_any_tenant(id).await?
        && let Some(business) = unit.tx.read().find_business(&key.tenant.business).await?
    {
        unit.record(Happened {
            event: EventType::KeyUsedFromNewNetwork,
            business: &business.id,
            environment: Some(key.tenant.environment),
            key: Some(id),
            data: json!({ "network": network.to_string(), "first_seen_at": at }),
        })
        .await?;
        let subject = format!("{}, {network}", subject_of(&key));
        tell(core, &mut unit, &business, Notice::NewNetwork, &key, &subject).await?;
    }
    unit.tx.commit().await?;
    Ok(())
}

/// Tells of keys that end soon. Safe on several nodes at once: each announcement is a row that one of them writes.
pub(crate) async fn of_ending_keys(core: &Core) -> Result<(), ServiceError> {
    let now = core.clock.now();
    let farthest = now.saturating_add(days(DAYS_AHEAD[0]));
    let system = Context::system();
    let mut after = None;
    loop {
        let keys = core.store.read().list_ending_keys(now, farthest, after, KEYS_PER_STEP).await?;
        let Some(last) = keys.last() else { return Ok(()) };
        after = last.valid_until.map(|end| (end, last.id));
        let mut unit = Unit::begin_alone(core, &system).await?;
        for key in &keys {
            announce_end(core, &mut unit, key, now).await?;
        }
        unit.tx.commit().await?;
    }
}

async fn announce_end(core: &Core, unit: &mut Unit<'_>, key: &KeyRow, now: Timestamp) -> Result<(), ServiceError> {
    let Some(end) = key.valid_until else { return Ok(()) };
    let left = end.since(now);
    // A key that lives only for days is spoken of once, not once for each mark that it never reached.
    let mut nearest = None;
    for ahead in DAYS_AHEAD.into_iter().filter(|ahead| left <= days(*ahead)) {
        let claimed = unit.tx.claim_end_notice(key.id, end, ahead, now).await?;
        nearest = claimed.then_some(ahead);
    }
    let Some(ahead) = nearest else { return Ok(()) };
    let Some(business) = unit.tx.read().find_business(&key.tenant.business).await? else { return Ok(()) };
    unit.record(Happened {
        event: EventType::KeyEnding,
        business: &business.id,
        environment: Some(key.tenant.environment),
        key: Some(key.id),
        data: json!({ "valid_until": end, "days": ahead }),
    })
    .await?;
    let last_day = business.time_zone.last_day_before(end);
    let subject = format!("{}, {}, {last_day}", subject_of(key), key.tenant.environment.in_key_text());
    tell(core, unit, &business, Notice::KeyEnding, key, &subject).await
}

fn days(days: u32) -> Duration {
    Duration::from_hours(24 * u64::from(days))
}
