//! What is remembered: SQLite and PostgreSQL behind one SQL text.
//!
//! Reads go through [`Store::read`] or, inside a transaction, [`Tx::read`]; changes through [`Store::begin`].
//! No rule relies on the isolation of transactions: a change names the state that it expects and tells
//! whether it found it.

#![warn(missing_docs)]

mod accounts;
mod audit;
mod backup;
mod bulk;
mod businesses;
mod changes;
mod checkout;
mod dialect;
mod error;
mod events;
mod exec;
mod idempotency;
mod imports;
mod invitations;
mod invoices;
mod kept_forms;
mod keys;
mod keys_list;
mod known;
mod ledgers;
mod left;
mod logos;
mod mails;
mod movements;
mod nodes;
mod one_time_tokens;
mod payment_links;
mod payments;
mod payout_addresses;
mod platform_keys;
mod pool;
mod quotas;
mod reconciliations;
mod recurring_payments;
mod refunds;
mod refusals;
mod requests;
mod row;
mod scan;
mod schema;
mod sealed_cells;
mod second_factors;
mod secret_versions;
mod sessions;
mod sightings;
mod sqlite;
mod stmt;
mod test_ledgers;
#[cfg(feature = "testing")]
pub mod testing;
mod usage;
mod versions;
mod watch;
mod webhooks;
mod writer;

pub use accounts::{AccountRow, JoinedRow, MemberRow, MembershipRow, TotpRow};
pub use audit::AuditRow;
pub use backup::{Adjusted, Children, RestoreError, Restoring, Snapshot, TableShape, Waiting};
pub use businesses::BusinessRow;
pub use changes::{ChangeKind, ChangeRow};
pub use error::{BadColumn, SchemaError, StoreError, Unavailability, UniqueRule};
pub use events::{EventFilter, EventRow, OutboxRow};
pub use exec::{Reader, Store, Tx};
pub use idempotency::IdempotencyRow;
pub use imports::{KnownDigest, NewKey};
pub use invitations::{InvitationRow, InvitedTo};
pub use invoices::{InvoiceFilter, InvoiceMailRow, InvoiceRow};
pub use kept_forms::KeptFormRow;
pub use keys::{KeyNameRow, KeyRow};
pub use keys_list::{KeyFilter, KeyOrder};
pub use known::{BusinessAccess, KeyAccess, KnownShared, KnownVersion, as_json};
pub use ledgers::{
    ChildRow, CursorRow, DepositRow, DestinationRow, ForwarderRow, LedgerReportRow, TakenBack, WatchedRow,
};
pub use left::{Left, Stamp};
pub use logos::LogoRow;
pub use mails::MailRow;
pub use movements::{MovementPlace, MovementRow, Span};
pub use nodes::NodeRow;
pub use one_time_tokens::{TokenPurpose, TokenRow};
pub use payment_links::{PaymentLinkFilter, PaymentLinkRow};
pub use payments::{Destination, ListedPayment, PaidFor, PaymentFilter, PaymentRow, Subject, Takings, TakingsRow};
pub use payout_addresses::{PayoutAddressRow, PayoutKeyRow};
pub use platform_keys::PlatformKeyRow;
pub use pool::PgTx;
pub use quotas::{QuotaCount, QuotaHolder};
pub use reconciliations::{CollectFilter, DifferenceRow, OutgoingRow, ReceivedRow, ReconciliationRow};
pub use recurring_payments::{DuePeriods, RecurringPaymentFilter, RecurringPaymentRow};
pub use refunds::{GivenBack, RefundFilter, RefundPlace, RefundRow, RefundSums};
pub use refusals::RefusalRow;
pub use requests::{RequestFilter, RequestRow};
pub use schema::{Address, Engine, StoreOptions, Upgrade, address, latest_schema};
pub use sealed_cells::{SealedCell, SealedPlace};
pub use second_factors::{CeremonyKind, CeremonyRow, PasskeyRow, RecoveryCodeRow};
pub use secret_versions::{SecretKind, SecretVersionRow};
pub use sessions::{AttemptsRow, SessionRow};
pub use sightings::{MOST_NETWORKS, MOST_SIGHTINGS, SightingRow};
pub use test_ledgers::{TestLedgerRow, TestTransferRow};
pub use usage::UsageRow;
pub use versions::{FoundVersion, Sealed, SealedRow, VersionCount, VersionOrigin, VersionRow};
pub use watch::Watcher;
pub use webhooks::{
    AttemptRow, ClaimedDelivery, DeliveryFilter, DeliveryRow, Finished, WebhookEndpointRow, WebhookSecretRow,
};
pub use writer::{Commits, Moment, Turn};
