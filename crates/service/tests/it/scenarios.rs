//! What every ledger has to come to: one list, run on each.

use std::time::Duration;

use trousseau_domain::payments::PaymentException as Ex;
use trousseau_domain::payments::PaymentStatus as St;

use crate::ledgers::{Sent, World};
use crate::shop::PRICE;

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
    };
}

on_every_ledger!(
    paid,
    topped_up,
    over,
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
    world.mine(3).await;
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
