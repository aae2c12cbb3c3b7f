use trousseau_domain::actor::Actor;
use trousseau_domain::ids::PlatformKeyId;
use trousseau_store::{PlatformKeyRow, StoreError, UniqueRule, VersionCount, both_engines};

use crate::samples::{at, commit, digest};

fn platform_key(bits: u8) -> PlatformKeyRow {
    PlatformKeyRow {
        id: PlatformKeyId::from_bits(bits.into()),
        name: "Gateway".parse().expect("a good name"),
        digest: digest(bits),
        pepper_version: 1,
        last_three: "xyz".to_owned(),
        scopes: vec!["verify".to_owned()],
        created_at: at(bits.into()),
        created_by: Actor::System,
        revoked_at: None,
        revoked_by: None,
        last_used_at: None,
    }
}

both_engines! {
    async fn platform_keys_are_found_listed_and_revoked(database) {
        let store = database.store();
        let (one, two) = (platform_key(1), platform_key(2));
        commit!(store, |tx| {
            tx.insert_platform_key(&one).await.expect("inserts");
            tx.insert_platform_key(&two).await.expect("inserts");
        });
        let found = store.read().find_platform_key(one.id).await.expect("reads").expect("is there");
        assert_eq!((found.name, found.scopes, found.created_at), (one.name, one.scopes, one.created_at));
        let listed = store.read().list_platform_keys().await.expect("lists");
        assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), [two.id, one.id]);
        let found = store.read().find_platform_keys_by_digests(&[digest(9), digest(2)]).await.expect("looks up");
        assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [two.id]);
        assert!(store.read().find_platform_keys_by_digests(&[]).await.expect("looks up").is_empty());
        commit!(store, |tx| {
            assert!(tx.mark_platform_key_revoked(one.id, &Actor::System, at(9)).await.expect("revokes"));
            assert!(!tx.mark_platform_key_revoked(one.id, &Actor::System, at(10)).await.expect("is revoked"));
            tx.touch_platform_keys(&[(two.id, at(5)), (one.id, at(4))]).await.expect("touches");
            tx.touch_platform_keys(&[(two.id, at(3))]).await.expect("touches");
            assert!(tx.redigest_platform_key(two.id, &digest(2), &digest(3), 2).await.expect("moves"));
            assert!(!tx.redigest_platform_key(two.id, &digest(2), &digest(3), 2).await.expect("has moved"));
        });
        let one = store.read().find_platform_key(one.id).await.expect("reads").expect("is there");
        assert_eq!((one.revoked_at, one.revoked_by), (Some(at(9)), Some(Actor::System)));
        let two = store.read().find_platform_key(two.id).await.expect("reads").expect("is there");
        assert_eq!((two.last_used_at, two.pepper_version), (Some(at(5)), 2));
        assert_eq!(
            store.read().count_platform_keys_by_pepper().await.expect("counts"),
            [VersionCount { version: 1, rows: 1 }, VersionCount { version: 2, rows: 1 }]
        );
    }

    async fn a_platform_value_is_known_once(database) {
        let mut tx = database.store().begin().await.expect("begins");
        tx.insert_platform_key(&platform_key(1)).await.expect("inserts");
        let twin = PlatformKeyRow { id: PlatformKeyId::from_bits(8), ..platform_key(1) };
        let error = tx.insert_platform_key(&twin).await.expect_err("known");
        assert!(matches!(error, StoreError::Unique { constraint: UniqueRule::PlatformDigest, .. }), "{error:?}");
    }
}
