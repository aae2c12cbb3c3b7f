//! Measures `GET /v1/whoami` and its like side by side with a bare `hyper` answer of the same size, in turns, in one run; next to
//! other ways to check a key; and the watch over a network.
//!
//! Only ratios are printed as results: absolute figures move with the machine and its neighbours.
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

mod bare;
mod beside;
mod create;
mod drive;
mod flood;
mod lookups;
mod payments;
mod peers;
mod processes;
mod seed;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::drive::{Load, Measured, Target};
use crate::processes::Pinning;

/// Measures a question against a bare answer of the same size.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Internal>,
    /// Keys in the database
    #[arg(long, default_value_t = 1_000)]
    keys: u32,
    /// Pairs of runs, each one of both servers
    #[arg(long, default_value_t = 10)]
    pairs: u32,
    /// Seconds a run
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Keep-alive connections
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Requests in flight on a connection
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// Next to a route of axum rather than to hyper alone
    #[arg(long)]
    axum: bool,
    /// What is asked
    #[arg(long, value_enum, default_value_t)]
    ask: Ask,
    /// The program to measure
    #[arg(long, default_value = "target/release/trousseau")]
    program: PathBuf,
    /// Keys without limits; each has one of a million requests a second otherwise, so that it is counted
    #[arg(long)]
    unlimited: bool,
    /// A database to use again, with the keys in it; made if it is not there
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// What a key is presented for.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Ask {
    /// GET /v1/whoami
    #[default]
    Whoami,
    /// GET /v1/authorize
    Authorize,
    /// The same with the fields that nginx sends as docs/gateways has it
    Gateway,
}

#[derive(Debug, Subcommand)]
enum Internal {
    /// Measure the watch over a network, with payments that wait and busy blocks
    Payments(payments::Scene),
    /// Measure bad keys: what they cost, and what is left for the others
    Flood,
    /// Measure verification while a thousand payment links a second are made
    Beside,
    /// Measure how fast payment links and keys are made, next to bare commits of one row and synced appends
    Create,
    /// Measure Trousseau side by side with other ways to check a key
    Peers(peers::Scene),
    /// Answer by queries of a database (started by the bench itself)
    #[command(hide = true)]
    Lookup {
        /// Where to listen
        address: SocketAddr,
        /// An address of PostgreSQL, or a file of SQLite
        database: String,
    },
    /// Answer so many bytes to everything (started by the bench itself)
    #[command(hide = true)]
    Bare {
        /// Where to listen
        address: SocketAddr,
        /// Bytes of the answer
        size: usize,
        /// By a route of axum
        #[arg(long)]
        axum: bool,
    },
}

/// A server process that ends with the bench.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn start(mut command: Command, address: SocketAddr) -> anyhow::Result<Server> {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("the server does not start")?;
    let server = Server { child, address };
    for _ in 0..6_000 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(server);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    anyhow::bail!("the server does not listen at {address}")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        Some(Internal::Bare { address, size, axum }) => bare::serve(address, size, axum).await,
        Some(Internal::Lookup { address, ref database }) => lookups::serve(address, database).await,
        Some(Internal::Peers(ref scene)) => peers::measure(scene).await,
        Some(Internal::Payments(ref scene)) => payments::measure(scene).await,
        Some(Internal::Flood) => flood::measure(&cli).await,
        Some(Internal::Beside) => beside::measure(&cli).await,
        Some(Internal::Create) => create::measure(&cli).await,
        None => compare(cli).await,
    }
}

async fn compare(cli: Cli) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = cli.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let requests = seed::requests(&folder, cli.keys, !cli.unlimited).await?;
    let pinning = Pinning::of_this_machine();
    pinning.move_load()?;
    let requests = match cli.ask {
        Ask::Whoami => requests,
        Ask::Authorize => Arc::new(requests.iter().map(|one| seed::authorize(one)).collect()),
        Ask::Gateway => Arc::new(requests.iter().map(|one| seed::gateway(one)).collect()),
    };

    let address = free_address()?;
    let mut command = pinning.command(&cli.program);
    command.args(["serve", "--listen", &address.to_string()]).arg("--data-dir").arg(&folder);
    if matches!(cli.ask, Ask::Gateway) {
        command.env("TROUSSEAU_TRUSTED_PROXIES", "127.0.0.1");
    }
    let began = std::time::Instant::now();
    let ours = start(command, address)?;
    println!(
        "listens {} ms after its start, with {} keys in memory and {} KiB in all",
        began.elapsed().as_millis(),
        cli.keys,
        drive::memory_of(ours.child.id())?
    );
    let sample = drive::once(address, &requests[0]).await?;
    anyhow::ensure!(sample.status == 200, "a good key is answered with {}", sample.status);
    let wrong = drive::once(address, &seed::made_up()).await?;
    anyhow::ensure!(wrong.status == 401, "a made-up key is answered with {}", wrong.status);

    let address = free_address()?;
    let mut command = pinning.command(std::env::current_exe()?);
    command.args(["bare", &address.to_string(), &sample.body.to_string()]);
    if cli.axum {
        command.arg("--axum");
    }
    let bare = start(command, address)?;

    println!(
        "{} keys, {} connections with {} in flight, {} pairs of {} s, {} bytes an answer",
        cli.keys, cli.connections, cli.depth, cli.pairs, cli.seconds, sample.body
    );
    let load = Load { depth: cli.depth, ..Load::new(cli.connections, Duration::from_secs(cli.seconds)) };
    let targets = [&ours, &bare].map(|server| Target { address: server.address, process: server.child.id() });
    for target in &targets {
        drive::run(target, &load, &requests).await?;
    }
    let mut throughput = Vec::new();
    let mut cpu = Vec::new();
    for pair in 0..cli.pairs {
        // Who goes first changes, so that a drift of the machine does not favour one of them.
        let order = if pair % 2 == 0 { [0, 1] } else { [1, 0] };
        let mut measured: [Option<Measured>; 2] = [None, None];
        for index in order {
            measured[index] = Some(drive::run(&targets[index], &load, &requests).await?);
        }
        let [Some(ours), Some(bare)] = measured else { unreachable!("both were measured above") };
        throughput.push(permille(ours.per_second(), bare.per_second()));
        cpu.push(permille(ours.cpu_nanos_a_request(), bare.cpu_nanos_a_request()));
        println!(
            "pair {:2}: ours {:6}/s {:6} ns CPU a request, bare {:6}/s {:6} ns",
            pair + 1,
            ours.per_second(),
            ours.cpu_nanos_a_request(),
            bare.per_second(),
            bare.cpu_nanos_a_request()
        );
    }
    println!("requests a second, ours / bare: {}", summary(&mut throughput));
    println!("server CPU a request, ours / bare: {}", summary(&mut cpu));
    Ok(())
}

/// A ratio in thousandths: figures here are integers like everywhere else.
fn permille(a: u64, b: u64) -> u64 {
    a * 1_000 / b.max(1)
}

fn summary(ratios: &mut [u64]) -> String {
    ratios.sort_unstable();
    let show = |ratio: u64| format!("{}.{:03}", ratio / 1_000, ratio % 1_000);
    match (ratios.first(), ratios.last()) {
        (Some(least), Some(most)) => {
            format!("{} [{} .. {}]", show(ratios[ratios.len() / 2]), show(*least), show(*most))
        }
        _ => "nothing measured".to_owned(),
    }
}
