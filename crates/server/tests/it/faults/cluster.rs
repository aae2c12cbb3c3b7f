//! PostgreSQL servers of a test's own, which it may stop, kill and promote.

#![expect(clippy::print_stderr, reason = "what is left out is said loudly")]

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Where a program of PostgreSQL's server is; Debian keeps them off the path.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            Some((folder.file_name()?.to_str()?.parse().ok()?, folder.join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .collect();
    found.sort();
    let on_path = || std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| folder.join("initdb").is_file());
    found.pop().map(|(_, bin)| bin).or_else(on_path)
}

/// A server in a folder of its own. Killed and removed when dropped.
pub(crate) struct Cluster {
    bin: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Cluster {
    /// A fresh one that runs; none, loudly, where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let cluster = Self::empty()?;
        cluster.must(
            "initdb",
            &["--pgdata=data", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"],
        );
        cluster.begin();
        Some(cluster)
    }

    fn empty() -> Option<Self> {
        let Some(bin) = programs() else {
            eprintln!("\nLEFT OUT: PostgreSQL's server programs (initdb, pg_ctl) are not installed\n");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("trousseau-faults").tempdir().expect("a folder");
        if is_root() {
            let given = Command::new("chown").arg("postgres").arg(folder.path()).status().expect("chown runs");
            assert!(given.success(), "PostgreSQL does not run as root, and there is no user postgres");
        }
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        Some(Self { bin, folder, port })
    }

    /// A standby that follows `primary`, by the name `standby`.
    pub(crate) fn standby_of(primary: &Self) -> Self {
        let standby = Self::empty().expect("the primary was found");
        let from = format!("host=127.0.0.1 port={} user=postgres application_name=standby", primary.port);
        standby
            .must("pg_basebackup", &["--pgdata=data", "--write-recovery-conf", "--checkpoint=fast", "--dbname", &from]);
        standby.begin();
        standby
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The address of the database that is there from the beginning.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program, arguments).output().expect("it runs")
    }

    fn must(&self, program: &str, arguments: &[&str]) {
        let ended = self.run(program, arguments);
        assert!(ended.status.success(), "{program}: {}", String::from_utf8_lossy(&ended.stderr));
    }

    /// Starts it; waits for the processes of one that was killed to be gone.
    pub(crate) fn begin(&self) {
        // What was acknowledged is in the hands of the system, which is not killed here; the disk need not be waited for.
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c synchronous_commit=on \
             -c full_page_writes=off -c max_connections=200",
            self.port
        );
        let since = Instant::now();
        loop {
            // Not piped: the server would keep the pipe open.
            let mut command = self.command(
                "pg_ctl",
                &["--pgdata=data", "--log=server.log", "--wait", "--silent", "start", "-o", &options],
            );
            let started = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs");
            if started.success() {
                return;
            }
            assert!(since.elapsed() < Duration::from_secs(30), "it does not start: {}", self.log());
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// Lets it end what is under way in the server, but no transaction: what `systemctl restart` does.
    pub(crate) fn stop_fast(&self) {
        self.must("pg_ctl", &["--pgdata=data", "--mode=fast", "--wait", "--silent", "stop"]);
    }

    /// Kills it as it stands.
    pub(crate) fn kill(&self) {
        kill(postmaster(&self.data()).expect("it runs"));
    }

    /// Kills a process that serves a client, upon which PostgreSQL ends all others and recovers.
    pub(crate) fn kill_backend(&self) {
        let asked = self.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'trousseau' LIMIT 1");
        kill(asked.trim().parse().expect("a client is there"));
    }

    /// What a statement answers.
    pub(crate) fn sql(&self, statement: &str) -> String {
        let port = self.port.to_string();
        let arguments =
            ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", "postgres", "-X", "-A", "-t", "-c", statement];
        let ended = self.run("psql", &arguments);
        assert!(ended.status.success(), "{statement}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).expect("text")
    }

    /// Acknowledges nothing from now on that the standby does not have.
    pub(crate) fn wait_for_standby(&self) {
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
        self.sql("SELECT pg_reload_conf()");
        let since = Instant::now();
        while self.sql("SELECT sync_state FROM pg_stat_replication").trim() != "sync" {
            assert!(since.elapsed() < Duration::from_secs(20), "the standby does not follow");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        self.must("pg_ctl", &["--pgdata=data", "--wait", "--silent", "promote"]);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if postmaster(&self.data()).is_some() {
            let _ = self.run("pg_ctl", &["--pgdata=data", "--mode=immediate", "--wait", "--silent", "stop"]);
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The first process of the server in this folder, if it runs.
fn postmaster(data: &Path) -> Option<i32> {
    std::fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.parse().ok()
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("not zero"), Signal::KILL).expect("it is killed");
}
