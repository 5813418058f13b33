//! What an entry's age means, as pure functions: from what it says of itself and the time that is left to it to a
//! verdict.
//!
//! All durations are measured by the store's clock, from the moment of the entry's put. No clock of a client is
//! compared with another's.

use std::time::Duration;

use super::options::{Jitter, Rare};
use crate::payload::entry::Header;
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
    /// It is fresh, but soon it will not be: one caller computes it anew now (`early_refresh`).
    Due,
    /// It is served while one caller computes it anew (`stale_while_revalidate`).
    Stale,
    /// It is served where the computation fails, or takes too long (`stale_if_error`).
    Spare,
    /// It is kept, but not to be served.
    Expired,
    /// It is kept for longer than it is fresh, so the store has to be asked for its age.
    Unknown,
}

impl Verdict {
    pub(crate) fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh | Self::Due)
    }

    /// Whether nobody waits for a newer one.
    pub(crate) fn is_served(self) -> bool {
        self.is_fresh() || self == Self::Stale
    }

    /// Whether it may be served at all, be it in place of an error.
    pub(crate) fn is_servable(self) -> bool {
        self.is_served() || self == Self::Spare
    }
}

/// Judges an entry whose age is known or not, for a reader with these options. `kept`: how long it is kept from its put
/// on. `draw`: see [`gap`].
pub(crate) fn judge(
    header: &Header,
    kept: Duration,
    age: Option<Duration>,
    options: &Rare,
    draw: impl FnOnce() -> f64,
) -> Verdict {
    let Some(age) = age else {
        // Whatever the store still has, is fresh.
        return if kept <= header.fresh_for {
            Verdict::Fresh
        } else {
            Verdict::Unknown
        };
    };
    let Some(stale_since) = age.checked_sub(header.fresh_for) else {
        let due = options.early_refresh.is_some_and(|beta| {
            let left = header.fresh_for - age;
            left <= gap(header, beta, draw())
        });
        return if due { Verdict::Due } else { Verdict::Fresh };
    };
    if stale_since < options.stale_while_revalidate {
        Verdict::Stale
    } else if stale_since < options.stale_if_error {
        Verdict::Spare
    } else {
        Verdict::Expired
    }
}

/// For how long from now on an entry of this age is of use to a reader with these options.
pub(crate) fn servable_for(header: &Header, age: Duration, options: &Rare) -> Duration {
    (header.fresh_for + options.stale_for()).saturating_sub(age)
}

/// For how long from now on a fresh entry of this age may be used by this process without a look: until it expires or, if
/// that is earlier, is due.
pub(crate) fn usable_for(
    header: &Header,
    age: Duration,
    options: &Rare,
    draw: impl FnOnce() -> f64,
) -> Duration {
    let early = options.early_refresh.map(|beta| gap(header, beta, draw()));
    let left = header.fresh_for.saturating_sub(age);
    left.saturating_sub(early.unwrap_or_default())
}

/// How long before its end a value is computed anew: at random, scaled by what the last computation took, so that the
/// probability grows towards its expiry.
///
/// Source: XFetch (A. Vattani, F. Chierichetti, K. Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB
/// 2015). There each call draws anew, so that the busier a key is the earlier it is refreshed; and the gap may be shorter
/// than the computation. Here a process draws once for each entry, `draw` in (0, 1], and the gap is at least one
/// computation: the lock sees to it that only one caller computes, so the draws need not.
fn gap(header: &Header, beta: f64, draw: f64) -> Duration {
    let gap = header.compute_time.as_secs_f64() * beta * (1.0 - draw.ln() / 2.0);
    // Of a computation that takes as long as its value is fresh, half of the time is not spent computing.
    let most = header.fresh_for / 2;
    Duration::try_from_secs_f64(gap.max(0.0)).map_or(most, |gap| gap.min(most))
}

/// How long a value that is to be fresh for `lifetime` is fresh: shortened by a random part of at most the jitter. `draw`
/// in (0, 1].
pub(crate) fn shortened(
    lifetime: Duration,
    jitter: Option<Jitter>,
    draw: impl FnOnce() -> f64,
) -> Duration {
    let lifetime = clamp(lifetime);
    let most = match jitter {
        None => return lifetime,
        Some(Jitter::Part(part)) => lifetime.mul_f64(part.clamp(0.0, 1.0)),
        Some(Jitter::Time(time)) => time.min(lifetime),
    };
    lifetime
        .saturating_sub(most.mul_f64(draw()))
        .max(Duration::from_millis(1))
}

/// How long a value that is fresh for this long is kept, if its readers have these options.
pub(crate) fn keep_for(fresh_for: Duration, options: &Rare) -> Duration {
    clamp(clamp(fresh_for) + options.stale_for()).max(FENCE_LIFE)
}

/// A duration that a user gave, within what stores can add to their clocks.
pub(crate) fn clamp(duration: Duration) -> Duration {
    duration.min(LONGEST)
}

/// Whether the time that is left to an entry will be needed, so that it is better asked for at once.
pub(crate) fn asks_for_age(fresh_for: Duration, options: &Rare) -> bool {
    fresh_for < FENCE_LIFE || options.is_about_age() || !options.local.is_zero()
}

/// How long this process does not try again after so many failures in a row: doubled with each, up to half a minute.
pub(crate) fn back_off(retry_after: Duration, failures: u32) -> Duration {
    const MOST: Duration = Duration::from_secs(30);
    let doubled = retry_after.saturating_mul(1 << failures.saturating_sub(1).min(20));
    doubled.min(MOST.max(retry_after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::entry::Kind;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn header(fresh_for: u64, compute_time: u64) -> Header {
        Header {
            fresh_for: seconds(fresh_for),
            compute_time: seconds(compute_time),
            ..Header::new(Kind::Value, Duration::ZERO)
        }
    }

    #[test]
    fn an_entry_is_judged_by_its_age() {
        let none = Rare::default();
        for (fresh_for, kept, age, expected) in [
            (60, 60, None, Verdict::Fresh),
            (60, 60, Some(59), Verdict::Fresh),
            (60, 60, Some(60), Verdict::Expired),
            (1, 10, None, Verdict::Unknown),
            (1, 10, Some(0), Verdict::Fresh),
            (1, 10, Some(1), Verdict::Expired),
            (1, 10, Some(9), Verdict::Expired),
            (0, 10, Some(0), Verdict::Expired),
        ] {
            let verdict = judge(
                &header(fresh_for, 1),
                seconds(kept),
                age.map(seconds),
                &none,
                || 1.0,
            );
            assert_eq!(verdict, expected, "{fresh_for} {kept} {age:?}");
        }
    }

    #[test]
    fn an_old_entry_is_of_use_for_as_long_as_the_options_say() {
        let options = |stale_while_revalidate, stale_if_error| Rare {
            stale_while_revalidate: seconds(stale_while_revalidate),
            stale_if_error: seconds(stale_if_error),
            ..Rare::default()
        };
        for (revalidate, error, age, expected, servable_for) in [
            (10, 0, 59, Verdict::Fresh, 11),
            (10, 0, 60, Verdict::Stale, 10),
            (10, 0, 69, Verdict::Stale, 1),
            (10, 0, 70, Verdict::Expired, 0),
            (0, 10, 60, Verdict::Spare, 10),
            (0, 10, 70, Verdict::Expired, 0),
            (10, 20, 69, Verdict::Stale, 11),
            (10, 20, 70, Verdict::Spare, 10),
            (20, 10, 75, Verdict::Stale, 5),
            (20, 10, 80, Verdict::Expired, 0),
        ] {
            let (header, options) = (header(60, 1), options(revalidate, error));
            let verdict = judge(&header, seconds(80), Some(seconds(age)), &options, || 1.0);
            assert_eq!(verdict, expected, "{options:?} {age}");
            let servable = super::servable_for(&header, seconds(age), &options);
            assert_eq!(servable, seconds(servable_for), "{options:?} {age}");
        }
    }

    #[test]
    fn an_entry_is_due_one_computation_before_its_end_or_earlier() {
        let never = Rare::default();
        let early = |beta| Rare {
            early_refresh: Some(beta),
            ..Rare::default()
        };
        let unlikely = (-4.0_f64).exp();
        for (options, age, draw, expected) in [
            (&never, 59, 1.0, Verdict::Fresh),
            (&early(1.0), 55, 1.0, Verdict::Due),
            (&early(1.0), 54, 1.0, Verdict::Fresh),
            (&early(1.0), 46, unlikely, Verdict::Due),
            (&early(1.0), 44, unlikely, Verdict::Fresh),
            (&early(2.0), 50, 1.0, Verdict::Due),
            (&early(2.0), 49, 1.0, Verdict::Fresh),
            // However unlikely the draw, and however long it took: for half of its time it is left alone.
            (&early(1e9), 29, f64::MIN_POSITIVE, Verdict::Fresh),
            (&early(1.0), 60, 1.0, Verdict::Expired),
        ] {
            let verdict = judge(
                &header(60, 5),
                seconds(60),
                Some(seconds(age)),
                options,
                || draw,
            );
            assert_eq!(verdict, expected, "{options:?} {age} {draw}");
        }
    }

    #[test]
    fn an_entry_is_used_until_it_expires_or_is_due() {
        let early = |beta| Rare {
            early_refresh: Some(beta),
            ..Rare::default()
        };
        for (options, age, expected) in [
            (Rare::default(), 0, 60),
            (Rare::default(), 59, 1),
            (Rare::default(), 61, 0),
            (early(1.0), 10, 45),
            (early(2.0), 10, 40),
            (early(1.0), 56, 0),
            (early(1e300), 10, 20),
        ] {
            let usable = usable_for(&header(60, 5), seconds(age), &options, || 1.0);
            assert_eq!(usable, seconds(expected), "{options:?} {age}");
        }
    }

    #[test]
    fn jitter_only_shortens() {
        let shortened = |jitter, draw| super::shortened(seconds(100), jitter, || draw);
        assert_eq!(shortened(None, 1.0), seconds(100));
        assert_eq!(shortened(Some(Jitter::Part(0.1)), 1.0), seconds(90));
        assert_eq!(shortened(Some(Jitter::Part(0.1)), 0.5), seconds(95));
        assert_eq!(shortened(Some(Jitter::Time(seconds(20))), 0.5), seconds(90));
        let all = shortened(Some(Jitter::Time(seconds(200))), 1.0);
        assert_eq!(all, Duration::from_millis(1), "never nothing");
    }

    #[test]
    fn nothing_is_kept_for_less_than_a_fence_needs() {
        let none = Rare::default();
        let stale = Rare {
            stale_if_error: seconds(30),
            stale_while_revalidate: seconds(20),
            ..Rare::default()
        };
        assert_eq!(keep_for(seconds(1), &none), FENCE_LIFE);
        assert_eq!(keep_for(seconds(60), &none), seconds(60));
        assert_eq!(keep_for(seconds(60), &stale), seconds(90));
        assert_eq!(keep_for(Duration::MAX, &stale), LONGEST);
        assert!(2 * FENCE_CHECK < FENCE_LIFE, "one look may fail");
    }

    #[test]
    fn failures_are_retried_ever_more_seldom() {
        let after = |failures| back_off(seconds(1), failures).as_secs();
        assert_eq!(
            [1, 2, 3, 5, 6, 7, u32::MAX].map(after),
            [1, 2, 4, 16, 30, 30, 30]
        );
        assert_eq!(
            back_off(seconds(60), 3),
            seconds(60),
            "what was asked for is not shortened"
        );
    }
}
