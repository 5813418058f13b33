//! Each mistake makes a property fail.

use model::session::{Faults, Mistake, Protocol};
use stateright::{Checker, Model};

use super::{AGAIN, FAILURE, HELD_FOR_NOBODY, IDLE_MARK, STALL, THREE, assert_holds, unserved};

/// Right without the mistake, and found with it.
fn assert_finds(mistake: Mistake, protocol: Protocol, property: &'static str) {
    assert_holds(protocol, &[property]);
    let wrong = protocol.mistaken(mistake).checker().spawn_bfs().join();
    let Some(path) = wrong.discovery(property) else {
        panic!("{mistake:?} was not found");
    };
    println!("{mistake:?}: {:?}", path.into_actions());
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
fn whoever_watches_tells_at_the_end_of_its_look() {
    let looks = Faults {
        looks: 1,
        ..FAILURE
    };
    let wrong = [Mistake::TellsBeforeItLooked, Mistake::LooksWithoutTelling];
    for mistake in wrong {
        assert_finds(mistake, THREE.with(looks), "no lost wake-up");
    }
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
fn a_listener_that_begins_wakes_all() {
    assert_finds(
        Mistake::SilentRelisten,
        THREE.listening_later(),
        "no lost wake-up",
    );
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

/// The late release of what an old session held must not unlock what the next call of the process holds.
#[test]
fn a_release_is_not_sent_again_in_a_new_session() {
    let faults = Faults {
        evictions: 1,
        ..STALL
    };
    let protocol = AGAIN.with(faults).polling(true);
    assert_finds(Mistake::ReleaseInAnySession, protocol, "one leader");
}

/// A session counts what it holds: what it took twice and gave back once it holds for ever.
#[test]
fn a_batch_is_sent_again_in_a_new_session_only() {
    let protocol = THREE.with(STALL).polling(true);
    let mistake = Mistake::SameSessionAgain;
    assert_finds(mistake, protocol, HELD_FOR_NOBODY);
    assert_finds(mistake, protocol, IDLE_MARK);
    assert!(unserved(protocol.mistaken(mistake)).is_some());
    let faults = Faults {
        failures: 1,
        ..STALL
    };
    let protocol = AGAIN.with(faults).polling(true);
    assert_finds(mistake, protocol, "one leader");
}

#[test]
fn an_answer_of_an_old_generation_counts_for_nothing() {
    let protocol = THREE.with(STALL).polling(true);
    assert_finds(Mistake::OldAnswerCounts, protocol, "one leader");
}

#[test]
fn a_session_that_is_given_up_ends() {
    let protocol = THREE.with(STALL).polling(true);
    assert!(unserved(protocol).is_none());
    assert!(unserved(protocol.mistaken(Mistake::OldSessionKept)).is_some());
}

#[test]
fn a_mark_goes_with_its_waiter() {
    let drops = Faults {
        drops: 1,
        ..Faults::NONE
    };
    assert_finds(Mistake::MarkKept, THREE.with(drops), IDLE_MARK);
}
