//! What becomes of errors, in one process: `share_err`, `cache_err`, clones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tests::Log;
use worksharing::lock::{Caller, Local, Lock, LockGuard, Waiter};
use worksharing::store::Memory;
use worksharing::testing::{Clock as _, ManualClock};
use worksharing::{BoxFuture, Error, Key, Work, WorkSharing};

const TTL: Duration = Duration::from_secs(60);
const ERROR_TTL: Duration = Duration::from_secs(5);

/// Neither `Clone` nor `Sync`.
#[derive(Debug, PartialEq)]
enum Opaque {
    Own(std::cell::Cell<u32>),
    Shared(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Down {
    For(u32),
    Shared(Box<Down>),
}

/// An error that knows whether it was stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Marked {
    #[serde(skip)]
    is_computed_here: bool,
}

/// Work with errors that are stored.
macro_rules! cached {
    ($sharing:expr) => {
        $sharing.work::<u32>("key").ttl(TTL).cache_err(ERROR_TTL)
    };
}

/// Several runtimes over one store and one clock, as processes are.
struct Bed {
    clock: ManualClock,
    store: Arc<Memory>,
    lock: Arc<Local>,
    sharing: WorkSharing,
    bodies: AtomicUsize,
}

impl Bed {
    fn new() -> Self {
        let clock = ManualClock::new();
        let store = Arc::new(Memory::new().with_clock(&clock));
        let lock = Arc::new(Local::new());
        Self {
            sharing: beside(&store, &lock),
            clock,
            store,
            lock,
            bodies: AtomicUsize::new(0),
        }
    }

    fn other_process(&self) -> WorkSharing {
        beside(&self.store, &self.lock)
    }

    fn work(&self) -> Work<u32> {
        self.sharing.work("key").ttl(TTL)
    }

    fn bodies(&self) -> usize {
        self.bodies.load(Ordering::SeqCst)
    }

    fn fail(&self) -> Result<u32, Down> {
        let body = self.bodies.fetch_add(1, Ordering::SeqCst);
        Err(Down::For(u32::try_from(body).unwrap()))
    }

    fn succeed(&self) -> Result<u32, Down> {
        let body = self.bodies.fetch_add(1, Ordering::SeqCst);
        Ok(u32::try_from(body).unwrap())
    }

    /// So many callers at once, whose one leader's body ends only when all the others wait.
    fn wave<R: Send>(&self, callers: u64, call: impl Fn(&dyn Fn()) -> R + Sync) -> Vec<R> {
        let before = self.sharing.stats().waited;
        let all_wait = || {
            while self.sharing.stats().waited - before < callers - 1 {
                thread::yield_now();
            }
        };
        thread::scope(|scope| {
            let callers: Vec<_> = (0..callers)
                .map(|_| scope.spawn(|| call(&all_wait)))
                .collect();
            callers
                .into_iter()
                .map(|caller| caller.join().unwrap())
                .collect()
        })
    }
}

fn beside(store: &Arc<Memory>, lock: &Arc<Local>) -> WorkSharing {
    let builder = WorkSharing::builder()
        .store(Arc::clone(store))
        .lock(Arc::clone(lock));
    builder
        .retry_after(Duration::from_secs(20))
        .build()
        .unwrap()
}

// Case 38.
#[test]
fn a_closure_shares_what_cannot_be_cloned() {
    let bed = Bed::new();
    let prefix = String::from("shared");
    let outcomes = bed.wave(50, |all_wait| {
        let work = bed
            .work()
            .share_err(|error: &Opaque| Opaque::Shared(format!("{prefix}: {error:?}")));
        work.try_run_blocking(|| {
            let body = bed.bodies.fetch_add(1, Ordering::SeqCst);
            all_wait();
            Err(Opaque::Own(std::cell::Cell::new(
                u32::try_from(body).unwrap(),
            )))
        })
    });
    assert_eq!(bed.bodies(), 1);
    let own = Opaque::Own(std::cell::Cell::new(0));
    let shared = Opaque::Shared(format!("shared: {own:?}"));
    let count = |expected: &Opaque| {
        let same = outcomes
            .iter()
            .filter(|outcome| outcome.as_ref() == Err(expected));
        same.count()
    };
    assert_eq!((count(&own), count(&shared)), (1, 49), "{outcomes:?}");
}

#[test]
fn clones_go_to_all_who_waited() {
    let bed = Bed::new();
    let outcomes = bed.wave(50, |all_wait| {
        bed.work().clone_errors().try_run_blocking(|| {
            all_wait();
            bed.fail()
        })
    });
    assert!(outcomes.iter().all(|outcome| *outcome == Err(Down::For(0))));
    assert_eq!(bed.bodies(), 1);
    assert_eq!(bed.sharing.stats().shared, 49);
}

#[test]
fn a_stored_error_is_for_all_processes_until_it_runs_out() {
    let bed = Bed::new();
    let get = |sharing: &WorkSharing| cached!(sharing).try_run_blocking(|| bed.fail());
    let other = bed.other_process();
    for sharing in [&bed.sharing, &bed.sharing, &other] {
        assert_eq!(get(sharing), Err(Down::For(0)));
    }
    assert_eq!((bed.sharing.stats().hits, other.stats().hits), (1, 1));
    bed.clock.advance(ERROR_TTL - Duration::from_millis(1));
    assert_eq!(get(&other), Err(Down::For(0)));
    // It is kept for longer, for the fence.
    bed.clock.advance(Duration::from_millis(1));
    assert_eq!(get(&other), Err(Down::For(1)));
    assert_eq!(get(&bed.sharing), Err(Down::For(1)));
    assert_eq!(other.stats().unreadable, 0);
}

#[test]
fn followers_are_given_what_is_stored() {
    let bed = Bed::new();
    // A clone would be marked as one.
    let outcomes = bed.wave(20, |all_wait| {
        let work = cached!(&bed.sharing).clone_errors();
        work.try_run_blocking(|| {
            all_wait();
            Err(Marked {
                is_computed_here: true,
            })
        })
    });
    let of = |is_computed_here| {
        let expected = Err(Marked { is_computed_here });
        let same = outcomes.iter().filter(|outcome| **outcome == expected);
        same.count()
    };
    assert_eq!((of(true), of(false)), (1, 19));
}

#[test]
fn a_closure_goes_before_what_is_stored() {
    let bed = Bed::new();
    let get = |all_wait: &dyn Fn()| {
        let work = cached!(&bed.sharing);
        let work = work.share_err(|error: &Down| Down::Shared(Box::new(error.clone())));
        work.try_run_blocking(|| {
            all_wait();
            bed.fail()
        })
    };
    let outcomes = bed.wave(5, get);
    let shared = Err(Down::Shared(Box::new(Down::For(0))));
    let shared = outcomes
        .iter()
        .filter(|outcome| **outcome == shared)
        .count();
    assert_eq!(shared, 4, "each once");
    assert_eq!(get(&|| ()), Err(Down::For(0)), "the stored one");
    assert_eq!(bed.bodies(), 1);
}

#[test]
fn an_error_is_stored_for_as_long_as_it_says() {
    let bed = Bed::new();
    let get = || {
        let work = bed.work().cache_err_by(|error: &Down| match error {
            Down::For(0) => Duration::ZERO,
            _ => Duration::from_secs(30),
        });
        work.try_run_blocking(|| bed.fail())
    };
    assert_eq!(get(), Err(Down::For(0)));
    assert_eq!(get(), Err(Down::For(1)), "that one was not stored");
    bed.clock.advance(Duration::from_secs(29));
    assert_eq!(get(), Err(Down::For(1)));
    bed.clock.advance(Duration::from_secs(1));
    assert_eq!(get(), Err(Down::For(2)));
    assert_eq!(bed.sharing.stats().stored, 2);
}

#[test]
fn who_does_not_read_errors_computes() {
    let bed = Bed::new();
    let with = || cached!(&bed.sharing).try_run_blocking(|| bed.fail());
    assert_eq!(with(), Err(Down::For(0)));
    assert_eq!(bed.work().peek_blocking(), None);
    let without = bed.work().try_run_blocking(|| bed.succeed());
    assert_eq!(without, Ok(1));
    assert_eq!(with(), Ok(1), "the newest counts");
    assert_eq!(
        bed.sharing.stats().unreadable,
        0,
        "nothing is wrong with it"
    );
}

#[test]
fn an_error_is_invalidated_and_refreshed_like_a_value() {
    let bed = Bed::new();
    let work = || cached!(&bed.sharing);
    assert_eq!(work().try_run_blocking(|| bed.fail()), Err(Down::For(0)));
    work().invalidate_blocking().unwrap();
    assert_eq!(work().try_run_blocking(|| bed.fail()), Err(Down::For(1)));
    let refresh = work().force_refresh(true);
    assert_eq!(refresh.try_run_blocking(|| bed.succeed()), Ok(2));
    assert_eq!(work().peek_blocking(), Some(2));
}

#[test]
fn an_invalidation_keeps_the_error_of_a_body_under_way_out() {
    let bed = Bed::new();
    let get = || {
        cached!(&bed.sharing).try_run_blocking(|| {
            bed.work().invalidate_blocking().unwrap();
            bed.fail()
        })
    };
    assert_eq!(get(), Err(Down::For(0)));
    assert_eq!(get(), Err(Down::For(1)));
    assert_eq!(bed.sharing.stats().refused, 2);
}

// Which would be lost by it.
#[test]
fn no_error_is_put_over_a_value_that_can_be_served() {
    let bed = Bed::new();
    let work = || cached!(&bed.sharing).stale_if_error(TTL);
    assert_eq!(work().try_run_blocking(|| bed.succeed()), Ok(0));
    let refresh = || work().force_refresh(true).try_run_blocking(|| bed.fail());
    assert_eq!(refresh(), Err(Down::For(1)), "it was asked for");
    assert_eq!(work().peek_blocking(), Some(0), "fresh");
    bed.clock.advance(TTL);
    assert_eq!(refresh(), Err(Down::For(2)));
    assert_eq!(work().try_run_blocking(|| bed.fail()), Ok(0));
    assert_eq!(bed.sharing.stats().stored, 1);
    // Of a process that has not just failed.
    let other = bed.other_process();
    let stale = cached!(&other).stale_if_error(TTL);
    assert_eq!(stale.try_run_blocking(|| bed.fail()), Ok(0));
    assert_eq!(bed.bodies(), 4);
    // Nobody needs the value any more.
    bed.clock.advance(TTL);
    assert_eq!(work().try_run_blocking(|| bed.fail()), Err(Down::For(4)));
    assert_eq!(work().try_run_blocking(|| bed.fail()), Err(Down::For(4)));
    assert_eq!(bed.sharing.stats().stored, 2);
}

#[test]
fn a_stored_error_has_no_stale_phase_and_is_not_refreshed_early() {
    let bed = Bed::new();
    let get = || {
        let work = cached!(&bed.sharing);
        let work = work.stale_while_revalidate(TTL).early_refresh(1e9);
        work.stale_if_error(TTL).try_run_blocking(|| bed.fail())
    };
    assert_eq!(get(), Err(Down::For(0)));
    bed.clock.advance(ERROR_TTL - Duration::from_millis(1));
    assert_eq!(get(), Err(Down::For(0)));
    bed.clock.advance(Duration::from_millis(1));
    assert_eq!(get(), Err(Down::For(1)));
    assert_eq!(bed.sharing.stats().stale, 0);
}

#[test]
fn another_structure_of_an_error_is_a_miss() {
    mod newer {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub(super) enum Down {
            For { seconds: u32 },
        }
    }
    let bed = Bed::new();
    let older = || cached!(&bed.sharing).try_run_blocking(|| bed.fail());
    let newer = || {
        let error = newer::Down::For { seconds: 7 };
        cached!(&bed.sharing).try_run_blocking(|| Err(error))
    };
    assert_eq!(older(), Err(Down::For(0)));
    let expected = Err(newer::Down::For { seconds: 7 });
    assert_eq!(newer(), expected);
    // Side by side, as while both are deployed.
    assert_eq!(older(), Err(Down::For(0)));
    assert_eq!(newer(), expected);
    let versioned = cached!(&bed.sharing).version(2);
    assert_eq!(versioned.try_run_blocking(|| bed.fail()), Err(Down::For(1)));
}

#[test]
fn an_error_and_the_value_of_another_version_stand_side_by_side() {
    let bed = Bed::new();
    let work = |version| cached!(&bed.sharing).version(version);
    let value = || work(1).try_run_blocking(|| bed.succeed());
    let error = || work(2).try_run_blocking(|| bed.fail());
    assert_eq!(value(), Ok(0));
    assert_eq!(error(), Err(Down::For(1)));
    assert_eq!((value(), error()), (Ok(0), Err(Down::For(1))));
    bed.clock.advance(ERROR_TTL);
    assert_eq!(value(), Ok(0));
    // A new value takes the place of the error, and the error's of the value, but not of the other version's.
    assert_eq!(work(2).try_run_blocking(|| bed.succeed()), Ok(2));
    assert_eq!((value(), error()), (Ok(0), Ok(2)));
    work(1).invalidate_blocking().unwrap();
    assert_eq!(error(), Err(Down::For(3)));
}

#[test]
fn a_closure_that_panics_leaves_the_error_to_its_caller() {
    let bed = Bed::new();
    let outcomes = bed.wave(3, |all_wait| {
        let work = bed.work().share_err(|_: &Down| panic!("of the closure"));
        work.try_run_blocking(|| {
            if bed.bodies() == 0 {
                all_wait();
            }
            bed.fail()
        })
    });
    assert_eq!(bed.bodies(), 3, "one after the other");
    for body in 0..3 {
        assert!(outcomes.contains(&Err(Down::For(body))), "{outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_detached_computations_are_shared_and_stored() {
    let bed = Bed::new();
    let reason = String::from("no clone of it is needed");
    let work = cached!(&bed.sharing);
    let work =
        work.share_err(move |_: &Down| Down::Shared(Box::new(Down::For(reason.len() as u32))));
    let error = work.detach().try_run(|| async { Err(Down::For(7)) }).await;
    assert_eq!(error, Err(Down::For(7)));
    let work = cached!(&bed.sharing).detach();
    let stored = tokio::task::spawn_blocking(|| {
        work.try_run_blocking(|| -> Result<u32, Down> { unreachable!("it is stored") })
    });
    assert_eq!(stored.await.unwrap(), Err(Down::For(7)));
}

/// Callers of one process whose errors are their own, so that they compute one after the other. `all_wait` ends once
/// all who call wait.
fn convoy(
    bed: &Bed,
    sharing: &WorkSharing,
    callers: usize,
    log: &Log,
    all_wait: &(dyn Fn() + Sync),
) {
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                let _logs = tracing::subscriber::set_default(log.subscriber());
                let outcome = sharing.work("key").try_run_blocking(|| {
                    all_wait();
                    bed.fail()
                });
                assert!(outcome.is_err());
            });
        }
    });
}

fn advice(log: &Log) -> Vec<String> {
    let text = log.text();
    let lines = text
        .lines()
        .filter(|line| line.contains("left nothing to share"));
    lines.map(str::to_owned).collect()
}

#[test]
fn who_waits_through_three_failures_is_advised_once() {
    for (callers, advised) in [(3, 0), (4, 1), (7, 1)] {
        let (bed, log) = (Bed::new(), Log::default());
        let all_wait = || {
            while bed.sharing.stats().waited < callers as u64 - 1 {
                thread::yield_now();
            }
        };
        convoy(&bed, &bed.sharing, callers, &log, &all_wait);
        assert_eq!(bed.bodies(), callers);
        let advice = advice(&log);
        assert_eq!(advice.len(), advised, "{advice:?}");
        assert!(
            advice
                .iter()
                .all(|line| line.contains("failures=3") && line.contains("cache_err"))
        );
    }
}

#[test]
fn failures_of_other_processes_count_for_all_who_wait_for_their_lock() {
    let (bed, log) = (Bed::new(), Log::default());
    let other = bed.other_process();
    let all_wait = || {
        while other.stats().waited < 3 {
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| convoy(&bed, &bed.sharing, 1, &log, &all_wait));
        while bed.sharing.stats().computed == 0 {
            thread::yield_now();
        }
        convoy(&bed, &other, 3, &log, &|| ());
    });
    assert_eq!(bed.bodies(), 4);
    assert_eq!(advice(&log).len(), 1, "{}", log.text());
}

#[test]
fn nobody_is_advised_who_waits_for_what_can_be_shared() {
    let (bed, log) = (Bed::new(), Log::default());
    for _ in 0..4 {
        let outcomes = bed.wave(5, |all_wait| {
            let _logs = tracing::subscriber::set_default(log.subscriber());
            bed.work().clone_errors().try_run_blocking(|| {
                all_wait();
                bed.fail()
            })
        });
        assert!(outcomes.iter().all(Result::is_err));
    }
    assert_eq!(bed.bodies(), 4);
    assert_eq!(log.text(), "");
}

/// Wakes its waiters ten times for nothing, as a poll does.
#[derive(Debug)]
struct Restless {
    lock: Local,
    wakes: Arc<AtomicUsize>,
}

struct RestlessWaiter {
    wakes: Arc<AtomicUsize>,
    inner: Box<dyn Waiter>,
}

impl Lock for Restless {
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        self.lock.try_lock(key, caller)
    }

    fn register_waiter<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        Box::pin(async {
            let inner = self.lock.register_waiter(key).await?;
            let wakes = Arc::clone(&self.wakes);
            Ok(Box::new(RestlessWaiter { wakes, inner }) as Box<dyn Waiter>)
        })
    }
}

impl Waiter for RestlessWaiter {
    fn woken(&mut self) -> BoxFuture<'_, Result<Option<LockGuard>, Error>> {
        if self.wakes.fetch_add(1, Ordering::SeqCst) < 10 {
            Box::pin(async { Ok(None) })
        } else {
            self.inner.woken()
        }
    }
}

#[test]
fn nobody_is_advised_who_waits_for_one_computation_and_looks_now_and_then() {
    let (store, wakes) = (Arc::new(Memory::new()), Arc::<AtomicUsize>::default());
    let lock = Arc::new(Restless {
        lock: Local::new(),
        wakes: Arc::clone(&wakes),
    });
    let process = || {
        let builder = WorkSharing::builder().store(Arc::clone(&store));
        builder.lock(Arc::clone(&lock)).build().unwrap()
    };
    let ([ours, theirs], log) = ([process(), process()], Log::default());
    thread::scope(|scope| {
        let (begun, begins) = channel();
        scope.spawn(move || {
            let failed = ours.work::<u32>("key").try_run_blocking(|| {
                begun.send(()).unwrap();
                while wakes.load(Ordering::SeqCst) <= 10 {
                    thread::yield_now();
                }
                Err("nothing")
            });
            failed.unwrap_err()
        });
        begins.recv().unwrap();
        let _logs = tracing::subscriber::set_default(log.subscriber());
        theirs.work("key").run_blocking(|| 1);
    });
    assert_eq!(advice(&log), [""; 0]);
}
