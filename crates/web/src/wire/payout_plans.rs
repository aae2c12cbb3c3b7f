//! What it takes to move money from deposit addresses to payout addresses, on the wire.

use serde::Serialize;
use trousseau_domain::evm::{Quantity, print_bytes};
use trousseau_service::payments::payout_plans::{
    Collection, Held, PayoutPlan, PlannedTransaction, Purpose, Stuck, WhyStuck,
};
use utoipa::ToSchema;

/// The unsigned transactions that move what lies at the deposit addresses of one network.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PayoutPlan)]
pub struct PayoutPlanBody {
    /// The network (CAIP-2).
    #[schema(example = "eip155:8453")]
    pub network: String,
    /// Its number, which transactions are signed for (EIP-155).
    #[schema(example = 8453)]
    pub chain_id: u64,
    /// The block at which the balances were asked for.
    pub block: u64,
    /// To be sent in this order, by anybody. Empty where nothing lies there.
    pub transactions: Vec<PlannedTransactionBody>,
    /// What lies there and cannot be moved now.
    pub stuck: Vec<StuckBody>,
}

/// A transaction that nobody has signed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlannedTransaction)]
pub struct PlannedTransactionBody {
    /// `deploy_factory`, once per network, or `collect`.
    #[schema(example = "collect")]
    pub purpose: &'static str,
    /// What it does, in words.
    pub summary: String,
    /// The number of the network.
    #[schema(example = 8453)]
    pub chain_id: u64,
    /// To whom it goes.
    #[schema(example = "0x4Ef7B5137024619D0f66c1444Cba7c457F159D19")]
    pub to: String,
    /// The coins that it sends along: none.
    #[schema(example = "0x0")]
    pub value: &'static str,
    /// More gas than it takes, in hexadecimal digits.
    #[schema(example = "0x7a120")]
    pub gas: String,
    /// Its data.
    #[schema(example = "0x975423c4")]
    pub data: String,
    /// What it collects; `null` where it collects nothing.
    pub collects: Option<CollectionBody>,
}

/// What one transaction collects.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlannedCollection)]
pub struct CollectionBody {
    /// Whose it is.
    pub business_id: String,
    /// `test` or `live`.
    #[schema(example = "live")]
    pub environment: &'static str,
    /// The contract of the token.
    #[schema(example = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")]
    pub contract: String,
    /// What the amount is in; `null` for a token that is not accepted.
    #[schema(example = "USDC")]
    pub currency: Option<String>,
    /// The sum; `null` for a token that is not accepted.
    #[schema(example = "37.50")]
    pub amount: Option<String>,
    /// The same in the token's base units.
    #[schema(example = "37500000")]
    pub base_units: String,
    /// Where it goes: the payout address that the deposit addresses were made for.
    pub payout_address: String,
    /// From where.
    pub forwarders: Vec<HeldBody>,
}

/// What lies at one deposit address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlannedForwarder)]
pub struct HeldBody {
    /// Where.
    pub address: String,
    /// What the address follows from, beside the payout address.
    pub salt: String,
    /// How much, in the token's base units.
    #[schema(example = "12500000")]
    pub base_units: String,
    /// Whether the contract is there; the transaction makes it where it is not.
    pub deployed: bool,
    /// The payment that the address was given out for.
    pub payment_id: Option<String>,
}

/// Money that cannot be moved now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StuckMoney)]
pub struct StuckBody {
    /// `refused_by_token` where the token is paused or an address blocked, `no_deployer` where the network lacks the
    /// keyless CREATE2 deployer.
    #[schema(example = "refused_by_token")]
    pub reason: &'static str,
    /// What it is.
    pub collects: CollectionBody,
}

impl From<&PayoutPlan> for PayoutPlanBody {
    fn from(plan: &PayoutPlan) -> Self {
        let transaction = |transaction: &PlannedTransaction| {
            let (purpose, collects) = match &transaction.purpose {
                Purpose::DeployFactory => ("deploy_factory", None),
                Purpose::Collect(collection) => ("collect", Some(CollectionBody::from(collection))),
            };
            PlannedTransactionBody {
                purpose,
                summary: summary(&transaction.purpose),
                chain_id: plan.chain_id,
                to: transaction.to.to_string(),
                value: "0x0",
                gas: Quantity(transaction.gas).to_string(),
                data: print_bytes(&transaction.data),
                collects,
            }
        };
        Self {
            network: plan.network.to_string(),
            chain_id: plan.chain_id,
            block: plan.block,
            transactions: plan.transactions.iter().map(transaction).collect(),
            stuck: plan.stuck.iter().map(StuckBody::from).collect(),
        }
    }
}

impl From<&Collection> for CollectionBody {
    fn from(collection: &Collection) -> Self {
        Self {
            business_id: collection.tenant.business.to_string(),
            environment: collection.tenant.environment.as_str(),
            contract: collection.token.contract.to_string(),
            currency: collection.token.asset.map(|asset| asset.code().to_string()),
            amount: collection.money().map(|money| money.to_string()),
            base_units: collection.units.to_string(),
            payout_address: collection.payout.to_string(),
            forwarders: collection.forwarders.iter().map(HeldBody::from).collect(),
        }
    }
}

impl From<&Held> for HeldBody {
    fn from(held: &Held) -> Self {
        Self {
            address: held.address.to_string(),
            salt: print_bytes(held.salt.as_bytes()),
            base_units: held.units.to_string(),
            deployed: held.is_deployed,
            payment_id: held.payment.map(|id| id.to_string()),
        }
    }
}

impl From<&Stuck> for StuckBody {
    fn from(stuck: &Stuck) -> Self {
        let reason = match stuck.why {
            WhyStuck::Refused => "refused_by_token",
            WhyStuck::NoDeployer => "no_deployer",
        };
        Self { reason, collects: CollectionBody::from(&stuck.collection) }
    }
}

/// What a transaction does, in a line.
pub fn summary(purpose: &Purpose) -> String {
    match purpose {
        Purpose::DeployFactory => "deploys the factory of deposit addresses, once on this network".to_owned(),
        Purpose::Collect(collection) => {
            let missing = collection.forwarders.iter().filter(|held| !held.is_deployed).count();
            format!(
                "moves {} from {} deposit addresses ({missing} to be deployed) to {}",
                sum(collection),
                collection.forwarders.len(),
                collection.payout
            )
        }
    }
}

/// The sum with its currency, or base units of a contract.
pub fn sum(collection: &Collection) -> String {
    match collection.money() {
        Some(money) => format!("{money} {}", money.asset().code()),
        None => format!("{} base units of {}", collection.units, collection.token.contract),
    }
}
