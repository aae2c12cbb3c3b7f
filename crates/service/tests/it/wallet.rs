//! Deposit addresses from a wallet's own account, by its extended public key.

use std::collections::BTreeSet;
use std::sync::Arc;

use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::evm::{
    ChildIndex, EvmAddress, ExtendedPublicKey, InvalidPayoutTarget, PayoutKeyState, PayoutTarget,
};
use trousseau_domain::ledger::LedgerId;
use trousseau_domain::networks::ChainId;
use trousseau_service::{Context, PaymentRow, ServiceError};
use trousseau_store::testing::TestDatabase;
use trousseau_store::{CursorRow, DestinationRow, both_engines};
use trousseau_testkit::node::{Node, free_port};

use crate::ledgers::{Evm, chain, settings};
use crate::shop::Shop;

/// The account of a development node's phrase that its own addresses are of, m/44'/60'/0'.
pub(crate) const NODES: &str =
    "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";
/// The next account of the same wallet, which the node knows nothing of.
pub(crate) const NEXT: &str =
    "xpub6Ce9NcJvTk372KjsGfWqbcex5DumjpNquQLApoeQUavSCjEc823BV1tb4rXUuPuht8h2hSxkg2EXUaKUJmniJvRZAELxypsCzBFdtosmV76";

fn key(text: &str) -> ExtendedPublicKey {
    text.parse().expect("of an account")
}

/// Proposes a key and confirms it as whoever has the wallet would.
pub(crate) async fn use_key(shop: &Shop, tenant: &Tenant, network: &str, text: &str) {
    let (places, system) = (shop.app.payout_addresses(), Context::system());
    let proposed = places.propose_key(&system, tenant, network, &key(text)).await.expect("proposed");
    assert_eq!(proposed.state, PayoutKeyState::Proposed);
    let first: Vec<_> = key(text).first_addresses().iter().map(ToString::to_string).collect();
    let confirmed = places.confirm_key(&system, tenant, network, &first).await.expect("confirmed");
    assert_eq!(confirmed.state, PayoutKeyState::InForce);
}

async fn place_of(shop: &Shop, payment: &PaymentRow) -> DestinationRow {
    let found = shop.database.store().read().find_destination(&payment.destination).await.expect("read");
    found.expect("it was given out")
}

#[tokio::test]
async fn the_node_has_the_keys_to_every_address_that_we_derive() {
    let Some(node) = Node::start().await else { return };
    let ours = |number| key(NODES).address(ChildIndex::try_from(number).expect("in range"));
    for number in 0..10 {
        let at = usize::try_from(number).expect("small");
        assert_eq!(ours(number), Some(node.account(at)), "{number}");
    }
    assert_ne!(ours(10), Some(node.account(0)));
}

#[tokio::test]
async fn a_key_has_no_effect_before_its_addresses_are_confirmed() {
    let Some(evm) = Evm::start().await else { return };
    let network = settings(&[evm.node.url()], &[evm.token], &[]);
    let shop = Shop::open(Environment::Live, vec![network]).await;
    shop.app.jobs().run_pending().await.expect("looked");
    let (places, system) = (shop.app.payout_addresses(), Context::system());
    let confirm = async |addresses: Vec<String>| places.confirm_key(&system, &shop.tenant, "local", &addresses).await;
    assert!(matches!(confirm(Vec::new()).await, Err(ServiceError::NotFound)));
    places.propose_key(&system, &shop.tenant, "local", &key(NODES)).await.expect("proposed");
    assert!(matches!(shop.try_start().await, Err(ServiceError::PayoutAddressMissing(_))));
    let first: Vec<_> = (0..3).map(|index| evm.node.account(index).to_string()).collect();
    let swapped = vec![first[1].clone(), first[0].clone(), first[2].clone()];
    for wrong in [Vec::new(), first[..2].to_vec(), swapped, [&first[..], &first[..1]].concat()] {
        assert!(matches!(confirm(wrong).await, Err(ServiceError::Invalid(_))));
    }
    assert!(matches!(shop.try_start().await, Err(ServiceError::PayoutAddressMissing(_))));
    confirm(first.clone()).await.expect("confirmed");
    assert!(matches!(confirm(first).await, Err(ServiceError::NotFound)), "once");
    // The first addresses are for confirming, and those of the wallet's own life: payments begin after them.
    let (one, two) = (shop.start().await, shop.start().await);
    assert_eq!(one.destination.address, evm.node.account(3).to_string());
    assert_eq!(two.destination.address, evm.node.account(4).to_string());
    let path = shop.app.payments().wallet_path(&two).await.expect("read");
    assert_eq!(path.as_deref(), Some("m/44'/60'/0'/0/4"));
    // Where the money goes from now on is nothing to what was given out.
    let payout = evm.node.account(9);
    places.set(&system, &shop.tenant, "local", &payout.to_string()).await.expect("set");
    let forwarded = place_of(&shop, &shop.start().await).await;
    assert_eq!((forwarded.forwarder.map(|to| to.payout), forwarded.child), (Some(payout), None));
    let kept = place_of(&shop, &one).await.child.expect("a child");
    assert_eq!((kept.key, kept.index), (key(NODES), ChildIndex::FIRST));
    assert!(places.keys(&shop.tenant).await.expect("listed").is_empty());
    // Back again: the counter has not begun anew.
    use_key(&shop, &shop.tenant, "local", NODES).await;
    assert!(places.list(&shop.tenant).await.expect("listed").is_empty());
    assert_eq!(shop.start().await.destination.address, evm.node.account(5).to_string());
}

#[tokio::test]
async fn what_can_spend_is_refused_and_kept_nowhere() {
    let network = settings(&[format!("http://127.0.0.1:{}", free_port())], &[EvmAddress::from_bytes([7; 20])], &[]);
    let shop = Shop::open(Environment::Live, vec![network]).await;
    let private = "xprv9yeny6n2dNUokQFykGoZU6BDLeKbEBUoBeCFe2VF6MXdrHrprMYRc4tddncDRxrJCy7GtPDk68zRcgWtGFveqdCV5NyhZwVgMoZVbTm78vx";
    let digits = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let phrase = "test test test test test test test test test test test junk";
    for secret in [private, digits, phrase] {
        let error = secret.parse::<PayoutTarget>().expect_err("it can spend");
        assert!(matches!(error, InvalidPayoutTarget::Secret(_)));
        let places = shop.app.payout_addresses();
        let refused = places.set(&Context::system(), &shop.tenant, "local", secret).await.expect_err("refused");
        assert!(!format!("{refused} {refused:?} {error} {error:?}").contains(&secret[2..20]));
    }
    assert!(shop.app.payout_addresses().keys(&shop.tenant).await.expect("listed").is_empty());
    assert!(shop.app.payout_addresses().list(&shop.tenant).await.expect("listed").is_empty());
}

both_engines! {
    async fn no_child_is_given_out_twice_whoever_asks(database) {
        const EACH: usize = 8;
        let database: Arc<TestDatabase> = Arc::new(database);
        let local = settings(&[format!("http://127.0.0.1:{}", free_port())], &[EvmAddress::from_bytes([7; 20])], &[]);
        let far: ChainId = "eip155:31338".parse().expect("a network");
        let mut other = local.clone();
        (other.name, other.chain) = ("other".to_owned(), far.clone());
        let shop = Shop::open_on(Arc::clone(&database), Environment::Live, vec![local, other]).await;
        let second = shop.another_business().await;
        // As if a node had been asked once.
        let mut tx = database.store().begin().await.expect("begins");
        for network in [chain(), far] {
            let cursor = CursorRow {
                ledger: LedgerId::Network(Environment::Live, network),
                height: 1,
                ledger_time: shop.app.now(),
                marks: trousseau_domain::ledger::Marks::default(),
                reorganisations: 0,
                deepest: 0,
                late_height: 1,
                revision: 0,
                updated_at: shop.app.now(),
            };
            tx.insert_cursor(&cursor).await.expect("inserts");
        }
        tx.commit().await.expect("commits");
        // One wallet for two networks of one business, and for another business.
        for (tenant, network) in [(&shop.tenant, "local"), (&shop.tenant, "other"), (&second, "local")] {
            use_key(&shop, tenant, network, NODES).await;
        }
        let mut running = Vec::new();
        for (tenant, network) in [(&shop.tenant, "local"), (&shop.tenant, "other"), (&second, "local")] {
            for _ in 0..EACH {
                let shown = shop.shown_by(tenant, 1_000_000).await.expect("made");
                let app = shop.app.clone();
                running.push(tokio::spawn(async move {
                    let started = app.payments().start(&Context::system(), &shown, Some(network), None).await;
                    crate::shop::done(started.expect("started")).payment
                }));
            }
        }
        let (mut indexes, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for task in running {
            let payment = task.await.expect("ended");
            let child = place_of(&shop, &payment).await.child.expect("a child");
            assert_eq!(child.key.address(child.index).map(|a| a.to_string()), Some(payment.destination.address.clone()));
            assert!(indexes.insert(child.index.number()), "{:?}", child.index);
            assert!(addresses.insert(payment.destination.address));
        }
        let first = ChildIndex::FIRST.number();
        let last = first + u32::try_from(3 * EACH).expect("small");
        assert_eq!(indexes, (first..last).collect());
    }
}
