//! How long an entry lives.

use std::slice;
use std::time::{Duration, Instant};

use super::{HOUR, entry, get, look, put, replace};
use crate::store::{Look, Store};
use crate::testing::Clock;
use crate::testing::run::{run, unique};

/// Short, because a clock that cannot be turned is waited for.
const SHORT: Duration = Duration::from_millis(500);

pub(super) fn tells_the_time_that_is_left(store: &dyn Store, clock: &dyn Clock) {
    let key = unique("time left");
    let begun = Instant::now();
    let ttl = 4 * SHORT;
    replace(store, &key, &entry(""), ttl);
    let asked = Look::up_to(usize::MAX).with_time_left();
    let left = |look_for| look(store, &key, look_for)?.time_left;
    let first = left(asked).expect("it was asked for");
    assert!(first <= ttl, "{first:?} are left of {ttl:?}");
    // Some stores know whole milliseconds.
    let least = (ttl - SHORT / 50).saturating_sub(begun.elapsed());
    assert!(first >= least, "only {first:?} are left of {ttl:?}");
    clock.advance(SHORT);
    let second = left(asked).expect("it is there, and was asked for");
    assert!(second <= ttl - SHORT, "{second:?} are left after {SHORT:?}");
    let unasked = left(Look::up_to(usize::MAX));
    assert!(
        unasked.is_none_or(|left| left <= ttl - SHORT),
        "{unasked:?}"
    );
}

pub(super) fn expires(store: &dyn Store, clock: &dyn Clock) {
    let key = unique("expiring");
    let begun = Instant::now();
    replace(store, &key, &entry("old"), SHORT);
    assert!(
        get(store, &key).is_some() || begun.elapsed() >= SHORT,
        "it expired early"
    );
    clock.advance(SHORT + SHORT / 10);
    assert_eq!(get(store, &key), None, "it did not expire");
    assert_eq!(
        run(store.get(slice::from_ref(&key), Look::up_to(0))).unwrap(),
        [None]
    );
    // It is no fence, either.
    let new = entry("new");
    assert!(put(store, &key, &new, None));
    assert_eq!(get(store, &key), Some(new));
}

pub(super) fn lives_as_long_as_the_last(store: &dyn Store, clock: &dyn Clock) {
    let [longer, shorter] = ["longer", "shorter"].map(unique);
    let [old, new] = ["old", "new"].map(entry);
    replace(store, &longer, &old, SHORT);
    replace(store, &shorter, &old, HOUR);
    replace(store, &longer, &new, HOUR);
    replace(store, &shorter, &new, SHORT);
    clock.advance(SHORT + SHORT / 10);
    assert_eq!(get(store, &longer), Some(new));
    assert_eq!(get(store, &shorter), None);
}

pub(super) fn keeps_for_longer(store: &dyn Store, clock: &dyn Clock) {
    let [kept, longer, missing, put_again] = ["kept", "longer", "missing", "put"].map(unique);
    let [old, new] = ["old", "new"].map(entry);
    for key in [&kept, &put_again] {
        replace(store, key, &old, SHORT);
    }
    replace(store, &longer, &old, HOUR);
    let all = [kept, longer, missing, put_again];
    run(store.keep(&all[..3], SHORT / 10)).unwrap();
    run(store.keep(&[], HOUR)).unwrap();
    run(store.keep(&all, HOUR)).unwrap();
    let [kept, longer, missing, put_again] = all;
    // It is about what stands there, and not about its key.
    replace(store, &put_again, &new, SHORT);
    clock.advance(SHORT + SHORT / 10);
    assert_eq!(
        get(store, &kept).as_ref(),
        Some(&old),
        "it is not kept for longer"
    );
    assert_eq!(
        get(store, &longer),
        Some(old),
        "it is kept for a shorter time"
    );
    assert_eq!(get(store, &missing), None);
    assert_eq!(get(store, &put_again), None);
}

pub(super) fn takes_any_time(store: &dyn Store) {
    let key = unique("ages");
    // The flow gives ten years at the most.
    for ttl in [
        Duration::from_secs(10 * 366 * 24 * 3600),
        Duration::from_micros(1_500),
    ] {
        replace(store, &key, &entry(""), ttl);
        let asked = Look::up_to(usize::MAX).with_time_left();
        // It may be over between two looks.
        let found = run(store.get_one(&key, asked)).unwrap();
        let left = found.and_then(|found| found.time_left);
        assert!(
            left.is_none_or(|left| left <= ttl + Duration::from_millis(1)),
            "{left:?}"
        );
    }
}
