//! What PostgreSQL does: one function, one statement (or the loss of a connection).

use super::{At, Lock, Mistake, Process, Protocol, Release, State};

/// `pg_try_advisory_lock(key)`: re-entrant within a session.
pub(super) fn try_lock(protocol: &Protocol, state: &mut State, i: usize, busy: At) {
    let granted = take(state, i, false);
    let p = &mut state.processes[i];
    if !granted && protocol.mistake != Some(Mistake::ComputesWhenBusy) {
        p.at = busy;
        return;
    }
    (p.at, p.granted_in) = (At::GetHeld, p.session);
    unmark(p);
}

/// Whether the session gets the key. It counts how often it holds it.
pub(super) fn take(state: &mut State, process: usize, is_old: bool) -> bool {
    let times = match state.lock {
        None if state.looking => return false,
        None => 1,
        Some(lock) if lock.process == process && lock.is_old == is_old => lock.times + 1,
        Some(_) => return false,
    };
    state.lock = Some(Lock {
        process,
        is_old,
        times,
    });
    true
}

/// `pg_try_advisory_lock_shared(interest)`: whether it is refused, by a check.
pub(super) fn is_mark_refused(state: &State, i: usize) -> bool {
    let mut others = state.processes.iter().enumerate().filter(|&(j, _)| j != i);
    others.any(|(_, other)| other.checking)
}

pub(super) fn mark(protocol: &Protocol, state: &mut State, i: usize) {
    let refused = is_mark_refused(state, i);
    let p = &mut state.processes[i];
    p.marks += u8::from(!refused);
    p.at = match protocol.mistake {
        Some(Mistake::RefusedMarkCounts) => At::TryAgain,
        // Refused: somebody has just released, so the key may be free. Look, then mark again.
        _ if refused => At::Get,
        Some(Mistake::NoLookAfterMark) => At::Asleep,
        Some(Mistake::NoTryAfterMark) => At::GetAgain,
        _ => At::TryAgain,
    };
}

/// The mark goes at once when it is needed no more. In a program it goes a little later: that can only
/// add notifications, so this is the harsher case.
pub(super) fn unmark(p: &mut Process) {
    (p.marks, p.woken) = (p.marks.saturating_sub(1), false);
}

pub(super) fn release(protocol: &Protocol, state: &mut State, i: usize) {
    let check_first = protocol.mistake == Some(Mistake::CheckBeforeUnlock);
    let now = state.processes[i].release;
    state.processes[i].release = match now {
        // If the session that held the key is gone, so is the key, and nothing is left to do.
        Release::Unlock if unlock(protocol, state, i) && !check_first => Release::Check,
        Release::Check => Release::Notify(check_interest(state, i)),
        Release::Notify(notify) => {
            state.processes[i].checking = false;
            if notify {
                wake(protocol, state);
            }
            if check_first {
                Release::Unlock
            } else {
                Release::Idle
            }
        }
        Release::Unlock | Release::Idle => Release::Idle,
    };
}

/// `pg_advisory_unlock(key)`: whether it answers true.
pub(super) fn unlock(protocol: &Protocol, state: &mut State, i: usize) -> bool {
    let p = &state.processes[i];
    let any_session = protocol.mistake == Some(Mistake::ReleaseInAnySession);
    (any_session || p.releases_session == p.session) && give_up(state, i, false)
}

/// Whether the session held the key. It holds it once less.
pub(super) fn give_up(state: &mut State, process: usize, is_old: bool) -> bool {
    match &mut state.lock {
        Some(lock) if lock.process == process && lock.is_old == is_old => {
            lock.times -= 1;
            state.lock = state.lock.filter(|lock| lock.times > 0);
            true
        }
        _ => false,
    }
}

/// `pg_try_advisory_xact_lock(interest)`: whether it is refused, by a mark or by another check. A mark
/// of its own session does not refuse it.
fn check_interest(state: &mut State, i: usize) -> bool {
    let refused = state.processes.iter().enumerate().any(|(j, other)| {
        let old = other.old.is_some_and(|old| old.marked);
        old || j != i && (other.marks > 0 || other.checking)
    });
    state.processes[i].checking = !refused;
    refused
}

/// Whether the key is found free by whoever watches, and worth looking at.
pub(super) fn can_look(state: &State) -> bool {
    let marked = |p: &Process| p.marks > 0;
    state.lock.is_none() && !state.looking && state.processes.iter().any(marked)
}

/// `pg_try_advisory_xact_lock_shared(key)`, granted.
pub(super) fn look(protocol: &Protocol, state: &mut State) {
    state.looking = true;
    if protocol.mistake == Some(Mistake::TellsBeforeItLooked) {
        wake(protocol, state);
    }
}

/// The end of that statement.
pub(super) fn tell(protocol: &Protocol, state: &mut State) {
    state.looking = false;
    let tells_not = [
        Some(Mistake::TellsBeforeItLooked),
        Some(Mistake::LooksWithoutTelling),
    ];
    if !tells_not.contains(&protocol.mistake) {
        wake(protocol, state);
    }
}

pub(super) fn wake(protocol: &Protocol, state: &mut State) {
    let one = protocol.mistake == Some(Mistake::WakesOne);
    let waiting = state
        .processes
        .iter_mut()
        .filter(|p| p.marks > 0 && p.listening);
    for p in waiting.take(if one { 1 } else { usize::MAX }) {
        p.woken = true;
    }
}

/// What was notified meanwhile is lost, so all who wait look again.
pub(super) fn relisten(protocol: &Protocol, p: &mut Process) {
    p.listening = true;
    p.woken = p.marks > 0 && protocol.mistake != Some(Mistake::SilentRelisten);
}

/// All locks of the session vanish. A body goes on; a waiter begins anew; a release that was under way
/// notifies nobody.
pub(super) fn lose_session(state: &mut State, i: usize) {
    state.lock = state.lock.filter(|lock| lock.process != i || lock.is_old);
    begin_anew(&mut state.processes[i]);
}

/// The process has another session, which holds nothing.
pub(super) fn begin_anew(p: &mut Process) {
    p.session += 1;
    p.checking = false;
    (p.marks, p.woken) = (0, false);
    if !matches!(p.release, Release::Unlock | Release::Idle) {
        p.release = Release::Idle;
    }
    if !p.leads() && !matches!(p.at, At::Done | At::Dead) {
        p.at = At::Get;
    }
}
