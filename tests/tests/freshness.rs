//! Options of freshness, in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use worksharing::store::Memory;
use worksharing::testing::{Clock as _, ManualClock};
use worksharing::{Work, WorkSharing};

const TTL: Duration = Duration::from_secs(60);

struct Bed {
    clock: ManualClock,
    sharing: WorkSharing,
    bodies: Arc<AtomicUsize>,
}

impl Bed {
    fn new() -> Self {
        let clock = ManualClock::new();
        let store = Memory::new().with_clock(&clock);
        let sharing = WorkSharing::builder()
            .store(store)
            .retry_after(Duration::from_secs(20))
            .build()
            .unwrap();
        Self {
            clock,
            sharing,
            bodies: Arc::default(),
        }
    }

    fn work(&self) -> Work<usize> {
        self.sharing.work("key").ttl(TTL)
    }

    fn body(&self) -> impl FnOnce() -> usize + Send + 'static {
        let bodies = Arc::clone(&self.bodies);
        move || bodies.fetch_add(1, Ordering::SeqCst)
    }
}

#[test]
fn a_stale_value_is_served_while_a_task_computes_anew() {
    let bed = Bed::new();
    let get = || {
        let work = bed.work().stale_while_revalidate(TTL).detach();
        work.run_blocking(bed.body())
    };
    assert_eq!(get(), 0);
    assert_eq!(get(), 0);
    bed.clock.advance(TTL);
    assert_eq!(get(), 0, "the old one");
    bed.sharing.drain_blocking(Duration::from_secs(20)).unwrap();
    assert_eq!(get(), 1);
    assert_eq!(bed.sharing.stats().stale, 1);
}

#[test]
fn without_detach_the_one_who_refreshes_waits() {
    let bed = Bed::new();
    let get = || {
        bed.work()
            .stale_while_revalidate(TTL)
            .run_blocking(bed.body())
    };
    assert_eq!(get(), 0);
    bed.clock.advance(TTL);
    assert_eq!(get(), 1);
    bed.clock.advance(TTL * 2);
    assert_eq!(get(), 2, "too old to be served");
}

#[test]
fn an_older_value_stands_in_for_an_error() {
    let bed = Bed::new();
    let get = |fails: bool| {
        let body = bed.body();
        let work = bed.work().stale_if_error(TTL);
        work.try_run_blocking(|| match body() {
            _ if fails => Err("down"),
            count => Ok(count),
        })
    };
    assert_eq!(get(false), Ok(0));
    bed.clock.advance(TTL);
    assert_eq!(get(true), Ok(0));
    assert_eq!(get(true), Ok(0), "without a second try");
    assert_eq!(bed.bodies.load(Ordering::SeqCst), 2);
    bed.clock.advance(TTL);
    assert_eq!(get(true), Err("down"));
}

/// Another thread computes until it is told to end.
fn while_another_computes<R>(sharing: &WorkSharing, then: impl FnOnce() -> R) -> R {
    let (begun, begins) = channel();
    let (end, ends) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            sharing.work("key").run_blocking(move || {
                begun.send(()).unwrap();
                ends.recv().unwrap_err();
                7
            })
        });
        begins.recv().unwrap();
        let result = then();
        drop(end);
        result
    })
}

#[test]
fn who_has_waited_for_too_long_gets_what_it_asked_for() {
    let bed = Bed::new();
    let soon = Duration::from_millis(1);
    let given = while_another_computes(&bed.sharing, || {
        [
            bed.work()
                .wait(soon)
                .on_timeout(|| 100)
                .run_blocking(|| 200),
            bed.work()
                .on_timeout(|| 101)
                .wait(soon)
                .run_blocking(|| 201),
            bed.work().wait(soon).run_blocking(|| 202),
            bed.work().wait(soon).run_blocking(|| 203),
        ]
    });
    // What is computed is stored, and found by those who come later.
    assert_eq!(given, [100, 101, 202, 202]);
    assert_eq!(bed.sharing.stats().timed_out, 3);
}

#[test]
fn an_entry_tells_how_old_it_is() {
    let bed = Bed::new();
    let entry = |work: Work<usize>| {
        let entry = work.entry_blocking()?;
        Some((
            entry.value,
            entry.age.as_secs(),
            entry.time_left.as_secs(),
            entry.is_fresh,
        ))
    };
    assert_eq!(entry(bed.work()), None);
    bed.work().run_blocking(bed.body());
    assert_eq!(entry(bed.work()), Some((0, 0, 60, true)));
    bed.clock.advance(Duration::from_secs(20));
    assert_eq!(entry(bed.work()), Some((0, 20, 40, true)));
    bed.work().invalidate_blocking().unwrap();
    assert_eq!(entry(bed.work()), None);
}

#[test]
fn an_entry_is_told_of_for_as_long_as_it_could_be_served() {
    let bed = Bed::new();
    let stale = || bed.work().stale_while_revalidate(TTL);
    let spare = || bed.work().stale_if_error(TTL);
    let entry = |work: Work<usize>| {
        let entry = work.entry_blocking()?;
        Some((entry.age, entry.time_left, entry.is_fresh))
    };
    stale().run_blocking(bed.body());
    bed.clock.advance(TTL + TTL / 2);
    let old = Some((TTL + TTL / 2, Duration::ZERO, false));
    assert_eq!((entry(stale()), entry(spare())), (old, old));
    assert_eq!(entry(bed.work()), None, "it is fresh or nothing");
    bed.clock.advance(TTL / 2);
    assert_eq!((entry(stale()), entry(spare())), (None, None));
    assert_eq!(bed.bodies.load(Ordering::SeqCst), 1);
}
