//! The protocol of session locks and interest locks, in every interleaving.

use model::explore::dead_end;
use model::session::{Action, Faults, Mistake, Protocol, State};
use stateright::{Checker, Model};

/// Three processes, one call each, no poll: sleepers depend on being notified.
const THREE: Protocol = Protocol {
    processes: 3,
    calls: 1,
    poll: false,
    faults: Faults::NONE,
    mistake: None,
};
/// Two processes that call again while their last release is still queued.
const AGAIN: Protocol = Protocol {
    processes: 2,
    calls: 2,
    ..THREE
};
/// Two processes, three calls each.
const OFTEN: Protocol = Protocol { calls: 3, ..AGAIN };

/// One computation fails: without it, a value that was stored hides some mistakes.
const FAILURE: Faults = Faults {
    failures: 1,
    ..Faults::NONE
};

const SAFE: [&str; 3] = ["one leader", "no lost wake-up", "newer stays"];

fn assert_holds(protocol: Protocol, properties: &[&'static str]) {
    let checker = protocol.checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    for property in properties {
        checker.assert_no_discovery(property);
    }
    // A model in which nobody ever waits would hold anything.
    assert!(checker.discovery("somebody sleeps").is_some());
}

/// Right without the mistake, and found with it.
fn assert_finds(mistake: Mistake, protocol: Protocol, property: &'static str) {
    assert_holds(protocol, &[property]);
    let wrong = protocol.mistaken(mistake).checker().spawn_bfs().join();
    let Some(path) = wrong.discovery(property) else {
        panic!("{mistake:?} was not found");
    };
    println!("{mistake:?}: {:?}", path.into_actions());
}

/// A state from which somebody is never served, if there is one.
fn unserved(protocol: Protocol) -> Option<State> {
    dead_end(&protocol, State::is_over, Action::is_fault)
}

/// Everything holds without the poll, and everybody is served.
fn assert_needs_no_poll(faults: Faults) {
    for protocol in [THREE.with(faults), AGAIN.with(faults)] {
        assert_holds(protocol, &SAFE);
        assert!(unserved(protocol).is_none());
    }
}

/// Everybody is served with the poll, and not without it.
fn assert_needs_the_poll(protocol: Protocol) {
    assert_holds(protocol.polling(true), &["one leader", "newer stays"]);
    assert!(unserved(protocol.polling(true)).is_none());
    assert!(unserved(protocol.polling(false)).is_some());
}

#[test]
fn nothing_goes_wrong_without_faults() {
    for protocol in [THREE, AGAIN, OFTEN] {
        assert_holds(protocol, &[&SAFE[..], &["one execution"]].concat());
        assert!(unserved(protocol).is_none());
    }
}

#[test]
fn failing_leaders_hand_over_without_a_poll() {
    assert_needs_no_poll(Faults {
        failures: 2,
        ..Faults::NONE
    });
}

/// Dropped at every point, leading or waiting, twice.
#[test]
fn dropped_callers_lose_no_wake_up() {
    assert_needs_no_poll(Faults {
        drops: 2,
        ..FAILURE
    });
}

#[test]
fn invalidation_and_eviction_lose_no_wake_up() {
    assert_needs_no_poll(Faults {
        invalidations: 1,
        evictions: 1,
        ..FAILURE
    });
}

/// The listening connection comes back, and then all waiters look.
#[test]
fn a_lost_listener_loses_no_wake_up() {
    assert_needs_no_poll(Faults {
        lost_listeners: 2,
        ..FAILURE
    });
}

/// Nobody notifies for the dead: here the poll is needed, and is enough.
#[test]
fn crashes_need_the_poll_and_nothing_else() {
    assert_needs_the_poll(THREE.with(Faults {
        crashes: 2,
        ..FAILURE
    }));
}

/// A body that goes on without its session may run beside another one, and overwrites nothing newer.
#[test]
fn lost_sessions_need_the_poll_and_the_fence() {
    let lost = Faults {
        lost_sessions: 2,
        ..Faults::NONE
    };
    assert_needs_the_poll(THREE.with(lost));
    assert_needs_the_poll(AGAIN.with(Faults {
        invalidations: 1,
        ..lost
    }));
}

#[test]
fn unlock_comes_before_the_check() {
    assert_finds(
        Mistake::CheckBeforeUnlock,
        THREE.with(FAILURE),
        "no lost wake-up",
    );
}

#[test]
fn a_waiter_looks_again_after_its_mark() {
    assert_finds(Mistake::NoLookAfterMark, THREE, "no lost wake-up");
}

/// The get alone does not do: a leader that failed has stored nothing.
#[test]
fn a_waiter_tries_again_after_its_mark() {
    assert_finds(
        Mistake::NoTryAfterMark,
        THREE.with(FAILURE),
        "no lost wake-up",
    );
}

/// Needs three: one that checks, one that took the key meanwhile, one that was refused.
#[test]
fn a_refused_mark_is_no_mark() {
    assert_finds(
        Mistake::RefusedMarkCounts,
        THREE.with(FAILURE),
        "no lost wake-up",
    );
}

#[test]
fn a_wake_up_before_the_sleep_counts() {
    assert_finds(
        Mistake::WakeBeforeSleepDropped,
        THREE.with(FAILURE),
        "no lost wake-up",
    );
}

#[test]
fn the_mark_stands_until_the_end() {
    assert_finds(
        Mistake::MarkDroppedOnWake,
        THREE.with(FAILURE),
        "no lost wake-up",
    );
}

/// While it was held for nobody, somebody may have found it busy and gone to sleep.
#[test]
fn a_key_for_nobody_is_released_like_any_other() {
    let faults = Faults {
        drops: 1,
        ..Faults::NONE
    };
    assert_finds(Mistake::QuietUnlock, THREE.with(faults), "no lost wake-up");
}

#[test]
fn a_release_wakes_all() {
    assert_finds(Mistake::WakesOne, THREE, "no lost wake-up");
}

#[test]
fn a_listener_that_came_back_wakes_all() {
    let faults = Faults {
        lost_listeners: 1,
        ..Faults::NONE
    };
    assert_finds(
        Mistake::SilentRelisten,
        THREE.with(faults),
        "no lost wake-up",
    );
}

#[test]
fn the_put_is_fenced_against_an_invalidation() {
    let faults = Faults {
        invalidations: 1,
        ..Faults::NONE
    };
    assert_finds(Mistake::UnfencedPut, THREE.with(faults), "newer stays");
}

#[test]
fn the_put_is_fenced_against_a_newer_leader() {
    let faults = Faults {
        lost_sessions: 1,
        ..Faults::NONE
    };
    let protocol = THREE.with(faults).polling(true);
    assert_finds(Mistake::UnfencedPut, protocol, "newer stays");
}

#[test]
fn the_leader_gets_again_under_the_lock() {
    assert_finds(Mistake::NoGetUnderLock, THREE, "one execution");
}

/// The late release of a lost session must not unlock what the next call of the process holds.
#[test]
fn a_release_belongs_to_its_session() {
    let faults = Faults {
        lost_sessions: 1,
        evictions: 1,
        ..Faults::NONE
    };
    let protocol = AGAIN.with(faults).polling(true);
    assert_finds(Mistake::ReleaseInAnySession, protocol, "one leader");
}

#[test]
fn a_busy_key_is_not_computed() {
    assert_finds(Mistake::ComputesWhenBusy, THREE, "one execution");
    assert_finds(Mistake::ComputesWhenBusy, THREE, "one leader");
}
