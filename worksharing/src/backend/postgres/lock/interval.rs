use std::time::{Duration, Instant};

/// When a waited key is polled next: first after 100 ms, then less and less often; give or take a fifth, so
/// that processes do not poll in step.
pub(super) struct Interval {
    pub(super) due: Instant,
    length: Duration,
}

impl Interval {
    pub(super) fn begin() -> Self {
        let length = Duration::from_millis(100);
        Self {
            due: Instant::now() + length,
            length,
        }
    }

    /// Whether it is time; if so, the next interval begins.
    pub(super) fn is_due(&mut self, now: Instant, longest: Duration) -> bool {
        if self.due > now {
            return false;
        }
        self.length = (self.length * 3 / 2).min(longest);
        self.due = now + self.length.mul_f64(0.8 + 0.4 * chance(now));
        true
    }
}

/// Somewhere from 0 to 1.
fn chance(now: Instant) -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(now) as f64 / u64::MAX as f64
}
