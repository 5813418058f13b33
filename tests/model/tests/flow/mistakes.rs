//! Each mistake makes a property fail.

use super::{
    ALONE_EACH, GONE_INVALIDATION, INVALIDATION, NONE, OLDER, ONE_PROCESS, ONE_REFRESH, REFRESH,
    REFRESHES, RESENT_INVALIDATIONS, SECOND_BODY, SUPERSEDED, THREE, TOGETHER, WHILE_FRESH,
    assert_finds, assert_strands,
};
use model::flow::{Faults, Mistake};

/// It saw the tombstone, the leader did not.
#[test]
fn a_landing_serves_whom_its_fence_allows() {
    assert_finds(Mistake::LandsForAll, TOGETHER.with(INVALIDATION), OLDER);
}

/// The entry that the look found may have been invalidated before its answer came.
#[test]
fn a_follower_is_early_until_the_look_is_sent() {
    let protocol = THREE.with(INVALIDATION);
    assert_finds(Mistake::EarlyUntilAnswered, protocol, OLDER);
}

#[test]
fn a_failed_look_is_not_nothing() {
    let faults = Faults {
        failed_looks: 1,
        ..INVALIDATION
    };
    let protocol = TOGETHER.with(faults);
    assert_finds(Mistake::FailedLookIsNothing, protocol, OLDER);
}

/// The tombstone is gone when the follower looks; the leader has seen it, or has looked too seldom.
#[test]
fn an_overtaken_leader_serves_nobody_who_saw_nothing() {
    let protocol = TOGETHER.with(GONE_INVALIDATION);
    assert_finds(Mistake::OvertakenLeaderServes, protocol, OLDER);
}

#[test]
fn a_look_begins_after_its_caller_asked() {
    let protocol = THREE.with(INVALIDATION);
    assert_finds(Mistake::JoinsOlderLook, protocol, OLDER);
}

#[test]
fn an_entry_stands_for_fence_life() {
    let tombstone = ALONE_EACH.with(GONE_INVALIDATION);
    assert_finds(Mistake::ShortLivedEntry, tombstone, OLDER);
    assert_finds(Mistake::ShortLivedEntry, tombstone, SUPERSEDED);
    let value = ALONE_EACH.with(Faults {
        lost_sessions: 1,
        evictions: 1,
        ..NONE
    });
    assert_finds(Mistake::ShortLivedEntry, value, SUPERSEDED);
}

#[test]
fn a_leader_looks_while_its_body_runs() {
    let protocol = ALONE_EACH.with(GONE_INVALIDATION);
    assert_finds(Mistake::NoFenceWatch, protocol, OLDER);
    assert_finds(Mistake::NoFenceWatch, protocol, SUPERSEDED);
}

/// Its last look is not enough: each of its looks must have come within `fence_life` of the one before.
#[test]
fn no_look_makes_up_for_a_gap() {
    let protocol = ALONE_EACH.with(GONE_INVALIDATION);
    assert_finds(Mistake::GapForgiven, protocol, OLDER);
    assert_finds(Mistake::GapForgiven, protocol, SUPERSEDED);
}

/// It waited in a socket until the tombstone had come and gone.
#[test]
fn a_put_takes_effect_in_time_or_not_at_all() {
    let protocol = ALONE_EACH.with(GONE_INVALIDATION);
    assert_finds(Mistake::LatePut, protocol, OLDER);
    assert_finds(Mistake::LatePut, protocol, SUPERSEDED);
}

#[test]
fn a_tombstone_sent_again_has_a_new_id() {
    let protocol = ALONE_EACH.with(RESENT_INVALIDATIONS);
    assert_finds(Mistake::TombstoneKeepsId, protocol, OLDER);
    assert_finds(Mistake::TombstoneKeepsId, protocol, SUPERSEDED);
}

#[test]
fn the_put_is_fenced() {
    let protocol = ALONE_EACH.with(INVALIDATION);
    assert_finds(Mistake::UnfencedPut, protocol, OLDER);
    assert_finds(Mistake::UnfencedPut, protocol, SUPERSEDED);
}

#[test]
fn every_outcome_is_landed() {
    let unstored = Faults {
        unstored: 3,
        ..NONE
    };
    let protocol = ONE_PROCESS.with(unstored);
    assert_finds(Mistake::OnlyStoredLands, protocol, SECOND_BODY);
    let refused = Faults {
        invalidations: 2,
        ..NONE
    };
    let protocol = ONE_PROCESS.at_once().with(refused);
    assert_finds(Mistake::OnlyStoredLands, protocol, SECOND_BODY);
}

/// The value was invalidated, and the tombstone is gone, before the look that found it was answered.
#[test]
fn what_is_found_serves_nobody_who_saw_nothing() {
    let faults = Faults {
        evictions: 1,
        ..INVALIDATION
    };
    let mistake = Mistake::FoundServesWhoSawNothing;
    assert_finds(mistake, THREE.with(faults), OLDER);
}

/// It is for those who wait for it.
#[test]
fn what_is_not_stored_is_not_kept() {
    let faults = Faults {
        unstored: 1,
        ..INVALIDATION
    };
    for protocol in [TOGETHER, TOGETHER.detached()] {
        assert_finds(Mistake::UnstoredKept, protocol.with(faults), OLDER);
    }
}

#[test]
fn the_leader_looks_under_the_lock() {
    assert_finds(Mistake::NoLookUnderLock, ALONE_EACH, WHILE_FRESH);
}

#[test]
fn a_refresh_joins_no_older_computation() {
    assert_finds(Mistake::RefreshTakesOlder, REFRESHES, REFRESH);
}

#[test]
fn a_refresh_takes_nothing_based_on_what_it_saw() {
    let protocol = ONE_REFRESH.over_an_old_value();
    assert_finds(Mistake::RefreshIgnoresBasedOn, protocol, REFRESH);
}

/// What the computation under way is based on was gone when the refresh looked.
#[test]
fn a_refresh_that_saw_nothing_takes_nothing() {
    let gone = Faults {
        evictions: 1,
        ..NONE
    };
    let protocol = ONE_REFRESH.over_an_old_value().with(gone);
    assert_finds(Mistake::RefreshTrustsNothing, protocol, REFRESH);
}

#[test]
fn a_successor_that_is_not_polled_is_replaced() {
    let faults = Faults {
        failures: 1,
        frozen: 1,
        ..NONE
    };
    let protocol = ONE_PROCESS.with(faults);
    assert_strands(Mistake::SuccessorNotRenewed, protocol);
}
