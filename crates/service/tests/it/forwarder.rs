//! Deposit addresses on a real chain: where we say that they are, paying whom we say.

use trousseau_domain::evm::{EvmAddress, FACTORY, Salt, forwarder_address, keccak256};
use trousseau_domain::ids::PaymentId;

use crate::ledgers::{Evm, Sent, World, token};
use crate::shop::PRICE;
use trousseau_testkit::node::{Word, contract};

fn factory() -> trousseau_testkit::node::Fixture {
    contract(include_str!("../../../../contracts/forwarder.json"), "ForwarderFactory")
}

async fn balance(evm: &Evm, of: EvmAddress) -> u128 {
    let answer = evm.node.ask(evm.token, &token().data("balanceOf(address)", &[of.into()])).await;
    u128::from_be_bytes(answer[16..].try_into().expect("16 bytes"))
}

#[tokio::test]
async fn the_factory_agrees_with_us_about_every_address() {
    let Some(evm) = Evm::start().await else { return };
    evm.node.deploy_factory().await;
    for number in 0u8..32 {
        let payout = EvmAddress::from_bytes(keccak256(&[number])[..20].try_into().expect("20 bytes"));
        let salt = Salt::from_bytes(keccak256(&[number, 1]));
        let data = factory().data("addressOf(address,bytes32)", &[payout.into(), Word(*salt.as_bytes())]);
        let answer = evm.node.ask(*FACTORY, &data).await;
        assert_eq!(&answer[12..], forwarder_address(payout, &salt).as_bytes(), "{number}");
    }
}

#[tokio::test]
async fn anybody_collects_and_only_the_payout_address_gets_it() {
    let Some(mut world) = World::evm().await else { return };
    let payments = [world.shop.start().await, world.shop.start().await, world.shop.start().await];
    for payment in &payments[..2] {
        world.send(payment, 12_500_000, Sent::Right).await;
    }
    world.mine(3).await;
    let mut salts = Vec::new();
    for payment in &payments {
        let place = world.shop.database.store().read().find_destination(&payment.destination).await.expect("read");
        let forwarder = place.expect("given out").forwarder.expect("a forwarder");
        assert_eq!(forwarder_address(forwarder.payout, &forwarder.salt).to_string(), payment.destination.address);
        salts.push(Word(*forwarder.salt.as_bytes()));
    }
    let evm = world.evm.as_ref().expect("on a chain");
    evm.node.deploy_factory().await;
    let payout = evm.node.account(9);
    assert_eq!(balance(evm, payout).await, 0);
    // collect(token, payout, salts), by a stranger; one of the three holds nothing.
    let collect = |salts: &[Word]| {
        let head = [evm.token.into(), payout.into(), Word::from(96), Word::from(salts.len() as u128)];
        factory().data("collect(address,address,bytes32[])", &[&head, salts].concat())
    };
    let stranger = evm.node.account(7);
    let collected = evm.node.send(stranger, Some(*FACTORY), &collect(&salts)).await;
    evm.node.mine(1).await;
    let receipt = evm.node.receipt(&collected).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    assert_eq!(balance(evm, payout).await, 25_000_000);
    assert_eq!(balance(evm, stranger).await, 0);
    for payment in &payments {
        assert_eq!(balance(evm, payment.destination.address.parse().expect("an address")).await, 0);
    }
    // What comes later is collected as well, from the forwarder that is there by now.
    let latest: PaymentId = payments[0].id;
    world.send(&payments[0], 1, Sent::Right).await;
    world.mine(3).await;
    let evm = world.evm.as_ref().expect("on a chain");
    let data = [&[evm.token.into(), payout.into(), Word::from(96), Word::from(1)][..], &salts[..1]].concat();
    evm.node.send(stranger, Some(*FACTORY), &factory().data("collect(address,address,bytes32[])", &data)).await;
    evm.node.mine(1).await;
    assert_eq!(balance(evm, payout).await, 25_000_001);
    // Collecting is none of the payment's business: what it was paid with was there.
    assert_eq!(world.shop.payment(latest).await.seen.units(), PRICE + 1);
}
