//! Refunds on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trousseau_domain::payables::Reason;
use trousseau_domain::refunds::RefundFailure;
use trousseau_service::payments::refunds::{RefundDraft, ToSend, to_send};
use trousseau_service::{GivenBack, RefundRow};
use utoipa::ToSchema;

use super::keys::read_metadata;
use crate::problem::{Failure, Faults};

/// A refund to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRefund)]
pub struct NewRefundBody {
    /// The payment that is given back; this or `deposit`.
    #[schema(example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub payment: Option<String>,
    /// The unmatched deposit that is given back; this or `payment`.
    pub deposit: Option<String>,
    /// How much; all that is left unless given.
    #[schema(example = "12.50")]
    pub amount: Option<String>,
    /// The address to which the money is to be sent, on the network on which it came. Ask the payer for it: a transfer
    /// may have come from an exchange, where nothing that is sent back reaches them.
    #[schema(example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", max_length = 128)]
    pub destination: String,
    /// Why, in at most 500 characters.
    #[schema(example = "The customer changed their mind.", max_length = 500)]
    pub reason: Option<String>,
    /// Data of your own: at most 50 entries, 8 KiB.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl NewRefundBody {
    /// What is asked for.
    ///
    /// # Errors
    /// The members that make no sense.
    pub fn draft(self) -> Result<RefundDraft, Failure> {
        let mut faults = Faults::new();
        let of = match (&self.payment, &self.deposit) {
            (Some(payment), None) => faults.accept("/payment", payment.parse()).map(GivenBack::Payment),
            (None, Some(deposit)) => faults.accept("/deposit", deposit.parse()).map(GivenBack::Deposit),
            (None, None) => {
                faults.senseless("/payment", "is needed, or deposit");
                None
            }
            (Some(_), Some(_)) => {
                faults.senseless("/deposit", "cannot be given together with payment");
                None
            }
        };
        let reason = self.reason.and_then(|reason| faults.accept("/reason", reason.parse::<Reason>()));
        let metadata = self.metadata.and_then(|entries| read_metadata(entries, &mut faults)).unwrap_or_default();
        faults.finish()?;
        let of = of.expect("what is given back is a fault above");
        Ok(RefundDraft { of, amount: self.amount, destination: self.destination, reason, metadata })
    }
}

/// By which transaction a refund was carried out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RefundTransaction)]
pub struct RefundTransactionBody {
    /// The hash of the transaction.
    #[schema(example = "0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060", max_length = 128)]
    pub transaction_hash: String,
}

/// A refund.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub struct RefundBody {
    /// Its id.
    #[schema(example = "rfd_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// `test` or `live`.
    #[schema(example = "test")]
    pub environment: &'static str,
    /// `pending`, `processing`, `succeeded`, `failed` or `cancelled`.
    #[schema(example = "pending")]
    pub status: &'static str,
    /// Why it failed: `transaction_reverted`, `transaction_mismatch`, `transaction_taken` or `transaction_not_found`.
    pub failure: Option<&'static str>,
    /// The payment that is given back.
    #[schema(example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub payment: Option<String>,
    /// The deposit that is given back, where it is of no payment.
    pub deposit: Option<String>,
    /// How much.
    #[schema(example = "12.50")]
    pub amount: String,
    /// What the amount is in.
    #[schema(example = "USDC")]
    pub currency: String,
    /// The network (CAIP-2); those of the ledger of TEST begin with `test:`.
    #[schema(example = "eip155:8453")]
    pub network: String,
    /// To whom.
    #[schema(example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    pub destination: String,
    /// Why.
    pub reason: Option<String>,
    /// Data of your own.
    pub metadata: BTreeMap<String, String>,
    /// What your wallet is to send; only while the refund is `pending`.
    pub send: Option<SendBody>,
    /// The transaction that was handed in.
    pub transaction_hash: Option<String>,
    /// When it was certain that it was sent.
    #[schema(format = DateTime)]
    pub succeeded_at: Option<String>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// What a wallet is to send.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefundToSend)]
pub struct SendBody {
    /// The network (CAIP-2).
    #[schema(example = "eip155:8453")]
    pub network: String,
    /// The token (CAIP-19); `null` on the ledger of TEST.
    #[schema(example = "eip155:8453/erc20:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")]
    pub asset: Option<String>,
    /// The contract of the token.
    #[schema(example = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")]
    pub token: Option<String>,
    /// To whom.
    #[schema(example = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")]
    pub destination: String,
    /// How much.
    #[schema(example = "12.50")]
    pub amount: String,
    /// The same in the smallest units of the token.
    #[schema(example = "12500000")]
    pub base_units: String,
    /// The same as a link (EIP-681). Some wallets read its first address only, which is the contract: check what they
    /// show.
    pub uri: Option<String>,
    /// The transaction, for a wallet to sign.
    pub transaction: Option<UnsignedBody>,
}

/// A transaction that nobody has signed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnsignedTransaction)]
pub struct UnsignedBody {
    /// The number of the chain (EIP-155).
    #[schema(example = 8453)]
    pub chain_id: u64,
    /// The contract that is called.
    #[schema(example = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")]
    pub to: String,
    /// The network's own coin that goes along: none.
    #[schema(example = "0x0")]
    pub value: &'static str,
    /// The call.
    pub data: String,
}

impl From<ToSend> for SendBody {
    fn from(send: ToSend) -> Self {
        let evm = send.evm.as_ref();
        Self {
            network: send.network.to_string(),
            asset: evm.map(|evm| evm.asset.to_string()),
            token: evm.map(|evm| evm.token.to_string()),
            destination: send.destination.clone(),
            amount: send.amount.to_string(),
            base_units: send.amount.units().to_string(),
            uri: evm.map(|evm| evm.uri.clone()),
            transaction: evm.map(|evm| UnsignedBody {
                chain_id: evm.chain_id,
                to: evm.token.to_string(),
                value: "0x0",
                data: evm.data.clone(),
            }),
        }
    }
}

impl From<&RefundRow> for RefundBody {
    fn from(refund: &RefundRow) -> Self {
        Self {
            id: refund.id.to_string(),
            environment: refund.tenant.environment.as_str(),
            status: refund.status.as_str(),
            failure: refund.failure.map(RefundFailure::as_str),
            payment: refund.of.payment().map(|id| id.to_string()),
            deposit: refund.of.deposit().map(|id| id.to_string()),
            amount: refund.amount.to_string(),
            currency: refund.amount.asset().code().to_string(),
            network: refund.destination.network.to_string(),
            destination: refund.destination.address.clone(),
            reason: refund.reason.as_ref().map(ToString::to_string),
            metadata: refund.metadata.clone().into(),
            send: to_send(refund).map(SendBody::from),
            transaction_hash: refund.transaction_hash.clone(),
            succeeded_at: refund.succeeded_at.map(|at| at.to_string()),
            created_at: refund.created_at.to_string(),
            updated_at: refund.updated_at.to_string(),
        }
    }
}
