//! What may happen, and what a caller does with the store. A step is one request to a server, or one
//! thing that goes wrong.

use super::locks::{
    can_look, look, lose_session, mark, release, relisten, tell, try_lock, unlock, unmark,
};
use super::old::{can_stall, end, run, stall};
use super::{Action, At, Entry, Mistake, Process, Protocol, Release, State};

pub(super) fn beginning(protocol: &Protocol) -> State {
    let process = Process {
        at: At::Get,
        calls_left: protocol.calls,
        seen: None,
        number: 0,
        session: 0,
        granted_in: 0,
        release: Release::Idle,
        releases_session: 0,
        marks: 0,
        checking: false,
        listening: protocol.listens,
        woken: false,
        old: None,
    };
    State {
        store: None,
        lock: None,
        looking: false,
        processes: vec![process; protocol.processes],
        numbered: 0,
        executions: 0,
        overwrote_newer: false,
        faults: protocol.faults,
    }
}

pub(super) fn enabled(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    let faults = state.faults;
    for (i, p) in state.processes.iter().enumerate() {
        let mut may = |condition: bool, action: Action| {
            if condition {
                actions.push(action);
            }
        };
        may(can_step(p), Action::Step(i));
        may(
            p.at == At::Compute && p.release == Release::Idle && faults.failures > 0,
            Action::Fail(i),
        );
        let may_go = can_step(p) || p.at == At::Asleep;
        may(may_go && faults.drops > 0, Action::Drop(i));
        may(p.release != Release::Idle, Action::Release(i));
        may(protocol.poll && p.at == At::Asleep, Action::Poll(i));
        may(!p.listening && p.at != At::Dead, Action::Relisten(i));
        may(!p.is_over() && faults.crashes > 0, Action::Crash(i));
        may(
            !p.is_over() && faults.lost_sessions > 0,
            Action::LoseSession(i),
        );
        may(can_stall(p) && faults.stalls > 0, Action::Stall(i));
        let late = p.old.is_some_and(|old| old.under_way.is_some());
        may(late && faults.late_statements > 0, Action::RunOld(i));
        let ends = protocol.mistake != Some(Mistake::OldSessionKept);
        may(p.old.is_some() && ends, Action::EndOld(i));
        may(
            p.listening && p.marks > 0 && faults.lost_listeners > 0,
            Action::LoseListener(i),
        );
    }
    if can_look(state) {
        if protocol.watch {
            actions.push(Action::Watch);
        }
        if faults.looks > 0 {
            actions.push(Action::Look);
        }
    }
    if state.looking {
        actions.push(Action::Tell);
    }
    if faults.invalidations > 0 {
        actions.push(Action::Invalidate);
    }
    if faults.evictions > 0 && state.store.is_some() {
        actions.push(Action::Evict);
    }
}

fn can_step(p: &Process) -> bool {
    match p.at {
        At::Done | At::Dead => false,
        At::Asleep => p.woken,
        // The release of the last call takes the one place in the queue that the model has.
        At::GetHeld | At::Compute | At::Put => p.release == Release::Idle,
        _ => true,
    }
}

pub(super) fn apply(protocol: &Protocol, state: &mut State, action: Action) {
    match action {
        Action::Step(i) => step(protocol, state, i),
        Action::Fail(i) => {
            state.faults.failures -= 1;
            serve_and_release(protocol, state, i);
        }
        Action::Drop(i) => {
            state.faults.drops -= 1;
            drop_caller(protocol, state, i);
        }
        Action::Release(i) => release(protocol, state, i),
        Action::Watch => look(protocol, state),
        Action::Look => {
            state.faults.looks -= 1;
            look(protocol, state);
        }
        Action::Tell => tell(protocol, state),
        Action::Poll(i) => state.processes[i].at = At::Get,
        Action::Relisten(i) => relisten(protocol, &mut state.processes[i]),
        Action::Crash(i) => {
            state.faults.crashes -= 1;
            lose_session(state, i);
            let p = &mut state.processes[i];
            (p.at, p.release) = (At::Dead, Release::Idle);
        }
        Action::LoseSession(i) => {
            state.faults.lost_sessions -= 1;
            lose_session(state, i);
        }
        Action::Stall(i) => {
            state.faults.stalls -= 1;
            stall(protocol, state, i);
        }
        Action::RunOld(i) => {
            state.faults.late_statements -= 1;
            run(protocol, state, i);
        }
        Action::EndOld(i) => end(state, i),
        Action::LoseListener(i) => {
            state.faults.lost_listeners -= 1;
            (state.processes[i].listening, state.processes[i].woken) = (false, false);
        }
        Action::Invalidate => {
            state.faults.invalidations -= 1;
            state.numbered += 1;
            state.store = Some(Entry {
                number: state.numbered,
                is_value: false,
            });
        }
        Action::Evict => {
            state.faults.evictions -= 1;
            state.store = None;
        }
    }
}

fn step(protocol: &Protocol, state: &mut State, i: usize) {
    let has_value = state.store.is_some_and(|entry| entry.is_value);
    let marked = state.processes[i].marks > 0;
    match state.processes[i].at {
        At::Get | At::GetAgain if has_value => serve(&mut state.processes[i]),
        // Woken: the mark still stands, so only a try is needed.
        At::Get => state.processes[i].at = if marked { At::TryAgain } else { At::Try },
        At::Try => try_lock(protocol, state, i, At::Mark),
        At::Mark => mark(protocol, state, i),
        At::TryAgain => try_lock(protocol, state, i, At::GetAgain),
        At::GetAgain => {
            let p = &mut state.processes[i];
            p.at = At::Asleep;
            p.woken &= protocol.mistake != Some(Mistake::WakeBeforeSleepDropped);
        }
        At::Asleep => wake_up(protocol, &mut state.processes[i]),
        At::GetHeld if has_value && protocol.mistake != Some(Mistake::NoGetUnderLock) => {
            serve_and_release(protocol, state, i);
        }
        At::GetHeld => begin(state, i),
        At::Compute => state.processes[i].at = At::Put,
        At::Put => put(protocol, state, i),
        At::Done | At::Dead => {}
    }
}

/// The wake-up is cleared before the waiter looks: one that comes while it looks wakes it once more.
fn wake_up(protocol: &Protocol, p: &mut Process) {
    (p.at, p.woken) = (At::Get, false);
    if protocol.mistake == Some(Mistake::MarkDroppedOnWake) {
        (p.at, p.marks) = (At::TryAgain, 0);
    }
}

fn begin(state: &mut State, i: usize) {
    state.numbered += 1;
    state.executions += 1;
    let seen = state.store.map(|entry| entry.number);
    let p = &mut state.processes[i];
    (p.at, p.seen, p.number) = (At::Compute, seen, state.numbered);
}

/// The fenced put: stores if nothing stands there, or what was seen under the lock.
fn put(protocol: &Protocol, state: &mut State, i: usize) {
    let p = &state.processes[i];
    let fits = state.store.is_none_or(|entry| Some(entry.number) == p.seen);
    if fits || protocol.mistake == Some(Mistake::UnfencedPut) {
        state.overwrote_newer |= state.store.is_some_and(|entry| entry.number > p.number);
        state.store = Some(Entry {
            number: p.number,
            is_value: true,
        });
    }
    serve_and_release(protocol, state, i);
}

/// A dropped future: what it holds is released as after a failure, what it waits for is waited for no more.
fn drop_caller(protocol: &Protocol, state: &mut State, i: usize) {
    let p = &mut state.processes[i];
    if !p.leads() {
        let marks = p.marks;
        serve(p);
        if protocol.mistake == Some(Mistake::MarkKept) {
            p.marks = marks;
        }
        return;
    }
    serve_and_release(protocol, state, i);
    if protocol.mistake == Some(Mistake::QuietUnlock) {
        unlock(protocol, state, i);
        state.processes[i].release = Release::Idle;
    }
}

/// The caller has its value or its error; the process's next call begins.
fn serve(p: &mut Process) {
    p.calls_left -= 1;
    p.at = if p.calls_left == 0 { At::Done } else { At::Get };
    (p.seen, p.number) = (None, 0);
    unmark(p);
}

fn serve_and_release(protocol: &Protocol, state: &mut State, i: usize) {
    let p = &mut state.processes[i];
    p.releases_session = p.granted_in;
    p.release = match protocol.mistake {
        Some(Mistake::CheckBeforeUnlock) => Release::Check,
        _ => Release::Unlock,
    };
    serve(p);
}
