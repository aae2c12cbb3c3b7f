use trousseau_domain::actor::Actor;
use trousseau_domain::keys::KeyKind;
use trousseau_store::{KeyRow, Sealed, StoreError, UniqueRule, VersionCount, VersionOrigin, VersionRow, both_engines};

use crate::samples::{add_key, at, commit, digest, key, live, tenant, two_businesses, version};

both_engines! {
    async fn a_digest_finds_version_key_and_business(database) {
        let store = database.store();
        two_businesses(store).await;
        let row = key(&tenant("b1"), 1);
        commit!(store, |tx| {
            add_key(tx, &row, 1).await;
            tx.insert_version(&VersionRow {
                origin: VersionOrigin::Imported, ends_at: Some(at(8)), ended_by: Some(Actor::System), sealed: None,
                ..version(&row, 2, 2)
            }).await.expect("inserts");
        });
        let found = store.read().find_by_digests(&[digest(9), digest(1)]).await.expect("looks up");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].key, row);
        assert_eq!(found[0].version.version, 1);
        assert!(found[0].version.digest.matches(&digest(1)));
        assert_eq!(found[0].business.id, row.tenant.business);
        // More than one statement's worth.
        let many: Vec<_> = (20..30).chain([2]).map(digest).collect();
        let found = store.read().find_by_digests(&many).await.expect("looks up");
        assert_eq!((found.len(), found[0].version.origin), (1, VersionOrigin::Imported));
        assert_eq!((found[0].version.ends_at, &found[0].version.ended_by), (Some(at(8)), &Some(Actor::System)));
        assert!(store.read().find_by_digests(&[digest(9)]).await.expect("looks up").is_empty());
        assert!(store.read().find_by_digests(&[]).await.expect("looks up").is_empty());
    }

    async fn a_key_is_made_and_found_with_its_version(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        let (row, first) = (key(&mine, 1), version(&key(&mine, 1), 1, 1));
        commit!(store, |tx| tx.insert_key_and_version(&row, &first).await.expect("inserts"));
        let mut reader = store.read();
        let (found, of) = reader.find_key_and_version(&mine, row.id, 1).await.expect("reads").expect("there");
        assert_eq!((found, of.version), (row.clone(), 1));
        assert!(of.digest.matches(&digest(1)));
        for (tenant, number) in [(tenant("b2"), 1), (live("b1"), 1), (mine, 2)] {
            assert!(reader.find_key_and_version(&tenant, row.id, number).await.expect("reads").is_none());
        }
        // Whichever of the two is refused.
        let taken = [
            (KeyRow { external_reference: None, number: 2, ..row.clone() }, UniqueRule::Key),
            (KeyRow { external_reference: None, ..key(&tenant("b1"), 2) }, UniqueRule::Digest),
        ];
        for (row, rule) in taken {
            let mut tx = store.begin().await.expect("begins");
            match tx.insert_key_and_version(&row, &version(&row, 1, 1)).await {
                Err(StoreError::Unique { constraint, .. }) => assert_eq!(constraint, rule),
                other => panic!("{rule:?}: {other:?}"),
            }
        }
    }

    async fn a_value_is_known_once(database) {
        let store = database.store();
        two_businesses(store).await;
        let (one, two) = (key(&tenant("b1"), 1), key(&tenant("b2"), 1));
        commit!(store, |tx| {
            add_key(tx, &one, 1).await;
            tx.insert_key(&two).await.expect("inserts");
        });
        for (row, rule) in [(version(&two, 1, 1), UniqueRule::Digest), (version(&one, 1, 7), UniqueRule::KeyVersion)] {
            let mut tx = store.begin().await.expect("begins");
            match tx.insert_version(&row).await {
                Err(StoreError::Unique { constraint, .. }) => assert_eq!(constraint, rule),
                other => panic!("{rule:?}: {other:?}"),
            }
        }
    }

    async fn the_database_refuses_a_readable_live_secret(database) {
        let store = database.store();
        two_businesses(store).await;
        let tenant = live("b1");
        let (secret, checkout) = (key(&tenant, 1), KeyRow { kind: KeyKind::Checkout, ..key(&tenant, 2) });
        commit!(store, |tx| {
            tx.insert_key(&secret).await.expect("inserts");
            tx.insert_key(&checkout).await.expect("inserts");
        });
        let sealed = Some(Sealed { bytes: vec![1], kek_version: 1 });
        let mut tx = store.begin().await.expect("begins");
        tx.insert_version(&VersionRow { sealed: sealed.clone(), ..version(&secret, 1, 1) }).await
            .expect_err("the check refuses");
        drop(tx);
        commit!(store, |tx| {
            tx.insert_version(&VersionRow { sealed: sealed.clone(), ..version(&checkout, 1, 2) }).await
                .expect("a checkout key is public");
            tx.insert_version(&VersionRow { sealed, live_readable: true, ..version(&secret, 1, 1) }).await
                .expect("the profile lets it be read");
        });
    }

    async fn versions_end_once_and_only_earlier(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        let row = key(&mine, 1);
        commit!(store, |tx| {
            add_key(tx, &row, 1).await;
            tx.insert_version(&version(&row, 2, 2)).await.expect("inserts");
            tx.insert_version(&version(&row, 3, 3)).await.expect("inserts");
            assert!(tx.end_version(&mine, row.id, 1, at(50), &Actor::System).await.expect("ends"));
            assert!(!tx.end_version(&mine, row.id, 1, at(60), &Actor::System).await.expect("never later"));
            assert!(!tx.end_version(&live("b1"), row.id, 2, at(40), &Actor::System).await.expect("not theirs"));
            assert_eq!(tx.end_versions(&mine, row.id, Some(3), at(40), &Actor::System).await.expect("ends"), 2);
            assert_eq!(tx.end_versions(&tenant("b2"), row.id, None, at(1), &Actor::System).await.expect("ends"), 0);
        });
        let ends = store.read().list_versions(&mine, row.id).await.expect("lists");
        assert_eq!(ends.iter().map(|row| row.ends_at).collect::<Vec<_>>(), [Some(at(40)), Some(at(40)), None]);
        commit!(store, |tx| {
            assert_eq!(tx.end_versions(&mine, row.id, None, at(30), &Actor::System).await.expect("ends"), 3);
        });
        assert!(store.read().list_versions(&live("b1"), row.id).await.expect("lists").is_empty());
        let third = store.read().find_version(&mine, row.id, 3).await.expect("reads").expect("is there");
        assert_eq!((third.ends_at, third.ended_by), (Some(at(30)), Some(Actor::System)));
        assert!(store.read().find_version(&tenant("b2"), row.id, 3).await.expect("reads").is_none());
    }

    async fn a_digest_moves_to_another_pepper_once(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        let row = key(&mine, 1);
        commit!(store, |tx| {
            add_key(tx, &row, 1).await;
            let (old, new) = (digest(1), digest(77));
            assert!(!tx.redigest_version(&live("b1"), row.id, 1, &old, &new, 2).await.expect("not theirs"));
            assert!(tx.redigest_version(&mine, row.id, 1, &old, &new, 2).await.expect("moves"));
            assert!(!tx.redigest_version(&mine, row.id, 1, &old, &new, 2).await.expect("has moved"));
        });
        let found = store.read().find_by_digests(&[digest(77)]).await.expect("looks up");
        assert_eq!(found[0].version.pepper_version, 2);
        assert_eq!(
            store.read().count_versions_by_pepper().await.expect("counts"),
            [VersionCount { version: 2, rows: 1 }]
        );
    }

    async fn sealed_values_move_to_another_key_in_batches(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        commit!(store, |tx| for number in 1..=3u8 { add_key(tx, &key(&mine, number.into()), number).await });
        let batch = store.read().list_sealed_on_other_kek(2, 2).await.expect("lists");
        assert_eq!(batch.len(), 2);
        commit!(store, |tx| for row in &batch {
            let new = Sealed { bytes: vec![9, 9], kek_version: 2 };
            assert!(tx.rewrap_version(row, &new).await.expect("moves"));
            assert!(!tx.rewrap_version(row, &new).await.expect("has moved"));
        });
        assert_eq!(store.read().list_sealed_on_other_kek(2, 9).await.expect("lists").len(), 1);
        assert_eq!(
            store.read().count_versions_by_kek().await.expect("counts"),
            [VersionCount { version: 1, rows: 1 }, VersionCount { version: 2, rows: 2 }]
        );
        let moved = store.read().find_version(&mine, batch[0].key_id, 1).await.expect("reads").expect("is there");
        assert_eq!(moved.sealed, Some(Sealed { bytes: vec![9, 9], kek_version: 2 }));
    }

    async fn sealed_values_under_an_older_pepper_are_paged(database) {
        let store = database.store();
        two_businesses(store).await;
        let (mine, theirs) = (tenant("b1"), live("b2"));
        commit!(store, |tx| {
            for number in 1..=3u8 { add_key(tx, &key(&mine, number.into()), number).await }
            add_key(tx, &key(&theirs, 9), 9).await;
        });
        assert_eq!(store.read().list_sealed_on_older_pepper(1, None, 9).await.expect("lists").len(), 0);
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.read().list_sealed_on_older_pepper(2, after, 2).await.expect("lists");
            let Some(last) = page.last() else { break };
            after = Some((last.key_id, last.version));
            seen.extend(page.iter().map(|row| (row.key_id, row.version)));
        }
        let mut ordered = seen.clone();
        ordered.sort_unstable_by_key(|(key, version)| (key.to_string(), *version));
        ordered.dedup();
        assert_eq!(seen, ordered);
        assert_eq!(seen.len(), store.read().list_sealed_on_other_kek(0, 99).await.expect("lists").len());
    }
}
