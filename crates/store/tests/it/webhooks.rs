use std::time::Duration;

use serde_json::json;
use trousseau_domain::actor::Actor;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{DeliveryId, EventId, KeyId, WebhookEndpointId};
use trousseau_domain::webhooks::{DeliveryState, Dialect, DisabledReason, Subscription};
use trousseau_store::{
    AttemptRow, DeliveryFilter, DeliveryRow, EventRow, Finished, Sealed, SealedPlace, Store, WebhookEndpointRow,
    WebhookSecretRow, both_engines,
};

use crate::samples::{at, business_id, commit, live, tenant, two_businesses};

fn endpoint(bits: u8, tenant: &Tenant) -> WebhookEndpointRow {
    WebhookEndpointRow {
        id: WebhookEndpointId::from_bits(bits.into()),
        tenant: tenant.clone(),
        url: "https://shop.example/webhooks".parse().expect("a URL"),
        description: Some("Orders".parse().expect("a text")),
        subscription: Subscription::parse(Dialect::Standard, &["key.created"]).expect("a known type"),
        disabled: None,
        secret_version: 1,
        created_at: at(bits.into()),
        created_by: Actor::Key { id: KeyId::from_bits(7), version: 2 },
        updated_at: at(bits.into()),
        last_success_at: None,
        paused_until: None,
    }
}

fn secret(endpoint: &WebhookEndpointRow, version: u32) -> WebhookSecretRow {
    WebhookSecretRow {
        endpoint: endpoint.id,
        version,
        sealed: Sealed { bytes: vec![1, u8::try_from(version).expect("small")], kek_version: 1 },
        public_key: format!("whpk_{version}"),
        created_at: at(0),
        ends_at: None,
    }
}

fn event(bits: u8) -> EventRow {
    EventRow {
        id: EventId::from_bits(bits.into()),
        at: at(bits.into()),
        business: business_id("b1"),
        environment: Some(Environment::Test),
        kind: "key.created".to_owned(),
        key_id: None,
        subject: None,
        actor: Actor::System,
        data: json!({"n": bits}),
        request_id: None,
    }
}

fn delivery(bits: u8, endpoint: &WebhookEndpointRow, event: &EventRow) -> DeliveryRow {
    DeliveryRow {
        id: DeliveryId::from_bits(bits.into()),
        tenant: endpoint.tenant.clone(),
        endpoint: endpoint.id,
        event: event.id,
        event_type: event.kind.clone(),
        state: DeliveryState::Pending,
        attempt: 0,
        attempts: 0,
        next_at: at(bits.into()),
        locked_until: None,
        last_status: None,
        last_error: None,
        created_at: at(bits.into()),
        finished_at: None,
    }
}

/// Endpoints 1 and 2 of `b1` in TEST, and `count` deliveries for each: 11, 12 ... and 21, 22 ...
async fn two_queues(store: &Store, count: u8) -> [WebhookEndpointRow; 2] {
    two_businesses(store).await;
    let endpoints = [endpoint(1, &tenant("b1")), endpoint(2, &tenant("b1"))];
    commit!(store, |tx| {
        for row in &endpoints {
            tx.insert_webhook_endpoint(row).await.expect("inserts");
        }
        for number in 1..=count {
            let event = event(number);
            tx.append_event(&event).await.expect("appends");
            for (row, place) in endpoints.iter().zip([10, 20]) {
                let queued = delivery(place + number, row, &event);
                assert!(tx.insert_delivery(&queued).await.expect("inserts"));
                let again = DeliveryRow { id: DeliveryId::from_bits(99), ..queued };
                assert!(!tx.insert_delivery(&again).await.expect("is known"));
            }
        }
    });
    endpoints
}

fn done(state: DeliveryState, next_at: i64, status: Option<u16>) -> Finished {
    Finished { state, next_at: at(next_at), status, error: None, at: at(100) }
}

both_engines! {
    async fn endpoints_belong_to_their_tenant(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        let rows = [endpoint(1, &mine), endpoint(2, &mine), endpoint(3, &live("b1")), endpoint(4, &tenant("b2"))];
        commit!(store, |tx| for row in &rows { tx.insert_webhook_endpoint(row).await.expect("inserts") });
        let mut read = store.read();
        assert_eq!(read.list_webhook_endpoints(&mine, None, 9).await.expect("lists"), [rows[1].clone(), rows[0].clone()]);
        assert_eq!(read.list_webhook_endpoints(&mine, Some(rows[1].id), 9).await.expect("lists"), rows[..1]);
        assert_eq!(read.count_webhook_endpoints(&mine).await.expect("counts"), 2);
        assert_eq!(read.find_webhook_endpoint(&mine, rows[0].id).await.expect("reads").as_ref(), Some(&rows[0]));
        for stranger in [live("b1"), tenant("b2")] {
            assert_eq!(read.find_webhook_endpoint(&stranger, rows[0].id).await.expect("reads"), None);
        }
        let both = read.list_listening_endpoints(&mine.business, None).await.expect("lists");
        assert_eq!(both, rows[..3]);
        let test = read.list_listening_endpoints(&mine.business, Some(Environment::Test)).await.expect("lists");
        assert_eq!(test, rows[..2]);
        assert_eq!(
            database.texts("SELECT created_by_key FROM webhook_endpoints WHERE created_by_key IS NOT NULL").await.len(),
            4
        );
    }

    async fn an_endpoint_changes_from_the_state_that_was_read(database) {
        let store = database.store();
        two_businesses(store).await;
        let (mine, row) = (tenant("b1"), endpoint(1, &tenant("b1")));
        commit!(store, |tx| tx.insert_webhook_endpoint(&row).await.expect("inserts"));
        let changed = WebhookEndpointRow {
            url: "https://other.example/".parse().expect("a URL"),
            description: None,
            subscription: Subscription::parse::<&str>(Dialect::Standard, &[]).expect("all"),
            disabled: Some((at(50), DisabledReason::Manual)),
            secret_version: 2,
            updated_at: at(50),
            ..row.clone()
        };
        commit!(store, |tx| {
            tx.pause_webhook_endpoint(row.id, at(900)).await.expect("pauses");
            assert!(tx.update_webhook_endpoint(&changed, row.updated_at).await.expect("changes"));
            assert!(!tx.update_webhook_endpoint(&row, row.updated_at).await.expect("is another by now"));
            let stranger = WebhookEndpointRow { tenant: tenant("b2"), ..row.clone() };
            assert!(!tx.update_webhook_endpoint(&stranger, at(50)).await.expect("is not theirs"));
            assert!(!tx.disable_webhook_endpoint(&mine, row.id, DisabledReason::Gone, at(60)).await.expect("is disabled"));
        });
        let found = store.read().find_webhook_endpoint(&mine, row.id).await.expect("reads");
        assert_eq!(found.as_ref(), Some(&changed));
        assert!(store.read().list_listening_endpoints(&mine.business, None).await.expect("lists").is_empty());
        commit!(store, |tx| {
            let enabled = WebhookEndpointRow { disabled: None, updated_at: at(70), ..changed.clone() };
            assert!(tx.update_webhook_endpoint(&enabled, at(50)).await.expect("changes"));
            assert!(tx.disable_webhook_endpoint(&mine, row.id, DisabledReason::Failing, at(80)).await.expect("disables"));
        });
        let found = store.read().find_webhook_endpoint(&mine, row.id).await.expect("reads").expect("is there");
        assert_eq!(found.disabled, Some((at(80), DisabledReason::Failing)));
        commit!(store, |tx| {
            tx.insert_webhook_secret(&secret(&row, 1)).await.expect("inserts");
            assert!(!tx.delete_webhook_endpoint(&tenant("b2"), row.id, at(90)).await.expect("is not theirs"));
            assert!(tx.delete_webhook_endpoint(&mine, row.id, at(90)).await.expect("deletes"));
            assert!(!tx.delete_webhook_endpoint(&mine, row.id, at(90)).await.expect("is gone"));
        });
        assert_eq!(store.read().find_webhook_endpoint(&mine, row.id).await.expect("reads"), None);
        assert!(database.texts("SELECT public_key FROM webhook_secrets").await.is_empty());
    }

    async fn secrets_overlap_until_their_end(database) {
        let store = database.store();
        two_businesses(store).await;
        let row = endpoint(1, &tenant("b1"));
        commit!(store, |tx| {
            tx.insert_webhook_endpoint(&row).await.expect("inserts");
            for version in 1..=2 {
                tx.insert_webhook_secret(&secret(&row, version)).await.expect("inserts");
                tx.end_webhook_secrets(row.id, version, at(100), at(10)).await.expect("ends");
            }
        });
        let versions = async |now| -> Vec<u32> {
            let secrets = store.read().list_webhook_secrets(row.id, at(now)).await.expect("lists");
            secrets.iter().map(|secret| secret.version).collect()
        };
        assert_eq!(versions(99).await, [2, 1]);
        assert_eq!(versions(100).await, [2]);
        commit!(store, |tx| {
            tx.insert_webhook_secret(&secret(&row, 3)).await.expect("inserts");
            tx.end_webhook_secrets(row.id, 3, at(200), at(50)).await.expect("ends");
        });
        assert_eq!(versions(50).await, [3, 2]);
        commit!(store, |tx| tx.end_webhook_secrets(row.id, 3, at(60), at(60)).await.expect("ends"));
        assert_eq!(database.texts("SELECT public_key FROM webhook_secrets").await, ["whpk_3"]);
        let cells = store.read().list_cells_on_other_kek(SealedPlace::WebhookSecret, 2, 9).await.expect("lists");
        let ids: Vec<String> = cells.into_iter().map(|cell| cell.row).collect();
        assert_eq!(ids, [WebhookSecretRow::id_of(row.id, 3)]);
    }

    async fn queues_take_turns_and_keep_their_bound(database) {
        let store = database.store();
        let [one, other] = two_queues(store, 5).await;
        let claim = async |now, limit| -> Vec<u128> {
            let claimed = commit!(store, |tx| tx.claim_deliveries(at(now), at(now + 1000), 3, limit).await.expect("claims"));
            claimed.iter().map(|claimed| claimed.delivery.id.bits()).collect()
        };
        // The first endpoint takes all that this turn has, the second one comes first in the next turn.
        assert_eq!(claim(50, 2).await, [11, 12]);
        assert_eq!(claim(51, 2).await, [21, 22]);
        // Two of three are under way in each queue.
        assert_eq!(claim(52, 9).await, [13, 23]);
        assert!(claim(53, 9).await.is_empty());
        // Leases that ran out are taken over.
        assert_eq!(claim(1050, 9).await, [11, 12]);
        commit!(store, |tx| {
            tx.pause_webhook_endpoint(one.id, at(9000)).await.expect("pauses");
            assert!(tx.disable_webhook_endpoint(&other.tenant, other.id, DisabledReason::Gone, at(60)).await.expect("ok"));
        });
        assert!(claim(5000, 9).await.is_empty());
        assert_eq!(claim(9000, 9).await, [11, 12, 13]);
        assert_eq!(store.read().count_pending_deliveries().await.expect("counts"), 10);
    }

    async fn a_pause_outlasts_what_was_under_way(database) {
        let store = database.store();
        let [row, _] = two_queues(store, 1).await;
        let paused = async || {
            let found = store.read().find_webhook_endpoint(&row.tenant, row.id).await.expect("reads").expect("is there");
            (found.last_success_at, found.paused_until)
        };
        commit!(store, |tx| {
            tx.pause_webhook_endpoint(row.id, at(900)).await.expect("pauses");
            // Two that had left before: one is taken, one is to wait for less.
            tx.note_webhook_success(row.id, at(100)).await.expect("notes");
            tx.pause_webhook_endpoint(row.id, at(500)).await.expect("pauses");
        });
        assert_eq!(paused().await, (Some(at(100)), Some(at(900))));
        commit!(store, |tx| tx.pause_webhook_endpoint(row.id, at(901)).await.expect("pauses"));
        assert_eq!(paused().await, (Some(at(100)), Some(at(901))));
    }

    async fn only_the_latest_lease_finishes(database) {
        let store = database.store();
        let [row, _] = two_queues(store, 1).await;
        let mine = row.tenant.clone();
        let claim = async |now| commit!(store, |tx| tx.claim_deliveries(at(now), at(now + 100), 1, 1).await.expect("claims"));
        let first = claim(50).await.remove(0);
        assert_eq!((first.endpoint.id, first.event.data.clone()), (row.id, json!({"n": 1})));
        let id = first.delivery.id;
        commit!(store, |tx| {
            assert!(!tx.restart_delivery(&mine, row.id, id, at(60)).await.expect("is under way"));
        });
        let _other_queue = claim(151).await;
        let second = claim(152).await.remove(0);
        assert_eq!(second.delivery.id, id);
        let again = done(DeliveryState::Pending, 500, Some(500));
        commit!(store, |tx| {
            assert!(!tx.finish_delivery(&first, &again).await.expect("was taken over"));
            assert!(!tx.release_delivery(&first, at(0)).await.expect("was taken over"));
            assert!(tx.finish_delivery(&second, &again).await.expect("finishes"));
        });
        let found = store.read().find_delivery(&mine, row.id, id).await.expect("reads").expect("is there");
        assert_eq!((found.state, found.attempt, found.attempts), (DeliveryState::Pending, 1, 1));
        assert_eq!((found.last_status, found.next_at, found.finished_at), (Some(500), at(500), None));
        let _other_queue = claim(500).await;
        let third = claim(501).await.remove(0);
        commit!(store, |tx| {
            let taken = done(DeliveryState::Delivered, 500, Some(204));
            assert!(tx.finish_delivery(&third, &taken).await.expect("finishes"));
            tx.note_webhook_success(row.id, at(100)).await.expect("notes");
        });
        let found = store.read().find_delivery(&mine, row.id, id).await.expect("reads").expect("is there");
        assert_eq!((found.state, found.attempts, found.finished_at), (DeliveryState::Delivered, 2, Some(at(100))));
        commit!(store, |tx| {
            assert!(!tx.restart_delivery(&tenant("b2"), row.id, id, at(600)).await.expect("is not theirs"));
            assert!(tx.restart_delivery(&mine, row.id, id, at(600)).await.expect("begins anew"));
        });
        let found = store.read().find_delivery(&mine, row.id, id).await.expect("reads").expect("is there");
        assert_eq!((found.state, found.attempt, found.attempts), (DeliveryState::Pending, 0, 2));
    }

    async fn attempts_are_kept_for_their_time(database) {
        let store = database.store();
        let [row, _] = two_queues(store, 2).await;
        let mine = row.tenant.clone();
        let attempt = AttemptRow {
            delivery: DeliveryId::from_bits(11),
            number: 1,
            at: at(60),
            url: "https://shop.example/webhooks".to_owned(),
            request_headers: vec![("webhook-id".to_owned(), "evt_1".to_owned())],
            request_body: "{\"é\":1}".to_owned(),
            status: Some(500),
            answer_headers: Some(vec![("server".to_owned(), "x".to_owned())]),
            answer_body: Some("oops".to_owned()),
            answer_cut: true,
            duration: Duration::from_micros(1_234),
            error: None,
        };
        let silent = AttemptRow {
            number: 2,
            status: None,
            answer_headers: None,
            answer_body: None,
            answer_cut: false,
            error: Some("no answer in time".to_owned()),
            ..attempt.clone()
        };
        commit!(store, |tx| for row in [&attempt, &silent] { tx.insert_attempt(row).await.expect("inserts") });
        let found = store.read().list_attempts(&mine, attempt.delivery).await.expect("lists");
        assert_eq!(found, [silent, attempt.clone()]);
        assert!(store.read().list_attempts(&live("b1"), attempt.delivery).await.expect("lists").is_empty());
        let list = async |filter, after| -> Vec<u128> {
            let rows = store.read().list_deliveries(&mine, row.id, filter, after, 9).await.expect("lists");
            rows.iter().map(|row| row.id.bits()).collect()
        };
        assert_eq!(list(DeliveryFilter::default(), None).await, [12, 11]);
        assert_eq!(list(DeliveryFilter::default(), Some(DeliveryId::from_bits(12))).await, [11]);
        let of_event = DeliveryFilter { event: Some(EventId::from_bits(2)), ..DeliveryFilter::default() };
        assert_eq!(list(of_event, None).await, [12]);
        let failed = DeliveryFilter { state: Some(DeliveryState::Failed), ..DeliveryFilter::default() };
        assert!(list(failed, None).await.is_empty());
        let prune = async |ended, due| commit!(store, |tx| tx.prune_deliveries(at(ended), at(due), 9).await.expect("prunes"));
        assert_eq!(prune(99, 1).await, 0, "all of them wait");
        assert_eq!(prune(12, 12).await, 1);
        assert_eq!(list(DeliveryFilter::default(), None).await, [12]);
        assert!(database.texts("SELECT url FROM webhook_attempts").await.is_empty());
    }
}
