use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::interval::random;
use super::keys::{Asked, Held, LockKeys, SessionNumber};
use super::permits::{Permit, Permits};
use super::waiters::{Claimed, KeyState, Slot, Ticket, WakeReason};
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

pub(super) struct Keys {
    pub(super) states: HashMap<i64, KeyState>,
    /// The keys that somebody waits for, by when they are polled next.
    pub(super) due: BTreeSet<(Instant, i64)>,
    /// Since when there are any.
    pub(super) since: Instant,
    /// Whether releases are heard of.
    pub(super) is_heard: bool,
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
            keys: Mutex::new(Keys::new()),
        })
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, Keys> {
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

    /// Whether nobody here holds a key, asks for one or waits for one.
    pub(crate) fn is_idle(&self) -> bool {
        self.keys().states.is_empty()
    }

    /// Whether somebody here holds the key by this number.
    pub(crate) fn holds(&self, asked: Asked) -> bool {
        let mut keys = self.keys();
        keys.claimed(asked).is_some_and(|claimed| claimed.is_held)
    }

    /// The number by which this process holds a key, if it does.
    pub(crate) fn nonce_of(&self, lock: i64) -> Option<i64> {
        let keys = self.keys();
        let claimed = keys.states.get(&lock)?.claim.as_ref()?;
        claimed.is_held.then_some(claimed.nonce)
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

    /// The server is gone, and does not come back at once: nobody is to wait for it.
    pub(crate) fn down(&self, error: &Error) {
        self.permits.refuse(error);
        self.tell_everybody(|_| WakeReason::Failed(error.clone()));
    }

    pub(super) fn tell_everybody(&self, reason: impl Fn(&mut Slot) -> WakeReason) {
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

    /// Claims the keys whose holders may have died without a word, for whoever waits for them.
    pub(crate) fn due(self: &Arc<Self>, now: Instant) -> Due {
        let mut found = Due::default();
        let mut keys = self.keys();
        while let Some(state) = keys.next_due(now) {
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
/// Interest that is not shown is not told of releases: there is no room for it, or nobody listens. That may be for long, and in
/// a thousand processes at once.
const NOT_SHOWN: Duration = Duration::from_millis(250);

impl Keys {
    fn new() -> Self {
        Self {
            states: HashMap::new(),
            due: BTreeSet::new(),
            since: Instant::now(),
            is_heard: false,
        }
    }

    pub(super) fn is_held(&self, lock: i64) -> bool {
        let state = self.states.get(&lock);
        let claimed = state.and_then(|state| state.claim.as_ref());
        claimed.is_some_and(|claimed| claimed.is_held)
    }

    pub(super) fn state(&mut self, key: LockKeys) -> &mut KeyState {
        let new = || KeyState::new(key);
        self.states.entry(key.lock).or_insert_with(new)
    }

    fn claimed(&mut self, asked: Asked) -> Option<&mut Claimed> {
        let claimed = self.states.get_mut(&asked.lock)?.claim.as_mut();
        claimed.filter(|claimed| claimed.nonce == asked.nonce)
    }

    pub(super) fn slot(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        let state = self.states.get_mut(&ticket.key.lock)?;
        state.waiters.get_mut(&ticket.number)
    }

    pub(super) fn remove_waiter(&mut self, ticket: Ticket) -> Option<Slot> {
        let state = self.states.get_mut(&ticket.key.lock)?;
        let slot = state.waiters.remove(&ticket.number);
        if state.waiters.is_empty() {
            self.due.remove(&(state.poll.due, ticket.key.lock));
        }
        slot
    }

    pub(super) fn remove_if_idle(&mut self, lock: i64) {
        if self.states.get(&lock).is_some_and(KeyState::is_idle) {
            self.states.remove(&lock);
        }
    }

    /// The next key that it is time for, and whose next interval begins.
    fn next_due(&mut self, now: Instant) -> Option<&mut KeyState> {
        let next = self.due.first().filter(|(due, _)| *due <= now)?;
        let lock = next.1;
        self.due.pop_first();
        let state = self.states.get_mut(&lock)?;
        let is_told = self.is_heard && state.is_shown();
        let longest = if is_told { HEARD } else { NOT_SHOWN };
        state.poll.next(now, longest);
        self.due.insert((state.poll.due, lock));
        Some(state)
    }
}

#[cfg(test)]
mod tests;
