//! Recurring payments: one invoice after another, each made once.

use serde_json::json;
use trousseau_domain::business::Language;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::ids::{BusinessId, RecurringPaymentId};
use trousseau_domain::members::{EmailAddress, Operation};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::Money;
use trousseau_domain::payables::{CustomerName, CustomerReference, InvoiceStatus, RecurringState, Title, WebUrl};
use trousseau_domain::recurrence::Interval;
use trousseau_domain::time::Timestamp;
use trousseau_store::{
    BusinessRow, ChangeKind, DuePeriods, InvoiceRow, Reader, RecurringPaymentFilter, RecurringPaymentRow,
};

use super::invoices::{self, Billed, InvoiceDraft};
use super::test_ledger::{now_in, now_of};
use super::{repriced, view};
use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};
use crate::jobs;
use crate::keys::Page;
use crate::mail::language_of;

/// The most periods that are made up after a downtime.
const MOST_MISSED: u32 = 12;
/// Recurring payments looked at in one round.
const PER_ROUND: u32 = 100;

/// What is asked for when a recurring payment is made.
#[derive(Debug, Clone)]
pub struct RecurringPaymentDraft {
    /// The price of each period.
    pub amount: Money,
    /// What is subscribed to.
    pub name: Option<Title>,
    /// When the first period is due; it may be in the past.
    pub anchor: Timestamp,
    /// How far the periods lie apart.
    pub interval: Interval,
    /// What the customer is called.
    pub customer_name: Option<CustomerName>,
    /// Where its invoices are sent.
    pub customer_email: Option<EmailAddress>,
    /// A wallet that the customer named. Nothing is decided by it.
    pub customer_wallet: Option<Title>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<CustomerReference>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<WebUrl>,
    /// The merchant's own data.
    pub metadata: Metadata,
    /// Whether the mails carry the invoices as PDF.
    pub with_pdf: bool,
}

/// What is to be different from the next period on; what is absent stays, `Some(None)` clears.
#[derive(Debug, Clone, Default)]
pub struct RecurringPaymentChange {
    /// The price of each period to come.
    pub amount: Option<Money>,
    /// What is subscribed to.
    pub name: Option<Option<Title>>,
    /// What the customer is called.
    pub customer_name: Option<Option<CustomerName>>,
    /// Where its invoices are sent.
    pub customer_email: Option<Option<EmailAddress>>,
    /// A wallet that the customer named.
    pub customer_wallet: Option<Option<Title>>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<Option<CustomerReference>>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<Option<WebUrl>>,
    /// The merchant's own data.
    pub metadata: Option<Metadata>,
    /// Whether the mails carry the invoices as PDF.
    pub with_pdf: Option<bool>,
}

/// A recurring payment, with the latest period that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecurringPayment {
    /// The recurring payment.
    pub row: RecurringPaymentRow,
    /// Its latest period.
    pub latest: InvoiceRow,
    /// Whether a period, this one or an earlier one, is past due.
    pub overdue: bool,
    /// The tenant's time; in TEST its clock.
    pub now: Timestamp,
}

/// Use cases of recurring payments.
#[derive(Debug, Clone, Copy)]
pub struct RecurringPayments<'a> {
    core: &'a Core,
}

impl<'a> RecurringPayments<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Makes a recurring payment with its first period, which can be paid at once.
    ///
    /// # Errors
    /// [`ServiceError::BusinessSuspended`], [`ServiceError::Invalid`] for a currency that nothing could pay.
    pub async fn create(
        self,
        context: &Context,
        tenant: &Tenant,
        draft: &RecurringPaymentDraft,
        idempotent: Option<&Idempotent<'_, RecurringPayment>>,
    ) -> Result<Answered<RecurringPayment>, ServiceError> {
        let now = now_of(self.core, tenant).await?;
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        self.core.networks.check_asset(tenant.environment, draft.amount.asset())?;
        let business = unit.enter(tenant, Operation::PaymentsWrite).await?;
        let draft = draft.clone();
        let mut row = RecurringPaymentRow {
            id: RecurringPaymentId::random(self.core.entropy.bytes()),
            tenant: tenant.clone(),
            amount: draft.amount,
            name: draft.name,
            customer_name: draft.customer_name,
            customer_email: draft.customer_email,
            customer_wallet: draft.customer_wallet,
            customer_reference: draft.customer_reference,
            redirect_url: draft.redirect_url,
            metadata: draft.metadata,
            anchor: draft.anchor,
            interval: draft.interval,
            time_zone: business.time_zone.clone(),
            with_pdf: draft.with_pdf,
            state: RecurringState::Active,
            next_period: 1,
            next_due_at: None,
            held_at: None,
            created_at: unit.now,
            created_by: unit.actor().clone(),
            updated_at: unit.now,
            deleted_at: None,
        };
        row.next_due_at = row.recurrence().due(1).ok();
        unit.tx.insert_recurring_payment(&row).await?;
        tell(&mut unit, EventType::RecurringPaymentCreated, &row).await?;
        let latest = make_period(self.core, &mut unit, &business, &row, 0).await?.ok_or(ServiceError::Conflict)?;
        let overdue = latest.life().status_at(now) == InvoiceStatus::PastDue;
        let made = RecurringPayment { row, latest, overdue, now };
        idempotency::keep(&mut unit.tx, idempotent, &made, unit.now).await?;
        unit.commit(ChangeKind::Payable, Some(&tenant.business), Some(&made.row.id.to_string())).await?;
        Ok(Answered::Done(made))
    }

    /// One recurring payment; a deleted one too.
    pub async fn get(self, tenant: &Tenant, id: RecurringPaymentId) -> Result<RecurringPayment, ServiceError> {
        let mut reader = self.core.store.read();
        let row = reader.find_recurring_payment(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        let now = now_in(self.core, &mut reader, tenant).await?;
        with_latest(&mut reader, row, now).await
    }

    /// One page of recurring payments, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no recurring payment of the tenant.
    pub async fn list(
        self,
        tenant: &Tenant,
        filter: &RecurringPaymentFilter,
        after: Option<RecurringPaymentId>,
        limit: u32,
    ) -> Result<Page<RecurringPayment>, ServiceError> {
        let mut reader = self.core.store.read();
        if let Some(after) = after
            && reader.find_recurring_payment(tenant, after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no recurring payment with this id"));
        }
        let rows = reader.list_recurring_payments(tenant, filter, after, limit + 1).await?;
        let page = Page::of(rows, limit);
        let now = now_in(self.core, &mut reader, tenant).await?;
        let mut data = Vec::with_capacity(page.data.len());
        for row in page.data {
            data.push(with_latest(&mut reader, row, now).await?);
        }
        Ok(Page { data, has_more: page.has_more })
    }

    /// Changes a recurring payment from its next period on.
    ///
    /// # Errors
    /// [`ServiceError::RecurringPaymentEnded`] once it is cancelled, [`ServiceError::Invalid`] for a price in another
    /// currency.
    pub async fn update(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RecurringPaymentId,
        change: &RecurringPaymentChange,
    ) -> Result<RecurringPayment, ServiceError> {
        let change = change.clone();
        self.alter_now(context, tenant, id, EventType::RecurringPaymentUpdated, move |row, _| {
            if row.state == RecurringState::Cancelled {
                return Err(ServiceError::RecurringPaymentEnded);
            }
            row.amount = repriced(row.amount, change.amount)?;
            row.name = change.name.unwrap_or(row.name.take());
            row.customer_name = change.customer_name.unwrap_or(row.customer_name.take());
            row.customer_email = change.customer_email.unwrap_or(row.customer_email.take());
            row.customer_wallet = change.customer_wallet.unwrap_or(row.customer_wallet.take());
            row.customer_reference = change.customer_reference.unwrap_or(row.customer_reference.take());
            row.redirect_url = change.redirect_url.unwrap_or(row.redirect_url.take());
            row.metadata = change.metadata.unwrap_or_else(|| row.metadata.clone());
            row.with_pdf = change.with_pdf.unwrap_or(row.with_pdf);
            Ok(())
        })
        .await
    }

    /// Has no further period made until it goes on.
    ///
    /// # Errors
    /// [`ServiceError::RecurringPaymentEnded`] once it is cancelled.
    pub async fn pause(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RecurringPaymentId,
        idempotent: Option<&Idempotent<'_, RecurringPayment>>,
    ) -> Result<Answered<RecurringPayment>, ServiceError> {
        self.alter(context, tenant, id, EventType::RecurringPaymentUpdated, idempotent, |row, _| {
            go_to(row, RecurringState::Paused)
        })
        .await
    }

    /// Goes on. Periods that fell due meanwhile are not made up.
    ///
    /// # Errors
    /// [`ServiceError::RecurringPaymentEnded`] once it is cancelled.
    pub async fn resume(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RecurringPaymentId,
        idempotent: Option<&Idempotent<'_, RecurringPayment>>,
    ) -> Result<Answered<RecurringPayment>, ServiceError> {
        self.alter(context, tenant, id, EventType::RecurringPaymentUpdated, idempotent, |row, now| {
            if row.state == RecurringState::Active && row.held_at.is_none() {
                return Ok(());
            }
            go_to(row, RecurringState::Active)?;
            row.held_at = None;
            skip_missed(row, now);
            Ok(())
        })
        .await
    }

    /// Makes no further period, for good. The periods that are there can be paid.
    pub async fn cancel(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RecurringPaymentId,
        idempotent: Option<&Idempotent<'_, RecurringPayment>>,
    ) -> Result<Answered<RecurringPayment>, ServiceError> {
        self.alter(context, tenant, id, EventType::RecurringPaymentCancelled, idempotent, |row, _| {
            row.state = RecurringState::Cancelled;
            Ok(())
        })
        .await
    }

    /// Deletes a recurring payment: no period of it can be paid or is made any more. What was paid stays.
    pub async fn delete(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RecurringPaymentId,
    ) -> Result<RecurringPayment, ServiceError> {
        let now = self.core.clock.now();
        self.alter_now(context, tenant, id, EventType::RecurringPaymentDeleted, move |row, _| {
            row.state = RecurringState::Cancelled;
            row.deleted_at = row.deleted_at.or(Some(now));
            Ok(())
        })
        .await
    }

    /// Alters it where nobody names the request.
    async fn alter_now(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RecurringPaymentId,
        event: EventType,
        alter: impl FnOnce(&mut RecurringPaymentRow, Timestamp) -> Result<(), ServiceError> + Send,
    ) -> Result<RecurringPayment, ServiceError> {
        match self.alter(context, tenant, id, event, None, alter).await? {
            Answered::Done(altered) => Ok(altered),
            Answered::Replayed(_) => Err(ServiceError::Conflict),
        }
    }

    async fn alter(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RecurringPaymentId,
        event: EventType,
        idempotent: Option<&Idempotent<'_, RecurringPayment>>,
        alter: impl FnOnce(&mut RecurringPaymentRow, Timestamp) -> Result<(), ServiceError> + Send,
    ) -> Result<Answered<RecurringPayment>, ServiceError> {
        let now = now_of(self.core, tenant).await?;
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        // It may stand elsewhere by now: to do it once more would undo what was done since.
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let old = unit.tx.read().find_recurring_payment(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        let mut new = old.clone();
        if old.deleted_at.is_none() {
            alter(&mut new, now)?;
        }
        let changed = new != old;
        if changed {
            new.updated_at = unit.now;
            if !unit.tx.update_recurring_payment(&new, old.next_period).await? {
                return Err(ServiceError::Conflict);
            }
            tell(&mut unit, event, &new).await?;
        }
        let altered = with_latest(&mut unit.tx.read(), new, now).await?;
        idempotency::keep(&mut unit.tx, idempotent, &altered, unit.now).await?;
        match (changed, idempotent) {
            (true, _) => unit.commit(ChangeKind::Payable, Some(&tenant.business), Some(&id.to_string())).await?,
            (false, Some(_)) => unit.tx.commit().await?,
            (false, None) => unit.settle().await?,
        }
        Ok(Answered::Done(altered))
    }
}

async fn with_latest(
    reader: &mut Reader<'_>,
    row: RecurringPaymentRow,
    now: Timestamp,
) -> Result<RecurringPayment, ServiceError> {
    let latest = reader.find_latest_period(&row.tenant, row.id).await?.ok_or(ServiceError::NotFound)?;
    let overdue = reader.has_overdue_period(&row.tenant, row.id, now).await?;
    Ok(RecurringPayment { row, latest, overdue, now })
}

fn go_to(row: &mut RecurringPaymentRow, state: RecurringState) -> Result<(), ServiceError> {
    if row.state == RecurringState::Cancelled {
        return Err(ServiceError::RecurringPaymentEnded);
    }
    row.state = state;
    Ok(())
}

/// Passes over the periods that fell due while none were made.
fn skip_missed(row: &mut RecurringPaymentRow, now: Timestamp) {
    let recurrence = row.recurrence();
    if let Some(latest) = recurrence.latest_due_at(now) {
        row.next_period = row.next_period.max(latest.saturating_add(1));
    }
    row.next_due_at = recurrence.due(row.next_period).ok();
}

/// Makes one period inside a unit of work that holds the business; nothing where it is there already.
async fn make_period(
    core: &Core,
    unit: &mut Unit<'_>,
    business: &BusinessRow,
    row: &RecurringPaymentRow,
    period: u32,
) -> Result<Option<InvoiceRow>, ServiceError> {
    let due = row.recurrence().due(period).map_err(|_| ServiceError::invalid("recurring_date", "lies too far away"))?;
    // Payable on the whole day on which it falls due.
    let due_at = row.time_zone.end_of(row.time_zone.day_of(due)).unwrap_or(due);
    let title = match &row.name {
        Some(name) => name.clone(),
        None => unnamed_in(language_of(business)),
    };
    let draft = InvoiceDraft {
        title,
        billed: Billed::Whole(row.amount),
        due_at,
        customer_name: row.customer_name.clone(),
        customer_email: row.customer_email.clone(),
        customer_reference: row.customer_reference.clone(),
        redirect_url: row.redirect_url.clone(),
        metadata: row.metadata.clone(),
        with_pdf: row.with_pdf,
        send: true,
    };
    invoices::make(core, unit, business, &row.tenant, draft, Some((row.id, period))).await
}

/// What the periods of a recurring payment without a name are called to its customer.
fn unnamed_in(language: Language) -> Title {
    let title = match language {
        Language::English => "Recurring payment",
        Language::French => "Paiement récurrent",
    };
    title.parse().expect("a good title")
}

/// Makes every period that is due, of one tenant or of all; safe to run on several nodes.
pub(crate) async fn make_due(core: &Core, of: Option<&Tenant>) -> Result<(), ServiceError> {
    let by_test_clocks = core.networks.has_test_ledgers();
    let mut after = None;
    loop {
        let due = DuePeriods { now: core.clock.now(), by_test_clocks, of, after };
        let rows = core.store.read().list_due_recurring_payments(&due, PER_ROUND).await?;
        for row in &rows {
            match make_missed(core, row).await {
                // Another node was faster.
                Ok(()) | Err(ServiceError::Conflict) => {}
                Err(ServiceError::Store(error)) if error.is_unavailable() => return Err(ServiceError::Store(error)),
                // What is wrong with one of them holds up no other one.
                Err(error) => {
                    let error = jobs::with_causes(&error);
                    tracing::error!(recurring_payment.id = %row.id, error, "a period could not be made");
                }
            }
        }
        let last = rows.last().filter(|_| rows.len() == PER_ROUND as usize);
        let Some(last) = last else { return Ok(()) };
        after = last.next_due_at.map(|at| (at, last.id));
    }
}

/// Makes the periods of one recurring payment that fell due, up to a bound; beyond it somebody has to look.
async fn make_missed(core: &Core, row: &RecurringPaymentRow) -> Result<(), ServiceError> {
    let now = now_of(core, &row.tenant).await?;
    let context = Context::system();
    let mut unit = Unit::begin_alone(core, &context).await?;
    let business = unit.lock_business(&row.tenant.business).await?;
    let found = unit.tx.read().find_recurring_payment(&row.tenant, row.id).await?;
    let Some(mut row) = found.filter(|found| found == row) else { return Ok(()) };
    if business.suspended_at.is_some() {
        return Ok(());
    }
    let expected = row.next_period;
    let recurrence = row.recurrence();
    let Some(latest) = recurrence.latest_due_at(now) else { return Ok(()) };
    let last = latest.min(expected.saturating_add(MOST_MISSED - 1));
    for period in expected..=last {
        make_period(core, &mut unit, &business, &row, period).await?;
    }
    row.next_period = last.saturating_add(1);
    row.next_due_at = recurrence.due(row.next_period).ok();
    row.held_at = (last < latest).then_some(unit.now);
    row.updated_at = unit.now;
    if !unit.tx.update_recurring_payment(&row, expected).await? {
        return Err(ServiceError::Conflict);
    }
    if row.held_at.is_some() {
        tell(&mut unit, EventType::RecurringPaymentHeld, &row).await?;
    }
    unit.commit(ChangeKind::Payable, Some(&row.tenant.business), Some(&row.id.to_string())).await
}

/// Passes over what fell due while a business was suspended.
pub(crate) async fn skip_while_suspended(
    unit: &mut Unit<'_>,
    core: &Core,
    business: &BusinessId,
) -> Result<(), ServiceError> {
    for environment in Environment::ALL {
        let tenant = Tenant::new(business.clone(), environment);
        let now = now_in(core, &mut unit.tx.read(), &tenant).await?;
        let mut after = None;
        loop {
            let filter = RecurringPaymentFilter { state: Some(RecurringState::Active), ..Default::default() };
            let rows = unit.tx.read().list_recurring_payments(&tenant, &filter, after, PER_ROUND).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            for old in rows {
                let mut row = old.clone();
                skip_missed(&mut row, now);
                if row != old && !unit.tx.update_recurring_payment(&row, old.next_period).await? {
                    return Err(ServiceError::Conflict);
                }
            }
        }
    }
    Ok(())
}

async fn tell(unit: &mut Unit<'_>, event: EventType, row: &RecurringPaymentRow) -> Result<(), ServiceError> {
    unit.record_about(
        Happened {
            event,
            business: &row.tenant.business,
            environment: Some(row.tenant.environment),
            key: None,
            data: json!({ "recurring_payment": view::recurring_payment(row) }),
        },
        Some(row.id.to_string()),
    )
    .await
}
