mod many;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use crate::__private_0_1::{Acquired, Plan, acquire, acquire_blocking};
use crate::blocking::block_on;
use crate::flow;
use crate::policy::{Policy, Shareable};
use crate::{Entry, Error, Key};

pub use self::many::{AsyncManyCall, EachCall, ManyCall};

/// A call of an annotated function as a value: made by the function named by the option `handle`.
#[must_use = "nothing happens until it is got, refreshed, peeked at or invalidated"]
pub struct Call<R, P, F> {
    plain: PlainCall<R>,
    policy: P,
    go_on: F,
}

/// What a [`Call`] can do whose function does not return a `Result`.
pub struct PlainCall<R> {
    plan: Plan,
    returned: PhantomData<fn() -> R>,
}

impl<R, P: Policy<Returned = R>, F: FnOnce(Acquired<R>) -> R> Call<R, P, F> {
    /// For the macro: `go_on` runs the body, if it is to be run.
    #[doc(hidden)]
    pub fn new(plan: Plan, policy: P, go_on: F) -> Self {
        Self {
            plain: PlainCall {
                plan,
                returned: PhantomData,
            },
            policy,
            go_on,
        }
    }

    /// What the function itself does: the stored value, or else the computed one.
    pub fn get(mut self) -> R {
        match self.plain.plan.find(&self.policy) {
            Some(kept) => kept,
            None => (self.go_on)(acquire_blocking(self.plain.plan, self.policy)),
        }
    }

    /// Computes without looking, and stores.
    pub fn refresh(mut self) -> R {
        self.plain.plan = self.plain.plan.force_refresh(true);
        self.get()
    }

    /// Removes the stored value, and keeps a computation under way from storing its own.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub fn invalidate(&self) -> Result<(), Error> {
        block_on(self.plain.plan.call().invalidate())
    }

    /// The statement by which a transaction invalidates this call: see
    /// [`Work::invalidation_sql`](crate::Work::invalidation_sql).
    #[cfg(feature = "postgres")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    pub fn invalidation_sql(&self) -> String {
        self.plain.plan.invalidation_sql()
    }

    /// The key.
    pub fn key(&self) -> Key {
        self.plain.plan.key()
    }
}

impl<T: Shareable, E, P, F> Call<Result<T, E>, P, F> {
    /// The stored value, if there is one that [`get`](Self::get) would return without waiting. Never computes.
    pub fn peek(&self) -> Option<T> {
        block_on(flow::peek(self.plain.plan.call()))
    }

    /// The stored value with its age, if there is one that [`get`](Self::get) could return: be it past its time to live, as
    /// `stale_while_revalidate` and `stale_if_error` let it. Never computes.
    pub fn entry(&self) -> Option<Entry<T>> {
        block_on(flow::entry(self.plain.plan.call()))
    }
}

impl<R: Shareable> PlainCall<R> {
    /// The stored value, if there is one that [`get`](Call::get) would return without waiting. Never computes.
    pub fn peek(&self) -> Option<R> {
        block_on(flow::peek(self.plan.call()))
    }

    /// The stored value with its age, if there is one that [`get`](Call::get) could return: be it past its time to live, as
    /// `stale_while_revalidate` and `stale_if_error` let it. Never computes.
    pub fn entry(&self) -> Option<Entry<R>> {
        block_on(flow::entry(self.plan.call()))
    }
}

impl<R, P, F> Deref for Call<R, P, F> {
    type Target = PlainCall<R>;

    fn deref(&self) -> &PlainCall<R> {
        &self.plain
    }
}

impl<R, P, F> fmt::Debug for Call<R, P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.plain.plan).finish()
    }
}

impl<R> fmt::Debug for PlainCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PlainCall").field(&self.plan).finish()
    }
}

/// A call of an annotated async function as a value: made by the function named by the option
/// `handle`.
#[must_use = "nothing happens until it is got, refreshed, peeked at or invalidated"]
pub struct AsyncCall<R, P, F> {
    plain: PlainAsyncCall<R>,
    policy: P,
    go_on: F,
}

/// What an [`AsyncCall`] can do whose function does not return a `Result`.
pub struct PlainAsyncCall<R> {
    plan: Plan,
    returned: PhantomData<fn() -> R>,
}

/// What begins the body of an async function, if it is to be run. Not the body itself: a call can then be sent wherever
/// its arguments can.
///
/// What is returned is no parameter, for the same reason as of [`Policy`].
pub trait GoOn {
    /// What the function returns.
    type Returned;

    /// The rest of the call.
    type Rest: Future<Output = Self::Returned>;

    /// Begins the rest.
    fn go_on(self, acquired: Acquired<Self::Returned>) -> Self::Rest;
}

/// A closure that does.
pub struct Begins<R, F>(F, PhantomData<fn() -> R>);

impl<R, F: FnOnce(Acquired<R>) -> B, B: Future<Output = R>> GoOn for Begins<R, F> {
    type Returned = R;
    type Rest = B;

    fn go_on(self, acquired: Acquired<R>) -> B {
        (self.0)(acquired)
    }
}

impl<R, P: Policy<Returned = R>, F> AsyncCall<R, P, Begins<R, F>> {
    /// For the macro: `begin` begins the body, if it is to be run.
    #[doc(hidden)]
    pub fn new<B>(plan: Plan, policy: P, begin: F) -> Self
    where
        F: FnOnce(Acquired<R>) -> B,
        B: Future<Output = R>,
    {
        Self {
            plain: PlainAsyncCall {
                plan,
                returned: PhantomData,
            },
            policy,
            go_on: Begins(begin, PhantomData),
        }
    }
}

impl<R, P: Policy<Returned = R>, F: GoOn<Returned = R>> AsyncCall<R, P, F> {
    /// What the function itself does: the stored value, or else the computed one.
    ///
    /// # Cancel safety
    /// As of the function: dropped, it leaves nothing behind, and with `detach` its computation goes on.
    pub async fn get(mut self) -> R {
        if let Some(kept) = self.plain.plan.find(&self.policy) {
            return kept;
        }
        let acquired = acquire(self.plain.plan, self.policy).await;
        self.go_on.go_on(acquired).await
    }

    /// Computes without looking, and stores.
    ///
    /// # Cancel safety
    /// As of [`get`](Self::get).
    pub async fn refresh(mut self) -> R {
        self.plain.plan = self.plain.plan.force_refresh(true);
        self.get().await
    }

    /// Removes the stored value, and keeps a computation under way from storing its own.
    ///
    /// # Errors
    /// The store cannot be reached.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have taken effect.
    pub fn invalidate(&self) -> impl Future<Output = Result<(), Error>> + Send + use<R, P, F> {
        let call = self.plain.plan.call();
        async move { call.invalidate().await }
    }

    /// The statement by which a transaction invalidates this call: see
    /// [`Work::invalidation_sql`](crate::Work::invalidation_sql).
    #[cfg(feature = "postgres")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    pub fn invalidation_sql(&self) -> String {
        self.plain.plan.invalidation_sql()
    }

    /// The key.
    pub fn key(&self) -> Key {
        self.plain.plan.key()
    }
}

impl<T: Shareable, E, P, F> AsyncCall<Result<T, E>, P, F> {
    /// The stored value, if there is one that [`get`](Self::get) would return without waiting. Never computes.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub fn peek(&self) -> impl Future<Output = Option<T>> + Send + use<T, E, P, F> {
        flow::peek(self.plain.plan.call())
    }

    /// The stored value with its age, if there is one that [`get`](Self::get) could return: be it past its time to live, as
    /// `stale_while_revalidate` and `stale_if_error` let it. Never computes.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub fn entry(&self) -> impl Future<Output = Option<Entry<T>>> + Send + use<T, E, P, F> {
        flow::entry(self.plain.plan.call())
    }
}

impl<R: Shareable> PlainAsyncCall<R> {
    /// The stored value, if there is one that [`get`](AsyncCall::get) would return without waiting. Never computes.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub fn peek(&self) -> impl Future<Output = Option<R>> + Send + use<R> {
        flow::peek(self.plan.call())
    }

    /// The stored value with its age, if there is one that [`get`](AsyncCall::get) could return: be it past its time to live, as
    /// `stale_while_revalidate` and `stale_if_error` let it. Never computes.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub fn entry(&self) -> impl Future<Output = Option<Entry<R>>> + Send + use<R> {
        flow::entry(self.plan.call())
    }
}

impl<R, P, F> Deref for AsyncCall<R, P, F> {
    type Target = PlainAsyncCall<R>;

    fn deref(&self) -> &PlainAsyncCall<R> {
        &self.plain
    }
}

impl<R, P, F> fmt::Debug for AsyncCall<R, P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncCall").field(&self.plain.plan).finish()
    }
}

impl<R> fmt::Debug for PlainAsyncCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PlainAsyncCall").field(&self.plan).finish()
    }
}
