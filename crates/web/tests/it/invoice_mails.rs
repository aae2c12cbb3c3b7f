//! Invoices by mail and on paper: sent when they are made and when asked for, and reminded of.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use serde_json::{Value, json};
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::{Answer, Client};
use trousseau_testkit::pdf;

const CUSTOMER: &str = "billing@customer.example";

/// A business that speaks this language, and its backend in an environment.
async fn shop(app: &TestApp, language: &str, environment: &str) -> (Business, Client) {
    let business = app.business("mileston").await;
    let change = json!({"language": language, "time_zone": "Europe/Paris"});
    app.platform().patch(&format!("/v1/businesses/{}", business.id()), &change).await.expect(200);
    let backend = app.key(business.id(), business.value(environment, "secret"));
    (business, backend)
}

fn draft() -> Value {
    json!({
        "title": "Reliure d'art",
        "lines": [
            {"description": "Journée d'atelier", "quantity": 3, "unit_amount": "350"},
            {"description": "Cuir & papier", "quantity": 12, "unit_amount": "14.5"},
        ],
        "due_at": "2026-02-28T23:00:00Z",
        "customer_name": "Maison Éclair",
        "customer_email": CUSTOMER,
    })
}

async fn make(backend: &Client, change: Value) -> Value {
    let mut body = draft();
    for (name, value) in change.as_object().expect("an object") {
        body[name] = value.clone();
    }
    backend.post("/v1/invoices", &body).await.expect(201)
}

fn path(invoice: &Value) -> String {
    format!("/v1/invoices/{}", invoice["id"].as_str().expect("an id"))
}

async fn send(backend: &Client, invoice: &Value) -> Answer {
    backend.post_empty(&format!("{}/send", path(invoice))).await
}

/// The header of a mail; the words of it that are beyond ASCII stay encoded.
fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let (headers, _) = mail.split_once("\r\n\r\n").expect("an end of the headers");
    let start = format!("{name}: ");
    headers.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default()
}

/// The text that a person reads.
fn words(mail: &str) -> String {
    let start = mail.rsplit_once("charset=utf-8\r\n").expect("a text").1;
    let text = start.split_once("\r\n\r\n").expect("an end of its headers").1;
    text.split("\r\n--part-").next().expect("a text").replace("\r\n", "\n")
}

/// The name and the content of the file that goes with a mail.
fn attached(mail: &str) -> Option<(String, Vec<u8>)> {
    let (_, part) = mail.split_once("Content-Disposition: attachment; filename=\"")?;
    let (name, rest) = part.split_once('"').expect("an end of the name");
    let body = rest.split_once("\r\n\r\n").expect("an end of its headers").1;
    let digits: String = body.split("--part-").next().expect("a body").split_whitespace().collect();
    Some((name.to_owned(), STANDARD.decode(digits).expect("base64")))
}

/// Mails that were looked at. Those of one instant have no order, so a number of them would not do.
type Seen = HashSet<String>;

/// What was mailed to customers since the last look.
async fn mailed(app: &TestApp, seen: &mut Seen) -> Vec<String> {
    let all = app.mails().await.into_iter().filter(|mail| header(mail, "To").contains("customer"));
    all.filter(|mail| seen.insert(mail.clone())).collect()
}

/// What happened to an invoice, the oldest first.
async fn told(backend: &Client, invoice: &Value) -> Vec<String> {
    let id = invoice["id"].as_str().expect("an id");
    let events = backend.get(&format!("/v1/events?limit=100&subject={id}")).await.expect(200);
    let types = events["data"].as_array().expect("a list").iter().rev();
    types.map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

async fn advance_to(backend: &Client, to: &str) {
    backend.post("/v1/test/clock", &json!({"to": to})).await.expect(200);
}

/// A text without what differs each time.
fn settled(text: &str, invoice: &Value) -> String {
    text.replace(invoice["id"].as_str().expect("an id"), "inv_...")
}

#[tokio::test]
async fn a_customer_gets_the_invoice_when_it_is_made() {
    for app in TestApp::on_every_engine().await {
        let mut seen = Seen::new();
        for language in ["en", "fr"] {
            let (_, backend) = shop(&app, language, "live").await;
            let invoice = make(&backend, json!({})).await;
            assert_eq!(invoice["sent_at"], "2026-01-31T12:00:00Z");
            assert_eq!(told(&backend, &invoice).await, ["invoice.created", "invoice.sent"]);
            let mails = mailed(&app, &mut seen).await;
            assert_eq!(mails.len(), 1, "{mails:#?}");
            let mail = &mails[0];
            assert_eq!(header(mail, "To"), CUSTOMER);
            insta::assert_snapshot!(format!("invoice_mail_{language}"), settled(&words(mail), &invoice));
            let (name, file) = attached(mail).expect("a file");
            let expected = if language == "fr" { "facture-1.pdf" } else { "invoice-1.pdf" };
            assert_eq!(name, expected);
            insta::assert_snapshot!(format!("invoice_pdf_{language}"), settled(&pdf::text(&file), &invoice));
            // The same invoice is the same file, however one gets it.
            let read = backend.get(&format!("{}/pdf", path(&invoice))).await;
            assert_eq!(read.status.as_u16(), 200);
            assert_eq!(read.header("content-type"), "application/pdf");
            assert_eq!(read.header("content-disposition"), format!("attachment; filename=\"{expected}\""));
            assert!(read.body == file, "{language}");
        }
    }
}

#[tokio::test]
async fn a_mail_of_test_says_so_loudly() {
    for app in TestApp::on_every_engine().await {
        let mut seen = Seen::new();
        for (language, loud, band) in [
            ("en", "*** THIS IS A TEST ***", "TEST – this is not a real invoice, and nothing is to be paid"),
            ("fr", "*** CECI EST UN TEST ***", "TEST – ceci n’est pas une vraie facture, rien n’est à payer"),
        ] {
            let (_, backend) = shop(&app, language, "test").await;
            let invoice = make(&backend, json!({"title": "漢字 🙂", "customer_name": null})).await;
            let mails = mailed(&app, &mut seen).await;
            let mail = &mails[0];
            let subject = header(mail, "Subject");
            assert!(subject.starts_with("[TEST]"), "{subject}");
            assert!(words(mail).starts_with(loud), "{mail}");
            let (name, file) = attached(mail).expect("a file");
            assert!(name.contains("-TEST-1.pdf"), "{name}");
            let pages = pdf::pages(&file);
            assert!(pages.iter().all(|page| page[0] == band), "{pages:?}");
            assert!(pages[0].iter().any(|text| text == "漢字 🙂"), "{pages:?}");
            let link = format!("/pay/invoice/{}", invoice["id"].as_str().expect("an id"));
            assert!(pages[0].iter().any(|text| text.ends_with(&link)), "{pages:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_mailed_without_an_address_or_against_ones_will() {
    for app in TestApp::on_every_engine().await {
        let (business, backend) = shop(&app, "en", "test").await;
        let nobody = make(&backend, json!({"customer_email": null})).await;
        let kept = make(&backend, json!({"send": false})).await;
        for invoice in [&nobody, &kept] {
            assert_eq!(invoice["sent_at"], Value::Null);
            assert_eq!(told(&backend, invoice).await, ["invoice.created"]);
        }
        advance_to(&backend, "2026-03-09T12:00:00Z").await;
        assert!(mailed(&app, &mut Seen::new()).await.is_empty(), "who never got it is not reminded of it");
        let refused = send(&backend, &nobody).await;
        assert_eq!(refused.expect(409)["code"], "no_customer_email");
        assert_eq!(backend.post_empty("/v1/invoices/inv_00000000000000000000000000/send").await.status.as_u16(), 404);
        // A checkout key and a key that may only read send nothing.
        let page = app.key(business.id(), business.value("test", "checkout")).with("origin", "https://shop.example");
        assert_eq!(send(&page, &kept).await.status.as_u16(), 403);
        let suspend = format!("/v1/businesses/{}/suspend", business.id());
        app.platform().post_empty(&suspend).await.expect(200);
        let refused = send(&backend, &kept).await.status.as_u16();
        assert!((400..500).contains(&refused), "{refused}");
        assert!(mailed(&app, &mut Seen::new()).await.is_empty());
    }
}

#[tokio::test]
async fn an_invoice_is_sent_again_as_often_as_is_bearable() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = shop(&app, "en", "live").await;
        let invoice = make(&backend, json!({"attach_pdf": false})).await;
        let mut seen = Seen::new();
        assert!(attached(&mailed(&app, &mut seen).await[0]).is_none());
        backend.patch(&path(&invoice), &json!({"attach_pdf": true})).await.expect(200);
        assert!(mailed(&app, &mut seen).await.is_empty(), "a change is not mailed");
        // The same request twice is one mail.
        let once = backend.clone().with("idempotency-key", "again-1");
        let sent = send(&once, &invoice).await.expect(200);
        assert_eq!(send(&once, &invoice).await.expect(200), sent);
        let mails = mailed(&app, &mut seen).await;
        assert_eq!(mails.len(), 1);
        assert!(attached(&mails[0]).is_some());
        for _ in 0..3 {
            send(&backend, &invoice).await.expect(200);
        }
        let refused = send(&backend, &invoice).await;
        assert_eq!(refused.expect(429)["code"], "mail_limit_reached");
        assert_eq!(refused.header("retry-after"), "86400");
        assert_eq!(mailed(&app, &mut seen).await.len(), 3);
        let history = told(&backend, &invoice).await;
        assert_eq!(history.iter().filter(|kind| *kind == "invoice.sent").count(), 5, "{history:?}");
        // Other invoices for the same customer fill the rest, and then are made without a mail.
        let mut unsent = 0;
        for _ in 0..17 {
            unsent += usize::from(make(&backend, json!({})).await["sent_at"].is_null());
        }
        assert_eq!(unsent, 2);
        assert_eq!(mailed(&app, &mut seen).await.len(), 15);
        // Another address of the invoice is another customer; coming back to the first one helps nothing.
        for (email, status) in [("other@customer.example", 200), (CUSTOMER, 429)] {
            backend.patch(&path(&invoice), &json!({"customer_email": email})).await.expect(200);
            assert_eq!(send(&backend, &invoice).await.status.as_u16(), status, "{email}");
        }
        app.advance(Duration::from_hours(24) + Duration::from_secs(1));
        send(&backend, &invoice).await.expect(200);
    }
}

#[tokio::test]
async fn what_is_over_is_not_sent() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = shop(&app, "en", "test").await;
        let (paid, void) = (make(&backend, json!({})).await, make(&backend, json!({})).await);
        let deleted = make(&backend, json!({})).await;
        let mut seen = Seen::new();
        assert_eq!(mailed(&app, &mut seen).await.len(), 3);
        let payment = backend.post("/v1/checkout/payments", &json!({"payable": paid["id"]})).await.expect(201);
        let scenario = format!("/v1/test/payments/{}/scenario", payment["id"].as_str().expect("an id"));
        backend.post(&scenario, &json!({"scenario": "paid"})).await.expect(200);
        backend.post_empty(&format!("{}/void", path(&void))).await.expect(200);
        backend.delete(&path(&deleted)).await.expect(200);
        for invoice in [&paid, &void, &deleted] {
            assert_eq!(send(&backend, invoice).await.expect(409)["code"], "invoice_closed");
        }
        advance_to(&backend, "2026-02-25T12:00:00Z").await;
        advance_to(&backend, "2026-03-01T12:00:00Z").await;
        assert!(mailed(&app, &mut seen).await.is_empty(), "nothing is to be reminded of");
        for (invoice, word) in [(&paid, "Paid on"), (&void, "Called off on"), (&deleted, "Called off on")] {
            let file = backend.get(&format!("{}/pdf", path(invoice))).await;
            let text = pdf::text(&file.body);
            assert!(text.contains(word) && text.contains("Nothing is to be paid any more"), "{text}");
            assert!(!text.contains("Pay online"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_mail_that_waited_too_long_does_not_leave() {
    for app in TestApp::on_every_engine().await {
        let (business, backend) = shop(&app, "en", "live").await;
        let gone = make(&backend, json!({})).await;
        backend.post_empty(&format!("{}/void", path(&gone))).await.expect(200);
        let mut seen = Seen::new();
        assert!(mailed(&app, &mut seen).await.is_empty(), "it was called off before it left");
        make(&backend, json!({})).await;
        app.platform().post_empty(&format!("/v1/businesses/{}/suspend", business.id())).await.expect(200);
        assert!(mailed(&app, &mut seen).await.is_empty(), "a suspended business sends nothing");
    }
}

#[tokio::test]
async fn reminders_go_out_by_the_clock_of_the_business_each_once() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = shop(&app, "en", "test").await;
        let invoice = make(&backend, json!({})).await;
        let mut seen = Seen::new();
        mailed(&app, &mut seen).await;
        // In time until the end of 28 February in Paris.
        for (to, subject) in [
            ("2026-02-25T06:59:59Z", None),
            ("2026-02-25T07:00:00Z", Some("[TEST] Due on 28 Feb 2026: invoice 1 from ")),
            ("2026-02-25T19:00:00Z", None),
            ("2026-02-28T07:00:00Z", Some("[TEST] Due today: invoice 1 from ")),
            ("2026-03-03T07:00:00Z", Some("[TEST] Past due: invoice 1 from ")),
            ("2026-03-07T07:00:00Z", Some("[TEST] Past due: invoice 1 from ")),
            ("2026-03-20T07:00:00Z", None),
        ] {
            advance_to(&backend, to).await;
            // However often, and on however many nodes, somebody looks.
            app.app.jobs().run_pending().await.expect("runs");
            app.app.jobs().run_pending().await.expect("runs");
            let mails = mailed(&app, &mut seen).await;
            assert_eq!(mails.len(), usize::from(subject.is_some()), "{to}: {mails:#?}");
            if let (Some(subject), [mail]) = (subject, mails.as_slice()) {
                assert!(header(mail, "Subject").starts_with(subject), "{to}: {mail}");
                assert!(attached(mail).is_none() && mail.contains("ignore this message"), "{mail}");
            }
        }
        let sent = ["invoice.created", "invoice.sent"].into_iter().chain([const { "invoice.reminded" }; 4]);
        assert_eq!(told(&backend, &invoice).await, sent.collect::<Vec<_>>());
        let events = backend.get("/v1/events?type=invoice.reminded").await.expect(200);
        let days = events["data"].as_array().expect("a list").iter().rev().map(|event| event["data"]["days"].as_i64());
        assert_eq!(days.collect::<Vec<_>>(), [-3, 0, 3, 7].map(Some));
    }
}

#[tokio::test]
async fn of_missed_reminders_only_the_latest_goes_out() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = shop(&app, "fr", "test").await;
        make(&backend, json!({})).await;
        let late = make(&backend, json!({"due_at": "2026-01-20T00:00:00Z"})).await;
        let mut seen = Seen::new();
        assert_eq!(mailed(&app, &mut seen).await.len(), 2);
        advance_to(&backend, "2026-03-05T12:00:00Z").await;
        let mails = mailed(&app, &mut seen).await;
        assert_eq!(mails.len(), 1, "{mails:#?}");
        assert!(words(&mails[0]).contains("dont l’échéance est passée"), "{}", mails[0]);
        assert_eq!(told(&backend, &late).await, ["invoice.created", "invoice.sent"]);
        // Another due date is another round of reminders.
        let again = make(&backend, json!({"due_at": "2026-03-06T23:00:00Z"})).await;
        backend.patch(&path(&again), &json!({"due_at": "2026-04-30T22:00:00Z"})).await.expect(200);
        mailed(&app, &mut seen).await;
        advance_to(&backend, "2026-03-20T12:00:00Z").await;
        assert!(mailed(&app, &mut seen).await.is_empty());
        advance_to(&backend, "2026-04-27T12:00:00Z").await;
        assert_eq!(mailed(&app, &mut seen).await.len(), 1);
    }
}

#[tokio::test]
async fn periods_of_recurring_payments_are_mailed_and_reminded_of_unless_paused() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = shop(&app, "en", "test").await;
        let draft = json!({
            "amount": "9", "name": "Monthly box", "anchor": "2026-01-31T12:00:00Z",
            "interval": {"unit": "months", "count": 1}, "customer_email": CUSTOMER,
        });
        let recurring = backend.post("/v1/recurring_payments", &draft).await.expect(201);
        let one = format!("/v1/recurring_payments/{}", recurring["id"].as_str().expect("an id"));
        let mut seen = Seen::new();
        let first = mailed(&app, &mut seen).await;
        assert_eq!(first.len(), 1);
        assert!(words(&first[0]).contains("Monthly box") && attached(&first[0]).is_some(), "{}", first[0]);
        advance_to(&backend, "2026-02-03T12:00:00Z").await;
        assert_eq!(mailed(&app, &mut seen).await.len(), 1, "three days late");
        backend.post_empty(&format!("{one}/pause")).await.expect(200);
        advance_to(&backend, "2026-02-07T12:00:00Z").await;
        assert!(mailed(&app, &mut seen).await.is_empty(), "it is paused");
        backend.post_empty(&format!("{one}/resume")).await.expect(200);
        app.app.jobs().run_pending().await.expect("runs");
        assert_eq!(mailed(&app, &mut seen).await.len(), 1, "seven days late");
        advance_to(&backend, "2026-02-28T13:00:00Z").await;
        let second = mailed(&app, &mut seen).await;
        assert_eq!(second.len(), 1);
        assert!(words(&second[0]).contains("Invoice 2"), "{}", second[0]);
        backend.delete(&one).await.expect(200);
        let invoices = backend.get("/v1/invoices").await.expect(200);
        assert_eq!(send(&backend, &invoices["data"][0]).await.expect(409)["code"], "invoice_closed");
        advance_to(&backend, "2026-03-07T13:00:00Z").await;
        assert!(mailed(&app, &mut seen).await.is_empty(), "it is deleted");
    }
}

#[tokio::test]
async fn a_period_without_a_name_is_called_so_in_the_language_of_the_business() {
    for (language, called) in [("en", "Recurring payment"), ("fr", "Paiement récurrent")] {
        let app = TestApp::on_every_engine().await.remove(0);
        let (_, backend) = shop(&app, language, "test").await;
        let draft = json!({
            "amount": "9", "anchor": "2026-01-31T12:00:00Z", "interval": {"unit": "months", "count": 1},
            "customer_email": CUSTOMER,
        });
        let recurring = backend.post("/v1/recurring_payments", &draft).await.expect(201);
        assert_eq!(recurring["latest_invoice"]["title"], json!(called));
        let mails = mailed(&app, &mut Seen::new()).await;
        assert!(words(&mails[0]).contains(called), "{}", mails[0]);
    }
}

#[tokio::test]
async fn what_people_typed_forges_no_header_and_no_markup() {
    for app in TestApp::on_every_engine().await {
        let (business, backend) = shop(&app, "en", "live").await;
        for bad in ["x\r\nBcc: all@example.com", "x\nBcc: all@example.com", "x\u{2028}y"] {
            for member in ["title", "customer_name", "customer_email"] {
                let mut body = draft();
                body[member] = Value::from(bad);
                assert_eq!(backend.post("/v1/invoices", &body).await.status.as_u16(), 422, "{member} {bad:?}");
            }
        }
        let renamed = json!({"name": "A =?utf-8?q?=0d=0aBcc:_x?= <b>\"Ltd\"</b>; $&"});
        app.platform().patch(&format!("/v1/businesses/{}", business.id()), &renamed).await.expect(200);
        let title = "(((<script>alert(1)</script>\\ 100% %PDF endobj";
        let name = "--part- ".repeat(20);
        make(&backend, json!({"title": title, "customer_name": name.trim(), "customer_reference": ")) Tj ET"})).await;
        let mails = mailed(&app, &mut Seen::new()).await;
        let (headers, _) = mails[0].split_once("\r\n\r\n").expect("an end of the headers");
        let names: Vec<_> = headers.lines().filter(|line| !line.starts_with([' ', '\t'])).collect();
        assert!(names.iter().all(|line| !line.starts_with("Bcc")), "{headers}");
        assert_eq!(names.iter().filter(|line| line.starts_with("Subject")).count(), 1, "{headers}");
        assert!(mails[0].contains("Content-Type: text/plain") && !mails[0].contains("text/html"), "{}", mails[0]);
        let text = pdf::text(&attached(&mails[0]).expect("a file").1);
        assert!(text.contains(title) && text.contains(")) Tj ET"), "{text}");
    }
}

#[tokio::test]
async fn the_hosted_page_has_the_file_in_its_own_language() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = shop(&app, "en", "test").await;
        let invoice = make(&backend, json!({})).await;
        let id = invoice["id"].as_str().expect("an id");
        let file = format!("/pay/invoice/{id}/pdf");
        let page = app.anonymous().get(&format!("/pay/invoice/{id}")).await.text();
        assert!(page.contains(&format!("href=\"{file}\"")), "{page}");
        for (language, word) in [("en", "Billed to"), ("fr", "Facturé à")] {
            let read = app.anonymous().with("accept-language", language).get(&file).await;
            assert_eq!(read.status.as_u16(), 200);
            assert_eq!(read.header("x-content-type-options"), "nosniff");
            assert!(pdf::text(&read.body).contains(word), "{language}");
        }
        let draft = json!({"amount": "9", "anchor": "2026-01-31T12:00:00Z", "interval": {"unit": "days", "count": 30}});
        let recurring = backend.post("/v1/recurring_payments", &draft).await.expect(201);
        let link = backend.post("/v1/payment_links", &json!({"amount": "1"})).await.expect(201);
        for (path, status) in [
            (format!("/pay/recurring-payment/{}/pdf", recurring["id"].as_str().expect("an id")), 200),
            (format!("/pay/payment-link/{}/pdf", link["id"].as_str().expect("an id")), 404),
            ("/pay/invoice/inv_00000000000000000000000000/pdf".to_owned(), 404),
        ] {
            assert_eq!(app.anonymous().get(&path).await.status.as_u16(), status, "{path}");
        }
        backend.delete(&path(&invoice)).await.expect(200);
        assert_eq!(app.anonymous().get(&file).await.status.as_u16(), 404, "it is deleted");
    }
}

#[tokio::test]
async fn a_hundred_lines_go_over_several_pages_with_their_logo() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = shop(&app, "en", "live").await;
        let lines: Vec<_> =
            (1..=100).map(|n| json!({"description": format!("Line {n}"), "quantity": n, "unit_amount": "1"})).collect();
        make(&backend, json!({"lines": lines, "title": "w".repeat(200)})).await;
        let mails = mailed(&app, &mut Seen::new()).await;
        assert!(words(&mails[0]).contains("- and 80 lines more"), "{}", words(&mails[0]));
        let pages = pdf::pages(&attached(&mails[0]).expect("a file").1);
        assert!(pages.len() > 2, "{}", pages.len());
        for (number, page) in (1..).zip(&pages) {
            assert!(page.contains(&format!("Page {number} of {}", pages.len())), "{page:?}");
        }
        let all = pages.concat();
        assert!((1..=100).all(|n| all.contains(&format!("Line {n}"))));
        assert!(all.contains(&"5,050.00\u{a0}USDC".to_owned()), "{all:?}");
        assert_eq!(all.iter().filter(|text| text.chars().all(|one| one == 'w')).map(String::len).sum::<usize>(), 200);
    }
}

#[tokio::test]
async fn milestons_creation_mails_and_add_pdf_attaches() {
    for app in TestApp::on_every_engine().await {
        let (_, backend) = shop(&app, "en", "test").await;
        let invoice = json!({
            "amount": "100.00", "itemName": "Bag", "customerEmail": CUSTOMER, "dueDate": "2026-02-28T23:00:00.000Z",
        });
        let mut with_pdf = invoice.clone();
        with_pdf["addPdf"] = Value::from(true);
        let recurring = json!({
            "amount": "9", "subscriptionName": "Box", "subscriberFullName": "Zoé", "subscriberEmail": CUSTOMER,
            "recurringDate": "2026-01-31T12:00:00.000Z", "recurringInterval": 30,
        });
        let mut without = recurring.clone();
        without["addPdf"] = Value::from(false);
        let mut seen = Seen::new();
        for (path, body, file) in [
            ("/invoice/create?businessName=x", &invoice, false),
            ("/invoice/create?businessName=x", &with_pdf, true),
            ("/recurring-payment/create?businessName=x", &recurring, true),
            ("/recurring-payment/create?businessName=x", &without, false),
        ] {
            let request = Request::builder().method(Method::POST).uri(path).header("content-type", "application/json");
            let answer = backend.call(request.body(body.to_string().into()).expect("a request")).await;
            assert_eq!(answer.status.as_u16(), 201, "{}", answer.text());
            let mails = mailed(&app, &mut seen).await;
            assert_eq!(mails.len(), 1, "{path}");
            assert_eq!(attached(&mails[0]).is_some(), file, "{path} {body}");
        }
    }
}
