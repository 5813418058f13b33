//! The flight of a key in a process: who leads, who follows, whom a landing serves.

use super::detach::{is_task_over, lead};
use super::store::is_newer;
use super::{Actor, At, Entry, Mistake, Outcome, Protocol, Saw, State, Trust, tags};

impl Actor {
    /// Whether it is the leader of its flight, or named to be.
    pub(super) fn leads(&self) -> bool {
        use At::{Body, HalfRead, Land, Lay, Lead, Put, Read, Sent, Successor, Try};
        matches!(
            self.at,
            Successor | Try(_) | Lead | Sent | HalfRead(_) | Read(_) | Lay | Body | Put | Land(_)
        )
    }
}

/// Those of the same flight, but for the one.
fn beside<'a>(
    protocol: &'a Protocol,
    state: &'a State,
    i: usize,
) -> impl Iterator<Item = usize> + 'a {
    let flight = |i: usize| {
        let actor = &state.actors[i];
        (protocol.process(i), actor.flight, actor.overflow)
    };
    (0..state.actors.len()).filter(move |&j| j != i && flight(j) == flight(i))
}

fn followers(protocol: &Protocol, state: &State, i: usize) -> Vec<usize> {
    beside(protocol, state, i)
        .filter(|&j| state.actors[j].at == At::Follow)
        .collect()
}

/// Whether somebody leads the flight that callers of this process join.
pub(super) fn is_under_way(protocol: &Protocol, state: &State, process: usize) -> bool {
    let led = |i: usize| {
        let actor = &state.actors[i];
        let joined = actor.flight == state.processes[process].flight;
        joined && !actor.overflow && actor.leads() && protocol.process(i) == process
    };
    (0..state.actors.len()).any(led)
}

pub(super) fn leader_beside(protocol: &Protocol, state: &State, i: usize) -> Option<usize> {
    beside(protocol, state, i).find(|&j| state.actors[j].leads())
}

/// Leads if nobody does, else follows.
pub(super) fn join(protocol: &Protocol, state: &mut State, i: usize) {
    enter(protocol, state, i);
    let alone = state.actors[i].overflow && protocol.has(Mistake::OverflowForEach);
    let Some(leader) = leader_beside(protocol, state, i).filter(|_| !alone) else {
        return lead(protocol, state, i);
    };
    let early = match state.actors[leader].at {
        At::Successor | At::Try(_) | At::Lead | At::Lay => true,
        // The overflow flight's leader sends its look when it joins.
        At::Sent | At::HalfRead(_) | At::Read(_) => protocol.has(Mistake::EarlyUntilAnswered),
        _ => false,
    };
    let caller = &mut state.actors[i];
    (caller.early, caller.at) = (early, At::Follow);
}

/// Enters the flight of its process that is joined now. The overflow flight stays the same.
pub(super) fn enter(protocol: &Protocol, state: &mut State, i: usize) {
    let caller = &mut state.actors[i];
    let stays = caller.overflow && !protocol.has(Mistake::OverflowSuperseded);
    caller.flight = if stays {
        0
    } else {
        state.processes[protocol.process(i)].flight
    };
}

/// Gives the leader its outcome, and everybody whom the landing rule allows. The others stay, behind a
/// successor.
pub(super) fn land(protocol: &Protocol, state: &mut State, i: usize, outcome: Outcome) {
    let number = match outcome {
        Outcome::Found(entry) => entry.id,
        Outcome::Computed => state.actors[i].number,
        Outcome::Old(id) => id,
    };
    give(protocol, state, i, number);
    let lands = !protocol.has(Mistake::OnlyStoredLands)
        || state.store.is_some_and(|entry| entry.id == number);
    for j in followers(protocol, state, i) {
        if lands && takes(protocol, state, j, i, outcome) {
            serve(protocol, state, j, number);
        } else {
            state.actors[j].bodies += u8::from(!matches!(outcome, Outcome::Found(_)));
        }
    }
    pass_on(protocol, state, i);
}

/// The landing rule: whether follower `j` is served by what `i` lands.
fn takes(protocol: &Protocol, state: &State, j: usize, i: usize, outcome: Outcome) -> bool {
    let (follower, leader) = (&state.actors[j], &state.actors[i]);
    let same_marker = tags::saw_the_same(protocol, follower, leader);
    let refresh = protocol.ask(j).refresh;
    match outcome {
        Outcome::Found(entry) if refresh => {
            follower.early && is_newer(protocol, entry, follower.saw)
        }
        Outcome::Old(_) if refresh => false,
        Outcome::Found(Entry { id, .. }) | Outcome::Old(id) => {
            follower.early
                || same_marker && follower.saw == Saw::Entry(id)
                || protocol.has(Mistake::FoundServesWhoSawNothing) && follower.saw == Saw::Nothing
        }
        Outcome::Computed if refresh => follower.early || protocol.has(Mistake::RefreshTakesOlder),
        Outcome::Computed => {
            follower.early
                || protocol.has(Mistake::LandsForAll)
                || same_marker && saw_the_same(protocol, follower, leader)
        }
    }
}

/// Whether the follower's own look found what the leader's fence allows, so that nothing was laid between
/// the two looks. Nothing is no proof of it, if the leader was overtaken or looked too seldom.
fn saw_the_same(protocol: &Protocol, follower: &Actor, leader: &Actor) -> bool {
    let trusts = leader.trust == Trust::Good || protocol.has(Mistake::OvertakenLeaderServes);
    match follower.saw {
        Saw::Unknown => protocol.has(Mistake::FailedLookIsNothing) && trusts,
        Saw::Nothing => trusts,
        Saw::Entry(_) => follower.saw == leader.fence,
    }
}

/// The leader is gone from the flight. A follower is named its successor, and looks under the lock anew: so
/// whoever is in the flight now has joined before that look.
pub(super) fn pass_on(protocol: &Protocol, state: &mut State, i: usize) {
    let followers = followers(protocol, state, i);
    looks_later(protocol, state, i);
    if let Some(&first) = followers.first() {
        state.actors[first].at = At::Successor;
    }
}

/// Whoever is in the flight by now has joined before the look under the lock that is to come.
pub(super) fn looks_later(protocol: &Protocol, state: &mut State, i: usize) {
    for j in followers(protocol, state, i) {
        state.actors[j].early = true;
    }
}

/// Whether a successor may be polled, and take up the lead.
pub(super) fn can_succeed(protocol: &Protocol, state: &State, i: usize) -> bool {
    !state.actors[i].frozen && is_task_over(protocol, state, i)
}

/// Whether follower `j` can be named in place of a successor that has not taken up the lead.
pub(super) fn can_renew(protocol: &Protocol, state: &State, j: usize) -> bool {
    let follower = &state.actors[j];
    follower.at == At::Follow
        && !follower.frozen
        && !protocol.has(Mistake::SuccessorNotRenewed)
        && successor_beside(protocol, state, j).is_some()
}

pub(super) fn renew(protocol: &Protocol, state: &mut State, j: usize) {
    if let Some(named) = successor_beside(protocol, state, j) {
        state.actors[named].at = At::Follow;
        state.actors[j].at = At::Successor;
    }
}

fn successor_beside(protocol: &Protocol, state: &State, j: usize) -> Option<usize> {
    beside(protocol, state, j).find(|&k| state.actors[k].at == At::Successor)
}

/// A caller has its value: judged here, wherever it comes from. A task gives it to nobody but its followers.
fn give(protocol: &Protocol, state: &mut State, i: usize, number: u8) {
    if protocol.is_task(i) {
        return;
    }
    let caller = &state.actors[i];
    state.broken.older_after_invalidation |= number < caller.after;
    state.broken.refresh_got_older |= number <= caller.asked;
    state.broken.went_back |= number < caller.floor;
    if protocol.tracks_order() {
        let process = &mut state.processes[protocol.process(i)];
        process.returned = process.returned.max(number);
    }
}

/// It is given this, and is done.
pub(super) fn serve(protocol: &Protocol, state: &mut State, i: usize, number: u8) {
    give(protocol, state, i, number);
    state.actors[i].goes_to(At::Done);
}
