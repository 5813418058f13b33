//! Tags: an entry is valid under the marker that its leader saw before it computed.

use super::{
    ALONE_EACH, MIXED, NONE, OLDER, ONE_PROCESS, ONE_REFRESH, REFRESHES, SAFE, SUPERSEDED, THREE,
    TOGETHER, assert_finds, assert_holds, assert_safe, finds, unserved,
};
use model::flow::{Age, Faults, Mistake, Protocol, Reads};

const TAG: Faults = Faults {
    tag_invalidations: 1,
    ..NONE
};
const LOST_MARKER: Faults = Faults {
    lost_markers: 1,
    ..TAG
};
const LAID_ELSEWHERE: Faults = Faults {
    laid_elsewhere: 1,
    ..LOST_MARKER
};

/// Without a marker and without a value, over an old value, over a fresh one.
fn assert_right(callers: Protocol, faults: Faults) {
    let protocol = callers.tagged().with(faults);
    for protocol in [
        protocol,
        protocol.over_an_old_value(),
        protocol.over(Age::Fresh),
    ] {
        assert_holds(protocol, &SAFE);
        assert!(unserved(protocol).is_none());
    }
}

#[test]
fn a_key_with_a_tag_is_like_any_other() {
    for callers in [ONE_PROCESS, THREE, REFRESHES, MIXED] {
        assert_right(callers, NONE);
    }
    for callers in [ONE_PROCESS, THREE] {
        assert_holds(callers.tagged(), &["one execution"]);
        assert!(finds(callers.tagged(), "somebody follows").is_some());
    }
}

#[test]
fn an_invalidation_of_a_tag_is_linearizable() {
    for callers in [TOGETHER, ALONE_EACH, ONE_REFRESH] {
        assert_right(callers, LOST_MARKER);
        let twice = Faults {
            tag_invalidations: 2,
            resends: 1,
            ..NONE
        };
        assert_right(callers, twice);
    }
    for callers in [ONE_PROCESS, THREE, MIXED] {
        assert_right(callers, TAG);
    }
}

#[test]
fn markers_and_entries_come_and_go() {
    let evicted = Faults {
        evictions: 1,
        ..LOST_MARKER
    };
    let failing = Faults {
        failures: 1,
        failed_looks: 1,
        ..LOST_MARKER
    };
    let overtaken = Faults {
        lost_sessions: 1,
        ..LOST_MARKER
    };
    for callers in [TOGETHER, ALONE_EACH, ONE_REFRESH] {
        for faults in [evicted, failing, overtaken, LAID_ELSEWHERE] {
            assert_right(callers, faults);
        }
    }
}

/// No script over several keys is needed.
#[test]
fn entry_and_marker_may_be_read_one_after_the_other() {
    let faults = Faults {
        lost_sessions: 1,
        ..LOST_MARKER
    };
    for reads in [Reads::EntryFirst, Reads::MarkerFirst] {
        for callers in [TOGETHER, ALONE_EACH, ONE_REFRESH].map(|callers| callers.reading(reads)) {
            assert_right(callers, TAG);
            for protocol in [callers.over_an_old_value(), callers.over(Age::Fresh)] {
                assert_holds(protocol.tagged().with(LOST_MARKER), &SAFE);
            }
        }
        let protocol = ALONE_EACH.tagged().reading(reads);
        assert_holds(protocol.with(faults), &SAFE);
        for mistake in [Mistake::MarkerReadAtPut, Mistake::MarkerLaidAfterwards] {
            assert_finds(mistake, protocol.with(TAG), OLDER);
        }
    }
}

#[test]
fn the_key_of_a_tag_is_invalidated_too() {
    let both = Faults {
        invalidations: 1,
        ..TAG
    };
    for callers in [TOGETHER, ALONE_EACH, ONE_REFRESH] {
        assert_holds(callers.tagged().over_an_old_value().with(both), &SAFE);
    }
}

#[test]
fn tags_hold_for_tasks_and_for_old_values() {
    for callers in [TOGETHER, ALONE_EACH] {
        let protocol = callers.tagged().with(LOST_MARKER);
        assert_safe(protocol.detached(), &[]);
        let stale = protocol.over(Age::Fresh).with(Faults {
            expiries: 1,
            ..LOST_MARKER
        });
        for protocol in [stale.revalidating(), stale.revalidating().detached()] {
            assert_safe(protocol, &["nobody waits beside a stale value"]);
            assert!(unserved(protocol).is_none());
        }
        let failing = protocol.over_an_old_value().with(Faults {
            failures: 1,
            ..LOST_MARKER
        });
        assert_safe(failing.stale_if_error(), &[]);
    }
}

#[test]
fn a_missing_marker_matches_nothing() {
    let protocol = ALONE_EACH.tagged().over(Age::Fresh).with(LOST_MARKER);
    assert_finds(Mistake::MissingMarkerMatches, protocol, OLDER);
}

/// The body may have read what the invalidation is about before it was.
#[test]
fn a_value_belongs_to_the_marker_before_its_body() {
    let protocol = ALONE_EACH.tagged().with(TAG);
    assert_finds(Mistake::MarkerReadAtPut, protocol, OLDER);
    assert_finds(Mistake::MarkerLaidAfterwards, protocol, OLDER);
}

#[test]
fn who_joined_late_must_have_seen_the_same_marker() {
    let protocol = TOGETHER.tagged().with(TAG);
    assert_finds(Mistake::MarkersNotCompared, protocol, OLDER);
}

#[test]
fn what_is_under_another_marker_is_not_stale() {
    let protocol = ALONE_EACH.tagged().over(Age::Fresh).revalidating();
    assert_finds(Mistake::OtherMarkerIsStale, protocol.with(TAG), OLDER);
}

#[test]
fn what_is_under_another_marker_stands_in_for_no_failure() {
    let failing = Faults { failures: 1, ..TAG };
    let protocol = ALONE_EACH.tagged().over_an_old_value().stale_if_error();
    assert_finds(Mistake::OtherMarkerIsOld, protocol.with(failing), OLDER);
}

#[test]
fn a_marker_sent_again_has_a_new_id() {
    let faults = Faults {
        tag_invalidations: 2,
        resends: 1,
        ..NONE
    };
    let protocol = ALONE_EACH.tagged().with(faults);
    assert_finds(Mistake::MarkerKeepsId, protocol, OLDER);
}

/// What a leader laid may be sent again, with the same id, after another one has begun under it, and an invalidation's
/// marker has come and gone.
#[test]
fn a_marker_stands_for_fence_life() {
    let protocol = ALONE_EACH.tagged().with(LAID_ELSEWHERE);
    assert_finds(Mistake::ShortLivedMarker, protocol, OLDER);
}

#[test]
fn the_put_under_another_marker_is_fenced() {
    let faults = Faults {
        lost_sessions: 1,
        ..TAG
    };
    let protocol = ALONE_EACH.tagged().with(faults);
    assert_finds(Mistake::UnfencedPut, protocol, SUPERSEDED);
}
