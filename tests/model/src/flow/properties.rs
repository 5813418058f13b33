//! What must hold, in every state or in the right settings.

use stateright::Property;

use super::{Actor, At, Protocol, Saw, State};

impl State {
    /// Whether every caller that is still polled has been served, and the lock is free.
    pub fn is_over(&self) -> bool {
        let ended = |actor: &Actor| actor.at == At::Done || actor.frozen;
        self.lock.is_none() && self.actors.iter().all(ended)
    }

    /// Whether a value stands in the store.
    pub fn has_value(&self) -> bool {
        self.store.is_some_and(|entry| entry.value.is_some())
    }

    /// Whether a body has begun.
    pub fn has_begun(&self) -> bool {
        self.executions > 0
    }

    fn bodies(&self) -> usize {
        let at_work = |actor: &&Actor| actor.at == At::Body && !actor.overflow;
        self.actors.iter().filter(at_work).count()
    }

    /// Whether somebody waits for others, though its look found what it could return.
    fn waits_beside_stale(&self) -> bool {
        let waits = |actor: &Actor| matches!(actor.at, At::Follow | At::Successor | At::Lead);
        let mut actors = self.actors.iter();
        actors.any(|actor| actor.servable && waits(actor))
    }
}

/// Of how many bodies without the lock a process runs most.
fn overflow_bodies(protocol: &Protocol, state: &State) -> usize {
    let in_process = |process| {
        let computes = |i: usize| {
            let actor = &state.actors[i];
            actor.overflow && actor.at == At::Body && protocol.ask(i).process == process
        };
        (0..state.actors.len()).filter(|&i| computes(i)).count()
    };
    let processes = protocol.callers.iter().map(|ask| ask.process);
    processes.map(in_process).max().unwrap_or_default()
}

pub(super) fn all() -> Vec<Property<Protocol>> {
    use Property as P;
    let mut all = of_values();
    all.extend([
        P::always("one body", |_, s: &State| s.lost_session || s.bodies() <= 1),
        P::always("served by the second body", |_, s: &State| {
            s.actors.iter().all(|actor| actor.bodies <= 1)
        }),
        P::always("nobody waits beside a stale value", |_, s: &State| {
            !s.waits_beside_stale()
        }),
        P::always("one overflow body", |protocol, s: &State| {
            overflow_bodies(protocol, s) <= 1
        }),
        P::always("no overflow beside a detached body", |_, s: &State| {
            !s.broken.overflowed_beside_detached
        }),
        P::always("nothing is lost with its caller", |_, s: &State| {
            !s.broken.lost_with_caller
        }),
        P::always("one execution", |_, s: &State| s.executions <= 1),
        P::always("two executions", |_, s: &State| s.executions <= 2),
        P::sometimes("somebody follows", |_, s: &State| {
            s.actors.iter().any(|actor| actor.at == At::Follow)
        }),
        P::sometimes("somebody refreshes", |_, s: &State| {
            let mut actors = s.actors.iter();
            actors.any(|actor| matches!(actor.at, At::Try(_)))
        }),
        P::sometimes("somebody computes", |_, s: &State| s.has_begun()),
        P::sometimes("somebody finds nothing", |_, s: &State| {
            let nothing = |actor: &Actor| actor.saw == Saw::Nothing;
            s.actors.iter().any(nothing)
        }),
    ]);
    all
}

fn of_values() -> Vec<Property<Protocol>> {
    use Property as P;
    vec![
        P::always("nothing older after an invalidation", |_, s: &State| {
            !s.broken.older_after_invalidation
        }),
        P::always("a refresh gets what began later", |_, s: &State| {
            !s.broken.refresh_got_older
        }),
        P::always("a process never goes back", |_, s: &State| {
            !s.broken.went_back
        }),
        P::always("nothing superseded is stored", |_, s: &State| {
            !s.broken.stored_superseded
        }),
        P::always("none while fresh", |_, s: &State| {
            !s.broken.computed_while_fresh
        }),
    ]
}
