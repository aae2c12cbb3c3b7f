//! What a key leaves behind, what it is worth, and ending it with what it made.

use serde_json::{Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::KeyId;
use trousseau_service::keys::{Allowance, KeyView, Remaining};
use trousseau_service::{Context, ServiceError};
use trousseau_testkit::app::{Business, TestApp};

fn id(key: &Value) -> KeyId {
    key["id"].as_str().expect("an id").parse().expect("a good id")
}

fn ids(keys: &[KeyView]) -> Vec<KeyId> {
    keys.iter().map(|view| view.key.id).collect()
}

/// A key made by the operator that may make keys, one that it made, and one that this one made.
async fn three_generations(app: &TestApp, business: &Business) -> [Value; 3] {
    let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
    let scopes = json!({"scopes": ["keys:write", "keys:read", "payments:write"]});
    let first = app.platform().post(&path, &scopes).await.expect(201);
    let by = |key: &Value| app.key(business.id(), key["value"].as_str().expect("a value"));
    let second = by(&first).post("/v1/keys", &scopes).await.expect(201);
    let third = by(&second).post("/v1/keys", &json!({"scopes": ["keys:read"]})).await.expect(201);
    [first, second, third]
}

#[tokio::test]
async fn a_leaked_key_is_ended_with_what_it_made() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let here = Tenant::new(business.id().parse().expect("an id"), Environment::Test);
        let [first, second, third] = three_generations(&app, &business).await;
        let keys = app.app.keys();
        let system = Context::system();
        assert_eq!(ids(&keys.left_behind(&here, id(&first)).await.expect("read")), [id(&second), id(&third)]);
        assert_eq!(ids(&keys.left_behind(&here, id(&third)).await.expect("read")), []);
        let stranger = id(business.key("test", "secret"));
        let refused = keys.revoke_with(&system, &here, id(&first), &[id(&third), stranger]).await;
        assert!(matches!(refused, Err(ServiceError::Invalid(_))), "{refused:?}");
        assert_eq!(keys.left_behind(&here, id(&first)).await.expect("read").len(), 2, "nothing was ended");
        let ended = keys.revoke_with(&system, &here, id(&first), &[id(&third)]).await.expect("ended");
        let mut expected = [id(&first), id(&third)];
        expected.sort_unstable();
        assert_eq!(ids(&ended), expected);
        let client = |key: &Value| app.key(business.id(), key["value"].as_str().expect("a value"));
        for (key, status) in [(&first, 401), (&second, 200), (&third, 401)] {
            assert_eq!(client(key).get("/v1/keys").await.status.as_u16(), status);
        }
        // A key that was revoked already cannot hide what it made.
        assert_eq!(ids(&keys.left_behind(&here, id(&first)).await.expect("read")), [id(&second)]);
    }
}

#[tokio::test]
async fn the_last_key_is_replaced_at_once_and_not_ended() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let here = Tenant::new(business.id().parse().expect("an id"), Environment::Test);
        let key = business.key("test", "secret");
        let keys = app.app.keys();
        let exposure = keys.exposure(&here, id(key)).await.expect("read");
        assert_eq!(exposure.remaining, Remaining::NoneProtected);
        let refused = keys.revoke_with(&Context::system(), &here, id(key), &[]).await;
        assert!(matches!(refused, Err(ServiceError::LastKey)), "{refused:?}");
        let path = format!("/v1/businesses/{}/keys/{}/rotate?environment=test", business.id(), id(key));
        let new = app.platform().post_empty(&path).await.expect(200);
        app.key(business.id(), business.value("test", "secret")).get("/v1/keys").await.expect(401);
        app.key(business.id(), new["value"].as_str().expect("a value")).get("/v1/keys").await.expect(200);
    }
}

#[tokio::test]
async fn what_a_key_is_worth_is_told_in_facts() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("mileston").await;
        let here = Tenant::new(business.id().parse().expect("an id"), Environment::Test);
        let [first, second, _] = three_generations(&app, &business).await;
        let old = first["value"].as_str().expect("a value");
        let path = format!("/v1/businesses/{}/keys/{}/rotate?environment=test", business.id(), id(&first));
        app.platform().post(&path, &json!({"overlap_seconds": 86400})).await.expect(200);
        for _ in 0..3 {
            app.key(business.id(), old).get("/v1/keys").await.expect(200);
        }
        app.app.jobs().run_pending().await.expect("written");
        let keys = app.app.keys();
        let facts = keys.exposure(&here, id(&first)).await.expect("read");
        assert_eq!((facts.may_change.len(), facts.may_read.len(), facts.makes_keys), (2, 1, true));
        assert!(!facts.bound && facts.value_readable && facts.old_value_until.is_some());
        // Making the second key was a call as well.
        assert_eq!((facts.week.accepted, facts.callers_of_week, facts.old_value_callers.len()), (4, 1, 1));
        assert_eq!(facts.old_value_callers[0].requests, 4);
        assert_eq!((facts.remaining, facts.left_behind.len()), (Remaining::Others(3), 2));
        assert!(!keys.exposure(&here, id(&second)).await.expect("read").left_behind.is_empty());
        let checkout = Allowance { kind: Some(trousseau_domain::keys::KeyKind::Checkout), used: 1, most: 10 };
        let secret = Allowance { kind: Some(trousseau_domain::keys::KeyKind::Secret), used: 4, most: 10 };
        assert_eq!(keys.allowances(&here).await.expect("counted"), [secret, checkout]);
        let payline = app.business("payline").await;
        let there = Tenant::new(payline.id().parse().expect("an id"), Environment::Live);
        let together = Allowance { kind: None, used: 1, most: 50 };
        assert_eq!(keys.allowances(&there).await.expect("counted"), [together]);
    }
}
