//! What PostgreSQL does: one function, one statement (or the loss of a connection).

use super::{At, Mistake, Process, Protocol, Release, State};

/// `pg_try_advisory_lock(key)`: re-entrant within a session.
pub(super) fn try_lock(protocol: &Protocol, state: &mut State, i: usize, busy: At) {
    let granted = match state.lock {
        None => Some((i, 1)),
        Some((owner, times)) if owner == i => Some((i, times + 1)),
        Some(_) => None,
    };
    let p = &mut state.processes[i];
    if granted.is_some() {
        state.lock = granted;
    } else if protocol.mistake != Some(Mistake::ComputesWhenBusy) {
        p.at = busy;
        return;
    }
    (p.at, p.granted_in) = (At::GetHeld, p.session);
    unmark(p);
}

/// `pg_try_advisory_lock_shared(interest)`.
pub(super) fn mark(protocol: &Protocol, state: &mut State, i: usize) {
    let refused = state
        .processes
        .iter()
        .enumerate()
        .any(|(j, other)| j != i && other.checking);
    let p = &mut state.processes[i];
    p.marked = !refused;
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
    (p.marked, p.woken) = (false, false);
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
    match state.lock {
        Some((owner, times)) if owner == i && (any_session || p.releases_session == p.session) => {
            state.lock = (times > 1).then_some((i, times - 1));
            true
        }
        _ => false,
    }
}

/// `pg_try_advisory_xact_lock(interest)`: whether it is refused, by a mark or by another check. A mark
/// of its own session does not refuse it.
fn check_interest(state: &mut State, i: usize) -> bool {
    let others = || state.processes.iter().enumerate().filter(|&(j, _)| j != i);
    let refused = others().any(|(_, other)| other.marked || other.checking);
    state.processes[i].checking = !refused;
    refused
}

fn wake(protocol: &Protocol, state: &mut State) {
    let one = protocol.mistake == Some(Mistake::WakesOne);
    let waiting = state
        .processes
        .iter_mut()
        .filter(|p| p.marked && p.listening);
    for p in waiting.take(if one { 1 } else { usize::MAX }) {
        p.woken = true;
    }
}

/// What was notified meanwhile is lost, so all who wait look again.
pub(super) fn relisten(protocol: &Protocol, p: &mut Process) {
    p.listening = true;
    p.woken = p.marked && protocol.mistake != Some(Mistake::SilentRelisten);
}

/// All locks of the session vanish. A body goes on; a waiter begins anew; a release that was under way
/// notifies nobody.
pub(super) fn lose_session(state: &mut State, i: usize) {
    if state.lock.is_some_and(|(owner, _)| owner == i) {
        state.lock = None;
    }
    let p = &mut state.processes[i];
    p.session += 1;
    p.checking = false;
    unmark(p);
    if !matches!(p.release, Release::Unlock | Release::Idle) {
        p.release = Release::Idle;
    }
    if !p.leads() && !matches!(p.at, At::Done | At::Dead) {
        p.at = At::Get;
    }
}
