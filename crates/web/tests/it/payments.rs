//! Payments over the API: from a payment link to "paid", and every other way that it can go.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, Request};
use serde_json::{Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_service::Context;
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{Business, TestApp, base_out_of_reach};
use trousseau_testkit::browser::Browser;
use trousseau_testkit::client::Client;
use trousseau_web::connection::Peer;

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// A business in TEST: its backend, and a page with its checkout key.
struct Shop {
    backend: Client,
    page: Client,
}

impl Shop {
    fn of(app: &TestApp, business: &Business) -> Self {
        let origin = "https://shop.example";
        Self {
            backend: app.key(business.id(), business.value("test", "secret")),
            page: app.key(business.id(), business.value("test", "checkout")).with("origin", origin),
        }
    }

    async fn link(&self, amount: &str) -> Value {
        self.backend.post("/v1/payment_links", &json!({"amount": amount, "title": "Café"})).await.expect(201)
    }

    /// A payment for something, started by the page.
    async fn start(&self, payable: &Value) -> Value {
        self.page.post("/v1/checkout/payments", &json!({"payable": payable["id"]})).await.expect(201)
    }

    async fn payment(&self, id: &str) -> Value {
        self.backend.get(&format!("/v1/payments/{id}")).await.expect(200)
    }

    async fn send(&self, payment: &Value, amount: &str) -> Value {
        let body = json!({"address": payment["address"], "amount": amount});
        self.backend.post("/v1/test/transfers", &body).await.expect(200)
    }

    async fn mine(&self, count: u32) -> Value {
        self.backend.post("/v1/test/blocks", &json!({"count": count})).await.expect(200)
    }

    /// What happened to something, the oldest first.
    async fn told(&self, id: &str) -> Vec<String> {
        let events = self.backend.get(&format!("/v1/events?limit=100&subject={id}")).await.expect(200);
        let mut types: Vec<_> =
            events["data"].as_array().expect("a list").iter().map(|event| text(event, "type").to_owned()).collect();
        types.reverse();
        types
    }
}

async fn shop(app: &TestApp) -> Shop {
    Shop::of(app, &app.business("mileston").await)
}

#[tokio::test]
async fn a_payment_link_is_paid_once_three_blocks_confirm_it() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        let link = shop.link("12.5").await;
        assert_eq!(
            (text(&link, "amount"), text(&link, "currency"), text(&link, "status")),
            ("12.50", "USDC", "active")
        );
        assert_eq!(text(&link, "url"), format!("http://localhost:8080/pay/payment-link/{}", text(&link, "id")));
        let shown = shop.page.get(&format!("/v1/checkout/payables/{}", text(&link, "id"))).await.expect(200);
        assert_eq!((text(&shown, "business_name"), &shown["payable"]), ("Atelier Lumière", &json!(true)));

        let started = shop.start(&link).await;
        let id = text(&started, "id");
        assert!(text(&started, "address").starts_with("test_"), "{started}");
        assert_eq!((text(&started, "status"), text(&started, "network")), ("open", "test:base"));
        assert_eq!(text(&started, "expires_at"), "2026-01-31T13:00:00Z");
        shop.send(&started, "12.50").await;
        assert_eq!(text(&shop.payment(id).await, "status"), "open", "what no block holds is not there");
        for (blocks, status, confirmations) in
            [(1, "processing", json!(1)), (1, "processing", json!(2)), (1, "settled", Value::Null)]
        {
            shop.mine(blocks).await;
            let seen = shop.page.get(&format!("/v1/checkout/payments/{id}")).await.expect(200);
            assert_eq!((text(&seen, "status"), &seen["confirmations"]), (status, &confirmations), "{seen}");
        }
        let paid = shop.payment(id).await;
        assert_eq!((text(&paid, "amount_settled"), text(&paid, "amount_remaining")), ("12.50", "0.00"));
        assert_eq!((text(&paid, "exception"), text(&paid, "payer")), ("none", "test_payer"));
        assert_eq!(shop.told(id).await, ["payment.created", "payment.processing", "payment.succeeded"]);
        let link = shop.backend.get(&format!("/v1/payment_links/{}", text(&link, "id"))).await.expect(200);
        assert_eq!((&link["paid_by"], text(&link, "status")), (&paid["id"], "active"), "it is reusable");

        // The token of the address reads this one payment, without a key.
        let url = text(&started, "status_url").strip_prefix("http://localhost:8080").expect("our address");
        let by_token = app.anonymous().get(url).await.expect(200);
        assert_eq!((&by_token["paid"], &by_token["id"]), (&json!(true), &paid["id"]));
        let other = shop.start(&link).await;
        let token = url.split_once("token=").expect("a token").1;
        for wrong in
            [format!("/v1/checkout/payments/{}/status?token={token}", text(&other, "id")), url.replace(token, "pst_x")]
        {
            app.anonymous().get(&wrong).await.expect(404);
        }
        let data = &shop.backend.get(&format!("/v1/events?subject={id}")).await.expect(200)["data"][0]["data"];
        assert_eq!(data["payment"]["payable"], json!({"type": "payment_link", "id": link["id"]}));
        assert_eq!(data["previous"], json!({"status": "processing", "exception": "none"}));
    }
}

#[tokio::test]
async fn what_the_test_ledger_refuses_is_pointed_at() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        for (path, body, pointer) in [
            ("blocks", json!({"count": 0}), "/count"),
            ("blocks", json!({"count": 1_001}), "/count"),
            ("duplicates", json!({"count": 0}), "/count"),
            ("duplicates", json!({"count": 1_001}), "/count"),
            // A NUL is no text to PostgreSQL.
            ("transfers", json!({"address": "a\u{0}b", "amount": "1"}), "/address"),
        ] {
            let refused = shop.backend.post(&format!("/v1/test/{path}"), &body).await.expect(422);
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{path} {body}: {refused}");
        }
        for subject in ["%00", "pay_%00", ""] {
            let refused = shop.backend.get(&format!("/v1/events?subject={subject}")).await.expect(400);
            assert_eq!(refused["errors"][0]["parameter"], "subject", "{refused}");
        }
    }
}

#[tokio::test]
async fn each_scenario_ends_where_it_says() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        for (scenario, status, exception, told) in [
            ("paid", "settled", "none", &["payment.succeeded"][..]),
            ("slow", "processing", "none", &["payment.processing"]),
            ("underpaid", "open", "partial", &["payment.partially_paid"]),
            ("topped_up", "settled", "none", &["payment.succeeded"]),
            ("overpaid", "settled", "overpaid", &["payment.succeeded"]),
            ("wrong_token", "open", "none", &[]),
            ("reverted", "open", "none", &[]),
            ("dropped", "open", "none", &["payment.processing", "payment.reorged"]),
            ("reversed", "reversed", "none", &["payment.succeeded", "payment.reversed"]),
            ("halted", "processing", "none", &["payment.processing"]),
            // Sets the clock forward, so it comes last.
            ("late", "settled", "late", &["payment.expired", "payment.succeeded"]),
        ] {
            let payment = shop.start(&shop.link("0.10").await).await;
            let id = text(&payment, "id");
            let path = format!("/v1/test/payments/{id}/scenario");
            let after = shop.backend.post(&path, &json!({"scenario": scenario})).await.expect(200);
            assert_eq!((text(&after, "status"), text(&after, "exception")), (status, exception), "{scenario}: {after}");
            let expected: Vec<_> = std::iter::once("payment.created").chain(told.iter().copied()).collect();
            assert_eq!(shop.told(id).await, expected, "{scenario}");
            if status == "open" {
                // Whatever came first, the rest pays it.
                let after = shop.backend.post(&path, &json!({"scenario": "topped_up"})).await.expect(200);
                assert_eq!(text(&after, "status"), "settled", "{scenario}: {after}");
            }
        }
        let unmatched = shop.backend.get("/v1/deposits").await.expect(200);
        let [deposit] = unmatched["data"].as_array().expect("a list").as_slice() else { panic!("{unmatched}") };
        assert_eq!((text(deposit, "asset"), text(deposit, "base_units")), ("other", "100000"));
        let path = format!("/v1/deposits/{}/dismiss", text(deposit, "id"));
        shop.backend.post(&path, &json!({"reason": ""})).await.expect(422);
        shop.backend.post(&path, &json!({"reason": "Sent back by hand."})).await.expect(200);
        shop.backend.post(&path, &json!({"reason": "Again."})).await.expect(409);
        assert_eq!(shop.backend.get("/v1/deposits").await.expect(200)["data"], json!([]));
        shop.backend
            .post(&format!("/v1/test/payments/pay_{}/scenario", "0".repeat(26)), &json!({"scenario": "paid"}))
            .await
            .expect(404);
    }
}

#[tokio::test]
async fn the_same_calls_give_the_same_events() {
    let mut runs = Vec::new();
    for app in [TestApp::on_every_engine().await, TestApp::on_every_engine().await].into_iter().flatten() {
        let id = "3f0c8a52-6a0e-4a7e-9f53-0f3f2f1f9a77";
        let body = json!({"name": "Atelier Lumière", "id": id});
        let business = Business(app.platform().post("/v1/businesses", &body).await.expect(201));
        let shop = Shop::of(&app, &business);
        let payment = shop.start(&shop.link("5.00").await).await;
        let mut run = Vec::new();
        for (path, body) in [
            ("transfers", json!({"address": payment["address"], "amount": "2.00"})),
            ("blocks", json!({"count": 2})),
            ("transfers", json!({"address": payment["address"], "amount": "3.00"})),
            ("blocks", json!({"count": 1})),
            ("reorganisations", json!({"depth": 2, "reinclude": false})),
            ("transfers", json!({"address": payment["address"], "amount": "4.00"})),
            ("blocks", json!({"count": 1})),
            ("reorganisations", json!({"depth": 1, "reinclude": true})),
            ("duplicates", json!({"count": 3})),
            ("blocks", json!({"count": 3})),
        ] {
            run.push(shop.backend.post(&format!("/v1/test/{path}"), &body).await.expect(200));
        }
        run.push(json!(shop.told(text(&payment, "id")).await));
        let after = shop.payment(text(&payment, "id")).await;
        run.extend(["status", "exception", "amount_settled", "transaction_hash"].map(|member| after[member].clone()));
        runs.push(run);
    }
    let (first, others) = runs.split_first().expect("runs");
    for other in others {
        assert_eq!(first, other);
    }
}

#[tokio::test]
async fn a_page_cannot_choose_what_is_paid() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let shop = Shop::of(&app, &business);
        let link = shop.link("10.00").await;
        let start = |body: Value| {
            let page = shop.page.clone();
            async move { page.post("/v1/checkout/payments", &body).await }
        };
        for extra in ["amount", "currency", "address", "tolerance", "status"] {
            start(json!({"payable": link["id"], extra: "0.01"})).await.expect(400);
        }
        start(json!({"payable": link["id"], "network": "eip155:1"})).await.expect(201);
        for (network, status) in [("sui", 201), ("test:solana", 201), ("bitcoin", 422), ("", 422)] {
            start(json!({"payable": link["id"], "network": network})).await.expect(status);
        }
        start(json!({"payable": "key_01k3v5m8c2q7x9r4t6w8y0a1b3"})).await.expect(422);
        // LIVE: nothing is watched yet, and nothing of TEST is there.
        let live = app.key(business.id(), business.value("live", "secret"));
        let real = live.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        let answer = live.post("/v1/checkout/payments", &json!({"payable": real["id"]})).await;
        assert_eq!(text(&answer.expect(409), "code"), "network_not_configured");
        live.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(404);
        for (path, body) in [
            ("transfers", json!({"address": "test_x", "amount": "1"})),
            ("blocks", json!({"count": 1})),
            ("clock", json!({"to": "2027-01-01T00:00:00Z"})),
            ("halt", json!({})),
        ] {
            let refused = live.post(&format!("/v1/test/{path}"), &body).await;
            assert_eq!(text(&refused.expect(403), "code"), "test_only", "{path}");
        }
        assert_eq!(text(&live.get("/v1/test/ledger").await.expect(403), "code"), "test_only");
        // A secret key in a page is refused, whatever it asks for.
        let leaked = app.key(business.id(), business.value("test", "secret")).with("origin", "https://shop.example");
        let refused = leaked.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await;
        assert_eq!(text(&refused.expect(403), "code"), "browser_not_allowed");
    }
}

#[tokio::test]
async fn prices_are_read_to_the_base_unit_and_never_guessed() {
    let app = TestApp::on_every_engine().await.remove(0);
    let shop = shop(&app).await;
    for amount in ["0", "-1", "1e3", "1,5", "0.0000001", "9223372036854.775808", "", " 1", "01", "NaN"] {
        let refused = shop.backend.post("/v1/payment_links", &json!({"amount": amount})).await;
        let problem = refused.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], json!("/amount"), "{problem}");
    }
    shop.backend.post("/v1/payment_links", &json!({"amount": 5})).await.expect(400);
    let most = shop.link("9223372036854.775807").await;
    assert_eq!(text(&most, "amount"), "9223372036854.775807");
    // More than can be counted is kept for somebody to look at, and pays nothing.
    let payment = shop.start(&shop.link("1").await).await;
    shop.send(&payment, "92233720368547758080").await;
    shop.mine(3).await;
    assert_eq!(text(&shop.payment(text(&payment, "id")).await, "status"), "open");
    let unmatched = shop.backend.get("/v1/deposits").await.expect(200);
    assert_eq!(text(&unmatched["data"][0], "base_units"), "92233720368547758080000000");
}

#[tokio::test]
async fn payment_links_are_switched_changed_and_deleted() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        let link = shop.link("10.00").await;
        let path = format!("/v1/payment_links/{}", text(&link, "id"));
        let started = shop.start(&link).await;
        let change = json!({"amount": "20.00", "title": null, "metadata": {"order": "7"}, "redirect_url": "http://localhost:3000/done"});
        let changed = shop.backend.patch(&path, &change).await.expect(200);
        assert_eq!((text(&changed, "amount"), &changed["title"]), ("20.00", &Value::Null));
        assert_eq!(text(&shop.payment(text(&started, "id")).await, "amount"), "10.00", "a price is fixed at the start");
        for (bad, status) in [
            (json!({"redirect_url": "http://shop.example"}), 422),
            (json!({"redirect_url": "javascript:alert(1)"}), 422),
            (json!({"amount": null}), 400),
            (json!({"paid_at": "2026-01-01T00:00:00Z"}), 400),
        ] {
            shop.backend.patch(&path, &bad).await.expect(status);
        }
        shop.backend.patch(&path, &json!({"active": false})).await.expect(200);
        let refused = shop.page.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await;
        assert_eq!(text(&refused.expect(409), "code"), "not_payable");
        shop.backend.patch(&path, &json!({"active": true, "single_use": true})).await.expect(200);
        let (first, second) = (shop.start(&link).await, shop.start(&link).await);
        for payment in [&first, &second] {
            shop.send(payment, "20.00").await;
        }
        shop.mine(3).await;
        let paid = shop.backend.get(&path).await.expect(200);
        assert_eq!(text(&paid, "status"), "paid");
        // Both came, one was for nothing: it is settled and says so.
        let mut exceptions = Vec::new();
        for payment in [&first, &second] {
            let payment = shop.payment(text(payment, "id")).await;
            assert_eq!(text(&payment, "status"), "settled");
            exceptions.push(text(&payment, "exception").to_owned());
        }
        exceptions.sort_unstable();
        assert_eq!(exceptions, ["multiple", "none"]);
        shop.page.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(409);
        let deleted = shop.backend.delete(&path).await.expect(200);
        assert!(deleted["deleted_at"].is_string());
        shop.page.get(&format!("/v1/checkout/payables/{}", text(&link, "id"))).await.expect(404);
        assert_eq!(shop.backend.get("/v1/payment_links").await.expect(200)["data"], json!([]));
        shop.backend.patch(&path, &json!({"title": "x"})).await.expect(404);
        let told = shop.told(text(&link, "id")).await;
        assert_eq!(
            (told.first().map(String::as_str), told.last().map(String::as_str)),
            (Some("payment_link.created"), Some("payment_link.deleted"))
        );
        // The same request again is the same link.
        let again = shop.backend.clone().with("idempotency-key", "once");
        let one = again.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        assert_eq!(again.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201), one);
        again.post("/v1/payment_links", &json!({"amount": "2"})).await.expect(422);
        let listed = shop.backend.get("/v1/payment_links?limit=1&q=plink").await.expect(200);
        assert_eq!((&listed["data"][0]["id"], &listed["has_more"]), (&one["id"], &json!(false)));
    }
}

#[tokio::test]
async fn invoices_are_numbered_due_paid_and_called_off() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        let draft = json!({
            "title": "Workshop",
            "lines": [
                {"description": "A day", "quantity": 2, "unit_amount": "150.00"},
                {"description": "Paper", "quantity": 1, "unit_amount": "0.000001"},
            ],
            "due_at": "2026-02-28T23:00:00Z",
            "customer_email": "billing@customer.example",
            "customer_name": "Maison Éclair",
        });
        let invoice = shop.backend.post("/v1/invoices", &draft).await.expect(201);
        assert_eq!((text(&invoice, "amount"), &invoice["number"]), ("300.000001", &json!(1)));
        let path = format!("/v1/invoices/{}", text(&invoice, "id"));
        for bad in [
            json!({"title": "x", "due_at": "2026-02-28T23:00:00Z"}),
            json!({"title": "x", "due_at": "2026-02-28", "amount": "1"}),
            json!({"title": "x", "due_at": "2026-02-28T23:00:00Z", "amount": "1", "lines": []}),
            json!({"title": "x", "due_at": "2026-02-28T23:00:00Z", "lines": []}),
            json!({"title": "", "due_at": "2026-02-28T23:00:00Z", "amount": "1"}),
            json!({"title": "x", "due_at": "2026-02-28T23:00:00Z", "amount": "1", "customer_email": "nobody"}),
            json!({"title": "x", "due_at": "2026-02-28T23:00:00Z", "lines": [{"description": "y", "quantity": 0, "unit_amount": "1"}]}),
        ] {
            shop.backend.post("/v1/invoices", &bad).await.expect(422);
        }
        let payment = shop.start(&invoice).await;
        assert_eq!(payment["expires_at"], Value::Null, "an invoice may be paid at any time");
        shop.backend.post("/v1/test/clock", &json!({"to": "2026-02-28T23:00:00Z"})).await.expect(200);
        assert_eq!(text(&shop.backend.get(&path).await.expect(200), "status"), "past_due");
        let list = shop.backend.get("/v1/invoices?status=past_due&q=%C3%89clair").await.expect(200);
        assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
        shop.send(&payment, "300.000001").await;
        shop.mine(3).await;
        let paid = shop.backend.get(&path).await.expect(200);
        assert_eq!((text(&paid, "status"), &paid["paid_by"]), ("paid", &payment["id"]));
        let history = ["invoice.created", "invoice.sent", "invoice.paid"];
        assert_eq!(shop.told(text(&invoice, "id")).await, history);
        let closed = shop.backend.patch(&path, &json!({"title": "Other"})).await;
        assert_eq!(text(&closed.expect(409), "code"), "invoice_closed");
        shop.backend.post_empty(&format!("{path}/void")).await.expect(409);
        // A reorganisation deeper than what was final takes it back.
        shop.backend.post("/v1/test/reorganisations", &json!({"depth": 3})).await.expect(200);
        assert_eq!(text(&shop.payment(text(&payment, "id")).await, "status"), "reversed");
        assert_eq!(text(&shop.backend.get(&path).await.expect(200), "status"), "past_due");

        let other = shop
            .backend
            .post("/v1/invoices", &json!({"title": "x", "amount": "1", "due_at": "2026-03-31T00:00:00Z"}))
            .await
            .expect(201);
        assert_eq!(other["number"], json!(2));
        let path = format!("/v1/invoices/{}", text(&other, "id"));
        let waiting = shop.start(&other).await;
        // The same name again is the same answer, and stands for nothing else, though there was nothing to do.
        let [first, later] = ["v-1", "v-2"].map(|name| shop.backend.clone().with("idempotency-key", name));
        let voided = first.post_empty(&format!("{path}/void")).await.expect(200);
        assert_eq!(text(&voided, "status"), "void");
        app.advance(Duration::from_secs(1));
        assert_eq!(first.post_empty(&format!("{path}/void")).await.expect(200), voided);
        assert_eq!(later.post_empty(&format!("{path}/void")).await.expect(200), voided);
        let further = json!({"title": "x", "amount": "1", "due_at": "2026-03-31T00:00:00Z"});
        let reused = later.post("/v1/invoices", &further).await.expect(422);
        assert_eq!(reused["code"], "idempotency_key_reused");
        shop.page.post("/v1/checkout/payments", &json!({"payable": other["id"]})).await.expect(409);
        let cancel = format!("/v1/payments/{}/cancel", text(&waiting, "id"));
        assert_eq!(text(&shop.backend.post_empty(&cancel).await.expect(200), "status"), "cancelled");
        shop.backend.post_empty(&cancel).await.expect(409);
        // Money that comes all the same waits for somebody.
        shop.send(&waiting, "1").await;
        shop.mine(3).await;
        let id = text(&waiting, "id");
        assert_eq!(text(&shop.payment(id).await, "status"), "needs_review");
        let resolve = format!("/v1/payments/{id}/resolve");
        shop.backend.post(&resolve, &json!({"verdict": "keep", "reason": "x"})).await.expect(422);
        let decided =
            shop.backend.post(&resolve, &json!({"verdict": "return", "reason": "Sent back."})).await.expect(200);
        assert_eq!((text(&decided, "status"), text(&decided, "exception")), ("refunded", "manual"));
        assert_eq!((text(&decided, "amount_returned"), text(&decided, "amount_refunded")), ("1.00", "0.00"));
        let told = shop.backend.get(&format!("/v1/events?subject={id}&type=payment.resolved")).await.expect(200);
        assert_eq!(told["data"][0]["data"]["decision"], json!({"verdict": "return", "reason": "Sent back."}));
    }
}

#[tokio::test]
async fn periods_are_made_as_they_fall_due_each_once() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        let draft = json!({"amount": "9.00", "name": "Monthly box", "anchor": "2026-01-31T11:00:00Z", "interval": {"unit": "months", "count": 1}});
        let recurring = shop.backend.post("/v1/recurring_payments", &draft).await.expect(201);
        let path = format!("/v1/recurring_payments/{}", text(&recurring, "id"));
        let first = &recurring["latest_invoice"];
        assert_eq!((&first["period"], text(first, "due_at")), (&json!(0), "2026-01-31T23:00:00Z"), "{recurring}");
        assert_eq!(text(&recurring, "next_due_at"), "2026-02-28T11:00:00Z", "the last day of a shorter month");
        assert_eq!(text(&recurring, "status"), "active");
        let payment = shop.start(&recurring).await;
        shop.send(&payment, "9").await;
        shop.mine(3).await;
        let now = shop.backend.get(&path).await.expect(200);
        assert_eq!(text(&now["latest_invoice"], "status"), "paid");
        assert_eq!(
            shop.payment(text(&payment, "id")).await["payable"],
            json!({"type": "recurring_payment", "id": recurring["id"]})
        );

        let advance = |to: &'static str| {
            let backend = shop.backend.clone();
            async move { backend.post("/v1/test/clock", &json!({"to": to})).await }
        };
        shop.backend.patch(&path, &json!({"amount": "10.00"})).await.expect(200);
        advance("2026-02-28T11:00:00Z").await.expect(200);
        advance("2026-02-28T10:00:00Z").await.expect(422);
        let now = shop.backend.get(&path).await.expect(200);
        assert_eq!((&now["latest_invoice"]["period"], text(&now["latest_invoice"], "amount")), (&json!(1), "10.00"));
        assert_eq!(text(&now, "next_due_at"), "2026-03-31T10:00:00Z", "the local time stays, no drift");
        advance("2026-03-01T00:00:00Z").await.expect(200);
        assert_eq!(text(&shop.backend.get(&path).await.expect(200), "status"), "past_due");
        // However often it is tried, and by whom.
        for _ in 0..3 {
            app.app.jobs().run_pending().await.expect("run");
        }
        let invoices = format!("/v1/invoices?recurring_payment_id={}", text(&recurring, "id"));
        assert_eq!(shop.backend.get(&invoices).await.expect(200)["data"].as_array().map(Vec::len), Some(2));

        // What falls due during a pause is passed over.
        assert_eq!(text(&shop.backend.post_empty(&format!("{path}/pause")).await.expect(200), "status"), "paused");
        advance("2026-05-15T00:00:00Z").await.expect(200);
        let resumed = shop.backend.post_empty(&format!("{path}/resume")).await.expect(200);
        assert_eq!(
            (text(&resumed, "next_due_at"), &resumed["latest_invoice"]["period"]),
            ("2026-05-31T10:00:00Z", &json!(1))
        );
        // After a long absence twelve are made up, then somebody has to look.
        advance("2028-01-15T00:00:00Z").await.expect(200);
        let held = shop.backend.get(&path).await.expect(200);
        assert_eq!(held["latest_invoice"]["period"], json!(15), "{held}");
        assert!(held["held_at"].is_string(), "{held}");
        let resumed = shop.backend.post_empty(&format!("{path}/resume")).await.expect(200);
        assert_eq!((&resumed["held_at"], text(&resumed, "next_due_at")), (&Value::Null, "2028-01-31T11:00:00Z"));
        assert_eq!(text(&shop.backend.post_empty(&format!("{path}/cancel")).await.expect(200), "status"), "cancelled");
        let ended = shop.backend.post_empty(&format!("{path}/resume")).await;
        assert_eq!(text(&ended.expect(409), "code"), "recurring_payment_ended");
        advance("2028-03-15T00:00:00Z").await.expect(200);
        assert_eq!(shop.backend.get(&path).await.expect(200)["latest_invoice"]["period"], json!(15));
        shop.backend.delete(&path).await.expect(200);
        shop.page.post("/v1/checkout/payments", &json!({"payable": recurring["id"]})).await.expect(404);
        shop.page.post("/v1/checkout/payments", &json!({"payable": held["latest_invoice"]["id"]})).await.expect(404);
        for bad in [json!({"unit": "months", "count": 0}), json!({"unit": "days", "count": 3661})] {
            shop.backend
                .post(
                    "/v1/recurring_payments",
                    &json!({"amount": "1", "anchor": "2026-01-01T00:00:00Z", "interval": bad}),
                )
                .await
                .expect(422);
        }
    }
}

#[tokio::test]
async fn a_transaction_that_is_handed_in_counts_for_one_payment() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        let link = shop.link("3.00").await;
        let (first, second) = (shop.start(&link).await, shop.start(&link).await);
        let hand_in = |payment: &Value, hash: &str| {
            let (page, path) =
                (shop.page.clone(), format!("/v1/checkout/payments/{}/transaction", text(payment, "id")));
            let body = json!({"transaction_hash": hash});
            async move { page.post(&path, &body).await }
        };
        let hash = format!("0x{}", "5c".repeat(32));
        for _ in 0..2 {
            let paid = hand_in(&first, &hash).await.expect(200);
            assert_eq!((text(&paid, "status"), text(&paid, "transaction_hash")), ("settled", hash.as_str()));
        }
        assert_eq!(text(&hand_in(&second, &hash).await.expect(409), "code"), "transaction_taken");
        assert_eq!(text(&shop.payment(text(&second, "id")).await, "status"), "open");
        // Magic names stand for the other scenarios, as often as one likes.
        assert_eq!(text(&hand_in(&second, "test_underpaid").await.expect(200), "exception"), "partial");
        let third = shop.start(&link).await;
        assert_eq!(text(&hand_in(&third, "test_underpaid").await.expect(200), "exception"), "partial");
        for bad in ["", "a b", "0x\u{e9}", &"a".repeat(129)] {
            hand_in(&third, bad).await.expect(422);
        }
        // A transaction that the ledger knows is no second transfer.
        let sent = shop.send(&third, "0.000001").await;
        let known = hand_in(&third, text(&sent, "transaction_hash")).await.expect(200);
        assert_ne!(text(&known, "status"), "settled", "{known}");
    }
}

#[tokio::test]
async fn many_confirmations_at_once_are_one_success() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        let link =
            shop.backend.post("/v1/payment_links", &json!({"amount": "1", "single_use": true})).await.expect(201);
        let payment = shop.start(&link).await;
        let id = text(&payment, "id").to_owned();
        let hash = format!("0x{}", "ab".repeat(32));
        let attempts = (0..64).map(|number| {
            // Each from an address of its own: one alone would be told to wait.
            let peer = Peer { address: ([192, 0, 2, number], 1).into(), tls: true };
            let (page, path) = (shop.page.clone().from(peer), format!("/v1/checkout/payments/{id}/transaction"));
            let body = json!({"transaction_hash": hash});
            tokio::spawn(async move { page.post(&path, &body).await.status.as_u16() })
        });
        let mut answers = BTreeMap::new();
        for attempt in attempts.collect::<Vec<_>>() {
            *answers.entry(attempt.await.expect("no panic")).or_insert(0) += 1;
        }
        assert!(answers.keys().all(|status| matches!(status, 200 | 503)), "{answers:?}");
        app.app.jobs().run_pending().await.expect("run");
        assert_eq!(text(&shop.payment(&id).await, "amount_settled"), "1.00");
        let succeeded = shop.told(&id).await.into_iter().filter(|event| event == "payment.succeeded").count();
        assert_eq!(succeeded, 1);
    }
}

#[tokio::test]
async fn what_nobody_pays_in_time_expires_by_the_ledgers_clock() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        let link = shop.link("1.00").await;
        let (payment, halted) = (shop.start(&link).await, shop.start(&link).await);
        app.advance(Duration::from_hours(1));
        app.app.jobs().run_pending().await.expect("run");
        assert_eq!(text(&shop.payment(text(&payment, "id")).await, "status"), "open", "the last instant is in time");
        shop.backend.post_empty("/v1/test/halt").await.expect(200);
        app.advance(Duration::from_mins(10));
        app.app.jobs().run_pending().await.expect("run");
        assert_eq!(
            text(&shop.payment(text(&payment, "id")).await, "status"),
            "open",
            "a ledger that halts expires nothing"
        );
        let refused = shop.backend.post("/v1/test/blocks", &json!({"count": 1})).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], "/count", "{refused}");
        shop.backend.post_empty("/v1/test/resume").await.expect(200);
        app.app.jobs().run_pending().await.expect("run");
        for payment in [&payment, &halted] {
            assert_eq!(shop.told(text(payment, "id")).await, ["payment.created", "payment.expired"]);
        }
        // What comes late settles, and says that it was.
        shop.send(&payment, "1").await;
        shop.mine(3).await;
        let late = shop.payment(text(&payment, "id")).await;
        assert_eq!((text(&late, "status"), text(&late, "exception")), ("settled", "late"));
    }
}

#[tokio::test]
async fn what_is_taken_back_leaves_its_place_to_the_next_that_was_paid() {
    for app in TestApp::on_every_engine().await {
        let shop = shop(&app).await;
        let link = shop.backend.post("/v1/payment_links", &json!({"amount": "10", "single_use": true})).await;
        let link = link.expect(201);
        let path = format!("/v1/payment_links/{}", text(&link, "id"));
        let (first, second) = (shop.start(&link).await, shop.start(&link).await);
        shop.send(&second, "4").await;
        shop.mine(3).await;
        app.advance(Duration::from_hours(2));
        shop.mine(1).await;
        shop.send(&first, "10").await;
        shop.mine(3).await;
        assert_eq!(shop.backend.get(&path).await.expect(200)["paid_by"], first["id"]);
        let id = text(&second, "id");
        let accept = json!({"verdict": "accept", "reason": "Good enough."});
        let accepted = shop.backend.post(&format!("/v1/payments/{id}/resolve"), &accept).await.expect(200);
        assert_eq!((text(&accepted, "status"), text(&accepted, "exception")), ("settled", "multiple"));
        shop.backend.post("/v1/test/reorganisations", &json!({"depth": 3})).await.expect(200);
        assert_eq!(text(&shop.payment(text(&first, "id")).await, "status"), "reversed");
        let now = shop.backend.get(&path).await.expect(200);
        assert_eq!((text(&now, "status"), &now["paid_by"]), ("paid", &second["id"]));
        let alone = shop.payment(id).await;
        assert_eq!((text(&alone, "status"), text(&alone, "exception")), ("settled", "manual"));
        // Whoever comes back is the second one.
        shop.send(&first, "10").await;
        shop.mine(3).await;
        let again = shop.payment(text(&first, "id")).await;
        assert_eq!((text(&again, "status"), text(&again, "exception")), ("settled", "multiple"));
        assert_eq!(shop.backend.get(&path).await.expect(200)["paid_by"], second["id"]);
    }
}

#[tokio::test]
async fn a_suspended_business_starts_nothing_and_loses_nothing() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let shop = Shop::of(&app, &business);
        let payment = shop.start(&shop.link("2.00").await).await;
        let draft = json!({"amount": "1", "anchor": "2026-01-31T12:00:00Z", "interval": {"unit": "days", "count": 1}});
        let recurring = shop.backend.post("/v1/recurring_payments", &draft).await.expect(201);
        shop.send(&payment, "2.00").await;
        app.platform().post_empty(&format!("/v1/businesses/{}/suspend", business.id())).await.expect(200);
        shop.backend.get("/v1/payment_links").await.expect(401);
        app.advance(Duration::from_hours(72));
        app.app.jobs().run_pending().await.expect("run");
        app.platform().post_empty(&format!("/v1/businesses/{}/resume", business.id())).await.expect(200);
        app.app.jobs().run_pending().await.expect("run");
        let now = shop.backend.get(&format!("/v1/recurring_payments/{}", text(&recurring, "id"))).await.expect(200);
        assert_eq!((&now["latest_invoice"]["period"], text(&now, "next_due_at")), (&json!(0), "2026-02-04T12:00:00Z"));
        shop.mine(3).await;
        assert_eq!(text(&shop.payment(text(&payment, "id")).await, "amount_settled"), "2.00");
    }
}

#[tokio::test]
async fn pages_of_any_origin_may_ask_and_the_key_decides() {
    let app = TestApp::on_every_engine().await.remove(0);
    let shop = shop(&app).await;
    let preflight = |path: &str| {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(path)
            .header("origin", "https://anywhere.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "apikey,businessid,content-type");
        request.body(axum::body::Body::empty()).expect("a request")
    };
    let answer = app.anonymous().call(preflight("/v1/checkout/payments")).await;
    assert_eq!(answer.status.as_u16(), 204);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-allow-headers").contains("apikey"));
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    // A refusal can be read by the page, too.
    let refused = app.anonymous().with("origin", "https://anywhere.example").get("/v1/checkout/payables/plink_x").await;
    assert_eq!((refused.status.as_u16(), refused.header("access-control-allow-origin")), (401, "*"));
    let elsewhere = app.anonymous().call(preflight("/v1/payment_links")).await;
    assert_eq!(elsewhere.header("access-control-allow-origin"), "");
    shop.page.get("/v1/checkout/payables/plink_x").await.expect(404);
}

/// The ledger as a list of blocks, for a comparison: what each holds for the one payment.
#[derive(Debug, Default)]
struct Model {
    blocks: Vec<Vec<i64>>,
    waiting: Vec<i64>,
    halted: bool,
}

impl Model {
    fn mine(&mut self, count: usize) {
        for _ in 0..count {
            self.blocks.push(std::mem::take(&mut self.waiting));
        }
    }

    fn sums(&self) -> (i64, i64) {
        let final_blocks = self.blocks.len().saturating_sub(2);
        (self.blocks.iter().flatten().sum(), self.blocks[..final_blocks].iter().flatten().sum())
    }
}

#[tokio::test]
async fn whatever_the_ledger_does_the_sums_are_its_own() {
    let app = TestApp::on_every_engine().await.remove(0);
    for seed in 1..=12u64 {
        let shop = shop(&app).await;
        let payment = shop.start(&shop.link("0.00001").await).await;
        let id = text(&payment, "id");
        let mut model = Model::default();
        let mut random = seed;
        let mut settled_before = false;
        for step in 0..24 {
            // A small generator of our own: the seed in the message is all that it takes to see it again.
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let draw = usize::try_from(random >> 33).expect("31 bits");
            let (path, body) = match draw % 7 {
                0 | 1 if !model.halted => {
                    let units = i64::try_from(1 + draw % 9).expect("small");
                    model.waiting.push(units);
                    ("transfers", json!({"address": payment["address"], "amount": format!("0.00000{units}")}))
                }
                2 | 3 if !model.halted => {
                    let count = 1 + draw % 3;
                    model.mine(count);
                    ("blocks", json!({"count": count}))
                }
                4 if !model.blocks.is_empty() => {
                    let depth = 1 + draw % model.blocks.len().min(4);
                    let reinclude = draw % 2 == 0;
                    let gone: Vec<i64> = model.blocks.drain(model.blocks.len() - depth..).flatten().collect();
                    if reinclude {
                        model.waiting.splice(0..0, gone);
                    }
                    model.mine(depth);
                    ("reorganisations", json!({"depth": depth, "reinclude": reinclude}))
                }
                5 => ("duplicates", json!({"count": 1 + draw % 5})),
                6 => {
                    model.halted = !model.halted;
                    (if model.halted { "halt" } else { "resume" }, json!({}))
                }
                _ => continue,
            };
            shop.backend.post(&format!("/v1/test/{path}"), &body).await.expect(200);
            let (seen, settled) = model.sums();
            let now = shop.payment(id).await;
            let written = |units: i64| {
                let digits = format!("{units:06}");
                let trimmed = digits.trim_end_matches('0');
                format!("0.{}", &digits[..trimmed.len().max(2)])
            };
            let context = format!("seed {seed}, step {step}, {path} {body}: {now}");
            assert_eq!(text(&now, "amount_seen"), written(seen), "{context}");
            assert_eq!(text(&now, "amount_settled"), written(settled), "{context}");
            let status = text(&now, "status");
            match status {
                "settled" => assert!(seen >= 10, "{context}"),
                "processing" => assert!(seen >= 10 && settled < 10 && !settled_before, "{context}"),
                "open" => assert!(seen < 10 && !settled_before, "{context}"),
                "reversed" => assert!(settled_before && settled < 10, "{context}"),
                other => panic!("{other}: {context}"),
            }
            settled_before |= status == "settled";
        }
        let told = shop.told(id).await;
        let (paid, reversed): (Vec<_>, Vec<_>) = told
            .iter()
            .filter(|event| matches!(event.as_str(), "payment.succeeded" | "payment.reversed"))
            .partition(|event| *event == "payment.succeeded");
        assert!(paid.len() == reversed.len() || paid.len() == reversed.len() + 1, "seed {seed}: {told:?}");
    }
}

#[tokio::test]
async fn payments_are_started_so_fast_and_no_faster() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let shop = shop(&app).await;
    let near = |number: u16| Peer { address: ([192, 0, 2, 7], number).into(), tls: true };
    let far = Peer { address: ([192, 0, 2, 8], 1).into(), tls: true };
    // Fifty may wait for one thing, so that two things are paid for.
    let payables = [shop.link("1").await, shop.link("2").await, shop.link("3").await];
    let start = |client: Client, payable: &Value| {
        let body = json!({"payable": payable["id"]});
        async move { client.post("/v1/checkout/payments", &body).await }
    };
    for number in 0..60 {
        let payable = &payables[usize::from(number) % 2];
        start(shop.page.clone().from(near(number)), payable).await.expect(201);
    }
    let refused = start(shop.page.clone().from(near(61)), &payables[2]).await;
    assert_eq!((refused.header("retry-after"), text(&refused.expect(429), "code")), ("1", "rate_limited"));
    start(shop.page.clone().from(far), &payables[2]).await.expect(201);
    // How a payment stands is read as often as one likes, and the business's own backend is not counted.
    let mine = shop.backend.get("/v1/payments?limit=1").await.expect(200);
    let status = format!("/v1/checkout/payments/{}", text(&mine["data"][0], "id"));
    for _ in 0..70 {
        shop.page.clone().from(near(1)).get(&status).await.expect(200);
    }
    start(shop.backend.clone().from(near(1)), &payables[2]).await.expect(201);
    // The hosted page counts the same payer.
    let hosted = text(&payables[2], "url").strip_prefix("http://localhost:8080").expect("ours");
    let mut payer = Browser::new(app.anonymous().from(near(1)));
    assert_eq!(payer.submit(hosted, hosted, &[]).await.status.as_u16(), 429);
    app.advance(Duration::from_secs(1));
    start(shop.page.clone().from(near(62)), &payables[2]).await.expect(201);
    start(shop.page.clone().from(near(63)), &payables[2]).await.expect(429);
}

#[tokio::test]
async fn a_live_payment_says_what_it_lacks() {
    // Nobody listens there: what a node says is tried where there is one.
    let app = TestApp::watching(TestDatabase::sqlite().await, vec![base_out_of_reach()]).await;
    let business = app.business("mileston").await;
    let live = app.key(business.id(), business.value("live", "secret"));
    let link = live.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
    let start = async |network: Option<&str>| {
        live.post("/v1/checkout/payments", &json!({"payable": link["id"], "network": network})).await
    };
    for network in [None, Some("base"), Some("eip155:8453")] {
        let lacking = start(network).await.expect(409);
        assert_eq!(text(&lacking, "code"), "payout_address_missing");
        assert!(text(&lacking, "detail").contains("eip155:8453") && text(&lacking, "detail").contains("payout set"));
    }
    start(Some("polygon")).await.expect(422);
    let page = app.anonymous().get(&format!("/pay/payment-link/{}", text(&link, "id"))).await.text();
    assert!(page.contains("cannot receive payments yet"), "{page}");
    let tenant = Tenant::new(business.id().parse().expect("an id"), Environment::Live);
    let places = app.app.payout_addresses();
    let payout = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    places.set(&Context::system(), &tenant, "base", payout).await.expect("set");
    // The network was never seen: what is paid now could be missed.
    app.app.jobs().run_pending().await.expect("nothing but the node is out of reach");
    let unseen = start(None).await;
    assert_eq!(unseen.header("retry-after"), "1");
    let unseen = unseen.expect(503);
    assert_eq!(text(&unseen, "code"), "network_unavailable");
    assert!(!unseen.to_string().contains("s3cr3t"));
    let set = live.get("/v1/events?type=business.payout_address_set").await.expect(200);
    assert_eq!(set["data"][0]["data"]["address"], payout);
    // TEST is as it was.
    let test = Shop::of(&app, &business);
    let link = test.link("1").await;
    assert!(text(&test.start(&link).await, "address").starts_with("test_"));
}

/// The rows of a file of movements, by the names of its columns.
fn rows(file: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = file.split("\r\n");
    let columns: Vec<_> = lines.next().expect("a head").split(',').collect();
    let row = |line: &str| {
        let cells: Vec<_> = line.split(',').map(ToOwned::to_owned).collect();
        assert_eq!(cells.len(), columns.len(), "{line}");
        columns.iter().map(ToString::to_string).zip(cells).collect()
    };
    lines.filter(|line| !line.is_empty()).map(row).collect()
}

#[tokio::test]
async fn every_movement_of_money_is_a_line_of_the_file() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let shop = Shop::of(&app, &business);
        let draft = json!({"amount": "12.50", "title": "=SUM(A1)", "customer_reference": "+33 1"});
        let made = shop.backend.post("/v1/payment_links", &draft).await.expect(201);
        let play = async |scenario: &str| {
            let payment = shop.start(&made).await;
            let path = format!("/v1/test/payments/{}/scenario", text(&payment, "id"));
            shop.backend.post(&path, &json!({"scenario": scenario})).await.expect(200);
            text(&payment, "id").to_owned()
        };
        let paid = play("paid").await;
        let wrong = play("wrong_token").await;
        let slow = play("slow").await;
        let file = shop.backend.get("/v1/movements").await;
        assert_eq!(file.status.as_u16(), 200, "{}", file.text());
        assert_eq!(file.header("content-type"), "text/csv; charset=utf-8; header=present");
        let disposition = format!("attachment; filename=\"movements-{}-test.csv\"", business.id());
        assert_eq!(file.header("content-disposition"), disposition);
        let all = rows(&file.text());
        assert_eq!(all.len(), 3, "{}", file.text());
        let of = |payment: &str| all.iter().find(|row| row["payment_id"] == *payment).expect("a line");
        let first = of(&paid);
        for (column, cell) in [
            ("type", "deposit"),
            ("direction", "in"),
            ("business_id", business.id()),
            ("environment", "test"),
            ("network", "test:base"),
            ("asset", "test:base/token:USDC"),
            ("currency", "USDC"),
            ("amount", "12.50"),
            ("base_units", "12500000"),
            ("payment_id", &paid),
            ("payable_type", "payment_link"),
            ("payable_id", text(&made, "id")),
            ("invoice_number", ""),
            // No formulas.
            ("title", "'=SUM(A1)"),
            ("customer_reference", "'+33 1"),
            ("log_index", "0"),
            ("status", "final"),
        ] {
            assert_eq!(first[column], cell, "{column}");
        }
        assert!(first["date"].starts_with("2026-01-31T") && first["date"].ends_with('Z'), "{}", first["date"]);
        assert_eq!((of(&wrong)["status"].as_str(), of(&wrong)["amount"].as_str()), ("unmatched", ""));
        assert_eq!(of(&slow)["status"], "confirming");
        // What the network takes back has a line of its own against it.
        let reversed = play("reversed").await;
        let all = rows(&shop.backend.get("/v1/movements").await.text());
        let of_it: Vec<_> = all.iter().filter(|row| row["payment_id"] == reversed).collect();
        let told: Vec<_> = of_it.iter().map(|row| (row["type"].as_str(), row["direction"].as_str())).collect();
        assert_eq!(told, [("deposit", "in"), ("reversal", "out")]);
        assert_eq!((of_it[0]["status"].as_str(), of_it[1]["amount"].as_str()), ("taken_back", "12.50"));
        // Days are those of the business, both included.
        for (query, found) in
            [("from=2026-01-31&to=2026-01-31", true), ("to=2026-01-30", false), ("from=2026-02-01", false)]
        {
            let some = rows(&shop.backend.get(&format!("/v1/movements?{query}")).await.text());
            assert_eq!(!some.is_empty(), found, "{query}");
        }
        for bad in ["from=yesterday", "to=2026-02-30", "limit=1"] {
            assert_eq!(shop.backend.get(&format!("/v1/movements?{bad}")).await.status.as_u16(), 400, "{bad}");
        }
        // What ends before it begins was meant otherwise, and is not told that there is nothing.
        for (path, named) in [
            ("movements?from=2026-02-01&to=2026-01-31", "to"),
            ("payments?created_from=2026-02-01T00:00:00Z&created_before=2026-01-31T00:00:00Z", "created_before"),
            ("refunds?created_from=2026-02-01T00:00:00Z&created_before=2026-01-31T00:00:00Z", "created_before"),
        ] {
            let refused = shop.backend.get(&format!("/v1/{path}")).await.expect(400);
            assert_eq!(
                (&refused["code"], &refused["errors"][0]["parameter"]),
                (&json!("invalid_query"), &json!(named))
            );
        }
        // LIVE has none of it.
        let live = app.key(business.id(), business.value("live", "secret"));
        assert_eq!(rows(&live.get("/v1/movements").await.text()).len(), 0);
        assert_eq!(shop.backend.get("/v1/payout_plans").await.expect(200), json!({"data": [], "has_more": false}));
    }
}

#[tokio::test]
async fn a_file_of_movements_is_read_page_by_page_to_its_end() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let shop = Shop::of(&app, &business);
    let payment = shop.start(&shop.link("1").await).await;
    shop.send(&payment, "1.00").await;
    shop.mine(3).await;
    app.database
        .run(
            "WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 1199) \
             INSERT INTO deposits (id, ledger, network, block, block_hash, log_index, transaction_hash, asset, sender, \
             address, raw_amount, units, block_time, canonical, business_id, environment, payment_id, seen_at) \
             SELECT 'dep_0000000000000000000000' || (1000 + n), ledger, network, block, block_hash, n, \
             transaction_hash, asset, sender, address, n, n, block_time, 1, business_id, environment, payment_id, \
             seen_at FROM deposits, more",
        )
        .await
        .expect("inserted");
    let all = rows(&shop.backend.get("/v1/movements").await.text());
    let places: std::collections::BTreeSet<_> = all.iter().map(|row| row["log_index"].clone()).collect();
    assert_eq!((all.len(), places.len()), (1_200, 1_200), "each of them once");
}

#[tokio::test]
async fn a_plan_names_the_network_that_does_not_answer() {
    let app = TestApp::watching(TestDatabase::sqlite().await, vec![base_out_of_reach()]).await;
    let business = app.business("mileston").await;
    let live = app.key(business.id(), business.value("live", "secret"));
    let unavailable = live.get("/v1/payout_plans?network=base").await.expect(503);
    assert_eq!(text(&unavailable, "code"), "network_unavailable");
    let unknown = live.get("/v1/payout_plans?network=nowhere").await.expect(422);
    assert_eq!((text(&unknown, "code"), &unknown["errors"][0]["parameter"]), ("invalid_value", &json!("network")));
}
