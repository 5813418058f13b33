use std::time::Duration;

use super::{Body, GRAIN_US};
use crate::Options;

/// What is asked of the bodies and calls of a key.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// For how long a stored value keeps others from computing, at least.
    pub fresh_for: Duration,
    /// Whether bodies may run beside each other.
    pub overlaps: bool,
    /// How long a call may take, but one that computes.
    pub longest: Option<Duration>,
    /// When the key was invalidated: from when to when, on the clock of [`now_us`](crate::now_us).
    pub invalidated: Vec<(u64, u64)>,
}

impl Rules {
    /// Those of work without options.
    pub fn fresh_for(ttl: Duration) -> Self {
        Self {
            fresh_for: ttl,
            ..Self::default()
        }
    }

    /// Those of work with these options, whose values live for so long.
    pub fn of(options: &Options, ttl: Duration) -> Self {
        let shortest = ttl.saturating_sub(options.jitter.unwrap_or_default());
        let fresh_for = match options.early_refresh {
            _ if options.force_refresh => Duration::ZERO,
            // Half of its time a value is left alone.
            Some(_) => shortest / 2,
            None => shortest,
        };
        Self {
            fresh_for,
            overlaps: options.wait.is_some() && options.on_timeout.is_none(),
            ..Self::default()
        }
    }

    /// From when on another body may begin after this one.
    pub(super) fn free_from(&self, earlier: &Body, later: &Body) -> u64 {
        let between =
            |(asked, returned): &(u64, u64)| *returned >= earlier.begin && *asked <= later.begin;
        if !earlier.stored || self.invalidated.iter().any(between) {
            return earlier.end;
        }
        let fresh_for = u64::try_from(self.fresh_for.as_micros()).unwrap_or(u64::MAX);
        earlier
            .end
            .saturating_add(fresh_for.saturating_sub(GRAIN_US))
    }
}
