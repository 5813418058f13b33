//! The flight under shuttle, which tries schedules of its threads at random and by priority.
//!
//! Run by `cargo test -p worksharing --features __shuttle`.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use shuttle::future::block_on;
use shuttle::thread;

use super::super::landing::{Origin, Outcomes};
use super::*;
use crate::payload::entry::EntryId;

const KEY: Digest = [7; 16];
const SAW_NOTHING: Joiner = Joiner {
    saw: Some(EntryId::NONE),
    tags: Some(0),
    refresh: false,
    takes_older: false,
};

/// What a leader lands that saw this in its look.
fn computed(look: u64, seen: EntryId) -> Landing {
    Landing {
        outcomes: Outcomes::Entry(Bytes::from_static(b"value")),
        look,
        tags: Some(0),
        origin: Origin::Computed { seen: Some(seen) },
    }
}

fn lead(flights: &Arc<Flights>) -> Leader {
    match flights.join(KEY, SAW_NOTHING) {
        Role::Leader(leader) => leader,
        Role::Follower(_) => panic!("somebody else leads"),
    }
}

fn follow(flights: &Arc<Flights>, joiner: Joiner) -> Follower {
    match flights.join(KEY, joiner) {
        Role::Leader(_) => panic!("nobody leads"),
        Role::Follower(follower) => follower,
    }
}

/// What one caller does.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// Its computation lands a value.
    Value,
    /// Its computation fails.
    Failure,
    /// It refreshes, if nobody leads.
    Refresh,
    /// It would refresh, but finds the lock busy.
    Busy,
    /// It gives up, be it as a leader that waits for the lock or as a follower, perhaps a successor.
    TimedOut,
}

/// What became of a caller.
#[derive(Debug, PartialEq)]
enum Fate {
    Computed,
    Followed,
    Failed,
    /// It goes without the others.
    Left,
}

/// Leads, or follows until it leads; else this becomes of it.
async fn leader(flights: &Arc<Flights>, end: End) -> Result<Leader, Fate> {
    if let Refresh | Busy = end {
        return flights.try_lead(KEY).ok_or(Fate::Left);
    }
    match flights.join(KEY, SAW_NOTHING) {
        Role::Leader(leader) => Ok(leader),
        Role::Follower(follower) if end == TimedOut => {
            poll_twice(follower).await;
            Err(Fate::Left)
        }
        Role::Follower(follower) => match follower.await {
            Turn::Served(_) => Err(Fate::Followed),
            Turn::Lead(leader) => Ok(leader),
        },
    }
}

/// Lets go of what it is given in the end, or of the place in the flight.
async fn poll_twice(follower: Follower) {
    let mut follower = pin!(follower);
    for _ in 0..2 {
        thread::yield_now();
        let polled = poll_fn(|context| Poll::Ready(follower.as_mut().poll(context))).await;
        if polled.is_ready() {
            return;
        }
        follower.awaits_detached_body();
    }
}

/// One caller: leads or follows until it has a value, or has computed, or leaves.
async fn call(flights: Arc<Flights>, end: End, computing: Arc<AtomicUsize>) -> Fate {
    let leader = match leader(&flights, end).await {
        Ok(leader) => leader,
        Err(fate) => return fate,
    };
    if let Busy | TimedOut = end {
        return Fate::Left;
    }
    let look = leader.begin_look();
    assert_eq!(
        computing.fetch_add(1, Ordering::SeqCst),
        0,
        "two compute at once"
    );
    thread::yield_now();
    computing.fetch_sub(1, Ordering::SeqCst);
    match end {
        Failure => Fate::Failed,
        _ => {
            leader.land(computed(look, EntryId::NONE));
            Fate::Computed
        }
    }
}
use End::{Busy, Failure, Refresh, TimedOut, Value};

fn explore(callers: &'static [End], check: fn(&[Fate])) {
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

fn count(outcomes: &[Fate], outcome: Fate) -> usize {
    outcomes.iter().filter(|other| **other == outcome).count()
}

#[test]
fn everybody_is_served_and_two_never_compute_at_once() {
    explore(&[Value, Value, Value], |outcomes| {
        assert!(count(outcomes, Fate::Computed) >= 1);
        assert_eq!(count(outcomes, Fate::Failed), 0);
    });
}

#[test]
fn after_a_failure_a_follower_takes_over() {
    explore(&[Failure, Value, Failure, Value], |outcomes| {
        assert!(count(outcomes, Fate::Computed) >= 1);
        assert!(count(outcomes, Fate::Failed) <= 2);
    });
}

#[test]
fn failures_only_end_one_after_another() {
    explore(&[Failure, Failure, Failure], |outcomes| {
        assert_eq!(count(outcomes, Fate::Failed), 3);
    });
}

/// Whoever joins the lead of a refresh is served by it or, if it comes to nothing, by the next.
#[test]
fn refreshes_lead_only_where_nobody_does() {
    explore(&[Refresh, Value, Refresh, Value], |outcomes| {
        assert!(count(outcomes, Fate::Computed) >= 1);
        assert_eq!(count(outcomes, Fate::Failed), 0);
    });
    explore(&[Busy, Value, Busy, Value], |outcomes| {
        assert!(count(outcomes, Fate::Computed) >= 1);
        assert_eq!(count(outcomes, Fate::Left), 2);
    });
}

/// Also as successors that have been polled, or not.
#[test]
fn those_who_give_up_leave_the_others_a_leader() {
    explore(&[Failure, TimedOut, TimedOut, Value], |outcomes| {
        assert_eq!(count(outcomes, Fate::Left), 2);
        assert!(count(outcomes, Fate::Computed) + count(outcomes, Fate::Failed) >= 1);
    });
    explore(&[Busy, TimedOut, Value, Refresh], |outcomes| {
        assert!(count(outcomes, Fate::Computed) >= 1);
    });
}

/// A follower that goes away, at whatever moment, passes the lead on if it was given it.
#[test]
fn a_dropped_follower_does_not_take_the_lead_with_it() {
    let run = || {
        let flights = Arc::new(Flights::default());
        let leader = lead(&flights);
        let first = follow(&flights, SAW_NOTHING);
        let second = follow(&flights, SAW_NOTHING);
        let failing = thread::spawn(move || drop(leader));
        let leaving = thread::spawn(move || drop(first));
        let Turn::Lead(leader) = block_on(second) else {
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
fn a_superseded_flight_lands_for_its_own_followers_only() {
    let run = || {
        let flights = Arc::new(Flights::default());
        let old = lead(&flights);
        let follower = follow(&flights, SAW_NOTHING);
        let look = old.begin_look();
        flights.supersede(&KEY);
        let new = lead(&flights);
        let landing = thread::spawn(move || old.land(computed(look, EntryId::NONE)));
        assert!(matches!(block_on(follower), Turn::Served(_)));
        landing.join().unwrap();
        drop(follow(&flights, SAW_NOTHING));
        drop(new);
        assert!(lock(&flights.0).is_empty(), "a flight is left behind");
    };
    shuttle::check_random(run, 2_000);
}

/// Who joined after the leader's look and saw something else leads next.
#[test]
fn a_late_follower_that_saw_something_else_is_not_served() {
    let run = || {
        let flights = Arc::new(Flights::default());
        let leader = lead(&flights);
        let early = follow(&flights, SAW_NOTHING);
        let look = leader.begin_look();
        let saw = Some(EntryId::random());
        let late = follow(
            &flights,
            Joiner {
                takes_older: false,
                saw,
                tags: Some(0),
                refresh: false,
            },
        );
        let same = follow(&flights, SAW_NOTHING);
        let landing = thread::spawn(move || leader.land(computed(look, EntryId::NONE)));
        assert!(matches!(block_on(early), Turn::Served(_)));
        assert!(matches!(block_on(same), Turn::Served(_)));
        let Turn::Lead(next) = block_on(late) else {
            panic!("it was given what is older than what it saw")
        };
        landing.join().unwrap();
        let look = next.begin_look();
        next.land(computed(look, EntryId::NONE));
        assert!(lock(&flights.0).is_empty(), "a flight is left behind");
    };
    shuttle::check_random(run, 2_000);
}
