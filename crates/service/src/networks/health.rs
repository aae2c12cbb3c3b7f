//! How networks are doing: what whoever watches one notes, and what others make of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use trousseau_domain::ledger::LedgerId;
use trousseau_domain::time::Timestamp;
use trousseau_store::{CursorRow, LedgerReportRow, Reader};

use super::{Network, NetworkSettings};
use crate::app::Core;
use crate::error::ServiceError;

/// For how long no endpoint may answer before payers are told.
const FAILING_FOR: Duration = Duration::from_secs(10);
/// How old a report may be before nobody seems to watch: several times the pause between two.
const SILENT_AFTER: Duration = Duration::from_mins(2);

/// How a network is doing, as the node says that watches it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkHealth {
    /// The height up to which it was seen.
    pub seen: u64,
    /// Its own height, as the endpoint in use says.
    pub height: u64,
    /// The time of the latest block that was seen.
    pub block_time: Option<Timestamp>,
    /// When it was last looked at with success.
    pub looked_at: Option<Timestamp>,
    /// Which endpoint answered, counted from 0.
    pub endpoint: Option<usize>,
    /// Blocks taken back since this node started, look by look.
    pub reorganisations: u64,
    /// What went wrong last, if the last look failed.
    pub failure: Option<String>,
    /// Since when no endpoint answers in a way that can be believed.
    pub failing_since: Option<Timestamp>,
    /// Whether its latest block is older than the settings say it may be.
    pub is_stale: bool,
    /// How long the latest turn took, in milliseconds.
    pub turn_ms: u64,
    /// What the latest turn asked its nodes, in calls.
    pub turn_calls: u64,
    /// The addresses that are watched.
    pub watched: WatchedAddresses,
    /// Each endpoint, in the order of the settings.
    pub endpoints: Vec<EndpointHealth>,
}

/// The addresses that are watched on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchedAddresses {
    /// Those that something is expected on, or was lately.
    pub close: usize,
    /// The others: asked for as well, only less often.
    pub late: usize,
    /// Whether all transfers of the tokens are read, and ours are found among them; else nodes are asked for the
    /// addresses.
    pub whole_token: bool,
}

/// How an endpoint is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointHealth {
    /// The height that it last spoke of.
    pub height: Option<u64>,
    /// When it last answered.
    pub answered_at: Option<Timestamp>,
    /// Failures since it last answered.
    pub failures: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When that was.
    pub failed_at: Option<Timestamp>,
    /// The most blocks that it is asked for logs of at once, as it was learned.
    pub span: u64,
    /// When it was last found to be the chain, with the tokens and decimals, that the settings say.
    pub checked_at: Option<Timestamp>,
}

impl NetworkHealth {
    /// How many blocks an endpoint lacks of the furthest one, where both told of a height.
    pub fn lag(&self, endpoint: &EndpointHealth) -> Option<u64> {
        let furthest = self.endpoints.iter().filter_map(|endpoint| endpoint.height).max()?;
        endpoint.height.map(|height| furthest - height)
    }
}

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Payments are seen when they come.
    Well,
    /// Its latest block is old: it stands still, or we are behind.
    Stale,
    /// No endpoint answers in a way that can be believed.
    Failing,
    /// Nobody says that they watch it.
    Unwatched,
    /// It was never seen.
    Unseen,
}

impl Condition {
    /// As text, for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Stale => "stale",
            Self::Failing => "failing",
            Self::Unwatched => "unwatched",
            Self::Unseen => "unseen",
        }
    }
}

/// A network as its operator sees it, whichever node watches it.
#[derive(Debug, Clone)]
pub struct NetworkState {
    /// What the settings say.
    pub settings: NetworkSettings,
    /// How it is doing, in one word.
    pub condition: Condition,
    /// How far it was seen; none before the first look.
    pub cursor: Option<CursorRow>,
    /// What the node said that watches it, and when.
    pub report: Option<(NetworkHealth, Timestamp)>,
    /// The time of it.
    pub now: Timestamp,
}

/// The state of a network.
pub(super) async fn state_of(core: &Core, network: &Network) -> Result<NetworkState, ServiceError> {
    let ledger = network.settings.ledger();
    let mut reader = core.store.read();
    let cursor = reader.find_cursor(&ledger).await?;
    let report = reader.find_ledger_report(&ledger).await?;
    let now = core.clock.now();
    let condition = condition(&network.settings, cursor.as_ref(), report.as_ref(), now);
    // What an earlier version wrote is read as far as it goes.
    let report = report.map(|row| (serde_json::from_value(row.report).unwrap_or_default(), row.reported_at));
    Ok(NetworkState { settings: network.settings.clone(), condition, cursor, report, now })
}

fn condition(
    settings: &NetworkSettings,
    cursor: Option<&CursorRow>,
    report: Option<&LedgerReportRow>,
    now: Timestamp,
) -> Condition {
    let Some(cursor) = cursor.filter(|cursor| cursor.height > 0) else { return Condition::Unseen };
    let failing_since = report.and_then(|report| report.failing_since);
    if report.is_none_or(|report| now.since(report.reported_at) > SILENT_AFTER.max(settings.poll.saturating_mul(3))) {
        Condition::Unwatched
    } else if failing_since.is_some_and(|since| now.since(since) >= FAILING_FOR) {
        Condition::Failing
    } else if now.since(cursor.ledger_time) > settings.stale_after {
        Condition::Stale
    } else {
        Condition::Well
    }
}

/// Whether payments on a ledger are seen late: its latest block is old, no endpoint answers, or nobody looks. A network that
/// is not in the settings any more is looked at by nobody; a test ledger may be halted.
pub(crate) async fn is_delayed(
    core: &Core,
    reader: &mut Reader<'_>,
    ledger: &LedgerId,
    cursor: Option<&CursorRow>,
) -> Result<bool, ServiceError> {
    if let LedgerId::Test(business) = ledger {
        let ledger = reader.find_test_ledger(business).await?;
        return Ok(ledger.is_some_and(|ledger| ledger.halted_at.is_some()));
    }
    let Some(network) = core.networks.on(ledger) else { return Ok(true) };
    let report = reader.find_ledger_report(ledger).await?;
    Ok(match condition(&network.settings, cursor, report.as_ref(), core.clock.now()) {
        Condition::Stale | Condition::Failing | Condition::Unwatched => true,
        // On one that was never seen no payment can be started.
        Condition::Well | Condition::Unseen => false,
    })
}
