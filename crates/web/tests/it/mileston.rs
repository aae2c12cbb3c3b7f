//! Mileston's routes, beyond what its published clients are tried with in `e2e/mileston`.

use serde_json::{Value, json};
use tokio::task::JoinSet;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::client::{Answer, Client};

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// A backend and a page of a business in TEST.
async fn shop(app: &TestApp) -> (Client, Client) {
    let business = app.business("mileston").await;
    let page = app.key(business.id(), business.value("test", "checkout")).with("origin", "https://shop.example");
    (app.key(business.id(), business.value("test", "secret")), page)
}

/// A page says that something was paid by a transaction.
async fn save(page: &Client, kind: &str, payable: &Value, hash: &str) -> Answer {
    let claim = json!({"paymentLinkId": payable["id"], "transactionSignature": hash, "chain": "base", "env": "test"});
    page.post(&format!("/checkout/save-payment/{kind}.save"), &claim).await
}

#[tokio::test]
async fn a_transaction_that_is_saved_again_gives_the_first_result() {
    for app in TestApp::on_every_engine().await {
        let (backend, page) = shop(&app).await;
        let statuses = async |payable: &Value| {
            let payments = backend.get("/v1/payments?limit=100").await.expect(200);
            let all = payments["data"].as_array().expect("a list").iter();
            let mine = all.filter(|payment| payment["payable"]["id"] == payable["id"]);
            mine.map(|payment| text(payment, "status").to_owned()).collect::<Vec<_>>()
        };
        let link = async || backend.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        let draft = json!({"title": "Workshop", "amount": "5", "due_at": "2026-03-01T00:00:00Z"});
        let invoice = backend.post("/v1/invoices", &draft).await.expect(201);
        for _ in 0..3 {
            save(&page, "invoice", &invoice, "test_paid").await.expect(200);
        }
        assert_eq!(statuses(&invoice).await, ["settled"]);

        let slow = link().await;
        for _ in 0..3 {
            let waits = save(&page, "paymentlink", &slow, "test_slow").await.expect(400);
            assert_eq!(text(&waits, "message"), "Still awaiting payment");
        }
        assert_eq!(statuses(&slow).await, ["processing"]);
        // The same name for something else, or another one for the same, is another transaction.
        let other = link().await;
        save(&page, "paymentlink", &other, "test_slow").await.expect(400);
        save(&page, "paymentlink", &slow, "test_paid").await.expect(200);
        assert_eq!((statuses(&other).await.len(), statuses(&slow).await.len()), (1, 2));

        let busy = link().await;
        let hash = format!("0x{}", "ab".repeat(32));
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let (page, busy, hash) = (page.clone(), busy.clone(), hash.clone());
            tasks.spawn(async move { save(&page, "paymentlink", &busy, &hash).await.status.as_u16() });
        }
        let answers = tasks.join_all().await;
        assert!(answers.iter().all(|status| matches!(status, 200 | 400)) && answers.contains(&200), "{answers:?}");
        save(&page, "paymentlink", &busy, &hash).await.expect(200);
        assert_eq!(statuses(&busy).await, ["settled"], "one transaction, one payment");
        let taken = save(&page, "paymentlink", &other, &hash).await;
        assert!(taken.status.is_client_error() && !taken.text().contains("awaiting"), "{}", taken.text());
        // What is no hash starts nothing.
        let unpaid = link().await;
        assert!(save(&page, "paymentlink", &unpaid, "a b").await.status.is_client_error());
        assert_eq!(statuses(&unpaid).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_value_that_is_refused_is_not_called_missing_too() {
    let app = TestApp::on_every_engine().await.remove(0);
    let (backend, _) = shop(&app).await;
    for (bad, missing) in [(json!("1,5"), false), (json!(92_233_720_368_548_u64), false), (json!(null), true)] {
        let refused = backend.post("/payment-link/create", &json!({"amount": bad})).await.text();
        assert_eq!(refused.matches("amount").count(), 1, "{refused}");
        assert_eq!(refused.contains("must be given"), missing, "{refused}");
    }
    let draft = json!({"itemName": "Workshop", "amount": "5", "customerEmail": "nobody", "dueDate": "soon"});
    let refused = backend.post("/invoice/create", &draft).await.text();
    assert!(!refused.contains("must be given"), "{refused}");
}

#[tokio::test]
async fn a_creation_is_repeated_under_its_name() {
    for app in TestApp::on_every_engine().await {
        let (backend, page) = shop(&app).await;
        let link = json!({"amount": "100.00"});
        let invoice = json!({"amount": "5", "itemName": "Workshop", "customerEmail": "a@example.com",
            "dueDate": "2026-03-01T00:00:00.000Z"});
        let recurring = json!({"amount": "5", "subscriberFullName": "A subscriber", "subscriberEmail": "a@example.com",
            "recurringDate": "2026-03-01T00:00:00.000Z", "recurringInterval": 30});
        for (path, body, listed) in [
            ("/payment-link", &link, "paymentData"),
            ("/invoice", &invoice, "invoiceData"),
            ("/recurring-payment", &recurring, "recurringPaymentData"),
        ] {
            let named = backend.clone().with("idempotency-key", path);
            let create = format!("{path}/create");
            let first = named.post(&create, body).await.expect(201);
            assert_eq!(named.post(&create, body).await.expect(201), first);
            assert_eq!(first["statusCode"], 201);
            named.post(&create, &json!({})).await.expect(400);
            let mut other = body.clone();
            other["amount"] = json!("6");
            named.post(&create, &other).await.expect(422);
            backend.clone().with("idempotency-key", "").post(&create, body).await.expect(400);
            let all = backend.get(path).await.expect(200);
            assert_eq!(all[listed].as_array().map(Vec::len), Some(1), "{path}");
        }
        // What is sent back whole changes what is new in it.
        let all = backend.get("/recurring-payment").await.expect(200);
        let mut sent = all["recurringPaymentData"][0].clone();
        sent["amount"] = json!("7");
        let changed = backend.patch("/recurring-payment/update", &sent).await.expect(200);
        assert_eq!(changed["recurringPaymentData"]["amount"], "7.00");
        for (member, value) in [("recurringDate", json!("2026-04-01T00:00:00.000Z")), ("recurringInterval", json!(31))]
        {
            let mut other = sent.clone();
            other[member] = value;
            backend.patch("/recurring-payment/update", &other).await.expect(400);
        }
        let id = text(&sent, "recurringPaymentId");
        let shown = page.get(&format!("/checkout/data/recurring.get/{id}")).await.expect(200);
        assert_eq!(shown["recurringPaymentData"]["subscriberFullName"], "");
        // Wallets are not offered, and a page is not even told that.
        backend.get("/user/all-wallets").await.expect(400);
        page.get("/user/all-wallets").await.expect(403);
    }
}
