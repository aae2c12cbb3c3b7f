//! The rail of EVM networks: reads blocks and transfers from nodes, and believes none of them more than it has to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::Value;
use trousseau_domain::evm::{EvmAddress, Hash32, TransferLog, decode_transfer};
use trousseau_domain::ledger::{Block, LedgerId, Marks, Moved, Observation, Transfer, WrongTransaction};
use trousseau_domain::money::Asset;
use trousseau_domain::time::Timestamp;
use trousseau_store::Store;

use super::SPARE;
use super::rail::{Rail, RailError};
use crate::clock::Clock;
use crate::entropy::{Entropy, EntropyExt as _};
use crate::networks::endpoint::{Call, RpcError};
use crate::networks::rpc::{self, At, Header, Log, Receipt, Within};
use crate::networks::{Late, Network, Unusable, WatchedAddresses, Way};

/// Blocks of which every head is read in one look; beyond them only those that hold something, and the last one.
const HEADS_PER_LOOK: u64 = 128;
/// How many of the latest blocks are asked for their logs by their hashes, which no other fork can answer.
const BY_HASH: u64 = 16;
/// Blocks that one look goes on by at most, while it catches up.
const BLOCKS_PER_LOOK: u64 = 5_000;
/// Addresses up to which a node is asked for their transfers alone; beyond them for all of a token's.
const MOST_BY_ADDRESS: usize = 1_000;
/// The same where all addresses are asked for, which is seldom.
const MOST_LATE_BY_ADDRESS: usize = 5_000;
/// Addresses in one question.
const ADDRESSES_PER_CALL: usize = 500;
/// Addresses read from the database at once.
const ADDRESSES_PER_READ: u32 = 2_000;
/// How far back addresses are read once more: nodes of ours differ in their clocks, and a transaction takes its time.
const READ_AGAIN: Duration = Duration::from_mins(10);
/// How many known blocks are compared at once, on the way down to where two forks part.
const COMPARED: [usize; 4] = [1, 8, 64, 512];

/// The addresses that were given out on a network. None is ever forgotten: what nothing is expected on any more is asked
/// for as well, only less often.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    known: HashMap<EvmAddress, Known>,
    /// How many of them something is expected on, or was lately.
    close: usize,
    read_to: Option<Timestamp>,
}

/// What is known of an address.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// What its payment is in.
    asset: Asset,
    /// Whether nothing is expected there any more.
    is_late: bool,
}

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Those that something is expected on, or was lately.
    Close,
    All,
}

impl Addresses {
    /// Takes up what was given out since the last time. An address is in the database before anybody is told of it, so
    /// a list read after the height of the ledger holds every address that can have received something by then.
    async fn catch_up(
        &mut self,
        store: &Store,
        ledger: &LedgerId,
        late: Late,
        now: Timestamp,
    ) -> Result<(), RailError> {
        let since = match self.read_to {
            Some(read_to) => read_to.saturating_sub(READ_AGAIN),
            None => Timestamp::from_micros(0).expect("1970 is in range"),
        };
        let mut last = None;
        loop {
            let rows = store.read().list_watched(ledger, since, last.as_ref(), ADDRESSES_PER_READ).await?;
            for row in &rows {
                let Ok(address) = row.address.parse() else { continue };
                let is_late = row.over_since.is_some_and(|over| over.saturating_add(late.after) <= now);
                let known = Known { asset: row.asset.unwrap_or(SPARE), is_late };
                let before = self.known.insert(address, known);
                self.close -= usize::from(before.is_some_and(|before| !before.is_late));
                self.close += usize::from(!is_late);
            }
            if rows.len() < ADDRESSES_PER_READ as usize {
                break;
            }
            last = rows.into_iter().next_back();
        }
        self.read_to = Some(now);
        Ok(())
    }

    /// Reads all of them anew: payments are over by now, or are not any more.
    async fn read_anew(
        &mut self,
        store: &Store,
        ledger: &LedgerId,
        late: Late,
        now: Timestamp,
    ) -> Result<(), RailError> {
        let mut fresh = Self::default();
        fresh.catch_up(store, ledger, late, now).await?;
        *self = fresh;
        Ok(())
    }

    /// Whether there are too many of them to name each.
    fn is_whole_token(&self, scope: Scope) -> bool {
        match scope {
            Scope::Close => self.close > MOST_BY_ADDRESS,
            Scope::All => self.known.len() > MOST_LATE_BY_ADDRESS,
        }
    }

    /// Whether asking for those of a scope finds what comes to any of them.
    fn is_all(&self, scope: Scope) -> bool {
        scope == Scope::All || self.close == self.known.len() || self.is_whole_token(scope)
    }

    /// How many there are.
    pub(crate) fn counted(&self) -> WatchedAddresses {
        WatchedAddresses {
            close: self.close,
            late: self.known.len() - self.close,
            whole_token: self.is_whole_token(Scope::Close),
        }
    }
}

/// Why one endpoint cannot be believed, or is of no use, in one look.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error("its blocks and their contents are of different forks")]
    Mixed,
    #[error("it has no block in common with what was seen: another chain, or a reorganisation beyond all that is kept")]
    NothingInCommon,
    #[error("it does not have a block that it spoke of")]
    Lost,
    #[error("it is behind what was seen")]
    Behind,
    #[error(transparent)]
    Rail(#[from] RailError),
}

impl From<RpcError> for Fault {
    fn from(error: RpcError) -> Self {
        Self::Unusable(Unusable::Rpc(error))
    }
}

/// What a node says about a transaction that was handed in, once it is in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It failed and moved nothing.
    Reverted,
    /// It moves none of the asset to the address.
    NotHere,
    /// It moves some of the asset to the address, in a block of this height.
    Pays(u64),
}

/// What a ledger holds of a transaction that is to carry a refund out, once it is in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    /// The height of the block.
    pub(crate) block: u64,
    /// The block's hash, by which it is told from one of another fork.
    pub(crate) block_hash: String,
    pub(crate) does: Does,
}

/// What such a transaction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Does {
    /// It failed and moved nothing.
    Reverted,
    /// It moves something else, for this reason.
    Other(WrongTransaction),
    /// It moves exactly this, at each of these places of the block.
    Exactly(Vec<u32>),
}

/// Looks at one EVM network.
#[derive(Debug)]
pub(crate) struct EvmRail<'a> {
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) network: &'a Network,
}

impl Rail for EvmRail<'_> {
    async fn observe(&self, known: &[Block]) -> Result<Observation, RailError> {
        // One look at a time on this node.
        let mut addresses = self.network.addresses.lock().await;
        let mut behind: Option<Observation> = None;
        let mut failed = None;
        for way in self.network.ways() {
            match self.observe_by(way, known, &mut addresses).await {
                // It has fewer blocks than were seen: maybe another one has them all. It is no reorganisation unless
                // a hash differs.
                Ok(seen) if seen.ledger_height < seen.holds_to => {
                    self.network.went_well(way, seen.ledger_height, self.clock.now(), |_| {});
                    behind.get_or_insert(seen);
                }
                Ok(seen) => {
                    let height = seen.ledger_height;
                    self.network.went_well(way, height, self.clock.now(), |health| health.height = height);
                    return Ok(seen);
                }
                Err(Fault::Rail(error)) => return Err(error),
                Err(error) => {
                    self.went_wrong(way, &error);
                    failed = Some(error);
                }
            }
        }
        match (behind, failed) {
            (Some(seen), _) => Ok(seen),
            (None, Some(error)) => Err(RailError::NoEndpoint(self.network.settings.chain.clone(), error.to_string())),
            (None, None) => Err(RailError::NoEndpoint(self.network.settings.chain.clone(), "there is none".to_owned())),
        }
    }
}

/// Tries one endpoint after the other until one does what is asked.
macro_rules! by_any {
    ($rail:expr, $way:ident => $asked:expr) => {{
        let mut failed = "there is none".to_owned();
        for $way in $rail.network.ways() {
            match $asked.await {
                Ok(answer) => return Ok(answer),
                Err(Fault::Rail(error)) => return Err(error),
                Err(error) => {
                    $rail.went_wrong($way, &error);
                    failed = error.to_string();
                }
            }
        }
        Err(RailError::NoEndpoint($rail.network.settings.chain.clone(), failed))
    }};
}

/// The first answer of an endpoint that knows of something. None where those that answer do not: one that is behind does
/// not have it yet.
macro_rules! by_one_that_knows {
    ($rail:expr, $way:ident => $asked:expr) => {{
        let (mut failed, mut is_unknown) = ("there is none".to_owned(), false);
        for $way in $rail.network.ways() {
            match $asked.await {
                Ok(Some(answer)) => return Ok(Some(answer)),
                Ok(None) => is_unknown = true,
                Err(error) => {
                    $rail.went_wrong($way, &error);
                    failed = error.to_string();
                }
            }
        }
        if is_unknown {
            return Ok(None);
        }
        Err(RailError::NoEndpoint($rail.network.settings.chain.clone(), failed))
    }};
}

impl EvmRail<'_> {
    fn ledger(&self) -> LedgerId {
        self.network.settings.ledger()
    }

    fn went_wrong(&self, way: &Way, error: &Fault) {
        let [chance] = self.entropy.bytes::<1>();
        self.network.went_wrong(way, error, chance, self.clock.now());
    }

    /// What came to any address in blocks that were looked at for the others already, from one height to another, with
    /// the time of the blocks. Reads all addresses anew first. Only an endpoint counts that has `top`, the last block
    /// that was seen: below it there is one chain then.
    ///
    /// # Errors
    /// [`RailError`] where no endpoint answers or none has that block.
    pub(crate) async fn observe_late(
        &self,
        top: &Block,
        range: (u64, u64),
    ) -> Result<(Vec<Transfer>, Vec<Block>), RailError> {
        let mut addresses = self.network.addresses.lock().await;
        self.read_anew(&mut addresses).await?;
        by_any!(self, way => self.late_by(way, top, range, &addresses))
    }

    async fn late_by(
        &self,
        way: &Way,
        top: &Block,
        (from, to): (u64, u64),
        addresses: &Addresses,
    ) -> Result<(Vec<Transfer>, Vec<Block>), Fault> {
        self.network.check(way, self.clock.now()).await?;
        let header: Option<Header> = rpc::read(way.ask(&rpc::header(At::Number(top.number))).await?)?;
        if !header.is_some_and(|header| is_same(&header, top)) {
            return Err(Fault::Lost);
        }
        let (blocks, logs) = self.read_widely(way, from, to, addresses, Scope::All).await?;
        Ok((self.transfers(&logs, addresses), blocks))
    }

    /// Reads all addresses anew.
    pub(crate) async fn refresh(&self) -> Result<(), RailError> {
        self.read_anew(&mut *self.network.addresses.lock().await).await
    }

    async fn read_anew(&self, addresses: &mut Addresses) -> Result<(), RailError> {
        addresses.read_anew(self.store, &self.ledger(), self.network.settings.late, self.clock.now()).await
    }

    /// The highest of these blocks, given from the highest down, that the network has.
    ///
    /// # Errors
    /// [`RailError`] where no endpoint answers, or all are behind.
    pub(crate) async fn highest_of(&self, blocks: &[(u64, String)]) -> Result<Option<u64>, RailError> {
        by_any!(self, way => self.highest_by(way, blocks))
    }

    async fn highest_by(&self, way: &Way, blocks: &[(u64, String)]) -> Result<Option<u64>, Fault> {
        self.network.check(way, self.clock.now()).await?;
        let (height, _) = self.head_of(way).await?;
        let there: Vec<_> = blocks.iter().filter(|(number, _)| *number <= height).collect();
        let calls: Vec<_> = there.iter().map(|(number, _)| rpc::header(At::Number(*number))).collect();
        let answers = way.ask_all(&calls).await?;
        for (place, ((number, hash), answer)) in there.iter().zip(answers).enumerate() {
            let header: Option<Header> = rpc::read(answer?)?;
            if header.is_some_and(|header| header.hash.to_string() == *hash) {
                // All that it has is as it was seen: it only lacks the rest.
                let is_behind = place == 0 && there.len() < blocks.len();
                return if is_behind { Err(Fault::Behind) } else { Ok(Some(*number)) };
            }
        }
        Ok(None)
    }

    /// Which of these blocks, by their hashes, the network has.
    ///
    /// # Errors
    /// [`RailError`] where no endpoint answers, or all are behind.
    pub(crate) async fn still_there(&self, blocks: &BTreeSet<(u64, String)>) -> Result<BTreeSet<String>, RailError> {
        by_any!(self, way => self.still_there_by(way, blocks))
    }

    async fn still_there_by(&self, way: &Way, blocks: &BTreeSet<(u64, String)>) -> Result<BTreeSet<String>, Fault> {
        let Some((highest, _)) = blocks.last() else { return Ok(BTreeSet::new()) };
        self.network.check(way, self.clock.now()).await?;
        if self.head_of(way).await?.0 < *highest {
            return Err(Fault::Behind);
        }
        let calls: Vec<_> = blocks.iter().map(|(number, _)| rpc::header(At::Number(*number))).collect();
        let mut there = BTreeSet::new();
        for ((_, hash), answer) in blocks.iter().zip(way.ask_all(&calls).await?) {
            let header: Option<Header> = rpc::read(answer?)?;
            if header.is_some_and(|header| header.hash.to_string() == *hash) {
                there.insert(hash.clone());
            }
        }
        Ok(there)
    }

    /// Everything from a block on, whatever was seen of it, for all addresses. `after` is what was read of it before:
    /// then only what came since.
    ///
    /// # Errors
    /// [`RailError`] where no endpoint answers.
    pub(crate) async fn observe_from(&self, from: u64, after: Option<&Observation>) -> Result<Observation, RailError> {
        let mut addresses = self.network.addresses.lock().await;
        self.read_anew(&mut addresses).await?;
        by_any!(self, way => self.read_from_by(way, from, after, &addresses))
    }

    async fn read_from_by(
        &self,
        way: &Way,
        from: u64,
        after: Option<&Observation>,
        addresses: &Addresses,
    ) -> Result<Observation, Fault> {
        self.network.check(way, self.clock.now()).await?;
        let (height, marks) = self.head_of(way).await?;
        if height < from {
            return Err(Fault::Behind);
        }
        let begun = Observation {
            holds_to: from - 1,
            blocks: Vec::new(),
            transfers: Vec::new(),
            ledger_time: self.clock.now(),
            marks,
            ledger_height: height,
            saw_all: true,
        };
        let mut seen = Observation { marks, ledger_height: height, ..after.cloned().unwrap_or(begun) };
        while seen.head() < height {
            let next = seen.head() + 1;
            // The last blocks are read one by one, so that the next reorganisation is followed as any other.
            let (blocks, logs) = if height - next < HEADS_PER_LOOK {
                self.read_closely(way, seen.blocks.last(), next, height, addresses, Scope::All).await?
            } else {
                let to = (next + BLOCKS_PER_LOOK - 1).min(height - HEADS_PER_LOOK);
                self.read_widely(way, next, to, addresses, Scope::All).await?
            };
            seen.transfers.extend(self.transfers(&logs, addresses));
            seen.blocks.extend(blocks);
        }
        // Every block that was read is still there: it was one chain all the time.
        let calls: Vec<_> = seen.blocks.iter().map(|block| rpc::header(At::Number(block.number))).collect();
        let headers = read_headers(way.ask_all(&calls).await?)?;
        if !headers.iter().zip(&seen.blocks).all(|(header, block)| is_same(header, block)) {
            return Err(Fault::Mixed);
        }
        seen.ledger_time = seen.blocks.last().ok_or(Fault::Lost)?.at;
        Ok(seen)
    }

    /// How high a node is, and what it calls safe and final.
    async fn head_of(&self, way: &Way) -> Result<(u64, Marks), Fault> {
        let mut answers = way
            .ask_all(&[rpc::header(At::Latest), rpc::header(At::Safe), rpc::header(At::Finalized)])
            .await?
            .into_iter();
        let latest = answers.next().unwrap_or(Err(RpcError::Malformed("there is no answer")))?;
        let latest: Header = rpc::read(latest)?;
        // A chain without these words leaves them out or refuses.
        let mut mark = || answers.next()?.ok().and_then(|value| rpc::read::<Option<Header>>(value).ok()?);
        let safe = mark().map(|header| header.number.0);
        Ok((latest.number.0, Marks { safe, finalized: mark().map(|header| header.number.0) }))
    }

    async fn observe_by(&self, way: &Way, known: &[Block], addresses: &mut Addresses) -> Result<Observation, Fault> {
        self.network.check(way, self.clock.now()).await?;
        let needs_marks = self.network.settings.confirmations.needs_marks();
        let mut calls = vec![rpc::header(At::Latest)];
        calls.extend(known.first().map(|block| rpc::header(At::Number(block.number))));
        if needs_marks {
            calls.extend([rpc::header(At::Safe), rpc::header(At::Finalized)]);
        }
        let mut answers = way.ask_all(&calls).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Err(RpcError::Malformed("there is no answer")));
        let latest: Header = rpc::read(next()?)?;
        let top: Option<Header> = if known.is_empty() { None } else { rpc::read(next()?)? };
        // A chain without these words leaves them out or refuses; then nothing is final by them.
        let mut mark = || next().ok().and_then(|value| rpc::read::<Option<Header>>(value).ok()?);
        let marks = if needs_marks {
            Marks { safe: mark().map(|header| header.number.0), finalized: mark().map(|header| header.number.0) }
        } else {
            Marks::default()
        };
        let height = latest.number.0;
        let holds_to = match known.first() {
            // The first look. Nothing that came before it can be ours, but a fork may part before it.
            None => height.saturating_sub(HEADS_PER_LOOK),
            Some(first) if top.as_ref().is_some_and(|top| is_same(top, first)) => first.number,
            Some(first) if height < first.number => match Self::fork_point(way, known, height).await? {
                // All that it has is as it was seen: it is only behind.
                point
                    if known.iter().find(|block| block.number <= height).is_some_and(|block| block.number == point) =>
                {
                    first.number
                }
                point => point,
            },
            Some(_) => Self::fork_point(way, known, height).await?,
        };
        let blank = |ledger_time| Observation {
            holds_to,
            blocks: Vec::new(),
            transfers: Vec::new(),
            ledger_time,
            marks,
            ledger_height: height,
            // No block means nothing that was not asked for.
            saw_all: true,
        };
        let before = known.iter().find(|block| block.number == holds_to);
        if height <= holds_to {
            let time = before.map(|block| block.at);
            let latest = latest.block().ok_or(Fault::Lost)?;
            return Ok(blank(time.unwrap_or(latest.at)));
        }
        addresses.catch_up(self.store, &self.ledger(), self.network.settings.late, self.clock.now()).await?;
        let from = holds_to + 1;
        // The last blocks are read one by one, in a look of their own: the next reorganisation parts among them.
        let (blocks, logs) = if height - from < HEADS_PER_LOOK {
            self.read_closely(way, before, from, height, addresses, Scope::Close).await?
        } else {
            let to = (holds_to + BLOCKS_PER_LOOK).min(height - HEADS_PER_LOOK);
            self.read_widely(way, from, to, addresses, Scope::Close).await?
        };
        let transfers = self.transfers(&logs, addresses);
        let ledger_time = blocks.last().ok_or(Fault::Lost)?.at;
        Ok(Observation { blocks, transfers, saw_all: addresses.is_all(Scope::Close), ..blank(ledger_time) })
    }

    /// The highest known block that the node has too. Everything above it is gone.
    async fn fork_point(way: &Way, known: &[Block], height: u64) -> Result<u64, Fault> {
        let mut rest: Vec<_> = known.iter().filter(|block| block.number <= height).collect();
        for compared in COMPARED {
            let some: Vec<_> = rest.drain(..compared.min(rest.len())).collect();
            let calls: Vec<_> = some.iter().map(|block| rpc::header(At::Number(block.number))).collect();
            let answers = way.ask_all(&calls).await?;
            for (block, answer) in some.into_iter().zip(answers) {
                let header: Option<Header> = rpc::read(answer?)?;
                if header.is_some_and(|header| is_same(&header, block)) {
                    return Ok(block.number);
                }
            }
        }
        Err(Fault::NothingInCommon)
    }

    /// Reads every head from one height to another, and the logs of these very blocks.
    async fn read_closely(
        &self,
        way: &Way,
        before: Option<&Block>,
        from: u64,
        to: u64,
        addresses: &Addresses,
        scope: Scope,
    ) -> Result<(Vec<Block>, Vec<Log>), Fault> {
        let calls: Vec<_> = (from..=to).map(|number| rpc::header(At::Number(number))).collect();
        let headers = read_headers(way.ask_all(&calls).await?)?;
        let blocks: Vec<_> = headers.iter().map(Header::block).collect::<Option<_>>().ok_or(Fault::Lost)?;
        let mut parent = before;
        for block in &blocks {
            if parent.is_some_and(|parent| parent.hash != block.parent || parent.number + 1 != block.number) {
                return Err(Fault::Mixed);
            }
            parent = Some(block);
        }
        // A node behind a load balancer may be another one, which lacks the last blocks and says nothing of that.
        let by_hash = to.saturating_sub(BY_HASH - 1).max(from);
        let mut logs = if from < by_hash {
            self.logs_between(way, (from, by_hash - 1), (addresses, scope), |_| true).await?
        } else {
            Vec::new()
        };
        let last = headers.iter().filter(|header| header.number.0 >= by_hash);
        let calls: Vec<_> =
            last.flat_map(|header| self.questions(Within::Block(header.hash), addresses, scope)).collect();
        for answer in way.ask_all(&calls).await? {
            logs.append(&mut rpc::read(answer?)?);
        }
        cross_check(&logs, &headers)?;
        Ok((blocks, logs))
    }

    /// Reads the logs of many blocks, and the heads of those that hold something for us and of the last one.
    async fn read_widely(
        &self,
        way: &Way,
        from: u64,
        to: u64,
        addresses: &Addresses,
        scope: Scope,
    ) -> Result<(Vec<Block>, Vec<Log>), Fault> {
        // Of a busy token there may be more than the memory holds.
        let ours = |log: &Log| self.transfer(log, addresses).is_some();
        let logs = self.logs_between(way, (from, to), (addresses, scope), ours).await?;
        let mut numbers: Vec<_> = logs.iter().map(|log| log.block_number.0).chain([to]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let calls: Vec<_> = numbers.iter().map(|number| rpc::header(At::Number(*number))).collect();
        let headers = read_headers(way.ask_all(&calls).await?)?;
        cross_check(&logs, &headers)?;
        Ok((headers.iter().map(Header::block).collect::<Option<_>>().ok_or(Fault::Lost)?, logs))
    }

    /// The logs of a range that are to be kept, in pieces as large as the node answers.
    async fn logs_between(
        &self,
        way: &Way,
        (from, to): (u64, u64),
        asked: (&Addresses, Scope),
        keep: impl Fn(&Log) -> bool + Send,
    ) -> Result<Vec<Log>, Fault> {
        let mut logs = Vec::new();
        let mut next = from;
        while next <= to {
            let end = to.min(next + way.span().size() - 1);
            match self.logs_within(way, Within::Range(next, end), asked).await {
                Ok(some) => {
                    way.span().was_answered();
                    logs.extend(some.into_iter().filter(&keep));
                    next = end + 1;
                }
                Err(error) if end > next && error.may_be_too_much() => way.span().was_too_much(end - next + 1),
                Err(error) => {
                    // Whoever is silent about a large range may answer a smaller one the next time.
                    if error == RpcError::Deadline {
                        way.span().was_too_much(end - next + 1);
                    }
                    return Err(error.into());
                }
            }
        }
        Ok(logs)
    }

    async fn logs_within(
        &self,
        way: &Way,
        within: Within,
        (addresses, scope): (&Addresses, Scope),
    ) -> Result<Vec<Log>, RpcError> {
        let mut logs = Vec::new();
        for answer in way.ask_all(&self.questions(within, addresses, scope)).await? {
            logs.append(&mut rpc::read(answer?)?);
        }
        Ok(logs)
    }

    /// What to ask for: the transfers to a few addresses, or all of the tokens' where there are many.
    fn questions(&self, within: Within, addresses: &Addresses, scope: Scope) -> Vec<Call> {
        let settings = &self.network.settings;
        let tokens = settings.tokens.iter().map(|token| token.contract);
        let contracts: Vec<_> = tokens.chain(settings.noticed.iter().copied()).collect();
        if addresses.is_whole_token(scope) {
            return vec![rpc::transfers(within, &contracts, None)];
        }
        let asked = addresses.known.iter().filter(|(_, known)| scope == Scope::All || !known.is_late);
        let mut all: Vec<_> = asked.map(|(address, _)| *address).collect();
        // The same question for the same addresses, whatever the order of the map.
        all.sort_unstable();
        all.chunks(ADDRESSES_PER_CALL).map(|some| rpc::transfers(within, &contracts, Some(some))).collect()
    }

    /// The transfers to addresses of ours, in the ledger's order.
    fn transfers(&self, logs: &[Log], addresses: &Addresses) -> Vec<Transfer> {
        let transfers = logs.iter().filter_map(|log| self.transfer(log, addresses));
        // A log that came twice is one all the same.
        let ordered: BTreeMap<_, _> =
            transfers.map(|transfer| ((transfer.block, transfer.log_index), transfer)).collect();
        ordered.into_values().collect()
    }

    /// The transfer that a log tells of: by a contract of the settings, in the exact form, to an address of ours.
    fn transfer(&self, log: &Log, addresses: &Addresses) -> Option<Transfer> {
        let settings = &self.network.settings;
        let token = settings.tokens.iter().find(|token| token.contract == log.address);
        if token.is_none() && !settings.noticed.contains(&log.address) {
            return None;
        }
        let told = decode_transfer(&log.topics, &log.data()?).ok()?;
        let expected = addresses.known.get(&told.to)?;
        let is_accepted = token.is_some_and(|token| token.asset == expected.asset);
        Some(Transfer {
            network: settings.chain.clone(),
            block: log.block_number.0,
            block_hash: log.block_hash.to_string(),
            log_index: u32::try_from(log.log_index.0).ok()?,
            transaction_hash: log.transaction_hash.to_string(),
            asset: if is_accepted { Moved::Accepted } else { Moved::Other },
            contract: Some(log.address),
            from: told.from.to_string(),
            to: told.to.to_string(),
            amount: told.amount,
        })
    }

    /// What the network says about a transaction that is said to pay an address; none while no node has it in a block.
    ///
    /// # Errors
    /// [`RailError`] where no endpoint answers.
    pub(crate) async fn verify(
        &self,
        transaction: Hash32,
        to: EvmAddress,
        asset: Asset,
    ) -> Result<Option<Verdict>, RailError> {
        by_one_that_knows!(self, way => self.verify_by(way, transaction, to, asset))
    }

    /// To whom a transaction moves an accepted token; nobody where it failed, or is in no block (yet).
    ///
    /// # Errors
    /// [`RailError`] where no endpoint answers.
    pub(crate) async fn recipients(&self, transaction: Hash32, asset: Asset) -> Result<Vec<EvmAddress>, RailError> {
        self.first_recipients(transaction, asset).await.map(Option::unwrap_or_default)
    }

    async fn first_recipients(&self, hash: Hash32, asset: Asset) -> Result<Option<Vec<EvmAddress>>, RailError> {
        by_one_that_knows!(self, way => self.recipients_by(way, hash, asset))
    }

    async fn recipients_by(
        &self,
        way: &Way,
        transaction: Hash32,
        asset: Asset,
    ) -> Result<Option<Vec<EvmAddress>>, Fault> {
        self.network.check(way, self.clock.now()).await?;
        let found: Option<Receipt> = rpc::read(way.ask(&rpc::receipt(transaction)).await?)?;
        let Some(receipt) = found.filter(|receipt| receipt.status.0 == 1) else { return Ok(None) };
        Ok(Some(self.accepted(&receipt, asset).map(|told| told.to).collect()))
    }

    /// The transfers of an asset in a receipt.
    fn accepted(&self, receipt: &Receipt, asset: Asset) -> impl Iterator<Item = TransferLog> {
        let contract = self.network.settings.token_of(asset);
        let accepted = move |log: &&Log| Some(log.address) == contract;
        let transfers = receipt.logs.iter().filter(accepted);
        let transfers = transfers.filter_map(|log| decode_transfer(&log.topics, &log.data()?).ok());
        transfers.filter(|told| told.amount.units() != Some(0))
    }

    /// Whether a transaction moves exactly so much of a token to an address; none while it is in no block.
    ///
    /// # Errors
    /// [`RailError`] where no endpoint answers.
    pub(crate) async fn carried(
        &self,
        transaction: Hash32,
        token: EvmAddress,
        to: EvmAddress,
        units: i64,
    ) -> Result<Option<Carried>, RailError> {
        by_one_that_knows!(self, way => self.carried_by(way, transaction, token, to, units))
    }

    async fn carried_by(
        &self,
        way: &Way,
        transaction: Hash32,
        token: EvmAddress,
        to: EvmAddress,
        units: i64,
    ) -> Result<Option<Carried>, Fault> {
        self.network.check(way, self.clock.now()).await?;
        let found: Option<Receipt> = rpc::read(way.ask(&rpc::receipt(transaction)).await?)?;
        let Some(receipt) = found else { return Ok(None) };
        // A receipt may be of a block that is on no chain any more.
        let block = receipt.block_number.0;
        let header: Option<Header> = rpc::read(way.ask(&rpc::header(At::Number(block))).await?)?;
        if header.is_none_or(|header| header.hash != receipt.block_hash) {
            return Ok(None);
        }
        let carried = |does| Ok(Some(Carried { block, block_hash: receipt.block_hash.to_string(), does }));
        if receipt.status.0 != 1 {
            return carried(Does::Reverted);
        }
        let ours = receipt.logs.iter().filter(|log| log.address == token && log.block_hash == receipt.block_hash);
        let told = ours.filter_map(|log| {
            let told = decode_transfer(&log.topics, &log.data()?).ok()?;
            Some((told, u32::try_from(log.log_index.0).ok()?))
        });
        let told: Vec<_> = told.collect();
        if told.is_empty() {
            return carried(Does::Other(WrongTransaction::OtherToken));
        }
        let theirs: Vec<_> = told.into_iter().filter(|(told, _)| told.to == to).collect();
        if theirs.is_empty() {
            return carried(Does::Other(WrongTransaction::OtherAddress));
        }
        let exact = theirs.into_iter().filter(|(told, _)| told.amount.units() == Some(units));
        let logs: Vec<_> = exact.map(|(_, log)| log).collect();
        carried(if logs.is_empty() { Does::Other(WrongTransaction::OtherAmount) } else { Does::Exactly(logs) })
    }

    async fn verify_by(
        &self,
        way: &Way,
        transaction: Hash32,
        to: EvmAddress,
        asset: Asset,
    ) -> Result<Option<Verdict>, Fault> {
        self.network.check(way, self.clock.now()).await?;
        let found: Option<Receipt> = rpc::read(way.ask(&rpc::receipt(transaction)).await?)?;
        let Some(receipt) = found else { return Ok(None) };
        if receipt.status.0 != 1 {
            return Ok(Some(Verdict::Reverted));
        }
        if !self.accepted(&receipt, asset).any(|told| told.to == to) {
            return Ok(Some(Verdict::NotHere));
        }
        // A receipt may be of a block that is on no chain any more.
        let at = receipt.block_number.0;
        let header: Option<Header> = rpc::read(way.ask(&rpc::header(At::Number(at))).await?)?;
        let is_canonical = header.is_some_and(|header| header.hash == receipt.block_hash);
        Ok(is_canonical.then_some(Verdict::Pays(at)))
    }
}

fn is_same(header: &Header, block: &Block) -> bool {
    header.number.0 == block.number && header.hash.to_string() == block.hash
}

fn read_headers(answers: Vec<Result<Value, RpcError>>) -> Result<Vec<Header>, Fault> {
    let header = |answer: Result<Value, RpcError>| rpc::read::<Option<Header>>(answer?)?.ok_or(Fault::Lost);
    answers.into_iter().map(header).collect()
}

/// Refuses logs of other blocks than those whose heads were read: a node behind a load balancer may be two nodes.
fn cross_check(logs: &[Log], headers: &[Header]) -> Result<(), Fault> {
    let hashes: HashMap<_, _> = headers.iter().map(|header| (header.number.0, header.hash)).collect();
    let agree = logs.iter().all(|log| !log.removed && hashes.get(&log.block_number.0) == Some(&log.block_hash));
    if agree { Ok(()) } else { Err(Fault::Mixed) }
}
