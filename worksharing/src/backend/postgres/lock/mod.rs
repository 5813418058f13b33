//! The PostgreSQL lock, as the flow sees it. What is said to the server is in `crate::backend::postgres::session`.

mod interval;
mod key_table;
mod keys;
mod permits;
mod waiters;
mod waiting;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use futures_channel::oneshot;

pub(crate) use self::interval::chance;
use self::key_table::Claim;
pub(crate) use self::key_table::{Due, KeyTable};
pub(crate) use self::keys::{Asked, Held, LockKeys, SessionNumber};
use self::permits::Permit;
use self::waiters::Ticket;
use crate::backend::postgres::Server;
use crate::backend::postgres::session::{Answer, Ask};
use crate::lock::{Caller, Lock, LockGuard, Waiter};
use crate::{BoxFuture, Error, Key};

/// Locks in PostgreSQL: all keys of the process in one session, and another one to hear of releases.
pub struct Postgres {
    server: Arc<Server>,
}

impl Postgres {
    pub(crate) fn new(server: &Arc<Server>) -> Self {
        Self {
            server: Arc::clone(server),
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

impl Lock for Postgres {
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        Box::pin(async move {
            let permit = permit(&self.server, caller).await?;
            let Some(claim) = self.server.key_table.claim(LockKeys::from(key), permit) else {
                return Ok(None);
            };
            let (sender, receiver) = oneshot::channel();
            let (asked, server) = (claim.asked(), Arc::clone(&self.server));
            self.server.session.ask(Ask::Try(asked), move |answer| {
                let tried = match answer {
                    Ok(Answer::Granted(session)) => Ok(Some(guard(server, claim.granted(session)))),
                    // Given back before anybody is told, who may ask again.
                    busy => {
                        drop(claim);
                        busy.map(|_| None)
                    }
                };
                // If nobody receives it, the guard comes back from the channel, and is dropped.
                drop(sender.send(tried));
            });
            receiver.await.unwrap_or_else(|_| Err(gone()))
        })
    }

    fn register_waiter<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        Box::pin(async move {
            let ticket = self.server.key_table.enter(LockKeys::from(key));
            let waiter = Waiting {
                server: Arc::clone(&self.server),
                ticket,
            };
            waiter.mark().await?;
            Ok(Box::new(waiter) as _)
        })
    }

    fn scope(&self) -> Option<String> {
        Some(self.server.database.clone())
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let checked = self.server.session.answer(Ask::CheckLock, true).await;
            checked.map(drop)
        })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.server.flush()
    }
}

fn gone() -> Error {
    Error::unavailable("the lock's thread is gone")
}

/// A place among the keys that this process may hold. Who waits for one too long does without the lock.
async fn permit(server: &Arc<Server>, caller: Caller) -> Result<Permit, Error> {
    let permits = server.key_table.permits();
    if let Some(permit) = permits.try_acquire() {
        return Ok(permit);
    }
    if caller == Caller::Nested {
        // Its outer call holds a place, and waits for it.
        return Err(permits.full());
    }
    let queued = permits.queue();
    let permits_of_reply = Arc::clone(permits);
    server.session.ask(Ask::RunTimers, move |timed| {
        if let Err(error) = timed {
            permits_of_reply.refuse(&error);
        }
    });
    queued.await.unwrap_or_else(|_| Err(gone()))
}

fn guard(server: Arc<Server>, claim: Claim) -> LockGuard {
    LockGuard::new(move || {
        server.session.ask(Ask::Unlock(claim.held()), |_| ());
        // Only now may others of this process ask: behind the release in the queue.
        drop(claim);
    })
}

/// A waiter of this process. Dropped, it leaves, and takes its interest back.
struct Waiting {
    server: Arc<Server>,
    ticket: Ticket,
}

impl Waiting {
    /// Shows its interest to other processes.
    async fn mark(&self) -> Result<(), Error> {
        let (server, ticket) = (Arc::clone(&self.server), self.ticket);
        let (sender, receiver) = oneshot::channel();
        let interest = ticket.key.interest;
        self.server.session.ask(Ask::Mark(interest), move |answer| {
            let marked = answer.map(|answer| match answer {
                Answer::Marked(session) => {
                    if !server.key_table.marked(ticket, session) {
                        let unmark = Ask::Unmark { interest, session };
                        server.session.ask(unmark, |_| ());
                    }
                }
                answer => {
                    let nobody_listens = matches!(answer, Answer::Unheard);
                    server.key_table.not_marked(ticket, nobody_listens);
                }
            });
            drop(sender.send(marked));
        });
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Waiter for Waiting {
    fn woken(&mut self) -> BoxFuture<'_, Result<Option<LockGuard>, Error>> {
        Box::pin(async move {
            let key_table = &self.server.key_table;
            if key_table.wants_mark(self.ticket) {
                // The session that showed it is gone. What was released meanwhile is seen by looking.
                self.mark().await?;
                return Ok(None);
            }
            let woken = poll_fn(|context| key_table.poll_woken(self.ticket, context)).await?;
            Ok(woken.map(|claim| guard(Arc::clone(&self.server), claim)))
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let (shown_in, claim) = self.server.key_table.leave(self.ticket);
        drop(claim.map(|claim| guard(Arc::clone(&self.server), claim)));
        if let Some(session) = shown_in {
            let interest = self.ticket.key.interest;
            let unmark = Ask::Unmark { interest, session };
            self.server.session.ask(unmark, |_| ());
        }
    }
}
