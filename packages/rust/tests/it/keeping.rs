//! What is kept, and who shares an answer.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;
use trousseau_client::{Audience, Client, Decision, Demand, Environment, Error, Scope};

use crate::stand_in::{Reply, StandIn, good, good_with, refusal, with_key};

async fn allowed(client: &Client, key: &str, demand: &Demand) -> bool {
    matches!(client.authorize(with_key(key), demand).await, Ok(Decision::Allowed(_)))
}

#[tokio::test]
async fn a_good_answer_is_kept_exactly_as_long_as_it_may_be() {
    let server = StandIn::start(good(None)).await;
    let client = server.builder().cache_entries(2).build().expect("a client");
    let any = Demand::new();
    for expected in 1..=2 {
        assert!(allowed(&client, "a", &any).await);
        assert_eq!(server.asked(), expected, "nothing is kept unless that is allowed");
    }
    server.reply(good(Some(300)));
    for _ in 0..3 {
        assert!(allowed(&client, "a", &any).await);
        assert_eq!(server.asked(), 3);
    }
    assert!(allowed(&client, "a", &Demand::new().scope(Scope::from_static("x:y"))).await);
    assert!(allowed(&client, "a", &Demand::new().environment(Environment::Test)).await);
    assert_eq!(server.asked(), 5, "another demand is another question");
    assert!(allowed(&client, "a", &any).await);
    assert_eq!(server.asked(), 6, "room is bounded");
    sleep(Duration::from_millis(350)).await;
    assert!(allowed(&client, "a", &any).await);
    assert_eq!(server.asked(), 7, "its time is over");
    let none = server.builder().cache_entries(0).build().expect("a client");
    for expected in 8..=9 {
        assert!(allowed(&none, "a", &any).await);
        assert_eq!(server.asked(), expected);
    }
}

#[tokio::test]
async fn its_time_is_counted_from_the_question() {
    let server = StandIn::start(good(Some(300)).after(Duration::from_millis(200))).await;
    let client = server.client();
    assert!(allowed(&client, "a", &Demand::new()).await);
    sleep(Duration::from_millis(150)).await;
    assert!(allowed(&client, "a", &Demand::new()).await);
    assert_eq!(server.asked(), 2, "200 ms of the 300 were over when it came");
    server.reply(good(Some(100)).after(Duration::from_millis(150)));
    for expected in 3..=4 {
        assert!(allowed(&client, "b", &Demand::new()).await);
        assert_eq!(server.asked(), expected, "too old when it comes");
    }
}

#[tokio::test]
async fn a_no_and_a_failure_are_never_kept() {
    let server = StandIn::start(refusal(401, "unauthorized", "x-trousseau-fresh-ms: 60000\r\n")).await;
    let client = server.client();
    for expected in 1..=3 {
        assert!(!allowed(&client, "a", &Demand::new()).await);
        assert_eq!(server.asked(), expected);
    }
    server.reply(Reply::Cut(String::new()));
    assert!(!allowed(&client, "a", &Demand::new()).await);
    server.reply(good(None));
    assert!(allowed(&client, "a", &Demand::new()).await, "switched on a moment ago");
}

#[tokio::test]
async fn the_same_is_asked_once_at_a_time() {
    let server = StandIn::start(good(None).after(Duration::from_millis(100))).await;
    let client = server.client();
    let demand = Demand::new();
    let answers = join_all((0..50).map(|_| allowed(&client, "a", &demand))).await;
    assert!(answers.into_iter().all(|answer| answer));
    assert_eq!(server.most_at_once(), 1);
    assert!(server.asked() <= 2, "one that was on its way at the most, and one for all the others: {}", server.asked());
    let keys: Vec<String> = (0..10).map(|number| format!("key {number}")).collect();
    assert!(join_all(keys.iter().map(|key| allowed(&client, key, &demand))).await.into_iter().all(|answer| answer));
    assert!(server.most_at_once() > 1, "others do not wait for it");
}

#[tokio::test]
async fn nobody_gets_an_answer_from_before_they_came() {
    let server = StandIn::start(good(None).after(Duration::from_millis(200))).await;
    let client = server.client();
    let early = tokio::spawn({
        let client = client.clone();
        async move { allowed(&client, "a", &Demand::new()).await }
    });
    sleep(Duration::from_millis(50)).await;
    // Revoked, while a yes is on its way.
    server.reply(refusal(401, "unauthorized", ""));
    assert!(!allowed(&client, "a", &Demand::new()).await);
    assert!(early.await.expect("done"));
}

#[tokio::test]
async fn what_waits_for_others_ends_in_time_too() {
    let server = StandIn::start(Reply::silence()).await;
    let client = server.builder().timeout(Duration::from_millis(150)).build().expect("a client");
    let asked = std::time::Instant::now();
    let any = Demand::new();
    let answers = join_all((0..20).map(|_| client.authorize(with_key("a"), &any))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::TimedOut))));
    assert!(asked.elapsed() < Duration::from_millis(600), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn questions_at_once_are_bounded() {
    let server = StandIn::start(good(None).after(Duration::from_millis(30))).await;
    let client = server.builder().connections(2).build().expect("a client");
    let keys: Vec<String> = (0..12).map(|number| format!("key {number}")).collect();
    let demand = Demand::new();
    assert!(join_all(keys.iter().map(|key| allowed(&client, key, &demand))).await.into_iter().all(|answer| answer));
    assert_eq!((server.asked(), server.most_at_once()), (12, 2));
    assert!(server.connections() <= 4, "{}", server.connections());
}

#[tokio::test]
async fn an_assertion_is_for_one_request() {
    let signed = good_with("x-trousseau-fresh-ms: 60000\r\nx-trousseau-assertion: a.b.c\r\n");
    let server = StandIn::start(signed.after(Duration::from_millis(50))).await;
    let client = server.client();
    let demand = Demand::new().audience(Audience::from_static("orders"));
    assert!(join_all((0..5).map(|_| allowed(&client, "a", &demand))).await.into_iter().all(|answer| answer));
    assert_eq!(server.asked(), 5);
    assert!(server.last().starts_with("GET /v1/authorize?statuses=all&audience=orders HTTP/1.1\r\n"));
}

#[tokio::test]
async fn nobody_passes_without_the_assertion_that_is_asked_for() {
    let server = StandIn::start(good(None)).await;
    let client = server.client();
    assert!(allowed(&client, "a", &Demand::new()).await);
    let signed = Demand::new().audience(Audience::from_static("orders"));
    for reply in [good(None), good_with("x-trousseau-assertion:\r\n")] {
        server.reply(reply);
        let answer = client.authorize(with_key("a"), &signed).await;
        assert!(matches!(answer, Err(Error::Unintelligible { .. })), "{answer:?}");
    }
}
