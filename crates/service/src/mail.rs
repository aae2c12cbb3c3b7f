//! Mails to people: written in the transaction of what they tell of, sent by a job.
//!
//! A mail that waits is sealed, because it may hold a one-time link; once it is sent nothing of it is left.

use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, MultiPartKind, SinglePart};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use trousseau_domain::business::Language;
use trousseau_domain::environment::{Environment, Tenant};
use trousseau_domain::ids::{AccountId, BusinessId, InvoiceId, MailId};
use trousseau_domain::members::{EmailAddress, Notice, Role};
use trousseau_domain::text::BusinessName;
use trousseau_domain::time::Timestamp;
use trousseau_store::{BusinessRow, MailRow, SealedPlace, Store, StoreError, Tx};
use zeroize::{Zeroize as _, Zeroizing};

use crate::app::Core;
use crate::clock::Clock;
use crate::entropy::EntropyExt as _;
use crate::error::ServiceError;
use crate::jobs::{Board, Health, JobState, until_shutdown};
use crate::key_ring::Cell;
use crate::payments::invoice_mail::InvoiceLetter;
use crate::payments::invoices::{InvoiceFile, file_of, is_gone};
use crate::secrets::Secrets;

/// How often the queue is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Mails leased at once: all of them can be sent within the lease, each as slowly as it may be.
const PER_CLAIM: u32 = 3;
/// After this a mail whose sender died is taken by another.
const LEASE: Duration = Duration::from_mins(2);
/// How long one delivery may take.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// How long a mail is tried: longer than any link in it is good for would help nobody.
const TRY_FOR: Duration = Duration::from_hours(24);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_hours(2);

/// What a mail says.
#[derive(Debug, Clone)]
pub(crate) enum Letter<'a> {
    /// Come and join a business.
    Invitation { business: &'a BusinessName, role: Role, link: &'a str },
    /// Come and run the platform.
    PlatformInvitation { link: &'a str },
    /// Choose another password.
    Reset { link: &'a str },
    /// The password was changed.
    PasswordChanged,
    /// A second factor was added or removed.
    SecondFactorChanged,
    /// An invoice, or a reminder of it.
    Invoice(InvoiceLetter<'a>),
    /// The LIVE money of a business goes elsewhere from now on.
    PayoutChanged { business: &'a BusinessName, network: &'a str, now: &'a str, before: Option<&'a str>, link: &'a str },
    /// Something happened in a business that the member wants to hear of.
    Notice { business: &'a BusinessName, notice: Notice, subject: &'a str, link: &'a str },
}

impl Letter<'_> {
    const fn template(&self) -> &'static str {
        match self {
            Self::Invitation { .. } => "invitation",
            Self::PlatformInvitation { .. } => "platform_invitation",
            Self::Reset { .. } => "reset",
            Self::PasswordChanged => "password_changed",
            Self::SecondFactorChanged => "second_factor_changed",
            Self::Invoice(letter) => letter.template(),
            Self::PayoutChanged { .. } => "payout_changed",
            Self::Notice { .. } => "notice",
        }
    }

    /// Subject and text.
    fn render(&self, language: Language, brand: &str) -> (String, Zeroizing<String>) {
        let (subject, text) = match language {
            Language::English => self.english(brand),
            Language::French => self.french(brand),
        };
        (subject, Zeroizing::new(text))
    }

    /// What it is about, where the mail is looked at once more before it leaves.
    fn about(&self) -> Option<About> {
        match self {
            Self::Invoice(letter) => Some(About {
                business: letter.invoice.tenant.business.clone(),
                environment: letter.invoice.tenant.environment,
                invoice: letter.invoice.id,
                link: letter.link.to_owned(),
                with_pdf: letter.has_pdf(),
            }),
            Self::Invitation { .. }
            | Self::PlatformInvitation { .. }
            | Self::Reset { .. }
            | Self::PasswordChanged
            | Self::SecondFactorChanged
            | Self::PayoutChanged { .. }
            | Self::Notice { .. } => None,
        }
    }

    fn english(&self, brand: &str) -> (String, String) {
        match self {
            Self::Invoice(letter) => letter.render(Language::English),
            Self::Invitation { business, role, link } => (
                format!("Invitation to {business}"),
                format!(
                    "Hello,\n\nYou are invited to join {business} on {brand} as {}.\n\nOpen this link to accept. \
                     It is good once, for 7 days:\n\n{link}\n\nIf you did not expect this, ignore this message: \
                     nothing happens without you.\n",
                    match role {
                        Role::Administrator => "an administrator",
                        Role::Developer => "a developer",
                        Role::Analyst => "an analyst",
                    }
                ),
            ),
            Self::PlatformInvitation { link } => (
                format!("Invitation to administer {brand}"),
                format!(
                    "Hello,\n\nYou are invited to administer the platform {brand}.\n\nOpen this link to accept. \
                     It is good once, for 7 days:\n\n{link}\n\nIf you did not expect this, ignore this message: \
                     nothing happens without you.\n"
                ),
            ),
            Self::Reset { link } => (
                format!("Choose a new password for {brand}"),
                format!(
                    "Hello,\n\nSomebody, probably you, asked for a new password for your account on {brand}.\n\n\
                     Open this link to choose one. It is good once, for 15 minutes:\n\n{link}\n\nIf it was not you, \
                     ignore this message: your password stays as it is.\n"
                ),
            ),
            Self::PasswordChanged => (
                format!("Your password on {brand} was changed"),
                format!(
                    "Hello,\n\nThe password of your account on {brand} was changed, and your other sessions were \
                     ended.\n\nIf it was not you, choose a new one at once by \"Forgotten your password?\" on the \
                     sign-in page, and tell an administrator of your business.\n"
                ),
            ),
            Self::SecondFactorChanged => (
                format!("How you sign in to {brand} was changed"),
                format!(
                    "Hello,\n\nAn authenticator app, recovery codes or a passkey of your account on {brand} were \
                     added, replaced or removed.\n\nIf it was not you, choose a new password at once and tell an \
                     administrator of your business.\n"
                ),
            ),
            Self::PayoutChanged { business, network, now, before, link } => (
                format!("LIVE money of {business} goes elsewhere"),
                format!(
                    "Hello,\n\nFrom now on, LIVE money of {business} on {network} goes to:\n\n{now}\n\nBefore: \
                     {}\n\nPayments that were started earlier are not concerned. See it here:\n\n{link}\n\nIf \
                     nobody of you did this, set the right address at once, end the sessions of whoever did, and \
                     choose new passwords.\n",
                    before.unwrap_or("nowhere")
                ),
            ),
            Self::Notice { business, notice, subject, link } => {
                let what = match notice {
                    Notice::LiveKeyCreated => "A LIVE key was created",
                    Notice::LiveKeyWidened => "A LIVE key can do more than before",
                    Notice::LiveKeyRotated => "A LIVE key got a new value",
                    Notice::LiveKeyRevealed => "The value of a LIVE key was read",
                    Notice::LiveKeyRevoked => "A LIVE key was revoked",
                    Notice::MemberAdded => "A member was added",
                    Notice::KeyEnding => "A key is about to end",
                    Notice::NewNetwork => "A key was used from a new network",
                    Notice::WebhookDisabled => "A webhook endpoint was disabled",
                };
                (
                    format!("{what}: {business}"),
                    format!(
                        "Hello,\n\n{what} in {business}: {subject}\n\nSee it here:\n\n{link}\n\nYou choose which \
                         notices you get under \"Account\".\n"
                    ),
                )
            }
        }
    }

    fn french(&self, brand: &str) -> (String, String) {
        match self {
            Self::Invoice(letter) => letter.render(Language::French),
            Self::Invitation { business, role, link } => (
                format!("Invitation à rejoindre {business}"),
                format!(
                    "Bonjour,\n\nVous êtes invité(e) à rejoindre {business} sur {brand} en tant {}.\n\nOuvrez \
                     ce lien pour accepter. Il n’est valable qu’une fois, pendant 7 jours\u{a0}:\n\n{link}\n\nSi \
                     vous ne vous y attendiez pas, ignorez ce message\u{a0}: rien ne se fait sans vous.\n",
                    match role {
                        Role::Administrator => "qu’administrateur",
                        Role::Developer => "que développeur",
                        Role::Analyst => "qu’analyste",
                    }
                ),
            ),
            Self::PlatformInvitation { link } => (
                format!("Invitation à administrer {brand}"),
                format!(
                    "Bonjour,\n\nVous êtes invité(e) à administrer la plateforme {brand}.\n\nOuvrez ce lien pour \
                     accepter. Il n’est valable qu’une fois, pendant 7 jours\u{a0}:\n\n{link}\n\nSi vous ne vous y \
                     attendiez pas, ignorez ce message\u{a0}: rien ne se fait sans vous.\n"
                ),
            ),
            Self::Reset { link } => (
                format!("Choisir un nouveau mot de passe pour {brand}"),
                format!(
                    "Bonjour,\n\nQuelqu’un, sans doute vous, a demandé un nouveau mot de passe pour votre compte \
                     {brand}.\n\nOuvrez ce lien pour le choisir. Il n’est valable qu’une fois, pendant 15 \
                     minutes\u{a0}:\n\n{link}\n\nSi ce n’était pas vous, ignorez ce message\u{a0}: votre mot de \
                     passe ne change pas.\n"
                ),
            ),
            Self::PasswordChanged => (
                format!("Votre mot de passe {brand} a été changé"),
                format!(
                    "Bonjour,\n\nLe mot de passe de votre compte {brand} a été changé et vos autres sessions ont \
                     été fermées.\n\nSi ce n’était pas vous, choisissez-en un nouveau sans attendre par «\u{a0}Mot \
                     de passe oublié\u{a0}?\u{a0}» sur la page de connexion, et prévenez un administrateur de votre \
                     entreprise.\n"
                ),
            ),
            Self::SecondFactorChanged => (
                format!("Votre façon de vous connecter à {brand} a changé"),
                format!(
                    "Bonjour,\n\nUne application d’authentification, des codes de secours ou une clé d’accès de \
                     votre compte {brand} ont été ajoutés, remplacés ou retirés.\n\nSi ce n’était pas vous, \
                     choisissez un nouveau mot de passe sans attendre et prévenez un administrateur de votre \
                     entreprise.\n"
                ),
            ),
            Self::PayoutChanged { business, network, now, before, link } => (
                format!("L’argent LIVE de {business} va ailleurs"),
                format!(
                    "Bonjour,\n\nÀ partir de maintenant, l’argent LIVE de {business} sur {network} va \
                     à\u{a0}:\n\n{now}\n\nAvant\u{a0}: {}\n\nLes paiements commencés auparavant ne sont pas \
                     concernés. Voir\u{a0}:\n\n{link}\n\nSi personne parmi vous ne l’a fait, rétablissez la bonne \
                     adresse sans attendre, fermez les sessions de l’auteur et choisissez de nouveaux mots de \
                     passe.\n",
                    before.unwrap_or("nulle part")
                ),
            ),
            Self::Notice { business, notice, subject, link } => {
                let what = match notice {
                    Notice::LiveKeyCreated => "Une clé LIVE a été créée",
                    Notice::LiveKeyWidened => "Une clé LIVE peut faire plus qu’avant",
                    Notice::LiveKeyRotated => "Une clé LIVE a reçu une nouvelle valeur",
                    Notice::LiveKeyRevealed => "La valeur d’une clé LIVE a été lue",
                    Notice::LiveKeyRevoked => "Une clé LIVE a été révoquée",
                    Notice::MemberAdded => "Un membre a été ajouté",
                    Notice::KeyEnding => "Une clé arrive à échéance",
                    Notice::NewNetwork => "Une clé a été utilisée depuis un nouveau réseau",
                    Notice::WebhookDisabled => "Un point de terminaison webhook a été désactivé",
                };
                (
                    format!("{what}\u{a0}: {business}"),
                    format!(
                        "Bonjour,\n\n{what} chez {business}\u{a0}: {subject}\n\nVoir\u{a0}:\n\n{link}\n\nVous \
                         choisissez les avis que vous recevez sous «\u{a0}Compte\u{a0}».\n"
                    ),
                )
            }
        }
    }
}

/// To whom a mail goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipient<'a> {
    /// The address; none where nobody has the address that was given, and the mail is written all the same, so that
    /// the time it takes says nothing.
    pub(crate) email: Option<&'a EmailAddress>,
    /// Whose account, if any.
    pub(crate) account: Option<AccountId>,
    /// The language.
    pub(crate) language: Language,
}

/// A mail as it is sealed.
#[derive(Serialize, Deserialize)]
struct Content {
    to: Option<String>,
    subject: String,
    text: String,
    /// The invoice that it is about.
    #[serde(default)]
    about: Option<About>,
}

/// The invoice that a mail is about: it is printed when the mail leaves, and the mail does not leave if it is of no use
/// any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    business: BusinessId,
    environment: Environment,
    invoice: InvoiceId,
    link: String,
    with_pdf: bool,
}

/// What goes with a mail.
enum Enclosed {
    /// The mail is of no use any more: the invoice is paid, called off or gone, or the business is suspended.
    Over,
    Nothing,
    File(InvoiceFile),
}

/// What goes out.
enum Outgoing {
    Mail(Box<Message>),
    /// Nobody has the address, or what it tells of is over.
    Nothing,
}

impl Drop for Content {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

fn cell(id: &str) -> Cell<'_> {
    Cell::of(SealedPlace::Mail, id)
}

/// Queues a mail in the transaction of what it tells of.
pub(crate) async fn queue(
    core: &Core,
    tx: &mut Tx,
    now: Timestamp,
    to: Recipient<'_>,
    letter: &Letter<'_>,
) -> Result<MailId, ServiceError> {
    let id = MailId::new(now, core.entropy.bytes());
    let (subject, text) = letter.render(to.language, core.settings.brand().as_str());
    let content = Content {
        to: to.email.map(ToString::to_string),
        subject,
        text: text.as_str().to_owned(),
        about: letter.about(),
    };
    let plain = Zeroizing::new(serde_json::to_vec(&content).expect("three texts are JSON"));
    let sealed = core.secrets.ring().get().seal(&plain, &cell(&id.to_string()), core.entropy.as_ref());
    let row = MailRow {
        id,
        account: to.account,
        template: letter.template().to_owned(),
        sealed,
        created_at: now,
        attempt: 0,
        next_at: now,
    };
    tx.insert_mail(&row).await?;
    Ok(id)
}

/// The language in which a business speaks. One that is not known any more is English.
pub(crate) fn language_of(business: &BusinessRow) -> Language {
    business.language.parse().unwrap_or(Language::English)
}

/// Tells all members of a business who want to hear of it, in the transaction of what happened.
pub(crate) async fn notify(
    core: &Core,
    tx: &mut Tx,
    now: Timestamp,
    business: &BusinessRow,
    notice: Notice,
    subject: &str,
    path: &str,
) -> Result<(), ServiceError> {
    let link = core.people.address().link(path);
    for member in tx.read().list_members(&business.id).await? {
        if !member.membership.role.may(notice.operation()) {
            continue;
        }
        let chosen = tx.read().list_notice_settings(&business.id, member.account.id).await?;
        if chosen.iter().any(|(known, wanted)| *known == notice && !wanted) {
            continue;
        }
        let recipient = Recipient {
            email: Some(&member.account.email),
            account: Some(member.account.id),
            language: member.account.language,
        };
        let letter = Letter::Notice { business: &business.name, notice, subject, link: &link };
        queue(core, tx, now, recipient, &letter).await?;
    }
    Ok(())
}

/// Writes to all administrators of a business, whatever they chose to hear of, in the transaction of what happened.
pub(crate) async fn to_administrators(
    core: &Core,
    tx: &mut Tx,
    now: Timestamp,
    business: &BusinessRow,
    letter: &Letter<'_>,
) -> Result<(), ServiceError> {
    for member in tx.read().list_members(&business.id).await? {
        if member.membership.role == Role::Administrator {
            let account = member.account;
            let to = Recipient { email: Some(&account.email), account: Some(account.id), language: account.language };
            queue(core, tx, now, to, letter).await?;
        }
    }
    Ok(())
}

/// Where mails go.
#[derive(Clone)]
pub enum MailTransport {
    /// To a server.
    Smtp {
        /// The connection to it.
        server: AsyncSmtpTransport<Tokio1Executor>,
        /// What stands in `From`.
        from: Mailbox,
    },
    /// Into a folder, where no server is set.
    Folder {
        /// The folder; made when it is needed, for us only.
        path: PathBuf,
        /// What stands in `From`.
        from: Mailbox,
    },
}

/// Mail settings that cannot be used. They may hold a password, so they are not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMailSettings {
    /// The server's address.
    #[error("an SMTP address is smtps://user:password@host or smtp://user:password@host:587?tls=required")]
    Url,
    /// The sender.
    #[error("a sender is an address such as keys@example.com or Name <keys@example.com>")]
    From,
}

impl MailTransport {
    /// A server by its address: `smtps://user:password@host`, or `smtp://...?tls=required`.
    ///
    /// # Errors
    /// If one of the two cannot be read.
    pub fn smtp(url: &str, from: &str) -> Result<Self, InvalidMailSettings> {
        let from = from.parse().map_err(|_| InvalidMailSettings::From)?;
        let server = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| InvalidMailSettings::Url)?;
        Ok(Self::Smtp { server: server.timeout(Some(SEND_WITHIN)).build(), from })
    }

    /// A folder.
    ///
    /// # Errors
    /// If the sender cannot be read.
    pub fn folder(path: PathBuf, from: &str) -> Result<Self, InvalidMailSettings> {
        Ok(Self::Folder { path, from: from.parse().map_err(|_| InvalidMailSettings::From)? })
    }

    const fn from(&self) -> &Mailbox {
        match self {
            Self::Smtp { from, .. } | Self::Folder { from, .. } => from,
        }
    }

    async fn send(&self, id: MailId, message: Message) -> Result<(), Undelivered> {
        match self {
            Self::Smtp { server, .. } => {
                let sent = async {
                    match server.send(message).await {
                        Ok(_) => Ok(()),
                        Err(error) if error.is_permanent() => Err(refused(server, &error).await),
                        Err(error) => Err(Undelivered { final_answer: false, reason: reason_of(&error) }),
                    }
                };
                let late = || Err(Undelivered { final_answer: false, reason: "no answer in time" });
                tokio::time::timeout(SEND_WITHIN, sent).await.unwrap_or_else(|_| late())
            }
            Self::Folder { path, .. } => {
                let path = path.clone();
                let written = tokio::task::spawn_blocking(move || write_file(&path, id, &message.formatted())).await;
                match written {
                    Ok(Ok(())) => Ok(()),
                    _ => Err(Undelivered { final_answer: false, reason: "the file cannot be written" }),
                }
            }
        }
    }
}

impl fmt::Debug for MailTransport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Smtp { .. } => "MailTransport::Smtp",
            Self::Folder { .. } => "MailTransport::Folder",
        })
    }
}

/// Why a mail did not go out. What the server said may repeat the address, so it is put in our words.
struct Undelivered {
    final_answer: bool,
    reason: &'static str,
}

/// The codes that speak of who we are: a login that is asked for, too weak, wrong or not encrypted (RFC 4954 section 6).
const ABOUT_THE_LOGIN: [u16; 4] = [530, 534, 535, 538];

/// What a refusal for good (5xx) means. Only one of the mail itself is final; what is said to us on connecting, at EHLO,
/// STARTTLS or AUTH ends with the settings or the server that caused it. The library does not tell at which step an
/// answer came, so whether the server would have us at all is tried once more, without a mail.
async fn refused(server: &AsyncSmtpTransport<Tokio1Executor>, error: &lettre::transport::smtp::Error) -> Undelivered {
    let about_us = Undelivered { final_answer: false, reason: "the server does not let us in" };
    if error.status().is_some_and(|code| ABOUT_THE_LOGIN.contains(&u16::from(code))) {
        return about_us;
    }
    match server.test_connection().await {
        Ok(true) => Undelivered { final_answer: true, reason: "the server refused it for good" },
        Ok(false) | Err(_) => about_us,
    }
}

fn reason_of(error: &lettre::transport::smtp::Error) -> &'static str {
    if error.is_transient() {
        "the server refused it for now"
    } else if error.is_timeout() {
        "no answer in time"
    } else if error.is_tls() {
        "TLS failed"
    } else {
        "the server cannot be reached"
    }
}

fn write_file(folder: &Path, id: MailId, bytes: &[u8]) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(format!("{id}.eml"));
    // A mail that is handed out twice is the same file.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The job that sends mails. Clones share everything.
#[derive(Clone)]
pub struct Mailer {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    secrets: Secrets,
    clock: Arc<dyn Clock>,
    transport: OnceLock<MailTransport>,
    board: Board,
    given_up: Mutex<GivenUp>,
}

/// Mails that this node gave up since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// How many.
    pub mails: u64,
    /// When the last one was given up.
    pub last_at: Option<Timestamp>,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Mailer")
    }
}

impl Mailer {
    pub(crate) fn new(store: Store, secrets: Secrets, clock: Arc<dyn Clock>) -> Self {
        let board = Board::new(Arc::clone(&clock));
        let given_up = Mutex::default();
        Self { inner: Arc::new(Inner { store, secrets, clock, transport: OnceLock::new(), board, given_up }) }
    }

    pub(crate) fn set_transport(&self, transport: MailTransport) {
        // A second call changes nothing, as the first one says.
        let _ = self.inner.transport.set(transport);
    }

    /// What this node gave up.
    pub(crate) fn given_up(&self) -> GivenUp {
        *self.inner.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the job is doing.
    pub(crate) fn states(&self) -> Vec<JobState> {
        self.inner.board.states()
    }

    /// The folder that mails are written to, where no server is set: pages and the log say so.
    pub fn folder(&self) -> Option<&Path> {
        match self.inner.transport.get() {
            Some(MailTransport::Folder { path, .. }) => Some(path),
            Some(MailTransport::Smtp { .. }) | None => None,
        }
    }

    /// Sends what is queued until `shutdown` becomes true or its sender is gone. No failure ends it.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        until_shutdown(shutdown, Box::pin(self.send_forever())).await;
    }

    async fn send_forever(&self) {
        let mut health = Health::new("mail").on(&self.inner.board);
        loop {
            health.note(self.send_waiting().await).await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sends what is due, once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn send_waiting(&self) -> Result<(), StoreError> {
        let Some(transport) = self.inner.transport.get() else { return Ok(()) };
        loop {
            if self.inner.store.read().count_mails().await? == 0 {
                return Ok(());
            }
            let now = self.inner.clock.now();
            let until = now.saturating_add(LEASE);
            let mut tx = self.inner.store.begin().await?;
            let claimed = tx.claim_mails(now, until, PER_CLAIM).await?;
            tx.commit().await?;
            if claimed.is_empty() {
                return Ok(());
            }
            for mail in &claimed {
                // What can no longer be sent within the lease is another's by then.
                if self.inner.clock.now().saturating_add(SEND_WITHIN) > until {
                    break;
                }
                self.send(transport, mail).await?;
            }
        }
    }

    async fn send(&self, transport: &MailTransport, mail: &MailRow) -> Result<(), StoreError> {
        let sent = match self.message(transport, mail, self.inner.clock.now()).await? {
            Ok(Outgoing::Nothing) => Ok(()),
            Ok(Outgoing::Mail(message)) => transport.send(mail.id, *message).await,
            Err(reason) => Err(Undelivered { final_answer: true, reason }),
        };
        let now = self.inner.clock.now();
        let mut tx = self.inner.store.begin().await?;
        match sent {
            Ok(()) => {
                tx.finish_mail(mail.id, mail.attempt).await?;
                tracing::info!(mail.id = %mail.id, mail.template = %mail.template, "mail sent");
            }
            Err(failure) if failure.final_answer || now.since(mail.created_at) > TRY_FOR => {
                tx.finish_mail(mail.id, mail.attempt).await?;
                let mut given_up = self.inner.given_up.lock().unwrap_or_else(PoisonError::into_inner);
                *given_up = GivenUp { mails: given_up.mails.saturating_add(1), last_at: Some(now) };
                drop(given_up);
                let (id, template) = (mail.id, mail.template.as_str());
                tracing::error!(mail.id = %id, mail.template = template, reason = failure.reason, "mail given up");
            }
            Err(failure) => {
                tx.postpone_mail(mail.id, mail.attempt, now.saturating_add(pause_after(mail.attempt))).await?;
                let (id, attempt) = (mail.id, mail.attempt);
                tracing::warn!(mail.id = %id, attempt, reason = failure.reason, "mail not sent, to be tried again");
            }
        }
        tx.commit().await
    }

    /// The mail as it goes out.
    ///
    /// # Errors
    /// Outside when the database fails, inside why it can never be sent.
    async fn message(
        &self,
        transport: &MailTransport,
        mail: &MailRow,
        now: Timestamp,
    ) -> Result<Result<Outgoing, &'static str>, StoreError> {
        let content = match self.opened(mail) {
            Ok(content) => content,
            Err(reason) => return Ok(Err(reason)),
        };
        let file = match &content.about {
            Some(about) => match self.enclosed(about).await? {
                Enclosed::Over => return Ok(Ok(Outgoing::Nothing)),
                Enclosed::Nothing => None,
                Enclosed::File(file) => Some(file),
            },
            None => None,
        };
        Ok(put_together(transport, mail.id, &content, file, now))
    }

    fn opened(&self, mail: &MailRow) -> Result<Content, &'static str> {
        let id = mail.id.to_string();
        let plain =
            self.inner.secrets.ring().get().open(&mail.sealed, &cell(&id)).map_err(|_| "the row does not open")?;
        serde_json::from_slice(&plain).map_err(|_| "the row does not hold a mail")
    }

    /// What goes with a mail about an invoice, and whether the mail is of use still: it may have waited for long.
    async fn enclosed(&self, about: &About) -> Result<Enclosed, StoreError> {
        let tenant = Tenant::new(about.business.clone(), about.environment);
        let mut reader = self.inner.store.read();
        let (Some(business), Some(invoice)) =
            (reader.find_business(&tenant.business).await?, reader.find_invoice(&tenant, about.invoice).await?)
        else {
            return Ok(Enclosed::Over);
        };
        let over = invoice.paid_at.is_some() || invoice.voided_at.is_some() || is_gone(&mut reader, &invoice).await?;
        if over || business.suspended_at.is_some() {
            return Ok(Enclosed::Over);
        }
        if !about.with_pdf {
            return Ok(Enclosed::Nothing);
        }
        let language = language_of(&business);
        file_of(&self.inner.store, about.link.clone(), business, invoice, language).await.map(Enclosed::File)
    }
}

fn put_together(
    transport: &MailTransport,
    id: MailId,
    content: &Content,
    file: Option<InvoiceFile>,
    now: Timestamp,
) -> Result<Outgoing, &'static str> {
    let Some(to) = &content.to else { return Ok(Outgoing::Nothing) };
    let to: lettre::Address = to.parse().map_err(|_| "the address is none that mail can be sent to")?;
    let text = content.text.clone();
    let body = match transport {
        MailTransport::Smtp { .. } => Body::new(text),
        // People read the file as it is, and take the link out of it. No line of ours is near the 998 bytes that a
        // line may have, and no name holds a NUL.
        MailTransport::Folder { .. } => {
            let lines = text.replace('\n', "\r\n").into_bytes();
            Body::dangerous_pre_encoded(lines, ContentTransferEncoding::EightBit)
        }
    };
    let from = transport.from().clone();
    let message_id = format!("<{id}@{}>", from.email.domain());
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now.as_seconds()).unwrap_or(0));
    let message = Message::builder()
        .from(from)
        .to(Mailbox::new(None, to))
        .date(date)
        .message_id(Some(message_id))
        .subject(content.subject.clone());
    let whole = match file {
        None => message.header(ContentType::TEXT_PLAIN).body(body),
        Some(InvoiceFile { name, content }) => {
            let pdf = ContentType::parse("application/pdf").expect("a media type");
            // The same mail is the same text, so what parts it comes from its id.
            let parts = MultiPart::builder().kind(MultiPartKind::Mixed).boundary(format!("part-{id}"));
            message.multipart(
                parts
                    .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(body))
                    .singlepart(Attachment::new(name).body(content, pdf)),
            )
        }
    };
    whole.map(|message| Outgoing::Mail(Box::new(message))).map_err(|_| "the mail cannot be put together")
}

/// A minute, then twice as long each time, up to two hours.
fn pause_after(attempt: u32) -> Duration {
    Duration::from_mins(1).saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
    use trousseau_store::testing::TestDatabase;

    use super::*;
    use crate::clock::ManualClock;
    use crate::entropy::SeededEntropy;

    #[test]
    fn every_letter_speaks_both_languages() {
        let business: BusinessName = "Atelier Lumière".parse().expect("good");
        let link = "https://keys.example.com/x";
        let mut letters = vec![
            Letter::PlatformInvitation { link },
            Letter::Reset { link },
            Letter::PasswordChanged,
            Letter::SecondFactorChanged,
        ];
        letters.extend(Role::ALL.map(|role| Letter::Invitation { business: &business, role, link }));
        letters.extend(Notice::ALL.map(|notice| Letter::Notice {
            business: &business,
            notice,
            subject: "key 3",
            link,
        }));
        for letter in letters {
            let (english, french) =
                (letter.render(Language::English, "Mileston"), letter.render(Language::French, "Mileston"));
            assert_ne!(english.0, french.0, "{letter:?}");
            for (subject, text) in [english, french] {
                assert!(!subject.contains('\n') && subject.len() < 300, "{subject}");
                assert!(text.ends_with('\n') && !text.contains("  "), "{}", text.as_str());
                let has_link = !matches!(letter, Letter::PasswordChanged | Letter::SecondFactorChanged);
                assert_eq!(text.contains(&format!("\n\n{link}\n\n")), has_link, "{}", text.as_str());
            }
        }
    }

    #[test]
    fn a_french_invitation_elides_before_a_vowel() {
        let business: BusinessName = "Atelier Lumière".parse().expect("good");
        for (role, words) in [
            (Role::Administrator, "en tant qu’administrateur."),
            (Role::Developer, "en tant que développeur."),
            (Role::Analyst, "en tant qu’analyste."),
        ] {
            let letter = Letter::Invitation { business: &business, role, link: "https://keys.example.com/x" };
            let (_, text) = letter.render(Language::French, "Mileston");
            assert!(text.contains(words), "{}", text.as_str());
        }
    }

    #[test]
    fn pauses_grow_and_end_growing() {
        let pauses: Vec<_> = [1, 2, 3, 8, 40].map(|attempt| pause_after(attempt).as_secs() / 60).into();
        assert_eq!(pauses, [1, 2, 4, 120, 120]);
    }

    /// A mail server that answers whoever says `step` (`""` on connecting) with `answer`, and agrees to all else.
    async fn server_that_refuses(step: &'static str, answer: &'static str) -> MailTransport {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that hangs up in the middle is what is tried.
                tokio::spawn(async move { serve(stream, step, answer).await.unwrap_or_default() });
            }
        });
        MailTransport::smtp(&format!("smtp://keys:secret@127.0.0.1:{port}"), "keys@example.com").expect("settings")
    }

    async fn serve(stream: tokio::net::TcpStream, step: &str, answer: &str) -> std::io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = tokio::io::BufReader::new(reader).lines();
        let greeting = if step.is_empty() { answer } else { "220 here" };
        writer.write_all(format!("{greeting}\r\n").as_bytes()).await?;
        let mut content = false;
        while let Some(line) = lines.next_line().await? {
            if content && line != "." {
                continue;
            }
            let good = match line.get(..4) {
                Some("EHLO") => "250-here\r\n250-8BITMIME\r\n250 AUTH PLAIN",
                Some("AUTH") => "235 good",
                Some("DATA") => "354 go on",
                _ => "250 good",
            };
            let refused = !step.is_empty() && line.starts_with(step);
            content = line == "DATA" && !refused;
            let said = if refused { answer } else { good };
            writer.write_all(format!("{said}\r\n").as_bytes()).await?;
        }
        Ok(())
    }

    /// Whether it is sent, and if not, whether for good.
    async fn sent_to(transport: &MailTransport) -> Result<(), bool> {
        let at = Timestamp::from_micros(1_000_000).expect("1970");
        let id = MailId::new(at, [7; 10]);
        let to = Some("a@example.com".to_owned());
        let content = Content { to, subject: "Hello".to_owned(), text: "Hello\n".to_owned(), about: None };
        let Ok(Outgoing::Mail(message)) = put_together(transport, id, &content, None, at) else { panic!("a mail") };
        transport.send(id, *message).await.map_err(|failure| failure.final_answer)
    }

    /// A mail server that takes every mail, counts it, and does this before it says so.
    async fn server_that_does<F: Future<Output = ()> + Send>(
        taken: Arc<AtomicUsize>,
        before_it_says_so: impl Fn() -> F + Send + 'static,
    ) -> MailTransport {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (reader, mut writer) = stream.into_split();
                let mut lines = tokio::io::BufReader::new(reader).lines();
                writer.write_all(b"220 here\r\n").await.expect("greeted");
                let mut content = false;
                while let Ok(Some(line)) = lines.next_line().await {
                    if content && line != "." {
                        continue;
                    }
                    if content {
                        taken.fetch_add(1, Ordering::Relaxed);
                        before_it_says_so().await;
                    }
                    content = line == "DATA";
                    let said = if content { "354 go on\r\n" } else { "250 good\r\n" };
                    writer.write_all(said.as_bytes()).await.expect("said");
                }
            }
        });
        MailTransport::smtp(&format!("smtp://127.0.0.1:{port}"), "keys@example.com").expect("settings")
    }

    #[tokio::test]
    async fn what_another_node_has_by_now_is_left_to_it() {
        let database = TestDatabase::sqlite().await;
        let now: Timestamp = "2026-01-31T09:30:00Z".parse().expect("good");
        let (clock, entropy) = (Arc::new(ManualClock::new(now)), Arc::new(SeededEntropy::new(1)));
        let (store, keys) = (database.store().clone(), database.folder().expect("SQLite has one").join("keys.toml"));
        let secrets = Secrets::open(store.clone(), keys, clock.clone(), entropy.clone()).await.expect("opens");
        let mut tx = store.begin().await.expect("begins");
        for number in 0..3 {
            let id = MailId::new(now, [number; 10]);
            let to = Some("a@example.com".to_owned());
            let content = Content { to, subject: "Hello".to_owned(), text: "Hello\n".to_owned(), about: None };
            let plain = serde_json::to_vec(&content).expect("JSON");
            let sealed = secrets.ring().get().seal(&plain, &cell(&id.to_string()), entropy.as_ref());
            let template = "reset".to_owned();
            let mail = MailRow { id, account: None, template, sealed, created_at: now, attempt: 0, next_at: now };
            tx.insert_mail(&mail).await.expect("queued");
        }
        tx.commit().await.expect("commits");
        let mailer = || Mailer::new(store.clone(), secrets.clone(), clock.clone());
        let (slow, quick) = (mailer(), mailer());
        let [by_slow, by_quick] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        quick.set_transport(server_that_does(Arc::clone(&by_quick), || std::future::ready(())).await);
        let meanwhile = {
            let (clock, quick) = (clock.clone(), quick.clone());
            move || {
                let (clock, quick) = (clock.clone(), quick.clone());
                async move {
                    clock.advance(LEASE);
                    quick.send_waiting().await.expect("sent");
                }
            }
        };
        slow.set_transport(server_that_does(Arc::clone(&by_slow), meanwhile).await);
        slow.send_waiting().await.expect("sent");
        // The first one was sent and not known to be when its lease ended.
        assert_eq!((by_slow.load(Ordering::Relaxed), by_quick.load(Ordering::Relaxed)), (1, 3));
        assert_eq!(store.read().count_mails().await.expect("counted"), 0);
    }

    #[tokio::test]
    async fn only_a_refusal_of_the_mail_itself_is_final() {
        for (step, answer, expected) in [
            ("nothing", "", Ok(())),
            ("MAIL", "550 not this sender", Err(true)),
            ("RCPT", "550 no such person", Err(true)),
            ("DATA", "554 no", Err(true)),
            (".", "552 too much", Err(true)),
            ("RCPT", "451 later", Err(false)),
            ("", "554 no service here", Err(false)),
            ("", "421 busy", Err(false)),
            ("EHLO", "550 not you", Err(false)),
            ("AUTH", "535 wrong", Err(false)),
            ("AUTH", "500 what", Err(false)),
            ("AUTH", "454 later", Err(false)),
            ("MAIL", "530 sign in first", Err(false)),
        ] {
            let transport = server_that_refuses(step, answer).await;
            assert_eq!(sent_to(&transport).await, expected, "{step} {answer}");
        }
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_without_being_repeated() {
        for (url, from, why) in [
            ("mail.example.com", "keys@example.com", InvalidMailSettings::Url),
            ("http://u:hunter2@mail.example.com", "keys@example.com", InvalidMailSettings::Url),
            ("smtps://u:hunter2@mail.example.com", "nobody", InvalidMailSettings::From),
        ] {
            let error = MailTransport::smtp(url, from).expect_err(url);
            assert_eq!(error, why);
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
