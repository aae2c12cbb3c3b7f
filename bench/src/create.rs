//! Durable creation over HTTP, next to commits of one row and to bare appends on the same disk, in the same run.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use trousseau_store::{Store, StoreOptions};

use crate::drive::{self, Load, Target};
use crate::{Cli, permille, seed, start, summary};

/// Clients at the same time.
const CLIENTS: [usize; 3] = [1, 16, 256];

pub(crate) async fn measure(cli: &Cli) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = cli.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let requests = seed::requests(&folder, cli.keys, !cli.unlimited).await?;
    let operator = operator(cli, &folder)?;
    let links: Vec<_> = requests.iter().map(|request| seed::creation(request)).collect();
    let keys = requests.iter().map(|request| seed::key_creation(request, &operator)).collect::<anyhow::Result<_>>()?;
    let bare = Bare::new(&folder).await?;
    let address = crate::free_address()?;
    let mut command = Command::new(&cli.program);
    command.args(["serve", "--listen", &address.to_string()]).arg("--data-dir").arg(&folder);
    let server = start(command, address)?;
    let target = Target { address, process: server.child.id() };
    let length = Duration::from_secs(cli.seconds);
    for (what, requests) in [("payment links", Arc::new(links)), ("keys", Arc::new(keys))] {
        for clients in CLIENTS {
            let (mut rates, mut times) = (Vec::new(), Vec::new());
            for _ in 0..cli.pairs {
                let made = drive::run(&target, &Load { status: 201, ..Load::new(clients, length) }, &requests).await?;
                let commits = bare.commits(length).await?;
                let append = bare.append(length / 4)?;
                rates.push(permille(made.per_second(), commits));
                times.push(permille(micros(made.median), micros(append)));
                println!(
                    "{clients} clients: {} {what}/s, half of them within {} us, {} ns of CPU each; {commits} commits of \
                     one row/s; half of the appends within {} us",
                    made.per_second(),
                    micros(made.median),
                    made.cpu_nanos_a_request(),
                    micros(append)
                );
            }
            println!("{clients} clients, {what} a second / commits of one row a second: {}", summary(&mut rates));
            println!("{clients} clients, {what}, median / that of an append with fdatasync: {}", summary(&mut times));
        }
    }
    Ok(())
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The value of a platform key, made by the program itself.
fn operator(cli: &Cli, folder: &Path) -> anyhow::Result<String> {
    let made = Command::new(&cli.program)
        .args(["platform-key", "create", "bench", "--json", "--data-dir"])
        .arg(folder)
        .output()
        .context("the program does not start")?;
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).context("no platform key was made")?;
    Ok(made["value"].as_str().context("a platform key has a value")?.to_owned())
}

/// The same disk without any server.
struct Bare {
    store: Store,
    file: File,
}

impl Bare {
    async fn new(folder: &Path) -> anyhow::Result<Self> {
        let store = Store::open_sqlite(&folder.join("bench-bare.db"), &StoreOptions::default()).await?;
        store.run("CREATE TABLE IF NOT EXISTS bench (at INTEGER NOT NULL)").await?;
        let file = OpenOptions::new().create(true).append(true).open(folder.join("bench-appends"))?;
        Ok(Self { store, file })
    }

    /// Commits of one row a second.
    async fn commits(&self, length: Duration) -> anyhow::Result<u64> {
        let began = Instant::now();
        let mut rows = 0_u64;
        while began.elapsed() < length {
            self.store.run("INSERT INTO bench (at) VALUES (1)").await?;
            rows += 1;
        }
        Ok(rows * 1_000 / u64::try_from(began.elapsed().as_millis())?.max(1))
    }

    /// What half of the appends of 256 bytes take at most, each synced.
    fn append(&self, length: Duration) -> anyhow::Result<Duration> {
        let (began, mut took) = (Instant::now(), Vec::new());
        while began.elapsed() < length {
            let at = Instant::now();
            (&self.file).write_all(&[b'x'; 256])?;
            self.file.sync_data()?;
            took.push(at.elapsed());
        }
        Ok(drive::median(&mut took))
    }
}
