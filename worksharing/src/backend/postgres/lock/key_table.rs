use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::interval::{Interval, random};
use super::keys::{Asked, Held, LockKeys, SessionNumber};
use super::permits::{Permit, Permits};
use super::waiters::{Claimed, KeyState, Mark, Slot, WakeReason};
use crate::Error;
use crate::sync::{Mutex, MutexGuard, lock};

/// What this process holds, asks for and waits for on one server. It says nothing to the server: what is due is
/// returned to whoever does.
///
/// A session's locks are re-entrant: so that no key is taken twice in this process, whoever asks for one
/// claims it here first.
pub(crate) struct KeyTable {
    permits: Arc<Permits>,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    states: HashMap<i64, KeyState>,
    /// The keys that somebody waits for, by when they are polled next.
    due: BTreeSet<(Instant, i64)>,
    /// Whether releases are heard of.
    is_heard: bool,
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
    nonce: i64,
    key_table: Arc<KeyTable>,
    was_held: bool,
    /// The key table keeps it, for a waiter that was told of it.
    is_kept: bool,
}

/// A key that the server has granted. Whoever drops it has told the server before.
pub(crate) struct Grant {
    pub(crate) held: Held,
    claim: Claim,
    permit: Permit,
}

impl Claim {
    pub(crate) fn key(&self) -> LockKeys {
        self.key
    }

    pub(crate) fn asked(&self) -> Asked {
        Asked {
            lock: self.key.lock,
            nonce: self.nonce,
        }
    }

    /// The key was taken in this session.
    pub(crate) fn granted(mut self, session: SessionNumber, permit: Permit) -> Grant {
        self.was_held = true;
        self.key_table.hold(self.asked());
        let held = Held {
            asked: self.asked(),
            interest: self.key.interest,
            session,
        };
        Grant {
            held,
            claim: self,
            permit,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_kept {
            self.key_table.disclaim(self.key, self.was_held);
        }
    }
}

impl KeyTable {
    pub(crate) fn new(max_held_keys: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Permits::new(max_held_keys),
            keys: Mutex::default(),
        })
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        lock(&self.keys)
    }

    pub(crate) fn permits(&self) -> &Arc<Permits> {
        &self.permits
    }

    /// Claims a key, unless this process holds it or asks for it already.
    pub(crate) fn claim(self: &Arc<Self>, key: LockKeys) -> Option<Claim> {
        self.claim_in(&mut self.keys(), key)
    }

    fn claim_in(self: &Arc<Self>, keys: &mut Keys, key: LockKeys) -> Option<Claim> {
        let state = keys.state(key);
        if state.claim.is_some() {
            state.refused = true;
            return None;
        }
        let nonce = random(key.lock).cast_signed();
        let is_held = false;
        state.claim = Some(Claimed { nonce, is_held });
        Some(self.the_claim(key, nonce))
    }

    fn the_claim(self: &Arc<Self>, key: LockKeys, nonce: i64) -> Claim {
        Claim {
            key,
            nonce,
            key_table: Arc::clone(self),
            was_held: false,
            is_kept: false,
        }
    }

    fn hold(&self, asked: Asked) {
        if let Some(claim) = self.keys().claim(asked) {
            claim.is_held = true;
        }
    }

    /// Whether somebody here holds the key by this number.
    pub(crate) fn holds(&self, asked: Asked) -> bool {
        let mut keys = self.keys();
        keys.claim(asked).is_some_and(|claim| claim.is_held)
    }

    /// The others of this process look: one that was refused because of this claim has not asked the server.
    fn disclaim(&self, key: LockKeys, was_held: bool) {
        let mut keys = self.keys();
        let Some(state) = keys.states.get_mut(&key.lock) else {
            return;
        };
        state.claim = None;
        let refused = std::mem::take(&mut state.refused);
        let wakers = if was_held || refused {
            state.tell_all(|| WakeReason::Look)
        } else {
            Vec::new()
        };
        keys.remove_if_idle(key.lock);
        drop(keys);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A new waiter.
    pub(crate) fn enter(&self, key: LockKeys) -> Ticket {
        let mut keys = self.keys();
        let is_heard = keys.is_heard;
        let state = keys.state(key);
        let number = state.next_ticket;
        state.next_ticket += 1;
        let is_first = state.waiters.is_empty();
        state.waiters.insert(number, Slot::default());
        if is_first {
            state.poll = Interval::begin(is_heard);
            let due = state.poll.due;
            keys.due.insert((due, key.lock));
        }
        Ticket { key, number }
    }

    /// A waiter goes. Returns the session in which its interest was shown, and the key if it was just given it.
    pub(crate) fn leave(
        self: &Arc<Self>,
        ticket: Ticket,
    ) -> (Option<SessionNumber>, Option<Grant>) {
        let mut guard = self.keys();
        let keys = &mut *guard;
        let slot = keys.states.get_mut(&ticket.key.lock).and_then(|state| {
            let slot = state.waiters.remove(&ticket.number);
            if state.waiters.is_empty() {
                keys.due.remove(&(state.poll.due, ticket.key.lock));
            }
            slot
        });
        keys.remove_if_idle(ticket.key.lock);
        drop(guard);
        let Some(slot) = slot else {
            return (None, None);
        };
        let session = match slot.mark {
            Mark::Shown(session) => Some(session),
            _ => None,
        };
        let grant = match slot.reason {
            Some(WakeReason::Granted(held, permit)) => Some(self.grant(ticket.key, held, permit)),
            _ => None,
        };
        (session, grant)
    }

    /// Whether a waiter's interest is to be shown.
    pub(crate) fn wants_mark(&self, ticket: Ticket) -> bool {
        let mut keys = self.keys();
        keys.slot(ticket)
            .is_some_and(|slot| slot.mark == Mark::Wanted)
    }

    /// The waiter's interest is shown. Returns whether it was not yet, and the waiter is still there: else it is
    /// shown once too often.
    pub(crate) fn marked(&self, ticket: Ticket, session: SessionNumber) -> bool {
        let mut keys = self.keys();
        keys.slot(ticket).is_some_and(|slot| {
            std::mem::replace(&mut slot.mark, Mark::Shown(session)) != Mark::Shown(session)
        })
    }

    /// The waiter's interest cannot be shown: in this session, or, where nobody listens, until somebody does.
    pub(crate) fn not_marked(&self, ticket: Ticket, for_want_of_listener: bool) {
        let mut keys = self.keys();
        let is_over = for_want_of_listener && keys.is_heard;
        if let Some(slot) = keys.slot(ticket).filter(|_| !is_over) {
            slot.mark = Mark::Refused;
        }
    }

    /// What a waiter was woken for.
    pub(crate) fn poll_woken(
        self: &Arc<Self>,
        ticket: Ticket,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Grant>, Error>> {
        // What a waker does when it is cloned or dropped is the caller's: never under the lock.
        let waker = context.waker().clone();
        let mut keys = self.keys();
        let Some(slot) = keys.slot(ticket) else {
            return Poll::Ready(Ok(None));
        };
        let reason = slot.reason.take();
        let old = match reason {
            Some(_) => Some(waker),
            None => slot.waker.replace(waker),
        };
        drop(keys);
        drop(old);
        match reason {
            Some(WakeReason::Look) => Poll::Ready(Ok(None)),
            Some(WakeReason::Granted(held, permit)) => {
                Poll::Ready(Ok(Some(self.grant(ticket.key, held, permit))))
            }
            Some(WakeReason::Failed(error)) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }

    fn grant(self: &Arc<Self>, key: LockKeys, held: Held, permit: Permit) -> Grant {
        let claim = self.the_claim(key, held.asked.nonce);
        claim.granted(held.session, permit)
    }

    /// Another process released a key.
    pub(crate) fn released(&self, key: i64) {
        let wakers = match self.keys().states.get_mut(&key) {
            Some(state) => state.tell_all(|| WakeReason::Look),
            None => return,
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Gives a key that polling won to the waiter that came first, or back if there is none any more.
    pub(crate) fn hand_over(&self, grant: Grant) -> Option<Grant> {
        let Grant {
            held,
            mut claim,
            permit,
        } = grant;
        let mut keys = self.keys();
        let state = keys.states.get_mut(&held.asked.lock);
        let Some(slot) = state.and_then(|state| state.waiters.values_mut().next()) else {
            drop(keys);
            return Some(Grant {
                held,
                claim,
                permit,
            });
        };
        claim.is_kept = true;
        let waker = slot.tell(WakeReason::Granted(held, permit));
        drop(keys);
        waker.into_iter().for_each(Waker::wake);
        None
    }

    /// The session is new: interest is shown anew, and every waiter looks.
    pub(crate) fn connected(&self) {
        self.tell_everybody(|slot| {
            slot.mark = Mark::Wanted;
            WakeReason::Look
        });
    }

    /// Releases are heard of from now on, or no more. Whatever was told while nobody listened is lost: every
    /// waiter looks, and shows the interest that it could not show.
    pub(crate) fn heard(&self, is_heard: bool) {
        self.keys().is_heard = is_heard;
        if is_heard {
            self.tell_everybody(|slot| {
                if slot.mark == Mark::Refused {
                    slot.mark = Mark::Wanted;
                }
                WakeReason::Look
            });
        }
    }

    pub(crate) fn is_heard(&self) -> bool {
        self.keys().is_heard
    }

    /// The server is gone, and does not come back at once: nobody is to wait for it.
    pub(crate) fn down(&self, error: &Error) {
        self.permits.refuse(error);
        self.tell_everybody(|_| WakeReason::Failed(error.clone()));
    }

    fn tell_everybody(&self, reason: impl Fn(&mut Slot) -> WakeReason) {
        let mut keys = self.keys();
        let slots = keys
            .states
            .values_mut()
            .flat_map(|state| state.waiters.values_mut());
        let tell = |slot: &mut Slot| {
            let reason = reason(slot);
            slot.tell(reason)
        };
        let wakers: Vec<_> = slots.filter_map(tell).collect();
        drop(keys);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Claims the keys whose holders may have died without a word, for whoever waits for them. `unheard` is how
    /// often they are looked at while releases are not heard of.
    pub(crate) fn due(self: &Arc<Self>, now: Instant, unheard: Duration) -> Vec<Claim> {
        let mut claims = Vec::new();
        let mut guard = self.keys();
        let keys = &mut *guard;
        while let Some(&(due, lock)) = keys.due.first().filter(|(due, _)| *due <= now) {
            keys.due.remove(&(due, lock));
            let Some(state) = keys.states.get_mut(&lock) else {
                continue;
            };
            let longest = match (keys.is_heard, state.is_shown()) {
                (true, true) => HEARD,
                (true, false) => NOT_SHOWN,
                (false, _) => unheard,
            };
            state.poll.next(now, longest);
            keys.due.insert((state.poll.due, lock));
            let key = state.key;
            if state.claim.is_none() {
                claims.extend(self.claim_in(keys, key));
            }
        }
        claims
    }

    /// When [`due`](Self::due) has something to do.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.keys().due.first().map(|(due, _)| *due)
    }
}

/// Where releases are told, only a holder that died is noticed by polling.
const HEARD: Duration = Duration::from_secs(1);
/// Interest that there is no room for is not told of releases.
const NOT_SHOWN: Duration = Duration::from_millis(250);

impl Keys {
    fn state(&mut self, key: LockKeys) -> &mut KeyState {
        let new = || KeyState::new(key);
        self.states.entry(key.lock).or_insert_with(new)
    }

    fn claim(&mut self, asked: Asked) -> Option<&mut Claimed> {
        let claim = self.states.get_mut(&asked.lock)?.claim.as_mut();
        claim.filter(|claim| claim.nonce == asked.nonce)
    }

    fn slot(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        let state = self.states.get_mut(&ticket.key.lock)?;
        state.waiters.get_mut(&ticket.number)
    }

    fn remove_if_idle(&mut self, lock: i64) {
        if self.states.get(&lock).is_some_and(KeyState::is_idle) {
            self.states.remove(&lock);
        }
    }
}
