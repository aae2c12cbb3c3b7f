//! How a command ends.

use std::process::ExitCode;

use trousseau_service::ServiceError;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A rule said no.
    Refused(anyhow::Error),
    /// The command was not understood.
    Usage(anyhow::Error),
    /// The database, the disk or the network did not play along.
    Failed(anyhow::Error),
}

impl Failure {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(anyhow::Error::msg(message.into()))
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(anyhow::Error::msg(message.into()))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Failed(_) => 3,
        })
    }

    pub(crate) fn error(&self) -> &anyhow::Error {
        match self {
            Self::Refused(error) | Self::Usage(error) | Self::Failed(error) => error,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match &error {
            ServiceError::Store(_)
            | ServiceError::Secrets(_)
            | ServiceError::Sealed(_)
            | ServiceError::ClockUnsure
            | ServiceError::SecretsBehind => Self::Failed(error.into()),
            ServiceError::Invalid(_) => Self::Usage(error.into()),
            ServiceError::NotFound
            | ServiceError::BeyondOwnRights(_)
            | ServiceError::NotAllowedByProfile(_)
            | ServiceError::ValueNotReadable
            | ServiceError::EndpointSecretNotReadable
            | ServiceError::EndpointLimitReached(_)
            | ServiceError::EndpointDisabled
            | ServiceError::KeyLimitReached(_)
            | ServiceError::LastKey
            | ServiceError::KeyRevoked
            | ServiceError::OverlapInProgress
            | ServiceError::BusinessSuspended
            | ServiceError::BusinessExists
            | ServiceError::ProfileFixed
            | ServiceError::NotPayable(_)
            | ServiceError::PaymentClosed
            | ServiceError::InvoiceClosed
            | ServiceError::NoCustomerEmail
            | ServiceError::MailLimitReached { .. }
            | ServiceError::RecurringPaymentEnded
            | ServiceError::TransactionTaken
            | ServiceError::NetworkNotConfigured
            | ServiceError::NetworkUnavailable(_)
            | ServiceError::PayoutAddressMissing(_)
            | ServiceError::TransactionRefused(_)
            | ServiceError::NotRefundable
            | ServiceError::RefundTooLarge(_)
            | ServiceError::RefundClosed
            | ServiceError::TestOnly
            | ServiceError::TestLedgerOff
            | ServiceError::IdempotencyInProgress
            | ServiceError::IdempotencyKeyReused
            | ServiceError::CallerRefused
            | ServiceError::Forbidden
            | ServiceError::StepUpRequired
            | ServiceError::People(_)
            | ServiceError::Conflict => Self::Refused(error.into()),
        }
    }
}
