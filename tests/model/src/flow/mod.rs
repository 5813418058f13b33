//! The flow: several callers of one key, in several processes, over one store and one lock.
//!
//! ```text
//!  Ask ─ Looked ─┬─ hit: served                                   ┌─ found ───────────────┐
//!                └─ miss: Lead ─ (lock) ─ Sent ─ (read) ─ Read ───┴─ Body ─ Put ─ Land ─ Release
//!                     or Follow ─ served by the landing                └─ failed: passed on ─┘
//!                           └─ Successor ─ Lead
//! ```
//! Numbers are given out in order, to bodies when they begin and to tombstones when they are laid, and serve
//! as entry ids: the higher one is newer.
//!
//! **Time** is modelled by what it can do. An entry stands for `fence_life` at least, and a leader looks again
//! more often than that while its body runs. So when an entry is gone, a leader that has not looked since it
//! was laid has had a gap of more than `fence_life` between its looks, and knows it by its own clock: it is *late*
//! from then on. All interleavings of lives and looks that the two rules allow are these. That counts until the
//! put takes effect, not only until it is sent.
//!
//! **Left out:** the waiter's looks between its tries (they only serve it earlier), the stale phase, tags,
//! `on_timeout`, a dead store. A caller asks and its look reads in one step: a later ask demands more.

mod flight;
mod setting;
mod steps;
mod store;

use stateright::{Model, Property};

pub use setting::{Ask, Faults, Mistake, Protocol};

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    id: u8,
    is_value: bool,
    is_fresh: bool,
    /// What its leader saw under the lock.
    based_on: Saw,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Saw {
    /// The look failed.
    Unknown,
    Nothing,
    Entry(u8),
}

/// What a leader lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    /// The entry found fresh under the lock.
    Found(Entry),
    /// The computation's, whatever became of its put.
    Computed,
}

/// Where a caller is: what it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Ask,
    /// Its look was answered, perhaps with a value.
    Looked(Option<u8>),
    Follow,
    /// Named by a leader that is gone, and not yet polled.
    Successor,
    /// Waits for the lock.
    Lead,
    /// Its look under the lock is sent, …
    Sent,
    /// … has read this, and is not yet answered.
    Read(Option<Entry>),
    Body,
    Put,
    Land(Outcome),
    Release,
    Done,
}

/// Whether a leader may still put over nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Trust {
    Good,
    /// Between two of its looks more than `fence_life` went by.
    Late,
    /// It saw another entry than the one seen under the lock.
    Overtaken,
}

/// One caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Caller {
    at: At,
    /// The newest tombstone whose `invalidate` had returned when it asked.
    after: u8,
    /// A refresh: the last number given out when it asked.
    asked: u8,
    saw: Saw,
    /// Joined before the leader's look under the lock was sent.
    early: bool,
    frozen: bool,
    /// How many bodies it has waited for in vain.
    bodies: u8,
    /// As a leader: what it saw under the lock, and the number of its body.
    fence: Saw,
    number: u8,
    trust: Trust,
    /// Something was laid since its last look.
    behind: bool,
}

/// The store, the lock, and everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    store: Option<Entry>,
    lock: Option<usize>,
    callers: Vec<Caller>,
    /// The first tombstone of each invalidation that has not returned.
    invalidating: Vec<u8>,
    /// The newest tombstone whose `invalidate` has returned.
    invalidated: u8,
    numbered: u8,
    /// The newest entry that ever stood in the store.
    newest: u8,
    executions: u8,
    lost_session: bool,
    broken: Broken,
    faults: Faults,
}

/// What has gone wrong so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Broken {
    older_after_invalidation: bool,
    refresh_got_older: bool,
    stored_superseded: bool,
    computed_while_fresh: bool,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A caller takes its next step.
    Step(usize),
    /// With [`Mistake::JoinsOlderLook`]: the first takes the answer of the second's look.
    ShareLook(usize, usize),
    /// The leader looks at the entry's id while its body runs.
    Watch(usize),
    /// The successor has not taken up the lead: this follower is named instead.
    Renew(usize),
    /// An invalidation returns.
    Return(usize),
    /// A caller's first look fails.
    FailLook(usize),
    /// A body ends in something that is not stored.
    EndUnstored(usize),
    /// A body fails.
    Fail(usize),
    /// A caller is dropped.
    Drop(usize),
    /// A caller is polled no more.
    Freeze(usize),
    /// The lock session of the holder is lost.
    LoseSession,
    /// `invalidate` lays its tombstone.
    Invalidate,
    /// Its tombstone is sent again.
    Resend(usize),
    /// The value is no longer fresh.
    Expire,
    /// The entry is gone.
    Evict,
}

impl Action {
    /// Whether nobody may count on it to happen.
    pub fn is_fault(&self) -> bool {
        use Action::{Renew, Return, ShareLook, Step, Watch};
        !matches!(
            self,
            Step(_) | ShareLook(..) | Watch(_) | Renew(_) | Return(_)
        )
    }
}

impl State {
    /// Whether every caller that is still polled has been served, and the lock is free.
    pub fn is_over(&self) -> bool {
        let served = |caller: &Caller| caller.at == At::Done || caller.frozen;
        self.lock.is_none() && self.callers.iter().all(served)
    }

    fn bodies(&self) -> usize {
        let at_work = |caller: &&Caller| caller.at == At::Body;
        self.callers.iter().filter(at_work).count()
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
            P::always("nothing older after an invalidation", |_, s: &State| {
                !s.broken.older_after_invalidation
            }),
            P::always("a refresh gets what began later", |_, s: &State| {
                !s.broken.refresh_got_older
            }),
            P::always("nothing superseded is stored", |_, s: &State| {
                !s.broken.stored_superseded
            }),
            P::always("one body", |_, s: &State| s.lost_session || s.bodies() <= 1),
            P::always("none while fresh", |_, s: &State| {
                !s.broken.computed_while_fresh
            }),
            P::always("served by the second body", |_, s: &State| {
                s.callers.iter().all(|caller| caller.bodies <= 1)
            }),
            P::always("one execution", |_, s: &State| s.executions <= 1),
            P::always("two executions", |_, s: &State| s.executions <= 2),
            P::sometimes("somebody follows", |_, s: &State| {
                s.callers.iter().any(|caller| caller.at == At::Follow)
            }),
        ]
    }
}
