//! The engine: turns what rails saw into where payments stand.
//!
//! One look is one transaction: blocks, deposits, cursor, states, audit and events. A crash anywhere means to look
//! again, and looking again changes nothing.

use std::collections::BTreeSet;

use serde_json::json;
use trousseau_domain::events::EventType;
use trousseau_domain::ids::{DepositId, PaymentId};
use trousseau_domain::ledger::{LedgerId, Moved, Observation, Transfer};
use trousseau_domain::payments::{Counted, Observed, PaymentState, PaymentStatus};
use trousseau_domain::time::Timestamp;
use trousseau_store::{ChangeKind, CursorRow, DepositRow, Destination, PaidFor, PaymentRow};

use super::rail::{Rail, RailError, TestRail};
use super::view;
use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;

/// How many blocks are remembered; no reorganisation goes deeper.
const KNOWN_BLOCKS: u32 = 512;
/// How often a look is tried that somebody else's look crossed.
const TRIES: u32 = 10;

/// Looks at a ledger, and settles what follows.
///
/// # Errors
/// [`ServiceError::Conflict`] if others were faster every time, and what the database and the rail end in.
pub(crate) async fn look(core: &Core, ledger: &LedgerId) -> Result<(), ServiceError> {
    for _ in 0..TRIES {
        let done = match ledger {
            LedgerId::Test(business) => {
                let rail = TestRail { store: &core.store, clock: core.clock.as_ref(), business: business.clone() };
                look_once(core, ledger, &rail).await
            }
            LedgerId::Network(_) => Err(RailError::Unknown(ledger.clone()).into()),
        };
        match done {
            Err(ServiceError::Conflict) => tokio::task::yield_now().await,
            other => return other,
        }
    }
    Err(ServiceError::Conflict)
}

async fn look_once<R: Rail>(core: &Core, ledger: &LedgerId, rail: &R) -> Result<(), ServiceError> {
    let cursor = cursor_of(core, ledger).await?;
    let known = core.store.read().list_blocks(ledger, KNOWN_BLOCKS).await?;
    let seen = rail.observe(&known).await?;
    apply(core, cursor, &seen).await
}

/// Tells the engine of the last blocks once more, as a careless provider would.
pub(crate) async fn look_again(core: &Core, ledger: &LedgerId, blocks: u64) -> Result<(), ServiceError> {
    let LedgerId::Test(business) = ledger else { return Err(RailError::Unknown(ledger.clone()).into()) };
    let rail = TestRail { store: &core.store, clock: core.clock.as_ref(), business: business.clone() };
    let cursor = cursor_of(core, ledger).await?;
    let mut known = core.store.read().list_blocks(ledger, KNOWN_BLOCKS).await?;
    known.retain(|block| block.number + blocks <= cursor.height);
    let mut seen = rail.observe(&known).await?;
    // The blocks themselves are known; only what they hold comes twice.
    seen.blocks.clear();
    seen.holds_to = cursor.height;
    apply(core, cursor, &seen).await
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
        reorganisations: 0,
        revision: 0,
        updated_at: now,
    })
    .await?;
    let cursor = tx.read().find_cursor(ledger).await?.ok_or(ServiceError::Conflict)?;
    tx.commit().await?;
    Ok(cursor)
}

async fn apply(core: &Core, mut cursor: CursorRow, seen: &Observation) -> Result<(), ServiceError> {
    let ledger = cursor.ledger.clone();
    let context = Context::system();
    let mut unit = Unit::begin(core, &context).await?;
    // Blocks that were open at the last look may have become final by this one.
    let was_open = (cursor.height + 2).saturating_sub(u64::from(seen.confirmations)).min(seen.holds_to + 1);
    let mut touched: BTreeSet<PaymentId> = BTreeSet::new();
    let taken_back = seen.holds_to < cursor.height;
    if taken_back {
        touched.extend(unit.tx.take_back_blocks(&ledger, seen.holds_to).await?);
        cursor.reorganisations += 1;
    }
    for block in &seen.blocks {
        unit.tx.insert_block(&ledger, block).await?;
    }
    for transfer in &seen.transfers {
        touched.extend(keep(core, &mut unit, &ledger, transfer, seen).await?);
    }
    touched.extend(unit.tx.read().list_payments_to_look_at(&ledger, was_open, seen.ledger_time).await?);
    if !taken_back && seen.blocks.is_empty() && touched.is_empty() {
        return Ok(());
    }
    cursor.height = seen.head();
    cursor.ledger_time = seen.ledger_time;
    cursor.updated_at = unit.now;
    if !unit.tx.move_cursor(&cursor).await? {
        return Err(ServiceError::Conflict);
    }
    unit.tx.prune_blocks(&ledger, cursor.height.saturating_sub(u64::from(KNOWN_BLOCKS))).await?;
    for id in touched {
        settle(&mut unit, id, seen.first_open(), seen.ledger_time).await?;
    }
    let LedgerId::Test(business) = &ledger else { return unit.commit(ChangeKind::Payment, None, None).await };
    unit.commit(ChangeKind::Payment, Some(business), None).await
}

/// Keeps one transfer to an address of ours; returns the payment that it counts for.
async fn keep(
    core: &Core,
    unit: &mut Unit<'_>,
    ledger: &LedgerId,
    transfer: &Transfer,
    seen: &Observation,
) -> Result<Option<PaymentId>, ServiceError> {
    let destination =
        Destination { ledger: ledger.clone(), network: transfer.network.clone(), address: transfer.to.clone() };
    let Some(place) = unit.tx.read().find_destination(&destination).await? else { return Ok(None) };
    let units = transfer.amount.units();
    if units == Some(0) {
        // Anybody can send nothing; it would only litter the lists.
        return Ok(None);
    }
    let block_time = seen.blocks.iter().find(|block| block.number == transfer.block).map(|block| block.at);
    let deposit = DepositRow {
        id: DepositId::new(unit.now, core.entropy.bytes()),
        ledger: ledger.clone(),
        transfer: transfer.clone(),
        units,
        block_time: block_time.unwrap_or(seen.ledger_time),
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

/// Has where a payment stands follow from what the ledger now holds.
pub(crate) async fn settle(
    unit: &mut Unit<'_>,
    id: PaymentId,
    first_open: u64,
    ledger_time: Timestamp,
) -> Result<(), ServiceError> {
    let Some(payment) = unit.tx.read().find_shown_payment(id).await? else { return Ok(()) };
    let deposits = unit.tx.read().list_deposits_of(id).await?;
    let observed = observed(&payment, &deposits, first_open, ledger_time);
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
    change(unit, &payment, changed, next, None).await
}

/// What the ledger holds for a payment.
pub(crate) fn observed(
    payment: &PaymentRow,
    deposits: &[DepositRow],
    first_open: u64,
    ledger_time: Timestamp,
) -> Observed {
    let counted = deposits.iter().filter(|deposit| deposit.counts()).filter_map(|deposit| {
        Some(Counted { units: deposit.units?, block: deposit.transfer.block, block_time: deposit.block_time })
    });
    Observed::of(&payment.terms, counted, first_open, ledger_time)
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
        match new.paid_for {
            PaidFor::PaymentLink(link) => unit.tx.unmark_payment_link_paid(link, new.id).await?,
            PaidFor::Invoice(invoice, _) => unit.tx.unmark_invoice_paid(invoice, new.id).await?,
        };
    }
    new.updated_at = unit.now;
    if *old == (PaymentRow { updated_at: old.updated_at, ..new.clone() }) {
        return Ok(());
    }
    if !unit.tx.update_payment(&new).await? {
        return Err(ServiceError::Conflict);
    }
    if next.status == PaymentStatus::Reversed && old.state.status != PaymentStatus::Reversed {
        tracing::error!(payment.id = %new.id, business.id = %new.tenant.business, "the ledger took back a settled payment");
    }
    if let Some(event) = old.state.event_to(new.state) {
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
