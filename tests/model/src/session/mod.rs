//! Session locks and interest locks: one key, a few processes, each with one session.
//!
//! ```text
//!  caller   Get ─ Try ─┬───────────────────────── held ─ GetHeld ─ Compute ─ Put ─ served
//!            │         │busy                       ▲        │value                   │
//!            │value    └─ Mark ─ TryAgain ─────────┤        └──────────── served     │ queued
//!            ▼              ▲       │busy          │                        │ queued │
//!          served           │    GetAgain ─ Asleep │ woken: Get, TryAgain   ▼        ▼
//!                        mark failed                         release   Unlock ─ Check ─ Notify
//! ```
//! The caller does not wait for its release: the two go on side by side, and the next call of the same
//! process may already be under way. What a process looks like from outside:
//! - *lock*: who holds the exclusive lock of the key, and how often (session locks are re-entrant);
//! - *marked*: holds the interest key in shared mode;
//! - *looking*: whoever watches holds the key itself in shared mode, for the length of the statement that looks whether it
//!   is free and tells those who wait. In that time the tries of others fail;
//! - *checking*: holds the interest key in exclusive mode, for the length of the statement
//!   `CASE WHEN pg_try_advisory_xact_lock(interest) …`. In that time the shared try of others fails.
//!
//! A connection that stalls is given up, and what was not answered is sent again in a new session, by the link's
//! next generation. To the server the old session may live for a time: it holds what it held, and the statement
//! that was under way may yet take effect in it, once (so its answer is lost, or the statement late). Then the
//! server ends it.

mod locks;
mod old;
mod setting;
mod steps;

use stateright::{Model, Property};

pub use setting::{Faults, Mistake, Protocol};

/// What the store holds. Numbers are given out in order, so the higher one is newer; they serve as the
/// entry id too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    number: u8,
    is_value: bool,
}

/// Where a caller is: what it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Get,
    Try,
    Mark,
    TryAgain,
    GetAgain,
    Asleep,
    GetHeld,
    Compute,
    Put,
    Done,
    Dead,
}

/// Where the release of a key is: what its session does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Release {
    Idle,
    Unlock,
    Check,
    /// The end of the check's statement: the interest key is let go, and `true` notifies.
    Notify(bool),
}

/// A session that its process has given up, and the server has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct OldSession {
    marked: bool,
    under_way: Option<Statement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Statement {
    Try,
    Mark,
    Release,
}

/// Who holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Lock {
    process: usize,
    /// In its old session.
    is_old: bool,
    /// Session locks are re-entrant.
    times: u8,
}

/// One process: its caller, its session, its queued release.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    at: At,
    calls_left: u8,
    /// The entry seen under the lock: what the put is fenced by.
    seen: Option<u8>,
    /// The number of the computation under way.
    number: u8,
    /// How often the session was lost, and how often it had been when the key was granted.
    session: u8,
    granted_in: u8,
    release: Release,
    releases_session: u8,
    /// How often its session has marked interest.
    marks: u8,
    checking: bool,
    listening: bool,
    woken: bool,
    old: Option<OldSession>,
}

/// The key, its entry, and everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    store: Option<Entry>,
    lock: Option<Lock>,
    looking: bool,
    processes: Vec<Process>,
    /// The last number given out.
    numbered: u8,
    executions: u8,
    /// A put went over an entry that was newer.
    overwrote_newer: bool,
    faults: Faults,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The caller of a process takes its next step.
    Step(usize),
    /// The computation of a process fails.
    Fail(usize),
    /// The caller of a process is dropped.
    Drop(usize),
    /// The release of a process takes its next step.
    Release(usize),
    /// Whoever watches finds that the key is free, and somebody waits for it.
    Watch,
    /// The same, where that does not happen as often as it is needed.
    Look,
    /// Its statement ends, and those who wait are told.
    Tell,
    /// A sleeper looks up without having been woken.
    Poll(usize),
    /// The listening connection comes back.
    Relisten(usize),
    /// A process dies.
    Crash(usize),
    /// A session is lost.
    LoseSession(usize),
    /// A session's connection stalls, and is given up.
    Stall(usize),
    /// The statement that was under way takes effect in the old session.
    RunOld(usize),
    /// The server ends the old session, as it must in the end.
    EndOld(usize),
    /// A listening connection is lost.
    LoseListener(usize),
    /// Somebody calls `invalidate`.
    Invalidate,
    /// The store loses its entry.
    Evict,
}

impl Action {
    /// Whether nobody may count on it to happen.
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::Step(_)
                | Self::Release(_)
                | Self::Watch
                | Self::Tell
                | Self::Poll(_)
                | Self::Relisten(_)
                | Self::EndOld(_)
        )
    }
}

impl State {
    /// Whether all callers have been served (or are dead) and nothing is left behind.
    pub fn is_over(&self) -> bool {
        let clean = |p: &Process| p.is_over() && p.marks == 0 && p.old.is_none();
        self.processes.iter().all(clean) && self.lock.is_none() && !self.looking
    }

    /// Two processes that both rightly believe to hold the key: their sessions live.
    fn has_two_leaders(&self) -> bool {
        self.processes
            .iter()
            .filter(|p| p.leads() && p.granted_in == p.session)
            .count()
            > 1
    }

    /// Everybody is served or asleep, nothing is under way, and somebody sleeps: for ever.
    fn has_lost_wakeup(&self) -> bool {
        let quiet = self
            .processes
            .iter()
            .all(|p| p.is_over() || p.is_left_alone());
        quiet && !self.looking && self.processes.iter().any(Process::is_left_alone)
    }
}

impl Process {
    fn leads(&self) -> bool {
        matches!(self.at, At::GetHeld | At::Compute | At::Put)
    }

    fn is_over(&self) -> bool {
        matches!(self.at, At::Done | At::Dead) && self.release == Release::Idle
    }

    fn is_left_alone(&self) -> bool {
        self.at == At::Asleep && !self.woken && self.listening && self.release == Release::Idle
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![steps::beginning(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        steps::enabled(self, state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        steps::apply(self, &mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one leader", |_, state: &State| !state.has_two_leaders()),
            Property::always("no lost wake-up", |_, state: &State| {
                !state.has_lost_wakeup()
            }),
            Property::always("newer stays", |_, state: &State| !state.overwrote_newer),
            Property::always("no key held for nobody", |_, state: &State| {
                !state.is_held_for_nobody()
            }),
            Property::always("no mark without a waiter", |_, state: &State| {
                !state.processes.iter().any(Process::has_idle_mark)
            }),
            Property::always("one execution", |_, state: &State| state.executions <= 1),
            Property::sometimes("somebody sleeps", |_, state: &State| {
                state.processes.iter().any(|p| p.at == At::Asleep)
            }),
        ]
    }
}
