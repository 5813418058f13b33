use std::time::{Instant, SystemTime};

#[cfg(any(test, feature = "testing"))]
use crate::testing::ManualClock;

/// The clock of a store that has no server: the machine's or, in tests, one that is turned by hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) by_hand: Option<ManualClock>,
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        #[cfg(any(test, feature = "testing"))]
        if let Some(clock) = &self.by_hand {
            return clock.now();
        }
        Instant::now()
    }

    /// The time that processes of one machine agree on.
    pub(crate) fn wall(&self) -> SystemTime {
        #[cfg(any(test, feature = "testing"))]
        if let Some(clock) = &self.by_hand {
            return clock.wall();
        }
        SystemTime::now()
    }
}

#[cfg(any(test, feature = "testing"))]
impl From<&ManualClock> for Clock {
    fn from(clock: &ManualClock) -> Self {
        Self {
            by_hand: Some(clock.clone()),
        }
    }
}
