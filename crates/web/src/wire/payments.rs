//! Payments and what came in, on the wire.

use serde::{Deserialize, Serialize};
use trousseau_domain::money::Money;
use trousseau_domain::payables::{PayableKind, Title};
use trousseau_domain::time::Timestamp;
use trousseau_service::payments::test_ledger::TestLedgerState;
use trousseau_service::payments::{NotPayable, Payable, Shown, Watched};
use trousseau_service::{DepositRow, PaymentRow, PublicAddress};
use utoipa::ToSchema;

use super::payables::page_of;

/// What a payment is for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PayableReference)]
pub struct PayableBody {
    /// `payment_link`, `invoice` or `recurring_payment`.
    #[schema(example = "payment_link")]
    pub r#type: &'static str,
    /// Its id.
    #[schema(example = "plink_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
}

/// A payment: one attempt to pay, at a price fixed by the business.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub struct PaymentBody {
    /// Its id.
    #[schema(example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// `test` or `live`.
    #[schema(example = "test")]
    pub environment: &'static str,
    /// `open`, `processing`, `settled`, `expired`, `cancelled`, `needs_review`, `reversed`, `partially_refunded` or
    /// `refunded`.
    #[schema(example = "settled")]
    pub status: &'static str,
    /// What is unusual about it: `none`, `partial`, `underpaid`, `overpaid`, `late`, `multiple` or `manual`.
    #[schema(example = "none")]
    pub exception: &'static str,
    /// What it is for.
    pub payable: PayableBody,
    /// The invoice that it pays, the period of a recurring payment too.
    pub invoice_id: Option<String>,
    /// The price.
    #[schema(example = "12.50")]
    pub amount: String,
    /// What the network holds for it so far, final or not.
    #[schema(example = "12.50")]
    pub amount_seen: String,
    /// The final part of that.
    #[schema(example = "12.50")]
    pub amount_settled: String,
    /// What was given back of it, for certain.
    #[schema(example = "0.00")]
    pub amount_refunded: String,
    /// What was or will be given back of it outside of Trousseau, by a decision.
    #[schema(example = "0.00")]
    pub amount_returned: String,
    /// What still has to come; `"0.00"` once enough was seen.
    #[schema(example = "0.00")]
    pub amount_remaining: String,
    /// What the amounts are in.
    #[schema(example = "USDC")]
    pub currency: String,
    /// The network (CAIP-2); those of TEST begin with `test:`.
    #[schema(example = "test:base")]
    pub network: String,
    /// Where the money is to be sent: an address of this payment alone.
    #[schema(example = "test_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub address: String,
    /// Who sent the latest transfer, as the network says. Never give money back there unasked.
    pub payer: Option<String>,
    /// The latest transaction.
    pub transaction_hash: Option<String>,
    /// The last instant at which money comes in time; `null` where it may come at any time.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// The page on which it is paid.
    pub url: String,
    /// When it was first settled.
    #[schema(format = DateTime)]
    pub settled_at: Option<String>,
    /// When it was started.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

impl PaymentBody {
    /// The wire form of a payment of an installation that is reached there.
    pub fn new(payment: &PaymentRow, address: &PublicAddress) -> Self {
        let payable = payment.paid_for.payable();
        Self {
            id: payment.id.to_string(),
            environment: payment.tenant.environment.as_str(),
            status: payment.state.status.as_str(),
            exception: payment.state.exception.as_str(),
            payable: PayableBody { r#type: payable.kind().as_str(), id: payable.to_string() },
            invoice_id: payment.paid_for.invoice().map(|id| id.to_string()),
            amount: payment.terms.due.to_string(),
            amount_seen: payment.seen.to_string(),
            amount_settled: payment.settled.to_string(),
            amount_refunded: payment.refunded().to_string(),
            amount_returned: payment.returned().to_string(),
            amount_remaining: remaining(payment).to_string(),
            currency: payment.terms.due.asset().code().to_string(),
            network: payment.destination.network.to_string(),
            address: payment.destination.address.clone(),
            payer: payment.payer.clone(),
            transaction_hash: payment.transaction_hash.clone(),
            expires_at: payment.terms.expires_at.map(|at| at.to_string()),
            url: page_of(address, payable.kind(), &payable),
            settled_at: payment.settled_at.map(|at| at.to_string()),
            created_at: payment.created_at.to_string(),
            updated_at: payment.updated_at.to_string(),
        }
    }
}

/// What still has to come.
pub(crate) fn remaining(payment: &PaymentRow) -> Money {
    let due = payment.terms.due;
    due.checked_sub(payment.seen).unwrap_or(Money::zero(due.asset()))
}

/// How a payment stands, for the one who pays it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentStatus)]
pub struct StatusBody {
    /// Its id.
    #[schema(example = "pay_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// `test` or `live`.
    #[schema(example = "test")]
    pub environment: &'static str,
    /// `open`, `processing`, `settled`, `expired`, `cancelled`, `needs_review`, `reversed`, `partially_refunded` or
    /// `refunded`.
    #[schema(example = "processing")]
    pub status: &'static str,
    /// What is unusual about it.
    #[schema(example = "none")]
    pub exception: &'static str,
    /// Whether it is paid: what a shop wants to know.
    pub paid: bool,
    /// The price.
    #[schema(example = "12.50")]
    pub amount: String,
    /// What still has to come.
    #[schema(example = "0.00")]
    pub amount_remaining: String,
    /// What the amounts are in.
    #[schema(example = "USDC")]
    pub currency: String,
    /// The network (CAIP-2).
    #[schema(example = "test:base")]
    pub network: String,
    /// Where the money is to be sent.
    #[schema(example = "test_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub address: String,
    /// How many confirmations the latest transfer has.
    pub confirmations: Option<u32>,
    /// How many it takes.
    pub confirmations_needed: Option<u32>,
    /// Whether something of another asset came to the address, which does not count.
    pub wrong_token: bool,
    /// Whether the network is seen late at the moment: it stands still, or no node answers. What was sent may be there
    /// already, nothing expires meanwhile, and nobody should pay twice.
    pub network_delayed: bool,
    /// The latest transaction.
    pub transaction_hash: Option<String>,
    /// The last instant at which money comes in time.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// The time by which that is measured; in TEST a clock of the business.
    #[schema(format = DateTime)]
    pub now: String,
}

impl From<&Watched> for StatusBody {
    fn from(watched: &Watched) -> Self {
        Self {
            confirmations: watched.confirmations.map(|(count, _)| count),
            confirmations_needed: watched.confirmations.map(|(_, needed)| needed),
            wrong_token: watched.wrong_token,
            network_delayed: watched.delayed,
            ..Self::of_new(&watched.payment, watched.now)
        }
    }
}

impl StatusBody {
    /// How a payment stands for which nothing has come yet.
    pub(crate) fn of_new(payment: &PaymentRow, now: Timestamp) -> Self {
        Self {
            id: payment.id.to_string(),
            environment: payment.tenant.environment.as_str(),
            status: payment.state.status.as_str(),
            exception: payment.state.exception.as_str(),
            paid: payment.state.is_paid(),
            amount: payment.terms.due.to_string(),
            amount_remaining: remaining(payment).to_string(),
            currency: payment.terms.due.asset().code().to_string(),
            network: payment.destination.network.to_string(),
            address: payment.destination.address.clone(),
            confirmations: None,
            confirmations_needed: None,
            wrong_token: false,
            network_delayed: false,
            transaction_hash: payment.transaction_hash.clone(),
            expires_at: payment.terms.expires_at.map(|at| at.to_string()),
            now: now.to_string(),
        }
    }
}

/// A payment that was just started.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StartedPayment)]
pub struct StartedBody {
    /// How it stands.
    #[serde(flatten)]
    pub status: StatusBody,
    /// Reads this one payment. No key is in it.
    pub status_url: String,
    /// The same as a stream of server-sent events, for `EventSource`.
    pub events_url: String,
    /// The page on which it is paid.
    pub checkout_url: String,
}

/// What is to be paid, as its payer sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payable)]
pub struct PublicPayableBody {
    /// `payment_link`, `invoice` or `recurring_payment`.
    #[schema(example = "payment_link")]
    pub r#type: &'static str,
    /// Its id.
    #[schema(example = "plink_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// `test` or `live`.
    #[schema(example = "test")]
    pub environment: &'static str,
    /// Who is paid.
    #[schema(example = "Atelier Lumière")]
    pub business_name: String,
    /// What it is called.
    pub title: Option<String>,
    /// What it says beside.
    pub description: Option<String>,
    /// The price.
    #[schema(example = "12.50")]
    pub amount: String,
    /// What the price is in.
    #[schema(example = "USDC")]
    pub currency: String,
    /// Whether it can be paid now.
    pub payable: bool,
    /// Why not: `inactive`, `paid`, `processing` (one payment is enough, and one is being confirmed), `void` or `suspended`.
    pub reason: Option<&'static str>,
    /// The number of the invoice.
    pub invoice_number: Option<u32>,
    /// The instant from which the invoice is past due.
    #[schema(format = DateTime)]
    pub due_at: Option<String>,
    /// The networks on which it can be paid (CAIP-2).
    #[schema(example = json!(["test:base"]))]
    pub networks: Vec<String>,
    /// The page on which it is paid.
    pub url: String,
}

/// Why something cannot be paid, in a word.
pub(crate) const fn reason_of(why: NotPayable) -> &'static str {
    match why {
        NotPayable::Inactive => "inactive",
        NotPayable::Paid => "paid",
        NotPayable::Processing => "processing",
        NotPayable::Void => "void",
        NotPayable::Suspended => "suspended",
        NotPayable::TooManyWaiting => "too_many_waiting",
    }
}

impl PublicPayableBody {
    /// The wire form of what is to be paid.
    pub fn new(shown: &Shown, networks: Vec<String>, address: &PublicAddress) -> Self {
        let id = shown.payable.id();
        let (title, description, invoice): (Option<&Title>, _, _) = match &shown.payable {
            Payable::PaymentLink(link) => (link.title.as_ref(), link.description.as_ref(), None),
            Payable::Invoice(invoice) => (Some(&invoice.title), None, Some(invoice)),
            Payable::RecurringPayment(recurring, invoice) => (recurring.name.as_ref(), None, Some(invoice)),
        };
        let why = shown.check().err();
        Self {
            r#type: id.kind().as_str(),
            id: id.to_string(),
            environment: shown.payable.tenant().environment.as_str(),
            business_name: shown.business.name.to_string(),
            title: title.map(ToString::to_string),
            description: description.map(ToString::to_string),
            amount: shown.payable.amount().to_string(),
            currency: shown.payable.amount().asset().code().to_string(),
            payable: why.is_none(),
            reason: why.map(reason_of),
            invoice_number: invoice.map(|invoice| invoice.number),
            due_at: invoice.map(|invoice| invoice.due_at.to_string()),
            networks,
            url: page_of(address, id.kind(), &id),
        }
    }
}

/// A payment to start: the price is the business's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPayment)]
pub struct NewPaymentBody {
    /// The payment link, invoice or recurring payment to pay.
    #[schema(example = "plink_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub payable: String,
    /// The network, by its CAIP-2 id or short name (`base`); the first one that there is unless given.
    #[schema(example = "base")]
    pub network: Option<String>,
}

/// A transaction that a payer's wallet named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HandedInTransaction)]
pub struct TransactionBody {
    /// Its hash: a hint to look sooner, and no proof of anything. In TEST an unknown one stands for a transfer of the
    /// exact amount, and `test_underpaid`, `test_late` and the like for the other scenarios.
    #[schema(example = "0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060", max_length = 128)]
    pub transaction_hash: String,
}

/// What somebody decided about a payment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentDecision)]
pub struct DecisionBody {
    /// `accept`: what came is good enough; `return`: it was, or will be, given back outside of this system.
    #[schema(example = "accept")]
    pub verdict: String,
    /// Why, in at most 500 characters.
    #[schema(example = "The customer paid the rest in cash.", max_length = 500)]
    pub reason: String,
}

/// Why nobody has to look at a deposit any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DepositDismissal)]
pub struct DismissalBody {
    /// In at most 500 characters.
    #[schema(example = "Sent back to the customer by hand.", max_length = 500)]
    pub reason: String,
}

/// Something that came in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deposit)]
pub struct DepositBody {
    /// Its id.
    #[schema(example = "dep_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// The network (CAIP-2).
    #[schema(example = "test:base")]
    pub network: String,
    /// The transaction.
    pub transaction_hash: String,
    /// To which address.
    pub address: String,
    /// From whom, as the network says. Never give money back there unasked.
    pub sender: String,
    /// `accepted` for the currency of its payment, `other` for anything else.
    #[schema(example = "other")]
    pub asset: &'static str,
    /// How much, in base units as the network writes them.
    #[schema(example = "12500000")]
    pub base_units: String,
    /// The height of its block.
    pub block: u64,
    /// The payment to whose address it came.
    pub payment_id: Option<String>,
    /// When it was first seen.
    #[schema(format = DateTime)]
    pub seen_at: String,
    /// When somebody dealt with it.
    #[schema(format = DateTime)]
    pub resolved_at: Option<String>,
}

impl From<&DepositRow> for DepositBody {
    fn from(deposit: &DepositRow) -> Self {
        Self {
            id: deposit.id.to_string(),
            network: deposit.transfer.network.to_string(),
            transaction_hash: deposit.transfer.transaction_hash.clone(),
            address: deposit.transfer.to.clone(),
            sender: deposit.transfer.from.clone(),
            asset: deposit.transfer.asset.as_str(),
            base_units: deposit.transfer.amount.to_string(),
            block: deposit.transfer.block,
            payment_id: deposit.payment.map(|id| id.to_string()),
            seen_at: deposit.seen_at.to_string(),
            resolved_at: deposit.resolved_at.map(|at| at.to_string()),
        }
    }
}

/// How the test ledger of the business stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TestLedger)]
pub struct TestLedgerBody {
    /// Its height.
    #[schema(example = 3)]
    pub height: u64,
    /// The hash of its latest block.
    pub head: Option<String>,
    /// Its own clock.
    #[schema(format = DateTime)]
    pub now: String,
    /// Whether it stands still.
    pub halted: bool,
    /// How often it was reorganised.
    pub reorganisations: u64,
    /// The transaction that this call made.
    pub transaction_hash: Option<String>,
}

impl From<&TestLedgerState> for TestLedgerBody {
    fn from(state: &TestLedgerState) -> Self {
        Self {
            height: state.height,
            head: state.head.clone(),
            now: Timestamp::to_string(&state.now),
            halted: state.halted,
            reorganisations: state.forks,
            transaction_hash: state.transaction_hash.clone(),
        }
    }
}

/// A transfer to make on the test ledger. It waits for the next block.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TestTransfer)]
pub struct TestTransferBody {
    /// To which address.
    #[schema(example = "test_01k3v5m8c2q7x9r4t6w8y0a1b3", max_length = 128)]
    pub address: String,
    /// How much, up to 256 bits of base units.
    #[schema(example = "12.50")]
    pub amount: String,
    /// The network; that of the address's payment is usual, `base` unless given.
    #[schema(example = "base")]
    pub network: Option<String>,
    /// `accepted`, which it is unless given, `other` for another token, or the code of a currency.
    pub asset: Option<String>,
    /// From whom; `test_payer` unless given.
    pub sender: Option<String>,
    /// Whether the transaction fails, so that nothing moves.
    #[serde(default)]
    #[schema(required = false)]
    pub reverted: bool,
}

/// Blocks to make, or to tell of once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TestBlocks)]
pub struct TestBlocksBody {
    /// How many: 1 to 1000.
    #[schema(example = 3, minimum = 1, maximum = 1000)]
    pub count: u32,
}

/// Blocks to take back, with as many new ones in their place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TestReorganisation)]
pub struct TestReorganisationBody {
    /// How many.
    #[schema(example = 1, minimum = 1)]
    pub depth: u32,
    /// Whether their transactions come again in the new blocks; gone unless said.
    #[serde(default)]
    #[schema(required = false)]
    pub reinclude: bool,
}

/// Where to set the clock of the test ledger: forward only.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TestClock)]
pub struct TestClockBody {
    /// The instant.
    #[schema(example = "2026-12-31T23:00:00Z", format = DateTime)]
    pub to: String,
}

/// How a payment is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TestScenario)]
pub struct ScenarioBody {
    /// `paid`, `slow`, `underpaid`, `topped_up`, `overpaid`, `late`, `wrong_token`, `reverted`, `dropped`, `reversed`
    /// or `halted`.
    #[schema(example = "paid")]
    pub scenario: String,
}

/// The word for a kind in a path of a page.
pub(crate) fn kind_of_path(word: &str) -> Option<PayableKind> {
    match word {
        "payment-link" => Some(PayableKind::PaymentLink),
        "invoice" => Some(PayableKind::Invoice),
        "recurring-payment" => Some(PayableKind::RecurringPayment),
        _ => None,
    }
}
