//! Tags: what they invalidate, and what becomes of their markers.

#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod gates;

use std::cell::Cell;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use worksharing::lock::Local;
use worksharing::store::{Look, Memory, Store as _, Stored};
use worksharing::testing::{Clock as _, ManualClock};
use worksharing::{Key, Work, WorkSharing};

use self::gates::{GatedLock, GatedStore, MANY, careful_step, gate, run, step};

const TTL: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Processes over one store, with a clock to turn.
struct Bed {
    clock: ManualClock,
    store: GatedStore,
    lock: GatedLock,
}

impl Bed {
    fn new() -> Self {
        let clock = ManualClock::new();
        let memory = Memory::new().with_clock(&clock);
        Self {
            clock,
            store: GatedStore(Arc::new(memory)),
            lock: GatedLock(Arc::new(Local::new())),
        }
    }

    fn process(&self) -> WorkSharing {
        WorkSharing::builder()
            .store(self.store.clone())
            .lock(self.lock.clone())
            .build()
            .unwrap()
    }

    fn stored(&self, key: &Key) -> Option<Stored> {
        let look = Look::up_to(usize::MAX).with_time_left();
        run(self.store.get_one(key, look)).unwrap()
    }

    /// As a store does that needs room.
    fn evict(&self, key: &Key) {
        run(self
            .store
            .replace(key, "evicted".into(), Duration::from_micros(1)))
        .unwrap();
        self.clock.advance(Duration::from_millis(1));
    }
}

fn marker(tag: &str) -> Key {
    Key::new(format!("\u{1}tag:{tag}"))
}

fn profile(sharing: &WorkSharing) -> Work<u32> {
    sharing
        .work("profile:7")
        .tags(["user:7", "profiles"])
        .ttl(TTL)
}

fn compute(work: Work<u32>, value: u32) -> u32 {
    run(work.run(async || value))
}

#[test]
fn any_of_its_tags_invalidates_a_value() {
    let bed = Bed::new();
    let [here, there] = [bed.process(), bed.process()];
    let mut value = compute(profile(&here), 0);
    for (number, tag) in (1..).zip(["user:7", "profiles", "user:7"]) {
        assert_eq!(compute(profile(&there), 100), value);
        run(here.invalidate_tag(tag)).unwrap();
        assert_eq!(run(profile(&there).peek()), None);
        assert!(run(profile(&there).entry()).is_none());
        assert_eq!(compute(profile(&there), number), number);
        value = number;
    }
    run(here.invalidate_tag("user:8")).unwrap();
    assert_eq!(run(profile(&there).peek()), Some(value));
}

#[test]
fn whoever_does_not_know_of_the_tags_reads_another_value() {
    let bed = Bed::new();
    let sharing = bed.process();
    let untagged = || sharing.work::<u32>("profile:7").ttl(TTL);
    assert_eq!(compute(profile(&sharing), 1), 1);
    assert_eq!(run(untagged().peek()), None);
    // Both stand side by side, as the values of two versions of a type do.
    assert_eq!(compute(untagged(), 2), 2);
    assert_eq!(run(profile(&sharing).peek()), Some(1));
    run(sharing.invalidate_tag("user:7")).unwrap();
    assert_eq!(run(profile(&sharing).peek()), None);
    assert_eq!(run(untagged().peek()), Some(2));
    // An invalidation of the key reaches both.
    assert_eq!(compute(profile(&sharing), 3), 3);
    run(untagged().invalidate()).unwrap();
    assert_eq!(
        (run(profile(&sharing).peek()), run(untagged().peek())),
        (None, None)
    );
}

#[test]
fn a_marker_that_is_lost_is_a_miss_and_brings_nothing_back() {
    let bed = Bed::new();
    let sharing = bed.process();
    compute(profile(&sharing), 1);
    bed.evict(&marker("user:7"));
    assert_eq!(run(profile(&sharing).peek()), None);
    run(sharing.invalidate_tag("user:7")).unwrap();
    bed.evict(&marker("user:7"));
    assert_eq!(compute(profile(&sharing), 2), 2);
    assert_eq!(compute(profile(&sharing), 3), 2);
}

#[test]
fn foreign_bytes_in_the_place_of_a_marker_are_replaced() {
    let bed = Bed::new();
    let sharing = bed.process();
    run(bed
        .store
        .replace(&marker("user:7"), "anything".into(), HOUR))
    .unwrap();
    assert_eq!(compute(profile(&sharing), 1), 1);
    assert_eq!(compute(profile(&sharing), 2), 1);
}

#[test]
fn markers_outlive_what_depends_on_them() {
    let bed = Bed::new();
    let sharing = bed.process();
    let left = |tag: &str| bed.stored(&marker(tag)).unwrap().time_left.unwrap();
    let with = |ttl| profile(&sharing).ttl(ttl);
    compute(with(TTL), 1);
    assert!(left("user:7") >= 2 * TTL);
    // A value that is stored for longer later on.
    run(with(TTL).invalidate()).unwrap();
    compute(with(2 * HOUR), 2);
    assert!(left("user:7") >= 4 * HOUR && left("profiles") >= 4 * HOUR);
    bed.clock.advance(2 * HOUR - TTL);
    assert_eq!(run(with(2 * HOUR).peek()), Some(2));
}

#[test]
fn what_a_tag_has_invalidated_is_never_served_as_stale() {
    let bed = Bed::new();
    let sharing = bed.process();
    let work = || {
        profile(&sharing)
            .stale_while_revalidate(HOUR)
            .stale_if_error(HOUR)
    };
    let fails = || run(work().try_run(async || Err::<u32, _>("down")));
    compute(work(), 1);
    bed.clock.advance(TTL);
    assert_eq!(fails(), Ok(1));
    run(sharing.invalidate_tag("profiles")).unwrap();
    assert_eq!(fails(), Err("down"));
    assert_eq!(compute(work(), 2), 2);
}

/// A step of what has not ended yet.
fn finish<F: Future>(future: &mut Option<Pin<Box<F>>>) -> Option<F::Output> {
    let Poll::Ready(output) = step(&mut future.as_mut()?.as_mut()) else {
        return None;
    };
    *future = None;
    Some(output)
}

/// A tag is invalidated at each step of a computation. Whoever asks later gets a value that was computed later.
#[test]
fn whoever_asks_after_an_invalidation_is_given_nothing_older() {
    for steps in 0..80 {
        let bed = Bed::new();
        let [here, there] = [bed.process(), bed.process()];
        let register = Cell::new(1);
        let read = async || {
            let read = register.get();
            // Long enough for the others to join.
            for _ in 0..20 {
                gate().await;
            }
            read
        };
        let call = |sharing| Box::pin(profile(sharing).run(read));
        let mut first = Some(call(&here));
        for _ in 0..steps {
            finish(&mut first);
        }
        register.set(2);
        let mut invalidated = Box::pin(there.invalidate_tag("user:7"));
        while step(&mut invalidated.as_mut()).is_pending() {}
        let mut later = [call(&here), call(&there)].map(Some);
        let mut values = Vec::new();
        let mut polls = 0;
        while later.iter().any(Option::is_some) {
            assert!(polls < MANY, "stuck after {steps} steps");
            polls += 1;
            finish(&mut first);
            values.extend(later.iter_mut().filter_map(finish));
        }
        assert_eq!(values, [2, 2], "after {steps} steps");
    }
}

/// Wherever it is dropped, and however its body ends: no lock is left, and the next caller is served.
#[test]
fn a_call_with_tags_may_be_dropped_at_any_await() {
    for (steps, panics) in (0..80).flat_map(|steps| [(steps, false), (steps, true)]) {
        let bed = Bed::new();
        let sharing = bed.process();
        {
            let body = async || {
                if panics {
                    resume_unwind(Box::new(()))
                } else {
                    1
                }
            };
            let mut dropped = pin!(profile(&sharing).run(body));
            for _ in 0..steps {
                if careful_step(&mut dropped).is_ready() {
                    break;
                }
            }
        }
        let value = compute(profile(&sharing), 2);
        assert!(value == 2 || (value == 1 && !panics));
        assert_eq!(compute(profile(&bed.process()), 3), value);
    }
}
