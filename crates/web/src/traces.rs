//! Which requests are recorded in a trace, and what is told of one that is.
//!
//! A span is handed on once its request is answered. Nothing waits for whoever takes it: what finds no room is dropped
//! and counted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::mpsc;
use trousseau_domain::ids::RequestId;
use trousseau_domain::time::Timestamp;
use trousseau_domain::trace::{SamplingRatio, SpanId, TraceFlags, TraceId, TraceParent};
use trousseau_service::clock::Clock;

/// Spans that may wait to be taken, about a megabyte.
const MOST_WAITING: usize = 4_096;

/// What became of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The collector took it.
    Sent,
    /// The collector did not take it.
    Failed,
    /// It found no room.
    Dropped,
}

/// Counts what became of spans.
pub fn count(fate: Fate, spans: u64) {
    let outcome = match fate {
        Fate::Sent => "sent",
        Fate::Failed => "failed",
        Fate::Dropped => "dropped",
    };
    metrics::counter!("trousseau_trace_spans_total", "outcome" => outcome).increment(spans);
}

/// Decides what is recorded, and hands it on. A clone shares the way out.
#[derive(Clone)]
pub struct Traces(Arc<Inner>);

struct Inner {
    ratio: SamplingRatio,
    clock: Arc<dyn Clock>,
    spans: mpsc::Sender<Span>,
}

impl fmt::Debug for Traces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Traces").field("ratio", &self.0.ratio).finish_non_exhaustive()
    }
}

/// What one request was. It holds nothing that its caller wrote, but for the ids of the trace: no path, query, header
/// or body.
#[derive(Debug)]
pub struct Span {
    /// The trace that it is part of.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// The caller's span; none where the trace begins here.
    pub parent: Option<SpanId>,
    /// What goes along with the trace.
    pub flags: TraceFlags,
    /// Where it came in.
    pub door: Door,
    /// When it came in.
    pub begun: Timestamp,
    /// How long its answer took.
    pub took: Duration,
    /// Its method, `other` for one that nobody knows.
    pub method: &'static str,
    /// Its route as declared; none where no route has its path.
    pub route: Option<String>,
    /// The status of its answer.
    pub status: u16,
    /// The code of the problem that its answer is.
    pub problem: Option<&'static str>,
    /// Its id in answers, the log and the request log.
    pub request: RequestId,
}

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// By HTTP.
    Http {
        /// Whether it was HTTPS that its caller spoke, as far as that can be believed.
        https: bool,
    },
    /// As a question of Envoy, by gRPC.
    ExtAuthz,
}

/// A recorded request on its way to its answer.
#[derive(Debug)]
pub(crate) struct Traced {
    trace: TraceId,
    id: SpanId,
    parent: Option<SpanId>,
    flags: TraceFlags,
    door: Door,
    request: RequestId,
}

impl Traced {
    /// The trace that the request is part of.
    pub(crate) const fn trace(&self) -> TraceId {
        self.trace
    }
}

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) took: Duration,
    pub(crate) method: &'static str,
    pub(crate) route: Option<String>,
    pub(crate) status: u16,
    pub(crate) problem: Option<&'static str>,
}

impl Traces {
    /// Of the traces that begin here `ratio` are recorded; of others those whose caller records them. The spans come
    /// out at the second value.
    pub fn new(ratio: SamplingRatio, clock: Arc<dyn Clock>) -> (Self, mpsc::Receiver<Span>) {
        let (spans, taken) = mpsc::channel(MOST_WAITING);
        (Self(Arc::new(Inner { ratio, clock, spans })), taken)
    }

    /// Whether a request is recorded, and if so, what is known of it. `another` draws random bits, as those of the
    /// request's id are: a trace that begins here has the id of its request.
    pub(crate) fn begin(
        &self,
        request: RequestId,
        parent: Option<TraceParent>,
        door: impl FnOnce() -> Door,
        another: impl FnOnce() -> RequestId,
    ) -> Option<Box<Traced>> {
        let (trace, parent, flags) = match parent {
            Some(parent) if parent.flags.is_sampled() => (parent.trace, Some(parent.span), parent.flags),
            Some(_) => return None,
            None => {
                let trace = TraceId::from_bits(request.bits()).filter(|trace| self.0.ratio.takes(*trace))?;
                (trace, None, TraceFlags::BEGUN)
            }
        };
        let half = another().bits() & u128::from(u64::MAX);
        let id = u64::try_from(half).ok().and_then(SpanId::from_bits)?;
        Some(Box::new(Traced { trace, id, parent, flags, door: door(), request }))
    }

    /// Hands on what became of a request that was recorded.
    pub(crate) fn end(&self, traced: &Traced, outcome: Outcome) {
        let Traced { trace, id, parent, flags, door, request } = *traced;
        let Outcome { took, method, route, status, problem } = outcome;
        let begun = self.0.clock.now().saturating_sub(took);
        let span = Span { trace, id, parent, flags, door, begun, took, method, route, status, problem, request };
        if self.0.spans.try_send(span).is_err() {
            count(Fate::Dropped, 1);
        }
    }
}

/// What the caller says of the trace, if it says it once and well.
pub(crate) fn parent_of(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all("traceparent").iter();
    match (values.next(), values.next()) {
        (Some(only), None) => only.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use trousseau_service::clock::ManualClock;

    use super::*;

    const REQUEST: RequestId = RequestId::from_random([0xab; 16]);
    const ANOTHER: RequestId = RequestId::from_random([0xcd; 16]);

    fn traces(ratio: &str) -> (Traces, mpsc::Receiver<Span>) {
        let clock = ManualClock::new("2026-01-31T12:00:00Z".parse().expect("an instant"));
        Traces::new(ratio.parse().expect("a ratio"), Arc::new(clock))
    }

    fn begin(traces: &Traces, parent: &[&'static str]) -> Option<Box<Traced>> {
        let mut headers = HeaderMap::new();
        for value in parent {
            headers.append("traceparent", http::HeaderValue::from_static(value));
        }
        traces.begin(REQUEST, parent_of(&headers), || Door::ExtAuthz, || ANOTHER)
    }

    const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const PASSED_OVER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    #[test]
    fn the_caller_decides_and_the_ratio_where_it_does_not() {
        for (ratio, parent, recorded) in [
            ("0", &[SAMPLED][..], true),
            ("1", &[PASSED_OVER], false),
            ("0", &[], false),
            ("1", &[], true),
            ("0", &["nonsense"], false),
            ("1", &["nonsense"], true),
            ("0", &[SAMPLED, SAMPLED], false),
        ] {
            assert_eq!(begin(&traces(ratio).0, parent).is_some(), recorded, "{ratio} {parent:?}");
        }
    }

    #[test]
    fn a_trace_that_begins_here_has_the_id_of_its_request() {
        let traced = begin(&traces("1").0, &[]).expect("recorded");
        assert_eq!(traced.trace().to_string(), REQUEST.to_string());
        assert_eq!((traced.parent, traced.id.to_bytes()), (None, [0xcd; 8]));
        let traced = begin(&traces("0").0, &[SAMPLED]).expect("recorded");
        assert_eq!(traced.trace().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(traced.parent.map(|parent| parent.to_string()).as_deref(), Some("b7ad6b7169203331"));
    }

    #[test]
    fn what_finds_no_room_is_dropped() {
        let (traces, mut taken) = traces("1");
        let outcome =
            || Outcome { took: Duration::from_millis(5), method: "GET", route: None, status: 200, problem: None };
        for _ in 0..MOST_WAITING + 10 {
            traces.end(&begin(&traces, &[]).expect("recorded"), outcome());
        }
        let first = taken.try_recv().expect("a span");
        assert_eq!(first.begun, "2026-01-31T11:59:59.995Z".parse().expect("an instant"));
        assert_eq!(taken.len(), MOST_WAITING - 1);
        drop(taken);
        traces.end(&begin(&traces, &[]).expect("recorded"), outcome());
    }
}
