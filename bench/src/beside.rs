//! Verification while payment links are made: what it gets beside them, next to what it gets alone.

use std::sync::Arc;
use std::time::Duration;

use crate::drive::{self, Load, Target};
use crate::processes::Pinning;
use crate::{Cli, permille, seed, start, summary};

/// Clients that make payment links, each one every [`EVERY`] and the time of its answer: about a thousand a second.
const CLIENTS: usize = 60;
const EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn measure(cli: &Cli) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = cli.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let requests = seed::requests(&folder, cli.keys, !cli.unlimited).await?;
    let links = Arc::new(requests.iter().map(|request| seed::creation(request)).collect());
    let pinning = Pinning::of_this_machine();
    pinning.move_load()?;
    let address = crate::free_address()?;
    let mut command = pinning.command(&cli.program);
    command.args(["serve", "--listen", &address.to_string()]).arg("--data-dir").arg(&folder);
    let server = start(command, address)?;
    let target = Target { address, process: server.child.id() };
    let length = Duration::from_secs(cli.seconds);
    let (asked, made) =
        (Load::new(cli.connections, length), Load { status: 201, every: EVERY, ..Load::new(CLIENTS, length) });
    drive::run(&target, &asked, &requests).await?;
    let room = compare(cli, &target, (&asked, &requests), (&made, &links)).await?;
    println!("verifications a second, beside the creations / alone: {room}");
    // Callers that leave room lose nothing but by waiting for others.
    let calm = Load { every: Duration::from_millis(10), ..asked };
    let room = compare(cli, &target, (&calm, &requests), (&made, &links)).await?;
    println!("the same of callers that leave room: {room}");
    Ok(())
}

type Requests = Arc<Vec<Vec<u8>>>;

async fn compare(
    cli: &Cli,
    target: &Target,
    (asked, requests): (&Load, &Requests),
    (made, links): (&Load, &Requests),
) -> anyhow::Result<String> {
    let mut share = Vec::new();
    for _ in 0..cli.pairs {
        let alone = drive::run(target, asked, requests).await?;
        let (beside, made) = tokio::join!(drive::run(target, asked, requests), drive::run(target, made, links));
        let (beside, made) = (beside?, made?);
        share.push(permille(beside.per_second(), alone.per_second()));
        println!(
            "{}/s alone, half within {} us; {}/s, half within {} us, beside {} payment links/s",
            alone.per_second(),
            alone.median.as_micros(),
            beside.per_second(),
            beside.median.as_micros(),
            made.per_second()
        );
    }
    Ok(summary(&mut share))
}
