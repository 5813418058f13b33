use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::Builder;
use std::time::Instant;

use super::backoff::Backoff;
use super::reply::{Reply, quietly};
use super::thread::Thread;
use super::watchdog::Watched;
use super::{Protocol, Watchdog};
use crate::Error;
use crate::background::{self, Timer};
use crate::together::once_polled;

pub(super) struct Shared<W: Protocol> {
    pub(super) protocol: Arc<W>,
    pub(super) state: Mutex<State<W>>,
    pub(super) queued: Condvar,
    pub(super) watchdog: Watchdog,
    /// How many threads cannot be started.
    #[cfg(test)]
    pub(super) lacks_threads: std::sync::atomic::AtomicU32,
}

pub(super) struct State<W: Protocol> {
    /// The connection, while the thread waits with nothing to do.
    pub(super) idle: Option<W::Connection>,
    /// Several asked at the same time of late: the thread, which batches, serves them better.
    pub(super) crowded: bool,
    /// Why the connection was lost while it was borrowed.
    pub(super) lost: Option<Error>,
    /// What is queued, and the reply to each.
    pub(super) asks: Vec<W::Ask>,
    pub(super) replies: Vec<Reply<W::Answer>>,
    /// The replies of the batch being served. They are here so that somebody else can answer for a stuck thread.
    pub(super) in_flight: Vec<Reply<W::Answer>>,
    /// How often somebody else has answered for the thread. A step that began before comes too late.
    pub(super) given_up: u64,
    /// When the connection last served a caller that had borrowed it, if it has since the thread looked.
    pub(super) served: Option<Instant>,
    /// There is to be a connection, although nothing is asked.
    pub(super) wanted: bool,
    pub(super) running: bool,
    /// A thread that could not be started is tried again.
    retry: Option<Timer>,
    backoff: Backoff,
    pub(super) closed: bool,
    /// Why asks are refused, while there is no connection.
    pub(super) down: Option<Error>,
}

impl<W: Protocol> Shared<W> {
    pub(super) fn new(protocol: &Arc<W>) -> Arc<Self> {
        let state = State {
            idle: None,
            crowded: false,
            lost: None,
            asks: Vec::new(),
            replies: Vec::new(),
            in_flight: Vec::new(),
            given_up: 0,
            served: None,
            wanted: false,
            running: false,
            retry: None,
            backoff: Backoff::default(),
            closed: false,
            down: None,
        };
        Arc::new_cyclic(|shared: &Weak<Self>| Self {
            protocol: Arc::clone(protocol),
            state: Mutex::new(state),
            queued: Condvar::new(),
            watchdog: Watchdog::of(Weak::clone(shared) as _),
            #[cfg(test)]
            lacks_threads: 0.into(),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queue(self: &Arc<Self>, ask: W::Ask, reply: Reply<W::Answer>, patiently: bool) {
        let mut state = self.state();
        if let Some(error) = state.down.clone().filter(|_| !patiently) {
            drop(state);
            return reply.give(Err(error));
        }
        state.asks.push(ask);
        state.replies.push(reply);
        // The thread is waiting only if it has seen an empty queue; and while a caller has the connection, that
        // caller will wake it.
        if state.asks.len() == 1 && (state.idle.is_some() || state.down.is_some()) {
            let shared = Arc::clone(self);
            once_polled(move || shared.queued.notify_one());
        }
        let running = state.running;
        drop(state);
        if !running {
            self.run();
        }
    }

    /// Whether nothing is queued or being served.
    ///
    /// # Errors
    /// The server is down.
    pub(super) fn is_at_rest(&self) -> Result<bool, Error> {
        let state = self.state();
        match &state.down {
            Some(error) => Err(error.clone()),
            // While the thread has the connection it may be about to reply.
            None => Ok(state.asks.is_empty() && (state.idle.is_some() || !state.running)),
        }
    }

    /// Has the thread connect although nothing is asked.
    #[cfg(any(feature = "postgres", test))]
    pub(super) fn start(self: &Arc<Self>) {
        self.state().wanted = true;
        self.run();
    }

    /// Starts the thread, unless it runs. If that fails it is tried again, and nobody waits for it.
    fn run(self: &Arc<Self>) {
        let mut state = self.state();
        if state.running || state.closed {
            return;
        }
        match self.spawn() {
            Ok(()) => {
                state.running = true;
                state.retry = None;
                state.backoff = Backoff::default();
            }
            Err(error) => self.start_later(state, error),
        }
    }

    fn spawn(self: &Arc<Self>) -> io::Result<()> {
        #[cfg(test)]
        self.lack_a_thread()?;
        let thread = Builder::new().name(format!("worksharing {}", self.protocol.name()));
        let shared = Arc::clone(self);
        thread.spawn(move || Thread::new(shared).run()).map(drop)
    }

    /// By a timer, even if nobody asks. Where there is no thread for timers either, the next one of anybody's starts it.
    fn start_later(self: &Arc<Self>, mut state: MutexGuard<'_, State<W>>, error: io::Error) {
        let pause = state.backoff.next();
        let error =
            Error::unavailable("no thread for a connection can be started").caused_by(error);
        self.refuse_all(state, &error);
        let shared = Arc::downgrade(self);
        let retry = background::timer(pause, move || {
            shared.upgrade().into_iter().for_each(|shared| shared.run());
        });
        self.state().retry = Some(retry);
    }

    /// The server is down: refuses all that waits for an answer, and all that is asked from now on.
    pub(super) fn refuse_all(&self, mut state: MutexGuard<'_, State<W>>, error: &Error) {
        state.down = Some(error.clone());
        // What is asked may hold a lock, whose release is an ask.
        let asks = mem::take(&mut state.asks);
        let in_flight = mem::take(&mut state.in_flight);
        let queued = mem::take(&mut state.replies);
        drop(state);
        drop(asks);
        let replies = in_flight.into_iter().chain(queued);
        replies.for_each(|reply| reply.give(Err(error.clone())));
        quietly(|| self.protocol.down(error));
    }
}

impl<W: Protocol> Watched for Shared<W> {
    /// Answers for a thread that is stuck, and interrupts it.
    fn look_after(&self, due: Instant) {
        let mut state = self.state();
        let stuck = self.watchdog.take_overdue(due);
        let Some(stuck) = stuck.filter(|_| state.running) else {
            return;
        };
        state.given_up += 1;
        let error = Error::unavailable(format!("{} does not answer", self.protocol.name()));
        self.refuse_all(state, &error);
        let stuck = stuck.iter().filter_map(Weak::upgrade);
        stuck.for_each(|connection| connection.interrupt());
    }
}
