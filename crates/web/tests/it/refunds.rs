//! Refunds over the API, on the ledger of TEST: asked for, carried out, refused.

use std::time::Duration;

use serde_json::{Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_service::Context;
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::Client;

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// A key of the business that may give back.
async fn backend(app: &TestApp, business: &Business, environment: &str) -> Client {
    let path = format!("/v1/businesses/{}/keys?environment={environment}", business.id());
    let scopes = ["payment_links:write", "payments:read", "payments:write", "checkout:start", "refunds:read"];
    let scopes: Vec<_> = scopes.into_iter().chain(["refunds:write", "events:read"]).collect();
    let made = app.platform().post(&path, &json!({"scopes": scopes})).await.expect(201);
    app.key(business.id(), text(&made, "value"))
}

/// A payment of 12.50 that played a scenario.
async fn payment(shop: &Client, scenario: &str) -> Value {
    let link = shop.post("/v1/payment_links", &json!({"amount": "12.50"})).await.expect(201);
    let payment = shop.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(201);
    let path = format!("/v1/test/payments/{}/scenario", text(&payment, "id"));
    shop.post(&path, &json!({"scenario": scenario})).await.expect(200);
    payment
}

async fn read(shop: &Client, payment: &Value) -> Value {
    shop.get(&format!("/v1/payments/{}", text(payment, "id"))).await.expect(200)
}

#[tokio::test]
async fn a_payment_is_given_back_in_two_parts() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let shop = backend(&app, &business, "test").await;
        let paid = payment(&shop, "paid").await;
        let draft = json!({
            "payment": paid["id"], "amount": "2.5", "destination": "test_customer", "reason": "Broken cup",
            "metadata": {"ticket": "17"},
        });
        let refund = shop.post("/v1/refunds", &draft).await.expect(201);
        assert_eq!((text(&refund, "status"), text(&refund, "amount")), ("pending", "2.50"));
        assert_eq!(refund["metadata"]["ticket"], "17");
        let asked = &refund["send"];
        assert_eq!((text(asked, "destination"), text(asked, "base_units")), ("test_customer", "2500000"));
        assert!(asked["transaction"].is_null() && asked["uri"].is_null());
        assert_eq!(text(&read(&shop, &paid).await, "status"), "settled");
        // By hand, as a wallet would.
        let body = json!({"address": "test_customer", "amount": "2.50"});
        let sent = shop.post("/v1/test/transfers", &body).await.expect(200);
        let path = format!("/v1/refunds/{}/transaction", text(&refund, "id"));
        let hand_in = json!({"transaction_hash": sent["transaction_hash"]});
        let waiting = shop.post(&path, &hand_in).await.expect(200);
        assert_eq!(text(&waiting, "status"), "processing");
        assert!(waiting["send"].is_null());
        shop.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
        for _ in 0..2 {
            assert_eq!(text(&shop.post(&path, &hand_in).await.expect(200), "status"), "succeeded");
        }
        let part = read(&shop, &paid).await;
        assert_eq!((text(&part, "status"), text(&part, "amount_refunded")), ("partially_refunded", "2.50"));
        // The rest, in one call, a moment later.
        app.advance(Duration::from_secs(1));
        let draft = json!({"payment": paid["id"], "destination": "test_customer"});
        let once = shop.clone().with("idempotency-key", "the rest");
        let rest = once.post("/v1/refunds", &draft).await.expect(201);
        assert_eq!(text(&rest, "amount"), "10.00");
        assert_eq!(once.post("/v1/refunds", &draft).await.expect(201), rest, "asked for once");
        let path = format!("/v1/test/refunds/{}/send", text(&rest, "id"));
        assert_eq!(text(&shop.post_empty(&path).await.expect(200), "status"), "succeeded");
        let all = read(&shop, &paid).await;
        assert_eq!((text(&all, "status"), text(&all, "amount_refunded")), ("refunded", "12.50"));
        let refused = shop.post("/v1/refunds", &draft).await.expect(409);
        assert_eq!(text(&refused, "code"), "refund_too_large");
        // Whoever keeps the books has a line for each, away from the business.
        let file = shop.get("/v1/movements").await;
        let lines = file.text();
        let lines: Vec<_> = lines.lines().filter(|line| line.starts_with("refund,out,")).collect();
        assert_eq!(lines.len(), 2, "{}", file.text());
        assert!(lines[0].contains(",2.50,2500000,") && lines[1].contains(",10.00,10000000,"), "{lines:?}");
        assert!(lines.iter().all(|line| line.ends_with(",test_customer") && line.contains(text(&paid, "id"))));
        // Listed, newest first, and by what they are of.
        let list = shop.get(&format!("/v1/refunds?payment={}&limit=1", text(&paid, "id"))).await.expect(200);
        assert_eq!((list["data"][0]["id"].as_str(), list["has_more"].as_bool()), (rest["id"].as_str(), Some(true)));
        let next = format!("/v1/refunds?status=succeeded&starting_after={}", text(&rest, "id"));
        assert_eq!(shop.get(&next).await.expect(200)["data"][0]["id"], refund["id"]);
        let told = shop.get(&format!("/v1/events?subject={}", text(&refund, "id"))).await.expect(200);
        let told: Vec<_> = told["data"].as_array().expect("a list").iter().map(|event| text(event, "type")).collect();
        assert_eq!(told, ["refund.updated", "refund.updated", "refund.created"]);
    }
}

#[tokio::test]
async fn what_cannot_be_given_back_is_refused_with_a_reason() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let shop = backend(&app, &business, "test").await;
        let code = |refused: &Value| text(refused, "code").to_owned();
        let slow = payment(&shop, "slow").await;
        let of = |payment: &Value, destination: &str| json!({"payment": payment["id"], "destination": destination});
        assert_eq!(code(&shop.post("/v1/refunds", &of(&slow, "test_a")).await.expect(409)), "not_refundable");
        let paid = payment(&shop, "paid").await;
        for (draft, pointer) in [
            (of(&paid, ""), "/destination"),
            (of(&paid, text(&paid, "address")), "/destination"),
            (json!({"payment": paid["id"], "destination": "test_a", "amount": "1e3"}), "/amount"),
            (json!({"destination": "test_a"}), "/payment"),
        ] {
            let refused = shop.post("/v1/refunds", &draft).await.expect(422);
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
        }
        let draft = json!({"payment": paid["id"], "destination": "test_a", "amount": "12.500001"});
        assert_eq!(code(&shop.post("/v1/refunds", &draft).await.expect(409)), "refund_too_large");
        let refund = shop.post("/v1/refunds", &of(&paid, "test_a")).await.expect(201);
        let path = format!("/v1/refunds/{}", text(&refund, "id"));
        let hand_in = format!("{path}/transaction");
        let wrong = json!({"address": "test_a", "amount": "12.49"});
        let wrong = shop.post("/v1/test/transfers", &wrong).await.expect(200);
        shop.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
        let refused = shop.post(&hand_in, &json!({"transaction_hash": wrong["transaction_hash"]})).await.expect(409);
        assert_eq!(code(&refused), "transaction_refused");
        assert!(text(&refused, "detail").contains("another amount"), "{refused}");
        let cancelled = shop.post_empty(&format!("{path}/cancel")).await.expect(200);
        assert_eq!(text(&cancelled, "status"), "cancelled");
        assert_eq!(code(&shop.post_empty(&format!("{path}/cancel")).await.expect(409)), "refund_closed");
        // A key has the scope only if somebody chose it, and another environment has no such payment.
        let usual = app.key(business.id(), business.value("test", "secret"));
        assert_eq!(code(&usual.post("/v1/refunds", &of(&paid, "test_a")).await.expect(403)), "scope_missing");
        usual.get("/v1/refunds").await.expect(200);
        let live = backend(&app, &business, "live").await;
        live.post("/v1/refunds", &of(&paid, "test_a")).await.expect(404);
        live.get(&path).await.expect(404);
        let send = format!("/v1/test/refunds/{}/send", text(&refund, "id"));
        assert_eq!(code(&live.post_empty(&send).await.expect(404)), "not_found");
    }
}

#[tokio::test]
async fn refunds_are_found_by_what_they_are_of_and_by_when_who_and_what_was_said() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let (shop, desk) = (backend(&app, &business, "test").await, backend(&app, &business, "test").await);
        let (first, second) = (payment(&shop, "paid").await, payment(&shop, "paid").await);
        let ask = async |key: &Client, of: &Value, amount: &str, to: &str, reason: &str| {
            let draft = json!({"payment": of["id"], "amount": amount, "destination": to, "reason": reason});
            app.advance(Duration::from_mins(1));
            text(&key.post("/v1/refunds", &draft).await.expect(201), "id").to_owned()
        };
        let one = ask(&shop, &first, "1", "test_anna", "Broken cup").await;
        let two = ask(&desk, &first, "2", "test_bert", "100% wool it was not").await;
        let three = ask(&shop, &second, "3", "test_anna", "Came_late").await;
        shop.post_empty(&format!("/v1/refunds/{one}/cancel")).await.expect(200);
        shop.post_empty(&format!("/v1/test/refunds/{two}/send")).await.expect(200);
        let hash = text(&shop.get(&format!("/v1/refunds/{two}")).await.expect(200), "transaction_hash").to_owned();
        let found = async |query: &str| {
            let list = shop.get(&format!("/v1/refunds?{query}")).await.expect(200);
            let data = list["data"].as_array().expect("a list").iter();
            data.map(|refund| text(refund, "id").to_owned()).collect::<Vec<_>>()
        };
        let who = desk.get("/v1/whoami").await.expect(200);
        let key = text(&who, "key_id").to_owned();
        let of = text(&first, "id").to_owned();
        // The clock stood at noon when the first minute began.
        for (query, wanted) in [
            (String::new(), vec![&three, &two, &one]),
            ("status=pending".to_owned(), vec![&three]),
            ("status=cancelled".to_owned(), vec![&one]),
            ("status=succeeded".to_owned(), vec![&two]),
            ("status=failed".to_owned(), vec![]),
            (format!("payment={of}"), vec![&two, &one]),
            (format!("payment={of}&status=succeeded"), vec![&two]),
            ("deposit=dep_00000000000000000000000000".to_owned(), vec![]),
            (format!("key_id={key}"), vec![&two]),
            ("created_from=2026-01-31T12:02:00Z".to_owned(), vec![&three, &two]),
            ("created_before=2026-01-31T12:02:00Z".to_owned(), vec![&one]),
            ("created_from=2026-01-31T12:02:00Z&created_before=2026-01-31T12:03:00Z".to_owned(), vec![&two]),
            ("q=test_anna".to_owned(), vec![&three, &one]),
            ("q=BROKEN".to_owned(), vec![&one]),
            // What is a sign of the search itself is a letter here.
            ("q=100%25".to_owned(), vec![&two]),
            ("q=e_l".to_owned(), vec![&three]),
            ("q=%25".to_owned(), vec![&two]),
            (format!("q={two}"), vec![&two]),
            (format!("q={hash}"), vec![&two]),
            ("q=".to_owned(), vec![&three, &two, &one]),
            ("limit=1".to_owned(), vec![&three]),
            (format!("starting_after={two}"), vec![&one]),
        ] {
            assert_eq!(found(&query).await.iter().collect::<Vec<_>>(), wanted, "{query}");
        }
        for (bad, status) in [
            ("status=gone", 400),
            ("payment=plink_1", 400),
            ("deposit=x", 400),
            ("key_id=1", 400),
            ("created_from=yesterday", 400),
            ("limit=0", 400),
            ("limit=101", 400),
            ("order=asc", 400),
            ("starting_after=rfd_1", 400),
            ("starting_after=rfd_00000000000000000000000000", 422),
        ] {
            assert_eq!(shop.get(&format!("/v1/refunds?{bad}")).await.status.as_u16(), status, "{bad}");
        }
        // Another business finds nothing by the same, and begins after none of these.
        let other = app.business("mileston").await;
        let stranger = backend(&app, &other, "test").await;
        let list = stranger.get(&format!("/v1/refunds?payment={of}")).await.expect(200);
        assert_eq!(list["data"], json!([]));
        stranger.get(&format!("/v1/refunds?starting_after={two}")).await.expect(422);
    }
}

#[tokio::test]
async fn what_was_dealt_with_outside_is_not_given_back_as_well() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let shop = backend(&app, &business, "test").await;
        let tenant = Tenant::new(business.id().parse().expect("an id"), Environment::Test);
        let code = |refused: &Value| text(refused, "code").to_owned();
        let reason = json!({"reason": "Sent back by hand."});
        let payments = app.app.payments();
        // What a payment takes waits for nobody.
        let paid = payment(&shop, "paid").await;
        let taken = payments.deposits(&tenant, text(&paid, "id").parse().expect("an id")).await.expect("listed");
        let refused = shop.post(&format!("/v1/deposits/{}/dismiss", taken[0].id), &reason).await;
        assert_eq!(code(&refused.expect(409)), "payment_closed");
        let place = payments.spare_address(&Context::system(), &tenant, "test:base").await.expect("given out");
        shop.post("/v1/test/transfers", &json!({"address": place.address, "amount": "7"})).await.expect(200);
        shop.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
        let deposit = shop.get("/v1/deposits").await.expect(200)["data"][0].clone();
        let draft = json!({"deposit": deposit["id"], "destination": "test_a", "amount": "3"});
        let refund = shop.post("/v1/refunds", &draft).await.expect(201);
        shop.post(&format!("/v1/deposits/{}/dismiss", text(&deposit, "id")), &reason).await.expect(200);
        let now = shop.get(&format!("/v1/refunds/{}", text(&refund, "id"))).await.expect(200);
        assert_eq!((text(&now, "status"), &now["send"]), ("cancelled", &Value::Null));
        let send = format!("/v1/test/refunds/{}/send", text(&refund, "id"));
        assert_eq!(code(&shop.post_empty(&send).await.expect(409)), "refund_closed");
        assert_eq!(code(&shop.post("/v1/refunds", &draft).await.expect(409)), "not_refundable");
    }
}
