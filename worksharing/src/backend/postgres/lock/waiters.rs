use std::collections::BTreeMap;
use std::task::Waker;

use super::interval::Interval;
use super::key_table::Claim;
use super::keys::{LockKeys, SessionNumber};
use crate::Error;

/// Which waiter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) key: LockKeys,
    pub(super) number: u64,
}

/// What is known of one lock key.
pub(super) struct KeyState {
    pub(super) key: LockKeys,
    pub(super) claim: Option<Claimed>,
    /// Somebody was told that the key is busy because it was claimed.
    pub(super) refused: bool,
    pub(super) waiters: BTreeMap<u64, Slot>,
    pub(super) next_ticket: u64,
    pub(super) poll: Interval,
}

/// Who of this process asks for the key or holds it.
pub(super) struct Claimed {
    pub(super) nonce: i64,
    pub(super) is_held: bool,
}

/// One waiter.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) waker: Option<Waker>,
    pub(super) reason: Option<WakeReason>,
    pub(super) mark: Mark,
}

/// A waiter's interest, as other processes see it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mark {
    /// Is to be shown.
    #[default]
    Wanted,
    /// Cannot be shown in this session.
    Refused,
    Shown(SessionNumber),
}

/// Why a waiter is woken.
pub(super) enum WakeReason {
    Look,
    Granted(Claim),
    Failed(Error),
}

impl KeyState {
    pub(super) fn new(key: LockKeys) -> Self {
        Self {
            key,
            claim: None,
            refused: false,
            waiters: BTreeMap::new(),
            next_ticket: 0,
            poll: Interval::begin(false),
        }
    }

    /// Whether other processes see the interest of all who wait.
    pub(super) fn is_shown(&self) -> bool {
        let is_shown = |slot: &Slot| matches!(slot.mark, Mark::Shown(_));
        self.waiters.values().all(is_shown)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.claim.is_none() && self.waiters.is_empty()
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
