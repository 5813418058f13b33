//! What may happen, and what a caller does.

use super::flight::{can_renew, give, join, land, pass_on, renew};
use super::store::{can_watch, evict, fresh, invalidate, is_newer, put, resend, watch};
use super::{Action, At, Broken, Caller, Entry, Mistake, Outcome, Protocol, Saw, State, Trust};

impl Caller {
    const NEW: Self = Self {
        at: At::Ask,
        after: 0,
        asked: 0,
        saw: Saw::Unknown,
        early: false,
        frozen: false,
        bodies: 0,
        fence: Saw::Unknown,
        number: 0,
        trust: Trust::Good,
        behind: false,
    };

    /// It has been served: what it knew plays no part any more.
    pub(super) fn goes_to(&mut self, at: At) {
        *self = Self { at, ..Self::NEW };
    }
}

pub(super) fn beginning(protocol: &Protocol) -> State {
    let old = Entry {
        id: 1,
        is_value: true,
        is_fresh: false,
        based_on: Saw::Nothing,
    };
    let mut state = State {
        store: protocol.stored.then_some(old),
        lock: None,
        callers: vec![Caller::NEW; protocol.callers.len()],
        invalidating: Vec::new(),
        invalidated: 0,
        numbered: u8::from(protocol.stored),
        newest: u8::from(protocol.stored),
        executions: 0,
        lost_session: false,
        broken: Broken::default(),
        faults: protocol.faults,
    };
    if protocol.at_once {
        (0..protocol.callers.len()).for_each(|i| look(protocol, &mut state, i));
    }
    state
}

pub(super) fn enabled(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    let faults = state.faults;
    let mut may = |condition: bool, action: Action| {
        if condition {
            actions.push(action);
        }
    };
    for (i, caller) in state.callers.iter().enumerate() {
        let waits = matches!(caller.at, At::Follow | At::Successor);
        may(can_step(state, i), Action::Step(i));
        may(can_watch(protocol, state, i), Action::Watch(i));
        may(can_renew(protocol, state, i), Action::Renew(i));
        let is_body = caller.at == At::Body;
        may(is_body && faults.unstored > 0, Action::EndUnstored(i));
        may(is_body && faults.failures > 0, Action::Fail(i));
        may(can_drop(caller) && faults.drops > 0, Action::Drop(i));
        let may_freeze = waits && !caller.frozen && faults.frozen > 0;
        may(may_freeze, Action::Freeze(i));
        let asks = caller.at == At::Ask;
        may(asks && faults.failed_looks > 0, Action::FailLook(i));
        for j in 0..state.callers.len() {
            let shares = asks && can_share_look(protocol, state, i, j);
            may(shares, Action::ShareLook(i, j));
        }
    }
    for nth in 0..state.invalidating.len() {
        may(true, Action::Return(nth));
        may(faults.resends > 0, Action::Resend(nth));
    }
    let may_lose = state.lock.is_some() && faults.lost_sessions > 0;
    may(may_lose, Action::LoseSession);
    may(faults.invalidations > 0, Action::Invalidate);
    may(
        fresh(state).is_some() && faults.expiries > 0,
        Action::Expire,
    );
    may(state.store.is_some() && faults.evictions > 0, Action::Evict);
}

fn can_step(state: &State, i: usize) -> bool {
    let caller = &state.callers[i];
    match caller.at {
        At::Done | At::Follow => false,
        At::Successor => !caller.frozen,
        At::Lead => state.lock.is_none(),
        _ => true,
    }
}

/// A leader that has an outcome lands it, dropped or not.
fn can_drop(caller: &Caller) -> bool {
    caller.at == At::Follow || caller.leads() && !matches!(caller.at, At::Land(_))
}

fn can_share_look(protocol: &Protocol, state: &State, i: usize, j: usize) -> bool {
    protocol.has(Mistake::JoinsOlderLook)
        && protocol.callers[i].process == protocol.callers[j].process
        && matches!(state.callers[j].at, At::Looked(_))
}

pub(super) fn apply(protocol: &Protocol, state: &mut State, action: Action) {
    spend(&mut state.faults, action);
    match action {
        Action::Step(i) => step(protocol, state, i),
        Action::ShareLook(i, j) => {
            ask(protocol, state, i);
            (state.callers[i].at, state.callers[i].saw) =
                (state.callers[j].at, state.callers[j].saw);
        }
        Action::Watch(i) => watch(protocol, state, i),
        Action::Renew(i) => renew(protocol, state, i),
        Action::Return(nth) => {
            let laid = state.invalidating.remove(nth);
            state.invalidated = state.invalidated.max(laid);
        }
        Action::FailLook(i) => {
            ask(protocol, state, i);
            state.callers[i].at = At::Looked(None);
        }
        Action::EndUnstored(i) => state.callers[i].at = At::Land(Outcome::Computed),
        // Nothing is landed.
        Action::Fail(i) | Action::Drop(i) => leave(protocol, state, i),
        Action::Freeze(i) => state.callers[i].frozen = true,
        Action::LoseSession => (state.lock, state.lost_session) = (None, true),
        Action::Invalidate => invalidate(state),
        Action::Resend(nth) => resend(protocol, state, nth),
        Action::Expire => {
            if let Some(entry) = &mut state.store {
                entry.is_fresh = false;
            }
        }
        Action::Evict => evict(protocol, state),
    }
}

fn spend(faults: &mut super::Faults, action: Action) {
    let left = match action {
        Action::FailLook(_) => &mut faults.failed_looks,
        Action::EndUnstored(_) => &mut faults.unstored,
        Action::Fail(_) => &mut faults.failures,
        Action::Drop(_) => &mut faults.drops,
        Action::Freeze(_) => &mut faults.frozen,
        Action::LoseSession => &mut faults.lost_sessions,
        Action::Invalidate => &mut faults.invalidations,
        Action::Resend(_) => &mut faults.resends,
        Action::Expire => &mut faults.expiries,
        Action::Evict => &mut faults.evictions,
        _ => return,
    };
    *left -= 1;
}

fn step(protocol: &Protocol, state: &mut State, i: usize) {
    match state.callers[i].at {
        At::Ask => look(protocol, state, i),
        At::Looked(Some(value)) => {
            give(state, i, value);
            state.callers[i].goes_to(At::Done);
        }
        At::Looked(None) => join(protocol, state, i),
        At::Successor => state.callers[i].at = At::Lead,
        At::Lead => (state.lock, state.callers[i].at) = (Some(i), At::Sent),
        At::Sent => {
            let standing = state.store;
            let leader = &mut state.callers[i];
            (leader.fence, leader.at) = (Saw::of(standing), At::Read(standing));
        }
        At::Read(found) => answered(protocol, state, i, found),
        At::Body => state.callers[i].at = At::Put,
        At::Put => {
            put(protocol, state, i);
            state.callers[i].at = At::Land(Outcome::Computed);
        }
        At::Land(outcome) => {
            land(protocol, state, i, outcome);
            release_later(state, i);
        }
        At::Release => {
            state.lock = state.lock.filter(|&holder| holder != i);
            state.callers[i].goes_to(At::Done);
        }
        At::Follow | At::Done => {}
    }
}

fn ask(protocol: &Protocol, state: &mut State, i: usize) {
    let caller = &mut state.callers[i];
    caller.after = state.invalidated;
    if protocol.callers[i].refresh {
        caller.asked = state.numbered;
    }
}

fn look(protocol: &Protocol, state: &mut State, i: usize) {
    ask(protocol, state, i);
    let hit = fresh(state).filter(|_| !protocol.callers[i].refresh);
    let caller = &mut state.callers[i];
    caller.saw = Saw::of(state.store);
    caller.at = At::Looked(hit.map(|entry| entry.id));
}

/// The look under the lock is answered: what it found is landed, or the body begins.
fn answered(protocol: &Protocol, state: &mut State, i: usize, found: Option<Entry>) {
    let (refresh, saw) = (protocol.callers[i].refresh, state.callers[i].saw);
    let usable = found.filter(|entry| {
        entry.is_fresh
            && !protocol.has(Mistake::NoLookUnderLock)
            && (!refresh || is_newer(protocol, *entry, saw))
    });
    if let Some(entry) = usable {
        state.callers[i].at = At::Land(Outcome::Found(entry));
        return;
    }
    state.broken.computed_while_fresh |= fresh(state).is_some() && !refresh && !state.lost_session;
    state.numbered += 1;
    state.executions += 1;
    let leader = &mut state.callers[i];
    (leader.at, leader.number) = (At::Body, state.numbered);
}

fn leave(protocol: &Protocol, state: &mut State, i: usize) {
    if state.callers[i].leads() {
        pass_on(protocol, state, i);
    }
    release_later(state, i);
}

fn release_later(state: &mut State, i: usize) {
    let holds = state.lock == Some(i);
    state.callers[i].goes_to(if holds { At::Release } else { At::Done });
}
