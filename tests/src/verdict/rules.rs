use std::time::Duration;

use super::{Body, GRAIN_US};
use crate::{Invalidation, Options};

/// What is asked of the bodies and calls of a key.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// For how long a stored value keeps others from computing, at least.
    pub fresh_for: Duration,
    /// Whether bodies may run beside each other.
    pub overlaps: bool,
    /// How long a call may take, but one that computes.
    pub longest: Option<Duration>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether each caller wants what was computed after it asked.
    pub anew: bool,
    /// What a caller is given that has waited for too long, and no body gave.
    pub on_timeout: Option<String>,
    /// How long after an invalidation had returned it has reached everybody.
    pub reaches_within: Duration,
    /// The same of what this process has committed.
    pub committed: Option<(u32, Duration)>,
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
            tags: options.tags.clone(),
            anew: options.force_refresh,
            on_timeout: options.on_timeout.clone(),
            ..Self::default()
        }
    }

    pub(super) fn reaches_within(&self, invalidation: &Invalidation) -> Duration {
        let by = invalidation.asked.pid;
        let committed = self.committed.filter(|(pid, _)| *pid == by);
        committed.map_or(self.reaches_within, |(_, within)| within)
    }

    /// From when on another body may begin after this one.
    pub(super) fn free_from(
        &self,
        earlier: &Body,
        later: &Body,
        invalidations: &[Invalidation],
    ) -> u64 {
        let (from, to) = (earlier.begin, later.begin);
        let mut invalidations = invalidations.iter();
        let invalidated = invalidations.any(|one| one.may_fall_between(from, to));
        if !earlier.stored || invalidated {
            return earlier.end;
        }
        let fresh_for = u64::try_from(self.fresh_for.as_micros()).unwrap_or(u64::MAX);
        earlier
            .end
            .saturating_add(fresh_for.saturating_sub(GRAIN_US))
    }
}
