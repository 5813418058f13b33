use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::outcome::Outcome;
use crate::{Error, Key, WorkSharing};

/// One piece of work: a key, and how its value is computed, kept and shared.
#[derive(Debug)]
#[must_use = "nothing happens until it is run, peeked at or invalidated"]
pub struct Work<T> {
    sharing: WorkSharing,
    key: Key,
    value: PhantomData<fn() -> T>,
}

impl<T> Work<T> {
    pub(crate) fn new(sharing: WorkSharing, characteristic: String) -> Self {
        Self { sharing, key: Key::new(characteristic), value: PhantomData }
    }
    /// How long a stored value lives.
    pub fn ttl(self, _ttl: Duration) -> Self {
        self
    }
    /// Whether to compute without looking.
    pub fn force_refresh(self, _yes: bool) -> Self {
        self
    }
    /// Whether to store `None`.
    pub fn cache_none(self, _yes: bool) -> Self {
        self
    }
    /// Part of the type fingerprint.
    pub fn version(self, _version: u32) -> Self {
        self
    }
    /// Label in logs.
    pub fn name(self, _name: &'static str) -> Self {
        self
    }
    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

impl<T: Serialize + DeserializeOwned> Work<T> {
    /// For the macro.
    #[doc(hidden)]
    pub async fn __run<O, P, F>(self, _lifetime: P, compute: F) -> O
    where
        O: Outcome<Shared = T>,
        P: Fn(&T, Duration) -> Option<Duration>,
        F: AsyncFnOnce() -> O,
    {
        compute().await
    }
    /// For the macro.
    #[doc(hidden)]
    pub fn __run_blocking<O, P, F>(self, _lifetime: P, compute: F) -> O
    where
        O: Outcome<Shared = T>,
        P: Fn(&T, Duration) -> Option<Duration>,
        F: FnOnce() -> O,
    {
        compute()
    }
    /// The stored value.
    pub async fn peek(self) -> Option<T> {
        todo!()
    }
    /// The stored value.
    pub fn peek_blocking(self) -> Option<T> {
        todo!()
    }
    /// Removes the stored value.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn invalidate(self) -> Result<(), Error> {
        todo!()
    }
    /// Removes the stored value.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub fn invalidate_blocking(self) -> Result<(), Error> {
        todo!()
    }
}
