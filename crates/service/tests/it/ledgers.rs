//! What a payer, a miner and a fork do, in the same words on every ledger.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::evm::{EvmAddress, print_bytes};
use trousseau_domain::ledger::{ConfirmationPolicy, Confirmations, Moved};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::Asset;
use trousseau_domain::networks::ChainId;
use trousseau_service::idempotency::Answered;
use trousseau_service::networks::{Late, NetworkSettings, Token, Told};
use trousseau_service::payments::refunds::RefundDraft;
use trousseau_service::payments::test_ledger::{TestCommand, TestTransfer};
use trousseau_service::{Context, Destination, GivenBack, PaymentRow, RefundRow, ServiceError};

use crate::shop::Shop;
use crate::wallet::{NEXT, use_key};
use trousseau_store::testing::TestDatabase;
use trousseau_testkit::node::{CHAIN, Fixture, Node, Word, fixture, token_arguments};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The token that is asked for.
    Right,
    /// Another token.
    Wrong,
    /// The right one, by a transaction that fails.
    Failing,
}

/// A business on one ledger.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) shop: Shop,
    pub(crate) evm: Option<Evm>,
}

/// A chain of its own, with tokens.
#[derive(Debug)]
pub(crate) struct Evm {
    pub(crate) node: Node,
    pub(crate) token: EvmAddress,
    pub(crate) other: EvmAddress,
    /// The transactions that wait for a block or were in the latest ones, as they were asked for.
    pub(crate) requests: Vec<Value>,
}

pub(crate) fn token() -> Fixture {
    fixture("TestToken")
}

/// The settings of a network whose node is asked there.
pub(crate) fn settings(urls: &[String], tokens: &[EvmAddress], noticed: &[EvmAddress]) -> NetworkSettings {
    NetworkSettings {
        name: "local".to_owned(),
        chain: chain(),
        environment: Environment::Live,
        endpoints: urls.iter().map(|url| url.parse().expect("a URL")).collect(),
        tokens: tokens.iter().map(|contract| Token { asset: Asset::USDC, contract: *contract }).collect(),
        noticed: noticed.to_vec(),
        confirmations: ConfirmationPolicy::every(Confirmations::Blocks(3)),
        max_span: 1_000,
        poll: Duration::from_millis(100),
        timeout: Duration::from_secs(5),
        stale_after: Duration::from_mins(10),
        told: Told::default(),
        late: Late::default(),
    }
}

pub(crate) fn chain() -> ChainId {
    ChainId::of_eip155(CHAIN).expect("a chain")
}

impl Evm {
    pub(crate) async fn start() -> Option<Self> {
        Self::start_as(CHAIN).await
    }

    /// The same with a chain id of one's own.
    pub(crate) async fn start_as(chain: u64) -> Option<Self> {
        let node = Node::start_as(chain).await?;
        let code = token().bytecode;
        let right = node.deploy(&code, &token_arguments("USD Coin", "USDC", 6)).await;
        let other = node.deploy(&code, &token_arguments("Other Coin", "OTHER", 6)).await;
        for contract in [right, other] {
            let data = token().data("mint(address,uint256)", &[node.account(1).into(), (u128::MAX / 2).into()]);
            node.send(node.account(0), Some(contract), &data).await;
        }
        node.mine(1).await;
        Some(Self { node, token: right, other, requests: Vec::new() })
    }

    /// A transaction that waits for a block.
    pub(crate) async fn request(&mut self, from: EvmAddress, to: EvmAddress, data: &[u8]) -> String {
        let request = json!({"from": from, "to": to, "data": print_bytes(data), "gas": "0x3d0900"});
        let hash = self.node.call("eth_sendTransaction", json!([request])).await;
        self.requests.push(request);
        hash.as_str().expect("a hash").to_owned()
    }
}

impl World {
    /// On the ledger of TEST.
    pub(crate) async fn test() -> Self {
        Self { shop: Shop::open(Environment::Test, Vec::new()).await, evm: None }
    }

    /// The same on a database of one's own.
    pub(crate) async fn test_on(database: Arc<TestDatabase>) -> Self {
        Self { shop: Shop::open_on(database, Environment::Test, Vec::new()).await, evm: None }
    }

    /// On a chain; none where there is no node.
    pub(crate) async fn evm() -> Option<Self> {
        let evm = Evm::start().await?;
        let settings = settings(&[evm.node.url()], &[evm.token], &[evm.other]);
        Some(Self::on(evm, vec![settings]).await)
    }

    /// On a chain that TEST is bound to; none where there is no node.
    pub(crate) async fn test_network() -> Option<Self> {
        let evm = Evm::start().await?;
        let settings = settings(&[evm.node.url()], &[evm.token], &[evm.other]);
        Some(
            Self::of(Environment::Test, evm, vec![NetworkSettings { environment: Environment::Test, ..settings }])
                .await,
        )
    }

    /// On a chain, with a new address of a wallet for every payment; none where there is no node.
    pub(crate) async fn wallet() -> Option<Self> {
        let world = Self::evm().await?;
        use_key(&world.shop, &world.shop.tenant, "local", NEXT).await;
        Some(world)
    }

    /// On a chain that is asked in a way of one's own.
    pub(crate) async fn on(evm: Evm, networks: Vec<NetworkSettings>) -> Self {
        Self::of(Environment::Live, evm, networks).await
    }

    async fn of(environment: Environment, evm: Evm, networks: Vec<NetworkSettings>) -> Self {
        let shop = Shop::open(environment, networks).await;
        let payout = evm.node.account(9).to_string();
        shop.app
            .payout_addresses()
            .set(&Context::system(), &shop.tenant, "local", &payout)
            .await
            .expect("a payout address");
        let world = Self { shop, evm: Some(evm) };
        world.look().await;
        world
    }

    pub(crate) fn chain(&mut self) -> &mut Evm {
        self.evm.as_mut().expect("on a chain")
    }

    /// Returns the transaction that it made.
    async fn run(&self, command: TestCommand) -> Option<String> {
        let ledgers = self.shop.app.test_ledgers();
        let done = ledgers.run(&Context::system(), &self.shop.tenant, &command, None).await.expect("done");
        match done {
            Answered::Done(state) => state.transaction_hash,
            Answered::Replayed(_) => None,
        }
    }

    /// Has the engine see what there is.
    pub(crate) async fn look(&self) {
        if self.evm.is_some() {
            self.shop.app.jobs().run_pending().await.expect("the database answers");
        }
    }

    /// Sends so many base units to the address of a payment; it waits for the next block.
    pub(crate) async fn send(&mut self, payment: &PaymentRow, units: u128, what: Sent) -> String {
        self.send_to(&payment.destination, units, what).await
    }

    /// The same to any address.
    pub(crate) async fn send_to(&mut self, to: &Destination, units: u128, what: Sent) -> String {
        let address = to.address.clone();
        let Some(evm) = &mut self.evm else {
            let transfer = TestTransfer {
                network: to.network.clone(),
                to: address,
                from: None,
                amount: units.to_string().parse().expect("digits"),
                asset: if what == Sent::Wrong { Moved::Other } else { Moved::Accepted },
                reverted: what == Sent::Failing,
            };
            return self.run(TestCommand::Transfer(transfer)).await.expect("a transaction");
        };
        let to: EvmAddress = address.parse().expect("an address");
        let data = token().data("transfer(address,uint256)", &[to.into(), Word::from(units)]);
        // Whoever has nothing can send nothing.
        let from = evm.node.account(if what == Sent::Failing { 5 } else { 1 });
        let contract = if what == Sent::Wrong { evm.other } else { evm.token };
        evm.request(from, contract, &data).await
    }

    pub(crate) async fn mine(&mut self, blocks: u32) {
        match &mut self.evm {
            Some(evm) => evm.node.mine(blocks.into()).await,
            None => drop(self.run(TestCommand::Mine(blocks)).await),
        }
        self.look().await;
    }

    /// Replaces the latest blocks by as many others. What was sent last is gone, or in the first one of them.
    pub(crate) async fn reorganise(&mut self, depth: u32, reinclude: bool) {
        match &mut self.evm {
            Some(evm) => {
                let again: Vec<_> = evm.requests.drain(..).filter(|_| reinclude).map(|sent| json!([sent, 0])).collect();
                evm.node.call("anvil_reorg", json!([depth, again])).await;
            }
            None => drop(self.run(TestCommand::Reorganise { depth, reinclude }).await),
        }
        self.look().await;
    }

    /// The same on a chain that nobody looks at meanwhile: the transactions come in the first new block.
    pub(crate) async fn reorganise_unseen(&mut self, depth: u32) {
        let evm = self.chain();
        let again: Vec<_> = evm.requests.drain(..).map(|sent| json!([sent, 0])).collect();
        evm.node.call("anvil_reorg", json!([depth + 1, again])).await;
    }

    /// Lets the ledger's own time pass.
    pub(crate) async fn pass(&mut self, time: Duration) {
        if let Some(evm) = &mut self.evm {
            self.shop.advance(time);
            evm.node.call("evm_increaseTime", json!([time.as_secs()])).await;
        } else {
            let now = self.shop.app.test_ledgers().get(&self.shop.tenant).await.expect("there").now;
            self.run(TestCommand::AdvanceTo(now.saturating_add(time))).await;
        }
        self.mine(1).await;
    }

    /// Lets time pass everywhere but on the ledger.
    pub(crate) async fn stand_still(&mut self, time: Duration) {
        if self.evm.is_none() {
            self.run(TestCommand::Halt).await;
        }
        self.shop.advance(time);
        self.look().await;
        self.shop.app.jobs().run_pending().await.expect("the database answers");
    }

    pub(crate) async fn move_again(&mut self) {
        if self.evm.is_none() {
            self.run(TestCommand::Resume).await;
        }
    }

    /// Tells the engine of the last blocks once more.
    pub(crate) async fn look_again(&self, blocks: u32) {
        match &self.evm {
            Some(_) => {
                let networks = self.shop.app.networks();
                networks.look_again(&chain(), blocks.into()).await.expect("looked");
            }
            None => drop(self.run(TestCommand::Duplicate(blocks)).await),
        }
    }

    /// Asks for a refund to a wallet that is the payer's.
    pub(crate) async fn refund(&self, of: GivenBack, amount: Option<&str>) -> Result<RefundRow, ServiceError> {
        let to = match &self.evm {
            Some(evm) => evm.node.account(7).to_string(),
            None => "test_customer".to_owned(),
        };
        self.refund_to(of, amount, &to).await
    }

    pub(crate) async fn refund_to(
        &self,
        of: GivenBack,
        amount: Option<&str>,
        to: &str,
    ) -> Result<RefundRow, ServiceError> {
        let draft = RefundDraft {
            of,
            amount: amount.map(str::to_owned),
            destination: to.to_owned(),
            reason: None,
            metadata: Metadata::default(),
        };
        let refunds = self.shop.app.refunds();
        match refunds.create(&Context::system(), &self.shop.tenant, &draft, None).await? {
            Answered::Done(refund) => Ok(refund),
            Answered::Replayed(_) => panic!("nothing was asked twice"),
        }
    }

    pub(crate) async fn hand_in(&self, refund: &RefundRow, hash: &str) -> Result<RefundRow, ServiceError> {
        let refunds = self.shop.app.refunds();
        match refunds.hand_in(&Context::system(), &self.shop.tenant, refund.id, hash, None).await? {
            Answered::Done(refund) => Ok(refund),
            Answered::Replayed(_) => panic!("nothing was asked twice"),
        }
    }

    /// The refund as it stands now.
    pub(crate) async fn refunded(&self, refund: &RefundRow) -> RefundRow {
        self.shop.app.refunds().get(&self.shop.tenant, refund.id).await.expect("there")
    }

    /// Another wallet on the same network.
    pub(crate) fn elsewhere(&self, place: &Destination) -> Destination {
        let address = match &self.evm {
            Some(evm) => evm.node.account(8).to_string(),
            None => "test_somebody".to_owned(),
        };
        Destination { address, ..place.clone() }
    }

    /// A reorganisation brings back only what is sent from now on.
    pub(crate) fn forget_requests(&mut self) {
        if let Some(evm) = &mut self.evm {
            evm.requests.clear();
        }
    }

    pub(crate) const fn tenant(&self) -> &Tenant {
        &self.shop.tenant
    }
}
