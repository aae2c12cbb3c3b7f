//! Audit, refusals, kept answers, changes, versions of secrets.

use serde_json::json;
use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{AuditId, KeyId, RequestId};
use trousseau_domain::requests::Door;
use trousseau_store::{
    AuditRow, ChangeKind, Engine, IdempotencyRow, RefusalRow, SecretKind, SecretVersionRow, both_engines,
};

use crate::samples::{at, business_id, commit, two_businesses};

fn entry(bits: u8) -> AuditRow {
    AuditRow {
        id: AuditId::from_bits(bits.into()),
        at: at(bits.into()),
        actor: Actor::System,
        action: "key.revoked".to_owned(),
        business: Some(business_id("b1")),
        environment: Some(Environment::Live),
        target: Some("key_1".to_owned()),
        details: json!({"reason": "leak"}),
        request_id: Some(RequestId::from_random([bits; 16])),
    }
}

fn refusal(bits: u8) -> RefusalRow {
    RefusalRow {
        reference: RequestId::from_random([bits; 16]),
        at: at(bits.into()),
        business: business_id("b1"),
        environment: Some(Environment::Test),
        key_id: Some(KeyId::from_bits(1)),
        key_version: Some(3),
        code: "key_expired".to_owned(),
        method: "GET".to_owned(),
        path: "/v1/whoami".to_owned(),
        address: Some("203.0.113.7".to_owned()),
        last_three: Some("xyz".to_owned()),
        origin: None,
        missing_scope: Some("payments:read".to_owned()),
        client: Some("curl/8.14.1".to_owned()),
        door: Door::Verify,
    }
}

fn answer(key: &str, created: i64, expires: i64) -> IdempotencyRow {
    IdempotencyRow {
        scope: "b1/test/keys.create".to_owned(),
        key: key.to_owned(),
        fingerprint: "f00".to_owned(),
        status: 201,
        body: "{}".to_owned(),
        refill: Some(json!({"key": 1})),
        created_at: at(created),
        expires_at: at(expires),
    }
}

both_engines! {
    async fn audit_entries_are_added_and_never_changed(database) {
        let store = database.store();
        two_businesses(store).await;
        let bare = AuditRow {
            business: None, environment: None, target: None, request_id: None, ..entry(2)
        };
        commit!(store, |tx| {
            tx.append_audit(&entry(1)).await.expect("appends");
            tx.append_audit(&bare).await.expect("appends");
        });
        let listed = store.read().list_audit(&business_id("b1"), 9).await.expect("lists");
        assert_eq!(listed, [entry(1)]);
        for refused in [
            "DELETE FROM audit_entries",
            "UPDATE audit_entries SET action = 'x'",
            "UPDATE audit_entries SET at = 1",
            "UPDATE audit_entries SET actor = '{}', hash = NULL",
        ] {
            let error = database.run(refused).await.expect_err(refused);
            assert!(error.to_string().contains("append-only"), "{refused}: {error}");
        }
        database.run(match store.engine() {
            Engine::Sqlite => "UPDATE audit_entries SET hash = CAST('x' AS BLOB)",
            Engine::Postgres => "UPDATE audit_entries SET hash = CAST('x' AS BYTEA)",
        }).await.expect("a hash is added once");
        database.run("UPDATE audit_entries SET hash = NULL").await.expect_err("and stays");
    }

    async fn refusals_are_kept_for_a_business_that_exists(database) {
        let store = database.store();
        two_businesses(store).await;
        let stranger = RefusalRow { business: business_id("nobody"), ..refusal(3) };
        let bare = RefusalRow {
            environment: None, key_id: None, key_version: None, address: None, last_three: None,
            missing_scope: None, client: None, ..refusal(2)
        };
        commit!(store, |tx| {
            let rows = [refusal(1), bare.clone(), stranger.clone()];
            assert_eq!(tx.insert_refusals(&rows).await.expect("keeps"), 2);
            assert_eq!(tx.insert_refusals(&rows).await.expect("knows them"), 0);
        });
        let mut read = store.read();
        let b1 = business_id("b1");
        assert_eq!(read.find_refusal(&b1, refusal(1).reference).await.expect("reads"), Some(refusal(1)));
        assert_eq!(read.find_refusal(&b1, bare.reference).await.expect("reads"), Some(bare));
        assert_eq!(read.find_refusal(&b1, stranger.reference).await.expect("reads"), None);
        assert_eq!(read.find_refusal(&business_id("b2"), refusal(1).reference).await.expect("reads"), None);
        commit!(store, |tx| {
            assert_eq!(tx.prune_refusals(at(3), 1).await.expect("prunes"), 1);
            assert_eq!(tx.prune_refusals(at(2), 9).await.expect("prunes"), 0);
        });
        assert_eq!(store.read().find_refusal(&b1, refusal(1).reference).await.expect("reads"), None);
    }

    async fn an_answer_is_kept_until_it_expires(database) {
        let store = database.store();
        let first = answer("k", 0, 100);
        commit!(store, |tx| {
            assert!(tx.try_lock_idempotency(&first.scope, "k").await.expect("locks"));
            assert!(tx.keep_idempotency(&first).await.expect("saves"));
            // On SQLite it would have been found before; nothing is written over it on either.
            let kept = tx.keep_idempotency(&answer("k", 99, 500)).await.expect("is kept");
            assert_eq!(kept, tx.writes_alone());
        });
        let mut read = store.read();
        assert_eq!(read.find_idempotency(&first.scope, "k", at(99)).await.expect("reads"), Some(first.clone()));
        assert_eq!(read.find_idempotency(&first.scope, "k", at(100)).await.expect("reads"), None);
        assert_eq!(read.find_idempotency("other", "k", at(0)).await.expect("reads"), None);
        let second = IdempotencyRow { refill: None, ..answer("k", 100, 200) };
        commit!(store, |tx| {
            assert!(tx.keep_idempotency(&second).await.expect("the first has expired"));
            assert!(tx.keep_idempotency(&answer("l", 100, 150)).await.expect("saves"));
        });
        assert_eq!(store.read().find_idempotency(&first.scope, "k", at(150)).await.expect("reads"), Some(second));
        commit!(store, |tx| {
            assert_eq!(tx.prune_idempotency(at(150), 9).await.expect("prunes"), 1);
            assert_eq!(tx.prune_idempotency(at(999), 9).await.expect("prunes"), 1);
        });
    }

    async fn changes_have_no_gaps(database) {
        let store = database.store();
        let b1 = business_id("b1");
        assert_eq!(store.read().current_seq().await.expect("reads"), 0);
        commit!(store, |tx| {
            let seq = tx.append_change(ChangeKind::Key, Some(&b1), Some("key_1"), at(1)).await;
            assert_eq!(seq.expect("appends"), 1);
        });
        let mut dropped = store.begin().await.expect("begins");
        dropped.append_change(ChangeKind::Secrets, None, None, at(2)).await.expect("appends");
        drop(dropped);
        commit!(store, |tx| {
            for kind in [ChangeKind::Business, ChangeKind::PlatformKey, ChangeKind::Secrets] {
                tx.append_change(kind, None, None, at(3)).await.expect("appends");
            }
        });
        let mut read = store.read();
        assert_eq!(read.current_seq().await.expect("reads"), 4);
        let listed = read.list_changes(0, 9).await.expect("lists");
        assert_eq!(listed.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!((listed[0].kind, &listed[0].business, listed[0].target.as_deref()),
            (ChangeKind::Key, &Some(b1), Some("key_1")));
        assert_eq!(listed[3].kind, ChangeKind::Secrets);
        assert_eq!(read.list_changes(2, 1).await.expect("lists")[0].kind, ChangeKind::PlatformKey);
        commit!(store, |tx| assert_eq!(tx.prune_changes(at(3), 9).await.expect("prunes"), 1));
        assert_eq!(store.read().list_changes(0, 1).await.expect("lists")[0].seq, 2);
    }

    async fn versions_of_secrets_are_noted_once(database) {
        let store = database.store();
        let row = |kind, version| SecretVersionRow { kind, version, canary: vec![7; 32], created_at: at(1) };
        commit!(store, |tx| {
            for kind in [SecretKind::Pepper, SecretKind::Kek] {
                for version in [2, 1] {
                    assert!(tx.insert_secret_version(&row(kind, version)).await.expect("notes"));
                    assert!(!tx.insert_secret_version(&row(kind, version)).await.expect("is noted"));
                }
            }
        });
        assert_eq!(store.read().list_secret_versions().await.expect("lists"), [
            row(SecretKind::Kek, 1), row(SecretKind::Kek, 2), row(SecretKind::Pepper, 1), row(SecretKind::Pepper, 2),
        ]);
    }
}

#[tokio::test]
async fn on_postgresql_a_second_transaction_hears_that_the_first_one_runs() {
    use trousseau_store::testing::TestDatabase;
    let Some(server) = TestDatabase::postgres_server() else {
        return;
    };
    let database = TestDatabase::postgres(&server).await;
    let mut first = database.store().begin().await.expect("begins");
    let mut second = database.store().begin().await.expect("begins");
    assert!(first.try_lock_idempotency("s", "k").await.expect("locks"));
    assert!(!second.try_lock_idempotency("s", "k").await.expect("is held"));
    assert!(second.try_lock_idempotency("s", "l").await.expect("another key"));
    first.commit().await.expect("commits");
    assert!(second.try_lock_idempotency("s", "k").await.expect("is free"));
}
