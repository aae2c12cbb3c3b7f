//! What may be done: one function per use case, and the background jobs.
//!
//! A use case opens one transaction, lets the domain decide, writes the change with its audit entry and its event,
//! and commits. The HTTP border and the command line call the same ones.

#![warn(missing_docs)]

pub mod access;
pub mod address;
pub mod app;
pub mod assertions;
pub mod backup;
pub mod businesses;
pub mod checkout;
pub mod clock;
pub mod context;
pub mod entropy;
pub mod error;
pub mod events;
mod holders;
pub mod idempotency;
pub mod import;
pub mod index;
pub mod jobs;
pub mod key_ring;
pub mod keys;
pub mod limits;
pub mod logos;
pub mod mail;
pub mod networks;
pub mod nodes;
mod notices;
mod paper;
pub mod payments;
pub mod people;
pub mod platform;
pub mod platform_keys;
pub mod reconciliations;
pub mod requests;
pub mod secrets;
pub mod settings;
mod tally;
pub mod webhooks;

pub use address::PublicAddress;
pub use app::App;
pub use context::{Context, KeyCaller, PlatformCaller};
pub use error::{BeyondOwnRights, FieldProblem, ServiceError};
pub use settings::Settings;
pub use trousseau_store::{
    AttemptRow, BusinessRow, CollectFilter, DeliveryFilter, DeliveryRow, DepositRow, Destination, DifferenceRow,
    Engine, EventFilter, EventRow, GivenBack, InvoiceFilter, InvoiceRow, KeyFilter, KeyNameRow, KeyOrder, KeyRow,
    ListedPayment, MovementPlace, MovementRow, PaidFor, PaymentFilter, PaymentLinkFilter, PaymentLinkRow, PaymentRow,
    PayoutAddressRow, PayoutKeyRow, PlatformKeyRow, ReconciliationRow, RecurringPaymentFilter, RecurringPaymentRow,
    RefundFilter, RefundRow, RefusalRow, RequestFilter, RequestRow, SightingRow, Span, Subject, Takings, TakingsRow,
    UsageRow, WebhookEndpointRow,
};
