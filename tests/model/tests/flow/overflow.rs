//! Callers that have waited for too long, and compute.

use super::{
    ALONE_EACH, FOUR, GONE_INVALIDATION, INVALIDATION, MIXED, NONE, OLDER, ONE_PROCESS, SUPERSEDED,
    THREE, TOGETHER, assert_finds, assert_safe, assert_strands, unserved,
};
use model::flow::{Faults, Mistake, Protocol};

const ONE_OVERFLOW: &str = "one overflow body";
const BESIDE: &str = "no overflow beside a detached body";

const TIMEOUT: Faults = Faults {
    timeouts: 1,
    ..NONE
};
const TIMEOUTS: Faults = Faults {
    timeouts: 2,
    ..NONE
};

fn both(protocol: Protocol) -> [Protocol; 2] {
    [protocol, protocol.detached()]
}

const HOLDS: &[&str] = &[ONE_OVERFLOW, BESIDE];

fn assert_right(protocol: Protocol) {
    for protocol in both(protocol) {
        assert_safe(protocol, HOLDS);
        assert!(unserved(protocol).is_none());
    }
}

#[test]
fn who_waited_for_too_long_computes_once_in_each_process() {
    for callers in [ONE_PROCESS, THREE] {
        assert_right(callers.over_an_old_value().with(TIMEOUTS));
    }
    assert_right(MIXED.over_an_old_value().with(TIMEOUT));
    assert_safe(FOUR.with(TIMEOUT), HOLDS);
}

#[test]
fn overflows_end_like_any_lead() {
    let faults = Faults {
        failures: 1,
        unstored: 1,
        drops: 1,
        ..TIMEOUTS
    };
    for callers in [TOGETHER, ALONE_EACH] {
        assert_right(callers.with(faults));
    }
    let faults = Faults {
        frozen: 1,
        failures: 1,
        ..TIMEOUTS
    };
    assert_right(ONE_PROCESS.with(faults));
}

#[test]
fn an_overflow_is_linearizable() {
    let faults = |timeouts, expiries| Faults {
        timeouts,
        expiries,
        ..GONE_INVALIDATION
    };
    let together = TOGETHER.revalidating().over_an_old_value();
    assert_safe(together.with(faults(2, 1)), HOLDS);
    let invalidated = Faults {
        timeouts: 1,
        ..INVALIDATION
    };
    assert_safe(together.detached().with(invalidated), HOLDS);
    let each = ALONE_EACH.revalidating().over_an_old_value();
    assert_safe(each.with(faults(1, 1)), HOLDS);
    assert_safe(each.detached().with(faults(1, 0)), HOLDS);
}

#[test]
fn a_process_has_one_overflow() {
    let protocol = THREE.with(TIMEOUTS);
    assert_finds(Mistake::OverflowForEach, protocol, ONE_OVERFLOW);
    let faults = Faults {
        timeouts: 2,
        ..INVALIDATION
    };
    let protocol = TOGETHER.with(faults);
    assert_finds(Mistake::OverflowSuperseded, protocol, ONE_OVERFLOW);
}

#[test]
fn a_detached_body_is_waited_for() {
    let protocol = TOGETHER.detached().with(TIMEOUTS);
    assert_finds(Mistake::OverflowBesideDetached, protocol, BESIDE);
}

#[test]
fn a_leader_that_overflows_passes_the_lead_on() {
    assert_strands(Mistake::OverflowLeavesFollowers, THREE.with(TIMEOUT));
}

#[test]
fn an_overflow_is_fenced() {
    for protocol in both(ALONE_EACH.with(TIMEOUT)) {
        assert_finds(Mistake::UnfencedPut, protocol, SUPERSEDED);
    }
    let faults = Faults {
        timeouts: 1,
        ..GONE_INVALIDATION
    };
    for mistake in [Mistake::UnfencedPut, Mistake::NoFenceWatch] {
        assert_finds(mistake, TOGETHER.with(faults), OLDER);
    }
}
