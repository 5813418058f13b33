//! Calls of functions of many ids.

use std::fmt;
use std::marker::PhantomData;

use crate::__private_0_1 as private;
use crate::blocking::block_on;
use crate::each::{AsKey, ByKey, Entrants, KeyOf, MapReturned};
use crate::many::{self, Many};
use crate::plan::Plan;
use crate::policy::{Policy, Shareable};
use crate::{Error, Key};

/// A call of a function of many ids, before anything of it is begun.
pub trait EachCall {
    /// What an id is in the returned map.
    type Key;

    /// The rest of the call: what it returns, or a future of that.
    type Rest;

    /// Begins the rest.
    fn begin(self) -> Self::Rest;

    /// Computes all ids without looking, once it is begun.
    #[must_use]
    fn refreshing(self) -> Self;

    /// All ids, each with its plan.
    fn plans(&self) -> Vec<(Self::Key, Plan)>;
}

/// The ids of a call, and what goes on with them.
pub struct Entered<'a, E, K, P, F> {
    entrants: Entrants<E>,
    policy: P,
    go_on: F,
    of: PhantomData<fn() -> (&'a (), K)>,
}

impl<'a, E, K, P, F, T> EachCall for Entered<'a, E, K, P, F>
where
    E: Clone + AsKey<K>,
    P: Policy + 'a,
    F: FnOnce(Many<'a, E, P>) -> T,
{
    type Key = K;
    type Rest = T;

    fn begin(self) -> T {
        (self.go_on)(private::many(self.entrants, self.policy))
    }

    fn refreshing(self) -> Self {
        let entrants = self.entrants.into_iter();
        let refreshing = |(id, plan): (E, Plan)| (id, plan.force_refresh(true));
        Self {
            entrants: entrants.map(refreshing).collect(),
            ..self
        }
    }

    fn plans(&self) -> Vec<(K, Plan)> {
        let entrants = self.entrants.iter();
        entrants
            .map(|(id, plan)| (id.as_key(), plan.clone()))
            .collect()
    }
}

impl<E, K, P, F> Entered<'_, E, K, P, F> {
    fn new(entrants: Entrants<E>, policy: P, go_on: F) -> Self {
        Self {
            entrants,
            policy,
            go_on,
            of: PhantomData,
        }
    }
}

fn keys(call: &impl EachCall) -> Vec<Key> {
    let plans = call.plans().into_iter();
    plans.map(|(_, plan)| plan.key()).collect()
}

fn invalidate<C: EachCall>(call: &C) -> impl Future<Output = Result<(), Error>> + Send + use<C> {
    let calls: Vec<_> = call
        .plans()
        .into_iter()
        .map(|(_, plan)| plan.into_call())
        .collect();
    many::invalidate(calls.into_iter())
}

fn peek<M: ByKey<Value: Shareable>, C: EachCall<Key = M::Key>>(
    call: &C,
) -> impl Future<Output = M> + use<M, C> {
    let calls: Vec<_> = call
        .plans()
        .into_iter()
        .map(|(key, plan)| (key, plan.into_call()))
        .collect();
    many::peek(calls)
}

/// A call of an annotated function with `each` as a value: made by the function named by the option `handle`.
#[must_use = "nothing happens until it is got, refreshed, peeked at or invalidated"]
pub struct ManyCall<R, C> {
    call: C,
    returned: PhantomData<fn() -> R>,
}

impl<'a, R: MapReturned, E, P, F> ManyCall<R, Entered<'a, E, KeyOf<R>, P, F>> {
    /// For the macro: `go_on` runs the body, if it is to be run.
    #[doc(hidden)]
    pub fn new(entrants: Entrants<E>, policy: P, go_on: F) -> Self
    where
        P: Policy,
        F: FnOnce(Many<'a, E, P>) -> R,
    {
        Self {
            call: Entered::new(entrants, policy, go_on),
            returned: PhantomData,
        }
    }
}

impl<R, C: EachCall<Rest = R>> ManyCall<R, C> {
    /// What the function itself does: the stored values, and the computed ones.
    pub fn get(self) -> R {
        self.call.begin()
    }

    /// Computes all ids without looking, and stores them.
    pub fn refresh(self) -> R {
        self.call.refreshing().begin()
    }
}

impl<R, C: EachCall> ManyCall<R, C> {
    /// Removes the stored values of all ids, and keeps computations under way from storing theirs.
    ///
    /// # Errors
    /// The store cannot be reached: some of the values may still be there.
    pub fn invalidate(&self) -> Result<(), Error> {
        block_on(invalidate(&self.call))
    }

    /// The key of each id, in their order.
    pub fn keys(&self) -> Vec<Key> {
        keys(&self.call)
    }
}

impl<R: MapReturned<Map: ByKey<Value: Shareable>>, C: EachCall<Key = KeyOf<R>>> ManyCall<R, C> {
    /// The stored values, of those ids for which [`get`](Self::get) would return one without waiting. Never computes.
    pub fn peek(&self) -> R::Map {
        block_on(peek(&self.call))
    }
}

impl<R, C> fmt::Debug for ManyCall<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManyCall").finish_non_exhaustive()
    }
}

/// A call of an annotated async function with `each` as a value: made by the function named by the option `handle`.
#[must_use = "nothing happens until it is got, refreshed, peeked at or invalidated"]
pub struct AsyncManyCall<R, C> {
    call: C,
    returned: PhantomData<fn() -> R>,
}

impl<'a, R: MapReturned, E, P, F> AsyncManyCall<R, Entered<'a, E, KeyOf<R>, P, F>> {
    /// For the macro: `go_on` runs the body, if it is to be run.
    #[doc(hidden)]
    pub fn new<T>(entrants: Entrants<E>, policy: P, go_on: F) -> Self
    where
        P: Policy,
        F: FnOnce(Many<'a, E, P>) -> T,
        T: Future<Output = R>,
    {
        Self {
            call: Entered::new(entrants, policy, go_on),
            returned: PhantomData,
        }
    }
}

impl<R, C: EachCall<Rest: Future<Output = R>>> AsyncManyCall<R, C> {
    /// What the function itself does: the stored values, and the computed ones.
    ///
    /// # Cancel safety
    /// As of the function: dropped, it leaves nothing behind, and with `detach` its computation goes on.
    pub async fn get(self) -> R {
        self.call.begin().await
    }

    /// Computes all ids without looking, and stores them.
    ///
    /// # Cancel safety
    /// As of [`get`](Self::get).
    pub async fn refresh(self) -> R {
        self.call.refreshing().begin().await
    }
}

impl<R, C: EachCall> AsyncManyCall<R, C> {
    /// Removes the stored values of all ids, and keeps computations under way from storing theirs.
    ///
    /// # Errors
    /// The store cannot be reached: some of the values may still be there.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have taken effect.
    pub fn invalidate(&self) -> impl Future<Output = Result<(), Error>> + Send + use<R, C> {
        invalidate(&self.call)
    }

    /// The key of each id, in their order.
    pub fn keys(&self) -> Vec<Key> {
        keys(&self.call)
    }
}

impl<R: MapReturned<Map: ByKey<Value: Shareable>>, C: EachCall<Key = KeyOf<R>>>
    AsyncManyCall<R, C>
{
    /// The stored values, of those ids for which [`get`](Self::get) would return one without waiting. Never computes.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub fn peek(&self) -> impl Future<Output = R::Map> + use<R, C> {
        peek(&self.call)
    }
}

impl<R, C> fmt::Debug for AsyncManyCall<R, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncManyCall").finish_non_exhaustive()
    }
}

impl<E, K, P, F> fmt::Debug for Entered<'_, E, K, P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered")
            .field("ids", &self.entrants.len())
            .finish_non_exhaustive()
    }
}
