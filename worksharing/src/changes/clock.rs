//! Times in a process, by a clock that is cheap to compare with.

use std::fmt;
use std::time::{Duration, Instant};

/// Microseconds since the runtime was built.
pub(crate) type Time = u64;

/// Tells what time it is, and, for a fraction of that, what is certainly to come.
pub(super) struct Clock {
    begun: Instant,
    #[cfg(target_os = "linux")]
    begun_about: rustix::time::Timespec,
}

/// What the coarse clock is behind at most: of Linux it goes on at every tick, of 10 ms at most, and a tick may be late.
#[cfg(target_os = "linux")]
const GRAIN: Time = 50_000;

impl Clock {
    pub(super) fn begin() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            begun_about: coarse(),
            begun: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Time {
        self.time(Instant::now())
    }

    pub(super) fn time(&self, instant: Instant) -> Time {
        time_of(instant.saturating_duration_since(self.begun))
    }

    /// Whether this time is to come.
    #[cfg(target_os = "linux")]
    #[inline]
    pub(super) fn is_to_come(&self, time: Time) -> bool {
        self.about().saturating_add(GRAIN) < time || self.now() < time
    }

    /// Whether this time is to come.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_to_come(&self, time: Time) -> bool {
        self.now() < time
    }

    /// What time it is, or was a little before: the kernel has it ready, and no counter of the processor is read.
    #[cfg(target_os = "linux")]
    #[inline]
    fn about(&self) -> Time {
        let (now, begun) = (coarse(), &self.begun_about);
        let seconds = now.tv_sec - begun.tv_sec;
        let micros = seconds * 1_000_000 + (now.tv_nsec - begun.tv_nsec) / 1_000;
        micros.unsigned_abs()
    }
}

#[cfg(target_os = "linux")]
fn coarse() -> rustix::time::Timespec {
    rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse)
}

/// In [`Time`].
pub(crate) fn time_of(duration: Duration) -> Time {
    duration
        .as_secs()
        .saturating_mul(1_000_000)
        .saturating_add(u64::from(duration.subsec_micros()))
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_over_at_once() {
        let clock = Clock::begin();
        for _ in 0..50 {
            let until = clock.now() + 700;
            assert!(clock.is_to_come(Time::MAX));
            while clock.now() < until {
                std::hint::spin_loop();
            }
            assert!(!clock.is_to_come(until));
        }
    }
}
