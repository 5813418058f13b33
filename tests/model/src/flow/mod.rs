//! The flow: several callers of one key, in several processes, over one store and one lock.
//!
//! ```text
//!  Ask ─ Looked ─┬─ hit: served                                   ┌─ found ───────────────┐
//!                ├─ miss: Lead ─ (lock) ─ Sent ─ (read) ─ Read ───┴─ Body ─ Put ─ Land ─ Release
//!                │     or Follow ─ served by the landing                └─ failed: passed on ─┘
//!                │           ├─ Successor ─ Lead
//!                │           └─ waited for too long: Sent, of the overflow flight
//!                └─ stale: served, and if nobody leads: Try ─ (lock) ─ Sent
//!                                                        └─ busy: passed on
//! ```
//! With tags, a leader that finds no marker lays one, and looks again: Read ─ Lay ─ Sent.
//!
//! With `detach`, what leads is not the caller but a task of its own; the caller follows it.
//!
//! Numbers are given out in order, to bodies when they begin and to tombstones when they are laid, and serve
//! as entry ids: the higher one is newer.
//!
//! **Time** is modelled by what it can do. An entry stands for `fence_life` at least, and a leader looks again
//! more often than that while its body runs. So when an entry is gone, a leader that has not looked since it
//! was laid has had a gap of more than `fence_life` between its looks, and knows it by its own clock: it is *late*
//! from then on. All interleavings of lives and looks that the two rules allow are these. That counts until the
//! put takes effect, not only until it is sent.
//!
//! **Left out:** the waiter's looks between its tries (they only serve it earlier), a second tag, a dead store, the pause
//! between two tries to refresh. A caller asks and its look reads in one step: a later ask demands more.

mod action;
mod detach;
mod flight;
mod look;
mod mistake;
mod overflow;
mod properties;
mod setting;
mod stale;
mod steps;
mod store;
mod tags;

use stateright::{Model, Property};

pub use action::Action;
pub use mistake::Mistake;
pub use setting::{Ask, Faults, Options, Protocol, Reads};

/// How old a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Age {
    /// It is given to everybody.
    Fresh,
    /// It is given to everybody, and somebody is to compute anew.
    Stale,
    /// It stands for the fence, and for `stale_if_error`.
    Expired,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    id: u8,
    /// `None`: it is a tombstone.
    value: Option<Age>,
    /// What its leader saw under the lock.
    based_on: Saw,
    /// With a tag: the id of the marker under which it was begun.
    marker: u8,
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
    /// The value that was seen under the lock, since the computation failed.
    Old(u8),
}

/// Where an actor is: what it does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Ask,
    /// Its look has read one cell of two, the entry perhaps.
    HalfLooked(Option<Entry>),
    /// Its look was answered, perhaps with a value.
    Looked(Option<Entry>),
    Follow,
    /// Named by a leader that is gone, and not yet polled.
    Successor,
    /// Leads to replace this value, and tries the lock once.
    Try(u8),
    /// Waits for the lock.
    Lead,
    /// Its look under the lock is sent, …
    Sent,
    /// … has read one cell of two, …
    HalfRead(Option<Entry>),
    /// … has read this, and is not yet answered.
    Read(Option<Entry>),
    /// Is to lay the marker that is missing.
    Lay,
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

/// A caller, or the task that leads for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Actor {
    at: At,
    /// The newest tombstone or marker whose invalidation had returned when it asked.
    after: u8,
    /// A refresh: the last number given out when it asked.
    asked: u8,
    /// The newest value that its process had returned when it asked.
    floor: u8,
    saw: Saw,
    /// The marker that its last look saw: its own, or its look under the lock.
    marker: Option<u8>,
    /// It has laid a marker, and looks once more.
    has_laid: bool,
    /// Its look found something that it could return.
    servable: bool,
    /// Which flight of its process it is in.
    flight: u8,
    /// It has waited for too long, and is in the flight of those.
    overflow: bool,
    /// Joined before the leader's look under the lock was sent.
    early: bool,
    frozen: bool,
    /// How many bodies it has waited for in vain.
    bodies: u8,
    /// As a leader: what it saw under the lock, and the number of its body.
    fence: Saw,
    number: u8,
    /// The value that it saw under the lock, for a failure.
    old: Option<u8>,
    trust: Trust,
    /// Something was laid since its last look.
    behind: bool,
}

/// What a process knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Process {
    /// The newest value that it has returned.
    returned: u8,
    /// The flight that callers join: an invalidation leaves the one under way to those who are in it.
    flight: u8,
    /// A failure was answered with an old value: for a while there may be no other try.
    backs_off: bool,
    /// What only a mistake keeps in a process.
    remembered: Option<u8>,
}

/// An invalidation of the key, or of its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Invalidation {
    /// The first tombstone or marker that it laid.
    laid: u8,
    of_tag: bool,
}

/// The store, the lock, and everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    store: Option<Entry>,
    /// The id of the tag's marker.
    marker: Option<u8>,
    /// One that a leader of another key has laid, and may send again.
    laid_elsewhere: Option<u8>,
    lock: Option<usize>,
    /// The callers and, with `detach`, a task for each of them.
    actors: Vec<Actor>,
    processes: Vec<Process>,
    /// Those that have not returned.
    invalidating: Vec<Invalidation>,
    /// The newest tombstone or marker whose invalidation has returned.
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
    went_back: bool,
    stored_superseded: bool,
    computed_while_fresh: bool,
    lost_with_caller: bool,
    overflowed_beside_detached: bool,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![steps::beginning(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        action::enabled(self, state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        steps::apply(self, &mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}
