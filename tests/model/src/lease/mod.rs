//! Lease rows: one key, a few processes, no sessions, no notifications.
//!
//! ```text
//!  caller   Get ─ Send ─ Wait ─ GetHeld ─ Compute ─ Put ─ served
//!            ▲            │busy             (renewed)  │ queued
//!            └────────────┘ after a pause              ▼
//!  link     ask: sent ─ carried out ─ answered       release
//! ```
//! A guard's token, a random number, is chosen before the link sends its first ask; here it is the number of its
//! call, so that no two are alike. The row is taken if it is free **or bears this token already**: so a
//! batch that is sent again, after its answer was lost, recognizes what it took the first time. Only the
//! tokens of guards are renewed. What is granted to a caller that is gone is given back.
//!
//! A statement of an abandoned connection may still take effect, much later, and nobody hears its answer. If
//! it takes the row, nobody renews it, and it runs out.
//!
//! The clock is modelled by what it can do: at any time a lease may run out, because its holder was
//! frozen, cut off, or slow to renew. So nothing here depends on how long anything takes.
//!
//! A lease does not exclude: one that has run out leaves a body under way beside the next one. What
//! must hold nevertheless is that an entry is never overwritten by an older one, that nobody renews or
//! releases the lease of somebody else, and that no lease lives for ever without a guard.

mod link;
mod rows;
mod setting;
mod steps;

use stateright::{Model, Property};

pub use setting::{Faults, Mistake, Protocol};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Row {
    token: u8,
    lease: Lease,
}

/// What `lease_until` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Lease {
    /// Lies ahead.
    Live,
    /// Lies behind: may be taken, and may still be renewed by its holder.
    Lapsed,
    /// `-infinity`: may be taken.
    Released,
}

/// What the store holds; the number is the entry id too, and the higher one is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    number: u8,
    is_value: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Get,
    Send,
    Wait,
    GetHeld,
    Compute,
    Put,
    Done,
    Dead,
}

/// A take that the link has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ask {
    token: u8,
    /// Whether its caller still waits.
    wanted: bool,
    /// What the server has answered, if it has run.
    granted: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Statement {
    Take(u8),
    Renew(u8),
    Release(u8),
}

/// One process: its caller, and what its link has under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    at: At,
    calls_left: u8,
    /// The guard's token.
    token: u8,
    /// The entry seen under the lease: what the put is fenced by.
    seen: Option<u8>,
    /// The number of the computation under way.
    number: u8,
    ask: Option<Ask>,
    release: Option<u8>,
    /// A renewal that was sent, and has not arrived yet.
    renewal: Option<u8>,
    /// What may yet take effect on a connection that was given up.
    late: Option<Statement>,
    /// Only with [`Mistake::NotedBeforeAnswer`]: the token that the link renews.
    noted: Option<u8>,
    /// Only with [`Mistake::TokenLookedAtBeforePut`]: the token was found standing.
    looked: bool,
}

/// The row, the entry, and everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    row: Option<Row>,
    store: Option<Entry>,
    processes: Vec<Process>,
    numbered: u8,
    executions: u8,
    broken: Broken,
    faults: Faults,
}

/// What has gone wrong so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Broken {
    /// A put went over an entry that was newer.
    overwrote_newer: bool,
    /// What another guard held was renewed or released.
    meddled: bool,
    /// A lease that was released lived again without having been taken.
    revived: bool,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A caller takes its next step.
    Step(usize),
    /// The server carries out a take.
    Take(usize),
    /// The answer to a take arrives, perhaps late.
    Answer(usize),
    /// The server carries out a release.
    Release(usize),
    /// A link sends a renewal, …
    SendRenewal(usize),
    /// … which the server carries out, perhaps late.
    Renew(usize),
    /// A lease that nobody renews runs out, as it must in the end.
    RunOut,
    /// The lease of a living process runs out.
    Lapse,
    /// The computation of a process fails.
    Fail(usize),
    /// A caller is dropped.
    Drop(usize),
    /// A process dies.
    Crash(usize),
    /// A connection is lost, and what was under way is sent again on the next one.
    LoseConnection(usize),
    /// A statement of a lost connection takes effect.
    RunLate(usize),
    /// The row is lost.
    LoseRow,
    /// Somebody calls `invalidate`.
    Invalidate,
}

impl Action {
    /// Whether nobody may count on it to happen.
    pub fn is_fault(&self) -> bool {
        use Action::{Answer, Release, Renew, RunOut, SendRenewal, Step, Take};
        !matches!(
            self,
            Step(_) | Take(_) | Answer(_) | Release(_) | SendRenewal(_) | Renew(_) | RunOut
        )
    }
}

impl State {
    /// Whether all callers have been served or are dead, and the key is free.
    pub fn is_over(&self) -> bool {
        self.is_quiet() && !self.is_live()
    }

    /// Whether nobody will do anything any more.
    fn is_quiet(&self) -> bool {
        self.processes
            .iter()
            .all(|p| matches!(p.at, At::Done | At::Dead) && p.ask.is_none() && p.release.is_none())
    }

    fn is_live(&self) -> bool {
        self.row.is_some_and(|row| row.lease == Lease::Live)
    }

    /// Two bodies at once: what a lease cannot rule out.
    fn has_two_bodies(&self) -> bool {
        let at_work = |p: &&Process| p.at == At::Compute;
        self.processes.iter().filter(at_work).count() > 1
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
        use Property as P;
        vec![
            P::always("newer stays", |_, s: &State| !s.broken.overwrote_newer),
            P::always("own lease only", |_, s: &State| !s.broken.meddled),
            P::always("released stays free", |_, s: &State| !s.broken.revived),
            P::always("nothing is left behind", |_, s: &State| {
                !(s.is_quiet() && s.is_live())
            }),
            P::always("one body", |_, s: &State| !s.has_two_bodies()),
            P::always("one execution", |_, s: &State| s.executions <= 1),
        ]
    }
}
