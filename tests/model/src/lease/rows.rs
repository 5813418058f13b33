//! What PostgreSQL does with the row: one function, one statement.

use super::{Lease, Mistake, Protocol, Row, State, Statement};

/// `INSERT … ON CONFLICT (k) DO UPDATE SET token = $mine … WHERE lease_until <= clock_timestamp() OR token =
/// $mine`: whether it is granted.
pub(super) fn take(protocol: &Protocol, state: &mut State, token: u8) -> bool {
    let recognizes =
        !protocol.has(Mistake::NotedBeforeAnswer) && !protocol.has(Mistake::OwnLeaseIsBusy);
    let own = |row: Row| recognizes && row.token == token;
    let busy = state
        .row
        .is_some_and(|row| row.lease == Lease::Live && !own(row));
    if busy && !protocol.has(Mistake::TakeWhileLive) {
        return false;
    }
    state.row = Some(Row {
        token,
        lease: Lease::Live,
    });
    true
}

/// `UPDATE … SET lease_until = … WHERE token = $ AND lease_until > '-infinity'`. A renewal that was
/// sent before the release may arrive after it.
pub(super) fn renew(protocol: &Protocol, state: &mut State, i: usize, token: u8) {
    let any = protocol.has(Mistake::RenewWithoutToken);
    let Some(row) = state.row.filter(|row| any || row.token == token) else {
        return;
    };
    let released = row.lease == Lease::Released;
    if released && !protocol.has(Mistake::RenewAfterRelease) {
        return;
    }
    state.broken.revived |= released;
    let foreign = holders(state, row).any(|j| j != i);
    state.broken.meddled |= foreign;
    state.row = Some(Row {
        lease: Lease::Live,
        ..row
    });
}

/// `UPDATE … SET lease_until = '-infinity' WHERE token = $`. It is sent when its guard is gone: a guard that
/// holds the row now is another one.
pub(super) fn release(protocol: &Protocol, state: &mut State, token: u8) {
    let any = protocol.has(Mistake::ReleaseWithoutToken);
    if let Some(row) = state.row.filter(|row| any || row.token == token) {
        let held = holders(state, row).next().is_some();
        state.broken.meddled |= held;
        state.row = Some(Row {
            lease: Lease::Released,
            ..row
        });
    }
}

pub(super) fn run_late(protocol: &Protocol, state: &mut State, i: usize) {
    match state.processes[i].late.take() {
        Some(Statement::Take(token)) => {
            take(protocol, state, token);
        }
        Some(Statement::Renew(token)) => renew(protocol, state, i, token),
        Some(Statement::Release(token)) => release(protocol, state, token),
        None => {}
    }
}

pub(super) fn run_out(state: &mut State) {
    if let Some(row) = &mut state.row {
        row.lease = Lease::Lapsed;
    }
}

/// The processes whose guard holds the row.
fn holders(state: &State, row: Row) -> impl Iterator<Item = usize> + '_ {
    let holds = move |i: &usize| {
        let p = &state.processes[*i];
        p.holds() && p.token == row.token
    };
    (0..state.processes.len()).filter(holds)
}

/// Whether the row's lease is kept alive: a guard's is renewed, and an answer that somebody waits for comes in
/// time, if nothing goes wrong.
pub(super) fn is_kept(state: &State) -> bool {
    let Some(row) = state.row else { return false };
    state.processes.iter().any(|p| {
        let awaited = p
            .ask
            .is_some_and(|ask| ask.wanted && ask.token == row.token);
        awaited || p.renewed() == Some(row.token)
    })
}
