use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::LockKeys;
use super::interval::Interval;
use super::permits::Permits;
use super::waiters::{KeyState, Slot, WakeReason};
use crate::Error;
use crate::backend::postgres::{Server, SessionNumber};
use crate::lock::LockGuard;
use crate::sync::{Mutex, MutexGuard, lock};

/// What this process holds, asks for and waits for on one server.
///
/// A session's locks are re-entrant: so that no key is taken twice in this process, whoever asks for one
/// claims it here first.
pub(crate) struct KeyTable {
    permits: Arc<Permits>,
    keys: Mutex<HashMap<i64, KeyState>>,
    /// The server that this belongs to, once it is made.
    server: OnceLock<Weak<Server>>,
}

/// Which waiter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) key: LockKeys,
    number: u64,
}

/// The right to ask for a key, or to hold it, in this process. Given back by dropping it.
pub(crate) struct Claim {
    key: LockKeys,
    key_table: Arc<KeyTable>,
    was_held: bool,
}

impl Claim {
    pub(crate) fn key(&self) -> LockKeys {
        self.key
    }

    /// Gives it back after the key was held: the others of this process look.
    pub(crate) fn release(mut self) {
        self.was_held = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.key_table.disclaim(self.key, self.was_held);
    }
}

impl KeyTable {
    pub(crate) fn new(max_held_keys: usize) -> Self {
        Self {
            permits: Permits::new(max_held_keys),
            keys: Mutex::default(),
            server: OnceLock::new(),
        }
    }

    /// Tells which server this belongs to. Once.
    pub(crate) fn belongs_to(&self, server: &Arc<Server>) {
        self.server.get_or_init(|| Arc::downgrade(server));
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<i64, KeyState>> {
        lock(&self.keys)
    }

    fn server(&self) -> Option<Arc<Server>> {
        self.server.get()?.upgrade()
    }

    pub(crate) fn permits(&self) -> &Arc<Permits> {
        &self.permits
    }

    /// Claims a key, unless this process holds it or asks for it already.
    pub(crate) fn claim(self: &Arc<Self>, key: LockKeys) -> Option<Claim> {
        let mut keys = self.keys();
        let state = keys.entry(key.lock).or_insert_with(|| KeyState::new(key));
        if std::mem::replace(&mut state.claimed, true) {
            state.refused = true;
            return None;
        }
        Some(self.claimed(key))
    }

    fn claimed(self: &Arc<Self>, key: LockKeys) -> Claim {
        Claim {
            key,
            key_table: Arc::clone(self),
            was_held: false,
        }
    }

    /// The others of this process look: one that was refused because of this claim has not asked the server.
    fn disclaim(&self, key: LockKeys, was_held: bool) {
        let mut keys = self.keys();
        let Some(state) = keys.get_mut(&key.lock) else {
            return;
        };
        state.claimed = false;
        let refused = std::mem::take(&mut state.refused);
        let wakers = if was_held || refused {
            state.tell_all(|| WakeReason::Look)
        } else {
            Vec::new()
        };
        remove_if_idle(&mut keys, key.lock);
        drop(keys);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A new waiter.
    pub(crate) fn enter(&self, key: LockKeys) -> Ticket {
        let mut keys = self.keys();
        let state = keys.entry(key.lock).or_insert_with(|| KeyState::new(key));
        let number = state.next_ticket;
        state.next_ticket += 1;
        if state.waiters.is_empty() {
            state.poll = Interval::begin();
        }
        state.waiters.insert(number, Slot::default());
        Ticket { key, number }
    }

    /// A waiter goes. Returns the session in which it showed interest.
    pub(crate) fn leave(&self, ticket: Ticket) -> Option<SessionNumber> {
        let mut keys = self.keys();
        let slot = keys
            .get_mut(&ticket.key.lock)?
            .waiters
            .remove(&ticket.number);
        remove_if_idle(&mut keys, ticket.key.lock);
        drop(keys);
        // Outside of the lock: it may hold a guard.
        slot?.marked
    }

    /// The waiter's interest is shown. Returns whether it was not yet, and the waiter is still there: else it is
    /// shown once too often. (A mark that a lost connection took with it is asked for by the next one, too.)
    pub(crate) fn marked(&self, ticket: Ticket, session: SessionNumber) -> bool {
        let mut keys = self.keys();
        let slot = slot(&mut keys, ticket);
        slot.is_some_and(|slot| slot.marked.replace(session) != Some(session))
    }

    /// Forgets what an ended session showed, and lists the waiters who are to show it again.
    pub(crate) fn unmark_all(&self) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        for state in self.keys().values_mut() {
            let key = state.key;
            for (number, slot) in &mut state.waiters {
                slot.marked = None;
                tickets.push(Ticket {
                    key,
                    number: *number,
                });
            }
        }
        tickets
    }

    /// What a waiter was woken for.
    pub(crate) fn poll_woken(
        &self,
        ticket: Ticket,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<LockGuard>, Error>> {
        let mut keys = self.keys();
        let slot = slot(&mut keys, ticket);
        let Some(slot) = slot else {
            return Poll::Ready(Ok(None));
        };
        match slot.reason.take() {
            Some(WakeReason::Look) => Poll::Ready(Ok(None)),
            Some(WakeReason::Granted(guard)) => Poll::Ready(Ok(Some(guard))),
            Some(WakeReason::Failed(error)) => Poll::Ready(Err(error)),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Another process released a key.
    pub(crate) fn released(&self, key: i64) {
        let wakers = match self.keys().get_mut(&key) {
            Some(state) => state.tell_all(|| WakeReason::Look),
            None => return,
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// One waiter is to look.
    pub(crate) fn wake(&self, ticket: Ticket) {
        let mut keys = self.keys();
        let slot = slot(&mut keys, ticket);
        let waker = slot.and_then(|slot| slot.tell(WakeReason::Look));
        drop(keys);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// All waiters are to look.
    pub(crate) fn wake_all(&self) {
        self.tell_everybody(|| WakeReason::Look);
    }

    fn tell_everybody(&self, reason: impl Fn() -> WakeReason) {
        let wakers: Vec<_> = self
            .keys()
            .values_mut()
            .flat_map(|state| state.tell_all(&reason))
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Gives a lock that polling won to the waiter that came first. If there is none any more, it is released.
    pub(crate) fn hand_over(&self, key: LockKeys, guard: LockGuard) {
        let mut keys = self.keys();
        let first = keys
            .get_mut(&key.lock)
            .and_then(|state| state.waiters.values_mut().next());
        let waker = match first {
            Some(slot) => slot.tell(WakeReason::Granted(guard)),
            None => {
                drop(keys);
                return drop(guard);
            }
        };
        drop(keys);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The session is new: interest is shown anew, and every waiter looks.
    pub(crate) fn connected(&self) {
        if let Some(server) = self.server() {
            Self::mark_all(&server);
        }
    }

    /// The server is gone, and does not come back at once: nobody is to wait for it.
    pub(crate) fn down(&self, error: &Error) {
        self.permits.refuse(error);
        self.tell_everybody(|| WakeReason::Failed(error.clone()));
    }

    /// Looks after those who wait, on the link's thread, and says when it is to be done again.
    pub(crate) fn run_timers(self: &Arc<Self>, now: Instant) -> Option<Instant> {
        let mut next = self.permits.expire(now);
        let mut due = Vec::new();
        for state in self
            .keys()
            .values_mut()
            .filter(|state| !state.waiters.is_empty())
        {
            if state.poll.is_due(now, state.longest_interval())
                && !std::mem::replace(&mut state.claimed, true)
            {
                due.push(self.claimed(state.key));
            }
            next = Some(next.map_or(state.poll.due, |next| next.min(state.poll.due)));
        }
        if let Some(server) = self.server() {
            Self::poll_for(&server, due);
        }
        next
    }
}

fn slot(keys: &mut HashMap<i64, KeyState>, ticket: Ticket) -> Option<&mut Slot> {
    keys.get_mut(&ticket.key.lock)?
        .waiters
        .get_mut(&ticket.number)
}

fn remove_if_idle(keys: &mut HashMap<i64, KeyState>, lock: i64) {
    if keys
        .get(&lock)
        .is_some_and(|state| !state.claimed && state.waiters.is_empty())
    {
        keys.remove(&lock);
    }
}
