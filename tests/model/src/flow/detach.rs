//! Who leads: the caller itself or, with `detach`, a task of its own that the caller follows.

use super::steps::leave;
use super::{Actor, Ask, At, Mistake, Protocol, State};

impl Protocol {
    pub(super) fn is_task(&self, i: usize) -> bool {
        i >= self.callers.len()
    }

    /// What the actor asks for, or leads for.
    pub(super) fn ask(&self, i: usize) -> Ask {
        self.callers[i % self.callers.len()]
    }

    pub(super) fn process(&self, i: usize) -> usize {
        usize::from(self.ask(i).process)
    }

    pub(super) fn task_of(&self, i: usize) -> usize {
        i + self.callers.len()
    }
}

/// Whether the last task of this caller is over.
pub(super) fn is_task_over(protocol: &Protocol, state: &State, i: usize) -> bool {
    let task = state.actors.get(protocol.task_of(i));
    task.is_none_or(|task| task.at == At::Done)
}

/// Leads the flight, which nobody leads. Whoever has waited for too long leads without the lock, itself.
pub(super) fn lead(protocol: &Protocol, state: &mut State, i: usize) {
    let caller = &mut state.actors[i];
    if caller.overflow {
        caller.at = At::Sent;
    } else if protocol.options.detach {
        (caller.at, caller.early) = (At::Follow, true);
        begin_task(protocol, state, i, At::Lead);
    } else {
        caller.at = At::Lead;
    }
}

pub(super) fn begin_task(protocol: &Protocol, state: &mut State, i: usize, at: At) {
    let (saw, flight) = (state.actors[i].saw, state.actors[i].flight);
    let task = &mut state.actors[protocol.task_of(i)];
    *task = Actor {
        at,
        saw,
        flight,
        ..Actor::NEW
    };
}

/// A task that has an outcome lands it, dropped or not.
pub(super) fn can_die(task: &Actor) -> bool {
    task.leads() && !matches!(task.at, At::Land(_))
}

/// Its caller goes on in its place, if it is still there; else a follower leads.
pub(super) fn die(protocol: &Protocol, state: &mut State, i: usize) {
    if protocol.has(Mistake::DeadTaskLeads) {
        state.lock = state.lock.filter(|&holder| holder != i);
        state.actors[i].frozen = true;
    } else if awaits_task(state, i - protocol.callers.len()) {
        give_back(state, i, i - protocol.callers.len());
    } else {
        leave(protocol, state, i);
    }
}

fn awaits_task(state: &State, i: usize) -> bool {
    let caller = &state.actors[i];
    caller.at == At::Follow && !caller.overflow && !caller.frozen
}

fn give_back(state: &mut State, task: usize, i: usize) {
    let mut led = state.actors[task].clone();
    state.actors[task].goes_to(At::Done);
    state.lock = state
        .lock
        .map(|holder| if holder == task { i } else { holder });
    let caller = &state.actors[i];
    (led.after, led.asked) = (caller.after, caller.asked);
    (led.floor, led.bodies) = (caller.floor, caller.bodies);
    state.actors[i] = led;
}

/// The error of a task is that of the caller that began it, if it is still there. The next one computes.
pub(super) fn fail(protocol: &Protocol, state: &mut State, i: usize) {
    if protocol.is_task(i) {
        let caller = i - protocol.callers.len();
        if awaits_task(state, caller) {
            state.actors[caller].goes_to(At::Done);
        }
    }
    leave(protocol, state, i);
}

/// A caller is dropped: with it what it leads, but not its task.
pub(super) fn drop_caller(protocol: &Protocol, state: &mut State, i: usize) {
    end_with_caller(protocol, state, i);
    let task = protocol.task_of(i);
    if protocol.has(Mistake::TaskDiesWithCaller) && can_die(&state.actors[task]) {
        end_with_caller(protocol, state, task);
    }
}

fn end_with_caller(protocol: &Protocol, state: &mut State, i: usize) {
    let actor = &state.actors[i];
    let computes = matches!(actor.at, At::Body | At::Put) && !actor.overflow;
    // What was a task's may be its caller's now.
    let was_detached = state.faults.deaths == protocol.faults.deaths;
    state.broken.lost_with_caller |= computes && was_detached;
    leave(protocol, state, i);
}
