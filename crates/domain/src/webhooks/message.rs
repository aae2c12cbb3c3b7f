//! What a message says, in each dialect.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::environment::Environment;
use crate::events::EventType;
use crate::ids::{BusinessId, EventId};
use crate::networks::{ChainId, ShortName};
use crate::payments::{PaymentEvent, Verdict};
use crate::time::Timestamp;

use super::{Dialect, MilestonEvent};

/// An event as a message tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Announcement<'a> {
    /// Its id, which is the message's too: a repeated message is known by it.
    pub id: EventId,
    /// What happened.
    pub kind: &'a str,
    /// When.
    pub at: Timestamp,
    /// To which business.
    pub business: &'a BusinessId,
    /// In which environment; none where the whole business is meant.
    pub environment: Option<Environment>,
    /// The particulars.
    pub data: &'a Value,
}

/// The body of a standard message. Its members stand in this order.
#[derive(Serialize)]
struct StandardBody<'a> {
    id: EventId,
    r#type: &'a str,
    timestamp: Timestamp,
    business_id: &'a BusinessId,
    environment: Option<Environment>,
    data: &'a Value,
}

/// The body of a message in Mileston's dialect.
#[derive(Serialize)]
struct MilestonBody<'a> {
    event: &'a str,
    payload: MilestonPayload<'a>,
}

/// What the clients of Mileston call `SavePaymentInput`, with what became of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MilestonPayload<'a> {
    payment_link_id: &'a str,
    payer: Option<&'a str>,
    recipient_wallet_address: Option<&'a str>,
    amount: &'a str,
    #[serde(rename = "userUUID")]
    user_uuid: &'a str,
    transaction_signature: Option<&'a str>,
    fee_signature: Option<&'a str>,
    chain: Option<String>,
    env: &'static str,
    status: &'static str,
    created_at: String,
}

/// The parts of a payment's event that Mileston's dialect repeats.
#[derive(Deserialize)]
struct PaymentData<'a> {
    #[serde(borrow)]
    payment: Payment<'a>,
    /// Where somebody decided about it.
    decision: Option<Decision>,
}

#[derive(Deserialize)]
struct Decision {
    verdict: Verdict,
}

#[derive(Deserialize)]
struct Payment<'a> {
    #[serde(borrow)]
    payable: Payable<'a>,
    amount: &'a str,
    network: Option<&'a str>,
    address: Option<&'a str>,
    payer: Option<&'a str>,
    transaction_hash: Option<&'a str>,
}

#[derive(Deserialize)]
struct Payable<'a> {
    r#type: &'a str,
    id: &'a str,
}

impl<'a> Announcement<'a> {
    /// The message's body for an endpoint of this dialect; none where the dialect has no word for it.
    pub fn body(&self, dialect: Dialect) -> Option<String> {
        match dialect {
            Dialect::Standard => Some(self.standard()),
            Dialect::Mileston => self.mileston(),
        }
    }

    fn standard(&self) -> String {
        let body = StandardBody {
            id: self.id,
            r#type: self.kind,
            timestamp: self.at,
            business_id: self.business,
            environment: self.environment,
            data: self.data,
        };
        serde_json::to_string(&body).expect("texts and a JSON value are JSON")
    }

    /// Which of Mileston's events this is: they know of nothing but things that were paid.
    pub fn mileston_event(&self) -> Option<MilestonEvent> {
        self.paid().map(|(event, _)| event)
    }

    fn paid(&self) -> Option<(MilestonEvent, Payment<'a>)> {
        let resolved = self.kind == PaymentEvent::Resolved.as_str();
        if !resolved && self.kind != PaymentEvent::Succeeded.as_str() {
            return None;
        }
        let PaymentData { payment, decision } = PaymentData::deserialize(self.data).ok()?;
        if resolved && decision.is_none_or(|decision| decision.verdict != Verdict::Accept) {
            return None;
        }
        let event = match payment.payable.r#type {
            "payment_link" => MilestonEvent::PaymentLinkPaid,
            "invoice" => MilestonEvent::InvoicePaid,
            "recurring_payment" => MilestonEvent::RecurringPaid,
            _ => return None,
        };
        Some((event, payment))
    }

    fn mileston(&self) -> Option<String> {
        if self.kind == EventType::WebhookTest.as_str() {
            // No name of a paid thing: nobody may ship goods for a test.
            let payload = serde_json::json!({"status": "test", "createdAt": with_millis(self.at)});
            return Some(serde_json::json!({"event": "webhook-test", "payload": payload}).to_string());
        }
        let (event, payment) = self.paid()?;
        let body = MilestonBody {
            event: event.as_str(),
            payload: MilestonPayload {
                payment_link_id: payment.payable.id,
                payer: payment.payer,
                recipient_wallet_address: payment.address,
                amount: payment.amount,
                user_uuid: self.business.as_str(),
                transaction_signature: payment.transaction_hash,
                fee_signature: payment.transaction_hash,
                chain: payment.network.map(chain_name),
                env: match self.environment? {
                    Environment::Test => "test",
                    Environment::Live => "prod",
                },
                status: "paid",
                created_at: with_millis(self.at),
            },
        };
        Some(serde_json::to_string(&body).expect("texts are JSON"))
    }
}

/// The short name of a network, or its own where Mileston has none.
fn chain_name(network: &str) -> String {
    let chain = network.parse::<ChainId>().ok();
    let short = chain.and_then(|chain| ShortName::of(&chain).or_else(|| ShortName::of_public_test(&chain)));
    short.map_or_else(|| network.to_owned(), |name| name.as_str().to_owned())
}

/// As JavaScript writes an instant: always with milliseconds.
fn with_millis(at: Timestamp) -> String {
    let whole = at.truncated_to_second().to_string();
    let millis = at.as_micros().rem_euclid(1_000_000) / 1_000;
    format!("{}.{millis:03}Z", whole.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::webhooks::{Subscription, WebhookEvent};

    const BUSINESS: &str = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77";

    fn paid(payable: &str) -> Value {
        json!({
            "payment": {
                "id": "pay_01k3v5m8c2q7x9r4t6w8y0a1b3", "status": "settled", "exception": "none",
                "payable": {"type": payable, "id": "plink_01k3v5m8c2q7x9r4t6w8y0a1b3"},
                "amount": "12.50", "amount_seen": "12.50", "amount_settled": "12.50", "currency": "USDC",
                "network": "test:base", "asset": "test:base/erc20:usdc", "address": "test_abc", "payer": "test_payer",
                "transaction_hash": "0xabc", "environment": "test", "metadata": {},
                "created_at": "2026-01-31T12:00:00Z", "settled_at": "2026-01-31T12:01:00Z",
            },
            "previous": {"status": "processing", "exception": "none"},
        })
    }

    fn told<R>(kind: &str, data: &Value, check: impl FnOnce(&Announcement<'_>) -> R) -> R {
        let business: BusinessId = BUSINESS.parse().expect("an id");
        check(&Announcement {
            id: EventId::from_bits(1),
            kind,
            at: "2026-01-31T12:01:00.042Z".parse().expect("an instant"),
            business: &business,
            environment: Some(Environment::Test),
            data,
        })
    }

    #[test]
    fn the_standard_body_has_its_members_in_order() {
        let data = json!({"a": 1});
        let body = told("key.created", &data, |event| event.body(Dialect::Standard)).expect("a body");
        let expected = format!(
            "{{\"id\":\"evt_00000000000000000000000001\",\"type\":\"key.created\",\
             \"timestamp\":\"2026-01-31T12:01:00.042Z\",\"business_id\":\"{BUSINESS}\",\"environment\":\"test\",\
             \"data\":{{\"a\":1}}}}"
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn milestons_body_repeats_what_was_paid() {
        for (payable, event) in
            [("payment_link", "paymentlink-paid"), ("invoice", "invoice-paid"), ("recurring_payment", "recurring-paid")]
        {
            let data = paid(payable);
            let body = told("payment.succeeded", &data, |event| event.body(Dialect::Mileston)).expect("a body");
            let body: Value = serde_json::from_str(&body).expect("JSON");
            let expected = json!({
                "event": event,
                "payload": {
                    "paymentLinkId": "plink_01k3v5m8c2q7x9r4t6w8y0a1b3", "payer": "test_payer",
                    "recipientWalletAddress": "test_abc", "amount": "12.50", "userUUID": BUSINESS,
                    "transactionSignature": "0xabc", "feeSignature": "0xabc", "chain": "base", "env": "test",
                    "status": "paid", "createdAt": "2026-01-31T12:01:00.042Z",
                },
            });
            assert_eq!(body, expected);
        }
        let data = paid("payment_link");
        assert_eq!(told("payment.processing", &data, |event| event.body(Dialect::Mileston)), None);
        assert_eq!(told("payment.succeeded", &json!({}), |event| event.body(Dialect::Mileston)), None);
        // What somebody takes for good enough is paid, what they give back is not.
        for (verdict, is_paid) in [(Some("accept"), true), (Some("return"), false), (None, false)] {
            let mut data = paid("invoice");
            if let Some(verdict) = verdict {
                data["decision"] = json!({"verdict": verdict, "reason": "Good enough."});
            }
            let body = told("payment.resolved", &data, |event| event.body(Dialect::Mileston));
            assert_eq!(body.is_some_and(|body| body.contains("invoice-paid")), is_paid, "{verdict:?}");
        }
        let test = told("webhook.test", &json!({}), |event| event.body(Dialect::Mileston)).expect("a body");
        assert!(test.contains("\"webhook-test\"") && !test.contains("paid"), "{test}");
    }

    #[test]
    fn who_wants_what() {
        let data = paid("invoice");
        for (dialect, names, kind, wanted) in [
            (Dialect::Standard, &[][..], "key.created", true),
            (Dialect::Standard, &[], "payment.succeeded", true),
            (Dialect::Standard, &[], "webhook.test", false),
            (Dialect::Standard, &["payment.succeeded"], "key.created", false),
            (Dialect::Standard, &["payment.succeeded"], "payment.succeeded", true),
            (Dialect::Mileston, &[], "payment.succeeded", true),
            (Dialect::Mileston, &[], "payment.expired", false),
            (Dialect::Mileston, &["paymentlink-paid"], "payment.succeeded", false),
            (Dialect::Mileston, &["invoice-paid"], "payment.succeeded", true),
        ] {
            let subscription = Subscription::parse(dialect, names).expect("known names");
            assert_eq!(told(kind, &data, |event| subscription.wants(event)), wanted, "{dialect} {names:?} {kind}");
            assert_eq!(subscription.names(), names);
        }
        assert_eq!(Subscription::parse(Dialect::Standard, &["key.created", "x"]).map_err(|error| error.index), Err(1));
        assert!(Subscription::parse(Dialect::Mileston, &["payment.succeeded"]).is_err());
        assert!(Subscription::parse(Dialect::Standard, &["webhook.test"]).is_err());
        assert!(WebhookEvent::all().all(|event| event.as_str().parse() == Ok(event)));
    }
}
