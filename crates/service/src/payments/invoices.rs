//! Invoices: made, changed, called off.

use serde_json::json;
use trousseau_domain::environment::Tenant;
use trousseau_domain::events::EventType;
use trousseau_domain::ids::{InvoiceId, RecurringPaymentId};
use trousseau_domain::members::{EmailAddress, Operation};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payables::{
    CustomerName, CustomerReference, InvoiceLine, InvoiceStatus, MAX_LINES, Title, WebUrl, sum_of,
};
use trousseau_domain::time::Timestamp;
use trousseau_store::{ChangeKind, InvoiceFilter, InvoiceRow};

use super::test_ledger::now_of;
use super::view;
use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};
use crate::keys::Page;

/// What an invoice is about: one price, or lines that add up to it.
#[derive(Debug, Clone)]
pub enum Billed {
    /// One thing at one price.
    Whole(Money),
    /// Line by line, of one asset.
    Lines(Vec<InvoiceLine>, Asset),
}

impl Billed {
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

    /// Makes an invoice.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for lines that do not add up, [`ServiceError::BusinessSuspended`].
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
            return Ok(Answered::Replayed(answer));
        }
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let invoice = make(self.core, &mut unit, tenant, draft.clone(), None).await?.ok_or(ServiceError::Conflict)?;
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

    /// Changes an invoice that is neither paid nor called off. Payments that were started keep their price.
    ///
    /// # Errors
    /// [`ServiceError::InvoiceClosed`].
    pub async fn update(
        self,
        context: &Context,
        tenant: &Tenant,
        id: InvoiceId,
        change: &InvoiceChange,
    ) -> Result<InvoiceRow, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let old = open(&mut unit, tenant, id).await?;
        let mut new = old.clone();
        let change = change.clone();
        new.title = change.title.unwrap_or(new.title);
        if let Some(billed) = change.billed {
            (new.amount, new.lines) = billed.lines(&new.title)?;
        }
        new.due_at = change.due_at.unwrap_or(new.due_at);
        new.customer_name = change.customer_name.unwrap_or(new.customer_name);
        new.customer_email = change.customer_email.unwrap_or(new.customer_email);
        new.customer_reference = change.customer_reference.unwrap_or(new.customer_reference);
        new.redirect_url = change.redirect_url.unwrap_or(new.redirect_url);
        new.metadata = change.metadata.unwrap_or(new.metadata);
        new.with_pdf = change.with_pdf.unwrap_or(new.with_pdf);
        if new == old {
            return Ok(old);
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
            return Ok(Answered::Replayed(answer));
        }
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let mut invoice = unit.tx.read().find_invoice(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        if invoice.voided_at.is_some() {
            return Ok(Answered::Done(invoice));
        }
        if invoice.paid_at.is_some() {
            return Err(ServiceError::InvoiceClosed);
        }
        invoice.voided_at = Some(unit.now);
        idempotency::keep(&mut unit.tx, idempotent, &invoice, unit.now).await?;
        save(unit, invoice, EventType::InvoiceVoided).await.map(Answered::Done)
    }

    /// Deletes an invoice: it can no longer be paid. Its payments and its history stay.
    pub async fn delete(self, context: &Context, tenant: &Tenant, id: InvoiceId) -> Result<InvoiceRow, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let mut invoice = unit.tx.read().find_invoice(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        if invoice.deleted_at.is_some() {
            return Ok(invoice);
        }
        invoice.deleted_at = Some(unit.now);
        save(unit, invoice, EventType::InvoiceDeleted).await
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
    if !unit.tx.update_invoice(&invoice).await? {
        return Err(ServiceError::NotFound);
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
    tenant: &Tenant,
    draft: InvoiceDraft,
    period: Option<(RecurringPaymentId, u32)>,
) -> Result<Option<InvoiceRow>, ServiceError> {
    let (amount, lines) = draft.billed.lines(&draft.title)?;
    let invoice = InvoiceRow {
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
        reminded: None,
        created_at: unit.now,
        created_by: unit.actor().clone(),
        updated_at: unit.now,
        deleted_at: None,
    };
    if !unit.tx.insert_invoice(&invoice).await? {
        return Ok(None);
    }
    tell(unit, EventType::InvoiceCreated, &invoice).await?;
    Ok(Some(invoice))
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
