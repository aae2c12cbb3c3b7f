//! Lanes: threads that each serve connections of their own.
//!
//! A question that is answered from memory is read, answered and written on the one thread of its connection, and wakes
//! no other. Whatever else is asked is worked on by the main runtime ([`trousseau_web::fast::Application::beside`]), so
//! that no page and no export stands in the way of a question.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// The lanes of a server. A clone shares them; they end with [`Running::end`].
#[derive(Debug, Clone)]
pub(crate) struct Lanes {
    lanes: Arc<[Lane]>,
}

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    /// Connections that it serves.
    load: Arc<AtomicUsize>,
}

/// Threads that have to be ended.
#[derive(Debug)]
pub(crate) struct Running {
    end: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

/// Counts a connection for as long as it is there, however it ends.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// Starts as many lanes as there are processors.
    ///
    /// # Errors
    /// As [`Lanes::start`].
    pub(crate) fn for_each_processor() -> io::Result<(Self, Running)> {
        Self::start(std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
    }

    /// Starts so many lanes, at least one.
    ///
    /// # Errors
    /// Where the system gives no more threads or handles.
    pub(crate) fn start(count: usize) -> io::Result<(Self, Running)> {
        let (end, ended) = watch::channel(false);
        let (mut lanes, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            lanes.push(Lane { runtime: runtime.handle().clone(), load: Arc::default() });
            let mut ended = ended.clone();
            let lane = move || {
                let _ = runtime.block_on(ended.wait_for(|ended| *ended));
            };
            threads.push(std::thread::Builder::new().name(format!("lane-{number}")).spawn(lane)?);
        }
        Ok((Self { lanes: lanes.into() }, Running { end, threads }))
    }

    /// Serves a connection on the lane that has the fewest.
    pub(crate) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let fewest = self.lanes.iter().min_by_key(|lane| lane.load.load(Ordering::Relaxed));
        let lane = fewest.expect("there is one at least");
        lane.load.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&lane.load));
        lane.runtime.spawn(async move {
            let _place = place;
            connection.await;
        });
    }
}

impl Running {
    /// Ends the lanes. What they still serve is cut off; what was opened on them, such as a connection of the database,
    /// is of no use afterwards.
    pub(crate) fn end(self) {
        let _ = self.end.send(true);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn connections_are_spread_and_those_that_end_make_room() {
        let (lanes, running) = Lanes::start(2).expect("two threads");
        let (told, tells) = mpsc::channel();
        let serve = |until: oneshot::Receiver<()>| {
            let told = told.clone();
            lanes.spawn(async move {
                told.send(std::thread::current().name().map(ToOwned::to_owned)).expect("somebody listens");
                let _ = until.await;
            });
            tells.recv().expect("it is served").expect("lanes have names")
        };
        let ends: Vec<_> = (0..3).map(|_| oneshot::channel()).collect();
        let (mut senders, mut served) = (Vec::new(), Vec::new());
        for (sender, until) in ends {
            senders.push(sender);
            served.push(serve(until));
        }
        assert_eq!(served, ["lane-0", "lane-1", "lane-0"]);
        drop(senders.drain(..));
        while lanes.lanes.iter().any(|lane| lane.load.load(Ordering::Relaxed) > 0) {
            std::thread::yield_now();
        }
        let (_kept, until) = oneshot::channel();
        assert_eq!(serve(until), "lane-0");
        // One that never ends by itself is cut off.
        running.end();
        assert_eq!(lanes.lanes[0].load.load(Ordering::Relaxed), 0);
    }
}
