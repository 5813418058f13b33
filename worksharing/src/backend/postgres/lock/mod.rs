//! The PostgreSQL lock, as the flow sees it. What is said to the server is in `crate::backend::postgres`.

mod interval;
mod key_table;
mod permits;
mod waiters;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use futures_channel::oneshot;

pub(crate) use self::key_table::KeyTable;
use self::key_table::{Claim, Ticket};
use self::permits::Permit;
use crate::backend::postgres::{Answer, Ask, Held, Server};
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

/// A lock key with its interest key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LockKeys {
    pub(crate) lock: i64,
    pub(crate) interest: i64,
}

impl From<&Key> for LockKeys {
    fn from(key: &Key) -> Self {
        Self {
            lock: key.lock_key(),
            interest: key.interest_key(),
        }
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
            let Some(claim) = self.server.key_table.claim(LockKeys::from(key)) else {
                return Ok(None);
            };
            let (sender, receiver) = oneshot::channel();
            // If nobody receives it, the guard comes back from the channel, and is dropped.
            try_for(&self.server, claim, permit, move |tried| {
                drop(sender.send(tried))
            });
            receiver
                .await
                .unwrap_or_else(|_| Err(Error::unavailable("the lock's thread is gone")))
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
            let (sender, receiver) = oneshot::channel();
            mark(&self.server, ticket, move |marked| {
                drop(sender.send(marked))
            });
            receiver
                .await
                .unwrap_or_else(|_| Err(Error::unavailable("the lock's thread is gone")))?;
            Ok(Box::new(waiter) as _)
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.server
                .session
                .answer(Ask::CheckLock, true)
                .await
                .map(drop)
        })
    }
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
    queued
        .await
        .unwrap_or_else(|_| Err(Error::unavailable("the lock's queue is gone")))
}

/// Asks for a key that this process has claimed. `deliver` runs once, on the link's thread or on this one.
fn try_for(
    server: &Arc<Server>,
    claim: Claim,
    permit: Permit,
    deliver: impl FnOnce(Result<Option<LockGuard>, Error>) + Send + 'static,
) {
    let (key, server_of_guard) = (claim.key(), Arc::clone(server));
    server.session.ask(Ask::Try(key.lock), move |answer| {
        let tried = match answer {
            Ok(Answer::Granted(session)) => {
                Ok(Some(guard(server_of_guard, claim, permit, session)))
            }
            // Given back before anybody is told, who may ask again.
            busy => {
                drop((claim, permit));
                busy.map(|_| None)
            }
        };
        deliver(tried);
    });
}

fn guard(server: Arc<Server>, claim: Claim, permit: Permit, session: u64) -> LockGuard {
    LockGuard::new(move || {
        let key = claim.key();
        let held = Held {
            key: key.lock,
            interest: key.interest,
            session,
        };
        server.session.ask(Ask::Unlock(held), |_| ());
        // Only now may others of this process ask: behind the release in the queue.
        claim.release();
        drop(permit);
    })
}

/// Shows a waiter's interest to other processes.
fn mark(
    server: &Arc<Server>,
    ticket: Ticket,
    deliver: impl FnOnce(Result<(), Error>) + Send + 'static,
) {
    let (interest, server_of_reply) = (ticket.key.interest, Arc::clone(server));
    server.session.ask(Ask::Mark(interest), move |answer| {
        let marked = answer.map(|answer| {
            if let Answer::Marked(session) = answer
                && !server_of_reply.key_table.marked(ticket, session)
            {
                server_of_reply
                    .session
                    .ask(Ask::Unmark { interest, session }, |_| ());
            }
        });
        deliver(marked);
    });
}

impl KeyTable {
    /// Tries again for keys whose holder may have died without a word. Runs on the link's thread.
    pub(crate) fn poll_for(server: &Arc<Server>, claims: Vec<Claim>) {
        for claim in claims {
            let Some(permit) = server.key_table.permits().try_acquire() else {
                continue;
            };
            let (key, key_table) = (claim.key(), Arc::clone(&server.key_table));
            try_for(server, claim, permit, move |tried| match tried {
                Ok(Some(guard)) => key_table.hand_over(key, guard),
                // A value may have been stored by somebody who does not tell.
                Ok(None) => key_table.released(key.lock),
                Err(_) => (),
            });
        }
    }

    /// Shows the interest of all waiters again, in a new session, and has them look.
    pub(crate) fn mark_all(server: &Arc<Server>) {
        for ticket in server.key_table.unmark_all() {
            let key_table = Arc::clone(&server.key_table);
            mark(server, ticket, move |marked| {
                if marked.is_ok() {
                    key_table.wake(ticket);
                }
            });
        }
    }
}

/// A waiter of this process. Dropped, it leaves, and takes its interest back.
struct Waiting {
    server: Arc<Server>,
    ticket: Ticket,
}

impl Waiter for Waiting {
    fn woken(&mut self) -> BoxFuture<'_, Result<Option<LockGuard>, Error>> {
        Box::pin(poll_fn(|context| {
            self.server.key_table.poll_woken(self.ticket, context)
        }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(session) = self.server.key_table.leave(self.ticket) {
            let interest = self.ticket.key.interest;
            self.server
                .session
                .ask(Ask::Unmark { interest, session }, |_| ());
        }
    }
}
