//! Settings of payouts: where the money of each network goes.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trousseau_domain::environment::Environment;
use trousseau_domain::evm::{InvalidPayoutTarget, PayoutKeyState, PayoutTarget, print_bytes};
use trousseau_domain::members::Operation;
use trousseau_domain::networks::ChainId;
use trousseau_service::payments::payout_plans::{Collection, PayoutPlan, PlannedTransaction, Purpose, Stuck, WhyStuck};
use trousseau_service::{CollectFilter, PayoutKeyRow, ServiceError};

use crate::dashboard::form::{Form, FormErrors};
use crate::dashboard::format::Shown;
use crate::dashboard::frame::{Frame, Sub, Tab};
use crate::dashboard::kept::{Keepable, Kept};
use crate::dashboard::networks::called;
use crate::dashboard::session::{Entered, ReadBusiness, Stop, WriteBusiness};
use crate::dashboard::text::message;
use crate::router::Web;
use crate::wire::payout_plans::PayoutPlanBody;

/// What was typed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Fields {
    network: String,
    address: String,
}

impl Keepable for Fields {}

/// The addresses that were found in a wallet.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Found {
    network: String,
    address: Vec<String>,
    /// Whether the box is ticked.
    #[serde(rename = "found")]
    ticked: String,
}

/// A network that is watched.
#[derive(Debug)]
struct Place {
    id: String,
    name: String,
    /// Where its money goes, and since when.
    now: Option<(String, Shown)>,
    /// Whether it goes to new addresses of a wallet.
    by_key: bool,
    chosen: bool,
    proposed: Option<Proposed>,
}

/// An extended key that waits for somebody to find its addresses in their wallet.
#[derive(Debug)]
struct Proposed {
    key: String,
    since: Shown,
    addresses: Vec<String>,
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/payout.html")]
struct PayoutPage<'a> {
    frame: &'a Frame,
    errors: FormErrors,
    places: Vec<Place>,
    address: String,
    action: String,
    confirm: String,
    back: String,
    plan: String,
    may_write: bool,
    live: bool,
    /// Whether the money of the environment goes nowhere, because it is on the test ledger.
    nowhere: bool,
}

fn at<P>(entered: &Entered<P>, path: &str) -> String {
    format!("/b/{}/{}{}{path}", entered.tenant.business, entered.tenant.environment, Sub::Checkout.path())
}

async fn draw<P>(
    web: &Web,
    entered: &Entered<P>,
    status: StatusCode,
    fields: Fields,
    errors: FormErrors,
) -> Result<Response, Stop> {
    let refused = |error| entered.refused(error, &at(entered, "/payout"));
    let set = web.app.payout_addresses().list(&entered.tenant).await.map_err(refused)?;
    let keys = web.app.payout_addresses().keys(&entered.tenant).await.map_err(refused)?;
    let frame = entered.frame.clone().at(Tab::Settings, Some(Sub::Checkout));
    let place = |chain: ChainId| {
        let key = |state| keys.iter().find(|row| row.network == chain && row.state == state);
        let by_key = key(PayoutKeyState::InForce).map(|row| (row.key.masked(), frame.f.moment(row.set_at)));
        let by_address = set.iter().find(|row| row.network == chain);
        Place {
            id: chain.to_string(),
            name: called(web, &chain),
            by_key: by_key.is_some(),
            now: by_key.or(by_address.map(|row| (row.address.to_string(), frame.f.moment(row.set_at)))),
            chosen: fields.network == chain.as_str(),
            proposed: key(PayoutKeyState::Proposed).map(|row: &PayoutKeyRow| Proposed {
                key: row.key.masked(),
                since: frame.f.moment(row.set_at),
                addresses: row.key.first_addresses().iter().map(ToString::to_string).collect(),
            }),
        }
    };
    let places = web.app.networks().of(entered.tenant.environment).into_iter().map(place).collect();
    let template = PayoutPage {
        places,
        address: fields.address.clone(),
        action: at(entered, "/payout"),
        confirm: at(entered, "/payout/confirm"),
        back: at(entered, ""),
        plan: at(entered, "/payout/plan"),
        may_write: entered.role.may(Operation::BusinessWrite),
        live: entered.tenant.environment == Environment::Live,
        nowhere: entered.tenant.environment == Environment::Test && web.app.test_ledgers().are_on(),
        frame: &frame,
        errors,
    };
    Ok(frame.page_with(status, &template))
}

/// Where the money goes.
pub(super) async fn show(
    entered: Entered<ReadBusiness>,
    State(web): State<Web>,
    Kept(kept): Kept<Fields>,
) -> Result<Response, Stop> {
    draw(&web, &entered, StatusCode::OK, kept.unwrap_or_default(), FormErrors::new()).await
}

/// The most bytes of data that a page shows unasked.
const FEW_LINES: usize = 512;

/// A transaction that nobody has signed.
#[derive(Debug)]
struct Step {
    what: String,
    to: String,
    gas: String,
    data: String,
    /// Whether its data is a few lines; what deploys a contract fills many screens of a phone.
    short: bool,
    /// What its data is called on the page.
    id: String,
}

/// What lies at the deposit addresses of a network, and what moves it.
#[derive(Debug)]
struct NetworkPlan {
    name: String,
    id: String,
    /// None where no node of the network answers.
    made: Option<Made>,
}

#[derive(Debug)]
struct Made {
    block: String,
    chain_id: u64,
    steps: Vec<Step>,
    stuck: Vec<String>,
    /// The whole plan, for programs.
    json: String,
}

impl Made {
    fn of(plan: &PayoutPlan, frame: &Frame) -> Self {
        let (f, t) = (&frame.f, frame.t);
        let sum = |collection: &Collection| match collection.money() {
            Some(money) => format!("{} {}", f.money(money), money.asset().code()),
            None => format!("{} × {}", collection.units, collection.token.contract),
        };
        let what = |purpose: &Purpose| match purpose {
            Purpose::DeployFactory => t.get("plan-deploys"),
            Purpose::Collect(collection) => {
                let missing = collection.forwarders.iter().filter(|held| !held.is_deployed).count();
                let values = [
                    ("amount", sum(collection)),
                    ("addresses", collection.forwarders.len().to_string()),
                    ("missing", missing.to_string()),
                    ("payout", collection.payout.to_string()),
                ];
                t.with("plan-collects", values)
            }
        };
        let step = |(index, transaction): (usize, &PlannedTransaction)| Step {
            what: what(&transaction.purpose),
            to: transaction.to.to_string(),
            gas: f.number(transaction.gas),
            data: print_bytes(&transaction.data),
            short: transaction.data.len() <= FEW_LINES,
            id: format!("data-{}-{index}", plan.chain_id),
        };
        let stuck = |stuck: &Stuck| {
            let why = match stuck.why {
                WhyStuck::Refused => message!("plan-stuck-refused"),
                WhyStuck::NoDeployer => message!("plan-stuck-no-deployer"),
            };
            format!("{}: {}", sum(&stuck.collection), t.get(why))
        };
        let body = PayoutPlanBody::from(plan);
        Self {
            block: f.number(plan.block),
            chain_id: plan.chain_id,
            steps: plan.transactions.iter().enumerate().map(step).collect(),
            stuck: plan.stuck.iter().map(stuck).collect(),
            json: serde_json::to_string_pretty(&body).expect("its members are texts and numbers"),
        }
    }
}

#[derive(Debug, Template)]
#[template(path = "dashboard/payments/plan.html")]
struct PlanPage<'a> {
    frame: &'a Frame,
    plans: Vec<NetworkPlan>,
    back: String,
    live: bool,
}

/// What lies at deposit addresses now, and the transactions that move it.
pub(super) async fn plan(entered: Entered<ReadBusiness>, State(web): State<Web>) -> Result<Response, Stop> {
    let here = at(&entered, "/payout/plan");
    let frame = entered.frame.clone().at(Tab::Settings, Some(Sub::Checkout));
    let filter = CollectFilter {
        business: Some(entered.tenant.business.clone()),
        environment: Some(entered.tenant.environment),
    };
    let plans = web.app.payout_plans();
    let mut made = Vec::new();
    for chain in
        plans.networks(Some(entered.tenant.environment), None).map_err(|error| entered.refused(error, &here))?
    {
        let plan = match plans.plan(&chain, &filter).await {
            Ok(plan) => Some(Made::of(&plan, &frame)),
            // The others can be planned all the same.
            Err(ServiceError::NetworkUnavailable(_)) => None,
            Err(error) => return Err(entered.refused(error, &here)),
        };
        made.push(NetworkPlan { name: called(&web, &chain), id: chain.to_string().replace(':', "-"), made: plan });
    }
    let live = entered.tenant.environment == Environment::Live;
    Ok(frame.page(&PlanPage { plans: made, back: at(&entered, "/payout"), live, frame: &frame }))
}

/// Whether what was typed was meant as an address or as a public key: whatever else it is, it may be able to spend.
fn may_be_shown(text: &str) -> bool {
    const ADDRESS: usize = 42;
    text.trim().get(1..4) == Some("pub") || (text.len() <= ADDRESS && text.starts_with("0x"))
}

/// Says where it goes from now on, or proposes an account of a wallet for it.
pub(super) async fn save(
    State(web): State<Web>,
    entered: Entered<WriteBusiness>,
    Form(mut fields): Form<Fields>,
) -> Result<Response, Stop> {
    let here = at(&entered, "/payout");
    let places = web.app.payout_addresses();
    let t = entered.frame.t;
    // Read first: what can spend is neither kept while its sender proves who they are, nor shown again.
    let target: PayoutTarget = match fields.address.trim().parse() {
        Ok(target) => target,
        Err(error) => {
            let mut errors = FormErrors::new();
            let message = match error {
                InvalidPayoutTarget::Secret(_) => t.get("wrong-payout-secret"),
                InvalidPayoutTarget::Address(_) => t.get("wrong-payout-address"),
                InvalidPayoutTarget::ExtendedKey(_) => t.get("wrong-payout-key"),
            };
            errors.add("address", message);
            if matches!(error, InvalidPayoutTarget::Secret(_)) || !may_be_shown(&fields.address) {
                zeroize::Zeroize::zeroize(&mut fields.address);
            }
            return draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, fields, errors).await;
        }
    };
    let (context, tenant, network) = (&entered.context, &entered.tenant, &fields.network);
    let done = match &target {
        PayoutTarget::Address(address) => {
            let row = places.set(context, tenant, network, &address.to_string()).await;
            row.map(|row| (row.network, message!("flash-payout-set")))
        }
        PayoutTarget::ExtendedKey(key) => places.propose_key(context, tenant, network, key).await.map(|row| {
            let told = match row.state {
                PayoutKeyState::Proposed => message!("flash-payout-proposed"),
                PayoutKeyState::InForce => message!("flash-payout-set"),
            };
            (row.network, told)
        }),
    };
    match done {
        Ok((network, told)) => Ok(entered.frame.done(&here, told, &called(&web, &network))),
        Err(ServiceError::Invalid(problems)) => {
            let mut errors = FormErrors::new();
            for problem in problems {
                match problem.field {
                    "network" => errors.add("network", t.get("wrong-payout-network")),
                    _ => errors.add("address", t.get("wrong-payout-address")),
                }
            }
            draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, fields, errors).await
        }
        Err(error) => Err(entered.refused_form(&web, error, &here, &fields).await),
    }
}

/// Puts the proposed account in force, by somebody who found its first addresses in their wallet.
pub(super) async fn confirm(
    State(web): State<Web>,
    entered: Entered<WriteBusiness>,
    Form(found): Form<Found>,
) -> Result<Response, Stop> {
    let here = at(&entered, "/payout");
    let addresses: &[String] = if found.ticked.is_empty() { &[] } else { &found.address };
    let places = web.app.payout_addresses();
    match places.confirm_key(&entered.context, &entered.tenant, &found.network, addresses).await {
        Ok(row) => Ok(entered.frame.done(&here, message!("flash-payout-set"), &called(&web, &row.network))),
        // The box is not ticked, or another key was proposed in between: its addresses are shown now.
        Err(ServiceError::Invalid(_)) => {
            let mut errors = FormErrors::new();
            errors.add("found", entered.frame.t.get("wrong-payout-confirmation"));
            let fields = Fields { network: found.network, ..Fields::default() };
            draw(&web, &entered, StatusCode::UNPROCESSABLE_ENTITY, fields, errors).await
        }
        Err(error) => Err(entered.refused(error, &here)),
    }
}
