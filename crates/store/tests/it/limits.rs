use trousseau_domain::ids::KeyId;
use trousseau_domain::limits::Period;
use trousseau_store::{QuotaCount, QuotaHolder, both_engines};

use crate::samples::{commit, tenant};

both_engines! {
    async fn calls_are_summed_by_holder_and_period(database) {
        let store = database.store();
        let (key, tenant) = (QuotaHolder::Key(KeyId::from_bits(7)), QuotaHolder::Tenant(tenant("b1")));
        assert_eq!(tenant.to_string(), "b1/test");
        let count = |holder: &QuotaHolder, period, number, used| QuotaCount { holder: holder.clone(), period, number, used };
        commit!(store, |tx| {
            for (more, sum) in [
                (count(&key, Period::Day, 1, 3), 3),
                (count(&key, Period::Day, 1, 4), 7),
                (count(&key, Period::Day, 2, 1), 1),
                (count(&key, Period::Month, 1, 5), 5),
                (count(&tenant, Period::Day, 1, 9), 9),
            ] {
                assert_eq!(tx.add_quota_used(&more).await.expect("adds"), sum, "{more:?}");
            }
        });
        let mut reader = store.read();
        assert_eq!(reader.quota_used(&key, Period::Day, 1).await.expect("reads"), 7);
        assert_eq!(reader.quota_used(&key, Period::Day, 3).await.expect("reads"), 0);
        commit!(store, |tx| {
            assert_eq!(tx.prune_quota_counts(Period::Day, 2, 1).await.expect("prunes"), 1);
            assert_eq!(tx.prune_quota_counts(Period::Day, 2, 9).await.expect("prunes"), 1);
            assert_eq!(tx.prune_quota_counts(Period::Day, 2, 9).await.expect("prunes"), 0);
        });
        assert_eq!(store.read().quota_used(&key, Period::Day, 2).await.expect("reads"), 1);
        assert_eq!(store.read().quota_used(&key, Period::Month, 1).await.expect("reads"), 5);
    }
}
