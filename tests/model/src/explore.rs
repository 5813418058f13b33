//! "Everybody can still be served", for models with cycles.
//!
//! Stateright's own `eventually` does not look at cycles, and a waiter that polls goes in circles. So
//! this asks something stronger than "some path" and close to "every fair path": from *every* state that
//! can be reached, the goal can be reached without any further fault.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use stateright::Model;

/// A reachable state from which `goal` cannot be reached by steps that are no `fault`, if there is one.
pub fn dead_end<M>(
    model: &M,
    goal: impl Fn(&M::State) -> bool,
    fault: impl Fn(&M::Action) -> bool,
) -> Option<M::State>
where
    M: Model,
    M::State: Clone + Eq + Hash,
{
    let graph = Graph::of(model, fault);
    let saved = graph.can_reach(goal);
    let lost = saved.iter().position(|&saved| !saved)?;
    Some(graph.states[lost].clone())
}

/// All reachable states, and for each of them the states that lead to it without a fault.
struct Graph<S> {
    states: Vec<S>,
    leading_to: Vec<Vec<usize>>,
}

impl<S: Clone + Eq + Hash> Graph<S> {
    fn of<M: Model<State = S>>(model: &M, fault: impl Fn(&M::Action) -> bool) -> Self {
        let mut graph = Self {
            states: Vec::new(),
            leading_to: Vec::new(),
        };
        let mut known = HashMap::new();
        for state in model.init_states() {
            graph.index(&mut known, state);
        }
        let mut next = 0;
        while next < graph.states.len() {
            for (action, state) in model.next_steps(&graph.states[next].clone()) {
                let to = graph.index(&mut known, state);
                if !fault(&action) {
                    graph.leading_to[to].push(next);
                }
            }
            next += 1;
        }
        graph
    }

    /// States are told apart by 64 bits of hash, as Stateright itself does.
    fn index(&mut self, known: &mut HashMap<u64, usize>, state: S) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&state);
        let next = self.states.len();
        let index = *known.entry(hash).or_insert(next);
        if index < next {
            return index;
        }
        self.states.push(state);
        self.leading_to.push(Vec::new());
        index
    }

    fn can_reach(&self, goal: impl Fn(&S) -> bool) -> Vec<bool> {
        let mut saved: Vec<bool> = self.states.iter().map(goal).collect();
        let mut open: Vec<usize> = (0..saved.len()).filter(|&i| saved[i]).collect();
        while let Some(state) = open.pop() {
            for &before in &self.leading_to[state] {
                if !saved[before] {
                    saved[before] = true;
                    open.push(before);
                }
            }
        }
        saved
    }
}
