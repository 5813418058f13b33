//! The session that a process has given up, and the server has not.

use super::locks::{begin_anew, give_up, is_mark_refused, mark, take, wake};
use super::{At, Mistake, OldSession, Process, Protocol, Release, State, Statement};

impl State {
    /// The key is held in a living session, for a leader or until a release that is queued.
    pub(super) fn is_held_for_nobody(&self) -> bool {
        self.lock.is_some_and(|lock| {
            let p = &self.processes[lock.process];
            let leads = p.leads() && p.granted_in == p.session;
            let releases = p.release != Release::Idle && p.releases_session == p.session;
            !(lock.is_old || leads || releases)
        })
    }
}

impl Process {
    /// It shows interest in what it holds, or wants no more.
    pub(super) fn has_idle_mark(&self) -> bool {
        self.marks > 0 && (self.leads() || matches!(self.at, At::Done | At::Dead))
    }

    /// What its session has been sent and has not yet answered.
    fn under_way(&self) -> Option<Statement> {
        match self.at {
            _ if self.release == Release::Unlock => Some(Statement::Release),
            At::Try | At::TryAgain => Some(Statement::Try),
            At::Mark => Some(Statement::Mark),
            _ => None,
        }
    }
}

/// A connection stalls while something is under way or held; one old session at a time.
pub(super) fn can_stall(p: &Process) -> bool {
    p.old.is_none() && (p.under_way().is_some() || p.leads() || p.marks > 0)
}

/// The process gives its connection up, and sends anew what was not answered. The server keeps the session.
pub(super) fn stall(protocol: &Protocol, state: &mut State, i: usize) {
    if protocol.mistake == Some(Mistake::SameSessionAgain) {
        return carry_out_unanswered(protocol, state, i);
    }
    if let Some(lock) = &mut state.lock
        && lock.process == i
    {
        lock.is_old = true;
    }
    let p = &mut state.processes[i];
    p.old = Some(OldSession {
        marked: p.marks > 0,
        under_way: p.under_way(),
    });
    begin_anew(p);
}

/// What was under way takes effect. Nobody hears the answer.
pub(super) fn run(protocol: &Protocol, state: &mut State, i: usize) {
    let Some(mut old) = state.processes[i].old else {
        return;
    };
    match old.under_way.take() {
        Some(Statement::Try) => {
            let granted = take(state, i, true);
            let p = &mut state.processes[i];
            let waits = !p.leads() && !matches!(p.at, At::Done | At::Dead);
            if granted && waits && protocol.mistake == Some(Mistake::OldAnswerCounts) {
                (p.at, p.granted_in, p.marks) = (At::GetHeld, p.session, 0);
            }
        }
        Some(Statement::Mark) => old.marked |= !is_mark_refused(state, i),
        Some(Statement::Release) if give_up(state, i, true) => wake(protocol, state),
        Some(Statement::Release) | None => {}
    }
    state.processes[i].old = Some(old);
}

/// All that the old session held vanishes, and nobody is notified.
pub(super) fn end(state: &mut State, i: usize) {
    state.lock = state.lock.filter(|lock| lock.process != i || !lock.is_old);
    state.processes[i].old = None;
}

/// The same session is sent the same batch once more, after this.
fn carry_out_unanswered(protocol: &Protocol, state: &mut State, i: usize) {
    let at = state.processes[i].at;
    match state.processes[i].under_way() {
        Some(Statement::Try) => {
            take(state, i, false);
        }
        Some(Statement::Mark) => {
            mark(protocol, state, i);
            state.processes[i].at = at;
        }
        Some(Statement::Release) => {
            give_up(state, i, false);
        }
        None => {}
    }
}
