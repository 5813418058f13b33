//! Links: every server connection is owned by one plain thread with a blocking client.
//!
//! The thread takes whatever is queued, sends it as one batch, and answers each request. It reconnects by
//! itself, and refuses at once what is asked of it while the server is down. A server that accepts
//! everything and answers nothing would hold a blocking client for ever; so the background thread answers for a
//! link whose step with the server has taken too long, and interrupts that step. A link never has a second
//! thread: a step that cannot be interrupted keeps it down until it ends.
//!
//! A link that nobody has needed for a while closes its connection, and its thread ends. What is asked next starts another.

mod backoff;
mod borrowed;
mod idle;
mod reply;
mod shared;
#[cfg(test)]
mod tests;
mod thread;
mod watchdog;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use self::reply::Reply;
use self::shared::Shared;
pub(crate) use self::watchdog::{Interrupt, Watchdog};
use crate::Error;
use crate::per_process::PerProcess;

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

    /// Opens a connection, ready for use, and tells the watchdog how to interrupt it.
    fn connect(&self, watchdog: &Watchdog) -> Result<Self::Connection, Error>;

    /// Sends a batch and returns the answers in the same order: one for each ask.
    ///
    /// # Errors
    /// The connection is lost, and with it all that it held. The batch is sent once more over the next one, but for
    /// what [may not](Self::may_send_again): so it must not matter whether it took effect before.
    fn serve(
        &self,
        connection: &mut Self::Connection,
        asks: &[Self::Ask],
        watchdog: &Watchdog,
    ) -> Result<Vec<Result<Self::Answer, Error>>, Error>;

    /// [`serve`](Self::serve) for a batch of one.
    fn serve_one(
        &self,
        connection: &mut Self::Connection,
        ask: &Self::Ask,
        watchdog: &Watchdog,
    ) -> Result<Result<Self::Answer, Error>, Error> {
        let mut answers = self.serve(connection, std::slice::from_ref(ask), watchdog)?;
        Ok(answers.pop().unwrap_or_else(|| Err(reply::unanswered())))
    }

    /// Whether an ask may be sent again although it may have taken effect: a lost one that may not is answered with the
    /// error. Not what replaces whatever stands there: late, it would replace what came since.
    fn may_send_again(&self, _ask: &Self::Ask) -> bool {
        true
    }

    /// What a connection is tried with, before anybody's ask is risked on it, when the last ones were lost without
    /// having served anything. Not for a protocol whose [`connect`](Self::connect) shows as much.
    fn trial(&self) -> Option<Self::Ask> {
        None
    }

    /// When [`tick`](Self::tick) is to be called next.
    fn due(&self, connection: &Self::Connection) -> Instant;

    /// Does what is due between batches.
    ///
    /// # Errors
    /// As of [`serve`](Self::serve).
    fn tick(&self, connection: &mut Self::Connection, watchdog: &Watchdog) -> Result<(), Error>;

    /// Whether somebody relies on the connection although nothing is asked. Whoever begins to asks something after that,
    /// or [starts](Link::start) the link.
    fn is_needed(&self) -> bool {
        false
    }

    /// For how long nothing is asked and nobody [needs](Self::is_needed) the connection before it is closed.
    fn idle_disconnect(&self) -> Duration;

    /// Takes leave of the server: the connection is closed in order, for nobody needs it any more. The watchdog is armed,
    /// and what goes wrong is nobody's trouble. Not called for a connection that was lost.
    fn close(&self, _connection: &mut Self::Connection, _watchdog: &Watchdog) {}

    /// The connection was lost. A new one is tried for next.
    fn lost(&self, _error: &Error) {}

    /// There is no connection, and none is soon to be. It is tried again later; until then asks are refused.
    fn down(&self, _error: &Error) {}

    /// How long a server that was lost may take to come back, as in a restart, before asks are refused.
    fn grace(&self) -> Duration;
}

/// A handle on a link. Dropping it ends the thread, once what is queued has been served.
///
/// A forked child has neither the thread nor a right to the connection, and the fork may have come while a lock
/// was held: so it has a queue, a thread and a connection of its own.
pub(crate) struct Link<W: Protocol> {
    protocol: Arc<W>,
    shared: PerProcess<Arc<Shared<W>>>,
}

impl<W: Protocol> Link<W> {
    /// A link that connects when it is first asked something.
    pub(crate) fn new(protocol: W) -> Self {
        Self {
            protocol: Arc::new(protocol),
            shared: PerProcess::default(),
        }
    }

    pub(crate) fn protocol(&self) -> &W {
        &self.protocol
    }

    fn shared(&self) -> &Arc<Shared<W>> {
        self.shared.get(|| Shared::new(&self.protocol))
    }

    /// Queues an ask. `reply` is called exactly once, soon: on this thread if the server is known to be
    /// down, else on the link's.
    #[cfg(feature = "postgres")]
    pub(crate) fn ask(
        &self,
        ask: W::Ask,
        reply: impl FnOnce(Result<W::Answer, Error>) + Send + 'static,
    ) {
        self.shared()
            .queue(ask, Reply::Call(Box::new(reply)), false);
    }

    /// [`ask`](Self::ask), as a future. Dropping it forgets the answer, not the ask. If the server is known to be
    /// down it is refused at once or, `patiently`, waits for the next attempt to connect.
    pub(crate) async fn answer(&self, ask: W::Ask, patiently: bool) -> Result<W::Answer, Error> {
        let receiver = {
            let shared = self.shared();
            let ask = match shared.serve_here(ask) {
                Ok(answer) => return answer,
                Err(ask) => ask,
            };
            let (sender, receiver) = oneshot::channel();
            shared.queue(ask, Reply::Channel(sender), patiently);
            receiver
        };
        receiver.await.unwrap_or_else(|_| Err(reply::unanswered()))
    }

    /// Completes when what was queued before has been served, and what its replies have queued: a lock that was granted
    /// to nobody is given back. `nothing` is an ask that does nothing. Where nothing is queued nobody connects.
    ///
    /// # Errors
    /// The server is down: what was queued has been refused.
    pub(crate) async fn flush(&self, nothing: impl Fn() -> W::Ask) -> Result<(), Error> {
        for _ in 0..2 {
            let is_at_rest = self.shared.peek().map_or(Ok(true), |it| it.is_at_rest())?;
            if is_at_rest {
                break;
            }
            self.answer(nothing(), false).await?;
        }
        Ok(())
    }

    /// Connects although nothing is asked. One that is about to be closed for being idle is opened anew.
    #[cfg(feature = "postgres")]
    pub(crate) fn start(&self) {
        self.shared().start();
    }
}

impl<W: Protocol> Drop for Link<W> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.peek() {
            shared.state().closed = true;
            shared.queued.notify_all();
        }
    }
}

impl<W: Protocol> fmt::Debug for Link<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.protocol.name()).finish()
    }
}
