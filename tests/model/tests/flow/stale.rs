//! Hits in the stale phase, and early refreshes.

use super::{
    ALONE_EACH, GONE_INVALIDATION, INVALIDATION, MIXED, NONE, OLDER, ONE_BODY, ONE_PROCESS, SAFE,
    SUPERSEDED, THREE, TOGETHER, assert_finds, assert_holds, assert_safe, assert_strands, finds,
    unserved,
};
use model::flow::{Age, Faults, Mistake, Protocol};

const FOLLOWS: &str = "somebody follows";
const REFRESHES: &str = "somebody refreshes";
const WAITS: &str = "nobody waits beside a stale value";
const BACK: &str = "a process never goes back";
const ONE: &str = "one execution";
const TWO: &str = "two executions";

const PROTOCOLS: [Protocol; 4] = [ONE_PROCESS, THREE, MIXED, ALONE_EACH];

const GONE: Faults = Faults {
    evictions: 1,
    ..NONE
};
const AGEING: Faults = Faults {
    expiries: 1,
    ..NONE
};

fn stale(callers: Protocol) -> Protocol {
    callers.revalidating().over(Age::Stale)
}

/// Inline, and by tasks.
fn both(protocol: Protocol) -> [Protocol; 2] {
    [protocol, protocol.detached()]
}

fn assert_right(protocol: Protocol) {
    for protocol in both(protocol) {
        assert_safe(protocol, &[WAITS, BACK]);
        assert!(unserved(protocol).is_none());
    }
}

/// One body replaces the value, and nobody waits, not even for one that fails or is dropped.
#[test]
fn a_stale_value_is_replaced_once_and_nobody_waits() {
    let faults = Faults {
        failures: 1,
        drops: 1,
        deaths: 1,
        ..NONE
    };
    for callers in [ONE_PROCESS, THREE] {
        assert_right(stale(callers).with(faults));
        for protocol in both(stale(callers)) {
            assert_holds(protocol, &[ONE]);
            assert!(finds(protocol.with(faults), FOLLOWS).is_none());
            assert!(finds(protocol, REFRESHES).is_some());
        }
    }
}

/// Who finds nothing that it can return waits for the refresh that is under way.
#[test]
fn who_finds_nothing_joins_the_refresh() {
    for callers in PROTOCOLS {
        assert_right(stale(callers).with(GONE));
        assert_right(stale(callers).with(AGEING));
    }
    for protocol in both(stale(THREE).with(GONE)) {
        assert!(finds(protocol, FOLLOWS).is_some());
        assert_holds(protocol, &[TWO]);
    }
}

#[test]
fn values_age_through_all_phases() {
    let faults = Faults {
        expiries: 2,
        evictions: 1,
        ..NONE
    };
    for callers in [TOGETHER, ALONE_EACH] {
        assert_right(callers.revalidating().with(faults));
    }
}

#[test]
fn an_invalidation_wins_over_a_refresh() {
    for callers in [THREE, MIXED] {
        assert_right(stale(callers).with(INVALIDATION));
    }
    let faults = Faults {
        unstored: 1,
        failures: 1,
        drops: 1,
        deaths: 1,
        ..INVALIDATION
    };
    for callers in [TOGETHER, ALONE_EACH] {
        assert_right(stale(callers).with(GONE_INVALIDATION));
        for protocol in both(stale(callers).with(faults)) {
            assert_holds(protocol, &SAFE);
            assert!(unserved(protocol).is_none());
        }
    }
}

/// What is newer comes, and is gone before the put of a refresh that has lost its lock.
#[test]
fn an_overtaken_refresh_stores_nothing() {
    let faults = Faults {
        lost_sessions: 1,
        evictions: 2,
        expiries: 1,
        ..INVALIDATION
    };
    for protocol in both(stale(ALONE_EACH).with(faults)) {
        assert_holds(protocol, &SAFE);
    }
}

#[test]
fn early_refreshes_that_saw_the_same_cost_one_body() {
    let faults = Faults { early: 3, ..NONE };
    for callers in [ONE_PROCESS, THREE] {
        assert_right(callers.over(Age::Fresh).with(faults));
        for protocol in both(callers.over(Age::Fresh).with(faults)) {
            assert_holds(protocol.at_once(), &[ONE]);
            assert!(finds(protocol, REFRESHES).is_some());
            assert!(finds(protocol, FOLLOWS).is_none());
        }
    }
    let faults = Faults {
        early: 1,
        expiries: 1,
        ..GONE_INVALIDATION
    };
    for callers in [TOGETHER, ALONE_EACH] {
        assert_right(callers.revalidating().over(Age::Fresh).with(faults));
    }
}

/// Its caller has returned what is not stored, and the stale value is returned after it.
#[test]
fn a_refresh_that_stores_nothing_leaves_the_stale_value() {
    let faults = Faults {
        unstored: 1,
        ..NONE
    };
    assert_holds(stale(TOGETHER).with(faults), &SAFE);
    assert!(finds(stale(TOGETHER).with(faults), BACK).is_some());
}

#[test]
fn a_stale_hit_does_not_follow() {
    assert_finds(Mistake::StaleHitFollows, stale(TOGETHER), WAITS);
}

#[test]
fn a_refresh_does_not_wait_for_the_lock() {
    assert_finds(Mistake::RefresherWaits, stale(ALONE_EACH), WAITS);
}

#[test]
fn a_refresh_needs_the_lock() {
    let protocol = stale(ALONE_EACH);
    assert_finds(Mistake::RefresherNeedsNoLock, protocol, ONE_BODY);
}

#[test]
fn a_refresh_looks_under_the_lock() {
    let early = Faults { early: 2, ..NONE };
    let early = ALONE_EACH.over(Age::Fresh).at_once().with(early);
    for protocol in [stale(ALONE_EACH), early] {
        assert_finds(Mistake::NoLookUnderLock, protocol, ONE);
    }
}

#[test]
fn a_refresh_that_finds_the_lock_busy_passes_the_lead_on() {
    let protocol = stale(THREE).with(GONE);
    assert_strands(Mistake::RefresherLeavesFollowers, protocol);
}

/// The value under the lock is fresh, but the one to be replaced.
#[test]
fn an_early_refresh_knows_by_the_id_what_it_replaces() {
    let faults = Faults { early: 1, ..NONE };
    let protocol = TOGETHER.over(Age::Fresh).with(faults);
    assert!(finds(protocol, "somebody computes").is_some());
    let mistaken = protocol.mistaken(Mistake::EarlyTakesWhatItSaw);
    assert!(finds(mistaken, "somebody computes").is_none());
}

#[test]
fn a_failed_refresh_leaves_the_stale_value() {
    let faults = Faults {
        failures: 1,
        ..NONE
    };
    let protocol = stale(ALONE_EACH).with(faults);
    let removed = "somebody finds nothing";
    assert!(finds(protocol, removed).is_none());
    assert!(finds(protocol.mistaken(Mistake::FailureRemoves), removed).is_some());
}

/// Each stale hit has looked.
#[test]
fn a_stale_value_is_not_served_from_memory() {
    let protocol = stale(TOGETHER).with(INVALIDATION);
    assert_finds(Mistake::OldServedFromMemory, protocol, OLDER);
    assert_finds(Mistake::OldServedFromMemory, stale(TOGETHER), BACK);
}

#[test]
fn a_refresh_is_fenced() {
    for protocol in both(stale(ALONE_EACH).with(GONE_INVALIDATION)) {
        for mistake in [Mistake::UnfencedPut, Mistake::NoFenceWatch] {
            assert_finds(mistake, protocol, OLDER);
            assert_finds(mistake, protocol, SUPERSEDED);
        }
    }
}
