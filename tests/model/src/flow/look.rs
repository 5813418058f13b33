//! Looks: a caller's own, and a leader's under the lock. With a tag they read two cells: at one moment or, where these
//! are on two servers, one after the other, in either order.

use super::setting::Reads;
use super::store::is_servable;
use super::{At, Entry, Protocol, Saw, State, Trust, tags};

pub(super) fn ask(protocol: &Protocol, state: &mut State, i: usize) {
    let caller = &mut state.actors[i];
    caller.after = state.invalidated;
    caller.floor = state.processes[protocol.process(i)].returned;
    if protocol.ask(i).refresh {
        caller.asked = state.numbered;
    }
}

/// A caller asks, and its look reads one cell, or both.
pub(super) fn begin(protocol: &Protocol, state: &mut State, i: usize) {
    ask(protocol, state, i);
    match protocol.options.reads {
        Reads::AtOnce => at_once(protocol, state, i),
        Reads::EntryFirst => state.actors[i].at = At::HalfLooked(read_entry(state, i)),
        Reads::MarkerFirst => {
            state.actors[i].marker = state.marker;
            state.actors[i].at = At::HalfLooked(None);
        }
    }
}

/// … and the other one.
pub(super) fn end(protocol: &Protocol, state: &mut State, i: usize, found: Option<Entry>) {
    let found = match protocol.options.reads {
        Reads::MarkerFirst => read_entry(state, i),
        Reads::AtOnce | Reads::EntryFirst => {
            state.actors[i].marker = state.marker;
            found
        }
    };
    looked(protocol, state, i, found);
}

pub(super) fn at_once(protocol: &Protocol, state: &mut State, i: usize) {
    ask(protocol, state, i);
    state.actors[i].marker = state.marker;
    let found = read_entry(state, i);
    looked(protocol, state, i, found);
}

fn read_entry(state: &mut State, i: usize) -> Option<Entry> {
    state.actors[i].saw = Saw::of(state.store);
    state.store
}

fn looked(protocol: &Protocol, state: &mut State, i: usize, found: Option<Entry>) {
    let wanted = |entry: &Entry| {
        let serves = is_servable(protocol, *entry) || protocol.options.stale_if_error;
        entry.value.is_some() && serves && !protocol.ask(i).refresh
    };
    let caller = &mut state.actors[i];
    let found = tags::valid(protocol, found, caller.marker).filter(wanted);
    caller.servable = found.is_some_and(|entry| is_servable(protocol, entry));
    caller.at = At::Looked(found);
}

/// A leader's look under the lock reads one cell, or both.
pub(super) fn begin_under_lock(protocol: &Protocol, state: &mut State, i: usize) {
    let reads = protocol.options.reads;
    let entry = (reads != Reads::MarkerFirst).then(|| read_under_lock(state, i));
    if reads != Reads::EntryFirst {
        state.actors[i].marker = state.marker;
    }
    state.actors[i].at = match (reads, entry.flatten()) {
        (Reads::AtOnce, entry) => At::Read(entry),
        (_, entry) => At::HalfRead(entry),
    };
}

/// … and the other one.
pub(super) fn end_under_lock(
    protocol: &Protocol,
    state: &mut State,
    i: usize,
    found: Option<Entry>,
) {
    let found = match protocol.options.reads {
        Reads::MarkerFirst => read_under_lock(state, i),
        Reads::AtOnce | Reads::EntryFirst => {
            state.actors[i].marker = state.marker;
            found
        }
    };
    state.actors[i].at = At::Read(found);
}

/// The put is fenced by what is read now. An earlier look plays no part any more.
fn read_under_lock(state: &mut State, i: usize) -> Option<Entry> {
    let standing = state.store;
    let leader = &mut state.actors[i];
    (leader.fence, leader.trust, leader.behind) = (Saw::of(standing), Trust::Good, false);
    standing
}
