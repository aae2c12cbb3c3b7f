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
