//! The load: keep-alive connections, each with one request in flight, each request with a key picked at random.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

/// Whom to load.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) process: u32,
}

/// How to load.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) length: Duration,
    /// The status of every answer.
    pub(crate) status: u16,
    /// The address of the machine to call from.
    pub(crate) from: IpAddr,
    /// How long a connection rests after an answer.
    pub(crate) rest: Duration,
    /// How far apart requests of a connection are at least.
    pub(crate) every: Duration,
    /// Requests that are sent before their answers are read.
    pub(crate) depth: usize,
}

impl Load {
    /// As many good requests as there can be, from the usual address.
    pub(crate) const fn new(connections: usize, length: Duration) -> Self {
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self { connections, length, status: 200, from, rest: Duration::ZERO, every: Duration::ZERO, depth: 1 }
    }
}

/// What a run gave.
pub(crate) struct Measured {
    pub(crate) requests: u64,
    /// Answers that took longer than a second.
    pub(crate) late: u64,
    /// What half of the answers took at most.
    pub(crate) median: Duration,
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
    let (done, late) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let load = *load;
    let began = Instant::now();
    let before = cpu_of(target.process)?;
    let mut workers = Vec::new();
    for worker in 0..load.connections {
        let (done, late, requests) = (Arc::clone(&done), Arc::clone(&late), Arc::clone(requests));
        let (address, end) = (target.address, began + load.length);
        workers.push(tokio::spawn(async move {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(load.from, 0))?;
            let mut connection = socket.connect(address).await?;
            connection.set_nodelay(true)?;
            let (mut sent_together, mut buffer) = (Vec::new(), Vec::with_capacity(16 * 1024));
            let mut took = Vec::new();
            let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(worker as u64 + 1);
            while Instant::now() < end {
                sent_together.clear();
                for _ in 0..load.depth {
                    // Xorshift: cheap, and good enough to defeat a cache of the last key.
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    let index = usize::try_from(state % requests.len() as u64).context("below a usize")?;
                    sent_together.extend_from_slice(&requests[index]);
                }
                let sent = Instant::now();
                connection.write_all(&sent_together).await?;
                buffer.clear();
                let mut read = 0;
                for _ in 0..load.depth {
                    let answer = next(&mut connection, &mut buffer, &mut read).await?;
                    anyhow::ensure!(answer.status == load.status, "an answer with status {}", answer.status);
                }
                let answers = load.depth as u64;
                done.fetch_add(answers, Ordering::Relaxed);
                took.push(sent.elapsed());
                late.fetch_add(if sent.elapsed() > Duration::from_secs(1) { answers } else { 0 }, Ordering::Relaxed);
                let rest = load.rest.max(load.every.saturating_sub(sent.elapsed()));
                if !rest.is_zero() {
                    tokio::time::sleep(rest).await;
                }
            }
            anyhow::Ok(took)
        }));
    }
    let mut took = Vec::new();
    for worker in workers {
        took.extend(worker.await??);
    }
    let median = median(&mut took);
    let wall = began.elapsed();
    let cpu = cpu_of(target.process)?.saturating_sub(before);
    Ok(Measured { requests: done.load(Ordering::Relaxed), late: late.load(Ordering::Relaxed), median, wall, cpu })
}

/// What half of these took at most.
pub(crate) fn median(took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}

/// These requests, one after the other, on one connection from an address.
pub(crate) async fn some<'a>(
    target: &Target,
    from: IpAddr,
    requests: impl Iterator<Item = &'a Vec<u8>>,
    status: u16,
) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    let mut connection = socket.connect(target.address).await?;
    let mut buffer = Vec::new();
    for request in requests {
        let answer = exchange(&mut connection, request, &mut buffer).await?;
        anyhow::ensure!(answer.status == status, "{} where {status} was expected", answer.status);
    }
    Ok(())
}

async fn exchange(connection: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> anyhow::Result<Answer> {
    connection.write_all(request).await?;
    buffer.clear();
    next(connection, buffer, &mut 0).await
}

/// The answer that begins at `read` in what was received, and after it where the next one does.
async fn next(connection: &mut TcpStream, buffer: &mut Vec<u8>, read: &mut usize) -> anyhow::Result<Answer> {
    let head = loop {
        if let Some(end) = memchr::memmem::find(&buffer[*read..], b"\r\n\r\n") {
            break end + 4;
        }
        anyhow::ensure!(connection.read_buf(buffer).await? > 0, "the connection was closed");
    };
    let text = std::str::from_utf8(&buffer[*read..*read + head])?;
    let status = text.get(9..12).context("a status line")?.parse()?;
    let body: usize = text
        .lines()
        .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
        .context("a content length")?
        .1
        .trim()
        .parse()?;
    *read += head + body;
    while buffer.len() < *read {
        anyhow::ensure!(connection.read_buf(buffer).await? > 0, "the connection was closed");
    }
    Ok(Answer { status, body })
}

/// Time on a processor of all threads of a process: from the scheduler, in nanoseconds.
pub(crate) fn cpu_of(process: u32) -> anyhow::Result<Duration> {
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

/// The memory that a process has, in KiB.
pub(crate) fn memory_of(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a line with the memory")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
