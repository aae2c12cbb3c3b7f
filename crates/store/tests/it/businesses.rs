use trousseau_domain::actor::Actor;
use trousseau_domain::checkout::{CheckoutSettings, PageLanguages, Tolerance};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::text::SearchText;
use trousseau_store::{StoreError, UniqueRule, both_engines};

use crate::samples::{at, business, business_id, commit, limits, two_businesses};

both_engines! {
    async fn a_business_is_read_back_as_it_was_written(database) {
        let store = database.store();
        let mut written = business("b1", 5);
        written.limits = limits();
        written.metadata =
            [("customer".to_owned(), "42 é".to_owned())].into_iter().collect::<std::collections::BTreeMap<_, _>>()
                .try_into().expect("small");
        commit!(store, |tx| tx.insert_business(&written).await.expect("inserts"));
        assert_eq!(store.read().find_business(&written.id).await.expect("reads"), Some(written));
        assert_eq!(store.read().find_business(&business_id("b9")).await.expect("reads"), None);
        assert_eq!(store.read().count_businesses().await.expect("counts"), 1);
    }

    async fn an_id_is_taken_once(database) {
        two_businesses(database.store()).await;
        let mut tx = database.store().begin().await.expect("begins");
        let error = tx.insert_business(&business("b1", 9)).await.expect_err("taken");
        assert!(matches!(error, StoreError::Unique { constraint: UniqueRule::Business, .. }), "{error:?}");
    }

    async fn lists_are_newest_first_and_continue(database) {
        let store = database.store();
        commit!(store, |tx| {
            for (id, created) in [("a", 1), ("b", 2), ("c", 2), ("d", 3)] {
                tx.insert_business(&business(id, created)).await.expect("inserts");
            }
        });
        let ids = |rows: Vec<trousseau_store::BusinessRow>| {
            rows.into_iter().map(|row| row.id.to_string()).collect::<Vec<_>>()
        };
        let first = store.read().list_businesses(None, 2).await.expect("lists");
        assert_eq!(ids(first), ["d", "c"]);
        let rest = store.read().list_businesses(Some(&business_id("c")), 9).await.expect("lists");
        assert_eq!(ids(rest), ["b", "a"]);
        let none = store.read().list_businesses(Some(&business_id("zz")), 9).await.expect("lists");
        assert!(none.is_empty());
        let (page, total) = store.read().list_businesses_page(None, 1, 2).await.expect("lists");
        assert_eq!((ids(page), total), (vec!["c".to_owned(), "b".to_owned()], 4));
        let search = |text: &str| text.parse::<SearchText>().expect("a text");
        let (by_id, total) = store.read().list_businesses_page(Some(&search("D")), 0, 9).await.expect("lists");
        assert_eq!((ids(by_id), total), (vec!["d".to_owned()], 1));
        let (none, total) = store.read().list_businesses_page(Some(&search("%")), 0, 9).await.expect("lists");
        assert_eq!((ids(none), total), (vec![], 0));
    }

    async fn each_environment_has_its_own_way_of_taking_payments(database) {
        let store = database.store();
        two_businesses(store).await;
        let (test, live) = (Tenant::new(business_id("b1"), Environment::Test), Tenant::new(business_id("b1"), Environment::Live));
        let none = CheckoutSettings::default();
        assert_eq!(store.read().find_checkout_settings(&test).await.expect("reads"), none);
        let amount = Money::from_units(50_000, Asset::USDC).expect("good");
        let chosen = CheckoutSettings {
            accent: Some("#2440c8".parse().expect("good")),
            languages: PageLanguages::French,
            redirect_url: Some("https://shop.example/thanks".parse().expect("good")),
            origins: vec!["https://shop.example".parse().expect("good")],
            tolerance: Tolerance::new(amount, 5).expect("good"),
            accepts_late: false,
        };
        for settings in [&none, &chosen] {
            commit!(store, |tx| {
                tx.put_checkout_settings(&test, settings, at(3), &Actor::System).await.expect("puts");
            });
            assert_eq!(&store.read().find_checkout_settings(&test).await.expect("reads"), settings);
        }
        assert_eq!(store.read().find_checkout_settings(&live).await.expect("reads"), none);
        let other = Tenant::new(business_id("b2"), Environment::Test);
        assert_eq!(store.read().find_checkout_settings(&other).await.expect("reads"), none);
    }

    async fn changes_name_the_state_they_expect(database) {
        let store = database.store();
        two_businesses(store).await;
        let id = business_id("b1");
        commit!(store, |tx| {
            let mut locked = tx.lock_business(&id).await.expect("locks").expect("is there");
            assert_eq!(locked.revision, 2);
            "en".clone_into(&mut locked.language);
            assert!(tx.update_business(&locked).await.expect("updates"));
            locked.revision = 1;
            assert!(!tx.update_business(&locked).await.expect("an old revision changes nothing"));
            assert!(tx.lock_business(&business_id("b9")).await.expect("locks").is_none());
        });
        commit!(store, |tx| {
            assert!(tx.suspend_business(&id, at(7)).await.expect("suspends"));
            assert!(!tx.suspend_business(&id, at(8)).await.expect("is suspended"));
            assert!(!tx.resume_business(&business_id("b2")).await.expect("is not suspended"));
        });
        let found = store.read().find_business(&id).await.expect("reads").expect("is there");
        assert_eq!((found.suspended_at, found.language.as_str()), (Some(at(7)), "en"));
        commit!(store, |tx| assert!(tx.resume_business(&id).await.expect("resumes")));
        let found = store.read().find_business(&id).await.expect("reads").expect("is there");
        assert_eq!(found.suspended_at, None);
    }

    async fn a_dropped_transaction_leaves_nothing(database) {
        let mut tx = database.store().begin().await.expect("begins");
        tx.insert_business(&business("b1", 1)).await.expect("inserts");
        assert_eq!(tx.read().count_businesses().await.expect("counts"), 1);
        drop(tx);
        assert_eq!(database.store().read().count_businesses().await.expect("counts"), 0);
        // The connection is free again.
        two_businesses(database.store()).await;
    }

    async fn whoever_locks_a_business_is_waited_for(database) {
        let store = database.store().clone();
        two_businesses(&store).await;
        let tasks: Vec<_> = (0..20).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                commit!(store, |tx| {
                    let locked = tx.lock_business(&business_id("b1")).await.expect("locks").expect("is there");
                    tokio::task::yield_now().await;
                    assert!(tx.update_business(&locked).await.expect("nobody came between"));
                });
            })
        }).collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        let found = store.read().find_business(&business_id("b1")).await.expect("reads").expect("is there");
        assert_eq!(found.revision, 21);
    }

    async fn a_damaged_row_is_named(database) {
        two_businesses(database.store()).await;
        database.run("UPDATE businesses SET metadata = '{' WHERE id = 'b2'").await.expect("runs");
        let error = database.store().read().find_business(&business_id("b2")).await.expect_err("damaged");
        assert_eq!(error.to_string(), "row b2 of table businesses cannot be read back");
        let source = std::error::Error::source(&error).expect("has a source");
        assert_eq!(source.to_string(), "column b_metadata cannot be read");
        assert!(source.source().is_some());
    }
}
