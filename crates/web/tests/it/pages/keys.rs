//! Developers > API keys, as each role, profile, environment and language sees it.

use std::time::Duration;

use serde_json::json;
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{Business, PASSWORD, TestApp};
use trousseau_testkit::browser::Browser;

use super::{page, steady, token};

async fn app() -> TestApp {
    TestApp::on(TestDatabase::sqlite().await).await
}

/// An application with one business of this profile, and its administrator.
async fn with_business(profile: &str) -> (TestApp, Business, Browser) {
    let app = app().await;
    let business = app.business(profile).await;
    let browser = app.member(business.id(), "administrator").await;
    (app, business, browser)
}

fn keys(business: &Business, environment: &str) -> String {
    format!("/b/{}/{environment}/developers/api-keys", business.id())
}

/// The text of the element with this id.
fn text_of<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).expect("the element is there");
    let (_, rest) = rest.split_once('>').expect("its tag ends");
    rest.split_once("</span>").expect("it ends").0
}

/// The value that a page shows.
fn value_in(page: &str) -> String {
    text_of(page, "v-key").replace("<b>", "").replace("</b>", "")
}

#[tokio::test]
async fn every_page_in_both_languages() {
    let (_app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "test");
    for language in ["en", "fr"] {
        browser.post("/preferences", &[("language", language), ("csrf", &token(&mut browser.clone()).await)]).await;
        for (name, path) in [
            ("list", list.clone()),
            ("list_live", keys(&business, "live")),
            ("nothing_found", format!("{list}?q=nothing&type=checkout")),
            ("create", format!("{list}/create")),
            ("key", format!("{list}/1")),
            ("checkout_key_live", format!("{}/2", keys(&business, "live"))),
            ("edit", format!("{list}/1/edit")),
            ("rotate", format!("{list}/1/rotate")),
            ("revoke_last", format!("{list}/1/revoke")),
            ("switch_last", format!("{list}/1/switch")),
        ] {
            let shown = page(&browser.get(&path).await, 200);
            assert!(shown.contains(&format!("<html lang=\"{language}\"")));
            insta::assert_snapshot!(format!("{name}_{language}"), steady(&shown, &business));
        }
    }
}

#[tokio::test]
async fn a_key_is_made_with_all_that_was_chosen_and_shown_once() {
    let (app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "live");
    let form = page(&browser.get(&format!("{list}/create")).await, 200);
    assert!(form.contains("It works from any address.") && form.contains("without an end"), "{form}");
    let fields = [
        ("name", "Orders service"),
        ("kind", "secret"),
        ("scope", "invoices:read invoices:write"),
        ("start", "2026-02-01"),
        ("end", "date"),
        ("end_date", "2026-03-29"),
        ("ips", "203.0.113.0/24\r\n2001:db8::/32"),
    ];
    let once = form.split_once("name=\"once\" value=\"").expect("a name").1.split_once('"').expect("its end").0;
    let answer = browser.submit(&format!("{list}/create"), &format!("{list}/create"), &fields).await;
    let shown = page(&answer, 200);
    let value = value_in(&shown);
    assert!(value.starts_with("Mileston_LIVE_") && value.len() == 52, "{value}");
    assert!(shown.contains("closedby=\"none\"") && shown.contains("In LIVE they are shown once"));
    assert!(!answer.header("location").contains("Mileston"));
    // The API says what was made: whole days of Paris, the last one included.
    let listed =
        app.platform().get(&format!("/v1/businesses/{}/keys?environment=live", business.id())).await.expect(200);
    let key = listed["data"].as_array().expect("keys").iter().find(|key| key["name"] == "Orders service").expect("it");
    assert_eq!(key["valid_from"], "2026-01-31T23:00:00Z");
    assert_eq!(key["valid_until"], "2026-03-29T22:00:00Z");
    assert_eq!(key["scopes"], json!(["invoices:read", "invoices:write"]));
    assert_eq!(key["allowed_ips"], json!(["203.0.113.0/24", "2001:db8::/32"]));
    // Nowhere again.
    for path in [list.clone(), format!("{list}/3"), format!("{list}?format=csv"), format!("{list}/3/reveal")] {
        let again = browser.get(&path).await;
        assert!(!again.text().contains(&value[14..]), "{path}");
    }
    let _ = once;
}

#[tokio::test]
async fn a_form_that_is_sent_again_makes_nothing_more() {
    let (app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "test");
    let form = page(&browser.get(&format!("{list}/create")).await, 200);
    let field = |name: &str| {
        let (_, rest) = form.split_once(&format!("name=\"{name}\" value=\"")).expect("a field");
        rest.split_once('"').expect("its end").0.to_owned()
    };
    let (csrf, once) = (field("csrf"), field("once"));
    let fields = [("csrf", csrf.as_str()), ("once", once.as_str()), ("name", "Twice"), ("kind", "secret")];
    let first = browser.post(&format!("{list}/create"), &fields).await;
    let value = value_in(&page(&first, 200));
    let second = browser.post(&format!("{list}/create"), &fields).await;
    assert_eq!((second.status.as_u16(), second.header("location")), (303, list.as_str()));
    let shown = page(&browser.follow(&second).await, 200);
    assert!(shown.contains("This form was sent already") && !shown.contains(&value[14..]));
    assert!(!page(&browser.get(&list).await, 200).contains("This form was sent already"), "a message is shown once");
    let listed =
        app.platform().get(&format!("/v1/businesses/{}/keys?environment=test", business.id())).await.expect(200);
    assert_eq!(listed["data"].as_array().expect("keys").len(), 3);
    // With other fields it is another key, once the person says so.
    let create = format!("{list}/create");
    let other = [&fields[..2], &[("name", "Another"), ("kind", "secret")]].concat();
    let asked = page(&browser.post(&create, &other).await, 409);
    assert!(asked.contains("sent before with other fields") && asked.contains("value=\"Another\""), "{asked}");
    page(&browser.submit_shown(&asked, &create, &[]).await, 200);
    assert!(page(&browser.get(&list).await, 200).contains("Another"));
}

#[tokio::test]
async fn mistakes_are_told_at_their_fields_and_nothing_typed_is_lost() {
    let (_app, business, mut browser) = with_business("mileston").await;
    let create = format!("{}/create", keys(&business, "test"));
    let fields = [
        ("name", ""),
        ("kind", "secret"),
        ("start", "2026-02-10"),
        ("end", "date"),
        ("end_date", "2026-02-09"),
        ("ips", "10.0.0.1/8\nnonsense"),
    ];
    let shown = page(&browser.submit(&create, &create, &fields).await, 422);
    for text in [
        "3 things need your attention",
        "href=\"#name\"",
        "Give the key a name.",
        "The end date lies before the start date.",
        "10.0.0.1/8, nonsense",
        "value=\"2026-02-10\"",
        "aria-invalid=\"true\" aria-describedby=\"ips-hint ips-error\"",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let kept = page(&browser.submit(&create, &create, &[("name", "x"), ("end", "30")]).await, 200);
    assert!(value_in(&kept).starts_with("Mileston_TEST_"));
}

#[tokio::test]
async fn the_sentence_follows_what_is_chosen() {
    let (_app, business, browser) = with_business("mileston").await;
    let create = format!("{}/create", keys(&business, "test"));
    let csrf = token(&mut browser.clone()).await;
    let summary = |fields: &'static [(&'static str, &'static str)]| {
        let (mut browser, create, csrf) = (browser.clone(), create.clone(), csrf.clone());
        async move {
            let mut all = vec![("csrf", csrf.as_str())];
            all.extend(fields);
            let shown = page(&browser.post(&format!("{create}/summary"), &all).await, 200);
            let (_, rest) = shown.split_once("id=\"summary\"").expect("a sentence");
            let (_, rest) = rest.split_once("<p>").expect("its text");
            rest.split_once("</p>").expect("its end").0.to_owned()
        }
    };
    assert_eq!(
        summary(&[("kind", "secret"), ("scope", "invoices:read"), ("scope", "keys:read keys:write"), ("end", "30")])
            .await,
        "Whoever holds this key will be able to read and change API keys; read invoices in TEST. \
         It works from any address. It is in force from 31 Jan 2026 to the end of 2 Mar 2026."
    );
    assert_eq!(
        summary(&[("kind", "checkout"), ("origins", "https://shop.example"), ("state", "inactive")]).await,
        "Pages and apps with this key will be able to start payments for links they know, and to read their status, \
         in TEST. It works from pages of https://shop.example only. It is in force from 31 Jan 2026 on, without an end. \
         It is switched off until you switch it on."
    );
    assert!(summary(&[("kind", "secret")]).await.starts_with("This key will be able to do nothing"));
}

#[tokio::test]
async fn a_key_is_changed_by_what_is_different_only() {
    let (app, business, mut browser) = with_business("mileston").await;
    let edit = format!("{}/1/edit", keys(&business, "test"));
    let of_api = |app: &TestApp| {
        let client = app.platform();
        let path = format!(
            "/v1/businesses/{}/keys/{}?environment=test",
            business.id(),
            business.key("test", "secret")["id"].as_str().expect("an id")
        );
        async move { client.get(&path).await.expect(200) }
    };
    let before = of_api(&app).await;
    let answer = browser.submit(&edit, &edit, &[("name", "Shop")]).await;
    let shown = page(&browser.follow(&answer).await, 200);
    assert!(shown.contains("Shop was changed.") && shown.contains("Name: none → Shop"), "{shown}");
    let after = of_api(&app).await;
    assert_eq!(after["name"], "Shop");
    assert_eq!((&after["valid_from"], &after["scopes"]), (&before["valid_from"], &before["scopes"]));
    browser.submit(&edit, &edit, &[("end", "date"), ("end_date", "2026-10-24"), ("ips", "203.0.113.7")]).await;
    let bound = of_api(&app).await;
    assert_eq!(bound["valid_until"], "2026-10-24T22:00:00Z");
    assert_eq!(bound["allowed_ips"], json!(["203.0.113.7"]));
    let list = page(&browser.get(&keys(&business, "test")).await, 200);
    assert!(list.contains("24 Oct 2026"), "the end day is the last one: {list}");
    // The last one in force must not end now.
    let refused =
        browser.submit(&edit, &edit, &[("end", "date"), ("end_date", "2026-01-30"), ("start", "2026-01-01")]).await;
    assert!(page(&refused, 409).contains("This is the last key in force"));
    let off = browser.submit(&edit, &edit, &[("state", "inactive")]).await;
    assert!(page(&off, 409).contains("This is the last key in force"));
}

#[tokio::test]
async fn a_form_that_was_open_for_long_undoes_nothing() {
    let (app, business, mut browser) = with_business("mileston").await;
    let edit = format!("{}/1/edit", keys(&business, "test"));
    let all = format!("/v1/businesses/{}/keys", business.id());
    app.platform().post(&format!("{all}?environment=test"), &json!({"name": "Second"})).await.expect(201);
    let one = format!("{all}/{}?environment=test", business.key("test", "secret")["id"].as_str().expect("an id"));
    let scopes = json!(["payments:read"]);
    let open = browser.fill(&edit, &edit, &[("name", "Shop"), ("quota_day", "500")]).await;
    // Meanwhile somebody finds it misused.
    let meanwhile = json!({"state": "inactive", "scopes": scopes, "quota": {"month": 9000},
        "valid_until": "2026-06-01T00:00:00Z", "allowed_ips": ["203.0.113.7"]});
    app.platform().patch(&one, &meanwhile).await.expect(200);
    let saved = browser.post_filled(&edit, &open).await;
    assert!(page(&browser.follow(&saved).await, 200).contains("Shop was changed."));
    let key = app.platform().get(&one).await.expect(200);
    assert_eq!((&key["name"], &key["state"], &key["scopes"]), (&json!("Shop"), &json!("inactive"), &scopes));
    assert_eq!((&key["valid_until"], &key["allowed_ips"]), (&meanwhile["valid_until"], &meanwhile["allowed_ips"]));
    assert_eq!(key["quota"], json!({"day": 500, "month": 9000}));
    // A form that says nothing of the switch leaves it where it is.
    let csrf = token(&mut browser).await;
    assert_eq!(browser.post(&edit, &[("csrf", &csrf), ("name", "Shop 2"), ("end", "none")]).await.status, 303);
    let key = app.platform().get(&one).await.expect(200);
    assert_eq!((&key["name"], &key["state"]), (&json!("Shop 2"), &json!("inactive")));
    // Nor does it clear what it does not hold; what it holds and is empty is cleared.
    assert_eq!((&key["scopes"], &key["allowed_ips"]), (&scopes, &meanwhile["allowed_ips"]));
    assert_eq!((&key["quota"], &key["valid_until"]), (&json!({"day": 500, "month": 9000}), &json!(null)));
    app.platform().patch(&one, &json!({"valid_until": "2026-06-01T00:00:00Z"})).await.expect(200);
    let emptied = [("csrf", csrf.as_str()), ("name", "Shop 2"), ("quota_day", ""), ("scope", ""), ("ips", "")];
    assert_eq!(browser.post(&edit, &emptied).await.status, 303);
    let key = app.platform().get(&one).await.expect(200);
    assert_eq!((&key["scopes"], &key["allowed_ips"]), (&json!([]), &json!([])));
    assert_eq!((&key["quota"]["month"], &key["valid_until"]), (&json!(9000), &json!("2026-06-01T00:00:00Z")));
    // Where both changed the same, it is asked about, and done the second time.
    let open = browser.fill(&edit, &edit, &[("ips", "198.51.100.0/24")]).await;
    let scopes = json!(["invoices:read"]);
    app.platform().patch(&one, &json!({"allowed_ips": ["203.0.113.8"], "scopes": scopes})).await.expect(200);
    let asked = page(&browser.post_filled(&edit, &open).await, 409);
    assert!(asked.contains("Somebody else changed this meanwhile.") && asked.contains("198.51.100.0/24"), "{asked}");
    assert_eq!(app.platform().get(&one).await.expect(200)["allowed_ips"], json!(["203.0.113.8"]));
    assert_eq!(browser.submit_shown(&asked, &edit, &[]).await.status, 303);
    let key = app.platform().get(&one).await.expect(200);
    assert_eq!((&key["allowed_ips"], &key["scopes"]), (&json!(["198.51.100.0/24"]), &scopes));
}

#[tokio::test]
async fn rotation_keeps_the_old_value_for_a_while_and_replacing_does_not() {
    let (app, business, mut browser) = with_business("mileston").await;
    let rotate = format!("{}/1/rotate", keys(&business, "test"));
    let old = business.value("test", "secret").to_owned();
    let works = |value: String| {
        let client = app.key(business.id(), &value);
        async move { client.get("/v1/whoami").await.status.as_u16() }
    };
    let shown = page(&browser.submit(&rotate, &rotate, &[("overlap", "24")]).await, 200);
    let new = value_in(&shown);
    assert!(shown.contains("The old value is accepted until 1 Feb 2026, 13:00:00 CET"), "{shown}");
    assert_eq!((works(old.clone()).await, works(new.clone()).await), (200, 200));
    let busy = page(&browser.submit(&rotate, &rotate, &[("overlap", "24")]).await, 409);
    assert!(busy.contains("An earlier value of this key is still accepted."));
    let list = page(&browser.get(&keys(&business, "test")).await, 200);
    assert!(list.contains("Rotating until in 24 hours") || list.contains("Rotating until tomorrow"), "{list}");
    // Replaced, both earlier values are dead, and the last key is no exception.
    let shown = page(&browser.submit(&rotate, &rotate, &[("overlap", "now")]).await, 200);
    let newest = value_in(&shown);
    assert!(shown.contains("The old value is refused from now on."));
    assert_eq!((works(old).await, works(new).await, works(newest).await), (401, 401, 200));
    assert_eq!(browser.submit(&rotate, &rotate, &[("overlap", "5")]).await.status, 422);
}

#[tokio::test]
async fn both_forms_of_a_rotation_work_from_one_page() {
    let (app, business, mut browser) = with_business("mileston").await;
    let rotate = format!("{}/1/rotate", keys(&business, "test"));
    let old = business.value("test", "secret");
    let planned = browser.fill(&rotate, &rotate, &[("overlap", "24")]).await;
    page(&browser.post_filled(&rotate, &planned).await, 200);
    // The very same form again does nothing.
    assert_eq!(browser.post_filled(&rotate, &planned).await.status, 303);
    // The other one, from the page that was open all the time, is not taken for it.
    let now: Vec<_> = planned
        .into_iter()
        .map(|(name, value)| if name == "overlap" { (name, "now".to_owned()) } else { (name, value) })
        .collect();
    let asked = page(&browser.post_filled(&rotate, &now).await, 409);
    assert!(asked.contains("A form of this page was sent before") && asked.contains("id=\"replace-error\""), "{asked}");
    assert_eq!(app.key(business.id(), old).get("/v1/whoami").await.status, 200);
    page(&browser.submit_shown(&asked, &rotate, &[("overlap", "now")]).await, 200);
    assert_eq!(app.key(business.id(), old).get("/v1/whoami").await.status, 401);
}

#[tokio::test]
async fn revoking_asks_for_the_name_in_live_and_the_last_key_stays() {
    let (app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "live");
    let stays = page(&browser.get(&format!("{list}/1/revoke")).await, 200);
    assert!(stays.contains("This is the last key in force") && !stays.contains("Revoke for good</button>"), "{stays}");
    let create = format!("{list}/create");
    let made = value_in(&page(&browser.submit(&create, &create, &[("name", "Second")]).await, 200));
    let revoke = format!("{list}/3/revoke");
    let wrong = page(&browser.submit(&revoke, &revoke, &[("name", "second")]).await, 422);
    assert!(wrong.contains("Type Second to confirm."));
    // Over HTTPS, as LIVE asks for.
    let caller = |value: &str| app.key(business.id(), value);
    assert_eq!(caller(&made).get("/v1/whoami").await.status, 200);
    let done = browser.submit(&revoke, &revoke, &[("name", "Second")]).await;
    let shown = page(&browser.follow(&done).await, 200);
    assert!(shown.contains("Second is revoked.") && shown.contains("badge bad"), "{shown}");
    assert_eq!(caller(&made).get("/v1/whoami").await.status, 401);
    assert!(!page(&browser.get(&list).await, 200).contains("Second"), "lists leave it out");
    assert!(page(&browser.get(&format!("{list}?state=revoked")).await, 200).contains("Second"));
    // What is over has no forms any more.
    for form in ["revoke", "rotate", "edit", "switch"] {
        let answer = browser.get(&format!("{list}/3/{form}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, format!("{list}/3").as_str()));
    }
}

#[tokio::test]
async fn a_key_is_switched_off_and_on() {
    let (app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "test");
    let create = format!("{list}/create");
    let value = value_in(&page(&browser.submit(&create, &create, &[("name", "Second")]).await, 200));
    let switch = format!("{list}/3/switch");
    let csrf = token(&mut browser).await;
    for (to, status, text) in [("off", 401, "Second is switched off."), ("on", 200, "Second is switched on.")] {
        let done = browser.submit(&switch, &switch, &[]).await;
        assert!(page(&browser.follow(&done).await, 200).contains(text));
        // The same form once more, from a second click: it changes nothing.
        let again = browser.post(&switch, &[("csrf", &csrf), ("to", to)]).await;
        assert!(page(&browser.follow(&again).await, 200).contains(text));
        assert_eq!(app.key(business.id(), &value).get("/v1/whoami").await.status, status);
    }
}

#[tokio::test]
async fn a_pasted_key_opens_its_page_and_is_repeated_nowhere() {
    let (_app, business, mut browser) = with_business("mileston").await;
    let (list, live) = (keys(&business, "test"), keys(&business, "live"));
    let find = format!("{list}/find");
    let secret = business.value("live", "secret");
    let header = business.key("live", "secret")["authorization"].as_str().expect("ready-made").to_owned();
    assert!(header.len() > 100, "longer than a search may be");
    for (text, to) in [
        (header.as_str(), format!("{live}/1")),
        (header.trim_start_matches("Basic "), format!("{live}/1")),
        (&format!("Authorization: {header}"), format!("{live}/1")),
        (&format!("Bearer {secret}"), format!("{live}/1")),
        (&format!("{secret}\tOrders service"), format!("{live}/1")),
        (&format!("API_KEY=\"{secret}\""), format!("{live}/1")),
        (&format!("curl -u {secret}: https://keys.example.com"), format!("{live}/1")),
        (business.value("test", "secret"), format!("{list}/1")),
        (business.value("live", "checkout"), format!("{live}/2")),
        (business.key("test", "secret")["external_reference"].as_str().expect("one"), format!("{list}/1")),
        ("2", format!("{list}/2")),
        ("Orders", format!("{list}?q=Orders")),
    ] {
        let answer = browser.submit(&list, &find, &[("q", text)]).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, to.as_str()), "{text}");
    }
    let mut damaged = business.value("test", "secret").to_owned();
    damaged.pop();
    let long = format!("Basic {}", "Tm90".repeat(30));
    let beside = format!("{damaged}\tOrders service");
    for unknown in [
        damaged.as_str(),
        "aB3dE5gH7jK9mN1pQ2rS",
        "Basic bm90LXlvdXJzOmF0LWFsbA==",
        &long,
        long.trim_start_matches("Basic "),
        &beside,
        "their-old-key-00001 Orders",
        &"no key at all ".repeat(10),
    ] {
        let answer = browser.submit(&list, &find, &[("q", unknown)]).await;
        let shown = page(&answer, 200);
        assert!(shown.contains("No key of yours has this value.") && !shown.contains(unknown), "{shown}");
        for (name, value) in &answer.headers {
            assert!(!value.to_str().unwrap_or_default().contains(unknown), "{name}");
        }
    }
    assert_eq!(browser.get(&find).await.header("location"), list);
    // What cannot be searched for is no search for everything, in the file neither.
    for format in ["", "&format=csv"] {
        let shown = browser.get(&format!("{list}?q={}{format}", "x".repeat(101))).await;
        assert!(page(&shown, 422).contains("This filter cannot be used"));
    }
}

#[tokio::test]
async fn readable_values_are_fetched_by_post_and_written_down() {
    let (app, business, mut browser) = with_business("mileston").await;
    let (list, live) = (keys(&business, "test"), keys(&business, "live"));
    let value = business.value("test", "secret");
    let shown = page(&browser.get(&list).await, 200);
    assert!(shown.contains("data-fetch-copy=\"authorization\"") && !shown.contains(&value[14..]));
    let revealed = page(&browser.submit(&list, &format!("{list}/1/reveal"), &[]).await, 200);
    assert_eq!(value_in(&revealed), value);
    // For the button that copies.
    let csrf = token(&mut browser.clone()).await;
    let session = browser.cookie("__Host-trousseau_session").expect("a session").to_owned();
    let script = app
        .anonymous()
        .with("accept", "application/json")
        .with("sec-fetch-site", "same-origin")
        .with("x-csrf-token", csrf)
        .with("cookie", format!("__Host-trousseau_session={session}"));
    let copied = script.post_empty(&format!("{list}/1/reveal")).await;
    assert_eq!(copied.header("cache-control"), "no-store");
    assert_eq!(copied.expect(200)["value"], value);
    let events = app.platform().get(&format!("/v1/businesses/{}/events?environment=test", business.id())).await.text();
    assert!(events.is_empty() || !events.contains(&value[14..]));
    assert!(page(&browser.get(&format!("{list}/1")).await, 200).contains("Value of a key read"));
    // Checkout keys are public in both; a LIVE secret is gone.
    let live_list = page(&browser.get(&live).await, 200);
    assert_eq!(live_list.matches("data-fetch-copy=\"value\"").count(), 1, "{live_list}");
    assert_eq!(script.post_empty(&format!("{live}/1/reveal")).await.status, 403);
    assert_eq!(script.post_empty(&format!("{live}/2/reveal")).await.status, 200);
}

#[tokio::test]
async fn text_of_people_is_text() {
    let (_app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "test");
    let create = format!("{list}/create");
    for (index, hostile) in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onfocus='alert(1)",
        "{{ 7*7 }}${7*7}",
        "=cmd|' /C calc'!A0",
        "</title><svg onload=alert(1)>",
        "&lt;b&gt;",
    ]
    .into_iter()
    .enumerate()
    {
        page(&browser.submit(&create, &create, &[("name", hostile)]).await, 200);
        let number = index + 3;
        for path in ["", "/edit", "/rotate", "/revoke", "/switch"] {
            let shown = page(&browser.get(&format!("{list}/{number}{path}")).await, 200);
            for raw in ["<script>alert", "<img src=x", "' onfocus='alert", "<svg onload", "&lt;b&gt;"] {
                assert!(!shown.contains(raw), "{raw} in {path}: {shown}");
            }
        }
        assert!(!page(&browser.get(&list).await, 200).contains("<script>alert"));
    }
    for refused in ["a\u{202e}b", "a\u{0}b", "a\u{200b}b"] {
        let shown = page(&browser.submit(&create, &create, &[("name", refused)]).await, 422);
        assert!(shown.contains("control character"));
    }
    let search = page(&browser.get(&format!("{list}?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")).await, 200);
    assert!(!search.contains("<script>alert"));
    let csv = browser.get(&format!("{list}?format=csv")).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert!(csv.text().contains("'=cmd|' /C calc'!A0") && !csv.text().contains(",=cmd"), "{}", csv.text());
    assert!(csv.text().contains("Mileston_TEST_*****"));
}

#[tokio::test]
async fn only_those_who_may_see_keys_see_anything_of_them() {
    let (app, business, _) = with_business("mileston").await;
    let list = keys(&business, "test");
    let mut analyst = app.member(business.id(), "analyst").await;
    let mut developer = app.member(business.id(), "developer").await;
    let mut stranger = app.browser();
    for below in ["", "/create", "/1", "/1/edit", "/1/rotate", "/1/revoke", "/1/switch", "?format=csv"] {
        let path = format!("{list}{below}");
        let refused = page(&analyst.get(&path).await, 403);
        assert!(refused.contains("Administrator or Developer"), "{refused}");
        assert!(!refused.contains("Mileston_TEST") && !refused.contains(">Developers</a>"), "{refused}");
        assert!(developer.get(&path).await.status.as_u16() == 200, "{path}");
        let sent = stranger.get(&path).await;
        assert_eq!(sent.status, 303);
        assert!(sent.header("location").starts_with("/sign-in?return=%2Fb%2F"), "{}", sent.header("location"));
    }
    let csrf = token(&mut analyst).await;
    for below in ["/find", "/create", "/create/summary", "/1/edit", "/1/rotate", "/1/revoke", "/1/switch", "/1/reveal"]
    {
        let answer = analyst.post(&format!("{list}{below}"), &[("csrf", &csrf), ("overlap", "now")]).await;
        assert_eq!(answer.status, 403, "{below}");
    }
    assert_eq!(app.key(business.id(), business.value("test", "secret")).get("/v1/whoami").await.status, 200);
    let other = app.business("mileston").await;
    for id in ["6f1d2c8e-3b47-4a95-9c0e-d15b7a64f2e8", other.id()] {
        assert_eq!(developer.get(&list.replace(business.id(), id)).await.status, 404, "nobody learns which there are");
    }
    let pasted = developer.submit(&list, &format!("{list}/find"), &[("q", other.value("test", "secret"))]).await;
    assert!(page(&pasted, 200).contains("No key of yours has this value."));
    assert_eq!(developer.get(&list.replace("/test/", "/both/")).await.status, 404);
    assert_eq!(developer.get(&format!("{list}/99")).await.status, 404);
}

#[tokio::test]
async fn no_form_is_taken_from_another_site_or_without_its_token() {
    let (app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "test");
    let csrf = token(&mut browser).await;
    for below in ["/find", "/create", "/create/summary", "/1/edit", "/1/rotate", "/1/revoke", "/1/switch", "/1/reveal"]
    {
        let path = format!("{list}{below}");
        let fields = [("csrf", csrf.as_str()), ("name", "Forged"), ("overlap", "now"), ("q", "x")];
        assert_eq!(browser.post_from_elsewhere(&path, &fields).await.status, 403, "{below}");
        assert_eq!(browser.post(&path, &fields[1..]).await.status, 403, "{below}");
    }
    let listed = app.platform().get(&format!("/v1/businesses/{}/keys?environment=test", business.id())).await.text();
    assert!(!listed.contains("Forged"));
    assert_eq!(app.key(business.id(), business.value("test", "secret")).get("/v1/whoami").await.status, 200);
}

#[tokio::test]
async fn lists_are_sorted_filtered_and_paged() {
    let (app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "test");
    for number in 0..9 {
        let body = json!({"name": format!("Job {number}"), "kind": "checkout"});
        app.platform()
            .post(&format!("/v1/businesses/{}/keys?environment=test", business.id()), &body)
            .await
            .expect(201);
        app.advance(Duration::from_mins(1));
    }
    let shown = page(&browser.get(&list).await, 200);
    assert!(shown.contains("1–11 of 11 keys") && shown.contains("10 of 10"), "{shown}");
    assert!(shown.find("Job 8").expect("newest") < shown.find("Job 0").expect("oldest"));
    let second = page(&browser.get(&format!("{list}?per_page=10&page=2&sort=name")).await, 200);
    assert!(second.contains("11–11 of 11 keys") && second.contains("Job 8") && !second.contains("Job 7"), "{second}");
    assert!(
        second.contains("aria-sort=\"ascending\"")
            && second.contains("rel=\"prev\"")
            && !second.contains("rel=\"next\"")
    );
    let filtered = page(&browser.get(&format!("{list}?type=secret&state=active")).await, 200);
    assert!(
        filtered.contains("1–1 of 1 key<") && filtered.contains("<option value=\"secret\" selected>"),
        "{filtered}"
    );
    // Beyond the last page is the last page, and an order that there is not is the usual one.
    assert!(page(&browser.get(&format!("{list}?page=99&per_page=7&sort=x")).await, 200).contains("1–11 of 11"));
    let full = page(&browser.get(&format!("{list}/create")).await, 200);
    assert!(!full.contains("places are taken"), "there is room for a secret key: {full}");
    let create = format!("{list}/create");
    let refused = page(&browser.submit(&create, &create, &[("name", "x"), ("kind", "checkout")]).await, 409);
    assert!(
        refused.contains("All 10 places for Checkout keys are taken.") && refused.contains("/11/revoke"),
        "{refused}"
    );
}

#[tokio::test]
async fn payline_keys_have_numbers_dates_and_a_state_and_nothing_else() {
    let (_app, business, mut browser) = with_business("payline").await;
    let list = keys(&business, "test");
    let shown = page(&browser.get(&list).await, 200);
    assert!(shown.contains("Masked key value") && shown.contains("1 of 50") && !shown.contains("/revoke\""), "{shown}");
    assert!(shown.contains("<option selected>10</option>") && !shown.contains("name=\"type\"><option"), "{shown}");
    let create = format!("{list}/create");
    let form = page(&browser.get(&create).await, 200);
    for absent in ["name=\"name\"", "name=\"scope\"", "name=\"ips\"", "name=\"origins\""] {
        assert!(!form.contains(absent), "{absent}");
    }
    let shown = page(&browser.submit(&create, &create, &[("start", "2026-02-01"), ("end", "30")]).await, 200);
    assert_eq!(value_in(&shown).len(), 20);
    for below in ["/1/revoke", "/1/rotate"] {
        assert_eq!(browser.get(&format!("{list}{below}")).await.header("location"), format!("{list}/1"));
    }
    let csrf = token(&mut browser).await;
    let refused = browser.post(&format!("{list}/1/revoke"), &[("csrf", &csrf)]).await;
    assert_eq!(refused.status, 403);
    // Locking oneself out is allowed here, after the question: in the form of the key too.
    let edit = format!("{list}/1/edit");
    for fields in
        [&[("state", "inactive")][..], &[("end", "date"), ("end_date", "2026-01-30"), ("start", "2026-01-01")]]
    {
        let asked = page(&browser.submit(&edit, &edit, fields).await, 200);
        assert!(asked.contains("Leave Key 1 out of force?") && asked.contains("the only key in force"), "{asked}");
        assert!(page(&browser.get(&format!("{list}/1")).await, 200).contains("badge ok"), "nothing was changed");
        let done = browser.submit_shown(&asked, &edit, &[]).await;
        assert!(page(&browser.follow(&done).await, 200).contains("Key 1 was changed."));
        assert!(!page(&browser.get(&format!("{list}/1")).await, 200).contains("badge ok"));
        let back = browser.submit(&edit, &edit, &[("state", "active"), ("end", "none")]).await;
        assert!(page(&browser.follow(&back).await, 200).contains("badge ok"));
    }
    let live = page(&browser.get(&format!("{}/1", keys(&business, "live"))).await, 200);
    assert!(live.contains("To see one again, create another key.") && !live.contains("rotate this one"), "{live}");
    let off = browser.submit(&format!("{list}/1/switch"), &format!("{list}/1/switch"), &[]).await;
    assert!(page(&browser.follow(&off).await, 200).contains("Key 1 is switched off."));
}

#[tokio::test]
async fn codat_keys_live_in_one_environment_and_can_be_copied_always() {
    let (_app, business, mut browser) = with_business("codat").await;
    assert_eq!(browser.get(&keys(&business, "test")).await.status, 404);
    let list = keys(&business, "live");
    let shown = page(&browser.get(&list).await, 200);
    assert!(shown.contains("1 of 10") && !shown.contains("class=\"envswitch\""), "{shown}");
    assert!(shown.contains("data-fetch-copy=\"value\"") && shown.contains("data-fetch-copy=\"authorization\""));
    let create = format!("{list}/create");
    let made = page(&browser.submit(&create, &create, &[("name", "Books")]).await, 200);
    assert_eq!(value_in(&made).len(), 40);
    assert!(made.contains("you can copy them again") && !made.contains("businessid"), "{made}");
    for below in ["/2/edit", "/2/rotate", "/2/switch"] {
        assert_eq!(browser.get(&format!("{list}{below}")).await.header("location"), format!("{list}/2"));
    }
    let revoke = format!("{list}/2/revoke");
    assert_eq!(browser.submit(&revoke, &revoke, &[("name", "Books")]).await.status, 303);
    assert!(page(&browser.get(&format!("{list}/1/revoke")).await, 200).contains("This is the last key in force"));
    assert!(page(&browser.get(&format!("{list}/1")).await, 200).contains("This is the last key in force"));
}

#[tokio::test]
async fn live_keys_need_a_recent_proof_of_who_sits_there() {
    let (app, business, mut browser) = with_business("mileston").await;
    let (test, live) = (keys(&business, "test"), keys(&business, "live"));
    let create = format!("{live}/create");
    let shown = page(&browser.get(&create).await, 200);
    let once = shown.split_once("name=\"once\" value=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a name").0;
    app.advance(Duration::from_mins(10));
    for below in ["/create", "/1/edit", "/1/rotate", "/1/revoke"] {
        let answer = browser.get(&format!("{live}{below}")).await;
        assert_eq!(answer.status, 303, "{below}");
        assert!(answer.header("location").starts_with("/step-up?return=%2Fb%2F"), "{}", answer.header("location"));
        assert_eq!(browser.get(&format!("{test}{below}")).await.status, 200, "{below}");
    }
    // A form that was open all the time is asked as well, and so is the button that copies.
    let csrf = token(&mut browser).await;
    let late = browser.post(&create, &[("csrf", &csrf), ("once", once), ("name", "Late")]).await;
    assert!(late.header("location").starts_with("/step-up?return="), "{}", late.text());
    assert!(!page(&browser.get(&live).await, 200).contains("Late"));
    let wrong = browser.submit(late.header("location"), "/step-up", &[("password", "not this one")]).await;
    assert!(page(&wrong, 422).contains("This is not right."));
    let before = browser.cookie("__Host-trousseau_session").expect("a session").to_owned();
    let proven = browser.submit(late.header("location"), "/step-up", &[("password", PASSWORD)]).await;
    // Back to the form, filled in as it was sent, and once only.
    let back = proven.header("location").to_owned();
    assert!(back.starts_with(&format!("{create}?kept=")), "{back}");
    let again = page(&browser.get(&back).await, 200);
    assert!(again.contains("value=\"Late\"") && again.contains(&format!("name=\"once\" value=\"{once}\"")), "{again}");
    assert!(!page(&browser.get(&back).await, 200).contains("value=\"Late\""));
    let renewed = browser.cookie("__Host-trousseau_session").expect("a session").to_owned();
    assert_ne!(renewed, before, "the session has a new secret");
    assert_eq!(renewed.len(), before.len(), "a server of the release before knows it as well");
    assert_eq!(app.browser().with_cookie("__Host-trousseau_session", &before).get(&create).await.status, 303);
    // A form that was open in another tab the while is good all the same.
    let elsewhere = browser.post(&format!("{test}/create"), &[("csrf", &csrf), ("name", "In another tab")]).await;
    assert!(value_in(&page(&elsewhere, 200)).starts_with("Mileston_TEST_"));
    let forged = csrf.chars().rev().collect::<String>();
    assert_eq!(browser.post(&format!("{test}/create"), &[("csrf", &forged), ("name", "Forged")]).await.status, 403);
    let made = browser.submit(&create, &create, &[("name", "In time")]).await;
    assert!(value_in(&page(&made, 200)).starts_with("Mileston_LIVE_"));
    // Nobody is led away from this site.
    let away = browser.submit("/step-up?return=https://elsewhere.example", "/step-up", &[("password", PASSWORD)]).await;
    assert_eq!(away.header("location"), "/");
}

/// Where a form is, what is typed into it, and what then stands in its page.
type TypedForm<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

#[tokio::test]
async fn nothing_typed_into_the_forms_of_a_live_key_is_lost_to_the_proof() {
    let (app, business, mut browser) = with_business("mileston").await;
    let live = keys(&business, "live");
    let key = format!("{live}/1");
    let forms: [TypedForm<'_>; 4] = [
        (
            &format!("{live}/create"),
            &[("name", "Orders"), ("kind", "secret"), ("scope", "invoices:read"), ("ips", "203.0.113.0/24")],
            &["value=\"Orders\"", "203.0.113.0/24", "value=\"invoices:read\" selected"],
        ),
        (
            &format!("{key}/edit"),
            &[("name", "Widened"), ("scope", "keys:read keys:write"), ("ips", "198.51.100.7")],
            &["value=\"Widened\"", "198.51.100.7", "value=\"keys:read keys:write\" selected"],
        ),
        (&format!("{key}/rotate"), &[("overlap", "168")], &["<option value=\"168\" selected>"]),
        (&format!("{live}/3/revoke"), &[("name", "Second")], &["value=\"Second\""]),
    ];
    // Another key, so that one of them may be revoked.
    let create = format!("{live}/create");
    page(&browser.submit(&create, &create, &[("name", "Second")]).await, 200);
    for (form, fields, shown_again) in forms {
        let csrf = token(&mut browser).await;
        let fields = [fields, &[("csrf", csrf.as_str())]].concat();
        app.advance(Duration::from_mins(10));
        let late = browser.post(form, &fields).await;
        let proven = browser.submit(late.header("location"), "/step-up", &[("password", PASSWORD)]).await;
        let again = page(&browser.follow(&proven).await, 200);
        for part in shown_again {
            assert!(again.contains(part), "{form}: {part} in {again}");
        }
        // Somebody else's session gets nothing of it.
        let kept = late.header("location").split_once("kept%3D").expect("kept").1.to_owned();
        let mut other = app.member(business.id(), "administrator").await;
        assert!(!other.get(&format!("{form}?kept={kept}")).await.text().contains(shown_again[0]), "{form}");
    }
}

#[tokio::test]
async fn restricted_keys_are_found_by_the_type_filter() {
    let (app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "test");
    let body = json!({"name": "Reads only", "scopes": ["payments:read"]});
    let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
    app.platform().post(&path, &body).await.expect(201);
    let found = page(&browser.get(&format!("{list}?type=restricted")).await, 200);
    assert!(found.contains("1–1 of 1 key<") && found.contains("Reads only"), "{found}");
    assert!(found.contains("<option value=\"restricted\" selected>"), "{found}");
    let file = browser.get(&format!("{list}?type=restricted&format=csv")).await.text();
    assert_eq!(file.lines().count(), 2, "{file}");
    let nothing = page(&browser.get(&format!("{list}?type=restricted&q=nothing")).await, 200);
    assert!(nothing.contains("Restricted (secret)"), "{nothing}");
    // Where rights cannot be chosen, there is nothing to be restricted.
    let (_payline, business, mut browser) = with_business("payline").await;
    assert!(!page(&browser.get(&keys(&business, "test")).await, 200).contains("value=\"restricted\""));
}

#[tokio::test]
async fn what_a_key_left_behind_ends_with_it() {
    let (app, business, mut browser) = with_business("mileston").await;
    let list = keys(&business, "test");
    let create = format!("{list}/create");
    let fields = [("name", "Breeder"), ("scope", "keys:read keys:write")];
    let breeder = value_in(&page(&browser.submit(&create, &create, &fields).await, 200));
    let caller = app.key(business.id(), &breeder);
    for name in ["Kept", "Ended"] {
        caller.post("/v1/keys", &json!({"name": name, "kind": "secret"})).await.expect(201);
    }
    let shown = page(&browser.get(&format!("{list}/3")).await, 200);
    assert!(shown.contains("Keys that it made") && shown.contains("Kept") && shown.contains("Ended"), "{shown}");
    let revoke = format!("{list}/3/revoke");
    let asked = page(&browser.get(&revoke).await, 200);
    let of_ended =
        asked.split("name=\"with\" value=\"").nth(2).and_then(|rest| rest.split_once('"')).expect("the second").0;
    let csrf = token(&mut browser).await;
    let done = browser.post(&revoke, &[("csrf", &csrf), ("with", of_ended)]).await;
    assert!(page(&browser.follow(&done).await, 200).contains("Breeder is revoked."));
    assert!(page(&browser.get(&format!("{list}/4")).await, 200).contains("badge ok"));
    assert!(page(&browser.get(&format!("{list}/5")).await, 200).contains("badge bad"));
    // One that made all the others cannot take all of them along.
    let mother = value_in(&page(&browser.submit(&create, &create, &[("name", "Mother"), fields[1]]).await, 200));
    app.key(business.id(), &mother).post("/v1/keys", &json!({"name": "Child"})).await.expect(201);
    for other in [1, 4] {
        let revoke = format!("{list}/{other}/revoke");
        assert_eq!(browser.submit(&revoke, &revoke, &[]).await.status, 303);
    }
    let revoke = format!("{list}/6/revoke");
    let told = "Without these, no key of their kind would be in force.";
    assert!(page(&browser.get(&revoke).await, 200).contains(told));
    let refused = page(&browser.submit(&revoke, &revoke, &[]).await, 409);
    assert!(refused.contains("<a href=\"#with\">") && refused.contains(told), "{refused}");
    let filled = browser.fill(&revoke, &revoke, &[]).await;
    let alone: Vec<_> = filled.into_iter().filter(|(name, _)| name != "with").collect();
    assert_eq!(browser.post_filled(&revoke, &alone).await.status, 303);
}
