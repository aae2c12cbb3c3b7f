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

/// A recurring payment of every month.
async fn monthly(backend: &Client) -> Value {
    let draft = json!({"amount": "9", "anchor": "2026-03-01T09:00:00Z", "interval": {"unit": "months", "count": 1}});
    backend.post("/v1/recurring_payments", &draft).await.expect(201)
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
        let recurring = monthly(&backend).await;
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

#[tokio::test]
async fn what_is_paid_once_has_one_payment_on_its_way() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = backend(&app).await;
        let once = json!({"amount": "1", "single_use": true});
        let once = backend.post("/v1/payment_links", &once).await.expect(201);
        let invoice = json!({"title": "Workshop", "amount": "5", "due_at": "2026-03-01T00:00:00Z"});
        let invoice = backend.post("/v1/invoices", &invoice).await.expect(201);
        let often = backend.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        for (payable, is_once) in [(once, true), (invoice, true), (often, false)] {
            let first = start(&backend, &payable).await;
            start(&backend, &payable).await;
            play(&backend, &first, "slow").await;
            let shown = backend.get(&format!("/v1/checkout/payables/{}", text(&payable, "id"))).await.expect(200);
            let again = backend.post("/v1/checkout/payments", &json!({"payable": payable["id"]})).await;
            if is_once {
                assert_eq!((&shown["payable"], text(&shown, "reason")), (&json!(false), "processing"));
                let problem = again.expect(409);
                assert_eq!(text(&problem, "code"), "not_payable");
                assert!(text(&problem, "detail").contains("being confirmed"), "{problem}");
            } else {
                assert_eq!(shown["payable"], json!(true));
                again.expect(201);
            }
            // What the network takes back is open for others.
            backend.post("/v1/test/reorganisations", &json!({"depth": 1, "reinclude": false})).await.expect(200);
            start(&backend, &payable).await;
        }
    }
}

#[tokio::test]
async fn a_repeated_pause_undoes_nothing_that_came_after_it() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = backend(&app).await;
        let recurring = monthly(&backend).await;
        let path = format!("/v1/recurring_payments/{}", text(&recurring, "id"));
        let once = |key: &'static str| backend.clone().with("idempotency-key", key);
        // It is active, so there is nothing to resume: that is an answer too.
        let nothing = once("r0").post_empty(&format!("{path}/resume")).await.expect(200);
        let paused = once("p").post_empty(&format!("{path}/pause")).await.expect(200);
        assert_eq!((text(&nothing, "status"), text(&paused, "status")), ("active", "paused"));
        assert_eq!(once("r0").post_empty(&format!("{path}/resume")).await.expect(200), nothing);
        assert_eq!(text(&backend.get(&path).await.expect(200), "status"), "paused");
        let resumed = once("r").post_empty(&format!("{path}/resume")).await.expect(200);
        assert_eq!(once("p").post_empty(&format!("{path}/pause")).await.expect(200), paused, "the same answer");
        assert_eq!(backend.get(&path).await.expect(200), resumed, "and nothing is done");
        once("p").post_empty(&format!("{path}/cancel")).await.expect(422);
        backend.post_empty(&format!("{path}/pause")).await.expect(200);
        assert_eq!(once("r").post_empty(&format!("{path}/resume")).await.expect(200), resumed);
        assert_eq!(text(&backend.get(&path).await.expect(200), "status"), "paused");
    }
}

#[tokio::test]
async fn a_new_title_is_on_the_line_that_was_made_of_the_old_one() {
    for app in TestApp::on_every_engine().await {
        let (business, backend) = backend(&app).await;
        let make = async |more: Value| {
            let mut draft = json!({"title": "Old title", "due_at": "2026-03-01T00:00:00Z"});
            draft.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            backend.post("/v1/invoices", &draft).await.expect(201)
        };
        let rename = async |invoice: &Value| {
            let path = format!("/v1/invoices/{}", text(invoice, "id"));
            let changed = backend.patch(&path, &json!({"title": "New title"})).await.expect(200);
            assert_eq!(text(&changed, "title"), "New title");
            changed
        };
        let whole = rename(&make(json!({"amount": "5"})).await).await;
        assert_eq!((text(&whole["lines"][0], "description"), text(&whole, "amount")), ("New title", "5.00"));
        let line = |description: &str, quantity: u32| json!({"description": description, "quantity": quantity, "unit_amount": "5"});
        for lines in [
            json!([line("Old title", 2)]),
            json!([line("Another", 1)]),
            json!([line("Old title", 1), line("Another", 1)]),
        ] {
            let invoice = make(json!({"lines": lines})).await;
            assert_eq!(rename(&invoice).await["lines"], invoice["lines"], "what somebody wrote");
        }
        // Mileston's clients have a name for the item, and no lines.
        let draft = json!({"itemName": "Old title", "amount": "5", "customerEmail": "a@customer.example", "dueDate": "2026-03-01T00:00:00Z"});
        let mileston = app.key(business.id(), business.value("test", "secret"));
        let billed = mileston.post("/invoice/create", &draft).await.expect(201);
        let id = text(&billed["invoiceData"], "invoiceId").to_owned();
        mileston.patch("/invoice/update", &json!({"invoiceId": id, "itemName": "New title"})).await.expect(200);
        let invoice = backend.get(&format!("/v1/invoices/{id}")).await.expect(200);
        assert_eq!(text(&invoice["lines"][0], "description"), "New title");
    }
}

#[tokio::test]
async fn a_repeated_start_is_answered_though_what_was_to_be_paid_is_gone() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = backend(&app).await;
        let link = backend.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        let once = backend.clone().with("idempotency-key", "k");
        let asked = json!({"payable": link["id"]});
        let started = once.post("/v1/checkout/payments", &asked).await.expect(201);
        backend.delete(&format!("/v1/payment_links/{}", text(&link, "id"))).await.expect(200);
        assert_eq!(once.post("/v1/checkout/payments", &asked).await.expect(201), started);
        let other = json!({"payable": link["id"], "network": "bitcoin"});
        let reused = once.post("/v1/checkout/payments", &other).await.expect(422);
        assert_eq!(text(&reused, "code"), "idempotency_key_reused");
        backend.post("/v1/checkout/payments", &asked).await.expect(404);
    }
}

#[tokio::test]
async fn a_late_transfer_comes_to_a_payment_that_is_long_over() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = backend(&app).await;
        let link = backend.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        let payment = start(&backend, &link).await;
        advance_to(&backend, "2026-02-15T12:00:00Z").await;
        let late = play(&backend, &payment, "late").await;
        assert_eq!((text(&late, "status"), text(&late, "exception")), ("settled", "late"));
    }
}

#[tokio::test]
async fn an_address_that_no_browser_opens_is_no_way_back() {
    let app = TestApp::on_every_engine().await.remove(0);
    let (_, backend) = backend(&app).await;
    for host in ["[", "[::1", "a..b", "-", "1.2.3.4.5"] {
        let draft = json!({"amount": "1", "redirect_url": format!("https://{host}/")});
        let problem = backend.post("/v1/payment_links", &draft).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], json!("/redirect_url"), "{host}: {problem}");
    }
}
