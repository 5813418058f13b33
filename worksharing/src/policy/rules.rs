use std::marker::PhantomData;
use std::time::Duration;

use super::{
    AllFor, CacheErrors, CacheRule, Encoded, ErrorRules, Errors, Fallible, NoRule, OkOnly, Policy,
    Rule, ShareErrors, ShareRule, Shareable, ShareableError, SharedError, Storable, TakeErrors,
    Whole,
};
use crate::near::{Keeping, Local};
use crate::payload::codec;

/// A policy: how the return type is shared (`K`), the closures of `cache_if` and `ttl`, and how errors are (`X`).
#[derive(Debug)]
#[must_use]
pub struct Rules<K, S, C = NoRule, L = NoRule, X = Errors> {
    kind: PhantomData<fn() -> (K, S)>,
    cache_if: C,
    ttl: L,
    errors: X,
    keeping: Option<Keeping<S>>,
}

impl<K, S> Rules<K, S> {
    pub(crate) fn new() -> Self {
        Self::with_errors(Errors::KEPT)
    }
}

impl<K, S, X> Rules<K, S, NoRule, NoRule, X> {
    pub(crate) fn with_errors(errors: X) -> Self {
        Self {
            kind: PhantomData,
            cache_if: NoRule,
            ttl: NoRule,
            errors,
            keeping: None,
        }
    }
}

impl<K, S, C, L, X> Rules<K, S, C, L, X> {
    /// The option `local`.
    pub fn local(self) -> Self
    where
        S: Local,
    {
        self.kept(Some(Keeping::new()))
    }

    pub(crate) fn kept(mut self, keeping: Option<Keeping<S>>) -> Self {
        self.keeping = keeping;
        self
    }
}

impl<K, S, C, L, X, D> Rules<K, S, C, L, Errors<X, D>> {
    // What is returned is opaque: after a wrong closure, nothing else is wrong.

    /// The option `cache_if`.
    pub fn cache_if<N: Rule<S, bool>>(
        self,
        cache_if: N,
    ) -> Rules<K, S, impl Rule<S, bool>, L, Errors<X, D>> {
        Rules {
            kind: PhantomData,
            cache_if,
            ttl: self.ttl,
            errors: self.errors,
            keeping: self.keeping,
        }
    }

    /// The option `ttl`, where it is a closure.
    pub fn ttl<N: Rule<S, Duration>>(
        self,
        ttl: N,
    ) -> Rules<K, S, C, impl Rule<S, Duration>, Errors<X, D>> {
        Rules {
            kind: PhantomData,
            cache_if: self.cache_if,
            ttl,
            errors: self.errors,
            keeping: self.keeping,
        }
    }

    /// How errors are given to those who waited, as the return type decides it.
    pub fn errors<N>(self, share: N) -> Rules<K, S, C, L, Errors<N, D>> {
        let errors = |errors: Errors<X, D>| errors.shared(share);
        self.map_errors(errors)
    }

    /// The option `share_err`. The closure is called by the computation itself, once for each who waits, so it may
    /// borrow.
    pub fn share_err<F>(self, share: F) -> Rules<K, S, C, L, Errors<impl ShareRule<K::Error>, D>>
    where
        K: Fallible<Error: Send + 'static>,
        F: Fn(&K::Error) -> K::Error,
    {
        self.errors(ShareErrors(share))
    }

    /// The option `share_err`, where only the type of the policy counts.
    pub fn shares_err(self) -> Rules<K, S, C, L, Errors<impl ShareRule<K::Error>, D>>
    where
        K: Fallible<Error: Send + 'static>,
    {
        self.errors(TakeErrors)
    }

    /// The option `cache_err`, where it is a duration.
    pub fn cache_err(self, time: Duration) -> Rules<K, S, C, L, Errors<X, impl CacheRule<K::Error>>>
    where
        K: Fallible<Error: ShareableError>,
    {
        self.map_errors(|errors| errors.cached(CacheErrors(AllFor(time))))
    }

    /// The option `cache_err`, where it is a closure.
    pub fn cache_err_by<F>(self, time: F) -> Rules<K, S, C, L, Errors<X, impl CacheRule<K::Error>>>
    where
        K: Fallible<Error: ShareableError>,
        F: Fn(&K::Error) -> Duration,
    {
        self.map_errors(|errors| errors.cached(CacheErrors(time)))
    }

    /// The option `cache_err`, where only the type of the policy counts.
    pub fn caches_err(self) -> Rules<K, S, C, L, Errors<X, impl CacheRule<K::Error>>>
    where
        K: Fallible<Error: ShareableError>,
    {
        self.cache_err(Duration::ZERO)
    }

    fn map_errors<N>(self, map: impl FnOnce(Errors<X, D>) -> N) -> Rules<K, S, C, L, N> {
        Rules {
            kind: PhantomData,
            cache_if: self.cache_if,
            ttl: self.ttl,
            errors: map(self.errors),
            keeping: self.keeping,
        }
    }
}

impl<K, S: Shareable, C: Rule<S, bool>, L: Rule<S, Duration>, X> Rules<K, S, C, L, X> {
    fn of_value<'v>(&self, value: &'v S, default: Duration, cache_none: bool) -> Storable<'v> {
        // A `None` that is not stored is none of the closures' business.
        let stored =
            (cache_none || !codec::is_none(value)) && self.cache_if.apply(value).unwrap_or(true);
        let lifetime = stored.then(|| self.ttl.apply(value).unwrap_or(default));
        Storable::value(value, lifetime)
    }
}

impl<R: Shareable, C: Rule<R, bool>, L: Rule<R, Duration>, X> Policy for Rules<Whole, R, C, L, X> {
    type Returned = R;
    type Shared = R;

    fn stored<'r>(
        &self,
        returned: &'r R,
        default: Duration,
        cache_none: bool,
    ) -> Option<Storable<'r>> {
        Some(self.of_value(returned, default, cache_none))
    }

    fn shared(returned: &R) -> Option<&R> {
        Some(returned)
    }

    fn keeping(&self) -> Option<Keeping<R>> {
        self.keeping
    }

    fn from_shared(value: R) -> R {
        value
    }
}

impl<T, E, C, L, X> Policy for Rules<OkOnly<E>, T, C, L, X>
where
    T: Shareable,
    C: Rule<T, bool>,
    L: Rule<T, Duration>,
    X: ErrorRules<E>,
{
    type Returned = Result<T, E>;
    type Shared = T;

    const SHARES_FIRST: bool = X::Share::FIRST;

    fn is_error(returned: &Result<T, E>) -> bool {
        returned.is_err()
    }

    fn stored<'r>(
        &self,
        returned: &'r Result<T, E>,
        default: Duration,
        cache_none: bool,
    ) -> Option<Storable<'r>> {
        match returned {
            Ok(value) => Some(self.of_value(value, default, cache_none)),
            Err(error) => self.errors.rules().1.stored(error),
        }
    }

    fn shared(returned: &Result<T, E>) -> Option<&T> {
        returned.as_ref().ok()
    }

    fn keeping(&self) -> Option<Keeping<T>> {
        self.keeping
    }

    fn from_shared(value: T) -> Result<T, E> {
        Ok(value)
    }

    fn share_error(&self, returned: &Result<T, E>) -> Option<SharedError> {
        self.errors.rules().0.share(returned.as_ref().err()?)
    }

    fn with_error(error: SharedError) -> Option<Result<T, E>> {
        X::Share::take(error).map(Err)
    }

    fn error_fingerprint(version: u32) -> Option<u64> {
        X::Cache::fingerprint(version)
    }

    fn decode_error(stored: Encoded<'_>) -> Result<Result<T, E>, String> {
        X::Cache::decode(stored).map(Err)
    }
}
