//! The request log, usage, sightings, and what is announced of keys.

use trousseau_domain::actor::Actor;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{KeyId, RequestId};
use trousseau_domain::keys::KeyState;
use trousseau_domain::requests::{Door, Network, Outcome, UtcDay};
use trousseau_store::{KeyRow, MOST_SIGHTINGS, RequestFilter, RequestRow, SightingRow, UsageRow, both_engines};

use crate::samples::{add_key, at, business_id, commit, key, live, tenant, two_businesses};

fn request(number: u8) -> RequestRow {
    RequestRow {
        reference: RequestId::from_random([number; 16]),
        at: at(number.into()),
        business: business_id("b1"),
        environment: Some(Environment::Test),
        key_id: Some(KeyId::from_bits(1)),
        key_version: Some(2),
        door: Door::Api,
        method: "GET".to_owned(),
        path: "/v1/keys/{id}".to_owned(),
        status: 200,
        duration_us: 1_234,
        outcome: Outcome::Succeeded,
        code: None,
        address: Some("203.0.113.7".to_owned()),
        client: Some("curl/8.14.1".to_owned()),
        last_three: None,
    }
}

/// A call whose key nobody knows.
fn stranger(number: u8) -> RequestRow {
    RequestRow {
        environment: None,
        key_id: None,
        key_version: None,
        status: 401,
        outcome: Outcome::Refused,
        code: Some("key_unknown".to_owned()),
        client: None,
        last_three: Some("xyz".to_owned()),
        ..request(number)
    }
}

fn usage(tenant: &Tenant, day: i64, key: Option<u128>, outcome: Outcome, requests: u64) -> UsageRow {
    let day = UtcDay::from_number(day).expect("a day");
    UsageRow { tenant: tenant.clone(), day, key_id: key.map(KeyId::from_bits), outcome, requests }
}

fn sighting(key: &KeyRow, version: u32, address: &str, seen: (i64, i64)) -> SightingRow {
    SightingRow {
        tenant: key.tenant.clone(),
        key_id: key.id,
        version,
        address: Some(address.to_owned()),
        client: None,
        origin: None,
        requests: 1,
        first_seen_at: at(seen.0),
        last_seen_at: at(seen.1),
    }
}

both_engines! {
    async fn calls_are_listed_newest_first_by_every_filter(database) {
        let store = database.store();
        two_businesses(store).await;
        let failed = RequestRow {
            method: "POST".to_owned(),
            path: "/v1/keys".to_owned(),
            status: 422,
            outcome: Outcome::Failed,
            code: Some("invalid_value".to_owned()),
            address: Some("2001:db8::7".to_owned()),
            key_id: Some(KeyId::from_bits(2)),
            ..request(2)
        };
        let elsewhere = RequestRow { environment: Some(Environment::Live), door: Door::Verify, ..request(4) };
        let of_another = RequestRow { business: business_id("b2"), ..request(5) };
        let of_nobody = RequestRow { business: business_id("nobody"), ..request(6) };
        let rows = [request(1), failed.clone(), stranger(3), elsewhere.clone(), of_another, of_nobody];
        commit!(store, |tx| {
            assert_eq!(tx.insert_requests(&rows).await.expect("keeps"), 5);
            assert_eq!(tx.insert_requests(&rows).await.expect("knows them"), 0);
        });
        let mut read = store.read();
        let b1 = tenant("b1");
        let all = RequestFilter::default();
        let expected = [stranger(3), failed.clone(), request(1)];
        assert_eq!(read.list_requests(&b1, &all, None, 9).await.expect("lists"), expected);
        let of_live = read.list_requests(&live("b1"), &all, None, 9).await.expect("lists");
        assert_eq!(of_live, [elsewhere, stranger(3)]);
        let first = read.list_requests(&b1, &all, None, 2).await.expect("lists");
        assert_eq!(first, expected[..2]);
        let rest = read.list_requests(&b1, &all, Some(failed.reference), 9).await.expect("lists");
        assert_eq!(rest, expected[2..]);
        let foreign = read.list_requests(&b1, &all, Some(request(5).reference), 9).await.expect("lists");
        assert!(foreign.is_empty(), "a cursor of another business opens nothing");
        let none = || RequestFilter::default();
        for (filter, expected) in [
            (RequestFilter { reference: Some(failed.reference), ..none() }, vec![failed.clone()]),
            (RequestFilter { reference: Some(request(5).reference), ..none() }, vec![]),
            (RequestFilter { key: Some(KeyId::from_bits(1)), ..none() }, vec![request(1)]),
            (RequestFilter { address: Some("2001:db8::7".to_owned()), ..none() }, vec![failed.clone()]),
            (RequestFilter { path: Some("/v1/keys".to_owned()), ..none() }, vec![failed.clone()]),
            (RequestFilter { status: Some(401), ..none() }, vec![stranger(3)]),
            (RequestFilter { outcome: Some(Outcome::Failed), ..none() }, vec![failed.clone()]),
            (RequestFilter { method: Some("POST".to_owned()), ..none() }, vec![failed.clone()]),
            (RequestFilter { from: Some(at(2)), ..none() }, vec![stranger(3), failed.clone()]),
            (RequestFilter { until: Some(at(3)), ..none() }, vec![failed.clone(), request(1)]),
            (RequestFilter { from: Some(at(2)), until: Some(at(3)), ..none() }, vec![failed.clone()]),
            (RequestFilter { status: Some(422), key: Some(KeyId::from_bits(1)), ..none() }, vec![]),
        ] {
            assert_eq!(read.list_requests(&b1, &filter, None, 9).await.expect("lists"), expected, "{filter:?}");
        }
        let early = RequestFilter { until: Some(at(2)), ..none() };
        let after_the_end = read.list_requests(&b1, &early, Some(stranger(3).reference), 9).await.expect("lists");
        assert_eq!(after_the_end, [request(1)]);
        assert_eq!(read.find_request(&b1, stranger(3).reference).await.expect("reads"), Some(stranger(3)));
        assert_eq!(read.find_request(&tenant("b2"), stranger(3).reference).await.expect("reads"), None);
        assert_eq!(read.find_request(&live("b1"), failed.reference).await.expect("reads"), None);
    }

    async fn calls_of_one_instant_are_paged_without_a_gap(database) {
        let store = database.store();
        two_businesses(store).await;
        let rows: Vec<_> = (1..=7)
            .map(|number| RequestRow {
                at: at(0),
                environment: (number % 2 == 0).then_some(Environment::Test),
                ..request(number)
            })
            .collect();
        commit!(store, |tx| tx.insert_requests(&rows).await.expect("keeps"));
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = store.read().list_requests(&tenant("b1"), &RequestFilter::default(), after, 2).await;
            let page = page.expect("lists");
            let Some(last) = page.last() else { break };
            after = Some(last.reference);
            seen.extend(page.iter().map(|row| row.reference));
        }
        let expected: Vec<_> = rows.iter().rev().map(|row| row.reference).collect();
        assert_eq!(seen, expected);
    }

    async fn old_calls_are_forgotten_in_steps(database) {
        let store = database.store();
        two_businesses(store).await;
        let rows: Vec<_> = (1..=5).map(request).collect();
        commit!(store, |tx| tx.insert_requests(&rows).await.expect("keeps"));
        commit!(store, |tx| {
            assert_eq!(tx.prune_requests(at(4), 2).await.expect("prunes"), 2);
            assert_eq!(tx.prune_requests(at(4), 2).await.expect("prunes"), 1);
        });
        let left = store.read().list_requests(&tenant("b1"), &RequestFilter::default(), None, 9).await;
        assert_eq!(left.expect("lists"), [request(5), request(4)]);
    }

    async fn usage_adds_up(database) {
        let store = database.store();
        two_businesses(store).await;
        let (b1, b2) = (tenant("b1"), tenant("b2"));
        let nobody = Tenant::new(business_id("nobody"), Environment::Test);
        let good = Outcome::Succeeded;
        for _ in 0..2 {
            commit!(store, |tx| {
                tx.add_usage(&[
                    usage(&b1, 20_001, Some(1), good, 3),
                    usage(&b1, 20_000, Some(1), good, 2),
                    usage(&b1, 20_001, Some(1), Outcome::Refused, 1),
                    usage(&b1, 20_001, None, Outcome::Refused, 1),
                    usage(&b2, 20_001, Some(2), good, 9),
                    usage(&live("b1"), 20_001, Some(3), good, 9),
                    usage(&nobody, 20_001, None, good, 9),
                ])
                .await
                .expect("adds");
            });
        }
        let from = |day| UtcDay::from_number(day).expect("a day");
        assert_eq!(store.read().list_usage(&b1, from(20_000)).await.expect("lists"), [
            usage(&b1, 20_000, Some(1), good, 4),
            usage(&b1, 20_001, None, Outcome::Refused, 2),
            usage(&b1, 20_001, Some(1), Outcome::Refused, 2),
            usage(&b1, 20_001, Some(1), good, 6),
        ]);
        assert_eq!(store.read().list_usage(&b1, from(20_002)).await.expect("lists"), []);
        let of_key = store.read().list_usage_of_key(&b1, KeyId::from_bits(1), from(20_001)).await.expect("lists");
        assert_eq!(of_key, [usage(&b1, 20_001, Some(1), Outcome::Refused, 2), usage(&b1, 20_001, Some(1), good, 6)]);
        assert_eq!(store.read().list_usage_of_key(&b2, KeyId::from_bits(1), from(0)).await.expect("lists"), []);
        commit!(store, |tx| {
            assert_eq!(tx.prune_usage(from(20_001), 9).await.expect("prunes"), 1);
            assert_eq!(tx.prune_usage(from(20_002), 2).await.expect("prunes"), 2);
        });
    }

    async fn the_last_use_of_any_key_is_known(database) {
        let store = database.store();
        two_businesses(store).await;
        let b1 = tenant("b1");
        let (one, other, foreign) = (key(&b1, 1), key(&b1, 2), key(&tenant("b2"), 1));
        commit!(store, |tx| {
            add_key(tx, &one, 1).await;
            add_key(tx, &other, 2).await;
            add_key(tx, &foreign, 3).await;
        });
        assert_eq!(store.read().last_use(&b1).await.expect("reads"), None);
        commit!(store, |tx| {
            tx.touch_keys(&[(one.id, at(7)), (other.id, at(5)), (foreign.id, at(9))]).await.expect("notes");
        });
        assert_eq!(store.read().last_use(&b1).await.expect("reads"), Some(at(7)));
    }

    async fn sightings_add_up_and_are_bounded(database) {
        let store = database.store();
        two_businesses(store).await;
        let b1 = tenant("b1");
        let key = key(&b1, 1);
        commit!(store, |tx| add_key(tx, &key, 1).await);
        commit!(store, |tx| {
            let first = [sighting(&key, 1, "203.0.113.7", (5, 6)), sighting(&key, 2, "203.0.113.7", (7, 7))];
            tx.add_sightings(&first).await.expect("adds");
            let more = SightingRow { requests: 4, ..sighting(&key, 1, "203.0.113.7", (3, 4)) };
            tx.add_sightings(&[more]).await.expect("adds");
        });
        let merged = SightingRow { requests: 5, ..sighting(&key, 1, "203.0.113.7", (3, 6)) };
        let listed = store.read().list_sightings(&b1, key.id).await.expect("lists");
        assert_eq!(listed, [sighting(&key, 2, "203.0.113.7", (7, 7)), merged]);
        assert_eq!(store.read().list_sightings(&tenant("b2"), key.id).await.expect("lists"), []);
        let many: Vec<_> = (0..150).map(|n| sighting(&key, 1, &format!("198.51.100.{n}"), (100 + n, 100 + n))).collect();
        commit!(store, |tx| tx.add_sightings(&many).await.expect("adds"));
        let listed = store.read().list_sightings(&b1, key.id).await.expect("lists");
        assert_eq!(listed.len(), MOST_SIGHTINGS as usize);
        assert_eq!(listed[0].last_seen_at, at(249));
        assert_eq!(listed[99].last_seen_at, at(150));
    }

    async fn a_network_is_new_once_and_the_first_one_never(database) {
        let store = database.store();
        two_businesses(store).await;
        let key = key(&live("b1"), 1);
        let network = |text: &str| Network::of(text.parse().expect("an address"));
        commit!(store, |tx| {
            add_key(tx, &key, 1).await;
            for (address, new) in [
                ("203.0.113.7", false),
                ("203.0.113.99", false),
                ("198.51.100.1", true),
                ("198.51.100.2", false),
                ("2001:db8:1::1", true),
            ] {
                let noted = tx.note_network(key.id, network(address), at(1)).await.expect("notes");
                assert_eq!(noted, new, "{address}");
            }
            for number in 0..300_u32 {
                let address = std::net::Ipv4Addr::from(0x0a00_0000 + (number << 8));
                tx.note_network(key.id, Network::of(address.into()), at(1)).await.expect("notes");
            }
            let beyond = tx.note_network(key.id, network("192.0.2.1"), at(1)).await.expect("notes");
            assert!(!beyond, "the number of networks is bounded");
        });
    }

    async fn ending_keys_are_found_and_announced_once(database) {
        let store = database.store();
        two_businesses(store).await;
        let b1 = tenant("b1");
        let ending = |number, end| KeyRow { valid_until: Some(at(end)), ..key(&b1, number) };
        let soon = ending(1, 500);
        let same = ending(2, 500);
        let far = ending(3, 5_000);
        let off = KeyRow { state: KeyState::Inactive, ..ending(4, 500) };
        let gone = KeyRow { revoked_at: Some(at(1)), revoked_by: Some(Actor::System), ..ending(5, 500) };
        let over = ending(6, 100);
        commit!(store, |tx| {
            for (byte, row) in (1..).zip([&soon, &same, &far, &off, &gone, &over, &key(&b1, 7)]) {
                add_key(tx, row, byte).await;
            }
        });
        let mut read = store.read();
        let ids = |rows: Vec<KeyRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
        let found = read.list_ending_keys(at(100), at(500), None, 9).await.expect("lists");
        assert_eq!(ids(found), [soon.id, same.id]);
        let rest = read.list_ending_keys(at(100), at(5_000), Some((at(500), soon.id)), 9).await.expect("lists");
        assert_eq!(ids(rest), [same.id, far.id]);
        commit!(store, |tx| {
            assert!(tx.claim_end_notice(soon.id, at(500), 7, at(100)).await.expect("claims"));
            assert!(!tx.claim_end_notice(soon.id, at(500), 7, at(101)).await.expect("is claimed"));
            assert!(tx.claim_end_notice(soon.id, at(500), 1, at(101)).await.expect("another time"));
            assert!(tx.claim_end_notice(soon.id, at(600), 7, at(101)).await.expect("another end"));
        });
    }

    async fn what_a_key_made_is_found(database) {
        let store = database.store();
        two_businesses(store).await;
        let b1 = tenant("b1");
        let maker = key(&b1, 1);
        let by = Actor::Key { id: maker.id, version: 1 };
        let made = KeyRow { created_by: by.clone(), ..key(&b1, 2) };
        let revoked = KeyRow {
            created_by: by.clone(), revoked_at: Some(at(1)), revoked_by: Some(by), last_three: "abc".to_owned(),
            ..key(&b1, 3)
        };
        commit!(store, |tx| {
            for (byte, row) in (1..).zip([&maker, &made, &revoked]) {
                add_key(tx, row, byte).await;
            }
        });
        let mut read = store.read();
        assert_eq!(read.list_keys_made_by(&b1, maker.id).await.expect("lists"), [made.clone(), revoked.clone()]);
        assert_eq!(read.list_keys_made_by(&b1, made.id).await.expect("lists"), []);
        assert_eq!(read.list_keys_made_by(&live("b1"), maker.id).await.expect("lists"), []);
        assert_eq!(read.list_keys_ending_in(&b1, "abc", 9).await.expect("lists"), [revoked]);
        assert_eq!(read.list_keys_ending_in(&b1, "Xyz", 1).await.expect("lists"), [made]);
    }
}
