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
/// claims it here first. Nobody's waker is cloned, woken or dropped under its lock, and no claim is dropped.
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
    held: Held,
    key_table: Arc<KeyTable>,
    _permit: Permit,
}

/// What is to be polled.
#[derive(Default)]
pub(crate) struct Due {
    pub(crate) claims: Vec<Claim>,
    /// Keys that somebody waits for while no more may be held.
    pub(crate) barred: Vec<i64>,
}

impl Claim {
    /// The key, once it was [granted](Self::granted).
    pub(crate) fn held(&self) -> Held {
        self.held
    }

    pub(crate) fn asked(&self) -> Asked {
        self.held.asked
    }

    /// The key was taken in this session: from now on somebody holds it.
    pub(crate) fn granted(mut self, session: SessionNumber) -> Self {
        self.held.session = session;
        if let Some(claimed) = self.key_table.keys().claimed(self.asked()) {
            claimed.is_held = true;
        }
        self
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let was_held = self.held.session != 0;
        self.key_table.disclaim(self.asked().lock, was_held);
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
    pub(crate) fn claim(self: &Arc<Self>, key: LockKeys, permit: Permit) -> Option<Claim> {
        let mut keys = self.keys();
        let state = keys.state(key);
        if state.claim.is_some() {
            state.refused = true;
            return None;
        }
        Some(self.claim_free(state, permit))
    }

    fn claim_free(self: &Arc<Self>, state: &mut KeyState, permit: Permit) -> Claim {
        let LockKeys { lock, interest } = state.key;
        let nonce = random(lock).cast_signed();
        let is_held = false;
        state.claim = Some(Claimed { nonce, is_held });
        let asked = Asked { lock, nonce };
        let session = 0;
        Claim {
            held: Held {
                asked,
                interest,
                session,
            },
            key_table: Arc::clone(self),
            _permit: permit,
        }
    }

    /// Whether somebody here holds the key by this number.
    pub(crate) fn holds(&self, asked: Asked) -> bool {
        let mut keys = self.keys();
        keys.claimed(asked).is_some_and(|claimed| claimed.is_held)
    }

    /// The others of this process look: one that was refused because of this claim has not asked the server.
    fn disclaim(&self, key: i64, was_held: bool) {
        let mut keys = self.keys();
        let Some(state) = keys.states.get_mut(&key) else {
            return;
        };
        state.claim = None;
        let refused = std::mem::take(&mut state.refused);
        let wakers = if was_held || refused {
            state.tell_all(|| WakeReason::Look)
        } else {
            Vec::new()
        };
        keys.remove_if_idle(key);
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
        if state.waiters.is_empty() {
            state.poll = Interval::begin(is_heard);
        }
        let due = state.poll.due;
        state.waiters.insert(number, Slot::default());
        keys.due.insert((due, key.lock));
        Ticket { key, number }
    }

    /// A waiter goes. Returns the session in which its interest was shown, and the key if it was just given it.
    pub(crate) fn leave(&self, ticket: Ticket) -> (Option<SessionNumber>, Option<Claim>) {
        let mut keys = self.keys();
        let slot = keys.remove_waiter(ticket);
        keys.remove_if_idle(ticket.key.lock);
        drop(keys);
        let slot = slot.unwrap_or_default();
        let session = match slot.mark {
            Mark::Shown(session) => Some(session),
            _ => None,
        };
        let claim = match slot.reason {
            Some(WakeReason::Granted(claim)) => Some(claim),
            _ => None,
        };
        (session, claim)
    }

    /// Whether a waiter's interest is to be shown.
    pub(crate) fn wants_mark(&self, ticket: Ticket) -> bool {
        let mut keys = self.keys();
        let slot = keys.slot(ticket);
        slot.is_some_and(|slot| slot.mark == Mark::Wanted)
    }

    /// The waiter's interest is shown. Returns whether it was not yet, and the waiter is still there: else it is
    /// shown once too often.
    pub(crate) fn marked(&self, ticket: Ticket, session: SessionNumber) -> bool {
        let (mut keys, shown) = (self.keys(), Mark::Shown(session));
        let slot = keys.slot(ticket);
        slot.is_some_and(|slot| std::mem::replace(&mut slot.mark, shown) != shown)
    }

    /// The waiter's interest cannot be shown: in this session, or, where nobody listens, until somebody does.
    pub(crate) fn not_marked(&self, ticket: Ticket, nobody_listens: bool) {
        let mut keys = self.keys();
        let is_over = nobody_listens && keys.is_heard;
        if let Some(slot) = keys.slot(ticket).filter(|_| !is_over) {
            slot.mark = Mark::Refused;
        }
    }

    /// What a waiter was woken for.
    pub(crate) fn poll_woken(
        &self,
        ticket: Ticket,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Claim>, Error>> {
        let mut waker = Some(context.waker().clone());
        let mut keys = self.keys();
        let Some(slot) = keys.slot(ticket) else {
            return Poll::Ready(Ok(None));
        };
        let reason = slot.reason.take();
        if reason.is_none() {
            std::mem::swap(&mut slot.waker, &mut waker);
        }
        drop(keys);
        match reason {
            Some(WakeReason::Look) => Poll::Ready(Ok(None)),
            Some(WakeReason::Granted(claim)) => Poll::Ready(Ok(Some(claim))),
            Some(WakeReason::Failed(error)) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
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
    pub(crate) fn hand_over(&self, claim: Claim) -> Option<Claim> {
        let mut keys = self.keys();
        let state = keys.states.get_mut(&claim.asked().lock);
        let Some(slot) = state.and_then(|state| state.waiters.values_mut().next()) else {
            return Some(claim);
        };
        let waker = slot.tell(WakeReason::Granted(claim));
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
        let states = keys.states.values_mut();
        let slots = states.flat_map(|state| state.waiters.values_mut());
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
    pub(crate) fn due(self: &Arc<Self>, now: Instant, unheard: Duration) -> Due {
        let mut found = Due::default();
        let mut keys = self.keys();
        while let Some(state) = keys.next_due(now, unheard) {
            if state.claim.is_some() {
                continue;
            }
            match self.permits.try_acquire() {
                Some(permit) => found.claims.push(self.claim_free(state, permit)),
                None => found.barred.push(state.key.lock),
            }
        }
        found
    }

    /// When somebody is to be [polled](Self::due) for.
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

    fn claimed(&mut self, asked: Asked) -> Option<&mut Claimed> {
        let claimed = self.states.get_mut(&asked.lock)?.claim.as_mut();
        claimed.filter(|claimed| claimed.nonce == asked.nonce)
    }

    fn slot(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        let state = self.states.get_mut(&ticket.key.lock)?;
        state.waiters.get_mut(&ticket.number)
    }

    fn remove_waiter(&mut self, ticket: Ticket) -> Option<Slot> {
        let state = self.states.get_mut(&ticket.key.lock)?;
        let slot = state.waiters.remove(&ticket.number);
        if state.waiters.is_empty() {
            self.due.remove(&(state.poll.due, ticket.key.lock));
        }
        slot
    }

    fn remove_if_idle(&mut self, lock: i64) {
        if self.states.get(&lock).is_some_and(KeyState::is_idle) {
            self.states.remove(&lock);
        }
    }

    /// The next key that it is time for, and whose next interval begins.
    fn next_due(&mut self, now: Instant, unheard: Duration) -> Option<&mut KeyState> {
        let next = self.due.first().filter(|(due, _)| *due <= now)?;
        let lock = next.1;
        self.due.pop_first();
        let state = self.states.get_mut(&lock)?;
        let longest = match (self.is_heard, state.is_shown()) {
            (true, true) => HEARD,
            (true, false) => NOT_SHOWN,
            (false, _) => unheard,
        };
        state.poll.next(now, longest);
        self.due.insert((state.poll.due, lock));
        Some(state)
    }
}

#[cfg(test)]
mod tests;
