//! The ledger of TEST from the outside: what a payer, a miner and a fork do to it.
//!
//! Everything is named by counters of the ledger, so that the same calls give the same hashes.

use sha2::{Digest as _, Sha256};
use trousseau_domain::environment::Tenant;
use trousseau_domain::ids::{BusinessId, PaymentId};
use trousseau_domain::ledger::{Block, LedgerId, Moved, RawAmount, Scenario};
use trousseau_domain::networks::{ChainId, ShortName};
use trousseau_domain::payments::PaymentStatus;
use trousseau_domain::time::Timestamp;
use trousseau_store::{PaymentRow, Reader, TestLedgerRow, TestTransferRow, Tx};

use super::engine;
use super::places::{check_test_ledger, is_on_test_ledger};
use super::rail::TEST_CONFIRMATIONS;
use super::{recurring_payments, reminders};
use crate::app::{Core, Unit};
use crate::context::Context;
use crate::error::ServiceError;
use crate::idempotency::{self, Answered, Idempotent};

/// The most blocks that one call mines.
const MAX_BLOCKS: u32 = 1_000;
/// How long after the time ran out a late transfer comes.
const LATE_BY_SECONDS: u64 = 60;
/// The address that transfers come from unless the caller says otherwise.
const PAYER: &str = "test_payer";

/// The time on a test ledger's own clock.
pub(crate) fn clock_of(ledger: &TestLedgerRow, now: Timestamp) -> Timestamp {
    now.saturating_add(std::time::Duration::from_micros(ledger.clock_offset))
}

/// The time as a tenant's payments know it: the clock of a test ledger may have been set forward.
pub(crate) async fn now_of(core: &Core, tenant: &Tenant) -> Result<Timestamp, ServiceError> {
    now_in(core, &mut core.store.read(), tenant).await
}

/// The same as it is read there.
pub(crate) async fn now_in(core: &Core, reader: &mut Reader<'_>, tenant: &Tenant) -> Result<Timestamp, ServiceError> {
    let now = core.clock.now();
    if !is_on_test_ledger(core, tenant.environment) {
        return Ok(now);
    }
    let ledger = reader.find_test_ledger(&tenant.business).await?;
    Ok(ledger.map_or(now, |ledger| clock_of(&ledger, now)))
}

/// A transfer to be made on a test ledger.
#[derive(Debug, Clone)]
pub struct TestTransfer {
    /// The network.
    pub network: ChainId,
    /// To which address.
    pub to: String,
    /// From which; `test_payer` unless given.
    pub from: Option<String>,
    /// Base units.
    pub amount: RawAmount,
    /// Which asset.
    pub asset: Moved,
    /// Whether the transaction fails.
    pub reverted: bool,
}

/// How a test ledger stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestLedgerState {
    /// Its height.
    pub height: u64,
    /// The hash of its latest block; none before the first.
    pub head: Option<String>,
    /// Its own clock.
    pub now: Timestamp,
    /// Whether it stands still.
    pub halted: bool,
    /// Forks ever made.
    pub forks: u64,
    /// The transaction that this call made.
    pub transaction_hash: Option<String>,
}

/// What to do to a test ledger.
#[derive(Debug, Clone)]
pub enum TestCommand {
    /// Send something; it waits for the next block.
    Transfer(TestTransfer),
    /// Make so many blocks, 1 to 1000.
    Mine(u32),
    /// Take back so many blocks and make as many new ones.
    Reorganise {
        /// How many.
        depth: u32,
        /// Whether the transactions come again in the first new block, or are gone.
        reinclude: bool,
    },
    /// Stand still: no blocks, no time.
    Halt,
    /// Go on.
    Resume,
    /// Tell of the last blocks once more.
    Duplicate(u32),
    /// Set the clock forward to this instant, and do everything that is due by then.
    AdvanceTo(Timestamp),
}

/// Use cases of the test ledger.
#[derive(Debug, Clone, Copy)]
pub struct TestLedgers<'a> {
    core: &'a Core,
}

impl<'a> TestLedgers<'a> {
    pub(crate) const fn new(core: &'a Core) -> Self {
        Self { core }
    }

    /// Whether payments of TEST are made on test ledgers. They are not where TEST is bound to networks.
    pub fn are_on(self) -> bool {
        self.core.networks.has_test_ledgers()
    }

    /// How the test ledger of a tenant stands.
    ///
    /// # Errors
    /// [`ServiceError::TestOnly`] in LIVE, [`ServiceError::TestLedgerOff`] where TEST is bound to networks.
    pub async fn get(self, tenant: &Tenant) -> Result<TestLedgerState, ServiceError> {
        check_test_ledger(self.core, tenant.environment)?;
        let mut tx = self.core.store.begin().await?;
        let ledger = tx.lock_test_ledger(&tenant.business).await?;
        let state = self.state(&mut tx, &ledger, None).await?;
        tx.commit().await?;
        Ok(state)
    }

    /// Does something to the test ledger, and then has the engine look at it.
    ///
    /// # Errors
    /// [`ServiceError::TestOnly`] in LIVE, [`ServiceError::TestLedgerOff`] where TEST is bound to networks,
    /// [`ServiceError::Invalid`] for what the ledger cannot do.
    pub async fn run(
        self,
        context: &Context,
        tenant: &Tenant,
        command: &TestCommand,
        idempotent: Option<&Idempotent<'_, TestLedgerState>>,
    ) -> Result<Answered<TestLedgerState>, ServiceError> {
        check_test_ledger(self.core, tenant.environment)?;
        let _claim = self.core.in_flight.claim(idempotent)?;
        let mut unit = Unit::begin(self.core, context).await?;
        if let Some(answer) = idempotency::earlier(&mut unit.tx, idempotent, unit.now).await? {
            return unit.replay(answer).await;
        }
        unit.check_caller().await?;
        let mut ledger = unit.tx.lock_test_ledger(&tenant.business).await?;
        let now = unit.now;
        let made = act(&mut unit.tx, &mut ledger, command, now).await?;
        unit.tx.update_test_ledger(&ledger).await?;
        let state = self.state(&mut unit.tx, &ledger, made).await?;
        idempotency::keep(&mut unit.tx, idempotent, &state, now).await?;
        unit.tx.commit().await?;
        self.follow(tenant, command).await?;
        Ok(Answered::Done(state))
    }

    /// What has to happen after a change of the ledger: the engine looks, and what is due is done.
    async fn follow(self, tenant: &Tenant, command: &TestCommand) -> Result<(), ServiceError> {
        let ledger = LedgerId::Test(tenant.business.clone());
        match command {
            TestCommand::Duplicate(blocks) => engine::look_again(self.core, &ledger, u64::from(*blocks)).await,
            TestCommand::AdvanceTo(_) => {
                engine::look(self.core, &ledger).await?;
                recurring_payments::make_due(self.core, Some(tenant)).await?;
                reminders::send_due(self.core, Some(tenant)).await
            }
            TestCommand::Transfer(_)
            | TestCommand::Mine(_)
            | TestCommand::Reorganise { .. }
            | TestCommand::Halt
            | TestCommand::Resume => engine::look(self.core, &ledger).await.map(drop),
        }
    }

    /// Plays a scenario for a payment that waits, as the buttons of the hosted page do.
    ///
    /// # Errors
    /// [`ServiceError::TestOnly`] in LIVE, [`ServiceError::TestLedgerOff`] where TEST is bound to networks,
    /// [`ServiceError::PaymentClosed`] where the payment does not wait.
    pub async fn play(self, context: &Context, payment: &PaymentRow, scenario: Scenario) -> Result<(), ServiceError> {
        self.play_as(context, payment, scenario, None).await
    }

    /// The same for a key of the tenant, once under the name of the request. Returns the payment as it is afterwards.
    pub async fn play_to(
        self,
        context: &Context,
        tenant: &Tenant,
        id: PaymentId,
        scenario: Scenario,
        idempotent: Option<&Idempotent<'_, PaymentRow>>,
    ) -> Result<Answered<PaymentRow>, ServiceError> {
        let act = Box::pin(async {
            let waiting = self.core.store.read().find_payment(tenant, id).await?.ok_or(ServiceError::NotFound)?;
            self.play(context, &waiting, scenario).await?;
            self.core.store.read().find_payment(tenant, id).await?.ok_or(ServiceError::NotFound)
        });
        idempotency::once(self.core, idempotent, act).await
    }

    /// The same as [`Self::play`], by a transaction that goes by this name.
    pub(crate) async fn play_as(
        self,
        context: &Context,
        payment: &PaymentRow,
        scenario: Scenario,
        transaction_hash: Option<&str>,
    ) -> Result<(), ServiceError> {
        check_test_ledger(self.core, payment.tenant.environment)?;
        if matches!(payment.destination.ledger, LedgerId::Network(..)) {
            // It was started while TEST was bound to networks: nothing on a test ledger pays it.
            return Err(ServiceError::PaymentClosed);
        }
        let waits =
            matches!(payment.state.status, PaymentStatus::Open | PaymentStatus::Processing | PaymentStatus::Expired);
        if !waits {
            return Err(ServiceError::PaymentClosed);
        }
        let business = &payment.tenant.business;
        let ledger_id = LedgerId::Test(business.clone());
        for command in steps(payment, scenario) {
            let mut unit = Unit::begin(self.core, context).await?;
            let mut ledger = unit.tx.lock_test_ledger(business).await?;
            let now = unit.now;
            // A halted ledger makes no blocks, and the buttons must not seem to be broken.
            if !matches!(command, TestCommand::Halt | TestCommand::Resume) && ledger.halted_at.is_some() {
                act(&mut unit.tx, &mut ledger, &TestCommand::Resume, now).await?;
            }
            match (&command, transaction_hash) {
                // It is that late already.
                (TestCommand::AdvanceTo(to), _) if *to <= clock_of(&ledger, now) => {}
                (TestCommand::Transfer(transfer), Some(hash)) => {
                    // Handed in twice at once: one of the two makes it.
                    let mut reader = unit.tx.read();
                    if reader.find_test_transfer(business, &transfer.network, hash).await?.is_some() {
                        return unit.settle().await;
                    }
                    send(&mut unit.tx, &mut ledger, transfer, Some(hash)).await?;
                }
                _ => {
                    act(&mut unit.tx, &mut ledger, &command, now).await?;
                }
            }
            unit.tx.update_test_ledger(&ledger).await?;
            unit.tx.commit().await?;
            engine::look(self.core, &ledger_id).await?;
        }
        Ok(())
    }

    async fn state(
        self,
        tx: &mut Tx,
        ledger: &TestLedgerRow,
        transaction_hash: Option<String>,
    ) -> Result<TestLedgerState, ServiceError> {
        let head = tx.read().list_test_blocks(&ledger.business, ledger.height.max(1)).await?.pop();
        Ok(TestLedgerState {
            height: ledger.height,
            head: head.map(|block| block.hash),
            now: ledger.halted_at.unwrap_or_else(|| clock_of(ledger, self.core.clock.now())),
            halted: ledger.halted_at.is_some(),
            forks: ledger.forks,
            transaction_hash,
        })
    }
}

/// Sends something, and makes it final, as somebody's wallet and time would. Returns the transaction.
pub(super) async fn send_for_good(
    unit: &mut Unit<'_>,
    tenant: &Tenant,
    transfer: &TestTransfer,
) -> Result<String, ServiceError> {
    let mut ledger = unit.tx.lock_test_ledger(&tenant.business).await?;
    ledger.halted_at = None;
    let hash = send(&mut unit.tx, &mut ledger, transfer, None).await?;
    let now = unit.now;
    mine(&mut unit.tx, &mut ledger, TEST_CONFIRMATIONS, now).await?;
    unit.tx.update_test_ledger(&ledger).await?;
    Ok(hash)
}

/// Where a payment of a TEST network may be received: the networks that have a place on the test ledger.
pub fn test_network(name: &str) -> Option<ChainId> {
    let short = name.parse::<ShortName>().ok();
    short.or_else(|| ShortName::of(&name.parse().ok()?)).map(ShortName::test_chain)
}

/// What a scenario consists of.
fn steps(payment: &PaymentRow, scenario: Scenario) -> Vec<TestCommand> {
    let due = payment.terms.due.units();
    let rest = (due - payment.seen.units()).max(1);
    let send = |units: i64| TestTransfer {
        network: payment.destination.network.clone(),
        to: payment.destination.address.clone(),
        from: None,
        amount: RawAmount::from_units(units),
        asset: Moved::Accepted,
        reverted: false,
    };
    let transfer = |units: i64| TestCommand::Transfer(send(units));
    let finally = TestCommand::Mine(TEST_CONFIRMATIONS);
    match scenario {
        Scenario::Paid | Scenario::ToppedUp => vec![transfer(rest), finally],
        Scenario::Slow => vec![transfer(rest), TestCommand::Mine(1)],
        // Something is missing, and something comes, however small the price is.
        Scenario::Underpaid => vec![transfer((rest - rest / 10 - 1).max(1).min(rest)), finally],
        Scenario::Overpaid => vec![transfer(rest.saturating_add((rest / 10).max(1))), finally],
        Scenario::Late => match payment.terms.expires_at {
            Some(end) => {
                let after = end.saturating_add(std::time::Duration::from_secs(LATE_BY_SECONDS));
                vec![TestCommand::AdvanceTo(after), TestCommand::Mine(1), transfer(rest), finally]
            }
            None => vec![transfer(rest), finally],
        },
        Scenario::WrongToken => {
            vec![TestCommand::Transfer(TestTransfer { asset: Moved::Other, ..send(rest) }), finally]
        }
        Scenario::Reverted => vec![TestCommand::Transfer(TestTransfer { reverted: true, ..send(rest) }), finally],
        Scenario::Dropped => {
            vec![transfer(rest), TestCommand::Mine(1), TestCommand::Reorganise { depth: 1, reinclude: false }]
        }
        Scenario::Reversed => {
            vec![transfer(rest), finally, TestCommand::Reorganise { depth: TEST_CONFIRMATIONS, reinclude: false }]
        }
        Scenario::Halted => vec![transfer(rest), TestCommand::Mine(1), TestCommand::Halt],
    }
}

/// Does it; returns the hash of the transaction that was made.
async fn act(
    tx: &mut Tx,
    ledger: &mut TestLedgerRow,
    command: &TestCommand,
    now: Timestamp,
) -> Result<Option<String>, ServiceError> {
    match command {
        TestCommand::Transfer(transfer) => return send(tx, ledger, transfer, None).await.map(Some),
        TestCommand::Mine(blocks) => {
            if !(1..=MAX_BLOCKS).contains(blocks) {
                return Err(ServiceError::invalid("blocks", format!("must be 1 to {MAX_BLOCKS}")));
            }
            if ledger.halted_at.is_some() {
                return Err(ServiceError::invalid("blocks", "cannot be made while the ledger is halted: resume it"));
            }
            mine(tx, ledger, *blocks, now).await?;
        }
        TestCommand::Reorganise { depth, reinclude } => {
            if *depth == 0 || u64::from(*depth) > ledger.height {
                let height = ledger.height;
                return Err(ServiceError::invalid("depth", format!("must be 1 to the height of the ledger, {height}")));
            }
            let above = ledger.height - u64::from(*depth);
            tx.take_back_test_blocks(&ledger.business, above, *reinclude).await?;
            ledger.height = above;
            ledger.forks += 1;
            mine(tx, ledger, *depth, now).await?;
        }
        TestCommand::Halt => {
            ledger.halted_at = ledger.halted_at.or_else(|| Some(clock_of(ledger, now)));
        }
        TestCommand::Resume => ledger.halted_at = None,
        TestCommand::Duplicate(_) => {}
        TestCommand::AdvanceTo(to) => {
            let clock = clock_of(ledger, now);
            if *to < clock {
                return Err(ServiceError::invalid(
                    "to",
                    format!("lies before the ledger's clock, {clock}: it only goes forward"),
                ));
            }
            let by = u64::try_from(to.since(clock).as_micros()).unwrap_or(u64::MAX);
            ledger.clock_offset = ledger.clock_offset.saturating_add(by);
        }
    }
    Ok(None)
}

async fn send(
    tx: &mut Tx,
    ledger: &mut TestLedgerRow,
    transfer: &TestTransfer,
    hash: Option<&str>,
) -> Result<String, ServiceError> {
    ledger.transactions += 1;
    let number = ledger.transactions;
    let hash = hash.map_or_else(|| name_of(&ledger.business, "transaction", number, 0), str::to_owned);
    let row = TestTransferRow {
        number,
        network: transfer.network.clone(),
        transaction_hash: hash.clone(),
        asset: transfer.asset,
        from: transfer.from.clone().unwrap_or_else(|| PAYER.to_owned()),
        to: transfer.to.clone(),
        amount: transfer.amount.clone(),
        reverted: transfer.reverted,
        block: None,
    };
    tx.insert_test_transfer(&ledger.business, &row).await?;
    Ok(hash)
}

async fn mine(tx: &mut Tx, ledger: &mut TestLedgerRow, blocks: u32, now: Timestamp) -> Result<(), ServiceError> {
    let mut parent = match ledger.height {
        0 => name_of(&ledger.business, "block", 0, 0),
        height => {
            let head = tx.read().list_test_blocks(&ledger.business, height).await?.pop();
            head.map(|block| block.hash).unwrap_or_default()
        }
    };
    let at = ledger.halted_at.unwrap_or_else(|| clock_of(ledger, now));
    for _ in 0..blocks {
        ledger.height += 1;
        let hash = name_of(&ledger.business, "block", ledger.height, ledger.forks);
        let block = Block { number: ledger.height, hash: hash.clone(), parent, at };
        tx.insert_test_block(&ledger.business, &block).await?;
        parent = hash;
    }
    Ok(())
}

/// What a block or a transaction is called: the same for the same calls.
fn name_of(business: &BusinessId, what: &str, number: u64, fork: u64) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("trousseau test ledger\n{business}\n{what}\n{number}\n{fork}"));
    let mut name = String::from("0x");
    for byte in hash.finalize() {
        use std::fmt::Write as _;
        write!(name, "{byte:02x}").expect("a text takes everything");
    }
    name
}

/// The address of a payment on the test ledger: no wallet takes it for one of a network.
pub(crate) fn address_of(payment: PaymentId) -> String {
    let text = payment.to_string();
    format!("test_{}", text.trim_start_matches(PaymentId::PREFIX))
}
