//! The questions that come first on a connection, answered as they are read, until something else comes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::task::coop;
use tokio::time::{Duration, Instant, Sleep, sleep};
use trousseau_web::questions::{Next, Pending, Questions};

use crate::connections::MOST_GATHERED;

/// The longest head that is read here; the server behind reads longer ones.
const HEAD_BYTES: usize = 8 * 1024;
/// How often more is read, or more is sent than is gathered, before the others of the lane have their turn.
const MOST_ROUNDS: usize = 16;

/// What is left of a connection on which no question comes next.
#[derive(Debug)]
pub(crate) enum Left {
    /// Nothing: it is to be closed.
    Nothing,
    /// What was read of something else; nothing where the server is about to stop.
    Read(BytesMut),
}

/// Answers questions until something else comes, the other end is silent for longer than `silence`, or `stop` turns true.
///
/// # Errors
/// When the connection fails.
pub(crate) async fn answer<S>(
    stream: &mut S,
    questions: Questions,
    silence: Duration,
    stop: watch::Receiver<bool>,
) -> io::Result<Left>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut exchange = Exchange {
        stream,
        questions,
        read: ReadAhead::default(),
        written: Vec::new(),
        sent: 0,
        pending: None,
        is_over: false,
        alarms: Alarms::new(silence, stop),
    };
    poll_fn(|context| exchange.poll(context)).await
}

/// What was read and not understood yet.
struct ReadAhead {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self { bytes: vec![0; HEAD_BYTES].into(), from: 0, to: 0 }
    }
}

impl ReadAhead {
    fn unread(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    const fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// Whether one head has taken all the room there is.
    const fn is_full(&self) -> bool {
        self.to - self.from == self.bytes.len()
    }

    fn advance(&mut self, bytes: usize) {
        self.from += bytes;
        if self.is_empty() {
            (self.from, self.to) = (0, 0);
        }
    }

    /// Reads some more, if there is room; gives how many bytes came, none at the end.
    fn poll_more(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.to == self.bytes.len() {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let mut buffer = ReadBuf::new(&mut self.bytes[self.to..]);
        ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
        let more = buffer.filled().len();
        self.to += more;
        Poll::Ready(Ok(more))
    }
}

/// What ends the exchange beside what is read.
struct Alarms {
    silence: Duration,
    /// Whether anything was answered since the silence was last measured.
    has_answered: bool,
    /// From when on the next question is waited for.
    since: Instant,
    silent: Pin<Box<Sleep>>,
    stop: watch::Receiver<bool>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whether the server is about to stop, as far as was heard.
    is_stopping: bool,
    /// Who is woken by both; none where one of them may not know of it.
    waker: Option<Waker>,
}

/// Why nothing more is read.
enum Alarm {
    Silent,
    Stopped,
}

impl Alarms {
    fn new(silence: Duration, stop: watch::Receiver<bool>) -> Self {
        let (is_stopping, mut stopping) = (*stop.borrow(), stop.clone());
        Self {
            silence,
            has_answered: false,
            since: Instant::now(),
            silent: Box::pin(sleep(silence)),
            stop,
            stopped: Box::pin(async move { drop(stopping.wait_for(|stop| *stop).await) }),
            is_stopping,
            waker: None,
        }
    }

    /// Whether the server is about to stop.
    fn hears_stop(&self) -> bool {
        self.is_stopping || (self.stop.has_changed().unwrap_or(true) && *self.stop.borrow())
    }

    /// Sees to it that the task is woken by either. They are asked once and when they have come, not with every question.
    /// A head that has begun is waited for though the server is about to stop.
    fn poll(&mut self, context: &mut Context<'_>, has_begun: bool) -> Poll<Alarm> {
        if std::mem::take(&mut self.has_answered) {
            self.since = Instant::now();
        }
        let is_set = self.waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        let is_heard = !self.is_stopping && (!is_set || self.stop.has_changed().unwrap_or(true));
        if is_heard {
            self.is_stopping = self.stopped.as_mut().poll(context).is_ready();
        }
        if self.is_stopping && !has_begun {
            return Poll::Ready(Alarm::Stopped);
        }
        let is_late = !is_set || self.silent.is_elapsed();
        if is_late {
            while self.silent.as_mut().poll(context).is_ready() {
                let until = self.since + self.silence;
                if until <= Instant::now() {
                    return Poll::Ready(Alarm::Silent);
                }
                self.silent.as_mut().reset(until);
            }
        }
        if is_heard || is_late {
            // Who has used up its turn is told nothing, and woken at once.
            self.waker = coop::has_budget_remaining().then(|| context.waker().clone());
        }
        Poll::Pending
    }
}

struct Exchange<'a, S> {
    stream: &'a mut S,
    questions: Questions,
    read: ReadAhead,
    /// Answers, of which so many bytes are sent.
    written: Vec<u8>,
    sent: usize,
    /// The answer that has to come before anything more is understood.
    pending: Option<Pending>,
    /// Whether the other end was told that nothing more is answered.
    is_over: bool,
    alarms: Alarms,
}

/// How far what was read is understood.
enum Understood {
    /// All of it; more has to be read.
    All,
    /// As far as a question whose answer is still to come.
    Asked,
    /// As far as what is written has room.
    Much,
    /// As far as something else.
    Other,
    /// The last answer says that the connection closes.
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<'_, S> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Left>> {
        for _ in 0..MOST_ROUNDS {
            let understood = if self.is_over { Understood::Over } else { self.understand(context) };
            ready!(self.poll_send(context))?;
            match understood {
                Understood::Over => return Poll::Ready(Ok(Left::Nothing)),
                Understood::Other => return Poll::Ready(Ok(self.left())),
                Understood::Much => continue,
                // The end of the connection is seen only where there is room to read on.
                Understood::Asked if self.read.is_full() => return Poll::Pending,
                Understood::All | Understood::Asked => {}
            }
            match self.read.poll_more(self.stream, context)? {
                // Whoever has gone waits for no answer.
                Poll::Ready(0) => return Poll::Ready(Ok(Left::Nothing)),
                Poll::Ready(_) => {}
                Poll::Pending if self.pending.is_some() => return Poll::Pending,
                Poll::Pending => {
                    return self.alarms.poll(context, !self.read.is_empty()).map(|alarm| {
                        Ok(match alarm {
                            Alarm::Silent => Left::Nothing,
                            Alarm::Stopped => self.left(),
                        })
                    });
                }
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// What was read and is for another server.
    fn left(&self) -> Left {
        Left::Read(BytesMut::from(self.read.unread()))
    }

    /// Answers what was read, one question after the other.
    fn understand(&mut self, context: &mut Context<'_>) -> Understood {
        loop {
            if let Some(pending) = &mut self.pending {
                let Poll::Ready(answer) = pending.as_mut().poll(context) else { return Understood::Asked };
                self.pending = None;
                self.is_over = self.alarms.hears_stop();
                self.questions.write(&answer, self.is_over, &mut self.written);
                self.alarms.has_answered = true;
                if self.is_over {
                    return Understood::Over;
                }
            }
            if self.written.len() > MOST_GATHERED {
                return Understood::Much;
            }
            if self.read.is_empty() {
                return Understood::All;
            }
            let closes = self.alarms.hears_stop();
            match self.questions.next(self.read.unread(), closes, &mut self.written) {
                Next::Answered(bytes) => {
                    self.read.advance(bytes);
                    self.alarms.has_answered = true;
                    self.is_over = closes;
                    if closes {
                        return Understood::Over;
                    }
                }
                Next::Asked(bytes, pending) => {
                    self.read.advance(bytes);
                    self.pending = Some(pending);
                }
                Next::Incomplete if !self.read.is_full() => return Understood::All,
                Next::Incomplete | Next::Other => return Understood::Other,
            }
        }
    }

    /// Sends what is written.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.written.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.sent < self.written.len() {
            match ready!(Pin::new(&mut *self.stream).poll_write(context, &self.written[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        ready!(Pin::new(&mut *self.stream).poll_flush(context))?;
        self.written.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}
