//! The engine: turns what rails saw into where payments stand.
//!
//! One look is one transaction: blocks, deposits, cursor, states, audit and events. A crash anywhere means to look
//! again, and looking again changes nothing.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;
use trousseau_domain::events::{AuditAction, EventType};
use trousseau_domain::ids::{DepositId, PaymentId};
use trousseau_domain::ledger::{
    Block, ConfirmationPolicy, Confirmations, LedgerId, Marks, Moved, Observation, Transfer,
};
use trousseau_domain::money::Money;
use trousseau_domain::networks::ChainId;
use trousseau_domain::payments::{Counted, Observed, PaymentEvent, PaymentState};
use trousseau_domain::time::Timestamp;
use trousseau_store::{ChangeKind, CursorRow, DepositRow, Destination, GivenBack, PaidFor, PaymentRow};

use super::evm_rail::EvmRail;
use super::rail::{Rail as _, RailError, TEST_CONFIRMATIONS, TestRail};
use super::{refunds, view};
use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;

/// How many blocks are remembered; no reorganisation goes deeper.
const KNOWN_BLOCKS: u32 = 512;
/// Blocks that are read at once for addresses that nothing is expected on.
const LATE_BLOCKS_PER_LOOK: u64 = 5_000;
/// Blocks with deposits that are compared at once, on the way down to where two forks part.
const ANCHORS_PER_READ: u32 = 100;
/// How many payments for one thing are looked through for the one that pays it after all.
const MOST_BESIDE: u32 = 100;
/// How often a look is tried that somebody else's look crossed.
const TRIES: u32 = 10;

/// How certain the blocks of a ledger are, as far as it was seen.
#[derive(Debug, Clone)]
pub(crate) struct Certainty {
    policy: ConfirmationPolicy,
    height: u64,
    marks: Marks,
    /// The ledger's own time.
    pub(crate) ledger_time: Timestamp,
}

impl Certainty {
    /// What was seen of a ledger up to the last look; `now` where there was none.
    pub(crate) fn of(core: &Core, ledger: &LedgerId, cursor: Option<&CursorRow>, now: Timestamp) -> Self {
        let (height, marks, ledger_time) = match cursor {
            Some(cursor) => (cursor.height, cursor.marks, cursor.ledger_time),
            None => (0, Marks::default(), now),
        };
        Self { policy: policy_of(core, ledger), height, marks, ledger_time }
    }

    /// The lowest block that is not final for a payment of this price.
    pub(crate) fn first_open(&self, due: Money) -> u64 {
        self.policy.needed(due).first_open(self.height, self.marks)
    }

    /// The highest block that is final for every amount; none before there is one.
    pub(crate) fn last_final(&self) -> Option<u64> {
        self.policy.lowest_open(self.height, self.marks).checked_sub(1).filter(|block| *block > 0)
    }

    /// What it takes for a payment of this price to be final.
    pub(crate) fn needed(&self, due: Money) -> Confirmations {
        self.policy.needed(due)
    }

    /// Whether a block is not final for a payment of this price.
    pub(crate) fn is_open(&self, due: Money, block: u64) -> bool {
        block >= self.first_open(due)
    }

    /// How many confirmations a block has and how many it takes, where that is counted and some are lacking.
    pub(crate) fn count(&self, due: Money, block: u64) -> Option<(u32, u32)> {
        let Confirmations::Blocks(needed) = self.policy.needed(due) else { return None };
        let count = u32::try_from((self.height + 1).saturating_sub(block)).unwrap_or(u32::MAX);
        (count < needed).then_some((count, needed))
    }
}

/// When a transfer on a ledger is final.
fn policy_of(core: &Core, ledger: &LedgerId) -> ConfirmationPolicy {
    match (core.networks.on(ledger), ledger) {
        (Some(network), _) => network.settings.confirmations.clone(),
        (None, LedgerId::Test(_)) => ConfirmationPolicy::every(Confirmations::Blocks(TEST_CONFIRMATIONS)),
        // A network that is not watched any more makes nothing final.
        (None, LedgerId::Network(..)) => ConfirmationPolicy::every(Confirmations::Finalized),
    }
}

/// What one look at a ledger came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looked {
    /// The height up to which it was seen.
    pub(crate) height: u64,
    /// Its own time there.
    pub(crate) ledger_time: Timestamp,
    /// Whether another look would bring more at once.
    pub(crate) is_behind: bool,
    /// Whether blocks were taken back.
    pub(crate) took_back: bool,
    /// Whether it went on, or knows more of how certain its blocks are.
    pub(crate) moved: bool,
    /// How many blocks were taken back at most, in all time.
    pub(crate) deepest: u64,
    /// What it calls safe and final.
    pub(crate) marks: Marks,
}

/// Why a ledger was looked at.
enum Cause<'a> {
    /// It may have gone on.
    Look,
    /// For addresses that nothing is expected on, up to this height.
    Late(u64),
    /// Somebody wants it read once more. Of these blocks, by their hashes, it is known that they are there.
    Rescan(&'a Context, BTreeSet<String>),
}

/// What reading a network once more came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescanned {
    /// Which network.
    pub network: ChainId,
    /// The first block that was read.
    pub from_block: u64,
    /// The last one.
    pub to_block: u64,
    /// Transfers to addresses of ours that were found there.
    pub transfers: usize,
    /// Payments that stand otherwise than before.
    pub changed: usize,
}

/// Looks at a ledger, and settles what follows.
///
/// # Errors
/// [`ServiceError::Conflict`] if others were faster every time, and what the database and the rail end in.
pub(crate) async fn look(core: &Core, ledger: &LedgerId) -> Result<Looked, ServiceError> {
    let looked = look_only(core, ledger).await?;
    // Of a network its watcher asks, in a step of its own: nodes take their time, and deposits do not wait for it.
    if looked.moved && matches!(ledger, LedgerId::Test(_)) {
        refunds::follow(core, ledger).await?;
    }
    Ok(looked)
}

/// The same without a question about the refunds that wait for the ledger.
///
/// # Errors
/// As [`look`].
pub(crate) async fn look_only(core: &Core, ledger: &LedgerId) -> Result<Looked, ServiceError> {
    for _ in 0..TRIES {
        match look_once(core, ledger).await {
            Err(ServiceError::Conflict) => tokio::task::yield_now().await,
            other => return other,
        }
    }
    Err(ServiceError::Conflict)
}

async fn look_once(core: &Core, ledger: &LedgerId) -> Result<Looked, ServiceError> {
    let cursor = cursor_of(core, ledger).await?;
    let known = core.store.read().list_blocks(ledger, KNOWN_BLOCKS).await?;
    let seen = observe(core, ledger, &known).await?;
    apply(core, cursor, &seen, &times_of(&seen), Cause::Look).await.map(|(looked, _)| looked)
}

/// The ledger's own time of the blocks in a look, by height.
fn times_of(seen: &Observation) -> HashMap<u64, Timestamp> {
    seen.blocks.iter().map(|block| (block.number, block.at)).collect()
}

async fn observe(core: &Core, ledger: &LedgerId, known: &[Block]) -> Result<Observation, RailError> {
    match ledger {
        LedgerId::Test(business) => {
            let rail = TestRail { store: &core.store, clock: core.clock.as_ref(), business: business.clone() };
            rail.observe(known).await
        }
        LedgerId::Network(..) => evm_rail(core, ledger)?.observe(known).await,
    }
}

/// The rail of a ledger that is on a network, where that is watched for the ledger's environment.
pub(crate) fn evm_rail<'a>(core: &'a Core, ledger: &LedgerId) -> Result<EvmRail<'a>, RailError> {
    let network = core.networks.on(ledger).ok_or_else(|| RailError::Unknown(ledger.clone()))?;
    Ok(EvmRail { store: &core.store, clock: core.clock.as_ref(), entropy: core.entropy.as_ref(), network })
}

/// Tells the engine of the last blocks once more, as a careless provider would.
pub(crate) async fn look_again(core: &Core, ledger: &LedgerId, blocks: u64) -> Result<(), ServiceError> {
    let cursor = cursor_of(core, ledger).await?;
    let mut known = core.store.read().list_blocks(ledger, KNOWN_BLOCKS).await?;
    known.retain(|block| block.number + blocks <= cursor.height);
    let mut seen = observe(core, ledger, &known).await?;
    let times = times_of(&seen);
    // The blocks themselves are known; only what they hold comes twice.
    seen.transfers.retain(|transfer| transfer.block <= cursor.height);
    seen.blocks.clear();
    seen.holds_to = cursor.height;
    apply(core, cursor, &seen, &times, Cause::Look).await?;
    Ok(())
}

/// Asks for the addresses that nothing is expected on, as far as the others were asked for.
///
/// # Errors
/// As [`look`].
pub(crate) async fn look_late(core: &Core, ledger: &LedgerId) -> Result<(), ServiceError> {
    if matches!(ledger, LedgerId::Test(_)) {
        return Ok(());
    }
    let rail = evm_rail(core, ledger)?;
    let mut tries = 0;
    loop {
        let cursor = cursor_of(core, ledger).await?;
        let top = core.store.read().list_blocks(ledger, 1).await?.pop();
        let Some(top) = top.filter(|top| top.number == cursor.height && cursor.late_height < cursor.height) else {
            // All were asked for; some may be over by now.
            return Ok(rail.refresh().await?);
        };
        let (from, to) = (cursor.late_height + 1, cursor.height.min(cursor.late_height + LATE_BLOCKS_PER_LOOK));
        let (transfers, blocks) = rail.observe_late(&top, (from, to)).await?;
        let seen = Observation {
            holds_to: cursor.height,
            blocks: Vec::new(),
            transfers,
            ledger_time: cursor.ledger_time,
            marks: cursor.marks,
            ledger_height: cursor.height,
            saw_all: false,
        };
        let times = blocks.iter().map(|block| (block.number, block.at)).collect();
        match apply(core, cursor, &seen, &times, Cause::Late(to)).await {
            // The ledger went on in the meantime.
            Err(ServiceError::Conflict) if tries < TRIES => tries += 1,
            other => drop(other?),
        }
    }
}

/// Reads a network once more from a block on; where none is given, from where what was seen and what is there part.
///
/// # Errors
/// [`ServiceError::Invalid`] for a block above that place or beyond the network, and what a look ends in.
pub(crate) async fn rescan(
    core: &Core,
    context: &Context,
    ledger: &LedgerId,
    from_block: Option<u64>,
) -> Result<Rescanned, ServiceError> {
    let rail = evm_rail(core, ledger)?;
    let parted = first_gone(core, &rail, ledger).await?;
    let from = match (from_block, parted) {
        (Some(from), Some(parted)) if from > parted => {
            let message = format!("is too high: what was seen is not there any more from block {parted} on");
            return Err(ServiceError::invalid("from_block", message));
        }
        (Some(from), _) => from,
        (None, Some(parted)) => parted,
        (None, None) => {
            let message = "is needed: what was seen of the network is there, so nothing says where to begin";
            return Err(ServiceError::invalid("from_block", message));
        }
    };
    let from = from.max(1);
    let mut seen = rail.observe_from(from, None).await?;
    for _ in 0..TRIES {
        let cursor = cursor_of(core, ledger).await?;
        // What was given back is not read anew like deposits are: what is still there stays as it is.
        let placed = core.store.read().list_placed_refunds(ledger, from.saturating_sub(1)).await?;
        let blocks: BTreeSet<_> =
            placed.into_iter().filter_map(|refund| refund.place).map(|place| (place.block, place.block_hash)).collect();
        let kept = rail.still_there(&blocks).await?;
        match apply(core, cursor, &seen, &times_of(&seen), Cause::Rescan(context, kept)).await {
            // The ledger went on in the meantime: little is to be read of that.
            Err(ServiceError::Conflict) => seen = rail.observe_from(from, Some(&seen)).await?,
            Err(error) => return Err(error),
            Ok((_, changed)) => {
                refunds::follow(core, ledger).await?;
                return Ok(Rescanned {
                    network: rail.network.settings.chain.clone(),
                    from_block: from,
                    to_block: seen.head(),
                    transfers: seen.transfers.len(),
                    changed,
                });
            }
        }
    }
    Err(ServiceError::Conflict)
}

/// The lowest block that was seen and is not there any more, as far as is known: by the blocks that are kept, and below
/// them by those that something came in with. None where the last one seen is there.
async fn first_gone(core: &Core, rail: &EvmRail<'_>, ledger: &LedgerId) -> Result<Option<u64>, ServiceError> {
    let known = core.store.read().list_blocks(ledger, KNOWN_BLOCKS).await?;
    let Some(top) = known.first().map(|block| block.number) else { return Ok(None) };
    let kept: Vec<_> = known.into_iter().map(|block| (block.number, block.hash)).collect();
    if let Some(holds_to) = rail.highest_of(&kept).await? {
        return Ok((holds_to < top).then_some(holds_to + 1));
    }
    let mut lowest = kept.last().map_or(top, |(number, _)| *number);
    loop {
        let anchors = core.store.read().list_anchors(ledger, lowest, ANCHORS_PER_READ).await?;
        let Some((last, _)) = anchors.last() else { return Ok(Some(lowest)) };
        if let Some(holds_to) = rail.highest_of(&anchors).await? {
            return Ok(Some(holds_to + 1));
        }
        lowest = *last;
    }
}

async fn cursor_of(core: &Core, ledger: &LedgerId) -> Result<CursorRow, ServiceError> {
    if let Some(cursor) = core.store.read().find_cursor(ledger).await? {
        return Ok(cursor);
    }
    let now = core.clock.now();
    let mut tx = core.store.begin().await?;
    tx.insert_cursor(&CursorRow {
        ledger: ledger.clone(),
        height: 0,
        ledger_time: now,
        marks: Marks::default(),
        reorganisations: 0,
        deepest: 0,
        late_height: 0,
        revision: 0,
        updated_at: now,
    })
    .await?;
    let cursor = tx.read().find_cursor(ledger).await?.ok_or(ServiceError::Conflict)?;
    tx.commit().await?;
    Ok(cursor)
}

/// Keeps a ledger where it was last seen until the transaction ends, and tells how far that is: what is read after this is
/// not taken back meanwhile. None before the first look.
///
/// # Errors
/// [`ServiceError::Conflict`] if it went on every time.
pub(crate) async fn hold_still(unit: &mut Unit<'_>, ledger: &LedgerId) -> Result<Option<CursorRow>, ServiceError> {
    for _ in 0..TRIES {
        let Some(cursor) = unit.tx.read().find_cursor(ledger).await? else { return Ok(None) };
        if unit.tx.hold_cursor(&cursor).await? {
            return Ok(Some(cursor));
        }
    }
    Err(ServiceError::Conflict)
}

async fn apply(
    core: &Core,
    mut cursor: CursorRow,
    seen: &Observation,
    times: &HashMap<u64, Timestamp>,
    cause: Cause<'_>,
) -> Result<(Looked, usize), ServiceError> {
    let ledger = cursor.ledger.clone();
    let taken_back = seen.holds_to < cursor.height;
    let is_reorganised = taken_back && matches!(cause, Cause::Look);
    let policy = policy_of(core, &ledger);
    let was = if taken_back { cursor.marks.at_most(seen.holds_to) } else { cursor.marks };
    let marks = was.max(seen.marks);
    let is_network = matches!(ledger, LedgerId::Network(..));
    let late_height = late_height(&cursor, seen, &cause);
    let depth = if is_reorganised { cursor.height - seen.holds_to } else { 0 };
    let looked = Looked {
        height: seen.head(),
        ledger_time: seen.ledger_time,
        is_behind: seen.is_behind(),
        took_back: taken_back,
        moved: false,
        deepest: cursor.deepest.max(depth),
        marks,
    };
    let nothing_new = !taken_back
        && seen.blocks.is_empty()
        && seen.transfers.is_empty()
        && marks == cursor.marks
        && late_height == cursor.late_height;
    if is_network && nothing_new && seen.ledger_time == cursor.ledger_time {
        return Ok((looked, 0));
    }
    let system = Context::system();
    let nothing_kept = BTreeSet::new();
    let (context, kept) = match &cause {
        Cause::Rescan(context, kept) => (*context, kept),
        Cause::Look | Cause::Late(_) => (&system, &nothing_kept),
    };
    let mut unit = Unit::begin_alone(core, context).await?;
    // Blocks that were open at the last look may have become final by this one. Where the settings asked for more at the
    // last look, what was open then lies lower: it is found by its sums.
    let was_open = policy.lowest_open(cursor.height, cursor.marks).min(seen.holds_to + 1);
    let is_further =
        taken_back || !seen.blocks.is_empty() || marks != cursor.marks || late_height != cursor.late_height;
    let looked = Looked { moved: is_further, ..looked };
    cursor.height = seen.head();
    cursor.ledger_time = seen.ledger_time;
    cursor.marks = marks;
    cursor.reorganisations += u64::from(is_reorganised);
    cursor.deepest = looked.deepest;
    cursor.late_height = late_height;
    cursor.updated_at = unit.now;
    // First of all: whoever looked at the same time stops here, before it writes what is there already.
    if !unit.tx.move_cursor(&cursor).await? {
        return Err(ServiceError::Conflict);
    }
    let mut touched: BTreeSet<PaymentId> = BTreeSet::new();
    let mut recounted: BTreeSet<PaymentId> = BTreeSet::new();
    let mut unmatched = Vec::new();
    if taken_back {
        let taken = unit.tx.take_back_blocks(&ledger, seen.holds_to, unit.now).await?;
        touched.extend(taken.payments);
        unmatched = taken.deposits;
        recounted = refunds::take_back(&mut unit, &ledger, seen.holds_to, kept, seen.ledger_time).await?;
        unit.tx.take_back_outgoing(&ledger, seen.holds_to).await?;
        touched.extend(&recounted);
    }
    for block in &seen.blocks {
        unit.tx.insert_block(&ledger, block).await?;
    }
    for transfer in &seen.transfers {
        touched.extend(
            keep(core, &mut unit, &ledger, transfer, times.get(&transfer.block).copied().unwrap_or(seen.ledger_time))
                .await?,
        );
    }
    touched.extend(unit.tx.read().list_payments_to_look_at(&ledger, was_open, seen.ledger_time).await?);
    if !is_further && touched.is_empty() {
        // Nothing but time went by, and nothing is written of that.
        return Ok((looked, 0));
    }
    unit.tx.prune_blocks(&ledger, cursor.height.saturating_sub(u64::from(KNOWN_BLOCKS))).await?;
    let certainty = Certainty { policy, height: cursor.height, marks, ledger_time: seen.ledger_time };
    let is_quiet = touched.is_empty();
    let changed = settle_all(&mut unit, touched, &recounted, &certainty).await?;
    for (tenant, id) in unmatched {
        refunds::call_off_of_deposit(&mut unit, &tenant, id, &certainty).await?;
    }
    if let Cause::Rescan(..) = cause {
        let details = json!({
            "from_block": seen.holds_to + 1,
            "to_block": seen.head(),
            "transfers": seen.transfers.len(),
            "changed_payments": changed,
        });
        unit.audit(AuditAction::NetworkRescanned, &ledger.to_string(), details).await?;
    }
    match &ledger {
        LedgerId::Test(business) => unit.commit(ChangeKind::Payment, Some(business), None).await?,
        // A block without anything for anybody is nobody's news.
        LedgerId::Network(..) if is_quiet => unit.tx.commit().await?,
        LedgerId::Network(..) => unit.commit(ChangeKind::Payment, None, None).await?,
    }
    Ok((looked, changed))
}

/// The height up to which a ledger was asked for all addresses, after this look.
fn late_height(cursor: &CursorRow, seen: &Observation, cause: &Cause<'_>) -> u64 {
    match cause {
        Cause::Late(to) => cursor.late_height.max((*to).min(cursor.height)),
        // Before the first look nothing can be ours.
        Cause::Rescan(..) => seen.head(),
        Cause::Look if cursor.height == 0 => seen.head(),
        Cause::Look if seen.saw_all && cursor.late_height >= seen.holds_to => seen.head(),
        Cause::Look => cursor.late_height.min(seen.holds_to),
    }
}

/// Keeps one transfer to an address of ours; returns the payment that it counts for.
async fn keep(
    core: &Core,
    unit: &mut Unit<'_>,
    ledger: &LedgerId,
    transfer: &Transfer,
    block_time: Timestamp,
) -> Result<Option<PaymentId>, ServiceError> {
    let destination =
        Destination { ledger: ledger.clone(), network: transfer.network.clone(), address: transfer.to.clone() };
    let Some(place) = unit.tx.read().find_destination(&destination).await? else { return Ok(None) };
    let units = transfer.amount.units();
    if units == Some(0) {
        // Anybody can send nothing; it would only litter the lists.
        return Ok(None);
    }
    let deposit = DepositRow {
        id: DepositId::new(unit.now, core.entropy.bytes()),
        ledger: ledger.clone(),
        transfer: transfer.clone(),
        units,
        block_time,
        canonical: true,
        tenant: place.tenant.clone(),
        payment: place.payment,
        seen_at: unit.now,
        resolved_at: None,
        resolution: None,
    };
    let (payment, is_new) = unit.tx.keep_deposit(&deposit).await?;
    if is_new && (payment.is_none() || transfer.asset != Moved::Accepted || units.is_none()) {
        unit.record_about(
            Happened {
                event: EventType::DepositUnmatched,
                business: &place.tenant.business,
                environment: Some(place.tenant.environment),
                key: None,
                data: json!({ "deposit": view::deposit(&deposit) }),
            },
            Some(deposit.id.to_string()),
        )
        .await?;
    }
    Ok(payment)
}

/// Has where a payment stands follow from what the ledger now holds; tells whether that is otherwise than before.
pub(crate) async fn settle(unit: &mut Unit<'_>, id: PaymentId, certainty: &Certainty) -> Result<bool, ServiceError> {
    let Some(payment) = unit.tx.read().find_shown_payment(id).await? else { return Ok(false) };
    let refunded = payment.state.refunded;
    settle_as(unit, payment, certainty, refunded).await
}

/// The same after one of its refunds changed.
pub(crate) async fn settle_refunds(
    unit: &mut Unit<'_>,
    id: PaymentId,
    certainty: &Certainty,
) -> Result<bool, ServiceError> {
    let Some(payment) = unit.tx.read().find_shown_payment(id).await? else { return Ok(false) };
    let sums = unit.tx.read().sum_refunds(GivenBack::Payment(id)).await?;
    settle_as(unit, payment, certainty, sums.succeeded).await
}

/// The same of all payments that a look touches, some of them with other refunds than before (`recounted`); tells how many
/// stand otherwise.
async fn settle_all(
    unit: &mut Unit<'_>,
    touched: BTreeSet<PaymentId>,
    recounted: &BTreeSet<PaymentId>,
    certainty: &Certainty,
) -> Result<usize, ServiceError> {
    let mut changed = 0;
    for id in touched {
        let stands_otherwise = if recounted.contains(&id) {
            settle_refunds(unit, id, certainty).await?
        } else {
            settle(unit, id, certainty).await?
        };
        changed += usize::from(stands_otherwise);
    }
    Ok(changed)
}

async fn settle_as(
    unit: &mut Unit<'_>,
    payment: PaymentRow,
    certainty: &Certainty,
    refunded: i64,
) -> Result<bool, ServiceError> {
    let deposits = unit.tx.read().list_deposits_of(payment.id).await?;
    let observed = observed(&payment, &deposits, certainty).refunding(refunded);
    let next = payment.state.after(&payment.terms, &observed);
    let latest = deposits.iter().rev().find(|deposit| deposit.counts());
    let mut changed = payment.clone();
    changed.seen = observed.seen;
    changed.settled = observed.settled;
    if let Some(latest) = latest {
        changed.payer = Some(latest.transfer.from.clone());
        changed.transaction_hash = Some(latest.transfer.transaction_hash.clone());
    } else if observed.seen.is_zero() && payment.state.is_awaiting() {
        changed.payer = None;
        changed.transaction_hash = None;
    }
    let is_other = payment.state != next
        || (payment.seen, payment.settled, &payment.transaction_hash)
            != (changed.seen, changed.settled, &changed.transaction_hash);
    let is_less = changed.settled.units() < payment.settled.units();
    change(unit, &payment, changed.clone(), next, None).await?;
    if is_less {
        let of = GivenBack::Payment(changed.id);
        refunds::call_off_beyond(unit, &changed.tenant, of, changed.refundable().units()).await?;
    }
    Ok(is_other)
}

/// What the ledger holds for a payment.
pub(crate) fn observed(payment: &PaymentRow, deposits: &[DepositRow], certainty: &Certainty) -> Observed {
    let counted = deposits.iter().filter(|deposit| deposit.counts()).filter_map(|deposit| {
        Some(Counted { units: deposit.units?, block: deposit.transfer.block, block_time: deposit.block_time })
    });
    let first_open = certainty.first_open(payment.terms.due);
    Observed::of(&payment.terms, counted, first_open, certainty.ledger_time).refunding(payment.state.refunded)
}

/// Saves a payment in its next state, with what that means for what it is for, and tells of it; of a decision also why.
pub(crate) async fn change(
    unit: &mut Unit<'_>,
    old: &PaymentRow,
    mut new: PaymentRow,
    next: PaymentState,
    why: Option<&serde_json::Value>,
) -> Result<(), ServiceError> {
    let (was_paid, is_paid) = (old.state.is_paid(), next.is_paid());
    new.state = next;
    if is_paid && !was_paid {
        let first = match new.paid_for {
            PaidFor::PaymentLink(link) => unit.tx.mark_payment_link_paid(link, new.id, unit.now).await?,
            PaidFor::Invoice(invoice, _) => unit.tx.mark_invoice_paid(invoice, new.id, unit.now).await?,
        };
        new.settled_at = new.settled_at.or(Some(unit.now));
        if first {
            tell_of_paid_invoice(unit, &new).await?;
        } else if !can_be_paid_again(unit, &new).await? {
            new.state = next.beside_another();
        }
    }
    if was_paid && !is_paid {
        let was_first = match new.paid_for {
            PaidFor::PaymentLink(link) => unit.tx.unmark_payment_link_paid(link, new.id).await?,
            PaidFor::Invoice(invoice, _) => unit.tx.unmark_invoice_paid(invoice, new.id).await?,
        };
        if was_first {
            pass_on(unit, &new).await?;
        }
    }
    new.updated_at = unit.now;
    if *old == (PaymentRow { updated_at: old.updated_at, ..new.clone() }) {
        return Ok(());
    }
    if !unit.tx.update_payment(&new).await? {
        return Err(ServiceError::Conflict);
    }
    let more = || old.state.event_of_more(new.state, &new.terms, old.settled, new.settled);
    let event = old.state.event_to(new.state).or_else(more);
    if event == Some(PaymentEvent::Reversed) {
        tracing::error!(payment.id = %new.id, business.id = %new.tenant.business, "the ledger took back a settled payment");
    }
    if let Some(event) = event {
        let mut data = json!({
            "payment": view::payment(&new),
            "previous": { "status": old.state.status, "exception": old.state.exception },
        });
        if let Some(why) = why {
            data["decision"] = why.clone();
        }
        unit.record_about(
            Happened {
                event: event.into(),
                business: &new.tenant.business,
                environment: Some(new.tenant.environment),
                key: None,
                data,
            },
            Some(new.id.to_string()),
        )
        .await?;
    }
    Ok(())
}

/// Has what a payment paid that was taken back be paid by the oldest other payment that pays it still.
async fn pass_on(unit: &mut Unit<'_>, gone: &PaymentRow) -> Result<(), ServiceError> {
    for other in unit.tx.read().list_paid_beside(gone, MOST_BESIDE).await? {
        let ledger = &other.destination.ledger;
        let cursor = unit.tx.read().find_cursor(ledger).await?;
        let certainty = Certainty::of(unit.core(), ledger, cursor.as_ref(), unit.now);
        let deposits = unit.tx.read().list_deposits_of(other.id).await?;
        let observed = observed(&other, &deposits, &certainty);
        // What the same look takes back pays nothing either.
        if !other.state.after(&other.terms, &observed).is_paid() {
            continue;
        }
        let at = other.settled_at.unwrap_or(unit.now);
        match other.paid_for {
            PaidFor::PaymentLink(link) => unit.tx.mark_payment_link_paid(link, other.id, at).await?,
            PaidFor::Invoice(invoice, _) => unit.tx.mark_invoice_paid(invoice, other.id, at).await?,
        };
        let state = other.state.beside_none(&other.terms, &observed);
        if state != other.state {
            let first = PaymentRow { state, updated_at: unit.now, ..other.clone() };
            if !unit.tx.update_payment(&first).await? {
                return Err(ServiceError::Conflict);
            }
        }
        return tell_of_paid_invoice(unit, &other).await;
    }
    Ok(())
}

/// Only a reusable payment link may be paid more than once.
async fn can_be_paid_again(unit: &mut Unit<'_>, payment: &PaymentRow) -> Result<bool, ServiceError> {
    match payment.paid_for {
        PaidFor::PaymentLink(id) => {
            let link = unit.tx.read().find_payment_link(&payment.tenant, id).await?;
            Ok(link.is_some_and(|link| !link.single_use))
        }
        PaidFor::Invoice(..) => Ok(false),
    }
}

async fn tell_of_paid_invoice(unit: &mut Unit<'_>, payment: &PaymentRow) -> Result<(), ServiceError> {
    let PaidFor::Invoice(id, _) = payment.paid_for else { return Ok(()) };
    let Some(invoice) = unit.tx.read().find_invoice(&payment.tenant, id).await? else { return Ok(()) };
    unit.record_about(
        Happened {
            event: EventType::InvoicePaid,
            business: &payment.tenant.business,
            environment: Some(payment.tenant.environment),
            key: None,
            data: json!({ "invoice": view::invoice(&invoice), "payment_id": payment.id }),
        },
        Some(id.to_string()),
    )
    .await
}
