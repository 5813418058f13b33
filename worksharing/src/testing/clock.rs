use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How time passes for a store under test.
pub trait Clock: Sync {
    /// Lets this much time pass.
    fn advance(&self, time: Duration);
}

/// A clock that stands still until it is turned. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock {
    begun: (Instant, SystemTime),
    turned_by: Arc<AtomicU64>,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self {
            begun: (Instant::now(), SystemTime::now()),
            turned_by: Arc::default(),
        }
    }
}

impl ManualClock {
    /// A clock that shows the time of now.
    pub fn new() -> Self {
        Self::default()
    }

    fn turned_by(&self) -> Duration {
        Duration::from_micros(self.turned_by.load(Ordering::SeqCst))
    }

    /// What it shows, as an [`Instant`].
    pub fn now(&self) -> Instant {
        self.begun.0 + self.turned_by()
    }

    /// What it shows, as a [`SystemTime`].
    pub fn wall(&self) -> SystemTime {
        self.begun.1 + self.turned_by()
    }
}

impl Clock for ManualClock {
    fn advance(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.turned_by.fetch_add(micros, Ordering::SeqCst);
    }
}

/// The clock of a store that nobody can turn: it waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealTime;

impl Clock for RealTime {
    fn advance(&self, time: Duration) {
        thread::sleep(time);
    }
}
