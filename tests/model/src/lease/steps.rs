//! What each step does. A step is one request to a server, or one thing that goes wrong.

use super::{Action, At, Broken, Entry, Lease, Mistake, Process, Protocol, Row, State};

pub(super) fn beginning(protocol: &Protocol) -> State {
    let process = Process {
        at: At::Get,
        token: 0,
        seen: None,
        number: 0,
        renewing: false,
        looked: false,
    };
    State {
        row: None,
        clock: 1,
        store: None,
        processes: vec![process; protocol.processes],
        numbered: 0,
        executions: 0,
        highest_token: 0,
        broken: Broken::default(),
        faults: protocol.faults,
    }
}

pub(super) fn enabled(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    let faults = state.faults;
    let live = state.row.is_some_and(|row| row.lease == Lease::Live);
    let mut may = |condition: bool, action: Action| {
        if condition {
            actions.push(action);
        }
    };
    for (i, p) in state.processes.iter().enumerate() {
        let dead = matches!(p.at, At::Done | At::Dead);
        may(!dead, Action::Step(i));
        may(p.at == At::Compute && !p.renewing, Action::SendRenewal(i));
        may(p.renewing, Action::Renew(i));
        may(p.at == At::Compute && faults.failures > 0, Action::Fail(i));
        may(!dead && faults.crashes > 0, Action::Crash(i));
    }
    let ends = protocol.mistake != Some(Mistake::LeaseForEver);
    may(ends && live && !holder_lives(state), Action::RunOut);
    may(
        live && holder_lives(state) && faults.lapses > 0,
        Action::Lapse,
    );
    may(state.row.is_some() && faults.lost_rows > 0, Action::LoseRow);
    may(faults.invalidations > 0, Action::Invalidate);
}

/// Whether the row's token is that of a process that is still at work.
fn holder_lives(state: &State) -> bool {
    state.row.is_some_and(|row| {
        state
            .processes
            .iter()
            .any(|p| p.holds() && p.token == row.token)
    })
}

impl Process {
    fn holds(&self) -> bool {
        matches!(self.at, At::GetHeld | At::Compute | At::Put | At::Release)
    }
}

pub(super) fn apply(protocol: &Protocol, state: &mut State, action: Action) {
    match action {
        Action::Step(i) => step(protocol, state, i),
        Action::SendRenewal(i) => state.processes[i].renewing = true,
        Action::Renew(i) => renew(protocol, state, i),
        Action::RunOut => run_out(state),
        Action::Lapse => {
            state.faults.lapses -= 1;
            run_out(state);
        }
        Action::Fail(i) => {
            state.faults.failures -= 1;
            state.processes[i].at = At::Release;
        }
        Action::Crash(i) => {
            state.faults.crashes -= 1;
            state.processes[i].at = At::Dead;
        }
        Action::LoseRow => {
            state.faults.lost_rows -= 1;
            state.row = None;
        }
        Action::Invalidate => {
            state.faults.invalidations -= 1;
            state.numbered += 1;
            state.store = Some(Entry {
                number: state.numbered,
                is_value: false,
            });
        }
    }
}

fn run_out(state: &mut State) {
    if let Some(row) = &mut state.row {
        row.lease = Lease::Lapsed;
    }
}

fn step(protocol: &Protocol, state: &mut State, i: usize) {
    let has_value = state.store.is_some_and(|entry| entry.is_value);
    let p = &mut state.processes[i];
    match p.at {
        At::Get => p.at = if has_value { At::Done } else { At::Take },
        At::Take => take(protocol, state, i),
        At::GetHeld if has_value => p.at = At::Release,
        At::GetHeld => {
            state.numbered += 1;
            state.executions += 1;
            (p.at, p.number) = (At::Compute, state.numbered);
            p.seen = state.store.map(|entry| entry.number);
        }
        At::Compute => p.at = At::Put,
        At::Put => put(protocol, state, i),
        At::Release => release(protocol, state, i),
        At::Done | At::Dead => {}
    }
}

/// `INSERT … ON CONFLICT (k) DO UPDATE SET token = token + 1 … WHERE lease_until <= clock_timestamp()`.
fn take(protocol: &Protocol, state: &mut State, i: usize) {
    let from_one = protocol.mistake == Some(Mistake::TokenBeginsAtOne);
    let steal = protocol.mistake == Some(Mistake::TakeWhileLive);
    let token = match state.row {
        Some(Row {
            lease: Lease::Live, ..
        }) if !steal => {
            state.processes[i].at = At::Get;
            return;
        }
        Some(row) => row.token + 1,
        None if from_one => 1,
        None => state.clock,
    };
    state.broken.token_fell |= token <= state.highest_token;
    state.highest_token = state.highest_token.max(token);
    // Microseconds go by faster than leases are taken.
    state.clock = state.clock.max(token + 1);
    state.row = Some(Row {
        token,
        lease: Lease::Live,
    });
    (state.processes[i].at, state.processes[i].token) = (At::GetHeld, token);
}

fn put(protocol: &Protocol, state: &mut State, i: usize) {
    let standing = state.store.map(|entry| entry.number);
    let p = &mut state.processes[i];
    let fits = match protocol.mistake {
        Some(Mistake::UnfencedPut) => true,
        Some(Mistake::TokenLookedAtBeforePut) if !p.looked => {
            p.looked = state.row.is_some_and(|row| row.token == p.token);
            if !p.looked {
                p.at = At::Release;
            }
            return;
        }
        Some(Mistake::TokenLookedAtBeforePut) => true,
        _ => standing.is_none() || standing == p.seen,
    };
    if fits {
        state.broken.overwrote_newer |= standing.is_some_and(|number| number > p.number);
        state.store = Some(Entry {
            number: p.number,
            is_value: true,
        });
    }
    p.at = At::Release;
}

/// `UPDATE … SET lease_until = … WHERE token = $ AND lease_until > '-infinity'`. A renewal that was
/// sent before the release may arrive after it.
fn renew(protocol: &Protocol, state: &mut State, i: usize) {
    let any = protocol.mistake == Some(Mistake::RenewWithoutToken);
    let late = protocol.mistake == Some(Mistake::RenewAfterRelease);
    state.processes[i].renewing = false;
    let token = state.processes[i].token;
    let Some(row) = state.row.filter(|row| any || row.token == token) else {
        return;
    };
    let released = row.lease == Lease::Released;
    if released && !late {
        return;
    }
    state.broken.revived |= released;
    state.broken.meddled |= is_foreign(state, i);
    state.row = Some(Row {
        lease: Lease::Live,
        ..row
    });
}

/// `UPDATE … SET lease_until = '-infinity' WHERE token = $`.
fn release(protocol: &Protocol, state: &mut State, i: usize) {
    let any = protocol.mistake == Some(Mistake::ReleaseWithoutToken);
    let token = state.processes[i].token;
    state.processes[i].at = At::Done;
    if let Some(row) = state.row.filter(|row| any || row.token == token) {
        state.broken.meddled |= is_foreign(state, i);
        state.row = Some(Row {
            lease: Lease::Released,
            ..row
        });
    }
}

/// Whether somebody else took the lease after this process did, and still works under it.
fn is_foreign(state: &State, i: usize) -> bool {
    let row_token = state.row.map(|row| row.token);
    state
        .processes
        .iter()
        .enumerate()
        .any(|(j, other)| j != i && other.holds() && Some(other.token) == row_token)
}
