//! Prices in another currency than the usual one, at every door.

use serde_json::{Value, json};
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{TestApp, base_out_of_reach};

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

#[tokio::test]
async fn euros_are_asked_for_paid_and_summed_apart() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let backend = app.key(business.id(), business.value("test", "secret"));
    let euros = json!({"amount": "12.50", "currency": "EURC", "title": "Café"});
    let link = backend.post("/v1/payment_links", &euros).await.expect(201);
    assert_eq!((text(&link, "currency"), text(&link, "amount")), ("EURC", "12.50"));
    let invoice = json!({
        "title": "Atelier", "currency": "EURC", "due_at": "2026-12-31T23:00:00Z",
        "lines": [{"description": "Day", "quantity": 2, "unit_amount": "150.00"}],
    });
    let invoice = backend.post("/v1/invoices", &invoice).await.expect(201);
    assert_eq!((text(&invoice, "currency"), text(&invoice, "amount")), ("EURC", "300.00"));
    let recurring = json!({
        "amount": "9.00", "currency": "EURC", "anchor": "2026-02-01T09:00:00Z",
        "interval": {"unit": "months", "count": 1},
    });
    let recurring = backend.post("/v1/recurring_payments", &recurring).await.expect(201);
    assert_eq!(text(&recurring, "currency"), "EURC");
    // A new price is in the same currency.
    for (path, made) in [("payment_links", &link), ("invoices", &invoice), ("recurring_payments", &recurring)] {
        let path = format!("/v1/{path}/{}", text(made, "id"));
        let changed = backend.patch(&path, &json!({"amount": "10.00"})).await.expect(200);
        assert_eq!((text(&changed, "currency"), text(&changed, "amount")), ("EURC", "10.00"), "{path}");
    }
    // Dollars come first, and are another token; the euros after them pay it.
    let payable = json!({"payable": link["id"]});
    let payment = backend.post("/v1/checkout/payments", &payable).await.expect(201);
    assert_eq!(text(&payment, "currency"), "EURC");
    let payment_path = format!("/v1/payments/{}", text(&payment, "id"));
    for (asset, status) in [("USDC", "open"), ("EURC", "settled")] {
        let sent = json!({"address": payment["address"], "amount": "10.00", "asset": asset});
        backend.post("/v1/test/transfers", &sent).await.expect(200);
        backend.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
        assert_eq!(backend.get(&payment_path).await.expect(200)["status"], status, "{asset}");
    }
    let unmatched = backend.get("/v1/deposits").await.expect(200);
    assert_eq!(
        (&unmatched["data"][0]["asset"], unmatched["data"].as_array().map(Vec::len)),
        (&json!("other"), Some(1))
    );
    let books = backend.get("/v1/movements").await.text();
    assert!(books.contains("test:base/token:EURC,EURC,10.00,10000000"), "{books}");
    // Where there is no network, nothing but the usual can be meant in LIVE; and nowhere what nobody accepts.
    let live = app.key(business.id(), business.value("live", "secret"));
    for (client, currency, told) in [
        (&live, "EURC", "is accepted on no network of LIVE: must be USDC"),
        (&backend, "GOLD", "is accepted on no network of TEST: must be USDC or EURC"),
        (&backend, "eurc", "is accepted on no network of TEST: must be USDC or EURC"),
    ] {
        let refused = client.post("/v1/payment_links", &json!({"amount": "1", "currency": currency})).await.expect(422);
        let error = &refused["errors"][0];
        assert_eq!((text(error, "pointer"), text(error, "detail")), ("/currency", told), "{refused}");
    }
}

#[tokio::test]
async fn the_page_asks_for_what_the_price_is_in() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let backend = app.key(business.id(), business.value("test", "secret"));
    let link = backend.post("/v1/payment_links", &json!({"amount": "1250", "currency": "EURC"})).await.expect(201);
    let payment = backend.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(201);
    let first = format!("/pay/payment-link/{}", text(&link, "id"));
    let started = format!("{first}/{}", text(&payment, "id"));
    for (language, sum, heading, par, only) in [
        ("en", "1,250.00", "Pay with EURC", "One EURC is charged per euro.", "Send EURC on Base only."),
        (
            "fr",
            "1\u{202f}250,00",
            "Payer en EURC",
            "Un EURC est demandé par euro.",
            "Envoyez uniquement des EURC sur Base.",
        ),
    ] {
        let page = app.anonymous().with("accept-language", language);
        let chosen = page.get(&first).await.text();
        for told in [sum, heading, par] {
            assert!(chosen.contains(told), "{told}: {chosen}");
        }
        let asked = page.get(&started).await.text();
        assert!(asked.contains(only) && !asked.contains("USDC"), "{asked}");
    }
}

#[tokio::test]
async fn milestons_clients_are_told_of_a_currency_that_they_do_not_know() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let backend = app.key(business.id(), business.value("test", "secret"));
    let checkout = app.key(business.id(), business.value("test", "checkout")).with("origin", "https://shop.example");
    let link = backend.post("/v1/payment_links", &json!({"amount": "12.50", "currency": "EURC"})).await.expect(201);
    let id = text(&link, "id");
    let read = backend.get(&format!("/payment-link/{id}")).await.expect(200);
    assert_eq!(read["paymentData"]["currency"], "EURC");
    let usual = backend.post("/payment-link/create", &json!({"amount": "5"})).await.expect(201);
    assert!(usual["paymentData"].get("currency").is_none(), "as before: {usual}");
    let change = json!({"paymentLinkId": id, "amount": "13.00"});
    let changed = backend.patch("/payment-link/update", &change).await.expect(200);
    assert_eq!(
        (&changed["paymentData"]["amount"], &changed["paymentData"]["currency"]),
        (&json!("13.00"), &json!("EURC"))
    );
    // They would pay dollars: what they say about it is refused before anything is believed.
    let claim = json!({"paymentLinkId": id, "transactionSignature": "0xcafe", "chain": "base", "env": "test"});
    let refused = checkout.post("/checkout/save-payment/paymentlink.save", &claim).await;
    assert!((400..500).contains(&refused.status.as_u16()), "{}", refused.text());
    let payments = backend.get("/v1/payments").await.expect(200);
    assert_eq!(payments["data"], json!([]));
}

#[tokio::test]
async fn a_form_asks_for_the_currency_where_there_are_several() {
    let app = TestApp::watching(TestDatabase::sqlite().await, vec![base_out_of_reach()]).await;
    let business = app.business("mileston").await;
    let mut member = app.member(business.id(), "administrator").await;
    for kind in ["payment-links", "invoices", "recurring-payments"] {
        let form = member.get(&format!("/b/{}/test/{kind}/create", business.id())).await.text();
        assert!(form.contains("<option value=\"EURC\""), "{kind}: {form}");
        let form = member.get(&format!("/b/{}/live/{kind}/create", business.id())).await.text();
        assert!(form.contains("Amount in USDC") && !form.contains("EURC"), "{kind}: {form}");
    }
    let create = format!("/b/{}/test/payment-links/create", business.id());
    let made = member.submit(&create, &create, &[("amount", "7.5"), ("currency", "EURC")]).await;
    assert_eq!(made.status.as_u16(), 303, "{}", made.text());
    let wrong = member.submit(&create, &create, &[("amount", "7.5"), ("currency", "GOLD")]).await;
    assert_eq!(wrong.status.as_u16(), 422);
    assert!(wrong.text().contains("Choose one of the currencies"));
    let list = member.get(&format!("/b/{}/test/payment-links", business.id())).await.text();
    assert!(list.contains("7.50 <span class=\"unit\">EURC</span>"), "{list}");
}
