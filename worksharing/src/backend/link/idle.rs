//! The end of a connection that nobody needs.

use std::mem;
use std::time::{Duration, Instant};

use super::Protocol;
use super::reply::quietly;
use super::shared::{Shared, State};
use super::thread::Thread;

/// A link that is needed looks whether it still is no more often than this.
const SHORTEST: Duration = Duration::from_millis(10);

impl<W: Protocol> Thread<W> {
    /// When the connection is closed, if nobody needs it before; `None` if that is never to be.
    ///
    /// Whoever begins to need it asks something, or wants the link to be started, after that: both happen under the lock
    /// of `state`, before this is asked or after.
    pub(super) fn rests_at(&mut self, state: &mut State<W>, now: Instant) -> Option<Instant> {
        let protocol = &self.shared.protocol;
        if mem::take(&mut state.wanted) || !state.asks.is_empty() || protocol.is_needed() {
            self.needed = now;
        }
        self.needed
            .checked_add(protocol.idle_disconnect().max(SHORTEST))
    }

    /// Without a connection: whether the thread ends, since nobody has needed the link for long. Who asks from now on
    /// starts another.
    pub(super) fn falls_asleep(&mut self, state: &mut State<W>) -> bool {
        let now = Instant::now();
        let rests_at = self.rests_at(state, now);
        let is_asleep = self.batch.is_empty() && rests_at.is_some_and(|at| at <= now);
        if is_asleep {
            state.running = false;
            // Whether the server is still down is seen by the next one who asks.
            state.down = None;
        }
        is_asleep
    }

    /// Closes a connection in order. What is asked meanwhile is queued, for the next one.
    pub(super) fn close(&self, mut connection: W::Connection) {
        let Shared {
            protocol, watchdog, ..
        } = &*self.shared;
        watchdog.arm();
        tracing::debug!(link = protocol.name(), "connection closed: nobody needs it");
        quietly(|| protocol.close(&mut connection, watchdog));
        drop(connection);
        watchdog.disarm();
    }
}
