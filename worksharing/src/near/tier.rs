use std::any::{Any, TypeId};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter};

use super::{Local, Salt, Whose};
use crate::changes::{Epochs, Stamp, Stripe, Time};
use crate::events::functions::Function;

/// What is kept, bounded by its weight. What is seldom asked for goes first (S3-FIFO).
pub(super) struct Tier(Cache<OwnedName, Arc<Kept>, ByWeight>);

/// A value that is kept.
pub(super) struct Kept<V: ?Sized = dyn Any + Send + Sync> {
    pub(super) validity: Validity,
    pub(super) weight: u64,
    pub(super) function: Arc<Function>,
    pub(super) value: V,
}

/// How long a value may be used.
pub(super) struct Validity {
    pub(super) stamp: Stamp,
    pub(super) until: Time,
    /// The same while changes are not heard.
    pub(super) unheard_until: Time,
    pub(super) of_key: Stripe,
    pub(super) of_tags: Box<[Stripe]>,
}

/// What a value is kept under.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Name<'a> {
    of_type: TypeId,
    version: u32,
    salt: Salt,
    characteristic: &'a str,
}

/// The same. Hashed alike.
#[derive(PartialEq, Eq)]
struct OwnedName {
    of_type: TypeId,
    version: u32,
    salt: Salt,
    characteristic: Arc<str>,
}

impl<'a> Name<'a> {
    pub(super) fn of<S: Local>(whose: Whose<'a>) -> Self {
        Self {
            of_type: TypeId::of::<S>(),
            version: whose.version,
            salt: whose.salt,
            characteristic: whose.characteristic,
        }
    }
}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of_type.hash(state);
        // Few of a text differ in these: they are worth one step together.
        state.write_u64(self.salt.bits() ^ u64::from(self.version));
        state.write(self.characteristic.as_bytes());
    }
}

impl Hash for OwnedName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lent().hash(state);
    }
}

impl OwnedName {
    fn lent(&self) -> Name<'_> {
        Name {
            of_type: self.of_type,
            version: self.version,
            salt: self.salt,
            characteristic: &self.characteristic,
        }
    }
}

impl Equivalent<OwnedName> for Name<'_> {
    fn equivalent(&self, name: &OwnedName) -> bool {
        *self == name.lent()
    }
}

/// What a value takes beside its entry's length and its text: its place in the tables, its header, and what the allocator
/// adds to four pieces of memory.
const OVERHEAD: usize = 256;

/// What a value counts for that has an entry of so many bytes: decoded it takes about as much.
pub(super) fn weight(bytes: usize, characteristic: &str) -> u64 {
    (bytes + characteristic.len() + OVERHEAD) as u64
}

#[derive(Clone)]
struct ByWeight;

impl Weighter<OwnedName, Arc<Kept>> for ByWeight {
    fn weight(&self, _: &OwnedName, kept: &Arc<Kept>) -> u64 {
        kept.weight
    }
}

impl Validity {
    /// Whether it may be used now.
    #[inline]
    pub(super) fn holds(&self, epochs: &Epochs) -> bool {
        self.lasts(epochs)
            && epochs.is_unchanged(self.stamp, self.of_key)
            && self
                .of_tags
                .iter()
                .all(|&tag| epochs.is_unchanged(self.stamp, tag))
    }
}

impl Validity {
    /// Whether it may be used at this time, if nothing has changed. Where changes are heard the clock is asked once.
    #[inline]
    fn lasts(&self, epochs: &Epochs) -> bool {
        epochs.is_to_come(self.until.min(epochs.heard_until()))
            || epochs.is_to_come(self.until.min(self.unheard_until))
    }
}

impl Tier {
    /// A value of more than a sixteenth of the whole, or of 4 MiB where that is more, finds no room.
    pub(super) fn new(max_bytes: usize) -> Self {
        const SHARDS: usize = 16;
        const SMALLEST: usize = 4 << 20;
        let shards = (max_bytes / SMALLEST).clamp(1, SHARDS);
        let options = OptionsBuilder::new()
            .shards(shards)
            // Of small values.
            .estimated_items_capacity((max_bytes / (2 * OVERHEAD)).max(32 * shards))
            .weight_capacity(max_bytes as u64)
            .build();
        let lifecycle = DefaultLifecycle::default;
        let hasher = DefaultHashBuilder::default;
        Self(match options {
            Ok(options) => Cache::with_options(options, ByWeight, hasher(), lifecycle()),
            // Nothing is left out.
            Err(_) => Cache::with(32, max_bytes as u64, ByWeight, hasher(), lifecycle()),
        })
    }

    #[inline]
    pub(super) fn get(&self, name: Name<'_>) -> Option<Arc<Kept>> {
        self.0.get(&name)
    }

    pub(super) fn insert(&self, name: Name<'_>, characteristic: Arc<str>, kept: Arc<Kept>) {
        let name = OwnedName {
            of_type: name.of_type,
            version: name.version,
            salt: name.salt,
            characteristic,
        };
        self.0.insert(name, kept);
    }
}
