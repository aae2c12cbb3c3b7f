//! Spans on their way out: OTLP over HTTP (`http/protobuf`), to a collector of the operator's choice.
//!
//! Requests hand their spans to a bounded queue and never wait. One task takes them out and sends them in batches; a
//! collector that is away costs its spans and nothing else.

mod collector;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use trousseau_domain::ids::RequestId;
use trousseau_service::clock::SystemClock;
use trousseau_service::entropy::{EntropyExt as _, NameEntropy};
use trousseau_web::traces::{Fate, Span, Traces, count};

use self::collector::{Connection, ExportError};
use self::wire::{Export, Sender};
use crate::settings::TraceSettings;

pub(crate) use self::collector::Collector;

/// Spans in a batch at most.
const MOST_IN_BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHERED_WITHIN: Duration = Duration::from_secs(1);
/// How often a batch is sent at most, with pauses that double between.
const MOST_ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// What a collector may ask for, by `Retry-After`.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the end of the process waits for what was not sent yet.
const FLUSHED_WITHIN: Duration = Duration::from_secs(3);

/// What records requests, and the task that sends what was recorded. It ends soon after `stop` turns true.
pub(crate) fn start(
    settings: &TraceSettings,
    stop: watch::Receiver<bool>,
) -> (Traces, impl Future<Output = ()> + Send + use<>) {
    let (traces, spans) = Traces::new(settings.ratio, Arc::new(SystemClock));
    let instance = RequestId::from_random(NameEntropy.bytes()).to_string();
    let sender = Sender { service: settings.service.clone(), instance };
    let connection = Connection::to(settings.collector.clone());
    let exporter = Exporter { connection, sender, failing: false };
    (traces, exporter.run(spans, stop))
}

struct Exporter {
    connection: Connection,
    sender: Sender,
    /// Whether the latest batch was lost, so that the log says it once.
    failing: bool,
}

impl Exporter {
    async fn run(mut self, mut spans: mpsc::Receiver<Span>, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.send_all(&mut spans, &mut batch) => {}
        }
        spans.close();
        if timeout(FLUSHED_WITHIN, self.flush(&mut spans, &mut batch)).await.is_err() {
            let lost = batch.len() + spans.len();
            count(Fate::Dropped, u64::try_from(lost).unwrap_or(u64::MAX));
            tracing::warn!(lost, "the collector did not take the last spans in time");
        }
    }

    /// Sends what comes, until nothing more can come. What it was about to send when it is cut off is in `batch`.
    async fn send_all(&mut self, spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
        while spans.recv_many(batch, MOST_IN_BATCH).await > 0 {
            let gathered = async {
                while let room @ 1.. = MOST_IN_BATCH.saturating_sub(batch.len()) {
                    if spans.recv_many(batch, room).await == 0 {
                        break;
                    }
                }
            };
            // What has come so far is in the batch in any case.
            let _ = timeout(GATHERED_WITHIN, gathered).await;
            let sent = self.send(batch, MOST_ATTEMPTS).await;
            self.note(batch, sent);
        }
    }

    /// Sends what is left, each batch once.
    async fn flush(&mut self, spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
        while !batch.is_empty() || spans.recv_many(batch, MOST_IN_BATCH).await > 0 {
            let sent = self.send(batch, 1).await;
            self.note(batch, sent);
        }
    }

    /// Sends a batch, as often as it takes and may take. Gives the number of spans that the collector refused.
    async fn send(&mut self, batch: &[Span], attempts: u32) -> Result<u64, ExportError> {
        let body = Bytes::from(Export::of(&self.sender, batch).encode_to_vec());
        let mut pause = FIRST_PAUSE;
        for _ in 1..attempts {
            match self.connection.post(body.clone()).await {
                Err(error) if error.may_pass() => {
                    sleep(error.retry_after().unwrap_or(pause).min(LONGEST_PAUSE)).await;
                    pause *= 2;
                }
                ended => return ended,
            }
        }
        self.connection.post(body).await
    }

    /// Counts what became of a batch, and forgets it.
    fn note(&mut self, batch: &mut Vec<Span>, sent: Result<u64, ExportError>) {
        let all = u64::try_from(batch.len()).expect("a batch is small");
        let failed = match sent {
            Ok(rejected) => {
                if self.failing {
                    tracing::info!("traces reach the collector again");
                }
                rejected.min(all)
            }
            Err(error) => {
                if !self.failing {
                    tracing::warn!(error = %error, "traces do not reach the collector: its spans are dropped");
                }
                all
            }
        };
        self.failing = sent.is_err();
        count(Fate::Sent, all - failed);
        count(Fate::Failed, failed);
        batch.clear();
    }
}
