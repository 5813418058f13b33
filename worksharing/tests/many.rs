//! Work of many keys at once: what is computed by whom, and that nobody holds a lead while it waits.

#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod gates;

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use worksharing::lock::Local;
use worksharing::store::Memory;
use worksharing::testing::{Clock as _, ManualClock};
use worksharing::{ManyWork, WorkSharing};

use self::gates::{GatedLock, GatedStore, MANY, careful_step, gate, run, step};

const TTL: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Processes over one store.
struct Bed {
    clock: ManualClock,
    store: Arc<Memory>,
    lock: Arc<Local>,
    /// The ids that each body was called with.
    bodies: Mutex<Vec<Vec<u64>>>,
}

impl Bed {
    fn new() -> Self {
        let clock = ManualClock::new();
        Self {
            store: Arc::new(Memory::new().with_clock(&clock)),
            clock,
            lock: Arc::new(Local::new()),
            bodies: Mutex::default(),
        }
    }

    fn process(&self) -> WorkSharing {
        WorkSharing::builder()
            .store(Arc::clone(&self.store))
            .lock(Arc::clone(&self.lock))
            .build()
            .unwrap()
    }

    fn gated(&self) -> WorkSharing {
        WorkSharing::builder()
            .store(GatedStore(Arc::clone(&self.store)))
            .lock(GatedLock(Arc::clone(&self.lock)))
            .build()
            .unwrap()
    }

    /// Squares of all but the ids that end with a nine.
    fn squares(&self, missing: Vec<u64>) -> HashMap<u64, u64> {
        let squares = missing.iter().filter(|id| *id % 10 != 9);
        let squares = squares.map(|id| (*id, id * id)).collect();
        self.bodies.lock().unwrap().push(missing);
        squares
    }

    fn bodies(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut self.bodies.lock().unwrap())
    }
}

fn of(sharing: &WorkSharing, ids: impl IntoIterator<Item = u64>) -> ManyWork<u64> {
    let many = sharing.many(ids, |id| format!("square:{id}"));
    many.with(|work, _| work.ttl(TTL))
}

fn expected(ids: impl IntoIterator<Item = u64>) -> HashMap<u64, u64> {
    let ids = ids.into_iter().filter(|id| id % 10 != 9);
    ids.map(|id| (id, id * id)).collect()
}

#[test]
fn only_what_nobody_has_is_computed() {
    let bed = Bed::new();
    let [here, there] = [bed.process(), bed.process()];
    let get = |sharing, ids: &[u64]| {
        of(sharing, ids.to_vec()).run_blocking(|missing| bed.squares(missing))
    };
    assert_eq!(get(&here, &[1, 2, 3]), expected(1..=3));
    assert_eq!(get(&there, &[3, 4, 2, 5]), expected(2..=5));
    // One that is alone is the same work.
    let alone = there.work("square:4").ttl(TTL);
    assert_eq!(alone.run_blocking(|| None), Some(16_u64));
    // An id that stands there twice, one without a value, none at all.
    assert_eq!(get(&here, &[6, 6, 9, 6]), expected([6]));
    assert_eq!(get(&here, &[9, 1]), expected([1]));
    assert_eq!(get(&here, &[]), expected([]));
    assert_eq!(
        bed.bodies(),
        [vec![1, 2, 3], vec![4, 5], vec![6, 9], vec![9]]
    );
    assert_eq!(
        of(&there, 0..8).peek_blocking::<HashMap<_, u64>>(),
        expected(1..=6)
    );
    of(&there, [1, 2]).invalidate_blocking().unwrap();
    let left: BTreeMap<_, u64> = of(&here, 0..4).peek_blocking();
    assert_eq!(left, BTreeMap::from([(3, 9)]));
}

#[test]
fn what_was_not_asked_for_is_dropped() {
    let sharing = Bed::new().process();
    let all = of(&sharing, [1]).run_blocking(|_| expected(0..5));
    assert_eq!(all, expected([1]));
    let stored: HashMap<_, u64> = of(&sharing, 0..5).peek_blocking();
    assert_eq!(stored, expected([1]));
}

#[test]
fn ten_thousand_ids_are_computed_in_turns_and_read_at_once() {
    let bed = Bed::new();
    let sharing = bed.process();
    let get = || of(&sharing, 0..10_000).run_blocking(|missing| bed.squares(missing));
    assert_eq!(get(), expected(0..10_000));
    let bodies = bed.bodies();
    assert_eq!(bodies.concat().len(), 10_000);
    assert_eq!(bodies.len(), 10);
    // Those without a value.
    assert_eq!(get(), expected(0..10_000));
    assert_eq!(bed.bodies().concat().len(), 1_000);
}

/// Each leads a part of what the other one wants, and computes it before it waits.
#[test]
fn crossed_lists_do_not_wait_for_each_other() {
    let bed = Bed::new();
    for processes in [[0, 0], [0, 1]] {
        let all = [bed.process(), bed.process()];
        let both_compute = Barrier::new(2);
        thread::scope(|scope| {
            for (process, [own, other]) in processes.into_iter().zip([[1, 2], [2, 1]]) {
                let (sharing, bed, both_compute) = (&all[process], &bed, &both_compute);
                let leads_its_own = move || {
                    let mut first = true;
                    of(sharing, [own]).run_blocking(|missing| {
                        assert!(std::mem::take(&mut first));
                        both_compute.wait();
                        let both = of(sharing, [10 + own, 10 + other]);
                        let both = both.run_blocking(|missing| bed.squares(missing));
                        assert_eq!(both, expected([10 + own, 10 + other]));
                        expected(missing)
                    })
                };
                scope.spawn(leads_its_own);
            }
        });
        let mut ids = bed.bodies().concat();
        ids.sort_unstable();
        assert_eq!(ids, [11, 12]);
        of(&all[0], [1, 2, 11, 12]).invalidate_blocking().unwrap();
    }
}

/// Two callers, polled in turns in every order that differs by when the second one begins: each id is computed once, and
/// both end.
#[test]
fn each_id_is_computed_once_however_lists_meet() {
    for head_start in 0..60 {
        for same_process in [true, false] {
            let bed = Bed::new();
            let here = bed.gated();
            let there = if same_process {
                here.clone()
            } else {
                bed.gated()
            };
            let body = async |missing: Vec<u64>| {
                for _ in 0..10 {
                    gate().await;
                }
                bed.squares(missing)
            };
            let call = |sharing, ids: [u64; 3]| Box::pin(of(sharing, ids).run(body));
            let mut calls = [call(&here, [1, 2, 3]), call(&there, [4, 3, 2])].map(Some);
            let mut returned = Vec::new();
            for polls in 0.. {
                assert!(polls < MANY, "stuck after a head start of {head_start}");
                let begun = if polls < head_start { 1 } else { 2 };
                for call in &mut calls[..begun] {
                    if let Some(pending) = call
                        && let Poll::Ready(values) = step(&mut pending.as_mut())
                    {
                        returned.push(values.len());
                        *call = None;
                    }
                }
                if calls.iter().all(Option::is_none) {
                    break;
                }
            }
            assert_eq!(returned, [3, 3]);
            let mut ids = bed.bodies().concat();
            ids.sort_unstable();
            assert_eq!(ids, [1, 2, 3, 4], "{head_start} {same_process}");
        }
    }
}

#[test]
fn a_call_may_be_dropped_at_any_await() {
    for (steps, panics) in (0..80).flat_map(|steps| [(steps, false), (steps, true)]) {
        let bed = Bed::new();
        let sharing = bed.gated();
        {
            let body = async |missing| {
                gate().await;
                assert!(!panics, "a body's panic");
                bed.squares(missing)
            };
            let mut dropped = Box::pin(of(&sharing, [1, 2]).run(body));
            for _ in 0..steps {
                if careful_step(&mut dropped.as_mut()).is_ready() {
                    break;
                }
            }
        }
        let both = run(of(&bed.gated(), [2, 1]).run(async |missing| bed.squares(missing)));
        assert_eq!(both, expected([1, 2]), "after {steps} steps");
    }
}

/// What this caller leads is computed while another one computes the rest; what that one fails to compute comes after.
#[test]
fn what_others_failed_to_compute_is_tried_again_together() {
    let bed = Bed::new();
    let [here, there] = [bed.process(), bed.process()];
    for other in [&here, &there] {
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                let failed = of(&here, 1..=5).try_run_blocking(|_| -> Result<HashMap<_, u64>, _> {
                    begun.wait();
                    while bed.bodies.lock().unwrap().is_empty() {
                        thread::yield_now();
                    }
                    Err("down")
                });
                assert_eq!(failed, Err("down"));
            });
            begun.wait();
            let all = of(other, 3..=7).run_blocking(|missing| bed.squares(missing));
            assert_eq!(all, expected(3..=7));
        });
        let bodies = bed.bodies();
        assert_eq!(bodies[0], [6, 7]);
        assert_eq!(bodies[1..].concat(), [3, 4, 5]);
        of(&here, 1..=7).invalidate_blocking().unwrap();
    }
}

/// Of one thread, where nothing is left to chance.
#[test]
fn what_others_failed_to_compute_is_one_more_batch() {
    let bed = Bed::new();
    let sharing = bed.process();
    let mut fails = Box::pin(of(&sharing, 1..=5).try_run(|_| async {
        gate().await;
        Err::<HashMap<u64, u64>, _>("down")
    }));
    let mut waits = Box::pin(of(&sharing, 3..=7).run(async |missing| {
        gate().await;
        bed.squares(missing)
    }));
    assert!(step(&mut fails.as_mut()).is_pending());
    assert!(step(&mut waits.as_mut()).is_pending());
    assert_eq!(step(&mut fails.as_mut()), Poll::Ready(Err("down")));
    assert_eq!(run(waits), expected(3..=7));
    assert_eq!(bed.bodies(), [vec![6, 7], vec![3, 4, 5]]);
}

#[test]
fn an_error_is_shared_with_those_who_take_it() {
    let sharing = Bed::new().process();
    let begun = Barrier::new(2);
    let fail = |wait: &(dyn Fn() + Sync)| {
        let many = of(&sharing, 1..=3).clone_errors();
        many.try_run_blocking(|_| -> Result<HashMap<_, u64>, String> {
            wait();
            Err("down".to_owned())
        })
    };
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            fail(&|| {
                begun.wait();
                while sharing.stats().waited < 3 {
                    thread::yield_now();
                }
            })
        });
        begun.wait();
        assert_eq!(
            fail(&|| unreachable!("it is given the other's")),
            Err("down".to_owned())
        );
        assert_eq!(leader.join().unwrap(), Err("down".to_owned()));
    });
    assert_eq!(sharing.stats().computed, 3);
}

#[test]
fn older_values_stand_in_for_an_error_if_there_is_one_of_each() {
    let bed = Bed::new();
    let sharing = bed.process();
    let get = |ids: [u64; 2], down: bool| {
        let many = of(&sharing, ids).with(|work, _| work.ttl(TTL).stale_if_error(HOUR));
        many.try_run_blocking(|missing| {
            if down {
                Err("down")
            } else {
                Ok(bed.squares(missing))
            }
        })
    };
    assert_eq!(get([1, 2], false), Ok(expected([1, 2])));
    bed.clock.advance(TTL);
    assert_eq!(get([1, 2], true), Ok(expected([1, 2])));
    assert_eq!(get([2, 3], true), Err("down"));
}

#[test]
fn a_panic_is_that_of_its_caller() {
    let bed = Bed::new();
    let sharing = bed.process();
    let panics =
        || of(&sharing, [1, 2]).run_blocking(|_| -> HashMap<_, u64> { panic!("a body's panic") });
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    let all = of(&sharing, [1, 2]).run_blocking(|missing| bed.squares(missing));
    assert_eq!(all, expected([1, 2]));
}

/// A body that asks for one of its own ids computes it inline.
#[test]
fn a_body_may_ask_for_its_own_ids() {
    let bed = Bed::new();
    let sharing = bed.process();
    let all = of(&sharing, [1, 2]).run_blocking(|missing| {
        let inner = of(&sharing, [2, 5]).run_blocking(|missing| bed.squares(missing));
        assert_eq!(inner, expected([2, 5]));
        bed.squares(missing)
    });
    assert_eq!(all, expected([1, 2]));
    assert_eq!(bed.bodies(), [vec![2, 5], vec![1, 2]]);
}

#[test]
fn futures_may_move_between_threads() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    let bed = Bed::new();
    let sharing = bed.process();
    let plain = send(of(&sharing, [1]).run(async |missing| bed.squares(missing)));
    assert_eq!(run(plain), expected([1]));
    let fallible = of(&sharing, [2]);
    let fallible = send(fallible.try_run(|missing| {
        let bed = &bed;
        async move { Ok::<_, String>(bed.squares(missing)) }
    }));
    assert_eq!(run(fallible), Ok(expected([2])));
}
