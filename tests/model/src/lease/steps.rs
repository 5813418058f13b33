//! What may happen, and what a caller and its link do. A step is one request to a server, or one thing that
//! goes wrong.

use super::link::{answer, carry_out, lose_connection, send};
use super::rows::{is_kept, release, renew, run_late, run_out};
use super::{Action, At, Broken, Entry, Mistake, Process, Protocol, State};

pub(super) fn beginning(protocol: &Protocol) -> State {
    let process = Process {
        calls_left: protocol.calls,
        ..Process::NEW
    };
    State {
        row: None,
        store: None,
        processes: vec![process; protocol.processes],
        numbered: 0,
        executions: 0,
        broken: Broken::default(),
        faults: protocol.faults,
    }
}

impl Process {
    const NEW: Self = Self {
        at: At::Get,
        calls_left: 0,
        token: 0,
        seen: None,
        number: 0,
        ask: None,
        release: None,
        renewal: None,
        late: None,
        noted: None,
        looked: false,
    };

    pub(super) fn holds(&self) -> bool {
        matches!(self.at, At::GetHeld | At::Compute | At::Put)
    }

    /// The token that the link renews: the guard's, if there is one.
    pub(super) fn renewed(&self) -> Option<u8> {
        self.noted.or(self.holds().then_some(self.token))
    }

    /// The link has room for one release: the next guard does nothing before it is gone.
    fn can_step(&self) -> bool {
        match self.at {
            At::Done | At::Dead | At::Wait => false,
            At::Send => self.ask.is_none(),
            _ => !self.holds() || self.release.is_none(),
        }
    }

    fn can_be_answered(&self) -> bool {
        self.ask
            .is_some_and(|ask| ask.granted.is_some() && (ask.wanted || self.release.is_none()))
    }
}

pub(super) fn enabled(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    let faults = state.faults;
    let mut may = |condition: bool, action: Action| {
        if condition {
            actions.push(action);
        }
    };
    for (i, p) in state.processes.iter().enumerate() {
        let (alive, waits) = (!matches!(p.at, At::Done | At::Dead), p.at == At::Wait);
        may(p.can_step(), Action::Step(i));
        let sent = p.ask.is_some_and(|ask| ask.granted.is_none());
        may(sent, Action::Take(i));
        may(p.can_be_answered(), Action::Answer(i));
        may(p.release.is_some(), Action::Release(i));
        let renews = p.at == At::Compute && p.renewal.is_none();
        may(renews, Action::SendRenewal(i));
        may(p.renewal.is_some(), Action::Renew(i));
        let fails = p.at == At::Compute && p.can_step();
        may(fails && faults.failures > 0, Action::Fail(i));
        may((p.can_step() || waits) && faults.drops > 0, Action::Drop(i));
        may(alive && faults.crashes > 0, Action::Crash(i));
        let under_way = p.ask.is_some() || p.release.is_some() || p.renewal.is_some();
        let cut = under_way && faults.lost_connections > 0;
        may(cut, Action::LoseConnection(i));
        let late = p.late.is_some() && faults.late_statements > 0;
        may(late, Action::RunLate(i));
    }
    let (live, kept) = (state.is_live(), is_kept(state));
    let ends = !protocol.has(Mistake::LeaseForEver);
    may(ends && live && !kept, Action::RunOut);
    may(live && kept && faults.lapses > 0, Action::Lapse);
    may(state.row.is_some() && faults.lost_rows > 0, Action::LoseRow);
    may(faults.invalidations > 0, Action::Invalidate);
}

pub(super) fn apply(protocol: &Protocol, state: &mut State, action: Action) {
    spend(&mut state.faults, action);
    match action {
        Action::Step(i) => step(protocol, state, i),
        Action::Take(i) => carry_out(protocol, state, i),
        Action::Answer(i) => answer(protocol, &mut state.processes[i]),
        Action::Release(i) => {
            if let Some(token) = state.processes[i].release.take() {
                release(protocol, state, token);
            }
        }
        Action::SendRenewal(i) => state.processes[i].renewal = state.processes[i].renewed(),
        Action::Renew(i) => {
            if let Some(token) = state.processes[i].renewal.take() {
                renew(protocol, state, i, token);
            }
        }
        Action::RunOut | Action::Lapse => run_out(state),
        Action::Fail(i) => give_back(&mut state.processes[i]),
        Action::Drop(i) => drop_caller(&mut state.processes[i]),
        Action::Crash(i) => {
            lose_connection(&mut state.processes[i]);
            state.processes[i] = Process {
                at: At::Dead,
                late: state.processes[i].late,
                ..Process::NEW
            };
        }
        Action::LoseConnection(i) => lose_connection(&mut state.processes[i]),
        Action::RunLate(i) => run_late(protocol, state, i),
        Action::LoseRow => state.row = None,
        Action::Invalidate => {
            state.numbered += 1;
            state.store = Some(Entry {
                number: state.numbered,
                is_value: false,
            });
        }
    }
}

fn spend(faults: &mut super::Faults, action: Action) {
    let left = match action {
        Action::Lapse => &mut faults.lapses,
        Action::Fail(_) => &mut faults.failures,
        Action::Drop(_) => &mut faults.drops,
        Action::Crash(_) => &mut faults.crashes,
        Action::LoseConnection(_) => &mut faults.lost_connections,
        Action::RunLate(_) => &mut faults.late_statements,
        Action::LoseRow => &mut faults.lost_rows,
        Action::Invalidate => &mut faults.invalidations,
        _ => return,
    };
    *left -= 1;
}

fn step(protocol: &Protocol, state: &mut State, i: usize) {
    let has_value = state.store.is_some_and(|entry| entry.is_value);
    let p = &mut state.processes[i];
    match p.at {
        At::Get if has_value => serve(p),
        At::Get => p.at = At::Send,
        At::Send => send(protocol, state, i),
        At::GetHeld if has_value => give_back(p),
        At::GetHeld => {
            state.numbered += 1;
            state.executions += 1;
            (p.at, p.number) = (At::Compute, state.numbered);
            p.seen = state.store.map(|entry| entry.number);
        }
        At::Compute => p.at = At::Put,
        At::Put => put(protocol, state, i),
        At::Wait | At::Done | At::Dead => {}
    }
}

fn put(protocol: &Protocol, state: &mut State, i: usize) {
    let standing = state.store.map(|entry| entry.number);
    let p = &mut state.processes[i];
    let fits = match protocol.mistake {
        Some(Mistake::UnfencedPut) => true,
        Some(Mistake::TokenLookedAtBeforePut) if !p.looked => {
            p.looked = state.row.is_some_and(|row| row.token == p.token);
            if !p.looked {
                give_back(p);
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
    give_back(&mut state.processes[i]);
}

/// The guard is gone: its release is queued, and its caller is served.
fn give_back(p: &mut Process) {
    (p.release, p.noted) = (Some(p.token), None);
    serve(p);
}

fn drop_caller(p: &mut Process) {
    if p.holds() {
        return give_back(p);
    }
    if let Some(ask) = &mut p.ask {
        ask.wanted = false;
    }
    serve(p);
}

/// The caller has its value or its error; the process's next call begins.
fn serve(p: &mut Process) {
    p.calls_left -= 1;
    p.at = if p.calls_left == 0 { At::Done } else { At::Get };
    (p.token, p.seen, p.number, p.looked) = (0, None, 0, false);
}
