//! The pages of refunds: asked for, sent, handed in, called off, and by whom.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_service::Context;
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{Business, PASSWORD, TestApp, base_out_of_reach};
use trousseau_testkit::browser::Browser;
use trousseau_testkit::client::Client;

use super::{page, sent_otherwise, steady, token};

/// A key that pays, and moves money on the ledger of TEST.
fn backend(app: &TestApp, business: &Business) -> Client {
    app.key(business.id(), business.value("test", "secret"))
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// A payment of 12.50 that played a scenario.
async fn paid(app: &TestApp, business: &Business, scenario: &str) -> Value {
    let backend = backend(app, business);
    let link = backend.post("/v1/payment_links", &json!({"amount": "12.50", "title": "Lamp"})).await.expect(201);
    let payment = backend.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(201);
    let path = format!("/v1/test/payments/{}/scenario", text(&payment, "id"));
    backend.post(&path, &json!({"scenario": scenario})).await.expect(200);
    payment
}

fn payments(business: &Business) -> String {
    format!("/b/{}/test/payments", business.id())
}

fn path_of(business: &Business, payment: &Value) -> String {
    format!("{}/{}", payments(business), text(payment, "id"))
}

/// Asks for a refund on its page, and gives the path of the refund's own.
async fn asked(browser: &mut Browser, of: &str, fields: &[(&str, &str)]) -> String {
    let form = format!("{of}/refund");
    let made = browser.submit(&form, &form, fields).await;
    assert_eq!(made.status.as_u16(), 303, "{}", made.text());
    made.header("location").to_owned()
}

/// What a wallet sends on the ledger of TEST: the hash of its transaction.
async fn sent(backend: &Client, to: &str, amount: &str) -> String {
    let body = json!({"address": to, "amount": amount});
    text(&backend.post("/v1/test/transfers", &body).await.expect(200), "transaction_hash").to_owned()
}

#[tokio::test]
async fn what_is_asked_for_wrongly_stands_at_its_field_and_nothing_is_filled_in_from_the_transfer() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut developer = app.member(business.id(), "developer").await;
        let refunds = format!("{}/refunds", payments(&business));
        assert!(page(&developer.get(&payments(&business)).await, 200).contains(&refunds), "the way there");
        assert!(page(&developer.get(&refunds).await, 200).contains("No refund yet"));
        // What is not certain yet is not given back.
        let slow = path_of(&business, &paid(&app, &business, "slow").await);
        assert!(!page(&developer.get(&slow).await, 200).contains("/refund\""));
        let refused = developer.get(&format!("{slow}/refund")).await;
        assert_eq!(refused.header("location"), slow);
        assert!(page(&developer.follow(&refused).await, 200).contains("Nothing can be given back"));

        let payment = paid(&app, &business, "paid").await;
        let of = path_of(&business, &payment);
        let form = format!("{of}/refund");
        assert!(page(&developer.get(&of).await, 200).contains(&format!("href=\"{form}\"")));
        let shown = page(&developer.get(&form).await, 200);
        assert!(shown.contains("name=\"amount\" type=\"text\" value=\"12.50\""), "all that is left: {shown}");
        // The address is for the payer to say: nothing of the transfer is on this page.
        assert!(shown.contains("name=\"destination\" type=\"text\" value=\"\"") && !shown.contains("test_payer"));
        assert!(shown.contains("may have come from an exchange"), "{shown}");
        // Each mistake stands at its field, and what was typed stays.
        let long = "x".repeat(501);
        for (fields, wrong) in [
            ([("amount", "12.500001"), ("destination", "test_a"), ("reason", "")], "amount"),
            ([("amount", "0"), ("destination", "test_a"), ("reason", "")], "amount"),
            ([("amount", "1,2,3"), ("destination", "test_a"), ("reason", "")], "amount"),
            ([("amount", ""), ("destination", "test_a"), ("reason", "")], "amount"),
            ([("amount", "1"), ("destination", ""), ("reason", "")], "destination"),
            ([("amount", "1"), ("destination", "<b>"), ("reason", "")], "destination"),
            ([("amount", "1"), ("destination", text(&payment, "address")), ("reason", "")], "destination"),
            ([("amount", "1"), ("destination", &long[..129]), ("reason", "")], "destination"),
            ([("amount", "1"), ("destination", "test_a"), ("reason", &long)], "reason"),
        ] {
            let refused = page(&developer.submit(&form, &form, &fields).await, 422);
            assert_eq!(refused.matches("class=\"field-error\"").count(), 1, "{fields:?}: {refused}");
            assert!(refused.contains(&format!("id=\"{wrong}-error\"")), "{fields:?}: {refused}");
            let typed = fields.iter().find(|(name, _)| *name == wrong).expect("the field").1;
            assert!(refused.contains(&typed.replace("<b>", "&#60;b&#62;")), "{fields:?}");
        }
        let too_much = [("amount", "13"), ("destination", "test_a")];
        assert!(page(&developer.submit(&form, &form, &too_much).await, 422).contains("at most 12.50 USDC"));
        assert!(page(&developer.get(&refunds).await, 200).contains("No refund yet"), "nothing was asked for");
    }
}

#[tokio::test]
async fn a_payment_is_given_back_in_parts_and_never_more_than_came() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut developer = app.member(business.id(), "developer").await;
        let backend = backend(&app, &business);
        let of = path_of(&business, &paid(&app, &business, "paid").await);
        let form = format!("{of}/refund");
        let fields = [("amount", "2,5"), ("destination", "test_customer"), ("reason", "Broken <cup>")];
        let refund = asked(&mut developer, &of, &fields).await;
        let shown = page(&developer.get(&refund).await, 200);
        for told in [
            "Refund of 2.50 USDC",
            "</svg>To be sent",
            "What to send",
            "<data id=\"send-amount\" value=\"2.50\">",
            "test_customer",
            "Broken &#60;cup&#62;",
            "<span>You</span>",
            "Refund asked for",
            &of,
            &format!("{refund}/send\""),
            &format!("{refund}/cancel\""),
        ] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        let done = developer.submit(&refund, &format!("{refund}/send"), &[]).await;
        let shown = page(&developer.follow(&done).await, 200);
        assert!(shown.contains("Sent on the ledger of TEST") && shown.contains("</svg>Sent for certain"), "{shown}");
        for gone in ["/send\"", "/cancel\"", "name=\"transaction_hash\"", "What to send"] {
            assert!(!shown.contains(gone), "{gone}: {shown}");
        }
        let shown = page(&developer.get(&of).await, 200);
        assert!(shown.contains("</svg>Partly refunded") && shown.contains("Given back for certain"), "{shown}");
        assert!(shown.contains(&refund) && shown.contains("2.50"), "{shown}");

        // The rest, called off and asked for once more.
        assert!(page(&developer.get(&form).await, 200).contains("value=\"10.00\""));
        app.advance(Duration::from_secs(1));
        let rest = asked(&mut developer, &of, &[("destination", "test_customer")]).await;
        let nothing = developer.get(&form).await;
        assert_eq!(nothing.header("location"), of);
        assert!(!page(&developer.get(&of).await, 200).contains(&form), "all of it is promised");
        let cancel = format!("{rest}/cancel");
        let question = page(&developer.get(&cancel).await, 200);
        assert!(question.contains("Call this refund off?"), "{question}");
        let done = developer.submit(&cancel, &cancel, &[]).await;
        let shown = page(&developer.follow(&done).await, 200);
        assert!(shown.contains("Refund called off") && shown.contains("</svg>Called off"), "{shown}");
        assert_eq!(developer.get(&cancel).await.header("location"), rest, "it is called off");
        app.advance(Duration::from_secs(1));
        let rest = asked(&mut developer, &of, &[("destination", "test_customer")]).await;

        // By hand, as a wallet would.
        let wrong_amount = sent(&backend, "test_customer", "9.99").await;
        let elsewhere = sent(&backend, "test_other", "10").await;
        backend.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
        for (hash, says) in [
            ("", "as the ledger of TEST says it"),
            ("not a hash", "as the ledger of TEST says it"),
            (&wrong_amount, "moves another amount"),
            (&elsewhere, "goes to another address"),
        ] {
            let refused = page(&developer.submit(&rest, &rest, &[("transaction_hash", hash)]).await, 422);
            assert!(refused.contains(says) && refused.contains("id=\"transaction_hash-error\""), "{hash}: {refused}");
            assert!(refused.contains(&format!("value=\"{hash}\"")), "{hash}: {refused}");
        }
        let hash = sent(&backend, "test_customer", "10").await;
        let done = developer.submit(&rest, &rest, &[("transaction_hash", &format!(" {hash} "))]).await;
        let shown = page(&developer.follow(&done).await, 200);
        assert!(shown.contains("Transaction handed in") && shown.contains("</svg>Being confirmed"), "{shown}");
        let in_block = shown.contains("is in a block and does what it should");
        assert!(in_block != shown.contains("is in no block yet"), "one of the two: {shown}");
        backend.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
        let shown = page(&developer.get(&rest).await, 200);
        assert!(shown.contains("</svg>Sent for certain") && shown.contains(&hash), "{shown}");
        assert!(page(&developer.get(&of).await, 200).contains("</svg>Refunded"));
    }
}

#[tokio::test]
async fn refunds_are_listed_narrowed_and_taken_along() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut developer = app.member(business.id(), "developer").await;
        let of = path_of(&business, &paid(&app, &business, "paid").await);
        let refunds = format!("{}/refunds", payments(&business));
        let parts = [("2.5", "Broken <cup>", "send"), ("10", "", "cancel"), ("10", "", "send")];
        for (amount, reason, act) in parts {
            let fields = [("amount", amount), ("destination", "test_customer"), ("reason", reason)];
            let refund = asked(&mut developer, &of, &fields).await;
            let from = if act == "send" { refund.clone() } else { format!("{refund}/cancel") };
            let done = developer.submit(&from, &format!("{refund}/{act}"), &[]).await;
            assert_eq!(done.header("location"), refund, "{}", done.text());
            app.advance(Duration::from_secs(1));
        }
        for (query, found) in [
            ("", 3),
            ("status=succeeded", 2),
            ("status=cancelled", 1),
            ("status=pending", 0),
            ("q=broken", 1),
            ("q=test_customer", 3),
            ("from=2026-01-31&to=2026-01-31", 3),
            ("to=2026-01-30", 0),
            ("number=1", 0),
            ("number=99", 0),
        ] {
            let list = page(&developer.get(&format!("{refunds}?{query}")).await, 200);
            assert_eq!(list.matches("class=\"name\"").count(), found, "{query}: {list}");
            let file = developer.get(&format!("{refunds}?format=csv&{query}")).await;
            assert_eq!(file.text().lines().count(), found + 1, "{query}: {}", file.text());
        }
        let lost = developer.get(&format!("{refunds}?after=rfd_00000000000000000000000000")).await;
        assert_eq!((lost.status.as_u16(), lost.header("location")), (303, refunds.as_str()));
        let file = developer.get(&format!("{refunds}?format=csv&q=broken")).await.text();
        assert!(file.contains(",2.50,USDC,test:base,test_customer,") && file.contains(",Broken <cup>"), "{file}");
    }
}

#[tokio::test]
async fn a_form_sent_twice_asks_for_one_refund() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let mut developer = app.member(business.id(), "developer").await;
    let form = format!("{}/refund", path_of(&business, &paid(&app, &business, "paid").await));
    let shown = page(&developer.get(&form).await, 200);
    let value = |name: &str| {
        let (_, rest) = shown.split_once(&format!("name=\"{name}\" value=\"")).expect("a field");
        rest.split_once('"').expect("an end").0.to_owned()
    };
    let (csrf, once) = (value("csrf"), value("once"));
    let (fields, other) = ([("amount", "1"), ("destination", "test_customer")], [("amount", "1.5")]);
    let made = sent_otherwise(&mut developer, &form, &fields, &other, "value=\"1.5\"").await;
    assert!(made.header("location").contains("/refunds/rfd_"), "{}", made.text());
    // A part, and all that is left, after which nothing is.
    for amount in ["2", "8"] {
        let once = format!("{once}{amount}");
        let fields = [("csrf", csrf.as_str()), ("once", &once), ("amount", amount), ("destination", "test_customer")];
        let first = developer.post(&form, &fields).await;
        let again = developer.post(&form, &fields).await;
        assert_eq!(first.header("location"), again.header("location"), "{amount}: {}", again.text());
        assert!(first.header("location").contains("/refunds/rfd_"), "{}", first.text());
    }
    let list = page(&developer.get(&format!("{}/refunds", payments(&business))).await, 200);
    assert_eq!(list.matches("class=\"name\"").count(), 4, "{list}");
}

#[tokio::test]
async fn whoever_may_not_give_back_reads_and_changes_nothing() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut developer = app.member(business.id(), "developer").await;
        let of = path_of(&business, &paid(&app, &business, "paid").await);
        let refund = asked(&mut developer, &of, &[("amount", "1"), ("destination", "test_customer")]).await;
        let list = format!("{}/refunds", payments(&business));
        let acts = [format!("{of}/refund"), refund.clone(), format!("{refund}/cancel"), format!("{refund}/send")];

        let mut analyst = app.member(business.id(), "analyst").await;
        let read = page(&analyst.get(&of).await, 200);
        assert!(read.contains(&refund) && !read.contains("/refund\""), "{read}");
        assert!(page(&analyst.get(&list).await, 200).contains(&refund));
        let read = page(&analyst.get(&refund).await, 200);
        assert!(read.contains("test_customer") && !read.contains("<form class=\"form\""), "{read}");
        let csrf = token(&mut analyst).await;
        let fields = [("csrf", csrf.as_str()), ("amount", "1"), ("destination", "test_x"), ("transaction_hash", "x")];
        for path in &acts {
            let refused = page(&analyst.post(path, &fields).await, 403);
            assert!(refused.contains("Your role does not include this"), "{path}: {refused}");
        }
        for path in [&acts[0], &acts[2]] {
            page(&analyst.get(path).await, 403);
        }

        // What is another business's, in the other environment, or not at all, is not there, whoever asks.
        let other = app.business("mileston").await;
        let mut stranger = app.member(other.id(), "administrator").await;
        let csrf = token(&mut stranger).await;
        let fields = [("csrf", csrf.as_str()), ("amount", "1"), ("destination", "test_x"), ("transaction_hash", "x")];
        for path in &acts {
            for path in [path.clone(), path.replace(business.id(), other.id())] {
                assert_eq!(stranger.post(&path, &fields).await.status.as_u16(), 404, "{path}");
            }
        }
        assert_eq!(stranger.get(&list).await.status.as_u16(), 404);
        assert!(page(&stranger.get(&list.replace(business.id(), other.id())).await, 200).contains("No refund yet"));
        let csrf = token(&mut developer).await;
        let fields = [("csrf", csrf.as_str()), ("amount", "1"), ("destination", "test_x"), ("transaction_hash", "x")];
        for path in &acts {
            let live = path.replace("/test/", "/live/");
            assert_eq!(developer.post(&live, &fields).await.status.as_u16(), 404, "{live}");
        }
        for none in [
            format!("{list}/rfd_00000000000000000000000000"),
            format!("{list}/rfd_"),
            format!("{list}/%FF"),
            format!("{}/pay_00000000000000000000000000/refund", payments(&business)),
            format!("{}/unmatched/dep_00000000000000000000000000/refund", payments(&business)),
            refund.replace("/test/", "/live/"),
        ] {
            assert_eq!(developer.get(&none).await.status.as_u16(), 404, "{none}");
        }
        let shown = page(&developer.get(&refund).await, 200);
        assert!(shown.contains("</svg>To be sent"), "nothing has changed: {shown}");
        assert_eq!(page(&developer.get(&list).await, 200).matches("class=\"name\"").count(), 1);
        assert!(app.browser().get(&refund).await.header("location").starts_with("/sign-in?"));
    }
}

#[tokio::test]
async fn no_refund_is_taken_from_another_site_without_its_token_or_in_pieces() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let mut developer = app.member(business.id(), "developer").await;
    let of = path_of(&business, &paid(&app, &business, "paid").await);
    let refund = asked(&mut developer, &of, &[("amount", "1"), ("destination", "test_customer")]).await;
    let csrf = token(&mut developer).await;
    for path in [format!("{of}/refund"), refund.clone(), format!("{refund}/cancel"), format!("{refund}/send")] {
        let fields = [("csrf", csrf.as_str()), ("amount", "1"), ("destination", "test_x"), ("transaction_hash", "x")];
        assert_eq!(developer.post_from_elsewhere(&path, &fields).await.status, 403, "{path}");
        assert_eq!(developer.post(&path, &fields[1..]).await.status, 403, "{path}");
    }
    let cookie = developer.cookie("__Host-trousseau_session").expect("a session").to_owned();
    for (body, status) in [
        (format!("csrf={csrf}&amount=1&destination=%FF%FE").into_bytes(), 422),
        (format!("csrf={csrf}&amount=1&destination={}", "x".repeat(70_000)).into_bytes(), 413),
    ] {
        let request = Request::post(format!("{of}/refund"))
            .header("cookie", format!("__Host-trousseau_session={cookie}"))
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .expect("a request");
        let answer = app.anonymous().call(request).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    }
    let list = page(&developer.get(&format!("{}/refunds", payments(&business))).await, 200);
    assert_eq!(list.matches("class=\"name\"").count(), 1, "{list}");
    assert!(page(&developer.get(&refund).await, 200).contains("</svg>To be sent"));
}

#[tokio::test]
async fn what_no_payment_takes_is_given_back_and_leaves_the_list() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut developer = app.member(business.id(), "developer").await;
        let backend = backend(&app, &business);
        let tenant = Tenant::new(business.id().parse().expect("an id"), Environment::Test);
        let place =
            app.app.payments().spare_address(&Context::system(), &tenant, "test:base").await.expect("given out");
        sent(&backend, &place.address, "7").await;
        backend.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
        paid(&app, &business, "wrong_token").await;
        let unmatched = format!("{}/unmatched", payments(&business));
        let list = page(&developer.get(&unmatched).await, 200);
        assert_eq!(list.matches("/dismiss\"").count(), 2, "{list}");
        // Of another token there is nothing that a refund could say.
        assert_eq!(list.matches("/refund\"").count(), 1, "{list}");
        let (of, _) = list.split_once("/refund\"").expect("a way to give it back");
        let of = of.rsplit_once("href=\"").expect("a link").1.to_owned();
        let form = format!("{of}/refund");
        assert!(page(&developer.get(&format!("{of}/dismiss")).await, 200).contains(&form));
        let shown = page(&developer.get(&form).await, 200);
        assert!(shown.contains("value=\"7.00\"") && !shown.contains("test_payer"), "{shown}");
        let refused =
            page(&developer.submit(&form, &form, &[("amount", "7.01"), ("destination", "test_a")]).await, 422);
        assert!(refused.contains("at most 7.00 USDC"), "{refused}");
        let refund = asked(&mut developer, &of, &[("destination", "test_customer")]).await;
        let nothing = developer.get(&form).await;
        assert_eq!(nothing.header("location"), unmatched, "all of it is promised");
        let shown = page(&developer.get(&refund).await, 200);
        assert!(shown.contains("7.00") && shown.contains(of.rsplit('/').next().expect("an id")), "{shown}");
        let done = developer.submit(&refund, &format!("{refund}/send"), &[]).await;
        assert!(page(&developer.follow(&done).await, 200).contains("</svg>Sent for certain"));
        let list = page(&developer.get(&unmatched).await, 200);
        assert!(!list.contains(&form) && list.matches("/dismiss\"").count() == 1, "{list}");
    }
}

#[tokio::test]
async fn money_that_waits_for_a_decision_can_be_given_back_instead() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let mut developer = app.member(business.id(), "developer").await;
    let backend = backend(&app, &business);
    let link = backend.post("/v1/payment_links", &json!({"amount": "5"})).await.expect(201);
    let payment = backend.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(201);
    backend.post_empty(&format!("/v1/payments/{}/cancel", text(&payment, "id"))).await.expect(200);
    sent(&backend, text(&payment, "address"), "5").await;
    backend.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
    let of = path_of(&business, &payment);
    assert!(page(&developer.get(&format!("{of}/decide")).await, 200).contains(&format!("{of}/refund")));
    let refund = asked(&mut developer, &of, &[("destination", "test_customer")]).await;
    // All of it is promised: there is no other one to ask for.
    assert!(!page(&developer.get(&format!("{of}/decide")).await, 200).contains(&format!("{of}/refund\"")));
    developer.submit(&refund, &format!("{refund}/send"), &[]).await;
    assert!(page(&developer.get(&of).await, 200).contains("</svg>Refunded"));
}

/// A LIVE payment of 12.50 on Base, settled, in the place of one of TEST: no node is there to see one come.
async fn live_payment(app: &TestApp, business: &Business) -> String {
    let of = path_of(business, &paid(app, business, "paid").await);
    let sql = "UPDATE payments SET environment = 'live', ledger = 'eip155:8453', network = 'eip155:8453', \
               address = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8'";
    app.database.run(sql).await.expect("changed");
    of.replace("/test/", "/live/")
}

#[tokio::test]
async fn in_live_whoever_gives_back_proves_who_they_are_and_loses_nothing_by_it() {
    let customer = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let usdc = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
    let app = TestApp::watching(TestDatabase::sqlite().await, vec![base_out_of_reach()]).await;
    let business = app.business("mileston").await;
    let mut developer = app.member(business.id(), "developer").await;
    let of = live_payment(&app, &business).await;
    let form = format!("{of}/refund");
    let prove = async |developer: &mut Browser, late: &trousseau_testkit::client::Answer| {
        assert!(late.header("location").starts_with("/step-up"), "{} {}", late.header("location"), late.text());
        let proven = developer.submit(late.header("location"), "/step-up", &[("password", PASSWORD)]).await;
        page(&developer.follow(&proven).await, 200)
    };
    // Mistakes of LIVE: no address, one with a letter in the wrong case, the token's contract, the payment's own.
    let own = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    for wrong in ["test_customer", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", usdc] {
        let refused = page(&developer.submit(&form, &form, &[("destination", wrong)]).await, 422);
        assert!(refused.contains("id=\"destination-error\"") && refused.contains(wrong), "{wrong}: {refused}");
    }
    // What can spend is not shown again, nor kept.
    let digits = format!("0x{}", "a1".repeat(32));
    let phrase = "test test test test test test test test test test test junk";
    for secret in [digits.as_str(), phrase] {
        let refused = page(&developer.submit(&form, &form, &[("destination", secret)]).await, 422);
        assert!(refused.contains("This can spend") && !refused.contains(&secret[..20]), "{refused}");
    }
    let shown = page(&developer.get(&form).await, 200);
    assert!(!shown.contains(own) && shown.contains("on Base. Nothing is filled in"), "{shown}");
    // The proof is too old when the form is sent, and when it is opened.
    let csrf = token(&mut developer).await;
    app.advance(Duration::from_mins(11));
    let once = "req_1";
    let fields = [("csrf", csrf.as_str()), ("once", once), ("amount", "2.5"), ("destination", customer)];
    let late = developer.post(&form, &fields).await;
    let again = prove(&mut developer, &late).await;
    assert!(again.contains(customer) && again.contains("value=\"2.5\""), "what was typed is there again: {again}");
    let refund = asked(&mut developer, &of, &[("amount", "2.5"), ("destination", customer)]).await;
    let shown = page(&developer.get(&refund).await, 200);
    for told in [
        "LIVE</span>",
        customer,
        usdc,
        "class=\"qr\"",
        "Chain ID 8453",
        "0xa9059cbb0000000000000000000000005aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        "ethereum:0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913@8453/transfer?address=",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(!shown.contains("/send\""), "nobody sends for the merchant in LIVE: {shown}");
    let csrf = token(&mut developer).await;
    assert_eq!(developer.post(&format!("{refund}/send"), &[("csrf", &csrf)]).await.status.as_u16(), 403);
    // No node answers, and the hash is not lost.
    let hash = format!("0x{}", "5c".repeat(32));
    for (typed, says) in [("0x12", "0x and 64 digits"), (&hash, "No node of the network answers")] {
        let refused = page(&developer.submit(&refund, &refund, &[("transaction_hash", typed)]).await, 422);
        assert!(refused.contains(says) && refused.contains(&format!("value=\"{typed}\"")), "{typed}: {refused}");
    }
    let refused = page(&developer.submit(&refund, &refund, &[("transaction_hash", phrase)]).await, 422);
    assert!(refused.contains("This can spend") && !refused.contains("junk"), "{refused}");
    app.advance(Duration::from_mins(11));
    for path in [&form, &format!("{refund}/cancel")] {
        let late = developer.get(path).await;
        assert!(late.header("location").starts_with("/step-up"), "{path}: {}", late.header("location"));
    }
    let csrf = token(&mut developer).await;
    let late = developer.post(&format!("{refund}/cancel"), &[("csrf", &csrf)]).await;
    assert!(late.header("location").starts_with("/step-up"), "{}", late.header("location"));
    assert!(page(&developer.get(&refund).await, 200).contains("</svg>To be sent"), "reading it takes no proof");
    prove(&mut developer, &late).await;
    let cancel = format!("{refund}/cancel");
    let done = developer.submit(&cancel, &cancel, &[]).await;
    assert!(page(&developer.follow(&done).await, 200).contains("</svg>Called off"));
}

#[tokio::test]
async fn every_page_in_both_languages() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let mut developer = app.member(business.id(), "developer").await;
    let of = path_of(&business, &paid(&app, &business, "paid").await);
    let fields = [("amount", "2.5"), ("destination", "test_customer"), ("reason", "Broken cup")];
    let carried_out = asked(&mut developer, &of, &fields).await;
    developer.submit(&carried_out, &format!("{carried_out}/send"), &[]).await;
    app.advance(Duration::from_secs(5));
    let pending = asked(&mut developer, &of, &[("amount", "1"), ("destination", "test_customer")]).await;
    app.advance(Duration::from_secs(5));
    let refunds = format!("{}/refunds", payments(&business));
    for language in ["en", "fr"] {
        developer.post("/preferences", &[("language", language), ("csrf", &token(&mut developer.clone()).await)]).await;
        for (name, path) in [
            ("list", refunds.clone()),
            ("nothing_found", format!("{refunds}?q=nothing+like+this")),
            ("nothing_yet", refunds.replace("/test/", "/live/")),
            ("form", format!("{of}/refund")),
            ("pending", pending.clone()),
            ("cancel", format!("{pending}/cancel")),
            ("carried_out", carried_out.clone()),
        ] {
            let shown = page(&developer.get(&path).await, 200);
            assert!(shown.contains(&format!("<html lang=\"{language}\"")));
            insta::assert_snapshot!(format!("{name}_{language}"), steady(&shown, &business));
        }
    }
}
