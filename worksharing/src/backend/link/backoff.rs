use std::time::Duration;

/// The pause between attempts to connect: doubles from 50 ms to 1 s.
#[derive(Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let pause = Duration::from_millis(50 << self.0.min(5)).min(Duration::from_secs(1));
        self.0 = self.0.saturating_add(1);
        pause
    }
}
