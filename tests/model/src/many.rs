//! Calls of many keys: who holds what while it waits for whom.
//!
//! ```text
//!  part     Ask ─┬─ found: Done
//!                ├─ Lead ─ (lock) ─ Held ─ (body of all that is held) ─ Done
//!                │    └─ busy: Asleep ─ found, or free: Held
//!                └─ Follow ─ found: Done, or passed on: Lead
//!  caller   Going ─ Body ─ Going ─ … ─ Over
//! ```
//! Each caller has a part for each of its keys. They go their ways side by side; while its body runs nobody polls them.
//! The body begins when the caller holds something, and no part has anything on its way that comes soon, an answer of a
//! server: those that wait for other leads are left waiting, and what is held is computed, stored and released first.
//! Since a server may be slow, the body may also begin sooner.
//!
//! **Left out:** everything that the flow of one key does, which is modelled in [`flow`](crate::flow).

use stateright::{Model, Property};

/// Keys, at most.
const KEYS: usize = 3;

/// The setting.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Of each caller: its process, and which keys it asks for.
    pub callers: &'static [(usize, [bool; KEYS])],
    /// So many bodies fail.
    pub failures: u8,
    /// So many callers go away.
    pub drops: u8,
    /// What is done wrong.
    pub mistake: Option<Mistake>,
}

/// What may be done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The body begins when nothing is waited for any more: a caller holds while it waits.
    WaitsFirst,
    /// The body gets all keys that are missing, and not only those that are held.
    ComputesWhatOthersLead,
    /// Whoever fails, or goes, keeps its place in the flights of what it does not hold.
    LeavesLeadsBehind,
}

/// Where one key of a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Ask,
    /// Waits for the lead of another caller of its process.
    Follow,
    /// Leads in its process, and is about to try the lock.
    Lead,
    /// … and waits for whoever has it.
    Asleep,
    Held,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Going,
    Body,
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Caller {
    at: At,
    parts: [Option<Part>; KEYS],
}

/// The store, the locks, the flights, and everybody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    stored: [bool; KEYS],
    locks: [Option<usize>; KEYS],
    /// Who leads, for each process.
    flights: Vec<[Option<usize>; KEYS]>,
    callers: Vec<Caller>,
    bodies: [u8; KEYS],
    two_at_once: bool,
    failures: u8,
    drops: u8,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A part of a caller takes its next step.
    Step(usize, usize),
    /// The body of a caller begins, …
    Begin(usize),
    /// … ends, and what it computed is stored, …
    End(usize),
    /// … or fails.
    Fail(usize),
    /// A caller goes away.
    Drop(usize),
}

impl Action {
    /// Whether it need not happen.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Fail(_) | Self::Drop(_))
    }
}

impl State {
    /// Whether everybody has come to an end.
    pub fn is_over(&self) -> bool {
        self.callers.iter().all(|caller| caller.at == At::Over)
    }

    fn can_step(&self, process: usize, caller: usize, key: usize) -> bool {
        let this = &self.callers[caller];
        let is_polled = this.at == At::Going;
        is_polled
            && match this.parts[key] {
                Some(Part::Ask | Part::Lead) => true,
                Some(Part::Follow) => self.stored[key] || self.flights[process][key].is_none(),
                Some(Part::Asleep) => self.stored[key] || self.locks[key].is_none(),
                Some(Part::Held | Part::Done) | None => false,
            }
    }

    fn step(&mut self, process: usize, caller: usize, key: usize) {
        let flight = &mut self.flights[process][key];
        let part = self.callers[caller].parts[key];
        let next = match part {
            _ if self.stored[key] => {
                // Those who follow find it, too.
                flight.take_if(|leader| *leader == caller);
                Part::Done
            }
            Some(Part::Ask | Part::Follow) if flight.is_none() => {
                *flight = Some(caller);
                Part::Lead
            }
            Some(Part::Ask | Part::Follow) => Part::Follow,
            _ if self.locks[key].is_none() => {
                self.locks[key] = Some(caller);
                Part::Held
            }
            _ => Part::Asleep,
        };
        self.callers[caller].parts[key] = Some(next);
        self.settle(caller);
    }

    fn settle(&mut self, caller: usize) {
        let caller = &mut self.callers[caller];
        let is_settled = |part: &Option<Part>| matches!(part, None | Some(Part::Done));
        if caller.at == At::Going && caller.parts.iter().all(is_settled) {
            caller.at = At::Over;
        }
    }

    fn held(&self, caller: usize) -> impl Iterator<Item = usize> + use<> {
        let parts = self.callers[caller].parts;
        (0..KEYS).filter(move |key| parts[*key] == Some(Part::Held))
    }

    /// The keys that a body computes.
    fn computed(&self, protocol: &Protocol, caller: usize) -> Vec<usize> {
        let parts = self.callers[caller].parts;
        let is_missing = |key: &usize| parts[*key].is_some_and(|part| part != Part::Done);
        match protocol.mistake {
            Some(Mistake::ComputesWhatOthersLead) => (0..KEYS).filter(is_missing).collect(),
            _ => self.held(caller).collect(),
        }
    }

    fn begin(&mut self, protocol: &Protocol, caller: usize) {
        let of_others = |other: usize| other != caller && self.callers[other].at == At::Body;
        let others = (0..self.callers.len()).filter(|other| of_others(*other));
        let busy: Vec<usize> = others
            .flat_map(|other| self.computed(protocol, other))
            .collect();
        for key in self.computed(protocol, caller) {
            self.bodies[key] += 1;
            self.two_at_once |= busy.contains(&key);
        }
        self.callers[caller].at = At::Body;
    }

    /// Stores what is held, and releases it.
    fn end(&mut self, process: usize, caller: usize) {
        for key in self.held(caller) {
            self.stored[key] = true;
            self.locks[key] = None;
            self.flights[process][key] = None;
            self.callers[caller].parts[key] = Some(Part::Done);
        }
        self.callers[caller].at = At::Going;
        self.settle(caller);
    }

    /// Releases all, and computes nothing.
    fn leave(&mut self, protocol: &Protocol, process: usize, caller: usize) {
        for key in 0..KEYS {
            let part = self.callers[caller].parts[key];
            let stays = protocol.mistake == Some(Mistake::LeavesLeadsBehind);
            if !stays || part == Some(Part::Held) {
                self.flights[process][key].take_if(|leader| *leader == caller);
            }
            self.locks[key].take_if(|holder| *holder == caller);
        }
        self.callers[caller].at = At::Over;
    }

    fn may_begin(&self, protocol: &Protocol, caller: usize) -> bool {
        let this = &self.callers[caller];
        let waits = |part: &Option<Part>| !matches!(part, None | Some(Part::Held | Part::Done));
        let waits_first = protocol.mistake == Some(Mistake::WaitsFirst);
        this.at == At::Going
            && self.held(caller).next().is_some()
            && !(waits_first && this.parts.iter().any(waits))
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let caller = |(_, keys): &(usize, [bool; KEYS])| Caller {
            at: At::Going,
            parts: keys.map(|asks| asks.then_some(Part::Ask)),
        };
        let processes = self.callers.iter().map(|(process, _)| process + 1).max();
        vec![State {
            stored: [false; KEYS],
            locks: [None; KEYS],
            flights: vec![[None; KEYS]; processes.unwrap_or(0)],
            callers: self.callers.iter().map(caller).collect(),
            bodies: [0; KEYS],
            two_at_once: false,
            failures: self.failures,
            drops: self.drops,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (i, (process, _)) in self.callers.iter().enumerate() {
            let steps = (0..KEYS).filter(|key| state.can_step(*process, i, *key));
            actions.extend(steps.map(|key| Action::Step(i, key)));
            if state.may_begin(self, i) {
                actions.push(Action::Begin(i));
            }
            let at = state.callers[i].at;
            if at == At::Body {
                actions.push(Action::End(i));
            }
            if at == At::Body && state.failures > 0 {
                actions.push(Action::Fail(i));
            }
            if at != At::Over && state.drops > 0 {
                actions.push(Action::Drop(i));
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        let process = |caller: usize| self.callers[caller].0;
        match action {
            Action::Step(caller, key) => next.step(process(caller), caller, key),
            Action::Begin(caller) => next.begin(self, caller),
            Action::End(caller) => next.end(process(caller), caller),
            Action::Fail(caller) => {
                next.failures -= 1;
                next.leave(self, process(caller), caller);
            }
            Action::Drop(caller) => {
                next.drops -= 1;
                next.leave(self, process(caller), caller);
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one body at a time", |_, state: &State| !state.two_at_once),
            Property::always(
                "each key is computed once",
                |protocol: &Self, state: &State| {
                    let faults = protocol.failures + protocol.drops;
                    state.bodies.iter().all(|bodies| *bodies <= 1 + faults)
                },
            ),
        ]
    }
}
