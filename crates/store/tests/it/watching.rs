use std::time::Duration;

use trousseau_store::{ChangeKind, Store, StoreOptions, both_engines};

use crate::samples::{at, commit};

both_engines! {
    async fn a_change_by_another_process_is_heard_within_a_second(database) {
        let mut watcher = database.store().watch();
        watcher.changed().await.expect("the first call returns at once");
        let other = Store::open(database.url(), &StoreOptions::default()).await.expect("opens");
        for _ in 0..3 {
            // Whatever opening did is heard first.
            while tokio::time::timeout(Duration::from_millis(700), watcher.changed()).await.is_ok() {}
            commit!(other, |tx| tx.append_change(ChangeKind::Secrets, None, None, at(1)).await.expect("appends"));
            tokio::time::timeout(Duration::from_secs(1), watcher.changed()).await
                .expect("heard in time").expect("no failure");
        }
    }

    async fn silence_is_kept_while_nothing_changes(database) {
        let mut watcher = database.store().watch();
        watcher.changed().await.expect("the first call returns at once");
        tokio::time::timeout(Duration::from_millis(1200), watcher.changed()).await.expect_err("nothing changed");
    }
}

#[tokio::test]
async fn on_postgresql_a_killed_listener_heals_itself() {
    use trousseau_store::testing::TestDatabase;
    let Some(server) = TestDatabase::postgres_server() else {
        return;
    };
    let database = TestDatabase::postgres(&server).await;
    let mut watcher = database.store().watch();
    watcher.changed().await.expect("the first call returns at once");
    database
        .run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
              WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .expect("runs");
    // The pool may give out a connection that was cut before it notices.
    let mut failures = 0;
    loop {
        match database.store().begin().await {
            Ok(mut tx) => {
                if tx.append_change(ChangeKind::Secrets, None, None, at(1)).await.is_ok() && tx.commit().await.is_ok() {
                    break;
                }
            }
            Err(error) => assert!(error.is_unavailable(), "{error:?}"),
        }
        failures += 1;
        assert!(failures < 20, "the pool never recovered");
    }
    let heard = async { while watcher.changed().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(3), heard).await.expect("heard in time");
}
