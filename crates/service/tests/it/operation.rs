//! What an operator sees of networks, and what they do about them.

use std::time::Duration;

use serde_json::json;
use trousseau_domain::ledger::Moved;
use trousseau_domain::payments::PaymentException as Ex;
use trousseau_domain::payments::PaymentStatus as St;
use trousseau_domain::refunds::RefundStatus;
use trousseau_service::networks::{Condition, Late, WatchedAddresses};
use trousseau_service::payments::test_ledger::TestCommand;
use trousseau_service::{Context, GivenBack, PaymentRow, ServiceError};

use crate::faults::behind_proxies;
use crate::gauges::Gauges;
use crate::ledgers::{Evm, Sent, World, settings};
use crate::proxy::Behaviour;
use crate::shop::{PRICE, Shop};

const ALL: u128 = 12_500_000;

async fn condition(world: &World) -> Condition {
    world.shop.app.networks().states(&Context::system()).await.expect("read").remove(0).condition
}

async fn is_delayed(world: &World, payment: &PaymentRow) -> bool {
    world.shop.app.payments().get_shown(payment.id).await.expect("there").delayed
}

#[tokio::test]
async fn a_reorganisation_beyond_all_that_is_kept_is_followed_by_reading_once_more() {
    let Some(mut world) = World::evm().await else { return };
    let before = world.shop.start().await;
    world.send(&before, ALL, Sent::Right).await;
    world.mine(3).await;
    let snapshot = world.chain().node.call("evm_snapshot", json!([])).await;
    let (gone, again) = (world.shop.start().await, world.shop.start().await);
    world.send(&gone, ALL, Sent::Right).await;
    world.send(&again, ALL, Sent::Right).await;
    world.mine(3).await;
    let settled = (St::Settled, Ex::None, PRICE, PRICE);
    for payment in [&before, &gone, &again] {
        assert_eq!(world.shop.standing(payment.id).await, settled);
    }
    world.mine(600).await;
    let told = (world.shop.told(before.id).await, world.shop.told(again.id).await);
    // Another chain from there on, longer, on which one of the two was sent as well.
    world.chain().node.call("evm_revert", json!([snapshot])).await;
    world.chain().node.call("evm_increaseTime", json!([7])).await;
    world.send(&again, ALL, Sent::Right).await;
    world.chain().node.mine(650).await;
    world.look().await;
    let (_, health) = world.shop.app.networks().health().remove(0);
    assert!(health.failure.is_some_and(|failure| failure.contains("no block in common")));
    assert_eq!(world.shop.standing(gone.id).await, settled, "nothing is taken back by itself");

    let app = world.shop.app.clone();
    let rescan = async |from| app.networks().rescan(&Context::system(), "local", from).await;
    let height = world.chain().node.height().await;
    let too_high = rescan(Some(height)).await;
    assert!(matches!(too_high, Err(ServiceError::Invalid(_))), "{too_high:?}");
    let done = rescan(None).await.expect("read");
    assert_eq!((done.to_block, done.transfers, done.changed), (height, 1, 2), "{done:?}");
    assert_eq!(world.shop.standing(gone.id).await, (St::Reversed, Ex::None, 0, 0));
    for payment in [&before, &again] {
        assert_eq!(world.shop.standing(payment.id).await, settled);
    }
    assert_eq!((world.shop.told(before.id).await, world.shop.told(again.id).await), told);
    let actions = "SELECT action FROM audit_entries WHERE action = 'network.rescanned'";
    assert_eq!(world.shop.database.texts(actions).await.len(), 1);
    // The watch goes on, and once more from the start credits nothing twice.
    let next = world.shop.start().await;
    world.send(&next, ALL, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(next.id).await, settled);
    // What was given back stays given back, and nobody is told once more.
    let refund = world.refund(GivenBack::Payment(next.id), None).await.expect("asked for");
    let hash = world.send_to(&refund.destination, ALL, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.hand_in(&refund, &hash).await.expect("carried out").status, RefundStatus::Succeeded);
    let given_back = (world.refunded(&refund).await, world.shop.told(next.id).await);
    let once_more = rescan(Some(1)).await.expect("read");
    assert_eq!((world.refunded(&refund).await, world.shop.told(next.id).await), given_back);
    assert_eq!((once_more.from_block, once_more.transfers, once_more.changed), (1, 3, 0), "{once_more:?}");
    let deposits = world.shop.app.payments().deposits(world.tenant(), again.id).await.expect("listed");
    assert_eq!(deposits.iter().filter(|deposit| deposit.canonical).count(), 1);
    assert_eq!(world.shop.standing(next.id).await.0, St::Refunded);
}

#[tokio::test]
async fn where_nothing_parted_a_place_to_begin_is_asked_for() {
    let Some(mut world) = World::evm().await else { return };
    world.mine(2).await;
    let networks = world.shop.app.networks();
    let nowhere = networks.rescan(&Context::system(), "local", None).await;
    assert!(matches!(nowhere, Err(ServiceError::Invalid(_))), "{nowhere:?}");
    let unknown = networks.rescan(&Context::system(), "elsewhere", Some(1)).await;
    assert!(matches!(unknown, Err(ServiceError::Invalid(_))), "{unknown:?}");
}

#[tokio::test]
async fn addresses_that_nothing_is_expected_on_are_asked_for_seldom_and_lose_nothing() {
    let late = Late { after: Duration::from_mins(1), every: Duration::from_mins(10) };
    let Some((mut world, _proxies)) = behind_proxies(1, |settings| settings.late = late).await else { return };
    let (paid, expired) = (world.shop.start().await, world.shop.start().await);
    world.send(&paid, ALL, Sent::Right).await;
    world.mine(3).await;
    world.pass(Duration::from_hours(2)).await;
    assert_eq!(world.shop.standing(expired.id).await.0, St::Expired);
    world.shop.advance(Duration::from_mins(11));
    world.look().await;
    let watched = |world: &World| world.shop.app.networks().health().remove(0).1.watched;
    assert_eq!(watched(&world), WatchedAddresses { close: 0, late: 2, whole_token: false });
    // Money comes too late, and more than was asked for. Nobody looks for it at once.
    world.send(&expired, ALL, Sent::Right).await;
    world.send(&paid, 1, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(expired.id).await, (St::Expired, Ex::None, 0, 0));
    // It is found with the blocks that were passed over, also after a restart in between, and counts once.
    world.shop.restart().await;
    world.shop.advance(Duration::from_mins(11));
    world.look().await;
    world.shop.advance(Duration::from_mins(11));
    world.look().await;
    let (status, exception, seen, _) = world.shop.standing(expired.id).await;
    assert_eq!((status, exception, seen), (St::Settled, Ex::Late, PRICE));
    assert_eq!(world.shop.standing(paid.id).await.2, PRICE + 1);
    for (payment, count) in [(&expired, 1), (&paid, 2)] {
        let deposits = world.shop.app.payments().deposits(world.tenant(), payment.id).await.expect("listed");
        assert_eq!(deposits.len(), count);
        assert!(deposits.iter().all(|deposit| deposit.transfer.asset == Moved::Accepted));
    }
    // What is expected is asked for at once all the while.
    let next = world.shop.start().await;
    world.send(&next, ALL, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(next.id).await.0, St::Settled);
    assert_eq!(watched(&world), WatchedAddresses { close: 1, late: 2, whole_token: false });
}

#[tokio::test]
async fn a_hash_that_is_handed_in_wakes_the_watcher() {
    let Some(evm) = Evm::start().await else { return };
    let mut settings = settings(&[evm.node.url()], &[evm.token], &[]);
    settings.poll = Duration::from_mins(10);
    let mut world = World::on(evm, vec![settings]).await;
    let app = Shop::beside(&world.shop).await;
    // The watch of the first process runs out.
    world.shop.advance(Duration::from_mins(31));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn({
        let jobs = app.jobs().clone();
        async move { jobs.run(stopped).await }
    });
    let payment = world.shop.start().await;
    while app.networks().health()[0].1.looked_at.is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let hash = world.send(&payment, ALL, Sent::Right).await;
    let waiting = app.payments().hand_in(&Context::system(), payment.id, &hash).await.expect("a hint");
    assert_eq!(waiting.payment.state.status, St::Open);
    world.chain().node.mine(3).await;
    let seen = async {
        while world.shop.standing(payment.id).await.0 != St::Settled {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.expect("long before the next look is due");
    stop.send(true).expect("running");
    running.await.expect("ends");
}

#[tokio::test]
async fn payers_are_told_while_a_network_is_seen_late_and_nothing_expires() {
    let Some((mut world, proxies)) = behind_proxies(1, |_| {}).await else { return };
    let payment = world.shop.start().await;
    world.mine(1).await;
    assert_eq!((condition(&world).await, is_delayed(&world, &payment).await), (Condition::Well, false));
    // It stands still, for longer than the payment has.
    world.stand_still(Duration::from_hours(2)).await;
    assert_eq!((condition(&world).await, is_delayed(&world, &payment).await), (Condition::Stale, true));
    assert_eq!(world.shop.standing(payment.id).await.0, St::Open);
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Settled, "in time by the blocks");
    world.chain().node.call("evm_increaseTime", json!([7_200])).await;
    world.mine(1).await;
    assert_eq!((condition(&world).await, is_delayed(&world, &payment).await), (Condition::Well, false));
    // No endpoint answers: the payer hears of it after a moment, on every node.
    proxies[0].behave(Behaviour::Gone, 0);
    world.look().await;
    assert!(!is_delayed(&world, &payment).await);
    world.shop.advance(Duration::from_secs(11));
    assert_eq!((condition(&world).await, is_delayed(&world, &payment).await), (Condition::Failing, true));
    let other = Shop::beside(&world.shop).await;
    assert!(other.payments().get_shown(payment.id).await.expect("there").delayed);
    let report = other.networks().states(&Context::system()).await.expect("read").remove(0).report;
    let (health, _) = report.expect("written down");
    assert!(health.endpoints[0].failures >= 1);
    assert!(health.endpoints[0].last_error.is_some() && health.endpoints[0].checked_at.is_some());
    proxies[0].behave(Behaviour::Honest, 0);
    world.look().await;
    assert_eq!((condition(&world).await, is_delayed(&world, &payment).await), (Condition::Well, false));
    // Nobody watches any more.
    world.shop.advance(Duration::from_mins(3));
    assert_eq!(condition(&world).await, Condition::Unwatched);
}

#[tokio::test]
async fn a_node_that_watches_no_more_tells_nothing_of_a_network() {
    let Some((world, proxies)) = behind_proxies(1, |_| {}).await else { return };
    let other = Shop::beside(&world.shop).await;
    let (first, second) = (Gauges::default(), Gauges::default());
    let says =
        |gauges: &Gauges| ["trousseau_network_watched", "trousseau_network_failing"].map(|name| gauges.said(name));
    let (one, two) = (world.shop.app.jobs(), other.jobs());
    first.during(Box::pin(one.run_pending())).await.expect("looked");
    second.during(Box::pin(two.run_pending())).await.expect("nothing to do");
    assert_eq!((says(&first), says(&second)), (["1", "0"].map(str::to_owned), ["0", "NaN"].map(str::to_owned)));
    proxies[0].behave(Behaviour::Gone, 0);
    first.during(Box::pin(one.run_pending())).await.expect("tried");
    assert_eq!(says(&first), ["1", "1"]);
    // Another one takes over, for which the endpoint is as bad, and then well again.
    world.shop.advance(Duration::from_secs(31));
    second.during(Box::pin(two.run_pending())).await.expect("tried");
    first.during(Box::pin(one.run_pending())).await.expect("nothing to do");
    assert_eq!(says(&second), ["1", "1"]);
    proxies[0].behave(Behaviour::Honest, 0);
    second.during(Box::pin(two.run_pending())).await.expect("looked");
    assert_eq!(says(&second), ["1", "0"]);
    let left = first.all();
    let left = left.iter().filter(|(name, _)| name.starts_with("trousseau_network_"));
    for (name, value) in left {
        assert_eq!(value, if name == "trousseau_network_watched" { "0" } else { "NaN" }, "{name}");
    }
}

#[tokio::test]
async fn the_ledger_of_test_is_seen_late_while_it_is_halted() {
    let world = World::test().await;
    let payment = world.shop.start().await;
    for (command, delayed) in [(TestCommand::Halt, true), (TestCommand::Resume, false)] {
        let ledgers = world.shop.app.test_ledgers();
        ledgers.run(&Context::system(), &world.shop.tenant, &command, None).await.expect("done");
        assert_eq!(is_delayed(&world, &payment).await, delayed);
    }
}

#[tokio::test]
async fn endpoints_that_are_not_in_use_are_asked_how_far_they_are() {
    let Some((mut world, proxies)) = behind_proxies(2, |_| {}).await else { return };
    world.mine(5).await;
    let height = world.chain().node.height().await;
    proxies[1].behave(Behaviour::Behind, height - 3);
    let (_, health) = world.shop.app.networks().probe("local").await.expect("asked");
    let lags: Vec<_> = health.endpoints.iter().map(|endpoint| health.lag(endpoint)).collect();
    assert_eq!(lags, [Some(0), Some(3)]);
    proxies[1].behave(Behaviour::Gone, 0);
    let (_, health) = world.shop.app.networks().probe("local").await.expect("asked");
    assert_eq!((health.endpoints[0].failures, health.endpoints[1].failures), (0, 1));
    // Depth and number of reorganisations are kept, whoever looks.
    world.reorganise(2, false).await;
    world.mine(1).await;
    let state = world.shop.app.networks().states(&Context::system()).await.expect("read").remove(0);
    let cursor = state.cursor.expect("seen");
    assert_eq!((cursor.reorganisations, cursor.deepest), (1, 2));
}
