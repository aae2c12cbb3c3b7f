//! Home, the request log and the tabs that are still empty, as each role sees them.

use std::collections::BTreeSet;

use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::browser::Browser;
use trousseau_testkit::client::Answer;

#[track_caller]
fn page(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    answer.text()
}

/// A good call and a refused one, both written down; the reference of the second.
async fn called(app: &TestApp, business: &Business) -> String {
    let key = business.value("test", "secret");
    app.key(business.id(), key).get("/v1/whoami").await.expect(200);
    let refused = app.key(business.id(), key).post_empty("/v1/keys/key_00000000000000000000000000/revoke").await;
    assert_eq!(refused.status.as_u16(), 403, "{}", refused.text());
    app.app.jobs().run_pending().await.expect("written");
    refused.header("x-request-id").to_owned()
}

async fn with_business(app: &TestApp) -> (Business, Browser) {
    let business = app.business("mileston").await;
    let browser = app.member(business.id(), "developer").await;
    (business, browser)
}

/// Every path that the menus of a page lead to.
fn menu(page: &str) -> BTreeSet<String> {
    let parts = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    parts.filter(|href| href.starts_with("/b/") || href.starts_with("/docs")).map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn home_leads_to_the_next_step_and_shows_what_went_wrong() {
    for app in TestApp::on_every_engine().await {
        let (business, mut developer) = with_business(&app).await;
        let home = format!("/b/{}/test", business.id());
        let before = page(&developer.get(&home).await, 200);
        assert!(before.contains(&format!("businessid: {}", business.id())), "{before}");
        assert!(before.contains("None in the time that is kept."), "{before}");
        assert_eq!(before.matches("</svg>Done</span>").count(), 1, "a key is there, and no call: {before}");
        let reference = called(&app, &business).await;
        let after = page(&developer.get(&home).await, 200);
        assert_eq!(after.matches("</svg>Done</span>").count(), 2, "{after}");
        assert!(after.contains("scope_missing") && after.contains(&reference), "{after}");
        let value = business.value("test", "secret");
        assert!(!after.contains(value), "no page of a list holds a value");
    }
}

#[tokio::test]
async fn a_refused_call_is_found_by_its_reference_with_its_reason_in_both_languages() {
    for app in TestApp::on_every_engine().await {
        let (business, mut developer) = with_business(&app).await;
        let reference = called(&app, &business).await;
        let log = format!("/b/{}/test/developers/requests", business.id());
        let list = page(&developer.get(&log).await, 200);
        assert!(list.contains("GET /v1/whoami") && list.contains("POST /v1/keys/{id}/revoke"), "{list}");
        let refused = page(&developer.get(&format!("{log}?outcome=refused")).await, 200);
        assert!(!refused.contains("GET /v1/whoami") && refused.contains("/revoke"), "{refused}");
        assert!(page(&developer.get(&format!("{log}?status=299")).await, 200).contains("Clear filters"));
        let found = developer.get(&format!("{log}?reference={reference}")).await;
        let english = page(&developer.follow(&found).await, 200);
        assert!(english.contains("Why it was refused") && english.contains("keys:write"), "{english}");
        let mut french = app.member(business.id(), "administrator").await.with_cookie("trousseau_language", "fr");
        let explained = page(&french.get(&format!("{log}/{reference}")).await, 200);
        assert!(explained.contains("Pourquoi elle a été refusée") && explained.contains("keys:write"), "{explained}");
        let unknown = page(&developer.get(&format!("{log}?reference={}", "0".repeat(32))).await, 200);
        assert!(unknown.contains("No request with this reference is known here"), "{unknown}");
    }
}

#[tokio::test]
async fn nobody_reads_the_log_of_another_business_or_environment_or_without_the_role() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    let (business, mut developer) = with_business(&app).await;
    let reference = called(&app, &business).await;
    let mut stranger = app.member(app.business("mileston").await.id(), "administrator").await;
    let log = |environment: &str| format!("/b/{}/{environment}/developers/requests", business.id());
    for path in [log("test"), format!("{}/{reference}", log("test")), format!("/b/{}/test", business.id())] {
        assert_eq!(stranger.get(&path).await.status.as_u16(), 404, "{path}");
    }
    assert_eq!(developer.get(&format!("{}/{reference}", log("live"))).await.status.as_u16(), 404);
    assert_eq!(developer.get(&format!("{}/nonsense", log("test"))).await.status.as_u16(), 404);
    let mut analyst = app.member(business.id(), "analyst").await;
    for path in
        [log("test"), format!("{}/{reference}", log("test")), format!("/b/{}/test/developers/webhooks", business.id())]
    {
        assert_eq!(analyst.get(&path).await.status.as_u16(), 403, "{path}");
    }
    let home = page(&analyst.get(&format!("/b/{}/test", business.id())).await, 200);
    assert!(!home.contains("api-keys") && !home.contains("API_KEY") && !home.contains(&reference), "{home}");
}

#[tokio::test]
async fn no_menu_leads_nowhere() {
    let app = TestApp::on(TestDatabase::sqlite().await).await;
    for profile in ["mileston", "payline", "codat"] {
        let business = app.business(profile).await;
        for role in ["administrator", "developer", "analyst"] {
            let mut member = app.member(business.id(), role).await;
            let mut waiting: BTreeSet<String> = BTreeSet::from([format!("/b/{}/live", business.id())]);
            let mut seen = BTreeSet::new();
            while let Some(path) = waiting.pop_first() {
                if !seen.insert(path.clone()) || path.starts_with("/docs/") {
                    continue;
                }
                let answer = member.get(&path).await;
                let status = answer.status.as_u16();
                assert!(matches!(status, 200 | 303), "{role} of {profile}: {path} answers {status}");
                if seen.len() < 80 {
                    waiting.extend(menu(&answer.text()).into_iter().filter(|href| !href.contains(".csv")));
                }
            }
            assert!(seen.len() > 5, "{seen:?}");
        }
    }
}
