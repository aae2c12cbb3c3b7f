//! What every ledger has to come to: one list, run on each.

use std::sync::Arc;
use std::time::Duration;

use trousseau_domain::ids::DepositId;
use trousseau_domain::ledger::{Moved, RawAmount, Transfer};
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payments::PaymentException as Ex;
use trousseau_domain::payments::PaymentStatus as St;
use trousseau_domain::payments::Verdict;
use trousseau_domain::refunds::{RefundFailure, RefundStatus};
use trousseau_service::{Context, DepositRow, Destination, GivenBack, PaymentRow, ServiceError};

use trousseau_store::both_engines;

use crate::ledgers::{Sent, World};
use crate::shop::{PRICE, done};

const ALL: u128 = 12_500_000;

macro_rules! on_every_ledger {
    ($($name:ident),+ $(,)?) => {
        mod test_ledger {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&mut super::World::test().await).await;
            })+
        }

        mod evm {
            $(#[tokio::test]
            async fn $name() {
                let Some(mut world) = super::World::evm().await else { return };
                super::$name(&mut world).await;
            })+
        }

        /// The same chain, bound to TEST: payments go there as they do in LIVE.
        mod test_network {
            $(#[tokio::test]
            async fn $name() {
                let Some(mut world) = super::World::test_network().await else { return };
                super::$name(&mut world).await;
            })+
        }

        /// The same chain, where the addresses are those of the business's own wallet.
        mod wallet {
            $(#[tokio::test]
            async fn $name() {
                let Some(mut world) = super::World::wallet().await else { return };
                super::$name(&mut world).await;
            })+
        }
    };
}

on_every_ledger!(
    paid,
    topped_up,
    over,
    more_after_it_was_paid,
    one_base_unit_short,
    under,
    late,
    nobody_paid,
    several_transfers_in_one_block,
    wrong_token,
    nothing_is_not_a_payment,
    more_than_64_bits,
    reverted,
    dropped,
    dropped_and_included_again,
    taken_back_after_it_was_final,
    halted,
    looked_at_again,
    given_back_in_parts,
    given_back_by_something_else,
    given_back_twice_by_one_transaction,
    a_refund_that_is_taken_back,
    a_refund_that_never_comes,
    a_deposit_that_is_given_back,
    a_refund_whose_payment_is_taken_back,
    a_refund_whose_deposit_is_taken_back,
    late_money_is_given_back,
    money_that_comes_after_a_decision,
    accepted_before_it_is_final,
);

async fn paid(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Right).await;
    world.look().await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    world.mine(1).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Processing, Ex::None, PRICE, 0));
    let watched = world.shop.app.payments().get(world.tenant(), payment.id).await.expect("there");
    assert_eq!(watched.confirmations, Some((1, 3)));
    world.mine(1).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Processing);
    world.mine(1).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::None, PRICE, PRICE));
    let told = world.shop.told(payment.id).await;
    assert_eq!(told, ["payment.created", "payment.processing", "payment.succeeded"]);
    let payment = world.shop.payment(payment.id).await;
    assert!(payment.payer.is_some() && payment.transaction_hash.is_some());
}

async fn topped_up(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, ALL / 2, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::Partial, PRICE / 2, PRICE / 2));
    world.send(&payment, ALL / 2, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::None, PRICE, PRICE));
    let told = world.shop.told(payment.id).await;
    assert_eq!(told, ["payment.created", "payment.partially_paid", "payment.succeeded"]);
}

async fn over(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, ALL + 1, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::Overpaid, PRICE + 1, PRICE + 1));
}

async fn more_after_it_was_paid(world: &mut World) {
    let payment = settled(world).await;
    for (more, all) in [(5, PRICE + 5), (3, PRICE + 8)] {
        world.send(&payment, more, Sent::Right).await;
        world.mine(3).await;
        assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::Overpaid, all, all));
    }
    let told = world.shop.told(payment.id).await;
    assert_eq!(told[told.len() - 3..], ["payment.succeeded", "payment.overpaid", "payment.overpaid"]);
}

async fn one_base_unit_short(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, ALL - 1, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::Partial, PRICE - 1, PRICE - 1));
}

async fn under(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, ALL - 1, Sent::Right).await;
    world.mine(3).await;
    world.pass(Duration::from_hours(2)).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Expired, Ex::Underpaid, PRICE - 1, PRICE - 1));
}

async fn late(world: &mut World) {
    let payment = world.shop.start().await;
    world.mine(1).await;
    world.pass(Duration::from_hours(2)).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Expired);
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(1).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Expired, Ex::Late, PRICE, 0));
    world.mine(2).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::Late, PRICE, PRICE));
    let told = world.shop.told(payment.id).await;
    assert_eq!(told, ["payment.created", "payment.expired", "payment.succeeded"]);
}

async fn nobody_paid(world: &mut World) {
    let payment = world.shop.start().await;
    world.pass(Duration::from_hours(2)).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Expired, Ex::None, 0, 0));
}

async fn several_transfers_in_one_block(world: &mut World) {
    let (one, two) = (world.shop.start().await, world.shop.start().await);
    world.send(&one, ALL / 2, Sent::Right).await;
    world.send(&two, ALL, Sent::Right).await;
    world.send(&one, ALL / 2, Sent::Right).await;
    world.mine(3).await;
    for payment in [one, two] {
        assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::None, PRICE, PRICE));
    }
}

async fn wrong_token(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Wrong).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    assert_eq!(world.shop.unmatched().await, 1);
    let watched = world.shop.app.payments().get(world.tenant(), payment.id).await.expect("there");
    assert!(watched.wrong_token);
}

async fn nothing_is_not_a_payment(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, 0, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    assert!(world.shop.app.payments().deposits(world.tenant(), payment.id).await.expect("listed").is_empty());
}

async fn more_than_64_bits(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, u128::from(u64::MAX) * 3, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    let waiting = world.shop.app.payments().unmatched(world.tenant(), None, 10).await.expect("listed").data;
    assert_eq!(waiting[0].transfer.amount.as_str(), "55340232221128654845");
}

async fn reverted(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Failing).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    assert_eq!(world.shop.unmatched().await, 0);
}

async fn dropped(world: &mut World) {
    let payment = world.shop.start().await;
    world.mine(3).await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(1).await;
    world.reorganise(1, false).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Open, Ex::None, 0, 0));
    assert_eq!(world.shop.told(payment.id).await, ["payment.created", "payment.processing", "payment.reorged"]);
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Open);
}

async fn dropped_and_included_again(world: &mut World) {
    let payment = world.shop.start().await;
    world.mine(3).await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(2).await;
    world.reorganise(2, true).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Processing, Ex::None, PRICE, 0));
    world.mine(1).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::None, PRICE, PRICE));
    let deposits = world.shop.app.payments().deposits(world.tenant(), payment.id).await.expect("listed");
    assert_eq!(deposits.len(), 1);
}

async fn taken_back_after_it_was_final(world: &mut World) {
    let payment = world.shop.start().await;
    world.mine(3).await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(4).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Settled);
    world.reorganise(4, false).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Reversed, Ex::None, 0, 0));
    // It is sent again, and everything is well again.
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::None, PRICE, PRICE));
    let told = world.shop.told(payment.id).await;
    let expected =
        ["payment.created", "payment.processing", "payment.succeeded", "payment.reversed", "payment.succeeded"];
    // Whether it was seen on its way depends on how many blocks one look brings.
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    assert!(told == expected || told == [expected[0], expected[2], expected[3], expected[4]], "{told:?}");
}

async fn halted(world: &mut World) {
    let (seen, waiting) = (world.shop.start().await, world.shop.start().await);
    world.send(&seen, ALL, Sent::Right).await;
    world.mine(1).await;
    world.stand_still(Duration::from_hours(3)).await;
    assert_eq!(world.shop.standing(seen.id).await.0, St::Processing);
    // Whoever pays now is in time, as soon as there is a block: nothing expires while no block can hold a payment.
    assert_eq!(world.shop.standing(waiting.id).await.0, St::Open);
    world.move_again().await;
    world.mine(2).await;
    assert_eq!(world.shop.standing(seen.id).await, (St::Settled, Ex::None, PRICE, PRICE));
}

async fn looked_at_again(world: &mut World) {
    let payment = world.shop.start().await;
    world.send(&payment, ALL / 2, Sent::Right).await;
    world.mine(1).await;
    world.send(&payment, ALL / 2, Sent::Right).await;
    world.mine(3).await;
    let before = (world.shop.payment(payment.id).await, world.shop.told(payment.id).await);
    assert_eq!(before.0.state.status, St::Settled);
    for blocks in [1, 3, 100] {
        world.look_again(blocks).await;
        assert_eq!((world.shop.payment(payment.id).await, world.shop.told(payment.id).await), before);
    }
}

/// Pays in full, and waits until that is certain.
async fn settled(world: &mut World) -> PaymentRow {
    let payment = world.shop.start().await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Settled, Ex::None, PRICE, PRICE));
    payment
}

async fn given_back_in_parts(world: &mut World) {
    let payment = settled(world).await;
    let of = GivenBack::Payment(payment.id);
    let part = world.refund(of, Some("2.50")).await.expect("asked for");
    assert_eq!((part.status, part.amount.to_string().as_str()), (RefundStatus::Pending, "2.50"));
    // What is promised cannot be promised again.
    assert!(matches!(
        world.refund(of, Some("10.000001")).await,
        Err(ServiceError::RefundTooLarge(left)) if left.to_string() == "10.00"
    ));
    let hash = world.send_to(&part.destination, 2_500_000, Sent::Right).await;
    // In no block yet: it is waited for.
    let waiting = world.hand_in(&part, &hash).await.expect("waited for");
    assert_eq!((waiting.status, waiting.place), (RefundStatus::Processing, None));
    assert_eq!(world.shop.standing(payment.id).await.0, St::Settled);
    world.mine(2).await;
    let seen = world.refunded(&part).await;
    assert!(seen.status == RefundStatus::Processing && seen.place.is_some());
    world.mine(1).await;
    assert_eq!(world.refunded(&part).await.status, RefundStatus::Succeeded);
    assert_eq!(world.shop.standing(payment.id).await, (St::PartiallyRefunded, Ex::None, PRICE, PRICE));
    // The same once more changes nothing.
    assert_eq!(world.hand_in(&part, &hash).await.expect("the same").status, RefundStatus::Succeeded);
    // The rest; one that is called off holds nothing.
    let rest = world.refund(of, None).await.expect("the rest");
    assert_eq!(rest.amount.to_string(), "10.00");
    assert!(matches!(world.refund(of, None).await, Err(ServiceError::RefundTooLarge(left)) if left.is_zero()));
    let refunds = world.shop.app.refunds();
    refunds.cancel(&Context::system(), world.tenant(), rest.id, None).await.expect("cancelled");
    assert!(matches!(world.hand_in(&rest, &hash).await, Err(ServiceError::RefundClosed)));
    let rest = world.refund(of, None).await.expect("the rest");
    let hash = world.send_to(&rest.destination, 10_000_000, Sent::Right).await;
    world.mine(3).await;
    // Certain already when it is handed in.
    assert_eq!(world.hand_in(&rest, &hash).await.expect("carried out").status, RefundStatus::Succeeded);
    let payment = world.shop.payment(payment.id).await;
    assert_eq!((payment.state.status, payment.refunded().units()), (St::Refunded, PRICE));
    // It was paid, and nobody is asked for it once more.
    assert!(payment.state.is_paid());
    let told = world.shop.told(payment.id).await;
    assert_eq!(told[told.len() - 3..], ["payment.succeeded", "payment.refunded", "payment.refunded"]);
}

async fn given_back_by_something_else(world: &mut World) {
    let payment = world.shop.start().await;
    let of = GivenBack::Payment(payment.id);
    assert!(matches!(world.refund(of, None).await, Err(ServiceError::NotRefundable)));
    let paying = world.send(&payment, ALL, Sent::Right).await;
    world.mine(3).await;
    let refund = world.refund(of, Some("2")).await.expect("asked for");
    // To an address of ours it does not go.
    assert!(matches!(world.refund_to(of, None, &payment.destination.address).await, Err(ServiceError::Invalid(_))));
    let elsewhere = world.elsewhere(&payment.destination);
    let wrong = [
        world.send_to(&refund.destination, 2_000_000, Sent::Wrong).await,
        world.send_to(&refund.destination, 2_000_000, Sent::Failing).await,
        world.send_to(&refund.destination, 1_999_999, Sent::Right).await,
        world.send_to(&refund.destination, 2_000_001, Sent::Right).await,
        world.send_to(&elsewhere, 2_000_000, Sent::Right).await,
        paying,
    ];
    world.mine(3).await;
    for hash in wrong {
        assert!(matches!(world.hand_in(&refund, &hash).await, Err(ServiceError::TransactionRefused(_))), "{hash}");
    }
    assert_eq!(world.refunded(&refund).await.status, RefundStatus::Pending);
    // Handed in before it was in a block, it fails once that block is there for good.
    let hash = world.send_to(&refund.destination, 1_000_000, Sent::Right).await;
    world.hand_in(&refund, &hash).await.expect("waited for");
    world.mine(1).await;
    assert_eq!(world.refunded(&refund).await.status, RefundStatus::Processing);
    world.mine(2).await;
    let failed = world.refunded(&refund).await;
    assert_eq!((failed.status, failed.failure), (RefundStatus::Failed, Some(RefundFailure::Mismatch)));
    assert_eq!(world.refund(of, None).await.expect("all of it").amount.units(), PRICE);
    assert_eq!(world.shop.standing(payment.id).await.0, St::Settled);
}

async fn given_back_twice_by_one_transaction(world: &mut World) {
    let (one, two) = (settled(world).await, settled(world).await);
    let first = world.refund(GivenBack::Payment(one.id), Some("3")).await.expect("asked for");
    let second = world.refund(GivenBack::Payment(two.id), Some("3")).await.expect("asked for");
    let hash = world.send_to(&first.destination, 3_000_000, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.hand_in(&first, &hash).await.expect("carried out").status, RefundStatus::Succeeded);
    assert!(matches!(world.hand_in(&second, &hash).await, Err(ServiceError::TransactionTaken)));
    assert_eq!(world.refunded(&second).await.status, RefundStatus::Pending);
}

async fn a_refund_that_is_taken_back(world: &mut World) {
    let payment = settled(world).await;
    let refund = world.refund(GivenBack::Payment(payment.id), None).await.expect("asked for");
    world.forget_requests();
    let hash = world.send_to(&refund.destination, ALL, Sent::Right).await;
    world.mine(4).await;
    world.hand_in(&refund, &hash).await.expect("carried out");
    assert_eq!(world.shop.standing(payment.id).await.0, St::Refunded);
    if world.evm.is_none() {
        // It came again in another block, deep enough at once. The node would sign another transaction instead.
        world.reorganise(4, true).await;
        assert_eq!(world.refunded(&refund).await.status, RefundStatus::Succeeded);
        assert_eq!(world.shop.standing(payment.id).await.0, St::Refunded);
    }
    world.reorganise(4, false).await;
    let gone = world.refunded(&refund).await;
    assert_eq!((gone.status, gone.place, gone.succeeded_at), (RefundStatus::Processing, None, None));
    let standing = world.shop.payment(payment.id).await;
    assert_eq!((standing.state.status, standing.refunded().units()), (St::Settled, 0));
    let told = world.shop.told(payment.id).await;
    assert_eq!(told.last().map(String::as_str), Some("payment.reorged"));
    assert_eq!(told.iter().filter(|kind| *kind == "payment.succeeded").count(), 1);
    // The wallet sends it once more, in another transaction.
    let again = world.send_to(&refund.destination, ALL, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.hand_in(&refund, &again).await.expect("carried out").status, RefundStatus::Succeeded);
    assert_eq!(world.shop.standing(payment.id).await.0, St::Refunded);
}

async fn a_refund_that_never_comes(world: &mut World) {
    let payment = settled(world).await;
    let refund = world.refund(GivenBack::Payment(payment.id), None).await.expect("asked for");
    let hash = format!("0x{}", "ab".repeat(32));
    world.hand_in(&refund, &hash).await.expect("waited for");
    world.pass(Duration::from_hours(23)).await;
    assert_eq!(world.refunded(&refund).await.status, RefundStatus::Processing);
    // While the ledger stands still nothing is given up, however long that is.
    world.stand_still(Duration::from_hours(48)).await;
    assert_eq!(world.refunded(&refund).await.status, RefundStatus::Processing);
    world.move_again().await;
    world.pass(Duration::from_hours(25)).await;
    let failed = world.refunded(&refund).await;
    assert_eq!((failed.status, failed.failure), (RefundStatus::Failed, Some(RefundFailure::NotFound)));
    assert_eq!(world.refund(GivenBack::Payment(payment.id), None).await.expect("again").amount.units(), PRICE);
}

/// The price comes to an address that names no payment, and is certain.
async fn unmatched(world: &mut World) -> (Destination, GivenBack) {
    let tenant = world.tenant().clone();
    let network = world.shop.start().await.destination.network;
    let payments = world.shop.app.payments();
    let place = payments.spare_address(&Context::system(), &tenant, network.as_str()).await.expect("given out");
    world.look().await;
    world.send_to(&place, ALL, Sent::Right).await;
    world.mine(3).await;
    let unmatched = world.shop.app.payments().unmatched(&tenant, None, 10).await.expect("listed").data;
    let [deposit] = &unmatched[..] else { panic!("{unmatched:?}") };
    (place, GivenBack::Deposit(deposit.id))
}

async fn a_deposit_that_is_given_back(world: &mut World) {
    let context = Context::system();
    let (place, of) = unmatched(world).await;
    let network = &place.network;
    let part = world.refund(of, Some("2.50")).await.expect("asked for");
    assert!(matches!(world.refund(of, Some("10.000001")).await, Err(ServiceError::RefundTooLarge(_))));
    // What is promised to somebody pays nothing else.
    let shown = world.shop.shown(PRICE).await.expect("made");
    let bound = world.shop.app.payments().payment_at(&context, &shown, network.as_str(), &place.address).await;
    let bound = bound.expect("bound");
    assert_eq!(world.shop.standing(bound.id).await, (St::Open, Ex::None, 0, 0));
    let hash = world.send_to(&part.destination, 2_500_000, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.hand_in(&part, &hash).await.expect("carried out").status, RefundStatus::Succeeded);
    assert_eq!(world.shop.unmatched().await, 1, "the rest is still there");
    let rest = world.refund(of, None).await.expect("the rest");
    let hash = world.send_to(&rest.destination, 10_000_000, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.hand_in(&rest, &hash).await.expect("carried out").status, RefundStatus::Succeeded);
    assert_eq!(world.shop.unmatched().await, 0);
    assert!(matches!(world.refund(of, None).await, Err(ServiceError::RefundTooLarge(_) | ServiceError::NotRefundable)));
}

async fn a_refund_whose_payment_is_taken_back(world: &mut World) {
    world.mine(3).await;
    let payment = settled(world).await;
    let refund = world.refund(GivenBack::Payment(payment.id), Some("2.50")).await.expect("asked for");
    world.reorganise(4, false).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Reversed, Ex::None, 0, 0));
    // Nobody's wallet is told to send what is not there.
    assert_eq!(world.refunded(&refund).await.status, RefundStatus::Cancelled);
}

async fn a_refund_whose_deposit_is_taken_back(world: &mut World) {
    world.mine(1).await;
    let (_, of) = unmatched(world).await;
    let refund = world.refund(of, None).await.expect("asked for");
    // It is final still.
    world.mine(2).await;
    world.reorganise(2, false).await;
    assert_eq!(world.refunded(&refund).await.status, RefundStatus::Pending);
    world.forget_requests();
    world.reorganise(5, false).await;
    assert_eq!(world.refunded(&refund).await.status, RefundStatus::Cancelled);
    assert_eq!(world.shop.unmatched().await, 0);
}

async fn late_money_is_given_back(world: &mut World) {
    let payment = world.shop.start().await;
    world.mine(1).await;
    world.pass(Duration::from_hours(2)).await;
    world.send(&payment, ALL / 5, Sent::Right).await;
    world.mine(3).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::NeedsReview);
    let refund = world.refund(GivenBack::Payment(payment.id), None).await.expect("asked for");
    let hash = world.send_to(&refund.destination, ALL / 5, Sent::Right).await;
    world.mine(3).await;
    world.hand_in(&refund, &hash).await.expect("carried out");
    let refunded = world.shop.payment(payment.id).await;
    assert_eq!((refunded.state.status, refunded.state.is_paid()), (St::Refunded, false));
    assert!(matches!(decide(world, &refunded, Verdict::Accept).await, Err(ServiceError::PaymentClosed)));
}

async fn decide(world: &World, payment: &PaymentRow, verdict: Verdict) -> Result<PaymentRow, ServiceError> {
    let reason = "no".parse().expect("a reason");
    let payments = world.shop.app.payments();
    payments.resolve(&Context::system(), world.tenant(), payment.id, verdict, &reason, None).await.map(done)
}

async fn money_that_comes_after_a_decision(world: &mut World) {
    let (returned, accepted) = (world.shop.start().await, world.shop.start().await);
    world.mine(1).await;
    world.pass(Duration::from_hours(2)).await;
    // Nothing came, and nothing is returned.
    let refused = decide(world, &returned, Verdict::Return).await;
    assert!(matches!(refused, Err(ServiceError::NotRefundable)), "{refused:?}");
    for payment in [&returned, &accepted] {
        world.send(payment, ALL / 5, Sent::Right).await;
    }
    world.mine(3).await;
    let of = GivenBack::Payment(returned.id);
    let pending = world.refund(of, Some("1")).await.expect("asked for");
    assert_eq!(decide(world, &returned, Verdict::Return).await.expect("decided").state.status, St::Refunded);
    assert_eq!(decide(world, &accepted, Verdict::Accept).await.expect("decided").state.status, St::Settled);
    // All of it was given back outside: nobody's wallet is told to send it once more.
    assert_eq!(world.refunded(&pending).await.status, RefundStatus::Cancelled);
    assert!(matches!(world.refund(of, None).await, Err(ServiceError::NotRefundable)));
    world.look_again(100).await;
    for payment in [&returned, &accepted] {
        assert_eq!(world.shop.told(payment.id).await.last().map(String::as_str), Some("payment.resolved"));
        world.send(payment, ALL / 10, Sent::Right).await;
    }
    world.mine(3).await;
    let all = PRICE / 5 + PRICE / 10;
    assert_eq!(world.shop.standing(returned.id).await, (St::NeedsReview, Ex::Late, all, all));
    assert_eq!(world.shop.told(returned.id).await.last().map(String::as_str), Some("payment.review_required"));
    assert_eq!(world.shop.standing(accepted.id).await, (St::Settled, Ex::Overpaid, all, all));
    assert_eq!(world.shop.told(accepted.id).await.last().map(String::as_str), Some("payment.overpaid"));
    // What came since can be given back here.
    let refund = world.refund(of, None).await.expect("asked for");
    assert_eq!(refund.amount.units(), PRICE / 10);
}

async fn accepted_before_it_is_final(world: &mut World) {
    let payment = world.shop.start().await;
    world.mine(1).await;
    world.pass(Duration::from_hours(2)).await;
    world.send(&payment, ALL, Sent::Right).await;
    world.mine(1).await;
    assert_eq!(world.shop.standing(payment.id).await.0, St::Expired);
    decide(world, &payment, Verdict::Accept).await.expect("decided");
    world.reorganise(1, false).await;
    assert_eq!(world.shop.standing(payment.id).await, (St::Reversed, Ex::Manual, 0, 0));
    assert_eq!(world.shop.told(payment.id).await.last().map(String::as_str), Some("payment.reversed"));
}

#[tokio::test]
async fn thirty_two_refunds_at_once_never_exceed_what_came() {
    let mut world = World::test().await;
    let payment = settled(&mut world).await;
    let of = GivenBack::Payment(payment.id);
    let all = (0..32).map(|_| world.refund(of, Some("1")));
    let all = futures_of(all).await;
    let made = all.iter().filter(|made| made.is_ok()).count();
    // Twelve and a half came in.
    assert_eq!(made, 12);
    assert!(all.iter().all(|made| matches!(made, Ok(_) | Err(ServiceError::RefundTooLarge(_)))));
}

both_engines! {
    async fn a_refund_is_sent_once_in_test_however_often_that_is_asked_for(database) {
        let database = Arc::new(database);
        let mut world = World::test_on(Arc::clone(&database)).await;
        let payment = settled(&mut world).await;
        let refund = world.refund(GivenBack::Payment(payment.id), None).await.expect("asked for");
        let (refunds, context) = (world.shop.app.refunds(), Context::system());
        let all = futures_of((0..6).map(|_| refunds.send_in_test(&context, world.tenant(), refund.id))).await;
        assert!(all.iter().any(Result::is_ok));
        assert!(all.iter().all(|sent| matches!(sent, Ok(_) | Err(ServiceError::RefundClosed))), "{all:?}");
        assert_eq!(world.refunded(&refund).await.status, RefundStatus::Succeeded);
        assert_eq!(world.shop.standing(payment.id).await.0, St::Refunded);
        let transfers = database.store().read().list_test_transfers(&world.tenant().business, 0).await.expect("listed");
        assert_eq!(transfers.len(), 2, "{transfers:?}");
    }

    async fn a_refund_is_asked_for_before_or_after_a_block_is_taken_back(database) {
        let database = Arc::new(database);
        let mut world = World::test_on(Arc::clone(&database)).await;
        let payment = settled(&mut world).await;
        let (store, ledger) = (database.store(), &payment.destination.ledger);
        let mut row = world.shop.payment(payment.id).await;
        // A look that takes the blocks back is half done when the refund is asked for.
        let mut look = store.begin().await.expect("begins");
        let cursor = look.read().find_cursor(ledger).await.expect("reads").expect("was looked at");
        assert!(look.move_cursor(&cursor).await.expect("moves"));
        look.take_back_blocks(ledger, 0, cursor.ledger_time).await.expect("takes back");
        row.state.status = St::Reversed;
        (row.seen, row.settled) = (Money::zero(Asset::USDC), Money::zero(Asset::USDC));
        let asked = world.refund(GivenBack::Payment(payment.id), None);
        let taken_back = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(look.update_payment(&row).await.expect("updates"));
            look.commit().await.expect("commits");
        };
        let (refused, ()) = tokio::join!(asked, taken_back);
        assert!(matches!(refused, Err(ServiceError::NotRefundable)), "{refused:?}");
    }

    async fn what_comes_in_while_its_address_is_bound_counts(database) {
        let database = Arc::new(database);
        let mut world = World::test_on(Arc::clone(&database)).await;
        let (payments, context) = (world.shop.app.clone(), Context::system());
        let shown = world.shop.shown(PRICE).await.expect("made");
        let spare = payments.payments().spare_address(&context, world.tenant(), "base").await.expect("given out");
        world.mine(1).await;
        // A look that finds the money is half done when the address gets its payment.
        let mut look = database.store().begin().await.expect("begins");
        let cursor = look.read().find_cursor(&spare.ledger).await.expect("reads").expect("was looked at");
        assert!(look.move_cursor(&cursor).await.expect("moves"));
        let transfer = Transfer {
            network: spare.network.clone(),
            block: cursor.height,
            block_hash: "0xa".to_owned(),
            log_index: 0,
            transaction_hash: "0xb".to_owned(),
            asset: Moved::Accepted,
            contract: None,
            from: "test_payer".to_owned(),
            to: spare.address.clone(),
            amount: RawAmount::from_units(PRICE),
        };
        let deposit = DepositRow {
            id: DepositId::from_bits(1),
            ledger: spare.ledger.clone(),
            transfer,
            units: Some(PRICE),
            block_time: cursor.ledger_time,
            canonical: true,
            tenant: world.tenant().clone(),
            payment: None,
            seen_at: cursor.ledger_time,
            resolved_at: None,
            resolution: None,
        };
        look.keep_deposit(&deposit).await.expect("kept");
        let payments = payments.payments();
        let bound = payments.payment_at(&context, &shown, "base", &spare.address);
        let seen = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            look.commit().await.expect("commits");
        };
        let (bound, ()) = tokio::join!(bound, seen);
        let payment = bound.expect("bound");
        assert_eq!(world.shop.standing(payment.id).await, (St::Processing, Ex::None, PRICE, 0));
    }
}

/// Runs them all at the same time.
async fn futures_of<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in waiting.iter_mut().zip(&mut done) {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
