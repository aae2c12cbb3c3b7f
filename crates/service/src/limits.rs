//! How often keys were used, against how often they may be.
//!
//! Rates are kept by each node in its memory. Quotas are counted by each node and summed in the database every second:
//! between two sums a node knows of its own calls only, and lets through at most what the others let through meanwhile.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smallvec::SmallVec;
use trousseau_domain::decision::Meter;
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::KeyId;
use trousseau_domain::limits::{Allowance, LimitOf, LimitOver, Limits, Pace, Period, RateLimit};
use trousseau_domain::time::Timestamp;
use trousseau_store::{QuotaCount, QuotaHolder, Store, StoreError};

use crate::holders::{Holders, locked};
use crate::index::{KnownKey, since_boot};
use crate::tally::CallCounts;

/// How often what was counted is summed in the database.
pub const SUM_EVERY: Duration = Duration::from_secs(1);
/// Holders whose counts are summed in one transaction.
const HOLDERS_PER_WRITE: usize = 500;
/// How long a holder is remembered that is not used, in nanoseconds.
const KEPT_FOR_NANOS: u64 = 60_000_000_000;
/// What quotas are counted over.
const PERIODS: [Period; 2] = [Period::Day, Period::Month];

/// What a call that was good otherwise came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Whether it was within its limits.
    pub(crate) meter: Meter,
    /// How long until there is room for it, where there is none.
    pub(crate) retry_after: Option<Duration>,
    /// Where each limit stands now.
    pub(crate) allowances: Allowances,
}

/// Where limits stand: nearly always of one or two.
pub type Allowances = SmallVec<[Allowance; 2]>;

/// Calls of a holder in the period that is now.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    number: i64,
    /// What the database said with the last sum; none before the first.
    summed: Option<u64>,
    /// What this node has counted since then.
    since: u64,
}

impl Used {
    const fn calls(&self) -> u64 {
        match self.summed {
            Some(summed) => summed.saturating_add(self.since),
            None => self.since,
        }
    }
}

/// Where the rates of a holder stand.
#[derive(Debug, Default)]
struct Paces {
    /// Of each rate that was in force with the last call.
    of_rates: SmallVec<[(RateLimit, Pace); 1]>,
    /// When they were last asked for, in nanoseconds since the machine was started.
    asked: u64,
}

impl Paces {
    /// Makes these the rates that are kept, each with where it stands. What was used of those in force until now counts
    /// for new ones, else a key would be free of its limit by a change of it: of the one over the same time, and where
    /// there is none, of that which leaves the least room.
    fn follow(&mut self, rates: &[RateLimit], boot: u64) {
        self.asked = boot;
        if self.of_rates.iter().map(|(kept, _)| kept).eq(rates) {
            return;
        }
        let stands = |rate: &RateLimit| {
            let carried = |(kept, pace): &(RateLimit, Pace)| {
                if kept == rate { *pace } else { pace.rescaled(*kept, *rate, boot) }
            };
            let same = self.of_rates.iter().find(|(kept, _)| kept.seconds() == rate.seconds());
            let fullest = || self.of_rates.iter().map(carried).max_by_key(|pace| pace.full_in(boot));
            (*rate, same.map(carried).or_else(fullest).unwrap_or_default())
        };
        self.of_rates = rates.iter().map(stands).collect();
    }

    /// How long until all of them have room for a call, where they have none.
    fn wait(&self, boot: u64) -> Option<Duration> {
        self.of_rates.iter().filter_map(|(rate, pace)| pace.after(*rate, boot).err()).max()
    }

    fn count(&mut self, boot: u64) {
        for (rate, pace) in &mut self.of_rates {
            if let Ok(counted) = pace.after(*rate, boot) {
                *pace = counted;
            }
        }
    }

    fn allowances(&self, of: LimitOf, boot: u64) -> impl Iterator<Item = Allowance> {
        self.of_rates.iter().map(move |(rate, pace)| Allowance {
            of,
            over: LimitOver::Seconds(rate.seconds()),
            limit: u64::from(rate.requests()),
            remaining: pace.remaining(*rate, boot),
            resets_in: pace.full_in(boot),
        })
    }

    /// Counts a call of a key by these rates, if all of them have room for it.
    fn measure(&mut self, rates: &[RateLimit], boot: u64) -> Measured {
        self.follow(rates, boot);
        let retry_after = self.wait(boot);
        if retry_after.is_none() {
            self.count(boot);
        }
        let meter = if retry_after.is_none() { Meter::Within } else { Meter::RateLimited };
        Measured { meter, retry_after, allowances: self.allowances(LimitOf::Key, boot).collect() }
    }

    /// Whether nothing would be lost by forgetting them.
    fn is_idle(&self, boot: u64) -> bool {
        boot.saturating_sub(self.asked) > KEPT_FOR_NANOS
            && self.of_rates.iter().all(|(_, pace)| pace.full_in(boot).is_zero())
    }
}

/// What is known of a holder.
#[derive(Debug, Default)]
struct Counters {
    paces: Paces,
    used: [Used; 2],
    /// Calls of periods that are over, not summed yet.
    left_over: Vec<(Period, i64, u64)>,
}

impl Counters {
    /// Begins a new period where the old one is over.
    fn turn(&mut self, now: Timestamp) {
        for (period, used) in PERIODS.into_iter().zip(&mut self.used) {
            let number = period.number_at(now);
            // A clock that was set back goes on counting in the later period.
            if number > used.number {
                if used.since > 0 {
                    self.left_over.push((period, used.number, used.since));
                }
                *used = Used { number, ..Used::default() };
            }
        }
    }

    fn used(&mut self, period: Period) -> &mut Used {
        &mut self.used[usize::from(period == Period::Month)]
    }

    /// Whether nothing would be lost by forgetting it, and nobody would soon have to ask the database for it again.
    fn is_idle(&self, boot: u64) -> bool {
        self.paces.is_idle(boot) && self.left_over.is_empty() && self.used.iter().all(|used| used.since == 0)
    }
}

type Shared = Arc<Mutex<Counters>>;

/// What is known of a holder, as it stands in its place.
#[derive(Debug)]
enum Held {
    /// Rates and nothing else, as of most: to look at them takes no way to another place in memory.
    Paces(Paces),
    Counters(Shared),
}

impl Default for Held {
    fn default() -> Self {
        Self::Paces(Paces::default())
    }
}

impl Held {
    /// Counts a call by rates and nothing else, if all of them have room for it.
    fn measure(&mut self, rates: &[RateLimit], boot: u64) -> Measured {
        match self {
            Self::Paces(paces) => paces.measure(rates, boot),
            Self::Counters(counters) => locked(counters).paces.measure(rates, boot),
        }
    }

    /// The counters, with those paces that were all that was held until now.
    fn counters(&mut self) -> Shared {
        if let Self::Paces(paces) = self {
            let counters = Counters { paces: std::mem::take(paces), ..Counters::default() };
            *self = Self::Counters(Arc::new(Mutex::new(counters)));
        }
        match self {
            Self::Counters(counters) => Arc::clone(counters),
            Self::Paces(_) => unreachable!("made of the one a line above"),
        }
    }

    fn is_idle(&self, boot: u64) -> bool {
        match self {
            Self::Paces(paces) => paces.is_idle(boot),
            Self::Counters(counters) => Arc::strong_count(counters) == 1 && locked(counters).is_idle(boot),
        }
    }
}

/// Parts of what is known of holders that are looked through with one sum: all of them in some seconds.
const PARTS_PER_SUM: usize = 32;

/// What a key that is used needs with every call, in one place: where its rates stand, and its calls.
#[derive(Debug, Default)]
pub(crate) struct KeyInUse {
    held: Held,
    /// Those that wait to be written down.
    pub(crate) calls: CallCounts,
}

/// The keys that are used.
pub(crate) type KeysInUse = Holders<KeyId, KeyInUse>;

/// The counters of a node.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    keys: Arc<KeysInUse>,
    tenants: Holders<Tenant, Held>,
    /// Those with calls that are not summed yet.
    unsummed: Mutex<HashSet<QuotaHolder>>,
}

/// One of the limits that a call has to keep.
struct Part<'a> {
    of: LimitOf,
    limits: &'a Limits,
    holder: QuotaHolder,
    counters: Shared,
}

/// The business's and the key's, where they have any.
type Parts<'a> = SmallVec<[Part<'a>; 2]>;

impl Limiter {
    /// One that keeps the rates of keys beside their calls.
    pub(crate) fn new(keys: Arc<KeysInUse>) -> Self {
        Self { keys, ..Self::default() }
    }

    fn counters(&self, holder: &QuotaHolder) -> Shared {
        match holder {
            QuotaHolder::Key(key) => self.keys.with(key, |in_use| in_use.held.counters()),
            QuotaHolder::Tenant(tenant) => self.tenants.with(tenant, Held::counters),
        }
    }

    /// Counts a call with this key, if all its limits have room for it; none of them counts it otherwise.
    ///
    /// # Errors
    /// When the sum of a quota that was not used here before cannot be read.
    pub(crate) async fn take(&self, store: &Store, key: &KnownKey, now: Timestamp) -> Result<Measured, StoreError> {
        self.measure(store, &self.parts_of(key), (now, since_boot())).await
    }

    /// The same as [`Limiter::take`] where nothing has to be asked: with rates alone, or no limits. `note` is done with what
    /// is counted of the key, if this call was within its limits; what it gives is given.
    pub(crate) fn take_pace<T>(
        &self,
        key: &KnownKey,
        (now, boot): (Timestamp, u64),
        note: impl FnOnce(&mut CallCounts) -> T,
    ) -> Option<(Measured, Option<T>)> {
        if key.has_quota() {
            return None;
        }
        let of_business =
            (!key.business.limits().is_none()).then(|| self.measure_known(&self.parts_of(key), (now, boot)));
        let rates = key.access.limits.rates.as_slice();
        Some(self.keys.with(&key.id, |in_use| {
            let measured = match of_business {
                Some(measured) => measured,
                None if rates.is_empty() => Measured::default(),
                None => in_use.held.measure(rates, boot),
            };
            let noted = (measured.meter == Meter::Within).then(|| note(&mut in_use.calls));
            (measured, noted)
        }))
    }

    /// Makes sure that the sums of the quotas of this key are known here, so that counting a call waits for nothing. Gives
    /// whether the database was asked, and time went by.
    ///
    /// # Errors
    /// When a sum cannot be read.
    pub(crate) async fn learn(&self, store: &Store, key: &KnownKey, now: Timestamp) -> Result<bool, StoreError> {
        let mut has_asked = false;
        for part in self.parts_of(key) {
            has_asked |= self.know_sums(store, &part, now).await?;
        }
        Ok(has_asked)
    }

    /// The limits that a call with this key has to keep.
    fn parts_of<'a>(&self, key: &'a KnownKey) -> Parts<'a> {
        self.parts(key.id, || key.tenant(), &key.access.limits, key.business.limits())
    }

    /// The limits that a call has to keep. Always in this order, so that two calls cannot wait for each other.
    fn parts<'a>(
        &self,
        key: KeyId,
        tenant: impl FnOnce() -> Tenant,
        of_key: &'a Limits,
        of_business: &'a Limits,
    ) -> Parts<'a> {
        let part = |of, limits, holder| Part { of, limits, counters: self.counters(&holder), holder };
        let mut parts = Parts::new();
        if !of_business.is_none() {
            parts.push(part(LimitOf::Business, of_business, QuotaHolder::Tenant(tenant())));
        }
        if !of_key.is_none() {
            parts.push(part(LimitOf::Key, of_key, QuotaHolder::Key(key)));
        }
        parts
    }

    /// Counts a call by these limits, at an instant and so many nanoseconds after the machine was started.
    async fn measure(
        &self,
        store: &Store,
        parts: &[Part<'_>],
        (now, boot): (Timestamp, u64),
    ) -> Result<Measured, StoreError> {
        for part in parts {
            self.know_sums(store, part, now).await?;
        }
        Ok(self.measure_known(parts, (now, boot)))
    }

    /// The same where every sum is known here.
    fn measure_known(&self, parts: &[Part<'_>], (now, boot): (Timestamp, u64)) -> Measured {
        let mut held: SmallVec<[_; 2]> = parts.iter().map(|part| (part, locked(&part.counters))).collect();
        let (mut rate_wait, mut quota_wait) = (None, None);
        for (part, counters) in &mut held {
            if !part.limits.quota.is_none() {
                counters.turn(now);
            }
            counters.paces.follow(part.limits.rates.as_slice(), boot);
            rate_wait = rate_wait.max(counters.paces.wait(boot));
            for period in PERIODS {
                let spent = part.limits.quota.of(period).is_some_and(|most| counters.used(period).calls() >= most);
                quota_wait = quota_wait.max(spent.then(|| period.left_at(now)));
            }
        }
        let meter = match (rate_wait, quota_wait) {
            (Some(_), _) => Meter::RateLimited,
            (None, Some(_)) => Meter::QuotaExhausted,
            (None, None) => Meter::Within,
        };
        let mut allowances = Allowances::new();
        for (part, counters) in &mut held {
            if meter == Meter::Within {
                count(part, counters, boot);
                if PERIODS.iter().any(|period| part.limits.quota.of(*period).is_some()) {
                    locked(&self.unsummed).insert(part.holder.clone());
                }
            }
            push_allowances(&mut allowances, part, counters, now, boot);
        }
        Measured { meter, retry_after: rate_wait.max(quota_wait), allowances }
    }

    /// Reads the sums of quotas that are not known here yet; gives whether there were any.
    async fn know_sums(&self, store: &Store, part: &Part<'_>, now: Timestamp) -> Result<bool, StoreError> {
        let mut has_asked = false;
        for period in PERIODS {
            if part.limits.quota.of(period).is_none() {
                continue;
            }
            let number = {
                let mut counters = locked(&part.counters);
                counters.turn(now);
                // From now on it is in use: what is learned of it is not forgotten before it was counted by.
                counters.paces.asked = since_boot();
                let used = counters.used(period);
                if used.summed.is_some() {
                    continue;
                }
                used.number
            };
            let sum = store.read_at_door()?.quota_used(&part.holder, period, number).await?;
            has_asked = true;
            let mut counters = locked(&part.counters);
            let used = counters.used(period);
            if used.number == number {
                used.summed.get_or_insert(sum);
            }
        }
        Ok(has_asked)
    }

    /// Sums in the database what was counted since the last time, and learns what others counted.
    ///
    /// # Errors
    /// When the database fails; what was counted is kept for the next time.
    pub(crate) async fn sum(&self, store: &Store) -> Result<(), StoreError> {
        // Whether the database takes anything or not: nobody else keeps memory from filling.
        self.forget_idle(PARTS_PER_SUM, since_boot());
        let mut waiting: Vec<_> = locked(&self.unsummed).drain().collect();
        // In one order, so that two nodes cannot wait for each other.
        waiting.sort_unstable();
        for (at, chunk) in waiting.chunks(HOLDERS_PER_WRITE).enumerate() {
            if let Err(error) = self.sum_some(store, chunk).await {
                locked(&self.unsummed).extend(waiting[at * HOLDERS_PER_WRITE..].iter().cloned());
                return Err(error);
            }
        }
        Ok(())
    }

    fn forget_idle(&self, parts: usize, boot: u64) {
        self.keys.retain(parts, |in_use| !in_use.held.is_idle(boot) || !in_use.calls.is_empty());
        self.tenants.retain(parts, |held| !held.is_idle(boot));
    }

    async fn sum_some(&self, store: &Store, holders: &[QuotaHolder]) -> Result<(), StoreError> {
        let mut more = Vec::new();
        for holder in holders {
            let counters = self.counters(holder);
            let counters = locked(&counters);
            let present =
                PERIODS.into_iter().zip(counters.used).map(|(period, used)| (period, used.number, used.since));
            more.extend(
                counters
                    .left_over
                    .iter()
                    .copied()
                    .chain(present)
                    .filter(|(_, _, used)| *used > 0)
                    .map(|(period, number, used)| QuotaCount { holder: holder.clone(), period, number, used }),
            );
        }
        if more.is_empty() {
            return Ok(());
        }
        let mut tx = store.begin_alone().await?;
        let mut sums = Vec::with_capacity(more.len());
        for count in &more {
            sums.push(tx.add_quota_used(count).await?);
        }
        tx.commit().await?;
        for (count, sum) in more.into_iter().zip(sums) {
            let counters = self.counters(&count.holder);
            let mut counters = locked(&counters);
            let used = counters.used(count.period);
            if used.number == count.number {
                used.summed = Some(sum);
                used.since -= count.used;
            } else if let Some(at) = counters
                .left_over
                .iter()
                .position(|(period, number, _)| (*period, *number) == (count.period, count.number))
            {
                counters.left_over[at].2 -= count.used;
                if counters.left_over[at].2 == 0 {
                    counters.left_over.remove(at);
                }
            }
        }
        Ok(())
    }
}

/// Counts a call.
fn count(part: &Part<'_>, counters: &mut Counters, boot: u64) {
    counters.paces.count(boot);
    for period in PERIODS {
        if part.limits.quota.of(period).is_some() {
            counters.used(period).since += 1;
        }
    }
}

/// Adds where each limit of a part stands.
fn push_allowances(allowances: &mut Allowances, part: &Part<'_>, counters: &mut Counters, now: Timestamp, boot: u64) {
    let of = part.of;
    allowances.extend(counters.paces.allowances(of, boot));
    for period in PERIODS {
        if let Some(limit) = part.limits.quota.of(period) {
            allowances.push(Allowance {
                of,
                over: LimitOver::Period(period),
                limit,
                remaining: limit.saturating_sub(counters.used(period).calls()),
                resets_in: period.left_at(now),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use trousseau_domain::environment::Environment;
    use trousseau_domain::limits::Quota;
    use trousseau_domain::requests::Outcome;
    use trousseau_store::testing::TestDatabase;

    use super::*;
    use crate::holders::PARTS;
    use crate::tally::Tally;

    const SECOND: u64 = 1_000_000_000;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn rates(texts: &[&str]) -> Limits {
        let rates: Vec<RateLimit> = texts.iter().map(|text| text.parse().expect("a rate")).collect();
        Limits { rates: rates.try_into().expect("they go together"), quota: Quota::default() }
    }

    fn quota(day: u64, month: u64) -> Limits {
        Limits { quota: Quota { day: NonZeroU64::new(day), month: NonZeroU64::new(month) }, ..Limits::default() }
    }

    struct Node<'a> {
        limiter: Limiter,
        store: &'a Store,
    }

    impl Node<'_> {
        async fn take(&self, key: u128, of_key: &Limits, of_business: &Limits, when: (&str, u64)) -> Measured {
            let tenant = Tenant::new("1".parse().expect("an id"), Environment::Test);
            let when = (at(when.0), when.1);
            let key = KeyId::from_bits(key);
            let parts = self.limiter.parts(key, || tenant, of_key, of_business);
            self.limiter.measure(self.store, &parts, when).await.expect("measured")
        }
    }

    impl Node<'_> {
        /// The same with the rates of the key alone.
        fn measure(&self, key: u128, limits: &Limits, boot: u64) -> Measured {
            let rates = limits.rates.as_slice();
            self.limiter.keys.with(&KeyId::from_bits(key), |in_use| in_use.held.measure(rates, boot))
        }
    }

    const NOON: &str = "2026-01-31T12:00:00Z";

    #[tokio::test]
    async fn all_limits_hold_and_a_refused_call_counts_nowhere() {
        let database = TestDatabase::sqlite().await;
        let node = Node { limiter: Limiter::default(), store: database.store() };
        let (key, business) = (rates(&["2/1s", "3/1m"]), rates(&["4/1h"]));
        let take = async |id, second| node.take(id, &key, &business, (NOON, second)).await;
        for left in [1, 0] {
            let measured = take(1, SECOND).await;
            assert_eq!((measured.meter, measured.retry_after), (Meter::Within, None));
            assert_eq!(measured.allowances[1].remaining, left);
            assert_eq!(
                measured.allowances.iter().map(ToString::to_string).collect::<Vec<_>>(),
                ["business-3600s", "key-1s", "key-60s"]
            );
        }
        let measured = take(1, SECOND).await;
        assert_eq!((measured.meter, measured.retry_after), (Meter::RateLimited, Some(Duration::from_millis(500))));
        // The second is over, the minute is not; what was refused meanwhile is not held against anybody.
        assert_eq!(take(1, 3 * SECOND).await.meter, Meter::Within);
        let measured = take(1, 5 * SECOND).await;
        assert_eq!((measured.meter, measured.retry_after), (Meter::RateLimited, Some(Duration::from_secs(16))));
        // Another key has its own rates and the business's.
        assert_eq!(take(2, 5 * SECOND).await.meter, Meter::Within);
        assert_eq!(take(3, 5 * SECOND).await.meter, Meter::RateLimited);
    }

    #[tokio::test]
    async fn a_changed_rate_holds_at_once_and_counts_what_was_used() {
        let database = TestDatabase::sqlite().await;
        let node = Node { limiter: Limiter::default(), store: database.store() };
        let take = async |rate: &str, second| {
            let measured = node.take(1, &rates(&[rate]), &Limits::default(), (NOON, second)).await;
            (measured.meter, measured.retry_after, measured.allowances[0].remaining)
        };
        let hour = 3_600 * SECOND;
        assert_eq!(take("1/1h", hour).await, (Meter::Within, None, 0));
        assert_eq!(take("1/1h", hour).await, (Meter::RateLimited, Some(Duration::from_hours(1)), 0));
        // Raised, one call of a hundred is used; lowered again, all of it is.
        assert_eq!(take("100/1h", hour).await, (Meter::Within, None, 98));
        assert_eq!(take("2/1h", hour).await, (Meter::RateLimited, Some(Duration::from_mins(30)), 0));
        assert_eq!(take("2/1h", hour + hour / 2).await, (Meter::Within, None, 0));
        assert_eq!(take("10/1h", hour + hour / 2).await, (Meter::Within, None, 7));
        // Over another time as well, and for one that is added: nobody is free of a limit by changing it.
        assert_eq!(take("10/3601s", hour + hour / 2).await, (Meter::Within, None, 6));
        let two = rates(&["5/1s", "10/3601s"]);
        let measured = node.take(1, &two, &Limits::default(), (NOON, hour + hour / 2)).await;
        assert_eq!(measured.allowances.iter().map(|left| left.remaining).collect::<Vec<_>>(), [0, 5]);
        let counters = node.limiter.counters(&QuotaHolder::Key(KeyId::from_bits(1)));
        assert_eq!(locked(&counters).paces.of_rates.len(), 2, "what is no longer in force is forgotten");
    }

    #[tokio::test]
    async fn a_key_with_rates_alone_is_measured_alike_and_stays_so_when_it_gets_more() {
        let database = TestDatabase::sqlite().await;
        let (one, other) = ([(); 2].map(|()| Node { limiter: Limiter::default(), store: database.store() })).into();
        let limits = rates(&["3/1s", "5/1m"]);
        for tenth in 0..40 {
            let boot = SECOND + tenth * SECOND / 10;
            let short = one.measure(1, &limits, boot);
            assert_eq!(short, other.take(1, &limits, &Limits::default(), (NOON, boot)).await, "{tenth}");
        }
        // What was used counts once there is a quota as well, and when that is gone again.
        let boot = 5 * SECOND;
        let with_quota = Limits { quota: quota(9, 9).quota, ..limits.clone() };
        assert_eq!(one.take(1, &with_quota, &Limits::default(), (NOON, boot)).await.meter, Meter::RateLimited);
        assert_eq!(one.measure(1, &limits, boot).meter, Meter::RateLimited);
        assert_eq!(one.limiter.keys.len(), 1);
        one.limiter.forget_idle(PARTS, boot + KEPT_FOR_NANOS);
        assert_eq!(one.limiter.keys.len(), 1);
        one.limiter.forget_idle(PARTS, boot + 2 * KEPT_FOR_NANOS);
        assert_eq!(one.limiter.keys.len(), 0, "its minute is over");
    }

    #[test]
    fn a_key_whose_calls_wait_is_not_forgotten() {
        let tally = Tally::default();
        let limiter = Limiter::new(Arc::clone(tally.keys()));
        let tenant = Tenant::new("1".parse().expect("an id"), Environment::Test);
        assert!(tally.count(&tenant, KeyId::from_bits(1), Outcome::Succeeded, at(NOON)));
        let later = 10 * KEPT_FOR_NANOS;
        limiter.forget_idle(PARTS, later);
        assert_eq!((limiter.keys.len(), tally.take(9).len()), (1, 1));
        limiter.forget_idle(PARTS, later);
        assert_eq!(limiter.keys.len(), 0);
    }

    #[tokio::test]
    async fn a_quota_holds_over_nodes_restarts_and_midnight() {
        let database = TestDatabase::sqlite().await;
        let node = || Node { limiter: Limiter::default(), store: database.store() };
        let (one, two) = (node(), node());
        let (key, unlimited) = (quota(3, 5), Limits::default());
        let meter = async |node: &Node<'_>, when| node.take(1, &key, &unlimited, (when, SECOND)).await.meter;
        assert_eq!(meter(&one, NOON).await, Meter::Within);
        one.limiter.sum(one.store).await.expect("summed");
        // A node that begins later knows what was used before.
        assert_eq!(meter(&two, NOON).await, Meter::Within);
        assert_eq!(meter(&two, NOON).await, Meter::Within);
        let spent = two.take(1, &key, &unlimited, (NOON, SECOND)).await;
        assert_eq!((spent.meter, spent.retry_after), (Meter::QuotaExhausted, Some(Duration::from_hours(12))));
        assert_eq!(spent.allowances.iter().map(|left| left.remaining).collect::<Vec<_>>(), [0, 2]);
        // The first node learns of it with the next sum, and has let through one more until then.
        assert_eq!(meter(&one, NOON).await, Meter::Within);
        two.limiter.sum(two.store).await.expect("summed");
        one.limiter.sum(one.store).await.expect("summed");
        assert_eq!(meter(&one, NOON).await, Meter::QuotaExhausted);
        // The next day has a quota of its own, the month has not.
        assert_eq!(meter(&one, "2026-01-31T23:59:59Z").await, Meter::QuotaExhausted);
        let next = one.take(1, &key, &unlimited, ("2026-02-01T00:00:00Z", SECOND)).await;
        assert_eq!(next.meter, Meter::Within);
        assert_eq!(next.allowances.iter().map(|left| left.remaining).collect::<Vec<_>>(), [2, 4]);
    }

    #[tokio::test]
    async fn what_was_counted_before_midnight_is_summed_after_it() {
        let database = TestDatabase::sqlite().await;
        let node = Node { limiter: Limiter::default(), store: database.store() };
        let (key, unlimited) = (quota(9, 9), Limits::default());
        node.take(1, &key, &unlimited, ("2026-01-31T23:59:59Z", SECOND)).await;
        node.take(1, &key, &unlimited, ("2026-02-01T00:00:01Z", SECOND)).await;
        for _ in 0..PARTS / PARTS_PER_SUM {
            node.limiter.sum(node.store).await.expect("summed");
        }
        let rows = database.texts("SELECT period || number || '=' || used FROM quota_counts ORDER BY 1").await;
        assert_eq!(rows, ["day20484=1", "day20485=1", "month24312=1", "month24313=1"]);
        assert_eq!(node.limiter.keys.len(), 0, "nobody has used it for a minute");
        // What is not summed yet, or may be used again soon, is kept.
        node.take(1, &key, &unlimited, (NOON, SECOND)).await;
        node.limiter.forget_idle(PARTS, since_boot());
        assert_eq!(node.limiter.keys.len(), 1);
        node.take(1, &key, &unlimited, (NOON, since_boot())).await;
        node.limiter.sum(node.store).await.expect("summed");
        node.limiter.forget_idle(PARTS, since_boot());
        assert_eq!(node.limiter.keys.len(), 1);
    }
}
