//! Those of this process who wait for keys, and what other processes see of them.

use std::collections::BTreeSet;
use std::task::{Context, Poll};
use std::time::Instant;

use super::interval::Interval;
use super::key_table::{Claim, KeyTable};
use super::keys::{LockKeys, SessionNumber};
use super::waiters::{Mark, Slot, Ticket, WakeReason};
use crate::Error;

impl KeyTable {
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
        if keys.due.is_empty() {
            keys.since = Instant::now();
        }
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

    /// Since when somebody here waits, whoever that was.
    pub(crate) fn waits_since(&self) -> Option<Instant> {
        let keys = self.keys();
        (!keys.due.is_empty()).then_some(keys.since)
    }

    /// The lock keys that somebody here waits for.
    pub(crate) fn awaited(&self) -> Vec<i64> {
        let keys = self.keys();
        keys.due.iter().map(|(_, lock)| *lock).collect()
    }

    /// Those of these lock keys that nobody here holds.
    pub(crate) fn not_held(&self, mut locks: BTreeSet<i64>) -> Vec<i64> {
        let keys = self.keys();
        locks.retain(|lock| !keys.is_held(*lock));
        locks.into_iter().collect()
    }
}
