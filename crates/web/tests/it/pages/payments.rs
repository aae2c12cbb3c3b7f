//! The pages of payments: payment links and what was paid for them.

use std::time::Duration;

use serde_json::{Value, json};
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{Business, PASSWORD, TestApp, base_out_of_reach};
use trousseau_testkit::browser::Browser;
use trousseau_testkit::pdf;

use super::{page, sent_otherwise};

async fn with_business(app: &TestApp) -> (Business, Browser) {
    let business = app.business("mileston").await;
    let browser = app.member(business.id(), "developer").await;
    (business, browser)
}

fn below(business: &Business, path: &str) -> String {
    format!("/b/{}/test/{path}", business.id())
}

/// The id of something that a key just made.
fn id(made: &Value) -> &str {
    made["id"].as_str().expect("an id")
}

/// A payment link made by the secret key.
async fn link(app: &TestApp, business: &Business, amount: &str) -> Value {
    let backend = app.key(business.id(), business.value("test", "secret"));
    let body = json!({"amount": amount, "title": "<b>Café</b>", "customer_reference": "C-1"});
    backend.post("/v1/payment_links", &body).await.expect(201)
}

/// A payment for something, started by the checkout key of a shop.
async fn started(app: &TestApp, business: &Business, payable: &Value) -> Value {
    let shop = app.key(business.id(), business.value("test", "checkout")).with("origin", "https://shop.example");
    shop.post("/v1/checkout/payments", &json!({"payable": payable["id"]})).await.expect(201)
}

#[tokio::test]
async fn a_payment_link_is_made_changed_switched_and_deleted() {
    for app in TestApp::on_every_engine().await {
        let (business, mut browser) = with_business(&app).await;
        let links = below(&business, "payment-links");
        let empty = page(&browser.get(&links).await, 200);
        assert!(empty.contains("No payment link yet"), "{empty}");
        let create = format!("{links}/create");
        // What was typed stays, and each mistake stands at its field.
        let fields = [("amount", "-1"), ("title", "Coffee <for> a month"), ("redirect_url", "ftp://shop.example")];
        let wrong = page(&browser.submit(&create, &create, &fields).await, 422);
        for kept in ["href=\"#amount\"", "value=\"-1\"", "Coffee &#60;for&#62; a month", "id=\"redirect_url-error\""] {
            assert!(wrong.contains(kept), "{kept}: {wrong}");
        }
        let fields = [("amount", "12.5"), ("title", "Coffee <for> a month"), ("single_use", "yes")];
        let made = browser.submit(&create, &create, &fields).await;
        assert_eq!(made.status.as_u16(), 303, "{}", made.text());
        let path = made.header("location").to_owned();
        let shown = page(&browser.follow(&made).await, 200);
        let url = format!("http://localhost:8080/pay/payment-link/{}", path.rsplit_once('/').expect("an id").1);
        for told in
            [&url, "Coffee &#60;for&#62; a month", "12.50", "Can be paid once", "class=\"qr\"", "<span>You</span>"]
        {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        let edit = format!("{path}/edit");
        // In French an amount has a comma, which is all that some keyboards have, and is shown again with one.
        let mut french = app.member(business.id(), "developer").await.with_cookie("trousseau_language", "fr");
        let done = french.submit(&edit, &edit, &[("amount", "1\u{202f}249,5")]).await;
        assert_eq!(done.status.as_u16(), 303, "{}", done.text());
        let form = page(&french.get(&edit).await, 200);
        assert!(form.contains("value=\"1249,50\"") && form.contains("Par exemple 12,50"), "{form}");
        let wrong = page(&french.submit(&edit, &edit, &[("amount", "1.249,50")]).await, 422);
        assert!(wrong.contains("value=\"1.249,50\"") && wrong.contains("id=\"amount-error\""), "{wrong}");
        assert!(page(&browser.get(&edit).await, 200).contains("value=\"1249.50\""));
        let changed = browser.submit(&edit, &edit, &[("amount", "1234567.000001"), ("title", "")]).await;
        let shown = page(&browser.follow(&changed).await, 200);
        assert!(shown.contains("1,234,567.000001") && shown.contains("Untitled link"), "{shown}");
        let off = browser.submit(&path, &format!("{path}/switch"), &[]).await;
        let shown = page(&browser.follow(&off).await, 200);
        assert!(shown.contains("Switched off</span>") && shown.contains("name=\"to\" value=\"on\""), "{shown}");
        assert!(page(&browser.get(&format!("{links}?status=inactive")).await, 200).contains(&path));
        assert!(page(&browser.get(&format!("{links}?status=active")).await, 200).contains("No payment link is like"));
        let delete = format!("{path}/delete");
        let asked = page(&browser.get(&delete).await, 200);
        assert!(asked.contains("can no longer pay"), "{asked}");
        let deleted = browser.submit(&delete, &delete, &[]).await;
        let list = page(&browser.follow(&deleted).await, 200);
        assert!(list.contains("Payment link deleted: Untitled link") && !list.contains(&path), "{list}");
        let shown = page(&browser.get(&path).await, 200);
        assert!(shown.contains("This link was deleted") && !shown.contains(&url), "{shown}");
        for told in ["Payment link made", "Payment link changed", "Payment link deleted"] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_form_sent_twice_makes_one_payment_link() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut browser) = with_business(&app).await;
    let links = below(&business, "payment-links");
    let create = format!("{links}/create");
    let form = page(&browser.get(&create).await, 200);
    let value = |name: &str| {
        let (_, rest) = form.split_once(&format!("name=\"{name}\" value=\"")).expect("a field");
        rest.split_once('"').expect("an end").0.to_owned()
    };
    let (csrf, once) = (value("csrf"), value("once"));
    for _ in 0..2 {
        let fields = [("csrf", csrf.as_str()), ("once", once.as_str()), ("amount", "3"), ("title", "Once")];
        assert_eq!(browser.post(&create, &fields).await.status.as_u16(), 303);
    }
    // With another amount it is another one, of which nobody is told that it was made.
    let fields = [("csrf", csrf.as_str()), ("once", once.as_str()), ("amount", "30"), ("title", "Once")];
    let asked = page(&browser.post(&create, &fields).await, 409);
    assert!(asked.contains("was sent before with other fields") && asked.contains("value=\"30\""), "{asked}");
    let list = page(&browser.get(&links).await, 200);
    assert_eq!(list.matches(">Once</a>").count(), 1, "{list}");
    // Sent once more, it is meant. So are the other forms.
    assert_eq!(browser.submit_shown(&asked, &create, &[]).await.status.as_u16(), 303);
    let list = page(&browser.get(&links).await, 200);
    assert_eq!(list.matches(">Once</a>").count(), 2, "{list}");
    for (path, fields) in [
        ("invoices", &[("title", "One"), ("amount", "3"), ("due", "2026-02-28")][..]),
        ("recurring-payments", &[("name", "One"), ("amount", "3"), ("first", "2026-02-28T09:00")]),
    ] {
        let create = format!("{}/create", below(&business, path));
        let other = [(fields[0].0, "Other")];
        let made = sent_otherwise(&mut browser, &create, fields, &other, "value=\"Other\"").await;
        assert_eq!(made.status.as_u16(), 303, "{path}: {}", made.text());
        let list = page(&browser.get(&below(&business, path)).await, 200);
        assert!(list.contains(">One<") && list.contains(">Other<"), "{path}: {list}");
    }
}

#[tokio::test]
async fn payment_links_are_found_paged_and_taken_along() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut browser) = with_business(&app).await;
    let links = below(&business, "payment-links");
    let backend = app.key(business.id(), business.value("test", "secret"));
    for number in 1..=51 {
        let body = json!({"amount": format!("{number}"), "title": format!("=Number {number}."), "single_use": true});
        backend.post("/v1/payment_links", &body).await.expect(201);
    }
    let first = page(&browser.get(&links).await, 200);
    assert_eq!(first.matches("class=\"name\"").count(), 50);
    let (_, next) = first.split_once("rel=\"next\" href=\"").expect("a next page");
    let next = next.split_once('"').expect("an end").0.replace("&#38;", "&");
    let second = page(&browser.get(&next).await, 200);
    assert_eq!(second.matches("class=\"name\"").count(), 1, "{second}");
    let found = page(&browser.get(&format!("{links}?q=Number+7.")).await, 200);
    assert_eq!(found.matches("class=\"name\"").count(), 1, "{found}");
    let lost = browser.get(&format!("{links}?after=plink_00000000000000000000000000")).await;
    assert_eq!((lost.status.as_u16(), lost.header("location")), (303, links.as_str()));
    let file = browser.get(&format!("{links}?format=csv&q=Number+5")).await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8; header=present");
    let text = file.text();
    // 5 and 50, 51.
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(
        text.contains(",active,50.00,USDC,'=Number 50.,true,,http://localhost:8080/pay/payment-link/plink_"),
        "{text}"
    );
}

#[tokio::test]
async fn the_page_of_a_link_shows_its_payments_and_the_key_that_made_it_to_whom_may_see_it() {
    for app in TestApp::on_every_engine().await {
        let (business, mut developer) = with_business(&app).await;
        let link = link(&app, &business, "12.5").await;
        let payment = started(&app, &business, &link).await;
        let path = below(&business, &format!("payment-links/{}", id(&link)));
        let shown = page(&developer.get(&path).await, 200);
        assert!(shown.contains("&#60;b&#62;Café") && !shown.contains("<b>Café"), "{shown}");
        assert!(shown.contains(id(&payment)) && shown.contains("Waiting"), "{shown}");
        assert!(shown.contains("developers/api-keys/1\">Key 1</a>") && shown.contains("(value 1)"), "{shown}");
        // An analyst reads, and has no way to change anything or to the keys.
        let mut analyst = app.member(business.id(), "analyst").await;
        let read = page(&analyst.get(&path).await, 200);
        assert!(read.contains("Key 1") && !read.contains("api-keys") && !read.contains("/delete"), "{read}");
        let list = page(&analyst.get(&below(&business, "payment-links")).await, 200);
        assert!(list.contains(id(&link)) && !list.contains("/create"), "{list}");
        for below in ["/edit", "/delete"] {
            assert_eq!(analyst.get(&format!("{path}{below}")).await.status.as_u16(), 403, "{below}");
        }
        // Nor does anybody of another business, or in the other environment.
        let mut stranger = app.member(app.business("mileston").await.id(), "administrator").await;
        assert_eq!(stranger.get(&path).await.status.as_u16(), 404);
        assert_eq!(developer.get(&path.replace("/test/", "/live/")).await.status.as_u16(), 404);
        let mut french = app.member(business.id(), "administrator").await.with_cookie("trousseau_language", "fr");
        let shown = page(&french.get(&path).await, 200);
        assert!(shown.contains("12,50") && shown.contains("Page de paiement"), "{shown}");
    }
}

#[tokio::test]
async fn payments_are_found_looked_at_and_called_off() {
    for app in TestApp::on_every_engine().await {
        let (business, mut developer) = with_business(&app).await;
        let payments = below(&business, "payments");
        assert!(page(&developer.get(&payments).await, 200).contains("No payment yet"));
        let link = link(&app, &business, "1234.5").await;
        let (paid, open) = (started(&app, &business, &link).await, started(&app, &business, &link).await);
        let backend = app.key(business.id(), business.value("test", "secret"));
        let scenario = format!("/v1/test/payments/{}/scenario", id(&paid));
        backend.post(&scenario, &json!({"scenario": "overpaid"})).await.expect(200);
        for (query, found) in [
            ("", 2),
            ("status=settled", 1),
            ("status=open", 1),
            ("status=refunded", 0),
            ("q=test_payer", 1),
            ("q=CAF%C3%A9", 2),
            ("q=c-1", 2),
            ("q=nobody", 0),
            ("from=2026-01-31&to=2026-01-31", 2),
            ("from=2026-02-01", 0),
            ("to=2026-01-30", 0),
        ] {
            let list = page(&developer.get(&format!("{payments}?{query}")).await, 200);
            assert_eq!(list.matches("class=\"name\"").count(), found, "{query}: {list}");
            let file = developer.get(&format!("{payments}?format=csv&{query}")).await;
            assert_eq!(file.text().lines().count(), found + 1, "{query}: {}", file.text());
        }
        // What it is for and for whom comes first, and goes along.
        let list = page(&developer.get(&format!("{payments}?status=settled")).await, 200);
        let (_, row) = list.split_once("class=\"name\">").expect("a row");
        let named = row.find("&#60;b&#62;Café&#60;/b&#62;</a>").expect("a title");
        assert!(named < row.find(">C-1<").expect("a customer") && row.contains(id(&paid)), "{list}");
        let file = developer.get(&format!("{payments}?format=csv&status=settled")).await.text();
        assert!(file.contains(",settled_at,payable_type,invoice_number,title,"), "{file}");
        assert!(file.contains(",payment_link,,<b>Café</b>,,C-1,test_payer"), "{file}");
        let path = format!("{payments}/{}", id(&paid));
        let shown = page(&developer.get(&path).await, 200);
        assert!(shown.contains("&#60;b&#62;Café&#60;/b&#62;</a>") && shown.contains(">C-1<"), "{shown}");
        for told in ["Payment of 1,234.50 USDC", "Overpaid", "test_payer", "Payment succeeded", "Payment started"] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        assert!(shown.contains(&below(&business, &format!("payment-links/{}\"", id(&link)))), "{shown}");
        assert!(
            shown.contains(">Key 2</a>") && !shown.contains("/cancel\"") && !shown.contains("/decide\""),
            "{shown}"
        );
        // What was paid cannot be called off; what waits can, once.
        let cancel = format!("{path}/cancel");
        assert_eq!(developer.get(&cancel).await.header("location"), path);
        let path = format!("{payments}/{}", id(&open));
        let cancel = format!("{path}/cancel");
        let asked = page(&developer.get(&cancel).await, 200);
        assert!(asked.contains("Call this payment off?"), "{asked}");
        let done = developer.submit(&cancel, &cancel, &[]).await;
        let shown = page(&developer.follow(&done).await, 200);
        assert!(shown.contains("Payment called off") && shown.contains("</svg>Cancelled"), "{shown}");
        let mut analyst = app.member(business.id(), "analyst").await;
        let read = page(&analyst.get(&path).await, 200);
        assert!(!read.contains("api-keys") && read.contains("Key 2"), "{read}");
        assert_eq!(analyst.get(&cancel).await.status.as_u16(), 403);
        let mut stranger = app.member(app.business("mileston").await.id(), "administrator").await;
        assert_eq!(stranger.get(&path).await.status.as_u16(), 404);
    }
}

#[tokio::test]
async fn what_came_when_it_was_no_longer_expected_is_decided_on_with_a_reason() {
    for app in TestApp::on_every_engine().await {
        let (business, mut developer) = with_business(&app).await;
        let backend = app.key(business.id(), business.value("test", "secret"));
        for (verdict, status) in [("accept", "Settled"), ("return", "Refunded")] {
            let link = link(&app, &business, "5").await;
            let payment = started(&app, &business, &link).await;
            backend.post_empty(&format!("/v1/payments/{}/cancel", id(&payment))).await.expect(200);
            let transfer = json!({"address": payment["address"], "amount": "5"});
            backend.post("/v1/test/transfers", &transfer).await.expect(200);
            backend.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
            let path = below(&business, &format!("payments/{}", id(&payment)));
            let decide = format!("{path}/decide");
            let shown = page(&developer.get(&path).await, 200);
            assert!(shown.contains("Decide what becomes of it") && shown.contains(&decide), "{shown}");
            // The reason is asked for, and what was chosen stays.
            let wrong = page(&developer.submit(&decide, &decide, &[("verdict", verdict)]).await, 422);
            assert!(wrong.contains("Say why") && wrong.contains(&format!("value=\"{verdict}\" checked")), "{wrong}");
            let wrong = page(&developer.submit(&decide, &decide, &[("reason", "Because.")]).await, 422);
            assert!(wrong.contains("id=\"verdict-error\"") && wrong.contains("value=\"Because.\""), "{wrong}");
            let fields = [("verdict", verdict), ("reason", "Agreed by telephone.")];
            let done = developer.submit(&decide, &decide, &fields).await;
            let shown = page(&developer.follow(&done).await, 200);
            assert!(shown.contains(&format!("</svg>{status}")) && shown.contains("Payment decided on"), "{shown}");
            assert!(shown.contains("Agreed by telephone."), "{shown}");
            assert_eq!(developer.get(&decide).await.header("location"), path, "it is decided");
        }
    }
}

#[tokio::test]
async fn what_no_payment_takes_is_put_aside_with_a_reason() {
    for app in TestApp::on_every_engine().await {
        let (business, mut developer) = with_business(&app).await;
        let backend = app.key(business.id(), business.value("test", "secret"));
        let payments = below(&business, "payments");
        let unmatched = format!("{payments}/unmatched");
        assert!(page(&developer.get(&unmatched).await, 200).contains("Nothing waits here"));
        let payment = started(&app, &business, &link(&app, &business, "5").await).await;
        let scenario = format!("/v1/test/payments/{}/scenario", id(&payment));
        backend.post(&scenario, &json!({"scenario": "wrong_token"})).await.expect(200);
        assert!(page(&developer.get(&payments).await, 200).contains("that no payment takes"));
        let list = page(&developer.get(&unmatched).await, 200);
        let (_, dismiss) = list.split_once("class=\"btn small\" href=\"").expect("a way to put it aside");
        let dismiss = dismiss.split_once('"').expect("an end").0.to_owned();
        let mut analyst = app.member(business.id(), "analyst").await;
        assert!(!page(&analyst.get(&unmatched).await, 200).contains("/dismiss"));
        assert_eq!(analyst.get(&dismiss).await.status.as_u16(), 403);
        let wrong = page(&developer.submit(&dismiss, &dismiss, &[]).await, 422);
        assert!(wrong.contains("id=\"reason-error\""), "{wrong}");
        let done = developer.submit(&dismiss, &dismiss, &[("reason", "Sent back.")]).await;
        let list = page(&developer.follow(&done).await, 200);
        assert!(list.contains("Transfer put aside") && list.contains("Nothing waits here"), "{list}");
        assert_eq!(developer.get(&dismiss).await.header("location"), unmatched, "it was dealt with");
    }
}

#[tokio::test]
async fn an_invoice_is_made_voided_and_deleted() {
    for app in TestApp::on_every_engine().await {
        let (business, mut browser) = with_business(&app).await;
        let invoices = below(&business, "invoices");
        assert!(page(&browser.get(&invoices).await, 200).contains("No invoice yet"));
        let create = format!("{invoices}/create");
        let fields = [("title", ""), ("amount", "1,2,3"), ("due", "soon"), ("customer_email", "nobody")];
        let wrong = page(&browser.submit(&create, &create, &fields).await, 422);
        for field in ["title", "amount", "due", "customer_email"] {
            assert!(wrong.contains(&format!("id=\"{field}-error\"")), "{field}: {wrong}");
        }
        assert!(wrong.contains("value=\"1,2,3\""), "{wrong}");
        let fields =
            [("title", "Work <in> January"), ("amount", " 1200,00 "), ("due", "2026-02-28"), ("customer_name", "Zoé")];
        let made = browser.submit(&create, &create, &fields).await;
        let path = made.header("location").to_owned();
        let shown = page(&browser.follow(&made).await, 200);
        for told in ["Invoice 1", "Work &#60;in&#62; January", "1,200.00", "28 Feb 2026", "Zoé", "class=\"qr\""] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        for (query, found) in [
            ("", 1),
            ("status=pending", 1),
            ("status=paid", 0),
            ("q=Zo", 1),
            ("q=nobody", 0),
            ("q=1", 1),
            ("q=Invoice+1", 1),
            ("q=facture+n%C2%B0+1", 1),
            ("q=Invoice+2", 0),
            ("q=0", 0),
        ] {
            let list = page(&browser.get(&format!("{invoices}?{query}")).await, 200);
            assert_eq!(list.matches("class=\"name\"").count(), found, "{query}: {list}");
            let file = browser.get(&format!("{invoices}?format=csv&{query}")).await;
            assert_eq!(file.text().lines().count(), found + 1, "{query}: {}", file.text());
        }
        // The last instant of the day in Paris.
        let file = browser.get(&format!("{invoices}?format=csv")).await.text();
        assert!(file.contains(",1,") && file.contains(",2026-02-28T23:00:00Z,Zoé,"), "{file}");
        let mut analyst = app.member(business.id(), "analyst").await;
        let read = page(&analyst.get(&path).await, 200);
        assert!(!read.contains("/void\"") && !read.contains("/delete\""), "{read}");
        for below in ["/void", "/delete"] {
            assert_eq!(analyst.get(&format!("{path}{below}")).await.status.as_u16(), 403, "{below}");
        }
        let mut stranger = app.member(app.business("mileston").await.id(), "administrator").await;
        assert_eq!(stranger.get(&path).await.status.as_u16(), 404);
        let void = format!("{path}/void");
        let done = browser.submit(&void, &void, &[]).await;
        let shown = page(&browser.follow(&done).await, 200);
        assert!(
            shown.contains("</svg>Void") && shown.contains("Invoice voided") && !shown.contains("class=\"qr\""),
            "{shown}"
        );
        assert_eq!(browser.get(&void).await.header("location"), path, "it is void");
        let delete = format!("{path}/delete");
        let done = browser.submit(&delete, &delete, &[]).await;
        let list = page(&browser.follow(&done).await, 200);
        assert!(list.contains("Deleted: Invoice 1") && !list.contains(&path), "{list}");
        assert!(page(&browser.get(&path).await, 200).contains("This invoice was deleted"));
    }
}

#[tokio::test]
async fn an_invoice_that_was_paid_leads_to_its_payment_and_back() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut developer) = with_business(&app).await;
    let backend = app.key(business.id(), business.value("test", "secret"));
    let body = json!({"title": "Two things", "due_at": "2026-02-28T00:00:00Z", "lines": [
        {"description": "Bags", "quantity": 12, "unit_amount": "1.25"}, {"description": "Post", "quantity": 1, "unit_amount": "5"},
    ]});
    let invoice = backend.post("/v1/invoices", &body).await.expect(201);
    let payment = started(&app, &business, &invoice).await;
    let scenario = format!("/v1/test/payments/{}/scenario", id(&payment));
    backend.post(&scenario, &json!({"scenario": "paid"})).await.expect(200);
    let path = below(&business, &format!("invoices/{}", id(&invoice)));
    let shown = page(&developer.get(&path).await, 200);
    let paid = below(&business, &format!("payments/{}", id(&payment)));
    for told in ["</svg>Paid", "Bags", "15.00", "20.00", &paid] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(!shown.contains("/void\""), "what is paid is not voided: {shown}");
    let shown = page(&developer.get(&paid).await, 200);
    assert!(shown.contains(&format!("href=\"{path}\">Invoice 1</a>")) && shown.contains("Two things"), "{shown}");
    let payments = below(&business, "payments");
    for (query, found) in [("Invoice+1", 1), ("1", 1), ("two+things", 1), ("Invoice+2", 0), ("2", 0)] {
        let list = page(&developer.get(&format!("{payments}?q={query}")).await, 200);
        assert_eq!(list.matches(">Invoice 1</a>").count(), found, "{query}: {list}");
    }
}

#[tokio::test]
async fn a_recurring_payment_is_made_changed_paused_and_ended() {
    for app in TestApp::on_every_engine().await {
        let (business, mut browser) = with_business(&app).await;
        let all = below(&business, "recurring-payments");
        assert!(page(&browser.get(&all).await, 200).contains("No recurring payment yet"));
        let create = format!("{all}/create");
        let fields = [("amount", "0"), ("first", "soon"), ("count", "0"), ("customer_email", "nobody")];
        let wrong = page(&browser.submit(&create, &create, &fields).await, 422);
        for field in ["amount", "first", "count", "customer_email"] {
            assert!(wrong.contains(&format!("id=\"{field}-error\"")), "{field}: {wrong}");
        }
        let fields = [("amount", "9"), ("first", "2026-01-31T09:00"), ("count", "70000"), ("unit", "weeks")];
        assert!(page(&browser.submit(&create, &create, &fields).await, 422).contains("id=\"count-error\""));
        let fields = [
            ("name", "A <box> a month"),
            ("amount", "9"),
            ("first", "2026-01-31T09:00"),
            ("count", "2"),
            ("unit", "months"),
            ("customer_name", "Zoé"),
        ];
        let made = browser.submit(&create, &create, &fields).await;
        let path = made.header("location").to_owned();
        let shown = page(&browser.follow(&made).await, 200);
        // The time of day is the one of Paris.
        for told in [
            "A &#60;box&#62; a month",
            "9.00",
            "every 2 months",
            "2026-01-31T08:00:00Z",
            "Zoé",
            "class=\"qr\"",
            "Invoice 1",
        ] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        for (query, found) in [("", 1), ("status=active", 1), ("status=paused", 0), ("q=Zo", 1), ("q=nobody", 0)] {
            let list = page(&browser.get(&format!("{all}?{query}")).await, 200);
            assert_eq!(list.matches("class=\"name\"").count(), found, "{query}: {list}");
            let file = browser.get(&format!("{all}?format=csv&{query}")).await;
            assert_eq!(file.text().lines().count(), found + 1, "{query}: {}", file.text());
        }
        let file = browser.get(&format!("{all}?format=csv")).await.text();
        assert!(file.contains(",9.00,USDC,A <box> a month,months,2,2026-01-31T08:00:00Z,"), "{file}");

        let mut analyst = app.member(business.id(), "analyst").await;
        let read = page(&analyst.get(&path).await, 200);
        for below in ["/edit", "/pause", "/cancel", "/delete"] {
            assert!(!read.contains(&format!("{path}{below}\"")), "{below}: {read}");
        }
        for below in ["/edit", "/cancel", "/delete"] {
            assert_eq!(analyst.get(&format!("{path}{below}")).await.status.as_u16(), 403, "{below}");
        }
        let mut stranger = app.member(app.business("mileston").await.id(), "administrator").await;
        assert_eq!(stranger.get(&path).await.status.as_u16(), 404);

        let edit = format!("{path}/edit");
        let form = page(&browser.get(&edit).await, 200);
        assert!(form.contains("value=\"9.00\"") && !form.contains("id=\"first\""), "{form}");
        let done = browser.submit(&edit, &edit, &[("amount", "12,5"), ("name", "")]).await;
        let shown = page(&browser.follow(&done).await, 200);
        assert!(shown.contains("12.50") && shown.contains("Recurring payment changed"), "{shown}");

        let done = browser.submit(&path, &format!("{path}/pause"), &[]).await;
        let shown = page(&browser.follow(&done).await, 200);
        assert!(shown.contains("</svg>Paused") && shown.contains(&format!("{path}/resume\"")), "{shown}");
        let done = browser.submit(&path, &format!("{path}/resume"), &[]).await;
        assert!(page(&browser.follow(&done).await, 200).contains("Goes on: "));

        let cancel = format!("{path}/cancel");
        let done = browser.submit(&cancel, &cancel, &[]).await;
        let shown = page(&browser.follow(&done).await, 200);
        assert!(shown.contains("</svg>Ended") && !shown.contains(&format!("{path}/pause\"")), "{shown}");
        // The period that is there can be paid still.
        assert!(shown.contains("class=\"qr\""), "{shown}");
        assert_eq!(browser.get(&edit).await.header("location"), path, "it has ended");
        let delete = format!("{path}/delete");
        let done = browser.submit(&delete, &delete, &[]).await;
        let list = page(&browser.follow(&done).await, 200);
        assert!(list.contains("Recurring payment deleted") && !list.contains(&path), "{list}");
        assert!(page(&browser.get(&path).await, 200).contains("This recurring payment was deleted"));
    }
}

#[tokio::test]
async fn each_period_of_a_recurring_payment_leads_to_its_invoice_and_back() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut developer) = with_business(&app).await;
    let backend = app.key(business.id(), business.value("test", "secret"));
    let body = json!({"amount": "9", "anchor": "2026-01-01T00:00:00Z", "interval": {"unit": "days", "count": 7}});
    let recurring = backend.post("/v1/recurring_payments", &body).await.expect(201);
    let payment = started(&app, &business, &recurring).await;
    let scenario = format!("/v1/test/payments/{}/scenario", id(&payment));
    backend.post(&scenario, &json!({"scenario": "paid"})).await.expect(200);
    let path = below(&business, &format!("recurring-payments/{}", id(&recurring)));
    let invoice = below(&business, &format!("invoices/{}", id(&recurring["latest_invoice"])));
    let shown = page(&developer.get(&path).await, 200);
    let paid = below(&business, &format!("payments/{}", id(&payment)));
    for told in ["every week", "</svg>Paid", &invoice, &paid] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    for there in [&invoice, &paid] {
        let read = page(&developer.get(there).await, 200);
        assert!(read.contains(&format!("href=\"{path}\"")), "{there}: {read}");
    }
    // So many periods were missed that it waits for somebody.
    backend.post("/v1/test/clock", &json!({"to": "2027-01-01T00:00:00Z"})).await.expect(200);
    let shown = page(&developer.get(&path).await, 200);
    assert!(shown.contains("</svg>Held") && shown.contains(&format!("{path}/resume\"")), "{shown}");
    // The newest period first, each with the day on which it falls due.
    let periods = shown.split_once("id=\"periods\"").expect("periods").1;
    let days = ["26 Mar 2026", "19 Mar 2026", "8 Jan 2026", "1 Jan 2026"];
    let places: Vec<_> = days.iter().map(|day| periods.find(day).unwrap_or_else(|| panic!("{day}: {shown}"))).collect();
    assert!(places.is_sorted(), "{shown}");
}

#[tokio::test]
async fn a_business_chooses_what_its_page_looks_like_and_takes() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut administrator = app.member(business.id(), "administrator").await;
        let settings = below(&business, "settings/checkout");
        let made = link(&app, &business, "100").await;
        let hosted =
            made["url"].as_str().expect("a url").strip_prefix("http://localhost:8080").expect("ours").to_owned();
        let mut payer = app.browser();
        assert!(!page(&payer.get(&hosted).await, 200).contains("/pay/accent/"));

        // A faint colour is refused, with one that would do.
        let fields = [
            ("accent", "#ffc44d"),
            ("redirect_url", "ftp://shop.example"),
            ("origins", "https://shop.example/\nshop"),
            ("tolerance_amount", "-1"),
            ("tolerance_per_mille", "51"),
        ];
        let wrong = page(&administrator.submit(&settings, &settings, &fields).await, 422);
        for field in ["accent", "redirect_url", "origins", "tolerance_amount", "tolerance_per_mille"] {
            assert!(wrong.contains(&format!("id=\"{field}-error\"")), "{field}: {wrong}");
        }
        let nearest = wrong.split_once("can be read is ").expect("a colour").1.get(..7).expect("a colour").to_owned();
        let fields = [
            ("accent", nearest.as_str()),
            ("languages", "fr"),
            ("redirect_url", "https://shop.example/thanks"),
            ("origins", "https://shop.example\nhttps://other.example"),
            ("tolerance_amount", "0,05"),
            ("tolerance_per_mille", "5"),
            ("late", "waits"),
        ];
        let done = administrator.submit(&settings, &settings, &fields).await;
        let shown = page(&administrator.follow(&done).await, 200);
        assert!(shown.contains("Checkout settings saved"), "{shown}");
        for told in [nearest.as_str(), "https://shop.example/thanks", "value=\"0.05\"", "value=\"waits\" checked"] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        let events = page(&administrator.get(&below(&business, "developers/events")).await, 200);
        assert!(events.contains("Checkout settings changed"), "{events}");

        // In French, in its colour, with the way back; to a shop that it lists.
        let shown = page(&payer.get(&format!("{hosted}?parentOrigin=https://other.example")).await, 200);
        let style = format!("/pay/accent/{}.css", nearest.trim_start_matches('#'));
        for told in [style.as_str(), "lang=\"fr\"", "value=\"https://other.example\""] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        assert!(!shown.contains("name=\"language\""), "there is one language only: {shown}");
        let shown = page(&payer.get(&format!("{hosted}?parentOrigin=https://evil.example")).await, 200);
        assert!(!shown.contains("evil.example"), "{shown}");
        let begun = payer.submit(&hosted, &hosted, &[]).await;
        let here = begun.header("location").to_owned();
        let paid = payer.submit(&here, &format!("{here}/simulate"), &[("scenario", "paid")]).await;
        let back = "href=\"https://shop.example/thanks?payment_id=";
        assert!(page(&payer.follow(&paid).await, 200).contains(back));
        let sheet = payer.get(&style).await;
        assert!(sheet.text().contains(&format!("--accent: light-dark({nearest}, ")), "{}", sheet.text());
        assert_eq!(sheet.header("content-type"), "text/css; charset=utf-8");
        for wrong in ["ffc44d.css", "000000", "zzzzzz.css", "0000001.css"] {
            assert_eq!(payer.get(&format!("/pay/accent/{wrong}")).await.status.as_u16(), 404, "{wrong}");
        }

        // Half a percent may be missing, and no more.
        let backend = app.key(business.id(), business.value("test", "secret"));
        for (amount, status, exception) in [("99.5", "settled", "underpaid"), ("99.499999", "open", "partial")] {
            let payment = started(&app, &business, &made).await;
            let sent = json!({"address": payment["address"], "amount": amount});
            backend.post("/v1/test/transfers", &sent).await.expect(200);
            backend.post("/v1/test/blocks", &json!({"count": 3})).await.expect(200);
            let seen = backend.get(&format!("/v1/payments/{}", id(&payment))).await.expect(200);
            assert_eq!((&seen["status"], &seen["exception"]), (&json!(status), &json!(exception)), "{seen}");
        }
        // What comes late waits for somebody.
        let payment = started(&app, &business, &made).await;
        let scenario = format!("/v1/test/payments/{}/scenario", id(&payment));
        backend.post(&scenario, &json!({"scenario": "late"})).await.expect(200);
        let seen = backend.get(&format!("/v1/payments/{}", id(&payment))).await.expect(200);
        assert_eq!((&seen["status"], &seen["exception"]), (&json!("needs_review"), &json!("late")), "{seen}");

        // Others see it and change nothing; LIVE has its own, and asks who sits there.
        let mut developer = app.member(business.id(), "developer").await;
        let read = page(&developer.get(&settings).await, 200);
        assert!(
            read.contains("Administrators of the business can change this") && read.contains(" disabled"),
            "{read}"
        );
        assert_eq!(developer.submit(&settings, &settings, &fields).await.status.as_u16(), 403);
        let live = format!("/b/{}/live/settings/checkout", business.id());
        assert!(!page(&administrator.get(&live).await, 200).contains(&nearest));
        app.advance(Duration::from_mins(11));
        let late = administrator.submit(&live, &live, &fields).await;
        assert!(late.header("location").starts_with("/step-up"), "{}", late.header("location"));
        let proven = administrator.submit(late.header("location"), "/step-up", &[("password", PASSWORD)]).await;
        let again = page(&administrator.follow(&proven).await, 200);
        assert!(again.contains(&nearest), "what was typed is there again: {again}");
    }
}

#[tokio::test]
async fn what_came_in_is_told_on_home_in_the_list_and_under_usage() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut developer) = with_business(&app).await;
    let backend = app.key(business.id(), business.value("test", "secret"));
    let here = format!("/b/{}/test", business.id());
    assert!(page(&developer.get(&here).await, 200).contains("Nothing settled"));
    let made = link(&app, &business, "1200.5").await;
    for scenario in ["paid", "paid", "underpaid"] {
        let payment = started(&app, &business, &made).await;
        let path = format!("/v1/test/payments/{}/scenario", id(&payment));
        backend.post(&path, &json!({"scenario": scenario})).await.expect(200);
    }
    let mut analyst = app.member(business.id(), "analyst").await;
    for reader in [&mut developer, &mut analyst] {
        let home = page(&reader.get(&here).await, 200);
        assert!(home.contains("2,401.00 USDC") && home.contains("2 payments"), "{home}");
    }
    let payments = below(&business, "payments");
    // The checkout key is the second one.
    for (query, told, found) in [
        ("", "2,401.00 USDC", 3),
        ("number=2", "2,401.00 USDC", 3),
        ("number=2&status=open", "Nothing settled", 1),
        ("number=1", "No payment is like this", 0),
        ("number=99", "No payment is like this", 0),
    ] {
        let list = page(&developer.get(&format!("{payments}?{query}")).await, 200);
        assert_eq!(list.matches("class=\"name\"").count(), found, "{query}: {list}");
        assert!(list.contains(told), "{query}: {told} in {list}");
        let file = developer.get(&format!("{payments}?format=csv&{query}")).await;
        assert_eq!(file.text().lines().count(), found + 1, "{query}: {}", file.text());
    }
    assert!(!page(&analyst.get(&payments).await, 200).contains("name=\"number\""), "an analyst sees no keys");
    let usage = page(&developer.get(&below(&business, "developers/usage")).await, 200);
    for told in ["Payments settled, by day", "Payments settled, by key", "2,401.00 USDC", "at most 2 on one day"] {
        assert!(usage.contains(told), "{told}: {usage}");
    }
    let file = developer.get(&below(&business, "developers/usage?format=payments-csv")).await.text();
    assert_eq!(file.lines().nth(1), Some("2026-01-31,2,2,2401.00,USDC"), "{file}");
}

#[tokio::test]
async fn an_invoice_is_sent_again_and_taken_along_as_pdf() {
    for app in TestApp::on_every_engine().await {
        let (business, mut developer) = with_business(&app).await;
        let create = below(&business, "invoices/create");
        let fields =
            [("title", "Binding"), ("amount", "12"), ("due", "2026-02-28"), ("customer_email", "zoe@example.net")];
        let made = developer.submit(&create, &create, &fields).await;
        let path = made.header("location").to_owned();
        let id = path.rsplit_once('/').expect("an id").1.to_owned();
        let shown = page(&developer.follow(&made).await, 200);
        assert!(shown.contains("zoe@example.net") && shown.contains("31 Jan 2026, 13:00:00 CET"), "{shown}");
        let mailed = async || app.mails().await.iter().filter(|mail| mail.contains("zoe@example.net")).count();
        assert_eq!(mailed().await, 1, "it was sent when it was made");
        for language in ["en", "fr"] {
            developer.submit(&path, "/preferences", &[("language", language)]).await;
            let shown = page(&developer.get(&path).await, 200);
            let (_, head) = shown.split_once("<div class=\"actions\">").expect("the buttons");
            let head = head.split_once("<div class=\"stack\">").expect("an end of them").0;
            let token = head.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split_once('"'));
            let token = token.expect("a token of the session").0;
            let head = head.replace(token, "...").replace(&path, "/b/.../invoices/inv_...");
            insta::assert_snapshot!(format!("invoice_buttons_{language}"), head);
        }
        developer.submit(&path, "/preferences", &[("language", "en")]).await;
        let send = format!("{path}/send");
        let done = developer.submit(&path, &send, &[]).await;
        assert!(page(&developer.follow(&done).await, 200).contains("Sent: Invoice 1"));
        assert_eq!(mailed().await, 2);
        for _ in 0..3 {
            developer.submit(&path, &send, &[]).await;
        }
        let done = developer.submit(&path, &send, &[]).await;
        assert!(page(&developer.follow(&done).await, 200).contains("mailed often enough for today"));
        assert_eq!(mailed().await, 5);
        let mut analyst = app.member(business.id(), "analyst").await;
        let read = page(&analyst.get(&path).await, 200);
        assert!(!read.contains("/send\"") && read.contains("/pdf\""), "{read}");
        let file = analyst.get(&format!("{path}/pdf")).await;
        assert_eq!(file.header("content-type"), "application/pdf");
        assert_eq!(file.header("content-disposition"), "attachment; filename=\"invoice-TEST-1.pdf\"");
        assert!(pdf::text(&file.body).contains("Binding"), "{id}");
        let mut stranger = app.member(app.business("mileston").await.id(), "administrator").await;
        assert_eq!(stranger.get(&format!("{path}/pdf")).await.status.as_u16(), 404);
        // Without an address there is nobody to send it to, and after it was called off nothing to send.
        let backend = app.key(business.id(), business.value("test", "secret"));
        backend.patch(&format!("/v1/invoices/{id}"), &json!({"customer_email": null})).await.expect(200);
        assert!(!page(&developer.get(&path).await, 200).contains("/send\""));
        backend.patch(&format!("/v1/invoices/{id}"), &json!({"customer_email": "b@example.net"})).await.expect(200);
        let before = page(&developer.get(&path).await, 200);
        assert!(before.contains("/send\""));
        backend.post_empty(&format!("/v1/invoices/{id}/void")).await.expect(200);
        assert!(!page(&developer.get(&path).await, 200).contains("/send\""));
    }
}

#[tokio::test]
async fn an_administrator_says_where_live_money_goes() {
    let app = TestApp::watching(TestDatabase::sqlite().await, vec![base_out_of_reach()]).await;
    let business = app.business("mileston").await;
    let mut administrator = app.member(business.id(), "administrator").await;
    let settings = format!("/b/{}/live/settings/checkout", business.id());
    let payout = format!("{settings}/payout");
    assert!(page(&administrator.get(&settings).await, 200).contains(&payout));
    let shown = page(&administrator.get(&payout).await, 200);
    assert!(shown.contains("<b>Base</b>") && shown.contains("No payout address"), "{shown}");
    let address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let usdc = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
    for wrong in ["", "0x12", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", usdc] {
        let fields = [("network", "eip155:8453"), ("address", wrong)];
        let refused = page(&administrator.submit(&payout, &payout, &fields).await, 422);
        assert!(refused.contains("id=\"address-error\""), "{wrong}: {refused}");
    }
    let elsewhere = administrator.submit(&payout, &payout, &[("network", "eip155:1"), ("address", address)]).await;
    assert!(page(&elsewhere, 422).contains("id=\"network-error\""));
    let fields = [("network", "eip155:8453"), ("address", address)];
    let done = administrator.submit(&payout, &payout, &fields).await;
    let shown = page(&administrator.follow(&done).await, 200);
    assert!(shown.contains("Payout address set: Base") && shown.contains(address), "{shown}");
    let events = page(&administrator.get(&format!("/b/{}/live/developers/events", business.id())).await, 200);
    assert!(events.contains("Payout address set"), "{events}");
    // Every administrator hears of it.
    let mails = app.mails().await;
    let told = |to: &str| mails.iter().any(|mail| mail.contains("LIVE money of") && mail.contains(to));
    assert!(told(address) && told("administrator-"), "{mails:?}");
    // Others see it and change nothing, and nobody does whose last proof is long ago.
    let mut developer = app.member(business.id(), "developer").await;
    let read = page(&developer.get(&payout).await, 200);
    assert!(read.contains(address) && !read.contains("name=\"address\""), "{read}");
    app.advance(Duration::from_mins(11));
    let other = [("network", "eip155:8453"), ("address", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359")];
    let late = administrator.submit(&payout, &payout, &other).await;
    assert!(late.header("location").starts_with("/step-up"), "{}", late.header("location"));
    let proven = administrator.submit(late.header("location"), "/step-up", &[("password", PASSWORD)]).await;
    let again = page(&administrator.follow(&proven).await, 200);
    assert!(again.contains(other[1].1) && again.contains(address), "what was typed is there again: {again}");
    // What lies at deposit addresses is asked from the nodes; here none answers.
    let plan = format!("{payout}/plan");
    assert!(page(&developer.get(&payout).await, 200).contains(&plan));
    let unreachable = page(&developer.get(&plan).await, 200);
    assert!(unreachable.contains("No node of this network answers"), "{unreachable}");
    // TEST has none.
    let test = page(&administrator.get(&below(&business, "settings/checkout/payout")).await, 200);
    assert!(test.contains("goes nowhere") && !test.contains("name=\"address\""), "{test}");
    assert!(!page(&administrator.get(&below(&business, "settings/checkout")).await, 200).contains("/payout"));
}

#[tokio::test]
async fn accountants_take_movements_along_and_see_whether_the_sums_agree() {
    let app = TestApp::watching(TestDatabase::sqlite().await, vec![base_out_of_reach()]).await;
    let (business, _) = with_business(&app).await;
    let mut analyst = app.member(business.id(), "analyst").await;
    let made = link(&app, &business, "12.5").await;
    let payment = started(&app, &business, &made).await;
    let backend = app.key(business.id(), business.value("test", "secret"));
    let path = format!("/v1/test/payments/{}/scenario", id(&payment));
    backend.post(&path, &json!({"scenario": "paid"})).await.expect(200);
    let accounting = below(&business, "payments/accounting");
    assert!(page(&analyst.get(&below(&business, "payments")).await, 200).contains(&accounting));
    let shown = page(&analyst.get(&accounting).await, 200);
    assert!(shown.contains("Do the sums agree?") && shown.contains("No network is watched"), "TEST has none: {shown}");
    let shown = page(&analyst.get(&accounting.replace("/test/", "/live/")).await, 200);
    assert!(shown.contains("Not compared yet"), "{shown}");
    for (query, lines) in [("", 2), ("?from=2026-01-31&to=2026-01-31", 2), ("?to=2026-01-30", 1)] {
        let file = analyst.get(&format!("{accounting}/movements{query}")).await;
        assert_eq!(file.text().lines().count(), lines, "{query}: {}", file.text());
    }
    // A comparison that no node answers is not one that agrees.
    let compare = async || app.app.reconciliations().run("base").await.expect("kept");
    assert_eq!(compare().await.run.outcome.as_str(), "incomplete");
    let live = format!("/b/{}/live/payments", business.id());
    let shown = page(&analyst.get(&format!("{live}/accounting")).await, 200);
    assert!(shown.contains("Not completed") && !shown.contains("Agrees"), "{shown}");
    assert!(!page(&analyst.get(&live).await, 200).contains("is not what was counted"));
    let differences = "INSERT INTO reconciliation_differences (reconciliation_id, address, contract, business_id, \
                       environment, payment_id, received, sent, balance) SELECT 'rcn_00000000000000000000000001', \
                       '0x00000000000000000000000000000000000000AA', '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913', \
                       id, 'live', NULL, '12500000', '0', '25000000' FROM businesses";
    for sql in [
        "INSERT INTO reconciliations (id, ledger, started_at, finished_at, outcome, block, addresses, differences) \
         VALUES ('rcn_00000000000000000000000001', 'eip155:8453', 1, 2, 'differs', 7, 1, 1)",
        differences,
    ] {
        app.database.run(sql).await.expect("inserted");
    }
    assert!(page(&analyst.get(&live).await, 200).contains("is not what was counted"));
    let shown = page(&analyst.get(&format!("{live}/accounting")).await, 200);
    for told in ["Differs", "12.50 USDC more than was counted", "25.00 USDC", "could not be completed"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(!page(&analyst.get(&accounting).await, 200).contains("more than was counted"), "TEST is another matter");
    let mut stranger = app.member(app.business("mileston").await.id(), "administrator").await;
    assert_eq!(stranger.get(&format!("{accounting}/movements")).await.status.as_u16(), 404);
}

#[tokio::test]
async fn a_key_of_a_wallet_is_confirmed_by_whoever_finds_its_addresses_there() {
    const KEY: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
    const PRIVATE: &str = "xprv9yeny6n2dNUokQFykGoZU6BDLeKbEBUoBeCFe2VF6MXdrHrprMYRc4tddncDRxrJCy7GtPDk68zRcgWtGFveqdCV5NyhZwVgMoZVbTm78vx";
    const FIRST: [&str; 3] = [
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    ];
    let app = TestApp::watching(TestDatabase::sqlite().await, vec![base_out_of_reach()]).await;
    let business = app.business("mileston").await;
    let mut administrator = app.member(business.id(), "administrator").await;
    let mut developer = app.member(business.id(), "developer").await;
    let payout = format!("/b/{}/live/settings/checkout/payout", business.id());
    let confirm = format!("{payout}/confirm");
    let fields = |address| [("network", "eip155:8453"), ("address", address)];
    // What can spend is said to be just that, and nothing of it is shown again.
    let mistyped = PRIVATE.replace("9yeny", "9yenz");
    let phrase = "test test test test test test test test test test test junk";
    let digits = format!("0x{}", "a1".repeat(32));
    for secret in [PRIVATE, &mistyped, phrase, &digits, &digits[..65]] {
        let refused = page(&administrator.submit(&payout, &payout, &fields(secret)).await, 422);
        assert!(refused.contains("This can spend") && !refused.contains(&secret[..15]), "{refused}");
    }
    let cut = page(&administrator.submit(&payout, &payout, &fields(&KEY[..100])).await, 422);
    assert!(cut.contains("not the extended public key of an account") && cut.contains(&KEY[..100]), "{cut}");
    // It is not kept either while somebody proves who they are.
    app.advance(Duration::from_mins(11));
    let late = administrator.submit(&payout, &payout, &fields(PRIVATE)).await;
    assert!(!page(&late, 422).contains(&PRIVATE[..15]));
    let late = administrator.submit(&payout, &payout, &fields(KEY)).await;
    assert!(late.header("location").starts_with("/step-up"), "{}", late.header("location"));
    let proven = administrator.submit(late.header("location"), "/step-up", &[("password", PASSWORD)]).await;
    assert!(page(&administrator.follow(&proven).await, 200).contains(KEY), "what was typed is there again");
    let done = administrator.submit(&payout, &payout, &fields(KEY)).await;
    let shown = page(&administrator.follow(&done).await, 200);
    assert!(shown.contains("to be confirmed: Base") && shown.contains("No payout address"), "{shown}");
    assert!(FIRST.iter().all(|address| shown.contains(address)) && !shown.contains(KEY), "{shown}");
    let mails = app.mails().await;
    assert!(!mails.iter().any(|mail| mail.contains("LIVE money of")), "nothing has changed yet");
    // Without the tick, or with other addresses, it stays proposed; developers read it and cannot confirm.
    let read = page(&developer.get(&payout).await, 200);
    assert!(read.contains(FIRST[0]) && !read.contains("name=\"found\""), "{read}");
    let found = |first: &'static str, tick| {
        [("network", "eip155:8453"), ("address", first), ("address", FIRST[1]), ("address", FIRST[2]), ("found", tick)]
    };
    for wrong in [found(FIRST[0], ""), found("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "yes")] {
        let refused = page(&administrator.submit(&payout, &confirm, &wrong).await, 422);
        assert!(refused.contains("id=\"found-error\""), "{refused}");
    }
    let done = administrator.submit(&payout, &confirm, &found(FIRST[0], "yes")).await;
    let shown = page(&administrator.follow(&done).await, 200);
    assert!(shown.contains("Payout address set: Base") && !shown.contains("name=\"found\""), "{shown}");
    assert!(shown.contains("by the extended public key"), "{shown}");
    let mails = app.mails().await;
    let told: Vec<_> = mails.iter().filter(|mail| mail.contains("LIVE money of")).collect();
    assert_eq!(told.len(), 1, "the administrator, and nobody else");
    let events = page(&administrator.get(&format!("/b/{}/live/developers/events", business.id())).await, 200);
    assert!(events.contains("Extended public key proposed") && events.contains("Payout address set"), "{events}");
    // The whole key follows every payment: no event or page repeats it.
    assert!(!events.contains(KEY));
    let mut french = app.member(business.id(), "administrator").await.with_cookie("trousseau_language", "fr");
    let french = page(&french.get(&payout).await, 200);
    assert!(french.contains("Une nouvelle adresse de votre portefeuille"), "{french}");
}
