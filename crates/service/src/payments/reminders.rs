//! Reminders of invoices that are not paid. Safe on several nodes: each is a mark on the row that one of them sets.

use serde_json::json;
use trousseau_domain::environment::Tenant;
use trousseau_domain::events::EventType;
use trousseau_domain::reminders::{Reminder, Schedule};
use trousseau_store::{ChangeKind, InvoiceRow};

use super::invoices;
use super::test_ledger::now_of;
use super::view;
use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::error::ServiceError;

/// Invoices looked at in one round.
const PER_ROUND: u32 = 100;

/// Sends every reminder that is due, of one tenant or of all.
pub(crate) async fn send_due(core: &Core, only: Option<&Tenant>) -> Result<(), ServiceError> {
    let by_test_clocks = core.networks.has_test_ledgers();
    loop {
        let due = core.store.read().list_to_remind(core.clock.now(), by_test_clocks, only, PER_ROUND).await?;
        let full = due.len() == PER_ROUND as usize;
        let mut advanced = false;
        for invoice in &due {
            match look_at(core, invoice).await {
                Ok(looked) => advanced |= looked,
                Err(ServiceError::Store(error)) => return Err(ServiceError::Store(error)),
                // What is wrong with one invoice holds up no other one.
                Err(error) => tracing::error!(invoice.id = %invoice.id, %error, "an invoice could not be reminded of"),
            }
        }
        if !full || !advanced {
            return Ok(());
        }
    }
}

/// Sends what is due of one invoice; `false` where somebody else was faster, or nothing is due after all.
async fn look_at(core: &Core, found: &InvoiceRow) -> Result<bool, ServiceError> {
    let now = now_of(core, &found.tenant).await?;
    let context = Context::system();
    let mut unit = Unit::begin(core, &context).await?;
    let business = unit.lock_business(&found.tenant.business).await?;
    let Some(mut invoice) = unit.tx.read().find_invoice(&found.tenant, found.id).await? else { return Ok(false) };
    if business.suspended_at.is_some() || invoice.remind_at.is_none_or(|at| now < at) {
        return Ok(false);
    }
    let step = Schedule::new(invoice.due_at, &business.time_zone).step(invoice.reminded, now);
    let reminded = step.passed.map(Reminder::days);
    if !unit.tx.mark_reminded(&invoice, reminded, step.again_at).await? {
        return Ok(false);
    }
    (invoice.reminded, invoice.remind_at) = (reminded, step.again_at);
    if let Some(reminder) = step.send
        && invoices::write_to_customer(core, &mut unit, &business, &invoice, Some(reminder)).await?.is_some()
    {
        unit.record_about(
            Happened {
                event: EventType::InvoiceReminded,
                business: &invoice.tenant.business,
                environment: Some(invoice.tenant.environment),
                key: None,
                data: json!({ "invoice": view::invoice(&invoice), "days": reminder }),
            },
            Some(invoice.id.to_string()),
        )
        .await?;
    }
    let (business, id) = (&found.tenant.business, found.id.to_string());
    unit.commit(ChangeKind::Payable, Some(business), Some(&id)).await?;
    Ok(true)
}
