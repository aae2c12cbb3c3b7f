//! The command line: every command, flag and example.

#![expect(clippy::doc_markdown, reason = "these texts are read in a terminal")]

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::Flags;

/// API keys, end to end.
#[derive(Debug, Parser)]
#[command(
    name = "trousseau",
    version,
    about = "Businesses, API keys and the decision whether a key is good",
    after_help = "Exit codes: 0 done, 1 refused, 2 usage, 3 failed (database, disk, network).\n\n\
                  Settings come from trousseau.toml, TROUSSEAU_* variables and flags, in rising precedence;\n\
                  `trousseau config check` explains the result.\n\n\
                  Example:\n  trousseau serve --welcome \"Atelier Lumière\"",
    propagate_version = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder of the embedded database and the key file
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Database: sqlite:PATH or postgres://... (an address with a password belongs into a file: `database_file`)
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// Configuration file [default: trousseau.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Who asked for this, for the audit trail, beside the system user
    #[arg(long, global = true, value_name = "WHO", value_parser = actor)]
    pub(crate) actor: Option<String>,
}

/// A line of visible text, so that it cannot forge another entry.
fn actor(text: &str) -> Result<String, &'static str> {
    let good = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err("1 to 100 characters, none of them a control character") }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    #[command(after_help = "Example:\n  trousseau serve --listen 127.0.0.1:8080 --public-url https://keys.example.com")]
    Serve(Serve),
    /// Businesses: the tenants
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  trousseau business list")]
    Business(Business),
    /// Keys of a business
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  trousseau key list --business ID --environment test"
    )]
    Key(Key),
    /// People: who may sign in, and what they are
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  trousseau member list --business ID"
    )]
    Member(Member),
    /// The operator's own keys
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  trousseau platform-key create gateway --scope verify"
    )]
    PlatformKey(PlatformKey),
    /// Pepper and key-encryption key
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  trousseau secrets status")]
    Secrets(Secrets),
    /// Where the money of a business goes
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = "Example:\n  trousseau payout list --business ID"
    )]
    Payout(Payout),
    /// The networks that are watched for payments
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  trousseau network list")]
    Network(Network),
    /// Write the whole database into a file, beside a running server; the key file is not in it
    #[command(
        after_help = "The file holds digests, sealed values and personal data, and restores on SQLite and PostgreSQL.\n\
                      Keep it apart from the key file, without which it is of no use.\n\n\
                      Example:\n  trousseau backup /var/backups/trousseau-2027-01-31.gz"
    )]
    Backup {
        /// The file, which must not be there yet
        file: PathBuf,
    },
    /// Fill an empty database from a backup
    #[command(
        after_help = "The database is the one that the settings name. Stop every server before, and put the copy of the key \
                      file in its place.\nWhat happened after the backup is lost: docs/operations.md says what that \
                      means.\n\n\
                      Example:\n  trousseau restore /var/backups/trousseau-2027-01-31.gz --database postgres://db/trousseau"
    )]
    Restore {
        /// The file
        file: PathBuf,
        /// Go on so many children further with every extended public key; else none is given out any more, since those
        /// after the backup may have been
        #[arg(long, value_name = "N")]
        skip_children: Option<u32>,
    },
    /// The configuration
    #[command(subcommand, arg_required_else_help = true, after_help = "Example:\n  trousseau config check")]
    Config(Config),
    /// Print the OpenAPI document
    #[command(after_help = "Example:\n  trousseau openapi > openapi.json")]
    Openapi,
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  trousseau completions bash > /etc/bash_completion.d/trousseau")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where the world reaches this server: https://host
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Certificate chain in PEM: end TLS in this server
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<String>,
    /// Private key of the certificate in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<String>,
    /// Address on which Envoy asks about keys, by gRPC
    #[arg(long, value_name = "ADDR")]
    ext_authz_listen: Option<SocketAddr>,
    /// Collector that traces are sent to, by OTLP over HTTP
    #[arg(long, value_name = "URL")]
    traces_endpoint: Option<String>,
    /// Create a first business called NAME when there is none, and print a call that works
    #[arg(long, value_name = "NAME")]
    pub(crate) welcome: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Business {
    /// Create a business and print it with its first keys, once
    #[command(after_help = "Example:\n  trousseau business create \"Atelier Lumière\" --profile mileston --json")]
    Create {
        /// Its name
        name: String,
        /// Which rules its keys follow [default: the configured profile]
        #[arg(long)]
        profile: Option<String>,
        /// Its id, in the form of the profile [default: a new one]
        #[arg(long)]
        id: Option<String>,
        /// Time zone in which its days begin [default: the configured one]
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// Language of its pages
        #[arg(long, value_enum)]
        language: Option<Language>,
        /// What else is known about it, repeatable
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        metadata: Vec<(String, String)>,
        /// Print its id and keys as the lines of an .env file, which a shell reads too
        #[arg(long, conflicts_with_all = ["json", "invite"])]
        dotenv: bool,
        /// Invite its first administrator: the LIVE keys are then shown to that person, once, and not here
        #[arg(long, value_name = "EMAIL")]
        invite: Option<String>,
    },
    /// List the businesses
    #[command(after_help = "Example:\n  trousseau business list --json")]
    List,
    /// Show one business
    #[command(after_help = "Example:\n  trousseau business show 5f0c8a52-5b8e-4a3e-9d0f-2f8f6f1c3b7a")]
    Show {
        /// Its id
        id: String,
    },
    /// Say how often all keys of a business may be used together, in each environment; what is not named stays
    #[command(
        after_help = "Example:\n  trousseau business limit 17616983000123 --rate-limit 1000/1s --quota-day 1000000"
    )]
    Limit {
        /// Its id
        id: String,
        #[command(flatten)]
        limits: LimitChange,
    },
    /// Refuse all keys of a business from now on
    #[command(after_help = "Example:\n  trousseau business suspend 17616983000123 --yes")]
    Suspend {
        /// Its id
        id: String,
        #[command(flatten)]
        sure: Sure,
    },
    /// Accept the keys of a suspended business again
    #[command(after_help = "Example:\n  trousseau business resume 17616983000123")]
    Resume {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Administrator,
    Developer,
    Analyst,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Member {
    /// Invite somebody, print the one-time link and mail it
    #[command(
        after_help = "Example:\n  trousseau member invite admin@example.com --business ID --role administrator\n  \
                      trousseau member invite operator@example.com --platform"
    )]
    Invite {
        /// Whom
        email: String,
        /// To this business
        #[arg(long, value_name = "ID", requires = "role", required_unless_present = "platform")]
        business: Option<String>,
        /// As what
        #[arg(long, value_enum, requires = "business")]
        role: Option<Role>,
        /// To administer the platform
        #[arg(long, conflicts_with_all = ["business", "role"])]
        platform: bool,
        /// Language of the mail to somebody who has no account yet
        #[arg(long, value_enum, default_value = "en")]
        language: Language,
    },
    /// List the members of a business and its open invitations, or the platform's administrators
    #[command(after_help = "Example:\n  trousseau member list --business ID --json")]
    List {
        /// Of this business
        #[arg(long, value_name = "ID", required_unless_present = "platform")]
        business: Option<String>,
        /// Of the platform
        #[arg(long, conflicts_with = "business")]
        platform: bool,
    },
    /// Take somebody out of a business, or from the platform
    #[command(after_help = "Example:\n  trousseau member remove developer@example.com --business ID --yes")]
    Remove {
        /// Whom
        email: String,
        /// Out of this business
        #[arg(long, value_name = "ID", required_unless_present = "platform")]
        business: Option<String>,
        /// From the platform
        #[arg(long, conflicts_with = "business")]
        platform: bool,
        #[command(flatten)]
        sure: Sure,
    },
}

/// What is to be different about limits; what is not named stays.
#[derive(Debug, Args)]
pub(crate) struct LimitChange {
    /// How fast, repeatable, such as 100/1m; one empty text takes all rates away
    #[arg(long = "rate-limit", value_name = "N/TIME")]
    pub(crate) rate_limits: Option<Vec<String>>,
    /// How many requests a day at most, in UTC; 0 for any number
    #[arg(long, value_name = "N")]
    pub(crate) quota_day: Option<u64>,
    /// How many requests a month at most, in UTC; 0 for any number
    #[arg(long, value_name = "N")]
    pub(crate) quota_month: Option<u64>,
}

/// The answer to *are you sure*, given in advance.
#[derive(Debug, Args)]
pub(crate) struct Sure {
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    En,
    Fr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Environment {
    Test,
    Live,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Secret,
    Checkout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    Active,
    Inactive,
}

/// Whose keys, and in which environment.
#[derive(Debug, Args)]
pub(crate) struct Tenant {
    /// The business's id
    #[arg(long, value_name = "ID")]
    pub(crate) business: String,
    /// The environment
    #[arg(long, value_enum)]
    pub(crate) environment: Environment,
}

/// One key; the business and the environment are checked where they are given.
#[derive(Debug, Args)]
pub(crate) struct OneKey {
    /// The key's id
    #[arg(value_name = "KEY_ID")]
    pub(crate) id: String,
    /// The business it must belong to
    #[arg(long, value_name = "ID")]
    pub(crate) business: Option<String>,
    /// The environment it must belong to
    #[arg(long, value_enum)]
    pub(crate) environment: Option<Environment>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Create a key and print its value
    #[command(
        after_help = "Example:\n  trousseau key create --business ID --environment test --name Backend --scope payments:read"
    )]
    Create {
        #[command(flatten)]
        tenant: Tenant,
        /// What it is for: a backend or a web page
        #[arg(long, value_enum, default_value = "secret")]
        kind: Kind,
        /// Its name
        #[arg(long)]
        name: Option<String>,
        /// When it begins: an instant, or a day in the business's time zone [default: now]
        #[arg(long, value_name = "WHEN")]
        valid_from: Option<String>,
        /// When it ends: an instant, or the last day in the business's time zone [default: never]
        #[arg(long, value_name = "WHEN")]
        valid_until: Option<String>,
        /// What it may do, repeatable [default: what the kind gives]
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Where its calls may come from, repeatable (checkout keys)
        #[arg(long = "allowed-origin", value_name = "ORIGIN")]
        allowed_origins: Vec<String>,
        /// Addresses its calls may come from, repeatable (secret keys)
        #[arg(long = "allowed-ip", value_name = "RANGE")]
        allowed_ips: Vec<String>,
        /// How fast it may be used, repeatable, such as 100/1m; all hold at once
        #[arg(long = "rate-limit", value_name = "N/TIME")]
        rate_limits: Vec<String>,
        /// How many requests a day at most, in UTC
        #[arg(long, value_name = "N")]
        quota_day: Option<u64>,
        /// How many requests a month at most, in UTC
        #[arg(long, value_name = "N")]
        quota_month: Option<u64>,
        /// What else is known about it, repeatable
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        metadata: Vec<(String, String)>,
    },
    /// List the keys of a business in one environment
    #[command(after_help = "Example:\n  trousseau key list --business ID --environment live --revoked")]
    List {
        #[command(flatten)]
        tenant: Tenant,
        /// Only keys of this kind
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Revoked keys too
        #[arg(long)]
        revoked: bool,
    },
    /// Take over keys of another system, from a file or standard input
    #[command(
        after_help = "One key per line, as JSON or CSV, with its `value`, or the `sha256` or `hmac_sha256` of it; see \
                      docs/cli.md.\nWhat is a key here already is left as it is. Exit code 1 if a line was \
                      refused.\n\n\
                      Example:\n  trousseau key import --business ID --environment live keys.jsonl"
    )]
    Import {
        #[command(flatten)]
        tenant: Tenant,
        /// What keys are for whose line does not say it
        #[arg(long, value_enum, default_value = "secret")]
        kind: Kind,
        /// The form of the lines [default: by the file's ending, else JSON]
        #[arg(long, value_enum)]
        format: Option<ImportFormat>,
        /// How many lines are taken over in one transaction
        #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u16).range(1..=5000))]
        batch: u16,
        /// The file; standard input if absent or -
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Tell how many imported keys have been used since, and list those that have not
    #[command(after_help = "Example:\n  trousseau key import-report --business ID --environment live")]
    ImportReport {
        #[command(flatten)]
        tenant: Tenant,
    },
    /// Show a key without its value
    #[command(after_help = "Example:\n  trousseau key show key_01j9z6m4q8s2d5f7g9h1k3n5p7")]
    Show(OneKey),
    /// Change a key; what is not named stays
    #[command(after_help = "Example:\n  trousseau key update KEY_ID --name Billing --valid-until 2027-12-31")]
    Update {
        #[command(flatten)]
        key: OneKey,
        /// Its name; an empty text takes it away
        #[arg(long)]
        name: Option<String>,
        /// Switch it on or off
        #[arg(long, value_enum)]
        state: Option<State>,
        /// When it begins
        #[arg(long, value_name = "WHEN")]
        valid_from: Option<String>,
        /// When it ends, or `never`
        #[arg(long, value_name = "WHEN")]
        valid_until: Option<String>,
        /// What it may do from now on, repeatable
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Option<Vec<String>>,
        /// Where its calls may come from, repeatable; one empty text allows all
        #[arg(long = "allowed-origin", value_name = "ORIGIN")]
        allowed_origins: Option<Vec<String>>,
        /// Addresses its calls may come from, repeatable; one empty text allows all
        #[arg(long = "allowed-ip", value_name = "RANGE")]
        allowed_ips: Option<Vec<String>>,
        #[command(flatten)]
        limits: LimitChange,
        /// What else is known about it, repeatable; replaces what was there
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        metadata: Option<Vec<(String, String)>>,
        #[command(flatten)]
        sure: Sure,
    },
    /// Give a key a new value
    #[command(after_help = "Example:\n  trousseau key rotate KEY_ID --overlap 1d")]
    Rotate {
        #[command(flatten)]
        key: OneKey,
        /// How long the old value stays good: none, 1h, 1d, another number of s, m, h or d, or an instant
        #[arg(long, default_value = "none")]
        overlap: String,
        #[command(flatten)]
        sure: Sure,
    },
    /// End a key, finally and at once
    #[command(after_help = "Example:\n  trousseau key revoke KEY_ID --yes")]
    Revoke {
        #[command(flatten)]
        key: OneKey,
        #[command(flatten)]
        sure: Sure,
    },
    /// Show a key's value again, where its profile allows that
    #[command(after_help = "Example:\n  trousseau key reveal KEY_ID")]
    Reveal(OneKey),
    /// Tell whether the key on standard input (or in TROUSSEAU_KEY) is good
    #[command(
        after_help = "Exit code 1 if the key is refused.\n\nExample:\n  trousseau key verify --business ID < key.txt"
    )]
    Verify {
        /// The business id sent with it
        #[arg(long, value_name = "ID")]
        business: Option<String>,
        /// What it must be allowed to do
        #[arg(long)]
        scope: Option<String>,
        /// The origin of the call
        #[arg(long)]
        origin: Option<String>,
        /// The address of the caller
        #[arg(long)]
        ip: Option<std::net::IpAddr>,
    },
    /// Tell whose key is on standard input (or in TROUSSEAU_KEY)
    #[command(after_help = "Example:\n  trousseau key find < key.txt")]
    Find,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// One JSON object per line
    Jsonl,
    /// Comma-separated values with a line of names
    Csv,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlatformKey {
    /// Create a platform key and print its value, once
    #[command(after_help = "Example:\n  trousseau platform-key create gateway --scope verify")]
    Create {
        /// Its name
        name: String,
        /// What it may do, repeatable [default: both]
        #[arg(long = "scope", value_enum)]
        scopes: Vec<PlatformScope>,
    },
    /// List the platform keys
    #[command(after_help = "Example:\n  trousseau platform-key list")]
    List,
    /// End a platform key, finally and at once
    #[command(after_help = "Example:\n  trousseau platform-key revoke pk_01j9z6m4q8s2d5f7g9h1k3n5p7 --yes")]
    Revoke {
        /// Its id
        id: String,
        #[command(flatten)]
        sure: Sure,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlatformScope {
    Verify,
    Manage,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Make a new version of the pepper and of the key-encryption key
    #[command(after_help = "Copy the key file to a safe place afterwards.\n\nExample:\n  trousseau secrets rotate")]
    Rotate {
        /// Only this one
        #[arg(long, value_enum)]
        only: Option<SecretKind>,
        /// Take the versions that `secrets prepare` has put into the key file, which every node has by now
        #[arg(long)]
        prepared: bool,
    },
    /// Put new versions into the key file and leave them unused, so that every node can be given the file first
    #[command(after_help = "Then copy the file to every node, and run `trousseau secrets rotate --prepared` once.\n\n\
                      Example:\n  trousseau secrets prepare")]
    Prepare {
        /// Only this one
        #[arg(long, value_enum)]
        only: Option<SecretKind>,
    },
    /// Tell which versions there are and how many rows are still on each
    #[command(after_help = "Example:\n  trousseau secrets status --json")]
    Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SecretKind {
    Pepper,
    KeyEncryptionKey,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Payout {
    /// Say where the money of a network goes from now on: of LIVE, or of TEST where it is watched for TEST
    #[command(
        after_help = "Deposit addresses that were given out before go on paying the address that they were made for.\n\n\
                      With the extended public key of an account, every payment gets an address of that wallet. The key \
                      is proposed first; it is in force once --confirm repeats its first three addresses, in order, as \
                      the wallet shows them. A key that can spend is refused.\n\n\
                      Examples:\n  trousseau payout set base 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --business ID\n  \
                      trousseau payout set base xpub6... --business ID\n  \
                      trousseau payout set base xpub6... --business ID --confirm 0x... --confirm 0x... --confirm 0x..."
    )]
    Set {
        /// The network, by its name in the settings or by its id
        network: String,
        /// The wallet: its address, or the extended public key of one of its accounts
        target: String,
        /// The business
        #[arg(long, value_name = "ID")]
        business: String,
        /// One of the first three addresses of the extended public key, as its wallet shows it
        #[arg(long, value_name = "ADDRESS")]
        confirm: Vec<String>,
        #[command(flatten)]
        sure: Sure,
    },
    /// Tell where the money of a business goes
    #[command(after_help = "Example:\n  trousseau payout list --business ID")]
    List {
        /// The business
        #[arg(long, value_name = "ID")]
        business: String,
    },
    /// Print the unsigned transactions that move what has arrived at deposit addresses to payout addresses
    #[command(
        after_help = "Anybody may sign and send them, in their order, from any account that pays the gas; nothing can be\n\
                            moved anywhere else. What the nodes hold at this moment counts, so that nothing is planned twice.\n\n\
                            Example:\n  trousseau payout plan --business ID --network base --json"
    )]
    Plan {
        /// Only what is this business's
        #[arg(long, value_name = "ID")]
        business: Option<String>,
        /// Only what is in this environment: test or live
        #[arg(long, value_name = "ENVIRONMENT")]
        environment: Option<String>,
        /// Only this network, by its name in the settings or by its id
        #[arg(long, value_name = "NETWORK")]
        network: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    /// List the networks, and how each is doing as the server says that watches it
    #[command(after_help = "Example:\n  trousseau network list --json")]
    List,
    /// Ask every endpoint of a network now; the exit code is 3 unless all is well
    #[command(after_help = "Example:\n  trousseau network health base")]
    Health {
        /// The network, by its name in the settings or by its id
        network: String,
    },
    /// Compare what lies at deposit addresses with what was counted in and out, as the server does every night
    #[command(
        after_help = "Ends with 0 where all sums agree, with 1 where some do not, and with 3 where not all could be asked.\n\n\
                      Example:\n  trousseau network reconcile base"
    )]
    Reconcile {
        /// The network, by its name in the settings or by its id [default: all of them]
        network: Option<String>,
    },
    /// Read a network once more from a block on, and have every payment follow from what it holds now
    #[command(
        after_help = "For a reorganisation that went deeper than the blocks that are remembered, and for what was \
                      missed. Nothing is credited twice, and what the network does not hold any more is taken \
                      back. Without --from-block it begins where what was seen and what is there part.\n\n\
                      Example:\n  trousseau network rescan base --from-block 21000000"
    )]
    Rescan {
        /// The network, by its name in the settings or by its id
        network: String,
        /// The first block to read
        #[arg(long, value_name = "N")]
        from_block: Option<u64>,
        #[command(flatten)]
        sure: Sure,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration and tell where each value came from, secrets left out
    #[command(after_help = "Example:\n  trousseau config check --config /etc/trousseau.toml")]
    Check,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("is written NAME=VALUE"),
    }
}

impl Cli {
    /// What the flags say about the settings.
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        flags.config.clone_from(&self.global.config);
        let mut set = |path, flag, value: &Option<String>| {
            if let Some(value) = value {
                flags.set(path, flag, value);
            }
        };
        set("data_dir", "--data-dir", &self.global.data_dir);
        set("database", "--database", &self.global.database);
        if let Command::Serve(serve) = &self.command {
            set("listen", "--listen", &serve.listen.map(|address| address.to_string()));
            set("public_url", "--public-url", &serve.public_url);
            set("tls.cert", "--tls-cert", &serve.tls_cert);
            set("tls.key", "--tls-key", &serve.tls_key);
            let ext_authz = serve.ext_authz_listen.map(|address| address.to_string());
            set("ext_authz.listen", "--ext-authz-listen", &ext_authz);
            set("traces.endpoint", "--traces-endpoint", &serve.traces_endpoint);
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use clap::CommandFactory as _;

    use super::*;

    fn walk(command: &clap::Command, path: &str, visit: &mut dyn FnMut(&clap::Command, &str)) {
        visit(command, path);
        for inner in command.get_subcommands() {
            walk(inner, &format!("{path} {}", inner.get_name()), visit);
        }
    }

    /// The options of a command as the documentation has them: all but those that every command takes.
    fn options(command: &clap::Command) -> Vec<String> {
        let of_all = Cli::command();
        let is_of_all = |option: &clap::Arg| of_all.get_arguments().any(|of_all| of_all.get_id() == option.get_id());
        let mut options = Vec::new();
        for option in command.get_arguments().filter(|option| !is_of_all(option)) {
            let Some(name) = option.get_long().filter(|name| !matches!(*name, "help" | "version")) else { continue };
            let choices: Vec<_> =
                option.get_possible_values().iter().map(|choice| choice.get_name().to_owned()).collect();
            let value = match option.get_value_names() {
                _ if !option.get_action().takes_values() => String::new(),
                _ if !choices.is_empty() => format!(" {}", choices.join("\\|")),
                Some([name, ..]) => format!(" {name}"),
                _ => String::new(),
            };
            let again = if matches!(option.get_action(), clap::ArgAction::Append) { " ..." } else { "" };
            let text = format!("--{name}{value}{again}");
            options.push(if option.is_required_set() { format!("`{text}`") } else { format!("`[{text}]`") });
        }
        options
    }

    #[test]
    fn every_option_is_documented() {
        let mut table = "| command | options |\n| --- | --- |\n".to_owned();
        walk(&Cli::command(), "", &mut |command, path| {
            let options = options(command);
            if !options.is_empty() {
                writeln!(table, "| `{}` | {} |", path.trim_start(), options.join(" ")).expect("a string takes all");
            }
        });
        let documented = include_str!("../../../docs/cli.md");
        for option in Cli::command().get_arguments().filter_map(clap::Arg::get_long) {
            assert!(matches!(option, "help" | "version") || documented.contains(&format!("`--{option}")), "--{option}");
        }
        assert!(documented.contains(&table), "docs/cli.md must hold under Options:\n{table}");
    }

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        walk(&command, "trousseau", &mut |command, path| {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let has_example =
                ["Example:\n  trousseau", "Examples:\n  trousseau"].iter().any(|head| help.contains(head));
            assert!(has_example, "{path} has no example");
        });
    }
}
