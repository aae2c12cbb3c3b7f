//! Developers > Events, Request logs and Usage: what happened, by whom, and how much.

use std::time::Duration;

use serde_json::json;
use trousseau_domain::time::Timestamp;
use trousseau_service::Context;
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::browser::Browser;

use super::{page, steady, token};

async fn with_business(app: &TestApp) -> (Business, Browser) {
    let business = app.business("mileston").await;
    let browser = app.member(business.id(), "administrator").await;
    (business, browser)
}

fn below(business: &Business, path: &str) -> String {
    format!("/b/{}/test/developers/{path}", business.id())
}

/// A key made by a call, a name given by a member, calls that were good and bad: all written down.
async fn lived(app: &TestApp, business: &Business, browser: &mut Browser) {
    let client = app.key(business.id(), business.value("test", "secret"));
    // One after the other, so that lists have one order.
    client.get("/v1/whoami").await.expect(200);
    app.advance(Duration::from_secs(1));
    client.get("/v1/keys?limit=0").await.expect(400);
    app.advance(Duration::from_secs(1));
    app.key(business.id(), business.value("test", "checkout")).get("/v1/keys").await.expect(403);
    let edit = below(business, "api-keys/1/edit");
    let changed = browser.submit(&edit, &edit, &[("name", "Orders")]).await;
    assert_eq!(changed.status.as_u16(), 303, "{}", changed.text());
    app.app.jobs().run_pending().await.expect("written");
    app.advance(Duration::from_secs(5));
}

/// The address of the first link of a page that begins with `start`.
fn link(page: &str, start: &str) -> String {
    let mut links = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.find(|href| href.starts_with(start)).expect("a link").to_owned()
}

#[tokio::test]
async fn every_page_in_both_languages() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut browser) = with_business(&app).await;
    lived(&app, &business, &mut browser).await;
    let (events, requests) = (below(&business, "events"), below(&business, "requests"));
    let event = link(&page(&browser.get(&format!("{events}?type=key.updated")).await, 200), &format!("{events}/"));
    let call = link(&page(&browser.get(&format!("{requests}?status=403")).await, 200), &format!("{requests}/"));
    for language in ["en", "fr"] {
        browser.post("/preferences", &[("language", language), ("csrf", &token(&mut browser.clone()).await)]).await;
        for (name, path) in [
            ("events", events.clone()),
            ("events_nothing_found", format!("{events}?number=99")),
            ("event", event.clone()),
            ("requests", requests.clone()),
            ("requests_nothing_found", format!("{requests}?status=299")),
            ("request", call.clone()),
            ("usage", below(&business, "usage?days=7")),
            ("usage_nothing", format!("/b/{}/live/developers/usage", business.id())),
        ] {
            let shown = page(&browser.get(&path).await, 200);
            assert!(shown.contains(&format!("<html lang=\"{language}\"")));
            insta::assert_snapshot!(format!("{name}_{language}"), steady(&shown, &business));
        }
    }
}

#[tokio::test]
async fn events_say_what_happened_and_name_who_did_it() {
    for app in TestApp::on_every_engine().await {
        let (business, mut browser) = with_business(&app).await;
        lived(&app, &business, &mut browser).await;
        let mut developer = app.member(business.id(), "developer").await;
        let events = below(&business, "events");
        let list = page(&developer.get(&events).await, 200);
        for told in ["Key changed", "Name: none → Orders", "translate=\"no\">A member<", "Member added", "The platform"]
        {
            assert!(list.contains(told), "{told}: {list}");
        }
        let own = page(&browser.get(&format!("{events}?type=key.updated")).await, 200);
        assert!(own.contains("<span>You</span>") && !own.contains("Key created</a>"), "{own}");
        // What a key did is told by the number of the key, and leads to the call.
        let body = json!({"name": "Maker", "scopes": ["keys:read", "keys:write"]});
        let keys = format!("/v1/businesses/{}/keys?environment=test", business.id());
        let maker = app.platform().post(&keys, &body).await.expect(201);
        let client = app.key(business.id(), maker["value"].as_str().expect("a value"));
        let made = client.post("/v1/keys", &json!({"name": "Left behind", "scopes": ["keys:read"]})).await;
        let number = made.expect(201)["number"].as_u64().expect("a number");
        app.app.jobs().run_pending().await.expect("written");
        let of_key = page(&developer.get(&format!("{events}?number={number}")).await, 200);
        assert!(of_key.contains("<span>Key 3</span>"), "{of_key}");
        let shown = page(&developer.get(&link(&of_key, &format!("{events}/"))).await, 200);
        let reference = made.header("x-request-id");
        assert!(shown.contains(&format!("developers/requests/{reference}\"")), "{shown}");
        // Somebody who is gone has no name here any more.
        let id = business.id().parse().expect("a business id");
        let members = app.app.people().members(&id).await.expect("members");
        let first = members.iter().find(|member| member.role.as_str() == "administrator").expect("the first");
        let mut second = app.member(business.id(), "administrator").await;
        app.app.people().remove_member(&Context::system(), &id, first.account.id).await.expect("removed");
        let later = page(&second.get(&format!("{events}?type=key.updated")).await, 200);
        assert!(later.contains("Somebody who is no member now"), "{later}");
    }
}

#[tokio::test]
async fn lists_are_narrowed_by_type_key_method_and_time_and_taken_along() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut browser) = with_business(&app).await;
    lived(&app, &business, &mut browser).await;
    let (events, requests) = (below(&business, "events"), below(&business, "requests"));
    // Noon of UTC is one o'clock in Paris.
    for (query, found) in [
        ("type=key.updated", true),
        ("type=key.revoked", false),
        ("type=key.updated&number=1", true),
        ("type=key.updated&number=2", false),
        ("type=key.updated&number=99", false),
        ("type=key.updated&number=nonsense", false),
        ("type=key.updated&from=2026-01-31&to=2026-01-31", true),
        ("type=key.updated&from=2026-02-01", false),
        ("type=key.updated&to=2026-01-30", false),
    ] {
        let list = page(&browser.get(&format!("{events}?{query}")).await, 200);
        assert_eq!(list.contains("Orders</"), found && list.contains("Key changed</a>"), "{query}: {list}");
        assert_eq!(list.contains("No event is like this"), !found, "{query}");
    }
    for (query, found) in [
        ("number=1", true),
        ("number=2", false),
        ("number=77", false),
        ("method=GET", true),
        ("method=DELETE", false),
        ("from=2026-01-31T13:00&to=2026-01-31T13:00", true),
        ("from=2026-01-31T13:01", false),
        ("to=2026-01-31T12:59", false),
    ] {
        let list = page(&browser.get(&format!("{requests}?{query}")).await, 200);
        assert_eq!(list.contains("GET /v1/whoami"), found, "{query}: {list}");
        let file = browser.get(&format!("{requests}?format=csv&{query}")).await;
        assert_eq!(file.text().contains(",GET,/v1/whoami,200,succeeded,"), found, "{query}: {}", file.text());
    }
    let file = browser.get(&format!("{events}?format=csv&type=key.updated")).await;
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert!(
        file.text().contains(",key.updated,test,1,A member <") && !file.text().contains("key.created"),
        "{}",
        file.text()
    );
    assert!(file.text().starts_with("\u{feff}id,created_at,"), "spreadsheets know it for UTF-8");
    browser.post("/preferences", &[("language", "fr"), ("csrf", &token(&mut browser.clone()).await)]).await;
    let excel = browser.get(&format!("{events}?type=key.updated&format=excel")).await.text();
    assert!(excel.starts_with("\u{feff}id;created_at;") && excel.contains(";2026-01-31 13:00:0"), "{excel}");
    browser.post("/preferences", &[("language", "en"), ("csrf", &token(&mut browser.clone()).await)]).await;
    // What Excel gets is what the decoded address asks for, and nothing that only ends like it.
    let encoded = browser.get(&format!("{events}?type=key.updated&format=exce%6C")).await.text();
    assert!(encoded.contains(",2026-01-31 13:00:0"), "{encoded}");
    // A reference that no call has is no reason to show all calls.
    for reference in ["nonsense", "req_00000000000000000000000000"] {
        let unknown = page(&browser.get(&format!("{requests}?reference={reference}")).await, 200);
        assert!(!unknown.contains("/v1/whoami"), "{reference}: {unknown}");
        let file = browser.get(&format!("{requests}?reference={reference}&format=csv")).await.text();
        assert_eq!(file.lines().count(), 1, "{reference}: {file}");
        let taken = format!("{requests}?reference={reference}&#38;format=csv");
        assert!(unknown.contains(&taken), "{reference}: {unknown}");
    }
    let nobody = browser.get(&format!("{events}?format=csv&number=99")).await;
    assert_eq!(nobody.text().lines().count(), 1, "{}", nobody.text());
    // What makes no sense widens nothing: neither a list nor a file has a row, and the field says why.
    let keys = below(&business, "api-keys");
    let payments = format!("/b/{}/test/payments", business.id());
    for (list, query, field) in [
        (&requests, "status=abc", "status"),
        (&requests, "outcome=refused%20", "outcome"),
        (&requests, "status=2000", "status"),
        (&requests, "outcome=fine", "outcome"),
        (&requests, "method=nonsense", "method"),
        (&requests, "from=nonsense", "from"),
        (&requests, "from=2026-02-01T10:00&to=2026-01-31T10:00", "to"),
        (&events, "type=none.such", "type"),
        (&events, "from=30/11/2026&number=1", "from"),
        (&events, "from=2026-02-02&to=2026-02-01", "to"),
        (&keys, "type=none", "type"),
        (&keys, "state=none", "state"),
        (&payments, "from=30/11/2026", "from"),
        (&payments, "status=none", "status"),
        (&payments.replace("payments", "invoices"), "status=none", "status"),
        (&payments.replace("payments", "payment-links"), "status=none", "status"),
        (&payments.replace("payments", "recurring-payments"), "status=none", "status"),
        (&format!("{payments}/refunds"), "to=soon", "to"),
        (&format!("{payments}/accounting/movements"), "from=soon", "from"),
    ] {
        for form in ["", "&format=csv", "&format=excel"] {
            let wrong = page(&browser.get(&format!("{list}?{query}{form}")).await, 422);
            assert!(
                wrong.contains(&format!("id=\"{field}-error\"")) && wrong.contains("id=\"errors\""),
                "{query}: {wrong}"
            );
            assert!(!wrong.contains("<table"), "{query}: {wrong}");
        }
    }
    let wrong = page(&browser.get(&format!("{requests}?status=2000")).await, 422);
    assert!(wrong.contains(">Status</label>") && wrong.contains("“2000” is no status of HTTP."), "{wrong}");
    // Of a list that is a file alone, what was asked for stays, and the way without filters is its page.
    let accounting = format!("{payments}/accounting");
    let wrong = page(&browser.get(&format!("{accounting}/movements?from=soon&format=excel")).await, 422);
    for text in [&format!("action=\"{accounting}/movements\""), &format!("href=\"{accounting}\""), "value=\"excel\""] {
        assert!(wrong.contains(text), "{text}: {wrong}");
    }
    // A page goes on where the one before it ended, and an event of elsewhere is no place to go on from.
    let elsewhere = browser.get(&format!("{events}?after=evt_00000000000000000000000001")).await;
    assert_eq!((elsewhere.status.as_u16(), elsewhere.header("location")), (303, events.as_str()));
}

#[tokio::test]
async fn usage_adds_up_in_pictures_tables_and_file() {
    for app in TestApp::on_every_engine().await {
        let (business, mut browser) = with_business(&app).await;
        lived(&app, &business, &mut browser).await;
        let usage = below(&business, "usage");
        let shown = page(&browser.get(&format!("{usage}?days=7")).await, 200);
        assert_eq!(shown.matches("<svg class=\"bars\"").count(), 3, "{shown}");
        assert!(shown.contains("<strong>3</strong> requests"), "{shown}");
        assert!(shown.contains("25 Jan 2026 to 31 Jan 2026. Most on one day: 3."), "{shown}");
        for row in [
            "31 Jan 2026</th><td class=\"num\">1</td><td class=\"num\">1</td><td class=\"num\">1</td><td class=\"num\">3<",
            "<td class=\"num\">1</td><td class=\"num\">33.3%</td>",
            "translate=\"no\">Orders</span></th><td class=\"num\">1</td><td class=\"num\">1</td><td class=\"num\">0</td>",
        ] {
            assert!(shown.contains(row), "{row}: {shown}");
        }
        let file = browser.get(&format!("{usage}?days=7&format=csv")).await.text();
        let mut lines: Vec<&str> = file.lines().collect();
        lines.sort_unstable();
        let expected = [
            "2026-01-31,1,failed,1",
            "2026-01-31,1,succeeded,1",
            "2026-01-31,2,refused,1",
            "\u{feff}day,key,outcome,requests",
        ];
        assert_eq!(lines, expected);
        // After a week it is in the longer ranges only.
        app.advance(Duration::from_hours(7 * 24));
        let mut browser = app.member(business.id(), "developer").await;
        for (days, calls) in [("7", false), ("30", true), ("90", true), ("nonsense", true)] {
            let shown = page(&browser.get(&format!("{usage}?days={days}")).await, 200);
            assert_eq!(shown.contains("<strong>3</strong>"), calls, "{days}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_call_can_be_made_again_with_curl_and_no_key_is_in_it() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut browser) = with_business(&app).await;
    let value = business.value("test", "secret");
    let refused = app.key(business.id(), value).post_empty("/v1/keys/key_00000000000000000000000000/revoke").await;
    app.app.jobs().run_pending().await.expect("written");
    let reference = refused.header("x-request-id");
    let shown = page(&browser.get(&format!("{}/{reference}", below(&business, "requests"))).await, 200);
    assert!(shown.contains("curl -s -X POST &#34;http://localhost:8080/v1/keys/$ID/revoke&#34;"), "{shown}");
    assert!(shown.contains("apikey: $API_KEY") && !shown.contains(&value[14..]), "{shown}");
    // A question of somebody else is not a call to repeat.
    let body = json!({"key": value, "business_id": business.id()});
    app.platform().post("/v1/keys/verify", &body).await.expect(200);
    app.app.jobs().run_pending().await.expect("written");
    let list = page(&browser.get(&format!("{}?path=/v1/keys/verify", below(&business, "requests"))).await, 200);
    let verified = link(&list, &format!("{}/", below(&business, "requests")));
    assert!(!page(&browser.get(&verified).await, 200).contains("curl"));
}

#[tokio::test]
async fn analysts_and_strangers_see_nothing_of_keys() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut browser) = with_business(&app).await;
    lived(&app, &business, &mut browser).await;
    let mut analyst = app.member(business.id(), "analyst").await;
    let mut stranger = app.member(app.business("mileston").await.id(), "administrator").await;
    let events = below(&business, "events");
    let event = link(&page(&browser.get(&events).await, 200), &format!("{events}/"));
    for path in [
        events.clone(),
        event,
        format!("{events}?format=csv"),
        below(&business, "usage"),
        below(&business, "usage?format=csv"),
    ] {
        assert_eq!(analyst.get(&path).await.status.as_u16(), 403, "{path}");
        assert_eq!(stranger.get(&path).await.status.as_u16(), 404, "{path}");
    }
    assert_eq!(browser.get(&format!("{events}/nonsense")).await.status.as_u16(), 404);
}

#[tokio::test]
async fn the_way_back_to_the_newest_keeps_what_was_asked_for() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut browser) = with_business(&app).await;
    let client = app.key(business.id(), business.value("test", "secret"));
    for _ in 0..52 {
        client.get("/v1/whoami").await.expect(200);
        app.advance(Duration::from_secs(1));
    }
    app.app.jobs().run_pending().await.expect("written");
    let requests = below(&business, "requests");
    let first = page(&browser.get(&format!("{requests}?method=GET&number=1")).await, 200);
    assert!(first.contains("10,000 rows at most") && first.contains("format=excel"), "{first}");
    let (_, rest) = first.split_once("rel=\"next\" href=\"").expect("another page");
    let next = rest.split('"').next().expect("an end").replace("&#38;", "&");
    let second = page(&browser.get(&next).await, 200);
    assert!(second.contains(&format!("href=\"{requests}?method=GET&#38;number=1\">Newest")), "{second}");
}

#[tokio::test]
async fn events_name_what_they_are_about_with_the_way_to_it() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut browser) = with_business(&app).await;
    let client = app.key(business.id(), business.value("test", "secret"));
    let made =
        client.post("/v1/payment_links", &json!({"title": "A <b>lamp</b>", "amount": "12.50"})).await.expect(201);
    let id = made["id"].as_str().expect("an id").to_owned();
    let events = below(&business, "events");
    let list = page(&browser.get(&format!("{events}?type=payment_link.created")).await, 200);
    let about = format!("href=\"/b/{}/test/payment-links/{id}\" translate=\"no\">A &#60;b&#62;lamp", business.id());
    assert!(list.contains(&about), "{list}");
    let shown = page(&browser.get(&link(&list, &format!("{events}/"))).await, 200);
    assert!(shown.contains(&format!("/test/payment-links/{id}\">A &#60;b&#62;lamp")), "{shown}");
    client.delete(&format!("/v1/payment_links/{id}")).await.expect(200);
    let gone = page(&browser.get(&format!("{events}?type=payment_link.deleted")).await, 200);
    assert!(gone.contains("A &#60;b&#62;lamp") && !gone.contains(&format!("payment-links/{id}\"")), "{gone}");
    // Endpoints of webhooks have no page any more once they are deleted, whatever the event.
    let webhooks = below(&business, "webhooks");
    let create = format!("{webhooks}/create");
    for url in ["https://gone.example/hooks", "https://there.example/hooks"] {
        let made = browser.submit(&create, &create, &[("url", url), ("event", "key.updated")]).await;
        assert_eq!(made.status.as_u16(), 200, "{}", made.text());
    }
    let list = page(&browser.get(&format!("{events}?type=webhook_endpoint.created")).await, 200);
    assert_eq!(list.matches(&format!("href=\"{webhooks}/whe_")).count(), 2, "{list}");
    // Those that were made first stand last.
    let (_, oldest) = list.rsplit_once(&format!("href=\"{webhooks}/")).expect("a link");
    let gone = format!("{webhooks}/{}", oldest.split('"').next().expect("an end"));
    let delete = format!("{gone}/delete");
    assert_eq!(browser.submit(&delete, &delete, &[]).await.status.as_u16(), 303);
    let list = page(&browser.get(&format!("{events}?type=webhook_endpoint.created")).await, 200);
    assert!(list.contains("https://gone.example/hooks") && !list.contains(&format!("href=\"{gone}\"")), "{list}");
    assert_eq!(list.matches(&format!("href=\"{webhooks}/whe_")).count(), 1, "{list}");
    let event = page(&browser.get(&link(&list, &format!("{events}/"))).await, 200);
    assert!(event.contains("https://there.example/hooks"), "{event}");
}

/// The rows of a file, its head first.
fn cells(file: &str) -> Vec<Vec<String>> {
    let text = file.strip_prefix('\u{feff}').expect("a mark");
    let rows = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes()).into_records();
    rows.map(|row| row.expect("a row").iter().map(ToOwned::to_owned).collect()).collect()
}

#[tokio::test]
async fn excel_gets_every_instant_of_every_list_as_it_reads_one() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut browser) = with_business(&app).await;
    lived(&app, &business, &mut browser).await;
    let client = app.key(business.id(), business.value("test", "secret"));
    let link = client.post("/v1/payment_links", &json!({"amount": "12.50", "title": "March 2026"})).await.expect(201);
    let due = json!({"title": "12 mars", "amount": "3", "due_at": "2026-02-28T23:00:00Z"});
    client.post("/v1/invoices", &due).await.expect(201);
    let every = json!({"amount": "9", "anchor": "2026-02-28T09:00:00Z", "interval": {"unit": "months", "count": 1}});
    client.post("/v1/recurring_payments", &every).await.expect(201);
    let payment = client.post("/v1/checkout/payments", &json!({"payable": link["id"]})).await.expect(201);
    let id = payment["id"].as_str().expect("an id");
    client.post(&format!("/v1/test/payments/{id}/scenario"), &json!({"scenario": "paid"})).await.expect(200);
    let payments = format!("/b/{}/test/payments", business.id());
    let refund = format!("{payments}/{id}/refund");
    let asked = browser.submit(&refund, &refund, &[("amount", "1"), ("destination", "test_customer")]).await;
    assert_eq!(asked.status.as_u16(), 303, "{}", asked.text());
    let own = client.get("/v1/keys").await.expect(200)["data"][0]["id"].as_str().expect("an id").to_owned();
    let ends = json!({"valid_until": "2026-05-31T22:00:00Z"});
    let path = format!("/v1/businesses/{}/keys/{own}?environment=test", business.id());
    app.platform().patch(&path, &ends).await.expect(200);
    app.app.jobs().run_pending().await.expect("written");
    for list in [
        &below(&business, "api-keys"),
        &below(&business, "events"),
        &below(&business, "requests"),
        &payments,
        &payments.replace("payments", "payment-links"),
        &payments.replace("payments", "invoices"),
        &payments.replace("payments", "recurring-payments"),
        &format!("{payments}/refunds"),
        &format!("{payments}/accounting/movements"),
    ] {
        let plain = cells(&browser.get(&format!("{list}?format=csv")).await.text());
        let excel = cells(&browser.get(&format!("{list}?format=excel")).await.text());
        assert_eq!((plain[0].clone(), plain.len()), (excel[0].clone(), excel.len()), "{list}");
        let is_instant = |cell: &String| cell.parse::<Timestamp>().is_ok();
        let instants = |file: &[Vec<String>]| file.iter().flatten().filter(|cell| is_instant(cell)).count();
        assert!(instants(&plain) > 0, "{list}: {plain:?}");
        assert_eq!(instants(&excel), 0, "{list}: {excel:?}");
    }
    // An end is the day that the page says.
    let keys = cells(&browser.get(&format!("{}?format=excel", below(&business, "api-keys"))).await.text());
    let at = keys[0].iter().position(|column| column == "valid_until").expect("a column");
    assert!(keys.iter().any(|row| row[at] == "2026-05-31"), "{keys:?}");
    let links = browser.get(&format!("{}?format=excel", payments.replace("payments", "payment-links"))).await.text();
    assert!(links.contains(",\"=\"\"March 2026\"\"\","), "{links}");
}
