//! Two currencies side by side: each is paid by its own token, and no sum mixes them.

use trousseau_domain::environment::Environment;
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payments::{PaymentException as Ex, PaymentStatus as St};
use trousseau_domain::reconciliation::Outcome;
use trousseau_service::networks::{NetworkSettings, Token};
use trousseau_service::payments::payout_plans::Purpose;
use trousseau_service::payments::refunds::RefundDraft;
use trousseau_service::{CollectFilter, Context, GivenBack, PaymentFilter, PaymentRow, ServiceError, Span};

use crate::ledgers::{Evm, Sent, World, chain, settings, token};
use crate::shop::{PRICE, Shop, done};
use trousseau_testkit::node::Word;

/// A network that accepts both, the second token being that of EURC.
fn both(evm: &Evm) -> NetworkSettings {
    let eurc = Token { asset: Asset::EURC, contract: evm.other };
    let mut network = settings(&[evm.node.url()], &[evm.token], &[]);
    network.tokens.push(eurc);
    network
}

async fn open() -> Option<(Shop, Evm)> {
    let evm = Evm::start().await?;
    let shop = Shop::open(Environment::Live, vec![both(&evm)]).await;
    let payout = evm.node.account(9).to_string();
    shop.app.payout_addresses().set(&Context::system(), &shop.tenant, "local", &payout).await.expect("set");
    shop.app.jobs().run_pending().await.expect("looked");
    Some((shop, evm))
}

fn price(asset: Asset) -> Money {
    Money::from_units(PRICE, asset).expect("a price")
}

async fn start(shop: &Shop, asset: Asset) -> PaymentRow {
    let shown = shop.shown_in(&shop.tenant, price(asset)).await.expect("made");
    done(shop.app.payments().start(&Context::system(), &shown, None, None).await.expect("started")).payment
}

/// Sends the price in a token, final at once, and has it seen.
async fn pay(shop: &Shop, evm: &mut Evm, payment: &PaymentRow, contract: EvmAddress) -> String {
    let to: EvmAddress = payment.destination.address.parse().expect("an address");
    let units = Word::from(u128::try_from(PRICE).expect("positive"));
    let data = token().data("transfer(address,uint256)", &[to.into(), units]);
    let from = evm.node.account(1);
    let hash = evm.request(from, contract, &data).await;
    evm.node.mine(3).await;
    shop.app.jobs().run_pending().await.expect("looked");
    hash
}

#[tokio::test]
async fn each_price_is_paid_by_its_own_token_only() {
    let Some((shop, mut evm)) = open().await else { return };
    let (usdc, eurc) = (evm.token, evm.other);
    for (asset, right, wrong) in [(Asset::USDC, usdc, eurc), (Asset::EURC, eurc, usdc)] {
        let payment = start(&shop, asset).await;
        let unmatched = shop.unmatched().await;
        let hash = pay(&shop, &mut evm, &payment, wrong).await;
        assert_eq!(shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0), "{asset}");
        assert_eq!(shop.unmatched().await, unmatched + 1, "{asset}: somebody is to look at it");
        let watched = shop.app.payments().get(&shop.tenant, payment.id).await.expect("there");
        assert!(watched.wrong_token, "{asset}");
        let refused = shop.app.payments().hand_in(&Context::system(), payment.id, &hash).await;
        assert!(matches!(refused, Err(ServiceError::TransactionRefused(_))), "{asset}: {refused:?}");
        pay(&shop, &mut evm, &payment, right).await;
        assert_eq!(shop.standing(payment.id).await, (St::Settled, Ex::None, PRICE, PRICE), "{asset}");
        let settled = shop.payment(payment.id).await.settled;
        assert_eq!(settled, price(asset));
    }
}

#[tokio::test]
async fn no_sum_mixes_two_currencies() {
    let Some((shop, mut evm)) = open().await else { return };
    let (usdc, eurc) = (evm.token, evm.other);
    let dollars = start(&shop, Asset::USDC).await;
    let euros = [start(&shop, Asset::EURC).await, start(&shop, Asset::EURC).await];
    pay(&shop, &mut evm, &dollars, usdc).await;
    for payment in &euros {
        pay(&shop, &mut evm, payment, eurc).await;
    }
    // What lies there beside, of the other token, belongs to no sum of payments.
    pay(&shop, &mut evm, &dollars, eurc).await;
    let twice = Money::from_units(2 * PRICE, Asset::EURC).expect("good");
    let mut sums = shop.app.payments().sum(&shop.tenant, &PaymentFilter::default()).await.expect("summed");
    sums.sort_by_key(|sum| sum.payments);
    let sums: Vec<_> = sums.into_iter().map(|sum| (sum.amount, sum.payments)).collect();
    assert_eq!(sums, [(price(Asset::USDC), 1), (twice, 2)]);
    let mut takings: Vec<_> = shop.app.payments().takings(&shop.tenant, 1).await.expect("listed");
    takings.sort_by_key(|row| row.takings.payments);
    let takings: Vec<_> = takings.into_iter().map(|row| row.takings.amount).collect();
    assert_eq!(takings, [price(Asset::USDC), twice]);
    // The books name each by its contract.
    let span = Span { from: None, before: None };
    let movements = shop.app.movements().list(&shop.tenant, span, None, 100).await.expect("listed").data;
    let told: Vec<_> = movements
        .iter()
        .map(|movement| (movement.asset.as_ref().and_then(|asset| asset.erc20()), movement.money))
        .collect();
    let (usdc_text, eurc_text) = (usdc.to_string(), eurc.to_string());
    assert_eq!(
        told,
        [
            (Some(usdc_text.as_str()), Some(price(Asset::USDC))),
            (Some(eurc_text.as_str()), Some(price(Asset::EURC))),
            (Some(eurc_text.as_str()), Some(price(Asset::EURC))),
            (Some(eurc_text.as_str()), Some(price(Asset::EURC))),
        ]
    );
    // What left and what lies there is compared token by token, and collected so.
    let compared = shop.app.reconciliations().run("local").await.expect("compared");
    assert_eq!((compared.run.outcome, compared.run.addresses), (Outcome::Agrees, 3));
    evm.node.deploy_factory().await;
    let filter = CollectFilter { business: None, environment: None };
    let plan = shop.app.payout_plans().plan(&chain(), &filter).await.expect("planned");
    let mut collected: Vec<_> = plan
        .transactions
        .iter()
        .filter_map(|step| match &step.purpose {
            Purpose::Collect(collection) => collection.money().map(|money| (money.asset().code(), money.units())),
            Purpose::DeployFactory => None,
        })
        .collect();
    collected.sort_unstable();
    assert_eq!(collected, [(Asset::EURC.code(), 3 * PRICE), (Asset::USDC.code(), PRICE)]);
    // A refund goes out in the token that came in.
    let draft = RefundDraft {
        of: GivenBack::Payment(euros[0].id),
        amount: None,
        destination: evm.node.account(7).to_string(),
        reason: None,
        metadata: Metadata::default(),
    };
    let refund = done(shop.app.refunds().create(&Context::system(), &shop.tenant, &draft, None).await.expect("made"));
    assert_eq!((refund.amount, refund.token), (price(Asset::EURC), Some(eurc)));
}

#[tokio::test]
async fn a_currency_that_nothing_accepts_has_no_price() {
    let Some((mut shop, evm)) = open().await else { return };
    let shown = shop.shown_in(&shop.tenant, price(Asset::EURC)).await.expect("accepted so far");
    let only_usdc = vec![settings(&[evm.node.url()], &[evm.token], &[])];
    shop.restart_with(only_usdc).await;
    let refused = shop.shown_in(&shop.tenant, price(Asset::EURC)).await;
    let Err(ServiceError::Invalid(problems)) = refused else { panic!("{refused:?}") };
    assert_eq!(problems[0].field, "currency");
    assert!(problems[0].message.contains("no network of LIVE: must be USDC"), "{problems:?}");
    // What was made before cannot be paid in something else.
    let refused = shop.app.payments().start(&Context::system(), &shown, None, None).await;
    assert!(matches!(refused, Err(ServiceError::NetworkNotConfigured)), "{refused:?}");
    assert!(shop.app.payments().networks(&shop.tenant, Asset::EURC).await.expect("listed").is_empty());
}

#[tokio::test]
async fn on_the_test_ledger_as_well() {
    let mut world = World::test().await;
    let shown = world.shop.shown_in(world.tenant(), price(Asset::EURC)).await.expect("accepted");
    let started = world.shop.app.payments().start(&Context::system(), &shown, None, None).await.expect("started");
    let payment = done(started).payment;
    world.send(&payment, u128::try_from(PRICE).expect("positive"), Sent::Wrong).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    world.send(&payment, u128::try_from(PRICE).expect("positive"), Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::None, PRICE, PRICE));
    let sums = world.shop.app.payments().sum(world.tenant(), &PaymentFilter::default()).await.expect("summed");
    assert_eq!(sums.iter().map(|sum| sum.amount).collect::<Vec<_>>(), [price(Asset::EURC)]);
}
