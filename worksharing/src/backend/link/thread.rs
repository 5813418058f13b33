use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::watchdog::PATIENCE;
use super::{Protocol, Reply, Shared, State};
use crate::Error;

/// One generation of a link's thread.
pub(super) struct Thread<W: Protocol> {
    pub(super) shared: Arc<Shared<W>>,
    pub(super) generation: u64,
}

/// What a link's thread is to do next.
enum Next<A> {
    Serve(Vec<A>),
    Tick,
}

type ToDo<W> = (<W as Protocol>::Connection, Next<<W as Protocol>::Ask>);

impl<W: Protocol> Thread<W> {
    pub(super) fn run(self) {
        let mut backoff = Backoff::default();
        let mut lost_at: Option<Instant> = None;
        // A batch whose connection was lost under it.
        let mut again = Vec::new();
        while self.is_current() {
            self.shared.watchdog.arm_for(PATIENCE * 2);
            match self.shared.protocol.connect(&self.shared.watchdog) {
                Ok(connection) => {
                    backoff = Backoff::default();
                    match self.use_connection(connection, &mut again) {
                        Ok(()) => return,
                        Err(error) => self.lost(&error, !again.is_empty()),
                    }
                    lost_at = Some(Instant::now());
                }
                Err(error) => {
                    if lost_at.is_none_or(|at| at.elapsed() > self.shared.protocol.grace()) {
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
        let Shared {
            protocol, watchdog, ..
        } = &*self.shared;
        self.shared.state().down = None;
        if !again.is_empty() {
            watchdog.arm();
            self.serve(&mut connection, &std::mem::take(again))?;
        }
        loop {
            let next;
            (connection, next) = match self.next(connection)? {
                Some(next) => next,
                None => return Ok(()),
            };
            match next {
                Next::Tick => protocol.tick(&mut connection, watchdog)?,
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
            .protocol
            .serve(connection, asks, &self.shared.watchdog)?;
        for (reply, answer) in self.replies().into_iter().zip(answers) {
            reply(answer);
        }
        Ok(())
    }

    /// Waits until there is something to do, or `None` if this thread is to end. Meanwhile callers may borrow the
    /// connection.
    fn next(&self, connection: W::Connection) -> Result<Option<ToDo<W>>, Error> {
        self.shared.watchdog.disarm();
        let due = self.shared.protocol.due(&connection);
        let mut connection = Some(connection);
        let mut state = self.shared.state();
        loop {
            if state.generation != self.generation {
                return Ok(None);
            }
            if let Some(error) = state.lost.take() {
                return Err(error);
            }
            let now = Instant::now();
            if let Some(connection) = connection.take() {
                if let Some(next) = self.at_once(&mut state, due <= now) {
                    return Ok(Some((connection, next)));
                }
                if state.closed {
                    return Ok(None);
                }
                state.idle = Some(connection);
            }
            let waited = self
                .shared
                .queued
                .wait_timeout(state, due.saturating_duration_since(now));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            // A caller may have it.
            connection = state.idle.take();
        }
    }

    fn at_once(&self, state: &mut State<W>, is_due: bool) -> Option<Next<W::Ask>> {
        // A tick that is due comes first, or a busy link would never send its heartbeat.
        if is_due && !state.closed {
            return Some(Next::Tick);
        }
        if state.queue.is_empty() {
            return None;
        }
        state.crowded = state.queue.len() > 1;
        let (asks, replies) = std::mem::take(&mut state.queue).into_iter().unzip();
        state.in_flight = replies;
        self.shared.watchdog.arm();
        Some(Next::Serve(asks))
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
            tracing::debug!(link = self.shared.protocol.name(), %error, "connection lost");
            self.shared.protocol.lost(error);
        }
    }

    fn down(&self, error: &Error) {
        let mut state = self.shared.state();
        if state.generation != self.generation {
            return;
        }
        state.down = Some(error.clone());
        self.shared.refuse(state, error);
        self.shared.protocol.down(error);
    }

    /// Sleeps until the time is over, somebody asks patiently, or the link is closed.
    fn sleep(&self, time: Duration) {
        self.shared.watchdog.disarm();
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

impl<W: Protocol> Drop for Thread<W> {
    /// A defect of ours must not leave callers without an answer: the next ask starts another thread.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut state = self.shared.state();
        if state.generation == self.generation {
            state.generation += 1;
            state.running = false;
            self.shared.watchdog.disarm();
            let error = Error::unavailable("the connection's thread has panicked");
            self.shared.refuse(state, &error);
            self.shared.protocol.lost(&error);
        }
    }
}
