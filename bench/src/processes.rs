//! Servers with all their processes, on a processor of their own, and what they and all others use of the machine.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::drive;

/// Whether servers and load each have a processor of their own: servers the first, the load the second.
#[derive(Clone, Copy)]
pub(crate) struct Pinning(bool);

impl Pinning {
    pub(crate) fn of_this_machine() -> Self {
        Self(std::thread::available_parallelism().is_ok_and(|count| count.get() >= 2))
    }

    pub(crate) const fn is_on(self) -> bool {
        self.0
    }

    /// A command that runs where servers do.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        if !self.0 {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program);
        command
    }

    /// Moves this process to where the load runs.
    pub(crate) fn move_load(self) -> anyhow::Result<()> {
        self.shift("1", std::process::id())
    }

    /// Moves a process that others started, and what it started, to where servers run.
    pub(crate) fn move_server(self, process: u32) -> anyhow::Result<()> {
        for member in tree(process)? {
            // One may end while we move it.
            if let (Err(error), true) = (self.shift("0", member.id), Member::find(member.id).is_some()) {
                return Err(error);
            }
        }
        Ok(())
    }

    fn shift(self, processor: &str, process: u32) -> anyhow::Result<()> {
        if !self.0 {
            return Ok(());
        }
        let id = process.to_string();
        let done = Command::new("taskset").args(["-acp", processor, &id]).stdout(Stdio::null()).status()?;
        anyhow::ensure!(done.success(), "process {id} cannot be moved to processor {processor}");
        Ok(())
    }
}

/// A server that ends with the bench, and a database beside it that does not.
pub(crate) struct Running {
    child: Child,
    beside: Option<u32>,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Starts a server and waits until it listens, for a minute at most. What it says goes to a file.
    pub(crate) fn start(
        mut command: Command,
        address: SocketAddr,
        beside: Option<u32>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let said = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .with_context(|| format!("{} does not start", command.get_program().display()))?;
        let mut running = Self { child, beside, address };
        for _ in 0..6_000 {
            if TcpStream::connect(address).is_ok() {
                return Ok(running);
            }
            if let Some(status) = running.child.try_wait()? {
                anyhow::bail!("the server ends with {status}: {}", fs::read_to_string(log)?.trim());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("the server does not listen at {address}: {}", fs::read_to_string(log)?.trim())
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Time on a processor of all its processes so far, and of the database beside it.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut total = Duration::ZERO;
        for root in std::iter::once(self.child.id()).chain(self.beside) {
            for member in tree(root)? {
                // One may end while we look.
                total += drive::cpu_of(member.id).unwrap_or_default();
            }
        }
        Ok(total)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let members = tree(self.child.id()).unwrap_or_default();
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        for _ in 0..500 {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for member in members {
            let id = i32::try_from(member.id).ok().and_then(Pid::from_raw);
            // The number may be another's by now.
            if let (Some(id), true) = (id, Member::find(member.id).is_some_and(|now| now.born == member.born)) {
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }
}

/// A process, as it was found.
struct Member {
    id: u32,
    parent: u32,
    /// When it was started, in ticks since the machine was.
    born: u64,
}

impl Member {
    fn find(id: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name before may hold anything, blanks and parentheses too.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self { id, parent: fields.get(1)?.parse().ok()?, born: fields.get(19)?.parse().ok()? })
    }
}

/// The process that started another.
pub(crate) fn parent_of(process: u32) -> Option<u32> {
    Member::find(process).map(|found| found.parent)
}

/// A process and all that come from it.
fn tree(root: u32) -> anyhow::Result<Vec<Member>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            all.extend(Member::find(id));
        }
    }
    let (mut found, mut others): (Vec<_>, Vec<_>) = all.into_iter().partition(|member| member.id == root);
    loop {
        let (children, rest): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|member| found.iter().any(|known| known.id == member.parent));
        if children.is_empty() {
            return Ok(found);
        }
        found.extend(children);
        others = rest;
    }
}

/// How busy the machine has been since it was started.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    /// Ticks in which a processor worked.
    busy: u64,
    /// All ticks of all processors.
    all: u64,
    processors: u64,
}

impl Machine {
    pub(crate) fn now() -> anyhow::Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let mut lines = text.lines().filter(|line| line.starts_with("cpu"));
        let total = lines.next().context("a line for all processors")?;
        let ticks = total.split_whitespace().skip(1).map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        // User, nice, system, idle, waiting, two kinds of interrupts, and what the host took; guests are in user's.
        let all: u64 = ticks.iter().take(8).sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self { busy: all - idle, all, processors: u64::try_from(lines.count())? })
    }

    /// Processors that worked since an earlier look, in thousandths.
    pub(crate) fn busy_since(self, earlier: Self) -> u64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.busy.saturating_sub(earlier.busy) * self.processors * 1_000 / all
    }
}
