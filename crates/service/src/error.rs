//! What a use case can answer instead of doing it.

use trousseau_domain::ledger::WrongTransaction;
use trousseau_domain::money::Money;
use trousseau_domain::networks::ChainId;
use trousseau_domain::scope::Scope;
use trousseau_store::StoreError;

use crate::key_ring::SealError;
use crate::payments::NotPayable;
use crate::people::PeopleError;
use crate::secrets::SecretsError;

/// A value that makes no sense, named by the member it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The member's name in our vocabulary (`valid_until`, `scopes`).
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl FieldProblem {
    /// A problem with one member.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// Why a use case did nothing. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Not there, or not the caller's.
    #[error("there is nothing of this name")]
    NotFound,
    /// Well-formed values that make no sense.
    #[error("{}", .0.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldProblem>),
    /// A key would make, widen or obtain a key beyond itself.
    #[error("a key cannot give more than it has: {0}")]
    BeyondOwnRights(BeyondOwnRights),
    /// The profile of the business rules it out.
    #[error("the profile {0} does not allow this")]
    NotAllowedByProfile(String),
    /// The value was shown once and is not kept.
    #[error("the value of this key cannot be read again")]
    ValueNotReadable,
    /// As many keys as there may be.
    #[error("there are {0} keys already, as many as the profile allows")]
    KeyLimitReached(u32),
    /// This node's clock and the database's are too far apart for dates to be judged.
    #[error("the clocks of this node and of the database are more than a second apart")]
    ClockUnsure,
    /// This node does not have a secret that the database was written with, so that it cannot say which keys there are.
    #[error("the key file of this node lacks a version that the database was written with")]
    SecretsBehind,
    /// The last key in force of its kind and environment.
    #[error("this is the last key in force: make another one first")]
    LastKey,
    /// The key is revoked.
    #[error("the key is revoked")]
    KeyRevoked,
    /// An earlier overlap is still running.
    #[error("an earlier value of this key is still accepted")]
    OverlapInProgress,
    /// The secret was shown once and is not shown again.
    #[error("the secret of a LIVE endpoint cannot be read again")]
    EndpointSecretNotReadable,
    /// As many webhook endpoints as there may be.
    #[error("there are {0} webhook endpoints already, as many as there may be")]
    EndpointLimitReached(u32),
    /// Nothing is sent to the webhook endpoint.
    #[error("the webhook endpoint is disabled")]
    EndpointDisabled,
    /// The business is suspended.
    #[error("the business is suspended")]
    BusinessSuspended,
    /// A business has the id already.
    #[error("a business has this id already")]
    BusinessExists,
    /// The profile cannot change any more.
    #[error("the profile of a business that has keys cannot change")]
    ProfileFixed,
    /// The first request with the same idempotency key is still running.
    #[error("the first request with this idempotency key is still running")]
    IdempotencyInProgress,
    /// The idempotency key was used for another request.
    #[error("this idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// What is to be paid cannot be paid now.
    #[error("this cannot be paid: {0}")]
    NotPayable(NotPayable),
    /// The payment is not in a state in which this can be done.
    #[error("the payment is past this")]
    PaymentClosed,
    /// The invoice is paid, void or deleted.
    #[error("the invoice is paid, void or deleted")]
    InvoiceClosed,
    /// There is nobody to mail the invoice to.
    #[error("the invoice has no e-mail address of a customer")]
    NoCustomerEmail,
    /// As many mails as a customer gets in a day, or as there are of one invoice.
    #[error("the customer was mailed as often as may be; again in {} seconds", .again_in.as_secs())]
    MailLimitReached {
        /// When one may be sent again.
        again_in: std::time::Duration,
    },
    /// The recurring payment is cancelled.
    #[error("the recurring payment is cancelled")]
    RecurringPaymentEnded,
    /// The transaction was handed in for another payment.
    #[error("the transaction was handed in for another payment")]
    TransactionTaken,
    /// No network is configured on which LIVE payments could be received.
    #[error("no network is configured for LIVE payments")]
    NetworkNotConfigured,
    /// The network was not seen yet, or none of its nodes answers: what would be paid there could be missed.
    #[error("the network {0} cannot be watched now")]
    NetworkUnavailable(ChainId),
    /// Nobody has said where the money of the business goes on the network.
    #[error("the business has no payout address on {0}")]
    PayoutAddressMissing(ChainId),
    /// A transaction that was handed in does not pay the payment, or does not carry the refund out.
    #[error("the transaction is not the right one: {0}")]
    TransactionRefused(WrongTransaction),
    /// It is not certain yet what came in, nothing did, or somebody put it aside.
    #[error("nothing of the payment can be given back")]
    NotRefundable,
    /// More would be given back than came in.
    #[error("at most {0} is left to give back")]
    RefundTooLarge(Money),
    /// The refund is past this.
    #[error("the refund is past this")]
    RefundClosed,
    /// This is for TEST only.
    #[error("this is for TEST only")]
    TestOnly,
    /// Payments of TEST are made on networks: there is no test ledger to move.
    #[error("the test ledger is off: TEST is bound to networks")]
    TestLedgerOff,
    /// The caller's own key was ended while the request was under way.
    #[error("the caller's key is not accepted any more")]
    CallerRefused,
    /// The role of the caller does not allow it.
    #[error("the caller's role does not allow this")]
    Forbidden,
    /// The caller's last proof of who they are is too long ago for this.
    #[error("this needs a recent proof of who asks")]
    StepUpRequired,
    /// Something about accounts, members or sessions.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// Another writer changed the row in between; to be repeated.
    #[error("the row was changed by someone else at the same time")]
    Conflict,
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] StoreError),
    /// Pepper or key-encryption key failed.
    #[error("the key ring failed")]
    Secrets(#[source] SecretsError),
    /// A stored value does not open: the row or the key file was tampered with.
    #[error("the stored value of a key does not open")]
    Sealed(#[source] SealError),
}

/// What a key lacks to give it to another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeyondOwnRights {
    /// A scope.
    #[error("it lacks the scope {0}")]
    Scope(Scope),
    /// A longer life.
    #[error("it ends earlier")]
    Life,
    /// More calls.
    #[error("it may be used less often")]
    Limits,
    /// Other addresses.
    #[error("it is bound to other addresses")]
    Addresses,
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SecretsError> for ServiceError {
    fn from(error: SecretsError) -> Self {
        Self::Secrets(error)
    }
}

impl From<SealError> for ServiceError {
    fn from(error: SealError) -> Self {
        Self::Sealed(error)
    }
}

impl ServiceError {
    /// One member that makes no sense.
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem::new(field, message)])
    }
}
