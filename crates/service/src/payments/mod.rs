//! Payments: started, watched, settled, decided on.

pub(crate) mod engine;
pub(crate) mod evm_rail;
pub(crate) mod invoice_mail;
pub(crate) mod invoice_paper;
pub mod invoices;
pub mod movements;
pub mod payment_links;
pub mod payout_addresses;
pub mod payout_plans;
pub(crate) mod places;
pub(crate) mod rail;
pub mod recurring_payments;
pub mod refunds;
pub(crate) mod reminders;
pub mod test_ledger;
pub(crate) mod view;

use std::fmt;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use trousseau_domain::checkout::CheckoutSettings;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::evm::Hash32;
use trousseau_domain::ids::{DepositId, PaymentId};
use trousseau_domain::ledger::{Confirmations, LedgerId, Moved, Scenario, WrongTransaction};
use trousseau_domain::logo::LogoDigest;
use trousseau_domain::members::Operation;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::networks::ChainId;
use trousseau_domain::payables::{InvoiceStatus, PayableId, PaymentLinkStatus, Reason, WebUrl};
use trousseau_domain::payments::{NotNow, PaymentState, PaymentStatus, Terms, Verdict};
use trousseau_domain::requests::UtcDay;
use trousseau_domain::time::Timestamp;
use trousseau_store::{
    BusinessRow, ChangeKind, DepositRow, Destination, GivenBack, InvoiceRow, ListedPayment, PaidFor, PaymentFilter,
    PaymentLinkRow, PaymentRow, Reader, RecurringPaymentRow, StoreError, Subject, Takings, TakingsRow,
};

use self::engine::Certainty;
use self::evm_rail::Verdict as Said;
use self::test_ledger::{TestLedgers, now_in};
use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};
use crate::keys::Page;
use crate::networks::health::is_delayed;

/// How long a payment for a link waits.
const CHECKOUT_LASTS: Duration = Duration::from_hours(1);
/// What is received at an address that names no payment yet.
pub(crate) const SPARE: Asset = Asset::USDC;
/// How many characters a transaction hash has at most.
const MAX_HASH: usize = 128;
/// The most payments for one thing that may wait at the same time.
const MAX_WAITING: u32 = 50;

/// Why something cannot be paid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPayable {
    /// The payment link is switched off, or the recurring payment has ended.
    #[error("it is switched off")]
    Inactive,
    /// It was paid, and can be paid once only.
    #[error("it is paid already")]
    Paid,
    /// A payment for it was seen and is not final yet, and it can be paid once only.
    #[error("a payment for it is being confirmed")]
    Processing,
    /// The invoice was called off.
    #[error("it was called off")]
    Void,
    /// The business is suspended.
    #[error("the business is suspended")]
    Suspended,
    /// So many payments for it wait already.
    #[error("too many payments for it are waiting")]
    TooManyWaiting,
}

/// What is to be paid, as a payer sees it.
#[derive(Debug, Clone)]
pub enum Payable {
    /// A payment link.
    PaymentLink(PaymentLinkRow),
    /// An invoice.
    Invoice(InvoiceRow),
    /// A recurring payment with the latest period that was made.
    RecurringPayment(Box<RecurringPaymentRow>, InvoiceRow),
}

impl Payable {
    /// What it is called on the outside.
    pub const fn id(&self) -> PayableId {
        match self {
            Self::PaymentLink(link) => PayableId::PaymentLink(link.id),
            Self::Invoice(invoice) => PayableId::Invoice(invoice.id),
            Self::RecurringPayment(recurring, _) => PayableId::RecurringPayment(recurring.id),
        }
    }

    /// Whose it is.
    pub const fn tenant(&self) -> &Tenant {
        match self {
            Self::PaymentLink(link) => &link.tenant,
            Self::Invoice(invoice) | Self::RecurringPayment(_, invoice) => &invoice.tenant,
        }
    }

    /// The price.
    pub const fn amount(&self) -> Money {
        match self {
            Self::PaymentLink(link) => link.amount,
            Self::Invoice(invoice) | Self::RecurringPayment(_, invoice) => invoice.amount,
        }
    }

    /// Where the payer goes afterwards.
    pub const fn redirect_url(&self) -> Option<&WebUrl> {
        match self {
            Self::PaymentLink(link) => link.redirect_url.as_ref(),
            Self::Invoice(invoice) | Self::RecurringPayment(_, invoice) => invoice.redirect_url.as_ref(),
        }
    }

    /// What a payment for it is for.
    pub fn paid_for(&self) -> PaidFor {
        match self {
            Self::PaymentLink(link) => PaidFor::PaymentLink(link.id),
            Self::Invoice(invoice) | Self::RecurringPayment(_, invoice) => {
                PaidFor::Invoice(invoice.id, invoice.period.map(|(recurring, _)| recurring))
            }
        }
    }

    /// Whether it can be paid at an instant.
    ///
    /// # Errors
    /// [`NotPayable`] with what stands against it.
    fn check(&self, now: Timestamp) -> Result<(), NotPayable> {
        match self {
            Self::PaymentLink(link) => match link.status() {
                PaymentLinkStatus::Active => Ok(()),
                PaymentLinkStatus::Inactive => Err(NotPayable::Inactive),
                PaymentLinkStatus::Paid => Err(NotPayable::Paid),
            },
            Self::Invoice(invoice) | Self::RecurringPayment(_, invoice) => match invoice.life().status_at(now) {
                InvoiceStatus::Pending | InvoiceStatus::PastDue => Ok(()),
                InvoiceStatus::Paid => Err(NotPayable::Paid),
                InvoiceStatus::Void => Err(NotPayable::Void),
            },
        }
    }

    /// The same with what stands against it from outside: a business that is suspended, another payment on its way.
    fn check_all(&self, suspended: bool, being_paid: bool, now: Timestamp) -> Result<(), NotPayable> {
        if suspended {
            return Err(NotPayable::Suspended);
        }
        self.check(now)?;
        if being_paid { Err(NotPayable::Processing) } else { Ok(()) }
    }

    /// Whether a payment for it is on its way, where another one would be too many.
    async fn is_being_paid(&self, reader: &mut Reader<'_>) -> Result<bool, StoreError> {
        match self {
            Self::PaymentLink(link) if link.single_use => reader.is_payment_link_being_paid(link.id).await,
            Self::PaymentLink(_) => Ok(false),
            Self::Invoice(invoice) | Self::RecurringPayment(_, invoice) => {
                reader.is_invoice_being_paid(invoice.id).await
            }
        }
    }
}

/// Something to be paid, with whose it is and the time it is there.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What is to be paid.
    pub payable: Payable,
    /// Whose it is.
    pub business: BusinessRow,
    /// How they take payments.
    pub checkout: CheckoutSettings,
    /// Their logo.
    pub logo: Option<LogoDigest>,
    /// Whether a payment for it is on its way, where another one would be too many.
    pub being_paid: bool,
    /// The tenant's time; in TEST its clock.
    pub now: Timestamp,
}

impl Shown {
    /// Whether a payment may be started now.
    ///
    /// # Errors
    /// [`NotPayable`] with what stands against it.
    pub fn check(&self) -> Result<(), NotPayable> {
        self.payable.check_all(self.business.suspended_at.is_some(), self.being_paid, self.now)
    }

    /// Where the payer goes afterwards.
    pub fn redirect_url(&self) -> Option<&WebUrl> {
        self.payable.redirect_url().or(self.checkout.redirect_url.as_ref())
    }
}

/// Reads one payment and nothing else. It stands in an address that a page is given, and nowhere else.
#[derive(Clone)]
pub struct StatusToken(String);

impl StatusToken {
    /// The token, for the one answer that holds it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StatusToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StatusToken")
    }
}

/// A payment that was just started, and the token that reads its status.
#[derive(Debug, Clone)]
pub struct Started {
    /// The payment.
    pub payment: PaymentRow,
    /// Reads this one payment; shown now only.
    pub token: StatusToken,
    /// The tenant's time; in TEST its clock.
    pub now: Timestamp,
}

/// A payment with what its page shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The payment.
    pub payment: PaymentRow,
    /// Confirmations of the latest transfer that is not final yet, and how many it takes; none where nothing waits.
    pub confirmations: Option<(u32, u32)>,
    /// What the latest transfer that is not final yet waits for; none where nothing waits.
    pub waits_for: Option<Confirmations>,
    /// Whether something of another asset came to its address.
    pub wrong_token: bool,
    /// Whether its network is seen late at the moment: it stands still, or nobody answers who could tell of it.
    pub delayed: bool,
    /// Why nothing is to be sent for it any more, though it waits; none once something was seen.
    pub closed: Option<NotPayable>,
    /// The tenant's time; in TEST its clock.
    pub now: Timestamp,
}

/// Use cases of payments.
#[derive(Debug, Clone, Copy)]
pub struct Payments<'a> {
    core: &'a Core,
}

impl<'a> Payments<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// What is to be paid, as its payer sees it: the id is all that it takes.
    pub async fn shown(self, id: PayableId) -> Result<Shown, ServiceError> {
        self.shown_in(&mut self.core.store.read(), id).await
    }

    async fn shown_in(self, reader: &mut Reader<'_>, id: PayableId) -> Result<Shown, ServiceError> {
        let payable = self.payable_in(reader, id).await?.ok_or(ServiceError::NotFound)?;
        let business = reader.find_business(&payable.tenant().business).await?.ok_or(ServiceError::NotFound)?;
        let checkout = reader.find_checkout_settings(payable.tenant()).await?;
        let logo = reader.find_logo_of(&business.id).await?;
        let being_paid = payable.is_being_paid(reader).await?;
        let now = now_in(self.core, reader, payable.tenant()).await?;
        Ok(Shown { payable, business, checkout, logo, being_paid, now })
    }

    async fn payable_in(self, reader: &mut Reader<'_>, id: PayableId) -> Result<Option<Payable>, ServiceError> {
        Ok(match id {
            PayableId::PaymentLink(id) => reader.find_shown_payment_link(id).await?.map(Payable::PaymentLink),
            PayableId::Invoice(id) => match reader.find_shown_invoice(id).await? {
                // A period goes with its recurring payment.
                Some(InvoiceRow { period: Some((recurring, _)), .. })
                    if reader.find_shown_recurring_payment(recurring).await?.is_none() =>
                {
                    None
                }
                found => found.map(Payable::Invoice),
            },
            PayableId::RecurringPayment(id) => match reader.find_shown_recurring_payment(id).await? {
                Some(recurring) => reader
                    .find_latest_period(&recurring.tenant, id)
                    .await?
                    .map(|period| Payable::RecurringPayment(Box::new(recurring), period)),
                None => None,
            },
        })
    }

    /// The same for a key of the tenant.
    pub async fn shown_to(self, tenant: &Tenant, id: PayableId) -> Result<Shown, ServiceError> {
        let shown = self.shown(id).await?;
        if shown.payable.tenant() == tenant { Ok(shown) } else { Err(ServiceError::NotFound) }
    }

    /// The networks on which the tenant can be paid in an asset.
    pub async fn networks(self, tenant: &Tenant, asset: Asset) -> Result<Vec<ChainId>, ServiceError> {
        places::networks_of(self.core, tenant, asset).await
    }

    /// Starts a payment. The amount is ours; an address is given out that never was before.
    ///
    /// # Errors
    /// [`ServiceError::NotPayable`], [`ServiceError::Invalid`] for a network that there is not; in LIVE
    /// [`ServiceError::NetworkNotConfigured`], [`ServiceError::PayoutAddressMissing`] and
    /// [`ServiceError::NetworkUnavailable`].
    pub async fn start(
        self,
        context: &Context,
        shown: &Shown,
        network: Option<&str>,
        idempotent: Option<&Idempotent<'_, Started>>,
    ) -> Result<Answered<Started>, ServiceError> {
        let tenant = shown.payable.tenant();
        let network = places::network_of(self.core, tenant, network, shown.payable.amount().asset()).await?;
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        let started = self.start_in(&mut unit, shown, network, None).await?;
        idempotency::keep(&mut unit.tx, idempotent, &started, unit.now).await?;
        let id = started.payment.id.to_string();
        unit.commit(ChangeKind::Payment, Some(&tenant.business), Some(&id)).await?;
        Ok(Answered::Done(started))
    }

    /// The same for a key of the tenant. A repeated request gives its first answer, whatever became of what was to be paid.
    ///
    /// # Errors
    /// As [`Self::start`], and [`ServiceError::NotFound`].
    pub async fn start_to(
        self,
        context: &Context,
        tenant: &Tenant,
        id: PayableId,
        network: Option<&str>,
        idempotent: Option<&Idempotent<'_, Started>>,
    ) -> Result<Answered<Started>, ServiceError> {
        if let Some(answer) = idempotency::answered(self.core, idempotent).await? {
            return Ok(Answered::Replayed(answer));
        }
        let shown = self.shown_to(tenant, id).await?;
        self.start(context, &shown, network, idempotent).await
    }

    async fn start_in(
        self,
        unit: &mut Unit<'_>,
        shown: &Shown,
        network: ChainId,
        address: Option<String>,
    ) -> Result<Started, ServiceError> {
        let tenant = shown.payable.tenant();
        unit.lock_business(&tenant.business).await?;
        unit.check_caller().await?;
        // Once more under the lock: it may have been switched off or paid meanwhile.
        let mut shown = self.shown_in(&mut unit.tx.read(), shown.payable.id()).await?;
        // What was sent to an address that was given out is looked at, whatever else is on its way.
        shown.being_paid &= address.is_none();
        shown.check().map_err(ServiceError::NotPayable)?;
        let Shown { payable, checkout, now, .. } = shown;
        let waiting = PaymentFilter {
            status: Some(PaymentStatus::Open),
            payable: Some(payable.id()),
            ..PaymentFilter::default()
        };
        let since = PaymentFilter { created_from: Some(unit.now.saturating_sub(CHECKOUT_LASTS)), ..waiting };
        let waiting = unit.tx.read().list_payments(tenant, &since, None, MAX_WAITING).await?.len();
        if waiting >= MAX_WAITING as usize {
            return Err(ServiceError::NotPayable(NotPayable::TooManyWaiting));
        }
        let id = PaymentId::random(self.core.entropy.bytes());
        let is_bound = address.is_some();
        let place = match address {
            Some(address) => {
                let ledger = places::ledger_of(self.core, tenant, &network);
                places::Place::of(Destination { ledger, network, address })
            }
            None => places::new_place(self.core, unit, tenant, network, id).await?,
        };
        let due = payable.amount();
        let token = token_of(&self.core.entropy.bytes::<16>());
        let payment = PaymentRow {
            id,
            tenant: tenant.clone(),
            paid_for: payable.paid_for(),
            destination: place.destination.clone(),
            terms: Terms {
                due,
                tolerance: checkout.tolerance.of(due),
                expires_at: match payable {
                    Payable::PaymentLink(_) => Some(now.saturating_add(CHECKOUT_LASTS)),
                    Payable::Invoice(_) | Payable::RecurringPayment(..) => None,
                },
                accepts_late: checkout.accepts_late,
            },
            state: PaymentState::OPEN,
            seen: Money::zero(due.asset()),
            settled: Money::zero(due.asset()),
            payer: None,
            transaction_hash: None,
            token_digest: digest_of(&token),
            settled_at: None,
            revision: 0,
            created_at: unit.now,
            created_by: unit.actor().clone(),
            updated_at: unit.now,
        };
        unit.tx.insert_payment(&payment).await?;
        if is_bound {
            if !unit.tx.bind_destination(tenant, &place.destination, id).await? {
                return Err(ServiceError::NotFound);
            }
        } else {
            unit.tx.insert_destination(&place.given_out(tenant, Some(id), unit.now)).await?;
        }
        unit.record_about(
            Happened {
                event: EventType::PaymentCreated,
                business: &tenant.business,
                environment: Some(tenant.environment),
                key: None,
                data: json!({ "payment": view::payment(&payment) }),
            },
            Some(id.to_string()),
        )
        .await?;
        Ok(Started { payment, token: StatusToken(token), now })
    }

    /// What a payment at an address of the test ledger is in; USDC where there is none.
    pub async fn asset_at(self, tenant: &Tenant, network: &ChainId, address: &str) -> Result<Asset, ServiceError> {
        let ledger = places::ledger_of(self.core, tenant, network);
        let destination = Destination { ledger, network: network.clone(), address: address.to_owned() };
        let mut reader = self.core.store.read();
        let place = reader.find_destination(&destination).await?;
        let Some(id) = place.filter(|place| place.tenant == *tenant).and_then(|place| place.payment) else {
            return Ok(SPARE);
        };
        Ok(reader.find_payment(tenant, id).await?.map_or(SPARE, |payment| payment.terms.due.asset()))
    }

    /// One payment.
    pub async fn get(self, tenant: &Tenant, id: PaymentId) -> Result<Watched, ServiceError> {
        let payment = self.core.store.read().find_payment(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        self.watch(payment).await
    }

    /// What came in for good by the payments that a filter chooses, asset by asset.
    pub async fn sum(self, tenant: &Tenant, filter: &PaymentFilter) -> Result<Vec<Takings>, ServiceError> {
        Ok(self.core.store.read().sum_payments(tenant, filter).await?)
    }

    /// What came in for good today and on `days` days before it, by day of UTC, key and asset, the oldest day first.
    pub async fn takings(self, tenant: &Tenant, days: u32) -> Result<Vec<TakingsRow>, ServiceError> {
        let from = UtcDay::of(self.core.clock.now()).minus(days);
        Ok(self.core.store.read().list_takings(tenant, from).await?)
    }

    /// The payment that a payer was shown: its id is all that it takes.
    pub async fn get_shown(self, id: PaymentId) -> Result<Watched, ServiceError> {
        let payment = self.core.store.read().find_shown_payment(id).await?.ok_or(ServiceError::NotFound)?;
        self.watch(payment).await
    }

    /// The payment that a token reads.
    pub async fn get_by_token(self, id: PaymentId, token: &str) -> Result<Watched, ServiceError> {
        use subtle::ConstantTimeEq as _;
        let watched = self.get_shown(id).await?;
        let same = watched.payment.token_digest.ct_eq(&digest_of(token));
        if same.into() { Ok(watched) } else { Err(ServiceError::NotFound) }
    }

    async fn watch(self, payment: PaymentRow) -> Result<Watched, ServiceError> {
        let mut reader = self.core.store.read();
        let deposits = reader.list_deposits_of(payment.id).await?;
        let ledger = &payment.destination.ledger;
        let cursor = reader.find_cursor(ledger).await?;
        let certainty = Certainty::of(self.core, ledger, cursor.as_ref(), payment.updated_at);
        let newest = deposits.iter().filter(|deposit| deposit.counts()).map(|deposit| deposit.transfer.block).max();
        let confirmations = newest.and_then(|block| certainty.count(payment.terms.due, block));
        let waits_for = newest.filter(|block| certainty.is_open(payment.terms.due, *block));
        let waits_for = waits_for.map(|_| certainty.needed(payment.terms.due));
        let wrong_token = deposits.iter().any(|deposit| !deposit.counts());
        let delayed = is_delayed(self.core, &mut reader, ledger, cursor.as_ref()).await?;
        let now = now_in(self.core, &mut reader, &payment.tenant).await?;
        let closed = self.closed(&mut reader, &payment, now).await?;
        Ok(Watched { payment, confirmations, waits_for, wrong_token, delayed, closed, now })
    }

    /// Why nothing is to be sent for a payment any more. Its address is watched all the same.
    async fn closed(
        self,
        reader: &mut Reader<'_>,
        payment: &PaymentRow,
        now: Timestamp,
    ) -> Result<Option<NotPayable>, ServiceError> {
        if payment.state.status != PaymentStatus::Open || !payment.seen.is_zero() {
            return Ok(None);
        }
        // Of a recurring payment the very period that it is for, and not the latest.
        let id = match payment.paid_for {
            PaidFor::PaymentLink(id) => PayableId::PaymentLink(id),
            PaidFor::Invoice(id, _) => PayableId::Invoice(id),
        };
        let Some(payable) = self.payable_in(reader, id).await? else { return Ok(Some(NotPayable::Inactive)) };
        let business = reader.find_business(&payment.tenant.business).await?;
        let suspended = business.is_none_or(|business| business.suspended_at.is_some());
        Ok(payable.check_all(suspended, payable.is_being_paid(reader).await?, now).err())
    }

    /// One page of payments, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no payment of the tenant.
    pub async fn list(
        self,
        tenant: &Tenant,
        filter: &PaymentFilter,
        after: Option<PaymentId>,
        limit: u32,
    ) -> Result<Page<PaymentRow>, ServiceError> {
        let mut reader = self.core.store.read();
        check_start(&mut reader, tenant, after).await?;
        let data = reader.list_payments(tenant, filter, after, limit + 1).await?;
        Ok(Page::of(data, limit))
    }

    /// The same, each with what it is for.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub async fn list_with_subjects(
        self,
        tenant: &Tenant,
        filter: &PaymentFilter,
        after: Option<PaymentId>,
        limit: u32,
    ) -> Result<Page<ListedPayment>, ServiceError> {
        let mut reader = self.core.store.read();
        check_start(&mut reader, tenant, after).await?;
        let data = reader.list_payments_with_subjects(tenant, filter, after, limit + 1).await?;
        Ok(Page::of(data, limit))
    }

    /// What a payment is for, as people call it.
    pub async fn subject(self, payment: &PaymentRow) -> Result<Subject, ServiceError> {
        Ok(self.core.store.read().find_subject(&payment.tenant, payment.id).await?.unwrap_or_default())
    }

    /// Where in the wallet of the business the address of a payment is, where its money goes by an extended public key.
    pub async fn wallet_path(self, payment: &PaymentRow) -> Result<Option<String>, ServiceError> {
        let place = self.core.store.read().find_destination(&payment.destination).await?;
        Ok(place.and_then(|place| place.child).map(|child| child.key.path(child.index)))
    }

    /// What came in for a payment, in the ledger's order.
    pub async fn deposits(self, tenant: &Tenant, id: PaymentId) -> Result<Vec<DepositRow>, ServiceError> {
        let payment = self.core.store.read().find_payment(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.core.store.read().list_deposits_of(payment.id).await?)
    }

    /// Calls a payment off, as long as nothing was seen of it.
    ///
    /// # Errors
    /// [`ServiceError::PaymentClosed`] otherwise.
    pub async fn cancel(
        self,
        context: &Context,
        tenant: &Tenant,
        id: PaymentId,
        idempotent: Option<&Idempotent<'_, PaymentRow>>,
    ) -> Result<Answered<PaymentRow>, ServiceError> {
        self.decide(context, tenant, id, idempotent, None).await
    }

    /// Decides on a payment that waits for somebody. Refunds of it that wait to be sent are called off where all that
    /// came is returned outside of this system.
    ///
    /// # Errors
    /// [`ServiceError::PaymentClosed`] where there is nothing to decide, [`ServiceError::NotRefundable`] where nothing
    /// came that could be returned.
    pub async fn resolve(
        self,
        context: &Context,
        tenant: &Tenant,
        id: PaymentId,
        verdict: Verdict,
        reason: &Reason,
        idempotent: Option<&Idempotent<'_, PaymentRow>>,
    ) -> Result<Answered<PaymentRow>, ServiceError> {
        self.decide(context, tenant, id, idempotent, Some((verdict, reason))).await
    }

    /// Has somebody's word decide where a payment stands; without one it is called off.
    async fn decide(
        self,
        context: &Context,
        tenant: &Tenant,
        id: PaymentId,
        idempotent: Option<&Idempotent<'_, PaymentRow>>,
        word: Option<(Verdict, &Reason)>,
    ) -> Result<Answered<PaymentRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        unit.lock_business(&tenant.business).await?;
        unit.check_caller().await?;
        unit.check_member(&tenant.business, Operation::PaymentsWrite, tenant.environment == Environment::Live).await?;
        let found = unit.tx.read().find_payment(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        let ledger = found.destination.ledger;
        let cursor = engine::hold_still(&mut unit, &ledger).await?;
        let payment = unit.tx.read().find_payment(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        let deposits = unit.tx.read().list_deposits_of(id).await?;
        let certainty = Certainty::of(self.core, &ledger, cursor.as_ref(), unit.now);
        let observed = engine::observed(&payment, &deposits, &certainty);
        let state = match word {
            None => payment.state.cancelled(&observed),
            Some((verdict, _)) => {
                let of = GivenBack::Payment(id);
                if verdict == Verdict::Return {
                    refunds::call_off_beyond(&mut unit, tenant, of, 0).await?;
                }
                let promised = unit.tx.read().sum_refunds(of).await?.held;
                payment.state.decided(verdict, &observed, promised)
            }
        };
        let state = state.map_err(|error| match error {
            NotNow::Return | NotNow::Refund => ServiceError::NotRefundable,
            NotNow::Cancel | NotNow::Decide => ServiceError::PaymentClosed,
        })?;
        let why = word.map(|(verdict, reason)| json!({ "verdict": verdict, "reason": reason }));
        engine::change(&mut unit, &payment, payment.clone(), state, why.as_ref()).await?;
        let changed = unit.tx.read().find_payment(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        idempotency::keep(&mut unit.tx, idempotent, &changed, unit.now).await?;
        unit.commit(ChangeKind::Payment, Some(&tenant.business), Some(&id.to_string())).await?;
        Ok(Answered::Done(changed))
    }

    /// Takes a transaction hash as a hint to look sooner. One that a test ledger does not know stands for a transfer, of
    /// the exact amount or as its magic name says.
    ///
    /// # Errors
    /// [`ServiceError::TransactionTaken`] where it was handed in for another payment; on a network also
    /// [`ServiceError::TransactionRefused`] where it says that it does not pay this one, and
    /// [`ServiceError::TestLedgerOff`] for what would be a transfer on a test ledger where TEST is bound to networks.
    pub async fn hand_in(self, context: &Context, id: PaymentId, hash: &str) -> Result<Watched, ServiceError> {
        check_hash(hash)?;
        let payment = self.get_shown(id).await?.payment;
        if matches!(payment.destination.ledger, LedgerId::Network(..)) {
            return self.hand_in_on_network(&payment, hash).await;
        }
        places::check_test_ledger(self.core, payment.tenant.environment)?;
        let place = &payment.destination;
        // A magic name stands for a new transaction each time.
        let scenario = Scenario::of_hash(hash);
        let name = name_in_test(hash, id);
        let mut tx = self.core.store.begin().await?;
        let holder = tx.claim_transaction(place, &name, id, self.core.clock.now()).await?;
        let counted = tx.read().list_deposits_in(place, &name).await?;
        if holder != id || counted.iter().any(|deposit| deposit.payment.is_some_and(|other| other != id)) {
            return Err(ServiceError::TransactionTaken);
        }
        tx.commit().await?;
        let mut reader = self.core.store.read();
        let known = reader.find_test_transfer(&payment.tenant.business, &place.network, &name).await?.is_some();
        if !known && payment.state.is_awaiting() {
            let ledger = TestLedgers::new(self.core);
            ledger.play_as(context, &payment, scenario.unwrap_or(Scenario::Paid), Some(&name)).await?;
        }
        engine::look(self.core, &place.ledger).await?;
        self.get_shown(id).await
    }

    /// The same for a key of the tenant, once under the name of the request.
    pub async fn hand_in_to(
        self,
        context: &Context,
        tenant: &Tenant,
        id: PaymentId,
        hash: &str,
        idempotent: Option<&Idempotent<'_, Watched>>,
    ) -> Result<Answered<Watched>, ServiceError> {
        let act = Box::pin(async {
            // Not found where it is another tenant's.
            self.get(tenant, id).await?;
            self.hand_in(context, id, hash).await
        });
        idempotency::once(self.core, idempotent, act).await
    }

    /// The same on a network. Amount, address and network come from our record, and the credit comes from the ledger alone:
    /// the hash makes us look now instead of soon.
    async fn hand_in_on_network(self, payment: &PaymentRow, hash: &str) -> Result<Watched, ServiceError> {
        refuse_stand_in(&payment.tenant, hash)?;
        let bad = || ServiceError::invalid("transaction_hash", "must be 0x and 64 hexadecimal digits");
        let hash: Hash32 = hash.parse().map_err(|_| bad())?;
        let (place, name) = (&payment.destination, hash.to_string());
        let to = place.address.parse().map_err(|_| ServiceError::NotFound)?;
        let rail = engine::evm_rail(self.core, &place.ledger)?;
        match rail.verify(hash, to, payment.terms.due.asset()).await? {
            Some(Said::Reverted) => return Err(ServiceError::TransactionRefused(WrongTransaction::Failed)),
            Some(Said::NotHere) => {
                return Err(ServiceError::TransactionRefused(WrongTransaction::NotThisPayment));
            }
            // It may be in a block soon. Nobody owns a hash that pays nothing yet.
            None => rail.network.wake(),
            Some(Said::Pays(block)) => {
                let mut tx = self.core.store.begin().await?;
                let holder = tx.claim_transaction(place, &name, payment.id, self.core.clock.now()).await?;
                // One transaction may pay several payments; it was handed in for one of them.
                if holder != payment.id {
                    return Err(ServiceError::TransactionTaken);
                }
                tx.commit().await?;
                let cursor = self.core.store.read().find_cursor(&place.ledger).await?;
                if cursor.is_none_or(|cursor| cursor.height < block) {
                    match engine::look(self.core, &place.ledger).await {
                        Err(ServiceError::Store(error)) => return Err(ServiceError::Store(error)),
                        // Its watcher goes on trying.
                        Err(_) => rail.network.wake(),
                        Ok(_) => {}
                    }
                }
            }
        }
        self.get_shown(payment.id).await
    }

    /// The payment for which a transaction was handed in, where it is about something in this asset.
    pub async fn handed_in(
        self,
        tenant: &Tenant,
        network: &str,
        asset: Asset,
        hash: &str,
    ) -> Result<Option<PaymentRow>, ServiceError> {
        let network = places::network_of(self.core, tenant, Some(network), asset).await?;
        let ledger = places::ledger_of(self.core, tenant, &network);
        let mut reader = self.core.store.read();
        let Some(id) = reader.find_claim(&ledger, &network, hash).await? else { return Ok(None) };
        Ok(reader.find_payment(tenant, id).await?)
    }

    /// The payment for which a transaction is to be handed in that was not before: on a test ledger a new one, for the
    /// first to name it, on a network that of the address which it pays; none where no node has it in a block.
    ///
    /// # Errors
    /// As [`Self::start`], [`Self::payment_at`] and [`Self::hand_in`], and [`ServiceError::TransactionRefused`] where it
    /// pays no address that was given out to the tenant.
    pub async fn for_transaction(
        self,
        context: &Context,
        shown: &Shown,
        network: &str,
        hash: &str,
    ) -> Result<Option<PaymentId>, ServiceError> {
        let tenant = shown.payable.tenant();
        let asset = shown.payable.amount().asset();
        let chain = places::network_of(self.core, tenant, Some(network), asset).await?;
        let ledger = places::ledger_of(self.core, tenant, &chain);
        let LedgerId::Network(..) = ledger else {
            return self.for_transaction_in_test(context, shown, &ledger, chain, hash).await.map(Some);
        };
        refuse_stand_in(tenant, hash)?;
        // What a wallet reports may be the name of something else.
        let Ok(hash) = hash.parse::<Hash32>() else { return Ok(None) };
        let recipients = engine::evm_rail(self.core, &ledger)?.recipients(hash, asset).await?;
        if recipients.is_empty() {
            return Ok(None);
        }
        for to in recipients {
            match self.payment_at(context, shown, network, &to.to_string()).await {
                Ok(payment) => return Ok(Some(payment.id)),
                Err(ServiceError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ServiceError::TransactionRefused(WrongTransaction::NotThisPayable))
    }

    /// The same on a test ledger. What stands for a transaction, a magic name too, belongs to the payment that was started
    /// for it: whoever names it again for the same thing means that one.
    async fn for_transaction_in_test(
        self,
        context: &Context,
        shown: &Shown,
        ledger: &LedgerId,
        network: ChainId,
        hash: &str,
    ) -> Result<PaymentId, ServiceError> {
        check_hash(hash)?;
        let (tenant, paid_for) = (shown.payable.tenant(), shown.payable.paid_for());
        let name = match paid_for {
            PaidFor::PaymentLink(id) => name_in_test(hash, id),
            PaidFor::Invoice(id, _) => name_in_test(hash, id),
        };
        let mut unit = Unit::begin(self.core, context).await?;
        // Of those who name it at once, one starts the payment.
        unit.lock_business(&tenant.business).await?;
        if let Some(holder) = unit.tx.read().find_claim(ledger, &network, &name).await? {
            let payment = unit.tx.read().find_payment(tenant, holder).await?;
            unit.settle().await?;
            let same = payment.is_some_and(|payment| payment.paid_for == paid_for);
            return if same { Ok(holder) } else { Err(ServiceError::TransactionTaken) };
        }
        let payment = self.start_in(&mut unit, shown, network, None).await?.payment;
        let now = unit.now;
        // Handed in for another payment meanwhile, by whom no lock holds up.
        if unit.tx.claim_transaction(&payment.destination, &name, payment.id, now).await? != payment.id {
            return Err(ServiceError::TransactionTaken);
        }
        unit.commit(ChangeKind::Payment, Some(&tenant.business), Some(&payment.id.to_string())).await?;
        Ok(payment.id)
    }

    /// Gives out an address that names no payment yet, as Mileston's clients ask for one.
    pub async fn spare_address(
        self,
        context: &Context,
        tenant: &Tenant,
        network: &str,
    ) -> Result<Destination, ServiceError> {
        let network = places::network_of(self.core, tenant, Some(network), SPARE).await?;
        let mut unit = Unit::begin(self.core, context).await?;
        unit.check_caller().await?;
        let payment = PaymentId::random(self.core.entropy.bytes());
        let place = places::new_place(self.core, &mut unit, tenant, network, payment).await?;
        let destination = place.destination.clone();
        unit.tx.insert_destination(&place.given_out(tenant, None, unit.now)).await?;
        unit.tx.commit().await?;
        Ok(destination)
    }

    /// The payment of an address that was given out, which is bound to this payable if it is to none yet.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for an address that was never given out to the tenant, or for something else.
    pub async fn payment_at(
        self,
        context: &Context,
        shown: &Shown,
        network: &str,
        address: &str,
    ) -> Result<PaymentRow, ServiceError> {
        let tenant = shown.payable.tenant();
        let asset = shown.payable.amount().asset();
        let network = places::network_of(self.core, tenant, Some(network), asset).await?;
        let destination = Destination {
            ledger: places::ledger_of(self.core, tenant, &network),
            network: network.clone(),
            address: address.to_owned(),
        };
        let place = self.core.store.read().find_destination(&destination).await?;
        let place = place.filter(|place| place.tenant == *tenant).ok_or(ServiceError::NotFound)?;
        let id = if let Some(id) = place.payment {
            id
        } else if asset != SPARE {
            // What came there meanwhile was taken for USDC.
            return Err(ServiceError::NotFound);
        } else {
            let mut unit = Unit::begin(self.core, context).await?;
            unit.lock_business(&tenant.business).await?;
            // A look that has found the address without a payment is over, and one that begins finds this payment.
            let cursor = engine::hold_still(&mut unit, &destination.ledger).await?;
            let started = self.start_in(&mut unit, shown, network, Some(address.to_owned())).await?;
            let id = started.payment.id;
            let certainty = Certainty::of(self.core, &destination.ledger, cursor.as_ref(), unit.now);
            engine::settle(&mut unit, id, &certainty).await?;
            unit.commit(ChangeKind::Payment, Some(&tenant.business), Some(&id.to_string())).await?;
            id
        };
        let payment = self.get(tenant, id).await?.payment;
        if payment.paid_for == shown.payable.paid_for() { Ok(payment) } else { Err(ServiceError::NotFound) }
    }

    /// One page of what came in and no payment takes, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no deposit of the tenant.
    pub async fn unmatched(
        self,
        tenant: &Tenant,
        after: Option<DepositId>,
        limit: u32,
    ) -> Result<Page<DepositRow>, ServiceError> {
        let mut reader = self.core.store.read();
        if let Some(after) = after
            && reader.find_deposit(tenant, after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no deposit with this id"));
        }
        let data = reader.list_unmatched(tenant, after, limit + 1).await?;
        Ok(Page::of(data, limit))
    }

    /// Something that came in.
    pub async fn deposit(self, tenant: &Tenant, id: DepositId) -> Result<DepositRow, ServiceError> {
        self.core.store.read().find_deposit(tenant, id).await?.ok_or(ServiceError::NotFound)
    }

    /// Notes that somebody dealt with a deposit outside of this system, and why. Refunds of it that wait to be sent are
    /// called off.
    ///
    /// # Errors
    /// [`ServiceError::PaymentClosed`] where it was dealt with before, or a payment takes it.
    pub async fn dismiss(
        self,
        context: &Context,
        tenant: &Tenant,
        id: DepositId,
        reason: &Reason,
        idempotent: Option<&Idempotent<'_, DepositRow>>,
    ) -> Result<Answered<DepositRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        unit.lock_business(&tenant.business).await?;
        unit.check_caller().await?;
        unit.check_member(&tenant.business, Operation::PaymentsWrite, tenant.environment == Environment::Live).await?;
        let found = unit.tx.read().find_deposit(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        let is_taken = found.payment.is_some() && found.transfer.asset == Moved::Accepted && found.units.is_some();
        let resolution = json!({ "kind": "dismissed", "reason": reason, "by": unit.actor() });
        if is_taken || !unit.tx.resolve_deposit(id, None, &resolution, unit.now).await? {
            return Err(ServiceError::PaymentClosed);
        }
        refunds::call_off_beyond(&mut unit, tenant, GivenBack::Deposit(id), 0).await?;
        unit.record_about(
            Happened {
                event: EventType::DepositResolved,
                business: &tenant.business,
                environment: Some(tenant.environment),
                key: None,
                data: json!({ "deposit": view::deposit(&found), "reason": reason }),
            },
            Some(id.to_string()),
        )
        .await?;
        let resolved = unit.tx.read().find_deposit(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        idempotency::keep(&mut unit.tx, idempotent, &resolved, unit.now).await?;
        unit.commit(ChangeKind::Payment, Some(&tenant.business), None).await?;
        Ok(Answered::Done(resolved))
    }
}

/// Ledgers looked at in one round.
const LEDGERS_PER_ROUND: u32 = 100;

/// Looks at the ledgers that have something to tell, lets payments expire, and makes the periods that are due.
pub(crate) async fn watch(core: &Core) -> Result<(), ServiceError> {
    let mut reader = core.store.read();
    let mut ledgers = reader.list_ledgers_with_expired(core.clock.now(), LEDGERS_PER_ROUND).await?;
    // Networks have watchers of their own, and their time is that of their blocks.
    ledgers.retain(|ledger| matches!(ledger, LedgerId::Test(_)));
    ledgers.extend(reader.list_unseen_test_ledgers(LEDGERS_PER_ROUND).await?.into_iter().map(LedgerId::Test));
    ledgers.sort_unstable();
    ledgers.dedup();
    for ledger in &ledgers {
        match engine::look(core, ledger).await {
            Err(ServiceError::Store(error)) => return Err(ServiceError::Store(error)),
            // What is wrong with one ledger holds up no other one.
            Err(error) => tracing::error!(ledger = %ledger, %error, "a ledger could not be looked at"),
            Ok(_) => {}
        }
    }
    recurring_payments::make_due(core, None).await
}

/// A page begins after a payment of the tenant's.
async fn check_start(reader: &mut Reader<'_>, tenant: &Tenant, after: Option<PaymentId>) -> Result<(), ServiceError> {
    if let Some(after) = after
        && reader.find_payment(tenant, after).await?.is_none()
    {
        return Err(ServiceError::invalid("starting_after", "there is no payment with this id"));
    }
    Ok(())
}

/// The price from now on. It stays in its currency: what was paid so far would not add up otherwise.
fn repriced(before: Money, now: Option<Money>) -> Result<Money, ServiceError> {
    let now = now.unwrap_or(before);
    if now.asset() == before.asset() {
        Ok(now)
    } else {
        Err(ServiceError::invalid("amount", format!("must be in {}, as before", before.asset().code())))
    }
}

fn check_hash(hash: &str) -> Result<(), ServiceError> {
    let good =
        (1..=MAX_HASH).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if good {
        Ok(())
    } else {
        Err(ServiceError::invalid("transaction_hash", "must be 1 to 128 ASCII letters, digits and underscores"))
    }
}

/// The transaction of a test ledger that a hash stands for. A magic name is another one for each thing that it is named for.
fn name_in_test(hash: &str, named_for: impl fmt::Display) -> String {
    match Scenario::of_hash(hash) {
        Some(_) => format!("{hash}_{named_for}"),
        None => hash.to_owned(),
    }
}

/// Refuses the name of a scenario where a transaction is meant: whoever sends it believes that TEST is on a test ledger.
fn refuse_stand_in(tenant: &Tenant, hash: &str) -> Result<(), ServiceError> {
    match (tenant.environment, Scenario::of_hash(hash)) {
        (Environment::Test, Some(_)) => Err(ServiceError::TestLedgerOff),
        _ => Ok(()),
    }
}

/// A token in the alphabet of URLs.
fn token_of(random: &[u8; 16]) -> String {
    use base64::Engine as _;
    format!("pst_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random))
}

/// What is kept of a token: it is random, so a plain digest hides it.
fn digest_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
