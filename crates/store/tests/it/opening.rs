use std::pin::pin;
use std::time::Duration;

use tokio::task::JoinSet;
use trousseau_store::testing::TestDatabase;
use trousseau_store::{Engine, SchemaError, Store, StoreError, StoreOptions, Unavailability, Upgrade, both_engines};

fn only_check() -> StoreOptions {
    StoreOptions { upgrade: Upgrade::Nothing, ..StoreOptions::default() }
}

async fn schema_error(database: &TestDatabase) -> SchemaError {
    match Store::open(database.url(), &StoreOptions::default()).await {
        Err(StoreError::Schema(error)) => error,
        other => panic!("{other:?}"),
    }
}

both_engines! {
    async fn a_migrated_database_opens_again(database) {
        for options in [StoreOptions::default(), only_check()] {
            let store = Store::open(database.url(), &options).await.expect("opens");
            assert_eq!(store.engine() == Engine::Sqlite, database.folder().is_some());
            assert_eq!(store.read().current_seq().await.expect("reads"), 0);
            store.close().await;
            let error = store.read().current_seq().await.expect_err("closed");
            assert!(error.is_unavailable(), "{error:?}");
        }
    }

    async fn a_newer_schema_is_refused(database) {
        database.run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1"
        ).await.expect("runs");
        let error = schema_error(&database).await;
        assert!(matches!(error, SchemaError::Newer { found: 9999, .. }), "{error:?}");
    }

    async fn a_modified_migration_is_refused(database) {
        database.run(match database.store().engine() {
            Engine::Sqlite => "UPDATE _sqlx_migrations SET checksum = CAST('x' AS BLOB)",
            Engine::Postgres => "UPDATE _sqlx_migrations SET checksum = CAST('x' AS BYTEA)",
        }).await.expect("runs");
        let error = schema_error(&database).await;
        assert!(matches!(error, SchemaError::Modified(1)), "{error:?}");
    }

    async fn a_foreign_migration_is_refused(database) {
        database.run("UPDATE _sqlx_migrations SET version = 0 WHERE version = 1").await.expect("runs");
        let error = schema_error(&database).await;
        assert!(matches!(error, SchemaError::Unknown(0)), "{error:?}");
    }

    async fn a_half_done_migration_is_refused(database) {
        database.run("UPDATE _sqlx_migrations SET success = false").await.expect("runs");
        let error = schema_error(&database).await;
        assert!(matches!(error, SchemaError::Dirty(1)), "{error:?}");
    }

    async fn a_command_that_only_checks_does_not_migrate(database) {
        database.run("DELETE FROM _sqlx_migrations").await.expect("runs");
        match Store::open(database.url(), &only_check()).await {
            Err(StoreError::Schema(SchemaError::Older { found: 0, .. })) => {}
            other => panic!("{other:?}"),
        }
    }

    async fn a_command_makes_what_is_not_there_and_leaves_what_is_older(database) {
        let url = crate::nothing_yet(&database).await;
        let open = async |up_to| {
            let options = StoreOptions { upgrade: Upgrade::Empty, up_to, ..StoreOptions::default() };
            Store::open(&url, &options).await
        };
        open(Some(1)).await.expect("makes it").close().await;
        match open(None).await {
            Err(StoreError::Schema(SchemaError::Older { found: 1, .. })) => {}
            other => panic!("{other:?}"),
        }
        Store::open(&url, &StoreOptions::default()).await.expect("brings it up to date").close().await;
        open(None).await.expect("opens it").close().await;
    }

    async fn many_openers_migrate_once(database) {
        let url = crate::nothing_yet(&database).await;
        let tasks: Vec<_> = (0..8).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Store::open(&url, &StoreOptions::default()).await })
        }).collect();
        for task in tasks {
            let store = task.await.expect("no panic").expect("opens");
            assert_eq!(store.read().current_seq().await.expect("reads"), 0);
        }
    }
}

#[tokio::test]
async fn a_command_waits_for_the_server_that_makes_the_tables() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let database = TestDatabase::postgres(&server).await;
    let url = crate::nothing_yet(&database).await;
    let open = async |upgrade, up_to| {
        let options = StoreOptions { upgrade, up_to, ..StoreOptions::default() };
        Store::open(&url, &options).await
    };
    open(Upgrade::Any, Some(3)).await.expect("begun").close().await;
    let rest = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        open(Upgrade::Any, None).await
    };
    let (command, server) = tokio::join!(open(Upgrade::Empty, None), rest);
    command.expect("opens").close().await;
    server.expect("opens").close().await;
}

#[tokio::test]
async fn nobody_waits_behind_a_migration_that_waits_for_a_backup() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let database = TestDatabase::postgres(&server).await;
    let url = crate::nothing_yet(&database).await;
    let older = StoreOptions { up_to: Some(16), ..StoreOptions::default() };
    let store = Store::open(&url, &older).await.expect("opens");
    let mut backup = store.snapshot().await.expect("begins");
    let payments = backup.tables().into_iter().find(|table| table.name() == "payments").expect("it is there");
    // It goes on with other tables, and the lock on this one with it.
    backup.copy::<StoreError>(&payments, |_| Ok(())).await.expect("read");
    let (options, mut reads) = (StoreOptions::default(), 0);
    let mut opened = pin!(Store::open(&url, &options));
    while reads < 4 {
        let read = async {
            // Past the moment in which the migration asks for its lock.
            tokio::time::sleep(Duration::from_millis(700)).await;
            database.texts("SELECT CAST(COUNT(*) AS TEXT) FROM payments").await
        };
        tokio::select! {
            opened = &mut opened => panic!("with a backup under way: {opened:?}"),
            count = read => assert_eq!(count, ["0"]),
        }
        reads += 1;
    }
    drop(backup);
    opened.await.expect("migrated").close().await;
}

#[tokio::test]
async fn addresses_are_read_strictly() {
    for bad in ["", "mysql://x", "sqlite:", "sqlite::memory:", "/var/lib/x.db", "sqlite:x?mode=rwc"] {
        match Store::open(bad, &StoreOptions::default()).await {
            Err(StoreError::Address(_)) => {}
            other => panic!("{bad}: {other:?}"),
        }
    }
    let nobody = Store::open("postgres://nobody@127.0.0.1:1/none", &StoreOptions::default()).await;
    match nobody {
        Err(StoreError::Unavailable { reason: Unavailability::Connection, source: Some(_) }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sqlite_commits_are_synced() {
    let database = TestDatabase::sqlite().await;
    assert_eq!(database.texts("SELECT journal_mode FROM pragma_journal_mode").await, ["wal"]);
    assert_eq!(database.texts("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await, ["2"]);
    assert_eq!(database.texts("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys").await, ["1"]);
}

#[tokio::test]
async fn whoever_would_wait_too_long_to_write_is_told_so_at_once() {
    let database = TestDatabase::sqlite().await;
    let held = database.store().begin().await.expect("the one writer");
    let mut waiting = JoinSet::new();
    for _ in 0..1_000 {
        let store = database.store().clone();
        waiting.spawn(async move { store.begin().await.map(drop) });
    }
    // All of them have asked before this one does.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let refused = database.store().begin().await.expect_err("no place is left");
    assert!(matches!(refused, StoreError::Unavailable { reason: Unavailability::Busy, .. }), "{refused}");
    drop(held);
    while let Some(begun) = waiting.join_next().await {
        begun.expect("ends").expect("had its turn");
    }
}
