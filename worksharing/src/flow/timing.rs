//! What an entry's age means, as pure functions: from what it says of itself and the time that is left to it to a
//! verdict.
//!
//! All durations are measured by the store's clock, from the moment of the entry's put. No clock of a client is
//! compared with another's.

use std::time::Duration;

pub(crate) use crate::store::FENCE_LIFE;

/// How often a leader looks at the entry's id again while its body runs: so often that nothing that was kept for
/// [`FENCE_LIFE`] goes unseen.
pub(crate) const FENCE_CHECK: Duration = Duration::from_secs(4);

/// Ten years: past what any store's clock arithmetic minds.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// What a reader may do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fresh,
    /// It is kept, but not to be served.
    Expired,
    /// It is kept for longer than it is fresh, so the store has to be asked for its age.
    Unknown,
}

/// Judges an entry that is `fresh_for` and `keep_for` so long, and whose age is known or not.
pub(crate) fn judge(fresh_for: Duration, keep_for: Duration, age: Option<Duration>) -> Verdict {
    match age {
        // Whatever the store still has, is fresh.
        None if keep_for <= fresh_for => Verdict::Fresh,
        None => Verdict::Unknown,
        Some(age) if age < fresh_for => Verdict::Fresh,
        Some(_) => Verdict::Expired,
    }
}

/// How long a value that is fresh for this long is kept.
pub(crate) fn keep_for(fresh_for: Duration) -> Duration {
    clamp(fresh_for).max(FENCE_LIFE)
}

/// A duration that a user gave, within what stores can add to their clocks.
pub(crate) fn clamp(duration: Duration) -> Duration {
    duration.min(LONGEST)
}

/// Whether the time that is left to an entry will be needed, so that it is better asked for at once.
pub(crate) fn asks_for_age(fresh_for: Duration) -> bool {
    fresh_for < FENCE_LIFE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_entry_is_judged_by_its_age() {
        for (fresh_for, keep_for, age, expected) in [
            (60, 60, None, Verdict::Fresh),
            (60, 60, Some(59), Verdict::Fresh),
            (60, 60, Some(60), Verdict::Expired),
            (1, 10, None, Verdict::Unknown),
            (1, 10, Some(0), Verdict::Fresh),
            (1, 10, Some(1), Verdict::Expired),
            (1, 10, Some(9), Verdict::Expired),
            (0, 10, Some(0), Verdict::Expired),
        ] {
            let verdict = judge(seconds(fresh_for), seconds(keep_for), age.map(seconds));
            assert_eq!(verdict, expected, "{fresh_for} {keep_for} {age:?}");
        }
    }

    #[test]
    fn nothing_is_kept_for_less_than_a_fence_needs() {
        assert_eq!(keep_for(seconds(1)), FENCE_LIFE);
        assert_eq!(keep_for(seconds(60)), seconds(60));
        assert_eq!(keep_for(Duration::MAX), LONGEST);
        assert!(2 * FENCE_CHECK < FENCE_LIFE, "one look may fail");
    }
}
