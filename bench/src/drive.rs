//! The load: keep-alive connections, each with one request in flight, each request with a key picked at random.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Whom to load.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) process: u32,
}

/// How to load.
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) length: Duration,
}

/// What a run gave.
pub(crate) struct Measured {
    requests: u64,
    wall: Duration,
    cpu: Duration,
}

impl Measured {
    pub(crate) fn per_second(&self) -> u64 {
        let micros = u64::try_from(self.wall.as_micros()).unwrap_or(u64::MAX).max(1);
        self.requests * 1_000_000 / micros
    }

    pub(crate) fn cpu_nanos_a_request(&self) -> u64 {
        u64::try_from(self.cpu.as_nanos()).unwrap_or(u64::MAX) / self.requests.max(1)
    }
}

/// One answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: usize,
}

/// One request on a connection of its own.
pub(crate) async fn once(address: SocketAddr, request: &[u8]) -> anyhow::Result<Answer> {
    let mut connection = TcpStream::connect(address).await?;
    let mut buffer = Vec::new();
    exchange(&mut connection, request, &mut buffer).await
}

/// Loads a server for a while.
pub(crate) async fn run(target: &Target, load: &Load, requests: &Arc<Vec<Vec<u8>>>) -> anyhow::Result<Measured> {
    let done = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let before = cpu_of(target.process)?;
    let mut workers = Vec::new();
    for worker in 0..load.connections {
        let (done, requests) = (Arc::clone(&done), Arc::clone(requests));
        let (address, end) = (target.address, began + load.length);
        workers.push(tokio::spawn(async move {
            let mut connection = TcpStream::connect(address).await?;
            connection.set_nodelay(true)?;
            let mut buffer = Vec::with_capacity(4096);
            let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(worker as u64 + 1);
            while Instant::now() < end {
                // Xorshift: cheap, and good enough to defeat a cache of the last key.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let index = usize::try_from(state % requests.len() as u64).context("below a usize")?;
                let answer = exchange(&mut connection, &requests[index], &mut buffer).await?;
                anyhow::ensure!(answer.status == 200, "an answer with status {}", answer.status);
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        }));
    }
    for worker in workers {
        worker.await??;
    }
    let wall = began.elapsed();
    let cpu = cpu_of(target.process)?.saturating_sub(before);
    Ok(Measured { requests: done.load(Ordering::Relaxed), wall, cpu })
}

async fn exchange(connection: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> anyhow::Result<Answer> {
    connection.write_all(request).await?;
    buffer.clear();
    let head = loop {
        anyhow::ensure!(connection.read_buf(buffer).await? > 0, "the connection was closed");
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head])?;
    let status = text.get(9..12).context("a status line")?.parse()?;
    let body: usize = text
        .lines()
        .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
        .context("a content length")?
        .1
        .trim()
        .parse()?;
    while buffer.len() < head + body {
        anyhow::ensure!(connection.read_buf(buffer).await? > 0, "the connection was closed");
    }
    Ok(Answer { status, body })
}

/// Time on a processor of all threads of a process: from the scheduler, in nanoseconds.
fn cpu_of(process: u32) -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let path = thread?.path().join("schedstat");
        // A thread may end while we look.
        if let Ok(text) = std::fs::read_to_string(path)
            && let Some(first) = text.split_whitespace().next()
        {
            total += Duration::from_nanos(first.parse()?);
        }
    }
    Ok(total)
}
