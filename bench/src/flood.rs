//! Bad keys: what one costs next to a good one, and what good callers get while another address sends nothing else.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::drive::{self, Load, Target};
use crate::{Cli, permille, seed, start, summary};

/// Where bad keys come from.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// How long a good caller rests between its requests: its connections then ask for a part of what the server could.
const REST: Duration = Duration::from_millis(10);

pub(crate) async fn measure(cli: &Cli) -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let folder = cli.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let good = seed::requests(&folder, cli.keys, !cli.unlimited).await?;
    let bad = Arc::new((0..10_000).map(|_| seed::made_up()).collect::<Vec<_>>());
    let address = crate::free_address()?;
    let mut command = Command::new(&cli.program);
    command.args(["serve", "--listen", &address.to_string()]).arg("--data-dir").arg(&folder);
    let server = start(command, address)?;
    let target = Target { address, process: server.child.id() };
    let usual = Load::new(cli.connections, Duration::from_secs(cli.seconds));
    let calm = Load { rest: REST, ..usual };
    drive::run(&target, &usual, &good).await?;

    // Each address sends too few bad ones to be slowed: what is measured is what one costs.
    let mut cost = Vec::new();
    let mut next = 3_u8;
    for _ in 0..cli.pairs {
        let good = drive::run(&target, &Load { connections: 1, ..usual }, &good).await?;
        let mut few = Vec::new();
        for _ in 0..20 {
            next = next.checked_add(1).unwrap_or(3);
            let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, next));
            few.push(drive::some(&target, from, &bad, 49).await?);
        }
        let (requests, cpu) = few.into_iter().fold((0, Duration::ZERO), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let bad = u64::try_from(cpu.as_nanos())? / requests.max(1);
        cost.push(permille(bad, good.cpu_nanos_a_request()));
    }
    println!("server CPU a request, bad key / good key: {}", summary(&mut cost));

    let before = drive::memory_of(target.process)?;
    let mut share = Vec::new();
    let mut late = 0;
    for _ in 0..cli.pairs {
        let alone = drive::run(&target, &calm, &good).await?;
        let flood = Load { connections: cli.connections * 8, status: 401, from: ELSEWHERE, ..usual };
        let (beside, flooded) = tokio::join!(drive::run(&target, &calm, &good), drive::run(&target, &flood, &bad));
        let (beside, flooded) = (beside?, flooded?);
        late += beside.late;
        share.push(permille(beside.per_second(), alone.per_second()));
        println!(
            "good {}/s alone, {}/s beside {} bad/s",
            alone.per_second(),
            beside.per_second(),
            flooded.per_second()
        );
    }
    println!("good requests a second, beside the flood / alone: {}", summary(&mut share));
    println!("good answers beside it that took longer than a second: {late}");
    println!("memory before and after: {before} and {} KiB", drive::memory_of(target.process)?);
    Ok(())
}
