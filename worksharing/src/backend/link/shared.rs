use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use super::reply::{Reply, quietly};
use super::thread::Thread;
use super::{Protocol, Watchdog, watch};
use crate::Error;

pub(super) struct Shared<W: Protocol> {
    pub(super) protocol: Arc<W>,
    pub(super) state: Mutex<State<W>>,
    pub(super) queued: Condvar,
    pub(super) watchdog: Watchdog,
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
    /// The replies of the batch being served. They are here so that the watch can answer for a stuck thread.
    pub(super) in_flight: Vec<Reply<W::Answer>>,
    /// How often the watch has answered for the thread. A step that began before comes too late.
    pub(super) given_up: u64,
    /// The connection has served something.
    pub(super) served: bool,
    pub(super) wanted: bool,
    pub(super) running: bool,
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
            served: false,
            wanted: false,
            running: false,
            closed: false,
            down: None,
        };
        let shared = Arc::new(Self {
            protocol: Arc::clone(protocol),
            state: Mutex::new(state),
            queued: Condvar::new(),
            watchdog: Watchdog::default(),
        });
        watch::look_after(Arc::downgrade(&shared) as _);
        shared
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
            self.queued.notify_one();
        }
        let running = state.running;
        drop(state);
        if !running {
            self.start();
        }
    }

    /// Starts the thread, unless it runs. If that fails the watch tries again, and nobody waits for it.
    pub(super) fn start(self: &Arc<Self>) {
        let mut state = self.state();
        state.wanted = true;
        if state.running || state.closed {
            return;
        }
        let spawned = Builder::new()
            .name(format!("worksharing {}", self.protocol.name()))
            .spawn({
                let shared = Arc::clone(self);
                move || Thread::new(shared).run()
            });
        state.running = spawned.is_ok();
        if let Err(error) = spawned {
            let error =
                Error::unavailable("no thread for a connection can be started").caused_by(error);
            self.refuse_all(state, &error);
        }
        watch::ensure();
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
