//! Payment links: made, changed, deleted.

use serde_json::json;
use trousseau_domain::environment::Tenant;
use trousseau_domain::events::EventType;
use trousseau_domain::ids::PaymentLinkId;
use trousseau_domain::members::Operation;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::Money;
use trousseau_domain::payables::{CustomerReference, Description, Title, WebUrl};
use trousseau_store::{ChangeKind, PaymentLinkFilter, PaymentLinkRow};

use super::{repriced, view};
use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};
use crate::keys::Page;

/// What is asked for when a payment link is made.
#[derive(Debug, Clone)]
pub struct PaymentLinkDraft {
    /// The price.
    pub amount: Money,
    /// What it is called.
    pub title: Option<Title>,
    /// What it says beside.
    pub description: Option<Description>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<WebUrl>,
    /// A picture that is kept and given back.
    pub logo_url: Option<WebUrl>,
    /// Another one.
    pub banner_url: Option<WebUrl>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<CustomerReference>,
    /// The merchant's own data.
    pub metadata: Metadata,
    /// Whether it can be paid once only.
    pub single_use: bool,
    /// Whether it is switched on.
    pub active: bool,
}

/// What is to be different; what is absent stays, `Some(None)` clears.
#[derive(Debug, Clone, Default)]
pub struct PaymentLinkChange {
    /// The price of payments to come.
    pub amount: Option<Money>,
    /// What it is called.
    pub title: Option<Option<Title>>,
    /// What it says beside.
    pub description: Option<Option<Description>>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<Option<WebUrl>>,
    /// A picture that is kept and given back.
    pub logo_url: Option<Option<WebUrl>>,
    /// Another one.
    pub banner_url: Option<Option<WebUrl>>,
    /// The merchant's own name for the customer.
    pub customer_reference: Option<Option<CustomerReference>>,
    /// The merchant's own data.
    pub metadata: Option<Metadata>,
    /// Whether it can be paid once only.
    pub single_use: Option<bool>,
    /// Whether it is switched on.
    pub active: Option<bool>,
}

/// Use cases of payment links.
#[derive(Debug, Clone, Copy)]
pub struct PaymentLinks<'a> {
    core: &'a Core,
}

impl<'a> PaymentLinks<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Makes a payment link.
    ///
    /// # Errors
    /// [`ServiceError::BusinessSuspended`], [`ServiceError::Invalid`] for a currency that nothing could pay.
    pub async fn create(
        self,
        context: &Context,
        tenant: &Tenant,
        draft: &PaymentLinkDraft,
        idempotent: Option<&Idempotent<'_, PaymentLinkRow>>,
    ) -> Result<Answered<PaymentLinkRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        self.core.networks.check_asset(tenant.environment, draft.amount.asset())?;
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let draft = draft.clone();
        let link = PaymentLinkRow {
            id: PaymentLinkId::random(self.core.entropy.bytes()),
            tenant: tenant.clone(),
            amount: draft.amount,
            title: draft.title,
            description: draft.description,
            redirect_url: draft.redirect_url,
            logo_url: draft.logo_url,
            banner_url: draft.banner_url,
            customer_reference: draft.customer_reference,
            metadata: draft.metadata,
            single_use: draft.single_use,
            active: draft.active,
            paid_at: None,
            paid_by: None,
            created_at: unit.now,
            created_by: unit.actor().clone(),
            updated_at: unit.now,
            deleted_at: None,
        };
        unit.tx.insert_payment_link(&link).await?;
        tell(&mut unit, EventType::PaymentLinkCreated, &link).await?;
        idempotency::keep(&mut unit.tx, idempotent, &link, unit.now).await?;
        unit.commit(ChangeKind::Payable, Some(&tenant.business), Some(&link.id.to_string())).await?;
        Ok(Answered::Done(link))
    }

    /// One payment link; a deleted one too.
    pub async fn get(self, tenant: &Tenant, id: PaymentLinkId) -> Result<PaymentLinkRow, ServiceError> {
        self.core.store.read().find_payment_link(tenant, id).await?.ok_or(ServiceError::NotFound)
    }

    /// One page of payment links, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no payment link of the tenant.
    pub async fn list(
        self,
        tenant: &Tenant,
        filter: &PaymentLinkFilter,
        after: Option<PaymentLinkId>,
        limit: u32,
    ) -> Result<Page<PaymentLinkRow>, ServiceError> {
        let mut reader = self.core.store.read();
        if let Some(after) = after
            && reader.find_payment_link(tenant, after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no payment link with this id"));
        }
        let data = reader.list_payment_links(tenant, filter, after, limit + 1).await?;
        Ok(Page::of(data, limit))
    }

    /// Changes a payment link. Payments that were started keep their price.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for a price in another currency.
    pub async fn update(
        self,
        context: &Context,
        tenant: &Tenant,
        id: PaymentLinkId,
        change: &PaymentLinkChange,
    ) -> Result<PaymentLinkRow, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let old = unit.tx.read().find_payment_link(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        let mut new = old.clone();
        let change = change.clone();
        new.amount = repriced(old.amount, change.amount)?;
        new.title = change.title.unwrap_or(new.title);
        new.description = change.description.unwrap_or(new.description);
        new.redirect_url = change.redirect_url.unwrap_or(new.redirect_url);
        new.logo_url = change.logo_url.unwrap_or(new.logo_url);
        new.banner_url = change.banner_url.unwrap_or(new.banner_url);
        new.customer_reference = change.customer_reference.unwrap_or(new.customer_reference);
        new.metadata = change.metadata.unwrap_or(new.metadata);
        new.single_use = change.single_use.unwrap_or(new.single_use);
        new.active = change.active.unwrap_or(new.active);
        if new == old {
            unit.settle().await?;
            return Ok(old);
        }
        self.save(unit, new, EventType::PaymentLinkUpdated).await
    }

    /// Deletes a payment link: it can no longer be paid. Its payments and its history stay.
    pub async fn delete(
        self,
        context: &Context,
        tenant: &Tenant,
        id: PaymentLinkId,
    ) -> Result<PaymentLinkRow, ServiceError> {
        let mut unit = Unit::begin(self.core, context).await?;
        unit.enter(tenant, Operation::PaymentsWrite).await?;
        let mut link = unit.tx.read().find_payment_link(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        if link.deleted_at.is_some() {
            unit.settle().await?;
            return Ok(link);
        }
        link.deleted_at = Some(unit.now);
        self.save(unit, link, EventType::PaymentLinkDeleted).await
    }

    async fn save(
        self,
        mut unit: Unit<'_>,
        mut link: PaymentLinkRow,
        event: EventType,
    ) -> Result<PaymentLinkRow, ServiceError> {
        link.updated_at = unit.now;
        if !unit.tx.update_payment_link(&link).await? {
            return Err(ServiceError::NotFound);
        }
        tell(&mut unit, event, &link).await?;
        let (business, id) = (link.tenant.business.clone(), link.id.to_string());
        unit.commit(ChangeKind::Payable, Some(&business), Some(&id)).await?;
        Ok(link)
    }
}

async fn tell(unit: &mut Unit<'_>, event: EventType, link: &PaymentLinkRow) -> Result<(), ServiceError> {
    unit.record_about(
        Happened {
            event,
            business: &link.tenant.business,
            environment: Some(link.tenant.environment),
            key: None,
            data: json!({ "payment_link": view::payment_link(link) }),
        },
        Some(link.id.to_string()),
    )
    .await
}
