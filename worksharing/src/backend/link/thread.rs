use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Protocol;
use super::backoff::Backoff;
use super::reply::{Reply, quietly};
use super::shared::{Shared, State};
use super::watchdog::PATIENCE;
use crate::Error;

/// A link's thread.
pub(super) struct Thread<W: Protocol> {
    pub(super) shared: Arc<Shared<W>>,
    backoff: Backoff,
    /// When a connection was lost, until the next one serves or the server is found to be down.
    lost_at: Option<Instant>,
    /// How many connections in a row were lost without having served anything since.
    losses: u32,
    /// The batch being served, and sent once more if its connection is lost under it.
    pub(super) batch: Vec<W::Ask>,
    /// How often it was sent.
    tries: u32,
    /// What `given_up` was when this step began.
    given_up: u64,
    /// When the link was last asked something, or needed.
    pub(super) needed: Instant,
}

/// A batch is answered with an error when its connection is lost for the second time.
const TRIES: u32 = 2;
/// After so many losses in a row the server is as good as down, even though it lets us connect.
const LOSSES: u32 = 3;

/// While a caller has the connection the thread looks again no sooner.
const BORROWED: Duration = Duration::from_millis(10);

/// What a link's thread is to do next.
enum Next {
    Serve,
    Tick,
    /// To close the connection.
    Close,
}

/// Why a link's thread ends.
enum End {
    /// Nobody needs the link. Another thread begins when somebody does.
    Asleep,
    Closed,
}

impl<W: Protocol> Thread<W> {
    pub(super) fn new(shared: Arc<Shared<W>>) -> Self {
        Self {
            shared,
            backoff: Backoff::default(),
            lost_at: None,
            losses: 0,
            batch: Vec::new(),
            tries: 0,
            given_up: 0,
            needed: Instant::now(),
        }
    }

    /// Runs until the link is closed, or falls asleep. No panic of a client ends it.
    pub(super) fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.work())) {
                Ok(End::Asleep) => return,
                Ok(End::Closed) => break,
                Err(_) => {
                    self.tries = TRIES;
                    self.lost(&Error::unavailable("the connection's client has panicked"));
                }
            }
        }
        let closed = Error::unavailable("the connection is closed");
        self.shared.refuse_all(self.shared.state(), &closed);
    }

    fn work(&mut self) -> End {
        loop {
            if let Some(end) = self.end() {
                return end;
            }
            match self.connect() {
                Ok(connection) => {
                    if let Err(error) = self.use_connection(connection) {
                        self.lost(&error);
                    }
                }
                Err(error) => self.not_connected(&error),
            }
        }
    }

    /// Whether there is an end, now that there is no connection.
    fn end(&mut self) -> Option<End> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let was_late = mem::replace(&mut self.given_up, state.given_up) != state.given_up;
        if state.closed && state.asks.is_empty() {
            return Some(End::Closed);
        }
        let left = if was_late {
            mem::take(&mut self.batch)
        } else {
            Vec::new()
        };
        let is_asleep = self.falls_asleep(&mut state);
        drop(state);
        drop(left);
        is_asleep.then_some(End::Asleep)
    }

    fn connect(&mut self) -> Result<W::Connection, Error> {
        let Shared {
            protocol, watchdog, ..
        } = &*self.shared;
        watchdog.arm_for(PATIENCE * 2);
        let mut connection = protocol.connect(watchdog)?;
        if self.losses >= LOSSES
            && let Some(trial) = protocol.trial()
        {
            watchdog.arm();
            // A refusal is an answer, too.
            drop(protocol.serve_one(&mut connection, &trial, watchdog)?);
        }
        let mut state = self.shared.state();
        if state.given_up != self.given_up {
            drop(state);
            return Err(late());
        }
        state.down = None;
        state.served = None;
        Ok(connection)
    }

    /// Serves until the connection is lost or closed, first of all what the last one took with it.
    fn use_connection(&mut self, mut connection: W::Connection) -> Result<(), Error> {
        if !self.batch.is_empty() {
            self.serve(&mut connection)?;
        }
        loop {
            let next;
            (connection, next) = self.next(connection)?;
            match next {
                Next::Serve => self.serve(&mut connection)?,
                Next::Tick => {
                    let Shared {
                        protocol, watchdog, ..
                    } = &*self.shared;
                    protocol.tick(&mut connection, watchdog)?;
                    self.served()?;
                }
                Next::Close => {
                    self.close(connection);
                    return Ok(());
                }
            }
        }
    }

    fn serve(&mut self, connection: &mut W::Connection) -> Result<(), Error> {
        let Shared {
            protocol, watchdog, ..
        } = &*self.shared;
        watchdog.arm();
        self.tries += 1;
        let (one, several) = match &self.batch[..] {
            [ask] => (Some(protocol.serve_one(connection, ask, watchdog)?), vec![]),
            asks => (None, protocol.serve(connection, asks, watchdog)?),
        };
        watchdog.disarm();
        self.tries = 0;
        self.batch.clear();
        let mut replies = self.replies();
        let mut answers = one.into_iter().chain(several);
        for reply in replies.drain(..) {
            reply.give(
                answers
                    .next()
                    .unwrap_or_else(|| Err(super::reply::unanswered())),
            );
        }
        self.reuse(replies);
        self.needed = Instant::now();
        self.served()
    }

    /// The connection is good, unless it was interrupted meanwhile.
    fn served(&mut self) -> Result<(), Error> {
        if self.shared.state().given_up != self.given_up {
            return Err(late());
        }
        self.proven();
        Ok(())
    }

    fn proven(&mut self) {
        self.losses = 0;
        self.lost_at = None;
        self.backoff = Backoff::default();
    }

    /// Waits until there is something to do. Meanwhile callers may borrow the connection.
    fn next(&mut self, connection: W::Connection) -> Result<(W::Connection, Next), Error> {
        self.shared.watchdog.disarm();
        let due = self.shared.protocol.due(&connection);
        let mut connection = Some(connection);
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        loop {
            if let Some(served) = state.served.take() {
                self.needed = served;
                self.proven();
            }
            if let Some(error) = state.lost.take() {
                // The caller's ask is queued now, and was sent once.
                self.tries = 1;
                return Err(error);
            }
            let now = Instant::now();
            let rests_at = self.rests_at(&mut state, now);
            let mut shortest = BORROWED;
            if let Some(connection) = connection.take() {
                let rests = rests_at.is_some_and(|at| at <= now);
                if let Some(next) = self.at_once(&mut state, due <= now, rests) {
                    return Ok((connection, next));
                }
                state.idle = Some(connection);
                shortest = Duration::ZERO;
            }
            let until = rests_at.map_or(due, |rests_at| due.min(rests_at));
            let left = until.saturating_duration_since(now).max(shortest);
            let waited = shared.queued.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            // A caller may have it.
            connection = state.idle.take();
        }
    }

    fn at_once(&mut self, state: &mut State<W>, is_due: bool, rests: bool) -> Option<Next> {
        if state.asks.is_empty() && (state.closed || rests) {
            return Some(Next::Close);
        }
        // A tick that is due comes first, or a busy link would never send its heartbeat.
        if is_due && !state.closed {
            return Some(Next::Tick);
        }
        if state.asks.is_empty() {
            return None;
        }
        state.crowded = state.asks.len() > 1;
        mem::swap(&mut state.asks, &mut self.batch);
        let State {
            replies, in_flight, ..
        } = state;
        mem::swap(replies, in_flight);
        Some(Next::Serve)
    }

    /// The replies of the batch just served; none if somebody else has answered them.
    fn replies(&self) -> Vec<Reply<W::Answer>> {
        mem::take(&mut self.shared.state().in_flight)
    }

    /// Keeps the room of a batch for the next one.
    fn reuse(&self, replies: Vec<Reply<W::Answer>>) {
        let in_flight = &mut self.shared.state().in_flight;
        if in_flight.is_empty() {
            *in_flight = replies;
        }
    }

    /// The connection is lost. What was under way goes over the next one, unless it did already.
    fn lost(&mut self, error: &Error) {
        let protocol = Arc::clone(&self.shared.protocol);
        self.shared.watchdog.disarm();
        self.losses = self.losses.saturating_add(1);
        self.lost_at.get_or_insert_with(Instant::now);
        let mut state = self.shared.state();
        let is_late = state.given_up != self.given_up;
        let idle = state.idle.take();
        state.lost = None;
        drop(state);
        drop(idle);
        if is_late || self.tries >= TRIES {
            self.tries = 0;
            self.batch.clear();
            let refused = self.replies().into_iter();
            refused.for_each(|reply| reply.give(Err(error.clone())));
        } else {
            self.keep_what_may_be_sent_again(error);
        }
        tracing::debug!(link = protocol.name(), error = %error.chain(), "connection lost");
        quietly(|| protocol.lost(error));
        if self.losses >= LOSSES {
            self.not_connected(error);
        }
    }

    fn keep_what_may_be_sent_again(&mut self, error: &Error) {
        let protocol = Arc::clone(&self.shared.protocol);
        if self.batch.iter().all(|ask| protocol.may_send_again(ask)) {
            return;
        }
        let asked = mem::take(&mut self.batch).into_iter().zip(self.replies());
        let (kept, refused): (Vec<_>, Vec<_>) =
            asked.partition(|(ask, _)| protocol.may_send_again(ask));
        let (asks, replies) = kept.into_iter().unzip();
        self.batch = asks;
        self.tries *= u32::from(!self.batch.is_empty());
        self.shared.state().in_flight = replies;
        for (_, reply) in refused {
            reply.give(Err(error.clone()));
        }
    }

    fn not_connected(&mut self, error: &Error) {
        let grace = self.shared.protocol.grace();
        if self.lost_at.is_some_and(|at| at.elapsed() <= grace) {
            self.sleep();
        } else {
            self.down(error);
        }
    }

    /// Refuses what is asked until the next attempt.
    fn down(&mut self, error: &Error) {
        self.batch.clear();
        self.lost_at = None;
        self.shared.refuse_all(self.shared.state(), error);
        self.sleep();
    }

    /// Sleeps until the next attempt is due, somebody asks patiently, or the link is closed.
    fn sleep(&mut self) {
        self.shared.watchdog.disarm();
        let state = self.shared.state();
        let asleep = |state: &mut State<W>| {
            !(state.closed || (state.down.is_some() && !state.asks.is_empty()))
        };
        let pause = self.backoff.next();
        drop(self.shared.queued.wait_timeout_while(state, pause, asleep));
    }
}

fn late() -> Error {
    Error::unavailable("the server's answer came too late")
}
