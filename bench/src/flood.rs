//! Bad keys: what one costs next to a good one, and what good callers get while another address sends nothing else.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::drive::{self, Load, Target};
use crate::{Cli, permille, seed, start, summary};

/// Where bad keys come from.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Requests of one address: fewer bad ones than it is slowed for.
const FEW: usize = 49;
/// Addresses that send so many each.
const ADDRESSES: usize = 400;
/// After so long what was noted of requests is written.
const WRITTEN: Duration = Duration::from_secs(6);
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

    // Both come in the same way, and what is written of them counts too.
    let mut cost = Vec::new();
    let mut addresses = (1..=u16::MAX).cycle();
    for _ in 0..cli.pairs {
        let good = cost_of(&target, &good, 200, &mut addresses).await?;
        let bad = cost_of(&target, &bad, 401, &mut addresses).await?;
        println!("a good key {good} ns, a bad one {bad} ns");
        cost.push(permille(bad, good));
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

/// The processor time of the server for a request, in nanoseconds, from its arrival until all is written of it.
async fn cost_of(
    target: &Target,
    requests: &[Vec<u8>],
    status: u16,
    addresses: &mut impl Iterator<Item = u16>,
) -> anyhow::Result<u64> {
    tokio::time::sleep(WRITTEN).await;
    let before = drive::cpu_of(target.process)?;
    let mut requests = requests.iter().cycle();
    for address in addresses.take(ADDRESSES) {
        let [high, low] = address.to_be_bytes();
        let from = IpAddr::V4(Ipv4Addr::new(127, 1, high, low));
        drive::some(target, from, requests.by_ref().take(FEW), status).await?;
    }
    tokio::time::sleep(WRITTEN).await;
    let cpu = drive::cpu_of(target.process)?.saturating_sub(before);
    Ok(u64::try_from(cpu.as_nanos())? / u64::try_from(FEW * ADDRESSES)?)
}
