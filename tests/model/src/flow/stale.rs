//! Old values: given out while one refreshes, and in place of failures.

use super::detach::begin_task;
use super::flight::{enter, join, leader_beside, pass_on, serve};
use super::{Actor, Age, At, Entry, Mistake, Outcome, Protocol, State};

/// Whether the actor's look found something fresh.
pub(super) fn is_fresh_hit(actor: &Actor) -> bool {
    matches!(actor.at, At::Looked(Some(entry)) if entry.value == Some(Age::Fresh))
}

/// A hit that is to be replaced: refreshes it if nobody leads, and does not wait for anybody.
pub(super) fn hit(protocol: &Protocol, state: &mut State, i: usize, entry: Entry) {
    if protocol.has(Mistake::OldServedFromMemory) {
        state.processes[protocol.process(i)].remembered = Some(entry.id);
    }
    enter(protocol, state, i);
    if leader_beside(protocol, state, i).is_some() {
        if protocol.has(Mistake::StaleHitFollows) {
            return join(protocol, state, i);
        }
        return serve(protocol, state, i, entry.id);
    }
    let at = At::Try(entry.id);
    if protocol.options.detach {
        begin_task(protocol, state, i, at);
        serve(protocol, state, i, entry.id);
    } else {
        state.actors[i].at = at;
    }
}

/// A fresh hit that is to be replaced before it expires: likewise.
pub(super) fn refresh_early(protocol: &Protocol, state: &mut State, i: usize) {
    if let At::Looked(Some(entry)) = state.actors[i].at {
        hit(protocol, state, i, entry);
    }
}

/// The one try of the lock.
pub(super) fn try_lock(protocol: &Protocol, state: &mut State, i: usize, old: u8) {
    if state.lock.is_none() {
        (state.lock, state.actors[i].at) = (Some(i), At::Sent);
    } else if protocol.has(Mistake::RefresherNeedsNoLock) {
        state.actors[i].at = At::Sent;
    } else if protocol.has(Mistake::RefresherWaits) {
        state.actors[i].at = At::Lead;
    } else {
        serve(protocol, state, i, old);
        if !protocol.has(Mistake::RefresherLeavesFollowers) {
            pass_on(protocol, state, i);
        }
    }
}

/// The value that a leader may return if its computation fails. A refresh wants none.
pub(super) fn for_failure(protocol: &Protocol, i: usize, found: Option<Entry>) -> Option<u8> {
    let wanted = protocol.options.stale_if_error && !protocol.ask(i).refresh;
    let found = found.filter(|entry| wanted && entry.value.is_some());
    found.map(|entry| entry.id)
}

/// The computation has failed, and this is returned in its place.
pub(super) fn return_old(protocol: &Protocol, state: &mut State, i: usize, old: u8) {
    let process = &mut state.processes[protocol.process(i)];
    process.backs_off = true;
    if protocol.has(Mistake::OldServedFromMemory) {
        process.remembered = Some(old);
    }
    let leader = &mut state.actors[i];
    if protocol.has(Mistake::OldLandsAsComputed) {
        leader.number = old;
        leader.at = At::Land(Outcome::Computed);
    } else {
        leader.at = At::Land(Outcome::Old(old));
    }
}

/// Whether a caller may return the expired value that its look found, since its process has failed to compute.
pub(super) fn can_serve_old(protocol: &Protocol, state: &State, i: usize) -> bool {
    let expired =
        matches!(state.actors[i].at, At::Looked(Some(entry)) if entry.value == Some(Age::Expired));
    expired && state.processes[protocol.process(i)].backs_off
}

pub(super) fn serve_old(protocol: &Protocol, state: &mut State, i: usize) {
    if let At::Looked(Some(entry)) = state.actors[i].at {
        serve(protocol, state, i, entry.id);
    }
}

/// With a mistake: what the process remembers is given without a look.
pub(super) fn serve_remembered(protocol: &Protocol, state: &mut State, i: usize) {
    if let Some(number) = state.processes[protocol.process(i)].remembered {
        serve(protocol, state, i, number);
    }
}
