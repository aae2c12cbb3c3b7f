use std::time::Duration;

use trousseau_store::testing::TestDatabase;
use trousseau_store::{Store, StoreOptions, Upgrade};

/// Ends every connection but the one that it is asked on.
const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// The database as a role that may read everything, and ask only what everybody may.
async fn as_a_reader(database: &TestDatabase) -> Store {
    let joined = if database.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{joined}options[role]=pg_read_all_data", database.url());
    let options = StoreOptions { upgrade: Upgrade::Nothing, ..StoreOptions::default() };
    Store::open(&url, &options).await.expect("opens")
}

#[tokio::test]
async fn a_server_that_tells_no_line_of_history_is_believed() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let database = TestDatabase::postgres(&server).await;
    database.store().current_seq_and_time().await.expect("believed");
    assert_ne!(database.store().line(), 0);

    // Not to this role.
    database.run("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_walfile_name(pg_lsn) FROM PUBLIC").await.expect("runs");
    let reader = as_a_reader(&database).await;
    let (seq, now) = reader.current_seq_and_time().await.expect("believed");
    assert_eq!((seq, now.is_some(), reader.line()), (0, true, 0));

    // It is not asked again on these connections, and is on others.
    database.run("GRANT EXECUTE ON FUNCTION pg_catalog.pg_walfile_name(pg_lsn) TO PUBLIC").await.expect("runs");
    reader.current_seq_and_time().await.expect("believed");
    assert_eq!(reader.line(), 0);
    database.run(CUT).await.expect("runs");
    for _ in 0..50 {
        if reader.current_seq_and_time().await.is_ok() && reader.line() != 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(reader.line(), database.store().line());

    // Not to anybody: there is no such function.
    let gone = "ALTER FUNCTION pg_catalog.pg_walfile_name(pg_lsn) RENAME TO pg_walfile_name_of_others";
    database.run(gone).await.expect("runs");
    let reader = as_a_reader(&database).await;
    for _ in 0..2 {
        reader.current_seq_and_time().await.expect("believed");
        assert_eq!(reader.line(), 0);
    }
    // What fails otherwise is a failure.
    database.run("DROP TABLE change_counter CASCADE").await.expect("runs");
    reader.current_seq_and_time().await.expect_err("there is no counter");
}

#[tokio::test]
async fn connections_that_were_lost_while_nobody_used_them_make_nothing_fail() {
    let Some(server) = TestDatabase::postgres_server() else { return };
    let database = TestDatabase::postgres(&server).await;
    let options = StoreOptions { upgrade: Upgrade::Nothing, ..StoreOptions::default() };
    let store = Store::open(database.url(), &options).await.expect("opens");
    for round in 0..6 {
        // Several of them, all used a moment ago.
        let open = (store.begin().await.expect("begins"), store.begin().await.expect("begins"));
        store.read().current_seq().await.expect("reads");
        open.0.commit().await.expect("commits");
        open.1.commit().await.expect("commits");
        database.run(CUT).await.expect("runs");
        let left = "SELECT CAST(pid AS TEXT) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
        while !database.texts(left).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if round % 2 == 0 {
            store.begin().await.expect("begins").commit().await.expect("commits");
        } else {
            store.read().current_seq().await.expect("reads");
        }
    }
}
