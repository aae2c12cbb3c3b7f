//! The handlers: wire type in, one use case, wire type out.

pub(crate) mod authorize;
pub(crate) mod businesses;
pub(crate) mod checkout;
pub(crate) mod codat;
pub(crate) mod events;
pub(crate) mod introspect;
pub(crate) mod invoices;
pub(crate) mod keys;
pub(crate) mod mileston;
pub(crate) mod movements;
pub(crate) mod payline;
pub(crate) mod payment_links;
pub(crate) mod payments;
pub(crate) mod payout_plans;
pub(crate) mod recurring_payments;
pub(crate) mod refunds;
pub(crate) mod refusals;
pub(crate) mod test_ledger;
pub(crate) mod verify;
pub(crate) mod webhooks;
pub(crate) mod whoami;
