//! Every function of the store, on both engines.

mod backup;
mod businesses;
mod dialect;
mod events;
mod groups;
mod keys;
mod keys_list;
mod ledgers;
mod limits;
mod nodes;
mod opening;
mod parity;
mod payables;
mod people;
mod platform_keys;
mod records;
mod requests;
mod samples;
mod versions;
mod watching;
mod webhooks;

use trousseau_store::testing::TestDatabase;

/// The address of a database that nobody has opened yet, on the engine of this one.
async fn nothing_yet(database: &TestDatabase) -> String {
    if let Some(folder) = database.folder() {
        return format!("sqlite:{}", folder.join("fresh.db").display());
    }
    database.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.expect("runs");
    database.url().to_owned()
}
