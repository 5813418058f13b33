//! Run after run over one type, each changing one thing that the run before has shown.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest as _, Md5};

use crate::payload::codec::Names;

use super::Fingerprint;
use super::candidates::ATTEMPTS;
use super::error::{TraceError, caught};
use super::node::{Node, NodeKey, Place, Seen};

/// Bounds of one trace. They are counted, not timed, so that every process comes to the same hash.
const MAX_RUNS: usize = 4_000;
const MAX_STEPS: usize = 400_000;

#[derive(Debug)]
pub(super) struct Tracer {
    pub(super) state: RefCell<State>,
    /// Whether values are made up at all. Where not, every place refuses to be read once it is noted.
    pub(super) makes_up: bool,
}

#[derive(Default, Debug)]
pub(super) struct State {
    pub(super) nodes: Vec<Node>,
    index: BTreeMap<NodeKey, usize>,
    root: Option<Seen>,
    /// How often other values were tried at a place.
    attempts: BTreeMap<Place, usize>,
    /// How many values there are to try.
    candidates: BTreeMap<Place, usize>,
    /// Where no value is accepted.
    pub(super) hopeless: BTreeSet<Place>,
    pub(super) self_describing: bool,
    pub(super) steps: usize,
    /// Something is known that was not before.
    pub(super) progress: bool,
    /// Of this run: nodes that were met.
    met: BTreeSet<usize>,
    /// Of this run: enums that have more to show.
    pub(super) pending: usize,
    /// Of this run: what failed, from the inside out.
    failures: Vec<Failure>,
    stopped: bool,
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Place(Place, TraceError),
    Variant(usize, usize),
}

impl Tracer {
    pub(super) fn new(makes_up: bool) -> Self {
        Self {
            state: RefCell::default(),
            makes_up,
        }
    }

    /// Before a value is made up.
    pub(super) fn make_up(&self) -> Result<(), TraceError> {
        if self.makes_up {
            Ok(())
        } else {
            Err(TraceError::Rejected)
        }
    }

    /// How many values there are to try, of so many.
    pub(super) fn candidates(&self, candidates: usize) -> usize {
        if self.makes_up { candidates } else { 1 }
    }

    /// Runs until nothing new comes, or for long enough.
    pub(super) fn explore(&self, run: &mut dyn FnMut() -> Result<(), TraceError>) {
        for _ in 0..MAX_RUNS {
            self.state.borrow_mut().begin();
            let outcome = caught(&mut *run);
            let mut state = self.state.borrow_mut();
            if let Err(error) = outcome {
                state.fail(Place::ROOT, error);
                state.learn();
            }
            let over = outcome.is_ok() && state.pending == 0;
            if over || state.stopped || !state.progress {
                return;
            }
        }
        self.state.borrow_mut().stopped = true;
    }

    pub(super) fn fingerprint(&self, type_name: &str) -> Fingerprint {
        let mut hash = [0; 8];
        hash.copy_from_slice(&Md5::digest(self.describe(type_name))[..8]);
        Fingerprint {
            hash: u64::from_le_bytes(hash),
            names: self.names(),
        }
    }

    /// Leaked: there is one for each type of the program.
    fn names(&self) -> Names {
        let state = self.state.borrow();
        let known: Vec<_> = state.nodes.iter().flat_map(Node::members).collect();
        Names {
            // What was not seen may change: names tell, where positions would not.
            required: state.self_describing || !self.makes_up,
            known: Vec::leak(known),
        }
    }

    /// The canonical text that is hashed.
    pub(super) fn describe(&self, type_name: &str) -> String {
        let state = self.state.borrow();
        let mut text = String::new();
        for (index, node) in state.nodes.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = node.describe(state.opaque(index), &mut text);
        }
        text.push_str(&format!("{:?}", state.root));
        if state.stopped || state.hopeless.contains(&Place::ROOT) {
            text.push_str(type_name);
        }
        text
    }
}

impl State {
    fn begin(&mut self) {
        self.met.clear();
        self.failures.clear();
        self.pending = 0;
        self.progress = false;
        for node in &mut self.nodes {
            node.nested = 0;
        }
    }

    /// Counts one call of the type's `Deserialize`.
    pub(super) fn step(&mut self) -> Result<(), TraceError> {
        self.steps += 1;
        self.stopped |= self.steps > MAX_STEPS;
        if self.stopped {
            Err(TraceError::Stop)
        } else {
            Ok(())
        }
    }

    /// Notes what stands at a place. What came first counts.
    pub(super) fn note(&mut self, place: Place, seen: Seen) {
        if place == Place::ROOT {
            self.root.get_or_insert(seen);
            return;
        }
        let parts = &mut self.nodes[place.node].parts;
        self.progress |= !parts.contains_key(&(place.variant, place.part));
        parts.entry((place.variant, place.part)).or_insert(seen);
    }

    /// The node of a key, and whether there is nothing to see: it is a part of what this run has met
    /// before, or was itself.
    pub(super) fn meet(&mut self, key: NodeKey, known: bool) -> (usize, bool) {
        let index = *self.index.entry(key).or_insert(self.nodes.len());
        if index == self.nodes.len() {
            self.nodes.push(Node::new(key));
            self.progress = true;
        }
        (index, known || !self.met.insert(index))
    }

    /// Which of `candidates` values is the turn of this place.
    pub(super) fn attempt(&mut self, place: Place, candidates: usize) -> usize {
        self.candidates.insert(place, candidates);
        self.attempts.get(&place).copied().unwrap_or_default()
    }

    pub(super) fn fail(&mut self, place: Place, error: TraceError) {
        self.failures.push(Failure::Place(place, error));
    }

    pub(super) fn fail_variant(&mut self, node: usize, variant: usize) {
        self.failures.push(Failure::Variant(node, variant));
    }

    /// Whether parts of a node may never have been seen, because they come after a hopeless one.
    fn opaque(&self, node: usize) -> bool {
        self.hopeless.iter().any(|place| place.node == node)
    }

    /// Changes one thing after a failed run: the innermost that can still be changed.
    fn learn(&mut self) {
        let mut hopeless_inside = false;
        for failure in std::mem::take(&mut self.failures) {
            let learned = match failure {
                Failure::Place(place, error) => self.learn_place(place, error, hopeless_inside),
                Failure::Variant(node, variant) => self.give_up_variant(node, variant),
            };
            if learned {
                self.progress = true;
                return;
            }
            hopeless_inside = true;
        }
    }

    fn learn_place(&mut self, place: Place, error: TraceError, hopeless_inside: bool) -> bool {
        if self.hopeless.contains(&place) {
            return false;
        }
        if hopeless_inside {
            // Not before all in it was seen: a hopeless part comes last, behind others perhaps.
            let unseen = self.pending > 0 && self.progress;
            return unseen || self.hopeless.insert(place);
        }
        if self.learn_names(place, error) {
            return true;
        }
        let attempts = self.attempts.entry(place).or_default();
        *attempts += 1;
        if *attempts >= self.candidates.get(&place).copied().unwrap_or(ATTEMPTS) {
            self.hopeless.insert(place);
        }
        true
    }

    /// Keeps the names in an error. Returns whether a map that is a struct can go on with them.
    fn learn_names(&mut self, place: Place, error: TraceError) -> bool {
        let at = match place {
            Place::ROOT => self.root,
            Place {
                node,
                variant,
                part,
            } => self.nodes[node].parts.get(&(variant, part)).copied(),
        };
        let owner = match at {
            Some(Seen::Node(node)) => node,
            _ if place == Place::ROOT => return false,
            _ => place.node,
        };
        let node = &mut self.nodes[owner];
        match error {
            TraceError::Missing(key) => {
                let learns = node.key.kind == "map" && !node.keys.contains(&key);
                if learns {
                    node.keys.push(key);
                }
                node.told.insert(key) && learns
            }
            TraceError::Known(names) => {
                node.told.extend(names);
                false
            }
            TraceError::Stop | TraceError::Rejected => false,
        }
    }

    fn give_up_variant(&mut self, node: usize, variant: usize) -> bool {
        let variant = &mut self.nodes[node].variants[variant];
        let learned = !variant.hopeless;
        variant.hopeless = true;
        variant.pending = variant.pending_inside;
        learned
    }
}
