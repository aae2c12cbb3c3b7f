//! The Guide and the API reference: every page in both languages, for every profile.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trousseau_domain::business::Language;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::members::Role;
use trousseau_service::Context;
use trousseau_service::people::first_run::FirstRunDraft;
use trousseau_service::people::invitations::Acceptance;
use trousseau_service::people::{Password, Visit};
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::browser::Browser;

async fn browser() -> Browser {
    TestApp::on(TestDatabase::sqlite().await).await.browser()
}

/// The addresses on this site that the page links to.
fn links(page: &str) -> BTreeSet<String> {
    page.split(" href=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"').map(|(href, _)| href.to_owned()))
        .filter(|href| href.starts_with('/') && !href.starts_with("/assets/"))
        .collect()
}

/// What a person reads of a page: the text between the tags, without code.
fn read(page: &str) -> String {
    let main =
        page.split_once("<main").and_then(|(_, rest)| rest.split_once("</main>")).expect("a page has a main part");
    let mut text = String::new();
    let mut code = 0_usize;
    for part in main.0.split('<').skip(1) {
        let (tag, words) = part.split_once('>').unwrap_or((part, ""));
        match tag.split([' ', '/']).next().unwrap_or_default() {
            "code" | "pre" | "summary" => code += 1,
            "" if matches!(tag, "/code" | "/pre" | "/summary") => code -= 1,
            _ => {}
        }
        if code == 0 {
            text.push_str(words);
            text.push(' ');
        }
    }
    text
}

#[tokio::test]
async fn every_page_of_the_documentation_can_be_opened_in_both_languages() {
    for language in ["en", "fr"] {
        let mut browser = browser().await.speaking(language);
        let mut open: Vec<String> = vec!["/docs".to_owned()];
        let mut seen = BTreeSet::from([open[0].clone()]);
        while let Some(path) = open.pop() {
            let answer = browser.get(&path).await;
            assert_eq!(answer.status, 200, "{path}");
            if path == "/openapi.json" || path == "/" {
                continue;
            }
            let page = answer.text();
            assert!(page.contains(&format!("<html lang=\"{language}\"")), "{path}");
            assert_eq!(page.matches("<h1").count(), 1, "{path} has one heading");
            assert!(!page.contains("{{"), "{path}: {page}");
            for link in links(&page).into_iter().filter(|link| link != "/") {
                let link = link.split('#').next().unwrap_or_default().to_owned();
                if seen.insert(link.clone()) {
                    open.push(link);
                }
            }
        }
        for path in
            ["/docs/refusals", "/docs/api", "/docs/api/create-key", "/problems/scope-missing", "/docs?profile=codat"]
        {
            assert!(seen.contains(path), "{path} is linked to: {seen:?}");
        }
    }
}

#[tokio::test]
async fn french_pages_are_typeset() {
    let mut browser = browser().await.speaking("fr");
    for path in [
        "/docs",
        "/docs/rules?profile=payline",
        "/docs/leaks",
        "/docs/checkout",
        "/docs/api/rotate-key",
        "/problems/key-in-url",
    ] {
        let text = read(&browser.get(path).await.text());
        for (at, _) in text.match_indices(['\'', ':', ';', '!', '?']) {
            let before = text[..at].chars().next_back();
            let context: String = text[..at].chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect();
            match text[at..].chars().next() {
                Some('\'') => panic!("{path}: an apostrophe of the keyboard after {context:?}"),
                // Addresses, times and parts of code have no space at all.
                _ => assert_ne!(before, Some(' '), "{path}: a space that may break after {context:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_said_follows_the_rules_of_the_profile() {
    let mut browser = browser().await;
    for (path, profile, said, not_said) in [
        ("/docs/kinds", "mileston", "Mileston_LIVE_CHECKOUTKEY_", "There is one kind"),
        ("/docs/kinds", "payline", "20 letters and digits. It says nothing", "CHECKOUTKEY"),
        ("/docs/rules", "payline", "At most 50 keys in each environment", "Revoking, which some call deleting"),
        ("/docs/rules", "codat", "At most 10 keys.", "in each environment"),
        ("/docs/business-id", "codat", "do not need it", "Without the ID a call is refused"),
        ("/docs/business-id", "payline", "14 digits", "UUID"),
        ("/docs/test-and-live", "codat", "has one environment, LIVE", "Amber band"),
        ("/docs/checkout", "mileston", "/trousseau.js", "needs no key at all"),
        ("/docs/checkout", "payline", "needs no key at all", "/trousseau.js"),
        ("/docs/webhooks", "mileston", "timingSafeEqual(given, expected)", "```"),
        ("/docs/webhooks", "mileston", "hmac.compare_digest(one.encode()", "```"),
        ("/docs/webhooks", "mileston", "openssl dgst -sha256 -mac HMAC", "```"),
        ("/docs/rotate", "mileston", "Rotate with an overlap", "Make a second key"),
        ("/docs/rotate", "payline", "Make a second key", "Rotate with an overlap"),
    ] {
        let page = browser.get(&format!("{path}?profile={profile}")).await.text();
        assert!(page.contains(said), "{path} {profile}: {said}");
        assert!(!page.contains(not_said), "{path} {profile}: {not_said}");
    }
    let unknown = browser.get("/docs/kinds?profile=%3Cb%3E").await;
    assert!(unknown.status == 200 && !unknown.text().contains("<b>&"), "another name is the default profile");
}

#[tokio::test]
async fn the_search_shows_what_it_found_and_repeats_the_words_as_text() {
    let mut browser = browser().await;
    let page = browser.get("/docs/api?q=overlap_seconds").await.text();
    assert!(page.contains("3 calls") && page.contains("/docs/api/rotate-key"), "{page}");
    let page = browser.get("/docs/api?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E").await.text();
    assert!(page.contains("No call has all these words"), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
}

#[tokio::test]
async fn the_page_of_a_problem_is_a_page_for_people_and_a_text_for_programs() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let page = app.browser().speaking("fr").get("/problems/scope-missing").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("vary"), "accept");
    assert!(page.text().contains("Il manque une autorisation à la clé"), "{}", page.text());
    let plain = app.anonymous().get("/problems/scope-missing").await;
    assert_eq!(plain.header("content-type"), "text/plain; charset=utf-8");
    assert!(plain.text().contains("code: scope_missing"), "{}", plain.text());
    assert_eq!(app.browser().get("/problems/no-such").await.status, 404);
}

#[tokio::test]
async fn programs_that_read_get_a_summary() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let answer = app.anonymous().get("/llms.txt").await;
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let text = answer.text();
    assert!(text.starts_with("# Trousseau\n") && text.contains("/docs/api/whoami): Who am I"), "{text}");
}

#[tokio::test]
async fn samples_call_this_installation_with_the_key_from_the_environment() {
    let mut browser = browser().await;
    let page = browser.get("/docs/api/create-key").await.text();
    for part in ["$API_KEY", "process.env.API_KEY", "os.environ[", "/v1/keys", "keys:write"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

const SESSION: &str = "__Host-trousseau_session";

/// The first person with their business, as a browser that is signed in.
async fn owner(app: &TestApp) -> (Browser, BusinessId) {
    let people = app.app.people();
    let link = people.first_run_link(&Context::system()).await.expect("made").expect("nobody is here");
    let draft = FirstRunDraft {
        name: "An Owner".parse().expect("a name"),
        email: "admin@example.com".parse().expect("an address"),
        password: Password::new("correct horse battery staple"),
        language: Language::English,
        business: Some("Atelier Lumière".parse().expect("a name")),
        time_zone: None,
    };
    let done = people.complete_first_run(&link, &draft, &Visit::default()).await.expect("done");
    (app.browser().with_cookie(SESSION, done.session.token.expose()), done.business.id)
}

/// A member of the business in this role, as a browser that is signed in.
async fn member(app: &TestApp, business: &BusinessId, role: Role) -> Browser {
    let address = "member@example.com".parse().expect("an address");
    let invited = app.app.people().invite(&Context::system(), business, &address, role).await.expect("invited");
    let new = Acceptance::New {
        name: "A Member".parse().expect("a name"),
        password: Password::new("correct horse battery staple"),
        language: Language::English,
    };
    let accepted = app.app.people().accept(&invited.token, new, &Visit::default()).await.expect("accepted");
    app.browser().with_cookie(SESSION, accepted.session.expect("somebody new").token.expose())
}

/// The keys that the form offers, as it names them.
fn offered(page: &str) -> Vec<String> {
    page.split("<option value=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

/// The id of a key of this kind and environment, as the operator sees it.
async fn key_of(app: &TestApp, business: &str, environment: &str) -> Value {
    let path = format!("/v1/businesses/{business}/keys?environment={environment}&kind=secret");
    app.platform().get(&path).await.expect(200)["data"][0].clone()
}

#[tokio::test]
async fn pages_are_filled_in_for_the_business_of_their_reader() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (mut browser, business) = owner(&app).await;
    let page = browser.get("/docs").await.text();
    assert!(page.contains("Atelier Lumière") && page.contains(&format!("businessid: {business}")), "{page}");
    assert!(page.contains(&format!("/b/{business}/test/developers/api-keys")), "{page}");
    let page = browser.get("/docs/api/list-keys").await.text();
    assert!(page.contains(&format!("businessid: {business}")), "{page}");
}

#[tokio::test]
async fn a_call_is_tried_with_a_test_key_that_nobody_sees() {
    for app in TestApp::on_every_engine().await {
        let (mut browser, business) = owner(&app).await;
        let answer = browser.submit("/docs/api/whoami", "/docs/api/whoami", &[]).await;
        let page = answer.text();
        assert_eq!(answer.status, 200, "{page}");
        assert!(
            page.contains("200 <span") && page.contains(&format!("business_id&#34;: &#34;{business}&#34;")),
            "{page}"
        );

        // A key is really made, its value is not shown, and the reading of the one that made it stands in the audit.
        let body = [("body", "{\"name\": \"Tried out\"}")];
        let page = browser.submit("/docs/api/create-key", "/docs/api/create-key", &body).await.text();
        assert!(page.contains("scope_missing"), "no TEST key may make keys unless somebody chose so: {page}");
        let id = key_of(&app, business.as_str(), "test").await["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/businesses/{business}/keys/{id}?environment=test");
        app.platform().patch(&path, &json!({"scopes": ["keys:read", "keys:write"]})).await.expect(200);
        let page = browser.submit("/docs/api/create-key", "/docs/api/create-key", &body).await.text();
        assert!(page.contains("201 <span") && page.contains("Tried out"), "{page}");
        let made = page.split("outcome-body").nth(1).and_then(|rest| rest.split_once("</pre>")).expect("an answer").0;
        assert!(made.contains("*****") && !made.contains("Basic "), "{made}");
        for word in made.split(['"', ';', '&']) {
            assert!(!word.starts_with("Mileston_TEST_") || word.contains("*****"), "a value is shown: {made}");
        }

        // What is wrong with the request is the routes' own affair.
        let page =
            browser.submit("/docs/api/list-keys", "/docs/api/list-keys", &[("query-limit", "1000")]).await.text();
        assert!(page.contains("422 <span") || page.contains("400 <span"), "{page}");
        let wild = [("path-id", "../businesses?x=\"><script>")];
        let page = browser.submit("/docs/api/get-key", "/docs/api/get-key", &wild).await.text();
        assert!(page.contains("404 <span") && !page.contains("<script>"), "{page}");
    }
}

#[tokio::test]
async fn nothing_but_a_test_key_of_ones_own_can_be_used() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (mut browser, business) = owner(&app).await;
    let page = browser.get("/docs/api/whoami").await.text();
    let live = key_of(&app, business.as_str(), "live").await["id"].as_str().expect("an id").to_owned();
    let other = app.business("mileston").await;
    let foreign = key_of(&app, other.id(), "test").await["id"].as_str().expect("an id").to_owned();
    let choices = offered(&page);
    assert_eq!(choices.len(), 1, "{choices:?}");
    for key in [
        format!("{business}/{live}"),
        format!("{}/{foreign}", other.id()),
        format!("{business}/{foreign}"),
        "x".to_owned(),
    ] {
        let answer = browser.submit("/docs/api/whoami", "/docs/api/whoami", &[("key", key.as_str())]).await;
        assert_eq!(answer.status, 404, "{key}: {}", answer.text());
    }
    let good = [("key", choices[0].as_str())];
    assert_eq!(browser.post("/docs/api/whoami", &good).await.status, 403, "without the token of the session");
    assert_eq!(browser.post_from_elsewhere("/docs/api/whoami", &good).await.status, 403);
    // The operator's calls have no form.
    assert!(!browser.get("/docs/api/list-businesses").await.text().contains("<form method=\"post\" action=\"/docs"));

    let nobody = app.browser().post("/docs/api/whoami", &good).await;
    assert_eq!((nobody.status.as_u16(), nobody.header("location")), (303, "/sign-in?return=/docs/api/whoami"));
}

#[tokio::test]
async fn analysts_see_no_keys_here_either() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (mut owner, business) = owner(&app).await;
    let choices = offered(&owner.get("/docs/api/whoami").await.text());
    let mut analyst = member(&app, &business, Role::Analyst).await;
    let page = analyst.get("/docs/api/whoami").await.text();
    assert!(offered(&page).is_empty() && page.contains("Administrators and developers"), "{page}");
    // The form of somebody else's page does not help.
    let answer = analyst.submit("/docs", "/preferences", &[("language", "en")]).await;
    assert_eq!(answer.status, 303);
    let page = analyst.get("/docs").await.text();
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split_once('"')).expect("a token").0;
    let answer = analyst.post("/docs/api/whoami", &[("csrf", token), ("key", choices[0].as_str())]).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(!analyst.get("/docs/get-a-key").await.text().contains("developers/api-keys"));
}
