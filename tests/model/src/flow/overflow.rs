//! Callers that have waited for too long: they compute without the lock, in one flight of their own.

use super::flight::{join, pass_on, serve};
use super::store::is_servable;
use super::{At, Entry, Mistake, Protocol, State, tags};

/// Whether a detached body runs in the process of this caller.
fn own_task_computes(protocol: &Protocol, state: &State, i: usize) -> bool {
    let tasks = protocol.callers.len()..state.actors.len();
    let mut own = tasks.filter(|&j| protocol.process(j) == protocol.process(i));
    own.any(|j| matches!(state.actors[j].at, At::Body | At::Put))
}

/// Who waits for others, or for the lock. For its own process's detached body it waits on.
pub(super) fn can_time_out(protocol: &Protocol, state: &State, i: usize) -> bool {
    let caller = &state.actors[i];
    let waits = matches!(caller.at, At::Follow | At::Successor | At::Lead);
    let waits_on =
        own_task_computes(protocol, state, i) && !protocol.has(Mistake::OverflowBesideDetached);
    waits && !caller.frozen && !caller.overflow && !waits_on
}

/// Leaves its flight. Looks once more, and takes what is fresh or stale; else it computes.
pub(super) fn time_out(protocol: &Protocol, state: &mut State, i: usize) {
    if state.actors[i].leads() {
        let leaves = protocol.has(Mistake::OverflowLeavesFollowers);
        state.actors[i].at = At::Done;
        if !leaves {
            pass_on(protocol, state, i);
        }
    }
    let wanted = |entry: &Entry| is_servable(protocol, *entry) && !protocol.ask(i).refresh;
    let found = tags::valid(protocol, state.store, state.marker);
    if let Some(entry) = found.filter(wanted) {
        return serve(protocol, state, i, entry.id);
    }
    state.broken.overflowed_beside_detached |= own_task_computes(protocol, state, i);
    let caller = &mut state.actors[i];
    (caller.overflow, caller.bodies) = (true, 0);
    join(protocol, state, i);
}
