use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// When a waited key is polled next: soon at first, then less and less often; give or take a fifth, so that
/// processes do not poll in step.
pub(super) struct Interval {
    pub(super) due: Instant,
    length: Duration,
}

impl Interval {
    pub(super) fn begin(is_heard: bool) -> Self {
        let length = Duration::from_millis(if is_heard { 100 } else { 50 });
        Self {
            due: Instant::now() + length,
            length,
        }
    }

    /// The next interval begins.
    pub(super) fn next(&mut self, now: Instant, longest: Duration) {
        self.length = (self.length * 3 / 2).min(longest);
        self.due = now + self.length.mul_f64(0.8 + 0.4 * chance(now));
    }
}

/// Somewhere from 0 to 1.
pub(crate) fn chance(now: Instant) -> f64 {
    random(now) as f64 / u64::MAX as f64
}

/// A number that no other process has, for this.
pub(super) fn random(seed: impl std::hash::Hash) -> u64 {
    RandomState::new().hash_one(seed)
}
