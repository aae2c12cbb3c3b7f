//! Requests that share a transaction of the embedded database (decision 28): nothing is answered, refused or in force
//! before it is there for good.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use trousseau_store::testing::TestDatabase;
use trousseau_store::{Store, StoreOptions, Tx};
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::{Answer, Client};

/// Longer than any test: what is shared is committed because nobody waits any more, and for no other reason.
const FOR_LONG: Duration = Duration::from_mins(10);
/// Long enough to see that an answer does not come.
const A_MOMENT: Duration = Duration::from_millis(200);

/// An application, a business, and a further key of it: its id and its value.
async fn shop() -> (TestApp, Business, String, String) {
    let options = StoreOptions { shared_for: FOR_LONG, ..StoreOptions::default() };
    let app = TestApp::on(TestDatabase::sqlite_with(&options).await).await;
    app.database
        .run("CREATE TABLE late (number INTEGER REFERENCES changes (seq) DEFERRABLE INITIALLY DEFERRED) STRICT")
        .await
        .expect("a table");
    let business = app.business("mileston").await;
    let made = app.platform().post(&keys(&business, ""), &json!({})).await.expect(201);
    let text = |member: &str| made[member].as_str().expect("a text").to_owned();
    let (id, value) = (text("id"), text("value"));
    (app, business, id, value)
}

fn keys(business: &Business, rest: &str) -> String {
    format!("/v1/businesses/{}/keys{rest}?environment=test", business.id())
}

async fn until_waiting(store: &Store, count: usize) {
    while store.waiting() != count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn post(client: Client, path: String, body: Value) -> JoinHandle<Answer> {
    tokio::spawn(async move { client.post(&path, &body).await })
}

/// Sends requests one after the other, each of which waits for the writer, and a turn after theirs that is given back: by
/// then all of them have done what they do, in one transaction that is open.
async fn together(store: &Store, requests: Vec<(Client, String, Value)>) -> (Vec<JoinHandle<Answer>>, Tx) {
    let first = store.begin().await.expect("the turn");
    let mut answers = Vec::new();
    for (client, path, body) in requests {
        answers.push(post(client, path, body));
        until_waiting(store, answers.len()).await;
    }
    let last = begin(store);
    until_waiting(store, answers.len() + 1).await;
    drop(first);
    (answers, last.await.expect("the turn"))
}

fn begin(store: &Store) -> JoinHandle<Tx> {
    let store = store.clone();
    tokio::spawn(async move { store.begin().await.expect("the turn") })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_and_its_refused_repetition_are_told_once_they_are_there() {
    for lost in [false, true] {
        let (app, business, id, value) = shop().await;
        let store = app.database.store();
        let revoke = || (app.platform(), keys(&business, &format!("/{id}/revoke")), json!({}));
        let owner = app.anonymous().bearer(&value).with("businessid", business.id());
        let (answers, mut last) = together(store, vec![revoke(), revoke()]).await;
        tokio::time::sleep(A_MOMENT).await;
        assert!(answers.iter().all(|answer| !answer.is_finished()), "answered before the commit");
        owner.get("/v1/whoami").await.expect(200);
        if lost {
            last.run("INSERT INTO late (number) VALUES (99999)").await.expect("checked at the commit");
        }
        assert_eq!(last.commit().await.is_err(), lost);
        let mut told = Vec::new();
        for answer in answers {
            told.push(answer.await.expect("an answer"));
        }
        let statuses: Vec<u16> = told.iter().map(|answer| answer.status.as_u16()).collect();
        if lost {
            assert_eq!(statuses, [503, 503]);
            owner.get("/v1/whoami").await.expect(200);
            app.platform().post(&keys(&business, &format!("/{id}/revoke")), &json!({})).await.expect(200);
        } else {
            assert_eq!(statuses, [200, 409], "{}", told[1].text());
        }
        owner.get("/v1/whoami").await.expect(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_answer_waits_for_what_it_repeats() {
    let (app, business, ..) = shop().await;
    let store = app.database.store();
    let path = keys(&business, "");
    let client = app.platform().with("idempotency-key", "gone");
    let (answers, last) = together(store, vec![(client.clone(), path.clone(), json!({}))]).await;
    // Its client goes away, and comes again before anything is there for good.
    for answer in answers {
        answer.abort();
        assert!(answer.await.is_err_and(|error| error.is_cancelled()));
    }
    let again = post(client.clone(), path.clone(), json!({}));
    until_waiting(store, 1).await;
    let after = begin(store);
    until_waiting(store, 2).await;
    drop(last);
    let after = after.await.expect("the turn");
    tokio::time::sleep(A_MOMENT).await;
    assert!(!again.is_finished(), "repeated before the commit");
    drop(after);
    let repeated = again.await.expect("an answer").expect(201);
    assert_eq!(client.post(&path, &json!({})).await.expect(201), repeated);
    let listed = app.platform().get(&path).await.expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(4), "one was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_together_is_there_with_its_trail_or_not_at_all() {
    for lost in [false, true] {
        let (app, business, ..) = shop().await;
        let store = app.database.store();
        let made = |name: &str| (app.platform(), keys(&business, ""), json!({ "name": name, "state": "inactive" }));
        let wrong = (app.platform(), keys(&business, "/key_00000000000000000000000000/revoke"), json!({}));
        let (answers, mut last) = together(store, vec![made("one"), wrong, made("two")]).await;
        if lost {
            last.run("INSERT INTO late (number) VALUES (99999)").await.expect("checked at the commit");
        }
        assert_eq!(last.commit().await.is_err(), lost);
        let mut statuses = Vec::new();
        for answer in answers {
            statuses.push(answer.await.expect("an answer").status.as_u16());
        }
        assert_eq!(statuses, if lost { [503, 503, 503] } else { [201, 404, 201] });
        let count = if lost { 3 } else { 5 };
        let total = |table: &'static str| app.database.texts(table);
        let expected = count.to_string();
        for table in [
            "SELECT CAST(COUNT(*) AS TEXT) FROM keys WHERE environment = 'test'",
            "SELECT CAST(COUNT(*) AS TEXT) FROM key_versions WHERE environment = 'test'",
            "SELECT CAST(COUNT(*) AS TEXT) FROM events WHERE type = 'key.created' AND environment = 'test'",
            "SELECT CAST(COUNT(*) AS TEXT) FROM audit_entries WHERE action = 'key.created' AND environment = 'test'",
        ] {
            assert_eq!(total(table).await, [expected.as_str()], "{table}");
        }
        // The sequence of changes has no gap.
        let gaps = "SELECT CAST(MAX(seq) - COUNT(*) AS TEXT) FROM changes";
        assert_eq!(total(gaps).await, ["0"]);
    }
}
