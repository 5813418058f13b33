//! The protocol of session locks and interest locks, in every interleaving.

use model::explore::dead_end;
use model::session::{Action, Faults, Mistake, Protocol, State};
use stateright::{Checker, Model};

const NO_FAULTS: Faults = Faults {
    crashes: 0,
    lost_sessions: 0,
    lost_listeners: 0,
    failures: 0,
    invalidations: 0,
    evictions: 0,
};

/// Three processes, one call each, no poll: sleepers depend on being notified.
const THREE: Protocol = Protocol {
    processes: 3,
    calls: 1,
    poll: false,
    faults: NO_FAULTS,
    mistake: None,
};
/// Two processes that call again while their last release is still queued.
const AGAIN: Protocol = Protocol {
    processes: 2,
    calls: 2,
    ..THREE
};

const SAFE: [&str; 3] = ["one leader", "no lost wake-up", "newer stays"];

fn assert_holds(protocol: Protocol, properties: &[&'static str]) {
    let checker = protocol.checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    assert!(checker.is_done());
    for property in properties {
        checker.assert_no_discovery(property);
    }
    // A model in which nobody ever waits would hold anything.
    assert!(checker.discovery("somebody sleeps").is_some());
}

/// Right without the mistake, and found with it.
fn assert_finds(mistake: Mistake, protocol: Protocol, property: &'static str) {
    assert_holds(protocol, &[property]);
    let wrong = Protocol {
        mistake: Some(mistake),
        ..protocol
    };
    let Some(path) = wrong.checker().spawn_bfs().join().discovery(property) else {
        panic!("{mistake:?} was not found");
    };
    println!("{mistake:?}: {:?}", path.into_actions());
}

fn unserved(protocol: Protocol) -> Option<State> {
    dead_end(&protocol, State::is_over, Action::is_fault)
}

#[test]
fn nothing_goes_wrong_without_faults() {
    for protocol in [
        THREE,
        AGAIN,
        Protocol {
            processes: 2,
            calls: 3,
            ..THREE
        },
    ] {
        assert_holds(protocol, &[&SAFE[..], &["one execution"]].concat());
        assert!(unserved(protocol).is_none());
    }
}

#[test]
fn failing_leaders_hand_over_without_a_poll() {
    let faults = Faults {
        failures: 2,
        ..NO_FAULTS
    };
    for protocol in [Protocol { faults, ..THREE }, Protocol { faults, ..AGAIN }] {
        assert_holds(protocol, &SAFE);
        assert!(unserved(protocol).is_none());
    }
}

#[test]
fn invalidation_and_eviction_lose_no_wake_up() {
    let faults = Faults {
        failures: 1,
        invalidations: 1,
        evictions: 1,
        ..NO_FAULTS
    };
    for protocol in [Protocol { faults, ..THREE }, Protocol { faults, ..AGAIN }] {
        assert_holds(protocol, &SAFE);
        assert!(unserved(protocol).is_none());
    }
}

/// The listening connection comes back, and then all waiters look.
#[test]
fn a_lost_listener_loses_no_wake_up() {
    let faults = Faults {
        failures: 1,
        lost_listeners: 2,
        ..NO_FAULTS
    };
    for protocol in [Protocol { faults, ..THREE }, Protocol { faults, ..AGAIN }] {
        assert_holds(protocol, &SAFE);
        assert!(unserved(protocol).is_none());
    }
}

/// Nobody notifies for the dead: here the poll is needed, and is enough.
#[test]
fn crashes_need_the_poll_and_nothing_else() {
    let faults = Faults {
        crashes: 2,
        failures: 1,
        ..NO_FAULTS
    };
    let protocol = Protocol {
        faults,
        poll: true,
        ..THREE
    };
    assert_holds(protocol, &["one leader", "newer stays"]);
    assert!(unserved(protocol).is_none());
    assert!(
        unserved(Protocol {
            poll: false,
            ..protocol
        })
        .is_some()
    );
}

/// A body that goes on without its session may run beside another one, and overwrites nothing newer.
#[test]
fn lost_sessions_need_the_poll_and_the_fence() {
    let faults = Faults {
        lost_sessions: 2,
        invalidations: 1,
        ..NO_FAULTS
    };
    for calm in [THREE, AGAIN] {
        let protocol = Protocol {
            faults,
            poll: true,
            ..calm
        };
        assert_holds(protocol, &["one leader", "newer stays"]);
        assert!(unserved(protocol).is_none());
        assert!(
            unserved(Protocol {
                poll: false,
                ..protocol
            })
            .is_some()
        );
    }
}

#[test]
fn unlock_comes_before_the_check() {
    // With a value stored, the waiter's last get would still find it. A failure stores none.
    let faults = Faults {
        failures: 1,
        ..NO_FAULTS
    };
    let protocol = Protocol { faults, ..THREE };
    assert_finds(Mistake::CheckBeforeUnlock, protocol, "no lost wake-up");
}

#[test]
fn a_waiter_looks_again_after_its_mark() {
    assert_finds(Mistake::NoLookAfterMark, THREE, "no lost wake-up");
}

/// The get alone does not do: a leader that failed has stored nothing.
#[test]
fn a_waiter_tries_again_after_its_mark() {
    let faults = Faults {
        failures: 1,
        ..NO_FAULTS
    };
    assert_finds(
        Mistake::NoTryAfterMark,
        Protocol { faults, ..THREE },
        "no lost wake-up",
    );
}

/// Needs three: one that checks, one that took the key meanwhile, one that was refused.
#[test]
fn a_refused_mark_is_no_mark() {
    let faults = Faults {
        failures: 1,
        ..NO_FAULTS
    };
    assert_finds(
        Mistake::RefusedMarkCounts,
        Protocol { faults, ..THREE },
        "no lost wake-up",
    );
}

#[test]
fn a_wake_up_before_the_sleep_counts() {
    let faults = Faults {
        failures: 1,
        ..NO_FAULTS
    };
    assert_finds(
        Mistake::WakeBeforeSleepDropped,
        Protocol { faults, ..THREE },
        "no lost wake-up",
    );
}

#[test]
fn a_release_wakes_all() {
    assert_finds(Mistake::WakesOne, THREE, "no lost wake-up");
}

#[test]
fn a_listener_that_came_back_wakes_all() {
    let faults = Faults {
        lost_listeners: 1,
        ..NO_FAULTS
    };
    assert_finds(
        Mistake::SilentRelisten,
        Protocol { faults, ..THREE },
        "no lost wake-up",
    );
}

#[test]
fn the_put_is_fenced_against_an_invalidation() {
    let faults = Faults {
        invalidations: 1,
        ..NO_FAULTS
    };
    assert_finds(
        Mistake::UnfencedPut,
        Protocol { faults, ..THREE },
        "newer stays",
    );
}

#[test]
fn the_put_is_fenced_against_a_newer_leader() {
    let faults = Faults {
        lost_sessions: 1,
        ..NO_FAULTS
    };
    let protocol = Protocol {
        faults,
        poll: true,
        ..THREE
    };
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
        ..NO_FAULTS
    };
    let protocol = Protocol {
        faults,
        poll: true,
        ..AGAIN
    };
    assert_finds(Mistake::ReleaseInAnySession, protocol, "one leader");
}

#[test]
fn a_busy_key_is_not_computed() {
    assert_finds(Mistake::ComputesWhenBusy, THREE, "one execution");
    let wrong = Protocol {
        mistake: Some(Mistake::ComputesWhenBusy),
        ..THREE
    };
    assert!(
        wrong
            .checker()
            .spawn_bfs()
            .join()
            .discovery("one leader")
            .is_some()
    );
}
