//! The ways in: first start, signing in and out, new passwords, invitations.

use std::time::Duration;

use trousseau_domain::ids::BusinessId;
use trousseau_domain::members::Role;
use trousseau_service::Context;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::browser::Browser;
use trousseau_testkit::client::Answer;

const PASSWORD: &str = "correct horse battery staple";
const SESSION: &str = "__Host-trousseau_session";

/// A page that holds neither script nor style, is labelled, and says its language.
#[track_caller]
fn well_made(answer: &Answer, status: u16) -> String {
    let text = answer.text();
    assert_eq!(answer.status.as_u16(), status, "{text}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.header("content-security-policy").contains("script-src 'self'"));
    for forbidden in ["<style", " style=", "javascript:", " onclick=", " onsubmit=", "<script>"] {
        assert!(!text.contains(forbidden), "{forbidden} in {text}");
    }
    assert_eq!(text.matches("<h1").count(), 1, "{text}");
    for (at, _) in text.match_indices("<input ") {
        let tag = &text[at..at + text[at..].find('>').expect("it ends")];
        let id = tag.split_once(" id=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id.to_owned());
        let labelled = id.is_some_and(|id| text.contains(&format!("for=\"{id}\"")));
        assert!(labelled || tag.contains("type=\"hidden\"") || tag.contains("type=\"checkbox\""), "{tag}");
    }
    text
}

/// The token that the forms of the browser's session carry.
async fn token(browser: &mut Browser) -> String {
    let page = browser.get("/reset").await.text();
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form");
    rest.split('"').next().expect("an end").to_owned()
}

async fn first_link(app: &TestApp) -> String {
    let link = app.app.people().first_run_link(&Context::system()).await.expect("made").expect("nobody is here");
    format!("/welcome/{}", link.expose())
}

/// The first person, through the pages, and what they were shown.
async fn first_person(app: &TestApp) -> (Browser, String) {
    let link = first_link(app).await;
    let mut browser = app.browser();
    let fields = [
        ("name", "Camille Martin"),
        ("email", "admin@example.com"),
        ("password", PASSWORD),
        ("business", "Atelier <b>Lumière</b>"),
    ];
    let done = browser.submit(&link, &link, &fields).await;
    let shown = well_made(&done, 200);
    (browser, shown)
}

fn business_id(shown: &str) -> BusinessId {
    let (_, rest) = shown.split_once("href=\"/b/").expect("a way on");
    rest.split('/').next().expect("an id").parse().expect("an id")
}

fn value(shown: &str, id: &str) -> String {
    let (_, rest) = shown.split_once(&format!("id=\"v-{id}\" translate=\"no\">")).expect("a value");
    rest.split('<').next().expect("an end").to_owned()
}

#[tokio::test]
async fn from_the_printed_link_to_a_verified_request() {
    for app in TestApp::on_every_engine().await {
        let link = first_link(&app).await;
        let mut browser = app.browser();
        for (language, word) in [("en", "Create the first account"), ("fr", "Créer le premier compte")] {
            let mut browser = app.browser().speaking(language);
            assert!(well_made(&browser.get(&link).await, 200).contains(word), "{language}");
            let nothing = browser.submit(&link, &link, &[("password", "short")]).await;
            let again = well_made(&nothing, 422);
            assert!(again.contains("id=\"errors\"") && again.contains("aria-invalid"), "{again}");
        }
        let weak = browser
            .submit(
                &link,
                &link,
                &[("name", "Camille"), ("email", "a@example.com"), ("password", "password2026!"), ("business", "A")],
            )
            .await;
        let again = well_made(&weak, 422);
        assert!(again.contains("common password") && again.contains("value=\"a@example.com\""), "{again}");
        assert!(!again.contains("password2026!"));
        let (browser, shown) = {
            // The same link: a mistake does not use it up.
            let fields = [
                ("name", "Camille Martin"),
                ("email", "admin@example.com"),
                ("password", PASSWORD),
                ("business", "Atelier <b>Lumière</b>"),
            ];
            let forged = browser.post_from_elsewhere(&link, &fields).await;
            well_made(&forged, 403);
            let done = browser.submit(&link, &link, &fields).await;
            (browser, well_made(&done, 200))
        };
        assert!(browser.cookie(SESSION).is_some());
        assert!(shown.contains("Atelier &#60;b&#62;Lumière"), "{shown}");
        assert_eq!(shown.matches("Shown once").count(), 1, "the LIVE secret key only");
        let id = business_id(&shown);
        let key = value(&shown, "test-secret");
        assert!(key.starts_with("Mileston_TEST_"));
        assert!(
            shown.contains(&format!("curl -s http://localhost:8080/v1/whoami -H &#34;apikey: {key}&#34;")),
            "{shown}"
        );
        app.key(id.as_str(), &key).get("/v1/whoami").await.expect(200);
        app.key(id.as_str(), &value(&shown, "live-secret")).get("/v1/whoami").await.expect(200);
        let mut late = app.browser();
        well_made(&late.get(&link).await, 410);
        well_made(&late.get("/welcome/nonsense").await, 410);
    }
}

#[tokio::test]
async fn signing_in_says_nothing_of_who_has_an_account() {
    for app in TestApp::on_every_engine().await {
        first_person(&app).await;
        let mut browser = app.browser();
        assert!(well_made(&browser.get("/sign-in").await, 200).contains("href=\"/reset\""));
        let mut pages = Vec::new();
        for email in ["admin@example.com", "nobody@example.com"] {
            let fields = [("email", email), ("password", "wrong wrong wrong")];
            let refused = browser.submit("/sign-in", "/sign-in", &fields).await;
            let page = well_made(&refused, 422);
            assert!(!page.contains("wrong wrong"));
            let request_free: Vec<&str> = page.lines().filter(|line| !line.contains("request")).collect();
            pages.push(request_free.join("\n").replace(email, "EMAIL"));
        }
        assert_eq!(pages[0], pages[1]);
        assert!(browser.cookie(SESSION).is_none());
        let fields = [("email", "admin@example.com"), ("password", PASSWORD)];
        well_made(&browser.post_from_elsewhere("/sign-in", &fields).await, 403);
        assert!(browser.cookie(SESSION).is_none());
        let done = browser.submit("/sign-in?return=/account", "/sign-in", &fields).await;
        assert_eq!((done.status.as_u16(), done.header("location")), (303, "/account"));
        let cookies: Vec<_> =
            done.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).collect();
        assert_eq!(cookies.len(), 2);
        for cookie in cookies {
            for part in ["__Host-", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
                assert!(cookie.contains(part), "{cookie}");
            }
        }
        // No way leads off this site, and whoever is signed in needs no form.
        let away = browser.get("/sign-in?return=//evil.example/").await;
        assert_eq!((away.status.as_u16(), away.header("location")), (303, "/"));
    }
}

#[tokio::test]
async fn a_session_ends_with_signing_out_and_its_cookie_is_worth_nothing_then() {
    for app in TestApp::on_every_engine().await {
        let (mut browser, _) = first_person(&app).await;
        let stolen = browser.cookie(SESSION).expect("signed in").to_owned();
        // Without the session's own token nothing happens.
        assert_eq!(browser.post("/sign-out", &[]).await.status.as_u16(), 403);
        assert_eq!(browser.get("/sign-in").await.status.as_u16(), 303, "still signed in");
        let csrf = token(&mut browser).await;
        let out = browser.post("/sign-out", &[("csrf", &csrf)]).await;
        assert_eq!((out.status.as_u16(), out.header("location")), (303, "/sign-in"));
        assert!(browser.cookie(SESSION).is_none());
        let mut thief = app.browser().with_cookie(SESSION, &stolen);
        well_made(&thief.get("/sign-in").await, 200);
    }
}

#[tokio::test]
async fn a_new_password_comes_by_mail_and_the_page_is_the_same_for_everybody() {
    for app in TestApp::on_every_engine().await {
        first_person(&app).await;
        let mut browser = app.browser();
        let mut pages = Vec::new();
        for email in ["admin@example.com", "nobody@example.com"] {
            let sent = browser.submit("/reset", "/reset", &[("email", email)]).await;
            pages.push(well_made(&sent, 200));
        }
        assert_eq!(pages[0], pages[1]);
        well_made(&browser.submit("/reset", "/reset", &[("email", "no address")]).await, 422);
        let link = format!("/reset/{}", app.mailed_token("/reset").await);
        well_made(&browser.submit(&link, &link, &[("password", "admin@example.com")]).await, 422);
        let done = browser.submit(&link, &link, &[("password", "another long passphrase")]).await;
        assert_eq!((done.status.as_u16(), done.header("location")), (303, "/"));
        assert!(browser.cookie(SESSION).is_some());
        well_made(&app.browser().get(&link).await, 410);
        // A forged host gets into no link.
        let mut forged = app.browser();
        forged.post("/reset", &[("email", "admin@example.com")]).await;
        assert!(app.mails().await.iter().all(|mail| !mail.contains("evil.example")));
        app.advance(Duration::from_mins(15));
        let late = format!("/reset/{}", app.mailed_token("/reset").await);
        well_made(&app.browser().get(&late).await, 410);
    }
}

#[tokio::test]
async fn an_invitation_shows_the_first_live_keys_to_the_person_invited_and_once() {
    for app in TestApp::on_every_engine().await {
        let business = app.app.businesses();
        let draft = trousseau_service::businesses::BusinessDraft {
            name: "Atelier".parse().expect("a name"),
            id: None,
            profile: None,
            time_zone: None,
            language: trousseau_domain::business::Language::English,
            metadata: trousseau_domain::metadata::Metadata::default(),
            invite: Some("owner@example.com".parse().expect("an address")),
        };
        business.create(&Context::system(), &draft, None).await.expect("made");
        let link = format!("/invitations/{}", app.mailed_token("/invitations").await);
        for (language, word) in [("en", "Invitation to Atelier"), ("fr", "Invitation à rejoindre Atelier")] {
            let mut browser = app.browser().speaking(language);
            assert!(well_made(&browser.get(&link).await, 200).contains(word), "{language}");
        }
        let mut browser = app.browser();
        let fields = [("name", "Zoé Martin"), ("password", PASSWORD)];
        well_made(&browser.post_from_elsewhere(&link, &fields).await, 403);
        well_made(&browser.submit(&link, &link, &[("name", "Zoé"), ("password", "owner@example.com")]).await, 422);
        let shown = well_made(&browser.submit(&link, &link, &fields).await, 200);
        let live = value(&shown, "live-secret");
        assert!(live.starts_with("Mileston_LIVE_") && !shown.contains("Mileston_TEST_"), "{shown}");
        app.key(business_id(&shown).as_str(), &live).get("/v1/whoami").await.expect(200);
        well_made(&browser.get(&link).await, 410);
        well_made(&app.browser().post(&link, &fields).await, 410);
    }
}

#[tokio::test]
async fn an_invitation_for_an_account_wants_its_owner() {
    for app in TestApp::on_every_engine().await {
        let (mut owner, shown) = first_person(&app).await;
        let other = app.business("mileston").await;
        let other: BusinessId = other.id().parse().expect("an id");
        let people = app.app.people();
        let invite = |address: &'static str, business: BusinessId| async move {
            let email = address.parse().expect("an address");
            let invited = people.invite(&Context::system(), &business, &email, Role::Analyst).await.expect("invited");
            invited.path
        };
        let mine = invite("admin@example.com", other).await;
        let page = well_made(&app.browser().get(&mine).await, 200);
        assert!(page.contains("href=\"/sign-in?return=/invitations/"), "{page}");
        // Without signing in, no form makes a second account of the address.
        let refused = app.browser().post(&mine, &[("name", "X"), ("password", PASSWORD)]).await;
        well_made(&refused, 409);
        let theirs = invite("new@example.com", business_id(&shown)).await;
        let page = well_made(&owner.get(&theirs).await, 200);
        assert!(page.contains("Sign out") && !page.contains("name=\"password\""), "{page}");
        let joined = owner.submit(&mine, &mine, &[]).await;
        assert_eq!(joined.status.as_u16(), 303);
        assert!(joined.header("location").starts_with("/b/"));
    }
}

#[tokio::test]
async fn what_people_type_is_shown_as_text() {
    for app in TestApp::on_every_engine().await {
        let link = first_link(&app).await;
        let mut browser = app.browser();
        for text in
            ["<script>alert(1)</script>", "\" onfocus=\"alert(1)", "{{7*7}}", "\u{202e}evil", "a\0b", "'><img src=x>"]
        {
            let fields = [
                ("name", text),
                ("email", text),
                ("password", text),
                ("business", text),
                ("time_zone", text),
                ("language", text),
            ];
            let again = well_made(&browser.submit(&link, &link, &fields).await, 422);
            assert!(
                !again.contains("<script>alert") && !again.contains("<img src=x") && !again.contains("\" onfocus"),
                "{again}"
            );
            let again =
                browser.submit("/sign-in", "/sign-in", &[("email", text), ("password", text), ("return", text)]).await;
            let again = well_made(&again, 422);
            assert!(!again.contains("<script>alert") && !again.contains("\" onfocus"), "{again}");
        }
    }
}
