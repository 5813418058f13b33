//! What happens, and what a caller or a task does next.

use super::action::spend;
use super::flight::{can_succeed, join, land, pass_on, renew, serve};
use super::store::{evict, expire, fresh, invalidate, is_newer, is_servable, put, resend, watch};
use super::{
    Action, Actor, Age, At, Broken, Entry, Invalidation, Mistake, Outcome, Process, Protocol, Saw,
    State, Trust, detach, look, overflow, stale, tags,
};

impl Actor {
    pub(super) const NEW: Self = Self {
        at: At::Ask,
        after: 0,
        asked: 0,
        floor: 0,
        saw: Saw::Unknown,
        marker: None,
        has_laid: false,
        servable: false,
        flight: 0,
        overflow: false,
        early: false,
        frozen: false,
        bodies: 0,
        fence: Saw::Unknown,
        number: 0,
        old: None,
        trust: Trust::Good,
        behind: false,
    };

    /// What it knew plays no part any more.
    pub(super) fn goes_to(&mut self, at: At) {
        *self = Self { at, ..Self::NEW };
    }
}

pub(super) fn beginning(protocol: &Protocol) -> State {
    let stored = protocol.stored.map(|age| Entry {
        id: 1,
        value: Some(age),
        based_on: Saw::Nothing,
        marker: 1,
    });
    let mut actors = vec![Actor::NEW; protocol.callers.len()];
    if protocol.options.detach {
        let mut task = Actor::NEW;
        task.goes_to(At::Done);
        actors.extend(vec![task; protocol.callers.len()]);
    }
    let processes = protocol.callers.iter().map(|ask| ask.process + 1).max();
    let mut state = State {
        store: stored,
        marker: stored.map(|_| 1).filter(|_| protocol.options.tagged),
        laid_elsewhere: None,
        lock: None,
        actors,
        processes: vec![Process::default(); usize::from(processes.unwrap_or_default())],
        invalidating: Vec::new(),
        invalidated: 0,
        numbered: u8::from(stored.is_some()),
        newest: u8::from(stored.is_some()),
        executions: 0,
        lost_session: false,
        broken: Broken::default(),
        faults: protocol.faults,
    };
    if protocol.at_once {
        (0..protocol.callers.len()).for_each(|i| look::at_once(protocol, &mut state, i));
    }
    state
}

pub(super) fn can_step(protocol: &Protocol, state: &State, i: usize) -> bool {
    let actor = &state.actors[i];
    match actor.at {
        At::Done | At::Follow => false,
        At::Successor => can_succeed(protocol, state, i),
        At::Lead => state.lock.is_none(),
        _ => !actor.frozen,
    }
}

/// A leader that has an outcome lands it, dropped or not.
pub(super) fn can_drop(caller: &Actor) -> bool {
    caller.at == At::Follow || caller.leads() && !matches!(caller.at, At::Land(_))
}

pub(super) fn can_share_look(protocol: &Protocol, state: &State, i: usize, j: usize) -> bool {
    protocol.has(Mistake::JoinsOlderLook)
        && protocol.process(i) == protocol.process(j)
        && matches!(state.actors[j].at, At::Looked(_))
}

pub(super) fn apply(protocol: &Protocol, state: &mut State, action: Action) {
    spend(&mut state.faults, action);
    match action {
        Action::Step(i) => step(protocol, state, i),
        Action::ShareLook(i, j) => {
            look::ask(protocol, state, i);
            let shared = &state.actors[j];
            let (at, saw, marker) = (shared.at, shared.saw, shared.marker);
            let caller = &mut state.actors[i];
            (caller.at, caller.saw, caller.marker) = (at, saw, marker);
        }
        Action::Remember(i) => {
            look::ask(protocol, state, i);
            stale::serve_remembered(protocol, state, i);
        }
        Action::ServeOld(i) => stale::serve_old(protocol, state, i),
        Action::Watch(i) => watch(protocol, state, i),
        Action::Renew(i) => renew(protocol, state, i),
        Action::Return(nth, process) => returns(state, nth, process),
        Action::FailLook(i) => {
            look::ask(protocol, state, i);
            state.actors[i].at = At::Looked(None);
        }
        Action::RefreshEarly(i) => stale::refresh_early(protocol, state, i),
        Action::EndUnstored(i) => end_unstored(protocol, state, i),
        Action::Fail(i) => fail(protocol, state, i),
        Action::TimeOut(i) => overflow::time_out(protocol, state, i),
        Action::Drop(i) => detach::drop_caller(protocol, state, i),
        Action::Die(i) => detach::die(protocol, state, i),
        Action::Freeze(i) => state.actors[i].frozen = true,
        Action::LoseSession => (state.lock, state.lost_session) = (None, true),
        Action::Invalidate => invalidate(state),
        Action::InvalidateTag => tags::invalidate(state),
        Action::LayElsewhere => tags::lay_elsewhere(state),
        Action::LayElsewhereAgain => tags::lay_elsewhere_again(state),
        Action::LoseMarker => tags::lose_marker(protocol, state),
        Action::Resend(nth) => resend(protocol, state, nth),
        Action::Expire => expire(protocol, state),
        Action::Evict => evict(protocol, state),
    }
}

fn step(protocol: &Protocol, state: &mut State, i: usize) {
    match state.actors[i].at {
        At::Ask => look::begin(protocol, state, i),
        At::HalfLooked(found) => look::end(protocol, state, i, found),
        At::Looked(Some(entry)) if entry.value == Some(Age::Fresh) => {
            serve(protocol, state, i, entry.id);
        }
        At::Looked(Some(entry)) if is_servable(protocol, entry) => {
            stale::hit(protocol, state, i, entry);
        }
        At::Looked(_) => join(protocol, state, i),
        At::Successor => detach::lead(protocol, state, i),
        At::Try(old) => stale::try_lock(protocol, state, i, old),
        At::Lead => (state.lock, state.actors[i].at) = (Some(i), At::Sent),
        At::Sent => look::begin_under_lock(protocol, state, i),
        At::HalfRead(found) => look::end_under_lock(protocol, state, i, found),
        At::Read(_) if tags::lacks_marker(protocol, &state.actors[i]) => {
            state.actors[i].at = At::Lay;
        }
        At::Lay => tags::lay(protocol, state, i),
        At::Read(found) => answered(protocol, state, i, found),
        At::Body => state.actors[i].at = At::Put,
        At::Put => {
            put(protocol, state, i);
            state.actors[i].at = At::Land(Outcome::Computed);
        }
        At::Land(outcome) => {
            land(protocol, state, i, outcome);
            release_later(state, i);
        }
        At::Release => {
            state.lock = state.lock.filter(|&holder| holder != i);
            state.actors[i].goes_to(At::Done);
        }
        At::Follow | At::Done => {}
    }
}

/// The look under the lock is answered: what it found is landed, or the body begins. What is to be replaced is
/// found by its id.
fn answered(protocol: &Protocol, state: &mut State, i: usize, found: Option<Entry>) {
    let (refresh, saw) = (protocol.ask(i).refresh, state.actors[i].saw);
    let replaces =
        |entry: Entry| saw == Saw::Entry(entry.id) && !protocol.has(Mistake::EarlyTakesWhatItSaw);
    let old = tags::of_use(protocol, found, state.actors[i].marker);
    let found = tags::valid(protocol, found, state.actors[i].marker);
    let usable = found.filter(|entry| {
        entry.value == Some(Age::Fresh)
            && !protocol.has(Mistake::NoLookUnderLock)
            && !replaces(*entry)
            && (!refresh || is_newer(protocol, *entry, saw))
    });
    if let Some(entry) = usable {
        state.actors[i].at = At::Land(Outcome::Found(entry));
        return;
    }
    let is_first = fresh(protocol, state).is_some_and(|entry| !replaces(entry)) && !refresh;
    // An overflow puts without the lock.
    let locked = !state.lost_session && protocol.faults.timeouts == 0;
    state.broken.computed_while_fresh |= is_first && locked;
    state.numbered += 1;
    state.executions += 1;
    let leader = &mut state.actors[i];
    (leader.at, leader.number) = (At::Body, state.numbered);
    leader.old = stale::for_failure(protocol, i, old);
}

fn returns(state: &mut State, nth: usize, process: Option<usize>) {
    if let Some(process) = process {
        state.processes[process].flight += 1;
    }
    let Invalidation { laid, .. } = state.invalidating.remove(nth);
    state.invalidated = state.invalidated.max(laid);
}

fn end_unstored(protocol: &Protocol, state: &mut State, i: usize) {
    let leader = &mut state.actors[i];
    leader.at = At::Land(Outcome::Computed);
    if protocol.has(Mistake::UnstoredKept) {
        state.processes[protocol.process(i)].remembered = Some(leader.number);
    }
}

/// Nothing is landed, or an old value.
fn fail(protocol: &Protocol, state: &mut State, i: usize) {
    if protocol.has(Mistake::FailureRemoves) {
        state.store = None;
    }
    match state.actors[i].old {
        Some(old) => stale::return_old(protocol, state, i, old),
        None => detach::fail(protocol, state, i),
    }
}

pub(super) fn leave(protocol: &Protocol, state: &mut State, i: usize) {
    if state.actors[i].leads() {
        pass_on(protocol, state, i);
    }
    release_later(state, i);
}

fn release_later(state: &mut State, i: usize) {
    let holds = state.lock == Some(i);
    state.actors[i].goes_to(if holds { At::Release } else { At::Done });
}
