//! A business with something to sell, in one environment of an installation.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use trousseau_domain::business::Language;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::PaymentId;
use trousseau_domain::metadata::Metadata;
use trousseau_domain::money::{Asset, Money};
use trousseau_domain::payables::PayableId;
use trousseau_domain::payments::{PaymentException, PaymentStatus};
use trousseau_domain::time::Timestamp;
use trousseau_service::businesses::BusinessDraft;
use trousseau_service::clock::{Clock as _, ManualClock};
use trousseau_service::entropy::SystemEntropy;
use trousseau_service::idempotency::Answered;
use trousseau_service::networks::NetworkSettings;
use trousseau_service::payments::Shown;
use trousseau_service::payments::payment_links::PaymentLinkDraft;
use trousseau_service::secrets::Secrets;
use trousseau_service::{App, Context, EventFilter, PaymentRow, ServiceError, Settings};
use trousseau_store::testing::TestDatabase;

use trousseau_testkit::node::GENESIS;

/// The price of everything: 12.50.
pub(crate) const PRICE: i64 = 12_500_000;

/// An installation on a database of its own, with one business.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) app: App,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tenant: Tenant,
    pub(crate) database: Arc<TestDatabase>,
    folder: Arc<TempDir>,
    networks: Vec<NetworkSettings>,
}

impl Shop {
    pub(crate) async fn open(environment: Environment, networks: Vec<NetworkSettings>) -> Self {
        Self::open_on(Arc::new(TestDatabase::sqlite().await), environment, networks).await
    }

    pub(crate) async fn open_on(
        database: Arc<TestDatabase>,
        environment: Environment,
        networks: Vec<NetworkSettings>,
    ) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        let start = i64::try_from(GENESIS * 1_000_000).expect("in range");
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(start).expect("in range")));
        let app = app(&database, &folder, &clock, &networks).await;
        let tenant = business(&app, environment).await;
        Self { app, clock, tenant, database, folder, networks }
    }

    /// One more business of the same installation.
    pub(crate) async fn another_business(&self) -> Tenant {
        business(&self.app, self.tenant.environment).await
    }

    /// Another process on the same database, as after a crash: what the first one held runs out.
    pub(crate) async fn restart(&mut self) {
        self.advance(Duration::from_secs(31));
        self.app = app(&self.database, &self.folder, &self.clock, &self.networks).await;
    }

    /// A second process beside the first one.
    pub(crate) async fn beside(other: &Self) -> App {
        app(&other.database, &other.folder, &other.clock, &other.networks).await
    }

    /// The same with other settings.
    pub(crate) async fn restart_with(&mut self, networks: Vec<NetworkSettings>) {
        self.networks = networks;
        self.restart().await;
    }

    /// A payment of the price, for a link of its own.
    pub(crate) async fn start(&self) -> PaymentRow {
        self.try_start().await.expect("started")
    }

    pub(crate) async fn try_start(&self) -> Result<PaymentRow, ServiceError> {
        self.start_at(PRICE).await
    }

    pub(crate) async fn start_at(&self, units: i64) -> Result<PaymentRow, ServiceError> {
        let shown = self.shown(units).await?;
        Ok(done(self.app.payments().start(&Context::system(), &shown, None, None).await?).payment)
    }

    /// Something new to be paid.
    pub(crate) async fn shown(&self, units: i64) -> Result<Shown, ServiceError> {
        self.shown_by(&self.tenant, units).await
    }

    /// Something new to be paid to a business of the installation.
    pub(crate) async fn shown_by(&self, tenant: &Tenant, units: i64) -> Result<Shown, ServiceError> {
        self.shown_in(tenant, Money::from_units(units, Asset::USDC).expect("a price")).await
    }

    /// The same at a price in any currency.
    pub(crate) async fn shown_in(&self, tenant: &Tenant, amount: Money) -> Result<Shown, ServiceError> {
        let draft = PaymentLinkDraft {
            amount,
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
        let link = done(self.app.payment_links().create(&Context::system(), tenant, &draft, None).await?);
        self.app.payments().shown(PayableId::PaymentLink(link.id)).await
    }

    pub(crate) async fn payment(&self, id: PaymentId) -> PaymentRow {
        self.app.payments().get(&self.tenant, id).await.expect("there").payment
    }

    /// Where a payment stands, and what was seen and what is final of it, in base units.
    pub(crate) async fn standing(&self, id: PaymentId) -> (PaymentStatus, PaymentException, i64, i64) {
        let payment = self.payment(id).await;
        (payment.state.status, payment.state.exception, payment.seen.units(), payment.settled.units())
    }

    /// Everything that was told of a payment, the oldest first.
    pub(crate) async fn told(&self, id: PaymentId) -> Vec<String> {
        let filter = EventFilter { subject: Some(id.to_string()), ..EventFilter::default() };
        let page = self.app.events().list(&self.tenant, &filter, None, 100).await.expect("listed");
        page.data.into_iter().map(|event| event.kind).rev().collect()
    }

    /// How many deposits wait for somebody.
    pub(crate) async fn unmatched(&self) -> usize {
        self.app.payments().unmatched(&self.tenant, None, 100).await.expect("listed").data.len()
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}

async fn business(app: &App, environment: Environment) -> Tenant {
    let draft = BusinessDraft {
        name: "Atelier Lumière".parse().expect("a name"),
        id: None,
        profile: None,
        time_zone: None,
        language: Language::English,
        metadata: Metadata::default(),
        invite: None,
    };
    let created = done(app.businesses().create(&Context::system(), &draft, None).await.expect("created"));
    Tenant::new(created.business.id, environment)
}

async fn app(database: &TestDatabase, folder: &TempDir, clock: &Arc<ManualClock>, networks: &[NetworkSettings]) -> App {
    let entropy = Arc::new(SystemEntropy);
    let store = database.store().clone();
    let secrets = Secrets::open(store.clone(), folder.path().join("keys.toml"), clock.clone(), entropy.clone());
    let settings = Settings::default().with_networks(networks.to_vec());
    App::new(store, secrets.await.expect("a key file"), settings, clock.clone(), entropy)
}

pub(crate) fn done<T>(answered: Answered<T>) -> T {
    match answered {
        Answered::Done(done) => done,
        Answered::Replayed(_) => unreachable!("nothing was asked to be kept"),
    }
}
