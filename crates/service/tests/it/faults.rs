//! Nodes as bad as they come, and what only a chain can do.

use std::time::{Duration, Instant};

use serde_json::json;
use trousseau_domain::evm::EvmAddress;
use trousseau_domain::ledger::{ConfirmationPolicy, Confirmations, WrongTransaction};
use trousseau_domain::money::Asset;
use trousseau_domain::payments::PaymentException as Ex;
use trousseau_domain::payments::PaymentStatus as St;
use trousseau_service::networks::{NetworkSettings, Token};
use trousseau_service::{Context, Destination, ServiceError};
use trousseau_store::DestinationRow;

use crate::gauges::Gauges;
use crate::ledgers::{Evm, Sent, World, chain, settings, token};
use crate::proxy::{Behaviour, Proxy};
use crate::shop::{PRICE, Shop};
use trousseau_testkit::node::{Word, fixture};

const ALL: u128 = 12_500_000;

/// A world whose node is asked through one proxy after another.
pub(crate) async fn behind_proxies(
    count: usize,
    adapt: impl FnOnce(&mut NetworkSettings),
) -> Option<(World, Vec<Proxy>)> {
    let evm = Evm::start().await?;
    let mut proxies = Vec::new();
    for _ in 0..count {
        proxies.push(Proxy::before(evm.node.port()).await);
    }
    let urls: Vec<_> = proxies.iter().map(Proxy::url).collect();
    let mut settings = settings(&urls, &[evm.token], &[evm.other]);
    settings.timeout = Duration::from_millis(500);
    adapt(&mut settings);
    Some((World::on(evm, vec![settings]).await, proxies))
}

fn settled(payment: (St, Ex, i64, i64)) -> bool {
    payment == (St::Settled, Ex::None, PRICE, PRICE)
}

#[tokio::test]
async fn several_logs_of_one_transaction_each_count_for_their_payment() {
    let Some(mut world) = World::evm().await else { return };
    let (one, two) = (world.shop.start().await, world.shop.start().await);
    let (to_one, to_two): (EvmAddress, EvmAddress) =
        (one.destination.address.parse().expect("an address"), two.destination.address.parse().expect("an address"));
    let batch = fixture("Batch");
    let evm = world.chain();
    let contract = evm.node.deploy(&batch.bytecode, &[]).await;
    let (payer, usdc) = (evm.node.account(1), evm.token);
    evm.request(payer, usdc, &token().data("approve(address,uint256)", &[contract.into(), Word([0xff; 32])])).await;
    let half = Word::from(ALL / 2);
    let words: [Word; 11] = [
        usdc.into(),
        Word::from(96),
        Word::from(224),
        Word::from(3),
        to_one.into(),
        to_two.into(),
        to_one.into(),
        Word::from(3),
        half,
        Word::from(ALL),
        half,
    ];
    evm.request(payer, contract, &batch.data("send(address,address[],uint256[])", &words)).await;
    world.mine(3).await;
    for payment in [&one, &two] {
        assert!(settled(world.shop.standing(payment.id).await), "{:?}", world.shop.standing(payment.id).await);
    }
    let deposits = world.shop.app.payments().deposits(world.tenant(), one.id).await.expect("listed");
    assert_eq!(deposits.len(), 2);
    assert_eq!(deposits[0].transfer.transaction_hash, deposits[1].transfer.transaction_hash);
}

#[tokio::test]
async fn a_contract_that_lies_is_not_the_token() {
    let Some(mut world) = World::evm().await else { return };
    let payment = world.shop.start().await;
    let to: EvmAddress = payment.destination.address.parse().expect("an address");
    let liar = fixture("Liar");
    let evm = world.chain();
    let contract = evm.node.deploy(&liar.bytecode, &[]).await;
    let from = evm.node.account(1);
    let hash = evm.request(from, contract, &liar.data("lie(address,uint256)", &[to.into(), ALL.into()])).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    // Anybody can emit an event: it would only litter the review list.
    assert_eq!(world.shop.unmatched().await, 0);
    let refused = world.shop.app.payments().hand_in(&Context::system(), payment.id, &hash).await;
    assert!(matches!(refused, Err(ServiceError::TransactionRefused(_))), "{refused:?}");
}

#[tokio::test]
async fn a_paused_token_moves_nothing_and_the_payment_waits() {
    let Some(mut world) = World::evm().await else { return };
    let payment = world.shop.start().await;
    let evm = world.chain();
    let (issuer, usdc) = (evm.node.account(0), evm.token);
    evm.node.send(issuer, Some(usdc), &token().data("pause(bool)", &[true.into()])).await;
    evm.node.mine(1).await;
    let hash = world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    let refused = world.shop.app.payments().hand_in(&Context::system(), payment.id, &hash).await;
    assert!(matches!(refused, Err(ServiceError::TransactionRefused(WrongTransaction::Failed))));
    let evm = world.chain();
    evm.node.send(issuer, Some(usdc), &token().data("pause(bool)", &[false.into()])).await;
    evm.node.mine(1).await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert!(settled(world.shop.standing(payment.id).await));
}

#[tokio::test]
async fn a_hash_that_is_handed_in_makes_us_look_now() {
    let Some(mut world) = World::evm().await else { return };
    let (payment, other) = (world.shop.start().await, world.shop.start().await);
    let payments = world.shop.app.clone();
    let hand_in = async |payment: &trousseau_service::PaymentRow, hash: &str| {
        payments.payments().hand_in(&Context::system(), payment.id, hash).await
    };
    let hash = world.send(&payment, ALL, Sent::Right).await;
    // Not in a block yet: it may come, and nobody has it for that.
    let waiting = hand_in(&payment, &hash).await.expect("taken as a hint");
    assert_eq!(waiting.payment.state.status, St::Open);
    assert!(matches!(hand_in(&other, &hash).await, Ok(watched) if watched.payment.state.status == St::Open));
    world.chain().node.mine(1).await;
    let seen = hand_in(&payment, &hash).await.expect("seen");
    assert_eq!(seen.payment.state.status, St::Processing);
    assert_eq!(hand_in(&payment, &hash).await.expect("the same again").payment, seen.payment);
    let refused = hand_in(&other, &hash).await;
    assert!(matches!(refused, Err(ServiceError::TransactionRefused(WrongTransaction::NotThisPayment))));
    let unknown = format!("0x{}", "12".repeat(32));
    assert_eq!(hand_in(&other, &unknown).await.expect("a hint").payment.state.status, St::Open);
    for bad in ["test_paid", "0x12", "evt_1"] {
        assert!(matches!(hand_in(&other, bad).await, Err(ServiceError::Invalid(_))), "{bad}");
    }
    // A block that is on no chain any more proves nothing.
    world.reorganise(1, false).await;
    let gone = hand_in(&payment, &hash).await.expect("a hint");
    assert_eq!(gone.payment.state.status, St::Open);
}

#[tokio::test]
async fn an_address_without_a_payment_is_found_by_what_paid_it() {
    let Some(mut world) = World::evm().await else { return };
    let context = Context::system();
    let payments = world.shop.app.clone();
    let spare = payments.payments().spare_address(&context, world.tenant(), "local").await.expect("given out");
    let (wanted, other) = (world.shop.shown(PRICE).await.expect("made"), world.shop.shown(PRICE).await.expect("made"));
    let to: EvmAddress = spare.address.parse().expect("an address");
    let evm = world.chain();
    let (payer, usdc) = (evm.node.account(1), evm.token);
    let hash = evm.request(payer, usdc, &token().data("transfer(address,uint256)", &[to.into(), ALL.into()])).await;
    let stray =
        evm.request(payer, usdc, &token().data("transfer(address,uint256)", &[usdc.into(), Word::from(1)])).await;
    let find = async |shown, hash: &str| payments.payments().for_transaction(&context, shown, "local", hash).await;
    // It is in no block yet, and no payment is made for a hope.
    assert_eq!(find(&wanted, &hash).await.expect("a hint"), None);
    assert_eq!(find(&wanted, "an-event-of-the-wallet").await.expect("a hint"), None);
    world.mine(1).await;
    assert_eq!(world.shop.unmatched().await, 1);
    let id = find(&wanted, &hash).await.expect("found").expect("a payment");
    assert_eq!(world.shop.standing(id).await, (St::Processing, Ex::None, PRICE, 0));
    assert_eq!(find(&wanted, &hash).await.expect("found"), Some(id));
    for (shown, hash) in [(&other, &hash), (&wanted, &stray)] {
        let refused = find(shown, hash).await;
        assert!(matches!(refused, Err(ServiceError::TransactionRefused(_))), "{refused:?}");
    }
    world.mine(2).await;
    assert!(settled(world.shop.standing(id).await));
    assert_eq!(world.shop.unmatched().await, 0);
}

#[tokio::test]
async fn a_head_that_goes_back_is_believed_once_a_hash_differs() {
    let Some(mut world) = World::evm().await else { return };
    let payment = world.shop.start().await;
    world.mine(2).await;
    let snapshot = world.chain().node.call("evm_snapshot", json!([])).await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(2).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Processing);
    world.chain().node.call("evm_revert", json!([snapshot])).await;
    world.look().await;
    // It could be a node that is behind: nothing is taken back for that.
    assert_eq!(world.shop.standing(payment.id).await.0, St::Processing);
    world.chain().node.call("evm_increaseTime", json!([7])).await;
    world.mine(1).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert!(settled(world.shop.standing(payment.id).await));
}

#[tokio::test]
async fn an_endpoint_that_is_behind_takes_nothing_back() {
    let Some((mut world, proxies)) = behind_proxies(2, |_| {}).await else { return };
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert!(settled(world.shop.standing(payment.id).await));
    let height = world.chain().node.height().await;
    proxies[0].behave(Behaviour::Behind, height - 2);
    world.look().await;
    assert!(settled(world.shop.standing(payment.id).await));
    // The other endpoint has what comes next.
    let next = world.shop.start().await;
    world.send(&next, ALL, Sent::Right).await;
    world.mine(3).await;
    assert!(settled(world.shop.standing(next.id).await));
    let (_, health) = world.shop.app.networks().health().remove(0);
    assert_eq!((health.endpoint, health.reorganisations), (Some(1), 0));
    // Both behind: we wait.
    proxies[1].behave(Behaviour::Behind, height - 2);
    world.look().await;
    assert!(settled(world.shop.standing(next.id).await));
}

#[tokio::test]
async fn logs_of_blocks_that_a_node_lacks_are_not_taken_for_none() {
    let Some((mut world, proxies)) = behind_proxies(1, |_| {}).await else { return };
    let payment = world.shop.start().await;
    world.mine(1).await;
    world.chain().node.mine(30).await;
    world.send(&payment, ALL, Sent::Right).await;
    world.chain().node.mine(1).await;
    let height = world.chain().node.height().await;
    proxies[0].behave(Behaviour::LogsBehind, height - 1);
    world.look().await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Processing, Ex::None, PRICE, 0));
    proxies[0].behave(Behaviour::Honest, 0);
    world.mine(2).await;
    assert!(settled(world.shop.standing(payment.id).await));
}

#[tokio::test]
async fn whoever_fails_is_passed_over_and_asked_again_later() {
    let Some((mut world, proxies)) = behind_proxies(2, |_| {}).await else { return };
    for behaviour in [Behaviour::Hung, Behaviour::Gone, Behaviour::Nonsense, Behaviour::Limited, Behaviour::Mixed] {
        proxies[0].behave(behaviour, 0);
        world.shop.restart().await;
        let payment = world.shop.start().await;
        world.send(&payment, ALL, Sent::Right).await;
        let started = Instant::now();
        world.mine(3).await;
        assert!(settled(world.shop.standing(payment.id).await), "{behaviour:?}");
        assert!(started.elapsed() < Duration::from_secs(4), "{behaviour:?}");
        proxies[0].counted();
        // It rests: the next look does not even ask.
        world.mine(1).await;
        assert_eq!(proxies[0].counted(), (0, 0), "{behaviour:?}");
    }
    // None of them answers: nothing changes, and nothing is lost.
    let payment = world.shop.start().await;
    for proxy in &proxies {
        proxy.behave(Behaviour::Gone, 0);
    }
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Open);
    let (_, health) = world.shop.app.networks().health().remove(0);
    assert!(health.failure.is_some());
    for proxy in &proxies {
        proxy.behave(Behaviour::Honest, 0);
    }
    world.look().await;
    assert!(settled(world.shop.standing(payment.id).await));
}

#[tokio::test]
async fn a_stopped_process_is_no_more_than_a_slow_one() {
    let Some(mut world) = World::evm().await else { return };
    let mut settings = settings(&[world.chain().node.url()], &[world.chain().token], &[]);
    settings.timeout = Duration::from_millis(300);
    world.shop.restart_with(vec![settings]).await;
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(2).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Processing);
    world.chain().node.signal("STOP");
    let started = Instant::now();
    world.look().await;
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(world.shop.standing(payment.id).await.0, St::Processing);
    world.chain().node.signal("CONT");
    world.mine(1).await;
    assert!(settled(world.shop.standing(payment.id).await));
}

#[tokio::test]
async fn ranges_and_batches_are_as_large_as_the_node_takes() {
    for behaviour in [Behaviour::ShortRanges, Behaviour::NoBatches] {
        let Some((mut world, proxies)) = behind_proxies(1, |_| {}).await else { return };
        let payment = world.shop.start().await;
        // Far behind, so that whole ranges have to be read.
        world.chain().node.mine(150).await;
        world.send(&payment, ALL / 2, Sent::Right).await;
        world.chain().node.mine(250).await;
        world.send(&payment, ALL / 2, Sent::Right).await;
        world.chain().node.mine(150).await;
        proxies[0].behave(behaviour, 7);
        world.mine(1).await;
        assert!(settled(world.shop.standing(payment.id).await), "{behaviour:?}");
        let deposits = world.shop.app.payments().deposits(world.tenant(), payment.id).await.expect("listed");
        assert_eq!(deposits.len(), 2, "{behaviour:?}");
        // Once learned, a look at a few blocks costs what it should; now and then more is tried at once.
        let mut looks = Vec::new();
        for _ in 0..3 {
            proxies[0].counted();
            world.look().await;
            looks.push(proxies[0].counted());
        }
        let (requests, calls) = looks.into_iter().min().expect("three of them");
        assert_eq!(calls, 2, "{behaviour:?}");
        assert_eq!(requests, if behaviour == Behaviour::NoBatches { 2 } else { 1 });
    }
}

#[tokio::test]
async fn a_restart_anywhere_loses_nothing_and_credits_nothing_twice() {
    let Some(mut world) = World::evm().await else { return };
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(1).await;
    world.shop.restart().await;
    // What comes while nobody looks, and a fork meanwhile.
    world.chain().node.mine(1).await;
    world.reorganise_unseen(1).await;
    world.shop.restart().await;
    world.mine(2).await;
    assert!(settled(world.shop.standing(payment.id).await));
    let told = world.shop.told(payment.id).await;
    // As if nothing had ever been seen: the whole chain once more.
    world.shop.database.run("DELETE FROM ledger_blocks").await.expect("deleted");
    world.shop.database.run("DELETE FROM ledger_cursors").await.expect("deleted");
    world.shop.restart().await;
    world.look().await;
    world.mine(1).await;
    assert!(settled(world.shop.standing(payment.id).await));
    assert_eq!(world.shop.told(payment.id).await, told);
    let deposits = world.shop.app.payments().deposits(world.tenant(), payment.id).await.expect("listed");
    assert_eq!(deposits.len(), 1);
}

#[tokio::test]
async fn a_fork_right_after_a_long_absence_is_followed() {
    let Some(mut world) = World::evm().await else { return };
    let payment = world.shop.start().await;
    world.mine(1).await;
    // More blocks than are remembered go by while nobody looks, and the last one pays.
    world.chain().node.mine(700).await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(1).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Processing);
    world.reorganise(2, false).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert!(settled(world.shop.standing(payment.id).await));
}

#[tokio::test]
async fn what_was_missed_is_found_by_looking_again_with_its_own_time() {
    let Some(mut world) = World::evm().await else { return };
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    let paid = world.shop.app.payments().deposits(world.tenant(), payment.id).await.expect("listed");
    // As if a node had kept it from us.
    world.shop.database.run("DELETE FROM deposits").await.expect("deleted");
    world.shop.database.run("UPDATE payments SET status = 'open', amount_seen = 0").await.expect("changed");
    world.chain().node.call("evm_increaseTime", json!([1_800])).await;
    world.mine(1).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Open);
    world.look_again(50).await;
    assert!(settled(world.shop.standing(payment.id).await));
    let found = world.shop.app.payments().deposits(world.tenant(), payment.id).await.expect("listed");
    assert_eq!((found[0].block_time, &found[0].transfer), (paid[0].block_time, &paid[0].transfer));
}

#[tokio::test]
async fn more_addresses_than_a_question_holds_are_found_in_all_transfers() {
    let Some((mut world, proxies)) = behind_proxies(1, |_| {}).await else { return };
    let payment = world.shop.start().await;
    let mut tx = world.shop.database.store().begin().await.expect("begins");
    for number in 0u16..1_100 {
        let mut bytes = [0; 20];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let row = DestinationRow {
            destination: Destination {
                address: EvmAddress::from_bytes(bytes).to_string(),
                ..payment.destination.clone()
            },
            tenant: world.tenant().clone(),
            payment: None,
            forwarder: None,
            child: None,
            created_at: payment.created_at,
        };
        tx.insert_destination(&row).await.expect("inserted");
    }
    tx.commit().await.expect("commits");
    world.shop.restart().await;
    proxies[0].counted();
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert!(settled(world.shop.standing(payment.id).await));
}

#[tokio::test]
async fn large_amounts_wait_for_the_chain_to_call_them_final() {
    let bands = vec![(0, Confirmations::Blocks(2)), (100, Confirmations::Finalized)];
    let policy = ConfirmationPolicy::new(bands).expect("bands");
    let Some((mut world, proxies)) = behind_proxies(1, |settings| settings.confirmations = policy).await else {
        return;
    };
    let small = world.shop.start().await;
    let large = world.shop.start_at(100_000_000).await.expect("started");
    world.send(&small, ALL, Sent::Right).await;
    world.send(&large, 100_000_000, Sent::Right).await;
    world.mine(2).await;
    assert_eq!(world.shop.standing(small.id).await.0, St::Settled);
    // With one slot per epoch, what is final lies two blocks behind.
    assert_eq!(world.shop.standing(large.id).await.0, St::Processing);
    proxies[0].behave(Behaviour::NoMarks, 0);
    world.mine(3).await;
    assert_eq!(world.shop.standing(large.id).await.0, St::Processing);
    proxies[0].behave(Behaviour::Honest, 0);
    world.mine(1).await;
    assert_eq!(world.shop.standing(large.id).await.0, St::Settled);
}

#[tokio::test]
async fn fewer_confirmations_settle_what_was_seen_under_more() {
    let Some(evm) = Evm::start().await else { return };
    let [many, few] = [12, 3].map(|blocks| NetworkSettings {
        confirmations: ConfirmationPolicy::every(Confirmations::Blocks(blocks)),
        ..settings(&[evm.node.url()], &[evm.token], &[])
    });
    let mut world = World::on(evm, vec![many]).await;
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(6).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Processing, Ex::None, PRICE, 0));
    world.shop.restart_with(vec![few]).await;
    world.mine(1).await;
    assert!(settled(world.shop.standing(payment.id).await));
}

#[tokio::test]
async fn a_network_that_is_not_what_the_settings_say_refuses_to_run() {
    let Some((world, proxies)) = behind_proxies(2, |_| {}).await else { return };
    let evm = world.evm.as_ref().expect("on a chain");
    world.shop.app.networks().check().await.expect("as the settings say");
    let found = async |adapt: &dyn Fn(&mut NetworkSettings)| {
        let mut settings = settings(&[proxies[0].url(), proxies[1].url()], &[evm.token], &[]);
        adapt(&mut settings);
        let shop = Shop::open(trousseau_domain::environment::Environment::Live, vec![settings]).await;
        shop.app.networks().check().await.expect_err("a mismatch").to_string()
    };
    let chain = found(&|settings| settings.chain = "eip155:1".parse().expect("a chain")).await;
    assert!(chain.starts_with("networks.local.endpoints: endpoint 1 is a node of eip155:31337"), "{chain}");
    let nowhere = EvmAddress::from_bytes([7; 20]);
    let code = found(&|settings| settings.tokens = vec![Token { asset: Asset::USDC, contract: nowhere }]).await;
    assert!(code.starts_with("networks.local.tokens.USDC.contract: there is no contract"), "{code}");
    let decimals = found(&|settings| {
        let asset = Asset::new(Asset::USDC.code(), 18).expect("an asset");
        settings.tokens = vec![Token { asset, contract: evm.token }];
    })
    .await;
    assert!(decimals.starts_with("networks.local.tokens.USDC.decimals"), "{decimals}");
    // The second endpoint is looked at too, and is never used by mistake.
    proxies[1].behave(Behaviour::OtherChain, 0);
    let second = found(&|_| {}).await;
    assert!(second.contains("endpoint 2 is a node of eip155:1"), "{second}");
    // One that does not answer keeps nobody from starting.
    proxies[1].behave(Behaviour::Gone, 0);
    let settings = settings(&[proxies[0].url(), proxies[1].url()], &[evm.token], &[]);
    let shop = Shop::open(trousseau_domain::environment::Environment::Live, vec![settings]).await;
    shop.app.networks().check().await.expect("one answers");
}

#[tokio::test]
async fn what_is_missing_for_a_live_payment_is_named() {
    let none = Shop::open(trousseau_domain::environment::Environment::Live, Vec::new()).await;
    assert!(matches!(none.try_start().await, Err(ServiceError::NetworkNotConfigured)));
    let Some(evm) = Evm::start().await else { return };
    let settings = settings(&[evm.node.url()], &[evm.token], &[]);
    let shop = Shop::open(trousseau_domain::environment::Environment::Live, vec![settings]).await;
    assert!(matches!(shop.try_start().await, Err(ServiceError::PayoutAddressMissing(network)) if network == chain()));
    let set = async |network: &'static str, address: String| {
        shop.app.payout_addresses().set(&Context::system(), &shop.tenant, network, &address).await
    };
    let zero = EvmAddress::from_bytes([0; 20]);
    for bad in [zero.to_string(), evm.token.to_string(), "0x12".to_owned(), String::new()] {
        assert!(matches!(set("local", bad.clone()).await, Err(ServiceError::Invalid(_))), "{bad}");
    }
    let payout = evm.node.account(9);
    assert!(matches!(set("base", payout.to_string()).await, Err(ServiceError::Invalid(_))));
    set("eip155:31337", payout.to_string()).await.expect("set");
    // What would be paid before the first look could be missed.
    assert!(matches!(shop.try_start().await, Err(ServiceError::NetworkUnavailable(_))));
    shop.app.jobs().run_pending().await.expect("looked");
    let payment = shop.start().await;
    assert!(payment.destination.address.parse::<EvmAddress>().is_ok());
    assert_ne!(payment.destination.address, shop.start().await.destination.address);
    // Another payout address is for what comes from now on.
    set("local", evm.node.account(8).to_string()).await.expect("set");
    let place = shop.database.store().read().find_destination(&payment.destination).await.expect("read");
    assert_eq!(place.expect("there").forwarder.expect("a forwarder").payout, payout);
    assert_eq!(shop.app.payout_addresses().list(&shop.tenant).await.expect("listed").len(), 1);
}

#[tokio::test]
async fn one_node_watches_and_another_takes_over() {
    let Some(mut world) = World::evm().await else { return };
    let other = Shop::beside(&world.shop).await;
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Right).await;
    world.chain().node.mine(3).await;
    // The watch is taken.
    other.jobs().run_pending().await.expect("nothing to do");
    assert_eq!(world.shop.standing(payment.id).await.0, St::Open);
    // It runs out.
    world.shop.advance(Duration::from_secs(31));
    other.jobs().run_pending().await.expect("looked");
    assert!(settled(world.shop.standing(payment.id).await));
}

#[tokio::test]
async fn the_job_sees_by_itself_and_lets_go_at_the_end() {
    let Some(mut world) = World::evm().await else { return };
    let app = Shop::beside(&world.shop).await;
    world.shop.advance(Duration::from_secs(31));
    let gauges = Gauges::default();
    let told_here = gauges.here();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn({
        let jobs = app.jobs().clone();
        async move { jobs.run(stopped).await }
    });
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Right).await;
    world.chain().node.mine(3).await;
    let seen = async {
        while !settled(world.shop.standing(payment.id).await) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), seen).await.expect("in time");
    let (_, health) = app.networks().health().remove(0);
    assert_eq!((health.seen, health.failure, health.is_stale), (health.height, None, false));
    // The network stands still, and that is noticed without anything else being wrong.
    world.shop.advance(Duration::from_mins(11));
    let stale = async {
        while !app.networks().health()[0].1.is_stale {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), stale).await.expect("in time");
    assert_eq!(gauges.said("trousseau_network_watched"), "1");
    stop.send(true).expect("running");
    running.await.expect("ends");
    assert_eq!(gauges.said("trousseau_network_watched"), "0", "what it told is withdrawn with the watch");
    drop(told_here);
    // Whoever comes next need not wait for the lease to run out.
    let next = world.shop.start().await;
    world.send(&next, ALL, Sent::Right).await;
    world.mine(3).await;
    assert!(settled(world.shop.standing(next.id).await));
}
