//! Invoices: made, mailed, changed, called off.

use std::time::Duration;

use serde_json::json;
use trousseau_domain::business::Language;
use trousseau_domain::environment::Tenant;
use trousseau_domain::events::EventType;
use trousseau_domain::ids::{InvoiceId, MailId, RecurringPaymentId};
use trousseau_domain::members::{EmailAddress, Operation};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payables::{
    CustomerName, CustomerReference, InvoiceLine, InvoiceStatus, MAX_LINES, Title, WebUrl, sum_of,
};
use trousseau_domain::reminders::{Reminder, Schedule};
use trousseau_domain::time::Timestamp;
use trousseau_store::{BusinessRow, ChangeKind, InvoiceFilter, InvoiceMailRow, InvoiceRow, Reader, Store, StoreError};

use super::invoice_mail::InvoiceLetter;
use super::invoice_paper::{self, Printed};
use super::test_ledger::{now_in, now_of};
use super::{repriced, view};
use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};
use crate::keys::Page;
use crate::mail::{self, Letter, Recipient, language_of};
use crate::paper::Picture;

/// How long a mail counts against the limits.
pub(crate) const MAILS_COUNT_FOR: Duration = Duration::from_hours(24);
/// The most mails of invoices that one address gets from a business and environment in that time; reminders, of which
/// there are few, come on top.
const MOST_PER_ADDRESS: usize = 20;
/// The most of them about one invoice.
const MOST_PER_INVOICE: usize = 5;

/// What an invoice is about: one price, or lines that add up to it.
#[derive(Debug, Clone)]
pub enum Billed {
    /// One thing at one price.
    Whole(Money),
    /// Line by line, of one asset.
    Lines(Vec<InvoiceLine>, Asset),
}

impl Billed {
    /// What it is in.
    const fn asset(&self) -> Asset {
        match self {
            Self::Whole(amount) => amount.asset(),
            Self::Lines(_, asset) => *asset,
        }
    }

    /// The price, and the lines of it.
    fn lines(self, title: &Title) -> Result<(Money, Vec<InvoiceLine>), ServiceError> {
        match self {
            Self::Whole(amount) => {
                let line = InvoiceLine { description: title.clone(), quantity: 1, unit_amount: amount.units() };
                Ok((amount, vec![line]))
            }
            Self::Lines(lines, asset) => {
                if !(1..=MAX_LINES).contains(&lines.len()) {
                    return Err(ServiceError::invalid("lines", format!("must be 1 to {MAX_LINES}")));
                }
                let sum = sum_of(&lines, Money::zero(asset));
                let sum = sum.map_err(|_| ServiceError::invalid("lines", "add up to more than can be paid"))?;
                if sum.is_zero() {
                    return Err(ServiceError::invalid("lines", "must add up to more than zero"));
                }
                Ok((sum, lines))
            }
        }
    }
}

/// What is asked for when an invoice is made.
#[derive(Debug, Clone)]
pub struct InvoiceDraft {
    /// What is billed, in a few words.
    pub title: Title,
    /// For how much.
    pub billed: Billed,
    /// Until when it is to be paid.
    pub due_at: Timestamp,
    /// What the customer is called.
    pub customer_name: Option<CustomerName>,
    /// Where it is sent.
    pub customer_email: Option<EmailAddress>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<CustomerReference>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<WebUrl>,
    /// The merchant's own data.
    pub metadata: Metadata,
    /// Whether the mail carries it as PDF.
    pub with_pdf: bool,
    /// Whether it is mailed at once, where there is an address; reminders follow.
    pub send: bool,
}

/// What is to be different; what is absent stays, `Some(None)` clears.
#[derive(Debug, Clone, Default)]
pub struct InvoiceChange {
    /// What is billed, in a few words.
    pub title: Option<Title>,
    /// For how much.
    pub billed: Option<Billed>,
    /// Until when it is to be paid.
    pub due_at: Option<Timestamp>,
    /// What the customer is called.
    pub customer_name: Option<Option<CustomerName>>,
    /// Where it is sent.
    pub customer_email: Option<Option<EmailAddress>>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<Option<CustomerReference>>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<Option<WebUrl>>,
    /// The merchant's own data.
    pub metadata: Option<Metadata>,
    /// Whether the mail carries it as PDF.
    pub with_pdf: Option<bool>,
}

/// Use cases of invoices.
#[derive(Debug, Clone, Copy)]
pub struct Invoices<'a> {
    core: &'a Core,
}

impl<'a> Invoices<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Makes an invoice, and mails it where that is asked for and there is an address. One that had its fill of mails
    /// gets none, and the invoice is made all the same.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for lines that do not add up and for a currency that nothing could pay,
    /// [`ServiceError::BusinessSuspended`].
    pub async fn create(
        self,
        context: &Context,
        tenant: &Tenant,
        draft: &InvoiceDraft,
        idempotent: Option<&Idempotent<'_, InvoiceRow>>,
    ) -> Result<Answered<InvoiceRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        self.core.networks.check_asset(tenant.environment, draft.billed.asset())?;
        let business = unit.enter(tenant, Operation::PaymentsWrite).await?;
        let made = make(self.core, &mut unit, &business, tenant, draft.clone(), None).await?;
        let invoice = made.ok_or(ServiceError::Conflict)?;
        idempotency::keep(&mut unit.tx, idempotent, &invoice, unit.now).await?;
        unit.commit(ChangeKind::Payable, Some(&tenant.business), Some(&invoice.id.to_string())).await?;
        Ok(Answered::Done(invoice))
    }

    /// The time by which a tenant's invoices fall due; in TEST its clock.
    pub async fn now(self, tenant: &Tenant) -> Result<Timestamp, ServiceError> {
        now_of(self.core, tenant).await
    }

    /// One invoice; a deleted one too.
    pub async fn get(self, tenant: &Tenant, id: InvoiceId) -> Result<InvoiceRow, ServiceError> {
        self.core.store.read().find_invoice(tenant, id).await?.ok_or(ServiceError::NotFound)
    }

    /// One page of invoices, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no invoice of the tenant.
    pub async fn list(
        self,
        tenant: &Tenant,
        filter: &InvoiceFilter,
        after: Option<InvoiceId>,
        limit: u32,
    ) -> Result<Page<InvoiceRow>, ServiceError> {
        let now = now_of(self.core, tenant).await?;
        let mut reader = self.core.store.read();
        if let Some(after) = after
            && reader.find_invoice(tenant, after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no invoice with this id"));
        }
        let data = reader.list_invoices(tenant, filter, now, after, limit + 1).await?;
        Ok(Page::of(data, limit))
    }

    /// Mails an invoice to its customer, once more where it was before; reminders follow.
    ///
    /// # Errors
    /// [`ServiceError::InvoiceClosed`] where nothing is to be paid any more, [`ServiceError::NoCustomerEmail`],
    /// [`ServiceError::MailLimitReached`], [`ServiceError::BusinessSuspended`].
    pub async fn send(
        self,
        context: &Context,
        tenant: &Tenant,
        id: InvoiceId,
        idempotent: Option<&Idempotent<'_, InvoiceRow>>,
    ) -> Result<Answered<InvoiceRow>, ServiceError> {
        let now = now_of(self.core, tenant).await?;
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        let business = unit.enter(tenant, Operation::PaymentsWrite).await?;
        let mut invoice = open(&mut unit, tenant, id).await?;
        if is_gone(&mut unit.tx.read(), &invoice).await? {
            return Err(ServiceError::InvoiceClosed);
        }
        let recipient = invoice.customer_email.clone().ok_or(ServiceError::NoCustomerEmail)?;
        if let Some(again_in) = wait_for(&mut unit, tenant, &recipient, Some(id)).await? {
            return Err(ServiceError::MailLimitReached { again_in });
        }
        begin_reminders(&mut invoice, &business, unit.now, now);
        if !unit.tx.update_invoice(&invoice).await? {
            return Err(ServiceError::Conflict);
        }
        send_out(self.core, &mut unit, &business, &invoice).await?;
        idempotency::keep(&mut unit.tx, idempotent, &invoice, unit.now).await?;
        unit.commit(ChangeKind::Payable, Some(&tenant.business), Some(&id.to_string())).await?;
        Ok(Answered::Done(invoice))
    }

    /// An invoice of the tenant on paper, in the language of the business.
    pub async fn pdf(self, tenant: &Tenant, id: InvoiceId) -> Result<InvoiceFile, ServiceError> {
        let invoice = self.get(tenant, id).await?;
        let business = self.core.store.read().find_business(&tenant.business).await?.ok_or(ServiceError::NotFound)?;
        let language = language_of(&business);
        Ok(file_of(&self.core.store, self.page_of(id), business, invoice, language).await?)
    }

    /// The invoice that a payer was shown, on paper, in the language of the page.
    pub async fn pdf_shown(
        self,
        business: BusinessRow,
        invoice: InvoiceRow,
        language: Language,
    ) -> Result<InvoiceFile, ServiceError> {
        let link = self.page_of(invoice.id);
        Ok(file_of(&self.core.store, link, business, invoice, language).await?)
    }

    fn page_of(self, id: InvoiceId) -> String {
        page_of(self.core, id)
    }

    /// Changes an invoice that is neither paid nor called off. Payments that were started keep their price, and nothing is
    /// mailed. Reminders go by the new due date.
    ///
    /// # Errors
    /// [`ServiceError::InvoiceClosed`], [`ServiceError::Invalid`] for a price in another currency.
    pub async fn update(
        self,
        context: &Context,
        tenant: &Tenant,
        id: InvoiceId,
        change: &InvoiceChange,
    ) -> Result<InvoiceRow, ServiceError> {
        let now = now_of(self.core, tenant).await?;
        let mut unit = Unit::begin(self.core, context).await?;
        let business = unit.enter(tenant, Operation::PaymentsWrite).await?;
        let old = open(&mut unit, tenant, id).await?;
        let mut new = old.clone();
        let change = change.clone();
        if let Some(title) = change.title {
            rename_whole(&mut new.lines, &old.title, &title);
            new.title = title;
        }
        if let Some(billed) = change.billed {
            let (amount, lines) = billed.lines(&new.title)?;
            (new.amount, new.lines) = (repriced(old.amount, Some(amount))?, lines);
        }
        new.due_at = change.due_at.unwrap_or(new.due_at);
        new.customer_name = change.customer_name.unwrap_or(new.customer_name);
        new.customer_email = change.customer_email.unwrap_or(new.customer_email);
        new.customer_reference = change.customer_reference.unwrap_or(new.customer_reference);
        new.redirect_url = change.redirect_url.unwrap_or(new.redirect_url);
        new.metadata = change.metadata.unwrap_or(new.metadata);
        new.with_pdf = change.with_pdf.unwrap_or(new.with_pdf);
        if new == old {
            unit.settle().await?;
            return Ok(old);
        }
        if let (Some(sent_at), true) = (new.sent_at, new.due_at != old.due_at) {
            begin_reminders(&mut new, &business, sent_at, now);
        }
        save(unit, new, EventType::InvoiceUpdated).await
    }

    /// Calls an invoice off: it can no longer be paid. Voiding a void one changes nothing.
    ///
    /// # Errors
    /// [`ServiceError::InvoiceClosed`] once it is paid.
    pub async fn void(
        self,
        context: &Context,
        tenant: &Tenant,
        id: InvoiceId,
        idempotent: Option<&Idempotent<'_, InvoiceRow>>,
    ) -> Result<Answered<InvoiceRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let mut invoice = unit.tx.read().find_invoice(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        if invoice.voided_at.is_some() {
            // Nothing changes, and the name stands for this request all the same.
            idempotency::keep(&mut unit.tx, idempotent, &invoice, unit.now).await?;
            if idempotent.is_some() {
                unit.tx.commit().await?;
            } else {
                unit.settle().await?;
            }
            return Ok(Answered::Done(invoice));
        }
        if invoice.paid_at.is_some() {
            return Err(ServiceError::InvoiceClosed);
        }
        (invoice.voided_at, invoice.updated_at) = (Some(unit.now), unit.now);
        idempotency::keep(&mut unit.tx, idempotent, &invoice, unit.now).await?;
        save(unit, invoice, EventType::InvoiceVoided).await.map(Answered::Done)
    }

    /// Deletes an invoice: it can no longer be paid. Its payments and its history stay.
    pub async fn delete(self, context: &Context, tenant: &Tenant, id: InvoiceId) -> Result<InvoiceRow, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let mut invoice = unit.tx.read().find_invoice(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        if invoice.deleted_at.is_some() {
            unit.settle().await?;
            return Ok(invoice);
        }
        invoice.deleted_at = Some(unit.now);
        save(unit, invoice, EventType::InvoiceDeleted).await
    }
}

/// The one line of an invoice over a whole price is called as the invoice is; lines that somebody wrote stay.
fn rename_whole(lines: &mut [InvoiceLine], old: &Title, new: &Title) {
    if let [InvoiceLine { description, quantity: 1, .. }] = lines
        && description == old
    {
        *description = new.clone();
    }
}

async fn open(unit: &mut Unit<'_>, tenant: &Tenant, id: InvoiceId) -> Result<InvoiceRow, ServiceError> {
    let invoice = unit.tx.read().find_invoice(tenant, id).await?.ok_or(ServiceError::NotFound)?;
    match invoice.life().status_at(unit.now) {
        InvoiceStatus::Pending | InvoiceStatus::PastDue => Ok(invoice),
        InvoiceStatus::Paid | InvoiceStatus::Void => Err(ServiceError::InvoiceClosed),
    }
}

async fn save(mut unit: Unit<'_>, mut invoice: InvoiceRow, event: EventType) -> Result<InvoiceRow, ServiceError> {
    invoice.updated_at = unit.now;
    // The business is held, and the ledgers are not: only a payment can have come, or gone, meanwhile.
    if !unit.tx.update_invoice(&invoice).await? {
        return Err(ServiceError::Conflict);
    }
    tell(&mut unit, event, &invoice).await?;
    let (business, id) = (invoice.tenant.business.clone(), invoice.id.to_string());
    unit.commit(ChangeKind::Payable, Some(&business), Some(&id)).await?;
    Ok(invoice)
}

/// Makes an invoice inside a unit of work that holds the business; nothing where its period is there already.
pub(crate) async fn make(
    core: &Core,
    unit: &mut Unit<'_>,
    business: &BusinessRow,
    tenant: &Tenant,
    draft: InvoiceDraft,
    period: Option<(RecurringPaymentId, u32)>,
) -> Result<Option<InvoiceRow>, ServiceError> {
    let (amount, lines) = draft.billed.lines(&draft.title)?;
    let mut invoice = InvoiceRow {
        id: InvoiceId::random(core.entropy.bytes()),
        tenant: tenant.clone(),
        number: unit.tx.read().next_invoice_number(tenant).await?,
        amount,
        title: draft.title,
        lines,
        due_at: draft.due_at,
        customer_name: draft.customer_name,
        customer_email: draft.customer_email,
        customer_reference: draft.customer_reference,
        redirect_url: draft.redirect_url,
        metadata: draft.metadata,
        with_pdf: draft.with_pdf,
        period,
        paid_at: None,
        paid_by: None,
        voided_at: None,
        sent_at: None,
        reminded: None,
        remind_at: None,
        created_at: unit.now,
        created_by: unit.actor().clone(),
        updated_at: unit.now,
        deleted_at: None,
    };
    let mails = match &invoice.customer_email {
        Some(recipient) if draft.send => wait_for(unit, tenant, recipient, None).await?.is_none(),
        _ => false,
    };
    if mails {
        let now = now_in(core, &mut unit.tx.read(), tenant).await?;
        begin_reminders(&mut invoice, business, unit.now, now);
    }
    if !unit.tx.insert_invoice(&invoice).await? {
        return Ok(None);
    }
    tell(unit, EventType::InvoiceCreated, &invoice).await?;
    if mails {
        send_out(core, unit, business, &invoice).await?;
    }
    Ok(Some(invoice))
}

/// Notes that an invoice is sent, and that its reminders follow by the tenant's time.
fn begin_reminders(invoice: &mut InvoiceRow, business: &BusinessRow, sent_at: Timestamp, now: Timestamp) {
    let step = Schedule::new(invoice.due_at, &business.time_zone).begin(now);
    invoice.sent_at = Some(sent_at);
    invoice.reminded = step.passed.map(Reminder::days);
    invoice.remind_at = step.again_at;
}

/// How long an address has to be left alone, as far as it has. Only the lock of the business keeps the answer true.
async fn wait_for(
    unit: &mut Unit<'_>,
    tenant: &Tenant,
    recipient: &EmailAddress,
    invoice: Option<InvoiceId>,
) -> Result<Option<Duration>, ServiceError> {
    let from = unit.now.saturating_sub(MAILS_COUNT_FOR);
    let most = u32::try_from(2 * MOST_PER_ADDRESS).unwrap_or(u32::MAX);
    let mails = unit.tx.read().list_invoice_mails(tenant, recipient, from, most).await?;
    let about: Vec<_> = mails.iter().filter(|(known, _)| Some(*known) == invoice).map(|(_, at)| *at).collect();
    let all: Vec<_> = mails.iter().map(|(_, at)| *at).collect();
    // Room is made when so many of the earliest are past that one fewer than the most is left.
    let again = |times: &[Timestamp], most: usize| {
        let last_in_the_way = times.len().checked_sub(most).and_then(|index| times.get(index));
        last_in_the_way.map(|at| at.saturating_add(MAILS_COUNT_FOR).since(unit.now))
    };
    Ok(again(&about, MOST_PER_INVOICE).max(again(&all, MOST_PER_ADDRESS)))
}

/// Mails an invoice in the transaction of what it tells of, and says so.
async fn send_out(
    core: &Core,
    unit: &mut Unit<'_>,
    business: &BusinessRow,
    invoice: &InvoiceRow,
) -> Result<(), ServiceError> {
    let id = write_to_customer(core, unit, business, invoice, None).await?.ok_or(ServiceError::NoCustomerEmail)?;
    if let Some(recipient) = &invoice.customer_email {
        let (tenant, recipient, at) = (invoice.tenant.clone(), recipient.clone(), unit.now);
        unit.tx.insert_invoice_mail(&InvoiceMailRow { id, tenant, invoice: invoice.id, recipient, at }).await?;
    }
    tell(unit, EventType::InvoiceSent, invoice).await
}

/// Queues a mail about an invoice to its customer, in the language of the business; none without an address.
pub(crate) async fn write_to_customer(
    core: &Core,
    unit: &mut Unit<'_>,
    business: &BusinessRow,
    invoice: &InvoiceRow,
    reminder: Option<Reminder>,
) -> Result<Option<MailId>, ServiceError> {
    let Some(email) = &invoice.customer_email else { return Ok(None) };
    let link = page_of(core, invoice.id);
    let letter = Letter::Invoice(InvoiceLetter { business, invoice, link: &link, reminder });
    let recipient = Recipient { email: Some(email), account: None, language: language_of(business) };
    let now = unit.now;
    mail::queue(core, &mut unit.tx, now, recipient, &letter).await.map(Some)
}

/// The page on which an invoice is paid; of a period, this very one.
fn page_of(core: &Core, id: InvoiceId) -> String {
    core.people.address().link(&format!("/pay/invoice/{id}"))
}

/// Whether an invoice is no longer there for its customer: it was deleted, or the recurring payment of which it is a
/// period.
pub(crate) async fn is_gone(reader: &mut Reader<'_>, invoice: &InvoiceRow) -> Result<bool, StoreError> {
    let with_its_recurring_payment = match invoice.period {
        Some((recurring, _)) => reader.find_shown_recurring_payment(recurring).await?.is_none(),
        None => false,
    };
    Ok(with_its_recurring_payment || invoice.deleted_at.is_some())
}

/// An invoice as PDF.
#[derive(Clone, PartialEq, Eq)]
pub struct InvoiceFile {
    /// What the file is called: ASCII letters, digits, dashes and a point.
    pub name: String,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Whom an invoice is for is nobody's in a log.
impl std::fmt::Debug for InvoiceFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "InvoiceFile({}, {} bytes)", self.name, self.content.len())
    }
}

/// Prints an invoice, beside the requests: unpacking a logo takes a moment.
pub(crate) async fn file_of(
    store: &Store,
    link: String,
    business: BusinessRow,
    invoice: InvoiceRow,
    language: Language,
) -> Result<InvoiceFile, StoreError> {
    let mut reader = store.read();
    let logo = match reader.find_logo_of(&business.id).await? {
        Some(digest) => reader.find_logo(&digest).await?,
        None => None,
    };
    let printed = tokio::task::spawn_blocking(move || {
        let logo = logo.and_then(|(format, content)| Picture::of_logo(format, &content));
        let content = invoice_paper::print(&Printed {
            business: &business.name,
            zone: &business.time_zone,
            logo,
            invoice: &invoice,
            link: &link,
            language,
        });
        InvoiceFile { name: invoice_paper::file_name(&invoice, language), content }
    });
    Ok(printed.await.expect("printing ends, and nobody aborts it"))
}

async fn tell(unit: &mut Unit<'_>, event: EventType, invoice: &InvoiceRow) -> Result<(), ServiceError> {
    unit.record_about(
        Happened {
            event,
            business: &invoice.tenant.business,
            environment: Some(invoice.tenant.environment),
            key: None,
            data: json!({ "invoice": view::invoice(invoice) }),
        },
        Some(invoice.id.to_string()),
    )
    .await
}
