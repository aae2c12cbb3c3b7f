//! Trousseau side by side with other ways to check a key, in turns: each server has one processor and a table with as
//! many keys, and requests pick theirs at random.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use trousseau_domain::ids::BusinessId;

use crate::drive::{self, Load, Target};
use crate::lookups::{self, Known};
use crate::processes::{Machine, Pinning, Running};
use crate::{free_address, permille, seed};

/// How long Trousseau is left alone after a run: counts of a run are gathered for four seconds before they are written,
/// and that is its cost, never the peer's.
const REST: Duration = Duration::from_secs(5);
/// How often as many pairs as are wanted are tried in search of quiet ones.
const MOST_TRIES: usize = 3;

/// Which peers, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Scene {
    /// Keys in the table of each server
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(10..=200_000))]
    keys: u32,
    /// These peers only, with commas between them
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Peer>,
    /// Pairs of runs, each one of Trousseau and one of the peer
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Seconds a run
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Thousandths of a processor that others may use during a pair; with more it is run again
    #[arg(long, default_value_t = 300)]
    quiet: u64,
    /// The program to measure
    #[arg(long, default_value = "target/release/trousseau")]
    program: PathBuf,
    /// The folder of what the peers are made of
    #[arg(long, default_value = "bench/peers")]
    peers: PathBuf,
    /// A PostgreSQL on this machine to make a table in
    #[arg(long, env = "TROUSSEAU_TEST_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
}

/// What Trousseau is measured next to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    Nginx,
    AxumSqlite,
    Fastify,
    AxumPostgres,
    Djangorestframework,
    BetterAuth,
}

impl Peer {
    const fn title(self) -> &'static str {
        match self {
            Self::Nginx => "nginx `map`",
            Self::AxumSqlite => "axum with SQLite",
            Self::Fastify => "Fastify with SQLite",
            Self::AxumPostgres => "axum with PostgreSQL",
            Self::Djangorestframework => "djangorestframework-api-key",
            Self::BetterAuth => "better-auth's plugin",
        }
    }

    /// How many times its rate is aimed at, in thousandths.
    const fn aim(self) -> u64 {
        match self {
            Self::Nginx => 1_000,
            Self::AxumSqlite => 1_700,
            Self::Fastify => 3_800,
            Self::AxumPostgres => 12_000,
            Self::Djangorestframework => 95_000,
            Self::BetterAuth => 150_000,
        }
    }

    /// With more connections the slow ones would only queue.
    const fn connections(self) -> usize {
        match self {
            Self::Nginx | Self::AxumSqlite | Self::Fastify | Self::AxumPostgres => 32,
            Self::Djangorestframework | Self::BetterAuth => 8,
        }
    }
}

/// A peer that could be started.
struct Stand {
    command: Command,
    requests: Arc<Vec<Vec<u8>>>,
    /// A request with a key that nobody has, and the status of its refusal.
    wrong: (Vec<u8>, u16),
    /// The database server that it asks.
    beside: Option<u32>,
}

/// What all peers are made from.
struct Place<'a> {
    scene: &'a Scene,
    pinning: Pinning,
    folder: &'a Path,
    /// The requests that Trousseau gets.
    ours: &'a Arc<Vec<Vec<u8>>>,
    /// Their keys.
    keys: &'a [Known],
}

/// One run of one server.
struct Run {
    per_second: u64,
    /// Time of the server on a processor, in nanoseconds a request.
    cpu: u64,
    /// Thousandths of a processor that neither the server nor the load used.
    others: u64,
    /// Thousandths of its processor that the load used.
    load: u64,
}

struct Pair {
    ours: Run,
    theirs: Run,
}

impl Pair {
    fn others(&self) -> u64 {
        self.ours.others.max(self.theirs.others)
    }
}

/// A server and what it is asked.
struct Side<'a> {
    server: &'a Running,
    requests: &'a Arc<Vec<Vec<u8>>>,
    rest: Duration,
}

pub(crate) async fn measure(scene: &Scene) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = temporary.path();
    let requests = seed::requests(&folder.join("trousseau"), scene.keys, true).await?;
    let keys = requests.iter().map(|request| known(request)).collect::<anyhow::Result<Vec<_>>>()?;
    let pinning = Pinning::of_this_machine();
    pinning.move_load()?;
    let address = free_address()?;
    let mut command = pinning.command(&scene.program);
    command.args(["serve", "--listen", &address.to_string()]).arg("--data-dir").arg(folder.join("trousseau"));
    let ours = Running::start(command, address, None, &folder.join("trousseau.log"))?;
    expect(address, &requests[0], 200).await?;
    expect(address, &seed::made_up(), 401).await?;

    println!(
        "{} keys, pairs of {} s each, one request in flight on a connection; servers and load {}",
        requests.len(),
        scene.seconds,
        if pinning.is_on() { "have a processor each" } else { "share the only processor" }
    );
    let place = Place { scene, pinning, folder, ours: &requests, keys: &keys };
    let chosen = if scene.only.is_empty() { Peer::value_variants() } else { &scene.only };
    let mut lines = Vec::new();
    let mut left_out = 0;
    for peer in chosen {
        match compare(*peer, &place, &ours).await {
            Ok(line) => lines.push(line),
            Err(error) => {
                left_out += 1;
                lines.push(format!("| {} | left out: {error:#} |", peer.title()));
                println!("{}: {error:#}", peer.title());
            }
        }
    }
    println!(
        "\n| peer | requests a second, Trousseau / peer | aimed at | processor time a request, peer / Trousseau \
         | load's processor busy, Trousseau, peer | others, at most | pairs |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    for line in lines {
        println!("{line}");
    }
    anyhow::ensure!(left_out == 0, "{left_out} of the peers could not be measured");
    Ok(())
}

/// Measures one peer and gives its line of the table.
async fn compare(peer: Peer, place: &Place<'_>, ours: &Running) -> anyhow::Result<String> {
    let scene = place.scene;
    let address = free_address()?;
    let stand = stand(peer, place, address).await?;
    if let Some(process) = stand.beside {
        place.pinning.move_server(process)?;
    }
    let log = place.folder.join("peer.log");
    let theirs = Running::start(stand.command, address, stand.beside, &log)?;
    let answer = expect(address, &stand.requests[0], 200).await?;
    expect(address, &stand.wrong.0, stand.wrong.1).await?;
    let own = expect(ours.address, &place.ours[0], 200).await?;
    println!("{}: {answer} bytes an answer, Trousseau's {own}", peer.title());

    let ours = Side { server: ours, requests: place.ours, rest: REST };
    let theirs = Side { server: &theirs, requests: &stand.requests, rest: Duration::ZERO };
    let load = Load::new(peer.connections(), Duration::from_secs(scene.seconds));
    run(&ours, &Load { length: Duration::from_secs(1), ..load }).await?;
    run(&theirs, &Load { length: Duration::from_secs(1), ..load }).await?;

    let wanted = usize::try_from(scene.pairs)?;
    let (mut quiet, mut disturbed) = (Vec::new(), Vec::new());
    for turn in 0..wanted * MOST_TRIES {
        // Who goes first changes, so that a drift of the machine does not favour one of them.
        let pair = if turn % 2 == 0 {
            let ours = run(&ours, &load).await?;
            Pair { ours, theirs: run(&theirs, &load).await? }
        } else {
            let theirs = run(&theirs, &load).await?;
            Pair { ours: run(&ours, &load).await?, theirs }
        };
        let is_quiet = pair.others() <= scene.quiet;
        println!(
            "  Trousseau {:6}/s {:6} ns, peer {:6}/s {:7} ns, others {:3}{}",
            pair.ours.per_second,
            pair.ours.cpu,
            pair.theirs.per_second,
            pair.theirs.cpu,
            pair.others(),
            if is_quiet { "" } else { ": again" }
        );
        let like = if is_quiet { &mut quiet } else { &mut disturbed };
        like.push(pair);
        if quiet.len() == wanted {
            break;
        }
    }
    let mut count = format!("{} of {}", quiet.len(), quiet.len() + disturbed.len());
    if quiet.is_empty() {
        count.push_str(", all disturbed");
        quiet = disturbed;
    }
    let rates = ratio(&quiet, |pair| (pair.ours.per_second, pair.theirs.per_second));
    let costs = ratio(&quiet, |pair| (pair.theirs.cpu, pair.ours.cpu));
    let busy = [median(quiet.iter().map(|pair| pair.ours.load)), median(quiet.iter().map(|pair| pair.theirs.load))];
    let others = quiet.iter().map(Pair::others).max().unwrap_or(0);
    Ok(format!(
        "| {} | {rates} | {} | {costs} | {}, {} | {} | {count} |",
        peer.title(),
        show(peer.aim()),
        show(busy[0]),
        show(busy[1]),
        show(others)
    ))
}

/// Loads a server for a while, and leaves it alone for as long as it may have something left to do.
async fn run(side: &Side<'_>, load: &Load) -> anyhow::Result<Run> {
    let own = std::process::id();
    let (machine, server, generator) = (Machine::now()?, side.server.cpu()?, drive::cpu_of(own)?);
    let began = tokio::time::Instant::now();
    let target = Target { address: side.server.address, process: side.server.process() };
    let measured = drive::run(&target, load, side.requests).await?;
    let wall = began.elapsed();
    let generator = share(drive::cpu_of(own)?.saturating_sub(generator), wall);
    let meanwhile = share(side.server.cpu()?.saturating_sub(server), wall);
    let others = Machine::now()?.busy_since(machine).saturating_sub(generator + meanwhile);
    tokio::time::sleep(side.rest).await;
    let cpu = u64::try_from(side.server.cpu()?.saturating_sub(server).as_nanos())?;
    Ok(Run { per_second: measured.per_second(), cpu: cpu / measured.requests.max(1), others, load: generator })
}

/// A part of a time, in thousandths.
fn share(part: Duration, whole: Duration) -> u64 {
    u64::try_from(part.as_micros() * 1_000 / whole.as_micros().max(1)).unwrap_or(u64::MAX)
}

/// Asks once, demands a status and gives the bytes of the answer.
async fn expect(address: SocketAddr, request: &[u8], status: u16) -> anyhow::Result<usize> {
    let answer = drive::once(address, request).await?;
    anyhow::ensure!(answer.status == status, "a request is answered with {} where {status} is right", answer.status);
    Ok(answer.body)
}

async fn stand(peer: Peer, place: &Place<'_>, address: SocketAddr) -> anyhow::Result<Stand> {
    let Place { scene, pinning, folder, .. } = *place;
    let port = address.port().to_string();
    let ours =
        |command, beside| Stand { command, requests: Arc::clone(place.ours), wrong: (seed::made_up(), 401), beside };
    match peer {
        Peer::Nginx => {
            let folder = folder.join("nginx");
            std::fs::create_dir(&folder)?;
            std::fs::copy(scene.peers.join("nginx/nginx.conf"), folder.join("nginx.conf"))?;
            std::fs::write(folder.join("listen.conf"), format!("listen {address};\n"))?;
            let lines = place.keys.iter().map(|key| format!("\"{}\" {};\n", key.value, key.business));
            std::fs::write(folder.join("keys.map"), lines.collect::<String>())?;
            let scopes = serde_json::to_string(&lookups::scopes().split(' ').collect::<Vec<_>>())?;
            let answer = format!(
                r#"return 200 '{{"business_id":"$business","environment":"test","kind":"secret","scopes":{scopes}}}';"#
            );
            std::fs::write(folder.join("answer.conf"), answer)?;
            let mut command = pinning.command("nginx");
            command.arg("-p").arg(&folder).args(["-c", "nginx.conf", "-e", "error.log"]);
            Ok(ours(command, None))
        }
        Peer::AxumSqlite => {
            let mut command = pinning.command(std::env::current_exe()?);
            command.args(["lookup", &address.to_string()]).arg(table(place).await?);
            Ok(ours(command, None))
        }
        Peer::Fastify => {
            let mut command = pinning.command("node");
            command.arg(scene.peers.join("fastify/server.mjs")).arg(port).arg(table(place).await?);
            Ok(ours(command, None))
        }
        Peer::AxumPostgres => {
            let database = scene.postgres.as_deref().context("no PostgreSQL is given")?;
            let process = lookups::make_postgres(database, place.keys).await?;
            let mut command = pinning.command(std::env::current_exe()?);
            command.args(["lookup", &address.to_string(), database]);
            Ok(ours(command, Some(process)))
        }
        Peer::Djangorestframework => {
            // Absolute, because both run in the peer's own folder.
            let home = scene.peers.join("djangorestframework").canonicalize()?;
            let python = |command: &mut Command| {
                command
                    .current_dir(&home)
                    .env("BENCH_DATABASE", folder.join("django.db"))
                    .env("PYTHONDONTWRITEBYTECODE", "1");
            };
            let list = folder.join("django.txt");
            let mut make = Command::new(home.join(".venv/bin/python"));
            make.arg("make.py").arg(place.keys.len().to_string()).arg(&list);
            python(&mut make);
            finish(make)?;
            let mut command = pinning.command(home.join(".venv/bin/gunicorn"));
            command.args(["--bind", &address.to_string(), "--workers", "1", "--threads", "8", "--keep-alive", "60"]);
            command.args(["--log-level", "warning", "service:application"]);
            python(&mut command);
            foreign(command, &list, |key| format!("authorization: Api-Key {key}"), ("none.of-them", 403))
        }
        Peer::BetterAuth => {
            let (file, list) = (folder.join("better-auth.db"), folder.join("better-auth.txt"));
            let mut make = Command::new("node");
            make.arg(scene.peers.join("better-auth/make.mjs")).arg(&file).arg(place.keys.len().to_string()).arg(&list);
            finish(make)?;
            let mut command = pinning.command("node");
            command.arg(scene.peers.join("better-auth/server.mjs")).arg(port).arg(&file);
            foreign(command, &list, |key| format!("x-api-key: {key}"), (&"a".repeat(64), 401))
        }
    }
}

/// A peer with keys of its own, which are in a list.
fn foreign(
    command: Command,
    list: &Path,
    header: impl Fn(&str) -> String,
    (wrong, status): (&str, u16),
) -> anyhow::Result<Stand> {
    let request =
        |key: &str| format!("GET /v1/whoami HTTP/1.1\r\nhost: localhost\r\n{}\r\n\r\n", header(key)).into_bytes();
    let requests = std::fs::read_to_string(list)?.lines().map(request).collect();
    Ok(Stand { command, requests: Arc::new(requests), wrong: (request(wrong), status), beside: None })
}

fn finish(mut command: Command) -> anyhow::Result<()> {
    let program = command.get_program().to_owned();
    let done = command.output().with_context(|| format!("{} does not start", program.display()))?;
    anyhow::ensure!(done.status.success(), "no keys are made: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}

/// The table of SQLite, which two peers share and the first of them makes.
async fn table(place: &Place<'_>) -> anyhow::Result<PathBuf> {
    let file = place.folder.join("keys.db");
    if !file.exists() {
        lookups::make_sqlite(&file, place.keys).await?;
    }
    Ok(file)
}

/// The key of a request.
fn known(request: &[u8]) -> anyhow::Result<Known> {
    let text = std::str::from_utf8(request)?;
    let header = |wanted| {
        let mut headers = text.lines().filter_map(|line| line.split_once(": "));
        headers.find_map(|(name, value)| (name == wanted).then_some(value)).context("a request without a key")
    };
    Ok(Known { value: header("apikey")?.to_owned(), business: header("businessid")?.parse::<BusinessId>()? })
}

fn median(figures: impl Iterator<Item = u64>) -> u64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_unstable();
    match figures.len() {
        0 => 0,
        odd if odd % 2 == 1 => figures[odd / 2],
        even => u64::midpoint(figures[even / 2 - 1], figures[even / 2]),
    }
}

/// The ratio of the medians, with the least and the most of a single pair.
fn ratio(pairs: &[Pair], figures: impl Fn(&Pair) -> (u64, u64)) -> String {
    let of_medians =
        permille(median(pairs.iter().map(|pair| figures(pair).0)), median(pairs.iter().map(|pair| figures(pair).1)));
    let single = pairs.iter().map(|pair| {
        let (above, below) = figures(pair);
        permille(above, below)
    });
    let (least, most) = (single.clone().min().unwrap_or(0), single.max().unwrap_or(0));
    format!("{} [{} .. {}]", show(of_medians), show(least), show(most))
}

/// Thousandths with as many digits as say something.
fn show(thousandths: u64) -> String {
    if thousandths < 10_000 {
        format!("{}.{:02}", thousandths / 1_000, thousandths % 1_000 / 10)
    } else {
        format!("{}.{}", thousandths / 1_000, thousandths % 1_000 / 100)
    }
}
