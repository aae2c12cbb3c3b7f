//! What happened: the names of events and of audited actions.

use serde::{Deserialize, Serialize};

use crate::payments::PaymentEvent;
use crate::text::text_enum;

text_enum! {
    /// What happened to a business or to one of its keys.
    EventType {
        /// A business was created.
        BusinessCreated = "business.created",
        /// A business was changed.
        BusinessUpdated = "business.updated",
        /// A business was suspended.
        BusinessSuspended = "business.suspended",
        /// A business was resumed.
        BusinessResumed = "business.resumed",
        /// Money of a business goes elsewhere from now on.
        PayoutAddressSet = "business.payout_address_set",
        /// An extended public key waits for somebody to confirm its addresses.
        PayoutKeyProposed = "business.payout_key_proposed",
        /// A key was made.
        KeyCreated = "key.created",
        /// A key was taken over from another system.
        KeyImported = "key.imported",
        /// A key was changed.
        KeyUpdated = "key.updated",
        /// A key got a new value.
        KeyRotated = "key.rotated",
        /// A key's value was read again.
        KeyRevealed = "key.revealed",
        /// A key was revoked.
        KeyRevoked = "key.revoked",
        /// A key ends in a few days.
        KeyEnding = "key.ending",
        /// A LIVE secret key was used from a network that it had not been used from.
        KeyUsedFromNewNetwork = "key.used_from_new_network",
        /// Somebody was invited.
        MemberInvited = "member.invited",
        /// An invitation was taken back.
        InvitationRevoked = "invitation.revoked",
        /// Somebody became a member.
        MemberAdded = "member.added",
        /// A member got another role.
        MemberRoleChanged = "member.role_changed",
        /// A member was removed.
        MemberRemoved = "member.removed",
        /// A webhook endpoint was registered.
        WebhookEndpointCreated = "webhook_endpoint.created",
        /// A webhook endpoint was changed, switched on or off.
        WebhookEndpointUpdated = "webhook_endpoint.updated",
        /// A webhook endpoint got new secrets.
        WebhookSecretRotated = "webhook_endpoint.secret_rotated",
        /// The secret of a webhook endpoint was read again.
        WebhookSecretRevealed = "webhook_endpoint.secret_revealed",
        /// A webhook endpoint was disabled, because its receiver is gone or takes nothing.
        WebhookEndpointDisabled = "webhook_endpoint.disabled",
        /// A webhook endpoint was removed.
        WebhookEndpointDeleted = "webhook_endpoint.deleted",
        /// A test message was sent to a webhook endpoint.
        WebhookTest = "webhook.test",
        /// How a business takes payments was changed.
        CheckoutSettingsUpdated = "checkout_settings.updated",
        /// A payment link was made.
        PaymentLinkCreated = "payment_link.created",
        /// A payment link was changed.
        PaymentLinkUpdated = "payment_link.updated",
        /// A payment link was deleted.
        PaymentLinkDeleted = "payment_link.deleted",
        /// An invoice was made, the period of a recurring payment too.
        InvoiceCreated = "invoice.created",
        /// An invoice was changed.
        InvoiceUpdated = "invoice.updated",
        /// An invoice was mailed to its customer.
        InvoiceSent = "invoice.sent",
        /// A customer was reminded of an invoice that is not paid.
        InvoiceReminded = "invoice.reminded",
        /// An invoice was paid.
        InvoicePaid = "invoice.paid",
        /// An invoice was called off.
        InvoiceVoided = "invoice.voided",
        /// An invoice was deleted.
        InvoiceDeleted = "invoice.deleted",
        /// A recurring payment was made.
        RecurringPaymentCreated = "recurring_payment.created",
        /// A recurring payment was changed, paused or resumed.
        RecurringPaymentUpdated = "recurring_payment.updated",
        /// A recurring payment waits for somebody: more periods were missed than are made up.
        RecurringPaymentHeld = "recurring_payment.held",
        /// A recurring payment was cancelled.
        RecurringPaymentCancelled = "recurring_payment.cancelled",
        /// A recurring payment was deleted.
        RecurringPaymentDeleted = "recurring_payment.deleted",
        /// A payment was started.
        PaymentCreated = "payment.created",
        /// Some money came for a payment, not enough yet.
        PaymentPartiallyPaid = "payment.partially_paid",
        /// Enough was seen for a payment, not yet for certain.
        PaymentProcessing = "payment.processing",
        /// A payment is paid.
        PaymentSucceeded = "payment.succeeded",
        /// More came for a payment that is paid than pays it.
        PaymentOverpaid = "payment.overpaid",
        /// What had been seen for a payment is gone again.
        PaymentReorged = "payment.reorged",
        /// The time of a payment ran out.
        PaymentExpired = "payment.expired",
        /// A payment was called off.
        PaymentCancelled = "payment.cancelled",
        /// Somebody has to decide on a payment.
        PaymentReviewRequired = "payment.review_required",
        /// Somebody decided on a payment.
        PaymentResolved = "payment.resolved",
        /// The ledger took back what had been final.
        PaymentReversed = "payment.reversed",
        /// Money of a payment was given back.
        PaymentRefunded = "payment.refunded",
        /// Money is to be given back.
        RefundCreated = "refund.created",
        /// A refund was carried out, called off, or is on its way.
        RefundUpdated = "refund.updated",
        /// The transaction that was to carry a refund out does not.
        RefundFailed = "refund.failed",
        /// Money came that no payment takes.
        DepositUnmatched = "deposit.unmatched",
        /// Somebody decided what becomes of it.
        DepositResolved = "deposit.resolved",
    }
}

impl From<PaymentEvent> for EventType {
    fn from(event: PaymentEvent) -> Self {
        match event {
            PaymentEvent::PartiallyPaid => Self::PaymentPartiallyPaid,
            PaymentEvent::Processing => Self::PaymentProcessing,
            PaymentEvent::Succeeded => Self::PaymentSucceeded,
            PaymentEvent::Overpaid => Self::PaymentOverpaid,
            PaymentEvent::Reorged => Self::PaymentReorged,
            PaymentEvent::Expired => Self::PaymentExpired,
            PaymentEvent::Cancelled => Self::PaymentCancelled,
            PaymentEvent::ReviewRequired => Self::PaymentReviewRequired,
            PaymentEvent::Resolved => Self::PaymentResolved,
            PaymentEvent::Reversed => Self::PaymentReversed,
            PaymentEvent::Refunded => Self::PaymentRefunded,
        }
    }
}

text_enum! {
    /// What the audit trail knows beside the events.
    AuditAction {
        /// A platform key was made.
        PlatformKeyCreated = "platform_key.created",
        /// A platform key was revoked.
        PlatformKeyRevoked = "platform_key.revoked",
        /// The pepper or the key-encryption key got a new version.
        SecretsRotated = "secrets.rotated",
        /// Somebody got an account.
        AccountCreated = "account.created",
        /// A person changed name or language.
        AccountUpdated = "account.updated",
        /// A person chose another password.
        PasswordChanged = "account.password_changed",
        /// A person chose another password by a link that was mailed.
        PasswordReset = "account.password_reset",
        /// An authenticator app became a second factor.
        TotpEnabled = "account.totp_enabled",
        /// It ceased to be one.
        TotpDisabled = "account.totp_disabled",
        /// Fresh recovery codes replaced the earlier ones.
        RecoveryCodesReplaced = "account.recovery_codes_replaced",
        /// A recovery code was used.
        RecoveryCodeUsed = "account.recovery_code_used",
        /// A passkey was added.
        PasskeyAdded = "account.passkey_added",
        /// A passkey was removed.
        PasskeyRemoved = "account.passkey_removed",
        /// Somebody signed in.
        SessionStarted = "session.started",
        /// A session was ended by its owner.
        SessionEnded = "session.ended",
        /// Somebody was invited to the platform.
        PlatformInvited = "platform.invited",
        /// Somebody became a platform administrator.
        PlatformAdminAdded = "platform.administrator_added",
        /// Somebody ceased to be one.
        PlatformAdminRemoved = "platform.administrator_removed",
        /// Somebody had a webhook sent again.
        WebhookResent = "webhook_delivery.resent",
        /// Somebody had a network read once more from a block on.
        NetworkRescanned = "network.rescanned",
    }
}
