//! The flight of a key in a process: who leads, who follows, whom a landing serves.

use super::store::is_newer;
use super::{At, Caller, Mistake, Outcome, Protocol, Saw, State, Trust};

impl Caller {
    /// Whether it is the leader of its process's flight, or named to be.
    pub(super) fn leads(&self) -> bool {
        use At::{Body, Land, Lead, Put, Read, Sent, Successor};
        matches!(
            self.at,
            Successor | Lead | Sent | Read(_) | Body | Put | Land(_)
        )
    }
}

/// The callers of the same process, but for the one.
fn beside<'a>(
    protocol: &'a Protocol,
    state: &'a State,
    i: usize,
) -> impl Iterator<Item = usize> + 'a {
    let process = protocol.callers[i].process;
    (0..state.callers.len()).filter(move |&j| j != i && protocol.callers[j].process == process)
}

fn followers(protocol: &Protocol, state: &State, i: usize) -> Vec<usize> {
    beside(protocol, state, i)
        .filter(|&j| state.callers[j].at == At::Follow)
        .collect()
}

/// Leads if nobody does, else follows.
pub(super) fn join(protocol: &Protocol, state: &mut State, i: usize) {
    let leader = beside(protocol, state, i).find(|&j| state.callers[j].leads());
    let early = leader.is_some_and(|leader| match state.callers[leader].at {
        At::Successor | At::Lead => true,
        At::Sent | At::Read(_) => protocol.has(Mistake::EarlyUntilAnswered),
        _ => false,
    });
    let caller = &mut state.callers[i];
    caller.early = early;
    caller.at = if leader.is_some() {
        At::Follow
    } else {
        At::Lead
    };
}

/// Gives the leader its outcome, and everybody whom the landing rule allows. The others stay, behind a
/// successor.
pub(super) fn land(protocol: &Protocol, state: &mut State, i: usize, outcome: Outcome) {
    let number = match outcome {
        Outcome::Found(entry) => entry.id,
        Outcome::Computed => state.callers[i].number,
    };
    give(state, i, number);
    let lands = !protocol.has(Mistake::OnlyStoredLands)
        || state.store.is_some_and(|entry| entry.id == number);
    for j in followers(protocol, state, i) {
        if lands && takes(protocol, state, j, i, outcome) {
            give(state, j, number);
            state.callers[j].goes_to(At::Done);
        } else {
            state.callers[j].bodies += u8::from(outcome == Outcome::Computed);
        }
    }
    pass_on(protocol, state, i);
}

/// The landing rule: whether follower `j` is served by what `i` lands.
fn takes(protocol: &Protocol, state: &State, j: usize, i: usize, outcome: Outcome) -> bool {
    let (follower, leader) = (&state.callers[j], &state.callers[i]);
    let refresh = protocol.callers[j].refresh;
    match outcome {
        Outcome::Found(entry) if refresh => {
            follower.early && is_newer(protocol, entry, follower.saw)
        }
        Outcome::Found(_) => follower.early,
        Outcome::Computed if refresh => follower.early || protocol.has(Mistake::RefreshTakesOlder),
        Outcome::Computed => {
            follower.early
                || protocol.has(Mistake::LandsForAll)
                || saw_the_same(protocol, follower, leader)
        }
    }
}

/// Whether the follower's own look found what the leader's fence allows, so that nothing was laid between
/// the two looks. Nothing is no proof of it, if the leader was overtaken or looked too seldom.
fn saw_the_same(protocol: &Protocol, follower: &Caller, leader: &Caller) -> bool {
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
    for &j in &followers {
        state.callers[j].early = true;
    }
    if let Some(&first) = followers.first() {
        state.callers[first].at = At::Successor;
    }
}

/// Whether follower `j` can be named in place of a successor that has not taken up the lead.
pub(super) fn can_renew(protocol: &Protocol, state: &State, j: usize) -> bool {
    let follower = &state.callers[j];
    follower.at == At::Follow
        && !follower.frozen
        && !protocol.has(Mistake::SuccessorNotRenewed)
        && successor_beside(protocol, state, j).is_some()
}

pub(super) fn renew(protocol: &Protocol, state: &mut State, j: usize) {
    if let Some(named) = successor_beside(protocol, state, j) {
        state.callers[named].at = At::Follow;
        state.callers[j].at = At::Successor;
    }
}

fn successor_beside(protocol: &Protocol, state: &State, j: usize) -> Option<usize> {
    beside(protocol, state, j).find(|&k| state.callers[k].at == At::Successor)
}

/// A caller has its value: judged here, wherever it comes from.
pub(super) fn give(state: &mut State, i: usize, number: u8) {
    let caller = &state.callers[i];
    state.broken.older_after_invalidation |= number < caller.after;
    state.broken.refresh_got_older |= number <= caller.asked;
}
