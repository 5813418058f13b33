//! What the store does, and what a leader's fence makes of it.

use super::{
    Actor, Age, At, Entry, Invalidation, Mistake, Outcome, Protocol, Saw, State, Trust, tags,
};

impl Saw {
    pub(super) fn of(entry: Option<Entry>) -> Self {
        entry.map_or(Self::Nothing, |entry| Self::Entry(entry.id))
    }
}

impl Actor {
    /// Whether it relies on what it read under the lock.
    fn is_fenced(&self) -> bool {
        use At::{Body, HalfRead, Land, Put, Read};
        matches!(
            self.at,
            HalfRead(_) | Read(_) | Body | Put | Land(Outcome::Computed)
        )
    }

    /// Whether the fence allows what stands in the store: what was seen under the lock, or nothing.
    fn allows(&self, standing: Option<Entry>) -> bool {
        standing.is_none() || Saw::of(standing) == self.fence
    }
}

/// The entry that a caller may be given for fresh.
pub(super) fn fresh(protocol: &Protocol, state: &State) -> Option<Entry> {
    let valid = tags::valid(protocol, state.store, state.marker);
    valid.filter(|entry| entry.value == Some(Age::Fresh))
}

/// Whether a caller may be given the entry, be it that somebody is to compute anew.
pub(super) fn is_servable(protocol: &Protocol, entry: Entry) -> bool {
    match entry.value {
        Some(Age::Fresh) => true,
        Some(Age::Stale) => protocol.options.stale_while_revalidate,
        Some(Age::Expired) | None => false,
    }
}

/// Whether the refresh that saw `saw` when it asked knows that `entry` was begun later: its leader looked
/// when something else stood there. Nothing can stand there twice, so who saw nothing knows nothing.
pub(super) fn is_newer(protocol: &Protocol, entry: Entry, saw: Saw) -> bool {
    match saw {
        Saw::Unknown => false,
        Saw::Nothing if !protocol.has(Mistake::RefreshTrustsNothing) => false,
        _ if protocol.has(Mistake::RefreshIgnoresBasedOn) => Saw::Entry(entry.id) != saw,
        _ => Saw::Entry(entry.id) != saw && entry.based_on != saw,
    }
}

/// The fenced put.
pub(super) fn put(protocol: &Protocol, state: &mut State, i: usize) {
    let Some(marker) = tags::marker_to_put(protocol, state, i) else {
        return;
    };
    let leader = &state.actors[i];
    let fits = leader.trust == Trust::Good && leader.allows(state.store);
    if !fits && !protocol.has(Mistake::UnfencedPut) {
        return;
    }
    state.broken.stored_superseded |= leader.number < state.newest;
    let entry = Entry {
        id: leader.number,
        value: Some(Age::Fresh),
        based_on: leader.fence,
        marker,
    };
    place(state, entry, Some(i));
}

pub(super) fn invalidate(state: &mut State) {
    lay_tombstone(state);
    state.invalidating.push(Invalidation {
        laid: state.numbered,
        of_tag: false,
    });
}

/// The tombstone's answer was lost, and it is sent again: with a new id.
pub(super) fn resend(protocol: &Protocol, state: &mut State, nth: usize) {
    let Invalidation { laid, of_tag } = state.invalidating[nth];
    if of_tag {
        tags::resend(protocol, state, laid);
    } else if protocol.has(Mistake::TombstoneKeepsId) {
        place(state, tombstone(laid), None);
    } else {
        lay_tombstone(state);
    }
}

fn lay_tombstone(state: &mut State) {
    state.numbered += 1;
    place(state, tombstone(state.numbered), None);
}

fn tombstone(id: u8) -> Entry {
    Entry {
        id,
        value: None,
        based_on: Saw::Nothing,
        marker: 0,
    }
}

fn place(state: &mut State, entry: Entry, by: Option<usize>) {
    state.store = Some(entry);
    state.newest = state.newest.max(entry.id);
    for (i, actor) in state.actors.iter_mut().enumerate() {
        actor.behind |= actor.is_fenced() && by != Some(i);
    }
}

pub(super) fn can_expire(state: &State) -> bool {
    let age = state.store.and_then(|entry| entry.value);
    age.is_some_and(|age| age != Age::Expired)
}

pub(super) fn expire(protocol: &Protocol, state: &mut State) {
    if let Some(entry) = &mut state.store {
        let is_fresh = entry.value == Some(Age::Fresh);
        let goes_stale = is_fresh && protocol.options.stale_while_revalidate;
        entry.value = Some(if goes_stale { Age::Stale } else { Age::Expired });
    }
}

/// The entry has stood for `fence_life`, and is gone.
pub(super) fn evict(protocol: &Protocol, state: &mut State) {
    state.store = None;
    let unnoticed = protocol.has(Mistake::ShortLivedEntry) || protocol.has(Mistake::NoFenceWatch);
    for caller in &mut state.actors {
        let sent = caller.at == At::Put && protocol.has(Mistake::LatePut);
        if caller.behind && !unnoticed && !sent {
            caller.trust = caller.trust.max(Trust::Late);
        }
        caller.behind = false;
    }
}

/// Whether the leader's look while its body runs would tell it something.
pub(super) fn can_watch(protocol: &Protocol, state: &State, i: usize) -> bool {
    let leader = &state.actors[i];
    let forgives = protocol.has(Mistake::GapForgiven) && leader.trust == Trust::Late;
    leader.at == At::Body
        && !protocol.has(Mistake::NoFenceWatch)
        && (leader.behind && leader.trust != Trust::Overtaken || forgives)
}

/// The leader looks while its body runs.
pub(super) fn watch(protocol: &Protocol, state: &mut State, i: usize) {
    let standing = state.store;
    let leader = &mut state.actors[i];
    leader.behind = false;
    if !leader.allows(standing) {
        leader.trust = Trust::Overtaken;
    } else if protocol.has(Mistake::GapForgiven) && leader.trust == Trust::Late {
        leader.trust = Trust::Good;
    }
}
