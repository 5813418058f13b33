use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::timing::back_off;
use crate::sync::{Mutex, lock};

/// The keys that this process leaves alone for a while, although their value could be refreshed: somebody else has the
/// lock, or the last computation came to nothing. Meanwhile what is stored is served.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<HashMap<[u8; 16], Pause>>);

#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    /// How many computations in a row came to nothing.
    failures: u32,
}

/// Whether a key is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paused {
    No,
    /// Somebody else has the lock.
    Busy,
    /// The last computation came to nothing.
    Failed,
}

/// How long no second try of a busy lock is made.
const BUSY: Duration = Duration::from_millis(100);
/// How long after a pause failures still count as in a row.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// How many keys are remembered. Of more, some are tried too often.
const MOST: usize = 10_000;

impl Pauses {
    pub(crate) fn of(&self, digest: &[u8; 16]) -> Paused {
        let pause = lock(&self.0).get(digest).copied();
        match pause.filter(|pause| Instant::now() < pause.until) {
            None => Paused::No,
            Some(Pause { failures: 0, .. }) => Paused::Busy,
            Some(_) => Paused::Failed,
        }
    }

    /// The lock was busy: whoever has it is refreshing the value.
    pub(crate) fn busy(&self, digest: &[u8; 16]) {
        self.set(digest, |failures| (BUSY, failures));
    }

    /// A computation came to nothing.
    pub(crate) fn failed(&self, digest: &[u8; 16], retry_after: Duration) {
        self.set(digest, |failures| {
            let failures = failures.saturating_add(1);
            (back_off(retry_after, failures), failures)
        });
    }

    /// Something was stored.
    pub(crate) fn over(&self, digest: &[u8; 16]) {
        lock(&self.0).remove(digest);
    }

    fn set(&self, digest: &[u8; 16], pause: impl FnOnce(u32) -> (Duration, u32)) {
        let now = Instant::now();
        let mut pauses = lock(&self.0);
        if pauses.len() >= MOST {
            pauses.retain(|_, pause| now < pause.until);
        }
        let known = pauses.get(digest);
        if known.is_none() && pauses.len() >= MOST {
            return;
        }
        // Of long ago: another process may have stored something since.
        let known = known.filter(|pause| now < pause.until + FORGOTTEN);
        let (time, failures) = pause(known.map_or(0, |pause| pause.failures));
        let until = known.map_or(now, |pause| pause.until).max(now + time);
        pauses.insert(*digest, Pause { until, failures });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 16] = [7; 16];

    fn until(pauses: &Pauses) -> Instant {
        lock(&pauses.0)[&KEY].until
    }

    #[test]
    fn a_busy_lock_does_not_shorten_a_pause() {
        let pauses = Pauses::default();
        pauses.failed(&KEY, Duration::from_secs(60));
        let before = until(&pauses);
        pauses.busy(&KEY);
        assert_eq!(until(&pauses), before);
        assert_eq!(pauses.of(&KEY), Paused::Failed);
        pauses.failed(&KEY, Duration::from_secs(60));
        assert!(until(&pauses) > before);
        pauses.over(&KEY);
        assert_eq!(pauses.of(&KEY), Paused::No);
    }
}
