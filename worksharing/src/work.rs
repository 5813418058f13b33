use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blocking::block_on;
use crate::flow::{self, Acquired, Call, Options};
use crate::policy::{OkOnly, Rules, Whole};
use crate::{Error, Key, WorkSharing};

/// One piece of work: its key, and how its value is kept. What the attribute makes of a call, and the
/// gist's function by hand.
///
/// ```
/// use std::time::Duration;
/// use worksharing::WorkSharing;
///
/// let sharing = WorkSharing::in_memory();
/// let report = || sharing.work("report:2024:DE").ttl(Duration::from_secs(60));
///
/// assert_eq!(report().run_blocking(|| 6 * 7), 42);
/// assert_eq!(report().run_blocking(|| unreachable!("it is stored")), 42);
/// assert_eq!(report().peek_blocking(), Some(42));
/// ```
#[must_use = "nothing happens until it is run, peeked at or invalidated"]
pub struct Work<T> {
    call: Call,
    value: PhantomData<fn() -> T>,
}

impl<T> Work<T> {
    pub(crate) fn new(sharing: &WorkSharing, key: Key) -> Self {
        let call = Call::new(
            Arc::clone(sharing.runtime()),
            key,
            "work",
            Options::default(),
        );
        Self {
            call,
            value: PhantomData,
        }
    }

    /// How long the stored value lives. Left out: [`Builder::default_ttl`](crate::Builder::default_ttl).
    /// Zero means that it is not stored, with a warning.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.call.options.ttl = Some(ttl);
        self
    }

    /// Whether to compute without looking, under the lock, and to store the result: the gist's
    /// `force_update`.
    pub fn force_refresh(mut self, force_refresh: bool) -> Self {
        self.call.options.force_refresh = force_refresh;
        self
    }

    /// Stores `None` like any other value. Left out, it is not stored, as in the gist.
    pub fn cache_none(mut self) -> Self {
        self.call.options.cache_none = true;
        self
    }

    /// A number that is part of the type fingerprint: values stored with another one are misses. For when a
    /// value's meaning changes and its structure does not.
    pub fn version(mut self, version: u32) -> Self {
        self.call.options.version = version;
        self
    }

    /// A label for logs.
    pub fn name(mut self, name: &'static str) -> Self {
        self.call.name = name;
        self
    }

    /// The key, namespace included.
    pub fn key(&self) -> &Key {
        &self.call.key
    }

    /// Removes the stored value. A computation that is under way will not store its result.
    ///
    /// # Errors
    /// The store cannot be reached: the value may still be there.
    ///
    /// # Cancel safety
    /// Dropped, the removal may or may not happen.
    pub async fn invalidate(self) -> Result<(), Error> {
        self.call.invalidate().await
    }

    /// [`invalidate`](Self::invalidate), blocking this thread.
    ///
    /// # Errors
    /// The store cannot be reached: the value may still be there.
    pub fn invalidate_blocking(self) -> Result<(), Error> {
        block_on(self.invalidate())
    }
}

impl<T: Serialize + DeserializeOwned> Work<T> {
    /// The value: the stored one, or another caller's who is computing it now, or else what `compute`
    /// returns. A `None` is returned to all who wait for it, and not stored. For what may fail there is
    /// [`try_run`](Self::try_run).
    ///
    /// # Panics
    /// If `compute` does. Another caller, if one waits, takes over.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind: the lock is released, and another caller takes over.
    pub async fn run(self, compute: impl AsyncFnOnce() -> T) -> T {
        match flow::begin(self.call, Rules::<Whole, T>::new()).await {
            Acquired::Value(value) => value,
            Acquired::Lead(lead) => lead.land(pin!(compute())).await,
        }
    }

    /// [`run`](Self::run), blocking this thread. Also from inside an async runtime, whose thread it then
    /// blocks.
    ///
    /// # Panics
    /// If `compute` does.
    pub fn run_blocking(self, compute: impl FnOnce() -> T) -> T {
        match block_on(flow::begin(self.call, Rules::<Whole, T>::new())) {
            Acquired::Value(value) => value,
            Acquired::Lead(lead) => lead.land_blocking(compute),
        }
    }

    /// [`run`](Self::run) for what may fail, with any type of error: only `Ok` is shared.
    ///
    /// # Errors
    /// What `compute` returns to this very caller.
    ///
    /// # Panics
    /// If `compute` does.
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub async fn try_run<E>(self, compute: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        match flow::begin(self.call, Rules::<OkOnly<E>, T>::new()).await {
            Acquired::Value(value) => value,
            Acquired::Lead(lead) => lead.land(pin!(compute())).await,
        }
    }

    /// [`try_run`](Self::try_run), blocking this thread.
    ///
    /// # Errors
    /// What `compute` returns to this very caller.
    ///
    /// # Panics
    /// If `compute` does.
    pub fn try_run_blocking<E>(self, compute: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        match block_on(flow::begin(self.call, Rules::<OkOnly<E>, T>::new())) {
            Acquired::Value(value) => value,
            Acquired::Lead(lead) => lead.land_blocking(compute),
        }
    }

    /// Computes without looking, under the lock, and stores: [`run`](Self::run) with
    /// [`force_refresh`](Self::force_refresh). Refreshes of one key that are asked for at the same time share: each is
    /// served by any computation that began after it was asked for.
    ///
    /// # Panics
    /// If `compute` does.
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub async fn refresh(self, compute: impl AsyncFnOnce() -> T) -> T {
        self.force_refresh(true).run(compute).await
    }

    /// [`refresh`](Self::refresh), blocking this thread.
    ///
    /// # Panics
    /// If `compute` does.
    pub fn refresh_blocking(self, compute: impl FnOnce() -> T) -> T {
        self.force_refresh(true).run_blocking(compute)
    }

    /// The stored value. Never computes, never waits for whoever does.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub async fn peek(self) -> Option<T> {
        flow::peek(self.call).await
    }

    /// [`peek`](Self::peek), blocking this thread.
    pub fn peek_blocking(self) -> Option<T> {
        block_on(self.peek())
    }
}

impl<T> fmt::Debug for Work<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)
    }
}
