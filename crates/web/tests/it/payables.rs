//! What is to be paid over the API, where it is not its payments that matter.

use serde_json::{Value, json};
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::Client;

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// The backend of a business in TEST.
async fn backend(app: &TestApp) -> (Business, Client) {
    let business = app.business("mileston").await;
    let client = app.key(business.id(), business.value("test", "secret"));
    (business, client)
}

/// A payment for something.
async fn start(backend: &Client, payable: &Value) -> Value {
    backend.post("/v1/checkout/payments", &json!({"payable": payable["id"]})).await.expect(201)
}

/// What becomes of a payment.
async fn play(backend: &Client, payment: &Value, scenario: &str) -> Value {
    let path = format!("/v1/test/payments/{}/scenario", text(payment, "id"));
    backend.post(&path, &json!({"scenario": scenario})).await.expect(200)
}

async fn advance_to(backend: &Client, to: &str) {
    backend.post("/v1/test/clock", &json!({"to": to})).await.expect(200);
}

#[tokio::test]
async fn a_recurring_payment_is_past_due_while_any_of_its_periods_is() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = backend(&app).await;
        let draft = json!({"amount": "9", "anchor": "2026-03-01T09:00:00Z", "interval": {"unit": "months", "count": 1}});
        let recurring = backend.post("/v1/recurring_payments", &draft).await.expect(201);
        let path = format!("/v1/recurring_payments/{}", text(&recurring, "id"));
        let status = async || text(&backend.get(&path).await.expect(200), "status").to_owned();
        assert_eq!(status().await, "active");
        advance_to(&backend, "2026-03-02T09:00:00Z").await;
        assert_eq!(status().await, "past_due");
        advance_to(&backend, "2026-04-01T10:00:00Z").await;
        assert_eq!(status().await, "past_due", "a new period forgives no earlier one");
        play(&backend, &start(&backend, &recurring).await, "paid").await;
        assert_eq!(status().await, "past_due");
        play(&backend, &start(&backend, &recurring["latest_invoice"]).await, "paid").await;
        assert_eq!(status().await, "active");
        // What is called off or deleted is owed by nobody.
        advance_to(&backend, "2026-06-02T09:00:00Z").await;
        assert_eq!(status().await, "past_due");
        let periods = format!("/v1/invoices?status=past_due&recurring_payment_id={}", text(&recurring, "id"));
        let owed = backend.get(&periods).await.expect(200);
        let [one, other] = owed["data"].as_array().expect("a list").as_slice() else { panic!("{owed}") };
        backend.post_empty(&format!("/v1/invoices/{}/void", text(one, "id"))).await.expect(200);
        assert_eq!(status().await, "past_due");
        backend.delete(&format!("/v1/invoices/{}", text(other, "id"))).await.expect(200);
        assert_eq!(status().await, "active");
    }
}
