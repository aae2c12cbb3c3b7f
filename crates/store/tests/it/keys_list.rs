use trousseau_domain::actor::Actor;
use trousseau_domain::environment::Tenant;
use trousseau_domain::keys::{KeyKind, KeyState, KeyStatus};
use trousseau_store::{KeyFilter, KeyOrder, KeyRow, Store, both_engines};

use crate::samples::{add_key, at, commit, key, live, tenant, two_businesses};

const ORDERS: [KeyOrder; 10] = [
    KeyOrder::NumberAsc,
    KeyOrder::NumberDesc,
    KeyOrder::ValidFromAsc,
    KeyOrder::ValidFromDesc,
    KeyOrder::ValidUntilAsc,
    KeyOrder::ValidUntilDesc,
    KeyOrder::NameAsc,
    KeyOrder::NameDesc,
    KeyOrder::LastUsedAsc,
    KeyOrder::LastUsedDesc,
];

/// Eight keys in all states at the instant 10, and two of other tenants.
async fn fill(store: &Store) -> Tenant {
    two_businesses(store).await;
    let mine = tenant("b1");
    let named = |text: &str| Some(text.parse().expect("a good name"));
    let keys = [
        KeyRow { name: named("zebra"), ..key(&mine, 1) },
        KeyRow { name: named("Apple"), kind: KeyKind::Checkout, valid_from: at(5), ..key(&mine, 2) },
        KeyRow { name: None, valid_from: at(20), ..key(&mine, 3) },
        KeyRow { name: named("100% _sure_!"), valid_until: Some(at(10)), ..key(&mine, 4) },
        KeyRow { state: KeyState::Inactive, valid_until: Some(at(30)), last_three: "aBc".to_owned(), ..key(&mine, 5) },
        KeyRow { revoked_at: Some(at(1)), revoked_by: Some(Actor::System), ..key(&mine, 6) },
        KeyRow { state: KeyState::Inactive, valid_until: Some(at(2)), ..key(&mine, 7) },
        KeyRow { valid_from: at(5), ..key(&mine, 8) },
        key(&live("b1"), 1),
        key(&tenant("b2"), 1),
    ];
    commit!(store, |tx| {
        for (row, byte) in keys.iter().zip(1..) {
            add_key(tx, row, byte).await;
        }
        tx.touch_keys(&[(keys[0].id, at(3)), (keys[4].id, at(4)), (keys[7].id, at(4))]).await.expect("touches");
    });
    mine
}

async fn numbers(store: &Store, mine: &Tenant, filter: &KeyFilter, order: KeyOrder) -> Vec<u32> {
    let rows = store.read().list_keys(mine, filter, order, at(10), None, 100).await.expect("lists");
    rows.iter().map(|row| row.number).collect()
}

both_engines! {
    async fn every_order_is_total_and_pages_join_up(database) {
        let store = database.store();
        let mine = fill(store).await;
        let all = KeyFilter { include_revoked: true, ..KeyFilter::default() };
        for order in ORDERS {
            let whole = numbers(store, &mine, &all, order).await;
            assert_eq!(whole.len(), 8, "{order:?}");
            let mut pages = Vec::new();
            let mut after = None;
            loop {
                let page = store.read().list_keys(&mine, &all, order, at(10), after, 3).await.expect("lists");
                pages.extend(page.iter().map(|row| row.number));
                let Some(last) = page.last() else { break };
                after = Some(last.id);
            }
            assert_eq!(pages, whole, "{order:?}");
            let (page, total) = store.read().list_keys_page(&mine, &all, order, at(10), 3, 3).await.expect("lists");
            assert_eq!(total, 8);
            assert_eq!(page.iter().map(|row| row.number).collect::<Vec<_>>(), whole[3..6], "{order:?}");
        }
        assert_eq!(numbers(store, &mine, &all, KeyOrder::NumberAsc).await, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(numbers(store, &mine, &all, KeyOrder::ValidFromDesc).await, [3, 8, 2, 7, 6, 5, 4, 1]);
        assert_eq!(numbers(store, &mine, &all, KeyOrder::ValidUntilAsc).await, [7, 4, 5, 8, 6, 3, 2, 1]);
        assert_eq!(numbers(store, &mine, &all, KeyOrder::NameAsc).await, [3, 4, 2, 8, 7, 6, 5, 1]);
        assert_eq!(numbers(store, &mine, &all, KeyOrder::LastUsedDesc).await, [8, 5, 1, 7, 6, 4, 3, 2]);
    }

    async fn a_cursor_of_another_tenant_leads_nowhere(database) {
        let store = database.store();
        let mine = fill(store).await;
        for other in [live("b1"), tenant("b2")] {
            let rows = store.read()
                .list_keys(&mine, &KeyFilter::default(), KeyOrder::NumberAsc, at(10), Some(key(&other, 1).id), 9)
                .await.expect("lists");
            assert!(rows.is_empty());
        }
    }

    async fn keys_that_lack_a_scope_are_found(database) {
        let store = database.store();
        two_businesses(store).await;
        let mine = tenant("b1");
        let scopes = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a good scope")).collect();
        let held: [&[&str]; 5] = [
            &["events:read", "keys:read", "payments:read"],
            &["events:read", "payments:read"],
            &[],
            &["events:read", "keys:write", "payments:read", "zoo:read"],
            // Like the wanted one, but for what would be a wildcard in it.
            &["payment_links:read"],
        ];
        commit!(store, |tx| {
            for (number, held) in (1..).zip(held) {
                let row = KeyRow { scopes: scopes(held), ..key(&mine, number) };
                add_key(tx, &row, u8::try_from(number).expect("small")).await;
            }
        });
        for (wanted, lacking) in [
            (&[][..], &[][..]),
            (&["payments:read"], &[3, 5]),
            (&["events:read", "payments:read"], &[3, 5]),
            (&["events:read", "keys:read", "payments:read"], &[2, 3, 4, 5]),
            (&["payment_links:read"], &[1, 2, 3, 4]),
            (&["paymentxlinks:read"], &[1, 2, 3, 4, 5]),
        ] {
            let filter = KeyFilter { lacking: Some(scopes(wanted)), ..KeyFilter::default() };
            assert_eq!(numbers(store, &mine, &filter, KeyOrder::NumberAsc).await, lacking, "{wanted:?}");
        }
    }

    async fn filters_narrow(database) {
        let store = database.store();
        let mine = fill(store).await;
        let default = KeyFilter::default();
        let status = |status| KeyFilter { status: Some(status), ..KeyFilter::default() };
        let search = |text: &str| KeyFilter { search: Some(text.parse().expect("a search")), ..KeyFilter::default() };
        let cases: [(KeyFilter, &[u32]); 13] = [
            (default.clone(), &[1, 2, 3, 4, 5, 7, 8]),
            (KeyFilter { kind: Some(KeyKind::Checkout), ..default.clone() }, &[2]),
            (KeyFilter { state: Some(KeyState::Inactive), ..default.clone() }, &[5, 7]),
            (status(KeyStatus::Active), &[1, 2, 8]),
            (status(KeyStatus::Scheduled), &[3]),
            (status(KeyStatus::Expired), &[4]),
            (status(KeyStatus::Inactive), &[5, 7]),
            (status(KeyStatus::Revoked), &[6]),
            (search("APP"), &[2]),
            (search("ABC"), &[5]),
            (search("reftest8"), &[8]),
            (search("%"), &[4]),
            (search("_"), &[4]),
        ];
        for (filter, expected) in cases {
            assert_eq!(numbers(store, &mine, &filter, KeyOrder::NumberAsc).await, expected, "{filter:?}");
            let (_, total) = store.read()
                .list_keys_page(&mine, &filter, KeyOrder::NumberAsc, at(10), 0, 1).await.expect("lists");
            assert_eq!(total, expected.len() as u64, "{filter:?}");
        }
    }
}
