//! Notices about keys: by mail to who wants them, and as events.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use trousseau_domain::business::Language;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::ids::BusinessId;
use trousseau_domain::members::{Notice, Role};
use trousseau_service::people::first_run::FirstRunDraft;
use trousseau_service::people::invitations::Acceptance;
use trousseau_service::people::members::NoticeSetting;
use trousseau_service::people::{Password, SessionToken, Visit};
use trousseau_service::{Context, EventFilter};
use trousseau_testkit::app::TestApp;
use trousseau_web::connection::Peer;

const PASSWORD: &str = "correct horse battery staple";

/// The first person, signed in, and their business; what was mailed until then is gone.
async fn first_person(app: &TestApp) -> (SessionToken, BusinessId) {
    let people = app.app.people();
    let link = people.first_run_link(&Context::system()).await.expect("made").expect("nobody is here");
    let draft = FirstRunDraft {
        name: "Admin".parse().expect("a name"),
        email: "admin@example.com".parse().expect("an address"),
        password: Password::new(PASSWORD),
        language: Language::English,
        business: Some("Atelier".parse().expect("a name")),
        time_zone: None,
    };
    let done = people.complete_first_run(&link, &draft, &Visit::default()).await.expect("done");
    app.mails().await;
    (done.session.token, done.business.id)
}

/// Subjects and texts of what was mailed since the last look.
async fn mailed(app: &TestApp, seen: &mut usize) -> Vec<String> {
    let all = app.mails().await;
    let new = all[(*seen).min(all.len())..].to_vec();
    *seen = all.len();
    new
}

async fn events(app: &TestApp, tenant: &Tenant, kind: EventType) -> Vec<Value> {
    let filter = EventFilter { kind: Some(kind), ..EventFilter::default() };
    let page = app.app.events().list(tenant, &filter, None, 100).await.expect("listed");
    page.data.into_iter().map(|event| event.data).collect()
}

#[tokio::test]
async fn what_is_done_to_live_keys_is_mailed_to_who_wants_it() {
    for app in TestApp::on_every_engine().await {
        let (_, business) = first_person(&app).await;
        let path = |environment: &str| format!("/v1/businesses/{business}/keys?environment={environment}");
        let mut seen = app.mails().await.len();
        app.platform().post(&path("test"), &json!({"name": "Quiet"})).await.expect(201);
        assert!(mailed(&app, &mut seen).await.is_empty(), "a TEST key is worth no mail");
        let narrow = json!({"name": "Orders", "scopes": ["payments:read"]});
        let made = app.platform().post(&path("live"), &narrow).await.expect(201);
        let id = made["id"].as_str().expect("an id");
        let one = format!("/v1/businesses/{business}/keys/{id}");
        let change = |scopes: &[&str]| json!({ "scopes": scopes });
        let changed = format!("{one}?environment=live");
        // Mails of one instant have no order.
        app.advance(Duration::from_secs(1));
        app.platform().patch(&changed, &change(&["payments:read", "payments:write"])).await.expect(200);
        app.advance(Duration::from_secs(1));
        app.platform().patch(&changed, &change(&["payments:read"])).await.expect(200);
        app.platform().post_empty(&format!("{one}/rotate?environment=live")).await.expect(200);
        app.advance(Duration::from_secs(1));
        app.platform().post_empty(&format!("{one}/revoke?environment=live")).await.expect(200);
        let mails = mailed(&app, &mut seen).await;
        assert_eq!(mails.len(), 4, "{mails:#?}");
        for (mail, what) in mails.iter().zip(["was created", "can do more", "got a new value", "was revoked"]) {
            assert!(mail.contains("admin@example.com") && mail.contains("Orders") && mail.contains(what), "{mail}");
            assert!(!mail.contains(made["value"].as_str().expect("a value")), "{mail}");
        }
    }
}

#[tokio::test]
async fn who_switched_a_notice_off_or_may_not_see_keys_gets_none() {
    for app in TestApp::on_every_engine().await {
        let (token, business) = first_person(&app).await;
        let people = app.app.people();
        let analyst = "analyst@example.com".parse().expect("an address");
        let invited = people.invite(&Context::system(), &business, &analyst, Role::Analyst).await.expect("invited");
        let new = Acceptance::New {
            name: "Analyst".parse().expect("a name"),
            password: Password::new(PASSWORD),
            language: Language::French,
        };
        people.accept(&invited.token, new, &Visit::default()).await.expect("accepted");
        let person = people.session(&token).await.expect("read").expect("signed in");
        let context = Context::account(&person, trousseau_domain::ids::RequestId::from_random([7; 16]));
        let off = [NoticeSetting { notice: Notice::LiveKeyCreated, wanted: false }];
        people.set_notices(&context, &person, &business, &off).await.expect("set");
        let mut seen = app.mails().await.len();
        let path = format!("/v1/businesses/{business}/keys?environment=live");
        app.platform().post(&path, &json!({})).await.expect(201);
        assert!(mailed(&app, &mut seen).await.is_empty());
    }
}

#[tokio::test]
async fn a_key_that_ends_soon_is_announced_at_14_7_and_1_days_once_each() {
    for app in TestApp::on_every_engine().await {
        let (_, business) = first_person(&app).await;
        let here = Tenant::new(business.clone(), Environment::Live);
        let path = format!("/v1/businesses/{business}/keys?environment=live");
        let mut seen = app.mails().await.len();
        let key = json!({"name": "Orders", "valid_until": "2026-03-01T12:00:00Z"});
        app.platform().post(&path, &key).await.expect(201);
        seen += 1;
        let jobs = app.app.jobs();
        let mut announced = Vec::new();
        for _ in 0..32 {
            app.advance(Duration::from_hours(24));
            // Two nodes at once, and then one of them again.
            let (one, two) = tokio::join!(jobs.run_pending(), jobs.run_pending());
            one.and(two).expect("announced");
            jobs.run_pending().await.expect("announced");
            announced.push(mailed(&app, &mut seen).await.len());
        }
        assert_eq!(announced.iter().sum::<usize>(), 3, "{announced:?}");
        let days: Vec<_> =
            events(&app, &here, EventType::KeyEnding).await.iter().map(|data| data["days"].clone()).collect();
        assert_eq!(days, [json!(1), json!(7), json!(14)]);
        // A key that never lived longer is spoken of once.
        let short = json!({"valid_until": "2026-03-06T12:00:00Z"});
        app.platform().post(&path, &short).await.expect(201);
        seen += 1;
        jobs.run_pending().await.expect("announced");
        jobs.run_pending().await.expect("announced");
        assert_eq!(mailed(&app, &mut seen).await.len(), 1);
    }
}

#[tokio::test]
async fn a_new_network_of_a_live_secret_key_is_told_once() {
    for app in TestApp::on_every_engine().await {
        let (_, business) = first_person(&app).await;
        let path = format!("/v1/businesses/{business}/keys?environment=live");
        let made = app.platform().post(&path, &json!({"name": "Orders"})).await.expect(201);
        let mut seen = app.mails().await.len();
        let from = async |address: [u8; 4]| {
            // Mails of one instant have no order.
            app.advance(Duration::from_secs(1));
            let peer = Peer { address: SocketAddr::from((address, 40_000)), tls: true };
            let client = app.key(business.as_str(), made["value"].as_str().expect("a value")).from(peer);
            client.get("/v1/whoami").await.expect(200);
            app.app.jobs().run_pending().await.expect("written");
        };
        from([203, 0, 113, 7]).await;
        from([203, 0, 113, 99]).await;
        assert!(mailed(&app, &mut seen).await.is_empty(), "the first network is new to nobody");
        from([198, 51, 100, 9]).await;
        from([198, 51, 100, 10]).await;
        let mails = mailed(&app, &mut seen).await;
        assert_eq!(mails.len(), 1, "{mails:#?}");
        assert!(mails[0].contains("new network") && mails[0].contains("198.51.100.0/24"), "{}", mails[0]);
        let here = Tenant::new(business.clone(), Environment::Live);
        let told = events(&app, &here, EventType::KeyUsedFromNewNetwork).await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0]["network"], "198.51.100.0/24");
    }
}
