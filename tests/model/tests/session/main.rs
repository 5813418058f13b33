//! The protocol of session locks and interest locks, in every interleaving.

mod mistakes;

use model::explore::dead_end;
use model::session::{Action, Faults, Protocol, State};
use stateright::{Checker, Model};

/// Three processes, one call each, no poll: sleepers depend on being notified.
const THREE: Protocol = Protocol {
    processes: 3,
    calls: 1,
    poll: false,
    watch: false,
    listens: true,
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

/// A connection is given up, and what was under way on it takes effect nevertheless.
const STALL: Faults = Faults {
    stalls: 1,
    late_statements: 1,
    ..Faults::NONE
};

const SAFE: [&str; 3] = ["one leader", "no lost wake-up", "newer stays"];
const HELD_FOR_NOBODY: &str = "no key held for nobody";
const IDLE_MARK: &str = "no mark without a waiter";

fn assert_holds(protocol: Protocol, properties: &[&'static str]) {
    let checker = protocol.checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    for property in properties.iter().chain(&[HELD_FOR_NOBODY, IDLE_MARK]) {
        checker.assert_no_discovery(property);
    }
    // A model in which nobody ever waits would hold anything.
    assert!(checker.discovery("somebody sleeps").is_some());
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

/// Everybody is served where somebody watches, without any poll.
fn assert_needs_no_more_than_a_watch(protocol: Protocol) {
    assert_holds(protocol.watched(), &["one leader", "newer stays"]);
    assert!(unserved(protocol.watched()).is_none());
    assert!(unserved(protocol).is_some());
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

/// Who begins to listen while he waits already, or does not yet, loses none either.
#[test]
fn a_listener_that_begins_late_loses_no_wake_up() {
    let faults = Faults {
        lost_listeners: 1,
        ..FAILURE
    };
    let protocol = THREE.listening_later().with(faults);
    assert_holds(protocol, &SAFE);
    assert!(unserved(protocol).is_none());
}

/// Nobody notifies for the dead: here the poll is needed, and is enough.
#[test]
fn crashes_need_the_poll_and_nothing_else() {
    assert_needs_the_poll(THREE.with(Faults {
        crashes: 2,
        ..FAILURE
    }));
}

/// Whoever watches keeps a caller from a free key for a moment, and makes up for it by itself.
#[test]
fn looks_of_whoever_watches_lose_no_wake_up() {
    for looks in [1, 2] {
        assert_needs_no_poll(Faults { looks, ..FAILURE });
    }
}

/// Nobody else notifies for the dead, and for sessions that are lost or given up.
#[test]
fn somebody_who_watches_does_instead_of_the_poll() {
    let dead = Faults {
        crashes: 2,
        ..FAILURE
    };
    let lost = Faults {
        lost_sessions: 2,
        ..Faults::NONE
    };
    for faults in [dead, lost, STALL] {
        assert_needs_no_more_than_a_watch(THREE.with(faults));
    }
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

/// Batches are sent again in a new session; the old one lives on for a time, with all that it held and may yet
/// take. The server ends it and notifies nobody.
#[test]
fn sessions_given_up_need_the_poll_and_nothing_else() {
    assert_needs_the_poll(THREE.with(STALL));
    assert_needs_the_poll(AGAIN.with(Faults { stalls: 2, ..STALL }));
}

/// What was granted late is granted to nobody.
#[test]
fn a_caller_that_gives_up_meanwhile_leaves_nothing_behind() {
    assert_needs_the_poll(THREE.with(Faults { drops: 1, ..STALL }));
    assert_needs_the_poll(AGAIN.with(Faults { drops: 1, ..STALL }));
}
