use serde_json::json;
use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::{EventId, KeyId, RequestId};
use trousseau_store::{EventFilter, EventRow, both_engines};

use crate::samples::{at, business_id, commit, live, tenant, two_businesses};

fn event(bits: u8, environment: Option<Environment>, kind: &str, key: Option<u8>) -> EventRow {
    EventRow {
        id: EventId::from_bits(bits.into()),
        at: at(bits.into()),
        business: business_id("b1"),
        environment,
        kind: kind.to_owned(),
        key_id: key.map(|bits| KeyId::from_bits(bits.into())),
        subject: key.map(|bits| format!("pay_{bits}")),
        actor: Actor::System,
        data: json!({"name": "é"}),
        request_id: Some(RequestId::from_random([bits; 16])),
    }
}

fn ids(rows: &[EventRow]) -> Vec<u128> {
    rows.iter().map(|row| row.id.bits()).collect()
}

both_engines! {
    async fn a_tenant_sees_its_events_and_those_of_the_business(database) {
        let store = database.store();
        two_businesses(store).await;
        let test = Some(Environment::Test);
        let events = [
            event(1, test, "key.created", Some(1)),
            event(2, Some(Environment::Live), "key.created", Some(2)),
            event(3, None, "business.suspended", None),
            event(4, test, "key.revoked", Some(1)),
            event(5, test, "key.created", Some(3)),
        ];
        commit!(store, |tx| for row in &events { tx.append_event(row).await.expect("appends") });
        let mine = tenant("b1");
        let all = EventFilter::default();
        let mut read = store.read();
        assert_eq!(ids(&read.list_events(&mine, &all, None, 9).await.expect("lists")), [5, 4, 3, 1]);
        assert_eq!(ids(&read.list_events(&mine, &all, Some(events[3].id), 1).await.expect("lists")), [3]);
        assert_eq!(ids(&read.list_events(&live("b1"), &all, None, 9).await.expect("lists")), [3, 2]);
        assert!(read.list_events(&tenant("b2"), &all, None, 9).await.expect("lists").is_empty());
        assert!(read.list_events(&mine, &all, Some(events[1].id), 9).await.expect("lists").is_empty());
        let of_key = EventFilter { key_id: events[0].key_id, ..EventFilter::default() };
        assert_eq!(ids(&read.list_events(&mine, &of_key, None, 9).await.expect("lists")), [4, 1]);
        let created = EventFilter { kind: Some(trousseau_domain::events::EventType::KeyCreated), ..EventFilter::default() };
        assert_eq!(ids(&read.list_events(&mine, &created, None, 9).await.expect("lists")), [5, 1]);
        let between = EventFilter { from: Some(at(3)), until: Some(at(5)), ..EventFilter::default() };
        assert_eq!(ids(&read.list_events(&mine, &between, None, 9).await.expect("lists")), [4, 3]);
        assert_eq!(read.find_event(&mine, events[0].id).await.expect("reads").as_ref(), Some(&events[0]));
        assert_eq!(read.find_event(&mine, events[2].id).await.expect("reads").as_ref(), Some(&events[2]));
        assert_eq!(read.find_event(&mine, events[1].id).await.expect("reads"), None);
        assert_eq!(read.find_event(&tenant("b2"), events[0].id).await.expect("reads"), None);
    }

    async fn the_outbox_leases_finishes_and_retries(database) {
        let store = database.store();
        two_businesses(store).await;
        commit!(store, |tx| for bits in 1..=3 {
            tx.append_event(&event(bits, Some(Environment::Test), "key.created", None)).await.expect("appends");
        });
        assert_eq!(store.read().count_outbox().await.expect("counts"), 3);
        let first = commit!(store, |tx| tx.claim_outbox(at(100), at(200), 2).await.expect("claims"));
        assert_eq!(first.iter().map(|row| (row.event.id.bits(), row.attempt)).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
        let second = commit!(store, |tx| tx.claim_outbox(at(150), at(250), 9).await.expect("claims"));
        assert_eq!(second.iter().map(|row| row.event.id.bits()).collect::<Vec<_>>(), [3]);
        commit!(store, |tx| {
            let done = [(first[0].event.id, 1), (first[0].event.id, 1)];
            assert_eq!(tx.finish_outbox(done).await.expect("finishes"), 1);
            assert!(tx.fail_outbox(second[0].event.id, 1, at(300)).await.expect("fails"));
        });
        // The lease of the second event ran out, the third one waits for its retry.
        let third = commit!(store, |tx| tx.claim_outbox(at(200), at(260), 9).await.expect("claims"));
        assert_eq!(third.iter().map(|row| (row.event.id.bits(), row.attempt)).collect::<Vec<_>>(), [(2, 2)]);
        commit!(store, |tx| {
            assert_eq!(tx.finish_outbox([(third[0].event.id, 1)]).await.expect("an old lease finishes nothing"), 0);
            assert!(!tx.fail_outbox(third[0].event.id, 1, at(900)).await.expect("nor does it fail"));
        });
        let late = commit!(store, |tx| tx.claim_outbox(at(300), at(400), 9).await.expect("claims"));
        assert_eq!(late.iter().map(|row| (row.event.id.bits(), row.attempt)).collect::<Vec<_>>(), [(2, 3), (3, 2)]);
    }

    async fn two_workers_never_lease_the_same_event(database) {
        let store = database.store().clone();
        two_businesses(&store).await;
        commit!(store, |tx| for bits in 1..=40 {
            tx.append_event(&event(bits, Some(Environment::Test), "key.created", None)).await.expect("appends");
        });
        let workers: Vec<_> = (0..4).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let leased = commit!(store, |tx| tx.claim_outbox(at(100), at(200), 3).await.expect("claims"));
                    if leased.is_empty() {
                        return mine;
                    }
                    mine.extend(leased.iter().map(|row| row.event.id.bits()));
                }
            })
        }).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await.expect("no panic"));
        }
        all.sort_unstable();
        assert_eq!(all, (1..=40).collect::<Vec<_>>());
    }
}
