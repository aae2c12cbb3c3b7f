//! What events say of payments and of what is to be paid. A webhook carries the same.

use serde_json::{Value, json};
use trousseau_store::{DepositRow, InvoiceRow, PaymentLinkRow, PaymentRow, RecurringPaymentRow, RefundRow};

/// A payment.
pub(crate) fn payment(row: &PaymentRow) -> Value {
    let payable = row.paid_for.payable();
    json!({
        "id": row.id,
        "environment": row.tenant.environment,
        "status": row.state.status,
        "exception": row.state.exception,
        "payable": { "type": payable.kind(), "id": payable.to_string() },
        "invoice_id": row.paid_for.invoice(),
        "amount": row.terms.due.to_string(),
        "amount_seen": row.seen.to_string(),
        "amount_settled": row.settled.to_string(),
        "amount_refunded": row.refunded().to_string(),
        "amount_returned": row.returned().to_string(),
        "currency": row.terms.due.asset().code(),
        "network": row.destination.network,
        "address": row.destination.address,
        "payer": row.payer,
        "transaction_hash": row.transaction_hash,
        "expires_at": row.terms.expires_at,
        "created_at": row.created_at,
        "settled_at": row.settled_at,
    })
}

/// A payment link.
pub(crate) fn payment_link(row: &PaymentLinkRow) -> Value {
    json!({
        "id": row.id,
        "environment": row.tenant.environment,
        "status": row.status(),
        "amount": row.amount.to_string(),
        "currency": row.amount.asset().code(),
        "title": row.title,
        "customer_reference": row.customer_reference,
        "metadata": row.metadata,
        "single_use": row.single_use,
        "created_at": row.created_at,
    })
}

/// An invoice. Whose it is stays out: events go to places that the merchant chose, and people are not theirs.
pub(crate) fn invoice(row: &InvoiceRow) -> Value {
    json!({
        "id": row.id,
        "environment": row.tenant.environment,
        "number": row.number,
        "amount": row.amount.to_string(),
        "currency": row.amount.asset().code(),
        "title": row.title.as_str(),
        "due_at": row.due_at,
        "customer_reference": row.customer_reference,
        "recurring_payment_id": row.period.map(|(id, _)| id),
        "period": row.period.map(|(_, period)| period),
        "metadata": row.metadata,
        "created_at": row.created_at,
    })
}

/// A recurring payment.
pub(crate) fn recurring_payment(row: &RecurringPaymentRow) -> Value {
    json!({
        "id": row.id,
        "environment": row.tenant.environment,
        "state": row.state,
        "amount": row.amount.to_string(),
        "currency": row.amount.asset().code(),
        "name": row.name,
        "interval": row.interval,
        "anchor": row.anchor,
        "next_due_at": row.next_due_at,
        "customer_reference": row.customer_reference,
        "metadata": row.metadata,
        "created_at": row.created_at,
    })
}

/// A refund.
pub(crate) fn refund(row: &RefundRow) -> Value {
    json!({
        "id": row.id,
        "environment": row.tenant.environment,
        "status": row.status,
        "failure": row.failure,
        "payment_id": row.of.payment(),
        "deposit_id": row.of.deposit(),
        "amount": row.amount.to_string(),
        "currency": row.amount.asset().code(),
        "network": row.destination.network,
        "destination": row.destination.address,
        "reason": row.reason,
        "metadata": row.metadata,
        "transaction_hash": row.transaction_hash,
        "created_at": row.created_at,
        "succeeded_at": row.succeeded_at,
    })
}

/// Something that came in.
pub(crate) fn deposit(row: &DepositRow) -> Value {
    json!({
        "id": row.id,
        "environment": row.tenant.environment,
        "network": row.transfer.network,
        "transaction_hash": row.transfer.transaction_hash,
        "address": row.transfer.to,
        "sender": row.transfer.from,
        "asset": row.transfer.asset,
        "base_units": row.transfer.amount,
        "payment_id": row.payment,
        "seen_at": row.seen_at,
    })
}
