//! The flight under shuttle, which tries schedules of its threads at random and by priority.
//!
//! Run by `cargo test -p worksharing --features __shuttle`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use shuttle::future::block_on;
use shuttle::thread;

use super::*;

const KEY: Digest = [7; 16];

/// How one caller's computation ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Value,
    Failure,
}

/// What became of a caller.
#[derive(Debug, PartialEq)]
enum Outcome {
    Computed,
    Followed,
    Failed,
}

/// One caller: leads or follows until it has a value, or has computed.
async fn call(flights: Arc<Flights>, end: End, computing: Arc<AtomicUsize>) -> Outcome {
    let mut leader = match flights.join(KEY) {
        Role::Leader(leader) => leader,
        Role::Follower(follower) => match follower.await {
            Landing::Value(_) => return Outcome::Followed,
            Landing::Lead(leader) => leader,
        },
    };
    assert_eq!(
        computing.fetch_add(1, Ordering::SeqCst),
        0,
        "two compute at once"
    );
    thread::yield_now();
    computing.fetch_sub(1, Ordering::SeqCst);
    match end {
        Value => {
            leader.land_on_drop(Bytes::from_static(b"value"));
            Outcome::Computed
        }
        Failure => Outcome::Failed,
    }
}
use End::{Failure, Value};

fn explore(callers: &'static [End], check: fn(&[Outcome])) {
    let run = move || {
        let flights = Arc::new(Flights::default());
        let computing = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = callers
            .iter()
            .map(|end| {
                let call = call(Arc::clone(&flights), *end, Arc::clone(&computing));
                thread::spawn(move || block_on(call))
            })
            .collect();
        let outcomes: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect();
        check(&outcomes);
        assert!(lock(&flights.0).is_empty(), "a flight is left behind");
    };
    shuttle::check_pct(run, 1_000, 3);
    shuttle::check_random(run, 2_000);
}

fn count(outcomes: &[Outcome], outcome: Outcome) -> usize {
    outcomes.iter().filter(|other| **other == outcome).count()
}

#[test]
fn everybody_is_served_and_two_never_compute_at_once() {
    explore(&[Value, Value, Value], |outcomes| {
        assert!(count(outcomes, Outcome::Computed) >= 1);
        assert_eq!(count(outcomes, Outcome::Failed), 0);
    });
}

#[test]
fn after_a_failure_a_follower_takes_over() {
    explore(&[Failure, Value, Failure, Value], |outcomes| {
        assert!(count(outcomes, Outcome::Computed) >= 1);
        assert!(count(outcomes, Outcome::Failed) <= 2);
    });
}

#[test]
fn failures_only_end_one_after_another() {
    explore(&[Failure, Failure, Failure], |outcomes| {
        assert_eq!(count(outcomes, Outcome::Failed), 3);
    });
}

/// A follower that goes away, at whatever moment, passes the lead on if it was given it.
#[test]
fn a_dropped_follower_does_not_take_the_lead_with_it() {
    let run = || {
        let flights = Arc::new(Flights::default());
        let Role::Leader(leader) = flights.join(KEY) else {
            panic!("nobody else leads")
        };
        let Role::Follower(first) = flights.join(KEY) else {
            panic!("the first leads")
        };
        let Role::Follower(second) = flights.join(KEY) else {
            panic!("the first leads")
        };
        let failing = thread::spawn(move || drop(leader));
        let leaving = thread::spawn(move || drop(first));
        let Landing::Lead(leader) = block_on(second) else {
            panic!("nobody landed a value")
        };
        failing.join().unwrap();
        leaving.join().unwrap();
        drop(leader);
        assert!(lock(&flights.0).is_empty(), "a flight is left behind");
    };
    shuttle::check_pct(run, 2_000, 3);
    shuttle::check_random(run, 4_000);
}

/// Whoever asks after an invalidation is not given what was begun before it.
#[test]
fn a_forgotten_flight_lands_for_its_own_followers_only() {
    let run = || {
        let flights = Arc::new(Flights::default());
        let Role::Leader(mut old) = flights.join(KEY) else {
            panic!("nobody else leads")
        };
        let Role::Follower(follower) = flights.join(KEY) else {
            panic!("the old one leads")
        };
        flights.forget(&KEY);
        let Role::Leader(new) = flights.join(KEY) else {
            panic!("the old flight is forgotten")
        };
        let landing = thread::spawn(move || {
            old.land_on_drop(Bytes::from_static(b"old"));
        });
        let Landing::Value(value) = block_on(follower) else {
            panic!("it landed")
        };
        assert_eq!(value, "old");
        landing.join().unwrap();
        let Role::Follower(_) = flights.join(KEY) else {
            panic!("the new flight is under way")
        };
        drop(new);
        assert!(lock(&flights.0).is_empty(), "a flight is left behind");
    };
    shuttle::check_random(run, 2_000);
}
