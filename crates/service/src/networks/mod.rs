//! Networks that are watched for payments: how each is asked, and how it is doing.

pub(crate) mod endpoint;
pub(crate) mod health;
mod portion;
pub(crate) mod rpc;
mod settings;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use trousseau_domain::environment::Environment;
use trousseau_domain::ledger::LedgerId;
use trousseau_domain::money::{Asset, AssetCode};
use trousseau_domain::networks::ChainId;
use trousseau_domain::time::Timestamp;

use self::endpoint::{Call, Endpoint, public_tls};
use self::portion::Portion;
use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, EntropyExt as _};
use crate::error::ServiceError;
use crate::payments::evm_rail::Addresses;

pub use endpoint::RpcError;
pub use health::{Condition, EndpointHealth, NetworkHealth, NetworkState, WatchedAddresses};
pub use settings::{
    EndpointUrl, Explorer, InvalidEndpoint, InvalidTemplate, Late, NetworkSettings, Template, Token, Told,
};
pub use watch::NetworkViews;

/// The pause after the first failure of an endpoint; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How often an endpoint is asked again whether it is the right chain with the right tokens: proxies change.
const CHECKED_FOR: Duration = Duration::from_hours(24);
/// A network does not match what the settings say of it: watching it could credit what is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {found}")]
pub struct NetworkMismatch {
    /// The setting that is wrong, or whose endpoint is.
    pub setting: String,
    /// What was found instead.
    pub found: String,
}

/// Why an endpoint is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error(transparent)]
    Mismatch(#[from] NetworkMismatch),
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// One endpoint of a network, with what was learned about it.
#[derive(Debug)]
pub(crate) struct Way {
    /// Its place in the settings.
    pub(crate) index: usize,
    endpoint: Endpoint,
    network: String,
    checked: Mutex<Option<Instant>>,
    failures: AtomicU32,
    resting_until: Mutex<Option<Instant>>,
    /// The most blocks to ask it for logs of at once.
    span: Portion,
    /// What it was asked since the start, in calls.
    calls: AtomicU64,
    told: Mutex<EndpointHealth>,
}

impl Way {
    /// Asks several things at once.
    pub(crate) async fn ask_all(&self, calls: &[Call]) -> Result<Vec<Result<serde_json::Value, RpcError>>, RpcError> {
        let answers = self.endpoint.ask_all(calls).await;
        self.count(calls.len(), answers.is_ok());
        answers
    }

    /// Asks one thing.
    pub(crate) async fn ask(&self, call: &Call) -> Result<serde_json::Value, RpcError> {
        let answer = self.endpoint.ask(call).await;
        self.count(1, answer.is_ok());
        answer
    }

    fn count(&self, calls: usize, well: bool) {
        self.calls.fetch_add(u64::try_from(calls).unwrap_or_default(), Ordering::Relaxed);
        let labels = [
            ("network", self.network.clone()),
            ("endpoint", self.index.to_string()),
            ("outcome", if well { "answered" } else { "failed" }.to_owned()),
        ];
        metrics::counter!("trousseau_network_calls_total", &labels).increment(u64::try_from(calls).unwrap_or_default());
    }

    /// How many blocks to ask it for logs of at once.
    pub(crate) const fn span(&self) -> &Portion {
        &self.span
    }

    /// How it is doing.
    pub(crate) fn health(&self) -> EndpointHealth {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        EndpointHealth { span: self.span.size(), ..told }
    }

    /// Notes that it answered to something that says nothing of its height.
    pub(crate) fn answered(&self, now: Timestamp) {
        self.did_well();
        self.tell_well(None, now);
    }

    /// Notes that it answered, and the height that it spoke of.
    fn tell_well(&self, height: Option<u64>, now: Timestamp) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.answered_at = Some(now);
        told.failures = 0;
        told.height = height.or(told.height);
    }

    /// Notes what went wrong with it.
    pub(crate) fn tell_wrong(&self, error: &dyn std::error::Error, now: Timestamp) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.failures = told.failures.saturating_add(1);
        told.last_error = Some(error.to_string());
        told.failed_at = Some(now);
    }

    fn did_well(&self) {
        self.failures.store(0, Ordering::Relaxed);
        *self.resting_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Lets it rest for a while that doubles with each failure, by a random half more or less, so that nodes of ours
    /// do not come back all at once.
    fn failed(&self, chance: u8) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(10);
        let pause = FIRST_PAUSE.saturating_mul(1 << failures).min(LONGEST_PAUSE);
        let pause = pause / 2 + pause * u32::from(chance) / 256;
        *self.resting_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
    }

    fn is_resting(&self) -> bool {
        let until = *self.resting_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

/// A network with the ways to it.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) settings: NetworkSettings,
    ways: Vec<Way>,
    /// One look at a time; what is known of the addresses to look for.
    pub(crate) addresses: tokio::sync::Mutex<Addresses>,
    /// One plan of payouts at a time.
    pub(crate) planning: tokio::sync::Mutex<()>,
    /// Somebody knows of something to see.
    hint: Notify,
    /// Until when this node holds the watch, in microseconds.
    pub(crate) held_until: AtomicI64,
    /// When addresses that nothing is expected on were asked for last, in microseconds.
    pub(crate) late_looked_at: AtomicI64,
    /// When this node last wrote down how the network is doing, and what the condition was.
    pub(crate) reported: Mutex<Option<(Timestamp, bool, bool)>>,
    health: Mutex<NetworkHealth>,
}

impl Network {
    fn new(settings: NetworkSettings) -> Self {
        let tls = public_tls();
        let ways = settings.endpoints.iter().enumerate().map(|(index, url)| Way {
            index,
            endpoint: Endpoint::new(url.clone(), tls.clone(), settings.timeout),
            network: settings.chain.to_string(),
            checked: Mutex::default(),
            failures: AtomicU32::new(0),
            resting_until: Mutex::default(),
            span: Portion::new(u64::from(settings.max_span)),
            calls: AtomicU64::new(0),
            told: Mutex::default(),
        });
        let ways = ways.collect();
        Self {
            settings,
            ways,
            addresses: tokio::sync::Mutex::default(),
            planning: tokio::sync::Mutex::default(),
            hint: Notify::new(),
            held_until: AtomicI64::new(i64::MIN),
            late_looked_at: AtomicI64::new(i64::MIN),
            reported: Mutex::default(),
            health: Mutex::default(),
        }
    }

    /// The endpoints to try, in order: those that rest come last, for when there is no other.
    pub(crate) fn ways(&self) -> impl Iterator<Item = &Way> {
        let awake = self.ways.iter().filter(|way| !way.is_resting());
        awake.chain(self.ways.iter().filter(|way| way.is_resting()))
    }

    /// Whether an endpoint is the chain and has the tokens that the settings say. Asked once a day.
    ///
    /// # Errors
    /// [`Unusable::Mismatch`] if not, [`Unusable::Rpc`] where it does not answer.
    pub(crate) async fn check(&self, way: &Way, now: Timestamp) -> Result<(), Unusable> {
        let checked = *way.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.is_some_and(|at| at.elapsed() < CHECKED_FOR) {
            return Ok(());
        }
        let name = &self.settings.name;
        let mut calls = vec![rpc::chain_id()];
        for token in &self.settings.tokens {
            calls.extend([rpc::code(token.contract), rpc::decimals(token.contract)]);
        }
        let mut answers = way.ask_all(&calls).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Err(RpcError::Malformed("there is no answer")));
        let chain: trousseau_domain::evm::Quantity = rpc::read(next()?)?;
        if ChainId::of_eip155(chain.0).as_ref() != Some(&self.settings.chain) {
            return Err(NetworkMismatch {
                setting: format!("networks.{name}.endpoints"),
                found: format!(
                    "endpoint {} is a node of eip155:{}, the setting says {}",
                    way.index + 1,
                    chain.0,
                    self.settings.chain
                ),
            }
            .into());
        }
        for token in &self.settings.tokens {
            let (code, decimals) = (next()?, next());
            let (asset, contract) = (token.asset.code(), token.contract);
            if !rpc::is_contract(code)? {
                return Err(NetworkMismatch {
                    setting: format!("networks.{name}.tokens.{asset}.contract"),
                    found: format!("there is no contract at {contract}"),
                }
                .into());
            }
            let found = match decimals {
                Ok(value) => rpc::read_small(value)?,
                // Another refusal is the node's own, which has a limit or is just being reorganised: it says nothing of
                // the contract.
                Err(error) if error.is_surely_revert() => None,
                Err(error) => return Err(error.into()),
            };
            if found != Some(token.asset.decimals()) {
                let found = found.map_or_else(|| "no number of".to_owned(), |found| found.to_string());
                return Err(NetworkMismatch {
                    setting: format!("networks.{name}.tokens.{asset}.decimals"),
                    found: format!(
                        "the contract {contract} says {found} decimals, the setting {}",
                        token.asset.decimals()
                    ),
                }
                .into());
            }
        }
        *way.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        way.told.lock().unwrap_or_else(PoisonError::into_inner).checked_at = Some(now);
        Ok(())
    }

    /// Asks endpoints for their height, one after the other: all of them, or those that are not in use. An endpoint that
    /// fails here is told of; it rests only once it fails where it is needed.
    pub(crate) async fn probe(&self, clock: &dyn Clock, all: bool) {
        let in_use = self.health().endpoint.unwrap_or(0);
        for way in self.ways.iter().filter(|way| all || way.index != in_use) {
            match self.height_by(way, clock.now()).await {
                Ok(height) => way.tell_well(Some(height), clock.now()),
                Err(error) => way.tell_wrong(&error, clock.now()),
            }
        }
    }

    async fn height_by(&self, way: &Way, now: Timestamp) -> Result<u64, Unusable> {
        self.check(way, now).await?;
        let latest: rpc::Header = rpc::read(way.ask(&rpc::header(rpc::At::Latest)).await?)?;
        Ok(latest.number.0)
    }

    /// What its nodes were asked since the start, in calls.
    pub(crate) fn calls(&self) -> u64 {
        self.ways.iter().map(|way| way.calls.load(Ordering::Relaxed)).sum()
    }

    /// Somebody knows of something to see: it is looked at now.
    pub(crate) fn wake(&self) {
        self.hint.notify_one();
    }

    /// Notes that an endpoint answered, and of which height it spoke.
    pub(crate) fn went_well(&self, way: &Way, height: u64, now: Timestamp, note: impl FnOnce(&mut NetworkHealth)) {
        way.did_well();
        way.tell_well(Some(height), now);
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.endpoint = Some(way.index);
        health.failure = None;
        note(&mut health);
    }

    /// Notes that an endpoint failed, and lets it rest.
    pub(crate) fn went_wrong(&self, way: &Way, error: &dyn std::error::Error, chance: u8, now: Timestamp) {
        way.failed(chance);
        way.tell_wrong(error, now);
        let failure = format!("endpoint {}: {error}", way.index + 1);
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if health.failure.as_ref() != Some(&failure) {
            tracing::warn!(network = %self.settings.chain, endpoint = way.index, %error, "an endpoint failed");
        }
        health.failure = Some(failure);
    }

    /// Notes something about how it is doing.
    pub(crate) fn note(&self, note: impl FnOnce(&mut NetworkHealth)) {
        note(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How it is doing.
    pub(crate) fn health(&self) -> NetworkHealth {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        NetworkHealth { endpoints: self.ways.iter().map(Way::health).collect(), ..health }
    }
}

/// The networks of this installation.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    by_chain: BTreeMap<ChainId, Arc<Network>>,
    /// In the order of the settings: the first one of an environment is where payments are made unless chosen otherwise.
    order: Vec<ChainId>,
    /// What this node calls itself where only one may watch.
    holder: OnceLock<String>,
}

impl Networks {
    pub(crate) fn new(settings: &[NetworkSettings]) -> Self {
        let order = settings.iter().map(|network| network.chain.clone()).collect();
        let network = |settings: &NetworkSettings| (settings.chain.clone(), Arc::new(Network::new(settings.clone())));
        Self { by_chain: settings.iter().map(network).collect(), order, holder: OnceLock::new() }
    }

    /// The network of this id, whichever environment it is watched for: for whoever tells of it, or runs it.
    pub(crate) fn get(&self, chain: &ChainId) -> Option<&Arc<Network>> {
        self.by_chain.get(chain)
    }

    /// The network that a ledger is on, where it is watched for the environment of that ledger: the only way from a
    /// payment to a node.
    pub(crate) fn on(&self, ledger: &LedgerId) -> Option<&Arc<Network>> {
        match ledger {
            LedgerId::Test(_) => None,
            LedgerId::Network(environment, chain) => {
                self.get(chain).filter(|network| network.settings.environment == *environment)
            }
        }
    }

    /// Those that are watched for an environment, in the order of the settings.
    pub(crate) fn of(&self, environment: Environment) -> impl Iterator<Item = &Arc<Network>> {
        self.all().filter(move |network| network.settings.environment == environment)
    }

    /// Whether payments of TEST are made on the test ledgers: as long as no network is watched for them.
    pub(crate) fn has_test_ledgers(&self) -> bool {
        self.of(Environment::Test).next().is_none()
    }

    /// What payments of an environment can be in: USDC first, then by code. The test ledgers hold what networks accept,
    /// and what is well known; and where there is no network yet, prices may be made for when there is one.
    pub(crate) fn assets(&self, environment: Environment) -> Vec<Asset> {
        let is_on_test_ledger = environment == Environment::Test && self.has_test_ledgers();
        let accepted = self.all().map(|network| &network.settings);
        let accepted = accepted
            .filter(|settings| is_on_test_ledger || settings.environment == environment)
            .flat_map(|settings| settings.tokens.iter().map(|token| token.asset));
        let mut assets: Vec<_> = accepted.collect();
        if is_on_test_ledger {
            assets.extend([Asset::USDC, Asset::EURC]);
        }
        if assets.is_empty() {
            assets.push(Asset::USDC);
        }
        assets.sort_unstable_by_key(|asset| (*asset != Asset::USDC, asset.code()));
        assets.dedup();
        assets
    }

    /// Refuses a price that nothing in its environment could be paid with.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] about `currency`.
    pub(crate) fn check_asset(&self, environment: Environment, asset: Asset) -> Result<(), ServiceError> {
        if self.assets(environment).contains(&asset) {
            return Ok(());
        }
        Err(ServiceError::invalid("currency", UnknownCurrency::of(self, environment).to_string()))
    }

    /// What this node calls itself: another name with every start.
    pub(crate) fn holder(&self, entropy: &dyn Entropy) -> &str {
        self.holder.get_or_init(|| trousseau_domain::evm::print_bytes(&entropy.bytes::<16>()))
    }

    /// All of them, in the order of the settings.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.order.iter().filter_map(|chain| self.by_chain.get(chain))
    }

    /// Asks every endpoint whether it is what the settings say. Those that do not answer are named, and are asked again
    /// before they are used.
    ///
    /// # Errors
    /// [`NetworkMismatch`] with the setting that is wrong.
    pub(crate) async fn check(&self, now: Timestamp) -> Result<Vec<Unanswered>, NetworkMismatch> {
        let mut unanswered = Vec::new();
        for network in self.all() {
            for way in &network.ways {
                match network.check(way, now).await {
                    Ok(()) => {}
                    Err(Unusable::Mismatch(mismatch)) => return Err(mismatch),
                    Err(Unusable::Rpc(error)) => {
                        let setting =
                            format!("networks.{}.endpoints: endpoint {}", network.settings.name, way.index + 1);
                        unanswered.push(Unanswered { setting, error });
                    }
                }
            }
        }
        Ok(unanswered)
    }
}

/// A currency that no network of an environment accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is accepted on no network of {}: must be {}", .environment.in_key_text(), list(.accepted))]
pub struct UnknownCurrency {
    environment: Environment,
    accepted: Vec<AssetCode>,
}

fn list(codes: &[AssetCode]) -> String {
    let codes: Vec<_> = codes.iter().map(AssetCode::as_str).collect();
    codes.join(" or ")
}

impl UnknownCurrency {
    pub(crate) fn of(networks: &Networks, environment: Environment) -> Self {
        Self { environment, accepted: networks.assets(environment).into_iter().map(Asset::code).collect() }
    }
}

/// An endpoint that did not answer when it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// Which one.
    pub setting: String,
    /// Why not.
    pub error: RpcError,
}

/// Asks the endpoints of networks whether they are what the settings say, without an application.
///
/// # Errors
/// [`NetworkMismatch`] with the setting that is wrong.
pub async fn check(settings: &[NetworkSettings]) -> Result<Vec<Unanswered>, NetworkMismatch> {
    Networks::new(settings).check(SystemClock.now()).await
}
