//! `trousseau serve`: wires everything, waits for a signal, ends in order.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use trousseau_domain::ids::RequestId;
use trousseau_envoy::ExtAuthz;
use trousseau_service::entropy::{EntropyExt as _, NameEntropy};
use trousseau_service::jobs::Jobs;
use trousseau_web::connection::ProxyTrust;
use trousseau_web::dashboard::platform::{Configuration, Origin, Setting};
use trousseau_web::edge::Edge;

use crate::app::Opened;
use crate::connections::{self, Listening, Served};
use crate::exit::Failure;
use crate::lanes::Lanes;
use crate::settings::{Explained, Layers, Settings, Source, local_url};
use crate::traces;

/// Few scrapers are ever there, and they must not take the API's place.
const METRICS_CONNECTIONS: usize = 16;
/// A gateway keeps one connection for each of its threads, and asks on it many times at once.
const EXT_AUTHZ_CONNECTIONS: usize = 1_024;
/// What is said of an endpoint of a network that does not answer at the start.
const UNCHECKED: &str = "an endpoint does not answer: it is not used before it was checked";
/// How long the jobs may take to end, and then to write some more of what was counted.
const JOBS_WITHIN: Duration = Duration::from_secs(4);
/// How long all of it may take where much was counted: as long as connections may drain and the jobs may take anyway,
/// and a second less than what is in `deploy/` gives.
const ENDED_WITHIN: Duration = Duration::from_secs(29);
/// Connections that wait to be accepted, at most.
const BACKLOG: u32 = 1024;
/// How long a server that could not start may take to say that it is gone.
const GONE_WITHIN: Duration = Duration::from_secs(1);

pub(crate) async fn serve(
    settings: &Settings,
    layers: &Layers,
    opened: Opened,
    welcome: Option<&str>,
) -> Result<(), Failure> {
    let app = opened.app.clone();
    let served = until_stopped(settings, layers, opened, welcome).await;
    if served.is_err() {
        // Others would wait for it. Should it not be heard, it is forgotten after a while.
        let _ = timeout(GONE_WITHIN, app.leave()).await;
        // Closed, it is found as it was: by what the server before kept, for one.
        let _ = timeout(GONE_WITHIN, app.close()).await;
    }
    served
}

async fn until_stopped(
    settings: &Settings,
    layers: &Layers,
    opened: Opened,
    welcome: Option<&str>,
) -> Result<(), Failure> {
    // Before anything is bound, so that a signal during the start is not lost.
    let mut signals = Signals::new()?;
    let tls_of = |protocol| settings.tls.as_ref().map(|files| connections::tls(files, protocol)).transpose();
    let (tls, grpc_tls) = (tls_of(connections::HTTP1)?, tls_of(connections::HTTP2)?);
    for unanswered in opened.app.networks().check().await.map_err(|wrong| Failure::Usage(wrong.into()))? {
        tracing::warn!(endpoint = unanswered.setting, error = %unanswered.error, "{UNCHECKED}");
    }
    // Before anything is read: a start that would fail for this has touched nothing.
    let place = Bound::to(settings.listen)?;
    let metrics_place = settings.metrics_listen.map(Bound::to).transpose()?;
    let ext_authz_place = settings.ext_authz_listen.map(Bound::to).transpose()?;
    trousseau_web::telemetry::record();
    // Before anything is answered: what is not complete must not tell that a key is unknown, and the other servers know
    // of this one before it answers from memory.
    let filled = async {
        opened.app.enter().await?;
        opened.app.fill_index().await
    };
    if let Err(error) = filled.await {
        tracing::error!(error = &error as &dyn std::error::Error, "the keys could not be read: each is asked for");
    }
    let (listener, address) = place.listen()?;
    if settings.public_url.is_none()
        && let Ok(reached_at) = local_url(tls.is_some(), address).parse()
    {
        // The port that was given out, where any was asked for.
        opened.app.set_address(reached_at);
    }
    opened.app.set_mail_transport(settings.mail.clone());
    let (stop, stopped) = watch::channel(false);
    let (stop_jobs, jobs_stopped) = watch::channel(false);
    let traces = settings.traces.as_ref().map(|wanted| traces::start(wanted, jobs_stopped.clone()));
    let (traces, exported) = traces.unzip();
    let sender = exported.map(tokio::spawn);
    let jobs = opened.app.jobs().clone();
    let mailer = opened.app.mailer().clone();
    let jobs = tokio::spawn(async move {
        let mails = jobs.while_clock_is_sure(&jobs_stopped, || mailer.run(jobs_stopped.clone()));
        tokio::join!(jobs.run(jobs_stopped.clone()), mails)
    });
    let upkeep = tokio::spawn(trousseau_web::telemetry::upkeep());
    let mut servers = JoinSet::new();
    let edge = edge(settings).with_traces(traces);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let application = trousseau_web::router::application(edge, opened.app.clone(), shown(settings, layers))
        .beside(tokio::runtime::Handle::current());
    let (lanes, running) = Lanes::for_each_processor().context("no threads for connections")?;
    let main = Listening {
        listener,
        application: application.clone().into(),
        tls,
        connections: settings.connections,
        lanes: Some(lanes.clone()),
    };
    servers.spawn(main.serve(stopped.clone()));
    if let Some(place) = metrics_place {
        let (listener, address) = place.listen()?;
        tracing::info!(server.address = %address, "serving metrics");
        let application = Served::Metrics(trousseau_web::system::metrics_router());
        servers.spawn(
            Listening { listener, application, tls: None, connections: METRICS_CONNECTIONS, lanes: None }
                .serve(stopped.clone()),
        );
    }
    if let Some(place) = ext_authz_place {
        let (listener, address) = place.listen()?;
        tracing::info!(server.address = %address, server.scheme = scheme, "serving ext_authz");
        let application = Served::ExtAuthz(ExtAuthz::new(application));
        let lanes = Some(lanes.clone());
        let door = Listening { listener, application, tls: grpc_tls, connections: EXT_AUTHZ_CONNECTIONS, lanes };
        servers.spawn(door.serve(stopped));
    }
    tracing::info!(server.address = %address, server.scheme = scheme, "listening");
    if let Some(folder) = opened.app.mailer().folder() {
        tracing::warn!(folder = %folder.display(), "no mail server is set (smtp.url): mails are written to files");
    }
    if let Some(url) = settings.public_url.as_ref().filter(|url| !url.is_private()) {
        tracing::warn!(url = url.as_str(), "the public URL is not HTTPS: keys would be sent in the clear");
    }
    until_asked_to_end(&mut signals, &opened, welcome).await?;
    tracing::info!("stopping: running requests may end, new ones are not accepted");
    let _ = stop.send(true);
    let latest = drain(&mut servers, &mut signals).await;
    // The jobs come last: the answers above have left them something to write.
    let _ = stop_jobs.send(true);
    // Those that wait for a collector have a bound of their own.
    let traces_ended = async {
        if let Some(sender) = sender {
            let _ = sender.await;
        }
    };
    if !tokio::join!(end_jobs(opened.app.jobs(), jobs, latest, &mut signals), traces_ended).0 {
        tracing::warn!("the jobs did not end in time");
    }
    upkeep.abort();
    opened.close().await;
    running.end();
    tracing::info!("stopped");
    Ok(())
}

/// Waits until what was accepted has ended, or for a second signal. Gives until when the jobs may go on.
async fn drain<T: 'static>(servers: &mut JoinSet<T>, signals: &mut Signals) -> Instant {
    let latest = Instant::now() + ENDED_WITHIN;
    let drained = async { while servers.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => latest,
        () = signals.wait() => {
            tracing::warn!("asked twice: not waiting any longer");
            Instant::now()
        }
    }
}

/// Waits for the jobs: a while, and as long as they write down what was counted, or try to, until `latest` or another
/// signal. Tells whether they have ended.
async fn end_jobs<T>(jobs: &Jobs, mut running: JoinHandle<T>, latest: Instant, signals: &mut Signals) -> bool {
    let mut left = jobs.unwritten();
    let mut ended = timeout(JOBS_WITHIN, &mut running).await.is_ok();
    while !ended && Instant::now() < latest {
        let before = std::mem::replace(&mut left, jobs.unwritten());
        if left >= before && !jobs.is_writing_last() {
            break;
        }
        ended = tokio::select! {
            ended = timeout_at(latest.min(Instant::now() + JOBS_WITHIN), &mut running) => ended.is_ok(),
            () = signals.wait() => break,
        };
    }
    ended
}

/// Waits for a signal; meanwhile, welcomes.
async fn until_asked_to_end(signals: &mut Signals, opened: &Opened, welcome: Option<&str>) -> Result<(), Failure> {
    tokio::select! {
        welcomed = crate::welcome::welcome(opened, welcome) => welcomed?,
        () = signals.wait() => return Ok(()),
    }
    signals.wait().await;
    Ok(())
}

/// What stands around all that is served.
fn edge(settings: &Settings) -> Edge {
    let https = settings.public_url.as_ref().is_some_and(crate::settings::PublicUrl::is_https);
    Edge::new(ProxyTrust::new(settings.trusted_proxies.clone()), settings.rules.brand().clone(), https, || {
        RequestId::from_random(NameEntropy.bytes())
    })
}

/// The configuration as the page about it shows it: of a secret only that it is set.
fn shown(settings: &Settings, layers: &Layers) -> Configuration {
    let rows = settings.explain(layers).into_iter();
    rows.map(|Explained { name, value, secret, source }| Setting {
        name,
        value: (!secret).then_some(value),
        origin: match source {
            Source::Default => Origin::Default,
            Source::File(path) => Origin::File(path.display().to_string()),
            Source::Variable(name) => Origin::Variable(name),
            Source::Flag(name) => Origin::Flag(name.to_owned()),
        },
    })
    .collect()
}

/// An address that is taken, on which connections are refused until [`Bound::listen`].
struct Bound {
    socket: TcpSocket,
    wanted: SocketAddr,
}

impl Bound {
    fn to(wanted: SocketAddr) -> Result<Self, Failure> {
        let bound = || {
            let socket = if wanted.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // What is left of the connections of a server before does not keep the next one waiting.
            socket.set_reuseaddr(true)?;
            socket.bind(wanted)?;
            Ok::<_, std::io::Error>(socket)
        };
        let socket = bound().with_context(|| format!("cannot listen on {wanted}"))?;
        Ok(Self { socket, wanted })
    }

    fn listen(self) -> Result<(TcpListener, SocketAddr), Failure> {
        let listener = self.socket.listen(BACKLOG).with_context(|| format!("cannot listen on {}", self.wanted))?;
        let address = listener.local_addr().context("the listener has no address")?;
        Ok((listener, address))
    }
}

/// The two ways in which a process is asked to end.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
