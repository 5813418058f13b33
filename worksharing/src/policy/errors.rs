//! What becomes of errors: what those are given who waited for them in this process, and what is stored for others.

use std::any::Any;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::stored::{Encoded, Storable};
use super::{NoRule, OkOnly};
use crate::payload::fingerprint::fingerprint;

/// An error on its way to one who waited for it.
pub type SharedError = Box<dyn Any + Send>;

/// How errors are shared in this process, and stored.
#[derive(Debug, Clone, Copy)]
pub struct Errors<X = KeepErrors, D = NoRule> {
    share: X,
    cache: D,
}

impl Errors {
    pub(crate) const KEPT: Self = Self {
        share: KeepErrors,
        cache: NoRule,
    };
}

impl<X, D> Errors<X, D> {
    pub(crate) fn shared<N>(self, share: N) -> Errors<N, D> {
        Errors {
            share,
            cache: self.cache,
        }
    }

    pub(crate) fn cached<N>(self, cache: N) -> Errors<X, N> {
        Errors {
            share: self.share,
            cache,
        }
    }
}

/// What becomes of errors of this type.
pub trait ErrorRules<E> {
    /// How those are given them who waited in this process.
    type Share: ShareRule<E>;
    /// Whether and for how long they are stored.
    type Cache: CacheRule<E>;

    /// Both.
    fn rules(&self) -> (&Self::Share, &Self::Cache);
}

impl<E, X: ShareRule<E>, D: CacheRule<E>> ErrorRules<E> for Errors<X, D> {
    type Share = X;
    type Cache = D;

    fn rules(&self) -> (&X, &D) {
        (&self.share, &self.cache)
    }
}

/// A return type that has errors.
#[diagnostic::on_unimplemented(
    message = "`share_err`, `cache_err` and `stale_if_error` are about the error of a `Result`, and none is returned",
    label = "this is no `Result`",
    note = "remove the option, or return a `Result`"
)]
pub trait Fallible {
    /// The error.
    type Error;
}

impl<E> Fallible for OkOnly<E> {
    type Error = E;
}

/// An error goes to its own caller.
#[derive(Debug, Clone, Copy)]
pub struct KeepErrors;

/// An error goes to all who waited for it, as clones.
#[derive(Debug, Clone, Copy)]
pub struct CloneErrors;

/// An error goes to all who waited for it, each made of it by a closure.
#[derive(Debug, Clone, Copy)]
pub struct ShareErrors<F>(pub(crate) F);

/// [`ShareErrors`] before there is an error: only its type counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TakeErrors;

/// How an error is given to those who waited for the computation in this process.
pub trait ShareRule<E> {
    /// Whether they are given this rather than what is stored.
    const FIRST: bool = false;

    /// One of them.
    fn share(&self, error: &E) -> Option<SharedError>;

    /// The error, if it is of this type.
    fn take(error: SharedError) -> Option<E>;
}

impl<E> ShareRule<E> for KeepErrors {
    fn share(&self, _: &E) -> Option<SharedError> {
        None
    }

    fn take(_: SharedError) -> Option<E> {
        None
    }
}

impl<E: Clone + Send + 'static> ShareRule<E> for CloneErrors {
    fn share(&self, error: &E) -> Option<SharedError> {
        Some(Box::new(error.clone()))
    }

    fn take(error: SharedError) -> Option<E> {
        taken(error)
    }
}

impl<E: Send + 'static, F: Fn(&E) -> E> ShareRule<E> for ShareErrors<F> {
    const FIRST: bool = true;

    fn share(&self, error: &E) -> Option<SharedError> {
        Some(Box::new((self.0)(error)))
    }

    fn take(error: SharedError) -> Option<E> {
        taken(error)
    }
}

impl<E: Send + 'static> ShareRule<E> for TakeErrors {
    fn share(&self, _: &E) -> Option<SharedError> {
        None
    }

    fn take(error: SharedError) -> Option<E> {
        taken(error)
    }
}

fn taken<E: 'static>(error: SharedError) -> Option<E> {
    error.downcast().ok().map(|error| *error)
}

/// An error that can be stored.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is an error that `cache_err` stores, so it must be `Serialize` and `DeserializeOwned`",
    label = "this error cannot be stored",
    note = "write `#[derive(serde::Serialize, serde::Deserialize)]` on the type; without `cache_err` it needs neither"
)]
pub trait ShareableError: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<E: Serialize + DeserializeOwned> ShareableError for E {}

/// Errors are stored, for as long as this says.
#[derive(Debug, Clone, Copy)]
pub struct CacheErrors<F>(pub(crate) F);

/// All for the same time.
#[derive(Debug, Clone, Copy)]
pub struct AllFor(pub(crate) Duration);

/// For how long an error is stored.
pub trait ErrorLifetime<E> {
    /// Zero: not at all.
    fn of(&self, error: &E) -> Duration;
}

impl<E> ErrorLifetime<E> for AllFor {
    fn of(&self, _: &E) -> Duration {
        self.0
    }
}

#[diagnostic::do_not_recommend]
impl<E, F: Fn(&E) -> Duration> ErrorLifetime<E> for F {
    fn of(&self, error: &E) -> Duration {
        self(error)
    }
}

/// Whether errors are stored, and for how long.
pub trait CacheRule<E> {
    /// What is stored of it.
    fn stored<'e>(&self, error: &'e E) -> Option<Storable<'e>>;

    /// What tells a stored error from one of another structure; `None`: none is stored.
    fn fingerprint(version: u32) -> Option<u64>;

    /// A stored one.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn decode(stored: Encoded<'_>) -> Result<E, String>;
}

impl<E> CacheRule<E> for NoRule {
    fn stored<'e>(&self, _: &'e E) -> Option<Storable<'e>> {
        None
    }

    fn fingerprint(_: u32) -> Option<u64> {
        None
    }

    fn decode(_: Encoded<'_>) -> Result<E, String> {
        Err("errors of this function are not stored".to_owned())
    }
}

impl<E: ShareableError, F: ErrorLifetime<E>> CacheRule<E> for CacheErrors<F> {
    fn stored<'e>(&self, error: &'e E) -> Option<Storable<'e>> {
        Some(Storable::error(error, self.0.of(error)))
    }

    fn fingerprint(version: u32) -> Option<u64> {
        Some(fingerprint::<E>(version).hash)
    }

    fn decode(stored: Encoded<'_>) -> Result<E, String> {
        stored.decode()
    }
}
