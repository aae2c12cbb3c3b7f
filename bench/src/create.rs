//! Durable creation over HTTP, next to commits of one row on the same disk.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trousseau_store::{Store, StoreOptions};

use crate::drive::{self, Load, Target};
use crate::{Cli, permille, seed, start, summary};

pub(crate) async fn measure(cli: &Cli) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = cli.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let requests = seed::requests(&folder, cli.keys, !cli.unlimited).await?;
    let creations = Arc::new(requests.iter().map(|request| seed::creation(request)).collect::<Vec<_>>());
    let bare = Store::open_sqlite(&folder.join("bench-bare.db"), &StoreOptions::default()).await?;
    bare.run("CREATE TABLE IF NOT EXISTS bench (at INTEGER NOT NULL)").await?;
    let address = crate::free_address()?;
    let mut command = Command::new(&cli.program);
    command.args(["serve", "--listen", &address.to_string()]).arg("--data-dir").arg(&folder);
    let server = start(command, address)?;
    let target = Target { address, process: server.child.id() };
    let length = Duration::from_secs(cli.seconds);
    for clients in [1, 16, 256] {
        let mut ratios = Vec::new();
        for _ in 0..cli.pairs {
            let load = Load { status: 201, ..Load::new(clients, length) };
            let made = drive::run(&target, &load, &creations).await?;
            let began = Instant::now();
            let mut rows = 0_u64;
            while began.elapsed() < length {
                bare.run("INSERT INTO bench (at) VALUES (1)").await?;
                rows += 1;
            }
            let commits = rows * 1_000 / u64::try_from(began.elapsed().as_millis())?.max(1);
            ratios.push(permille(made.per_second(), commits));
            println!("{clients} clients: {}/s, commits of one row {commits}/s", made.per_second());
        }
        println!("{clients} clients, payment links a second / commits of one row a second: {}", summary(&mut ratios));
    }
    Ok(())
}
