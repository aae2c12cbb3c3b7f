//! Measures the watch over a network: many payments wait while busy blocks come in.
//!
//! A real EVM node has the blocks; the service reads them in this process, on the embedded database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use trousseau_domain::business::Language;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::evm::{EvmAddress, Salt, forwarder_address};
use trousseau_domain::ids::PaymentId;
use trousseau_domain::ledger::{ConfirmationPolicy, Confirmations};
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::networks::ChainId;
use trousseau_domain::payables::PayableId;
use trousseau_domain::payments::PaymentStatus;
use trousseau_service::businesses::BusinessDraft;
use trousseau_service::clock::SystemClock;
use trousseau_service::entropy::{EntropyExt as _, SystemEntropy};
use trousseau_service::idempotency::Answered;
use trousseau_service::networks::{Late, NetworkSettings, Token, Told};
use trousseau_service::payments::payment_links::PaymentLinkDraft;
use trousseau_service::secrets::Secrets;
use trousseau_service::{App, Context, PaymentRow, Settings};
use trousseau_store::{DestinationRow, ForwarderRow, Store, StoreOptions};
use trousseau_testkit::node::{CHAIN, Node, Word, fixture, token_arguments};

/// Payments written in one transaction.
const PER_COMMIT: usize = 1_000;
/// Transfers of one transaction: as many as the gas of one of the node's accounts pays for at its usual limit.
const PER_TRANSACTION: usize = 50;
/// The price of everything: 12.50.
const PRICE: i64 = 12_500_000;

/// What comes in, and how much waits for it.
#[derive(Debug, Args)]
pub(crate) struct Scene {
    /// Payments that wait, one figure for each measurement
    #[arg(long, value_delimiter = ',', default_value = "100,1000,100000")]
    open: Vec<usize>,
    /// Blocks that come in
    #[arg(long, default_value_t = 100)]
    blocks: usize,
    /// Transfers of the token in each of them
    #[arg(long, default_value_t = 200)]
    transfers: usize,
    /// One in so many pays one of the payments
    #[arg(long, default_value_t = 10)]
    ours: usize,
}

/// What one measurement saw.
struct Seen {
    open: usize,
    paid: usize,
    took: Duration,
    idle: Duration,
    calls: u64,
    idle_calls: u64,
    memory_kib: u64,
}

/// Measures one number of open payments after the other, each on a chain and a database of its own.
pub(crate) async fn measure(scene: &Scene) -> anyhow::Result<()> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    println!("{} blocks with {} transfers each, one in {} for one of ours", scene.blocks, scene.transfers, scene.ours);
    println!("| open payments | paid | seconds | calls | an idle look, ms | its calls | most memory, MiB |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for open in &scene.open {
        let seen = one(scene, *open, &metrics).await?;
        println!(
            "| {} | {} | {}.{:03} | {} | {} | {} | {} |",
            seen.open,
            seen.paid,
            seen.took.as_secs(),
            seen.took.subsec_millis(),
            seen.calls,
            seen.idle.as_millis(),
            seen.idle_calls,
            seen.memory_kib / 1_024,
        );
    }
    Ok(())
}

async fn one(scene: &Scene, open: usize, metrics: &PrometheusHandle) -> anyhow::Result<Seen> {
    let node = Node::start().await.context("there is no EVM node: run `npm ci` in e2e/evm")?;
    let token = node.deploy(&fixture("TestToken").bytecode, &token_arguments("USD Coin", "USDC", 6)).await;
    let batch = node.deploy(&fixture("Batch").bytecode, &[]).await;
    let payer = node.account(1);
    let plenty = Word::from(u128::MAX / 2);
    for (from, method, whom) in
        [(node.account(0), "mint(address,uint256)", payer), (payer, "approve(address,uint256)", batch)]
    {
        node.send(from, Some(token), &fixture("TestToken").data(method, &[whom.into(), plenty])).await;
    }
    node.mine(1).await;

    let folder = tempfile::tempdir()?;
    let app = application(folder.path(), &node, token).await?;
    let tenant = business(&app).await?;
    app.payout_addresses().set(&Context::system(), &tenant, "local", &node.account(9).to_string()).await?;
    app.jobs().run_pending().await?;
    let payments = open_payments(&app, &tenant, node.account(9), open).await?;
    // What making them left to do is done before anything is measured.
    app.jobs().run_pending().await?;

    let paid = come_in(scene, &node, (batch, token), &payments).await?;
    std::fs::write("/proc/self/clear_refs", "5").context("the peak of memory cannot be set back")?;
    let (calls, since) = (asked(metrics), Instant::now());
    let mut settled = 0;
    for _ in 0..1_000 {
        app.jobs().run_pending().await?;
        let takings = app.store().read().sum_payments(&tenant, &status(PaymentStatus::Settled)).await?;
        settled = takings.iter().map(|taking| usize::try_from(taking.payments)).sum::<Result<usize, _>>()?;
        if settled >= paid {
            break;
        }
    }
    anyhow::ensure!(settled == paid, "{settled} of {paid} payments were settled");
    let (took, calls) = (since.elapsed(), asked(metrics) - calls);
    let memory_kib = peak_kib()?;

    let (before, since) = (asked(metrics), Instant::now());
    app.jobs().run_pending().await?;
    Ok(Seen { open, paid, took, idle: since.elapsed(), calls, idle_calls: asked(metrics) - before, memory_kib })
}

async fn application(folder: &std::path::Path, node: &Node, token: EvmAddress) -> anyhow::Result<App> {
    let clock = Arc::new(SystemClock);
    let entropy = Arc::new(SystemEntropy);
    let store = Store::open_sqlite(&folder.join("trousseau.db"), &StoreOptions::default()).await?;
    let secrets = Secrets::open(store.clone(), folder.join("keys.toml"), clock.clone(), entropy.clone()).await?;
    let network = NetworkSettings {
        name: "local".to_owned(),
        chain: ChainId::of_eip155(CHAIN).context("a chain")?,
        environment: Environment::Live,
        endpoints: vec![node.url().parse()?],
        tokens: vec![Token { asset: Asset::USDC, contract: token }],
        noticed: Vec::new(),
        confirmations: ConfirmationPolicy::every(Confirmations::Blocks(3)),
        max_span: 1_000,
        poll: Duration::from_millis(100),
        timeout: Duration::from_secs(30),
        // The node's chain began long ago.
        stale_after: Duration::MAX,
        told: Told::default(),
        late: Late::default(),
    };
    let settings = Settings::default().with_networks(vec![network]);
    Ok(App::new(store, secrets, settings, clock, entropy))
}

async fn business(app: &App) -> anyhow::Result<Tenant> {
    let draft = BusinessDraft {
        name: "Bench".parse()?,
        id: None,
        profile: None,
        time_zone: None,
        language: Language::English,
        metadata: Metadata::default(),
        invite: None,
    };
    let created = done(app.businesses().create(&Context::system(), &draft, None).await?)?;
    Ok(Tenant::new(created.business.id, Environment::Live))
}

/// So many payments that wait, each at an address of its own: the first as anybody's, the others as copies of it.
async fn open_payments(app: &App, tenant: &Tenant, payout: EvmAddress, open: usize) -> anyhow::Result<Vec<EvmAddress>> {
    let draft = PaymentLinkDraft {
        amount: Money::from_units(PRICE, Asset::USDC)?,
        title: None,
        description: None,
        redirect_url: None,
        logo_url: None,
        banner_url: None,
        customer_reference: None,
        metadata: Metadata::default(),
        single_use: false,
        active: true,
    };
    let link = done(app.payment_links().create(&Context::system(), tenant, &draft, None).await?)?;
    let shown = app.payments().shown(PayableId::PaymentLink(link.id)).await?;
    let first = done(app.payments().start(&Context::system(), &shown, None, None).await?)?.payment;
    let mut addresses = vec![first.destination.address.parse()?];
    let mut left = open.saturating_sub(1);
    while left > 0 {
        let now = left.min(PER_COMMIT);
        let mut tx = app.store().begin().await?;
        for _ in 0..now {
            let salt = Salt::from_bytes(app.entropy().bytes());
            let address = forwarder_address(payout, &salt);
            addresses.push(address);
            let mut destination = first.destination.clone();
            destination.address = address.to_string();
            let id = PaymentId::random(app.entropy().bytes());
            let payment = PaymentRow {
                id,
                destination: destination.clone(),
                token_digest: app.entropy().bytes(),
                ..first.clone()
            };
            tx.insert_payment(&payment).await?;
            tx.insert_destination(&DestinationRow {
                destination,
                tenant: tenant.clone(),
                payment: Some(id),
                forwarder: Some(ForwarderRow { payout, salt }),
                child: None,
                created_at: first.created_at,
            })
            .await?;
        }
        tx.commit().await?;
        left -= now;
    }
    Ok(addresses)
}

/// Lets the blocks come in, and those that make them final; tells how many payments are paid by them.
async fn come_in(
    scene: &Scene,
    node: &Node,
    (batch, token): (EvmAddress, EvmAddress),
    payments: &[EvmAddress],
) -> anyhow::Result<usize> {
    // Spread over all that wait, each at most once.
    let wanted = (scene.blocks * scene.transfers / scene.ours.max(1)).min(payments.len());
    let apart = payments.len() / wanted.max(1);
    let mut waiting = payments.iter().step_by(apart.max(1)).take(wanted);
    let (mut paid, mut sent) = (0, 0);
    for _ in 0..scene.blocks {
        let mut left = scene.transfers;
        while left > 0 {
            let now = left.min(PER_TRANSACTION);
            let mut to = Vec::with_capacity(now);
            for _ in 0..now {
                let ours = if sent % scene.ours.max(1) == 0 { waiting.next() } else { None };
                paid += usize::from(ours.is_some());
                sent += 1;
                to.push(ours.copied().unwrap_or_else(|| EvmAddress::from_bytes(SystemEntropy.bytes())));
            }
            let data = batch_of(token, &to)?;
            node.send(node.account(1), Some(batch), &data).await;
            left -= now;
        }
        node.mine(1).await;
    }
    node.mine(3).await;
    Ok(paid)
}

/// The data of `send(address,address[],uint256[])`.
fn batch_of(token: EvmAddress, to: &[EvmAddress]) -> anyhow::Result<Vec<u8>> {
    let number = |number: usize| u128::try_from(number).map(Word::from);
    let mut words = vec![Word::from(token), Word::from(96), number(128 + 32 * to.len())?];
    words.push(number(to.len())?);
    words.extend(to.iter().map(|to| Word::from(*to)));
    words.push(number(to.len())?);
    words.extend(to.iter().map(|_| Word::from(u128::from(PRICE.unsigned_abs()))));
    Ok(fixture("Batch").data("send(address,address[],uint256[])", &words))
}

/// Calls that were made to nodes so far.
fn asked(metrics: &PrometheusHandle) -> u64 {
    let text = metrics.render();
    let lines = text.lines().filter(|line| line.starts_with("trousseau_network_calls_total"));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// The most memory that this process had since it was last set back.
fn peak_kib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn status(status: PaymentStatus) -> trousseau_service::PaymentFilter {
    trousseau_service::PaymentFilter { status: Some(status), ..Default::default() }
}

fn done<T>(answered: Answered<T>) -> anyhow::Result<T> {
    match answered {
        Answered::Done(done) => Ok(done),
        Answered::Replayed(_) => anyhow::bail!("nothing was asked to be kept"),
    }
}
