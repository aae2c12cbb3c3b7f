//! A stretch of network between a node and its database, which a test can break.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It carries everything.
    Pass,
    /// Connections are reset, new ones too.
    Cut,
    /// Bytes vanish and nobody is told: towards the database, from it, or both. A connection that lost bytes carries
    /// none ever again, as when a router has forgotten it.
    Hold { there: bool, back: bool },
    /// The same for connections that listen for notifications, and no others.
    HoldListeners,
    /// Each chunk towards the database takes so much longer: once for a round trip.
    Delay(Duration),
}

#[derive(Clone)]
struct State {
    mode: Mode,
    target: SocketAddr,
}

/// A port of this machine that leads to another one. Gone when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: watch::Sender<State>,
    ended: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Opens a port that leads to `target`.
    pub(crate) fn to(target: SocketAddr) -> Self {
        let (state, changes) = watch::channel(State { mode: Mode::Pass, target });
        let (ended, until) = watch::channel(false);
        let (bound, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                bound.send(listener.local_addr().expect("an address")).expect("waited for");
                serve(&listener, &changes, until).await;
            });
        });
        Self { address: address.recv().expect("it listens"), state, ended, thread: Some(thread) }
    }

    /// From now on the network does this.
    pub(crate) fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// From now on new connections lead there.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.state.send_modify(|state| state.target = target);
    }

    /// The address of a database, by way of this port.
    pub(crate) fn way(&self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").expect("an address has a scheme");
        let (authority, path) = rest.split_once('/').expect("an address names a database");
        let user = authority.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
        format!("{scheme}://{user}{}/{path}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where the server of a database listens.
pub(crate) fn server_of(url: &str) -> SocketAddr {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split('/').next()).expect("an address");
    let server = authority.rsplit('@').next().expect("a part");
    server.parse().unwrap_or_else(|_| panic!("{server} is no numeric address"))
}

async fn serve(listener: &TcpListener, changes: &watch::Receiver<State>, mut until: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = until.wait_for(|ended| *ended) => return,
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                tokio::spawn(carry(client, changes.clone()));
            }
        }
    }
}

async fn carry(client: TcpStream, changes: watch::Receiver<State>) {
    let State { mode, target } = changes.borrow().clone();
    let _ = client.set_nodelay(true);
    let _ = client.set_zero_linger();
    if mode == Mode::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    let _ = server.set_nodelay(true);
    let _ = server.set_zero_linger();
    let (listens, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new((false, false))));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let there =
        Direction { there: true, changes: changes.clone(), listens: Arc::clone(&listens), lost: Arc::clone(&lost) };
    let back = Direction { there: false, changes: changes.clone(), listens, lost };
    let mut cut = changes;
    // Whichever ends first ends the other one, and both ends are reset.
    tokio::select! {
        () = pump(from_client, to_server, there) => {}
        () = pump(from_server, to_client, back) => {}
        _ = cut.wait_for(|state| state.mode == Mode::Cut) => {}
    }
}

struct Direction {
    there: bool,
    changes: watch::Receiver<State>,
    listens: Arc<AtomicBool>,
    /// Whether bytes were lost on the way there, and back.
    lost: Arc<Mutex<(bool, bool)>>,
}

impl Direction {
    fn holds(&self) -> bool {
        let mut lost = self.lost.lock().expect("not poisoned");
        let (there, back) = match self.changes.borrow().mode {
            Mode::Hold { there, back } => (there, back),
            Mode::HoldListeners => (self.listens.load(Ordering::Relaxed), self.listens.load(Ordering::Relaxed)),
            Mode::Pass | Mode::Cut | Mode::Delay(_) => (false, false),
        };
        let lost = if self.there { &mut lost.0 } else { &mut lost.1 };
        *lost |= if self.there { there } else { back };
        *lost
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: Direction) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer).await {
            // Who cannot be heard cannot be heard going either.
            Ok(0) | Err(_) if direction.holds() => std::future::pending().await,
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if direction.there && buffer[..read].windows(7).any(|bytes| bytes == b"LISTEN ") {
            direction.listens.store(true, Ordering::Relaxed);
        }
        let mode = direction.changes.borrow().mode;
        if direction.there
            && let Mode::Delay(pause) = mode
        {
            tokio::time::sleep(pause).await;
        }
        if !direction.holds() && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
