//! Giving back: asked for, carried out by the merchant's own wallet, and believed once the ledger holds it for certain.
//!
//! To whom it goes is what the merchant says, who asked the payer. The sender of a transfer may be an exchange, so no
//! address is ever taken from one.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::events::EventType;
use trousseau_domain::evm::{EvmAddress, Hash32, print_bytes, transfer_call, transfer_uri};
use trousseau_domain::ids::{DepositId, PaymentId, RefundId};
use trousseau_domain::ledger::{LedgerId, Moved, RawAmount, WrongTransaction};
use trousseau_domain::members::Operation;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::networks::{AssetId, ChainId};
use trousseau_domain::payables::Reason;
use trousseau_domain::refunds::{RefundStatus, Said, TooMuch, after, amount_of};
use trousseau_domain::time::Timestamp;
use trousseau_store::{
    ChangeKind, DepositRow, Destination, GivenBack, Reader, RefundFilter, RefundPlace, RefundRow, StoreError,
    TestTransferRow,
};

use super::SPARE;
use super::engine::{self, Certainty};
use super::evm_rail::{Carried, Does};
use super::places;
use super::test_ledger::{TestTransfer, send_for_good};
use super::view;
use crate::app::{Core, Happened, Unit};
use crate::context::Context;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};
use crate::keys::Page;

/// How long a transaction that is in no block is waited for.
const WAITED_FOR: Duration = Duration::from_hours(24);
/// How many refunds are asked about in one look at a ledger; the others have their turn at the next.
const FOLLOWED: u32 = 100;
/// The most characters of an address or a transaction hash on the ledger of TEST.
const MAX_NAME: usize = 128;
/// How a deposit is said to be dealt with that was given back.
const REFUNDED: &str = "refunded";
/// The most refunds of one thing that are called off at once.
const MOST_PENDING: u32 = 1_000;
/// From where the refunds of the ledger of TEST come.
const MERCHANT: &str = "test_merchant";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct RefundDraft {
    /// What is given back.
    pub of: GivenBack,
    /// How much, as a decimal number; all that is left unless given.
    pub amount: Option<String>,
    /// To whom, as the payer said.
    pub destination: String,
    /// Why.
    pub reason: Option<Reason>,
    /// The merchant's own data.
    pub metadata: Metadata,
}

/// What a wallet is to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSend {
    /// On which network.
    pub network: ChainId,
    /// To whom.
    pub destination: String,
    /// How much.
    pub amount: Money,
    /// The same for wallets of EVM networks; none on the ledger of TEST.
    pub evm: Option<EvmToSend>,
}

/// What a wallet of an EVM network is to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvmToSend {
    /// The number of the chain.
    pub chain_id: u64,
    /// The token (CAIP-19).
    pub asset: AssetId,
    /// Its contract, to which the transaction goes.
    pub token: EvmAddress,
    /// The data of the transaction: the call of `transfer`.
    pub data: String,
    /// The same as a link (EIP-681).
    pub uri: String,
}

/// Whether a deposit was dealt with by being given back, and not by somebody's word.
fn is_by_refund(deposit: &DepositRow) -> bool {
    deposit.resolution.as_ref().is_some_and(|resolution| resolution["kind"] == REFUNDED)
}

/// What is to be sent for a refund that waits for it.
pub fn to_send(refund: &RefundRow) -> Option<ToSend> {
    if refund.status != RefundStatus::Pending {
        return None;
    }
    let Destination { network, address, .. } = &refund.destination;
    let units = u64::try_from(refund.amount.units()).unwrap_or_default();
    let evm = match (refund.token, network.eip155(), address.parse::<EvmAddress>()) {
        (Some(token), Some(chain_id), Ok(to)) => Some(EvmToSend {
            chain_id,
            asset: AssetId::of_erc20(network.clone(), token),
            token,
            data: print_bytes(&transfer_call(to, units)),
            uri: transfer_uri(token, chain_id, to, units),
        }),
        _ => None,
    };
    Some(ToSend { network: network.clone(), destination: address.clone(), amount: refund.amount, evm })
}

/// Use cases of refunds.
#[derive(Debug, Clone, Copy)]
pub struct Refunds<'a> {
    core: &'a Core,
}

/// How much of something can still be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// On which network it came in, and goes back.
    pub network: ChainId,
    /// How much came in for certain, but for what was given back outside of this system.
    pub received: Money,
    /// What is left of it after the refunds that hold; never nothing.
    pub amount: Money,
}

/// What came in and can be given back.
struct Received {
    /// Where it came in.
    destination: Destination,
    /// How much of it is certain, and was not given back outside of this system.
    amount: Money,
}

impl<'a> Refunds<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Asks for a refund. All refunds of a business are asked for one after the other, so that together they never
    /// promise more than came in, and none while a look at the ledger may take that back.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not the tenant's, [`ServiceError::NotRefundable`],
    /// [`ServiceError::RefundTooLarge`], and [`ServiceError::Invalid`] for a destination that cannot be one.
    pub async fn create(
        self,
        context: &Context,
        tenant: &Tenant,
        draft: &RefundDraft,
        idempotent: Option<&Idempotent<'_, RefundRow>>,
    ) -> Result<Answered<RefundRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        enter(&mut unit, tenant).await?;
        let now = unit.now;
        let ledger = self.received(&mut unit.tx.read(), now, tenant, draft.of).await?.destination.ledger;
        engine::hold_still(&mut unit, &ledger).await?;
        let received = self.received(&mut unit.tx.read(), now, tenant, draft.of).await?;
        let asset = received.amount.asset();
        let held = held(&mut unit.tx.read(), draft.of, &received).await?;
        let amount = match amount_of(received.amount, held, draft.amount.as_deref()) {
            Ok(amount) => amount,
            Err(TooMuch::NothingLeft) => return Err(ServiceError::RefundTooLarge(Money::zero(asset))),
            Err(TooMuch::Left(left)) => return Err(ServiceError::RefundTooLarge(left)),
            Err(TooMuch::Amount(error)) => return Err(ServiceError::invalid("amount", error.to_string())),
        };
        let (destination, token) = self.destination(&mut unit, &received, asset, &draft.destination).await?;
        let refund = RefundRow {
            id: RefundId::new(unit.now, self.core.entropy.bytes()),
            tenant: tenant.clone(),
            of: draft.of,
            destination,
            token,
            amount,
            reason: draft.reason.clone(),
            metadata: draft.metadata.clone(),
            status: RefundStatus::Pending,
            failure: None,
            transaction_hash: None,
            waiting_since: None,
            place: None,
            checked_at: unit.now,
            succeeded_at: None,
            revision: 0,
            created_at: unit.now,
            created_by: unit.actor().clone(),
            updated_at: unit.now,
        };
        unit.tx.insert_refund(&refund).await?;
        tell(&mut unit, EventType::RefundCreated, &refund).await?;
        idempotency::keep(&mut unit.tx, idempotent, &refund, unit.now).await?;
        unit.commit(ChangeKind::Payment, Some(&tenant.business), Some(&refund.id.to_string())).await?;
        Ok(Answered::Done(refund))
    }

    /// What came in for certain.
    async fn received(
        self,
        reader: &mut Reader<'_>,
        now: Timestamp,
        tenant: &Tenant,
        of: GivenBack,
    ) -> Result<Received, ServiceError> {
        match of {
            GivenBack::Payment(id) => {
                let payment = reader.find_payment(tenant, id).await?.ok_or(ServiceError::NotFound)?;
                payment.state.check_refundable().map_err(|_| ServiceError::NotRefundable)?;
                let amount = payment.refundable();
                if amount.is_zero() {
                    return Err(ServiceError::NotRefundable);
                }
                Ok(Received { destination: payment.destination, amount })
            }
            GivenBack::Deposit(id) => {
                let deposit = reader.find_deposit(tenant, id).await?.ok_or(ServiceError::NotFound)?;
                // Whoever put it aside dealt with all of it.
                if deposit.resolved_at.is_some() && !is_by_refund(&deposit) {
                    return Err(ServiceError::NotRefundable);
                }
                let cursor = reader.find_cursor(&deposit.ledger).await?;
                let certainty = Certainty::of(self.core, &deposit.ledger, cursor.as_ref(), now);
                let amount = certain(&deposit, &certainty);
                let destination = Destination {
                    ledger: deposit.ledger,
                    network: deposit.transfer.network,
                    address: deposit.transfer.to,
                };
                amount.map(|amount| Received { destination, amount }).ok_or(ServiceError::NotRefundable)
            }
        }
    }

    /// Where the money is to go: on the network on which it came in, to an address that is none of ours.
    async fn destination(
        self,
        unit: &mut Unit<'_>,
        received: &Received,
        asset: Asset,
        text: &str,
    ) -> Result<(Destination, Option<EvmAddress>), ServiceError> {
        let Destination { ledger, network, .. } = &received.destination;
        let (address, token) = match ledger {
            LedgerId::Test(_) => (test_name("destination", text.trim())?, None),
            LedgerId::Network(_, chain) => {
                let address = places::wallet_of(self.core, chain, "destination", text)?;
                let settings = self.core.networks.on(ledger).map(|network| &network.settings);
                let token = settings.and_then(|settings| settings.token_of(asset));
                (address.to_string(), Some(token.ok_or_else(|| ServiceError::NetworkUnavailable(chain.clone()))?))
            }
        };
        let destination = Destination { ledger: ledger.clone(), network: network.clone(), address };
        if unit.tx.read().find_destination(&destination).await?.is_some() {
            let message = "is an address to which payments are made: ask the payer for one of their own";
            return Err(ServiceError::invalid("destination", message));
        }
        Ok((destination, token))
    }

    /// What is left to give back of something; none where nothing is, or nothing of it is certain.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] for what is not the tenant's.
    pub async fn left(self, tenant: &Tenant, of: GivenBack) -> Result<Option<Left>, ServiceError> {
        let mut reader = self.core.store.read();
        let received = match self.received(&mut reader, self.core.clock.now(), tenant, of).await {
            Ok(received) => received,
            Err(ServiceError::NotRefundable) => return Ok(None),
            Err(error) => return Err(error),
        };
        let held = held(&mut reader, of, &received).await?;
        let amount = amount_of(received.amount, held, None).ok();
        let Received { destination, amount: received } = received;
        Ok(amount.map(|amount| Left { network: destination.network, received, amount }))
    }

    /// One refund.
    pub async fn get(self, tenant: &Tenant, id: RefundId) -> Result<RefundRow, ServiceError> {
        self.core.store.read().find_refund(tenant, id).await?.ok_or(ServiceError::NotFound)
    }

    /// One page of refunds, newest first.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] if `after` is no refund of the tenant.
    pub async fn list(
        self,
        tenant: &Tenant,
        filter: &RefundFilter,
        after: Option<RefundId>,
        limit: u32,
    ) -> Result<Page<RefundRow>, ServiceError> {
        let mut reader = self.core.store.read();
        if let Some(after) = after
            && reader.find_refund(tenant, after).await?.is_none()
        {
            return Err(ServiceError::invalid("starting_after", "there is no refund with this id"));
        }
        let data = reader.list_refunds(tenant, filter, after, limit + 1).await?;
        Ok(Page::of(data, limit))
    }

    /// Calls a refund off for which no transaction was handed in.
    ///
    /// # Errors
    /// [`ServiceError::RefundClosed`] otherwise.
    pub async fn cancel(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RefundId,
        idempotent: Option<&Idempotent<'_, RefundRow>>,
    ) -> Result<Answered<RefundRow>, ServiceError> {
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        enter(&mut unit, tenant).await?;
        let refund = unit.tx.read().find_refund(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        if refund.status != RefundStatus::Pending {
            return Err(ServiceError::RefundClosed);
        }
        let changed = RefundRow { status: RefundStatus::Cancelled, updated_at: unit.now, ..refund };
        let changed = save(&mut unit, changed).await?;
        tell(&mut unit, EventType::RefundUpdated, &changed).await?;
        idempotency::keep(&mut unit.tx, idempotent, &changed, unit.now).await?;
        unit.commit(ChangeKind::Payment, Some(&tenant.business), Some(&id.to_string())).await?;
        Ok(Answered::Done(changed))
    }

    /// Says by which transaction a refund was carried out. It is believed as far as the ledger holds it. The same
    /// transaction again changes nothing; another one takes the place of one that is in no block, because a wallet that
    /// raises its fee makes a new one.
    ///
    /// # Errors
    /// [`ServiceError::TransactionRefused`] where the transaction moves something else,
    /// [`ServiceError::TransactionTaken`] where what it moves is another refund or came in for a payment,
    /// [`ServiceError::RefundClosed`] where the refund is not to be carried out (any more).
    pub async fn hand_in(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RefundId,
        hash: &str,
        idempotent: Option<&Idempotent<'_, RefundRow>>,
    ) -> Result<Answered<RefundRow>, ServiceError> {
        let refund = self.get(tenant, id).await?;
        let hash = name_of(&refund, hash)?;
        let _claim = self.core.in_flight.claim(idempotent)?;
        if idempotent.is_some() {
            // What was answered before is answered again, whether or not a node answers now.
            let mut unit = Unit::begin(self.core, context).await?;
            if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
                return unit.replay(answer).await;
            }
        }
        // The ledger is asked before anything is held, and its answer looked at once more afterwards.
        let carried = carried(self.core, &refund, &hash).await?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        enter(&mut unit, tenant).await?;
        let refund = unit.tx.read().find_refund(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        let is_same = refund.transaction_hash.as_deref() == Some(hash.as_str());
        let changed = match refund.status {
            RefundStatus::Succeeded if is_same => refund,
            RefundStatus::Processing if is_same => self.take(&mut unit, &refund, &hash, carried.as_ref()).await?,
            _ if takes_transaction(&refund) => self.take(&mut unit, &refund, &hash, carried.as_ref()).await?,
            _ => return Err(ServiceError::RefundClosed),
        };
        idempotency::keep(&mut unit.tx, idempotent, &changed, unit.now).await?;
        unit.commit(ChangeKind::Payment, Some(&tenant.business), Some(&id.to_string())).await?;
        if let Some(network) = self.core.networks.on(&changed.destination.ledger) {
            network.wake();
        }
        Ok(Answered::Done(changed))
    }

    async fn take(
        self,
        unit: &mut Unit<'_>,
        refund: &RefundRow,
        hash: &str,
        carried: Option<&Carried>,
    ) -> Result<RefundRow, ServiceError> {
        let wrong = match carried.map(|carried| (&carried.does, carried.block)) {
            Some((Does::Reverted, _)) => Some(WrongTransaction::Failed),
            Some((Does::Other(why), _)) => Some(*why),
            Some((Does::Exactly(_), block)) if block < first_block(unit, refund).await? => {
                Some(WrongTransaction::TooOld)
            }
            Some((Does::Exactly(_), _)) | None => None,
        };
        if let Some(wrong) = wrong {
            return Err(ServiceError::TransactionRefused(wrong));
        }
        let mut with_hash = refund.clone();
        if refund.transaction_hash.as_deref() != Some(hash) {
            with_hash.transaction_hash = Some(hash.to_owned());
            with_hash.waiting_since = None;
        }
        let judged = judge(self.core, unit, refund, hash, carried).await?;
        if judged.said == Said::Taken {
            return Err(ServiceError::TransactionTaken);
        }
        carry(unit, refund, with_hash, judged).await
    }

    /// Carries a refund out as [`Self::send_in_test`] does, once under the name of the request.
    ///
    /// # Errors
    /// As there.
    pub async fn send_in_test_once(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RefundId,
        idempotent: Option<&Idempotent<'_, RefundRow>>,
    ) -> Result<Answered<RefundRow>, ServiceError> {
        idempotency::once(self.core, idempotent, Box::pin(self.send_in_test(context, tenant, id))).await
    }

    /// Carries a refund out on the ledger of TEST: sends what is to be sent, makes it final, and hands it in. Of several
    /// calls at once one sends it.
    ///
    /// # Errors
    /// [`ServiceError::TestOnly`] in LIVE, [`ServiceError::TestLedgerOff`] where TEST is bound to networks,
    /// [`ServiceError::RefundClosed`] where the refund does not wait to be sent.
    pub async fn send_in_test(
        self,
        context: &Context,
        tenant: &Tenant,
        id: RefundId,
    ) -> Result<RefundRow, ServiceError> {
        // Looked for first: what is another tenant's is not there, whatever it is.
        self.get(tenant, id).await?;
        places::check_test_ledger(self.core, tenant.environment)?;
        let mut unit = Unit::begin(self.core, context).await?;
        enter(&mut unit, tenant).await?;
        let refund = unit.tx.read().find_refund(tenant, id).await?.ok_or(ServiceError::NotFound)?;
        match refund.status {
            RefundStatus::Pending => {}
            RefundStatus::Succeeded => return Ok(refund),
            RefundStatus::Processing | RefundStatus::Failed | RefundStatus::Cancelled => {
                return Err(ServiceError::RefundClosed);
            }
        }
        // It was asked for while TEST was bound to a network, and goes back there.
        if matches!(refund.destination.ledger, LedgerId::Network(..)) {
            return Err(ServiceError::RefundClosed);
        }
        let transfer = TestTransfer {
            network: refund.destination.network.clone(),
            to: refund.destination.address.clone(),
            from: Some(MERCHANT.to_owned()),
            amount: RawAmount::from_units(refund.amount.units()),
            asset: Moved::Accepted,
            reverted: false,
        };
        let hash = send_for_good(&mut unit, tenant, &transfer).await?;
        // Handed in with it, so that nobody sends it once more. What is told of is that it was carried out.
        let sent = RefundRow {
            status: RefundStatus::Processing,
            transaction_hash: Some(hash.clone()),
            updated_at: unit.now,
            ..refund
        };
        let ledger = sent.destination.ledger.clone();
        save(&mut unit, sent).await?;
        unit.tx.commit().await?;
        // Whoever sends it is who carries it out, and not the look.
        engine::look_only(self.core, &ledger).await?;
        match self.hand_in(context, tenant, id, &hash, None).await? {
            Answered::Done(refund) => Ok(refund),
            Answered::Replayed(_) => self.get(tenant, id).await,
        }
    }
}

/// How much of what came in other refunds hold. A sum that is no amount would be a broken row: nothing more is promised
/// on top of it.
async fn held(reader: &mut Reader<'_>, of: GivenBack, received: &Received) -> Result<Money, ServiceError> {
    let held = reader.sum_refunds(of).await?.held;
    Ok(Money::from_units(held, received.amount.asset()).unwrap_or(received.amount))
}

/// When a transaction that is in no block is given up, by the ledger's own time; none where nothing is waited for.
pub fn given_up_at(refund: &RefundRow) -> Option<Timestamp> {
    refund.waiting_since.map(|since| since.saturating_add(WAITED_FOR))
}

/// Whether a transaction can be handed in: none was, or the one that was does not carry the refund out, for all that is
/// known by now.
pub fn takes_transaction(refund: &RefundRow) -> bool {
    match refund.status {
        RefundStatus::Pending => true,
        RefundStatus::Processing => refund.place.is_none(),
        RefundStatus::Succeeded | RefundStatus::Failed | RefundStatus::Cancelled => false,
    }
}

/// Whoever gives back may change payments, and in LIVE has just proven who they are.
async fn enter(unit: &mut Unit<'_>, tenant: &Tenant) -> Result<(), ServiceError> {
    unit.enter(tenant, Operation::PaymentsWrite).await?;
    unit.check_member(&tenant.business, Operation::PaymentsWrite, tenant.environment == Environment::Live).await
}

/// A name on the ledger of TEST: of an address, or of a transaction.
fn test_name(member: &'static str, text: &str) -> Result<String, ServiceError> {
    let good =
        (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let message = "must be 1 to 128 ASCII letters, digits and underscores";
    if good { Ok(text.to_owned()) } else { Err(ServiceError::invalid(member, message)) }
}

/// A transaction hash in its one spelling.
fn name_of(refund: &RefundRow, hash: &str) -> Result<String, ServiceError> {
    match &refund.destination.ledger {
        LedgerId::Test(_) => test_name("transaction_hash", hash),
        LedgerId::Network(..) => {
            let hash = hash.trim().parse::<Hash32>();
            let bad = |_| ServiceError::invalid("transaction_hash", "must be 0x and 64 hexadecimal digits");
            hash.map(|hash| hash.to_string()).map_err(bad)
        }
    }
}

/// What the ledger holds of the transaction that is to carry a refund out; none while it is in no block.
async fn carried(core: &Core, refund: &RefundRow, hash: &str) -> Result<Option<Carried>, ServiceError> {
    match &refund.destination.ledger {
        LedgerId::Network(..) => {
            let (Ok(hash), Ok(to), Some(token)) = (hash.parse(), refund.destination.address.parse(), refund.token)
            else {
                return Err(ServiceError::NotFound);
            };
            Ok(engine::evm_rail(core, &refund.destination.ledger)?
                .carried(hash, token, to, refund.amount.units())
                .await?)
        }
        LedgerId::Test(business) => {
            let mut reader = core.store.read();
            let found = reader.find_test_transfer(business, &refund.destination.network, hash).await?;
            let Some((transfer, block)) = found.and_then(|found| found.block.map(|block| (found, block))) else {
                return Ok(None);
            };
            let blocks = reader.list_test_blocks(business, block).await?;
            let transfers = reader.list_test_transfers(business, block).await?;
            // A fork may have begun in between.
            let Some(head) = blocks.into_iter().find(|head| head.number == block) else { return Ok(None) };
            if let Some(does) = differs(refund, &transfer) {
                return Ok(Some(Carried { block, block_hash: head.hash, does }));
            }
            let mut beside = transfers.iter().filter(|other| other.block == Some(block));
            let index = beside.position(|other| other.number == transfer.number);
            let Some(index) = index.and_then(|index| u32::try_from(index).ok()) else { return Ok(None) };
            Ok(Some(Carried { block, block_hash: head.hash, does: Does::Exactly(vec![index]) }))
        }
    }
}

fn differs(refund: &RefundRow, transfer: &TestTransferRow) -> Option<Does> {
    let other = |why| Some(Does::Other(why));
    if transfer.reverted {
        Some(Does::Reverted)
    } else if transfer.asset != Moved::Accepted {
        other(WrongTransaction::OtherToken)
    } else if transfer.to != refund.destination.address {
        other(WrongTransaction::OtherAddress)
    } else if transfer.amount.units() != Some(refund.amount.units()) {
        other(WrongTransaction::OtherAmount)
    } else {
        None
    }
}

/// The height at which the first part of what is given back came in: before it nothing was given back.
async fn first_block(unit: &mut Unit<'_>, refund: &RefundRow) -> Result<u64, ServiceError> {
    let first = match refund.of {
        GivenBack::Payment(id) => {
            let deposits = unit.tx.read().list_deposits_of(id).await?;
            deposits.iter().filter(|deposit| deposit.counts()).map(|deposit| deposit.transfer.block).min()
        }
        GivenBack::Deposit(id) => {
            unit.tx.read().find_deposit(&refund.tenant, id).await?.map(|deposit| deposit.transfer.block)
        }
    };
    Ok(first.unwrap_or(0))
}

/// What the transaction of a refund is found to do.
struct Judged {
    said: Said,
    /// Whether the block it is in is there for good.
    is_final: bool,
    /// The transfer that carries the refund out.
    place: Option<RefundPlace>,
    certainty: Certainty,
}

/// Looks at what the ledger holds with what is known of it. Whoever commits after this does so only if nobody saw the
/// ledger go on in between, for that may have taken back the very block.
async fn judge(
    core: &Core,
    unit: &mut Unit<'_>,
    refund: &RefundRow,
    hash: &str,
    carried: Option<&Carried>,
) -> Result<Judged, ServiceError> {
    let ledger = &refund.destination.ledger;
    let cursor = unit.tx.read().find_cursor(ledger).await?;
    if let Some(cursor) = &cursor
        && !unit.tx.hold_cursor(cursor).await?
    {
        return Err(ServiceError::Conflict);
    }
    let certainty = Certainty::of(core, ledger, cursor.as_ref(), unit.now);
    let first_open = certainty.first_open(refund.amount);
    let mut reader = unit.tx.read();
    let seen_as = match carried {
        Some(carried) => reader.find_block(ledger, carried.block).await?,
        None => None,
    };
    // A node on another fork than what was seen says nothing about this one, good or bad.
    let carried = carried.filter(|carried| seen_as.is_none_or(|seen| seen.hash == carried.block_hash));
    let Some(Carried { block, block_hash, does }) = carried else {
        return Ok(Judged { said: Said::Nothing, is_final: false, place: None, certainty });
    };
    let (said, place) = match does {
        Does::Reverted => (Said::Reverted, None),
        Does::Other(_) => (Said::Mismatch, None),
        Does::Exactly(logs) => {
            let mut taken = reader.list_claimed_logs(&refund.destination, hash, refund.id).await?;
            let deposits = reader.list_deposits_in(&refund.destination, hash).await?;
            taken.extend(deposits.iter().map(|deposit| deposit.transfer.log_index));
            let place = logs.iter().find(|log| !taken.contains(log)).map(|log| RefundPlace {
                block: *block,
                block_hash: block_hash.clone(),
                log_index: *log,
            });
            (if place.is_some() { Said::Carries } else { Said::Taken }, place)
        }
    };
    Ok(Judged { said, is_final: *block < first_open, place, certainty })
}

/// Has where a refund stands follow from what its transaction does, and tells of it. How long it is waited for goes by the
/// ledger's own time: while a network stands still nothing is given up.
async fn carry(
    unit: &mut Unit<'_>,
    was: &RefundRow,
    with_hash: RefundRow,
    judged: Judged,
) -> Result<RefundRow, ServiceError> {
    let Judged { said, is_final, place, certainty } = judged;
    let now = certainty.ledger_time;
    let waited_long = given_up_at(&with_hash).is_some_and(|at| now > at);
    let (status, failure) = after(said, is_final, waited_long);
    let waiting_since = if said == Said::Nothing { with_hash.waiting_since.or(Some(now)) } else { None };
    let succeeded_at = (status == RefundStatus::Succeeded).then(|| with_hash.succeeded_at.unwrap_or(unit.now));
    let next = RefundRow { status, failure, place, waiting_since, succeeded_at, ..with_hash };
    if next == *was {
        unit.tx.note_refund_checked(was.id, unit.now).await?;
        return Ok(next);
    }
    let next = save(unit, RefundRow { checked_at: unit.now, updated_at: unit.now, ..next }).await?;
    if next.status != was.status || next.transaction_hash != was.transaction_hash {
        let event = if status == RefundStatus::Failed { EventType::RefundFailed } else { EventType::RefundUpdated };
        tell(unit, event, &next).await?;
    }
    if next.status == RefundStatus::Succeeded {
        match next.of {
            GivenBack::Payment(id) => {
                engine::settle_refunds(unit, id, &certainty).await?;
            }
            GivenBack::Deposit(id) => close_deposit(unit, &next, id).await?,
        }
    }
    Ok(next)
}

async fn save(unit: &mut Unit<'_>, refund: RefundRow) -> Result<RefundRow, ServiceError> {
    match unit.tx.update_refund(&refund).await {
        Ok(true) => Ok(RefundRow { revision: refund.revision + 1, ..refund }),
        Ok(false) => Err(ServiceError::Conflict),
        Err(StoreError::Unique { .. }) => Err(ServiceError::TransactionTaken),
        Err(error) => Err(error.into()),
    }
}

/// Nobody need look at a deposit that was given back as a whole.
async fn close_deposit(unit: &mut Unit<'_>, refund: &RefundRow, id: DepositId) -> Result<(), ServiceError> {
    let Some(deposit) = unit.tx.read().find_deposit(&refund.tenant, id).await? else { return Ok(()) };
    let sums = unit.tx.read().sum_refunds(refund.of).await?;
    if deposit.units.is_none_or(|units| sums.succeeded < units) {
        return Ok(());
    }
    let resolution = json!({ "kind": REFUNDED, "refund_id": refund.id, "by": refund.created_by });
    if unit.tx.resolve_deposit(id, None, &resolution, unit.now).await? {
        let happened = Happened {
            event: EventType::DepositResolved,
            business: &refund.tenant.business,
            environment: Some(refund.tenant.environment),
            key: None,
            data: json!({ "deposit": view::deposit(&deposit), "refund": view::refund(refund) }),
        };
        unit.record_about(happened, Some(id.to_string())).await?;
    }
    Ok(())
}

/// Holds the refunds above a height to be on their way again, but for those whose block is known to be there still
/// (`kept`), and tells of those that were certain. Returns the payments of which less is given back now.
pub(super) async fn take_back(
    unit: &mut Unit<'_>,
    ledger: &LedgerId,
    above: u64,
    kept: &BTreeSet<String>,
    ledger_time: Timestamp,
) -> Result<BTreeSet<PaymentId>, ServiceError> {
    let mut payments = BTreeSet::new();
    for was in unit.tx.read().list_placed_refunds(ledger, above).await? {
        if was.place.as_ref().is_some_and(|place| kept.contains(&place.block_hash)) {
            continue;
        }
        let now = RefundRow {
            status: RefundStatus::Processing,
            place: None,
            succeeded_at: None,
            waiting_since: Some(ledger_time),
            updated_at: unit.now,
            ..was.clone()
        };
        let now = save(unit, now).await?;
        if was.status != RefundStatus::Succeeded {
            continue;
        }
        match was.of {
            GivenBack::Payment(id) => {
                payments.insert(id);
            }
            GivenBack::Deposit(id) => reopen_deposit(unit, &was, id).await?,
        }
        tracing::warn!(refund.id = %was.id, business.id = %was.tenant.business, "the ledger took back a refund");
        tell(unit, EventType::RefundUpdated, &now).await?;
    }
    Ok(payments)
}

/// What was dealt with by being given back is there again. What a person decided stays decided.
async fn reopen_deposit(unit: &mut Unit<'_>, refund: &RefundRow, id: DepositId) -> Result<(), ServiceError> {
    let Some(deposit) = unit.tx.read().find_deposit(&refund.tenant, id).await? else { return Ok(()) };
    if is_by_refund(&deposit) && unit.tx.reopen_deposit(id).await? {
        let happened = Happened {
            event: EventType::DepositUnmatched,
            business: &refund.tenant.business,
            environment: Some(refund.tenant.environment),
            key: None,
            data: json!({ "deposit": view::deposit(&deposit) }),
        };
        unit.record_about(happened, Some(id.to_string())).await?;
    }
    Ok(())
}

/// Calls off what waits to be given back of something beyond what is left of it (`left` base units): nobody's wallet is
/// told to send money that a ledger took back, or that was given back otherwise. The newest are called off first.
pub(super) async fn call_off_beyond(
    unit: &mut Unit<'_>,
    tenant: &Tenant,
    of: GivenBack,
    left: i64,
) -> Result<(), ServiceError> {
    let mut held = unit.tx.read().sum_refunds(of).await?.held;
    if held <= left {
        return Ok(());
    }
    let filter = RefundFilter {
        payment: of.payment(),
        deposit: of.deposit(),
        status: Some(RefundStatus::Pending),
        ..RefundFilter::default()
    };
    for refund in unit.tx.read().list_refunds(tenant, &filter, None, MOST_PENDING).await? {
        if held <= left {
            break;
        }
        held -= refund.amount.units();
        let changed = RefundRow { status: RefundStatus::Cancelled, updated_at: unit.now, ..refund };
        let changed = save(unit, changed).await?;
        tell(unit, EventType::RefundUpdated, &changed).await?;
    }
    Ok(())
}

/// The same of a deposit that no payment takes and whose block was taken back, unless it is there for certain again.
pub(super) async fn call_off_of_deposit(
    unit: &mut Unit<'_>,
    tenant: &Tenant,
    id: DepositId,
    certainty: &Certainty,
) -> Result<(), ServiceError> {
    let Some(deposit) = unit.tx.read().find_deposit(tenant, id).await? else { return Ok(()) };
    let left = certain(&deposit, certainty).map_or(0, Money::units);
    call_off_beyond(unit, tenant, GivenBack::Deposit(id), left).await
}

/// What of a deposit that no payment takes is there for certain.
fn certain(deposit: &DepositRow, certainty: &Certainty) -> Option<Money> {
    let ours = deposit.counts() && deposit.payment.is_none();
    let amount = Money::from_units(deposit.units?, SPARE).ok()?;
    (ours && deposit.transfer.block < certainty.first_open(amount)).then_some(amount)
}

/// Asks a ledger that went on about the refunds that wait for it. What is wrong with one holds up no other.
///
/// # Errors
/// [`ServiceError::Store`] only.
pub(crate) async fn follow(core: &Core, ledger: &LedgerId) -> Result<(), ServiceError> {
    for refund in core.store.read().list_refunds_to_follow(ledger, FOLLOWED).await? {
        match follow_one(core, &refund).await {
            Ok(()) | Err(ServiceError::Conflict) => {}
            Err(ServiceError::Store(error)) => return Err(ServiceError::Store(error)),
            // Nobody answers: the others would only wait for the same.
            Err(ServiceError::NetworkUnavailable(_)) => return Ok(()),
            Err(error) => tracing::warn!(refund.id = %refund.id, %error, "a refund could not be looked at"),
        }
    }
    Ok(())
}

async fn follow_one(core: &Core, refund: &RefundRow) -> Result<(), ServiceError> {
    let Some(hash) = &refund.transaction_hash else { return Ok(()) };
    let carried = carried(core, refund, hash).await?;
    let context = Context::system();
    let mut unit = Unit::begin(core, &context).await?;
    let current = unit.tx.read().find_refund(&refund.tenant, refund.id).await?;
    let Some(current) = current.filter(|current| current.revision == refund.revision) else { return Ok(()) };
    let judged = judge(core, &mut unit, &current, hash, carried.as_ref()).await?;
    let changed = carry(&mut unit, &current, current.clone(), judged).await?;
    if changed == current {
        unit.tx.commit().await?;
    } else {
        unit.commit(ChangeKind::Payment, Some(&refund.tenant.business), Some(&refund.id.to_string())).await?;
    }
    Ok(())
}

async fn tell(unit: &mut Unit<'_>, event: EventType, refund: &RefundRow) -> Result<(), ServiceError> {
    let happened = Happened {
        event,
        business: &refund.tenant.business,
        environment: Some(refund.tenant.environment),
        key: None,
        data: json!({ "refund": view::refund(refund) }),
    };
    unit.record_about(happened, Some(refund.id.to_string())).await
}
