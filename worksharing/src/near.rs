//! The local tier: decoded values in this process, looked at before anything else.
//!
//! A value is kept by its type and the text of its key, so that a hit needs no md5, and given out as a clone. Whether it
//! is still valid is asked at each hit, of [`Epochs`]: no notification has to find it. What is not valid any more stays
//! until something else takes its place.

mod piece;
mod salt;
mod text;
mod tier;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use self::piece::Piece;
pub(crate) use self::salt::Salt;
pub(crate) use self::text::give_back;
pub use self::text::{take, written};
use self::tier::{Kept, Name, Tier, Validity};
use crate::Key;
use crate::changes::{Digest, Epochs, Stamp, Time, stripe_of, time_of};
use crate::events::functions::Function;

/// What can be kept in the process.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is kept in the process by `local`, so it must be `Clone + Send + Sync + 'static`",
    label = "this value cannot be kept and given out as a clone",
    note = "derive `Clone`; for a value that is costly to clone, or that has no `Clone`, return an `Arc` of it (serde's feature `rc`)",
    note = "of a `Result` only the `Ok` value needs it; without `local` nothing does"
)]
pub trait Local: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Local for T {}

/// The local tier of a runtime. There is none until a value is kept.
pub(crate) struct Near {
    tier: OnceLock<Tier>,
    max_bytes: usize,
    /// For so long a value is kept while changes are not heard.
    max_age: Duration,
}

/// How values of a type are kept: for code that does not know whether they can be. One pointer, for the futures that
/// carry it.
#[derive(Debug)]
pub struct Keeping<S>(fn(&Near, &Epochs, Want<'_, S>) -> Option<S>);

/// What is wanted of the tier.
enum Want<'a, S> {
    Find(Whose<'a>),
    Keep(&'a Fill, &'a S),
}

impl<S> Clone for Keeping<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Keeping<S> {}

/// Whose value it is, but for its type: the characteristic string, namespace included, the version, and what tells the
/// same with other tags from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whose<'a> {
    pub(crate) characteristic: &'a str,
    pub(crate) version: u32,
    pub(crate) salt: Salt,
}

/// What is to be known of a value that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Fill {
    /// From before the look that found it, or that it was computed after.
    pub(crate) stamp: Stamp,
    /// Until when it may be used.
    pub(crate) until: Time,
    /// The length of its entry.
    pub(crate) bytes: usize,
    pub(crate) key: Key,
    pub(crate) version: u32,
    pub(crate) salt: Salt,
    /// Of all whose change makes it invalid.
    pub(crate) digests: Vec<Digest>,
    /// Whose calls find it.
    pub(crate) function: Arc<Function>,
}

impl Fill {
    fn whose(&self) -> Whose<'_> {
        Whose {
            characteristic: self.key.characteristic(),
            version: self.version,
            salt: self.salt,
        }
    }
}

impl<S: Local> Keeping<S> {
    pub(crate) const fn new() -> Self {
        Self(|near, epochs, want| match want {
            Want::Find(whose) => find(near, epochs, whose),
            Want::Keep(fill, value) => {
                keep(near, epochs, fill, value);
                None
            }
        })
    }
}

impl<S> Keeping<S> {
    /// A clone of the value that is kept, if it is valid.
    pub(crate) fn find(self, near: &Near, epochs: &Epochs, whose: Whose<'_>) -> Option<S> {
        (self.0)(near, epochs, Want::Find(whose))
    }

    /// Keeps a clone of the value, unless it is invalid by now, or something newer is kept.
    pub(crate) fn keep(self, near: &Near, epochs: &Epochs, fill: &Fill, value: &S) {
        (self.0)(near, epochs, Want::Keep(fill, value));
    }
}

fn find<S: Local>(near: &Near, epochs: &Epochs, whose: Whose<'_>) -> Option<S> {
    let kept = near.tier.get()?.get(Name::of::<S>(whose))?;
    let value = kept.value.downcast_ref::<S>()?;
    kept.validity.holds(epochs).then(|| {
        kept.function.found_here();
        value.clone()
    })
}

fn keep<S: Local>(near: &Near, epochs: &Epochs, fill: &Fill, value: &S) {
    let validity = near.validity(fill);
    let Some(validity) = validity.filter(|validity| validity.holds(epochs)) else {
        return;
    };
    let (name, tier) = (Name::of::<S>(fill.whose()), near.tier());
    let old = tier.get(name).filter(|old| old.validity.holds(epochs));
    if old.is_some_and(|old| old.validity.stamp.at > fill.stamp.at) {
        return;
    }
    epochs.want(fill.until);
    let kept = Kept {
        validity,
        weight: tier::weight(fill.bytes, fill.key.characteristic()),
        function: Arc::clone(&fill.function),
        value: value.clone(),
    };
    tier.insert(name, fill.key.shared_characteristic(), Arc::new(kept));
}

impl Near {
    pub(crate) fn new(max_bytes: usize, max_age: Duration) -> Self {
        Self {
            tier: OnceLock::new(),
            max_bytes,
            max_age,
        }
    }
}

impl Near {
    fn tier(&self) -> &Tier {
        self.tier.get_or_init(|| Tier::new(self.max_bytes))
    }

    fn validity(&self, fill: &Fill) -> Option<Validity> {
        let mut stripes = fill.digests.iter().map(stripe_of);
        Some(Validity {
            stamp: fill.stamp,
            until: fill.until,
            unheard_until: fill.stamp.at.saturating_add(time_of(self.max_age)),
            of_key: stripes.next()?,
            of_tags: stripes.collect(),
        })
    }
}

impl fmt::Debug for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Near")
            .field("max_bytes", &self.max_bytes)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "__shuttle")]
mod explore;
#[cfg(test)]
mod tests;
