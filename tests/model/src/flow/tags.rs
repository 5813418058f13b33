//! A tag: its marker is a second cell in the store. An entry is valid only under the marker that its leader saw in the
//! look before its body began.

use super::flight::looks_later;
use super::{Actor, Age, At, Entry, Invalidation, Mistake, Protocol, State};

/// The entry, if it was begun under this marker.
pub(super) fn valid(
    protocol: &Protocol,
    found: Option<Entry>,
    marker: Option<u8>,
) -> Option<Entry> {
    let mut entry = found?;
    let missing_matches = marker.is_none() && protocol.has(Mistake::MissingMarkerMatches);
    if !protocol.options.tagged || marker == Some(entry.marker) || missing_matches {
        return Some(entry);
    }
    let is_stale = entry.value.is_some() && protocol.has(Mistake::OtherMarkerIsStale);
    entry.value = Some(Age::Stale);
    is_stale.then_some(entry)
}

/// What of it may be returned in place of a failure.
pub(super) fn of_use(
    protocol: &Protocol,
    found: Option<Entry>,
    marker: Option<u8>,
) -> Option<Entry> {
    if protocol.has(Mistake::OtherMarkerIsOld) {
        return found;
    }
    valid(protocol, found, marker)
}

/// Whether a leader, in its look under the lock, has found no marker for the first time.
pub(super) fn lacks_marker(protocol: &Protocol, leader: &Actor) -> bool {
    let needs_none =
        protocol.has(Mistake::MissingMarkerMatches) || protocol.has(Mistake::MarkerLaidAfterwards);
    protocol.options.tagged && leader.marker.is_none() && !leader.has_laid && !needs_none
}

/// The put of a marker, over nothing; and the look under the lock once more. Whatever stands there by then counts, its
/// own marker or another one.
pub(super) fn lay(protocol: &Protocol, state: &mut State, i: usize) {
    lay_over_nothing(state);
    let leader = &mut state.actors[i];
    (leader.at, leader.has_laid) = (At::Sent, true);
    looks_later(protocol, state, i);
}

fn lay_over_nothing(state: &mut State) {
    if state.marker.is_none() {
        replace_marker(state);
    }
}

pub(super) fn lay_elsewhere(state: &mut State) {
    lay_over_nothing(state);
    state.laid_elsewhere = state.marker;
}

/// The answer was lost. What was laid the first time may be gone.
pub(super) fn lay_elsewhere_again(state: &mut State) {
    let laid = state.laid_elsewhere.take();
    state.marker = state.marker.or(laid);
}

/// The marker under which the leader's value is put; `None` if it may not be put at all.
pub(super) fn marker_to_put(protocol: &Protocol, state: &mut State, i: usize) -> Option<u8> {
    if !protocol.options.tagged {
        return Some(0);
    }
    if protocol.has(Mistake::MarkerReadAtPut) {
        return state.marker;
    }
    if protocol.has(Mistake::MarkerLaidAfterwards) && state.actors[i].marker.is_none() {
        lay_over_nothing(state);
        return state.marker;
    }
    state.actors[i].marker
}

/// Whether a follower saw the marker that the leader saw.
pub(super) fn saw_the_same(protocol: &Protocol, follower: &Actor, leader: &Actor) -> bool {
    let same = leader.marker.is_some() && follower.marker == leader.marker;
    !protocol.options.tagged || same || protocol.has(Mistake::MarkersNotCompared)
}

pub(super) fn invalidate(state: &mut State) {
    replace_marker(state);
    state.invalidating.push(Invalidation {
        laid: state.numbered,
        of_tag: true,
    });
}

/// The answer to an invalidation was lost: its marker is sent again, with a new id.
pub(super) fn resend(protocol: &Protocol, state: &mut State, laid: u8) {
    if protocol.has(Mistake::MarkerKeepsId) {
        state.marker = Some(laid);
    } else {
        replace_marker(state);
    }
}

fn replace_marker(state: &mut State) {
    state.numbered += 1;
    state.marker = Some(state.numbered);
}

/// The marker has stood for `fence_life`: no put that came before it is sent again any more.
pub(super) fn lose_marker(protocol: &Protocol, state: &mut State) {
    state.marker = None;
    if !protocol.has(Mistake::ShortLivedMarker) {
        state.laid_elsewhere = None;
    }
}
