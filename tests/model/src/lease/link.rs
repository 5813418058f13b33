//! The link of a process: what it has sent, is sent again, is answered.

use super::rows::take;
use super::{Ask, At, Mistake, Process, Protocol, State, Statement};

/// The guard to be has its token before anything is sent: here the number of its call.
pub(super) fn send(protocol: &Protocol, state: &mut State, i: usize) {
    let p = &mut state.processes[i];
    let first = protocol.calls * u8::try_from(i).unwrap_or_default();
    p.token = if protocol.has(Mistake::TokenOfProcess) {
        first
    } else {
        first + protocol.calls - p.calls_left
    };
    p.at = At::Wait;
    p.ask = Some(Ask {
        token: p.token,
        wanted: true,
        granted: None,
    });
}

pub(super) fn carry_out(protocol: &Protocol, state: &mut State, i: usize) {
    let Some(mut ask) = state.processes[i].ask else {
        return;
    };
    let granted = take(protocol, state, ask.token);
    ask.granted = Some(granted);
    let p = &mut state.processes[i];
    p.ask = Some(ask);
    if granted && protocol.has(Mistake::NotedBeforeAnswer) {
        p.noted = Some(ask.token);
    }
}

/// What is granted to a caller that is gone is given back.
pub(super) fn answer(protocol: &Protocol, p: &mut Process) {
    let Some(ask) = p.ask.take() else { return };
    let granted = ask.granted == Some(true);
    if ask.wanted {
        p.at = if granted { At::GetHeld } else { At::Get };
    } else if granted && !protocol.has(Mistake::KeptForNobody) {
        (p.release, p.noted) = (Some(ask.token), None);
    }
}

/// What was not answered is sent again. What had not run may yet run on the old connection.
pub(super) fn lose_connection(p: &mut Process) {
    let renewal = p.renewal.take().map(Statement::Renew);
    let release = p.release.map(Statement::Release);
    p.late = release.or(renewal);
    if let Some(ask) = &mut p.ask
        && ask.granted.take().is_none()
    {
        p.late = Some(Statement::Take(ask.token));
    }
}
