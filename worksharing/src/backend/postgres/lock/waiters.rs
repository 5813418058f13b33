use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

use super::LockKeys;
use super::interval::Interval;
use crate::Error;
use crate::backend::postgres::SessionNumber;
use crate::lock::LockGuard;

/// What is known of one lock key.
pub(super) struct KeyState {
    pub(super) claimed: bool,
    /// Somebody was told that the key is busy because it was claimed.
    pub(super) refused: bool,
    pub(super) waiters: BTreeMap<u64, Slot>,
    pub(super) next_ticket: u64,
    pub(super) key: LockKeys,
    pub(super) poll: Interval,
}

/// One waiter.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) waker: Option<Waker>,
    pub(super) reason: Option<WakeReason>,
    pub(super) marked: Option<SessionNumber>,
}

/// Why a waiter is woken.
pub(super) enum WakeReason {
    Look,
    Granted(LockGuard),
    Failed(Error),
}

impl KeyState {
    pub(super) fn new(key: LockKeys) -> Self {
        Self {
            claimed: false,
            refused: false,
            waiters: BTreeMap::new(),
            next_ticket: 0,
            key,
            poll: Interval::begin(),
        }
    }

    /// How seldom the key is polled in the end. Where releases are told, only a holder that died is noticed by
    /// polling; else every release is.
    pub(super) fn longest_interval(&self) -> Duration {
        let is_told = self.waiters.values().all(|slot| slot.marked.is_some());
        Duration::from_millis(if is_told { 1_000 } else { 250 })
    }

    pub(super) fn tell_all(&mut self, reason: impl Fn() -> WakeReason) -> Vec<Waker> {
        self.waiters
            .values_mut()
            .filter_map(|slot| slot.tell(reason()))
            .collect()
    }
}

impl Slot {
    /// Leaves the waiter a reason. A lock that was granted is not overwritten: whoever has it need not look.
    pub(super) fn tell(&mut self, reason: WakeReason) -> Option<Waker> {
        if !matches!(self.reason, Some(WakeReason::Granted(_))) {
            self.reason = Some(reason);
        }
        self.waker.take()
    }
}
