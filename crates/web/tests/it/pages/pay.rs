//! The hosted page on which something is paid, as a browser without script reads it.

use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::Client;

use super::page;

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// The path of a page of ours.
fn path(value: &Value) -> String {
    text(value, "url").strip_prefix("http://localhost:8080").expect("our address").to_owned()
}

fn backend(app: &TestApp, business: &Business, environment: &str) -> Client {
    app.key(business.id(), business.value(environment, "secret"))
}

#[tokio::test]
async fn a_link_is_paid_and_its_receipt_shown() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = backend(&app, &business, "test");
        let draft =
            json!({"amount": "1234.5", "title": "<b>Café</b>", "redirect_url": "https://shop.example/done?a=1"});
        let link = client.post("/v1/payment_links", &draft).await.expect(201);
        let base = path(&link);
        let mut payer = app.browser();
        let shown = page(&payer.get(&base).await, 200);
        assert!(shown.contains("1,234.50 <span class=\"unit\">USDC") && shown.contains("Atelier Lumière"), "{shown}");
        assert!(shown.contains("&#60;b&#62;Café") && !shown.contains("<b>Café"), "{shown}");
        assert_eq!(client.get("/v1/payments").await.expect(200)["data"], json!([]), "looking starts nothing");

        let answer = payer.submit(&base, &base, &[("network", "test:pol")]).await;
        assert_eq!(answer.status.as_u16(), 303);
        let here = answer.header("location").to_owned();
        let waiting = page(&payer.get(&here).await, 200);
        assert!(waiting.contains("Waiting for your payment") && waiting.contains("USDC on Polygon"), "{waiting}");
        assert!(waiting.contains("<data id=\"amt\" value=\"1234.50\">1,234.50</data>"), "{waiting}");
        // A page that no script runs on does not update itself.
        for said in ["<span class=\"auto\">This page updates", "<span class=\"plain\">Press “Check again”"] {
            assert!(waiting.contains(said), "{said}: {waiting}");
        }
        let simulate = format!("{here}/simulate");
        for (scenario, says) in
            [("underpaid", "Send the remaining 123.450001 USDC"), ("slow", "Payment seen: 1 of 3 confirmations")]
        {
            let answer = payer.submit(&here, &simulate, &[("scenario", scenario)]).await;
            assert_eq!(answer.header("location"), here, "{scenario}");
            let shown = page(&payer.get(&here).await, 200);
            assert!(shown.contains(says), "{scenario}: {shown}");
        }
        let french = page(&app.browser().speaking("fr").get(&here).await, 200);
        assert!(french.contains("Paiement vu\u{a0}: 1 confirmation sur 3"), "{french}");
        client.post("/v1/test/blocks", &json!({"count": 2})).await.expect(200);
        let paid = page(&payer.get(&here).await, 200);
        assert!(paid.contains("Paid: 1,234.50 USDC") && paid.contains("Receipt"), "{paid}");
        let id = here.rsplit('/').next().expect("an id");
        assert!(paid.contains(&format!("https://shop.example/done?a=1&#38;payment_id={id}")), "{paid}");
        assert!(!paid.contains("id=\"addr\"") && !paid.contains("name=\"scenario\""), "nothing is to be sent any more");
        let events = client.get(&format!("/v1/events?subject={id}")).await.expect(200);
        assert_eq!(
            events["data"].as_array().and_then(|events| events.last()).expect("events")["actor"],
            json!({"type": "payer"})
        );

        let french = page(&app.browser().speaking("fr").get(&here).await, 200);
        assert!(french.contains("Payé\u{a0}: 1\u{202f}234,50 USDC"), "{french}");
    }
}

#[tokio::test]
async fn whoever_comes_back_to_a_paid_invoice_finds_its_receipt() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = backend(&app, &business, "test");
        let draft = json!({"title": "Workshop", "amount": "5", "due_at": "2026-03-01T00:00:00Z",
            "redirect_url": "https://shop.example/done"});
        let invoice = client.post("/v1/invoices", &draft).await.expect(201);
        let every_week = json!({"name": "A box", "amount": "9", "anchor": "2026-01-31T00:00:00Z",
            "interval": {"unit": "days", "count": 7}});
        let recurring = client.post("/v1/recurring_payments", &every_week).await.expect(201);
        for (made, amount) in [(&invoice, "5.00"), (&recurring, "9.00")] {
            let base = path(made);
            let mut payer = app.browser();
            let unpaid = page(&payer.get(&base).await, 200);
            let title = format!("<title>Pay {amount} USDC to Atelier Lumière</title>");
            assert!(unpaid.contains(&title) && !unpaid.contains("The receipt opens here"), "{unpaid}");
            let here = payer.submit(&base, &base, &[]).await.header("location").to_owned();
            let waiting = page(&payer.get(&here).await, 200);
            assert!(waiting.contains(&title) && waiting.contains("The receipt opens here"), "{waiting}");
            payer.submit(&here, &format!("{here}/simulate"), &[("scenario", "paid")]).await;
            let id = here.rsplit('/').next().expect("an id");
            // The address that stands in mails, and the one of the payment itself.
            for address in [&base, &here] {
                let paid = page(&app.browser().get(address).await, 200);
                let title = format!("<title>Receipt: {amount} USDC paid to Atelier Lumière</title>");
                for told in [title.as_str(), &format!("Paid: {amount} USDC"), "data-print", &format!("{base}/pdf"), id]
                {
                    assert!(paid.contains(told), "{address}: {told}: {paid}");
                }
                for gone in ["Total due", "Pay with USDC", "This is paid already", "The receipt opens here"] {
                    assert!(!paid.contains(gone), "{address}: {gone}: {paid}");
                }
            }
            let told = page(&payer.get(&format!("{base}?parentOrigin=https://shop.example")).await, 200);
            assert!(!told.contains("data-tell"), "nobody paid now: {told}");
        }
        let back = "href=\"https://shop.example/done?payment_id=pay_";
        assert!(page(&app.browser().get(&path(&invoice)).await, 200).contains(back));
        // The next period is to be paid again.
        client.post("/v1/test/clock", &json!({"to": "2026-02-08T00:00:00Z"})).await.expect(200);
        let next = page(&app.browser().get(&path(&recurring)).await, 200);
        assert!(next.contains("Pay with USDC") && next.contains("name=\"network\""), "{next}");
    }
}

#[tokio::test]
async fn whoever_pays_is_told_of_failures_in_their_own_words() {
    let app = TestApp::on_every_engine().await.remove(0);
    let business = app.business("mileston").await;
    let client = backend(&app, &business, "test");
    let link = client.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
    let mut payer = app.browser();
    let lost = page(&payer.get("/pay/payment-link/plink_00000000000000000000000000").await, 404);
    assert!(lost.contains("no longer exists") && lost.contains("Ask the seller for a new one."), "{lost}");
    let unknown = page(&payer.submit(&path(&link), &path(&link), &[("network", "test:moon")]).await, 422);
    assert!(unknown.contains("a network that is not offered here"), "{unknown}");
    for failed in [&lost, &unknown] {
        assert!(!failed.contains("href=\"/\"") && !failed.contains("member"), "no way to the members: {failed}");
    }
    let french = page(&app.browser().speaking("fr").get("/pay/invoice/inv_x").await, 404);
    assert!(french.contains("Demandez-en un nouveau au vendeur."), "{french}");
    // Elsewhere the way home is there.
    assert!(page(&payer.get("/b/none/live/nothing").await, 404).contains("href=\"/\""));
}

#[tokio::test]
async fn whoever_pays_late_is_told_that_it_was_seen() {
    for app in TestApp::on_every_engine().await {
        let client = backend(&app, &app.business("mileston").await, "test");
        let base = path(&client.post("/v1/payment_links", &json!({"amount": "10"})).await.expect(201));
        let mut payer = app.browser();
        let here = payer.submit(&base, &base, &[("network", "test:pol")]).await.header("location").to_owned();
        let id = here.rsplit('/').next().expect("an id");
        app.advance(Duration::from_hours(2));
        let address = client.get(&format!("/v1/payments/{id}")).await.expect(200)["address"].clone();
        for (amount, says) in [("9", "not enough arrived"), ("1", "Payment seen, after the time had run out")] {
            let body = json!({"network": "test:pol", "address": address, "amount": amount});
            client.post("/v1/test/transfers", &body).await.expect(200);
            client.post("/v1/test/blocks", &json!({"count": 1})).await.expect(200);
            let shown = page(&payer.get(&here).await, 200);
            assert!(shown.contains(says), "{amount}: {shown}");
        }
        let shown = page(&payer.get(&here).await, 200);
        assert!(
            shown.contains("please do not send again") && shown.contains("<progress max=\"3\" value=\"1\""),
            "{shown}"
        );
        assert!(!shown.contains("id=\"addr\""), "nothing is to be sent any more");
    }
}

#[tokio::test]
async fn what_cannot_be_paid_says_why() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = backend(&app, &business, "test");
        let link = client.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        let base = path(&link);
        let api = format!("/v1/payment_links/{}", text(&link, "id"));
        let mut payer = app.browser();
        client.patch(&api, &json!({"active": false})).await.expect(200);
        let closed = page(&payer.get(&base).await, 200);
        assert!(closed.contains("cannot be paid any more") && !closed.contains("name=\"network\""), "{closed}");
        let answer = payer.post(&base, &[("network", "test:base")]).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, base.as_str()));
        client.patch(&api, &json!({"active": true})).await.expect(200);
        app.platform().post_empty(&format!("/v1/businesses/{}/suspend", business.id())).await.expect(200);
        assert!(page(&payer.get(&base).await, 200).contains("not available at the moment"));
        app.platform().post_empty(&format!("/v1/businesses/{}/resume", business.id())).await.expect(200);
        // LIVE: nothing is watched yet, and nothing can be simulated.
        let live =
            backend(&app, &business, "live").post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        let shown = page(&payer.get(&path(&live)).await, 200);
        assert!(shown.contains("cannot receive payments yet") && !shown.contains("TEST payment"), "{shown}");
        // An id that is none, of another kind, or of something else, is not there.
        let other = client.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        let answer = payer.submit(&path(&other), &path(&other), &[]).await;
        let foreign = answer.header("location").rsplit('/').next().expect("an id").to_owned();
        for wrong in [
            "/pay/payment-link/plink_00000000000000000000000000".to_owned(),
            base.replace("payment-link", "invoice"),
            base.replace("payment-link", "gift"),
            format!("{base}/{foreign}"),
            format!("{base}/{foreign}/events"),
        ] {
            page(&payer.get(&wrong).await, 404);
        }
        // Another site's form starts nothing.
        let before = client.get("/v1/payments").await.expect(200)["data"].as_array().map(Vec::len);
        assert_eq!(payer.post_from_elsewhere(&base, &[("network", "test:base")]).await.status.as_u16(), 403);
        assert_eq!(client.get("/v1/payments").await.expect(200)["data"].as_array().map(Vec::len), before);
        client.delete(&api).await.expect(200);
        page(&payer.get(&base).await, 404);
    }
}

/// Whether a page asks for money.
fn asks(page: &str) -> bool {
    page.contains("id=\"addr\"") || page.contains("class=\"qr\"") || page.contains("Waiting for your payment")
}

#[tokio::test]
async fn a_payment_that_was_started_asks_for_nothing_once_it_is_no_longer_wanted() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = backend(&app, &business, "test");
        let mut payer = app.browser();
        let invoice = json!({"title": "Workshop", "amount": "5", "due_at": "2026-03-01T00:00:00Z"});
        let invoice = client.post("/v1/invoices", &invoice).await.expect(201);
        let started = payer.submit(&path(&invoice), &path(&invoice), &[]).await.header("location").to_owned();
        let open = page(&payer.get(&started).await, 200);
        assert!(asks(&open) && open.contains("name=\"scenario\""), "{open}");

        // Suspended for a while.
        let business_path = format!("/v1/businesses/{}", business.id());
        app.platform().post_empty(&format!("{business_path}/suspend")).await.expect(200);
        let closed = page(&payer.get(&started).await, 200);
        assert!(closed.contains("not available at the moment") && !asks(&closed), "{closed}");
        assert!(closed.contains("data-watch") && !closed.contains("name=\"scenario\""), "{closed}");
        app.platform().post_empty(&format!("{business_path}/resume")).await.expect(200);
        assert!(asks(&page(&payer.get(&started).await, 200)));
        // Called off for good.
        client.post_empty(&format!("/v1/invoices/{}/void", text(&invoice, "id"))).await.expect(200);
        let closed = page(&payer.get(&started).await, 200);
        assert!(closed.contains("This was called off") && !asks(&closed), "{closed}");

        // Two tabs with a link that is paid once.
        let link = client.post("/v1/payment_links", &json!({"amount": "1", "single_use": true})).await.expect(201);
        let mut tabs = Vec::new();
        for _ in 0..2 {
            tabs.push(payer.submit(&path(&link), &path(&link), &[]).await.header("location").to_owned());
        }
        let [one, other] = tabs.as_slice() else { panic!("two tabs") };
        payer.submit(one, &format!("{one}/simulate"), &[("scenario", "slow")]).await;
        assert!(page(&payer.get(one).await, 200).contains("1 of 3 confirmations"));
        for tab in [other, &path(&link)] {
            let closed = page(&payer.get(tab).await, 200);
            assert!(closed.contains("A payment for this is being confirmed") && !asks(&closed), "{closed}");
        }
        client.post("/v1/test/blocks", &json!({"count": 2})).await.expect(200);
        assert!(page(&payer.get(one).await, 200).contains("Paid: 1.00 USDC"));
        let closed = page(&payer.get(other).await, 200);
        assert!(closed.contains("This is paid already") && !asks(&closed), "{closed}");
    }
}

#[tokio::test]
async fn lines_are_those_of_the_price_and_grouped_as_the_language_does() {
    let app = TestApp::on_every_engine().await.remove(0);
    let business = app.business("mileston").await;
    let client = backend(&app, &business, "test");
    let line = |quantity: u32| json!([{"description": "Sheets", "quantity": quantity, "unit_amount": "1"}]);
    let draft = json!({"title": "Paper", "lines": line(1500), "due_at": "2026-03-01T00:00:00Z"});
    let invoice = client.post("/v1/invoices", &draft).await.expect(201);
    let mut payer = app.browser();
    let started = payer.submit(&path(&invoice), &path(&invoice), &[]).await.header("location").to_owned();
    for address in [&path(&invoice), &started] {
        let shown = page(&payer.get(address).await, 200);
        assert!(shown.contains("Sheets × 1,500"), "{shown}");
        let french = page(&app.browser().speaking("fr").get(address).await, 200);
        assert!(french.contains("Sheets × 1\u{202f}500"), "{french}");
    }
    let api = format!("/v1/invoices/{}", text(&invoice, "id"));
    client.patch(&api, &json!({"lines": line(2500)})).await.expect(200);
    assert!(page(&payer.get(&path(&invoice)).await, 200).contains("Sheets × 2,500"));
    let old = page(&payer.get(&started).await, 200);
    assert!(old.contains("1,500.00 <span class=\"unit\">USDC") && !old.contains("Sheets"), "{old}");
}

#[tokio::test]
async fn only_an_origin_that_the_business_lists_is_told() {
    let app = TestApp::on_every_engine().await.remove(0);
    let business = app.business("mileston").await;
    let client = backend(&app, &business, "test");
    let checkout = text(business.key("test", "checkout"), "id");
    let change = json!({"allowed_origins": ["https://shop.example"]});
    let manage = format!("/v1/businesses/{}/keys/{checkout}?environment=test", business.id());
    app.platform().patch(&manage, &change).await.expect(200);
    let link = client.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
    let base = path(&link);
    let mut payer = app.browser();
    let opened = format!("{base}?parentOrigin=https://shop.example");
    let answer = payer.submit(&opened, &base, &[("network", "test:base")]).await;
    let here = answer.header("location").to_owned();
    assert!(here.ends_with("?parentOrigin=https://shop.example"), "{here}");
    let address = here.split('?').next().expect("a path").to_owned();
    // Whatever is pressed on the page, the opener is not forgotten.
    assert!(page(&payer.get(&here).await, 200).contains(&format!("href=\"{here}\">Check again")));
    let simulate = format!("{address}/simulate?parentOrigin=https://shop.example");
    let answer = payer.submit(&here, &simulate, &[("scenario", "paid")]).await;
    assert_eq!(answer.header("location"), here);
    let told = payer.get(&here).await;
    assert_eq!(told.header("cross-origin-opener-policy"), "unsafe-none", "the opener is spoken to");
    assert!(page(&told, 200).contains("data-tell=\"https://shop.example\""));
    for other in ["https://evil.example", "*", "null", "https://shop.example.evil.example"] {
        assert!(
            !page(&payer.get(&format!("{address}?parentOrigin={other}")).await, 200).contains("data-tell"),
            "{other}"
        );
    }
}

#[tokio::test]
async fn addresses_of_mileston_lead_people_to_the_page() {
    let app = TestApp::on_every_engine().await.remove(0);
    let business = app.business("mileston").await;
    let client = backend(&app, &business, "test");
    let link = client.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
    let id = text(&link, "id");
    let html = app.anonymous().with("accept", "text/html,*/*;q=0.8");
    for (asked, leads) in [
        (format!("/payment-link/{id}"), format!("/pay/payment-link/{id}")),
        (
            format!("/payment-link/{id}?parentOrigin=https%3A%2F%2Fshop.example"),
            format!("/pay/payment-link/{id}?parentOrigin=https%3A%2F%2Fshop.example"),
        ),
        ("/invoice/inv_x".to_owned(), "/pay/invoice/inv_x".to_owned()),
        ("/recurring-payment/rec_x?a".to_owned(), "/pay/recurring-payment/rec_x?a".to_owned()),
    ] {
        let answer = html.get(&asked).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, leads.as_str()), "{asked}");
    }
    // A program, or whoever has a key, is answered.
    let path = format!("/payment-link/{id}");
    app.anonymous().get(&path).await.expect(401);
    client.with("accept", "text/html").get(&path).await.expect(200);
    html.get("/payment-link").await.expect(401);
    assert_eq!(html.delete("/payment-link/delete/x").await.status.as_u16(), 401);
}

#[tokio::test]
async fn the_stream_tells_the_state_and_ends_with_it() {
    let app = TestApp::on_every_engine().await.remove(0);
    let business = app.business("mileston").await;
    let client = backend(&app, &business, "test");
    let link = client.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
    let started = client.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(201);
    let scenario = format!("/v1/test/payments/{}/scenario", text(&started, "id"));
    client.post(&scenario, &json!({"scenario": "paid"})).await.expect(200);
    let events = text(&started, "events_url").strip_prefix("http://localhost:8080").expect("our address").to_owned();
    let answer = app.anonymous().get(&events).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream"));
    let told = answer.text();
    let data = told.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!((&data["paid"], text(&data, "status")), (&json!(true), "settled"));
    let id = told.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned();
    // Whoever has seen it is told not to come back.
    let request = Request::builder().uri(&events).header("last-event-id", id);
    let again = app.anonymous().call(request.body(axum::body::Body::empty()).expect("a request")).await;
    assert_eq!(again.status.as_u16(), 204);
    app.anonymous().get(&events.replace("token=pst_", "token=pst_x")).await.expect(404);
}

#[tokio::test]
async fn a_transaction_is_handed_in_by_the_page_itself_and_by_no_other() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = backend(&app, &business, "test");
        let link = client.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        let base = path(&link);
        let mut payer = app.browser();
        let (first, second) = (payer.submit(&base, &base, &[]).await, payer.submit(&base, &base, &[]).await);
        let (here, other) = (first.header("location").to_owned(), second.header("location").to_owned());
        let hand_in = format!("{here}/transaction");
        let hash = format!("0x{}", "5c".repeat(32));
        let fields = [("transaction_hash", hash.as_str())];
        let status = async |of: &str| {
            let id = of.rsplit('/').next().expect("an id");
            text(&client.get(&format!("/v1/payments/{id}")).await.expect(200), "status").to_owned()
        };
        // A page of another site, of another host of this site, and one that says nothing of itself.
        assert_eq!(payer.post_from_elsewhere(&hand_in, &fields).await.status.as_u16(), 403);
        for (name, value) in [("sec-fetch-site", "same-site"), ("origin", "null"), ("origin", "https://shop.example")] {
            let request = Request::post(&hand_in)
                .header(name, value)
                .header("host", "localhost:8080")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("transaction_hash={hash}").into())
                .expect("a request");
            assert_eq!(app.anonymous().call(request).await.status.as_u16(), 403, "{name}: {value}");
        }
        let silent = Request::post(&hand_in)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("transaction_hash={hash}").into())
            .expect("a request");
        assert_eq!(app.anonymous().call(silent).await.status.as_u16(), 403);
        // Whoever is signed in besides sends the token of their session, as every form of theirs does.
        let mut member = app.member(business.id(), "developer").await;
        assert_eq!(member.post(&hand_in, &fields).await.status.as_u16(), 403);
        assert_eq!(status(&here).await, "open", "nothing was handed in");
        for (wrong, code) in [("", 422), ("a b", 422), (&"a".repeat(129), 422)] {
            let refused = payer.post(&hand_in, &[("transaction_hash", wrong)]).await;
            assert_eq!(refused.status.as_u16(), code, "{wrong}: {}", refused.text());
        }
        let elsewhere = hand_in.replace(&base, "/pay/payment-link/plink_00000000000000000000000000");
        assert_eq!(payer.post(&elsewhere, &fields).await.status.as_u16(), 404);
        let done = payer.post(&hand_in, &fields).await;
        assert_eq!((done.status.as_u16(), done.header("location")), (303, here.as_str()), "{}", done.text());
        assert_eq!((status(&here).await, status(&other).await), ("settled".to_owned(), "open".to_owned()));
        assert_eq!(payer.post(&format!("{other}/transaction"), &fields).await.status.as_u16(), 409, "it is taken");
        assert_eq!(status(&other).await, "open");
    }
}
