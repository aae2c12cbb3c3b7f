//! The application on a fresh database, with a clock that stands and randomness that repeats.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use trousseau_domain::brand::Brand;
use trousseau_domain::business::Language;
use trousseau_domain::environment::Environment;
use trousseau_domain::ids::RequestId;
use trousseau_domain::ledger::{ConfirmationPolicy, Confirmations};
use trousseau_domain::money::Asset;
use trousseau_domain::networks::ChainId;
use trousseau_domain::platform_keys::PlatformScopes;
use trousseau_domain::time::Timestamp;
use trousseau_service::clock::ManualClock;
use trousseau_service::entropy::{EntropyExt as _, SystemEntropy};
use trousseau_service::idempotency::Answered;
use trousseau_service::mail::MailTransport;
use trousseau_service::networks::{Late, NetworkSettings, Token, Told};
use trousseau_service::people::invitations::Acceptance;
use trousseau_service::people::passwords::HashCost;
use trousseau_service::people::{Password, Visit};
use trousseau_service::secrets::Secrets;
use trousseau_service::{App, Context, Settings};
use trousseau_store::testing::TestDatabase;
use trousseau_web::connection::ProxyTrust;
use trousseau_web::dashboard::platform::{Configuration, Origin, Setting};
use trousseau_web::edge::Edge;
use trousseau_web::fast::Application;

use crate::browser::Browser;
use crate::client::Client;

/// The password of everybody in tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// The application of one test.
#[derive(Debug)]
pub struct TestApp {
    /// The use cases, for what HTTP does not offer.
    pub app: App,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Its database.
    pub database: TestDatabase,
    application: Application,
    platform: String,
    _folder: TempDir,
}

impl TestApp {
    /// One application per engine at hand: SQLite always, PostgreSQL where a server is named.
    pub async fn on_every_engine() -> Vec<Self> {
        let mut apps = vec![Self::on(TestDatabase::sqlite().await).await];
        if let Some(server) = TestDatabase::postgres_server() {
            apps.push(Self::on(TestDatabase::postgres(&server).await).await);
        }
        apps
    }

    /// The application on this database, on 31 January 2026 at noon.
    ///
    /// # Panics
    /// When it cannot be put together: the test cannot go on.
    pub async fn on(database: TestDatabase) -> Self {
        Self::watching(database, Vec::new()).await
    }

    /// The same where these networks are watched.
    ///
    /// # Panics
    /// When it cannot be put together: the test cannot go on.
    pub async fn watching(database: TestDatabase, networks: Vec<NetworkSettings>) -> Self {
        Self::arranged(database, |settings| settings.with_networks(networks)).await
    }

    /// The same with other settings.
    ///
    /// # Panics
    /// When it cannot be put together: the test cannot go on.
    pub async fn arranged(database: TestDatabase, arrange: impl FnOnce(Settings) -> Settings) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let start: Timestamp = "2026-01-31T12:00:00Z".parse().expect("an instant");
        let clock = Arc::new(ManualClock::new(start));
        let entropy = Arc::new(SystemEntropy);
        let store = database.store().clone();
        let secrets = Secrets::open(store.clone(), folder.path().join("keys.toml"), clock.clone(), entropy.clone())
            .await
            .expect("a fresh key file");
        let settings = Settings::default()
            .with_hash_cost(HashCost { memory_kib: 64, passes: 1 })
            .with_webhook_networks(vec!["127.0.0.0/8".parse().expect("a range")]);
        let app = App::new(store, secrets, arrange(settings), clock.clone(), entropy.clone());
        // As in a server: keys are answered from memory. It ends with the test.
        app.fill_index().await.expect("the keys can be read");
        let jobs = app.jobs().clone();
        tokio::spawn(async move { jobs.follow_changes().await });
        let mails = folder.path().join("mails");
        app.set_mail_transport(MailTransport::folder(mails, "keys@example.com").expect("a sender"));
        let edge =
            Edge::new(ProxyTrust::default(), Brand::default(), true, move || RequestId::from_random(entropy.bytes()));
        let setting = |name: &str, value: Option<&str>, origin| Setting {
            name: name.to_owned(),
            value: value.map(ToOwned::to_owned),
            origin,
        };
        let configuration = Configuration::from_iter([
            setting("listen", Some("127.0.0.1:8080"), Origin::Default),
            setting("smtp.url", None, Origin::Variable("TROUSSEAU_SMTP__URL".to_owned())),
        ]);
        let application = trousseau_web::router::application(edge, app.clone(), configuration);
        let issued = app
            .platform_keys()
            .create(&Context::system(), "tests".parse().expect("a name"), &PlatformScopes::default(), None)
            .await
            .expect("a platform key");
        let platform = done_now(issued).value.expose().to_owned();
        Self { app, clock, database, application, platform, _folder: folder }
    }

    /// A client without a credential.
    pub fn anonymous(&self) -> Client {
        Client::of(self.application.clone())
    }

    /// A browser that nobody has signed in with.
    pub fn browser(&self) -> Browser {
        Browser::new(self.anonymous())
    }

    /// A browser in which somebody new is signed in, who has this role in a business.
    ///
    /// # Panics
    /// If there is no such business or role.
    pub async fn member(&self, business: &str, role: &str) -> Browser {
        let email = format!("{role}-{}@example.com", RequestId::from_random(self.app.entropy().bytes()));
        let email = email.parse().expect("an address");
        let (business, role) = (business.parse().expect("a business id"), role.parse().expect("a role"));
        let people = self.app.people();
        let invited = people.invite(&Context::system(), &business, &email, role).await.expect("an invitation");
        let acceptance = Acceptance::New {
            name: "A member".parse().expect("a name"),
            password: Password::new(PASSWORD),
            language: Language::English,
        };
        let accepted = people.accept(&invited.token, acceptance, &Visit::default()).await.expect("accepted");
        let session = accepted.session.expect("a session for somebody new");
        self.browser().with_cookie("__Host-trousseau_session", session.token.expose())
    }

    /// A client with a platform key.
    pub fn platform(&self) -> Client {
        self.anonymous().bearer(&self.platform)
    }

    /// The value of another platform key, with these scopes.
    ///
    /// # Panics
    /// If one of them is none.
    pub async fn platform_with(&self, scopes: &[&str]) -> String {
        let scopes: PlatformScopes = scopes.iter().map(|scope| scope.parse().expect("a scope")).collect();
        let (system, name) = (Context::system(), "tests".parse().expect("a name"));
        let issued = self.app.platform_keys().create(&system, name, &scopes, None).await;
        done_now(issued.expect("a platform key")).value.expose().to_owned()
    }

    /// A client with this key as Bearer, and this business id beside it.
    pub fn key(&self, business: &str, value: &str) -> Client {
        self.anonymous().bearer(value).with("businessid", business)
    }

    /// Sends what is queued, and the text of every mail that was sent so far, the oldest first.
    ///
    /// # Panics
    /// If one cannot be read.
    pub async fn mails(&self) -> Vec<String> {
        self.app.mailer().send_waiting().await.expect("the database answers");
        let Some(folder) = self.app.mailer().folder().filter(|folder| folder.is_dir()) else {
            return Vec::new();
        };
        let entries = std::fs::read_dir(folder).expect("the folder is ours");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        // Their names begin with the time.
        paths.sort();
        paths.iter().map(|path| std::fs::read_to_string(path).expect("a mail is text")).collect()
    }

    /// The secret at the end of the link to `path` in the latest mail that has one.
    ///
    /// # Panics
    /// If no mail has one.
    pub async fn mailed_token(&self, path: &str) -> String {
        let mails = self.mails().await;
        let start = format!("http://localhost:8080{path}/");
        let found = mails.iter().rev().find_map(|mail| mail.split_once(&start).map(|(_, rest)| rest));
        found.expect("a mail with this link").chars().take_while(|c| !c.is_whitespace()).collect()
    }

    /// Moves the clock.
    pub fn advance(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    /// A business of this profile with its first keys, as the API answers it.
    pub async fn business(&self, profile: &str) -> Business {
        let body = json!({"name": "Atelier Lumière", "profile": profile});
        Business(self.platform().post("/v1/businesses", &body).await.expect(201))
    }
}

/// Base, at a node where nobody listens and whose address holds a secret.
///
/// # Panics
/// Never: it is written right.
pub fn base_out_of_reach() -> NetworkSettings {
    let chain: ChainId = "eip155:8453".parse().expect("a network");
    NetworkSettings {
        name: "base".to_owned(),
        environment: Environment::Live,
        endpoints: vec!["http://127.0.0.1:9/s3cr3t-path".parse().expect("a URL")],
        tokens: vec![Token { asset: Asset::USDC, contract: chain.usdc().expect("known") }],
        noticed: Vec::new(),
        confirmations: ConfirmationPolicy::every(Confirmations::Blocks(3)),
        max_span: 1_000,
        poll: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        stale_after: Duration::from_mins(2),
        told: Told::default(),
        late: Late::default(),
        chain,
    }
}

fn done_now<T>(answered: Answered<T>) -> T {
    match answered {
        Answered::Done(done) => done,
        Answered::Replayed(_) => unreachable!("nothing was asked to be kept"),
    }
}

/// A business as its creation answered it.
#[derive(Debug)]
pub struct Business(pub Value);

impl Business {
    /// Its id.
    ///
    /// # Panics
    /// If the answer has none.
    pub fn id(&self) -> &str {
        self.0["business"]["id"].as_str().expect("an id")
    }

    /// Its first key of this kind and environment.
    ///
    /// # Panics
    /// If there is none.
    pub fn key(&self, environment: &str, kind: &str) -> &Value {
        self.0["keys"]
            .as_array()
            .expect("keys")
            .iter()
            .find(|key| key["environment"] == environment && key["kind"] == kind)
            .expect("a first key")
    }

    /// The value of that key.
    ///
    /// # Panics
    /// If there is none.
    pub fn value(&self, environment: &str, kind: &str) -> &str {
        self.key(environment, kind)["value"].as_str().expect("a value")
    }
}
