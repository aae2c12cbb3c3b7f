//! What is to be paid: payment links, invoices, recurring payments.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::ids::{InvoiceId, PaymentLinkId, RecurringPaymentId};
use crate::money::{InvalidSum, Money};
use crate::text::{text_enum, text_type};
use crate::time::Timestamp;

text_type!(
    /// What a payment link, an invoice or a subscription is called to its payer.
    Title,
    200
);
text_type!(
    /// What a payment link says beside its title.
    Description,
    1000
);
text_type!(
    /// The merchant's own name for a customer.
    CustomerReference,
    100
);
text_type!(
    /// What a customer is called.
    CustomerName,
    200
);
text_type!(
    /// Why somebody decided something.
    Reason,
    500
);

/// The most characters of a web address.
const MAX_URL: usize = 2048;
/// The most lines of an invoice.
pub const MAX_LINES: usize = 100;

/// An address of a page or a picture elsewhere, in printable ASCII: HTTPS, and in TEST plain HTTP on this machine too.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct WebUrl(String);

/// A text that is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an https:// address of at most 2048 ASCII characters without user name (in TEST, http://localhost and \
     http://127.0.0.1 are good too)"
)]
pub struct InvalidUrl;

impl WebUrl {
    /// Reads an address as it may stand in this environment.
    pub fn parse(text: &str, environment: Environment) -> Result<Self, InvalidUrl> {
        let address = Self::in_form(text, environment)?;
        let url = url::Url::parse(text).map_err(|_| InvalidUrl)?;
        match url.host() {
            Some(url::Host::Domain(name)) if is_name(name) => Ok(address),
            Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => Ok(address),
            Some(url::Host::Domain(_)) | None => Err(InvalidUrl),
        }
    }

    /// The rules that every address was held to that is stored anywhere; hosts that no browser finds pass them.
    fn in_form(text: &str, environment: Environment) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUrl)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                port.parse::<u16>().map_err(|_| InvalidUrl)?;
                host
            }
            _ => authority,
        };
        let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let good_scheme = scheme == "https" || (scheme == "http" && local && environment == Environment::Test);
        let good_host = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'[' | b']' | b':'));
        let plain = text.len() <= MAX_URL
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'`'));
        if good_scheme && good_host && plain { Ok(Self(text.to_owned())) } else { Err(InvalidUrl) }
    }

    /// The address as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebUrl {
    type Err = InvalidUrl;

    /// Reads an address that was accepted before, in whichever environment.
    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        Self::in_form(text, Environment::Test)
    }
}

/// Whether a host can be looked up: labels of RFC 1123 section 2.1, with or without the point of the root behind them.
fn is_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    host.len() <= 253 && host.split('.').all(is_label)
}

impl fmt::Display for WebUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

text_enum! {
    /// What kind of thing is to be paid.
    PayableKind {
        /// A payment link.
        PaymentLink = "payment_link",
        /// An invoice.
        Invoice = "invoice",
        /// A recurring payment: the latest period that was made.
        RecurringPayment = "recurring_payment",
    }
}

/// What is to be paid, as a payer or a shop names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayableId {
    /// A payment link.
    PaymentLink(PaymentLinkId),
    /// An invoice.
    Invoice(InvoiceId),
    /// A recurring payment.
    RecurringPayment(RecurringPaymentId),
}

/// A text that names nothing that could be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the id of a payment link (plink_), an invoice (inv_) or a recurring payment (rec_)")]
pub struct InvalidPayableId;

impl PayableId {
    /// What kind of thing it is.
    pub const fn kind(self) -> PayableKind {
        match self {
            Self::PaymentLink(_) => PayableKind::PaymentLink,
            Self::Invoice(_) => PayableKind::Invoice,
            Self::RecurringPayment(_) => PayableKind::RecurringPayment,
        }
    }
}

impl FromStr for PayableId {
    type Err = InvalidPayableId;

    fn from_str(text: &str) -> Result<Self, InvalidPayableId> {
        let id = match text.split('_').next() {
            Some("plink") => text.parse().map(Self::PaymentLink),
            Some("inv") => text.parse().map(Self::Invoice),
            Some("rec") => text.parse().map(Self::RecurringPayment),
            _ => return Err(InvalidPayableId),
        };
        id.map_err(|_| InvalidPayableId)
    }
}

impl fmt::Display for PayableId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PaymentLink(id) => id.fmt(formatter),
            Self::Invoice(id) => id.fmt(formatter),
            Self::RecurringPayment(id) => id.fmt(formatter),
        }
    }
}

text_enum! {
    /// Where a payment link stands.
    PaymentLinkStatus {
        /// It can be paid.
        Active = "active",
        /// It is switched off.
        Inactive = "inactive",
        /// It could be paid once, and was.
        Paid = "paid",
    }
}

text_enum! {
    /// Where an invoice stands.
    InvoiceStatus {
        /// It can be paid, and is not due yet.
        Pending = "pending",
        /// It is paid.
        Paid = "paid",
        /// It can be paid, and its due date has passed.
        PastDue = "past_due",
        /// It was called off.
        Void = "void",
    }
}

text_enum! {
    /// What a merchant has a recurring payment do.
    RecurringState {
        /// Periods are made as they fall due.
        Active = "active",
        /// No period is made until it goes on.
        Paused = "paused",
        /// No period is made any more.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Where a recurring payment stands.
    RecurringStatus {
        /// Periods are made, and every one that is due was paid.
        Active = "active",
        /// A period is due and was not paid.
        PastDue = "past_due",
        /// No period is made until it goes on.
        Paused = "paused",
        /// No period is made any more.
        Cancelled = "cancelled",
    }
}

/// When an invoice was made what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvoiceLife {
    /// The instant from which it is past due.
    pub due_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it was called off.
    pub voided_at: Option<Timestamp>,
}

impl InvoiceLife {
    /// Where the invoice stands at an instant. Paid counts, whatever else happened to it.
    pub fn status_at(self, now: Timestamp) -> InvoiceStatus {
        match self {
            Self { paid_at: Some(_), .. } => InvoiceStatus::Paid,
            Self { voided_at: Some(_), .. } => InvoiceStatus::Void,
            Self { due_at, .. } if due_at <= now => InvoiceStatus::PastDue,
            Self { .. } => InvoiceStatus::Pending,
        }
    }
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceLine {
    /// What is billed.
    pub description: Title,
    /// How many, from 1.
    pub quantity: u32,
    /// The base units of one.
    pub unit_amount: i64,
}

impl InvoiceLine {
    /// The price of the line.
    ///
    /// # Errors
    /// [`InvalidSum::Range`] beyond 64 bits.
    pub fn amount(&self) -> Result<i64, InvalidSum> {
        self.unit_amount.checked_mul(i64::from(self.quantity)).ok_or(InvalidSum::Range)
    }
}

/// The sum of lines, which have the asset of `zero`.
///
/// # Errors
/// [`InvalidSum::Range`] beyond 64 bits.
pub fn sum_of(lines: &[InvoiceLine], zero: Money) -> Result<Money, InvalidSum> {
    lines.iter().try_fold(zero, |sum, line| sum.checked_add(Money::from_units(line.amount()?, zero.asset())?))
}

/// Where a recurring payment stands; `overdue` is whether any of its periods, and not only the latest, is past due.
pub const fn recurring_status(state: RecurringState, overdue: bool) -> RecurringStatus {
    match (state, overdue) {
        (RecurringState::Cancelled, _) => RecurringStatus::Cancelled,
        (RecurringState::Paused, _) => RecurringStatus::Paused,
        (RecurringState::Active, true) => RecurringStatus::PastDue,
        (RecurringState::Active, false) => RecurringStatus::Active,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Asset;

    #[test]
    fn web_addresses_are_https_or_local_in_test() {
        for good in [
            "https://shop.example/thanks?order=1#top",
            "https://shop.example:8443/",
            "https://shop.example.",
            "https://[2001:db8::1]/x",
            "https://192.0.2.1/",
            "https://xn--shp-sna.example/",
            "https://Shop-2.example/",
        ] {
            assert!(WebUrl::parse(good, Environment::Live).is_ok(), "{good}");
        }
        for local in ["http://localhost:3000/done", "http://127.0.0.1/", "http://[::1]:8080/"] {
            assert!(WebUrl::parse(local, Environment::Test).is_ok(), "{local}");
            assert_eq!(WebUrl::parse(local, Environment::Live), Err(InvalidUrl), "{local}");
        }
        let long = format!("https://shop.example/{}", "a".repeat(2048));
        for bad in [
            "",
            "shop.example",
            "https://",
            "https:///x",
            "http://shop.example/",
            "http://localhost.shop.example/",
            "javascript://localhost/%0aalert(1)",
            "data:text/html,x",
            "https://user@shop.example/",
            "https://shop.example:99999/",
            "https://shop.example/a b",
            "https://shop.example/\"onload=",
            "https://shöp.example/",
            "https://shop.example/\n",
            &long,
        ] {
            assert_eq!(WebUrl::parse(bad, Environment::Test), Err(InvalidUrl), "{bad}");
        }
    }

    #[test]
    fn a_host_that_no_browser_opens_is_refused_and_read_where_it_was_stored() {
        let long = format!("https://{}.example/", "a".repeat(64));
        for bad in [
            "https://[/",
            "https://[::1",
            "https://[::1]x/",
            "https://a..b/",
            "https://.example/",
            "https://-/",
            "https://-shop.example/",
            "https://shop-.example/",
            "https://1.2.3.4.5/",
            "https://shop.example.1/",
            "https://a:b:443/",
            &long,
        ] {
            assert_eq!(WebUrl::parse(bad, Environment::Test), Err(InvalidUrl), "{bad}");
        }
        assert_eq!("https://a..b/".parse::<WebUrl>().expect("was accepted once").as_str(), "https://a..b/");
    }

    #[test]
    fn payables_are_told_apart_by_their_prefix() {
        for text in
            ["plink_01k3v5m8c2q7x9r4t6w8y0a1b3", "inv_01k3v5m8c2q7x9r4t6w8y0a1b3", "rec_01k3v5m8c2q7x9r4t6w8y0a1b3"]
        {
            assert_eq!(text.parse::<PayableId>().expect(text).to_string(), text);
        }
        for bad in ["", "plink_", "key_01k3v5m8c2q7x9r4t6w8y0a1b3", "inv01k3v5m8c2q7x9r4t6w8y0a1b3"] {
            assert_eq!(bad.parse::<PayableId>(), Err(InvalidPayableId), "{bad}");
        }
    }

    #[test]
    fn lines_add_up_or_are_refused() {
        let line = |quantity, unit_amount| InvoiceLine {
            description: "Workshop".parse().expect("a title"),
            quantity,
            unit_amount,
        };
        let zero = Money::zero(Asset::USDC);
        let sum = sum_of(&[line(3, 1_500_000), line(1, 1)], zero).map(Money::units);
        assert_eq!(sum, Ok(4_500_001));
        assert_eq!(sum_of(&[line(2, i64::MAX)], zero), Err(InvalidSum::Range));
        assert_eq!(sum_of(&[line(1, i64::MAX), line(1, 1)], zero), Err(InvalidSum::Range));
        assert_eq!(sum_of(&[], zero), Ok(zero));
    }

    #[test]
    fn an_invoice_is_past_due_from_its_due_date_on() {
        let at = |seconds: i64| Timestamp::from_micros(1_767_225_600_000_000 + seconds * 1_000_000).expect("in range");
        let open = InvoiceLife { due_at: at(10), paid_at: None, voided_at: None };
        assert_eq!(open.status_at(at(9)), InvoiceStatus::Pending);
        assert_eq!(open.status_at(at(10)), InvoiceStatus::PastDue);
        let void = InvoiceLife { voided_at: Some(at(1)), ..open };
        assert_eq!(void.status_at(at(20)), InvoiceStatus::Void);
        assert_eq!(InvoiceLife { paid_at: Some(at(2)), ..void }.status_at(at(20)), InvoiceStatus::Paid);
    }

    #[test]
    fn only_an_active_recurring_payment_is_past_due() {
        for (state, overdue, status) in [
            (RecurringState::Active, false, RecurringStatus::Active),
            (RecurringState::Active, true, RecurringStatus::PastDue),
            (RecurringState::Paused, true, RecurringStatus::Paused),
            (RecurringState::Cancelled, true, RecurringStatus::Cancelled),
        ] {
            assert_eq!(recurring_status(state, overdue), status);
        }
    }
}
