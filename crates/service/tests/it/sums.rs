//! What lies at deposit addresses: planned to be moved, and compared with what was counted.

use std::time::Duration;

use serde_json::json;
use trousseau_domain::environment::Environment;
use trousseau_domain::evm::{EvmAddress, FACTORY, print_bytes};
use trousseau_domain::ledger::LedgerId;
use trousseau_domain::reconciliation::{Gap, Outcome};
use trousseau_service::payments::payout_plans::{Collection, PayoutPlan, Purpose, WhyStuck};
use trousseau_service::reconciliations::Compared;
use trousseau_service::{CollectFilter, Context, ServiceError};
use trousseau_testkit::node::Word;

use crate::gauges::Gauges;
use crate::ledgers::{Sent, World, chain, token};
use crate::shop::{PRICE, Shop};

async fn plan(world: &World) -> PayoutPlan {
    let filter = CollectFilter { business: Some(world.tenant().business.clone()), environment: None };
    world.shop.app.payout_plans().plan(&chain(), &filter).await.expect("the node answers")
}

fn collections(plan: &PayoutPlan) -> Vec<&Collection> {
    let collection = plan.transactions.iter().filter_map(|transaction| match &transaction.purpose {
        Purpose::Collect(collection) => Some(collection),
        Purpose::DeployFactory => None,
    });
    collection.collect()
}

/// Sends what a plan says, from an account that has nothing to do with it.
async fn carry_out(world: &mut World, plan: &PayoutPlan) {
    let stranger = world.chain().node.account(7);
    for transaction in &plan.transactions {
        let node = &world.chain().node;
        let request = json!({
            "from": stranger,
            "to": transaction.to,
            "data": print_bytes(&transaction.data),
            "gas": format!("{:#x}", transaction.gas),
        });
        let hash = node.call("eth_sendTransaction", json!([request])).await;
        node.mine(1).await;
        let receipt = node.receipt(hash.as_str().expect("a hash")).await;
        assert_eq!(receipt["status"], "0x1", "{:?}: {receipt}", transaction.purpose);
    }
}

async fn balance(world: &mut World, of: EvmAddress) -> u128 {
    let evm = world.chain();
    let answer = evm.node.ask(evm.token, &token().data("balanceOf(address)", &[of.into()])).await;
    u128::from_be_bytes(answer[16..].try_into().expect("16 bytes"))
}

async fn compare(world: &World) -> Compared {
    world.shop.advance(Duration::from_secs(1));
    world.shop.app.reconciliations().run("local").await.expect("compared")
}

/// What a comparison came to, and how far the sums are apart.
fn found(compared: &Compared) -> (Outcome, Vec<Option<Gap>>) {
    (compared.run.outcome, compared.differences.iter().map(|row| row.sums.gap()).collect())
}

/// The deposit of the payment that has only one.
macro_rules! the_only_one {
    () => {
        "payment_id IN (SELECT payment_id FROM deposits GROUP BY payment_id HAVING COUNT(*) = 1)"
    };
}

#[tokio::test]
async fn a_plan_moves_everything_to_where_it_belongs_and_is_empty_then() {
    let Some(mut world) = World::evm().await else { return };
    let (old, new) = (world.chain().node.account(9), world.chain().node.account(8));
    let mut payments = Vec::new();
    for _ in 0..30 {
        payments.push(world.shop.start().await);
    }
    // Addresses that were given out go on paying the address that they were made for.
    let places = world.shop.app.payout_addresses();
    places.set(&Context::system(), world.tenant(), "local", &new.to_string()).await.expect("set");
    let latest = world.shop.start().await;
    assert_eq!(plan(&world).await.transactions, [], "nothing has come yet");
    for payment in &payments {
        world.send(payment, 12_500_000, Sent::Right).await;
    }
    world.send(&payments[0], 7, Sent::Wrong).await;
    world.send(&latest, 3, Sent::Right).await;
    world.mine(3).await;
    let first = plan(&world).await;
    assert_eq!(first.transactions[0].purpose, Purpose::DeployFactory);
    let mut told: Vec<_> = collections(&first)
        .iter()
        .map(|one| (one.payout, one.token.asset.is_some(), one.units, one.forwarders.len()))
        .collect();
    told.sort_unstable();
    let mut expected =
        vec![(old, true, 21 * 12_500_000, 21), (old, true, 9 * 12_500_000, 9), (old, false, 7, 1), (new, true, 3, 1)];
    expected.sort_unstable();
    assert_eq!(told, expected);
    carry_out(&mut world, &first).await;
    assert_eq!((balance(&mut world, old).await, balance(&mut world, new).await), (30 * 12_500_000, 3));
    let again = plan(&world).await;
    assert_eq!((again.transactions, again.stuck), (vec![], vec![]));
    // What comes late is planned again, for a contract that is there by now.
    world.send(&payments[4], 1, Sent::Right).await;
    world.mine(3).await;
    let late = plan(&world).await;
    let [collection] = collections(&late)[..] else { panic!("{late:?}") };
    assert_eq!((collection.units, collection.forwarders.len()), (1, 1));
    assert!(collection.forwarders[0].is_deployed);
    assert_eq!(collection.forwarders[0].payment, Some(payments[4].id));
    carry_out(&mut world, &late).await;
    assert_eq!(balance(&mut world, old).await, 30 * 12_500_000 + 1);
    world.mine(3).await;
    assert_eq!(found(&compare(&world).await), (Outcome::Agrees, vec![]));
    let elsewhere = CollectFilter { business: Some("somebody-else".parse().expect("an id")), environment: None };
    let others = world.shop.app.payout_plans().plan(&chain(), &elsewhere).await.expect("planned");
    assert_eq!(others.transactions, []);
}

#[tokio::test]
async fn one_blocked_address_keeps_no_other_from_being_emptied() {
    let Some(mut world) = World::evm().await else { return };
    world.chain().node.deploy_factory().await;
    let payments = [world.shop.start().await, world.shop.start().await, world.shop.start().await];
    for payment in &payments {
        world.send(payment, 5, Sent::Right).await;
    }
    world.mine(3).await;
    let blocked: EvmAddress = payments[1].destination.address.parse().expect("an address");
    let evm = world.chain();
    let (issuer, contract) = (evm.node.account(0), evm.token);
    let block = token().data("blockAddress(address,bool)", &[blocked.into(), Word::from(true)]);
    evm.node.send(issuer, Some(contract), &block).await;
    evm.node.mine(1).await;
    let planned = plan(&world).await;
    assert_eq!(collections(&planned).iter().map(|one| one.units).sum::<u128>(), 10);
    let [stuck] = &planned.stuck[..] else { panic!("{planned:?}") };
    assert_eq!((stuck.why, stuck.collection.forwarders[0].address), (WhyStuck::Refused, blocked));
    assert!(planned.transactions.iter().all(|transaction| transaction.to == *FACTORY));
    carry_out(&mut world, &planned).await;
    let payout = world.chain().node.account(9);
    assert_eq!(balance(&mut world, payout).await, 10);
}

#[tokio::test]
async fn sums_agree_until_something_was_missed_or_counted_twice() {
    let Some(mut world) = World::evm().await else { return };
    let (first, second) = (world.shop.start().await, world.shop.start().await);
    world.send(&first, 12_500_000, Sent::Right).await;
    world.send(&first, 9, Sent::Wrong).await;
    world.send(&second, 12_500_000, Sent::Right).await;
    world.mine(4).await;
    let compared = compare(&world).await;
    assert_eq!((found(&compared), compared.run.addresses), ((Outcome::Agrees, vec![]), 2));
    // What was collected has left, and is not missing.
    let planned = plan(&world).await;
    carry_out(&mut world, &planned).await;
    world.mine(4).await;
    assert_eq!(found(&compare(&world).await), (Outcome::Agrees, vec![]));
    // A transfer that was not seen, though it is collected by now; looking again finds it.
    let database = world.shop.database.clone();
    database.run(concat!("DELETE FROM deposits WHERE ", the_only_one!())).await.expect("deleted");
    let compared = compare(&world).await;
    assert_eq!(found(&compared), (Outcome::Differs, vec![Some(Gap::Missed(12_500_000))]));
    let row = &compared.differences[0];
    assert_eq!((row.payment, &row.address), (Some(second.id), &second.destination.address));
    assert_eq!((&row.tenant, row.sums.received, row.sums.sent, row.sums.balance), (world.tenant(), 0, 12_500_000, 0));
    world.look_again(60).await;
    assert_eq!(found(&compare(&world).await), (Outcome::Agrees, vec![]));
    // The same one counted twice.
    let copy = concat!(
        "INSERT INTO deposits (id, ledger, network, block, block_hash, log_index, transaction_hash, asset, sender, \
         address, raw_amount, units, block_time, canonical, business_id, environment, payment_id, seen_at, contract) \
         SELECT 'dep_00000000000000000000000000', ledger, network, block, block_hash, 999, transaction_hash, asset, \
         sender, address, raw_amount, units, block_time, canonical, business_id, environment, payment_id, seen_at, \
         contract FROM deposits WHERE ",
        the_only_one!()
    );
    database.run(copy).await.expect("inserted");
    assert_eq!(found(&compare(&world).await), (Outcome::Differs, vec![Some(Gap::Excess(12_500_000))]));
    let seen = world.shop.app.reconciliations().latest(Some(world.tenant()), 10).await.expect("read");
    assert_eq!(seen[0].differences.len(), 1);
    let other = trousseau_domain::environment::Tenant::new("other".parse().expect("an id"), world.tenant().environment);
    let others = world.shop.app.reconciliations().latest(Some(&other), 10).await.expect("read");
    assert_eq!(others[0].differences, [], "nobody sees the differences of others");
    // A node that does not answer proves nothing, and what was found before stays.
    world.chain().node.signal("KILL");
    let compared = compare(&world).await;
    assert_eq!(found(&compared), (Outcome::Incomplete, vec![]));
    // It may have been asked while it died, or after.
    assert!(compared.run.failure.is_some(), "{compared:?}");
    let seen = world.shop.app.reconciliations().latest(None, 10).await.expect("read");
    assert_eq!((seen[0].run.outcome, seen[0].differences.len()), (Outcome::Differs, 1));
    assert_eq!(seen[0].incomplete.as_ref().map(|run| run.outcome), Some(Outcome::Incomplete));
}

#[tokio::test]
async fn one_node_compares_once_a_night() {
    let Some(mut world) = World::evm().await else { return };
    let runs = async |shop: &Shop| {
        let ledger = LedgerId::Network(Environment::Live, chain());
        shop.database.store().read().list_reconciliations(&ledger, false, 100).await.expect("read").len()
    };
    let nightly = async |world: &World| world.shop.app.reconciliations().run_due().await.expect("the database answers");
    world.mine(4).await;
    nightly(&world).await;
    nightly(&world).await;
    assert_eq!(runs(&world.shop).await, 1);
    let payment = world.shop.start().await;
    world.send(&payment, 12_500_000, Sent::Right).await;
    world.mine(4).await;
    world.shop.advance(Duration::from_hours(24));
    // While another process is at it, nobody else begins.
    let ledger = LedgerId::Network(Environment::Live, chain());
    let now = world.shop.app.now();
    let mut tx = world.shop.database.store().begin().await.expect("begins");
    assert!(
        tx.hold_reconciliation(&ledger, "another", now, now.saturating_add(Duration::from_mins(5)))
            .await
            .expect("held")
    );
    tx.commit().await.expect("commits");
    let busy = world.shop.app.reconciliations().run("local").await;
    assert!(matches!(busy, Err(ServiceError::Conflict)), "{busy:?}");
    nightly(&world).await;
    assert_eq!(runs(&world.shop).await, 1);
    // It died: what it held runs out.
    world.shop.advance(Duration::from_mins(6));
    nightly(&world).await;
    assert_eq!(runs(&world.shop).await, 2);
    let seen = world.shop.app.reconciliations().latest(None, 10).await.expect("read");
    assert_eq!((seen[0].run.outcome, seen[0].run.addresses), (Outcome::Agrees, 1));
    assert_eq!(world.shop.payment(payment.id).await.settled.units(), PRICE);
}

#[tokio::test]
async fn every_node_tells_of_the_latest_comparison() {
    let Some(mut world) = World::evm().await else { return };
    let other = Shop::beside(&world.shop).await;
    let (first, second) = (Gauges::default(), Gauges::default());
    let says = |gauges: &Gauges| {
        ["trousseau_reconciliation_differences", "trousseau_reconciliation_finished_timestamp_seconds"]
            .map(|name| gauges.said(name))
    };
    let payment = world.shop.start().await;
    world.send(&payment, 12_500_000, Sent::Right).await;
    world.mine(4).await;
    first.during(Box::pin(world.shop.app.reconciliations().run_due())).await.expect("compared");
    second.during(Box::pin(other.reconciliations().run_due())).await.expect("read");
    let [differences, at] = says(&first);
    assert_eq!((differences.as_str(), at.is_empty()), ("0", false));
    assert_eq!(says(&second), says(&first), "a node that has compared nothing");
    // The next night it is the other one, and what it finds is to be heard from both.
    world.shop.database.run(concat!("DELETE FROM deposits WHERE ", the_only_one!())).await.expect("deleted");
    world.shop.advance(Duration::from_hours(24));
    second.during(Box::pin(other.reconciliations().run_due())).await.expect("compared");
    first.during(Box::pin(world.shop.app.reconciliations().run_due())).await.expect("read");
    let [differences, later] = says(&second);
    assert_eq!((differences.as_str(), later == at), ("1", false));
    assert_eq!(says(&first), says(&second), "a node that compared before");
}
