//! `stale_if_error`: an old value in place of a failure.

use super::{
    ALONE_EACH, GONE_INVALIDATION, INVALIDATION, MIXED, NONE, OLDER, ONE_PROCESS, REFRESH, THREE,
    TOGETHER, assert_finds, assert_safe, unserved,
};
use model::flow::{Age, Ask, Faults, Mistake, Protocol};

const BACK: &str = "a process never goes back";

const FAILURE: Faults = Faults {
    failures: 1,
    ..NONE
};

fn over_an_old_value(callers: Protocol) -> [Protocol; 2] {
    let protocol = callers.stale_if_error().over_an_old_value();
    [protocol, protocol.detached()]
}

fn assert_right(protocol: Protocol) {
    assert_safe(protocol, &[BACK]);
    assert!(unserved(protocol).is_none());
}

#[test]
fn a_failure_is_answered_with_an_old_value() {
    let two = Faults {
        failures: 2,
        drops: 1,
        deaths: 1,
        ..NONE
    };
    let gone = Faults {
        evictions: 1,
        ..FAILURE
    };
    for callers in [ONE_PROCESS, THREE, MIXED] {
        for protocol in over_an_old_value(callers) {
            assert_right(protocol.with(two));
            assert_right(protocol.with(gone));
        }
    }
}

#[test]
fn nothing_from_before_an_invalidation_is_served() {
    let faults = Faults {
        failures: 1,
        ..INVALIDATION
    };
    for callers in [THREE, MIXED] {
        for protocol in over_an_old_value(callers) {
            assert_right(protocol.with(faults));
        }
    }
    let faults = Faults {
        failures: 1,
        expiries: 1,
        ..GONE_INVALIDATION
    };
    for callers in [TOGETHER, ALONE_EACH] {
        for protocol in over_an_old_value(callers) {
            assert_right(protocol.revalidating().with(faults));
        }
    }
}

/// A refresh before the value expires fails, or who has waited for too long.
#[test]
fn every_lead_may_fail() {
    let early = Faults {
        early: 2,
        expiries: 1,
        ..FAILURE
    };
    let overflow = Faults {
        timeouts: 1,
        ..FAILURE
    };
    for callers in [TOGETHER, ALONE_EACH] {
        let protocol = callers.stale_if_error().revalidating().over(Age::Fresh);
        assert_right(protocol.with(early));
        assert_right(protocol.detached().with(early));
        for protocol in over_an_old_value(callers) {
            // What an overflow returns may be refused by the store, so that an older value stands there.
            assert_safe(protocol.with(overflow), &[]);
            assert!(unserved(protocol.with(overflow)).is_none());
        }
    }
}

/// An explicit refresh that joined in time would be given what it was to replace.
#[test]
fn an_old_value_is_found_and_not_computed() {
    const WITH_REFRESH: Protocol = Protocol::of(&[
        Ask {
            process: 0,
            refresh: false,
        },
        Ask {
            process: 0,
            refresh: true,
        },
    ]);
    let protocol = WITH_REFRESH.stale_if_error().over_an_old_value();
    let mistake = Mistake::OldLandsAsComputed;
    assert_finds(mistake, protocol.with(FAILURE), REFRESH);
    let gone = Faults {
        failures: 1,
        ..GONE_INVALIDATION
    };
    let protocol = THREE.stale_if_error().over_an_old_value();
    assert_finds(
        Mistake::FoundServesWhoSawNothing,
        protocol.with(gone),
        OLDER,
    );
}

/// While the process backs off, too, its callers look.
#[test]
fn an_old_value_is_not_served_from_memory() {
    let faults = Faults {
        failures: 1,
        ..INVALIDATION
    };
    for protocol in over_an_old_value(TOGETHER) {
        let mistake = Mistake::OldServedFromMemory;
        assert_finds(mistake, protocol.with(faults), OLDER);
    }
}
