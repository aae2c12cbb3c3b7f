//! The ways in: first start, signing in and out, new passwords, invitations.

use std::time::Duration;

use serde_json::json;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::members::{Operation, Role};
use trousseau_service::Context;
use trousseau_service::businesses::BusinessDraft;
use trousseau_store::testing::TestDatabase;
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
        assert!(
            labelled || ["hidden", "checkbox", "radio"].iter().any(|kind| tag.contains(&format!("type=\"{kind}\""))),
            "{tag}"
        );
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
    let (_, rest) = shown.split_once(&format!("id=\"v-{id}\"")).expect("a value");
    let (_, rest) = rest.split_once("translate=\"no\">").expect("its text");
    let (text, _) = rest.split_once("</span>").expect("an end");
    text.replace("<b>", "").replace("</b>", "")
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
        // The forms in the head of this very page are of the session that begins with it, and lead on from it.
        let (_, csrf) = shown.split_once("name=\"csrf\" value=\"").expect("a form");
        let csrf = csrf.split('"').next().expect("an end");
        let home = format!("/b/{}/test", business_id(&shown));
        assert!(shown.contains(&format!("name=\"return\" value=\"{home}\"")), "{shown}");
        let chosen = [("csrf", csrf), ("language", "en"), ("return", home.as_str())];
        leads_to(&browser.clone().post("/preferences", &chosen).await, &home);
        assert_eq!(shown.matches("Shown once").count(), 1, "the LIVE secret key only");
        let id = business_id(&shown);
        let key = value(&shown, "test-secret");
        assert!(key.starts_with("Mileston_TEST_"));
        // The TEST key stands in a call that works as it is pasted; no LIVE one does.
        assert!(shown.contains("</span> http://localhost:8080/v1/whoami"), "{shown}");
        assert!(shown.contains(&format!("Authorization: Bearer {key}")), "{shown}");
        assert!(!shown.contains(&format!("Bearer {}", value(&shown, "live-secret"))), "{shown}");
        for name in ["TEST_SECRET_API_KEY", "LIVE_SECRET_API_KEY", "LIVE_SECRET_AUTHORIZATION", "BUSINESS_ID"] {
            assert!(shown.contains(&format!("data-env=\"{name}\"")), "{name}");
        }
        app.key(id.as_str(), &key).get("/v1/whoami").await.expect(200);
        app.key(id.as_str(), &value(&shown, "live-secret")).get("/v1/whoami").await.expect(200);
        let mut late = app.browser();
        well_made(&late.get(&link).await, 410);
        well_made(&late.get("/welcome/nonsense").await, 410);
    }
}

#[tokio::test]
async fn a_business_that_waited_speaks_as_its_first_member_does() {
    // One that was chosen for it stays.
    for (chosen, of_member) in [(None, "fr"), (Some("fr"), "en")] {
        for app in TestApp::on_every_engine().await {
            let waiting = app.business("mileston").await;
            let path = format!("/v1/businesses/{}", waiting.id());
            if let Some(language) = chosen {
                app.platform().patch(&path, &json!({ "language": language })).await.expect(200);
            }
            let link = first_link(&app).await;
            let fields = [
                ("name", "Zoé Martin"),
                ("email", "admin@example.com"),
                ("password", PASSWORD),
                ("language", of_member),
            ];
            let mut browser = app.browser();
            leads_to(&browser.submit(&link, &link, &fields).await, &format!("/b/{}/test", waiting.id()));
            assert_eq!(app.platform().get(&path).await.expect(200)["language"], "fr");
        }
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
        // The session, the device, and no token of an earlier session's forms.
        assert_eq!(cookies.len(), 3);
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
        let draft = BusinessDraft {
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
        // The dialog of a key that was made: all that belongs to it, and a way on that shows no value again.
        for part in ["<dialog open data-once closedby=\"none\"", "data-ack", "data-env-file=\"trousseau.env\""] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        for name in
            ["LIVE_SECRET_API_KEY", "LIVE_SECRET_EXTERNAL_REFERENCE", "LIVE_CHECKOUT_AUTHORIZATION", "BUSINESS_ID"]
        {
            assert!(shown.contains(&format!("data-env=\"{name}\"")), "{name} in {shown}");
        }
        // A LIVE value is set before the call, so that it works as it is pasted.
        assert!(shown.contains("Authorization: Bearer $LIVE_SECRET_API_KEY"), "{shown}");
        assert!(shown.contains(&format!("LIVE_SECRET_API_KEY=<span class=\"s\">'{live}'</span>")), "{shown}");
        let home = format!("/b/{}/test", business_id(&shown));
        assert!(shown.contains(&format!("data-replace=\"{home}\"")), "{shown}");
        assert!(!well_made(&browser.get(&home).await, 200).contains(&live));
        well_made(&browser.get(&link).await, 410);
        well_made(&app.browser().post(&link, &fields).await, 410);
        // Where there is one key alone, its lines have the plain names.
        app.advance(Duration::from_secs(1));
        let alone = BusinessDraft { profile: Some("payline".parse().expect("a profile")), ..draft };
        business.create(&Context::system(), &alone, None).await.expect("made");
        let link = format!("/invitations/{}", app.mailed_token("/invitations").await);
        let shown = well_made(&browser.submit(&link, &link, &[]).await, 200);
        assert!(shown.contains("data-env=\"API_KEY\"") && shown.contains("trousseau-live.env"), "{shown}");
        assert!(shown.contains("Authorization: Bearer $API_KEY"), "{shown}");
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

const MINUTES: Duration = Duration::from_mins(11);

fn leads_to(answer: &Answer, to: &str) {
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, to), "{}", answer.text());
}

#[tokio::test]
async fn an_account_changes_its_name_language_and_password() {
    for app in TestApp::on_every_engine().await {
        let (mut browser, _) = first_person(&app).await;
        let mut other = app.browser();
        other.submit("/sign-in", "/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]).await;
        well_made(&other.get("/account").await, 200);
        well_made(&browser.submit("/account", "/account/profile", &[("name", " ")]).await, 422);
        let saved = browser.submit("/account", "/account/profile", &[("name", "Zoé <b>"), ("language", "fr")]).await;
        leads_to(&saved, "/account");
        let page = well_made(&browser.follow(&saved).await, 200);
        assert!(page.contains("Zoé &#60;b&#62;") && page.contains("Votre compte a été changé"), "{page}");
        for (current, new, why) in [
            ("wrong wrong wrong", "another long passphrase", "Le mot de passe actuel"),
            (PASSWORD, "short", "12 caractères"),
            ("", "another long passphrase", "Saisissez votre mot de passe"),
        ] {
            let fields = [("current", current), ("password", new)];
            let again = well_made(&browser.submit("/account", "/account/password", &fields).await, 422);
            assert!(again.contains(why), "{again}");
        }
        let before = browser.cookie(SESSION).expect("signed in").to_owned();
        let fields = [("current", PASSWORD), ("password", "another long passphrase")];
        leads_to(&browser.submit("/account", "/account/password", &fields).await, "/account");
        assert_ne!(browser.cookie(SESSION).expect("signed in"), before);
        well_made(&browser.get("/account").await, 200);
        assert_eq!(other.get("/account").await.status.as_u16(), 303, "the other session ended");
        assert_eq!(app.browser().with_cookie(SESSION, &before).get("/account").await.status.as_u16(), 303);
    }
}

#[tokio::test]
async fn an_authenticator_app_is_added_asked_for_and_removed() {
    for app in TestApp::on_every_engine().await {
        let (mut browser, _) = first_person(&app).await;
        leads_to(&browser.get("/account/totp").await, "/account");
        app.advance(MINUTES);
        leads_to(&browser.submit("/account", "/account/totp", &[]).await, "/step-up?return=%2Faccount");
        let proven = browser.submit("/step-up?return=%2Faccount", "/step-up", &[("password", PASSWORD)]).await;
        leads_to(&proven, "/account");
        let page = well_made(&browser.submit("/account", "/account/totp", &[]).await, 200);
        assert!(page.contains("<svg class=\"qr\""), "{page}");
        let (_, rest) = page.split_once("id=\"secret\" translate=\"no\">").expect("a secret");
        let secret = rest.split('<').next().expect("an end").to_owned();
        let wrong = browser.submit("/account/totp", "/account/totp/confirm", &[("code", "000000")]).await;
        assert!(well_made(&wrong, 422).contains(&secret), "the same secret again");
        let code = crate::people::code_at(&secret, app.app.now().as_seconds());
        let shown = browser.submit("/account/totp", "/account/totp/confirm", &[("code", &code)]).await;
        let codes = well_made(&shown, 200);
        let (_, rest) = codes.split_once("id=\"codes\" translate=\"no\">").expect("codes");
        let codes: Vec<String> =
            rest.split('<').next().expect("an end").split_whitespace().map(str::to_owned).collect();
        assert_eq!(codes.len(), 10);
        let page = well_made(&browser.get("/account").await, 200);
        assert!(page.contains("10 recovery codes") && !page.contains(&codes[0]) && !page.contains(&secret));
        let mut other = app.browser();
        let fields = [("email", "admin@example.com"), ("password", PASSWORD)];
        let step = well_made(&other.submit("/sign-in?return=/account", "/sign-in", &fields).await, 200);
        assert!(other.cookie(SESSION).is_none(), "not yet");
        let hidden = |name: &str| {
            let (_, rest) = step.split_once(&format!("name=\"{name}\" value=\"")).expect("a field");
            rest.split('"').next().expect("an end").to_owned()
        };
        let (secret_step, back) = (hidden("step"), hidden("return"));
        let send = |code: &str| [("step", secret_step.clone()), ("return", back.clone()), ("code", code.to_owned())];
        for (code, status) in [("123456", 422), (codes[0].as_str(), 303)] {
            let fields = send(code);
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = other.post("/sign-in/code", &fields).await;
            assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
        }
        assert!(well_made(&other.get("/account").await, 200).contains("9 recovery codes"));
        // Sent again, the form of the first code says that its codes were shown.
        let csrf = token(&mut browser).await;
        let again = browser.post("/account/totp/confirm", &[("csrf", &csrf), ("code", &code)]).await;
        leads_to(&again, "/account");
        assert!(well_made(&browser.follow(&again).await, 200).contains("were shown already"));
        // Other codes come once, whatever is sent again.
        let question = well_made(&browser.get("/account/recovery-codes").await, 200);
        assert!(question.contains("Make new recovery codes?") && question.contains("end at once"), "{question}");
        let (_, once) = question.split_once("name=\"once\" value=\"").expect("a name of its own");
        let once = once.split('"').next().expect("an end");
        // The password, by which this session proved itself, is not enough.
        for wrong in ["", "123456", codes[0].as_str()] {
            let fields = [("csrf", csrf.as_str()), ("once", once), ("code", wrong)];
            let refused = well_made(&browser.post("/account/recovery-codes", &fields).await, 422);
            assert!(refused.contains("This code is not right") && refused.contains("id=\"code-error\""), "{refused}");
            assert!(refused.contains(&format!("name=\"once\" value=\"{once}\"")), "{refused}");
        }
        assert!(well_made(&browser.get("/account").await, 200).contains("9 recovery codes"));
        let fields = [("csrf", csrf.as_str()), ("once", once), ("code", codes[2].as_str())];
        let others = well_made(&browser.post("/account/recovery-codes", &fields).await, 200);
        assert!(others.contains("<dialog open data-once") && others.contains("data-ack"), "{others}");
        assert!(others.contains("data-replace=\"/account\"") && !others.contains(&codes[1]), "{others}");
        let (_, rest) = others.split_once("id=\"codes\" translate=\"no\">").expect("codes");
        let fresh = rest.split_whitespace().next().expect("a code").to_owned();
        leads_to(&browser.post("/account/recovery-codes", &fields).await, "/account");
        // The app goes with one of its codes or of theirs, and with nothing less.
        let remove = "/account/totp/remove";
        assert!(well_made(&browser.get(remove).await, 200).contains("Remove the authenticator app?"));
        for wrong in ["", "123456", codes[1].as_str()] {
            let refused = well_made(&browser.submit(remove, remove, &[("code", wrong)]).await, 422);
            assert!(refused.contains("This code is not right") && refused.contains("id=\"code-error\""), "{refused}");
        }
        assert!(well_made(&browser.get("/account").await, 200).contains("10 recovery codes"));
        leads_to(&browser.submit(remove, remove, &[("code", &fresh)]).await, "/account");
        assert!(!well_made(&browser.get("/account").await, 200).contains("recovery code"));
        leads_to(&browser.get(remove).await, "/account");
    }
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    for app in TestApp::on_every_engine().await {
        let (mut browser, _) = first_person(&app).await;
        let mut others = [app.browser(), app.browser()];
        for other in &mut others {
            other.submit("/sign-in", "/sign-in", &[("email", "admin@example.com"), ("password", PASSWORD)]).await;
        }
        let page = well_made(&browser.get("/account").await, 200);
        let paths: Vec<String> = page
            .match_indices("href=\"/account/sessions/ses_")
            .map(|(at, _)| page[at + 6..].split('"').next().expect("an end").to_owned())
            .collect();
        assert_eq!(paths.len(), 2, "its own is not among them");
        let question = well_made(&browser.get(&paths[0]).await, 200);
        assert!(question.contains("Sign out a session?") && question.contains("ends now"), "{question}");
        leads_to(&browser.submit(&paths[0], &paths[0], &[]).await, "/account");
        leads_to(&browser.get(&paths[0]).await, "/account");
        let mut alive = 0;
        for other in &mut others {
            alive += u32::from(other.get("/account").await.status.as_u16() == 200);
        }
        assert_eq!(alive, 1);
        let end_others = "/account/sessions/end-others";
        let question = well_made(&browser.get(end_others).await, 200);
        assert!(question.contains("1 other session ends now"), "{question}");
        leads_to(&browser.submit(end_others, end_others, &[]).await, "/account");
        leads_to(&browser.get(end_others).await, "/account");
        for other in &mut others {
            assert_eq!(other.get("/account").await.status.as_u16(), 303);
        }
        well_made(&browser.get("/account").await, 200);
    }
}

#[tokio::test]
async fn administrators_invite_change_and_remove_members() {
    for app in TestApp::on_every_engine().await {
        let (mut admin, shown) = first_person(&app).await;
        let business = business_id(&shown);
        let base = format!("/b/{business}/test/settings");
        let members = format!("{base}/members");
        let page = well_made(&admin.get(&members).await, 200);
        assert!(page.contains("last administrator") && !page.contains("/remove\""), "{page}");
        let invite = format!("{members}/invite");
        well_made(&admin.submit(&members, &invite, &[("email", "nobody")]).await, 422);
        well_made(&admin.submit(&members, &invite, &[("email", "admin@example.com")]).await, 422);
        let invited = admin.submit(&members, &invite, &[("email", "dev@example.com"), ("role", "developer")]).await;
        leads_to(&invited, &members);
        let page = well_made(&admin.follow(&invited).await, 200);
        assert!(page.contains("dev@example.com was invited") && page.contains("/revoke\""), "{page}");
        let link = format!("/invitations/{}", app.mailed_token("/invitations").await);
        let mut developer = app.browser();
        leads_to(
            &developer.submit(&link, &link, &[("name", "Dev"), ("password", PASSWORD)]).await,
            &format!("/b/{business}/test"),
        );
        let page = well_made(&developer.get(&members).await, 200);
        assert!(page.contains("admin@example.com") && !page.contains(&format!("action=\"{invite}")), "{page}");
        let csrf = token(&mut developer).await;
        let refused =
            developer.post(&invite, &[("csrf", &csrf), ("email", "x@example.com"), ("role", "analyst")]).await;
        well_made(&refused, 403);
        // Members ask for a recent proof.
        let page = well_made(&admin.get(&members).await, 200);
        let (_, rest) = page.split_once("/members/acc_").expect("a member that can be changed");
        let dev = format!("{members}/acc_{}", rest.split('/').next().expect("an id"));
        app.advance(MINUTES);
        let (role, remove) = (format!("{dev}/role"), format!("{dev}/remove"));
        let late = admin.submit(&members, &role, &[("role", "analyst")]).await;
        assert!(late.header("location").starts_with("/step-up?return="), "{}", late.text());
        let late_invitation = [("email", "typed@example.com"), ("role", "analyst")];
        let invitation = admin.submit(&members, &invite, &late_invitation).await;
        assert!(admin.get(&remove).await.header("location").starts_with("/step-up?return="));
        let proven = admin.submit(late.header("location"), "/step-up", &[("password", PASSWORD)]).await;
        let again = well_made(&admin.follow(&proven).await, 200);
        assert!(again.contains("<option value=\"analyst\" selected>"), "the role that was chosen: {again}");
        let (_, back) = invitation.header("location").split_once("kept%3D").expect("it was kept");
        let again = well_made(&admin.get(&format!("{members}?kept={back}")).await, 200);
        assert!(again.contains("value=\"typed@example.com\""), "{again}");
        assert!(again.contains("name=\"role\" value=\"analyst\" checked"), "{again}");
        assert!(!well_made(&admin.get(&members).await, 200).contains("typed@example.com"), "nobody was invited");
        leads_to(&admin.submit(&members, &role, &[("role", "analyst")]).await, &members);
        assert_eq!(developer.get(&members).await.status.as_u16(), 303, "signed out with the role");
        let question = well_made(&admin.get(&remove).await, 200);
        assert!(question.contains("Remove Dev?"), "{question}");
        leads_to(&admin.submit(&remove, &remove, &[]).await, &members);
        assert!(!well_made(&admin.get(&members).await, 200).contains("dev@example.com"));
        well_made(&admin.get(&remove).await, 404);
        // Taking back an invitation asks too.
        let again = [("email", "dev@example.com"), ("role", "developer")];
        leads_to(&admin.submit(&members, &invite, &again).await, &members);
        let page = well_made(&admin.get(&members).await, 200);
        let (_, rest) = page.split_once(&format!("href=\"{base}/invitations/")).expect("an invitation");
        let revoke = format!("{base}/invitations/{}", rest.split('"').next().expect("an end"));
        let question = well_made(&admin.get(&revoke).await, 200);
        assert!(question.contains("Take back the invitation of dev@example.com?"), "{question}");
        leads_to(&admin.submit(&revoke, &revoke, &[]).await, &members);
        leads_to(&admin.get(&revoke).await, &members);
        assert!(!well_made(&admin.get(&members).await, 200).contains("dev@example.com"));
    }
}

#[tokio::test]
async fn the_address_of_a_form_leads_to_the_page_that_it_stands_on() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (mut admin, shown) = first_person(&app).await;
    let base = format!("/b/{}/test", business_id(&shown));
    let members = format!("{base}/settings/members");
    for (form, page) in [
        ("/account/password".to_owned(), "/account".to_owned()),
        ("/account/profile".to_owned(), "/account".to_owned()),
        ("/account/sessions/ses_00000000000000000000000000/end".to_owned(), "/account".to_owned()),
        ("/sign-out".to_owned(), "/".to_owned()),
        (format!("{members}/invite"), members.clone()),
        (format!("{members}/acc_00000000000000000000000000/role"), members.clone()),
        (format!("{base}/settings/logo"), format!("{base}/settings")),
        (format!("{base}/payment-links/plink_0/switch"), format!("{base}/payment-links/plink_0")),
    ] {
        leads_to(&admin.get(&form).await, &page);
    }
    // Where another language is chosen on a page about mistakes, the way back is that address.
    let again = well_made(&admin.submit("/account", "/account/password", &[("password", "short")]).await, 422);
    assert!(again.contains("name=\"return\" value=\"/account/password\""), "{again}");
    let csrf = token(&mut admin).await;
    let chosen = [("csrf", csrf.as_str()), ("language", "fr"), ("return", "/account/password")];
    let chosen = admin.post("/preferences", &chosen).await;
    let moved = admin.follow(&chosen).await;
    assert!(well_made(&admin.follow(&moved).await, 200).contains("lang=\"fr\""));
    // Other methods, and programs, are told that there is no such page.
    assert_eq!(admin.post("/docs", &[]).await.status.as_u16(), 405);
    let program = app.anonymous().with("accept", "application/json");
    assert_eq!(program.get("/account/password").await.status.as_u16(), 405);
    // A form that a session did not outlive leads back to its page, and says that nothing was done.
    app.advance(Duration::from_hours(3));
    let late = admin.post(&format!("{members}/invite"), &[("csrf", &csrf), ("email", "x@example.com")]).await;
    let sign_in = late.header("location").to_owned();
    assert!(well_made(&admin.get(&sign_in).await, 200).contains("n’a pas été fait"), "{sign_in}");
    let fields = [("email", "admin@example.com"), ("password", "wrong wrong wrong")];
    assert!(well_made(&admin.submit(&sign_in, "/sign-in", &fields).await, 422).contains("n’a pas été fait"));
    let fields = [("email", "admin@example.com"), ("password", PASSWORD)];
    let signed_in = admin.submit(&sign_in, "/sign-in", &fields).await;
    leads_to(&signed_in, &format!("{members}/invite"));
    leads_to(&admin.follow(&signed_in).await, &members);
    assert!(!well_made(&app.browser().get("/sign-in?return=/account").await, 200).contains("was not done"));
}

#[tokio::test]
async fn settings_and_notices_are_kept() {
    for app in TestApp::on_every_engine().await {
        let (mut admin, shown) = first_person(&app).await;
        let base = format!("/b/{}/test/settings", business_id(&shown));
        well_made(&admin.submit(&base, &base, &[("time_zone", "Mars/Base")]).await, 422);
        let saved = admin.submit(&base, &base, &[("name", "Maison"), ("time_zone", "America/New_York")]).await;
        leads_to(&saved, &base);
        let page = well_made(&admin.follow(&saved).await, 200);
        assert!(page.contains("value=\"America/New_York\"") && page.contains("mileston"), "{page}");
        let notices = format!("{base}/notices");
        let stays = format!("name=\"return\" value=\"{notices}\"");
        assert!(well_made(&admin.get(&notices).await, 200).contains(&stays), "a choice of language comes back here");
        assert_eq!(well_made(&admin.get(&notices).await, 200).matches(" checked>").count(), 9);
        let csrf = token(&mut admin).await;
        let kept = [("csrf", csrf.as_str()), ("notice", "key.ending"), ("notice", "member.added"), ("notice", "none")];
        leads_to(&admin.post(&notices, &kept).await, &notices);
        assert_eq!(well_made(&admin.get(&notices).await, 200).matches(" checked>").count(), 2);
        assert!(well_made(&admin.get("/businesses").await, 200).contains("Maison"));
        leads_to(&admin.get("/").await, &format!("/b/{}/test", business_id(&shown)));
        leads_to(&app.browser().get("/").await, "/sign-in?return=%2F");
    }
}

/// A PNG of this size without its picture: what its first bytes say.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut content = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    content.extend(width.to_be_bytes());
    content.extend(height.to_be_bytes());
    content.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
    content
}

#[tokio::test]
async fn a_logo_is_put_in_place_shown_served_by_its_digest_and_removed() {
    for app in TestApp::on_every_engine().await {
        let (mut admin, shown) = first_person(&app).await;
        let base = format!("/b/{}/test/settings", business_id(&shown));
        let (put, remove) = (format!("{base}/logo"), format!("{base}/logo/remove"));
        let csrf = token(&mut admin).await;
        let fields = [("csrf", csrf.as_str())];
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
        for (file, why) in [
            (&b""[..], "Choose a picture first."),
            (svg, "no PNG, JPEG or WebP"),
            (&png(8, 8), "16 to 2,048 pixels"),
            (&[png(64, 64), vec![0; 256 * 1024]].concat(), "256 KiB at most"),
        ] {
            let page = well_made(&admin.post_file(&put, &fields, "logo", file).await, 422);
            assert!(page.contains(why) && page.contains("id=\"logo-error\""), "{why}: {page}");
        }
        let too_long = [png(64, 64), vec![0; 1024 * 1024]].concat();
        assert_eq!(admin.post_file(&put, &fields, "logo", &too_long).await.status.as_u16(), 413);
        assert_eq!(admin.post_file(&put, &[], "logo", &png(64, 64)).await.status.as_u16(), 403, "without the token");
        assert!(!well_made(&admin.get(&base).await, 200).contains("/logos/"));

        leads_to(&admin.post_file(&put, &fields, "logo", &png(64, 64)).await, &base);
        let page = well_made(&admin.get(&base).await, 200);
        let (_, rest) = page.split_once("src=\"/logos/").expect("a logo in the header");
        let address = format!("/logos/{}", rest.split('"').next().expect("an end"));
        assert_eq!(page.matches(&address).count(), 3, "header, switcher and settings: {page}");
        // Whoever pays sees it too: it is there without a session, and can do nothing.
        let picture = app.browser().get(&address).await;
        assert_eq!(picture.status.as_u16(), 200);
        assert_eq!(picture.header("content-type"), "image/png");
        assert_eq!(picture.header("x-content-type-options"), "nosniff");
        assert_eq!(picture.header("content-security-policy"), "default-src 'none'; sandbox; frame-ancestors 'none'");
        assert!(picture.header("cache-control").contains("immutable"));
        // Another one has another address, and the old one is gone.
        leads_to(&admin.post_file(&put, &fields, "logo", &png(64, 65)).await, &base);
        assert!(!well_made(&admin.get(&base).await, 200).contains(&address));
        for gone in [address.as_str(), "/logos/x", "/logos/../etc/passwd"] {
            assert_eq!(app.browser().get(gone).await.status.as_u16(), 404, "{gone}");
        }
        // Nobody but an administrator.
        let mut developer = app.member(business_id(&shown).as_str(), "developer").await;
        assert!(well_made(&developer.get(&base).await, 200).contains("/logos/"), "members see it");
        let theirs = token(&mut developer).await;
        let refused = developer.post_file(&put, &[("csrf", &theirs)], "logo", &png(64, 64)).await;
        assert_eq!(refused.status.as_u16(), 403);
        assert_eq!(developer.post(&remove, &[("csrf", &theirs)]).await.status.as_u16(), 403);
        leads_to(&admin.submit(&base, &remove, &[]).await, &base);
        assert!(!well_made(&admin.get(&base).await, 200).contains("/logos/"));
        assert_eq!(admin.post(&remove, &fields).await.status.as_u16(), 404, "there is none any more");
    }
}

/// The one table of roles, walked over the pages of people.
#[tokio::test]
async fn each_role_opens_the_pages_that_the_table_says() {
    for app in TestApp::on_every_engine().await {
        let (_, shown) = first_person(&app).await;
        let business = business_id(&shown);
        let other = app.business("mileston").await;
        let nobody = "acc_00000000000000000000000000";
        for role in Role::ALL {
            let mut browser = app.member(business.as_str(), role.as_str()).await;
            for (path, operation) in [
                ("", Operation::BusinessRead),
                ("/notices", Operation::BusinessRead),
                ("/members", Operation::MembersRead),
            ] {
                let page = browser.get(&format!("/b/{business}/live/settings{path}")).await;
                well_made(&page, if role.may(operation) { 200 } else { 403 });
                well_made(&browser.get(&format!("/b/{}/live/settings{path}", other.id())).await, 404);
            }
            let csrf = token(&mut browser).await;
            for (path, operation) in [
                ("", Operation::BusinessWrite),
                ("/members/invite", Operation::MembersWrite),
                (&format!("/members/{nobody}/role"), Operation::MembersWrite),
                (&format!("/members/{nobody}/remove"), Operation::MembersWrite),
                ("/invitations/ivt_00000000000000000000000000/revoke", Operation::MembersWrite),
            ] {
                let path = format!("/b/{business}/live/settings{path}");
                let answer = browser.post(&path, &[("csrf", &csrf), ("role", "analyst")]).await;
                let allowed = answer.status.as_u16() != 403;
                assert_eq!(allowed, role.may(operation), "{role} {path}: {}", answer.text());
            }
            well_made(&browser.get("/account").await, 200);
        }
    }
}

#[tokio::test]
async fn no_form_of_people_is_taken_from_another_site_or_without_its_token() {
    for app in TestApp::on_every_engine().await {
        let (mut browser, shown) = first_person(&app).await;
        let base = format!("/b/{}/test/settings", business_id(&shown));
        for path in [
            "/account/profile",
            "/account/password",
            "/account/totp",
            "/account/totp/confirm",
            "/account/totp/remove",
            "/account/recovery-codes",
            "/account/passkeys/start",
            "/account/passkeys",
            "/account/passkeys/psk_00000000000000000000000000/remove",
            "/account/sessions/ses_00000000000000000000000000/end",
            "/account/sessions/end-others",
            "/step-up",
            "/step-up/passkey/start",
            "/step-up/passkey",
            "/sign-out",
            "/sign-in",
            "/sign-in/code",
            "/sign-in/passkey/start",
            "/sign-in/passkey",
            "/reset",
            &base,
            &format!("{base}/members/invite"),
            &format!("{base}/notices"),
        ] {
            let csrf = token(&mut browser).await;
            well_made(&browser.post_from_elsewhere(path, &[("csrf", &csrf), ("name", "Taken over")]).await, 403);
            assert_eq!(browser.post(path, &[("name", "Taken over")]).await.status.as_u16(), 403, "{path}");
        }
        assert!(!well_made(&browser.get("/account").await, 200).contains("Taken over"));
        assert_eq!(app.mails().await.len(), 0);
    }
}

#[tokio::test]
async fn the_pages_of_people_speak_french_too() {
    for app in TestApp::on_every_engine().await {
        let (mut browser, shown) = first_person(&app).await;
        leads_to(&browser.submit("/account", "/account/profile", &[("language", "fr")]).await, "/account");
        let base = format!("/b/{}/test/settings", business_id(&shown));
        for (path, word) in [
            ("/account".to_owned(), "Application d’authentification"),
            ("/businesses".to_owned(), "Entreprises"),
            (base.clone(), "Fuseau horaire"),
            (base.clone(), "à ses membres et à ceux qui paient"),
            (format!("{base}/members"), "Inviter quelqu’un"),
            (format!("{base}/members"), "dernière activité"),
            (format!("{base}/notices"), "Me prévenir quand"),
        ] {
            let page = well_made(&browser.get(&path).await, 200);
            assert!(page.contains("<html lang=\"fr\""), "{path}");
            assert!(page.contains(word), "{path}: {page}");
        }
    }
}
