//! Leads that are run by tasks of their own.

use super::{
    ALONE_EACH, FOUR, GONE_INVALIDATION, INVALIDATION, MIXED, NONE, OLDER, ONE_PROCESS,
    ONE_REFRESH, REFRESHES, SAFE, SUPERSEDED, THREE, TOGETHER, assert_finds, assert_holds,
    assert_safe, assert_strands, finds, unserved,
};
use model::explore::dead_end;
use model::flow::{Action, Faults, Mistake, Protocol, State};

const LOST: &str = "nothing is lost with its caller";
const ONE: &str = "one execution";

const DROPS: Faults = Faults { drops: 3, ..NONE };
const DEATH: Faults = Faults { deaths: 1, ..NONE };

fn assert_right(protocol: Protocol) {
    let protocol = protocol.detached();
    assert_safe(protocol, &[LOST]);
    assert!(unserved(protocol).is_none());
}

#[test]
fn a_task_leads_like_a_caller() {
    for callers in [ONE_PROCESS, THREE, FOUR, REFRESHES, MIXED] {
        assert_right(callers);
        assert_right(callers.over_an_old_value());
    }
    for callers in [ONE_PROCESS, THREE] {
        assert_holds(callers.detached(), &[ONE]);
        assert!(finds(callers.detached(), "somebody follows").is_some());
    }
}

/// However many of its callers go away, and when: there is one body, and its value is stored.
#[test]
fn a_computation_outlives_its_callers() {
    for callers in [ONE_PROCESS, THREE] {
        let protocol = callers.detached().with(DROPS);
        assert_right(callers.with(DROPS));
        assert_holds(protocol, &[ONE]);
        let stored = |state: &State| state.is_over() && state.has_value();
        let begun = |state: &State| state.has_begun();
        let lost = dead_end(
            &protocol,
            |state| stored(state) || !begun(state),
            Action::is_fault,
        );
        assert!(lost.is_none(), "{lost:?}");
    }
}

#[test]
fn after_a_task_that_died_a_follower_leads() {
    let two = Faults { deaths: 2, ..NONE };
    let left = Faults {
        drops: 1,
        frozen: 1,
        ..DEATH
    };
    for callers in [ONE_PROCESS, THREE, MIXED] {
        assert_right(callers.with(two));
        assert_right(callers.with(left));
        assert_right(callers.over_an_old_value().with(DEATH));
    }
}

#[test]
fn tasks_fail_and_land_what_is_not_stored() {
    let faults = Faults {
        failures: 1,
        unstored: 2,
        drops: 1,
        ..NONE
    };
    for callers in [ONE_PROCESS, THREE, MIXED] {
        assert_right(callers.with(faults));
    }
    let faults = Faults {
        failures: 1,
        unstored: 1,
        deaths: 1,
        ..INVALIDATION
    };
    for callers in [TOGETHER, ALONE_EACH, ONE_REFRESH] {
        assert_right(callers.over_an_old_value().with(faults));
    }
    assert_holds(THREE.detached().with(GONE_INVALIDATION), &SAFE);
}

/// Its lock session is lost, its key invalidated, what is newer comes and goes, and its caller has gone.
#[test]
fn overtaken_tasks_store_nothing() {
    let faults = Faults {
        lost_sessions: 1,
        evictions: 2,
        ..INVALIDATION
    };
    for (evictions, drops, deaths, expiries) in [(2, 1, 0, 0), (1, 0, 1, 0), (2, 0, 0, 1)] {
        let faults = Faults {
            evictions,
            drops,
            deaths,
            expiries,
            ..faults
        };
        let protocol = ALONE_EACH.over_an_old_value().detached();
        assert_safe(protocol.with(faults), &[LOST]);
    }
    let faults = Faults {
        evictions: 1,
        drops: 1,
        ..faults
    };
    assert_right(ONE_REFRESH.over_an_old_value().with(faults));
}

#[test]
fn a_task_does_not_end_with_its_caller() {
    let protocol = TOGETHER.detached().with(DROPS);
    assert_finds(Mistake::TaskDiesWithCaller, protocol, LOST);
    assert_finds(Mistake::TaskDiesWithCaller, protocol, ONE);
}

#[test]
fn a_task_that_dies_leaves_the_flight() {
    assert_strands(Mistake::DeadTaskLeads, TOGETHER.detached().with(DEATH));
}

#[test]
fn a_task_is_fenced() {
    let faults = Faults {
        drops: 1,
        ..GONE_INVALIDATION
    };
    let protocol = ALONE_EACH.detached().with(faults);
    for mistake in [
        Mistake::NoFenceWatch,
        Mistake::ShortLivedEntry,
        Mistake::UnfencedPut,
    ] {
        assert_finds(mistake, protocol, OLDER);
        assert_finds(mistake, protocol, SUPERSEDED);
    }
}
