//! One question in flight for everybody who asks the same.
//!
//! Who comes while a question is in flight may not have its answer: it may have been given before they came, and what
//! was true then may have been taken back since. They wait for the next one, which all of them share. So there are two
//! round trips at the most, and an answer is never older than the request that it decides about.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::Digest;

struct Flight<V> {
    /// Who is here, counted under the lock of the map.
    seats: AtomicU64,
    /// How many questions have been sent.
    begun: Arc<AtomicU64>,
    /// The number of the last question that was answered, with its answer if that may be shared. Who holds the lock asks.
    turn: tokio::sync::Mutex<Option<(u64, Option<V>)>>,
}

impl<V> Flight<V> {
    fn new() -> Self {
        Self { seats: AtomicU64::new(0), begun: Arc::default(), turn: tokio::sync::Mutex::new(None) }
    }

    /// What says that a question is sent, and the number that this gives it.
    fn begin(&self) -> (Begin, Arc<AtomicU64>) {
        let number = Arc::default();
        (Begin { begun: Arc::clone(&self.begun), number: Arc::clone(&number) }, number)
    }
}

pub(crate) struct Flights<V>(Mutex<HashMap<Digest, Arc<Flight<V>>>>);

impl<V> Default for Flights<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A place among those who ask the same.
struct Seat<'a, V> {
    flights: &'a Flights<V>,
    question: Digest,
    flight: Arc<Flight<V>>,
    /// The first question that is sent after this one came.
    first: u64,
}

impl<V> Drop for Seat<'_, V> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can come while the map is locked.
        if self.flight.seats.fetch_sub(1, Ordering::SeqCst) == 1 {
            flights.remove(&self.question);
        }
    }
}

/// What is to be done next.
pub(crate) enum Step<V> {
    /// This is the answer already.
    Answered(V),
    /// Ask, after `begin` was called.
    Ask,
}

impl<V: Clone> Flights<V> {
    /// The answer to a question: an own one, or one that was asked for after this call. `look` is asked, once nobody
    /// else is asking, whether there is one that was kept. Beside its answer, `ask` says whether that may be shared: one
    /// that counted against a limit is for one request.
    pub(crate) async fn ask<L, A, F>(&self, question: Digest, look: L, ask: A) -> V
    where
        L: FnOnce() -> Step<V>,
        A: FnOnce(Begin) -> F,
        F: Future<Output = (V, bool)>,
    {
        let seat = self.enter(question);
        let mut turn = seat.flight.turn.lock().await;
        if let Some((number, shared)) = &*turn
            && *number >= seat.first
        {
            if let Some(answer) = shared {
                return answer.clone();
            }
            // Each is a question of its own then, side by side.
            drop(turn);
            return ask(seat.flight.begin().0).await.0;
        }
        if let Step::Answered(answer) = look() {
            return answer;
        }
        let (begin, number) = seat.flight.begin();
        let (answer, may_be_shared) = ask(begin).await;
        // Its own number: others may have asked side by side meanwhile, and who came after it may not have its answer.
        *turn = Some((number.load(Ordering::SeqCst), may_be_shared.then(|| answer.clone())));
        answer
    }

    fn enter(&self, question: Digest) -> Seat<'_, V> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = Arc::clone(flights.entry(question).or_insert_with(|| Arc::new(Flight::new())));
        flight.seats.fetch_add(1, Ordering::SeqCst);
        drop(flights);
        let first = flight.begun.load(Ordering::SeqCst) + 1;
        Seat { flights: self, question, flight, first }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.lock().expect("not poisoned").len()
    }
}

/// Says that a question is about to be sent: whoever comes from now on needs a later one.
pub(crate) struct Begin {
    begun: Arc<AtomicU64>,
    number: Arc<AtomicU64>,
}

impl Begin {
    pub(crate) fn now(self) {
        self.number.store(self.begun.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::cache::Digester;

    /// A server that counts, and answers when it is let.
    #[derive(Default)]
    struct Slow {
        flights: Flights<u64>,
        asked: AtomicU64,
        at_once: AtomicU64,
        several: AtomicBool,
        /// Whether answers count against a limit.
        counted: AtomicBool,
    }

    impl Slow {
        async fn ask(&self, gate: &Semaphore) -> u64 {
            let asking = |begin: Begin| {
                begin.now();
                let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
                if self.at_once.fetch_add(1, Ordering::SeqCst) > 0 {
                    self.several.store(true, Ordering::SeqCst);
                }
                async move {
                    gate.acquire().await.expect("open").forget();
                    self.at_once.fetch_sub(1, Ordering::SeqCst);
                    (number, !self.counted.load(Ordering::SeqCst))
                }
            };
            self.flights.ask(Digester::new(b"q").finish(), || Step::Ask, asking).await
        }
    }

    async fn settle() {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }

    #[tokio::test]
    async fn who_comes_later_shares_the_next_answer() {
        let (slow, gate) = (Arc::new(Slow::default()), Arc::new(Semaphore::new(0)));
        let spawn = || {
            let (slow, gate) = (Arc::clone(&slow), Arc::clone(&gate));
            tokio::spawn(async move { slow.ask(&gate).await })
        };
        let first = spawn();
        settle().await;
        let later: Vec<_> = (0..20).map(|_| spawn()).collect();
        settle().await;
        gate.add_permits(1);
        assert_eq!(first.await.expect("done"), 1);
        settle().await;
        let latest = spawn();
        settle().await;
        gate.add_permits(2);
        for one in later {
            assert_eq!(one.await.expect("done"), 2, "neither the answer that was on its way, nor one for each");
        }
        assert_eq!(latest.await.expect("done"), 3);
        assert!(!slow.several.load(Ordering::SeqCst));
        assert_eq!(slow.flights.len(), 0, "nothing stays");
    }

    #[tokio::test]
    async fn what_counts_against_a_limit_is_asked_for_each() {
        let (slow, gate) = (Arc::new(Slow::default()), Arc::new(Semaphore::new(0)));
        slow.counted.store(true, Ordering::SeqCst);
        let all: Vec<_> = (0..20)
            .map(|_| {
                let (slow, gate) = (Arc::clone(&slow), Arc::clone(&gate));
                tokio::spawn(async move { slow.ask(&gate).await })
            })
            .collect();
        // All of them have come before the first is answered.
        settle().await;
        gate.add_permits(20);
        let mut answers = Vec::new();
        for one in all {
            answers.push(one.await.expect("done"));
        }
        answers.sort_unstable();
        assert_eq!(answers, (1..=20).collect::<Vec<u64>>());
        assert_eq!(slow.flights.len(), 0, "nothing stays");
    }

    #[tokio::test]
    async fn who_asks_side_by_side_makes_no_other_answer_later() {
        let flights = Arc::new(Flights::<&str>::default());
        let name = || Digester::new(b"q").finish();
        let asked = Arc::new(AtomicU64::new(0));
        let spawn = |answer: &'static str, may_be_shared: bool| {
            let (sends, answers) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
            let (flights, asked) = (Arc::clone(&flights), Arc::clone(&asked));
            let gates = (Arc::clone(&sends), Arc::clone(&answers));
            let task = tokio::spawn(async move {
                let asking = |begin: Begin| async move {
                    sends.acquire().await.expect("open").forget();
                    begin.now();
                    asked.fetch_add(1, Ordering::SeqCst);
                    answers.acquire().await.expect("open").forget();
                    (answer, may_be_shared)
                };
                flights.ask(name(), || Step::Ask, asking).await
            });
            (gates, task)
        };
        let are_here = async |count| {
            let here =
                || flights.0.lock().expect("sound").get(&name()).map_or(0, |one| one.seats.load(Ordering::SeqCst));
            while here() < count {
                tokio::task::yield_now().await;
            }
        };
        let are_sent = async |count| {
            while asked.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        };
        let ((sends, answers), first) = spawn("first", false);
        sends.add_permits(1);
        are_sent(1).await;
        let ((second_sends, second_answers), second) = spawn("second", false);
        are_here(2).await;
        let ((beside_sends, beside_answers), beside) = spawn("beside", false);
        are_here(3).await;
        answers.add_permits(1);
        assert_eq!(first.await.expect("done"), "first");
        second_sends.add_permits(1);
        are_sent(2).await;
        let ((shared_sends, shared_answers), shared) = spawn("shared", true);
        are_here(3).await;
        // It counts against a limit: `beside` asks by itself, and is not sent yet; `shared` asks for those who come.
        second_answers.add_permits(1);
        assert_eq!(second.await.expect("done"), "second");
        shared_sends.add_permits(1);
        are_sent(3).await;
        let ((late_sends, late_answers), late) = spawn("late", true);
        are_here(3).await;
        beside_sends.add_permits(1);
        are_sent(4).await;
        shared_answers.add_permits(1);
        assert_eq!(shared.await.expect("done"), "shared");
        late_sends.add_permits(1);
        late_answers.add_permits(1);
        assert_eq!(late.await.expect("done"), "late", "it came after `shared` was sent");
        beside_answers.add_permits(1);
        assert_eq!(beside.await.expect("done"), "beside");
        assert_eq!(flights.len(), 0, "nothing stays");
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_turn_to_the_next() {
        let (slow, gate) = (Arc::new(Slow::default()), Arc::new(Semaphore::new(0)));
        let first = tokio::time::timeout(Duration::from_millis(20), slow.ask(&gate)).await;
        first.expect_err("nobody answered");
        assert_eq!(slow.flights.len(), 0);
        let waiting = {
            let (slow, gate) = (Arc::clone(&slow), Arc::clone(&gate));
            tokio::spawn(async move { slow.ask(&gate).await })
        };
        settle().await;
        let second = { tokio::time::timeout(Duration::from_millis(20), slow.ask(&gate)) }.await;
        second.expect_err("still nobody");
        gate.add_permits(1);
        assert_eq!(waiting.await.expect("done"), 2);
        assert_eq!(slow.flights.len(), 0);
    }
}
