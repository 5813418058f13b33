//! Lease rows: one key, a few processes, no sessions, no notifications.
//!
//! ```text
//!  Get ─ Take ─ GetHeld ─ Compute ─ Put ─ Release ─ Done
//!   ▲      │busy             (renewed meanwhile)
//!   └──────┘ after a pause
//! ```
//! The clock is modelled by what it can do: at any time a lease may run out, because its holder was
//! frozen, cut off, or slow to renew. So nothing here depends on how long anything takes.
//!
//! A lease does not exclude: one that has run out leaves a body under way beside the next one. What
//! must hold nevertheless is that an entry is never overwritten by an older one, and that tokens only
//! grow, so that nobody renews or releases the lease of somebody else.

mod steps;

use stateright::{Model, Property};

/// How many of each fault may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A process dies. Its lease stays until it runs out.
    pub crashes: u8,
    /// A lease runs out while its holder lives.
    pub lapses: u8,
    /// The row is lost: swept, or the unlogged table was emptied after a crash of the server.
    pub lost_rows: u8,
    /// A computation fails.
    pub failures: u8,
    /// `invalidate` lays a tombstone.
    pub invalidations: u8,
}

/// One deviation from the protocol. Each must make a property fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The put stores, whatever stands there.
    UnfencedPut,
    /// Before the put the leader looks whether its token still stands, in a statement of its own.
    TokenLookedAtBeforePut,
    /// A row that is made anew begins with token 1.
    TokenBeginsAtOne,
    /// The release does not compare the token.
    ReleaseWithoutToken,
    /// The renewal does not compare the token.
    RenewWithoutToken,
    /// A renewal that comes after the release takes the lease up again.
    RenewAfterRelease,
    /// The lease is taken though it has not run out.
    TakeWhileLive,
    /// The lease does not run out.
    LeaseForEver,
}

/// The protocol with its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How many processes there are, each with one call.
    pub processes: usize,
    /// What may go wrong.
    pub faults: Faults,
    /// What is built wrongly.
    pub mistake: Option<Mistake>,
}

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
    Take,
    GetHeld,
    Compute,
    Put,
    Release,
    Done,
    Dead,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Process {
    at: At,
    token: u8,
    /// The entry seen under the lease: what the put is fenced by.
    seen: Option<u8>,
    /// The number of the computation under way.
    number: u8,
    /// A renewal was sent while the lease was held, and has not arrived yet.
    renewing: bool,
    /// Only with [`Mistake::TokenLookedAtBeforePut`]: the token was found standing.
    looked: bool,
}

/// The row, the entry, and everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    row: Option<Row>,
    /// What the server's clock would give as the token of a new row: more than any token before.
    clock: u8,
    store: Option<Entry>,
    processes: Vec<Process>,
    numbered: u8,
    executions: u8,
    highest_token: u8,
    broken: Broken,
    faults: Faults,
}

/// What has gone wrong so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Broken {
    /// A put went over an entry that was newer.
    overwrote_newer: bool,
    /// A token was given that was not higher than all before.
    token_fell: bool,
    /// A process renewed or released what another one held.
    meddled: bool,
    /// A lease that was released lived again without having been taken.
    revived: bool,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A process takes its next step.
    Step(usize),
    /// A holder's link sends a renewal, …
    SendRenewal(usize),
    /// … which the server carries out, perhaps late.
    Renew(usize),
    /// The lease of a dead process runs out, as it must in the end.
    RunOut,
    /// The lease of a living process runs out.
    Lapse,
    /// The computation of a process fails.
    Fail(usize),
    /// A process dies.
    Crash(usize),
    /// The row is lost.
    LoseRow,
    /// Somebody calls `invalidate`.
    Invalidate,
}

impl Action {
    /// Whether nobody may count on it to happen.
    pub fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Lapse | Self::Fail(_) | Self::Crash(_) | Self::LoseRow | Self::Invalidate
        )
    }
}

impl State {
    /// Whether all callers have been served or are dead.
    pub fn is_over(&self) -> bool {
        self.processes
            .iter()
            .all(|p| matches!(p.at, At::Done | At::Dead))
    }

    /// Two bodies at once: what a lease cannot rule out.
    fn has_two_bodies(&self) -> bool {
        self.processes
            .iter()
            .filter(|p| p.at == At::Compute)
            .count()
            > 1
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
            Property::always("newer stays", |_, state: &State| {
                !state.broken.overwrote_newer
            }),
            Property::always("tokens grow", |_, state: &State| !state.broken.token_fell),
            Property::always("own lease only", |_, state: &State| !state.broken.meddled),
            Property::always("released stays free", |_, state: &State| {
                !state.broken.revived
            }),
            Property::always("one body", |_, state: &State| !state.has_two_bodies()),
            Property::always("one execution", |_, state: &State| state.executions <= 1),
        ]
    }
}
