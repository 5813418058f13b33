//! Whether something that was read has changed since: by counting, without a lock and without an index of keys.
//!
//! Each change has a number, its epoch. Who reads takes a [`Stamp`] before its look is sent: the last epoch by then. What
//! it read is valid for as long as no later epoch is noted for any of its keys. The digests share some stripes: a change
//! of one key now and then drops the value of another, which is only read anew.

use std::fmt;
use std::sync::OnceLock;
#[cfg(feature = "postgres")]
use std::time::{Duration, Instant};

use super::Digest;
#[cfg(feature = "postgres")]
use super::clock::time_of;
use super::clock::{Clock, Time};
use crate::sync::atomic::{AtomicU64, Ordering};

/// What was heard of changes.
///
/// A change is laid in the store before it is told, and a stamp is taken before a look is sent. So if the stamp has the
/// epoch of a change, the look saw the change; and if it has not, the stripe is later than the stamp as soon as the change
/// is noted, whenever what was read arrives.
pub(crate) struct Epochs {
    last: AtomicU64,
    /// What was read before this epoch may have changed unheard.
    emptied: AtomicU64,
    /// The last epoch of each stripe. There are none until somebody takes a stamp.
    stripes: OnceLock<Box<[AtomicU64]>>,
    clock: Clock,
    /// Until when it is known that every change is heard, in [`Time`].
    heard_until: AtomicU64,
    /// Until when somebody may use what was read.
    wanted_until: AtomicU64,
}

/// When a look was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    epoch: u64,
    pub(crate) at: Time,
}

/// The number of the stripe of a digest.
pub(crate) type Stripe = u16;

/// Shuttle follows every one of them.
const STRIPES: usize = if cfg!(feature = "__shuttle") {
    4
} else {
    1 << 16
};

/// For so long after the server has last answered it is taken for granted that changes are heard.
#[cfg(feature = "postgres")]
const LEASE: Duration = Duration::from_secs(1);

impl Epochs {
    /// Of a process that hears of nothing until it is said.
    pub(crate) fn new() -> Self {
        Self::hearing_until(0)
    }

    /// Of a process that makes all changes itself.
    pub(crate) fn alone() -> Self {
        Self::hearing_until(Time::MAX)
    }

    fn hearing_until(time: Time) -> Self {
        Self {
            last: AtomicU64::new(0),
            emptied: AtomicU64::new(0),
            stripes: OnceLock::new(),
            clock: Clock::begin(),
            heard_until: AtomicU64::new(time),
            wanted_until: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// To be taken before a look is sent.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stripes
            .get_or_init(|| (0..STRIPES).map(|_| AtomicU64::new(0)).collect());
        Stamp {
            epoch: self.last.load(Ordering::Acquire),
            at: self.now(),
        }
    }

    /// These have changed. To be said after the change is laid in the store.
    pub(crate) fn changed(&self, digests: &[Digest]) {
        let epoch = self.next();
        let Some(stripes) = self.stripes.get() else {
            // A stamp that was taken just now is not of this epoch, and its stripes not seen from here.
            self.emptied.fetch_max(epoch, Ordering::AcqRel);
            return;
        };
        for digest in digests {
            stripes[usize::from(stripe_of(digest))].fetch_max(epoch, Ordering::AcqRel);
        }
    }

    /// Whether nothing of this stripe was heard to have changed since the stamp was taken, and nothing has unheard.
    #[inline]
    pub(crate) fn is_unchanged(&self, stamp: Stamp, of: Stripe) -> bool {
        let is_before = |epoch: &AtomicU64| epoch.load(Ordering::Acquire) <= stamp.epoch;
        let stripe = self.stripes.get().map(|stripes| &stripes[usize::from(of)]);
        is_before(&self.emptied) && stripe.is_some_and(is_before)
    }

    /// Whether this time is to come.
    #[inline]
    pub(crate) fn is_to_come(&self, time: Time) -> bool {
        self.clock.is_to_come(time)
    }

    /// Whether every change is heard by now.
    pub(crate) fn are_heard(&self) -> bool {
        self.is_to_come(self.heard_until())
    }

    /// Until when it is known that every change is heard.
    #[inline]
    pub(crate) fn heard_until(&self) -> Time {
        self.heard_until.load(Ordering::Acquire)
    }

    /// Somebody may use what it read until then.
    pub(crate) fn want(&self, until: Time) {
        self.wanted_until.fetch_max(until, Ordering::AcqRel);
    }

    fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::AcqRel) + 1
    }
}

/// What the listener says.
#[cfg(feature = "postgres")]
impl Epochs {
    /// Whether somebody may use something that was read.
    pub(crate) fn are_wanted(&self) -> bool {
        self.is_to_come(self.wanted_until.load(Ordering::Acquire))
    }

    /// Changes are heard from now on. What was read before may have changed unheard.
    pub(crate) fn listening(&self, asked: Instant) {
        self.empty();
        self.confirmed(asked);
    }

    /// The server has answered what was asked then, and all that it had to tell before was noted.
    pub(crate) fn confirmed(&self, asked: Instant) {
        let until = self.clock.time(asked) + time_of(LEASE);
        self.heard_until.store(until, Ordering::Release);
    }

    /// Nothing is heard any more.
    pub(crate) fn deaf(&self) {
        self.heard_until.store(0, Ordering::Release);
        self.empty();
    }

    fn empty(&self) {
        let epoch = self.next();
        self.emptied.fetch_max(epoch, Ordering::AcqRel);
    }
}

pub(crate) fn stripe_of(digest: &Digest) -> Stripe {
    let number = usize::from(digest[0]) << 8 | usize::from(digest[1]);
    (number % STRIPES) as Stripe
}

impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epochs")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Digest = [1; 16];
    const OTHER: Digest = [2; 16];

    #[test]
    fn a_change_is_of_what_was_read_before_it() {
        let epochs = Epochs::new();
        epochs.changed(&[ONE]);
        let before = epochs.stamp();
        assert!(epochs.is_unchanged(before, stripe_of(&ONE)));
        epochs.changed(&[ONE]);
        assert!(!epochs.is_unchanged(before, stripe_of(&ONE)));
        assert!(epochs.is_unchanged(before, stripe_of(&OTHER)));
        let after = epochs.stamp();
        assert!(epochs.is_unchanged(after, stripe_of(&ONE)));
    }

    #[test]
    fn a_change_before_the_first_stamp_is_noted_too() {
        let epochs = Epochs::new();
        // Another thread has just taken this one, and its stripes are not to be seen from here.
        let stamp = Stamp { epoch: 0, at: 0 };
        epochs.changed(&[ONE]);
        epochs.stamp();
        assert!(!epochs.is_unchanged(stamp, stripe_of(&ONE)));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_listener_that_comes_or_goes_empties_all() {
        let epochs = Epochs::new();
        let is_valid = |stamp| epochs.is_unchanged(stamp, stripe_of(&ONE));
        let unheard = epochs.stamp();
        assert!(!epochs.are_heard() && is_valid(unheard));
        epochs.listening(Instant::now());
        assert!(epochs.are_heard() && !is_valid(unheard));
        let heard = epochs.stamp();
        assert!(is_valid(heard));
        epochs.deaf();
        assert!(!epochs.are_heard() && !is_valid(heard));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_server_that_does_not_answer_is_not_heard() {
        let epochs = Epochs::new();
        let asked = Instant::now();
        epochs.listening(asked);
        while asked.elapsed() < LEASE {
            assert!(epochs.are_heard() || asked.elapsed() >= LEASE);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!epochs.are_heard());
        epochs.confirmed(Instant::now());
        assert!(epochs.are_heard());
    }
}
