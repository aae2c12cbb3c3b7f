//! What waits for SQLite's writer is committed together, and answered when that is done (decision 28).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use trousseau_store::testing::TestDatabase;
use trousseau_store::{Commits, Store, StoreError, StoreOptions, Tx, Unavailability};

/// Longer than any test: what is shared is committed because nobody waits any more, and for no other reason.
const FOR_LONG: Duration = Duration::from_mins(10);
/// Long enough to see that something does not come.
const A_MOMENT: Duration = Duration::from_millis(100);

/// A database with a table of numbers, and one whose rows are checked at the commit only.
async fn database() -> TestDatabase {
    let database = TestDatabase::sqlite_with(&StoreOptions { shared_for: FOR_LONG, ..StoreOptions::default() }).await;
    database
        .run(
            "CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT; \
             CREATE TABLE late (number INTEGER REFERENCES numbers (number) DEFERRABLE INITIALLY DEFERRED) STRICT",
        )
        .await
        .expect("two tables");
    database
}

/// A statement of a test.
fn sql(text: String) -> &'static str {
    text.leak()
}

async fn insert(tx: &mut Tx, number: u32) -> Result<u64, StoreError> {
    tx.run(sql(format!("INSERT INTO numbers (number) VALUES ({number})"))).await
}

/// The numbers that are there for good.
async fn numbers(database: &TestDatabase) -> BTreeSet<u32> {
    let texts = database.texts("SELECT CAST(number AS TEXT) FROM numbers ORDER BY number").await;
    texts.iter().map(|text| text.parse().expect("a number")).collect()
}

/// Waits until so many wait for the writer.
async fn until_waiting(store: &Store, count: usize) {
    while store.waiting() != count {
        sleep(Duration::from_millis(1)).await;
    }
}

/// Somebody who inserts a number and commits, once it is their turn.
fn member(store: &Store, number: u32) -> JoinHandle<Result<(), StoreError>> {
    let store = store.clone();
    tokio::spawn(async move {
        let mut tx = store.begin().await?;
        insert(&mut tx, number).await?;
        tx.commit().await
    })
}

/// Members with these numbers who have their turns after each other, and a turn after theirs: all of them have committed
/// by then, and wait for the last.
async fn group(store: &Store, members: &[u32]) -> (Vec<JoinHandle<Result<(), StoreError>>>, Tx) {
    let first = store.begin().await.expect("the turn");
    let mut waiting = Vec::new();
    for number in members {
        let before = store.waiting();
        waiting.push(member(store, *number));
        until_waiting(store, before + 1).await;
    }
    let last = {
        let store = store.clone();
        tokio::spawn(async move { store.begin().await })
    };
    until_waiting(store, members.len() + 1).await;
    drop(first);
    let last = timeout(FOR_LONG, last).await.expect("in time").expect("no panic").expect("the last turn");
    for member in &waiting {
        assert!(!member.is_finished(), "answered before the commit");
    }
    (waiting, last)
}

fn since(before: Commits, store: &Store) -> (u64, u64) {
    let now = store.commits().expect("an SQLite file");
    (now.transactions - before.transactions, now.turns - before.turns)
}

fn commits(store: &Store) -> Commits {
    store.commits().expect("an SQLite file")
}

fn is_unavailable(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(error) if error.is_unavailable())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_alone_commits_at_once() {
    let database = database().await;
    let store = database.store();
    let before = commits(store);
    for number in 0..5 {
        timeout(A_MOMENT * 20, member(store, number)).await.expect("at once").expect("no panic").expect("commits");
    }
    assert_eq!(since(before, store), (5, 5));
    assert_eq!(numbers(&database).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_are_committed_together_and_answered_afterwards() {
    let database = database().await;
    let store = database.store();
    let before = commits(store);
    let (members, mut last) = group(store, &[1, 2, 3, 4]).await;
    // Seen in the transaction, and nowhere else.
    assert!(insert(&mut last, 4).await.is_err(), "it is there already");
    assert_eq!(store.read().current_seq().await.expect("reads"), 0);
    sleep(A_MOMENT).await;
    assert_eq!(since(before, store), (0, 0));
    drop(last);
    for member in members {
        timeout(FOR_LONG, member).await.expect("in time").expect("no panic").expect("commits");
    }
    assert_eq!(since(before, store), (1, 4));
    assert_eq!(numbers(&database).await, BTreeSet::from([1, 2, 3, 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_grows_neither_large_nor_old() {
    let database = TestDatabase::sqlite().await;
    database.run("CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT").await.expect("a table");
    let store = database.store();
    let before = commits(store);
    let held = store.begin().await.expect("the turn");
    let mut clients = JoinSet::new();
    for number in 0..300 {
        clients.spawn(member(store, number));
    }
    until_waiting(store, 300).await;
    drop(held);
    while let Some(done) = clients.join_next().await {
        done.expect("no panic").expect("no panic").expect("commits");
    }
    let (transactions, turns) = since(before, store);
    assert_eq!(turns, 300);
    assert!((5..=290).contains(&transactions), "{transactions} commits");
    assert_eq!(numbers(&database).await.len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_touches_nobody_else() {
    let database = database().await;
    let store = database.store();
    let (members, mut last) = group(store, &[1, 2]).await;
    insert(&mut last, 7).await.expect("inserts");
    assert!(matches!(insert(&mut last, 1).await, Err(StoreError::Unique { .. })));
    // Half done is not done, whatever its author thinks.
    let next = member(store, 3);
    until_waiting(store, 1).await;
    assert!(is_unavailable(&last.commit().await));
    next.await.expect("no panic").expect("commits");
    for member in members {
        member.await.expect("no panic").expect("commits");
    }
    assert_eq!(numbers(&database).await, BTreeSet::from([1, 2, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_undone_alone_whether_first_or_later() {
    let database = database().await;
    let store = database.store();
    let mut first = store.begin().await.expect("the turn");
    insert(&mut first, 10).await.expect("inserts");
    let (one, two) = (member(store, 1), member(store, 2));
    until_waiting(store, 2).await;
    drop(first);
    one.await.expect("no panic").expect("commits");
    two.await.expect("no panic").expect("commits");
    let (members, mut last) = group(store, &[3, 4]).await;
    insert(&mut last, 11).await.expect("inserts");
    // Two after each other go on from the same savepoint.
    let again = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut tx = store.begin().await.expect("the turn");
            insert(&mut tx, 12).await.expect("inserts");
        })
    };
    until_waiting(store, 1).await;
    let next = member(store, 5);
    until_waiting(store, 2).await;
    drop(last);
    again.await.expect("no panic");
    next.await.expect("no panic").expect("commits");
    for member in members {
        member.await.expect("no panic").expect("commits");
    }
    assert_eq!(numbers(&database).await, BTreeSet::from([1, 2, 3, 4, 5]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_keeps_nobody_waiting() {
    let database = database().await;
    let store = database.store();
    // The one for whom the transaction was left open, before it has its turn.
    let held = store.begin().await.expect("the turn");
    let one = member(store, 1);
    until_waiting(store, 1).await;
    let gone = member(store, 2);
    until_waiting(store, 2).await;
    gone.abort();
    until_waiting(store, 1).await;
    drop(held);
    one.await.expect("no panic").expect("commits");

    // In the middle of a statement that takes a while, after a change of its own.
    let (members, mut last) = group(store, &[3, 4]).await;
    let slow = tokio::spawn(async move {
        insert(&mut last, 5).await.expect("inserts");
        last.run(
            "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000000) \
             INSERT INTO numbers (number) SELECT max(x) FROM c",
        )
        .await
    });
    sleep(A_MOMENT).await;
    let next = member(store, 6);
    until_waiting(store, 1).await;
    slow.abort();
    for member in members.into_iter().chain([next]) {
        timeout(FOR_LONG, member).await.expect("in time").expect("no panic").expect("commits");
    }

    // After its commit was asked for: it is kept with the others.
    let (members, last) = group(store, &[7, 8]).await;
    members[0].abort();
    sleep(A_MOMENT).await;
    drop(last);
    for member in members.into_iter().skip(1) {
        timeout(FOR_LONG, member).await.expect("in time").expect("no panic").expect("commits");
    }
    assert_eq!(numbers(&database).await, BTreeSet::from([1, 3, 4, 6, 7, 8]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_who_stops_waiting_closes_what_was_left_open_for_them() {
    let database = database().await;
    let store = database.store();
    let before = commits(store);
    let (members, last) = group(store, &[1]).await;
    let waits = {
        let store = store.clone();
        tokio::spawn(async move { store.begin().await.map(drop) })
    };
    until_waiting(store, 1).await;
    // It is left open for the one that waits, who goes away in the same moment.
    let committed = tokio::spawn(last.commit());
    waits.abort();
    timeout(FOR_LONG, committed).await.expect("in time").expect("no panic").expect("commits");
    for member in members {
        timeout(FOR_LONG, member).await.expect("in time").expect("no panic").expect("commits");
    }
    let (transactions, turns) = since(before, store);
    assert!((1..=2).contains(&transactions) && turns == 2, "{transactions}, {turns}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_is_told_to_all_and_leaves_nothing() {
    let database = database().await;
    let store = database.store();
    let moment = store.moment();
    let before = commits(store);
    let (members, mut last) = group(store, &[1, 2]).await;
    last.run("INSERT INTO late (number) VALUES (99)").await.expect("checked at the commit");
    assert!(is_unavailable(&last.commit().await));
    let mut causes = 0;
    for member in members {
        let told = member.await.expect("no panic");
        assert!(is_unavailable(&told), "{told:?}");
        causes += u32::from(matches!(told, Err(StoreError::Unavailable { source: Some(_), .. })));
    }
    assert_eq!(causes, 1, "the cause is told once");
    assert_eq!(since(before, store), (0, 0));
    assert!(is_unavailable(&store.settled(moment).await), "whoever looked meanwhile saw what is lost");
    store.settled(store.moment()).await.expect("nothing is open");
    assert_eq!(numbers(&database).await, BTreeSet::new());
    member(store, 3).await.expect("no panic").expect("commits");
    assert_eq!(numbers(&database).await, BTreeSet::from([3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_transaction_for_all_of_them() {
    let database = database().await;
    database.run("CREATE TABLE large (content BLOB) STRICT; PRAGMA max_page_count = 1").await.expect("a bound");
    let store = database.store();
    let (members, mut last) = group(store, &[1, 2]).await;
    let full = last.run("INSERT INTO large (content) VALUES (zeroblob(1000000))").await;
    assert!(matches!(full, Err(StoreError::Unavailable { reason: Unavailability::Disk, .. })), "{full:?}");
    // Nothing more runs in it: SQLite may have undone all of it, and would commit each statement by itself.
    assert!(matches!(insert(&mut last, 3).await, Err(StoreError::Unavailable { reason: Unavailability::Undone, .. })));
    assert!(is_unavailable(&last.commit().await));
    for member in members {
        assert!(is_unavailable(&member.await.expect("no panic")));
    }
    assert_eq!(numbers(&database).await, BTreeSet::new());
    database.run("PRAGMA max_page_count = 1000000").await.expect("room");
    member(store, 4).await.expect("no panic").expect("commits");
    assert_eq!(numbers(&database).await, BTreeSet::from([4]));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_ends_the_transaction_for_all_of_them() {
    let database = database().await;
    let store = database.store();
    let (members, mut last) = group(store, &[1, 2]).await;
    // Time passes as soon as nobody has anything to do but to wait for the statement.
    tokio::time::pause();
    let late = last
        .run(
            "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 3000000) \
             INSERT INTO numbers (number) SELECT max(x) FROM c",
        )
        .await;
    tokio::time::resume();
    assert!(matches!(late, Err(StoreError::Unavailable { reason: Unavailability::Timeout, .. })), "{late:?}");
    drop(last);
    for member in members {
        assert!(is_unavailable(&member.await.expect("no panic")));
    }
    member(store, 3).await.expect("no panic").expect("commits");
    assert_eq!(numbers(&database).await, BTreeSet::from([3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_rests_on_what_is_open_waits_for_it() {
    let database = database().await;
    let store = database.store();
    for lost in [false, true] {
        let moment = store.moment();
        let (members, last) = group(store, &[1]).await;
        let next = {
            let store = store.clone();
            tokio::spawn(async move { store.begin().await.expect("the turn") })
        };
        until_waiting(store, 1).await;
        let settling = tokio::spawn(last.settle());
        let outside = {
            let store = store.clone();
            tokio::spawn(async move { store.settled(moment).await })
        };
        let mut next = next.await.expect("the turn");
        sleep(A_MOMENT).await;
        assert!(!settling.is_finished() && !outside.is_finished(), "nothing is there for good yet");
        if lost {
            next.run("INSERT INTO late (number) VALUES (99)").await.expect("checked at the commit");
        }
        assert_eq!(next.commit().await.is_err(), lost);
        for settled in [settling, outside] {
            assert_eq!(is_unavailable(&settled.await.expect("no panic")), lost);
        }
        for member in members {
            assert_eq!(member.await.expect("no panic").is_err(), lost);
        }
        database.run("DELETE FROM numbers").await.expect("deletes");
    }
    let alone = store.begin().await.expect("the turn");
    alone.settle().await.expect("nothing to wait for");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_long_begins_after_the_others_are_answered() {
    let database = database().await;
    let store = database.store();
    let (members, last) = group(store, &[1, 2]).await;
    let long = {
        let store = store.clone();
        tokio::spawn(async move { store.begin_alone().await })
    };
    until_waiting(store, 1).await;
    let last = tokio::spawn(last.commit());
    let mut long = long.await.expect("no panic").expect("the turn");
    last.await.expect("no panic").expect("commits");
    for member in members {
        member.await.expect("no panic").expect("commits");
    }
    insert(&mut long, 3).await.expect("inserts");
    let next = member(store, 4);
    until_waiting(store, 1).await;
    let before = commits(store);
    long.commit().await.expect("commits");
    next.await.expect("no panic").expect("commits");
    assert_eq!(since(before, store), (2, 2), "nobody shares it");
    assert_eq!(numbers(&database).await, BTreeSet::from([1, 2, 3, 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_ends_outside_of_the_runtime_takes_its_transaction_along() {
    let database = database().await;
    let store = database.store();
    let (members, mut last) = group(store, &[1]).await;
    insert(&mut last, 2).await.expect("inserts");
    std::thread::spawn(move || drop(last)).join().expect("no panic");
    for member in members {
        assert!(is_unavailable(&member.await.expect("no panic")));
    }
    member(store, 3).await.expect("no panic").expect("commits");
    assert_eq!(numbers(&database).await, BTreeSet::from([3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_by_a_store_that_is_closed() {
    let database = database().await;
    let store = database.store().clone();
    let one = member(&store, 1);
    one.await.expect("no panic").expect("commits");
    store.close().await;
    assert!(is_unavailable(&store.begin().await.map(drop)));
}

/// What a client does in the random test, and what must come of it.
async fn act(store: Store, number: u32, choice: u64) -> (u32, Option<bool>) {
    let Ok(mut tx) = store.begin().await else { return (number, Some(false)) };
    if choice.is_multiple_of(11) {
        drop(tx);
        return (number, Some(false));
    }
    if insert(&mut tx, number).await.is_err() {
        return (number, Some(false));
    }
    match choice % 7 {
        0 => {
            drop(tx);
            (number, Some(false))
        }
        1 => {
            assert!(insert(&mut tx, 1_000_000).await.is_err(), "that one is there");
            (number, Some(false))
        }
        2 => {
            // It does not matter: it is undone.
            let _ = tx.settle().await;
            (number, Some(false))
        }
        3 => {
            // A row that fails the commit, for whoever shares it: now and then, or nothing would be kept at all.
            let late = tx.run("INSERT INTO late (number) VALUES (2000000)").await.is_ok();
            (number, Some(late && choice.is_multiple_of(61) && tx.commit().await.is_ok()))
        }
        4 => {
            // Gone at some moment or other: known to be there or not afterwards only.
            let gone = timeout(Duration::from_micros(choice % 3_000), tx.commit()).await;
            (number, gone.ok().map(|committed| committed.is_ok()))
        }
        _ => (number, Some(tx.commit().await.is_ok())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_clients_do_exactly_what_was_acknowledged_is_there() {
    let database =
        TestDatabase::sqlite_with(&StoreOptions { shared_for: Duration::from_millis(20), ..StoreOptions::default() })
            .await;
    database
        .run(
            "CREATE TABLE numbers (number INTEGER PRIMARY KEY) STRICT; INSERT INTO numbers (number) VALUES (1000000); \
             CREATE TABLE late (number INTEGER REFERENCES numbers (number) DEFERRABLE INITIALLY DEFERRED) STRICT",
        )
        .await
        .expect("two tables");
    let store = database.store();
    let before = commits(store);
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut clients = JoinSet::new();
    let (mut kept, mut unknown) = (BTreeSet::from([1_000_000]), BTreeSet::new());
    let mut note = |(number, acknowledged): (u32, Option<bool>)| match acknowledged {
        Some(true) => _ = kept.insert(number),
        Some(false) => {}
        None => _ = unknown.insert(number),
    };
    for number in 0..2_000 {
        // Xorshift: the same sequence each time.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let client = act(store.clone(), number, state);
        if state.is_multiple_of(13) {
            // Goes away while it waits.
            clients.spawn(async move { timeout(Duration::from_micros(500), client).await.unwrap_or((number, None)) });
        } else {
            clients.spawn(client);
        }
        if clients.len() >= 40 {
            note(clients.join_next().await.expect("there are some").expect("no panic"));
        }
    }
    while let Some(done) = timeout(Duration::from_mins(1), clients.join_next()).await.expect("nobody hangs") {
        note(done.expect("no panic"));
    }
    // Whatever was left behind by those who went away is in order before this has its turn.
    store.begin().await.expect("the turn").commit().await.expect("commits");
    let there = numbers(&database).await;
    let lost: Vec<_> = kept.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
    let unasked: Vec<_> = there.difference(&kept).filter(|number| !unknown.contains(number)).collect();
    assert!(unasked.is_empty(), "there and not acknowledged: {unasked:?}");
    let (transactions, turns) = since(before, store);
    assert!(transactions < turns, "{transactions} commits of {turns}");
    assert!(kept.len() > 300, "{} were kept", kept.len());
}
