//! A snapshot of one database fills another one, of the same engine and of the other.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trousseau_domain::environment::Environment;
use trousseau_domain::evm::{ChildIndex, ExtendedPublicKey};
use trousseau_store::testing::TestDatabase;
use trousseau_store::{
    Children, RestoreError, SchemaError, Store, StoreError, StoreOptions, TableShape, Unavailability, Upgrade,
    both_engines, latest_schema,
};

use crate::samples::{at, business, business_id, commit, key, live, tenant, version};

const KEY: &str =
    "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";

/// Pairs of databases, from and to.
async fn pairs() -> Vec<(TestDatabase, TestDatabase)> {
    let mut pairs = vec![(TestDatabase::sqlite().await, TestDatabase::sqlite().await)];
    if let Some(server) = TestDatabase::postgres_server() {
        pairs.push((TestDatabase::sqlite().await, TestDatabase::postgres(&server).await));
        pairs.push((TestDatabase::postgres(&server).await, TestDatabase::sqlite().await));
        pairs.push((TestDatabase::postgres(&server).await, TestDatabase::postgres(&server).await));
    }
    pairs
}

/// Everything in a database, table by table.
async fn everything(store: &Store) -> Vec<(String, Vec<String>, Vec<Vec<Value>>)> {
    let mut snapshot = store.snapshot().await.expect("a snapshot");
    let mut all = Vec::new();
    for table in snapshot.tables() {
        let mut rows = Vec::new();
        let take = |row| {
            rows.push(row);
            Ok::<(), StoreError>(())
        };
        snapshot.copy(&table, take).await.expect("copied");
        rows.sort_by_key(|row| serde_json::to_string(row).expect("JSON"));
        all.push((table.name().to_owned(), table.columns().map(ToOwned::to_owned).collect(), rows));
    }
    all
}

async fn fill(from: &Store, to: &Store, children: Children) -> trousseau_store::Adjusted {
    let rows = everything(from).await;
    let mut restoring = to.restoring().await.expect("it is empty");
    for (table, columns, rows) in rows {
        restoring.load(&table, &columns, rows).await.expect("they fit");
    }
    let adjusted = restoring.adjust(children, at(9_000_000)).await.expect("adjusted");
    restoring.commit().await.expect("committed");
    adjusted
}

/// Two businesses with a key each, one of them with an extended key.
async fn furnish(database: &TestDatabase) {
    let store = database.store();
    commit!(store, |tx| {
        for (name, number) in [("a-1", 1), ("b-1", 2)] {
            tx.insert_business(&business(name, 1)).await.expect("inserted");
            let key = key(&tenant(name), number);
            tx.insert_key(&key).await.expect("inserted");
            tx.insert_version(&version(&key, 1, name.as_bytes()[0])).await.expect("inserted");
            tx.append_change(trousseau_store::ChangeKind::Key, Some(&business_id(name)), None, at(2))
                .await
                .expect("told");
        }
    });
    let insert = "INSERT INTO payout_keys (business_id, environment, network, state, extended_key, set_at, set_by) \
                  VALUES ('a-1', 'live', 'eip155:8453', 'in_force', \
                  'xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP', \
                  1, '{}')";
    database.run(insert).await.expect("inserted");
    database
        .run("INSERT INTO audit_entries (id, at, actor, action, details) VALUES ('aud_1', 1, '{}', 'x', '{}')")
        .await
        .expect("inserted");
    let account = "INSERT INTO accounts (id, email, name, language, platform_admin, created_at, updated_at, revision) \
                   VALUES ('acc_1', 'a@example.com', 'Ada', 'en', 1, 1, 1, 1)";
    database.run(account).await.expect("inserted");
    let session = if database.folder().is_some() {
        "INSERT INTO sessions (id, account_id, digest, created_at, seen_at, idle_ends_at, ends_at, verified_at) \
         VALUES ('ses_1', 'acc_1', CAST('x' AS BLOB), 1, 1, 1, 1, 1)"
    } else {
        "INSERT INTO sessions (id, account_id, digest, created_at, seen_at, idle_ends_at, ends_at, verified_at) \
         VALUES ('ses_1', 'acc_1', CAST('x' AS BYTEA), 1, 1, 1, 1, 1)"
    };
    database.run(session).await.expect("inserted");
}

#[tokio::test]
async fn what_was_in_one_is_in_the_other() {
    for (from, to) in pairs().await {
        furnish(&from).await;
        let adjusted = fill(from.store(), to.store(), Children::Close).await;
        let moved = ["change_counter", "changes", "extended_keys", "sessions"];
        let plain = |all: Vec<(String, Vec<String>, Vec<Vec<Value>>)>| -> BTreeSet<String> {
            all.into_iter()
                .filter(|(table, ..)| !moved.contains(&table.as_str()))
                .flat_map(|(table, columns, rows)| {
                    rows.into_iter().map(move |row| {
                        let named: serde_json::Map<_, _> = columns.iter().cloned().zip(row).collect();
                        format!("{table} {}", Value::Object(named))
                    })
                })
                .collect()
        };
        let (before, after) = (plain(everything(from.store()).await), plain(everything(to.store()).await));
        assert!(before.len() > 6, "{before:?}");
        assert_eq!(before, after);
        assert_eq!((adjusted.extended_keys, adjusted.sessions), (1, 1));
        assert!(to.texts("SELECT id FROM sessions").await.is_empty(), "somebody is signed in still");
        // The counters of the database go on behind what was brought along.
        to.run("INSERT INTO audit_entries (id, at, actor, action, details) VALUES ('aud_2', 1, '{}', 'x', '{}')")
            .await
            .expect("a number of its own");
        // Not twice, and not over anything.
        let again = to.store().restoring().await;
        assert!(matches!(again, Err(RestoreError::NotEmpty(_))), "{again:?}");
    }
}

both_engines! {
    async fn the_tables_of_every_schema_are_known(database) {
        let url = crate::nothing_yet(&database).await;
        for schema in 1..=latest_schema() {
            let options = StoreOptions { up_to: Some(schema), ..StoreOptions::default() };
            let store = Store::open(&url, &options).await.expect("opens");
            let snapshot = store.snapshot().await.expect("all that are known are there");
            assert!(snapshot.left_out().is_empty(), "not known at {schema}: {:?}", snapshot.left_out());
            assert_eq!(snapshot.tables().len(), TableShape::names_at(schema).count());
            drop(snapshot);
            store.close().await;
        }
    }

    async fn tables_of_others_are_left_out_and_named(database) {
        furnish(&database).await;
        let before = everything(database.store()).await;
        database.run("CREATE TABLE notes (at TIMESTAMPTZ, content JSONB)").await.expect("made");
        database.run("CREATE TABLE keys_before_cleanup AS SELECT id, name FROM keys").await.expect("made");
        let snapshot = database.store().snapshot().await.expect("a snapshot");
        assert_eq!(snapshot.left_out(), ["keys_before_cleanup", "notes"]);
        drop(snapshot);
        assert_eq!(everything(database.store()).await, before);
    }

    async fn tables_of_others_may_be_where_a_backup_is_restored(database) {
        let rows = "CREATE TABLE keys_before_cleanup (id TEXT); INSERT INTO keys_before_cleanup (id) VALUES ('key_1')";
        database.run(rows).await.expect("runs");
        let from = TestDatabase::sqlite().await;
        furnish(&from).await;
        fill(from.store(), database.store(), Children::Close).await;
        assert_eq!(database.texts("SELECT id FROM keys_before_cleanup").await, ["key_1"]);
        assert_eq!(database.texts("SELECT id FROM keys").await.len(), 2);
    }

    async fn a_database_that_lacks_a_table_is_not_backed_up(database) {
        database.run("ALTER TABLE quota_counts RENAME TO quota_counts_of_before").await.expect("renamed");
        let refused = database.store().snapshot().await;
        let Err(StoreError::Schema(SchemaError::Missing(names))) = refused else { panic!("{refused:?}") };
        assert_eq!(names, "quota_counts");
    }
}

#[tokio::test]
async fn a_role_that_may_not_read_a_table_takes_no_backup() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let database = TestDatabase::postgres(&server).await;
    furnish(&database).await;
    // A role that every server has, with the rights that it is given in this database.
    database.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_signal_backend").await.expect("granted");
    // As after an upgrade that has brought them, but for a column of one.
    database.run("REVOKE SELECT ON nodes, quota_counts FROM pg_signal_backend").await.expect("revoked");
    database.run("GRANT SELECT (id) ON nodes TO pg_signal_backend").await.expect("granted");
    let joined = if database.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{joined}options[role]=pg_signal_backend", database.url());
    let options = StoreOptions { upgrade: Upgrade::Nothing, ..StoreOptions::default() };
    let reader = Store::open(&url, &options).await.expect("opens");
    let refused = reader.snapshot().await;
    let Err(StoreError::Schema(SchemaError::Unreadable(names))) = &refused else { panic!("{refused:?}") };
    assert_eq!(names, "nodes, quota_counts");
    database.run("GRANT SELECT ON nodes, quota_counts TO pg_signal_backend").await.expect("granted");
    assert_eq!(everything(&reader).await, everything(database.store()).await);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_no_full_disk() {
    let place = TestDatabase::sqlite().await;
    let url = format!("sqlite:{}", place.folder().expect("a folder").join("none.db").display());
    let options = StoreOptions { upgrade: Upgrade::Nothing, ..StoreOptions::default() };
    let refused = Store::open(&url, &options).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { reason: Unavailability::NoFile, .. })), "{refused:?}");
}

#[tokio::test]
async fn no_child_of_an_extended_key_is_given_out_twice() {
    let id = KEY.parse::<ExtendedPublicKey>().expect("a key").id();
    for given in [0, 2] {
        for (children, expected) in [
            (Children::Close, None),
            (Children::Skip(1_000), Some(ChildIndex::FIRST.number() + given + 1_000)),
            (Children::Skip(u32::MAX), None),
        ] {
            for (from, to) in pairs().await {
                furnish(&from).await;
                for _ in 0..given {
                    commit!(from.store(), |tx| tx.take_child(id).await.expect("taken").expect("one is left"));
                }
                fill(from.store(), to.store(), children).await;
                let mut tx = to.store().begin().await.expect("begins");
                let next = tx.take_child(id).await.expect("an answer").map(ChildIndex::number);
                assert_eq!(next, expected, "{children:?} after {given}");
            }
        }
    }
}

#[tokio::test]
async fn the_sequence_of_changes_goes_on_past_all_that_could_have_been() {
    for (from, to) in pairs().await {
        furnish(&from).await;
        let seq = from.store().read().current_seq().await.expect("a number");
        let adjusted = fill(from.store(), to.store(), Children::Close).await;
        let now = to.store().read().current_seq().await.expect("a number");
        assert_eq!(now, adjusted.seq);
        assert!(now > seq + 900_000_000, "{seq} {now}");
        // Whoever knew the old one sees a gap, and forgets.
        let changes = to.store().read().list_changes(seq, 10).await.expect("a list");
        assert_eq!(changes.iter().map(|change| change.seq).collect::<Vec<_>>(), [now]);
        // A second copy of the same backup, a second later and after a change, is ahead of the first one.
        commit!(to.store(), |tx| {
            tx.append_change(trousseau_store::ChangeKind::Secrets, None, None, at(3)).await.expect("told");
        });
        let third = TestDatabase::sqlite().await;
        let mut second = third.store().restoring().await.expect("empty");
        second
            .load("change_counter", &["id".into(), "seq".into()], vec![vec![json!(1), json!(seq)]])
            .await
            .expect("fits");
        let later = second.adjust(Children::Close, at(10_000_000)).await.expect("adjusted").seq;
        assert!(later > now + 1, "{now} {later}");
    }
}

#[tokio::test]
async fn a_snapshot_is_of_one_moment_and_holds_nobody_up() {
    for (from, _) in pairs().await {
        furnish(&from).await;
        let mut snapshot = from.store().snapshot().await.expect("a snapshot");
        commit!(from.store(), |tx| {
            tx.insert_key(&key(&live("a-1"), 2)).await.expect("written meanwhile");
        });
        let keys = snapshot.tables().into_iter().find(|table| table.name() == "keys").expect("keys");
        let count = snapshot.copy(&keys, |_| Ok::<(), StoreError>(())).await.expect("copied");
        assert_eq!(count, 2);
        assert_eq!(live("a-1").environment, Environment::Live);
    }
}

#[tokio::test]
async fn names_and_cells_of_a_file_are_not_believed() {
    let database = TestDatabase::sqlite().await;
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let good = ["event_id", "locked_until", "attempt", "created_at"];
    let mut restoring = database.store().restoring().await.expect("empty");
    for (table, names) in [
        ("outbox; DROP TABLE keys", &good[..]),
        ("sqlite_master", &good[..]),
        ("outbox", &["event_id", "attempt", "created_at"][..]),
        ("outbox", &["event_id", "event_id", "attempt", "created_at"][..]),
        ("outbox", &["event_id", "locked_until", "attempt", "created_at) SELECT 1 --"][..]),
    ] {
        let answer = restoring.load(table, &columns(names), Vec::new()).await;
        assert!(matches!(answer, Err(RestoreError::Table(_))), "{table} {names:?}: {answer:?}");
    }
    for row in [
        vec![json!("evt"), json!(null), json!("1"), json!(1)],
        vec![json!(1), json!(null), json!(1), json!(1)],
        vec![json!("evt"), json!(null), json!(1.5), json!(1)],
        vec![json!("evt"), json!(null), json!(1)],
        vec![json!(["evt"]), json!(null), json!(1), json!(1)],
    ] {
        let answer = restoring.load("outbox", &columns(&good), vec![row.clone()]).await;
        assert!(matches!(answer, Err(RestoreError::Cells { .. })), "{row:?}: {answer:?}");
    }
}
