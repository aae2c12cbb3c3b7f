use trousseau_domain::actor::Actor;
use trousseau_domain::keys::{KeyKind, KeyState};
use trousseau_store::{KeyNameRow, KeyRow, StoreError, UniqueRule, both_engines};

use crate::samples::{add_key, at, business_id, commit, key, limits, live, tenant, two_businesses};

both_engines! {
    async fn a_key_is_found_by_its_tenant_only(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        let full = KeyRow {
            valid_until: Some(at(99)),
            limits: limits(),
            previous_ends_at: Some(at(50)),
            created_by: Actor::Operator { user: "root".to_owned(), actor: Some("Zoé".to_owned()) },
            ..key(&mine, 1)
        };
        let bare = KeyRow {
            name: None, external_reference: None, kind: KeyKind::Checkout, allowed_origins: vec![],
            allowed_ips: vec![], state: KeyState::Inactive, ..key(&mine, 2)
        };
        commit!(store, |tx| {
            add_key(tx, &full, 1).await;
            add_key(tx, &bare, 2).await;
        });
        for row in [&full, &bare] {
            assert_eq!(store.read().find_key(&mine, row.id).await.expect("reads").as_ref(), Some(row));
            assert_eq!(store.read().find_key_by_number(&mine, row.number).await.expect("reads").as_ref(), Some(row));
            assert_eq!(store.read().find_key_any_tenant(row.id).await.expect("reads").as_ref(), Some(row));
            assert_eq!(
                store.read().find_key_of_business(&mine.business, row.id).await.expect("reads").as_ref(),
                Some(row)
            );
            for other in [tenant("b2"), live("b1")] {
                assert_eq!(store.read().find_key(&other, row.id).await.expect("reads"), None);
                assert_eq!(store.read().find_key_by_number(&other, row.number).await.expect("reads"), None);
            }
            assert_eq!(store.read().find_key_of_business(&business_id("b2"), row.id).await.expect("reads"), None);
        }
    }

    async fn numbers_and_references_are_given_once(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        assert_eq!(store.read().max_number(&mine).await.expect("reads"), 0);
        commit!(store, |tx| {
            add_key(tx, &key(&mine, 7), 1).await;
            add_key(tx, &key(&live("b1"), 3), 2).await;
        });
        assert_eq!(store.read().max_number(&mine).await.expect("reads"), 7);
        let named = store.read().list_key_names(&mine).await.expect("reads");
        assert_eq!(named, [KeyNameRow { id: key(&mine, 7).id, number: 7, name: key(&mine, 7).name }]);
        assert_eq!(store.read().count_keys_ever(&mine.business).await.expect("reads"), 2);
        let refused = [
            (KeyRow { number: 8, external_reference: None, ..key(&mine, 7) }, UniqueRule::Key),
            (KeyRow { number: 7, external_reference: None, ..key(&mine, 8) }, UniqueRule::KeyNumber),
            (KeyRow { external_reference: Some("reftest7".to_owned()), ..key(&mine, 8) }, UniqueRule::ExternalReference),
        ];
        for (row, rule) in refused {
            let mut tx = store.begin().await.expect("begins");
            match tx.insert_key(&row).await {
                Err(StoreError::Unique { constraint, .. }) => assert_eq!(constraint, rule),
                other => panic!("{rule:?}: {other:?}"),
            }
        }
    }

    async fn counts_follow_the_clock_and_the_switch(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        let now = at(10);
        let keys = [
            key(&mine, 1),
            KeyRow { kind: KeyKind::Checkout, ..key(&mine, 2) },
            KeyRow { valid_from: at(11), ..key(&mine, 3) },
            KeyRow { valid_until: Some(at(10)), ..key(&mine, 4) },
            KeyRow { valid_until: Some(at(11)), valid_from: at(10), ..key(&mine, 5) },
            KeyRow { state: KeyState::Inactive, ..key(&mine, 6) },
            KeyRow { revoked_at: Some(at(1)), revoked_by: Some(Actor::System), ..key(&mine, 7) },
            key(&live("b1"), 8),
            key(&tenant("b2"), 9),
        ];
        commit!(store, |tx| for (row, byte) in keys.iter().zip(1..) { add_key(tx, row, byte).await });
        let secret = Some(KeyKind::Secret);
        let mut read = store.read();
        assert_eq!(read.count_keys_counted_at(&mine, None, now, None).await.expect("counts"), 4);
        assert_eq!(read.count_keys_counted_at(&mine, secret, now, None).await.expect("counts"), 3);
        assert_eq!(read.count_keys_counted_at(&mine, secret, now, Some(keys[2].id)).await.expect("counts"), 2);
        assert_eq!(read.count_in_force(&mine, None, now, None).await.expect("counts"), 3);
        assert_eq!(read.count_in_force(&mine, secret, now, None).await.expect("counts"), 2);
        assert_eq!(read.count_in_force(&mine, secret, now, Some(keys[0].id)).await.expect("counts"), 1);
        assert_eq!(read.count_in_force(&mine, Some(KeyKind::Checkout), now, None).await.expect("counts"), 1);
    }

    async fn a_revoked_key_never_changes_again(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        let first = key(&mine, 1);
        commit!(store, |tx| add_key(tx, &first, 1).await);
        let changed = KeyRow {
            name: None, state: KeyState::Inactive, valid_from: at(3), valid_until: Some(at(9)),
            scopes: std::iter::empty().collect(), allowed_origins: vec![], allowed_ips: vec![], limits: limits(), updated_at: at(4),
            ..first.clone()
        };
        commit!(store, |tx| {
            assert!(!tx.update_key(&live("b1"), &changed).await.expect("not theirs"));
            assert!(tx.update_key(&mine, &changed).await.expect("updates"));
        });
        assert_eq!(store.read().find_key(&mine, first.id).await.expect("reads"), Some(changed.clone()));

        let rotated = KeyRow {
            current_version: 2, last_three: "New".to_owned(), mask_prefix: "P_".to_owned(),
            previous_ends_at: Some(at(8)), updated_at: at(5), ..changed.clone()
        };
        commit!(store, |tx| {
            assert!(!tx.set_current_version(&tenant("b2"), &rotated, 1).await.expect("not theirs"));
            assert!(tx.set_current_version(&mine, &rotated, 1).await.expect("rotates"));
            assert!(!tx.set_current_version(&mine, &rotated, 1).await.expect("somebody was first"));
        });
        assert_eq!(store.read().find_key(&mine, first.id).await.expect("reads"), Some(rotated.clone()));

        commit!(store, |tx| {
            assert!(!tx.mark_key_revoked(&live("b1"), first.id, &Actor::System, at(6)).await.expect("not theirs"));
            assert!(tx.mark_key_revoked(&mine, first.id, &Actor::System, at(6)).await.expect("revokes"));
            assert!(!tx.mark_key_revoked(&mine, first.id, &Actor::System, at(7)).await.expect("is revoked"));
            assert!(!tx.update_key(&mine, &changed).await.expect("is revoked"));
            assert!(!tx.set_current_version(&mine, &rotated, 2).await.expect("is revoked"));
        });
        let found = store.read().find_key(&mine, first.id).await.expect("reads").expect("is there");
        assert_eq!((found.revoked_at, found.revoked_by, found.updated_at), (Some(at(6)), Some(Actor::System), at(6)));
    }

    async fn last_use_only_moves_forward(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        let (one, two) = (key(&mine, 1), key(&mine, 2));
        commit!(store, |tx| {
            add_key(tx, &one, 1).await;
            add_key(tx, &two, 2).await;
            tx.touch_keys(&[(two.id, at(5)), (one.id, at(9))]).await.expect("touches");
            tx.touch_keys(&[(one.id, at(3)), (two.id, at(6))]).await.expect("touches");
        });
        for (row, used) in [(&one, at(9)), (&two, at(6))] {
            let found = store.read().find_key(&mine, row.id).await.expect("reads").expect("is there");
            assert_eq!(found.last_used_at, Some(used));
            assert_eq!(found.updated_at, row.updated_at);
        }
    }
}
