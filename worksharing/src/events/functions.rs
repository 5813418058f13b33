//! What is counted of each function.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use super::counts::{Count, Counts, Stats};
use super::meters::{Described, Meters, Timed};
use super::outcome::Outcome;
use super::trouble::Part;

/// A function, or work by hand, by its label: its counts, and its part of the metrics.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    counts: Counts,
    meters: Meters,
}

impl Function {
    fn new(name: &'static str, described: &Arc<Described>) -> Arc<Self> {
        Arc::new(Self {
            name,
            counts: Counts::default(),
            meters: Meters::new(name, described),
        })
    }

    pub(super) fn count(&self, count: Count) {
        self.counts.count(count);
    }

    /// A step of one of its calls had to do without a part of the servers.
    pub(super) fn failed(&self, part: Part<'_>) {
        self.meters.failed(part);
    }

    /// A value was not stored, since something newer stood there.
    pub(super) fn refused(&self) {
        self.meters.refused();
    }

    /// A call was answered with a value that is kept in this process.
    #[inline]
    pub(crate) fn found_here(&self) {
        self.counts.count(Count::Local);
        self.ended(Outcome::Local);
    }

    /// A call has been answered.
    pub(crate) fn ended(&self, outcome: Outcome) {
        self.meters.ended(outcome);
    }

    /// A call begins to wait, until this is dropped.
    pub(crate) fn waiting(&self) -> Timed {
        self.meters.waiting()
    }

    /// A body begins to run, until this is dropped.
    pub(crate) fn computing(&self) -> Timed {
        self.meters.computing()
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.name).finish()
    }
}

/// The functions of a runtime, by where their label is: so that no text is hashed. A label that is in several places is
/// several, which are added up.
pub(crate) struct Functions {
    all: RwLock<HashMap<Place, Arc<Function>, BuildHasherDefault<OfPlace>>>,
    /// Of all labels that there is no room for.
    others: Arc<Function>,
    described: Arc<Described>,
}

/// So many places of labels are told apart.
const MOST: usize = 1_000;
/// The label of all others.
const OTHERS: &str = "others";

/// The address and length of a label.
type Place = (usize, usize);

fn place(name: &'static str) -> Place {
    (name.as_ptr().addr(), name.len())
}

impl Default for Functions {
    fn default() -> Self {
        let described = Arc::default();
        Self {
            all: RwLock::default(),
            others: Function::new(OTHERS, &described),
            described,
        }
    }
}

impl Functions {
    pub(crate) fn of(&self, name: &'static str) -> Arc<Function> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        match all.get(&place(name)) {
            Some(function) => Arc::clone(function),
            None => {
                drop(all);
                self.add(name)
            }
        }
    }

    #[cold]
    fn add(&self, name: &'static str) -> Arc<Function> {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&place(name)) {
            return Arc::clone(&self.others);
        }
        let new = || Function::new(name, &self.described);
        Arc::clone(all.entry(place(name)).or_insert_with(new))
    }

    /// What is counted of each label, in their order.
    pub(crate) fn stats(&self) -> BTreeMap<&'static str, Stats> {
        let mut stats: BTreeMap<_, Stats> = BTreeMap::new();
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        for function in all.values().chain([&self.others]) {
            let counted = function.counts.snapshot();
            if counted != Stats::default() {
                stats.entry(function.name).or_default().add(&counted);
            }
        }
        stats
    }
}

/// An address is as good as random in its upper bits, if they are spread.
#[derive(Default)]
struct OfPlace(u64);

impl Hasher for OfPlace {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, number: usize) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (self.0 ^ number as u64).wrapping_mul(ODD);
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Functions")
            .field("number", &all.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaked(name: &str) -> &'static str {
        Box::leak(name.to_owned().into_boxed_str())
    }

    #[test]
    fn a_label_in_several_places_is_added_up() {
        let functions = Functions::default();
        for place in [leaked("shop::price"), leaked("shop::price"), "shop::stock"] {
            functions.of(place).count(Count::Hits);
        }
        let stats = functions.stats();
        let hits: Vec<_> = stats.iter().map(|(name, it)| (*name, it.hits)).collect();
        assert_eq!(hits, [("shop::price", 2), ("shop::stock", 1)]);
    }

    #[test]
    fn labels_past_the_bound_are_counted_together() {
        let functions = Functions::default();
        for number in 0..MOST + 50 {
            functions.of(leaked(&number.to_string())).count(Count::Hits);
        }
        let stats = functions.stats();
        assert_eq!(stats.len(), MOST + 1);
        assert_eq!(stats[OTHERS].hits, 50);
        let known = functions.of(leaked("0"));
        assert_eq!(known.name, OTHERS);
    }
}
