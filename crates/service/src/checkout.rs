//! How a business takes payments: read by its pages, changed by its administrators.

use serde_json::{Map, Value, json};
use trousseau_domain::checkout::{CheckoutSettings, MAX_ORIGINS};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::members::Operation;
use trousseau_store::ChangeKind;

use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::error::ServiceError;

/// Use cases of the settings of checkout.
#[derive(Debug, Clone, Copy)]
pub struct Checkout<'a> {
    core: &'a Core,
}

impl<'a> Checkout<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// How a tenant takes payments.
    pub async fn get(self, tenant: &Tenant) -> Result<CheckoutSettings, ServiceError> {
        Ok(self.core.store.read().find_checkout_settings(tenant).await?)
    }

    /// Has a tenant take payments like this from now on. Payments that were started keep their terms.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] for too many origins, [`ServiceError::StepUpRequired`] in LIVE: whoever sends payers
    /// elsewhere, or takes less for enough, has to prove who it is; [`ServiceError::BusinessSuspended`].
    pub async fn save(
        self,
        context: &Context,
        tenant: &Tenant,
        settings: &CheckoutSettings,
    ) -> Result<(), ServiceError> {
        if settings.origins.len() > MAX_ORIGINS {
            return Err(ServiceError::invalid("origins", format!("must be {MAX_ORIGINS} at most")));
        }
        let mut unit = Unit::begin(self.core, context).await?;
        let business = unit.lock_business(&tenant.business).await?;
        let proven = tenant.environment == Environment::Live;
        unit.check_member(&tenant.business, Operation::BusinessWrite, proven).await?;
        unit.check_open(&business)?;
        let old = unit.tx.read().find_checkout_settings(tenant).await?;
        if old == *settings {
            return unit.settle().await;
        }
        let (now, actor) = (unit.now, unit.actor().clone());
        unit.tx.put_checkout_settings(tenant, settings, now, &actor).await?;
        let (old, new) = (told(&old), told(settings));
        let changes: Map<String, Value> = old
            .into_iter()
            .zip(new)
            .filter(|((_, was), (_, is))| was != is)
            .map(|((name, was), (_, is))| (name.to_owned(), json!({ "old": was, "new": is })))
            .collect();
        unit.record(Happened {
            event: EventType::CheckoutSettingsUpdated,
            business: &tenant.business,
            environment: Some(tenant.environment),
            key: None,
            data: json!({ "changes": changes }),
        })
        .await?;
        unit.commit(ChangeKind::Business, Some(&tenant.business), None).await
    }
}

/// The settings as events tell them.
fn told(settings: &CheckoutSettings) -> [(&'static str, Value); 7] {
    [
        ("accent", json!(settings.accent.map(|accent| accent.to_string()))),
        ("languages", json!(settings.languages)),
        ("redirect_url", json!(settings.redirect_url.as_ref().map(ToString::to_string))),
        ("origins", json!(settings.origins)),
        ("tolerance_amount", json!(settings.tolerance.amount().to_string())),
        ("tolerance_per_mille", json!(settings.tolerance.per_mille())),
        ("accepts_late", json!(settings.accepts_late)),
    ]
}
