//! What is to be paid, on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trousseau_domain::environment::Environment;
use trousseau_domain::members::EmailAddress;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payables::{InvoiceLine, PayableKind, WebUrl, recurring_status};
use trousseau_domain::recurrence::Interval;
use trousseau_domain::time::Timestamp;
use trousseau_service::networks::NetworkViews;
use trousseau_service::payments::invoices::{Billed, InvoiceChange, InvoiceDraft};
use trousseau_service::payments::payment_links::{PaymentLinkChange, PaymentLinkDraft};
use trousseau_service::payments::recurring_payments::{
    RecurringPayment, RecurringPaymentChange, RecurringPaymentDraft,
};
use trousseau_service::{InvoiceRow, PaymentLinkRow, PublicAddress};
use utoipa::ToSchema;

use super::Change;
use super::keys::read_metadata;
use crate::problem::{Failure, Faults};

/// Where the page is on which something is paid.
pub(crate) fn page_of(address: &PublicAddress, kind: PayableKind, id: &impl std::fmt::Display) -> String {
    let kind = match kind {
        PayableKind::PaymentLink => "payment-link",
        PayableKind::Invoice => "invoice",
        PayableKind::RecurringPayment => "recurring-payment",
    };
    address.link(&format!("/pay/{kind}/{id}"))
}

/// The currency of a price that names none.
const USUAL_CURRENCY: &str = "USDC";

/// A price: above zero.
fn price(pointer: &str, text: &str, asset: Asset, faults: &mut Faults) -> Option<Money> {
    faults.accept(pointer, Money::parse_price(text, asset))
}

/// What a price is in. Where that is refused, the rest is read as if it were the usual one.
fn currency(code: Option<&str>, may_be: NetworkViews<'_>, environment: Environment, faults: &mut Faults) -> Asset {
    let asset = may_be.asset(environment, code.unwrap_or(USUAL_CURRENCY));
    faults.accept("/currency", asset).unwrap_or(Asset::USDC)
}

fn text<T: std::str::FromStr<Err: std::fmt::Display>>(
    pointer: &str,
    text: Option<String>,
    faults: &mut Faults,
) -> Option<T> {
    text.and_then(|text| faults.accept(pointer, text.parse().map_err(|error: T::Err| error.to_string())))
}

fn url(pointer: &str, text: Option<String>, environment: Environment, faults: &mut Faults) -> Option<WebUrl> {
    text.and_then(|text| faults.accept(pointer, WebUrl::parse(&text, environment)))
}

/// An instant; what is no RFC 3339 instant cannot be read.
fn instant(pointer: &str, text: &str, faults: &mut Faults) -> Option<Timestamp> {
    faults.accept(pointer, text.parse::<Timestamp>())
}

fn metadata(entries: Option<BTreeMap<String, String>>, faults: &mut Faults) -> Metadata {
    entries.and_then(|entries| read_metadata(entries, faults)).unwrap_or_default()
}

macro_rules! change_text {
    ($body:ident, $faults:ident, $member:ident) => {
        $body.$member.read(|value| {
            $faults.accept(concat!("/", stringify!($member)), value.parse().map_err(|error| format!("{error}")))
        })
    };
}

macro_rules! change_url {
    ($body:ident, $faults:ident, $environment:ident, $member:ident) => {
        $body
            .$member
            .read(|value| $faults.accept(concat!("/", stringify!($member)), WebUrl::parse(&value, $environment)))
    };
}

/// A payment link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentLink)]
pub struct PaymentLinkBody {
    /// Its id: all that a payer needs, and nothing that can be guessed.
    #[schema(example = "plink_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// `test` or `live`.
    #[schema(example = "test")]
    pub environment: &'static str,
    /// `active`, `inactive` or, where it can be paid once only, `paid`.
    #[schema(example = "active")]
    pub status: &'static str,
    /// The price.
    #[schema(example = "12.50")]
    pub amount: String,
    /// What the price is in.
    #[schema(example = "USDC")]
    pub currency: String,
    /// The page on which it is paid.
    #[schema(example = "https://pay.example/pay/payment-link/plink_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub url: String,
    /// What it is called.
    #[schema(example = "Coffee for a month")]
    pub title: Option<String>,
    /// What it says beside.
    pub description: Option<String>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<String>,
    /// A picture that is kept and given back; pages do not show it.
    pub logo_url: Option<String>,
    /// Another one.
    pub banner_url: Option<String>,
    /// Your own name for the customer.
    pub customer_reference: Option<String>,
    /// Your own notes.
    pub metadata: BTreeMap<String, String>,
    /// Whether it can be paid once only.
    pub single_use: bool,
    /// Whether it is switched on.
    pub active: bool,
    /// When it was first paid.
    #[schema(format = DateTime)]
    pub paid_at: Option<String>,
    /// The payment that paid it first.
    pub paid_by: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// When it was deleted; its payments stay.
    #[schema(format = DateTime)]
    pub deleted_at: Option<String>,
}

impl PaymentLinkBody {
    /// The wire form of a payment link of an installation that is reached there.
    pub fn new(link: &PaymentLinkRow, address: &PublicAddress) -> Self {
        Self {
            id: link.id.to_string(),
            environment: link.tenant.environment.as_str(),
            status: link.status().as_str(),
            amount: link.amount.to_string(),
            currency: link.amount.asset().code().to_string(),
            url: page_of(address, PayableKind::PaymentLink, &link.id),
            title: link.title.as_ref().map(ToString::to_string),
            description: link.description.as_ref().map(ToString::to_string),
            redirect_url: link.redirect_url.as_ref().map(ToString::to_string),
            logo_url: link.logo_url.as_ref().map(ToString::to_string),
            banner_url: link.banner_url.as_ref().map(ToString::to_string),
            customer_reference: link.customer_reference.as_ref().map(ToString::to_string),
            metadata: link.metadata.clone().into(),
            single_use: link.single_use,
            active: link.active,
            paid_at: link.paid_at.map(|at| at.to_string()),
            paid_by: link.paid_by.map(|id| id.to_string()),
            created_at: link.created_at.to_string(),
            updated_at: link.updated_at.to_string(),
            deleted_at: link.deleted_at.map(|at| at.to_string()),
        }
    }
}

/// A payment link to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPaymentLink)]
pub struct NewPaymentLinkBody {
    /// The price, above zero, with at most as many decimals as its currency has: 6 of USDC.
    #[schema(example = "12.50")]
    pub amount: String,
    /// `USDC` unless given; one that the networks of the environment accept.
    #[schema(example = "USDC")]
    pub currency: Option<String>,
    /// At most 200 characters.
    #[schema(example = "Coffee for a month", max_length = 200)]
    pub title: Option<String>,
    /// At most 1000 characters.
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// An HTTPS address; in TEST one of this machine is good too.
    #[schema(example = "https://shop.example/thanks")]
    pub redirect_url: Option<String>,
    /// An HTTPS address.
    pub logo_url: Option<String>,
    /// An HTTPS address.
    pub banner_url: Option<String>,
    /// At most 100 characters.
    #[schema(max_length = 100)]
    pub customer_reference: Option<String>,
    /// At most 50 entries and 8 KiB.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whether it can be paid once only; not unless said.
    #[serde(default)]
    #[schema(required = false)]
    pub single_use: bool,
    /// Whether it is switched on, which it is unless said.
    pub active: Option<bool>,
}

impl NewPaymentLinkBody {
    /// What it says, in the domain's words.
    pub fn read(self, environment: Environment, may_be: NetworkViews<'_>) -> Result<PaymentLinkDraft, Failure> {
        let mut faults = Faults::new();
        let asset = currency(self.currency.as_deref(), may_be, environment, &mut faults);
        let amount = price("/amount", &self.amount, asset, &mut faults);
        let draft = PaymentLinkDraft {
            amount: amount.unwrap_or(Money::zero(Asset::USDC)),
            title: text("/title", self.title, &mut faults),
            description: text("/description", self.description, &mut faults),
            redirect_url: url("/redirect_url", self.redirect_url, environment, &mut faults),
            logo_url: url("/logo_url", self.logo_url, environment, &mut faults),
            banner_url: url("/banner_url", self.banner_url, environment, &mut faults),
            customer_reference: text("/customer_reference", self.customer_reference, &mut faults),
            metadata: metadata(self.metadata, &mut faults),
            single_use: self.single_use,
            active: self.active.unwrap_or(true),
        };
        // A refused amount is a fault, so nothing is made with the stand-in above.
        faults.finish()?;
        Ok(draft)
    }
}

/// What changes of a payment link. Absent members stay as they are; `null` clears those that may be empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentLinkChange)]
pub struct PaymentLinkChangeBody {
    /// The price of payments to come.
    #[serde(default)]
    #[schema(value_type = String, required = false, example = "15.00")]
    pub amount: Change<String>,
    /// What it is called.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub title: Change<String>,
    /// What it says beside.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub description: Change<String>,
    /// Where the payer goes afterwards.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub redirect_url: Change<String>,
    /// A picture that is kept and given back.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub logo_url: Change<String>,
    /// Another one.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub banner_url: Change<String>,
    /// Your own name for the customer.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub customer_reference: Change<String>,
    /// All your notes from now on.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    pub metadata: Change<BTreeMap<String, String>>,
    /// Whether it can be paid once only.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub single_use: Change<bool>,
    /// Whether it is switched on.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub active: Change<bool>,
}

impl PaymentLinkChangeBody {
    /// What it says, in the domain's words. The price stays in its currency.
    pub fn read(self, environment: Environment, asset: Asset) -> Result<PaymentLinkChange, Failure> {
        let mut faults = Faults::new();
        let body = self;
        let amount = body.amount.required("/amount", &mut faults);
        let notes = body.metadata.required("/metadata", &mut faults);
        let change = PaymentLinkChange {
            amount: amount.and_then(|amount| price("/amount", &amount, asset, &mut faults)),
            title: change_text!(body, faults, title),
            description: change_text!(body, faults, description),
            redirect_url: change_url!(body, faults, environment, redirect_url),
            logo_url: change_url!(body, faults, environment, logo_url),
            banner_url: change_url!(body, faults, environment, banner_url),
            customer_reference: change_text!(body, faults, customer_reference),
            metadata: notes.and_then(|entries| read_metadata(entries, &mut faults)),
            single_use: body.single_use.required("/single_use", &mut faults),
            active: body.active.required("/active", &mut faults),
        };
        faults.finish()?;
        Ok(change)
    }
}

/// One line of an invoice.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InvoiceLine)]
pub struct LineBody {
    /// What is billed; at most 200 characters.
    #[schema(example = "Workshop, one day", max_length = 200)]
    pub description: String,
    /// How many.
    #[schema(example = 2, minimum = 1)]
    pub quantity: u32,
    /// The price of one.
    #[schema(example = "150.00")]
    pub unit_amount: String,
}

/// An invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invoice)]
pub struct InvoiceBody {
    /// Its id: all that a payer needs, and nothing that can be guessed.
    #[schema(example = "inv_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// 1, 2, 3 ... within the business and environment.
    #[schema(example = 7, minimum = 1)]
    pub number: u32,
    /// `test` or `live`.
    #[schema(example = "test")]
    pub environment: &'static str,
    /// `pending`, `paid`, `past_due` or `void`.
    #[schema(example = "pending")]
    pub status: &'static str,
    /// The price: the sum of the lines.
    #[schema(example = "300.00")]
    pub amount: String,
    /// What the price is in.
    #[schema(example = "USDC")]
    pub currency: String,
    /// The page on which it is paid.
    pub url: String,
    /// What is billed, in a few words.
    #[schema(example = "Workshop")]
    pub title: String,
    /// What is billed, line by line.
    pub lines: Vec<LineBody>,
    /// The instant from which it is past due.
    #[schema(example = "2026-12-31T23:00:00Z", format = DateTime)]
    pub due_at: String,
    /// What the customer is called.
    pub customer_name: Option<String>,
    /// Where it is sent.
    pub customer_email: Option<String>,
    /// Your own name for the customer.
    pub customer_reference: Option<String>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<String>,
    /// Your own notes.
    pub metadata: BTreeMap<String, String>,
    /// The recurring payment of which it is a period.
    pub recurring_payment_id: Option<String>,
    /// Which period; the first one is 0.
    pub period: Option<u32>,
    /// Whether the mail with the invoice carries it as PDF.
    pub attach_pdf: bool,
    /// When it was last mailed to the customer.
    #[schema(format = DateTime)]
    pub sent_at: Option<String>,
    /// When it was paid.
    #[schema(format = DateTime)]
    pub paid_at: Option<String>,
    /// The payment that paid it.
    pub paid_by: Option<String>,
    /// When it was called off.
    #[schema(format = DateTime)]
    pub voided_at: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// When it was deleted; its payments stay.
    #[schema(format = DateTime)]
    pub deleted_at: Option<String>,
}

impl InvoiceBody {
    /// The wire form of an invoice as it stands at `now`.
    pub fn new(invoice: &InvoiceRow, now: Timestamp, address: &PublicAddress) -> Self {
        let asset = invoice.amount.asset();
        let written = |units| Money::from_units(units, asset).map(|money| money.to_string()).unwrap_or_default();
        Self {
            id: invoice.id.to_string(),
            number: invoice.number,
            environment: invoice.tenant.environment.as_str(),
            status: invoice.life().status_at(now).as_str(),
            amount: invoice.amount.to_string(),
            currency: asset.code().to_string(),
            url: page_of(address, PayableKind::Invoice, &invoice.id),
            title: invoice.title.to_string(),
            lines: invoice
                .lines
                .iter()
                .map(|line| LineBody {
                    description: line.description.to_string(),
                    quantity: line.quantity,
                    unit_amount: written(line.unit_amount),
                })
                .collect(),
            due_at: invoice.due_at.to_string(),
            customer_name: invoice.customer_name.as_ref().map(ToString::to_string),
            customer_email: invoice.customer_email.as_ref().map(|email| email.as_str().to_owned()),
            customer_reference: invoice.customer_reference.as_ref().map(ToString::to_string),
            redirect_url: invoice.redirect_url.as_ref().map(ToString::to_string),
            metadata: invoice.metadata.clone().into(),
            recurring_payment_id: invoice.period.map(|(id, _)| id.to_string()),
            period: invoice.period.map(|(_, period)| period),
            attach_pdf: invoice.with_pdf,
            sent_at: invoice.sent_at.map(|at| at.to_string()),
            paid_at: invoice.paid_at.map(|at| at.to_string()),
            paid_by: invoice.paid_by.map(|id| id.to_string()),
            voided_at: invoice.voided_at.map(|at| at.to_string()),
            created_at: invoice.created_at.to_string(),
            updated_at: invoice.updated_at.to_string(),
            deleted_at: invoice.deleted_at.map(|at| at.to_string()),
        }
    }
}

/// An invoice to make: one `amount`, or `lines` that add up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInvoice)]
pub struct NewInvoiceBody {
    /// What is billed, in at most 200 characters.
    #[schema(example = "Workshop", max_length = 200)]
    pub title: String,
    /// The price, above zero; without `lines` only.
    #[schema(example = "300.00")]
    pub amount: Option<String>,
    /// 1 to 100 lines; without `amount` only.
    pub lines: Option<Vec<LineBody>>,
    /// `USDC` unless given; one that the networks of the environment accept.
    #[schema(example = "USDC")]
    pub currency: Option<String>,
    /// The instant from which it is past due.
    #[schema(example = "2026-12-31T23:00:00Z", format = DateTime)]
    pub due_at: String,
    /// At most 200 characters.
    #[schema(max_length = 200)]
    pub customer_name: Option<String>,
    /// Where it is sent.
    #[schema(example = "billing@customer.example")]
    pub customer_email: Option<String>,
    /// At most 100 characters.
    #[schema(max_length = 100)]
    pub customer_reference: Option<String>,
    /// An HTTPS address; in TEST one of this machine is good too.
    pub redirect_url: Option<String>,
    /// At most 50 entries and 8 KiB.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whether it is mailed to the `customer_email` at once, with reminders to follow; it is unless said.
    pub send: Option<bool>,
    /// Whether the mail carries it as PDF, which it does unless said.
    pub attach_pdf: Option<bool>,
}

/// What is billed: exactly one of the two.
fn billed(amount: Option<String>, lines: Option<Vec<LineBody>>, asset: Asset, faults: &mut Faults) -> Option<Billed> {
    match (amount, lines) {
        (Some(amount), None) => price("/amount", &amount, asset, faults).map(Billed::Whole),
        (None, Some(lines)) => {
            let mut read = Vec::with_capacity(lines.len());
            for (index, line) in lines.into_iter().enumerate() {
                let description = faults.accept(
                    &format!("/lines/{index}/description"),
                    line.description.parse::<trousseau_domain::payables::Title>(),
                );
                let unit =
                    faults.accept(&format!("/lines/{index}/unit_amount"), Money::parse(&line.unit_amount, asset));
                if line.quantity == 0 {
                    faults.senseless(&format!("/lines/{index}/quantity"), "must be 1 or more");
                }
                if let (Some(description), Some(unit)) = (description, unit) {
                    read.push(InvoiceLine { description, quantity: line.quantity, unit_amount: unit.units() });
                }
            }
            Some(Billed::Lines(read, asset))
        }
        (Some(_), Some(_)) => {
            faults.senseless("/amount", "cannot stand beside lines, which add up to it");
            None
        }
        (None, None) => {
            faults.senseless("/amount", "must be given, or lines");
            None
        }
    }
}

impl NewInvoiceBody {
    /// What it says, in the domain's words.
    pub fn read(self, environment: Environment, may_be: NetworkViews<'_>) -> Result<InvoiceDraft, Failure> {
        let mut faults = Faults::new();
        let title = faults.accept("/title", self.title.parse());
        let asset = currency(self.currency.as_deref(), may_be, environment, &mut faults);
        let billed = billed(self.amount, self.lines, asset, &mut faults);
        let due_at = instant("/due_at", &self.due_at, &mut faults);
        let customer_name = text("/customer_name", self.customer_name, &mut faults);
        let customer_email = text::<EmailAddress>("/customer_email", self.customer_email, &mut faults);
        let customer_reference = text("/customer_reference", self.customer_reference, &mut faults);
        let redirect_url = url("/redirect_url", self.redirect_url, environment, &mut faults);
        let metadata = metadata(self.metadata, &mut faults);
        faults.finish()?;
        Ok(InvoiceDraft {
            title: title.expect("a refused title is a fault above"),
            billed: billed.expect("what was refused is a fault above"),
            due_at: due_at.expect("a refused date is a fault above"),
            customer_name,
            customer_email,
            customer_reference,
            redirect_url,
            metadata,
            with_pdf: self.attach_pdf.unwrap_or(true),
            send: self.send.unwrap_or(true),
        })
    }
}

/// What changes of an invoice that is neither paid nor void. Absent members stay as they are; `null` clears those that
/// may be empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InvoiceChange)]
pub struct InvoiceChangeBody {
    /// What is billed, in a few words.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    pub title: Change<String>,
    /// The price of payments to come; without `lines` only.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    pub amount: Change<String>,
    /// All lines from now on; without `amount` only.
    #[serde(default)]
    #[schema(value_type = Vec<LineBody>, required = false)]
    pub lines: Change<Vec<LineBody>>,
    /// The instant from which it is past due.
    #[serde(default)]
    #[schema(value_type = String, required = false, format = DateTime)]
    pub due_at: Change<String>,
    /// What the customer is called.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub customer_name: Change<String>,
    /// Where it is sent.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub customer_email: Change<String>,
    /// Your own name for the customer.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub customer_reference: Change<String>,
    /// Where the payer goes afterwards.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub redirect_url: Change<String>,
    /// All your notes from now on.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    pub metadata: Change<BTreeMap<String, String>>,
    /// Whether the next mail carries it as PDF.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    pub attach_pdf: Change<bool>,
}

impl InvoiceChangeBody {
    /// What it says, in the domain's words. The price stays in its currency.
    pub fn read(self, environment: Environment, asset: Asset) -> Result<InvoiceChange, Failure> {
        let mut faults = Faults::new();
        let body = self;
        let title = body.title.required("/title", &mut faults);
        let amount = body.amount.required("/amount", &mut faults);
        let lines = body.lines.required("/lines", &mut faults);
        let due_at = body.due_at.required("/due_at", &mut faults);
        let notes = body.metadata.required("/metadata", &mut faults);
        let change = InvoiceChange {
            title: title.and_then(|title| faults.accept("/title", title.parse())),
            billed: if amount.is_some() || lines.is_some() { billed(amount, lines, asset, &mut faults) } else { None },
            due_at: due_at.and_then(|due_at| instant("/due_at", &due_at, &mut faults)),
            customer_name: change_text!(body, faults, customer_name),
            customer_email: change_text!(body, faults, customer_email),
            customer_reference: change_text!(body, faults, customer_reference),
            redirect_url: change_url!(body, faults, environment, redirect_url),
            metadata: notes.and_then(|entries| read_metadata(entries, &mut faults)),
            with_pdf: body.attach_pdf.required("/attach_pdf", &mut faults),
        };
        faults.finish()?;
        Ok(change)
    }
}

/// How far two periods lie apart.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Interval)]
pub struct IntervalBody {
    /// `days` or `months`.
    pub unit: IntervalUnit,
    /// 1 to 3660 days, or 1 to 120 calendar months.
    #[schema(example = 1, minimum = 1, maximum = 3660)]
    pub count: u16,
}

/// What an interval counts.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntervalUnit {
    /// Calendar days.
    Days,
    /// Calendar months; a day that a month lacks is its last one.
    Months,
}

/// A recurring payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecurringPayment)]
pub struct RecurringPaymentBody {
    /// Its id: all that a payer needs to pay the latest period, and nothing that can be guessed.
    #[schema(example = "rec_01k3v5m8c2q7x9r4t6w8y0a1b3")]
    pub id: String,
    /// `test` or `live`.
    #[schema(example = "test")]
    pub environment: &'static str,
    /// `active`, `past_due`, `paused` or `cancelled`.
    #[schema(example = "active")]
    pub status: &'static str,
    /// The price of each period to come.
    #[schema(example = "9.00")]
    pub amount: String,
    /// What the price is in.
    #[schema(example = "USDC")]
    pub currency: String,
    /// The page on which the latest period is paid.
    pub url: String,
    /// What is subscribed to.
    pub name: Option<String>,
    /// When the first period is due.
    #[schema(format = DateTime)]
    pub anchor: String,
    /// How far the periods lie apart, counted from the anchor at its local time.
    #[schema(value_type = IntervalBody)]
    pub interval: serde_json::Value,
    /// Where the local time is read: the zone of the business when this was made.
    #[schema(example = "Europe/Paris")]
    pub time_zone: String,
    /// What the customer is called.
    pub customer_name: Option<String>,
    /// Where its invoices are sent.
    pub customer_email: Option<String>,
    /// A wallet that the customer named. Nothing is decided by it.
    pub customer_wallet: Option<String>,
    /// Your own name for the customer.
    pub customer_reference: Option<String>,
    /// Where the payer goes afterwards.
    pub redirect_url: Option<String>,
    /// Your own notes.
    pub metadata: BTreeMap<String, String>,
    /// The invoice of the latest period that was made.
    pub latest_invoice: InvoiceBody,
    /// When the next period is due and made.
    #[schema(format = DateTime)]
    pub next_due_at: Option<String>,
    /// Since when no period is made because more than twelve were missed; resume it to go on.
    #[schema(format = DateTime)]
    pub held_at: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was last changed.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// When it was deleted; what was paid stays.
    #[schema(format = DateTime)]
    pub deleted_at: Option<String>,
}

impl RecurringPaymentBody {
    /// The wire form of a recurring payment.
    pub fn new(recurring: &RecurringPayment, address: &PublicAddress) -> Self {
        let RecurringPayment { row, latest, overdue, now } = recurring;
        Self {
            id: row.id.to_string(),
            environment: row.tenant.environment.as_str(),
            status: recurring_status(row.state, *overdue).as_str(),
            amount: row.amount.to_string(),
            currency: row.amount.asset().code().to_string(),
            url: page_of(address, PayableKind::RecurringPayment, &row.id),
            name: row.name.as_ref().map(ToString::to_string),
            anchor: row.anchor.to_string(),
            interval: crate::answer::json(&row.interval),
            time_zone: row.time_zone.name().to_owned(),
            customer_name: row.customer_name.as_ref().map(ToString::to_string),
            customer_email: row.customer_email.as_ref().map(|email| email.as_str().to_owned()),
            customer_wallet: row.customer_wallet.as_ref().map(ToString::to_string),
            customer_reference: row.customer_reference.as_ref().map(ToString::to_string),
            redirect_url: row.redirect_url.as_ref().map(ToString::to_string),
            metadata: row.metadata.clone().into(),
            latest_invoice: InvoiceBody::new(latest, *now, address),
            next_due_at: row.next_due_at.map(|at| at.to_string()),
            held_at: row.held_at.map(|at| at.to_string()),
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
            deleted_at: row.deleted_at.map(|at| at.to_string()),
        }
    }
}

/// A recurring payment to make. Its first period is there, and can be paid, at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRecurringPayment)]
pub struct NewRecurringPaymentBody {
    /// The price of each period, above zero.
    #[schema(example = "9.00")]
    pub amount: String,
    /// `USDC` unless given; one that the networks of the environment accept.
    #[schema(example = "USDC")]
    pub currency: Option<String>,
    /// At most 200 characters.
    #[schema(example = "Monthly box", max_length = 200)]
    pub name: Option<String>,
    /// When the first period is due; it may be in the past.
    #[schema(example = "2026-01-31T09:00:00Z", format = DateTime)]
    pub anchor: String,
    /// How far the periods lie apart.
    pub interval: IntervalBody,
    /// At most 200 characters.
    #[schema(max_length = 200)]
    pub customer_name: Option<String>,
    /// Where its invoices are sent.
    pub customer_email: Option<String>,
    /// A wallet that the customer named; at most 200 characters.
    #[schema(max_length = 200)]
    pub customer_wallet: Option<String>,
    /// At most 100 characters.
    #[schema(max_length = 100)]
    pub customer_reference: Option<String>,
    /// An HTTPS address; in TEST one of this machine is good too.
    pub redirect_url: Option<String>,
    /// At most 50 entries and 8 KiB.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl NewRecurringPaymentBody {
    /// What it says, in the domain's words.
    pub fn read(self, environment: Environment, may_be: NetworkViews<'_>) -> Result<RecurringPaymentDraft, Failure> {
        let mut faults = Faults::new();
        let asset = currency(self.currency.as_deref(), may_be, environment, &mut faults);
        let amount = price("/amount", &self.amount, asset, &mut faults);
        let anchor = instant("/anchor", &self.anchor, &mut faults);
        let interval = match self.interval.unit {
            IntervalUnit::Days => Interval::days(self.interval.count),
            IntervalUnit::Months => Interval::months(self.interval.count),
        };
        let interval = faults.accept("/interval", interval);
        let name = text("/name", self.name, &mut faults);
        let customer_name = text("/customer_name", self.customer_name, &mut faults);
        let customer_email = text::<EmailAddress>("/customer_email", self.customer_email, &mut faults);
        let customer_wallet = text("/customer_wallet", self.customer_wallet, &mut faults);
        let customer_reference = text("/customer_reference", self.customer_reference, &mut faults);
        let redirect_url = url("/redirect_url", self.redirect_url, environment, &mut faults);
        let metadata = metadata(self.metadata, &mut faults);
        faults.finish()?;
        Ok(RecurringPaymentDraft {
            amount: amount.expect("a refused amount is a fault above"),
            name,
            anchor: anchor.expect("a refused date is a fault above"),
            interval: interval.expect("a refused interval is a fault above"),
            customer_name,
            customer_email,
            customer_wallet,
            customer_reference,
            redirect_url,
            metadata,
            with_pdf: true,
        })
    }
}

/// What changes of a recurring payment from its next period on. Absent members stay as they are; `null` clears those
/// that may be empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RecurringPaymentChange)]
pub struct RecurringPaymentChangeBody {
    /// The price of each period to come.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    pub amount: Change<String>,
    /// What is subscribed to.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub name: Change<String>,
    /// What the customer is called.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub customer_name: Change<String>,
    /// Where its invoices are sent.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub customer_email: Change<String>,
    /// A wallet that the customer named.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub customer_wallet: Change<String>,
    /// Your own name for the customer.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub customer_reference: Change<String>,
    /// Where the payer goes afterwards.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false)]
    pub redirect_url: Change<String>,
    /// All your notes from now on.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    pub metadata: Change<BTreeMap<String, String>>,
}

impl RecurringPaymentChangeBody {
    /// What it says, in the domain's words. The price stays in its currency.
    pub fn read(self, environment: Environment, asset: Asset) -> Result<RecurringPaymentChange, Failure> {
        let mut faults = Faults::new();
        let body = self;
        let amount = body.amount.required("/amount", &mut faults);
        let notes = body.metadata.required("/metadata", &mut faults);
        let change = RecurringPaymentChange {
            amount: amount.and_then(|amount| price("/amount", &amount, asset, &mut faults)),
            name: change_text!(body, faults, name),
            customer_name: change_text!(body, faults, customer_name),
            customer_email: change_text!(body, faults, customer_email),
            customer_wallet: change_text!(body, faults, customer_wallet),
            customer_reference: change_text!(body, faults, customer_reference),
            redirect_url: change_url!(body, faults, environment, redirect_url),
            metadata: notes.and_then(|entries| read_metadata(entries, &mut faults)),
            with_pdf: None,
        };
        faults.finish()?;
        Ok(change)
    }
}
