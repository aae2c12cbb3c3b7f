//! The pages of the platform's administrators: who sees them, and what they do.

use std::time::Duration;

use trousseau_domain::business::Language;
use trousseau_service::Context;
use trousseau_service::people::invitations::Acceptance;
use trousseau_service::people::{Password, Visit};
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{PASSWORD, TestApp};
use trousseau_testkit::browser::Browser;

use super::{page, sent_otherwise, steady, token};

/// A browser in which an administrator of the platform is signed in, who is a member of no business.
async fn administrator(app: &TestApp) -> Browser {
    let people = app.app.people();
    let email = "platform@example.com".parse().expect("an address");
    let invited =
        people.invite_to_platform(&Context::system(), &email, Language::English).await.expect("an invitation");
    let acceptance = Acceptance::New {
        name: "An operator".parse().expect("a name"),
        password: Password::new(PASSWORD),
        language: Language::English,
    };
    let accepted = people.accept(&invited.token, acceptance, &Visit::default()).await.expect("accepted");
    let session = accepted.session.expect("a session for somebody new");
    app.browser().with_cookie("__Host-trousseau_session", session.token.expose())
}

const PAGES: [&str; 7] = [
    "/platform",
    "/platform/businesses/create",
    "/platform/keys",
    "/platform/keys/create",
    "/platform/networks",
    "/platform/node",
    "/platform/configuration",
];

/// The page without what its jobs did last, which they do while the test runs.
fn without_rows_of_jobs(page: String) -> String {
    let Some(from) = page.find("id=\"jobs\"") else { return page };
    let (before, jobs) = page.split_at(from);
    let (head, rest) = jobs.split_once("<tbody>").expect("a table");
    let (rows, after) = rest.split_once("</tbody>").expect("its end");
    // Both that follow changes are there, under a name for people.
    assert!(rows.matches("<tr>").count() >= 2 && !rows.contains("memory of keys"), "{rows}");
    format!("{before}{head}<tbody></tbody>{after}")
}

#[tokio::test]
async fn every_page_in_both_languages() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let business = app.business("mileston").await;
    let mut browser = administrator(&app).await;
    app.advance(Duration::from_secs(5));
    let own = format!("/platform/businesses/{}", business.id());
    for language in ["en", "fr"] {
        browser.post("/preferences", &[("language", language), ("csrf", &token(&mut browser.clone()).await)]).await;
        for (name, path) in [
            ("businesses", "/platform".to_owned()),
            ("nothing_found", "/platform?q=nobody".to_owned()),
            ("create", "/platform/businesses/create".to_owned()),
            ("business", own.clone()),
            ("suspend", format!("{own}/suspend")),
            ("resume", format!("{own}/resume")),
            ("keys", "/platform/keys".to_owned()),
            ("create_key", "/platform/keys/create".to_owned()),
            ("networks", "/platform/networks".to_owned()),
            ("node", "/platform/node".to_owned()),
            ("configuration", "/platform/configuration".to_owned()),
        ] {
            let shown = without_rows_of_jobs(page(&browser.get(&path).await, 200));
            assert!(shown.contains(&format!("<html lang=\"{language}\"")));
            let folder = app.app.mailer().folder().expect("a folder").display().to_string();
            insta::assert_snapshot!(format!("{name}_{language}"), steady(&shown.replace(&folder, "FOLDER"), &business));
        }
    }
}

#[tokio::test]
async fn nobody_else_sees_them_and_their_menu_is_for_those_who_do() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let mut member = app.member(business.id(), "administrator").await;
        let own = format!("/platform/businesses/{}", business.id());
        let mut paths: Vec<String> = PAGES.map(ToOwned::to_owned).to_vec();
        paths.extend([own.clone(), format!("{own}/suspend"), format!("{own}/resume")]);
        for path in &paths {
            let refused = page(&member.get(path).await, 403);
            assert!(refused.contains("for the platform administrators of this installation"), "{path}: {refused}");
            let signed_out = app.browser().get(path).await;
            assert!(signed_out.header("location").starts_with("/sign-in?"), "{path}");
        }
        let csrf = token(&mut member.clone()).await;
        for path in ["/platform/businesses/create", "/platform/keys/create", &format!("{own}/suspend")] {
            let answer = member.post(path, &[("csrf", &csrf), ("name", "Atelier Lumière"), ("scope", "manage")]).await;
            assert_eq!(answer.status.as_u16(), 403, "{path}");
        }
        assert!(!page(&member.get("/account").await, 200).contains("href=\"/platform\""));
        let mut admin = administrator(&app).await;
        assert!(page(&admin.get("/account").await, 200).contains("href=\"/platform\""));
        for path in &paths {
            page(&admin.get(path).await, 200);
        }
        // Whoever is no administrator any more is refused in the same session.
        let administrators = app.app.people().platform_administrators().await.expect("listed");
        let id = administrators.first().expect("one").id;
        app.app.people().remove_platform_administrator(&Context::system(), id).await.expect("removed");
        assert_ne!(admin.get("/platform").await.status.as_u16(), 200);
    }
}

#[tokio::test]
async fn a_business_is_made_with_its_first_administrator_and_shows_nothing_of_its_keys() {
    for app in TestApp::on_every_engine().await {
        let mut admin = administrator(&app).await;
        let create = "/platform/businesses/create";
        let wrong = [("name", ""), ("time_zone", "Nowhere"), ("email", "nobody"), ("profile", "none")];
        let shown = page(&admin.submit(create, create, &wrong).await, 422);
        for told in [
            "4 things need your attention",
            "href=\"#name\"",
            "href=\"#profile\"",
            "href=\"#time_zone\"",
            "href=\"#email\"",
        ] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        let form = page(&admin.get(create).await, 200);
        let once = form.split_once("name=\"once\" value=\"").expect("a name").1.split_once('"').expect("its end").0;
        let csrf = token(&mut admin.clone()).await;
        let fields = [
            ("csrf", csrf.as_str()),
            ("once", once),
            ("name", "Café d'à côté"),
            ("profile", "payline"),
            ("id", "12345678901234"),
            ("time_zone", "Europe/Berlin"),
            ("language", "fr"),
            ("email", "first@example.com"),
        ];
        let made = admin.post(create, &fields).await;
        let own = "/platform/businesses/12345678901234";
        assert_eq!((made.status.as_u16(), made.header("location")), (303, own), "{}", made.text());
        let shown = page(&admin.follow(&made).await, 200);
        for told in [
            "was created, and its first administrator is invited",
            "12345678901234",
            "payline",
            "Europe/Berlin",
            "Français",
        ] {
            assert!(shown.contains(told), "{told}: {shown}");
        }
        assert!(!shown.contains("*****") && !shown.contains("key_"), "{shown}");
        // Sent again it makes nothing more, and another one cannot take its id.
        let again = admin.post(create, &fields).await;
        assert_eq!((again.status.as_u16(), again.header("location")), (303, own));
        assert_eq!(app.app.businesses().count().await.expect("counted"), 1);
        let other = [("id", "12345678901235"), ("name", "Another"), ("profile", "payline")];
        let first = [&fields[2..4], &[("id", "12345678901236")], &fields[5..]].concat();
        let made = sent_otherwise(&mut admin, create, &first, &other, "value=\"12345678901235\"").await;
        assert_eq!(made.header("location"), "/platform/businesses/12345678901235", "{}", made.text());
        let taken = page(&admin.submit(create, create, &fields[2..]).await, 422);
        assert!(taken.contains("There is a business with this ID already."), "{taken}");
        let shaped =
            page(&admin.submit(create, create, &[&fields[2..4], &[("id", "short")], &fields[5..]].concat()).await, 422);
        assert!(shaped.contains("This is not the form of the profile"), "{shaped}");
        // The person invited gets the mail, and the keys: whoever made the business is no member of it.
        let mails = app.mails().await;
        assert!(mails.iter().any(|mail| mail.contains("first@example.com")), "{mails:?}");
        for path in ["/b/12345678901234/live", "/b/12345678901234/live/developers/api-keys"] {
            assert_eq!(admin.get(path).await.status.as_u16(), 404, "{path}");
        }
    }
}

#[tokio::test]
async fn businesses_are_found_and_paged() {
    for app in TestApp::on_every_engine().await {
        for _ in 0..27 {
            app.business("codat").await;
        }
        let mut admin = administrator(&app).await;
        let first = page(&admin.get("/platform").await, 200);
        assert!(first.contains("1–25 of 27 businesses") && first.contains("href=\"/platform?page=2\""), "{first}");
        let last = page(&admin.get("/platform?page=99").await, 200);
        assert!(last.contains("26–27 of 27 businesses"), "{last}");
        let found = app.platform().get("/v1/businesses?limit=1").await.expect(200);
        let id = found["data"][0]["id"].as_str().expect("an id").to_owned();
        for (search, total) in
            [(&id[..13], "1–1 of 1"), ("%20ATELIER%20", "1–25 of 27"), ("50%25", "No business is like this")]
        {
            let shown = page(&admin.get(&format!("/platform?q={search}")).await, 200);
            assert!(shown.contains(total), "{search}: {shown}");
        }
        // What makes no sense widens nothing.
        for search in [&"a".repeat(101), "a%01"] {
            let wrong = page(&admin.get(&format!("/platform?q={search}&page=2")).await, 422);
            assert!(wrong.contains("id=\"q-error\"") && !wrong.contains("<table"), "{search}: {wrong}");
        }
    }
}

#[tokio::test]
async fn suspending_says_what_it_does_asks_for_the_name_and_refuses_the_keys() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let client = app.key(business.id(), business.value("test", "secret"));
        client.get("/v1/whoami").await.expect(200);
        app.app.jobs().run_pending().await.expect("written");
        let mut admin = administrator(&app).await;
        let own = format!("/platform/businesses/{}", business.id());
        let (suspend, resume) = (format!("{own}/suspend"), format!("{own}/resume"));
        assert!(page(&admin.get(&suspend).await, 200).contains("1 request used them in 7 days"));
        let unnamed = page(&admin.submit(&suspend, &suspend, &[("name", "Atelier")]).await, 422);
        assert!(unnamed.contains("href=\"#name\""), "{unnamed}");
        client.get("/v1/whoami").await.expect(200);
        let done = admin.submit(&suspend, &suspend, &[("name", "Atelier Lumière")]).await;
        let shown = page(&admin.follow(&done).await, 200);
        assert!(shown.contains("Its keys are refused") && shown.contains(&resume), "{shown}");
        client.get("/v1/whoami").await.expect(401);
        let done = admin.submit(&resume, &resume, &[]).await;
        assert!(page(&admin.follow(&done).await, 200).contains("is open again"));
        client.get("/v1/whoami").await.expect(200);
        // What changes something asks again who sits there.
        app.advance(Duration::from_mins(11));
        for path in [&suspend, &resume, "/platform/businesses/create", "/platform/keys/create"] {
            let asked = admin.get(path).await;
            assert!(asked.header("location").starts_with("/step-up?"), "{path}");
        }
        let csrf = token(&mut admin.clone()).await;
        let late = admin.post(&suspend, &[("csrf", &csrf), ("name", "Atelier Lumière")]).await;
        assert!(late.header("location").starts_with("/step-up?"));
        client.get("/v1/whoami").await.expect(200);
    }
}

#[tokio::test]
async fn a_platform_key_is_shown_once_works_and_is_revoked() {
    for app in TestApp::on_every_engine().await {
        let mut admin = administrator(&app).await;
        let create = "/platform/keys/create";
        let nothing = page(&admin.submit(create, create, &[("name", "")]).await, 422);
        assert!(nothing.contains("href=\"#name\"") && nothing.contains("href=\"#scopes\""), "{nothing}");
        let form = page(&admin.get(create).await, 200);
        let once = form.split_once("name=\"once\" value=\"").expect("a name").1.split_once('"').expect("its end").0;
        let csrf = token(&mut admin.clone()).await;
        let fields = [("csrf", csrf.as_str()), ("once", once), ("name", "Ledger"), ("scope", "manage")];
        let shown = page(&admin.post(create, &fields).await, 200);
        let (_, rest) = shown.split_once("data-env=\"API_KEY\"").expect("a value");
        let (rest, _) = rest.split_once("</span>").expect("its end");
        let value = rest.split_once('>').expect("a value").1.replace("<b>", "").replace("</b>", "");
        assert!(shown.contains("data-once") && shown.contains("/metrics"), "{shown}");
        let client = app.anonymous().bearer(&value);
        client.get("/v1/businesses").await.expect(200);
        client.post("/v1/keys/verify", &serde_json::json!({"key": "x"})).await.expect(403);
        // A second click shows no value again, and no list does.
        let again = admin.post(create, &fields).await;
        assert_eq!((again.status.as_u16(), again.header("location")), (303, "/platform/keys"));
        let list = page(&admin.follow(&again).await, 200);
        assert_eq!(list.matches(">Ledger</b>").count(), 1, "{list}");
        let first = [("name", "First"), ("scope", "verify")];
        page(&sent_otherwise(&mut admin, create, &first, &[("name", "Second")], "value=\"Second\"").await, 200);
        assert!(list.contains("An operator") && !list.contains(&value[value.len() - 8..]), "{list}");
        let id = list.split_once(">Ledger</b><span class=\"sub mono\" translate=\"no\">").expect("the row").1;
        let revoke = format!("/platform/keys/{}/revoke", id.split_once('<').expect("its end").0);
        let done = admin.submit(&revoke, &revoke, &[]).await;
        assert!(page(&admin.follow(&done).await, 200).contains("Ledger is revoked"));
        client.get("/v1/businesses").await.expect(401);
        assert_eq!(admin.get("/platform/keys/pk_nonsense/revoke").await.status.as_u16(), 404);
    }
}

#[tokio::test]
async fn the_node_tells_what_waits_and_what_failed() {
    for app in TestApp::on_every_engine().await {
        app.business("mileston").await;
        let mut admin = administrator(&app).await;
        let shown = page(&admin.get("/platform/node").await, 200);
        // The business and its keys are told and not handed out yet.
        let waiting = shown.split_once("Events to hand out</dt><dd>").expect("a queue").1;
        assert_ne!(waiting.split_once('<').expect("its end").0, "0", "{shown}");
        app.app.jobs().run_pending().await.expect("handed out");
        let shown = page(&admin.get("/platform/node").await, 200);
        assert!(shown.contains("Events to hand out</dt><dd>0<"), "{shown}");
        assert!(shown.contains("No mail server is set"), "{shown}");
        let settings = page(&admin.get("/platform/configuration").await, 200);
        assert!(settings.contains("TROUSSEAU_SMTP__URL") && settings.contains("</svg>set</span>"), "{settings}");
    }
}
