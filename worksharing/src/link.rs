//! Links: every server connection is owned by one plain thread with a blocking client.
//!
//! The thread takes whatever is queued, sends it as one batch, and answers each request. It reconnects by
//! itself, and refuses at once what is asked of it while the server is down. A server that accepts
//! everything and answers nothing would hold a blocking client for ever; so one watching thread lets go of
//! a link's thread that has made no progress until its deadline, and starts another.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::Error;

/// What a link speaks: how to connect, and how to serve a batch.
pub(crate) trait Wire: Send + Sync + 'static {
    type Connection;
    type Ask: Send + 'static;
    type Answer: Send + 'static;

    /// For the thread's name and for errors: what is connected to, without secrets.
    fn name(&self) -> &str;

    /// Opens a connection, ready for use.
    fn connect(&self, pulse: &Pulse) -> Result<Self::Connection, Error>;

    /// Sends a batch and returns the answers in the same order: one for each ask.
    ///
    /// # Errors
    /// The connection is lost, and with it all that it held. The batch is sent once more over the next one: so
    /// it must not matter whether it took effect before.
    fn serve(
        &self,
        connection: &mut Self::Connection,
        asks: &[Self::Ask],
        pulse: &Pulse,
    ) -> Result<Vec<Result<Self::Answer, Error>>, Error>;

    /// When [`tick`](Self::tick) is to be called next.
    fn due(&self, connection: &Self::Connection) -> Instant;

    /// Does what is due between batches.
    ///
    /// # Errors
    /// As of [`serve`](Self::serve).
    fn tick(&self, connection: &mut Self::Connection, pulse: &Pulse) -> Result<(), Error>;

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
pub(crate) struct Link<W: Wire>(Arc<Shared<W>>);

struct Shared<W: Wire> {
    wire: W,
    state: Mutex<State<W>>,
    queued: Condvar,
    pulse: Pulse,
}

struct State<W: Wire> {
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

/// How long a link's thread may go on without a sign of progress.
#[derive(Default)]
pub(crate) struct Pulse(Mutex<Option<Instant>>);

/// What an answer of the server may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

impl Pulse {
    /// A step with the server begins, that takes no longer than [`PATIENCE`].
    pub(crate) fn beat(&self) {
        self.beat_for(PATIENCE);
    }

    /// A step with the server begins, that takes no longer than this.
    pub(crate) fn beat_for(&self, patience: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + patience);
    }

    fn rest(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_overdue(&self) -> bool {
        let deadline = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| deadline < Instant::now())
    }
}

impl<W: Wire> Link<W> {
    /// A link that connects when it is first asked something.
    pub(crate) fn new(wire: W) -> Self {
        let state = State {
            queue: Vec::new(),
            in_flight: Vec::new(),
            generation: 0,
            running: false,
            closed: false,
            down: None,
        };
        let shared = Arc::new(Shared {
            wire,
            state: Mutex::new(state),
            queued: Condvar::new(),
            pulse: Pulse::default(),
        });
        watch(Arc::downgrade(&shared) as _);
        Self(shared)
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn wire(&self) -> &W {
        &self.0.wire
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
        // The thread is waiting only if it has seen an empty queue.
        if state.queue.len() == 1 {
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

impl<W: Wire> Drop for Link<W> {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.queued.notify_all();
    }
}

impl<W: Wire> fmt::Debug for Link<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.0.wire.name()).finish()
    }
}

impl<W: Wire> Shared<W> {
    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, state: &mut State<W>) {
        state.running = true;
        let (shared, generation) = (Arc::clone(self), state.generation);
        let spawned = thread::Builder::new()
            .name(format!("worksharing {}", self.wire.name()))
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

/// One generation of a link's thread.
struct Thread<W: Wire> {
    shared: Arc<Shared<W>>,
    generation: u64,
}

/// What a link's thread is to do next.
enum Next<A> {
    Serve(Vec<A>),
    Tick,
    End,
}

impl<W: Wire> Thread<W> {
    fn run(self) {
        let mut backoff = Backoff::default();
        let mut lost_at: Option<Instant> = None;
        // A batch whose connection was lost under it.
        let mut again = Vec::new();
        while self.is_current() {
            self.shared.pulse.beat_for(PATIENCE * 2);
            match self.shared.wire.connect(&self.shared.pulse) {
                Ok(connection) => {
                    backoff = Backoff::default();
                    match self.use_connection(connection, &mut again) {
                        Ok(()) => return,
                        Err(error) => self.lost(&error, !again.is_empty()),
                    }
                    lost_at = Some(Instant::now());
                }
                Err(error) => {
                    if lost_at.is_none_or(|at| at.elapsed() > self.shared.wire.grace()) {
                        again.clear();
                        lost_at = None;
                        self.down(&error);
                    }
                    self.sleep(backoff.next());
                }
            }
        }
    }

    fn is_current(&self) -> bool {
        let state = self.shared.state();
        state.generation == self.generation && !(state.closed && state.queue.is_empty())
    }

    /// Serves until the connection is lost. `again` is a batch that the last one took with it, and is left with
    /// the batch that this one took with it.
    fn use_connection(
        &self,
        mut connection: W::Connection,
        again: &mut Vec<W::Ask>,
    ) -> Result<(), Error> {
        let Shared { wire, pulse, .. } = &*self.shared;
        self.shared.state().down = None;
        if !again.is_empty() {
            pulse.beat();
            self.serve(&mut connection, &std::mem::take(again))?;
        }
        loop {
            match self.next(wire.due(&connection)) {
                Next::End => return Ok(()),
                Next::Tick => wire.tick(&mut connection, pulse)?,
                Next::Serve(asks) => {
                    if let Err(error) = self.serve(&mut connection, &asks) {
                        *again = asks;
                        return Err(error);
                    }
                }
            }
        }
    }

    fn serve(&self, connection: &mut W::Connection, asks: &[W::Ask]) -> Result<(), Error> {
        let answers = self
            .shared
            .wire
            .serve(connection, asks, &self.shared.pulse)?;
        for (reply, answer) in self.replies().into_iter().zip(answers) {
            reply(answer);
        }
        Ok(())
    }

    fn next(&self, due: Instant) -> Next<W::Ask> {
        self.shared.pulse.rest();
        let mut state = self.shared.state();
        loop {
            if state.generation != self.generation {
                return Next::End;
            }
            let now = Instant::now();
            // A tick that is due comes first, or a busy link would never send its heartbeat.
            if due <= now && !state.closed {
                return Next::Tick;
            }
            if !state.queue.is_empty() {
                let (asks, replies) = std::mem::take(&mut state.queue).into_iter().unzip();
                state.in_flight = replies;
                drop(state);
                self.shared.pulse.beat();
                return Next::Serve(asks);
            }
            if state.closed {
                return Next::End;
            }
            let waited = self
                .shared
                .queued
                .wait_timeout(state, due.saturating_duration_since(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The replies of the batch just served; none if the watch has answered them.
    fn replies(&self) -> Vec<Reply<W::Answer>> {
        let mut state = self.shared.state();
        if state.generation == self.generation {
            std::mem::take(&mut state.in_flight)
        } else {
            Vec::new()
        }
    }

    /// The connection is lost. What was under way goes over the next one, unless it did already.
    fn lost(&self, error: &Error, again: bool) {
        if !again {
            self.replies()
                .into_iter()
                .for_each(|reply| reply(Err(error.clone())));
        }
        if self.is_current() {
            tracing::debug!(link = self.shared.wire.name(), %error, "connection lost");
            self.shared.wire.lost(error);
        }
    }

    fn down(&self, error: &Error) {
        let mut state = self.shared.state();
        if state.generation != self.generation {
            return;
        }
        state.down = Some(error.clone());
        self.shared.refuse(state, error);
        self.shared.wire.down(error);
    }

    /// Sleeps until the time is over, somebody asks patiently, or the link is closed.
    fn sleep(&self, time: Duration) {
        self.shared.pulse.rest();
        let state = self.shared.state();
        let asleep = |state: &mut State<W>| {
            !(state.closed || (state.down.is_some() && !state.queue.is_empty()))
        };
        drop(self.shared.queued.wait_timeout_while(state, time, asleep));
    }
}

/// The pause between attempts to connect: doubles from 50 ms to 1 s.
#[derive(Default)]
struct Backoff(u32);

impl Backoff {
    fn next(&mut self) -> Duration {
        let pause = Duration::from_millis(50 << self.0.min(5)).min(Duration::from_secs(1));
        self.0 += 1;
        pause
    }
}

/// What the watching thread sees of a link.
trait Watched: Send + Sync {
    fn look_after(self: Arc<Self>);
}

impl<W: Wire> Watched for Shared<W> {
    /// Lets go of a thread that is stuck, answers for it, and starts another.
    fn look_after(self: Arc<Self>) {
        let mut state = self.state();
        if !state.running || !self.pulse.is_overdue() {
            return;
        }
        let error = Error::unavailable(format!("{} does not answer", self.wire.name()));
        state.generation += 1;
        state.down = Some(error.clone());
        self.pulse.rest();
        if !state.closed {
            self.start(&mut state);
        }
        self.refuse(state, &error);
        self.wire.lost(&error);
        self.wire.down(&error);
    }
}

/// Has the process's watching thread look after a link, for as long as it lives.
fn watch(link: Weak<dyn Watched>) {
    static LINKS: OnceLock<Mutex<Vec<Weak<dyn Watched>>>> = OnceLock::new();
    const INTERVAL: Duration = Duration::from_millis(500);

    let mut first = false;
    let links = LINKS.get_or_init(|| {
        first = true;
        Mutex::default()
    });
    links
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(link);
    if !first {
        return;
    }
    let spawned = thread::Builder::new()
        .name("worksharing watch".into())
        .spawn(move || {
            loop {
                thread::sleep(INTERVAL);
                let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
                links.retain(|link| link.strong_count() > 0);
                let live: Vec<_> = links.iter().filter_map(Weak::upgrade).collect();
                drop(links);
                live.into_iter().for_each(Watched::look_after);
            }
        });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread can be started: a server that hangs is not noticed");
    }
}
