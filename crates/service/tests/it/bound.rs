//! TEST on a network, beside LIVE on another one: neither has a way to the other.

use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ledger::{LedgerId, Scenario};
use trousseau_domain::money::Asset;
use trousseau_domain::networks::ChainId;
use trousseau_domain::payments::{PaymentException as Ex, PaymentStatus as St};
use trousseau_service::networks::NetworkSettings;
use trousseau_service::payments::test_ledger::TestCommand;
use trousseau_service::{CollectFilter, Context, Destination, PaymentRow, ServiceError};

use crate::ledgers::{Evm, chain, settings, token};
use crate::shop::{PRICE, Shop, done};
use crate::wallet::{NEXT, use_key};
use trousseau_testkit::node::Word;

/// The chain that LIVE is on here.
const LIVE: u64 = 4_242;

/// An installation with a network for each environment, and one business with payout addresses in both.
struct Both {
    shop: Shop,
    live_tenant: Tenant,
    test: Evm,
    live: Evm,
}

fn live_chain() -> ChainId {
    ChainId::of_eip155(LIVE).expect("a chain")
}

impl Both {
    /// None where there is no node.
    async fn open() -> Option<Self> {
        let (test, live) = (Evm::start().await?, Evm::start_as(LIVE).await?);
        let of = |evm: &Evm| settings(&[evm.node.url()], &[evm.token], &[evm.other]);
        let networks = vec![
            NetworkSettings { name: "real".to_owned(), chain: live_chain(), ..of(&live) },
            NetworkSettings { name: "trial".to_owned(), environment: Environment::Test, ..of(&test) },
        ];
        let shop = Shop::open(Environment::Test, networks).await;
        let live_tenant = Tenant::new(shop.tenant.business.clone(), Environment::Live);
        let both = Self { shop, live_tenant, test, live };
        for (tenant, name) in [(both.shop.tenant.clone(), "trial"), (both.live_tenant.clone(), "real")] {
            let payout = both.test.node.account(9).to_string();
            let places = both.shop.app.payout_addresses();
            places.set(&Context::system(), &tenant, name, &payout).await.expect("a payout address");
        }
        both.look().await;
        Some(both)
    }

    async fn look(&self) {
        self.shop.app.jobs().run_pending().await.expect("the database answers");
    }

    async fn start(&self, tenant: &Tenant, network: Option<&str>) -> Result<PaymentRow, ServiceError> {
        let shown = self.shop.shown_by(tenant, PRICE).await?;
        Ok(done(self.shop.app.payments().start(&Context::system(), &shown, network, None).await?).payment)
    }

    async fn status(&self, payment: &PaymentRow) -> (St, Ex) {
        let found = self.shop.app.payments().get(&payment.tenant, payment.id).await.expect("there");
        (found.payment.state.status, found.payment.state.exception)
    }
}

/// Sends the price to an address, in a block of its own with two more behind it.
async fn pay(evm: &mut Evm, to: &Destination) -> String {
    let to = to.address.parse::<trousseau_domain::evm::EvmAddress>().expect("an address of a network");
    let data =
        token().data("transfer(address,uint256)", &[to.into(), Word::from(u128::try_from(PRICE).expect("positive"))]);
    let (from, contract) = (evm.node.account(1), evm.token);
    let hash = evm.request(from, contract, &data).await;
    evm.node.mine(3).await;
    hash
}

#[tokio::test]
async fn each_environment_is_paid_on_its_own_network_and_on_no_other() {
    let Some(mut both) = Both::open().await else { return };
    let (test_tenant, live_tenant) = (both.shop.tenant.clone(), both.live_tenant.clone());
    let in_test = both.start(&test_tenant, None).await.expect("started");
    let in_live = both.start(&live_tenant, None).await.expect("started");
    assert_eq!(in_test.destination.ledger, LedgerId::Network(Environment::Test, chain()));
    assert_eq!(in_live.destination.ledger, LedgerId::Network(Environment::Live, live_chain()));
    // By no name does a key of one reach the network of the other.
    for (tenant, names) in
        [(&test_tenant, ["real", "eip155:4242", "base"]), (&live_tenant, ["trial", "eip155:31337", "base"])]
    {
        for name in names {
            let refused = both.start(tenant, Some(name)).await;
            assert!(matches!(refused, Err(ServiceError::Invalid(_))), "{name}: {refused:?}");
            let places = both.shop.app.payout_addresses();
            let payout = both.live.node.account(8).to_string();
            let refused = places.set(&Context::system(), tenant, name, &payout).await;
            assert!(matches!(refused, Err(ServiceError::Invalid(_))), "{name}: {refused:?}");
        }
    }
    let networks =
        async |tenant: &Tenant| both.shop.app.payments().networks(tenant, Asset::USDC).await.expect("listed");
    assert_eq!(networks(&test_tenant).await, [chain()]);
    assert_eq!(networks(&live_tenant).await, [live_chain()]);
    // Play money at the address of the LIVE payment, and real money at that of TEST: on the wrong network both.
    pay(&mut both.test, &in_live.destination).await;
    pay(&mut both.live, &in_test.destination).await;
    both.look().await;
    assert_eq!(
        (both.status(&in_test).await, both.status(&in_live).await),
        ((St::Open, Ex::None), (St::Open, Ex::None))
    );
    pay(&mut both.test, &in_test.destination).await;
    both.look().await;
    assert_eq!((both.status(&in_test).await, both.status(&in_live).await.0), ((St::Settled, Ex::None), St::Open));
    pay(&mut both.live, &in_live.destination).await;
    both.look().await;
    assert_eq!(both.status(&in_live).await, (St::Settled, Ex::None));
    // What lies there is planned, compared and listed by environment.
    let plans = both.shop.app.payout_plans();
    for (environment, network) in [(Environment::Test, chain()), (Environment::Live, live_chain())] {
        assert_eq!(plans.networks(Some(environment), None).expect("listed"), std::slice::from_ref(&network));
        let filter = CollectFilter { business: None, environment: Some(environment) };
        assert_eq!(plans.plan(&network, &filter).await.expect("planned").transactions.len(), 2, "{environment}");
        let compared = both.shop.app.reconciliations().run(network.as_str()).await.expect("compared");
        assert_eq!((compared.run.addresses, compared.differences.len()), (1, 0), "{environment}");
        let tenant = Tenant::new(test_tenant.business.clone(), environment);
        let latest = both.shop.app.reconciliations().latest(Some(&tenant), 9).await.expect("listed");
        let latest: Vec<_> = latest.into_iter().map(|compared| compared.network).collect();
        assert_eq!(latest, [network]);
    }
}

#[tokio::test]
async fn what_moves_a_test_ledger_says_that_there_is_none() {
    let Some(both) = Both::open().await else { return };
    let (app, system, tenant) = (&both.shop.app, Context::system(), &both.shop.tenant);
    let payment = both.start(tenant, None).await.expect("started");
    let off =
        |result: Result<(), ServiceError>| assert!(matches!(result, Err(ServiceError::TestLedgerOff)), "{result:?}");
    assert!(!app.test_ledgers().are_on());
    off(app.test_ledgers().get(tenant).await.map(drop));
    for command in [TestCommand::Mine(1), TestCommand::Halt, TestCommand::AdvanceTo(both.shop.clock_now())] {
        off(app.test_ledgers().run(&system, tenant, &command, None).await.map(drop));
    }
    for scenario in Scenario::ALL {
        off(app.test_ledgers().play(&system, &payment, scenario).await);
        off(app.payments().hand_in(&system, payment.id, &format!("test_{scenario}")).await.map(drop));
    }
    let shown = both.shop.shown_by(tenant, PRICE).await.expect("there");
    off(app.payments().for_transaction(&system, &shown, "trial", "test_paid").await.map(drop));
    // What is no name of a scenario is a hash that is written wrong, as in LIVE.
    let wrong = app.payments().hand_in(&system, payment.id, "cafe").await;
    assert!(matches!(wrong, Err(ServiceError::Invalid(_))), "{wrong:?}");
    assert_eq!(both.status(&payment).await, (St::Open, Ex::None));
    // LIVE never had one.
    let live = app.test_ledgers().get(&both.live_tenant).await;
    assert!(matches!(live, Err(ServiceError::TestOnly)), "{live:?}");
}

#[tokio::test]
async fn a_payment_of_test_goes_straight_into_a_wallet_on_its_network() {
    let Some(mut both) = Both::open().await else { return };
    let tenant = both.shop.tenant.clone();
    use_key(&both.shop, &tenant, "trial", NEXT).await;
    let payment = both.start(&tenant, None).await.expect("started");
    let hash = pay(&mut both.test, &payment.destination).await;
    let watched = both.shop.app.payments().hand_in(&Context::system(), payment.id, &hash).await.expect("handed in");
    assert_eq!(watched.payment.state.status, St::Settled);
    let path = both.shop.app.payments().wallet_path(&payment).await.expect("read");
    assert!(path.as_deref().is_some_and(|path| path.ends_with("/0/3")), "the first one that is given out: {path:?}");
}

#[tokio::test]
async fn a_network_that_changes_sides_leaves_behind_what_was_given_out() {
    let Some(mut evm) = Evm::start().await else { return };
    let of = |environment| NetworkSettings { environment, ..settings(&[evm.node.url()], &[evm.token], &[]) };
    let mut shop = Shop::open(Environment::Live, vec![of(Environment::Live)]).await;
    let payout = evm.node.account(9).to_string();
    shop.app.payout_addresses().set(&Context::system(), &shop.tenant, "local", &payout).await.expect("set");
    shop.app.jobs().run_pending().await.expect("looked");
    let in_live = shop.start().await;
    let to_test = vec![of(Environment::Test)];
    shop.restart_with(to_test).await;
    pay(&mut evm, &in_live.destination).await;
    shop.app.jobs().run_pending().await.expect("looked");
    // The network is one for TEST now: nothing on it pays a LIVE payment.
    assert_eq!(shop.standing(in_live.id).await, (St::Open, Ex::None, 0, 0));
    let watched = shop.app.payments().get(&shop.tenant, in_live.id).await.expect("there");
    assert!(watched.delayed, "nobody looks at it");
    let refused = shop.try_start().await;
    assert!(matches!(refused, Err(ServiceError::NetworkNotConfigured)), "{refused:?}");
}
