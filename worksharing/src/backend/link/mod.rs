//! Links: every server connection is owned by one plain thread with a blocking client.
//!
//! The thread takes whatever is queued, sends it as one batch, and answers each request. It reconnects by
//! itself, and refuses at once what is asked of it while the server is down. A server that accepts
//! everything and answers nothing would hold a blocking client for ever; so one watching thread lets go of
//! a link's thread that has made no progress until its deadline, and starts another.

mod borrowed;
#[cfg(test)]
mod tests;
mod thread;
mod watchdog;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use self::thread::Thread;
pub(crate) use self::watchdog::Watchdog;
use crate::Error;

/// What a link speaks: how to connect, and how to serve a batch.
pub(crate) trait Protocol: Send + Sync + 'static {
    type Connection: Send;
    type Ask: Send + 'static;
    type Answer: Send + 'static;

    /// Whether [`serve`](Self::serve) itself sees to it that it ends soon, whatever the server does: then a thread
    /// that waits for an answer anyway may serve its own ask. Not for a protocol that has something to do between
    /// batches.
    const CALLER_MAY_SERVE: bool = false;

    /// For the thread's name and for errors: what is connected to, without secrets.
    fn name(&self) -> &str;

    /// Opens a connection, ready for use.
    fn connect(&self, watchdog: &Watchdog) -> Result<Self::Connection, Error>;

    /// Sends a batch and returns the answers in the same order: one for each ask.
    ///
    /// # Errors
    /// The connection is lost, and with it all that it held. The batch is sent once more over the next one: so
    /// it must not matter whether it took effect before.
    fn serve(
        &self,
        connection: &mut Self::Connection,
        asks: &[Self::Ask],
        watchdog: &Watchdog,
    ) -> Result<Vec<Result<Self::Answer, Error>>, Error>;

    /// When [`tick`](Self::tick) is to be called next.
    fn due(&self, connection: &Self::Connection) -> Instant;

    /// Does what is due between batches.
    ///
    /// # Errors
    /// As of [`serve`](Self::serve).
    fn tick(&self, connection: &mut Self::Connection, watchdog: &Watchdog) -> Result<(), Error>;

    /// The connection was lost. A new one is tried for next.
    fn lost(&self, _error: &Error) {}

    /// Connecting failed. It is tried again later; until then asks are refused.
    fn down(&self, _error: &Error) {}

    /// How long a server that was lost may take to come back, as in a restart, before asks are refused.
    fn grace(&self) -> Duration;
}

/// What becomes of an answer. Runs on the link's thread, so it only passes it on.
type Reply<A> = Box<dyn FnOnce(Result<A, Error>) + Send>;

/// A handle on a link. Dropping it ends the thread, once what is queued has been served.
pub(crate) struct Link<W: Protocol>(Arc<Shared<W>>);

struct Shared<W: Protocol> {
    protocol: W,
    state: Mutex<State<W>>,
    queued: Condvar,
    watchdog: Watchdog,
}

struct State<W: Protocol> {
    /// The connection, while the thread waits with nothing to do.
    idle: Option<W::Connection>,
    /// Several asked at the same time of late: the thread, which batches, serves them better.
    crowded: bool,
    /// Why the connection was lost while it was borrowed.
    lost: Option<Error>,
    queue: Vec<(W::Ask, Reply<W::Answer>)>,
    /// The replies of the batch being served. They are here so that the watch can answer for a stuck thread.
    in_flight: Vec<Reply<W::Answer>>,
    /// The thread of another generation has been let go of.
    generation: u64,
    running: bool,
    closed: bool,
    /// Why asks are refused, while connecting fails.
    down: Option<Error>,
}

impl<W: Protocol> Link<W> {
    /// A link that connects when it is first asked something.
    pub(crate) fn new(protocol: W) -> Self {
        let state = State {
            idle: None,
            crowded: false,
            lost: None,
            queue: Vec::new(),
            in_flight: Vec::new(),
            generation: 0,
            running: false,
            closed: false,
            down: None,
        };
        let shared = Arc::new(Shared {
            protocol,
            state: Mutex::new(state),
            queued: Condvar::new(),
            watchdog: Watchdog::default(),
        });
        watchdog::look_after(Arc::downgrade(&shared) as _);
        Self(shared)
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn protocol(&self) -> &W {
        &self.0.protocol
    }

    /// Queues an ask. `reply` is called exactly once, soon: on this thread if the server is known to be
    /// down, else on the link's.
    #[cfg(feature = "postgres")]
    pub(crate) fn ask(
        &self,
        ask: W::Ask,
        reply: impl FnOnce(Result<W::Answer, Error>) + Send + 'static,
    ) {
        self.queue(ask, Box::new(reply), false);
    }

    /// [`ask`](Self::ask), as a future. Dropping it forgets the answer, not the ask.
    pub(crate) async fn answer(&self, ask: W::Ask, patiently: bool) -> Result<W::Answer, Error> {
        let ask = match self.0.serve_here(ask) {
            Ok(answer) => return answer,
            Err(ask) => ask,
        };
        let (sender, receiver) = oneshot::channel();
        // Nobody may want the answer any more.
        self.queue(
            ask,
            Box::new(move |answer| drop(sender.send(answer))),
            patiently,
        );
        receiver
            .await
            .unwrap_or_else(|_| Err(Error::unavailable("the connection's thread is gone")))
    }

    /// Queues an ask; if the server is known to be down, refuses it at once or, `patiently`, waits for the
    /// next attempt to connect.
    fn queue(&self, ask: W::Ask, reply: Reply<W::Answer>, patiently: bool) {
        let mut state = self.0.state();
        if let Some(error) = state.down.clone().filter(|_| !patiently) {
            drop(state);
            return reply(Err(error));
        }
        state.queue.push((ask, reply));
        // The thread is waiting only if it has seen an empty queue; and while a caller has the connection, that
        // caller will wake it.
        if state.queue.len() == 1 && (state.idle.is_some() || state.down.is_some()) {
            self.0.queued.notify_one();
        }
        if !state.running {
            self.0.start(&mut state);
        }
    }

    /// Connects although nothing is asked.
    #[cfg(feature = "postgres")]
    pub(crate) fn start(&self) {
        let mut state = self.0.state();
        if !state.running {
            self.0.start(&mut state);
        }
    }
}

impl<W: Protocol> Drop for Link<W> {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.queued.notify_all();
    }
}

impl<W: Protocol> fmt::Debug for Link<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link")
            .field(&self.0.protocol.name())
            .finish()
    }
}

impl<W: Protocol> Shared<W> {
    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, state: &mut State<W>) {
        state.running = true;
        let (shared, generation) = (Arc::clone(self), state.generation);
        let spawned = std::thread::Builder::new()
            .name(format!("worksharing {}", self.protocol.name()))
            .spawn(move || Thread { shared, generation }.run());
        if let Err(error) = spawned {
            state.running = false;
            let error =
                Error::unavailable("no thread for a connection can be started").caused_by(error);
            for (_, reply) in state.queue.drain(..) {
                reply(Err(error.clone()));
            }
        }
    }

    /// Refuses all that waits for an answer.
    fn refuse(&self, mut state: MutexGuard<'_, State<W>>, error: &Error) {
        let in_flight = std::mem::take(&mut state.in_flight);
        let queued = std::mem::take(&mut state.queue);
        drop(state);
        let replies = in_flight
            .into_iter()
            .chain(queued.into_iter().map(|(_, reply)| reply));
        replies.for_each(|reply| reply(Err(error.clone())));
    }
}
