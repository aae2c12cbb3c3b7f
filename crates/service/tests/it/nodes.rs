//! The servers on one database know of each other before one of them answers from memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::watch;
use trousseau_domain::platform_keys::PlatformScopes;
use trousseau_service::clock::SystemClock;
use trousseau_service::entropy::SystemEntropy;
use trousseau_service::nodes::AppliedBy;
use trousseau_service::secrets::Secrets;
use trousseau_service::{App, Context, Settings};
use trousseau_store::both_engines;
use trousseau_store::testing::TestDatabase;

/// A server on a database, which nobody has started yet.
async fn server(database: &TestDatabase, folder: &TempDir) -> App {
    let (clock, entropy, store) = (Arc::new(SystemClock), Arc::new(SystemEntropy), database.store().clone());
    let keys = folder.path().join("keys.toml");
    let secrets = Secrets::open(store.clone(), keys, clock.clone(), entropy.clone()).await.expect("a key file");
    App::new(store, secrets, Settings::default(), clock, entropy)
}

both_engines! {
    async fn a_server_is_waited_for_before_its_first_answer(database) {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (server(&database, &folder).await, server(&database, &folder).await);
        one.enter().await.expect("told");
        assert_eq!(one.index_state().proven, None);
        let (context, scopes) = (Context::system(), PlatformScopes::default());
        let name = "tests".parse().expect("a name");
        other.platform_keys().create(&context, name, &scopes, None).await.expect("made");
        let told = other.nodes().wait_applied(Instant::now()).await.expect("told");
        let ways: Vec<_> = told.nodes.iter().map(|node| node.by).collect();
        assert_eq!(ways, [AppliedBy::LeaseEnd]);
        one.leave().await.expect("told");
        let told = other.nodes().wait_applied(Instant::now()).await.expect("told");
        assert!(told.nodes.is_empty(), "{told:?}");
    }

    async fn nothing_is_answered_from_memory_while_the_others_cannot_be_told(database) {
        let folder = tempfile::tempdir().expect("a folder");
        let one = server(&database, &folder).await;
        database.run("ALTER TABLE nodes RENAME TO nodes_elsewhere").await.expect("runs");
        let (stop, stopped) = watch::channel(false);
        let jobs = one.jobs().clone();
        let running = tokio::spawn(async move { jobs.run(stopped).await });
        // Longer than it takes to prove the memory several times.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(one.index_state().proven, None);
        database.run("ALTER TABLE nodes_elsewhere RENAME TO nodes").await.expect("runs");
        let proven = async {
            while one.index_state().proven.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), proven).await.expect("proven");
        assert_eq!(one.nodes().wait_applied(Instant::now()).await.expect("told").nodes.len(), 1);
        stop.send_replace(true);
        running.await.expect("the jobs end");
    }
}
