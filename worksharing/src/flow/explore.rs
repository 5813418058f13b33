//! The whole flow under shuttle, over the store in memory and the lock in the process: two runtimes that share
//! them are two processes, whose waiters and wake-ups meet in every order that shuttle can think of.
//!
//! Run by `cargo test -p worksharing --features __shuttle`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::thread;

use crate::lock::{Caller as LockCaller, Local, Lock as _};
use crate::store::Memory;
use crate::{Key, WorkSharing};

/// What one caller does.
#[derive(Clone, Copy)]
enum Caller {
    Computes,
    Fails,
    Refreshes,
    Invalidates,
    /// Twice: stores a value that is stale at once, or is served one that it may have to compute anew.
    Revalidates,
}
use Caller::{Computes, Fails, Invalidates, Refreshes, Revalidates};

#[derive(Default)]
struct Counts {
    running: AtomicUsize,
    computed: AtomicUsize,
}

impl Counts {
    fn body(&self, fails: bool) -> Result<u8, ()> {
        assert_eq!(
            self.running.fetch_add(1, Ordering::SeqCst),
            0,
            "two compute at once"
        );
        self.computed.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        self.running.fetch_sub(1, Ordering::SeqCst);
        if fails { Err(()) } else { Ok(7) }
    }
}

async fn call(process: WorkSharing, caller: Caller, counts: Arc<Counts>) {
    let work = process.work::<u8>("key");
    match caller {
        Computes => assert_eq!(work.try_run(async || counts.body(false)).await, Ok(7)),
        // Another one's value, if there is one.
        Fails => assert_ne!(work.try_run(async || counts.body(true)).await, Ok(0)),
        Refreshes => {
            let refreshed = work
                .force_refresh(true)
                .try_run(async || counts.body(false))
                .await;
            assert_eq!(refreshed, Ok(7));
        }
        Invalidates => work.invalidate().await.unwrap(),
        Revalidates => {
            for _ in 0..2 {
                let work = process
                    .work::<u8>("key")
                    .ttl(Duration::from_micros(1))
                    .stale_while_revalidate(Duration::from_secs(60));
                assert_eq!(work.try_run(async || counts.body(false)).await, Ok(7));
            }
        }
    }
}

/// Runs callers in two processes, in many schedules. `computed` is how many bodies may have run.
fn explore(callers: &'static [(usize, Caller)], computed: std::ops::RangeInclusive<usize>) {
    let run = move || {
        let (store, lock) = (Arc::<Memory>::default(), Arc::<Local>::default());
        let process = || {
            WorkSharing::builder()
                .store(Arc::clone(&store))
                .lock(Arc::clone(&lock))
                .build()
                .unwrap()
        };
        let processes = [process(), process()];
        let counts = Arc::new(Counts::default());
        let threads: Vec<_> = callers
            .iter()
            .map(|(process, caller)| {
                let call = call(processes[*process].clone(), *caller, Arc::clone(&counts));
                thread::spawn(move || block_on(call))
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        let bodies = counts.computed.load(Ordering::SeqCst);
        assert!(computed.contains(&bodies), "{bodies} bodies ran");
        let free = block_on(lock.try_lock(&Key::new("key"), LockCaller::Outermost)).unwrap();
        assert!(free.is_some(), "the lock is left behind");
    };
    shuttle::check_pct(run.clone(), 500, 3);
    shuttle::check_random(run, 1_000);
}

#[test]
fn computed_once_by_two_processes() {
    explore(
        &[(0, Computes), (0, Computes), (1, Computes), (1, Computes)],
        1..=1,
    );
}

#[test]
fn a_failure_wakes_a_successor_in_either_process() {
    explore(
        &[(0, Fails), (0, Computes), (1, Fails), (1, Computes)],
        1..=3,
    );
}

#[test]
fn failures_everywhere_end() {
    explore(&[(0, Fails), (0, Fails), (1, Fails)], 3..=3);
}

#[test]
fn refreshes_take_turns_with_everybody() {
    explore(
        &[(0, Refreshes), (0, Computes), (1, Refreshes), (1, Computes)],
        2..=3,
    );
}

/// One at a time, whoever else is served or waits meanwhile.
#[test]
fn stale_values_are_computed_anew_by_one_at_a_time() {
    explore(
        &[(0, Revalidates), (0, Revalidates), (1, Revalidates)],
        1..=6,
    );
    explore(
        &[(0, Revalidates), (0, Invalidates), (1, Revalidates)],
        1..=4,
    );
}

#[test]
fn invalidations_disturb_nobody() {
    explore(
        &[
            (0, Computes),
            (0, Invalidates),
            (1, Computes),
            (1, Computes),
        ],
        1..=3,
    );
}
